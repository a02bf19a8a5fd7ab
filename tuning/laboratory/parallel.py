"""Independent trainings side by side: the kernels release Python's lock, so threads are enough for most.

Trainings so short that most of their time is Python's go to processes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], progress: str | None = None, workers: int | None = None
) -> list[Result]:
    """Return `function` of each item in their order, whatever the number of workers, by default one for each core.

    `progress` is the text of a progress bar; without it there is none. An exception, or Ctrl-C, cancels what has not
    begun.
    """
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        futures = [pool.submit(function, item) for item in items]
        # Closed whatever happens, so that what is printed next begins a line.
        with tqdm(futures, desc=progress, leave=False, disable=progress is None) as bar:
            return [future.result() for future in bar]
    finally:
        pool.shutdown(cancel_futures=True)


def processes(workers: int | None = None) -> Pool:
    """Return a pool of processes, by default one for each core, to be used in a `with` statement, whose end ends them.

    They start anew and not as forks, which would copy locks that threads hold; Ctrl-C is left to the main process.
    """
    return get_context("spawn").Pool(workers or os.cpu_count() or 1, signal.signal, (signal.SIGINT, signal.SIG_IGN))


def map_in_processes(
    pool: Pool, function: Callable[[Item], Result], items: Sequence[Item], progress: str | None = None
) -> list[Result]:
    """Return `function` of each item in their order, as `map_in_threads` does; it and the items must be picklable."""
    with tqdm(total=len(items), desc=progress, leave=False, disable=progress is None) as bar:
        results = []
        for result in pool.imap(function, items):
            results.append(result)
            bar.update()
        return results
