"""Disks that are full, folders that are gone or read-only, files that are damaged, and two who want one file."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.tuning.fakes import a_study, files, noisy, same_trials
from tuning import sweep
from tuning.objective import Objective
from tuning.run import runner
from tuning.store import StudyFile, StudyFileError, StudyWriteError, TrialResult, TrialSpec
from tuning.study import Study

ROOT = Path(__file__).parents[3]
POINTS = 150
LINE = ["--learning-rate", "1e-2:1:log", "--points", str(POINTS), "--hidden-units", "2", "--epochs", "1", "--quiet"]
SWEEP = ["sweep", "moons", *LINE]

# The command in a process of its own, which tells after each group of trials how many were counted.
CHILD = """
import os, resource, shutil, sys
from tuning.run import runner
from tuning.cli import main

class Telling(runner.Progress):
    counted = 0

    def update(self, count, leader):
        super().update(count, leader)
        self.counted += count
        print("counted", self.counted, flush=True)
        after_count(self.counted)

def after_count(counted):
    pass

runner.Progress = Telling
runner.COMMIT_SECONDS = 0.0
{before}
sys.exit(main(sys.argv[1:]))
"""


def command(before: str, *arguments: str) -> tuple[int, str, int]:
    """Run the command after `before`; return its exit status, its only line on standard error, and the last count."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(before=before), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert len(lines) == (done.returncode != 0), done.stderr
    counts = re.findall(r"counted (\d+)", done.stdout)
    return done.returncode, lines[0] if lines else "", int(counts[-1]) if counts else 0


def whole() -> Study:
    """The uninterrupted sweep."""
    return sweep("moons", {"learning_rate": "1e-2:1:log", "hidden_units": 2}, points=POINTS, epochs=1)


