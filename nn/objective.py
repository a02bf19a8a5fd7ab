"""The objective J as a function of theta: its value, its gradient and its Hessian-vector products.

J is the mean loss over the examples plus l2/2 · ΣW², without dropout. These are the methods of `nn.MLP` of the same
names, in the dtype of the model; what follows from them is in `nn.curvature`.
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


def loss(model: Model, theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> float:
    """Return J(theta)."""
    model, data = prepare(model, X, y)
    vector = compiled.parameters(model, theta)
    return compiled.mean_loss(model, vector, data)[0] + penalty(model, vector)


def gradient(model: Model, theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> Array:
    """Return ∇J(theta) (P,)."""
    model, data = prepare(model, X, y)
    return compiled.loss_gradient(model, compiled.parameters(model, theta), data)[1]


def hessian_vector_product(model: Model, theta: ArrayLike, v: ArrayLike, X: ArrayLike, y: ArrayLike) -> Array:
    """Return H v (P,) with H the Hessian of J at theta, exactly (Pearlmutter 1994)."""
    model, data = prepare(model, X, y)
    vector = compiled.parameters(model, theta)
    return compiled.hessian_vector_product(model, vector, compiled.parameters(model, v, "v"), data)
