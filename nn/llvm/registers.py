"""Below the level of Python: vectors of this machine's registers, and views of arrays that own nothing.

What is emitted here for LLVM, which picks the instructions for the machine at hand, `products.py` and `elementary.py`
build on. Above each emitted function stands a NumPy function that does the same, and takes its place where Numba's
compiler is off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
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


def emitted(stand_in: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make an intrinsic of a function that emits instructions, beside the NumPy function that does the same.

    With NUMBA_DISABLE_JIT=1, for a debugger or a coverage run, `stand_in` takes its place.
    """

    def decorate(emitting: Callable[..., Any]) -> Any:
        if numba.config.DISABLE_JIT:
            return stand_in
        made = intrinsic(emitting)
        made.stand_in = stand_in
        return made

    return decorate


class Emitter:
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


@emitted(lambda: None)
def apart(typingctx):  # type: ignore[no-untyped-def]
    """Keep the function that this stands in from being inlined: a large one costs more to compile than its calls do."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@emitted(lambda array, start, rows, columns: array.reshape(-1)[start : start + rows * columns].reshape(rows, columns))
def view(typingctx, array, start, rows, columns):  # type: ignore[no-untyped-def]
    """The (rows, columns) matrix that begins at element `start` of an array in C order. Nothing is checked."""
    kind = types.Array(array.dtype, 2, "C")

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _part(context, builder, array, kind, *arguments)

    return kind(array, types.int64, types.int64, types.int64), codegen


@emitted(lambda array, start, length: array.reshape(-1)[start : start + length])
def line(typingctx, array, start, length):  # type: ignore[no-untyped-def]
    """The vector of `length` elements that begins at element `start` of an array in C order. Nothing is checked."""
    kind = types.Array(array.dtype, 1, "C")

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _part(context, builder, array, kind, *arguments)

    return kind(array, types.int64, types.int64), codegen


def _part(context, builder, array, kind, given, first, *shape):  # type: ignore[no-untyped-def]
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


@emitted(lambda value: value)
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
