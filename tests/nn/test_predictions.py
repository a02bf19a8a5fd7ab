"""What runs report and predict: scores, the form of predictions, raw and scaled data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Dataset, load_dataset, train

RNG = np.random.default_rng(2)
X = RNG.normal(size=(50, 4))
LABELS = RNG.integers(0, 3, 50)
VALUES = RNG.normal(size=(50, 2))
DATA = Dataset(X, LABELS)
MODEL = MLP((4, 6, 3), "tanh", dtype="float64")
THETA = MODEL.init(seed=1)
IRIS = load_dataset("iris").split(seed=0)
DIABETES = load_dataset("diabetes").split(seed=0)


def close(one: Any, other: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_evaluate_gives_the_last_validation_loss_exactly(data: str, dtype: str) -> None:
    split, outputs = (IRIS, 3) if data == "iris" else (DIABETES, 1)
    run = train(MLP((split.train.n_features, 9, outputs), dtype=dtype), split, SGD(0.02), epochs=4)
    found = run.evaluate(split.validation)
    assert found["loss"] == run.history.validation_loss[-1] == run.metrics["validation_loss"]
    score = "accuracy" if data == "iris" else "r2"
    assert found[score] == getattr(run.history, f"validation_{score}")[-1]
    assert (run.history.train_accuracy is None) == (run.history.validation_accuracy is None) == (data == "diabetes")
    assert (run.history.train_r2 is None) == (run.history.validation_r2 is None) == (data == "iris")


def test_training_scores_are_means_over_the_epoch() -> None:
    """With a rate of almost 0 they are those of the whole set."""
    run = train(MODEL, DATA, SGD(1e-12), batch_size=7, epochs=1, theta=THETA)
    close(run.history.train_accuracy, [run.evaluate(DATA)["accuracy"]])
    data = Dataset(X, VALUES)
    run = train(MODEL.replace(layer_sizes=(4, 6, 2)), data, SGD(1e-12), batch_size=7, epochs=1)
    close(run.history.train_r2, [run.evaluate(data)["r2"]], 1e-9)
    predicted = run.predict(X)
    close(run.evaluate(data)["r2"], 1 - ((predicted - VALUES) ** 2).sum() / ((VALUES - VALUES.mean(0)) ** 2).sum())


TASKS = {
    "names": (np.array(["low", "mid", "top"])[LABELS], None, 3),
    "binary": (np.array(["no", "yes"])[(LABELS > 0).astype(int)], None, 1),
    "two outputs": (LABELS > 0, None, 2),
    "multilabel": ((VALUES > 0).astype(int), "multilabel", 2),
    "one number": (X[:, 0] * 30 + 500 + VALUES[:, 0], "regression", 1),
    "one column": (X[:, :1] * 30 + 500 + VALUES[:, :1], "regression", 1),
    "two numbers": (X[:, :2] * [30, 0.1] + [500, 2] + VALUES, "regression", 2),
}


@pytest.mark.parametrize("case", TASKS)
def test_predictions_come_in_the_form_of_the_targets(case: str) -> None:
    y, task, outputs = TASKS[case]
    raw = Dataset(X * 7 + 2, y, task)
    split = raw.split(0.2, 0.2, seed=1)
    assert split.test is not None
    assert split.validation is not None
    run = train(MLP((4, 12, outputs), "tanh"), split, SGD(0.05, momentum=0.9), batch_size=8, epochs=40)
    rows = split.rows["test"]
    for asked, answer in (
        (split.test.X, run.predict(split.test.X, scaled=True)),
        (raw.X[rows], run.predict(raw.X[rows])),
        (raw.subset(rows), run.predict(raw.subset(rows))),
        (split.test, run.predict(split.test)),
    ):
        assert answer.shape == raw.y[rows].shape, type(asked)
        assert answer.dtype.kind == raw.y.dtype.kind
    scaled, unscaled = run.predict(split.test.X, scaled=True), run.predict(raw.X[rows])
    if raw.task == "regression":
        assert split.scaling is not None
        close(split.scaling.inverse_targets(scaled), unscaled, 1e-6)
        np.testing.assert_array_equal(run.predict(raw.subset(rows)), unscaled)
        assert np.abs(unscaled - raw.y[rows]).mean() < 0.5 * np.abs(raw.y - raw.y.mean(axis=0)).mean()
        with pytest.raises(ValueError, match=r"^probabilities need a softmax or logistic output"):
            run.predict_proba(split.test.X, scaled=True)
    else:
        np.testing.assert_array_equal(scaled, unscaled)
        right = scaled == split.test.y
        assert run.evaluate(split.test)["accuracy"] == np.mean(right.all(axis=1) if right.ndim == 2 else right)
        chances = run.predict_proba(split.test.X, scaled=True)
        close(chances, run.predict_proba(raw.X[rows]), 1e-6)
        assert chances.min() >= 0
        assert chances.max() <= 1
        if raw.classes is not None:
            assert chances.shape == (len(rows), len(raw.classes))
            close(chances.sum(axis=1), np.ones(len(rows)), 1e-6)
            np.testing.assert_array_equal(raw.classes[chances.argmax(axis=1)], scaled)
        else:
            np.testing.assert_array_equal(chances > 0.5, scaled == 1)
    close(run.evaluate(raw.subset(rows))["loss"], run.evaluate(split.test)["loss"], 1e-6)


def test_data_scaled_by_another_split_is_refused() -> None:
    raw = load_dataset("iris")
    one, other = raw.split(seed=0), raw.split(seed=1)
    run = train(MLP((4, 3)), one, epochs=1)
    unscaled = train(MLP((4, 3)), raw, epochs=1)
    for attempt in (
        lambda: run.evaluate(other.test),
        lambda: run.predict(other.test),
        lambda: run.predict_proba(other.test),
        lambda: unscaled.evaluate(one.test),
    ):
        with pytest.raises(ValueError, match=r"^the data must be raw or scaled as the run's own was") as seen:
            attempt()
        assert "\n" not in str(seen.value)
    assert unscaled.evaluate(raw)["accuracy"] == np.mean(unscaled.predict(raw.X) == raw.y)


def test_a_part_without_some_classes_is_scored_by_those_of_the_run() -> None:
    raw = load_dataset("iris")
    run = train(MLP((4, 16, 3)), raw, SGD(0.05), epochs=30)
    last = Dataset(raw.X[50:], raw.y[50:])
    assert run.evaluate(last)["accuracy"] == np.mean(run.predict(raw.X[50:]) == raw.y[50:])
    with pytest.raises(ValueError, match="y must have labels among the 3 classes"):
        run.evaluate(Dataset(raw.X[50:], raw.y[50:] + 5))


def test_one_output_and_two_agree_on_what_two_classes_mean() -> None:
    """A softmax of two outputs is a logistic of their difference."""
    y = LABELS > 0
    two = train(MLP((4, 2), init="zeros", dtype="float64"), Dataset(X, y), SGD(0.1), batch_size="full", epochs=9)
    one = train(MLP((4, 1), init="zeros", dtype="float64"), Dataset(X, y), SGD(0.2), batch_size="full", epochs=9)
    close(one.history.train_loss, two.history.train_loss)
    close(one.predict_proba(X), two.predict_proba(X))
