"""A study is a study of its data: other numbers, labels, rows, names or scaling never get its results."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn.data import Column, Dataset, Split, Table, load_dataset
from tuning import sweep
from tuning.objective import Objective

IRIS = load_dataset("iris")
SPLIT = IRIS.split(0.2, 0.2, seed=0)
SPACE = {"learning_rate": [0.05, 0.1], "hidden_units": 4}
RNG = np.random.default_rng(0)
N = 120
COLUMNS = (
    Column("x", "number", RNG.normal(size=N)),
    Column("city", "category", np.arange(N, dtype=np.int32) % 3, ("Bonn", "Jena", "Ulm")),
)
LABELS = np.arange(N) % 2
PEOPLE = Dataset(Table(COLUMNS), LABELS)


def other(part: Dataset) -> Dataset:
    return part.replace(y=np.roll(part.y, 1))


def with_values(place: int, values: np.ndarray, **changes: Any) -> Dataset:
    columns = list(COLUMNS)
    columns[place] = replace(columns[place], values=values, **changes)
    return Dataset(Table(tuple(columns)), LABELS)


GAP = np.where(np.arange(N) == 7, np.nan, COLUMNS[0].values)
CHANGED: dict[str, Callable[[], tuple[Any, Any]]] = {
    "labels of the training part": lambda: (SPLIT, replace(SPLIT, train=other(SPLIT.train))),
    "labels, the scaling unknown": lambda: (SPLIT, replace(SPLIT, train=Dataset(SPLIT.train.X, other(SPLIT.train).y))),
    "labels of the validation part": lambda: (SPLIT, replace(SPLIT, validation=other(SPLIT.validation))),
    "labels of the test part": lambda: (SPLIT, replace(SPLIT, test=other(SPLIT.test))),
    "one label": lambda: (SPLIT, replace(SPLIT, train=SPLIT.train.replace(y=[2, *SPLIT.train.y[1:]]))),
    "rows": lambda: (SPLIT, IRIS.split(0.2, 0.2, seed=1)),
    "scaling": lambda: (SPLIT, IRIS.split(0.2, 0.2, seed=0, scale=False)),
    "one row of a part": lambda: (SPLIT, replace(SPLIT, train=SPLIT.train.subset(np.arange(89)))),
    "a number": lambda: (IRIS, IRIS.replace(X=np.asarray(IRIS.X) + np.eye(150, 4) * 1e-9)),
    "a class name": lambda: (IRIS, Dataset(IRIS.X, IRIS.y, class_names=[*"abc"], feature_names=IRIS.feature_names)),
    "a cell": lambda: (PEOPLE, with_values(0, COLUMNS[0].values + np.eye(N)[9])),
    "a missing cell": lambda: (PEOPLE, with_values(0, GAP)),
    "a level": lambda: (PEOPLE, with_values(1, COLUMNS[1].values, levels=("Bonn", "Jena", "Kiel"))),
    "a column that is read in another way": lambda: (PEOPLE, with_values(0, COLUMNS[0].values, kind="date")),
}


@pytest.mark.parametrize("folds", [None, 3])
@pytest.mark.parametrize("what", CHANGED)
def test_other_data_never_get_the_results_of_a_study(what: str, folds: int | None) -> None:
    one, changed = CHANGED[what]()
    if folds and what in ("labels, the scaling unknown", "one row of a part"):
        return
    first, again, last = (Objective.prepare(data, folds).description for data in (one, one, changed))
    assert first == again
    assert {**first.to_json(), "name": ""} != {**last.to_json(), "name": ""}


def test_what_was_split_as_it_was_read_has_the_identity_of_its_source() -> None:
    plain = Objective.prepare("iris").description
    assert plain.fingerprint == IRIS.fingerprint
    assert (
        plain
        == Objective.prepare(SPLIT).description
        == Objective.prepare(pickle.loads(pickle.dumps(SPLIT))).description
    )
    made = Split.from_parts(*(IRIS.subset(SPLIT.rows[name]) for name in ("train", "validation", "test")))
    assert Objective.prepare(made).description.fingerprint != plain.fingerprint


def test_changed_labels_are_trained_on_anew_or_refused(tmp_path: Path) -> None:
    noisy = replace(SPLIT, train=Dataset(SPLIT.train.X, RNG.permutation(SPLIT.train.y)))
    path = tmp_path / "a.db"
    study = sweep(SPLIT, SPACE, epochs=8, storage=path)
    for attempt in (lambda: sweep(noisy, SPACE, epochs=8, storage=path), lambda: study.resume(noisy)):
        with pytest.raises(
            ValueError, match=r"must have the same definition .*fingerprint .* there and .* here"
        ) as seen:
            attempt()
        assert "\n" not in str(seen.value)
    assert sweep(SPLIT, SPACE, epochs=8, storage=path).new_trials == 0
    clean, spoilt = (sweep(data, SPACE, epochs=8).best.metrics["train_loss"] for data in (SPLIT, noisy))
    assert spoilt > 2 * clean
    with pytest.raises(ValueError, match="the parts must be all raw, or all scaled by one training part"):
        sweep(noisy, SPACE, epochs=8, folds=3)
    kept = replace(SPLIT, train=SPLIT.train.replace(y=noisy.train.y))
    assert sweep(kept, SPACE, epochs=8, folds=3).best.metrics["train_loss"] > 2 * clean


def test_a_study_of_a_table_goes_on_with_the_same_table(tmp_path: Path) -> None:
    for folds in (None, 2):
        path = tmp_path / f"{folds}.db"
        sweep(PEOPLE, SPACE, epochs=2, folds=folds, storage=path, n_trials=folds or 1).close()
        study = sweep(Dataset(Table(COLUMNS), LABELS), SPACE, epochs=2, folds=folds, storage=path)
        assert study.new_trials == (folds or 1)
        with pytest.raises(ValueError, match="fingerprint"):
            study.resume(with_values(0, GAP))


def test_parts_by_hand_are_swept_like_others() -> None:
    by_hand = Split(SPLIT.train, SPLIT.validation, None, SPLIT.scaling, {}, IRIS, True)
    one, two = (sweep(data, SPACE, epochs=3).best.metrics for data in (SPLIT, by_hand))
    assert one == two
    assert sweep(by_hand, SPACE, epochs=3, folds=2).best.trials == 2


def test_folds_may_differ_in_the_number_of_features() -> None:
    """The level "Kiel" stands in one row: where that is held out, the column is constant and left out."""
    cells = np.zeros(N, dtype=np.int32)
    cells[PEOPLE.split().rows["train"][0]] = 1
    data = Dataset(Table((COLUMNS[0], Column("city", "category", cells, ("Bonn", "Kiel")))), LABELS)
    assert {fold.train.n_features for fold in data.folds(3, seed=0, test=0.2)} == {1, 2}
    study = sweep(data, SPACE, epochs=2, folds=3)
    assert {trial.state for trial in study.trials} == {"completed"}
