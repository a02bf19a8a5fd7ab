"""A study that a function of one's own decides: in its identity, in its file, and wherever a metric is looked up."""

from __future__ import annotations

import json
import math
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import Metric, load_dataset, metrics
from tuning import Study, plots, report, sweep
from tuning.calls import calls_of
from tuning.cli.main import main
from tuning.store import StudyFileError

SPACE = {"learning_rate": [0.001, 0.01, 0.1]}
OPTIONS: dict[str, Any] = {"epochs": 4, "progress": False}


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test makes known is not known in the next."""
    known = dict(metrics.METRICS)
    yield
    forget(known)


def forget(known: dict[str, Metric] | None = None) -> None:
    """Know the metrics of the table alone, as in another session."""
    known = known or {name: metric for name, metric in metrics.METRICS.items() if not metric.own}
    metrics.METRICS.clear()
    metrics.METRICS.update(known)


def mistakes_cost(truth: Any, guess: Any) -> float:
    """What wrong answers cost."""
    return float(3 * np.sum(truth != guess))


def other_cost(truth: Any, guess: Any) -> float:
    return -mistakes_cost(truth, guess)


COST = Metric("cost", mistakes_cost, bounds=(0, math.inf))


def test_it_decides_as_any_other_and_everything_that_looks_metrics_up_knows_it(tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("optuna")
    path = tmp_path / "a.db"
    study = sweep("iris", SPACE, metric=COST, storage=path, **OPTIONS)
    costs = [trial.metrics["validation_cost"] for trial in study.trials]
    assert study.best.metrics["validation_cost"] == min(costs) < max(costs)
    rights = [trial.metrics["validation_accuracy"] for trial in study.trials]
    np.testing.assert_allclose(costs, 90 * (1 - np.array(rights)), atol=1e-9)
    forget()
    study = Study.open(path)
    assert study.best.metrics["validation_cost"] == min(costs)
    assert study.to_optuna(f"sqlite:///{tmp_path}/optuna.db").direction.name == "MINIMIZE"
    axes = plots.learning_curves(study)
    assert axes.get_ylabel() == "validation cost"
    plots.close(axes)
    assert "validation_cost" in str(study.table())
    page = report.write(study, tmp_path / "a.html").read_text()
    assert "validation cost" in page
    assert ">Confusion matrix</h2>" in page  # which needs no metric
    again = calls_of(study)
    assert again.command is None
    made: dict[str, Any] = {"function": mistakes_cost}
    exec(again.python, made)
    assert made["study"].new_trials == 0  # it is the same study
    assert main(["show", str(path)]) == 0
    assert "validation cost" in capsys.readouterr().out


def test_a_study_opened_elsewhere_needs_the_function_again_and_goes_on_to_the_same_bits(
    tmp_path: Path, capsys: Any
) -> None:
    whole = sweep("iris", SPACE, metric=COST, **OPTIONS)
    path = tmp_path / "a.db"
    sweep("iris", SPACE, metric=COST, storage=path, n_trials=1, **OPTIONS)
    forget()
    study = Study.open(path)
    for use in (study.resume, study.test, study.best_run):
        with pytest.raises(ValueError, match=r"own_metric.mistakes_cost decides must .* pass metric=cost to resume"):
            use()
    assert main(["resume", str(path), "--quiet"]) == 2
    assert capsys.readouterr().err.endswith("given that function again, in Python, since no file holds one\n")
    assert study.final_run().epochs == 4  # a model to be used is the same without it
    study.resume(metric=COST, n_trials=None, progress=False)
    assert all(map(lambda a, b: a.exactly_equals(b), study.trials, whole.trials))
    assert study.test() == whole.test()
    assert study.best_run().metrics == whole.best_run().metrics
    with pytest.raises(ValueError, match="metric must be None for a study that validation_accuracy decides"):
        sweep("iris", SPACE, **OPTIONS).resume(metric=COST)


def test_a_changed_source_is_refused_unless_allowed_and_then_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first = Metric("my_score", lambda truth, guess: float(np.mean(truth == guess)))
    changed = Metric("my_score", lambda truth, guess: 1.0)
    sweep("iris", SPACE, metric=first, storage=path, n_trials=1, **OPTIONS)
    before = path.read_bytes()
    refusal = r"with the same code, but the source of my_score is \w{12}… there and \w{12}… here; .*allow_changed=True"
    with pytest.raises(StudyFileError, match=refusal):
        Study.open(path).resume(metric=changed, n_trials=None, progress=False)
    with pytest.raises(StudyFileError, match=refusal):
        sweep("iris", SPACE, metric=changed, storage=path, **OPTIONS)
    with pytest.raises(StudyFileError, match=r"must have the same definition .*function .*mistakes_cost here"):
        Study.open(path).resume(metric=Metric("my_score", mistakes_cost))
    assert path.read_bytes() == before
    study = Study.open(path).resume(metric=changed, allow_changed=True, n_trials=2, progress=False)
    assert [trial.metrics["validation_my_score"] == 1 for trial in study.trials] == [False, True]
    sweep("iris", SPACE, metric=first, storage=path, allow_changed=True, **OPTIONS)
    with sqlite3.connect(path) as connection:
        (changes,) = connection.execute("SELECT value FROM study WHERE key = 'changes'").fetchone()
    sources = [change["own_metric"]["source"] for change in json.loads(changes)]
    assert sources == [first.to_json()["source"], changed.to_json()["source"]]


def test_nothing_that_a_file_names_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "dangerous.py").write_text("raise SystemExit('it ran')\n")
    path = tmp_path / "a.db"
    sweep("iris", SPACE, metric=COST, storage=path, n_trials=1, **OPTIONS)
    with sqlite3.connect(path) as connection:
        (text,) = connection.execute("SELECT value FROM study WHERE key = 'definition'").fetchone()
        text = text.replace(f"{__name__}.mistakes_cost", "dangerous.function")
        connection.execute("UPDATE study SET value = ? WHERE key = 'definition'", (text,))
    with pytest.raises(ValueError, match=r"dangerous\.function decides must"):
        Study.open(path).resume()
    assert "dangerous" not in sys.modules


def test_one_name_is_one_metric_in_a_session(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    sweep("iris", SPACE, metric=COST, storage=path, n_trials=1, **OPTIONS)
    forget()
    sweep("iris", SPACE, metric=Metric("cost", other_cost, larger_is_better=True), n_trials=1, **OPTIONS)
    with pytest.raises(StudyFileError, match=r"can't be opened in this session: .*cost is known with another"):
        Study.open(path)


def test_a_study_keeps_its_function_where_the_name_gets_another() -> None:
    study = sweep("iris", SPACE, metric=COST, n_trials=1, **OPTIONS)
    metrics.own_metric(Metric("cost", lambda truth, guess: 1.0, bounds=(0, math.inf)))
    study.resume(n_trials=None, progress=False)
    metrics.own_metric(COST)
    whole = sweep("iris", SPACE, metric=COST, **OPTIONS)
    assert all(map(lambda a, b: a.exactly_equals(b), study.trials, whole.trials))


def test_an_error_in_it_is_a_failed_trial_and_a_value_that_is_none_never_wins() -> None:
    def some_score(truth: Any, guess: Any) -> float:
        right = float(np.mean(truth == guess))
        if right < 0.6:
            raise ArithmeticError("too bad\nto tell")
        return math.nan if right > 0.9 else right

    study = sweep("iris", {"learning_rate": [0.001, 0.1, 0.3]}, metric=some_score, n_jobs=1, **OPTIONS)
    (failed,) = (trial for trial in study.trials if trial.state == "failed")
    says = "the metric some_score must give a number, but raised ArithmeticError: too bad to tell"
    assert failed.error == f"ValueError: {says}"
    assert [summary.rank for summary in study.summaries()].count(None) >= 1
    assert not math.isnan(study.best.metrics["validation_some_score"])


def test_processes_give_the_same_and_what_cant_go_there_stays_in_threads() -> None:
    here = sweep("iris", SPACE, metric=COST, **OPTIONS)
    local = Metric("local_score", lambda truth, guess: float(np.mean(truth == guess)))
    with ProcessPoolExecutor(1) as executor:
        there = sweep("iris", SPACE, metric=COST, executor=executor, **OPTIONS)
        with pytest.warns(UserWarning, match=r"run in threads of this process: .*local_score can't be pickled"):
            stayed = sweep("iris", SPACE, metric=local, executor=executor, **OPTIONS)
    assert all(map(lambda a, b: a.exactly_equals(b), here.trials, there.trials))
    rights = [trial.metrics["validation_accuracy"] for trial in stayed.trials]
    assert [trial.metrics["validation_local_score"] for trial in stayed.trials] == rights


def squared_error(truth: Any, guess: Any) -> float:
    return float(np.mean((truth - guess) ** 2))


@pytest.mark.parametrize("metric", [Metric("squared_error", squared_error), "mae"])
def test_several_networks_are_tested_by_the_metric_of_their_mean(metric: Any) -> None:
    data = load_dataset("diabetes")
    study = sweep(data, {"learning_rate": [0.01]}, repeats=2, metric=metric, **OPTIONS)
    split = data.split(seed=0)
    scores = study.test()
    whole = split.joined("train", "validation")
    runs = [study._objective.run(spec, whole) for spec in study.definition.trials_of(study.best.params)]  # type: ignore[union-attr]
    truth = data.y[split.rows["test"]]
    answers = np.mean([run.predict(data.X[split.rows["test"]]) for run in runs], axis=0)
    if metric == "mae":  # in the units of training, as the loss is
        assert whole.scaling is not None
        known = np.mean(np.abs(truth - answers)) / whole.scaling.target_std[0]  # type: ignore[index]
        assert scores["test_mae"] == pytest.approx(known, rel=1e-5)
    else:
        assert scores["test_squared_error"] == pytest.approx(squared_error(truth, answers), rel=1e-9)
