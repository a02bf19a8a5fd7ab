"""What a study says about its settings: everything that is worked out from trials, and nothing that runs them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from nn.metrics import metric_of
from tuning.analysis import (
    UNCLEAR,
    VERDICTS,
    BestRate,
    Importance,
    Interval,
    Optimism,
    Scores,
    Summary,
    Verdict,
    best_rates,
    common,
    importance,
    larger_is_better,
    mean_intervals,
    method_name,
    names_by_curves,
    optimism,
    share_interval,
    tied_with_best,
    verdicts,
)
from tuning.export import Table, plain, whole
from tuning.store import COMPLETED, DIVERGED, PRUNED, Trial, setting_text

if TYPE_CHECKING:
    import pandas

    from tuning.store import StudyFile
    from tuning.study import Study

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Analysis:
    """What can be concluded from a study.

    `interval` is that of the best setting's score, None with the reason in `interval_reason`. `tied` are the settings
    that can't be told from the best, itself among them; None where nothing can be known, as `tied_reason` says.
    `verdicts` counts the trials by verdict, `ranked` the settings that are ranked. `epochs` were trained in all; the
    same trials without any of them pruned would have taken `full_epochs`.
    """

    metric: str
    best: Summary | None
    interval: Interval | None
    interval_reason: str
    tied: list[Summary] | None
    tied_reason: str
    learning_rates: list[BestRate]
    importance: Importance
    optimism: Optimism
    verdicts: dict[str, int]
    ranked: int
    epochs: int
    full_epochs: int
    _cells: _Cells = field(repr=False)
    _same: NDArray[np.bool_] | None = field(repr=False)

    def best_rates(self, by: Sequence[str]) -> list[BestRate]:
        """Return the best learning rate of each group of settings that share the values of `by`."""
        return best_rates(self._cells.scores(self.metric), self._cells.summaries, by)

    def columns(self, count: int) -> list[dict[str, Any]]:
        """Return the further columns of the table for the first settings, so many of them."""
        return _columns(self._cells, self.metric, self._same, count)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the table as plain values that JSON knows."""
        return {
            "metric": self.metric,
            "best": None if self.best is None else {"params": self.best.params, "metrics": _plain(self.best.metrics)},
            "interval": None if self.interval is None else asdict(self.interval),
            "interval_reason": self.interval_reason,
            "tied": None if self.tied is None else [summary.params for summary in self.tied],
            "tied_reason": self.tied_reason,
            "learning_rates": [_plain(asdict(rate)) for rate in self.learning_rates],
            "importance": asdict(self.importance),
            "optimism": asdict(self.optimism),
            "verdicts": self.verdicts,
            "epochs": self.epochs,
            "full_epochs": self.full_epochs,
        }


_BLOCK = 4096
"""Trials whose curves are held in memory and looked at together."""


class Results:
    """What `Study` can say about its trials."""

    definition: dict[str, Any]
    metric: str
    repeats: int
    folds: int | None
    _analysed: tuple[int, Analysis] | None = None

    if TYPE_CHECKING:

        @property
        def trials(self) -> Sequence[Trial]: ...
        @property
        def sizes(self) -> dict[str, int] | None: ...
        @property
        def tested(self) -> dict[str, Any] | None: ...
        def summaries(self) -> list[Summary]: ...
        def _reading(self) -> StudyFile: ...

    def analysis(self) -> Analysis:
        """Return what can be concluded: intervals, ties, best learning rates, importances, optimism, verdicts."""
        count = len(self.trials)
        if self._analysed is None or self._analysed[0] != count:
            self._analysed = count, analyse(self)
        return self._analysed[1]

    def best_rates(self, by: Sequence[str] = ("batch_size", "hidden_units")) -> list[BestRate]:
        """Return the best learning rate, with the rates tied with it, for each combination of the values of `by`."""
        return self.analysis().best_rates(by)

    def verdicts(self) -> list[Verdict]:
        """Return the verdict on each trial with its evidence, in the order of `trials`."""
        return list(verdicts(self.trials, reference_loss(self.summaries())))

    def table(self, n: int | None = None) -> Table:
        """Return the best `n` settings, or all, as rows that print as a table; see `tuning.export.tables.Table`."""
        analysis = self.analysis()
        chosen = self.summaries()[:n]
        order = sorted(
            self.definition["metrics"], key=lambda name: (name != self.metric, not name.startswith("validation"))
        )
        return Table.of(chosen, order, analysis.columns(len(chosen)))

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the best settings, and the score against the learning rate."""
        from tuning.export.notebook import study_html

        return study_html(cast("Study", self))

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a DataFrame, with scikit-learn's habits in naming columns; needs pandas."""
        return self.table().to_pandas(self.metric)

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, top: int | None = None) -> str:
        """Return the table, or its `top` rows, as CSV, and write it to a file if `path` is given."""
        return _written(self.table(top).to_csv(), path)

    def to_parquet(self, path: str | os.PathLike[str], *, top: int | None = None) -> None:
        """Write the table, or its `top` rows, to a Parquet file; needs pyarrow."""
        self.table(top).to_parquet(path)

    def to_json(self, path: str | os.PathLike[str] | None = None, *, top: int | None = None) -> str:
        """Return analysis and table as one JSON object, and write it to a file if `path` is given.

        `settings` has the rows of the table; `test` what the test part gave, if it was scored; the others are those
        of `Analysis`.
        """
        about = json.dumps({**self.analysis().to_dict(), "test": self.tested}, allow_nan=False)
        return _written(f'{about[:-1]}, "settings": {self.table(top).to_json()}}}\n', path)

    def to_optuna(self, storage: str, name: str | None = None) -> Any:
        """Return the trials as a study of Optuna's, written to its storage, for its plots and its dashboard.

        `storage` is an address such as "sqlite:///optuna.db"; `name` that of the study there. Each trial has its
        metric of every epoch as intermediate values. Needs Optuna.
        """
        from tuning.export.optuna import export

        return export(cast("Study", self), storage, name)


