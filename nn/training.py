"""`train`: gradient descent on a model and data, from the start or on from a `TrainState`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn import batches, compiled, descent, kernels
from nn._arrays import as_array
from nn.checks import brief, integer, one_of, real
from nn.data import Dataset, Split
from nn.metrics import PARTS, Metric, full_name, has_fixed_output, metric_of, names_of, own_metric, r2_from_loss
from nn.model import MLP
from nn.optimizers import SGD, Optimizer
from nn.run import History, LayerHistory, Run, TrainState, measures
from nn.schedules import Schedule
from nn.stopping import EarlyStopping, check_target, reached

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The state of a run between two steps, as a callback is shown it."""

    step: int  # steps that were made
    epoch: int  # epochs that were completed
    theta: Array  # (P,) a copy
    learning_rate: float  # of the last step
    history: History  # of the completed epochs


Callback = Callable[[Snapshot], Any]


def train(
    model: MLP,
    data: Split | Dataset,
    optimizer: Optimizer | None = None,
    *,
    batch_size: int | str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    theta: ArrayLike | None = None,
    schedule: Schedule | ArrayLike | Callable[[int], float] | None = None,
    shuffle: bool = True,
    replacement: bool = False,
    indices: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    early_stopping: EarlyStopping | int | None = None,
    target: Mapping[str, float] | None = None,
    metrics: Sequence[str | Metric | Callable[..., Any]] = (),
    callback: Callback | None = None,
    every: int = 1,
    every_steps: int | None = None,
    record_steps: bool = False,
    divergence_factor: float = 1e4,
    resume: TrainState | None = None,
    branch: bool = False,
    progress: bool = False,
) -> Run:
    """Train a model by mini-batch gradient descent:  θ ← θ − η·∇J(θ)  on one batch after another.

    Args:
        model: The network. Where it does not name its output and loss, they follow the task of the data.
        data: The training part of a split is trained on, the validation part scored after each epoch, the test part not
            touched. Of a Dataset, nothing is held out and nothing is scaled.
        optimizer: `SGD(learning_rate=0.1)` unless given.
        batch_size (int or "full"): Examples in a mini-batch, at most those of the training part; the last batch of an
            epoch may be shorter. Unless given, 32, or all where there are fewer.
        epochs: Passes over the data, 20 unless given. With `resume`, all of them, those done before included.
        seed: The seed of the initial parameters, of the order of the batches and of dropout.
        theta (array (P,)): The parameters to start from; `model.init(seed)` unless given.
        schedule: A schedule from `nn.schedules`, a function of the step, or an array with the learning rate of every
            step. A function is asked for all steps before the first, and again for those to come after each call of
            the callback: what it gives then counts.
        shuffle, replacement: Each epoch goes through all examples in a new order; with `shuffle=False` in the given
            order. With `replacement=True` each batch is drawn from all examples anew, and every batch is full.
        indices (array (steps, B) of int): Rows of the training part: exactly these mini-batches, one after another.
            `batch_size` is then B; `epochs`, if given, must divide the steps.
        sample_weight (array (N,)): Weights of the training examples in the loss; they are scaled to mean 1.
        class_weight (dict or "balanced"): Weights of the classes, by label; `"balanced"` gives each class the same
            total.
        early_stopping: An int is the patience in epochs. The run's parameters are then those of the best epoch.
        target: From metrics to values, such as `{"validation_accuracy": 0.97}`: stop after the first epoch that reaches
            all.
        metrics: Metrics to follow beside loss and accuracy or R², such as `"train_auc"`, from `nn.metrics.METRICS`; a
            name without a part is that of the validation part, here and wherever a metric is named. They are computed
            at the end of each epoch and stand in `history` under their names. One of your own is a function of truth
            and predictions, as scikit-learn has them, or an `nn.Metric` made of one; it is followed on the validation
            part, or on the training part where there is no other, and known by its name from then on.
            What early stopping or the target looks at need not be named.
        callback, every, every_steps: `callback(snapshot)` is called after each `every` epochs, or after each
            `every_steps` steps; if it returns True, training stops.
        record_steps: Keep the loss of each mini-batch before its update in `history.step_loss`.
        divergence_factor: The run has diverged when a mini-batch's loss is NaN, infinite, or above this multiple of its
            start: the loss of the first mini-batch, or of outputs that are all zero where that is larger.
        resume: `run.state` of a run with the same settings, which is left as it is. The result is, to the last bit,
            that of one uninterrupted run. Schedules are the same if they agree on the steps that were done.
        branch: Go on from `resume` with other settings: theta, moments, history and the number of steps stay; the
            numbers of the optimizer, schedule, batches, seed, metrics and all else but model and data are those given
            here. Under another batch size the steps are counted as if all epochs had had it, schedules included.
        progress: Show a progress bar.

    Returns:
        The trained network, its history, and how the training ended: completed, diverged or stopped.

    Raises:
        ValueError, TypeError: For what does not fit, before any work starts.

    >>> from nn import MLP, SGD, load_dataset, train
    >>> split = load_dataset("iris").split(seed=0)
    >>> run = train(MLP((4, 16, 3)), split, SGD(0.1), batch_size=16, epochs=50)
    >>> run.status, run.evaluate(split.validation)["accuracy"] > 0.9
    ('completed', True)
    """
    part, validation = (data.train, data.validation) if isinstance(data, Split) else (data, None)
    if not isinstance(model, MLP):
        raise TypeError(f"model must be an MLP, but got {type(model).__name__}")
    if not isinstance(part, Dataset):
        raise TypeError(f"data must be a Split or a Dataset, but got {type(data).__name__}; use Dataset(X, y)")
    optimizer = SGD(0.1) if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), but got {brief(optimizer)}")
    optimizer.check()
    model = model.for_task(part.task)
    plan = batches.plan(len(part), batch_size, epochs, shuffle, replacement, indices)
    seed = integer("seed", seed, 0, 2**63 - 1)
    learning_rates, schedule_words = descent.learning_rates(schedule, optimizer.learning_rate, plan.steps)
    w = _sample_weights(part, sample_weight, class_weight)
    source = batches.source(model, part, validation, w, plan)
    given = [metrics] if isinstance(metrics, str | Metric) or callable(metrics) else metrics
    own = {metric.name: metric for metric in map(own_metric, (each for each in given if not isinstance(each, str)))}
    names = names_of(part.task, validation is not None)
    held_out = PARTS[validation is not None]
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        early_stopping = EarlyStopping(integer("early_stopping", early_stopping, 1))
    if early_stopping is not None:
        watched = one_of("metric of early_stopping", full_name(early_stopping.metric), names)
        early_stopping = replace(early_stopping, metric=watched)
    goal = check_target(target, names)
    named = [each if isinstance(each, str) else f"{held_out}_{own_metric(each).name}" for each in given]
    wanted = {one_of("metrics", full_name(name), names) for name in named} | {*goal}
    if early_stopping is not None:
        wanted.add(early_stopping.metric)
    asked = [name for name in names if name in wanted and not metric_of(name).always]
    for name in asked:
        own.get(name.partition("_")[2], metric_of(name)).check(part.task)
    if validation is not None and part.task == "regression" and has_fixed_output(validation.targets):
        asked.append("validation_r2")
    every = integer("every", every, 1)
    if every_steps is not None:
        every_steps = integer("every_steps", every_steps, 1)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function of a snapshot, but got {brief(callback)}")
    factor = real("divergence_factor", divergence_factor, above=1.0, infinite=True)

    settings = {
        "model": repr(model),
        "optimizer": repr(optimizer),
        "data": batches.digest(part, validation, w),
        "batches": plan.words,
        "seed": seed,
        "schedule": schedule_words,
        "early_stopping": repr(early_stopping),
        "record_steps": bool(record_steps),
        "divergence_factor": factor,
    } | ({"metrics": asked} if asked else {})
    if not isinstance(branch, bool) or (branch and resume is None):
        raise ValueError(f"branch must be True or False, and True only with resume=run.state, but got {brief(branch)}")
    if resume is not None and theta is not None:
        raise ValueError("theta must be None with resume, whose parameters are gone on with, but both were given")
    if theta is not None:
        start = compiled.parameters(model, theta)
    else:
        start = model.init(seed) if resume is None else np.zeros(model.size, model.dtype)
    state = descent.fresh_state(start, optimizer, settings, model)
    if resume is not None:
        state = descent.continued_state(resume, settings, plan, learning_rates, state, optimizer, branch)

    def history() -> History:
        return _history(model, state, part, validation, w)

    if state.reason == "target" and not reached(goal, history().metrics()):
        state.status, state.reason = "running", ""

    def measure(theta: Array) -> list[float]:
        values: dict[str, float] = {}
        for where, data in zip(PARTS, (part, validation), strict=True):
            if data is not None:
                values |= measures(model, theta, data, [name for name in asked if name.startswith(where)], own)
        return [values[name] for name in asked]

    further = measure if asked else None
    rates = learning_rates if callback is None else descent.asked_anew(schedule, learning_rates)
    job = descent.Descent(state, plan, source, model, optimizer, rates, factor, seed, progress, further)
    pause = math.inf if callback is None else every_steps or every * plan.steps_per_epoch
    each_epoch = early_stopping is not None or bool(goal or asked)
    for ended in job.stretches(pause, each_epoch):
        if ended and early_stopping is not None:
            value = history().metrics()[early_stopping.metric]
            if early_stopping.update(state, value, len(state.history) - 1):
                state.status, state.reason = "stopped", "early stopping"
        if ended and goal and reached(goal, history().metrics()):
            state.status, state.reason = "stopped", "target"
        if callback is not None and state.step % pause == 0:
            (last,) = learning_rates(state.step - 1, state.step).tolist()
            shown = Snapshot(state.step, len(state.history), state.theta.copy(), last, history())
            if callback(shown) is True and state.status == "running":
                state.status, state.reason = "stopped", "callback"
    state.settings = settings | {"done": plan.digest(learning_rates(0, state.step))}
    best = state.best_theta.size > 0 and state.status != "diverged"
    return Run(
        model=model,
        theta=(state.best_theta if best else state.theta).copy(),
        history=history(),
        status=state.status,
        reason=state.reason,
        diverged_step=state.step if state.status == "diverged" else None,
        steps=state.step,
        state=state,
        task=part.task,
        scaling=part.scaling,
        classes=part.classes,
        class_names=part.class_names,
        feature_names=part.feature_names,
        target_names=part.target_names,
        flat=part.y.ndim == 1,
        encoding=part.encoding,
        spread=part.spread if part.scaling is None else None,
    )


