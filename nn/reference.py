"""The mathematics of a multilayer perceptron in plain NumPy, to be read from top to bottom.

`kernels.py` holds the same functions under the same names in the same order, compiled; the tests hold the two
together. Nothing here is called in training: this file is to be read, and to be checked against.

Notation
--------
    B, D, K        examples in the batch, input features, outputs
    L              layers of weights; layer l maps n_l units to n_(l+1): sizes = (n_0, …, n_L), n_0 = D, n_L = K
    theta (P,)     all parameters: for each layer its weights W (n_in, n_out), row by row, then its biases b (n_out,)
    A (B, n)       activations; the batch X is the A of layer 0
    Z (B, n)       pre-activations, Z = m·(A W) + b, with a fixed forward multiplier m for each layer (1 as a rule)
    S (B, n)       slopes ∂A/∂Z of a layer, kept by the forward pass for the backward pass
    dV             ∂loss/∂V for any V: dZ, dA, dW, db
    y              targets: class numbers (B,), or values (B, K)
    w (B,)         sample weights, with mean 1 over the data set; None where all count the same

The objective is a mean over examples, so that batch size and learning rate never mix, plus a penalty on weights:

    J(theta) = 1/B · Σ_i w_i · loss(x_i, y_i; theta)  +  l2/2 · Σ W²
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

erf = np.vectorize(math.erf, otypes=[np.float64])

# The activation of the hidden layers.
RELU, TANH, LOGISTIC, IDENTITY, GELU = range(5)
# What the last layer computes, and the loss that goes with it.
SOFTMAX_CROSS_ENTROPY, LOGISTIC_CROSS_ENTROPY, IDENTITY_SQUARED_ERROR, LOGISTIC_SQUARED_ERROR = range(4)
# Optimizers.
KINDS = SGD, ADAM, RMSPROP = range(3)
# What is recorded of each layer at the end of an epoch.
WEIGHT_NORMS, GRADIENT_NORMS, UPDATE_NORMS, IDLE_SHARES = range(4)
# A hidden unit is idle when its mean slope is at most this: 0 with relu, 1 % of the largest with tanh and logistic.
IDLE_SLOPES = (0.0, 0.01, 0.01 / 4)
# Where the rows of a batch come from: as given, a fresh shuffle for each epoch, or drawn with replacement.
IN_ORDER, SHUFFLED, REPLACED = range(3)


class Network(NamedTuple):
    """A model as the functions below see it: arrays and numbers only."""

    sizes: NDArray[np.int64]  # (L + 1,) units of each layer, inputs first
    offsets: NDArray[np.int64]  # (L + 1,) where the parameters of each layer start in theta; the last is P
    multipliers: NDArray[np.float64]  # (L,) the forward multiplier m of each layer
    activation: int  # RELU …
    output: int  # SOFTMAX_CROSS_ENTROPY …
    bias: int  # 1, or 0 for a network without biases: theta then holds weights alone
    l2: float
    dropout: float  # the probability that a hidden unit is silenced in a training step


class Update(NamedTuple):
    """The numbers by which an optimizer turns a gradient into a step."""

    kind: int  # SGD …
    weight_decay: float
    clip_norm: float  # infinity: gradients are never clipped
    momentum: float = 0.0  # β
    nesterov: int = 0
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0


class Moments(NamedTuple):
    """The memory that an optimizer has of past gradients, in the dtype of theta; empty where it needs nothing."""

    first: Array  # (P,) the velocity, or Adam's mean gradient
    second: Array  # (P,) the mean squared gradient


# -- parameters ------------------------------------------------------------------------------------------------


def weights(net: Network, theta: Array, layer: int) -> Array:
    """W (n_in, n_out) of a layer, a view of theta."""
    n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
    start = net.offsets[layer]
    return theta[start : start + n_in * n_out].reshape(n_in, n_out)


def biases(net: Network, theta: Array, layer: int) -> Array:
    """b (n_out,) of a layer, a view of theta; of length 0 in a network without biases."""
    stop = net.offsets[layer + 1]
    return theta[stop - net.bias * net.sizes[layer + 1] : stop]


# -- randomness ------------------------------------------------------------------------------------------------
# Every random number is a pure function of (seed, stream, counter), so that a run can be continued from its step
# number alone. The generator is SplitMix64 (Steele, Lea & Flood 2014) used as a hash.


def random_bits(seed: int, stream: int, counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64 random bits for each counter."""
    key = mix(np.array([seed], np.uint64) ^ mix(np.array([stream], np.uint64)))
    return mix(key + counter * np.uint64(0x9E3779B97F4A7C15))


def mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64: a bijection of 64 bits in which each input bit moves half of the output bits."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def epoch_rows(order: NDArray[np.int64], examples: int, mode: int, seed: int, epoch: int) -> None:
    """Fill `order` with the rows of an epoch: a Fisher-Yates shuffle of all N examples, or draws with replacement.

    A number in [0, n) is the upper half of a 64-bit product (Lemire 2019); its bias is below n/2³².
    """
    counter = np.arange(len(order), dtype=np.uint64)
    high = random_bits(seed, 2 * epoch, counter) >> np.uint64(32)
    if mode == REPLACED:
        order[:] = (high * np.uint64(examples)) >> np.uint64(32)
    if mode == SHUFFLED:
        order[:] = np.arange(examples)
        swap = (high * (counter + np.uint64(1))) >> np.uint64(32)
        for i in range(examples - 1, 0, -1):
            j = int(swap[i])
            order[i], order[j] = order[j], order[i]


# -- one layer -------------------------------------------------------------------------------------------------


def linear_forward(A: Array, W: Array, b: Array, multiplier: float) -> Array:
    """Z = m·(A W) + b."""
    Z = multiplier * (A @ W)
    return Z + b if b.size else Z


def linear_backward(dZ: Array, A: Array, W: Array, multiplier: float) -> tuple[Array, Array, Array]:
    """dW = m·Aᵀ dZ, db = Σ_i dZ_i, dA = m·dZ Wᵀ."""
    return multiplier * (A.T @ dZ), dZ.sum(axis=0), multiplier * (dZ @ W.T)


def activation_forward(Z: Array, activation: int) -> tuple[Array, Array]:
    """A = φ(Z) and its slopes S = φ'(Z); relu has slope 0 at 0."""
    if activation == RELU:
        return np.where(Z < 0, 0, Z), (Z > 0).astype(Z.dtype)
    if activation == TANH:
        A = np.tanh(Z)
        return A, 1 - A * A
    if activation == LOGISTIC:
        A = logistic(Z)
        return A, A * (1 - A)
    if activation == GELU:  # z·Φ(z), Φ the normal distribution function (Hendrycks & Gimpel 2016)
        normal = 0.5 * (1 + erf(Z * np.sqrt(0.5)))
        density = np.exp(-0.5 * Z * Z) / np.sqrt(2 * np.pi)
        return (Z * normal).astype(Z.dtype), (normal + Z * density).astype(Z.dtype)
    return Z.copy(), np.ones_like(Z)


def activation_backward(dA: Array, S: Array) -> Array:
    """dZ = dA · φ'(Z)."""
    return dA * S


def activation_curvature(Z: Array, activation: int) -> Array:
    """φ''(Z), for Hessian-vector products."""
    if activation == TANH:
        A = np.tanh(Z)
        return -2 * A * (1 - A * A)
    if activation == LOGISTIC:
        A = logistic(Z)
        return A * (1 - A) * (1 - 2 * A)
    if activation == GELU:
        return (np.exp(-0.5 * Z * Z) / np.sqrt(2 * np.pi) * (2 - Z * Z)).astype(Z.dtype)
    return np.zeros_like(Z)


def logistic(Z: Array) -> Array:
    """1 / (1 + e^−z), from e^−|z| so that nothing overflows."""
    e = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1, e) / (1 + e)


def dropout_forward(A: Array, S: Array, probability: float, seed: int, stream: int) -> None:
    """Silence each unit with this probability p and scale the others by 1/(1 − p) (Srivastava et al. 2014).

    The slopes are treated alike, and thereby the backward pass is done too: ∂(cA)/∂Z = c·S.
    """
    counter = np.arange(A.size, dtype=np.uint64).reshape(A.shape)
    uniform = (random_bits(seed, stream, counter) >> np.uint64(40)) * 2.0**-24
    keep = np.where(uniform >= probability, 1 / (1 - probability), 0.0).astype(A.dtype)
    A *= keep
    S *= keep


# -- the loss --------------------------------------------------------------------------------------------------


def output_forward(Z: Array, output: int) -> Array:
    """A of the last layer: probabilities, or Z itself for squared error on linear outputs."""
    if output == SOFTMAX_CROSS_ENTROPY:
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)
    if output == IDENTITY_SQUARED_ERROR:
        return Z.copy()
    return logistic(Z)


