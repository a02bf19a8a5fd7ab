"""`Results`: what can be asked of a study's file, whether or not the study is going to run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuning.analysis import Analysis, BestRate, Reference, Summary, Verdict, analyse, reference_of, summarise, verdicts
from tuning.export import Table, whole
from tuning.space import Space
from tuning.store import STATES, Access, Definition, Trials

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
        self.space = Space(self.definition.space)
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
