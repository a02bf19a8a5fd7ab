"""Files that are made of a study: written whole or not at all, and never in the place of a study."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from nn.files import local_path, replacing

_SQLITE = b"SQLite format 3\0"


@contextlib.contextmanager
def whole(path: str | os.PathLike[str], what: str = "output") -> Iterator[Path]:
    """Yield a file to write to, which then takes the place of `path`; folders are made.

    Raises ValueError, in which `what` is the file's name, where it can't be written, is a folder or a study file.

    >>> with whole("/") as file:
    ...     file.write_text("1,2")
    Traceback (most recent call last):
    ValueError: output must be a file, but '/' is a folder; name a file in it
    """
    target = local_path(what, path)
    try:
        if target.is_dir():
            raise ValueError(f"{what} must be a file, but {str(target)!r} is a folder; name a file in it")
        if _is_study(target):
            raise ValueError(
                f"{what} must not take the place of a study, but {str(target)!r} is one; name another file"
            )
        with replacing(target, make_folder=True) as partial:
            yield partial
    except OSError as error:
        raise ValueError(
            f"{what} must be a file that can be written, but {str(path)!r} can't: {error.strerror}"
        ) from None


def _is_study(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
