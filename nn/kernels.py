"""`reference.py`, compiled: the same functions, the same names, the same order. Read the mathematics there.

What differs, and why:

- Results go into arrays that the caller passes in, so that no step of training allocates anything. `A`, `S` and `D`
  are workspaces with one line for each layer, `A[layer, : rows * units]` being a (rows, units) matrix; a layer's Z
  stands where its A will stand.
- Targets come as `labels` (N,) and `Y` (N, K), whichever the loss needs; the other is empty. So are the weights of
  the examples, `w`, where all count the same.
- A batch is a list of rows of the data set. It is worked off in chunks of at most `CHUNK` rows, so that a full batch
  of any size needs no more workspace than that.
- Matrix products and e^x come from `simd.py`. Arithmetic is in the dtype of theta; sums over examples are in float64.

Arrays are C-contiguous and writable, whole numbers int64 and other numbers float64, so that each function is compiled
once for each dtype. Numba's cache watches this file alone: after a change in `simd.py` or to what is imported from
`reference.py`, touch this file too.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from nn.reference import (
    ADAM,
    GELU,
    IDENTITY_SQUARED_ERROR,
    IN_ORDER,
    LOGISTIC,
    LOGISTIC_CROSS_ENTROPY,
    LOGISTIC_SQUARED_ERROR,
    RELU,
    REPLACED,
    SHUFFLED,
    SOFTMAX_CROSS_ENTROPY,
    TANH,
)
from nn.simd import WITHOUT_WRAPPERS, apart, exp, product, product_left, product_right, view

# What of `fastmath` lets loops run in vectors. Not "no NaN" and "no infinity", which would delete the checks for
# divergence; not reciprocals for divisions, by which an accuracy of 1 would come out as 0.9999999999999999.
FASTMATH = {"contract", "reassoc", "nsz", "afn"}
CHUNK = 512

# What `totals` sums up over the steps of an epoch, and the columns of a history.
LOSS, SCORE, EXAMPLES, GRADIENT_NORM, UPDATE_NORM, STEPS = range(6)
TRAIN_LOSS, TRAIN_SCORE, VALIDATION_LOSS, VALIDATION_SCORE, MEAN_GRADIENT_NORM, MEAN_UPDATE_NORM = range(6)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
OUTSIDE_TRAINING = np.int64(-1)
NO_SEED = np.int64(0)

# What Python calls, and what kernels alone call: these need no wrappers, which take an eighth of the time to compile.
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
jit = numba.njit(**OPTIONS)
inner = numba.njit(**{**OPTIONS, **WITHOUT_WRAPPERS})


# -- parameters ------------------------------------------------------------------------------------------------


@inner
def weights(net, theta, layer):
    n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
    start = net.offsets[layer]
    return view(theta, start, n_in, n_out)


@inner
def biases(net, theta, layer):
    stop = net.offsets[layer + 1]
    return theta[stop - net.bias * net.sizes[layer + 1] : stop]


@inner
def matrix(workspace, layer, rows, units):
    """The (rows, units) matrix at the start of a line of a workspace."""
    return view(workspace, layer * workspace.shape[1], rows, units)


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


@inner
def linear_forward(A, W, b, multiplier, Z):
    apart()
    if multiplier == 1.0:
        product(A, W, Z, b)
        return
    product(A, W, Z, b[:0])
    m = Z.dtype.type(multiplier)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] *= m
    if len(b) > 0:
        for i in range(Z.shape[0]):
            for j in range(Z.shape[1]):
                Z[i, j] += b[j]


@inner
def linear_backward(dZ, A, W, multiplier, dW, db, dA, T):
    """`dA` may be empty: the inputs need no gradient."""
    apart()
    product_left(A, dZ, dW, db[:0])
    if dA.size > 0:
        product_right(dZ, W, dA, T, db[:0])
    if multiplier != 1.0:
        scale(view(dW, 0, 1, dW.size)[0], multiplier)
        scale(view(dA, 0, 1, dA.size)[0], multiplier)
    if len(db) > 0:
        db[:] = 0
        for i in range(dZ.shape[0]):
            for j in range(dZ.shape[1]):
                db[j] += dZ[i, j]


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
            a = math.tanh(Z[i])
            Z[i] = a
            S[i] = one - a * a
    elif activation == LOGISTIC:
        for i in range(len(Z)):
            a = logistic(Z[i])
            Z[i] = a
            S[i] = a * (one - a)
    elif activation == GELU:
        root_half, root_two_pi = Z.dtype.type(math.sqrt(0.5)), Z.dtype.type(math.sqrt(2 * math.pi))
        for i in range(len(Z)):
            z = Z[i]
            normal = half * (one + math.erf(z * root_half))
            Z[i] = z * normal
            S[i] = normal + z * exp(-half * z * z) / root_two_pi
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
            a = math.tanh(Z[i])
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
def dropout_forward(A, S, rate, seed, stream, first):
    """On vectors; `first` is the number of this chunk's first unit within the batch."""
    apart()
    zero, kept = A.dtype.type(0), A.dtype.type(1 / (1 - rate))
    threshold = np.uint64(math.ceil(rate * 2.0**24))
    for i in range(len(A)):
        keep = kept if random_bits(seed, stream, first + i) >> np.uint64(40) >= threshold else zero
        A[i] *= keep
        S[i] *= keep


