"""The rounds of a study: what its sampler proposes becomes trials, and what the file says of them goes back to it.

The sampler is told nothing but what stands in the file. A study that was interrupted therefore asks its sampler again
from the first round, hands out only what is missing, and comes to the same trials, to the last bit, as one that was
not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from tuning.analysis import mean, sign
from tuning.callbacks import Announcer
from tuning.methods import Proposal, Sampler, Score
from tuning.store import COMPLETED, PAUSED, Definition, StudyFile, StudyFileError, Trial, TrialSpec, best_epoch


class Search:
    """The trials of a study that are not finished yet, round by round.

    `total_epochs` is the most that all trials may be given; the trials of a setting are handed out together or not at
    all, and `cut` says whether any was not. What a trial was promised counts, though it may have diverged before.
    """

    def __init__(
        self, sampler: Sampler, definition: Definition, file: StudyFile, announcer: Announcer, total_epochs: int | None
    ) -> None:
        self.sampler, self.definition, self.file, self.announcer = sampler, definition, file, announcer
        self._per_setting = definition.trials_per_setting
        self._left = math.inf if total_epochs is None else total_epochs
        self._promised: dict[int, int] = {}
        self._finished = file.identities()
        self.cut = False

    def rounds(self) -> Iterator[Iterator[TrialSpec]]:
        """Yield the trials of one round after another; each must be in the file before the next is asked for."""
        sampler = self.sampler
        rounds = sampler.rounds(self.definition.searched, self.definition.epochs)
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
        if self.sampler.budgets:
            over = set(self._promised) - {proposal.place for proposal in proposals}
            self.announcer.pruned(self.file.prune(lambda number: number // self._per_setting in over))

    def _specs(self, proposals: Iterable[Proposal]) -> Iterator[TrialSpec]:
        """Yield the trials of a round, but for those that the file has."""
        for place, setting, epochs in proposals:
            cost = self._per_setting * (epochs - self._promised.get(place, 0))
            if cost > self._left:
                self.cut = True
                return
            self._left -= cost
            if self.sampler.budgets:
                self._promised[place] = epochs
            for spec in self.definition.trials_of(setting, place, epochs):
                if self.sampler.budgets:
                    spec = self._continued(spec)
                    if spec.start >= epochs:
                        continue
                elif spec.number in self._finished:
                    self._check_same(spec, self._finished[spec.number])
                    continue
                yield spec

    def _continued(self, spec: TrialSpec) -> TrialSpec:
        """Return a trial that goes on from where it is; its start is its end when there is nothing left to do."""
        standing = self.file.standing(spec.number)
        if standing is None:
            return spec
        self._check_same(spec, standing.identity)
        if standing.state != PAUSED or standing.epochs >= spec.epochs:
            return spec._replace(start=spec.epochs)
        return spec._replace(start=standing.epochs, checkpoint=self.file.checkpoint(spec.number))

    def _check_same(self, spec: TrialSpec, identity: str) -> None:
        if spec.identity != identity:
            raise StudyFileError(
                f"trial {spec.number:,} of {str(self.file.path)!r} must be what the method proposes again, but it is "
                "not; give the same sampler with the same seed and the same versions, or name another file"
            )

    def _score(self, proposal: Proposal) -> Score:
        """Return the score of a proposal from what the file has, with as many epochs as it proposed."""
        metric, first, epochs = self.definition.metric, proposal.place * self._per_setting, proposal.epochs
        trials = [self.file.trial(first + i) for i in range(self._per_setting)]
        full, keeps_best = epochs >= self.definition.epochs, self.definition.early_stopping is not None
        gain, loss = (
            mean([_value(trial, name, epochs, full, keeps_best) for trial in trials])
            for name in (metric, "validation_loss")
        )
        return Score(sign(metric) * gain, -loss)


def _value(trial: Trial | None, metric: str, epochs: int, full: bool, keeps_best: bool) -> float:
    """Return a metric of a trial as it was after so many epochs, or of the best of them where it keeps that.

    NaN where it did not come so far; a trial that has ended by itself, or by early stopping, stays as it was then.
    """
    if trial is None or (full and trial.state != COMPLETED):
        return math.nan
    if keeps_best:
        if trial.epochs < epochs and trial.state != COMPLETED:
            return math.nan
        curves = {name: curve[:epochs] for name, curve in trial.curves.items()}
        best = best_epoch(curves)
        return math.nan if best is None or metric not in curves else float(curves[metric][best - 1])
    ended = trial.state == COMPLETED and trial.epochs < epochs
    curve = trial.curves.get(metric)
    if curve is not None and not full and not ended:
        return float(curve[epochs - 1]) if len(curve) >= epochs else math.nan
    return trial.metrics.get(metric, math.nan) if trial.epochs >= epochs or ended else math.nan
