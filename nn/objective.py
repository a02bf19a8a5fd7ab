"""The two parts of the objective J: the examples whose mean loss it has, as the kernels take them, and the penalty.

`nn.MLP` has J, its gradient and its Hessian-vector products; what follows from them is in `nn.curvature`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn import compiled
from nn._arrays import as_array
from nn.compiled import Examples, Model

Array = NDArray[Any]
Named = TypeVar("Named", bound=Model)


def prepare(model: Named, X: ArrayLike, y: ArrayLike) -> tuple[Named, Examples]:
    """Return the model with output and loss named, and the examples as the kernels take them.

    Where the model does not name its output and loss, they follow y: whole numbers are classes, or labels if they
    stand in columns; other numbers are values. For many calls on the same examples, this spares checking and
    converting them each time.
    """
    targets = as_array("y", y)
    if model.output is None or model.loss_name is None:
        whole = "classification" if targets.ndim == 1 else "multilabel"
        model = model.for_task("regression" if targets.dtype.kind == "f" else whole)
    return model, compiled.examples(model, compiled.features(model, X), targets)


def penalty(model: Model, theta: Array) -> float:
    """Return l2/2 · ΣW², summed in float64."""
    if not model.l2:
        return 0.0
    return 0.5 * model.l2 * sum(float(np.sum(W.astype(np.float64) ** 2)) for W, _ in model.layers(theta))
