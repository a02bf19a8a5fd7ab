"""The scores of a study's settings as one table: a row for each setting, a column for each repeat or fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nn.metrics import metric_of
from tuning.analysis.ranking import sign
from tuning.space import Setting

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """The metric of every ranked setting, the best first: `values` (S, U), and `gains` (S, U) where more is better.

    The U columns are the folds where there are folds, each with the mean of its repeats, else the repeats. Repeats of a
    fold share its held-out examples: counted as independent, they would make every interval too short. Columns are
    paired: within one, all settings have the same examples, initial weights and shuffles.
    """

    params: Sequence[Setting]
    values: Array
    metric: str
    unit: str

    @property
    def gains(self) -> Array:
        """The values with the sign with which more is better."""
        return sign(self.metric) * self.values

    def rows(self, places: Sequence[int]) -> Scores:
        """Return the scores of some settings alone."""
        return Scores([self.params[i] for i in places], self.values[list(places)], self.metric, self.unit)

    @property
    def kind(self) -> str:
        """The bounds of the scores: "share" (0 to 1), "loss" (from 0), "r2" (up to 1), or "" where they have none."""
        low, high = metric_of(self.metric).bounds
        kind = {(0, 1): "share", (0, np.inf): "loss", (-np.inf, 1): "r2"}.get((low, high), "")
        return kind if np.all((self.values >= low) & (self.values <= high)) else ""
