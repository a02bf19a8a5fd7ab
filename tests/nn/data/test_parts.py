"""Parts that are given, replaced, of whole groups or in order of time; and the identity of what is trained on."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nn.data import Column, Dataset, LazyRows, Split, Table, load_dataset

IRIS = load_dataset("iris")
DIABETES = load_dataset("diabetes")
RNG = np.random.default_rng(0)
N = 60
TABLE = Table(
    (
        Column("x", "number", np.where(np.arange(N) % 9, RNG.normal(5, 2, N), np.nan)),
        Column("city", "category", RNG.integers(-1, 3, N).astype(np.int32), ("Bonn", "Jena", "Ulm")),
        Column("family", "number", np.arange(N) // 4 * 1.0),
    )
)
LABELS = np.array(["no", "yes"])[RNG.integers(0, 2, N)]
PEOPLE = Dataset(TABLE, LABELS)


def raw_parts(data: Dataset) -> list[Dataset]:
    rows = np.arange(len(data))
    return [data.subset(rows % 3 == part) for part in range(3)]


# -- groups and time -------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=8, max_size=60), st.floats(0, 0.4), st.floats(0, 0.4), st.integers(0, 3))
def test_no_group_is_in_two_parts(groups: list[int], validation: float, test: float, seed: int) -> None:
    data = Dataset(np.arange(2.0 * len(groups)).reshape(-1, 2), np.arange(len(groups)) % 2)
    try:
        split, other = (data.split(share, test, seed, by=np.array(groups)) for share in (validation, 0.1))
    except ValueError:  # there are too few groups, or rows
        assume(False)
    held = [{groups[row] for row in rows} for rows in split.rows.values()]
    assert sum(map(len, held)) == len(set(groups))
    assert sorted(np.concatenate(list(split.rows.values()))) == list(range(len(groups)))
    assert np.array_equal(split.rows["test"], other.rows["test"])
    try:
        folds = split.folds(2, seed)
    except ValueError:
        return
    for fold in folds:
        assert not {groups[i] for i in fold.rows["train"]} & {groups[i] for i in fold.rows["validation"]}
        assert np.array_equal(fold.rows["test"], split.rows["test"])


def test_groups_meet_the_shares_as_nearly_as_their_sizes_allow() -> None:
    groups = RNG.integers(0, 40, 400)
    split = Dataset(RNG.normal(size=(400, 2)), np.arange(400) % 2).split(0.2, 0.3, by=groups)
    assert abs(len(split.rows["test"]) - 120) <= 10
    assert abs(len(split.rows["validation"]) - 80) <= 10
    sizes = [len(fold.rows["validation"]) for fold in split.folds(4)]
    assert max(sizes) - min(sizes) <= 15


def test_a_column_that_names_the_groups_is_no_feature() -> None:
    arrays = Dataset(np.c_[RNG.normal(size=N), np.arange(N) // 4], LABELS, feature_names=["x", "family"])
    for data in (PEOPLE, arrays):
        for split in (data.split(by="family"), *data.folds(3, by="family"), *data.folds(3, test=0.2, by="family")):
            assert "family" not in split.train.feature_names
            families = [{*(split.rows[name] // 4).tolist()} for name in ("train", "validation", "test")]
            assert sum(map(len, families)) == 15
    with pytest.raises(ValueError, match="by must be one of x, city, family, but got 'famly'; did you mean 'family'"):
        PEOPLE.split(by="famly")


def test_parts_in_order_of_time_follow_one_another() -> None:
    split = IRIS.split(0.2, 0.2, time=True)
    assert [rows.tolist() for rows in split.rows.values()] == [
        list(range(90)), list(range(90, 120)), list(range(120, 150)),
    ]  # fmt: skip
    for folds in (split.folds(4), IRIS.folds(4, test=0.2, time=True)):
        for fold in folds:
            assert fold.rows["train"].tolist() == list(range(len(fold.train)))
            assert fold.rows["validation"][0] == len(fold.train)
            assert fold.rows["test"].tolist() == list(range(120, 150))
        assert np.concatenate([fold.rows["validation"] for fold in folds]).tolist() == list(range(24, 120))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": np.zeros(150)}, "by must have a group for each of the 3 parts, but has 1"),
        ({"by": np.zeros(3)}, "for each of the 150 rows, but got float64 \\(3,\\)"),
        ({"by": np.arange(150), "time": True}, "by must be None with time=True"),
        ({"by": "species"}, "by must be one of sepal length"),
        ({"by": np.arange(150), "stratify": True}, "stratify must be False or None for whole groups"),
        ({"time": True, "stratify": True}, "stratify must be False or None for rows in order of time"),
    ],
)
def test_what_groups_and_time_can_not_do_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as seen:
        IRIS.split(**options)
    assert "\n" not in str(seen.value)
    with pytest.raises(ValueError, match="folds must be at most the 15 groups"):
        PEOPLE.folds(16, by="family")


# -- parts that are given or replaced --------------------------------------------------------------------------


@pytest.mark.parametrize("data", [IRIS, DIABETES, PEOPLE], ids=["iris", "diabetes", "people"])
def test_raw_parts_are_encoded_and_scaled_by_the_training_part(data: Dataset) -> None:
    train, validation, test = raw_parts(data)
    split = Split.from_parts(train, validation, test)
    alone = train.encoded_by(train.encoding) if train.encoding is not None else train
    assert split.scaling is not None
    assert split.scaling.equals(alone.fit_scaling())
    assert np.array_equal(split.train.X, split.scaling.transform(alone.X))
    assert [len(part) for part in (split.train, split.validation, split.test)] == [*map(len, (train, validation, test))]
    assert split.derived
    assert Split.from_parts(train, None, test).validation is None
    assert Split.from_parts(train, scale=False).scaling is None
    for fold in split.folds(3):
        assert len(fold.test) == len(test)
        assert fold.derived


def test_a_class_or_level_that_only_one_part_has_is_known_to_all() -> None:
    first, last = IRIS.subset(IRIS.y < 2), IRIS.subset(IRIS.y > 0)
    one, other = (Dataset(part.X, part.y) for part in (first, last))
    split = Split.from_parts(one, other)
    assert split.train.classes.tolist() == split.validation.classes.tolist() == [0, 1, 2]
    assert split.validation.targets.tolist() == [1] * 50 + [2] * 50
    ulm = Table((TABLE["x"], replace(TABLE["city"], levels=("Bonn", "Kiel", "Ulm")), TABLE["family"]))
    split = Split.from_parts(PEOPLE, Dataset(ulm, LABELS))
    assert split.validation.table["city"].levels == ("Bonn", "Jena", "Kiel", "Ulm")
    assert "city=Kiel" not in split.train.feature_names


def test_scaled_parts_stay_as_they_are_and_give_folds_of_their_rows() -> None:
    for data in (IRIS, DIABETES, PEOPLE):
        split = data.split(seed=1)
        for made in (
            Split.from_parts(split.train, split.validation),
            Split(split.train, split.validation, None, split.scaling, {}, data, True),
            replace(split, test=None),
        ):
            assert made.train is split.train
            kept = np.r_[split.rows["train"], split.rows["validation"]]
            folds = made.folds(3)
            raw = np.concatenate([fold.validation.raw().y for fold in folds])
            assert np.allclose(np.sort(raw), np.sort(data.y[kept])) if raw.dtype.kind == "f" else True
            assert sum(len(fold.validation) for fold in folds) == len(kept)
            assert all(np.allclose(fold.train.fit_scaling().mean, 0, atol=1) for fold in folds)
            assert repr(made).startswith(f"Split({data.name!r}, {data.task}: train {len(split.train)}, validation")
            assert len(repr(made)) < 120


def test_parts_in_different_units_are_refused() -> None:
    split, other = IRIS.split(seed=0), IRIS.split(seed=1)
    for parts, how in (
        ((split.train, IRIS), "train is scaled and validation is raw"),
        ((IRIS, split.validation), "train is raw and validation is scaled"),
        ((split.train, other.validation), "train is scaled and validation is scaled by other statistics"),
        ((PEOPLE, Dataset(np.ones((9, 3)), LABELS[:9])), "train is a table and validation is raw"),
    ):
        with pytest.raises(ValueError, match=f"must be all raw, or all scaled by one training part, but {how}") as seen:
            Split.from_parts(*parts)
        assert "\n" not in str(seen.value)
    for parts, message in (
        ((IRIS, DIABETES), "task of the validation part must be one of classification"),
        ((IRIS, Dataset(IRIS.X[:, :2], IRIS.y)), "the parts must have the same features"),
        ((PEOPLE, Dataset(TABLE.without(["x"]), LABELS)), "the same columns, but 'x' is a number and missing"),
        ((IRIS, IRIS.X), "validation must be a Dataset"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            Split.from_parts(*parts)  # type: ignore[arg-type]


def test_a_replaced_part_keeps_its_units_and_reaches_the_folds() -> None:
    split = IRIS.split(seed=2)
    noisy = replace(split, train=split.train.replace(y=np.roll(split.train.y, 1)))
    assert noisy.train.scaling is split.scaling
    assert noisy.train.feature_names == IRIS.feature_names
    assert split.derived
    assert not noisy.derived
    rows = np.concatenate([fold.rows["validation"] for fold in noisy.folds(3)])
    labels = np.concatenate([fold.validation.y for fold in noisy.folds(3)])
    changed = np.r_[noisy.train.y, split.validation.y]
    assert np.array_equal(labels, changed[rows])
    with pytest.raises(ValueError, match=r"train is raw and validation is scaled; Dataset.replace"):
        replace(split, train=Dataset(split.train.X, split.train.y)).folds(3)
    grouped = PEOPLE.split(by="family")
    with pytest.raises(ValueError, match="folds of whole groups, or in order of time"):
        replace(grouped, train=grouped.train.replace(y=LABELS[: len(grouped.train)])).folds(3)


def test_replace_takes_what_fits_alone() -> None:
    part = DIABETES.split().train
    doubled = part.replace(X=part.X * 2, y=part.y * 3)
    assert doubled.scaling is part.scaling
    assert np.array_equal(doubled.X, part.X * 2)
    assert np.array_equal(doubled.targets[:, 0], part.y * 3)
    assert IRIS.replace(y=["a", "b"] * 75).class_names == ("a", "b")
    assert IRIS.replace(y=[0, 1] * 75).n_outputs == 3
    assert PEOPLE.replace(X=TABLE.without(["x"])).feature_names[0] == "city=Bonn"
    for changes, message in (
        ({"X": part.X[:, :3]}, "must have the 10 features"),
        ({"X": part.X[:5]}, "same length"),
        ({"y": part.y[:5]}, "same length"),
        ({"X": part.X * np.nan}, "must be finite"),
        ({"y": np.c_[part.y, part.y]}, "y must have the shape"),
    ):
        with pytest.raises(ValueError, match=message):
            part.replace(**changes)
    with pytest.raises(TypeError, match="X must be a data frame"):
        PEOPLE.replace(X=np.ones((60, 3)))


def test_mapped_parts_are_joined_without_reading_them(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", IRIS.X)
    data = Dataset(np.load(tmp_path / "X.npy", mmap_mode="r"), IRIS.y)
    split = data.split()
    assert split.derived
    folds = replace(split, train=split.train.replace(y=np.roll(split.train.y, 1))).folds(3)
    assert isinstance(folds[0].train.X, LazyRows)
    plain = IRIS.split()
    expected = replace(plain, train=plain.train.replace(y=np.roll(plain.train.y, 1))).folds(3)
    assert np.allclose(folds[1].train.X.take(slice(None)), expected[1].train.X)


# -- identity --------------------------------------------------------------------------------------------------


def with_cell(table: Table, name: str, value: float) -> Table:
    column = table[name]
    values = column.values.copy()
    values[1] = value
    return Table(tuple(replace(c, values=values) if c.name == name else c for c in table))


def changed(array: Any, place: Any, value: Any) -> np.ndarray:
    copy = np.array(array)
    copy[place] = value
    return copy


CHANGES: dict[str, Callable[[], tuple[Dataset, Dataset]]] = {
    "a number": lambda: (PEOPLE, Dataset(with_cell(TABLE, "x", 5.0), LABELS)),
    "a cell that is missing": lambda: (PEOPLE, Dataset(with_cell(TABLE, "x", np.nan), LABELS)),
    "a category": lambda: (PEOPLE, Dataset(with_cell(TABLE, "city", (TABLE["city"].values[1] + 2) % 3), LABELS)),
    "a label": lambda: (PEOPLE, Dataset(TABLE, changed(LABELS, 0, "no" if LABELS[0] == "yes" else "yes"))),
    "a row": lambda: (PEOPLE, PEOPLE.subset(np.arange(1, N))),
    "the order of the rows": lambda: (PEOPLE, PEOPLE.subset(np.arange(N)[::-1])),
    "a name of a column": lambda: (PEOPLE, Dataset(TABLE, LABELS, feature_names=["x", "town", "family"])),
    "a name of a level": lambda: (
        PEOPLE,
        Dataset(Table((TABLE["x"], replace(TABLE["city"], levels=("B", "Jena", "Ulm")), TABLE["family"])), LABELS),
    ),
    "a name of a class": lambda: (PEOPLE, Dataset(TABLE, LABELS, class_names=["no", "oui"])),
    "how a column is read": lambda: (
        PEOPLE,
        Dataset(Table((TABLE["x"], TABLE["city"], replace(TABLE["family"], kind="date"))), LABELS),
    ),
    "a column that is dropped": lambda: (PEOPLE, Dataset(TABLE.without(["family"]), LABELS)),
    "a number of an array": lambda: (IRIS, IRIS.replace(X=changed(IRIS.X, (3, 2), IRIS.X[3, 2] + 1e-9))),
    "scaling": lambda: (IRIS.split().train, IRIS.split(scale=False).train),
    "statistics alone": lambda: (
        IRIS.split().train,
        IRIS.split().train._with(scaling=replace(IRIS.split().scaling, mean=IRIS.split().scaling.mean + 1e-9)),  # type: ignore[type-var]
    ),
    "the rows that decide the encoding": lambda: (
        PEOPLE.subset(np.arange(20)).encoded_by(PEOPLE.encoding),  # type: ignore[arg-type]
        PEOPLE.subset(np.arange(20)).encoded_by(PEOPLE.subset(np.arange(30)).encoding),  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_fingerprint_changes_with(what: str) -> None:
    one, other = CHANGES[what]()
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == pickle.loads(pickle.dumps(one)).fingerprint
    assert one.fingerprint == one.replace(name="another").fingerprint


@pytest.mark.parametrize("data", [IRIS, DIABETES, PEOPLE], ids=["iris", "diabetes", "people"])
def test_a_split_has_the_identity_of_the_numbers_in_its_parts(data: Dataset) -> None:
    split = data.split()
    assert split.derived
    assert split.fingerprint == data.split().fingerprint == pickle.loads(pickle.dumps(split)).fingerprint
    others = [data.split(seed=1), data.split(scale=False), data.split(0.3)]
    for name, part in split.parts.items():
        assert part is not None
        labels = np.roll(part.y, 1)
        numbers = np.asarray(part.X) + np.eye(*part.X.shape) * 1e-9
        others += [replace(split, **{name: part.replace(y=labels)}), replace(split, **{name: part.replace(X=numbers)})]
        others.append(replace(split, **{name: part.subset(np.arange(len(part) - 1))}))
    assert not any(other.derived for other in others[3:])
    assert len({split.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_numbers_that_are_changed_in_place_change_the_identity() -> None:
    split = IRIS.split()
    before = split.fingerprint
    split.train.X[0, 0] += 1e-9  # type: ignore[index]
    assert split.fingerprint != before
    assert not split.derived
