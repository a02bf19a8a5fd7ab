"""Exponents of power laws."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def log_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Return the least-squares slope of ln y against ln x; NaN where there are fewer than two, or not all known.

    >>> round(log_slope([1, 2, 4], [5, 20, 80]), 9), log_slope([1, 2, 4], [5, float("nan"), 80])
    (2.0, nan)
    """
    logs_x, logs_y = np.log(x), np.log(y)
    if len(logs_x) < 2 or not np.isfinite(logs_y).all():
        return float("nan")
    return float(np.polyfit(logs_x, logs_y, 1)[0])
