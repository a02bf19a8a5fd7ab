"""What the outputs of a network say: labels, numbers in the units of the data, probabilities; and metrics of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import compiled
from nn.data import Dataset, Scaling
from nn.metrics import Metric, metric_of
from nn.model import MLP

Array = NDArray[Any]


def predictions(task: str, outputs: Array, classes: Array | None, scaling: Scaling | None, flat: bool) -> Array:
    """Return what outputs (N, K) predict; numbers in the units that they had before `scaling`."""
    if task == "multilabel":
        return (outputs > 0.5).astype(np.int64)
    if task == "regression":
        return numbers(outputs, scaling, flat)
    assert classes is not None
    if outputs.shape[1] == 1:
        return classes[(outputs[:, 0] > 0.5).astype(np.int64)]
    return classes[outputs.argmax(axis=1)]


def numbers(values: Array, scaling: Scaling | None, flat: bool) -> Array:
    """Return targets or outputs (N, K) of regression in the units that they had before `scaling`."""
    values = values.astype(np.float64)
    if scaling is not None:
        values = scaling.inverse_targets(values)
    return values[:, 0] if flat else values


def probabilities(task: str, output: str | None, outputs: Array) -> Array:
    """Return probabilities (N, classes), or (N, K) of each label alone. Raises ValueError for outputs that are none."""
    if output == "identity" or task == "regression":
        raise ValueError(f"probabilities need a softmax or logistic output, but got {output}")
    if task == "multilabel" or output == "softmax":
        return outputs
    if outputs.shape[1] == 1:
        return np.hstack([1 - outputs, outputs])
    return outputs / outputs.sum(axis=1, keepdims=True)


def measures(
    model: MLP, theta: Array, data: Dataset, names: Sequence[str], own: Mapping[str, Metric] | None = None
) -> dict[str, float]:
    """Return metrics that are computed where they are asked for, by name, from one pass over a data set.

    `own` are metrics by their own names that go before those of the table.
    """
    if not names:
        return {}
    outputs = compiled.outputs_of(model, theta, data.X)
    return {
        name: _measured((own or {}).get(name.partition("_")[2], metric_of(name)), model, data, outputs)
        for name in names
    }


def _measured(metric: Metric, model: MLP, data: Dataset, outputs: Array) -> float:
    if not metric.own:
        return metric.value(data.task, data.targets, outputs)
    if not np.isfinite(outputs).all():
        return float("nan")
    flat = data.y.ndim == 1
    truth = data.targets
    if data.task == "regression":
        truth = numbers(data.targets.reshape(outputs.shape), data.scaling, flat)
    elif data.classes is not None:
        truth = data.classes[truth]
    if metric.needs == "predict_proba":
        return metric.own_value(data.task, truth, probabilities(data.task, model.output, outputs))
    return metric.own_value(data.task, truth, predictions(data.task, outputs, data.classes, data.scaling, flat))
