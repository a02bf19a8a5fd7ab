"""Machine code on disk must be that of the sources at hand, and not mixed up by two processes that write it."""

from __future__ import annotations

import ast
import fcntl
import inspect
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from numba.core.caching import IndexDataCacheFile

from nn import compiled, kernels, llvm, reference
from nn.llvm import elementary, products, registers
from nn.llvm.cache import guard
from tests.patience import PATIENCE


def a_cache(folder: Path) -> Any:
    """The cache of a compiled function as one process sees it."""
    file = IndexDataCacheFile(str(folder), "kernel", source_stamp=1)
    module = ModuleType("own")
    module.kernel = SimpleNamespace(_cache=SimpleNamespace(_cache_file=file), __module__="own")  # type: ignore[attr-defined]
    guard(module)
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


# A kernel that compiles in a second and takes something from each source, and a change of each that moves its result.
KERNEL = f"""
from {registers.__name__} import VECTOR_BYTES
@jit
def from_all_sources(x):
    return CHUNK + normal(x[0]) + 10 * sum_of(x) + 100 * VECTOR_BYTES + 100_000 * ADAM
"""
RUN = """
import numpy as np
from nn import compiled
function = compiled.kernels.from_all_sources
print(function(np.full(4, 0.5)), len(function.stats.cache_hits))
"""
CHANGES = [
    (kernels, "CHUNK += 1"),
    (elementary, "SCALED_ERFC = (0.5, *SCALED_ERFC[1:])"),
    (products, "sum_of = sum_of_squares"),
    (registers, "VECTOR_BYTES //= 2"),
    (reference, "ADAM += 1"),
    (llvm, "normal = exp"),
]


def test_a_change_of_any_source_is_compiled_and_nothing_is_compiled_without_one(tmp_path: Path) -> None:
    package = Path(inspect.getfile(compiled)).parent
    shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def append(module: ModuleType, text: str) -> None:
        with open(tmp_path / Path(inspect.getfile(module)).relative_to(package.parent), "a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")

    def result() -> tuple[float, bool]:
        line = [sys.executable, "-c", RUN]
        told = subprocess.run(line, check=True, env=environment, cwd=tmp_path, capture_output=True, text=True).stdout
        value, hits = told.split()
        return float(value), hits != "0"

    append(kernels, KERNEL)
    seen = [result()[0]]
    assert result() == (seen[0], True)
    for module, change in CHANGES:
        append(module, change)
        value, from_cache = result()
        assert not from_cache, f"{module.__name__} has changed"
        assert value not in seen, f"{module.__name__} has changed"
        seen.append(value)


def test_all_that_is_compiled_in_is_guarded() -> None:
    guarded = {module for module, _ in CHANGES}
    for module in guarded:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nn":
                assert sys.modules[str(node.module)] in guarded, f"{module.__name__} imports from {node.module}"
