"""Intervals of a mean over repeats or folds, and of a held-out share: score intervals, which keep to what is possible.

NumPy alone: to import scipy.special takes 70 ms and more, and `nn-tuning show` does not wait for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CONFIDENCE = 0.95
NORMAL_QUANTILE = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """An interval with its confidence, and the method that made it: "score interval by Student's t over 5 repeats"."""

    low: float
    high: float
    method: str
    confidence: float = CONFIDENCE


def method_name(n: int, units: str) -> str:
    """Return the method by which `mean_intervals` works on n values, in words."""
    return f"score interval by Student's t over {n} {units}" if n > 1 else "none"


def mean_intervals(values: Array, kind: str = "", examples: int | None = None) -> Array:
    """Return the 95 % interval (S, 2) of the mean of each row of `values` (S, n); NaN for n = 1.

    The score interval, of which Wilson's (1927) is the best known: with x̄ the mean of a row and s² its variance, it has
    every mean μ that would not be rejected if the variance at μ were s² V(μ)/V(x̄),

        (x̄ − μ)² ≤ t_{n−1}(0.975)² s² V(μ) / (n V(x̄))

    where V is how the spread of such a metric goes with its mean: μ(1 − μ) for a share such as an accuracy, μ for a
    loss, 1 − μ for R². So no end lies where no mean can, and the interval reaches further towards the side on which
    there is room, as skewed scores need. `kind` is that of `Scores`; scores of no kind have V = 1: Student's t.

    A few repeats of an accuracy are often nearly the same by chance. Where the number of `examples` in each is known,
    the binomial variance V(x̄)/examples counts as one further degree of freedom of s², and as all of s² where the
    repeats are all the same; where it is not known, these count as the fewest examples that can have such a share.
    """
    n = values.shape[1]
    if n < 2:
        return np.full((len(values), 2), np.nan)
    t = student_t_quantile((1 + CONFIDENCE) / 2, n - 1)
    deficits = 1 - values if kind == "r2" else values
    mean, variance = deficits.mean(axis=1), deficits.var(axis=1, ddof=1)
    if kind == "":
        reach = t * np.sqrt(variance / n)
        return np.stack([mean - reach, mean + reach], axis=1)
    curved = float(kind == "share")  # V(μ) = μ − curved·μ²
    possible = mean - curved * mean**2
    ratio = np.divide(variance, possible, out=np.zeros_like(mean), where=possible > 0)
    if curved:
        same = np.ptp(values, axis=1) == 0
        if examples is not None:
            ratio = (1 / examples + (n - 1) * ratio) / n
        ratio[same] = [1 / (examples or _fewest_examples(value)) for value in values[same, 0].tolist()]
    k = t * t * ratio / n
    middle, scale = mean + k / 2, 1 + curved * k
    reach = np.sqrt(np.maximum(middle**2 - scale * mean**2, 0))
    ends = np.clip(np.stack([middle - reach, middle + reach], axis=1) / scale[:, None], 0, 1 if curved else None)
    return 1 - ends[:, ::-1] if kind == "r2" else ends


def _fewest_examples(share: float, most: int = 10_000) -> int:
    """Return the smallest number of examples of which there can be such a share.

    >>> _fewest_examples(0.9), _fewest_examples(1.0)
    (10, 1)
    """
    counts = share * np.arange(1, most + 1)
    fits = np.abs(counts - np.round(counts)) < 1e-9
    return int(fits.argmax()) + 1 if fits.any() else most


def share_interval(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval (1927) of a share of n held-out examples, such as an accuracy.

    >>> [round(end, 3) for end in share_interval(0.975, 360)]
    [0.953, 0.987]
    """
    z = NORMAL_QUANTILE
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def normal_cdf(x: float) -> float:
    """Return Φ(x)."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def student_t_quantile(p: float, freedom: int) -> float:
    """Return the quantile p > 1/2 of Student's t with a whole number of degrees of freedom.

    More than 200 are rounded down to hundreds, and count as 1,000 at most.

    >>> round(student_t_quantile(0.975, 4), 4)
    2.7764
    """
    if freedom > 200:
        freedom = min(freedom // 100 * 100, 1000)
    return _student_t_quantile(p, freedom)


@lru_cache(maxsize=1024)
def _student_t_quantile(p: float, freedom: int) -> float:
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
