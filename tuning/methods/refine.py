"""Coarse to fine: train, evaluate, adjust, repeat.

The first round is a coarse grid. Each later one tries the best setting so far with every number a step up and a step
down, all of them together (a pattern search after Hooke & Jeeves 1961). Where the best has stayed, steps are halved;
where it has moved, the steps of what moved stay as they are, and grow to twice their size when it moves on in the same
direction, so that a range that was wrong is left quickly. The search ends when the steps are too small to matter, or
after `rounds` rounds.

A best setting at the end of a range moves the window only to that end, unless the range is named in `widen`: what the
user wrote may be a law (a memory limit, a momentum below 1), and to leave it must be the user's wish. Numbers that can
never be passed, such as a learning rate of 0, are kept in either case. Where nothing in the first round could be
ranked, because all diverged, say, the search starts from the low ends: smaller numbers are the safer ones.

Ranges and choices of numbers have an order and are stepped along; among other choices the best value of the first round
is kept, with the parameters that exist under it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

from nn.checks import unknown_name
from tuning.methods.samplers import Proposal, Rounds, Sampler, Score, option
from tuning.space import (
    Choice,
    IntUniform,
    Parameter,
    Range,
    Setting,
    Space,
    Value,
    bounds,
    is_number,
    rounded,
)

SMALLEST_STEP = 1 / 64
"""The part of the first round's step below which nothing is refined any more."""


@dataclass(frozen=True)
class Refine(Sampler):
    """Coarse to fine around the best, round by round."""

    points: int = option(5, "grid points along each range in the first round", low=2, high=1_000_000)
    n_rounds: int = option(10, "the most rounds", low=1, high=10_000, name="rounds")
    widen: bool | tuple[str, ...] = option(False, "ranges that may be left, or true for all", kind=str)

    learns = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.widen, bool):
            names = (self.widen,) if isinstance(self.widen, str) else self.widen
            if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
                raise TypeError(f"widen must be True or names of parameters, but got {self.widen!r}")
            object.__setattr__(self, "widen", tuple(names))

    def count(self, space: Space, epochs: int) -> int | None:
        """Return None: it depends on the results."""
        return None

    def check_space(self, space: Space) -> None:
        """Raise ValueError where `widen` names what is no range."""
        parameters = [item for variant in space.variants() for item in variant.items()]
        ranges = dict.fromkeys(name for name, parameter in parameters if isinstance(parameter, Range))
        for name in () if isinstance(self.widen, bool) else self.widen:
            if not ranges:
                raise ValueError(f"widen must be left out where no parameter is a range, but got {name!r}")
            if name not in ranges:
                raise unknown_name("widen", name, ranges)

    def rounds(self, space: Space, epochs: int) -> Rounds:
        """Yield the coarse grid, and then the neighbours of the best so far."""
        seen: dict[tuple[Any, ...], None] = {}
        best: tuple[tuple[float, float], Setting] | None = None
        search: _Window | None = None
        candidates: Iterator[Setting] = space.grid(self.points)
        for number in range(self.n_rounds):
            fresh = self._unseen(candidates, seen)
            if number and not fresh:
                return
            scores = yield [Proposal(len(seen) - len(fresh) + i, s, epochs) for i, s in enumerate(fresh)]
            before = best
            best = _best(best, fresh, scores)
            if search is None:
                start = best[1] if best is not None else next(iter(space.grid(self.points)))
                search = _Window(space, start, self.points, self.widen)
            elif best is None:
                search.retreat()
            else:
                search.adjust(best is not before, best[1])
            while search.alive and all(tuple(s.items()) in seen for s in search.candidates()):
                search.adjust(False, None)
            candidates = search.candidates()

    def _unseen(self, candidates: Iterator[Setting], seen: dict[tuple[Any, ...], None]) -> list[Setting]:
        """Return the settings that are new, and note them; no more than the limit allows."""
        room = None if self.n_settings is None else self.n_settings - len(seen)
        fresh = {tuple(s.items()): s for s in candidates if tuple(s.items()) not in seen}
        chosen = dict(islice(fresh.items(), room))
        seen.update(dict.fromkeys(chosen))
        return list(chosen.values())


def _best(best: Any, settings: Sequence[Setting], scores: Sequence[Score]) -> Any:
    """Return the best of what was and what came; the earlier one where they are equal."""
    for setting, score in zip(settings, scores, strict=True):
        if score.usable and (best is None or score.order > best[0]):
            best = (score.order, setting)
    return best


