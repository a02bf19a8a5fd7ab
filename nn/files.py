"""Files that are written whole or not at all, and the file of a run: arrays and one text as `.npz`, without pickle."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

FORMAT = "nn-tuning run"
VERSION = 2
"""1 holds a run on arrays; 2 has runs on tables, and several in one file, too. What 1 can hold is written as 1."""

# What zipfile, NumPy and json raise for the many ways in which a file can be broken.
_DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, MemoryError),
    *(NotImplementedError, RuntimeError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error),
)


# Of two letters and more: one is a drive. `Path` makes one slash of several.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)


def local_path(name: str, path: str | os.PathLike[str]) -> Path:
    """Return a path of this machine's; `name` is what errors call it.

    Raises TypeError for what is no path, and ValueError for a URL, of which a folder would be made.

    >>> local_path("storage", "sqlite:///x.db")
    Traceback (most recent call last):
    ValueError: storage must be a path on this machine, but got the URL 'sqlite:///x.db'; write 'x.db'
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{name} must be a path, but got {type(path).__name__}")
    text = os.fspath(path)
    url = _URL.match(text)
    if url is not None:
        way_out = f"write {url[2]!r}" if url[1] in ("sqlite", "file") else "download it first, or name a local file"
        raise ValueError(f"{name} must be a path on this machine, but got the URL {text!r}; {way_out}")
    return Path(text)


@contextlib.contextmanager
def replacing(target: Path, make_folder: bool = False) -> Iterator[Path]:
    """Yield an empty file to write to, which takes the place of `target` when the block has ended well.

    It stands beside the target under a name that cannot be guessed, with the permissions of any new file, and is synced
    to the disk before it takes the target's name. After an error it is deleted, and `target` is as it was. A folder
    that is missing is made on request. Raises OSError where the folder or the target can't be written.

    >>> folder = getfixture("tmp_path")
    >>> with replacing(folder / "notes.txt") as file:
    ...     _ = file.write_text("two lines")
    >>> [path.name for path in folder.iterdir()]
    ['notes.txt']
    """
    partial = target.parent / f".{target.name}.{secrets.token_hex(8)}.part"
    if make_folder:
        target.parent.mkdir(parents=True, exist_ok=True)
    open(partial, "xb").close()
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_run(path: str | os.PathLike[str], about: dict[str, Any], arrays: Arrays, version: int) -> None:
    """Write arrays, and what JSON can say about them, to `path`: whole or not at all, in the place of an older file.

    Raises OSError where it can't be written.
    """
    text = np.array(json.dumps({"format": FORMAT, "version": version, **about}))
    with replacing(local_path("the path of a run", path)) as partial, open(partial, "wb") as file:
        np.savez(file, about=text, **arrays)  # type: ignore[arg-type]


def read_run(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """Return the description and the arrays that `write_run` was given.

    Raises ValueError, in one line, for a file that is missing, truncated, foreign or of a newer version.
    """
    name = str(local_path("the path of a run", path))
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
