"""Variances of many small samples, each helped by the others (Smyth 2004, section 6.2); without SciPy, as intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SMALLEST = 1e-2


def moderated(variances: Array, freedom: int) -> tuple[Array, int]:
    """Return moderated variances (S,) and their degrees of freedom, from S sample variances with `freedom` each.

    True variances are taken to be spread as a scaled inverse χ² with d₀ degrees of freedom around s₀²:

        s̃² = (d₀ s₀² + d s²)/(d₀ + d),    with d₀ + d degrees of freedom

    d₀ and s₀² follow from mean and variance of log s². Where the samples are as alike as chance makes them, d₀ is
    infinite and s̃² the pooled variance; where they differ widely, d₀ is near 0 and each keeps its own. The degrees of
    freedom are rounded down, and are never more than all samples have together.
    """
    typical = float(np.median(variances))
    if len(variances) < 3 or typical == 0:
        return variances, freedom
    logs = np.log(np.maximum(variances, _SMALLEST * typical))  # accuracies come in steps: some samples are constant
    shifted = logs - _digamma(freedom / 2) + math.log(freedom / 2)
    excess = float(shifted.var(ddof=1)) - _trigamma(freedom / 2)
    together = freedom * len(variances)
    if excess <= 0:
        return np.full(len(variances), math.exp(float(shifted.mean()))), together
    prior = 2 * _inverse_trigamma(excess)
    centre = math.exp(float(shifted.mean()) + _digamma(prior / 2) - math.log(prior / 2))
    return (prior * centre + freedom * variances) / (prior + freedom), min(int(prior + freedom), together)


def _digamma(x: float) -> float:
    """Return ψ(x) for x > 0, by recurrence and its asymptotic series (Abramowitz & Stegun 6.3.18)."""
    below = 0.0
    while x < 8:
        below += 1 / x
        x += 1
    s = 1 / (x * x)
    return math.log(x) - 0.5 / x - s * (1 / 12 - s * (1 / 120 - s / 252)) - below


def _trigamma(x: float) -> float:
    """Return ψ′(x) for x > 0, likewise (6.4.12)."""
    below = 0.0
    while x < 8:
        below += 1 / (x * x)
        x += 1
    s = 1 / (x * x)
    return 1 / x + s / 2 + s / x * (1 / 6 - s * (1 / 30 - s / 42)) + below


def _inverse_trigamma(y: float) -> float:
    """Return x with ψ′(x) = y; ψ′ falls from infinity to 0."""
    low, high = 1e-9, 1e9
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _trigamma(middle) > y else (low, middle)
    return low