@dataclass
class _Axis:
    """One number that is stepped along, in coordinates in which its steps are equal: its logarithm, or its index."""

    parameter: Parameter
    step: float
    smallest: float
    low: float
    high: float
    values: tuple[Any, ...] = ()
    moved: int = 0

    def coordinate(self, value: Any) -> float:
        """Return where a value lies."""
        if self.values:
            return float(bisect.bisect_left(self.values, value))
        return _coordinate(self.parameter, value)

    def value(self, x: float) -> Value:
        """Return the value there, or at the end that is nearest."""
        x = min(max(x, self.low), self.high)
        if self.values:
            value: Value = self.values[round(x)]
            return value
        if isinstance(self.parameter, IntUniform):
            return round(10.0**x if self.parameter.log else x)
        number = rounded(10.0**x) if self.parameter.log else rounded(x)
        ends = (self.parameter.low, self.parameter.high)  # type: ignore[attr-defined]
        # The ends are met exactly, as in the first round, and not passed by the rounding of their logarithms.
        return next((end for end in ends if math.isclose(number, end, rel_tol=1e-9)), number)

    def around(self, value: Any) -> list[Value]:
        """Return the value and its neighbours, each once."""
        x = self.coordinate(value)
        step = self.step if self.step >= self.smallest else 0.0
        below, above = self.value(x - step), self.value(x + step)
        if isinstance(self.parameter, IntUniform) and step:
            below, above = (self.value(self.coordinate(n)) for n in (min(below, value - 1), max(above, value + 1)))
        return list(dict.fromkeys([value, below, above]))

    def adjust(self, before: Any, now: Any) -> None:
        """Halve the step where the value has stayed; double it where it has moved on in the same direction."""
        moved = int(math.copysign(1, self.coordinate(now) - self.coordinate(before))) if now != before else 0
        if moved == 0:
            self.step /= 2
        elif moved == self.moved and not self.values:
            self.step *= 2
        self.moved = moved


@dataclass
class _Window:
    """The steps around the best setting."""

    space: Space
    centre: Setting
    points: int
    widen: bool | tuple[str, ...]
    axes: dict[str, _Axis] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._lay_out()

    @property
    def alive(self) -> bool:
        """True while there is anything left to vary."""
        return any(axis.step >= axis.smallest for axis in self.axes.values())

    def candidates(self) -> Iterator[Setting]:
        """Yield the settings around the centre, itself included."""
        if not self.alive:
            return
        centre = self.centre
        options = [self.axes[name].around(value) if name in self.axes else [value] for name, value in centre.items()]
        for values in product(*options):
            yield dict(zip(centre, values, strict=True))

    def adjust(self, better: bool, best: Mapping[str, Value] | None) -> None:
        """Go to a better setting, or halve all steps."""
        target = dict(best) if better and best is not None else self.centre
        if list(target) != list(self.centre) or any(
            target[name] != self.centre[name] for name in self.centre if name not in self.axes
        ):
            self.centre = target  # the first that could be ranked at all lies in another branch
            self._lay_out()
            return
        for name, axis in self.axes.items():
            axis.adjust(self.centre[name], target[name])
        self.centre = target

    def retreat(self) -> None:
        """Go down where nothing can be ranked yet, in growing steps; where no range may be left, halve them."""
        lower = {name: axis.value(axis.coordinate(self.centre[name]) - axis.step) for name, axis in self.axes.items()}
        moves = any(value != self.centre[name] for name, value in lower.items())
        for axis in self.axes.values():
            axis.step *= 2 if moves else 0.5
        self.centre = {**self.centre, **lower}

    def _lay_out(self) -> None:
        axes = {name: self._axis(name, parameter) for name, parameter in self.space.active(self.centre).items()}
        self.axes = {name: axis for name, axis in axes.items() if axis is not None}

    def _axis(self, name: str, parameter: Parameter) -> _Axis | None:
        if isinstance(parameter, Choice):
            if parameter.parts or len(parameter.values) < 2 or not all(map(is_number, parameter.values)):
                return None
            values = tuple(sorted(parameter.values))
            return _Axis(parameter, 1.0, 1.0, 0.0, len(values) - 1.0, values)
        assert isinstance(parameter, Range)
        low, high = parameter.low, parameter.high
        widened = self.widen is True or (self.widen is not False and name in self.widen)
        step = (_coordinate(parameter, high) - _coordinate(parameter, low)) / (self.points - 1) / 2
        smallest = step * SMALLEST_STEP * 2
        if isinstance(parameter, IntUniform):  # no step is below 1
            one, half = (_coordinate(parameter, high) - _coordinate(parameter, high - n) for n in (1, 0.5))
            smallest = max(smallest, half) if parameter.log else half
            step = max(step, one)
        # A range in which the first round found nothing inside is left in full steps.
        at_end = widened and self.centre[name] in (low, high)
        first, last = (_coordinate(parameter, end) for end in (bounds(name, low, high) if widened else (low, high)))
        return _Axis(parameter, step * 2 if at_end else step, smallest, first, last)


def _coordinate(parameter: Parameter, value: Any) -> float:
    """Return where a number lies, in the logarithm where that is uniform; 0 and infinity have a place too."""
    return math.log10(min(max(value, 1e-300), 1e300)) if parameter.log else float(value)
