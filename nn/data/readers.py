"""Read features and targets from NPZ, NPY and IDX files.

Nothing in a file is ever run, and no size that a file claims is believed before it is held against the file.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import known_options
from nn.data.read_idx import MOST_PACKED, MOST_UNPACKED, is_idx, read_idx_folder, read_idx_pair, target_file

Read = tuple[Any, Any, dict[str, Any]]
"""Features, targets, and the names that the file has for them."""

MAP_BYTES = 1 << 28
"""A .npy file of features from this size on (256 MB) is memory-mapped, unless `mapped` says otherwise."""


def read_path(path: Path, target: Any, options: dict[str, Any]) -> Read:
    """Read a file or folder by its name (IDX also by its first bytes), with the options of its format."""
    name = path.name.lower()
    shown = str(path)
    try:
        if path.is_dir():
            known_options(shown, options, ("part",))
            if target is not None:
                raise ValueError(f"target must be None for a folder of IDX files, but got {target!r}")
            return read_idx_folder(path, **options)
        if name.endswith(".npz"):
            known_options(shown, options, ())
            return read_npz(path, target)
        if name.endswith(".npy"):
            known_options(shown, options, ("mapped",))
            return read_npy_pair(path, target, **options)
        if is_idx(path):
            known_options(shown, options, ())
            return read_idx_pair(path, target)
    except OSError as error:
        raise ValueError(f"{shown} must be readable, but is not: {error.strerror or error}") from error
    raise ValueError(
        f"{shown} must be a .csv, .tsv, .txt, .data, .parquet, .npz, .npy or IDX file, or a folder of IDX files, "
        "but is none of them"
    )


def read_npz(path: Path, target: Any = None) -> Read:
    """Read the arrays X and y (or the one that `target` names) of an .npz archive.

    The arrays feature_names, target_names and class_names are read too if they are there.
    """
    wanted = "y" if target is None else str(target)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path} must be an .npz archive, but is truncated or of another kind") from error
    with archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        missing = [key for key in ("X", wanted) if key not in members]
        if missing:
            held = ", ".join(sorted(members)[:10]) or "nothing"
            raise ValueError(
                f"{path} must have the arrays X and {wanted}, but holds {held}; name the targets by target="
            )
        names = [key for key in ("feature_names", "target_names", "class_names") if key in members]
        arrays = {key: _member(archive, members[key], f"{path}: {key}") for key in ("X", wanted, *names)}
    return arrays["X"], arrays[wanted], {key: arrays[key] for key in names}


def read_npy_pair(path: Path, target: Any = None, mapped: bool | None = None) -> Read:
    """Read features from one .npy file and targets from another, `target`; a path beside `path` will do.

    With `mapped` the features stay in the file and are read in pieces; None means from 256 MB on.
    """
    if target is None:
        raise ValueError(f"target must name the .npy file with the targets of {path}, but got None")
    beside = target_file(path, target, "a .npy")
    if mapped is None:
        mapped = path.stat().st_size >= MAP_BYTES
    X = map_npy(path)
    y = map_npy(beside)
    return X if mapped else np.array(X, subok=False), np.array(y, subok=False), {}


def map_npy(path: Path) -> NDArray[Any]:
    """Return the array of an .npy file, memory-mapped for reading."""
    with path.open("rb") as file:
        shape, fortran, dtype = _npy_header(file, str(path))
        start = file.tell()
    size, there = math.prod(shape) * dtype.itemsize, path.stat().st_size - start
    if size != there or size == 0:
        raise ValueError(f"{path} must have {size:,} bytes of data after its header, but has {there:,}: it is damaged")
    return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order="F" if fortran else "C")


def _npy_header(file: IO[bytes], shown: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"unknown version {version}")
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # the header is a Python literal: a foreign one fails in many ways
        raise ValueError(
            f"{shown} must be a NumPy array file, but has no valid header: truncated or foreign"
        ) from error
    if dtype.hasobject:
        raise ValueError(f"{shown} must hold numbers or strings, but holds Python objects, which are never loaded")
    if any(not isinstance(length, int) or isinstance(length, bool) or length < 0 for length in shape):
        raise ValueError(f"{shown} must have a shape of whole numbers, but its header says {shape}")
    return shape, fortran, dtype


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, shown: str) -> NDArray[Any]:
    try:
        with archive.open(entry) as file:
            shape, fortran, dtype = _npy_header(file, shown)
            size = math.prod(shape) * dtype.itemsize
            packed = entry.compress_type != zipfile.ZIP_STORED
            most = min(MOST_UNPACKED, MOST_PACKED * (entry.compress_size + 64)) if packed else entry.compress_size
            if not 0 < size <= most:
                raise ValueError(f"{shown} must have the {size:,} bytes that its header says, but can't hold them")
            content = file.read(size + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, OverflowError) as error:
        raise ValueError(f"{shown} must be readable, but is damaged, locked or packed in an unknown way") from error
    except Exception as error:
        if isinstance(error, ValueError | MemoryError):
            raise
        raise ValueError(f"{shown} must be readable, but its packed data are damaged") from error
    if len(content) != size:
        raise ValueError(f"{shown} must have {size:,} bytes of data, but has {len(content):,} or more: it is damaged")
    return np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
