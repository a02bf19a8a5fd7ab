"""The state of a training, from which it goes on to the last bit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn._arrays import aligned

Array = NDArray[Any]


@dataclass(eq=False)
class TrainState:
    """Everything that `train(…, resume=run.state)` needs to continue a run to the last bit.

    `settings` says in words what the run was started with, so that a continuation with other settings is refused.
    """

    settings: dict[str, Any]
    step: int
    theta: Array  # (P,) the last parameters, whichever were the best
    first: Array  # (P,) velocity, or Adam's first moment; empty where not needed
    second: Array  # (P,) Adam's second moment, or empty
    totals: Array  # (6 + H,) sums of the epoch under way, those of the slopes of hidden units among them
    history: Array  # (epochs, 6 + 4L + M) as the kernels write it, and the metrics that were asked for
    step_loss: Array  # (steps,) or empty
    start_loss: float = float("nan")
    best_theta: Array = field(default_factory=lambda: np.empty(0))
    best_value: float = float("nan")
    best_epoch: int = -1
    status: str = "running"  # running completed diverged stopped
    reason: str = ""

    _ARRAYS = ("theta", "first", "second", "totals", "history", "step_loss", "best_theta")

    def to_arrays(self) -> dict[str, Array]:
        """Return the state as named arrays of numbers and text, which can be stored anywhere; nothing is lost."""
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self._ARRAYS}
        for name in ("start_loss", "best_value"):
            numbers[name] = float(numbers[name]).hex()
        return {"state": np.array(json.dumps(numbers)), **{name: getattr(self, name) for name in self._ARRAYS}}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> TrainState:
        """Return the state that `to_arrays` was called on. Raises ValueError where a part is missing or foreign."""
        try:
            numbers = json.loads(str(arrays["state"]))
            for name in ("start_loss", "best_value"):
                numbers[name] = float.fromhex(numbers[name])
            numbers |= {name: np.array(arrays[name]) for name in cls._ARRAYS}
            return cls(**numbers)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a training state must have all its parts, but {error} is missing or wrong") from error

    def copy(self) -> TrainState:
        """Return a copy that shares no array with this one."""
        arrays: dict[str, Any] = {name: aligned(getattr(self, name)) for name in self._ARRAYS}
        others = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self._ARRAYS}
        return TrainState(**others, **arrays)
