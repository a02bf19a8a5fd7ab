"""Metrics of one's own: a function of truth and answers, as scikit-learn has them, is followed as any other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nn
from nn import MLP, SGD, Dataset, EarlyStopping, Metric, load_dataset, metrics, train

IRIS = load_dataset("iris").split(seed=0)
MODEL = MLP((4, 8, 3))


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test makes known is not known in the next."""
    known = dict(metrics.METRICS)
    yield
    metrics.METRICS.clear()
    metrics.METRICS.update(known)


def share_error(truth: Any, guess: Any) -> float:
    return float(np.mean(truth != guess))


def test_a_function_is_followed_on_the_part_held_out_changes_nothing_and_is_known_by_its_name(tmp_path: Path) -> None:
    plain = train(MODEL, IRIS, epochs=4)
    run = train(MODEL, IRIS, epochs=4, metrics=[share_error, "train_share_error"])
    assert run.theta.tobytes() == plain.theta.tobytes()
    np.testing.assert_allclose(run.history.validation_share_error, 1 - run.history.validation_accuracy, atol=1e-15)
    assert run.evaluate(IRIS.train)["share_error"] == run.history.train_share_error[-1]
    patience = EarlyStopping(2, 0, "share_error")
    stopped = train(MODEL, IRIS, SGD(0.1), epochs=99, metrics=share_error, early_stopping=patience)
    assert stopped.state.best_epoch == int(np.argmin(stopped.history.validation_share_error))
    assert train(MODEL, IRIS.train, epochs=1, metrics=[share_error]).history.train_share_error.shape == (1,)
    run.save(tmp_path / "run.npz")
    del metrics.METRICS["share_error"]
    loaded = nn.load(tmp_path / "run.npz")
    assert loaded.metrics == run.metrics
    assert not metrics.larger_is_better("validation_share_error")
    assert "share_error" not in loaded.evaluate(IRIS.train)  # no file holds a function
    with pytest.raises(ValueError, match="share_error must be given with its function"):
        train(MODEL, IRIS, metrics=["share_error"])


@pytest.mark.parametrize("data", ["iris", "breast_cancer", "diabetes", "labels"])
def test_a_function_gets_what_predict_and_predict_proba_return_and_the_truth_as_in_the_data(data: str) -> None:
    if data == "labels":
        X = np.random.default_rng(0).normal(size=(60, 3))
        whole = Dataset(X, (X[:, :2] > 0).astype(int), task="multilabel")
    elif data == "iris":
        loaded = load_dataset("iris")
        whole = Dataset(loaded.X, np.array(["a", "b", "c"])[loaded.targets])  # labels, not class numbers
    else:
        whole = load_dataset(data)
    split = whole.split(seed=0)
    seen: dict[str, Any] = {}

    def keep(need: str, truth: Any, answers: Any) -> float:
        seen[need] = truth, answers
        return 0.0

    needs = ["predict"] if whole.task == "regression" else list(metrics.table.NEEDS)
    own = [Metric(f"{need}_score", partial(keep, need), needs=need) for need in needs]
    run = train(MLP((split.train.n_features, 4, split.train.n_outputs)), split, epochs=1, metrics=own)
    rows = split.rows["validation"]
    for need in needs:
        truth, answers = seen[need]
        known = getattr(run, need)(whole.X[rows])
        if need == "predict_proba" and data == "breast_cancer":
            known = known[:, 1]  # as make_scorer gives those of two classes
        assert answers.shape == known.shape
        np.testing.assert_allclose(answers, known, rtol=1e-5) if known.dtype.kind == "f" else None
        assert (known.dtype.kind == "f") or (answers == known).all()
        np.testing.assert_allclose(truth, whole.y[rows], rtol=1e-6) if whole.y.dtype.kind == "f" else None
        assert (whole.y.dtype.kind == "f") or (truth == whole.y[rows]).all()


