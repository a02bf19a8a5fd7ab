"""Methods of search: each turns a space into rounds of settings, the same ones every time.

A sampler is a generator of rounds. It yields the proposals of one round, and a method that learns from what it has seen
is sent their scores, in the order of the proposals, before it yields the next. Nothing else reaches it: neither the
order in which trials come back nor the number of workers can change what it proposes, and a study that is run again
brings it to the same place by telling it what the file says.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import Field, dataclass, field, fields
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nn.checks import integer
from tuning.space import Setting, Space

BLOCK = 256
"""Points that are drawn at a time; a power of two, as Sobol's sequences want it."""


class Proposal(NamedTuple):
    """A setting to be trained up to so many epochs; its trials are numbered by its `place`, which no other has."""

    place: int
    setting: Setting
    epochs: int


class Score(NamedTuple):
    """The outcome of a proposal: larger is better, in the metric and then in the validation loss, whose sign is turned.

    Means over repeats and folds; NaN where any of them diverged, failed or is not finite.
    """

    gain: float
    tie: float

    @property
    def usable(self) -> bool:
        """True if the proposal can be ranked at all."""
        return math.isfinite(self.gain)

    @property
    def order(self) -> tuple[float, float]:
        """The key by which proposals are sorted, the worst first; NaN is below every number."""
        return (
            self.gain if self.usable else -math.inf,
            self.tie if self.usable and math.isfinite(self.tie) else -math.inf,
        )


Rounds = Generator[Iterable[Proposal], Sequence[Score], None]


def option(
    default: Any, about: str, *, low: int | None = None, high: int | None = None, kind: type = int, name: str = ""
) -> Any:
    """Return the field of a sampler that users may set, from Python, the command line and sweep files.

    `about` is its help on the command line, where it is read as a `kind`: int, float, or str for names with commas.
    From `low` to `high` it must be a whole number. `name` is what users call it, where that is not the field's.
    """
    return field(default=default, metadata={"about": about, "limits": (low, high), "kind": kind, "name": name})


