"""Metrics as plain functions of targets and predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn._arrays import as_array, check_finite
from nn.checks import brief


def accuracy(y_true: ArrayLike, y_predicted: ArrayLike) -> float:
    """Return the share of examples that are predicted right; with several labels (N, K), all of them must be.

    >>> accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """
    truth, guess = _pair(y_true, y_predicted)
    right = truth == guess
    return float(np.mean(right if right.ndim == 1 else right.all(axis=1)))


def r2(y_true: ArrayLike, y_predicted: ArrayLike) -> float:
    """Return R² = 1 − Σ(y − z)² / Σ(y − ȳ)² over examples and outputs: 1 is perfect, 0 is as good as the mean.

    This is scikit-learn's `multioutput="variance_weighted"`: an output that does not vary counts for nothing. Where
    none varies it is the share of those that are met. Of fewer than two examples it is NaN.

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 3.5])
    0.875
    """
    truth, guess = _pair(y_true, y_predicted, numbers=True)
    if len(truth) < 2:
        return math.nan
    truth, guess = (each.reshape(len(each), -1).astype(np.float64) for each in (truth, guess))
    with np.errstate(over="ignore", invalid="ignore"):
        residual = np.sum((truth - guess) ** 2, axis=0)
        total = np.sum((truth - np.average(truth, axis=0)) ** 2, axis=0)
    varies = total > 0
    if not varies.any():
        return float(np.mean(residual == 0)) if np.isfinite(residual).all() else math.nan
    return float(np.average(1 - residual[varies] / total[varies], weights=total[varies]))


def r2_from_loss(loss: Any, targets: NDArray[Any], w: NDArray[Any] | None = None) -> Any:
    """Return R² from a mean squared-error loss ½·Σ_k (z − y)², or an array of them, and the targets (N, K).

    `w` (N,) are sample weights, if the loss has them. Of fewer than two examples it is NaN. A loss does not tell the
    errors of one output from those of another: all count, also those of an output that does not vary.
    """
    if len(targets) < 2:
        return np.full(np.shape(loss), np.nan)
    values = targets.astype(np.float64)
    w = None if w is None or not len(w) else w
    deviations = ((values - np.average(values, axis=0, weights=w)) ** 2).sum(axis=1)
    variance = float(np.average(deviations, weights=w))
    if variance == 0:
        return np.where(np.asarray(loss) == 0, 1.0, 0.0)
    return 1.0 - 2.0 * np.asarray(loss) / variance


def has_fixed_output(targets: NDArray[Any]) -> bool:
    """Return whether one of several outputs does not vary, so that R² does not follow from the loss."""
    return targets.ndim == 2 and targets.shape[1] > 1 and bool((targets == targets[0]).all(axis=0).any())


def confusion_matrix(y_true: ArrayLike, y_predicted: ArrayLike, classes: ArrayLike | None = None) -> NDArray[np.int64]:
    """Return the confusion matrix (K, K): row i, column j counts the examples of class i that were predicted as j.

    Args:
        y_true, y_predicted (array (N,)): Labels.
        classes (array (K,)): The order of the classes; the sorted labels that occur unless given.

    >>> confusion_matrix(["a", "b", "b"], ["a", "a", "b"])
    array([[1, 0],
           [1, 1]])
    """
    truth, guess = _pair(y_true, y_predicted)
    order = np.unique(np.concatenate([truth, guess])) if classes is None else as_array("classes", classes)
    if order.ndim != 1 or len(order) == 0 or len(np.unique(order)) < len(order):
        raise ValueError(f"classes must be a list of distinct labels, but got {brief(classes)}")
    sorting = np.argsort(order)

    def places(labels: NDArray[Any]) -> NDArray[np.intp]:
        at = np.searchsorted(order, labels, sorter=sorting)
        found = sorting[np.minimum(at, len(order) - 1)]
        if not (order[found] == labels).all():
            raise ValueError(f"labels must be among the classes, but got {labels[order[found] != labels][0]!r}")
        return found

    counts = np.zeros((len(order), len(order)), dtype=np.int64)
    np.add.at(counts, (places(truth), places(guess)), 1)
    return counts


def f1_macro(y_true: ArrayLike, y_predicted: ArrayLike) -> float:
    """Return the mean over the classes that occur of F1 = 2·right / (true + predicted), all in numbers of examples.

    With several labels (N, K), the mean over the labels; one that neither occurs nor is predicted has 0. A single one
    (N, 1) is two classes.

    >>> f1_macro([0, 0, 1, 1], [0, 1, 1, 1])
    0.7333333333333334
    """
    truth, guess = _pair(y_true, y_predicted)
    if truth.ndim == 1 or truth.shape[1] == 1:
        truth, guess = truth.ravel(), guess.ravel()
        classes = np.unique(np.concatenate([truth, guess]))
        truth, guess = truth[:, None] == classes, guess[:, None] == classes
    right = np.sum(truth * guess, axis=0, dtype=np.float64)
    both = np.sum(truth, axis=0, dtype=np.float64) + np.sum(guess, axis=0)
    return float(np.mean(np.divide(2 * right, both, out=np.zeros(len(both)), where=both > 0)))


def balanced_accuracy(y_true: ArrayLike, y_predicted: ArrayLike) -> float:
    """Return the mean over the classes that occur in the truth of the share of their examples that are predicted right.

    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    truth, guess = _pair(y_true, y_predicted)
    if truth.ndim != 1:
        raise ValueError(f"y_true and y_predicted must be labels (N,), but got {truth.shape}")
    return float(np.mean([np.mean(guess[truth == label] == label) for label in np.unique(truth)]))


