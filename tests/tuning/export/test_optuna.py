"""A study handed over to Optuna: what arrives there, and that Optuna's own tools work on it."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tuning.fakes import a_study, noisy
from tuning import Study, sweep
from tuning.export.optuna import export
from tuning.run import Limits
from tuning.store import DIVERGED, FAILED, TrialResult, TrialSpec

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
State = optuna.trial.TrialState

RATES = {"learning_rate": "0.001:1:log", "batch_size": "16,32", "hidden_units": "8,64x32"}


def exported(study: Study, name: str | None = None) -> Any:
    return export(study, optuna.storages.InMemoryStorage(), name)


def mixed(spec: TrialSpec) -> TrialResult:
    """Some settings diverge, with numbers that JSON and Optuna do not know, and one kind fails."""
    result = noisy(spec)
    if spec.params["learning_rate"] == 1.0:
        loss = np.array([1.0, math.inf, math.nan])
        curves = {**result.curves, "validation_accuracy": np.array([0.3, math.nan, math.nan]), "train_loss": loss}
        return TrialResult(DIVERGED, {"train_loss": math.nan, "validation_accuracy": math.nan}, curves, 3, 0.5, 17)
    if spec.params["learning_rate"] == 0.001:
        return TrialResult(FAILED, duration=0.25, error="ValueError: too small")
    return result


def test_everything_about_a_trial_arrives() -> None:
    study = a_study(space=RATES, repeats=2, folds=2).run()
    there = exported(study)
    assert there.study_name == "fake"
    assert there.direction == optuna.study.StudyDirection.MAXIMIZE
    assert there.user_attrs["definition"] == study.definition.to_json()
    assert len(there.trials) == len(study.trials) == 5 * 2 * 2 * 4
    for i, (ours, theirs, verdict) in enumerate(zip(study.trials, there.trials, study.verdicts(), strict=True)):
        assert theirs.number == i
        assert theirs.state == State.COMPLETE
        assert theirs.value == ours.metrics["validation_accuracy"]
        assert theirs.intermediate_values == dict(enumerate(ours.curves["validation_accuracy"].tolist(), 1))
        layers = "64x32" if ours.params["hidden_units"] == (64, 32) else "8"
        assert theirs.params == {**ours.params, "hidden_units": layers}
        assert theirs.duration == timedelta(seconds=round(ours.duration, 6))
        about = {"number": ours.number, "repeat": ours.repeat, "fold": ours.fold, "seed": ours.seed}
        about |= {"state": ours.state, "epochs": ours.epochs, "duration": ours.duration}
        about |= {"verdict": verdict.name, "evidence": verdict.evidence, **ours.metrics}
        assert theirs.user_attrs == about
    assert there.trials[0].distributions == {
        "learning_rate": optuna.distributions.FloatDistribution(0.001, 1.0, log=True),
        "batch_size": optuna.distributions.CategoricalDistribution((16, 32)),
        "hidden_units": optuna.distributions.CategoricalDistribution(("8", "64x32")),
    }


def test_a_loss_is_minimised_and_the_best_is_the_same() -> None:
    study = a_study(metric="validation_loss").run()
    there = exported(study)
    assert there.direction == optuna.study.StudyDirection.MINIMIZE
    assert there.best_params == study.best.params
    assert there.best_value == study.best.metrics["validation_loss"]


def test_what_did_not_complete_has_no_value_never_wins_and_says_why() -> None:
    study = a_study(mixed).run()
    there = exported(study)
    found = {s: [t for t in there.trials if t.user_attrs["state"] == s] for s in ("completed", "diverged", "failed")}
    assert [len(trials) for trials in found.values()] == [6, 2, 2]
    for trial in found["diverged"]:
        assert (trial.state, trial.values, trial.intermediate_values) == (State.FAIL, None, {1: 0.3})
        assert trial.user_attrs["diverged_step"] == 17
        assert trial.user_attrs["train_loss"] is None
        assert trial.user_attrs["verdict"] == "diverged"
    for trial in found["failed"]:
        assert (trial.state, trial.intermediate_values) == (State.FAIL, {})
        assert trial.user_attrs["error"] == "ValueError: too small"
    assert there.best_params == study.best.params


def test_only_diverged_trials_and_no_trials_can_be_exported() -> None:
    def blown(spec: TrialSpec) -> TrialResult:
        return TrialResult(DIVERGED, {"validation_accuracy": math.nan}, {}, 0, 0.0, 3)

    assert {t.state for t in exported(a_study(blown).run()).trials} == {State.FAIL}
    assert exported(a_study()).trials == []


def test_pruned_trials_are_pruned_there_after_as_many_epochs(tmp_path: Path) -> None:
    study = sweep("iris", {"learning_rate": "1e-3:1:log"}, "halving", points=9, epochs=9)
    there = exported(study)
    ours = {trial.number: trial for trial in study.trials}
    states = [trial.state for trial in there.trials]
    assert states.count(State.PRUNED) == 8
    assert states.count(State.COMPLETE) == 1
    for trial in there.trials:
        same = ours[trial.user_attrs["number"]]
        assert max(trial.intermediate_values) == same.epochs
        assert trial.value == same.metrics["validation_accuracy"]


def test_a_trial_that_waits_is_running() -> None:
    study = a_study(limits=Limits())
    halved = sweep("iris", {"learning_rate": "1e-3:1:log"}, "halving", points=9, epochs=9, total_epochs=9)
    waiting = [t for t in exported(halved).trials if t.user_attrs["state"] == "paused"]
    assert len(waiting) == sum(t.state == "paused" for t in halved.trials) > 0
    assert all(t.state == State.RUNNING and t.datetime_complete is None for t in waiting)
    assert exported(study).trials == []


def test_parts_of_choices_keep_their_names_unless_optuna_refuses_them() -> None:
    space = {
        "optimizer": {
            "sgd": {"momentum": "0:0.9", "learning_rate": "0.1:1:log", "l2": "0:1"},
            "adam": {"learning_rate": "0.001:0.01:log", "l2": [0.0, 0.1], "batch_size": [16, 32]},
            "adamw": {"batch_size": [64]},
        }
    }
    study = a_study(space=space, method="random", method_options={}, limits=Limits(n_trials=40)).run()
    there = exported(study)
    seen: dict[str, set[str]] = {}
    for trial, ours in zip(there.trials, study.trials, strict=True):
        seen.setdefault(trial.params["optimizer"], set()).update(trial.params)
        assert list(trial.params.values()) == list(ours.params.values())
    assert seen == {
        "sgd": {"optimizer", "momentum", "learning_rate", "optimizer=sgd.l2"},
        "adam": {"optimizer", "learning_rate", "optimizer=adam.l2", "batch_size"},
        "adamw": {"optimizer", "batch_size"},
    }
    known = {name: kind for trial in there.trials for name, kind in trial.distributions.items()}
    assert known["learning_rate"] == optuna.distributions.FloatDistribution(0.001, 1.0, log=True)
    assert known["batch_size"] == optuna.distributions.CategoricalDistribution((16, 32, 64))


def test_a_range_that_was_left_is_widened_there() -> None:
    def better_above(spec: TrialSpec) -> TrialResult:
        rate = float(spec.params["learning_rate"])  # type: ignore[arg-type]
        return TrialResult("completed", {"validation_accuracy": -abs(math.log10(rate) - 1)}, {}, 3)

    study = a_study(
        better_above, space={"learning_rate": "0.001:0.1:log"}, method="refine",
        method_options={"points": 3, "rounds": 4, "widen": True},
    ).run()  # fmt: skip
    rates = [float(trial.params["learning_rate"]) for trial in study.trials]  # type: ignore[arg-type]
    assert max(rates) > 0.1
    kind = exported(study).trials[0].distributions["learning_rate"]
    assert (kind.low, kind.high) == (0.001, max(rates))


def test_it_is_whole_when_read_again_from_the_file(tmp_path: Path) -> None:
    study = a_study(mixed, tmp_path / "digits.db", space=RATES, repeats=2)
    study.run()
    url = f"sqlite:///{tmp_path / 'new' / 'optuna.db'}"
    with opened(url) as storage:
        there = export(study, storage)
        assert there.study_name == "digits"
        want = there.trials
    with opened(url) as storage:
        again = optuna.load_study(study_name="digits", storage=storage)
        assert again.trials == want
        assert len(want) == len(study.trials)
        best = max(t.metrics["validation_accuracy"] for t in study.trials if t.state == "completed")
        assert again.best_value == best
        with pytest.raises(ValueError, match=r"no study named 'digits' yet, but .* has one; give another name="):
            export(study, storage)
        assert len(again.trials) == len(want)
        assert len(export(study, storage, "other").trials) == len(want)


def test_an_interrupted_export_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = a_study().run()
    add = optuna.study.Study.add_trial

    def stopped(self: Any, trial: Any) -> None:
        if len(self.trials) == 3:
            raise KeyboardInterrupt
        add(self, trial)

    monkeypatch.setattr(optuna.study.Study, "add_trial", stopped)
    with pytest.raises(KeyboardInterrupt):
        export(study, storage)
    monkeypatch.undo()
    assert optuna.get_all_study_names(storage) == []
    assert len(export(study, storage).trials) == 10


def test_optunas_importances_and_figures_open_it() -> None:
    def by_rate(spec: TrialSpec) -> TrialResult:
        result = noisy(spec)
        curve = math.log10(float(spec.params["learning_rate"])) + 0.1 * result.curves["validation_accuracy"]  # type: ignore[arg-type]
        return TrialResult("completed", {"validation_accuracy": float(curve[-1])}, {"validation_accuracy": curve}, 3)

    study = a_study(by_rate, space=RATES).run()
    there = exported(study)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(there, evaluator=evaluator)
    assert set(shares) == set(RATES)
    assert shares["learning_rate"] > 0.9
    history = optuna.visualization.plot_optimization_history(there).data[0]
    assert list(history.y) == [trial.metrics["validation_accuracy"] for trial in study.trials]
    curves = optuna.visualization.plot_intermediate_values(there).data
    assert [list(line.y) for line in curves] == [list(trial.curves["validation_accuracy"]) for trial in study.trials]
    lines = optuna.visualization.plot_parallel_coordinate(there)
    assert lines.data
    assert all(name in lines.to_json() for name in [*RATES, "64x32"])


def test_a_storage_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    study = a_study(storage=tmp_path / "a.db").run()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(ValueError, match=r"must be a URL of Optuna's, but got 'b.db'; did you mean 'sqlite:///b.db'\?"):
        export(study, "b.db")
    with pytest.raises(ValueError, match="is a study file of nn-tuning; name another"):
        export(study, f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(ValueError, match=r"^storage must be one that Optuna can write to, but [^\n]+$"):
        export(study, "nonsense://x")
    (tmp_path / "plain").write_text("")
    with pytest.raises(ValueError, match=r"must be a file that can be written, but .* can't: "):
        export(study, f"sqlite:///{tmp_path / 'plain' / 'b.db'}")
    assert (tmp_path / "a.db").read_bytes() == before


def test_without_optuna_one_line_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from tests.tuning.fakes import a_study\nfrom tuning.export.optuna import export\n"
        "try: export(a_study(), 'sqlite:///a.db')\nexcept ValueError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "nn-tuning[optuna]"' in run.stdout
    assert run.stdout.count("\n") == 1


class opened:
    """An SQLite storage of Optuna's that closes its connections, which Optuna leaves to the end of the process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> Any:
        Path(self.url.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True)
        self.storage = optuna.storages.RDBStorage(self.url)
        return self.storage

    def __exit__(self, *_: object) -> None:
        self.storage.remove_session()
        self.storage.engine.dispose()
