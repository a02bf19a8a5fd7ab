from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.tuning.fakes import a_study, noisy, same_trials
from tuning import Study, StudyInterrupted, Trial, callbacks, sweep
from tuning.store import COMPLETED, DIVERGED, FAILED, PRUNED, TrialResult, TrialSpec

ROOT = Path(__file__).parents[2]
SPACE = {"learning_rate": "0.001:1:log", "batch_size": "16,32"}


class Told(list[Trial]):
    """A callback that keeps what it is told, and raises `error` at the trials `at`."""

    def __init__(self, error: BaseException | None = None, at: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.error, self.at = error, at

    def __call__(self, trial: Trial) -> None:
        self.append(trial)
        if self.error is not None and len(self) in self.at:
            raise self.error

    @property
    def numbers(self) -> list[int]:
        return [trial.number for trial in self]


def test_each_trial_is_told_of_once_in_the_callers_thread_after_it_was_saved(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"
    told, threads, saved = Told(), set(), []

    def callback(trial: Trial) -> None:
        told(trial)
        threads.add(threading.current_thread())
        reader = Study.open(path)
        saved.append(trial.number in {known.number for known in reader.trials})
        reader.close()

    study = a_study(noisy, path, repeats=3)
    study.run(callback=callback, n_jobs=3)
    assert sorted(told.numbers) == [trial.number for trial in study.trials] == list(range(30))
    by_number = {trial.number: trial for trial in told}
    assert all(trial.exactly_equals(by_number[trial.number]) for trial in study.trials)
    assert all(trial.duration == by_number[trial.number].duration for trial in study.trials)
    assert threads == {threading.current_thread()}
    assert all(saved)


def test_results_do_not_depend_on_a_callback_even_on_one_that_fails() -> None:
    plain, told, failing = a_study().run(), Told(), Told(ConnectionError("server is away"), (2, 5))
    heard = a_study()
    heard.run(callback=told)
    hurt = a_study()
    with pytest.warns(
        RuntimeWarning, match="callback failed at trial .*ConnectionError: server is away.*nothing is lost"
    ) as warned:
        hurt.run(callback=failing)
    assert len(warned) == 1
    assert len(failing) == len(told) == 10
    assert same_trials(plain, heard)
    assert same_trials(plain, hurt)


def test_each_failure_of_a_callback_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.warns(RuntimeWarning), caplog.at_level(logging.WARNING, "tuning"):
        a_study().run(callback=Told(ConnectionError("server is away"), (2, 5)))
    assert len([record for record in caplog.records if "server is away" in record.message]) == 2
    assert all(record.exc_info for record in caplog.records)


def test_under_halving_a_trial_is_told_of_when_it_has_ended_for_good() -> None:
    told = Told()
    study = sweep("iris", SPACE, "halving", points=5, epochs=9, callback=told, n_jobs=2)
    assert sorted(told.numbers) == [trial.number for trial in study.trials]
    states = {trial.number: trial.state for trial in study.trials}
    assert {trial.number: trial.state for trial in told} == states
    assert PRUNED in states.values()
    assert all(trial.exactly_equals(study.trials[trial.number]) for trial in told)


def test_ctrl_c_in_a_callback_loses_nothing_and_a_resumed_study_tells_of_the_rest_alone(tmp_path: Path) -> None:
    told = Told(KeyboardInterrupt(), (3,))
    study = a_study(noisy, tmp_path / "a.db", repeats=20)
    with pytest.raises((KeyboardInterrupt, StudyInterrupted)):
        study.run(callback=told, n_jobs=1)
    saved = [trial.number for trial in study.trials]
    assert sorted(told.numbers) == saved
    study.run(callback=told, n_jobs=1)
    assert sorted(told.numbers) == [trial.number for trial in study.trials]
    assert same_trials(study, a_study(noisy, repeats=20).run())


def test_a_callback_that_can_not_be_called_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^callback must be a function of a finished trial, but got 'print'$"):
        sweep("iris", SPACE, storage=tmp_path / "a.db", callback="print")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def documented(word: str) -> str:
    """The example in the documentation of callbacks that has this word."""
    assert callbacks.__doc__ is not None
    blocks = re.findall(r"(?:^    .*\n|^\n)+", callbacks.__doc__, re.MULTILINE)
    return textwrap.dedent(next(block for block in blocks if word in block))


def test_the_documented_example_for_mlflow_makes_a_run_of_each_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[dict[str, Any]] = []
    mlflow = ModuleType("mlflow")

    @contextlib.contextmanager
    def start_run(run_name: str, nested: bool = False) -> Iterator[None]:
        runs.append({"name": run_name, "nested": nested, "steps": []})
        yield

    mlflow.start_run = start_run  # type: ignore[attr-defined]
    mlflow.log_params = lambda params: runs[-1].update(params=params)  # type: ignore[attr-defined]
    mlflow.set_tag = lambda name, value: runs[-1].update({name: value})  # type: ignore[attr-defined]
    mlflow.log_metrics = lambda metrics, step: runs[-1]["steps"].append((step, metrics))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    exec(documented("mlflow"), {})
    study, *trials = runs
    assert (study["name"], study["nested"]) == ("digits", False)
    assert {tuple(run["params"].items()) for run in trials} == {
        (("learning_rate", rate), ("batch_size", size), ("repeat", 0), ("fold", None))
        for rate in (0.01, 0.1)
        for size in (16, 32)
    }
    for run in trials:
        assert (run["nested"], run["state"], [step for step, _ in run["steps"]]) == (True, COMPLETED, [*range(1, 21)])
        assert run["steps"][-1][1].keys() >= {"train_loss", "validation_accuracy"}


def test_the_documented_example_for_tensorboard_writes_curves_and_hyper_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writers: list[Any] = []

    class SummaryWriter(contextlib.nullcontext[Any]):
        def __init__(self, folder: str) -> None:
            super().__init__(self)
            self.folder, self.scalars = folder, []
            writers.append(self)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.scalars.append((name, step, value))

        def add_hparams(self, params: dict[str, Any], metrics: dict[str, float], *, run_name: str) -> None:
            assert all(isinstance(value, bool | str | float | int) for value in params.values())
            self.params, self.metrics = params, metrics

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    for name in ("torch", "torch.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    exec(documented("SummaryWriter"), {})
    assert {writer.folder for writer in writers} == {f"runs/tensorboard/0000{i}" for i in range(4)}
    assert {writer.params["hidden_units"] for writer in writers} == {16, "(16, 16)"}
    for writer in writers:
        losses = [(step, value) for name, step, value in writer.scalars if name == "train_loss"]
        assert [step for step, _ in losses] == [*range(1, 21)]
        assert losses[-1][1] == writer.metrics["last/train_loss"]


def mixed(spec: TrialSpec) -> TrialResult:
    if spec.number == 0:
        return TrialResult(DIVERGED, {}, {}, 1, diverged_step=17)
    if spec.number == 1:
        return TrialResult(FAILED, error="ValueError: no")
    return noisy(spec)


def test_the_log_says_when_a_study_begins_diverges_fails_ends_and_is_resumed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "tuning"):
        study = a_study(mixed, tmp_path / "a.db")
        study.run()
    lines = [(record.levelname, record.message) for record in caplog.records]
    assert lines[0][1].endswith("grid: 0 of 10 trials are saved) begins: fake")
    assert ("INFO", 'trial 0 diverged in step 17: {"learning_rate":0.001,"batch_size":16}') in lines
    assert ("WARNING", 'trial 1 failed: ValueError: no; {"learning_rate":0.001,"batch_size":32}') in lines
    assert lines[-1][1].endswith("grid: 10 of 10 trials are saved) ends, finished: 10 new trials")
    caplog.clear()
    path = tmp_path / "b.db"
    sweep("iris", {"learning_rate": [0.1, 0.2]}, epochs=1, storage=path)
    with caplog.at_level(logging.INFO, "tuning"):
        Study.open(path).resume()
    assert [record.message.rpartition(") ")[2] for record in caplog.records] == [
        "is resumed", "begins: iris", "ends, finished: 0 new trials",
    ]  # fmt: skip


def test_nothing_is_printed_unless_the_program_asks_for_the_log() -> None:
    code = """
import logging, warnings
from tests.tuning.fakes import a_study
from tests.tuning.test_logging import Told, mixed
with warnings.catch_warnings(action="ignore"):
    a_study(mixed).run(callback=Told(ValueError("no"), (3,)))
"""
    asked = "import logging; logging.basicConfig(level=logging.INFO)" + code
    printed = []
    for program in (code, asked):
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
        assert done.returncode == 0
        assert done.stdout == ""
        printed.append(done.stderr)
    assert printed[0] == ""
    assert "INFO:tuning:trial 0 diverged in step 17" in printed[1]
