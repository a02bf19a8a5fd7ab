"""Measure the cost of a trial beside its training: 100,000 trials that do nothing.

    python scripts/benchmarks/noop_trials.py
    python scripts/benchmarks/noop_trials.py --trials 10000

They go through the whole machinery: grid, seeds, threads, results with four curves of 20 epochs, durable study file,
progress. Prints the time for each trial and the most memory that the process took; exit status 1 above the limits.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path

import numpy as np

from tuning import Study, sweep, sweeps
from tuning.objective import Objective
from tuning.store import COMPLETED, TrialResult, TrialSpec

MICROSECONDS = 100.0
MEGABYTES = 300.0


class Noop(Objective):
    """Returns one and the same result for every trial."""

    def __call__(self, spec: TrialSpec) -> TrialResult:
        return self.result

    @cached_property
    def result(self) -> TrialResult:
        """A result like any other: four metrics with a curve each."""
        curves = {name: np.linspace(1.0, 0.5, 20) for name in self.metrics}
        return TrialResult(COMPLETED, dict.fromkeys(self.metrics, 0.5), curves, 20)


def run(trials: int, path: Path, n_jobs: int | None = None) -> Study:
    """Return the study of so many trials that do nothing."""
    space = {"learning_rate": "1e-4:1:log", "batch_size": [16, 32]}
    objective, sweeps.Objective = sweeps.Objective, Noop  # type: ignore[misc]
    try:
        return sweep("iris", space, points=trials // 2, storage=path, n_jobs=n_jobs, progress=False)
    finally:
        sweeps.Objective = objective  # type: ignore[misc]


def main() -> int:
    """Run them, and print what they cost."""
    parser = argparse.ArgumentParser(description="Time trials that do nothing, study file included.")
    parser.add_argument("--trials", type=int, default=100_000, help="an even number (100,000)")
    parser.add_argument("--n-jobs", type=int, help="threads (all cores)")
    parser.add_argument("--folder", help="where the study file is put for the time (the system's temporary folder)")
    values = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=values.folder) as folder:
        start = time.perf_counter()
        study = run(values.trials, Path(folder) / "noop.db", values.n_jobs)
        each = (time.perf_counter() - start) / values.trials * 1e6
        done = len(study.trials)
        size = (Path(folder) / "noop.db").stat().st_size / values.trials
        study.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"{done:,} trials: {each:.1f} µs and {size:,.0f} bytes each, at most {peak:.0f} MB of memory")
    return 0 if done == values.trials and each <= MICROSECONDS and peak < MEGABYTES else 1


if __name__ == "__main__":
    raise SystemExit(main())
