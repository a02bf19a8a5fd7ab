"""Training from a memory-mapped file: the same bits as from memory, without loading the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Adam, Dataset, Run, batches, train
from nn.data import LazyRows, lazy
from tests.patience import PATIENCE

RNG = np.random.default_rng(11)
X = RNG.normal(3.0, 2.0, (1100, 6))
LABELS = (X[:, 0] * X[:, 1] > 9).astype(np.int64) + (X[:, 2] > 4)
VALUES = np.sin(X[:, :2]) * 40 + np.where(np.arange(1100) < 900, 0.0, 200.0)[:, None]

CASES: dict[str, dict[str, Any]] = {
    "shuffled": {"batch_size": 48},
    "in order": {"batch_size": 48, "shuffle": False},
    "replacement": {"batch_size": 48, "replacement": True},
    "full batch": {"batch_size": "full"},
    "indices": {"indices": RNG.integers(0, 600, (30, 17)), "epochs": 3},
    "weights": {"batch_size": 48, "class_weight": "balanced"},
    "dropout": {"batch_size": 48, "model": MLP((6, 9, 3), dropout=0.4)},
    "early stopping": {"batch_size": 48, "early_stopping": 1, "optimizer": SGD(0.5)},
    "callback": {"batch_size": 48, "callback": lambda shown: shown.step == 29, "every_steps": 1},
    "float64": {"batch_size": 48, "model": MLP((6, 9, 3), "tanh", dtype="float64"), "optimizer": Adam(0.01)},
    "regression": {"batch_size": 48, "model": MLP((6, 9, 2)), "y": VALUES, "optimizer": SGD(0.01, momentum=0.9)},
    # The first batch knows nothing of the large targets further down, which the bound of divergence is set by.
    "zero start": {"batch_size": 48, "model": MLP((6, 9, 2), init="zeros"), "y": VALUES, "shuffle": False},
    "divergence": {"batch_size": 48, "model": MLP((6, 9, 2)), "y": VALUES, "optimizer": SGD(3.0)},
}


def mapped(folder: Path, array: Any) -> np.memmap[Any, Any]:
    np.save(folder / "X.npy", array)
    result = np.load(folder / "X.npy", mmap_mode="r")
    assert isinstance(result, np.memmap)
    assert not result.flags.writeable
    return result


def assert_same(one: Run, other: Run) -> None:
    assert (one.status, one.reason, one.steps, one.epochs) == (other.status, other.reason, other.steps, other.epochs)
    for name, array in one.state.to_arrays().items():
        np.testing.assert_array_equal(array, other.state.to_arrays()[name], err_msg=name)
    np.testing.assert_equal(one.metrics, other.metrics)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_mapped_file_trains_to_the_same_bits(
    case: str, split: bool, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"model": MLP((6, 9, 3)), "y": LABELS, "optimizer": SGD(0.1), "epochs": 3, "record_steps": True}
    options |= CASES[case]
    if case == "early stopping" and not split:
        options["early_stopping"] = None
    model, y, optimizer = (options.pop(name) for name in ("model", "y", "optimizer"))
    rows = (X * (100 if dtype == "int16" else 1)).astype(dtype)
    task = "regression" if y is VALUES else "classification"
    memory, lazily = Dataset(rows, y, task), Dataset(mapped(tmp_path, rows), y, task)
    assert isinstance(lazily.X, LazyRows)
    assert isinstance(memory.X, np.ndarray)
    runs = []
    for data in (memory, lazily):
        monkeypatch.setattr(batches, "PIECE_BYTES", 3 * 48 * 6 * 8)
        runs.append(train(model, data.split(0.2, 0.2, seed=1) if split else data, optimizer, **options))
    assert_same(*runs)
    ends = {"divergence": "diverged", "callback": "stopped"}
    if case != "early stopping" and dtype != "int16":
        assert runs[0].status == ends.get(case, "completed")


def test_a_mapped_part_is_scored_and_predicted_as_one_in_memory(tmp_path: Path) -> None:
    memory = Dataset(X, LABELS).split(seed=0)
    lazily = Dataset(mapped(tmp_path, X), LABELS).split(seed=0)
    run = train(MLP((6, 9, 3), dtype="float64"), memory, epochs=2)
    assert lazily.test is not None
    assert memory.test is not None
    assert run.evaluate(lazily.test) == run.evaluate(memory.test)
    for rows in range(2, 60):
        one, other = (part.test.subset(range(rows)) for part in (memory, lazily))
        assert run.evaluate(one) == run.evaluate(other)
    np.testing.assert_array_equal(run.predict(lazily.test), run.predict(memory.test))
    np.testing.assert_array_equal(run.predict_proba(lazily.test), run.predict_proba(memory.test))


def test_a_large_part_is_scored_in_pieces_and_agrees_to_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, lazily = Dataset(X, LABELS), Dataset(mapped(tmp_path, X), LABELS)
    run = train(MLP((6, 9, 3)), memory, epochs=2)
    sizes = []
    take = LazyRows.take
    monkeypatch.setattr("nn._arrays.CHUNK_BYTES", 300 * 6 * 8)
    monkeypatch.setattr(lazy.LazyRows, "take", lambda self, rows: sizes.append(rows) or take(self, rows))
    assert run.evaluate(lazily)["loss"] == pytest.approx(run.evaluate(memory)["loss"], rel=1e-12)
    assert run.evaluate(lazily)["accuracy"] == pytest.approx(run.evaluate(memory)["accuracy"], rel=1e-12)
    assert len(sizes) >= 4


def test_no_more_than_a_piece_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Dataset(mapped(tmp_path, X), LABELS)
    monkeypatch.setattr(batches, "PIECE_BYTES", 2 * 20 * 6 * 4)
    read: list[int] = []
    take = LazyRows.take

    def counted(self: LazyRows, rows: Any) -> Any:
        result = take(self, rows)
        read.append(result.nbytes)
        return result

    monkeypatch.setattr(LazyRows, "take", counted)
    train(MLP((6, 4, 3)), data, batch_size=20, epochs=1)
    assert max(read) <= 2 * 20 * 6 * 4
    assert len(read) >= 1100 // 40


def test_the_trained_network_does_not_change_the_file(tmp_path: Path) -> None:
    data = Dataset(mapped(tmp_path, X), LABELS)
    before = (tmp_path / "X.npy").read_bytes()
    train(MLP((6, 4, 3)), data.split(seed=0), epochs=1)
    assert (tmp_path / "X.npy").read_bytes() == before


LARGE = """
import resource, sys
import numpy as np
from nn import MLP, SGD, Dataset, train

