"""The loop of a study: trials go out, results come back in any order, are saved in groups, and then are counted."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from types import FrameType
from typing import Any

from tuning.analysis import Leader
from tuning.run.limits import Limits
from tuning.run.rounds import Search
from tuning.run.workers import Workers
from tuning.store import COMPLETED, PAUSED, PRUNED, Outcome, TrialResult, TrialSpec

COMMIT_SECONDS = 0.1
"""The longest that a finished trial waits to be saved: a disk's flush then costs a few per cent of the time at most."""

FINISHED, TIMEOUT, TARGET, INTERRUPTED, BUDGET = "finished", "timeout", "target", "interrupted", "total_epochs"
"""The reasons why a study ends: all is done; the time is up; the target is reached; Ctrl-C; the epochs are spent."""


class Runner:
    """Runs the trials that are left; `run` says why it ended.

    The first Ctrl-C lets what runs finish and saves it; the second saves what has finished and stops at once. The bar,
    which is shown as `Progress` says, counts trials, or epochs where trials come back several times. `saved` is the
    number of trials with a new result, each counted once.
    """

    def __init__(
        self, search: Search, workers: Workers[TrialSpec, TrialResult], limits: Limits, show: bool | None
    ) -> None:
        definition, self._file = search.definition, search.file
        self._search = search
        self._workers = workers
        self._target = limits.target
        self._deadline = math.inf if limits.timeout is None else time.monotonic() + limits.timeout
        self._leader = Leader(definition.metric, definition.trials_per_setting)
        for outcome in self._file.outcomes():
            if outcome.state not in (PAUSED, PRUNED):
                self._leader.add(outcome)
        self._by_epochs = search.sampler.budgets
        planned = limits.planned_epochs if self._by_epochs else limits.planned_trials
        total = planned(search.sampler, definition.searched, definition)
        done = sum(epochs if self._by_epochs else trials for trials, epochs in self._file.epochs().values())
        unit = " epochs" if self._by_epochs else " trials"
        self._progress = Progress(show, total, done, self._leader, unit)
        self.saved = 0
        self._started: set[int] = set()
        self._finished: list[tuple[TrialSpec, TrialResult]] = []
        self._interrupted = False
        self._lost = False  # a trial was handed out and has not come back: its round is not whole
        self._reached = self._on_target()

    def run(self) -> str:
        """Run one round after another until the search has no more or a limit is reached, and return why it ended.

        Everything that finished is saved, and that of a round before the next is asked for.
        """
        patience, ended = True, TIMEOUT
        try:
            with self._ctrl_c():
                for specs in self._search.rounds():
                    self._round(specs)
                    if self._lost or self._workers.dropped or next(specs, None) is not None:
                        break
                else:
                    ended = BUDGET if self._search.cut else FINISHED
        except KeyboardInterrupt:
            patience = False
            for item, future in self._workers.arrived():
                self._take(item, future)
            raise
        finally:
            try:
                self._save()
            finally:
                self._workers.close(wait=patience)
                self._progress.close()
        return INTERRUPTED if self._interrupted else TARGET if self._reached else ended

    def _round(self, specs: Iterator[TrialSpec]) -> None:
        saved = time.monotonic()
        for arrival in self._workers.run(specs, self._stopping, COMMIT_SECONDS):
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
        elif isinstance(error, Exception):
            result = TrialResult.of_error(error)
        else:
            self._interrupted = self._lost = True
            return
        if spec.continues and result.state == COMPLETED and result.epochs >= spec.epochs:  # not stopped early
            result = replace(result, state=PAUSED)
        self._finished.append((spec, result))
        if result.state != PAUSED:
            self._leader.add(Outcome(spec.text, result.state, result.metrics))
        self._reached = self._reached or self._on_target()

    def _save(self) -> None:
        """Save first, then count and tell: what the bar shows and a callback hears of is on the disk."""
        if self._finished:
            self._file.add(self._finished)
            self._search.announcer.saved(self._finished)
            self.saved += sum(spec.start == 0 or spec.number not in self._started for spec, _ in self._finished)
            done = len(self._finished)
            if self._by_epochs:
                self._started.update(spec.number for spec, _ in self._finished)
                done = sum(spec.epochs - spec.start for spec, _ in self._finished)
            self._progress.update(done, self._leader)
            self._finished.clear()
        self._search.announcer.tell()

    def _on_target(self) -> bool:
        return self._target is not None and self._leader.reaches(self._target)

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
