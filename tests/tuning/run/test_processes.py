"""Processes for code of one's own: one that dies or hangs takes nothing with it, and none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.tuning.fakes import a_study, same_trials
from tests.tuning.faults import Deadly, Heavy, Unloadable
from tuning import sweep
from tuning.run import WorkersError
from tuning.run.processes import ProcessDied, Processes, TrialTimeout

ROOT = Path(__file__).parents[3]


def slow(item: float) -> int:
    """Takes so many seconds."""
    time.sleep(item)
    return os.getpid()


def dying(item: str) -> int:
    """Dies, once or always, and leaves a note of it."""
    if item:
        first = not os.path.exists(item)
        Path(item).touch()
        if first or item.endswith("always"):
            os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def test_the_function_goes_to_each_process_once(tmp_path: Path) -> None:
    heavy = Heavy(tmp_path)
    study = a_study(heavy, repeats=8).run(n_jobs=2, trial_timeout=PATIENCE)
    assert same_trials(a_study(repeats=8).run(), study)
    assert 1 <= len(heavy.loads()) <= 2


def test_a_network_has_the_same_bits_where_it_can_be_stopped() -> None:
    space = {"learning_rate": [0.1, 0.3], "hidden_units": 4}
    there = sweep("iris", space, epochs=3, folds=2, trial_timeout=PATIENCE, n_jobs=2)
    assert same_trials(sweep("iris", space, epochs=3, folds=2), there)


def test_one_that_dies_is_replaced_and_its_item_run_once_more(tmp_path: Path) -> None:
    processes = Processes(1)
    try:
        first = processes.submit(dying, "").result(PATIENCE)
        assert processes.submit(dying, str(tmp_path / "once")).result(PATIENCE) != first
        with pytest.raises(ProcessDied, match=r"died 2 times while it ran \(killed by signal 9\)"):
            processes.submit(dying, str(tmp_path / "always")).result(PATIENCE)
        assert processes.submit(dying, "").result(PATIENCE)
    finally:
        processes.shutdown()


def test_one_that_takes_too_long_is_ended_and_the_next_item_has_a_fresh_one() -> None:
    processes = Processes(1, 0.1)
    try:
        first = processes.submit(slow, 0.0).result(PATIENCE)
        with pytest.raises(TrialTimeout, match=r"within trial_timeout=0\.1 seconds"):
            processes.submit(slow, PATIENCE).result(PATIENCE)
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        assert processes.submit(slow, 0.0).result(PATIENCE) != first
    finally:
        processes.shutdown()


def test_to_end_without_waiting_ends_what_runs() -> None:
    processes = Processes(2)
    future = processes.submit(slow, PATIENCE)
    processes.submit(slow, 0.0).result(PATIENCE)
    processes.shutdown(wait=False, cancel_futures=True)
    assert str(future.exception(PATIENCE)) == "its process was ended"


def test_none_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    lines = [
        "import os, signal",
        "from tests.tuning.run.test_processes import Processes, slow",
        "processes = Processes(2)",
        "running = processes.submit(slow, 600)",
        "print(processes.submit(slow, 0).result(), flush=True)",
        "os.kill(os.getpid(), signal.SIGKILL)",
    ]
    done = subprocess.run(  # whose end waits for all that hold its output
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, timeout=PATIENCE / 2, check=False
    )
    assert done.returncode == -9, done.stderr
    assert int(done.stdout) > 0


def test_what_can_not_be_loaded_there_ends_the_study_in_a_line() -> None:
    with pytest.raises(WorkersError, match="must be able to load the study's data, but: FileNotFoundError"):
        a_study(Unloadable()).run(trial_timeout=PATIENCE)


def test_a_trial_that_kills_its_process_fails_alone(tmp_path: Path) -> None:
    study = a_study(Deadly(tmp_path, once=(2,), always=(7,))).run(n_jobs=2, trial_timeout=PATIENCE)
    assert [trial.number for trial in study.trials if trial.state == "failed"] == [7]
    others = zip(a_study().run().trials, study.trials, strict=True)
    assert all(a.exactly_equals(b) for a, b in others if a.number != 7)
