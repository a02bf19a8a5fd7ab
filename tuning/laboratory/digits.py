"""The digits as several studies take them."""

from __future__ import annotations

import numpy as np

from nn import Dataset, load_dataset


def standardised_digits(examples: int | None = None, seed: int = 0) -> Dataset:
    """Return so many of the digits, all unless given, in an order that `seed` draws.

    Each feature is standardised over all 1,797 of them.
    """
    digits = load_dataset("digits")
    digits = digits.scaled_by(digits.fit_scaling())
    return digits.subset(np.random.default_rng(seed).permutation(len(digits))[:examples])
