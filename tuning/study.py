"""`Study`: what was searched and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from nn._checks import real
from tuning.analysis import Leader, Summary, Table, summarise
from tuning.definition import check_same, environment, now
from tuning.executors import Workers, check_workers
from tuning.objective import Objective
from tuning.runner import INTERRUPTED, Limits, Progress, Runner
from tuning.samplers import Sampler, make_sampler
from tuning.space import Space
from tuning.storage import StudyFile, check_writable
from tuning.trial import Trial, TrialResult, TrialSpec, seed_of, setting_text

if TYPE_CHECKING:
    import pandas

METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "train_r2", "validation_r2")


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a study; what had finished is saved, and `study` has it."""

    def __init__(self, study: Study) -> None:
        super().__init__(study.progress_line())
        self.study = study


class Study:
    """A study: its definition, its trials, and the best of them. Made by `sweep` or `Study.open`.

    `definition` has, in plain values, everything that the results depend on; `path` is its file, None in memory;
    `stopped` says how the last run ended: "finished", "timeout", "target" or "interrupted"; `new_trials` how many
    trials it added.
    """

    def __init__(self, file: StudyFile, objective: Callable[[TrialSpec], TrialResult] | None = None) -> None:
        self._file: StudyFile | None = file
        self._objective = objective
        self._summaries: list[Summary] | None = None
        self.path = file.path
        self.stopped: str | None = None
        self.new_trials = 0
        self._load(file)

    def _load(self, file: StudyFile) -> None:
        self.definition: dict[str, Any] = file.get("definition")
        self.limits = Limits(**file.get("limits"))
        self.space = Space(self.definition["space"])
        self.metric: str = self.definition["metric"]
        self.repeats: int = self.definition["repeats"]
        self.folds: int | None = self.definition["folds"]

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Return the study of a file, to look at or to resume. Raises ValueError when it is not a whole study."""
        return cls(StudyFile.open(Path(path), write=False))

    @classmethod
    def create(
        cls,
        objective: Callable[[TrialSpec], TrialResult],
        definition: dict[str, Any],
        limits: Limits,
        storage: str | Path | None,
        source: str | None = None,
    ) -> Self:
        """Return a new study, or the one that stands in `storage` if its definition is the same."""
        about = {
            "definition": definition, "limits": asdict(limits), "source": source,
            "environment": environment(), "created": now(),
        }  # fmt: skip
        path = None if storage is None else Path(storage)
        if path is not None:
            check_writable(path)
        if path is None or not path.exists() or path.stat().st_size == 0:
            file = StudyFile.create(path, about)
        else:
            # To look first leaves a file that is refused as it was, to the last byte.
            reader = StudyFile.open(path, write=False)
            try:
                check_same(path, reader.get("definition"), definition)
            finally:
                reader.close()
            file = StudyFile.open(path, write=True)
            file.put("limits", asdict(limits))
        return cls(file, objective)

    # -- results -----------------------------------------------------------------------------------------------

    @property
    def trials(self) -> Trials:
        """The finished trials, in the order of the search and not of their arrival; read as they are asked for."""
        return Trials(self._reading())

    @property
    def best(self) -> Summary:
        """The best setting: `params`, and `metrics` as means over repeats and folds. ValueError when there is none."""
        ranked = self.summaries()
        if not ranked or ranked[0].rank is None:
            raise ValueError(f"a study must have a setting whose trials all completed, but: {self.describe_states()}")
        return ranked[0]

    def summaries(self) -> list[Summary]:
        """Return every setting that has a trial, the best first."""
        if self._summaries is None:
            self._summaries = summarise(self._reading().outcomes(), self.metric, self.trials_per_setting)
        return list(self._summaries)

    def table(self, n: int | None = None) -> Table:
        """Return the best `n` settings, or all, as rows that print as a table."""
        score = [name for name in METRICS if name in self.definition["metrics"]]
        return Table.of(self.summaries()[:n], sorted(score, key=lambda name: (name != self.metric, score.index(name))))

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a DataFrame; needs pandas."""
        import pandas

        return pandas.DataFrame(list(self.table()))

    def test(self, data: Any = None) -> dict[str, float]:
        """Return the scores of the best setting on the test part: means over repeats and folds.

        They are computed once. The study remembers them, with the setting and the time, and returns them from then
        on, whatever is added to it later. `data` as for `resume`.
        """
        known = self._reading().get("test")
        if known is None:
            objective = self._prepared(data)
            best = self.best
            specs = [spec for spec in self._specs([best.params]) if spec.params == best.params]
            scores = [objective.test(spec) for spec in specs]
            known = {
                "params": best.params, "time": now(),
                "scores": {name: sum(score[name] for score in scores) / len(scores) for name in scores[0]},
            }  # fmt: skip
            file = self._writing()
            try:
                file.put("test", known)
            finally:
                self._release(file)
        scores_once: dict[str, float] = known["scores"]
        return scores_once

    # -- running -----------------------------------------------------------------------------------------------

    @property
    def trials_per_setting(self) -> int:
        """One for each repeat and fold."""
        return self.repeats * (self.folds or 1)

    @property
    def planned(self) -> int | None:
        """How many trials the whole study has; None where it ends by time or target only."""
        settings = self._sampler().count(self.space)
        return None if settings is None else settings * self.trials_per_setting

    def run(
        self,
        executor: Executor | None = None,
        n_jobs: int | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Run the trials that are not finished yet. Raises StudyInterrupted after Ctrl-C."""
        check_workers(executor, n_jobs)
        objective = self._objective
        if objective is None:
            raise ValueError("a study read from a file must be run by resume(), but run() was called")
        file = self._writing()
        try:
            leader = Leader(self.metric, self.trials_per_setting)
            for setting, _, _, state, metrics in file.outcomes():
                leader.add(setting, state, metrics)
            before = file.count()
            finished = file.identities() if before else set()
            specs = (spec for spec in self._specs() if spec.identity not in finished) if finished else self._specs()
            bar = Progress(progress, self.planned, before, leader)
            runner = Runner(file, objective, leader, self.limits, bar)
            self.stopped = INTERRUPTED
            try:
                self.stopped = runner.run(specs, Workers(executor, n_jobs))
            finally:
                self._summaries = None
                self.new_trials = file.count() - before
        finally:
            self._release(file)
        if self.stopped == INTERRUPTED:
            raise StudyInterrupted(self)
        return self

    def resume(
        self,
        data: Any = None,
        *,
        executor: Executor | None = None,
        n_jobs: int | None = None,
        timeout: float | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Run what is left: to the last bit what an uninterrupted study gives.

        `data` is needed only where the study was made from arrays; they must be the same. The limits are those that
        the study was made with, but for `timeout`, which is for this call.
        """
        self._objective = self._prepared(data)
        self.limits = Limits(self.limits.n_trials, check_timeout(timeout), self.limits.target)
        return self.run(executor, n_jobs, progress)

    def progress_line(self) -> str:
        """Return how far the study is: "57 of 84 trials are saved"."""
        planned = self.planned
        done = f"{self._reading().count():,}"
        return f"{done} trials are saved" if planned is None else f"{done} of {planned:,} trials are saved"

    def close(self) -> None:
        """Close the file; the study opens it again when it is asked for more."""
        if self._file is not None and self.path is not None:
            self._file.close()
            self._file = None

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else repr(str(self.path))
        return f"Study({where}, {self.definition['method']}: {self.progress_line()})"

    def _sampler(self) -> Sampler:
        settings = self.limits.n_trials and self.limits.n_trials // self.trials_per_setting
        d = self.definition
        return make_sampler(d["method"], settings, d["method_options"].get("points", 7), d["seed"])

    def _specs(self, settings: Sequence[Any] | None = None) -> Iterator[TrialSpec]:
        """Yield all trials of the study in order, or those of some settings."""
        epochs, seed = self.definition["epochs"], self.definition["seed"]
        folds: Sequence[int | None] = (None,) if self.folds is None else range(self.folds)
        parts = [(repeat, fold, seed_of(seed, repeat, fold)) for repeat, fold in product(range(self.repeats), folds)]
        rounds = self._sampler().rounds(self.space) if settings is None else iter([iter(settings)])
        number = 0
        for one_round in rounds:
            for setting in one_round:
                text = setting_text(setting)
                for repeat, fold, trial_seed in parts:
                    yield TrialSpec(number, setting, text, repeat, fold, epochs, trial_seed)
                    number += 1

    def _prepared(self, data: Any) -> Objective:
        """Return the objective on the study's data, and raise unless they are the study's."""
        if data is None and isinstance(self._objective, Objective):
            return self._objective
        source = self._reading().get("source") if data is None else data
        if source is None:
            raise ValueError("data must be given for a study that was made from arrays, as in study.resume(data)")
        objective = Objective.prepare(source, self.folds)
        check_same(self.path, {"data": self.definition["data"]}, {"data": objective.description})
        return objective

    def _reading(self) -> StudyFile:
        if self._file is None:
            assert self.path is not None
            self._file = StudyFile.open(self.path, write=False)
        return self._file

    def _writing(self) -> StudyFile:
        if self.path is None or (self._file is not None and self._file.writable):
            return self._reading()
        self.close()
        self._file = StudyFile.open(self.path, write=True)
        return self._file

    def _release(self, file: StudyFile) -> None:
        """Give the right to write back: what is read from now on needs none."""
        if self.path is not None:
            file.close()
            self._file = None

    def describe_states(self) -> str:
        """Return how many trials ended in which way, with the first error where any failed."""
        file = self._reading()
        counts = {state: file.count(state) for state in ("completed", "diverged", "failed", "pruned")}
        text = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count) or "no trial is finished"
        error = next((trial.error for trial in file.trials() if trial.error), None) if counts["failed"] else None
        return f"{text} ({error})" if error else text


class Trials(Sequence[Trial]):
    """The finished trials of a study, read from its file one by one."""

    def __init__(self, file: StudyFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return self._file.count()

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        if isinstance(index, slice):
            return list(self)[index]
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"a trial's index must be below {length:,}, but got {index}")
        return self._file.trial_at(index % length)

    def __iter__(self) -> Iterator[Trial]:
        return self._file.trials()


def check_timeout(timeout: Any) -> float | None:
    """Return a timeout in seconds, or None."""
    return None if timeout is None else real("timeout", timeout, above=0.0)
