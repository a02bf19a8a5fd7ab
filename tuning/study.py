"""`Study`: a search with its trials, and everything that can be asked of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nn.files import local_path
from tuning.analysis import Analysis, BestRate, Reference, Summary, Verdict, analyse, reference_of, summarise, verdicts
from tuning.callbacks import Announcer, Callback, check_callback, log
from tuning.export import Table, whole
from tuning.methods import Sampler, sampler_of
from tuning.objective import Objective
from tuning.run import INTERRUPTED, SAME, Limits, Runner, Search, Workers, check_workers, work_of
from tuning.space import Space
from tuning.store import STATES, Access, Definition, StudyFile, Trial, TrialResult, Trials, TrialSpec, check_same, now

if TYPE_CHECKING:
    import pandas


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a study; what had finished is saved, and `study` has it."""

    def __init__(self, study: Study) -> None:
        super().__init__(study.progress_line())
        self.study = study


class Study:
    """A study: its definition, its trials, and the best of them. Made by `sweep` or `Study.open`.

    `definition` has everything that the results depend on, `limits` what ends the study before its last setting;
    `space` is the space that is searched, `metric` the metric that decides; `path` is the study's file, None in memory;
    `stopped` says how the last run ended: "finished", "timeout", "target", "total_epochs" or "interrupted";
    `new_trials` how many trials it trained.
    """

    def __init__(
        self, access: Access, objective: Callable[[TrialSpec], TrialResult] | None = None, given: Any = None
    ) -> None:
        self._access = access
        self._objective = objective
        self._given = given
        self._summaries: list[Summary] | None = None
        self._analysis: tuple[int, Analysis] | None = None
        self.path = access.path
        self.stopped: str | None = None
        self.new_trials = 0
        file = access.reading()
        self.definition = Definition.from_json(self.path, file.get("definition"))
        self.limits = Limits(**file.get("limits"))
        self.space = Space(self.definition.space)
        self.metric = self.definition.metric
        self.repeats = self.definition.repeats
        self.folds = self.definition.folds

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Return the study of a file, to look at or to resume. Raises ValueError when it is not a whole study."""
        return cls(Access(StudyFile.open(local_path("the path of a study", path), write=False)))

    @classmethod
    def create(
        cls,
        objective: Callable[[TrialSpec], TrialResult],
        definition: Definition,
        limits: Limits,
        storage: str | Path | None,
        source: str | None = None,
        given: Any = None,
    ) -> Self:
        """Return a new study, or the one that stands in `storage` if its definition is the same.

        `objective` trains a `TrialSpec` and returns its `TrialResult`; `source` is the name or path that the data came
        from; `given` is the sampler of Optuna's that the method is made of, if it is: no file can hold it.
        """
        about = {"limits": asdict(limits), "source": source, "even": True}
        about |= {name: getattr(objective, name, None) for name in ("sizes", "guess")}
        return cls(Access.create(None if storage is None else Path(storage), definition, about), objective, given)

    # -- the file ----------------------------------------------------------------------------------------------

    @property
    def trials(self) -> Trials:
        """The finished trials by number, in whatever order they came back; read as they are asked for."""
        return Trials(self._access.reading())

    @property
    def tested(self) -> dict[str, Any] | None:
        """The result of `test`, if it was called: `params`, `scores` and `time`."""
        return self._access.reading().get("test")

    @property
    def about(self) -> dict[str, Any]:
        """The origin of the study: `created`, an ISO time; `environment`; the `source` of the data, or None."""
        return {name: self._access.reading().get(name) for name in ("created", "environment", "source")}

    @property
    def sizes(self) -> dict[str, int] | None:
        """The numbers of examples in training, validation and test; None in files that do not say."""
        return self._access.reading().get("sizes")

    @property
    def work(self) -> dict[str, int] | None:
        """The `epochs` that were trained, and the `full_epochs` that the same trials take without pruning.

        Of a method that prunes, without early stopping; None of others. A trial that diverged counts with what it
        trained in both.
        """
        return self._access.reading().get("work")

    @property
    def trials_per_setting(self) -> int:
        """The number of trials of one setting: one for each repeat and fold."""
        return self.definition.trials_per_setting

    @property
    def planned(self) -> int | None:
        """The number of trials of the whole study; None where it ends by time or target only."""
        return self.limits.planned_trials(self._sampler(), self.space, self.definition)

    def progress_line(self) -> str:
        """Return how far the study is: "57 of 84 trials are saved"."""
        planned, done = self.planned, f"{self._access.reading().count():,}"
        return f"{done} trials are saved" if planned is None else f"{done} of {planned:,} trials are saved"

    def describe_states(self) -> str:
        """Return how many trials ended in which way, with the first error where any failed."""
        file = self._access.reading()
        done = file.epochs()
        text = ", ".join(f"{done[state][0]:,} {state}" for state in STATES if state in done) or "no trial is finished"
        error = file.first_error()
        return f"{text} ({error})" if error else text

    def close(self) -> None:
        """Close the file; the study opens it again when it is asked for more."""
        self._access.close()

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else repr(str(self.path))
        return f"Study({where}, {self.definition.method}: {self.progress_line()})"

    # -- results -----------------------------------------------------------------------------------------------

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
            self._summaries = summarise(self._access.reading().outcomes(), self.metric, self.trials_per_setting)
        return list(self._summaries)

    def analysis(self) -> Analysis:
        """Return the conclusions: intervals, ties, best learning rates, importances, optimism, verdicts."""
        file = self._access.reading()
        count = file.count()
        if self._analysis is None or self._analysis[0] != count:
            self._analysis = count, analyse(self.definition, self.summaries(), file.records(), self.reference())
        return self._analysis[1]

    def best_rates(self, by: str | Sequence[str] | None = None) -> list[BestRate]:
        """Return the best learning rate, with its interval, for each combination of the values of some parameters.

        Args:
            by: The name of a parameter, or several; none of them, (), for one rate of the whole study. Batch size and
                hidden units unless given.

        Raises:
            ValueError: For a name that no setting has.
        """
        return self.analysis().best_rates(by)

    def verdicts(self) -> list[Verdict]:
        """Return the verdict on each trial with its evidence, in the order of `trials`."""
        return list(verdicts(self.trials, self.reference()))

    def reference(self) -> Reference:
        """Return the reference of the verdicts: the best loss, the best constant answer, and the other rates."""
        file = self._access.reading()
        held_out = (self.sizes or {}).get("validation")
        return reference_of(self.definition, self.summaries(), file.outcomes(), file.get("guess"), held_out)

    def table(self, n: int | None = None) -> Table:
        """Return the best `n` settings, or all, as rows that print as a table; see `tuning.export.Table`."""
        return Table.of(self.analysis(), n)

    def _repr_html_(self) -> str:
        """Return the best settings, and the score against the learning rate, for a notebook."""
        from tuning.export.notebook import study_html

        return study_html(self)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a DataFrame, with scikit-learn's habits in naming columns; needs pandas."""
        return self.table().to_pandas(self.metric)

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, top: int | None = None) -> str:
        """Return the table, or its `top` rows, as CSV, and write it to a file if `path` is given."""
        return _written(self.table(top).to_csv(), path)

    def to_parquet(self, path: str | os.PathLike[str], *, top: int | None = None) -> None:
        """Write the table, or its `top` rows, to a Parquet file; needs pyarrow."""
        self.table(top).to_parquet(path)

    def to_json(self, path: str | os.PathLike[str] | None = None, *, top: int | None = None) -> str:
        """Return analysis and table as one JSON object, and write it to a file if `path` is given.

        `settings` has the rows of the table, or the `top` ones; `test` the result of `test`, if it was called; the
        others are those of `Analysis`.
        """
        about = json.dumps({**self.analysis().to_dict(), "test": self.tested}, allow_nan=False)
        return _written(f'{about[:-1]}, "settings": {self.table(top).to_json()}}}\n', path)

    def to_optuna(self, storage: str, name: str | None = None) -> Any:
        """Return the trials as a study of Optuna's, written to its storage, for its plots and its dashboard.

        Each trial has its metric of every epoch as intermediate values. Needs Optuna.

        Args:
            storage: An address such as "sqlite:///optuna.db".
            name: The name of the study there; that of the study file, or of the data, unless given.
        """
        from tuning.export.optuna import export

        return export(self, storage, name)

    # -- running -----------------------------------------------------------------------------------------------

    def run(
        self,
        executor: Executor | None = None,
        n_jobs: int | None = None,
        progress: bool | None = None,
        callback: Callback | None = None,
    ) -> Self:
        """Run the trials that are not finished yet, and return the study.

        Args:
            executor, n_jobs, progress, callback: As for `tuning.sweep`.

        Raises:
            StudyInterrupted: After Ctrl-C.
        """
        check_workers(executor, n_jobs)
        check_callback(callback)
        if self._objective is None:
            raise ValueError("a study read from a file must be run by resume(), but run() was called")
        sampler = self._sampler()
        sampler.check_given()
        with self._access.writing() as file:
            announcer = Announcer(file, callback)
            search = Search(sampler, self.definition, file, announcer, self.limits.total_epochs)
            runner = Runner(search, Workers(self._objective, executor, n_jobs), self.limits, progress)
            log.info("%r begins: %s", self, self.definition.data.name)
            self.stopped = INTERRUPTED
            try:
                self.stopped = runner.run()
            finally:
                self._summaries = self._analysis = None
                self.new_trials = runner.saved
                log.info("%r ends, %s: %d new trials", self, self.stopped, self.new_trials)
            if sampler.budgets and self.definition.early_stopping is None:
                file.put("work", work_of(file.epochs(), self.definition.epochs))
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

        Args:
            data: Needed only where the study was made from arrays; they must be the same.
            timeout: Seconds of this call.
            n_trials, target, total_epochs: Replace the limits that the study was made with, which stay where none is
                given; None takes one away.
            sampler: Needed only where the study was made with one of Optuna's; it must be made in the same way.
            executor, n_jobs, progress, callback: As for `tuning.sweep`.

        Raises:
            StudyInterrupted: After Ctrl-C.
        """
        self._objective = self._prepared(data)
        if sampler is not None:
            known = self.definition.method_options.get("sampler")
            check_same(self.path, {"sampler": known}, {"sampler": type(sampler).__name__})
            self._given = sampler
        if n_trials != SAME and "n_settings" in self.definition.method_options:
            raise ValueError(
                f"n_trials must stay what it was with method {self.definition.method}, where it says which "
                "settings compete; start another study"
            )
        given: dict[str, Any] = {"n_trials": n_trials, "target": target, "total_epochs": total_epochs}
        changes = {name: value for name, value in given.items() if value != SAME}
        limits = replace(self.limits, timeout=timeout, **changes)
        limits.check_one_setting(self.definition.epochs, self.trials_per_setting)
        self.limits = limits
        limits.check_end(self._sampler(), self.space, self.definition.method)
        if self._access.reading().get("limits") != asdict(limits):
            with self._access.writing() as file:
                file.put("limits", asdict(limits))
        log.info("%r is resumed", self)
        return self.run(executor, n_jobs, progress, callback)

    def test(self, data: Any = None) -> dict[str, float]:
        """Return the scores of the best setting on the test part: means over repeats and folds.

        They are computed once. The study remembers them, with the setting and the time, and returns them from then
        on, whatever is added to it later. `data` as for `resume`.
        """
        known = self.tested
        if known is None:
            objective, best = self._prepared(data), self.best
            scores = [objective.test(spec) for spec in self.definition.trials_of(best.params)]
            means = {name: sum(score[name] for score in scores) / len(scores) for name in scores[0]}
            known = {"params": best.params, "time": now(), "scores": means}
            with self._access.writing() as file:
                file.put("test", known)
        return known["scores"]

    def _sampler(self) -> Sampler:
        d, settings = self.definition, self.limits.settings(self.trials_per_setting)
        even = bool(self._access.reading().get("even"))  # a grid that was begun in the old order is finished in it
        return sampler_of(d.method, d.method_options, settings, d.seed, self._given, even)

    def start(self, trial: Trial) -> dict[str, float]:
        """Return the losses of a trial before its first step; empty where the study was opened without its data."""
        if not isinstance(self._objective, Objective):
            return {}
        return self._objective.start(trial.params, trial.seed, trial.fold)

    def _prepared(self, data: Any) -> Objective:
        """Return the objective on the study's data, and raise unless they are the study's."""
        if data is None and isinstance(self._objective, Objective):
            return self._objective
        source = self.about["source"] if data is None else data
        if source is None:
            raise ValueError("data must be given for a study that was made from arrays, as in study.resume(data)")
        objective = Objective.prepare(source, self.folds)
        check_same(self.path, {"data": self.definition.data.to_json()}, {"data": objective.description.to_json()})
        d = self.definition
        objective = objective.following(*d.metrics, curves=d.curves)
        return objective.training_with(d.early_stopping, d.class_weight)


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        with whole(path) as file:
            file.write_text(text, encoding="utf-8")
    return text
