"""The epochs of the estimators: the steps of `nn.train`, by the same code, with scikit-learn's batches and penalty.

Four things of scikit-learn's are not those of `nn.train`, and change every loss curve:

- the penalty of a mini-batch is alpha/2 · ΣW² divided by its number of examples, or the sum of their sample weights;
- sample weights are scaled to mean 1 within each mini-batch, not over the data set;
- the velocity holds the learning rates of the past: a new rate η' leaves v·η as it is, so that v ← v·η/η';
- Adam's ε stands beside √s, not beside √ŝ (Kingma & Ba 2015, the last lines of section 2).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.special
from numpy.typing import NDArray

from nn import batches, compiled, descent, reference
from nn._arrays import aligned_empty
from nn.model import MLP
from nn.optimizers import Adam, Optimizer

Array = NDArray[Any]

# Steps are counted from here, where Adam's own corrections β^t of its bias are 0: they are part of the learning rates.
ORIGIN = 1 << 40
# The part that the penalty has in an epoch's loss may be wrong by about this much.
PENALTY_ERROR = 1e-7
# An epoch of the kernel's, which it would shuffle and score, is never at its end.
ENDLESS = 1 << 62


def pack(coefs: Sequence[Array], intercepts: Sequence[Array]) -> Array:
    """Return theta (P,) from the weights (n_in, n_out) and biases (n_out,) of each layer."""
    parts = [part.ravel() for layer in zip(coefs, intercepts, strict=True) for part in layer]
    dtype = np.float32 if np.result_type(*parts) == np.float32 else np.float64
    return np.concatenate(parts, out=aligned_empty(sum(map(len, parts)), dtype))


def squares(model: MLP, theta: Array) -> float:
    """Return ΣW², the sum over all weights; biases are not part of it."""
    return sum(float(np.vdot(W, W)) for W, _ in model.layers(theta))


def penalised(model: MLP, l2: float) -> MLP:
    """Return the same network with another strength of the penalty; nothing else is checked or worked out again."""
    other = copy.copy(model)
    vars(other).update(l2=l2, network=model.network._replace(l2=l2))
    return other


def check_weight(sums: Array) -> None:
    """Raise where the sample weights of a mini-batch don't sum to more than 0; for 0 a ZeroDivisionError, as there."""
    least = sums.min()
    if not least > 0:
        error = ZeroDivisionError if least == 0 else ValueError
        raise error(
            f"sample_weight must have a sum > 0 in each mini-batch, but got one of {least:g}; give a larger batch_size"
        )


def poisson_loss(y: Array, mean: Array, w: Array | None) -> float:
    """Return half the Poisson deviance, Σ_k y·log(y/μ) − y + μ, averaged with sample weights w (N,)."""
    with np.errstate(all="ignore"):
        losses = (scipy.special.xlogy(y, y / mean) - y + mean).sum(axis=1, dtype=np.float64)
    return float(np.average(losses, weights=w))


class Problem:
    """A network and the examples that it is fitted to, as the kernels take them.

    `targets` (N, K) are one column for each output, w (N,) are sample weights. With `poisson` an output z stands for
    the mean exp(z) of counts.
    """

    def __init__(self, model: MLP, X: Array, targets: Array, w: Array | None, poisson: bool = False) -> None:
        y = targets.argmax(axis=1) if model.output == "softmax" else targets.astype(model.dtype)
        self.model, self.poisson, self.w = model, poisson, w
        self.data = compiled.examples(model, X, y)
        self.targets = self.data.Y.copy() if poisson else self.data.Y
        # scikit-learn's loss of several outputs is their mean, its gradient that of their sum.
        self.unit = model.layer_sizes[-1] if model.output == "identity" and not poisson else 1

    def __len__(self) -> int:
        return len(self.data.X)

    @property
    def total_weight(self) -> float:
        """The sum of the sample weights."""
        return float(len(self) if self.w is None else self.w.sum())

    def scaled_sample_weights(self) -> Array:
        """Return the sample weights with mean 1 over all examples (N,), or an empty array."""
        return self.data.w if self.w is None else (self.w * (len(self) / self.total_weight)).astype(self.model.dtype)

    def outputs(self, theta: Array) -> Array:
        """Return the outputs (N, K) of the last layer."""
        return compiled.outputs(self.model, theta, self.data.X)

    def mean_loss(self, theta: Array) -> float:
        """Return the mean loss over the examples, without penalty."""
        return compiled.mean_loss(self.model, theta, self.data._replace(w=self.scaled_sample_weights()))[0]

    def objective(self, l2: float) -> Callable[[Array], tuple[float, Array]]:
        """Return a function of theta: the mean loss over the examples, and the gradient (P,) of it plus l2/2 · ΣW²."""
        model, data = penalised(self.model, l2), self.data._replace(w=self.scaled_sample_weights())

        def loss_gradient(theta: Array) -> tuple[float, Array]:
            poisson = self.linearise(theta, slice(None)) if self.poisson else None
            loss, gradient = compiled.loss_gradient(model, theta, data)
            return loss if poisson is None else poisson, gradient

        return loss_gradient

    def linearise(self, theta: Array, rows: Array | slice) -> float:
        """Give some rows targets for which squared error has the gradient of the deviance; return the mean deviance.

        The gradient in z is exp(z) − y for the Poisson deviance and z − t for squared error: t = z − exp(z) + y.
        """
        z, y = compiled.outputs(self.model, theta, self.data.X[rows]), self.targets[rows]
        with np.errstate(all="ignore"):
            mean = np.exp(z)
            self.data.Y[rows] = z - mean + y
        return poisson_loss(y, mean, None if self.w is None else self.w[rows])

    def steps(self, stepper: Stepper, theta: Array, batch_size: int, seed: int) -> Steps:
        """Return an object that does the steps of an epoch."""
        return KernelSteps(self, stepper, theta, batch_size, seed)


