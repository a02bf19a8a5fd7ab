"""Figures of a study's space: two hyper-parameters against each other, all of them side by side, what matters most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nn._checks import integer
from tuning.analysis import larger_is_better
from tuning.plots import style
from tuning.plots.settings import (
    Scored,
    as_study,
    best_of,
    is_number,
    metric_of,
    order,
    parameter_of,
    scored_settings,
    short,
    spans_decades,
    words,
)
from tuning.study import Study
from tuning.values import Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

MOST_LEVELS = 14
"""A number with more different values than this is cut into bins."""
BINS = 8
MOST_TEXTS = 150


def heatmap(
    study: Study, x: str = "learning_rate", y: str = "batch_size", metric: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw a metric over two hyper-parameters; each cell has the best mean of the other hyper-parameters.

    A cell with a cross has trials, and in none of its settings all of them completed: they diverged, for the most part.
    An empty one has none; the best is framed. A number with many values, as in a random search, is cut into bins.

    Raises TypeError for what is no study; ValueError where x or y is not among its hyper-parameters or no trial
    completed.
    """
    as_study(study, "heatmap")
    metric = metric_of(study, metric)
    settings = scored_settings(study, metric)
    for argument, name in (("x", x), ("y", y)):
        parameter_of(study, name, argument)
    columns, x_texts = _levels([scored.params.get(x) for scored in settings])
    rows, y_texts = _levels([scored.params.get(y) for scored in settings])
    cells: dict[tuple[int, int], list[Scored]] = {}
    for column, row, scored in zip(columns, rows, settings, strict=True):
        cells.setdefault((row, column), []).append(scored)
    table = np.full((len(y_texts), len(x_texts)), np.nan)
    lost = []
    for place, group in cells.items():
        best = best_of(group, metric)
        if best is None:
            lost.append(place)
        else:
            table[place] = best.mean
    with style.look():
        ax = style.axes_of(ax, width=max(6.5, 1.5 + 0.62 * len(x_texts)))
        drawn = _draw_table(ax, table, metric)
        ax.figure.colorbar(drawn, ax=ax, label=words(metric))
        for row, column in lost:
            ax.plot([column], [row], "x", color="black", markersize=9, markeredgewidth=2)
        slant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(range(len(x_texts)), x_texts, **(slant if max(map(len, x_texts)) > 4 else {}))
        ax.set_yticks(range(len(y_texts)), y_texts)
        ax.set(xlabel=words(x), ylabel=words(y), title=f"{words(metric)}{' (x: diverged)' if lost else ''}")
    return ax


def _draw_table(ax: Axes, table: Array, metric: str) -> Any:
    """Draw the cells with their values; the best has a frame."""
    pyplot = style.library()
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    good = larger_is_better(metric)
    finite = table[np.isfinite(table)]
    log = not good and len(finite) > 0 and finite.min() > 0
    colours = pyplot.get_cmap(style.SEQUENTIAL if good else f"{style.SEQUENTIAL}_r")  # light is better
    drawn: Any = ax.imshow(table, cmap=colours, aspect="auto", origin="lower", norm=LogNorm() if log else None)
    ax.grid(False)
    best = (np.nanargmax if good else np.nanargmin)(table) if len(finite) else None
    for place, value in np.ndenumerate(table):
        row, column = place
        if np.isfinite(value) and table.size <= MOST_TEXTS:
            red, green, blue, _ = drawn.cmap(drawn.norm(float(value)))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            colour = "white" if dark else "black"
            ax.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=9, color=colour)
        if best is not None and row * table.shape[1] + column == best:
            ax.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=style.COLOURS[1], linewidth=3)
            )
    return drawn


