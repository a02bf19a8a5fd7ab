"""Independent trainings side by side: in order, whatever the workers; an exception cancels what has not begun."""

from __future__ import annotations

import threading

import pytest

from tuning.laboratory.parallel import map_in_threads


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_results_are_in_the_order_of_the_items(workers: int | None) -> None:
    first_waits = threading.Event()

    def square(item: int) -> int:
        if item == 9:
            first_waits.set()
        elif item == 0 and workers == 3:
            assert first_waits.wait(10)  # the first is done last
        return item * item

    assert map_in_threads(square, iter(range(10)), workers=workers) == [item * item for item in range(10)]


@pytest.mark.parametrize("progress", [None, "squares"])
def test_an_exception_cancels_what_has_not_begun(progress: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    begun = []

    def fail(item: int) -> None:
        begun.append(item)
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        map_in_threads(fail, range(100_000), progress, workers=1)
    assert len(begun) < 100_000
    bar = capsys.readouterr().err
    assert bar == "" if progress is None else bar.endswith("\r")
