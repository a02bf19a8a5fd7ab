from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuning import sweep
from tuning.analysis import RULES, UNCLEAR, TrialCurves, common, reference_loss, verdicts
from tuning.analysis.rules import GOOD, OVERFIT, TOO_SMALL, UNDERFIT
from tuning.analysis.verdicts import verdict_of
from tuning.store import COMPLETED, DIVERGED, FAILED, PRUNED

ROOT = Path(__file__).parents[3]
EPOCHS = np.arange(1, 41)
NOISE = np.random.default_rng(0).normal(0, 1, (2, 40))


def course(
    train: Any, held: Any, train_score: Any = None, held_score: Any = None, state: str = COMPLETED
) -> TrialCurves:
    scores = [None if s is None else np.asarray(s, dtype=float) for s in (train_score, held_score)]
    return TrialCurves(state, np.asarray(train, dtype=float), np.asarray(held, dtype=float), *scores)


LEARNT = 0.1 + 2 * np.exp(-EPOCHS / 4)
RISEN = LEARNT + 0.1 + 0.02 * np.maximum(EPOCHS - 15, 0)
SLOW = 2.3 - 0.001 * EPOCHS


@pytest.mark.parametrize("noise", [0.0, 0.004])
@pytest.mark.parametrize(
    ("train", "held", "verdict"),
    [
        (LEARNT, LEARNT + 0.1, GOOD),
        (LEARNT, RISEN, OVERFIT),
        (1.5 + np.exp(-EPOCHS / 4), 1.6 + np.exp(-EPOCHS / 4), UNDERFIT),
        (2.3 * np.exp(-EPOCHS / 60), 2.4 * np.exp(-EPOCHS / 60), TOO_SMALL),
    ],
)
def test_each_verdict_follows_from_its_curves_with_and_without_noise(
    train: Any, held: Any, verdict: str, noise: float
) -> None:
    found = verdict_of(course(train + noise * NOISE[0], held + noise * NOISE[1]), reference=0.2)
    assert found.name == verdict
    assert found.evidence


def test_overfitting_starts_at_the_lowest_validation_loss_and_shows_its_numbers() -> None:
    found = verdict_of(course(LEARNT, RISEN))
    assert found.epoch == int(RISEN.argmin()) + 1
    assert f"in epoch {found.epoch}" in found.evidence
    assert found.numbers["end"] > 1.1 * found.numbers["minimum"]


def test_scores_that_part_are_overfitting_for_accuracy_and_r2_and_a_negative_r2_is_not() -> None:
    gap = np.where(EPOCHS > 10, 0.4, 0.0)
    found = verdict_of(course(LEARNT, LEARNT + 0.1, 0.5 + gap, np.full(40, 0.5)))
    assert (found.name, found.epoch) == (OVERFIT, 11)
    assert verdict_of(course(LEARNT, LEARNT + 0.1, np.full(40, -3.0), np.full(40, -9.0))).name == GOOD


def test_one_odd_epoch_decides_nothing() -> None:
    for place in (0, 10, 38):
        spike = LEARNT + 0.1
        spike[place] *= 3
        assert verdict_of(course(LEARNT, spike)).name == GOOD
    dip = LEARNT + 0.1
    dip[20] /= 2  # taken for the minimum, it would make all that follows a rise
    assert verdict_of(course(LEARNT, dip)).name == GOOD


def test_a_bouncing_validation_loss_is_not_overfitting() -> None:
    assert verdict_of(course(LEARNT, LEARNT + 0.2 + 0.05 * NOISE[0])).name == GOOD
    # Training loss rises as well: the rate is too high, which is another thing than fitting too much.
    assert verdict_of(course(RISEN, RISEN + 0.1)).name != OVERFIT


def test_a_loss_that_does_not_move_at_all_and_one_that_crawls_are_too_small_a_rate() -> None:
    assert verdict_of(course(np.full(40, 2.3), np.full(40, 2.3))).name == TOO_SMALL
    assert verdict_of(course(SLOW, SLOW + 0.1)).name == TOO_SMALL


def test_underfit_needs_a_reference() -> None:
    plateau = 1.5 + np.exp(-EPOCHS / 4)
    assert verdict_of(course(plateau, plateau)).name == GOOD
    assert verdict_of(course(plateau, plateau), float("nan")).name == GOOD


def test_against_a_perfect_reference_a_perfect_fit_is_good_and_a_poor_one_says_so_without_dividing() -> None:
    assert verdict_of(course(np.maximum(0, 1 - EPOCHS / 9), np.maximum(0, 1 - EPOCHS / 9)), 0.0).name == GOOD
    plateau = 1.5 + np.exp(-EPOCHS / 4)
    found = verdict_of(course(plateau, plateau), 0.0)
    assert found.name == UNDERFIT
    assert found.evidence == "training loss came to 1.5, and not to the best validation loss of the study, 0"


