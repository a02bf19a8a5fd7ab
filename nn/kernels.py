"""`reference.py`, compiled: the same functions, the same names, the same order. Read the mathematics there.

What differs, and why:

- Results go into arrays that the caller passes in, so that no step of training allocates anything. `A`, `S` and `D`
  are workspaces with one line for each layer, `A[layer, : rows * units]` being a (rows, units) matrix; a layer's Z
  stands where its A will stand.
- Targets come as `labels` (N,) and `Y` (N, K), whichever the loss needs; the other is empty. So are the sample weights
  `w` where all examples count the same. Those of a chunk are gathered first, then loops over them run in vectors.
- A batch is a list of rows of the data set. It is worked off in chunks of at most `CHUNK` rows, so that a full batch
  of any size needs no more workspace than that.
- Matrix products and sums, e^x, tanh and the softmax come from `nn/llvm`, views and all. Arithmetic is in the
  dtype of theta; sums over examples are in float64.
- `fastmath` is off: a sum is added up in the order that stands here, so that the bits do not depend on how, when and
  with what else a kernel was compiled. A process holds several copies of a shared function, and which of them runs
  depends on what it compiled itself and what it read from the cache.

Arrays are C-contiguous and writable, whole numbers int64 and other numbers float64, so that each function is compiled
once for each dtype. After a change in this file, or in one that it imports from, all of them are compiled anew.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from nn.llvm import (
    WITHOUT_WRAPPERS,
    apart,
    borrowed,
    column_sums,
    exp,
    line,
    normal,
    product,
    product_left,
    product_right,
    softmax,
    sum_of,
    sum_of_squares,
    tanh,
    transpose,
    view,
)
from nn.reference import (
    ADAM,
    GELU,
    GRADIENT_NORMS,
    IDENTITY_SQUARED_ERROR,
    IDLE_SHARES,
    IDLE_SLOPES,
    IN_ORDER,
    LOGISTIC,
    LOGISTIC_CROSS_ENTROPY,
    LOGISTIC_SQUARED_ERROR,
    RELU,
    REPLACED,
    RMSPROP,
    SGD,
    SHUFFLED,
    SOFTMAX_CROSS_ENTROPY,
    TANH,
    UPDATE_NORMS,
    WEIGHT_NORMS,
)

Array = NDArray[Any]

CHUNK = 512

# What `totals` sums up over the steps of an epoch, and the columns of a history.
LOSS, SCORE, EXAMPLES, GRADIENT_NORM, UPDATE_NORM, STEPS = range(6)
TRAIN_LOSS, TRAIN_SCORE, VALIDATION_LOSS, VALIDATION_SCORE, MEAN_GRADIENT_NORM, MEAN_UPDATE_NORM = range(6)
# After these columns, a history has L numbers of each kind that is recorded of each layer.
COLUMNS, KINDS = 6, 4

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
OUTSIDE_TRAINING = np.int64(-1)
NO_SEED = np.int64(0)

# Three ways of being compiled. `jit`: by itself, and Python may call it. `inner`: by itself, for kernels alone; that
# needs no wrappers, which take an eighth of the time, but a call from Python would crash it. `inlined`: as part of
# whatever kernel calls it. A function that stands between the loop over the steps and the arithmetic would be optimised
# again with all that it calls, and would take its arrays through memory: inlined, 64-32-10 compiles and trains in three
# quarters of the time. Small ones are inlined by LLVM anyway, and in less time than Numba takes for it.
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
jit = numba.njit(**OPTIONS)
inner = numba.njit(**{**OPTIONS, **WITHOUT_WRAPPERS})
inlined = numba.njit(inline="always", **OPTIONS)


class Examples(NamedTuple):
    """A data set: C-contiguous and writable, floats in the dtype of theta."""

    X: Array  # (N, D)
    labels: NDArray[np.int64]  # (N,) class numbers, or empty
    Y: Array  # (N, K) values, or empty
    w: Array  # (N,) sample weights with mean 1, or empty

    def take(self, rows: NDArray[np.int64] | slice) -> Examples:
        """Return the examples of some rows."""
        return Examples(*(part[rows] if len(part) else part for part in self))


class Feed(NamedTuple):
    """The source of the mini-batches of some steps."""

    data: Examples
    order: NDArray[np.int64]  # the rows of the batches of `cycle` steps, over and over
    origin: int  # the step that begins at the start of `order`
    cycle: int
    mode: int  # IN_ORDER, or SHUFFLED or REPLACED: then `order` is filled anew at the start of each epoch


class Divergence(NamedTuple):
    """A run has diverged when the loss of a batch is not below `factor` times `start_loss`, which NaN never is."""

    factor: float
    null_loss: float
    start_loss: NDArray[np.float64]  # (1,) NaN before the first step: its own loss, or `null_loss` if that is larger


class Records(NamedTuple):
    """The records that are made on the way."""

    totals: NDArray[np.float64]  # (6 + H,) the sums of an epoch that is not at its end, and those of slopes, if any
    history: NDArray[np.float64]  # (epochs, 6 + 4L) the means of those that end here, and records of each layer
    step_losses: NDArray[np.float64]  # (steps,), or empty


class Workspace(NamedTuple):
    """Room for what is worked out on the way, for a chunk of examples; see above."""

    A: Array  # (L + 1, ·) activations
    S: Array  # (L, ·) slopes
    D: Array  # (2, ·) gradients in A and Z
    Z: Array  # of the last layer, and what `last_layer` and `last_targets` put beside it
    T: Array  # the transpose of a W
    partial: Array  # (P,) the gradient of a chunk, or empty where one chunk is all
    gradient: Array  # (P,)


# -- parameters ------------------------------------------------------------------------------------------------


@inner
def weights(net, theta, layer):
    n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
    start = net.offsets[layer]
    return view(theta, start, n_in, n_out)


@inner
def biases(net, theta, layer):
    units = net.bias * net.sizes[layer + 1]
    return line(theta, net.offsets[layer + 1] - units, units)


@inner
def matrix(workspace, layer, rows, units):
    """The (rows, units) matrix at the start of a line of a workspace."""
    return view(workspace, layer * workspace.shape[1], rows, units)


@inner
def vector(workspace, layer, length):
    """The vector (length,) at the start of a line of a workspace."""
    return line(workspace, layer * workspace.shape[1], length)


@inner
def last_layer(net, A, Z, count):
    """Z and A (K, count) of the last layer, and room for three numbers of each example.

    They are transposed, so that loops over the examples, which are many, run in vectors, and not those over the
    classes: that made softmax, loss and their gradients twice as fast for 10 classes.
    """
    depth = len(net.sizes) - 1
    K = net.sizes[depth]
    z, outputs = view(Z, 0, K, count), view(A, depth * A.shape[1], K, count)
    return z, outputs, line(Z, K * count, count), line(Z, (K + 1) * count, count), line(Z, (K + 2) * count, count)


@inner
def last_targets(net, Z, count, w):
    """Room for the targets (K, count) of a chunk, and for its sample weights (count,), if there are any."""
    K = net.sizes[len(net.sizes) - 1]
    return view(Z, (K + 3) * count, K, count), line(Z, (2 * K + 3) * count, min(count, len(w)))


# -- randomness ------------------------------------------------------------------------------------------------


@inner
def random_bits(seed, stream, counter):
    key = mix(np.uint64(seed) ^ mix(np.uint64(stream)))
    return mix(key + np.uint64(counter) * GOLDEN)


@inner
def mix(bits):
    bits = bits + GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@jit
def epoch_rows(order, examples, mode, seed, epoch):
    apart()
    if mode == REPLACED:
        for i in range(len(order)):
            high = random_bits(seed, 2 * epoch, i) >> np.uint64(32)
            order[i] = np.int64((high * np.uint64(examples)) >> np.uint64(32))
    if mode == SHUFFLED:
        for i in range(examples):
            order[i] = i
        for i in range(examples - 1, 0, -1):
            high = random_bits(seed, 2 * epoch, i) >> np.uint64(32)
            j = np.int64((high * np.uint64(i + 1)) >> np.uint64(32))
            order[i], order[j] = order[j], order[i]


# -- one layer -------------------------------------------------------------------------------------------------


@inlined
def linear_forward(A, W, b, multiplier, Z):
    if multiplier == 1.0:
        product(A, W, Z, b)
        return
    product(A, W, Z, line(b, 0, 0))
    m = Z.dtype.type(multiplier)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] *= m
    if len(b) > 0:
        for i in range(Z.shape[0]):
            for j in range(Z.shape[1]):
                Z[i, j] += b[j]


@inlined
def linear_backward(dZ, A, W, multiplier, dW, db, dA, T):
    """`dA` may be empty: the inputs need no gradient."""
    product_left(A, dZ, dW, line(db, 0, 0))
    if dA.size > 0:
        product_right(dZ, W, dA, T, line(db, 0, 0))
    if multiplier != 1.0:
        scale(line(dW, 0, dW.size), multiplier)
        scale(line(dA, 0, dA.size), multiplier)
    if len(db) > 0:
        column_sums(dZ, db)


@inlined
def last_forward(A, W, b, multiplier, At, Z):
    """`linear_forward` for the last layer: from A (rows, n_in) to Z (K, rows); `At` has room for Aᵀ.

    Few outputs fill no register, many examples do: with 10 outputs the products of a step of 64-32-10 take 2.9 µs and
    not 3.2 µs.
    """
    transpose(A, At)
    product_left(W, At, Z, line(b, 0, 0))
    m, zero = Z.dtype.type(multiplier), Z.dtype.type(0)
    for k in range(Z.shape[0]):
        own = b[k] if len(b) > 0 else zero
        for i in range(Z.shape[1]):
            Z[k, i] = m * Z[k, i] + own


@inlined
def last_backward(dZ, A, W, multiplier, dW, db, dA, T):
    """`linear_backward` for the last layer: from dZ (K, rows). `T` has room for Wᵀ."""
    (n_in, K), nothing = W.shape, line(db, 0, 0)
    turned = view(T, 0, K, n_in)
    product(dZ, A, turned, nothing)
    transpose(turned, dW)
    if dA.size > 0:
        transpose(W, turned)
        product_left(dZ, turned, dA, nothing)
    if multiplier != 1.0:
        scale(line(dW, 0, dW.size), multiplier)
        scale(line(dA, 0, dA.size), multiplier)
    for k in range(len(db)):
        db[k] = sum_of(line(dZ, k * dZ.shape[1], dZ.shape[1]))


@inner
def activation_forward(Z, activation, S):
    """On vectors (rows · units,): Z becomes A in its place."""
    apart()
    zero, one, half = Z.dtype.type(0), Z.dtype.type(1), Z.dtype.type(0.5)
    if activation == RELU:
        for i in range(len(Z)):
            z = Z[i]
            Z[i] = zero if z < zero else z
            S[i] = one if z > zero else zero
    elif activation == TANH:
        for i in range(len(Z)):
            a = tanh(Z[i])
            Z[i] = a
            S[i] = one - a * a
    elif activation == LOGISTIC:
        for i in range(len(Z)):
            a = logistic(Z[i])
            Z[i] = a
            S[i] = a * (one - a)
    elif activation == GELU:
        root_two_pi = Z.dtype.type(math.sqrt(2 * math.pi))
        for i in range(len(Z)):
            z = Z[i]
            share = normal(z)
            Z[i] = z * share
            S[i] = share + z * exp(-half * z * z) / root_two_pi
    else:
        for i in range(len(Z)):
            S[i] = one


@inner
def activation_backward(dA, S):
    """On vectors (rows · units,): dA becomes dZ in its place."""
    for i in range(len(dA)):
        dA[i] *= S[i]


@inner
def activation_curvature(Z, activation, C):
    one, two, half = Z.dtype.type(1), Z.dtype.type(2), Z.dtype.type(0.5)
    if activation == TANH:
        for i in range(len(Z)):
            a = tanh(Z[i])
            C[i] = -two * a * (one - a * a)
    elif activation == LOGISTIC:
        for i in range(len(Z)):
            a = logistic(Z[i])
            C[i] = a * (one - a) * (one - two * a)
    elif activation == GELU:
        root_two_pi = Z.dtype.type(math.sqrt(2 * math.pi))
        for i in range(len(Z)):
            z = Z[i]
            C[i] = exp(-half * z * z) / root_two_pi * (two - z * z)
    else:
        for i in range(len(Z)):
            C[i] = 0


@inner
def logistic(z):
    one = z * 0 + 1  # in the dtype of z; the product keeps NaN and infinity visible
    e = exp(-abs(z))
    return (one if z >= 0 else e) / (one + e)


@inner
def dropout_forward(A, S, probability, seed, stream, first):
    """On vectors; `first` is the number of this chunk's first unit within the batch."""
    apart()
    zero, kept = A.dtype.type(0), A.dtype.type(1 / (1 - probability))
    threshold = np.uint64(math.ceil(probability * 2.0**24))
    for i in range(len(A)):
        keep = kept if random_bits(seed, stream, first + i) >> np.uint64(40) >= threshold else zero
        A[i] *= keep
        S[i] *= keep


