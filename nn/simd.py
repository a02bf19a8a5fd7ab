"""What the kernels need below the level of Python: matrix products in vector registers, and a fast exponential.

The matrices of a mini-batch are so small that a call of a BLAS costs as much as its work. Here a tile of C = A B, a
few rows of two vectors each, is held in registers while k runs over the inner dimension: for each k one row of B is
loaded, and each element of A's column is spread over a vector, multiplied, and added to its row of the tile. Columns
that fill no vector are loaded and stored under a mask. Sums run over k in order: nothing but the numbers decides the
result. On a 64-32-10 network with batches of 32 this is 1.3 times as fast as OpenBLAS, close to the core's peak.

The functions are emitted for LLVM, which picks the instructions for the machine at hand. With NUMBA_DISABLE_JIT=1,
for a debugger or a coverage run, plain NumPy stands in for them.
"""

from __future__ import annotations

import math
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array, populate_array


def _registers() -> tuple[int, int]:
    """Bytes in a vector register of this machine, and the rows of a tile two vectors wide that leave some free."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 8  # 16 sums in 32 registers
    if features.get("avx"):
        return 32, 6  # 12 sums in 16 registers
    if features.get("sse2"):
        return 16, 6
    return 16, 8  # NEON has 32 registers


VECTOR_BYTES, TILE_ROWS = _registers()

WITHOUT_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INNER: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", **WITHOUT_WRAPPERS}
I32, I64 = ir.IntType(32), ir.IntType(64)
Value = Any  # of LLVM


class _Emitter:
    """Writes instructions on vectors of floats, `columns` of them under a mask if that is given."""

    def __init__(self, builder: Value, dtype: Any, vectors: int, columns: Value | None) -> None:
        self.builder, self.columns = builder, columns
        self.bytes = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(ir.FloatType() if self.bytes == 4 else ir.DoubleType(), self.lanes)
        self.suffix = f"v{self.lanes}f{8 * self.bytes}"
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.masks = [] if columns is None else [self._mask(v) for v in range(vectors)]

    def spread(self, scalar: Value, vector: Value) -> Value:
        nothing = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(nothing, scalar, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))

    def load(self, row: Value, v: int) -> Value:
        if not self.masks:
            return self.builder.load(self._place(row, v), align=self.bytes)
        arguments = [self._place(row, v), ir.Constant(I32, self.bytes), self.masks[v], self.zero]
        return self._call(f"llvm.masked.load.{self.suffix}.p0", self.vector, arguments)

    def store(self, value: Value, row: Value, v: int) -> None:
        if not self.masks:
            self.builder.store(value, self._place(row, v), align=self.bytes)
        else:
            arguments = [value, self._place(row, v), ir.Constant(I32, self.bytes), self.masks[v]]
            self._call(f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), arguments)

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        return self._call(f"llvm.fmuladd.{self.suffix}", self.vector, [a, b, c])  # fused where the machine can

    def _call(self, name: str, result: Value, arguments: list[Value]) -> Value:
        kind = ir.FunctionType(result, [a.type for a in arguments])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def _mask(self, v: int) -> Value:
        numbers = ir.VectorType(I32, self.lanes)
        own = ir.Constant(numbers, [v * self.lanes + lane for lane in range(self.lanes)])
        return self.builder.icmp_signed("<", own, self.spread(self.builder.trunc(self.columns, I32), numbers))

    def _place(self, row: Value, v: int) -> Value:
        place = self.builder.gep(row, [ir.Constant(I64, v * self.lanes)])
        return self.builder.bitcast(place, self.vector.as_pointer())


def _tile(rows: int, vectors: int, masked: bool, weighted: bool = True) -> Any:
    """An intrinsic for a tile of C (rows, vectors), `columns` columns of it if masked: C = bias + Σ_k A[:, k]·B[k, :].

    Not `weighted`, A counts as ones and is not read.

    The tile's first elements are number `a` of A, `b` of B, `c` of C and `j` of the bias, which is left out if it has
    no elements. From one row of A to the next it is `a_row` elements, from one k to the next `a_k`; B and C have rows
    of `width` elements.
    """

    @intrinsic
    def tile(typingctx, A, a, a_row, a_k, B, b, C, c, width, bias, j, inner, columns):  # type: ignore[no-untyped-def]
        n = types.int64
        signature = types.void(A, n, n, n, B, n, C, n, n, bias, n, n, n)

        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            A_, a_, a_row_, a_k_, B_, b_, C_, c_, width_, bias_, j_, inner_, columns_ = arguments
            emit = _Emitter(builder, A.dtype, vectors, columns_ if masked else None)

            def place(kind: Any, array: Value, first: Value) -> Value:
                return builder.gep(make_array(kind)(context, builder, array).data, [first])

            def lines(start: Value, stride: Value) -> list[Value]:
                return [builder.gep(start, [builder.mul(stride, ir.Constant(I64, r))]) for r in range(rows)]

            a_rows, c_rows = lines(place(A, A_, a_), a_row_), lines(place(C, C_, c_), width_)
            b_start = place(B, B_, b_)
            length = builder.extract_value(make_array(bias)(context, builder, bias_).shape, 0)
            before = builder.block
            with builder.if_then(builder.icmp_signed(">", length, ir.Constant(I64, 0))):
                b_line = place(bias, bias_, j_)
                given = [emit.load(b_line, v) for v in range(vectors)]
                with_bias = builder.block
            first = []
            for value in given:
                phi = builder.phi(emit.vector)
                phi.add_incoming(value, with_bias)
                phi.add_incoming(emit.zero, before)
                first.append(phi)

            cells = [(r, v) for r in range(rows) for v in range(vectors)]
            entry, loop = builder.block, builder.append_basic_block("k")
            done = builder.append_basic_block("done")
            builder.branch(loop)  # the inner dimension is never empty
            builder.position_at_end(loop)
            k = builder.phi(I64)
            sums = [builder.phi(emit.vector) for _ in cells]
            b_row = builder.gep(b_start, [builder.mul(k, width_)])
            b_vectors = [emit.load(b_row, v) for v in range(vectors)]
            if weighted:
                a_here = builder.mul(k, a_k_)
                a_values = [emit.spread(builder.load(builder.gep(row, [a_here])), emit.vector) for row in a_rows]
                new = [emit.multiply_add(a_values[r], b_vectors[v], sums[r * vectors + v]) for r, v in cells]
            else:
                new = [builder.fadd(b_vectors[v], sums[r * vectors + v]) for r, v in cells]
            following = builder.add(k, ir.Constant(I64, 1))
            k.add_incoming(ir.Constant(I64, 0), entry)
            k.add_incoming(following, loop)
            for (_, v), phi, value in zip(cells, sums, new, strict=True):
                phi.add_incoming(first[v], entry)
                phi.add_incoming(value, loop)
            builder.cbranch(builder.icmp_signed("<", following, inner_), loop, done)
            builder.position_at_end(done)
            for (r, v), value in zip(cells, new, strict=True):
                emit.store(value, c_rows[r], v)
            return context.get_dummy_value()

        return signature, codegen

    return tile


_whole, _narrow, _row = _tile(TILE_ROWS, 2, False), _tile(TILE_ROWS, 1, True), _tile(1, 2, True)
_high = _tile(2 * TILE_ROWS, 1, True)
_sums = _tile(1, 4, True, weighted=False)


@intrinsic
def apart(typingctx):  # type: ignore[no-untyped-def]
    """Keep the function that this stands in from being inlined: a large one costs more to compile than its calls do."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def view(typingctx, array, start, rows, columns):  # type: ignore[no-untyped-def]
    """The (rows, columns) matrix that begins at element `start` of an array in C order. Nothing is checked."""
    kind = types.Array(array.dtype, 2, "C")

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        given, first, height, width = arguments
        return _part(context, builder, array, given, kind, first, [height, width])

    return kind(array, types.int64, types.int64, types.int64), codegen


