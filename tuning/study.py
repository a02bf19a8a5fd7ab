"""`Study`: a search with its trials, and everything that can be asked of it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nn.files import local_path
from nn.metrics import PARTS, Metric
from tuning.callbacks import Announcer, Callback, check_callback, log
from tuning.export import Confusion, seen_before
from tuning.final import Member, final_epochs, fitted, tested
from tuning.methods import Sampler, sampler_of
from tuning.objective import Objective
from tuning.objectives import check_fits, check_given, check_place, given_metric, prepared
from tuning.results import Results
from tuning.run import INTERRUPTED, SAME, Limits, Runner, Search, Workers, check_workers, reachable, work_of
from tuning.source import Source, located
from tuning.store import (
    Access,
    Definition,
    StudyFile,
    StudyFileError,
    Trial,
    TrialResult,
    TrialSpec,
    check_model,
    check_same,
    note_change,
    setting_text,
)

if TYPE_CHECKING:
    from nn import Ensemble, Run


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a study; what had finished is saved, and `study` has it."""

    def __init__(self, study: Study) -> None:
        super().__init__(study.progress_line())
        self.study = study


class Study(Results):
    """A study: its definition, its trials, and the best of them. Made by `sweep` or `Study.open`.

    `definition` has everything that the results depend on, `limits` what ends the study before its last setting;
    `space` is the space that is searched, `metric` the metric that decides; `path` is the study's file, None in memory;
    `stopped` says how the last run ended: "finished", "timeout", "target", "total_epochs" or "interrupted";
    `new_trials` how many trials it trained.
    """

    def __init__(
        self, access: Access, objective: Callable[[TrialSpec], TrialResult] | None = None, given: Any = None
    ) -> None:
        super().__init__(access)
        self._objective = objective
        self._given = given
        self.stopped: str | None = None
        self.new_trials = 0
        self.limits = Limits(**access.reading().get("limits"))

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
        source: Source | None = None,
        given: Any = None,
        allow_changed: bool = False,
    ) -> Self:
        """Return a new study, or the one that stands in `storage` if its definition is the same.

        `objective` trains a `TrialSpec` and returns its `TrialResult`; `source` is where the data came from; `given`
        is the sampler of Optuna's that the method is made of, if it is: no file can hold it. `allow_changed` as for
        `tuning.sweep`.
        """
        about = {"limits": asdict(limits), "even": True, **_origin(source)}
        about |= {name: getattr(objective, name, None) for name in ("sizes", "guess")}
        path = None if storage is None else Path(storage)
        return cls(Access.create(path, definition, about, allow_changed), objective, given)

    # -- the file ----------------------------------------------------------------------------------------------

    @property
    def planned(self) -> int | None:
        """The number of trials of the whole study; None where it ends by time or target only."""
        return self.limits.planned_trials(self._sampler(), self.space, self.definition)

    def progress_line(self) -> str:
        """Return how far the study is: "57 of 84 trials are saved"."""
        planned, done = self.planned, f"{self._access.reading().count():,}"
        return f"{done} trials are saved" if planned is None else f"{done} of {planned:,} trials are saved"

    def close(self) -> None:
        """Close the file; the study opens it again when it is asked for more."""
        self._access.close()

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else repr(str(self.path))
        return f"Study({where}, {self.definition.method}: {self.progress_line()})"

    def _repr_html_(self) -> str:
        """Return the best settings, and the score against the learning rate, for a notebook."""
        from tuning.export.notebook import study_html

        return study_html(self)

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
        trial_timeout: float | None = None,
    ) -> Self:
        """Run the trials that are not finished yet, and return the study.

        Args:
            executor, n_jobs, progress, callback, trial_timeout: As for `tuning.sweep`.

        Raises:
            StudyInterrupted: After Ctrl-C.
        """
        check_workers(executor, n_jobs, trial_timeout)
        check_callback(callback)
        check_place(self._objective, executor, n_jobs, trial_timeout)
        if self._objective is None:
            raise ValueError("a study read from a file must be run by resume(), but run() was called")
        executor = reachable(executor, getattr(self._objective, "own_metric", None))
        sampler = self._sampler()
        sampler.check_given()
        with self._access.writing() as file:
            announcer = Announcer(file, callback)
            search = Search(sampler, self.definition, file, announcer, self.limits.total_epochs)
            workers = Workers(self._objective, executor, n_jobs, trial_timeout)
            runner = Runner(search, workers, self.limits, progress)
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
        metric: Any = None,
        objective: Any = None,
        model: Any = None,
        allow_changed: bool = False,
        trial_timeout: float | None = None,
        progress: bool | None = None,
        callback: Callback | None = None,
        **reading: Any,
    ) -> Self:
        """Run what is left: to the last bit what an uninterrupted study gives.

        Args:
            data: Needed only where the study was made from arrays, which must be the same, or where its file was moved.
            timeout: Seconds of this call.
            n_trials, target, total_epochs: Replace the limits that the study was made with, which stay where none is
                given; None takes one away.
            sampler: Needed only where the study was made with one of Optuna's; it must be made in the same way.
            metric: Needed only where the metric that decides is your own function, which must be the same.
            objective, model: Needed where the study was made with a function or an estimator, which must be the same.
            allow_changed: Go on though their code, or the version of their package, has changed; the file notes it.
            executor, n_jobs, trial_timeout, progress, callback: As for `tuning.sweep`.
            **reading: How to read `data`, where that is a file: options of `nn.data.READING` in the place of those that
                the study has.

        Raises:
            StudyInterrupted: After Ctrl-C.
        """
        made = self._objective = self._prepared(data, reading, metric, allow_changed, objective, model)
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
        if data is not None and made.source is not None:
            with self._access.writing() as file:
                for name, value in _origin(made.source).items():
                    file.put(name, value)
        if made.own_metric is not None or made.model is not None:
            with self._access.writing() as file:
                note_change(file, "own_metric", None if made.own_metric is None else made.own_metric.to_json())
                note_change(file, "model", made.model)
        log.info("%r is resumed", self)
        return self.run(executor, n_jobs, progress, callback, trial_timeout)

    def best_run(self, data: Any = None, *, metric: Any = None, model: Any = None, **reading: Any) -> Run:
        """Train the first trial of the best setting once more, to the same bits, and return its run.

        That is repeat 0, and fold 0 where there are folds: a network of the training part, whose metrics are those that
        the study has of this trial. `data`, `metric`, `model` and `reading` as for `resume`; an estimator is returned
        fitted.
        """
        return self._fitting(data, reading, model, metric).run(next(self.definition.trials_of(self.best.params)))

    def confusion(self, data: Any = None, **reading: Any) -> Confusion:
        """Return what the best setting takes for what on the validation part, by training its first trial once more.

        The run is that of `best_run`: with folds, the part is that of the first. `data` and `reading` as for `resume`.
        Raises ValueError where the study is no classification.

        >>> from tuning import sweep
        >>> study = sweep("iris", {"learning_rate": [0.1], "hidden_units": 8}, epochs=30)
        >>> study.confusion().counts[0].tolist()  # of setosa, none is taken for another
        [10, 0, 0]
        """
        task, spec = self.definition.data.task, next(self.definition.trials_of(self.best.params))
        if task != "classification" or self.definition.model is not None:
            what = f"the task is {task}" if self.definition.model is None else "the study has no network"
            raise ValueError(f"a confusion matrix must be of one class for each example, but {what}")
        objective = self._on_data(data, reading)
        validation = objective.splits[spec.fold or 0].validation
        assert validation is not None  # which decides
        run = objective.run(spec)
        counts = run.confusion(validation)
        return Confusion(run.class_names or tuple(map(str, range(len(counts)))), counts)

    def test(self, data: Any = None, *, metric: Any = None, model: Any = None, **reading: Any) -> dict[str, float]:
        """Return the scores on the test part of the best setting, or of as many as the study's `ensemble` says.

        There is a network for each setting, repeat and fold, trained on all that is not test for the epochs that were
        best in the search; their mean is scored (see `tuning.final`). That is done once: the study remembers the scores
        and from then on returns them, with a warning that they have been seen, whatever is added to it later. `data`,
        `metric`, `model` and `reading` as for `resume`. An estimator is fitted once, as by `final_run`.
        """
        known = self.tested
        if known is None:
            known = tested(self._fitting(data, reading, model, metric), self.definition, self.members())
            with self._access.writing() as file:
                file.put("test", known)
            return dict(known["scores"])
        warnings.warn(f"the test part was {seen_before(known)}", stacklevel=2)
        with contextlib.suppress(StudyFileError), self._access.writing() as file:  # to look takes no right to write
            file.put("test", known | {"looks": known.get("looks", 1) + 1})
        return dict(known["scores"])

    def final_run(self, data: Any = None, *, model: Any = None, **reading: Any) -> Run | Ensemble:
        """Return the model to be used: what `test` scores, trained on all rows, those of the test part among them.

        It is an `nn.Ensemble` where there are repeats, folds, or several settings in it; an estimator is fitted
        once, with the seed of its first trial. `data`, `model` and `reading` as for `resume`; a metric of one's own is
        followed where its function is at hand.

        >>> from tuning import sweep
        >>> study = sweep("iris", {"learning_rate": [0.1], "hidden_units": 8}, epochs=10)
        >>> study.final_run().epochs
        10
        """
        lacks = self.definition.own_metric is not None and self._known_metric is None
        objective = self._on_data(data, reading) if lacks else self._fitting(data, reading, model)
        everything = objective.splits[0].joined(*PARTS, "test")
        return fitted(objective, self.definition, self.members(), everything)

    def members(self) -> list[Member]:
        """Return the settings whose networks are the final model, the best first, and the epochs of each.

        Under early stopping, these are the median of the best epochs of its trials; all epochs otherwise. Raises
        ValueError where no setting is the best.
        """
        count, file = self.definition.ensemble or 1, self._access.reading()
        ranked = [self.best, *(summary for summary in self.summaries()[1:count] if summary.rank is not None)]
        epochs = (final_epochs(self.definition, file.trials_of(setting_text(each.params))) for each in ranked)
        return [Member(each.params, number) for each, number in zip(ranked, epochs, strict=True)]

    def _sampler(self) -> Sampler:
        d, settings = self.definition, self.limits.settings(self.trials_per_setting)
        even = bool(self._access.reading().get("even"))  # a grid that was begun in the old order is finished in it
        return sampler_of(d.method, d.method_options, settings, d.seed, self._given, even)

    def start(self, trial: Trial) -> dict[str, float]:
        """Return the losses of a trial before its first step; empty where the study's data are not there any more."""
        objective = self._objective if isinstance(self._objective, Objective) else self._reloaded
        return {} if objective is None else objective.start(trial.params, trial.seed, trial.fold)

    @cached_property
    def _reloaded(self) -> Objective | None:
        try:
            return None if self.definition.model is not None else self._on_data(None, {})
        except (ValueError, TypeError, OSError):
            return None

    def _prepared(
        self,
        data: Any,
        reading: Mapping[str, Any],
        metric: Any = None,
        allow_changed: bool = False,
        objective: Any = None,
        model: Any = None,
    ) -> Any:
        """Return the objective with the study's metrics; raise unless data, metric and model are the study's."""
        d = self.definition
        if not (d.model is objective is model is None):
            if data is None and not reading and objective is model is None and self._objective is not None:
                return self._objective
            check_given(d, objective, model)
            if objective is None:
                data, reading = self._located(data, reading)
            made = prepared(data, self.folds, reading, objective, model, d.metric)
            check_model(self.path, d.model, made.model, allow_changed)
            made.description.check_continues(self.path, d.data.to_json())
            return made
        known = self._on_data(data, reading)
        if known is self._objective and metric is None:
            return known
        own = given_metric(self.path, d, metric, self._known_metric, allow_changed)
        return replace(known, asked=()).following(*d.metrics, curves=d.curves, own_metric=own)

    def _fitting(self, data: Any, reading: Mapping[str, Any], model: Any, metric: Any = None) -> Any:
        """Return the objective where it has a model to fit. Raises ValueError for a function, which has its own."""
        check_fits(self.definition)
        return self._prepared(data, reading, metric, model=model)

    def _located(self, data: Any, reading: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        """Return data and how they are read: the study's own where none are given."""
        name = self.about["source"]
        return located(None if name is None else Source(name, self.about["reading"] or {}), data, reading)

    @property
    def _known_metric(self) -> Metric | None:
        """The metric of the user's own, with its function, where it was given in this session."""
        return getattr(self._objective, "own_metric", None)

    def _on_data(self, data: Any, reading: Mapping[str, Any]) -> Objective:
        """Return the objective on the study's data, which follows no function of the user's own."""
        if data is None and not reading and isinstance(self._objective, Objective):
            return self._objective
        data, reading = self._located(data, reading)
        objective = Objective.prepare(data, self.folds, reading)
        d = self.definition
        objective.description.check_continues(self.path, d.data.to_json())
        return objective.training_with(d.early_stopping, d.class_weight)


def _origin(source: Source | None) -> dict[str, Any]:
    """Return what a study file says of where its data came from."""
    return {} if source is None else {"source": source.name, "reading": dict(source.reading)}
