"""The ranking of settings by one metric, their means over repeats and folds.

A setting is ranked when all its trials, one for each repeat and fold, have completed with finite metrics. One that
diverged, failed or is not finished in any of them comes after all that are ranked, and can't win. Equal means are
ranked by the validation loss, then in the order in which the study visits the settings.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nn.metrics import larger_is_better
from tuning.space import Setting
from tuning.store import COMPLETED, setting_of

Outcome = tuple[str, int, "int | None", str, dict[str, float]]
"""(text of the setting, repeat, fold, state, metrics), as `StudyFile.outcomes` yields them."""

INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Summary:
    """A setting, summed up over its trials.

    `metrics` are means and `spreads` sample standard deviations (with two trials or more); `state` is "completed", or
    what kept the setting from being ranked; `rank` counts from 1, None where it is not ranked.
    """

    params: Setting
    metrics: dict[str, float]
    spreads: dict[str, float]
    trials: int
    state: str
    rank: int | None = None


@dataclass
class Leader:
    """The best setting so far, kept while trials arrive in any order; memory is held for unfinished settings only."""

    metric: str
    per_setting: int
    best: float | None = None
    params: str | None = None
    _open: dict[str, list[float]] = field(default_factory=dict)

    def add(self, setting: str, state: str, metrics: dict[str, float]) -> None:
        """Take in one trial of a setting, given as its text."""
        values = self._open.setdefault(setting, [])
        values.append(metrics.get(self.metric, math.nan) if state == COMPLETED else math.nan)
        if len(values) < self.per_setting:
            return
        del self._open[setting]
        mean = _mean(values)
        if math.isfinite(mean) and (self.best is None or self.reaches(mean, self.best, strictly=True)):
            self.best, self.params = mean, setting

    def reaches(self, value: float, target: float, *, strictly: bool = False) -> bool:
        """Whether a value is as good as the target, or `strictly` better."""
        if strictly:
            return value > target if larger_is_better(self.metric) else value < target
        return value >= target if larger_is_better(self.metric) else value <= target


def summarise(outcomes: Iterable[Outcome], metric: str, per_setting: int) -> list[Summary]:
    """Return one summary for each setting, the best first."""
    groups: dict[str, list[tuple[str, dict[str, float]]]] = {}
    for setting, _, _, state, metrics in outcomes:
        groups.setdefault(setting, []).append((state, metrics))
    sign = -1.0 if larger_is_better(metric) else 1.0
    summaries = [_summary(setting, trials, metric, per_setting) for setting, trials in groups.items()]

    def order(summary: Summary) -> tuple[bool, float, float]:
        if summary.state != COMPLETED:
            return True, 0.0, 0.0
        loss = summary.metrics.get("validation_loss", 0.0)
        return False, sign * summary.metrics[metric], loss if math.isfinite(loss) else math.inf

    summaries.sort(key=order)  # stable: what is equal stays in the order of the study
    ranked = sum(summary.state == COMPLETED for summary in summaries)
    return [
        Summary(s.params, s.metrics, s.spreads, s.trials, s.state, i + 1 if i < ranked else None)
        for i, s in enumerate(summaries)
    ]


def _summary(setting: str, trials: list[tuple[str, dict[str, float]]], metric: str, per_setting: int) -> Summary:
    states = [state for state, _ in trials]
    state = next((state for state in states if state != COMPLETED), COMPLETED)
    if state == COMPLETED and len(trials) < per_setting:
        state = INCOMPLETE
    names = dict.fromkeys(name for _, metrics in trials for name in metrics)
    columns = {name: [metrics.get(name, math.nan) for _, metrics in trials] for name in names}
    means = {name: _mean(values) for name, values in columns.items()}
    if state == COMPLETED and not math.isfinite(means.get(metric, math.nan)):
        state = "not finite"
    spreads = {name: _spread(values) for name, values in columns.items()} if len(trials) > 1 else {}
    return Summary(setting_of(setting), means, spreads, len(trials), state)


def _mean(values: Sequence[float]) -> float:
    """Return the mean, the same for any order of the values; NaN when one is not finite."""
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _spread(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
