"""The definition of a study, on which every result depends, and what else its file says once: time and environment."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

from nn.checks import integer, one_of
from nn.metrics import Metric, own_metric
from tuning.space import Setting, Space
from tuning.store.schema import StudyFileError
from tuning.store.trial import TrialSpec, seed_of, setting_text

_OPTIONAL = ("auto", "curves", "early_stopping", "class_weight", "ensemble", "own_metric", "model")
"""The fields that stand in a file only where they have a value."""
CHANGEABLE = ("source", "version")
"""What the identity of a model says of the code that it depends on, beside "kind" and "name"."""
_BOUNDS = {
    "epochs": (1, 1_000_000),
    "repeats": (1, 100_000),
    "folds": (2, None),
    "seed": (0, None),
    "ensemble": (1, 1000),
}


def checked_number(name: str, value: Any) -> int:
    """Return a number of a study, by name, as an integer. Raises ValueError out of its bounds."""
    return integer(name, value, *_BOUNDS[name])


@dataclass(frozen=True)
class DataDescription:
    """The identity of a study's data; None for what an older file does not say.

    `fingerprint` is the SHA-256 of all numbers and of how they were read, `rows` the beginning of that of the split.
    The name, which a moved file may change, is shown and tells nothing apart.
    """

    name: str
    task: str | None = None
    fingerprint: str = ""
    rows: str | None = None
    scaled: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the values that are known."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def check_continues(self, path: Path | None, content: Mapping[str, Any]) -> None:
        """Raise StudyFileError unless `content`, which `to_json` wrote to the file at `path`, is of these data."""
        there, here = ({**values, "name": ""} for values in (content, self.to_json()))
        check_same(path, {"data": there}, {"data": here})


@dataclass(frozen=True)
class Definition:
    """Everything that the results of a study depend on, in plain values. Raises ValueError for what no study can have.

    `space` has the text of each hyper-parameter's values in the order of the search, and `auto` the space as it was
    given, where range tests found ranges in it. `method_options` are those of `Sampler.options`, `epochs` the most of a
    trial; `metric` decides among the `metrics` that are recorded; all seeds follow from `seed`. `curves` is "layers"
    where those of each layer are recorded too. `early_stopping` is the patience in epochs, `class_weight` "balanced"
    where all classes have the same total weight. `ensemble` is the number of best settings whose networks are the final
    model. `own_metric` is the identity of the metric that decides, where it is the user's own; its `source` may be
    allowed to be another. `model` is the identity of what is trained, where that is not a network of `nn`; what it says
    under `CHANGEABLE` may be allowed to be another.
    """

    space: dict[str, str]
    method: str
    method_options: dict[str, Any]
    epochs: int
    repeats: int
    folds: int | None
    metric: str
    metrics: tuple[str, ...]
    seed: int
    data: DataDescription
    auto: dict[str, str] | None = None
    curves: str | None = None
    early_stopping: int | None = None
    class_weight: str | None = None
    ensemble: int | None = None
    own_metric: dict[str, Any] | None = None
    model: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", tuple(self.metrics))
        for name in _BOUNDS:
            if getattr(self, name) is not None or name not in ("folds", "ensemble"):
                checked_number(name, getattr(self, name))
        one_of("metric", self.metric, self.metrics)

    @classmethod
    def from_json(cls, path: Path | None, content: Mapping[str, Any]) -> Definition:
        """Return the definition that `to_json` wrote to the study file at `path`.

        Raises StudyFileError when it is none that this version knows.
        """
        try:
            definition = cls(**{**content, "data": DataDescription(**content["data"])})
            own = None if definition.own_metric is None else Metric.from_json(definition.own_metric)
        except (KeyError, TypeError, ValueError) as error:
            raise StudyFileError(
                f"{str(path)!r} must have a definition that this version knows, but: {error}; upgrade nn-tuning"
            ) from None
        if own is not None:
            try:
                own_metric(own)
            except ValueError as error:
                raise StudyFileError(f"{str(path)!r} can't be opened in this session: {error}, here or there") from None
        return definition

    def to_json(self) -> dict[str, Any]:
        """Return the plain values that a study file has as the definition."""
        content = {**asdict(self), "metrics": list(self.metrics), "data": self.data.to_json()}
        return {name: value for name, value in content.items() if name not in _OPTIONAL or value is not None}

    def check_continues(self, path: Path | None, content: Mapping[str, Any], allow_changed: bool = False) -> None:
        """Raise StudyFileError, saying what differs, unless `content`, which `to_json` wrote, is this definition.

        The ranges of `auto` may be given as they were found; `allow_changed` lets code and versions be others.
        """
        here = {**{name: None for name in _OPTIONAL if name != "auto"}, **self.to_json()}
        here["data"] = {**here["data"], "name": content["data"].get("name")}
        check_model(path, content.get("model"), here.pop("model"), allow_changed)
        check_own_metric(path, content.get("own_metric"), here.pop("own_metric"), allow_changed)
        check_same(path, content, here)

    @property
    def searched(self) -> Space:
        """The space; what its names mean is known for networks of `nn` alone."""
        return Space(self.space, own=self.model is not None)

    @property
    def trials_per_setting(self) -> int:
        """The number of trials of one setting: one for each repeat and fold."""
        return self.repeats * (self.folds or 1)

    def trials_of(self, setting: Setting, place: int = 0, epochs: int | None = None) -> Iterator[TrialSpec]:
        """Yield the trials of the setting at this place in the study, with all epochs or with fewer."""
        text, first = setting_text(setting), place * self.trials_per_setting
        folds: Sequence[int | None] = (None,) if self.folds is None else range(self.folds)
        for number, (repeat, fold) in enumerate(product(range(self.repeats), folds), first):
            seed = seed_of(self.seed, repeat, fold)
            yield TrialSpec(number, setting, text, repeat, fold, epochs or self.epochs, seed, self.epochs)


def check_own_metric(
    path: Path | None, there: Mapping[str, Any] | None, here: Mapping[str, Any] | None, allow_changed: bool = False
) -> None:
    """Raise StudyFileError unless two metrics of one's own are the same; `allow_changed`, by what may be other code."""
    there, here = dict(there or {}), dict(here or {})
    sources = there.pop("source", None), here.pop("source", None)
    check_same(path, {"own_metric": there}, {"own_metric": here})
    if sources[0] != sources[1] and not allow_changed:
        raise StudyFileError(
            f"the study in {str(path)!r} must be continued with the same code, but the source of {here['name']} is "
            f"{_shown(sources[0])} there and {_shown(sources[1])} here; name another file, or let its trials be of "
            "both by allow_changed=True"
        )


