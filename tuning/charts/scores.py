"""Scores over hyper-parameters: against one of them, over two in a heat map, and over all as lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tuning.charts.axes import BELOW, Axis, is_wide, short, words
from tuning.charts.settings import ScoredSetting, ScoredStudy, grouped
from tuning.space import is_number

BINS = 8
"""A number with more values than an axis has levels for is cut into so many bins."""


@dataclass(frozen=True)
class ScoreLine:
    """Settings that share the value of a hyper-parameter, and the `best` at each value of the one on the x axis.

    `label` names the shared value, "" where none is shared. `lost` are the values of x at which no setting is ranked
    because trials diverged, each with the setting that lost the smallest part of its trials.
    """

    label: str
    settings: tuple[ScoredSetting, ...]
    best: dict[float, ScoredSetting]
    lost: dict[float, ScoredSetting]

    @property
    def scores(self) -> list[float]:
        """The means of the best settings, in the order of x."""
        return [setting.score for setting in self.best.values() if setting.score is not None]

    @property
    def band(self) -> tuple[list[float], list[float]]:
        """The lowest and the highest scores of their trials, in the order of x."""
        return [min(setting.values) for setting in self.best.values()], [max(s.values) for s in self.best.values()]


@dataclass(frozen=True)
class ScoreCurve:
    """Scores against the hyper-parameter `x`: one line, or a line for each value of another hyper-parameter.

    `joined` says whether the best settings at neighbouring values may be joined: where nearly every setting has a value
    of its own, as in a random search, what differs between two of them is not this value alone.
    """

    scores: ScoredStudy
    x: str
    lines: tuple[ScoreLine, ...]
    joined: bool

    @cached_property
    def axis(self) -> Axis:
        """The axis of x, with all values that it had."""
        return self.scores.axis(self.x, continuous=True)

    @property
    def log_ends(self) -> tuple[float, float] | None:
        """The ends of x where it is better seen on a logarithmic axis; else None."""
        values = {x for line in self.lines for x in (*line.best, *line.lost)}
        low, high = min(values, default=0.0), max(values, default=0.0)
        return (low, high) if low > 0 and (len(values) > 2 or is_wide(low, high)) else None

    @property
    def cliff(self) -> tuple[float, float] | None:
        """The range of x above the largest ranked value, where everything diverged; None where there is none."""
        safe = max((x for line in self.lines for x in line.best), default=math.inf)
        beyond = [x for line in self.lines for x in line.lost if x > safe]
        if not beyond:
            return None
        edge = math.sqrt(safe * min(beyond))
        return edge, max(beyond) * min(beyond) / edge


def score_curve(scores: ScoredStudy, x: str = "learning_rate", by: str | None = None) -> ScoreCurve:
    """Return the scores against a hyper-parameter of the settings in which it is a number, by the values of another.

    Raises ValueError where x is a number in no setting.
    """
    if x not in scores.numeric:
        names = ", ".join(scores.names) or "none"
        raise ValueError(f"{x} must be among the study's hyper-parameters, but they are: {names}")
    settings = [setting for setting in scores.settings if is_number(setting.params.get(x))]
    if by is None:
        lines = [_line("", settings, x)]
    else:
        scores.check_name(by, "by")
        groups = grouped((s for s in settings if by in s.params), lambda setting: setting.params[by])
        lines = [_line(f"{words(by)} {short(value)}", members, x) for value, members in groups]
        if rest := [setting for setting in settings if by not in setting.params]:
            lines.append(_line(f"no {words(by)}", rest, x))
    values = {setting.params[x] for setting in settings}
    joined = len(settings) >= 2 * len(values) or scores.varied == [x]
    return ScoreCurve(scores, x, tuple(lines), joined)


def _line(label: str, members: Sequence[ScoredSetting], x: str) -> ScoreLine:
    best: dict[float, ScoredSetting] = {}
    lost: dict[float, ScoredSetting] = {}
    for number, settings in grouped(members, lambda setting: setting.params[x]):
        assert is_number(number)
        if settings[0].rank is not None:  # the best come first
            best[number] = settings[0]
        elif any(setting.diverged for setting in settings):
            lost[number] = min(settings, key=lambda setting: setting.diverged / setting.trials)
    return ScoreLine(label, tuple(members), best, lost)


@dataclass(frozen=True)
class HeatMap:
    """Scores over two hyper-parameters; `cells` has, by (row, column), the settings that are there, the best first.

    Rows and columns are the texts of single values, of bins, or "none" for settings without the hyper-parameter.
    """

    scores: ScoredStudy
    x: str
    y: str
    columns: list[str]
    rows: list[str]
    cells: dict[tuple[int, int], list[ScoredSetting]]

    @cached_property
    def best(self) -> dict[tuple[int, int], ScoredSetting]:
        """The best setting of each cell that has one that is ranked."""
        return {cell: settings[0] for cell, settings in self.cells.items() if settings[0].rank is not None}

    @cached_property
    def unranked(self) -> dict[tuple[int, int], bool]:
        """The cells without a ranked setting: True where trials diverged, False where all ended early."""
        rest = {cell: settings for cell, settings in self.cells.items() if cell not in self.best}
        return {cell: any(setting.diverged for setting in settings) for cell, settings in rest.items()}

    @property
    def table(self) -> NDArray[np.float64]:
        """The best scores (rows, columns), NaN where there is none."""
        table = np.full((len(self.rows), len(self.columns)), np.nan)
        for cell, setting in self.best.items():
            table[cell] = setting.score
        return table


def heat_map(
    scores: ScoredStudy, x: str | None = None, y: str | None = None, names: Sequence[str] | None = None
) -> HeatMap:
    """Return the scores over two hyper-parameters: those given, or the learning rate, the batch size, or others.

    `names` are the hyper-parameters to choose from, in order; by default those that were varied. Raises ValueError for
    an unknown hyper-parameter, and where fewer than two were varied.
    """
    for argument, name in (("x", x), ("y", y)):
        if name is not None:
            scores.check_name(name, argument)
    names = scores.varied if names is None else names
    first = [name for name in ("learning_rate", "batch_size") if name in names]
    free = [name for name in dict.fromkeys([*first, *names]) if name not in (x, y)]
    if len(free) < (x is None) + (y is None):
        what = ", ".join(names) or "none"
        raise ValueError(f"a heat map must have two hyper-parameters that were varied, but the study varied: {what}")
    x, y = x or free.pop(0), y or free.pop(0)
    (columns, column_of), (rows, row_of) = _levels(scores, x), _levels(scores, y)
    cells: dict[tuple[int, int], list[ScoredSetting]] = {}
    for setting, column, row in zip(scores.settings, column_of, row_of, strict=True):
        cells.setdefault((row, column), []).append(setting)
    return HeatMap(scores, x, y, columns, rows, cells)


def _levels(scores: ScoredStudy, name: str) -> tuple[list[str], list[int]]:
    """Return the texts of the levels of a hyper-parameter in order, and the level of each setting."""
    texts, level_of = scores.axis(name).bins(BINS)
    none = len(texts)
    levels = [level_of[s.params[name]] if name in s.params else none for s in scores.settings]
    return [*texts, "none"] if none in levels else texts, levels


@dataclass(frozen=True)
class ParallelLines:
    """Settings as lines through upright axes: one for each hyper-parameter, and at the end that of the score.

    `heights` has for each of `settings` a number for each of `axes`: 0 and 1 are the ends of an axis, BELOW stands for
    what a setting does not have. The best score is at the top.
    """

    axes: tuple[Axis, ...]
    settings: tuple[ScoredSetting, ...]
    heights: tuple[tuple[float, ...], ...]

    @property
    def marks(self) -> list[list[tuple[float, str]]]:
        """The heights and the texts of the marks at each axis."""
        return [[(axis.share(at), text) for at, text in zip(*axis.ticks(), strict=True)] for axis in self.axes]


def parallel_lines(
    scores: ScoredStudy, names: Iterable[str], settings: Iterable[ScoredSetting] | None = None
) -> ParallelLines:
    """Return the settings, or some of them, as lines through the axes of these hyper-parameters and of the score."""
    axes = [scores.axis(name) for name in names]
    means = [setting.score for setting in scores.ranked if setting.score is not None] or [0.0]
    far = not scores.larger and is_wide(min(means), max(means))
    last = replace(Axis.of(scores.metric, means, continuous=True, logarithmic=far), downward=not scores.larger)

    def heights(setting: ScoredSetting) -> tuple[float, ...]:
        values = {**setting.params, **({} if setting.rank is None else {last.name: setting.score})}
        return tuple(axis.share(axis.place(values[axis.name])) if axis.name in values else BELOW for axis in axes)

    axes.append(last)
    drawn = tuple(scores.settings if settings is None else settings)
    return ParallelLines(tuple(axes), drawn, tuple(map(heights, drawn)))
