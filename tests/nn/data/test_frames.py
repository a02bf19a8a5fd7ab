"""Data frames and Parquet files become the tables that the same rows in a text file become."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import Dataset, load_dataset
from nn.data import read_table, table_of_frame

pandas = pytest.importorskip("pandas")

COLUMNS: dict[str, tuple[Any, str, list[Any]]] = {
    "ints": ([1, 2, 3], "number", [1.0, 2.0, 3.0]),
    "bools": ([True, False, True], "category", ["True", "False", "True"]),
    "Int64": (lambda: pandas.array([1, None, 3], dtype="Int64"), "number", [1.0, None, 3.0]),
    "Float32": (lambda: pandas.array([1.5, None, 3], dtype="Float32"), "number", [1.5, None, 3.0]),
    "boolean": (lambda: pandas.array([True, None, False], dtype="boolean"), "category", ["True", None, "False"]),
    "category": (lambda: pandas.Categorical(["b", None, "b"], ["a", "b"]), "category", ["b", None, "b"]),
    "numbers as category": (lambda: pandas.Categorical([3, 1, 3]), "category", ["3", "1", "3"]),
    "string": (lambda: pandas.array(["x", None, "y"], dtype="string"), "category", ["x", None, "y"]),
    "words": (["x", "NA", "y"], "category", ["x", None, "y"]),
    "numbers as words": (["1", "?", "2.5"], "number", [1.0, None, 2.5]),
    "codes": (["01", "1", "2"], "category", ["01", "1", "2"]),
    "objects": (lambda: np.array([1, 2.5, None], dtype=object), "number", [1.0, 2.5, None]),
    "words and numbers": (lambda: np.array(["a", 1, 2.5], dtype=object), "category", ["a", "1", "2.5"]),
    "times": (lambda: pandas.to_datetime(["1970-01-02 00:00", None, "1970-01-01 12:00"]), "date", [1.0, None, 0.5]),
    "zones": (lambda: pandas.to_datetime(["1970-01-02", "1970-01-03"] * 2).tz_localize("UTC")[:3], "date", [1, 2, 1]),
    "dates": ([datetime.date(1970, 1, 2), None, datetime.date(1970, 1, 1)], "date", [1.0, None, 0.0]),
    "lengths": (lambda: pandas.to_timedelta(["1 day", None, "12 h"]), "number", [1.0, None, 0.5]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_frames_have_the_kind_of_their_values(name: str) -> None:
    values, kind, expected = COLUMNS[name]
    frame = pandas.DataFrame({name: values() if callable(values) else values, "n": [1, 2, 3]})
    column = table_of_frame(frame)[name]
    found = [column.levels[int(v)] if column.levels else v for v in column.values]
    assert column.kind == kind
    assert [None if gone else v for v, gone in zip(found, column.missing, strict=True)] == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, np.inf], "column 'a' must have finite numbers, but row 2 has inf"),
        ([1, 2j, 3], "column 'a'.*complex"),
        ([[1], [2], [3]], "column 'a'.*list"),
        ([*map(str, range(30)), "abc"], "column 'a'.*row 30 has 'abc'.*categorical=a"),
    ],
)
def test_what_no_column_can_have_is_refused_by_its_name(values: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        table_of_frame(pandas.DataFrame({"b": 0, "a": values}))


def test_options_and_kinds_hold_for_frames_too() -> None:
    frame = pandas.DataFrame([[1, "2", 9], [3, "x", 9]], columns=["a", "b", "a"])
    table = table_of_frame(frame, options={"categorical": ["a"], "drop": ["a_2"], "missing": ["x"]})
    assert table.names == ("a", "b")
    assert [column.kind for column in table] == ["category", "number"]
    assert "a_2" in table.notes[0]
    assert table_of_frame(frame, {"b": "category"})["b"].levels == ("2", "x")
    with pytest.raises(ValueError, match=r"'b'.*row 1 has 'x'"):
        table_of_frame(frame, {"b": "number"})


def test_parquet_is_read_as_the_frame_is(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(
        {
            name: values() if callable(values) else values
            for name, (values, _, _) in COLUMNS.items()
            if "words and" not in name
        }
    ).drop(columns=["numbers as category", "lengths"])
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet", {"drop": "ints"})
    for own, other in zip(table, table_of_frame(frame).without(["ints"]), strict=True):
        assert (own.name, own.kind, own.levels) == (other.name, other.kind, other.levels)
        assert np.array_equal(own.values, other.values, equal_nan=True)
    (tmp_path / "a.parquet").write_bytes(b"PAR1, but no more")
    with pytest.raises(ValueError, match=r"a\.parquet must be a Parquet file"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_frame_with_its_target_is_the_data_set_that_its_file_is(task: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pandas.DataFrame({"x": rng.normal(size=40).round(3), "city": rng.choice(["Bonn", "Jena"], 40)})
    frame["y"] = rng.choice(["a", "b", None], 40) if task == "classification" else rng.normal(size=40).round(3)
    frame["remark"] = "none"
    frame.to_csv(tmp_path / "a.csv")  # with a column of row numbers, as pandas writes it
    from_file = load_dataset(tmp_path / "a.csv", target="y", drop=["remark"])
    for given in (frame, pandas.read_csv(tmp_path / "a.csv")):
        for data in (load_dataset(given, "y", drop="remark"), load_dataset(given, target_column="y", drop=["remark"])):
            assert data.fingerprint == from_file.fingerprint
            assert data.table is not None
            assert data.table.names == ("x", "city")
    with pytest.raises(ValueError, match=r"option of a data frame must be one of .* got 'separator'"):
        load_dataset(frame, "y", separator=";")


def test_sparse_features_and_one_hot_targets_are_asked_about() -> None:
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match=r"X must be a dense array, but got the sparse csr_array; pass X.toarray\(\)"):
        Dataset(csr_array(np.eye(3)), [0, 1, 2])
    for dtype in (float, int):
        with pytest.raises(ValueError, match=r"single 1 in every row.* y.argmax\(axis=1\).*task='multilabel'"):
            Dataset(np.eye(3), np.eye(3, dtype=dtype))
        assert Dataset(np.eye(3), np.eye(3, dtype=dtype), "multilabel").n_outputs == 3
