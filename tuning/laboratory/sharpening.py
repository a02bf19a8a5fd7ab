"""Full-batch training with an eye on the sharpness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import MLP, SGD, Dataset, Snapshot, train
from nn.curvature import SharpnessTracker

# Along a trajectory the error of λ is of the order of the square of this.
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Sharpening:
    """One training: its loss before every step (T,), and the sharpness (M,) when `steps` (M,) were done."""

    data: str
    optimizer: SGD
    loss: NDArray[np.float64]
    steps: NDArray[np.int64]
    sharpness: NDArray[np.float64]


def follow_sharpness(
    model: MLP, data: Dataset, optimizer: SGD, steps: int, every: int, seed: int, **options: Any
) -> Sharpening:
    """Train on all examples at once from the start that `seed` draws; `options` are those of `train`.

    The sharpness is looked at before the first step, and then after each `every` steps.
    """
    start = model.init(seed)
    tracker = SharpnessTracker(model, data.X, data.targets, tolerance=TOLERANCE)
    seen = [(0, tracker(start))]

    def look(snapshot: Snapshot) -> None:
        seen.append((snapshot.step, tracker(snapshot.theta)))

    run = train(
        model, data, optimizer, batch_size="full", epochs=steps, theta=start,
        callback=look, every_steps=every, **options,
    )  # fmt: skip
    at, sharpness = zip(*seen, strict=True)
    return Sharpening(data.name, optimizer, run.history.train_loss, np.array(at), np.array(sharpness))
