"""e^x, tanh, and the softmax of many examples at once, in vector registers.

With NUMBA_DISABLE_JIT=1 plain NumPy stands in for the emitted functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from nn.vectors import INNER, VECTOR_BYTES, Emitter, Value


class _Float:
    """What e^x needs to know of a type: float32 or float64, alone or in a vector."""

    def __init__(self, kind: Any) -> None:
        lanes = kind.count if isinstance(kind, ir.VectorType) else 0
        scalar = kind.element if lanes else kind
        single = isinstance(scalar, ir.FloatType)
        self.kind, self.lanes = kind, lanes
        bits = 32 if single else 64
        self.whole = ir.VectorType(ir.IntType(bits), lanes) if lanes else ir.IntType(bits)
        self.suffix = f"v{lanes}f{bits}" if lanes else f"f{bits}"
        # Beyond these ends e^x leaves the range of normal numbers. ln 2 comes in two parts, the first with so few
        # digits that n times it is exact.
        if single:
            self.low, self.high, self.terms, self.shift, self.offset = -87.0, 88.0, 8, 23, 127
            self.ln2 = (0.693359375, -2.1219444005469057e-4)
        else:
            self.low, self.high, self.terms, self.shift, self.offset = -708.0, 709.0, 14, 52, 1023
            self.ln2 = (float.fromhex("0x1.62e42fee00000p-1"), 1.9082149292705877e-10)
        self.round = np.float32 if single else np.float64

    def number(self, value: float) -> Value:
        rounded = float(self.round(value))
        return ir.Constant(self.kind, [rounded] * self.lanes if self.lanes else rounded)

    def integer(self, value: int) -> Value:
        return ir.Constant(self.whole, [value] * self.lanes if self.lanes else value)


def _emit_parts(builder: Value, x: Value) -> tuple[Value, Value, Value]:
    """2^n and e^r − 1 with n = round(x/ln 2), so that |r| ≤ ln 2/2, where a Taylor polynomial does.

    Third comes 0, or NaN where x is not finite.
    """
    form = _Float(x.type)
    low, high = form.number(form.low), form.number(form.high)
    y = builder.select(builder.fcmp_ordered(">", x, low), x, low)  # which NaN is not
    y = builder.select(builder.fcmp_ordered("<", y, high), y, high)
    n = _call(builder, "floor", _multiply_add(builder, y, form.number(1 / math.log(2)), form.number(0.5)))
    r = y
    for part in form.ln2:
        r = _multiply_add(builder, n, form.number(-part), r)
    taylor = [form.number(1 / math.factorial(k)) for k in range(1, form.terms)]
    p = taylor[-1]
    for coefficient in reversed(taylor[:-1]):
        p = _multiply_add(builder, p, r, coefficient)
    exponent = builder.add(builder.fptosi(n, form.whole), form.integer(form.offset))
    power = builder.bitcast(builder.shl(exponent, form.integer(form.shift)), form.kind)
    return power, builder.fmul(p, r), builder.fsub(x, x)


def _emit_exp(builder: Value, x: Value) -> Value:
    """e^x = 2^n + 2^n·(e^r − 1)."""
    power, rest, nan = _emit_parts(builder, x)
    return builder.fadd(_multiply_add(builder, power, rest, power), nan)


def _emit_tanh(builder: Value, x: Value) -> Value:
    """tanh |x| = −t/(t + 2) with t = e^(−2|x|) − 1 = (2^n − 1) + 2^n·(e^r − 1): near 0, n is 0 and nothing cancels."""
    form = _Float(x.type)
    size = _call(builder, "fabs", x)
    power, rest, nan = _emit_parts(builder, builder.fmul(size, form.number(-2.0)))
    t = _multiply_add(builder, power, rest, builder.fsub(power, form.number(1.0)))
    share = builder.fdiv(builder.fsub(form.number(0.0), t), builder.fadd(t, form.number(2.0)))
    return builder.fadd(_call(builder, "copysign", share, x), nan)


def _call(builder: Value, name: str, *arguments: Value) -> Value:
    """Call an intrinsic of LLVM whose arguments and result are of one type."""
    kind = arguments[0].type
    function = ir.FunctionType(kind, [kind] * len(arguments))
    full = f"llvm.{name}.{_Float(kind).suffix}"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, full), arguments)


def _multiply_add(builder: Value, a: Value, b: Value, c: Value) -> Value:
    return _call(builder, "fmuladd", a, b, c)  # fused where the machine can


@intrinsic
def exp(typingctx, x):  # type: ignore[no-untyped-def]
    """e^x, in instructions that loops turn into vectors, four times as fast; right to two units in the last place.

    Results stay within the range of normal numbers; NaN and infinities give NaN.
    """

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _emit_exp(builder, arguments[0])

    return x(x), codegen


@intrinsic
def tanh(typingctx, x):  # type: ignore[no-untyped-def]
    """The hyperbolic tangent, in instructions that loops turn into vectors; right to three units in the last place.

    NaN and infinities give NaN.
    """

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _emit_tanh(builder, arguments[0])

    return x(x), codegen


@intrinsic
def _softmax_lanes(typingctx, Z, A, tops, shares, winners, first, left):  # type: ignore[no-untyped-def]
    """`softmax` for a vector of examples from number `first` on, at most `left` of them."""
    signature = types.void(Z, A, tops, shares, winners, types.int64, types.int64)

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        *arrays, first, left = arguments
        kinds = Z, A, tops, shares, winners
        given = [make_array(kind)(context, builder, array) for kind, array in zip(kinds, arrays, strict=True)]
        z_start, a_start, *places = (builder.gep(array.data, [first]) for array in given)
        classes, width = cgutils.unpack_tuple(builder, given[0].shape, 2)
        emit = Emitter(builder, Z.dtype, 1, left)

        def each_class(body: Callable[[Value, Value], None]) -> None:
            with cgutils.for_range(builder, classes) as loop:
                offset = builder.mul(loop.index, width)
                body(builder.gep(z_start, [offset]), builder.gep(a_start, [offset]))

        top = cgutils.alloca_once_value(builder, emit.load(z_start, 0))
        total, most, number, winner = (cgutils.alloca_once_value(builder, emit.zero) for _ in range(4))
        one = ir.Constant(emit.vector, [1.0] * emit.lanes)

        def largest(z: Value, a: Value) -> None:
            here, so_far = emit.load(z, 0), builder.load(top)
            builder.store(builder.select(builder.fcmp_ordered(">", here, so_far), here, so_far), top)

        def exponentials(z: Value, a: Value) -> None:
            e = _emit_exp(builder, builder.fsub(emit.load(z, 0), builder.load(top)))
            emit.store(e, a, 0)
            builder.store(builder.fadd(builder.load(total), e), total)

        def scaled(z: Value, a: Value) -> None:
            probability = builder.fmul(emit.load(a, 0), share)
            emit.store(probability, a, 0)
            k = builder.load(number)
            more = builder.fcmp_ordered(">", probability, builder.load(most))
            builder.store(builder.select(more, probability, builder.load(most)), most)
            builder.store(builder.select(more, k, builder.load(winner)), winner)
            builder.store(builder.fadd(k, one), number)

        each_class(largest)
        each_class(exponentials)
        share = builder.fdiv(one, builder.load(total))
        each_class(scaled)
        for value, place in zip((builder.load(top), share, builder.load(winner)), places, strict=True):
            emit.store(value, place, 0)
        return context.get_dummy_value()

    return signature, codegen


@numba.njit(**INNER)
def softmax(Z, A, tops, shares, winners):  # type: ignore[no-untyped-def]
    """A (K, N) = e^(z − top)·share of Z (K, N), with the `tops` max_k z_k and `shares` 1/Σ_k e^(z_k − top) (N,).

    `winners` (N,) are the k of the largest A, the first of equal ones.

    A vector holds one class of many examples, so that nothing is summed across its lanes: for 10 classes three times
    as fast as loops that the compiler turned into vectors.
    """
    lanes = VECTOR_BYTES // Z.itemsize
    for first in range(0, Z.shape[1], lanes):
        _softmax_lanes(Z, A, tops, shares, winners, first, Z.shape[1] - first)


if numba.config.DISABLE_JIT:

    def exp(x: float) -> float:
        return math.exp(x)

    def tanh(x: float) -> float:
        return math.tanh(x)

    def softmax(Z: Any, A: Any, tops: Any, shares: Any, winners: Any) -> None:
        tops[:] = Z.max(axis=0)
        A[:] = np.exp(Z - tops)
        shares[:] = 1 / A.sum(axis=0)
        A *= shares
        winners[:] = A.argmax(axis=0)
