"""The rules by which curves are judged, in one table; a new rule is one entry there, and the function that tests it.

Curves are smoothed by a running median of three epochs, so that one odd epoch decides nothing, and what is asked for
must hold over the whole last quarter.
"""

from __future__ import annotations

import math
import textwrap
from functools import partial

import numpy as np

from tuning.analysis.curves import ABOVE, Array, Curves, Found, Rule, TrialCurves, Where, running_median
from tuning.analysis.layer_rules import DEAD_SHARE, FAINT, died, fades, nowhere
from tuning.analysis.reference import CLEARLY, CLEARLY_ALONE, FAR, MUCH, NEGLIGIBLE
from tuning.store import COMPLETED, DIVERGED, FAILED, PRUNED

TOO_LARGE, TOO_SMALL, FEW_EPOCHS = "too large a rate", "too small a rate", "too few epochs"
GUESSING, DEAD, VANISHING, SYMMETRY = "no better than guessing", "dead units", "vanishing gradient", "symmetry"
UNDERFIT, GOOD, OVERFIT, UNCLEAR = "underfit", "good", "overfit", "unclear"

MIN_EPOCHS = 5
RISE = 0.10
FIRM_RISE = 0.05
NOISE = 3.0
GAP = 0.20
SHARED = 0.10
FALL = 0.10
STEADY = 0.15
STILL = 1e-3
CLIMB = 0.05
JUMP = 0.05
WORSE_FIT = 1.25
WORSE_SCORE = 1.10


def _failed(trial: TrialCurves) -> str | None:
    return (trial.error or "it ended with an error") if trial.state == FAILED else None


def _blew_up(trial: TrialCurves) -> str | None:
    at = "" if trial.diverged_step is None else f" in step {trial.diverged_step:,}"
    return f"the loss blew up{at}" if trial.state == DIVERGED else None


def _unclear(trial: TrialCurves) -> str | None:
    if trial.state not in (COMPLETED, PRUNED) or trial.train_loss is None or trial.validation_loss is None:
        return "there are no curves of training and validation loss"
    epochs = len(trial.train_loss)
    return f"{epochs} epochs are too few; it takes {MIN_EPOCHS}" if epochs < MIN_EPOCHS else None


def _not_finite(c: Curves) -> Found:
    return Found(c.broken, lambda i: "a loss is not finite")


def _validation_rises(c: Curves) -> Found:
    at, lowest, end = np.arange(len(c.V)), c.held.argmin(axis=1), c.held[:, -c.end :]
    low, high = c.held[at, lowest], end.mean(axis=1)
    noise = 1.48 * np.median(np.abs(np.diff(c.V, 2, axis=1)), axis=1) / math.sqrt(6)
    rise = high - low
    holds = (rise >= RISE * low) & (end.min(axis=1) >= (1 + FIRM_RISE) * low)
    holds &= (rise >= NOISE * noise) & (rise > 0) & (c.train[:, -1] < c.train[at, lowest]) & c.was_above_guess

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

    each, end = np.arange(len(gap)), slice(-c.end, None)
    gained, alone = (
        score[:, end].mean(axis=1) - score[each, np.minimum(since, score.shape[1]) - 1] for score in (held, train)
    )
    holds = (gap >= GAP) & (between[:, end].min(axis=1) >= GAP / 2) & (gained <= SHARED * alone) & c.was_above_guess
    holds &= c.held[:, end].min(axis=1) > (1 - NEGLIGIBLE) * c.held[:, : -c.end].min(axis=1)
    return Found(holds, words, {"gap": gap}, since)


def _never_differ(c: Curves) -> Found:
    return Found(c.symmetric, lambda i: "init zeros starts all units of a layer alike, and they get the same gradients")


def _ends_high(c: Curves) -> Found:
    low = c.train[:, : -c.end].min(axis=1)
    bottom, jump = c.L[:, -c.end :].min(axis=1), _jump(c)
    rough = (jump > JUMP / 2 * c.start) & (np.diff(c.L[:, -1 - c.end :], axis=1) > 0).any(axis=1)
    above = (bottom > ABOVE * c.L[:, 0]) | ((bottom > ABOVE * c.start) & rough)
    climbs = (c.level > WORSE_FIT * low) & (c.level > low + CLIMB * c.start)

    def words(i: int) -> str:
        if above[i]:
            return f"training loss ended at {c.level[i]:.4g}, above its start, {c.start[i]:.4g}"
        return f"training loss rose again, from {low[i]:.4g} to {c.level[i]:.4g}"

    return Found(above | (climbs & c.may_be_too_large), words, {"end": c.level, "minimum": low, "start": c.start})


