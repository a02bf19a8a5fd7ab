"""Figures of a study: what the learning rate does to the score, how the settings learn, who over- and underfits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import integer, one_of
from nn.run import Run
from tuning.analysis import VERDICTS, larger_is_better
from tuning.plots import style
from tuning.plots.axes import is_number, words
from tuning.plots.settings import (
    Scored,
    as_study,
    best_of,
    grouped,
    metric_of,
    parameter_of,
    repeats_text,
    scored_settings,
    short,
    spans_decades,
    varied,
)
from tuning.space import Value
from tuning.store import COMPLETED, DIVERGED, Trial, setting_text
from tuning.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def learning_rate_curve(
    study: Study, metric: str | None = None, *, by: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a metric against the learning rate: the U, or its mirror image, with its cliff.

    At each rate it shows the best of the other hyper-parameters: the mean over repeats and folds, and a band from the
    lowest to the highest. With `by`, "batch_size" say, there is a line for each value of that. Where nearly every
    setting has a rate of its own, as in a random search, dots are not joined: what differs between them is not the rate
    alone. A cross marks a rate at which no setting completed in every repeat because some diverged; a fraction says how
    many, where not all did. The rates from which on everything diverges are shaded.

    Raises TypeError for what is no study; ValueError where it has no learning_rate or no trial completed.
    """
    as_study(study, "learning_rate_curve")
    metric = metric_of(study, metric)
    settings = scored_settings(study, metric)
    if not any(is_number(_rate(scored)) for scored in settings):
        names = ", ".join(settings[0].params) or "none"
        raise ValueError(f"learning_rate must be among the study's hyper-parameters, but they are: {names}")
    if by is not None:
        parameter_of(study, by, "by")
    rates = {_rate(scored) for scored in settings}
    joined = len(settings) >= 2 * len(rates) or varied(settings) == ["learning_rate"]
    several = len(settings) > len(rates)
    groups = grouped(settings, lambda scored: None if by is None else scored.params.get(by))
    with style.look():
        ax = style.axes_of(ax, width=6.5 if by is None else 9.0)
        safe: list[float] = []
        cliff: list[float] = []
        for i, (value, group) in enumerate(groups):
            label = f"{words(by)} {short(value)}" if by is not None else "a setting"
            if by is None and joined:
                label = f"mean{', best of the other settings' * several}"
            fine, lost = _rate_line(ax, study, metric, group, label, i, joined)
            safe += fine
            cliff += lost
        if cliff:
            ax.plot([], [], "x", color="black", markersize=8, markeredgewidth=2, label="diverged")
            _shade(ax, safe, cliff)
        every = [*safe, *cliff]
        if every and min(every) > 0 and (len(set(every)) > 2 or spans_decades(every)):
            style.log_ticks(ax, "x", min(every), max(every))
        if not larger_is_better(metric):
            style.log_ticks(ax, "y", *ax.dataLim.intervaly)
        name = words(metric)
        ax.set(xlabel="learning rate", ylabel=name, title=f"{study.definition['data']['name']}: {name}")
        if by is not None:
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        elif len(ax.get_legend_handles_labels()[1]) > 1:
            # A U has room in its middle, below the crosses.
            place: dict[str, Any] = {"loc": "best"}
            if not larger_is_better(metric):
                place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.93)}
            ax.legend(**place, frameon=True, framealpha=0.8)
    return ax


def _rate_line(
    ax: Axes, study: Study, metric: str, group: list[Scored], label: str, i: int, joined: bool
) -> tuple[list[float], list[float]]:
    """Draw line i, or its dots, at the best setting of each rate; return its rates and those that diverged."""
    colour, marker = (cycle[i % len(cycle)] for cycle in (style.COLOURS, style.MARKERS))
    by_rate = [(float(rate), these) for rate, these in grouped(group, _rate) if is_number(rate)]
    best = [(rate, found) for rate, these in by_rate if (found := best_of(these, metric)) is not None]
    rates = [rate for rate, _ in best]
    (line,) = ax.plot(rates, [found.mean for _, found in best], label=label, color=colour, markersize=5)
    line.set(linestyle=style.DASHES[i % len(style.DASHES)] if joined else "none", marker=marker)
    if study.trials_per_setting > 1:
        band = f"lowest to highest of\n{repeats_text(study)}" if i == 0 else None
        low, high = ([float(function(found.values)) for _, found in best] for function in (min, max))
        if joined:
            ax.fill_between(rates, low, high, alpha=0.2, linewidth=0, label=band, color=colour)
        else:
            ax.vlines(rates, low, high, linewidth=1, alpha=0.6, label=band or "", color=colour)
    lost = [(rate, these) for rate, these in by_rate if rate not in rates and any(s.diverged for s in these)]
    _crosses(ax, lost, 0.04 + 0.05 * i if larger_is_better(metric) else 0.96 - 0.05 * i, colour)
    return rates, [rate for rate, _ in lost]


