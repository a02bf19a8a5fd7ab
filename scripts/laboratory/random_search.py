"""Random search tries more values of the hyper-parameter that matters than a grid does (Bergstra & Bengio 2012).

    python scripts/laboratory/random_search.py [--quick]

A hundred comparisons of grid and random search with 9, 16 and 25 trials on the digits, over a learning rate that
matters and an L2 penalty that does not, and over the rate alone. Prints the table of claims and saves
random_search.png: where the trials lie, how good a setting each search finds, and what the loss depends on. About 40
seconds on two cores; --quick has fewer comparisons.
"""

from __future__ import annotations

import numpy as np

from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import random_search as experiment
from tuning.plots import style

QUICK = {"points": (3, 4), "comparisons": 12, "epochs": 4}


def notes(measured: experiment.Measured) -> list[str]:
    """Return how many learning rates each search tried, and its excess loss, in words."""
    lines = [f"{len(measured.best)} comparisons; excess loss: above the lowest that any search of a comparison found"]
    for b, budget in enumerate(measured.budgets):
        cells = [
            f"{method} {measured.excess[:, b, m].mean():.4f} ({measured.tried[:, b, m].mean():g} rates)"
            for m, method in enumerate(experiment.METHODS)
        ]
        lines.append(f"{budget} trials, mean excess loss: " + "; ".join(cells))
    return lines


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure of four panels."""
    figure, axes = style.subplots(2, 2, width=14, height=10.5)
    draw_trials(axes[0, 0], measured)
    draw_found(axes[0, 1], measured)
    draw_dependence(axes[1, 0], measured, 0, "learning rate")
    draw_dependence(axes[1, 1], measured, 1, "L2 penalty")
    axes[1, 1].sharey(axes[1, 0])
    axes[1, 0].set_title(f"The learning rate explains {measured.shares['learning_rate']:.0%} of the variance")
    axes[1, 1].set_title(f"The penalty explains {measured.shares['l2']:.0%}")
    return figure


def draw_trials(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw where the trials of one comparison lie, and below them which learning rates each search tries."""
    looks = zip(style.COLOURS, style.MARKERS, (0.04, 0.12), strict=False)
    for trials, name, (colour, marker, height) in zip(measured.trials, ("grid", "random"), looks, strict=False):
        rates, penalties, _ = trials.T
        different = np.unique(rates)
        label = f"{name}: {len(trials)} trials, {len(different)} learning rates"
        ax.plot(rates, penalties, marker, color=colour, markersize=11, label=label)
        look = {"color": colour, "markersize": 18, "markeredgewidth": 3}
        ax.plot(different, np.full(len(different), height), "|", transform=ax.get_xaxis_transform(), **look)
    low, high = experiment.PENALTIES
    ax.set(xscale="log", yscale="log", ylim=(low / 20, 20 * high))
    ax.set(xlabel="learning rate (matters); marks: those tried", ylabel="L2 penalty (does not)")
    ax.set_title("As many trials, more values of what matters")
    ax.legend(loc="upper center")


def draw_found(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the mean excess loss of each search against the number of trials, with two standard errors."""
    excess = measured.excess
    error = 2 * excess.std(axis=0, ddof=1) / np.sqrt(len(excess))
    apart = 1.02 ** np.linspace(-1.5, 1.5, len(experiment.METHODS))
    for m, method in enumerate(experiment.METHODS):
        look = charts.look(m, style.MARKERS[m], capsize=4)
        ax.errorbar(measured.budgets * apart[m], excess[:, :, m].mean(axis=0), error[:, m], label=method, **look)
    ax.set_xscale("log")
    ax.set_xticks(measured.budgets, [f"{budget}" for budget in measured.budgets])
    ax.minorticks_off()
    ax.set(xlabel="trials", ylabel="excess validation loss (nats), ± 2 s.e.", ylim=(0, None))
    ax.set_title("How far each search ends above the best")
    ax.legend()


def draw_dependence(ax: charts.Axes, measured: experiment.Measured, column: int, name: str) -> None:
    """Draw the loss of the trials of the large random search against one of its hyper-parameters."""
    ax.plot(measured.large[:, column], measured.large[:, 2], "o", color=style.COLOURS[0], alpha=0.6)
    ax.set(xscale="log", xlabel=name, ylabel="validation loss (nats)")
    style.log_ticks(ax, "y", *ax.dataLim.intervaly)


run = laboratory.run_of(experiment, "Random search against grid search (Bergstra & Bengio 2012)", draw, notes, QUICK)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
