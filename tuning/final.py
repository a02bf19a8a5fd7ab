"""The model that a study ends in: networks of its best setting, or of several, trained on rows that were held out.

There is one network for each setting, repeat and fold, from the seed of that trial, and their mean is the model: it is
never worse in loss than they are in the mean, and better where they differ. Each is trained for the epochs that were
best in the search: the median of the best epochs of its setting's trials under early stopping, and all epochs without.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nn.metrics import PARTS, Metric, metric_of, own_metric, squared_error
from tuning.objective import Objective
from tuning.objectives import EstimatorObjective
from tuning.space import Setting
from tuning.store import Definition, Trial, now

if TYPE_CHECKING:
    from nn import Dataset, Ensemble, Run, Split


class Member(NamedTuple):
    """A setting whose networks are in the model, and the epochs for which they are trained."""

    setting: Setting
    epochs: int


def final_epochs(definition: Definition, trials: Iterable[Trial]) -> int:
    """Return the epochs for a network of a setting with these trials."""
    best = [trial.best_epoch or trial.epochs for trial in trials]
    if definition.early_stopping is None or not best:
        return definition.epochs
    return max(1, round(statistics.median(best)))


def fitted(
    objective: Objective | EstimatorObjective, definition: Definition, members: Sequence[Member], split: Split
) -> Any:
    """Return the model of some settings, a `Run` or an `Ensemble`, trained on the training part of a split.

    Networks that diverged are left out. Raises ValueError where all did. An estimator is fitted once.
    """
    if isinstance(objective, EstimatorObjective):
        return objective.fitted(definition, members[0].setting, split.unscaled())
    specs = [spec for member in members for spec in definition.trials_of(member.setting, epochs=member.epochs)]
    runs = [objective.run(spec, split) for spec in specs]
    kept = [run for run in runs if run.status != "diverged"]
    if not kept:
        best = "the best setting" if len(members) == 1 else f"one of the {len(members):,} best settings"
        raise ValueError(
            f"{best} must train on {len(split.train):,} rows without divergence, but all {len(runs):,} "
            "networks diverged; search smaller values of learning_rate"
        )
    if len(kept) == 1:
        return kept[0]
    from nn import Ensemble

    return Ensemble(kept)


def tested(
    objective: Objective | EstimatorObjective, definition: Definition, members: Sequence[Member]
) -> dict[str, Any]:
    """Return the scores on the test part, by the model of all that is not test, and what it was made of."""
    if isinstance(objective, EstimatorObjective):
        return objective.tested(definition, members[0].setting)
    first = objective.splits[0]
    if first.test is None:
        raise ValueError(f"{first.train.name!r} must have a test part to be tested on, but it has none")
    if objective.own_metric is not None:
        own_metric(objective.own_metric)  # whatever function has its name by now
    split = first.joined(*PARTS)
    assert split.test is not None
    model = fitted(objective, definition, members, split)
    return {
        "params": members[0].setting,
        "time": now(),
        "scores": {f"test_{name}": float(value) for name, value in _scores(model, split).items()},
        "epochs": [member.epochs for member in members],
        "networks": networks_of(model),
        "rows": len(split.train),
        "looks": 1,
    }


def _scores(model: Run | Ensemble, split: Split) -> dict[str, float]:
    """Return the scores on the test part, whose loss is in the units of training as that of one network is."""
    assert split.test is not None
    runs = getattr(model, "runs", None)
    if runs is None:
        return model.evaluate(split.test)
    test = split.test.raw() if split.source is None else split.source.subset(split.rows["test"])
    scores = dict(model.evaluate(test))
    if model.task == "regression" and split.scaling is not None:
        scores["loss"] = squared_error(split.test.y, split.scaling.transform_targets(model.predict(test)))
    for name in runs[0].history.asked:
        metric = metric_of(name)
        scores[metric.name] = _measured(metric, model, test, split)
    return scores


def _measured(metric: Metric, model: Run | Ensemble, test: Dataset, split: Split) -> float:
    """Return a metric on the raw test part; those of the table have numbers in the units of training."""
    if metric.own:
        answers = model.predict_proba(test) if metric.needs == "predict_proba" else model.predict(test)
        return metric.own_value(model.task, test.y, answers)
    assert split.test is not None
    targets = split.test.targets
    if model.task != "regression":
        return metric.value(model.task, targets, model.predict_proba(test))
    answers = model.predict(test)
    if split.scaling is not None:
        answers = split.scaling.transform_targets(answers)
    return metric.value(model.task, targets, answers.reshape(targets.shape))


def networks_of(model: Run | Ensemble) -> int:
    """Return the number of networks whose mean a model is."""
    return len(getattr(model, "runs", (model,)))
