"""`Encoding`: what a network sees of a table, decided by the rows that it is trained on and by no others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn._arrays import as_array
from nn.checks import warn
from nn.data.frames import is_frame, table_of_frame
from nn.data.table import CATEGORY, KINDS, NUMBER, Column, Table, as_kind, checked_table, listed, table_of_array

FEW_ROWS = 3
"""The rows from which a weight of its own can be learned: for a level of a category, or for missing cells."""

_MISSING_SHARE = 0.05  # fewer missing cells than that are filled without a mark: they hardly move a mean
_ROWS_PER_LEVEL = 4  # a category has at most one level for so many rows, lest it outgrow the data …
_MOST_LEVELS = 100  # … and never more than this
_FEW_VALUES = 20  # whole numbers with so few values may be names of groups; among more rows …
_ROWS_PER_VALUE = 15  # … so may one value for so many rows
_TEXT_LEVELS = 20  # texts with more levels than that, over half as many as rows, are names or remarks

_NEARLY_EACH = 0.9  # an identifier may recur where a person comes again, in one row of ten at most

_IDENTIFIERS = re.compile(
    "(case|subj|subject|person|hh|household|fam|family|patient|pat|user|customer|cust|client|emp|employee|student|study|"
    "school|order|item|product|sample|record|rec|row|obs|line|serial|passenger|account|acc|doc|document|invoice|inv|"
    "dist|district|city|county|state|country|town|zip|postal|station|site|plot|house|player|team|game|match|event|member|"
    "participant|respondent|resp|animal|car|vehicle|flight|trip|ticket|transaction|session|policy|claim|loan|contract|"
    "reg|ref|reference|seq|sequence|unique|p|u|r|n|s)?"
    "(ids?|no|nr|idx|index|key|cod|num|number|uid|uuid|names?)|[a-z]*codes?|[a-z]+[^abcdgklmopruv]id|"
    "row|obs|case|observation|unnamed|serial|fips|zip|ssn|isbn|ean|barcode"
)
_TIMES = re.compile("(time|date|day|week|month|quarter|year|hour|minute|second|period|trend|age)s?|t")
_RANKS = re.compile("rank|ranking|place|position|pos")
_WORDS = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True)
class ColumnCode:
    """How one column is encoded, or why it is left out.

    Attributes:
        name, kind: Those of the column.
        left_out: The reason in words; empty where the column is used.
        levels: The levels of a category that are told apart; the values of a whole number that have a feature each.
        rare: Its levels that are one, "other", together.
        missing: Whether a missing cell is told apart.
        fill: What a missing cell counts as: the median; where it is not told apart, the most frequent level.
    """

    name: str
    kind: str
    left_out: str = ""
    levels: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    missing: bool = False
    fill: float | str | None = None

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes; two things that exclude each other need but one."""
        if self.left_out:
            return ()
        missing = (f"{self.name} missing",) * self.missing
        levels = tuple(f"{self.name}={level}" for level in self.levels)
        if self.kind != CATEGORY:
            return (self.name, *missing, *levels)
        names = (*levels, *(f"{self.name}=other",) * bool(self.rare))
        return (names + missing)[-1:] if len(names + missing) == 2 else names + missing

    def encode(self, column: Column) -> NDArray[np.float64]:
        """Return the features (N, K) of the column's cells."""
        if self.kind != CATEGORY:
            gone = column.missing
            filled = np.where(gone, float(self.fill or 0.0), column.values)
            equal = [column.values == float(level) for level in self.levels]
            return np.column_stack([filled, *([gone] if self.missing else []), *equal]).astype(np.float64)
        places = {level: place for place, level in enumerate(self.levels)}
        places |= dict.fromkeys(self.rare, len(self.levels))
        blank = len(self.levels) + bool(self.rare) if self.missing else places[str(self.fill)]
        new = len(self.levels) if self.rare else blank
        # A missing cell is −1, so that the last place is its own.
        codes = np.array([*(places.get(level, new) for level in column.levels), blank])[column.values]
        first = 1 if len(self.features) == 1 else 0
        return (codes[:, None] == np.arange(first, first + len(self.features))).astype(np.float64)

    def warn_of_new_levels(self, column: Column) -> None:
        """Warn of levels that training did not have, with the number of their rows and what they are taken as."""
        if self.kind != CATEGORY:
            return
        known = {*self.levels, *self.rare}
        rows = np.array([*(level not in known for level in column.levels), False])[column.values]
        if rows.any():
            count, levels = int(rows.sum()), [column.levels[place] for place in np.unique(column.values[rows])]
            taken = "other" if self.rare else "missing" if self.missing else f"{self.fill!r}, the most frequent"
            warn(
                f"column {self.name!r} has categories that training did not have, in {count:,} "
                f"{'row' if count == 1 else 'rows'}, taken as {taken}: {listed(levels)}",
            )