# -- the loss --------------------------------------------------------------------------------------------------


@inner
def output_forward(Z, output, A):
    apart()
    if output == SOFTMAX_CROSS_ENTROPY:
        for i in range(Z.shape[0]):
            top = Z[i, 0]
            for k in range(1, Z.shape[1]):
                top = max(top, Z[i, k])
            for k in range(Z.shape[1]):
                A[i, k] = Z[i, k] - top
        all_in_one = view(A, 0, 1, A.size)
        for i in range(A.size):
            all_in_one[0, i] = exp(all_in_one[0, i])
        for i in range(Z.shape[0]):
            total = Z.dtype.type(0)
            for k in range(Z.shape[1]):
                total += A[i, k]
            share = Z.dtype.type(1) / total
            for k in range(Z.shape[1]):
                A[i, k] *= share
    elif output == IDENTITY_SQUARED_ERROR:
        for i in range(Z.shape[0]):
            for k in range(Z.shape[1]):
                A[i, k] = Z[i, k]
    else:
        for i in range(Z.shape[0]):
            for k in range(Z.shape[1]):
                A[i, k] = logistic(Z[i, k])


@inner
def loss_forward(Z, A, labels, Y, output, w, rows):
    apart()
    total = 0.0
    half, zero = Z.dtype.type(0.5), Z.dtype.type(0)
    for i in range(Z.shape[0]):
        row = rows[i]
        loss = zero
        if output == SOFTMAX_CROSS_ENTROPY:
            # The most probable class has z = max z and a = 1/Σ e^(z − max z): no exponential is needed again.
            top, most = Z[i, 0], A[i, 0]
            for k in range(1, Z.shape[1]):
                top, most = max(top, Z[i, k]), max(most, A[i, k])
            loss = top - Z[i, labels[row]] - math.log(most)
        elif output == LOGISTIC_CROSS_ENTROPY:
            for k in range(Z.shape[1]):
                z = Z[i, k]
                loss += (z if z > zero else z * zero) - z * Y[row, k] + math.log1p(exp(-abs(z)))
        else:
            for k in range(Z.shape[1]):
                loss += half * (A[i, k] - Y[row, k]) ** 2
        total += loss * w[row] if len(w) > 0 else loss
    return total


@inner
def loss_backward(A, labels, Y, output, w, rows, batch_size, dZ):
    """Over the rows of a chunk; `batch_size` is B of the whole batch."""
    apart()
    one = A.dtype.type(1)
    share = A.dtype.type(1.0 / batch_size)
    for i in range(A.shape[0]):
        row = rows[i]
        factor = share * w[row] if len(w) > 0 else share
        for k in range(A.shape[1]):
            a = A[i, k]
            if output == SOFTMAX_CROSS_ENTROPY:
                dZ[i, k] = a * factor
            elif output == LOGISTIC_SQUARED_ERROR:
                dZ[i, k] = (a - Y[row, k]) * a * (one - a) * factor
            else:
                dZ[i, k] = (a - Y[row, k]) * factor
        if output == SOFTMAX_CROSS_ENTROPY:
            dZ[i, labels[row]] -= factor


