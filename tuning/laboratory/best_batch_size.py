"""The best batch size grows with the learning rate (Smith & Le 2018, A Bayesian Perspective on Generalization and
Stochastic Gradient Descent).

After a fixed number of updates there is a batch size B that generalises best: smaller batches are too noisy, larger
ones not noisy enough to keep out of sharp minima. The scale of the noise is (equations 15 and 17)

    g = η·(N/B − 1)/(1 − β)  ≈  η·N/(B·(1 − β))

with learning rate η, momentum β and N examples. The best g is a property of the problem, so that the best B is
proportional to η: double one and the other doubles.

Setting: standardised digits; 1,400 to train on, 397 to judge by; 64-32-10 relu or tanh, cross-entropy, β = 0.9, 8,000
updates whatever the batch size; η = 0.02, 0.04, 0.08, 0.16; batches of 1, 2, 4, … 128 drawn with replacement; mean
accuracy over repeats, each with examples, start and batches of its own. Divergence counts as guessing.

What differs from the paper: its network has 800 hidden units and sees clean MNIST labels. Clean digits are too easy
here: once a batch is large enough, accuracies are the same to a fraction of a per cent. So 40 % of the training labels,
not those that judge, are replaced by random ones, which large batches learn by heart.

What does not reproduce: the round curves, with relu. Its best batch is the smallest that does not destroy the network
(by dead units or divergence), so proportionality is as much a law of stability here as of generalisation. With tanh,
they are round, and so flat at the top that the best batch is known to a step of the grid at most: of 24 repeats drawn
anew from the same 24, nine in ten have a slope from 0.6 to 1, and of eight repeats some have 0.6 and some 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nn import MLP, SGD, Dataset, train
from tuning.laboratory.digits import standardised_digits
from tuning.laboratory.findings import Array, Claim, log_slope
from tuning.laboratory.parallel import grid_in_threads, seeds_of

BATCH_SIZES = tuple(2**power for power in range(8))


@dataclass(frozen=True, eq=False)
class Measured:
    """Accuracy on held-out examples with true labels, after the same number of updates."""

    learning_rates: Array  # (R,) ascending
    batch_sizes: Array  # (B,) ascending
    accuracy: Array  # (R, B, repeats)

    @property
    def mean(self) -> Array:
        """The mean accuracy over the repeats (R, B)."""
        return self.accuracy.mean(axis=2)

    @property
    def standard_error(self) -> Array:
        """The standard error of the mean (R, B)."""
        return self.accuracy.std(axis=2, ddof=1) / np.sqrt(self.accuracy.shape[2])

    @property
    def best(self) -> Array:
        """The position in `batch_sizes` (R,) with the best mean; the smaller of two that are the same."""
        return self.mean.argmax(axis=1)


def examples(count: int, wrong_labels: float, seed: int) -> tuple[Dataset, Dataset]:
    """Return `count` standardised digits to train on, a share of them relabelled at random, and the others as they are.

    A label is replaced by any of the ten, the true one among them, so that 0.9 of the share are wrong.
    """
    digits = standardised_digits(seed=seed)
    X, y = np.asarray(digits.X), digits.targets
    rng = np.random.default_rng([seed, 1])
    labels = y[:count].copy()
    chosen = rng.random(count) < wrong_labels
    labels[chosen] = rng.integers(0, digits.n_outputs, chosen.sum())
    return Dataset(X[:count], labels), Dataset(X[count:], y[count:])


def accuracy_after(
    updates: int, model: MLP, part: Dataset, judge: Dataset, optimizer: SGD, batch_size: int, seed: int
) -> float:
    """Train for exactly so many updates and return the accuracy on `judge`; that of guessing where it diverged."""
    # Other batches for each rate: what is lucky for one is then not lucky for all.
    rng = np.random.default_rng([seed, batch_size, int(1e9 * optimizer.learning_rate)])
    batches = rng.integers(0, len(part), (updates, batch_size))
    run = train(model, part, optimizer, indices=batches, seed=seed)
    return 1 / part.n_outputs if run.status == "diverged" else run.evaluate(judge)["accuracy"]


def measure(
    seed: int = 0,
    *,
    learning_rates: Sequence[float] = (0.02, 0.04, 0.08, 0.16),
    batch_sizes: Sequence[int] = BATCH_SIZES,
    momentum: float = 0.9,
    updates: int = 8000,
    repeats: int = 16,
    training_examples: int = 1400,
    wrong_labels: float = 0.4,
    hidden_units: int = 32,
    activation: str = "relu",
) -> Measured:
    """Return the accuracy for every learning rate, batch size and repeat."""
    seeds = seeds_of(seed, repeats)
    parts = {each: examples(training_examples, wrong_labels, each) for each in seeds}
    model = MLP((64, hidden_units, 10), activation)
    rates, sizes = np.sort(np.array(learning_rates, float)), np.sort(np.array(batch_sizes))

    def score(rate: float, size: int, each: int) -> float:
        return accuracy_after(updates, model, *parts[each], SGD(rate, momentum=momentum), size, each)

    scores = grid_in_threads(score, rates, sizes, seeds, words="best batch size")
    return Measured(rates, sizes, scores)


# -- what was published ----------------------------------------------------------------------------------------


def best_or_nan(measured: Measured) -> Array:
    """Return the best batch size (R,); NaN at either end of the grid, beyond which the best may lie."""
    inside = (measured.best > 0) & (measured.best < len(measured.batch_sizes) - 1)
    return np.where(inside, measured.batch_sizes[measured.best], np.nan)


def lead(measured: Measured) -> Array:
    """Return by how many standard errors the best batch size is ahead of the largest (R,), repeat by repeat."""
    ahead = measured.accuracy[np.arange(len(measured.learning_rates)), measured.best] - measured.accuracy[:, -1]
    error = ahead.std(axis=1, ddof=1) / np.sqrt(ahead.shape[1])
    return np.divide(ahead.mean(axis=1), error, out=np.zeros(len(ahead)), where=error > 0)


def slope(measured: Measured) -> float:
    """Return the slope of ln best batch size against ln η; NaN where a best batch is at an end of the grid."""
    return log_slope(measured.learning_rates, best_or_nan(measured))


def slope_interval(measured: Measured, resamplings: int = 400, seed: int = 0) -> tuple[float, float]:
    """Return the ends of the central 90 % of the slopes when the repeats are drawn anew from themselves (bootstrap)."""
    rng, repeats = np.random.default_rng(seed), measured.accuracy.shape[2]
    drawn = (measured.accuracy[:, :, rng.integers(0, repeats, repeats)] for _ in range(resamplings))
    slopes = np.array([slope(replace(measured, accuracy=accuracy)) for accuracy in drawn])
    known = slopes[np.isfinite(slopes)]
    low, high = np.quantile(known, [0.05, 0.95]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


def claims(measured: Measured, network: str) -> list[Claim]:
    """Hold the measurement against the paper: B ∝ η.

    On a grid of powers of two, at most one doubling may be off, by one step at most. The slope over all may be off by
    0.2, and the best batch is to be ahead of the largest by 2 standard errors.
    """
    best, rates = best_or_nan(measured), measured.learning_rates
    ratios, doublings = best[1:] / best[:-1], rates[1:] / rates[:-1]
    steps_off = np.abs(np.log2(ratios / doublings))
    table = [
        Claim(f"{network}: best batch size, η = {high:g} against {low:g}", f"× {times:g}", ratio, times / 2, 2 * times)
        for low, high, times, ratio in zip(rates, rates[1:], doublings, ratios, strict=False)
    ]
    off = float((steps_off > 0.5).sum()) if np.isfinite(best).all() else float("nan")
    ahead = f"{network}: best batch ahead of B = {measured.batch_sizes[-1]}, standard errors, least"
    return [
        *table,
        Claim(f"{network}: doublings of η that do not double the best batch size", "0", off, 0, 1),
        Claim(f"{network}: slope of ln best batch size on ln η", "1", slope(measured), 0.8, 1.2),
        Claim(ahead, "> 0", float(lead(measured).min()), 2.0),
    ]
