"""Limits, factors and speeds on other quadratics than the script's, held against the roots of the error's recursion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nn import MLP, SGD, Dataset
from tuning.laboratory import quadratic_stability as experiment
from tuning.laboratory.quadratic_stability import Measured

SEED = 17


@pytest.fixture(scope="module")
def measured() -> Measured:
    return experiment.measure(SEED, examples=250, directions=10, momenta=(0.25, 0.8), points=11, steps=1000)


def largest_root(optimizer: SGD, eigenvalue: float) -> float:
    """The size of the larger root of the polynomial that the error along one eigenvector follows."""
    beta, shrink = optimizer.momentum, 1 - optimizer.learning_rate * eigenvalue
    if optimizer.nesterov:
        return float(np.abs(np.roots([1, -(1 + beta) * shrink, beta * shrink])).max())
    return float(np.abs(np.roots([1, -(beta + shrink), beta])).max())


def test_limits_are_where_a_root_leaves_the_unit_circle(measured: Measured) -> None:
    assert len(measured.limits) == 5
    for optimizer, limit in zip(measured.optimizers, measured.limits, strict=True):
        for factor, stable in ((1 - 1e-4, True), (1 + 1e-4, False)):
            at = replace(optimizer, learning_rate=limit * factor)
            assert all(largest_root(at, value) <= 1 for value in measured.eigenvalues) is stable
        assert experiment.stability_limit(optimizer, 1.0) == pytest.approx(limit, rel=1e-4)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.4),
        SGD(1.9),
        SGD(2.2),
        SGD(0.7, momentum=0.2),
        SGD(3.5, momentum=0.6),
        SGD(0.9, momentum=0.3, nesterov=True),
        SGD(1.8, momentum=0.3, nesterov=True),
    ],
    ids=repr,
)
def test_factor_is_the_largest_root(optimizer: SGD) -> None:
    model, data = experiment.problem(examples=120, directions=4, seed=2)
    expected = max(largest_root(optimizer, value) for value in experiment.spectrum(model, data))
    assert experiment.factor_per_step(model, data, optimizer, steps=800, seed=2) == pytest.approx(expected, abs=0.005)


def test_factor_at_any_learning_rate_is_that_of_the_slowest_direction(measured: Measured) -> None:
    assert measured.learning_rates[-1] > 2 / measured.largest  # where it diverges
    for factor, eta in zip(measured.factors, measured.learning_rates, strict=True):
        assert factor == pytest.approx(np.abs(1 - eta * measured.eigenvalues).max(), abs=0.005)


def test_the_fastest_learning_rate_lies_between_the_two_slowest_directions(measured: Measured) -> None:
    low, high = measured.eigenvalues[[0, -1]]
    assert measured.best == pytest.approx(2 / (low + high), rel=0.005)


def test_polyaks_optimum_halves_the_iterations(measured: Measured) -> None:
    kappa = measured.eigenvalues[-1] / measured.eigenvalues[0]
    plain, polyak = experiment.iterations(measured.plain), experiment.iterations(measured.polyak)
    assert plain == pytest.approx(math.log(1e-10) / math.log((kappa - 1) / (kappa + 1)), abs=3)
    assert 0.4 < polyak / plain < 0.6
    assert measured.polyak[20] < 1e-3 * measured.plain[20]


def test_the_problem_is_the_quadratic_that_it_should_be() -> None:
    model, data = experiment.problem(examples=90, directions=3, seed=5)
    second_moment = data.X.T @ data.X / 90
    assert second_moment == pytest.approx(np.diag(np.diag(second_moment)), abs=1e-12)
    assert np.diag(second_moment)[0] == pytest.approx(1.0)
    assert experiment.spectrum(model, data) == pytest.approx(np.sort(np.diag(second_moment)))
    assert data.y.mean(axis=0) == pytest.approx(np.zeros(10), abs=1e-12)


def test_factor_sees_a_decay_that_ends_in_rounding() -> None:
    """One direction and η = 0.9/λ: gone after 16 + 100 digits, long before the steps are over."""
    model = MLP((1, 1), output="identity", loss="squared_error", bias=False, init="lecun", dtype="float64")
    data = Dataset(np.array([[2.0], [-2.0]]), np.array([1.0, -1.5]), task="regression")
    assert experiment.factor_per_step(model, data, SGD(0.9 / 4), steps=1000, seed=0) == pytest.approx(0.1, rel=1e-6)


def test_iterations_count_to_ten_digits() -> None:
    assert experiment.iterations(np.array([1.0, 1e-5, 2e-10, 1e-10, 0.0])) == 3
    assert experiment.iterations(np.array([1.0, 1e-5])) == math.inf


def test_claims_hold_and_each_number_off_breaks_its_own(measured: Measured) -> None:
    assert all(claim.holds for claim in experiment.claims(measured))

    def broken(**changes: object) -> list[int]:
        table = experiment.claims(replace(measured, **changes))
        return [row for row, claim in enumerate(table) if not claim.holds]

    off = measured.limits.copy()
    off[3] *= 1.0002
    assert broken(limits=off) == [4]
    assert broken(largest=1.01) == [0]
    assert broken(factors=measured.factors + 0.006 * (np.arange(11) == 6)) == [6]
    assert broken(best=measured.best * 1.01) == [7]
    assert broken(polyak=measured.plain) == [8]
