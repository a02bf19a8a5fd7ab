"""Successive halving and Hyperband: who is promoted, that nobody starts anew, and what it saves."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn.training import train
from tests.tuning.fakes import a_study, same_trials
from tuning import Study, sweep
from tuning.methods import Score
from tuning.methods.halving import Halving
from tuning.objective import Objective
from tuning.run import Limits
from tuning.store import COMPLETED, DIVERGED, FAILED, TrialResult, TrialSpec
from tuning.study import StudyInterrupted

HALVING: dict[str, Any] = {
    "method": "halving",
    "method_options": {"points": 9, "eta": 3, "min_epochs": 1, "n_settings": None},
    "epochs": 9,
    "space": {"learning_rate": "0.001:1:log"},
}
DIGITS: dict[str, Any] = {
    "learning_rate": "1e-3:1:log",
    "batch_size": [16, 32, 64],
    "hidden_units": [16, 32, 64],
}


def rate(spec: TrialSpec) -> float:
    return float(spec.params["learning_rate"])  # type: ignore[arg-type]


def followed(spec: TrialSpec, curve: Any) -> TrialResult:
    """A completed trial with this curve."""
    name = "validation_accuracy"
    return TrialResult(COMPLETED, {name: float(curve[-1])}, {name: curve}, spec.epochs)


def rising(spec: TrialSpec) -> TrialResult:
    """Better with the learning rate and with every epoch."""
    return followed(spec, np.array([math.log10(rate(spec)) + 0.01 * epoch for epoch in range(spec.epochs)]))


def test_the_best_third_goes_on_and_the_others_are_pruned() -> None:
    trials = a_study(rising, **HALVING).run(n_jobs=2).trials
    assert [trial.epochs for trial in trials] == [1, 1, 1, 1, 1, 1, 3, 3, 9]
    assert [trial.state for trial in trials] == ["pruned"] * 8 + ["completed"]


def test_a_setting_goes_on_by_its_mean_over_repeats_and_folds() -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        value = {0.001: (0.9, 0.0), 0.01: (0.6, 0.5), 0.1: (0.1, 0.8), 1.0: (0.2, 0.1)}[rate(spec)][spec.repeat]
        return followed(spec, np.full(spec.epochs, value + (spec.fold or 0) * 0.01))

    options = {**HALVING["method_options"], "points": 4, "eta": 4}
    study = a_study(objective, **{**HALVING, "method_options": options, "repeats": 2, "folds": 2}).run(n_jobs=2)
    assert {rate(t): t.epochs for t in study.trials} == {0.001: 3, 0.01: 9, 0.1: 3, 1.0: 3}  # type: ignore[arg-type]
    assert study.best.params == {"learning_rate": 0.01}


def test_what_diverged_or_is_no_number_is_never_promoted_and_never_wins() -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        if rate(spec) == 1.0:
            return TrialResult(DIVERGED, {"validation_accuracy": 99.0}, {"validation_accuracy": np.empty(0)}, 0)
        if rate(spec) > 0.4:
            return followed(spec, np.full(spec.epochs, math.nan))
        if rate(spec) > 0.1 and spec.epochs > 1:
            return TrialResult(DIVERGED, {"validation_accuracy": 9.0}, {"validation_accuracy": np.array([9.0])}, 1)
        return rising(spec)

    study = a_study(objective, **HALVING).run(n_jobs=2)
    assert [(t.state, t.epochs) for t in study.trials][-4:] == [
        ("completed", 9), ("diverged", 1), ("pruned", 1), ("diverged", 0),
    ]  # fmt: skip
    assert study.best.params == {"learning_rate": study.trials[5].params["learning_rate"]}


def test_a_study_in_which_all_diverge_ends() -> None:
    study = a_study(lambda spec: TrialResult(DIVERGED), **HALVING).run()
    assert (study.stopped, len(study.trials)) == ("finished", 9)


def test_ranking_is_within_a_rung_ties_go_to_the_lower_loss_and_then_to_the_first() -> None:
    field = [(place, {"batch_size": place}) for place in range(6)]
    pairs = [(0.5, -2.0), (0.7, -1.0), (0.7, -0.5), (0.7, -1.0), (math.nan, 0.0), (0.6, 0.0)]
    scores = [Score(*pair) for pair in pairs]
    assert [place for place, _ in Halving(eta=3).promoted(field, scores)] == [1, 2]
    assert [place for place, _ in Halving(eta=2).promoted(field, scores)] == [1, 2, 3]
    assert Halving(eta=3).promoted(field[:3], [Score(math.nan, 0.0)] * 3) == []


SCHEDULED: dict[str, Any] = {
    "learning_rate": "0.01:0.5:log",
    "optimizer": {"sgd": {"momentum": [0.0, 0.9]}, "adam": {}},
    "schedule": [None, "cosine", "one_cycle"],
    "hidden_units": 6,
    "dropout": 0.1,
}


@pytest.mark.parametrize("method", ["halving", "hyperband"])
def test_a_curve_is_the_first_part_of_the_curve_of_the_trial_alone(method: str) -> None:
    study = sweep("iris", SCHEDULED, method, points=2 if method == "halving" else None, epochs=9, repeats=2, folds=2)
    objective = Objective.prepare("iris", 2)
    stopped = {1: 0, 3: 0, 9: 0}
    for trial in list(study.trials)[::3]:
        alone = objective(TrialSpec(0, trial.params, "", trial.repeat, trial.fold, 9, trial.seed))
        for name, curve in trial.curves.items():
            assert np.array_equal(curve, alone.curves[name][: len(curve)], equal_nan=True)
        if trial.state == COMPLETED:
            assert trial.metrics == alone.metrics
        if trial.state != DIVERGED:
            stopped[trial.epochs] += 1
    assert all(stopped.values())


def test_a_promoted_trial_continues_and_never_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int, bool]] = []
    done_before: list[int] = []

    def noted(*arguments: Any, **options: Any) -> Any:
        done_before.append(0 if options["resume"] is None else len(options["resume"].history))
        return train(*arguments, **options)

    monkeypatch.setattr("nn.training.train", noted)

    class Watched(Objective):
        def __call__(self, spec: TrialSpec) -> TrialResult:
            given.append((spec.start, spec.epochs, spec.checkpoint is not None))
            return super().__call__(spec)

    space = {"learning_rate": "0.01:1:log", "hidden_units": "4"}
    objective = Watched(Objective.prepare("iris").splits)
    metrics = list(objective.metrics)
    a_study(objective, **{**HALVING, "space": space, "metrics": metrics}).run(n_jobs=1)
    assert sorted(given) == sorted([(0, 1, False)] * 9 + [(1, 3, True)] * 3 + [(3, 9, True)])
    assert sorted(done_before) == [0] * 9 + [1] * 3 + [3]


def states(path: Path) -> tuple[int, int]:
    """Checkpoints, and trials that are paused."""
    connection = sqlite3.connect(path)
    counts = [connection.execute(sql).fetchone()[0] for sql in (
        "SELECT COUNT(*) FROM checkpoints", "SELECT COUNT(*) FROM trials WHERE state = 'paused'",
    )]  # fmt: skip
    connection.close()
    return counts[0], counts[1]


def test_states_are_kept_while_they_are_needed_and_no_longer(tmp_path: Path) -> None:
    wide = {**DIGITS, "hidden_units": [64]}  # so that states are what takes room in the file
    sweep("iris", wide, "halving", points=9, epochs=9, total_epochs=27, storage=tmp_path / "a.db").close()
    assert states(tmp_path / "a.db") == (9, 9)  # the first rung is done, and who goes on is decided
    part = Study.open(tmp_path / "a.db")
    assert part.stopped is None
    size = (tmp_path / "a.db").stat().st_size
    assert part.resume(total_epochs=None).stopped == "finished"
    assert part.new_trials == 9
    part.close()
    assert states(tmp_path / "a.db") == (0, 0)
    assert (tmp_path / "a.db").stat().st_size < size / 2


def test_an_interruption_at_any_trial_changes_nothing(tmp_path: Path) -> None:
    whole = a_study(rising, **HALVING, repeats=2).run(n_jobs=1)
    runs = 2 * (9 + 3 + 1)
    for stop_at in (0, 5, 17, 18, 20, 24, 25):
        path = tmp_path / f"{stop_at}.db"
        calls = iter(range(runs))

        def interrupting(spec: TrialSpec, calls: Any = calls, stop_at: int = stop_at) -> TrialResult:
            if next(calls) == stop_at:
                raise KeyboardInterrupt
            return rising(spec)

        with pytest.raises(StudyInterrupted):
            a_study(interrupting, path, **HALVING, repeats=2).run(n_jobs=1)
        again = a_study(rising, path, **HALVING, repeats=2).run(n_jobs=2)
        assert same_trials(whole, again)
        assert whole.work == again.work == {"epochs": 2 * (6 + 2 * 3 + 9), "full_epochs": 2 * 81}


def test_a_trial_that_fails_later_keeps_the_epochs_that_it_had_and_the_decision_that_was_made(tmp_path: Path) -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        if spec.start == 1 and rate(spec) == 1.0:
            return TrialResult(FAILED, error="MemoryError: too little")
        return rising(spec)

    study = a_study(objective, tmp_path / "a.db", **HALVING).run()
    last = study.trials[-1]
    assert (last.state, last.epochs, last.error, len(last.curves["validation_accuracy"])) == (
        "failed", 1, "MemoryError: too little", 1,
    )  # fmt: skip
    before = list(study.trials)
    study.close()
    again = a_study(objective, tmp_path / "a.db", **HALVING).run()
    assert again.new_trials == 0
    assert all(a.exactly_equals(b) for a, b in zip(before, again.trials, strict=True))


def test_a_total_of_epochs_ends_a_study_at_the_same_trial_for_any_number_of_threads() -> None:
    limits = Limits(total_epochs=13)
    one, two = (a_study(rising, None, limits, **HALVING).run(n_jobs=n) for n in (1, 2))
    assert same_trials(one, two)
    assert (one.stopped, sum(trial.epochs for trial in one.trials)) == ("total_epochs", 13)
    assert {trial.state for trial in one.trials} == {"paused", "pruned"}
    one.limits = replace(limits, total_epochs=None)
    assert same_trials(one.run(), a_study(rising, **HALVING).run())


def test_too_few_epochs_for_two_rungs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"epochs must be at least eta \* min_epochs = 12"):
        sweep("iris", {"learning_rate": "0.1:1"}, "halving", eta=4, min_epochs=3, epochs=11)


def test_the_number_that_starts_is_part_of_the_definition(tmp_path: Path) -> None:
    space = {"learning_rate": "0.01:1:log", "hidden_units": 4}
    sweep("iris", space, "halving", n_trials=9, epochs=9, storage=tmp_path / "a.db").close()
    with pytest.raises(ValueError, match="n_settings 9 there and 12 here"):
        sweep("iris", space, "halving", n_trials=12, epochs=9, storage=tmp_path / "a.db")
    with pytest.raises(ValueError, match="n_trials must stay what it was with method halving"):
        Study.open(tmp_path / "a.db").resume(n_trials=12)


def test_halving_finds_what_the_grid_finds_with_two_fifths_of_its_epochs() -> None:
    """81 settings of the digits, each with 3 seeds, on whose differences the comparison is based."""
    options: dict[str, Any] = {"points": 9, "epochs": 9, "repeats": 3}
    halving = sweep("digits", DIGITS, "halving", eta=3, **options)
    grid = sweep("digits", DIGITS, "grid", **options)
    assert len(grid.trials) == 3 * 81
    spent, full = (sum(trial.epochs for trial in study.trials) for study in (halving, grid))
    assert spent <= 0.4 * full
    assert halving.work is not None
    assert halving.work["epochs"] == spent

    def scores(params: Any) -> Any:
        return np.array([t.metrics["validation_accuracy"] for t in grid.trials if t.params == params])

    gap = scores(grid.best.params) - scores(halving.best.params)
    interval = 4.303 * gap.std(ddof=1) / math.sqrt(3)  # Student's t at 95 % with 2 degrees of freedom
    assert halving.best.params == grid.best.params or gap.mean() <= interval
    assert gap.mean() <= 0.005
