"""One training, done by each contestant: the same data, dtype, batches in an epoch, epochs, rates and initial spread.

Every contestant is a function from a `Work` to its `fit`, which trains from a seed and returns what predicts. Whatever
can be prepared once is prepared outside of `fit`. A contestant that is not installed raises NotMeasured.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import MLP, SGD, Adam, Dataset, load_dataset, train
from rows.measuring import NotMeasured

Array = NDArray[Any]
Predict = Callable[[Array], Array]
Fit = Callable[[int], Predict]

VMAPPED_RATES = np.logspace(-3, 0, 7)


@dataclass(frozen=True, eq=False)
class Work:
    """One training of inputs – hidden – outputs with ReLU; it classifies where `y` is (N,), and else regresses."""

    X: Array  # (N, D) float32
    y: Array  # (N,) class numbers, or (N, K) float32
    held_out_X: Array
    held_out_y: Array
    hidden: int
    batch_size: int
    epochs: int
    learning_rate: float
    adam: bool = False

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Inputs, hidden units, outputs."""
        outputs = self.y.shape[1] if self.y.ndim == 2 else int(self.y.max()) + 1
        return (self.X.shape[1], self.hidden, outputs)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return -(-len(self.X) // self.batch_size) * self.epochs

    def score(self, predict: Predict) -> float:
        """Return accuracy, or R² over all outputs, on the rows that were held out."""
        y, found = self.held_out_y, predict(self.held_out_X)
        if y.ndim == 1:
            return float(np.mean(found == y))
        return float(1 - np.sum((y - found) ** 2) / np.sum((y - y.mean(axis=0)) ** 2))


def digits_work(epochs: int, regression: bool = False, adam: bool = False) -> Work:
    """Return 64-32-10 on the digits in batches of 32; in regression, the ten indicators of the class are the values."""
    split = load_dataset("digits").split(validation=0.2, test=0.2, seed=0)
    assert split.validation is not None
    (X, y), (held_out_X, held_out_y) = (
        (np.asarray(part.X, np.float32), np.eye(10, dtype=np.float32)[part.targets] if regression else part.targets)
        for part in (split.train, split.validation)
    )
    rate = 1e-3 if adam else 0.02 if regression else 0.1
    return Work(X, y, held_out_X, held_out_y, 32, 32, epochs, rate, adam)


def library(name: str, package: str) -> Any:
    """Import a module that may be missing, or raise NotMeasured with the package to install."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotMeasured(f"{package} is not installed; pip install {package}") from None


def ours(work: Work) -> Fit:
    """This project's `train`, which also keeps the loss, accuracy and norms of every epoch."""
    data = Dataset(work.X, work.y, task="classification" if work.y.ndim == 1 else "regression")
    model = MLP(work.sizes, init="glorot")
    optimizer = (Adam if work.adam else SGD)(work.learning_rate)

    def fit(seed: int) -> Predict:
        run = train(model, data, optimizer, batch_size=work.batch_size, epochs=work.epochs, seed=seed)
        return run.predict

    return fit


def scikit_learn(work: Work) -> Fit:
    """Train MLPClassifier or MLPRegressor, with nothing that stops it early and no penalty."""
    network = library("sklearn.neural_network", "scikit-learn")
    ignored = library("sklearn.exceptions", "scikit-learn").ConvergenceWarning
    kind = network.MLPClassifier if work.y.ndim == 1 else network.MLPRegressor
    options = {"learning_rate_init": work.learning_rate, **sklearn_options(work.epochs, work.adam)}

    def fit(seed: int) -> Predict:
        estimator = kind((work.hidden,), random_state=seed, batch_size=work.batch_size, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ignored)
            estimator.fit(work.X, work.y)
        predict: Predict = estimator.predict
        return predict

    return fit


def sklearn_options(epochs: int, adam: bool = False) -> dict[str, Any]:
    """Return the options with which scikit-learn's networks do exactly `epochs` plain epochs."""
    return {
        "solver": "adam" if adam else "sgd",
        "momentum": 0.0,
        "nesterovs_momentum": False,
        "alpha": 0.0,
        "tol": 0.0,
        "max_iter": epochs,
        "n_iter_no_change": epochs + 1,
    }


def pytorch(work: Work, compiled: bool = False) -> Fit:
    """Train in PyTorch with `foreach` SGD; each epoch's order is gathered once and cut into batches.

    `compiled` puts forward, loss and their gradients through torch.compile.
    """
    torch = library("torch", "torch")
    torch.set_num_threads(1)
    X, y = torch.from_numpy(work.X), torch.from_numpy(work.y)
    inputs, hidden, outputs = work.sizes
    cross_entropy = torch.nn.functional.cross_entropy
    model = torch.nn.Sequential(torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs))

    def loss(batch: Any, target: Any) -> Any:
        return cross_entropy(model(batch), target)

    if compiled:
        loss = torch.compile(loss, dynamic=False)

    def fit(seed: int) -> Predict:
        torch.manual_seed(seed)
        for layer in (model[0], model[2]):
            torch.nn.init.xavier_uniform_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
        optimizer = torch.optim.SGD(model.parameters(), work.learning_rate, foreach=True)
        for _ in range(work.epochs):
            order = torch.randperm(len(X))
            batches = X[order].split(work.batch_size), y[order].split(work.batch_size)
            for batch, target in zip(*batches, strict=True):
                optimizer.zero_grad(set_to_none=True)
                loss(batch, target).backward()
                optimizer.step()

        # The next fit starts from other values in the same tensors.
        W1, b1, W2, b2 = (part.detach().numpy().copy() for part in model.parameters())
        return lambda rows: _predict((W1.T, b1, W2.T, b2), rows)

    if compiled:
        try:
            fit(0)
        except Exception as error:  # what a compiler that is missing or fails raises is not documented
            what = " ".join(str(error).split())[:160]
            raise NotMeasured(f"torch.compile does not work here: {type(error).__name__}: {what}") from None
    return fit


