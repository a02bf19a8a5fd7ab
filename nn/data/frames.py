"""Data frames (of pandas, polars and others with named columns) and Parquet files as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.data.cells import Texts, Writing, category
from nn.data.layout import ROW_NAMES, ROW_NAMES_NOTE
from nn.data.table import CATEGORY, DATE, NUMBER, Column, Table, distinct, positions


def is_frame(value: Any) -> bool:
    """Return whether a value is a data frame: a table whose columns have names."""
    columns = getattr(value, "columns", None)
    return columns is not None and not callable(columns) and hasattr(value, "__getitem__") and hasattr(value, "shape")


def table_of_frame(
    frame: Any, kinds: Mapping[str, str] | None = None, *, options: Mapping[str, Any] | None = None
) -> Table:
    """Return a data frame as a table.

    Columns of numbers are numbers, bools and pandas' categories are categories, times are dates; texts are read as the
    cells of a file are. A first column that is called as R and pandas call names of rows is left out.

    Args:
        frame: A frame of pandas or polars, or another table with `columns` that can be indexed by their names.
        kinds: The kinds that columns of some names must have.
        options: Reading options: `missing`, `decimal`, `drop` and `categorical`.

    Raises:
        TypeError, ValueError: For a column that can't be read, by its name.
    """
    return _table(_frame_columns(frame), kinds, options or {})


def read_parquet(path: Path, options: Mapping[str, Any], kinds: Mapping[str, str] | None = None) -> Table:
    """Read a Parquet file by pyarrow or pandas, whichever is installed."""
    try:
        from pyarrow import parquet

        found = parquet.read_table(path)
    except ImportError:
        try:
            import pandas
        except ImportError:
            raise ModuleNotFoundError(
                f'{path} needs pyarrow to be read; install it with: pip install "nn-tuning[parquet]"', name="pyarrow"
            ) from None
        return table_of_frame(pandas.read_parquet(path), kinds, options=options)
    except OSError:
        raise
    except Exception as error:  # pyarrow's errors have types of their own
        raise ValueError(f"{path} must be a Parquet file, but is damaged or of another kind") from error
    try:
        return _table(_arrow_columns(found), kinds, options)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


_Columns = Iterator[tuple[Any, Any, bool]]
"""Names, values, and whether the values were declared to be categories."""


def _frame_columns(frame: Any) -> _Columns:
    for i, name in enumerate(frame.columns):
        values = frame.iloc[:, i] if hasattr(frame, "iloc") else frame[name]  # names of pandas' columns may recur
        yield name, values, hasattr(getattr(values, "dtype", None), "categories")


def _arrow_columns(table: Any) -> _Columns:
    for name, values in zip(table.column_names, table.columns, strict=True):
        declared = hasattr(values.type, "value_type") and hasattr(values.type, "index_type")  # a dictionary
        yield name, (values.cast(values.type.value_type) if declared else values).to_numpy(), declared


def _table(found: _Columns, kinds: Mapping[str, str] | None, options: Mapping[str, Any]) -> Table:
    given = list(found)
    names, notes = distinct([str(name) for name, _, _ in given])
    columns = {name: values for name, (_, values, _) in zip(names, given, strict=True)}
    declared = {name for name, (_, _, is_category) in zip(names, given, strict=True) if is_category}
    if len(columns) > 1 and (first := next(iter(columns))).lower() in ROW_NAMES:
        del columns[first]
        notes.append(ROW_NAMES_NOTE)
    names = list(columns)
    lenient = kinds is not None
    dropped = {names[i] for i in positions("drop", options.get("drop", []), names, lenient)}
    categorical = {names[i] for i in positions("categorical", options.get("categorical", []), names, lenient)}
    kinds = dict.fromkeys(declared, CATEGORY) | dict(kinds or {}) | dict.fromkeys(categorical, CATEGORY)
    writing = Writing.of(options.get("decimal", "."), options.get("missing", ()))
    result = []
    for name in names:
        if name not in dropped:
            column, note = _column(name, columns[name], kinds.get(name), writing, strict=not lenient)
            result.append(column)
            notes += [note] if note else []
    if not result:
        raise ValueError("there must be a column to read, but there is none")
    return Table(tuple(result), None, tuple(notes), tuple(names))


def _column(name: str, values: Any, kind: str | None, writing: Writing, strict: bool) -> tuple[Column, str]:
    """Return one column of a frame, by the dtype that it has in NumPy."""
    array = _plain(name, values)
    if array.dtype.kind in "iufb":
        if kind is None and array.dtype.kind == "b":
            kind = CATEGORY
        if kind == CATEGORY:
            return category(name, _texts(array)), ""
        numbers = np.array(array, dtype=np.float64)
        if np.isinf(numbers).any():
            row = int(np.argmax(np.isinf(numbers)))
            raise ValueError(f"column {name!r} must have finite numbers, but {writing.place(row)} has {numbers[row]}")
        return writing.numeric(name, numbers, kind), ""
    if array.dtype.kind == "M":
        if kind in (None, DATE):
            days = (array - np.datetime64(0, "s")) / np.timedelta64(1, "D")
            return Column(name, DATE, np.array(days, dtype=np.float64)), ""
    elif array.dtype.kind == "m":
        return Column(name, NUMBER, np.array(array / np.timedelta64(1, "D"), dtype=np.float64)), ""
    return writing.column(name, _texts(array), kind, strict)


def _plain(name: str, values: Any) -> NDArray[Any]:
    """Return a column as an array (N,) of numbers, bools, times or objects."""
    dtype = getattr(values, "dtype", None)
    nullable = getattr(dtype, "numpy_dtype", None)  # of pandas' numbers and bools that may be missing
    if nullable is not None and hasattr(values, "isna"):
        kind = np.dtype(nullable).kind
        if kind in "iuf" or (kind == "b" and values.isna().any()):
            values = values.to_numpy(dtype=np.float64 if kind != "b" else object, na_value=np.nan)
    if getattr(dtype, "tz", None) is not None:
        values = values.dt.tz_convert(None)
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} must have one value in each row, but has shape {array.shape}")
    if array.dtype.kind == "O":
        return _of_objects(name, array)
    if array.dtype.kind not in "iufbMmUT":
        raise TypeError(f"column {name!r} must have numbers, texts, bools or times, but has dtype {array.dtype}")
    return array


def _of_objects(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return objects as numbers or bools where all that are not missing are such, else as they are."""
    known = [value for value in array.tolist() if not _is_missing(value)]
    types = {type(value) for value in known}
    if all(issubclass(kind, Real | Decimal | np.number) and not issubclass(kind, bool | np.bool_) for kind in types):
        try:
            return np.array([np.nan if _is_missing(value) else float(value) for value in array.tolist()])
        except OverflowError:
            return array
    if unknown := [kind for kind in types if not issubclass(kind, str | bool | np.bool_ | Real | Decimal | date)]:
        raise TypeError(f"column {name!r} must have numbers, texts, bools or times, but has {unknown[0].__name__}")
    return array


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | Decimal) and value != value


def _texts(array: NDArray[Any]) -> Texts:
    """Return values as they would stand in a file; a missing one as an empty text."""
    index: dict[str, int] = {}
    codes = [index.setdefault(_text(value), len(index)) for value in array.tolist()]
    return Texts(np.array(codes, dtype=np.int32), list(index))


def _text(value: Any) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"  # whole numbers become floats beside missing ones
    return str(value)
