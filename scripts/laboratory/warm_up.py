"""A learning rate that rises slowly gets to where no training could have begun (Kalra & Barkeshli 2024).

    python scripts/laboratory/warm_up.py [--quick]

A sweep of learning rates and warm-ups on digits, 400 full-batch steps, one training followed with its sharpness. Prints
the table of claims and saves warm_up.png: the largest trainable rate against warm-up, a map of all settings, and how
2/λ makes way for the rate. About 25 seconds on two cores; --quick has fewer rates, warm-ups and repeats.
"""

from __future__ import annotations

import numpy as np

from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import warm_up as experiment
from tuning.plots import style

QUICK = {"learning_rates": (1, 2, 4, 8, 16, 32), "warmups": (1, 16, 256), "repeats": 2, "every": 16}


def notes(measured: experiment.Measured) -> list[str]:
    """Return the largest trainable learning rate of each warm-up in words."""
    lines = [
        f"warm-up of {length} steps: largest trainable rate {np.median(rates):.3g} "
        f"(repeats: {', '.join(f'{rate:.3g}' for rate in np.sort(rates))})"
        for length, rates in zip(measured.warmups, experiment.largest_rates(measured), strict=True)
    ]
    target, start = measured.followed.optimizer.learning_rate, 2 / measured.followed.sharpness[0]
    return [*lines, f"training that is followed: η = {target:g}; 2/λ at its start: {start:.3g}"]


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure: largest rates, all settings, one training."""
    figure, ((largest, settings, followed),) = style.subplots(1, 3, width=18, height=5.5)
    draw_largest(largest, measured)
    draw_settings(settings, measured)
    draw_followed(followed, measured)
    return figure


def draw_largest(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the largest trainable rate of each repeat against the length of the warm-up, and their median."""
    each = experiment.largest_rates(measured)
    # Repeats at the same rate would hide each other.
    apart = np.outer(measured.warmups, 2.0 ** np.linspace(-0.2, 0.2, each.shape[1]))
    ax.plot(apart.ravel(), each.ravel(), "o", color=style.COLOURS[0], alpha=0.5, label="each repeat")
    ax.plot(measured.warmups, np.median(each, axis=1), label="median", **charts.look(1, "s"))
    log_axes(ax, measured)
    ax.set(ylabel="largest trainable learning rate η", title="A long warm-up raises the largest rate")
    ax.legend()


def draw_settings(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the median loss of every setting; those that diverged, or are no better than a guess, are white."""
    loss = np.median(measured.loss, axis=2)
    shown, words = np.where(loss < measured.blank, loss, np.nan), "training loss (nats), median"
    cmap = f"{style.SEQUENTIAL}_r"
    charts.map_of_settings(ax, measured.warmups, measured.learning_rates, shown, words, cmap=cmap)
    log_axes(ax, measured)
    ax.set(ylabel="learning rate η that is reached", title="Loss in the end; white: no better than a guess")


def draw_followed(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the learning rate of one training, and the limit 2/λ that goes before it."""
    followed, limit = measured.followed, 2 / measured.followed.sharpness
    ax.plot(followed.steps, limit, linewidth=1.5, label="2/λ, below which a rate is stable", **charts.look(0))
    ax.plot(followed.steps, measured.followed_rates, label="learning rate η of the step", **charts.look(1))
    ax.axvline(measured.schedule.warmup, color="grey", linewidth=1.5, label="end of the warm-up")
    style.log_ticks(ax, "y", *ax.dataLim.intervaly)
    ax.set(xlabel="step", ylabel="learning rate", title="The limit gives way as the rate rises")
    ax.legend(loc="lower right", frameon=True)


def log_axes(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Number an axis of warm-ups and one of learning rates by the values that were tried."""
    ax.set_xscale("log", base=4)
    ax.set_yscale("log", base=2)
    ax.set_xticks(measured.warmups, [f"{length:g}" if length > 1 else "1 (none)" for length in measured.warmups])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.set_xlabel("length of the warm-up, steps")


run = laboratory.run_of(
    experiment, "Warm-up raises the largest trainable learning rate (Kalra & Barkeshli 2024)", draw, notes, QUICK
)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
