"""The course of a run, epoch by epoch: losses, scores, and what each layer did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import reference
from nn.checks import one_of
from nn.metrics import names_of

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class LayerHistory:
    """Each layer in the course of a run: float64 arrays (epochs, layers), first layer first.

    `weight_norm` is ‖W‖ at the end of the epoch. `gradient_norm` and `update_norm` are ‖dW‖, before clipping, and ‖ΔW‖,
    weight decay included, in the last step of the epoch.

    `dead` and `saturated` (epochs, layers − 1) are shares of the units of each hidden layer, over the examples of the
    epoch, each seen by the parameters of its own step: `dead` of relu units that were 0 for all of them, `saturated` of
    tanh and logistic units whose mean slope was at most 1 % of the largest. They are NaN for other activations.
    """

    records: Array  # (4 · layers, epochs)
    activation: str

    @property
    def weight_norm(self) -> Array:
        return self._of(reference.WEIGHT_NORMS)

    @property
    def gradient_norm(self) -> Array:
        return self._of(reference.GRADIENT_NORMS)

    @property
    def update_norm(self) -> Array:
        return self._of(reference.UPDATE_NORMS)

    @property
    def dead(self) -> Array:
        return self._idle(self.activation == "relu")

    @property
    def saturated(self) -> Array:
        return self._idle(self.activation != "relu")

    def curves(self) -> dict[str, Array]:
        """Return each of the arrays that apply layer by layer, (epochs,), under such names as "layer_1_weight_norm"."""
        idle = {"relu": ["dead"], "tanh": ["saturated"], "logistic": ["saturated"]}.get(self.activation, [])
        tables = {name: getattr(self, name).T for name in ("weight_norm", "gradient_norm", "update_norm", *idle)}
        return {f"layer_{i}_{name}": line for name, table in tables.items() for i, line in enumerate(table, 1)}

    def _of(self, kind: int) -> Array:
        return self.records.reshape(4, -1, self.records.shape[1])[kind].T

    def _idle(self, known: bool) -> Array:
        shares = self._of(reference.IDLE_SHARES)[:, :-1]
        return shares if known else np.full_like(shares, np.nan)


@dataclass(frozen=True, eq=False)
class History:
    """The course of a run: float64 arrays (epochs,) with one value for each epoch that was completed.

    Training losses and scores are means over the examples of the epoch, each seen by the parameters of its own step;
    validation is scored at the end of the epoch. Losses are without the L2 penalty. A column that does not apply is
    None: accuracy in regression, R² elsewhere, validation where nothing is held out.

    `gradient_norm` and `update_norm` are means over the steps of ‖g‖, before clipping, and of ‖Δθ‖, weight decay
    included; `layers` has those of each layer, and the shares of its units that learn nothing. With `record_steps`,
    `step_loss` (steps,) is the loss of each mini-batch before its update.
    """

    train_loss: Array
    validation_loss: Array | None
    train_accuracy: Array | None
    validation_accuracy: Array | None
    train_r2: Array | None
    validation_r2: Array | None
    gradient_norm: Array
    update_norm: Array
    step_loss: Array | None = None
    layers: LayerHistory | None = None

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> History:
        """Return the history with these columns; those beside the fields are metrics that were asked for."""
        known = {name: columns.get(name) for name in cls.__dataclass_fields__}
        history = cls(**known)  # type: ignore[arg-type]
        for name in filter(lambda name: name not in known, columns):
            vars(history)[one_of("column of a history", name, names_of())] = columns[name]
        return history

    @property
    def asked(self) -> list[str]:
        """The names of the metrics that were asked for."""
        return [name for name in names_of() if name in vars(self) and name not in self.__dataclass_fields__]

    def __getattr__(self, name: str) -> Any:
        """Return None for a metric that was not asked for."""
        if name in names_of():
            return None
        raise AttributeError(f"a History has no {name!r}")

    def __len__(self) -> int:
        return len(self.train_loss)

    def metrics(self, epoch: int = -1) -> dict[str, float]:
        """Return the losses and scores of an epoch, by default the last, by name; NaN where none was completed."""
        columns = vars(self)
        return {
            name: float(values[epoch]) if len(values) else float("nan")
            for name in names_of()
            if (values := columns.get(name)) is not None
        }
