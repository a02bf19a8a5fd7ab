"""A figure of the best learning rate against another hyper-parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuning.analysis import BestRate
from tuning.charts import words
from tuning.plots import style
from tuning.plots.checks import as_study
from tuning.space import is_number, shown
from tuning.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def best_rate(study: Study, x: str = "batch_size", by: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the best learning rate against a hyper-parameter, with its 95 % interval and a fitted slope.

    A straight line is fitted to the logarithms: a slope of 1 says that twice the batch size wants twice the rate, 0.5
    that it wants √2 of it. A rate at the edge of what was tried is an open marker and is not fitted: the best one may
    lie outside.

    Args:
        study: The study whose best rates are drawn.
        x: The hyper-parameter of the x axis; its values are positive numbers.
        by: A further one: there is a line for each of its values.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `study` is no study.
        ValueError: Where it has no such parameter, or no best rate at a positive number.
    """
    found = as_study(study, "best_rate").best_rates(by=x if by is None else (x, by))
    lines: dict[str, list[BestRate]] = {}
    for rate in found:
        place = rate.group.get(x)
        if is_number(place) and place > 0:
            label = "" if by is None else f"{words(by)} {shown(rate.group[by])}" if by in rate.group else "without it"
            lines.setdefault(label, []).append(rate)
    if not lines:
        raise ValueError(f"x must be a parameter with positive numbers and best rates, but {x!r} has none")
    with style.look():
        ax = style.axes_of(ax, width=6.5 if by is None else 9.0)
        for i, (label, rates) in enumerate(lines.items()):
            _draw(ax, i, label, x, rates)
        for axis, (low, high) in (("x", ax.dataLim.intervalx), ("y", ax.dataLim.intervaly)):
            style.log_ticks(ax, axis, low, high)
        name = study.definition.data.name
        ax.set(xlabel=words(x), ylabel="best learning rate", title=f"{name}: best learning rate")
        if by is not None:
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        elif ax.get_legend_handles_labels()[1]:
            ax.legend()
    return ax


def _draw(ax: Axes, i: int, label: str, x: str, rates: list[BestRate]) -> None:
    """Draw line i: markers with their intervals, and the line that is fitted to those within what was tried."""
    colour, dash, marker = style.pen(i)
    across, up = (np.array(values, float) for values in ([r.group[x] for r in rates], [r.learning_rate for r in rates]))
    ends = np.array([[r.learning_rate if end is None else end for end in (r.low, r.high)] for r in rates])
    inside = np.array([not r.at_edge for r in rates])
    fitted = len(set(across[inside].tolist())) > 1
    if fitted:
        slope, height = np.polyfit(np.log(across[inside]), np.log(up[inside]), 1)
        label = f"{label}, slope {slope:.2f}".lstrip(", ")
        line = np.exp(height + slope * np.log(across[inside]))
        ax.plot(across[inside], line, color=colour, linestyle=dash, marker="")
    ax.vlines(across, *ends.T, color=colour, linewidth=1.5, alpha=0.6, label="")
    ax.plot(across[inside], up[inside], marker, color=colour, linestyle="none", label=label)
    if not inside.all():
        name = "" if inside.any() else label
        ax.plot(across[~inside], up[~inside], marker, color=colour, label=name, mfc="white", linestyle="none")
