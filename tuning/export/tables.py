"""Settings as rows: aligned text, CSV, JSON, and a pandas DataFrame with scikit-learn's habits in naming columns.

`COLUMNS` has one record for each column. Files, text and the report are made from it: a further column is a further
record.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tuning.analysis import Analysis, mean, plain, spread
from tuning.export.files import whole
from tuning.space import value_text
from tuning.store import COMPLETED

if TYPE_CHECKING:
    import pandas


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Args:
        name, value: Its name in files and frames, and what gives its value for a `SettingRow`. Where the column is
            repeated `over` "params", "metrics", "metric" (that which decides) or "trials", {} in the name stands for
            one of them, which the function is given too.
        kind, title, order: How people see it: as "number", "value" of a parameter, "score", "interval" (from here to
            the column high_…), "yes" or no, or "text"; its heading, without which it is for files only; and its place.
            Columns of one order stand together for each thing that they are repeated over.
        several, wide: Whether it exists only where a setting has several trials; whether people see it only in the
            report.
        worth: Whether a value makes the column worth seeing; one such value is enough.
    """

    name: str
    value: Callable[..., Any]
    kind: str = "number"
    title: str = ""
    order: int = 0
    over: str = ""
    several: bool = False
    wide: bool = False
    worth: Callable[[Any], bool] = lambda value: True

    def text(self, row: dict[str, Any]) -> str:
        """Return the value in a row as aligned text has it."""
        value = row[self.name]
        if self.kind == "interval":
            high = row[self.name.replace("low_", "high_", 1)]
            return f"{value:.4f} to {high:.4f}" if _is_number(value) and _is_number(high) else "-"
        if self.kind == "score":
            return f"{value:.4f}" if math.isfinite(value) else "-"
        if value is None and self.kind != "value":
            return "-"
        if self.kind == "yes":
            return "yes" if value else "no"
        return f"{value:.4g}" if isinstance(value, float) else value_text(value)


COLUMNS: tuple[Column, ...] = (
    Column("rank", lambda row: row.summary.rank, title="rank"),
    Column("param_{}", lambda row, name: row.summary.params.get(name), "value", "{}", 1, "params"),
    Column("mean_{}", lambda row, name: row.summary.metrics.get(name, math.nan), "score", "{}", 2, "metrics"),
    Column("std_{}", lambda row, name: row.summary.spreads.get(name, math.nan), over="metrics", several=True),
    Column("low_{}", lambda row, _: row.interval[0], "interval", "95% interval", 2, "metric", worth=_is_number),
    Column("high_{}", lambda row, _: row.interval[1], over="metric"),
    Column("tied", lambda row: row.tied, "yes", "tied", 3, worth=lambda value: value is not None),
    Column("needed", lambda row: row.needed, title="repeats to tell", order=3, worth=lambda value: value is not None),
    Column("verdict", lambda row: row.verdict, "text", "verdict", 4),
    Column("split{1}_{0}", lambda row, name, trial: row.scores[name][trial], over="trials", several=True),
    Column("mean_fit_time", lambda row: mean(row.seconds), title="seconds", order=5, wide=True),
    Column("std_fit_time", lambda row: spread(row.seconds), several=True),
    Column("trials", lambda row: row.summary.trials),
    Column("state", lambda row: row.summary.state, "text", "state", 6, worth=lambda value: value != COMPLETED),
)


