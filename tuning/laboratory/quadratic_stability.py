"""The limit of stability on a quadratic, and the speed of convergence (Polyak 1964, Some methods of speeding up the
convergence of iteration methods; Goh 2017, Why momentum really works).

The error along an eigenvector of the Hessian with the eigenvalue λ does not mix with the others. Per step of gradient
descent it is multiplied by 1 − ηλ; with momentum it is a sum of powers of the roots z of a polynomial:

    gradient descent   z = 1 − ηλ                                   stable below η = 2/λ
    heavy ball         z² − (1 + β − ηλ)·z + β = 0                  stable below η = 2(1 + β)/λ
    Nesterov           z² − (1 + β)(1 − ηλ)·z + β(1 − ηλ) = 0       stable below η = 2(1 + β)/(λ(1 + 2β))

Between the smallest eigenvalue μ and the largest L, gradient descent is as fast as its slowest direction allows: the
error shrinks by max(|1 − ημ|, |1 − ηL|) per step, least at η = 2/(μ + L), where that is (κ − 1)/(κ + 1) with κ = L/μ.
The heavy ball's best (Polyak 1964) are η = 4/(√L + √μ)² and β = ((√κ − 1)/(√κ + 1))², where both roots are √β in size.

Setting: a linear network without biases from 8 inputs to 10 outputs, squared error, 600 digits on their 8 principal
directions of most variance, scaled so that L = 1, targets one-hot minus their mean. J is then a quadratic, and its
Hessian is the same 8 × 8 matrix for each output. The rate is the slope of the logarithm of the gradient's length over
the later half of the steps, when all but the slowest direction has died out. Since the descent is linear, the start may
be far away, 1e100 here, and rounding ends the decay only 110 orders of magnitude later. A learning rate is stable when
the rate is at most 1, and the limit is bisected.

What differs from the papers: nothing. At Polyak's optimum the root is double, so that the error falls as t·√βᵗ: it
takes a few steps more than √β alone says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize

from nn import MLP, SGD, Dataset, sharpness
from tuning.laboratory.digits import principal_digits
from tuning.laboratory.findings import Array, Claim
from tuning.laboratory.parallel import map_in_threads
from tuning.laboratory.sharpening import descend

FAR = 1e100
# Below this share of the gradient's length at theta = 0, what is left of the gradient is rounding.
ROUNDING = 1e-10
REDUCTION = 1e-10  # of the gradient, for which iterations are counted


@dataclass(frozen=True, eq=False)
class Measured:
    """Eigenvalues, limits, and the factor by which the gradient's length changes in one step."""

    eigenvalues: Array  # (D,) of the Hessian of one output, rising
    largest: float  # eigenvalue of the whole Hessian
    optimizers: tuple[SGD, ...]  # (O,) whose limits were looked for; their own learning rate means nothing
    limits: Array  # (O,) largest stable learning rates
    learning_rates: Array  # (R,)
    factors: Array  # (R,) per step, of gradient descent
    best: float  # learning rate at which gradient descent is fastest
    plain: Array  # (T,) gradient norm in each step, at that learning rate
    polyak: Array  # (T,) the same of the heavy ball at Polyak's optimum


def problem(examples: int = 600, directions: int = 8, seed: int = 0) -> tuple[MLP, Dataset]:
    """Return the linear network and the digits, drawn with `seed`, on their principal directions, so that L = 1."""
    U, s, Y = principal_digits(examples, directions, seed)
    X = U * s * (math.sqrt(examples) / s[0])
    model = MLP((directions, 10), output="identity", loss="squared_error", init="lecun", bias=False, dtype="float64")
    return model, Dataset(X, Y, task="regression", name="digits on principal directions")


