"""Independent trainings side by side: in order, whatever the cores; an exception cancels what has not begun."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.patience import PATIENCE
from tuning.laboratory.parallel import grid_in_threads, map_in_processes, map_in_threads, seeds_of


@pytest.mark.parametrize("cores", [None, 1, 3])
def test_results_are_in_the_order_of_the_items(cores: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    first_waits = threading.Event()

    def square(item: int) -> int:
        if item == 9:
            first_waits.set()
        elif item == 0 and cores == 3:
            assert first_waits.wait(PATIENCE)  # the first is done last
        return item * item

    assert map_in_threads(square, iter(range(10)), "squares") == [item * item for item in range(10)]


@pytest.mark.parametrize("terminal", [False, True])
def test_an_exception_cancels_what_has_not_begun(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    ending = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            ending.set()
            super().shutdown(wait=wait)

    def fail(item: int) -> None:
        begun.append(item)
        assert item == 0 or ending.wait(PATIENCE)
        raise ValueError(f"item {item}")

    monkeypatch.setattr("tuning.laboratory.parallel.ThreadPoolExecutor", Pool)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with pytest.raises(ValueError, match="item 0"):
        map_in_threads(fail, range(100), "squares")
    assert begun in ([0], [0, 1])  # the next may have begun before the exception was seen
    bar = capsys.readouterr().err
    assert bar.endswith("\r") if terminal else bar == ""


def test_a_grid_has_a_dimension_for_each_axis_and_then_those_of_the_results() -> None:
    found = grid_in_threads(
        lambda a, b, c: [a, b, c, a + b + c], [1, 2], (10.0, 20.0, 30.0), np.array([100]), words="sums"
    )
    assert found.shape == (2, 3, 1, 4)
    assert found[1, 2, 0].tolist() == [2, 30, 100, 132]
    assert grid_in_threads(lambda a: -a, range(3), words="negatives").tolist() == [0, -1, -2]


def test_without_a_pool_everything_is_done_here_and_in_order() -> None:
    here: list[int] = []
    assert map_in_processes(None, lambda item: here.append(item) or -item, [3, 1, 2], "negatives") == [-3, -1, -2]
    assert here == [3, 1, 2]


def test_no_two_seeds_share_a_start() -> None:
    seeds = [start for seed in range(4) for start in seeds_of(seed, 5)]
    assert len(seeds) == len(set(seeds)) == 20
    assert list(seeds_of(0, 3)) == [0, 1, 2]