def loss_forward(Z: Array, A: Array, y: NDArray[Any], output: int, w: Array | None = None) -> float:
    """Σ_i w_i · loss_i over the batch. Logarithms are taken of sums, never of clipped probabilities.

    softmax + cross-entropy     log Σ_k e^z_k − z_y
    logistic + cross-entropy    Σ_k max(z_k, 0) − z_k·y_k + log(1 + e^−|z_k|)
    squared error               ½ Σ_k (a_k − y_k)²
    """
    if output == SOFTMAX_CROSS_ENTROPY:
        top = Z.max(axis=1)
        losses = top + np.log(np.exp(Z - top[:, None]).sum(axis=1)) - Z[np.arange(len(Z)), y]
    elif output == LOGISTIC_CROSS_ENTROPY:
        losses = (np.maximum(Z, 0) - Z * y + np.log1p(np.exp(-np.abs(Z)))).sum(axis=1)
    else:
        losses = 0.5 * ((A - y) ** 2).sum(axis=1)
    return float(np.sum(losses if w is None else w * losses, dtype=np.float64))


def loss_backward(A: Array, y: NDArray[Any], output: int, w: Array | None = None) -> Array:
    """dZ of the last layer, for the mean over the batch: both cross-entropies and squared error give (a − y)·w/B."""
    dZ = A.copy()
    if output == SOFTMAX_CROSS_ENTROPY:
        dZ[np.arange(len(A)), y] -= 1
    else:
        dZ -= y
    if output == LOGISTIC_SQUARED_ERROR:
        dZ *= A * (1 - A)
    if w is not None:
        dZ *= w[:, None]
    return dZ / len(A)


def loss_curvature(RZ: Array, A: Array, y: NDArray[Any], output: int, w: Array | None = None) -> Array:
    """Return the change of dZ of the last layer when Z moves by RZ: the Hessian of the loss in Z, times RZ."""
    if output == SOFTMAX_CROSS_ENTROPY:
        RdZ = A * (RZ - (A * RZ).sum(axis=1, keepdims=True))
    elif output == IDENTITY_SQUARED_ERROR:
        RdZ = RZ.copy()
    else:
        slope = A * (1 - A)
        RdZ = slope * RZ
        if output == LOGISTIC_SQUARED_ERROR:
            RdZ *= slope + (A - y) * (1 - 2 * A)
    if w is not None:
        RdZ = RdZ * w[:, None]
    return RdZ / len(A)


# -- the network -----------------------------------------------------------------------------------------------


def forward(
    net: Network, theta: Array, X: Array, seed: int = 0, step: int = -1
) -> tuple[list[Array], list[Array], Array]:
    """Activations A_0 … A_L, slopes S_1 … S_(L−1) of the hidden layers, and the last Z.

    Dropout acts in training steps only: `step` −1 stands for a forward pass outside training.
    """
    depth = len(net.sizes) - 1
    A, S = [X], []
    for layer in range(depth):
        Z = linear_forward(A[-1], weights(net, theta, layer), biases(net, theta, layer), net.multipliers[layer])
        if layer == depth - 1:
            A.append(output_forward(Z, net.output))
        else:
            hidden, slopes = activation_forward(Z, net.activation)
            if net.dropout > 0 and step >= 0:
                dropout_forward(hidden, slopes, net.dropout, seed, 2 * (step * depth + layer) + 1)
            A.append(hidden)
            S.append(slopes)
    return A, S, Z


def backward(net: Network, theta: Array, A: list[Array], S: list[Array], dZ: Array) -> Array:
    """The gradient (P,) from dZ of the last layer: the chain rule, layer by layer, last to first."""
    gradient = np.empty_like(theta)
    for layer in reversed(range(len(net.sizes) - 1)):
        W = weights(net, theta, layer)
        dW, db, dA = linear_backward(dZ, A[layer], W, net.multipliers[layer])
        weights(net, gradient, layer)[:] = dW
        if net.bias:
            biases(net, gradient, layer)[:] = db
        if layer > 0:
            dZ = activation_backward(dA, S[layer - 1])
    return gradient


def loss_gradient(
    net: Network, theta: Array, X: Array, y: NDArray[Any], w: Array | None = None, seed: int = 0, step: int = -1
) -> tuple[float, Array]:
    """The mean loss of a batch, and the gradient (P,) of J, which has the penalty l2·W on top."""
    A, S, Z = forward(net, theta, X, seed, step)
    loss = loss_forward(Z, A[-1], y, net.output, w) / len(X)
    gradient = backward(net, theta, A, S, loss_backward(A[-1], y, net.output, w))
    for layer in range(len(net.sizes) - 1):
        weights(net, gradient, layer)[:] += net.l2 * weights(net, theta, layer)
    return loss, gradient


