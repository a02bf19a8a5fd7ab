"""What a trial's curves say about its setting: a verdict with the numbers that led to it.

The rules are in `RULES`, which `nn-tuning show --rules` prints; they are tried in that order and the first that holds
gives the verdict. Curves are smoothed by a running median of three epochs, so that one odd epoch decides nothing, and
what is asked for must hold over the whole last quarter.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nn.metrics import METRICS
from tuning.store import COMPLETED, DIVERGED, FAILED, PRUNED, Trial

Array = NDArray[np.float64]

TOO_SMALL, UNDERFIT, GOOD, OVERFIT, UNCLEAR = "too small a rate", "underfit", "good", "overfit", "unclear"
VERDICTS = (GOOD, OVERFIT, UNDERFIT, TOO_SMALL, DIVERGED, FAILED, UNCLEAR)

MIN_EPOCHS = 5
RISE = 0.10
FIRM_RISE = 0.05
NOISE = 3.0
GAP = 0.20
FALL = 0.10
STILL = 1e-3
WORSE_FIT = 1.25
WORSE_SCORE = 1.10
_BLOCK = 4096

RULES = f"""\
Verdicts, from training loss L and validation loss V of each epoch, smoothed by a running median of 3. The first that
holds is the verdict. "The end" is the last quarter of the epochs; its level is the mean over it.
  failed            the trial ended with an error
  diverged          the loss was NaN, infinite, or far above its start
  unclear           fewer than {MIN_EPOCHS} epochs, or no curve of L and V
  overfit           V rises: the level of its end is {RISE:.0%} above its minimum or more, all of its end is
                    {FIRM_RISE:.0%} above or more, and the rise is {NOISE:g} times V's noise or more, while L went on
                    falling; it starts at the epoch of the minimum. Or the scores part: at the end, accuracy or R2 in
                    training is {GAP:.2f} above that in validation or more, and never less than half of that (R2 below
                    0 counts as 0); it starts where the gap came to stay above half of that
  too small a rate  still falling: the last quarter made {FALL:.0%} of the whole fall of L or more, in most of its
                    epochs, and {FALL:.0%} of that of V or more. Or L stood still: it changed by less than {STILL:.1%}
  underfit          at the end, the lowest L is more than {WORSE_FIT:g} times the best validation loss of the study's
                    settings, and the lowest V more than {WORSE_SCORE:g} times it: not even what was trained on is
                    fitted as well as unseen data can be
  good              none of these
Noise is the median size of V's second differences divided by the square root of 6, times 1.48.
The verdict on a setting is the one of most of its trials; of two as frequent, the later in
{", ".join(VERDICTS)}."""


@dataclass(frozen=True)
class Verdict:
    """A verdict, its evidence in one line, the epoch (from 1) at which overfitting starts, and its numbers."""

    name: str
    evidence: str
    epoch: int | None = None
    numbers: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}"


class Course(NamedTuple):
    """What the rules need of a trial."""

    state: str
    train_loss: Array | None  # (E,)
    validation_loss: Array | None  # (E,)
    train_score: Array | None  # (E,) accuracy or R2
    validation_score: Array | None  # (E,)
    diverged_step: int | None = None
    error: str | None = None


def course_of(trial: Trial) -> Course:
    """Return what the rules need of a trial."""
    curves = trial.curves
    train_score, held_score = _scores_of(curves)
    return Course(
        trial.state,
        curves.get("train_loss"),
        curves.get("validation_loss"),
        train_score,
        held_score,
        trial.diverged_step,
        trial.error,
    )


def _scores_of(curves: Mapping[str, Array]) -> tuple[Array | None, Array | None]:
    """Return the score of training and of validation, accuracy or R2; None where it was not followed on both."""
    both = ((f"train_{m.name}", f"validation_{m.name}") for m in METRICS.values() if m.larger_is_better)
    train, held = next((pair for pair in both if curves.keys() >= set(pair)), ("", ""))
    return curves.get(train), curves.get(held)


def verdict_of(trial: Trial | Course, reference: float | None = None) -> Verdict:
    """Return the verdict on one trial, with its evidence.

    `reference` is the best validation loss of the study's settings; without it, nothing is called underfit.
    """
    return next(verdicts([trial], reference))


def verdicts(trials: Iterable[Trial | Course], reference: float | None = None) -> Iterator[Verdict]:
    """Yield the verdict on each trial, in their order; thousands are read and looked at together."""
    for block in _blocks(trials):
        found = {i: verdict for i, course in enumerate(block) if (verdict := _without_curves(course)) is not None}
        for places, findings in _judged(block, found, reference):
            found.update((i, _described(findings, k)) for k, i in enumerate(places))
        yield from (found[i] for i in range(len(block)))


def names_by_curves(curves: Mapping[str, Array], count: int, reference: float | None = None) -> list[str]:
    """Return the names alone of the verdicts on T = `count` trials that completed or were pruned; much faster.

    `curves` has an array (T, E) for each metric that was followed.
    """
    L, V = curves.get("train_loss"), curves.get("validation_loss")
    if L is None or V is None or L.shape[1] < MIN_EPOCHS:
        return [UNCLEAR] * count
    return _findings(L, V, *_scores_of(curves), reference).names()


def _blocks(trials: Iterable[Trial | Course]) -> Iterator[list[Course]]:
    iterator = iter(trials)
    while block := [t if isinstance(t, Course) else course_of(t) for t in islice(iterator, _BLOCK)]:
        yield block


def _judged(
    block: Sequence[Course], settled: Container[int], reference: float | None
) -> Iterator[tuple[list[int], _Findings]]:
    """Yield the places in the block of trials with equally many epochs and the same curves, and what is found."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for i, course in enumerate(block):
        if i not in settled and course.train_loss is not None:
            groups.setdefault((len(course.train_loss), _scored(course)), []).append(i)
    for (_, scored), places in groups.items():
        L, V, *scores = (
            np.array([getattr(block[i], name) for i in places]) for name in Course._fields[1 : 5 if scored else 3]
        )
        train_score, held_score = scores if scored else (None, None)
        yield places, _findings(L, V, train_score, held_score, reference)


