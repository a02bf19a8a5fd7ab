"""The confusion matrix of a classifier with the names of its classes, as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.export.tables import aligned

MOST_CLASSES = 20
"""Of more classes, a matrix is too wide to be read: the commonest mistakes are shown."""
MOST_MISTAKES = 20
RETRAINED = "by the first trial of the best setting, which was trained once more"
_CORNER = "true \\ predicted"


@dataclass(frozen=True, eq=False, repr=False)
class Confusion:
    """How many examples of each class were predicted as which.

    Attributes:
        names: The classes.
        counts (array (K, K) of int): Row i, column j has the examples of class i that were predicted as j.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"Confusion({len(self.names):,} classes, {self.outcome})"

    def __str__(self) -> str:
        titles, rows = self.table()
        widest = max(len(row[0]) for row in (titles, *rows))
        return "\n".join(aligned([[row[0].ljust(widest), *row[1:]] for row in (titles, *rows)]))

    @property
    def whole(self) -> bool:
        """Whether there are so few classes that the whole matrix can be read."""
        return len(self.names) <= MOST_CLASSES

    @property
    def outcome(self) -> str:
        """How many were right, in words."""
        return f"{int(np.trace(self.counts)):,} of {int(self.counts.sum()):,} right"

    def lines(self) -> list[str]:
        """Return the matrix, or the commonest mistakes, under what they are."""
        title = "Confusion matrix" if self.whole else "Commonest mistakes"
        return [f"{title} on the validation part, {self.outcome}, {RETRAINED}:", *str(self).splitlines()]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return titles and rows as texts: the matrix, or of many classes the commonest mistakes."""
        if self.whole:
            rows = zip(self.names, self.counts.tolist(), strict=True)
            return [_CORNER, *self.names], [[name, *(f"{count:,}" for count in row)] for name, row in rows]
        return ["true class", "predicted", "examples", "of"], [
            [self.names[i], self.names[j], f"{self.counts[i, j]:,}", f"{self.counts[i].sum():,}"]
            for i, j in self.mistakes()[:MOST_MISTAKES]
        ]

    def mistakes(self) -> list[tuple[int, int]]:
        """Return the cells of the mistakes that were made, the commonest first."""
        wrong = self.counts * ~np.eye(len(self.names), dtype=bool)
        order: Any = np.argsort(-wrong, axis=None, kind="stable")
        return [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[i, j]]
