"""The rows of `scripts/benchmarks/benchmark.py`, and their measuring instruments."""

from __future__ import annotations

from rows.growth import growth_row
from rows.measuring import Row
from rows.overheads import coordination_row, memory_row, start_row
from rows.searches import halving_row, sweep_row, threads_row
from rows.trainings import peak_row, regression_and_adam_row, training_row

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        sweep_row,
        training_row,
        regression_and_adam_row,
        peak_row,
        threads_row,
        halving_row,
        coordination_row,
        start_row,
        memory_row,
        growth_row,
    )
}
