"""`load_dataset`: a data set by its name, or from a file or folder."""

from __future__ import annotations

import inspect
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from nn.checks import known_options, unknown_name
from nn.data.bundled import CHECKSUMS, read_bundled
from nn.data.dataset import Dataset
from nn.data.generators import GENERATORS
from nn.data.readers import read_path
from nn.data.reading import is_table_file, read_table
from nn.data.separation import separate
from nn.data.table import Table
from nn.files import local_path


def load_dataset(
    name_or_path: str | os.PathLike[str], target: Any = None, task: str | None = None, **options: Any
) -> Dataset:
    """Load a data set by its name, or from a file or folder.

    Args:
        name_or_path: A bundled set: digits, iris, wine, breast_cancer (classes), diabetes (regression). One that is
            generated: spirals, moons, circles, xor (classes), sine (regression). Or a file: rows of text (.csv .tsv
            .tab .txt .data), plain or .gz; .parquet; .npz with the arrays X and y; .npy with the features; IDX images,
            plain or .gz, or a folder of them with MNIST's file names.
        target: The targets: in a file of rows the columns' names or numbers, the last column by default (the option
            `target_column` is the same); in an .npz archive the array's name; for a .npy or IDX file the path of the
            file that holds them.
        task ({"classification", "regression", "multilabel"}): Needed only where the targets do not tell.
        **options: `n`, `noise`, `seed` and others of `nn.data.generators`; for files of rows those of
            `nn.data.READING`, such as `separator`, `missing` and `drop`; for .npy `mapped`, by default True from 256 MB
            on; for a folder of IDX files `part`: "all", "train" or "test".

    Raises:
        ValueError, TypeError: For an unknown name or option, a missing, truncated or foreign file, and unsuitable
            contents.

    >>> load_dataset("moons", n=200, seed=1)
    Dataset('moons', classification: 200 rows, 2 features, 2 classes, float64)
    """
    known = [*CHECKSUMS, *GENERATORS]
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(f"a dataset must be a name or a path, but got {type(name_or_path).__name__}; use Dataset(X, y)")
    text = os.fspath(name_or_path)
    named = isinstance(name_or_path, str) and text in known
    if named and target is not None:
        raise ValueError(f"target must be None for {text!r}, whose target is fixed, but got {target!r}")
    if named and text in CHECKSUMS:
        known_options(repr(text), options, ())
        arrays = read_bundled(text)
        if task not in (None, "classification"):
            arrays.pop("class_names", None)
        return Dataset(arrays.pop("X"), arrays.pop("y"), task, name=text, **arrays)
    if named:
        make = GENERATORS[text]
        known_options(repr(text), options, inspect.signature(make).parameters)
        return Dataset(*make(**options), task, name=text)
    path = Path(text)
    if not text or not os.path.exists(text):
        if path.name == text and not path.suffix:
            raise ValueError(f"{unknown_name('dataset', text, known)}; a path to a file or folder works too")
        local_path("a dataset", text)
        raise ValueError(f"the path must exist, but there is nothing at {text!r}")
    if path.is_file() and is_table_file(path):
        X, y, task, names = _of_rows(path, {"task": task, "target_column": target} | options)
    else:
        X, y, names = read_path(path, target, options)
    try:
        return Dataset(X, y, task, name=path.name.split(".")[0] or "data", **names)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text}: {error}") from error


def _of_rows(path: Path, options: dict[str, Any]) -> tuple[Table, Any, str, dict[str, Any]]:
    """Return features, targets, task and names from a file of rows."""
    table = read_table(path, options)
    try:
        found = separate(table, options["target_column"], options["task"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    names = {} if found.task == "classification" else {"target_names": found.target_names}
    return replace(found.features, notes=(*table.notes, *found.notes)), found.targets, found.task, names
