"""Kills a study with each of Optuna's samplers by SIGKILL, resumes it, and writes the names of those that went on."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import warnings
from pathlib import Path

from tests.tuning.fakes import definition, noisy, same_trials
from tests.tuning.methods.test_samplers import NEEDED, OPTUNAS
from tuning.methods import make_sampler
from tuning.run import Limits
from tuning.space import Space
from tuning.store import TrialResult, TrialSpec
from tuning.study import Study

SPACE = {"batch_size": "16,32,64", "nesterov": "true,false", "hidden_units": "4:6:int", "activation": "relu,tanh"}
LAST = 13


def a_study(name: str, path: Path | None, objective: object = noisy) -> Study:
    """Return a study that goes through the whole space, or all that the sampler wants of it."""
    sampler = make_sampler(OPTUNAS[name](3, Space(SPACE)))
    made = definition(method="optuna", method_options=sampler.options(), space=SPACE)
    return Study.create(objective, made, Limits(), path, given=sampler.given)  # type: ignore[arg-type]


def killed(spec: TrialSpec) -> TrialResult:
    """Return a result, but for one trial that the process does not survive."""
    if spec.number == LAST:
        os.kill(os.getpid(), signal.SIGKILL)
    return noisy(spec)


def main(folder: Path) -> None:
    """Kill all first, while this process has no threads."""
    warnings.simplefilter("ignore")
    names = [name for name in OPTUNAS if name not in NEEDED or importlib.util.find_spec(NEEDED[name])]
    for name in names:
        if not (child := os.fork()):
            a_study(name, folder / name, killed).run(n_jobs=1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, name
    for name in names:
        done = len(Study.open(folder / name).trials)
        part, whole = a_study(name, folder / name).run(n_jobs=1), a_study(name, None).run(n_jobs=2)
        assert done < len(part.trials) == (18 if name == "PartialFixedSampler" else 36), name
        assert part.new_trials == len(part.trials) - done, name
        assert part.stopped == whole.stopped == "finished", name
        assert same_trials(part, whole), name
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
