"""Targets: the task that an array of them stands for, and the form of it that training uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn._arrays import as_array, check_finite, names_of
from nn.checks import TASKS, one_of

_MANY_CLASSES = 100
_FEW_VALUES = 20


@dataclass(frozen=True, eq=False)
class Targets:
    """Checked targets: `y` for the user, `codes` for training (int64 (N,) or float64 (N, K))."""

    task: str
    y: NDArray[Any]
    codes: NDArray[Any]
    classes: NDArray[Any] | None


def read_targets(y: Any, rows: int, task: str | None = None) -> Targets:
    """Check `y`, find the task where `task` is None, and return private copies.

    Raises ValueError for a wrong length or shape, NaN or infinity, fewer than two classes, and wherever the
    task can't be told; TypeError for a dtype that can't be a target.
    """
    if task is not None:
        one_of("task", task, TASKS)
    array = _plain(as_array("y", y))
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise ValueError(f"y must have one value, or one row of values, for each example, but got shape {array.shape}")
    if len(array) != rows:
        raise ValueError(f"X and y must have the same length, but got {rows:,} rows in X and {len(array):,} in y")
    check_finite("y", array)
    task = task or infer_task(array)
    if task == "classification":
        return _classes(array)
    if array.dtype.kind == "U":
        raise TypeError(f"y must be of numbers for {task}, but got strings; for classes pass task='classification'")
    if task == "multilabel":
        return _labels(array)
    values = np.array(array, dtype=np.float64, order="C")
    check_finite("y", values)
    return Targets(task, values, values.reshape(rows, -1), None)


def infer_task(y: NDArray[Any]) -> str:
    """Return the task that a checked array of targets stands for; raise ValueError where it can't be told.

    Strings, bools and a few whole numbers are classes; 0/1 in columns are labels that may hold together;
    fractions are numbers to predict.

    >>> infer_task(np.array([0, 1, 2, 1, 0, 2]))
    'classification'
    >>> infer_task(np.array([0.5, 1.5, 2.5]))
    'regression'
    """
    if y.dtype.kind == "U":
        return "classification"
    if y.ndim == 2:
        if y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (np.count_nonzero(y, axis=1) == 1).all():
            raise ValueError(
                "task must be named where y has a single 1 in every row, but got none; "
                "pass y.argmax(axis=1) for classes, or task='multilabel'"
            )
        if y.dtype.kind == "f":
            return "regression"
        if np.isin(y, (0, 1)).all():
            return "multilabel"
        raise ValueError(
            "task must be named for whole numbers in columns other than 0 and 1, but got none; "
            "pass task='regression', or y[:, 0] for classes"
        )
    if y.dtype.kind == "b":
        return "classification"
    distinct = len(np.unique(y))
    if y.dtype.kind == "f":
        if distinct <= _FEW_VALUES and np.all(y == np.floor(y)):
            raise ValueError(
                f"task must be named where floats are all whole numbers ({distinct} distinct), but got none; "
                "pass task='classification' or task='regression'"
            )
        return "regression"
    if distinct > 2 and (distinct > _MANY_CLASSES or distinct > len(y) / 2):
        raise ValueError(
            f"task must be named where whole numbers look like counts ({distinct:,} in {len(y):,} rows), "
            "but got none; pass task='classification' or task='regression'"
        )
    return "classification"


def class_codes(y: Any, classes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the position of each label of `y` (N,) in the sorted `classes`. Raises ValueError for one outside them.

    >>> class_codes(["b", "a"], np.array(["a", "b"]))
    array([1, 0])
    """
    labels = _plain(as_array("y", y))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"y must have one label for each example, but got shape {labels.shape}")
    if (labels.dtype.kind == "U") != (classes.dtype.kind == "U"):
        raise TypeError(f"y must have labels like the classes ({classes.dtype}), but got dtype {labels.dtype}")
    codes = np.searchsorted(classes, labels)
    known = classes[np.minimum(codes, len(classes) - 1)] == labels
    if not known.all():
        shown = ", ".join(str(label) for label in classes[:10]) + (", …" if len(classes) > 10 else "")
        wrong = labels[int(np.argmin(known))].item()
        raise ValueError(f"y must have labels among the {len(classes)} classes ({shown}), but got {wrong!r}")
    return codes.astype(np.int64)


def class_names_of(names: Any, classes: NDArray[Any] | None) -> tuple[str, ...] | None:
    """Return a name for each class: the given ones, or else the labels. Raises ValueError where there are none."""
    if classes is None:
        if names is not None:
            raise ValueError(f"class_names must be None outside classification, but got {names!r}")
        return None
    return names_of("class_names", names, len(classes)) or tuple(str(label) for label in classes.tolist())


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return `array` with dtype of kind b, i, u, f or U; objects that are all of one such kind are turned."""
    kind = array.dtype.kind
    if kind == "O":
        kinds = {type(value) for value in array.ravel().tolist()}
        if kinds and (kinds <= {str} or kinds <= {bool} or kinds <= {int} or kinds <= {int, float}):
            try:
                array = np.array(array.tolist())
            except (OverflowError, ValueError) as error:
                raise ValueError("y must fit into 64 bits, but has larger whole numbers") from error
        else:
            shown = ", ".join(sorted(kind.__name__ for kind in kinds)) or "nothing"
            raise TypeError(f"y must be all strings, all bools or all numbers, but got a mixture or objects ({shown})")
    elif kind == "T":
        array = array.astype(str)
    elif kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError("y must be text in UTF-8, but has bytes that are not") from error
    if array.dtype.kind not in "biufU":
        raise TypeError(f"y must be of numbers, bools or strings, but got dtype {array.dtype}")
    return array


def _classes(array: NDArray[Any]) -> Targets:
    if array.ndim == 2:
        if array.shape[1] != 1:
            raise ValueError(f"y must have one label for each example in classification, but got shape {array.shape}")
        array = array[:, 0]
    if array.dtype.kind == "f":
        if not np.all(array == np.floor(array)) or np.any(np.abs(array) > 2**53):
            raise ValueError(
                "y must have whole numbers, bools or strings as class labels, but has fractions; "
                "for numbers pass task='regression'"
            )
        array = array.astype(np.int64)
    array = array.astype(array.dtype.newbyteorder("="))
    classes, codes = np.unique(array, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must have at least 2 classes, but all {len(array):,} labels are {classes[0].item()!r}")
    return Targets("classification", array, codes.reshape(-1).astype(np.int64), classes)


def _labels(array: NDArray[Any]) -> Targets:
    if array.ndim != 2:
        raise ValueError(f"y must have one column for each label in multilabel, but got shape {array.shape}")
    outside = ~np.isin(array, (0, 1))
    if outside.any():
        raise ValueError(f"y must be 0 or 1 in multilabel, but got {array[outside][0].item()!r}")
    labels = np.array(array, dtype=np.int64, order="C")
    return Targets("multilabel", labels, labels.astype(np.float64), None)
