"""The critical batch size (McCandlish, Kaplan, Amodei & the OpenAI Dota Team 2018, An Empirical Model of Large-Batch
Training; Shallue, Lee, Antognini, Sohl-Dickstein, Frostig & Dahl 2019, Measuring the Effects of Data Parallelism on
Neural Network Training).

At the best learning rate for batch size B, the steps S to a loss follow (McCandlish et al., equation 2.11 solved for S)

    S(B) = S_min·(1 + B_crit/B)

Far below B_crit, doubling the batch halves the steps, and the best learning rate η* doubles with it; far above, neither
changes any more. B_crit grows as the loss to be reached falls, and the gradient noise scale tr Σ/‖G‖², averaged over
the steps of training, predicts its order of magnitude (equations 2.9 and D.6).

Setting: all 1,797 digits, each feature standardised; 64-32-10 relu, cross-entropy, plain gradient descent with a
constant learning rate; batches of 1, 2, 4, … 1,024 drawn with replacement; rates in steps of √2; eight starts, of which
the median counts. The loss is that over all examples, looked at whenever the steps have grown by 3 %, and the steps to
a target are interpolated between two looks. A start that diverges, or needs more steps than `budget`, needs ∞.

What differs from the papers: their networks are larger, learning rates are tuned with decay or for Adam, and
McCandlish et al. fit S(B) to the whole curve of losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.optimize

from nn import MLP, SGD, Dataset, Snapshot, gradient_noise_scale, train
from tuning.laboratory.digits import standardised_digits
from tuning.laboratory.findings import Array, Claim, log_slope
from tuning.laboratory.parallel import grid_in_threads, seeds_of

BATCH_SIZES = tuple(2**power for power in range(11))
LEARNING_RATES = tuple(2.0 ** (half / 2) for half in range(-14, 6))
# Noise scales cost ten times as much as losses, and change slowly.
LOSS_SPACING, NOISE_SPACING = 1.03, 1.25


@dataclass(frozen=True, eq=False)
class Measured:
    """Steps to each target, for all settings, and the noise of the gradient on the way there at the best rates."""

    batch_sizes: Array  # (B,)
    learning_rates: Array  # (R,) ascending
    targets: Array  # (T,) losses, falling
    steps: Array  # (B, R, T, starts); ∞ where the target was not reached
    noise: Array  # (B, T, starts) mean over the steps to the target of tr Σ/‖G‖²; NaN where it was not reached

    @property
    def median_steps(self) -> Array:
        """The median over the starts (B, R, T)."""
        return np.median(self.steps, axis=3)

    @property
    def best_steps(self) -> Array:
        """The steps (B, T) at the best rate."""
        return self.median_steps.min(axis=1)

    @property
    def best_rates(self) -> Array:
        """The best rate η* (B, T); NaN where it is the lowest or the highest, or where none gets there."""
        best = self.median_steps.argmin(axis=1)
        inside = (best > 0) & (best < len(self.learning_rates) - 1) & np.isfinite(self.best_steps)
        return np.where(inside, self.learning_rates[best], np.nan)


class LossCurve(NamedTuple):
    """One training, looked at now and then, (looks,) each: steps done, loss over all examples, gradient noise scale."""

    steps: Array
    loss: Array
    noise: Array  # NaN where it was not asked for

    def reach(self, target: float) -> float:
        """Return the steps to a loss below the target, by a straight line in log loss between two looks, or ∞.

        >>> halving = LossCurve(np.array([0, 2, 4, 6]), np.array([2.0, 1.0, 0.5, 0.25]), np.empty(0))
        >>> halving.reach(0.5 ** 0.5), halving.reach(0.1)
        (3.0, inf)
        """
        below = np.flatnonzero(self.loss < target)
        if not len(below):
            return np.inf
        first = int(below[0])
        if first == 0:
            return 0.0
        high, low = np.log(self.loss[first - 1 : first + 1])
        share = (high - np.log(target)) / (high - low)
        return float(self.steps[first - 1] + share * (self.steps[first] - self.steps[first - 1]))


def problem(examples: int | None = None, hidden_units: int = 32, seed: int = 0) -> tuple[MLP, Dataset]:
    """Return the network and the standardised digits, all of them or as many as asked for, drawn with `seed`."""
    digits = standardised_digits(examples, seed)
    return MLP((64, hidden_units, 10)).for_task(digits.task), digits


def budget(batch_size: int) -> int:
    """Return after how many steps a training is given up: about five times what the best rate needs."""
    return 100 + 12_000 // batch_size


def follow(
    model: MLP, data: Dataset, batch_size: int, learning_rate: float, seed: int, target: float, noise: bool = False
) -> LossCurve:
    """Train until the loss over all examples is below the target, or for the budget, and look at it on the way."""
    every = max(1, 16 // batch_size)
    steps = -(-budget(batch_size) // every) * every
    spacing = NOISE_SPACING if noise else LOSS_SPACING
    seen: list[tuple[int, float, float]] = []

    def look(step: int, theta: Array) -> bool:
        loss = model.loss(theta, data.X, data.targets)
        seen.append((step, loss, gradient_noise_scale(model, theta, data.X, data.targets) if noise else np.nan))
        return loss < target

    def callback(snapshot: Snapshot) -> bool:
        return snapshot.step >= spacing * seen[-1][0] and look(snapshot.step, snapshot.theta)

    start = model.init(seed)
    look(0, start)
    batches = np.random.default_rng([seed, batch_size]).integers(0, len(data), (steps, batch_size))
    train(model, data, SGD(learning_rate), indices=batches, theta=start, callback=callback, every_steps=every)
    return LossCurve(*(np.array(column) for column in zip(*seen, strict=True)))


def mean_noise(curve: LossCurve, target: float) -> float:
    """Return the mean of the noise scale over the steps to the target; NaN where it was not reached."""
    below = np.flatnonzero(curve.loss < target)
    if not len(below) or not below[0]:
        return float("nan")
    part = slice(0, int(below[0]) + 1)
    return float(np.trapezoid(curve.noise[part], curve.steps[part]) / curve.steps[part][-1])


def measure(
    seed: int = 0,
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    learning_rates: Sequence[float] = LEARNING_RATES,
    targets: Sequence[float] = (0.3, 0.2, 0.1),
    starts: int = 8,
    noise_starts: int = 2,
    examples: int | None = None,
    hidden_units: int = 32,
) -> Measured:
    """Return the steps to each target for every batch size, rate and start, and the noise at the best rates."""
    model, data = problem(examples, hidden_units, seed)
    aims = np.sort(np.array(targets, float))[::-1]
    rates = np.sort(np.array(learning_rates, float))
    seeds = seeds_of(seed, starts)

    def steps_of(size: int, rate: float, start: int) -> list[float]:
        curve = follow(model, data, size, rate, start, float(aims[-1]))
        return [curve.reach(target) for target in aims]

    def noise_of(row: int, column: int, start: int) -> float:
        target = float(aims[column])
        curve = follow(model, data, batch_sizes[row], best[row, column], start, target, noise=True)
        return mean_noise(curve, target)

    found = grid_in_threads(steps_of, batch_sizes, rates, seeds, words="steps to target")
    steps = found.swapaxes(2, 3)
    best = rates[np.median(steps, axis=3).argmin(axis=1)]
    tuned = range(len(batch_sizes)), range(len(aims)), seeds[:noise_starts]
    noise = grid_in_threads(noise_of, *tuned, words="noise scales")
    return Measured(np.array(batch_sizes), rates, aims, steps, noise)


# -- what was published ----------------------------------------------------------------------------------------


class Fit(NamedTuple):
    """S(B) = S_min·(1 + B_crit/B), and the root of the mean squared residual of ln S."""

    min_steps: float
    critical_batch: float
    residual: float

    def steps(self, batch_sizes: Array) -> Array:
        """Return S(B)."""
        return self.min_steps * (1 + self.critical_batch / batch_sizes)


def fit(batch_sizes: Array, steps: Array) -> Fit:
    """Return the least-squares fit of ln S(B) to the steps (B,); NaN where some are not finite.

    For a given B_crit the best ln S_min is a mean, so that one number is left to be searched for.

    >>> round(fit(np.array([1, 10, 100]), 5 * (1 + 30 / np.array([1, 10, 100]))).critical_batch, 4)
    30.0
    """
    if not np.isfinite(steps).all():
        return Fit(np.nan, np.nan, np.nan)

    def remainder(log_critical: float) -> Array:
        return np.log(steps) - np.log1p(np.exp(log_critical) / batch_sizes)

    limits = (np.log(batch_sizes.min()) - 5, np.log(batch_sizes.max()) + 5)
    found = scipy.optimize.minimize_scalar(lambda x: np.var(remainder(x)), bounds=limits, options={"xatol": 1e-8})
    left = remainder(found.x)
    return Fit(float(np.exp(left.mean())), float(np.exp(found.x)), float(left.std()))


def fits(measured: Measured) -> list[Fit]:
    """Return the fit of each target."""
    return [fit(measured.batch_sizes, steps) for steps in measured.best_steps.T]


def noise_scales(measured: Measured) -> Array:
    """Return the noise scale of each target (T,): the geometric mean over batch sizes and starts."""
    return np.exp(np.log(measured.noise).mean(axis=(0, 2)))


def claims(measured: Measured, linear_up_to: int = 32, flat_from: int = 256) -> list[Claim]:
    """Hold the measurement against both papers.

    The residual of the logarithm may be 0.12, the slope where η* ∝ B may be off by 0.1, and the noise scale by a factor
    of 5. Where η* is flat, the slope may be off by 0.3: one step of the ladder of rates over two doublings is 0.25.
    B_crit at the last target is to be 1.5 to 4 times that at the first.
    """
    curves, scales = fits(measured), noise_scales(measured)
    sizes = measured.batch_sizes
    low, high = sizes <= linear_up_to, sizes >= flat_from
    table = []
    for index, (target, curve) in enumerate(zip(measured.targets, curves, strict=True)):
        case, best = f"loss {target:g}", measured.best_rates[:, index]
        rising, flat = log_slope(sizes[low], best[low]), log_slope(sizes[high], best[high])
        table += [
            Claim(f"{case}: residual of ln S from S_min(1 + B_crit/B)", "0", curve.residual, high=0.12),
            Claim(f"{case}: slope of ln η* on ln B, B ≤ {linear_up_to}", "1", rising, 0.9, 1.1),
            Claim(f"{case}: slope of ln η* on ln B, B ≥ {flat_from}", "0", flat, -0.3, 0.3),
            Claim(f"{case}: gradient noise scale / B_crit", "1", scales[index] / curve.critical_batch, 0.2, 5.0),
        ]
    growth = curves[-1].critical_batch / curves[0].critical_batch
    ends = f"B_crit at loss {measured.targets[-1]:g} / at {measured.targets[0]:g}"
    return [*table, Claim(ends, "> 1", growth, 1.5, 4.0)]
