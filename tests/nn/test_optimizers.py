"""Optimizers as descriptions: what they accept, how they read, and the steps that they take on one number."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn import MLP, SGD, Adam, AdamW, Dataset, RMSprop, train
from nn.optimizers import Optimizer

MODEL = MLP((1, 1), bias=False, dtype="float64")
BOWL = Dataset([[1.0], [1.0]], [0.0, 0.0], "regression")  # J(θ) = ½θ², so that the gradient is θ


def course(optimizer: Optimizer, steps: int = 30, start: float = 2.0) -> list[float]:
    """θ after each step on ½θ²."""
    seen: list[float] = []
    train(
        MODEL, BOWL, optimizer, theta=[start], batch_size="full", epochs=steps, divergence_factor=math.inf,
        callback=lambda shown: seen.append(float(shown.theta[0])),
    )  # fmt: skip
    return seen


def sgd(eta: float, beta: float, nesterov: bool, decay: float, clip: float, steps: int = 30) -> list[float]:
    theta, v, seen = 2.0, 0.0, []
    for _ in range(steps):
        g = theta * min(1.0, clip / abs(theta)) if theta else 0.0
        v = beta * v + g
        theta = (1 - eta * decay) * theta - eta * (g + beta * v if nesterov else v)
        seen.append(theta)
    return seen


def adam(eta: float, beta1: float, beta2: float, epsilon: float, decay: float, steps: int = 30) -> list[float]:
    theta, m, s, seen = 2.0, 0.0, 0.0, []
    for t in range(1, steps + 1):
        m, s = beta1 * m + (1 - beta1) * theta, beta2 * s + (1 - beta2) * theta**2
        change = eta * (m / (1 - beta1**t)) / (math.sqrt(s / (1 - beta2**t)) + epsilon)
        theta = (1 - eta * decay) * theta - change
        seen.append(theta)
    return seen


def rmsprop(eta: float, beta2: float, epsilon: float, beta: float, decay: float, steps: int = 30) -> list[float]:
    theta, s, v, seen = 2.0, 0.0, 0.0, []
    for _ in range(steps):
        s = beta2 * s + (1 - beta2) * theta**2
        v = beta * v + theta / (math.sqrt(s) + epsilon)
        theta = (1 - eta * decay) * theta - eta * v
        seen.append(theta)
    return seen


rates = st.floats(1e-4, 0.5)
betas = st.floats(0, 0.99)


@settings(max_examples=40, deadline=None)
@given(rates, st.floats(0.01, 0.99), st.booleans(), st.floats(0, 1), st.floats(0.1, 5))
def test_sgd_takes_the_steps_of_its_equation(
    eta: float, beta: float, nesterov: bool, decay: float, clip: float
) -> None:
    chosen = SGD(eta, beta, nesterov, weight_decay=decay, clip_norm=clip)
    np.testing.assert_allclose(course(chosen), sgd(eta, beta, nesterov, decay, clip), rtol=1e-9, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(rates, betas, betas, st.sampled_from([1e-8, 1e-3]), st.floats(0, 1))
def test_adam_takes_the_steps_of_its_equation(
    eta: float, beta1: float, beta2: float, epsilon: float, decay: float
) -> None:
    chosen = Adam(eta, beta1, beta2, epsilon, weight_decay=decay)
    np.testing.assert_allclose(course(chosen), adam(eta, beta1, beta2, epsilon, decay), rtol=1e-7, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(rates, betas, st.sampled_from([1e-8, 1e-3]), st.one_of(st.just(0.0), betas), st.floats(0, 1))
def test_rmsprop_takes_the_steps_of_its_equation(
    eta: float, beta2: float, epsilon: float, beta: float, decay: float
) -> None:
    chosen = RMSprop(eta, beta2, epsilon, beta, weight_decay=decay)
    np.testing.assert_allclose(course(chosen), rmsprop(eta, beta2, epsilon, beta, decay), rtol=1e-7, atol=1e-9)


def test_plain_gradient_descent_shrinks_a_bowl_by_one_minus_the_rate() -> None:
    np.testing.assert_allclose(course(SGD(0.25)), 2 * 0.75 ** np.arange(1, 31), rtol=1e-13)


def test_the_first_step_of_adam_has_the_length_of_the_rate() -> None:
    for start in (1e-3, 1.0, 1e3):
        assert course(Adam(0.01), 1, start)[0] == pytest.approx(start - 0.01, rel=1e-4)


def test_adamw_is_adam_with_decay() -> None:
    assert AdamW(0.01).weight_decay == 0.01
    assert course(AdamW(0.01, weight_decay=0.3)) == course(Adam(0.01, weight_decay=0.3))
    assert course(AdamW(0.01, weight_decay=0.0)) == course(Adam(0.01))


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (SGD(), "SGD(learning_rate=0.1)"),
        (SGD(0.5, 0.9, True), "SGD(learning_rate=0.5, momentum=0.9, nesterov=True)"),
        (
            SGD(1, clip_norm=2, rate_multipliers=[1, 0]),
            "SGD(learning_rate=1.0, clip_norm=2.0, rate_multipliers=(1.0, 0.0))",
        ),
        (Adam(), "Adam(learning_rate=0.001)"),
        (AdamW(0.01), "AdamW(learning_rate=0.01)"),
        (AdamW(weight_decay=0.1), "AdamW(learning_rate=0.001, weight_decay=0.1)"),
        (RMSprop(0.1, momentum=0.9), "RMSprop(learning_rate=0.1, momentum=0.9)"),
    ],
)
def test_an_optimizer_reads_as_what_makes_it(optimizer: Optimizer, text: str) -> None:
    assert repr(optimizer) == text
    assert hash(optimizer) == hash(dataclasses.replace(optimizer))


def test_optimizers_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SGD(0.1).learning_rate = 0.2  # type: ignore[misc]
    assert dataclasses.replace(SGD(0.1, 0.9), learning_rate=0.2) == SGD(0.2, 0.9)


BAD: list[tuple[Any, dict[str, Any], str]] = [
    *((kind, {"learning_rate": value}, "learning_rate") for kind in (SGD, Adam, AdamW, RMSprop)
      for value in (0, -0.1, math.nan, math.inf, "0.1", None, True, [0.1])),
    *((SGD, {"momentum": value}, "momentum") for value in (-0.1, 1.0, 2, math.nan, "0.9", None)),
    *((SGD, {"weight_decay": value}, "weight_decay") for value in (-1, math.nan, math.inf, "x")),
    *((Adam, {"clip_norm": value}, "clip_norm") for value in (0, -1, math.nan, math.inf, "x")),
    *((Adam, {name: value}, name) for name in ("beta1", "beta2") for value in (-0.1, 1.0, math.nan, "x")),
    *((Adam, {"epsilon": value}, "epsilon") for value in (0, -1e-8, math.nan)),
    *((SGD, {"rate_multipliers": value}, "rate_multipliers") for value in ((1, -1), (math.nan,), ("x",))),
    *((RMSprop, {name: value}, name) for name in ("beta2", "momentum") for value in (-0.1, 1.0, math.nan, "x")),
    *((RMSprop, {"epsilon": value}, "epsilon") for value in (0, -1e-8, math.nan)),
    (SGD, {"nesterov": True}, "nesterov"),
    (SGD, {"nesterov": 1, "momentum": 0.9}, "nesterov"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "name"), BAD)
def test_what_does_not_fit_is_refused_in_one_line(kind: Any, options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}.*but got") as seen:
        kind(**options)
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize("value", [3, "ab"])
def test_rate_multipliers_are_a_sequence_of_numbers(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as seen:
        SGD(0.1, rate_multipliers=value)
    assert "rate_multipliers" in str(seen.value)
    assert "\n" not in str(seen.value)


def test_one_rate_multiplier_a_layer() -> None:
    with pytest.raises(ValueError, match=r"^rate_multipliers must have one value for each of the 1 layers, but got 2$"):
        train(MODEL, BOWL, SGD(0.1, rate_multipliers=(1, 1)), batch_size=2)


class _Unknown(Optimizer):
    pass


class _Odd(SGD):
    kind = 77


class _Empty(SGD):
    def update(self) -> Any:
        return None


class _Bare(SGD):
    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(
    ("made", "law"),
    [
        (lambda: _Unknown(0.1), "^an optimizer must be SGD, .*, but _Unknown is of kind None$"),
        (lambda: _Odd(0.1), "^an optimizer must be SGD, .*, but _Odd is of kind 77$"),
        (lambda: _Empty(0.1), "^update of an optimizer must return a reference.Update .* _Empty returns None$"),
        (lambda: _Bare(), r"^an optimizer must have its learning_rate, but _Bare was made without; call super\(\)"),
    ],
)
def test_a_class_of_ones_own_that_is_not_whole_is_refused_in_one_line(made: Any, law: str) -> None:
    with pytest.raises(TypeError, match=law):
        train(MODEL, BOWL, made(), epochs=1)
