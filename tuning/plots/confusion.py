"""The figure of what a classifier takes for what: its confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nn.data import Dataset
from nn.run import Run
from tuning.plots import style
from tuning.plots.checks import check_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion(run: Run, data: Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw how many examples of each class were predicted as which: true classes in rows, predicted ones in columns.

    A cell has the number of its examples, and the colour of its share of those of the row's class; what was right
    stands on the diagonal. The numbers are those of `Run.confusion`.

    Args:
        run: The trained classifier.
        data: The examples, such as `split.validation`.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `run` is no run, or `data` no data set.
        ValueError: Where the run is no classification, or the data do not fit it.

    >>> from nn import MLP, load_dataset, train
    >>> from tuning import plots
    >>> split = load_dataset("iris").split(seed=0)
    >>> ax = plots.confusion(train(MLP((4, 8, 3)), split, epochs=50), split.validation)
    >>> [text.get_text() for text in ax.texts[:3]]
    ['10', '0', '0']
    >>> plots.close(ax)
    """
    check_run(run, data, "confusion")
    counts = run.confusion(data)
    assert run.classes is not None
    right = np.trace(counts) / len(data)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names, size = run.class_names or tuple(map(str, run.classes.tolist())), len(counts)
    with style.look():
        ax = style.axes_of(ax, width=2.5 + 0.6 * size, height=2.0 + 0.6 * size)
        ax.imshow(shares, vmin=0, vmax=1, cmap=style.SEQUENTIAL)
        dark = style.library().get_cmap(style.SEQUENTIAL)(shares)[..., :3].mean(axis=2) < 0.5
        for (row, column), count in np.ndenumerate(counts):
            ink = "white" if dark[row, column] else "black"
            ax.text(column, row, f"{count:,}", ha="center", va="center", color=ink)
        ax.set_xticks(range(size), names, rotation=45 if size > 3 else 0, ha="right" if size > 3 else "center")
        ax.set_yticks(range(size), names)
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.set_title(f"{right:.0%} of {len(data):,} examples right")
        ax.grid(False)
    return ax
