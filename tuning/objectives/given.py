"""The objective of what a user gave: data alone, with an estimator, or a function."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nn.checks import brief, warn
from nn.metrics import Metric, larger_is_better, own_metric
from tuning.objective import Objective
from tuning.objectives.estimators import EstimatorObjective
from tuning.objectives.functions import FunctionObjective, trains
from tuning.objectives.protocol import TrialObjective
from tuning.store import Definition, check_own_metric

EPOCHS = 20


def checked_epochs(epochs: int | None, objective: Any = None, model: Any = None, budgets: bool = False) -> int:
    """Return the epochs of a trial: 20 unless given, and 1 where there is nothing to train for more.

    Raises ValueError where they are given nevertheless, or the method gives some settings more than others.
    """
    if model is None and (objective is None or trains(objective)):
        return EPOCHS if epochs is None else epochs
    if budgets:
        raise ValueError(
            "halving and hyperband must have trials that can be trained for more epochs, but these have none; take "
            "method random, or let the objective yield its metrics epoch by epoch"
        )
    if epochs not in (None, 1):
        kind = "a model" if objective is None else "an objective that neither takes nor yields epochs"
        raise ValueError(f"epochs must be None with {kind}, which has none, but got {brief(epochs)}")
    return 1


def check_place(objective: Any, executor: Any, n_jobs: int | None, trial_timeout: float | None) -> None:
    """Say in a warning where trials run in threads that take turns; raise ValueError where that can't be."""
    code = getattr(objective, "code", None)
    if code is None or objective.in_processes or executor is not None:
        return
    why = f"{code.name} can't be imported by another process; put it into a file of its own"
    if trial_timeout is not None:
        raise ValueError(f"trial_timeout must go with trials in processes, which can be ended, but {why}")
    if n_jobs != 1:
        warn(f"trials run in threads, which take turns with Python code: {why}", "tuning")


def check_given(definition: Definition, objective: Any, model: Any) -> None:
    """Raise ValueError where a study is of a function or an estimator, and none is given."""
    known = definition.model
    if known is not None and objective is model is None:
        kind, name = known["kind"], str(known["name"])
        raise ValueError(
            f"{kind} must be given for a study of {name}, as only Python can; pass "
            f"{kind}={name.rpartition('.')[2]}{'()' if kind == 'model' else ''}"
        )


def given_metric(
    path: Path | None, definition: Definition, given: Any, known: Metric | None, allow_changed: bool
) -> Metric | None:
    """Return the metric of the user's own that decides a study, with its function, which no file can hold.

    `known` is the one that was given in this session before. Raises ValueError where there is none, and where it is
    not the study's.
    """
    there = definition.own_metric
    if given is None:
        if there is not None and known is None:
            raise ValueError(
                f"a study that {there['function']} decides must be given that function again, in Python, since no "
                f"file holds one; pass metric={there['name']} to resume, test or best_run"
            )
        return known
    if there is None:
        raise ValueError(f"metric must be None for a study that {definition.metric} decides, but got {brief(given)}")
    metric = own_metric(given)
    check_own_metric(path, there, metric.to_json(), allow_changed)
    return metric


def check_fits(definition: Definition) -> None:
    """Raise ValueError where a study is of a function: what that trains is its own affair."""
    if (definition.model or {}).get("kind") == "objective":
        raise ValueError(
            "a model must be that of a network or an estimator, but the study is of a function; call it with "
            "study.best.params"
        )


def _check_direction(metric: Any) -> None:
    """Raise ValueError unless the name of a metric says whether more is better."""
    try:
        larger_is_better(str(metric))
    except ValueError:
        raise ValueError(
            "the last word of a metric's name must say whether more is better, as accuracy and score do, or less, as "
            f"loss, error and time do, but got {brief(metric)}; name it so, as in {metric}_score or {metric}_loss"
        ) from None


def prepared(
    data: Any,
    folds: int | None,
    reading: Mapping[str, Any],
    objective: Any = None,
    model: Any = None,
    metric: str | None = None,
    **network: Any,
) -> TrialObjective:
    """Return the objective, whose trials have the metric; `network` are options of networks alone.

    Data may be those of an objective that has loaded them.

    Raises ValueError and TypeError for what does not go together, and what loading and splitting raise.
    """
    given = {name: value for name, value in network.items() if value is not None}
    if (objective is not None or model is not None) and given:
        name, value = next(iter(given.items()))
        raise ValueError(
            f"{name} must be None with {'an objective' if model is None else 'a model'}, but got {value!r}"
        )
    if objective is not None:
        for name, value in {"model": model, "data": data, "folds": folds, **reading}.items():
            if value is not None:
                raise ValueError(
                    f"{name} must be None with an objective, which trains whatever it likes, but got {brief(value)}; "
                    "functools.partial binds what a function needs"
                )
        if metric is None:
            raise ValueError(
                "metric must name what the objective returns, as in metric='loss' (less is better) or 'accuracy'"
            )
        _check_direction(metric)
        return FunctionObjective(objective, metric)
    if model is not None:
        made = EstimatorObjective.prepare(model, data, folds, reading)
        return made if metric is None else made.following(metric)
    made_of_data = data.folded(folds) if isinstance(data, Objective) else Objective.prepare(data, folds, reading)
    names = () if metric is None else (metric,)
    curves = given.pop("curves", None)
    return made_of_data.following(*names, curves=curves).training_with(
        given.get("early_stopping"), given.get("class_weight")
    )
