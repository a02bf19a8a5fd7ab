"""The finished trials of a study as a sequence that is never held in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from tuning.store.study_file import StudyFile
from tuning.store.trial import Trial


class Trials(Sequence[Trial]):
    """The finished trials of a study, read from its file one by one."""

    def __init__(self, file: StudyFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return self._file.count()

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        if isinstance(index, slice):
            return list(self)[index]
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"a trial's index must be below {length:,}, but got {index}")
        return self._file.trial_at(index % length)

    def __iter__(self) -> Iterator[Trial]:
        return self._file.trials()

    def outcomes(self) -> Iterator[tuple[str, int, int | None, str, dict[str, float]]]:
        """Yield (text of the setting, repeat, fold, state, metrics) of every trial by number; no curves are read."""
        return self._file.outcomes()
