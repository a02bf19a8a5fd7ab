"""The range test, and how far to trust it; and the largest stable learning rate, by batch size and width.

Smith (2017), "Cyclical learning rates for training neural networks": train for some hundred steps with a rate that
rises from far too low to far too high, and read from the loss which rates are worth using. Here its word is
held against what it stands in for, a sweep: every bundled data set, trained for 20 epochs at rates a quarter of a
decade apart, with several seeds, by plain SGD, SGD with momentum, and Adam; the best rate has the lowest validation
loss. Three rules are compared, each by the factor between its rate and the best one:

    suggestion    (1 − β)/10 of the edge, the last rate at which the smoothed loss is not above its start
    minimum/10    a decade below the rate at which the smoothed loss is lowest
    steepest      the rate at which it falls fastest per decade

The first, and its tenth, was chosen on other seeds (100 to 403) of these ten sets, with 16, 32 and 64 hidden units and
examples in a batch, 20 and 60 epochs. There the root mean square of log₁₀(rate/best) was 0.78, against 0.86 for
minimum/10; the gain is large with plain SGD (0.67 against 0.99), none with momentum and Adam (0.83 against 0.79).

Smith looks at accuracy, by eye, with a rate that rises linearly over eight epochs; here it rises by equal factors, and
the loss is smoothed, over several seeds. Which rate is best depends on the length of training and on the measure, and
where many do equally well, a suggestion far from the best one can cost nothing: see `Comparison.price`. It is worst
with momentum and Adam on moons and circles, which are easy enough to be learned in huge steps: tens of times too low.

The largest stable rate is found by bisection (`tuning.learning_rate`). On a quadratic it is 2/λ for the full batch,
with λ the largest eigenvalue of the Hessian (LeCun et al. 1998). In a mini-batch λ is larger by chance, so that the
limit rises with the batch size until it is that of the full batch (Ma, Bassily & Belkin 2018, "The power of
interpolation"). At the start of training λ grows in proportion to the width (Karakida, Akaho & Amari 2019, "Universal
statistics of Fisher information in deep neural networks"), so the limit should fall like 1/width. It does not: a rate
above 2/λ throws a network to where λ is smaller, and training goes on (Lewkowycz et al. 2020; see `catapult`).
Nor are 16 to 256 hidden units wide enough for the law of λ itself: it grows as the power 0.67 of the width there, as
0.93 from 256 to 1,024 units, and as 1.03 from there to 2,048.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nn import MLP, SGD, Adam, load_dataset, sharpness
from nn.optimizers import Optimizer
from tuning import sweep
from tuning.laboratory.findings import Array, Claim, log_slope
from tuning.laboratory.parallel import grid_in_threads, map_in_threads
from tuning.learning_rate import RangeTest, range_test, stability_limit
from tuning.study import Study

DATASETS = ("digits", "iris", "wine", "breast_cancer", "diabetes", "spirals", "moons", "circles", "xor", "sine")
OPTIMIZERS: dict[str, tuple[Optimizer, dict[str, object]]] = {
    "SGD": (SGD(), {}),
    "momentum 0.9": (SGD(momentum=0.9), {"momentum": 0.9}),
    "Adam": (Adam(), {"optimizer": "adam"}),
}
RULES = ("suggestion", "minimum/10", "steepest")
LOWEST, DECADES, PER_DECADE = 1e-4, 5.5, 4
HIDDEN, BATCH, EPOCHS = 32, 32, 20
BISECTED = 0.02
"""The stability limits are correct to 1 + this."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A range test on a data set beside a sweep over the same rates.

    `learning_rates` and `losses` (S,) are those of the sweep, the mean validation loss over its seeds, infinite where
    one diverged; `low` and `high` are the ends of the 95 % interval of the best rate. `suggested_loss` is the loss
    of a sweep at the suggestion, on the same seeds.
    """

    data: str
    optimizer: str
    test: RangeTest
    learning_rates: Array
    losses: Array
    best: float
    low: float
    high: float
    suggested_loss: float

    @property
    def factors(self) -> Array:
        """The learning rate of each of `RULES` over the best (3,); NaN where the test has none."""
        test = self.test
        rates = (test.suggestion, None if test.minimum is None else test.minimum / 10, test.steepest)
        return np.array([np.nan if rate is None else rate / self.best for rate in rates])

    @property
    def holds_best(self) -> bool:
        """Return whether the best rate lies in the range that the test would search."""
        span = self.test.search_range
        return span is not None and span[0] <= self.best <= span[1]

    @property
    def price(self) -> float:
        """The loss at the suggestion over that at the best rate of the sweep."""
        return self.suggested_loss / float(self.losses.min())


@dataclass(frozen=True, eq=False)
class Measured:
    """Comparisons, and the largest stable rates.

    `limits` (widths, batch sizes) are geometric means over seeds, `limit_low` and `limit_high` the ends of their 95 %
    intervals; the last batch size is the whole training part. `two_over_sharpness` (widths,) is 2/λ of the full batch
    at the start, a geometric mean over the same seeds.
    """

    comparisons: tuple[Comparison, ...]
    widths: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    limits: Array
    limit_low: Array
    limit_high: Array
    two_over_sharpness: Array

    @property
    def optimizers(self) -> list[str]:
        """The names of the optimizers, in the order of the comparisons."""
        return list(dict.fromkeys(each.optimizer for each in self.comparisons))

    def off(self, rule: int, optimizer: str | None = None) -> Array:
        """Return the factor, at least 1, by which a rule is off the best rate, in each comparison of an optimizer.

        Without an optimizer, it is that of every comparison.
        """
        chosen = [each.factors[rule] for each in self.comparisons if optimizer in (None, each.optimizer)]
        return np.exp(np.abs(np.log(chosen)))


def compare(data: str, optimizer: str, seed: int, seeds: int = 5, epochs: int = EPOCHS) -> Comparison:
    """Hold a range test against a sweep, each with so many seeds."""
    described, setting = OPTIMIZERS[optimizer]
    split = load_dataset(data).split(seed=seed)
    model = MLP((split.train.n_features, HIDDEN, split.train.n_outputs))
    batch_size = min(BATCH, len(split.train))
    test = range_test(model, split, described, batch_size=batch_size, seeds=range(seed, seed + seeds))

    def swept(rates: Sequence[float]) -> Study:
        space = {"learning_rate": list(rates), "hidden_units": HIDDEN, "batch_size": batch_size, **setting}
        how = {"method": "grid", "metric": "validation_loss", "seed": seed, "n_jobs": 1, "progress": False}
        return sweep(data, space, epochs=epochs, repeats=seeds, **how)  # type: ignore[arg-type]

    rates = LOWEST * 10 ** (np.arange(round(DECADES * PER_DECADE) + 1) / PER_DECADE)
    study = swept(rates.tolist())
    losses = {s.params["learning_rate"]: s.metrics["validation_loss"] for s in study.summaries() if s.rank is not None}
    (best,) = study.best_rates(by=())
    suggested = np.nan
    if test.suggestion is not None:
        alone = swept([test.suggestion]).summaries()[0]
        suggested = np.inf if alone.rank is None else alone.metrics["validation_loss"]
    means = np.array([losses.get(rate, np.inf) for rate in rates.tolist()])
    low, high = (best.tried if end is None else end for end in (best.low, best.high))
    return Comparison(data, optimizer, test, rates, means, best.tried, low, high, suggested)


def measure(
    datasets: Sequence[str] = DATASETS,
    optimizers: Sequence[str] = tuple(OPTIMIZERS),
    widths: Sequence[int] = (16, 64, 256),
    batch_sizes: Sequence[int] = (4, 16, 64, 256),
    seeds: int = 5,
    limit_seeds: int = 3,
    steps: int = 150,
    seed: int = 0,
) -> Measured:
    """Compare range test and sweep on each data set, and bisect the stability limit on digits with plain SGD.

    Tests and sweeps have `seeds` seeds, limits `limit_seeds`, each of `steps`; the full batch is one more size.
    """
    jobs = [(data, optimizer) for data in datasets for optimizer in optimizers]
    comparisons = map_in_threads(lambda job: compare(*job, seed, seeds), jobs, "range tests and sweeps")
    split = load_dataset("digits").split(seed=seed)
    sizes = (*batch_sizes, len(split.train))
    chosen = range(seed, seed + limit_seeds)

    def network(width: int) -> MLP:
        return MLP((split.train.n_features, width, split.train.n_outputs))

    def limit(width: int, size: int) -> tuple[float, float, float]:
        found = stability_limit(network(width), split, batch_size=size, steps=steps, seeds=chosen, tolerance=BISECTED)
        return found.limit, *(found.interval or (np.nan, np.nan))

    limits = grid_in_threads(limit, widths, sizes, words="stability limits")
    middle, low, high = np.moveaxis(limits, 2, 0)
    X, y = split.train.X, split.train.targets
    starts = [[sharpness(network(width), network(width).init(each), X, y) for each in chosen] for width in widths]
    sharp = 2 / np.exp(np.log(starts).mean(axis=1))
    return Measured(tuple(comparisons), tuple(widths), sizes, middle, low, high, sharp)


# -- what was published ----------------------------------------------------------------------------------------


def claims(measured: Measured) -> list[Claim]:
    """Hold the range test to what is expected of it: the right decade, and a range with the best rate in it."""
    held = np.mean([each.holds_best for each in measured.comparisons])
    rows = [Claim("part of the tests whose range holds the best rate of the sweep", "all", float(held), low=0.95)]
    for optimizer in measured.optimizers:
        off = measured.off(0, optimizer)
        rows += [
            Claim(f"{optimizer}: factor from the suggestion to the best rate, median", "good", np.median(off), high=5),
            Claim(f"{optimizer}: factor from the suggestion to the best rate, worst", "one decade", off.max(), high=10),
        ]
    by_size = (measured.limits[:, 1:] / measured.limits[:, :-1]).min()
    fitted, start = (log_slope(measured.widths, each) for each in (measured.limits[:, -1], measured.two_over_sharpness))
    slope = "slope of its log against that of the width"
    return [
        *rows,
        Claim("largest stable rate, a batch size over the one before, least", "rises", by_size, low=1 / (1 + BISECTED)),
        Claim(f"2/λ at the start: {slope}", "-1", start, -1.2, -0.8),
        Claim(f"largest stable rate, full batch: {slope}", "-1, as 2/λ", fitted, -1.2, -0.8),
    ]
