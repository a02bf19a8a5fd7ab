"""Short trainings with a learning rate for every step, of which the tools for one's own network are made.

Nothing that is given is changed: a model is a description, data are only read, and a `theta` is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn import checks
from nn.checks import brief, integer

if TYPE_CHECKING:
    from nn.data import Dataset, Split
    from nn.model import MLP
    from nn.optimizers import Optimizer
    from nn.run import Run


def train_with_rates(
    model: MLP,
    data: Split | Dataset,
    optimizer: Optimizer | None,
    rates: NDArray[np.float64],
    batch_size: int | str | None,
    seed: int,
    theta: ArrayLike | None,
) -> Run:
    """Train with exactly these learning rates, one a mini-batch, and record the losses."""
    from nn import train

    part = part_of(data)
    size = checks.batch_size(batch_size, len(part))
    how: dict[str, Any] = {"batch_size": "full", "epochs": len(rates)}
    if size != "full":
        how = {"indices": _indices(len(part), size, len(rates), seed)}
    return train(model, part, optimizer, **how, seed=seed, theta=theta, schedule=rates, record_steps=True)


def part_of(data: Any) -> Dataset:
    """Return the data set to train on: the training part of a split, or a data set itself."""
    from nn import Dataset, Split

    part = data.train if isinstance(data, Split) else data
    if not isinstance(part, Dataset):
        raise TypeError(f"data must be a Split or a Dataset, but got {type(data).__name__}; use Dataset(X, y)")
    return part


def checked_optimizer(optimizer: Any) -> Optimizer:
    """Return an optimizer, SGD unless given."""
    from nn.optimizers import SGD, Optimizer

    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one such as SGD(0.1), but got {brief(optimizer)}")
    return SGD(0.1) if optimizer is None else optimizer


def _indices(examples: int, size: int, steps: int, seed: int) -> NDArray[np.int64]:
    """Return the rows (steps, size) of full batches from one shuffled pass over the examples after another."""
    rng = np.random.default_rng([seed, 1])
    passes = -(-steps * size // examples)
    order = np.concatenate([rng.permutation(examples) for _ in range(passes)])
    return order[: steps * size].reshape(steps, size)


def checked_seeds(seeds: Any) -> tuple[int, ...]:
    """Return the seeds of a sequence, or 0, 1, … up to a number of them."""
    if isinstance(seeds, Sequence | np.ndarray) and not isinstance(seeds, str | bytes):
        chosen = tuple(integer("seeds", seed, 0) for seed in seeds)
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(f"seeds must be a number or different seeds, but got {brief(seeds)}")
        return chosen
    return tuple(range(integer("seeds", seeds, 1)))
