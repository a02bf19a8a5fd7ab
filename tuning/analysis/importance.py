"""The share of the variance of the scores that each hyper-parameter explains by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning.space import Setting, Value, is_number, value_text

Array = NDArray[np.float64]

MOST_LEVELS = 12
"""A number with more different values than this is cut into bins of equally many settings."""
MOST_BINS = 8
PER_BIN = 8


@dataclass(frozen=True)
class Importance:
    """Shares of the variance of the settings' scores.

    `shares` has the main effect of every hyper-parameter that was varied; `rest` is what they leave: interactions, and
    noise. None where no score differs. `settings` is how many were used.
    """

    shares: dict[str, float] | None
    rest: float | None
    settings: int


def importance(params: Sequence[Setting], scores: Array) -> Importance:
    """Return the share of the variance of `scores` (S,) of S settings that each hyper-parameter explains by itself.

    An additive model, one level for each value of each parameter, is fitted by least squares:  y ≈ mean + Σ_j f_j(x_j).
    The share of j is Cov(f_j, y)/Var(y). The shares sum to R² of the model, at most 1. On a grid they are the main
    effects of functional ANOVA exactly (Hooker 2007; Hutter et al. 2014); where the settings were drawn, it is the
    covariance decomposition of Li et al. (2010). Numbers with many values are binned by rank, and the shares are then
    corrected for what as many levels explain of pure noise (as in ε², Kelley 1935). Constants have no share.

    >>> grid = [{"learning_rate": a, "batch_size": b} for a in (0.1, 1.0) for b in (16, 32)]
    >>> importance(grid, np.array([0.0, 1.0, 2.0, 3.0])).shares
    {'learning_rate': 0.8, 'batch_size': 0.2}
    """
    names = list(dict.fromkeys(name for setting in params for name in setting))
    y = scores - scores.mean() if len(scores) else scores
    total = float(y @ y)
    if len(y) < 3 or total <= 1e-24 * max(1.0, float(np.abs(scores).max())) ** 2:
        return Importance(None, None, len(y))
    levels = {name: _levels([setting.get(name) for setting in params]) for name in names}
    varying = [name for name in names if levels[name][0].max() > 0]
    columns = {name: np.eye(int(levels[name][0].max()) + 1)[levels[name][0]] for name in varying}
    if not varying:
        return Importance({}, 1.0, len(y))
    # Centred columns and the solution of least norm: levels that can't be told apart share their effect.
    design = np.hstack([columns[name] - columns[name].mean(axis=0) for name in varying])
    coefficients = np.linalg.lstsq(design, y, rcond=1e-10)[0]
    raw: dict[str, float] = {}
    start = 0
    for name in varying:
        stop = start + columns[name].shape[1]
        raw[name] = float(design[:, start:stop] @ coefficients[start:stop] @ y) / total
        start = stop
    explained = float(design @ coefficients @ y) / total
    if any(levels[name][1] for name in varying):
        freedom = {name: columns[name].shape[1] - 1 for name in varying}
        left = max(1, len(y) - 1 - sum(freedom.values()))
        noise = max(0.0, 1 - explained) / left
        raw = {name: share - freedom[name] * noise for name, share in raw.items()}
    shares = {name: max(0.0, share) for name, share in raw.items()}
    above = max(1.0, sum(shares.values()))
    shares = {name: round(share / above, 12) for name, share in shares.items()}
    return Importance(shares, max(0.0, round(1 - sum(shares.values()), 12)), len(y))


def _levels(values: Sequence[Value]) -> tuple[NDArray[np.int64], bool]:
    """Return the level (S,) of each value, from 0, and whether numbers were binned; absent is a level of its own."""
    texts = [value_text(value) for value in values]
    known = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    codes = np.array([known[text] for text in texts])
    numbers = np.array([_number(value) for value in values])
    if len(known) <= MOST_LEVELS or not np.isfinite(numbers).any():
        return codes, False
    present = np.isfinite(numbers)
    bins = min(MOST_BINS, max(2, int(present.sum()) // PER_BIN))
    edges = np.quantile(numbers[present], np.arange(1, bins) / bins)
    binned = np.where(present, np.searchsorted(edges, numbers, side="right"), bins)
    return np.unique(binned, return_inverse=True)[1].astype(np.int64), True


def _number(value: Value) -> float:
    return float(value) if is_number(value) else math.nan
