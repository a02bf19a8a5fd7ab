"""`plan`: what is searched, and how, where nothing is said but the data.

The choices were made on half of 60 public tables; the README of this folder has what they are worth on both halves.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean
from typing import Any

from nn.checks import integer, real

MINUTES = 0.04
"""The time to train for, on two cores, unless it is given."""

WIDTHS = {"()": (), "16": (16,), "64": (64,), "64x64": (64, 64)}
"""The hidden layers that are tried: none, which is a linear model, few units, many, and two layers of them."""

FOLDS, FEWEST_ROWS = 5, 12
"""The folds, and the rows below which they would be too small to train and validate on."""

_CORES = 2
# What a training takes on one core, in µs: an epoch, a step, and an example for each parameter in it.
_EPOCH, _STEP, _EXAMPLE = 50.0, 1.0, 3.3e-5
_STOPPED_AT = 0.45  # the share of the epochs after which early stopping ends a training, in the mean
_STEPS = 128  # what an epoch of a large table is cut into, at least
_EPOCHS, _FEWEST_EPOCHS, _SMALL = (
    200,
    10,
    1000,
)  # of a table with so many rows; of larger ones by the root of their rows
_SETTINGS, _FEWEST_SETTINGS, _REPEATS = 32, 8, 2
_BEST = 4  # one setting in so many is in the final model, …
_MEMBERS = 8  # … and at most so many


def plan(rows: int, columns: int, minutes: float | None = None, most_folds: int = FOLDS) -> dict[str, Any]:
    """Return the arguments of `sweep`, the space among them, for data of this size.

    Nothing else goes into it, neither the numbers in the data nor the clock, so that the same command makes the same
    study.

    Args:
        rows: The rows that are not test.
        columns: The features that a network sees.
        minutes: The time to train for, on two cores of a common machine (0.04): more of it is spent on more settings
            and repeats. It is an estimate from the size; nothing is measured.
        most_folds: The most folds that the rows may be cut into; below 2, the one validation part is used.

    Raises:
        ValueError: For what is no size or no time.

    >>> chosen = plan(400, 13)
    >>> chosen["space"]
    {'learning_rate': '0.002:0.05:log', 'batch_size': '16,32,64', 'hidden_units': '(),16,64,64x64', \
'optimizer': 'adamw', 'weight_decay': '0.01:1:log'}
    >>> {name: value for name, value in chosen.items() if name != "space"}
    {'method': 'sobol', 'n_trials': 320, 'epochs': 200, 'repeats': 2, 'folds': 5, 'metric': 'validation_loss', \
'early_stopping': 30, 'ensemble': 8}
    """
    rows, columns = integer("rows", rows, 1), integer("columns", columns, 1)
    budget = real("minutes", MINUTES if minutes is None else minutes, above=0.0) * 60e6 * _CORES
    smallest = 2 ** min(9, max(4, int(math.log2(max(rows / _STEPS, 1)))))
    sizes = [size for size in (smallest, 2 * smallest, 4 * smallest) if size <= rows / 3]
    epochs = max(_FEWEST_EPOCHS, min(_EPOCHS, round(_EPOCHS * math.sqrt(_SMALL / rows))))
    training = _cost(rows, columns, sizes or [rows], epochs)
    folds = min(FOLDS, most_folds) if rows >= FEWEST_ROWS else 0
    turns = folds if folds >= 2 and training * folds * _FEWEST_SETTINGS <= budget else None
    setting = training * (turns or 1)
    settings = _power_of_two(budget / setting, _SETTINGS)
    repeats = max(1, min(_REPEATS, int(budget / (setting * settings))))
    settings = max(settings, _power_of_two(budget / (setting * repeats), 32 * _SETTINGS))
    return {
        "space": {
            "learning_rate": "0.002:0.05:log",
            "batch_size": ",".join(map(str, sizes)) or "full",
            "hidden_units": ",".join(WIDTHS),
            "optimizer": "adamw",
            "weight_decay": "0.01:1:log",
        },
        "method": "sobol",
        "n_trials": settings * repeats * (turns or 1),
        "epochs": epochs,
        "repeats": repeats,
        "folds": turns,
        "metric": "validation_loss",
        "early_stopping": max(5, epochs * 3 // 20),
        "ensemble": min(_MEMBERS, settings // _BEST),
    }


def _cost(rows: int, columns: int, sizes: list[int], epochs: int) -> float:
    """Return the mean time of a training in µs, over batch sizes and widths."""

    def epoch(size: int, widths: tuple[int, ...]) -> float:
        layers = (columns, *widths, 1)
        parameters = sum(m * n for m, n in pairwise(layers))
        return _EPOCH + rows / size * _STEP + rows * parameters * _EXAMPLE

    return epochs * _STOPPED_AT * mean(epoch(size, widths) for size in sizes for widths in WIDTHS.values())


def _power_of_two(number: float, most: int) -> int:
    """Return the largest power of two up to the number, and up to `most`: Sobol points are even in such numbers."""
    return int(min(most, max(_FEWEST_SETTINGS, 2 ** int(math.log2(max(number, 1))))))
