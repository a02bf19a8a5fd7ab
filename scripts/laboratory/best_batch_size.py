"""Double the learning rate, and the best batch size doubles (Smith & Le 2018).

    python scripts/laboratory/best_batch_size.py [--quick]

Trains 64-32-10, with relu and with tanh, for 8,000 updates with momentum 0.9 on digits of which 40 % have random
labels, at four learning rates and batches of 1 to 128, and scores them on clean digits. Prints the table of claims and
saves best_batch_size.png: accuracy against batch size, and the best batch against the learning rate. About 35 seconds
on two cores; --quick has fewer updates and repeats, and relu alone.
"""

from __future__ import annotations

import numpy as np

from tuning import laboratory
from tuning.laboratory import best_batch_size as experiment
from tuning.laboratory import charts
from tuning.plots import style


def run(seed: int, quick: bool) -> laboratory.Findings:
    """Measure, compare, draw."""
    sizes = {"updates": 3000, "repeats": 6} if quick else {"repeats": 24}
    networks = ("relu",) if quick else ("relu", "tanh")
    measured = {name: experiment.measure(seed, activation=name, **sizes) for name in networks}
    return laboratory.Findings(
        "The best batch size grows with the learning rate (Smith & Le 2018)",
        [claim for network, result in measured.items() for claim in experiment.claims(result, network)],
        {"best_batch_size": draw(measured)},
        [remark(network, result) for network, result in measured.items()],
    )


def remark(network: str, measured: experiment.Measured) -> str:
    """Return the best batch sizes, and how sure their slope is, in words."""
    best, tried = experiment.best_or_nan(measured), measured.learning_rates
    sizes, rates = (", ".join(f"{x:g}" for x in values) for values in (best, tried))
    low, high = experiment.slope_interval(measured)
    return (
        f"{network}: best batch size {sizes} at η = {rates}; slope {experiment.slope(measured):.2f}, "
        f"{low:.2f} to {high:.2f} in 90 % of resamplings of the repeats"
    )


def draw(measured: dict[str, experiment.Measured]) -> charts.Figure:
    """Return the figure: accuracy against batch size for each network, and the best batch against the learning rate."""
    figure, axes = style.subplots(1, len(measured) + 1, width=6 * (len(measured) + 1), height=5.2)
    for ax, (network, result) in zip(axes[0], measured.items(), strict=False):
        draw_accuracy(ax, result)
        ax.set_title(f"{network}: best batch ∝ η to the power of {experiment.slope(result):.2g}")
    draw_best(axes[0, -1], measured)
    return figure


def draw_accuracy(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw accuracy against batch size with a band of one standard error, one line for each rate, its best marked."""
    for i, rate in enumerate(measured.learning_rates):
        mean, error, best, colour = measured.mean[i], measured.standard_error[i], measured.best[i], style.COLOURS[i]
        ax.fill_between(measured.batch_sizes, mean - error, mean + error, color=colour, alpha=0.2)
        ax.plot(measured.batch_sizes, mean, label=f"η = {rate:g}", **charts.look(i))
        ax.plot(measured.batch_sizes[best], mean[best], marker=style.MARKERS[i], markersize=11, color=colour)
    low = np.sort(measured.mean.ravel())[measured.mean.size // 2] - 0.15
    ax.set(ylim=(max(0.08, low), None), ylabel="accuracy on held-out examples")
    charts.batch_size_axis(ax)
    ax.legend()


def draw_best(ax: charts.Axes, measured: dict[str, experiment.Measured]) -> None:
    """Draw the best batch size against the learning rate, and the line of slope 1."""
    for i, (network, result) in enumerate(measured.items()):
        best = experiment.best_or_nan(result)
        ax.plot(result.learning_rates, best, label=network, **charts.look(i, style.MARKERS[i], markersize=9))
    first = next(iter(measured.values()))
    rates = first.learning_rates
    middle = np.exp(np.nanmean(np.log(experiment.best_or_nan(first) / rates)))
    ax.plot(rates, middle * rates, "-", color="grey", linewidth=6, alpha=0.35, zorder=1, label="best B ∝ η")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set(title="The best batch size against the learning rate", xlabel="learning rate η", ylabel="best batch size")
    ax.legend()


if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
