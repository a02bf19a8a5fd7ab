"""Three cases in which every step of training is known exactly: deep linear networks, the flow that gradient descent
follows, the noise floor of mini-batches.

**Deep linear networks** (Saxe, McClelland & Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep
linear neural networks). With whitened inputs, the product of the two weight matrices learns each singular mode of the
correlation of inputs and targets alone. From a small strength a₀, along a mode of strength s, at the time t = η·steps,

    two layers   a(t) = s·e^{2st}/(e^{2st} − 1 + s/a₀)      a plateau, then a fast rise, at t = ln(s/a₀ − 1)/(2s)
    one layer    a(t) = s·(1 − e^{−t}), from 0              fastest at the start, and all modes alike

The first is exact where the layers start balanced and aligned with the modes. From small random weights, what grows is
the mean of what both layers have of the mode: a₀ = ‖(W₁ᵀv + W₂u)/2‖². That holds where the modes' directions in the
hidden layer hardly overlap, so in a wide one.

**Implicit gradient regularisation** (Barrett & Dherin 2021). A step of gradient descent with the rate h follows the
flow θ' = −∇E(θ) with an error of order h², but that of the modified loss with an error of order h³:

    Ẽ(θ) = E(θ) + (h/4)·‖∇E(θ)‖²,    θ' = −∇E(θ) − (h/2)·H(θ)∇E(θ)

Over a fixed time, that is after 1/h steps, it is order 1 and order 2.

**The noise floor of stochastic gradient descent** on linear regression. With a constant rate, batches of B examples
drawn with replacement, the distance e from the optimum has mean 0 in the long run, and a covariance Σ with

    H Σ + Σ H = η·[(1 − 1/B)·HΣH + (1/B)·E[xxᵀΣxxᵀ] + (1/B)·E[r²xxᵀ]]

where H = E[xxᵀ], and r is what the optimum leaves of the target. The loss stays ½·tr(HΣ) above its least value, which
for small rates is η·E[r²‖x‖²]/(4B).

Setting: the digits on 6 principal directions, whitened, targets one-hot minus their mean; a 1-8-1 tanh network on 20
points, torch-like start, twice as large, flows integrated to rounding (Dormand & Prince's order 8); diabetes on its 5
principal directions of most variance, standardised, SGD from the optimum. All in float64. What differs from the papers:
nothing; the first is theirs for a training in continuous time, which a small rate comes near.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import scipy.integrate

from nn import MLP, SGD, Dataset, Snapshot, load_dataset, train
from tuning.laboratory.digits import principal_digits
from tuning.laboratory.findings import Array, Claim, log_slope
from tuning.laboratory.parallel import grid_in_threads
from tuning.laboratory.sharpening import descend


@dataclass(frozen=True, eq=False)
class Modes:
    """The strength of each mode in the network over time; times are η·steps."""

    strengths: Array  # (K,) s, falling
    times: Array  # (T,)
    start: float  # a₀ of the aligned network
    deep: Array  # (T, K) a(t), two layers from an aligned start
    shallow: Array  # (T, K) one layer from 0
    random: Array  # (T, K) two layers from small random weights
    random_start: Array  # (K,) a₀ there


@dataclass(frozen=True, eq=False)
class Errors:
    """Distance of gradient descent from both flows, for each learning rate."""

    learning_rates: Array  # (R,) h
    step: Array  # (R, 2) after one step: from the flow, from the modified flow
    in_time: Array  # (R, 2) after a fixed time
    time: float


@dataclass(frozen=True, eq=False)
class Floor:
    """The loss above its least value in the long run, for each rate and batch size."""

    X: Array  # (N, D)
    residuals: Array  # (N,) r
    settings: tuple[tuple[float, int], ...]  # (S,) η, B
    excess: Array  # (S,) mean over the chains
    error: Array  # (S,) its standard error


@dataclass(frozen=True, eq=False)
class Measured:
    """The measurements of all three."""

    modes: Modes
    errors: Errors
    floor: Floor


# -- deep linear networks --------------------------------------------------------------------------------------


def whitened(examples: int, directions: int, seed: int) -> Dataset:
    """Return digits on their principal directions, with variance 1 in each, and centred one-hot targets."""
    U, _, Y = principal_digits(examples, directions, seed)
    return Dataset(math.sqrt(examples) * U, Y, task="regression", name="white digits")


def linear(sizes: Sequence[int], std: float | None = None) -> MLP:
    """Return a linear network without biases."""
    return MLP(tuple(sizes), "identity", "identity", "squared_error", std=std, bias=False, dtype="float64")


def learn_modes(
    seed: int,
    examples: int = 600,
    directions: int = 6,
    hidden: int = 128,
    start: float = 1e-3,
    std: float = 1e-3,
    learning_rate: float = 0.02,
    time: float = 60.0,
) -> Modes:
    """Train deep and shallow linear networks and follow the strength of each mode."""
    data = whitened(examples, directions, seed)
    V, s, Ut = np.linalg.svd(np.asarray(data.X).T @ data.y / examples, full_matrices=False)  # (D, K), (K,), (K, 10)
    s, V, Ut = s[s > 1e-6], V[:, s > 1e-6], Ut[s > 1e-6]
    outputs = Ut.shape[1]
    every = max(1, round(time / learning_rate / 400))
    steps = every * math.ceil(time / learning_rate / every)

    def follow(model: MLP, theta: Array) -> Array:
        def strengths(theta: Array) -> Array:
            weights = [W for W, _ in model.layers(theta)]
            W = weights[0] if len(weights) == 1 else weights[0] @ weights[1]
            return np.einsum("dk,do,ko->k", V, W, Ut)

        seen = [strengths(theta)]

        def look(snapshot: Snapshot) -> None:
            seen.append(strengths(snapshot.theta))

        descend(model, data, SGD(learning_rate), steps, theta, callback=look, every_steps=every)
        return np.array(seen)

    deep = linear((directions, hidden, outputs))
    aligned = np.zeros(deep.size)
    (W1, _), (W2, _) = deep.layers(aligned)
    R = np.linalg.qr(np.random.default_rng(seed).normal(size=(hidden, len(s))))[0]  # where in the hidden layer
    W1[:], W2[:] = math.sqrt(start) * V @ R.T, math.sqrt(start) * R @ Ut
    small = linear((directions, hidden, outputs), std)
    theta = small.init(seed)
    (W1, _), (W2, _) = small.layers(theta)
    return Modes(
        strengths=s,
        times=learning_rate * every * np.arange(steps // every + 1),
        start=start,
        deep=follow(deep, aligned),
        shallow=follow(linear((directions, outputs)), np.zeros(directions * outputs)),
        random=follow(small, theta),
        random_start=np.sum(((V.T @ W1 + Ut @ W2.T) / 2) ** 2, axis=1),
    )


# -- implicit regularisation -----------------------------------------------------------------------------------


def flow(slope: Callable[[Array], Array], time: float, start: Array) -> Array:
    """Return θ(time) of θ' = slope(θ), to rounding."""
    precise = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-15}
    return scipy.integrate.solve_ivp(lambda _, theta: slope(theta), (0, time), start, **precise).y[:, -1]