def auc(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a positive example has a higher probability than a negative one.

    Ties count half. For more than two classes, 0 … K − 1 (N,) with probabilities (N, K), and for several labels (N, K),
    it is the mean over the columns of the area of each against the rest. NaN where a class, or its opposite, has no
    example.

    >>> auc([0, 0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])
    0.75
    """
    truth, chances = as_array("y_true", y_true), as_array("probabilities", probabilities)
    if truth.ndim == 1:
        _check_classes(truth, chances)
        truth = truth[:, None] == np.arange(chances.shape[1])
        if chances.shape[1] == 2:
            truth, chances = truth[:, 1:], chances[:, 1:]
    truth, chances = _pair(truth, chances, numbers=True)
    return float(np.mean([_area(column > 0, scores) for column, scores in zip(truth.T, chances.T, strict=True)]))


def _area(positive: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Return the area under one ROC curve, from the ranks of the scores of the positive examples (Mann & Whitney)."""
    count = int(positive.sum())
    if count in (0, len(positive)) or np.isnan(scores).any():
        return math.nan
    _, place, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place.ravel()]  # those of equal scores are their mean
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))


def log_loss(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Return −log of the probability (N, K) of the true class 0 … K − 1 (N,), averaged, as scikit-learn does.

    That is `cross_entropy`, but for probabilities that are first kept away from 0 and 1 by the rounding error of their
    dtype, so that none costs more than 36 (16 in float32).

    >>> round(log_loss([0, 1], [[0.5, 0.5], [1.0, 0.0]]), 2)
    18.37
    """
    labels, chances = as_array("y_true", y_true), as_array("probabilities", probabilities)
    _check_classes(labels, chances)
    error = np.finfo(chances.dtype if chances.dtype.kind == "f" else np.float64).eps
    return float(np.average(-np.log(np.clip(chances[np.arange(len(labels)), labels], error, 1 - error))))


def mae(y_true: ArrayLike, y_predicted: ArrayLike) -> float:
    """Return the mean absolute error over examples and outputs.

    >>> mae([1.0, 2.0], [1.5, 1.0])
    0.75
    """
    return float(np.mean(np.average(np.abs(_errors(y_true, y_predicted)), axis=0)))


def rmse(y_true: ArrayLike, y_predicted: ArrayLike) -> float:
    """Return the root of the mean squared error, averaged over the outputs.

    >>> rmse([1.0, 2.0], [1.0, 4.0])
    1.4142135623730951
    """
    with np.errstate(over="ignore"):
        return float(np.mean(np.sqrt(np.average(_errors(y_true, y_predicted) ** 2, axis=0))))


def _errors(y_true: ArrayLike, y_predicted: ArrayLike) -> NDArray[np.float64]:
    truth, guess = _pair(y_true, y_predicted, numbers=True)
    with np.errstate(over="ignore", invalid="ignore"):
        return guess.astype(np.float64) - truth


def squared_error(y_true: ArrayLike, y_predicted: ArrayLike) -> float:
    """Return ½·Σ (z − y)² over the outputs, averaged over the examples.

    >>> squared_error([0.0, 0.0], [1.0, 2.0])
    1.25
    """
    truth, guess = _pair(y_true, y_predicted, numbers=True)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(0.5 * np.sum((guess.astype(np.float64) - truth) ** 2) / len(truth))


def cross_entropy(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Return −log of the probability (N, K) of the true class 0 … K − 1 (N,), averaged over the examples.

    A true class of probability 0 gives infinity: nothing is clipped.

    >>> round(cross_entropy([0, 1], [[0.5, 0.5], [0.75, 0.25]]), 4)
    1.0397
    """
    labels, chances = as_array("y_true", y_true), as_array("probabilities", probabilities)
    _check_classes(labels, chances)
    with np.errstate(divide="ignore"):
        return float(-np.log(chances[np.arange(len(labels)), labels]).mean())


def _check_classes(labels: NDArray[Any], chances: NDArray[Any]) -> None:
    if labels.ndim != 1 or chances.ndim != 2 or len(labels) != len(chances) or len(labels) == 0:
        raise ValueError(f"y_true must be (N,) and probabilities (N, K), but got {labels.shape} and {chances.shape}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= chances.shape[1]:
        shown = f"{labels.min()} to {labels.max()}" if labels.dtype.kind in "iu" else labels.dtype
        raise ValueError(f"labels must be class numbers between 0 and {chances.shape[1] - 1}, but got {shown}")
    if chances.dtype.kind not in "biuf" or chances.min() < 0 or chances.max() > 1:
        raise ValueError("probabilities must be numbers between 0 and 1, but some are not")


def _pair(y_true: ArrayLike, y_predicted: ArrayLike, numbers: bool = False) -> tuple[NDArray[Any], NDArray[Any]]:
    truth, guess = as_array("y_true", y_true), as_array("y_predicted", y_predicted)
    if truth.shape != guess.shape or truth.ndim not in (1, 2) or len(truth) == 0:
        raise ValueError(
            f"y_true and y_predicted must have the same shape (N,) or (N, K), but got {truth.shape} and {guess.shape}"
        )
    if numbers and not (truth.dtype.kind in "biuf" and guess.dtype.kind in "biuf"):
        raise TypeError(f"y_true and y_predicted must be numbers, but got {truth.dtype} and {guess.dtype}")
    check_finite("y_true", truth)
    return truth, guess
