"""Text files of rows, such as CSV: read in blocks, so that a column of numbers is never held as text.

The cells are split by the csv module of the standard library, which is there at once: pandas splits them faster, but
takes 0.2 to 0.4 s to be imported, longer than 100,000 rows take here.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.data.cells import Texts, Writing, decimal_mark
from nn.data.layout import Layout, encodings, find_layout, open_lines, rows_of
from nn.data.table import CATEGORY, Table, positions

_FEWEST_ROWS, _BLOCK_CELLS = 16, 1 << 14


def read_text(path: Path, options: dict[str, Any], kinds: Mapping[str, str] | None = None) -> Table:
    """Read a text file, plain or packed by gzip, by checked reading options; for `kinds` see `read_table`."""
    try:
        tried = encodings(path, options.get("encoding"))
        for encoding in tried:
            try:
                return _read(path, encoding, options, kinds)
            except UnicodeError as error:
                if encoding == tried[-1]:
                    raise ValueError(f"{path} must be text in {encoding}, but has other bytes (encoding=)") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} must be a whole gzip file, but is truncated or damaged") from error
    except csv.Error as error:
        raise ValueError(f"{path} must be a file of rows, but {error}") from error
    except LookupError as error:
        raise ValueError(f"encoding must be one that Python knows, but got {options['encoding']!r}") from error
    raise AssertionError("no encoding was tried")


def _read(path: Path, encoding: str, options: dict[str, Any], kinds: Mapping[str, str] | None) -> Table:
    layout = find_layout(path, encoding, options, kinds or ())
    first = int(layout.row_names)
    own = layout.names[first:]
    lenient = kinds is not None  # a new file may lack what the training file had
    dropped = {own[i] for i in positions("drop", options.get("drop", ()), own, lenient)}
    kinds = dict(kinds or {}) | {
        own[i]: CATEGORY for i in positions("categorical", options.get("categorical", ()), own, lenient)
    }
    wanted = [i for i in range(first, len(layout.names)) if layout.names[i] not in dropped]
    as_text = {i for i in wanted if kinds.get(layout.names[i]) == CATEGORY}
    missing = options.get("missing", ())
    for decimal in (layout.decimal, "," if layout.decimal == "." else "."):
        scan = _Scan(path, layout, Writing.of(decimal, missing), wanted, as_text)
        if "decimal" in options or scan.decimal() in (None, decimal):
            break
    else:
        scan = _Scan(path, layout, Writing.of(layout.decimal, missing), wanted, as_text)
    if not len(scan.lines):
        raise csv.Error("has no rows below its header" if layout.header else "is empty")
    try:
        table = scan.table(kinds, lenient)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    there = dropped.union(table.names)
    return replace(table, written=tuple(name for name in own if name in there))


class _Index(dict[str, int]):
    """Texts by the number that each got when it was first met."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


def _places(columns: Iterable[int]) -> dict[int, int]:
    return {i: place for place, i in enumerate(columns)}


