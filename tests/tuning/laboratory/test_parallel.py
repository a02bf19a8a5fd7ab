"""Independent trainings side by side: in order, whatever the workers; an exception cancels what has not begun."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.patience import PATIENCE
from tuning.laboratory.parallel import map_in_threads


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_results_are_in_the_order_of_the_items(workers: int | None) -> None:
    first_waits = threading.Event()

    def square(item: int) -> int:
        if item == 9:
            first_waits.set()
        elif item == 0 and workers == 3:
            assert first_waits.wait(PATIENCE)  # the first is done last
        return item * item

    assert map_in_threads(square, iter(range(10)), workers=workers) == [item * item for item in range(10)]


@pytest.mark.parametrize("progress", [None, "squares"])
def test_an_exception_cancels_what_has_not_begun(
    progress: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
    with pytest.raises(ValueError, match="item 0"):
        map_in_threads(fail, range(100), progress, workers=1)
    assert begun in ([0], [0, 1])  # the next may have begun before the exception was seen
    bar = capsys.readouterr().err
    assert bar == "" if progress is None else bar.endswith("\r")