X = np.load(sys.argv[1], mmap_mode="r")
small = Dataset(np.ones((4, X.shape[1]), np.float32), [0, 1, 0, 1])
train(MLP((X.shape[1], 4, 2)), small, batch_size=2, epochs=1)  # everything is imported and compiled
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
used = int(status["VmData"].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + int(sys.argv[2]), used + int(sys.argv[2])))
if len(sys.argv) > 3:
    np.array(X)
order = np.random.default_rng(0).integers(0, len(X), (40, 256))
run = train(MLP((X.shape[1], 4, 2)), Dataset(X, np.arange(len(X)) % 2), SGD(0.01), indices=order)
print(run.status, run.steps, X.nbytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's limit on a process's own memory")
def test_a_file_larger_than_the_memory_allowed_is_trained_on(tmp_path: Path) -> None:
    """The limit is on private memory: the pages of the mapped file are the system's, to be taken back at any time."""
    rows, columns = 800_000_000 // (4 * 4096), 4096
    path = tmp_path / "large.npy"
    with open(path, "wb") as file:
        about = {"descr": "<f4", "fortran_order": False, "shape": (rows, columns)}
        np.lib.format.write_array_header_1_0(file, about)
        file.truncate(file.tell() + rows * columns * 4)  # a hole of zeros that takes no room on the disk
    command = [sys.executable, "-c", LARGE, str(path), str(200_000_000)]
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": PATIENCE, "env": environment}
    done = subprocess.run(command, **options, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["completed", "40", str(rows * columns * 4)]
    # The limit bites: loading the file fails under it.
    failed = subprocess.run([*command, "load"], **options, check=False)
    assert failed.returncode == 1
    assert "Unable to allocate" in failed.stderr
