"""The steps of one call of `train`: the learning rates, the state, and the calls of the kernel."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import batches, compiled, kernels, reference
from nn._arrays import aligned, as_array
from nn.checks import real
from nn.model import MLP
from nn.optimizers import OPTIMIZERS, Optimizer
from nn.run import TrainState
from nn.schedules import Schedule

Array = NDArray[Any]
LearningRates = Callable[[int, int], Array]  # those of the steps [start, stop)

# So much arithmetic, in multiplications and additions, goes into one call of a kernel: about a tenth of a second, after
# which Ctrl-C is heard and the progress bar moves. Results do not depend on it.
CALL_OPERATIONS = 4e9

# What a branch can't change: the parameters and the recorded scores belong to it.
FIXED = ("model", "data")


class Descent:
    """The steps of one call of `train`, done in stretches that end where a callback or a rule is to see the state."""

    def __init__(
        self,
        state: TrainState,
        plan: batches.Plan,
        source: batches.InMemory | batches.Streamed,
        model: MLP,
        optimizer: Optimizer,
        learning_rates: LearningRates,
        factor: float,
        seed: int,
        progress: bool,
        measure: Callable[[Array], list[float]] | None = None,
    ) -> None:
        self.state, self.plan, self.source, self.model = state, plan, source, model
        self.learning_rates, self.factor, self.seed, self.progress = learning_rates, factor, seed, progress
        self.measure = measure  # further columns of the history from theta, where each stretch ends with its epoch
        self.columns = kernels.COLUMNS + kernels.KINDS * model.depth  # of the history, before those
        self.update, self.multipliers = optimizer.update(), model.rate_multipliers(optimizer)
        self.room = compiled.workspace(model, max(plan.batch_size, len(source.validation.X)))

    def stretches(self, pause: float, each_epoch: bool) -> Iterator[int]:
        """Train until the end or until the state says so, yielding the epochs completed in each stretch.

        A stretch ends after every `pause` steps, and after each epoch if asked for.
        """
        state, plan = self.state, self.plan
        per_call = max(1, int(CALL_OPERATIONS / (6.0 * self.model.size * plan.batch_size)))
        done = len(state.history)
        bar = self.bar(done) if self.progress else None
        with bar or contextlib.nullcontext():
            while state.status == "running" and state.step < plan.steps:
                stop = min(plan.steps, state.step + per_call)
                if each_epoch:
                    stop = min(stop, _next(state.step, plan.steps_per_epoch))
                if pause < math.inf:
                    stop = min(stop, _next(state.step, int(pause)))
                self.advance(self.source.reach(state.step, stop))
                if bar is not None:
                    bar.update(len(state.history) - bar.n)
                if state.status == "running":
                    yield len(state.history) - done
                done = len(state.history)
        if state.status == "running":
            state.status = "completed" if self.finite() else "diverged"

    def bar(self, done: int) -> Any:
        """Return a progress bar over the epochs, `done` of which are completed.

        tqdm is imported only where it is shown. That takes as long as a small training; and its locks are shared with
        forked processes, where one that dies would keep them.
        """
        from tqdm.auto import tqdm

        return tqdm(total=self.plan.epochs, initial=done, unit="epoch")

    def advance(self, stop: int) -> None:
        """Do the steps from the state's up to `stop`, in one call of the kernel, and update the state."""
        state, plan = self.state, self.plan
        record = state.settings["record_steps"]
        start_loss = np.array([state.start_loss])
        null_loss = compiled.null_loss(self.model, self.source.data) if math.isnan(state.start_loss) else 0.0
        history = np.full((stop // plan.steps_per_epoch - state.step // plan.steps_per_epoch, self.columns), np.nan)
        step_loss = np.empty(stop - state.step if record else 0)
        start = state.step
        state.step = kernels.train_steps(
            self.model.network,
            self.update,
            state.theta,
            reference.Moments(state.first, state.second),
            self.source.batches(start, stop, self.seed),
            plan.batch_size,
            plan.steps_per_epoch,
            self.learning_rates(start, stop),
            self.multipliers,
            self.seed,
            start,
            stop,
            self.source.validation,
            kernels.Divergence(self.factor, null_loss, start_loss),
            kernels.Records(state.totals, history, step_loss),
            self.room,
        )
        if state.step < stop:
            state.status = "diverged"
        state.start_loss = float(start_loss[0])
        if record:
            state.step_loss = np.append(state.step_loss, step_loss[: state.step + (state.step < stop) - start])
        ended = state.step // plan.steps_per_epoch - start // plan.steps_per_epoch
        if ended:
            scored = self.source.score(state.theta)
            if scored is not None:
                history[ended - 1, [kernels.VALIDATION_LOSS, kernels.VALIDATION_SCORE]] = scored
            rows = history[:ended]
            if self.measure is not None:
                rows = np.append(rows, [self.measure(state.theta)], axis=1)
            state.history = np.concatenate([state.history, rows])

    def finite(self) -> bool:
        """Return whether the last update left numbers; there is no step after it whose loss would show."""
        last = 0.0 if self.source.held_out is None else self.state.history[-1, kernels.VALIDATION_LOSS]
        return bool(np.isfinite(self.state.theta).all() and np.isfinite(last))


def _next(step: int, size: int) -> int:
    """Return the next multiple of `size` after `step`."""
    return (step // size + 1) * size


def learning_rates(schedule: Any, learning_rate: float, steps: int) -> tuple[LearningRates, str]:
    """Return a function that gives the learning rates of the steps [start, stop), and the schedule in words."""
    if schedule is None:
        return lambda start, stop: np.full(stop - start, learning_rate), "constant"
    if isinstance(schedule, Schedule):
        fixed = schedule.steps is not None or not schedule.takes_length
        words = repr(schedule) if fixed else f"{schedule!r} over {steps} steps"
        values = schedule.resolve(learning_rate, steps)(np.arange(steps))
    elif _is_function(schedule):
        words, values = "a function", _asked(schedule, 0, steps)
    elif isinstance(schedule, str | type):
        raise ValueError(f"schedule must be one such as nn.schedules.Cosine(), but got {schedule!r}")
    else:
        words, values = "an array", np.asarray(as_array("schedule", schedule))
        if values.shape != (steps,) or values.dtype.kind not in "iuf":
            raise ValueError(
                f"schedule must hold the learning rate of each of the {steps:,} steps, but got shape {values.shape}"
            )
        values = values.astype(np.float64)
    _check(values)
    return lambda start, stop: values[start:stop], words


def asked_anew(schedule: Any, learning_rates: LearningRates) -> LearningRates:
    """Return the learning rates, for a run with a callback: those of a function are asked for again when they are due.

    What it gives then counts, and is what `learning_rates` gives from then on.
    """
    if isinstance(schedule, Schedule) or not _is_function(schedule):
        return learning_rates

    def anew(start: int, stop: int) -> Array:
        values = learning_rates(start, stop)
        values[:] = _asked(schedule, start, stop)
        _check(values)
        return values

    return anew


def _is_function(schedule: Any) -> bool:
    return callable(schedule) and not isinstance(schedule, type)


def _asked(schedule: Callable[[int], Any], start: int, stop: int) -> Array:
    return np.array([real("schedule", schedule(step), 0.0, infinite=True) for step in range(start, stop)])


def _check(values: Array) -> None:
    wrong = values[~(np.isfinite(values) & (values >= 0))]
    if len(wrong):
        raise ValueError(f"schedule must give finite learning rates >= 0, but got {wrong[0]}")


def fresh_state(
    theta: Array, optimizer: Optimizer, settings: dict[str, Any], recorded: MLP | None = None
) -> TrainState:
    """Return the state before the first step, with room for what is recorded of each layer of a model."""
    size, (first, second) = len(theta), optimizer.moments()
    hidden, columns = 0, kernels.COLUMNS + len(settings.get("metrics", ()))
    if recorded is not None:
        hidden = sum(recorded.layer_sizes[1:-1]) if recorded.network.activation < len(reference.IDLE_SLOPES) else 0
        columns += kernels.KINDS * recorded.depth
    return TrainState(
        settings=settings,
        step=0,
        theta=aligned(theta),
        first=aligned(np.zeros(size if first else 0, theta.dtype)),
        second=aligned(np.zeros(size if second else 0, theta.dtype)),
        totals=np.zeros(kernels.COLUMNS + hidden),
        history=np.empty((0, columns)),
        step_loss=np.empty(0),
        best_theta=np.empty(0, theta.dtype),
    )


def continued_state(
    resume: Any,
    settings: dict[str, Any],
    plan: batches.Plan,
    learning_rates: LearningRates,
    fresh: TrainState,
    optimizer: Optimizer,
    branch: bool,
) -> TrainState:
    """Return a copy of the state to go on from; a `branch` goes on with other settings.

    Raises ValueError where the settings are others, the end is passed, or arrays are not as in a `fresh` state.
    """
    if not isinstance(resume, TrainState):
        raise TypeError(f"resume must be the state of a run, run.state, but got {type(resume).__name__}")
    others = [
        name
        for name in dict.fromkeys((*settings, "metrics"))
        if name != "schedule" and resume.settings.get(name) != settings.get(name)
    ]
    for name in others:
        if name in FIXED or not branch:
            way_out = "start a new run with theta=run.theta" if name in FIXED else "add branch=True"
            raise ValueError(
                f"resume needs the {name} that the run was started with, {resume.settings.get(name)}, "
                f"but got {settings.get(name)}; to change it, {way_out}"
            )
    if branch and resume.status == "diverged":
        raise ValueError(f"branch needs a run that did not diverge, but this one did in step {resume.step:,}")
    state = resume.copy()
    if state.history.shape[1] == kernels.COLUMNS + len(resume.settings.get("metrics", ())):  # before layers were kept
        further = fresh.history.shape[1] - kernels.COLUMNS - len(settings.get("metrics", ()))
        state.history = np.insert(state.history, [kernels.COLUMNS] * further, np.nan, axis=1)
        state.totals = np.append(state.totals, np.full(len(fresh.totals) - kernels.COLUMNS, np.nan))
    if branch:
        _branch(state, settings, others, plan, optimizer, fresh)
    if state.step > plan.steps:
        done = state.step // plan.steps_per_epoch
        raise ValueError(f"epochs must be at least the {done} that the run has done, but got {plan.epochs}")
    for name in ("theta", "first", "second", "totals"):
        given, needed = getattr(state, name), getattr(fresh, name)
        if given.shape != needed.shape or given.dtype != needed.dtype:
            raise ValueError(
                f"resume needs {name} as {needed.dtype} {needed.shape}, but got {given.dtype} {given.shape}"
            )
    if not branch and resume.settings.get("done") != plan.digest(learning_rates(0, resume.step)):
        before, now = resume.settings.get("schedule"), settings["schedule"]
        steps = f"the {resume.step:,} steps that were done"
        needed = f"the learning rates and the indices of {steps}, but got others"
        if before != now:
            needed = f"the schedule {before}, or one with the same learning rates in {steps}, but got {now}"
        raise ValueError(f"resume needs {needed}; to go on in another way from here, add branch=True")
    if state.status == "completed" or state.reason == "callback" or branch:
        state.status, state.reason = "running", ""
    return state


def _branch(
    state: TrainState,
    settings: dict[str, Any],
    others: list[str],
    plan: batches.Plan,
    optimizer: Optimizer,
    fresh: TrainState,
) -> None:
    """Make a state fit settings of which these are others than before."""
    epochs, former = len(state.history), state.settings
    kinds = {kind.__name__: kind(0.1).update().kind for kind in OPTIMIZERS.values()}
    names = [repr_.partition("(")[0] for repr_ in (former["optimizer"], settings["optimizer"])]
    if len({kinds.get(name, name) for name in names}) > 1:
        raise ValueError(
            f"branch needs an optimizer with the moments of the run's, {former['optimizer']}, but got {optimizer!r}; "
            "to change to another kind, start a new run with theta=run.theta"
        )
    if state.first.shape != fresh.first.shape:  # momentum begins, or ends
        state.first = fresh.first
    if "batches" in others:
        if state.step != epochs * batches.steps_per_epoch(former["batches"]):
            raise ValueError(
                f"branch with other batches must start where an epoch ends, but the run has done {state.step:,} steps: "
                f"{epochs} epochs and a part of one; go on to the end of that epoch first"
            )
        _count_on(state, epochs * plan.steps_per_epoch, optimizer)
    if not settings["record_steps"]:
        state.step_loss = np.empty(0)
    elif not former["record_steps"]:
        state.step_loss = np.full(state.step, np.nan)
    if "early_stopping" in others:
        state.best_theta, state.best_value, state.best_epoch = fresh.best_theta, math.nan, epochs - 1
    before, now = former.get("metrics", []), settings.get("metrics", [])
    kept, asked = np.split(state.history, [state.history.shape[1] - len(before)], axis=1)
    further = [asked[:, before.index(name)] if name in before else np.full(epochs, np.nan) for name in now]
    state.history = np.column_stack([kept, *further])
    state.settings = settings


def _count_on(state: TrainState, step: int, optimizer: Optimizer) -> None:
    """Let the steps done be another number of them, and Adam's moments, less their bias, what they are.

    m̂ = m/(1 − β₁ᵗ),  ŝ = s/(1 − β₂ᵗ)
    """
    update = optimizer.update()
    if update.kind == reference.ADAM and state.step:
        for moment, beta in ((state.first, update.beta1), (state.second, update.beta2)):
            moment *= -math.expm1(step * math.log(beta)) / -math.expm1(state.step * math.log(beta)) if beta else 1.0
    state.step = step
