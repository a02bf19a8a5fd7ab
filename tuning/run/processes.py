"""Processes that run trials one at a time, each of which can be stopped: for code of one's own.

Unlike a `ProcessPoolExecutor`, one that dies takes no other trial with it, and one that hangs is ended. They are made
by the platform's own way of starting processes; a fork has what the program had loaded.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import LifoQueue
from typing import Any

from nn.checks import one_line
from tuning.run.delivery import DeliveryError, pickled, unpickled

PATIENCE = 5.0
"""Seconds that a process has for its end."""
DEATHS = 2
"""A trial has failed when so many processes died while it ran."""


class TrialTimeout(Exception):
    """A trial took longer than `trial_timeout` and was ended."""


class ProcessDied(Exception):
    """A trial brought its process down, and did so again in a fresh one."""


class Processes(Executor):
    """So many processes; a trial that takes longer than `seconds` is ended with its process.

    What is submitted must be a function of one item that can be pickled; it goes to each process once.
    """

    def __init__(self, workers: int, seconds: float | None = None) -> None:
        self._max_workers = workers
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(workers, "trial")
        self._lock = threading.Lock()
        self._content: tuple[Any, bytes] = None, b""
        self._closed = False
        self._children = {_Child() for _ in range(workers)}
        self._free: LifoQueue[_Child] = LifoQueue()
        for child in self._children:
            self._free.put(child)

    def submit(self, function: Callable[[Any], Any], /, item: Any) -> Future[Any]:  # type: ignore[override]
        """Have the function called with an item in one of the processes."""
        if self._content[0] is not function:
            self._content = function, pickled(function)
        return self._threads.submit(self._run, self._content[1], item)

    def _run(self, content: bytes, item: Any) -> Any:
        child = self._free.get()
        try:
            for death in range(1, DEATHS + 1):
                with self._lock:
                    if self._closed:
                        raise ProcessDied("its process was ended")
                    child.start()
                try:
                    return child.call(content, item, self._seconds)
                except (EOFError, OSError):
                    code = child.end()
                    if death == DEATHS:
                        raise ProcessDied(f"its process died {death} times while it ran ({_way(code)})") from None
        finally:
            self._free.put(child)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; without `wait`, in the middle of what they do."""
        if wait:
            self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
        self._closed = True
        with self._lock:
            for child in self._children:
                child.ask_to_end() if wait else child.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in self._children:
            child.end()


class _Child:
    """One process, started when it is needed for the first time, and again after it ended."""

    def __init__(self) -> None:
        self._process: Any = None
        self._connection: Any = None
        self._content: bytes | None = None

    def start(self) -> None:
        """Start the process unless it runs."""
        if self._process is None:
            self._connection, there = multiprocessing.Pipe()
            self._process = multiprocessing.Process(target=_serve, args=(there,), name="trial")
            with _forking():
                self._process.start()
            there.close()

    def call(self, content: bytes, item: Any, seconds: float | None) -> Any:
        """Return what the function in `content` gives for the item, or raise what it raises.

        Raises EOFError or OSError where the process has died.
        """
        if self._content is not content:
            self._connection.send((content, None))
            _raised(self._connection.recv())
            self._content = content
        self._connection.send((None, item))
        if not self._connection.poll(seconds):
            self.kill()
            self.end()
            raise TrialTimeout(f"it must end within trial_timeout={seconds:g} seconds, but did not")
        return _raised(self._connection.recv())

    def ask_to_end(self) -> None:
        """Tell the process, which has nothing to do, that nothing will follow."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._connection.send(None)

    def kill(self) -> None:
        """End the process in the middle of what it does."""
        if self._process is not None:
            self._process.kill()

    def end(self) -> int | None:
        """Wait for the end of the process, if there is one, and return the code that it ended with."""
        process, self._process, self._content = self._process, None, None
        if process is None:
            return None
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
        code: int = process.exitcode
        self._connection.close()
        process.close()
        return code


@contextlib.contextmanager
def _forking() -> Iterator[None]:
    """Have no warning, which newer versions of Python give, of a fork beside threads: what is forked runs trials alone.

    Older ones are left alone: to change what warnings do changes it for all threads.
    """
    if sys.version_info < (3, 12):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _serve(connection: Any) -> None:
    """Run trials in the process: first comes a function, then item after item, then None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that hands out the trials
    threading.Thread(target=_end_with_parent, daemon=True).start()
    function: Callable[[Any], Any] | None = None
    while (message := connection.recv()) is not None:
        content, item = message
        outcome: Any = None
        try:
            if content is not None:
                function = unpickled(content)
            else:
                assert function is not None
                outcome = function(item)
        except DeliveryError as error:
            outcome = error
        except Exception as error:
            outcome = RuntimeError(one_line(error))
        connection.send(outcome)


def _end_with_parent() -> None:
    """End this process once the one that it works for is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _raised(outcome: Any) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _way(code: int | None) -> str:
    """Return how a process ended.

    >>> _way(-9), _way(3)
    ('killed by signal 9', 'exit code 3')
    """
    return (
        "after it was asked to end"
        if code is None
        else f"killed by signal {-code}"
        if code < 0
        else f"exit code {code}"
    )
