"""Write the bundled data sets from scikit-learn's copies, or check that the files equal them.

    python scripts/records/export_datasets.py            writes datasets/<name>.npz and prints their SHA-256
    python scripts/records/export_datasets.py --check    compares every number; exit status 1 if one differs

The files are .npz archives, not compressed: they are small, load in a millisecond, keep every number exactly, and their
bytes (and so the checksum) depend on no version of a compression library. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ("digits", "iris", "wine", "breast_cancer", "diabetes")
FOLDER = Path(__file__).resolve().parents[2] / "datasets"


def arrays_of(name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of scikit-learn's copy, in the smallest dtype that keeps every number."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    X = np.ascontiguousarray(bunch.data, dtype="<f8")
    small = X.astype(np.uint8)
    arrays: dict[str, NDArray[Any]] = {"X": small if np.array_equal(small, X) else X}
    if name == "diabetes":
        arrays["y"] = np.ascontiguousarray(bunch.target, dtype="<f8")
        arrays["target_names"] = np.array(["disease_progression"], dtype="<U")
    else:
        arrays["y"] = np.ascontiguousarray(bunch.target, dtype="<i8")
        arrays["class_names"] = np.array([str(label) for label in bunch.target_names], dtype="<U")
    arrays["feature_names"] = np.array([str(feature) for feature in bunch.feature_names], dtype="<U")
    return arrays


def packed(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return the .npz archive of `arrays`, the same bytes on every machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, member.getvalue())
    return buffer.getvalue()


def differences(folder: Path) -> list[str]:
    """Return one line for every file in `folder` that is not exactly scikit-learn's data."""
    lines = []
    for name in NAMES:
        path = folder / f"{name}.npz"
        if not path.is_file():
            lines.append(f"{path}: missing")
            continue
        with np.load(path, allow_pickle=False) as stored:
            for key, expected in arrays_of(name).items():
                if key not in stored.files or not np.array_equal(stored[key], expected):
                    lines.append(f"{path}: {key} differs from scikit-learn's")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description="Export the bundled data sets from scikit-learn's copies.")
    parser.add_argument("--check", action="store_true", help="only compare the files with scikit-learn's data")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files are (default: datasets/)")
    options = parser.parse_args(arguments)
    if options.check:
        lines = differences(options.folder)
        print("\n".join(lines) or f"all {len(NAMES)} files equal scikit-learn's data")
        return 1 if lines else 0
    for name in NAMES:
        content = packed(arrays_of(name))
        (options.folder / f"{name}.npz").write_bytes(content)
        print(f"{name:14} {len(content):>8,} bytes  {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
