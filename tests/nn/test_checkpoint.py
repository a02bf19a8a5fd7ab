"""Runs in files: everything comes back, a file appears whole or not at all, and nothing foreign gets in."""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn import MLP, SGD, Adam, Dataset, Run, load, load_dataset, train

RNG = np.random.default_rng(8)
X = RNG.normal(5, 3, (40, 3))
TARGETS: dict[str, tuple[Any, int]] = {
    "names": (np.array(["Füße", "b", "a long name of a class"])[RNG.integers(0, 3, 40)], 3),
    "bools": (RNG.random(40) > 0.5, 1),
    "whole numbers": (RNG.integers(-2, 2, 40), 4),
    "multilabel": (RNG.integers(0, 2, (40, 2)), 2),
    "one number": (RNG.normal(100, 9, 40), 1),
    "one column": (RNG.normal(100, 9, (40, 1)), 1),
    "two numbers": (RNG.normal(100, 9, (40, 2)), 2),
}


def a_run(case: str = "names", **options: Any) -> tuple[Run, Any]:
    y, outputs = TARGETS[case]
    data = Dataset(X, y, feature_names=["a", "b", "ç"])
    model = options.pop("model", MLP((3, 5, outputs), "tanh", dtype="float64"))
    split = data.split(0.25, 0, seed=1)
    return train(model, split, options.pop("optimizer", Adam(0.01)), batch_size=8, **{"epochs": 3, **options}), split


def assert_equal_runs(one: Run, other: Run) -> None:
    for name in ("model", "status", "reason", "diverged_step", "steps", "task", "class_names", "feature_names", "flat"):
        assert getattr(one, name) == getattr(other, name), name
        assert type(getattr(one, name)) is type(getattr(other, name)), name
    assert one.theta.dtype == other.theta.dtype
    np.testing.assert_array_equal(one.theta, other.theta)
    np.testing.assert_array_equal(one.classes, other.classes)
    assert (one.classes is None) == (other.classes is None)
    assert one.scaling is None or (other.scaling is not None and one.scaling.equals(other.scaling))
    courses = [vars(run.history) | {"layers": vars(run.history.layers)} for run in (one, other)]
    np.testing.assert_equal(*courses)
    np.testing.assert_equal(one.metrics, other.metrics)
    for name, array in one.state.to_arrays().items():
        np.testing.assert_array_equal(array, other.state.to_arrays()[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", TARGETS)
def test_a_run_comes_back_as_it_was(case: str, dtype: str, tmp_path: Path) -> None:
    model = MLP((3, 5, TARGETS[case][1]), "gelu", dtype=dtype, std=(None, 0.1), multipliers=(1.0, 0.3), l2=1e-3)
    run, split = a_run(case, model=model, record_steps=True, early_stopping=2)
    run.save(tmp_path / "run.npz")
    again = load(tmp_path / "run.npz")
    assert_equal_runs(run, again)
    np.testing.assert_array_equal(again.predict(X), run.predict(X))
    assert again.predict(X).dtype == run.predict(X).dtype
    assert again.evaluate(split.validation) == run.evaluate(split.validation)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": SGD(1e6), "divergence_factor": 2.0},
        {"divergence_factor": float("inf")},
        {"target": {"train_loss": 100.0}},
        {"callback": lambda shown: True, "every_steps": 2},
        {"seed": 2**63 - 1},
        {"schedule": np.full(12, 0.01)},
        {"model": MLP((3, 8, 8, 3), parametrisation="mup", base_width=4, bias=False, dropout=0.2)},
    ],
)
def test_a_run_comes_back_however_it_ended(options: dict[str, Any], tmp_path: Path) -> None:
    run, _ = a_run(**options)
    run.save(tmp_path / "run.npz")
    assert_equal_runs(run, load(tmp_path / "run.npz"))


def test_a_run_on_plain_data_comes_back(tmp_path: Path) -> None:
    run = train(MLP((4, 3)), load_dataset("iris"), epochs=1)
    run.save(str(tmp_path / "run.npz"))
    again = load(str(tmp_path / "run.npz"))
    assert_equal_runs(run, again)
    assert again.scaling is None


def test_a_file_can_be_saved_again_as_it_is(tmp_path: Path) -> None:
    run, _ = a_run()
    run.save(tmp_path / "one.npz")
    load(tmp_path / "one.npz").save(tmp_path / "two.npz")
    assert_equal_runs(run, load(tmp_path / "two.npz"))


def test_a_file_holds_no_pickle(tmp_path: Path) -> None:
    for case in TARGETS:
        a_run(case)[0].save(tmp_path / "run.npz")
        with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
            assert all(file[name].dtype.kind in "fiubU" for name in file.files)


