"""`sweep`: a study from its arguments, checked before anything is trained or written."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from nn._checks import integer, one_of, real
from tuning.executors import check_workers
from tuning.objective import Objective
from tuning.runner import Limits
from tuning.samplers import make_sampler
from tuning.space import Space
from tuning.study import Study, check_timeout


def sweep(
    data: Any,
    space: Mapping[str, Any],
    method: str = "grid",
    *,
    points: int = 7,
    n_trials: int | None = None,
    epochs: int = 20,
    repeats: int = 1,
    folds: int | None = None,
    metric: str | None = None,
    target: float | None = None,
    timeout: float | None = None,
    storage: str | Path | None = None,
    executor: Executor | None = None,
    n_jobs: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Study:
    """Train every setting that the method finds in the space, and return the study.

    Parameters
    ----------
    data : str, path, Dataset or Split
        What `nn.load_dataset` takes; a Dataset, split by its default shares with seed 0; or a Split.
    space : dict
        What each hyper-parameter may be; see `tuning.space`. The names are in `tuning.parameters`.
    method : {"grid", "random"}
    points : int
        Grid points along each continuous axis.
    n_trials : int, optional
        At most so many trainings, with every repeat and fold counted; settings are always run whole.
    epochs : int
        Of each trial.
    repeats : int
        Seeds for each setting; settings share them, so that comparisons are paired.
    folds : int, optional
        Cross-validation in place of the one validation part.
    metric : str, optional
        What decides; "validation_accuracy", or "validation_r2" in regression, unless given.
    target, timeout : float, optional
        Stop once the metric's mean over a setting reaches the target; after so many seconds.
    storage : path, optional
        The study file; one that has the same definition is continued. In memory unless given.
    executor, n_jobs
        Where trials run: a `concurrent.futures.Executor`, or that many threads (all cores unless given).
    seed : int
        All trials' seeds and all draws follow from it.
    progress : bool, optional
        A bar on standard error: where that is a terminal (None), always, or never.

    Raises ValueError or TypeError, before anything is trained or written, for whatever can't be done; and
    StudyInterrupted, which has the study, after Ctrl-C.

    >>> study = sweep("iris", {"learning_rate": [0.01, 0.1], "hidden_units": 8}, epochs=5, seed=0)
    >>> study.best.params
    {'learning_rate': 0.1, 'hidden_units': 8}
    """
    the_space = space if isinstance(space, Space) else Space(space)
    seed = integer("seed", seed, 0)
    repeats = integer("repeats", repeats, 1, 100_000)
    epochs = integer("epochs", epochs, 1, 1_000_000)
    per_setting = repeats * (1 if folds is None else integer("folds", folds, 2))
    limits = Limits(
        _n_trials(n_trials, per_setting), check_timeout(timeout), None if target is None else real("target", target)
    )
    sampler = make_sampler(method, limits.n_trials and limits.n_trials // per_setting, points, seed)
    if sampler.count(the_space) is None and limits.timeout is None and limits.target is None:
        raise ValueError(
            f"method {method} over a continuous range must have an end, but n_trials is None; give n_trials=100"
        )
    check_workers(executor, n_jobs)
    objective = Objective.prepare(data, folds)
    if metric is None:
        metric = next(
            name for name in objective.metrics if name.startswith("validation_") and not name.endswith("loss")
        )
    one_of("metric", metric, objective.metrics)
    objective.check(the_space)
    definition = {
        "space": the_space.texts(),
        "method": method,
        "method_options": sampler.options(),
        "epochs": epochs,
        "repeats": repeats,
        "folds": folds,
        "metric": metric,
        "metrics": list(objective.metrics),
        "seed": seed,
        "data": objective.description,
    }
    study = Study.create(objective, definition, limits, storage, objective.source)
    return study.run(executor, n_jobs, progress)


def _n_trials(n_trials: Any, per_setting: int) -> int | None:
    if n_trials is None:
        return None
    number = integer("n_trials", n_trials, 1)
    if number < per_setting:
        raise ValueError(
            f"n_trials must be at least the {per_setting:,} repeats and folds of one setting, but got {number:,}"
        )
    return number
