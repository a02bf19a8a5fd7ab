"""Stability limits and convergence of gradient descent and momentum on a quadratic (Polyak 1964; Goh 2017).

    python scripts/laboratory/quadratic_stability.py [--quick]

A linear network on 600 digits in 8 directions. Prints the table of claims and saves quadratic_stability.png: the factor
per step against the learning rate, the limits against the momentum, and the descent. About 8 seconds on two cores.
"""

from __future__ import annotations

import numpy as np

from nn import SGD
from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import quadratic_stability as experiment
from tuning.plots import style

QUICK = {"momenta": (0.5, 0.9), "points": 12, "steps": 800}


def notes(measured: experiment.Measured) -> list[str]:
    """Return the eigenvalues and the iterations in words."""
    low, high = measured.eigenvalues[0], measured.eigenvalues[-1]
    plain, polyak = experiment.iterations(measured.plain), experiment.iterations(measured.polyak)
    return [
        f"μ = {low:.5f}, L = {high:.5f}, κ = {high / low:.3f}",
        f"iterations to 1e-10 of the first gradient: {plain:g} at the fastest η, {polyak:g} at Polyak's optimum",
    ]


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure: factors per step, limits, descent."""
    figure, ((factors, limits, descent),) = style.subplots(1, 3, width=17, height=5)
    draw_factors(factors, measured)
    draw_limits(limits, measured)
    labels = f"gradient descent, η = {measured.best:.3f}", "heavy ball, Polyak's η and β"
    for i, (norms, label) in enumerate(zip((measured.plain, measured.polyak), labels, strict=True)):
        done = int(experiment.iterations(norms)) + 1
        descent.semilogy(norms[:done], label=label, **charts.look(i, "o", markersize=4))
    descent.axhline(experiment.REDUCTION * measured.plain[0], color="grey", linewidth=1.5)
    descent.set(xlabel="iteration", ylabel="length of the gradient", title="Momentum takes half the iterations")
    descent.legend()
    return figure


def draw_factors(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the factor per step against the learning rate, with that of the theory."""
    eta = np.linspace(0, measured.learning_rates[-1], 500)
    theory = experiment.slowest_factor(eta, measured.eigenvalues)
    ax.plot(eta, theory, color=style.COLOURS[0], label="max(|1 − ημ|, |1 − ηL|)")
    ax.plot(measured.learning_rates, measured.factors, "o", color=style.COLOURS[1], label="measured")
    ax.axhline(1, color="grey", linewidth=1.5)
    for place, words in ((measured.limits[0], "2/L "), (measured.best, "2/(μ + L) ")):
        ax.axvline(place, color="grey", linestyle="--", linewidth=1.5)
        ax.annotate(words, (place, ax.get_ylim()[0]), ha="right", va="bottom")
    ax.set(xlabel="learning rate η, with L = 1", ylabel="factor per step", title="Fastest just before it breaks")
    ax.legend()


def draw_limits(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the largest stable learning rate against the momentum, with that of the theory."""
    beta = np.linspace(0, 0.99, 200).tolist()
    labels = "heavy ball, 2(1 + β)/L", "Nesterov, 2(1 + β)/(L(1 + 2β))"
    for i, (nesterov, label) in enumerate(zip((False, True), labels, strict=True)):
        kinds = [SGD(momentum=b, nesterov=nesterov and b > 0) for b in beta]
        theory = [experiment.stability_limit(kind, measured.eigenvalues[-1]) for kind in kinds]
        ax.plot(beta, theory, label=label, **charts.look(i))
        found = [
            (optimizer.momentum, limit)
            for optimizer, limit in zip(measured.optimizers, measured.limits, strict=True)
            if optimizer.nesterov == nesterov or not optimizer.momentum
        ]
        ax.plot(*np.transpose(found), "o", color=style.COLOURS[i], markersize=8)
    ax.set(xlabel="momentum β", ylabel="largest stable η (dots: bisected)", title="Two kinds of momentum, two limits")
    ax.set_ylim(0, None)
    ax.legend()


run = laboratory.run_of(experiment, "Stability on a quadratic (Polyak 1964; Goh 2017)", draw, notes, QUICK)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
