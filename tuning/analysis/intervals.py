"""Intervals of a mean: by bootstrap, by Student's t where there is too little to draw from, and of a held-out share.

NumPy alone: `nn-tuning show` does not wait for SciPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CONFIDENCE = 0.95
FEWEST_TO_DRAW = 5
"""With fewer values than this, a bootstrap knows too few different means: no interval within them covers 95 %."""
RESAMPLES = 2000
_SEED = 0
_BLOCK = 512


@dataclass(frozen=True)
class Interval:
    """An interval with its confidence, and what it was made by and from: "bootstrap over 10 repeats", say."""

    low: float
    high: float
    method: str
    confidence: float = CONFIDENCE


def method_name(n: int, units: str) -> str:
    """Return the name of the method that `mean_intervals` has for n values."""
    if n < 2:
        return "none"
    return f"{'bootstrap' if n >= FEWEST_TO_DRAW else 'Student t'} over {n} {units}"


def mean_intervals(values: Array) -> Array:
    """Return the 95 % interval (S, 2) of the mean of each row of `values` (S, n); NaN for n = 1.

    With n >= 5, the expanded percentile interval (Hesterberg 2015): quantiles p and 1 − p of the bootstrap means, with

        p = Φ(−√(n/(n−1)) · t_{n−1}(0.975))

    which makes up for the 1/n in the variance of a resample and for the spread that is estimated. On normal noise it
    covers 92 % at n = 5 and 95 % from n = 8 on; plain percentiles (p = 0.025) 84 % at n = 5 and 90 % at n = 10. BCa
    corrects bias and skewness, which a mean of a few repeats has little of, but not this. With n of 2 to 4, Student's
    t. The same rows give the same interval: the resamples are drawn from a fixed seed, and are the same for all rows.
    """
    rows, n = values.shape
    if n < 2:
        return np.full((rows, 2), np.nan)
    t = student_t_quantile((1 + CONFIDENCE) / 2, n - 1)
    if n < FEWEST_TO_DRAW:
        middle = values.mean(axis=1)
        reach = t * values.std(axis=1, ddof=1) / math.sqrt(n)
        return np.stack([middle - reach, middle + reach], axis=1)
    p = normal_cdf(-math.sqrt(n / (n - 1)) * t)
    weights = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), RESAMPLES).T / n
    blocks = [_quantiles(values[i : i + _BLOCK], weights, p) for i in range(0, rows, _BLOCK)]
    return np.concatenate(blocks) if blocks else np.empty((0, 2))


def _quantiles(values: Array, weights: Array, p: float) -> Array:
    """Return the quantiles p and 1 − p (S, 2) of the resampled means; a row's do not depend on those beside it."""
    means = np.zeros((len(values), weights.shape[1]))
    for column, share in zip(values.T, weights, strict=True):  # a matrix product rounds by the number of its rows
        means += column[:, None] * share
    return np.quantile(means, [p, 1 - p], axis=1).T


def share_interval(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval (1927) of a share of n held-out examples, such as an accuracy.

    >>> [round(end, 3) for end in share_interval(0.975, 360)]
    [0.953, 0.987]
    """
    z = 1.959963984540054
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def normal_cdf(x: float) -> float:
    """Return Φ(x)."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


@lru_cache(maxsize=1024)
def student_t_quantile(p: float, freedom: int) -> float:
    """Return the quantile p > 1/2 of Student's t with a whole number of degrees of freedom.

    More than 1,000 count as 1,000.

    >>> round(student_t_quantile(0.975, 4), 4)
    2.7764
    """
    freedom = min(freedom, 1000)
    low, high = 0.0, 1.0
    while _upper_tail(high, freedom) > 1 - p:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _upper_tail(middle, freedom) > 1 - p else (low, middle)
    return (low + high) / 2


def _upper_tail(t: float, freedom: int) -> float:
    """Return P(T > t), by the finite sums of Abramowitz & Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return max(0.0, (1 - inside) / 2)
