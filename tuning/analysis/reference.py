"""What verdicts hold a trial against: the study's best loss, the best constant answer, and the other learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tuning.analysis.intervals import CONFIDENCE, student_t_quantile
from tuning.analysis.ranking import Summary, reference_loss, sign
from tuning.analysis.variances import moderated
from tuning.space import DEFAULTS, Setting
from tuning.store import COMPLETED, DIVERGED, Definition, Outcome, setting_of, setting_text

CLEARLY = 1.05
"""A loss is clearly worse than another if it is so many times as large, and beyond the noise between repeats."""
FAR = 100.0
"""Rates further apart than this factor say nothing of each other."""
_NEGLIGIBLE = 1e-3  # of the loss of a constant answer: below that, losses are all the same


class Rates(NamedTuple):
    """What the other learning rates of a study, with everything else equal, say of a setting.

    Args:
        rate: Its own rate.
        best: The best rate of its group where that is clearly better, paired over repeats, else NaN.
        loss, best_loss: The mean validation losses at both.
        higher_better: Whether a higher rate, up to `FAR` times it, did better, clearly or not.
        higher_worse: Whether such rates were tried, and each did worse or diverged.
    """

    rate: float = math.nan
    best: float = math.nan
    loss: float = math.nan
    best_loss: float = math.nan
    higher_better: bool = False
    higher_worse: bool = False


@dataclass(frozen=True)
class Reference:
    """What a trial is held against.

    Attributes:
        best_loss: The lowest mean validation loss of the study's ranked settings; None where there is none.
        guess: Losses and scores of the best constant answer, by metric; empty where they are not known.
        held_out: The number of examples in the validation part.
        rates: What the other rates say of each setting, by its text; a setting that is alone is not there.
    """

    best_loss: float | None = None
    guess: Mapping[str, float] = field(default_factory=dict)
    held_out: int | None = None
    rates: Mapping[str, Rates] = field(default_factory=dict)


def reference_of(
    definition: Definition,
    summaries: Sequence[Summary],
    outcomes: Iterable[Outcome],
    guess: Mapping[str, float] | None = None,
    held_out: int | None = None,
) -> Reference:
    """Return what the trials of a study are held against.

    `guess` are the scores of the best constant answer, which older files have not; of R², it is known to be 0.
    """
    known = guess or ({"validation_r2": 0.0} if "validation_r2" in definition.metrics else {})
    rates = {} if len(summaries) < 2 else _rates(definition, outcomes, known.get("validation_loss"))
    return Reference(reference_loss(summaries), known, held_out, rates)


def is_symmetric(setting: Setting) -> bool:
    """Whether the units of a layer can never differ: they start equal, and nothing tells them apart."""
    hidden = setting.get("hidden_units", DEFAULTS["hidden_units"])
    layers = hidden if isinstance(hidden, tuple) else (hidden,)
    return setting.get("init") == "zeros" and any(units != 1 for units in layers) and not setting.get("dropout")


def _rates(definition: Definition, outcomes: Iterable[Outcome], scale: float | None) -> dict[str, Rates]:
    """Return what the rates of each group say, by the text of the setting."""
    each: dict[str, tuple[list[float], list[float]]] = {}
    for outcome in outcomes:
        losses, gains = each.setdefault(outcome.setting, ([], []))
        done = outcome.state == COMPLETED
        loss = outcome.metrics.get("validation_loss", math.nan) if done else math.nan
        losses.append(math.inf if outcome.state == DIVERGED else loss)
        gains.append(sign(definition.metric) * outcome.metrics.get(definition.metric, math.nan) if done else -math.inf)
    groups: dict[str, list[tuple[float, str]]] = {}
    for text, (losses, _) in each.items():
        params: dict[str, Any] = setting_of(text)
        rate = params.pop("learning_rate", None)
        if type(rate) in (int, float) and len(losses) == definition.trials_per_setting:
            groups.setdefault(setting_text(params), []).append((float(rate), text))
    result: dict[str, Rates] = {}
    for members in groups.values():
        rates = np.array([rate for rate, _ in members])
        if len(members) > 1:
            texts = [text for _, text in members]
            table = np.array([each[text] for text in texts])  # (R, 2, U)
            result |= zip(texts, _said(rates, table[:, 0], table[:, 1].mean(axis=1), scale), strict=True)
    return result


def _said(rates: Any, losses: Any, gains: Any, scale: float | None) -> list[Rates]:
    """Return what R rates say of each other, from losses (R, U) over repeats and the mean gains (R,) of the metric."""
    means = losses.mean(axis=1)  # infinite where one diverged, NaN where one is not known
    ranked = np.flatnonzero(np.isfinite(means))
    clear = np.zeros(len(rates), bool)
    best = int(ranked[means[ranked].argmin()]) if len(ranked) else 0
    others = ranked[ranked != best]
    units = losses.shape[1]
    if len(others) and units > 1:
        floor = _NEGLIGIBLE * (float(np.median(means[ranked])) if scale is None else scale)
        logs = np.log(np.maximum(losses[ranked], 0.0) + max(floor, np.finfo(float).tiny))
        differences = (logs - logs[ranked == best])[ranked != best]
        variances, freedom = moderated(differences.var(axis=1, ddof=1), units - 1)
        t = student_t_quantile(1 - (1 - CONFIDENCE) / len(others), freedom)
        reach = np.maximum(math.log(CLEARLY), t * np.sqrt(variances / units))
        clear[others] = (differences.mean(axis=1) > reach) & (gains[best] >= gains[others])
    found = []
    for rate, loss, known in zip(rates, means, clear, strict=True):
        higher = means[(rates > rate) & (rates <= FAR * rate) & ~np.isnan(means)]
        better = bool((higher < loss).any())
        at = (float(rates[best]), float(loss), float(means[best])) if known else (math.nan,) * 3
        found.append(Rates(float(rate), *at, better, len(higher) > 0 and not better))
    return found
