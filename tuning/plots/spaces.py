"""Figures of a study's space: two hyper-parameters against each other, all of them side by side, what matters most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import integer
from tuning.analysis import larger_is_better
from tuning.plots import style
from tuning.plots.axes import BELOW, Axis, scale_of, words
from tuning.plots.settings import (
    Scored,
    as_study,
    best_of,
    metric_of,
    parameter_of,
    scored_settings,
    spans_decades,
    varied,
)
from tuning.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

BINS = 8
"""A number with more values than an axis has levels for is cut into so many bins."""
MOST_TEXTS = 150


def heatmap(
    study: Study,
    x: str | None = None,
    y: str | None = None,
    metric: str | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric over two hyper-parameters; each cell has the best mean of the other hyper-parameters.

    Unless given, they are learning_rate and batch_size, or what else was varied. A cell without a score has a cross
    where trials diverged, and a dash where all ended before their last epoch; an empty one was not tried. The best is
    framed. A number with many values, as in a random search, is cut into bins.

    Raises TypeError for what is no study; ValueError where x or y is not among its hyper-parameters or no trial
    completed.
    """
    as_study(study, "heatmap")
    metric = metric_of(study, metric)
    settings = scored_settings(study, metric)
    x, y = _two_of(study, settings, x, y)
    (columns, x_texts), (rows, y_texts) = (_levels(study, settings, name) for name in (x, y))
    cells: dict[tuple[int, int], list[Scored]] = {}
    for column, row, scored in zip(columns, rows, settings, strict=True):
        cells.setdefault((row, column), []).append(scored)
    best = {place: best_of(group, metric) for place, group in cells.items()}
    table = np.full((len(y_texts), len(x_texts)), np.nan)
    for place, found in best.items():
        table[place] = np.nan if found is None else found.mean
    lost = {place: any(s.diverged for s in cells[place]) for place, found in best.items() if found is None}
    with style.look():
        ax = style.axes_of(ax, width=max(6.5, 1.5 + 0.62 * len(x_texts)))
        _draw_table(ax, table, metric)
        for (row, column), diverged in lost.items():
            look: dict[str, Any] = {"color": "black"} if diverged else {"color": "0.5"}
            ax.plot([column], [row], "x" if diverged else "_", markersize=9, markeredgewidth=2, **look)
        slant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(range(len(x_texts)), x_texts, **(slant if max(map(len, x_texts)) > 4 else {}))
        ax.set_yticks(range(len(y_texts)), y_texts)
        kinds = set(lost.values())
        signs = ", ".join(["×: diverged"] * (True in kinds) + ["–: ended early"] * (False in kinds))
        ax.set(xlabel=words(x), ylabel=words(y), title=f"{words(metric)} ({signs})" if signs else words(metric))
    return ax


def _two_of(study: Study, settings: Sequence[Scored], x: str | None, y: str | None) -> tuple[str, str]:
    """Return two hyper-parameters: those given, or those that were varied, the learning rate first."""
    for argument, name in (("x", x), ("y", y)):
        if name is not None:
            parameter_of(study, name, argument)
    names = varied(settings)
    first = [name for name in ("learning_rate", "batch_size") if name in names]
    free = [name for name in [*first, *(n for n in names if n not in first)] if name not in (x, y)]
    if len(free) < (x is None) + (y is None):
        what = ", ".join(names) or "none"
        raise ValueError(f"a heat map must have two hyper-parameters that were varied, but the study varied: {what}")
    return x or free.pop(0), y or free.pop(0)


def _draw_table(ax: Axes, table: Array, metric: str) -> None:
    """Draw the cells with their values and a colour bar; the best has a frame, and so has each that equals it."""
    pyplot = style.library()
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    good = larger_is_better(metric)
    finite = table[np.isfinite(table)]
    log = not good and len(finite) > 0 and finite.min() > 0
    colours = pyplot.get_cmap(style.SEQUENTIAL if good else f"{style.SEQUENTIAL}_r")  # light is better
    drawn: Any = ax.imshow(table, cmap=colours, aspect="auto", origin="lower", norm=LogNorm() if log else None)
    ax.grid(False)
    if not len(finite):
        return
    best = finite.max() if good else finite.min()
    if finite.min() == finite.max():
        drawn.set_clim(*((best - 1, best) if good else (best, best * 10 if log else best + 1)))  # all are the best
    else:
        bar = ax.figure.colorbar(drawn, ax=ax, label=words(metric))
        if log:
            style.log_ticks(bar.ax, "y", finite.min(), finite.max())
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value) and table.size <= MOST_TEXTS:
            red, green, blue, _ = drawn.cmap(drawn.norm(float(value)))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            text = f"{value:.3f}" if good and abs(value) < 100 else f"{value:.3g}"
            colour = "white" if dark else "black"
            ax.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
        if value == best:
            frame: dict[str, Any] = {"fill": False, "edgecolor": style.COLOURS[1], "linewidth": 3}
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))


