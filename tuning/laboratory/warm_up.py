"""Warm-up raises the largest trainable learning rate (Kalra & Barkeshli 2024, Why Warmup the Learning Rate? Underlying
Mechanisms and Improvements).

Training that begins at a learning rate far above 2/λ₀, with λ₀ the sharpness at the start, fails. If the rate rises in
a straight line to its target η over the first T steps,

    η(t) = η · (t + 1)/T    for t < T,

each small excess over 2/λ sets off a small catapult, which lowers the sharpness λ until the rate is stable again. So
the network is led to where it is flat enough for rates at which it could not have begun:

    λ(t) ≲ 2/η(t), and the longer the warm-up, the larger the η that can be reached.

Setting: a sweep of `tuning` over η and T on digits, 64-64-64-10 relu with He's initialisation, cross-entropy, 400 steps
on all 1,078 training examples, five repeats. T = 1 is no warm-up. A trial counts as trained if it completes with a
training loss below half of log 10, that of outputs that say nothing: a network whose units have died stays near log 10
and never diverges. The largest trainable rate of a repeat is the last of the grid, in factors of √2, before the first
that fails; the median counts. One training at a rate hopeless without warm-up is followed with its sharpness.

What differs from the paper: its networks are ResNets and Transformers on images and text in mini-batches, also with
Adam; here gradient descent on all of a small set.

What to be careful with: short warm-ups of 4 and 16 steps raise nothing here; those rates are passed too fast for the
sharpness to follow. And warm-up does not help the loss in the end at a rate that trains without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nn import MLP, SGD, Dataset, Split, load_dataset
from nn.schedules import Warmup
from tuning import sweep
from tuning.laboratory.findings import Array, Claim
from tuning.laboratory.sharpening import Sharpening, follow_sharpness

HIDDEN = (64, 64)
LEARNING_RATES = tuple(2.0 ** (half / 2) for half in range(-2, 13))


@dataclass(frozen=True, eq=False)
class Measured:
    """The sweep: `loss` (warm-ups, rates, repeats) at the end, infinite where training diverged; and one training.

    `blank` is the loss of outputs that are all zero; `followed` is the training, and `schedule` its learning rates.
    """

    warmups: Array
    learning_rates: Array
    loss: Array
    blank: float
    schedule: Warmup
    followed: Sharpening

    @property
    def followed_rates(self) -> Array:
        """The learning rate (M,) of the step that comes after each sharpness."""
        return self.schedule(self.followed.steps)


def follow(data: Dataset, optimizer: SGD, schedule: Warmup, steps: int, every: int, seed: int) -> Sharpening:
    """Train with a warm-up on all examples at once, and look at the sharpness after each `every` steps."""
    model = MLP((data.n_features, *HIDDEN, data.n_outputs)).for_task(data.task)
    return follow_sharpness(model, data, optimizer, steps, every, seed, schedule=schedule)


def search(
    split: Split, learning_rates: Sequence[float], warmups: Sequence[int], steps: int, repeats: int, seed: int
) -> Array:
    """Return the training loss (warm-ups, rates, repeats) after `steps` full-batch steps; infinite if it diverged."""
    space = {
        "schedule_warmup": list(warmups),
        "learning_rate": list(learning_rates),
        "schedule": "warmup",
        "hidden_units": [HIDDEN],
        "batch_size": "full",
    }
    study = sweep(split, space, "grid", epochs=steps, repeats=repeats, metric="train_loss", seed=seed)
    loss = np.full((len(warmups), len(learning_rates), repeats), np.inf)
    for trial in study.trials:
        length, rate = trial.params["schedule_warmup"], trial.params["learning_rate"]
        if trial.state == "completed":
            loss[warmups.index(length), learning_rates.index(rate), trial.repeat] = trial.metrics["train_loss"]
    return loss


def measure(
    seed: int = 0,
    *,
    data: str = "digits",
    learning_rates: Sequence[float] = LEARNING_RATES,
    warmups: Sequence[int] = (1, 4, 16, 64, 256),
    steps: int = 400,
    repeats: int = 5,
    followed_rate: float = 8.0,
    followed_warmup: int = 256,
    every: int = 4,
) -> Measured:
    """Sweep over learning rates and warm-ups, and follow one training with its sharpness."""
    split = load_dataset(data).split(seed=seed)
    loss = search(split, list(learning_rates), list(warmups), steps, repeats, seed)
    schedule = Warmup(followed_rate, warmup=followed_warmup)
    followed = follow(split.train, SGD(followed_rate), schedule, steps, every, seed)
    blank = math.log(split.train.n_outputs)
    return Measured(np.array(warmups), np.array(learning_rates), loss, blank, schedule, followed)


def largest_rates(measured: Measured, part: float = 0.5) -> Array:
    """Return the largest trainable rate (warm-ups, repeats): the last one before the first that fails.

    A trial fails if it ends above `part` of the loss of outputs that say nothing. NaN where the first rate fails.
    """
    trained = np.logical_and.accumulate(measured.loss < part * measured.blank, axis=1).sum(axis=1)
    return np.where(trained > 0, measured.learning_rates[np.maximum(trained - 1, 0)], np.nan)


# -- what was published ----------------------------------------------------------------------------------------


def claims(measured: Measured) -> list[Claim]:
    """Hold the sweep against Kalra & Barkeshli 2024, whose claims are in words: warm-up raises the largest rate."""
    each = largest_rates(measured)
    largest = np.median(each, axis=1)
    followed = measured.followed
    end = int(np.argmax(followed.steps >= measured.schedule.warmup))
    flatter = float(followed.sharpness[end] / followed.sharpness[0])
    beyond = float(followed.optimizer.learning_rate * followed.sharpness[0] / 2)
    stable = float(np.median(measured.followed_rates[end:] * followed.sharpness[end:] / 2))
    gain = f"largest trainable rate, warm-up of {measured.warmups[-1]} steps / none"
    longer = "largest trainable rate, a warm-up / the next shorter one, least"
    return [
        Claim(f"{gain}, median", "> 1", largest[-1] / largest[0], 1.4),
        Claim(f"{gain}, least of the repeats", "> 1", float((each[-1] / each[0]).min()), 1.4),
        Claim(longer, "≥ 1", float((largest[1:] / largest[:-1]).min()), 0.99),
        Claim("sharpness when warm-up ends / at the start", "< 1", flatter, high=1.0),
        Claim("η·λ/2 at the target rate when training begins", "> 1", beyond, 1.0),
        Claim("η·λ/2 after warm-up, median", "≤ 1", stable, high=1.0),
    ]
