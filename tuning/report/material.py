"""The values of a report: the settings with their scores, and the trials with their verdicts and curves."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nn.metrics import course_name, metric_of
from tuning.analysis import Analysis, Verdict, larger_is_better, metric_names, plain, verdicts
from tuning.charts import ScoredStudy, by_importance, words
from tuning.export import Confusion
from tuning.space import value_text
from tuning.store import Trial, setting_text

if TYPE_CHECKING:
    from tuning.study import Study

MOST_TRIALS = 10_000
"""So many trials can be looked at one by one: those of the best settings."""
MOST_NUMBERS = 1_000_000
MOST_EPOCHS = 500
LEAST_EPOCHS = 16
"""Curves are thinned to what fits into so many numbers, but to no fewer epochs than this."""
MOST_SECONDS = 20
"""A trial that took longer is not trained once more for a report."""
KEYS = ("place", "repeat", "fold", "state", "epochs", "points", "seconds", "verdict", "evidence", "advice", "metrics")
"""The values of a trial that the script gets beside its curves; `place` is that of its setting."""
_BLOCK = 1024


class Material:
    """Everything that the parts of a report share, worked out once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.metric = study.metric
        self.analysis: Analysis = study.analysis()
        self.scores = ScoredStudy.of(study)
        self._table = study.table()
        self.rows: list[dict[str, Any]] = self._table.plain()
        self.listed = min(len(self.rows), max(1, MOST_TRIALS // study.trials_per_setting))
        self.names = self.scores.names
        self.varied = by_importance(self.analysis.importance, self.scores.varied)

    def confusion(self) -> Confusion | str | None:
        """Return what the best setting takes for what, trained once more; why not where that takes too long.

        None where it is no classification, no setting is the best, or the data are not at hand.
        """
        best = self.analysis.best
        if best is None or self.study.definition.data.task != "classification":
            return None
        seconds = self.rows[0]["mean_fit_time"]
        if seconds is not None and seconds > MOST_SECONDS:
            return f"To train the best setting once more for it takes {seconds:,.0f} s: nn-tuning show --confusion"
        try:
            return self.study.confusion()
        except (ValueError, TypeError, OSError):
            return None

    # -- what the page's script gets ---------------------------------------------------------------------------

    def columns(self) -> list[dict[str, str]]:
        """Return the columns of the table of settings: key, title and how cells are written."""
        return [
            {"key": c.name, "title": words(c.title) if c.kind == "score" else c.title, "kind": c.kind}
            for c in self._table.seen(wide=True)
        ]

    def table(self) -> dict[str, Any]:
        """Return the table of settings: its columns, its rows, and in `high` the upper ends of the intervals."""
        columns = self.columns()
        rows = self.rows[: self.listed]
        cells = ([row[column["key"]] for column in columns] for row in rows)
        return {
            "columns": columns,
            "rows": [[value_text(cell) if isinstance(cell, tuple) else cell for cell in row] for row in cells],
            "high": [row[f"high_{self.metric}"] for row in rows],
        }

    def trials(self) -> dict[str, Any]:
        """Return the trials of the listed settings, with their verdicts and curves.

        `curves` are little-endian float32 in base64, one trial after another: for each of `metrics`, `points` numbers.
        Of E epochs, the curve has those with the numbers 1 + ⌊i (E − 1)/(points − 1)⌋.
        """
        places = {setting_text(setting.params): setting.place for setting in self.scores.settings[: self.listed]}
        names = metric_names(self.study.definition, self.study.summaries())
        count = min(len(self.study.trials), self.listed * self.study.trials_per_setting)
        most = min(MOST_EPOCHS, max(LEAST_EPOCHS, MOST_NUMBERS // max(1, count * len(names))))
        table: list[list[Any]] = []
        curves: list[NDArray[np.float32]] = []
        reference = self.study.reference()
        iterator = iter(self.study.trials)
        while block := list(islice(iterator, _BLOCK)):
            known = [(trial, place) for trial in block if (place := places.get(setting_text(trial.params))) is not None]
            judged = verdicts((trial for trial, _ in known), reference)
            for (trial, place), verdict in zip(known, judged, strict=True):
                thinned = thin(trial, names, most)
                table.append(_row(trial, verdict, place, thinned.shape[1], names))
                curves.append(thinned.ravel())
        numbers = np.concatenate(curves) if curves else np.empty(0, np.float32)
        return {
            "metrics": names,
            "courses": [course_name(name) for name in names],
            "larger": [larger_is_better(name) for name in names],
            "titles": [metric_of(name).shown for name in names],
            "keys": KEYS,
            "rows": table,
            "most_epochs": most,
            "curves": base64.b64encode(numbers.astype("<f4").tobytes()).decode(),
        }


def thin(trial: Trial, names: Sequence[str], most: int) -> NDArray[np.float32]:
    """Return the curves (metrics, points) of a trial at no more than `most` of its epochs, the ends among them."""
    epochs = len(next(iter(trial.curves.values()), ()))
    points = min(epochs, most)
    chosen = [i * (epochs - 1) // max(points - 1, 1) for i in range(points)]
    lines = [trial.curves.get(name, np.full(epochs, np.nan))[chosen] for name in names]
    with np.errstate(over="ignore"):  # what float32 can't hold is drawn as nothing
        return np.array(lines, dtype=np.float32).reshape(len(names), points)


def _row(trial: Trial, verdict: Verdict, place: int, points: int, names: Sequence[str]) -> list[Any]:
    """Return the values of `KEYS` for a trial."""
    metrics = [plain(trial.metrics.get(name)) for name in names]
    return [
        place, trial.repeat, trial.fold, trial.state, trial.epochs, points, float(f"{trial.duration:.4g}"),
        verdict.name, verdict.evidence, verdict.advice, metrics,
    ]  # fmt: skip
