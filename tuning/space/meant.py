"""What people mean by the values of a parameter, where its name tells more than they wrote."""

from __future__ import annotations

from collections.abc import Iterable

from nn.checks import ACTIVATION_ALIASES
from tuning.space.parameters import PARAMETERS, WHOLE
from tuning.space.ranges import IntUniform, Range
from tuning.space.values import Value


def of_whole_numbers(parameter: Range) -> IntUniform:
    """Return the range as one of whole numbers, between the same ends. Raises ValueError where those are not whole."""
    if isinstance(parameter, IntUniform):
        return parameter
    for end in (parameter.low, parameter.high):
        if not end.is_integer():
            raise ValueError(f"the ends of a range of whole numbers must be whole, but got {parameter}; round them")
    return IntUniform(int(parameter.low), int(parameter.high), log=parameter.log)


def own_names(activations: Iterable[Value]) -> list[Value]:
    """Return activations under the names that they have here; ValueError where two names are of one."""
    given = list(activations)
    own = [ACTIVATION_ALIASES.get(str(value), value) for value in given]
    if len(set(own)) < len(own):
        raise ValueError(f"the values of a choice must be different, but {', '.join(map(str, given))} has one twice")
    return own


def two_meanings(name: str, low: float, high: float) -> ValueError:
    """Return the error for two numbers in a tuple, with both that they may mean."""
    logarithmic = name in PARAMETERS and PARAMETERS[name].example.endswith(":log")
    kind = "IntUniform" if name in WHOLE else "LogUniform" if logarithmic else "Uniform"
    return ValueError(
        f"two numbers in a tuple may be a range or two values, but got {(low, high)}; "
        f"write {kind}({low!r}, {high!r}) or [{low!r}, {high!r}]"
    )


def way_out(name: str) -> str:
    """Return what to try in the place of what is no parameter of this name, as the end of an error."""
    if name == "hidden_units":
        return "; join several hidden layers by x, as in 32x32"
    return f"; try {PARAMETERS[name].example!r}" if name in PARAMETERS else ""
