"""What is searched: ranges and choices for every hyper-parameter, and the text in which they are written.

A text is what stands on the command line and in a TOML file, and what `str` gives:

    1e-3:1:log      LogUniform(0.001, 1.0)          16,32,64    Choice((16, 32, 64))
    0:0.9           Uniform(0.0, 0.9)               64x32       Choice(((64, 32),)): two hidden layers
    8:64:int        IntUniform(8, 64)               relu,tanh   Choice(("relu", "tanh"))

Values are numbers, names, true, false, none, and whole numbers joined by x; `()` stands for no layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nn._checks import integer, real
from tuning.values import INTEGER, MAX_INTEGER, NAME, Setting, Value, number_text, parse_value, plain_value, value_text

_GRID_DIGITS = 12


class Parameter:
    """What one hyper-parameter may be: a frozen description with a text form."""

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return the values of a grid, `points` of them along a continuous range, ends included."""
        raise NotImplementedError

    def at(self, u: float) -> Value:
        """Return the value at `u` in [0, 1]: a uniform u gives the parameter's own distribution."""
        raise NotImplementedError

    @property
    def size(self) -> int | None:
        """How many different values there are; None for a continuous range."""
        return None

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that must be permissible for all to be: both ends of a range, every choice."""
        return self.grid(2)


@dataclass(frozen=True)
class LogUniform(Parameter):
    """A number between `low` and `high`, both included, uniform in its logarithm; 0 < low < high.

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
    """A number between `low` and `high`, both included; low < high.

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
    """A whole number between `low` and `high`, both included; low < high.

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
        """How many whole numbers there are."""
        return self.high - self.low + 1

    def __str__(self) -> str:
        return f"{self.low}:{self.high}:int"


@dataclass(frozen=True)
class Choice(Parameter):
    """One of some values: numbers, names, bools, None, or tuples of whole numbers (several hidden layers).

    A tuple of one whole number is that number.

    >>> Choice([16, (64, 32)])
    Choice(values=(16, (64, 32)))
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        if isinstance(self.values, str | bytes) or not isinstance(self.values, Sequence | np.ndarray):
            raise TypeError(f"a choice must be a list of values, but got {self.values!r}")
        values = tuple(plain_value(value) for value in self.values)
        if not values:
            raise ValueError("a choice must have at least one value, but got none")
        for i, value in enumerate(values):
            if value in values[:i]:
                raise ValueError(f"the values of a choice must be different, but {value_text(value)} comes twice")
        object.__setattr__(self, "values", values)

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return every value, in the order given."""
        return tuple(self.values)

    def at(self, u: float) -> Value:
        """Return the value whose share of [0, 1) holds u."""
        result: Value = self.values[min(int(u * len(self.values)), len(self.values) - 1)]
        return result

    @property
    def size(self) -> int | None:
        """How many values there are."""
        return len(self.values)

    def __str__(self) -> str:
        return ",".join(value_text(value) for value in self.values)


