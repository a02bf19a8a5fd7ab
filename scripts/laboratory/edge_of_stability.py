"""Gradient descent sharpens until it is at its limit of stability, and stays there (Cohen et al. 2021).

    python scripts/laboratory/edge_of_stability.py [--quick]

Twenty points of a Chebyshev polynomial and 1,000 standardised digits, full batch, with gradient descent, the heavy ball
and Nesterov's method. Prints the table of claims and saves edge_of_stability.png: loss above, sharpness below, and the
limit as a dashed line. About 30 seconds on two cores; --quick leaves out the digits and all but one start and rate.
"""

from __future__ import annotations

from tuning import laboratory
from tuning.laboratory import charts
from tuning.laboratory import edge_of_stability as experiment
from tuning.plots import style

QUICK = {"two_over_rates": (20.0,), "digits_two_over_rates": (), "starts": 1}
NOTES = [
    "λ is the sharpness. The limit is 2/η; heavy ball (2 + 2β)/η; Nesterov (2 + 2β)/(η(1 + 2β)); β = 0.5.",
    "Sharpening can end below a high limit: then there is no crossing, and nothing to compare.",
]


def draw(measured: experiment.Measured) -> charts.Figure:
    """Return the figure: loss above sharpness, one start of each training."""
    small = [starts[0] for starts in measured.of("chebyshev")]
    plain = [each for each in small if not each.optimizer.momentum]
    rate = plain[0].optimizer.learning_rate
    same_rate = [each for each in small if each.optimizer.learning_rate == rate]
    columns = [
        ("Chebyshev points: λ rises to 2/η and stays", plain),
        (f"the same η = {rate:g}: momentum moves the limit", same_rate),
    ]
    if digits := [starts[0] for starts in measured.of("digits")]:
        columns.append(("1,000 digits: the same law", digits))
    figure, axes = style.subplots(2, len(columns), width=5.7 * len(columns), height=8.5, sharex="col")
    for (loss, sharpness), (title, shown) in zip(axes.T, columns, strict=True):
        for each, colour in zip(shown, style.COLOURS, strict=False):
            level = experiment.limit(each.optimizer)
            label = f"{experiment.name(each.optimizer)}, limit {level:g}"
            loss.semilogy(each.loss, color=colour, linestyle="-", linewidth=1, label=label)
            sharpness.plot(each.steps, each.sharpness, color=colour, linestyle="-", linewidth=1.5)
            sharpness.axhline(level, color=colour, linestyle="--", linewidth=2)
        loss.set(title=title, ylabel="training loss")
        loss.legend()
        sharpness.set(xlabel="step", ylabel="sharpness λ (dashed: its limit)", ylim=(0, None))
    return figure


run = laboratory.run_of(experiment, "The edge of stability (Cohen et al. 2021)", draw, lambda _: NOTES, QUICK)

if __name__ == "__main__":
    raise SystemExit(laboratory.main(__doc__, run))
