"""The rows of `scripts/benchmarks/benchmark.py`, and their measuring instruments."""

from __future__ import annotations

from rows import growth, overheads, searches, trainings
from rows.measuring import Row

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        searches.sweep_row,
        trainings.training_row,
        trainings.regression_and_adam_row,
        trainings.peak_row,
        searches.threads_row,
        searches.halving_row,
        overheads.coordination_row,
        overheads.start_row,
        overheads.memory_row,
        growth.growth_row,
    )
}