def _jump(c: Curves) -> Array:
    """Return the typical difference (T,) between epochs of the last quarter that is not a steady fall or rise."""
    return np.asarray(np.diff(c.L[:, -1 - c.end :], axis=1).std(axis=1) / math.sqrt(2))


def _jumps(c: Curves) -> Found:
    jump = _jump(c)

    def words(i: int) -> str:
        return f"training loss jumps by {jump[i]:.4g} from epoch to epoch at the end, at a level of {c.level[i]:.4g}"

    holds = (jump > JUMP * c.start) & ~_falls(c)[0] & (c.end > 2) & c.may_be_too_large
    return Found(holds, words, {"jump": jump, "start": c.start})


def _other_rate_better(c: Curves, smaller: bool) -> Found:
    holds = c.from_best > 0 if smaller else c.from_best < 0

    def words(i: int) -> str:
        r = c.rates[i]
        losses = f"{r.best_loss:.4g} against {r.loss:.4g}"
        return f"with everything else equal, {r.best:.4g} does better than {r.rate:.4g}: validation loss {losses}"

    return Found(
        holds, words, {"best_rate": c.column("best")}, advice=lambda i: f"take learning_rate {c.rates[i].best:.4g}"
    )


def _stands_still(c: Curves) -> Found:
    first, last = c.L[:, 0], c.L[:, -1]
    moved = np.divide(np.ptp(c.L, axis=1), np.abs(first), out=np.zeros(len(first)), where=first != 0)
    downward = (np.diff(c.L, axis=1) <= 0).mean(axis=1)

    def words(i: int) -> str:
        return f"training loss stood still: {first[i]:.4g} to {last[i]:.4g}, a change of {moved[i]:.2%}"

    return Found((moved < STILL) & (downward > 0.8), words, {"moved": moved})


def _falls(c: Curves) -> tuple[Where, Array, Array]:
    """Return where the losses are still falling (T,), and the shares of the last quarter in both falls."""

    def share(curve: Array) -> Array:
        whole, last = curve[:, 0] - curve.min(axis=1), curve[:, -1 - c.end] - curve[:, -1]
        return np.divide(last, whole, out=np.zeros(len(curve)), where=whole > 0)

    train, held = share(c.train), share(c.held)
    downward = (np.diff(c.L[:, -1 - c.end :], axis=1) < 0).mean(axis=1) > 0.5
    return (train >= FALL) & (held >= FALL) & downward, train, held


def _gains(c: Curves) -> tuple[Where, Array]:
    """Return where V would clearly fall on (T,), and the share of itself by which it fell in the last quarter.

    As many epochs again are four more quarters. Each is taken to gain what the one before did, times the ratio of the
    gains of the last two.
    """
    first, before, last = c.held[:, -1 - 2 * c.end], c.held[:, -1 - c.end], c.held[:, -1]
    fell = np.maximum(before - last, 0.0)
    gain = np.divide(fell, before, out=np.zeros(len(last)), where=before > 0)
    ratio = np.clip(np.divide(fell, first - before, out=np.ones(len(last)), where=first > before), 0.0, 1.0)
    further = np.where(gain >= FALL / 4, fell * (ratio + ratio**2 + ratio**3 + ratio**4), 0.0)
    worth = fell > NEGLIGIBLE * np.minimum(c.V[:, 0], c.guess_held)
    falls = (gain >= FALL) | (further >= FALL * last)
    return falls & worth & (c.train[:, -1] < c.train[:, -1 - c.end]), gain


def _crawls(c: Curves) -> Found:
    falls, train, held = _falls(c)
    steady = np.minimum(train, held) >= STEADY
    holds = falls & c.goes_on & (steady | (c.column("higher_better") > 0)) & ~(c.column("higher_worse") > 0)

    def words(i: int) -> str:
        fall = f"{train[i]:.0%} of the fall of the training loss, {c.L[i, 0]:.4g} to {c.L[i, -1]:.4g}"
        return f"still falling: the last {c.end} epochs made {fall}"

    return Found(holds, words, {"train_share": train, "validation_share": held})


def _would_go_on(c: Curves) -> Found:
    gains, gain = _gains(c)

    def words(i: int) -> str:
        why = ", and no higher rate did better" if c.rates[i].higher_worse else ""
        last = f"by {gain[i]:.0%} in the last {c.end} epochs, to {c.V[i, -1]:.4g}"
        return f"validation loss is still falling: {last}{why}"

    return Found((_falls(c)[0] | gains) & c.goes_on, words, {"gain": gain})


