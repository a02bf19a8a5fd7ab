from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.analysis import Leader, summarise
from tuning.store import COMPLETED, STATES, Outcome, setting_text

values = st.one_of(st.floats(0, 1), st.sampled_from([math.nan, math.inf, -math.inf, 0.5]))
trials = st.lists(st.tuples(st.sampled_from([COMPLETED, COMPLETED, *STATES]), values), min_size=6, max_size=6)


def outcomes(given_trials: list[tuple[str, float]], metric: str) -> list[Outcome]:
    """Three settings with two repeats each."""
    places = product(range(3), range(2))
    return [
        Outcome(setting_text({"batch_size": 16 + setting}), state, {metric: value})
        for (setting, _), (state, value) in zip(places, given_trials, strict=True)
    ]


@given(trials, st.sampled_from(["validation_loss", "validation_accuracy"]), st.permutations(range(6)))
def test_the_leader_is_the_best_of_the_table_in_any_order_of_arrival(
    results: list[tuple[str, float]], metric: str, order: list[int]
) -> None:
    rows = outcomes(results, metric)
    leader = Leader(metric, 2)
    for i in order:
        leader.add(rows[i])
    best = summarise(rows, metric, 2)[0]
    assert leader.best == (best.metrics[metric] if best.rank == 1 else None)


@given(trials, st.sampled_from(["validation_loss", "validation_accuracy"]))
def test_only_completed_and_finite_settings_are_ranked(results: list[tuple[str, float]], metric: str) -> None:
    for summary in summarise(outcomes(results, metric), metric, 2):
        setting = int(summary.params["batch_size"]) - 16  # type: ignore[arg-type]
        mine = results[2 * setting : 2 * setting + 2]
        sound = all(state == COMPLETED and math.isfinite(value) for state, value in mine)
        assert (summary.rank is not None) == sound == (summary.state == COMPLETED)


def test_means_and_spreads_are_those_of_the_trials() -> None:
    best = summarise(
        outcomes([(COMPLETED, v) for v in (0.2, 0.6, 0.1, 0.1, 0.0, 0.0)], "validation_accuracy"),
        "validation_accuracy",
        2,
    )[0]
    assert best.metrics["validation_accuracy"] == pytest.approx(0.4)
    assert best.spreads["validation_accuracy"] == pytest.approx(math.sqrt(2 * 0.2**2))


def test_a_setting_with_a_trial_missing_is_not_ranked() -> None:
    rows = outcomes([(COMPLETED, v) for v in (0.2, 0.2, 0.9, 0.9, 0.0, 0.0)], "validation_accuracy")
    assert [s.state for s in summarise(rows[:3], "validation_accuracy", 2)] == [COMPLETED, "incomplete"]
