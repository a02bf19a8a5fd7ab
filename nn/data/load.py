"""`load_dataset`: a data set by its name, or from a file or folder; `load_split` and `load_folds`: its parts."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nn.checks import known_options, unknown_name
from nn.data.bundled import CHECKSUMS, read_bundled
from nn.data.dataset import Dataset
from nn.data.frames import is_frame, table_of_frame
from nn.data.generators import GENERATORS
from nn.data.readers import read_path
from nn.data.reading import Origin, is_table_file, read_table, reading_options
from nn.data.separation import separate
from nn.data.split import Split
from nn.data.table import CATEGORY, NUMBER, Table
from nn.files import local_path


def load_dataset(name_or_path: Any, target: Any = None, task: str | None = None, **options: Any) -> Dataset:
    """Load a data set by its name, or from a file, a folder or a data frame.

    Args:
        name_or_path: A bundled set: digits, iris, wine, breast_cancer (classes), diabetes (regression). One that is
            generated: spirals, moons, circles, xor (classes), sine (regression). Or a file: rows of text (.csv .tsv
            .tab .txt .data), plain or .gz; .parquet; .npz with the arrays X and y; .npy with the features; IDX images,
            plain or .gz, or a folder of them with MNIST's file names. Or a data frame, of pandas or polars, with the
            targets among its columns.
        target: The targets: in a file of rows or a frame the columns' names or numbers, the last column by default (the
            option `target_column` is the same); in an .npz archive the array's name; for a .npy or IDX file the path of
            the file that holds them.
        task ({"classification", "regression", "multilabel"}): Needed only where the targets do not tell.
        **options: `n`, `noise`, `seed` and others of `nn.data.generators`; for files of rows and frames those of
            `nn.data.READING`, such as `separator`, `missing` and `drop`; for .npy `mapped`, by default True from 256 MB
            on; for a folder of IDX files `part`: "all", "train" or "test".

    Raises:
        ValueError, TypeError: For an unknown name or option, a missing, truncated or foreign file, and unsuitable
            contents.

    >>> load_dataset("moons", n=200, seed=1)
    Dataset('moons', classification: 200 rows, 2 features, 2 classes, float64)
    """
    if options.get("target_column") is not None:
        if target is not None:
            raise ValueError(f"target must be None with target_column, its other name, but got {target!r}")
        target = options["target_column"]
    others = {name: value for name, value in options.items() if name != "target_column"}
    if is_frame(name_or_path):
        return _of_frame(name_or_path, target, task, others)
    data, name = _loaded(name_or_path, target, task, others)
    given = {"target_column": target, "task": task, **others}
    return data._with(origin=Origin(name, {key: value for key, value in given.items() if value is not None}))


def _of_frame(frame: Any, target: Any, task: str | None, options: dict[str, Any]) -> Dataset:
    known_options("a data frame", options, ("missing", "decimal", "drop", "categorical"))
    read = reading_options({"target_column": target, "task": task} | options)
    return _separated(table_of_frame(frame, options=read), target, task, "data")


def _separated(table: Table, target: Any, task: str | None, name: str) -> Dataset:
    """Return the data of a table that has the targets too."""
    found = separate(table, target, task)
    features = replace(found.features, notes=(*table.notes, *found.notes))
    return Dataset(features, found.targets, found.task, name=name, target_names=found.target_names)


def _loaded(
    name_or_path: str | os.PathLike[str], target: Any, task: str | None, options: dict[str, Any]
) -> tuple[Dataset, str]:
    """Return the data, and their name or absolute path."""
    known = [*CHECKSUMS, *GENERATORS]
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(
            f"a dataset must be a name, a path or a frame, but got {type(name_or_path).__name__}; use Dataset(X, y)"
        )
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, str) and text in known:
        if target is not None:
            raise ValueError(f"target_column must be None for {text!r}, whose target is fixed, but got {target!r}")
        return _named(text, task, options), text
    path = Path(text)
    if not text or not os.path.exists(text):
        if path.name == text and not path.suffix:
            raise ValueError(f"{unknown_name('dataset', text, known)}; a path to a file or folder works too")
        local_path("a dataset", text)
        raise ValueError(f"the path must exist, but there is nothing at {text!r}")
    own = path.name.split(".")[0] or "data"
    if path.is_file() and is_table_file(path):
        table = read_table(path, {"target_column": target, "task": task} | options)
    else:
        table, (X, y, names) = None, read_path(path, target, options)
    try:
        data = Dataset(X, y, task, name=own, **names) if table is None else _separated(table, target, task, own)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text}: {error}") from error
    return data, str(path.absolute())


def _named(name: str, task: str | None, options: dict[str, Any]) -> Dataset:
    if name in CHECKSUMS:
        known_options(repr(name), options, ())
        arrays = read_bundled(name)
        if task not in (None, "classification"):
            arrays.pop("class_names", None)
        return Dataset(arrays.pop("X"), arrays.pop("y"), task, name=name, **arrays)
    make = GENERATORS[name]
    known_options(repr(name), options, inspect.signature(make).parameters)
    return Dataset(*make(**options), task, name=name)


PLACING = ("split_by", "split_in_order", "validation_file", "test_file")
"""The options of reading that say in which part a row is."""


def load_split(
    name_or_path: Any,
    options: Mapping[str, Any] | None = None,
    validation: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
) -> Split:
    """Load data as `load_dataset` does, and split them.

    Args:
        name_or_path: As for `load_dataset`.
        options: Those of `load_dataset`, and `split_by`, a column whose groups are never divided; `split_in_order`, to
            train on the first rows and test on the last; `validation_file` and `test_file`, which have the rows of
            these parts and are read as the first file is.
        validation, test, seed: As for `Dataset.split`. A part that has a file of its own takes no share.

    Raises:
        ValueError, TypeError: As `load_dataset` and `Dataset.split`, and for options that exclude each other.
    """
    data, held, placing = _with_parts(name_or_path, options or {})
    if not held:
        return _told(data.split(validation, test, seed, **placing), data, options)
    rows = data.split(0.0 if "validation" in held else validation, 0.0 if "test" in held else test, seed).rows
    parts = {part: data.subset(numbers) for part, numbers in rows.items() if len(numbers)} | held
    return _told(Split.from_parts(parts["train"], parts.get("validation"), parts.get("test")), data, options)


def load_folds(
    name_or_path: Any,
    folds: int,
    options: Mapping[str, Any] | None = None,
    test: float = 0.2,
    seed: int = 0,
) -> list[Split]:
    """Load data and return the splits of a cross-validation over everything that is not test.

    Arguments and errors are those of `load_split`; a `validation_file` is refused.
    """
    data, held, placing = _with_parts(name_or_path, options or {})
    if "validation" in held:
        raise ValueError(f"folds must be None with validation_file, which has the validation part, but got {folds!r}")
    if held:
        splits = Split.from_parts(data, None, held["test"]).folds(folds, seed)
    else:
        splits = data.folds(folds, seed, test, **placing)
    return [_told(split, data, options) for split in splits]


def _told(split: Split, data: Dataset, options: Mapping[str, Any] | None) -> Split:
    """Return a split whose source says where all of it came from, if the data know it."""
    if split.source is None or data.origin is None:
        return split
    given = {name: value for name, value in (options or {}).items() if value is not None}
    return replace(split, source=split.source._with(origin=replace(data.origin, options=given)))


def _with_parts(name_or_path: Any, options: Mapping[str, Any]) -> tuple[Dataset, dict[str, Dataset], dict[str, Any]]:
    """Return the data, the parts that have files of their own, and what `Dataset.split` is told of the others."""
    placing = {name: options[name] for name in PLACING if options.get(name) not in (None, False)}
    reading = {name: value for name, value in options.items() if name not in PLACING}
    files = {part: placing[f"{part}_file"] for part in ("validation", "test") if f"{part}_file" in placing}
    chosen = [name for name in ("split_by", "split_in_order") if name in placing]
    if len(chosen) == 2:
        raise ValueError("split_by must be None with split_in_order, where rows stay in their order, but got both")
    if chosen and files:
        raise ValueError(f"{chosen[0]} must be None with {next(iter(files))}_file, which places the rows, but got both")
    data = load_dataset(name_or_path, **reading)
    held = {part: _read_alike(data, path, reading) for part, path in files.items()}
    by = placing.get("split_by")
    if isinstance(by, list | tuple):
        if len(by) != 1:
            raise ValueError(f"split_by must be one column, but got {len(by)}")
        by = by[0]
    return data, held, {"by": by, "time": "split_in_order" in placing}


def _read_alike(data: Dataset, path: str, options: dict[str, Any]) -> Dataset:
    """Return the data of another file, whose columns are read as those of `data` were."""
    if data.table is None or data.target_names is None:
        return load_dataset(path, **options)
    kinds = {column.name: column.kind for column in data.table}
    if data.task == "classification":
        kinds[data.target_names[0]] = CATEGORY if data.y.dtype.kind == "U" else NUMBER
    table = read_table(path, {**options, "target_column": list(data.target_names)}, kinds)
    missing = [name for name in (*kinds, *data.target_names) if name not in table.names]
    if missing:
        raise ValueError(f"{path} must have the columns of the first file, but lacks {', '.join(map(repr, missing))}")
    found = separate(table, list(data.target_names), data.task)
    features = Table(tuple(found.features[column.name] for column in data.table), found.features.lines)
    return Dataset(features, found.targets, data.task, name=data.name, target_names=data.target_names)
