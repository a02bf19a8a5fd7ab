"""The workers that run trials: threads or processes of its own, or those of any `concurrent.futures.Executor`.

The kernels hold no GIL for whole epochs, so threads use every core, share the data and cost almost nothing to feed;
code of one's own that holds it runs in processes (`tuning.run.processes`).
Workers in other processes get the data once, not with each trial (`tuning.run.delivery`), and a trial whose worker dies
is run again: first alone, so that one that brings its worker down itself is told from those that were only beside it.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from nn.checks import integer, one_line, real
from tuning.run.delivery import DeliveryError, FileFunction, WorkerFunction, WorkersError, pickled
from tuning.run.processes import Processes

S = TypeVar("S")
R = TypeVar("R")

QUEUE_PER_WORKER = 8
"""Trials waiting or running for each worker: enough to keep it busy while results are written."""

DEATHS = 2
"""A trial has failed when so many workers died while it ran on its own."""


class WorkerDied(Exception):
    """A trial brought its worker down, and did so again when it ran alone."""


def available_cores() -> int:
    """Return the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


class Workers(Generic[S, R]):
    """Runs `function(item)` for items on an executor, with a bounded number of them in flight.

    Args:
        function: Sent to the workers once, with the data that it holds.
        executor: One of yours, which stays open; None makes a pool of threads, or of processes where the function says
            by `in_processes` that its trials hold the GIL, and where there is a `trial_timeout`.
        n_jobs: Threads or processes, or the workers of `executor` where they can't be told; all cores unless given.
        trial_timeout: The most seconds of an item.

    Raises:
        TypeError: Where the function can't leave the process.
        DeliveryError: Where the workers can't take it.

    `in_flight` trials are out at the moment; `dropped` ones were taken back before they started.
    """

    def __init__(
        self,
        function: Callable[[S], R],
        executor: Executor | None = None,
        n_jobs: int | None = None,
        trial_timeout: float | None = None,
    ) -> None:
        self._own = executor is None
        self._executor = _pool(function, n_jobs, trial_timeout) if executor is None else executor
        self._sent = _worker_function(function, self._executor)
        size = self._sent.workers or getattr(self._executor, "_max_workers", None)
        self.n_jobs: int = n_jobs or size or available_cores()
        self.in_flight = 0
        self.dropped = 0
        self._broken: BaseException | None = None
        self._withdrawn = False
        self._done: SimpleQueue[tuple[Any, Future[Any]]] = SimpleQueue()
        self._waiting: set[Future[Any]] = set()
        self._again: deque[Any] = deque()  # items that lost their worker
        self._alone = False  # whether what is out is one of them
        self._deaths = 0  # of workers, while the first of them ran alone

    def run(
        self, items: Iterator[S], stopping: Callable[[], bool], patience: float
    ) -> Iterator[tuple[S, Future[R]] | None]:
        """Yield (item, finished future) in the order of arrival; None when `patience` seconds passed without one.

        Items are taken only as places become free, and no more once `stopping()` is true; what is in flight then is
        still waited for. Raises WorkersError where the executor has broken down for good.
        """
        limit = QUEUE_PER_WORKER * self.n_jobs
        exhausted = False
        while True:
            stop = stopping()
            if self._again or self._broken:
                self._run_again(stop)
            elif not (
                self._alone and self.in_flight
            ):  # whoever runs alone has nothing beside it, however long it takes
                self._alone = False
                while not exhausted and self.in_flight < limit and not stop and not self._broken:
                    item = next(items, None)
                    if item is None:
                        exhausted = True
                        break
                    self._submit(item)
                    stop = stopping()
            if not self.in_flight:
                if self._again or not (stop or exhausted):
                    continue
                return
            if stop:
                self._cancel_waiting()
            try:
                item, future = self._done.get(timeout=patience)
            except Empty:
                yield None
                continue
            self.in_flight -= 1
            self._waiting.discard(future)
            if future.cancelled():
                if not self._withdrawn:
                    raise WorkersError(self._sent.gone)
                self.dropped += 1
                continue
            error = future.exception()
            if isinstance(error, DeliveryError):
                raise error
            if error is None or not isinstance(error, self._sent.lost):
                self._deaths = 0
                yield item, future
            elif failed := self._after_a_death(item, error):
                yield item, failed

    def arrived(self) -> Iterator[tuple[Any, Future[Any]]]:
        """Yield the trials that have finished and not been fetched yet, without waiting for more."""
        while not self._done.empty():
            item, future = self._done.get()
            self.in_flight -= 1
            self._waiting.discard(future)
            if not future.cancelled() and not isinstance(future.exception(), (DeliveryError, *self._sent.lost)):
                yield item, future

    def close(self, wait: bool = True) -> None:
        """Cancel what has not started and end the threads, if they are our own; `wait` for what runs."""
        self._cancel_waiting()
        self._sent.close()
        if self._own:
            self._executor.shutdown(wait=wait, cancel_futures=True)

    def _submit(self, item: Any) -> None:
        try:
            future = self._sent.submit(self._executor, item)
        except BrokenExecutor as error:
            self._again.appendleft(item)
            self._broken = error
            return
        except RuntimeError as error:  # it was shut down
            raise WorkersError(f"the executor takes no more trials: {error}") from None
        self.in_flight += 1
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._done.put((item, done)))

    # -- when workers die --------------------------------------------------------------------------------------

    def _after_a_death(self, item: Any, error: BaseException) -> Future[Any] | None:
        """Put the item where it is run again; return a future that has failed when it is to blame."""
        if isinstance(error, BrokenExecutor):
            self._broken = error
        deaths = self._deaths = self._deaths + 1 if self._alone else 0
        if deaths < DEATHS:
            self._again.appendleft(item)
            return None
        self._deaths = 0
        failed: Future[Any] = Future()
        failed.set_exception(WorkerDied(f"its worker died {deaths} times while it ran alone ({one_line(error)})"))
        return failed

    def _run_again(self, stop: bool) -> None:
        """Once nothing else is out, run the next item that lost its worker, on its own."""
        if self.in_flight:
            return
        if stop:
            self.dropped += len(self._again)
            self._again.clear()
            self._deaths = 0
            return
        if self._broken:
            self._renew(self._broken)
            self._broken = None
        if self._again:
            self._alone = True
            self._submit(self._again.popleft())

    def _renew(self, error: BaseException) -> None:
        """Go on in a fresh process pool in the likeness of the broken one. Raises WorkersError where there is none."""
        old = self._executor
        if not isinstance(old, ProcessPoolExecutor):
            raise WorkersError(f"a worker died: {one_line(error)}; finished trials are saved, run again")
        options = {name: getattr(old, f"_{name}") for name in ("mp_context", "initializer", "initargs")}
        fresh = ProcessPoolExecutor(old._max_workers, **options)  # type: ignore[attr-defined]
        try:
            fresh.submit(os.getpid).result()
        except BrokenExecutor as again:
            fresh.shutdown(wait=False)
            raise WorkersError(
                f"the workers of a process pool did not start: {one_line(again)}; "
                'does the script lack its if __name__ == "__main__"?'
            ) from None
        if self._own:
            old.shutdown(wait=False)
        self._executor, self._own = fresh, True

    def _cancel_waiting(self) -> None:
        """Take back what has not started; a cancelled future reports itself through its callback."""
        self._withdrawn = True
        self._waiting = {future for future in self._waiting if not future.cancel()}


