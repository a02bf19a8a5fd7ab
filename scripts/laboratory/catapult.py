"""A learning rate between 2/λ and 4/λ throws the loss up and lands in a flatter place (Lewkowycz et al. 2020).

Prints the table of claims and saves catapult.png: the loss and the curvature from one start at four learning rates,
and the height of the throw against the width. About 15 seconds on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning import laboratory
from tuning.laboratory import catapult as experiment
from tuning.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def run(seed: int, quick: bool) -> laboratory.Findings:
    """Measure, compare, draw."""
    sizes: dict[str, Any] = {"widths": (64, 256), "starts": 5, "peak_widths": (256, 512, 1024), "peak_starts": 20}
    measured = experiment.measure(seed, progress=True, **(sizes if quick else {}))
    return laboratory.Findings(
        "The catapult (Lewkowycz et al. 2020)",
        experiment.claims(measured),
        {"catapult": draw(measured)},
        ["f = v·u/√n, learning rate η = c/λ₀; every share is over all c, widths and starts in question."],
    )


def draw(measured: experiment.Measured) -> Figure:
    """Return the figure: loss, curvature, height of the throw."""
    figure, ((loss, curvature, height),) = style.subplots(1, 3, width=17, height=5)
    draw_courses(loss, curvature, measured.courses)
    draw_heights(height, measured)
    return figure


def draw_courses(loss: Axes, curvature: Axes, courses: Sequence[experiment.Course]) -> None:
    """Draw the loss and ηλ against the step, a line for each learning rate."""
    for course, colour, dash in zip(courses, style.COLOURS, style.DASHES, strict=False):
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": "o", "markersize": 4}
        steps = np.arange(len(course.loss))
        loss.plot(steps, course.loss, label=f"c = {course.c:g}", **look)
        curvature.plot(steps, course.learning_rate * course.curvature, **look)
    for ax in (loss, curvature):
        ax.set(xlabel="step", xlim=(0, 20), xticks=range(0, 21, 5))
    loss.set(ylabel="loss", title="The loss flies up and comes down again", yscale="log", ylim=(1e-8, 1e8))
    loss.legend(title="η = c/λ₀")
    for level, words in ((2, "2: stable below"), (4, "4: lost above")):
        curvature.axhline(level, color="grey", linewidth=1.5)
        curvature.annotate(words, (20, level), ha="right", va="bottom")
    curvature.set(ylabel="ηλ", title="It lands where ηλ < 2", ylim=(0, 8))


def draw_heights(ax: Axes, measured: experiment.Measured) -> None:
    """Draw the largest loss against the width, a line for each learning rate."""
    rows = zip(measured.peaks, experiment.slopes(measured), measured.peak_factors, strict=True)
    for (row, slope, c), colour, dash in zip(rows, style.COLOURS, style.DASHES, strict=False):
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": "o"}
        ax.loglog(measured.peak_widths, np.exp(np.log(row).mean(axis=1)), label=f"c = {c:g}, slope {slope:.3f}", **look)
    ax.set_xticks(measured.peak_widths, [f"{width:,}" for width in measured.peak_widths])
    ax.minorticks_off()
    ax.set(xlabel="width n (hidden units)", ylabel="peak loss", title="Peak loss is proportional to the width")
    ax.legend()


if __name__ == "__main__":
    sys.exit(laboratory.main(__doc__ or "", run))