@dataclass(frozen=True, eq=False)
class Encoding:
    """From the columns of a table to the features of a network, by the statistics of the training rows.

    Left out are row numbers, identifiers, texts that hardly repeat, constants, and columns without a value. Numbers are
    filled with the median, and marked by a feature of their own where at least 5 % are missing; a date is its number of
    days. Whole numbers with few values, at most 20 or one for 15 rows, may be names, as of schools or persons: each
    value has a feature too, beside the number. A category has a feature for each level, two levels one in all. The
    levels with one or two rows share the feature "other", from which no weight of their own could be learned; so do
    those beyond a quarter of the rows. A missing cell is a level where training had one, and the most frequent level
    otherwise. A level that training did not have is taken as "other", whose weight was learned from levels as strange;
    where there is none, as missing.

    >>> city = Column("city", "category", np.array([0, 1, 2] * 18, np.int32), ("Bonn", "Jena", "Ulm"))
    >>> encoding = Encoding.fit(Table((Column("id", "number", np.arange(1.0, 55.0)), city)))
    >>> encoding.feature_names, encoding.left_out
    (('city=Bonn', 'city=Jena', 'city=Ulm'), {'id': 'a number for each row'})
    """

    columns: tuple[ColumnCode, ...]

    @classmethod
    def fit(cls, table: Table) -> Encoding:
        """Return the encoding by these rows. Raises ValueError where no column is left to learn from."""
        encoding = cls(tuple(_code(column, is_first=i == 0) for i, column in enumerate(table)))
        if not encoding.feature_names:
            raise ValueError(
                "the features must have a column to learn from, but all are left out: "
                + (encoding.why_left_out or "there is none")
            )
        return encoding

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features in their order, such as "age", "age missing" and "city=Bonn"."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def left_out(self) -> dict[str, str]:
        """The names of the columns that are left out, and why."""
        return {column.name: column.left_out for column in self.columns if column.left_out}

    @property
    def why_left_out(self) -> str:
        """The columns that are left out, with the reasons, in one line; empty where all are used."""
        return ", ".join(f"{name or 'the column without a name'} ({why})" for name, why in self.left_out.items())

    @property
    def kinds(self) -> dict[str, str]:
        """The kind that each used column of a new file must be read as, by name."""
        return {column.name: column.kind for column in self.columns if not column.left_out}

    @cached_property
    def indicators(self) -> NDArray[np.bool_]:
        """Whether each feature (D,) says by 1 that something holds, and is no number."""
        return np.array([c.kind == CATEGORY or k > 0 for c in self.columns for k in range(len(c.features))])

    def transform(self, table: Table) -> NDArray[np.float64]:
        """Return the features (N, D) of a table that has the used columns, in any order."""
        result = np.empty((len(table), len(self.feature_names)))
        start = 0
        for code in self.columns:
            stop = start + len(code.features)
            if stop > start:
                result[:, start:stop] = code.encode(table[code.name])
            start = stop
        return result

    def match(self, X: Any) -> Table:
        """Return the used columns of new examples, in order.

        Warns, in one line each, of columns that training did not have, which are ignored, and of new levels.

        Args:
            X (Table, frame or array (N, columns)): A table or frame has its columns in any order; those that are left
                out need not be there. An array has all columns of the training table, which must have been numbers.

        Raises:
            ValueError, TypeError: For columns that are missing or of another kind.
        """
        table = X if isinstance(X, Table) else table_of_frame(X, self.kinds) if is_frame(X) else self._of_array(X)
        missing = [name for name in self.kinds if name not in table.names]
        if missing:
            raise ValueError(
                f"X must have the columns of the training data, but lacks {listed(missing)}; "
                f"it has {listed(table.names)}"
            )
        known = {code.name for code in self.columns}
        extra = [name for name in table.names if name not in known]
        if extra:
            warn(f"columns that training did not have are ignored: {listed(extra)}")
        columns: list[Column] = []
        for code in self.columns:
            if not code.left_out:
                columns.append(as_kind(table[code.name], code.kind))
                code.warn_of_new_levels(columns[-1])
        return Table(tuple(columns), table.lines)

    def equals(self, other: Encoding | None) -> bool:
        """Return whether the other encoding does the same."""
        return other is not None and self.columns == other.columns

    def to_json(self) -> list[dict[str, Any]]:
        """Return the plain values that `from_json` takes."""
        return [asdict(code) for code in self.columns]

    @classmethod
    def from_json(cls, content: Any) -> Encoding:
        """Return the encoding that `to_json` was called on. Raises ValueError for anything else."""
        try:
            encoding = cls(tuple(_code_of_json(**each) for each in content))
        except TypeError as error:
            raise ValueError(f"an encoding must be a list of columns as it was saved, but {error}") from error
        if not encoding.feature_names or len({code.name for code in encoding.columns}) < len(encoding.columns):
            raise ValueError("an encoding must have features, and columns with different names")
        return encoding

    def _of_array(self, X: Any) -> Table:
        names, texts = [code.name for code in self.columns], [n for n, kind in self.kinds.items() if kind != NUMBER]
        if texts:
            raise TypeError(
                f"X must be a data frame or table with the columns of the training data, where {listed(texts)} had no "
                f"numbers, but got {type(X).__name__}"
            )
        array = as_array("X", X)
        if array.ndim != 2 or array.shape[1] != len(names) or array.dtype.kind not in "biuf":
            raise ValueError(
                f"X must be numbers in the {len(names)} columns of the training data, {listed(names)}, "
                f"but got {array.dtype} {array.shape}"
            )
        return checked_table(table_of_array(array, names))


