"""Schedules: the learning rate as a function of the step.

A schedule is an immutable description that is called with a step, or an array of steps, counted from 0, and returns
the learning rate of each:

>>> Cosine(learning_rate=0.1, steps=100)(50)
0.05

`train` fills in what is left out: the learning rate by the optimizer's, the length by that of the run. So
`train(model, data, SGD(0.1), schedule=Cosine())` starts at 0.1 and ends near 0. A run that is to be resumed to more
epochs later needs a schedule with its length given. In the formulas η is `learning_rate` and t the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn.checks import brief, check_fields, checked, integer, real

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """The base of all schedules: a function from steps, counted from 0, to learning rates.

    Args:
        learning_rate: The learning rate η that the schedule starts from or rises to; the optimizer's unless given.
        steps: The number of steps after which the schedule holds its last value; those of the run unless given.

    Raises:
        ValueError: Where a number does not fit; on a call, where the learning rate or a length that is needed was left
            out.
    """

    learning_rate: float | None = checked(None, real, above=0.0)
    steps: int | None = checked(None, integer, low=1)

    @property
    def takes_length(self) -> bool:
        """True where the learning rates depend on `steps`."""
        return True

    def __post_init__(self) -> None:
        check_fields(self)

    def resolve(self, learning_rate: float, steps: int) -> Self:
        """Return the same schedule with `learning_rate` and `steps` filled in where they were left out."""
        return replace(
            self,
            learning_rate=learning_rate if self.learning_rate is None else self.learning_rate,
            steps=steps if self.steps is None else self.steps,
        )

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: ArrayLike) -> Array: ...
    def __call__(self, step: ArrayLike) -> float | Array:
        needed = ("learning_rate", "steps") if self.takes_length else ("learning_rate",)
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"a schedule called by itself must have its {' and '.join(missing)}, but got {self!r}; "
                f"give {', '.join(f'{name}=…' for name in missing)}"
            )
        assert self.learning_rate is not None
        steps = np.asarray(step)
        # Always as an array: NumPy rounds a power of two scalars in another way.
        learning_rates = self._formula(self.learning_rate, np.atleast_1d(steps).astype(np.float64))
        return float(learning_rates[0]) if steps.ndim == 0 else learning_rates

    def _formula(self, eta: float, t: Array) -> Array:
        """Return the learning rates at the steps t."""
        raise TypeError(
            f"a schedule must be one of {', '.join(SCHEDULES)} or a function of the step, as in schedule=lambda t: "
            f"0.1 / (1 + t), but {type(self).__name__} says no learning rate"
        )

    def _progress(self, t: Array) -> Array:
        """Return the part of the schedule that is over: from 0 at step 0 to 1 at step `steps` and after."""
        assert self.steps is not None
        return np.minimum(t / self.steps, 1.0)

    def __repr__(self) -> str:
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """A learning rate that does not change:  η(t) = η."""

    takes_length = False

    def _formula(self, eta: float, t: Array) -> Array:
        return np.full(t.shape, eta)


@dataclass(frozen=True, repr=False)
class Step(Schedule):
    """A learning rate that drops by a factor at regular intervals:  η(t) = η · factor^⌊t/every⌋.

    Args:
        every: The number of steps between two drops.
        factor: The factor > 0 of each drop.

    >>> Step(learning_rate=1.0, every=10, factor=0.5)([0, 9, 10, 20])
    array([1.  , 1.  , 0.5 , 0.25])
    """

    every: int = checked(100, integer, low=1)
    factor: float = checked(0.1, real, above=0.0)

    takes_length = False

    def _formula(self, eta: float, t: Array) -> Array:
        return eta * self.factor ** np.floor(t / self.every)


@dataclass(frozen=True, repr=False)
class Exponential(Schedule):
    """A straight line on a logarithmic axis from η to η·final:  η(t) = η · final^(t/steps).

    Args:
        final: The last learning rate as a multiple > 0 of the first.

    >>> Exponential(learning_rate=1.0, steps=2, final=0.01)([0, 1, 2])
    array([1.  , 0.1 , 0.01])
    """

    final: float = checked(0.01, real, above=0.0)

    def _formula(self, eta: float, t: Array) -> Array:
        return eta * self.final ** self._progress(t)


@dataclass(frozen=True, repr=False)
class Cosine(Schedule):
    """Half a cosine wave from η to η·final:  η(t) = η · (final + (1 − final)·(1 + cos(π·t/steps))/2).

    Loshchilov & Hutter 2017, without restarts.

    Args:
        final: The last learning rate as a multiple >= 0 of the first.
    """

    final: float = checked(0.0, real, low=0.0)

    def _formula(self, eta: float, t: Array) -> Array:
        wave = 0.5 * (1 + np.cos(math.pi * self._progress(t)))
        return eta * (self.final + (1 - self.final) * wave)


@dataclass(frozen=True, repr=False)
class Warmup(Schedule):
    """A linear rise, η(t) = η · (t + 1)/warmup, and then another schedule (Goyal et al. 2017).

    Args:
        warmup: The number of steps of the rise.
        then: The schedule after it, constant by default, which counts its own steps from the end of the warm-up and has
            what is left of the length.

    >>> Warmup(learning_rate=1.0, warmup=4)([0, 1, 2, 3, 4, 5])
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  ])
    """

    warmup: int = checked(100, integer, low=1)
    then: Schedule = Constant()

    @property
    def takes_length(self) -> bool:
        return self.then.takes_length and self.then.steps is None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.then, Schedule):
            raise ValueError(f"then must be a schedule, such as Cosine(), but got {brief(self.then)}")

    def resolve(self, learning_rate: float, steps: int) -> Self:
        own = super().resolve(learning_rate, steps)
        assert own.steps is not None
        assert own.learning_rate is not None
        return replace(own, then=self.then.resolve(own.learning_rate, max(own.steps - self.warmup, 1)))

    def _formula(self, eta: float, t: Array) -> Array:
        length = 1 if self.steps is None else max(self.steps - self.warmup, 1)
        then = self.then
        if then.learning_rate is None or (then.steps is None and (self.steps or not then.takes_length)):
            then = then.resolve(eta, length)
        rising = eta * (t + 1) / self.warmup
        return np.where(t < self.warmup, rising, then(np.maximum(t - self.warmup, 0)))


@dataclass(frozen=True, repr=False)
class OneCycle(Schedule):
    """A rise along a cosine from η/start to η, then a fall along one to η/(start·end) (Smith & Topin 2019).

    Args:
        rise: The part of the length, between 0 and 1, that the rise takes.
        start, end: The divisors >= 1 of η.

    The defaults are those of PyTorch's OneCycleLR, whose rates are other ones all the same: it peaks a step earlier and
    is at its end in the last step, where this schedule is a step after it, as all schedules here. The rates of
    `OneCycle(η, N)` are those of `OneCycleLR(max_lr=η, total_steps=N + 1, pct_start=(rise·N + 1)/(N + 1))`.
    """

    rise: float = checked(0.3, real, above=0.0, below=1.0)
    start: float = checked(25.0, real, low=1.0)
    end: float = checked(1e4, real, low=1.0)

    def _formula(self, eta: float, t: Array) -> Array:
        low, lowest = eta / self.start, eta / self.start / self.end
        at = self._progress(t)
        up = low + (eta - low) * 0.5 * (1 - np.cos(math.pi * np.minimum(at / self.rise, 1.0)))
        down = lowest + (eta - lowest) * 0.5 * (1 + np.cos(math.pi * (at - self.rise) / (1 - self.rise)))
        return np.where(at < self.rise, up, down)


@dataclass(frozen=True, repr=False)
class Triangular(Schedule):
    """Straight lines up and down between η·low and η for as long as the run lasts: Smith's (2017) cyclical rate.

    Args:
        half: The number of steps of each line.
        low: The lowest learning rate as a multiple of η, between 0 and 1.

    >>> Triangular(learning_rate=1.0, half=2, low=0.0)([0, 1, 2, 3, 4])
    array([0. , 0.5, 1. , 0.5, 0. ])
    """

    half: int = checked(100, integer, low=1)
    low: float = checked(0.1, real, low=0.0, high=1.0)

    takes_length = False

    def _formula(self, eta: float, t: Array) -> Array:
        height = 1 - np.abs(t % (2 * self.half) / self.half - 1)
        return eta * (self.low + (1 - self.low) * height)


@dataclass(frozen=True, repr=False)
class Ramp(Schedule):
    """A rise or fall from η at step 0 to `final` at step `steps` − 1, as in a range test (Smith 2017).

    Args:
        final: The last learning rate itself, not a multiple of one.
        linear: Go by equal differences rather than by equal factors.

    >>> Ramp(learning_rate=1e-3, final=1.0, steps=4)([0, 1, 2, 3])
    array([0.001, 0.01 , 0.1  , 1.   ])
    """

    final: float = checked(10.0, real, above=0.0)
    linear: bool = False

    def _formula(self, eta: float, t: Array) -> Array:
        assert self.steps is not None
        at = np.minimum(t / max(self.steps - 1, 1), 1.0)
        if self.linear:
            return eta + (self.final - eta) * at
        return eta * (self.final / eta) ** at


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "exponential": Exponential,
    "cosine": Cosine,
    "warmup": Warmup,
    "one_cycle": OneCycle,
    "triangular": Triangular,
    "ramp": Ramp,
}
