"""Settings as rows: aligned text, CSV, JSON, and a pandas DataFrame with scikit-learn's habits in naming columns."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuning.analysis import Summary
from tuning.export.files import whole
from tuning.space import value_text
from tuning.store import COMPLETED

if TYPE_CHECKING:
    import pandas

_HIDDEN = ("std_", "split", "trials", "low_", "high_")


class Table(list[dict[str, Any]]):
    """Rows of a study, best first, each a dict with the same columns; printed as aligned text.

    Columns, with M for each metric: `rank`, `param_…`, `mean_M` and, with several trials a setting, `std_M` (divisor
    n − 1) and `split0_M`, `split1_M`, … in the order of repeats and, within one, folds; `low_M` and `high_M`, the 95 %
    interval, for the metric that decides; `tied`, whether the setting can't be told from the best (None: unknown);
    `verdict`; `mean_fit_time` and `std_fit_time` in seconds; `trials`; `state`. Text has the most important of them.
    """

    @classmethod
    def of(
        cls, summaries: Iterable[Summary], metrics: Sequence[str], extras: Sequence[Mapping[str, Any]] | None = None
    ) -> Table:
        """Return the table of some summaries; `extras` has further columns for each of them."""
        chosen = list(summaries)
        names = dict.fromkeys(name for summary in chosen for name in summary.params)
        spread = any(summary.spreads for summary in chosen)
        rows = cls()
        for i, s in enumerate(chosen):
            row: dict[str, Any] = {"rank": s.rank, **{f"param_{name}": s.params.get(name) for name in names}}
            for name in metrics:
                row[f"mean_{name}"] = s.metrics.get(name, math.nan)
                if spread:
                    row[f"std_{name}"] = s.spreads.get(name, math.nan)
            rows.append({**row, **({} if extras is None else extras[i]), "trials": s.trials, "state": s.state})
        return rows

    def __str__(self) -> str:
        if not self:
            return "no trials yet"
        lines = self.cells()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    __repr__ = __str__

    def cells(self) -> list[list[str]]:
        """Return the most important columns as text: a line of titles, and one for each row."""
        shown = [name for name in (self[0] if self else ()) if self._is_shown(name)]
        titles = [name.removeprefix("param_").removeprefix("mean_") for name in shown]
        lines = [titles, *([_cell(name, row[name]) for name in shown] for row in self)]
        low = next((name for name in (self[0] if self else ()) if name.startswith("low_")), None)
        if low is not None and any(_is_number(row[low]) for row in self):
            at = shown.index(low.replace("low_", "mean_", 1)) + 1
            high = low.replace("low_", "high_", 1)
            for line, text in zip(lines, ["95% interval", *(_span(row[low], row[high]) for row in self)], strict=True):
                line.insert(at, text)
        return lines

    def to_json(self) -> str:
        """Return a JSON list with one object for each row; NaN and infinity become null."""
        return "[\n" + ",\n".join(json.dumps(row) for row in self.plain()) + "\n]"

    def to_csv(self) -> str:
        """Return comma-separated values with a header; an empty field where there is no value."""
        text = io.StringIO()
        if self:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(self[0])
            for row in self.plain():
                writer.writerow([_field(value) for value in row.values()])
        return text.getvalue()

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

    def _is_shown(self, name: str) -> bool:
        if name.startswith(_HIDDEN) or name.endswith("_fit_time"):
            return False
        if name == "state":
            return any(row["state"] != COMPLETED for row in self)
        if name == "tied":
            return any(row["tied"] is not None for row in self)
        return True


def plain(value: Any) -> Any:
    """Return a value for JSON: None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _column(values: list[Any]) -> list[Any]:
    """Return values of one kind: as they are, or as text where they differ in kind."""
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    if len(kinds) <= 1 and tuple not in kinds:
        return values
    return [None if value is None else str(_field(value)) for value in values]


def _field(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, tuple) and not value):
        return value_text(value)
    return "x".join(map(str, value)) if isinstance(value, tuple) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _span(low: Any, high: Any) -> str:
    return f"{low:.4f} to {high:.4f}" if _is_number(low) and _is_number(high) else "-"


def _cell(column: str, value: Any) -> str:
    if column.startswith("mean_"):
        return f"{value:.4f}" if math.isfinite(value) else "-"
    if column == "tied":
        return "-" if value is None else "yes" if value else "no"
    if value is None and column == "rank":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value_text(value)
