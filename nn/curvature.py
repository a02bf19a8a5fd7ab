"""The shape of the objective J at a point theta: how sharply it curves, and how noisy its gradient is.

All functions take the model first, then theta (P,), X (N, D) and y; y holds class numbers from 0 (N,), or values (N,)
or (N, K). Where the model does not name its output and loss, they follow y: whole numbers are classes, other numbers
are values. Nothing here uses dropout. J is the mean loss over the examples plus l2/2·ΣW².

Eigenvalues and noise scales are computed in float64 at the given theta, whatever the model's dtype: they are
differences of large numbers, or limits that float32 does not reach.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from nn import compiled
from nn.checks import integer, real
from nn.model import MLP
from nn.objective import prepare

Array = NDArray[Any]

# A start that is given gets this much of a random direction added, relative to its length: from an exact eigenvector
# alone, the Lanczos iteration would never see that another eigenvalue has become the largest.
START_NOISE = 0.1


# -- sharpness -------------------------------------------------------------------------------------------------


def sharpness(
    model: MLP,
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 300,
    start: ArrayLike | None = None,
    seed: int = 0,
) -> float:
    """Return the sharpness: the largest algebraic eigenvalue of the Hessian of J at theta, on all the examples.

    Gradient descent with the learning rate η is stable on a quadratic where the sharpness is below 2/η. Parameters,
    accuracy, warnings and errors are those of `top_eigenpair`, which gives the eigenvector besides.

    ½·(2·θ)² has the second derivative 4:

    >>> model = MLP((1, 1), output="identity", bias=False)
    >>> round(sharpness(model, [3.0], X=[[2.0]], y=[0.0]), 9)
    4.0
    """
    return top_eigenpair(
        model, theta, X, y, tolerance=tolerance, max_iterations=max_iterations, start=start, seed=seed
    )[0]


def top_eigenpair(
    model: MLP,
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 300,
    start: ArrayLike | None = None,
    seed: int = 0,
) -> tuple[float, Array]:
    """Return the largest algebraic eigenvalue of the Hessian of J at theta, and its eigenvector.

    It is found by the Lanczos iteration with full re-orthogonalisation on exact Hessian-vector products (Golub & Van
    Loan 2013, section 10.1). Each iteration costs one product on all examples and keeps one vector of P numbers.

    Args:
        model, theta, X, y: As for `MLP.loss`.
        tolerance: The iteration has converged when ‖Hu − λu‖ ≤ tolerance·‖H‖, with ‖H‖ estimated from below. The error
            of λ is as a rule of the order of the square of that: along a trajectory, a tolerance of 1e-3 is plenty.
        max_iterations: The iterations after which it ends in any case.
        start (array (P,)): The direction to start from, such as the eigenvector at a theta nearby; a random one unless
            given.
        seed: The seed of the random direction.

    Returns:
        tuple of float and array (P,): λ, which is never above the true value but for rounding, and u of length 1, both
            in float64; NaN where the Hessian is not finite.

    Raises:
        ValueError, TypeError: For what does not fit, before any work starts.

    Warns:
        RuntimeWarning: Where it has not converged: λ is then a lower bound, and the warning states the residual.
    """
    tracker = SharpnessTracker(model, X, y, tolerance=tolerance, max_iterations=max_iterations, seed=seed)
    if start is not None:
        tracker.start_from(start)
    value = tracker(theta)
    return value, np.full(model.size, np.nan) if tracker.vector is None else tracker.vector


class SharpnessTracker:
    """Sharpness along a trajectory: the examples are checked once, and each call starts from the last eigenvector.

    `tracker(theta)` returns the sharpness at theta (P,); then `tracker.vector` (P,) is its eigenvector (None after NaN)
    and `tracker.iterations` the number of iterations that it took. Parameters, accuracy, warnings and errors are those
    of `top_eigenpair`. A warm start changes the value within the tolerance only, unless the two largest eigenvalues are
    about to cross.

    >>> model = MLP((1, 1), output="identity", bias=False)
    >>> tracker = SharpnessTracker(model, X=[[2.0]], y=[0.0])
    >>> [round(tracker(theta), 9) for theta in ([3.0], [2.0])]
    [4.0, 4.0]
    """

    vector: Array | None

    def __init__(
        self,
        model: MLP,
        X: ArrayLike,
        y: ArrayLike,
        *,
        tolerance: float = 1e-6,
        max_iterations: int = 300,
        seed: int = 0,
    ) -> None:
        self.tolerance = real("tolerance", tolerance, 1e-12, below=1.0)
        self.max_iterations = integer("max_iterations", max_iterations, 1)
        self.model, self.data = prepare(model.replace(dtype="float64"), X, y)
        self.noise = np.random.default_rng(integer("seed", seed, 0)).standard_normal(self.model.size)
        self.vector = None
        self.iterations = 0

    def start_from(self, start: ArrayLike) -> None:
        """Take `start` (P,) for the last eigenvector. Raises ValueError for a wrong shape, NaN and zero."""
        vector = compiled.parameters(self.model, start, "start")
        top = float(np.abs(vector).max())
        if top == 0:
            raise ValueError("start must not be 0 throughout, but it is; leave it out for a random one")
        vector /= top  # so that no square under- or overflows
        self.vector = vector / np.linalg.norm(vector)

    def __call__(self, theta: ArrayLike) -> float:
        """Return the sharpness at theta (P,)."""
        point = compiled.parameters(self.model, theta)
        start = self.noise
        if self.vector is not None:
            start = self.vector + START_NOISE / np.linalg.norm(self.noise) * self.noise

        def product(v: Array) -> Array:
            return compiled.hessian_vector_product(self.model, point, v, self.data)

        with np.errstate(over="ignore", invalid="ignore"):
            found = _lanczos(product, start, self.tolerance, self.max_iterations)
        self.iterations = found.iterations
        if math.isnan(found.value):
            self.vector = None
            return found.value
        self.vector = found.vector
        if not found.converged:
            warnings.warn(
                f"sharpness has not converged in {found.iterations} iterations: {found.value:.6g} is a lower bound, "
                f"with a residual of {found.residual:.2g}; give more max_iterations or a larger tolerance",
                RuntimeWarning,
                stacklevel=2,
            )
        return found.value


class _Ritz(NamedTuple):
    value: float
    vector: Array
    residual: float
    iterations: int
    converged: bool


def _lanczos(product: Callable[[Array], Array], start: Array, tolerance: float, max_iterations: int) -> _Ritz:
    """Find the largest Ritz pair of a symmetric operator H.

    T = Qᵀ H Q is tridiagonal, and its top eigenpair (λ, s) gives the vector Q s.
    The residual ‖H Q s − λ Q s‖ is the next off-diagonal element of T times |s_m|. Each ‖T e_i‖ is ‖H q_i‖ ≤ ‖H‖.
    """
    size = len(start)
    limit = min(size, max_iterations)
    Q = np.empty((min(limit, 32), size))
    diagonal, beside = np.empty(limit), np.zeros(limit)
    q, norm = start / np.linalg.norm(start), 0.0
    for m in range(limit):
        if m == len(Q):
            Q = np.concatenate([Q, np.empty((min(len(Q), limit - m), size))])
        Q[m] = q
        r = product(q)
        diagonal[m] = q @ r
        if not np.isfinite(r).all() or not np.isfinite(diagonal[m]):
            return _Ritz(math.nan, start, math.nan, m + 1, False)
        known = Q[: m + 1]
        for _ in range(2):  # twice is enough (Parlett 1998, section 6.9)
            r = r - (known @ r) @ known
        beside[m] = scipy.linalg.norm(r)  # whose squares neither over- nor underflow
        norm = max(norm, math.hypot(diagonal[m], beside[m], beside[m - 1] if m else 0.0))
        scale = norm or 1.0  # LAPACK's bisection fails on numbers whose squares over- or underflow
        values, vectors = scipy.linalg.eigh_tridiagonal(
            diagonal[: m + 1] / scale, beside[:m] / scale, select="i", select_range=(m, m)
        )
        residual = float(beside[m] * abs(vectors[-1, 0]))
        converged = residual <= tolerance * norm or m + 1 == size
        if converged or m + 1 == limit:
            break
        q = r / beside[m]
    top = vectors[:, 0] @ known
    return _Ritz(float(values[0]) * scale, top / np.linalg.norm(top), residual, m + 1, converged)


# -- noise -----------------------------------------------------------------------------------------------------


def example_gradient_norms(model: MLP, theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> Array:
    """Return ‖g_i‖ (N,), not squared: the norm of the gradient of each example's loss, without the penalty.

    One backward pass gives all of them (Goodfellow 2015), in the dtype of the model. Arguments and errors are those of
    `MLP.loss`.
    """
    model, data = prepare(model, X, y)
    norms: Array = np.sqrt(compiled.example_gradient_norms(model, compiled.parameters(model, theta), data))
    return norms


def gradient_noise_scale(model: MLP, theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> float:
    """Return B_simple = tr Σ / ‖G‖², the batch size at which noise and signal of a mini-batch gradient are the same.

    That is equation 2.9 of McCandlish et al. 2018, computed exactly. G = 1/N Σ_i g_i is the gradient over the N
    examples, and Σ the covariance of the g_i with the divisor N, as befits batches that are drawn from these N:

        tr Σ = 1/N Σ_i ‖g_i‖² − ‖G‖²

    Gradients are those of the loss, without the penalty.

    Args:
        model, theta, X, y: As for `top_eigenpair`, and with the same errors.

    Returns:
        B_simple; infinite where G is 0 and the g_i are not, NaN where all are.

    Two examples that pull by 3 and 1 in one direction: G = 2, Σ = 1.

    >>> model = MLP((1, 1), output="identity", bias=False)
    >>> gradient_noise_scale(model, [0.0], X=[[1.0], [1.0]], y=[-3.0, -1.0])
    0.25
    """
    model, data = prepare(model.replace(dtype="float64", l2=0.0), X, y)
    point = compiled.parameters(model, theta)
    signal = _squared_norm(compiled.loss_gradient(model, point, data)[1])
    second_moment = float(compiled.example_gradient_norms(model, point, data).mean())
    return _ratio(max(0.0, second_moment - signal), signal)


class NoiseScale(NamedTuple):
    """A two-batch estimate of the noise scale; its standard error comes from the scatter of the draws."""

    noise_scale: float  # covariance_trace / squared_gradient
    standard_error: float
    covariance_trace: float  # S, an unbiased estimate of tr Σ
    squared_gradient: float  # an unbiased estimate of ‖G‖²


def two_batch_noise_scale(
    model: MLP,
    theta: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    *,
    batch_sizes: tuple[int, int] = (8, 64),
    draws: int = 100,
    seed: int = 0,
) -> NoiseScale:
    """Estimate `gradient_noise_scale` from gradients at two batch sizes b < B (McCandlish et al. 2018, A.1).

        ‖G‖²  ≈  (B·‖G_B‖² − b·‖G_b‖²) / (B − b)
        tr Σ  ≈  (‖G_b‖² − ‖G_B‖²) / (1/b − 1/B)

    Both are unbiased for batches drawn with replacement, as here, and are averaged over the draws. Their ratio is not
    unbiased; its standard error is that of a ratio of means, to first order.

    Args:
        model, theta, X, y: As for `top_eigenpair`, and with the same errors.
        batch_sizes: b and B, at most N.
        draws: The number of batches of each size, at least 2.
        seed: The seed of the draws.

    Returns:
        The estimate with its standard error, and the two means that it is the ratio of.
    """
    model, data = prepare(model.replace(dtype="float64", l2=0.0), X, y)
    point = compiled.parameters(model, theta)
    try:
        few, many = batch_sizes
    except (TypeError, ValueError):
        raise ValueError(f"batch_sizes must be two numbers such as (8, 64), but got {batch_sizes!r}") from None
    small, big = (integer("batch_sizes", size, 1, len(data.X)) for size in (few, many))
    if small >= big:
        raise ValueError(f"batch_sizes must be a smaller and a larger one, but got ({small}, {big})")
    draws = integer("draws", draws, 2)
    rng = np.random.default_rng(integer("seed", seed, 0))
    squares = np.empty((draws, 2))
    for draw in range(draws):
        for column, size in enumerate((small, big)):
            batch = data.take(rng.integers(0, len(data.X), size))
            squares[draw, column] = _squared_norm(compiled.loss_gradient(model, point, batch)[1])
    signals = (big * squares[:, 1] - small * squares[:, 0]) / (big - small)
    traces = (squares[:, 0] - squares[:, 1]) / (1 / small - 1 / big)
    signal, trace = float(signals.mean()), float(traces.mean())
    scale = _ratio(trace, signal)
    error = _ratio(float((traces - scale * signals).std(ddof=1)) / math.sqrt(draws), abs(signal))
    return NoiseScale(scale, error, trace, signal)


def _squared_norm(g: Array) -> float:
    return float(g @ g)


def _ratio(noise: float, signal: float) -> float:
    """Return noise / signal; by 0 it is infinite, and NaN for 0 / 0."""
    if signal == 0:
        return math.copysign(math.inf, noise) if noise != 0 else math.nan
    return noise / signal