@dataclass
class Stepper:
    """The state of an optimizer, carried from step to step and from one call of `partial_fit` to the next."""

    optimizer: Optimizer
    learning_rate: float
    first: Array  # (P,) velocity, or Adam's first moment; empty where not needed
    second: Array  # (P,) Adam's second moment, or empty
    steps: int = 0  # done

    @classmethod
    def start(cls, optimizer: Optimizer, theta: Array) -> Stepper:
        """Return the state before the first step from theta (P,)."""
        state = descent.fresh_state(theta, optimizer, {})
        return cls(optimizer, optimizer.learning_rate, state.first, state.second)

    def fits(self, theta: Array) -> bool:
        """Return whether the moments belong to parameters of this number and dtype."""
        return all(len(m) in (0, len(theta)) and m.dtype == theta.dtype for m in (self.first, self.second))

    def change_rate(self, learning_rate: float) -> None:
        """Go on with another learning rate; the velocity keeps those that it was gathered with."""
        if learning_rate != self.learning_rate:
            self.first *= self.learning_rate / learning_rate
            self.learning_rate = learning_rate

    def learning_rates(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return the learning rates of steps counted from ORIGIN; Adam's with its corrections √(1 − β₂ᵗ)/(1 − β₁ᵗ)."""
        learning_rates = np.full(stop - start, self.learning_rate)
        if isinstance(self.optimizer, Adam):
            t = np.arange(start + 1 - ORIGIN, stop + 1 - ORIGIN)
            learning_rates *= np.sqrt(1 - self.optimizer.beta2**t) / (1 - self.optimizer.beta1**t)
        return learning_rates


class Steps:
    """Steps with mini-batches, which move theta (P,) in place: `most` at once, one unless more are possible.

    `w` (N,) are sample weights with mean 1 in each mini-batch, if there are any.
    """

    most = 1
    w: Array | None = None

    def __call__(self, rows: NDArray[np.int64], steps: int, l2: float) -> NDArray[np.float64]:
        """Do some steps, which go through these rows, with a penalty of this strength.

        Return their losses (steps,) before each update, up to the first that is not finite.
        """
        raise NotImplementedError


class Rows(batches.InMemory):
    """Examples in memory, of which each call of the kernel is given the rows that it goes through."""

    def __init__(self, problem: Problem) -> None:
        self.held_out, self.data, self.validation = None, problem.data, compiled.nothing(problem.model)

    def give(self, rows: NDArray[np.int64], w: Array | None, start: int, steps: int) -> None:
        """Let the next steps, from `start`, read their mini-batches from these rows."""
        data = self.data if w is None else self.data._replace(w=w)
        self.feed = batches.Feed(data, rows, start, steps, reference.IN_ORDER)


class KernelSteps(Steps):
    """`Steps` that the kernels make, as many as fit into one call."""

    def __init__(self, problem: Problem, stepper: Stepper, theta: Array, batch_size: int, seed: int) -> None:
        self.problem, self.stepper = problem, stepper
        model, optimizer = problem.model, stepper.optimizer
        self.state = descent.fresh_state(theta, optimizer, {"record_steps": True})
        self.state.theta, self.state.first, self.state.second = theta, stepper.first, stepper.second
        self.state.step = ORIGIN + stepper.steps
        self.state.start_loss = 1.0  # nothing but what is not finite counts as divergence
        self.rows = Rows(problem)
        plan = batches.Plan(len(problem), batch_size, ENDLESS, 1, reference.IN_ORDER, None)
        self.descent = descent.Descent(
            self.state, plan, self.rows, model, optimizer, stepper.learning_rates, math.inf, seed, progress=False
        )
        if not problem.poisson:
            self.most = max(1, int(descent.CALL_OPERATIONS / (6.0 * model.size * batch_size)))

    def __call__(self, rows: NDArray[np.int64], steps: int, l2: float) -> NDArray[np.float64]:
        state, problem = self.state, self.problem
        poisson = problem.linearise(state.theta, rows) if problem.poisson else None
        self.descent.model = penalised(problem.model, l2)
        self.rows.give(rows, self.w, state.step, steps)
        state.step_loss = np.empty(0)
        self.descent.advance(state.step + steps)
        self.stepper.steps = state.step - ORIGIN
        if poisson is None or not np.isfinite(state.step_loss[-1]):
            return state.step_loss
        return np.array([poisson])


class Stretch(NamedTuple):
    """Some steps of an epoch that one call of the kernel can do: they share the strength of the penalty."""

    rows: slice  # of the order of the epoch
    sizes: NDArray[np.float64]  # (steps,) examples in each mini-batch
    weight: float  # the sum of the sample weights in a mini-batch


class Epochs:
    """Epochs of mini-batches of `batch_size` over a problem, which move theta (P,) in place.

    `alpha` is the penalty, `seed` that of dropout.
    """

    def __init__(
        self, problem: Problem, stepper: Stepper, theta: Array, batch_size: int, alpha: float, seed: int
    ) -> None:
        self.problem, self.theta, self.alpha = problem, theta, alpha
        self.steps = problem.steps(stepper, theta, batch_size, seed)
        self.norm = squares(problem.model, theta)
        self.starts = np.arange(0, len(problem), batch_size)
        self.sizes = np.diff(self.starts, append=len(problem))
        self.longest, self.even = 0, list[Stretch]()
        self._look_after(1)

    def run(self, order: NDArray[np.int64]) -> float:
        """Train on all examples in this order; return the mean loss, penalty included.

        The loss of each mini-batch is that before its update. Where one is not finite, theta becomes NaN.
        """
        stretches, total, start = self.even, 0.0, self.norm
        if self.problem.w is not None:
            given = self.problem.w[order]
            sums = np.add.reduceat(given, self.starts, dtype=np.float64)
            check_weight(sums)
            w = np.empty(len(order), self.problem.model.dtype)
            w[order] = given * np.repeat(self.sizes / sums, self.sizes)
            self.steps.w, stretches = w, self._stretches(sums)
        for stretch in stretches:
            losses = self.steps(order[stretch.rows], len(stretch.sizes), self.alpha / stretch.weight)
            if not np.isfinite(losses[-1]):
                self.theta[:] = np.nan
                return math.nan
            # ΣW² of each step is known at both ends of the stretch, and taken to move evenly between them.
            steps, before, self.norm = len(losses), self.norm, squares(self.problem.model, self.theta)
            mean = before + (self.norm - before) * (steps - 1) / (2 * steps)
            loss = float(losses @ stretch.sizes) / self.problem.unit
            total += loss + 0.5 * self.alpha * mean / stretch.weight * (stretch.rows.stop - stretch.rows.start)
        # The error of the trapezoidal rule with n looks at a smooth curve that moves by this much is about moved/12n².
        moved = 0.5 * self.alpha * abs(self.norm - start) / min(stretch.weight for stretch in stretches)
        looks = max(1.0, math.sqrt(moved / (12 * PENALTY_ERROR)))
        self._look_after(int(min(self.steps.most, max(1.0, len(self.starts) / looks))))
        return total / len(order)

    def _look_after(self, steps: int) -> None:
        """In the next epoch look at ΣW² after so many steps, or less for a power of two, if not before."""
        longest = 1 << (steps.bit_length() - 1)
        if longest != self.longest:
            self.longest = longest
            self.even = self._stretches(self.sizes.astype(np.float64))

    def _stretches(self, sums: NDArray[np.float64]) -> list[Stretch]:
        """Return the stretches of an epoch whose mini-batches have these sums of sample weights (steps,)."""
        changes = np.flatnonzero(np.diff(sums)) + 1
        edges = [0, *(changes.tolist() if self.alpha else ()), len(sums)]
        begins = [at for a, b in pairwise(edges) for at in range(a, b, self.longest)]
        stops = self.starts + self.sizes
        return [
            Stretch(slice(self.starts[a], stops[b - 1]), self.sizes[a:b].astype(np.float64), float(sums[a]))
            for a, b in pairwise([*begins, len(sums)])
        ]