def factor_per_step(model: MLP, data: Dataset, optimizer: SGD, steps: int, seed: int) -> float:
    """Return the factor by which the gradient's length changes per step in the long run, below 1 where it decays."""
    # Training ends early only where the numbers overflow.
    run = descend(model, data, optimizer, steps, FAR * model.init(seed), divergence_factor=math.inf)
    norms = run.history.gradient_norm
    floor = ROUNDING * float(np.linalg.norm(model.gradient(np.zeros(model.size), data.X, data.y)))
    lost = np.flatnonzero(~(np.isfinite(norms) & (norms > floor)))
    late = np.log(norms[: lost[0] if len(lost) else len(norms)])
    late = late[len(late) // 2 :]
    return math.exp(np.polyfit(np.arange(len(late)), late, 1)[0])


def limit(model: MLP, data: Dataset, optimizer: SGD, steps: int, seed: int, tolerance: float = 1e-6) -> float:
    """Return the largest stable learning rate by bisection, correct to the factor 1 + `tolerance`."""

    def stable(learning_rate: float) -> bool:
        return factor_per_step(model, data, replace(optimizer, learning_rate=learning_rate), steps, seed) <= 1

    low, high = 0.0, 1.0
    while stable(high):
        low, high = high, 2 * high
    while high - low > tolerance * high:
        middle = (low + high) / 2
        low, high = (middle, high) if stable(middle) else (low, middle)
    return (low + high) / 2


def spectrum(model: MLP, data: Dataset) -> Array:
    """Return the eigenvalues (D,) of the Hessian, each of which all outputs share; from products with unit vectors."""
    theta = model.init()
    unit = np.eye(model.size)
    H = np.array([model.hessian_vector_product(theta, e, data.X, data.y) for e in unit])
    return np.linalg.eigvalsh(H)[:: model.layer_sizes[-1]]


def measure(
    seed: int = 0,
    *,
    examples: int = 600,
    directions: int = 8,
    momenta: Sequence[float] = (0.3, 0.5, 0.7, 0.9),
    points: int = 40,
    steps: int = 2000,
) -> Measured:
    """Find the limits of gradient descent and of both kinds of momentum, and the factors at many learning rates.

    There are `points` learning rates, evenly spaced up to 1.1 times the measured limit of gradient descent.
    """
    model, data = problem(examples, directions, seed)
    optimizers = (SGD(), *(SGD(momentum=beta, nesterov=kind) for kind in (False, True) for beta in momenta))

    def limit_of(optimizer: SGD) -> float:
        return limit(model, data, optimizer, steps, seed)

    def factor_at(learning_rate: float) -> float:
        return factor_per_step(model, data, SGD(learning_rate), steps, seed)

    limits = np.array(map_in_threads(limit_of, optimizers, "stability limits"))
    grid = 1.1 * limits[0] * np.arange(1, points + 1) / points
    best = scipy.optimize.minimize_scalar(
        factor_at, bounds=(0.01 * limits[0], limits[0]), method="bounded", options={"xatol": 1e-6 * limits[0]}
    ).x
    eigenvalues = spectrum(model, data)
    small, large = math.sqrt(eigenvalues[0]), math.sqrt(eigenvalues[-1])
    polyak = SGD(4 / (large + small) ** 2, momentum=((large - small) / (large + small)) ** 2)
    start = model.init(seed)
    return Measured(
        eigenvalues=eigenvalues,
        largest=sharpness(model, start, data.X, data.y),
        optimizers=optimizers,
        limits=limits,
        learning_rates=grid,
        factors=np.array(map_in_threads(factor_at, grid.tolist(), "factors")),
        best=float(best),
        plain=descend(model, data, SGD(float(best)), steps, start).history.gradient_norm,
        polyak=descend(model, data, polyak, steps, start).history.gradient_norm,
    )


def iterations(norms: Array) -> float:
    """Return the number of steps after which the gradient is 1e-10 of its first length or less; infinite if never."""
    done = np.flatnonzero(norms <= REDUCTION * norms[0])
    return float(done[0]) if len(done) else math.inf


# -- what was published ----------------------------------------------------------------------------------------


def stability_limit(optimizer: SGD, curvature: float) -> float:
    """Return the largest stable learning rate on a quadratic whose largest eigenvalue is `curvature`.

    >>> stability_limit(SGD(), 4.0), stability_limit(SGD(momentum=0.5), 4.0)
    (0.5, 0.75)
    >>> stability_limit(SGD(momentum=0.5, nesterov=True), 4.0)
    0.375
    """
    beta = optimizer.momentum
    return 2 * (1 + beta) / (curvature * (1 + 2 * beta * optimizer.nesterov))


def slowest_factor(learning_rates: Array, eigenvalues: Array) -> Array:
    """Return max(|1 − ημ|, |1 − ηL|) for each η (R,)."""
    low, high = eigenvalues[0], eigenvalues[-1]
    return np.maximum(np.abs(1 - learning_rates * low), np.abs(1 - learning_rates * high))


def name(optimizer: SGD) -> str:
    """Return the optimiser in words."""
    kind = "Nesterov" if optimizer.nesterov else "heavy ball" if optimizer.momentum else "gradient descent"
    return f"{kind}, β = {optimizer.momentum:g}" if optimizer.momentum else kind


def claims(measured: Measured) -> list[Claim]:
    """Hold the measurement against theory: limits to 1e-4, factors to 0.005, the fastest learning rate to 0.5 %."""
    low, high = measured.eigenvalues[0], measured.eigenvalues[-1]
    table = [Claim("largest eigenvalue L, scaled to", "1", measured.largest, 1 - 1e-6, 1 + 1e-6)]
    for optimizer, found in zip(measured.optimizers, measured.limits, strict=True):
        theory = stability_limit(optimizer, high)
        low_limit, high_limit = theory * (1 - 1e-4), theory * (1 + 1e-4)
        what = f"{name(optimizer)}: largest stable η"
        table.append(Claim(what, f"{theory:.6f}", float(found), low_limit, high_limit))
    gap = np.abs(measured.factors - slowest_factor(measured.learning_rates, measured.eigenvalues))
    best = 2 / (low + high)
    ratio = iterations(measured.polyak) / iterations(measured.plain)
    return [
        *table,
        Claim("rate at any η against max(|1 − ημ|, |1 − ηL|), largest difference", "0", float(gap.max()), high=0.005),
        Claim("fastest η, 2/(μ + L)", f"{best:.6f}", measured.best, best * 0.995, best * 1.005),
        Claim("iterations at Polyak's optimum / at the fastest η", "about ½", ratio, 0.4, 0.6),
    ]
