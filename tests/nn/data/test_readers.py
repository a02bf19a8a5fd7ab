"""Files and generators: what is read is what was written, and nothing but one clear ValueError comes of the rest."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.data import layout, load_dataset, read_idx, readers

CSV = "width,height,kind\n1.5,2,cat\n3,4,dog\n5,6e1,cat\n"


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def idx(array: np.ndarray) -> bytes:
    """The IDX bytes of an array of unsigned bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3) * 8
LABELS = np.array([3, 7, 3, 7, 3], dtype=np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read_with_its_names(tmp_path: Path, save: Callable[..., None]) -> None:
    X = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    y = np.array(["a", "b"] * 3)
    save(tmp_path / "a.npz", X=np.asfortranarray(X), y=y, other=y, feature_names=np.array(["u", "v"]))
    data = load_dataset(tmp_path / "a.npz")
    assert np.array_equal(data.X, X)
    assert data.X.dtype == np.float32
    assert data.feature_names == ("u", "v")
    assert load_dataset(str(tmp_path / "a.npz"), target="other").fingerprint == data.fingerprint
    with pytest.raises(ValueError, match="arrays X and z, but holds X, feature_names, other, y"):
        load_dataset(tmp_path / "a.npz", target="z")


def test_npz_never_loads_objects(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("code from a file was run",))

    np.savez(tmp_path / "a.npz", X=np.array([[Trap()], [Trap()]]), y=np.array([0, 1]), allow_pickle=True)
    with pytest.raises(ValueError, match="never loaded"):
        load_dataset(tmp_path / "a.npz")
    np.save(tmp_path / "X.npy", np.array([[Trap()], [Trap()]]), allow_pickle=True)
    with pytest.raises(ValueError, match="never loaded"):
        load_dataset(tmp_path / "X.npy", target="X.npy")


def npy_header(shape: str, descr: str = "<f8") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "shape", ["(10**5, 10**7)", "(1000000000000, 8)", "(-1, 8)", "(True, 2)", "(2, 1.5)", "(0, 2)"]
)
def test_sizes_in_headers_are_not_believed(tmp_path: Path, shape: str) -> None:
    content = npy_header(shape) + bytes(64)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", content)
        archive.writestr("y.npy", content)
    (tmp_path / "X.npy").write_bytes(content)
    for path, target in ((tmp_path / "a.npz", None), (tmp_path / "X.npy", "X.npy")):
        with pytest.raises(ValueError, match=path.name) as caught:
            load_dataset(path, target=target)
        assert "\n" not in str(caught.value)


def test_packed_files_that_blow_up_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((2000, 4)), y=np.arange(2000) % 2)
    zeros = np.zeros((2000, 4, 4), np.uint8)
    written(tmp_path / "t10k-images-idx3-ubyte.gz", gzip.compress(idx(zeros), mtime=0))
    written(tmp_path / "t10k-labels-idx1-ubyte.gz", gzip.compress(idx(zeros[:, 0, 0]), mtime=0))
    written(tmp_path / "a.csv.gz", gzip.compress(b"a,b\n" + b"1,0\n1,1\n" * 2000, mtime=0))
    monkeypatch.setattr(readers, "MOST_UNPACKED", 10_000)
    monkeypatch.setattr(read_idx, "MOST_UNPACKED", 10_000)
    monkeypatch.setattr(layout, "_MOST_UNPACKED", 10_000)
    for path, message in (
        (tmp_path / "a.npz", "can't hold"),
        (tmp_path, "can only have"),
        (tmp_path / "a.csv.gz", "unpacks to more"),
    ):
        with pytest.raises(ValueError, match=message):
            load_dataset(path)


def test_npy_needs_its_targets(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((4, 2)))
    for target in (None, "nothing.npy"):
        with pytest.raises(ValueError, match="target must name"):
            load_dataset(tmp_path / "X.npy", target=target)
    np.save(tmp_path / "y.npy", [0, 1, 0])
    with pytest.raises(ValueError, match=r"X\.npy: X and y must have the same length"):
        load_dataset(tmp_path / "X.npy", target="y.npy")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_idx_folder_gives_pixels_between_0_and_1(tmp_path: Path, packed: bool, dotted: bool) -> None:
    for prefix, rows in (("train", slice(0, 3)), ("t10k", slice(3, 5))):
        for name, array in (("images-idx3", IMAGES[rows]), ("labels-idx1", LABELS[rows])):
            content = idx(array)
            name = name.replace("-idx", ".idx") if dotted else name
            path = tmp_path / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}"
            written(path, gzip.compress(content, mtime=0) if packed else content)
    data = load_dataset(tmp_path)
    assert data.X.dtype == np.float32
    assert data.X.shape == (5, 6)
    assert np.array_equal(data.X, IMAGES.reshape(5, 6).astype(np.float32) / np.float32(255))
    assert data.y.tolist() == LABELS.tolist()
    assert len(load_dataset(tmp_path, part="train")) == 3
    assert len(load_dataset(tmp_path, part="test")) == 2
    one = tmp_path / f"train-images{'.' if dotted else '-'}idx3-ubyte{'.gz' if packed else ''}"
    assert load_dataset(one).fingerprint == load_dataset(tmp_path, part="train").fingerprint
    with pytest.raises(ValueError, match="did you mean 'train'"):
        load_dataset(tmp_path, part="trian")


