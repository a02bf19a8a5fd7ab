"""Independent trainings side by side, each with a seed of its own; on a terminal a bar tells how far they are.

The kernels release Python's lock, so threads are enough for most. Trainings so short that most of their time is
Python's go to processes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def seeds_of(seed: int, starts: int) -> range:
    """Return the seeds of so many starts; those of another `seed` are all others."""
    return range(seed * starts, (seed + 1) * starts)


def with_bar(items: Iterable[Item], words: str, total: int | None = None) -> Iterable[Item]:
    """Return the items, which show a bar with these words while they are gone through, where stderr is a terminal."""
    return tqdm(items, words, total, leave=False, disable=None)


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item], words: str) -> list[Result]:
    """Return `function` of each item in their order, with a bar; there are as many threads as cores.

    An exception, or Ctrl-C, cancels what has not begun.
    """
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        futures = [pool.submit(function, item) for item in items]
        return list(with_bar((future.result() for future in futures), words, len(futures)))
    finally:
        pool.shutdown(cancel_futures=True)


def grid_in_threads(function: Callable[..., Any], *axes: Sequence[Any] | NDArray[Any], words: str) -> NDArray[Any]:
    """Return `function` of every combination of values, one from each axis, as `map_in_threads` does.

    The array has a dimension for each axis, in their order, and then those of the results.

    >>> grid_in_threads(lambda a, b: (a + b, a * b), [1, 2], [3, 4, 5], words="sums and products").shape
    (2, 3, 2)
    """
    found = np.array(map_in_threads(lambda values: function(*values), list(product(*axes)), words))
    return found.reshape(*map(len, axes), *found.shape[1:])


def processes(workers: int | None = None) -> Pool:
    """Return a pool of processes, by default one for each core, to be used in a `with` statement, whose end ends them.

    They start anew and not as forks, which would copy locks that threads hold; Ctrl-C is left to the main process.
    """
    return get_context("spawn").Pool(workers or os.cpu_count() or 1, signal.signal, (signal.SIGINT, signal.SIG_IGN))


def map_in_processes(
    pool: Pool | None, function: Callable[[Item], Result], items: Sequence[Item], words: str
) -> list[Result]:
    """Return `function` of each item in their order, with a bar; without a pool, one after another in this process.

    For a pool, the function and the items must be picklable.
    """
    results = pool.imap(function, items) if pool else map(function, items)
    return list(with_bar(results, words, len(items)))