def check(path: Path, counted: int) -> None:
    """What was counted is in a file that is whole, and the study goes on from there to the same end."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()
    part = Study.open(path)
    assert counted <= len(part.trials) < POINTS
    part.close()
    assert same_trials(whole(), part.resume())
    assert files(path.parent) == ["a.db"]


def test_a_full_disk_ends_a_sweep_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, resource.RLIM_INFINITY))"
    status, line, counted = command(limit, *SWEEP, "--storage", str(path))
    assert status == 1
    assert re.fullmatch(r"nn-tuning: error: '.*a\.db' could not be written: .*; what was counted is saved", line)
    assert counted > 0
    check(path, counted)


def test_a_disk_that_is_full_from_the_start_leaves_no_file(tmp_path: Path) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))"
    status, line, _ = command(limit, *SWEEP, "--storage", str(tmp_path / "a.db"))
    assert status == 2
    assert "storage must be a file that can be written" in line
    assert files(tmp_path) == []


def test_a_file_that_may_not_grow_is_left_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "COMMIT_SECONDS", 0.0)
    study = a_study(noisy, tmp_path / "a.db", method_options={"points": 150})
    counted = 0

    class Counting(runner.Progress):
        def update(self, count: int, leader: Any) -> None:
            nonlocal counted
            counted += count

    monkeypatch.setattr("tuning.run.runner.Progress", Counting)
    study._access.reading()._connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StudyWriteError, match="database or disk is full"):
        study.run(n_jobs=2)
    study.close()
    part = Study.open(tmp_path / "a.db")
    assert 0 < counted <= len(part.trials) < 300
    part.close()
    options = {"method_options": {"points": 150}}
    assert same_trials(a_study(**options).run(), a_study(noisy, tmp_path / "a.db", **options).run())


def test_a_folder_that_is_deleted_ends_a_sweep_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    delete = f"after_count = lambda counted: counted > 20 and shutil.rmtree({str(folder)!r}, ignore_errors=True)"
    status, line, _ = command(delete, *SWEEP, "--storage", str(folder / "a.db"))
    assert status == 1
    assert "was moved or deleted, and what it held went with it" in line
    assert files(tmp_path) == []


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that everyone may enter and nobody may write to, with a study in it."""
    folder = Path(tempfile.mkdtemp(prefix="closed-"))
    sweep("moons", {"learning_rate": [0.1, 0.2], "hidden_units": 2}, epochs=1, storage=folder / "a.db").close()
    (folder / "a.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


# Everything is imported before the rights are given up: another user may not read this interpreter's folder.
NOBODY = """
import contextlib, io
from tuning.store.definition import environment
from tuning.objective import Objective
from tuning.space import Space
environment()
Objective.prepare("moons").check(Space({{"learning_rate": 0.1, "hidden_units": 2}}))
with contextlib.redirect_stdout(io.StringIO()):
    main(["show", {study!r}])
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


def test_a_read_only_folder_is_refused_in_one_line_and_its_studies_can_be_read(closed_folder: Path) -> None:
    nobody = NOBODY.format(study=str(closed_folder / "a.db"))
    for arguments in ([*SWEEP, "--storage", str(closed_folder / "b.db")], ["resume", str(closed_folder / "a.db")]):
        status, line, _ = command(nobody, *arguments)
        assert status == 2
        assert re.search(r"storage must be a file that can be written, but .*Permission denied", line, re.IGNORECASE)
    assert command(nobody, "show", str(closed_folder / "a.db"))[:2] == (0, "")
    assert files(closed_folder) == ["a.db"]


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with a dozen pages."""
    path = tmp_path_factory.mktemp("whole") / "a.db"
    a_study(noisy, path, method_options={"points": 40}).run().close()
    return path


def refused(path: Path, content: bytes) -> bool:
    """Whether a file with this content is refused in one line, to read and to go on with, and left alone."""
    path.write_bytes(content)
    for attempt in (lambda: Study.open(path), lambda: a_study(noisy, path, method_options={"points": 40})):
        with pytest.raises(StudyFileError) as error:
            attempt()
        assert "\n" not in str(error.value)
    return path.read_bytes() == content and files(path.parent) == ["a.db"]


def test_a_truncated_file_is_refused_wherever_it_ends(study_file: Path, tmp_path: Path) -> None:
    content = study_file.read_bytes()
    path = tmp_path / "a.db"
    ends = [1, 15, 16, 99, 100, 1000, 4095, 4096, 4097, 8192, len(content) // 2, len(content) - 4096, len(content) - 1]
    for end in ends:
        assert refused(path, content[:end]), end


def test_a_file_with_a_damaged_page_is_refused_whichever_it_is(study_file: Path, tmp_path: Path) -> None:
    content = study_file.read_bytes()
    path = tmp_path / "a.db"
    pages = range(0, len(content), 4096)
    assert len(pages) > 10
    for start in pages:
        assert refused(path, content[:start] + b"\xa5" * 4096 + content[start + 4096 :]), start // 4096


def test_readers_never_wait_and_a_second_writer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "COMMIT_SECONDS", 0.0)
    path, go_on, half = tmp_path / "a.db", threading.Event(), threading.Event()

    def objective(self: Objective, spec: TrialSpec) -> TrialResult:
        if spec.number == 300:
            half.set()
            assert go_on.wait(PATIENCE)
        return noisy(spec)

    monkeypatch.setattr(Objective, "__call__", objective)
    arguments = ("moons", {"learning_rate": "1e-2:1:log"})
    options = {"points": 600, "storage": path, "n_jobs": 1}
    writer = threading.Thread(target=sweep, args=arguments, kwargs=options)
    writer.start()
    assert half.wait(PATIENCE)
    look = "import sys; from tuning.study import Study\nseen = [len(Study.open(sys.argv[1]).trials)]\n" + (
        "while seen[-1] < 600:\n    seen.append(len(Study.open(sys.argv[1]).trials))\n    print(seen[-1], flush=True)\n"
    )
    reader = subprocess.Popen([sys.executable, "-c", look, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout is not None
        seen = [int(reader.stdout.readline())]
        status, line, _ = command("", "resume", str(path))
        assert status == 2
        assert "a study file must have one writer, but another process is at work" in line
        go_on.set()
        seen += [int(each) for each in reader.stdout]
    finally:
        go_on.set()
        writer.join(PATIENCE)
        reader.kill()
        reader.wait(PATIENCE)
        reader.stdout.close()  # type: ignore[union-attr]
    assert seen == sorted(seen)
    assert seen[0] <= 300 < seen[-1] == 600
    StudyFile.open(path, write=True).close()  # a reader that was there when the writer left keeps the log in use
    assert files(tmp_path) == ["a.db"]


def test_a_reader_that_is_in_the_middle_of_the_file_stops_no_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "COMMIT_SECONDS", 0.0)
    path, options, seen = tmp_path / "a.db", {"method_options": {"points": 40}}, []
    started: list[int] = []

    def objective(spec: TrialSpec) -> TrialResult:
        started.append(spec.number)
        if len(started) == 61:
            reader = Study.open(path)
            rows = iter(reader.trials)
            seen.extend([reader, rows, next(rows)])
        return noisy(spec)

    study = a_study(objective, path, **options).run(n_jobs=1)
    reader, rows, *trials = seen
    trials += rows
    assert [trial.number for trial in trials] == sorted(started[: len(trials)])
    assert len(trials) < 80  # what stood there when it began
    reader.close()
    assert same_trials(a_study(**options).run(), study)


def test_a_file_that_another_process_will_not_let_go_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    a_study(noisy, path).run().close()
    reader = Study.open(path)
    rows = iter(reader.trials)
    next(rows)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *names, **options: connect(*names, **{**options, "timeout": 0.0}))
    with pytest.raises(StudyFileError, match="must be free for a moment to be written to, but another process reads"):
        a_study(noisy, path)
    assert len(list(rows)) == 9
    reader.close()
    assert a_study(noisy, path).run().new_trials == 0
