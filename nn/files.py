"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(target: Path, make_folder: bool = False) -> Iterator[Path]:
    """Yield an empty file to write to, which takes the place of `target` when the block has ended well.

    Parameters
    ----------
    target : Path
        The file to make or replace. It gets the permissions that any new file gets.
    make_folder : bool
        Whether a folder that is missing is made; otherwise that is an error.

    Yields
    ------
    Path
        A file beside the target whose name cannot be guessed. It is synced to the disk before it takes the target's
        name; after an error it is deleted, and `target` is as it was.

    Raises
    ------
    OSError
        Where the folder or the target can't be written.

    Examples
    --------
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
