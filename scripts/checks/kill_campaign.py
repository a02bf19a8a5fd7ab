"""Kill sweeps at random moments, resume them, and check that nothing is lost.

    python scripts/checks/kill_campaign.py
    python scripts/checks/kill_campaign.py --rounds 10 --kind halving

Each round starts a sweep in its own process, kills it with SIGKILL at random moments, and checks after each kill that
SQLite finds the file whole, and that every trial that had been saved, which is more than the progress had counted, is
in it with all its epochs. Then the sweep is finished, and compared with an uninterrupted one: all metrics, all curves,
to the last bit. At the end nothing but the study file may be left in the folder. Exit status 0: all rounds held.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tuning import Study, sweep
from tuning.run import runner
from tuning.store import StudyFile, TrialResult, TrialSpec

SPACE = {"learning_rate": "1e-2:1:log", "batch_size": [8, 32], "hidden_units": [4, (4, 4)]}
SWEEPS: dict[str, dict[str, Any]] = {
    "grid, folds and repeats": {"points": 3, "repeats": 2, "folds": 2},
    "halving": {"method": "halving", "points": 12, "epochs": 9},
    "random, folds": {"method": "random", "n_trials": 48, "folds": 3},
    "grid": {"points": 12},
    "random": {"method": "random", "n_trials": 50},
    "sobol, repeats": {"method": "sobol", "n_trials": 48, "repeats": 2},
    "refine": {"method": "refine", "points": 3, "rounds": 3},
    "halving, repeats and folds": {"method": "halving", "points": 3, "repeats": 2, "folds": 2, "epochs": 9},
    "hyperband": {"method": "hyperband", "epochs": 9},
}
OPTIONS = {"epochs": 6, "n_jobs": 2, "progress": False}
SECONDS = 120


class Campaign:
    """Rounds of one kind after another, with the uninterrupted studies to compare with."""

    def __init__(self, seed: int, kinds: list[str]) -> None:
        self.rng = np.random.default_rng(seed)
        self.kinds = kinds
        self.whole: dict[str, Study] = {}
        self.seconds: dict[str, float] = {}
        self.kills = 0
        self.is_study = False

    def round(self, number: int) -> str:
        """Kill and finish one sweep; return what happened in one line, or raise AssertionError."""
        kind = self.kinds[number % len(self.kinds)]
        with tempfile.TemporaryDirectory(prefix="kill-campaign-") as folder:
            path = Path(folder) / "a.db"
            self.is_study = False
            if kind not in self.seconds:  # how long it takes with nobody killing it
                self.whole[kind] = sweep("iris", SPACE, **OPTIONS | SWEEPS[kind])
                start = time.monotonic()
                self.child(kind, path, None)
                self.seconds[kind] = time.monotonic() - start
                path.unlink()
            kept = []
            for _ in range(int(self.rng.integers(1, 4))):
                counted, killed = self.child(kind, path, self.rng.uniform(0.0, self.seconds[kind]))
                kept.append(self.check_file(path, counted))
                self.kills += killed
            counted, killed = self.child(kind, path, None)
            assert not killed, f"{kind}: the last run was killed"
            self.check_file(path, counted)
            left = sorted(os.listdir(folder))
            assert left == ["a.db"], f"{kind}: {left} are left"
            study = Study.open(path)
            trials, expected = list(study.trials), list(self.whole[kind].trials)
            assert len(trials) == len(expected), f"{kind}: {len(trials)} trials in place of {len(expected)}"
            for mine, other in zip(trials, expected, strict=True):
                assert mine.exactly_equals(other), f"{kind}: trial {mine.number} differs:\n{mine}\n{other}"
            assert study.best.params == self.whole[kind].best.params
            study.close()
        return f"{kind}: {', '.join(map(str, kept))} of {len(expected)} trials were in the file after the kills"

    def check_file(self, path: Path, counted: dict[int, int]) -> int:
        """Return how many trials a kill has left in a file; the counted ones must be there, with all epochs."""
        found, self.is_study = look(path)
        for number, epochs in counted.items():
            assert found.get(number, -1) >= epochs, f"trial {number} had {epochs} epochs, but has {found.get(number)}"
        return len(found)

    def child(self, kind: str, path: Path, seconds: float | None) -> tuple[dict[int, int], bool]:
        """Run a sweep in a process of its own and kill it; return the epochs of what was saved, and if it was."""
        reading, writing = os.pipe()
        resumes = bool(self.rng.integers(2)) and self.is_study
        process = get_context("fork").Process(target=self.sweep, args=(kind, path, writing, resumes))
        process.start()
        os.close(writing)
        process.join(SECONDS if seconds is None else seconds)
        process.kill()
        process.join()
        with os.fdopen(reading, "rb") as pipe:
            told = [line.split(b":") for line in pipe.read().splitlines(keepends=True) if line.endswith(b"\n")]
        killed = process.exitcode == -signal.SIGKILL
        assert killed or process.exitcode == 0, f"{kind}: the sweep ended with an error"
        assert seconds is not None or not killed, f"{kind}: the sweep did not end"
        return {int(number): int(epochs) for number, epochs in told}, killed

    def sweep(self, kind: str, path: Path, writing: int, resumes: bool) -> None:
        """Run or resume the sweep, and write what is saved into a pipe, which outlives us, before it is counted."""
        add = StudyFile.add

        def telling_add(file: StudyFile, results: Iterable[tuple[TrialSpec, TrialResult]]) -> None:
            saved = list(results)
            add(file, saved)
            os.write(writing, "".join(f"{spec.number}:{result.epochs}\n" for spec, result in saved).encode())

        StudyFile.add = telling_add  # type: ignore[method-assign]
        runner.COMMIT_SECONDS = 0.01  # many commits, so that many kills meet one
        if resumes:
            Study.open(path).resume(n_jobs=2, progress=False)
        else:
            sweep("iris", SPACE, storage=path, **OPTIONS | SWEEPS[kind])


def look(path: Path) -> tuple[dict[int, int], bool]:
    """Return the trials in a file with their epochs, and whether it is a study already.

    It looks at a copy: whoever opens a file that a kill has left repairs it, and that is for the study to do.
    """
    with tempfile.TemporaryDirectory(prefix="kill-campaign-") as folder:
        for suffix in ("", "-wal", "-journal"):
            if os.path.exists(f"{path}{suffix}"):
                shutil.copy(f"{path}{suffix}", f"{folder}/a.db{suffix}")
        connection = sqlite3.connect(f"{folder}/a.db")
        try:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
            assert verdict == "ok", verdict
            if not connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                return {}, False
            return dict(connection.execute("SELECT number, epochs FROM trials")), True
        finally:
            connection.close()


def main() -> int:
    """Run the campaign and print one line for each round."""
    parser = argparse.ArgumentParser(description="Kill sweeps with SIGKILL at random moments, resume and compare them.")
    parser.add_argument("--rounds", type=int, default=100, help="sweeps to kill (100)")
    parser.add_argument("--kind", choices=list(SWEEPS), metavar="KIND", help=f"only one of: {'; '.join(SWEEPS)}")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    values = parser.parse_args()
    campaign = Campaign(values.seed, list(SWEEPS) if values.kind is None else [values.kind])
    start = time.monotonic()
    for number in range(values.rounds):
        print(f"{number + 1:>4}  {campaign.round(number)}", flush=True)
    kinds = ", ".join(campaign.kinds)
    print(
        f"{values.rounds} rounds ({kinds}), {campaign.kills} kills in {time.monotonic() - start:.0f} s: every counted "
        "trial was in its file, every file was whole, every result equals the uninterrupted one, nothing was left"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
