"""Metrics against sums written out by hand, and what they refuse."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nn import MLP, Dataset, compiled, load_dataset, metrics, train
from nn.checks import TASKS

labels = hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(-2, 4))


@settings(max_examples=60, deadline=None)
@given(labels, st.randoms(use_true_random=False))
def test_the_confusion_matrix_counts_every_example_in_its_cell(truth: Any, random: Any) -> None:
    guess = truth.copy()
    random.shuffle(guess)
    classes = np.unique(truth)
    counts = metrics.confusion_matrix(truth, guess)
    expected = [[np.sum((truth == i) & (guess == j)) for j in classes] for i in classes]
    np.testing.assert_array_equal(counts, expected)
    assert counts.sum() == len(truth)
    assert metrics.accuracy(truth, guess) == np.trace(counts) / len(truth)


def test_the_confusion_matrix_keeps_the_order_of_the_classes_given() -> None:
    counts = metrics.confusion_matrix(["b", "a", "b"], ["b", "b", "a"], classes=["c", "b", "a"])
    assert counts.tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 0]]


def test_several_labels_must_all_be_right() -> None:
    assert metrics.accuracy([[0, 1], [1, 1]], [[0, 1], [1, 0]]) == 0.5


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(2, 9), st.integers(1, 3)), elements=st.floats(-9, 9)),
    st.integers(0, 99),
)
def test_r2_is_one_minus_residual_over_total_sum_of_squares(truth: Any, seed: int) -> None:
    guess = truth + np.random.default_rng(seed).normal(size=truth.shape)
    total = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 0  # the other outputs count for nothing
    residual = ((truth - guess) ** 2).sum(axis=0)
    assert metrics.squared_error(truth, guess) == pytest.approx(0.5 * residual.sum() / len(truth), rel=1e-12)
    if total.sum() > 1e-6:
        known = 1 - residual[varies].sum() / total.sum()
        assert metrics.r2(truth, guess) == pytest.approx(known, rel=1e-9, abs=1e-9)
        assert metrics.r2(truth, np.broadcast_to(truth.mean(axis=0), truth.shape)) == pytest.approx(0, abs=1e-9)
    assert metrics.r2(truth, truth) == 1


def test_r2_leaves_out_the_errors_of_an_output_that_does_not_vary() -> None:
    truth, guess = [[0.0, 1.5], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]
    assert metrics.r2(truth, guess) == pytest.approx(1 - 1.5**2 / (2 * 0.75**2))
    assert metrics.r2([[0.0, 1.0]] * 2, [[1.0, 1.0]] * 2) == 0.5
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    Y = np.stack([X[:, 0], np.full(40, 2.0)], axis=1)
    split = Dataset(X, Y).split(test=0, scale=False)
    assert split.validation is not None
    run = train(MLP((3, 4, 2), dtype="float64"), split, epochs=2)
    known = metrics.r2(split.validation.targets, run.predict(split.validation))
    assert run.metrics["validation_r2"] == pytest.approx(known, rel=1e-12)
    assert run.evaluate(split.validation)["r2"] == pytest.approx(known, rel=1e-12)


def test_r2_of_fewer_than_two_examples_is_nan() -> None:
    assert math.isnan(metrics.r2([3.0], [3.0]))
    assert np.isnan(metrics.r2_from_loss(np.array([0.0, 1.0]), np.ones((1, 1)))).tolist() == [True, True]


def test_r2_of_targets_that_do_not_vary_is_1_or_0() -> None:
    assert metrics.r2([3.0, 3.0], [3.0, 3.0]) == 1
    assert metrics.r2([3.0, 3.0], [3.0, 4.0]) == 0


def test_cross_entropy_is_minus_log_and_clips_nothing() -> None:
    chances = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    assert metrics.cross_entropy([1, 0, 0], chances) == pytest.approx(-(math.log(0.8) + math.log(0.5)) / 3, rel=1e-15)
    assert metrics.cross_entropy([1, 0, 1], chances) == math.inf


def test_nan_predictions_never_look_good() -> None:
    assert math.isnan(metrics.r2([1.0, 2.0], [math.nan, 2.0]))
    assert math.isnan(metrics.squared_error([1.0, 2.0], [math.nan, 2.0]))
    assert metrics.accuracy([1.0, 2.0], [math.nan, 2.0]) == 0.5
    assert metrics.squared_error([1e200], [-1e200]) == math.inf


def test_the_metrics_are_those_that_a_run_reports() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    run = train(MLP((3, 5, 3), dtype="float64"), Dataset(X, y), epochs=2)
    found = run.evaluate(Dataset(X, y))
    assert found["accuracy"] == metrics.accuracy(y, run.predict(X))
    assert found["loss"] == pytest.approx(metrics.cross_entropy(y, run.predict_proba(X)), rel=1e-12)
    Y = rng.normal(size=(40, 2))
    run = train(MLP((3, 5, 2), dtype="float64"), Dataset(X, Y), epochs=2)
    found = run.evaluate(Dataset(X, Y))
    assert found["loss"] == pytest.approx(metrics.squared_error(Y, run.predict(X)), rel=1e-12)
    assert found["r2"] == pytest.approx(metrics.r2(Y, run.predict(X)), rel=1e-12)


def test_the_r2_of_weighted_losses_weights_the_targets_alike() -> None:
    Y, w = np.array([[1.0], [2.0], [6.0]]), np.array([1.0, 2.0, 1.0])
    repeated = np.repeat(Y, [1, 2, 1], axis=0)
    assert metrics.r2_from_loss(0.7, Y, w) == pytest.approx(metrics.r2_from_loss(0.7, repeated), rel=1e-14)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("accuracy", ([1, 2], [1])),
        ("accuracy", ([], [])),
        ("accuracy", (3, 3)),
        ("accuracy", ([math.nan], [1.0])),
        ("accuracy", ([[[1]]], [[[1]]])),
        ("r2", ([1.0, 2.0], [[1.0], [2.0]])),
        ("r2", ([math.inf, 2.0], [1.0, 2.0])),
        ("r2", (["a"], ["a"])),
        ("squared_error", ([None], [1.0])),
        ("squared_error", ([1.0], [1.0, 2.0])),
        ("confusion_matrix", ([0, 1], [0, 2], [0, 1])),
        ("confusion_matrix", ([0, 1], [0, 1], [])),
        ("confusion_matrix", ([0, 1], [0, 1], [0, 1, 1])),
        ("confusion_matrix", ([0, 1], [0, 1], 3)),
        ("cross_entropy", ([0, 9] * 400, [[0.5, 0.5]] * 800)),
        ("cross_entropy", ([-1], [[0.5, 0.5]])),
        ("cross_entropy", ([0.5], [[0.5, 0.5]])),
        ("cross_entropy", ([0], [[-0.5, 1.5]])),
        ("cross_entropy", ([0], [["a", "b"]])),
        ("cross_entropy", ([0], [0.5])),
        ("cross_entropy", ([], np.empty((0, 2)))),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises((ValueError, TypeError), match="must") as seen:
        getattr(metrics, name)(*arguments)
    assert "\n" not in str(seen.value)


# -- every metric beside scikit-learn's ----------------------------------------------------------------------------


def sklearns(name: str, task: str, targets: Any, outputs: Any) -> float:
    """scikit-learn's value from targets and the outputs (N, K) of a network; NaN where it is NaN or refused."""
    theirs = pytest.importorskip("sklearn.metrics")
    if outputs.shape[1] == 1 and task == "classification":
        outputs = np.hstack([1 - outputs, outputs])
    guess = outputs.argmax(axis=1) if task == "classification" else outputs > 0.5 if task == "multilabel" else outputs
    labels = np.arange(outputs.shape[1])
    scores = outputs[:, 1] if task == "classification" and outputs.shape[1] == 2 else outputs
    known: dict[str, Any] = {
        "accuracy": lambda: theirs.accuracy_score(targets, guess),
        "balanced_accuracy": lambda: theirs.balanced_accuracy_score(targets, guess),
        "f1_macro": lambda: theirs.f1_score(targets, guess, average="macro", zero_division=0),
        "auc": lambda: theirs.roc_auc_score(targets, scores, multi_class="ovr", average="macro"),
        "log_loss": lambda: theirs.log_loss(targets, outputs, labels=labels),
        "r2": lambda: theirs.r2_score(targets, guess, multioutput="variance_weighted"),
        "mae": lambda: theirs.mean_absolute_error(targets, guess),
        "rmse": lambda: theirs.root_mean_squared_error(targets, guess),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return float(known[name]())
        except ValueError:
            return math.nan


@st.composite
def predicted(draw: Any) -> tuple[str, Any, Any]:
    """A task, targets, and outputs of a network: with ties, classes that do not occur, and few examples."""
    task = draw(st.sampled_from(TASKS))
    rows, columns, seed = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(0, 10**6))
    rng, few = np.random.default_rng(seed), draw(st.booleans())
    outputs = rng.integers(0, 3, (rows, columns)) / 2 if few else rng.random((rows, columns))
    if task == "regression":
        targets = rng.integers(0, 2, (rows, columns)) * 1.5 if few else rng.normal(size=(rows, columns))
        return task, targets, outputs.astype(draw(st.sampled_from(["f4", "f8"])))
    if task == "multilabel":
        return task, rng.integers(0, 2, (rows, columns)), outputs
    if columns > 1:
        outputs = (outputs + (outputs.sum(axis=1, keepdims=True) == 0)) / np.maximum(outputs.sum(1), 1e-9)[:, None]
        outputs = np.where(np.isfinite(outputs) & (outputs <= 1), outputs, 1 / columns)
        outputs /= outputs.sum(axis=1, keepdims=True)
    return task, rng.integers(0, draw(st.integers(1, max(columns, 2))), rows), outputs


