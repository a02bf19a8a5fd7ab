"""Three courses of training that are known exactly (Saxe et al. 2014; Barrett & Dherin 2021; SGD on least squares).

Prints the table of claims and saves exact_theory.png: how a deep linear network learns its modes, how far gradient
descent is from the flows that it follows, and the noise floor of mini-batches. About 30 seconds on two cores.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning import laboratory
from tuning.laboratory import exact_theory as experiment
from tuning.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def run(seed: int, quick: bool) -> laboratory.Findings:
    """Measure, compare, draw."""
    smaller: dict[str, Any] = {"floor_rates": (0.01, 0.04), "batch_sizes": (4, 16), "steps": 20_000}
    measured = experiment.measure(seed, progress=True, **(smaller if quick else {}))
    return laboratory.Findings(
        "Exact theory (Saxe et al. 2014; Barrett & Dherin 2021; SGD on least squares)",
        experiment.claims(measured),
        {"exact_theory": draw(measured)},
        ["", *notes(measured.floor)],
    )


def notes(floor: experiment.Floor) -> list[str]:
    """Return the noise floors in words."""
    lines = ["loss above its least value: measured ± standard error, exact, η·E[r²‖x‖²]/(4B)"]
    for (rate, size), excess, error in zip(floor.settings, floor.excess, floor.error, strict=True):
        exact = experiment.stationary_excess(floor.X, floor.residuals, rate, size)
        small = experiment.small_rate_excess(floor.X, floor.residuals, rate, size)
        lines.append(f"  η = {rate:<5g} B = {size:<3}  {excess:.6f} ± {error:.6f}   {exact:.6f}   {small:.6f}")
    return lines


def draw(measured: experiment.Measured) -> Figure:
    """Return the figure: modes, flows, noise floor."""
    figure, ((modes, flows, floor),) = style.subplots(1, 3, width=18, height=5.5)
    draw_modes(modes, measured.modes)
    draw_flows(flows, measured.errors)
    draw_floor(floor, measured.floor)
    return figure


def draw_modes(ax: Axes, modes: experiment.Modes) -> None:
    """The strengths of the strongest, a middle and the weakest mode over time, with what theory says."""
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


def draw_flows(ax: Axes, errors: experiment.Errors) -> None:
    """The distance of gradient descent from both flows against the rate, with the slopes."""
    step, course = (experiment.orders(errors.rates, each) for each in (errors.step, errors.course))
    cases = (
        (errors.course[:, 0], f"time {errors.time:g}, flow", course[0]),
        (errors.course[:, 1], f"time {errors.time:g}, modified flow", course[1]),
        (errors.step[:, 0], "one step, flow", step[0]),
        (errors.step[:, 1], "one step, modified flow", step[1]),
    )
    for (distance, name, order), colour, dash, marker in zip(
        cases, style.COLOURS, style.DASHES, style.MARKERS, strict=False
    ):
        label = f"{name}: slope {order:.2f}"
        ax.loglog(errors.rates, distance, color=colour, linestyle=dash, marker=marker, label=label)
    ax.set_xticks(errors.rates, [f"1/{1 / rate:g}" for rate in errors.rates])
    ax.minorticks_off()
    ax.set(xlabel="learning rate h", ylabel="distance in θ", title="It follows a modified flow one order better")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * 1e4)
    ax.legend(loc="upper left", fontsize=10)


def draw_floor(ax: Axes, floor: experiment.Floor) -> None:
    """The loss above its least value against η/B, with what theory says."""
    sizes = list(dict.fromkeys(size for _, size in floor.settings))
    ratios = np.array([rate / size for rate, size in floor.settings])
    line = np.array([ratios.min() / 1.5, ratios.max() * 1.5])
    small = [experiment.small_rate_excess(floor.X, floor.residuals, ratio, 1) for ratio in line]
    ax.loglog(line, small, color="grey", linewidth=1.5, label="small rates: η·E[r²‖x‖²]/(4B)")
    for size, colour, dash, marker in zip(sizes, style.COLOURS, style.DASHES, style.MARKERS, strict=False):
        rates = [rate for rate, of in floor.settings if of == size]
        fine = np.geomspace(min(rates), max(rates), 50)
        exact = [experiment.stationary_excess(floor.X, floor.residuals, rate, size) for rate in fine]
        ax.plot(fine / size, exact, color=colour, linestyle=dash, linewidth=1.5)
        chosen = [i for i, (_, of) in enumerate(floor.settings) if of == size]
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 8}
        ax.errorbar(
            ratios[chosen], floor.excess[chosen], 2 * floor.error[chosen], label=f"measured, B = {size}", **look
        )
    ax.plot([], [], color="black", linewidth=1.5, label="exact")
    ax.set(xlabel="learning rate / batch size, η/B", title="The noise floor")
    ax.set_ylabel("loss above its least value (variance of y: 1)")
    ax.legend(loc="upper left", fontsize=10)


if __name__ == "__main__":
    sys.exit(laboratory.main(__doc__ or "", run))