def jax_jit(work: Work) -> Fit:
    """Train in JAX, the whole training under one jit: a scan over the epochs, in it a scan over the batches."""
    jax, training = _jax(work)
    compiled = jax.jit(training)

    def fit(seed: int) -> Predict:
        start, orders = _jax_start(work, seed)
        theta = jax.block_until_ready(compiled(start, orders, work.learning_rate))
        return lambda rows: _predict(theta, rows)

    return fit


def jax_vmapped(work: Work) -> Fit:
    """Train seven times at once in JAX, vmapped over the learning rates; the fit predicts with the given rate's."""
    jax, training = _jax(work)
    compiled = jax.jit(jax.vmap(training, in_axes=(None, None, 0)))
    rates = np.append(VMAPPED_RATES[:-1], work.learning_rate).astype(np.float32)

    def fit(seed: int) -> Predict:
        start, orders = _jax_start(work, seed)
        theta = jax.block_until_ready(compiled(start, orders, rates))
        return lambda rows: _predict([part[-1] for part in theta], rows)

    return fit


def _jax(work: Work) -> tuple[Any, Callable[..., Any]]:
    # Read when JAX starts: products on the thread that asks for them.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    jax = library("jax", "jax")
    jnp = jax.numpy
    X, y, size = jnp.asarray(work.X), jnp.asarray(work.y), work.batch_size
    whole = len(work.X) // size * size

    def loss(theta: Any, batch: Any, target: Any) -> Any:
        W1, b1, W2, b2 = theta
        z = jnp.maximum(batch @ W1 + b1, 0) @ W2 + b2
        own = jnp.take_along_axis(z, target[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - own)

    def training(theta: Any, orders: Any, rate: Any) -> Any:
        def step(theta: Any, batch: Any) -> Any:
            gradient = jax.grad(loss)(theta, *batch)
            return [part - rate * slope for part, slope in zip(theta, gradient, strict=True)], None

        def epoch(theta: Any, order: Any) -> Any:
            batches, targets = X[order], y[order]
            full = batches[:whole].reshape(-1, size, X.shape[1]), targets[:whole].reshape(-1, size)
            theta, _ = jax.lax.scan(step, theta, full)
            if whole < len(X):
                theta, _ = step(theta, (batches[whole:], targets[whole:]))
            return theta, None

        return jax.lax.scan(epoch, theta, orders)[0]

    return jax, training


def _jax_start(work: Work, seed: int) -> tuple[list[Array], Array]:
    """Return initial parameters and the order of every epoch; NumPy shuffles faster than JAX does on a CPU."""
    rng, (inputs, hidden, outputs) = np.random.default_rng(seed), work.sizes
    theta = []
    for n_in, n_out in ((inputs, hidden), (hidden, outputs)):
        limit = np.sqrt(6 / (n_in + n_out))
        theta += [rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32), np.zeros(n_out, np.float32)]
    orders = np.stack([rng.permutation(len(work.X)) for _ in range(work.epochs)])
    return theta, orders.astype(np.int32)


def _predict(theta: Any, rows: Array) -> Array:
    W1, b1, W2, b2 = (np.asarray(part) for part in theta)
    classes: Array = np.argmax(np.maximum(rows @ W1 + b1, 0) @ W2 + b2, axis=1)
    return classes
