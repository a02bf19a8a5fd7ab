"""The function that runs trials goes to the workers with the data that it holds: once to each, not with each trial."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nn.checks import one_line


class WorkersError(RuntimeError):
    """No trial can be run any more where they should run; one line says why."""


class DeliveryError(WorkersError):
    """A worker can't get the function or its data."""


_number = itertools.count()


class WorkerFunction:
    """The function as workers can call it: here as it is, for threads.

    `call` is submitted in its place, takes an item and returns the function's result; `workers` is how many there are,
    where the executor does not tell; `lost` are the exceptions that mean a lost worker; `gone` says so of the place.
    """

    lost: tuple[type[BaseException], ...] = (BrokenExecutor,)
    workers: int | None = None
    gone = "the executor was shut down; finished trials are saved, run again"
    call: Callable[[Any], Any]

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.call = function

    def submit(self, executor: Executor, item: Any) -> Future[Any]:
        """Have the function called with an item."""
        return executor.submit(self.call, item)

    def close(self) -> None:
        """Take away what was left for the workers."""


class FileFunction(WorkerFunction):
    """The function for processes of this machine: pickled into one temporary file, which each of them reads once."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        content = pickled(function)
        open_files = f"/proc/{os.getpid()}/fd"
        nameless = os.path.exists(open_files)  # Linux: a file without a name, which not even SIGKILL leaves behind
        self._file = (tempfile.TemporaryFile if nameless else tempfile.NamedTemporaryFile)(prefix="nn-tuning-")
        self._file.write(content)
        self._file.flush()
        path = f"{open_files}/{self._file.fileno()}" if nameless else self._file.name
        self.call = _InProcess(path, next(_number), os.getpid())

    def close(self) -> None:
        """Remove the file."""
        with contextlib.suppress(FileNotFoundError):  # somebody else removed it
            self._file.close()


@dataclass(frozen=True)
class _InProcess:
    """Stands for a function in another process; `number` and `owner` tell files of one path apart."""

    path: str
    number: int
    owner: int

    def __call__(self, item: Any) -> Any:
        return _function_of(self)(item)


@lru_cache(maxsize=2)
def _function_of(there: _InProcess) -> Callable[[Any], Any]:
    """Return the function in a worker process, which reads it once."""
    if multiprocessing.parent_process() is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that hands out the trials
    try:
        with open(there.path, "rb") as file:
            return unpickled(file.read())
    except OSError as error:
        raise DeliveryError(f"a worker must be able to read {there.path!r}, but: {error.strerror}") from None


def pickled(function: Callable[[Any], Any]) -> bytes:
    """Return a function as bytes. Raises TypeError, in one line, where pickle can't take it."""
    try:
        return pickle.dumps(function, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(f"what runs trials in other processes must be picklable, but: {one_line(error)}") from None


def unpickled(content: bytes) -> Callable[[Any], Any]:
    """Return the function of such bytes. Raises DeliveryError, in one line, for whatever goes wrong."""
    try:
        return pickle.loads(content)
    except Exception as error:
        place = f"a worker (Python {sys.version_info.major}.{sys.version_info.minor})"
        raise DeliveryError(f"{place} must be able to load the study's data, but: {one_line(error)}") from None
