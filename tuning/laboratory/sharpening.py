"""Full-batch training with an eye on the sharpness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import MLP, SGD, Dataset, Run, Snapshot, train
from nn.curvature import SharpnessTracker

# Along a trajectory the error of λ is of the order of the square of this.
TOLERANCE = 1e-3


def follow_sharpness(
    model: MLP, data: Dataset, optimizer: SGD, steps: int, every: int, seed: int, **options: Any
) -> tuple[Run, NDArray[np.int64], NDArray[np.float64]]:
    """Train on all examples at once from the start that `seed` draws; `options` are those of `train`.

    Return the run, after how many steps the sharpness was looked at, 0 and then each `every` steps (M,), and what it
    was (M,).
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
    return run, np.array(at), np.array(sharpness)
