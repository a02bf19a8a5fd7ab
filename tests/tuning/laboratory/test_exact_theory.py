"""Deep linear networks, modified flows and noise floors, with other sizes and seeds than the script's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.integrate

from nn import MLP, SGD, train
from tuning.laboratory import exact_theory as experiment
from tuning.laboratory.exact_theory import Errors, Floor, Measured, Modes
from tuning.laboratory.findings import log_slope

SEED = 11


@pytest.fixture(scope="module")
def modes() -> Modes:
    return experiment.learn_modes(
        SEED, examples=250, directions=4, hidden=150, start=4e-3, std=2e-3, learning_rate=0.03, time=50.0
    )


@pytest.fixture(scope="module")
def errors() -> Errors:
    return experiment.compare_flows(SEED, learning_rates=(0.04, 0.02, 0.01, 0.005), points=13, hidden=5, time=1.2)


@pytest.fixture(scope="module")
def floor() -> Floor:
    return experiment.settle(
        SEED, directions=3, learning_rates=(0.015, 0.03, 0.15), batch_sizes=(3, 9), steps=20_000, chains=8
    )


# -- deep linear networks --------------------------------------------------------------------------------------


def test_two_layers_learn_each_mode_along_a_sigmoid(modes: Modes) -> None:
    theory = experiment.sigmoidal(modes.times, modes.strengths, 4e-3)
    assert np.abs(modes.deep - theory).max() < 0.01 * modes.strengths.min()
    assert modes.deep[-1] == pytest.approx(modes.strengths, rel=0.01)


def test_the_rise_comes_the_later_the_weaker_the_mode(modes: Modes) -> None:
    """Half of the strength is reached at ln(s/a₀ − 1)/(2s)."""
    for s, strength in zip(modes.strengths, modes.deep.T, strict=True):
        half = np.interp(s / 2, strength, modes.times)
        assert half == pytest.approx(math.log(s / 4e-3 - 1) / (2 * s), rel=0.01)


def test_one_layer_learns_exponentially_and_two_do_not(modes: Modes) -> None:
    straight = experiment.exponential(modes.times, modes.strengths)
    assert experiment.mode_error(modes.shallow, straight, modes.strengths) < 0.02
    assert experiment.mode_error(modes.deep, straight, modes.strengths) > 0.5
    sigmoid = experiment.sigmoidal(modes.times, modes.strengths, modes.start)
    assert experiment.mode_error(modes.shallow, sigmoid, modes.strengths) > 0.5


def test_a_small_random_start_is_as_good_as_aligned_in_a_wide_network_alone(modes: Modes) -> None:
    def error(found: Modes) -> float:
        theory = experiment.sigmoidal(found.times, found.strengths, found.random_start)
        return experiment.mode_error(found.random, theory, found.strengths)

    narrow = [
        experiment.learn_modes(
            seed, examples=250, directions=4, hidden=5, start=4e-3, std=2e-3, learning_rate=0.1, time=50.0
        )
        for seed in range(SEED, SEED + 4)
    ]
    assert error(modes) < 0.1
    assert max(map(error, narrow)) > 0.15


def test_the_closed_form_solves_its_equation() -> None:
    s, a0, times = np.array([0.3, 1.4]), np.array([1e-3, 0.05]), np.linspace(0, 20, 9)
    solved = scipy.integrate.solve_ivp(
        lambda _, a: 2 * a * (s - a), (0, 20), a0, t_eval=times, method="DOP853", rtol=1e-11, atol=1e-13
    )
    assert experiment.sigmoidal(times, s, a0) == pytest.approx(solved.y.T, rel=1e-8)


def test_the_inputs_are_white_and_the_targets_centred() -> None:
    data = experiment.whitened(examples=120, directions=5, seed=SEED)
    covariance = data.X.T @ data.X / 120
    assert covariance == pytest.approx(np.eye(5), abs=1e-12)
    assert data.X.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-12)
    assert data.y.mean(axis=0) == pytest.approx(np.zeros(10), abs=1e-12)


# -- implicit regularisation -----------------------------------------------------------------------------------


def test_a_step_is_order_two_from_the_flow_and_order_three_from_the_modified_one(errors: Errors) -> None:
    assert [log_slope(errors.learning_rates, each) for each in errors.step.T] == pytest.approx([2, 3], abs=0.1)
    assert (errors.step[:, 1] < errors.step[:, 0]).all()


def test_over_a_fixed_time_each_loses_one_order(errors: Errors) -> None:
    assert [log_slope(errors.learning_rates, each) for each in errors.in_time.T] == pytest.approx([1, 2], abs=0.1)


def test_the_modified_flow_goes_down_the_loss_with_a_quarter_of_h_times_the_squared_gradient() -> None:
    """The direction −g − (h/2)·Hg against differences of E + (h/4)·‖∇E‖²."""
    h, step = 0.3, 1e-5
    X = np.random.default_rng(SEED).normal(size=(9, 2))
    y = X[:, 0] * X[:, 1]
    model = MLP((2, 4, 1), "tanh", "identity", "squared_error", dtype="float64")
    theta = model.init(SEED)

    def modified(theta: np.ndarray) -> float:
        g = model.gradient(theta, X, y)
        return model.loss(theta, X, y) + h / 4 * float(g @ g)

    g = model.gradient(theta, X, y)
    direction = g + h / 2 * model.hessian_vector_product(theta, g, X, y)
    axes = step * np.eye(model.size)
    differences = [(modified(theta + e) - modified(theta - e)) / (2 * step) for e in axes]
    assert direction == pytest.approx(differences, rel=1e-6, abs=1e-9)


def test_flow_is_that_of_a_known_equation() -> None:
    assert experiment.flow(lambda z: -z, 1.5, np.array([2.0, -3.0])) == pytest.approx(
        np.exp(-1.5) * np.array([2.0, -3.0]), rel=1e-11
    )


# -- the noise floor -------------------------------------------------------------------------------------------


def test_the_noise_floor_is_the_exact_one_within_its_error(floor: Floor) -> None:
    for (rate, size), found, error in zip(floor.settings, floor.excess, floor.error, strict=True):
        exact = experiment.stationary_excess(floor.X, floor.residuals, rate, size)
        assert error < 0.03 * exact
        assert abs(found - exact) < 5 * error


def test_the_noise_floor_is_proportional_to_the_rate_over_the_batch_size_for_small_rates(floor: Floor) -> None:
    found = dict(zip(floor.settings, floor.excess.tolist(), strict=True))
    assert found[0.03, 3] / found[0.015, 3] == pytest.approx(2, rel=0.12)
    assert found[0.03, 3] / found[0.03, 9] == pytest.approx(3, rel=0.12)
    assert found[0.15, 3] / found[0.015, 3] > 12  # and more than that for large ones


def test_the_exact_floor_tends_to_the_law_of_small_rates(floor: Floor) -> None:
    for size in (1, 7):
        exact, small = (
            law(floor.X, floor.residuals, 1e-5, size)
            for law in (experiment.stationary_excess, experiment.small_rate_excess)
        )
        assert exact == pytest.approx(small, rel=1e-3)


def test_the_exact_floor_in_one_dimension() -> None:
    """Σ·(2H − η·((1 − 1/B)·H² + E[x⁴]/B)) = (η/B)·E[r²x²], by hand."""
    x, r = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 0.2])
    rate, size = 0.07, 4
    H = (x**2).mean()
    sigma = rate / size * (r**2 * x**2).mean() / (2 * H - rate * ((1 - 1 / size) * H**2 + (x**4).mean() / size))
    assert experiment.stationary_excess(x[:, None], r, rate, size) == pytest.approx(H * sigma / 2)


def test_batches_drawn_with_replacement_have_that_floor() -> None:
    """`replacement=True` draws as the theory has it: the mean loss of the batches is the least loss and the floor."""
    data = experiment.regression(3)
    X, y = np.asarray(data.X), data.targets[:, 0]
    optimum = np.linalg.lstsq(X, y, rcond=None)[0]
    rate, size = 0.2, 4
    run = train(
        experiment.linear((3, 1)),
        data,
        SGD(rate),
        batch_size=size,
        epochs=6000,
        theta=optimum,
        replacement=True,
        seed=SEED,
    )
    blocks = run.history.train_loss[600:].reshape(60, -1).mean(axis=1)
    exact = experiment.stationary_excess(X, y - X @ optimum, rate, size)
    error = blocks.std(ddof=1) / math.sqrt(len(blocks))
    assert error < 0.02 * exact
    assert abs(blocks.mean() - np.mean((y - X @ optimum) ** 2) / 2 - exact) < 5 * error


# -- claims ----------------------------------------------------------------------------------------------------


def test_claims_hold_and_each_number_off_breaks_its_own(modes: Modes, errors: Errors, floor: Floor) -> None:
    measured = Measured(modes, errors, floor)
    assert all(claim.holds for claim in experiment.claims(measured))

    def broken(**changes: object) -> list[int]:
        return [row for row, claim in enumerate(experiment.claims(replace(measured, **changes))) if not claim.holds]

    assert broken(modes=replace(modes, deep=modes.deep * 1.02)) == [0]
    assert broken(modes=replace(modes, random=modes.random * 1.2)) == [1]
    assert broken(modes=replace(modes, shallow=modes.deep)) == [2]
    assert broken(modes=replace(modes, deep=modes.shallow)) == [0, 3]
    assert broken(errors=replace(errors, step=errors.step[:, [0, 0]])) == [5]
    assert broken(errors=replace(errors, in_time=errors.in_time[:, [1, 1]])) == [6]
    off = np.ones(len(floor.settings))
    off[0] = 1.2
    assert broken(floor=replace(floor, excess=floor.excess * off)) == [9]
    off[0] = 0.8
    assert broken(floor=replace(floor, excess=floor.excess * off))[0] == 8
