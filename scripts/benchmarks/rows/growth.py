"""The row about growth: time per epoch against examples, width, depth and the number of trials."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nn import MLP, SGD, Dataset, train
from rows import peers
from rows.measuring import Effort, Goal, Outcome, in_turn, row
from rows.trainings import multiplications
from tuning import Uniform, sweep

INPUTS, CLASSES, BATCH_SIZE = 64, 10, 32
EXAMPLES, WIDTHS = (1024, 2048, 4096, 8192, 16384, 32768), (32, 64, 128, 256, 512, 1024)
DEPTHS, TRIALS = (1, 2, 4, 8, 16), (8, 16, 32, 64, 128)
ALLOWED = 1.1  # an exponent above 1 by less is what caches and noise do
EPOCHS_OF_A_TRIAL = 20
LEAST_WORK = 2e8  # multiplications in a call: what a call of `train` costs by itself is spread over enough epochs


class Point(NamedTuple):
    """One point of a curve: the useful multiplications of an epoch, validation apart, and a call of some epochs."""

    work: float
    epochs: int
    call: Callable[[], object]


def data_set(examples: int) -> Dataset:
    """Return random inputs and classes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((examples, INPUTS), dtype=np.float32)
    return Dataset(X, rng.integers(0, CLASSES, examples), task="classification")


def training(data: Dataset, *hidden: int) -> Point:
    """Return a training of as many epochs as make its own fixed cost small."""
    model = MLP((INPUTS, *hidden, CLASSES))
    work = float(multiplications(model.layer_sizes) * len(data))
    epochs = max(1, round(LEAST_WORK / work))
    return Point(work, epochs, partial(train, model, data, SGD(0.001), batch_size=BATCH_SIZE, epochs=epochs))


def search(n_trials: int) -> Point:
    """Return a sweep of so many trials on one thread; the work is that of an epoch of all of them."""
    split = data_set(2048).split(validation=0.25, test=0.0, seed=0)
    space = {"learning_rate": Uniform(0.001, 0.01), "hidden_units": 32}
    work = float(multiplications((INPUTS, 32, CLASSES)) * len(split.train) * n_trials)
    epochs = EPOCHS_OF_A_TRIAL
    call = partial(sweep, split, space, "random", n_trials=n_trials, epochs=epochs, n_jobs=1, progress=False)
    return Point(work, epochs, call)


def exponent(work: list[float], seconds: list[float]) -> float:
    """Return p of the power law, seconds ∝ work^p, fitted by least squares to the logarithms."""
    return float(np.polyfit(np.log(work), np.log(seconds), 1)[0])


def axes(size: float) -> dict[str, dict[int, Point]]:
    """Return the points to time, by axis and value; with `size` below 1 the largest values are left out."""
    few = data_set(2048)

    def some(values: tuple[int, ...]) -> tuple[int, ...]:
        return values[: max(2, math.ceil(len(values) * min(1.0, 0.5 + size / 2)))]

    return {
        "examples": {n: training(data_set(n), 32) for n in some(EXAMPLES)},
        "width": {n: training(few, n) for n in some(WIDTHS)},
        "depth": {n: training(few, *[64] * n) for n in some(DEPTHS)},
        "trials": {n: search(n) for n in some(TRIALS)},
    }


@row(
    "growth",
    "cost as work grows: time per epoch, linear in the arithmetic",
    *(Goal(axis, f"exponent against {axis}", ALLOWED, "") for axis in ("examples", "width", "depth", "trials")),
)
def growth_row(effort: Effort) -> Outcome:
    """Time every point in turn and fit each axis."""
    outcome = Outcome()
    for axis, points in axes(effort.size).items():
        calls = {f"{axis} {value}": point.call for value, point in points.items()}
        for call in calls.values():
            call()
        seconds = in_turn(calls, effort.rounds, effort.least / len(points))
        outcome.seconds |= seconds
        medians = {value: statistics.median(seconds[f"{axis} {value}"]) / points[value].epochs for value in points}
        outcome.points += [
            {
                "axis": axis,
                "value": value,
                "multiplications": point.work,
                "seconds_per_epoch": medians[value],
                "ns_per_1000": 1e12 * medians[value] / point.work,
            }
            for value, point in points.items()
        ]
        outcome.figures[axis] = exponent([point.work for point in points.values()], list(medians.values()))
    outcome.notes.append("exponent p of time ∝ multiplications^p; 1 is linear, less where a fixed cost shrinks")
    return outcome


def plot(points: list[dict[str, Any]], path: Path) -> None:
    """Save a figure of the points, each axis beside a line of slope 1."""
    names = list(dict.fromkeys(point["axis"] for point in points))
    figures = peers.library("matplotlib.figure", "matplotlib")
    figure = figures.Figure(figsize=(3.2 * len(names), 3.4), layout="constrained")
    for place, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        own = [point for point in points if point["axis"] == name]
        work = np.array([point["multiplications"] for point in own])
        times = np.array([point["seconds_per_epoch"] for point in own])
        place.loglog(work, times[-1] * work / work[-1], color="0.7", label="linear")
        place.loglog(work, times, "o-", color="tab:blue", label="measured")
        for x, y, point in zip(work, times, own, strict=True):
            place.annotate(f"{point['value']:,}", (x, y), (4, -10), textcoords="offset points", fontsize=7)
        for axis in (place.xaxis, place.yaxis):
            axis.set_minor_formatter("")
        place.margins(0.25, 0.15)  # room for the last label
        place.set(title=name, xlabel="multiplications in an epoch")
    figure.axes[0].set_ylabel("seconds per epoch")
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150, format="png")
