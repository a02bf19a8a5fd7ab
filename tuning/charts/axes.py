"""The places of a hyper-parameter's values on an axis, and how values and names are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nn.metrics import names_of, shown_name
from tuning.space import Range, Space, Value, is_number, shown, value_text

MOST_LEVELS = 12
"""Numbers with more different values than this stand on a continuous axis."""
LOG_RATIO = 30.0
"""Positive numbers that are this many times apart stand on a logarithmic one, unless their range says what is meant."""
BELOW = -0.1
"""The height at which a line passes below an upright axis whose hyper-parameter a setting does not have."""


@dataclass(frozen=True)
class Axis:
    """The axis of one parameter: `kind` is "levels", "linear" or "log"; `levels` are all values that it had, in order.

    Places are the numbers of levels, or numbers as they are, or their decimal logarithms. An upright axis that is
    `downward` has its lowest value at the top.
    """

    name: str
    kind: str
    levels: tuple[Value, ...]
    downward: bool = False

    @classmethod
    def of(
        cls, name: str, values: Iterable[Value], *, continuous: bool = False, logarithmic: bool | None = None
    ) -> Axis:
        """Return the axis of a parameter that had these values; numbers stay continuous if that is asked for.

        Whether a continuous axis is logarithmic is told by the values, or by `logarithmic`, as `scale_of` returns it.
        """
        levels = sorted(set(values), key=order)
        numbers = [value for value in levels if is_number(value)]
        if len(numbers) < len(levels) or not (continuous or len(levels) > MOST_LEVELS):
            return cls(name, "levels", tuple(levels))
        low, high = float(numbers[0]), float(numbers[-1])
        if logarithmic is None:
            logarithmic = high >= LOG_RATIO * low or (continuous and high > 2 * low)
        return cls(name, "log" if logarithmic and low > 0 else "linear", tuple(levels))

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest place."""
        return self.place(self.levels[0]), self.place(self.levels[-1])

    def place(self, value: Value) -> float:
        """Return where a value stands."""
        if self.kind == "levels":
            return float(self.levels.index(value))
        return math.log10(value) if self.kind == "log" else float(value)  # type: ignore[arg-type]

    def share(self, place: float) -> float:
        """Return the height of a place on an upright axis: from 0 at the bottom to 1 at the top."""
        low, high = self.ends
        share = 0.5 if high == low else (place - low) / (high - low)
        return 1 - share if self.downward else share

    def ticks(self) -> tuple[list[float], list[str]]:
        """Return places and texts of the marks."""
        if self.kind == "levels":
            return [float(i) for i in range(len(self.levels))], [shown(level) for level in self.levels]
        low, high = self.ends
        if low == high:
            return [low], [shown(self.levels[0])]
        if self.kind == "linear":
            marks = _round_marks(low, high)
            return marks, [f"{mark:.6g}" for mark in marks]
        factors = (1,) if high - low > 2.5 else (1, 3) if high - low > 1.2 else (1, 2, 5)
        decades = range(math.floor(low), math.ceil(high) + 1)
        numbers = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [number for number in numbers if low - 1e-9 <= math.log10(number) <= high + 1e-9]
        return [math.log10(number) for number in inside], [f"{number:.6g}" for number in inside]

    def bins(self, most: int) -> tuple[list[str], dict[Value, int]]:
        """Return the texts of at most so many parts of the axis, and the part that each value is in."""
        if len(self.levels) <= max(most, MOST_LEVELS):
            return [shown(level) for level in self.levels], {level: i for i, level in enumerate(self.levels)}
        low, high = self.ends
        width = (high - low) / most
        ends = [low + i * width for i in range(most + 1)]
        if self.kind == "log":
            ends = [10**end for end in ends]
        texts = [f"{a:.2g}–{b:.2g}" for a, b in pairwise(ends)]
        return texts, {level: min(int((self.place(level) - low) / width), most - 1) for level in self.levels}


def scale_of(space: dict[str, str], name: str) -> bool | None:
    """Return whether a hyper-parameter was searched on a logarithmic scale; None where it had a list of values."""
    for parameters in Space(space, own=True).variants():
        if isinstance(parameters.get(name), Range):
            return parameters[name].log
    return None


def is_wide(low: float, high: float) -> bool:
    """Return whether positive numbers between these ends are so far apart that their axis is logarithmic."""
    return 0 < LOG_RATIO * low <= high


def short(value: Value) -> str:
    """Return a value as legends show it, to be read from the last row."""
    return shown(value, 3)


def words(name: str) -> str:
    """Return the name of a metric or hyper-parameter as people say it."""
    return shown_name(name) if name in names_of() else name.replace("_", " ")


def order(value: Value) -> tuple[int, Sequence[float], str]:
    """Return the key by which values are sorted: numbers and layers first, then words."""
    if isinstance(value, tuple):
        return 0, tuple(-1.0 if each is None else float(each) for each in value), ""
    if is_number(value):
        return 0, (float(value),), ""
    return 1, (), value_text(value)


def _round_marks(low: float, high: float) -> list[float]:
    """Return at most nine round numbers between two ends."""
    unit = 10.0 ** math.floor(math.log10((high - low) / 8))
    step = next(unit * factor for factor in (1, 2, 5, 10) if (high - low) / (unit * factor) <= 8)
    return [round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
