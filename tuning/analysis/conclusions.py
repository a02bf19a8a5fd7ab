"""The conclusions from a study's trials: intervals, ties, best rates, importances, optimism and verdicts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nn.metrics import metric_of
from tuning.analysis.comparison import Optimism, Ties, optimism, ties
from tuning.analysis.importance import Importance, importance
from tuning.analysis.intervals import Interval, mean_intervals, method_name, share_interval
from tuning.analysis.ranking import Summary, sign
from tuning.analysis.rates import BestRate, best_rates, group_names
from tuning.analysis.reference import Reference
from tuning.analysis.scores import Scores
from tuning.analysis.verdicts import UNCLEAR, VERDICTS, Verdict, common, names_by_curves
from tuning.store import COMPLETED, DIVERGED, PRUNED, Definition, Record, Trial, Trials, best_epoch, setting_text

Array = NDArray[np.float64]

_BLOCK = 4096
"""Trials whose curves are held in memory and looked at together."""


class StudyLike(Protocol):
    """A study as charts and exports read it, which therefore need not know `Study`."""

    definition: Definition
    metric: str
    repeats: int
    folds: int | None

    @property
    def trials(self) -> Trials: ...
    @property
    def trials_per_setting(self) -> int: ...
    def summaries(self) -> list[Summary]: ...
    def verdicts(self) -> list[Verdict]: ...
    def reference(self) -> Reference: ...
    def analysis(self) -> Analysis: ...
    def start(self, trial: Trial) -> dict[str, float]: ...


class SettingRow(NamedTuple):
    """One setting with all that is known of it: what the columns of tables are made of.

    `interval` are the ends of the 95 % interval of the metric that decides, NaN where they can't be known; `tied` says
    whether the setting can't be told from the best, None where that can't be known, and `needed` how many repeats or
    folds would tell (see `Ties`), None where that is told, unknown or out of reach. `scores` has, for each metric, the
    numbers of the trials in the order of repeats and, within one, folds; `seconds` how long each of them took.
    """

    summary: Summary
    interval: list[float]
    tied: bool | None
    needed: int | None
    verdict: str
    scores: dict[str, list[float]]
    seconds: list[float]


@dataclass(frozen=True, eq=False)
class Analysis:
    """The conclusions from a study.

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
    _ties: Ties | None = field(repr=False)

    @property
    def cannot_tell(self) -> str:
        """The repeats or folds that would tell the worst of the tied settings from the best; "" where none would."""
        needed = () if self._ties is None else self._ties.needed.tolist()
        place = max((i for i, each in enumerate(needed) if each), default=None)
        if place is None:
            return ""
        units = self._cells.folds or self._cells.repeats
        unit = "folds" if self._cells.folds else "repeats"
        return f"{units} {unit} cannot tell rank {place + 1} from the best; {needed[place]:,} would, if they differ so."

    def best_rates(self, by: str | Sequence[str] | None = None) -> list[BestRate]:
        """Return the best learning rate of each group of settings that share the values of `by`."""
        names = dict.fromkeys(name for summary in self._cells.summaries for name in summary.params)
        return best_rates(self._cells.scores(self.metric), self._cells.summaries, group_names(by, names))

    def rows(self, n: int | None = None) -> list[SettingRow]:
        """Return the best `n` settings, or all, with all that is known of each."""
        cells, chosen = self._cells, self._cells.summaries[:n]
        scores, count = cells.scores(self.metric), len(chosen)
        ranked = min(count, len(scores.params))
        intervals = np.full((count, 2), np.nan)
        intervals[:ranked] = _intervals(scores.rows(range(ranked)), cells.held_out)[0]
        same: list[bool | None] = [None] * count
        needed: list[int | None] = [None] * count
        if self._ties is not None:
            same = [*self._ties.same[:ranked].tolist(), *[False] * (count - ranked)]
            needed[:ranked] = [each or None for each in self._ties.needed[:ranked].tolist()]
        values = [dict(zip(cells.columns, each, strict=True)) for each in cells.metrics[:count].swapaxes(1, 2).tolist()]
        seconds = [[known for known in each if not math.isnan(known)] for each in cells.seconds[:count].tolist()]
        verdicts = map(common, cells.found[:count])
        return list(map(SettingRow, chosen, intervals.tolist(), same, needed, verdicts, values, seconds))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the table as plain values that JSON knows."""
        known = {each.name: getattr(self, each.name) for each in fields(self) if each.repr and each.name != "ranked"}
        return {
            **known,
            "best": self.best and {"params": self.best.params, "metrics": _plain(self.best.metrics)},
            "interval": self.interval and asdict(self.interval),
            "tied": None if self.tied is None else [summary.params for summary in self.tied],
            "learning_rates": [_plain(asdict(rate)) for rate in self.learning_rates],
            "importance": asdict(self.importance),
            "optimism": asdict(self.optimism),
        }


def analyse(
    definition: Definition, summaries: list[Summary], records: Iterable[Record], reference: Reference
) -> Analysis:
    """Return the conclusions from a study, in one pass over its trials.

    `summaries` are its settings as `summarise` ranks them; of `records` of other settings, nothing is taken.
    """
    held_out = reference.held_out
    cells = _Cells(definition, summaries, records, reference)
    metric = definition.metric
    scores = cells.scores(metric)
    ends, method, reason = _intervals(scores.rows(range(min(1, len(scores.params)))), held_out)
    found = ties(scores)
    one = f"with one {scores.unit.removesuffix('s')}, nothing tells chance from merit; give repeats=5 or folds=5"
    best = summaries[0] if len(scores.params) else None
    counts = Counter(chain.from_iterable(cells.found))
    has_interval = best is not None and method is not None
    return Analysis(
        metric=metric,
        best=best,
        interval=Interval(float(ends[0, 0]), float(ends[0, 1]), str(method)) if has_interval else None,
        interval_reason="" if has_interval else reason if best is not None else "no setting is ranked",
        tied=None if found is None else [s for s, same in zip(summaries, found.same, strict=False) if same],
        tied_reason="" if found is not None else one if best is not None else "no setting is ranked",
        learning_rates=best_rates(scores, summaries),
        importance=_importance(summaries, metric),
        optimism=_optimism(scores, summaries),
        verdicts={name: counts[name] for name in VERDICTS if counts[name]},
        ranked=len(scores.params),
        epochs=cells.epochs,
        full_epochs=cells.full_epochs,
        _cells=cells,
        _ties=found,
    )


def metric_names(definition: Definition, summaries: Iterable[Summary]) -> tuple[str, ...]:
    """Return the metrics of a study: those that it was made with, and what an objective returned beside them."""
    found = () if definition.model is None else (name for summary in summaries for name in summary.metrics)
    return tuple(dict.fromkeys((*definition.metrics, *found)))


class _Cells:
    """Metrics, durations and verdicts of all trials by setting, repeat and fold; curves are read and let go."""

    def __init__(
        self, definition: Definition, summaries: list[Summary], records: Iterable[Record], reference: Reference
    ) -> None:
        self.summaries = summaries
        place = {setting_text(summary.params): i for i, summary in enumerate(self.summaries)}
        self.repeats, self.folds = definition.repeats, definition.folds
        self.columns: dict[str, int] = {name: i for i, name in enumerate(metric_names(definition, summaries))}
        self.found: list[list[str]] = [[] for _ in self.summaries]
        self.epochs = self.full_epochs = 0
        self.held_out = reference.held_out
        rows, cells, texts, seconds = [], [], [], []
        curves: dict[tuple[tuple[str, ...], int, bool], tuple[list[int], list[bytes]]] = {}
        for trial in records:
            row = place.get(trial.setting)
            if row is None:  # another process has added it since the settings were ranked
                continue
            rows.append(row)
            cells.append(trial.repeat * (self.folds or 1) + (trial.fold or 0))
            texts.append(trial.metrics)
            seconds.append(trial.duration)
            self.epochs += trial.epochs
            # Under early stopping, nobody knows how far a pruned trial would have gone.
            known = trial.state == PRUNED and not reference.keeps_best
            self.full_epochs += definition.epochs if known else trial.epochs
            if trial.state in (COMPLETED, PRUNED):
                blob, epochs = _up_to_best(trial) if reference.keeps_best else (trial.curves, trial.epochs)
                kind = trial.curve_names, epochs, epochs < trial.epochs
                places, blobs = curves.setdefault(kind, ([], []))
                places.append(row)
                blobs.append(blob)
                if len(places) == _BLOCK:
                    self._judge(kind, *curves.pop(kind), reference)
            else:
                self.found[row].append(trial.state if trial.state in VERDICTS else UNCLEAR)
        for kind, (places, blobs) in curves.items():
            self._judge(kind, places, blobs, reference)
        shape = (len(self.summaries), definition.trials_per_setting)
        self.metrics = np.full((*shape, len(self.columns)), np.nan)  # (settings, repeats x folds, metrics)
        self.seconds = np.full(shape, np.nan)
        if rows:
            known = json.loads(f"[{','.join(texts)}]")  # at once: a fifth of the time of one by one
            values = [[metrics.get(name) for name in self.columns] for metrics in known]
            self.metrics[rows, cells] = np.array(values, dtype=np.float64)  # None, for what is not finite, is NaN
            self.seconds[rows, cells] = seconds

    def _judge(
        self, kind: tuple[tuple[str, ...], int, bool], places: list[int], blobs: list[bytes], reference: Reference
    ) -> None:
        """Take in the verdicts on trials of these settings that have the same curves with equally many epochs.

        `kind` is the names of the curves, the epochs, and whether early stopping let more follow.
        """
        names, _, stopped = kind
        table = np.frombuffer(b"".join(blobs), dtype="<f8").reshape(len(blobs), len(names), -1 if names else 0)
        settings = [setting_text(self.summaries[row].params) for row in places]
        found = names_by_curves({name: table[:, i] for i, name in enumerate(names)}, settings, reference, stopped)
        for row, name in zip(places, found, strict=True):
            self.found[row].append(name)

    def scores(self, metric: str) -> Scores:
        """Return the scores of the ranked settings, which come first."""
        ranked = [s.params for s in self.summaries if s.rank is not None]
        values = self.metrics[: len(ranked), :, self.columns[metric]]
        if self.folds:
            values = values.reshape(len(ranked), self.repeats, self.folds).mean(axis=1)
        return Scores(ranked, values, metric, "folds" if self.folds else "repeats")


def _up_to_best(trial: Record) -> tuple[bytes, int]:
    """Return the curves of a trial up to the epoch that early stopping keeps, and the number of their epochs."""
    table = np.frombuffer(trial.curves, dtype="<f8").reshape(len(trial.curve_names), -1 if trial.curve_names else 0)
    best = best_epoch(dict(zip(trial.curve_names, table, strict=True))) or trial.epochs
    return table[:, :best].tobytes(), best


def _optimism(scores: Scores, summaries: list[Summary]) -> Optimism:
    """Return the optimism, unless settings were pruned: those chose the winner too, by scores that were not kept."""
    if any(PRUNED in summary.state for summary in summaries):
        return Optimism(None, "pruning chose among the settings too, by scores after fewer epochs")
    return optimism(scores)


def _intervals(scores: Scores, held_out: int | None) -> tuple[Array, str | None, str]:
    """Return the intervals (S, 2), how they were made, and the reason where they could not be."""
    units, validation = scores.values.shape[1], scores.metric.startswith("validation")
    if units > 1:
        examples = held_out if validation else None
        return mean_intervals(scores.values, scores.kind, examples), method_name(units, scores.unit), ""
    none = np.full((len(scores.params), 2), np.nan)
    reason = "with one repeat, the spread over seeds can't be known; give repeats=5 or folds=5"
    if not metric_of(scores.metric).share or not validation or not held_out:
        return none, None, reason
    ends = [share_interval(float(value), held_out) for value in scores.values[:, 0]]
    name = (
        f"Wilson's interval of a share of the {held_out:,} held-out examples, one repeat: the seed's part is not in it"
    )
    return np.array(ends).reshape(-1, 2), name, ""


def _importance(summaries: list[Summary], metric: str) -> Importance:
    """Return the importances; a setting that diverged counts as the worst that did not: divergence is a result."""
    gains = [sign(metric) * s.metrics[metric] for s in summaries if s.state == COMPLETED]
    used = [s for s in summaries if s.state == COMPLETED or DIVERGED in s.state] if gains else []
    worst = min(gains, default=0.0)
    values = [sign(metric) * s.metrics[metric] if s.state == COMPLETED else worst for s in used]
    return importance([s.params for s in used], np.array(values))


def plain(value: Any) -> Any:
    """Return a value for JSON: None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in values.items()}
