"""`Split`: the parts of a data set, encoded and scaled by the training part; and folds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import integer, one_of
from nn.data.lazy import LazyRows
from nn.data.rows import Rows, fold_numbers, group_fold_numbers
from nn.data.scaling import Scaling
from nn.data.table import joined
from nn.data.targets import class_codes

if TYPE_CHECKING:
    from nn.data.dataset import Dataset


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """The training, validation and test parts of a data set; a part that was not asked for is None.

    All parts are encoded as the training part is, and scaled with `scaling`, its statistics (None: nothing is scaled).
    `rows` has the int64 numbers, in ascending order, of each part's rows in `source`, the data set that was split; of
    parts that were made by hand, `source` is None and they are counted from the first part to the last. `groups` (N,)
    has the group of each row of `source` where none may be cut; `time` says that the rows are in order of time.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    scaling: Scaling | None = None
    rows: dict[str, Rows] = field(default_factory=dict)
    source: Dataset | None = None
    scaled: bool = True
    groups: Rows | None = None
    time: bool = False

    def __post_init__(self) -> None:
        sizes = [0 if part is None else len(part) for part in self.parts.values()]
        if self.source is None or [len(self.rows.get(name, ())) for name in self.parts] != sizes:
            ends = np.cumsum(sizes)
            rows = {name: np.arange(end - size, end) for name, size, end in zip(self.parts, sizes, ends, strict=True)}
            vars(self).update(rows=rows, source=None)

    @classmethod
    def from_parts(
        cls, train: Dataset, validation: Dataset | None = None, test: Dataset | None = None, scale: bool = True
    ) -> Split:
        """Return the split with these parts, such as those of three files.

        Args:
            train, validation, test: Raw data sets, which are encoded and scaled by the training part; or parts that one
                training part has scaled, which stay as they are.
            scale: Whether raw parts are scaled.

        Raises:
            ValueError, TypeError: For parts of another task, with other columns, or scaled in different ways.
        """
        parts = {"train": train, "validation": validation, "test": test}
        given = {name: part for name, part in parts.items() if part is not None}
        for name, part in given.items():
            if not hasattr(part, "targets"):
                raise TypeError(f"{name} must be a Dataset, but got {type(part).__name__}")
            one_of(f"task of the {name} part", part.task, [train.task])
        if train.settled:
            _check_alike(given)
            return cls(train, validation, test, train.scaling, scaled=train.scaling is not None)
        whole = _joined(given)
        ends = np.cumsum([0 if part is None else len(part) for part in parts.values()])
        rows = dict(zip(parts, np.split(np.arange(len(whole)), ends[:-1]), strict=True))
        return split_of(whole, rows, bool(scale))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(part):,}" for name, part in self.parts.items() if part is not None)
        how = ["scaled"] * (self.scaling is not None) + ["whole groups"] * (self.groups is not None)
        features = f"{self.train.n_features:,} feature{'s' if self.train.n_features > 1 else ''}"
        extra = "".join(f", {word}" for word in [features, *how, *["in order of time"] * self.time])
        return f"Split({self.train.name!r}, {self.train.task}: {sizes}{extra})"

    @property
    def parts(self) -> dict[str, Dataset | None]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of all that is trained, validated and tested on: the fingerprints of the parts."""
        parts = {name: None if part is None else part.fingerprint for name, part in self.parts.items()}
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def derived(self) -> bool:
        """Whether the parts are, to the last bit, what `source`, `rows` and the training part's statistics give."""
        if self.source is None:
            return False
        try:
            again = split_of(self.source, self.rows, self.scaled)
        except ValueError:
            return False
        return all(_same(part, again.parts[name]) for name, part in self.parts.items())

    def folds(self, k: int, seed: int = 0) -> list[Split]:
        """Return k splits whose validation parts together are everything but the test part, each row once.

        Classes are stratified; groups stay whole; in order of time, each fold is validated on the rows that follow
        those that it is trained on. The test part has the same rows in every fold, encoded and scaled by the statistics
        of the fold's training rows. Of parts that were made by hand, the folds are made from the parts; a ValueError
        says where one of them was scaled otherwise.
        """
        whole = self._from_source("folds")
        assert whole.source is not None
        return folds_of(whole.source, whole.rows, k, seed, whole.scaled, whole.groups, whole.time)

    def joined(self, *parts: str) -> Split:
        """Return the split whose training part has the rows of these parts, and which has no validation part.

        Everything is encoded and scaled anew by the new training part. Parts that were made by hand are taken as by
        `folds`.

        >>> from nn import load_dataset
        >>> split = load_dataset("digits").split(seed=0).joined("train", "validation")
        >>> len(split.train), split.validation, len(split.test)
        (1438, None, 359)
        """
        whole = self._from_source("a joined part")
        assert whole.source is not None
        none = np.empty(0, dtype=np.int64)
        kept = np.sort(np.concatenate([whole.rows[one_of("part", part, whole.rows)] for part in parts]))
        rows = {"train": kept, "validation": none, "test": none if "test" in parts else whole.rows["test"]}
        return split_of(whole.source, rows, whole.scaled, whole.groups, whole.time)

    def unscaled(self) -> Split:
        """Return the split with the same rows, encoded by the same statistics, whose parts are not scaled.

        Parts that were made by hand are taken as by `folds`.

        >>> from nn import load_dataset
        >>> float(load_dataset("digits").split(seed=0).unscaled().train.X.max())
        16.0
        """
        if self.train.scaling is None:
            return self
        whole = self._from_source("unscaled parts")
        assert whole.source is not None
        return split_of(whole.source, whole.rows, False, whole.groups, whole.time)

    def _from_source(self, what: str) -> Split:
        """Return this split, or, where its parts are not what its source gives, one whose source has their examples."""
        if self.source is not None and self.derived:
            return self
        given = {name: part for name, part in self.parts.items() if part is not None}
        _check_alike(given)
        if self.groups is not None or self.time:
            raise ValueError(
                f"{what} of whole groups, or in order of time, must be of the data that were split, but a part was "
                "replaced; split the changed data"
            )
        scale = self.train.scaling is not None
        train, validation, test = (None if part is None else part.raw() for part in self.parts.values())
        assert train is not None
        return Split.from_parts(train, validation, test, scale)


