"""A learning rate between 2/λ and 4/λ throws the loss up and lands in a flatter place (Lewkowycz et al. 2020).

Prints the table of claims and saves catapult.png: the loss and the curvature from one start at four learning rates,
and the height of the throw against the width. About 15 seconds on two cores.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.plots import style
from tuning.studies import catapult as study
from tuning.studies import laboratory

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run(seed: int, quick: bool) -> laboratory.Findings:
    """Measure, compare, draw."""
    sizes: dict[str, Any] = {"widths": (64, 256), "starts": 5, "peak_widths": (256, 512, 1024), "peak_starts": 20}
    measured = study.measure(seed, progress=True, **(sizes if quick else {}))
    return laboratory.Findings(
        "The catapult (Lewkowycz et al. 2020)",
        study.claims(measured),
        {"catapult": draw(measured)},
        ["f = v·u/√n, learning rate η = c/λ₀; every share is over all c, widths and starts in question."],
    )


def draw(measured: study.Measured) -> Figure:
    """Return the figure: loss, curvature, height of the throw."""
    figure, ((loss, curvature, height),) = style.subplots(1, 3, width=17, height=5)
    for course, colour, dash in zip(measured.courses, style.COLOURS, style.DASHES, strict=False):
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": "o", "markersize": 4}
        steps = np.arange(len(course.loss))
        loss.plot(steps, course.loss, label=f"c = {course.c:g}", **look)
        curvature.plot(steps, course.learning_rate * course.curvature, **look)
    loss.set(
        xlabel="step",
        ylabel="loss",
        title="The loss flies up and comes down again",
        xlim=(0, 20),
        xticks=range(0, 21, 5),
        yscale="log",
        ylim=(1e-8, 1e8),
    )
    loss.legend(title="η = c/λ₀")
    curvature.axhline(2, color="grey", linewidth=1.5)
    curvature.annotate("2: stable below", (20, 2), ha="right", va="bottom")
    curvature.axhline(4, color="grey", linewidth=1.5)
    curvature.annotate("4: lost above", (20, 4), ha="right", va="bottom")
    curvature.set(
        xlabel="step", ylabel="ηλ", title="It lands where ηλ < 2", xlim=(0, 20), xticks=range(0, 21, 5), ylim=(0, 8)
    )
    for row, slope, c, colour, dash in zip(
        measured.peaks, study.slopes(measured), measured.peak_factors, style.COLOURS, style.DASHES, strict=False
    ):
        height.loglog(
            measured.peak_widths,
            np.exp(np.log(row).mean(axis=1)),
            color=colour,
            linestyle=dash,
            marker="o",
            label=f"c = {c:g}, slope {slope:.3f}",
        )
    widths = [f"{width:,}" for width in measured.peak_widths]
    height.set_xticks(measured.peak_widths, widths)
    height.minorticks_off()
    height.set(xlabel="width n", ylabel="peak loss", title="Peak loss is proportional to the width")
    height.legend()
    return figure


if __name__ == "__main__":
    sys.exit(laboratory.main(__doc__ or "", run))