def test_a_file_is_readable_as_other_files_are(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    a_run()[0].save(tmp_path / "run.npz")
    assert stat.S_IMODE((tmp_path / "run.npz").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_file_keeps_the_name_that_it_was_given(tmp_path: Path) -> None:
    run, _ = a_run()
    for name in ("run", "run.best", "läufe 1.npz"):
        run.save(tmp_path / name)
        assert_equal_runs(run, load(tmp_path / name))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["läufe 1.npz", "run", "run.best"]


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = a_run()
    run.save(tmp_path / "run.npz")
    before = (tmp_path / "run.npz").read_bytes()

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"PK half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left on device"):
        a_run("two numbers")[0].save(tmp_path / "run.npz")
    assert (tmp_path / "run.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_a_path_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    run, _ = a_run()
    (tmp_path / "file").write_text("here first")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("kept")
    for path in (tmp_path / "none" / "run.npz", tmp_path / "file" / "run.npz", tmp_path / "folder", ""):
        with pytest.raises(OSError, match=r".") as seen:
            run.save(path)
        assert "\n" not in str(seen.value)
    if os.name == "posix" and Path("/proc/self").exists():
        with pytest.raises(OSError, match=r"."):
            run.save("/proc/self/run.npz")
    for wrong in (3, None):
        with pytest.raises(TypeError):
            run.save(wrong)  # type: ignore[arg-type]
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["file", "folder", "folder/inside"]


# -- what load refuses -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "run.npz"
    a_run(record_steps=True)[0].save(path)
    return path.read_bytes()


def one_line(error: Exception) -> None:
    assert "\n" not in str(error), str(error)


def assert_refused(path: Path | str, what: str = "must be") -> None:
    with pytest.raises(ValueError, match=what) as seen:
        load(path)
    message = str(seen.value)
    assert "\n" not in message
    assert len(message) < 600  # all names of metrics fit in


def test_every_prefix_of_a_file_is_refused(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    lengths = {*range(80), *range(len(whole) - 120, len(whole)), *range(0, len(whole), 97)}
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        assert_refused(path)


@settings(max_examples=150)
@given(st.data())
def test_a_file_with_other_bytes_is_refused_or_is_a_run(whole: bytes, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.one_of(st.integers(0, len(content) - 1), st.integers(len(content) - 1500, len(content) - 1)))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "changed.npz"
    path.write_bytes(content)
    try:
        run = load(path)
    except ValueError as error:
        one_line(error)
    else:
        assert isinstance(run, Run)
        assert run.theta.shape == (run.model.size,)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"\x93NUMPY", b"a,b\n1,2\n", b"{}", bytes(5000), b"PK\x05\x06" + bytes(18)]
)
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.npz"
    path.write_bytes(content)
    assert_refused(path)


def test_other_archives_and_folders_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", X=np.zeros(3), about=np.array("{}"))
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", about=np.array([{"format": 1}], dtype=object))
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("about.npy", "not an array")
    for name in ("arrays.npz", "array.npy", "objects.npz", "text.npz", "."):
        assert_refused(tmp_path / name)
    assert_refused(tmp_path / "missing.npz", "the path must be of a saved run, but there is nothing at")
    assert_refused("missing.npz", "the path must be of a saved run, but there is nothing at")


def rewritten(whole: bytes, path: Path, about: dict[str, Any] | None = None, **arrays: Any) -> Path:
    with np.load(io.BytesIO(whole)) as file:
        parts = {name: file[name] for name in file.files}
    parts["about"] = np.array(json.dumps({**json.loads(str(parts["about"])), **(about or {})}))
    parts |= arrays
    np.savez(path, **{name: value for name, value in parts.items() if value is not None})
    return path


@pytest.mark.parametrize(
    "about",
    [
        {"format": "another"},
        {"version": 3},
        {"version": "1"},
        {"model": None},
        {"model": {}},
        {"model": {"layer_sizes": [3, 0]}},
        {"model": {"layer_sizes": [3, 4, 3]}},
        {"model": {"layer_sizes": [3, 5, 3], "activation": "rellu"}},
        {"class_names": 3},
    ],
)
def test_another_format_or_description_is_refused(about: dict[str, Any], whole: bytes, tmp_path: Path) -> None:
    assert_refused(rewritten(whole, tmp_path / "run.npz", about))


@pytest.mark.parametrize(
    "arrays",
    [
        {"theta": None},
        {"theta": np.zeros(3)},
        {"theta": np.zeros(38, np.float16)},
        {"history.train_loss": None},
        {"history.unknown": np.zeros(3)},
        {"state.state": np.array("{")},
        {"state.totals": None},
        {"state.theta": None},
        {"scaling.mean": None},
        {"scaling.unknown": np.zeros(3)},
    ],
)
def test_a_part_that_is_missing_or_damaged_is_refused(arrays: dict[str, Any], whole: bytes, tmp_path: Path) -> None:
    rewritten(whole, tmp_path / "good.npz")
    load(tmp_path / "good.npz")
    assert_refused(rewritten(whole, tmp_path / "run.npz", **arrays))


@pytest.mark.parametrize("path", [3, None, 2.5, ["a"]])
def test_a_path_is_a_path(path: Any) -> None:
    with pytest.raises(TypeError) as seen:
        load(path)
    assert "\n" not in str(seen.value)
