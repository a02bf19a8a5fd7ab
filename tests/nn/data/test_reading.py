"""Files of rows: what is written in any dialect is read back, and what can't be read gets one line that says where."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.data import READING, Table, load_dataset, option_of_text, read_table
from nn.data.cells import MISSING

CSV = "width,height,kind\n1.5,2,cat\n3,4,dog\n5,6e1,cat\n"
LEVELS = ["red", "deep blue", "é", "a,b", "a;b", 'say "no"', "two\nlines", "# no comment", "x_1"]
DAYS = ["1970-01-01", "2024-02-29", "1969-12-31"]


def read(folder: Path, content: str | bytes, kinds: dict[str, str] | None = None, **options: Any) -> Table:
    path = folder / "a.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, options, kinds)


def shown(table: Table) -> dict[str, list[Any]]:
    """The cells of a table, None where one is missing."""
    return {
        column.name: [
            None if gone else column.levels[int(value)] if column.levels else float(value)
            for value, gone in zip(column.values, column.missing, strict=True)
        ]
        for column in table
    }


numbers = st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.floats(-1e9, 1e9).map(lambda x: round(x, 4)))


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.none() | numbers, st.none() | st.sampled_from(LEVELS), st.none() | st.sampled_from(DAYS))),
    st.sampled_from([",", ";", "\t", "|", " "]),
    st.sampled_from(".,"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(sorted(MISSING - {"", "-", "None"})),
    st.booleans(),
    st.booleans(),
)
def test_what_is_written_in_any_dialect_is_read_back(
    tmp_path: Path,
    rows: list[tuple[Any, ...]],
    separator: str,
    decimal: str,
    encoding: str,
    line_end: str,
    gone: str,
    packed: bool,
    row_names: bool,
) -> None:
    rows = [(0.5, "red", "2001-01-01"), (-0.25, "é", "2001-01-02"), *rows]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_NONNUMERIC)
    names = ["a number", "its level", "day"]
    writer.writerow(names)
    quoted = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    for i, (number, level, day) in enumerate(rows):
        cells = [gone if value is None else str(value) for value in (number, level, day)]
        cells[0] = cells[0].replace(".", decimal) if number is not None else gone
        quoted.writerow([f"row {i}"] * row_names + cells)
    content = text.getvalue().encode(encoding)
    table = read(tmp_path, gzip.compress(content, mtime=0) if packed else content)
    days = [None if day is None else float(np.datetime64(day, "D").astype(int)) for _, _, day in rows]
    expected = {
        "a number": [None if number is None else float(number) for number, _, _ in rows],
        "its level": [level if level is None else level.replace("\n", "\n") for _, level, _ in rows],
        "day": days,
    }
    assert shown(table) == expected
    assert [column.kind for column in table] == ["number", "category", "date"]
    assert ("the first column has names of rows: left out" in table.notes) == row_names
    assert table.lines is not None
    plain = all(level != "two\nlines" for _, level, _ in rows)
    assert not plain or table.lines.tolist() == list(range(2, len(rows) + 2))


TWO = {"a": [1.0, 3.0], "b": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,5;0\n2,5;1\n", {"column_0": [1.5, 2.5], "column_1": [0.0, 1.0]}),
        ("sep=;\na;b\n1;2\n3;4\n", TWO),
        ("a,b,\n1,2,\n3,4,\n", TWO),
        ("a,b\n1,2,\n3,4,\n", TWO),
        ("a,b,,\n1,2\n3,4\n", TWO),
        ("a,b\n\n1,2\n\n3,4\n\n", TWO),
        ("a,b\r1,2\r3,4\r", TWO),
        ('"a" , "b"\n 1 , 2\n3,4\n', TWO),
        ("# by me\n# a, b and more\na,b\n1,2\n# here, and, there\n3,4\n", TWO),
        ("# a b\n1.0 2.0\n3.0 4.0\n", TWO),
        ("a\tb\n1   2\n3  4  \n", TWO),
        ('"x" "a" "b"\n"r 1" 0 1 2\n"r 2" 0 3 4\n', {"x": [0.0, 0.0], **TWO}),
        ("city\tn\nNew York\t5\nLos Angeles\t6\n", {"city": ["New York", "Los Angeles"], "n": [5.0, 6.0]}),
        ("name\nJane Smith\nJohn Doe\n", {"name": ["Jane Smith", "John Doe"]}),
        ("a,a,b,a\n1,2,3,4\n5,6,7,8\n", {"a": [1.0, 5.0], "a_2": [2.0, 6.0], "b": [3.0, 7.0], "a_3": [4.0, 8.0]}),
        ("p,x\ne,x\np,y\n", {"column_0": ["p", "e", "p"], "column_1": ["x", "x", "y"]}),
        ("5.1,setosa\n4.9,other\n", {"column_0": [5.1, 4.9], "column_1": ["setosa", "other"]}),
        ("land,1990,2000\nChad,1.5,2\nMali,3,4\n", {"land": ["Chad", "Mali"], "1990": [1.5, 3.0], "2000": [2.0, 4.0]}),
        ("1990,1991\n1.5,2.5\n3,4\n", {"1990": [1.5, 3.0], "1991": [2.5, 4.0]}),
        ("0,1,y\n5,6,1\n5,6,0\n", {"0": [5.0, 5.0], "1": [6.0, 6.0], "y": [1.0, 0.0]}),
        ("1990,1991\n1992,1993\n", {"column_0": [1990.0, 1992.0], "column_1": [1991.0, 1993.0]}),
        ("zip,y\n01,1\n1,2\n", {"zip": ["01", "1"], "y": [1.0, 2.0]}),
        ("id,y\n12345678901234567891,1\n12345678901234567892,2\n", {"id": None, "y": [1.0, 2.0]}),
        ("a,b\n1e5,TRUE\n2,FALSE\n", {"a": [1e5, 2.0], "b": ["TRUE", "FALSE"]}),
        ('a,b\n"1,000",1\n"2,500.5",2\n', {"a": [1000.0, 2500.5], "b": [1.0, 2.0]}),
        ("a;b\n1.000,5;1\n2.500;2\n", {"a": [1000.5, 2500.0], "b": [1.0, 2.0]}),
        ("a;b\n1'000;1\n2 500;2\n", {"a": [1000.0, 2500.0], "b": [1.0, 2.0]}),
        ("a,b\n5%,1\n6 %,2\n7.5%,3\n", {"a": [5.0, 6.0, 7.5], "b": [1.0, 2.0, 3.0]}),
        ("a,b\n5 mpg,1\n6 km,2\n7 mpg,3\n", {"a": ["5 mpg", "6 km", "7 mpg"], "b": [1.0, 2.0, 3.0]}),
        ("a,b\n31.1.1970,1/13/1970\n1.2.1970,2/1/1970\n", {"a": [30.0, 31.0], "b": [12.0, 31.0]}),
        ("a,b\n1/2/1970,1\n3/2/1970,2\n", {"a": ["1/2/1970", "3/2/1970"], "b": [1.0, 2.0]}),
        ("a,b\n1,+\n2,-\n3,\n", {"a": [1.0, 2.0, 3.0], "b": ["+", "-", None]}),
        ("a,b\n1,x\nNA,?\n3,-\n", {"a": [1.0, None, 3.0], "b": ["x", None, None]}),
        ("a,b\n1,None\nNone,Some\n3,NA\n", {"a": [1.0, None, 3.0], "b": ["None", "Some", None]}),
        ("a,b\n1,2\n3,4\n\x1a", TWO),
        ('a,b\n1,2\n3,"4\x1a"\n', TWO),
        ("a,b,c\n1,2,3\n", {"a": [1.0], "b": [2.0], "c": [3.0]}),
    ],
)
def test_files_as_they_are_in_life(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    found = shown(read(tmp_path, text))
    assert list(found) == list(expected)
    for name, cells in expected.items():
        assert cells is None or found[name] == cells


@pytest.mark.parametrize("others", [["207a", "207b"], ["c12", "c13", "c99"], ["12A", "c12"]])
def test_codes_among_whole_numbers_are_codes(tmp_path: Path, others: list[str]) -> None:
    table = read(tmp_path, "a,b\n" + "".join(f"{cell},1\n" for cell in [*range(100, 140), *others]))
    assert set(others) < set(table["a"].levels)
    assert f"others such as {others[0]!r} are not: taken as categories" in table.notes[0]


def test_a_word_among_a_few_whole_numbers_that_recur_is_a_level(tmp_path: Path) -> None:
    cells = ["4", "6", "8"] * 10
    table = read(tmp_path, "a,b\n" + "".join(f"{cell},1\n" for cell in [*cells, "rotary"]))
    assert table["a"].levels == ("4", "6", "8", "rotary")
    assert table.notes == ("a: 'rotary' stands among numbers: taken as categories",)
    for stray in ("4O", "5%", "*"):
        with pytest.raises(ValueError, match="line 32 has"):
            read(tmp_path, "a,b\n" + "".join(f"{cell},1\n" for cell in [*cells, stray]))


def test_none_is_a_level_among_words_unless_it_is_named_as_missing(tmp_path: Path) -> None:
    text = "a,b\n" + "1,None\n" * 5 + "2,Some\n3,Marked\n"
    table = read(tmp_path, text)
    assert table["b"].levels == ("Marked", "None", "Some")
    assert table.notes == ("b: None is taken as a category (missing=None where it is missing)",)
    assert read(tmp_path, text, missing="None")["b"].missing.sum() == 5
    assert read(tmp_path, "a,b\n1,None\n", {"b": "category"})["b"].levels == ("None",)
    assert read(tmp_path, "a,b\n1,None\n", {"b": "number"})["b"].missing.all()


def test_whole_numbers_that_floats_cannot_tell_apart_are_categories(tmp_path: Path) -> None:
    table = read(tmp_path, "id,y\n12345678901234567891,1\n12345678901234567892,2\n")
    assert table["id"].levels == ("12345678901234567891", "12345678901234567892")
    assert "2^53" in table.notes[0]


@pytest.mark.parametrize("late", [False, True])
def test_a_column_is_the_same_wherever_its_first_word_stands(tmp_path: Path, late: bool) -> None:
    words = ["x", *(str(i % 7) for i in range(20_000)), *["y", ""] * 4_000]
    cells = words[::-1] if late else words
    table = read(tmp_path, "a,b\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)))
    assert shown(table)["a"] == [cell or None for cell in cells]
    assert np.array_equal(table["b"].values, np.arange(len(cells)))
    assert table.lines is not None
    assert table.lines[-1] == len(cells) + 1


def test_a_decimal_comma_far_down_the_file_decides_for_all_of_it(tmp_path: Path) -> None:
    text = "a;b\n" + "1000;2\n" * 9_000 + "1,5;2\n" * 3
    assert read(tmp_path, text)["a"].values[-4:].tolist() == [1000, 1.5, 1.5, 1.5]


MANY = "age,b\n" + "".join(f"{i},1\n" for i in range(30))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("a,b\n", {}, "has no rows below its header"),
        ("a,b\n1,0\n2\n", {}, "2 cells in every row, but line 3 has 1"),
        ("a,b\n1,0\n2,3,4\n", {}, "2 cells in every row, but line 3 has 3"),
        ('a,b\n"1,0\n2,1\n', {}, "unexpected end of data, at line 3"),
        (b"a,b\n1,\0\n", {}, "zero bytes"),
        (MANY + "abc,2\n", {}, r"line 32 has 'abc'; .* \(missing=abc\), or .* \(categorical=age\)"),
        (MANY + "5k,2\n6k,2\n", {}, "line 32 has '5k' .and 1 more"),
        (MANY + "1_0,2\n", {}, "line 32 has '1_0'"),
        (MANY + "inf,2\n", {}, "line 32 has 'inf'"),
        (MANY + '0.5,2\n"1,5",2\n', {}, r"line 33 has '1,5'.*decimal mark \(decimal=,\)"),
        ('a,b\n"x\ny",1\nz,2\n5,6\n7,abc\n8,9\n', {}, "line 6 has 'abc'"),
        (CSV, {"drop": "kin"}, "drop must be .* did you mean 'kind'"),
        (CSV, {"categorical": ["width", 3]}, "from -3 to 2, but got 3"),
        (CSV, {"drop": ["kind"], "target_column": "kind"}, "other columns than target_column"),
        (CSV, {"target_column": "kin"}, "target_column must be .* did you mean 'kind'"),
        (CSV, {"delimiter": ";"}, "did you mean 'separator'"),
        (CSV, {"seperator": ";"}, "did you mean 'separator'"),
        (CSV, {"separator": ";;"}, "separator must be one character"),
        (CSV, {"decimal": "-"}, "decimal must be"),
        (CSV, {"encoding": "klingon"}, "encoding must be one that Python knows"),
        (CSV.encode() + b"\xff", {"encoding": "utf-8"}, "text in utf-8"),
        (CSV, {"header": 1}, "header must be True or False"),
        (gzip.compress(CSV.encode(), mtime=0)[:-9], {}, "whole gzip file"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_a_way_out(
    tmp_path: Path, text: str | bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, text, **options)
    assert "\n" not in str(caught.value)


def test_options_settle_what_the_file_leaves_open(tmp_path: Path) -> None:
    assert read(tmp_path, MANY + "abc,2\n", missing=["abc"])["age"].missing.sum() == 1
    assert read(tmp_path, "a,b\n1,2\n99,3\n", missing="99")["a"].missing.tolist() == [False, True]
    assert read(tmp_path, MANY + "abc,2\n", categorical="age")["age"].levels[-1] == "abc"
    assert read(tmp_path, CSV, drop=["width", -1]).names == ("height",)
    assert read(tmp_path, "a;b\n1,000;2\n", decimal=",")["a"].values.tolist() == [1.0]
    assert read(tmp_path, "a;b\n1,000;2\n", decimal=".")["a"].values.tolist() == [1000.0]
    assert len(read(tmp_path, "a,b\nc,d\n", header=False)) == 2
    assert read(tmp_path, "1,2\n3,4\n", header=True).names == ("1", "2")
    assert read(tmp_path, "a b\n1 2\n", separator="blanks").names == ("a", "b")
    assert read(tmp_path, "a,b\n1,é\n".encode("cp437"), encoding="cp437")["b"].levels == ("é",)


def test_a_new_file_is_read_by_the_kinds_of_another(tmp_path: Path) -> None:
    table = read(
        tmp_path, "a,b,more\n1,\n2,3,x\n".replace("1,\n", "1,,\n"), {"a": "category", "b": "number"}, drop="gone"
    )
    assert [column.kind for column in table][:2] == ["category", "number"]
    for kind, text in (("number", "x"), ("date", "5"), ("date", "1/2/2020")):
        with pytest.raises(ValueError, match="line 3"):
            read(tmp_path, f"a,b\n,1\n{text},2\n", {"a": kind})


def test_the_names_of_known_columns_tell_a_header(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\nx,y\n", {"b": "category", "a": "category"}).names == ("a", "b")
    assert len(read(tmp_path, "a,b\nx,y\n", {"column_0": "category", "column_1": "category"})) == 2
    assert read(tmp_path, "2001,2002\n2003,2004\n", {"2001": "number"}).names == ("2001", "2002")


def test_what_may_surprise_is_said(tmp_path: Path) -> None:
    words = "a,b\n" + "".join(f"{i},1\n" for i in range(30)) + "".join(f"w{i},1\n" for i in range(20))
    for text, note in (
        ("a,b\n1,ä\n".encode("latin-1"), "read as cp1252"),
        (words, "a: 60% of its cells are numbers, others such as 'w0' are not"),
        ('a,b\n"1,000",2\n', r"a: 1,000 is read as 1000 (decimal=, for fractions)"),
        ("a,b\n5 kg,2\n6 kg,2\n7 kg,1\n", "a: numbers in kg"),
        ("a,b\n007,2\n", "a: codes with leading zeros"),
        ("a,b\n1/2/2020,2\n", "a: dates in which day and month can't be told apart"),
        ("1990,1991\n1.5,2\n", "count or are years (header=false for data)"),
        ("p,x\np,y\n", "taken for data"),
    ):
        assert any(note in each for each in read(tmp_path, text).notes)


def test_options_as_texts_are_those_of_python() -> None:
    values = {"target_column": "y", "missing": "99,none", "drop": 'a,"b, c"', "header": "false", "separator": ";"}
    assert {name: option_of_text(name, text) for name, text in values.items()} == {
        "target_column": "y",
        "missing": ["99", "none"],
        "drop": ["a", "b, c"],
        "header": False,
        "separator": ";",
    }
    assert all(option.about and option.metavar for option in READING.values())


@pytest.mark.parametrize("target", ["height", 1, -2, "1", np.int64(1)])
def test_target_is_named_or_numbered(tmp_path: Path, target: Any) -> None:
    (tmp_path / "a.csv").write_text("a,height,c\n1,0.5,3\n4,1.5,6\n")
    for name in ("target", "target_column"):
        data = load_dataset(tmp_path / "a.csv", **{name: target})
        assert data.y.tolist() == [0.5, 1.5]
        assert data.target_names == ("height",)
        assert data.feature_names == ("a", "c")


@pytest.mark.parametrize(
    ("drop", "target", "named"), [(["a"], 2, "c"), ("height", -3, "a"), (0, 1, "height"), (-1, 0, "a")]
)
def test_numbers_of_columns_count_dropped_ones(tmp_path: Path, drop: Any, target: int, named: str) -> None:
    (tmp_path / "a.csv").write_text("a,height,c,\n1,0.5,3,\n4,1.5,6,\n")
    data = load_dataset(tmp_path / "a.csv", target_column=target, drop=drop)
    assert data.target_names == (named,)
    with pytest.raises(ValueError, match="drop must have other columns than target_column, but both have"):
        load_dataset(tmp_path / "a.csv", target_column=target, drop=[*np.atleast_1d(drop).tolist(), named])


def test_a_file_of_numbers_becomes_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "pets.csv").write_text(CSV)
    data = load_dataset(tmp_path / "pets.csv")
    assert (data.name, data.feature_names, data.class_names) == ("pets", ("width", "height"), ("cat", "dog"))
    assert data.X.tolist() == [[1.5, 2], [3, 4], [5, 60]]
    assert data.y.tolist() == ["cat", "dog", "cat"]
    for change, kind, missing in (
        (("cat\n3", "cat\n"), "number", [False, True, False]),
        (("3,4", "x,4"), "category", [False] * 3),
    ):
        (tmp_path / "pets.csv").write_text(CSV.replace(*change))
        width = load_dataset(tmp_path / "pets.csv").table["width"]
        assert width.kind == kind
        assert width.missing.tolist() == missing
