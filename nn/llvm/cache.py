"""Numba's cache of compiled functions, made safe for processes that fill it at the same time.

Numba writes the index of the cache before the file that a new entry names, and takes no lock. Of two processes that
compile one function, each for another dtype, both may so claim the same file, and whoever reads the cache then runs
code for the wrong dtype, until somebody clears it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any


def save_one_at_a_time(module: ModuleType) -> None:
    """Let no two processes save a compiled function of this module at the same time."""
    for function in vars(module).values():
        file = getattr(getattr(function, "_cache", None), "_cache_file", None)
        if file is not None and getattr(function, "__module__", None) == module.__name__:
            file.save = _locked(file.save, os.path.join(file._cache_path, "nn.lock"))


def _locked(save: Callable[[Any, Any], None], path: str) -> Callable[[Any, Any], None]:
    def save_alone(key: Any, data: Any) -> None:
        with open(path, "ab") as lock:  # what it may raise, saving would raise too
            fcntl.flock(lock, fcntl.LOCK_EX)
            save(key, data)

    return save_alone
