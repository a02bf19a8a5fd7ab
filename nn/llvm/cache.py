"""Numba's cache of compiled functions, made safe for sources that change and for processes that fill it together.

Numba stamps a cached function with the content of its own file alone. Machine code also holds what was inlined from
other files and the constants that were imported from them: after a change there, old code would run on.

Numba writes the index of the cache before the file that a new entry names, and takes no lock. Of two processes that
compile one function, each for another dtype, both may so claim the same file, and whoever reads the cache then runs
code for the wrong dtype, until somebody clears it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any


def guard(*modules: ModuleType) -> None:
    """Guard the cached functions of modules that are compiled into each other.

    Each function is stamped with the sources of all these modules, and no two processes save at the same time.
    """
    sources = b"".join(map(_source_hash, modules))
    for module in modules:
        for function in vars(module).values():
            file = getattr(getattr(function, "_cache", None), "_cache_file", None)
            if file is not None and getattr(function, "__module__", None) == module.__name__:
                file._source_stamp = (file._source_stamp, sources)
                file.save = _locked(file.save, os.path.join(file._cache_path, "nn.lock"))


def _source_hash(module: ModuleType) -> bytes:
    """The hash of a module's source, from a file or an archive.

    A frozen program has none. There Numba's own stamp, which is kept beside this one, is that of the whole program.
    """
    try:
        source = module.__spec__.loader.get_data(module.__file__)  # type: ignore[union-attr]
    except (AttributeError, OSError):
        return b""
    return hashlib.sha256(source).digest()


def _locked(save: Callable[[Any, Any], None], path: str) -> Callable[[Any, Any], None]:
    def save_alone(key: Any, data: Any) -> None:
        with open(path, "ab") as lock:  # what it may raise, saving would raise too
            fcntl.flock(lock, fcntl.LOCK_EX)
            save(key, data)

    return save_alone
