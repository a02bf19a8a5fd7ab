"""Where trials run: threads of this process, or any `concurrent.futures.Executor`.

The kernels hold no GIL for whole epochs, so threads use every core, share the data and cost almost nothing to feed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from nn._checks import integer

S = TypeVar("S")
R = TypeVar("R")

QUEUE_PER_WORKER = 8
"""Trials waiting or running for each worker: enough to keep it busy while results are written."""


def available_cores() -> int:
    """Return the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


class Workers:
    """Runs `function(item)` for items on an executor, with a bounded number of them in flight.

    Parameters
    ----------
    executor : concurrent.futures.Executor, optional
        One of yours, which stays open; None makes a pool of threads.
    n_jobs : int, optional
        Threads, or the workers of `executor` where they can't be told; all cores unless given.

    `in_flight` trials are out at the moment; `dropped` ones were taken back before they started.
    """

    def __init__(self, executor: Executor | None = None, n_jobs: int | None = None) -> None:
        check_workers(executor, n_jobs)
        size = getattr(executor, "_max_workers", None) if executor is not None else None
        self.n_jobs: int = n_jobs or size or available_cores()
        self.in_flight = 0
        self.dropped = 0
        self._own = executor is None
        self._executor = ThreadPoolExecutor(self.n_jobs, "trial") if executor is None else executor
        self._done: SimpleQueue[Any] = SimpleQueue()
        self._waiting: set[Future[Any]] = set()

    def run(
        self,
        function: Callable[[S], R],
        items: Iterator[S],
        stopping: Callable[[], bool],
        patience: float,
    ) -> Iterator[tuple[S, Future[R]] | None]:
        """Yield (item, finished future) in the order of arrival; None when `patience` seconds passed without one.

        Items are taken only as places become free, and no more once `stopping()` is true; what is in flight then is
        still waited for.
        """
        limit = QUEUE_PER_WORKER * self.n_jobs
        exhausted = False
        while True:
            while not exhausted and self.in_flight < limit and not stopping():
                item = next(items, None)
                if item is None:
                    exhausted = True
                    break
                self._submit(function, item)
            if not self.in_flight:
                return
            if stopping():
                self._cancel_waiting()
            try:
                item, future = self._done.get(timeout=patience)
            except Empty:
                yield None
                continue
            self.in_flight -= 1
            self._waiting.discard(future)
            if future.cancelled():
                self.dropped += 1
            else:
                yield item, future

    def arrived(self) -> Iterator[tuple[Any, Future[Any]]]:
        """Yield what has finished and not been fetched yet, without waiting for more."""
        while not self._done.empty():
            item, future = self._done.get()
            self.in_flight -= 1
            if not future.cancelled():
                yield item, future

    def close(self, wait: bool = True) -> None:
        """Cancel what has not started and end the threads, if they are our own; `wait` for what runs."""
        self._cancel_waiting()
        if self._own:
            self._executor.shutdown(wait=wait, cancel_futures=True)

    def _submit(self, function: Callable[[S], R], item: S) -> None:
        future = self._executor.submit(function, item)
        self.in_flight += 1
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._done.put((item, done)))

    def _cancel_waiting(self) -> None:
        """Take back what has not started; a cancelled future reports itself through its callback."""
        for future in list(self._waiting):
            if future.cancel():
                self._waiting.discard(future)


def check_workers(executor: Any, n_jobs: Any) -> None:
    """Raise unless `executor` and `n_jobs` can be used."""
    if n_jobs is not None:
        integer("n_jobs", n_jobs, 1, 4096)
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor must be None or a concurrent.futures.Executor, but got {type(executor).__name__}")
