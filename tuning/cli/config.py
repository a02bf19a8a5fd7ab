"""Sweep files: a sweep's arguments in TOML, with its space as the table `[space]`."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nn.checks import unknown_name, usual_name
from nn.data import READING
from tuning.space import PARAMETERS
from tuning.sweeps import sweep

_NOT_PLAIN = ("executor", "progress", "callback", "say", "reading", "objective", "model", "allow_changed")
KEYS = (*(name for name in inspect.signature(sweep).parameters if name not in _NOT_PLAIN), *READING)
"""The keys of a sweep file: the arguments of `sweep` that are plain values, options of reading among them."""


class SweepFileError(ValueError):
    """An error in a sweep file, which names keys of the file."""


@dataclass(frozen=True)
class SweepFile:
    """A sweep file that has been read; `values` by the names of `sweep`'s arguments."""

    path: Path
    text: str
    values: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> SweepFile:
        """Return the contents of a file; SweepFileError, with the line, where they are not those of a sweep file."""
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise ValueError(
                f"config must be a file that can be read, but {str(path)!r} can't: {error.strerror}"
            ) from None
        except UnicodeDecodeError as error:
            raise SweepFileError(f"{path} must be TOML in UTF-8, but byte {error.start} is not") from None
        try:
            values = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise SweepFileError(f"{path} must be TOML, but: {error}") from None
        file = cls(path, text, values)
        for key in values:
            if key not in KEYS:
                inside = key if key in PARAMETERS else usual_name(key, PARAMETERS)
                wrong = ValueError(f"{inside} must stand in the table [space], but got {key!r} outside of it")
                raise file.located(wrong if inside else unknown_name("a key of a sweep file", key, KEYS), key)
        if not isinstance(values.get("space", {}), dict):
            raise file.located(ValueError("space must be a table, [space], but is a plain value"), "space")
        return file

    def located(self, error: Exception, key: str | None = None) -> SweepFileError:
        """Return an error with the file, and with the line of the key that it is about where that is clear.

        Errors begin with the name of what they are about, or end in the name that they got.
        """
        about = [key] if key else re.findall(r"^[a-z][a-z0-9_]+|(?<=but got ')\w+", str(error))
        for name in about:
            match = re.search(
                rf"(?m)^[ \t]*[\"']?{re.escape(name)}[\"']?[ \t]*[=.]|^[ \t]*\[{re.escape(name)}\]", self.text
            )
            if match:
                line = self.text.count(chr(10), 0, match.start()) + 1
                return SweepFileError(f"{self.path}, line {line}: {error}")
        return SweepFileError(f"{self.path}: {error}")
