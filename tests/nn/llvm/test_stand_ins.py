"""Each emitted function does what the NumPy function above it does, which takes its place without the compiler."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numba.core.extending import _Intrinsic  # the class of what `numba.extending.intrinsic` makes

from nn.llvm import elementary, products, registers

MODULES = (registers, products, elementary)
EMITTED = {name: one for module in MODULES for name, one in vars(module).items() if isinstance(one, _Intrinsic)}


def arguments(name: str, dtype: str) -> list[tuple[Any, ...]]:
    """What a function is tried on: every way in which a tile or a vector can end."""
    rng = np.random.default_rng(0)
    lanes, rows, K = registers.VECTOR_BYTES // np.dtype(dtype).itemsize, registers.TILE_ROWS, 5
    N = 4 * lanes + 3

    def some(*shape: int) -> Any:
        return rng.normal(size=shape).astype(dtype)

    if name in ("_whole", "_narrow", "_row", "_high", "_sums"):
        A, B, C = some(2 * rows + 1, K), some(K, N), some(2 * rows + 1, N)
        starts = (0,) if name == "_whole" else (0, 1, 3 * lanes, N - 3)
        return [(A, K, K, 1, B, j, C, N + j, N, bias, j, K, N - j) for j in starts for bias in (some(N), some(0))]
    if name == "_turn":
        sizes, width = ((lanes, lanes), (3, lanes), (lanes, 1), (2 * lanes, 2)), 2 * lanes
        return [(some(width, width), 2, width, m, some(width, width), 1, width, n) for m, n in sizes]
    if name == "_softmax_lanes":
        return [(some(3, N), some(3, N), some(N), some(N), some(N), first, N - first) for first in (0, 4 * lanes)]
    if name in ("sum_of", "sum_of_squares"):
        return [(some(n),) for n in (0, 1, 4 * lanes, N)]
    if name in ("exp", "tanh", "normal"):
        return [(x,) for x in some(20)]
    return {
        "apart": [()],
        "view": [(some(4, 6), 5, 3, 4)],
        "line": [(some(4, 6), 5, 9), (some(3), 1, 0)],
        "borrowed": [(some(4),)],
    }[name]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EMITTED)
def test_an_emitted_function_does_what_its_stand_in_does(name: str, dtype: str) -> None:
    emitted, view = EMITTED[name], name in ("view", "line", "borrowed")

    @numba.njit
    def run(given: Any) -> Any:
        return emitted(*given).copy() if view else emitted(*given)

    for given in arguments(name, dtype):
        ours, theirs = ([np.copy(x) if isinstance(x, np.ndarray) else x for x in given] for _ in range(2))
        result, expected = run(tuple(ours)), emitted.stand_in(*theirs)
        close = {"rtol": 40 * float(np.finfo(dtype).eps), "atol": 40 * float(np.finfo(dtype).eps)}
        if expected is not None:
            np.testing.assert_allclose(result, expected, **close)
            assert np.shape(result) == np.shape(expected)
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine, other, **close)


def test_all_that_is_emitted_was_found() -> None:
    assert {"apart", "view", "line", "borrowed", "exp", "tanh", "normal", "_turn", "_whole", "_sums"} < EMITTED.keys()
