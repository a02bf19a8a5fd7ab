"""A Dask cluster as the place where trials run; needs `pip install "nn-tuning[dask]"`.

The data are registered with the scheduler as a worker plugin: each worker process gets them once, and so does one that
joins later or takes the place of a lost one. Dask moves code and data as pickles, so that whoever can reach the
scheduler's port can run code on its machines: keep it inside a network that you trust, or set up Dask's TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass
from typing import Any, NamedTuple

import distributed
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.registry import get_backend
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.scheduler import KilledWorker

from nn.checks import one_line
from tuning.run.delivery import DeliveryError, WorkerFunction, pickled, unpickled

CONNECT_SECONDS = 10.0
"""Seconds to wait for a scheduler, and for its first worker."""

ALONE_SECONDS = 60.0
"""Seconds to wait for a cluster that has lost all its workers."""

_Client: Any = distributed.Client
_number = itertools.count()


class DaskFunction(WorkerFunction):
    """The function as a plugin of every worker, present and future."""

    lost = (KilledWorker,)

    def __init__(self, function: Callable[[Any], Any], executor: Any) -> None:
        self._client: Any = executor._client
        self._options = {**executor._kwargs, "pure": False}  # an item that is run again is a new task
        self._name = f"nn-tuning-{os.uname().nodename}-{os.getpid()}-{next(_number)}"
        portable = getattr(function, "portable", None)  # with its data: another machine may lack the files
        content = pickled(function if portable is None else portable())
        address = self._client.scheduler.address
        self.gone = f"the Dask scheduler at {address} closed the connection; finished trials are saved, run again"
        self.workers = sum(self._client.nthreads().values())
        if not self.workers:
            raise DeliveryError(_no_worker(address))
        try:
            self._client.register_plugin(_Delivery(content), name=self._name)
        except Exception as error:
            raise DeliveryError(
                f"each Dask worker must have the same nn-tuning installed, but: {one_line(error)}"
            ) from None
        self.call = _OnWorker(self._name)

    def submit(self, executor: Executor, item: Any) -> Future[Any]:
        """Have the function called with an item.

        Dask's own executor never tells of a task whose result was lost with its worker and could not be made again:
        what follows it there ends with the exception, and the future waits for ever.
        """
        task = self._client.submit(self.call, item, **self._options)
        future: Future[Any] = Future()
        future.add_done_callback(lambda done: task.cancel() if done.cancelled() else None)
        self._client.loop.add_callback(self._follow, task, future)
        return future

    async def _follow(self, task: Any, future: Future[Any]) -> None:
        """Give the outcome of a task to its future."""
        try:
            outcome = await self._outcome(task)
        except (CancelledError, asyncio.CancelledError):
            future.cancel()
            return
        except (KilledWorker, DeliveryError) as lost:
            outcome = _Raised(lost)
        except OSError:
            outcome = _Raised(DeliveryError(self.gone))
        except Exception as other:  # not the trial's: that would have been returned
            outcome = _Raised(DeliveryError(f"the Dask cluster handed no result over: {one_line(other)}; run again"))
        if future.set_running_or_notify_cancel():
            if isinstance(outcome, _Raised):
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome)

    async def _outcome(self, task: Any) -> Any:
        """Wait for a task, but not without end where no worker is left to do it."""
        waiting = asyncio.ensure_future(self._client.gather(task, asynchronous=True))
        without = 0
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=ALONE_SECONDS / 2)
            if not waiting.done():
                cluster = await self._client.scheduler.identity()
                without = 0 if cluster["workers"] else without + 1
            if without == 2:
                waiting.cancel()
                raise DeliveryError(_no_worker(self._client.scheduler.address))
        return waiting.result()

    def close(self) -> None:
        """Have the workers forget the function and its data."""
        if self._client.status == "running":
            with contextlib.suppress(Exception):
                self._client.unregister_worker_plugin(self._name)


class _Delivery(WorkerPlugin):
    """Holds the function in a worker: as bytes until the first trial."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def setup(self, worker: Any) -> None:
        """Keep the bytes: to load data here would stop the worker's event loop."""
        self.lock = threading.Lock()
        self.function: Callable[[Any], Any] | None = None

    def get(self) -> Callable[[Any], Any]:
        """Return the function, made by the first of the worker's threads that asks."""
        with self.lock:
            if self.function is None:
                self.function = unpickled(self.content)
                self.content = b""
        return self.function


class _Raised(NamedTuple):
    """The error of a trial, returned like a result, so that it is not taken for a fault of the cluster."""

    error: Exception


@dataclass(frozen=True)
class _OnWorker:
    """Stands for the function on a worker."""

    name: str

    def __call__(self, item: Any) -> Any:
        plugin: Any = distributed.get_worker().plugins.get(self.name)
        if plugin is None:
            return _Raised(DeliveryError(f"a Dask worker must have received the plugin {self.name!r}, but it has not"))
        try:
            return plugin.get()(item)
        except Exception as error:
            return _Raised(error if _survives_pickle(error) else RuntimeError(one_line(error)))


def _survives_pickle(error: Exception) -> bool:
    try:
        return isinstance(pickle.loads(pickle.dumps(error)), type(error))
    except Exception:
        return False


@contextlib.contextmanager
def connected(address: str) -> Iterator[Executor]:
    """Connect to the scheduler at `address`, such as "tcp://192.168.0.5:8786", and yield it as an executor.

    Raises ValueError when there is no scheduler within ten seconds, or it has no worker.
    """
    try:
        _check_address(address)
        client = _Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        why = one_line(str(error)) or "no answer"
        raise ValueError(
            f"dask must be the address of a running scheduler, but {address!r} is none ({why}); start one with: "
            "dask scheduler"
        ) from None
    try:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise ValueError(_no_worker(address)) from None
        yield client.get_executor()
    finally:
        client.close(timeout=CONNECT_SECONDS)


def _check_address(address: str) -> None:
    """Raise ValueError for what can be no address: a client that got it would hold up the process's end for 20 s."""
    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme in ("tcp", "tls", "ws", "wss"):
        parse_host_port(place)


def _no_worker(address: str) -> str:
    return f"a Dask scheduler must have a worker, but {address!r} has none; start one with: dask worker {address}"
