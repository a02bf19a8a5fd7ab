"""Layout: how a text file of rows is written: its encoding, its separator, its decimal mark and its header."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO, TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nn.data.cells import BLANKS, MISSING, SEPARATORS, decimal_mark, number_of
from nn.data.table import distinct

_FOUND = ("\t", "|", ";", ",", BLANKS)  # of two that fit a file equally well, the first is taken
_CHUNK = 1 << 20
_MOST_LINE = 1 << 24
_MOST_UNPACKED = 1 << 31
_SAMPLE_LINES, _SAMPLE_SIZE = (20, 500), 1 << 16
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_FALLBACKS = ("cp1252", "latin-1")  # the second has a character for every byte
ROW_NAMES = ("", "unnamed: 0", "rownames", "row.names")
"""The names of a first column that has names of rows, in lower case, as R and pandas write them."""

ROW_NAMES_NOTE = "the first column has names of rows: left out"
_YEARS = (1800, 2100)
_BEHIND_QUOTES = re.compile(r'" +(?=[,;|\t\r\n])')
_TOKENS = re.compile(r'"[^"]*"|\t')


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes:
        encoding, separator, decimal: As their names say; the separator " " stands for any number of blanks and tabs.
        skipped: The number of lines above the first row.
        header: Whether the first row has the columns' names.
        names: The names of all columns.
        row_names: Whether the first column has R's names of rows.
        notes: What was decided that might have been decided otherwise.
    """

    encoding: str
    separator: str
    decimal: str
    skipped: int
    header: bool
    names: tuple[str, ...]
    row_names: bool
    notes: tuple[str, ...]


def encodings(path: Path, given: str | None) -> tuple[str, ...]:
    """Return the encodings to try one after the other: the one that is `given`, or those that its first bytes allow."""
    if given is not None:
        return (given,)
    with _unpacked(path) as file:
        start = file.read(1024)
    for mark, encoding in _BOMS.items():
        if start.startswith(mark):
            return (encoding,)
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) * 4 > len(start):
        return ("utf-16-be" if even > odd else "utf-16-le",)
    return ("utf-8", *_FALLBACKS)


