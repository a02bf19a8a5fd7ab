"""The hyper-parameters that can be tuned: their names, what they belong to and one line about each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nn.optimizers import OPTIMIZERS, Optimizer


class Known(NamedTuple):
    """A hyper-parameter that can be tuned: the part it belongs to, an example of its text, and a line about it."""

    part: str
    example: str
    about: str


def takers(name: str) -> list[str]:
    """Return the optimizers that have a parameter of this name."""
    return [known for known, kind in OPTIMIZERS.items() if name in kind.__dataclass_fields__]


def _listed(names: Iterable[str], last: str = "or") -> str:
    return f" {last} ".join(", ".join(names).rsplit(", ", 1))


def _fields() -> dict[str, Mapping[str, Any]]:
    """Return the metadata of the optimizers' parameters by name; those that all optimizers share come last."""
    kinds: list[type[Optimizer]] = [*OPTIMIZERS.values(), Optimizer]
    told = {name: f.metadata for kind in kinds for name, f in kind.__dataclass_fields__.items() if f.metadata}
    shared = Optimizer.__dataclass_fields__
    return {name: told[name] for name in sorted(told, key=lambda name: name in shared)}


def _of_optimizers() -> dict[str, Known]:
    known = {}
    for name, told in _fields().items():
        own = "" if name in Optimizer.__dataclass_fields__ else f", of {_listed(takers(name), 'and')}"
        known[name] = Known("optimizer", told["example"], told["about"] + own)
    return known


PARAMETERS: dict[str, Known] = {
    "learning_rate": Known("optimizer", "1e-3:1:log", "the optimizer's learning rate"),
    "batch_size": Known("training", "16,32,64", "examples in a mini-batch, or full"),
    "hidden_units": Known("model", "32,64x32", "units of the hidden layer, or of several joined by x; () for none"),
    "optimizer": Known("training", "sgd,adam", _listed(OPTIMIZERS)),
    **_of_optimizers(),
    "l2": Known("model", "1e-6:1e-2:log", "penalty l2/2 times the sum of squared weights"),
    "dropout": Known("model", "0:0.5", "probability that a hidden unit is silenced"),
    "activation": Known("model", "relu,tanh", "relu, tanh, logistic, gelu or identity"),
    "init": Known("model", "he,glorot", "he, glorot, lecun, torch, normal or zeros"),
    "bias": Known("model", "true,false", "whether layers have biases"),
    "dtype": Known("model", "float32", "float32 or float64"),
    "schedule": Known(
        "training", "constant,cosine", "constant, step, exponential, cosine, warmup, one_cycle, triangular or ramp"
    ),
    "schedule_every": Known("schedule", "100", "steps between the drops of step"),
    "schedule_factor": Known("schedule", "0.1:0.9", "what each drop of step multiplies the rate by"),
    "schedule_final": Known(
        "schedule", "0:0.1", "the end of exponential and cosine, as a multiple; of ramp, as a rate"
    ),
    "schedule_warmup": Known("schedule", "50", "steps of warmup"),
    "schedule_rise": Known("schedule", "0.1:0.5", "the part of one_cycle that rises"),
    "schedule_half": Known("schedule", "100", "steps of triangular in one direction"),
    "schedule_low": Known("schedule", "0:0.5", "the low end of triangular, as a multiple"),
}

DEFAULTS: dict[str, object] = {"learning_rate": 0.1, "batch_size": 32, "hidden_units": 32, "optimizer": "sgd"}
"""The values of a setting that names no others; all else has the defaults of nn, as other optimizers' rates do."""

WHOLE = frozenset({"batch_size", "hidden_units", "schedule_every", "schedule_warmup", "schedule_half"})
"""The parameters that are whole numbers: a range of one of them is a range of whole numbers, however it is written."""

BOUNDS: dict[str, tuple[float, float]] = {
    "batch_size": (1, 1),  # upwards only the data say how far
    "hidden_units": (1, math.inf),
    **{name: (0.0, told["most"]) for name, told in _fields().items()},
    "dropout": (0.0, 0.95),
    "schedule_every": (1, math.inf),
    "schedule_warmup": (1, math.inf),
    "schedule_half": (1, math.inf),
    "schedule_factor": (0.001, math.inf),
    "schedule_rise": (0.01, 0.99),
    "schedule_low": (0.0, 1.0),
}
"""The bounds of a search, even where it may leave the range that it was given; all else may not pass 0."""


def bounds(name: str, low: float, high: float) -> tuple[float, float]:
    """Return the bounds within which a range may be left; the range itself is always within them."""
    least, most = BOUNDS.get(name, (0.0, math.inf))
    return min(least, low), max(most, high)