@settings(max_examples=60, deadline=None)
@given(predicted())
def test_every_metric_is_scikit_learns_and_nan_where_that_is_nan_or_refused(case: tuple[str, Any, Any]) -> None:
    task, targets, outputs = case
    for metric in metrics.METRICS.values():
        if task not in metric.tasks or metric.name == "loss":
            continue
        if not metric.always:
            found = metric.value(task, targets, outputs)
        elif metric.name == "accuracy":
            both = np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
            guess = both.argmax(axis=1) if task == "classification" else outputs > 0.5
            found = metrics.accuracy(targets, guess)
        else:
            found = metrics.r2(targets, outputs)
        known = sklearns(metric.name, task, targets, outputs)
        assert found == pytest.approx(known, rel=1e-12, abs=1e-12, nan_ok=True), metric.name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", ["iris", "moons", "diabetes", "labels", "one class"])
def test_training_follows_each_metric_to_scikit_learns_value_in_every_epoch_and_at_the_end(
    data: str, dtype: str
) -> None:
    rng = np.random.default_rng(0)
    if data == "labels":
        X = rng.normal(size=(60, 3))
        split = Dataset(X, np.stack([X[:, 0] > 0, X[:, 1] > 0.5], axis=1), task="multilabel").split(seed=0)
    elif data == "one class":
        split = load_dataset("iris").split(seed=0)
        assert split.validation is not None
        split = replace(split, validation=split.validation.subset(np.flatnonzero(split.validation.targets == 0)))
    else:
        split = load_dataset(data).split(seed=0)
    validation, task = split.validation, split.train.task
    assert validation is not None
    model = MLP((split.train.n_features, 6, split.train.n_outputs), dtype=dtype).for_task(task)
    names = [m.name for m in metrics.METRICS.values() if task in m.tasks and not m.always]
    seen: list[Any] = []
    run = train(
        model, split, epochs=3, metrics=[f"validation_{name}" for name in names],
        callback=lambda shown: seen.append(compiled.outputs_of(model, shown.theta, validation.X)),
    )  # fmt: skip
    for name in names:
        known = [sklearns(name, task, validation.targets, outputs) for outputs in seen]
        np.testing.assert_allclose(getattr(run.history, f"validation_{name}"), known, rtol=1e-12, atol=1e-12)
        assert run.evaluate(validation)[name] == pytest.approx(known[-1], rel=1e-12, nan_ok=True)
    name = "r2" if task == "regression" else "accuracy"
    known = [sklearns(name, task, validation.targets, outputs) for outputs in seen]
    rounding = 1e-7 if (name, dtype) == ("r2", "float32") else 1e-12  # R2 follows from the loss, in that precision
    np.testing.assert_allclose(getattr(run.history, f"validation_{name}"), known, rtol=0, atol=rounding)
    assert run.evaluate(validation)[name] == pytest.approx(known[-1], abs=rounding)
    assert (data == "one class") == bool(np.isnan(run.metrics.get("validation_auc", 0.0)))
