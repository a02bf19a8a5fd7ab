"""The rules by which curves are judged, in one table; a new rule is one entry there, and the function that tests it.

Curves are smoothed by a running median of three epochs, so that one odd epoch decides nothing, and what is asked for
must hold over the whole last quarter.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuning.store import COMPLETED, DIVERGED, FAILED, PRUNED

Array = NDArray[np.float64]

TOO_SMALL, UNDERFIT, GOOD, OVERFIT, UNCLEAR = "too small a rate", "underfit", "good", "overfit", "unclear"

MIN_EPOCHS = 5
RISE = 0.10
FIRM_RISE = 0.05
NOISE = 3.0
GAP = 0.20
FALL = 0.10
STILL = 1e-3
WORSE_FIT = 1.25
WORSE_SCORE = 1.10


@dataclass(frozen=True)
class Verdict:
    """A verdict, its evidence in one line, the epoch (from 1) at which overfitting starts, and its numbers."""

    name: str
    evidence: str
    epoch: int | None = None
    numbers: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}"


class TrialCurves(NamedTuple):
    """How a trial ended, and the curves by which it is judged."""

    state: str
    train_loss: Array | None  # (E,)
    validation_loss: Array | None  # (E,)
    train_score: Array | None  # (E,) accuracy or R2
    validation_score: Array | None  # (E,)
    diverged_step: int | None = None
    error: str | None = None


class Curves:
    """Losses and scores (T, E) of T trials with equally many epochs, prepared for the rules."""

    def __init__(self, L: Array, V: Array, train_score: Any, held_score: Any, reference: float | None) -> None:
        self.broken = np.asarray(~(np.isfinite(L) & np.isfinite(V)).all(axis=1))  # (T,)
        self.L, self.V = (np.where(self.broken[:, None], 1.0, curve) for curve in (L, V))
        self.train, self.held = running_median(self.L), running_median(self.V)
        known = train_score is not None and held_score is not None
        self.scores = (train_score, held_score) if known else (np.zeros_like(L),) * 2
        self.end = max(2, L.shape[1] // 4)  # epochs in the last quarter
        self.bar = math.inf if reference is None or not math.isfinite(reference) else reference


class Found(NamedTuple):
    """Where a rule holds among T trials, its evidence in words for trial i, and the numbers and epochs behind it."""

    holds: NDArray[np.bool_]  # (T,)
    words: Callable[[int], str]
    numbers: Mapping[str, Any] = {}  # each (T,), or one for all
    epochs: NDArray[np.int64] | None = None  # (T,) from 1

    def verdict(self, name: str, i: int) -> Verdict:
        """Return the verdict on trial i."""
        numbers = {key: float(np.broadcast_to(value, len(self.holds))[i]) for key, value in self.numbers.items()}
        return Verdict(name, self.words(i), None if self.epochs is None else int(self.epochs[i]), numbers)


class Rule(NamedTuple):
    """How one verdict is come to.

    Args:
        name: The verdict.
        place: Its place in `VERDICTS`, from good to bad.
        text: What `nn-tuning show --rules` prints.
        by_end: From a trial to the evidence in the way it ended, None where there is none.
        by_curves: Each from the `Curves` of many trials to where it holds; one that holds is enough.
    """

    name: str
    place: int
    text: str
    by_end: Callable[[TrialCurves], str | None] = lambda trial: None
    by_curves: tuple[Callable[[Curves], Found], ...] = ()


def running_median(curves: Array) -> Array:
    """Return the running median of three along the epochs of (T, E); the ends stay as they are."""
    result = curves.copy()
    before, here, after = curves[:, :-2], curves[:, 1:-1], curves[:, 2:]
    result[:, 1:-1] = np.maximum(np.minimum(before, here), np.minimum(np.maximum(before, here), after))
    return result


def _failed(trial: TrialCurves) -> str | None:
    return (trial.error or "it ended with an error") if trial.state == FAILED else None


def _blew_up(trial: TrialCurves) -> str | None:
    at = "" if trial.diverged_step is None else f" in step {trial.diverged_step:,}"
    return f"the loss blew up{at}; lower the learning rate" if trial.state == DIVERGED else None


def _unclear(trial: TrialCurves) -> str | None:
    if trial.state not in (COMPLETED, PRUNED) or trial.train_loss is None or trial.validation_loss is None:
        return "there are no curves of training and validation loss"
    epochs = len(trial.train_loss)
    return f"{epochs} epochs are too few; it takes {MIN_EPOCHS}" if epochs < MIN_EPOCHS else None


def _not_finite(c: Curves) -> Found:
    return Found(c.broken, lambda i: "a loss is not finite; lower the learning rate")


def _validation_rises(c: Curves) -> Found:
    at, lowest, end = np.arange(len(c.V)), c.held.argmin(axis=1), c.held[:, -c.end :]
    low, high = c.held[at, lowest], end.mean(axis=1)
    noise = 1.48 * np.median(np.abs(np.diff(c.V, 2, axis=1)), axis=1) / math.sqrt(6)
    rise = high - low
    holds = (rise >= RISE * low) & (end.min(axis=1) >= (1 + FIRM_RISE) * low)
    holds &= (rise >= NOISE * noise) & (rise > 0) & (c.train[:, -1] < c.train[at, lowest])

    def words(i: int) -> str:
        rose = f"rose from {low[i]:.4g} in epoch {lowest[i] + 1} to {high[i]:.4g}"
        return f"validation loss {rose}, training loss fell on"

    return Found(holds, words, {"minimum": low, "end": high, "noise": noise}, lowest + 1)


def _scores_part(c: Curves) -> Found:
    # Below 0, R2 is worse than a constant by any amount: there is no score to lose.
    train, held = (running_median(np.maximum(score, 0.0)) for score in c.scores)
    between = train - held
    gap, small = between[:, -c.end :].mean(axis=1), between < GAP / 2
    since = np.where(small.any(axis=1), between.shape[1] - small[:, ::-1].argmax(axis=1), 0) + 1

    def words(i: int) -> str:
        return f"the training score ended {gap[i]:.2f} above the validation score, from epoch {since[i]}"

    return Found((gap >= GAP) & (between[:, -c.end :].min(axis=1) >= GAP / 2), words, {"gap": gap}, since)


def _stands_still(c: Curves) -> Found:
    first, last = c.L[:, 0], c.L[:, -1]
    moved = np.divide(np.ptp(c.L, axis=1), np.abs(first), out=np.zeros(len(first)), where=first != 0)

    def words(i: int) -> str:
        return f"training loss stood still: {first[i]:.4g} to {last[i]:.4g}, a change of {moved[i]:.2%}"

    return Found(moved < STILL, words, {"moved": moved})


def _still_falling(c: Curves) -> Found:
    def share(curve: Array) -> Array:
        whole, last = curve[:, 0] - curve.min(axis=1), curve[:, -1 - c.end] - curve[:, -1]
        return np.divide(last, whole, out=np.zeros(len(curve)), where=whole > 0)

    train, held = share(c.train), share(c.held)
    downward = (np.diff(c.L[:, -1 - c.end :], axis=1) < 0).mean(axis=1)

    def words(i: int) -> str:
        fall = f"{train[i]:.0%} of the fall of the training loss, {c.L[i, 0]:.4g} to {c.L[i, -1]:.4g}"
        return f"still falling: the last {c.end} epochs made {fall}; raise the learning rate or the epochs"

    holds = (train >= FALL) & (held >= FALL) & (downward > 0.5)
    return Found(holds, words, {"train_share": train, "validation_share": held})


def _fits_poorly(c: Curves) -> Found:
    fitted, best = c.train[:, -c.end :].min(axis=1), c.held[:, -c.end :].min(axis=1)

    def words(i: int) -> str:
        times = f"{fitted[i] / c.bar:.2g} times" if c.bar > 0 else "and not to"
        return f"training loss came to {fitted[i]:.4g}, {times} the best validation loss of the study, {c.bar:.4g}"

    holds = (fitted > WORSE_FIT * c.bar) & (best > WORSE_SCORE * c.bar)
    return Found(holds, words, {"train_loss": fitted, "reference": c.bar})


def _nothing_wrong(c: Curves) -> Found:
    train, held, low = c.L[:, -1], c.V[:, -1], c.held.min(axis=1)

    def words(i: int) -> str:
        return f"training loss ended at {train[i]:.4g}, validation loss at {held[i]:.4g}, its lowest was {low[i]:.4g}"

    return Found(np.ones(len(train), bool), words, {"train_loss": train, "validation_loss": held})


# They are tried in this order, first on the way a trial ended, then on its curves; the first that holds is the verdict.
TABLE = (
    Rule(FAILED, 6, "the trial ended with an error", _failed),
    Rule(DIVERGED, 5, "the loss was NaN, infinite, or far above its start", _blew_up, (_not_finite,)),
    Rule(UNCLEAR, 7, f"fewer than {MIN_EPOCHS} epochs, or no curve of L and V", _unclear),
    Rule(
        OVERFIT,
        2,
        f"V rises: the level of its end is {RISE:.0%} above its minimum or more, all of its end is {FIRM_RISE:.0%} "
        f"above or more, and the rise is {NOISE:g} times V's noise or more, while L went on falling; it starts at the "
        "epoch of the minimum. Or the scores part: at the end, accuracy or R2 in training is "
        f"{GAP:.2f} above that in validation or more, and never less than half of that (R2 below 0 counts as 0); it "
        "starts where the gap came to stay above half of that",
        by_curves=(_validation_rises, _scores_part),
    ),
    Rule(
        TOO_SMALL,
        4,
        f"still falling: the last quarter made {FALL:.0%} of the whole fall of L or more, in most of its epochs, and "
        f"{FALL:.0%} of that of V or more. Or L stood still: it changed by less than {STILL:.1%}",
        by_curves=(_stands_still, _still_falling),
    ),
    Rule(
        UNDERFIT,
        3,
        f"at the end, the lowest L is more than {WORSE_FIT:g} times the best validation loss of the study's settings, "
        f"and the lowest V more than {WORSE_SCORE:g} times it: not even what was trained on is fitted as well as "
        "unseen data can be",
        by_curves=(_fits_poorly,),
    ),
    Rule(GOOD, 1, "none of these", by_curves=(_nothing_wrong,)),
)

VERDICTS = tuple(rule.name for rule in sorted(TABLE, key=lambda rule: rule.place))

_wrap = partial(textwrap.fill, width=116, initial_indent="  ", subsequent_indent=" " * 20)
RULES = f"""\
Verdicts, from training loss L and validation loss V of each epoch, smoothed by a running median of 3. The first that
holds is the verdict. "The end" is the last quarter of the epochs; its level is the mean over it.
{chr(10).join(_wrap(f"{rule.name:<18}{rule.text}") for rule in TABLE)}
Noise is the median size of V's second differences divided by the square root of 6, times 1.48.
The verdict on a setting is the one of most of its trials; of two as frequent, the later in
{", ".join(VERDICTS)}."""