# -- the loss --------------------------------------------------------------------------------------------------


@inner
def output_forward(Z, output, A, tops, shares, winners):
    """On (K, rows) matrices.

    For a softmax, `tops`, `shares` and `winners` (rows,) become max_k z_k, 1/Σ_k e^(z_k − max z) and the k of the
    largest a_k.
    """
    apart()
    K, rows = Z.shape
    if output == SOFTMAX_CROSS_ENTROPY:
        softmax(Z, A, tops, shares, winners)
    elif output == IDENTITY_SQUARED_ERROR:
        for k in range(K):
            for i in range(rows):
                A[k, i] = Z[k, i]
    else:
        for k in range(K):
            for i in range(rows):
                A[k, i] = logistic(Z[k, i])


@inner
def loss_forward(Z, A, y, output, w, tops, shares):
    """On (K, rows) matrices, with what `output_forward` left in `tops` and `shares`, which may be overwritten.

    For a softmax, the first line of y holds the class numbers.
    """
    apart()
    total = 0.0
    zero, half = Z.dtype.type(0), Z.dtype.type(0.5)
    K, count = Z.shape
    if output == SOFTMAX_CROSS_ENTROPY:
        if len(w) > 0:
            for i in range(count):
                total += w[i] * (tops[i] - Z[np.int64(y[0, i]), i] - math.log(shares[i]))
            return total
        for i in range(count):
            total += tops[i] - Z[np.int64(y[0, i]), i]
        # One logarithm of the product of 32 shares, each between 1/K and 1, in the place of 32 logarithms: with a
        # thousand million classes it would still be a normal number.
        for first in range(0, count, 32):
            together = 1.0
            for i in range(first, min(first + 32, count)):
                together *= shares[i]
            total -= math.log(together)
        return total
    losses = shares
    for i in range(count):
        losses[i] = zero
    for k in range(K):
        for i in range(count):
            if output == LOGISTIC_CROSS_ENTROPY:
                z = Z[k, i]
                losses[i] += (z if z > zero else z * zero) - z * y[k, i] + math.log1p(exp(-abs(z)))
            else:
                losses[i] += half * (A[k, i] - y[k, i]) ** 2
    for i in range(count):
        total += losses[i] * w[i] if len(w) > 0 else losses[i]
    return total


