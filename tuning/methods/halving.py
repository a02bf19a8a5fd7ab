"""Successive halving and Hyperband: epochs are given to the settings that earn them.

All settings of a bracket train for a few epochs; the best 1/eta of them go on to eta times as many, and so on up to the
full number. A setting that goes on continues from its state and is never started anew, with its schedule laid out for
the full number from the first step, so that its curve is, bit for bit, what it is when the setting is trained alone.
Only settings of one rung, all with the same number of epochs, are compared; one that diverged in any repeat or fold is
never promoted. Settings that are not promoted are pruned: their trials are over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tuning.methods.samplers import Proposal, Random, Rounds, Sampler, Score, least, option
from tuning.space import Setting, Space


@dataclass(frozen=True)
class _Rungs(Sampler):
    """Rungs of growing budgets, for halving and Hyperband.

    Here `n_settings` is no limit but the size of the field: with more settings, others would be promoted.
    """

    eta: int = option(3, "one setting in so many goes on", low=2, high=1000)
    min_epochs: int = option(1, "the least epochs of a setting", low=1)

    learns = True
    budgets = True

    def check(self, epochs: int) -> None:
        """Raise ValueError where there is no room for two rungs."""
        if epochs < self.eta * self.min_epochs:
            raise ValueError(
                f"epochs must be at least eta * min_epochs = {self.eta * self.min_epochs:,} for settings to be pruned, "
                f"but got {epochs:,}"
            )

    def options(self) -> dict[str, Any]:
        """Return the options, with the size of the field."""
        return {**super().options(), "n_settings": self.n_settings}

    def rungs(self, settings: int, epochs: int, most: float = math.inf) -> list[int]:
        """Return the epochs of each rung, the last being all.

        They are ⌈epochs/eta^k⌉ for k = …, 2, 1, 0, for as long as that is not below `min_epochs` and eta^k is not above
        the number of settings, so that one at least reaches the last rung.

        >>> Halving().rungs(81, 27), Halving().rungs(81, 20), Halving().rungs(5, 27)
        ([1, 3, 9, 27], [3, 7, 20], [9, 27])
        """
        k, largest = 0, min(settings, epochs // self.min_epochs)
        while k < most and self.eta ** (k + 1) <= largest:
            k += 1
        return [-(-epochs // self.eta**i) for i in range(k, -1, -1)]

    def bracket(self, field: list[tuple[int, Setting]], rungs: list[int]) -> Rounds:
        """Yield the rungs of one bracket, each with the settings that were best in the one before."""
        for i, epochs in enumerate(rungs):
            scores = yield [Proposal(place, setting, epochs) for place, setting in field]
            if i + 1 < len(rungs):
                field = self.promoted(field, scores)
                if not field:
                    return

    def promoted(self, field: list[tuple[int, Setting]], scores: Any) -> list[tuple[int, Setting]]:
        """Return the best 1/eta of a rung, one at least, in the order of their places; none that is not usable."""
        ranked: list[tuple[Score, tuple[int, Setting]]] = sorted(
            zip(scores, field, strict=True), key=lambda pair: (*(-part for part in pair[0].order), pair[1][0])
        )
        best = [entry for score, entry in ranked[: max(1, len(field) // self.eta)] if score.usable]
        return sorted(best, key=lambda entry: entry[0])

    def bracket_epochs(self, settings: int, rungs: list[int]) -> int:
        """Return the epochs that a bracket takes with one trial of each setting."""
        total = before = 0
        for epochs in rungs:
            total += settings * (epochs - before)
            before, settings = epochs, max(1, settings // self.eta)
        return total


@dataclass(frozen=True)
class Halving(_Rungs):
    """Successive halving (Jamieson & Talwalkar 2016) on the grid, or on `n_settings` random settings."""

    points: int = option(7, "grid points along each range", low=1, high=1_000_000)

    def rounds(self, space: Space, epochs: int) -> Rounds:
        """Yield the rungs."""
        settings = (
            space.grid(self.points)
            if self.n_settings is None
            else islice(Random(seed=self.seed).settings(space), self.n_settings)
        )
        field = list(enumerate(settings))
        yield from self.bracket(field, self.rungs(len(field), epochs))

    def count(self, space: Space, epochs: int) -> int | None:
        """Return the number of settings that the first rung has."""
        return space.grid_size(self.points) if self.n_settings is None else least(self.n_settings, space.size)

    def planned_epochs(self, space: Space, epochs: int) -> int | None:
        """Return the epochs of all rungs."""
        settings = self.count(space, epochs)
        assert settings is not None
        return self.bracket_epochs(settings, self.rungs(settings, epochs))


@dataclass(frozen=True)
class Hyperband(_Rungs):
    """Hyperband (Li et al. 2018): brackets of successive halving, from many settings with few epochs to few with all.

    Settings are random. With k + 1 rungs possible, bracket s = k, …, 1, 0 starts ⌈(k + 1)/(s + 1) · eta^s⌉ settings at
    ⌈epochs/eta^s⌉ epochs. `n_settings` goes through the brackets until so many have started; once through unless given.
    """

    def brackets(self, space: Space, epochs: int) -> Iterator[tuple[int, list[int]]]:
        """Yield how many settings each bracket starts, and its rungs.

        >>> list(Hyperband().brackets(Space({"learning_rate": "1e-3:1:log"}), 9))
        [(9, [1, 3, 9]), (5, [3, 9]), (3, [9])]
        """
        k = len(self.rungs(epochs, epochs)) - 1
        left = least(space.size, self.n_settings)
        while True:
            for s in range(k, -1, -1):
                settings = -(-(k + 1) * self.eta**s // (s + 1))
                settings = settings if left is None else min(settings, left)
                if settings == 0:
                    return
                yield settings, self.rungs(settings, epochs, s)
                left = None if left is None else left - settings
            if self.n_settings is None:
                return

    def rounds(self, space: Space, epochs: int) -> Rounds:
        """Yield the rungs of one bracket after another."""
        stream = enumerate(Random(seed=self.seed).settings(space))
        for settings, rungs in self.brackets(space, epochs):
            yield from self.bracket(list(islice(stream, settings)), rungs)

    def count(self, space: Space, epochs: int) -> int | None:
        """Return the number of settings that all brackets start."""
        return sum(settings for settings, _ in self.brackets(space, epochs))

    def planned_epochs(self, space: Space, epochs: int) -> int | None:
        """Return the epochs of all rungs of all brackets."""
        return sum(self.bracket_epochs(*bracket) for bracket in self.brackets(space, epochs))
