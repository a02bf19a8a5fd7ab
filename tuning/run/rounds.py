"""The rounds of a study: what its sampler proposes becomes trials, and what the file says of them goes back to it.

The sampler is told nothing but what stands in the file. A study that was interrupted therefore asks its sampler again
from the first round, hands out only what is missing, and comes to the same trials, to the last bit, as one that was
not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from tuning.analysis import larger_is_better
from tuning.methods import Proposal, Sampler, Score
from tuning.space import Setting, Space
from tuning.store import COMPLETED, PAUSED, StudyFile, StudyFileError, Trial, TrialSpec, seed_of, setting_text


class Plan(NamedTuple):
    """What of a study's definition its trials depend on."""

    epochs: int
    repeats: int
    folds: int | None
    metric: str
    seed: int

    @classmethod
    def of(cls, definition: dict[str, Any]) -> Plan:
        """Return the plan of a study's definition."""
        return cls(*(definition[name] for name in cls._fields))

    def parts(self) -> list[tuple[int, int | None, int]]:
        """Return (repeat, fold, seed) of each trial of a setting."""
        folds: Sequence[int | None] = (None,) if self.folds is None else range(self.folds)
        return [(r, fold, seed_of(self.seed, r, fold)) for r, fold in product(range(self.repeats), folds)]

    def trials_of(self, setting: Setting) -> list[TrialSpec]:
        """Return the trials of one setting, with all epochs."""
        text = setting_text(setting)
        return [TrialSpec(i, setting, text, *part[:2], self.epochs, part[2]) for i, part in enumerate(self.parts())]


class Search:
    """The trials of a study that are not finished yet, round by round.

    `total_epochs` is the most that all trials may be given; the trials of a setting are handed out together or not at
    all, and `cut` says whether any was not. What a trial was promised counts, though it may have diverged before.
    """

    def __init__(
        self, sampler: Sampler, space: Space, file: StudyFile, plan: Plan, total_epochs: int | None = None
    ) -> None:
        self._sampler = sampler
        self._space = space
        self._file = file
        self._plan = plan
        self._parts = plan.parts()
        self._left = math.inf if total_epochs is None else total_epochs
        self._promised: dict[int, int] = {}
        self._finished = file.identities()
        self.cut = False

    def rounds(self) -> Iterator[Iterator[TrialSpec]]:
        """Yield the trials of one round after another; each must be in the file before the next is asked for."""
        sampler = self._sampler
        rounds = sampler.rounds(self._space, self._plan.epochs)
        scores: Sequence[Score] | None = None
        while True:
            try:
                proposals = rounds.send(scores)  # type: ignore[arg-type]
            except StopIteration:
                self._prune(())
                return
            if sampler.learns:
                proposals = list(proposals)
                self._prune(proposals)
            yield self._specs(proposals)
            if self.cut:
                return
            scores = [self._score(proposal) for proposal in proposals] if sampler.learns else []

    def _prune(self, proposals: Iterable[Proposal]) -> None:
        """End the trials that were asked for before and are not any more; of others nothing is known yet."""
        if self._sampler.budgets:
            over = set(self._promised) - {proposal.place for proposal in proposals}
            self._file.prune(lambda number: number // len(self._parts) in over)

    def _specs(self, proposals: Iterable[Proposal]) -> Iterator[TrialSpec]:
        """Yield the trials of a round, but for those that the file has."""
        sampler, horizon = self._sampler, self._plan.epochs
        for place, setting, epochs in proposals:
            cost = len(self._parts) * (epochs - self._promised.get(place, 0))
            if cost > self._left:
                self.cut = True
                return
            self._left -= cost
            if sampler.budgets:
                self._promised[place] = epochs
            text = setting_text(setting)
            number = place * len(self._parts)
            for repeat, fold, seed in self._parts:
                spec = TrialSpec(number, setting, text, repeat, fold, epochs, seed, horizon)
                number += 1
                if sampler.budgets:
                    spec = self._continued(spec)
                    if spec.start >= epochs:
                        continue
                elif spec.number in self._finished:
                    self._check_same(spec, self._finished[spec.number])
                    continue
                yield spec

    def _continued(self, spec: TrialSpec) -> TrialSpec:
        """Return a trial that goes on from where it is; its start is its end when there is nothing left to do."""
        standing = self._file.standing(spec.number)
        if standing is None:
            return spec
        identity, state, epochs = standing
        self._check_same(spec, identity)
        if state != PAUSED or epochs >= spec.epochs:
            return spec._replace(start=spec.epochs)
        return spec._replace(start=epochs, checkpoint=self._file.checkpoint(spec.number))

    def _check_same(self, spec: TrialSpec, identity: str) -> None:
        if spec.identity != identity:
            raise StudyFileError(
                f"trial {spec.number:,} of {str(self._file.path)!r} must be what the method proposes again, but it is "
                "not; give the same sampler with the same seed and the same versions, or name another file"
            )

    def _score(self, proposal: Proposal) -> Score:
        """Return the score of a proposal from what the file has, with as many epochs as it proposed."""
        metric, first = self._plan.metric, proposal.place * len(self._parts)
        trials = [self._file.trial(first + i) for i in range(len(self._parts))]
        sign = 1.0 if larger_is_better(metric) else -1.0
        full = proposal.epochs >= self._plan.epochs
        gain = _mean([_value(trial, metric, proposal.epochs, full) for trial in trials])
        return Score(sign * gain, -_mean([_value(trial, "validation_loss", proposal.epochs, full) for trial in trials]))


def _value(trial: Trial | None, metric: str, epochs: int, full: bool) -> float:
    """Return a metric of a trial as it was after so many epochs; NaN where it did not come so far."""
    if trial is None or (full and trial.state != COMPLETED):
        return math.nan
    curve = trial.curves.get(metric)
    if curve is not None and not full:
        return float(curve[epochs - 1]) if len(curve) >= epochs else math.nan
    return trial.metrics.get(metric, math.nan) if trial.epochs >= epochs else math.nan


def _mean(values: Sequence[float]) -> float:
    """Return the mean, the same for any order of the values; NaN when one is not finite."""
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan
