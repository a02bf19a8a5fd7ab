"""The catapult (Lewkowycz, Bahri, Dyer, Sohl-Dickstein & Gur-Ari 2020, The large learning rate phase of deep learning:
the catapult mechanism).

A linear network with one hidden layer of n units, one example x = 1 with the target 0, and the squared error:

    f = v·u/√n,    J = f²/2,    λ = (‖u‖² + ‖v‖²)/n

λ is the only eigenvalue of the neural tangent kernel, and the curvature of J along its gradient. One step of gradient
descent takes f and λ, exactly and whatever u and v are, to (equations 3 and 4 there, with x = 1 and y = 0)

    f ← f·(1 − ηλ + η²f²/n)
    λ ← λ + (ηf²/n)·(ηλ − 4)

With η = c/λ₀ there are three phases. Below c = 2 the loss falls from the first step on. Between 2 and 4 it grows until
f² is of the order of n, which lowers λ, the more the larger f is, until ηλ < 2: then the loss falls to 0, in a flatter
place. Above 4 the loss drives λ up, and all diverges. The height of the throw is therefore proportional to n.

Setting: u and v are standard normal, float64, c from 0.5 to 8, n from 64 to 16,384. "Converges" is a loss below
1e-10; "diverges" is a loss that leaves the numbers of float64. The slope of the height is that of a straight line
through log height against log n, each height the geometric mean over the starts.

What differs from the paper: nothing in the model. The paper shows the three phases in deep networks too, which is left
out here. In a very narrow network f² is of the order of n from the start, so the slope is measured from n = 256.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nn import MLP, SGD, Dataset, Run, Snapshot
from tuning.laboratory.findings import Array, Claim, log_slope
from tuning.laboratory.parallel import grid_in_threads, seeds_of
from tuning.laboratory.sharpening import descend

CONVERGED = 1e-10  # loss
MAX_STEPS = 100_000  # a throw may land where ηλ is nearly 0, and f falls as slowly
# The one example twice, since a Dataset has at least two rows; the mean over them is the same.
DATA = Dataset(np.ones((2, 1)), np.zeros(2), task="regression", name="one example")


@dataclass(frozen=True, eq=False)
class Throw:
    """f, λ and the loss before every step, all (T,), of one training with η = c/λ₀."""

    width: int
    c: float
    learning_rate: float
    f: Array
    curvature: Array
    loss: Array


@dataclass(frozen=True, eq=False)
class Measured:
    """Some throws in full, how every training ended, and how high the loss was thrown."""

    throws: tuple[Throw, ...]
    factors: Array  # (C,) c
    widths: Array  # (W,)
    converged: Array  # (C, W, S) bool, for each start
    diverged: Array  # (C, W, S) bool
    final: Array  # (C, W, S) ηλ where it converged, else NaN
    peak_factors: Array  # (K,) c
    peak_widths: Array  # (V,)
    peaks: Array  # (K, V, S) largest loss of each training


def network(width: int) -> MLP:
    """Return f = v·u/√n with u, v ~ N(0, 1)."""
    linear = ("identity", "identity", "squared_error")
    scale = (1.0, 1 / math.sqrt(width))
    return MLP((1, width, 1), *linear, std=1.0, multipliers=scale, bias=False, dtype="float64")


def function_and_curvature(model: MLP, theta: Array) -> tuple[float, float]:
    """Return f = v·u/√n and λ = (‖u‖² + ‖v‖²)/n at theta (2n,)."""
    (u, _), (v, _) = model.layers(theta)
    n = u.size
    with np.errstate(over="ignore"):  # a throw may be lost
        return float(u.ravel() @ v.ravel()) / math.sqrt(n), float(theta @ theta) / n


def throw(width: int, c: float, seed: int, look: Callable[[Snapshot], bool] | None = None, every: int = 20) -> Run:
    """Train with η = c/λ₀ until the loss is below 1e-10, which is looked at now and then, or no number any more.

    In place of that, `look` is called after each `every` steps, and ends the training by True.
    """
    model = network(width)
    start = model.init(seed)
    _, curvature = function_and_curvature(model, start)
    options = {"callback": look or converged, "every_steps": every, "divergence_factor": math.inf}
    return descend(model, DATA, SGD(c / curvature), MAX_STEPS, start, **options)


def converged(snapshot: Snapshot) -> bool:
    """Return whether the loss is below 1e-10."""
    return bool(snapshot.history.train_loss[-1] < CONVERGED)


def follow(width: int, c: float, seed: int, steps: int) -> Throw:
    """Keep f, λ and the loss before each of at most `steps` steps, the last of them the first that is below 1e-10."""
    model = network(width)
    seen = [function_and_curvature(model, model.init(seed))]

    def look(snapshot: Snapshot) -> bool:
        seen.append(function_and_curvature(model, snapshot.theta))
        return snapshot.step >= steps or converged(snapshot)

    run = throw(width, c, seed, look, every=1)
    f, curvature = np.array(seen)[: len(run.history)].T
    return Throw(width, c, c / curvature[0], f, curvature, run.history.train_loss)


def recursion(f: Array, curvature: Array, learning_rate: float, width: int) -> tuple[Array, Array]:
    """Return f and λ one step later, by the theory."""
    share = learning_rate * f**2 / width
    step = learning_rate * curvature
    return f * (1 - step + learning_rate * share), curvature + share * (step - 4)


def recursion_error(throw: Throw) -> float:
    """Return by how much f or λ differ from one step of the recursion at most, relative to their size.

    The size of f is that before or after the step, whichever is larger: at c = 1, f falls to nearly 0 in one step.
    """
    f, curvature = recursion(throw.f[:-1], throw.curvature[:-1], throw.learning_rate, throw.width)
    size = np.maximum(np.abs(throw.f[:-1]), np.abs(throw.f[1:]))
    errors = np.abs(f - throw.f[1:]) / size, np.abs(curvature / throw.curvature[1:] - 1)
    return float(np.max(errors))


def slopes(measured: Measured) -> Array:
    """Return the slope (K,) of log peak against log width for each c, peaks being geometric means over the starts."""
    height = np.exp(np.log(measured.peaks).mean(axis=2))
    return np.array([log_slope(measured.peak_widths, row) for row in height])


def measure(
    seed: int = 0,
    *,
    followed_factors: Sequence[float] = (1.5, 2.5, 3.5, 4.5),
    followed_width: int = 1024,
    followed_steps: int = 60,
    factors: Sequence[float] = (0.5, 1.0, 1.5, 1.9, 2.1, 2.5, 3.0, 3.5, 3.8, 3.9, 4.1, 4.2, 4.5, 5.0, 6.0, 8.0),
    widths: Sequence[int] = (64, 256, 1024, 4096),
    starts: int = 20,
    peak_factors: Sequence[float] = (2.5, 2.75, 3.0, 3.25, 3.5),
    peak_widths: Sequence[int] = (256, 512, 1024, 2048, 4096, 8192),
    peak_starts: int = 30,
) -> Measured:
    """Return some throws, all from one start, the ends of all combinations of c and width, and the heights."""

    def end(c: float, width: int, start: int) -> tuple[bool, bool, float]:
        run = throw(width, c, start)
        if run.reason != "callback":
            return False, run.status == "diverged", math.nan
        _, curvature = function_and_curvature(run.model, run.theta)
        _, first = function_and_curvature(run.model, run.model.init(start))
        return True, False, c * curvature / first

    def peak(c: float, width: int, start: int) -> float:
        return float(throw(width, c, start).history.train_loss.max())

    ends = grid_in_threads(end, factors, widths, seeds_of(seed, starts), words="catapult: ends")
    converged, diverged, final = np.moveaxis(ends, -1, 0)
    peaks = grid_in_threads(peak, peak_factors, peak_widths, seeds_of(seed, peak_starts), words="catapult: heights")
    throws = tuple(follow(followed_width, c, seed, followed_steps) for c in followed_factors)
    all_ends = np.array(factors), np.array(widths), converged == 1, diverged == 1, final
    return Measured(throws, *all_ends, np.array(peak_factors), np.array(peak_widths), peaks)


# -- what was published ----------------------------------------------------------------------------------------


def claims(measured: Measured) -> list[Claim]:
    """Hold what was measured against Lewkowycz et al. 2020."""
    low, high = measured.factors <= 3.9, measured.factors >= 4.1
    thrown = low & (measured.factors > 2)
    recursions = max(recursion_error(each) for each in measured.throws)
    landed = measured.final[thrown][measured.converged[thrown]]
    flat = float(landed.max()) if landed.size else math.nan
    return [
        Claim("one step of f and λ against the recursion, largest relative error", "0", recursions, high=1e-6),
        Claim("share that converges for c ≤ 3.9", "1", float(measured.converged[low].mean()), 1.0, 1.0),
        Claim("share that diverges for c ≥ 4.1", "1", float(measured.diverged[high].mean()), 1.0, 1.0),
        Claim("ηλ in the end where it converged, 2 < c ≤ 3.9, largest", "≤ 2", flat, high=2.0),
        *(
            Claim(f"slope of log peak loss against log n, c = {c:g}", "1", float(slope), 0.95, 1.05)
            for c, slope in zip(measured.peak_factors, slopes(measured), strict=True)
        ),
    ]
