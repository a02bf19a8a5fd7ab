"""Encodings: what is left out and why, what columns become, and that the training rows alone decide."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.data import Column, Dataset, Encoding, Table

RNG = np.random.default_rng(7)
N = 60


def number(name: str, values: Any) -> Column:
    return Column(name, "number", np.asarray(values, dtype=np.float64))


def category(name: str, cells: Any) -> Column:
    levels = tuple(sorted({cell for cell in cells if cell is not None}))
    places = {level: place for place, level in enumerate(levels)} | {None: -1}
    return Column(name, "category", np.array([places[cell] for cell in cells], np.int32), levels)


def fitted(*columns: Column) -> Encoding:
    return Encoding.fit(Table((*columns, number("kept", RNG.normal(size=len(columns[0]))))))


IDENTIFIERS = {
    "first": number("", np.arange(N)),
    "counted from 1": number("a", np.arange(1, N + 1)),
    "some of the rows": number("a", np.flatnonzero(RNG.random(100) < 0.6) + 1),
    "counted in another order": number("a", RNG.permutation(N)),
    "named": number("PassengerId", RNG.choice(10**6, N, replace=False)),
    "named with a blank": number("case no", RNG.choice(10**6, N, replace=False)),
    "named in short": number("docno", RNG.choice(10**6, N, replace=False)),
    "named in one word": number("schid", RNG.choice(10**6, N, replace=False)),
    "named, and nearly unique": number("ID", [*RNG.choice(10**6, N - 4, replace=False), *[7e6] * 4]),
}


@pytest.mark.parametrize("case", IDENTIFIERS)
def test_a_number_for_each_row_is_left_out(case: str) -> None:
    column = IDENTIFIERS[case]
    assert fitted(column).left_out == {column.name: "a number for each row"}


@pytest.mark.parametrize(
    ("values", "told_apart"),
    [
        (np.repeat([308.0, 309.0, 330.0], 20), ["308", "309", "330"]),
        ([1.0] * 30 + [2.0] * 28 + [7.0] * 2, ["1", "2"]),  # of two rows no weight can be learned
        (np.repeat(np.arange(20.0), 3), [str(k) for k in range(20)]),
        (np.repeat(np.arange(21.0), 3), []),
        (np.repeat(np.arange(40.0), 15), [str(k) for k in range(40)]),
        (np.repeat([0.0, 1.0], 30), []),
        (np.repeat([0.5, 1.0, 2.0], 20), []),
        ([np.nan, *np.repeat([-1.0, 2.0, 3.0], 20)], ["-1", "2", "3"]),
    ],
)
def test_whole_numbers_with_few_values_stay_numbers_and_have_a_feature_for_each_value(
    values: Any, told_apart: list[str]
) -> None:
    column = number("school", values)
    encoding = Encoding.fit(Table((column,)))
    assert encoding.feature_names == ("school", *(f"school={value}" for value in told_apart))
    assert not encoding.indicators[0]
    assert encoding.indicators[1:].all()
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))).equals(encoding)
    features = encoding.transform(Table((number("school", [np.nan, 1.5, *map(float, told_apart)]),)))
    np.testing.assert_array_equal(features[:, 1:], np.eye(len(told_apart) + 2, len(told_apart), -2))
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    "column",
    [
        number("subject", np.arange(N) // 3),
        number("id", np.arange(N) // 2),
        number("year", 1950 + np.arange(N)),
        number("code", RNG.normal(size=N)),
        number("income", RNG.choice(10**6, N, replace=False)),
        number("paid", RNG.choice(10**6, N, replace=False)),
        number("1990", RNG.choice(10**6, N, replace=False)),
        number("人口", RNG.choice(10**6, N, replace=False)),
        number("time", np.arange(1, N + 1)),
        number("age", RNG.integers(18, 80, N)),
        category("name", [f"n{i // 4}" for i in range(N)]),
        category("few", ["a", "b", "c"] * 20),
    ],
)
def test_what_repeats_stays_and_so_do_measured_numbers(column: Column) -> None:
    assert not fitted(column).left_out


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (category("name", [f"n{i}" for i in range(N)]), "a text for each row"),
        (category("note", [f"n{min(i, 56)}" for i in range(N)]), "a text for nearly each row"),
        (category("note", [f"n{i * 2 // 3}" for i in range(N)]), "texts that hardly repeat"),
        (number("one", np.ones(N)), "constant"),
        (number("one", [np.nan, *np.ones(N - 1)]), "constant"),
        (category("one", ["a"] * N), "constant"),
        (number("none", np.full(N, np.nan)), "empty"),
        (category("none", [None] * N), "empty"),
        (category("pairs", [f"{i // 2}" for i in range(40)] + [f"{i // 2}" for i in range(20)]), None),
    ],
)
def test_texts_constants_and_empty_columns_are_left_out_with_the_reason(column: Column, reason: str | None) -> None:
    assert fitted(column).left_out.get(column.name) == reason


def test_ranks_are_no_numbers_of_rows_though_they_count() -> None:
    counts = RNG.permutation(N) + 1
    assert list(fitted(number("a", counts), number("wealth", RNG.permutation(N))).left_out) == ["a"]
    assert not fitted(number("Rank", counts)).left_out
    assert list(fitted(number("Rank", np.arange(N))).left_out) == ["Rank"]


def test_a_table_of_identifiers_alone_is_refused_with_the_reasons() -> None:
    with pytest.raises(ValueError, match=r"all are left out: id \(a number for each row\), one \(constant\)"):
        Encoding.fit(Table((number("id", np.arange(9)), number("one", np.ones(9)))))


def test_columns_become_the_features_that_their_names_say() -> None:
    cells = ["x", "y", "z"] * 20
    table = Table(
        (
            category("city", [None, *cells[1:]]),
            category("sex", ["f", "m"] * 30),
            number("age", [np.nan] * 6 + [30.0] * 27 + [50.0] * 27),
            number("few gaps", [np.nan] + [1.0] * 29 + [5.0] * 30),
            Column("day", "date", np.arange(60.0) // 2),
            category("rare", ["q", "q", "s", *["p"] * 57]),
        )
    )
    encoding = Encoding.fit(table)
    assert encoding.feature_names == (
        *("city=x", "city=y", "city=z", "city missing"), "sex=m", "age", "age missing", "few gaps", "day", "rare=other",
    )  # fmt: skip
    X = encoding.transform(table)
    assert X.dtype == np.float64
    assert X.flags.c_contiguous
    assert X[0].tolist() == [0, 0, 0, 1, 0, 40, 1, 5, 0, 1]
    assert X[-1].tolist() == [0, 0, 1, 0, 1, 50, 0, 5, 29, 0]
    assert encoding.indicators.tolist() == [True] * 5 + [False, True, False, False, True]
    assert encoding.kinds == {column.name: column.kind for column in table}


def test_many_levels_do_not_outgrow_the_rows() -> None:
    cells = [f"{level}" for level in RNG.zipf(1.3, 1000) % 500]
    many = fitted(category("many", cells))
    assert len(many.feature_names) <= 102
    assert "many=other" in many.feature_names
    assert len(fitted(category("pairs", [f"{i // 4}" for i in range(400)])).feature_names) <= 102


def test_levels_that_training_did_not_have() -> None:
    pooled = fitted(category("c", ["a"] * 30 + ["b"] * 26 + ["q", "q", "r", "r"]))
    gaps = fitted(category("c", ["a"] * 30 + ["b"] * 26 + [None] * 4))
    plain = fitted(category("c", ["a"] * 31 + ["b"] * 29))
    new = Table((category("c", ["new", None, "b", "r"]), number("kept", np.zeros(4))))
    for encoding, taken, row in (
        (pooled, "other", [0, 0, 1, 0]),
        (gaps, "missing", [0, 0, 1, 0]),
        (plain, "'a', the most frequent", [0, 0]),
    ):
        with pytest.warns(UserWarning, match=rf"column 'c' has categories .* in [12] rows?, taken as {taken}: "):
            X = encoding.transform(encoding.match(new))
        assert X[0].tolist() == row
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pooled.transform(pooled.match(new.subset(np.array([1, 2, 3]))))[:, :3].tolist() == [
            [1, 0, 0], [0, 1, 0], [0, 0, 1],
        ]  # fmt: skip


def test_columns_are_found_by_name_and_left_out_ones_are_not_needed() -> None:
    table = Table((number("id", np.arange(N)), number("b", RNG.normal(size=N)), number("a", RNG.normal(size=N))))
    encoding = Encoding.fit(table)
    b, a = table["b"], table["a"]
    for columns in ((b, a), (a, b), (a, table["id"], b)):
        assert np.array_equal(encoding.transform(encoding.match(Table(columns))), np.c_[b.values, a.values])
    whole = np.c_[table["id"].values, b.values, a.values]
    assert np.array_equal(encoding.transform(encoding.match(whole)), whole[:, 1:])
    with pytest.warns(UserWarning, match="columns that training did not have are ignored: 'c'$"):
        encoding.match(Table((a, b, replace(a, name="c"))))
    with pytest.raises(ValueError, match=r"lacks 'b'; it has 'a'$"):
        encoding.match(Table((a,)))
    with pytest.raises(ValueError, match="column 'a' of X must be a number as in training, but is a category"):
        encoding.match(Table((category("a", ["u"] * N), b)))
    with pytest.raises(ValueError, match="numbers in the 3 columns of the training data, 'id', 'b', 'a', but"):
        encoding.match(whole[:, 1:])
    with pytest.raises(TypeError, match="'c' had no numbers"):
        fitted(category("c", ["u", "v"] * 30)).match(whole)


def test_kinds_that_a_few_cells_do_not_show_are_those_of_training() -> None:
    encoding = fitted(category("c", ["1", "2", "x"] * 20))
    numbers = Table((number("c", [2, np.nan]), number("kept", [np.nan, 0])))
    assert encoding.transform(encoding.match(numbers))[:, :3].tolist() == [[0, 1, 0], [1, 0, 0]]
    empty = Table((category("kept", [None] * 2), category("c", ["1", "x"])))
    assert np.isfinite(encoding.transform(encoding.match(empty))).all()


def test_an_encoding_comes_back_from_plain_values_and_nothing_foreign_does() -> None:
    encoding = fitted(category("c", ["a"] * 30 + ["b"] * 26 + ["q", "q", "r", None]), number("id", np.arange(N)))
    content = json.loads(json.dumps(encoding.to_json()))
    assert Encoding.from_json(content).equals(encoding)
    assert not encoding.equals(fitted(category("c", ["a", "b"] * 30)))
    changes: list[dict[str, Any]] = [
        {"kind": "text"}, {"levels": "ab"}, {"levels": ["a", "a"]}, {"levels": [1]}, {"rare": None}, {"fill": 3},
        {"missing": 1}, {"name": 4}, {"left_out": "because"}, {"other": 1}, {"levels": [], "rare": []},
    ]  # fmt: skip
    bad: list[Any] = [[{**content[0], **change}, *content[1:]] for change in changes]
    bad += [None, 3, {}, [], [3], [content[1]], [content[2], content[2]], [{**content[2], "fill": float("nan")}]]
    for each in bad:
        with pytest.raises(ValueError, match=r"^an encoding must") as seen:
            Encoding.from_json(each)
        assert "\n" not in str(seen.value)


def mixed(n: int = 40) -> Table:
    rng = np.random.default_rng(3)
    return Table(
        (
            number("id", np.arange(n)),
            category("c", rng.choice(["u", "v", "w"], n).tolist()),
            number("x", np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))),
            number("zero", np.zeros(n)),
            Column("day", "date", rng.integers(0, 99, n).astype(float)),
        )
    )


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_rows_that_are_held_out_change_nothing_that_the_training_part_decides(draw: st.DataObject) -> None:
    table, y = mixed(), np.arange(40) % 2
    before = Dataset(table, y).split(seed=5)
    held = np.r_[before.rows["validation"], before.rows["test"]]
    column = table[draw.draw(st.sampled_from(table.names))]
    row = int(draw.draw(st.sampled_from(held.tolist())))
    values, levels = column.values.copy(), column.levels
    if column.kind == "category":
        levels = (*levels, "zz")
        values[row] = draw.draw(st.sampled_from([-1, 0, len(levels) - 1]))
    else:
        values[row] = draw.draw(st.sampled_from([np.nan, -1e30, 1e30, 0.5]))
    changed = replace(column, values=values, levels=levels)
    again = Dataset(Table(tuple(changed if c.name == column.name else c for c in table)), y).split(seed=5)
    assert again.train.encoding is not None
    assert again.scaling is not None
    assert again.train.encoding.equals(before.train.encoding)
    assert again.scaling.equals(before.scaling)
    assert again.train.encoding.left_out == {"id": "a number for each row", "zero": "constant"}
    assert np.array_equal(again.train.X, before.train.X)
    fewer = Dataset(table.subset(np.delete(np.arange(40), row)), np.delete(y, row))
    kept = np.flatnonzero(np.isin(np.delete(np.arange(40), row), before.rows["train"]))
    part = fewer.subset(kept)
    assert part.encoding is not None
    assert part.encoding.equals(before.train.encoding)


def test_each_fold_is_encoded_by_its_own_training_rows() -> None:
    cells = ["u"] * 36 + ["v"] * 4
    data = Dataset(Table((category("c", cells), number("x", RNG.normal(size=40)))), np.arange(40) % 2)
    folds = [fold.train for fold in data.folds(10, seed=1)]
    assert {fold.feature_names for fold in folds} == {("c=v", "x")}
    few = Dataset(Table((category("c", ["u"] * 38 + ["v"] * 2), number("x", RNG.normal(size=40)))), np.arange(40) % 2)
    assert {fold.train.n_features for fold in few.folds(40, seed=1)} == {2}
    alone = Dataset(Table((category("c", ["u"] * 39 + ["v"]), number("x", RNG.normal(size=40)))), np.arange(40) % 2)
    assert sorted(fold.train.n_features for fold in alone.folds(40, seed=1)) == [1] + [2] * 39


def test_features_that_say_that_something_holds_stay_0_and_1() -> None:
    split = Dataset(mixed(), np.arange(40) % 2).split()
    assert split.train.encoding is not None
    marks = np.asarray(split.train.X)[:, split.train.encoding.indicators]
    assert set(np.unique(marks)) == {0.0, 1.0}
    numbers = np.asarray(split.train.X)[:, ~split.train.encoding.indicators]
    assert np.allclose(numbers.mean(axis=0), 0)
    assert np.allclose(numbers.std(axis=0), 1)
