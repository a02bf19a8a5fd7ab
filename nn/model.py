"""`MLP`: an immutable description of a network, and the layout of its parameters in one flat vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn import reference
from nn.checks import ACTIVATION_ALIASES, TASKS, integer, one_of, real
from nn.optimizers import Optimizer

ACTIVATIONS = {
    "relu": reference.RELU,
    "tanh": reference.TANH,
    "logistic": reference.LOGISTIC,
    "identity": reference.IDENTITY,
    "gelu": reference.GELU,
}
# (output, loss) → the number by which the kernels know the pair.
OUTPUTS = {
    ("softmax", "cross_entropy"): reference.SOFTMAX_CROSS_ENTROPY,
    ("logistic", "cross_entropy"): reference.LOGISTIC_CROSS_ENTROPY,
    ("identity", "squared_error"): reference.IDENTITY_SQUARED_ERROR,
    ("logistic", "squared_error"): reference.LOGISTIC_SQUARED_ERROR,
}
OUTPUT_NAMES = ("softmax", "logistic", "identity")
LOSS_NAMES = ("cross_entropy", "squared_error")
PARAMETRISATIONS = ("standard", "mup")
DTYPES = ("float32", "float64")


class Initialisation(NamedTuple):
    """A distribution of initial weights with mean 0; a uniform one has the limits ±√3·std."""

    uniform: bool
    std: Any  # (n_in, n_out) → float
    bias_std: Any = None  # likewise; None: biases start at 0


INITIALISATIONS = {
    "he": Initialisation(False, lambda n_in, n_out: math.sqrt(2 / n_in)),  # He et al. 2015
    "glorot": Initialisation(True, lambda n_in, n_out: math.sqrt(2 / (n_in + n_out))),  # Glorot & Bengio 2010
    "lecun": Initialisation(False, lambda n_in, n_out: math.sqrt(1 / n_in)),  # LeCun et al. 1998
    # torch.nn.Linear: weights and biases in ±1/√n_in
    "torch": Initialisation(
        True, lambda n_in, n_out: math.sqrt(1 / (3 * n_in)), lambda n_in, n_out: math.sqrt(1 / (3 * n_in))
    ),
    "normal": Initialisation(False, lambda n_in, n_out: 0.01),
    "zeros": Initialisation(False, lambda n_in, n_out: 0.0),
}


@dataclass(frozen=True, init=False, repr=False)
class MLP:
    """A multilayer perceptron: an immutable description, whose parameters theta (P,) are kept apart from it.

    Layer i computes Z = m·(A W) + b from the activations A (B, n_in) of the layer before it, and passes on
    activation(Z) (B, n_out). In theta the layers follow one another, W (n_in, n_out) before b (n_out,).

    Args:
        layer_sizes: The numbers of inputs, of hidden units in each layer, and of outputs; `(64, 10)` is a linear model.
        activation ({"relu", "tanh", "logistic", "identity", "gelu"}): The activation function of the hidden layers;
            "sigmoid" and "linear" are other names of "logistic" and "identity".
        output, loss: `"softmax"` with `"cross_entropy"`; `"logistic"` with `"cross_entropy"` (one output: two classes;
            several: as many labels) or, for teaching, with `"squared_error"`; `"identity"` with `"squared_error"`,
            which is ½ Σ (z − y)² over the outputs. What is left out follows the task of the data.
        init ({"he", "glorot", "lecun", "torch", "normal", "zeros"}): The distribution of the initial weights
            (`INITIALISATIONS`). Biases start at 0, except with `"torch"`.
        std: The standard deviation of the initial weights, in place of that of `init`, for all layers or one for each;
            None in the sequence leaves a layer as it is. `(None, 0.0)` starts with a zero readout.
        multipliers: The forward multiplier m, for all layers or one for each.
        bias: Whether the layers have biases.
        parametrisation ({"standard", "mup"}): `"mup"` scales initialisation, multipliers and learning rates with the
            width, so that the best learning rate at `base_width` is the best at any width (Yang et al. 2022, table 8).
            At `base_width` it changes nothing.
        base_width: The hidden width at which μP and the standard parametrisation are the same.
        l2: The penalty l2/2 · ΣW² on the weights, part of the objective J and of its gradient. The losses that are
            reported in training are without it, so that they can be compared.
        dropout: The probability in [0, 1) that a hidden unit is silenced in a training step.
        dtype ({"float32", "float64"}): The precision of parameters and arithmetic.

    Raises:
        ValueError: Where an argument does not fit.

    >>> model = MLP((64, 32, 10), activation="tanh")
    >>> model
    MLP(layer_sizes=(64, 32, 10), activation='tanh')
    >>> model.size
    2410
    >>> [W.shape for W, b in model.layers(model.init(seed=0))]
    [(64, 32), (32, 10)]
    """

    layer_sizes: tuple[int, ...]
    activation: str
    output: str | None
    loss_name: str | None
    initialisation: str
    std: tuple[float | None, ...]
    multipliers: tuple[float, ...]
    bias: bool
    parametrisation: str
    base_width: int | None
    l2: float
    dropout: float
    dtype: str

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        output: str | None = None,
        loss: str | None = None,
        *,
        init: str = "he",
        std: float | Sequence[float | None] | None = None,
        multipliers: float | Sequence[float] = 1.0,
        bias: bool = True,
        parametrisation: str = "standard",
        base_width: int | None = None,
        l2: float = 0.0,
        dropout: float = 0.0,
        dtype: str = "float32",
    ) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        if isinstance(layer_sizes, str | bytes) or not isinstance(layer_sizes, Sequence | np.ndarray):
            raise ValueError(f"layer_sizes must be a sequence such as (64, 32, 10), but got {layer_sizes!r}")
        if len(layer_sizes) < 2:
            raise ValueError(
                f"layer_sizes must have at least inputs and outputs, such as (64, 10), but got {tuple(layer_sizes)}"
            )
        put("layer_sizes", tuple(integer("layer_sizes", n, 1) for n in layer_sizes))
        output = ACTIVATION_ALIASES.get(str(output), output)
        put("activation", one_of("activation", ACTIVATION_ALIASES.get(str(activation), activation), ACTIVATIONS))
        put("output", None if output is None else one_of("output", output, OUTPUT_NAMES))
        put("loss_name", None if loss is None else one_of("loss", loss, LOSS_NAMES))
        if output is not None and loss is not None and (output, loss) not in OUTPUTS:
            pairs = ", ".join(f"{o} with {c}" for o, c in OUTPUTS)
            raise ValueError(f"output and loss must be one of {pairs}, but got {output} with {loss}")
        put("initialisation", one_of("init", init, INITIALISATIONS))
        depth = len(layer_sizes) - 1
        put("std", tuple(None if s is None else real("std", s, 0.0) for s in _one_a_layer("std", std, depth)))
        put("multipliers", tuple(real("multipliers", m) for m in _one_a_layer("multipliers", multipliers, depth)))
        if not isinstance(bias, bool):
            raise ValueError(f"bias must be True or False, but got {bias!r}")
        put("bias", bias)
        put("parametrisation", one_of("parametrisation", parametrisation, PARAMETRISATIONS))
        if parametrisation == "mup" and base_width is None:
            raise ValueError("parametrisation='mup' needs a base_width, but got None; give base_width=64, say")
        put("base_width", None if base_width is None else integer("base_width", base_width, 1))
        put("l2", real("l2", l2, 0.0))
        put("dropout", real("dropout", dropout, 0.0, below=1.0))
        put("dtype", one_of("dtype", _dtype_name(dtype), DTYPES))

    def replace(self, **changes: Any) -> MLP:
        """Return the same model with other values for some of the constructor's arguments."""
        return MLP(**{**self.arguments, **changes})

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that construct this model; text, numbers and tuples only."""
        names = {"loss_name": "loss", "initialisation": "init"}
        values = {names.get(name, name): getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "std": _one_or_all(self.std), "multipliers": _one_or_all(self.multipliers)}

    def __repr__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        plain = MLP(self.layer_sizes).arguments
        shown = [f"{k}={v!r}" for k, v in self.arguments.items() if k == "layer_sizes" or v != plain[k]]
        return f"MLP({', '.join(shown)})"

    # -- the layout of theta -----------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """The number L of layers with weights."""
        return len(self.layer_sizes) - 1

    @property
    def size(self) -> int:
        """The number P of parameters."""
        return int(self._offsets[-1])

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        sizes = self.layer_sizes
        each = [n_in * n_out + self.bias * n_out for n_in, n_out in pairwise(sizes)]
        return np.cumsum([0, *each]).astype(np.int64)

    def layers(self, theta: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Return the weights W (n_in, n_out) and biases b (n_out,) of each layer, as views of `theta` (P,)."""
        net = self.network
        return [(reference.weights(net, theta, i), reference.biases(net, theta, i)) for i in range(self.depth)]

    def init(self, seed: int = 0) -> NDArray[Any]:
        """Draw initial parameters (P,) from `np.random.default_rng(seed)`, layer by layer, weights before biases.

        They are drawn in float64, then cast to the dtype. Under μP the standard deviations are those of the network
        with `base_width`, divided, between hidden layers, by the square root of the ratio of the widths.
        """
        rng = np.random.default_rng(integer("seed", seed, 0))
        scheme = INITIALISATIONS[self.initialisation]
        theta = np.zeros(self.size)
        for layer, (W, b) in enumerate(self.layers(theta)):
            wide_in, wide_out = self._width_ratios[layer]
            n_in, n_out = W.shape[0] / wide_in, W.shape[1] / wide_out
            own = self.std[layer]
            std = scheme.std(n_in, n_out) if own is None else own
            if 0 < layer < self.depth - 1:
                std /= math.sqrt(wide_in)
            W[:] = _draw(rng, scheme.uniform, std, W.shape)
            if scheme.bias_std is not None:
                b[:] = _draw(rng, scheme.uniform, scheme.bias_std(n_in, n_out), b.shape)
        return theta.astype(self.dtype)

    # -- what follows from the width under μP ------------------------------------------------------------------

    @property
    def _width_ratios(self) -> list[tuple[float, float]]:
        """The ratio of each layer's inputs, and of its outputs, to those at `base_width`."""
        if self.parametrisation == "standard":
            return [(1.0, 1.0)] * self.depth
        assert self.base_width is not None
        wide = [1.0, *(n / self.base_width for n in self.layer_sizes[1:-1]), 1.0]
        return list(pairwise(wide))

    def rate_multipliers(self, optimizer: Optimizer) -> NDArray[np.float64]:
        """Return the multiple of the learning rate (L, 2) for W and b of each layer: the optimizer's, times μP's."""
        given = optimizer.rate_multipliers
        if given is None and self.parametrisation == "standard":
            return np.ones((self.depth, 2))
        own = _one_a_layer("rate_multipliers", 1.0 if given is None else given, self.depth)
        multiples = np.repeat(np.array(own, dtype=np.float64)[:, None], 2, axis=1)
        for layer, (wide_in, wide_out) in enumerate(self._width_ratios):
            readout = layer == self.depth - 1
            if optimizer.adaptive:
                multiples[layer] *= (1.0 if readout else 1 / wide_in, 1.0)
            else:
                multiples[layer] *= (wide_in if readout else wide_out / wide_in, wide_out)
        return multiples

    # -- the network as the kernels see it ---------------------------------------------------------------------

    @cached_property
    def network(self) -> reference.Network:
        """The arrays and numbers that `reference.py` and the kernels work with; output −1 if output or loss is open."""
        output, loss = self.output, self.loss_name
        wide = [wide_in for wide_in, _ in self._width_ratios]
        scales = [
            m / (w if i == self.depth - 1 else 1) for i, (m, w) in enumerate(zip(self.multipliers, wide, strict=True))
        ]
        return reference.Network(
            np.array(self.layer_sizes, dtype=np.int64),
            self._offsets,
            np.array(scales, dtype=np.float64),
            ACTIVATIONS[self.activation],
            -1 if output is None or loss is None else OUTPUTS[output, loss],
            int(self.bias),
            self.l2,
            self.dropout,
        )

    def for_task(self, task: str) -> MLP:
        """Return this model with output and loss named: what was left out is chosen for the task.

        That is softmax for `"classification"`, or logistic with one output for two classes; logistic for
        `"multilabel"`, both with cross-entropy; identity with squared error for `"regression"`.

        >>> MLP((4, 3)).for_task("classification").output
        'softmax'
        >>> MLP((4, 1)).for_task("classification").output
        'logistic'
        """
        return _for_task(self, task)

    # -- the objective -----------------------------------------------------------------------------------------

    def loss(self, theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> float:
        """Return J(theta), the mean loss over the examples plus l2/2·ΣW², without dropout.

        Args:
            theta (array (P,)): The parameters.
            X (array (N, D)): The features of the examples.
            y (array (N,) or (N, K)): Class numbers from 0 (N,), or values. Where the model does not name its output and
                loss, they follow y: whole numbers are classes, or labels if they stand in columns; other numbers are
                values.

        Raises:
            ValueError, TypeError: For wrong shapes, labels outside the classes, NaN and infinity.
        """
        from nn import compiled, objective  # they bring in Numba, which a description alone does not need

        model, data = objective.prepare(self, X, y)
        point = compiled.parameters(model, theta)
        return compiled.mean_loss(model, point, data)[0] + objective.penalty(model, point)

    def gradient(self, theta: ArrayLike, X: ArrayLike, y: ArrayLike) -> NDArray[Any]:
        """Return ∇J(theta) (P,), in the dtype of the model; arguments and errors are those of `loss`."""
        from nn import compiled, objective

        model, data = objective.prepare(self, X, y)
        return compiled.loss_gradient(model, compiled.parameters(model, theta), data)[1]

    def hessian_vector_product(self, theta: ArrayLike, v: ArrayLike, X: ArrayLike, y: ArrayLike) -> NDArray[Any]:
        """Return H v (P,) with H the Hessian of J at theta, exactly (Pearlmutter 1994).

        `v` (P,) is any direction; the other arguments and the errors are those of `loss`.
        """
        from nn import compiled, objective

        model, data = objective.prepare(self, X, y)
        point, direction = compiled.parameters(model, theta), compiled.parameters(model, v, "v")
        return compiled.hessian_vector_product(model, point, direction, data)


@lru_cache(maxsize=1024)
def _for_task(model: MLP, task: str) -> MLP:
    """Do the work of `MLP.for_task` once for each model: the trials of a sweep share the result and its caches."""
    one_of("task", task, TASKS)
    output, loss = model.output, model.loss_name
    single = task == "multilabel" or model.layer_sizes[-1] == 1
    if output is None and loss is None:
        loss = "squared_error" if task == "regression" else "cross_entropy"
    if output is None:
        output = "identity" if loss == "squared_error" else "logistic" if single else "softmax"
    if loss is None:
        loss = "squared_error" if output == "identity" else "cross_entropy"
    if (output, loss) == (model.output, model.loss_name):
        return model
    return model.replace(output=output, loss=loss)


def _dtype_name(dtype: Any) -> Any:
    """Return the name of a NumPy dtype or Python type; anything else comes back as it is, to be refused."""
    if dtype is None or isinstance(dtype, str):  # NumPy takes None for float64
        return dtype
    try:
        return np.dtype(dtype).name
    except TypeError:
        return dtype


def _one_or_all(values: tuple[Any, ...]) -> Any:
    """Return the value that all layers share, which fits any depth, or the values of each."""
    return values[0] if len(set(values)) == 1 else values


def _one_a_layer(name: str, value: Any, depth: int) -> list[Any]:
    values = [value] * depth if np.ndim(value) == 0 else list(value)
    if len(values) != depth:
        raise ValueError(f"{name} must have one value for each of the {depth} layers, but got {len(values)}")
    return values


def _draw(rng: np.random.Generator, uniform: bool, std: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    if uniform:
        return rng.uniform(-math.sqrt(3) * std, math.sqrt(3) * std, shape)
    return rng.normal(0.0, std, shape)
