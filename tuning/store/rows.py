"""The rows of a study file: how a trial is written to it, and read back to the last bit."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tuning.store.schema import encode
from tuning.store.trial import COMPLETED, DIVERGED, FAILED, PAUSED, Trial, TrialResult, TrialSpec, setting_of

COLUMNS = (
    "number, identity, params, repeat, fold, seed, state, epochs, metrics, curve_names, curves, duration, "
    "diverged_step, error"
)
_PROGRESS = ("state", "epochs", "metrics", "curve_names", "curves", "diverged_step")
INSERT = f"""
INSERT INTO trials ({COLUMNS}) VALUES ({",".join("?" * 14)})
ON CONFLICT DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _PROGRESS)},
    duration = trials.duration + excluded.duration
WHERE trials.state = '{PAUSED}' AND excluded.identity = trials.identity
    AND (excluded.epochs > trials.epochs OR excluded.state IN ('{COMPLETED}', '{DIVERGED}'))
"""
"""Only a paused trial changes; one that failed later keeps the epochs that it had (`FAIL`)."""
FAIL = f"UPDATE trials SET state = '{FAILED}', error = ? WHERE number = ? AND state = '{PAUSED}'"


class Outcome(NamedTuple):
    """The end of a trial, without its curves; `setting` is the text of its setting."""

    setting: str
    state: str
    metrics: dict[str, float]


class Record(NamedTuple):
    """A trial as it stands in the file: setting and metrics are JSON, curves little-endian float64."""

    setting: str
    repeat: int
    fold: int | None
    state: str
    epochs: int
    metrics: str
    curve_names: tuple[str, ...]
    curves: bytes
    duration: float


class Standing(NamedTuple):
    """The progress of a trial, with the identity by which it is known again."""

    identity: str
    state: str
    epochs: int


_names_text = cache(encode)


@cache
def names_of(text: str) -> tuple[str, ...]:
    """Return the names of curves from their JSON."""
    return tuple(json.loads(text))


def row_of(spec: TrialSpec, result: TrialResult) -> tuple[Any, ...]:
    """Return the values of `COLUMNS` for a trial."""
    metrics = {name: float(value) if math.isfinite(value) else None for name, value in result.metrics.items()}
    curves = result.curves
    blob = np.array(list(curves.values()), dtype="<f8").tobytes() if curves else None
    return (
        spec.number, spec.identity, spec.text, spec.repeat, spec.fold, spec.seed, result.state, result.epochs,
        encode(metrics), _names_text(tuple(curves)), blob, result.duration, result.diverged_step, error_text(result),
    )  # fmt: skip


def error_text(result: TrialResult) -> str | None:
    """Return the error of a trial as it stands in the file: in the first line, with the traceback below it."""
    return result.error if result.traceback is None else f"{result.error}\n{result.traceback}"


def metrics_of(text: str) -> dict[str, float]:
    """Return metrics from their JSON; null is NaN."""
    return {name: math.nan if value is None else value for name, value in json.loads(text).items()}


def trial_of(row: tuple[Any, ...]) -> Trial:
    """Return the trial of a row with `COLUMNS`."""
    number, _, params, repeat, fold, seed, state, epochs, metrics, known, blob, duration, step, error = row
    names = names_of(known)
    lines = np.frombuffer(blob or b"", dtype="<f8").astype(np.float64).reshape(len(names), -1 if names else 0)
    curves = dict(zip(names, lines, strict=True))
    line, _, where = (error or "").partition("\n")
    return Trial(
        state, metrics_of(metrics), curves, epochs, duration, step, line or None, traceback=where or None,
        number=number, params=setting_of(params), repeat=repeat, fold=fold, seed=seed,
    )  # fmt: skip
