"""The limits that end a study before its last setting, and how many trials are planned under them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nn.checks import integer, real
from tuning.methods import Sampler, least
from tuning.space import Space
from tuning.store import PRUNED, Definition

SAME = "same"
"""The value that leaves a limit as it is when a study is resumed."""


@dataclass(frozen=True)
class Limits:
    """The limits of a study; None: no limit. Raises ValueError for a number that can be none.

    `n_trials` are trainings, with every repeat and fold counted; `timeout` is in seconds, for one call; `target` is a
    value of the metric that the mean of a setting must reach; `total_epochs` are those of all trials together.
    """

    n_trials: int | None = None
    timeout: float | None = None
    target: float | None = None
    total_epochs: int | None = None

    def __post_init__(self) -> None:
        for name in ("n_trials", "total_epochs"):
            self._check(name, integer, low=1)
        self._check("timeout", real, above=0.0)
        self._check("target", real)

    def _check(self, name: str, check: Callable[..., float], **bounds: float) -> None:
        if (value := getattr(self, name)) is not None:
            object.__setattr__(self, name, check(name, value, **bounds))

    def settings(self, per_setting: int) -> int | None:
        """Return how many settings of so many trials `n_trials` are; None without such a limit."""
        return None if self.n_trials is None else self.n_trials // per_setting

    def check_one_setting(self, epochs: int, per_setting: int) -> None:
        """Raise ValueError unless one setting, of so many trials with so many epochs each, fits into the limits."""
        if self.n_trials is not None and self.n_trials < per_setting:
            raise ValueError(
                f"n_trials must be at least the {per_setting:,} repeats and folds of one setting, "
                f"but got {self.n_trials:,}"
            )
        if self.total_epochs is not None and self.total_epochs < epochs * per_setting:
            raise ValueError(
                f"total_epochs must be at least the {epochs * per_setting:,} that all trials of one setting take, "
                f"but got {self.total_epochs:,}"
            )

    def check_end(self, sampler: Sampler, space: Space, method: str) -> None:
        """Raise ValueError for a study that would go on for ever."""
        ends = (self.timeout, self.target, self.total_epochs)
        if sampler.endless(space) and all(end is None for end in ends):
            raise ValueError(
                f"method {method} over a continuous range must have an end, but got none; give n_trials=100"
            )

    def planned_trials(self, sampler: Sampler, space: Space, definition: Definition) -> int | None:
        """Return how many trials the whole study has; None where it ends by time or target only."""
        settings, per_setting = sampler.count(space, definition.epochs), definition.trials_per_setting
        if self.total_epochs is not None and not sampler.budgets:
            settings = least(settings, self.total_epochs // definition.epochs // per_setting)
        return None if settings is None else settings * per_setting

    def planned_epochs(self, sampler: Sampler, space: Space, definition: Definition) -> int | None:
        """Return how many epochs the whole study takes at most; None where that is not known before."""
        planned = sampler.planned_epochs(space, definition.epochs)
        return least(planned and planned * definition.trials_per_setting, self.total_epochs)


def work_of(done: Mapping[str, tuple[int, int]], epochs: int) -> dict[str, int]:
    """Return the epochs that were trained, and those of the same trials had none been pruned.

    `done` has the number of trials and their epochs for each state.

    >>> work_of({"completed": (9, 180), "pruned": (72, 243)}, epochs=20)
    {'epochs': 423, 'full_epochs': 1620}
    """
    trained = sum(each for _, each in done.values())
    count, given = done.get(PRUNED, (0, 0))
    return {"epochs": trained, "full_epochs": trained + count * epochs - given}
