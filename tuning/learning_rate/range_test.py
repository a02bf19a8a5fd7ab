"""The learning rate of one's own network: range test, range to search, stability limit, interval of the best rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn import checks
from nn.checks import integer, real
from tuning.analysis import BestRate
from tuning.learning_rate.trainings import checked_optimizer, checked_seeds, part_of, train_with_rates

if TYPE_CHECKING:
    from nn.data import Dataset, Split
    from nn.model import MLP
    from nn.optimizers import Optimizer
    from tuning.study import Study

Array = NDArray[np.float64]

LOW, HIGH, STEPS, SEEDS = 1e-6, 10.0, 200, 5
SMOOTHING_DECADES = 0.1
"""The reach of the smoothing of a range test, in decades of the learning rate."""
SLOPE_DECADES = 0.5
"""The width over which the slope of the smoothed curve is taken."""
END_FACTOR = 4.0
"""A seed's curve ends where its smoothed loss is above this multiple of its start, or is no number."""
USEFUL_FALL = 0.02
"""Rates below the one where the loss has made this part of its fall are not worth searching."""
LEAST_FALL = 0.1
"""A test whose loss fell by less than this part, and still falls at its end, has not met the rates that matter."""
BELOW_EDGE = 10.0
"""The factor by which the rate of a training should be below the edge, in plain SGD."""

RULES = """\
minimum      the rate at which the smoothed loss, its median over the seeds, is lowest
steepest     the rate, up to the minimum, at which it falls fastest per decade
edge         the last rate at which it is not above its start
suggestion   a tenth of the edge, times 1 - momentum (beta1 for Adam): what moves theta is rate / (1 - momentum); none
             where the loss fell by less than 10 % and was still falling at the end of the test
search       from a tenth of the rate at which 2 % of the fall to the minimum is made, or from the suggestion if that is
             lower, to the rate at which half of the seeds have ended (above 4 times their start, or not finite), or to
             the end of the test"""


@dataclass(frozen=True, eq=False)
class RangeTest:
    """The curves of a range test, and the learning rates that follow from them by `RULES`.

    Attributes:
        rates (array (S,)): Learning rates that rise by equal factors.
        losses, smoothed (array (seeds, S)): The loss of each mini-batch before the update with that rate, and its
            running mean; both are infinite from where a seed diverged.
        seeds, optimizer, batch_size, momentum: The conditions of the test.
    """

    rates: Array
    losses: Array
    smoothed: Array
    seeds: tuple[int, ...]
    optimizer: str
    batch_size: int | str
    momentum: float = 0.0

    @property
    def middle(self) -> Array:
        """The median over the seeds (S,); infinite where at least half of them have ended."""
        return self._quantile(0.5)

    @property
    def band_low(self) -> Array:
        """The quantile 0.1 over the seeds (S,)."""
        return self._quantile(0.1)

    @property
    def band_high(self) -> Array:
        """The quantile 0.9 over the seeds (S,)."""
        return self._quantile(0.9)

    @property
    def ended(self) -> int:
        """The number of seeds that diverged within the range."""
        return int(np.isinf(self.smoothed[:, -1]).sum())

    @property
    def end(self) -> float | None:
        """The rate at which at least half of the seeds had diverged; None where the range ends before."""
        beyond = np.isinf(self.middle)
        return float(self.rates[beyond.argmax()]) if beyond.any() else None

    @property
    def minimum(self) -> float | None:
        """The rate at which the median is lowest; None where that is its start."""
        lowest = self._lowest()
        return None if lowest is None else float(self.rates[lowest])

    @property
    def steepest(self) -> float | None:
        """The rate, up to the minimum, at which the median falls fastest per decade."""
        lowest = self._lowest()
        if lowest is None:
            return None
        middle, decades = self.middle[: lowest + 1], np.log10(self.rates[: lowest + 1])
        reach = max(1, round(SLOPE_DECADES / 2 / float(decades[1] - decades[0])))
        before, after = np.maximum(np.arange(lowest + 1) - reach, 0), np.minimum(np.arange(lowest + 1) + reach, lowest)
        slope = (middle[after] - middle[before]) / (decades[after] - decades[before])
        return float(self.rates[int(slope.argmin())])

    @property
    def edge(self) -> float | None:
        """The last rate at which the median is not above its start, or the last of the test."""
        if self._lowest() is None:
            return None
        return float(self.rates[np.flatnonzero(self.middle <= self.middle[0])[-1]])

    @property
    def still_falling(self) -> bool:
        """True where the loss was lowest at the end of the test, after a fall of less than LEAST_FALL of its start."""
        lowest = self._lowest()
        if lowest is None or self.rates[lowest] < self.rates[-1] / 10**SMOOTHING_DECADES:
            return False
        return bool(self.middle[lowest] > (1 - LEAST_FALL) * self.middle[0])

    @property
    def suggestion(self) -> float | None:
        """A rate to train with: a tenth of the edge, times 1 − momentum; None where the loss is `still_falling`.

        Where training stops to work is seen within a few steps, whatever the data; the minimum of a loss that hardly
        moves within the test is anywhere. With momentum β a lasting gradient moves θ by η/(1 − β).
        `tuning.laboratory.range_test` measures how far off this is.
        """
        return None if self.still_falling else self._below_edge()

    def _below_edge(self) -> float | None:
        return None if self.edge is None else self.edge * (1 - self.momentum) / BELOW_EDGE

    @property
    def search_range(self) -> tuple[float, float] | None:
        """The range (low, high) in which a search will find the best rate; None where the loss never fell."""
        lowest, suggestion = self._lowest(), self._below_edge()
        if lowest is None or suggestion is None:
            return None
        middle = self.middle[: lowest + 1]
        fallen = (middle[0] - middle) >= USEFUL_FALL * (middle[0] - middle[lowest])
        low = min(float(self.rates[fallen.argmax()]) / 10, suggestion)
        return low, float(self.rates[-1]) if self.end is None else self.end

    def _lowest(self) -> int | None:
        middle = self.middle
        lowest = int(middle.argmin())
        return lowest if lowest > 0 and middle[lowest] < middle[0] else None

    def _quantile(self, q: float) -> Array:
        # The higher of two order statistics: between a number and infinity nothing can be interpolated.
        result: Array = np.quantile(self.smoothed, q, axis=0, method="higher")
        return result


