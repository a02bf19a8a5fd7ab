"""When to stop before the last epoch: early stopping and targets. Both look at the metrics of each finished epoch."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nn.checks import brief, check_fields, checked, integer, one_of, real
from nn.metrics import full_name, larger_is_better
from nn.run import TrainState


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a metric has not improved for some epochs, and keep the best parameters (Prechelt 1998).

    Args:
        patience: The number of epochs without improvement after which training stops.
        min_delta: The least improvement that counts is more than this. Losses improve downwards, accuracy and R²
            upwards; NaN is never an improvement.
        metric: A column of `History`, such as `"validation_loss"`.

    >>> EarlyStopping(patience=5)
    EarlyStopping(patience=5, min_delta=0.0, metric='validation_loss')
    """

    patience: int = checked(10, integer, low=1)
    min_delta: float = checked(0.0, real, low=0.0)
    metric: str = "validation_loss"

    def __post_init__(self) -> None:
        check_fields(self)

    def update(self, state: TrainState, value: float, epoch: int) -> bool:
        """Note the metric of a finished epoch in `state`, and return whether it is time to stop."""
        first = math.isnan(state.best_value) and not math.isnan(value)
        if first or gain(self.metric, value) > gain(self.metric, state.best_value) + self.min_delta:
            state.best_value, state.best_epoch, state.best_theta = value, epoch, state.theta.copy()
        return epoch - state.best_epoch >= self.patience


def gain(metric: str, value: float) -> float:
    """Return the value with its sign such that more is better."""
    return value if larger_is_better(metric) else -value


def check_target(target: Mapping[str, Any] | None, known: Collection[str]) -> dict[str, float]:
    """Return a target as a dict from metrics to the values to reach. Raises ValueError for an unknown metric."""
    if target is None:
        return {}
    if not isinstance(target, Mapping):
        raise ValueError(f"target must be a dict such as {{'validation_accuracy': 0.97}}, but got {brief(target)}")
    return {one_of("target", full_name(name), known): real(f"target {name}", value) for name, value in target.items()}


def reached(target: Mapping[str, float], metrics: Mapping[str, float]) -> bool:
    """Return whether every metric is as good as its target; NaN never is.

    >>> reached({"validation_accuracy": 0.9}, {"validation_accuracy": 0.91})
    True
    """
    return bool(target) and all(gain(name, metrics[name]) >= gain(name, value) for name, value in target.items())
