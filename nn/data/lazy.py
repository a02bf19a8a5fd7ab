"""Rows of a memory-mapped file, read and scaled in pieces: features that are larger than memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nn._arrays import as_array, check_finite, check_table, chunk_slices, feature_dtype, row_numbers


class _Source:
    """One mapped array, and whether all of it is known to be finite. Shared by all views on it."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.finite = array.dtype.kind != "f"

    def __getstate__(self) -> dict[str, Any]:
        array = self.array
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.filename is not None:
            order = "C" if array.flags.c_contiguous else "F"
            place = (str(array.filename), array.dtype, array.offset, array.shape, order)
            return {"map": place, "finite": self.finite}
        return {"array": np.asarray(array), "finite": self.finite}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.finite = state["finite"]
        if "array" in state:
            self.array = state["array"]
        else:
            name, dtype, offset, shape, order = state["map"]
            self.array = np.memmap(name, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)


class LazyRows:
    """A view on chosen rows of a mapped array, standardised as they are read. Nothing is loaded until `take`.

    `shape` (N, D) and `dtype` (float32 or float64) are those of the array of all rows, as `take` would return it.
    Everything that looks at all rows does so in pieces of 16 MB. The whole file is checked for NaN and infinity once,
    at the first look.
    """

    ndim = 2

    def __init__(
        self,
        source: NDArray[Any] | _Source,
        rows: NDArray[np.int64] | None = None,
        mean: NDArray[np.float64] | None = None,
        std: NDArray[np.float64] | None = None,
        dtype: Any = None,
    ) -> None:
        self._source = source if isinstance(source, _Source) else _Source(source)
        array = self._source.array
        own = feature_dtype(array.dtype)
        if rows is None:
            check_table(array)
        self.rows = rows
        self.mean = mean
        self.std = std
        self.dtype: np.dtype[Any] = own if dtype is None else feature_dtype(np.dtype(dtype))
        self.shape: tuple[int, int] = (len(array) if rows is None else len(rows), array.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        scaled = "" if self.mean is None else ", scaled"
        return f"LazyRows({self.shape[0]:,} x {self.shape[1]:,} {self.dtype}{scaled})"

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("rows of a memory-mapped file must be read in parts, but all were asked for; use X.take(rows)")

    def take(self, rows: Any) -> NDArray[Any]:
        """Return `rows` (a slice, or whole numbers (B,)) as a new C-contiguous array (B, D), scaled."""
        self._check()
        return self._read(rows)

    def subset(self, rows: Any) -> LazyRows:
        """Return the view on some of these rows."""
        chosen = row_numbers(rows, len(self))
        chosen = chosen if self.rows is None else self.rows[chosen]
        return LazyRows(self._source, chosen, self.mean, self.std, self.dtype)

    def scaled(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> LazyRows:
        """Return the view with (x - mean) / std on top of what is done already; `mean` and `std` are (D,)."""
        if self.mean is not None and self.std is not None:
            mean, std = self.mean + self.std * mean, self.std * std
        return LazyRows(self._source, self.rows, mean, std, self.dtype)

    def unscaled(self) -> LazyRows:
        """Return the view on the numbers as the file has them."""
        return LazyRows(self._source, self.rows, dtype=self.dtype)

    def joined(self, others: Sequence[LazyRows]) -> LazyRows:
        """Return the view on these rows and then those of others. Raises ValueError unless all are of one file."""
        if any(other._source is not self._source for other in others):
            raise ValueError("the parts of a memory-mapped set must be rows of one file, but are of several")
        rows = [np.arange(len(each)) if each.rows is None else each.rows for each in (self, *others)]
        return LazyRows(self._source, np.concatenate(rows), self.mean, self.std, self.dtype)

    def equals(self, other: Any) -> bool:
        """Return whether the other view has the same rows of the same file, and scales them alike."""
        pairs = [(self.rows, other.rows), (self.mean, other.mean), (self.std, other.std)]
        same = all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)
        return same and self._source is other._source and self.dtype == other.dtype

    def astype(self, dtype: Any, copy: bool = False) -> LazyRows:
        """Return the view whose `take` gives float32 or float64; nothing is copied, whatever `copy` says."""
        if self.dtype == np.dtype(dtype):
            return self
        return LazyRows(self._source, self.rows, self.mean, self.std, dtype)

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield all rows in order, in pieces of about 16 MB."""
        self._check()
        for piece in chunk_slices(len(self), 8 * self.shape[1]):
            yield self._read(piece)

    def _read(self, rows: Any) -> NDArray[Any]:
        if self.rows is not None:
            rows = self.rows[rows]
        raw = np.asarray(self._source.array)[rows]
        if isinstance(rows, slice):
            raw = raw.copy()
        own = np.ascontiguousarray(raw, dtype=feature_dtype(raw.dtype))
        if self.mean is not None and self.std is not None:
            own = standardise(own, self.mean, self.std)
        return own.astype(self.dtype, copy=False)

    def _check(self) -> None:
        if not self._source.finite:
            check_finite("X", self._source.array)
            self._source.finite = True


def standardise(X: NDArray[Any], mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[Any]:
    """Return (X - mean) / std in X's dtype, worked out in float64 piece by piece."""
    result = np.empty(X.shape, dtype=X.dtype)
    for piece in chunk_slices(len(X), 8 * X.shape[1]):
        result[piece] = (X[piece] - mean) / std
    return result


def own_features(X: Any) -> NDArray[Any] | LazyRows:
    """Return features as an array of their own in C order, float32 or float64; those of a mapped file stay there."""
    if isinstance(X, LazyRows):
        if len(X) < 2:
            raise ValueError(f"X must have at least 2 rows and 1 feature, but got shape {X.shape}")
        return X
    if isinstance(X, np.memmap):
        return LazyRows(X)
    array = as_array("X", X)
    check_table(array)
    with np.errstate(over="ignore"):
        return np.array(array, dtype=feature_dtype(array.dtype), order="C", copy=True, subok=False)
