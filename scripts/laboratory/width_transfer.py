"""Under μP the best learning rate of a narrow network is that of a wide one, too (Yang et al. 2022).

    python scripts/laboratory/width_transfer.py [--quick]

512 standardised digits, networks 64-w-w-10 with w = 64 to 512, 40 full-batch steps: the learning rate is scanned in the
standard parametrisation and under μP, and a coordinate check looks at how far activations move. Prints the table of
claims and saves width_transfer.png. About 45 seconds on two cores; --quick has fewer starts and widths to 256.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import width_transfer as experiment
from tuning.plots import style

NAMES = {"standard": "standard", "mup": "μP"}
QUICK = {"widths": (64, 128, 256), "starts": 2, "check_starts": 4}


def notes(both: Sequence[experiment.Measured]) -> list[str]:
    """Return the best learning rates, and the slope with its standard error, in words."""
    lines = []
    for measured in both:
        means = 2.0 ** np.log2(measured.best).mean(axis=1)
        rates = ", ".join(f"{rate:.4f} (w = {width})" for rate, width in zip(means, measured.widths, strict=True))
        slope, error = experiment.rate_slope(measured)
        name, starts = NAMES[measured.parametrisation], measured.best.shape[1]
        words = f"slope {slope:.2f} with a standard error of {error:.2f} over {starts} starts"
        lines.append(f"{name}: η* {rates}; {words}.")
    return lines


def draw(both: Sequence[experiment.Measured]) -> charts.Figure:
    """Return the figure: loss against learning rate in both parametrisations, and the coordinate check."""
    standard, mup = both
    figure, ((plain, transferred, check),) = style.subplots(1, 3, width=18, height=5.5)
    transferred.sharex(plain)
    transferred.sharey(plain)
    draw_scans(plain, standard)
    plain.set_title("Standard: wider needs a lower rate")
    draw_scans(transferred, mup)
    transferred.set_title("μP: the best rate stays")
    draw_check(check, standard, mup)
    return figure


def draw_scans(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the loss against the learning rate, for each width the mean over the starts where all were scanned."""
    for i, (width, loss, best) in enumerate(zip(measured.widths, measured.loss, measured.best, strict=True)):
        whole = np.isfinite(loss).all(axis=0)
        rates, mean = measured.learning_rates[whole], np.exp(np.log(loss[:, whole]).mean(axis=0))
        ax.plot(rates, mean, label=f"w = {width}", **charts.look(i))
        at = 2.0 ** np.log2(best).mean()
        height = np.interp(np.log(at), np.log(rates), mean)
        ax.plot(at, height, style.MARKERS[i], color=style.COLOURS[i], markersize=12)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="learning rate η", ylabel="training loss after the last step")
    ax.legend(title=f"mark: η* ∝ $w^{{{experiment.rate_slope(measured)[0]:.2f}}}$")


def draw_check(ax: charts.Axes, standard: experiment.Measured, mup: experiment.Measured) -> None:
    """Draw how far each layer's activations move against the width, in both parametrisations."""
    for layer, (name, colour, marker) in enumerate(zip(experiment.LAYERS, style.COLOURS, style.MARKERS, strict=False)):
        for measured, dash in ((standard, "--"), (mup, "-")):
            change = 2.0 ** np.log2(measured.change[:, :, -1, layer]).mean(axis=1)
            label = f"{name}, {NAMES[measured.parametrisation]}"
            ax.plot(measured.widths, change / change[0], color=colour, linestyle=dash, marker=marker, label=label)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set_title(f"Change of activations after {mup.check_steps[-1]} steps at η = {mup.check_rate:.2g}")
    ax.set(xlabel="width w (hidden units)", ylabel=f"root mean square change / that at w = {mup.widths[0]}")
    ax.set_xticks(mup.widths, [str(width) for width in mup.widths])
    ax.legend(fontsize=10)


run = laboratory.run_of(experiment, "Width transfer (Yang et al. 2022)", draw, notes, QUICK)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