@inner
def loss_curvature(RZ, A, Y, output, w, rows, batch_size, RdZ):
    one, two = A.dtype.type(1), A.dtype.type(2)
    share = A.dtype.type(1.0 / batch_size)
    for i in range(A.shape[0]):
        row = rows[i]
        factor = share * w[row] if len(w) > 0 else share
        mean = A.dtype.type(0)
        if output == SOFTMAX_CROSS_ENTROPY:
            for k in range(A.shape[1]):
                mean += A[i, k] * RZ[i, k]
        for k in range(A.shape[1]):
            a = A[i, k]
            if output == SOFTMAX_CROSS_ENTROPY:
                RdZ[i, k] = a * (RZ[i, k] - mean) * factor
            elif output == IDENTITY_SQUARED_ERROR:
                RdZ[i, k] = RZ[i, k] * factor
            else:
                slope = a * (one - a)
                RdZ[i, k] = slope * RZ[i, k] * factor
                if output == LOGISTIC_SQUARED_ERROR:
                    RdZ[i, k] *= slope + (a - Y[row, k]) * (one - two * a)


@inner
def count_correct(A, labels, Y, rows):
    """How many rows are predicted right; for several labels at once, all of them must be."""
    apart()
    correct = 0
    for i in range(A.shape[0]):
        row = rows[i]
        if len(labels) > 0 and A.shape[1] > 1:
            label, better = labels[row], 0
            a = A[i, label]
            for k in range(A.shape[1]):
                better += (A[i, k] > a) | ((A[i, k] == a) & (k < label))
            correct += better == 0
        else:
            wrong = 0
            for k in range(A.shape[1]):
                wrong += (A[i, k] > 0.5) != (Y[row, k] > 0.5)
            correct += wrong == 0
    return correct


# -- the network -----------------------------------------------------------------------------------------------


@inner
def forward(net, theta, A, S, Z, count, seed, step, first_row):
    """From the (count, D) inputs in `A[0]`. The last layer's Z goes into `Z` (count, K), the outputs into `A[L]`."""
    apart()
    depth = len(net.sizes) - 1
    for layer in range(depth):
        n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
        inputs = matrix(A, layer, count, n_in)
        W, b, m = weights(net, theta, layer), biases(net, theta, layer), net.multipliers[layer]
        if layer == depth - 1:
            linear_forward(inputs, W, b, m, Z)
            output_forward(Z, net.output, matrix(A, depth, count, n_out))
        else:
            linear_forward(inputs, W, b, m, matrix(A, layer + 1, count, n_out))
            hidden, slopes = A[layer + 1, : count * n_out], S[layer, : count * n_out]
            activation_forward(hidden, net.activation, slopes)
            if net.dropout > 0 and step >= 0:
                stream = 2 * (step * depth + layer) + 1
                dropout_forward(hidden, slopes, net.dropout, seed, stream, first_row * n_out)


@inner
def backward(net, theta, A, S, D, T, count, gradient):
    """From dZ of the last layer in `D[L % 2]`; the two lines of `D` take turns."""
    apart()
    depth = len(net.sizes) - 1
    for layer in range(depth - 1, -1, -1):
        n_in, n_out = net.sizes[layer], net.sizes[layer + 1]
        dZ = matrix(D, (layer + 1) % 2, count, n_out)
        dA = matrix(D, layer % 2, count if layer > 0 else 0, n_in)
        inputs, W, m = matrix(A, layer, count, n_in), weights(net, theta, layer), net.multipliers[layer]
        linear_backward(dZ, inputs, W, m, weights(net, gradient, layer), biases(net, gradient, layer), dA, T)
        if layer > 0:
            activation_backward(D[layer % 2, : count * n_in], S[layer - 1, : count * n_in])