@inner
def loss_backward(A, y, output, w, batch_size, dZ):
    """On (K, rows) matrices of a chunk; `batch_size` is B of the whole batch."""
    apart()
    one = A.dtype.type(1)
    share = A.dtype.type(1.0 / batch_size)
    K, count = A.shape
    a, target, dz = line(A, 0, A.size), line(y, 0, y.size), line(dZ, 0, dZ.size)  # one long loop is faster than K short
    if output == SOFTMAX_CROSS_ENTROPY:
        for j in range(len(a)):
            dz[j] = a[j] * share
        for i in range(count):
            dZ[np.int64(y[0, i]), i] -= share
    elif output == LOGISTIC_SQUARED_ERROR:
        for j in range(len(a)):
            dz[j] = (a[j] - target[j]) * (a[j] * (one - a[j])) * share
    else:
        for j in range(len(a)):
            dz[j] = (a[j] - target[j]) * share
    for k in range(K if len(w) > 0 else 0):
        for i in range(count):
            dZ[k, i] *= w[i]


@inner
def loss_curvature(RZ, A, y, output, w, batch_size, RdZ):
    """From RZ (rows, K) and A (K, rows) to RdZ (rows, K)."""
    one, two = A.dtype.type(1), A.dtype.type(2)
    share = A.dtype.type(1.0 / batch_size)
    for i in range(A.shape[1]):
        factor = share * w[i] if len(w) > 0 else share
        mean = A.dtype.type(0)
        if output == SOFTMAX_CROSS_ENTROPY:
            for k in range(A.shape[0]):
                mean += A[k, i] * RZ[i, k]
        for k in range(A.shape[0]):
            a = A[k, i]
            if output == SOFTMAX_CROSS_ENTROPY:
                RdZ[i, k] = a * (RZ[i, k] - mean) * factor
            elif output == IDENTITY_SQUARED_ERROR:
                RdZ[i, k] = RZ[i, k] * factor
            else:
                slope = a * (one - a)
                RdZ[i, k] = slope * RZ[i, k] * factor
                if output == LOGISTIC_SQUARED_ERROR:
                    RdZ[i, k] *= slope + (a - y[k, i]) * (one - two * a)


