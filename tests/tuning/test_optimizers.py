"""An optimizer is named in one place: what stands in the table of nn can be swept, from Python and from a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nn.optimizers import OPTIMIZERS
from tuning import Study, sweep
from tuning.cli import main
from tuning.space import PARAMETERS, takers

CASES = [(optimizer, name) for optimizer in OPTIMIZERS for name in PARAMETERS if optimizer in takers(name)]


@pytest.mark.parametrize(("optimizer", "name"), CASES)
def test_every_parameter_of_every_optimizer_is_searched(optimizer: str, name: str, tmp_path: Path) -> None:
    needed = {"momentum": "0.5"} if name == "nesterov" else {}
    space: dict[str, Any] = {**needed, "optimizer": optimizer, name: PARAMETERS[name].example}
    study = sweep("iris", space, "random", n_trials=3, epochs=2, progress=False)
    assert {trial.state for trial in study.trials} == {"completed"}
    assert len({trial.metrics["train_loss"] for trial in study.trials}) > 1
    options = [text for key, value in space.items() for text in (f"--{key.replace('_', '-')}", value)]
    path = str(tmp_path / "iris.db")
    given = ["--method", "random", "--n-trials", "3", "--epochs", "2", "--storage", path, "--quiet"]
    assert main(["sweep", "iris", *options, *given]) == 0
    assert [trial.params for trial in Study.open(path).trials] == [trial.params for trial in study.trials]


OWN = """
import sys
from dataclasses import dataclass
from nn import optimizers

@dataclass(frozen=True, slots=True, repr=False)
class Own(optimizers.SGD):
    slowness: float = optimizers._tunable(1.0, "a number of its own", "1:4", 8.0)

optimizers.OPTIMIZERS["own"] = Own

from tuning.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("sweep iris --optimizer own,adam --slowness 1:4 --points 2 --epochs 1", "slowness"),
        ("train iris --optimizer own --slowness 2 --epochs 1", "completed after 1 epoch"),
        ("sweep --help", "a number of its own, of own, such as 1:4"),
        (
            "sweep iris --optimizer sgd,adam --slowness 2",
            "slowness must go with optimizer own, but the optimizer is sgd",
        ),
    ],
)
def test_a_new_optimizer_with_a_parameter_of_its_own_needs_a_row_in_the_table_and_nothing_else(
    arguments: str, told: str, tmp_path: Path
) -> None:
    line = [sys.executable, "-c", OWN, *arguments.split()]
    ended = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert told in " ".join((ended.stdout + ended.stderr).split())
