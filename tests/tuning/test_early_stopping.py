"""Early stopping and class weights in a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Dataset, load_dataset, train
from tests.tuning.fakes import a_study, noisy, same_trials
from tuning import Study, sweep
from tuning.analysis.curves import TrialCurves
from tuning.analysis.reference import Reference
from tuning.analysis.verdicts import verdict_of
from tuning.calls import calls_of
from tuning.store import COMPLETED, PRUNED, StudyFileError, TrialResult, TrialSpec, best_epoch

SPACE: dict[str, Any] = {"learning_rate": "0.1:1:log", "batch_size": [8, 32], "hidden_units": 16}
STOPPED: dict[str, Any] = {"epochs": 60, "early_stopping": 3, "class_weight": "balanced"}
METHODS: dict[str, dict[str, Any]] = {
    "grid": {"points": 3},
    "random": {"n_trials": 6},
    "sobol": {"n_trials": 6},
    "refine": {"points": 2, "rounds": 2},
    "halving": {"points": 5},
    "hyperband": {},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_trial_has_the_run_of_train_whatever_method_found_it(method: str) -> None:
    study = sweep("iris", SPACE, method, folds=2, n_jobs=1, **STOPPED, **METHODS[method])
    assert same_trials(study, sweep("iris", SPACE, method, folds=2, n_jobs=2, **STOPPED, **METHODS[method]))
    splits = load_dataset("iris").folds(2, seed=0, test=0.2)
    done = [trial for trial in study.trials if trial.state == COMPLETED]
    assert any(trial.epochs < 60 for trial in done)
    for trial in done[:12]:
        assert trial.fold is not None
        run = train(
            MLP((4, 16, 3)), splits[trial.fold], SGD(float(str(trial.params["learning_rate"]))), seed=trial.seed,
            batch_size=trial.params["batch_size"], **STOPPED,
        )  # fmt: skip
        assert (trial.metrics, trial.epochs, trial.best_epoch) == (run.metrics, run.epochs, run.state.best_epoch + 1)
        np.testing.assert_array_equal(trial.curves["validation_loss"], run.history.validation_loss)


def test_halving_compares_the_best_epochs_so_far() -> None:
    study = sweep("iris", SPACE, "halving", points=5, **STOPPED)
    first = [trial for trial in study.trials if trial.state == PRUNED]
    assert {trial.metrics["validation_loss"] for trial in first} <= {
        float(trial.curves["validation_loss"].min()) for trial in first
    }
    assert study.work is None  # nobody knows how far the pruned trials would have gone
    assert study.analysis().epochs == study.analysis().full_epochs


def test_an_interrupted_study_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = sweep("iris", SPACE, "halving", points=5, **STOPPED)
    cut = sweep("iris", SPACE, "halving", points=5, storage=tmp_path / "a.db", total_epochs=100, **STOPPED)
    assert len(cut.trials) > 0
    assert cut.stopped == "total_epochs"
    cut.close()
    assert same_trials(whole, Study.open(tmp_path / "a.db").resume(total_epochs=None))


def test_the_definition_has_what_was_given_and_nothing_else(tmp_path: Path) -> None:
    space = {"learning_rate": [0.1], "hidden_units": 4}
    plain = sweep("iris", space, epochs=6, storage=tmp_path / "plain.db")
    assert not {"early_stopping", "class_weight"} & plain.definition.to_json().keys()
    sweep("iris", space, epochs=6, early_stopping=2, storage=tmp_path / "stopped.db").close()
    study = Study.open(tmp_path / "stopped.db")
    assert study.definition.early_stopping == 2
    assert "--early-stopping 2" in (calls_of(study).command or "")
    with pytest.raises(StudyFileError, match="early_stopping 2 there and none here"):
        sweep("iris", space, epochs=6, storage=tmp_path / "stopped.db")
    with pytest.raises(StudyFileError, match="class_weight none there and balanced here"):
        sweep("iris", space, epochs=6, class_weight="balanced", storage=tmp_path / "plain.db")


def test_class_weights_reach_the_training() -> None:
    rng = np.random.default_rng(0)
    data = Dataset(rng.normal(size=(200, 3)), rng.random(200) < 0.2)
    space = {"learning_rate": [0.1], "hidden_units": 4}
    weighted = sweep(data, space, epochs=3, class_weight="balanced").trials[0]
    run = train(MLP((3, 4, 2)), data.split(), SGD(0.1), epochs=3, seed=weighted.seed, class_weight="balanced")
    assert weighted.metrics == run.metrics
    assert weighted.metrics != sweep(data, space, epochs=3).trials[0].metrics


@pytest.mark.parametrize(
    ("data", "arguments", "law"),
    [
        ("iris", {"early_stopping": 0}, "early_stopping must be an integer of at least 1, but got 0"),
        ("iris", {"class_weight": "balance"}, "did you mean 'balanced'"),
        ("diabetes", {"class_weight": "balanced"}, "class_weight must be None for regression, but got 'balanced'"),
    ],
)
def test_what_does_not_fit_is_refused(data: str, arguments: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        sweep(data, {"learning_rate": [0.1]}, epochs=2, **arguments)


def test_what_follows_the_best_epoch_is_not_held_against_a_trial() -> None:
    fall, rise = np.linspace(1.0, 0.2, 20), np.linspace(0.22, 0.5, 10)
    both = np.concatenate([fall, rise]), np.full(30, 0.95)
    trial = TrialCurves(COMPLETED, np.linspace(1.0, 0.1, 30), both[0], both[1], both[1])
    guess = {"train_loss": 1.0, "validation_loss": 1.0, "validation_accuracy": 0.5}
    assert best_epoch({"validation_loss": both[0]}) == 20
    assert verdict_of(trial, Reference(None, guess, 100)).name == "overfit"
    assert verdict_of(trial, Reference(None, guess, 100, keeps_best=True)).name == "good"
    unstopped = trial.up_to_best()._replace(stopped=False)  # its last epoch is its best: it would have gone on
    assert verdict_of(unstopped, Reference(None, guess, 100, keeps_best=True)).name == "too small a rate"


def test_the_verdicts_on_settings_and_on_trials_agree() -> None:
    study = sweep("iris", SPACE, points=4, repeats=2, **STOPPED)
    names = [verdict.name for verdict in study.verdicts()]
    assert study.analysis().verdicts == {name: names.count(name) for name in study.analysis().verdicts}
    assert sum(study.analysis().verdicts.values()) == len(names)


def test_a_trial_that_stopped_at_the_end_of_a_rung_has_ended_once_it_is_promoted() -> None:
    def stopping(spec: TrialSpec) -> TrialResult:
        return noisy(spec._replace(epochs=3))

    options = {"points": 5, "eta": 3, "min_epochs": 1, "n_settings": None}
    study = a_study(stopping, method="halving", method_options=options, epochs=9, early_stopping=1).run()
    assert {(trial.state, trial.epochs) for trial in study.trials} == {(PRUNED, 3), (COMPLETED, 3)}
    assert study.best.trials == 1
