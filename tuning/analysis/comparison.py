"""Comparisons of settings: which are tied with the best, which learning rates are, and how lucky the best one is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning.analysis.intervals import CONFIDENCE, student_t_quantile
from tuning.analysis.ranking import Summary
from tuning.analysis.scores import Scores
from tuning.analysis.variances import moderated
from tuning.space import Setting, Value

ONE_UNIT = "one {unit} tells nothing about chance; give repeats=5 or folds=5"


def tied_with_best(scores: Scores) -> NDArray[np.bool_] | None:
    """Return for each setting (S,) whether it can't be told from the best, the first; None with one column.

    A setting s is tied with the best b unless the one-sided interval of their paired difference is above 0:

        mean(b − s) > t(1 − 0.05/(S − 1)) · sd/√U

    The level is divided by the number of comparisons (Bonferroni), and t is one-sided, for the best is the highest in
    the sample: so the tied settings together have the truly best one among them in 95 % of studies at least
    (multiple comparisons with the best, Hsu 1984). At such levels a bootstrap of a few columns has no quantiles, so it
    is Student's t. A handful of columns says little about sd: the variances of all differences inform each other, see
    `tuning.analysis.variances`, which gives t more degrees of freedom than U − 1.
    """
    settings, units = scores.values.shape
    if units < 2 or settings == 0:
        return None
    if settings == 1:
        return np.array([True])
    differences = scores.gains[0] - scores.gains
    variances, freedom = moderated(differences[1:].var(axis=1, ddof=1), units - 1)
    t = student_t_quantile(1 - (1 - CONFIDENCE) / (settings - 1), freedom)
    means = differences[1:].mean(axis=1)
    return np.concatenate([[True], means <= t * np.sqrt(variances / units)])


@dataclass(frozen=True)
class BestRate:
    """The best learning rate among the settings with this batch size and these hidden units.

    `low` and `high` are the ends of the interval: the lowest and highest rate that was tried and is tied with the best
    (None with one repeat or fold). `at_edge` says that the best is the lowest or highest rate tried for them, diverged
    ones included: a better one may lie outside.
    """

    group: Setting
    learning_rate: float
    low: float | None
    high: float | None
    score: float
    at_edge: bool


def best_rates(
    scores: Scores, summaries: Sequence[Summary], by: Sequence[str] = ("batch_size", "hidden_units")
) -> list[BestRate]:
    """Return the best learning rate of each group of settings with the same values of `by`, in the order of those.

    The interval is made of ties and not of resampled winners: the winner among a few rates of a grid jumps, which a
    bootstrap does not reproduce, while the rates tied with the best have the truly best one among them in 95 % of
    studies, as in `tied_with_best`.
    """
    groups: dict[tuple[Value, ...], list[int]] = {}
    tried: dict[tuple[Value, ...], set[float]] = {}
    for i, summary in enumerate(summaries):
        if _is_rate(summary.params.get("learning_rate")):
            key = _key(summary.params, by)
            tried.setdefault(key, set()).add(_rate(summary.params))
            if i < len(scores.params):  # it is ranked
                groups.setdefault(key, []).append(i)
    result = []
    for key, places in groups.items():
        part = scores.rows(places)
        tied = tied_with_best(part)
        best = _rate(part.params[0])
        rates = [] if tied is None else [_rate(params) for params, same in zip(part.params, tied, strict=True) if same]
        low, high = (min(rates), max(rates)) if rates else (None, None)
        names = {name: part.params[0][name] for name in by if name in part.params[0]}
        at_edge = len(tried[key]) > 1 and best in (min(tried[key]), max(tried[key]))
        result.append(BestRate(names, best, low, high, float(part.values[0].mean()), at_edge))
    return sorted(result, key=lambda rate: [_order(value) for value in rate.group.values()])


@dataclass(frozen=True)
class Optimism:
    """By how much the best score is expected to be too good, in units of the metric; None with the reason why."""

    value: float | None
    reason: str


def optimism(scores: Scores) -> Optimism:
    """Return the optimism of "best of N": the expected gap between the best score and its honest value.

    Of the U columns, one is left out at a time; the best setting of the others is chosen, and its score there is
    compared with its score in the one left out. The mean gap, times √((U−1)/U) for the noise of U columns in place of
    U − 1, is the bias of the winner: σ/√U times the expected maximum of N noises where all N settings are the same, and
    0 where one is ahead in every column. Without folds it is the part that is due to seeds; the held-out examples are
    the same in every repeat, and what is due to them does not show.
    """
    settings, units = scores.values.shape
    if settings == 0:
        return Optimism(None, "no setting is ranked")
    if units < 2:
        return Optimism(None, ONE_UNIT.format(unit=scores.unit.removesuffix("s")))
    gains = scores.gains
    others = (gains.sum(axis=1, keepdims=True) - gains) / (units - 1)
    chosen = others.argmax(axis=0)
    columns = np.arange(units)
    gap = float((others[chosen, columns] - gains[chosen, columns]).mean()) * math.sqrt((units - 1) / units)
    about = "" if scores.unit == "folds" else "; the part due to seeds, as all repeats share the held-out examples"
    return Optimism(max(0.0, gap), f"best of {settings:,}, leaving out one of {units} {scores.unit} at a time{about}")


def _is_rate(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rate(params: Setting) -> float:
    return float(params["learning_rate"])  # type: ignore[arg-type]


def _key(params: Setting, by: Sequence[str]) -> tuple[Value, ...]:
    return tuple(params.get(name) for name in by)


def _order(value: Value) -> tuple[int, tuple[float, ...], str]:
    """Return the key by which values are sorted: numbers and layers first, then words."""
    if isinstance(value, tuple):
        return 0, tuple(map(float, value)), ""
    if isinstance(value, int | float):
        return 0, (float(value),), ""
    return 1, (), str(value)