class _Scan:
    """The columns of a file: as blocks of numbers, or, where one cell is none, as texts.

    A column that turns out to be text in a later block is read again from the file. Most of the time goes where cells
    are no longer in the processor's cache: so blocks are small, and all columns of numbers are converted row by row.
    """

    def __init__(
        self, path: Path, layout: Layout, writing: Writing, wanted: list[int], as_text: Collection[int]
    ) -> None:
        self.path, self.layout, self.writing, self.as_text = path, layout, writing, as_text
        self.texts: dict[int, tuple[_Index, list[NDArray[np.int32]]]] = {i: (_Index(), []) for i in as_text}
        self.place = _places(i for i in wanted if i not in as_text)
        self.numbers: list[NDArray[np.float64]] = []  # blocks (rows, places)
        self.gappy: set[int] = set()  # columns of numbers that had missing cells
        late: set[int] = set()
        starts: list[NDArray[np.int64]] = []
        for lines, rows in self._blocks():
            block, words = self._numbers(rows, late)
            if not starts:
                self.texts |= {i: (_Index(), []) for i in words}
                block = block[:, [i not in words for i in self.place]]
                self.place = _places(i for i in self.place if i not in words)
            else:
                late |= words
            self.numbers.append(block)
            self._add_texts(rows, self.texts)
            starts.append(lines)
        self.lines = np.concatenate(starts) if starts else np.empty(0, dtype=np.int64)
        if late:
            self.texts |= {i: (_Index(), []) for i in late}
            for _, rows in self._blocks():
                self._add_texts(rows, late)

    def _numbers(self, rows: list[list[str]], passed: set[int]) -> tuple[NDArray[np.float64], set[int]]:
        """Return a block of numbers, and the columns that have other cells; those that are `passed` are not read."""
        block = np.full((len(rows), len(self.place)), np.nan)
        joint = [i for i in self.place if i not in self.gappy and i not in passed]
        alone = [i for i in self.place if i in self.gappy and i not in passed]
        if joint:
            cells: Iterable[str] = (
                chain.from_iterable(map(itemgetter(*joint), rows))
                if len(joint) > 1
                else (row[joint[0]] for row in rows)
            )
            numbers = self.writing.numbers(list(cells), columns=len(joint))
            if numbers is None:
                alone += joint
            elif len(joint) == len(self.place):
                block = numbers.reshape(block.shape)
            else:
                block[:, [self.place[i] for i in joint]] = numbers.reshape(len(rows), len(joint))
        words = set()
        for i in alone:
            numbers = self.writing.numbers([row[i] for row in rows])
            if numbers is None:
                words.add(i)
                continue
            block[:, self.place[i]] = numbers
            if np.isnan(numbers).any():
                self.gappy.add(i)
        return block, words

    def _add_texts(self, rows: list[list[str]], columns: Iterable[int]) -> None:
        for i in columns:
            index, codes = self.texts[i]
            codes.append(np.fromiter((index[row[i]] for row in rows), np.int32, len(rows)))

    def _blocks(self) -> Iterator[tuple[NDArray[np.int64], list[list[str]]]]:
        """Yield blocks of rows: the lines at which they begin, and their cells."""
        layout, width = self.layout, len(self.layout.names)
        size = max(_FEWEST_ROWS, _BLOCK_CELLS // width)
        with open_lines(self.path, layout.encoding) as lines:
            for _ in islice(lines, layout.skipped):
                pass
            reader = rows_of(lines, layout.separator)
            try:
                if layout.header:
                    next(filter(any, reader), None)
                while True:
                    rows, ends = [], [reader.line_num]
                    for row in islice(reader, size):
                        rows.append(row)
                        ends.append(reader.line_num)
                    if not rows:
                        return
                    starts = np.array(ends[:-1], dtype=np.int64) + layout.skipped + 1
                    if set(map(len, rows)) != {width}:
                        rows, starts = self._whole_rows(rows, starts)
                    if rows:
                        yield starts, rows
            except csv.Error as error:
                raise csv.Error(f"{error}, at line {reader.line_num + layout.skipped:,}") from error

    def _whole_rows(
        self, rows: list[list[str]], starts: NDArray[np.int64]
    ) -> tuple[list[list[str]], NDArray[np.int64]]:
        """Return rows without blank lines, comments and empty cells behind the last column; refuse the others."""
        width, kept = len(self.layout.names), []
        for i, row in enumerate(rows):
            if len(row) > width and not any(row[width:]):
                del row[width:]
            if len(row) == width:
                kept.append(i)
            elif len(row) > 1 or any(row):
                if row[0].startswith("#"):
                    continue
                raise ValueError(
                    f"{self.path} must have {width} cells in every row, but line {starts[i]:,} has {len(row)}"
                )
        return [rows[i] for i in kept], starts[kept]

    def decimal(self) -> str | None:
        """Return the decimal mark that all cells show, None where they show none."""
        if any(((block != np.floor(block)) & ~np.isnan(block)).any() for block in self.numbers):
            return self.writing.decimal
        found = [text for i, (index, _) in self.texts.items() if i not in self.as_text for text in index]
        return decimal_mark(found, self.layout.separator)

    def table(self, kinds: Mapping[str, str], lenient: bool) -> Table:
        """Return the table of the columns, each of the kind that its cells show or that `kinds` names."""
        writing = replace(self.writing, place=lambda row: f"line {self.lines[row]:,}")
        columns, notes = [], list(self.layout.notes)
        for i in sorted({*self.place, *self.texts}):
            name = self.layout.names[i]
            kind = kinds.get(name)
            if i in self.texts:
                index, codes = self.texts.pop(i)
                texts = Texts(np.concatenate(codes), list(index))
                column, note = writing.column(name, texts, kind, strict=not lenient)
            else:
                at = self.place[i]
                column, note = writing.numeric(name, np.concatenate([block[:, at] for block in self.numbers]), kind), ""
            if self.layout.header and name == f"column_{i}" and column.missing.all():
                continue  # a separator at the end of every row
            columns.append(column)
            notes += [note] if note else []
        return Table(tuple(columns), self.lines, tuple(notes))
