"""`Dataset`: features and targets that have been checked; `Split`: its scaled parts; and `load_dataset`."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn._arrays import as_array, check_finite, check_table, feature_dtype, names_of, row_numbers
from nn.checks import integer, known_options, real, unknown_name
from nn.data.bundled import CHECKSUMS, read_bundled
from nn.data.generators import GENERATORS
from nn.data.lazy import LazyRows
from nn.data.readers import read_path
from nn.data.reading import is_table_file, read_table
from nn.data.rows import Rows, fold_numbers, split_rows
from nn.data.scaling import Scaling
from nn.data.separation import separate
from nn.data.table import CATEGORY
from nn.data.targets import class_codes, read_targets
from nn.files import local_path


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Dataset:
    """Features and targets that have been checked: N examples with D features each.

    Args:
        X (array or frame (N, D)): Finite real numbers, N >= 2, D >= 1. float32 and float64 are kept, all else becomes
            float64. It is copied, so that later changes to the caller's array do no harm; a memory-mapped array
            (np.memmap) is read in pieces instead, and the attribute `X` is then a LazyRows.
        y (array (N,) or (N, K)): Class labels (N,) as whole numbers, bools or strings; numbers to predict (N,) or (N,
            K); or 0/1 in columns (N, K), for labels that may hold together.
        task ({"classification", "regression", "multilabel"}): Needed only where y does not tell.
        name: The name that is shown.
        feature_names, target_names, class_names: Names of the columns of X and y, which those of a frame are by
            default, and of the classes in sorted order.

    Attributes:
        classes: The sorted distinct labels; None outside classification.
        targets: The form of y that training uses: int64 positions in `classes` (N,), or float64 (N, K).
        scaling: The scaling that has been applied to X, and in regression to y and targets.

    Raises:
        ValueError, TypeError: With one line that says what is wrong and where.

    >>> Dataset([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["no", "no", "yes"], name="small")
    Dataset('small', classification: 3 rows, 2 features, 2 classes, float64)
    """

    X: NDArray[Any] | LazyRows
    y: NDArray[Any]
    task: str
    name: str
    feature_names: tuple[str, ...] | None
    target_names: tuple[str, ...] | None
    class_names: tuple[str, ...] | None
    classes: NDArray[Any] | None
    targets: NDArray[Any]
    scaling: Scaling | None = field(default=None)

    def __init__(
        self,
        X: Any,
        y: Any,
        task: str | None = None,
        *,
        name: str = "data",
        feature_names: Any = None,
        target_names: Any = None,
        class_names: Any = None,
    ) -> None:
        if feature_names is None:
            feature_names = _column_names(X)
        if target_names is None:
            target_names = _column_names(y)
        features = _features(X)
        found = read_targets(y, len(features), task)
        if isinstance(features, np.ndarray):
            check_finite("X", features)
        columns = found.codes.shape[1] if found.codes.ndim == 2 else 1
        vars(self).update(
            X=features,
            y=found.y,
            task=found.task,
            name=str(name),
            feature_names=names_of("feature_names", feature_names, features.shape[1]),
            target_names=names_of("target_names", target_names, columns),
            class_names=_class_names(class_names, found.classes),
            classes=found.classes,
            targets=found.codes,
            scaling=None,
        )

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        outputs = ("class", "classes") if self.classes is not None else ("target", "targets")
        counts = [(len(self), "row", "rows"), (self.n_features, "feature", "features"), (self.n_outputs, *outputs)]
        parts = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts]
        parts.append(str(self.X.dtype))
        parts += ["memory-mapped"] * isinstance(self.X, LazyRows) + ["scaled"] * (self.scaling is not None)
        return f"Dataset({self.name!r}, {self.task}: {', '.join(parts)})"

    @property
    def n_features(self) -> int:
        """The number D of features."""
        return int(self.X.shape[1])

    @property
    def n_outputs(self) -> int:
        """The number of outputs that a model of this task has: classes, or columns of targets."""
        return len(self.classes) if self.classes is not None else int(self.targets.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of task, shapes, dtypes, all numbers, classes and names, but not of `name`."""
        about = {
            "task": self.task,
            "shapes": [self.X.shape, self.targets.shape],
            "dtypes": [self.X.dtype.str, self.targets.dtype.str],
            "classes": None if self.classes is None else self.classes.tolist(),
            "names": [self.feature_names, self.target_names, self.class_names],
        }
        digest = hashlib.sha256(json.dumps(about).encode())
        for piece in self.X.chunks() if isinstance(self.X, LazyRows) else [self.X]:
            digest.update(piece.data)
        digest.update(self.targets.data)
        return digest.hexdigest()

    def subset(self, rows: Any) -> Dataset:
        """Return the examples at `rows`: row numbers in any order, or a bool per row. The classes stay the same."""
        chosen = row_numbers(rows, len(self))
        X = self.X.subset(chosen) if isinstance(self.X, LazyRows) else self.X[chosen]
        return self._with(X=X, y=self.y[chosen], targets=self.targets[chosen])

    def split(
        self,
        validation: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        scale: bool = True,
        stratify: bool | None = None,
    ) -> Split:
        """Return training, validation and test parts, scaled by the statistics of the training part alone.

        Raises ValueError for shares that leave a part empty, or too few rows to train on.

        Args:
            validation, test: Shares of all rows; 0 leaves the part out (None).
            seed: The seed of the choice. For one seed, `test` alone decides the test rows.
            scale: Standardise the features and, in regression, the targets.
            stratify: Whether training and test hold every class in proportion to within one row, validation to within
                two, and training at least one row of each; the default in classification.

        >>> split = load_dataset("digits").split(validation=0.2, test=0.2, seed=0)
        >>> len(split.train), len(split.validation), len(split.test)
        (1078, 360, 359)
        """
        if stratify and self.task != "classification":
            raise ValueError(f"stratify must be False or None for {self.task}, but got True: only classes have shares")
        by_class = self.task == "classification" and stratify is not False
        codes = self.targets if by_class else None
        rows = split_rows(len(self), validation, test, seed, codes, self.n_outputs)
        return _split(self, rows, bool(scale))

    def folds(self, k: int, seed: int = 0, test: float = 0.0, scale: bool = True) -> list[Split]:
        """Return k splits whose validation parts together hold every row that is not test exactly once.

        Args:
            k: The number of folds, at least 2. Classes are stratified.
            seed, test, scale: As for `split`, which takes the same test part: it has the same rows in every fold,
                scaled by the statistics of the fold's training rows.
        """
        codes = self.targets if self.task == "classification" else None
        if real("test", test, 0.0, below=1.0) > 0:
            rows = split_rows(len(self), 0.0, test, seed, codes, self.n_outputs)
        else:
            rows = {"train": np.arange(len(self)), "test": np.empty(0, dtype=np.int64)}
        return _folds(self, rows["train"], rows["test"], k, seed, bool(scale))

    def codes_of(self, y: Any) -> NDArray[np.int64]:
        """Return the positions (N,) of labels y (N,) in `classes`. Raises ValueError for a label outside them."""
        if self.classes is None:
            raise ValueError(f"labels must belong to a classification set, but {self.name!r} is for {self.task}")
        return class_codes(y, self.classes)

    def with_classes(self, classes: NDArray[Any]) -> Dataset:
        """Return these examples with other classes. Raises ValueError for a label that is not among them."""
        names = tuple(str(label) for label in classes.tolist())
        return self._with(classes=classes, class_names=names, targets=class_codes(self.y, classes))

    def fit_scaling(self) -> Scaling:
        """Return the scaling by the statistics of these examples, in regression of their targets too."""
        return Scaling.fit(self.X, self.targets if self.task == "regression" else None)

    def scaled_by(self, scaling: Scaling) -> Dataset:
        """Return these examples scaled; where they had been scaled before, `scaling` is applied on top."""
        total = scaling if self.scaling is None else self.scaling.then(scaling)
        X = scaling.transform(self.X)
        if self.task != "regression":
            return self._with(X=X, scaling=total)
        targets = scaling.transform_targets(self.targets)
        return self._with(X=X, y=targets.reshape(self.y.shape), targets=targets, scaling=total)

    def _with(self, **changes: Any) -> Dataset:
        """Return a copy with fields that are known to be right: nothing is checked again."""
        result = object.__new__(Dataset)
        vars(result).update({name: getattr(self, name) for name in self.__dataclass_fields__} | changes)
        return result


@dataclass(frozen=True, eq=False)
class Split:
    """The training, validation and test parts of a data set; a part that was not asked for is None.

    All parts are scaled with `scaling`, the training part's statistics (None: nothing is scaled). `rows` has the int64
    numbers, in ascending order, of each part's rows in `source`, the data set that was split.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    scaling: Scaling | None
    rows: dict[str, Rows]
    source: Dataset = field(repr=False)
    scaled: bool = field(repr=False)

    def folds(self, k: int, seed: int = 0) -> list[Split]:
        """Return k splits whose validation parts together are everything but the test part, each row once.

        Classes are stratified. The test part has the same rows in every fold, scaled by the statistics of the fold's
        training rows.
        """
        kept = np.sort(np.concatenate([self.rows["train"], self.rows["validation"]]))
        return _folds(self.source, kept, self.rows["test"], k, seed, self.scaled)


def _split(data: Dataset, rows: dict[str, Rows], scale: bool) -> Split:
    """Cut `data` into the parts that `rows` names, and scale all by the training part."""
    parts = {name: data.subset(numbers) for name, numbers in rows.items() if len(numbers)}
    if scale:
        scaling = parts["train"].fit_scaling()
        parts = {name: part.scaled_by(scaling) for name, part in parts.items()}
    train = parts["train"]
    return Split(train, parts.get("validation"), parts.get("test"), train.scaling, rows, data, scale)


def _folds(data: Dataset, kept: Rows, test: Rows, k: Any, seed: Any, scale: bool) -> list[Split]:
    k = integer("folds", k, 2)
    if k > len(kept) or len(kept) - (len(kept) + k - 1) // k < 2:
        raise ValueError(
            f"folds must be at most the {len(kept):,} examples and leave 2 of them to train on, but got {k:,}"
        )
    codes = data.targets[kept] if data.task == "classification" else None
    number = fold_numbers(len(kept), k, seed, codes)
    return [
        _split(data, {"train": kept[number != fold], "validation": kept[number == fold], "test": test}, scale)
        for fold in range(k)
    ]


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
        X, y, task, names = _table_arrays(path, {"task": task, "target_column": target} | options)
    else:
        X, y, names = read_path(path, target, options)
    try:
        return Dataset(X, y, task, name=path.name.split(".")[0] or "data", **names)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text}: {error}") from error


def _table_arrays(path: Path, options: dict[str, Any]) -> tuple[Any, Any, str, dict[str, Any]]:
    """Return features, targets, task and names from a file of rows, in which all features are complete numbers."""
    table = read_table(path, options)
    try:
        found = separate(table, options["target_column"], options["task"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    lines = found.features.lines
    for column in found.features:
        bad = np.ones(len(column), dtype=bool) if column.kind == CATEGORY else column.missing
        if bad.any():
            row = int(np.argmax(bad))
            cell = "an empty cell" if column.missing[row] else repr(column.levels[column.values[row]])
            place = f"row {row:,}" if lines is None else f"line {lines[row]:,}"
            raise ValueError(
                f"{path} must have numbers in column {column.name!r}, but {place} has {cell}; leave it out with "
                f"drop={column.name}"
            )
    X = np.column_stack([column.values for column in found.features])
    names = {"feature_names": found.features.names}
    if found.task != "classification":
        names["target_names"] = found.target_names
    return X, found.targets, found.task, names


def _features(X: Any) -> NDArray[Any] | LazyRows:
    if isinstance(X, LazyRows):
        if len(X) < 2:
            raise ValueError(f"X must have at least 2 rows and 1 feature, but got shape {X.shape}")
        return X
    if isinstance(X, np.memmap):
        return LazyRows(X)
    array = as_array("X", X)
    check_table(array)
    dtype = feature_dtype(array.dtype)
    with np.errstate(over="ignore"):
        return np.array(array, dtype=dtype, order="C", copy=True, subok=False)


def _column_names(table: Any) -> list[str] | None:
    """Return the column names of a table that has them (a pandas DataFrame, say), else None."""
    columns = getattr(table, "columns", None)
    try:
        return None if columns is None or callable(columns) else [str(column) for column in columns]
    except TypeError:
        return None


def _class_names(names: Any, classes: NDArray[Any] | None) -> tuple[str, ...] | None:
    if classes is None:
        if names is not None:
            raise ValueError(f"class_names must be None outside classification, but got {names!r}")
        return None
    return names_of("class_names", names, len(classes)) or tuple(str(label) for label in classes.tolist())
