"""The one look of all figures: readable on a projector, and by people who do not see all colours."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn.files import local_path, replacing
from tuning.charts import COLOURS, SEQUENTIAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "^", "s", "v", "D", "P", "X")
DIVERGING = "PuOr"  # for what has a middle

STYLE: dict[str, Any] = {
    "axes.grid": True,
    "axes.labelsize": 13,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 14,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 12,
    "grid.alpha": 0.3,
    "image.cmap": SEQUENTIAL,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.dpi": 100,
}


def library() -> Any:
    """Return matplotlib.pyplot; raises ImportError with the way out where matplotlib is not installed."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            'figures need matplotlib, which is not installed; run: pip install "nn-tuning[plot]"'
        ) from error
    import cycler

    STYLE["axes.prop_cycle"] = cycler.cycler(color=COLOURS) + cycler.cycler(linestyle=DASHES)
    return matplotlib.pyplot


def require() -> None:
    """Raise ImportError, with the way out, where figures can't be drawn; for work to begin only where they can."""
    library()


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Draw figures of this look in here; what it changes is put back."""
    pyplot = library()
    import matplotlib

    with pyplot.rc_context(STYLE):
        yield
        interactive = matplotlib.is_interactive()
    # A notebook's backend is loaded with the first figure and turns this on; off again, no figure would be shown.
    matplotlib.interactive(interactive)


def subplots(
    rows: int = 1, columns: int = 1, *, width: float | None = None, height: float | None = None, **options: Any
) -> tuple[Figure, NDArray[Any]]:
    """Return a figure and its axes (rows, columns) in this package's look; sizes are in inches."""
    size = (width or 1 + 5.5 * columns, height or 0.5 + 4 * rows)
    with look():
        figure, axes = library().subplots(rows, columns, figsize=size, squeeze=False, **options)
    return figure, np.asarray(axes)


def axes_of(ax: Axes | None, **options: Any) -> Axes:
    """Return the axes to draw on: the given ones, or those of a new figure."""
    if ax is not None:
        return ax
    _, axes = subplots(**options)
    return axes[0, 0]


def pen(i: int) -> tuple[str, Any, str]:
    """Return the colour, the dash and the marker of line i: no two of seven are alike in any of them."""
    return COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)]


def log_ticks(ax: Axes, axis: str, low: float, high: float) -> None:
    """Make an axis logarithmic for values in [low, high]; with less than a decade or two, 1, 2 and 5 have numbers."""
    ax.set(**{f"{axis}scale": "log"})
    if high < 50 * low:
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        ticks = ax.xaxis if axis == "x" else ax.yaxis
        ticks.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ticks.set_major_formatter(StrMethodFormatter("{x:g}"))
        ticks.set_minor_formatter(NullFormatter())


def log_edges(centres: ArrayLike) -> NDArray[np.float64]:
    """Return the edges (n + 1,) of cells on a logarithmic axis around n ≥ 2 centres, halfway between neighbours.

    >>> log_edges([1, 4, 16]).tolist()
    [0.5, 2.0, 8.0, 32.0]
    """
    logs = np.log2(np.asarray(centres, dtype=np.float64))
    middle = (logs[1:] + logs[:-1]) / 2
    edges: NDArray[np.float64] = 2.0 ** np.concatenate([[2 * logs[0] - middle[0]], middle, [2 * logs[-1] - middle[-1]]])
    return edges


def save(drawn: Axes | Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure to a file and close it; folders are made.

    Args:
        drawn: The figure, or axes of it.
        path: The file; its ending names the format.

    Returns:
        The path of the file.
    """
    figure: Any = getattr(drawn, "figure", drawn)
    target = local_path("the path of a figure", path)
    kinds = sorted(figure.canvas.get_supported_filetypes())
    if target.suffix[1:].lower() not in ("", *kinds):
        raise ValueError(f"a figure must be a file that ends in .{', .'.join(kinds)}, but got {str(target)!r}")
    with replacing(target, make_folder=True) as partial:
        figure.savefig(partial, format=target.suffix[1:] or "png")
    library().close(figure)
    return target


def png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file, and close it."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    library().close(figure)
    return file.getvalue()


def close(drawn: Axes | Figure) -> None:
    """Forget a figure: pyplot keeps each until it is told so.

    Args:
        drawn: The figure, or axes of it.
    """
    library().close(getattr(drawn, "figure", drawn))
