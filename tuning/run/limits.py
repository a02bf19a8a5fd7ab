"""What ends a study before its last setting, and whether anything does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nn.checks import integer, real
from tuning.methods import Sampler
from tuning.run.runner import Limits
from tuning.space import Space
from tuning.store import PRUNED

if TYPE_CHECKING:
    from tuning.run.rounds import Plan

SAME = "same"
"""Of a limit of a study that is resumed: it stays as it is."""


def check_timeout(timeout: Any) -> float | None:
    """Return a timeout in seconds, or None."""
    return None if timeout is None else real("timeout", timeout, above=0.0)


def check_n_trials(n_trials: Any, per_setting: int) -> int | None:
    """Return a number of trials that is enough for one setting, or None."""
    if n_trials is None:
        return None
    number = integer("n_trials", n_trials, 1)
    if number < per_setting:
        raise ValueError(
            f"n_trials must be at least the {per_setting:,} repeats and folds of one setting, but got {number:,}"
        )
    return number


def check_total_epochs(total_epochs: Any, plan: Plan) -> int | None:
    """Return a number of epochs for all trials that lets one setting be trained, or None."""
    if total_epochs is None:
        return None
    number = integer("total_epochs", total_epochs, 1)
    least = plan.epochs * len(plan.parts())
    if number < least:
        raise ValueError(
            f"total_epochs must be at least the {least:,} that all trials of one setting take, but got {number:,}"
        )
    return number


def check_end(sampler: Sampler, space: Space, method: str, limits: Limits) -> None:
    """Raise ValueError for a study that would go on for ever."""
    ends = (limits.timeout, limits.target, limits.total_epochs)
    if sampler.endless(space) and all(end is None for end in ends):
        raise ValueError(
            f"method {method} over a continuous range must have an end, but n_trials is None; give n_trials=100"
        )


def work_of(done: Mapping[str, tuple[int, int]], epochs: int) -> dict[str, int]:
    """Return the epochs that were trained, and those of the same trials had none been pruned.

    `done` has the number of trials and their epochs for each state.

    >>> work_of({"completed": (9, 180), "pruned": (72, 243)}, epochs=20)
    {'epochs': 423, 'full_epochs': 1620}
    """
    trained = sum(each for _, each in done.values())
    count, given = done.get(PRUNED, (0, 0))
    return {"epochs": trained, "full_epochs": trained + count * epochs - given}
