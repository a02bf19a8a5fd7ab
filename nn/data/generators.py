"""Small problems made on the spot: each is a formula, a little noise and a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import integer, real

Arrays = tuple[NDArray[np.float64], NDArray[Any]]


def spirals(n: int = 1000, noise: float = 0.1, seed: int = 0, classes: int = 2, turns: float = 1.5) -> Arrays:
    """Return points (n, 2) on `classes` arms of a spiral around the origin, and the arm (n,) of each.

    With t uniform in [0, 1] along arm c: angle = 2 pi (turns t + c / classes), radius = 0.2 + 2 t, and
    x = radius (cos angle, sin angle) + noise * standard normal.
    """
    classes = integer("classes", classes, 2)
    rng, n, noise = _start(n, noise, seed, classes)
    turns = real("turns", turns, 0.0, 100.0)
    arm = np.arange(n) % classes
    t = rng.random(n)
    angle = 2 * np.pi * (turns * t + arm / classes)
    points = (0.2 + 2 * t)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return points + noise * rng.standard_normal((n, 2)), arm


def moons(n: int = 1000, noise: float = 0.1, seed: int = 0) -> Arrays:
    """Return points (n, 2) on two half circles that reach into each other, and the half (n,) of each.

    With t uniform in [0, pi]: class 0 is (cos t, sin t), class 1 is (1 - cos t, 1/2 - sin t), plus
    noise * standard normal.
    """
    rng, n, noise = _start(n, noise, seed, 2)
    half = np.arange(n) % 2
    t = np.pi * rng.random(n)
    upper = np.column_stack([np.cos(t), np.sin(t)])
    lower = np.column_stack([1 - np.cos(t), 0.5 - np.sin(t)])
    points = np.where(half[:, None] == 0, upper, lower)
    return points + noise * rng.standard_normal((n, 2)), half


def circles(n: int = 1000, noise: float = 0.05, seed: int = 0, factor: float = 0.5) -> Arrays:
    """Return points (n, 2) on two circles around the origin, and the circle (n,) of each.

    With t uniform in [0, 2 pi]: (cos t, sin t) for class 0, factor (cos t, sin t) for class 1, plus
    noise * standard normal; 0 < factor < 1.
    """
    rng, n, noise = _start(n, noise, seed, 2)
    factor = real("factor", factor, above=0.0, below=1.0)
    inner = np.arange(n) % 2
    t = 2 * np.pi * rng.random(n)
    points = np.where(inner == 1, factor, 1.0)[:, None] * np.column_stack([np.cos(t), np.sin(t)])
    return points + noise * rng.standard_normal((n, 2)), inner


def xor(n: int = 1000, noise: float = 0.1, seed: int = 0) -> Arrays:
    """Return points (n, 2) of the square [-1, 1] x [-1, 1], and whether their signs differ (n,): 0 or 1.

    The class is 1 where x1 x2 < 0, judged before noise * standard normal is added to the point. The four
    quadrants hold equally many points, to within one.
    """
    rng, n, noise = _start(n, noise, seed, 2)
    quadrant = np.arange(n) % 4
    signs = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])[quadrant]
    points = signs * (1 - rng.random((n, 2)))
    return points + noise * rng.standard_normal((n, 2)), quadrant % 2


def sine(n: int = 200, noise: float = 0.1, seed: int = 0, periods: float = 1.0) -> Arrays:
    """Return x (n, 1) uniform in [-1, 1] and y (n,) = sin(pi periods x) + noise * standard normal."""
    rng, n, noise = _start(n, noise, seed, 2)
    periods = real("periods", periods, above=0.0, high=1000.0)
    x = rng.uniform(-1.0, 1.0, (n, 1))
    return x, np.sin(np.pi * periods * x[:, 0]) + noise * rng.standard_normal(n)


GENERATORS: dict[str, Callable[..., Arrays]] = {make.__name__: make for make in (spirals, moons, circles, xor, sine)}
"""Every generator by the name that `load_dataset` knows it by."""


def _start(n: Any, noise: Any, seed: Any, least: int) -> tuple[np.random.Generator, int, float]:
    rows = integer("n", n, least, 100_000_000)
    spread = real("noise", noise, 0.0, 1e6)
    return np.random.default_rng(integer("seed", seed, 0)), rows, spread
