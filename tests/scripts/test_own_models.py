"""The examples of models of one's own are tuned as they stand."""

from __future__ import annotations

import pytest

from tests.scripts.loading import load_script
from tests.tuning.fakes import same_trials


def test_the_network_of_a_student_is_tuned_and_judged() -> None:
    script = load_script("numpy_network")
    study = script.main()
    assert study.best.metrics["validation_accuracy"] > 0.9
    assert study.best.metrics["validation_accuracy"] > 2 * study.trials[0].metrics["validation_accuracy"]
    assert "good" in study.analysis().verdicts
    assert study.definition.model["name"] == "numpy_network.train"


def test_the_network_of_pytorch_goes_on_to_the_same_bits() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    script = load_script("pytorch_network")
    study = script.main(points=3, epochs=3)
    whole = script.main(points=3, epochs=3, method="grid")
    assert study.best.metrics["validation_accuracy"] > 0.8
    for trial, known in zip(study.trials, whole.trials, strict=True):
        assert trial.curves["validation_loss"].tolist() == known.curves["validation_loss"].tolist()[: trial.epochs]
    assert same_trials(study, script.main(points=3, epochs=3, n_jobs=1))


def test_a_network_and_a_forest_are_compared_on_the_same_folds() -> None:
    pytest.importorskip("sklearn", reason="needs the extra sklearn")
    forest, comparison = load_script("forest").main("iris", {"n_estimators": [3]}, {"learning_rate": [0.1]})
    assert forest.folds == comparison.count == 5
    assert comparison.names == ("network", "RandomForestClassifier")
