"""What a report says of how a study is run again is exact: it makes the same study."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from nn import Dataset, load_dataset
from tuning import Study, sweep
from tuning.calls import calls_of
from tuning.cli.main import main

RATES = "0.001:1:log"

AGAIN: dict[str, dict[str, Any]] = {
    "grid": {"space": {"learning_rate": "1e-2:1:log", "hidden_units": [4, (4, 4)]}, "points": 3, "repeats": 2},
    "random": {"space": {"learning_rate": "1e-2:1:log"}, "method": "random", "n_trials": 6, "folds": 3, "seed": 5},
    "halving": {"space": {"learning_rate": "1e-2:1:log"}, "method": "halving", "eta": 2, "epochs": 4, "n_trials": 4},
    "refine": {"space": {"learning_rate": "1e-2:1:log"}, "method": "refine", "widen": ["learning_rate"], "rounds": 2},
    "parts": {
        "space": {"learning_rate": 0.1, "optimizer": "sgd,adam", "momentum": "0:0.9"}, "points": 2,
        "metric": "validation_loss",
    },
    "auto": {"space": {"learning_rate": "auto"}, "points": 2},
    "budget": {"space": {"learning_rate": "1e-2:1:log"}, "total_epochs": 9, "target": 2.0},
}  # fmt: skip


@pytest.mark.parametrize("kind", AGAIN)
def test_command_and_python_call_make_the_same_study(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"epochs": 3, **AGAIN[kind]}
    study = sweep("iris", **options, storage="runs/a study.db")
    calls = calls_of(study)
    assert calls.notes == []
    before = len(study.trials)
    names: dict[str, Any] = {}
    exec(calls.python, names)
    assert (names["study"].new_trials, len(names["study"].trials)) == (0, before)
    assert calls.command is not None
    assert ("--learning-rate auto" in calls.command) == ("'auto'" in calls.python) == (kind == "auto")
    assert main(shlex.split(calls.command.replace("\\\n", " "))[1:]) == 0
    assert len(Study.open("runs/a study.db").trials) == before
    assert "nothing was trained" in capsys.readouterr().out or kind == "budget"


def test_what_a_command_cannot_say_is_said() -> None:
    data = load_dataset("iris")
    arrays = calls_of(sweep(Dataset(data.X, data.y), {"learning_rate": [0.1]}, epochs=1))
    assert arrays.command is None
    assert "sweep(\n    data,\n" in arrays.python
    assert any("`data` stands for" in note for note in arrays.notes)
    order = calls_of(sweep("iris", {"batch_size": [16], "learning_rate": [0.1]}, epochs=1, timeout=60))
    assert order.command is None
    assert len(order.notes) == 2
    optuna = pytest.importorskip("optuna")
    sampled = calls_of(
        sweep("iris", {"learning_rate": RATES}, optuna.samplers.TPESampler(seed=1), n_trials=2, epochs=1)
    )
    assert sampled.command is None
    assert "import optuna\n" in sampled.python
    assert "method=optuna.samplers.TPESampler(seed=…)," in sampled.python
