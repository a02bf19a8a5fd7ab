"""CSV files: numbers in all columns but the targets'."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from nn.checks import unknown_name

_BLOCK = 4096
_DELIMITERS = (",", ";", "\t")
_MOST_LINE = 1 << 24
_MOST_UNPACKED = 1 << 31


def read_csv(
    path: Path, target: Any = None, header: bool | None = None, delimiter: str | None = None
) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
    """Read a CSV file in UTF-8, plain or .gz: all columns but the targets' have numbers, no cell is empty.

    Args:
        path: The file.
        target: The name or number of the column with the targets (a negative number counts from the end), or a list of
            them; the last column by default. Whole numbers are read as such, other numbers as floats, and a column in
            which any cell is something else as strings.
        header: Whether the first row has the columns' names; by default it does if none of its cells is a number.
        delimiter: One character; by default the most frequent of comma, semicolon and tab in the first line.
    """
    if header not in (None, True, False):
        raise ValueError(f"header must be True, False or None, but got {header!r}")
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"'):
        raise ValueError(f"delimiter must be one character, but got {delimiter!r}")
    packed = path.name.lower().endswith(".gz")
    opener: Any = gzip.open if packed else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            return _Table(path, _lines(file, packed), header, delimiter).read(target)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8, but has other bytes at {error.start:,}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} must be a whole gzip file, but is truncated or damaged") from error
    except csv.Error as error:
        raise ValueError(f"{path} must be a CSV file, but {error}") from error


class _Table:
    """The rows of a CSV file that are not empty, and the names of its columns."""

    def __init__(self, path: Path, lines: Iterator[str], header: bool | None, delimiter: str | None) -> None:
        self.path = path
        first_line = next(lines, "")
        if delimiter is None:
            delimiter = max(_DELIMITERS, key=first_line.count)
        self.reader = csv.reader(chain([first_line], lines), delimiter=delimiter, skipinitialspace=True, strict=True)
        self.rows: Iterator[list[str]] = filter(any, ([cell.strip() for cell in row] for row in self.reader))
        self.first = next(self.rows, [])
        if not self.first:
            raise ValueError(f"{path} must have rows of numbers, but is empty")
        self.guessed = header is None
        self.has_header = not any(map(_is_number, self.first)) if header is None else header
        self.names = self.first if self.has_header else [f"column_{i}" for i in range(len(self.first))]

    def read(self, target: Any) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
        chosen = self._target_columns(target)
        kept = [i for i in range(len(self.names)) if i not in chosen]
        if not kept:
            raise ValueError(f"{self.path} must have a column of features beside the target, but has {self.names}")
        if self.guessed and not self.has_header:
            self._refuse_unclear_header(chosen, kept)
        features: list[NDArray[np.float64]] = []
        cells: list[list[str]] = [[] for _ in chosen]
        numbered = self._numbered()
        while block := list(islice(numbered, _BLOCK)):
            features.append(self._features(block, kept))
            for column, values in zip(chosen, cells, strict=True):
                values.extend(row[column] for _, row in block)
                self._refuse_empty(block, column)
        if not features:
            raise ValueError(f"{self.path} must have rows below its header, but has none")
        columns = [_typed(values) for values in cells]
        y = columns[0] if len(columns) == 1 else np.column_stack(columns)
        names: dict[str, Any] = {}
        if self.has_header:
            names["feature_names"] = [self.names[i] for i in kept]
            if columns[0].dtype.kind == "f" or len(columns) > 1:
                names["target_names"] = [self.names[i] for i in chosen]
        return np.concatenate(features), y, names

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows with the numbers of their lines; a row of another length is an error."""
        if not self.has_header:
            yield 1, self.first
        for row in self.rows:
            line, width = self.reader.line_num, len(self.names)
            if len(row) != width:
                raise ValueError(f"{self.path} must have {width} cells in every row, but line {line:,} has {len(row)}")
            yield line, row

    def _features(self, block: list[tuple[int, list[str]]], kept: Sequence[int]) -> NDArray[np.float64]:
        try:
            numbers = np.array([[float(row[i]) for i in kept] for _, row in block])
            if not any("_" in row[i] for _, row in block for i in kept):
                return numbers
        except ValueError:
            pass
        for i in kept:
            self._refuse_empty(block, i)
            for line, row in block:
                if not _is_number(row[i]):
                    raise ValueError(
                        f"{self.path} must have numbers in column {self.names[i]!r}, but line {line:,} has "
                        f"{row[i][:40]!r}; encode it as numbers, or name it by target="
                    ) from None
        raise AssertionError("a row that could not be read has no bad cell")

    def _refuse_empty(self, block: list[tuple[int, list[str]]], column: int) -> None:
        for line, row in block:
            if not row[column]:
                raise ValueError(
                    f"{self.path} must have no empty cells, but line {line:,} has one in column "
                    f"{self.names[column]!r}; drop or fill it"
                )

    def _refuse_unclear_header(self, chosen: Sequence[int], kept: Sequence[int]) -> None:
        """Refuse a first row such as 0,1,2,3,label: taken as data, its word would become a class of its own.

        It is one that counts its columns, or has words for targets where the second row has numbers only.
        """
        counts = len(kept) > 3 and [self.first[i] for i in kept] == [str(i) for i in range(len(kept))]
        second = next(self.rows, [])
        words = not any(_is_number(self.first[i]) for i in chosen)
        if counts or (words and len(second) == len(self.first) and all(map(_is_number, second))):
            raise ValueError(
                f"{self.path} must show clearly whether its first row is a header, but that ends in "
                f"{self.first[-3:]}; pass header=True or header=False"
            )
        self.rows = chain([second] if second else [], self.rows)

    def _target_columns(self, target: Any) -> list[int]:
        many = isinstance(target, list | tuple)
        chosen = [self._column(one) for one in (target if many else [-1 if target is None else target])]
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(f"target must be one column or a list of different ones, but got {target!r}")
        return chosen

    def _column(self, target: Any) -> int:
        width = len(self.names)
        if isinstance(target, str):
            if not self.has_header:
                raise ValueError(
                    f"target must be a column number, as the first row of {self.path} has no names, "
                    f"but got {target!r}; or pass header=True"
                )
            if self.names.count(target) == 1:
                return self.names.index(target)
            if target in self.names:
                raise ValueError(f"target must be the name of one column, but {target!r} stands over several")
            raise unknown_name("target", target, self.names)
        if not isinstance(target, int | np.integer) or isinstance(target, bool) or not -width <= target < width:
            raise ValueError(
                f"target must be a column's name or a number from {-width} to {width - 1}, but got {target!r}"
            )
        return int(target) % width


def _lines(file: TextIO, packed: bool) -> Iterator[str]:
    """Yield all lines; a small packed file that blows up to more than 2 GB is refused."""
    total = 0
    while line := file.readline(_MOST_LINE):
        total += len(line)
        if len(line) >= _MOST_LINE:
            raise csv.Error(f"it has a line of more than {_MOST_LINE:,} characters")
        if packed and total > _MOST_UNPACKED:
            raise csv.Error(f"it unpacks to more than {_MOST_UNPACKED:,} characters; unpack it first")
        yield line


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000 as a number; in a file it is a word


def _typed(cells: list[str]) -> NDArray[Any]:
    """Return cells as int64 where all are whole numbers, float64 where all are numbers, else strings."""
    for kind in (int, float) if not any("_" in cell for cell in cells) else ():
        try:
            return np.array([kind(cell) for cell in cells], dtype=np.int64 if kind is int else np.float64)
        except (ValueError, OverflowError):
            continue
    return np.array(cells, dtype=str)
