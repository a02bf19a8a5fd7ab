"""Training on a sparse X that is mostly zeros: losses and gradients by the reference, whose products SciPy works out.

The kernels know dense examples only; with few entries other than 0 that is work, and memory, for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nn import compiled, reference
from nn.estimators.epochs import ORIGIN, Problem, Stepper, Steps, poisson_loss
from nn.model import MLP

Array = NDArray[Any]

# The share of entries other than 0 up to which the products of a sparse X are about as fast as those of a dense one.
SPARSE_SHARE = 0.2
# So many parameters are updated at once: what is worked out on the way stays in the cache of a core.
UPDATED_AT_ONCE = 1 << 15


def problem_of(model: MLP, X: Any, targets: Array, w: Array | None, poisson: bool) -> Problem:
    """Return the problem of fitting a network to X (N, D), dense or sparse, and targets (N, K), weighted by w (N,)."""
    if stays_sparse(X):
        return SparseProblem(model, X, targets, w, poisson)
    return Problem(model, compiled.features(model, X.toarray() if scipy.sparse.issparse(X) else X), targets, w, poisson)


def stays_sparse(X: Any) -> bool:
    """Return whether X is sparse and leaving its zeros out saves time."""
    return bool(scipy.sparse.issparse(X) and X.nnz <= SPARSE_SHARE * X.shape[0] * X.shape[1])


def outputs(model: MLP, theta: Array, X: Any) -> Array:
    """Return the outputs (N, K) of the last layer for a sparse X (N, D)."""
    with np.errstate(all="ignore"):
        A, _, _ = reference.forward(model.network, theta, X)
    return A[-1].astype(theta.dtype, copy=False)


class SparseProblem(Problem):
    """A `Problem` whose X (N, D) is sparse."""

    def __init__(self, model: MLP, X: Any, targets: Array, w: Array | None, poisson: bool) -> None:
        super().__init__(model, np.empty((X.shape[0], 0), model.dtype), targets, w, poisson)
        self.X = X.tocsr().astype(model.dtype, copy=False)
        self.y = self.data.labels if model.output == "softmax" else self.data.Y

    def outputs(self, theta: Array) -> Array:
        return outputs(self.model, theta, self.X)

    def mean_loss(self, theta: Array) -> float:
        return self.objective(0.0)(theta)[0]

    def objective(self, l2: float) -> Callable[[Array], tuple[float, Array]]:
        w = None if self.w is None else self.scaled_sample_weights()
        return lambda theta: self.gradient(theta, l2, slice(None), w)

    def gradient(
        self, theta: Array, l2: float, rows: Array | slice, w: Array | None, seed: int = 0, step: int = -1
    ) -> tuple[float, Array]:
        """Return the mean loss over some rows, with sample weights w (n,), and the gradient (P,) with the penalty's.

        It is `reference.loss_gradient` without the gradient in X, which would be dense.
        """
        net, y, gradient = self.model.network, self.y[rows], np.empty_like(theta)
        with np.errstate(all="ignore"):
            A, S, Z = reference.forward(net, theta, self.X[rows], seed, step)
            if self.poisson:
                mean = np.exp(Z)
                loss = poisson_loss(y, mean, w)
                dZ = (mean - y) * ((1.0 if w is None else w[:, None]) / len(y))
            else:
                loss = reference.loss_forward(Z, A[-1], y, net.output, w) / len(y)
                dZ = reference.loss_backward(A[-1], y, net.output, w)
            for layer in reversed(range(self.model.depth)):
                W, dW = reference.weights(net, theta, layer), reference.weights(net, gradient, layer)
                np.multiply(W, l2, out=dW)
                dW += A[layer].T @ dZ
                reference.biases(net, gradient, layer)[:] = dZ.sum(axis=0)
                if layer > 0:
                    dZ = reference.activation_backward(dZ @ W.T, S[layer - 1])
        return loss, gradient

    def steps(self, stepper: Stepper, theta: Array, batch_size: int, seed: int) -> SparseSteps:
        return SparseSteps(self, stepper, theta, seed)


class SparseSteps(Steps):
    """`Steps` that are made one at a time."""

    def __init__(self, problem: SparseProblem, stepper: Stepper, theta: Array, seed: int) -> None:
        self.problem, self.stepper, self.theta, self.seed = problem, stepper, theta, seed
        self.update = stepper.optimizer.update()

    def __call__(self, rows: NDArray[np.int64], steps: int, l2: float) -> NDArray[np.float64]:
        stepper, step = self.stepper, ORIGIN + self.stepper.steps
        w = None if self.w is None else self.w[rows]
        loss, gradient = self.problem.gradient(self.theta, l2, rows, w, self.seed, step)
        if np.isfinite(loss):
            with np.errstate(all="ignore"):
                self._go(gradient, step)
            stepper.steps += 1
        return np.array([loss])

    def _go(self, gradient: Array, step: int) -> None:
        """Move theta: all parameters have the learning rate in common, and none decays."""
        update, first, second = self.update, self.stepper.first, self.stepper.second
        (learning_rate,) = self.stepper.learning_rates(step, step + 1)
        for start in range(0, len(self.theta), UPDATED_AT_ONCE):
            part = slice(start, start + UPDATED_AT_ONCE)
            theta, g = self.theta[part], gradient[part]
            if update.kind == reference.ADAM:
                reference.adam_update(theta, g, first[part], second[part], learning_rate, update, step, 0.0)
            else:
                momentum, nesterov = update.momentum, update.nesterov
                reference.sgd_update(theta, g, first[part], learning_rate, momentum, nesterov, 0.0)
