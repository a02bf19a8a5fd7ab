"""Stability limits and rates of gradient descent and momentum on a quadratic (Polyak 1964; Goh 2017).

A linear network on 600 digits, reduced to 8 directions. Prints the table of claims and saves quadratic_stability.png:
the rate against the learning rate, the limits against the momentum, and the descent itself. About 8 seconds on two
cores.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from nn import SGD
from tuning import laboratory
from tuning.laboratory import quadratic_stability as experiment
from tuning.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def run(seed: int, quick: bool) -> laboratory.Findings:
    """Measure, compare, draw."""
    sizes: dict[str, Any] = {"momenta": (0.5, 0.9), "learning_rates": 12, "steps": 800} if quick else {}
    measured = experiment.measure(seed, progress=True, **sizes)
    low, high = measured.eigenvalues[0], measured.eigenvalues[-1]
    plain, polyak = experiment.iterations(measured.plain), experiment.iterations(measured.polyak)
    return laboratory.Findings(
        "Stability on a quadratic (Polyak 1964; Goh 2017)",
        experiment.claims(measured),
        {"quadratic_stability": draw(measured)},
        [
            f"μ = {low:.5f}, L = {high:.5f}, κ = {high / low:.3f}",
            f"iterations to 1e-10 of the first gradient: {plain:g} at the fastest η, {polyak:g} at Polyak's optimum",
        ],
    )


def draw(measured: experiment.Measured) -> Figure:
    """Return the figure: rates, limits, descent."""
    figure, ((rates, limits, descent),) = style.subplots(1, 3, width=17, height=5)
    draw_rates(rates, measured)
    draw_limits(limits, measured)
    for norms, label, colour, dash in zip(
        (measured.plain, measured.polyak),
        (f"gradient descent, η = {measured.best:.3f}", "heavy ball, Polyak's η and β"),
        style.COLOURS,
        style.DASHES,
        strict=False,
    ):
        done = int(experiment.iterations(norms)) + 1
        descent.semilogy(norms[:done], color=colour, linestyle=dash, marker="o", markersize=4, label=label)
    descent.axhline(experiment.REDUCTION * measured.plain[0], color="grey", linewidth=1.5)
    descent.set(xlabel="iteration", ylabel="length of the gradient", title="Momentum takes half the iterations")
    descent.legend()
    return figure


def draw_rates(ax: Axes, measured: experiment.Measured) -> None:
    """The factor per step against the learning rate, with what theory says."""
    eta = np.linspace(0, measured.learning_rates[-1], 500)
    theory = experiment.convergence_rate(eta, measured.eigenvalues)
    ax.plot(eta, theory, color=style.COLOURS[0], label="max(|1 − ημ|, |1 − ηL|)")
    ax.plot(measured.learning_rates, measured.rates, "o", color=style.COLOURS[1], label="measured")
    ax.axhline(1, color="grey", linewidth=1.5)
    ax.axvline(measured.limits[0], color="grey", linestyle="--", linewidth=1.5)
    ax.annotate("2/L ", (measured.limits[0], ax.get_ylim()[0]), ha="right", va="bottom")
    ax.axvline(measured.best, color="grey", linestyle="--", linewidth=1.5)
    ax.annotate("2/(μ + L) ", (measured.best, ax.get_ylim()[0]), ha="right", va="bottom")
    ax.set(xlabel="learning rate η, with L = 1", ylabel="factor per step", title="Fastest just before it breaks")
    ax.legend()


def draw_limits(ax: Axes, measured: experiment.Measured) -> None:
    """The largest stable learning rate against the momentum, with what theory says."""
    beta = np.linspace(0, 0.99, 200).tolist()
    for nesterov, label, colour, dash in zip(
        (False, True),
        ("heavy ball, 2(1 + β)/L", "Nesterov, 2(1 + β)/(L(1 + 2β))"),
        style.COLOURS,
        style.DASHES,
        strict=False,
    ):
        kinds = [SGD(momentum=b, nesterov=nesterov and b > 0) for b in beta]
        theory = [experiment.stability_limit(kind, measured.eigenvalues[-1]) for kind in kinds]
        ax.plot(beta, theory, color=colour, linestyle=dash, label=label)
        found = [
            (optimizer.momentum, limit)
            for optimizer, limit in zip(measured.optimizers, measured.limits, strict=True)
            if optimizer.nesterov == nesterov or not optimizer.momentum
        ]
        ax.plot(*np.transpose(found), "o", color=colour, markersize=8)
    ax.set(xlabel="momentum β", ylabel="largest stable η (dots: bisected)", title="Two kinds of momentum, two limits")
    ax.set_ylim(0, None)
    ax.legend()


if __name__ == "__main__":
    sys.exit(laboratory.main(__doc__ or "", run))
