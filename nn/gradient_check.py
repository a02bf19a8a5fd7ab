"""A checker for gradients: it compares what the chain rule gave with differences of the function itself.

It takes any function from theta (P,) to its value and gradient, so that a derivative written as an exercise is
checked in the same way as those of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn import compiled, objective
from nn._arrays import as_array, check_finite
from nn.checks import integer, real
from nn.model import MLP

Array = NDArray[np.float64]
Function = Callable[[Array], tuple[Any, Any]]

# How many units of rounding a value is allowed to be off by: a mean over examples is a sum of rounded numbers.
ROUNDINGS = 32


class Comparison(NamedTuple):
    """The slope of a function along one direction of theta, from its gradient and from its values."""

    direction: str  # "parameter 3", or "random direction 0"
    analytic: float  # gradient · direction
    numeric: float  # the difference quotient
    relative_error: float  # |analytic − numeric| / max(|analytic|, |numeric|), after what rounding explains


class GradientCheck(NamedTuple):
    """The comparisons of a check that was passed, and the largest relative error among them."""

    relative_error: float
    comparisons: tuple[Comparison, ...]


def check_gradient(
    function: Function,
    theta: ArrayLike,
    *,
    tolerance: float = 1e-7,
    directions: int = 5,
    coordinates: int = 20,
    step: float = 1e-4,
    seed: int = 0,
) -> GradientCheck:
    """Compare a gradient with central differences in float64, and raise an error with both numbers if they differ.

    The numeric slope along a direction u of length 1 is of fourth order in h = step · max(1, max|theta|):

        f'(0) ≈ (8·(f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h,    f(t) = f(theta + t·u)

    A difference of a few roundings of f, divided by h, is not held against the gradient. The function must be smooth
    within 2h of theta: at a kink of relu the two slopes differ by right. It is called
    4 · (directions + coordinates) + 1 times.

    Args:
        function: `function(theta)` gives a value f and its gradient (P,).
        theta (array (P,)): The point to check the gradient at.
        tolerance: The largest relative error that passes.
        directions: The number of random directions, in which every parameter takes part.
        coordinates: The number of single parameters to go along (all, if P is not more), which show where an error
            sits.
        step: The relative step of the differences.
        seed: The seed of the directions and of the choice of parameters.

    Returns:
        All comparisons, and the largest relative error among them.

    Raises:
        ValueError, TypeError: For a gradient that differs; for a bad theta, a value that is not one finite number, or a
            gradient of another shape.

    The gradient of Σt² is 2t:

    >>> check_gradient(lambda t: (t @ t, 2 * t), [1.0, -3.0]).relative_error < 1e-7
    True
    >>> check_gradient(lambda t: (t @ t, [2.001, 2] * t), [1.0, -3.0], directions=0)
    Traceback (most recent call last):
    ...
    ValueError: the gradient must agree with central differences to 1e-07, but along parameter 0 it gives 2.001
    and the differences give 2 (relative error 0.0005)
    """
    point = _vector(theta)
    tolerance, step = real("tolerance", tolerance, above=0.0), real("step", step, above=0.0)
    directions, coordinates = integer("directions", directions, 0), integer("coordinates", coordinates, 0)
    if directions + coordinates == 0:
        raise ValueError("directions and coordinates must not both be 0: there would be nothing to compare")
    rng = np.random.default_rng(integer("seed", seed, 0))
    value, slopes = function(point.copy())
    _number(value)
    gradient = np.asarray(slopes, dtype=np.float64)
    if gradient.shape != point.shape:
        raise ValueError(f"the gradient must have the shape {point.shape} of theta, but got {gradient.shape}")
    check_finite("the gradient", gradient)
    h = step * max(1.0, float(np.abs(point).max()))
    chosen = np.sort(rng.permutation(len(point))[:coordinates])
    drawn = ((f"random direction {number}", rng.standard_normal(len(point))) for number in range(directions))
    single = ((f"parameter {index}", np.arange(len(point)) == index) for index in chosen)
    along = ((name, u / np.linalg.norm(u)) for name, u in chain(drawn, single))
    comparisons = [_compare(name, function, point, gradient, u, h) for name, u in along]
    worst = max(comparisons, key=lambda c: c.relative_error)
    if worst.relative_error > tolerance:
        raise ValueError(
            f"the gradient must agree with central differences to {tolerance:g}, but along {worst.direction} it gives "
            f"{worst.analytic:.10g} and the differences give {worst.numeric:.10g} "
            f"(relative error {worst.relative_error:.2g})"
        )
    return GradientCheck(worst.relative_error, tuple(comparisons))


def objective_function(model: MLP, X: ArrayLike, y: ArrayLike) -> Function:
    """Return the objective J of a model, penalty included, as a function of theta for `check_gradient`, in float64.

    X (N, D) and y are those of `MLP.loss`.

    >>> model = MLP((2, 3, 1), activation="tanh")
    >>> function = objective_function(model, X=[[1.0, 2.0], [0.5, -1.0]], y=[0.5, 1.5])
    >>> check_gradient(function, model.init(seed=0)).relative_error < 1e-7
    True
    """
    model, data = objective.prepare(model.replace(dtype="float64"), X, y)

    def function(theta: Array) -> tuple[float, Array]:
        point = compiled.parameters(model, theta)
        value, gradient = compiled.loss_gradient(model, point, data)
        return value + objective.penalty(model, point), gradient

    return function


def _compare(name: str, function: Function, point: Array, gradient: Array, u: Array, h: float) -> Comparison:
    values = np.array([_number(function(point + t * h * u)[0]) for t in (-2, -1, 1, 2)])
    numeric = float(values @ np.array([1.0, -8.0, 8.0, -1.0])) / (12 * h)
    analytic = float(gradient @ u)
    rounding = ROUNDINGS * np.finfo(np.float64).eps * float(np.abs(values).max()) / h
    excess = max(0.0, abs(analytic - numeric) - rounding)
    size = max(abs(analytic), abs(numeric))
    return Comparison(name, analytic, numeric, excess / size if excess > 0 else 0.0)


def _vector(theta: ArrayLike) -> Array:
    array = as_array("theta", theta)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"theta must hold real numbers, but got dtype {array.dtype}")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"theta must have the shape (P,) with P of at least 1, but got shape {array.shape}")
    check_finite("theta", array)
    return array.astype(np.float64)


def _number(value: Any) -> float:
    if np.ndim(value) != 0:
        raise ValueError(f"the function's value must be one number, but got shape {np.shape(value)}")
    return real("the function's value", value)
