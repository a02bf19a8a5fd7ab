"""Coarse to fine: train, evaluate, adjust, repeat."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.tuning.methods.test_samplers import proposals
from tuning import sweep
from tuning.methods import Proposal, Score
from tuning.methods.refine import Refine
from tuning.space import Space


def peak(**centre: float) -> Any:
    """A score that is best at a point, in decades for the learning rate."""

    def score(proposal: Proposal) -> Score:
        total = 0.0
        for name, best in centre.items():
            value = float(proposal.setting[name])  # type: ignore[arg-type]
            total += (math.log10(value / best) if name == "learning_rate" else value - best) ** 2
        return Score(-total, 0.0)

    return score


def best(sampler: Refine, space: Space, score: Any) -> tuple[dict[str, Any], int]:
    found = proposals(sampler, space, 2000, score)
    usable = [p for p in found if score(p).usable]
    return dict(max(usable, key=score).setting), len(found)


def test_the_best_is_found_to_a_hundredth_of_a_decade_with_few_settings() -> None:
    space = Space({"learning_rate": "1e-4:1:log"})
    setting, count = best(Refine(points=5, n_rounds=20), space, peak(learning_rate=0.037))
    assert abs(math.log10(setting["learning_rate"] / 0.037)) < 0.01
    assert count < 30


def test_several_numbers_are_refined_together() -> None:
    space = Space({"learning_rate": "1e-4:1:log", "momentum": "0:0.9", "hidden_units": "4:100:int"})
    score = peak(learning_rate=0.037, momentum=0.31, hidden_units=57)
    setting, count = best(Refine(points=3, n_rounds=25), space, score)
    assert abs(math.log10(setting["learning_rate"] / 0.037)) < 0.05
    assert abs(setting["momentum"] - 0.31) < 0.05
    assert setting["hidden_units"] == 57
    assert count < 400


def test_every_round_is_around_the_best_so_far() -> None:
    space, score = Space({"learning_rate": "1e-4:1:log"}), peak(learning_rate=0.037)
    rounds = Refine(points=5).rounds(space, 9)
    asked = list(rounds.send(None))  # type: ignore[arg-type]
    seen = list(asked)
    for _ in range(4):
        top = max(seen, key=score).setting["learning_rate"]
        asked = list(rounds.send([score(proposal) for proposal in asked]))
        assert len(asked) == 2
        low, high = sorted(float(p.setting["learning_rate"]) for p in asked)  # type: ignore[arg-type]
        assert low < float(top) < high  # type: ignore[arg-type]
        assert math.log10(float(top) / low) == pytest.approx(math.log10(high / float(top)))  # type: ignore[arg-type]
        seen += asked


def test_a_range_is_left_only_where_that_is_allowed() -> None:
    space, score = Space({"learning_rate": "1e-5:1e-3:log", "momentum": "0:0.5"}), peak(learning_rate=0.2, momentum=0.9)
    inside, _ = best(Refine(), space, score)
    assert inside == {"learning_rate": 1e-3, "momentum": 0.5}
    partly, _ = best(Refine(widen=("learning_rate",), n_rounds=30), space, score)
    assert abs(math.log10(partly["learning_rate"] / 0.2)) < 0.05
    assert partly["momentum"] == 0.5
    outside, _ = best(Refine(widen=True, n_rounds=30), space, score)
    assert abs(outside["momentum"] - 0.9) < 0.02


def test_a_range_that_is_far_off_is_left_in_growing_steps() -> None:
    setting, count = best(
        Refine(points=3, n_rounds=9, widen=True), Space({"learning_rate": "1e-12:1e-11:log"}), peak(learning_rate=0.2)
    )
    assert abs(math.log10(setting["learning_rate"] / 0.2)) < 1.0
    assert count < 25


def test_what_can_never_be_is_not_passed() -> None:
    space = Space({"momentum": "0:0.5", "dropout": "0.1:0.5", "hidden_units": "4:8:int", "batch_size": "4:8:int"})
    score = peak(momentum=3, dropout=-3, hidden_units=-9, batch_size=99)
    found = proposals(Refine(points=2, widen=True, n_rounds=12), space, 9999, score)
    assert max(float(p.setting["momentum"]) for p in found) < 1  # type: ignore[arg-type]
    assert min(float(p.setting["dropout"]) for p in found) == 0.0  # type: ignore[arg-type]
    assert min(p.setting["hidden_units"] for p in found) == 1  # type: ignore[type-var]
    assert max(p.setting["batch_size"] for p in found) == 8  # type: ignore[type-var]


def test_where_all_diverged_it_goes_down() -> None:
    def score(proposal: Proposal) -> Score:
        value = float(proposal.setting["learning_rate"])  # type: ignore[arg-type]
        return Score(-abs(math.log10(value / 0.2)) if value < 1 else math.nan, 0.0)

    setting, _ = best(Refine(widen=True, n_rounds=20), Space({"learning_rate": "10:1000:log"}), score)
    assert abs(math.log10(setting["learning_rate"] / 0.2)) < 0.05
    assert len(proposals(Refine(), Space({"learning_rate": "10:1000:log"}), 99, score)) < 20


def test_names_keep_their_best_and_numbers_in_a_list_are_stepped_along() -> None:
    parts = {"sgd": {"momentum": "0:0.9"}, "adam": {"beta1": "0.5:0.99"}}
    space = Space({"optimizer": parts, "batch_size": [64, 16, 32]})

    def score(proposal: Proposal) -> Score:
        s: Any = proposal.setting
        return Score((s["optimizer"] == "adam") - abs(s.get("beta1", 0.0) - 0.8) - abs(s["batch_size"] - 32) / 99, 0.0)

    found = proposals(Refine(points=3), space, 999, score)
    assert all(p.setting["optimizer"] == "adam" for p in found[18:])
    assert len(found) > 24
    assert all(("beta1" in p.setting) == (p.setting["optimizer"] == "adam") for p in found)
    top: Any = max(found, key=score).setting
    assert (top["batch_size"], abs(top["beta1"] - 0.8) < 0.02) == (32, True)


def test_it_ends_by_itself_and_after_so_many_rounds() -> None:
    space, score = Space({"learning_rate": "1e-4:1:log"}), peak(learning_rate=0.037)
    assert len(proposals(Refine(points=5, n_rounds=1), space, 999, score)) == 5
    assert len(proposals(Refine(points=5, n_rounds=2), space, 999, score)) == 7
    assert len(proposals(Refine(points=5, n_rounds=10_000), space, 999, score)) < 40


def test_a_name_to_widen_must_be_a_range() -> None:
    with pytest.raises(ValueError, match="widen must be one of learning_rate, but got 'learning_rte'; did you mean"):
        sweep("iris", {"learning_rate": "0.1:1", "batch_size": [8, 16]}, "refine", widen="learning_rte")


def test_from_a_wrong_range_refine_finds_what_a_fine_grid_finds_with_a_quarter_of_its_trials() -> None:
    """A learning rate on the digits, searched from a range in which even the best is far too small."""
    options: dict[str, Any] = {"epochs": 10, "repeats": 3}
    units = [16, 32, 64]
    grid = sweep("digits", {"learning_rate": "1e-4:10:log", "hidden_units": units}, points=41, **options)
    wrong = {"learning_rate": "1e-5:1e-3:log", "hidden_units": units}
    refined = sweep("digits", wrong, "refine", points=3, rounds=8, widen=["learning_rate"], **options)
    assert len(refined.trials) <= len(grid.trials) / 4

    def scores(study: Any) -> Any:
        return np.array([t.metrics["validation_accuracy"] for t in study.trials if t.params == study.best.params])

    gap = scores(grid) - scores(refined)  # paired: repeats share their seeds
    interval = 4.303 * gap.std(ddof=1) / math.sqrt(3)  # Student's t at 95 % with 2 degrees of freedom
    assert gap.mean() <= max(interval, 0.0)
    assert gap.mean() <= 0.005
