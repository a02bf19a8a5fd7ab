"""Objectives for other processes: some bring their worker down, some note who loaded them. All can be pickled."""

from __future__ import annotations

import os
import signal
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.tuning.fakes import noisy
from tuning.store import TrialResult, TrialSpec


@dataclass(frozen=True)
class Deadly:
    """Kills its process at some trials: the first time only, or every time."""

    folder: Path
    once: tuple[int, ...] = ()
    always: tuple[int, ...] = ()

    def __call__(self, spec: TrialSpec) -> TrialResult:
        mark = self.folder / f"{spec.number}"
        if spec.number in self.always or (spec.number in self.once and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return noisy(spec)


@dataclass(frozen=True)
class Heavy:
    """Carries an array, and leaves a note in the folder for each time that a process unpickles it."""

    folder: Path
    data: Any = field(default_factory=lambda: np.arange(500_000.0))

    def __call__(self, spec: TrialSpec) -> TrialResult:
        assert self.data[-1] == 499_999.0
        return noisy(spec)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        (self.folder / f"{os.getpid()}-{uuid.uuid4().hex}").touch()

    def loads(self) -> list[str]:
        """The process of each unpickling."""
        return sorted(name.name.split("-")[0] for name in self.folder.iterdir())


@dataclass(frozen=True)
class Unloadable:
    """Can be pickled, but no worker can load it."""

    data: str = "data.csv"

    def __call__(self, spec: TrialSpec) -> TrialResult:
        return noisy(spec)

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise FileNotFoundError("no such file:\ndata.csv")


def failing(spec: TrialSpec) -> TrialResult:
    """Fails at one trial, in whatever process it runs."""
    if spec.number == 3:
        raise ZeroDivisionError("far\naway")
    return noisy(spec)


def broken_start() -> None:
    """An initializer that ends its process."""
    os._exit(3)


def ends(number: int) -> None:
    """Ends its process."""
    os._exit(number)
