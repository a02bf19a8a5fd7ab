"""The digits as several experiments take them."""

from __future__ import annotations

import numpy as np

from nn import Dataset, load_dataset
from tuning.laboratory.findings import Array


def some_digits(examples: int | None, seed: int) -> Dataset:
    """Return so many of the digits, or all 1,797, in an order that `seed` draws."""
    digits = load_dataset("digits")
    return digits.subset(np.random.default_rng(seed).permutation(len(digits))[:examples])


def standardised_digits(examples: int | None = None, seed: int = 0) -> Dataset:
    """Return so many of the digits, or all, drawn with `seed`; each feature is standardised over all 1,797 of them."""
    scaling = load_dataset("digits").fit_scaling()
    return some_digits(examples, seed).scaled_by(scaling)


def principal_digits(examples: int, directions: int, seed: int) -> tuple[Array, Array, Array]:
    """Return digits drawn with `seed` on their principal directions of most variance.

    Returns:
        U (N, D) with columns of length 1, the pixels' lengths s (D,) along each, and centred one-hot targets (N, 10).
    """
    digits = some_digits(examples, seed)
    pixels, targets = np.asarray(digits.X), np.eye(10)[digits.targets]
    U, s, _ = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)
    return U[:, :directions], s[:directions], targets - targets.mean(axis=0)
