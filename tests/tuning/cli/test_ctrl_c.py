"""Ctrl-C, as a terminal sends it: the first finishes what runs, the second stops now; both lose nothing."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.tuning.fakes import a_study, files, noisy, same_trials
from tuning import sweep
from tuning.run import Workers
from tuning.run.workers import QUEUE_PER_WORKER
from tuning.store import StudyFile, TrialResult, TrialSpec
from tuning.study import Study, StudyInterrupted

ROOT = Path(__file__).parents[3]

# The command, which tells when each trial ends; the sixth waits until there is something to read.
CHILD = """
import sys
from tuning.cli import main
from tuning.objective import Objective

train, started = Objective.__call__, []

def telling(self, spec):
    started.append(spec.number)
    if len(started) == 6:
        print("five ended", flush=True)
        sys.stdin.read()
    result = train(self, spec)
    print("ended", spec.number, flush=True)
    return result

Objective.__call__ = telling
sys.exit(main())
"""


class Command:
    """The command in a process of its own, with a terminal for its standard error."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=slave, text=True, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._heard = ""
        self.out: list[str] = []
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        os.kill(self.process.pid, signal.SIGINT)

    def wait_for_line(self, line: str) -> None:
        """Read standard output up to a line."""
        assert self.process.stdout is not None
        for each in self.process.stdout:
            self.out.append(each.strip())
            if self.out[-1] == line:
                return
        raise AssertionError(f"{line!r} was not said: {self.out} {self.rest_of_terminal()}")

    def wait_for_terminal(self, words: str) -> None:
        """Read the terminal up to these words."""
        while words not in self._heard:
            self._heard += os.read(self._master, 65536).decode(errors="replace")

    def let_go(self) -> None:
        """Let the sixth trial end."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and the last line on the terminal."""
        assert self.process.stdout is not None
        self.out += [each.strip() for each in self.process.stdout]
        status = self.process.wait(PATIENCE)
        self._watchdog.cancel()
        return status, self.rest_of_terminal().splitlines()[-1]

    def rest_of_terminal(self) -> str:
        """Everything that was said on the terminal, up to its end."""
        try:
            while piece := os.read(self._master, 65536):
                self._heard += piece.decode(errors="replace")
        except OSError:  # Linux: the other side is closed
            pass
        return self._heard

    def close(self) -> None:
        """End what still runs."""
        self._watchdog.cancel()
        self.process.kill()
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        os.close(self._master)

    @property
    def ended(self) -> list[int]:
        """The numbers of the trials that have ended, in order."""
        return sorted(int(line.split()[1]) for line in self.out if line.startswith("ended"))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Command]:
    """A sweep of 40 trials on one thread, in the middle of the sixth."""
    command = Command(
        "sweep", "moons", "--learning-rate", "1e-2:1:log", "--points", "40", "--hidden-units", "2", "--epochs", "1",
        "--n-jobs", "1", "--storage", str(tmp_path / "a.db"),
    )  # fmt: skip
    try:
        command.wait_for_line("five ended")
        yield command
    finally:
        command.close()


def check(folder: Path, line: str, ended: list[int]) -> None:
    """All that ended is saved, the line says how to go on, and doing so gives what an uninterrupted sweep gives."""
    part = Study.open(folder / "a.db")
    assert [trial.number for trial in part.trials] == ended
    part.close()
    assert "nn-tuning" in line
    resumed = Study.open(folder / "a.db").resume()
    whole = sweep("moons", {"learning_rate": "1e-2:1:log", "hidden_units": 2}, points=40, epochs=1)
    assert same_trials(whole, resumed)
    assert files(folder) == ["a.db"]


def test_the_first_ctrl_c_finishes_what_runs_and_says_how_to_go_on(running: Command, tmp_path: Path) -> None:
    running.interrupt()
    running.wait_for_terminal("press Ctrl-C again to stop now")
    running.let_go()
    status, line = running.end()
    assert status == 130
    assert re.fullmatch(
        r"nn-tuning: stopped: \d+ of 40 trials are saved; continue with: nn-tuning resume .*a\.db", line
    )
    assert 6 <= len(running.ended) <= 6 + QUEUE_PER_WORKER  # the sixth was running; some may start before it is noticed
    check(tmp_path, line, running.ended)


def test_the_second_ctrl_c_stops_now_though_a_trial_still_runs(running: Command, tmp_path: Path) -> None:
    running.interrupt()
    running.wait_for_terminal("press Ctrl-C again to stop now")
    running.interrupt()
    status, line = running.end()
    assert status == 130
    assert line == "nn-tuning: stopped; what was counted is saved, and the same command goes on from there"
    assert len(running.ended) == 5
    check(tmp_path, line, running.ended)


def test_the_second_ctrl_c_saves_what_has_arrived_while_others_were_being_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main thread is kept in its first save until three more trials have ended; then both signals come."""
    monkeypatch.setattr("tuning.run.runner.COMMIT_SECONDS", 0.0)
    saving, ended = threading.Event(), threading.Semaphore(0)
    started: list[int] = []
    numbers: list[int] = []
    add = StudyFile.add

    def objective(spec: TrialSpec) -> TrialResult:
        started.append(spec.number)
        if len(started) > 1:
            assert saving.wait(PATIENCE)
        if len(started) > 4:
            assert release.wait(PATIENCE)
        return noisy(spec)

    def counted(spec: TrialSpec) -> TrialResult:
        result = objective(spec)
        numbers.append(spec.number)
        ended.release()
        return result

    def interrupted(self: StudyFile, results: object) -> None:
        if not saving.is_set():
            saving.set()
            for _ in range(4):
                assert ended.acquire(timeout=PATIENCE)
            while not fetched(4):
                pass
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        add(self, results)  # type: ignore[arg-type]

    def fetched(count: int) -> bool:
        """Whether so many futures have reported themselves: the first was fetched, three more are waiting to be."""
        return sum(future.done() for future in futures) >= count

    release, futures = threading.Event(), []
    submit = Workers._submit

    def noting(self: Workers, *arguments: object) -> None:
        submit(self, *arguments)  # type: ignore[arg-type]
        futures.extend(self._waiting - set(futures))

    monkeypatch.setattr(Workers, "_submit", noting)
    monkeypatch.setattr(StudyFile, "add", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt) as stop:
            a_study(counted, tmp_path / "a.db").run(n_jobs=1)
    finally:
        release.set()
    assert not isinstance(stop.value, StudyInterrupted)
    assert [trial.number for trial in Study.open(tmp_path / "a.db").trials] == sorted(numbers[:4])