@pytest.mark.parametrize(
    "name", ["balanced_accuracy_score", "roc_auc_score", "log_loss", "mean_absolute_percentage_error"]
)
def test_scikit_learns_own_functions_give_what_its_scorers_give(name: str) -> None:
    theirs = pytest.importorskip("sklearn.metrics")
    function = getattr(theirs, name)
    data = load_dataset("diabetes" if "error" in name else "breast_cancer")
    split = data.split(seed=0)
    needs = "predict_proba" if name in ("roc_auc_score", "log_loss") else "predict"
    own = Metric(f"their_{name}", function, needs=needs)
    model = MLP((split.train.n_features, 4, split.train.n_outputs), dtype="float64")
    run = train(model, split, epochs=2, metrics=[own])
    rows = split.rows["validation"]
    answers = run.predict_proba(data.X[rows])[:, 1] if needs == "predict_proba" else run.predict(data.X[rows])
    assert run.metrics[f"validation_their_{name}"] == pytest.approx(function(data.y[rows], answers), rel=1e-9)
    assert own.larger_is_better is name.endswith("score")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_none_and_never_the_best(value: float) -> None:
    values = iter([0.5, value, 0.1, 0.1])
    odd = Metric("odd_score", lambda y, guess: next(values))
    run = train(MODEL, IRIS, epochs=9, metrics=[odd], early_stopping=EarlyStopping(3, 0, "odd_score"))
    assert run.state.best_epoch == 0
    assert math.isnan(run.history.validation_odd_score[1])


def fail(y: Any, guess: Any) -> float:
    raise ZeroDivisionError("no\nprofit")


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (fail, {}, "the metric my_score must give a number, but raised ZeroDivisionError: no profit"),
        (lambda y, guess: "0.5", {}, "value of the metric my_score must be a finite number, but got '0.5'"),
        (lambda y, guess: None, {}, "value of the metric my_score must be a finite number, but got None"),
        (lambda y, guess: 1.5, {"bounds": (0, 1)}, "must be a finite number >= 0 and <= 1, but got 1.5"),
        (lambda y: 1.0, {}, "my_score must give a number, but raised TypeError"),
    ],
)
def test_what_a_function_does_wrong_is_one_line(function: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as seen:
        train(MODEL, IRIS, epochs=1, metrics=[Metric("my_score", function, **options)])
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Metric("profit", share_error), r"whether more is better, but got 'profit'; .*larger_is_better=True"),
        (lambda: Metric("train_score", share_error), "without the part of the data before it"),
        (lambda: Metric("my score", share_error), "letters, digits and _"),
        (lambda: Metric("my_score", 3), "must be a function"),  # type: ignore[arg-type]
        (lambda: Metric("my_score", share_error, 1), "larger_is_better must be True or False"),  # type: ignore[arg-type]
        (lambda: Metric("my_score", share_error, needs="proba"), "needs must be one of predict, predict_proba"),
        (lambda: Metric("my_score", share_error, bounds=(1, 0)), "a lower and an upper end"),
        (lambda: train(MODEL, IRIS, metrics=[lambda y, guess: 1.0]), "name it by nn.Metric"),
        (lambda: train(MODEL, IRIS, metrics=[3]), "a name, a function or an nn.Metric, but got 3"),  # type: ignore[list-item]
        (lambda: train(MODEL, IRIS, metrics=[Metric("accuracy", share_error)]), "a name of its own, but accuracy"),
        (
            lambda: [train(MODEL, IRIS, epochs=1, metrics=[Metric("gain", share_error, way)]) for way in (True, False)],
            "gain is known with another direction",
        ),
        (
            lambda: train(
                MLP((10, 1)), load_dataset("diabetes").split(seed=0),
                metrics=[Metric("my_score", share_error, needs="predict_proba")],
            ),
            "my_score must need predict in regression",
        ),
    ],
)  # fmt: skip
def test_what_is_no_metric_is_refused_before_any_work(make: Any, says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says) as seen:
        make()
    assert "\n" not in str(seen.value)


def test_a_function_of_the_table_is_its_entry() -> None:
    run = train(MODEL, IRIS, epochs=1, metrics=[metrics.f1_macro])
    assert run.history.asked == ["validation_f1_macro"]


def scaled(y: Any, guess: Any, *, by: float) -> float:
    return by * share_error(y, guess)


def test_the_identity_of_a_function_is_its_place_and_its_source_and_comes_back_without_the_function() -> None:
    made = Metric("my_error", share_error, bounds=(0, math.inf))
    about = made.to_json()
    assert about["function"] == f"{__name__}.share_error"
    assert len(about["source"]) == 64
    assert Metric.from_json(about) == Metric("my_error", None, bounds=(0, math.inf))
    sources = [
        Metric("my_error", each).to_json()["source"]
        for each in (
            share_error, fail, partial(scaled, by=1.0), partial(scaled, by=2.0),
            lambda y, guess: 1.0, lambda y, guess: 2.0, lambda y, guess: (lambda: 1)(),
        )
    ]  # fmt: skip
    assert len({*sources}) == len(sources)
    assert None not in sources
    assert Metric("my_error", max).to_json()["source"] is None  # compiled by others
