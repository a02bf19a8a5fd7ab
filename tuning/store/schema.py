"""The tables of a study file, what makes a file one, and how an older one is brought up to date."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

APPLICATION_ID = 0x6E6E7475
SCHEMA_VERSION = 2

STUDY = "CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
TRIALS = """
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    params TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    fold INTEGER,
    seed INTEGER NOT NULL,
    state TEXT NOT NULL,
    epochs INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    curve_names TEXT NOT NULL,
    curves BLOB,
    duration REAL NOT NULL,
    diverged_step INTEGER,
    error TEXT
);
"""
CHECKPOINTS = "CREATE TABLE checkpoints (number INTEGER PRIMARY KEY, content BLOB NOT NULL);"

MIGRATIONS = {1: CHECKPOINTS}
"""The statements that make each older schema the next one."""

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class StudyFileError(ValueError):
    """A study file can't be read, written or continued; one line says why."""


class StudyWriteError(StudyFileError):
    """Nothing more can be saved: the disk is full, or the folder is gone; what was counted is saved."""


def initialise(connection: sqlite3.Connection, study: dict[str, Any]) -> None:
    """Make tables and first values in one transaction, still without a log: a file is a whole study, or empty."""
    # The room of checkpoints that are deleted is given back; outside the transaction, that would be one of its own.
    connection.executescript(
        f"BEGIN; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = {APPLICATION_ID}; "
        f"PRAGMA user_version = {SCHEMA_VERSION}; {STUDY} {TRIALS} {CHECKPOINTS}"
    )
    connection.executemany("INSERT INTO study VALUES (?, ?)", [(key, encode(value)) for key, value in study.items()])
    connection.execute("COMMIT")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables of an older study up to date, in one transaction. Its trials are left as they are."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < SCHEMA_VERSION:
        steps = " ".join(MIGRATIONS[older] for older in range(version, SCHEMA_VERSION))
        connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def check(path: Path, connection: sqlite3.Connection) -> None:
    """Raise unless the connected file is a whole study of a schema that this version knows."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StudyFileError(f"{str(path)!r} must be a study file, but is the database of another program")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StudyFileError(
            f"{str(path)!r} must have schema {SCHEMA_VERSION} or older, but has {version}; upgrade nn-tuning"
        )
    if version < min(MIGRATIONS):
        raise StudyFileError(f"{str(path)!r} must be a whole study file, but says that its schema is {version}")
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StudyFileError(f"{str(path)!r} must be a whole study file, but is damaged: {' '.join(verdict.split())}")


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn the errors of the system and of SQLite into one line about this file."""
    try:
        yield
    except OSError as error:
        raise StudyFileError(
            f"storage must be a file that can be written, but {str(path)!r} can't: {error.strerror}"
        ) from None
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            raise StudyFileError(
                f"{str(path)!r} must be free for a moment to be written to, but another process reads it; wait for that"
            ) from None
        raise StudyFileError(f"{str(path)!r} must be a whole study file, but is damaged or foreign: {error}") from None