def test_states_and_unusable_curves_have_their_own_verdicts() -> None:
    assert verdict_of(course([], [], state=FAILED)._replace(error="ValueError: x")).evidence == "ValueError: x"
    assert "step 7" in verdict_of(course([], [], state=DIVERGED)._replace(diverged_step=7)).evidence
    assert verdict_of(course([1, 2], [1, 2])).name == UNCLEAR
    assert verdict_of(TrialCurves(COMPLETED, None, None, None, None)).name == UNCLEAR
    assert verdict_of(course([1, 1, 1, 1, np.inf], np.ones(5))).name == DIVERGED
    assert verdict_of(course(LEARNT, LEARNT + 0.1, state=PRUNED)).name == GOOD
    assert verdict_of(course(np.linspace(1, 0, 9), np.r_[1, np.zeros(5), 1, 1, 1])).name == OVERFIT


def test_verdicts_of_many_are_those_of_each() -> None:
    courses = [
        course(LEARNT, RISEN),
        course(SLOW, SLOW),
        course([1], [1]),
        course(LEARNT[:9], LEARNT[:9]),
        course([], []),
    ]
    assert list(verdicts(courses, 0.2)) == [verdict_of(c, 0.2) for c in courses]


def test_the_verdict_on_a_setting_is_the_commonest_and_the_worse_of_two() -> None:
    assert common([GOOD, GOOD]) == GOOD
    assert common([GOOD, OVERFIT, GOOD]) == "good 2/3"
    assert common([GOOD, DIVERGED]) == "1 of 2 completed, 1 diverged"
    assert common([DIVERGED, DIVERGED]) == DIVERGED


def test_every_verdict_stands_in_the_rules() -> None:
    for name in (GOOD, OVERFIT, UNDERFIT, TOO_SMALL, DIVERGED, FAILED, UNCLEAR):
        assert f"\n  {name} " in RULES


ENTRY = """TABLE = (
    Rule("lucky", 8, "its last loss is low", by_curves=(
        lambda c: Found(c.L[:, -1] < 0.2, lambda i: f"{c.L[i, -1]:.2f}"),
    )),
"""
LUCKY = """
import sys
from tuning import sweep
from tuning.cli.main import main
path = sys.argv[1] + "/a.db"
study = sweep("iris", {"learning_rate": [1e-5, 0.5]}, epochs=60, storage=path, progress=False)
first, second = study.verdicts()
assert first.name == "too small a rate" and str(second) == f"lucky: {study.best.metrics['train_loss']:.2f}", second
assert study.analysis().verdicts["lucky"] == 1
main(["show", path, "--rules"])
"""


def test_a_new_rule_is_one_entry_in_one_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tuning", tmp_path / "tuning")
    file = tmp_path / "tuning" / "analysis" / "rules.py"
    file.write_text(file.read_text().replace("TABLE = (\n", ENTRY))
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", LUCKY, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "\n  lucky             its last loss is low\n" in done.stdout
    assert "Verdicts on trials: 1 too small a rate, 1 lucky" in done.stdout


@pytest.mark.parametrize(
    ("data", "settings", "epochs", "expected"),
    [
        ("digits", {"learning_rate": [1e-5, 0.1], "hidden_units": 32}, 20, {1e-5: TOO_SMALL, 0.1: GOOD}),
        ("digits", {"learning_rate": [0.1], "hidden_units": [2, 64]}, 40, {2: UNDERFIT, 64: GOOD}),
        ("diabetes", {"learning_rate": [1e-5, 0.03]}, 30, {1e-5: TOO_SMALL, 0.03: GOOD}),
        ("diabetes", {"hidden_units": [(256, 256)], "learning_rate": [0.03], "batch_size": 16}, 200, {0.03: OVERFIT}),
        ("spirals", {"learning_rate": [1e-5, 100.0], "hidden_units": 32}, 40, {1e-5: TOO_SMALL, 100.0: DIVERGED}),
    ],
)
def test_verdicts_on_real_trainings(data: str, settings: Any, epochs: int, expected: dict[float, str]) -> None:
    study = sweep(data, settings, epochs=epochs, progress=False)
    key = next(name for name, values in settings.items() if isinstance(values, list) and values[0] in expected)
    found = {trial.params[key]: verdict.name for trial, verdict in zip(study.trials, study.verdicts(), strict=True)}
    assert found == expected


def test_a_huge_network_on_few_examples_overfits_and_the_fast_count_agrees_with_the_verdicts() -> None:
    from nn import load_dataset

    rows = np.random.default_rng(0).permutation(442)[:80]
    few = load_dataset("diabetes").subset(rows)
    study = sweep(few, {"hidden_units": [256], "learning_rate": [1e-4, 0.03]}, epochs=150, repeats=2, progress=False)
    found = [verdict.name for verdict in study.verdicts()]
    assert found[2:] == [OVERFIT] * 2
    assert study.analysis().verdicts == {name: found.count(name) for name in study.analysis().verdicts}
    assert reference_loss(study.summaries()) == min(s.metrics["validation_loss"] for s in study.summaries())