@jit
def loss_gradient(net, theta, X, labels, Y, w, rows, seed, step, A, S, Z, D, T, partial, gradient):
    """Over the rows `rows` (B,) of the data set; returns the mean loss and how many predictions were right.

    With an empty `gradient` that is all: this is also how a data set is evaluated.
    """
    depth, batch_size = len(net.sizes) - 1, len(rows)
    classes = net.sizes[depth]
    total, correct = 0.0, 0
    for first in range(0, batch_size, CHUNK):
        part = rows[first : first + CHUNK]
        count = len(part)
        gather(X, part, matrix(A, 0, count, net.sizes[0]))
        z = view(Z, 0, count, classes)
        forward(net, theta, A, S, z, count, seed, step, first)
        outputs = matrix(A, depth, count, classes)
        total += loss_forward(z, outputs, labels, Y, net.output, w, part)
        correct += count_correct(outputs, labels, Y, part)
        if len(gradient) > 0:
            dZ = matrix(D, depth % 2, count, classes)
            loss_backward(outputs, labels, Y, net.output, w, part, batch_size, dZ)
            backward(net, theta, A, S, D, T, count, gradient if first == 0 else partial)
            if first > 0:
                add_scaled(gradient, partial, 1.0)
    if net.l2 > 0 and len(gradient) > 0:
        for layer in range(depth):
            start = net.offsets[layer]
            stop = start + net.sizes[layer] * net.sizes[layer + 1]
            add_scaled(gradient[start:stop], theta[start:stop], net.l2)
    return total / batch_size, correct


@jit
def hessian_vector_product(net, theta, v, X, labels, Y, w, rows, Hv):
    """Allocates its own workspace: it is called for whole data sets, not for mini-batches."""
    depth, total = len(net.sizes) - 1, len(rows)
    classes, widest, most = net.sizes[depth], net.sizes.max(), min(total, CHUNK)
    A, RA = np.empty((depth + 1, most * widest), theta.dtype), np.empty((depth + 1, most * widest), theta.dtype)
    S, C = np.empty((depth, most * widest), theta.dtype), np.empty((depth, most * widest), theta.dtype)
    RZ, D, RD = np.empty_like(C), np.empty((2, most * widest), theta.dtype), np.empty((2, most * widest), theta.dtype)
    Z, T = np.empty(most * widest, theta.dtype), np.empty(most * widest, theta.dtype)
    transposed = np.empty(net.sizes[:-1].max() * net.sizes[1:].max(), theta.dtype)
    U, partial = np.empty(net.sizes[:-1].max() * net.sizes[1:].max(), theta.dtype), np.empty_like(theta)
    Hv[:] = 0
    partial[:] = 0
    for first in range(0, total, CHUNK):
        part = rows[first : first + CHUNK]
        count = len(part)
        gather(X, part, matrix(A, 0, count, net.sizes[0]))
        RA[0, : count * net.sizes[0]] = 0
        forward(net, theta, A, S, view(Z, 0, count, classes), count, NO_SEED, OUTSIDE_TRAINING, NO_SEED)
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
        outputs = matrix(A, depth, count, classes)
        loss_backward(outputs, labels, Y, net.output, w, part, total, matrix(D, depth % 2, count, classes))
        rz, rdz = matrix(RZ, depth - 1, count, classes), matrix(RD, depth % 2, count, classes)
        loss_curvature(rz, outputs, Y, net.output, w, part, total, rdz)
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
def example_gradient_norms(net, theta, X, labels, Y, w, rows, norms):
    """Allocates its own workspace: it is called for whole data sets, not for mini-batches."""
    depth, total = len(net.sizes) - 1, len(rows)
    classes, widest, most = net.sizes[depth], net.sizes.max(), min(total, CHUNK)
    A, S = np.empty((depth + 1, most * widest), theta.dtype), np.empty((depth, most * widest), theta.dtype)
    D, Z = np.empty((2, most * widest), theta.dtype), np.empty(most * widest, theta.dtype)
    T = np.empty(net.sizes[:-1].max() * net.sizes[1:].max(), theta.dtype)
    for first in range(0, total, CHUNK):
        part = rows[first : first + CHUNK]
        count = len(part)
        gather(X, part, matrix(A, 0, count, net.sizes[0]))
        forward(net, theta, A, S, view(Z, 0, count, classes), count, NO_SEED, OUTSIDE_TRAINING, NO_SEED)
        dZ = matrix(D, depth % 2, count, classes)
        loss_backward(matrix(A, depth, count, classes), labels, Y, net.output, w, part, 1, dZ)
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


