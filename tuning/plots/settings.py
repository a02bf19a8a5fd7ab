"""What figures need of a study: its settings with their scores, and the checks that they can be drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nn.checks import brief, one_of
from tuning.analysis import larger_is_better
from tuning.plots.axes import order, shown
from tuning.space import Setting, Value
from tuning.store import COMPLETED, DIVERGED, setting_text
from tuning.study import Study

Array = NDArray[np.float64]
T = TypeVar("T")

MANY = 100
"""From this ratio of the largest to the smallest value on, an axis of positive numbers is logarithmic."""


@dataclass(frozen=True)
class Scored:
    """A setting with the scores of its trials that completed; `whole` when all repeats and folds did."""

    params: Setting
    values: Array  # (n,) finite values of the metric
    trials: int
    diverged: int
    whole: bool

    @property
    def mean(self) -> float:
        """The mean of its scores."""
        return math.fsum(self.values) / len(self.values)


def as_study(study: object, function: str) -> Study:
    """Return the study, or raise TypeError for what is none."""
    if not isinstance(study, Study):
        raise TypeError(f"{function} must get a Study, as sweep returns it, but got {brief(study)}")
    return study


def metric_of(study: Study, metric: str | None) -> str:
    """Return the metric by name, the one that decides unless given."""
    return study.metric if metric is None else one_of("metric", metric, study.definition["metrics"])


def parameter_of(study: Study, name: str, argument: str = "parameter") -> str:
    """Return the name of a hyper-parameter of the study, or raise ValueError."""
    known = list(dict.fromkeys(name for summary in study.summaries() for name in summary.params))
    if name not in known:
        names = ", ".join(known) or "none yet"
        raise ValueError(f"{argument} must be a hyper-parameter of the study, {names}, but got {brief(name)}")
    return name


def scored_settings(study: Study, metric: str) -> list[Scored]:
    """Return all settings in the order of the study. Raises ValueError where no trial has completed."""
    found: dict[str, list[tuple[str, float]]] = {}
    params: dict[str, Setting] = {}
    for trial in study.trials:
        text = setting_text(trial.params)
        params.setdefault(text, trial.params)
        found.setdefault(text, []).append((trial.state, trial.metrics.get(metric, math.nan)))
    result = []
    for text, trials in found.items():
        values = np.array([value for state, value in trials if state == COMPLETED and math.isfinite(value)])
        diverged = sum(state == DIVERGED for state, _ in trials)
        whole = len(values) == study.trials_per_setting
        result.append(Scored(params[text], values, len(trials), diverged, whole))
    if not any(len(scored.values) for scored in result):
        raise ValueError(f"a study must have a completed trial to be drawn, but: {study.describe_states()}")
    return result


def best_of(settings: Iterable[Scored], metric: str) -> Scored | None:
    """Return the best of the settings that are whole, or None."""
    sign = 1.0 if larger_is_better(metric) else -1.0
    return max((scored for scored in settings if scored.whole), key=lambda scored: sign * scored.mean, default=None)


def grouped(items: Iterable[T], key: Callable[[T], Value]) -> list[tuple[Value, list[T]]]:
    """Return items by a value, the values in order: numbers and layers first, then words."""
    groups: dict[Value, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return sorted(groups.items(), key=lambda pair: order(pair[0]))


def varied(settings: Iterable[Scored]) -> list[str]:
    """Return the hyper-parameters that were not the same in all settings, in the order of the study."""
    found: dict[str, set[Value]] = {}
    every = list(settings)
    for scored in every:
        for name, value in scored.params.items():
            found.setdefault(name, set()).add(value)
    return [name for name, values in found.items() if len(values) > 1 or any(name not in s.params for s in every)]


def spans_decades(values: Sequence[float]) -> bool:
    """Whether an axis with these numbers should be logarithmic."""
    return min(values) > 0 and max(values) >= MANY * min(values)


def short(value: Value) -> str:
    """Return a value as figures write it, to be read from the last row."""
    return shown(value, 3)


def repeats_text(study: Study) -> str:
    """Return what a band is over: "5 repeats", "3 repeats x 5 folds"."""
    parts = [f"{study.repeats} repeats"] * (study.repeats > 1) + [f"{study.folds} folds"] * bool(study.folds)
    return " x ".join(parts)
