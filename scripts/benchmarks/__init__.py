"""The rows of `scripts/benchmark.py`, and what they are measured with."""

from __future__ import annotations

from benchmarks.growth import GROWTH
from benchmarks.measuring import Row
from benchmarks.overheads import COORDINATION, MEMORY, START
from benchmarks.searches import HALVING, SWEEP, THREADS
from benchmarks.trainings import PEAK, REGRESSION_AND_ADAM, TRAINING

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        SWEEP,
        TRAINING,
        REGRESSION_AND_ADAM,
        PEAK,
        THREADS,
        HALVING,
        COORDINATION,
        START,
        MEMORY,
        GROWTH,
    )
}
