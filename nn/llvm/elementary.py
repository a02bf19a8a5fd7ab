"""e^x, tanh, the normal distribution, and the softmax of many examples at once, in vector registers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import make_array

from nn.llvm.registers import INNER, VECTOR_BYTES, Emitter, Value, emitted

# e^(x²)·erfc(x)/t for x ≥ 0 with t = 3/(3 + x), in powers of 2t − 1, lowest first. Interpolated at 80 Chebyshev points
# with 60 digits, and cut off where the next term no longer changes a float64.
COEFFICIENTS = """
    0.35800230236277991 0.29446481772329303 0.19674278570137005 0.10348908730032311 0.03984258709563826
    0.0089424115380140976 -0.0004041388735342346 -0.0010113539587291744 -0.00018276991721257827
    9.2259005236934623e-05 3.585393565727499e-05 -1.0131600164354507e-05 -5.8238860546465096e-06
    1.5801725617924612e-06 9.2262270957017776e-07 -3.2806665863151886e-07 -1.3725729277220325e-07
    7.2490181642764855e-08 1.6658453888714348e-08 -1.3213994653170568e-08 -1.1845554141095575e-09
    1.3519769832743855e-09
"""
SCALED_ERFC = tuple(map(float, COEFFICIENTS.split()))


class _Float:
    """The constants of e^x in a type: float32 or float64, alone or in a vector."""

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
    p = _polynomial(builder, [1 / math.factorial(k) for k in range(1, form.terms)], r)
    exponent = builder.add(builder.fptosi(n, form.whole), form.integer(form.offset))
    power = builder.bitcast(builder.shl(exponent, form.integer(form.shift)), form.kind)
    return power, builder.fmul(p, r), builder.fsub(x, x)


def _emit_exp(builder: Value, x: Value) -> Value:
    """e^x = 2^n + 2^n·(e^r − 1), within the range of normal numbers."""
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


def _emit_normal(builder: Value, x: Value) -> Value:
    """Φ(x) = ½ erfc(|x|/√2) for x < 0, and 1 less that for x ≥ 0."""
    form = _Float(x.type)
    half, one, three = form.number(0.5), form.number(1.0), form.number(3.0)
    size = builder.fmul(_call(builder, "fabs", x), form.number(math.sqrt(0.5)))
    t = builder.fdiv(three, builder.fadd(three, size))
    s = builder.fsub(builder.fadd(t, t), one)
    p = _polynomial(builder, SCALED_ERFC, s)
    e = _emit_exp(builder, builder.fmul(builder.fmul(form.number(-0.5), x), x))
    tail = builder.fmul(builder.fmul(half, e), builder.fmul(p, t))
    return builder.select(builder.fcmp_ordered("<", x, form.number(0.0)), tail, builder.fsub(one, tail))


def _call(builder: Value, name: str, *arguments: Value) -> Value:
    """Call an intrinsic of LLVM whose arguments and result are of one type."""
    kind = arguments[0].type
    function = ir.FunctionType(kind, [kind] * len(arguments))
    full = f"llvm.{name}.{_Float(kind).suffix}"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, full), arguments)


def _polynomial(builder: Value, coefficients: Sequence[float], x: Value) -> Value:
    """Σ c_k·x^k, lowest power first, by Horner's rule."""
    numbers = [_Float(x.type).number(coefficient) for coefficient in coefficients]
    p = numbers[-1]
    for number in reversed(numbers[:-1]):
        p = _multiply_add(builder, p, x, number)
    return p


def _multiply_add(builder: Value, a: Value, b: Value, c: Value) -> Value:
    return _call(builder, "fmuladd", a, b, c)  # fused where the machine can


def _of_a_number(stand_in: Callable[[Any], Any], emit: Callable[[Value, Value], Value]) -> Any:
    """A function of one number, in instructions that loops turn into vectors; NaN and infinities give NaN."""

    @emitted(stand_in)
    def function(typingctx, x):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return emit(builder, arguments[0])

        return x(x), codegen

    return function


exp = _of_a_number(np.exp, _emit_exp)  # right to two units in the last place, and four times as fast
tanh = _of_a_number(np.tanh, _emit_tanh)  # right to three units in the last place
normal = _of_a_number(lambda x: 0.5 * math.erfc(-x * math.sqrt(0.5)), _emit_normal)  # off by at most 1.5 ε of the type


def _numpy_softmax_lanes(Z, A, tops, shares, winners, first, left):  # type: ignore[no-untyped-def]
    own = slice(first, first + min(left, VECTOR_BYTES // Z.itemsize))
    tops[own] = Z[:, own].max(axis=0)
    A[:, own] = np.exp(Z[:, own] - tops[own])
    shares[own] = 1 / A[:, own].sum(axis=0)
    A[:, own] *= shares[own]
    winners[own] = A[:, own].argmax(axis=0)


@emitted(_numpy_softmax_lanes)
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
