"""Metrics against sums written out by hand, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nn import MLP, Dataset, load_dataset, metrics, train

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
    total = ((truth - truth.mean(axis=0)) ** 2).sum()
    residual = ((truth - guess) ** 2).sum()
    assert metrics.squared_error(truth, guess) == pytest.approx(0.5 * residual / len(truth), rel=1e-12)
    if total > 1e-6:
        assert metrics.r2(truth, guess) == pytest.approx(1 - residual / total, rel=1e-9)
        assert metrics.r2(truth, np.broadcast_to(truth.mean(axis=0), truth.shape)) == pytest.approx(0, abs=1e-9)
    assert metrics.r2(truth, truth) == 1


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


@settings(max_examples=60, deadline=None)
@given(labels, st.randoms(use_true_random=False))
def test_f1_macro_is_scikit_learns(truth: Any, random: Any) -> None:
    guess = truth.copy()
    random.shuffle(guess)
    score = pytest.importorskip("sklearn.metrics").f1_score
    assert metrics.f1_macro(truth, guess) == pytest.approx(score(truth, guess, average="macro"), abs=1e-12)
    flags, guesses = truth[:, None] > np.arange(-3, 4), guess[:, None] > np.arange(-3, 4)
    known = score(flags, guesses, average="macro", zero_division=0)
    assert metrics.f1_macro(flags, guesses) == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("data", ["iris", "moons"])
def test_training_follows_f1_macro_where_it_is_asked_for(data: str) -> None:
    score = pytest.importorskip("sklearn.metrics").f1_score
    split = load_dataset(data).split(seed=0)
    outputs = {"iris": 3, "moons": 1}[data]
    run = train(MLP((split.train.n_features, 8, outputs)), split, metrics=["validation_f1_macro"], epochs=3)
    guess = run.predict(split.validation)
    assert run.history.validation_f1_macro[-1] == pytest.approx(score(split.validation.y, guess, average="macro"))
