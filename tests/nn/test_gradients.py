"""Gradients and Hessian-vector products against central differences, of the reference and of the kernels."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from nn import MLP, compiled, reference
from nn.gradient_check import check_gradient, objective_function
from nn.model import ACTIVATIONS, OUTPUTS

Array = NDArray[Any]

# Slopes are taken within 2·STEP of theta; each Z of a relu network stays this far from its kink.
STEP, MARGIN = 1e-4, 0.01


class Case(NamedTuple):
    """A model, parameters and weighted examples of random sizes."""

    model: MLP
    theta: Array
    X: Array
    y: Array  # class numbers (N,) for softmax, else values (N, K)
    w: Array


def random_case(activation: str, output: str, loss: str, hidden: int, bias: bool, l2: float, seed: int) -> Case:
    for attempt in range(1000):
        rng = np.random.default_rng([seed, attempt])
        sizes = [int(rng.integers(2, 6)), *rng.integers(4, 7, hidden).tolist(), int(rng.integers(2, 5))]
        multipliers = rng.uniform(0.6, 1.5, hidden + 1).tolist()
        model = MLP(sizes, activation, output, loss, multipliers=multipliers, bias=bias, l2=l2, dtype="float64")
        examples = int(rng.integers(3, 7))
        X, theta = rng.normal(size=(examples, sizes[0])), rng.normal(0, 0.7, model.size)
        y = rng.integers(0, sizes[-1], examples) if output == "softmax" else rng.uniform(0, 1, (examples, sizes[-1]))
        w = rng.uniform(0.2, 2.0, examples)
        case = Case(model, theta, X, y, w / w.mean())
        if activation != "relu" or nearest_kink(case) > MARGIN:
            return case
    raise AssertionError("no parameters away from the kinks of relu were found")


def nearest_kink(case: Case) -> float:
    """The least |Z| of all hidden units and examples."""
    net, A, least = case.model.network, case.X, np.inf
    for layer in range(case.model.depth - 1):
        W, b = reference.weights(net, case.theta, layer), reference.biases(net, case.theta, layer)
        Z = reference.linear_forward(A, W, b, net.multipliers[layer])
        least = min(least, float(np.abs(Z).min()))
        A, _ = reference.activation_forward(Z, net.activation)
    return least


class Reference:
    """The plain NumPy functions, in one form for both implementations."""

    @staticmethod
    def loss_gradient(case: Case, theta: Array) -> tuple[float, Array]:
        return reference.loss_gradient(case.model.network, theta, case.X, case.y, case.w)

    @staticmethod
    def hessian_vector_product(case: Case, theta: Array, v: Array) -> Array:
        return reference.hessian_vector_product(case.model.network, theta, v, case.X, case.y, case.w)

    @staticmethod
    def example_gradient_norms(case: Case) -> Array:
        return reference.example_gradient_norms(case.model.network, case.theta, case.X, case.y, case.w)


class Kernels:
    """The compiled functions, in the same form."""

    @staticmethod
    def loss_gradient(case: Case, theta: Array) -> tuple[float, Array]:
        return compiled.loss_gradient(case.model, theta, compiled.examples(case.model, case.X, case.y, case.w))

    @staticmethod
    def hessian_vector_product(case: Case, theta: Array, v: Array) -> Array:
        data = compiled.examples(case.model, case.X, case.y, case.w)
        return compiled.hessian_vector_product(case.model, theta, v, data)

    @staticmethod
    def example_gradient_norms(case: Case) -> Array:
        data = compiled.examples(case.model, case.X, case.y, case.w)
        return compiled.example_gradient_norms(case.model, case.theta, data)


def penalty(case: Case, theta: Array) -> float:
    return 0.5 * case.model.l2 * sum(float((W * W).sum()) for W, _ in case.model.layers(theta))


IMPLEMENTATIONS = pytest.mark.parametrize("functions", [Reference, Kernels])
ACTIVATION = pytest.mark.parametrize("activation", ACTIVATIONS)
OUTPUT = pytest.mark.parametrize(("output", "loss"), OUTPUTS)


def cases(activation: str, output: str, loss: str) -> list[Case]:
    """Every depth, with and without biases and penalty."""
    variants = itertools.product(range(4), [True, False], [0.0, 0.3])
    return [random_case(activation, output, loss, *variant, seed) for seed, variant in enumerate(variants)]


@IMPLEMENTATIONS
@ACTIVATION
@OUTPUT
def test_gradients_agree_with_central_differences(functions: Any, activation: str, output: str, loss: str) -> None:
    for case in cases(activation, output, loss):

        def objective(theta: Array, case: Case = case) -> tuple[float, Array]:
            value, gradient = functions.loss_gradient(case, theta)
            return value + penalty(case, theta), gradient

        check_gradient(objective, case.theta, tolerance=1e-7, directions=2, coordinates=3, step=STEP)


@IMPLEMENTATIONS
@ACTIVATION
@OUTPUT
def test_hessian_vector_products_agree_with_differences_of_gradients(
    functions: Any, activation: str, output: str, loss: str
) -> None:
    """H v is the gradient of ∇J·v, for any fixed v."""
    for case in cases(activation, output, loss):
        v = np.random.default_rng(1).normal(size=case.model.size)

        def slope(theta: Array, case: Case = case, v: Array = v) -> tuple[float, Array]:
            return functions.loss_gradient(case, theta)[1] @ v, functions.hessian_vector_product(case, theta, v)

        check_gradient(slope, case.theta, tolerance=1e-6, directions=2, coordinates=2, step=STEP)


@IMPLEMENTATIONS
@ACTIVATION
@OUTPUT
def test_example_gradient_norms_are_those_of_single_examples(
    functions: Any, activation: str, output: str, loss: str
) -> None:
    for case in cases(activation, output, loss):
        plain = case.model.replace(l2=0.0)
        expected = []
        for i, weight in enumerate(case.w):
            alone = Case(plain, case.theta, case.X[i : i + 1], case.y[i : i + 1], np.ones(1))
            gradient = weight * functions.loss_gradient(alone, case.theta)[1]
            expected.append(np.linalg.norm(gradient))
        norms = np.sqrt(functions.example_gradient_norms(case))
        np.testing.assert_allclose(norms, expected, rtol=1e-12, atol=1e-13)  # a − 1 of a well fitted example is rounded


@IMPLEMENTATIONS
@OUTPUT
def test_losses_are_the_stated_formulas(functions: Any, output: str, loss: str) -> None:
    """Differences would not see a loss that is wrong by a factor together with its gradient."""
    case = random_case("tanh", output, loss, 1, True, 0.0, 5)
    (W1, b1), (W2, b2) = case.model.layers(case.theta)
    m1, m2 = case.model.multipliers
    Z = m2 * (np.tanh(m1 * (case.X @ W1) + b1) @ W2) + b2
    if output == "softmax":
        losses = -log_softmax(Z, axis=1)[np.arange(len(Z)), case.y]
    elif loss == "cross_entropy":
        p = expit(Z)
        losses = -(case.y * np.log(p) + (1 - case.y) * np.log(1 - p)).sum(axis=1)
    else:
        A = expit(Z) if output == "logistic" else Z
        losses = ((A - case.y) ** 2).sum(axis=1) / 2
    value, _ = functions.loss_gradient(case, case.theta)
    assert value == pytest.approx((case.w * losses).mean(), rel=1e-12)


# -- the checker itself ----------------------------------------------------------------------------------------


def planted(factor: float) -> Any:
    def function(theta: Array) -> tuple[float, Array]:
        gradient = np.cos(theta)
        gradient[3] *= factor
        return float(np.sin(theta).sum()), gradient

    return function


THETA = np.linspace(0.1, 1.2, 8)


@pytest.mark.parametrize("parts", [{"directions": 0}, {"coordinates": 0}])
def test_checker_catches_an_error_of_five_in_ten_thousand_in_one_parameter(parts: dict[str, int]) -> None:
    assert check_gradient(planted(1.0), THETA, **parts).relative_error <= 1e-9
    with pytest.raises(ValueError, match="agree with central differences"):
        check_gradient(planted(1.0005), THETA, **parts)


def test_checker_names_the_wrong_parameter_and_both_numbers() -> None:
    right = np.cos(THETA[3])
    with pytest.raises(ValueError, match=rf"along parameter 3 .*{1.0005 * right:.9f}.*{right:.9f}.*error 0\.0005"):
        check_gradient(planted(1.0005), THETA, directions=0)


@ACTIVATION
def test_checker_catches_a_wrong_derivative_of_an_activation(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(activation, "softmax", "cross_entropy", 2, True, 0.0, 3)
    forward = reference.activation_forward

    def wrong(Z: Array, kind: int) -> tuple[Array, Array]:
        A, S = forward(Z, kind)
        return A, S * 1.0005

    def objective(theta: Array) -> tuple[float, Array]:
        return Reference.loss_gradient(case, theta)

    check_gradient(objective, case.theta)
    monkeypatch.setattr(reference, "activation_forward", wrong)
    with pytest.raises(ValueError, match="agree with central differences"):
        check_gradient(objective, case.theta)


def test_checker_catches_a_wrong_derivative_of_the_penalty() -> None:
    model = MLP((3, 4, 2), "tanh", "softmax", l2=0.2, dtype="float64")
    rng = np.random.default_rng(0)
    X, y, theta = rng.normal(size=(5, 3)), rng.integers(0, 2, 5), model.init(0)
    function = objective_function(model, X, y)
    check_gradient(function, theta)
    with pytest.raises(ValueError, match="agree with central differences"):
        check_gradient(lambda t: (function(t)[0], objective_function(model.replace(l2=0.2002), X, y)(t)[1]), theta)


def test_checker_agrees_with_a_correct_gradient_whose_value_is_large() -> None:
    check_gradient(lambda t: (1e6 + t @ t, 2 * t), np.ones(3))


@pytest.mark.parametrize(
    ("function", "theta", "options", "message"),
    [
        (planted(1.0), THETA, {"directions": 0, "coordinates": 0}, "must not both be 0"),
        (planted(1.0), [[1.0]], {}, r"shape \(P,\)"),
        (planted(1.0), [np.nan], {}, "theta must be finite"),
        (planted(1.0), THETA, {"step": 0.0}, "step must be"),
        (lambda t: (t, t), THETA, {}, "value must be one number"),
        (lambda t: (np.nan, t), THETA, {}, "value must be a finite number"),
        (lambda t: (1.0, t[1:]), THETA, {}, r"gradient must have the shape \(8,\)"),
        (lambda t: (1.0, t * np.inf), THETA, {}, "gradient must be finite"),
    ],
)
def test_checker_refuses_what_it_cannot_check(function: Any, theta: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_gradient(function, theta, **options)
