"""Double the learning rate, and the best batch size doubles (Smith & Le 2018).

Trains 64-32-10, with relu and with tanh, for 8,000 updates with momentum 0.9 on digits of which 40 % have random
labels, at four learning rates and batches of 1 to 128, and scores them on clean digits. Prints the table of claims and
saves best_batch_size.png: accuracy against batch size, and the best batch against the learning rate. About 35 seconds
on two cores; --quick has fewer updates and repeats, and relu alone.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning import laboratory
from tuning.laboratory import best_batch_size as experiment
from tuning.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def run(seed: int, quick: bool) -> laboratory.Findings:
    """Measure, compare, draw."""
    sizes: dict[str, Any] = {"updates": 3000, "progress": True} if quick else {"progress": True}
    networks, repeats = (("relu",), 6) if quick else (("relu", "tanh"), 24)
    measured = {name: experiment.measure(seed, activation=name, repeats=repeats, **sizes) for name in networks}
    return laboratory.Findings(
        "The best batch size grows with the learning rate (Smith & Le 2018)",
        [claim for network, result in measured.items() for claim in experiment.claims(result, network)],
        {"best_batch_size": draw(measured)},
        [remark(network, result) for network, result in measured.items()],
    )


def remark(network: str, measured: experiment.Measured) -> str:
    """Return the best batch sizes, and how sure their slope is, in words."""
    sizes, rates = (
        ", ".join(f"{x:g}" for x in values) for values in (experiment.best_or_nan(measured), measured.rates)
    )
    low, high = experiment.slope_interval(measured)
    return (
        f"{network}: best batch size {sizes} at η = {rates}; slope {experiment.slope(measured):.2f}, "
        f"{low:.2f} to {high:.2f} in 90 % of resamplings of the repeats"
    )


def draw(measured: dict[str, experiment.Measured]) -> Figure:
    """Return the figure: accuracy against batch size for each network, then the best batch against the rate."""
    figure, axes = style.subplots(1, len(measured) + 1, width=6 * (len(measured) + 1), height=5.2)
    for ax, (network, result) in zip(axes[0], measured.items(), strict=False):
        draw_accuracy(ax, result)
        ax.set_title(f"{network}: best batch ∝ η to the power of {experiment.slope(result):.2g}")
    draw_best(axes[0, -1], measured)
    return figure


def draw_accuracy(ax: Axes, measured: experiment.Measured) -> None:
    """Draw accuracy against batch size with a band of one standard error, one line for each rate, its best marked."""
    for index, rate in enumerate(measured.rates):
        mean, error, best = measured.mean[index], measured.standard_error[index], measured.best[index]
        look: dict[str, Any] = {"color": style.COLOURS[index]}
        ax.fill_between(measured.batch_sizes, mean - error, mean + error, **look, alpha=0.2)
        ax.plot(measured.batch_sizes, mean, **look, linestyle=style.DASHES[index], label=f"η = {rate:g}")
        ax.plot(measured.batch_sizes[best], mean[best], marker=style.MARKERS[index], markersize=11, **look)
    low = np.sort(measured.mean.ravel())[measured.mean.size // 2] - 0.15
    ax.set(ylim=(max(0.08, low), None), ylabel="accuracy on held-out examples")
    finish(ax)


def draw_best(ax: Axes, measured: dict[str, experiment.Measured]) -> None:
    """Draw the best batch size against the rate, and the line of slope 1."""
    for index, (network, result) in enumerate(measured.items()):
        look: dict[str, Any] = {"color": style.COLOURS[index], "linestyle": style.DASHES[index]}
        ax.plot(
            result.rates,
            experiment.best_or_nan(result),
            **look,
            marker=style.MARKERS[index],
            markersize=9,
            label=network,
        )
    first = next(iter(measured.values()))
    middle = np.exp(np.nanmean(np.log(experiment.best_or_nan(first) / first.rates)))
    line: dict[str, Any] = {"color": "grey", "linestyle": "-", "linewidth": 6, "alpha": 0.35, "zorder": 1}
    ax.plot(first.rates, middle * first.rates, **line, label="best B ∝ η")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set_xticks(first.rates, [f"{rate:g}" for rate in first.rates])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set(title="The best batch size against the learning rate", xlabel="learning rate η", ylabel="best batch size")
    ax.legend()


def finish(ax: Axes) -> None:
    """Label the axis of batch sizes, and show the legend."""
    ax.set_xscale("log", base=2)
    ax.set_xlabel("batch size B, examples")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.legend()


if __name__ == "__main__":
    sys.exit(laboratory.main(__doc__ or "", run))