def reference_loss(summaries: Iterable[Summary]) -> float | None:
    """Return the lowest mean validation loss of the ranked settings, by which others are called underfit."""
    losses = [s.metrics.get("validation_loss", math.nan) for s in summaries if s.rank is not None]
    return min((loss for loss in losses if math.isfinite(loss)), default=None)


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        with whole(path) as file:
            file.write_text(text, encoding="utf-8")
    return text


class _Cells:
    """Metrics, durations and verdicts of all trials by setting, repeat and fold; curves are read and let go."""

    def __init__(self, study: Results) -> None:
        self.summaries = study.summaries()
        self.place = {setting_text(summary.params): i for i, summary in enumerate(self.summaries)}
        self.repeats, self.folds = study.repeats, study.folds
        self.columns: dict[str, int] = {name: i for i, name in enumerate(study.definition["metrics"])}
        self.found: list[list[str]] = [[] for _ in self.summaries]
        self.counts = dict.fromkeys(VERDICTS, 0)
        self.epochs = self.full_epochs = 0
        self._budget: int = study.definition["epochs"]
        self.held_out = (study.sizes or {}).get("validation")
        reference = reference_loss(self.summaries)
        rows, cells, texts, seconds = [], [], [], []
        curves: dict[tuple[tuple[str, ...], int], tuple[list[int], list[bytes]]] = {}
        for text, repeat, fold, state, epochs, metrics, names, blob, duration in study._reading().records():
            row = self.place.get(text)
            if row is None:  # another process has added it since the settings were ranked
                continue
            rows.append(row)
            cells.append(repeat * (self.folds or 1) + (fold or 0))
            texts.append(metrics)
            seconds.append(duration)
            self.epochs += epochs
            self.full_epochs += self._budget if state == PRUNED else epochs
            if state in (COMPLETED, PRUNED):
                places, blobs = curves.setdefault((names, epochs), ([], []))
                places.append(row)
                blobs.append(blob)
                if len(places) == _BLOCK:
                    self._judge(names, *curves.pop((names, epochs)), reference)
            else:
                self._count(row, state if state in VERDICTS else UNCLEAR)
        for (names, _), (places, blobs) in curves.items():
            self._judge(names, places, blobs, reference)
        shape = (len(self.summaries), study.repeats * (study.folds or 1))
        self.metrics = np.full((*shape, len(self.columns)), np.nan)  # (settings, repeats x folds, metrics)
        self.seconds = np.full(shape, np.nan)
        if rows:
            known = json.loads(f"[{','.join(texts)}]")  # at once: a fifth of the time of one by one
            values = [[metrics.get(name) for name in self.columns] for metrics in known]
            self.metrics[rows, cells] = np.array(values, dtype=np.float64)  # None, for what is not finite, is NaN
            self.seconds[rows, cells] = seconds

    def _judge(self, names: tuple[str, ...], places: list[int], blobs: list[bytes], reference: float | None) -> None:
        """Take in the verdicts on trials of these settings that have the same curves with equally many epochs."""
        table = np.frombuffer(b"".join(blobs), dtype="<f8").reshape(len(blobs), len(names), -1 if names else 0)
        found = names_by_curves({name: table[:, i] for i, name in enumerate(names)}, len(places), reference)
        for row, name in zip(places, found, strict=True):
            self._count(row, name)

    def _count(self, row: int, name: str) -> None:
        self.counts[name] += 1
        self.found[row].append(name)

    def scores(self, metric: str) -> Scores:
        """Return the scores of the ranked settings, which come first."""
        ranked = [s.params for s in self.summaries if s.rank is not None]
        values = self.metrics[: len(ranked), :, self.columns[metric]]
        if self.folds:
            values = values.reshape(len(ranked), self.repeats, self.folds).mean(axis=1)
        return Scores(ranked, values, metric, "folds" if self.folds else "repeats")