def _guesses(c: Curves) -> Found:
    score = c.scores[1][:, -c.end :].mean(axis=1)
    if not c.guess_name:
        return nowhere(c)
    low, high = c.scored(score)
    could_tell = high < (1 + c.guess_score) / 2

    def words(i: int) -> str:
        guess = "the commonest class" if c.guess_name == "accuracy" else "the mean of the targets"
        ends = f"{low[i]:.3f} to {high[i]:.3f} on {c.held_out:,} examples"
        return f"validation {c.guess_name} is {score[i]:.3f} ({ends}); to answer {guess} always has {c.guess_score:.3f}"

    return Found(~c.ends_above_guess & could_tell, words, {"score": score, "guess": c.guess_score, "low": low})


def _too_few_examples(c: Curves) -> Found:
    score = c.scores[1][:, -c.end :].mean(axis=1)

    def words(i: int) -> str:
        guess = f"guessing, {c.guess_score:.3f}"
        return f"{c.held_out:,} validation examples can't tell {c.guess_name} {score[i]:.3f} from {guess}"

    return Found(~c.ends_above_guess if c.guess_name else np.zeros(len(c.L), bool), words, {"score": score})


def _fits_poorly(c: Curves) -> Found:
    fitted, best = c.train[:, -c.end :].min(axis=1), c.held[:, -c.end :].min(axis=1)

    def words(i: int) -> str:
        times = f"{fitted[i] / c.bar[i]:.2g} times" if c.bar[i] > 0 else "and not to"
        return f"training loss came to {fitted[i]:.4g}, {times} the best validation loss of the study, {c.bar[i]:.4g}"

    holds = (fitted > WORSE_FIT * c.bar) & (best > WORSE_SCORE * c.bar)
    return Found(holds, words, {"train_loss": fitted, "reference": c.bar})


def _nothing_wrong(c: Curves) -> Found:
    train, held, low = c.L[:, -1], c.V[:, -1], c.held.min(axis=1)
    about = "" if c.guess_name else "; there is no reference that tells it from guessing"

    def words(i: int) -> str:
        ends = f"training loss ended at {train[i]:.4g}, validation loss at {held[i]:.4g}, its lowest was {low[i]:.4g}"
        return ends + about

    return Found(np.ones(len(train), bool), words, {"train_loss": train, "validation_loss": held})


