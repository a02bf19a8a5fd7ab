"""The scores of a study's settings as one table: a row for each setting, a column for each repeat or fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nn.metrics import larger_is_better
from tuning.analysis.ranking import Summary
from tuning.space import Setting
from tuning.store import Trial, setting_text

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
        return self.values if larger_is_better(self.metric) else -self.values

    @property
    def units(self) -> int:
        """The number of columns, U."""
        return int(self.values.shape[1])

    def rows(self, places: Sequence[int]) -> Scores:
        """Return the scores of some settings alone."""
        return Scores([self.params[i] for i in places], self.values[list(places)], self.metric, self.unit)


def collect(ranked: Sequence[Summary], trials: Iterable[Trial], metric: str, repeats: int, folds: int | None) -> Scores:
    """Return the scores of `ranked` settings, all of whose trials are among `trials`."""
    place = {setting_text(summary.params): i for i, summary in enumerate(ranked)}
    cells = np.full((len(ranked), folds or 1, repeats), np.nan)
    for trial in trials:
        row = place.get(setting_text(trial.params))
        if row is not None:
            cells[row, trial.fold or 0, trial.repeat] = trial.metrics[metric]
    values = cells.mean(axis=2) if folds else cells[:, 0, :]
    return Scores([summary.params for summary in ranked], values, metric, "folds" if folds else "repeats")