def _pool(function: Any, n_jobs: int | None, trial_timeout: float | None) -> Executor:
    """Return the workers of a function that is given no executor."""
    workers = n_jobs or available_cores()
    if trial_timeout is None and not getattr(function, "in_processes", False):
        return ThreadPoolExecutor(workers, "trial")
    return Processes(workers, trial_timeout)


def _worker_function(function: Callable[[Any], Any], executor: Executor) -> WorkerFunction:
    """Return the function as an executor's workers can call it: as it is, where the kind is not known."""
    home = type(executor).__module__.partition(".")[0]
    if home == "distributed":
        from tuning.run.dask import DaskFunction

        return DaskFunction(function, executor)
    if isinstance(executor, ProcessPoolExecutor) or home == "loky":
        return FileFunction(function)
    return WorkerFunction(function)


def reachable(executor: Executor | None, metric: Any) -> Executor | None:
    """Return the executor, or None, for threads, where its workers can't be sent a metric's function; warn then."""
    home = type(executor).__module__.partition(".")[0]
    if metric is None or not (isinstance(executor, ProcessPoolExecutor) or home in ("loky", "distributed")):
        return executor
    try:
        pickled(metric)
    except TypeError:
        warnings.warn(
            f"trials run in threads of this process: the function of the metric {metric.name} can't be pickled for "
            "others; define it in a module, outside of other functions",
            stacklevel=3,
        )
        return None
    return executor


def check_workers(executor: Any, n_jobs: Any, trial_timeout: Any = None) -> None:
    """Raise unless `executor`, `n_jobs` and `trial_timeout` can be used."""
    if trial_timeout is not None:
        real("trial_timeout", trial_timeout, above=0.0)
        if executor is not None:
            raise ValueError("trial_timeout must be None with an executor, whose workers nobody else can stop")
    if n_jobs is not None:
        try:
            integer("n_jobs", n_jobs, 1, 4096)
        except ValueError as error:
            raise ValueError(f"{error}; leave it out for all cores") from None
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor must be None or a concurrent.futures.Executor, but got {type(executor).__name__}")
