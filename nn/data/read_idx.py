"""IDX, the format of MNIST: two zero bytes, a type, how many dimensions, their sizes, then the numbers.

All of it big-endian; the sizes are 4-byte whole numbers. http://yann.lecun.com/exdb/mnist describes it.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import one_of

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_PACKED = 1032
"""Deflate can't make more bytes than that out of one."""
MOST_UNPACKED = 1 << 32
"""No file is unpacked to more bytes than that."""
_PARTS = {"train": "train", "test": "t10k"}


def is_idx(path: Path) -> bool:
    """Return whether a file looks like IDX, plain or gzip, by its name or its first bytes."""
    if "ubyte" in path.name or ".idx" in path.name:
        return True
    with path.open("rb") as file:
        head = file.read(4)
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _DTYPES and 1 <= head[3] <= 8


def read_idx_folder(folder: Path, part: str = "all") -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
    """Read a folder with MNIST's file names: train-images-idx3-ubyte, t10k-labels-idx1-ubyte, plain or .gz.

    `part` is "train", "test" (the t10k files) or "all": the training images first, then the test images, or
    whichever of them are there.
    """
    one_of("part", part, ("all", *_PARTS))
    pairs = []
    for name, prefix in _PARTS.items():
        if part in ("all", name):
            images, labels = (_find(folder, f"{prefix}-{kind}") for kind in ("images-idx3", "labels-idx1"))
            if images and labels:
                pairs.append((images, labels))
            elif images or labels:
                there = "images" if images else "labels"
                raise ValueError(f"{folder} must have images and labels for {name}, but has only the {there}")
    if not pairs:
        what = "train or t10k" if part == "all" else _PARTS[part]
        raise ValueError(f"{folder} must have IDX files with MNIST's names for {what}, but has none")
    read = [read_idx_pair(images, labels) for images, labels in pairs]
    widths = sorted({X.shape[1] for X, _, _ in read})
    if len(widths) > 1:
        raise ValueError(f"{folder} must have images of one size, but has {widths} pixels; choose one part=")
    if len(read) == 1:
        return read[0]
    return np.concatenate([X for X, _, _ in read]), np.concatenate([y for _, y, _ in read]), {}


def read_idx_pair(path: Path, target: Any = None) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
    """Read images from one IDX file and labels from another, by default the one named alike with "labels".

    Images of unsigned bytes become float32 in [0, 1] (divided by 255), one row of pixels each; other types
    keep their values.
    """
    if target is None:
        stem = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
        labels = _find(path.parent, stem.removesuffix("-ubyte").replace(".idx1", "-idx1"))
        if labels is None or labels == path:
            raise ValueError(f"target must name the IDX file with the labels of {path}, but got None")
    else:
        labels = target_file(path, target, "an IDX")
    X, y = read_idx(path), read_idx(labels)
    if X.ndim < 2 or len(X) != len(y):
        raise ValueError(f"{path} must have one image for each label, but has shape {X.shape} for labels {y.shape}")
    rows = X.reshape(len(X), math.prod(X.shape[1:]))
    if X.dtype == np.uint8:
        rows = rows.astype(np.float32)
        rows /= np.float32(255)
    return rows, y, {}


def target_file(path: Path, target: Any, kind: str) -> Path:
    """Return the file with the targets of `path` that `target` names, here or in the folder of `path`."""
    for found in (Path(os.fspath(target)), path.parent / os.fspath(target)):
        if found.is_file():
            return found
    raise ValueError(f"target must name {kind} file, but there is none at {str(target)!r}")


def read_idx(path: Path) -> NDArray[Any]:
    """Return the array of an IDX file, plain or gzip, in the machine's byte order.

    Raises ValueError where the file is truncated, longer than it says, or something else.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.open(raw) as file:
                    return _read(file, path, min(MOST_UNPACKED, MOST_PACKED * path.stat().st_size))
            return _read(raw, path, path.stat().st_size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} must be a whole gzip file, but is truncated or damaged") from error


def _read(file: IO[bytes] | gzip.GzipFile, path: Path, most: int) -> NDArray[Any]:
    """Read one array; a header that promises more than `most` bytes, all the file can hold, is refused."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES or head[3] == 0:
        raise ValueError(f"{path} must start like an IDX file (0, 0, type, dimensions), but starts with {list(head)}")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise ValueError(f"{path} must have {head[3]} sizes in its IDX header, but is truncated there")
    shape = struct.unpack(f">{head[3]}I", sizes)
    dtype = np.dtype(_DTYPES[head[2]])
    size = math.prod(shape) * dtype.itemsize
    if not 0 < size <= most:
        raise ValueError(f"{path} must have {size:,} bytes as its IDX header says, but can only have 1 to {most:,}")
    content = file.read(size)
    if len(content) < size or file.read(1):
        more = "is longer" if len(content) == size else f"ends after {len(content):,}"
        raise ValueError(f"{path} must have {size:,} bytes of data as its IDX header says, but {more}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _find(folder: Path, stem: str) -> Path | None:
    """Return the file of an IDX name, in one of the spellings that are in use."""
    dotted = stem.replace("-idx", ".idx")
    for name in (f"{stem}-ubyte", f"{dotted}-ubyte", stem, dotted):
        for ending in ("", ".gz"):
            if (folder / (name + ending)).is_file():
                return folder / (name + ending)
    return None
