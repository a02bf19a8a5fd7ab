"""SIGKILL at random moments, and at the worst one."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.tuning.fakes import a_study, files, noisy, same_trials
from tuning.store import StudyFileError
from tuning.study import Study

ROOT = Path(__file__).parents[3]


def test_sweeps_killed_at_random_moments_lose_nothing_and_end_as_if_uninterrupted() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.checks.kill_campaign", "--rounds", "3"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"3 rounds .* every counted trial was in its file", done.stdout)


@pytest.fixture
def half_made(tmp_path: Path) -> Path:
    """A file whose first transaction was cut off, half of it in the file and what undoes it in the journal."""
    making = tmp_path / "making"
    making.mkdir()
    connection = sqlite3.connect(making / "a.db", isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    connection.executemany("INSERT INTO study VALUES (?, ?)", [(f"key {i}", "x" * 2000) for i in range(50)])
    left = tmp_path / "left"
    shutil.copytree(making, left)  # what the disk has at this moment
    connection.execute("ROLLBACK")
    connection.close()
    assert (left / "a.db").stat().st_size > 0
    assert (left / "a.db-journal").stat().st_size > 0
    return left / "a.db"


def test_a_study_killed_while_it_was_made_is_made_again(half_made: Path) -> None:
    study = a_study(noisy, half_made).run()
    assert same_trials(a_study().run(), study)
    assert files(half_made.parent) == ["a.db"]


def test_a_study_killed_while_it_was_made_is_no_study_to_open(half_made: Path) -> None:
    with pytest.raises(StudyFileError, match="must be a study file") as error:
        Study.open(half_made)
    assert "\n" not in str(error.value)
    assert files(half_made.parent) == ["a.db"]
