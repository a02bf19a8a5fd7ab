from __future__ import annotations

import math

import numpy as np
import pytest

from tests.scripts.loading import load_script

coverage = load_script("interval_coverage")
STUDIES = {"accuracy": 1000, "loss and R2": 1000, "best rate": 5, "optimism": 40}


@pytest.mark.parametrize("kind", STUDIES)
def test_intervals_hold_the_truth_as_often_as_they_say(kind: str) -> None:
    n = STUDIES[kind]
    rows = list(coverage.KINDS[kind](n, np.random.default_rng(1)))
    for row in rows:  # one in 10,000 falls below by chance, if its true coverage is the least that is allowed
        assert row.covered >= row.floor - 3.7 * math.sqrt(row.floor * (1 - row.floor) / n), row
    told = n * sum(1 - row.unsure for row in rows)
    margin = 3.7 * math.sqrt(0.05 * 0.95 / told)
    assert 0.93 - margin <= coverage.average(rows) <= 0.97 + margin


def test_ties_raise_few_false_alarms_and_leave_nothing_at_chance() -> None:
    lines = list(coverage.tie_lines(8, np.random.default_rng(2)))
    figures = [[float(text.rstrip("%")) for text in line.split()[1:]] for line in lines]
    alarms, chance = np.array([(row[2], row[4]) for row in figures if row[1] >= 3]).T
    assert alarms.mean() < 5
    assert chance.mean() < 2