@inner
def count_correct(A, labels, Y, output, rows, most, winners):
    """Count the rows of A (K, rows) that are predicted right; for several labels at once, all of them must be.

    For a softmax, `winners` (rows,) is what `output_forward` left there; else it and `most` (rows,) are overwritten.
    """
    apart()
    K, count = A.shape
    correct = 0
    if len(labels) > 0 and K > 1:
        if output != SOFTMAX_CROSS_ENTROPY:
            for i in range(count):
                most[i] = A[0, i]
                winners[i] = 0
            for k in range(1, K):
                number = A.dtype.type(k)
                for i in range(count):
                    more = A[k, i] > most[i]
                    most[i] = A[k, i] if more else most[i]
                    winners[i] = number if more else winners[i]
        for i in range(count):
            correct += winners[i] == labels[rows[i]]
    else:
        for i in range(count):
            wrong = 0
            for k in range(K):
                wrong += (A[k, i] > 0.5) != (Y[rows[i], k] > 0.5)
            correct += wrong == 0
    return correct


# -- the network -----------------------------------------------------------------------------------------------


@inner
def forward(net, theta, A, S, Z, count, seed, step, first_row):
    """From the (count, D) inputs in `A[0]`. The last Z and the outputs come as `last_layer` says."""
    apart()
    depth = len(net.sizes) - 1
    for layer in range(depth):
        n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
        W, b, m = weights(net, theta, layer), biases(net, theta, layer), net.multipliers[layer]
        inputs = matrix(A, layer, count, n_in)
        if layer == depth - 1:
            z, outputs, tops, shares, winners = last_layer(net, A, Z, count)
            last_forward(inputs, W, b, m, matrix(S, layer, n_in, count), z)
            output_forward(z, net.output, outputs, tops, shares, winners)
        else:
            linear_forward(inputs, W, b, m, matrix(A, layer + 1, count, n_out))
            hidden, slopes = vector(A, layer + 1, count * n_out), vector(S, layer, count * n_out)
            activation_forward(hidden, net.activation, slopes)
            if net.dropout > 0 and step >= 0:
                stream = 2 * (step * depth + layer) + 1
                dropout_forward(hidden, slopes, net.dropout, seed, stream, first_row * n_out)


@inlined
def backward(net, theta, A, S, D, T, dZ, gradient):
    """From dZ (K, rows) of the last layer; the two lines of `D` take turns."""
    depth, count = len(net.sizes) - 1, dZ.shape[1]
    for layer in range(depth - 1, -1, -1):
        n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
        inputs, W, m = matrix(A, layer, count, n_in), weights(net, theta, layer), net.multipliers[layer]
        dW, db = weights(net, gradient, layer), biases(net, gradient, layer)
        dA = matrix(D, layer % 2, count if layer > 0 else 0, n_in)
        if layer == depth - 1:
            last_backward(dZ, inputs, W, m, dW, db, dA, T)
        else:
            linear_backward(matrix(D, (layer + 1) % 2, count, n_out), inputs, W, m, dW, db, dA, T)
        if layer > 0:
            activation_backward(vector(D, layer % 2, count * n_in), vector(S, layer - 1, count * n_in))


