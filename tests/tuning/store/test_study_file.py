from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.tuning.fakes import METRICS, a_study, files, noisy, same_trials
from tuning.run import Limits
from tuning.store import (
    APPLICATION_ID,
    DataDescription,
    StudyFile,
    StudyFileError,
    TrialResult,
    TrialSpec,
    setting_text,
)
from tuning.store.schema import MIGRATIONS, SCHEMA_VERSION
from tuning.study import Study


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A finished study of ten trials."""
    a_study(noisy, tmp_path / "a.db").run().close()
    return tmp_path / "a.db"


def test_a_trial_is_read_back_to_the_last_bit(path: Path) -> None:
    for trial in Study.open(path).trials:
        expected = noisy(TrialSpec(trial.number, trial.params, "", trial.repeat, trial.fold, 3, trial.seed))
        assert trial.metrics == expected.metrics
        assert all(np.array_equal(trial.curves[name], expected.curves[name]) for name in METRICS)


def test_layers_names_and_nan_survive_the_file(tmp_path: Path) -> None:
    result = TrialResult(
        "completed", {"validation_accuracy": float("nan")}, {"train_loss": np.array([1.0, np.nan, np.inf])}, 3
    )
    study = a_study(
        lambda spec: result, tmp_path / "a.db", space={"hidden_units": "4x2,()", "bias": "true", "clip_norm": "none"}
    )
    trials = list(study.run().trials)
    assert [trial.params for trial in trials] == [
        {"hidden_units": (4, 2), "bias": True, "clip_norm": None},
        {"hidden_units": (), "bias": True, "clip_norm": None},
    ]
    assert np.isnan(trials[0].metrics["validation_accuracy"])
    assert np.array_equal(trials[0].curves["train_loss"], [1.0, np.nan, np.inf], equal_nan=True)


def test_the_plain_sqlite_shell_can_read_it(path: Path) -> None:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT params ->> 'batch_size', metrics ->> 'train_loss' FROM trials").fetchall()
    definition = json.loads(connection.execute("SELECT value FROM study WHERE key = 'definition'").fetchone()[0])
    environment = json.loads(connection.execute("SELECT value FROM study WHERE key = 'environment'").fetchone()[0])
    connection.close()
    assert {row[0] for row in rows} == {16, 32}
    assert all(0 < row[1] < 1 for row in rows)
    assert definition["space"] == {"learning_rate": "0.001:1:log", "batch_size": "16,32"}
    assert {"python", "numpy", "numba", "system"} <= set(environment)


def test_one_plain_file_is_left(path: Path) -> None:
    study = Study.open(path)
    assert len(study.trials) == 10
    assert files(path.parent) == ["a.db"]


def test_a_reader_sees_a_study_that_is_being_written(tmp_path: Path) -> None:
    seen = []

    def looking(spec: TrialSpec) -> TrialResult:
        if spec.number == 9:
            reader = Study.open(tmp_path / "a.db")
            seen.append(len(reader.trials))
            reader.close()
        return noisy(spec)

    study = a_study(looking, tmp_path / "a.db").run()
    assert len(seen) == 1
    assert len(study.trials) == 10


def test_a_second_writer_is_refused(path: Path) -> None:
    held = StudyFile.open(path, write=True)
    with pytest.raises(StudyFileError, match="another process is at work"):
        a_study(noisy, path)
    held.close()
    assert a_study(noisy, path).run().new_trials == 0


def test_a_writer_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from tests.tuning.fakes import a_study, noisy\n"
        "def kill(spec):\n"
        "    if spec.number == 8: os.kill(os.getpid(), 9)\n"
        "    return noisy(spec)\n"
        "a_study(kill, pathlib.Path(sys.argv[1])).run(n_jobs=1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.db")], cwd=Path(__file__).parents[3], check=False
    )
    assert done.returncode == -9
    study = a_study(noisy, tmp_path / "a.db").run()
    assert len(study.trials) == 10
    assert files(tmp_path) == ["a.db"]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"epochs": 5}, "epochs 3 there and 5 here"),
        ({"space": {"learning_rate": "1e-3:2:log", "batch_size": "16,32"}}, "learning_rate 0.001:1:log there and"),
        ({"space": {"batch_size": "16,32", "learning_rate": "0.001:1:log"}}, "space in the order"),
        ({"seed": 1}, "seed 0 there and 1 here"),
        ({"repeats": 2}, "repeats 1 there and 2 here"),
        ({"method_options": {"points": 6}}, "points 5 there and 6 here"),
        (
            {"data": DataDescription("fake", fingerprint="0" * 64)},
            "fingerprint ffffffffffff… there and 000000000000… here",
        ),
    ],
)
def test_another_definition_is_refused_with_what_differs(
    path: Path, changes: dict[str, object], difference: str
) -> None:
    before = path.read_bytes()
    with pytest.raises(StudyFileError, match=difference):
        a_study(noisy, path, **changes)
    assert path.read_bytes() == before
    assert files(path.parent) == ["a.db"]


def test_other_limits_are_no_other_definition(path: Path) -> None:
    assert a_study(noisy, path, Limits(n_trials=5, timeout=9.0)).run().new_trials == 0


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scrambled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xa5" * 8192
    path.write_bytes(content)


def scratched(path: Path) -> None:
    """Only the last page, which nobody reads who does not look at the trials."""
    path.write_bytes(path.read_bytes()[:-4096] + b"\xa5" * 4096)


def text(path: Path) -> None:
    path.write_text("learning_rate = 0.1\n")


def foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE study (key, value)")
    connection.close()


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (truncated, "must be a whole study file"),
        (scrambled, "must be a whole study file"),
        (scratched, "must be a whole study file"),
        (text, "must be a study file, but is something else"),
        (foreign, "database of another program"),
        (newer, "upgrade nn-tuning"),
    ],
)
def test_a_damaged_foreign_or_newer_file_is_refused_and_left_alone(path: Path, damage: object, line: str) -> None:
    damage(path)  # type: ignore[operator]
    before = path.read_bytes()
    for attempt in (lambda: Study.open(path), lambda: a_study(noisy, path)):
        with pytest.raises(StudyFileError, match=line) as error:
            attempt()
        assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    assert files(path.parent) == ["a.db"]


def test_a_path_that_can_not_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for bad in (tmp_path / "file" / "a.db", tmp_path, Path("/dev/null"), tmp_path / ("n" * 300)):
        with pytest.raises(StudyFileError, match="storage must be"):
            a_study(noisy, bad)
    assert files(tmp_path) == ["file"]


def test_a_missing_file_is_not_made_by_opening_it(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="must exist"):
        Study.open(tmp_path / "none.db")
    assert files(tmp_path) == []


def test_an_empty_file_becomes_a_study(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    assert len(a_study(noisy, tmp_path / "a.db").run().trials) == 10


def test_the_file_says_what_it_is(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


OLD_TABLES = """
CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trials (
    number INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, params TEXT NOT NULL, repeat INTEGER NOT NULL,
    fold INTEGER, seed INTEGER NOT NULL, state TEXT NOT NULL, epochs INTEGER NOT NULL, metrics TEXT NOT NULL,
    curve_names TEXT NOT NULL, curves BLOB, duration REAL NOT NULL, diverged_step INTEGER, error TEXT
);
"""


def old_study(path: Path) -> None:
    """A study file of schema 1, as it was written then, with four of its ten trials."""
    study = a_study().run()
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1; {OLD_TABLES}")
    values = {
        "definition": study.definition.to_json(),
        "limits": {"n_trials": None, "timeout": None, "target": None},
        "source": None,
        "environment": {"python": "3.11.0"},
        "created": "2026-01-01T00:00:00+00:00",
    }
    connection.executemany(
        "INSERT INTO study VALUES (?, ?)", [(key, json.dumps(value)) for key, value in values.items()]
    )
    for trial in study.trials[:4]:
        spec = TrialSpec(trial.number, trial.params, setting_text(trial.params), 0, None, 3, trial.seed)
        row = (
            trial.number, spec.identity, spec.text, 0, None, trial.seed, "completed", 3, json.dumps(trial.metrics),
            json.dumps(METRICS), np.array([trial.curves[name] for name in METRICS]).tobytes(), 0.5, None, None,
        )  # fmt: skip
        connection.execute(f"INSERT INTO trials VALUES ({','.join('?' * 14)})", row)
    connection.commit()
    connection.close()


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return int(found)


def test_an_older_file_is_read_as_it_is_and_migrated_when_it_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old_study(path)
    before = path.read_bytes()
    reader = Study.open(path)
    assert len(reader.trials) == 4
    assert reader.best.rank == 1
    assert reader.work is None
    reader.close()
    assert path.read_bytes() == before
    with pytest.raises(StudyFileError, match="seed 0 there and 1 here"):
        a_study(noisy, path, seed=1)
    assert path.read_bytes() == before
    study = a_study(noisy, path).run()
    assert study.new_trials == 6
    assert same_trials(study, a_study().run())
    study.close()
    assert version(path) == SCHEMA_VERSION
    assert files(tmp_path) == ["old.db"]


def test_a_migration_that_is_interrupted_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    old_study(path)
    monkeypatch.setitem(MIGRATIONS, 1, f"{MIGRATIONS[1]} INSERT INTO nowhere VALUES (1);")
    with pytest.raises(StudyFileError, match="no such table"):
        a_study(noisy, path)
    assert version(path) == 1
    monkeypatch.undo()
    assert same_trials(a_study(noisy, path).run(), a_study().run())


def test_a_paused_trial_goes_on_and_a_finished_one_is_left_as_it_is(tmp_path: Path) -> None:
    file = StudyFile.create(tmp_path / "a.db", {})
    one = TrialSpec(0, {"batch_size": 16}, '{"batch_size":16}', 0, None, 1, 5, 3)

    def result(state: str, epochs: int, checkpoint: bytes | None = None) -> TrialResult:
        return TrialResult(
            state, {"a": float(epochs)}, {"a": np.arange(epochs) + 1.0}, epochs, 1.0, checkpoint=checkpoint
        )

    file.add([(one, result("paused", 1, b"state"))])
    assert (file.standing(0), file.checkpoint(0)) == ((one.identity, "paused", 1), b"state")
    later = one._replace(epochs=3, start=1, checkpoint=b"state")
    file.add([(later, result("completed", 3))])
    trial = file.trial_at(0)
    assert (trial.state, trial.epochs, trial.metrics, trial.duration) == ("completed", 3, {"a": 3.0}, 2.0)
    assert file.checkpoint(0) is None
    file.add([(later, result("diverged", 9))])
    assert file.trial_at(0).exactly_equals(trial)
    file.close()


def test_what_diverges_in_its_first_step_after_a_pause_is_over(tmp_path: Path) -> None:
    file = StudyFile.create(tmp_path / "a.db", {})
    spec = TrialSpec(0, {"batch_size": 16}, '{"batch_size":16}', 0, None, 1, 5, 3)
    file.add([(spec, TrialResult("paused", {"a": 1.0}, {"a": np.ones(1)}, 1, checkpoint=b"state"))])
    again = spec._replace(epochs=3, start=1)
    file.add([(again, TrialResult("diverged", {"a": 1.0}, {"a": np.ones(1)}, 1, diverged_step=4))])
    trial = file.trial_at(0)
    assert (trial.state, trial.epochs, trial.diverged_step, file.checkpoint(0)) == ("diverged", 1, 4, None)
    file.close()
