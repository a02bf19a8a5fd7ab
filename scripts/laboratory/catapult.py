"""A learning rate between 2/λ and 4/λ throws the loss up and lands in a flatter place (Lewkowycz et al. 2020).

    python scripts/laboratory/catapult.py [--quick]

Prints the table of claims and saves catapult.png: the loss and the curvature from one start at four learning rates,
and the height of the throw against the width. About 15 seconds on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuning import laboratory
from tuning.laboratory import catapult as experiment
from tuning.laboratory import charts
from tuning.plots import style

QUICK = {"widths": (64, 256), "starts": 5, "peak_widths": (256, 512, 1024), "peak_starts": 20}
NOTES = ["f = v·u/√n, learning rate η = c/λ₀; every share is over all c, widths and starts in question."]


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure: loss, curvature, height of the throw."""
    figure, ((loss, curvature, height),) = style.subplots(1, 3, width=17, height=5)
    draw_throws(loss, curvature, measured.throws)
    draw_heights(height, measured)
    return figure


def draw_throws(loss: charts.Axes, curvature: charts.Axes, throws: Sequence[experiment.Throw]) -> None:
    """Draw the loss and ηλ against the step, a line for each learning rate."""
    for i, throw in enumerate(throws):
        look, steps = charts.look(i, "o", markersize=4), np.arange(len(throw.loss))
        loss.plot(steps, throw.loss, label=f"c = {throw.c:g}", **look)
        curvature.plot(steps, throw.learning_rate * throw.curvature, **look)
    for ax in (loss, curvature):
        ax.set(xlabel="step", xlim=(0, 20), xticks=range(0, 21, 5))
    loss.set(ylabel="loss", title="The loss flies up and comes down again", yscale="log", ylim=(1e-8, 1e8))
    loss.legend(title="η = c/λ₀")
    for level, words in ((2, "2: stable below"), (4, "4: lost above")):
        curvature.axhline(level, color="grey", linewidth=1.5)
        curvature.annotate(words, (20, level), ha="right", va="bottom")
    curvature.set(ylabel="ηλ", title="It lands where ηλ < 2", ylim=(0, 8))


def draw_heights(ax: charts.Axes, measured: experiment.Measured) -> None:
    """Draw the largest loss against the width, a line for each learning rate."""
    rows = zip(measured.peaks, experiment.slopes(measured), measured.peak_factors, strict=True)
    for i, (row, slope, c) in enumerate(rows):
        height = np.exp(np.log(row).mean(axis=1))
        ax.loglog(measured.peak_widths, height, label=f"c = {c:g}, slope {slope:.3f}", **charts.look(i, "o"))
    ax.set_xticks(measured.peak_widths, [f"{width:,}" for width in measured.peak_widths])
    ax.minorticks_off()
    ax.set(xlabel="width n (hidden units)", ylabel="peak loss", title="Peak loss is proportional to the width")
    ax.legend()


run = laboratory.run_of(experiment, "The catapult (Lewkowycz et al. 2020)", draw, lambda _: NOTES, QUICK)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
