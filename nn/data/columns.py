"""Columns that are named by the user: found by name or number, or refused with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nn.checks import brief, unknown_name

_MOST_SHOWN = 20


def positions(option: str, wanted: Any, names: Sequence[str], lenient: bool = False) -> list[int]:
    """Return the positions in `names` of one column or several, each given by its name or number.

    A negative number counts from the end. With `lenient`, names that are not there are passed over.

    >>> positions("drop", ["b", -1], ["a", "b", "c"])
    [1, 2]
    """
    many = wanted if isinstance(wanted, list | tuple) else [wanted]
    chosen = [
        _position(option, one, names) for one in many if not (lenient and isinstance(one, str) and one not in names)
    ]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{option} must be one column or a list of different ones, but got {brief(wanted)}")
    return chosen


def _position(option: str, wanted: Any, names: Sequence[str]) -> int:
    width = len(names)
    if isinstance(wanted, str):
        if wanted in names:
            return names.index(wanted)
        if not wanted.lstrip("-").isdecimal():
            raise _unknown(option, wanted, names)
        wanted = int(wanted)
    if not isinstance(wanted, int | np.integer) or isinstance(wanted, bool) or not -width <= wanted < width:
        raise ValueError(
            f"{option} must be a column's name or a number from {-width} to {width - 1}, but got {brief(wanted)}"
        )
    return int(wanted) % width


def _unknown(option: str, wanted: str, names: Sequence[str]) -> ValueError:
    if len(names) <= _MOST_SHOWN:
        return unknown_name(option, wanted, names)
    near = difflib.get_close_matches(wanted, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:_MOST_SHOWN])
    return ValueError(f"{option} must be one of the {len(names):,} columns ({shown}, …), but got {brief(wanted)}{hint}")