def common(names: Sequence[str]) -> str:
    """Return the verdict on a setting: the one of most of its trials, the worse where two are as frequent.

    >>> common(["good", "overfit", "overfit"])
    'overfit 2/3'
    """
    name = max(VERDICTS, key=lambda known: (names.count(known), VERDICTS.index(known)))
    share = names.count(name)
    return name if share == len(names) else f"{name} {share}/{len(names)}"


def _scored(course: Course) -> bool:
    return course.train_score is not None and course.validation_score is not None


def _without_curves(course: Course) -> Verdict | None:
    """Return the verdict where the curves don't matter or can't be used, else None."""
    if course.state == FAILED:
        return Verdict(FAILED, course.error or "it ended with an error")
    if course.state == DIVERGED:
        at = "" if course.diverged_step is None else f" in step {course.diverged_step:,}"
        return Verdict(DIVERGED, f"the loss blew up{at}; lower the learning rate")
    if course.state not in (COMPLETED, PRUNED) or course.train_loss is None or course.validation_loss is None:
        return Verdict(UNCLEAR, "there are no curves of training and validation loss")
    epochs = len(course.train_loss)
    if epochs < MIN_EPOCHS:
        return Verdict(UNCLEAR, f"{epochs} epochs are too few; it takes {MIN_EPOCHS}")
    return None


class _Findings(NamedTuple):
    """What the rules found in T trials: whether each holds (T,), and the numbers behind it (T,)."""

    end: int
    broken: NDArray[np.bool_]
    first: Array
    last: Array
    held_last: Array
    minimum: Array
    minimum_at: NDArray[np.int64]
    level: Array
    noise: Array
    rises: NDArray[np.bool_]
    gap: Array
    since: NDArray[np.int64]
    parts: NDArray[np.bool_]
    moved: Array
    shares: list[Array]
    falling: NDArray[np.bool_]
    fitted: Array
    bar: float
    poor: NDArray[np.bool_]

    def names(self) -> list[str]:
        """Return the verdicts by name."""
        rules = [self.broken, self.rises | self.parts, (self.moved < STILL) | self.falling, self.poor]
        which = np.select(rules, [0, 1, 2, 3], 4)
        return [(DIVERGED, OVERFIT, TOO_SMALL, UNDERFIT, GOOD)[k] for k in which.tolist()]


