"""Figures of one run with several panels: its curves, and its layers in the course of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nn.checks import brief
from nn.run import Run
from tuning.plots import style
from tuning.plots.studies import learning_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def course(run: Run) -> Figure:
    """Draw loss and score of a run in training and validation against the epochs, beside each other.

    Returns:
        The figure; `plots.save` writes it to a file.

    Raises:
        TypeError: Where `run` is no run.
        ValueError: Where it has completed no epoch.
    """
    if not isinstance(run, Run):
        raise TypeError(f"course must get a Run, as train returns it, but got {brief(run)}")
    figure, axes = style.subplots(1, 2)
    for ax, metric in zip(axes[0], ("loss", "r2" if run.task == "regression" else "accuracy"), strict=True):
        learning_curves(run, metric, ax=ax)
    return figure


def layers(run: Run) -> Figure:
    """Draw the norms of each layer's weights, gradient and update against the epochs, and its share of idle units.

    Idle are relu units that were 0 for every example of the epoch, and tanh and logistic units that are saturated; see
    `nn.LayerHistory`. Other activations, and a network without hidden layers, have no such panel.

    Returns:
        The figure; `plots.save` writes it to a file.

    Raises:
        TypeError: Where `run` is no run.
        ValueError: Where it has completed no epoch, or is from a file that is older than these records.
    """
    if not isinstance(run, Run):
        raise TypeError(f"layers must get a Run, as train returns it, but got {brief(run)}")
    if run.epochs == 0:
        raise ValueError(f"a run must have completed an epoch to be drawn, but it {run.status} in step {run.steps}")
    history = run.history.layers
    if history is None:
        raise ValueError("a run must have records of its layers to be drawn, but its file is older; train it again")
    norms = {"weights": history.weight_norm, "gradient": history.gradient_norm, "update": history.update_norm}
    panels = {f"norm of the {name}": values for name, values in norms.items()}
    shares = {"share of dead units": history.dead, "share of saturated units": history.saturated}
    panels |= {name: share for name, share in shares.items() if np.isfinite(share).any()}
    columns = 2 if len(panels) == 4 else 3
    figure, axes = style.subplots(len(panels) // columns, columns)
    epochs, sizes = np.arange(1, run.epochs + 1), run.model.layer_sizes
    with style.look():
        for ax, (name, values) in zip(axes.flat, panels.items(), strict=True):
            for i, line in enumerate(values.T):
                colour, dash, marker = style.pen(i)
                label = f"layer {i + 1} ({sizes[i]} to {sizes[i + 1]})"
                ax.plot(
                    epochs, line, color=colour, linestyle=dash, marker=marker if run.epochs < 10 else "", label=label
                )
            if name in shares:
                ax.set_ylim(-0.03, 1.03)
            elif values is history.weight_norm:
                ax.set_ylim(bottom=0)
            elif (values > 0).any():
                style.log_ticks(ax, "y", values[values > 0].min(), values[values > 0].max())
            ax.set(xlabel="epoch", ylabel=name)
        axes[0, 0].legend(loc="best", frameon=True, framealpha=0.8)
        figure.suptitle("The layers in training")
    return figure
