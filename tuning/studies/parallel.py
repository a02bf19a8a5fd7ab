"""Independent trainings side by side: the kernels release Python's lock, so threads are enough."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
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
