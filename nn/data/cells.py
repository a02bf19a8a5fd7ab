"""Cells: what their writing says about a column, which is of numbers, of dates, or of categories."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.data.table import CATEGORY, DATE, NUMBER, Column

BLANKS = " "
SEPARATORS = {"tab": "\t", "\\t": "\t", "blanks": BLANKS, "blank": BLANKS, "space": BLANKS}
"""Words for separators that are hard to see or to type."""

MISSING = frozenset(
    ["", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "None", "NaT", "-", "."]
)
"""What stands in a cell that is missing."""

AMONG_WORDS = frozenset(["None"])
"""What of it is a level in a column of words, as in none, some, marked, unless it is named as missing."""

NEARLY_ALL = 0.9
"""Where this share of a column's cells are numbers, or dates, the others are refused as mistakes."""

_MOST_WHOLE = 2.0**53
_MOST_LEVELS = 20
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_GROUP = "[ '’\u00a0\u202f{other}]"
_LEADING_ZERO = re.compile(r"0[0-9]+")
_DIGITS = re.compile(r"[+-]?[0-9]+")
_WORD = re.compile(r"[^0-9]*[^\W0-9_][^0-9]*")
_CODE = re.compile(r"(?P<before>[^\W\d_]{0,2})[0-9]+(?P<after>[^\W\d_]?)")
_INVISIBLE = "\x1a\u200b\ufeff"  # the mark that DOS ends files with, blanks without a width
_UNIT = re.compile(
    r"(?P<before>[$€£¥]?)\s*(?P<number>[+-]?[0-9][0-9.,'’\s]*?)\s*(?P<after>%|[^\W\d_].{0,9}|[°€£¥].{0,9}|)"
)
_TIME = r"(?:(?:T|\s+)([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?\s*(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
_YEAR_FIRST = re.compile(rf"([0-9]{{4}})([-/])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"([0-9]{{1,2}})([./-])([0-9]{{1,2}})\2([0-9]{{4}}){_TIME}")
_EPOCH = date(1970, 1, 1).toordinal()


def _number_pattern(decimal: str) -> re.Pattern[str]:
    mark, other = re.escape(decimal), re.escape("." if decimal == "," else ",")
    plain = rf"(?:[0-9]+{mark}?[0-9]*|{mark}[0-9]+)"
    grouped = (
        rf"[1-9][0-9]{{0,2}}(?P<mark>{_GROUP.format(other=other)})[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*(?:{mark}[0-9]*)?"
    )
    return re.compile(rf"[+-]?(?:{grouped}|{plain}{_EXPONENT})")


_NUMBERS = {decimal: _number_pattern(decimal) for decimal in ".,"}


def number_of(text: str, decimal: str = ".") -> float:
    """Return the number that a text without outer blanks stands for; NaN where it stands for none.

    Thousands may be set apart by the other mark, blanks or apostrophes.

    >>> number_of("1,250.5"), number_of("1.250,5", decimal=","), number_of("1_000")
    (1250.5, 1250.5, nan)
    """
    text = text.replace("\u2212", "-")
    found = _NUMBERS[decimal].fullmatch(text)
    if found is None:
        return np.nan
    if found["mark"]:
        text = text.replace(found["mark"], "")
    number = float(text.replace(",", "."))
    return number if np.isfinite(number) else np.nan


def decimal_mark(cells: Iterable[str], separator: str) -> str | None:
    """Return the decimal mark that cells are written with, or None where they do not tell.

    A mark before three digits may set thousands apart; every other one between digits tells.

    >>> decimal_mark(["1.234", "2,5"], ";"), decimal_mark(["1,234"], "|"), decimal_mark(["7"], "|")
    (',', '.', None)
    """
    votes = {".": 0, ",": 0}
    thousands = {".": 0, ",": 0}
    for cell in {cell for cell in cells if "." in cell or "," in cell}:
        text = cell.strip().lstrip("+-")
        if not text[:1].isdigit() and text[:1] not in votes:
            continue
        for mark, other in (".,", ",."):
            if mark not in text:
                continue
            if re.fullmatch(rf"[1-9][0-9]{{0,2}}(?:\{mark}[0-9]{{3}})+", text):
                if text.count(mark) > 1:
                    votes[other] += 1
                else:
                    thousands[mark] += 1
            elif re.fullmatch(rf"(?:[0-9]*|[0-9]{{1,3}}(?:\{other}[0-9]{{3}})+)\{mark}[0-9]*{_EXPONENT}", text):
                votes[mark] += 1
    if votes["."] != votes[","]:
        return max(votes, key=votes.__getitem__)
    if thousands[","] and not thousands["."]:
        return "," if separator == ";" else "."
    return "." if thousands["."] or votes["."] else None


@dataclass(frozen=True)
class Texts:
    """The cells of a column as texts: `codes` (N,) are positions in `distinct`."""

    codes: NDArray[np.int32]
    distinct: list[str]

    def merged(self, missing: frozenset[str], levels: frozenset[str] = frozenset()) -> Texts:
        """Return them without outer blanks; the code of a missing cell is −1, but `levels` are none among words."""
        known: dict[str, int] = {}
        stripped = [text.strip().strip(_INVISIBLE).strip() for text in self.distinct]
        if set(stripped) - missing == {"+"} and "-" in stripped:  # beside a plus, a minus is no missing cell
            missing -= {"-"}
        if not levels.isdisjoint(stripped):
            there = np.array([text not in missing for text in stripped])[self.codes]
            words = np.array([_WORD.fullmatch(text) is not None for text in stripped])[self.codes]
            missing -= levels if 2 * np.count_nonzero(there & words) >= np.count_nonzero(there) else frozenset()
        new = [-1 if text in missing else known.setdefault(text, len(known)) for text in stripped]
        codes = np.array(new, dtype=np.int32)[self.codes] if new else self.codes
        return Texts(codes, list(known))


@dataclass(frozen=True)
class Writing:
    """How the cells of a table are written.

    Attributes:
        decimal: The decimal mark.
        missing: What stands in missing cells.
        among_words: What of it is a level in columns of words.
        place: Returns the place of a row as errors tell it, "line 5" say.
    """

    decimal: str = "."
    missing: frozenset[str] = MISSING
    among_words: frozenset[str] = AMONG_WORDS
    place: Callable[[int], str] = "row {}".format

    @classmethod
    def of(cls, decimal: str, missing: Iterable[str] = ()) -> Writing:
        """Return the writing with a decimal mark and with more texts that are `missing`, wherever they stand."""
        named = frozenset(missing)
        return cls(decimal, MISSING | named, AMONG_WORDS - named)

    @cached_property
    def _marks_are_numbers(self) -> bool:
        return any(not np.isnan(number_of(mark, self.decimal)) for mark in self.missing)

    def numbers(self, cells: Sequence[str], columns: int = 1) -> NDArray[np.float64] | None:
        """Return a block of cells as numbers, NaN where one is missing; None unless all are plain numbers.

        What floats can't hold or tell apart is none: infinity, whole numbers over 2^53, and codes such as 007. Where
        the cells are those of several columns, None says only that each column is to be looked at alone.
        """
        try:
            if self._marks_are_numbers:
                raise ValueError
            plain = cells if self.decimal == "." else [cell.replace(".", "x").replace(",", ".") for cell in cells]
            numbers = np.fromiter(map(float, plain), np.float64, len(cells))
        except ValueError:
            if columns > 1:
                return None
            known: dict[str, float] = {}
            for cell in set(cells):
                number = self._plain(cell.strip())
                if number is None:
                    return None
                known[cell] = number
            numbers = np.fromiter(map(known.__getitem__, cells), np.float64, len(cells))
        whole = numbers == np.floor(numbers)
        if (np.isinf(numbers) | (whole & (np.abs(numbers) >= _MOST_WHOLE))).any():
            return None
        text = "\n\n".join(["", *cells, ""])
        if "_" in text:  # Python reads 1_000 as a number; in a file it is a word
            return None
        zeros = text.count("\n0") - text.count("\n0\n") - text.count("\n0.")
        if zeros and any(map(_LEADING_ZERO.fullmatch, cells)):
            return numbers if columns == 1 and not (whole | np.isnan(numbers)).all() else None
        return numbers

    def _plain(self, text: str) -> float | None:
        if text in self.missing:
            return np.nan
        if "_" in text or (self.decimal == "," and "." in text):
            return None
        try:
            return float(text.replace(",", ".") if self.decimal == "," else text)
        except ValueError:
            return None

    def column(self, name: str, texts: Texts, kind: str | None = None, strict: bool = True) -> tuple[Column, str]:
        """Return a column of the kind that its cells show, or of `kind`, and a note where it may surprise, or "".

        Numbers among which codes such as 207a stand are codes, and a few whole numbers among which words stand are
        categories. Raises ValueError where a cell is none of that kind; with `strict`, also where nearly all cells are
        numbers, or dates, and a few others seem to be mistakes.
        """
        cells = texts.merged(self.missing, self.among_words if kind in (None, CATEGORY) else frozenset())
        counts = np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.distinct))
        if kind == CATEGORY:
            return category(name, cells), ""
        if not cells.distinct:
            return Column(name, kind or NUMBER, np.full(len(cells.codes), np.nan)), ""
        values, note = np.array([number_of(text, self.decimal) for text in cells.distinct]), ""
        if np.isnan(values).all() or kind == NUMBER:
            values, note = self._without_unit(name, cells.distinct, values)
        read = ~np.isnan(values)
        if kind is None and read.all() and (why := _why_codes(cells.distinct, values, counts)):
            return category(name, cells), f"{name}: {why}, taken as categories"
        if kind in (None, NUMBER) and read.all():
            return Column(name, NUMBER, _spread(values, cells.codes)), note or self._thousands(name, cells.distinct)
        days, unclear = dates_of(cells.distinct)
        if kind in (None, DATE) and not np.isnan(days).any():
            return Column(name, DATE, _spread(days, cells.codes)), ""
        for own, known in ((NUMBER, read), (DATE, ~np.isnan(days))):
            if kind == own or (kind is None and strict and are_strays(cells.distinct, known, counts, words=False)):
                self._refuse(name, cells, known, own, kind is not None, unclear and own == DATE)
        if unclear:
            note = f"{name}: dates in which day and month can't be told apart, taken as categories"
        elif len(read) > _MOST_LEVELS and (share := float(counts[read].sum() / counts.sum())) >= 0.5:
            word = cells.distinct[int(np.argmin(read))]
            note = f"{name}: {share:.0%} of its cells are numbers, others such as {word!r} are not: taken as categories"
        elif read.any() and are_strays(cells.distinct, read, counts):
            note = f"{name}: {cells.distinct[int(np.argmin(read))]!r} stands among numbers: taken as categories"
        elif marks := sorted(self.among_words.intersection(cells.distinct)):
            note = f"{name}: {marks[0]} is taken as a category (missing={marks[0]} where it is missing)"
        return category(name, cells), note

    def numeric(self, name: str, values: NDArray[np.float64], kind: str | None) -> Column:
        """Return a column of plain numbers, which can't be dates."""
        if kind == DATE and not np.isnan(values).all():
            row = int(np.argmin(np.isnan(values)))
            raise ValueError(
                f"column {name!r} must have dates in every cell, but {self.place(row)} has {values[row]:g}; "
                f"name it as missing (missing={values[row]:g})"
            )
        return Column(name, kind or NUMBER, values)

    def _without_unit(self, name: str, distinct: list[str], values: NDArray[Any]) -> tuple[NDArray[Any], str]:
        """Return the numbers of cells that all have the same unit, at least 3 of them, and a note; or `values`."""
        found = [_UNIT.fullmatch(text) for text in distinct]
        units = {(one["before"], one["after"]) if one else None for one in found}
        unit = units.pop()
        if units or unit is None or unit == ("", "") or len(distinct) < 3:
            return values, ""
        numbers = np.array([number_of(one["number"].strip(), self.decimal) for one in found if one])
        if np.isnan(numbers).any():
            return values, ""
        return numbers, f"{name}: numbers in {''.join(unit)}"

    def _thousands(self, name: str, distinct: list[str]) -> str:
        """Return a note where a mark before three digits is taken to set thousands apart and nothing else shows it."""
        other = "," if self.decimal == "." else "."
        marked = [text for text in distinct if other in text]
        if not marked or any(text.count(other) > 1 or self.decimal in text for text in marked):
            return ""
        return (
            f"{name}: {marked[0]} is read as {number_of(marked[0], self.decimal):.0f} (decimal={other} for fractions)"
        )

    def _refuse(
        self, name: str, cells: Texts, known: NDArray[np.bool_], kind: str, forced: bool, unclear: bool
    ) -> None:
        """Refuse the first cell that is not `known`, with the options that help."""
        bad = (cells.codes >= 0) & ~known[cells.codes]
        row, count = int(np.argmax(bad)), int(bad.sum())
        text = cells.distinct[cells.codes[row]]
        shown = text if len(text) <= 40 else f"{text[:39]}…"
        others = f" (and {count - 1:,} more)" if count > 1 else ""
        way = "" if forced else f", or the column as categories (categorical={name})"
        if unclear:
            raise ValueError(
                f"column {name!r} must have dates whose day and month can be told apart, but {self.place(row)} has "
                f"{shown!r}; write the year first, as in 2020-01-31"
            )
        mark = "," if self.decimal == "." else "."
        if kind == NUMBER and not np.isnan(number_of(text, mark)):
            way = f", or the decimal mark (decimal={mark})"
        raise ValueError(
            f"column {name!r} must have {kind}s in every cell, but {self.place(row)} has {shown!r}{others}; "
            f"name it as missing (missing={shown}){way}"
        )