def _findings(
    L: Array, V: Array, train_score: Array | None, held_score: Array | None, reference: float | None
) -> _Findings:
    """Apply the rules to the curves (T, E) of T trials with equally many epochs E."""
    broken = np.asarray(~(np.isfinite(L) & np.isfinite(V)).all(axis=1))
    L, V = np.where(broken[:, None], 1.0, L), np.where(broken[:, None], 1.0, V)
    E = L.shape[1]
    end = max(2, E // 4)
    train, held = _median3(L), _median3(V)

    # overfit: V rises
    lowest = held.argmin(axis=1)
    at = np.arange(len(L))
    minimum, level = held[at, lowest], held[:, -end:].mean(axis=1)
    noise = 1.48 * np.median(np.abs(np.diff(V, 2, axis=1)), axis=1) / math.sqrt(6)
    rise = level - minimum
    rises = (rise >= RISE * minimum) & (held[:, -end:].min(axis=1) >= (1 + FIRM_RISE) * minimum)
    rises &= (rise >= NOISE * noise) & (rise > 0) & (train[:, -1] < train[at, lowest])

    # overfit: the scores part
    parts, gap, since = np.zeros(len(L), bool), np.zeros(len(L)), np.zeros(len(L), int)
    if train_score is not None and held_score is not None:
        # Below 0, R2 is worse than a constant by any amount: there is no score to lose.
        between = _median3(np.maximum(train_score, 0.0)) - _median3(np.maximum(held_score, 0.0))
        gap = between[:, -end:].mean(axis=1)
        parts = (gap >= GAP) & (between[:, -end:].min(axis=1) >= GAP / 2)
        small = between < GAP / 2
        since = np.where(small.any(axis=1), E - small[:, ::-1].argmax(axis=1), 0)

    # too small a rate
    shares = []
    for curve in (train, held):
        whole = curve[:, 0] - curve.min(axis=1)
        last = curve[:, -1 - end] - curve[:, -1]
        shares.append(np.divide(last, whole, out=np.zeros(len(L)), where=whole > 0))
    downward = (np.diff(L[:, -1 - end :], axis=1) < 0).mean(axis=1)
    falling = (shares[0] >= FALL) & (shares[1] >= FALL) & (downward > 0.5)
    moved = np.divide(np.ptp(L, axis=1), np.abs(L[:, 0]), out=np.zeros(len(L)), where=L[:, 0] != 0)

    # underfit
    fitted, best = train[:, -end:].min(axis=1), held[:, -end:].min(axis=1)
    bar = math.inf if reference is None or not math.isfinite(reference) else reference
    poor = (fitted > WORSE_FIT * bar) & (best > WORSE_SCORE * bar)

    return _Findings(
        end, broken, L[:, 0], L[:, -1], V[:, -1], minimum, lowest, level, noise, rises, gap, since, parts,
        moved, shares, falling, fitted, bar, poor,
    )  # fmt: skip


def _described(f: _Findings, i: int) -> Verdict:
    """Return the verdict on trial i with its evidence; the order is that of `_Findings.names`."""
    a, b, epoch = float(f.first[i]), float(f.last[i]), int(f.minimum_at[i]) + 1
    if f.broken[i]:
        return Verdict(DIVERGED, "a loss is not finite; lower the learning rate")
    if f.rises[i]:
        low, high = float(f.minimum[i]), float(f.level[i])
        words = f"validation loss rose from {low:.4g} in epoch {epoch} to {high:.4g}, training loss fell on"
        return Verdict(OVERFIT, words, epoch, {"minimum": low, "end": high, "noise": float(f.noise[i])})
    if f.parts[i]:
        words = f"the training score ended {f.gap[i]:.2f} above the validation score, from epoch {f.since[i] + 1}"
        return Verdict(OVERFIT, words, int(f.since[i]) + 1, {"gap": float(f.gap[i])})
    if f.moved[i] < STILL:
        words = f"training loss stood still: {a:.4g} to {b:.4g}, a change of {f.moved[i]:.2%}"
        return Verdict(TOO_SMALL, words, None, {"moved": float(f.moved[i])})
    if f.falling[i]:
        words = (
            f"still falling: the last {f.end} epochs made {f.shares[0][i]:.0%} of the fall of the training loss, "
            f"{a:.4g} to {b:.4g}; raise the learning rate or the epochs"
        )
        numbers = {"train_share": float(f.shares[0][i]), "validation_share": float(f.shares[1][i])}
        return Verdict(TOO_SMALL, words, None, numbers)
    if f.poor[i]:
        times = f"{f.fitted[i] / f.bar:.2g} times" if f.bar > 0 else "and not to"
        words = f"training loss came to {f.fitted[i]:.4g}, {times} the best validation loss of the study, {f.bar:.4g}"
        return Verdict(UNDERFIT, words, None, {"train_loss": float(f.fitted[i]), "reference": f.bar})
    held = float(f.held_last[i])
    words = f"training loss ended at {b:.4g}, validation loss at {held:.4g}, its lowest was {f.minimum[i]:.4g}"
    return Verdict(GOOD, words, None, {"train_loss": b, "validation_loss": held})


def _median3(curves: Array) -> Array:
    """Return the running median of three along the epochs of (T, E); the ends stay as they are."""
    result = curves.copy()
    before, here, after = curves[:, :-2], curves[:, 1:-1], curves[:, 2:]
    result[:, 1:-1] = np.maximum(np.minimum(before, here), np.minimum(np.maximum(before, here), after))
    return result
