"""Predictions from raw inputs: columns found by name, units that are noticed, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Dataset, Ensemble, Run, load, load_dataset, train

pandas = pytest.importorskip("pandas")

IRIS = load_dataset("iris")
SPLIT = IRIS.split(seed=0)
FRAME = pandas.DataFrame(IRIS.X, columns=list(IRIS.feature_names))
RNG = np.random.default_rng(4)
PEOPLE = pandas.DataFrame(
    {
        "id": np.arange(90),
        "city": RNG.choice(["Bonn", "Jena", "Ulm"], 90),
        "age": np.where(RNG.random(90) < 0.1, np.nan, RNG.normal(40, 9, 90)),
    }
)
RICH = np.array(["no", "yes"])[(PEOPLE.city == "Bonn").to_numpy(int)]
INCOME = np.where(PEOPLE.city == "Bonn", 900.0, 300.0) + RNG.normal(0, 5, 90)


def fit(data: Any, epochs: int = 30) -> Run:
    part = getattr(data, "train", data)
    return train(MLP((part.n_features, 8, part.n_outputs)), data, SGD(0.1, momentum=0.9), epochs=epochs)


@pytest.fixture
def silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.usefixtures("silence")
def test_columns_in_another_order_are_the_same_columns(saved: bool, tmp_path: Path) -> None:
    named = Dataset(FRAME, IRIS.y)
    for data in (SPLIT, named.split(seed=0)):
        run = fit(data)
        if saved:
            run.save(tmp_path / "run.npz")
            run = load(tmp_path / "run.npz")  # type: ignore[assignment]
        expected, turned = run.predict(IRIS.X), FRAME[FRAME.columns[::-1]]
        assert np.mean(expected == IRIS.y) > 0.9
        for frame in (FRAME, turned):
            assert np.array_equal(run.predict(frame), expected)
            assert np.array_equal(run.predict_proba(frame), run.predict_proba(IRIS.X))
            assert run.evaluate(Dataset(frame, IRIS.y)) == run.evaluate(IRIS)
        by_name = Dataset(IRIS.X[:, ::-1], IRIS.y, feature_names=IRIS.feature_names[::-1])
        assert run.evaluate(by_name) == run.evaluate(IRIS)
        for wrong in (FRAME.iloc[:, :3], FRAME.rename(columns={"petal width (cm)": "width"})):
            with pytest.raises(ValueError, match=r"must have the columns of the training data, but lacks 'petal width"):
                run.predict(wrong)
            with pytest.raises(ValueError, match="lacks 'petal width"):
                run.evaluate(Dataset(wrong, IRIS.y))
        with pytest.warns(UserWarning, match="columns that training did not have are ignored: 'more'"):
            assert np.array_equal(run.predict(FRAME.assign(more=1)), expected)


@pytest.mark.usefixtures("silence")
def test_the_target_and_dropped_columns_may_stay_in_a_frame() -> None:
    whole = PEOPLE.assign(rich=RICH, more=1)
    run = replace(fit(load_dataset(whole, "rich", drop="more").split(seed=0)), reading={"drop": ["more"]})
    assert np.array_equal(run.predict(whole), run.predict(PEOPLE))


@pytest.mark.parametrize("y", [RICH, INCOME], ids=["classes", "numbers"])
def test_a_run_on_a_table_predicts_for_raw_frames(y: np.ndarray, tmp_path: Path) -> None:
    data = Dataset(PEOPLE, y)
    split = data.split(seed=1)
    run = fit(split)
    assert run.encoding is not None
    assert run.encoding.left_out == {"id": "a number for each row"}
    answer = run.predict(PEOPLE)
    assert np.mean(answer == y) == 1 if y is RICH else np.abs(answer - y).mean() < 60
    rows = split.rows["test"]
    assert np.array_equal(run.predict(PEOPLE.iloc[rows].drop(columns="id")), answer[rows])
    assert np.array_equal(run.predict(data.subset(rows)), answer[rows])
    assert run.evaluate(data.subset(rows)) == run.evaluate(split.test)
    given = run.predict(split.test.X, scaled=True)
    assert (
        np.allclose(given if y is RICH else split.scaling.inverse_targets(given), answer[rows])
        if y is INCOME
        else (np.array_equal(given, answer[rows]))
    )
    run.save(tmp_path / "run.npz")
    again = load(tmp_path / "run.npz")
    assert np.array_equal(again.predict(PEOPLE), answer)
    with pytest.warns(UserWarning, match=r"column 'city' has categories that .* in 90 rows, taken as .*: 'Kiel'$"):
        again.predict(PEOPLE.assign(city="Kiel"))
    with pytest.raises(TypeError, match=r"X must be a data frame or table .* 'city' had no numbers"):
        again.predict(np.ones((3, 3)))
    whole = fit(data, 1)
    assert whole.evaluate(data)["loss"] == fit(data, 1).evaluate(Dataset(PEOPLE, y))["loss"]


@pytest.mark.parametrize("name", ["digits", "iris", "breast_cancer"])
def test_scaled_inputs_where_raw_ones_are_expected_are_noticed(name: str) -> None:
    data = load_dataset(name)
    split = data.split(seed=0)
    run = fit(split, 2)
    for look in (
        lambda: run.predict(split.test.X),
        lambda: run.predict_proba(split.validation.X),
        lambda: run.evaluate(Dataset(split.validation.X, split.validation.y)),
    ):
        with pytest.warns(UserWarning, match="look as if they were scaled already .* pass scaled=True") as seen:
            look()
        assert seen[0].filename == __file__
    unknowing = fit(Dataset(split.train.X, split.train.y), 2)
    with pytest.warns(UserWarning, match="far outside of those of training, .* scale them in the same way"):
        unknowing.predict(data.X)


@pytest.mark.parametrize("name", ["digits", "iris", "breast_cancer", "diabetes", "wine", "moons"])
@pytest.mark.usefixtures("silence")
def test_what_is_right_is_not_warned_of(name: str) -> None:
    data = load_dataset(name)
    split = data.split(seed=0)
    run, plain = fit(split, 1), fit(data, 1)
    inner = fit(Dataset(split.train.X, split.train.y), 1)
    for rows in (slice(None), slice(0, 1), slice(0, 7), slice(50, 90)):
        assert np.array_equal(run.predict(data.X[rows]), run.predict(data.X[rows].tolist()))
        plain.predict(data.X[rows])
        inner.predict(split.train.X[rows])
    for part in (split.validation, split.test):
        run.predict(part.X, scaled=True)
        inner.predict(part.X)
        run.evaluate(part)


def test_raw_is_the_default_now_and_says_so() -> None:
    run = fit(SPLIT, 1)
    with pytest.raises(TypeError, match=r"but got raw=; raw inputs are the default now, and scaled=True says"):
        run.predict(IRIS.X, raw=True)
    with pytest.raises(TypeError, match=r"X and scaled alone, but got units=$"):
        run.predict_proba(IRIS.X, units="cm")


# -- several runs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [RICH, INCOME], ids=["classes", "numbers"])
def test_an_ensemble_answers_by_the_mean(y: np.ndarray, tmp_path: Path) -> None:
    data = Dataset(PEOPLE.assign(city=PEOPLE.city.where(np.arange(90) > 1, "Kiel")), y)
    runs = [fit(fold) for fold in data.folds(3, seed=2)]
    team = Ensemble(runs)
    scores = team.evaluate(data)
    answer = team.predict(PEOPLE)
    if y is INCOME:
        assert np.allclose(answer, np.mean([run.predict(PEOPLE) for run in runs], axis=0))
        own = team.predict(data)
        assert scores["r2"] == pytest.approx(1 - ((own - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())
        assert scores["loss"] == pytest.approx(((own - y) ** 2).mean() / 2)
        with pytest.raises(ValueError, match="probabilities need"):
            team.predict_proba(PEOPLE)
    else:
        shares = team.predict_proba(PEOPLE)
        assert np.allclose(shares, np.mean([run.predict_proba(PEOPLE) for run in runs], axis=0))
        assert np.array_equal(answer, team.classes[shares.argmax(axis=1)])
        assert scores["accuracy"] == np.mean(team.predict(data) == y)
    team.save(tmp_path / "team.npz")
    again = load(tmp_path / "team.npz")
    assert isinstance(again, Ensemble)
    assert np.array_equal(again.predict(PEOPLE), answer)
    assert again.evaluate(data) == scores
    assert repr(again) == f"Ensemble(3 runs, {data.task})"
    assert "run 3" in again._repr_html_()
    with pytest.raises(ValueError, match="must be raw, since each run scales by its own statistics"):
        team.predict(data.split().train)


def test_labels_in_columns_are_averaged_too() -> None:
    Y = np.c_[IRIS.X[:, 2] > 4, IRIS.X[:, 3] > 1].astype(int)
    data = Dataset(IRIS.X, Y)
    team = Ensemble([fit(fold) for fold in data.folds(2)])
    assert team.evaluate(data)["accuracy"] == np.mean((team.predict(IRIS.X) == Y).all(axis=1))
    alone = Ensemble(team.runs[:1])
    assert alone.evaluate(data)["loss"] == pytest.approx(team.runs[0].evaluate(data)["loss"], rel=1e-5)


def test_runs_that_do_not_belong_together_are_refused() -> None:
    run = fit(SPLIT, 1)
    for runs, message in (
        ([], "one run or more"),
        ([run, 3], "one run or more"),
        ([run, fit(load_dataset("diabetes"), 1)], "one task, but have classification and regression"),
        ([run, fit(Dataset(IRIS.X, IRIS.y + 1), 1)], "the same classes"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            Ensemble(runs)  # type: ignore[arg-type]
