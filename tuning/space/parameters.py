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
    "rate_multipliers": Known("optimizer", "1x1,1x0.1", "multiples of the learning rate, one a layer joined by x"),
    "l2": Known("model", "1e-6:1e-2:log", "penalty l2/2 times the sum of squared weights"),
    "dropout": Known("model", "0:0.5", "probability that a hidden unit is silenced"),
    "activation": Known("model", "relu,tanh", "relu, tanh, logistic, gelu or identity"),
    "init": Known("model", "he,glorot", "he, glorot, lecun, torch, normal or zeros"),
    "std": Known("model", "0.01:1:log", "standard deviation of the initial weights, of all layers or one a layer"),
    "multipliers": Known("model", "1x0.5", "forward multipliers, of all layers or one a layer"),
    "parametrisation": Known("model", "standard,mup", "standard or mup"),
    "base_width": Known("model", "32", "the hidden width at which mup is standard"),
    "bias": Known("model", "true,false", "whether layers have biases"),
    "output": Known("model", "logistic", "softmax, logistic or identity; the task's unless given"),
    "loss": Known("model", "cross_entropy,squared_error", "cross_entropy or squared_error; the task's unless given"),
    "dtype": Known("model", "float32", "float32 or float64"),
    "schedule": Known(
        "training", "constant,cosine", "constant, step, exponential, cosine, warmup, one_cycle, triangular or ramp"
    ),
    "schedule_every": Known("schedule", "100", "steps between the drops of step"),
    "schedule_factor": Known("schedule", "0.1:0.9", "what each drop of step multiplies the rate by"),
    "schedule_final": Known(
        "schedule", "0:0.1", "the end of exponential and cosine, as a multiple; of ramp, as a rate"
    ),
    "warmup": Known("training", "0,100", "steps of a linear rise of the rate before any other schedule, or none"),
    "schedule_steps": Known("schedule", "1000", "steps after which the rate stays; those of the trial unless given"),
    "schedule_warmup": Known("schedule", "50", "steps of warmup"),
    "schedule_rise": Known("schedule", "0.1:0.5", "the part of one_cycle that rises"),
    "schedule_start": Known("schedule", "10:100:log", "what one_cycle divides the rate by at its start"),
    "schedule_end": Known("schedule", "1e2:1e5:log", "what one_cycle divides its first rate by at its end"),
    "schedule_linear": Known("schedule", "true,false", "whether ramp goes by equal differences, not equal factors"),
    "schedule_half": Known("schedule", "100", "steps of triangular in one direction"),
    "schedule_low": Known("schedule", "0:0.5", "the low end of triangular, as a multiple"),
}

BESIDE: dict[str, str] = {
    "epochs": "beside the space, as epochs=20",
    "seed": "beside the space, as seed=0",
    "layer_sizes": "as hidden_units",
    "schedule_learning_rate": "as learning_rate",
    "schedule_then": "as the schedule, with warmup beside it",
}
"""What training takes and a space does not, and how it is given instead."""

DEFAULTS: dict[str, object] = {"learning_rate": 0.1, "batch_size": 32, "hidden_units": 32, "optimizer": "sgd"}
"""The values of a setting that names no others; all else has the defaults of nn, as other optimizers' rates do."""

WHOLE = frozenset(
    {"batch_size", "hidden_units", "base_width", "warmup"}
    | {f"schedule_{name}" for name in ("every", "warmup", "half", "steps")}
)
"""The parameters that are whole numbers: a range of one of them is a range of whole numbers, however it is written."""

PER_LAYER = frozenset({"hidden_units", "rate_multipliers", "std", "multipliers"})
"""The parameters that may have a number for each layer."""

BOUNDS: dict[str, tuple[float, float]] = {
    "batch_size": (1, 1),  # upwards only the data say how far
    "hidden_units": (1, math.inf),
    **{name: (0.0, told["most"]) for name, told in _fields().items()},
    "dropout": (0.0, 0.95),
    "base_width": (1, math.inf),
    "schedule_steps": (1, math.inf),
    "schedule_start": (1.0, math.inf),
    "schedule_end": (1.0, math.inf),
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
