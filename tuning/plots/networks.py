"""The figure of a descent: the path of theta over the contours of the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn.checks import integer
from nn.data import Dataset
from nn.run import Run
from tuning.plots import style
from tuning.plots.checks import check_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nn.training import Snapshot

Array = NDArray[Any]

LEVELS = 20
"""Contours of a loss surface: close together in area where it is low, so that the bottom of a valley shows."""


class Recorder:
    """Keep theta as training goes: give a recorder to `train` as `callback`, with `every_steps=1`, say.

    Args:
        start (array (P,)): Theta before the first step, which no callback sees: the one that `train` gets as `theta`.

    >>> from nn import MLP, SGD, load_dataset, train
    >>> path = Recorder()
    >>> run = train(MLP((4, 3)), load_dataset("iris"), SGD(0.1), epochs=3, callback=path)
    >>> path.steps.tolist(), path.thetas.shape
    ([5, 10, 15], (3, 15))
    """

    def __init__(self, start: ArrayLike | None = None) -> None:
        self._thetas = [] if start is None else [np.array(start, dtype=np.float64)]
        self._steps = [] if start is None else [0]

    def __call__(self, snapshot: Snapshot) -> None:
        """Keep the parameters of a snapshot. Raises ValueError where `start` has another number of them."""
        if self._thetas and self._thetas[0].shape != snapshot.theta.shape:
            raise ValueError(
                f"start must have the model's {snapshot.theta.size:,} parameters, but got shape {self._thetas[0].shape}"
            )
        self._thetas.append(snapshot.theta.astype(np.float64))
        self._steps.append(snapshot.step)

    def thinned(self, count: int) -> Recorder:
        """Return at most so many of them, the first and the last among them, close together where it begins."""
        last = len(self._steps) - 1
        if last < 0:
            raise ValueError("a recorder must have been the callback of a training, but has nothing yet")
        places = np.unique(np.geomspace(1, last + 1, integer("count", count, 2)).round().astype(int)) - 1
        kept = Recorder()
        kept._thetas = [self._thetas[i] for i in places]
        kept._steps = [self._steps[i] for i in places]
        return kept

    @property
    def thetas(self) -> NDArray[np.float64]:
        """The parameters (n, P)."""
        return np.array(self._thetas)

    @property
    def steps(self) -> NDArray[np.int64]:
        """The number of steps that each of them is after (n,)."""
        return np.array(self._steps, dtype=np.int64)


Path = Recorder | ArrayLike


def descent_path(
    run: Run,
    data: Dataset,
    paths: Path | Mapping[str, Path],
    *,
    directions: ArrayLike | None = None,
    limits: Sequence[Sequence[float]] | None = None,
    resolution: int = 60,
    ax: Axes | None = None,
) -> Axes:
    """Draw the path of theta over the contours of the loss J(theta) on `data`; black dots are the starts.

    Args:
        run: A run of the model; of several paths, any of them.
        data: The data set that the loss is of: the one that the run was trained on, `split.train` where it was a split.
        paths (Recorder, array (n, P), or a dict of them by name): Parameters one after another. Those that are not
            finite are left out, those outside the picture are cut.
        directions (array (2, P)): The plane goes through the end of the first path along these. A model with two
            parameters is its own plane; unless given, that of others is spanned by the two principal components of the
            paths (Li et al. 2018), with the share of the paths' variance at each axis. What is off the plane is
            projected on it: the loss at a point of the path is then not that of the surface below it.
        limits ((low, high), (low, high)): The ends of the two axes; by default the paths with a margin.
        resolution: Points along each axis at which the loss is computed.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `run` is no run, or `data` no data set.
        ValueError: Where a path does not fit the model, or the loss does not change within the picture.
    """
    check_run(run, data, "descent_path")
    resolution = integer("resolution", resolution, 8, 1000)
    ways = {name: finite_thetas(way, run.model.size) for name, way in _by_name(paths).items()}
    centre, plane, labels = _plane(run, list(ways.values()), directions)
    inverse = np.linalg.pinv(plane)  # (P, 2)
    flat = {name: (thetas - centre) @ inverse for name, thetas in ways.items()}
    (x_low, x_high), (y_low, y_high) = limits if limits is not None else _limits(np.concatenate(list(flat.values())))
    x, y = np.linspace(x_low, x_high, resolution), np.linspace(y_low, y_high, resolution)
    model = run.model
    surface = np.array([[model.loss(centre + a * plane[0] + b * plane[1], data.X, data.y) for a in x] for b in y])
    with style.look():
        ax = style.axes_of(ax)
        _draw_surface(ax, x, y, surface)
        for i, (name, points) in enumerate(flat.items()):
            look: dict[str, Any] = {"color": style.COLOURS[(i + 1) % len(style.COLOURS)], "zorder": 3}
            label = name or None
            ax.plot(
                *points.T,
                linestyle="-",
                marker=style.MARKERS[i % len(style.MARKERS)],
                markersize=4,
                label=label,
                **look,
            )
            ax.plot(*points[:1].T, "o", markersize=10, **{**look, "color": "black"})
        ax.set(
            xlim=(x_low, x_high), ylim=(y_low, y_high), xlabel=labels[0], ylabel=labels[1], title="Descent of the loss"
        )
        if any(flat):
            ax.legend(loc="best", frameon=True, framealpha=0.9)
    return ax


def _draw_surface(ax: Axes, x: Array, y: Array, surface: Array) -> None:
    """Draw contours, light where the loss is low, and a colour bar."""
    from matplotlib.colors import BoundaryNorm

    finite = surface[np.isfinite(surface)]
    if not len(finite) or finite.min() == finite.max():
        raise ValueError("the loss must change within the picture, but does not; give other limits or directions")
    levels = np.unique(np.quantile(finite, np.linspace(0, 1, LEVELS) ** 2))
    colours = style.library().get_cmap("Greys")
    norm = BoundaryNorm(levels, colours.N)
    drawn = ax.contourf(x, y, surface, levels=levels, cmap=colours, norm=norm, alpha=0.5)
    ax.contour(x, y, surface, levels=levels, colors="white", linewidths=0.5, linestyles="-")
    ax.grid(False)
    ax.figure.colorbar(drawn, ax=ax, label="loss", format="%.2g", ticks=levels[:: max(1, len(levels) // 6)])


def _plane(run: Run, ways: list[Array], directions: ArrayLike | None) -> tuple[Array, Array, list[str]]:
    """Return the centre (P,) and the directions (2, P) of the plane, and the labels of its axes."""
    size = run.model.size
    if directions is not None:
        plane = np.asarray(directions, dtype=np.float64)
        if plane.shape != (2, size) or np.linalg.matrix_rank(plane) < 2:
            raise ValueError(
                f"directions must be two independent rows of {size:,} numbers, but got shape {plane.shape}"
            )
        return ways[0][-1], plane, ["steps along direction 1", "steps along direction 2"]
    if size == 2:
        weights, biases = run.model.layers(np.arange(2))[0]
        names = ["weight", "bias"] if biases.size else ["weight 1", "weight 2"]
        return np.zeros(2), np.eye(2), names if weights.size else names[::-1]
    centre = ways[0][-1]
    away = np.concatenate(ways) - centre
    _, values, rows = np.linalg.svd(away, full_matrices=False)
    if len(values) < 2 or values[1] <= 1e-12 * values[0]:
        raise ValueError(
            "a path must leave a straight line for its principal components, but does not; give directions"
        )
    shares = values**2 / float(values @ values)
    return centre, rows[:2], [f"component {i + 1} ({shares[i]:.0%} of the path)" for i in range(2)]


def _by_name(paths: Path | Mapping[str, Path]) -> dict[str, Path]:
    named = dict(paths) if isinstance(paths, Mapping) else {"": paths}
    if not named:
        raise ValueError("paths must have one path at least, but got none")
    return named


def finite_thetas(way: Path, size: int, least: int = 2) -> Array:
    """Return the finite parameters (n, P) of a path, so many at least."""
    thetas = way.thetas if isinstance(way, Recorder) else np.asarray(way, dtype=np.float64)
    if thetas.ndim != 2 or thetas.shape[1] != size:
        raise ValueError(f"a path must have rows of the model's {size:,} parameters, but got shape {thetas.shape}")
    kept: Array = thetas[np.isfinite(thetas).all(axis=1)]
    if len(kept) < least:
        raise ValueError(f"a path must have {least} rows of finite numbers at least, but got {len(kept)}")
    return kept


def _limits(points: Array) -> list[tuple[float, float]]:
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * np.maximum(high - low, 1e-9 + 0.1 * (high - low).max())
    return [(float(a), float(b)) for a, b in zip(low - margin, high + margin, strict=True)]
