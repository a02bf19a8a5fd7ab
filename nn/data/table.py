"""`Table`: columns of numbers and of categories, with their missing cells, as a file or a data frame has them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import brief, unknown_name, warn

NUMBER, CATEGORY, DATE = "number", "category", "date"
KINDS = (NUMBER, CATEGORY, DATE)

_MOST_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Column:
    """The cells of one column, N of them.

    Attributes:
        name: The name that the file has for it.
        kind ({"number", "category", "date"}): The meaning of its cells; a date counts in days.
        values (array (N,)): float64, NaN where a cell is missing; for categories int32 positions in `levels`, −1 where
            a cell is missing.
        levels: The distinct texts of a category, sorted; empty for numbers and dates.
    """

    name: str
    kind: str
    values: NDArray[Any]
    levels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each cell is missing (N,)."""
        return self.values < 0 if self.kind == CATEGORY else np.isnan(self.values)

    def subset(self, rows: NDArray[np.int64]) -> Column:
        """Return the cells of some rows, in the order that they are given; the levels stay the same."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of the same length, each with a name of its own.

    Attributes:
        columns: The columns, in their order.
        lines (array (N,)): The rows' lines in the file; None for a table that comes from none.
        notes: What was decided in reading that a reader of the file might have decided otherwise, one line each.
        written: The names of all columns of the file, dropped ones among them, by which a number of a column counts;
            empty where they are those of the table.

    >>> ages = Column("age", "number", np.array([31.0, np.nan]))
    >>> cities = Column("city", "category", np.array([0, 1], dtype=np.int32), ("Bonn", "Jena"))
    >>> Table((ages, cities)).names
    ('age', 'city')
    """

    columns: tuple[Column, ...]
    lines: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in their order."""
        return tuple(column.name for column in self.columns)

    def subset(self, rows: NDArray[np.int64]) -> Table:
        """Return some of the rows, in the order that they are given."""
        lines = None if self.lines is None else self.lines[rows]
        return replace(self, columns=tuple(column.subset(rows) for column in self.columns), lines=lines)

    def without(self, names: Iterable[str]) -> Table:
        """Return the table without the columns of these names."""
        gone = set(names)
        return replace(self, columns=tuple(column for column in self.columns if column.name not in gone))


def joined(tables: Sequence[Table]) -> Table:
    """Return the rows of tables with the same columns one after another.

    Raises ValueError where the columns have other names or kinds than those of the first.
    """
    first = tables[0]
    for other in tables[1:]:
        here, there = ({c.name: c.kind for c in table} for table in (first, other))
        if here != there:
            name = next(name for name in {**here, **there} if here.get(name) != there.get(name))
            kinds = " and ".join(f"a {kind}" if kind else "missing" for kind in (here.get(name), there.get(name)))
            raise ValueError(f"the parts must have the same columns, but {name!r} is {kinds} in two of them")
    columns = tuple(_one_below_another([table[name] for table in tables]) for name in first.names)
    return Table(columns, notes=first.notes)


def _one_below_another(columns: list[Column]) -> Column:
    first = columns[0]
    if first.kind != CATEGORY:
        return replace(first, values=np.concatenate([column.values for column in columns]))
    levels = tuple(sorted({level for column in columns for level in column.levels}))
    places = {level: place for place, level in enumerate(levels)}
    # A missing cell is −1, so that the last place is its own.
    codes = [np.array([*(places[level] for level in c.levels), -1], dtype=np.int32)[c.values] for c in columns]
    return replace(first, values=np.concatenate(codes), levels=levels)


def table_of_array(X: NDArray[Any], names: Sequence[str]) -> Table:
    """Return the table of numbers X (N, len(names))."""
    columns = np.array(X.T, dtype=np.float64, order="C")
    return Table(tuple(Column(name, NUMBER, values) for name, values in zip(names, columns, strict=True)))


def chosen_names(option: str, wanted: Any, table: Table) -> tuple[str, ...]:
    """Return the names of the columns of a table that an option names, or numbers as the file counts them.

    >>> column = Column("b", "number", np.zeros(2))
    >>> chosen_names("target_column", 1, Table((column,), written=("a", "b")))
    ('b',)
    """
    written = table.written or table.names
    names = tuple(written[i] for i in positions(option, wanted, written))
    for name in names:
        if name not in table.names:
            raise ValueError(f"drop must have other columns than {option}, but both have {name!r}")
    return names


def as_kind(column: Column, kind: str) -> Column:
    """Return a column as one of the kind that training had, which a few cells may not show by themselves.

    A column without a value can be of any kind, and numbers can be categories. Raises ValueError for others.
    """
    if column.kind == kind:
        return column
    if column.missing.all():
        values = np.full(len(column), -1, np.int32) if kind == CATEGORY else np.full(len(column), np.nan)
        return Column(column.name, kind, values)
    if kind != CATEGORY or column.kind != NUMBER:
        raise ValueError(f"column {column.name!r} of X must be a {kind} as in training, but is a {column.kind}")
    texts = [
        "" if value != value else f"{value:.0f}" if value.is_integer() else repr(value)
        for value in column.values.tolist()
    ]
    levels = tuple(sorted({*texts} - {""}))
    places = {level: place for place, level in enumerate(levels)} | {"": -1}
    return Column(column.name, kind, np.array([places[text] for text in texts], np.int32), levels)


def numbers_of(table: Table, names: Sequence[str] | None) -> NDArray[np.float64]:
    """Return the columns of these names, which must be numbers, as an array (N, D); all where none are named.

    Warns, in one line, of columns that are ignored. Raises ValueError for missing columns and cells.
    """
    wanted = table.names if names is None else tuple(names)
    missing = [name for name in wanted if name not in table.names]
    if missing or len(table.names) < len(wanted):
        raise ValueError(
            f"X must have the columns of the training data, but lacks {listed(missing)}; it has {listed(table.names)}"
        )
    extra = [name for name in table.names if name not in wanted]
    if extra:
        warn(f"columns that training did not have are ignored: {listed(extra)}")
    for name in wanted:
        column = table[name]
        if column.kind != NUMBER or column.missing.any():
            what = f"is a {column.kind}" if column.kind != NUMBER else f"lacks {int(column.missing.sum()):,} of them"
            raise ValueError(f"column {name!r} of X must have numbers, as in training, but {what}")
    return np.column_stack([table[name].values for name in wanted])


def checked_table(table: Table) -> Table:
    """Return the table; raise ValueError where a number is infinite."""
    for column in table:
        wide = np.isinf(column.values) if column.kind != CATEGORY else np.zeros(1)
        if wide.any():
            row = int(np.argmax(wide))
            place = f"row {row:,}" if table.lines is None else f"line {table.lines[row]:,}"
            raise ValueError(
                f"X must be finite, but column {column.name!r} has infinity in {int(wide.sum()):,} rows, "
                f"first in {place}; fill it"
            )
    return table


def listed(names: Sequence[str]) -> str:
    """Return some of the names, for one line."""
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8:,} more"


def positions(option: str, wanted: Any, names: Sequence[str], lenient: bool = False) -> list[int]:
    """Return the positions in `names` of one column or several, each given by its name or number.

    A negative number counts from the end. With `lenient`, names that are not there are passed over.

    >>> positions("drop", ["b", -1], ["a", "b", "c"])
    [1, 2]
    """
    many = wanted if isinstance(wanted, list | tuple) else [wanted]
    chosen = [
        _position(option, one, names) for one in many if not (lenient and isinstance(one, str) and one not in names)
    ]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{option} must be one column or a list of different ones, but got {brief(wanted)}")
    return chosen


def _position(option: str, wanted: Any, names: Sequence[str]) -> int:
    width = len(names)
    if isinstance(wanted, str):
        if wanted in names:
            return names.index(wanted)
        if not wanted.lstrip("-").isdecimal():
            raise _unknown(option, wanted, names)
        wanted = int(wanted)
    if not isinstance(wanted, int | np.integer) or isinstance(wanted, bool) or not -width <= wanted < width:
        raise ValueError(
            f"{option} must be a column's name or a number from {-width} to {width - 1}, but got {brief(wanted)}"
        )
    return int(wanted) % width


def _unknown(option: str, wanted: str, names: Sequence[str]) -> ValueError:
    if len(names) <= _MOST_SHOWN:
        return unknown_name(option, wanted, names)
    near = difflib.get_close_matches(wanted, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:_MOST_SHOWN])
    return ValueError(f"{option} must be one of the {len(names):,} columns ({shown}, …), but got {brief(wanted)}{hint}")


def distinct(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of columns, those that came before with a number behind them, and a note on each of these.

    >>> distinct(["a", "b", "a", "a_2"])
    (['a', 'b', 'a_3', 'a_2'], ['a stands over several columns: column 2 is called a_3'])
    """
    taken = set(names)
    result: list[str] = []
    notes: list[str] = []
    for i, name in enumerate(names):
        own = name
        if own in result:
            own = next(f"{name}_{n}" for n in count(2) if f"{name}_{n}" not in taken)
            notes.append(f"{name} stands over several columns: column {i} is called {own}")
        taken.add(own)
        result.append(own)
    return result, notes
