"""Which setting is best, and the table of all: means over repeats and folds, ranked by one metric.

A setting is ranked when all its trials, one for each repeat and fold, have completed with finite metrics. One that
diverged, failed or is not finished in any of them comes after all that are ranked, and can't win. Equal means are
ranked by the validation loss, then in the order in which the study visits the settings.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuning.trial import COMPLETED, setting_of
from tuning.values import Setting, value_text

Outcome = tuple[str, int, "int | None", str, dict[str, float]]
"""(text of the setting, repeat, fold, state, metrics), as `StudyFile.outcomes` yields them."""

INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Summary:
    """One setting over its trials.

    `metrics` are means and `spreads` sample standard deviations (with two trials or more); `state` is "completed", or
    what kept the setting from being ranked; `rank` counts from 1, None where it is not ranked.
    """

    params: Setting
    metrics: dict[str, float]
    spreads: dict[str, float]
    trials: int
    state: str
    rank: int | None = None


def larger_is_better(metric: str) -> bool:
    """Whether a metric is a score and not a loss."""
    return not metric.endswith("loss")


@dataclass
class Leader:
    """The best setting so far, kept while trials arrive in any order; memory is held for unfinished settings only."""

    metric: str
    per_setting: int
    best: float | None = None
    params: str | None = None
    _open: dict[str, list[float]] = field(default_factory=dict)

    def add(self, setting: str, state: str, metrics: dict[str, float]) -> None:
        """Take in one trial of a setting, given as its text."""
        values = self._open.setdefault(setting, [])
        values.append(metrics.get(self.metric, math.nan) if state == COMPLETED else math.nan)
        if len(values) < self.per_setting:
            return
        del self._open[setting]
        mean = _mean(values)
        if math.isfinite(mean) and (self.best is None or self.reaches(mean, self.best, strictly=True)):
            self.best, self.params = mean, setting

    def reaches(self, value: float, target: float, *, strictly: bool = False) -> bool:
        """Whether a value is as good as the target, or `strictly` better."""
        if strictly:
            return value > target if larger_is_better(self.metric) else value < target
        return value >= target if larger_is_better(self.metric) else value <= target


def summarise(outcomes: Iterable[Outcome], metric: str, per_setting: int) -> list[Summary]:
    """Return one summary for each setting, the best first."""
    groups: dict[str, list[tuple[str, dict[str, float]]]] = {}
    for setting, _, _, state, metrics in outcomes:
        groups.setdefault(setting, []).append((state, metrics))
    sign = -1.0 if larger_is_better(metric) else 1.0
    summaries = [_summary(setting, trials, metric, per_setting) for setting, trials in groups.items()]

    def order(summary: Summary) -> tuple[bool, float, float]:
        if summary.state != COMPLETED:
            return True, 0.0, 0.0
        loss = summary.metrics.get("validation_loss", 0.0)
        return False, sign * summary.metrics[metric], loss if math.isfinite(loss) else math.inf

    summaries.sort(key=order)  # stable: what is equal stays in the order of the study
    ranked = sum(summary.state == COMPLETED for summary in summaries)
    return [
        Summary(s.params, s.metrics, s.spreads, s.trials, s.state, i + 1 if i < ranked else None)
        for i, s in enumerate(summaries)
    ]


def _summary(setting: str, trials: list[tuple[str, dict[str, float]]], metric: str, per_setting: int) -> Summary:
    states = [state for state, _ in trials]
    state = next((state for state in states if state != COMPLETED), COMPLETED)
    if state == COMPLETED and len(trials) < per_setting:
        state = INCOMPLETE
    names = dict.fromkeys(name for _, metrics in trials for name in metrics)
    columns = {name: [metrics.get(name, math.nan) for _, metrics in trials] for name in names}
    means = {name: _mean(values) for name, values in columns.items()}
    if state == COMPLETED and not math.isfinite(means.get(metric, math.nan)):
        state = "not finite"
    spreads = {name: _spread(values) for name, values in columns.items()} if len(trials) > 1 else {}
    return Summary(setting_of(setting), means, spreads, len(trials), state)


def _mean(values: Sequence[float]) -> float:
    """Return the mean, the same for any order of the values; NaN when one is not finite."""
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _spread(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


class Table(list[dict[str, Any]]):
    """Rows of a study, best first, each a dict with the same columns; printed as aligned text.

    Columns: `rank`, `param_…`, `mean_…` and, with several trials a setting, `std_…` for each metric, `trials`, `state`.
    """

    @classmethod
    def of(cls, summaries: Iterable[Summary], metrics: Sequence[str]) -> Table:
        """Return the table of some summaries."""
        chosen = list(summaries)
        names = dict.fromkeys(name for summary in chosen for name in summary.params)
        spread = any(summary.spreads for summary in chosen)
        rows = cls()
        for s in chosen:
            row: dict[str, Any] = {"rank": s.rank, **{f"param_{name}": s.params.get(name) for name in names}}
            for name in metrics:
                row[f"mean_{name}"] = s.metrics.get(name, math.nan)
                if spread:
                    row[f"std_{name}"] = s.spreads.get(name, math.nan)
            rows.append({**row, "trials": s.trials, "state": s.state})
        return rows

    def __str__(self) -> str:
        if not self:
            return "no trials yet"
        shown = [name for name in self[0] if name != "trials" and not (name == "state" and self._all_completed())]
        lines = [[name.removeprefix("param_").removeprefix("mean_") for name in shown]]
        lines += [[_cell(name, row[name]) for name in shown] for row in self]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    __repr__ = __str__

    def to_json(self) -> str:
        """Return a JSON list with one object for each row; NaN and infinity become null."""
        rows = [{name: _plain(value) for name, value in row.items()} for row in self]
        return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"

    def to_csv(self) -> str:
        """Return comma-separated values with a header; an empty field where there is no value."""
        text = io.StringIO()
        if self:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(self[0])
            for row in self:
                values = [_plain(value) for value in row.values()]
                writer.writerow(["x".join(map(str, v)) if isinstance(v, tuple) else v for v in values])
        return text.getvalue()

    def _all_completed(self) -> bool:
        return all(row["state"] == COMPLETED for row in self)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(column: str, value: Any) -> str:
    if column.startswith(("mean_", "std_")):
        return f"{value:.4f}" if math.isfinite(value) else "-"
    if value is None and column == "rank":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value_text(value)
