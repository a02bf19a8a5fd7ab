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
that fails; the median over the repeats is taken. One training at a rate that is hopeless without warm-up is followed
with its sharpness.

What differs from the paper: its networks are ResNets and Transformers on images and text in mini-batches, also with
Adam; here gradient descent on all of a small set.

What to be careful with: short warm-ups of 4 and 16 steps raise nothing here; those rates are passed too fast for the
sharpness to follow. And warm-up does not help the loss in the end at a rate that trains without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import MLP, SGD, Dataset, Split, load_dataset
from nn.schedules import Warmup
from tuning import sweep
from tuning.laboratory.findings import Claim
from tuning.laboratory.sharpening import follow_sharpness

Array = NDArray[Any]

HIDDEN = (64, 64)
RATES = tuple(2.0 ** (half / 2) for half in range(-2, 13))


@dataclass(frozen=True, eq=False)
class Course:
    """One training with a warm-up: the sharpness (M,) after `steps` (M,), and the rate (M,) of the next step."""

    target: float
    warmup: int
    steps: Array
    rates: Array
    sharpness: Array


@dataclass(frozen=True, eq=False)
class Measured:
    """The sweep: `loss` (warm-ups, rates, repeats) at the end, infinite where training diverged; and the course.

    `blank` is the loss of outputs that are all zero.
    """

    warmups: Array
    rates: Array
    loss: Array
    blank: float
    course: Course


def follow(data: Dataset, target: float, warmup: int, steps: int, every: int, seed: int) -> Course:
    """Train with a warm-up on all examples at once, and look at the sharpness after each `every` steps."""
    model = MLP((data.n_features, *HIDDEN, data.n_outputs)).for_task(data.task)
    schedule = Warmup(target, warmup=warmup)
    _, at, sharpness = follow_sharpness(model, data, SGD(target), steps, every, seed, schedule=schedule)
    return Course(target, warmup, at, schedule(at), sharpness)


def search(
    split: Split, rates: Sequence[float], warmups: Sequence[int], steps: int, repeats: int, seed: int, progress: bool
) -> Array:
    """Return the training loss (warm-ups, rates, repeats) after `steps` full-batch steps; infinite if it diverged."""
    study = sweep(
        split,
        {
            "schedule_warmup": list(warmups),
            "learning_rate": list(rates),
            "schedule": "warmup",
            "hidden_units": [HIDDEN],
            "batch_size": "full",
        },
        "grid",
        epochs=steps,
        repeats=repeats,
        metric="train_loss",
        seed=seed,
        progress=progress,
    )
    loss = np.full((len(warmups), len(rates), repeats), np.inf)
    for trial in study.trials:
        at = warmups.index(trial.params["schedule_warmup"]), rates.index(trial.params["learning_rate"]), trial.repeat
        if trial.state == "completed":
            loss[at] = trial.metrics["train_loss"]
    return loss


def measure(
    seed: int = 0,
    *,
    data: str = "digits",
    rates: Sequence[float] = RATES,
    warmups: Sequence[int] = (1, 4, 16, 64, 256),
    steps: int = 400,
    repeats: int = 5,
    course_rate: float = 8.0,
    course_warmup: int = 256,
    every: int = 4,
    progress: bool = False,
) -> Measured:
    """Return the losses of the sweep over rates and warm-ups, and the course of one training with its sharpness."""
    split = load_dataset(data).split(seed=seed)
    loss = search(split, list(rates), list(warmups), steps, repeats, seed, progress)
    course = follow(split.train, course_rate, course_warmup, steps, every, seed)
    return Measured(np.array(warmups), np.array(rates), loss, math.log(split.train.n_outputs), course)


def largest_rates(measured: Measured, part: float = 0.5) -> Array:
    """Return the largest trainable rate (warm-ups, repeats): the last one before the first that fails.

    A trial fails if it ends above `part` of the loss of outputs that say nothing. NaN where the first rate fails.
    """
    trained = np.logical_and.accumulate(measured.loss < part * measured.blank, axis=1).sum(axis=1)
    return np.where(trained > 0, measured.rates[np.maximum(trained - 1, 0)], np.nan)


# -- what was published ----------------------------------------------------------------------------------------


def claims(measured: Measured) -> list[Claim]:
    """Hold the sweep against Kalra & Barkeshli 2024, whose claims are in words: warm-up raises the largest rate."""
    largest = np.median(largest_rates(measured), axis=1)
    longest = measured.warmups[-1]
    each = largest_rates(measured)
    course = measured.course
    end = int(np.argmax(course.steps >= course.warmup))
    return [
        Claim(
            f"largest trainable rate, warm-up of {longest} steps / none, median", "> 1", largest[-1] / largest[0], 1.4
        ),
        Claim(
            f"largest trainable rate, warm-up of {longest} steps / none, least of the repeats",
            "> 1",
            float((each[-1] / each[0]).min()),
            1.4,
        ),
        Claim(
            "largest trainable rate, a warm-up / the next shorter one, least",
            "≥ 1",
            float((largest[1:] / largest[:-1]).min()),
            0.99,
        ),
        Claim(
            "sharpness when warm-up ends / at the start",
            "< 1",
            float(course.sharpness[end] / course.sharpness[0]),
            high=1.0,
        ),
        Claim(
            "η·λ/2 at the target rate when training begins", "> 1", float(course.target * course.sharpness[0] / 2), 1.0
        ),
        Claim(
            "η·λ/2 after warm-up, median",
            "≤ 1",
            float(np.median(course.rates[end:] * course.sharpness[end:] / 2)),
            high=1.0,
        ),
    ]
