"""Ranges of numbers for a hyper-parameter: uniform, uniform in the logarithm, and whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nn.checks import integer, real
from tuning.space.values import MAX_INTEGER, Value, number_text, value_text

_GRID_DIGITS = 12


class Parameter:
    """The values of one hyper-parameter: a frozen description with a text form."""

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
class LogUniform(Parameter):
    """A number whose logarithm is uniform between two ends.

    Args:
        low, high: The ends, both included; 0 < low < high.

    Raises:
        ValueError: For other ends.

    >>> LogUniform(1e-3, 1.0).grid(4)
    (0.001, 0.01, 0.1, 1.0)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _ordered(self, real("low", self.low, above=0.0), real("high", self.high, above=0.0))

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return `points` values at equal ratios; the geometric middle for one point."""
        return _spaced(self, points)

    def at(self, u: float) -> Value:
        """Return low^(1 - u) high^u."""
        value = math.exp((1.0 - u) * math.log(self.low) + u * math.log(self.high))
        return min(max(value, self.low), self.high)

    def __str__(self) -> str:
        return f"{number_text(self.low)}:{number_text(self.high)}:log"


@dataclass(frozen=True)
class Uniform(Parameter):
    """A number that is uniform between two ends.

    Args:
        low, high: The ends, both included; low < high.

    Raises:
        ValueError: For other ends.

    >>> Uniform(0, 0.9).grid(3)
    (0.0, 0.45, 0.9)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _ordered(self, real("low", self.low), real("high", self.high))
        if not math.isfinite(self.high - self.low):
            raise ValueError(f"high - low must be a finite number, but got low={self.low:g}, high={self.high:g}")

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return `points` values at equal distances; the middle for one point."""
        return _spaced(self, points)

    def at(self, u: float) -> Value:
        """Return (1 - u) low + u high."""
        return min(max((1.0 - u) * self.low + u * self.high, self.low), self.high)

    def __str__(self) -> str:
        return f"{number_text(self.low)}:{number_text(self.high)}"


@dataclass(frozen=True)
class IntUniform(Parameter):
    """A whole number that is uniform between two ends.

    Args:
        low, high: The ends, both included; low < high.

    Raises:
        ValueError: For other ends.

    >>> IntUniform(8, 64).grid(3)
    (8, 36, 64)
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        low, high = (integer(end, getattr(self, end), -MAX_INTEGER, MAX_INTEGER) for end in ("low", "high"))
        _ordered(self, low, high)

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return `points` whole numbers at nearly equal distances, or all where there are no more than that."""
        points = integer("points", points, 1)
        if self.high - self.low < points:
            return tuple(range(self.low, self.high + 1))
        if points == 1:
            return ((self.low + self.high) // 2,)
        return tuple(self.low + i * (self.high - self.low) // (points - 1) for i in range(points))

    def at(self, u: float) -> Value:
        """Return the whole number whose share of [0, 1) holds u."""
        return min(self.low + int(u * (self.high - self.low + 1)), self.high)

    @property
    def size(self) -> int | None:
        """The number of whole numbers."""
        return self.high - self.low + 1

    def __str__(self) -> str:
        return f"{self.low}:{self.high}:int"


def rounded(value: float) -> float:
    """Return a number of a grid: 12 digits, so that 0.1 is 0.1."""
    return float(f"{value:.{_GRID_DIGITS}g}")


def _ordered(parameter: Any, low: float, high: float) -> None:
    """Store checked ends of a frozen range; low must be below high."""
    if not low < high:
        hint = f"; write the value {value_text(low)} alone" if low == high else ""
        raise ValueError(f"low must be below high, but got low={low!r}, high={high!r}{hint}")
    object.__setattr__(parameter, "low", low)
    object.__setattr__(parameter, "high", high)


def _spaced(parameter: LogUniform | Uniform, points: int) -> tuple[Value, ...]:
    """Return `points` values from low to high, both exact; those between are rounded."""
    points = integer("points", points, 1)
    if points == 1:
        return (rounded(float(parameter.at(0.5))),)  # type: ignore[arg-type]
    between = [rounded(float(parameter.at(i / (points - 1)))) for i in range(1, points - 1)]  # type: ignore[arg-type]
    inner = [min(max(value, parameter.low), parameter.high) for value in between]
    values = tuple(dict.fromkeys([parameter.low, *inner, parameter.high]))
    if len(values) < points:
        raise ValueError(f"a grid of {points} points must fit between low and high, but {parameter} is too narrow")
    return values