def compare_flows(
    seed: int,
    learning_rates: Sequence[float] = (1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256, 1 / 512),
    points: int = 20,
    hidden: int = 8,
    time: float = 2.0,
) -> Errors:
    """Take one step, and the steps that make `time`, at each rate, and return the distances from both flows."""
    X = np.linspace(-1, 1, points)[:, None]
    data = Dataset(X, np.sin(3 * X[:, 0]), task="regression", name="a sine")
    model = MLP((1, hidden, 1), "tanh", "identity", "squared_error", init="torch", dtype="float64")
    start = 2 * model.init(seed)

    def downhill(theta: Array) -> Array:
        return -model.gradient(theta, X, data.y)

    def distances(rate: float, steps: int) -> tuple[float, float]:
        def modified(theta: Array) -> Array:
            g = model.gradient(theta, X, data.y)
            return -g - rate / 2 * model.hessian_vector_product(theta, g, X, data.y)

        end = descend(model, data, SGD(rate), steps, start).theta
        plain, better = (end - flow(slope, rate * steps, start) for slope in (downhill, modified))
        return float(np.linalg.norm(plain)), float(np.linalg.norm(better))

    step = np.array([distances(rate, 1) for rate in learning_rates])
    in_time = np.array([distances(rate, round(time / rate)) for rate in learning_rates])
    return Errors(np.array(learning_rates), step, in_time, time)


# -- the noise floor -------------------------------------------------------------------------------------------


def regression(directions: int) -> Dataset:
    """Return diabetes, standardised, on its principal directions of most variance; the targets have variance 1."""
    data = load_dataset("diabetes")
    X = np.asarray(data.X, dtype=np.float64)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    U, s, _ = np.linalg.svd(X, full_matrices=False)
    y = data.targets[:, 0]
    return Dataset(U[:, :directions] * s[:directions], (y - y.mean()) / y.std(), task="regression", name="diabetes")