def test_idx_images_take_labels_by_name_or_by_target(tmp_path: Path) -> None:
    images = written(tmp_path / "mine.bin", idx(IMAGES))
    written(tmp_path / "tags.bin", idx(LABELS))
    assert load_dataset(images, target="tags.bin").y.tolist() == LABELS.tolist()
    for target in (None, "none.bin"):
        with pytest.raises(ValueError, match="target must name"):
            load_dataset(images, target=target)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (idx(IMAGES)[:-1], "30 bytes|30"),
        (idx(IMAGES) + b"x", "is longer"),
        (idx(IMAGES)[:9], "truncated there"),
        (idx(IMAGES[:4]), "one image for each label"),
        (b"\x89PNG\r\n", "start like an IDX file"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "bytes as its IDX header says"),
        (gzip.compress(bytes([0, 0, 8, 3]) + b"\xff" * 12, mtime=0), "bytes as its IDX header says"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-9], "whole gzip file"),
        (gzip.compress(idx(IMAGES)[:-1], mtime=0), "ends after 29"),
        (gzip.compress(idx(IMAGES) + bytes(1), mtime=0), "is longer"),
        (b"", "start like an IDX file"),
    ],
)
def test_bad_idx_is_one_clear_error(tmp_path: Path, images: bytes, message: str) -> None:
    written(tmp_path / "t10k-images-idx3-ubyte", images)
    written(tmp_path / "t10k-labels-idx1-ubyte", idx(LABELS))
    with pytest.raises(ValueError, match=message) as caught:
        load_dataset(tmp_path)
    assert "\n" not in str(caught.value)
    assert "t10k-images" in str(caught.value)


def test_folders_that_lack_something_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train or t10k, but has none"):
        load_dataset(tmp_path)
    written(tmp_path / "train-labels-idx1-ubyte", idx(LABELS))
    with pytest.raises(ValueError, match="has only the labels"):
        load_dataset(tmp_path)
    with pytest.raises(ValueError, match=r"must be a .csv, .tsv, .*IDX file"):
        load_dataset(written(tmp_path / "notes.doc", "hello"))


SEEDS = [
    CSV.encode(),
    gzip.compress(CSV.encode(), mtime=0),
    idx(IMAGES),
    gzip.compress(idx(IMAGES), mtime=0),
    npy_header("(2, 2)") + bytes(32),
]
buffer = io.BytesIO()
np.savez_compressed(buffer, X=np.zeros((4, 2)), y=np.array([0, 1, 0, 1]))
SEEDS.append(buffer.getvalue())


@settings(max_examples=250)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.tuples(st.sampled_from(SEEDS), st.integers(0, 400), st.binary(max_size=6)).map(
            lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + len(t[2]) :]
        ),
        st.tuples(st.sampled_from(SEEDS), st.integers(0, 400)).map(lambda t: t[0][: t[1]]),
    ),
    st.sampled_from(["a.csv", "a.csv.gz", "a.npz", "a.npy", "a-idx3-ubyte", "a-idx3-ubyte.gz", "a.bin"]),
)
def test_any_bytes_give_a_dataset_or_one_value_error(tmp_path: Path, content: bytes, name: str) -> None:
    path = written(tmp_path / name, content)
    target = None if name.startswith(("a.csv", "a.npz")) else name
    problem, data = "", None
    try:
        data = load_dataset(path, target=target)
    except ValueError as error:
        problem = str(error)
    if data is None:
        assert name in problem
        assert "\n" not in problem
    else:
        assert np.isfinite(data.X).all()


@pytest.mark.parametrize("name", ["spirals", "moons", "circles", "xor", "sine"])
def test_generators_depend_on_their_seed_alone(name: str) -> None:
    data = load_dataset(name, n=101, seed=4)
    assert len(data) == 101
    assert data.fingerprint == load_dataset(name, n=101, seed=4).fingerprint
    assert data.fingerprint != load_dataset(name, n=101, seed=5).fingerprint
    if data.classes is not None:
        counts = np.bincount(data.targets)
        assert np.ptp(counts) <= 1


def test_generators_without_noise_obey_their_equations() -> None:
    x, y = (a for a in (load_dataset("sine", noise=0, periods=2).X, load_dataset("sine", noise=0, periods=2).y))
    assert np.allclose(y, np.sin(2 * np.pi * x[:, 0]))
    rings = load_dataset("circles", noise=0, factor=0.3)
    assert np.allclose(np.linalg.norm(rings.X, axis=1), np.where(rings.y == 1, 0.3, 1.0))
    square = load_dataset("xor", noise=0)
    assert np.array_equal(np.prod(square.X, axis=1) < 0, square.y == 1)
    arms = load_dataset("spirals", noise=0, classes=3, turns=1)
    radius = np.linalg.norm(arms.X, axis=1)
    expected = 2 * np.pi * ((radius - 0.2) / 2 + arms.y / 3)
    assert np.allclose(np.cos(np.arctan2(arms.X[:, 1], arms.X[:, 0]) - expected), 1)
    moons = load_dataset("moons", noise=0)
    centre = np.where(moons.y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    assert np.allclose(np.linalg.norm(moons.X - centre, axis=1), 1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("moons", {"n": 1}, "n must be"),
        ("moons", {"noise": -1}, "noise must be"),
        ("moons", {"noise": float("nan")}, "noise must be"),
        ("moons", {"seed": -1}, "seed must be"),
        ("moons", {"clases": 3}, "option of 'moons' must be one of n, noise, seed"),
        ("spirals", {"classes": 1}, "classes must be"),
        ("spirals", {"clases": 3}, "did you mean 'classes'"),
        ("circles", {"factor": 1}, "factor must be"),
        ("sine", {"periods": 0}, "periods must be"),
    ],
)
def test_options_of_generators_are_checked(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset(name, **options)
