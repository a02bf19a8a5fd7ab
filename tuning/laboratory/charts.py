"""Parts that the figures of several experiments share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tuning.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure


def look(index: int, marker: str | None = None, **more: Any) -> dict[str, Any]:
    """Return how line number `index` of a chart is drawn: in a colour and with dashes of its own.

    >>> look(1, "o", markersize=4)
    {'color': '#D55E00', 'linestyle': '--', 'marker': 'o', 'markersize': 4}
    """
    return {"color": style.COLOURS[index], "linestyle": style.DASHES[index], "marker": marker, **more}


def batch_size_axis(ax: Axes) -> None:
    """Make the horizontal axis one of batch sizes, in doublings."""
    ax.set_xscale("log", base=2)
    ax.set_xlabel("batch size B, examples")
    ax.xaxis.set_major_formatter("{x:g}")


def map_of_settings(ax: Axes, across: ArrayLike, up: ArrayLike, values: ArrayLike, label: str, **options: Any) -> None:
    """Draw values (across, up), all positive, on logarithmic axes, with a logarithmic bar of colours; NaN is white."""
    from matplotlib.colors import LogNorm

    cells = style.log_edges(across), style.log_edges(up)
    mesh = ax.pcolormesh(*cells, np.transpose(values), norm=LogNorm(), **options)
    ax.figure.colorbar(mesh, ax=ax, label=label)
    ax.grid(False)