def analyse(study: Results) -> Analysis:
    """Return what can be concluded from a study, in one pass over its trials."""
    cells = _Cells(study)
    summaries, metric = cells.summaries, study.metric
    scores = cells.scores(metric)
    ends, method, reason = _intervals(scores.rows(range(min(1, len(scores.params)))), cells.held_out)
    tied = tied_with_best(scores)
    one = f"with one {scores.unit.removesuffix('s')}, nothing tells chance from merit; give repeats=5 or folds=5"
    best = summaries[0] if len(scores.params) else None
    has_interval = best is not None and method is not None
    return Analysis(
        metric=metric,
        best=best,
        interval=Interval(float(ends[0, 0]), float(ends[0, 1]), str(method)) if has_interval else None,
        interval_reason="" if has_interval else reason if best is not None else "no setting is ranked",
        tied=None if tied is None else [s for s, same in zip(summaries, tied, strict=False) if same],
        tied_reason="" if tied is not None else one if best is not None else "no setting is ranked",
        learning_rates=best_rates(scores, summaries),
        importance=_importance(summaries, metric),
        optimism=_optimism(scores, summaries),
        verdicts={name: count for name, count in cells.counts.items() if count},
        ranked=len(scores.params),
        epochs=cells.epochs,
        full_epochs=cells.full_epochs,
        _cells=cells,
        _same=tied,
    )


def _optimism(scores: Scores, summaries: list[Summary]) -> Optimism:
    """Return the optimism, unless settings were pruned: those chose the winner too, by scores that were not kept."""
    if any(summary.state == PRUNED for summary in summaries):
        return Optimism(None, "pruning chose among the settings too, by scores after fewer epochs")
    return optimism(scores)


def _intervals(scores: Scores, held_out: int | None) -> tuple[Array, str | None, str]:
    """Return the intervals (S, 2), how they were made, and the reason where they could not be."""
    if scores.units > 1:
        return mean_intervals(scores.values), method_name(scores.units, scores.unit), ""
    none = np.full((len(scores.params), 2), np.nan)
    reason = "with one repeat, the spread over seeds can't be known; give repeats=5 or folds=5"
    if not metric_of(scores.metric).share or not scores.metric.startswith("validation") or not held_out:
        return none, None, reason
    ends = [share_interval(float(value), held_out) for value in scores.values[:, 0]]
    name = (
        f"Wilson's interval of a share of the {held_out:,} held-out examples, one repeat: the seed's part is not in it"
    )
    return np.array(ends).reshape(-1, 2), name, ""


def _importance(summaries: list[Summary], metric: str) -> Importance:
    """Return the importances; a setting that diverged counts as the worst that did not: divergence is a result."""
    sign = 1.0 if larger_is_better(metric) else -1.0
    finite = [s.metrics[metric] for s in summaries if s.state == COMPLETED]
    worst = min((sign * value for value in finite), default=0.0)
    used = [s for s in summaries if s.state in (COMPLETED, DIVERGED)] if finite else []
    values = np.array([sign * s.metrics[metric] if s.state == COMPLETED else worst for s in used])
    return importance([s.params for s in used], values)


def _columns(cells: _Cells, metric: str, tied: NDArray[np.bool_] | None, count: int) -> list[dict[str, Any]]:
    """Return the further columns of the table for the first `count` settings."""
    scores = cells.scores(metric)
    ranked = min(count, len(scores.params))
    intervals = np.full((count, 2), np.nan)
    intervals[:ranked] = _intervals(scores.rows(range(ranked)), cells.held_out)[0]
    same: list[bool | None] = [None] * count
    if tied is not None:
        same = [bool(tied[i]) if i < ranked else False for i in range(count)]
    several = cells.metrics.shape[1] > 1
    result = []
    for i in range(count):
        row: dict[str, Any] = {
            f"low_{metric}": float(intervals[i, 0]),
            f"high_{metric}": float(intervals[i, 1]),
            "tied": same[i],
            "verdict": common(cells.found[i]),
        }
        if several:
            for name, column in cells.columns.items():
                row.update((f"split{k}_{name}", value) for k, value in enumerate(cells.metrics[i, :, column].tolist()))
        seconds = cells.seconds[i][np.isfinite(cells.seconds[i])]
        row["mean_fit_time"] = float(seconds.mean()) if len(seconds) else math.nan
        if several:
            row["std_fit_time"] = float(seconds.std(ddof=1)) if len(seconds) > 1 else math.nan
        result.append(row)
    return result


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in values.items()}
