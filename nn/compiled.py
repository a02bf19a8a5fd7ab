"""The way to the kernels: checked arrays and workspaces go in, nothing else does.

Kernels are compiled on their first call and cached on disk; while that goes on, a line on standard error says so.
"""

from __future__ import annotations

import math
import sys
import weakref
from itertools import pairwise
from typing import Any, Protocol, Self

import numpy as np
from numba.core import event
from numpy.typing import ArrayLike, NDArray

from nn import kernels, llvm, reference
from nn._arrays import CACHE_LINE, aligned, aligned_empty, as_array, check_finite, chunk_slices
from nn.data import Dataset, LazyRows
from nn.kernels import Examples as Examples
from nn.kernels import Workspace as Workspace
from nn.llvm import cache, elementary, products, registers

Array = NDArray[Any]

cache.guard(kernels, reference, llvm, products, elementary, registers)


class Model(Protocol):
    """The part of `nn.MLP` that is asked for below it: `MLP` has methods that need the kernels, which need these."""

    @property
    def layer_sizes(self) -> tuple[int, ...]: ...
    @property
    def depth(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    @property
    def output(self) -> str | None: ...
    @property
    def loss_name(self) -> str | None: ...
    @property
    def l2(self) -> float: ...
    @property
    def network(self) -> reference.Network: ...
    def layers(self, theta: Array) -> list[tuple[Array, Array]]: ...
    def for_task(self, task: str) -> Self: ...


def workspace(model: Model, rows: int) -> Workspace:
    """Return room for a mini-batch of so many rows, in one block of which each part begins at a cache line."""

    def whole_lines(size: int) -> int:
        return -(-size // CACHE_LINE) * CACHE_LINE

    at_once, depth, sizes = min(rows, kernels.CHUNK), model.depth, model.layer_sizes
    layer = whole_lines(at_once * max(sizes))
    turned = [n * m for n, m in pairwise(sizes)]
    vectors = at_once * (2 * sizes[-1] + 4), max(turned[1:] or turned), model.size * (rows > kernels.CHUNK), model.size
    stop = (2 * depth + 3) * layer
    block = aligned_empty(stop + sum(map(whole_lines, vectors)), model.dtype)
    matrices = block[:stop].reshape(-1, layer)
    parts = [matrices[: depth + 1], matrices[depth + 1 : -2], matrices[-2:]]
    for size in vectors:
        parts.append(block[stop : stop + size])
        stop += whole_lines(size)
    return Workspace(*parts)


def features(model: Model, X: ArrayLike) -> Array:
    """Return X (N, D) as the kernels take it. Raises ValueError for a wrong shape, NaN and infinity."""
    array = as_array("X", X)
    inputs = model.layer_sizes[0]
    if array.ndim != 2 or array.shape[1] != inputs:
        raise ValueError(f"X must have the shape (examples, {inputs}) of the model's inputs, but got {array.shape}")
    if len(array) == 0:
        raise ValueError(f"X must have at least 1 example, but got shape {array.shape}")
    return _floats("X", array, model.dtype)


def parameters(model: Model, theta: ArrayLike, name: str = "theta") -> Array:
    """Return a copy of theta (P,) as the kernels take it. Raises ValueError for a wrong shape, NaN and infinity."""
    array = as_array(name, theta)
    if array.shape != (model.size,):
        raise ValueError(f"{name} must have the shape ({model.size},) of the model's parameters, but got {array.shape}")
    return _floats(name, array, model.dtype).copy()


def examples(model: Model, X: Array, y: ArrayLike, w: ArrayLike | None = None) -> Examples:
    """Join features that were checked before with their targets, in the form that the model's loss takes.

    `y` holds class numbers from 0 (N,), or values (N,) or (N, K). Class numbers become one column for each class
    where the loss is not the softmax's. Raises ValueError for wrong shapes, labels outside the classes, NaN.
    """
    if model.output is None or model.loss_name is None:
        raise ValueError(f"the model must name its output and loss here, but got {model!r}; use model.for_task(task)")
    outputs = model.layer_sizes[-1]
    given = as_array("y", y)
    if given.ndim not in (1, 2) or len(given) != len(X):
        raise ValueError(f"y must have one row for each of the {len(X):,} examples, but got shape {given.shape}")
    if given.dtype.kind not in "biuf":
        raise TypeError(
            f"y must hold class numbers or values, but got dtype {given.dtype}; use Dataset(X, y) for names"
        )
    labels, Y = np.empty(0, np.int64), np.empty((0, outputs), model.dtype)
    whole = given.ndim == 1 and (given.dtype.kind in "biu" or (model.output == "softmax" and _whole(given)))
    if model.output == "softmax" and not whole:
        raise ValueError(f"softmax takes whole class numbers (N,), but got y of {given.dtype} {given.shape}")
    if whole and (outputs > 1 or model.loss_name == "cross_entropy"):
        labels = given.astype(np.int64)
        classes = max(outputs, 2)
        if labels.min() < 0 or labels.max() >= classes:
            wrong = labels[(labels < 0) | (labels >= classes)][0]
            raise ValueError(f"labels must be class numbers between 0 and {classes - 1}, but got {wrong}")
        if model.output != "softmax":
            Y = np.equal.outer(labels, np.arange(outputs) if outputs > 1 else [1]).astype(model.dtype)
    else:
        Y = _floats("y", given.reshape(len(given), -1), model.dtype)
        if Y.shape[1] != outputs:
            raise ValueError(f"y must have one column for each of the {outputs} outputs, but got {Y.shape[1]}")
        if model.loss_name == "cross_entropy" and (Y.min() < 0 or Y.max() > 1):
            raise ValueError(
                f"targets of a logistic output must lie between 0 and 1, but got {Y.min():g} to {Y.max():g}"
            )
    return Examples(X, labels, Y, sample_weights(model, len(X), w))


def examples_of(model: Model, data: Dataset) -> Examples:
    """Return the examples of a data set in memory; all who ask for the same dtype and loss share the arrays."""
    key = (model.dtype, model.output, model.loss_name, model.layer_sizes[0], model.layer_sizes[-1])
    known = _examples.setdefault(data, {})
    if key not in known:
        known[key] = examples(model, features(model, data.X), targets(model, data))
    return known[key]


def nothing(model: Model) -> Examples:
    """Return examples of which there are none."""
    inputs, outputs = model.layer_sizes[0], model.layer_sizes[-1]
    X, Y = np.empty((0, inputs), model.dtype), np.empty((0, outputs), model.dtype)
    return Examples(X, np.empty(0, np.int64), Y, np.empty(0, model.dtype))


def targets(model: Model, data: Dataset) -> Array:
    """Return the targets of a data set. Raises ValueError where the model has other inputs or outputs than the data."""
    given: Array = data.targets
    inputs, outputs = model.layer_sizes[0], model.layer_sizes[-1]
    if data.X.shape[1] != inputs:
        raise ValueError(
            f"the model must have as many inputs as the data has features, {data.X.shape[1]}, but has {inputs}"
        )
    binary = data.task == "classification" and data.n_outputs == 2 and outputs == 1
    if outputs != data.n_outputs and not binary:
        kind = "classes" if data.task == "classification" else "target columns"
        raise ValueError(
            f"the model must have as many outputs as the data has {kind}, {data.n_outputs}, but has {outputs}"
        )
    return given


_examples: weakref.WeakKeyDictionary[Dataset, dict[tuple[Any, ...], Examples]] = weakref.WeakKeyDictionary()


def _floats(name: str, array: Array, dtype: str) -> Array:
    """Return `array` in C order and the given dtype, copied only where it must be; it must hold finite real numbers."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, but got dtype {array.dtype}")
    with np.errstate(over="ignore"):
        fits = array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
        result = array.view(np.ndarray) if fits else aligned(array, dtype)
    check_finite(name, array)
    check_finite(f"{name} as {dtype}", result)
    return result


def _whole(y: Array) -> bool:
    return bool(np.isfinite(y).all() and (y == np.floor(y)).all())


def sample_weights(model: Model, rows: int, w: ArrayLike | None) -> Array:
    """Return sample weights scaled to mean 1, or an empty array."""
    if w is None:
        return np.empty(0, model.dtype)
    given = _floats("sample_weight", as_array("sample_weight", w), "float64")
    if given.shape != (rows,):
        raise ValueError(f"sample_weight must have the shape ({rows},) of the examples, but got {given.shape}")
    if given.min() < 0 or given.max() == 0:
        raise ValueError(f"sample_weight must be >= 0 and not 0 throughout, but its least value is {given.min():g}")
    given = given / given.max()  # first, so that the sum neither overflows nor vanishes
    return (given / given.mean()).astype(model.dtype)


# -- calls -----------------------------------------------------------------------------------------------------


def mean_loss(model: Model, theta: Array, data: Examples) -> tuple[float, float]:
    """Return the mean loss over the examples, without the penalty, and the share of right predictions."""
    rows = np.arange(len(data.X))
    scores: tuple[float, float] = kernels.evaluate(model.network, theta, data, rows, workspace(model, len(rows)))
    return scores


def score(model: Model, theta: Array, data: Dataset) -> tuple[float, float]:
    """Return the mean loss over a data set, and the share of right predictions; a mapped one is read in pieces."""
    if not isinstance(data.X, LazyRows):
        return mean_loss(model, theta, examples_of(model, data))
    y, loss, right = targets(model, data), 0.0, 0.0
    for rows in chunk_slices(len(data), 8 * data.X.shape[1]):
        X = features(model, data.X.take(rows))
        part_loss, part_right = mean_loss(model, theta, examples(model, X, y[rows]))
        loss, right = loss + part_loss * len(X), right + part_right * len(X)
    return loss / len(data), right / len(data)


def null_loss(model: Model, data: Examples) -> float:
    """Return the mean loss of outputs whose Z are all zero: what it costs to know nothing."""
    outputs = model.layer_sizes[-1]
    if model.loss_name == "cross_entropy":
        return math.log(outputs) if model.output == "softmax" else outputs * math.log(2)
    guess = 0.5 if model.output == "logistic" else 0.0
    losses = 0.5 * np.square(data.Y - guess, dtype=np.float64).sum(axis=1)
    return float(losses.mean() if len(data.w) == 0 else (losses * data.w).mean())


def loss_gradient(model: Model, theta: Array, data: Examples) -> tuple[float, Array]:
    """Return the mean loss over the examples, without the penalty, and the gradient (P,) of J, with it."""
    room, rows = workspace(model, len(data.X)), np.arange(len(data.X))
    loss, _ = kernels.loss_gradient(model.network, theta, data, rows, 0, -1, room, np.empty(0), 0.0)
    return loss, room.gradient


def hessian_vector_product(model: Model, theta: Array, v: Array, data: Examples) -> Array:
    """Return H v (P,) with H the Hessian of J over the examples."""
    product = np.empty_like(theta)
    kernels.hessian_vector_product(model.network, theta, v, data, np.arange(len(data.X)), product)
    return product


def example_gradient_norms(model: Model, theta: Array, data: Examples) -> Array:
    """Return ‖∇ loss_i‖² (N,) of each example, without the penalty."""
    norms = np.empty(len(data.X), theta.dtype)
    kernels.example_gradient_norms(model.network, theta, data, np.arange(len(data.X)), norms)
    return norms


def outputs(model: Model, theta: Array, X: Array) -> Array:
    """Return the outputs (N, K) of the last layer."""
    result = np.empty((len(X), model.layer_sizes[-1]), model.dtype)
    kernels.predict(model.network, theta, X, workspace(model, len(X)), result)
    return result


def outputs_of(model: Model, theta: Array, X: ArrayLike | LazyRows) -> Array:
    """Return the outputs (N, K) for features; mapped ones are read in pieces."""
    if not isinstance(X, LazyRows):
        return outputs(model, theta, features(model, X))
    return np.concatenate([outputs(model, theta, features(model, piece)) for piece in X.chunks()])


# -- what is being compiled ------------------------------------------------------------------------------------


class _CompileNotice(event.Listener):
    """A listener that says which kernel is being compiled; those that it calls are part of it."""

    def __init__(self) -> None:
        self.depth = 0

    def on_start(self, event: Any) -> None:
        self.depth += 1
        function = event.data["dispatcher"].py_func
        if self.depth == 1 and function.__module__ == kernels.__name__:
            dtype = next(
                (a.dtype for a in event.data["args"] if str(getattr(a, "dtype", "")).startswith("float")), "integer"
            )
            print(
                f"nn: compiling the {dtype} kernel {function.__name__}, once on this machine; it takes a few seconds",
                file=sys.stderr,
                flush=True,
            )

    def on_end(self, event: Any) -> None:
        self.depth -= 1


event.register("numba:compile", _CompileNotice())  # type: ignore[no-untyped-call]
