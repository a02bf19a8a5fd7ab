"""`Results`: what can be asked of a study's file, whether or not the study is going to run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import brief
from tuning.analysis import (
    Analysis,
    BestRate,
    Comparison,
    Reference,
    Summary,
    Verdict,
    analyse,
    compared,
    reference_of,
    summarise,
    verdicts,
)
from tuning.export import Table, whole
from tuning.store import STATES, Access, Definition, Trials, setting_text

if TYPE_CHECKING:
    import pandas


class Results:
    """The trials of a study and everything that follows from them; `Study` runs them too."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._summaries: list[Summary] | None = None
        self._analysis: tuple[int, Analysis] | None = None
        self.path = access.path
        self.definition = Definition.from_json(self.path, access.reading().get("definition"))
        self.space = self.definition.searched
        self.metric = self.definition.metric
        self.repeats = self.definition.repeats
        self.folds = self.definition.folds

    @property
    def trials(self) -> Trials:
        """The finished trials by number, in whatever order they came back; read as they are asked for."""
        return Trials(self._access.reading())

    @property
    def tested(self) -> dict[str, Any] | None:
        """The result of `test`, if it was called: `params`, `scores`, `time`, and the number of `looks` at it.

        `epochs`, `networks` and `rows` say what was scored, where the file is not of an older version.
        """
        return self._access.reading().get("test")

    @property
    def about(self) -> dict[str, Any]:
        """The origin of the study: `created`, an ISO time; `environment`; the `source` of the data, or None.

        `reading` has the options that the source is read with.
        """
        return {name: self._access.reading().get(name) for name in ("created", "environment", "source", "reading")}

    @property
    def sizes(self) -> dict[str, int] | None:
        """The numbers of examples in training, validation and test; None in files that do not say."""
        return self._access.reading().get("sizes")

    @property
    def work(self) -> dict[str, int] | None:
        """The `epochs` that were trained, and the `full_epochs` that the same trials take without pruning.

        Of a method that prunes, without early stopping; None of others. A trial that diverged counts with what it
        trained in both.
        """
        return self._access.reading().get("work")

    @property
    def trials_per_setting(self) -> int:
        """The number of trials of one setting: one for each repeat and fold."""
        return self.definition.trials_per_setting

    def describe_states(self) -> str:
        """Return how many trials ended in which way, with the first error where any failed."""
        file = self._access.reading()
        done = file.epochs()
        text = ", ".join(f"{done[state][0]:,} {state}" for state in STATES if state in done) or "no trial is finished"
        error = file.first_error()
        return f"{text} ({error})" if error else text

    @property
    def best(self) -> Summary:
        """The best setting: `params`, and `metrics` as means over repeats and folds. ValueError when there is none."""
        ranked = self.summaries()
        if not ranked or ranked[0].rank is None:
            raise ValueError(
                f"a study must have a setting whose trials all completed with a {self.metric}, but: "
                f"{self.describe_states()}"
            )
        return ranked[0]

    def summaries(self) -> list[Summary]:
        """Return every setting that has a trial, the best first."""
        if self._summaries is None:
            self._summaries = summarise(self._access.reading().outcomes(), self.metric, self.trials_per_setting)
        return list(self._summaries)

    def analysis(self) -> Analysis:
        """Return the conclusions: intervals, ties, best learning rates, importances, optimism, verdicts."""
        file = self._access.reading()
        count = file.count()
        if self._analysis is None or self._analysis[0] != count:
            self._analysis = count, analyse(self.definition, self.summaries(), file.records(), self.reference())
        return self._analysis[1]

    def best_rates(self, by: str | Sequence[str] | None = None) -> list[BestRate]:
        """Return the best learning rate, with its interval, for each combination of the values of some parameters.

        Args:
            by: The name of a parameter, or several; none of them, (), for one rate of the whole study. Batch size and
                hidden units unless given.

        Raises:
            ValueError: For a name that no setting has.
        """
        return self.analysis().best_rates(by)

    def compare(self, other: Results) -> Comparison:
        """Return by how much this study's best setting is better than another's, with an interval.

        Both must be of the same data, split in the same way, so that folds or repeats are pairs: a network's study and
        that of an estimator, say. Raises ValueError where they are not.

        >>> from tuning import sweep
        >>> slow, fast = (sweep("iris", {"learning_rate": [rate]}, epochs=5, repeats=3) for rate in (1e-4, 0.1))
        >>> fast.compare(slow).difference > 0
        True
        """
        self._check_comparable(other)
        names = [study._name for study in (self, other)]
        if names[0] == names[1]:
            names = ["the first", "the second"]
        unit = "folds" if self.folds else "repeats"
        return compared(self.metric, (names[0], names[1]), self._best_scores(), other._best_scores(), unit)

    def _check_comparable(self, other: Results) -> None:
        if not isinstance(other, Results):
            raise TypeError(f"other must be a study, but got {brief(other)}")
        here, there = self.definition, other.definition
        same = {
            "metric": (here.metric, there.metric),
            "data": (here.data.fingerprint[:12], there.data.fingerprint[:12]),
            "folds": (here.folds, there.folds),
            "repeats": (here.repeats, there.repeats) if here.folds is None else (None, None),
            "rows in each part": (here.data.rows, there.data.rows),
        }
        for what, (mine, others) in same.items():
            if mine != others:
                raise ValueError(f"studies that are compared must have the same {what}, but have {mine} and {others}")

    @property
    def _name(self) -> str:
        """What is trained, in a word."""
        return str((self.definition.model or {"name": "network"})["name"]).rpartition(".")[2]

    def _best_scores(self) -> NDArray[np.float64]:
        """Return the metric of the best setting for each fold, the mean of its repeats, or for each repeat."""
        trials = self._access.reading().trials_of(setting_text(self.best.params))
        values = np.array([trial.metrics[self.metric] for trial in trials])
        return values.reshape(self.repeats, self.folds).mean(axis=0) if self.folds else values

    def verdicts(self) -> list[Verdict]:
        """Return the verdict on each trial with its evidence, in the order of `trials`."""
        return list(verdicts(self.trials, self.reference()))

    def reference(self) -> Reference:
        """Return the reference of the verdicts: the best loss, the best constant answer, and the other rates."""
        file = self._access.reading()
        held_out = (self.sizes or {}).get("validation")
        return reference_of(self.definition, self.summaries(), file.outcomes(), file.get("guess"), held_out)

    def table(self, n: int | None = None) -> Table:
        """Return the best `n` settings, or all, as rows that print as a table; see `tuning.export.Table`."""
        return Table.of(self.analysis(), n)

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

        `settings` has the rows of the table, or the `top` ones; `test` the result of `test`, if it was called; the
        others are those of `Analysis`.
        """
        about = json.dumps({**self.analysis().to_dict(), "test": self.tested}, allow_nan=False)
        return _written(f'{about[:-1]}, "settings": {self.table(top).to_json()}}}\n', path)


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        with whole(path) as file:
            file.write_text(text, encoding="utf-8")
    return text
