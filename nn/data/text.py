"""Text files of rows, such as CSV: read in blocks, so that a column of numbers is never held as text."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.data.cells import MISSING, Texts, Writing, decimal_mark
from nn.data.columns import positions
from nn.data.layout import Layout, encodings, find_layout, open_lines, rows_of
from nn.data.table import CATEGORY, Table

_BLOCK_ROWS, _BLOCK_CELLS = 4096, 1 << 18


def read_text(path: Path, options: dict[str, Any], kinds: Mapping[str, str] | None = None) -> Table:
    """Read a text file, plain or packed by gzip, by checked reading options; for `kinds` see `read_table`."""
    tried = encodings(path, options.get("encoding"))
    try:
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
    layout = find_layout(path, encoding, options)
    first = int(layout.row_names)
    own = layout.names[first:]
    lenient = kinds is not None  # a new file may lack what the training file had
    dropped = {own[i] for i in positions("drop", options.get("drop", ()), own, lenient)}
    kinds = dict(kinds or {}) | {
        own[i]: CATEGORY for i in positions("categorical", options.get("categorical", ()), own, lenient)
    }
    wanted = [i for i in range(first, len(layout.names)) if layout.names[i] not in dropped]
    as_text = {i for i in wanted if kinds.get(layout.names[i]) == CATEGORY}
    missing = MISSING | frozenset(options.get("missing", ()))
    for decimal in (layout.decimal, "," if layout.decimal == "." else "."):
        scan = _Scan(path, layout, Writing(decimal, missing), wanted, as_text)
        if "decimal" in options or scan.decimal() in (None, decimal):
            break
    else:
        scan = _Scan(path, layout, Writing(layout.decimal, missing), wanted, as_text)
    if not len(scan.lines):
        raise csv.Error("has no rows below its header" if layout.header else "is empty")
    try:
        return scan.table(kinds, lenient)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


class _Index(dict[str, int]):
    """Texts by the number that each got when it was first met."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


class _Scan:
    """The columns of a file: as blocks of numbers, or, from the first cell on that is none, as texts."""

    def __init__(
        self, path: Path, layout: Layout, writing: Writing, wanted: list[int], as_text: Collection[int]
    ) -> None:
        self.path, self.layout, self.writing = path, layout, writing
        self.as_text = frozenset(as_text)
        self.numbers: dict[int, list[NDArray[np.float64]]] = {i: [] for i in wanted}
        self.texts: dict[int, tuple[_Index, list[NDArray[np.int32]]]] = {}
        for i in as_text:
            self._turn(i)
        late = set()
        starts: list[NDArray[np.int64]] = []
        for lines, columns in self._blocks():
            for i in wanted:
                if i in self.texts:
                    self._add(i, columns[i])
                elif i not in late:
                    block = writing.numbers(columns[i])
                    if block is not None:
                        self.numbers[i].append(block)
                    elif not starts:
                        self._turn(i)
                        self._add(i, columns[i])
                    else:
                        late.add(i)
                        self.numbers[i].clear()
            starts.append(lines)
        self.lines = np.concatenate(starts) if starts else np.empty(0, dtype=np.int64)
        if late:
            for i in late:
                self._turn(i)
            for _, columns in self._blocks():
                for i in late:
                    self._add(i, columns[i])

    def _turn(self, i: int) -> None:
        del self.numbers[i]
        self.texts[i] = _Index(), []

    def _add(self, i: int, cells: tuple[str, ...]) -> None:
        index, codes = self.texts[i]
        codes.append(np.fromiter(map(index.__getitem__, cells), np.int32, len(cells)))

    def _blocks(self) -> Iterator[tuple[NDArray[np.int64], list[tuple[str, ...]]]]:
        """Yield blocks of rows: the lines at which they begin, and their cells column by column."""
        layout, width = self.layout, len(self.layout.names)
        size = max(1, min(_BLOCK_ROWS, _BLOCK_CELLS // width))
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
                        yield starts, list(zip(*rows, strict=True))
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
        blocks = chain.from_iterable(self.numbers.values())
        if any(((block != np.floor(block)) & ~np.isnan(block)).any() for block in blocks):
            return self.writing.decimal
        found = [text for i, (index, _) in self.texts.items() if i not in self.as_text for text in index]
        return decimal_mark(found, self.layout.separator)

    def table(self, kinds: Mapping[str, str], lenient: bool) -> Table:
        """Return the table of the columns, each of the kind that its cells show or that `kinds` names."""
        writing = replace(self.writing, place=lambda row: f"line {self.lines[row]:,}")
        columns, notes = [], list(self.layout.notes)
        for i in sorted([*self.numbers, *self.texts]):
            name = self.layout.names[i]
            kind = kinds.get(name)
            if i in self.numbers:
                column, note = writing.numeric(name, np.concatenate(self.numbers.pop(i)), kind), ""
            else:
                index, codes = self.texts.pop(i)
                texts = Texts(np.concatenate(codes), list(index))
                column, note = writing.column(name, texts, kind, strict=not lenient)
            if self.layout.header and name == f"column_{i}" and column.missing.all():
                continue  # a separator at the end of every row
            columns.append(column)
            notes += [note] if note else []
        return Table(tuple(columns), self.lines, tuple(notes))