class Space:
    """All hyper-parameters of a sweep by name; samplers know it only by `grid`, `at`, `dimensions` and `size`.

    A list, tuple or array counts as a `Choice`, a text is parsed, any other plain value is a constant.

    >>> space = Space({"momentum": "0:0.9", "batch_size": [16, 32], "optimizer": "sgd"})
    >>> space.at([0.5, 0.5])
    {'momentum': 0.45, 'batch_size': 32, 'optimizer': 'sgd'}
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        if not isinstance(parameters, Mapping):
            raise TypeError(f"a space must be a dict of names and what they may be, but got {parameters!r}")
        if not parameters:
            raise ValueError(
                'a space must name at least one parameter, but is empty; try {"learning_rate": "1e-3:1:log"}'
            )
        for name in parameters:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise ValueError(f"the name of a parameter must be letters, digits and _, but got {name!r}")
        self.parameters: dict[str, Parameter] = {name: as_parameter(name, given) for name, given in parameters.items()}

    @property
    def dimensions(self) -> int:
        """How many parameters can vary."""
        return sum(parameter.size != 1 for parameter in self.parameters.values())

    @property
    def size(self) -> int | None:
        """How many different settings there are; None where a range is continuous."""
        sizes = [parameter.size for parameter in self.parameters.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def grid_size(self, points: int) -> int:
        """Return the number of settings of `grid(points)`."""
        return math.prod(self._axis_length(parameter, points) for parameter in self.parameters.values())

    def grid(self, points: int) -> Iterator[Setting]:
        """Yield every combination of the axes' values, the last parameter changing fastest."""
        axes = [parameter.grid(points) for parameter in self.parameters.values()]
        names = list(self.parameters)
        place = [0] * len(axes)
        while True:
            yield {name: axis[i] for name, axis, i in zip(names, axes, place, strict=True)}
            for k in reversed(range(len(axes))):
                place[k] += 1
                if place[k] < len(axes[k]):
                    break
                place[k] = 0
            else:
                return

    def at(self, u: Sequence[float]) -> Setting:
        """Return the setting at a point of the unit cube, with one coordinate for each parameter that varies."""
        coordinate = iter(u)
        return {
            name: parameter.at(0.0 if parameter.size == 1 else next(coordinate))
            for name, parameter in self.parameters.items()
        }

    def texts(self) -> dict[str, str]:
        """Return every parameter's text: `Space(space.texts())` is this space again."""
        return {name: str(parameter) for name, parameter in self.parameters.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and list(self.parameters.items()) == list(other.parameters.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Space({self.texts()})"

    @staticmethod
    def _axis_length(parameter: Parameter, points: int) -> int:
        points = integer("points", points, 1)
        return points if parameter.size is None else len(parameter.grid(points))


def as_parameter(name: str, given: Any) -> Parameter:
    """Return the parameter that a user wrote for `name`; an error says which name it is about."""
    try:
        if isinstance(given, Parameter):
            return given
        if isinstance(given, str):
            return parse(given)
        if isinstance(given, np.ndarray) and given.ndim:
            given = given.tolist()
        return Choice(given if isinstance(given, list | tuple | range) else (given,))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def parse(text: str) -> Parameter:
    """Return the parameter that `text` stands for; `str` of it means the same.

    >>> parse("1e-3:1:log"), parse("16,64x32,none")
    (LogUniform(low=0.001, high=1.0), Choice(values=(16, (64, 32), None)))
    """
    parts = [part.strip() for part in text.split(":")]
    if len(parts) == 1:
        return Choice([parse_value(part.strip()) for part in text.split(",")])
    if len(parts) == 2:
        return Uniform(_parse_end(parts[0], text), _parse_end(parts[1], text))
    if len(parts) == 3 and parts[2] == "log":
        return LogUniform(_parse_end(parts[0], text), _parse_end(parts[1], text))
    if len(parts) == 3 and parts[2] == "int":
        if not all(INTEGER.fullmatch(end) and len(end) < 200 for end in parts[:2]):
            raise ValueError(f"low:high:int must have two whole numbers, but got {text!r}")
        return IntUniform(int(parts[0]), int(parts[1]))
    raise ValueError(f"a range must be low:high, low:high:log or low:high:int, but got {text!r}")


def _parse_end(text: str, whole: str) -> float:
    try:
        return float(text.replace("_", "?"))
    except ValueError:
        raise ValueError(f"low:high must have two numbers, but got {whole!r}") from None


def _ordered(parameter: Any, low: float, high: float) -> None:
    """Store checked ends of a frozen range; low must be below high."""
    if not low < high:
        hint = f"; write the value {value_text(low)} alone" if low == high else ""
        raise ValueError(f"low must be below high, but got low={low!r}, high={high!r}{hint}")
    object.__setattr__(parameter, "low", low)
    object.__setattr__(parameter, "high", high)


def _spaced(parameter: LogUniform | Uniform, points: int) -> tuple[Value, ...]:
    """Return `points` values from low to high, both exact; those between are rounded to 12 digits."""
    points = integer("points", points, 1)
    if points == 1:
        return (float(f"{parameter.at(0.5):.{_GRID_DIGITS}g}"),)
    between = [parameter.at(i / (points - 1)) for i in range(1, points - 1)]
    inner = [min(max(float(f"{value:.{_GRID_DIGITS}g}"), parameter.low), parameter.high) for value in between]
    values = tuple(dict.fromkeys([parameter.low, *inner, parameter.high]))
    if len(values) < points:
        raise ValueError(f"a grid of {points} points must fit between low and high, but {parameter} is too narrow")
    return values
