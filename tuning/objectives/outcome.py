"""What an objective of one's own returned, as the metrics and curves of a trial; and its state, as bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import brief


class Curves:
    """The metrics of a trial, epoch by epoch; `earlier` are those that it had when it was here before.

    Raises TypeError and ValueError, in one line, for what are no metrics, and where a trial that is run again is not
    what it was.
    """

    def __init__(self, metric: str, earlier: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        self.metric = metric
        self.earlier = earlier or {}
        self.columns: dict[str, list[float]] = {}
        self.epochs = 0

    def begin(self) -> None:
        """Start from the end of the earlier epochs."""
        self.columns = {name: curve.tolist() for name, curve in self.earlier.items()}
        self.epochs = len(next(iter(self.columns.values()), ()))

    def add(self, returned: Any) -> None:
        """Take in the metrics of one more epoch."""
        metrics = metrics_of(returned, self.metric)
        if self.epochs == 0:
            self.columns = {name: [] for name in metrics}
        if metrics.keys() != self.columns.keys():
            raise ValueError(
                f"an objective must give the same metrics in every epoch, but gave {', '.join(self.columns)} before "
                f"and {', '.join(metrics)} in epoch {self.epochs + 1:,}"
            )
        self.epochs += 1
        for name, value in metrics.items():
            self.columns[name].append(value)
            known = self.earlier.get(name, ())
            if len(known) >= self.epochs and not _same(known[self.epochs - 1], value):
                raise ValueError(
                    f"an objective must give the same metrics for the same seed, but {name} of epoch {self.epochs:,} "
                    f"was {known[self.epochs - 1]:.6g} and now is {value:.6g}; draw all that is random from seed"
                )
        check_finite(self.metric, metrics[self.metric], self.epochs)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the curves."""
        return {name: np.array(values) for name, values in self.columns.items()}

    def last(self) -> dict[str, float]:
        """Return the metrics of the last epoch."""
        return {name: values[-1] for name, values in self.columns.items()}


def metrics_of(returned: Any, metric: str) -> dict[str, float]:
    """Return what an objective gave as metrics; one number is the metric that decides.

    >>> metrics_of(0.5, "loss"), metrics_of({"loss": np.float32(0.5), "steps": 3}, "loss")
    ({'loss': 0.5}, {'loss': 0.5, 'steps': 3.0})
    """
    if not isinstance(returned, Mapping):
        number = _number(returned)
        if number is None:
            raise TypeError(
                "an objective must return a number or a dict of numbers, or yield such, one an epoch, but gave "
                f"{'nothing' if returned is None else f'{type(returned).__name__} {brief(returned)}'}"
            )
        return {metric: number}
    metrics = {}
    for name, value in returned.items():
        number = _number(value)
        if number is None or not isinstance(name, str):
            raise TypeError(f"metrics must be numbers by name, but {brief(name)} is {brief(value)}")
        metrics[name] = number
    if metric not in metrics:
        raise ValueError(
            f"an objective must give the metric {metric!r}, but gave {', '.join(metrics) or 'an empty dict'}"
        )
    return metrics


def check_finite(metric: str, value: float, epoch: int) -> None:
    """Raise ValueError where the metric that decides is no finite number."""
    if not math.isfinite(value):
        raise ValueError(f"{metric} must be a finite number, but is {value} after epoch {epoch:,}")


def _number(value: Any) -> float | None:
    """Return a number, also one in an array or tensor of one element, as a float; None for anything else."""
    if hasattr(value, "item") and getattr(value, "size", 1) != 0:
        try:
            value = value.item()
        except (TypeError, ValueError, RuntimeError):
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


# -- states ----------------------------------------------------------------------------------------------------


def packed(state: Any) -> bytes:
    """Return a state as bytes: a line of JSON with its form, and the numbers and bytes in it one after another.

    A state is made of arrays, bytes, numbers, texts, None, and dicts with texts as keys, lists and tuples of such.
    Raises TypeError, in one line, for anything else.

    >>> unpacked(packed({"weights": np.zeros(2), "steps": (3, None)}))
    {'weights': array([0., 0.]), 'steps': (3, None)}
    """
    pieces: list[bytes] = []
    form = _form(state, pieces)
    return b"\n".join([json.dumps(form).encode(), b"".join(pieces)])


def unpacked(content: bytes) -> Any:
    """Return the state that `packed` was given; arrays are new ones, which may be changed."""
    head, _, pieces = content.partition(b"\n")
    sizes: list[int] = []
    return _value(json.loads(head), pieces, sizes)


def _form(value: Any, pieces: list[bytes]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        pieces.append(bytes(value))
        return {"bytes": len(value)}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _form(each, pieces) for key, each in value.items()}}
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [_form(each, pieces) for each in value]}
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__") else None
    if array is None or array.dtype.hasobject:
        raise TypeError(
            "a state must be made of arrays, bytes, numbers, texts, and dicts with texts as keys, lists and tuples of "
            f"such, but has {type(value).__name__} {brief(value)}"
        )
    pieces.append(array.tobytes())
    return {"array": [array.dtype.str, array.shape]}


def _value(form: Any, pieces: bytes, sizes: list[int]) -> Any:
    if not isinstance(form, dict):
        return form
    ((kind, content),) = form.items()
    if kind == "dict":
        return {key: _value(each, pieces, sizes) for key, each in content.items()}
    if kind in ("list", "tuple"):
        values: Iterator[Any] = (_value(each, pieces, sizes) for each in content)
        return list(values) if kind == "list" else tuple(values)
    start = sum(sizes)
    size = content if kind == "bytes" else np.dtype(content[0]).itemsize * math.prod(content[1])
    sizes.append(size)
    piece = pieces[start : start + size]
    return piece if kind == "bytes" else np.frombuffer(piece, content[0]).reshape(content[1]).copy()
