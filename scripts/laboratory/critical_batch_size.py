"""Larger batches save steps, up to the critical batch size (McCandlish et al. 2018; Shallue et al. 2019).

    python scripts/laboratory/critical_batch_size.py [--quick]

Trains 64-32-10 on the standardised digits with batches of 1 to 1,024 and the learning rate tuned for each. Prints the
table of claims and saves critical_batch_size.png: steps to three losses, best rates, the critical batch size beside the
gradient noise scale, and a map of all settings. About 40 seconds on two cores; --quick takes fewer sizes and starts.
"""

from __future__ import annotations

import numpy as np

from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import critical_batch_size as experiment
from tuning.plots import style

QUICK = {"batch_sizes": (1, 4, 16, 64, 256, 1024), "starts": 3, "noise_starts": 1}


def notes(measured: experiment.Measured) -> list[str]:
    """Return the curve that was fitted to the steps to each loss, and the noise scale, in words."""
    found = zip(measured.targets, experiment.fits(measured), experiment.noise_scales(measured), strict=True)
    return [
        "S: steps to the loss at the best learning rate η* of each batch size B.",
        *(
            f"loss {target:g}: S = {curve.min_steps:.3g}·(1 + {curve.critical_batch:.3g}/B); noise scale {scale:.3g}"
            for target, curve, scale in found
        ),
    ]


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure of four panels."""
    figure, axes = style.subplots(2, 2, width=13, height=10)
    for ax, draw_panel in zip(axes.flat, (draw_steps, draw_rates, draw_noise, draw_map), strict=True):
        draw_panel(ax, measured)
    return figure


def draw_steps(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw steps to the targets against the batch size, and the curves fitted."""
    grid = np.geomspace(measured.batch_sizes[0], measured.batch_sizes[-1], 200)
    for i, (target, curve) in enumerate(zip(measured.targets, experiment.fits(measured), strict=True)):
        colour = style.COLOURS[i]
        ax.loglog(measured.batch_sizes, measured.best_steps[:, i], style.MARKERS[i], color=colour)
        label = f"loss {target:g}: {curve.min_steps:.2g}·(1 + {curve.critical_batch:.0f}/B)"
        ax.loglog(grid, curve.steps(grid), label=label, **charts.look(i))
        ax.axvline(curve.critical_batch, color=colour, linestyle=":", linewidth=1)
    ax.set(title="Steps halve with each doubling up to B_crit (dotted)", ylabel="steps to the loss, median")
    charts.batch_size_axis(ax)
    ax.legend(frameon=True)


def draw_rates(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the best learning rate against the batch size, with a line of slope 1."""
    sizes = measured.batch_sizes
    for i, target in enumerate(measured.targets):
        ax.loglog(sizes, measured.best_rates[:, i], label=f"loss {target:g}", **charts.look(i, style.MARKERS[i]))
    line = sizes[sizes <= 128]
    middle = np.exp(np.nanmean(np.log(measured.best_rates[sizes <= 32] / sizes[sizes <= 32, None])))
    ax.loglog(line, middle * line, color="grey", linestyle="-", linewidth=5, alpha=0.4, zorder=1, label="η* ∝ B")
    ax.set(title="The best learning rate grows with the batch, then stays", ylabel="best learning rate η*")
    charts.batch_size_axis(ax)
    ax.legend()


def draw_noise(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the critical batch size and the noise scale against the loss to be reached."""
    scales, each = experiment.noise_scales(measured), np.exp(np.log(measured.noise).mean(axis=2))
    low, high = np.nanmin(each, axis=0), np.nanmax(each, axis=0)
    critical = [curve.critical_batch for curve in experiment.fits(measured)]
    ax.plot(measured.targets, critical, label="critical batch size", **charts.look(0, "o"))
    words = "gradient noise scale tr Σ/‖G‖², mean on the way"
    ax.plot(measured.targets, scales, label=words, **charts.look(1, style.MARKERS[1]))
    band = {"color": style.COLOURS[1], "alpha": 0.15, "linewidth": 0}
    ax.fill_between(measured.targets, low, high, label="the same, range over the batch sizes", **band)
    ax.set(xlabel="training loss to be reached (nats)", ylabel="examples")
    ax.set_title("The lower the loss, the larger the useful batch")
    ax.set_xscale("log")
    style.log_ticks(ax, "y", *ax.dataLim.intervaly)
    ax.set_ylim(min(*low, *critical) / 3, None)  # the legend has its place below
    ax.set_xticks(measured.targets, [f"{target:g}" for target in measured.targets])
    ax.set_xticks([], minor=True)
    ax.invert_xaxis()
    ax.legend(loc="lower right")


def draw_map(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the steps to the lowest loss over batch size and learning rate, and the best rate of each batch size."""
    sizes, steps = measured.batch_sizes, measured.median_steps[:, :, -1]
    shown = np.where(np.isfinite(steps), steps, np.nan)
    charts.map_of_settings(ax, sizes, measured.learning_rates, shown, "steps, median")
    ax.plot(sizes, measured.best_rates[:, -1], "o", color="white", markeredgecolor="black", label="best")
    ax.set(yscale="log", ylabel="learning rate η", title=f"Steps to loss {measured.targets[-1]:g}; white: not reached")
    charts.batch_size_axis(ax)
    ax.legend(loc="lower right", frameon=True)


run = laboratory.run_of(
    experiment, "The critical batch size (McCandlish et al. 2018; Shallue et al. 2019)", draw, notes, QUICK
)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
