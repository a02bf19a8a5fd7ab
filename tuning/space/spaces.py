"""Choices and spaces of hyper-parameters, and the text in which they are written.

That text stands on the command line and in TOML files, and `str` gives it:

    1e-3:1:log      LogUniform(0.001, 1.0)          16,32,64    Choice((16, 32, 64))
    0:0.9           Uniform(0.0, 0.9)               64x32       Choice(((64, 32),)): two hidden layers
    8:64:int        IntUniform(8, 64)               relu,tanh   Choice(("relu", "tanh"))
    8:64:log:int    IntUniform(8, 64, log=True)

A range of a parameter that is a whole number, such as batch_size, is one of whole numbers without `:int` too. Values
are numbers, names, true, false, none, and whole numbers joined by x; `()` stands for no layers. A value of a choice may
have a part of its own, parameters that exist only where it is chosen:

    sgd(momentum=0:0.9; nesterov=false,true),adam      Choice({"sgd": {"momentum": Uniform(0, 0.9), …}, "adam": {}})
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, product
from typing import Any

import numpy as np

from nn.checks import integer
from tuning.space.meant import of_whole_numbers, own_names, two_meanings, way_out
from tuning.space.order import even_order
from tuning.space.parameters import PARAMETERS, PER_LAYER, WHOLE
from tuning.space.ranges import IntUniform, LogUniform, Parameter, Range, Uniform
from tuning.space.values import (
    INTEGER,
    NAME,
    Setting,
    Value,
    is_number,
    parse_end,
    parse_value,
    pieces_of,
    plain_value,
    value_text,
)

__all__ = ["Choice", "IntUniform", "LogUniform", "Parameter", "Space", "Uniform", "as_parameter", "parse"]

_WITH_PART = re.compile(r"(\(\)|[^()]*)\((.*)\)", re.DOTALL)


@dataclass(frozen=True, repr=False)
class Choice(Parameter):
    """A hyper-parameter that takes one of several values.

    Args:
        values: Different numbers, names, bools, None, or tuples of whole numbers (several hidden layers); a tuple of
            one whole number is that number. A dict from values to spaces gives each value the parameters that exist
            only where it is chosen; `parts` then has those spaces, None for a value without any.

    Raises:
        ValueError, TypeError: For no values, equal ones, and what can't be a value.

    >>> Choice([16, (64, 32)])
    Choice((16, (64, 32)))
    >>> str(Choice({"sgd": {"momentum": [0.0, 0.9]}, "adam": {}}))
    'sgd(momentum=0.0,0.9),adam'
    """

    values: Any
    parts: tuple[Space | None, ...] = field(init=False, default=())
    places: dict[Value, int] = field(init=False, compare=False)  # of the values, each by itself

    def __post_init__(self) -> None:
        given: Any = self.values
        parts: tuple[Space | None, ...] = ()
        if isinstance(given, Mapping):
            parts = tuple(_part(value, part) for value, part in given.items())
            given = [parse_value(value) if isinstance(value, str) else value for value in given]
        if isinstance(given, str | bytes) or not isinstance(given, Sequence | np.ndarray):
            raise TypeError(f"a choice must be a list of values, but got {given!r}")
        values = tuple(plain_value(value) for value in given)
        if not values:
            raise ValueError("a choice must have at least one value, but got none")
        places: dict[Value, int] = {}
        for place, value in enumerate(values):
            if places.setdefault(value, place) != place:
                raise ValueError(f"the values of a choice must be different, but {value_text(value)} comes twice")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "parts", parts if any(parts) else ())

    def grid(self, points: int) -> tuple[Value, ...]:
        """Return every value, in the order given."""
        return tuple(self.values)

    def at(self, u: float) -> Value:
        """Return the value whose share of [0, 1) holds u."""
        result: Value = self.values[min(int(u * len(self.values)), len(self.values) - 1)]
        return result

    @property
    def size(self) -> int | None:
        """The number of values, their parts not counted."""
        return len(self.values)

    def part(self, value: Value) -> Space | None:
        """Return the space that exists only where this value is chosen, None where there is none."""
        return self.parts[self.places[value]] if self.parts else None

    def branches(self) -> Iterator[tuple[Value, Space | None]]:
        """Yield each value with its part."""
        return zip(self.values, self.parts or (None,) * len(self.values), strict=True)

    def __str__(self) -> str:
        return ",".join(f"{value_text(value)}{_part_text(part)}" for value, part in self.branches())

    def __repr__(self) -> str:
        if not self.parts:
            return f"Choice({self.values!r})"
        each = (f"{value!r}: {part.parameters if part else {}!r}" for value, part in self.branches())
        return f"Choice({{{', '.join(each)}}})"


class Space:
    """All hyper-parameters of a sweep by name, with the parts that exist only under some choices.

    Args:
        parameters: From names to a `Uniform`, `LogUniform`, `IntUniform` or `Choice`; to a list, tuple or array of
            values, or a dict from values to their parts, which are choices; to a text, which is parsed; or to one
            value, a constant. A tuple of whole numbers as hidden_units is one value, the layers of a network. A range
            of a parameter that is a whole number becomes an `IntUniform`.
        own: The names are those of a model of one's own: a range stays what it is whatever its name, and activations
            keep their names.

    Raises:
        ValueError, TypeError: For no parameters, a name that is given twice, and whatever can't be a parameter.

    >>> space = Space({"momentum": "0:0.9", "batch_size": [16, 32], "optimizer": "sgd"})
    >>> space.at([0.5, 0.5])
    {'momentum': 0.45, 'batch_size': 32, 'optimizer': 'sgd'}
    >>> Space({"batch_size": LogUniform(8, 64), "hidden_units": (64, 32)})
    Space({'batch_size': '8:64:log:int', 'hidden_units': '64x32'})
    >>> space = Space({"optimizer": {"sgd": {"momentum": [0.0, 0.9]}, "adam": {}}})
    >>> list(space.grid(7))
    [{'optimizer': 'sgd', 'momentum': 0.0}, {'optimizer': 'sgd', 'momentum': 0.9}, {'optimizer': 'adam'}]
    """

    def __init__(self, parameters: Mapping[str, Any], own: bool = False) -> None:
        if not isinstance(parameters, Mapping):
            raise TypeError(f"a space must be a dict of names and what they may be, but got {parameters!r}")
        if not parameters:
            raise ValueError(
                'a space must name at least one parameter, but is empty; try {"learning_rate": "1e-3:1:log"}'
            )
        for name in parameters:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise ValueError(f"the name of a parameter must be letters, digits and _, but got {name!r}")
        self.parameters: dict[str, Parameter] = {
            name: as_parameter(name, given, own) for name, given in parameters.items()
        }
        owners: dict[str, str] = {}
        for name, parameter in self.parameters.items():
            for inner in _names(name, parameter):
                if inner in owners:
                    raise ValueError(
                        f"{inner} must stand beside the choices or in parts of one of them, "
                        f"but is given by {owners[inner]} and by {name}"
                    )
                owners[inner] = name
        self.names: tuple[str, ...] = tuple(owners)

    @cached_property
    def dimensions(self) -> int:
        """The number of coordinates of a point of the unit cube; the parts of one choice share theirs."""
        return sum(_varies(parameter) + _inner_dimensions(parameter) for parameter in self.parameters.values())

    @cached_property
    def size(self) -> int | None:
        """The number of different settings; None where a range is continuous."""
        sizes = [
            _total(sum, [1 if part is None else part.size for _, part in parameter.branches()])
            if isinstance(parameter, Choice)
            else parameter.size
            for parameter in self.parameters.values()
        ]
        return _total(math.prod, sizes)

    def grid_size(self, points: int) -> int:
        """Return the number of settings of `grid(points)`."""
        return math.prod(_axis_length(parameter, points) for parameter in self.parameters.values())

    def grid(self, points: int) -> Iterator[Setting]:
        """Yield every combination of what is active together, the last parameter changing fastest."""
        axes = [_axis(name, parameter, points) for name, parameter in self.parameters.items()]
        place = [0] * len(axes)
        while True:
            yield dict(chain.from_iterable(axis[i] for axis, i in zip(axes, place, strict=True)))
            for k in reversed(range(len(axes))):
                place[k] += 1
                if place[k] < len(axes[k]):
                    break
                place[k] = 0
            else:
                return

    def even_grid(self, points: int) -> Iterator[tuple[int, Setting]]:
        """Yield the settings of `grid(points)`, each with its place there, in the order of `even_order`."""
        axes = [_axis(name, parameter, points) for name, parameter in self.parameters.items()]
        for places in even_order([len(axis) for axis in axes]):
            number = 0
            for axis, i in zip(axes, places, strict=True):
                number = number * len(axis) + i
            yield number, dict(chain.from_iterable(axis[i] for axis, i in zip(axes, places, strict=True)))

    def at(self, u: Sequence[float]) -> Setting:
        """Return the setting at a point of the unit cube with `dimensions` coordinates."""
        setting: Setting = {}
        self._fill(setting, u, 0)
        return setting

    def _fill(self, setting: Setting, u: Sequence[float], start: int) -> None:
        for name, parameter in self.parameters.items():
            varies = _varies(parameter)
            setting[name] = value = parameter.at(u[start] if varies else 0.0)
            start += varies
            if parameter.parts:
                part = parameter.part(value)
                if part is not None:
                    part._fill(setting, u, start)
                start += _inner_dimensions(parameter)

    def active(self, setting: Mapping[str, Value]) -> dict[str, Parameter]:
        """Return the parameters that exist under the choices of a setting, in its order."""
        found: dict[str, Parameter] = {}
        for name, parameter in self.parameters.items():
            part = parameter.part(setting[name])
            found |= {name: parameter, **(part.active(setting) if part else {})}
        return found

    def variants(self) -> Iterator[dict[str, Parameter]]:
        """Yield a flat space for each way in which the choices that have parts can fall: one where none has."""
        options = [
            [{name: parameter}]
            if not (isinstance(parameter, Choice) and parameter.parts)
            else [
                {name: Choice([value]), **inner}
                for value, part in parameter.branches()
                for inner in (part.variants() if part else ({},))
            ]
            for name, parameter in self.parameters.items()
        ]
        for combination in product(*options):
            yield dict(chain.from_iterable(one.items() for one in combination))

    def texts(self) -> dict[str, str]:
        """Return every parameter's text: `Space(space.texts())` is this space again."""
        return {name: str(parameter) for name, parameter in self.parameters.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and list(self.parameters.items()) == list(other.parameters.items())

    def __hash__(self) -> int:
        return hash(tuple(self.parameters.items()))

    def __repr__(self) -> str:
        return f"Space({self.texts()})"


def as_parameter(name: str, given: Any, own: bool = False) -> Parameter:
    """Return the parameter that a user wrote for `name`. Raises ValueError or TypeError, which begin with the name.

    What the names of a network's parameters mean does not count for those of one's `own` model.
    """
    try:
        parameter = _parameter(name, given)
        if own:
            return parameter
        if name in WHOLE and isinstance(parameter, Range):
            return of_whole_numbers(parameter)
        if name in PARAMETERS and name not in PER_LAYER and isinstance(parameter, Choice):
            layers = next((value for value in parameter.values if isinstance(value, tuple)), None)
            if layers is not None:
                raise ValueError(f"a value must be one number or name, not one for each layer, but got {layers}")
        if name == "activation" and isinstance(parameter, Choice):
            names = own_names(parameter.values)
            return Choice(dict(zip(names, parameter.parts, strict=True)) if parameter.parts else names)
        return parameter
    except (TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name}: {error}{'' if '; ' in str(error) else way_out(name)}") from None


def _parameter(name: str, given: Any) -> Parameter:
    if isinstance(given, Parameter):
        return given
    if isinstance(given, str):
        return parse(given)
    if isinstance(given, Mapping):
        return Choice(given)
    if isinstance(given, tuple) and all(map(is_number, given)):
        if name == "hidden_units":  # the layers of one network
            return Choice((given,))
        if len(given) == 2:
            raise two_meanings(name, *given)
    if isinstance(given, np.ndarray) and given.ndim:
        given = given.tolist()
    return Choice(given if isinstance(given, list | tuple | range) else (given,))


def parse(text: str) -> Parameter:
    """Return the parameter that a text stands for; `str` of it gives a text of the same meaning.

    Raises ValueError where it stands for none.

    >>> parse("1e-3:1:log"), parse("16,64x32,none")
    (LogUniform(low=0.001, high=1.0), Choice((16, (64, 32), None)))
    """
    if "(" in text.replace("()", "") or ")" in text.replace("()", ""):
        return _parse_parts(text)
    parts = [part.strip() for part in text.split(":")]
    if len(parts) == 1:
        return Choice([parse_value(part.strip()) for part in text.split(",")])
    if len(parts) == 2:
        return Uniform(parse_end(parts[0], text), parse_end(parts[1], text))
    if len(parts) == 3 and parts[2] == "log":
        return LogUniform(parse_end(parts[0], text), parse_end(parts[1], text))
    if parts[2:] in (["int"], ["log", "int"]):
        if not all(INTEGER.fullmatch(end) and len(end) < 200 for end in parts[:2]):
            raise ValueError(f"low:high:{':'.join(parts[2:])} must have two whole numbers, but got {text!r}")
        return IntUniform(int(parts[0]), int(parts[1]), log="log" in parts)
    raise ValueError(f"a range must be low:high, low:high:log, low:high:int or low:high:log:int, but got {text!r}")


def _parse_parts(text: str) -> Choice:
    """Return the choice that is written with parts: `sgd(momentum=0:0.9; nesterov=true),adam`."""
    branches: dict[Any, Any] = {}
    for piece in pieces_of(text, ","):
        match = _WITH_PART.fullmatch(piece) if piece != "()" else None
        value = parse_value(match[1].strip() if match else piece)
        if value in branches:
            raise ValueError(f"the values of a choice must be different, but {value_text(value)} comes twice")
        branches[value] = part = {}
        for item in pieces_of(match[2], ";") if match else ():
            name, equals, what = item.partition("=")
            if not equals:
                raise ValueError(f"a part must be name=values, with ; before another, but got {item!r} in {text!r}")
            if name.strip() in part:
                raise ValueError(f"a part must name each parameter once, but got {name.strip()!r} twice in {text!r}")
            part[name.strip()] = what.strip()
    return Choice(branches)


def _part(value: Any, part: Any) -> Space | None:
    if isinstance(part, Space):
        return part
    if part is not None and not isinstance(part, Mapping):
        raise TypeError(f"the part of {value} must be a dict of names and what they may be, but got {part!r}")
    return Space(part) if part else None


def _part_text(part: Space | None) -> str:
    return f"({'; '.join(f'{name}={text}' for name, text in part.texts().items())})" if part else ""


def _names(name: str, parameter: Parameter) -> Iterable[str]:
    """Return a parameter's name and those in its parts, each once: parts of one choice may have the same names."""
    inner = dict.fromkeys(chain.from_iterable(part.names for part in parameter.parts if part))
    return chain((name,), inner)


def _varies(parameter: Parameter) -> bool:
    return parameter.size != 1


def _inner_dimensions(parameter: Parameter) -> int:
    return max((part.dimensions for part in parameter.parts if part), default=0)


def _axis(name: str, parameter: Parameter, points: int) -> list[tuple[tuple[str, Value], ...]]:
    """Return the values of a parameter and its parts in a grid, each as items of a setting."""
    if not (isinstance(parameter, Choice) and parameter.parts):
        return [((name, value),) for value in parameter.grid(points)]
    return [
        ((name, value), *inner.items())
        for value, part in parameter.branches()
        for inner in (part.grid(points) if part else ({},))
    ]


def _axis_length(parameter: Parameter, points: int) -> int:
    points = integer("points", points, 1)
    if isinstance(parameter, Choice):
        return sum(part.grid_size(points) if part else 1 for _, part in parameter.branches())
    return points if parameter.size is None else len(parameter.grid(points))


def _total(add: Callable[[list[Any]], int], counts: list[int | None]) -> int | None:
    """Return the sum or product of counts; None where one is not known."""
    return None if None in counts else add(counts)
