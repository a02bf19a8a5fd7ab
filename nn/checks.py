"""Input checks shared by the public functions: each states the rule, the value and the way out, in one line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from dataclasses import field
from functools import partial
from typing import Any

TASKS = ("classification", "regression", "multilabel")
_NEAR = 0.6  # the least likeness of a name that is suggested


def brief(value: object) -> str:
    """Return `value` as an error shows it: on one line, and a long one cut short.

    >>> print(brief("a" * 100))
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…
    """
    text = one_line(repr(value))
    return text if len(text) <= 60 else text[:59] + "…"


def one_line(text: object) -> str:
    """Return a text in one line; of an error, its name and what it says."""
    shown = f"{type(text).__name__}: {text}" if isinstance(text, BaseException) else str(text)
    return " ".join(shown.split())


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for an unknown name, with the nearest known one suggested.

    A name may lack the first word of a known one. A metric that lacks it is that of the validation part, by which one
    chooses.

    >>> raise unknown_name("activation", "rellu", ["relu", "tanh"])
    Traceback (most recent call last):
    ...
    ValueError: activation must be one of relu, tanh, but got 'rellu'; did you mean 'relu'?
    >>> raise unknown_name("metric", "accuracy", ["train_accuracy", "validation_accuracy"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: metric must be one of train_accuracy, validation_accuracy, ...; did you mean 'validation_accuracy'?
    """
    names = list(known)

    def nearness(each: str) -> tuple[float, bool, float]:
        whole, rest = (
            difflib.SequenceMatcher(None, str(name), form).ratio() for form in (each, each.partition("_")[2])
        )
        return max(whole, rest), each.startswith("validation_"), whole

    nearest = max(names, key=nearness, default="")
    hint = f"; did you mean {nearest!r}?" if nearness(nearest)[0] >= _NEAR else ""
    return ValueError(f"{kind} must be one of {', '.join(names)}, but got {brief(name)}{hint}")


def one_of(kind: str, name: object, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`; raise the error with a suggestion otherwise."""
    names = list(known)
    if isinstance(name, str) and name in names:
        return name
    raise unknown_name(kind, name, names)


def integer(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """Return `value` as an int within [low, high]; booleans and fractions are refused.

    >>> integer("epochs", 0, low=1)
    Traceback (most recent call last):
    ...
    ValueError: epochs must be an integer of at least 1, but got 0
    """
    try:
        whole = not isinstance(value, bool) and int(value) == value
    except (TypeError, ValueError, OverflowError):
        whole = False
    number = int(value) if whole else 0
    if whole and (low is None or number >= low) and (high is None or number <= high):
        return number
    rule = "an integer"
    if low is not None and high is not None:
        rule = f"an integer between {low:,} and {high:,}"
    elif low is not None:
        rule = f"an integer of at least {low:,}"
    elif high is not None:
        rule = f"an integer of at most {high:,}"
    raise ValueError(f"{name} must be {rule}, but got {number if whole else brief(value)}")


def batch_size(value: Any, examples: int, *, strict: bool = False) -> Any:
    """Return "full" or a number of examples up to all there are; unless given, 32, or all where there are fewer.

    With `strict`, a float is refused even where it is whole: it stands for a range of numbers.
    """
    if value is None:
        return min(32, examples)
    if isinstance(value, str) and value == "full":
        return value
    try:
        return integer("batch_size", str(value) if strict and isinstance(value, float) else value, 1, examples)
    except ValueError:
        raise ValueError(
            f"batch_size must be between 1 and the {examples:,} training examples, or full, but got {brief(value)}"
        ) from None


def real(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
    infinite: bool = False,
) -> float:
    """Return `value` as a float within [low, high], strictly `above` and `below` where given; NaN is refused.

    >>> real("momentum", 1.0, 0.0, below=1.0)
    Traceback (most recent call last):
    ...
    ValueError: momentum must be a finite number >= 0 and < 1, but got 1.0
    """
    try:
        number = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if (
        low <= number <= high
        and (above is None or number > above)
        and (below is None or number < below)
        and (infinite or not math.isinf(number))
    ):
        return number
    ends = {">=": low, ">": above, "<=": high, "<": below}
    limits = " and ".join(f"{sign} {end:g}" for sign, end in ends.items() if end is not None and math.isfinite(end))
    rule = f"{name} must be a {'' if infinite else 'finite '}number {limits}".rstrip()
    raise ValueError(f"{rule}, but got {brief(value)}")


def checked(default: Any, check: Callable[..., Any], **limits: Any) -> Any:
    """Return a field of a dataclass, which `check_fields` holds to `check(name, value, **limits)`."""
    return field(default=default, metadata={"check": partial(check, **limits)})


def check_fields(description: Any) -> None:
    """Check the fields of a frozen dataclass that have a check, and keep its result; a default of None passes."""
    for name, own in description.__dataclass_fields__.items():
        check, value = own.metadata.get("check"), getattr(description, name)
        if check is not None and (value is not None or own.default is not None):
            object.__setattr__(description, name, check(name, value))


def known_options(name: str, options: Iterable[str], known: Iterable[str]) -> None:
    """Raise for the first of `options` that is not `known`, with the nearest one suggested.

    >>> known_options("'moons'", ["nois"], ["n", "noise"])
    Traceback (most recent call last):
    ...
    ValueError: option of 'moons' must be one of n, noise, but got 'nois'; did you mean 'noise'?
    """
    names = list(known)
    for option in options:
        if not names:
            raise ValueError(f"{name} must be loaded without options, but got {brief(option)}")
        one_of(f"option of {name}", option, names)