def hessian_vector_product(
    net: Network, theta: Array, v: Array, X: Array, y: NDArray[Any], w: Array | None = None
) -> Array:
    """H v (P,), exactly, for about two gradients' work (Pearlmutter 1994).

    RV stands for the derivative of V along v: theta → theta + ε·v. R is applied to each line of forward and
    backward by the product rule.
    """
    depth = len(net.sizes) - 1
    A, S, _ = forward(net, theta, X)
    RA, RZ, C = np.zeros_like(X), [], []
    RAs = [RA]
    for layer in range(depth):
        W, V, m = weights(net, theta, layer), weights(net, v, layer), net.multipliers[layer]
        RZ.append(linear_forward(RAs[-1], W, biases(net, v, layer), m) + m * (A[layer] @ V))
        if layer < depth - 1:
            Z = linear_forward(A[layer], W, biases(net, theta, layer), m)
            C.append(activation_curvature(Z, net.activation))
            RAs.append(S[layer] * RZ[-1])
    dZ = loss_backward(A[-1], y, net.output, w)
    RdZ = loss_curvature(RZ[-1], A[-1], y, net.output, w)
    product = np.empty_like(theta)
    for layer in reversed(range(depth)):
        W, V, m = weights(net, theta, layer), weights(net, v, layer), net.multipliers[layer]
        weights(net, product, layer)[:] = m * (RAs[layer].T @ dZ + A[layer].T @ RdZ) + net.l2 * V
        if net.bias:
            biases(net, product, layer)[:] = RdZ.sum(axis=0)
        if layer > 0:
            dA, RdA = m * (dZ @ W.T), m * (RdZ @ W.T + dZ @ V.T)
            dZ = dA * S[layer - 1]
            RdZ = RdA * S[layer - 1] + dA * C[layer - 1] * RZ[layer - 1]
    return product


def example_gradient_norms(net: Network, theta: Array, X: Array, y: NDArray[Any], w: Array | None = None) -> Array:
    """‖∇ loss_i‖² (B,) of each example alone, without the penalty, from one backward pass (Goodfellow 2015).

    The gradient of one example in a layer is the outer product a·dzᵀ, whose squared norm is ‖a‖²·‖dz‖².
    """
    A, S, _ = forward(net, theta, X)
    dZ = loss_backward(A[-1], y, net.output, w) * len(X)
    norms = np.zeros(len(X), theta.dtype)
    for layer in reversed(range(len(net.sizes) - 1)):
        m = net.multipliers[layer]
        norms += (dZ**2).sum(axis=1) * (m * m * (A[layer] ** 2).sum(axis=1) + net.bias)
        if layer > 0:
            dZ = activation_backward(m * (dZ @ weights(net, theta, layer).T), S[layer - 1])
    return norms


# -- what is recorded of each layer ----------------------------------------------------------------------------


def weight_norms(net: Network, v: Array) -> NDArray[np.float64]:
    """‖W‖ (L,) of each layer where v (P,) is theta, ‖dW‖ where it is a gradient, ‖ΔW‖ where it is a step."""
    return np.array([np.sqrt(np.sum(weights(net, v, i).astype(np.float64) ** 2)) for i in range(len(net.sizes) - 1)])


def slope_sums(net: Network, S: list[Array]) -> NDArray[np.float64]:
    """Σ_i S (H,) of each hidden unit over the examples, one layer after another."""
    return np.concatenate([slopes.sum(axis=0, dtype=np.float64) for slopes in S])


def idle_shares(net: Network, slopes: NDArray[np.float64], examples: int) -> NDArray[np.float64]:
    """The share of idle units (L − 1,) in each hidden layer, from the sums of their slopes over so many examples.

    A relu unit is idle, or dead, that was 0 for every example; a tanh or logistic unit whose mean slope is at most 1 %
    of the largest, which is 1 and 1/4: it is saturated. Little or nothing reaches the weights before such a unit.
    """
    idle = slopes <= IDLE_SLOPES[net.activation] * examples
    return np.array([units.mean() for units in np.split(idle, np.cumsum(net.sizes[1:-2]))])


# -- the update ------------------------------------------------------------------------------------------------


def sgd_update(
    theta: Array, gradient: Array, velocity: Array, learning_rate: float, momentum: float, nesterov: int, decay: float
) -> None:
    """v ← βv + g;  θ ← θ − ηv;  Nesterov steps along g + βv (Sutskever et al. 2013).

    Weight decay is decoupled: θ shrinks by the factor 1 − η·decay first (Loshchilov & Hutter 2019).
    """
    theta *= 1 - learning_rate * decay
    if momentum == 0:
        theta -= learning_rate * gradient
        return
    velocity *= momentum
    velocity += gradient
    if nesterov:
        theta -= learning_rate * (gradient + momentum * velocity)
    else:
        theta -= learning_rate * velocity


