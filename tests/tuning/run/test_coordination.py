"""What a trial costs beside its training, told without a clock: transactions, trials in flight, memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from scripts.benchmarks.noop_trials import run
from tests.tuning.fakes import Clock
from tuning.run import Workers
from tuning.run.runner import COMMIT_SECONDS
from tuning.run.workers import QUEUE_PER_WORKER
from tuning.store import StudyFile

TRIALS = 5_000


def test_trials_are_saved_in_groups_with_few_in_flight_and_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    most = 0
    add, submit = StudyFile.add, Workers._submit

    def counting_add(self: StudyFile, results: Any) -> None:
        listed = list(results)
        groups.append(len(listed))
        add(self, listed)

    def counting_submit(self: Workers, *arguments: Any) -> None:
        nonlocal most
        submit(self, *arguments)
        most = max(most, self.in_flight)

    monkeypatch.setattr(StudyFile, "add", counting_add)
    monkeypatch.setattr(Workers, "_submit", counting_submit)
    monkeypatch.setattr("tuning.run.runner.time", Clock(each_look=COMMIT_SECONDS / 100))
    run(2, tmp_path / "first.db").close()  # imports and caches are not counted
    groups.clear()
    tracemalloc.start()
    try:
        study = run(TRIALS, tmp_path / "a.db", n_jobs=2)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(groups) == len(study.trials) == TRIALS
    assert len(groups) <= TRIALS / 10  # a flush of the disk for each trial would be 5,000
    assert most == 2 * QUEUE_PER_WORKER
    assert kept < 3e6
    assert peak < 25e6
