"""`Table`: columns of numbers and of categories, with their missing cells, as a file or a data frame has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBER, CATEGORY, DATE = "number", "category", "date"
KINDS = (NUMBER, CATEGORY, DATE)


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

    >>> ages = Column("age", "number", np.array([31.0, np.nan]))
    >>> cities = Column("city", "category", np.array([0, 1], dtype=np.int32), ("Bonn", "Jena"))
    >>> Table((ages, cities)).names
    ('age', 'city')
    """

    columns: tuple[Column, ...]
    lines: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

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
