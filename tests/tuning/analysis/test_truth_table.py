"""Verdicts on cases whose truth is known by construction; scripts/checks/truth_table.py has more of them, and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nn import Dataset
from scripts.checks.constructed import blobs, waves
from scripts.checks.truth_table import Case, cases, shuffled, trained, unbalanced
from tuning import Study, sweep
from tuning.analysis import Reference, TrialCurves, verdict_of
from tuning.analysis.reference import Rates, _beyond_noise, _said
from tuning.analysis.rules import (
    FEW_EPOCHS,
    GOOD,
    GUESSING,
    OVERFIT,
    TABLE,
    TOO_LARGE,
    TOO_SMALL,
    UNCLEAR,
)  # fmt: skip
from tuning.objective import Objective
from tuning.store import COMPLETED, Trial

CASES = list(cases())
CERTAIN = ("majority class", "relu network whose units died", "eight logistic layers", "zeros", "diverging")
SEEDS = range(100, 102)
E = np.arange(1, 41)


def some() -> Iterator[Case]:
    for case in CASES:
        kind, _, where = case.name.partition(": ")
        if kind not in CERTAIN and (
            not kind.startswith(("rate", "too few")) or where.startswith(("spirals", "checks"))
        ):
            yield case


@pytest.mark.parametrize("case", [case for case in CASES if case.name.startswith(CERTAIN)], ids=lambda case: case.name)
def test_what_is_certain_is_always_seen(case: Case) -> None:
    assert {case.verdict(seed) for seed in SEEDS} <= {*case.right}


def test_verdicts_are_right_on_nearly_all_that_was_constructed() -> None:
    wrong = [(case.name, found) for case in some() if (found := case.verdict(SEEDS[0])) not in case.right]
    count = len(list(some()))
    assert len(wrong) <= 0.1 * count, wrong


def curves(train: object, held: object, train_score: object = None, held_score: object = None) -> TrialCurves:
    given = (None if values is None else np.asarray(values, float) for values in (train, held, train_score, held_score))
    return TrialCurves(COMPLETED, *given, setting='{"learning_rate":0.1}')  # type: ignore[misc]


FALLING = 2.3 * np.exp(-E / 60)
LEARNT = 0.1 + 2 * np.exp(-E / 4)


def said(**what: object) -> Reference:
    return Reference(rates={'{"learning_rate":0.1}': Rates(rate=0.1, **what)})  # type: ignore[arg-type]


def test_no_rate_is_too_small_where_the_higher_ones_did_worse_nor_too_large_where_the_lower_did() -> None:
    slow = curves(FALLING, FALLING)
    assert verdict_of(slow).name == verdict_of(slow, said(higher_better=True)).name == TOO_SMALL
    assert verdict_of(slow, said(higher_worse=True)).name == FEW_EPOCHS
    jumps = LEARNT + 0.5 * (E % 2)
    assert verdict_of(curves(jumps, LEARNT)).name == TOO_LARGE
    assert verdict_of(curves(jumps, LEARNT), said(lower_worse=True)).name == GOOD
    for best, name in ((0.02, TOO_LARGE), (0.5, TOO_SMALL)):
        found = verdict_of(curves(LEARNT, LEARNT), said(best=best, loss=0.3, best_loss=0.1))
        assert (found.name, found.advice) == (name, f"take learning_rate {best}")


def test_good_needs_to_beat_guessing_and_says_when_it_has_nothing_to_hold_it_against() -> None:
    guess = {"train_loss": 1.4, "validation_loss": 1.4, "validation_accuracy": 0.5}
    for held, n, name in ((0.9, 100, GOOD), (0.55, 100, GUESSING), (0.55, 1000, GOOD), (1.0, 3, UNCLEAR)):
        found = verdict_of(curves(LEARNT, LEARNT, np.full(40, held), np.full(40, held)), Reference(None, guess, n))
        assert found.name == name
        assert "no reference" not in str(found)
    assert "there is no reference" in verdict_of(curves(LEARNT, LEARNT)).evidence
    r2 = {"validation_r2": -0.01}
    for held, n, name in ((0.5, 50, GOOD), (-0.3, 50, GUESSING), (0.02, 50, GUESSING), (0.02, 1000, GOOD)):
        found = verdict_of(curves(LEARNT, LEARNT, np.full(40, held), np.full(40, held)), Reference(None, r2, n))
        assert (found.name, "mean of the targets" in found.evidence) == (name, name == GUESSING)


def test_the_best_constant_answer_is_scored_on_the_validation_part() -> None:
    objective = Objective.prepare(unbalanced(0))
    split = objective.splits[0]
    assert objective.guess["validation_accuracy"] == np.mean(split.validation.y == 0)  # type: ignore[union-attr]
    assert objective.guess["train_loss"] == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1), abs=0.01)
    regression = Objective.prepare(waves(100)).guess
    assert regression["validation_r2"] <= 0.0
    assert regression["train_r2"] == pytest.approx(0.0, abs=1e-12)
    labels = Dataset(np.eye(10), np.tile([[1, 0], [1, 1]], (5, 1)))
    assert {*Objective.prepare(labels).guess} == {"train_accuracy", "validation_accuracy"}
    assert 0.0 < Objective.prepare(unbalanced(0), folds=3).guess["validation_accuracy"] < 1.0


def test_a_study_remembers_the_best_constant_answer_and_an_older_file_says_that_it_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    study = sweep(shuffled(blobs(), 0), {"learning_rate": [0.1]}, storage=path, progress=False)
    assert Study.open(path).verdicts()[0].name == GUESSING
    with study._access.writing() as file:
        file.put("guess", None)
    older = Study.open(path)
    assert not older.reference().guess
    assert older.verdicts()[0].name != GUESSING
    regression = trained(waves(), {"learning_rate": [0.1]}, 0, 5)
    with regression._access.writing() as file:
        file.put("guess", None)
    assert regression.reference().guess == {"validation_r2": 0.0}


def test_rates_are_compared_in_pairs_with_everything_else_equal() -> None:
    space = {"learning_rate": [1e-3, 0.1, 10.0], "hidden_units": [4, 32]}
    study = trained(blobs(), space, 0, 10, repeats=3)
    rates = study.reference().rates
    assert len(rates) == 6
    for units in (4, 32):
        low, middle, high = (rates[f'{{"learning_rate":{r},"hidden_units":{units}}}'] for r in (0.001, 0.1, 10.0))
        assert (low.best, low.higher_better, low.higher_worse) == (0.1, True, False)
        assert np.isnan(middle.best)
        assert (middle.higher_worse, middle.lower_worse) == (True, True)
        assert not high.lower_worse
        assert middle.best_elsewhere == low.best_elsewhere != np.inf


def test_losses_near_zero_are_all_the_same_and_one_repeat_needs_a_wide_gap() -> None:
    study = trained(blobs(), {"learning_rate": [0.1, 0.14, 1e-4]}, 0, 10)
    near, other, far = study.reference().rates.values()
    assert np.isnan(near.best)
    assert np.isnan(other.best)
    assert far.best in (0.1, 0.14)


def test_every_verdict_ends_in_what_to_try_next() -> None:
    assert all(rule.advice and rule.text for rule in TABLE)
    found = verdict_of(curves(FALLING, FALLING))
    assert str(found) == f"{found.name}: {found.evidence}; {found.advice}"


def test_what_a_study_keeps_of_each_layer_is_judged_by() -> None:
    flat = {name: np.full(40, 1.4) for name in ("train_loss", "validation_loss")}
    norms = {f"layer_{i}_gradient_norm": np.full(40, norm) for i, norm in enumerate((1e-7, 1e-3, 1.0), 1)}
    dead = {"layer_1_dead": np.full(40, 0.2), "layer_2_dead": np.full(40, 0.95)}

    def judged(curves: dict[str, np.ndarray]) -> str:
        trial = Trial(COMPLETED, {}, curves, 40, 0.1, number=0, params={}, repeat=0, fold=None, seed=0)
        return str(verdict_of(trial))

    assert judged(flat | norms).startswith("vanishing gradient: the gradient of layer 1 is 1e-07")
    assert judged(flat | norms | dead).startswith("dead units: 95% of the units of hidden layer 2")
    learnt = {"train_loss": LEARNT, "validation_loss": LEARNT}
    assert judged(learnt | norms | {"layer_1_dead": np.full(40, 0.5)}).startswith("good")


def test_a_rate_with_five_times_the_loss_is_too_large_though_its_accuracy_is_tied_and_the_repeats_disagree() -> None:
    rates, same = np.array([0.1, 1.0]), np.zeros((2, 5))
    losses = np.array([[0.02] * 5, [0.01, 0.01, 0.01, 0.22, 0.25]])  # the mean is five times as large, the median half
    said = _said(rates, losses, same, 0.7)[1]
    assert (said.best, said.best_loss) == (0.1, pytest.approx(0.02))
    found = verdict_of(curves(LEARNT, LEARNT), Reference(rates={'{"learning_rate":0.1}': said}))
    assert (found.name, found.advice) == (TOO_LARGE, "take learning_rate 0.1")
    tied = losses.copy()
    tied[1, 3:] = 0.04  # twice as large in two repeats of five
    assert np.isnan(_said(rates, tied, same, 0.7)[1].best)
    better = np.array([[-0.90] * 5, [-0.95] * 5]) + 1e-3 * np.arange(5) * [[1], [-1]]
    assert np.isnan(_said(rates, losses, better, 0.7)[1].best)  # the metric that decides clearly says the opposite


def test_one_repeat_that_went_wrong_does_not_hide_that_nine_are_worse() -> None:
    worse = np.array([[0.3] * 9 + [-2.0], [0.3, -0.3] * 5])
    assert _beyond_noise(worse, 0.05, 0.7).tolist() == [True, False]


def test_a_loss_that_falls_by_little_but_steadily_would_go_on() -> None:
    steady = 1.0 - 0.004 * E  # 4 % in the last quarter, and as much in the three before
    assert verdict_of(curves(LEARNT, steady), said(higher_worse=True)).name == FEW_EPOCHS
    settles = 0.5 + 0.5 * np.exp(-E / 8)
    assert verdict_of(curves(LEARNT, settles), said(higher_worse=True)).name == GOOD


def test_it_does_not_overfit_yet_where_the_validation_loss_makes_a_new_low_and_a_better_rate_comes_first() -> None:
    gap = np.full(40, 0.9), np.full(40, 0.5)
    falls = 1 + np.exp(-E / 12)
    assert verdict_of(curves(LEARNT, 0.5 + LEARNT, *gap)).name == OVERFIT
    assert verdict_of(curves(LEARNT, falls, *gap)).name != OVERFIT
    rises = LEARNT + 0.02 * np.maximum(E - 15, 0)
    assert verdict_of(curves(LEARNT, rises)).name == OVERFIT
    assert verdict_of(curves(LEARNT, rises), said(best=0.4, loss=0.3, best_loss=0.1)).name == TOO_SMALL
