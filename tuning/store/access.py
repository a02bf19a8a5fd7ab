"""A study's way to its file: open to be read as it is asked for, and to be written only while something is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tuning.store.definition import Definition, environment, now
from tuning.store.study_file import StudyFile, check_writable


def note_change(file: StudyFile, name: str, value: Any) -> None:
    """Write down that the trials from now on are of other code than those before, where that is so."""
    content = file.get("definition")
    if content.get(name) != value:
        file.put("changes", [*(file.get("changes") or []), {"time": now(), name: content[name]}])
        file.put("definition", {**content, name: value})


class Access:
    """The file of a study at `path`, or the study in memory where that is None."""

    def __init__(self, file: StudyFile) -> None:
        self.path = file.path
        self._file: StudyFile | None = file

    @classmethod
    def create(
        cls, path: Path | None, definition: Definition, about: Mapping[str, Any], allow_changed: bool = False
    ) -> Self:
        """Return the way to a new study, or to the one at `path` if its definition is the same.

        `about` has the other values of table `study`; of those, a study that exists gets the new `limits` and `source`.
        `allow_changed` lets it go on with code that has changed.
        """
        if path is not None:
            check_writable(path)
        if path is None or not path.exists() or path.stat().st_size == 0:
            made = {"environment": environment(), "created": now()}
            return cls(StudyFile.create(path, {"definition": definition.to_json(), **about, **made}))
        # To look first leaves a file that is refused as it was, to the last byte.
        with contextlib.closing(StudyFile.open(path, write=False)) as file:
            definition.check_continues(path, file.get("definition"), allow_changed)
        file = StudyFile.open(path, write=True)
        note_change(file, "own_metric", definition.own_metric)
        note_change(file, "model", definition.model)
        for name in ("limits", "source", "reading"):
            if name in about and about[name] != file.get(name):
                file.put(name, about[name])
        return cls(file)

    def reading(self) -> StudyFile:
        """Return the file, open at least to be read."""
        if self._file is None:
            assert self.path is not None
            self._file = StudyFile.open(self.path, write=False)
        return self._file

    @contextlib.contextmanager
    def writing(self) -> Iterator[StudyFile]:
        """Open the file to be written, and give the right to write back: what is read from then on needs none."""
        if self._file is None or not self._file.writable:
            assert self.path is not None
            self.close()
            self._file = StudyFile.open(self.path, write=True)
        try:
            yield self._file
        finally:
            self.close()

    def close(self) -> None:
        """Close the file; it is opened again when something is asked for. A study in memory stays."""
        if self._file is not None and self.path is not None:
            self._file.close()
            self._file = None
