"""Checks of arrays that come in from outside, and arrays that begin at a cache line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 1 << 24
"""The size of the pieces in which a large array is looked at, in bytes."""

CACHE_LINE = 64
"""Bytes that move between memory and core at once; on no machine is a vector register longer."""


def aligned_empty(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array that begins at a cache line, which NumPy's do by chance alone.

    A register that is loaded from two lines takes twice as long: 3 to 5 % of the time of a step of 64-32-10.
    """
    kind = np.dtype(dtype)
    size = shape if isinstance(shape, int) else math.prod(shape)
    room = np.empty(size * kind.itemsize + CACHE_LINE, np.uint8)
    return np.ndarray(shape, kind, room, -room.__array_interface__["data"][0] % CACHE_LINE)


def aligned(array: NDArray[Any], dtype: Any = None) -> NDArray[Any]:
    """Return a copy in C order that begins at a cache line, unless it is empty."""
    if not array.size:
        return np.array(array, dtype, order="C")
    copy = aligned_empty(array.shape, dtype or array.dtype)
    copy[...] = array
    return copy


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Return `value` as an array uncopied where that is possible; a ragged or masked one is refused."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{name} must have no masked values, but {int(value.mask.sum()):,} are masked; fill them first"
        )
    if hasattr(value, "toarray"):
        raise TypeError(
            f"{name} must be a dense array, but got the sparse {type(value).__name__}; pass {name}.toarray()"
        )
    try:
        array = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # foreign objects may raise anything from __array__
        raise ValueError(
            f"{name} must be an array or nested lists of equal lengths, but got {type(value).__name__}"
        ) from error
    return array


def feature_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that features of `dtype` are worked with in: float32 stays, other numbers become float64."""
    if dtype.kind not in "biuf":
        raise TypeError(f"X must be of real numbers, but got dtype {dtype}; encode other columns as numbers")
    return np.dtype(np.float32 if dtype.newbyteorder("=") == np.float32 else np.float64)


def check_table(array: NDArray[Any]) -> None:
    """Raise unless `array` can be features: two dimensions, at least two rows and one column."""
    if array.ndim != 2:
        hint = "; for one feature pass X[:, None]" if array.ndim == 1 else ""
        raise ValueError(f"X must have two dimensions (rows, features), but got shape {array.shape}{hint}")
    rows, columns = array.shape
    if rows < 2 or columns < 1:
        raise ValueError(f"X must have at least 2 rows and 1 feature, but got shape {array.shape}")


def chunk_slices(rows: int, row_bytes: int) -> Iterator[slice]:
    """Yield slices that cover `rows` rows of `row_bytes` bytes in pieces of about CHUNK_BYTES.

    >>> [(s.start, s.stop) for s in chunk_slices(5, CHUNK_BYTES // 2)]
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, CHUNK_BYTES // max(1, row_bytes))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def check_finite(name: str, array: NDArray[Any]) -> None:
    """Raise for NaN and infinity, saying how many there are and where the first one stands.

    >>> check_finite("X", np.array([[1.0, 2.0], [3.0, np.nan]]))
    Traceback (most recent call last):
    ...
    ValueError: X must be finite, but 1 of its 4 values is NaN or infinite, first at row 1, column 1; fill it
    """
    if array.dtype.kind != "f":
        return
    count, first = 0, -1
    width = array.shape[1] if array.ndim == 2 else 1
    for piece in chunk_slices(len(array), width * 8):
        finite = np.isfinite(array[piece])
        if not finite.all():
            if first < 0:
                first = piece.start * width + int(np.argmin(finite))
            count += int(finite.size - np.count_nonzero(finite))
    if count:
        place = f"row {first // width:,}" + (f", column {first % width}" if array.ndim == 2 else "")
        verb, them = ("is", "it") if count == 1 else ("are", "them")
        raise ValueError(
            f"{name} must be finite, but {count:,} of its {array.size:,} values {verb} NaN or infinite, "
            f"first at {place}; fill {them}"
        )


def row_numbers(rows: Any, length: int) -> NDArray[np.int64]:
    """Return `rows` (whole numbers, or a bool per row) as int64 row numbers in [0, length); at least one."""
    array = as_array("rows", rows)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "biu":
        raise ValueError(
            f"rows must be a list of row numbers or bools, but got shape {array.shape}, dtype {array.dtype}"
        )
    if array.dtype.kind == "b":
        if len(array) != length:
            raise ValueError(f"rows as bools must have one for each of the {length:,} rows, but got {len(array):,}")
        array = np.flatnonzero(array)
        if not len(array):
            raise ValueError("rows must choose at least one row, but all bools are False")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= length:
        raise ValueError(f"rows must be between 0 and {length - 1:,}, but got {low if low < 0 else high}")
    return np.ascontiguousarray(array, dtype=np.int64)


def names_of(kind: str, names: Any, count: int) -> tuple[str, ...] | None:
    """Return `names` as a tuple of `count` strings, or None where none are given."""
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence | np.ndarray):
        raise TypeError(f"{kind} must be a list of strings, but got {type(names).__name__}")
    if isinstance(names, np.ndarray) and names.ndim != 1:
        raise ValueError(f"{kind} must be a list of strings, but got shape {names.shape}")
    result = tuple(str(name) for name in names)
    if len(result) != count:
        raise ValueError(f"{kind} must have {count:,} names, but got {len(result):,}")
    return result
