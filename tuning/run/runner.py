"""The loop of a study: trials go out, results come back in any order, are saved in groups, and then are counted."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from nn.checks import one_line
from tuning.analysis import Leader
from tuning.run.workers import Workers
from tuning.store import COMPLETED, FAILED, PAUSED, StudyFile, TrialResult, TrialSpec

COMMIT_SECONDS = 0.1
"""The longest that a finished trial waits to be saved: a disk's flush then costs a few per cent of the time at most."""

FINISHED, TIMEOUT, TARGET, INTERRUPTED, BUDGET = "finished", "timeout", "target", "interrupted", "total_epochs"
"""Why a study ended: all is done; the time is up; the target is reached; Ctrl-C; the epochs are spent."""


@dataclass(frozen=True)
class Limits:
    """What ends a study before its last setting; None: no limit.

    n_trials: trainings, with every repeat and fold counted; timeout: seconds of one call; target: value of the metric
    that the mean of a setting must reach; total_epochs: what all trials may be given together.
    """

    n_trials: int | None = None
    timeout: float | None = None
    target: float | None = None
    total_epochs: int | None = None


class Runner:
    """Runs the trials that are left; `run` says why it ended.

    The first Ctrl-C lets what runs finish and saves it; the second saves what has finished and stops at once. The
    progress counts trials, or `by_epochs` the epochs that they were given. `saved` is the number of trials with a new
    result, each counted once.
    """

    def __init__(
        self,
        file: StudyFile,
        objective: Callable[[TrialSpec], TrialResult],
        leader: Leader,
        limits: Limits,
        progress: Progress,
        by_epochs: bool = False,
    ) -> None:
        self._file = file
        self._objective = objective
        self._leader = leader
        self._target = limits.target
        self._deadline = math.inf if limits.timeout is None else time.monotonic() + limits.timeout
        self._progress = progress
        self._by_epochs = by_epochs
        self.saved = 0
        self._started: set[int] = set()
        self._finished: list[tuple[TrialSpec, TrialResult]] = []
        self._interrupted = False
        self._lost = False  # a trial was handed out and has not come back: its round is not whole
        self._reached = self._on_target()

    def run(self, rounds: Iterator[Iterator[TrialSpec]], workers: Workers) -> str:
        """Run the trials of one round after another until there are no more or a limit is reached.

        Everything that finished is saved, and that of a round before the next is asked for.
        """
        patience = True
        try:
            with self._ctrl_c():
                for specs in rounds:
                    self._round(specs, workers)
                    if self._lost or workers.dropped or next(specs, None) is not None:
                        break
                else:
                    return INTERRUPTED if self._interrupted else TARGET if self._reached else FINISHED
        except KeyboardInterrupt:
            patience = False
            for item, future in workers.arrived():
                self._take(item, future)
            raise
        finally:
            try:
                self._save()
            finally:
                workers.close(wait=patience)
                self._progress.close()
        if self._interrupted:
            return INTERRUPTED
        return TARGET if self._reached else TIMEOUT

    def _round(self, specs: Iterator[TrialSpec], workers: Workers) -> None:
        saved = time.monotonic()
        for arrival in workers.run(self._objective, specs, self._stopping, COMMIT_SECONDS):
            if arrival is not None:
                self._take(*arrival)
            if time.monotonic() - saved >= COMMIT_SECONDS:
                self._save()
                saved = time.monotonic()
        self._save()

    def _take(self, spec: TrialSpec, future: Future[TrialResult]) -> None:
        error = future.exception()
        if error is None:
            result = future.result()
        elif isinstance(error, BrokenExecutor):
            raise RuntimeError(
                f"workers must stay alive, but: {error}; finished trials are saved, run again"
            ) from error
        elif isinstance(error, Exception):
            result = TrialResult(FAILED, error=one_line(error))
        else:
            self._interrupted = self._lost = True
            return
        if spec.continues and result.state == COMPLETED:
            result = replace(result, state=PAUSED)
        self._finished.append((spec, result))
        if result.state != PAUSED:
            self._leader.add(spec.text, result.state, result.metrics)
        self._reached = self._reached or self._on_target()

    def _save(self) -> None:
        """Save first, count then: what the progress bar shows is on the disk."""
        if self._finished:
            self._file.add(self._finished)
            self.saved += sum(spec.start == 0 or spec.number not in self._started for spec, _ in self._finished)
            if self._by_epochs:
                self._started.update(spec.number for spec, _ in self._finished)
            done = sum(spec.epochs - spec.start for spec, _ in self._finished) if self._by_epochs else None
            self._progress.update(len(self._finished) if done is None else done, self._leader)
            self._finished.clear()

    def _on_target(self) -> bool:
        best = self._leader.best
        return self._target is not None and best is not None and self._leader.reaches(best, self._target)

    def _stopping(self) -> bool:
        return self._interrupted or self._reached or time.monotonic() >= self._deadline

    @contextlib.contextmanager
    def _ctrl_c(self) -> Iterator[None]:
        """Handle SIGINT in here, where that is possible: signals reach the main thread only."""
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        if ignored or threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, frame: FrameType | None) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            self._progress.say("finishing the trials that run; press Ctrl-C again to stop now")

        before = signal.signal(signal.SIGINT, on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


class Progress:
    """A bar on standard error with trials saved, or another `unit`, rate, time left and the best so far.

    `show` None: where standard error is a terminal, and in a notebook; True: always; False: never.
    """

    def __init__(self, show: bool | None, total: int | None, done: int, leader: Leader, unit: str = " trials") -> None:
        self._bar: Any = None
        if show or (show is None and (sys.stderr.isatty() or "ipykernel" in sys.modules)):
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, initial=done, unit=unit, dynamic_ncols=True, file=sys.stderr)
            self._describe(leader)

    def update(self, count: int, leader: Leader) -> None:
        """Count trials that have been saved."""
        if self._bar is not None:
            self._describe(leader)
            self._bar.update(count)

    def say(self, line: str) -> None:
        """Write one line beside the bar, if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _describe(self, leader: Leader) -> None:
        if leader.best is not None:
            self._bar.set_postfix_str(f"best {leader.metric} {leader.best:.4f}", refresh=False)