def check_model(
    path: Path | None, there: Mapping[str, Any] | None, here: Mapping[str, Any] | None, allow_changed: bool = False
) -> None:
    """Raise StudyFileError unless two studies train the same; `allow_changed`, by what may be other code."""
    there, here = ({"name": "network"} if model is None else model for model in (there, here))
    check_same(path, {"model": there["name"]}, {"model": here["name"]})  # of another one, all else is another too
    kept = [{name: value for name, value in model.items() if name not in CHANGEABLE} for model in (there, here)]
    check_same(path, {"model": kept[0]}, {"model": kept[1]})
    changed = [name for name in CHANGEABLE if there.get(name) != here.get(name)]
    if changed and not allow_changed:
        each = ", ".join(
            f"the {name} {_shown(there.get(name))} there and {_shown(here.get(name))} here" for name in changed
        )
        raise StudyFileError(
            f"the study in {str(path)!r} must be continued with the same code, but has {each}; name another file, or "
            "let its trials be of both by allow_changed=True"
        )


def check_same(path: Path | None, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise StudyFileError, saying what differs, unless two definitions, or parts of them, are the same.

    The order of the names in a space counts, as another order would make another grid.
    """
    differences = []
    for key, here in new.items():
        there = old.get(key)
        values = {key: (there, here)}
        if isinstance(here, dict) and isinstance(there, dict):
            values = {name: (there.get(name), here.get(name)) for name in {**there, **here}}
            if there == here and list(there) != list(here):
                differences.append(f"{key} in the order {', '.join(there)} there and {', '.join(here)} here")
        differences += [f"{name} {_shown(a)} there and {_shown(b)} here" for name, (a, b) in values.items() if a != b]
    if differences:
        raise StudyFileError(
            f"the study in {str(path)!r} must have the same definition to be continued, "
            f"but has {'; '.join(differences)}; name another file"
        )


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] + "…" if len(text) == 64 else text


@lru_cache(maxsize=1)
def environment() -> dict[str, str | int | None]:
    """Return the versions and the machine that a study is run with; looking them up takes some milliseconds."""
    versions: dict[str, str | int | None] = {"python": platform.python_version()}
    for name in ("nn-tuning", "numpy", "numba", "scipy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    machine = {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
    return {**versions, **machine}


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
