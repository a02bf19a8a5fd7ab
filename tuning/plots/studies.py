"""Figures of a study: the score against the learning rate, learning curves, and validation against training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nn.checks import integer
from nn.metrics import PARTS, course_name
from nn.run import Run
from tuning import charts
from tuning.analysis import VERDICTS
from tuning.charts import ScoreCurve, words
from tuning.plots import style
from tuning.plots.checks import as_study, scores_of
from tuning.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def learning_rate_curve(
    study: Study, metric: str | None = None, *, by: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a metric against the learning rate: the U, or its mirror image, with its cliff.

    At each rate it shows the best of the other hyper-parameters: the mean over repeats and folds, and a band from the
    lowest to the highest. Where nearly every setting has a rate of its own, as in a random search, dots are not joined:
    what differs between them is not the rate alone. A cross marks a rate at which no setting completed in every repeat
    because some diverged; a fraction says how many, where not all did. The rates from which on everything diverges are
    shaded.

    Args:
        study: The study whose settings are drawn.
        metric: The metric of the y axis; by default the one that decides.
        by: A hyper-parameter, "batch_size" say: there is a line for each of its values.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `study` is no study.
        ValueError: Where it has no learning_rate, or no trial completed.
    """
    scores = scores_of(as_study(study, "learning_rate_curve"), metric)
    chart = charts.score_curve(scores, by=by)
    name = words(scores.metric)
    with style.look():
        ax = style.axes_of(ax, width=6.5 if by is None else 9.0)
        for i in range(len(chart.lines)):
            _draw_scores(ax, chart, i)
        if any(line.lost for line in chart.lines):
            ax.plot([], [], "x", color="black", markersize=8, markeredgewidth=2, label="diverged")
        if chart.cliff is not None:
            ax.axvspan(*chart.cliff, color="black", alpha=0.07, linewidth=0)
        if chart.log_ends is not None:
            style.log_ticks(ax, "x", *chart.log_ends)
        if not scores.larger:
            style.log_ticks(ax, "y", *ax.dataLim.intervaly)
        ax.set(xlabel="learning rate", ylabel=name, title=f"{scores.data}: {name}")
        if by is not None:
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        elif len(ax.get_legend_handles_labels()[1]) > 1:
            # A U has room in its middle, below the crosses.
            place: dict[str, Any] = {"loc": "best"}
            if not scores.larger:
                place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.93)}
            ax.legend(**place, frameon=True, framealpha=0.8)
    return ax


def _draw_scores(ax: Axes, chart: ScoreCurve, i: int) -> None:
    """Draw line i, or its dots, and its band over repeats; crosses stand at the end of the axis of the bad scores."""
    line = chart.lines[i]
    several = len(line.settings) > len(chart.axis.levels)
    alone = f"mean{', best of the other settings' * several}" if chart.joined else "a setting"
    colour, dash, marker = style.pen(i)
    rates = list(line.best)
    (drawn,) = ax.plot(rates, line.scores, label=line.label or alone, color=colour, markersize=5)
    drawn.set(linestyle=dash if chart.joined else "none", marker=marker)
    if chart.scores.repeated:
        label = f"lowest to highest of\n{chart.scores.repeated}" if i == 0 else None
        if chart.joined:
            ax.fill_between(rates, *line.band, alpha=0.2, linewidth=0, label=label, color=colour)
        else:
            ax.vlines(rates, *line.band, linewidth=1, alpha=0.6, label=label or "", color=colour)
    height, place = 0.04 + 0.05 * i if chart.scores.larger else 0.96 - 0.05 * i, ax.get_xaxis_transform()
    for rate, least in line.lost.items():
        ax.plot([rate], [height], "x", markersize=8, markeredgewidth=2, transform=place, color=colour)
        if least.diverged < least.trials:
            beside: dict[str, Any] = {"xycoords": place, "textcoords": "offset points", "xytext": (0, 6)}
            ax.annotate(f"{least.diverged}/{least.trials}", (rate, height), ha="center", fontsize=9, **beside)