def _code(column: Column, is_first: bool) -> ColumnCode:
    """Return the code of a column by its cells."""
    gone = column.missing
    name, kind, missing = column.name, column.kind, int(gone.sum())
    if missing == len(gone):
        return ColumnCode(name, kind, "empty")
    there = column.values[~gone]
    if kind == CATEGORY:
        return _category(column, np.bincount(there, minlength=len(column.levels)), missing)
    marked = missing >= max(FEW_ROWS, _MISSING_SHARE * len(gone))
    if not marked and np.all(there == there[0]):
        return ColumnCode(name, kind, "constant")
    if kind == NUMBER and _tells_rows_apart(column, is_first):
        return ColumnCode(name, kind, "a number for each row")
    levels = _values(there) if kind == NUMBER else ()
    return ColumnCode(name, kind, missing=marked, levels=levels, fill=float(np.median(there)))


def _values(numbers: NDArray[np.float64]) -> tuple[str, ...]:
    """Return the values that have a feature of their own, as texts: of whole numbers with few values, but for two."""
    if np.any(numbers != np.floor(numbers)):
        return ()
    values, counts = np.unique(numbers, return_counts=True)
    most = max(_FEW_VALUES, min(_MOST_LEVELS, len(numbers) // _ROWS_PER_VALUE))
    if not 2 < len(values) <= most:
        return ()
    return tuple(f"{value:.0f}" for value in values[counts >= FEW_ROWS])


def _category(column: Column, counts: NDArray[np.int64], missing: int) -> ColumnCode:
    name, kind, rows = column.name, column.kind, int(counts.sum())
    distinct = int((counts > 0).sum())
    if distinct == 1 and not missing:
        return ColumnCode(name, kind, "constant")
    if distinct == rows > 2:
        return ColumnCode(name, kind, "a text for each row")
    if distinct > _TEXT_LEVELS and distinct > rows / 2:
        nearly = distinct >= _NEARLY_EACH * rows
        return ColumnCode(name, kind, "a text for nearly each row" if nearly else "texts that hardly repeat")
    most = min(_MOST_LEVELS, max(2, rows // _ROWS_PER_LEVEL))
    order = np.argsort(-counts, kind="stable")
    kept = [int(place) for place in order[:most] if counts[place] >= FEW_ROWS]
    rare = [int(place) for place in order[len(kept) :] if counts[place] > 0]
    if len(rare) == 1:
        kept, rare = kept + rare, []
    if len(kept) + bool(rare) + bool(missing) < 2:
        return ColumnCode(name, kind, "texts that hardly repeat")
    levels, others = (tuple(column.levels[place] for place in sorted(places)) for places in (kept, rare))
    fill = None if missing else column.levels[int(order[0])]
    return ColumnCode(name, kind, "", levels, others, bool(missing), fill)


def _all_numbers(texts: Sequence[str]) -> bool:
    try:
        return bool(np.isfinite([float(text) for text in texts]).all())
    except ValueError:
        return False


def _tells_rows_apart(column: Column, is_first: bool) -> bool:
    """Return whether whole numbers, of another value in each row, have an identifier's name or count the rows.

    The rows of a training part are some of all rows, so that their numbers have gaps. What counts under the name of a
    time is a time. What counts in another order than that of the rows may be ranks, unless it stands first.
    """
    values = column.values[~column.missing]
    n, ordered = len(values), np.sort(values)
    if not n or np.any(values != np.floor(values)):
        return False
    distinct = 1 + np.count_nonzero(ordered[1:] > ordered[:-1])
    words = [word.lower() for word in _WORDS.findall(column.name)]
    last = words[-1] if words else ""
    if not re.search(r"\w", column.name) or _IDENTIFIERS.fullmatch(last) or _IDENTIFIERS.fullmatch("".join(words)):
        return bool(distinct >= _NEARLY_EACH * n)
    low, high = ordered[0], ordered[-1]
    if distinct < n or n < len(column) or low < 0 or low > 5 + n / 10 or _TIMES.fullmatch(last):
        return False
    if np.array_equal(values, ordered):
        return bool(high <= (4 * n if n >= 8 else low + n - 1))
    return bool(is_first and n >= 20 and high <= 2 * n and not _RANKS.fullmatch(last))


def _code_of_json(
    name: Any, kind: Any, left_out: Any, levels: Any, rare: Any, missing: Any, fill: Any, **others: Any
) -> ColumnCode:
    """Return a code from plain values that a file claims, held to what `_code` can give."""
    texts = [name, left_out, *levels, *rare]
    category = kind == CATEGORY
    sound = (
        not others
        and kind in KINDS
        and all(isinstance(text, str) for text in texts)
        and isinstance(levels, list | tuple)
        and isinstance(rare, list | tuple)
        and isinstance(missing, bool)
        and len({*levels, *rare}) == len(levels) + len(rare)
    )
    if sound and left_out:
        sound = not levels and not rare and not missing and fill is None
    elif sound and category:
        sound = (fill is None) if missing else isinstance(fill, str) and fill in (*levels, *rare)
        sound = sound and len(levels) + bool(rare) + missing >= 2
    elif sound:
        sound = not rare and isinstance(fill, float | int) and bool(np.isfinite(fill)) and _all_numbers(levels)
    if not sound:
        raise ValueError(f"an encoding must have columns as they were saved, but got a foreign one: {name!r}"[:200])
    return ColumnCode(name, kind, left_out, tuple(levels), tuple(rare), missing, fill)
