"""Products, transposes and sums in registers against NumPy's, for every width of register; e^x and tanh against the
exact ones.
"""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from nn.llvm import exp, normal, products, softmax, tanh

# Every way in which a matrix can end within a tile or a vector, for the registers of any machine.
SHAPES = [(m, n, k) for m in (1, 5, 8, 13, 33) for n in (1, 3, 10, 16, 17, 32, 45) for k in (1, 2, 31)]


@numba.njit
def multiply(A: Any, B: Any, C: Any, bias: Any) -> None:
    products.product(A, B, C, bias)


@numba.njit
def multiply_left(A: Any, B: Any, C: Any, bias: Any) -> None:
    products.product_left(A, B, C, bias)


@numba.njit
def multiply_right(A: Any, B: Any, C: Any, transposed: Any, bias: Any) -> None:
    products.product_right(A, B, C, transposed, bias)


@numba.njit
def turn(A: Any, B: Any) -> None:
    products.transpose(A, B)


@numba.njit
def sums(x: Any) -> Any:
    return products.sum_of(x), products.sum_of_squares(x)


@numba.njit
def exponentials(x: Any, y: Any) -> None:
    for i in range(len(x)):
        y[i] = exp(x[i])


@numba.njit
def tangents(x: Any, y: Any) -> None:
    for i in range(len(x)):
        y[i] = tanh(x[i])


@numba.njit
def shares_below(x: Any, y: Any) -> None:
    for i in range(len(x)):
        y[i] = normal(x[i])


@numba.njit
def probabilities(Z: Any, A: Any, tops: Any, shares: Any, winners: Any) -> None:
    softmax(Z, A, tops, shares, winners)