@contextmanager
def _unpacked(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            file.seek(0)
            with gzip.open(file) as unpacked:
                yield unpacked
        else:
            file.seek(0)
            yield file


@contextmanager
def open_lines(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    """Open a file, unpacked where it is packed, and give its lines with their ends.

    A line of more than 16 million characters is refused, and a packed file that unpacks to more than 2 GB.
    """
    with _unpacked(path) as file:
        text = TextIOWrapper(file, encoding, newline="")
        try:
            yield _lines(text, isinstance(file, gzip.GzipFile))
        finally:
            text.detach()


def _lines(file: TextIOWrapper, packed: bool) -> Iterator[str]:
    total, rest = 0, ""
    while chunk := file.read(_CHUNK):
        total += len(chunk)
        if "\0" in chunk:
            raise csv.Error("has zero bytes, as no text has")
        if packed and total > _MOST_UNPACKED:
            raise csv.Error(f"unpacks to more than {_MOST_UNPACKED:,} characters; unpack it first")
        chunk = rest + chunk
        cut = max(chunk.rfind("\n"), chunk.rfind("\r", 0, -1)) + 1  # a \r at the end may be half of \r\n
        rest = chunk[cut:]
        if len(rest) >= _MOST_LINE:
            raise csv.Error(f"has a line of more than {_MOST_LINE:,} characters")
        yield from StringIO(chunk[:cut], newline="")
    yield from StringIO(rest.removesuffix("\x1a"), newline="")  # the mark that DOS ends files with


def rows_of(lines: Iterable[str], separator: str, strict: bool = True) -> Any:
    """Return the reader (of the csv module) of the rows of cells in lines."""
    if separator == BLANKS:
        lines = (_only_blanks(line) for line in lines)
    else:
        lines = (_BEHIND_QUOTES.sub('"', line) if '" ' in line else line for line in lines)
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)


def _only_blanks(line: str) -> str:
    """Return a line with a blank for each tab outside quotes, and none at its end."""
    if "\t" in line:
        line = _TOKENS.sub(lambda found: " " if found[0] == "\t" else found[0], line)
    return line.rstrip() + "\n"


def find_layout(path: Path, encoding: str, options: dict[str, Any], known: Collection[str] = ()) -> Layout:
    """Find how a file is written from its first lines; what `options` say is taken from there.

    The names of columns that are `known` from another file tell whether the first row is a header.
    """
    sample, whole = _sample(path, encoding)
    separator = options.get("separator", "")
    separator = SEPARATORS.get(separator, separator)
    skipped, comment = 0, ""
    if sample and (found := re.fullmatch(r'"?sep=(.)"?', sample[0].strip("\r\n"))):
        separator, skipped = separator or found[1], 1
    if not all(line.startswith("#") for line in sample[skipped:]):
        while skipped < len(sample) and (not (text := sample[skipped].strip()) or text.startswith("#")):
            comment = text.lstrip("# ") or comment
            skipped += 1
    sample = sample[skipped:]
    separator = separator or find_separator(sample)
    rows = [[cell.strip() for cell in row] for row in rows_of(sample, separator, strict=False) if any(row)]
    rows = rows if whole else rows[:-1] or rows
    if not rows:
        raise csv.Error("is empty")
    decimal = options.get("decimal") or decimal_mark((cell for row in rows[1:] for cell in row), separator) or "."
    above: list[str] = next(rows_of([comment], separator, strict=False), [])
    header, note = options.get("header"), ""
    if header is None and known:
        numbered = all(re.fullmatch("column_[0-9]+", name) for name in known)
        header = True if any(cell in known for cell in rows[0]) else False if numbered else None
    if header is None and _are_names_of(above, rows, decimal):
        names, row_names, notes = _column_names(above, rows)
        header, note = False, "the comment above the rows has the columns' names"
    else:
        if header is None:
            header, note = _has_header(rows, decimal)
        if header:
            names, row_names, notes = _column_names(rows[0], rows[1:])
        else:
            names, row_names, notes = tuple(f"column_{i}" for i in range(len(rows[0]))), False, []
    notes += [note] if note else []
    if encoding in _FALLBACKS and "encoding" not in options:
        notes.append(f"read as {encoding}, as it is not UTF-8 (encoding={encoding})")
    return Layout(encoding, separator, decimal, skipped, header, names, row_names, tuple(notes))


def _sample(path: Path, encoding: str) -> tuple[list[str], bool]:
    """Return the first lines of a file, and whether they are all."""
    sample: list[str] = []
    size = 0
    with open_lines(path, encoding) as lines:
        for line in lines:
            if len(sample) >= _SAMPLE_LINES[1 if size < _SAMPLE_SIZE else 0]:
                return sample, False
            sample.append(line)
            size += len(line)
    return sample, True


def find_separator(lines: Sequence[str]) -> str:
    """Return the separator with which most rows have as many cells as the first, and fewest cells hold another one.

    >>> find_separator(["1,5;0", "2,5;1"]), find_separator(["a,b", "1,2"])
    (';', ',')
    """
    best, best_score = ",", (0.0, 0.0)
    for separator in _FOUND:
        try:
            rows = [row for row in rows_of(lines, separator, strict=False) if any(row)]
        except csv.Error:
            continue
        score = _fit(rows, separator)
        if score > best_score:
            best, best_score = separator, score
    return best


def _fit(rows: list[list[str]], separator: str) -> tuple[float, float]:
    """Return the share of rows of the usual width, and the share of their cells without another separator."""
    if not rows:
        return 0.0, 0.0
    widths = [len(row) for row in rows]
    usual = Counter(widths[1:] or widths).most_common(1)[0][0]
    if usual < 2:
        return 0.0, 0.0
    alike = widths.count(usual) / len(widths)
    first = widths[0] - sum(not cell for cell in reversed(rows[0][usual:]))
    named_rows = first == usual - 1 and (first > 1 or not np.isnan([number_of(row[-1]) for row in rows[1:]]).any())
    if first != usual and not named_rows:
        if separator == BLANKS:
            return 0.0, 0.0
        alike /= 2
    cells = [cell for row in rows[:100] for cell in row]
    return alike, sum(_is_one(cell, separator) for cell in cells) / len(cells)


def _is_one(cell: str, separator: str) -> bool:
    """Return whether a cell holds no other separator, as the comma of 1,5 is none; a blank is one between numbers."""
    if not any(other in cell for other in _FOUND if other != separator):
        return True
    if any(not np.isnan(number_of(cell.strip(), decimal)) for decimal in ".,"):
        return "," not in cell or separator != BLANKS or not cell.endswith(",")
    if any(other in cell for other in "\t|;," if other != separator):
        return False
    pieces = cell.split()
    return len(pieces) < 2 or any(np.isnan(number_of(piece, ",")) for piece in pieces)


def _is_number(cell: str, decimal: str) -> bool:
    return not np.isnan(number_of(cell, decimal))


def _are_names_of(above: list[str], rows: list[list[str]], decimal: str) -> bool:
    """Return whether a comment names the columns of the rows below it, which begin with one of numbers."""
    if len(above) < 2 or len(above) != len(rows[0]):
        return False
    return not any(_is_number(cell, decimal) for cell in above) and any(_is_number(cell, decimal) for cell in rows[0])


def _has_header(rows: list[list[str]], decimal: str) -> tuple[bool, str]:
    """Return whether the first of some rows has the columns' names, and a note where that may surprise."""
    first, body = rows[0], rows[1:]
    width = Counter(len(row) for row in body).most_common(1)[0][0] if body else len(first)
    if len(first) == width - 1:
        return True, ""
    columns = [[row[i] for row in body if i < len(row) and row[i] not in MISSING] for i in range(len(first))]
    numbers = [cell for cell in first if _is_number(cell, decimal)]
    differs = any(
        cell not in MISSING and not _is_number(cell, decimal) and below and all(_is_number(c, decimal) for c in below)
        for cell, below in zip(first, columns, strict=True)
    )
    if not numbers:
        recurs = any(cell and cell in below for cell, below in zip(first, columns, strict=True))
        if differs or not recurs:
            return any(first), ""
        return False, "the first row is taken for data, as its cells stand in other rows too (header=true for names)"
    run = _is_run(numbers)
    if run and not any(_is_run([row[first.index(n)] for n in numbers if first.index(n) < len(row)]) for row in body):
        if body:
            return (
                True,
                "the first row is taken for the columns' names, which count or are years (header=false for data)",
            )
    elif differs and len(set(numbers)) == len(numbers) and all(map(str.isdigit, numbers)):
        return (
            True,
            "the first row is taken for the columns' names, as rows below it differ in kind (header=false for data)",
        )
    return False, ""


def _is_run(cells: Sequence[str]) -> bool:
    """Return whether cells count 0, 1, 2, 3 … or are years in rising order, as names of columns do."""
    if not all(map(str.isdecimal, cells)):
        return False
    numbers = [int(cell) for cell in cells]
    if len(numbers) > 3 and numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] in (0, 1):
        return True
    rising = all(a < b for a, b in pairwise(numbers))
    return len(numbers) > 1 and rising and all(_YEARS[0] <= number <= _YEARS[1] for number in numbers)


def _column_names(names: list[str], body: list[list[str]]) -> tuple[tuple[str, ...], bool, list[str]]:
    """Return a name for each column, all different, whether the first column has names of rows, and notes."""
    width = Counter(len(row) for row in body).most_common(1)[0][0] if body else len(names)
    names = names[: width if not any(names[width:]) else None]
    if len(names) == width - 1:
        names = [*names, ""] if all(not row[-1] for row in body if len(row) == width) else ["", *names]
    row_names = width > 1 and len(names) > 1 and names[0].lower() in ROW_NAMES
    result, notes = distinct([name or f"column_{i}" for i, name in enumerate(names)])
    return tuple(result), row_names, [ROW_NAMES_NOTE] * row_names + notes
