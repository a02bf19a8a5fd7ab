"""The best learning rate of each group of settings: a parabola around the best rate tried, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nn.checks import one_of
from tuning.analysis.comparison import tied_with_best
from tuning.analysis.intervals import CONFIDENCE, normal_cdf, student_t_quantile
from tuning.analysis.ranking import Summary
from tuning.analysis.scores import Scores
from tuning.space import Setting, Value, is_number

Array = NDArray[np.float64]

GROUPS = ("batch_size", "hidden_units")
FEWEST_TO_DRAW = 5
"""With fewer repeats than this, a bootstrap knows too few different means; the rates tied with the best are taken."""
RESAMPLES = 1000
UNEVEN = 2.5
"""A curve whose bends at neighbouring rates differ by more than this factor is no parabola there."""
SHIFT = 0.1
"""The part of a step between rates by which the vertex of a parabola may be off where one fits."""
_SEED = 0


@dataclass(frozen=True)
class BestRate:
    """The best learning rate among the settings of a group, which share the values in `group`.

    `learning_rate` is the vertex of a parabola in the logarithm of the rate, through the best rate tried (`tried`) and
    those beside it; `tried` itself where that is the lowest or the highest, or where no parabola fits. `low` and `high`
    are the ends of its 95 % interval, made as `method` says; None with one repeat or fold. `score` is the score at
    `tried`. `at_edge` says that `tried` is the lowest or highest rate tried in the group, diverged ones included: a
    better one may lie outside. `fits` says whether the curve bends like a parabola around `tried`; beside a cliff it
    does not, and nothing tells where between the rates tried the best one lies.
    """

    group: Setting
    learning_rate: float
    low: float | None
    high: float | None
    score: float
    at_edge: bool
    tried: float
    method: str
    fits: bool


def group_names(by: str | Iterable[str] | None, known: Iterable[str]) -> tuple[str, ...]:
    """Return the names of parameters by which settings are grouped: batch size and hidden units where `by` is None.

    Raises ValueError for the name of none of the `known` parameters, or of the learning rate.
    """
    names = [name for name in known if name != "learning_rate"]
    if by is None:
        return tuple(name for name in GROUPS if name in names)
    asked = (by,) if isinstance(by, str) else tuple(by)
    if asked and not names:
        raise ValueError(f"by must be empty where nothing but the learning rate is searched, but got {asked[0]!r}")
    return tuple(dict.fromkeys(one_of("by", name, names) for name in asked))


def best_rates(scores: Scores, summaries: Sequence[Summary], by: Sequence[str] = GROUPS) -> list[BestRate]:
    """Return the best learning rate of each group of settings with the same values of `by`, in the order of those.

    At each rate, the best of the settings that have it stands for it. A rate at which none is ranked, as it diverged,
    counts as the worst that did not. The interval is a bootstrap over repeats (or folds), which are drawn whole, as
    they are paired: quantiles p and 1 − p of the best rates of resamples, with

        p = Φ(−√(n/(n−1)) · t),  t the 97.5 % quantile of Student's t with n − 1 degrees of freedom

    for the 1/n that the variance of a resample of n lacks, and the little that few repeats know of it.

    The score is no parabola. Where one fits, the best rate of a resample is drawn between the vertex and the best rate
    tried, and moved by up to a tenth of a step. It fits where the curve bends alike at the best rate tried and at both
    beside it, by a factor of 2.5. Where it bends more on one side, or there the other way, as at the foot of a cliff,
    or a rate diverged two steps away or nearer, all that is known is that the best rate lies before the next one tried
    on that side: it is drawn from all of that. Most of the resamples decide which it is.
    With fewer than 5 repeats or 3 rates, the interval reaches from the rate below the lowest that is tied with the best
    to the one above the highest.
    """
    groups: dict[tuple[Value, ...], list[int]] = {}
    tried: dict[tuple[Value, ...], set[float]] = {}
    for i, summary in enumerate(summaries):
        if is_number(summary.params.get("learning_rate")):
            key = tuple(summary.params.get(name) for name in by)
            tried.setdefault(key, set()).add(_rate(summary.params))
            if i < len(scores.params):  # it is ranked
                groups.setdefault(key, []).append(i)
    result = [_best(scores.rows(places), sorted(tried[key]), by) for key, places in groups.items()]
    return sorted(result, key=lambda rate: [_order(value) for value in rate.group.values()])


def _best(part: Scores, rates: list[float], by: Sequence[str]) -> BestRate:
    """Return the best of the `rates` of a group, whose ranked settings have these scores, the best first."""
    best: dict[float, int] = {}
    for i, params in enumerate(part.params):
        best.setdefault(_rate(params), i)
    gains = part.gains
    worst = gains[list(best.values())].min(axis=0)
    curve = np.array([gains[best[rate]] if rate in best else worst for rate in rates])  # (R, U)
    logs, units = np.log(rates) if rates[0] > 0 else None, curve.shape[1]
    lost = np.array([rate not in best for rate in rates])
    tried = vertex = _rate(part.params[0])
    place = rates.index(tried)
    inside = 0 < place < len(rates) - 1
    low = high = None
    method = f"one {part.unit.removesuffix('s')} can't tell"
    fits = False
    if inside and logs is not None:
        mean = curve.mean(axis=1)[None]
        fits = not np.any(_uneven(logs, mean, lost, np.array([place])))
    if logs is not None and units >= FEWEST_TO_DRAW and len(best) >= 3:
        low, high, even = _drawn(logs, curve, lost)
        fits = inside and even
        method = f"{'parabola' if even else 'rates beside the best, as no parabola fits'}, bootstrap over {units} "
        method += part.unit
    elif (same := tied_with_best(part)) is not None:
        places = [rates.index(_rate(params)) for params, tied in zip(part.params, same, strict=True) if tied]
        low, high = rates[max(min(places) - 1, 0)], rates[min(max(places) + 1, len(rates) - 1)]
        method = f"rates tied over {units} {part.unit}, and those beside them"
    if fits and logs is not None:
        vertex = math.exp(_vertices(logs, mean, place)[0])
    if low is not None and high is not None:
        low, high = min(low, vertex), max(high, vertex)
    names = {name: part.params[0][name] for name in by if name in part.params[0]}
    at_edge = len(rates) > 1 and not inside
    return BestRate(names, vertex, low, high, float(part.values[0].mean()), at_edge, tried, method, fits)


def _drawn(logs: Array, curve: Array, lost: NDArray[np.bool_]) -> tuple[float, float, bool]:
    """Return the interval of the best rate by a bootstrap over the columns of `curve` (R, U), and if a parabola fits.

    At the `lost` (R,) rates, trials diverged.
    """
    units, rng = curve.shape[1], np.random.default_rng(_SEED)
    means = rng.multinomial(units, np.full(units, 1 / units), RESAMPLES) @ curve.T / units  # (RESAMPLES, R)
    way, u = rng.random(RESAMPLES), rng.random(RESAMPLES)
    found, places = np.empty(RESAMPLES), means.argmax(axis=1)
    open_below, open_above = (sides.mean() >= 0.5 for sides in _uneven(logs, means, lost, places))
    for place in np.unique(places).tolist():
        drawn = places == place
        below, above = max(place - 1, 0), min(place + 1, len(logs) - 1)
        vertices = _vertices(logs, means[drawn], place)
        first, last = np.minimum(vertices, logs[place]), np.maximum(vertices, logs[place])
        if not (open_below or open_above):
            first = last = vertices + way[drawn] * (logs[place] - vertices)
        shift = SHIFT * (logs[above] - logs[below]) / (above - below)
        low = logs[below] if open_below else first - shift
        high = logs[above] if open_above else last + shift
        found[drawn] = low + u[drawn] * (high - low)
    t = student_t_quantile((1 + CONFIDENCE) / 2, units - 1)
    p = normal_cdf(-math.sqrt(units / (units - 1)) * t)
    low, high = np.exp(np.clip(np.quantile(found, [p, 1 - p]), logs[0], logs[-1])).tolist()
    return low, high, not (open_below or open_above)


def _uneven(
    logs: Array, means: Array, lost: NDArray[np.bool_], places: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where curves (N, R) that are highest at `places` (N,) bend too unevenly below (N,), and where above.

    The first and the last rate have no neighbours to compare with, and the second counts as bending like the first.
    """
    bends = np.full((len(means), len(logs) + 2), np.nan)
    bends[:, 2:-2] = -2 * np.diff(np.diff(means) / np.diff(logs)) / (logs[2:] - logs[:-2])
    below, here, above = (bends[np.arange(len(means)), places + k] for k in range(3))
    below, above = (np.where(np.isnan(side), here, side) for side in (below, above))
    gone = np.concatenate([[False, False], lost, [False, False]])

    def side(there: Array, opposite: Array) -> NDArray[np.bool_]:
        return (there <= 0) | (np.maximum(here, there) > UNEVEN * np.where(opposite > 0, opposite, here))

    inside = (places > 0) & (places < len(logs) - 1)
    diverged_below, diverged_above = gone[places] | gone[places + 1], gone[places + 3] | gone[places + 4]
    return inside & (side(below, above) | diverged_below), inside & (side(above, below) | diverged_above)


def _vertices(logs: Array, means: Array, place: int) -> Array:
    """Return the logarithms (N,) of the best rates by parabolas through N curves (N, R) that are highest at `place`.

    Each goes through the rates at `place` and beside it; the first and the last rate have none, and are their own best.
    """
    if not 0 < place < len(logs) - 1:
        return np.full(len(means), logs[place])
    x, near = logs[place - 1 : place + 2] - logs[place], means[:, place - 1 : place + 2]
    bend, slope, _ = np.linalg.solve(np.vander(x), near.T)
    vertices: Array = logs[place] - np.divide(slope, 2 * bend, out=np.zeros(len(means)), where=bend < 0)
    return vertices


def _rate(params: Setting) -> float:
    return float(params["learning_rate"])  # type: ignore[arg-type]


def _order(value: Value) -> tuple[int, tuple[float, ...], str]:
    """Return the key by which values are sorted: numbers and layers first, then words."""
    if isinstance(value, tuple):
        return 0, tuple(-1.0 if each is None else float(each) for each in value), ""
    if isinstance(value, int | float):
        return 0, (float(value),), ""
    return 1, (), str(value)