def range_test(
    model: MLP,
    data: Split | Dataset,
    optimizer: Optimizer | None = None,
    *,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    batch_size: int | str | None = None,
    seeds: int | Sequence[int] = SEEDS,
    theta: ArrayLike | None = None,
) -> RangeTest:
    """Train with a learning rate that rises by equal factors from `low` to `high`, and watch the loss (Smith 2017).

        η_i = low · (high/low)^(i/(steps − 1))
        s_i = β s_{i−1} + (1 − β) ℓ_i,    r_i = β r_{i−1} + (1 − β) k_i,    smoothed_i = s_i / r_i · mean of all k

    ℓ_i is the loss of mini-batch i at the parameters before the update with η_i, and k_i that of the same mini-batch at
    the parameters of the start: dividing by it removes most of what makes one batch harder than another, so that the
    curve is flat where the rate is too low. It stays between the lowest and the highest of these losses. β is such that
    the means reach 0.1 decades back.

    Args:
        model, data, optimizer, batch_size, theta: As for `nn.train`. Of a split the training part is used. The
            optimizer's own learning rate does not matter.
        low, high: The first and the last learning rate.
        steps: Mini-batches, at least 10.
        seeds: The seeds, or their number from 0 on: each draws its own initial parameters and batches.

    Returns:
        A seed that diverges is a result: its curve ends there.

    Raises:
        ValueError, TypeError: For what does not fit, before any work starts.

    >>> from nn import MLP, load_dataset
    >>> test = range_test(MLP((4, 16, 3)), load_dataset("iris").split(), batch_size=16)
    >>> 0.01 < test.suggestion < 10
    True
    """
    low, high = real("low", low, above=0.0), real("high", high, above=0.0)
    if not low < high:
        raise ValueError(f"low must be below high, but got low={low:g}, high={high:g}")
    steps = integer("steps", steps, 10)
    chosen = checked_seeds(seeds)
    rates = _ramp(low, high, steps)
    losses, at_start = np.full((2, len(chosen), steps), np.inf)
    for i, seed in enumerate(chosen):
        for rows, each in ((losses, rates), (at_start, np.zeros(steps))):
            found = train_with_rates(model, data, optimizer, each, batch_size, seed, theta).history.step_loss
            assert found is not None
            rows[i, : len(found)] = found
    reach = SMOOTHING_DECADES * (steps - 1) / math.log10(high / low)
    smoothed = np.array([_smoothed(row, still, reach) for row, still in zip(losses, at_start, strict=True)])
    ended = np.isinf(smoothed)
    size, how = checks.batch_size(batch_size, len(part_of(data))), checked_optimizer(optimizer)
    return RangeTest(rates, np.where(ended, np.inf, losses), smoothed, chosen, _words(how), size, how.inertia)