@inlined
def loss_gradient(net, theta, data, rows, seed, step, room, slopes, enough):
    """Over the rows `rows` (B,) of the data set; returns the mean loss and how many predictions were right.

    Slopes are summed up in `slopes`, see `slope_sums`, unless that is empty.
    """
    A, S, D, Z, T, partial, gradient = room
    depth, batch_size = len(net.sizes) - 1, len(rows)
    total, correct = 0.0, 0
    for first in range(0, batch_size, CHUNK):
        count = min(CHUNK, batch_size - first)
        part = line(rows, first, count)
        gather(data.X, part, matrix(A, 0, count, net.sizes[0]))
        forward(net, theta, A, S, Z, count, seed, step, first)
        if len(slopes) > 0:
            slope_sums(net, S, D, count, slopes, enough)
        z, outputs, tops, shares, winners = last_layer(net, A, Z, count)
        y, own_w = last_targets(net, Z, count, data.w)
        gather_targets(data.labels, data.Y, data.w, part, net.output, y, own_w)
        total += loss_forward(z, outputs, y, net.output, own_w, tops, shares)
        correct += count_correct(outputs, data.labels, data.Y, net.output, part, tops, winners)
        loss_backward(outputs, y, net.output, own_w, batch_size, z)
        backward(net, theta, A, S, D, T, z, gradient if first == 0 else partial)
        if first > 0:
            add_scaled(gradient, partial, 1.0)
    if net.l2 > 0:
        for layer in range(depth):
            start, size = net.offsets[layer], net.sizes[layer] * net.sizes[layer + 1]
            add_scaled(line(gradient, start, size), line(theta, start, size), net.l2)
    return total / batch_size, correct


@jit
def hessian_vector_product(net, theta, v, data, rows, Hv):
    """Allocates its own workspace: it is called for whole data sets, not for mini-batches."""
    depth, total = len(net.sizes) - 1, len(rows)
    classes, widest, most = net.sizes[depth], net.sizes.max(), min(total, CHUNK)
    A, RA = np.empty((depth + 1, most * widest), theta.dtype), np.empty((depth + 1, most * widest), theta.dtype)
    S, C = np.empty((depth, most * widest), theta.dtype), np.empty((depth, most * widest), theta.dtype)
    RZ, D, RD = np.empty_like(C), np.empty((2, most * widest), theta.dtype), np.empty((2, most * widest), theta.dtype)
    Z, T = np.empty(most * (2 * classes + 4), theta.dtype), np.empty(most * widest, theta.dtype)
    transposed = np.empty(net.sizes[:-1].max() * net.sizes[1:].max(), theta.dtype)
    U, partial = np.empty(net.sizes[:-1].max() * net.sizes[1:].max(), theta.dtype), np.empty_like(theta)
    Hv[:] = 0
    partial[:] = 0
    for first in range(0, total, CHUNK):
        part = rows[first : first + CHUNK]
        count = len(part)
        gather(data.X, part, matrix(A, 0, count, net.sizes[0]))
        RA[0, : count * net.sizes[0]] = 0
        forward(net, theta, A, S, Z, count, NO_SEED, OUTSIDE_TRAINING, NO_SEED)
        for layer in range(depth):
            n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
            inputs, m = matrix(A, layer, count, n_in), net.multipliers[layer]
            W, V = weights(net, theta, layer), weights(net, v, layer)
            rz, t = matrix(RZ, layer, count, n_out), view(T, 0, count, n_out)
            linear_forward(matrix(RA, layer, count, n_in), W, biases(net, v, layer), m, rz)
            product(inputs, V, t, theta[:0])
            add_scaled(RZ[layer, : count * n_out], T[: count * n_out], m)
            if layer < depth - 1:
                linear_forward(inputs, W, biases(net, theta, layer), m, t)
                activation_curvature(T[: count * n_out], net.activation, C[layer, : count * n_out])
                for i in range(count * n_out):
                    RA[layer + 1, i] = S[layer, i] * RZ[layer, i]
        z, outputs, _, _, _ = last_layer(net, A, Z, count)
        y, own_w = last_targets(net, Z, count, data.w)
        gather_targets(data.labels, data.Y, data.w, part, net.output, y, own_w)
        loss_backward(outputs, y, net.output, own_w, total, z)
        transpose(z, matrix(D, depth % 2, count, classes))
        rz, rdz = matrix(RZ, depth - 1, count, classes), matrix(RD, depth % 2, count, classes)
        loss_curvature(rz, outputs, y, net.output, own_w, total, rdz)
        for layer in range(depth - 1, -1, -1):
            n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
            W, V, m = weights(net, theta, layer), weights(net, v, layer), net.multipliers[layer]
            dZ, RdZ = matrix(D, (layer + 1) % 2, count, n_out), matrix(RD, (layer + 1) % 2, count, n_out)
            dA = matrix(D, layer % 2, count if layer > 0 else 0, n_in)
            RdA = matrix(RD, layer % 2, count if layer > 0 else 0, n_in)
            u = view(U, 0, n_in, n_out)
            linear_backward(
                RdZ,
                matrix(A, layer, count, n_in),
                W,
                m,
                weights(net, partial, layer),
                biases(net, partial, layer),
                RdA,
                transposed,
            )
            product_left(matrix(RA, layer, count, n_in), dZ, u, theta[:0])
            start = net.offsets[layer]
            add_scaled(partial[start : start + n_in * n_out], U[: n_in * n_out], m)
            if layer > 0:
                product_right(dZ, V, dA, U, theta[:0])
                add_scaled(RD[layer % 2, : count * n_in], D[layer % 2, : count * n_in], m)
                product_right(dZ, W, dA, U, theta[:0])
                scale(D[layer % 2, : count * n_in], m)
                for i in range(count * n_in):
                    da = D[layer % 2, i]
                    D[layer % 2, i] = da * S[layer - 1, i]
                    RD[layer % 2, i] = RD[layer % 2, i] * S[layer - 1, i] + da * C[layer - 1, i] * RZ[layer - 1, i]
        add_scaled(Hv, partial, 1.0)
    for layer in range(depth):
        start = net.offsets[layer]
        stop = start + net.sizes[layer] * net.sizes[layer + 1]
        add_scaled(Hv[start:stop], v[start:stop], net.l2)


