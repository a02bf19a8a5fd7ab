"""nn: a from-scratch trainer for multilayer perceptrons, compiled by Numba.

>>> from nn import MLP, SGD, load_dataset, train
>>> split = load_dataset("digits").split(validation=0.2, test=0.2, seed=0)
>>> run = train(MLP((64, 32, 10)), split, SGD(learning_rate=0.1, momentum=0.9), epochs=20)
>>> run.evaluate(split.validation)["accuracy"] > 0.95
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nn.curvature import gradient_noise_scale as gradient_noise_scale
    from nn.curvature import sharpness as sharpness
    from nn.data import Dataset as Dataset
    from nn.data import Split as Split
    from nn.data import load_dataset as load_dataset
    from nn.metrics import Metric as Metric
    from nn.model import MLP as MLP
    from nn.optimizers import SGD as SGD
    from nn.optimizers import Adam as Adam
    from nn.optimizers import AdamW as AdamW
    from nn.optimizers import RMSprop as RMSprop
    from nn.run import Ensemble as Ensemble
    from nn.run import History as History
    from nn.run import LayerHistory as LayerHistory
    from nn.run import Run as Run
    from nn.run import TrainState as TrainState
    from nn.run import load as load
    from nn.stopping import EarlyStopping as EarlyStopping
    from nn.training import Snapshot as Snapshot
    from nn.training import train as train

# Each name is imported when it is first used, so that what needs no kernels does not wait for Numba.
_HOME = {
    "gradient_noise_scale": "curvature",
    "sharpness": "curvature",
    "Dataset": "data",
    "Split": "data",
    "load_dataset": "data",
    "Metric": "metrics",
    "MLP": "model",
    "SGD": "optimizers",
    "Adam": "optimizers",
    "AdamW": "optimizers",
    "RMSprop": "optimizers",
    "Ensemble": "run",
    "History": "run",
    "LayerHistory": "run",
    "Run": "run",
    "TrainState": "run",
    "load": "run",
    "EarlyStopping": "stopping",
    "Snapshot": "training",
    "train": "training",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"nn.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
