"""Objectives that cost nothing, and studies on them."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tuning.run import Limits
from tuning.store import COMPLETED, DataDescription, Definition, TrialResult, TrialSpec
from tuning.store.trial import canonical
from tuning.study import Study

METRICS = ["train_loss", "validation_loss", "validation_accuracy"]


def definition(**changes: Any) -> Definition:
    """The definition of a small study; changes replace fields."""
    plain: dict[str, Any] = {
        "space": {"learning_rate": "0.001:1:log", "batch_size": "16,32"},
        "method": "grid",
        "method_options": {"points": 5},
        "epochs": 3,
        "repeats": 1,
        "folds": None,
        "metric": "validation_accuracy",
        "metrics": METRICS,
        "seed": 0,
        "data": DataDescription("fake", fingerprint="f" * 64),
    }
    return Definition(**{**plain, **changes})


def noisy(spec: TrialSpec) -> TrialResult:
    """A result that depends on the setting and the seed in every bit; with fewer epochs, its curves end earlier."""
    text = f"{canonical(spec.params)} {spec.seed}"
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
    table = rng.random((spec.epochs, len(METRICS)))
    curves = {name: table[:, i].copy() for i, name in enumerate(METRICS)}
    return TrialResult(COMPLETED, {name: float(curve[-1]) for name, curve in curves.items()}, curves, spec.epochs)


def scored(accuracy: float) -> TrialResult:
    """A completed trial with this validation accuracy."""
    return TrialResult(COMPLETED, {"validation_accuracy": accuracy}, {}, 3)


def a_study(objective: Any = noisy, storage: Path | None = None, limits: Limits | None = None, **changes: Any) -> Study:
    """A small study that has not run yet."""
    return Study.create(objective, definition(**changes), limits or Limits(), storage)


def same_trials(one: Study, other: Study) -> bool:
    """Whether two studies have the same trials, to the last bit."""
    a, b = list(one.trials), list(other.trials)
    return len(a) == len(b) > 0 and all(x.exactly_equals(y) for x, y in zip(a, b, strict=True))


class Clock:
    """Stands in for the module `time`: seconds pass where a test adds them, and `each_look` with each look."""

    def __init__(self, each_look: float = 0.0) -> None:
        self.now, self.each_look = 0.0, each_look

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        self.now += self.each_look
        return self.now


def run_until_killed(lines: Sequence[str]) -> None:
    """Run lines of Python in another process, which must end by killing itself."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=root, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr


def is_nan(value: float) -> bool:
    """Whether a number is NaN."""
    return math.isnan(value)


def files(folder: Path) -> list[str]:
    """Everything that is in a folder, below it too."""
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names)
