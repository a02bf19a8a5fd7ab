"""Three trainings whose every step is known exactly (Saxe et al. 2014; Barrett & Dherin 2021; SGD on least squares).

    python scripts/laboratory/exact_theory.py [--quick]

Prints the table of claims and saves exact_theory.png: how a deep linear network learns its modes, how far gradient
descent is from the flows that it follows, and the noise floor of mini-batches. About 30 seconds on two cores.
"""

from __future__ import annotations

import numpy as np

from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import exact_theory as experiment
from tuning.laboratory.findings import log_slope
from tuning.plots import style

QUICK = {"floor": {"learning_rates": (0.01, 0.04), "batch_sizes": (4, 16), "steps": 20_000}}


def notes(measured: experiment.Measured) -> list[str]:
    """Return the noise floors in words."""
    floor = measured.floor
    lines = ["", "loss above its least value: measured ± standard error, exact, η·E[r²‖x‖²]/(4B)"]
    for (rate, size), excess, error in zip(floor.settings, floor.excess, floor.error, strict=True):
        exact = experiment.stationary_excess(floor.X, floor.residuals, rate, size)
        small = experiment.small_rate_excess(floor.X, floor.residuals, rate, size)
        lines.append(f"  η = {rate:<5g} B = {size:<3}  {excess:.6f} ± {error:.6f}   {exact:.6f}   {small:.6f}")
    return lines


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure: modes, flows, noise floor."""
    figure, ((modes, flows, floor),) = style.subplots(1, 3, width=18, height=5.5)
    draw_modes(modes, measured.modes)
    draw_flows(flows, measured.errors)
    draw_floor(floor, measured.floor)
    return figure


def draw_modes(ax: charts.Axes, modes: experiment.Modes) -> None:
    """Draw the strengths of the strongest, a middle and the weakest mode over time, with those of the theory."""
    theory = experiment.sigmoidal(modes.times, modes.strengths, modes.start)
    some = slice(None, None, max(1, len(modes.times) // 25))
    count = len(modes.strengths)
    for colour, k in zip(style.COLOURS, (0, count // 2, count - 1), strict=False):
        s = modes.strengths[k]
        ax.plot(modes.times, theory[:, k], color=colour, linestyle="-", label=f"theory, s = {s:.3f}")
        ax.plot(modes.times[some], modes.deep[some, k], "o", color=colour, markersize=5)
        ax.plot(modes.times, modes.shallow[:, k], color=colour, linestyle=":", linewidth=1.5)
    ax.plot([], [], "o", color="black", label="two layers, measured")
    ax.plot([], [], color="black", linestyle=":", label="one layer, measured")
    ax.set(xlabel="time, η·steps", ylabel="strength of the mode, a", title="Two layers: a plateau, then a rise")
    ax.set_ylim(0, 1.55 * modes.strengths[0])
    ax.legend(loc="upper right", fontsize=10, ncols=2)


def draw_flows(ax: charts.Axes, errors: experiment.Errors) -> None:
    """Draw the distance of gradient descent from both flows against the learning rate, with the slopes."""
    rates = errors.learning_rates
    curves = [
        (f"{after}, {flow}", distances[:, column])
        for after, distances in ((f"time {errors.time:g}", errors.in_time), ("one step", errors.step))
        for column, flow in enumerate(("flow", "modified flow"))
    ]
    for i, (name, distance) in enumerate(curves):
        label = f"{name}: slope {log_slope(rates, distance):.2f}"
        ax.loglog(rates, distance, label=label, **charts.look(i, style.MARKERS[i]))
    ax.set_xticks(rates, [f"1/{1 / rate:g}" for rate in rates])
    ax.minorticks_off()
    ax.set(xlabel="learning rate h", ylabel="distance in θ", title="It follows a modified flow one order better")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * 1e4)
    ax.legend(loc="upper left", fontsize=10)


def draw_floor(ax: charts.Axes, floor: experiment.Floor) -> None:
    """Draw the loss above its least value against η/B, with that of the theory."""
    sizes = list(dict.fromkeys(size for _, size in floor.settings))
    ratios = np.array([rate / size for rate, size in floor.settings])
    line = np.array([ratios.min() / 1.5, ratios.max() * 1.5])
    small = [experiment.small_rate_excess(floor.X, floor.residuals, ratio, 1) for ratio in line]
    ax.loglog(line, small, color="grey", linewidth=1.5, label="small rates: η·E[r²‖x‖²]/(4B)")
    for i, size in enumerate(sizes):
        chosen = [k for k, (_, of) in enumerate(floor.settings) if of == size]
        rates = [floor.settings[k][0] for k in chosen]
        fine = np.geomspace(min(rates), max(rates), 50)
        exact = [experiment.stationary_excess(floor.X, floor.residuals, rate, size) for rate in fine]
        ax.plot(fine / size, exact, linewidth=1.5, **charts.look(i))
        points = charts.look(i, style.MARKERS[i], markersize=8, label=f"measured, B = {size}") | {"linestyle": "none"}
        ax.errorbar(ratios[chosen], floor.excess[chosen], 2 * floor.error[chosen], **points)
    ax.plot([], [], color="black", linewidth=1.5, label="exact")
    ax.set(xlabel="learning rate / batch size, η/B", title="The noise floor")
    ax.set_ylabel("loss above its least value (variance of y: 1)")
    ax.legend(loc="upper left", fontsize=10)


run = laboratory.run_of(
    experiment, "Exact theory (Saxe et al. 2014; Barrett & Dherin 2021; SGD on least squares)", draw, notes, QUICK
)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