def _sample_weights(part: Dataset, sample_weight: Any, class_weight: Any) -> Array | None:
    """Return the sample weights (N,) that follow from both, or None where all examples count the same."""
    if class_weight is None:
        return None if sample_weight is None else as_array("sample_weight", sample_weight)
    if part.classes is None:
        raise ValueError(f"class_weight must be None for {part.task}, but got {brief(class_weight)}")
    labels = part.classes.tolist()
    if isinstance(class_weight, str):
        one_of("class_weight", class_weight, ["balanced"])
        counts = np.bincount(part.targets, minlength=len(labels))
        each = len(part) / (len(labels) * np.maximum(counts, 1))
    elif isinstance(class_weight, Mapping):
        strange = [label for label in class_weight if label not in labels]
        if strange:
            raise ValueError(f"class_weight must be for labels among {labels}, but got {brief(strange[0])}")
        each = np.array([real("class_weight", class_weight.get(label, 1.0), 0.0) for label in labels])
    else:
        raise ValueError(f'class_weight must be a dict by label or "balanced", but got {brief(class_weight)}')
    w = each[part.targets]
    if sample_weight is None:
        return w
    given = as_array("sample_weight", sample_weight)
    if given.shape != w.shape or given.dtype.kind not in "biuf":
        raise ValueError(f"sample_weight must be numbers {w.shape}, but got {given.dtype} {given.shape}")
    return w * given


def _history(model: MLP, state: TrainState, part: Dataset, validation: Dataset | None, w: Array | None) -> History:
    columns = state.history.T.copy()
    asked = state.settings.get("metrics", [])
    values: dict[str, Any] = {
        "gradient_norm": columns[kernels.MEAN_GRADIENT_NORM],
        "update_norm": columns[kernels.MEAN_UPDATE_NORM],
        "step_loss": state.step_loss.copy() if state.settings["record_steps"] else None,
        "layers": LayerHistory(columns[kernels.COLUMNS :][: kernels.KINDS * model.depth], model.activation),
        **dict(zip(asked, columns[len(columns) - len(asked) :], strict=True)),
    }
    for where, data, loss, score, weights in (
        ("train", part, kernels.TRAIN_LOSS, kernels.TRAIN_SCORE, w),
        ("validation", validation, kernels.VALIDATION_LOSS, kernels.VALIDATION_SCORE, None),
    ):
        if data is not None:
            values[f"{where}_loss"] = columns[loss]
            if part.task != "regression":
                values[f"{where}_accuracy"] = columns[score]
            elif f"{where}_r2" not in values:
                values[f"{where}_r2"] = r2_from_loss(columns[loss], data.targets, weights)
    return History.of(values)