def split_of(
    data: Dataset, rows: dict[str, Rows], scale: bool, groups: Rows | None = None, time: bool = False
) -> Split:
    """Cut `data` into the parts that `rows` names, and encode and scale all by the training part."""
    parts = {name: data.subset(numbers) for name, numbers in rows.items() if len(numbers)}
    if data._open:
        encoding = parts["train"].encoding
        assert encoding is not None
        parts = {name: part.encoded_by(encoding) for name, part in parts.items()}
    if scale:
        scaling = parts["train"].fit_scaling()
        parts = {name: part.scaled_by(scaling) for name, part in parts.items()}
    train = parts["train"]
    return Split(train, parts.get("validation"), parts.get("test"), train.scaling, rows, data, scale, groups, time)


def folds_of(
    data: Dataset, rows: dict[str, Rows], k: Any, seed: Any, scale: bool, groups: Rows | None, time: bool
) -> list[Split]:
    kept, test = np.sort(np.concatenate([rows["train"], rows["validation"]])), rows["test"]
    k = integer("folds", k, 2)
    if k + time > len(kept) or len(kept) // (k + 1 if time else 1) < 2 or len(kept) - (len(kept) + k - 1) // k < 2:
        raise ValueError(
            f"folds must be at most the {len(kept):,} examples and leave 2 of them to train on, but got {k:,}"
        )
    if time:
        blocks = np.array_split(kept, k + 1)
        pairs = [(np.concatenate(blocks[: fold + 1]), blocks[fold + 1]) for fold in range(k)]
    else:
        if groups is not None:
            number = group_fold_numbers(groups[kept], k, seed)
        else:
            number = fold_numbers(len(kept), k, seed, data.targets[kept] if data.task == "classification" else None)
        pairs = [(kept[number != fold], kept[number == fold]) for fold in range(k)]
    return [
        split_of(data, {"train": train, "validation": held, "test": test}, scale, groups, time) for train, held in pairs
    ]


def grouped(data: Dataset, by: Any, time: bool) -> tuple[Dataset, Rows | None]:
    """Return the data without the column that `by` names, and the group of each row as a number from 0 on."""
    if by is None:
        return data, None
    if time:
        raise ValueError("by must be None with time=True, where rows stay in their order, but both were given")
    if isinstance(by, str):
        names = data.table.names if data._open and data.table is not None else data.feature_names or ()
        one_of("by", by, names)
        if data._open and data.table is not None:
            by, data = data.table[by].values, data._with(table=data.table.without([by]))
        else:
            place = names.index(by)
            if isinstance(data.X, LazyRows) or len(names) < 2 or data.scaling is not None:
                raise ValueError(f"by must be a value for each row of these features, but got the name {by!r}")
            by, rest = data.X[:, place], [i for i in range(len(names)) if i != place]
            data = data._with(X=data.X[:, rest].copy(), feature_names=tuple(names[i] for i in rest))
    values = np.asarray(by)
    if values.shape != (len(data),) or values.dtype.kind not in "biufUSM":
        raise ValueError(
            f"by must be a column's name or a number or text for each of the {len(data):,} rows, "
            f"but got {values.dtype} {values.shape}"
        )
    return data, np.unique(values, return_inverse=True)[1].astype(np.int64)


