"""Judges trials by their curves: a verdict with the numbers that led to it, by the rules of `rules.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice, takewhile
from typing import Any

import numpy as np

from nn.metrics import METRICS
from tuning.analysis.curves import Array, Curves, Found, Rule, TrialCurves, Verdict
from tuning.analysis.reference import Reference
from tuning.analysis.rules import MIN_EPOCHS, TABLE, UNCLEAR, VERDICTS
from tuning.store import DIVERGED, FAILED, Trial, setting_text

_BLOCK = 4096


def curves_of(trial: Trial) -> TrialCurves:
    """Return how a trial ended and the curves by which it is judged."""
    curves = trial.curves
    train_score, held_score = _scores_of(curves) or (None, None)
    return TrialCurves(
        trial.state, curves.get("train_loss"), curves.get("validation_loss"), train_score, held_score,
        trial.diverged_step, trial.error, setting_text(trial.params), _layers_of(curves),
    )  # fmt: skip


def verdict_of(trial: Trial | TrialCurves, reference: Reference | float | None = None) -> Verdict:
    """Return the verdict on one trial, with its evidence.

    `reference` is what `Study.reference` returns; a number is the best validation loss of the study's settings. Without
    it, nothing is called underfit or no better than guessing.
    """
    return next(verdicts([trial], reference))


def verdicts(trials: Iterable[Trial | TrialCurves], reference: Reference | float | None = None) -> Iterator[Verdict]:
    """Yield the verdict on each trial, in their order; thousands are read and looked at together."""
    known = reference if isinstance(reference, Reference) else Reference(reference)
    iterator = iter(trials)
    while block := [t if isinstance(t, TrialCurves) else curves_of(t) for t in islice(iterator, _BLOCK)]:
        if known.keeps_best:
            block = [trial.up_to_best() for trial in block]
        found: dict[int, Verdict] = {}
        alike: dict[tuple[Any, ...], list[int]] = {}  # places of trials with equally many epochs and the same curves
        for place, trial in enumerate(block):
            ended = _by_end(trial)
            if ended is not None:
                found[place] = ended
            else:
                assert trial.train_loss is not None
                scored = trial.train_score is not None and trial.validation_score is not None
                layers = tuple((name, curve.shape) for name, curve in trial.layers.items())
                alike.setdefault((len(trial.train_loss), scored, layers, trial.stopped), []).append(place)
        for (_, scored, layers, stopped), places in alike.items():
            these = [block[place] for place in places]
            L, V, *scores = (
                np.array(column) for column in zip(*(t[1 : 5 if scored else 3] for t in these), strict=True)
            )
            deep = {name: np.array([t.layers[name] for t in these]) for name, _ in layers}
            both = (scores[0], scores[1]) if scored else None
            each = _found(Curves((L, V), both, known, [t.setting for t in these], deep, stopped))
            for i, (place, k) in enumerate(zip(places, _first(each), strict=True)):
                rule, holds = each[k]
                found[place] = holds.verdict(rule, i)
        yield from (found[place] for place in range(len(block)))


def names_by_curves(
    curves: Mapping[str, Array], settings: Sequence[str], reference: Reference, stopped: bool = False
) -> list[str]:
    """Return the names alone of the verdicts on T trials that completed or were pruned; much faster.

    `curves` has an array (T, E) for each metric that was followed; `settings` (T,) are the texts of their settings;
    `stopped` as in `TrialCurves`.
    """
    L, V = curves.get("train_loss"), curves.get("validation_loss")
    if L is None or V is None or L.shape[1] < MIN_EPOCHS:
        return [UNCLEAR] * len(settings)
    each = _found(Curves((L, V), _scores_of(curves), reference, settings, _layers_of(curves), stopped))
    return [each[k][0].name for k in _first(each)]


def common(names: Sequence[str]) -> str:
    """Return the verdict on a setting: the one of most of its trials, the worse where two are as frequent.

    Where some of the trials diverged or failed and others did not, it says how many.

    >>> common(["good", "overfit", "overfit"])
    'overfit 2/3'
    >>> common(["good", "diverged", "good"])
    '2 of 3 completed, 1 diverged'
    """
    lost = {name: names.count(name) for name in (DIVERGED, FAILED) if name in names}
    done = len(names) - sum(lost.values())
    if lost and (done or len(lost) > 1):
        return ", ".join([f"{done} of {len(names)} completed", *(f"{count} {name}" for name, count in lost.items())])
    name = max(VERDICTS, key=lambda known: (names.count(known), VERDICTS.index(known)))
    share = names.count(name)
    return name if share == len(names) else f"{name} {share}/{len(names)}"


def _scores_of(curves: Mapping[str, Array]) -> tuple[Array, Array] | None:
    """Return the score of training and of validation, accuracy or R2; None where it was not followed on both."""
    both = ((f"train_{m.name}", f"validation_{m.name}") for m in METRICS.values() if m.larger_is_better)
    return next(((curves[train], curves[held]) for train, held in both if curves.keys() >= {train, held}), None)


def _layers_of(curves: Mapping[str, Array]) -> dict[str, Array]:
    """Return the records of each layer, (…, E, layers) by name, from curves such as "layer_1_dead"."""
    found = {}
    for name in ("gradient_norm", "dead"):
        layers = list(takewhile(curves.__contains__, (f"layer_{i}_{name}" for i in count(1))))
        if layers:
            found[name] = np.stack([curves[layer] for layer in layers], axis=-1)
    return found


def _by_end(trial: TrialCurves) -> Verdict | None:
    """Return the verdict where the curves don't matter or can't be used, else None."""
    each = ((rule, rule.by_end(trial)) for rule in TABLE)
    return next((Verdict(rule.name, why, advice=rule.advice) for rule, why in each if why is not None), None)


def _found(curves: Curves) -> list[tuple[Rule, Found]]:
    return [(rule, holds(curves)) for rule in TABLE for holds in rule.by_curves]


def _first(each: Sequence[tuple[Rule, Found]]) -> list[int]:
    """Return, for each trial, the place of the first that holds."""
    return np.array([found.holds for _, found in each]).argmax(axis=0).tolist()
