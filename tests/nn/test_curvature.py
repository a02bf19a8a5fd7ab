"""Sharpness against SciPy and dense Hessians, noise scales against their definitions, and how bad input is refused."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

import nn
from nn import MLP, SGD, Dataset, compiled, curvature, load_dataset, objective, train
from nn.curvature import (
    SharpnessTracker,
    example_gradient_norms,
    gradient_noise_scale,
    sharpness,
    top_eigenpair,
    two_batch_noise_scale,
)

Array = NDArray[Any]


def example(
    sizes: tuple[int, ...] = (3, 5, 4), examples: int = 20, seed: int = 0, **options: Any
) -> tuple[MLP, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    model = MLP(sizes, **{"activation": "tanh", "output": "softmax", "dtype": "float64", **options})
    X, y = rng.normal(size=(examples, sizes[0])), rng.integers(0, sizes[-1], examples)
    return model, rng.normal(0, 0.7, model.size), X, y


def hessian(model: MLP, theta: Array, X: Array, y: Array) -> Array:
    return np.array([model.hessian_vector_product(theta, v, X, y) for v in np.eye(model.size)])


@pytest.fixture(scope="module")
def digits() -> tuple[MLP, Array, Array, Array]:
    """A float32 model trained for a while, and its training examples."""
    part = load_dataset("digits").split(validation=0.2, test=0.2, seed=0).train
    run = train(MLP((64, 16, 10)), part, SGD(0.1), epochs=3)
    return run.model, run.theta, part.X, part.targets


# -- sharpness -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_sharpness_is_what_eigsh_finds(activation: str, seed: int) -> None:
    model, theta, X, y = example((6, 12, 8, 4), 60, seed, activation=activation, l2=0.01 * seed)
    H = LinearOperator(
        (model.size, model.size), lambda v: model.hessian_vector_product(theta, v.ravel(), X, y), dtype=np.float64
    )
    expected = eigsh(H, k=1, which="LA", return_eigenvectors=False)[0]
    assert sharpness(model, theta, X, y) == pytest.approx(expected, rel=1e-9)


def test_sharpness_of_a_trained_float32_network_is_what_eigsh_finds(digits: tuple[MLP, Array, Array, Array]) -> None:
    model, theta, X, y = digits
    double, data = objective.prepare(model.replace(dtype="float64"), X, y)
    point = theta.astype(np.float64)

    def product(v: Array) -> Array:
        return compiled.hessian_vector_product(double, point, np.ascontiguousarray(v.ravel()), data)

    H = LinearOperator((model.size, model.size), product, dtype=np.float64)
    expected = eigsh(H, k=1, which="LA", return_eigenvectors=False)[0]
    value, u = top_eigenpair(model, theta, X, y)
    assert value == pytest.approx(expected, rel=1e-9)
    assert np.linalg.norm(u) == pytest.approx(1.0, abs=1e-12)
    assert np.linalg.norm(product(u) - value * u) <= 2e-6 * expected


def test_sharpness_is_the_largest_algebraic_eigenvalue_even_where_a_negative_one_is_larger() -> None:
    found = False
    for seed in range(30):
        model, theta, X, _ = example((3, 6, 2), 8, seed, output="identity", loss="squared_error")
        targets = np.random.default_rng(seed).normal(0, 30, (8, 2))  # far off: the Hessian is indefinite
        values = np.linalg.eigvalsh(hessian(model, theta, X, targets))
        assert sharpness(model, theta, X, targets) == pytest.approx(values[-1], rel=1e-8)
        found = found or -values[0] > 1.2 * values[-1]
    assert found


def test_sharpness_may_be_negative() -> None:
    """½σ(w)² curves down where σ(w) is above 2/3."""
    model = MLP((1, 1), output="logistic", loss="squared_error", bias=False, dtype="float64")
    expected = hessian(model, np.array([2.0]), [[1.0]], [0.0])[0, 0]
    assert expected < 0
    assert sharpness(model, [2.0], [[1.0]], [0.0]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_one_and_two_parameters_have_the_sharpness_of_the_formula(bias: bool) -> None:
    model = MLP((1, 1), output="identity", bias=bias, dtype="float64")
    X, y = [[1.0], [3.0]], [0.5, -1.0]  # mean x² = 5, mean x = 2
    expected = np.linalg.eigvalsh([[5.0, 2.0], [2.0, 1.0]])[-1] if bias else 5.0
    assert sharpness(model, np.zeros(model.size), X, y) == pytest.approx(expected, rel=1e-12)


def test_sharpness_of_a_zero_hessian_is_zero() -> None:
    model = MLP((2, 3, 1), activation="relu", output="identity", bias=False, dtype="float64")
    value, u = top_eigenpair(model, np.zeros(model.size), np.ones((4, 2)), np.ones(4))
    assert value == 0.0
    assert np.linalg.norm(u) == pytest.approx(1.0)


def test_sharpness_of_degenerate_eigenvalues() -> None:
    """Squared error on K linear outputs repeats each eigenvalue K times."""
    rng = np.random.default_rng(0)
    model = MLP((4, 3), output="identity", bias=False, dtype="float64")
    X, Y = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    expected = np.linalg.eigvalsh(X.T @ X / 30)[-1]
    value, u = top_eigenpair(model, np.zeros(model.size), X, Y)
    assert value == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(model.hessian_vector_product(u, u, X, Y), value * u, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-100, 1e-6, 1e6, 1e100])
def test_sharpness_scales_with_the_square_of_the_inputs(scale: float) -> None:
    rng = np.random.default_rng(0)
    model = MLP((6, 1), output="identity", bias=False, dtype="float64")
    X, y = rng.normal(size=(20, 6)), rng.normal(size=20)
    expected = np.linalg.eigvalsh(X.T @ X / 20)[-1]
    assert sharpness(model, np.zeros(6), scale * X, y) == pytest.approx(scale * scale * expected, rel=1e-9, abs=0)


def test_warm_start_finds_the_same_value_in_fewer_iterations(digits: tuple[MLP, Array, Array, Array]) -> None:
    model, theta, X, y = digits
    tracker = SharpnessTracker(model, X, y)
    cold = tracker(theta)
    first = tracker.iterations
    assert tracker(theta) == pytest.approx(cold, rel=1e-9)
    assert tracker.iterations <= 0.75 * first
    value, u = top_eigenpair(model, theta, X, y)
    assert sharpness(model, theta, X, y, start=u) == pytest.approx(value, rel=1e-9)


def test_start_at_another_eigenvector_does_not_hide_the_largest() -> None:
    for seed in range(5):
        model, theta, X, y = example(seed=seed)
        values, vectors = np.linalg.eigh(hessian(model, theta, X, y))
        for column in (0, -3, -2):
            found = sharpness(model, theta, X, y, start=vectors[:, column])
            assert found == pytest.approx(values[-1], rel=1e-6)


def test_tracker_follows_a_trajectory_as_cold_starts_do() -> None:
    model, theta, X, y = example((4, 8, 3), 40)
    tracker = SharpnessTracker(model, X, y)
    for _ in range(20):
        assert tracker(theta) == pytest.approx(sharpness(model, theta, X, y), rel=1e-6)
        theta = theta - 0.5 * model.gradient(theta, X, y)


def test_unconverged_sharpness_warns_and_is_a_lower_bound() -> None:
    model, theta, X, y = example((6, 12, 4), 50)
    true = np.linalg.eigvalsh(hessian(model, theta, X, y))[-1]
    with pytest.warns(RuntimeWarning, match="not converged in 3 iterations: .* is a lower bound"):
        value = sharpness(model, theta, X, y, max_iterations=3)
    assert 0 < value < true
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sharpness(model, theta, X, y, tolerance=0.5) <= true * (1 + 1e-12)


def test_sharpness_where_the_hessian_overflows_is_nan() -> None:
    model, theta, X, _ = example(output="identity", activation="identity")
    value, u = top_eigenpair(model, np.full(model.size, 1e200), X, np.ones((len(X), 4)))
    assert math.isnan(value)
    assert np.isnan(u).all()
    tracker = SharpnessTracker(model, X, np.ones((len(X), 4)))
    assert math.isnan(tracker(np.full(model.size, 1e200)))
    assert tracker(theta) == pytest.approx(sharpness(model, theta, X, np.ones((len(X), 4))), rel=1e-12)


def test_same_seed_same_sharpness_to_the_bit() -> None:
    assert sharpness(*example(), seed=3) == sharpness(*example(), seed=3)


def test_gradient_descent_is_stable_below_two_over_sharpness_and_not_above() -> None:
    rng = np.random.default_rng(0)
    data = Dataset(rng.normal(size=(40, 3)), rng.normal(size=40))
    model = MLP((3, 1), output="identity", dtype="float64")
    theta = model.init(0)
    limit = 2 / sharpness(model, theta, data.X, data.targets)
    last = [
        train(model, data, SGD(factor * limit), batch_size="full", epochs=400, theta=theta).history.train_loss[-1]
        for factor in (0.98, 1.02)
    ]
    assert last[0] < model.loss(theta, data.X, data.targets) < last[1]


def test_names_are_exported() -> None:
    assert nn.sharpness is sharpness
    assert nn.gradient_noise_scale is gradient_noise_scale


# -- noise -----------------------------------------------------------------------------------------------------


def example_gradients(model: MLP, theta: Array, X: Array, y: Array) -> Array:
    """(N, P), without the penalty, in float64."""
    plain = model.replace(l2=0.0, dtype="float64")
    return np.array([plain.gradient(theta, X[i : i + 1], y[i : i + 1]) for i in range(len(X))])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_example_gradient_norms_are_lengths_without_the_penalty(dtype: str) -> None:
    model, theta, X, y = example(l2=0.5, dtype=dtype)
    norms = example_gradient_norms(model, theta, X, y)
    assert norms.shape == (len(X),)
    assert norms.dtype == dtype
    expected = np.linalg.norm(example_gradients(model, theta, X, y), axis=1)
    np.testing.assert_allclose(norms, expected, rtol=1e-12 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_noise_scale_is_the_trace_of_the_covariance_over_the_squared_gradient(l2: float) -> None:
    model, theta, X, y = example(examples=30, l2=l2)
    gradients = example_gradients(model, theta, X, y)
    trace = np.trace(np.cov(gradients.T, ddof=0))
    expected = trace / (gradients.mean(axis=0) @ gradients.mean(axis=0))
    assert gradient_noise_scale(model, theta, X, y) == pytest.approx(expected, rel=1e-10)


def test_noise_scale_at_the_edges() -> None:
    model = MLP((1, 1), output="identity", bias=False)
    ones = [[1.0], [1.0]]
    assert gradient_noise_scale(model, [0.0], ones, [1.0, 1.0]) == 0.0  # all pull alike
    assert gradient_noise_scale(model, [0.0], ones, [1.0, -1.0]) == math.inf  # noise alone
    assert math.isnan(gradient_noise_scale(model, [1.0], ones, [1.0, 1.0]))  # neither
    assert gradient_noise_scale(model, [0.0], [[1.0]], [2.0]) == 0.0  # one example


def test_two_batch_estimate_agrees_with_the_exact_value_on_digits(digits: tuple[MLP, Array, Array, Array]) -> None:
    model, _, X, y = digits
    theta = model.init(0)
    exact = gradient_noise_scale(model, theta, X, y)
    estimate = two_batch_noise_scale(model, theta, X, y, batch_sizes=(16, 512), draws=600, seed=0)
    assert estimate.noise_scale == estimate.covariance_trace / estimate.squared_gradient
    assert abs(estimate.noise_scale - exact) < 3 * estimate.standard_error
    assert estimate.standard_error < 0.15 * exact


def test_two_batch_numerator_and_denominator_are_unbiased() -> None:
    model, theta, X, y = example(examples=25)
    gradients = example_gradients(model, theta, X, y)
    signal = gradients.mean(axis=0) @ gradients.mean(axis=0)
    trace = (gradients**2).sum(axis=1).mean() - signal
    estimates = np.array(
        [two_batch_noise_scale(model, theta, X, y, batch_sizes=(2, 9), draws=50, seed=s)[2:] for s in range(40)]
    )
    errors = estimates.std(axis=0, ddof=1) / math.sqrt(len(estimates))
    assert (errors < 0.06 * np.array([trace, trace / 5])).all()  # sharp enough to see a wrong divisor
    assert (np.abs(estimates.mean(axis=0) - [trace, signal]) < 3 * errors).all()


def test_standard_error_is_the_scatter_between_seeds() -> None:
    model, theta, X, y = example(examples=25)
    runs = [two_batch_noise_scale(model, theta, X, y, batch_sizes=(2, 20), draws=300, seed=s) for s in range(40)]
    scatter = np.std([run.noise_scale for run in runs], ddof=1)
    assert np.mean([run.standard_error for run in runs]) == pytest.approx(scatter, rel=0.4)


# -- bad input -------------------------------------------------------------------------------------------------

MODEL, THETA, GOOD_X, GOOD_Y = example((3, 5, 4), 6)


@functools.cache
def short_run() -> nn.Run:
    data = Dataset(GOOD_X, np.arange(6) % 4, task="classification")
    return train(MODEL, data, SGD(0.1), batch_size=2, epochs=1)


def call(name: str, theta: Any, X: Any, y: Any) -> Any:
    if name == "predict":
        return short_run().predict(X)
    if name == "hessian_vector_product":
        return MODEL.hessian_vector_product(theta, theta, X, y)
    if name in ("loss", "gradient"):
        return getattr(MODEL, name)(theta, X, y)
    return getattr(curvature, name)(MODEL, theta, X, y)


CALLS = ["loss", "gradient", "hessian_vector_product", "sharpness", "gradient_noise_scale", "example_gradient_norms"]


def assert_one_clear_line(error: pytest.ExceptionInfo[Exception]) -> None:
    text = str(error.value)
    assert 0 < len(text) < 250
    assert "\n" not in text


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"theta": THETA[1:]}, r"theta must have the shape \(44,\)"),
        ({"theta": np.where(np.arange(44) == 7, np.nan, THETA)}, "theta must be finite.*row 7"),
        ({"theta": ["a"] * 44}, "theta must hold real numbers"),
        ({"theta": THETA + 1j}, "theta must hold real numbers"),
        ({"X": GOOD_X[:, 1:]}, r"X must have the shape \(examples, 3\)"),
        ({"X": GOOD_X[0]}, r"X must have the shape \(examples, 3\)"),
        ({"X": GOOD_X[:0], "y": GOOD_Y[:0]}, "at least 1 example"),
        ({"X": np.where(GOOD_X > 0, np.inf, GOOD_X)}, "X must be finite"),
        ({"X": [[1, 2, 3], [1, 2]]}, "X must be an array or nested lists of equal lengths"),
        ({"y": GOOD_Y[:-1]}, "one row for each of the 6 examples"),
        ({"y": [0, 1, 2, 3, 4, 0]}, "between 0 and 3, but got 4"),
        ({"y": [0, 1, 2, 3, -1, 0]}, "between 0 and 3, but got -1"),
        ({"y": [0, 1, 2, 3, 0.5, 0]}, "whole class numbers"),
        ({"y": [0, 1, 2, 3, np.nan, 0]}, "whole class numbers"),
        ({"y": list("abcdab")}, "class numbers or values"),
        ({"y": 3}, "one row for each"),
    ],
)
def test_each_bad_argument_is_refused_with_rule_and_value(name: str, changes: dict[str, Any], message: str) -> None:
    arguments = {"theta": THETA, "X": GOOD_X, "y": GOOD_Y, **changes}
    with pytest.raises((ValueError, TypeError), match=message) as error:
        call(name, **arguments)
    assert_one_clear_line(error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance must be"),
        ({"tolerance": math.nan}, "tolerance must be"),
        ({"max_iterations": 0}, "max_iterations must be an integer of at least 1"),
        ({"start": np.zeros(44)}, "start must not be 0 throughout"),
        ({"start": np.ones(3)}, r"start must have the shape \(44,\)"),
        ({"start": np.full(44, np.inf)}, "start must be finite"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_options_of_sharpness_are_refused(options: dict[str, Any], message: str) -> None:
    for function in (sharpness, top_eigenpair):
        with pytest.raises(ValueError, match=message) as error:
            function(MODEL, THETA, GOOD_X, GOOD_Y, **options)
        assert_one_clear_line(error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_sizes": (4, 4)}, "a smaller and a larger one"),
        ({"batch_sizes": (0, 4)}, "between 1 and 6, but got 0"),
        ({"batch_sizes": (2, 7)}, "between 1 and 6, but got 7"),
        ({"batch_sizes": 4}, "two numbers"),
        ({"batch_sizes": (1, 2, 3)}, "two numbers"),
        ({"batch_sizes": (1, 2), "draws": 1}, "draws must be an integer of at least 2"),
    ],
)
def test_bad_options_of_the_two_batch_estimate_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        two_batch_noise_scale(MODEL, THETA, GOOD_X, GOOD_Y, **options)
    assert_one_clear_line(error)


numbers = st.one_of(
    st.floats(width=64),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.none(),
    st.text(max_size=2),
    st.complex_numbers(),
)
anything = st.one_of(
    numbers,
    st.lists(numbers, max_size=8),
    st.lists(st.lists(numbers, min_size=3, max_size=3), max_size=7),
    st.sampled_from(
        [GOOD_X, GOOD_Y, THETA, GOOD_X.astype("f4").T, GOOD_Y.astype(object), GOOD_X[:, ::-1], {}, object()]
    ),
)


@given(
    name=st.sampled_from([*CALLS, "predict"]), theta=st.just(THETA) | anything, X=anything, y=st.just(GOOD_Y) | anything
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_no_input_crashes(name: str, theta: Any, X: Any, y: Any) -> None:
    """Whatever comes in, there is a result, or an error of one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a sharpness of 1e300 may not converge
            call(name, theta, X, y)
    except (ValueError, TypeError) as error:
        text = str(error)
        assert text
        assert "\n" not in text
