"""The range test, and how far to trust it (Smith 2017): its suggestion against a real sweep, on every bundled data set.

    python scripts/laboratory/range_test.py [--quick]

Prints the table of claims and saves range_test.png: a range test beside the sweep, the error of its suggestion on each
set, and the largest stable learning rate by batch size and width. About 15 seconds on two cores.
"""

from __future__ import annotations

import numpy as np

from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import range_test as experiment
from tuning.plots import style

QUICK = {"datasets": ("digits", "wine", "spirals"), "widths": (8, 32), "seeds": 3, "steps": 60}


def notes(measured: experiment.Measured) -> list[str]:
    """Return how far each rule is off, and the cost of the suggestions, in words."""
    rules = ["off the best rate by a factor of (median, worst):"]
    prices = ["validation loss at the suggestion over that at the best rate (median, worst):"]
    for optimizer in measured.optimizers:
        off = [(rule, measured.off(i, optimizer)) for i, rule in enumerate(experiment.RULES)]
        cells = [f"{rule} {np.median(factors):.1f}, {factors.max():.0f}" for rule, factors in off]
        rules.append(f"  {optimizer:<13} " + "   ".join(cells))
        found = [(each.price, each.data) for each in measured.comparisons if each.optimizer == optimizer]
        worst, data = max(found)
        prices.append(f"  {optimizer:<13} {np.median([price for price, _ in found]):.2f}, {worst:.3g} on {data}")
    return ["", *rules, "", *prices]


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure: a test, all suggestions, the largest stable learning rates."""
    figure, ((test, off, stable),) = style.subplots(1, 3, width=19, height=6.4)
    draw_test(test, measured.comparisons[0])
    draw_factors(off, measured)
    draw_limits(stable, measured)
    return figure


def draw_limits(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the largest stable learning rate against the batch size, and 2/λ, for each width."""
    sizes = np.array(measured.batch_sizes)
    for i, width in enumerate(measured.widths):
        spread = np.abs(np.array([measured.limit_low[i], measured.limit_high[i]]) - measured.limits[i])
        label = f"{width} hidden units"
        ax.errorbar(sizes, measured.limits[i], spread, label=label, **charts.look(i, "o", capsize=4))
        ax.axhline(measured.two_over_sharpness[i], linewidth=1, **charts.look(i))
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes[:-1]] + [f"all {sizes[-1]:,}"])
    ax.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    ax.minorticks_off()
    ax.set(xlabel="batch size (examples)", ylabel="largest stable learning rate, 95 % interval")
    ax.set_title("Stable rates rise with the batch, not with 2/λ")
    ax.legend(title="thin: 2/λ at the start")


def draw_test(ax: charts.Axes, shown: experiment.Comparison) -> None:
    """Draw a range test with what follows from it, and the sweep's loss."""
    test, blue = shown.test, style.COLOURS[0]
    finite = np.isfinite(test.middle)
    top = np.where(np.isfinite(test.band_high), test.band_high, 4 * test.middle[0])
    ax.fill_between(test.rates, test.band_low, top, where=finite.tolist(), color=blue, alpha=0.25, linewidth=0)
    ax.plot(test.rates[finite], test.middle[finite], color=blue, label="range test, 80 % of the seeds")
    known, look = np.isfinite(shown.losses), charts.look(1, "s", markersize=4)
    ax.plot(shown.learning_rates[known], shown.losses[known], label="validation loss of trainings", **look)
    places = ((test.suggestion, "suggestion", 2), (shown.best, "best of the sweep", 3), (test.edge, "edge", 6))
    for rate, name, i in places:
        if rate is not None:
            ax.axvline(rate, label=f"{name}, {rate:.2g}", **charts.look(i))
    ax.set_xscale("log")
    ax.set(xlabel="learning rate", ylabel="loss (nats)", ylim=(0, 1.6 * test.middle[0]), xlim=(experiment.LOWEST, 20))
    ax.set_title(f"{shown.data}, {shown.optimizer}: a tenth of the edge trains well")
    ax.legend(loc="upper left", fontsize=11, frameon=True)


def draw_factors(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the suggestion over the best learning rate, for each set and optimizer."""
    names = list(dict.fromkeys(each.data for each in measured.comparisons))
    shown = measured.optimizers
    for i, optimizer in enumerate(shown):
        found = [each for each in measured.comparisons if each.optimizer == optimizer]
        places = np.array([names.index(each.data) for each in found]) + 0.22 * (i - (len(shown) - 1) / 2)
        best, colour = np.array([each.best for each in found]), style.COLOURS[i]
        low, high = ([each.low for each in found] / best, [each.high for each in found] / best)
        ax.hlines(places, low, high, color=colour, linewidth=1, alpha=0.6)
        ax.plot([each.factors[0] for each in found], places, "osD"[i % 3], color=colour, label=optimizer)
    ax.axvspan(0.1, 10, color="grey", alpha=0.12, linewidth=0)
    ax.axvline(1, color="black", linewidth=1)
    ax.set_xscale("log")
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) + 0.9, -0.6)
    ax.set(xlabel="suggested learning rate / best of the sweep", xlim=(1e-3, 1e3))
    ax.set_title("Markers in the grey: the right decade")
    words = "line: 95 % interval of the best rate"
    ax.legend(title=words, loc="lower center", fontsize=11, ncols=len(shown), columnspacing=1.0)


run = laboratory.run_of(experiment, "The range test, and how far to trust it (Smith 2017)", draw, notes, QUICK)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