@jit
def example_gradient_norms(net, theta, data, rows, norms):
    """Allocates its own workspace: it is called for whole data sets, not for mini-batches."""
    depth, total = len(net.sizes) - 1, len(rows)
    classes, widest, most = net.sizes[depth], net.sizes.max(), min(total, CHUNK)
    A, S = np.empty((depth + 1, most * widest), theta.dtype), np.empty((depth, most * widest), theta.dtype)
    D, Z = np.empty((2, most * widest), theta.dtype), np.empty(most * (2 * classes + 4), theta.dtype)
    T = np.empty(net.sizes[:-1].max() * net.sizes[1:].max(), theta.dtype)
    for first in range(0, total, CHUNK):
        part = rows[first : first + CHUNK]
        count = len(part)
        gather(data.X, part, matrix(A, 0, count, net.sizes[0]))
        forward(net, theta, A, S, Z, count, NO_SEED, OUTSIDE_TRAINING, NO_SEED)
        z, outputs, _, _, _ = last_layer(net, A, Z, count)
        y, own_w = last_targets(net, Z, count, data.w)
        gather_targets(data.labels, data.Y, data.w, part, net.output, y, own_w)
        loss_backward(outputs, y, net.output, own_w, 1, z)
        transpose(z, matrix(D, depth % 2, count, classes))
        norms[first : first + count] = 0
        for layer in range(depth - 1, -1, -1):
            n_in, n_out, m = net.sizes[layer], net.sizes[layer + 1], net.multipliers[layer]
            dZ, inputs = matrix(D, (layer + 1) % 2, count, n_out), matrix(A, layer, count, n_in)
            for i in range(count):
                from_inputs, from_outputs = 0.0, 0.0
                for j in range(n_in):
                    from_inputs += inputs[i, j] * inputs[i, j]
                for k in range(n_out):
                    from_outputs += dZ[i, k] * dZ[i, k]
                norms[first + i] += from_outputs * (m * m * from_inputs + net.bias)
            if layer > 0:
                product_right(dZ, weights(net, theta, layer), matrix(D, layer % 2, count, n_in), T, theta[:0])
                scale(D[layer % 2, : count * n_in], m)
                activation_backward(D[layer % 2, : count * n_in], S[layer - 1, : count * n_in])


# -- what is recorded of each layer ----------------------------------------------------------------------------


@inner
def weight_norms(net, v, norms):
    for layer in range(len(norms)):
        W = line(v, net.offsets[layer], net.sizes[layer] * net.sizes[layer + 1])
        norms[layer] = math.sqrt(sum_of_squares(W))


