"""`sweep`: a study from its arguments, checked before anything is trained or written."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from nn.checks import brief
from nn.files import local_path
from nn.metrics import Metric, full_name, larger_is_better, own_metric
from tuning.automatic import plan
from tuning.callbacks import Callback, check_callback
from tuning.learning_rate import is_auto, with_ranges
from tuning.methods import OPTIONS, gives_budgets, make_sampler, method_name
from tuning.objective import Objective
from tuning.objectives import checked_epochs, prepared
from tuning.run import Limits, check_workers
from tuning.source import checked_reading, most_folds
from tuning.space import Space
from tuning.store import Definition, StudyFile, checked_number
from tuning.study import Study
from tuning.understood import understood

_USUAL: dict[str, Any] = {"method": "grid", "repeats": 1}


def sweep(
    data: Any = None,
    space: Mapping[str, Any] | None = None,
    method: Any = None,
    *,
    points: int | None = None,
    rounds: int | None = None,
    widen: bool | str | Sequence[str] | None = None,
    eta: int | None = None,
    min_epochs: int | None = None,
    batch: int | None = None,
    n_trials: int | None = None,
    epochs: int | None = None,
    total_epochs: int | None = None,
    repeats: int | None = None,
    folds: int | None = None,
    metric: str | Metric | Callable[..., Any] | None = None,
    curves: str | None = None,
    early_stopping: int | None = None,
    class_weight: str | None = None,
    ensemble: int | None = None,
    objective: Any = None,
    model: Any = None,
    allow_changed: bool = False,
    minutes: float | None = None,
    target: float | None = None,
    timeout: float | None = None,
    trial_timeout: float | None = None,
    storage: str | Path | None = None,
    executor: Executor | None = None,
    n_jobs: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
    callback: Callback | None = None,
    say: Callable[[str], Any] | None = None,
    **reading: Any,
) -> Study:
    """Train every setting that the method finds in the space, and return the study.

    Args:
        data: What `nn.load_dataset` takes; a Dataset, split by its default shares with seed 0; or a Split.
        space: What each hyper-parameter may be; see `tuning.space`. The names are in `tuning.space.parameters`. A
            learning_rate of "auto" has its range from a range test on the data. Without a space, `tuning.automatic`
            chooses one by the size of the data, and whatever else is not given that the results depend on; what it
            chose is said first, as a command that can be changed.
        method: "grid" unless given, "random", "sobol", "refine", "halving", "hyperband", "tpe", or such as
            `optuna.samplers.TPESampler(seed=1)`.
        points: Grid points along each continuous axis of grid and halving (7), and of refine's first round (5).
        rounds, widen: Of refine: the most rounds (10); the names of the ranges that it may leave, or True for all.
        eta, min_epochs: Of halving and hyperband: one setting in eta goes on (3); the least epochs of a setting (1).
        batch: Of tpe and Optuna: settings that are asked for at a time (8).
        n_trials: At most so many trainings, with every repeat and fold counted; settings are always run whole. A grid
            that is cut so is still spread over the whole space. For halving and hyperband: how many start.
        epochs: Of each trial (20); under halving and hyperband the most.
        total_epochs: Stop before all trials together are given more epochs.
        repeats: Seeds for each setting (1); settings share them, so that comparisons are paired.
        folds: Cross-validation in place of the one validation part.
        metric: What decides; "validation_accuracy", or "validation_r2" in regression, unless given. See
            `nn.metrics.METRICS`; "f1_macro" is "validation_f1_macro". One of your own is a function of
            truth and predictions, as scikit-learn has them, whose name says whether more is better ("my_score",
            "my_error"), or an `nn.Metric` made of one. Its source belongs to the study's identity. Of an objective, a
            name that it returns, whose last word says the same.
        curves: "layers" has the curves of each trial hold what its run recorded of each layer too, under such names as
            "layer_1_gradient_norm"; see `nn.LayerHistory`.
        early_stopping: End a trial after so many epochs without a lower validation loss. Its metrics are those of its
            best epoch; its curves are whole.
        class_weight: "balanced" gives each class the same total weight in the training loss.
        ensemble: The number of best settings whose networks `Study.test` and `Study.final_run` average (1).
        objective: A function of one's own, in the place of data: `objective(params, seed, epochs)`, which may take
            fewer of them, returns a number or a dict of numbers, or yields such, one an epoch; or an object with
            `start(params, seed)` and `step()`. See `tuning.objectives`.
        model: An estimator of scikit-learn's kind, fitted to the data in the place of a network; the space has its
            parameters.
        allow_changed: Go on with a study though the code of the objective or of the metric, or the version of the
            model's package, is not what it was.
        minutes: Without a space, the time that the plan is made for, on two cores (0.04); an estimate, not a limit.
        target, timeout: Stop once the metric's mean over a setting reaches the target; after so many seconds.
        trial_timeout: A trial that takes more seconds has failed. Trials then run in processes, which can be ended.
        storage: The study file; one that has the same definition is continued. In memory unless given.
        executor, n_jobs: Where trials run: a `concurrent.futures.Executor`, or that many threads (all cores unless
            given); processes for an objective and a model.
        seed: All trials' seeds and all draws follow from it.
        progress: A bar on standard error: where that is a terminal or in a notebook (None), always, or never.
        callback: Called with each `Trial` that has ended, in this thread, after it was saved. What it raises is warned
            of once and logged each time; the study goes on. Nothing that is computed depends on it.
        say: Called before the first trial with a line that says how the data were understood, as in `say=print`, and
            without a space with what was chosen; that is printed where nothing is given, unless progress is False.
        **reading: How a file is read and split, such as `target_column`: options of `nn.data.READING`.

    Returns:
        With all trials that have ended.

    Raises:
        ValueError, TypeError: For whatever can't be done, before anything is trained or written.
        StudyInterrupted: After Ctrl-C; it has the study.

    >>> study = sweep("iris", {"learning_rate": [0.01, 0.1], "hidden_units": 8}, epochs=5, seed=0)
    >>> study.best.params
    {'learning_rate': 0.1, 'hidden_units': 8}
    """
    options = {name: value for name, value in locals().items() if name in OPTIONS}
    storage = None if storage is None else local_path("storage", storage)
    reading = checked_reading(reading, inspect.signature(sweep).parameters)
    if space is not None and minutes is not None:
        raise ValueError(
            f"minutes must be left out where it is said what to search, but got {brief(minutes)}; "
            "limit the seconds with timeout=60, say"
        )
    own = objective is not None or model is not None
    if data is None and objective is None:
        raise TypeError("data must be given, a file or a data set; or pass objective=FUNCTION, a function of your own")
    if space is None and own:
        raise TypeError('space must be given for a model of your own, as in {"rate": [0.1, 0.2]}')
    loaded = Objective.prepare(data, None, reading) if space is None else None
    if loaded is None:
        usual = {**_USUAL, "epochs": checked_epochs(epochs, objective, model, gives_budgets(method))}
    else:
        usual = _planned(data, loaded, reading, minutes)
    asked: dict[str, Any] = {
        "space": space, "method": method, "n_trials": n_trials, "epochs": epochs, "repeats": repeats, "folds": folds,
        "metric": metric, "early_stopping": early_stopping, "ensemble": ensemble,
    }  # fmt: skip
    space, method, n_trials, epochs, repeats, folds, metric, early_stopping, ensemble = (
        usual.get(name) if value is None else value for name, value in asked.items()
    )
    given_space = space if isinstance(space, Space) else Space(space or {}, own)
    given = {"seed": seed, "repeats": repeats, "epochs": epochs}
    seed, repeats, epochs = (checked_number(name, value) for name, value in given.items())
    folds = None if folds is None else checked_number("folds", folds)
    ensemble = None if ensemble is None else checked_number("ensemble", ensemble)
    per_setting = repeats * (folds or 1)
    limits = Limits(n_trials, timeout, target, total_epochs)
    limits.check_one_setting(epochs, per_setting)
    sampler = make_sampler(method, limits.settings(per_setting), seed, **options)
    sampler.check(epochs)
    limits.check_end(sampler, given_space, method_name(method))
    check_workers(executor, n_jobs, trial_timeout)
    check_callback(callback)
    named = metric if metric is None or isinstance(metric, str) else own_metric(metric).name
    decides = named if named is None or objective is not None else full_name(named)
    tried = prepared(
        data if loaded is None else loaded, folds, reading, objective, model, decides,
        curves=curves, early_stopping=early_stopping, class_weight=class_weight, ensemble=ensemble,
    )  # fmt: skip
    if decides is None:
        decides = next(name for name in tried.metrics if name.startswith("validation_") and larger_is_better(name))
    the_space = tried.conditioned(given_space)
    auto = the_space.texts() if isinstance(tried, Objective) and is_auto(the_space) else None
    if isinstance(tried, Objective) and auto is not None:
        the_space = _stored_ranges(storage, auto, tried) or with_ranges(the_space, tried, seed)
    tried.check(the_space)
    sampler.check_space(the_space)
    definition = Definition(
        space=the_space.texts(), method=method_name(method), method_options=sampler.options(), epochs=epochs,
        repeats=repeats, folds=folds, metric=decides, metrics=tried.metrics, seed=seed, data=tried.description,
        auto=auto, curves=curves, early_stopping=tried.early_stopping, class_weight=tried.class_weight,
        ensemble=ensemble, own_metric=None if tried.own_metric is None else tried.own_metric.to_json(),
        model=tried.model,
    )  # fmt: skip
    study = Study.create(tried, definition, limits, storage, tried.source, sampler.given, allow_changed)
    if say is None and loaded is not None and progress is not False:
        say = print
    if say is not None:
        say(understood(tried))
        if loaded is not None:
            say(_said(study))
    return study.run(executor, n_jobs, progress, callback, trial_timeout)


def _planned(data: Any, objective: Objective, reading: dict[str, Any], minutes: float | None) -> dict[str, Any]:
    """Return the arguments that are planned for the size of the data."""
    split = objective.splits[0]
    assert split.validation is not None
    rows = len(split.train) + len(split.validation)
    return plan(rows, split.train.n_features, minutes, most_folds(data, split, reading))


def _said(study: Study) -> str:
    """Return the line that says what was chosen, and the call that makes the same study."""
    from tuning.calls import calls_of  # it brings in nn.data

    calls = calls_of(study)
    return f"chosen by rows and columns; to change it, say:\n\n{calls.command or calls.python}\n"


def _stored_ranges(path: Path | None, auto: dict[str, str], objective: Objective) -> Space | None:
    """Return the space whose ranges were found when the study in this file was made, if it was made in the same way."""
    if path is None or not path.is_file() or path.stat().st_size == 0:
        return None
    with contextlib.closing(StudyFile.open(path, write=False)) as file:
        definition = Definition.from_json(path, file.get("definition"))
    same = definition.auto == auto and definition.data == objective.description
    return Space(definition.space) if same else None
