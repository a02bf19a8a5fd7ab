"""The part of a study that is read when it is written out, so that no exporter has to know `Study`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from tuning.analysis import StudyLike, Summary
from tuning.export.tables import Table
from tuning.space import Space


class StudyResults(StudyLike, Protocol):
    """A study to be written out; see `tuning.study.Study` for what each member is."""

    path: Path | None
    space: Space
    stopped: str | None
    new_trials: int

    @property
    def best(self) -> Summary: ...
    @property
    def about(self) -> dict[str, Any]: ...
    @property
    def tested(self) -> dict[str, Any] | None: ...
    @property
    def work(self) -> dict[str, int] | None: ...
    def table(self, n: int | None = None) -> Table: ...
    def progress_line(self) -> str: ...
    def describe_states(self) -> str: ...
