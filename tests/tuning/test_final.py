"""The networks that a study ends in: its best run, the one that is tested, and the one that is used."""

from __future__ import annotations

import json
import os
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Dataset, load_dataset, train
from tests.tuning.test_early_stopping import SPACE, STOPPED
from tuning import Study, sweep
from tuning.export import closing_lines
from tuning.final import Member, fitted
from tuning.objective import Objective

SEEN = "the test part was seen before on"


@pytest.mark.parametrize(
    "options",
    [
        {"points": 3},
        {"points": 3, "repeats": 2, "folds": 3},
        {"method": "halving", "points": 5},
        {"points": 3, "curves": "layers", "metric": "validation_f1_macro"},
    ],
)
def test_the_best_run_has_the_metrics_and_the_curves_of_its_trial(options: dict[str, Any]) -> None:
    study = sweep("iris", SPACE, **STOPPED, **options)
    run = study.best_run()
    trial = next(t for t in study.trials if (t.params, t.repeat, t.fold or 0) == (study.best.params, 0, 0))
    assert {name: run.metrics[name] for name in trial.metrics} == trial.metrics
    np.testing.assert_array_equal(run.history.validation_loss, trial.curves["validation_loss"])


def test_what_is_tested_is_trained_on_everything_else_for_the_median_of_the_best_epochs() -> None:
    study = sweep("iris", SPACE, points=3, **STOPPED)
    epochs = statistics.median([t.best_epoch or 0 for t in study.trials if t.params == study.best.params])
    assert [member.epochs for member in study.members()] == [epochs]
    assert epochs < 60
    data, params = load_dataset("iris"), study.best.params
    rows = data.split().rows
    everything = np.sort(np.concatenate([rows["train"], rows["validation"]]))
    part = data.subset(everything)
    scaling = part.fit_scaling()
    run = train(
        MLP((4, 16, 3)), part.scaled_by(scaling), SGD(float(str(params["learning_rate"]))), epochs=int(epochs),
        batch_size=params["batch_size"], seed=study.trials[0].seed, class_weight="balanced",
    )  # fmt: skip
    expected = run.evaluate(data.subset(rows["test"]).scaled_by(scaling))
    assert study.test() == {f"test_{name}": value for name, value in expected.items()}
    assert study.tested is not None
    assert (study.tested["rows"], study.tested["networks"], study.tested["epochs"]) == (120, 1, [epochs])


def test_without_early_stopping_all_epochs_are_trained_and_schedules_end_where_they_did() -> None:
    space = {"learning_rate": [0.1], "hidden_units": 8, "schedule": "cosine"}
    study = sweep("iris", space, epochs=12)
    assert study.members() == [Member(study.best.params, 12)]
    final = study.final_run()
    data = load_dataset("iris")
    assert final.epochs == 12
    assert data.fit_scaling().equals(final.scaling)
    stopped = sweep("iris", space, epochs=12, early_stopping=5)
    split = Objective.prepare("iris").splits[0].joined("train", "validation")
    short = fitted(Objective.prepare("iris"), stopped.definition, [Member(stopped.best.params, 6)], split)
    whole = fitted(Objective.prepare("iris"), stopped.definition, [Member(stopped.best.params, 12)], split)
    np.testing.assert_array_equal(short.history.train_loss, whole.history.train_loss[:6])


def test_the_test_part_is_scored_once_and_every_later_look_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    study = sweep("iris", SPACE, points=2, epochs=3, storage=path)
    before = list(study.trials)
    scores = study.test()
    assert set(scores) == {"test_loss", "test_accuracy"}
    assert all(a.exactly_equals(b) for a, b in zip(before, study.trials, strict=True))
    assert "scored once at" in closing_lines(study)[0]
    assert "seen" not in closing_lines(study)[0]
    study.close()
    again = Study.open(path)
    again._objective = None
    for looks, words in ((2, "seen again once"), (3, "seen again 2 times")):
        with pytest.warns(UserWarning, match=SEEN):
            assert again.test("there is no such file, and none is read") == scores
        assert again.tested is not None
        assert again.tested["looks"] == looks
        assert words in closing_lines(again)[0]
        assert json.loads(again.to_json())["test"]["looks"] == looks


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_written_still_shows_its_test_scores(tmp_path: Path) -> None:
    study = sweep("iris", SPACE, points=2, epochs=3, storage=tmp_path / "a.db")
    scores = study.test()
    study.close()
    (tmp_path / "a.db").chmod(0o444)
    tmp_path.chmod(0o555)
    with pytest.warns(UserWarning, match=SEEN):
        assert Study.open(tmp_path / "a.db").test() == scores
    tmp_path.chmod(0o755)


def test_an_old_test_result_is_kept_and_shown(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "old_files" / "grid.db", tmp_path / "a.db")
    study = Study.open(tmp_path / "a.db")
    old = {"params": {"learning_rate": 0.1}, "time": "2024-05-06T07:08:09+00:00", "scores": {"test_loss": 0.5}}
    with study._access.writing() as file:
        file.put("test", old)
    assert closing_lines(study) == [
        "Test part, scored once at 2024-05-06T07:08:09+00:00: test loss 0.5000, with learning_rate 0.1."
    ]
    with pytest.warns(UserWarning, match=f"{SEEN} 2024-05-06"):
        assert study.test() == {"test_loss": 0.5}


def test_only_the_test_score_depends_on_the_test_rows() -> None:
    data = load_dataset("iris")
    test_rows = data.split().rows["test"]
    spoilt = data.X.copy()
    spoilt[test_rows] = 1e6
    study, other = (sweep(Dataset(X, data.y), SPACE, points=2, epochs=3) for X in (data.X, spoilt))
    assert study.best_run().metrics == other.best_run().metrics
    assert study.test() != other.test()
    parts = [Objective.prepare(Dataset(X, data.y)).splits[0].joined("train", "validation") for X in (data.X, spoilt)]
    np.testing.assert_array_equal(parts[0].train.X, parts[1].train.X)


def test_a_study_without_a_test_part_says_so() -> None:
    study = sweep(load_dataset("iris").split(test=0), SPACE, points=2, epochs=2)
    with pytest.raises(ValueError, match="'iris' must have a test part to be tested on, but it has none"):
        study.test()
    assert study.final_run().epochs == 2


def test_networks_that_all_diverge_are_no_model() -> None:
    study = sweep("iris", {"learning_rate": [0.1], "hidden_units": 4}, epochs=2)
    objective = Objective.prepare("iris")
    with pytest.raises(ValueError, match=r"^the best setting must train on 90 rows .* search smaller values"):
        fitted(objective, study.definition, [Member({"learning_rate": 1e9, "hidden_units": 4}, 2)], objective.splits[0])
