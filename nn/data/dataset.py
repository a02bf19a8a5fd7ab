"""`Dataset`: features and targets that have been checked, which can be split."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn._arrays import check_finite, names_of, row_numbers
from nn.checks import real
from nn.data.encoding import Encoding
from nn.data.frames import is_frame, table_of_frame
from nn.data.lazy import LazyRows, own_features
from nn.data.reading import Origin
from nn.data.rows import group_rows, ordered_rows, split_rows
from nn.data.scaling import Scaling
from nn.data.split import Split, folds_of, grouped, split_of
from nn.data.table import Column, Table, checked_table
from nn.data.targets import class_codes, class_names_of, read_targets

_DECIDED = ("X", "encoding", "feature_names")  # by the array, by the training part, or else by these rows


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Dataset:
    """Features and targets that have been checked: N examples with D features each.

    Args:
        X (array (N, D), frame or Table): Finite real numbers, N >= 2, D >= 1. float32 and float64 are kept, all else
            becomes float64. It is copied, so that later changes to the caller's array do no harm; a memory-mapped array
            (np.memmap) is read in pieces instead, and the attribute `X` is then a LazyRows. A data frame may have
            categories, dates and missing cells, which an `Encoding` makes numbers of.
        y (array (N,) or (N, K)): Class labels (N,) as whole numbers, bools or strings; numbers to predict (N,) or (N,
            K); or 0/1 in columns (N, K), for labels that may hold together.
        task ({"classification", "regression", "multilabel"}): Needed only where y does not tell.
        name: The name that is shown.
        feature_names, target_names, class_names: Names of the columns of X and y, which those of a frame are by
            default, and of the classes in sorted order.

    Attributes:
        classes: The sorted distinct labels; None outside classification.
        targets: The form of y that training uses: int64 positions in `classes` (N,), or float64 (N, K).
        table: The columns that X is made from; None for an array.
        encoding: How X is made from `table`: in a part of a split by the statistics of the training part, otherwise by
            those of these rows. None for an array.
        scaling: The scaling that has been applied to X, and in regression to y and targets.
        origin: What `load_dataset` was given, by which the same data can be loaded again; None of data that were made
            or changed.

    Raises:
        ValueError, TypeError: With one line that says what is wrong and where.

    >>> Dataset([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["no", "no", "yes"], name="small")
    Dataset('small', classification: 3 rows, 2 features, 2 classes, float64)
    """

    y: NDArray[Any]
    task: str
    name: str
    target_names: tuple[str, ...] | None
    class_names: tuple[str, ...] | None
    classes: NDArray[Any] | None
    targets: NDArray[Any]
    scaling: Scaling | None
    table: Table | None
    origin: Origin | None
    _open: bool  # whether each training part that is cut from the table encodes it anew

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
        table = _table(X, feature_names)
        if target_names is None:
            target_names = _column_names(y)
        features = own_features(X) if table is None else None
        found = read_targets(y, len(features if table is None else table), task)  # type: ignore[arg-type]
        if isinstance(features, np.ndarray):
            check_finite("X", features)
        columns = found.codes.shape[1] if found.codes.ndim == 2 else 1
        vars(self).update(
            y=found.y,
            task=found.task,
            name=str(name),
            target_names=names_of("target_names", target_names, columns),
            class_names=class_names_of(class_names, found.classes),
            classes=found.classes,
            targets=found.codes,
            scaling=None,
            table=table,
            origin=None,
            _open=table is not None,
        )
        if features is not None:
            names = _column_names(X) if feature_names is None else feature_names
            vars(self).update(
                X=features, encoding=None, feature_names=names_of("feature_names", names, features.shape[1])
            )

    # What an array, or a training part, has decided stands in the instance from the beginning.

    @cached_property
    def encoding(self) -> Encoding | None:
        assert self.table is not None
        return Encoding.fit(self.table)

    @cached_property
    def X(self) -> NDArray[Any] | LazyRows:
        """The features (N, D)."""
        assert self.table is not None
        assert self.encoding is not None
        return self.encoding.transform(self.table)

    @cached_property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the features, None where they have none."""
        return None if self.encoding is None else self.encoding.feature_names

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

    @property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of task, shapes, dtypes, all numbers, classes and names, but not of `name`.

        Of a table it covers every cell and level; of a part of a split, the encoding and scaling.
        """
        features: list[NDArray[Any]] | LazyRows
        if self._open and self.table is not None:
            columns = [(column.name, column.kind, column.levels) for column in self.table]
            about: dict[str, Any] = {"task": self.task, "columns": columns}
            features = [column.values for column in self.table]
            names: Any = None
        else:
            about = {"task": self.task, "shapes": [self.X.shape, self.targets.shape]}
            features = self.X if isinstance(self.X, LazyRows) else [self.X]
            names = self.feature_names
        about |= {
            "dtypes": [None if self._open else self.X.dtype.str, self.targets.dtype.str],
            "classes": None if self.classes is None else self.classes.tolist(),
            "names": [names, self.target_names, self.class_names],
        }
        if self.scaling is not None:
            about["scaling"] = self.scaling.to_json()
        if not self._open and self.encoding is not None:
            about["encoding"] = self.encoding.to_json()
        digest = hashlib.sha256(json.dumps(about).encode())
        for piece in features.chunks() if isinstance(features, LazyRows) else features:
            digest.update(np.ascontiguousarray(piece).data)
        digest.update(self.targets.data)
        return digest.hexdigest()

    def subset(self, rows: Any) -> Dataset:
        """Return the examples at `rows`: row numbers in any order, or a bool per row. The classes stay the same."""
        chosen = row_numbers(rows, len(self))
        changes: dict[str, Any] = {"y": self.y[chosen], "targets": self.targets[chosen]}
        if self.table is not None:
            changes["table"] = self.table.subset(chosen)
        if not self._open:
            changes["X"] = self.X.subset(chosen) if isinstance(self.X, LazyRows) else self.X[chosen]
        return self._with(**changes)

    def replace(self, *, X: Any = None, y: Any = None, name: str | None = None) -> Dataset:
        """Return a copy with other features or targets, which are in the units of these.

        Scaling, encoding, names and classes are kept; labels that are not among the classes make new classes.
        Raises ValueError or TypeError for what does not fit.

        >>> from nn import load_dataset
        >>> split = load_dataset("iris").split()
        >>> noisy = split.train.replace(y=np.roll(split.train.y, 1))
        >>> noisy.scaling is split.scaling
        True
        """
        changes: dict[str, Any] = {} if name is None else {"name": str(name)}
        rows = len(self)
        if X is not None and self._open:
            changes["table"] = _table(X, None)
            if changes["table"] is None:
                raise TypeError(f"X must be a data frame, as the data's own was, but got {type(X).__name__}")
            rows = len(changes["table"])
        elif X is not None:
            features = own_features(X)
            if features.shape[1] != self.n_features:
                raise ValueError(f"X must have the {self.n_features} features of the data, but got {features.shape}")
            if isinstance(features, np.ndarray):
                check_finite("X", features)
            changes |= {"X": features, "table": None}
            rows = len(features)
        found = read_targets(self.y if y is None else y, rows, self.task)
        if y is not None:
            if found.codes.shape[1:] != self.targets.shape[1:]:
                raise ValueError(f"y must have the shape of the data's, {self.y.shape}, but got {found.y.shape}")
            changes |= {"y": found.y, "targets": found.codes}
            if self.classes is not None and found.classes is not None:
                if found.y.dtype.kind == self.y.dtype.kind and np.isin(found.classes, self.classes).all():
                    changes["targets"] = class_codes(found.y, self.classes)
                else:
                    changes |= {"classes": found.classes, "class_names": class_names_of(None, found.classes)}
        return self._with(**changes)

    def split(
        self,
        validation: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        scale: bool = True,
        stratify: bool | None = None,
        *,
        by: Any = None,
        time: bool = False,
    ) -> Split:
        """Return training, validation and test parts, encoded and scaled by the training part alone.

        Raises ValueError for shares that leave a part empty, or too few rows to train on.

        Args:
            validation, test: Shares of all rows; 0 leaves the part out (None).
            seed: The seed of the choice. For one seed, `test` alone decides the test rows.
            scale: Standardise the features and, in regression, the targets. Features that say that something holds,
                such as "city=Bonn", stay 0 and 1.
            stratify: Whether training and test hold every class in proportion to within one row, validation to within
                two, and training at least one row of each; the default in classification.
            by (str or array (N,)): The name of a column, which is then no feature, or a value for each row: rows with
                the same value are never in two parts, here and in the folds of the split. Nothing is stratified.
            time: The rows are in order of time: the first are for training, the last for testing, nothing is drawn.

        >>> from nn import load_dataset
        >>> split = load_dataset("digits").split(validation=0.2, test=0.2, seed=0)
        >>> len(split.train), len(split.validation), len(split.test)
        (1078, 360, 359)
        """
        data, groups = grouped(self, by, time)
        if stratify and (self.task != "classification" or time or by is not None):
            what = self.task if self.task != "classification" else "rows in order of time" if time else "whole groups"
            raise ValueError(
                f"stratify must be False or None for {what}, but got True: shares of classes can't be kept"
            )
        if time:
            rows = ordered_rows(len(self), validation, test)
        elif groups is not None:
            rows = group_rows(groups, validation, test, seed)
        else:
            codes = self.targets if self.task == "classification" and stratify is not False else None
            rows = split_rows(len(self), validation, test, seed, codes, self.n_outputs)
        return split_of(data, rows, bool(scale), groups, bool(time))

    def folds(
        self, k: int, seed: int = 0, test: float = 0.0, scale: bool = True, *, by: Any = None, time: bool = False
    ) -> list[Split]:
        """Return k splits whose validation parts together hold every row that is not test exactly once.

        Args:
            k: The number of folds, at least 2. Classes are stratified.
            seed, test, scale, by: As for `split`, which takes the same test part: it has the same rows in every fold,
                scaled by the statistics of the fold's training rows.
            time: The rows are in order of time: each fold is validated on the rows that follow those that it is trained
                on, and the first rows are in no validation part.
        """
        if real("test", test, 0.0, below=1.0) > 0:
            return self.split(0.0, test, seed, scale, by=by, time=time).folds(k, seed)
        data, groups = grouped(self, by, time)
        none = np.empty(0, dtype=np.int64)
        rows = {"train": np.arange(len(self)), "validation": none, "test": none}
        return folds_of(data, rows, k, seed, bool(scale), groups, bool(time))

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
        leave = None if self.encoding is None else self.encoding.indicators
        return Scaling.fit(self.X, self.targets if self.task == "regression" else None, leave)

    def encoded_by(self, encoding: Encoding) -> Dataset:
        """Return these examples with the features that an encoding makes of their table, for good."""
        assert self.table is not None
        return self.with_features(encoding.transform(self.table), encoding, encoding.feature_names)

    def with_features(
        self, X: NDArray[Any] | LazyRows, encoding: Encoding | None, names: tuple[str, ...] | None
    ) -> Dataset:
        """Return these examples with other features, which are known to be sound, and how they were encoded."""
        return self._with(X=X, encoding=encoding, feature_names=names, _open=False)

    @property
    def settled(self) -> bool:
        """Whether X is as a training part has decided: scaled, or encoded by other rows than these alone."""
        return self.scaling is not None or (not self._open and self.encoding is not None)

    @cached_property
    def spread(self) -> Scaling | None:
        """The mean and spread of the features, by some thousands of the rows; None where they have no bounds or are
        mapped."""
        if isinstance(self.X, LazyRows):
            return None
        try:
            return Scaling.fit(self.X[:: 1 + len(self) // 10_000])
        except ValueError:
            return None

    def scaled_by(self, scaling: Scaling) -> Dataset:
        """Return these examples scaled; where they had been scaled before, `scaling` is applied on top."""
        total = scaling if self.scaling is None else self.scaling.then(scaling)
        X = scaling.transform(self.X)
        if self.task != "regression":
            return self._with(X=X, scaling=total)
        targets = scaling.transform_targets(self.targets)
        return self._with(X=X, y=targets.reshape(self.y.shape), targets=targets, scaling=total)

    def raw(self) -> Dataset:
        """Return these examples as they were before they were encoded and scaled, to rounding."""
        changes: dict[str, Any] = {"scaling": None}
        if self.table is not None:
            changes["_open"] = True
        elif self.encoding is not None:
            raise ValueError(
                "features that were replaced after encoding must be used as they are, but raw ones are needed"
            )
        elif self.scaling is not None:
            changes["X"] = self.X.unscaled() if isinstance(self.X, LazyRows) else self.scaling.inverse(self.X)
        if self.scaling is not None and self.task == "regression":
            targets = self.scaling.inverse_targets(self.targets)
            changes |= {"targets": targets, "y": targets.reshape(self.y.shape)}
        return self._with(**changes)

    def _with(self, **changes: Any) -> Dataset:
        """Return a copy with fields that are known to be right: nothing is checked again."""
        result = object.__new__(Dataset)
        kept = {*self.__dataclass_fields__, *(() if changes.get("_open", self._open) else _DECIDED)}
        changes.setdefault("origin", None)
        vars(result).update({name: value for name, value in vars(self).items() if name in kept} | changes)
        return result


def _table(X: Any, names: Any = None) -> Table | None:
    """Return the table that X is or makes, its columns under other names if there are any; None for an array."""
    table = X if isinstance(X, Table) else table_of_frame(X) if is_frame(X) else None
    if table is None:
        return None
    if len(table) < 2 or not table.columns:
        raise ValueError(f"X must have at least 2 rows and 1 column, but got {len(table)} and {len(table.columns)}")
    named = names_of("feature_names", names, len(table.columns)) or table.names
    columns = (Column(name, c.kind, c.values, c.levels) for name, c in zip(named, table, strict=True))
    return checked_table(replace(table, columns=tuple(columns)))


def _column_names(table: Any) -> list[str] | None:
    """Return the column names of a table that has them (a pandas DataFrame, say), else None."""
    columns = getattr(table, "columns", None)
    try:
        return None if columns is None or callable(columns) else [str(column) for column in columns]
    except TypeError:
        return None
