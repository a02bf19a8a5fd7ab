"""`Study`: what was searched and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from nn.checks import real
from tuning.analysis import Leader, Summary, summarise
from tuning.callbacks import AnnouncingFile, Callback, check_callback, log
from tuning.methods import OPTUNA, OptunaSampler, Sampler, least, sampler_of
from tuning.objective import Objective
from tuning.results import Results
from tuning.run import (
    BUDGET,
    FINISHED,
    INTERRUPTED,
    SAME,
    Limits,
    Plan,
    Progress,
    Runner,
    Search,
    Workers,
    check_end,
    check_n_trials,
    check_timeout,
    check_total_epochs,
    check_workers,
    work_of,
)
from tuning.space import Space
from tuning.store import (
    PAUSED,
    PRUNED,
    STATES,
    TrialResult,
    Trials,
    TrialSpec,
    check_same,
    check_writable,
    environment,
    now,
)


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a study; what had finished is saved, and `study` has it."""

    def __init__(self, study: Study) -> None:
        super().__init__(study.progress_line())
        self.study = study


class Study(Results):
    """A study: its definition, its trials, and the best of them. Made by `sweep` or `Study.open`.

    `definition` has, in plain values, everything that the results depend on; `path` is its file, None in memory;
    `stopped` says how the last run ended: "finished", "timeout", "target", "total_epochs" or "interrupted";
    `new_trials` how many trials it trained.
    """

    def __init__(self, file: AnnouncingFile, objective: Callable[[TrialSpec], TrialResult] | None = None) -> None:
        self._file: AnnouncingFile | None = file
        self._objective = objective
        self._summaries: list[Summary] | None = None
        self.path = file.path
        self.stopped: str | None = None
        self.new_trials = 0
        self._optuna_sampler: Any = None
        self._load(file)

    def _load(self, file: AnnouncingFile) -> None:
        self.definition: dict[str, Any] = file.get("definition")
        self.limits = Limits(**file.get("limits"))
        self.space = Space(self.definition["space"])
        self.metric: str = self.definition["metric"]
        self.repeats: int = self.definition["repeats"]
        self.folds: int | None = self.definition["folds"]

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Return the study of a file, to look at or to resume. Raises ValueError when it is not a whole study."""
        return cls(AnnouncingFile.open(Path(path), write=False))

    @classmethod
    def create(
        cls,
        objective: Callable[[TrialSpec], TrialResult],
        definition: dict[str, Any],
        limits: Limits,
        storage: str | Path | None,
        source: str | None = None,
        sampler: Any = None,
    ) -> Self:
        """Return a new study, or the one that stands in `storage` if its definition is the same.

        `sampler` is that of Optuna's, where the definition says that there is one: no file can hold it.
        """
        about = {
            "definition": definition, "limits": asdict(limits), "source": source,
            "environment": dict(environment()), "created": now(), "sizes": getattr(objective, "sizes", None),
        }  # fmt: skip
        path = None if storage is None else Path(storage)
        if path is not None:
            check_writable(path)
        if path is None or not path.exists() or path.stat().st_size == 0:
            file = AnnouncingFile.create(path, about)
        else:
            # To look first leaves a file that is refused as it was, to the last byte.
            reader = AnnouncingFile.open(path, write=False)
            try:
                check_same(path, reader.get("definition"), definition)
            finally:
                reader.close()
            file = AnnouncingFile.open(path, write=True)
            file.put("limits", asdict(limits))
        study = cls(file, objective)
        study._optuna_sampler = sampler
        return study

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

    @property
    def tested(self) -> dict[str, Any] | None:
        """What `test` found, if it was called: `params`, `scores` and `time`."""
        known: dict[str, Any] | None = self._reading().get("test")
        return known

    @property
    def about(self) -> dict[str, Any]:
        """When and where the study was made: `created`, an ISO time; `environment`; `source` of the data, or None."""
        return {name: self._reading().get(name) for name in ("created", "environment", "source")}

    @property
    def sizes(self) -> dict[str, int] | None:
        """How many examples there are in training, validation and test; None in files that do not say."""
        known: dict[str, int] | None = self._reading().get("sizes")
        return known

    def test(self, data: Any = None) -> dict[str, float]:
        """Return the scores of the best setting on the test part: means over repeats and folds.

        They are computed once. The study remembers them, with the setting and the time, and returns them from then
        on, whatever is added to it later. `data` as for `resume`.
        """
        known = self._reading().get("test")
        if known is None:
            objective = self._prepared(data)
            best = self.best
            scores = [objective.test(spec) for spec in Plan.of(self.definition).trials_of(best.params)]
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
        return self._planned(self._sampler())

    def _planned(self, sampler: Sampler) -> int | None:
        settings = sampler.count(self.space, self.definition["epochs"])
        if self.limits.total_epochs is not None and not sampler.budgets:
            settings = least(settings, self.limits.total_epochs // self.definition["epochs"] // self.trials_per_setting)
        return None if settings is None else settings * self.trials_per_setting

    @property
    def work(self) -> dict[str, int] | None:
        """The `epochs` that were trained, and the `full_epochs` that the same trials take without pruning.

        Of a method that prunes; None of others. A trial that diverged counts with what it trained in both.
        """
        known: dict[str, int] | None = self._reading().get("work")
        return known

    def run(
        self,
        executor: Executor | None = None,
        n_jobs: int | None = None,
        progress: bool | None = None,
        callback: Callback | None = None,
    ) -> Self:
        """Run the trials that are not finished yet. Raises StudyInterrupted after Ctrl-C.

        `callback(trial)` is called with each trial that has ended, here in this thread, after it was saved.
        """
        check_workers(executor, n_jobs)
        check_callback(callback)
        objective = self._objective
        if objective is None:
            raise ValueError("a study read from a file must be run by resume(), but run() was called")
        sampler = self._sampler()
        if isinstance(sampler, OptunaSampler) and sampler.sampler is None and self.definition["method"] == OPTUNA:
            raise ValueError(
                "sampler must be given for a study that was made with one of Optuna's, as in "
                f"study.resume(sampler={self._sampler_name()}(seed=…))"
            )
        file = self._writing()
        try:
            leader = Leader(self.metric, self.trials_per_setting)
            for setting, _, _, state, metrics in file.outcomes():
                if state not in (PAUSED, PRUNED):
                    leader.add(setting, state, metrics)
            before = file.count()
            search = self._search(sampler, file)
            bar = self._progress(progress, sampler, before, leader)
            runner = Runner(file, objective, leader, self.limits, bar, sampler.budgets)
            log.info("%r begins: %s", self, self.definition["data"]["name"])
            self.stopped = INTERRUPTED
            try:
                with file.telling(callback):
                    ended = runner.run(search.rounds(), Workers(executor, n_jobs))
                self.stopped = BUDGET if ended == FINISHED and search.cut else ended
            finally:
                self._summaries = self._analysed = None
                self.new_trials = runner.saved
                log.info("%r ends, %s: %d new trials", self, self.stopped, self.new_trials)
            if sampler.budgets:
                file.put("work", work_of(file.epochs(), self.definition["epochs"]))
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
        n_trials: int | str | None = SAME,
        target: float | str | None = SAME,
        total_epochs: int | str | None = SAME,
        sampler: Any = None,
        progress: bool | None = None,
        callback: Callback | None = None,
    ) -> Self:
        """Run what is left: to the last bit what an uninterrupted study gives.

        `data` is needed only where the study was made from arrays; they must be the same. `timeout` is for this call;
        of the other limits, those given replace the ones that the study was made with, and None takes one away.
        `sampler` is needed only where the study was made with one of Optuna's; it must be made in the same way.
        `callback` as for `run`.
        """
        self._objective = self._prepared(data)
        if sampler is not None:
            check_same(self.path, *({"sampler": name} for name in (self._sampler_name(), type(sampler).__name__)))
            self._optuna_sampler = sampler
        limits = replace(self.limits, timeout=check_timeout(timeout))
        if n_trials != SAME:
            if "n_settings" in self.definition["method_options"]:
                raise ValueError(
                    f"n_trials must stay what it was with method {self.definition['method']}, where it says which "
                    "settings compete; start another study"
                )
            limits = replace(limits, n_trials=check_n_trials(n_trials, self.trials_per_setting))
        if target != SAME:
            limits = replace(limits, target=None if target is None else real("target", target))
        if total_epochs != SAME:
            limits = replace(limits, total_epochs=check_total_epochs(total_epochs, Plan.of(self.definition)))
        self.limits = limits
        check_end(self._sampler(), self.space, self.definition["method"], limits)
        self._keep_limits()
        log.info("%r is resumed", self)
        return self.run(executor, n_jobs, progress, callback)

    def _keep_limits(self) -> None:
        if self._reading().get("limits") != asdict(self.limits):
            file = self._writing()
            try:
                file.put("limits", asdict(self.limits))
            finally:
                self._release(file)

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
        return sampler_of(d["method"], d["method_options"], settings, d["seed"], self._optuna_sampler)

    def _search(self, sampler: Sampler, file: AnnouncingFile) -> Search:
        return Search(sampler, self.space, file, Plan.of(self.definition), self.limits.total_epochs)

    def _specs(self) -> Iterator[TrialSpec]:
        """Return the trials of the first round that are not finished."""
        return next(self._search(self._sampler(), self._reading()).rounds())

    def _sampler_name(self) -> str | None:
        name: str | None = self.definition["method_options"].get("sampler")
        return name

    def _progress(self, show: bool | None, sampler: Sampler, before: int, leader: Leader) -> Progress:
        """Return the bar: of trials, or of epochs where trials come back several times."""
        if not sampler.budgets:
            return Progress(show, self._planned(sampler), before, leader)
        planned = sampler.planned_epochs(self.space, self.definition["epochs"])
        total = least(planned and planned * self.trials_per_setting, self.limits.total_epochs)
        done = sum(epochs for _, epochs in self._reading().epochs().values())
        return Progress(show, total, done, leader, " epochs")

    def _prepared(self, data: Any) -> Objective:
        """Return the objective on the study's data, and raise unless they are the study's."""
        if data is None and isinstance(self._objective, Objective):
            return self._objective
        source = self._reading().get("source") if data is None else data
        if source is None:
            raise ValueError("data must be given for a study that was made from arrays, as in study.resume(data)")
        objective = Objective.prepare(source, self.folds)
        check_same(self.path, {"data": self.definition["data"]}, {"data": objective.description})
        return objective.following(*self.definition["metrics"])

    def _reading(self) -> AnnouncingFile:
        if self._file is None:
            assert self.path is not None
            self._file = AnnouncingFile.open(self.path, write=False)
        return self._file

    def _writing(self) -> AnnouncingFile:
        if self.path is None or (self._file is not None and self._file.writable):
            return self._reading()
        self.close()
        self._file = AnnouncingFile.open(self.path, write=True)
        return self._file

    def _release(self, file: AnnouncingFile) -> None:
        """Give the right to write back: what is read from now on needs none."""
        if self.path is not None:
            file.close()
            self._file = None

    def describe_states(self) -> str:
        """Return how many trials ended in which way, with the first error where any failed."""
        file = self._reading()
        counts = {state: file.count(state) for state in STATES}
        text = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count) or "no trial is finished"
        error = next((trial.error for trial in file.trials() if trial.error), None) if counts["failed"] else None
        return f"{text} ({error})" if error else text
