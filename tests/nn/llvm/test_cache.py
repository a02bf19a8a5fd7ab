"""What is compiled by two processes at the same time must not be mixed up on disk."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from numba.core.caching import IndexDataCacheFile

from nn import compiled
from nn.llvm.cache import save_one_at_a_time
from tests.patience import PATIENCE


def a_cache(folder: Path) -> Any:
    """The cache of a compiled function as one process sees it."""
    file = IndexDataCacheFile(str(folder), "kernel", source_stamp=1)
    module = ModuleType("own")
    module.kernel = SimpleNamespace(_cache=SimpleNamespace(_cache_file=file), __module__="own")  # type: ignore[attr-defined]
    save_one_at_a_time(module)
    return file


def test_an_entry_that_is_saved_while_another_is_neither_loses_nor_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = a_cache(tmp_path), a_cache(tmp_path)
    waits_or_ended = threading.Event()
    write_index, flock = mine._save_index, fcntl.flock

    def compete() -> None:
        other.save("float64", "code for float64")
        waits_or_ended.set()

    def locking(file: Any, operation: int) -> None:
        if threading.current_thread() is rival:
            waits_or_ended.set()
        flock(file, operation)

    def meanwhile(entries: Any) -> None:
        rival.start()
        assert waits_or_ended.wait(PATIENCE)
        write_index(entries)

    rival = threading.Thread(target=compete)
    monkeypatch.setattr(fcntl, "flock", locking)

    mine._save_index = meanwhile
    mine.save("float32", "code for float32")
    rival.join()
    fresh = a_cache(tmp_path)
    assert fresh.load("float32") == "code for float32"
    assert fresh.load("float64") == "code for float64"


def test_a_folder_where_nothing_can_be_written_is_left_to_numba(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):  # Numba warns of it and goes on
        a_cache(tmp_path / "nowhere").save("float32", "code")


def test_every_kernel_is_saved_so() -> None:
    for function in (compiled.kernels.train_steps, compiled.kernels.forward, compiled.products.transpose):
        assert function._cache._cache_file.save.__name__ == "save_alone"