def _levels(values: Sequence[Value]) -> tuple[list[int], list[str]]:
    """Return the level of each value, from 0, and the texts of the levels in order; many numbers are cut into bins."""
    known = sorted(set(values), key=order)
    if len(known) <= MOST_LEVELS or not all(is_number(value) for value in known):
        return [known.index(value) for value in values], [short(value) for value in known]
    numbers = np.array([float(value) for value in values])  # type: ignore[arg-type]
    log = spans_decades(numbers.tolist())
    low, high = numbers.min(), numbers.max()
    edges = np.geomspace(low, high, BINS + 1) if log else np.linspace(low, high, BINS + 1)
    middles = np.sqrt(edges[1:] * edges[:-1]) if log else (edges[1:] + edges[:-1]) / 2
    return np.digitize(numbers, edges[1:-1]).tolist(), [f"~{middle:.2g}" for middle in middles]


def parallel_coordinates(
    study: Study, metric: str | None = None, *, top: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw each setting as a line through one axis for each hyper-parameter, and the metric last; the best on top.

    Colours are by the metric, light being better. Settings of which not every trial completed are thin and grey, and
    end before the metric. `top`: so many of the best alone.

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
    scales = [_Scale([scored.params.get(name) for scored in shown]) for name in names]
    scores = _Scale([scored.mean for scored in whole])
    with style.look():
        ax = style.axes_of(ax, width=2.5 + 1.9 * (len(names) + 1), height=5.0)
        colours = style.library().get_cmap(style.SEQUENTIAL)
        for i, scored in enumerate(shown):
            heights = [scale.height(scored.params.get(name)) for name, scale in zip(names, scales, strict=True)]
            if not scored.whole:
                ax.plot(range(len(names)), heights, color="0.75", linewidth=0.8, linestyle="-", zorder=1)
                continue
            score = scores.height(scored.mean)
            colour = colours(0.95 * (score if sign > 0 else 1 - score))
            best = i == len(shown) - 1
            line: dict[str, Any] = {
                "color": style.COLOURS[1] if best else colour,
                "linewidth": 4 if best else 1.2,
                "linestyle": "-",
            }
            label = f"best: {words(metric)} {scored.mean:.4g}" if best else None
            ax.plot(range(len(names) + 1), [*heights, score], zorder=3 if best else 2, label=label, **line)
        for i, scale in enumerate([*scales, scores]):
            ax.axvline(i, color="black", linewidth=1, zorder=4)
            for text, height in scale.ticks():
                box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
                ax.text(i + 0.03, height, text, va="center", fontsize=10, zorder=5, bbox=box)
        ax.set_xticks(range(len(names) + 1), [*map(words, names), words(metric)], rotation=15)
        ax.set(yticks=[], xlim=(-0.1, len(names) + 0.4), title=f"{len(shown):,} settings")
        ax.spines["left"].set_visible(False)
        ax.grid(False)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.32))
    return ax


def _wide(values: Sequence[float]) -> bool:
    """Whether numbers that are few and lie side by side are better told apart by their logarithms."""
    return min(values) > 0 and max(values) >= 8 * min(values)


class _Scale:
    """Where values lie on an axis from 0 to 1: numbers by size, or by their logarithms; others at equal distances."""

    def __init__(self, values: Sequence[Value]) -> None:
        self._known = sorted(set(values), key=order)
        self._numbers = all(is_number(value) for value in self._known)
        self._log = self._numbers and _wide([float(value) for value in self._known])  # type: ignore[arg-type]

    def height(self, value: Value) -> float:
        """Return the place of a value."""
        if len(self._known) == 1:
            return 0.5
        if not self._numbers:
            return self._known.index(value) / (len(self._known) - 1)
        low, high, at = (self._place(value) for value in (self._known[0], self._known[-1], value))
        return (at - low) / (high - low)

    def ticks(self) -> list[tuple[str, float]]:
        """Return texts and places: of all values where they are few, else of the lowest, the highest and the middle."""
        shown = self._known
        if len(shown) > 8:
            shown = [shown[0], shown[len(shown) // 2], shown[-1]]
        return [(short(value), self.height(value)) for value in shown]

    def _place(self, value: Value) -> float:
        number = float(value)  # type: ignore[arg-type]
        return float(np.log(number)) if self._log else number


def importance(study: Study, *, ax: Axes | None = None) -> Axes:
    """Draw the share of the variance of the scores that each hyper-parameter explains; see `tuning.importance`.

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
    return ax
