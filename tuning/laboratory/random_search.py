"""Random search against grid search (Bergstra & Bengio 2012, Random Search for Hyper-Parameter Optimization).

A grid of k × k trials tries k values of each hyper-parameter. Where only one of the two matters, k − 1 trials of k are
wasted, while as many random draws try k² different values of the one that matters:

    values tried in n trials of d hyper-parameters      grid n^(1/d)      random n

Setting: sweeps of `tuning` on digits, 64-32-10 relu, batches of 32, 6 epochs. The learning rate is searched over four
decades, and the L2 penalty from 10⁻⁸ to 10⁻⁵, where it does next to nothing: how much each explains of the variance of
the losses is measured too. Grid and random search get the same range and number of trials, 9, 16 and 25, and are
compared by the lowest validation loss they find. Where a grid's points lie is luck, so there are 100 comparisons, each
with new starts and the range moved up to a decade either way. A search whose trials all diverged counts as guessing.

As a control, the same numbers of trials search the learning rate alone: there the grid has nothing to lose.

What differs from the paper: its problems have up to 32 hyper-parameters, and which of them matter is inferred from a
Gaussian process; here there are two, one of them idle by choice.

What to be careful with: random draws are not better everywhere. With the learning rate alone, nine of them leave gaps
that an even grid does not, and find the higher loss on average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nn import Split, load_dataset
from tuning import LogUniform, Study, sweep
from tuning.laboratory.findings import Array, Claim
from tuning.laboratory.parallel import with_bar

METHODS = ("grid", "random", "grid, rate alone", "random, rate alone")
LEARNING_RATES = (1e-3, 10.0)
PENALTIES = (1e-8, 1e-5)


@dataclass(frozen=True, eq=False)
class Measured:
    """N comparisons at B budgets.

    `best` (N, B, 4) is the lowest validation loss that each of `METHODS` found, `tried` (N, B, 4) how many different
    learning rates it tried. `trials` are those of the first comparison at the lowest budget, of grid and of random
    search: learning rate, penalty, validation loss (n, 3). `shares` is the part of the variance of the loss that each
    hyper-parameter explains by itself in a larger random search, whose trials are in `large` (n, 3).
    """

    budgets: Array
    best: Array
    tried: Array
    trials: tuple[Array, Array]
    shares: dict[str, float]
    large: Array

    @property
    def excess(self) -> Array:
        """The losses found (N, B, 4) less the lowest that was found in their comparison."""
        return self.best - self.best.min(axis=(1, 2), keepdims=True)


def search(split: Split, method: str, budget: int, shift: float, epochs: int, seed: int) -> Study:
    """Return the sweep of one of `METHODS` with `budget` trials, a square number, its rates multiplied by `shift`."""
    kind, _, alone = method.partition(", ")
    space: dict[str, Any] = {"learning_rate": LogUniform(LEARNING_RATES[0] * shift, LEARNING_RATES[1] * shift)}
    if not alone:
        space["l2"] = LogUniform(*PENALTIES)
    size = {"n_trials": budget} if kind == "random" else {"points": round(budget ** (1 / len(space)))}
    return sweep(split, space, kind, epochs=epochs, metric="validation_loss", seed=seed, progress=False, **size)


def lowest_loss(study: Study, guessing: float) -> float:
    """Return the lowest validation loss of the trials that completed; `guessing` where none did."""
    found = (trial.metrics["validation_loss"] for trial in study.trials if trial.state == "completed")
    return min(found, default=guessing)


def trials_of(study: Study) -> Array:
    """Return learning rate, penalty and validation loss of each trial (n, 3); diverged trials have NaN for a loss."""
    rows = [(t.params, t.metrics["validation_loss"] if t.state == "completed" else np.nan) for t in study.trials]
    return np.array([(params["learning_rate"], params["l2"], loss) for params, loss in rows])


def measure(
    seed: int = 0,
    *,
    data: str = "digits",
    points: Sequence[int] = (3, 4, 5),
    comparisons: int = 100,
    large: int = 150,
    epochs: int = 6,
) -> Measured:
    """Search with grid and at random, in k² trials for each k of `points`, and keep the best of each search.

    The sweeps of one comparison share the seed, and so the start of every training.
    """
    split = load_dataset(data).split(seed=seed)
    guessing = math.log(split.train.n_outputs)
    budgets = [k * k for k in points]
    shifts = 10.0 ** np.random.default_rng(seed).uniform(-1, 1, comparisons)
    best, tried = np.empty((2, comparisons, len(budgets), len(METHODS)))
    shown: dict[str, Array] = {}
    for i, shift in enumerate(with_bar(shifts, "comparisons")):
        for b, budget in enumerate(budgets):
            for m, method in enumerate(METHODS):
                study = search(split, method, budget, float(shift), epochs, seed * comparisons + i)
                best[i, b, m] = lowest_loss(study, guessing)
                tried[i, b, m] = len({trial.params["learning_rate"] for trial in study.trials})
                if i == b == 0 and m < 2:
                    shown[method] = trials_of(study)
    wide = search(split, "random", large, 1.0, epochs, seed)
    shares = wide.analysis().importance.shares or {}
    return Measured(np.array(budgets), best, tried, (shown["grid"], shown["random"]), shares, trials_of(wide))


# -- what was published ----------------------------------------------------------------------------------------


def claims(measured: Measured) -> list[Claim]:
    """Hold the comparisons against Bergstra & Bengio 2012, whose claims are in words: which one is better."""
    grid, random, grid_alone, random_alone = np.moveaxis(measured.excess, -1, 0)
    share = "share of the loss's variance that the {} explains".format
    table = [
        Claim(share("learning rate"), "most", measured.shares["learning_rate"], 0.5),
        Claim(share("penalty"), "none", measured.shares["l2"], high=0.05),
    ]
    for b, budget in enumerate(measured.budgets):
        wins = float((random[:, b] < grid[:, b]).mean())
        ratio = float(random[:, b].mean() / grid[:, b].mean())
        table.append(Claim(f"{budget} trials: comparisons that random wins, share", "> 0.5", wins, low=0.5))
        table.append(Claim(f"{budget} trials: mean excess loss, random / grid", "< 1", ratio, high=1.0))
    waste = float((grid.mean(axis=0) / grid_alone.mean(axis=0)).min())
    control = float((random_alone.mean(axis=0) / grid_alone.mean(axis=0)).min())
    return [
        *table,
        Claim("mean excess loss, grid with the idle penalty / rate alone, smallest", "> 1", waste, low=1.0),
        Claim("control, rate alone: mean excess loss, random / grid, smallest", "not < 1", control, low=1.0),
    ]
