"""A trial, one training of one setting in one repeat and one fold: its specification, its seed and its result."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nn.checks import one_line
from tuning.space import Setting, Value

COMPLETED, DIVERGED, FAILED, PRUNED, PAUSED = STATES = ("completed", "diverged", "failed", "pruned", "paused")
"""The ways a trial can end, and "paused": it waits to be promoted or pruned. Only completed trials are ranked."""

LONGEST_TRACEBACK = 20_000
"""The most letters of a traceback that are kept, its end."""

_FORM: dict[str, Any] = {"separators": (",", ":"), "allow_nan": False, "check_circular": False}
_encode = json.JSONEncoder(**_FORM).encode
_encode_sorted = json.JSONEncoder(sort_keys=True, **_FORM).encode


def setting_text(setting: Mapping[str, Value]) -> str:
    """Return the JSON text of a setting with the names in the order of its space, as tables show them."""
    return _encode(setting)


def canonical(setting: Mapping[str, Value]) -> str:
    """Return the one JSON text of a setting: names in order, no spaces, numbers as Python prints them.

    >>> canonical({"learning_rate": 0.1, "hidden_units": (64, 32)})
    '{"hidden_units":[64,32],"learning_rate":0.1}'
    """
    return _encode_sorted(setting)


def setting_of(text: str) -> Setting:
    """Return the setting of a JSON text: layers are tuples again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}


class TrialSpec(NamedTuple):
    """Everything that the result of a trial depends on, given the study's data and options.

    `text` is the JSON of `params`; `number` is its place in the study; `epochs` is its budget, which is not
    part of its identity: a trial that continues is the same trial. It continues at epoch `start` from `checkpoint`,
    which an earlier `TrialResult` had; `horizon` is the most epochs that it can get: schedules are laid out for them.
    """

    number: int
    params: Setting
    text: str
    repeat: int
    fold: int | None
    epochs: int
    seed: int
    horizon: int | None = None
    start: int = 0
    checkpoint: bytes | None = None

    @property
    def continues(self) -> bool:
        """True where more epochs may follow those of this budget."""
        return self.horizon is not None and self.epochs < self.horizon

    @property
    def identity(self) -> str:
        """32 hexadecimal digits (BLAKE2b) of setting, repeat and fold: the same on every machine and in every run."""
        return blake2b(f"{canonical(self.params)} {self.repeat} {self.fold}".encode(), digest_size=16).hexdigest()


@cache
def seed_of(study_seed: int, repeat: int, fold: int | None) -> int:
    """Return the seed (32 bits) of every trial in this repeat and fold, whatever its setting.

    Settings share it, so that two of them are compared on the same initial weights and the same shuffles.
    """
    key = (repeat,) if fold is None else (repeat, fold)
    return int(np.random.SeedSequence(study_seed, spawn_key=key).generate_state(1)[0])


def best_epoch(curves: Mapping[str, NDArray[np.float64]]) -> int | None:
    """Return the epoch, from 1, with the lowest validation loss; the first of equal ones. None without such a loss.

    >>> best_epoch({"validation_loss": np.array([0.9, 0.4, 0.6])})
    2
    """
    losses = curves.get("validation_loss")
    if losses is None or np.isnan(losses).all():
        return None
    return int(np.nanargmin(losses)) + 1


@dataclass(frozen=True, slots=True, eq=False)
class TrialResult:
    """The result of a trial.

    `metrics` are those of the last epoch, under early stopping of the best one; `curves` has one (epochs,) float64
    array for each metric that was followed; `duration` is in seconds; `diverged_step` is set where the state is
    "diverged", `error`, a line, where it is "failed", and `traceback` where code of one's own failed. `checkpoint` is
    what a trial that may get more epochs needs to continue, to the last bit.
    """

    state: str
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    epochs: int = 0
    duration: float = 0.0
    diverged_step: int | None = None
    error: str | None = None
    checkpoint: bytes | None = None
    traceback: str | None = None

    @classmethod
    def of_error(cls, error: BaseException, duration: float = 0.0, traced: bool = False) -> Self:
        """Return the result of a trial that failed with this error; `traced`, with its traceback."""
        where = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:].strip() if traced else None
        return cls(FAILED, duration=duration, error=one_line(error), traceback=where)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Trial(TrialResult):
    """The result of a trial as read from a study, with the fields of `TrialSpec` that tell which trial it is of.

    Its checkpoint, if there is one, stays in the file.
    """

    number: int
    params: Setting
    repeat: int
    fold: int | None
    seed: int

    @property
    def best_epoch(self) -> int | None:
        """The epoch, from 1, after which the validation loss was lowest for the first time: early stopping keeps it.

        None where there is no such curve.
        """
        return best_epoch(self.curves)

    def exactly_equals(self, other: Trial) -> bool:
        """Return whether everything but the duration is the same to the last bit; NaN equals NaN."""
        return self._comparable() == other._comparable()

    def _comparable(self) -> tuple[Any, ...]:
        curves = {name: np.asarray(curve, dtype="<f8").tobytes() for name, curve in self.curves.items()}
        metrics = {name: np.float64(value).tobytes() for name, value in self.metrics.items()}
        place = (self.number, canonical(self.params), self.repeat, self.fold, self.seed)
        return (*place, self.state, metrics, curves, self.epochs, self.diverged_step, self.error)