def learning_curves(
    given: Study | Run, metric: str | None = None, *, by: str | None = "learning_rate", top: int = 7,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a metric against the epochs: of a study a line for each learning rate, of a run training and validation.

    A line of a study is the mean over repeats and folds, with a band from the lowest to the highest. A line that ends
    in a cross diverged there. Loss and score of the training part are means over each epoch, in which the parameters
    move: lines of one start differ from the first epoch on. Where a study has its data at hand, lines of a loss begin
    with it at the initial parameters, in epoch 0: those of all rates at one point.

    Args:
        given: The study or the run whose curves are drawn.
        metric: Of a study, by default the metric that decides; of a run, "loss" (the default), "accuracy" or "r2".
        by: Of a study: the best setting is drawn for each value of this hyper-parameter. With None, or in a study
            without learning rates, the best settings.
        top: Of a study, the number of lines at most; values of `by` are evenly chosen, with the best among them.
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `given` is neither a study nor a run.
        ValueError: Where nothing can be drawn.
    """
    if isinstance(given, Run):
        return _draw_run(given, metric or "loss", ax)
    scores = scores_of(as_study(given, "learning_curves"), metric)
    title, lines = charts.learning_curves(given, scores, by, integer("top", top, 1))
    with style.look():
        ax = style.axes_of(ax, width=8.0)
        shades = style.library().get_cmap(style.SEQUENTIAL)(np.linspace(0, 0.85, len(lines)))
        for i, (line, shade) in enumerate(zip(lines, shades, strict=True)):
            ax.plot(line.epochs, line.mean, color=shade, linestyle=style.pen(i)[1], label=line.label)
            if scores.repeated:
                ax.fill_between(line.epochs, line.low, line.high, color=shade, alpha=0.2, linewidth=0)
            if line.diverged and len(line.epochs):
                ax.plot(line.epochs[-1:], line.mean[-1:], "x", color=shade, markersize=9, markeredgewidth=2)
        _epoch_axes(ax, logarithmic=not scores.larger)
        ax.set(ylabel=course_name(scores.metric), title=f"{scores.data}: {words(scores.metric)}")
        ax.legend(title=title, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def _draw_run(run: Run, metric: str, ax: Axes | None) -> Axes:
    lines = charts.run_curves(run, metric)
    ended = f"diverged in step {run.diverged_step}" if run.status == "diverged" else run.status
    with style.look():
        ax = style.axes_of(ax)
        for i, line in enumerate(lines):
            colour, dash, _ = style.pen(i)
            ax.plot(line.epochs, line.mean, color=colour, linestyle=dash, label=line.label)
        _epoch_axes(ax, logarithmic=metric == "loss")
        ax.set(ylabel=metric, title=f"{metric.capitalize()} of a run that {ended}")
        ax.legend()
    return ax


def _epoch_axes(ax: Axes, *, logarithmic: bool) -> None:
    """Give axes whole epochs from left to right, and a logarithmic height where that is asked for."""
    from matplotlib.ticker import MaxNLocator

    if logarithmic:
        style.log_ticks(ax, "y", *ax.dataLim.intervaly)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")


def validation_vs_train(given: Study | Run, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Draw validation against training: above the diagonal of losses lies what fits unseen data less well.

    Of a study there is a point for each trial that completed, by the verdict on it (`nn-tuning show --rules`); of a
    run, its way from the first epoch to the last.

    Args:
        given: The study or the run that is drawn.
        metric: "loss", "accuracy" or "r2".
        ax: Where to draw; by default on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        TypeError: Where `given` is neither a study nor a run.
        ValueError: Where nothing can be drawn.
    """
    if isinstance(given, Run):
        points = {"": charts.validation_path(given, metric)}
    else:
        points = charts.validation_points(as_study(given, "validation_vs_train"), metric)
        scores_of(given, f"validation_{metric}")
    x, y = (np.concatenate(parts) for parts in zip(*points.values(), strict=True))
    with style.look():
        ax = style.axes_of(ax)
        if isinstance(given, Run):
            ax.plot(x, y, marker=".", color=style.COLOURS[0])
            ax.plot(x[:1], y[:1], "o", markersize=10, color=style.COLOURS[0], label="first epoch")
            ax.plot(x[-1:], y[-1:], "s", markersize=10, color=style.COLOURS[1], label="last epoch")
        else:
            for name, (across, up) in points.items():
                colour, _, marker = style.pen(VERDICTS.index(name))
                label = f"{name} ({len(up)})"
                ax.scatter(across, up, s=30, c=colour, marker=marker, alpha=0.7, label=label, linewidths=0)
        ends = [min(np.nanmin(x), np.nanmin(y)), max(np.nanmax(x), np.nanmax(y))]
        ax.plot(ends, ends, color="black", linewidth=1, linestyle=":", label="validation = training")
        if metric == "loss" and ends[0] > 0:
            style.log_ticks(ax, "x", *ends)
            style.log_ticks(ax, "y", *ends)
        elif metric == "loss" and ends[0] == 0 < ends[1]:
            least = max(min(values[values > 0].min(initial=ends[1]) for values in (x, y)), 1e-6 * ends[1])
            ax.set_xscale("symlog", linthresh=least)  # logarithmic down to here, and with a place for 0
            ax.set_yscale("symlog", linthresh=least)
        names = [course_name(f"{part}_{metric}") for part in PARTS]
        ax.set(xlabel=names[0], ylabel=names[1], title=f"Training and validation {metric}")
        ax.legend()
    return ax
