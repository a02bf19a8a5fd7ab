"""The progress and the end of a fit: its curves, its messages, its learning rate, and when it stops."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from nn.estimators.epochs import Problem, Stepper, check_weight, poisson_loss, squares
from nn.estimators.sklearn_private import CALLER
from nn.optimizers import SGD

Array = NDArray[Any]

# The adaptive learning rate is divided by this where nothing improves any more, down to the least one.
ADAPTIVE_FACTOR = 5.0
LEAST_RATE = 1e-6


def say(text: str) -> None:
    """Write a line for `verbose`."""
    sys.stdout.write(f"{text}\n")


def predicted(problem: Problem, theta: Array) -> Array:
    """Return the outputs (N, K): probabilities, values, or the means of counts."""
    outputs = problem.outputs(theta)
    if problem.poisson:
        with np.errstate(over="ignore"):
            return np.exp(outputs)
    return outputs


def loss(problem: Problem, theta: Array) -> float:
    """Return the mean loss over the examples, without penalty, in the units of a loss curve."""
    if problem.poisson:
        return poisson_loss(problem.targets, predicted(problem, theta), problem.w)
    return problem.mean_loss(theta) / problem.unit


def score(problem: Problem, theta: Array) -> float:
    """Return the accuracy, of whole rows for several labels, or the mean R² of the outputs; NaN after divergence."""
    outputs = predicted(problem, theta)
    if problem.model.output == "softmax":
        return float(np.average(outputs.argmax(axis=1) == problem.data.labels, weights=problem.w))
    if problem.model.output == "logistic":
        return float(np.average(((outputs > 0.5) == problem.targets).all(axis=1), weights=problem.w))
    if not np.isfinite(outputs).all():
        return float("nan")
    y, z = problem.targets.astype(np.float64), outputs.astype(np.float64)
    error = np.average((y - z) ** 2, axis=0, weights=problem.w)
    spread = np.average((y - np.average(y, axis=0, weights=problem.w)) ** 2, axis=0, weights=problem.w)
    flat = spread == 0
    return float(np.where(flat, error == 0, 1 - error / np.where(flat, 1, spread)).mean())


@dataclass
class Monitor:
    """Keeps the attributes of an estimator up to date at the end of each epoch, and says when to stop.

    `rows` is the number of examples of an epoch, `held_out` are those that early stopping looks at.
    """

    estimator: Any
    stepper: Stepper
    rows: int
    held_out: Problem | None = None
    ended: bool = False

    @property
    def policy(self) -> str:
        """The policy by which the learning rate changes, which only SGD's does."""
        return self.estimator.learning_rate if isinstance(self.stepper.optimizer, SGD) else "constant"

    def end_epoch(self, loss_value: float, theta: Array) -> None:
        """Note the loss of an epoch, change the learning rate where it is time to, and say whether all has ended."""
        est = self.estimator
        est.n_iter_ += 1
        est.loss_ = loss_value
        est.t_ += self.rows
        est.loss_curve_.append(loss_value)
        if est.verbose:
            say(f"Iteration {est.n_iter_}, loss = {loss_value:.8f}")
        if self.held_out is None:
            self._compare_loss(loss_value)
        else:
            self._compare_score(self.held_out, theta)
        if self.policy == "invscaling":
            self.stepper.change_rate(self.stepper.optimizer.learning_rate / (est.t_ + 1) ** est.power_t)
        if est._no_improvement_count > est.n_iter_no_change:
            self._stand_still()

    def _compare_loss(self, value: float) -> None:
        est = self.estimator
        worse = value > est.best_loss_ - est.tol
        est._no_improvement_count = est._no_improvement_count + 1 if worse else 0
        if value < est.best_loss_:
            est.best_loss_ = value

    def _compare_score(self, held_out: Problem, theta: Array) -> None:
        est, value = self.estimator, score(held_out, theta)
        est.validation_scores_.append(value)
        est.validation_loss_curve_.append(loss(held_out, theta))
        if est.verbose:
            say(f"Validation score: {value:f}")
        worse = value < est.best_validation_score_ + est.tol
        est._no_improvement_count = est._no_improvement_count + 1 if worse else 0
        if value > est.best_validation_score_:
            est.best_validation_score_ = value
            est._best_theta = theta.copy()

    def _stand_still(self) -> None:
        """Stop, or go on with a smaller learning rate, as nothing has improved for too long."""
        est = self.estimator
        what = "Training loss" if self.held_out is None else "Validation score"
        text = f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change} consecutive epochs."
        if self.policy == "adaptive" and self.stepper.learning_rate > LEAST_RATE:
            self.stepper.change_rate(self.stepper.learning_rate / ADAPTIVE_FACTOR)
            est._no_improvement_count = 0
            text += f" Setting learning rate to {self.stepper.learning_rate:f}"
        else:
            self.ended = True
            text += " Learning rate too small. Stopping." if self.policy == "adaptive" else " Stopping."
        if est.verbose:
            say(text)


def minimise(estimator: Any, problem: Problem, theta: Array) -> Array:
    """Return the theta (P,) that L-BFGS ends at when it starts from theta, on all examples at once, in float64.

    For squared error the objective is ½ Σ over the outputs, but `loss_` the mean over them.
    """
    est, model = estimator, problem.model
    if problem.w is not None:
        check_weight(problem.w.sum(keepdims=True))
    l2 = est.alpha / problem.total_weight
    loss_gradient = problem.objective(l2)

    def objective(at: Array) -> tuple[float, Array]:
        value, gradient = loss_gradient(at)
        return value + 0.5 * l2 * squares(model, at), gradient

    def report(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        est.n_iter_ += 1
        say(f"Iteration {est.n_iter_}, loss = {intermediate_result.fun:.8f}")

    est.n_iter_ = 0
    options = {"maxfun": est.max_fun, "maxiter": est.max_iter, "gtol": est.tol}
    told = report if est.verbose else None
    result = scipy.optimize.minimize(objective, theta, method="L-BFGS-B", jac=True, callback=told, options=options)
    est.n_iter_ = min(result.nit, est.max_iter)
    penalty = 0.5 * l2 * squares(model, result.x)
    est.loss_ = (result.fun - penalty) / problem.unit + penalty
    if result.status != 0:
        text = (
            f"lbfgs failed to converge after {est.n_iter_} iteration(s) (status={result.status}):\n{result.message}\n"
        )
        if est.n_iter_ == est.max_iter:
            text += f"\nIncrease the number of iterations to improve the convergence (max_iter={est.max_iter})."
        text += "\nYou might also want to scale the data, with sklearn.preprocessing.StandardScaler for example."
        warnings.warn(text, ConvergenceWarning, stacklevel=CALLER)
    return result.x