def _check_alike(parts: dict[str, Dataset]) -> None:
    """Raise ValueError unless the parts are all raw, or all encoded and scaled by the same statistics."""
    first = parts["train"]
    for name, part in parts.items():
        if not _same_units(first, part):
            how = {
                each: "scaled" if data.scaling else "encoded" if data.settled else "a table" if data.table else "raw"
                for each, data in (("train", first), (name, part))
            }
            if len({*how.values()}) == 1:
                how[name] += " by other statistics"
            raise ValueError(
                "the parts must be all raw, or all scaled by one training part, but "
                f"train is {how['train']} and {name} is {how[name]}; "
                "Dataset.replace(X=…, y=…) gives a part other numbers and keeps its scaling"
            )


def _same_units(one: Dataset, other: Dataset) -> bool:
    if (one.scaling is None) != (other.scaling is None) or one._open != other._open:
        return False
    if one.scaling is not None and other.scaling is not None and not one.scaling.equals(other.scaling):
        return False
    if one._open or one.encoding is None:
        return one._open or other.encoding is None
    return one.encoding.equals(other.encoding)


def _same(one: Dataset | None, other: Dataset | None) -> bool:
    """Return whether two parts are equal in all that training, scoring and reporting look at."""
    if one is None or other is None:
        return one is other
    if not _same_units(one, other) or one.task != other.task:
        return False
    if isinstance(one.X, LazyRows) or isinstance(other.X, LazyRows):
        same_X = isinstance(one.X, LazyRows) and isinstance(other.X, LazyRows) and one.X.equals(other.X)
    else:
        same_X = one.X.dtype == other.X.dtype and np.array_equal(one.X, other.X)
    arrays = [(one.targets, other.targets), (one.y, other.y), (one.classes, other.classes)]
    names = ("feature_names", "target_names", "class_names")
    return (
        same_X
        and all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in arrays)
        and all(getattr(one, name) == getattr(other, name) for name in names)
    )


def _joined(given: dict[str, Dataset]) -> Dataset:
    """Return the examples of raw data sets one after another; classes are those of any of them."""
    _check_alike(given)
    parts = list(given.values())
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts:
        if part.targets.shape[1:] != first.targets.shape[1:] or part.y.dtype.kind != first.y.dtype.kind:
            raise ValueError(
                f"the parts must have targets of one kind, but got {first.y.dtype} {first.y.shape} and "
                f"{part.y.dtype} {part.y.shape}"
            )
    y = np.concatenate([part.y for part in parts])
    changes: dict[str, Any] = {"y": y, "targets": np.concatenate([part.targets for part in parts])}
    if first.table is not None:
        changes["table"] = joined([part.table for part in parts if part.table is not None])
    else:
        changes["X"] = _joined_arrays(parts)
    if first.classes is not None:
        classes = np.unique(np.concatenate([part.classes for part in parts if part.classes is not None]))
        named = dict(zip(first.classes.tolist(), first.class_names or (), strict=True))
        changes["class_names"] = tuple(named.get(label, str(label)) for label in classes.tolist())
        changes |= {"classes": classes, "targets": class_codes(y, classes)}
    return first._with(**changes)


def _joined_arrays(parts: Sequence[Dataset]) -> NDArray[Any] | LazyRows:
    first = parts[0]
    for part in parts:
        if (part.n_features, part.feature_names) != (first.n_features, first.feature_names):
            raise ValueError(
                f"the parts must have the same features, but got {first.feature_names or first.n_features} and "
                f"{part.feature_names or part.n_features}"
            )
    mapped = [part.X for part in parts if isinstance(part.X, LazyRows)]
    if not mapped:
        return np.concatenate([np.asarray(part.X) for part in parts])
    if len(mapped) < len(parts):
        raise ValueError("the parts must be all in memory or all memory-mapped, but are mixed")
    return mapped[0].joined(mapped[1:])
