"""Ranges of numbers for a hyper-parameter: uniform, uniform in the logarithm, and whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from nn.checks import brief, integer, real
from tuning.space.values import MAX_INTEGER, Value, number_text, value_text


class Parameter:
    """The values of one hyper-parameter: a frozen description with a text form."""

    log: bool = False  # whether it is uniform in the logarithm
    parts: tuple[Any, ...] = ()  # a choice has some, if parameters exist under some of its values alone

    def part(self, value: Value) -> Any:
        """Return the space that exists only where this value is chosen, None where there is none."""
        return None

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return the values of a grid, `points` of them along a continuous range, ends included."""
        raise NotImplementedError

    def at(self, u: float) -> Value:
        """Return the value at `u` in [0, 1]: a uniform u gives the parameter's own distribution."""
        raise NotImplementedError

    @property
    def size(self) -> int | None:
        """The number of different values; None for a continuous range."""
        return None

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that must be permissible for all to be: both ends of a range, every choice."""
        return self.grid(2)


@dataclass(frozen=True)
class Range(Parameter):
    """The numbers between two ends, both included.

    Args:
        low, high: The ends; low < high.

    Raises:
        ValueError: For other ends.
    """

    low: float
    high: float

    @staticmethod
    def _check_end(name: str, value: Any) -> Any:
        return real(name, value)

    @property
    def _kind(self) -> str:
        """What follows the ends in its text."""
        return ":log" if self.log else ""

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, self._check_end(name, getattr(self, name)))
        if not self.low < self.high:
            hint = f"; write the value {value_text(self.low)} alone" if self.low == self.high else ""
            raise ValueError(f"low must be below high, but got low={self.low!r}, high={self.high!r}{hint}")

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return `points` values at equal distances, in the logarithm if that is uniform; the middle for one point.

        Both ends are exact, the values between them are rounded.
        """
        points = integer("points", points, 1)
        if points == 1:
            return (rounded(self.at(0.5)),)
        between = [rounded(self.at(i / (points - 1))) for i in range(1, points - 1)]
        inner = [min(max(value, self.low), self.high) for value in between]
        values = tuple(dict.fromkeys([self.low, *inner, self.high]))
        if len(values) < points:
            raise ValueError(f"a grid of {points} points must fit between low and high, but {self} is too narrow")
        return values

    def at(self, u: float) -> Any:
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{number_text(self.low)}:{number_text(self.high)}{self._kind}"


def _positive(name: str, value: Any) -> float:
    try:
        return real(name, value, above=0.0)
    except ValueError as error:
        raise ValueError(f"{error}; both ends are values, not exponents, and above 0") from None


@dataclass(frozen=True)
class LogUniform(Range):
    """A number whose logarithm is uniform between two ends, both included: 0 < low < high.

    >>> LogUniform(1e-3, 1.0).grid(4)
    (0.001, 0.01, 0.1, 1.0)
    """

    log = True

    _check_end = staticmethod(_positive)

    def at(self, u: float) -> float:
        """Return low^(1 - u) high^u."""
        value = math.exp((1.0 - u) * math.log(self.low) + u * math.log(self.high))
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Uniform(Range):
    """A number that is uniform between two ends, both included: low < high.

    >>> Uniform(0, 0.9).grid(3)
    (0.0, 0.45, 0.9)
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.high - self.low):
            raise ValueError(f"high - low must be a finite number, but got low={self.low:g}, high={self.high:g}")

    def at(self, u: float) -> float:
        """Return (1 - u) low + u high."""
        return min(max((1.0 - u) * self.low + u * self.high, self.low), self.high)


@dataclass(frozen=True, repr=False)
class IntUniform(Range):
    """A whole number that is uniform between two ends, both included: low < high.

    Args:
        low, high: The ends; low < high.
        log: Uniform in the logarithm: 4 to 7, 8 to 15 and 16 to 31 are equally likely. Then 0 < low.

    >>> IntUniform(8, 64).grid(3)
    (8, 36, 64)
    >>> IntUniform(4, 64, log=True).grid(5)
    (4, 8, 16, 32, 64)
    """

    low: int
    high: int
    log: bool = False

    _check_end = staticmethod(partial(integer, low=-MAX_INTEGER, high=MAX_INTEGER))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.log, bool):
            raise ValueError(f"log must be True or False, but got {brief(self.log)}")
        if self.log and self.low < 1:
            raise ValueError(f"low must be at least 1 with log, but got {self.low}; start at 1, or leave out log")

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return `points` whole numbers, or all where there are no more than that, both ends included.

        They are at nearly equal distances, or nearly equal ratios where the logarithm is uniform; the middle for one
        point.
        """
        points = integer("points", points, 1)
        if self.high - self.low < points:
            return tuple(range(self.low, self.high + 1))
        if self.log:
            return self._log_grid(points)
        if points == 1:
            return ((self.low + self.high) // 2,)
        return tuple(self.low + i * (self.high - self.low) // (points - 1) for i in range(points))

    def _log_grid(self, points: int) -> tuple[Value, ...]:
        if points == 1:
            return (round(math.sqrt(self.low) * math.sqrt(self.high)),)
        ratio = math.log(self.high / self.low) / (points - 1)
        values = [self.low]
        for i in range(1, points):  # each above the one before it, and with room for those that follow
            values.append(min(max(round(self.low * math.exp(i * ratio)), values[-1] + 1), self.high - points + 1 + i))
        return (*values[:-1], self.high)

    def at(self, u: float) -> int:
        """Return the whole number whose share of [0, 1) holds u."""
        if not self.log:
            return min(self.low + int(u * (self.high - self.low + 1)), self.high)
        # n has the share of the numbers from n to n + 1; in floats, 2 to the power of 3 may be a little less than 8.
        ends = math.log(self.low), math.log(self.high + 1)
        value = int(math.exp((1.0 - u) * ends[0] + u * ends[1]) * (1 + 1e-12))
        return min(max(value, self.low), self.high)

    @property
    def size(self) -> int | None:
        """The number of whole numbers."""
        return self.high - self.low + 1

    @property
    def _kind(self) -> str:
        return ":log:int" if self.log else ":int"

    def __repr__(self) -> str:
        return f"IntUniform(low={self.low!r}, high={self.high!r}{', log=True' if self.log else ''})"


def rounded(value: float) -> float:
    """Return a number of a grid: 12 digits, so that 0.1 is 0.1."""
    return float(f"{value:.12g}")