@intrinsic
def line(typingctx, array, start, length):  # type: ignore[no-untyped-def]
    """The vector of `length` elements that begins at element `start` of an array in C order. Nothing is checked."""
    kind = types.Array(array.dtype, 1, "C")

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        given, first, size = arguments
        return _part(context, builder, array, given, kind, first, [size])

    return kind(array, types.int64, types.int64), codegen


def _part(context, builder, array, given, kind, first, shape):  # type: ignore[no-untyped-def]
    """A view that owns nothing: whoever called the kernel holds the arrays until it returns.

    Counting owners takes an atomic instruction at each call that passes an array on, a fifth of the time of a step of
    64-32-10.
    """
    source, result = make_array(array)(context, builder, given), make_array(kind)(context, builder)
    size = ir.Constant(I64, array.dtype.bitwidth // 8)
    strides = [size] if len(shape) == 1 else [builder.mul(shape[1], size), size]
    data = builder.gep(source.data, [first])
    populate_array(result, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return result._getvalue()


@intrinsic
def borrowed(typingctx, value):  # type: ignore[no-untyped-def]
    """The same array, or tuple with arrays, as a view that owns nothing; see `_part`. Somebody else must hold it."""

    def without_owner(context, builder, kind, given):  # type: ignore[no-untyped-def]
        if isinstance(kind, types.Array):
            array = make_array(kind)(context, builder, given)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            return array._getvalue()
        if isinstance(kind, types.BaseTuple):
            for number, part in enumerate(kind):
                own = without_owner(context, builder, part, builder.extract_value(given, number))
                given = builder.insert_value(given, own, number)
        return given

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return without_owner(context, builder, value, arguments[0])

    return value(value), codegen


@numba.njit(inline="always", **INNER)
def product(A, B, C, bias):  # type: ignore[no-untyped-def]
    """C (M, N) = A (M, K) B (K, N) + bias (N,), which may be empty."""
    _tiles(C, A, B.shape[0], 1, B, bias)


@numba.njit(inline="always", **INNER)
def product_left(A, B, C, nothing):  # type: ignore[no-untyped-def]
    """C (M, N) = Aᵀ B with A (K, M) and B (K, N)."""
    _tiles(C, A, 1, C.shape[0], B, nothing)


@numba.njit(inline="always", **INNER)
def product_right(A, B, C, transposed, nothing):  # type: ignore[no-untyped-def]
    """C (M, N) = A Bᵀ with A (M, K) and B (N, K); `transposed` has room for Bᵀ."""
    N, K = B.shape[0], B.shape[1]
    Bt = view(transposed, 0, K, N)
    transpose(B, Bt)
    _tiles(C, A, K, 1, Bt, nothing)


@numba.njit(inline="always", **INNER)
def column_sums(B, sums):  # type: ignore[no-untyped-def]
    """The sums (N,) over the rows of B (K, N)."""
    N, nothing = B.shape[1], line(B, 0, 0)
    lanes = VECTOR_BYTES // B.itemsize
    for j in range(0, N, 4 * lanes):
        _sums(B, 0, 0, 0, B, j, sums, j, N, nothing, j, B.shape[0], N - j)


@numba.njit(inline="always", **INNER)
def transpose(A, B):  # type: ignore[no-untyped-def]
    """B (N, M) = Aᵀ with A (M, N)."""
    for j in range(A.shape[1]):
        for i in range(A.shape[0]):
            B[j, i] = A[i, j]


@numba.njit(**INNER)
def _tiles(C, A, a_row, a_k, B, bias):  # type: ignore[no-untyped-def]
    """C = A B + bias, with element (i, k) of A at i·a_row + k·a_k."""
    apart()
    (M, N), K = C.shape, B.shape[0]
    lanes = VECTOR_BYTES // A.itemsize
    tall, full = M - M % TILE_ROWS, N - N % (2 * lanes)
    for j in range(0, full, 2 * lanes):
        for i in range(0, tall, TILE_ROWS):
            _whole(A, i * a_row, a_row, a_k, B, j, C, i * N + j, N, bias, j, K, N - j)
    for j in range(full, N, lanes):
        high = M - M % (2 * TILE_ROWS)
        for i in range(0, high, 2 * TILE_ROWS):
            _high(A, i * a_row, a_row, a_k, B, j, C, i * N + j, N, bias, j, K, N - j)
        for i in range(high, tall, TILE_ROWS):
            _narrow(A, i * a_row, a_row, a_k, B, j, C, i * N + j, N, bias, j, K, N - j)
    for i in range(tall, M):
        for j in range(0, N, 2 * lanes):
            _row(A, i * a_row, a_row, a_k, B, j, C, i * N + j, N, bias, j, K, N - j)


def exp(x: float) -> float:
    """e^x, in instructions that loops turn into vectors, four times as fast; right to two units in the last place.

    e^x = 2^n·e^r with n = round(x/ln 2), so that |r| ≤ ln 2/2, where a Taylor polynomial does. Results stay within the
    range of normal numbers; NaN and infinities give NaN.
    """
    return math.exp(x)


def _taylor(terms: int, kind: Any) -> tuple[Any, ...]:
    return tuple(kind(1 / math.factorial(k)) for k in reversed(range(terms)))


# No reassociation here: it would undo the two steps in which n·ln 2 is taken off.
@overload(exp, jit_options={"fastmath": {"contract"}, "error_model": "numpy"})
def _exp(x: Any) -> Any:
    # ln 2 in two parts, the first with so few digits that n times it is exact.
    if x == types.float32:
        kind, whole, shift, offset = np.float32, np.int32, np.int32(23), np.int32(127)
        low, high = kind(-87.0), kind(88.0)
        ln2_high, ln2_low = kind(0.693359375), kind(-2.1219444005469057e-4)
    else:
        kind, whole, shift, offset = np.float64, np.int64, np.int64(52), np.int64(1023)
        low, high = kind(-708.0), kind(709.0)
        ln2_high, ln2_low = kind(float.fromhex("0x1.62e42fee00000p-1")), kind(1.9082149292705877e-10)
    per_ln2, half = kind(1 / math.log(2)), kind(0.5)
    if x == types.float32:
        c7, c6, c5, c4, c3, c2, c1, c0 = _taylor(8, kind)

        def exp32(x: Any) -> Any:
            y = min(max(x, low), high)
            n = np.floor(y * per_ln2 + half)
            r = y - n * ln2_high - n * ln2_low
            p = ((((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + c2) * r + c1) * r + c0
            return p * whole((whole(n) + offset) << shift).view(kind) + (x - x)

        return exp32
    d13, d12, d11, d10, d9, d8, d7, d6, d5, d4, d3, d2, d1, d0 = _taylor(14, kind)

    def exp64(x: Any) -> Any:
        y = min(max(x, low), high)
        n = np.floor(y * per_ln2 + half)
        r = y - n * ln2_high - n * ln2_low
        p = ((((((d13 * r + d12) * r + d11) * r + d10) * r + d9) * r + d8) * r + d7) * r + d6
        p = (((((p * r + d5) * r + d4) * r + d3) * r + d2) * r + d1) * r + d0
        return p * whole((whole(n) + offset) << shift).view(kind) + (x - x)

    return exp64


if numba.config.DISABLE_JIT:

    def apart() -> None:
        pass

    def view(array: Any, start: int, rows: int, columns: int) -> Any:
        return array.reshape(-1)[start : start + rows * columns].reshape(rows, columns)

    def line(array: Any, start: int, length: int) -> Any:
        return array.reshape(-1)[start : start + length]

    def borrowed(value: Any) -> Any:
        return value

    def transpose(A: Any, B: Any) -> None:
        B[:] = A.T

    def column_sums(B: Any, sums: Any) -> None:
        sums[:] = B.sum(axis=0)

    def product(A: Any, B: Any, C: Any, bias: Any) -> None:
        C[:] = A @ B + bias if len(bias) else A @ B

    def product_left(A: Any, B: Any, C: Any, nothing: Any) -> None:
        C[:] = A.T @ B

    def product_right(A: Any, B: Any, C: Any, transposed: Any, nothing: Any) -> None:
        C[:] = A @ B.T
