"""Under μP the best learning rate of a narrow network is that of a wide one, too (Yang et al. 2022).

512 standardised digits, networks 64-w-w-10 with w = 64 to 512, 40 full-batch steps: the learning rate is scanned in the
standard parametrisation and under μP, and a coordinate check looks at how far activations move. Prints the table of
claims and saves width_transfer.png. About 45 seconds on two cores; --quick has fewer starts and widths to 256.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning import laboratory
from tuning.laboratory import width_transfer as experiment
from tuning.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {"standard": "standard", "mup": "μP"}


def run(seed: int, quick: bool) -> laboratory.Findings:
    """Measure, compare, draw."""
    sizes: dict[str, Any] = {"widths": (64, 128, 256), "starts": 2, "check_starts": 4} if quick else {}
    both = experiment.measure(seed, progress=True, **sizes)
    return laboratory.Findings(
        "Width transfer (Yang et al. 2022)",
        experiment.claims(*both),
        {"width_transfer": draw(*both)},
        [remark(measured) for measured in both],
    )


def remark(measured: experiment.Measured) -> str:
    """Return the best rates, and the slope with its standard error, in words."""
    means = 2.0 ** np.log2(measured.best).mean(axis=1)
    rates = ", ".join(f"{rate:.4f} (w = {width})" for rate, width in zip(means, measured.widths, strict=True))
    slope, error = experiment.rate_slope(measured)
    name, starts = NAMES[measured.parametrisation], measured.best.shape[1]
    return f"{name}: η* {rates}; slope {slope:.2f} with a standard error of {error:.2f} over {starts} starts."


def draw(standard: experiment.Measured, mup: experiment.Measured) -> Figure:
    """Return the figure: loss against learning rate in both parametrisations, and the coordinate check."""
    figure, axes = style.subplots(1, 3, width=18, height=5.5)
    axes[0, 1].sharex(axes[0, 0])
    axes[0, 1].sharey(axes[0, 0])
    curves(axes[0, 0], standard)
    axes[0, 0].set_title("Standard: wider needs a lower rate")
    curves(axes[0, 1], mup)
    axes[0, 1].set_title("μP: the best rate stays")
    ax = axes[0, 2]
    for layer, (name, colour, marker) in enumerate(zip(experiment.LAYERS, style.COLOURS, style.MARKERS, strict=False)):
        for measured, dash in ((standard, "--"), (mup, "-")):
            change = 2.0 ** np.log2(measured.change[:, :, -1, layer]).mean(axis=1)
            label = f"{name}, {NAMES[measured.parametrisation]}"
            ax.plot(measured.widths, change / change[0], color=colour, linestyle=dash, marker=marker, label=label)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set(
        title=f"Change of activations after {mup.check_steps[-1]} steps at η = {mup.check_rate:.2g}",
        xlabel="width w (hidden units)",
        ylabel=f"root mean square change / that at w = {mup.widths[0]}",
        xticks=mup.widths,
        xticklabels=[str(width) for width in mup.widths],
    )
    ax.legend(fontsize=10)
    return figure


def curves(ax: Axes, measured: experiment.Measured) -> None:
    """Draw the loss against the learning rate, for each width the mean over the starts where all were scanned."""
    looks = zip(style.COLOURS, style.DASHES, style.MARKERS, strict=False)
    for width, loss, best, (colour, dash, marker) in zip(
        measured.widths, measured.loss, measured.best, looks, strict=False
    ):
        whole = np.isfinite(loss).all(axis=0)
        mean = np.exp(np.log(loss[:, whole]).mean(axis=0))
        ax.plot(measured.rates[whole], mean, color=colour, linestyle=dash, label=f"w = {width}")
        at = 2.0 ** np.log2(best).mean()
        height = np.interp(np.log(at), np.log(measured.rates[whole]), mean)
        ax.plot(at, height, color=colour, marker=marker, markersize=12, linestyle="none")
    ax.set_xscale("log", base=2)
    ax.set(xlabel="learning rate η", ylabel="training loss after the last step")
    ax.legend(title=f"mark: η* ∝ $w^{{{experiment.rate_slope(measured)[0]:.2f}}}$")


if __name__ == "__main__":
    sys.exit(laboratory.main(__doc__ or "", run))
