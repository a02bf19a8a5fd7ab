"""The values that a hyper-parameter can have, and how they are written: each has a text that gives it back exactly."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

import numpy as np

from nn.checks import brief, integer, real

Value = bool | int | float | str | tuple[int | float | None, ...] | None
Setting = dict[str, Value]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
INTEGER = re.compile(r"[+-]?[0-9]+")
MAX_INTEGER = 2**63 - 1

_LONGEST = 200
_DEEPEST = 8

_NUMBER = r"(?:none|[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
_LAYERS = re.compile(rf"{_NUMBER}(x{_NUMBER})+")
_WORDS: dict[str, Value] = {"true": True, "false": False, "none": None, "True": True, "False": False, "None": None}


def value_text(value: Value) -> str:
    """Return how a value is written: the shortest text that is parsed back to exactly this value.

    >>> [value_text(value) for value in (16, 0.1, (64, 32), (1, 0.5), True, None, "relu")]
    ['16', '0.1', '64x32', '1x0.5', 'true', 'none', 'relu']
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "x".join(map(value_text, value)) or "()"
    return value if isinstance(value, str) else repr(value)


def shown(value: Value, digits: int = 4) -> str:
    """Return a value as people read it: numbers with so many digits."""
    return f"{value:.{digits}g}" if isinstance(value, float) else value_text(value)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse_value(text: str) -> Value:
    """Return the value that a text stands for; ValueError where it is none."""
    if text in _WORDS:
        return _WORDS[text]
    if text == "()":
        return ()
    if _LAYERS.fullmatch(text) and len(text) < _LONGEST:
        return tuple(_of_layer(parse_value(each)) for each in text.split("x"))
    if INTEGER.fullmatch(text) and len(text) < _LONGEST:
        return integer("a value", int(text), -MAX_INTEGER, MAX_INTEGER)
    try:
        number = float(text.replace("_", "?"))
    except ValueError:
        pass
    else:
        return real("a value", number)
    if NAME.fullmatch(text):
        return text
    raise ValueError(f"a value must be a number, a name or numbers joined by x, but got {brief(text)}")


def plain_value(value: Any) -> Value:
    """Return a plain Python value that has a text, or raise."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return integer("a value", value, -MAX_INTEGER, MAX_INTEGER)
    if isinstance(value, float):
        return real("a value", value)
    if isinstance(value, list | tuple):
        layers = tuple(each.item() if isinstance(each, np.generic) else each for each in value)
        if not all(each is None or is_number(each) for each in layers):
            raise ValueError(f"a list in a list must be numbers, one for each layer, but got {brief(value)}")
        return plain_value(layers[0]) if len(layers) == 1 else tuple(_of_layer(each) for each in layers)
    if isinstance(value, str):
        if ":" in value:
            raise ValueError(f"a range must stand alone, outside of any list, but got {value!r} among values")
        return parse_value(value)
    raise TypeError(f"a value must be a number, a name, a bool, None or a tuple of numbers, but got {value!r}")


def _of_layer(value: Any) -> int | float | None:
    if value is None:
        return None
    return real("a value", value) if isinstance(value, float) else integer("a value", value, -MAX_INTEGER, MAX_INTEGER)


def number_text(number: float) -> str:
    """Return the shortest text of the end of a range: whole numbers without a point."""
    whole = float(number).is_integer() and abs(number) < 1e6 and str(number) != "-0.0"
    return str(int(number)) if whole else repr(number)


def pieces_of(text: str, separator: str) -> list[str]:
    """Return the pieces between separators that stand in no parentheses."""
    pieces, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not 0 <= depth <= _DEEPEST:
            break
        if letter == separator and depth == 0:
            pieces.append(text[start:i].strip())
            start = i + 1
    if depth:
        raise ValueError(f"parentheses must match and be {_DEEPEST} deep at most, but got {text!r}")
    return [*pieces, text[start:].strip()]


def parse_end(text: str, whole: str) -> float:
    """Return an end of the range that the `whole` text stands for. Raises ValueError where it is no number."""
    try:
        return float(text.replace("_", "?"))
    except ValueError:
        raise ValueError(f"low:high must have two numbers, but got {whole!r}") from None
