"""The file of a run: a `.npz` archive of arrays and one text, without pickle."""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.files import replacing

Arrays = dict[str, NDArray[Any]]

FORMAT = "nn-tuning run"
VERSION = 1

# What zipfile, NumPy and json raise for the many ways in which a file can be broken.
_DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, MemoryError),
    *(NotImplementedError, RuntimeError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error),
)


def write(path: str | os.PathLike[str], about: dict[str, Any], arrays: Arrays) -> None:
    """Write arrays, and what JSON can say about them, to `path`: whole or not at all, in the place of an older file.

    Raises OSError where it can't be written.
    """
    text = np.array(json.dumps({"format": FORMAT, "version": VERSION, **about}))
    with replacing(Path(path)) as partial, open(partial, "wb") as file:
        np.savez(file, about=text, **arrays)  # type: ignore[arg-type]


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """Return what `write` was given.

    Raises ValueError, in one line, for a file that is missing, truncated, foreign or of a newer version.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        about = json.loads(str(arrays.pop("about")))
        known, version = about["format"] == FORMAT, about["version"]
    except FileNotFoundError:
        raise ValueError(f"the path must be of a saved run, but there is nothing at {name!r}") from None
    except _DAMAGE as error:
        raise ValueError(f"{name!r} must be a run saved by Run.save, but is truncated or something else") from error
    if not known or not isinstance(version, int) or version > VERSION:
        raise ValueError(f"{name!r} must be a run in format {VERSION} or older, but is {about['format']} {version}")
    return about, arrays