@dataclass(frozen=True)
class Sampler:
    """A method of search; all others derive from it.

    Args:
        n_settings: At most so many settings.
        seed: Of whatever the method draws.

    `learns` says whether scores must be told, `budgets` whether a setting may be proposed again with more epochs, and
    `stops` whether there is a last setting even where a range is continuous.
    """

    n_settings: int | None = None
    seed: int = 0

    learns: ClassVar[bool] = False
    budgets: ClassVar[bool] = False
    stops: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, each in self.own_options().items():
            if each.metadata["limits"] != (None, None):
                integer(name, getattr(self, each.name), *each.metadata["limits"])

    @classmethod
    def own_options(cls) -> dict[str, Field[Any]]:
        """Return the fields made by `option`, by the names that users know; inherited ones come last."""
        heirs = [getattr(kind, "__dataclass_fields__", ()) for kind in cls.__mro__]
        own = [each for each in fields(cls) if "about" in each.metadata]
        own.sort(key=lambda each: sum(each.name in names for names in heirs))
        return {each.metadata["name"] or each.name: each for each in own}

    def rounds(self, space: Space, epochs: int) -> Rounds:
        """Yield rounds of proposals of at most so many epochs; without `budgets`, no setting comes twice."""
        raise NotImplementedError

    def count(self, space: Space, epochs: int) -> int | None:
        """Return how many settings `rounds` proposes, None where that is not known: all, or `n_settings` if less."""
        return least(space.size, self.n_settings)

    def endless(self, space: Space) -> bool:
        """Return whether the rounds go on until somebody stops them: over a continuous range, with no number given."""
        return not self.stops and self.count(space, 1) is None

    def options(self) -> dict[str, Any]:
        """Return the options as a study file keeps them; a limit is none, for it only cuts the stream of settings."""
        values = {name: getattr(self, each.name) for name, each in self.own_options().items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @property
    def given(self) -> Any:
        """The object that the user made the method of and no file can hold; None for a method that has none."""
        return None

    def check_given(self) -> None:
        """Raise ValueError where that object is missing."""

    def check(self, epochs: int) -> None:
        """Raise ValueError where the method can't work with so many epochs a trial."""

    def check_space(self, space: Space) -> None:
        """Raise ValueError where the method can't search this space."""

    def planned_epochs(self, space: Space, epochs: int) -> int | None:
        """Return the epochs of one trial of each setting together; None where that is not known before."""
        settings = self.count(space, epochs)
        return None if settings is None else settings * epochs


def proposals(settings: Iterable[Setting], epochs: int) -> Iterator[Proposal]:
    """Yield each setting as a proposal, with places that count from 0."""
    for place, setting in enumerate(settings):
        yield Proposal(place, setting, epochs)


def least(*counts: int | None) -> int | None:
    """Return the smallest of the counts that are known, None where none is."""
    return min((count for count in counts if count is not None), default=None)


@dataclass(frozen=True)
class Grid(Sampler):
    """Every combination, in an order that covers each range from the start: a study that ends early knows all of it.

    Places, and with them the numbers of trials, are those of the combinations with the last parameter changing fastest.
    A limit takes the first settings of the order. Without `even`, settings come by their places, as in studies that
    were begun before there was another order.

    >>> space = Space({"learning_rate": "0.01:1:log", "batch_size": [16, 32]})
    >>> [(proposal.place, proposal.setting) for proposal in next(Grid(points=3).rounds(space, epochs=20))][:2]
    [(0, {'learning_rate': 0.01, 'batch_size': 16}), (5, {'learning_rate': 1.0, 'batch_size': 32})]
    """

    points: int = option(7, "grid points along each range", low=1, high=1_000_000)
    even: bool = True

    def rounds(self, space: Space, epochs: int) -> Rounds:
        """Yield the grid as one round."""
        settings = space.even_grid(self.points) if self.even else enumerate(space.grid(self.points))
        yield (Proposal(place, setting, epochs) for place, setting in islice(settings, self.n_settings))

    def count(self, space: Space, epochs: int) -> int | None:
        """Return the number of combinations, or `n_settings` where that is less."""
        return least(space.grid_size(self.points), self.n_settings)


@dataclass(frozen=True)
class Drawn(Sampler):
    """A method that goes through a sequence of points in the unit cube.

    A setting that comes again is left out; a finite space is gone through to its end.
    """

    stops = False

    def points_of(self, dimensions: int) -> Iterator[list[list[float]]]:
        """Yield blocks of points of the unit cube, without end."""
        raise NotImplementedError

    def settings(self, space: Space) -> Iterator[Setting]:
        """Yield the different settings at the points: all there are, or without end where a range is continuous."""
        size = space.size
        flat = len(space.names) == len(space.parameters)
        seen: set[tuple[Any, ...]] = set()
        for block in self.points_of(space.dimensions):
            for u in block:
                setting = space.at(u)
                if size is None and flat:
                    yield setting  # with a continuous range, a repetition has probability 0
                    continue
                key = tuple(setting.items())
                if key not in seen:
                    seen.add(key)
                    yield setting
            if size is not None and len(seen) >= size:
                return

    def rounds(self, space: Space, epochs: int) -> Rounds:
        """Yield the draws as one round."""
        yield proposals(islice(self.settings(space), self.n_settings), epochs)


@dataclass(frozen=True)
class Random(Drawn):
    """Independent draws from the space.

    >>> len(list(next(Random().rounds(Space({"batch_size": [16, 32, 64]}), epochs=20))))
    3
    """

    def points_of(self, dimensions: int) -> Iterator[list[list[float]]]:
        """Yield uniform points."""
        rng = np.random.default_rng(self.seed)
        while True:
            yield rng.random((BLOCK, dimensions)).tolist()


@dataclass(frozen=True)
class Sobol(Drawn):
    """A scrambled Sobol sequence (Sobol' 1967; Owen 1998): it covers the space more evenly than random draws do."""

    def points_of(self, dimensions: int) -> Iterator[list[list[float]]]:
        """Yield the points of the sequence, and another scrambling of it should it ever end."""
        if dimensions == 0:
            yield [[]]
            return
        from scipy.stats import qmc

        rng = np.random.default_rng(self.seed)
        while True:
            engine = qmc.Sobol(dimensions, scramble=True, seed=rng, bits=30)
            for _ in range(2**30 // BLOCK):
                # Blocks are of one size whatever number is wanted, so that any first part of them is the same.
                yield engine.random(BLOCK).tolist()
