"""The settings of a study with their scores by one metric, from which every chart is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from nn.checks import brief, one_of
from nn.metrics import full_name
from tuning.analysis import Importance, StudyLike, Summary, larger_is_better, metric_names, summarise
from tuning.charts.axes import Axis, order, scale_of, words
from tuning.space import Setting, Value, is_number, shown
from tuning.store import COMPLETED, DIVERGED, setting_text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScoredSetting:
    """One setting: `place` in the order of ranks, and its `score`, the mean over its trials (None if not finite).

    `rank` counts from 1 and is None where not every repeat and fold completed; `state` then says why. `values` are the
    finite scores of the trials that completed; of all `trials`, so many `diverged`.
    """

    place: int
    params: Setting
    state: str
    rank: int | None
    score: float | None
    values: tuple[float, ...]
    trials: int
    diverged: int

    def text(self, metric: str) -> str:
        """Return the lines that describe it where the mouse is."""
        head = f"rank {self.rank}" if self.rank is not None else self.state
        score = "" if self.score is None else f", {words(metric)} {self.score:.4f}"
        return "\n".join([head + score, *(f"{name} {shown(value)}" for name, value in self.params.items())])


@dataclass(frozen=True)
class ScoredStudy:
    """The settings of a study, the best first, with their scores by `metric`.

    `names` are all hyper-parameters in the order of the study, `data` is the name of its data set and `space` its space
    as text; `repeated` names the trials of a setting, "5 repeats" or "3 repeats x 5 folds", and is "" with one.
    """

    data: str
    metric: str
    space: dict[str, str]
    repeated: str
    names: tuple[str, ...]
    settings: tuple[ScoredSetting, ...]

    @classmethod
    def of(cls, study: StudyLike, metric: str | None = None) -> ScoredStudy:
        """Return the scores by a metric, or by the one that decides. Raises ValueError for an unknown metric."""
        definition = study.definition
        known = metric_names(definition, study.summaries())
        if metric is None or metric in known:
            metric = metric or study.metric
        else:
            metric = one_of("metric", full_name(metric), known)
        outcomes = list(study.trials.outcomes())
        own = metric == study.metric
        summaries = study.summaries() if own else summarise(outcomes, metric, study.trials_per_setting)
        by_text = {setting_text(summary.params): summary for summary in summaries}
        found: dict[str, list[tuple[str, float]]] = {text: [] for text in by_text}
        names: dict[str, None] = {}
        for text, state, metrics in outcomes:
            if text in by_text:  # another process may have added a setting since they were ranked
                names.update(dict.fromkeys(by_text[text].params))
                found[text].append((state, metrics.get(metric, math.nan)))
        settings = tuple(_scored(i, by_text[text], metric, found[text]) for i, text in enumerate(by_text))
        parts = [f"{study.repeats} repeats"] * (study.repeats > 1) + [f"{study.folds} folds"] * bool(study.folds)
        return cls(definition.data.name, metric, definition.space, " x ".join(parts), tuple(names), settings)

    @property
    def larger(self) -> bool:
        """True where a larger score is better."""
        return larger_is_better(self.metric)

    @cached_property
    def ranked(self) -> tuple[ScoredSetting, ...]:
        """The settings of which every repeat and fold completed, the best first."""
        return tuple(setting for setting in self.settings if setting.rank is not None)

    @cached_property
    def varied(self) -> list[str]:
        """The hyper-parameters that were not the same in all settings, in the order of the study."""
        values = {name: {s.params[name] for s in self.settings if name in s.params} for name in self.names}
        return [n for n in self.names if len(values[n]) > 1 or any(n not in s.params for s in self.settings)]

    @cached_property
    def numeric(self) -> list[str]:
        """The hyper-parameters that are a number in one setting at least."""
        return [name for name in self.names if any(is_number(s.params.get(name)) for s in self.settings)]

    def axis(self, name: str, *, continuous: bool = False) -> Axis:
        """Return the axis of a hyper-parameter with all values that it had."""
        values = (setting.params[name] for setting in self.settings if name in setting.params)
        return Axis.of(name, values, continuous=continuous, logarithmic=scale_of(self.space, name))

    def check_name(self, name: str, argument: str) -> None:
        """Raise ValueError where a name is none of the study's hyper-parameters."""
        if name not in self.names:
            names = ", ".join(self.names) or "none yet"
            raise ValueError(f"{argument} must be a hyper-parameter of the study, {names}, but got {brief(name)}")

    def top(self, count: int) -> ScoredStudy:
        """Return so many of the best settings alone."""
        kept = self.ranked[:count]
        return replace(self, settings=kept, names=tuple(n for n in self.names if any(n in s.params for s in kept)))


def _scored(place: int, summary: Summary, metric: str, outcomes: list[tuple[str, float]]) -> ScoredSetting:
    score = summary.metrics.get(metric, math.nan)
    values = tuple(value for state, value in outcomes if state == COMPLETED and math.isfinite(value))
    diverged = sum(state == DIVERGED for state, _ in outcomes)
    return ScoredSetting(
        place, summary.params, summary.state, summary.rank, score if math.isfinite(score) else None, values,
        len(outcomes), diverged,
    )  # fmt: skip


def by_importance(found: Importance, names: Iterable[str]) -> list[str]:
    """Return names of hyper-parameters, those first that explain most of the variance of the scores."""
    shares = found.shares or {}
    return sorted(names, key=lambda name: -shares.get(name, 0.0))


def importance_shares(found: Importance) -> dict[str, float]:
    """Return the share of the variance that each hyper-parameter explains, the largest first, and last what is left.

    Empty where the study has too few settings to tell.
    """
    if found.shares is None or found.rest is None:
        return {}
    shares = {words(name): found.shares[name] for name in by_importance(found, found.shares)}
    return {**shares, "interactions and noise": found.rest}


def grouped(items: Iterable[T], key: Callable[[T], Value]) -> list[tuple[Value, list[T]]]:
    """Return items by a value, the values in order: numbers and layers first, then words."""
    groups: dict[Value, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return sorted(groups.items(), key=lambda pair: order(pair[0]))