# They are tried in this order, first on the way a trial ended, then on its curves; the first that holds is the verdict.
TABLE = (
    Rule(FAILED, 13, "the trial ended with an error", _failed, advice="mend what the error names"),
    Rule(
        DIVERGED,
        12,
        "the loss was NaN, infinite, or far above its start",
        _blew_up,
        (_not_finite,),
        advice="take a tenth of the learning rate",
    ),
    Rule(
        SYMMETRY,
        11,
        "the setting has init zeros and several units in a layer: they start alike, get the same gradients, and so "
        "never differ",
        by_curves=(_never_differ,),
        advice="start from random weights, such as init he",
    ),
    Rule(
        DEAD,
        10,
        f"at the end, {DEAD_SHARE:.0%} of the units of a relu layer or more fire for no training example: what does "
        "not fire gets no gradient and stays dead (needs what is recorded per layer)",
        by_curves=(died,),
        advice="take a tenth of the learning rate, or tanh",
    ),
    Rule(
        VANISHING,
        9,
        f"the gradient of a layer is less than {FAINT:g} of the largest of a layer, and L stays above half of its "
        "start: such a layer does not learn (needs what is recorded per layer)",
        by_curves=(fades,),
        advice="take fewer layers, or relu",
    ),
    Rule(
        TOO_LARGE,
        8,
        f"steps too long to settle. The end of L is {ABOVE - 1:.0%} above its start or more; or it is {WORSE_FIT:g} "
        f"times L's minimum or more, and above it by {CLIMB:.0%} of the start or more; or L jumps from epoch to epoch "
        f"by {JUMP:.0%} of the start or more. The start is the loss of the first epoch, or of a constant answer where "
        "that is lower. Or a smaller rate of the study, with everything else equal, is clearly better",
        by_curves=(_ends_high, _jumps, partial(_other_rate_better, smaller=True)),
        advice="take a third of the learning rate",
    ),
    Rule(
        TOO_SMALL,
        7,
        f"L stood still: it changed by less than {STILL:.1%}, and mostly downward. Or it is still falling, at an even "
        f"pace: the last quarter made {STEADY:.0%} of the whole fall of L and of V or more; or {FALL:.0%} where a "
        f"higher rate did better; but not where the higher rates of the study, up to {FAR:g} times it, did worse or "
        "diverged. Or a higher rate of the study, with everything else equal, is clearly better",
        by_curves=(_stands_still, _crawls, partial(_other_rate_better, smaller=False)),
        advice="take three times the learning rate",
    ),
    Rule(
        OVERFIT,
        2,
        f"V rises: the level of its end is {RISE:.0%} above its minimum or more, all of its end is {FIRM_RISE:.0%} "
        f"above or more, and the rise is {NOISE:g} times V's noise or more, while L went on falling; it starts at the "
        "epoch of the minimum. Or the scores part: at the end, accuracy or R2 in training is "
        f"{GAP:.2f} above that in validation or more, and never less than half of that (R2 below 0 counts as 0), "
        f"and validation gained less than {SHARED:.0%} of what training did since the gap came to stay above half of "
        f"that, where it starts; but not where the end of V is a new low, by {NEGLIGIBLE:.0%} or more. A trial that "
        "was never better than guessing does not overfit",
        by_curves=(_validation_rises, _scores_part),
        advice="stop at that epoch, or take more data, fewer units or a penalty, l2",
    ),
    Rule(
        FEW_EPOCHS,
        6,
        f"still falling: the last quarter made {FALL:.0%} of the whole fall of L and of V or more, or V fell in it by "
        f"{FALL:.0%} of itself or more, or would in as many epochs again if it slows down as it did from the quarter "
        "before to the last; and it is not the rate that is too small",
        by_curves=(_would_go_on,),
        advice="take twice the epochs",
    ),
    Rule(
        UNDERFIT,
        3,
        f"at the end, the lowest L is more than {WORSE_FIT:g} times the best validation loss of the study's settings "
        "with other parameters than the rate, "
        f"and the lowest V more than {WORSE_SCORE:g} times it: not even what was trained on is fitted as well as "
        "unseen data can be",
        by_curves=(_fits_poorly,),
        advice="take more units or layers, or less of a penalty",
    ),
    Rule(
        GUESSING,
        5,
        "at the end, the 95% interval of the validation score is not above the score of a constant answer, the "
        "commonest class or the mean of the targets, and so narrow that half of the way to perfect would show",
        by_curves=(_guesses,),
        advice="look at the data: are targets and features in the right rows, and do they have to do with each other?",
    ),
    Rule(
        UNCLEAR,
        14,
        f"fewer than {MIN_EPOCHS} epochs, no curve of L and V, or too few validation examples to tell it from guessing",
        _unclear,
        (_too_few_examples,),
        advice="train for longer, or hold out more examples",
    ),
    Rule(
        GOOD,
        1,
        "none of these, and better than guessing where that is known",
        by_curves=(_nothing_wrong,),
        advice="to be sure, repeat it with repeats=5; to do better, try twice the units; at the end, score it by "
        "study.test()",
    ),
)

VERDICTS = tuple(rule.name for rule in sorted(TABLE, key=lambda rule: rule.place))

_wrap = partial(textwrap.fill, width=116, initial_indent="  ", subsequent_indent=" " * 20)
RULES = f"""\
Verdicts, from training loss L and validation loss V of each epoch, smoothed by a running median of 3. The first that
holds is the verdict. "The end" is the last quarter of the epochs; its level is the mean over it.
{chr(10).join(_wrap(f"{rule.name:<16}  {rule.text}{rule.advice and f'. Next: {rule.advice}'}") for rule in TABLE)}
Noise is the median size of V's second differences divided by the square root of 6, times 1.48. A rate is clearly better
if the mean validation loss of the other is {CLEARLY:g} times its own or more, and beyond the noise of the differences
between repeats, or {MUCH:g} times whatever the noise, unless the metric clearly says the opposite; with one repeat, if
it is {CLEARLY_ALONE:g} times or more.
The study overrules the curves: no rate is too large where the lower ones did worse, or too small where the higher did.
Losses below {NEGLIGIBLE:.0%} of that of a constant answer are all the same.
Under early stopping, the epochs after the one that is kept do not count but to show that it fell no further.
The verdict on a setting is the one of most of its trials; of two as frequent, the later in
{textwrap.fill(", ".join(VERDICTS), 119)}.
Where some of its trials diverged or failed, it says how many."""