def _rate(scored: Scored) -> Value:
    return scored.params.get("learning_rate")


def _crosses(ax: Axes, lost: Sequence[tuple[float, list[Scored]]], height: float, colour: str) -> None:
    """Mark the rates that diverged, at a height near the end of the axis where bad scores are."""
    place = ax.get_xaxis_transform()
    for rate, settings in lost:
        least = min(settings, key=lambda scored: scored.diverged / scored.trials)
        ax.plot([rate], [height], "x", markersize=8, markeredgewidth=2, transform=place, color=colour)
        if 0 < least.diverged < least.trials:
            beside: dict[str, Any] = {"xycoords": place, "textcoords": "offset points", "xytext": (0, 6)}
            ax.annotate(f"{least.diverged}/{least.trials}", (rate, height), ha="center", fontsize=9, **beside)


def _shade(ax: Axes, safe: Sequence[float], cliff: Sequence[float]) -> None:
    """Shade the rates above the largest that is safe, where all others diverged."""
    beyond = [rate for rate in cliff if not safe or rate > max(safe)]
    if beyond and safe:
        edge = float(np.sqrt(max(safe) * min(beyond)))
        ax.axvspan(edge, max(beyond) * min(beyond) / edge, color="black", alpha=0.07, linewidth=0)


def learning_curves(
    given: Study | Run, metric: str | None = None, *, by: str | None = "learning_rate", top: int = 7,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a metric against the epochs: of a study a line for each learning rate, of a run training and validation.

    Of a study: for each of at most `top` values of the hyper-parameter `by`, evenly chosen, the best setting that has
    it: the mean over repeats and folds, and a band from the lowest to the highest. With `by=None`, or without learning
    rates, the `top` best settings. A curve that ends in a cross diverged there. Of a run, `metric` is "loss",
    "accuracy" or "r2".

    Raises TypeError for what is neither; ValueError where nothing can be drawn.
    """
    if isinstance(given, Run):
        return _run_curves(given, metric or "loss", ax)
    study = as_study(given, "learning_curves")
    top = integer("top", top, 1)
    metric = metric_of(study, metric)
    title, chosen = _chosen(study, metric, by, top)
    trials: dict[str, list[Trial]] = {setting_text(scored.params): [] for _, scored in chosen}
    for trial in study.trials:
        if (text := setting_text(trial.params)) in trials:
            trials[text].append(trial)
    with style.look():
        ax = style.axes_of(ax, width=8.0)
        shades = style.library().get_cmap(style.SEQUENTIAL)(np.linspace(0, 0.85, len(chosen)))
        for i, (label, scored) in enumerate(chosen):
            these = trials[setting_text(scored.params)]
            every = [trial.curves.get(metric, np.empty(0)) for trial in these]
            length = min(map(len, every))
            curves = np.array([curve[:length] for curve in every])  # (trials, epochs)
            diverged = any(trial.state == DIVERGED for trial in these)
            epochs = np.arange(1, length + 1)
            dash = style.DASHES[i % len(style.DASHES)]
            if length == 0:
                label += " (diverged at once)" if diverged else " (no epoch)"
            ax.plot(epochs, curves.mean(axis=0), color=shades[i], linestyle=dash, label=label)
            if len(these) > 1:
                ax.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=shades[i], alpha=0.2, linewidth=0)
            if diverged and length:
                ax.plot(epochs[-1:], curves.mean(axis=0)[-1:], "x", color=shades[i], markersize=9, markeredgewidth=2)
        if not larger_is_better(metric):
            style.log_ticks(ax, "y", *ax.dataLim.intervaly)
        _count_epochs(ax)
        ax.set(xlabel="epoch", ylabel=words(metric), title=f"{study.definition['data']['name']}: {words(metric)}")
        ax.legend(title=title, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def _chosen(study: Study, metric: str, by: str | None, top: int) -> tuple[str, list[tuple[str, Scored]]]:
    """Return the settings whose curves are drawn, with their labels, and a title of these."""
    settings = scored_settings(study, metric)
    if by == "learning_rate" and not any(by in scored.params for scored in settings):
        by = None
    if by is None:
        best = sorted((s for s in settings if s.whole), key=lambda s: s.mean, reverse=larger_is_better(metric))[:top]
        names = varied(settings)
        labels = [", ".join(short(s.params.get(name)) for name in names) or "the setting" for s in best]
        return ",\n".join(map(words, names)), list(zip(labels, best, strict=True))
    parameter_of(study, by, "by")
    groups = grouped(settings, lambda scored: scored.params.get(by))
    places = np.unique(np.linspace(0, len(groups) - 1, min(top, len(groups))).round().astype(int))
    return words(by), [(short(groups[i][0]), best_of(groups[i][1], metric) or groups[i][1][0]) for i in places]


def _run_curves(run: Run, metric: str, ax: Axes | None) -> Axes:
    known = [name for name in ("loss", "accuracy", "r2") if getattr(run.history, f"train_{name}") is not None]
    one_of("metric of a run", metric, known)
    if run.epochs == 0:
        raise ValueError(f"a run must have completed an epoch to be drawn, but it {run.status} in step {run.steps}")
    with style.look():
        ax = style.axes_of(ax)
        epochs = np.arange(1, run.epochs + 1)
        for i, part in enumerate(("train", "validation")):
            curve = getattr(run.history, f"{part}_{metric}")
            if curve is not None:
                name = "training" if part == "train" else part
                ax.plot(epochs, curve, color=style.COLOURS[i], linestyle=style.DASHES[i], label=name)
        if metric == "loss":
            style.log_ticks(ax, "y", *ax.dataLim.intervaly)
        _count_epochs(ax)
        ax.set(xlabel="epoch", ylabel=metric, title=f"{metric.capitalize()} of a run that {_ended(run)}")
        ax.legend()
    return ax


def _count_epochs(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _ended(run: Run) -> str:
    return f"diverged in step {run.diverged_step}" if run.status == "diverged" else run.status


def validation_vs_train(given: Study | Run, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Draw validation against training: above the diagonal of losses lies what fits unseen data less well.

    Of a study, a point for each trial that completed, by the verdict on it (`nn-tuning show --rules`); of a run, its
    way from the first epoch to the last. `metric` is "loss", "accuracy" or "r2".

    Raises TypeError for what is neither; ValueError where nothing can be drawn.
    """
    if isinstance(given, Run):
        x, y = _both_parts(given, metric)
    else:
        study = as_study(given, "validation_vs_train")
        for part in ("train", "validation"):
            one_of("metric of training and validation", f"{part}_{metric}", study.definition["metrics"])
        scored_settings(study, f"validation_{metric}")
    with style.look():
        ax = style.axes_of(ax)
        if isinstance(given, Run):
            ax.plot(x, y, marker=".", color=style.COLOURS[0])
            ax.plot(x[:1], y[:1], "o", markersize=10, color=style.COLOURS[0], label="first epoch")
            ax.plot(x[-1:], y[-1:], "s", markersize=10, color=style.COLOURS[1], label="last epoch")
        else:
            x, y = _verdict_points(ax, given, metric)
        ends = [min(np.nanmin(x), np.nanmin(y)), max(np.nanmax(x), np.nanmax(y))]
        ax.plot(ends, ends, color="black", linewidth=1, linestyle=":", label="validation = training")
        if metric == "loss" and ends[0] > 0:
            style.log_ticks(ax, "x", *ends)
            style.log_ticks(ax, "y", *ends)
        elif metric == "loss" and ends[0] == 0 < ends[1]:
            least = max(min(values[values > 0].min(initial=ends[1]) for values in (x, y)), 1e-6 * ends[1])
            ax.set_xscale("symlog", linthresh=least)  # logarithmic down to here, and with a place for 0
            ax.set_yscale("symlog", linthresh=least)
        ax.set(xlabel=f"training {metric}", ylabel=f"validation {metric}", title=f"Training and validation {metric}")
        ax.legend()
    return ax


def _both_parts(run: Run, metric: str) -> tuple[Array, Array]:
    """Return the metric of training and validation in each epoch."""
    train, validation = (getattr(run.history, f"{part}_{metric}", None) for part in ("train", "validation"))
    if train is None or validation is None or len(train) == 0:
        raise ValueError(f"a run must have the {metric} of training and validation, but has not; train on a Split")
    return np.asarray(train), np.asarray(validation)


def _verdict_points(ax: Axes, study: Study, metric: str) -> tuple[Array, Array]:
    """Draw the trials by verdict and return where they lie."""
    points: dict[str, list[tuple[float, float]]] = {}
    for trial, verdict in zip(study.trials, study.verdicts(), strict=True):
        if trial.state == COMPLETED:
            points.setdefault(verdict.name, []).append(
                (trial.metrics[f"train_{metric}"], trial.metrics[f"validation_{metric}"])
            )
    for i, name in enumerate(VERDICTS):
        if name in points:
            x, y = np.array(points[name]).T
            colour, marker = style.COLOURS[i % len(style.COLOURS)], style.MARKERS[i % len(style.MARKERS)]
            ax.scatter(x, y, s=30, c=colour, marker=marker, alpha=0.7, label=f"{name} ({len(x)})", linewidths=0)
    both = np.array([pair for pairs in points.values() for pair in pairs])
    return both[:, 0], both[:, 1]
