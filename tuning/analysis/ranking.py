"""The ranking of settings by one metric, their means over repeats and folds.

A setting is ranked when all its trials, one for each repeat and fold, have completed with finite metrics. One that
diverged, failed or is not finished in any of them comes after all that are ranked, and can't win. Equal means are
ranked by the validation loss, then in the order in which the study visits the settings.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from nn.metrics import larger_is_better
from tuning.space import Setting
from tuning.store import COMPLETED, Outcome, setting_of

INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Summary:
    """A setting, summed up over its trials.

    `metrics` are means and `spreads` sample standard deviations (with two trials or more); `state` is "completed", or
    what kept the setting from being ranked, "2 of 3 completed, 1 diverged" where its trials ended in several ways,
    "validation_auc undefined" where they completed without a number for the metric that decides; `rank` counts from 1,
    None where it is not ranked.
    """

    params: Setting
    metrics: dict[str, float]
    spreads: dict[str, float]
    trials: int
    state: str
    rank: int | None = None


def sign(metric: str) -> float:
    """Return 1 for a score and -1 for a loss: times this, more is better."""
    return 1.0 if larger_is_better(metric) else -1.0


@dataclass
class Leader:
    """The best setting so far, kept while trials arrive in any order; memory is held for unfinished settings only."""

    metric: str
    per_setting: int
    best: float | None = None
    _open: dict[str, list[float]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Take in one trial."""
        values = self._open.setdefault(outcome.setting, [])
        values.append(outcome.metrics.get(self.metric, math.nan) if outcome.state == COMPLETED else math.nan)
        if len(values) < self.per_setting:
            return
        del self._open[outcome.setting]
        score = mean(values)
        if math.isfinite(score) and (self.best is None or sign(self.metric) * (score - self.best) > 0):
            self.best = score

    def reaches(self, target: float) -> bool:
        """Return whether the best is as good as the target."""
        return self.best is not None and sign(self.metric) * (self.best - target) >= 0


def summarise(outcomes: Iterable[Outcome], metric: str, per_setting: int) -> list[Summary]:
    """Return one summary for each setting, the best first."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.setting, []).append(outcome)
    summaries = [_summary(setting, trials, metric, per_setting) for setting, trials in groups.items()]

    def order(summary: Summary) -> tuple[bool, float, float]:
        if summary.state != COMPLETED:
            return True, 0.0, 0.0
        loss = summary.metrics.get("validation_loss", 0.0)
        return False, -sign(metric) * summary.metrics[metric], loss if math.isfinite(loss) else math.inf

    summaries.sort(key=order)  # stable: what is equal stays in the order of the study
    ranked = sum(summary.state == COMPLETED for summary in summaries)
    return [replace(summary, rank=i + 1 if i < ranked else None) for i, summary in enumerate(summaries)]


def reference_loss(summaries: Iterable[Summary]) -> float | None:
    """Return the lowest mean validation loss of the ranked settings, by which others are called underfit."""
    losses = [s.metrics.get("validation_loss", math.nan) for s in summaries if s.rank is not None]
    return min((loss for loss in losses if math.isfinite(loss)), default=None)


def mean(values: Sequence[float]) -> float:
    """Return the mean, the same for any order of the values; NaN for none, and when one is not finite."""
    return math.fsum(values) / len(values) if values and all(map(math.isfinite, values)) else math.nan


def spread(values: Sequence[float]) -> float:
    """Return the sample standard deviation likewise; NaN for a single value."""
    middle = mean(values)
    return math.sqrt(math.fsum((x - middle) ** 2 for x in values) / (len(values) - 1)) if len(values) > 1 else math.nan


def together(states: Sequence[str], expected: int) -> str:
    """Return the states of a setting's trials, of which so many are expected, in one text.

    >>> together(["completed", "diverged", "completed"], 3)
    '2 of 3 completed, 1 diverged'
    """
    counts = Counter(states)
    if len(counts) == 1:
        return states[0]
    others = (f"{count} {state}" for state, count in counts.items() if state != COMPLETED)
    return ", ".join([f"{counts[COMPLETED]} of {expected} completed", *others])


def _summary(setting: str, trials: list[Outcome], metric: str, per_setting: int) -> Summary:
    state = together([trial.state for trial in trials], per_setting)
    if state == COMPLETED and len(trials) < per_setting:
        state = INCOMPLETE
    names = dict.fromkeys(name for trial in trials for name in trial.metrics)
    columns = {name: [trial.metrics.get(name, math.nan) for trial in trials] for name in names}
    means = {name: mean(values) for name, values in columns.items()}
    if state == COMPLETED and not math.isfinite(means.get(metric, math.nan)):
        # Such as the area under a ROC curve where the validation part has one class.
        state = f"{metric} undefined"
    spreads = {name: spread(values) for name, values in columns.items()} if len(trials) > 1 else {}
    return Summary(setting_of(setting), means, spreads, len(trials), state)