# -- the update ------------------------------------------------------------------------------------------------


@inner
def sgd_update(theta, gradient, velocity, learning_rate, momentum, nesterov, decay):
    """Returns ‖Δθ‖² of the step, decay aside."""
    apart()
    one = theta.dtype.type(1)
    rate, beta, shrink = theta.dtype.type(learning_rate), theta.dtype.type(momentum), one
    if decay > 0:
        shrink = theta.dtype.type(1 - learning_rate * decay)
    moved = theta.dtype.type(0)
    if momentum == 0:
        for i in range(len(theta)):
            step = rate * gradient[i]
            theta[i] = shrink * theta[i] - step
            moved += step * step
    else:
        ahead = beta if nesterov else one
        behind = one if nesterov else theta.dtype.type(0)
        for i in range(len(theta)):
            velocity[i] = beta * velocity[i] + gradient[i]
            step = rate * (behind * gradient[i] + ahead * velocity[i])
            theta[i] = shrink * theta[i] - step
            moved += step * step
    return moved


@inner
def adam_update(theta, gradient, first, second, learning_rate, update, step, decay):
    """Returns ‖Δθ‖² of the step, decay aside."""
    apart()
    one = theta.dtype.type(1)
    beta1, beta2 = theta.dtype.type(update.momentum), theta.dtype.type(update.beta2)
    new1, new2 = theta.dtype.type(1 - update.momentum), theta.dtype.type(1 - update.beta2)
    shrink = theta.dtype.type(1 - learning_rate * decay)
    rate = theta.dtype.type(learning_rate / (1 - update.momentum ** (step + 1)))
    unbias = theta.dtype.type(1 / math.sqrt(1 - update.beta2 ** (step + 1)))
    epsilon = theta.dtype.type(update.epsilon)
    moved = one - one
    for i in range(len(theta)):
        g = gradient[i]
        first[i] = beta1 * first[i] + new1 * g
        second[i] = beta2 * second[i] + new2 * g * g
        change = rate * first[i] / (math.sqrt(second[i]) * unbias + epsilon)
        theta[i] = shrink * theta[i] - change
        moved += change * change
    return moved


@inner
def update_parameters(net, update, theta, gradient, first, second, learning_rate, rate_multipliers, step):
    """Returns the norms of the gradient, before it is clipped, and of the step."""
    apart()
    norm = norm_of(gradient)
    if norm > update.clip_norm:
        scale(gradient, update.clip_norm / norm)
    moved = 0.0
    for layer in range(len(net.sizes) - 1):
        split = net.offsets[layer] + net.sizes[layer] * net.sizes[layer + 1]
        for column in range(1 + net.bias):
            start = net.offsets[layer] if column == 0 else split
            stop = split if column == 0 else net.offsets[layer + 1]
            rate = learning_rate * rate_multipliers[layer, column]
            decay = update.weight_decay if column == 0 else 0.0
            t, g, m = theta[start:stop], gradient[start:stop], first[start:stop]
            if update.kind == ADAM:
                moved += adam_update(t, g, m, second[start:stop], rate, update, step, decay)
            else:
                moved += sgd_update(t, g, m, rate, update.momentum, update.nesterov, decay)
    return norm, math.sqrt(moved)