def adam_update(
    theta: Array,
    gradient: Array,
    first: Array,
    second: Array,
    learning_rate: float,
    update: Update,
    step: int,
    decay: float,
) -> None:
    """m ← β₁m + (1−β₁)g;  s ← β₂s + (1−β₂)g²;  θ ← θ − η·m̂/(√ŝ + ε)  (Kingma & Ba 2015).

    m̂ = m/(1−β₁ᵗ) and ŝ = s/(1−β₂ᵗ) with t = step + 1. Weight decay is decoupled, as in AdamW.
    """
    theta *= 1 - learning_rate * decay
    first *= update.beta1
    first += (1 - update.beta1) * gradient
    second *= update.beta2
    second += (1 - update.beta2) * gradient * gradient
    m_hat = first / (1 - update.beta1 ** (step + 1))
    s_hat = second / (1 - update.beta2 ** (step + 1))
    theta -= learning_rate * m_hat / (np.sqrt(s_hat) + update.epsilon)


def rmsprop_update(
    theta: Array,
    gradient: Array,
    velocity: Array,
    second: Array,
    learning_rate: float,
    update: Update,
    decay: float,
) -> None:
    """s ← β₂s + (1−β₂)g²;  v ← βv + g/(√s + ε);  θ ← θ − ηv  (Tieleman & Hinton 2012).

    Weight decay is decoupled.
    """
    theta *= 1 - learning_rate * decay
    second *= update.beta2
    second += (1 - update.beta2) * gradient * gradient
    scaled = gradient / (np.sqrt(second) + update.epsilon)
    if update.momentum == 0:
        theta -= learning_rate * scaled
        return
    velocity *= update.momentum
    velocity += scaled
    theta -= learning_rate * velocity


def update_parameters(
    net: Network,
    update: Update,
    theta: Array,
    gradient: Array,
    moments: Moments,
    learning_rate: float,
    rate_multipliers: NDArray[np.float64],
    step: int,
) -> None:
    """One step of the optimizer, part by part: W and b of each layer, each with its multiple of the learning rate.

    `rate_multipliers` (L, 2) has a column for W and one for b. A gradient longer than `clip_norm` is shortened to it
    before (Pascanu et al. 2013). Decay acts on weights, never on biases.
    """
    first, second = moments
    norm = np.sqrt(np.sum(gradient.astype(np.float64) ** 2))
    if norm > update.clip_norm:
        gradient *= update.clip_norm / norm
    for layer in range(len(net.sizes) - 1):
        split = net.offsets[layer] + net.sizes[layer] * net.sizes[layer + 1]
        for start, stop, column in ((net.offsets[layer], split, 0), (split, net.offsets[layer + 1], 1)):
            part = slice(start, stop)
            own_learning_rate = learning_rate * rate_multipliers[layer, column]
            decay = update.weight_decay if column == 0 else 0.0
            if update.kind == ADAM:
                adam_update(
                    theta[part], gradient[part], first[part], second[part], own_learning_rate, update, step, decay
                )
            elif update.kind == RMSPROP:
                rmsprop_update(theta[part], gradient[part], first[part], second[part], own_learning_rate, update, decay)
            else:
                momentum, nesterov = update.momentum, update.nesterov
                sgd_update(theta[part], gradient[part], first[part], own_learning_rate, momentum, nesterov, decay)


def train_steps(
    net: Network,
    update: Update,
    theta: Array,
    moments: Moments,
    X: Array,
    y: NDArray[Any],
    mode: int,
    batch_size: int,
    learning_rates: NDArray[np.float64],
    rate_multipliers: NDArray[np.float64],
    seed: int = 0,
) -> NDArray[np.float64]:
    """Gradient descent on mini-batches: one step for each of the `learning_rates`; returns each batch's loss.

    theta ← theta − learning_rate · ∇J(theta), in place. An epoch has ⌈N/B⌉ steps; its last batch may be shorter.
    """
    order = np.arange(len(X))
    steps_per_epoch = -(-len(X) // batch_size)
    if mode == REPLACED:
        order = np.empty(steps_per_epoch * batch_size, np.int64)  # every batch is full
    losses = np.empty(len(learning_rates))
    for step, learning_rate in enumerate(learning_rates):
        epoch, position = divmod(step, steps_per_epoch)
        if position == 0:
            epoch_rows(order, len(X), mode, seed, epoch)
        rows = order[position * batch_size : (position + 1) * batch_size]
        losses[step], gradient = loss_gradient(net, theta, X[rows], y[rows], None, seed, step)
        update_parameters(net, update, theta, gradient, moments, learning_rate, rate_multipliers, step)
    return losses