def _axis(study: Study, settings: Sequence[Scored], name: str) -> Axis:
    values = (scored.params[name] for scored in settings if name in scored.params)
    return Axis.of(name, values, logarithmic=scale_of(study.definition["space"], name))


def _levels(study: Study, settings: Sequence[Scored], name: str) -> tuple[list[int], list[str]]:
    """Return the level of each setting, from 0, and the texts of the levels in order; the last may be "none"."""
    texts, level_of = _axis(study, settings, name).bins(BINS)
    none = len(texts)
    levels = [level_of[scored.params[name]] if name in scored.params else none for scored in settings]
    return levels, [*texts, "none"] if none in levels else texts


def parallel_coordinates(
    study: Study, metric: str | None = None, *, top: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw each setting as a line through one axis for each hyper-parameter, and the metric last; the best on top.

    Colours are by the metric, light being better. Settings of which not every trial completed are thin and grey, and
    end before the metric; a hyper-parameter that a setting does not have is passed below its axis. `top`: so many of
    the best alone.

    Raises TypeError for what is no study; ValueError where no trial completed.
    """
    as_study(study, "parallel_coordinates")
    metric = metric_of(study, metric)
    sign = 1.0 if larger_is_better(metric) else -1.0
    every = scored_settings(study, metric)
    whole = sorted((scored for scored in every if scored.whole), key=lambda scored: sign * scored.mean)
    if top is not None:
        whole = whole[-integer("top", top, 1) :]
    if not whole:
        raise ValueError(
            f"a study must have a setting whose trials all completed to be drawn, but: {study.describe_states()}"
        )
    shown = ([scored for scored in every if not scored.whole] if top is None else []) + whole
    names = list(dict.fromkeys(name for scored in shown for name in scored.params))
    axes = [_axis(study, shown, name) for name in names]
    means = [scored.mean for scored in whole]
    far = sign < 0 and spans_decades(means)
    scores = Axis.of(metric, means, continuous=True, logarithmic=far)
    with style.look():
        ax = style.axes_of(ax, width=2.5 + 1.9 * (len(names) + 1), height=5.0)
        colours = style.library().get_cmap(style.SEQUENTIAL)
        for i, scored in enumerate(shown):
            heights = [axis.share(scored.params[axis.name]) if axis.name in scored.params else BELOW for axis in axes]
            if not scored.whole:
                ax.plot(range(len(names)), heights, color="0.75", linewidth=0.8, linestyle="-", zorder=1)
                continue
            score = scores.share(scored.mean, downward=sign < 0)
            best = i == len(shown) - 1
            line: dict[str, Any] = {
                "color": style.COLOURS[1] if best else colours(0.95 * score),
                "linewidth": 4 if best else 1.2,
                "linestyle": "-",
            }
            label = f"best: {words(metric)} {scored.mean:.4g}" if best else None
            ax.plot(range(len(names) + 1), [*heights, score], zorder=3 if best else 2, label=label, **line)
        for i, axis in enumerate([*axes, scores]):
            ax.axvline(i, color="black", linewidth=1, zorder=4)
            for place, text in zip(*axis.ticks(), strict=True):
                box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
                height = axis.share_of(place, downward=axis is scores and sign < 0)
                ax.text(i + 0.03, height, text, va="center", fontsize=10, zorder=5, bbox=box)
        ax.set_xticks(range(len(names) + 1), [*map(words, names), words(metric)], rotation=15)
        ax.set(yticks=[], xlim=(-0.1, len(names) + 0.4), title=f"{len(shown):,} settings")
        ax.spines["left"].set_visible(False)
        ax.grid(False)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.32))
    return ax


def importance(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw the share of the variance of the scores that each hyper-parameter explains; see `tuning.analysis`.

    Raises TypeError for what is no study; ValueError where nothing varies or no trial completed.
    """
    as_study(study, "importance")
    scored_settings(study, study.metric)
    found = study.analysis().importance
    if found.shares is None or found.rest is None:
        raise ValueError(
            f"a study must have 3 settings or more, with different scores, for importances, but has {found.settings}"
        )
    bars = sorted(found.shares.items(), key=lambda item: item[1])
    names = ["interactions and noise", *(words(name) for name, _ in bars)]
    shares = [100 * found.rest, *(100 * share for _, share in bars)]
    with style.look():
        ax = style.axes_of(ax)
        drawn = ax.barh(names, shares, color=["0.7", *[style.COLOURS[0]] * len(bars)])
        ax.bar_label(drawn, fmt="%.0f %%", padding=4)
        ax.set(xlim=(0, 108), xlabel="variance explained / %", title=f"What {words(study.metric)} depends on")
        ax.grid(False, axis="y")
        ax.set_axisbelow(True)
    return ax
