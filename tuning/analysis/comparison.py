"""Comparisons of settings: which are tied with the best, how many repeats would tell, and how lucky the best one is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nn.metrics import metric_of, shown_name
from tuning.analysis.intervals import CONFIDENCE, student_t_quantile
from tuning.analysis.ranking import sign
from tuning.analysis.scores import Scores
from tuning.analysis.variances import moderated

Array = NDArray[np.float64]

ONE_UNIT = "one {unit} tells nothing about chance; give repeats=5 or folds=5"
POWER = 0.8
"""The chance to tell two settings apart that the number of repeats which `Ties.needed` gives is for."""
MOST_NEEDED = 1000


class Ties(NamedTuple):
    """The findings of paired differences between the settings.

    Args:
        same: For each setting (S,), whether it can't be told from the best, the first.
        needed: For each (S,), how many repeats or folds would tell it from the best with a chance of 80 % if the
            difference is the one that was seen; 0 where it is told already, and where more than 1,000 would be needed.
    """

    same: NDArray[np.bool_]
    needed: NDArray[np.int64]


def ties(scores: Scores) -> Ties | None:
    """Return which settings are tied with the best, the first, and what would tell them apart; None with one column.

    A setting s is tied with the best b unless the one-sided interval of their paired difference is above 0:

        mean(b − s) > t(1 − 0.05/(S − 1)) · sd/√U

    The level is divided by the number of comparisons (Bonferroni), and t is one-sided, for the best is the highest in
    the sample: so the tied settings together have the truly best one among them in 95 % of studies at least
    (multiple comparisons with the best, Hsu 1984). A handful of columns says little about sd: the variances of all
    differences inform each other, see `_paired`, which gives t more degrees of freedom than U − 1.
    """
    settings, units = scores.values.shape
    if units < 2 or settings == 0:
        return None
    if settings == 1:
        return Ties(np.array([True]), np.zeros(1, np.int64))
    means, variances, freedom, level, same = _paired(scores)
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.where(same, variances / np.maximum(means, 0) ** 2, 0)
    needed = [_columns_needed(size, level, freedom / (units - 1), units) for size in sizes.tolist()]
    return Ties(np.concatenate([[True], same]), np.array([0, *needed]))


def tied_with_best(scores: Scores) -> NDArray[np.bool_] | None:
    """Return for each setting (S,) whether it can't be told from the best, as `ties` does; None with one column."""
    found = ties(scores)
    return None if found is None else found.same


class _Paired(NamedTuple):
    """Mean (S − 1,) and moderated variance of the difference of the best from each other, and who is tied with it."""

    means: Array
    variances: Array
    freedom: int
    level: float
    same: NDArray[np.bool_]


def _paired(scores: Scores) -> _Paired:
    """Return the paired differences of at least two settings.

    The spread of scores goes with their level: of an accuracy p as √(p(1 − p)), of a loss or 1 − R² as themselves. In
    these units the variances of good and bad settings are alike, and are pooled as far as they are
    (`tuning.analysis.variances`): three repeats then tell a setting at chance from a good one. An accuracy comes in
    steps, and no variance is taken to be less than what rounding to them hides.
    """
    differences = scores.gains[0] - scores.gains[1:]
    means, kind = scores.values.mean(axis=1), scores.kind
    hidden = _hidden(scores.values) if kind == "share" else 0.0
    size = means - 1 if kind == "r2" else means
    spread = {"share": (means + 0.01) * (1.01 - means), "": np.ones_like(means)}.get(kind, size**2)
    scale = spread[0] + spread[1:]
    scale = np.where(scale > 0, scale, 1.0)
    seen = np.maximum(differences.var(axis=1, ddof=1), hidden)
    settings, units = scores.values.shape
    relative, freedom = moderated(seen / scale, units - 1)
    means, variances = differences.mean(axis=1), relative * scale
    quantile = student_t_quantile(level := 1 - (1 - CONFIDENCE) / (settings - 1), freedom)
    return _Paired(means, variances, freedom, level, means <= quantile * np.sqrt(variances / units))


def _columns_needed(size: float, level: float, freedom_each: float, units: int) -> int:
    """Return the fewest columns, more than `units`, that tell a mean from 0 whose variance is `size` times its square.

    The power of a one-sided test at `level` is taken as that of a normal mean against the quantile of t. Returns 0 for
    a size of 0, and where `MOST_NEEDED` do not suffice.
    """
    beyond, normal = student_t_quantile(POWER, 1000), student_t_quantile(level, 1000)
    if not 0 < size * (normal + beyond) ** 2 <= MOST_NEEDED:
        return 0
    for n in range(max(units + 1, math.ceil(size * (normal + beyond) ** 2)), MOST_NEEDED + 1):
        if n >= size * (student_t_quantile(level, max(1, int(freedom_each * (n - 1)))) + beyond) ** 2:
            return n
    return 0


