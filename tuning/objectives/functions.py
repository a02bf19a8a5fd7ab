"""A function of one's own as the objective of a sweep, or an object that is trained step by step."""

from __future__ import annotations

import copy
import functools
import inspect
import time
from collections.abc import Iterator
from typing import Any, Self

from nn.checks import brief
from tuning.objectives.code import Code, name_of
from tuning.objectives.outcome import Curves, check_finite, metrics_of, packed, unpacked
from tuning.space import Setting, Space
from tuning.store import COMPLETED, DataDescription, TrialResult, TrialSpec

_ROLES = ("params", "seed", "epochs")


class FunctionObjective:
    """Calls a function of one's own for each `TrialSpec`, and returns what it gave as the `TrialResult`.

    Args:
        function: `function(params, seed, epochs)`, which may take fewer of them. It returns a number, which is the
            metric, or a dict of numbers, one of them the metric; or yields such, one an epoch. Or an object, or a
            class, with `start(params, seed, epochs)`, which may take fewer too, and `step()`, which returns the
            metrics of one more epoch; it is copied for each trial. With `state()`, which returns arrays, bytes or
            numbers, also in dicts and lists, and `restore(state)`, a trial that gets more epochs goes on from its
            state; whatever else yields or steps is run again from its seed, and must then give the same metrics.
        metric: The name of the metric that decides.

    `epochs` is the number to train; what yields or steps is told the most that the trial may get, and is asked for as
    many as it gets. Raises TypeError for what is no such function.
    """

    folds = source = sizes = guess = None
    early_stopping = class_weight = own_metric = None

    def __init__(self, function: Any, metric: str) -> None:
        self.function, self.metric = function, metric
        self.steps = _steps(function)
        if not self.steps and not callable(function):
            raise TypeError(
                f"objective must be a function of params, seed and epochs, or have start and step, but got "
                f"{brief(function)}"
            )
        self._names = _taken(function)
        self.yields = _yields(function)
        self.trains = trains(function)
        self.code = Code.of(function)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that decides; others are kept as they come."""
        return (self.metric,)

    @property
    def description(self) -> DataDescription:
        """The name of the function, in the place of that of data."""
        return DataDescription(self.code.name)

    @property
    def model(self) -> dict[str, Any]:
        """The identity: the importable name and the digest of the source."""
        return {"kind": "objective", "name": self.code.name, "source": self.code.digest}

    @property
    def in_processes(self) -> bool:
        """Whether trials run in processes: Python code of one's own holds the GIL, so that threads would take turns."""
        return self.code.in_processes

    def portable(self) -> Self:
        """Return the objective itself: another machine imports the function."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _same_objective, (self.function, self.metric, self.code.digest)

    def conditioned(self, space: Space) -> Space:
        """Return the space as it is: what its names mean is the function's affair."""
        return space

    def check(self, space: Space) -> None:
        """Accept every space: what its values mean is the function's affair."""

    # -- one trial ---------------------------------------------------------------------------------------------

    def __call__(self, spec: TrialSpec) -> TrialResult:
        """Run one trial. What goes wrong in it, `sys.exit` too, becomes its result; KeyboardInterrupt passes."""
        begin = time.perf_counter()
        try:
            return self._result(spec, begin)
        except (Exception, SystemExit) as error:
            return TrialResult.of_error(error, time.perf_counter() - begin, traced=True)

    def _result(self, spec: TrialSpec, begin: float) -> TrialResult:
        earlier, state = ({}, None) if spec.checkpoint is None else unpacked(spec.checkpoint)
        curves = Curves(self.metric, earlier)
        if self.steps:
            training = self.function() if isinstance(self.function, type) else copy.deepcopy(self.function)
            self._call(training.start, spec, spec.horizon)
            keeps = hasattr(training, "state") and hasattr(training, "restore")
            if state is not None:
                training.restore(state)
                curves.begin()
            while curves.epochs < spec.epochs:
                curves.add(training.step())
            state = training.state() if keeps and spec.continues else None
        else:
            returned = self._call(self.function, spec, spec.horizon if self.yields else None)
            if not isinstance(returned, Iterator):
                metrics = metrics_of(returned, self.metric)
                check_finite(self.metric, metrics[self.metric], spec.epochs)
                return TrialResult(COMPLETED, metrics, {}, spec.epochs, time.perf_counter() - begin)
            self._follow(returned, curves, spec.epochs)
            state = None
        checkpoint = packed((curves.arrays(), state)) if spec.continues else None
        seconds = time.perf_counter() - begin
        return TrialResult(COMPLETED, curves.last(), curves.arrays(), curves.epochs, seconds, checkpoint=checkpoint)

    @staticmethod
    def _follow(iterator: Iterator[Any], curves: Curves, epochs: int) -> None:
        """Take in so many epochs of what yields metrics, or fewer where it ends before."""
        try:
            while curves.epochs < epochs:
                curves.add(next(iterator))
        except StopIteration:
            if curves.epochs == 0:
                raise ValueError("an objective must yield the metrics of an epoch at least, but yielded none") from None
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    def _call(self, function: Any, spec: TrialSpec, most: int | None) -> Any:
        params: Setting = dict(spec.params)
        given = {"params": params, "seed": spec.seed, "epochs": most or spec.epochs}
        positional = [given[role] for role, name in self._names if name is None]
        return function(*positional, **{name: given[role] for role, name in self._names if name is not None})


def trains(function: Any) -> bool:
    """Return whether an objective gives another result for more epochs: it steps, yields, or takes their number."""
    return _yields(function) or any(role == "epochs" for role, _ in _taken(function))


def _steps(function: Any) -> bool:
    return hasattr(function, "start") and hasattr(function, "step")


def _yields(function: Any) -> bool:
    """Return whether an objective gives metrics epoch by epoch, as far as can be seen before it is called."""
    plain = function.func if isinstance(function, functools.partial) else function
    called = plain if inspect.isroutine(plain) or isinstance(plain, type) else type(plain).__call__
    return _steps(function) or inspect.isgeneratorfunction(inspect.unwrap(called))


def _taken(function: Any) -> list[tuple[str, str | None]]:
    """Return what a function takes of params, seed and epochs, each with its own name, None where that can't be given.

    The first argument that is neither seed nor epochs gets params, whatever its name.
    """
    called = function.start if _steps(function) else function
    try:
        parameters = list(inspect.signature(called).parameters.values())
    except (TypeError, ValueError):  # built in
        return [("params", None)]
    if _steps(function) and isinstance(function, type):
        parameters = parameters[1:]  # without self
    unnamed = "params" not in [each.name for each in parameters]
    taken: list[tuple[str, str | None]] = []
    for each in parameters:
        if each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL):
            continue
        roles = [role for role, _ in taken]
        role = each.name
        if role not in _ROLES and unnamed and "params" not in roles and each.default is each.empty:
            role = "params"
        if role in _ROLES and role not in roles:
            taken.append((role, None if each.kind is each.POSITIONAL_ONLY else each.name))
        elif each.default is each.empty:
            raise TypeError(
                f"objective must take params, seed and epochs, or some of them, but {name_of(function)} needs "
                f"{each.name}; give it a default, or bind it by functools.partial"
            )
    return taken


def _same_objective(function: Any, metric: str, digest: str) -> FunctionObjective:
    """Return the objective in another process, if it imports the same source."""
    objective = FunctionObjective(function, metric)
    if objective.code.digest != digest:
        raise ValueError(
            f"every worker must have the same source of {objective.code.name}, but here it is another; copy it there"
        )
    return objective