@jit
def train_steps(
    net,
    update,
    theta,
    first,
    second,
    X,
    labels,
    Y,
    w,
    validation_X,
    validation_labels,
    validation_Y,
    order,
    origin,
    cycle,
    batch_size,
    steps_per_epoch,
    rates,
    rate_multipliers,
    mode,
    seed,
    start,
    stop,
    limit,
    totals,
    history,
    step_losses,
    A,
    S,
    Z,
    D,
    T,
    partial,
    gradient,
):
    """The steps `start` … `stop` − 1 of a run, with the learning rates `rates`; returns the first step not done.

    That is `stop`, unless the loss of a batch is not below `limit` (NaN is not): then nothing was updated in that
    step. `order` holds the rows of the batches of `cycle` steps, over and over, the first of them step `origin`; with
    `mode` SHUFFLED or REPLACED it is filled anew at the start of each epoch. `totals` (6,) carries the sums of an epoch
    that is not at its end; `history` (epochs, 6) takes the means of those that end here. `step_losses` (steps,) may be
    empty.
    """
    ended = 0
    validation_rows = np.arange(len(validation_X))
    for step in range(start, stop):
        epoch, position = step // steps_per_epoch, step % steps_per_epoch
        if position == 0:
            totals[:] = 0
        if mode != IN_ORDER and (position == 0 or step == start):
            epoch_rows(order, len(X), mode, seed, epoch)
        begin = (step - origin) % cycle * batch_size
        rows = order[begin : min(begin + batch_size, len(order))]
        loss, correct = loss_gradient(net, theta, X, labels, Y, w, rows, seed, step, A, S, Z, D, T, partial, gradient)
        if len(step_losses) > 0:
            step_losses[step - start] = loss
        if not loss < limit:
            return step
        gradient_norm, update_norm = update_parameters(
            net, update, theta, gradient, first, second, rates[step - start], rate_multipliers, step
        )
        totals[LOSS] += loss * len(rows)
        totals[SCORE] += correct
        totals[EXAMPLES] += len(rows)
        totals[GRADIENT_NORM] += gradient_norm
        totals[UPDATE_NORM] += update_norm
        totals[STEPS] += 1
        if position == steps_per_epoch - 1:
            row = history[ended]
            row[TRAIN_LOSS] = totals[LOSS] / totals[EXAMPLES]
            row[TRAIN_SCORE] = totals[SCORE] / totals[EXAMPLES]
            row[MEAN_GRADIENT_NORM] = totals[GRADIENT_NORM] / totals[STEPS]
            row[MEAN_UPDATE_NORM] = totals[UPDATE_NORM] / totals[STEPS]
            if len(validation_rows) > 0:
                row[VALIDATION_LOSS], correct = loss_gradient(
                    net, theta, validation_X, validation_labels, validation_Y, w[:0], validation_rows,
                    seed, OUTSIDE_TRAINING, A, S, Z, D, T, partial, gradient[:0],
                )  # fmt: skip
                row[VALIDATION_SCORE] = correct / len(validation_rows)
            ended += 1
    return stop


# -- what the reference leaves to NumPy ------------------------------------------------------------------------


@jit
def predict(net, theta, X, A, S, Z, outputs):
    """The outputs (N, K) for X (N, D), without dropout."""
    depth = len(net.sizes) - 1
    classes = net.sizes[depth]
    for first in range(0, len(X), CHUNK):
        rows = np.arange(first, min(first + CHUNK, len(X)))
        count = len(rows)
        gather(X, rows, matrix(A, 0, count, net.sizes[0]))
        forward(net, theta, A, S, view(Z, 0, count, classes), count, NO_SEED, OUTSIDE_TRAINING, NO_SEED)
        for i in range(count):
            for k in range(classes):
                outputs[first + i, k] = A[depth, i * classes + k]


@inner
def gather(X, rows, batch):
    for i in range(len(rows)):
        row = rows[i]
        for j in range(batch.shape[1]):
            batch[i, j] = X[row, j]


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
def norm_of(x):
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += x[i] * x[i]
    return math.sqrt(total)
