"""The parts of a row of the benchmark, and the timing of contestants: in turn, round after round."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

OURS = "nn-tuning"
LIBRARIES = ("numpy", "scipy", "numba", "scikit-learn", "torch", "jax")


class NotMeasured(Exception):
    """A figure can't be given; the message says why."""


@dataclass(frozen=True)
class Effort:
    """The amount of work that goes into the figures.

    rounds: of short measurements; slow_rounds: of those that take seconds; least: the seconds that a short measurement
    lasts at least; seeds: for the scores that must be equal, slow_seeds: where a score takes seconds; trials: in the
    sweeps that are about bookkeeping; size: a factor on the work whose growth is shown; compiled: with torch.compile.
    """

    rounds: int = 11
    slow_rounds: int = 5
    least: float = 0.3
    seeds: int = 8
    slow_seeds: int = 3
    epochs: int = 20
    trials: int = 10_000
    size: float = 1.0
    compiled: bool = True


FULL = Effort()
QUICK = Effort(rounds=3, slow_rounds=1, least=0.05, seeds=4, slow_seeds=1, size=0.1, compiled=False)


@dataclass(frozen=True)
class Goal:
    """One figure of a row: its bound, which it must reach from above (`at_least`) or from below."""

    key: str
    what: str
    bound: float
    unit: str
    at_least: bool = False

    def reached(self, value: float) -> bool:
        """Return whether a figure is on the right side of the bound; NaN is not."""
        return value >= self.bound if self.at_least else value <= self.bound


def times(key: str, what: str, bound: float) -> Goal:
    """Return the goal to be at least so many times as fast as another."""
    return Goal(key, what, bound, "x", at_least=True)


@dataclass
class Outcome:
    """The result of measuring a row.

    figures: by the key of a goal; missing: why a figure is not there; seconds: every round, by contestant; scores: by
    contestant, of every seed; points: a table of its own; took: seconds for all of it.
    """

    figures: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    took: float = 0.0


@dataclass(frozen=True)
class Row:
    """A row of the benchmark's table."""

    name: str
    title: str
    goals: tuple[Goal, ...]
    measure: Callable[[Effort], Outcome]


def row(name: str, title: str, *goals: Goal) -> Callable[[Callable[[Effort], Outcome]], Row]:
    """Make a function the `measure` of a row, which takes its place."""
    return lambda measure: Row(name, title, goals, measure)


def measure(row: Row, effort: Effort) -> Outcome:
    """Measure a row; what stands in the way becomes part of the outcome."""
    start = time.perf_counter()
    with one_blas_thread():
        try:
            outcome = row.measure(effort)
        except Exception as error:  # a row that fails must not take the others with it
            why = str(error) if isinstance(error, NotMeasured) else f"{type(error).__name__}: {error}"
            outcome = Outcome(missing=dict.fromkeys((goal.key for goal in row.goals), " ".join(why.split())))
    for goal in row.goals:
        if goal.key not in outcome.figures:
            outcome.missing.setdefault(goal.key, "it was not measured")
    outcome.took = time.perf_counter() - start
    return outcome


# -- time ------------------------------------------------------------------------------------------------------


def in_turn(contestants: Mapping[str, Callable[[], object]], rounds: int, least: float = 0.0) -> dict[str, list[float]]:
    """Return the seconds of one call of each contestant, a list over the rounds.

    Each round calls everyone in turn, until `least` seconds have passed; every second goes backwards, so that a machine
    that slows down or is shared harms all alike. All must have been called before: nobody's compilation is timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        names = list(contestants)
        for name in names if number % 2 == 0 else reversed(names):
            gc.collect()
            calls, start = 0, time.perf_counter()
            while calls == 0 or time.perf_counter() - start < least:
                contestants[name]()
                calls += 1
            seconds[name].append((time.perf_counter() - start) / calls)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], slower: str, faster: str = OURS) -> float:
    """Return the median over the rounds of how many times as long `slower` took."""
    return statistics.median(a / b for a, b in zip(seconds[slower], seconds[faster], strict=True))


def one_blas_thread() -> contextlib.AbstractContextManager[Any]:
    """Limit BLAS to one thread, where threadpoolctl is there to do so, until the context ends."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    return threadpool_limits(1)


# -- the same work ---------------------------------------------------------------------------------------------


def unequal(ours: Sequence[float], theirs: Sequence[float], resolution: float) -> str | None:
    """Say how the final scores of two contestants differ, or return None where the seeds explain it.

    Means may be apart by two standard deviations from seed to seed, or by `resolution`, the weight of one example.
    Where only one seed was affordable for `theirs`, the deviation is that of `ours`.
    """
    apart = abs(statistics.mean(ours) - statistics.mean(theirs))
    spread = math.sqrt(statistics.mean(statistics.variance(scores) for scores in (ours, theirs) if len(scores) > 1))
    if apart <= max(2 * spread, resolution):  # NaN is not
        return None
    return (
        f"final scores must be equal within the spread of seeds, {spread:.4f}, but are "
        f"{statistics.mean(ours):.4f} and {statistics.mean(theirs):.4f}"
    )


# -- where it was measured -------------------------------------------------------------------------------------


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def surroundings() -> dict[str, Any]:
    """Return machine, versions, load and date in plain values."""
    versions = {}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
