"""The largest learning rate at which training is stable, by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nn import checks
from nn.checks import integer, real
from tuning.learning_rate.trainings import checked_optimizer, checked_seeds, part_of, train_with_rates

if TYPE_CHECKING:
    from nn.data import Dataset, Split
    from nn.model import MLP
    from nn.optimizers import Optimizer

LOWEST, HIGHEST = 1e-9, 1e6
"""Rates between which a limit is looked for."""
STRIDE = 4.0
"""The factor from one rate to the next until a stable and an unstable one are known."""
CONFIDENCE = 0.95
WIDEST = 10.0
"""An interval whose ends are further apart than by this factor tells nothing: stability comes and goes."""
IDLE = 0.9
"""Where this part of the start's loss is left below the limit, the network that does not blow up does not learn."""


@dataclass(frozen=True)
class StabilityLimit:
    """The largest stable learning rate: over the seeds, and for each.

    Attributes:
        limit: The geometric mean over the seeds.
        interval (float, float) or None: The 95 % interval of that mean, by Student's t on the logarithms. None with one
            seed, or where a limit is 0 or infinite: unstable at `LOWEST` already, or stable at `HIGHEST` still.
        limits: The limit for each of the `seeds`, correct to the factor 1 + `tolerance`, for trainings of `steps`
            steps.
        left: For each of the seeds, the part of the start's loss that is left at the end of the training just below the
            limit; NaN where the limit is 0.
    """

    limit: float
    interval: tuple[float, float] | None
    limits: tuple[float, ...]
    seeds: tuple[int, ...]
    batch_size: int | str
    steps: int
    tolerance: float
    left: tuple[float, ...] = ()

    @property
    def doubt(self) -> str:
        """Why the limit can't be told, or is none to train by; "" where nothing speaks against it."""
        seeds, least, most = len(self.seeds), min(self.limits), max(self.limits)
        outside, idle = sum(not 0 < limit < math.inf for limit in self.limits), sum(part > IDLE for part in self.left)
        if outside:
            return f"{outside} of {seeds} seeds have no limit between {LOWEST:g} and {HIGHEST:g}"
        if self.interval is not None and self.interval[1] > WIDEST * self.interval[0]:
            return f"stability comes and goes, the limits of {seeds} seeds lie between {least:.4g} and {most:.4g}"
        if 2 * idle > seeds:
            return f"below it {idle} of {seeds} seeds keep over {IDLE:.0%} of their loss: stable, but not learning"
        return ""

    def __str__(self) -> str:
        """Return the limit in one line, with what speaks against it."""
        if math.isinf(self.limit):
            return f"stability limit: none was met, in {self.steps} steps"
        span = "" if self.interval is None else f", 95 % interval {self.interval[0]:.4g} to {self.interval[1]:.4g}"
        line = f"stability limit: {self.limit:.4g}{span} ({len(self.seeds)} seeds, {self.steps} steps)"
        return f"{line}; can't tell: {self.doubt}" if self.doubt else line


def stability_limit(
    model: MLP,
    data: Split | Dataset,
    optimizer: Optimizer | None = None,
    *,
    batch_size: int | str | None = None,
    steps: int = 500,
    seeds: int | Sequence[int] = 5,
    tolerance: float = 0.005,
    theta: ArrayLike | None = None,
) -> StabilityLimit:
    """Return the largest learning rate at which training does not blow up, with an interval over seeds.

    A rate is unstable if, within `steps` steps at this constant rate, training diverges as `nn.train` says, or its last
    tenth has a mean loss above the start: the loss of the first mini-batch, or of outputs that are all zero where that
    is larger. From the optimizer's own rate, it goes up or down by the factor 4 until a stable and an unstable rate are
    known, and then bisects their logarithms. Should stability come and go, the limit is one of its edges, and the
    result's `doubt` says so, as it does of a network that no rate blows up because its units have died.

    Args:
        model, data, optimizer, batch_size, theta: As for `nn.train`. Of a split the training part is used.
        steps: The length of each training, at least 10.
        seeds: The seeds, or their number from 0 on.
        tolerance: Each limit is correct to the factor 1 + `tolerance`.

    Raises:
        ValueError, TypeError: For what does not fit, before any work starts.

    Full-batch gradient descent on a quadratic is stable up to 2/λ, with λ the sharpness (LeCun et al. 1998):

    >>> from nn import MLP, SGD, Dataset
    >>> model, data = MLP((1, 1), bias=False, dtype="float64"), Dataset([[2.0], [2.0]], [0.5, 1.0], "regression")
    >>> abs(stability_limit(model, data, SGD(0.1), batch_size="full", seeds=1).limit - 2 / 4) < 0.005
    True
    """
    steps = integer("steps", steps, 10)
    tolerance = real("tolerance", tolerance, 1e-6, 1.0)
    chosen = checked_seeds(seeds)
    size = checks.batch_size(batch_size, len(part_of(data)))
    first = checked_optimizer(optimizer)

    def is_stable(ends: dict[float, float], seed: int, rate: float) -> bool:
        changed = replace(first, learning_rate=rate)
        run = train_with_rates(model, data, changed, np.full(steps, rate), size, seed, theta)
        losses, start = run.history.step_loss, run.state.start_loss
        assert losses is not None
        last = float(losses[-steps // 10 :].mean())
        stable = run.status != "diverged" and last <= start
        if stable:
            ends[rate] = last / start if start > 0 else 0.0
        return stable

    limits, left = [], []
    for seed in chosen:
        ends: dict[float, float] = {}  # the part of the loss that is left, at each stable rate
        limits.append(_limit(partial(is_stable, ends, seed), first.learning_rate, tolerance))
        left.append(ends[max(rate for rate in ends if rate <= limits[-1])] if limits[-1] else math.nan)
    limit, interval = _over_seeds(tuple(limits))
    return StabilityLimit(limit, interval, tuple(limits), chosen, size, steps, tolerance, tuple(left))


def _limit(is_stable: Callable[[float], bool], start: float, tolerance: float) -> float:
    """Return the edge between stable and unstable rates; 0 or infinity where there is none within the bounds."""
    low = high = min(max(start, LOWEST), HIGHEST)
    if is_stable(low):
        while low == high or is_stable(high):
            if high >= HIGHEST:
                return math.inf
            low, high = high, min(high * STRIDE, HIGHEST)
    else:
        while low == high or not is_stable(low):
            if low <= LOWEST:
                return 0.0
            low, high = max(low / STRIDE, LOWEST), low
    while high / low > 1 + tolerance:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if is_stable(middle) else (low, middle)
    return math.sqrt(low * high)


def _over_seeds(limits: tuple[float, ...]) -> tuple[float, tuple[float, float] | None]:
    """Return the geometric mean, and its interval by Student's t."""
    if not all(0 < limit < math.inf for limit in limits):
        return sorted(limits)[len(limits) // 2], None
    logs = np.log(limits)
    mean = float(logs.mean())
    if len(limits) == 1:
        return math.exp(mean), None
    from scipy.special import stdtrit

    reach = float(stdtrit(len(limits) - 1, (1 + CONFIDENCE) / 2) * logs.std(ddof=1) / math.sqrt(len(limits)))
    return math.exp(mean), (math.exp(mean - reach), math.exp(mean + reach))