@inner
def slope_sums(net, S, D, count, slopes, enough):
    """The sums of a chunk are added to `slopes` (H,), for layers where not all of them are above `enough` yet.

    `D` has room for the sums. As many rows as fill four registers are summed up side by side.
    """
    apart()
    first = 0
    for layer in range(len(net.sizes) - 2):
        units = net.sizes[layer + 1]
        own = line(slopes, first, units)
        if at_most(own, enough) > 0:
            rows = 1
            while count % (2 * rows) == 0 and 2 * rows * units * S.itemsize <= 256:
                rows *= 2
            sums = line(D, 0, rows * units)
            column_sums(matrix(S, layer, count // rows, rows * units), sums)
            for row in range(rows):
                for j in range(units):
                    own[j] += sums[row * units + j]
        first += units


@inner
def idle_shares(net, slopes, examples, shares):
    """The shares are NaN where the sums are."""
    limit, first = IDLE_SLOPES[net.activation] * examples, 0
    for layer in range(len(net.sizes) - 2):
        units = net.sizes[layer + 1]
        shares[layer] = at_most(line(slopes, first, units), limit) / units + 0.0 * slopes[first]
        first += units


# -- the update ------------------------------------------------------------------------------------------------


@inner
def sgd_update(theta, gradient, velocity, learning_rate, momentum, nesterov, decay):
    """With momentum or decay, the step takes the place of the gradient."""
    apart()
    one = theta.dtype.type(1)
    eta, beta, shrink = theta.dtype.type(learning_rate), theta.dtype.type(momentum), one
    if decay > 0:
        shrink = theta.dtype.type(1 - learning_rate * decay)
    lost = one - shrink
    if momentum == 0:
        if decay > 0:
            for i in range(len(theta)):
                step, before = eta * gradient[i], theta[i]
                theta[i] = shrink * before - step
                gradient[i] = step + lost * before
        else:
            for i in range(len(theta)):
                theta[i] = theta[i] - eta * gradient[i]
    else:
        ahead = beta if nesterov else one
        behind = one if nesterov else theta.dtype.type(0)
        for i in range(len(theta)):
            velocity[i] = beta * velocity[i] + gradient[i]
            step, before = eta * (behind * gradient[i] + ahead * velocity[i]), theta[i]
            theta[i] = shrink * before - step
            gradient[i] = step + lost * before


@inner
def adam_update(theta, gradient, first, second, learning_rate, update, step, decay):
    """The step takes the place of the gradient."""
    apart()
    beta1, beta2 = theta.dtype.type(update.beta1), theta.dtype.type(update.beta2)
    new1, new2 = theta.dtype.type(1 - update.beta1), theta.dtype.type(1 - update.beta2)
    shrink = theta.dtype.type(1 - learning_rate * decay)
    eta = theta.dtype.type(learning_rate / (1 - math.pow(update.beta1, step + 1)))
    unbias = theta.dtype.type(1 / math.sqrt(1 - math.pow(update.beta2, step + 1)))
    epsilon, lost = theta.dtype.type(update.epsilon), theta.dtype.type(1) - shrink
    for i in range(len(theta)):
        g, before = gradient[i], theta[i]
        first[i] = beta1 * first[i] + new1 * g
        second[i] = beta2 * second[i] + new2 * g * g
        change = eta * first[i] / (math.sqrt(second[i]) * unbias + epsilon)
        theta[i] = shrink * before - change
        gradient[i] = change + lost * before


@inner
def rmsprop_update(theta, gradient, velocity, second, learning_rate, update, decay):
    """The step takes the place of the gradient."""
    apart()
    eta, beta = theta.dtype.type(learning_rate), theta.dtype.type(update.momentum)
    beta2, new2 = theta.dtype.type(update.beta2), theta.dtype.type(1 - update.beta2)
    epsilon, shrink = theta.dtype.type(update.epsilon), theta.dtype.type(1 - learning_rate * decay)
    lost = theta.dtype.type(1) - shrink
    for i in range(len(theta)):
        g = gradient[i]
        second[i] = beta2 * second[i] + new2 * g * g
        gradient[i] = g / (math.sqrt(second[i]) + epsilon)
    if update.momentum > 0:
        for i in range(len(theta)):
            velocity[i] = beta * velocity[i] + gradient[i]
            gradient[i] = velocity[i]
    for i in range(len(theta)):
        change, before = gradient[i] * eta, theta[i]
        theta[i] = shrink * before - change
        gradient[i] = change + lost * before


@inner
def update_parameters(net, update, theta, gradient, moments, learning_rate, rate_multipliers, step):
    """Returns the norms of the gradient, before it is clipped, and of the step. The gradient is overwritten.

    Neighbours in theta that have the learning rate and the decay in common are updated in one go.
    """
    first, second = moments
    norm = norm_of(gradient)
    clipped = min(norm, update.clip_norm)
    if norm > clipped:
        scale(gradient, clipped / norm)
    depth, moved, start = len(net.sizes) - 1, 0.0, 0
    for part in range(2 * depth):
        layer, column = part // 2, part % 2
        stop = net.offsets[layer + 1] - (1 - column) * net.bias * net.sizes[layer + 1]
        multiplier, decay = rate_multipliers[layer, column], (1 - column) * update.weight_decay
        last = part == 2 * depth - 1
        if last or decay != column * update.weight_decay or multiplier != rate_multipliers[(part + 1) // 2, 1 - column]:
            size, own_learning_rate = stop - start, learning_rate * multiplier
            t, g, m = line(theta, start, size), line(gradient, start, size), line(first, start, min(size, len(first)))
            if update.kind == ADAM:
                adam_update(t, g, m, line(second, start, size), own_learning_rate, update, step, decay)
            elif update.kind == RMSPROP:
                rmsprop_update(t, g, m, line(second, start, size), own_learning_rate, update, decay)
            else:
                sgd_update(t, g, m, own_learning_rate, update.momentum, update.nesterov, decay)
            if update.kind == SGD and update.momentum == 0 and decay == 0:
                own = own_learning_rate * (clipped if size == len(theta) else norm_of(g))
            else:
                own = norm_of(g)
            moved += own * own
            start = stop
    return norm, math.sqrt(moved)


@jit
def train_steps(
    net,
    update,
    theta,
    moments,
    feed,
    batch_size,
    steps_per_epoch,
    learning_rates,
    rate_multipliers,
    seed,
    start,
    stop,
    validation,
    divergence,
    records,
    room,
):
    """The steps `start` … `stop` − 1 of a run, each with its own of the `learning_rates`.

    Returns the first step not done. That is `stop`, unless the run diverges: then nothing is updated in that step.
    """
    net, theta, moments, feed, validation = borrowed((net, theta, moments, feed, validation))
    learning_rates, rate_multipliers, room = borrowed((learning_rates, rate_multipliers, room))
    divergence, records = borrowed((divergence, records))
    data, order, origin, cycle, mode = feed
    factor, null_loss, start_loss = divergence
    totals, history, step_losses = records
    ended, depth = 0, len(net.sizes) - 1
    slopes = line(totals, COLUMNS, len(totals) - COLUMNS)
    some_idle = len(slopes) > 0  # so far in this epoch
    enough = IDLE_SLOPES[net.activation] * steps_per_epoch * batch_size if some_idle else 0.0
    validation_rows = np.empty(len(validation.X), np.int64)  # not borrowed: nobody else would hold it
    for i in range(len(validation_rows)):
        validation_rows[i] = i
    for step in range(start, stop):
        epoch, position = step // steps_per_epoch, step % steps_per_epoch
        if position == 0:
            totals[:] = 0
            some_idle = len(slopes) > 0
        if mode != IN_ORDER and (position == 0 or step == start):
            epoch_rows(order, len(data.X), mode, seed, epoch)
        begin = (step - origin) % cycle * batch_size
        rows = line(order, begin, min(batch_size, len(order) - begin))
        summed = line(slopes, 0, len(slopes) * some_idle)
        loss, correct = loss_gradient(net, theta, data, rows, seed, step, room, summed, enough)
        some_idle = at_most(summed, enough) > 0
        if len(step_losses) > 0:
            step_losses[step - start] = loss
        limit = factor * start_loss[0] if start_loss[0] > 0 else math.inf
        if not loss < limit:
            return step
        if math.isnan(start_loss[0]):
            start_loss[0] = max(loss, null_loss)
        learning_rate, last = learning_rates[step - start], position == steps_per_epoch - 1
        layers = line(history, ended * (COLUMNS + KINDS * depth) + COLUMNS, KINDS * depth)
        gradient_norms = line(layers, GRADIENT_NORMS * depth, depth)
        if last:
            weight_norms(net, room.gradient, gradient_norms)
        gradient_norm, update_norm = update_parameters(
            net, update, theta, room.gradient, moments, learning_rate, rate_multipliers, step
        )
        totals[LOSS] += loss * len(rows)
        totals[SCORE] += correct
        totals[EXAMPLES] += len(rows)
        totals[GRADIENT_NORM] += gradient_norm
        totals[UPDATE_NORM] += update_norm
        totals[STEPS] += 1
        if last:
            weight_norms(net, theta, line(layers, WEIGHT_NORMS * depth, depth))
            update_norms = line(layers, UPDATE_NORMS * depth, depth)
            if update.kind == SGD and update.momentum == 0 and update.weight_decay == 0:
                shortened = update.clip_norm / gradient_norm if gradient_norm > update.clip_norm else 1.0
                for layer in range(depth):
                    own_learning_rate = learning_rate * rate_multipliers[layer, 0]
                    update_norms[layer] = own_learning_rate * shortened * gradient_norms[layer]
            else:
                weight_norms(net, room.gradient, update_norms)
            if len(slopes) > 0:
                idle_shares(net, slopes, totals[EXAMPLES], line(layers, IDLE_SHARES * depth, depth))
            row = history[ended]
            row[TRAIN_LOSS] = totals[LOSS] / totals[EXAMPLES]
            row[TRAIN_SCORE] = totals[SCORE] / totals[EXAMPLES]
            row[MEAN_GRADIENT_NORM] = totals[GRADIENT_NORM] / totals[STEPS]
            row[MEAN_UPDATE_NORM] = totals[UPDATE_NORM] / totals[STEPS]
            if len(validation.X) > 0:
                row[VALIDATION_LOSS], row[VALIDATION_SCORE] = evaluate(net, theta, validation, validation_rows, room)
            ended += 1
    return stop


# -- what the reference leaves to NumPy ------------------------------------------------------------------------


@inlined
def evaluate(net, theta, data, rows, room):
    """Returns the mean loss over the rows `rows` of a data set, and the share of right predictions, without dropout."""
    A, S, Z = room.A, room.S, room.Z
    total, correct = 0.0, 0
    for first in range(0, len(rows), CHUNK):
        count = min(CHUNK, len(rows) - first)
        part = line(rows, first, count)
        gather(data.X, part, matrix(A, 0, count, net.sizes[0]))
        forward(net, theta, A, S, Z, count, NO_SEED, OUTSIDE_TRAINING, NO_SEED)
        z, outputs, tops, shares, winners = last_layer(net, A, Z, count)
        y, own_w = last_targets(net, Z, count, data.w)
        gather_targets(data.labels, data.Y, data.w, part, net.output, y, own_w)
        total += loss_forward(z, outputs, y, net.output, own_w, tops, shares)
        correct += count_correct(outputs, data.labels, data.Y, net.output, part, tops, winners)
    return total / len(rows), correct / len(rows)


@jit
def predict(net, theta, X, room, outputs):
    """The outputs (N, K) for X (N, D), without dropout."""
    A, S, Z = room.A, room.S, room.Z
    for first in range(0, len(X), CHUNK):
        rows = np.arange(first, min(first + CHUNK, len(X)))
        count = len(rows)
        gather(X, rows, matrix(A, 0, count, net.sizes[0]))
        forward(net, theta, A, S, Z, count, NO_SEED, OUTSIDE_TRAINING, NO_SEED)
        _, last, _, _, _ = last_layer(net, A, Z, count)
        transpose(last, view(outputs, first * outputs.shape[1], count, outputs.shape[1]))


@inner
def gather(X, rows, batch):
    for i in range(len(rows)):
        row = rows[i]
        for j in range(batch.shape[1]):
            batch[i, j] = X[row, j]


@inner
def gather_targets(labels, Y, w, rows, output, y, own_w):
    """The targets (K, rows) and sample weights (rows,) of some rows; class numbers fill the first line alone."""
    apart()
    if output == SOFTMAX_CROSS_ENTROPY:
        for i in range(len(rows)):
            y[0, i] = labels[rows[i]]
    else:
        for k in range(len(y)):
            for i in range(len(rows)):
                y[k, i] = Y[rows[i], k]
    for i in range(len(own_w)):
        own_w[i] = w[rows[i]]


@inner
def scale(x, factor):
    f = x.dtype.type(factor)
    for i in range(len(x)):
        x[i] *= f


@inner
def add_scaled(x, y, factor):
    f = x.dtype.type(factor)
    for i in range(len(x)):
        x[i] += f * y[i]


@inner
def at_most(x, limit):
    count = 0
    for i in range(len(x)):
        count += x[i] <= limit
    return count


@inner
def norm_of(x):
    apart()
    return math.sqrt(sum_of_squares(x))
