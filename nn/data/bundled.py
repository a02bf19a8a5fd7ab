"""The real data sets that travel with the project; each file is checked by its SHA-256 before it is read."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHECKSUMS: dict[str, str] = {
    "digits": "07a9ad147ccf1820242afced4f473bae15c49e56cfc773c6d7b2b8c8d714b303",
    "iris": "599e6c55a3ba0c7f63dcc4d9b3710ff1969456e7ada04a4375f67aebba570136",
    "wine": "93b9c7a2c2ead0359f8017e2859a91bbe2d209513151d763d0fb518236644d21",
    "breast_cancer": "ffe146b02357457f1fcb998baada801e1b61b1d6f47fd211186686b1c6b31fb6",
    "diabetes": "a21bd422da44b06af4118348f31116d4e36eb4d49f931fe42878d03e11dd9b18",
}
"""SHA-256 of every file `<name>.npz`, as written by scripts/records/export_datasets.py."""


def folders() -> tuple[Path, Path]:
    """Return the folders where the files may be: inside the installed package, or beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    return package / "datasets", package.parent / "datasets"


def read_bundled(name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a bundled set: X, y, feature_names, and class_names or target_names.

    Raises ValueError when the file is missing or is not, byte for byte, the one that was published.
    """
    places = [folder / f"{name}.npz" for folder in folders()]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ValueError(f"{name}.npz must be in {places[0].parent}, but is missing; install nn-tuning again")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != CHECKSUMS[name]:
        raise ValueError(
            f"{path} must have SHA-256 {CHECKSUMS[name][:12]}…, but has {found[:12]}…, so it is damaged; "
            "install nn-tuning again"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            Path(member).stem: np.lib.format.read_array(io.BytesIO(archive.read(member)), allow_pickle=False)
            for member in archive.namelist()
        }
