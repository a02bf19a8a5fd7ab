"""The standardised digits of the experiments, and their principal directions."""

from __future__ import annotations

import numpy as np
import pytest

from nn import load_dataset
from tuning.laboratory.digits import principal_digits, some_digits, standardised_digits


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


def test_principal_directions_hold_most_of_the_variance_and_the_targets_are_centred() -> None:
    U, s, targets = principal_digits(300, 5, seed=9)
    digits = some_digits(300, seed=9)
    pixels = np.asarray(digits.X) - np.asarray(digits.X).mean(axis=0)
    variances = np.linalg.eigvalsh(pixels.T @ pixels)[::-1]
    assert s**2 == pytest.approx(variances[:5], rel=1e-9)
    assert pytest.approx(np.eye(5), abs=1e-12) == U.T @ U
    assert U.T @ pixels @ pixels.T @ U == pytest.approx(np.diag(s**2), abs=1e-9 * s[0] ** 2)
    assert targets.sum(axis=0) == pytest.approx(np.zeros(10), abs=1e-10)
    assert (targets.argmax(axis=1) == digits.targets).all()
