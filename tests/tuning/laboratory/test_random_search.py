"""Grid against random search where one hyper-parameter is idle, on other data, budgets and seeds than the script's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nn import load_dataset
from tuning.laboratory import random_search as experiment
from tuning.laboratory.random_search import METHODS, Measured


@pytest.fixture(scope="module")
def measured() -> Measured:
    return experiment.measure(seed=17, data="wine", points=(2, 3), comparisons=12, large=40, epochs=4)


def made(excess: tuple[float, float, float, float], shares: tuple[float, float] = (0.9, 0.01)) -> Measured:
    """A result of 20 comparisons at two budgets with these mean excess losses of the four methods."""
    spread = np.linspace(0.9, 1.1, 20)[:, None, None]
    best = 0.3 + spread * np.array(excess) * np.ones((20, 2, 4))
    best[np.arange(20), np.arange(20) % 2, 2] = 0.3  # the lowest loss of each comparison
    trials = np.ones((4, 3))
    named = {"learning_rate": shares[0], "l2": shares[1]}
    return Measured(np.array([4, 9]), best, np.ones((20, 2, 4)), (trials, trials), named, trials)


def test_a_grid_tries_the_root_of_as_many_rates_as_random_search(measured: Measured) -> None:
    for b, budget in enumerate((4, 9)):
        assert measured.budgets[b] == budget
        assert (measured.tried[:, b] == [np.sqrt(budget), budget, budget, budget]).all()
    grid, random = measured.trials
    assert len(grid) == len(random) == 4
    assert len(np.unique(grid[:, 0])) == len(np.unique(grid[:, 1])) == 2


def test_random_search_finds_lower_losses_and_the_idle_penalty_is_why(measured: Measured) -> None:
    grid, random, grid_alone, _ = measured.excess.mean(axis=(0, 1))
    assert random < grid
    assert grid_alone < grid
    assert measured.shares["learning_rate"] > 0.5
    assert measured.shares["l2"] < 0.1


def test_the_best_is_the_lowest_loss_of_a_sweep_with_the_seed_of_its_comparison(measured: Measured) -> None:
    split = load_dataset("wine").split(seed=17)
    shifts = 10.0 ** np.random.default_rng(17).uniform(-1, 1, 12)
    for m, method in enumerate(METHODS):
        found = experiment.search(split, method, 9, float(shifts[5]), 4, seed=17 * 12 + 5)
        assert len(found.trials) == 9
        assert measured.best[5, 1, m] == found.best.metrics["validation_loss"]


@pytest.mark.parametrize("method", METHODS)
def test_the_range_of_rates_is_moved_and_that_of_penalties_is_not(method: str) -> None:
    split = load_dataset("iris").split(seed=2)
    found = experiment.search(split, method, 16, 100.0, 1, seed=2)
    low, high = (100 * end for end in experiment.LEARNING_RATES)
    rates = np.array([trial.params["learning_rate"] for trial in found.trials], float)
    assert (rates >= low * (1 - 1e-9)).all()
    assert (rates <= high * (1 + 1e-9)).all()
    penalties = {trial.params.get("l2") for trial in found.trials}
    assert penalties == {None} if "alone" in method else all(1e-9 < float(p or 0) < 1e-4 for p in penalties)


def test_trials_that_diverged_have_no_loss() -> None:
    split = load_dataset("iris").split(seed=2)
    found = experiment.search(split, "random", 9, 1e5, 3, seed=2)
    trials = experiment.trials_of(found)
    diverged = [trial.state == "diverged" for trial in found.trials]
    assert any(diverged)
    assert np.isnan(trials[:, 2]).tolist() == diverged
    assert experiment.lowest_loss(found, guessing=7.0) == np.nanmin(trials[:, 2], initial=7.0)
    assert trials[:, 0].tolist() == [trial.params["learning_rate"] for trial in found.trials]


def test_a_search_all_of_whose_trials_diverged_counts_as_guessing() -> None:
    split = load_dataset("iris").split(seed=2)
    found = experiment.search(split, "grid, rate alone", 4, 1e9, 3, seed=2)
    assert {trial.state for trial in found.trials} == {"diverged"}
    assert experiment.lowest_loss(found, guessing=1.1) == 1.1


def test_excess_is_above_the_lowest_loss_of_the_comparison(measured: Measured) -> None:
    assert (measured.excess >= 0).all()
    assert (measured.excess.min(axis=(1, 2)) == 0).all()


def test_claims_hold_where_random_search_wins_and_fail_where_it_does_not() -> None:
    def holds(result: Measured) -> list[bool]:
        return [claim.holds for claim in experiment.claims(result)]

    good = made((0.4, 0.1, 0.02, 0.05))
    assert holds(good) == [True] * 8
    assert holds(made((0.1, 0.4, 0.02, 0.05)))[2:6] == [False] * 4
    assert holds(made((0.4, 0.1, 1.5, 0.05)))[6:] == [False, False]
    assert holds(made((0.4, 0.1, 0.02, 0.05), shares=(0.3, 0.4)))[:2] == [False, False]
    nan = replace(good, best=np.full_like(good.best, np.nan))
    assert not any(holds(nan)[2:])
