"""`sweep`: a study from its arguments, checked before anything is trained or written."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from nn.files import local_path
from nn.metrics import full_name, larger_is_better
from tuning.callbacks import Callback, check_callback
from tuning.learning_rate import is_auto, with_ranges
from tuning.methods import OPTIONS, make_sampler, method_name
from tuning.objective import Objective
from tuning.run import Limits, check_workers
from tuning.source import checked_reading
from tuning.space import Space
from tuning.store import Definition, StudyFile, checked_number
from tuning.study import Study
from tuning.understood import understood


def sweep(
    data: Any,
    space: Mapping[str, Any],
    method: Any = "grid",
    *,
    points: int | None = None,
    rounds: int | None = None,
    widen: bool | str | Sequence[str] | None = None,
    eta: int | None = None,
    min_epochs: int | None = None,
    batch: int | None = None,
    n_trials: int | None = None,
    epochs: int = 20,
    total_epochs: int | None = None,
    repeats: int = 1,
    folds: int | None = None,
    metric: str | None = None,
    curves: str | None = None,
    early_stopping: int | None = None,
    class_weight: str | None = None,
    target: float | None = None,
    timeout: float | None = None,
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
            learning_rate of "auto" has its range from a range test on the data.
        method: "grid", "random", "sobol", "refine", "halving", "hyperband", "tpe", or such as
            `optuna.samplers.TPESampler(seed=1)`.
        points: Grid points along each continuous axis of grid and halving (7), and of refine's first round (5).
        rounds, widen: Of refine: the most rounds (10); the names of the ranges that it may leave, or True for all.
        eta, min_epochs: Of halving and hyperband: one setting in eta goes on (3); the least epochs of a setting (1).
        batch: Of tpe and Optuna: settings that are asked for at a time (8).
        n_trials: At most so many trainings, with every repeat and fold counted; settings are always run whole. A grid
            that is cut so is still spread over the whole space. For halving and hyperband: how many start.
        epochs: Of each trial; under halving and hyperband the most.
        total_epochs: Stop before all trials together are given more epochs.
        repeats: Seeds for each setting; settings share them, so that comparisons are paired.
        folds: Cross-validation in place of the one validation part.
        metric: What decides; "validation_accuracy", or "validation_r2" in regression, unless given. See
            `nn.metrics.METRICS`; "f1_macro" is "validation_f1_macro".
        curves: "layers" has the curves of each trial hold what its run recorded of each layer too, under such names as
            "layer_1_gradient_norm"; see `nn.LayerHistory`.
        early_stopping: End a trial after so many epochs without a lower validation loss. Its metrics are those of its
            best epoch; its curves are whole.
        class_weight: "balanced" gives each class the same total weight in the training loss.
        target, timeout: Stop once the metric's mean over a setting reaches the target; after so many seconds.
        storage: The study file; one that has the same definition is continued. In memory unless given.
        executor, n_jobs: Where trials run: a `concurrent.futures.Executor`, or that many threads (all cores unless
            given).
        seed: All trials' seeds and all draws follow from it.
        progress: A bar on standard error: where that is a terminal or in a notebook (None), always, or never.
        callback: Called with each `Trial` that has ended, in this thread, after it was saved. What it raises is warned
            of once and logged each time; the study goes on. Nothing that is computed depends on it.
        say: Called before the first trial with a line that says how the data were understood, as in `say=print`.
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
    given_space = space if isinstance(space, Space) else Space(space)
    given = {"seed": seed, "repeats": repeats, "epochs": epochs}
    seed, repeats, epochs = (checked_number(name, value) for name, value in given.items())
    folds = None if folds is None else checked_number("folds", folds)
    per_setting = repeats * (folds or 1)
    limits = Limits(n_trials, timeout, target, total_epochs)
    limits.check_one_setting(epochs, per_setting)
    sampler = make_sampler(method, limits.settings(per_setting), seed, **options)
    sampler.check(epochs)
    limits.check_end(sampler, given_space, method_name(method))
    check_workers(executor, n_jobs)
    check_callback(callback)
    metric = metric and full_name(metric)
    objective = Objective.prepare(data, folds, checked_reading(reading, inspect.signature(sweep).parameters))
    if metric is None:
        metric = next(name for name in objective.metrics if name.startswith("validation_") and larger_is_better(name))
    objective = objective.following(metric, curves=curves).training_with(early_stopping, class_weight)
    the_space = objective.conditioned(given_space)
    auto = the_space.texts() if is_auto(the_space) else None
    if auto is not None:
        the_space = _stored_ranges(storage, auto, objective) or with_ranges(the_space, objective, seed)
    objective.check(the_space)
    sampler.check_space(the_space)
    definition = Definition(
        space=the_space.texts(), method=method_name(method), method_options=sampler.options(), epochs=epochs,
        repeats=repeats, folds=folds, metric=metric, metrics=objective.metrics, seed=seed, data=objective.description,
        auto=auto, curves=curves, early_stopping=objective.early_stopping, class_weight=objective.class_weight,
    )  # fmt: skip
    study = Study.create(objective, definition, limits, storage, objective.source, sampler.given)
    if say is not None:
        say(understood(objective))
    return study.run(executor, n_jobs, progress, callback)


def _stored_ranges(path: Path | None, auto: dict[str, str], objective: Objective) -> Space | None:
    """Return the space whose ranges were found when the study in this file was made, if it was made in the same way."""
    if path is None or not path.is_file() or path.stat().st_size == 0:
        return None
    with contextlib.closing(StudyFile.open(path, write=False)) as file:
        definition = Definition.from_json(path, file.get("definition"))
    same = definition.auto == auto and definition.data == objective.description
    return Space(definition.space) if same else None
