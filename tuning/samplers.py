"""Methods of search: each turns a space into a stream of settings, the same one every time.

A sampler yields its settings in rounds. A grid or a random search is one round; a method that learns from what it has
seen is a generator of several. A stream depends on the sampler's own fields and the space alone, never on how fast
trials come back, so that a study which is run again meets the same settings in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from nn._checks import integer, unknown_name
from tuning.space import Space
from tuning.values import Setting


@dataclass(frozen=True)
class Sampler:
    """What all methods share.

    Parameters
    ----------
    n_settings : int, optional
        At most so many settings.
    points : int
        Grid points along each continuous range.
    seed : int
        Of whatever the method draws.
    """

    n_settings: int | None = None
    points: int = 7
    seed: int = 0

    def rounds(self, space: Space) -> Iterator[Iterator[Setting]]:
        """Yield rounds of settings; no setting comes twice."""
        raise NotImplementedError

    def count(self, space: Space) -> int | None:
        """Return how many settings `rounds` will yield; None where there is no end."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """The fields that change which settings come, as a study file keeps them; a limit only cuts the stream."""
        raise NotImplementedError


@dataclass(frozen=True)
class Grid(Sampler):
    """Every combination, the last parameter changing fastest.

    >>> list(next(Grid(points=2).rounds(Space({"learning_rate": "0.01:1:log", "batch_size": [16, 32]}))))[:2]
    [{'learning_rate': 0.01, 'batch_size': 16}, {'learning_rate': 0.01, 'batch_size': 32}]
    """

    def rounds(self, space: Space) -> Iterator[Iterator[Setting]]:
        """Yield the grid as one round."""
        yield islice(space.grid(self.points), self.n_settings)

    def count(self, space: Space) -> int | None:
        """Return the number of combinations, or `n_settings` where that is less."""
        return _least(space.grid_size(self.points), self.n_settings)

    def options(self) -> dict[str, Any]:
        """Return the points along each axis."""
        return {"points": self.points}


@dataclass(frozen=True)
class Random(Sampler):
    """Independent draws from the space; a setting that comes again is left out, until all have come.

    >>> len(list(next(Random().rounds(Space({"batch_size": [16, 32, 64]})))))
    3
    """

    def rounds(self, space: Space) -> Iterator[Iterator[Setting]]:
        """Yield the draws as one round."""
        yield islice(self._draws(space), self.n_settings)

    def _draws(self, space: Space) -> Iterator[Setting]:
        rng = np.random.default_rng(self.seed)
        dimensions, size = space.dimensions, space.size
        if size is None:
            # With a continuous range, a repetition has probability 0.
            while True:
                for u in rng.random((256, dimensions)).tolist():
                    yield space.at(u)
        seen: set[tuple[Any, ...]] = set()
        while len(seen) < size:
            for u in rng.random((256, dimensions)).tolist():
                setting = space.at(u)
                key = tuple(setting.values())
                if key not in seen:
                    seen.add(key)
                    yield setting

    def count(self, space: Space) -> int | None:
        """Return `n_settings`, or the number of all settings where that is less."""
        return _least(space.size, self.n_settings)

    def options(self) -> dict[str, Any]:
        """Return nothing: the study's seed is all that matters."""
        return {}


SAMPLERS: dict[str, type[Sampler]] = {"grid": Grid, "random": Random}
"""The methods by name: what `method=` and `--method` may be."""


def make_sampler(method: Any, n_settings: int | None, points: Any, seed: int) -> Sampler:
    """Return the sampler that `method` names, or raise with the nearest name."""
    if not isinstance(method, str) or method not in SAMPLERS:
        raise unknown_name("method", method, SAMPLERS)
    return SAMPLERS[method](n_settings, integer("points", points, 1, 1_000_000), seed)


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)