def category(name: str, cells: Texts) -> Column:
    """Return a column of categories whose levels are sorted; a code of −1 is a missing cell."""
    order = sorted(range(len(cells.distinct)), key=cells.distinct.__getitem__)
    rank = np.empty(len(order) + 1, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    rank[-1] = -1
    return Column(name, CATEGORY, rank[cells.codes], tuple(cells.distinct[i] for i in order))


def dates_of(texts: Sequence[str]) -> tuple[NDArray[np.float64], bool]:
    """Return days since 1970 for texts that are dates, NaN for others; and whether day and month can't be told apart.

    >>> dates_of(["1970-01-02", "3.1.1970", "1/31/1970", "1970-01-01 12:00"])
    (array([ 1. ,  2. , 30. ,  0.5]), False)
    """
    slashed = [found for text in texts if (found := _YEAR_LAST.fullmatch(text)) and found[2] != "."]
    day_first = any(int(found[1]) > 12 for found in slashed)
    month_first = any(int(found[3]) > 12 for found in slashed)
    unclear = bool(slashed) and day_first == month_first
    days = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        if found := _YEAR_FIRST.fullmatch(text):
            days[i] = _days(found[1], found[3], found[4], found.groups()[4:])
        elif (found := _YEAR_LAST.fullmatch(text)) and (found[2] == "." or not unclear):
            day, month = (found[3], found[1]) if found[2] != "." and month_first else (found[1], found[3])
            days[i] = _days(found[4], month, day, found.groups()[4:])
    return days, unclear


def _days(year: str, month: str, day: str, time: Sequence[str | None]) -> float:
    try:
        days = float(date(int(year), int(month), int(day)).toordinal() - _EPOCH)
    except ValueError:
        return np.nan
    hours, minutes, seconds, zone = time
    if hours is None or minutes is None:
        return days
    if int(hours) > 24 or int(minutes) > 59 or float(seconds or 0) >= 61:
        return np.nan
    total = int(hours) * 3600 + int(minutes) * 60 + float(seconds or 0)
    if zone and zone != "Z":
        total -= (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    return days + total / 86_400


def _why_codes(distinct: list[str], values: NDArray[Any], counts: NDArray[Any]) -> str:
    """Return why cells that look like numbers are codes, "" where they are numbers."""
    if all(map(_DIGITS.fullmatch, distinct)):
        if any(map(_LEADING_ZERO.fullmatch, distinct)):
            return "codes with leading zeros"
        if counts[np.abs(values) >= _MOST_WHOLE].sum() * 2 >= counts.sum():
            return "whole numbers over 2^53"
    return ""


def are_strays(distinct: list[str], known: NDArray[np.bool_], counts: NDArray[Any], words: bool = True) -> bool:
    """Return whether nearly all cells are `known` to be of a kind, or all but one, and the others seem to be mistakes.

    They are none among codes: whole numbers of which some have leading zeros, or two or more have a letter of their
    own, as 207a and 207b have; nor where a few whole numbers are no more frequent than they are. `words` says whether
    a word may be a mistake among a few whole numbers that recur, as "rotary" is none among 4, 6 and 8 cylinders.
    """
    right, wrong = int(counts[known].sum()), int(counts[~known].sum())
    if not wrong or not (right >= NEARLY_ALL * (right + wrong) or (wrong == 1 and right >= 3)):
        return False
    others = [text for text, one in zip(distinct, known, strict=True) if not one]
    if not all(_DIGITS.fullmatch(text) for text, one in zip(distinct, known, strict=True) if one):
        return True
    if any(map(_LEADING_ZERO.fullmatch, distinct)) or _have_letters_of_their_own(others):
        return False
    usual = float(np.median(counts[known]))
    few = len(distinct) <= _MOST_LEVELS
    if few and not words and usual >= 2 and all(map(_WORD.fullmatch, others)):
        return False
    return not (few and counts[~known].min() >= max(2.0, usual / 2))


def _have_letters_of_their_own(texts: list[str]) -> bool:
    """Return whether texts are two or more codes of digits and a letter, which is no unit behind each of them."""
    found = [_CODE.fullmatch(text) for text in texts]
    units = {one["after"] if not one["before"] else None for one in found if one}
    return len(found) > 1 and all(found) and (len(units) > 1 or None in units)


def _spread(values: NDArray[Any], codes: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the value of each code (N,), NaN for −1."""
    return np.append(values, np.nan)[codes]
