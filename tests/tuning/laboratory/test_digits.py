"""The standardised digits of the studies."""

from __future__ import annotations

import numpy as np

from nn import load_dataset
from tuning.laboratory.digits import standardised_digits


def test_each_feature_has_mean_0_and_deviation_1_over_all_digits() -> None:
    X = np.asarray(standardised_digits(seed=3).X)
    assert X.shape == (1797, 64)
    spread = X.std(axis=0)
    assert np.abs(X.mean(axis=0)).max() < 1e-12
    assert np.where(spread > 0, np.abs(spread - 1), 0).max() < 1e-12


def test_some_are_the_first_of_all_in_an_order_that_the_seed_draws() -> None:
    everything, some = standardised_digits(seed=3), standardised_digits(200, seed=3)
    assert np.array_equal(some.X, np.asarray(everything.X)[:200])
    assert np.array_equal(some.targets, everything.targets[:200])
    assert not np.array_equal(some.X, standardised_digits(200, seed=4).X)
    assert len(np.unique(np.asarray(some.X), axis=0)) == 200


def test_labels_stay_with_their_images() -> None:
    digits = load_dataset("digits")
    labels = {row.tobytes(): label for row, label in zip(np.asarray(digits.X), digits.targets, strict=True)}
    scaled = standardised_digits(seed=9)
    order = np.random.default_rng(9).permutation(1797)
    assert [labels[row.tobytes()] for row in np.asarray(digits.X)[order]] == scaled.targets.tolist()
