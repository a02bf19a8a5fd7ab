"""Rows about what is around the arithmetic: coordination, start, memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from rows.measuring import Effort, Goal, NotMeasured, Outcome, cores, in_turn, row
from tuning.run import Limits
from tuning.store import COMPLETED, DataDescription, Definition, TrialResult, TrialSpec
from tuning.study import Study

METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
CURVES = dict.fromkeys(METRICS, np.linspace(0.0, 1.0, 20))

FIRST_EPOCH = """
import time
from nn import MLP, SGD, load_dataset, train
run = train(MLP((64, 32, 10)), load_dataset("digits").split(seed=0), SGD(0.1), epochs=1)
assert run.status == "completed"
print(time.process_time())
"""

IMPORT = "import nn"

SHOW = """
import sys
from tuning.cli import main
sys.exit(main(["show", sys.argv[1]]))
"""

# Linux counts the memory of the process that a child was started from as the child's own maximum in ru_maxrss;
# VmHWM begins anew with the program.
SWEEP_MEMORY = """
import resource, sys
from pathlib import Path
from tuning import LogUniform, sweep
trials, storage = int(sys.argv[1]), sys.argv[2] or None
study = sweep(
    "iris", {"learning_rate": LogUniform(1e-3, 1.0), "hidden_units": 8}, method="random", n_trials=trials, epochs=20,
    storage=storage, progress=False,
)
assert len(study.trials) == trials and study.best.params
status = Path("/proc/self/status")
if status.exists():
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    print(int(line.split()[1]) * 1024)
else:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(most if sys.platform == "darwin" else most * 1024)
"""


def no_op(spec: TrialSpec) -> TrialResult:
    """Train nothing: return the same result for every trial, but for the score that it is ranked by."""
    metrics = dict.fromkeys(METRICS, 1.0) | {"validation_accuracy": spec.params["learning_rate"]}
    return TrialResult(COMPLETED, metrics, CURVES, spec.epochs)


def run_no_ops(trials: int, path: Path) -> None:
    """Run a study of so many no-op trials on all cores, with its file."""
    definition = Definition(
        space={"learning_rate": "0.001:1:log", "momentum": "0:0.9"}, method="random", method_options={}, epochs=20,
        repeats=1, folds=None, metric="validation_accuracy", metrics=METRICS, seed=0,
        data=DataDescription("no-op", fingerprint="0" * 64),
    )  # fmt: skip
    study = Study.create(no_op, definition, Limits(n_trials=trials), path)
    study.run(n_jobs=cores(), progress=False)
    if len(study.trials) != trials:
        raise NotMeasured(f"the file must hold {trials:,} trials, but holds {len(study.trials):,}")
    study.close()


@row(
    "coordination",
    "coordination per trial, study file included",
    Goal("coordination", "a trial that does nothing", 50, "µs"),
)
def coordination_row(effort: Effort) -> Outcome:
    """Run studies of no-op trials with their files, and divide by the trials."""
    with tempfile.TemporaryDirectory() as folder:
        number = 0

        def run() -> None:
            nonlocal number
            number += 1
            path = Path(folder, f"{number}.db")
            run_no_ops(effort.trials, path)
            path.unlink()

        run()
        seconds = in_turn({"no-op study": run}, effort.slow_rounds)
    each = 1e6 * statistics.median(seconds["no-op study"]) / effort.trials
    words = f"{effort.trials:,} trials with 20 epochs of four curves each, {cores()} threads, file included"
    return Outcome({"coordination": each}, seconds=seconds, notes=[words])


@row("start", "start to first trained epoch", Goal("cold", "cold, no cache", 8, "s"), Goal("warm", "warm", 0.7, "s"))
def start_row(effort: Effort) -> Outcome:
    """Time processes from their start to the end of the first epoch: with an empty cache, then with a full one.

    The notes tell what processes take that import `nn`, or show a study of no-op trials.
    """
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    own: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(effort.slow_rounds):
        with tempfile.TemporaryDirectory() as cache:
            for name in ("cold", *["warm"] * (3 if effort.slow_rounds > 1 else 1)):
                start = time.perf_counter()
                own[name].append(float(_child(FIRST_EPOCH, cache)))
                seconds[name].append(time.perf_counter() - start)
    outcome = Outcome({name: statistics.median(values) for name, values in seconds.items()}, seconds=seconds)
    for name, values in own.items():
        outcome.notes.append(f"{name}: {statistics.median(values):.2f} s of processor time")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.db")
        run_no_ops(effort.trials, path)
        others = {"import nn": partial(_child, IMPORT, ""), "nn-tuning show": partial(_child, SHOW, "", str(path))}
        for name, values in in_turn(others, max(3, effort.slow_rounds)).items():
            of = f" of {effort.trials:,} trials" if name == "nn-tuning show" else ""
            outcome.notes.append(f"{name}{of}: {statistics.median(values):.2f} s")
    return outcome


@row(
    "memory",
    "memory of a sweep of 10,000 trials above that of one",
    Goal("in memory", "study in memory", 50, "MB"),
    Goal("with a study file", "study in a file", 50, "MB"),
)
def memory_row(effort: Effort) -> Outcome:
    """Compare the greatest memory of sweeps of many trials and of one, each in a process of its own, side by side."""
    outcome, cache = Outcome(), os.environ.get("NUMBA_CACHE_DIR", "")
    kinds = [goal.key for goal in memory_row.goals]
    extra: dict[str, list[float]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(kinds)) as pool:

        def most(n_trials: int, kind: str, number: int) -> int:
            storage = f"{folder}/{number}-{n_trials}.db" if kind == "with a study file" else ""
            return int(_child(SWEEP_MEMORY, cache, str(n_trials), storage))

        for number in range(effort.slow_rounds):
            sides = [list(pool.map(most, [n] * len(kinds), kinds, [number] * len(kinds))) for n in (effort.trials, 1)]
            for kind, many, one in zip(kinds, *sides, strict=True):
                extra[kind].append((many - one) / 1e6)
                outcome.notes.append(f"{kind}: {many / 1e6:.0f} MB and {one / 1e6:.0f} MB")
    outcome.figures = {kind: statistics.median(values) for kind, values in extra.items()}
    return outcome


def _child(code: str, cache: str, *arguments: str) -> str:
    """Run Python code in a process of its own; an empty `cache` leaves Numba's where it is."""
    env = {**os.environ, "NUMBA_CACHE_DIR": cache} if cache else dict(os.environ)
    ended = subprocess.run([sys.executable, "-c", code, *arguments], env=env, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NotMeasured(f"a process ended with status {ended.returncode}: {last}")
    return ended.stdout
