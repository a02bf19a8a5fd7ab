"""The reference of verdicts: the study's best loss, the best constant answer, and the other learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuning.analysis.intervals import CONFIDENCE, student_t_quantile
from tuning.analysis.ranking import Summary, reference_loss, sign
from tuning.analysis.variances import moderated
from tuning.space import DEFAULTS, Setting, is_number
from tuning.store import COMPLETED, DIVERGED, Definition, Outcome, setting_of, setting_text

Array = NDArray[np.float64]

CLEARLY, CLEARLY_ALONE = 1.05, 2.0
"""A loss is clearly worse if it is so many times as large, and beyond the noise; the second with one repeat."""
MUCH = 3.0
"""A mean loss is clearly worse if it is so many times as large, whatever the noise: of 18 such rates whose worth was in
doubt in 3 to 10 repeats, 15 were worse over 40 others."""
FAR = 100.0
"""Rates further apart than this factor say nothing of each other."""
NEGLIGIBLE = 0.01
"""Losses below this share of that of a constant answer are all the same."""


class Rates(NamedTuple):
    """The evidence that the other learning rates of a study, with everything else equal, give of a setting.

    Those that are further away than the factor `FAR` say nothing, but for the best.

    Args:
        rate: Its own rate.
        best: The best rate of its group where that is clearly better, paired over repeats, else NaN.
        loss, best_loss: The mean validation losses at both.
        higher_better: Whether a higher rate did better, clearly or not.
        higher_worse, lower_worse: Whether there are such rates, and each did worse or diverged.
        best_elsewhere: The lowest mean validation loss of settings that differ in more than the rate; infinite where
            there is none, None where nothing is known.
    """

    rate: float = math.nan
    best: float = math.nan
    loss: float = math.nan
    best_loss: float = math.nan
    higher_better: bool = False
    higher_worse: bool = False
    lower_worse: bool = False
    best_elsewhere: float | None = None


@dataclass(frozen=True)
class Reference:
    """The reference that a trial is held against.

    Attributes:
        best_loss: The lowest mean validation loss of the study's ranked settings; None where there is none.
        guess: Losses and scores of the best constant answer, by metric; empty where they are not known.
        held_out: The number of examples in the validation part.
        rates: What the other rates say of each setting, by its text; a setting that is alone is not there.
        keeps_best: Whether trials keep their best epoch, by early stopping: what came after it is not judged.
    """

    best_loss: float | None = None
    guess: Mapping[str, float] = field(default_factory=dict)
    held_out: int | None = None
    rates: Mapping[str, Rates] = field(default_factory=dict)
    keeps_best: bool = False


def reference_of(
    definition: Definition,
    summaries: Sequence[Summary],
    outcomes: Iterable[Outcome],
    guess: Mapping[str, float] | None = None,
    held_out: int | None = None,
) -> Reference:
    """Return the reference of a study's trials.

    `guess` are the scores of the best constant answer, which older files have not; of R², it is known to be 0.
    """
    known = guess or ({"validation_r2": 0.0} if "validation_r2" in definition.metrics else {})
    rates = {} if len(summaries) < 2 else _rates(definition, outcomes, known.get("validation_loss"))
    return Reference(reference_loss(summaries), known, held_out, rates, definition.early_stopping is not None)


def is_symmetric(setting: Setting) -> bool:
    """Return whether the units of a layer can never differ: they start equal, and nothing tells them apart."""
    hidden = setting.get("hidden_units", DEFAULTS["hidden_units"])
    layers = hidden if isinstance(hidden, tuple) else (hidden,)
    return setting.get("init") == "zeros" and any(units != 1 for units in layers) and not setting.get("dropout")


def _rates(definition: Definition, outcomes: Iterable[Outcome], scale: float | None) -> dict[str, Rates]:
    """Return the evidence of the rates of each group, by the text of the setting."""
    each: dict[str, list[list[float]]] = {}
    names, signs = ("validation_loss", definition.metric), (1.0, -sign(definition.metric))
    for outcome in outcomes:
        lost = math.inf if outcome.state == DIVERGED else math.nan
        known = outcome.metrics if outcome.state == COMPLETED else {}
        values = [s * known.get(name, s * lost) for name, s in zip(names, signs, strict=True)]
        each.setdefault(outcome.setting, []).append(values)
    groups: dict[str, list[tuple[float, str]]] = {}
    for text, trials in each.items():
        params: dict[str, Any] = setting_of(text)
        rate = params.pop("learning_rate", None)
        if is_number(rate) and len(trials) == definition.trials_per_setting:
            groups.setdefault(setting_text(params), []).append((float(rate), text))
    result: dict[str, Rates] = {}
    lowest = []  # mean of each group, of one setting or more
    tables = [np.array([each[text] for _, text in members]) for members in groups.values()]  # (R, U, 2)
    for table in tables:
        means = table[:, :, 0].mean(axis=1)
        lowest.append(float(means[np.isfinite(means)].min(initial=math.inf)))
    least, second = sorted([*lowest, math.inf, math.inf])[:2]
    for low, members, table in zip(lowest, groups.values(), tables, strict=True):
        if len(members) > 1:
            rates, texts = zip(*members, strict=True)
            elsewhere = second if low == least else least
            said = _said(np.array(rates), table[:, :, 0], table[:, :, 1], scale)
            result |= zip(texts, (each._replace(best_elsewhere=elsewhere) for each in said), strict=True)
    return result


def _said(rates: Array, losses: Array, costs: Array, scale: float | None) -> list[Rates]:
    """Return the evidence that R rates give of each other, from losses (R, U) over repeats.

    That is: validation losses, and the metric that decides; infinite where a trial diverged, NaN where it is not known.
    `scale` is the validation loss of a constant answer.
    """
    means = losses.mean(axis=1)
    ranked = np.flatnonzero(np.isfinite(losses).all(axis=1) & np.isfinite(costs).all(axis=1))
    clear = np.zeros(len(rates), bool)
    best = int(ranked[means[ranked].argmin()]) if len(ranked) else 0
    others = ranked[ranked != best]
    if len(others):
        floor = NEGLIGIBLE * (float(np.median(means[ranked])) if scale is None else scale)
        logs = np.log(np.maximum(losses, 0.0) + max(floor, np.finfo(float).tiny))
        worse = _beyond_noise(logs[others] - logs[best], math.log(CLEARLY), math.log(CLEARLY_ALONE))
        worse |= means[others] + floor > MUCH * (means[best] + floor)
        clear[others] = worse & ~_beyond_noise(costs[best] - costs[others], 0.0, 0.0)
    found = []
    for i, rate in enumerate(rates):
        near = ~np.isnan(means) & (np.abs(np.log(rates / rate)) <= math.log(FAR))
        higher, lower = means[near & (rates > rate)], means[near & (rates < rate)]
        better = bool((higher < means[i]).any())
        at = (float(rates[best]), float(means[i]), float(means[best])) if clear[i] else (math.nan,) * 3
        worse_below = len(lower) > 0 and not bool((lower < means[i]).any())
        found.append(Rates(float(rate), *at, better, len(higher) > 0 and not better, worse_below))
    return found


def _beyond_noise(differences: Array, least: float, least_alone: float) -> NDArray[np.bool_]:
    """Return where paired differences (S, U) are above 0 beyond the noise, and not below `least`.

    Either of two tests at 95 %, one-sided, will do: Student's t with moderated variances, and of the signs, where a few
    repeats that went wrong make the spread as large as the mean. With one column, where no noise shows, they are to be
    above `least_alone`.
    """
    units = differences.shape[1]
    if units < 2:
        return np.asarray(differences[:, 0] > least_alone)
    variances, freedom = moderated(differences.var(axis=1, ddof=1), units - 1)
    means, t = differences.mean(axis=1), student_t_quantile(CONFIDENCE, freedom)
    above, below = (differences > least).sum(axis=1), (differences < -least).sum(axis=1)
    return np.asarray((means > least) & ((means > t * np.sqrt(variances / units)) | _signs_differ(above, below)))


def _signs_differ(above: NDArray[np.int64], below: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where so many signs above, of all that are above or below, have a chance below 5 % if both are alike."""
    chances = [sum(math.comb(n, k) for k in range(a, n + 1)) / 2**n for a, n in zip(above, above + below, strict=True)]
    return np.array(chances) < 1 - CONFIDENCE
