"""The rows of `scripts/benchmarks/benchmark.py`, and their measuring instruments."""

from __future__ import annotations

from rows.growth import GROWTH
from rows.measuring import Row
from rows.overheads import COORDINATION, MEMORY, START
from rows.searches import HALVING, SWEEP, THREADS
from rows.trainings import PEAK, REGRESSION_AND_ADAM, TRAINING

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
