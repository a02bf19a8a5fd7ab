"""Judges trials by their curves: a verdict with the numbers that led to it, by the rules of `rules.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from nn.metrics import METRICS
from tuning.analysis.rules import MIN_EPOCHS, TABLE, UNCLEAR, VERDICTS, Array, Curves, Found, TrialCurves, Verdict
from tuning.store import Trial

_BLOCK = 4096


def curves_of(trial: Trial) -> TrialCurves:
    """Return how a trial ended and the curves by which it is judged."""
    curves = trial.curves
    losses = curves.get("train_loss"), curves.get("validation_loss")
    return TrialCurves(trial.state, *losses, *_scores_of(curves), trial.diverged_step, trial.error)


def verdict_of(trial: Trial | TrialCurves, reference: float | None = None) -> Verdict:
    """Return the verdict on one trial, with its evidence.

    `reference` is the best validation loss of the study's settings; without it, nothing is called underfit.
    """
    return next(verdicts([trial], reference))


def verdicts(trials: Iterable[Trial | TrialCurves], reference: float | None = None) -> Iterator[Verdict]:
    """Yield the verdict on each trial, in their order; thousands are read and looked at together."""
    iterator = iter(trials)
    while block := [t if isinstance(t, TrialCurves) else curves_of(t) for t in islice(iterator, _BLOCK)]:
        found: dict[int, Verdict] = {}
        alike: dict[tuple[int, bool], list[int]] = {}  # places of trials with equally many epochs and the same curves
        for place, trial in enumerate(block):
            known = _by_end(trial)
            if known is not None:
                found[place] = known
            else:
                assert trial.train_loss is not None
                scored = trial.train_score is not None and trial.validation_score is not None
                alike.setdefault((len(trial.train_loss), scored), []).append(place)
        for (_, scored), places in alike.items():
            L, V, *scores = (np.array(column) for column in zip(*(block[i][1:5] for i in places), strict=True))
            train_score, held_score = scores if scored else (None, None)
            each = _found(Curves(L, V, train_score, held_score, reference))
            for i, (place, k) in enumerate(zip(places, _first(each), strict=True)):
                name, rule = each[k]
                found[place] = rule.verdict(name, i)
        yield from (found[place] for place in range(len(block)))


def names_by_curves(curves: Mapping[str, Array], count: int, reference: float | None = None) -> list[str]:
    """Return the names alone of the verdicts on T = `count` trials that completed or were pruned; much faster.

    `curves` has an array (T, E) for each metric that was followed.
    """
    L, V = curves.get("train_loss"), curves.get("validation_loss")
    if L is None or V is None or L.shape[1] < MIN_EPOCHS:
        return [UNCLEAR] * count
    each = _found(Curves(L, V, *_scores_of(curves), reference))
    return [each[k][0] for k in _first(each)]


def common(names: Sequence[str]) -> str:
    """Return the verdict on a setting: the one of most of its trials, the worse where two are as frequent.

    >>> common(["good", "overfit", "overfit"])
    'overfit 2/3'
    """
    name = max(VERDICTS, key=lambda known: (names.count(known), VERDICTS.index(known)))
    share = names.count(name)
    return name if share == len(names) else f"{name} {share}/{len(names)}"


def _scores_of(curves: Mapping[str, Array]) -> tuple[Array | None, Array | None]:
    """Return the score of training and of validation, accuracy or R2; None where it was not followed on both."""
    both = ((f"train_{m.name}", f"validation_{m.name}") for m in METRICS.values() if m.larger_is_better)
    train, held = next((pair for pair in both if curves.keys() >= set(pair)), ("", ""))
    return curves.get(train), curves.get(held)


def _by_end(trial: TrialCurves) -> Verdict | None:
    """Return the verdict where the curves don't matter or can't be used, else None."""
    each = ((rule.name, rule.by_end(trial)) for rule in TABLE)
    return next((Verdict(name, evidence) for name, evidence in each if evidence is not None), None)


def _found(curves: Curves) -> list[tuple[str, Found]]:
    return [(rule.name, holds(curves)) for rule in TABLE for holds in rule.by_curves]


def _first(each: Sequence[tuple[str, Found]]) -> list[int]:
    """Return, for each trial, the place of the first that holds."""
    return np.array([found.holds for _, found in each]).argmax(axis=0).tolist()
