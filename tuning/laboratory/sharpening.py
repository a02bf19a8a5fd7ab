"""Gradient descent on all examples at once, with an eye on the sharpness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nn import MLP, SGD, Dataset, Run, Snapshot, train
from nn.curvature import SharpnessTracker
from tuning.laboratory.findings import Array

# Along a trajectory the error of λ is of the order of the square of this.
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Sharpening:
    """One training: its loss before every step (T,), and the sharpness (M,) when `steps` (M,) were done."""

    data: str
    optimizer: SGD
    loss: Array
    steps: Array
    sharpness: Array


def descend(model: MLP, data: Dataset, optimizer: SGD, steps: int, start: Array, **options: Any) -> Run:
    """Train on all examples at once for so many steps from `start`; `options` are those of `train`."""
    return train(model, data, optimizer, batch_size="full", epochs=steps, theta=start, **options)


def follow_sharpness(
    model: MLP, data: Dataset, optimizer: SGD, steps: int, every: int, seed: int, **options: Any
) -> Sharpening:
    """Descend from the start that `seed` draws; `options` are those of `train`.

    The sharpness is looked at before the first step, and then after each `every` steps.
    """
    start = model.init(seed)
    tracker = SharpnessTracker(model, data.X, data.targets, tolerance=TOLERANCE)
    seen = [(0, tracker(start))]

    def look(snapshot: Snapshot) -> None:
        seen.append((snapshot.step, tracker(snapshot.theta)))

    run = descend(model, data, optimizer, steps, start, callback=look, every_steps=every, **options)
    at, sharpness = zip(*seen, strict=True)
    return Sharpening(data.name, optimizer, run.history.train_loss, np.array(at), np.array(sharpness))
