"""A metric is one entry in a table: what reads it elsewhere finds it there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, EarlyStopping, load, load_dataset, metrics, train
from tuning import Study, sweep
from tuning.cli.main import main

SPLIT = load_dataset("iris").split(seed=0)
MODEL = MLP((4, 8, 3))
NAME = "validation_mistakes"


@pytest.fixture(autouse=True)
def _mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of examples that are predicted wrongly."""
    metric = metrics.Metric(
        "mistakes", lambda y, guess: float(np.sum(y != guess)), False,
        shown="wrong guesses", tasks=("classification",), encoded=True,
    )  # fmt: skip
    monkeypatch.setitem(metrics.METRICS, "mistakes", metric)


def fit(**options: Any) -> Any:
    return train(MODEL, SPLIT, SGD(0.1), **{"batch_size": 16, "epochs": 6, **options})


def test_training_follows_it_where_it_is_asked_for_and_changes_nothing_else(tmp_path: Path) -> None:
    plain, run = fit(), fit(metrics=["train_mistakes", NAME])
    assert plain.history.validation_mistakes is None
    assert plain.theta.tobytes() == run.theta.tobytes()
    mistakes = len(SPLIT.validation) * (1 - run.history.validation_accuracy)  # type: ignore[arg-type]
    np.testing.assert_allclose(run.history.validation_mistakes, mistakes, atol=1e-9)
    assert run.evaluate(SPLIT.train)["mistakes"] == run.history.train_mistakes[-1] == run.metrics["train_mistakes"]
    run.save(tmp_path / "run.npz")
    assert load(tmp_path / "run.npz").history.validation_mistakes.tolist() == run.history.validation_mistakes.tolist()
    more = fit(metrics=["train_mistakes", NAME], resume=fit(metrics=["train_mistakes", NAME], epochs=2).state)
    assert more.history.train_mistakes.tobytes() == run.history.train_mistakes.tobytes()
    with pytest.raises(ValueError, match=r"resume needs the metrics .*'train_mistakes', 'validation_mistakes'"):
        fit(resume=run.state, epochs=9)


def test_early_stopping_and_a_target_ask_for_it_and_know_its_direction() -> None:
    stopped = fit(early_stopping=EarlyStopping(3, metric=NAME), epochs=100)
    course = stopped.history.validation_mistakes
    assert stopped.reason == "early stopping"
    assert stopped.state.best_epoch == int(course.argmin())
    reached = fit(target={NAME: 8}, epochs=100)
    assert (reached.history.validation_mistakes > 8).tolist() == [True] * (reached.epochs - 1) + [False]


def test_a_study_ranks_by_it_shows_and_draws_it_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from matplotlib import pyplot as plt

    from tuning import plots

    path = str(tmp_path / "a.db")
    arguments = ["sweep", "iris", "--learning-rate", "0.001,0.1", "--epochs", "9", "--metric", NAME, "--storage", path]
    assert main([*arguments, "--n-trials", "1", "--quiet"]) == 0
    study = Study.open(path).resume(n_trials=None, progress=False)
    found = [trial.metrics[NAME] for trial in study.trials]
    assert study.best.metrics[NAME] == min(found) < max(found)
    assert "test_mistakes" in study.test()
    assert f"mean_{NAME}" in study.to_csv()
    assert study.to_optuna(f"sqlite:///{tmp_path}/optuna.db").direction.name == "MINIMIZE"
    axes = plots.learning_curves(study)
    assert axes.get_ylabel() == "validation wrong guesses"
    plt.close(axes.figure)
    assert main(["show", path]) == 0
    assert "validation wrong guesses" in capsys.readouterr().out
    halved = sweep("iris", {"learning_rate": [0.001, 0.1]}, "halving", epochs=9, metric=NAME, n_jobs=1, progress=False)
    assert halved.best.params == study.best.params


def test_the_command_trains_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "iris", "--epochs", "2", "--metrics", NAME, "--test"]) == 0
    out = capsys.readouterr().out
    assert out.count("validation wrong guesses") == 3
    assert "test wrong guesses" in out
    assert main(["train", "iris", "--metrics", "validation_mistake"]) == 2
    assert "did you mean 'validation_mistakes'?" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["grid", "halving", "refine"])
def test_a_score_that_is_not_defined_never_wins_and_its_row_says_so(method: str) -> None:
    assert SPLIT.validation is not None
    one_class = SPLIT.validation.subset(np.flatnonzero(SPLIT.validation.targets == 0))
    space = {"learning_rate": [0.01, 0.1]}
    study = sweep(replace(SPLIT, validation=one_class), space, method, metric="auc", epochs=3, progress=False)
    assert {trial.state for trial in study.trials} <= {"completed", "pruned"}
    assert all(np.isnan(trial.metrics["validation_auc"]) for trial in study.trials)
    assert [summary.rank for summary in study.summaries()] == [None, None]
    with pytest.raises(ValueError, match="whose trials all completed with a validation_auc, but: 2 "):
        _ = study.best
    if method == "grid":
        assert str(study.table()).count("validation_auc undefined") == 2
