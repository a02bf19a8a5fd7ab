"""Curves over epochs, of studies and of runs, and validation against training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nn.checks import one_of
from nn.metrics import PARTS, course_name
from tuning.analysis import VERDICTS, StudyLike, metric_names
from tuning.charts.axes import short, words
from tuning.charts.settings import ScoredSetting, ScoredStudy, grouped
from tuning.store import COMPLETED, DIVERGED, Trial, setting_text

if TYPE_CHECKING:  # to draw a study needs no compiler
    from nn.run import Run

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """A metric after each epoch (E,): the mean over trials, the lowest and the highest of them.

    `diverged` says whether one of the trials did. Where the start is known, it is the first point, of epoch 0.
    """

    label: str
    mean: Array
    low: Array
    high: Array
    diverged: bool
    first: int = 1

    @property
    def epochs(self) -> Array:
        """The numbers of the epochs (E,), from `first`."""
        return np.arange(self.first, self.first + len(self.mean), dtype=np.float64)


def learning_curves(
    study: StudyLike, scores: ScoredStudy, by: str | None = "learning_rate", top: int = 7, metric: str | None = None
) -> tuple[str, list[LearningCurve]]:
    """Return the curves of some settings in a metric, by default that of the scores, and a title of their labels.

    The settings are the best settings for each of at most `top` values of the hyper-parameter `by`, evenly chosen, the
    best of all among them; with `by=None`, or without learning rates, the `top` best settings. A curve ends with the
    shortest of its trials.

    Raises ValueError where `by` is none of the study's hyper-parameters.
    """
    title, chosen = _chosen(scores, by, top)
    trials: dict[str, list[Trial]] = {setting_text(setting.params): [] for _, setting in chosen}
    for trial in study.trials:
        if (text := setting_text(trial.params)) in trials:
            trials[text].append(trial)
    metric = metric or scores.metric
    return title, [_curve(label, trials[setting_text(setting.params)], metric, study) for label, setting in chosen]


def _chosen(scores: ScoredStudy, by: str | None, top: int) -> tuple[str, list[tuple[str, ScoredSetting]]]:
    """Return the settings whose curves are drawn, with their labels, and a title of these."""
    if by == "learning_rate" and by not in scores.names:
        by = None
    if by is None:
        best, names = scores.ranked[:top], scores.varied
        labels = [", ".join(short(s.params.get(name)) for name in names) or "the setting" for s in best]
        return ",\n".join(map(words, names)), list(zip(labels, best, strict=True))
    scores.check_name(by, "by")
    groups = grouped(scores.settings, lambda setting: setting.params.get(by))
    places = np.linspace(0, len(groups) - 1, min(top, len(groups))).round().astype(int)
    leader = next(i for i, (_, members) in enumerate(groups) if members[0] is scores.settings[0])
    places[int(np.abs(places - leader).argmin())] = leader  # the nearest makes room for it
    return words(by), [(short(groups[i][0]), groups[i][1][0]) for i in places]


def _curve(label: str, trials: Sequence[Trial], metric: str, study: StudyLike) -> LearningCurve:
    every = [trial.curves.get(metric, np.empty(0)) for trial in trials]
    length = min(map(len, every))
    curves = np.array([curve[:length] for curve in every])  # (trials, E)
    diverged = any(trial.state == DIVERGED for trial in trials)
    if length == 0:
        label += " (diverged at once)" if diverged else " (no epoch)"
    starts = (
        [study.start(trial).get(metric, math.nan) for trial in trials] if length and metric.endswith("loss") else []
    )
    known = len(starts) > 0 and bool(np.isfinite(starts).all())
    if known:
        curves = np.column_stack([starts, curves])
    return LearningCurve(label, curves.mean(axis=0), curves.min(axis=0), curves.max(axis=0), diverged, 1 - known)


def run_curves(run: Run, metric: str) -> list[LearningCurve]:
    """Return the curves of a run in training and, where it has one, in validation. `metric` is "loss" or a score.

    Raises ValueError where the run has no such metric or no epoch.
    """
    known = dict.fromkeys(name.partition("_")[2] for name in run.history.metrics())
    one_of("metric of a run", metric, known)
    if run.epochs == 0:
        raise ValueError(f"a run must have completed an epoch to be drawn, but it {run.status} in step {run.steps}")
    curves = {course_name(name): getattr(run.history, name) for name in (f"{part}_{metric}" for part in PARTS)}
    return [LearningCurve(label, curve, curve, curve, False) for label, curve in curves.items() if curve is not None]


def validation_points(study: StudyLike, metric: str) -> dict[str, tuple[Array, Array]]:
    """Return the metric in training and in validation, each (n,), of the trials that completed, by their verdicts.

    The verdicts stand in the order of VERDICTS. Raises ValueError where a part has no such metric.
    """
    names = [f"{part}_{metric}" for part in ("train", "validation")]
    known = metric_names(study.definition, study.summaries())
    for name in names:
        one_of("metric of training and validation", name, known)
    points: dict[str, list[list[float]]] = {}
    for trial, verdict in zip(study.trials, study.verdicts(), strict=True):
        if trial.state == COMPLETED:
            points.setdefault(verdict.name, []).append([trial.metrics.get(name, math.nan) for name in names])
    tables = {name: np.array(points[name]) for name in VERDICTS if name in points}
    return {name: (table[:, 0], table[:, 1]) for name, table in tables.items()}


def validation_path(run: Run, metric: str) -> tuple[Array, Array]:
    """Return the metric of a run in training and in validation after each epoch, both (E,).

    Raises ValueError where it has not both.
    """
    train, validation = (getattr(run.history, f"{part}_{metric}", None) for part in ("train", "validation"))
    if train is None or validation is None or len(train) == 0:
        raise ValueError(f"a run must have the {metric} of training and validation, but has not; train on a Split")
    return np.asarray(train), np.asarray(validation)