def guarded(shape: tuple[int, int], dtype: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """A matrix amid numbers that must not be touched, and all of it."""
    room = np.full(shape[0] * shape[1] + 128, 7.0, dtype)
    return room[64:-64].reshape(shape), room


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_are_those_of_numpy_and_touch_nothing_else(dtype: str) -> None:
    rng = np.random.default_rng(0)
    close = 1e-5 if dtype == "float32" else 1e-13
    for m, n, k in SHAPES:
        A, B, bias = (rng.normal(size=size).astype(dtype) for size in ((m, k), (k, n), (n,)))
        C, room = guarded((m, n), dtype)
        multiply(A, B, C, bias)
        np.testing.assert_allclose(C, A @ B + bias, rtol=0, atol=close * k)
        multiply(A, B, C, bias[:0])
        np.testing.assert_allclose(C, A @ B, rtol=0, atol=close * k)
        multiply_left(np.ascontiguousarray(A.T), B, C, bias[:0])
        np.testing.assert_allclose(C, A @ B, rtol=0, atol=close * k)
        multiply_right(A, np.ascontiguousarray(B.T), C, np.empty(n * k, dtype), bias[:0])
        np.testing.assert_allclose(C, A @ B, rtol=0, atol=close * k)
        assert (room[:64] == 7).all()
        assert (room[-64:] == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transposes_are_those_of_numpy_and_touch_nothing_else(dtype: str) -> None:
    for m, n in itertools.product((1, 3, 7, 8, 9, 16, 17, 33), repeat=2):
        A = np.arange(m * n, dtype=dtype).reshape(m, n)
        B, room = guarded((n, m), dtype)
        turn(A, B)
        assert np.array_equal(B, A.T)
        assert (room[:64] == 7).all()
        assert (room[-64:] == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_are_those_of_numpy_wherever_the_vector_begins(dtype: str) -> None:
    room = np.random.default_rng(0).normal(size=1100).astype(dtype)
    exact = room.astype(float)
    for length in (0, 1, 5, 16, 63, 64, 65, 1000):
        seen = {sums(np.concatenate([room[:start], room[:length], room[:3]])[start:][:length]) for start in range(5)}
        assert len(seen) == 1  # not only close: the order of the sum does not depend on where a cache line begins
        plain, squares = seen.pop()
        close = float(1000 * np.finfo(dtype).eps)
        assert plain == pytest.approx(exact[:length].sum(), abs=close)
        assert squares == pytest.approx(np.square(exact[:length]).sum(), rel=close, abs=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_softmax_predicts_the_first_of_its_largest_probabilities(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for K, N in ((1, 1), (2, 5), (10, 32), (10, 33), (17, 100)):
        Z = rng.integers(-2, 2, (K, N)).astype(dtype)  # with many ties
        A, (tops, shares, winners) = np.empty_like(Z), np.empty((3, N), dtype)
        probabilities(Z, A, tops, shares, winners)
        expected = np.exp(Z.astype(float) - Z.max(axis=0))
        np.testing.assert_allclose(A, expected / expected.sum(axis=0), rtol=20 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(tops, Z.max(axis=0))
        np.testing.assert_allclose(shares, 1 / expected.sum(axis=0), rtol=20 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(winners, A.argmax(axis=0))


def test_a_row_of_a_product_does_not_depend_on_the_rows_beside_it() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(21, 40)).astype("float32"), rng.normal(size=(40, 37)).astype("float32")
    C, one = np.empty((21, 37), "float32"), np.empty((1, 37), "float32")
    multiply(A, B, C, B[0, :0])
    for i in range(21):
        multiply(A[i : i + 1], B, one, B[0, :0])
        assert np.array_equal(C[i], one[0])


@pytest.mark.parametrize(("dtype", "end"), [("float32", 86.0), ("float64", 700.0)])
def test_exp_is_right_to_two_units_in_the_last_place(dtype: str, end: float) -> None:
    x = np.concatenate([np.linspace(-end, end, 200_001), np.linspace(-1e-3, 1e-3, 2_001)]).astype(dtype)
    y = np.empty_like(x)
    exponentials(x, y)
    exact = np.array([math.exp(v) for v in x.astype(float)])
    assert np.abs(y / exact - 1).max() <= 2 * np.finfo(dtype).eps
    assert y[len(y) - 1001] == 1.0  # e^0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_is_right_to_three_units_in_the_last_place(dtype: str) -> None:
    small = np.logspace(-30, 1.5, 100_001)
    x = np.concatenate([small, -small, np.linspace(-1, 1, 100_001), [0.0, 1e30, -1e30]]).astype(dtype)
    y = np.empty_like(x)
    tangents(x, y)
    exact = np.array([math.tanh(v) for v in x.astype(float)])
    assert np.all(np.abs(y - exact) <= 3 * np.finfo(dtype).eps * np.abs(exact))
    assert y[-3:].tolist() == [0.0, 1.0, -1.0]
    tangents(np.array([np.nan, np.inf, -np.inf], dtype), y)
    assert np.isnan(y[:3]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_normal_distribution_is_off_by_no_more_than_one_and_a_half_epsilon(dtype: str) -> None:
    x = np.concatenate([np.linspace(-40, 40, 200_001), np.linspace(-1e-3, 1e-3, 2_001)]).astype(dtype)
    y = np.empty_like(x)
    shares_below(x, y)
    exact = np.array([0.5 * math.erfc(-v * math.sqrt(0.5)) for v in x.astype(float)])
    assert np.abs(y - exact).max() <= 1.5 * np.finfo(dtype).eps
    tail = (x > -5) & (x < 0)  # where it is small, it is right in proportion, as far as `exact` is: to 15 ε of float64
    assert np.abs(y[tail] / exact[tail] - 1).max() <= 25 * np.finfo(dtype).eps
    shares_below(np.array([np.nan, np.inf, -np.inf], dtype), y)
    assert np.isnan(y[:3]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exp_shows_what_is_not_finite_and_stays_in_range_otherwise(dtype: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, -1e4, 1e4], dtype)
    y = np.empty_like(x)
    exponentials(x, y)
    assert np.isnan(y[:3]).all()
    assert 0 < y[3] < 1e-37
    assert 1e37 < y[4] < np.inf


@pytest.mark.parametrize("features", ["{}", "{'sse2': True}", "{'avx': True, 'avx2': True, 'fma': True}"])
def test_products_are_right_on_machines_with_narrower_registers(features: str, tmp_path: Path) -> None:
    code = (
        "import llvmlite.binding as b, sys\n"
        f"b.get_host_cpu_features = lambda: b.FeatureMap({features})\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_products as t\n"
        "assert t.products.VECTOR_BYTES < 64\n"
        "for dtype in ('float32', 'float64'):\n"
        "    t.test_products_are_those_of_numpy_and_touch_nothing_else(dtype)\n"
        "    t.test_transposes_are_those_of_numpy_and_touch_nothing_else(dtype)\n"
        "    t.test_sums_are_those_of_numpy_wherever_the_vector_begins(dtype)\n"
        "    t.test_a_softmax_predicts_the_first_of_its_largest_probabilities(dtype)\n"
    )
    own_cache = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=own_cache)