def suggest_range(
    objective: Any, settings: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (), *, seed: int = 0, seeds: int = 3
) -> tuple[float, float]:
    """Return the range of learning rates that is worth searching for all these settings.

    Args:
        objective: Gives the training part of its first split, and builds model, optimizer and batch size of a setting.
        settings: The settings; the defaults alone unless given. A learning rate or schedule in them is ignored.
        seed, seeds: The seeds `seed` … `seed + seeds − 1` are tested.

    Returns:
        low, high: The smallest range that has every setting's `RangeTest.search_range` in it, rounded outwards to two
            digits: the same for the same data, settings and seeds.

    Raises:
        ValueError: Where the loss falls at no rate for any of the settings, and where building raises it.
    """
    seed, seeds = integer("seed", seed, 0), integer("seeds", seeds, 1)
    several = [settings] if isinstance(settings, Mapping) else list(settings) or [{}]
    ranges = []
    for setting in several:
        kept = {k: v for k, v in setting.items() if k != "learning_rate" and not k.startswith("schedule")}
        model, optimizer, batch_size, _ = objective.build(kept)
        test = range_test(model, objective.splits[0], optimizer, batch_size=batch_size, seeds=range(seed, seed + seeds))
        if test.search_range is not None:
            ranges.append(test.search_range)
    if not ranges:
        raise ValueError(
            f"learning_rate=auto must find a rate between {LOW:g} and {HIGH:g} at which the loss falls, but there is "
            "none; give a range such as 1e-3:1:log"
        )
    return _rounded(min(low for low, _ in ranges), math.floor), _rounded(max(high for _, high in ranges), math.ceil)


def learning_rate_interval(study: Study) -> BestRate:
    """Return the best learning rate of a study with its interval.

    Over all settings; `study.analysis().learning_rates` has one for each batch size and hidden units. Raises ValueError
    where no ranked setting has a learning rate.
    """
    found = study.best_rates(by=())
    if not found:
        raise ValueError("a study must have a ranked setting with a learning_rate, but has none")
    return found[0]


def _ramp(low: float, high: float, steps: int) -> Array:
    from nn.schedules import Ramp

    return Ramp(low, steps=steps, final=high)(np.arange(steps))


def _smoothed(losses: Array, at_start: Array, reach: float) -> Array:
    """Return the smoothed curve (S,) of `range_test`, infinite from where it passes `END_FACTOR` times its start."""
    beta = math.exp(-1 / max(reach, 1e-9))
    start, least, most = float(at_start.mean()), min(losses.min(), at_start.min()), at_start.max()
    now, before, result = 0.0, 0.0, np.full(len(losses), np.inf)
    for i, (loss, still) in enumerate(zip(losses.tolist(), at_start.tolist(), strict=True)):
        now, before, most = beta * now + (1 - beta) * loss, beta * before + (1 - beta) * still, max(most, loss)
        value = start * now / before if before > 0 else now / (1 - beta ** (i + 1))
        if not value <= END_FACTOR * start:
            break
        result[i] = min(max(value, least), most)
    return result


def _words(optimizer: Optimizer) -> str:
    """Return the optimizer without its learning rate, which does not matter here."""
    words = repr(replace(optimizer, learning_rate=1.0))
    return words.replace("learning_rate=1.0, ", "").replace("(learning_rate=1.0)", "")


def _rounded(number: float, to: Any) -> float:
    """Return a number rounded down or up to two digits."""
    power = math.floor(math.log10(number)) - 1
    return float(f"{to(round(number / 10.0**power, 9))}e{power}")