class Table(list[dict[str, Any]]):
    """Rows of a study, best first, each a dict with the same columns; printed as aligned text.

    Columns, with M for each metric: `rank`, `param_…`, `mean_M` and, with several trials a setting, `std_M` (divisor
    n − 1) and `split0_M`, `split1_M`, … in the order of repeats and, within one, folds; `low_M` and `high_M`, the 95 %
    interval, for the metric that decides; `tied`, whether the setting can't be told from the best (None: unknown);
    `needed`, how many repeats or folds would tell with a chance of 80 % if the difference is what it seems; `verdict`;
    `mean_fit_time` and `std_fit_time` in seconds; `trials`; `state`. Text has the most important of them.
    """

    columns: Sequence[Column] = ()

    @classmethod
    def of(cls, analysis: Analysis, n: int | None = None) -> Table:
        """Return the table of the best `n` settings, or of all."""
        settings = analysis.rows(n)
        scores = settings[0].scores if settings else {}
        metrics = sorted(scores, key=lambda name: (name != analysis.metric, not name.startswith("validation")))
        trials = range(len(scores.get(analysis.metric, ())))
        several = len(trials) > 1
        keys: dict[str, list[tuple[Any, ...]]] = {
            "": [()],
            "params": [(name,) for name in dict.fromkeys(name for row in settings for name in row.summary.params)],
            "metrics": [(name,) for name in metrics],
            "metric": [(analysis.metric,)],
            "trials": [(name, trial) for name in scores for trial in trials],
        }
        filled: list[tuple[Column, tuple[Any, ...]]] = []
        seen: list[tuple[int, int, Column]] = []
        for over, group in groupby((c for c in COLUMNS if several or not c.several), key=lambda column: column.over):
            members = list(group)
            for i, key in enumerate(keys[over]):
                for column in members:
                    named = replace(column, name=column.name.format(*key), title=column.title.format(*key))
                    filled.append((named, key))
                    seen.append((column.order, i, named))
        table = cls({column.name: column.value(row, *key) for column, key in filled} for row in settings)
        table.columns = [column for *_, column in sorted(seen, key=lambda each: each[:2]) if column.title]
        return table

    def __str__(self) -> str:
        if not self:
            return "no trials yet"
        return "\n".join(aligned(self.cells()))

    __repr__ = __str__

    def seen(self, wide: bool = False) -> list[Column]:
        """Return the columns that people see, from the left to the right; all of them where it is `wide`."""
        known = [column for column in self.columns if wide or not column.wide]
        return [column for column in known if any(column.worth(row[column.name]) for row in self)]

    def cells(self) -> list[list[str]]:
        """Return the most important columns as text: a line of titles, and one for each row."""
        seen = self.seen()
        return [[column.title for column in seen], *([column.text(row) for column in seen] for row in self)]

    def to_json(self) -> str:
        """Return a JSON list with one object for each row; NaN and infinity become null."""
        return "[\n" + ",\n".join(json.dumps(row) for row in self.plain()) + "\n]"

    def to_csv(self) -> str:
        """Return comma-separated values with a header; an empty field where there is no value."""
        return csv_text(self[0], (map(_field, row.values()) for row in self.plain())) if self else ""

    def to_pandas(self, metric: str) -> pandas.DataFrame:
        """Return a DataFrame whose column of ranks is named after the metric, `rank_validation_accuracy`, say.

        Whole numbers and yes or no stay what they are where a value is missing: such columns have pandas' own types
        Int64 and boolean.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                'to_pandas needs pandas; install it with: pip install "nn-tuning[pandas]"'
            ) from None
        frame = pandas.DataFrame(list(self))
        for name in frame.columns:
            kinds = {type(row[name]) for row in self}
            if type(None) in kinds and len(kinds) == 2 and kinds & {int, bool}:
                frame[name] = pandas.array([row[name] for row in self], dtype="Int64" if int in kinds else "boolean")
        return frame.rename(columns={"rank": f"rank_{metric}"})

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file with the columns of the CSV; it appears whole or not at all. Needs pyarrow.

        Values keep their types, and None and NaN are null. Layers, of which one setting may have more than another, are
        text, "64x32", and so is every value of a column that has values of several kinds.
        """
        try:
            from pyarrow import parquet, table
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                'Parquet needs pyarrow; install it with: pip install "nn-tuning[parquet]"'
            ) from None
        rows = self.plain()
        columns = table({name: _column([row[name] for row in rows]) for name in (self[0] if self else {})})
        with whole(path) as file:
            parquet.write_table(columns, file)

    def plain(self) -> list[dict[str, Any]]:
        """Return the rows with None for what is not finite."""
        return [{name: plain(value) for name, value in row.items()} for row in self]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row of texts, with columns that end under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.rjust, row, widths)).rstrip() for row in rows]


def csv_text(titles: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a line of titles and one for each row, as comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([titles, *rows])
    return text.getvalue()


def _column(values: list[Any]) -> list[Any]:
    """Return values of one kind: as they are, or as text where they differ in kind."""
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    if len(kinds) <= 1 and tuple not in kinds:
        return values
    return [None if value is None else str(_field(value)) for value in values]


def _field(value: Any) -> Any:
    """Return a value as a field of CSV has it."""
    return value_text(value) if isinstance(value, bool | tuple) else value