def settle(
    seed: int,
    directions: int = 5,
    learning_rates: Sequence[float] = (0.01, 0.02, 0.04, 0.08),
    batch_sizes: Sequence[int] = (1, 4, 16),
    steps: int = 40_000,
    chains: int = 16,
) -> Floor:
    """Run SGD from the optimum at each rate and batch size, in `chains`, and average the loss above its least value.

    The first tenth of a chain is not counted, and after that every 20th step.
    """
    data = regression(directions)
    X, y = np.asarray(data.X), data.targets[:, 0]
    optimum = np.linalg.lstsq(X, y, rcond=None)[0]
    residuals = y - X @ optimum
    H = X.T @ X / len(X)
    model = linear((directions, 1))

    def chain(setting: tuple[float, int], number: int) -> float:
        rate, size = setting
        rows = np.random.default_rng([seed, number, size]).integers(len(X), size=(steps, size))
        away: list[Array] = []

        def look(snapshot: Snapshot) -> None:
            away.append(snapshot.theta - optimum)

        train(model, data, SGD(rate), indices=rows, theta=optimum, callback=look, every_steps=20)
        e = np.array(away[len(away) // 10 :])
        return float(np.einsum("td,de,te->t", e, H, e).mean() / 2)

    settings = tuple(product(learning_rates, batch_sizes))
    found = grid_in_threads(chain, settings, range(chains), words="noise floors")
    return Floor(X, residuals, settings, found.mean(axis=1), found.std(axis=1, ddof=1) / math.sqrt(chains))


def measure(
    seed: int = 0,
    *,
    modes: Mapping[str, Any] | None = None,
    flows: Mapping[str, Any] | None = None,
    floor: Mapping[str, Any] | None = None,
) -> Measured:
    """Follow the modes, and find the distances from the flows and the noise floors.

    `modes` are arguments of `learn_modes`, `flows` those of `compare_flows`, and `floor` those of `settle`.
    """
    return Measured(learn_modes(seed, **modes or {}), compare_flows(seed, **flows or {}), settle(seed, **floor or {}))


# -- what was published ----------------------------------------------------------------------------------------


def sigmoidal(times: Array, strengths: Array, start: Array | float) -> Array:
    """Return a(t) (T, K) of two layers.

    >>> sigmoidal(np.array([0.0, 50.0]), np.array([2.0]), 0.5).tolist()
    [[0.5], [2.0]]
    """
    decay = np.exp(-2 * np.outer(times, strengths))
    return strengths / (1 - decay + decay * strengths / start)


def exponential(times: Array, strengths: Array) -> Array:
    """Return a(t) (T, K) of one layer.

    >>> exponential(np.array([0.0, 50.0]), np.array([2.0])).tolist()
    [[0.0], [2.0]]
    """
    return -np.outer(np.expm1(-times), strengths)


def stationary_excess(X: Array, residuals: Array, learning_rate: float, batch_size: int) -> float:
    """Return ½·tr(HΣ), from the linear equations for Σ."""
    n, d = X.shape
    H, identity = X.T @ X / n, np.eye(d)
    fourth = np.einsum("na,nb,nc,nd->abcd", X, X, X, X).reshape(d * d, d * d) / n
    noise = np.einsum("n,na,nb->ab", residuals**2, X, X) / n
    mixed = (1 - 1 / batch_size) * np.kron(H, H) + fourth / batch_size
    system = np.kron(H, identity) + np.kron(identity, H) - learning_rate * mixed
    sigma = np.linalg.solve(system, learning_rate / batch_size * noise.ravel()).reshape(d, d)
    return float(np.trace(H @ sigma)) / 2


def small_rate_excess(X: Array, residuals: Array, learning_rate: float, batch_size: int) -> float:
    """Return η·E[r²‖x‖²]/(4B)."""
    return float(learning_rate / (4 * batch_size) * np.mean(residuals**2 * np.sum(X**2, axis=1)))


def mode_error(found: Array, theory: Array, strengths: Array) -> float:
    """Return the largest difference, in units of the mode's strength."""
    return float(np.max(np.abs(found - theory) / strengths))


def claims(measured: Measured) -> list[Claim]:
    """Hold the measurements against the closed forms."""
    modes, errors, floor = measured.modes, measured.errors, measured.floor
    t, s = modes.times, modes.strengths
    sigmoid = sigmoidal(t, s, modes.start)
    random = sigmoidal(t, s, modes.random_start)
    step, in_time = ([log_slope(errors.learning_rates, e) for e in each.T] for each in (errors.step, errors.in_time))
    theory = np.array([stationary_excess(floor.X, floor.residuals, *setting) for setting in floor.settings])
    ratio = np.array([rate / size for rate, size in floor.settings])
    low = ratio <= 0.01
    slope = log_slope(ratio[low], floor.excess[low])
    off = floor.excess / theory
    return [
        Claim("two layers against the sigmoid: largest error / s", "0", mode_error(modes.deep, sigmoid, s), high=0.01),
        Claim("two layers, small random start, likewise", "small", mode_error(modes.random, random, s), high=0.1),
        Claim("one layer against the exponential", "0", mode_error(modes.shallow, exponential(t, s), s), high=0.01),
        Claim("two layers against the exponential", "far", mode_error(modes.deep, exponential(t, s), s), low=0.5),
        Claim("one step: order of the error against the flow", "2", step[0], 1.9, 2.1),
        Claim("one step: order against the modified flow", "3", step[1], 2.9, 3.1),
        Claim(f"after the time {errors.time:g}: order against the flow", "1", in_time[0], 0.9, 1.1),
        Claim(f"after the time {errors.time:g}: order against the modified flow", "2", in_time[1], 1.9, 2.1),
        Claim("noise floor, measured / exact, smallest", "1", float(off.min()), 0.95, 1.05),
        Claim("noise floor, measured / exact, largest", "1", float(off.max()), 0.95, 1.05),
        Claim("slope of log floor against log η/B, η/B ≤ 0.01", "1", slope, 0.95, 1.05),
    ]
