"""Matrix products in vector registers, for matrices so small that a call of a BLAS costs as much as its work.

A tile of C = A B, a few rows of two vectors each, is held in registers while k runs over the inner dimension: for each
k one row of B is loaded, and each element of A's column is spread over a vector, multiplied, and added to its row of
the tile. Columns that fill no vector are loaded and stored under a mask. Sums run over k in order: nothing but the
numbers decides the result. On 32 x 64 x 32 this is at nine tenths of the core's peak, where OpenBLAS has a third.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import make_array

from nn.llvm.registers import I32, I64, INNER, TILE_ROWS, VECTOR_BYTES, Emitter, Value, apart, emitted, line, view


def _tile(rows: int, vectors: int, masked: bool, weighted: bool = True) -> Any:
    """An intrinsic for a tile of C (rows, vectors), `columns` columns of it if masked: C = bias + Σ_k A[:, k]·B[k, :].

    Not `weighted`, A counts as ones and is not read. The tile's first elements are number `a` of A, `b` of B, `c` of C
    and `j` of the bias, which is left out if it has no elements. From one row of A to the next it is `a_row` elements,
    from one k to the next `a_k`; B and C have rows of `width` elements.
    """

    def numpy_tile(A, a, a_row, a_k, B, b, C, c, width, bias, j, inner, columns):  # type: ignore[no-untyped-def]
        lanes = vectors * VECTOR_BYTES // A.itemsize
        row, column, k = np.arange(rows), np.arange(min(columns, lanes) if masked else lanes), np.arange(inner)
        left = A.reshape(-1)[a + a_row * row[:, None] + a_k * k] if weighted else np.ones((rows, inner), A.dtype)
        right = B.reshape(-1)[b + width * k[:, None] + column]
        start = bias[j + column] if len(bias) else 0
        C.reshape(-1)[c + width * row[:, None] + column] = start + left @ right

    @emitted(numpy_tile)
    def tile(typingctx, A, a, a_row, a_k, B, b, C, c, width, bias, j, inner, columns):  # type: ignore[no-untyped-def]
        n = types.int64
        signature = types.void(A, n, n, n, B, n, C, n, n, bias, n, n, n)

        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            A_, a_, a_row_, a_k_, B_, b_, C_, c_, width_, bias_, j_, inner_, columns_ = arguments
            emit = Emitter(builder, A.dtype, vectors, columns_ if masked else None)

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


ONE = np.int64(1)  # a literal 1 would have `_tiles` compiled once more for each place where it stands


@numba.njit(inline="always", **INNER)
def product(A, B, C, bias):  # type: ignore[no-untyped-def]
    """C (M, N) = A (M, K) B (K, N) + bias (N,), which may be empty."""
    _tiles(C, A, B.shape[0], ONE, B, bias)


@numba.njit(inline="always", **INNER)
def product_left(A, B, C, nothing):  # type: ignore[no-untyped-def]
    """C (M, N) = Aᵀ B with A (K, M) and B (K, N)."""
    _tiles(C, A, ONE, C.shape[0], B, nothing)


@numba.njit(inline="always", **INNER)
def product_right(A, B, C, transposed, nothing):  # type: ignore[no-untyped-def]
    """C (M, N) = A Bᵀ with A (M, K) and B (N, K); `transposed` has room for Bᵀ."""
    N, K = B.shape[0], B.shape[1]
    Bt = view(transposed, 0, K, N)
    transpose(B, Bt)
    _tiles(C, A, K, ONE, Bt, nothing)


@numba.njit(inline="always", **INNER)
def column_sums(B, sums):  # type: ignore[no-untyped-def]
    """The sums (N,) over the rows of B (K, N)."""
    N, nothing = B.shape[1], line(B, 0, 0)
    lanes = VECTOR_BYTES // B.itemsize
    for j in range(0, N, 4 * lanes):
        _sums(B, 0, 0, 0, B, j, sums, j, N, nothing, j, B.shape[0], N - j)


@numba.njit(**INNER)
def transpose(A, B):  # type: ignore[no-untyped-def]
    """B (N, M) = Aᵀ with A (M, N)."""
    apart()
    M, N = A.shape
    lanes = VECTOR_BYTES // A.itemsize
    for i in range(0, M, lanes):
        for j in range(0, N, lanes):
            _turn(A, i * N + j, N, M - i, B, j * M + i, M, N - j)


def _numpy_turn(A, a, a_width, rows, B, b, b_width, columns):  # type: ignore[no-untyped-def]
    lanes = VECTOR_BYTES // A.itemsize
    i, j = np.arange(min(rows, lanes))[:, None], np.arange(min(columns, lanes))
    B.reshape(-1)[b + b_width * j + i] = A.reshape(-1)[a + a_width * i + j]


@emitted(_numpy_turn)
def _turn(typingctx, A, a, a_width, rows, B, b, b_width, columns):  # type: ignore[no-untyped-def]
    """Transpose a square with as many rows and columns as a register has numbers, or what of it is there.

    It begins at element `a` of A, and goes to element `b` of B. Rows are swapped by halves, quarters and so on: for 32
    x 32 numbers in a third of the time of moving one by one, for 32 x 10 in two thirds.
    """
    n = types.int64
    signature = types.void(A, n, n, n, B, n, n, n)

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        A_, a_, a_width_, rows_, B_, b_, b_width_, columns_ = arguments
        source = builder.gep(make_array(A)(context, builder, A_).data, [a_])
        target = builder.gep(make_array(B)(context, builder, B_).data, [b_])
        reader, writer = Emitter(builder, A.dtype, 1, columns_), Emitter(builder, A.dtype, 1, rows_)
        lanes, last = reader.lanes, builder.sub(rows_, ir.Constant(I64, 1))
        lines = []
        for number in range(lanes):
            own = ir.Constant(I64, number)
            row = builder.select(builder.icmp_signed("<", own, rows_), own, last)  # beyond the last, the last again
            lines.append(reader.load(builder.gep(source, [builder.mul(row, a_width_)]), 0))
        half = lanes // 2
        while half:
            for i in range(lanes):
                if not i & half:
                    low = [j if not j & half else lanes + j - half for j in range(lanes)]
                    high = [j + half if not j & half else lanes + j for j in range(lanes)]
                    pair = lines[i], lines[i + half]
                    for place, picks in ((i, low), (i + half, high)):
                        mask = ir.Constant(ir.VectorType(I32, lanes), picks)
                        lines[place] = builder.shuffle_vector(*pair, mask)
            half //= 2
        for number, value in enumerate(lines):
            own = ir.Constant(I64, number)
            with builder.if_then(builder.icmp_signed("<", own, columns_)):
                writer.store(value, builder.gep(target, [builder.mul(own, b_width_)]), 0)
        return context.get_dummy_value()

    return signature, codegen


def _sum(squared: bool) -> Any:
    """An intrinsic for Σ x or Σ x² of a vector: four registers of sums, then their sum, halved until one is left."""

    @emitted(lambda x: (x * x).sum() if squared else x.sum())
    def total(typingctx, x):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            array = make_array(x)(context, builder, arguments[0])
            length = builder.extract_value(array.shape, 0)
            lanes = VECTOR_BYTES * 8 // x.dtype.bitwidth
            zero = ir.Constant(ir.VectorType(context.get_data_type(x.dtype), lanes), [0.0] * lanes)
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(4)]
            size = ir.Constant(I64, 4 * lanes)
            with cgutils.for_range_slice(builder, ir.Constant(I64, 0), length, size) as (first, _):
                emit = Emitter(builder, x.dtype, 4, builder.sub(length, first))
                here = builder.gep(array.data, [first])
                for v, place in enumerate(sums):
                    value, so_far = emit.load(here, v), builder.load(place)
                    more = emit.multiply_add(value, value, so_far) if squared else builder.fadd(so_far, value)
                    builder.store(more, place)
            a, b, c, d = (builder.load(place) for place in sums)
            left = builder.fadd(builder.fadd(a, b), builder.fadd(c, d))
            while lanes > 1:
                lanes //= 2
                nothing, kind = ir.Constant(left.type, ir.Undefined), ir.VectorType(I32, lanes)
                halves = [ir.Constant(kind, [start + lane for lane in range(lanes)]) for start in (0, lanes)]
                left = builder.fadd(*(builder.shuffle_vector(left, nothing, half) for half in halves))
            return builder.extract_element(left, ir.Constant(I32, 0))

        return x.dtype(x), codegen

    return total


sum_of, sum_of_squares = _sum(squared=False), _sum(squared=True)


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
