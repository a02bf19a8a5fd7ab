"""Figures of a study's space: two hyper-parameters against each other, all of them side by side, their importance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nn.checks import integer
from tuning.charts import HeatMap, by_importance, heat_map, importance_shares, parallel_lines, words
from tuning.plots import style
from tuning.plots.checks import as_study, scores_of
from tuning.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TEXTS = 150


def heatmap(
    study: Study, x: str | None = None, y: str | None = None, metric: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw a metric over two hyper-parameters; each cell has the best mean of the other hyper-parameters.

    A cell without a score has a cross where trials diverged, and a dash where all ended before their last epoch; an
    empty one was not tried. The best is framed. A number with many values, as in a random search, is cut into bins.

    Args:
        study: The study whose settings are drawn.
        x, y: The hyper-parameters of columns and rows; unless given, learning_rate and batch_size, or those of the
            others that were varied and explain most of the variance.
        metric: The metric of the cells; by default the one that decides.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `study` is no study.
        ValueError: Where x or y is not among its hyper-parameters, or no trial completed.
    """
    scores = scores_of(as_study(study, "heatmap"), metric)
    chart = heat_map(scores, x, y, by_importance(study.analysis().importance, scores.varied))
    with style.look():
        ax = style.axes_of(ax, width=max(6.5, 1.5 + 0.62 * len(chart.columns)))
        _draw_cells(ax, chart)
        for (row, column), diverged in chart.unranked.items():
            look: dict[str, Any] = {"color": "black"} if diverged else {"color": "0.5"}
            ax.plot([column], [row], "x" if diverged else "_", markersize=9, markeredgewidth=2, **look)
        slant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(range(len(chart.columns)), chart.columns, **(slant if max(map(len, chart.columns)) > 4 else {}))
        ax.set_yticks(range(len(chart.rows)), chart.rows)
        kinds = set(chart.unranked.values())
        signs = ", ".join(["×: diverged"] * (True in kinds) + ["–: ended early"] * (False in kinds))
        name = words(scores.metric)
        ax.set(xlabel=words(chart.x), ylabel=words(chart.y), title=f"{name} ({signs})" if signs else name)
    return ax


def _draw_cells(ax: Axes, chart: HeatMap) -> None:
    """Draw the cells with their values and a colour bar; the best has a frame, and so has each that equals it."""
    pyplot = style.library()
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    table, larger = chart.table, chart.scores.larger
    finite = table[np.isfinite(table)]
    log = not larger and len(finite) > 0 and finite.min() > 0
    colours = pyplot.get_cmap(style.SEQUENTIAL if larger else f"{style.SEQUENTIAL}_r")  # light is better
    drawn: Any = ax.imshow(table, cmap=colours, aspect="auto", origin="lower", norm=LogNorm() if log else None)
    ax.grid(False)
    if not len(finite):
        return
    best = finite.max() if larger else finite.min()
    if finite.min() == finite.max():
        drawn.set_clim(*((best - 1, best) if larger else (best, best * 10 if log else best + 1)))  # all are the best
    else:
        bar = ax.figure.colorbar(drawn, ax=ax, label=words(chart.scores.metric))
        if log:
            style.log_ticks(bar.ax, "y", finite.min(), finite.max())
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value) and table.size <= MOST_TEXTS:
            red, green, blue, _ = drawn.cmap(drawn.norm(float(value)))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            text = f"{value:.3f}" if larger and abs(value) < 100 else f"{value:.3g}"
            colour = "white" if dark else "black"
            ax.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
        if value == best:
            frame: dict[str, Any] = {"fill": False, "edgecolor": style.COLOURS[1], "linewidth": 3}
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))


def parallel_coordinates(
    study: Study, metric: str | None = None, *, top: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw each setting as a line through an axis for each hyper-parameter that varied to the metric; the best on top.

    Colours are by the metric, light being better. Settings of which not every trial completed are thin and grey, and
    end before the metric; a hyper-parameter that a setting does not have is passed below its axis.

    Args:
        study: The study whose settings are drawn.
        metric: The metric of the last axis; by default the one that decides.
        top: Draw so many of the best settings alone.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `study` is no study.
        ValueError: Where the metric is unknown, nothing was varied, or no setting completed in all its trials.
    """
    scores = scores_of(as_study(study, "parallel_coordinates"), metric)
    if not scores.ranked:
        raise ValueError(
            f"a study must have a setting whose trials all completed to be drawn, but: {study.describe_states()}"
        )
    varied = scores.varied
    if not varied:
        raise ValueError("a study must have varied a hyper-parameter to be drawn as lines, but varied none")
    if top is not None:
        scores = scores.top(integer("top", top, 1))
    names = [name for name in varied if name in scores.names]
    chart = parallel_lines(scores, names)
    name, last = words(scores.metric), len(names)
    with style.look():
        ax = style.axes_of(ax, width=2.5 + 1.9 * (last + 1), height=5.0)
        colours = style.library().get_cmap(style.SEQUENTIAL)
        for setting, heights in zip(reversed(chart.settings), reversed(chart.heights), strict=True):
            if setting.rank is None:
                ax.plot(range(last), heights[:-1], color="0.75", linewidth=0.8, linestyle="-", zorder=1)
                continue
            best = setting.rank == 1
            line: dict[str, Any] = {
                "color": style.COLOURS[1] if best else colours(0.95 * heights[-1]),
                "linewidth": 4 if best else 1.2,
                "linestyle": "-",
            }
            label = f"best: {name} {setting.score:.4g}" if best else None
            ax.plot(range(last + 1), heights, zorder=3 if best else 2, label=label, **line)
        for i, marks in enumerate(chart.marks):
            ax.axvline(i, color="black", linewidth=1, zorder=4)
            for height, text in marks:
                box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
                ax.text(i + 0.03, height, text, va="center", fontsize=10, zorder=5, bbox=box)
        ax.set_xticks(range(last + 1), [*map(words, names), name], rotation=15)
        ax.set(yticks=[], xlim=(-0.1, last + 0.4), title=f"{len(chart.settings):,} settings")
        ax.spines["left"].set_visible(False)
        ax.grid(False)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.32))
    return ax


def importance(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw the share of the variance of the scores that each hyper-parameter explains; see `tuning.analysis`.

    Args:
        study: The study whose scores are explained.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `study` is no study.
        ValueError: Where nothing varies, or no trial completed.
    """
    metric = scores_of(as_study(study, "importance")).metric
    found = study.analysis().importance
    shares = importance_shares(found)
    if not shares:
        raise ValueError(
            f"a study must have 3 settings or more, with different scores, for importances, but has {found.settings}"
        )
    with style.look():
        ax = style.axes_of(ax)
        colours = ["0.7", *[style.COLOURS[0]] * (len(shares) - 1)]  # grey is not explained
        drawn = ax.barh([*reversed(shares)], [100 * share for share in reversed(shares.values())], color=colours)
        ax.bar_label(drawn, fmt="%.0f %%", padding=4)
        ax.set(xlim=(0, 108), xlabel="variance explained / %", title=f"What {words(metric)} depends on")
        ax.grid(False, axis="y")
        ax.set_axisbelow(True)
    return ax
