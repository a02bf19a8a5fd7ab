"""The source of a study's data: what they can be loaded from again, and how they are split for tuning."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nn.checks import brief, unknown_name

if TYPE_CHECKING:
    from nn.data import Split

SPLIT: dict[str, Any] = {"validation": 0.2, "test": 0.2, "seed": 0}
"""The split of data that are not split yet: the same test part for every study, whatever its seed."""


@dataclass(frozen=True)
class Source:
    """The name of a data set, or the absolute path of a file or folder, and the options that it is read with."""

    name: str
    reading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Any, reading: Mapping[str, Any]) -> Source | None:
        """Return the source of what a user gave as data; None for what can't be loaded again."""
        from nn.data import CHECKSUMS, GENERATORS, Dataset

        if isinstance(data, Dataset) and data.origin is not None:
            return cls(data.origin.name, data.origin.options)
        if not isinstance(data, str | Path):
            return None
        named = isinstance(data, str) and (data in CHECKSUMS or data in GENERATORS)
        files = {name: str(Path(path).absolute()) for name, path in reading.items() if name.endswith("_file")}
        return cls(str(data) if named else str(Path(data).absolute()), {**reading, **files})

    @classmethod
    def from_text(cls, text: str) -> Source:
        """Return the source that `text` was asked of."""
        return cls(**json.loads(text))

    @property
    def text(self) -> str:
        """All of it as JSON, by which another process knows it again."""
        return json.dumps({"name": self.name, "reading": dict(self.reading)})

    def check_there(self) -> None:
        """Raise ValueError where a file is not where it was."""
        for path in (self.name, *(path for name, path in self.reading.items() if name.endswith("_file"))):
            if Path(path).is_absolute() and not Path(path).exists():
                raise ValueError(f"the study's data must be at {path!r}, but are not there; pass data=NEW_PATH")


def most_folds(data: Any, split: Split, reading: Mapping[str, Any]) -> int:
    """Return the most folds that data may be cut into, which were split into `split`; 0 where they may not be.

    A validation part that was given stays whole, as groups do; in order of time the first folds would have few rows to
    train on, and so would the fold of a group that has most rows.
    """
    from nn.data import Split

    if isinstance(data, Split) or "validation_file" in reading or split.time:
        return 0
    kept = [row for part in ("train", "validation") for row in split.rows[part]]
    if split.groups is None:
        return len(kept)
    sizes = Counter(split.groups[kept].tolist()).values()
    return len(sizes) if 2 * max(sizes) <= len(kept) else 0


def splits_of(data: Any, folds: int | None, reading: Mapping[str, Any]) -> tuple[Split, ...]:
    """Return one split, or one for each fold, from whatever the user gave.

    Raises what loading and splitting raise.
    """
    from nn.data import Dataset, Split, load_folds, load_split

    if isinstance(data, Split | Dataset):
        if reading:
            name = next(iter(reading))
            raise ValueError(f"{name} must be given with a file, but the data are a {brief(data)}")
        if isinstance(data, Dataset):
            share, seed = SPLIT["test"], SPLIT["seed"]
            return tuple(data.folds(folds, seed, share)) if folds is not None else (data.split(**SPLIT),)
        if folds is not None:
            return tuple(data.folds(folds))
        if data.validation is None:
            raise ValueError(
                "a split must have a validation part for tuning to look at, but it has none; or pass folds=5"
            )
        return (data,)
    if folds is not None:
        return tuple(load_folds(data, folds, reading, SPLIT["test"], SPLIT["seed"]))
    return (load_split(data, reading, **SPLIT),)


def located(source: Source | None, data: Any, reading: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return data and how they are read: those that a study was made of, where no others are given.

    Raises ValueError where there are none, or no more.
    """
    if data is None:
        if source is None:
            raise ValueError("data must be given for a study that was made from arrays; pass data=FILE, or the arrays")
        source.check_there()
        data = source.name
    reading = checked_reading(reading, ())
    if source is not None and isinstance(data, str | Path):
        reading = {**source.reading, **reading}
    return data, reading


def checked_reading(options: Mapping[str, Any], others: Iterable[str]) -> dict[str, Any]:
    """Return the options of reading that are given, checked; a name that is none may be meant as one of `others`."""
    if not options:
        return {}
    from nn.data import READING, reading_options

    for name in options:
        if name not in READING:
            raise unknown_name("an argument", name, [*(other for other in others if other != "reading"), *READING])
    return reading_options(options)