@dataclass(frozen=True)
class Optimism:
    """By how much the best score is expected to be too good, in units of the metric; None with the reason why.

    `low` and `high` are the ends of the 95 % interval of the gap in this very study: the best score less what the
    same setting is truly worth. It is below 0 where a good setting had bad luck.
    """

    value: float | None
    reason: str
    low: float | None = None
    high: float | None = None


def optimism(scores: Scores) -> Optimism:
    """Return the optimism of "best of N": the expected gap between the best score and its honest value.

    Of the U columns, one is left out at a time; the best setting of the others is chosen, and its score there is
    compared with its score in the one left out. The mean gap, times √((U−1)/U) for the noise of U columns in place of
    U − 1, is the bias of the winner: σ/√U times the expected maximum of N noises where all N settings are the same, and
    0 where one is ahead in every column. Without folds it is the part that is due to seeds; the held-out examples are
    the same in every repeat, and what is due to them does not show.

    The interval of the gap in this study reaches from t(0.975) σ/√U below 0 to the 97.5 % quantile of the largest of so
    many errors as there are settings tied with the best: only those can have won by luck.
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
    reason = f"best of {settings:,}, leaving out one of {units} {scores.unit} at a time{about}"
    value = max(0.0, gap)
    return Optimism(value, reason, *_luck(scores, value))


def _luck(scores: Scores, value: float) -> tuple[float, float]:
    """Return the interval of the gap between the best score and its honest value; `value` is within."""
    if len(scores.params) == 1:  # nothing was chosen
        return value, value
    _, variances, freedom, _, same = _paired(scores)
    tail = (1 - CONFIDENCE) / 2
    error = math.sqrt(float(np.median(variances[same] if same.any() else variances)) / 2 / scores.values.shape[1])
    luckiest = student_t_quantile((1 - tail) ** (1 / (1 + same.sum())), freedom)
    return min(value, -student_t_quantile(1 - tail, freedom) * error), max(value, luckiest * error)


@dataclass(frozen=True)
class Comparison:
    """The difference between the best settings of two studies, paired over folds or repeats.

    `difference` is in units of the metric, and above 0 where the first is better; `low` and `high` are the ends of its
    95 % interval, None with the `reason` where there is none. `names` are the two, `count` of `unit` are the pairs.
    Each setting is the best of its own study by the same scores: the study that tried more settings had more luck
    (`Analysis.optimism`), which is not in the interval.
    """

    metric: str
    names: tuple[str, str]
    difference: float
    count: int
    unit: str
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def better(self) -> str | None:
        """The name of the one that is better beyond chance; None where that can't be told."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return None
        return self.names[0] if self.low > 0 else self.names[1]

    def __str__(self) -> str:
        first, second = self.names
        name = shown_name(self.metric)
        seen = f"{abs(self.difference):.4f} {'better' if self.difference >= 0 else 'worse'} in {name}"
        if self.low is None:
            return f"{first} is {seen} than {second}; whether that is chance can't be told: {self.reason}"
        interval = f"95% interval of the difference {self.low:.4f} to {self.high:.4f}, {self.count} {self.unit}"
        if self.better is None:
            return f"{first} and {second} can't be told apart: {first} is {seen} ({interval})"
        return f"{first} is {seen} than {second} ({interval})"


def compared(metric: str, names: tuple[str, str], first: Array, second: Array, unit: str) -> Comparison:
    """Return the comparison of two settings by their scores (U,) over the same folds or repeats.

    The interval is Student's. Folds share most of their training rows, and their scores vary less than those of new
    data would: the variance of the mean is taken as s² (1/U + 1/(U − 1)), by Nadeau and Bengio (2003), not s²/U.
    Accuracies come in steps, and no variance is taken to be less than what rounding to them hides.
    """
    gains = sign(metric) * (first - second)
    units, difference = len(gains), float(gains.mean())
    if units < 2:
        return Comparison(metric, names, difference, units, unit, reason=ONE_UNIT.format(unit=unit.removesuffix("s")))
    variance = max(float(gains.var(ddof=1)), _hidden(np.array([first, second])) if metric_of(metric).share else 0.0)
    share = 1 / units + (1 / (units - 1) if unit == "folds" else 0)
    reach = student_t_quantile((1 + CONFIDENCE) / 2, units - 1) * math.sqrt(variance * share)
    return Comparison(metric, names, difference, units, unit, difference - reach, difference + reach)


def _hidden(shares: Array) -> float:
    """Return the variance of a difference that the steps hide in which shares of examples come."""
    gaps = np.diff(np.unique(shares))
    return float(gaps.min(where=gaps > 1e-9, initial=1)) ** 2 / 6 if len(gaps) else 0.0
