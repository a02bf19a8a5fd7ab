"""The study file: an SQLite database with one row for each finished trial, readable with the plain `sqlite3` shell.

    sqlite3 runs/digits.db "SELECT params, metrics ->> 'validation_accuracy' AS v FROM trials ORDER BY v DESC LIMIT 5"

- Table `study` has what is said once, as JSON by key: the definition (space, data, method, epochs, seed, …), the limits
  of the last call, the environment and where the data came from. Table `trials` is keyed by the trial's number.
- Setting and metrics are JSON, for people and for SQL; NaN and infinity, which JSON lacks, become null. Curves are one
  BLOB of little-endian float64, a line of `epochs` numbers for each name in `curve_names`: exact, a third of the size
  of text, and a hundred times as fast to write, which matters where a whole trial takes a millisecond.
- Trials are committed in groups with synchronous=FULL: when `add` returns, they survive SIGKILL and power loss.
- One process writes, holding a lock on `<file>.lock`; readers never wait for it (write-ahead log).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from tuning.trial import Trial, TrialResult, TrialSpec, setting_of

APPLICATION_ID = 0x6E6E7475
SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
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
COLUMNS = (
    "number, identity, params, repeat, fold, seed, state, epochs, metrics, curve_names, curves, duration, "
    "diverged_step, error"
)
INSERT = f"INSERT OR IGNORE INTO trials ({COLUMNS}) VALUES ({','.join('?' * 14)})"

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class StudyFileError(ValueError):
    """A study file can't be read, written or continued; one line says why."""


class StudyFile:
    """An open study file, or a study in memory (`path=None`)."""

    def __init__(self, path: Path | None, connection: sqlite3.Connection, lock: int | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._process = os.getpid()

    @property
    def writable(self) -> bool:
        """Whether trials can be added."""
        return self.path is None or self._lock is not None

    @classmethod
    def create(cls, path: Path | None, study: dict[str, Any]) -> Self:
        """Return a new study with the values of table `study`; a file that exists must be empty."""
        if path is None:
            memory = _connect(":memory:", uri=False)
            _initialise(memory, study)
            return cls(None, memory, None)
        existed = path.exists()
        lock = _acquire(path)
        connection = None
        try:
            connection = _connect(str(path), uri=False)
            _initialise(connection, study)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            if not existed:
                path.unlink(missing_ok=True)
            _release(path, lock)
            raise StudyFileError(
                f"storage must be a file that can be written, but {str(path)!r} can't: {error}"
            ) from None
        return cls(path, connection, lock)

    @classmethod
    def open(cls, path: Path, *, write: bool) -> Self:
        """Return the study that stands in a file, after checking that it is one and whole."""
        if not path.is_file():
            raise StudyFileError(
                f"a study file must exist at {str(path)!r}, but there is none; make one with: nn-tuning sweep"
            )
        with _file_errors(path):
            with path.open("rb") as file:
                magic = file.read(16)
            if magic != b"SQLite format 3\0":
                raise StudyFileError(f"{str(path)!r} must be a study file, but is something else; name another file")
        lock = _acquire(path) if write else None
        connection = None
        try:
            connection = _connect(str(path), uri=False) if write else _connect_to_read(path)
            with _file_errors(path):
                _check(path, connection)
                if write:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            if connection is not None:
                connection.close()
            _release(path, lock)
            raise
        return cls(path, connection, lock)

    def add(self, results: Iterable[tuple[TrialSpec, TrialResult]]) -> None:
        """Write finished trials in one transaction; they are on the disk when this returns.

        One that is in the file already is left as it is: a call that was interrupted can be made again.
        """
        rows = [_row(spec, result) for spec, result in results]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(INSERT, rows)
            self._connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            raise StudyFileError(
                f"{str(self.path)!r} must stay writable, but: {error}; what was counted is saved"
            ) from None

    def put(self, key: str, value: Any) -> None:
        """Set one value of table `study`."""
        try:
            self._connection.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (key, _encode(value)))
        except sqlite3.Error as error:
            raise StudyFileError(f"{str(self.path)!r} must be writable, but: {error}") from None

    def get(self, key: str) -> Any:
        """Return one value of table `study`, or None."""
        row = self._query("SELECT value FROM study WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def count(self, state: str | None = None) -> int:
        """Return how many trials are finished, or have ended in this state."""
        where, values = ("", ()) if state is None else (" WHERE state = ?", (state,))
        return int(self._query(f"SELECT COUNT(*) FROM trials{where}", values).fetchone()[0])

    def identities(self) -> set[str]:
        """Return the identities of all finished trials."""
        return {row[0] for row in self._query("SELECT identity FROM trials")}

    def outcomes(self) -> Iterator[tuple[str, int, int | None, str, dict[str, float]]]:
        """Yield (text of the setting, repeat, fold, state, metrics) of every trial by number; no curves are read."""
        for params, repeat, fold, state, metrics in self._query(
            "SELECT params, repeat, fold, state, metrics FROM trials ORDER BY number"
        ):
            yield params, repeat, fold, state, _metrics(metrics)

    def trials(self) -> Iterator[Trial]:
        """Yield every trial by number."""
        for row in self._query(f"SELECT {COLUMNS} FROM trials ORDER BY number"):
            yield _trial(row)

    def trial_at(self, index: int) -> Trial:
        """Return the finished trial at this place in the order of numbers."""
        row = self._query(f"SELECT {COLUMNS} FROM trials ORDER BY number LIMIT 1 OFFSET ?", (index,)).fetchone()
        return _trial(row)

    def close(self) -> None:
        """Close the file. A writer merges its log, so that one plain file is left, which needs no log to be read."""
        if self._lock is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        if self.path is not None:
            _release(self.path, self._lock)
        self._lock = None

    def __del__(self) -> None:
        if self._process == os.getpid():  # a forked worker has a copy, and must not end its parent's
            self.close()

    def _query(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise StudyFileError(f"{str(self.path)!r} must be a whole study file, but: {error}") from None


def check_writable(path: Path) -> None:
    """Raise unless a study file can be made or continued at `path`; makes no file, but its folder."""
    with _file_errors(path):
        if path.is_dir():
            raise StudyFileError(
                f"storage must be a file, but {str(path)!r} is a folder; try {str(path / 'study.db')!r}"
            )
        if path.exists() and not path.is_file():
            raise StudyFileError(f"storage must be a plain file, but {str(path)!r} is none")
        path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise StudyFileError(f"storage must be a file that can be written, but {str(path)!r} can't: permission denied")


def _connect(name: str, *, uri: bool) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=10, isolation_level=None, uri=uri, check_same_thread=False)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Open without the right to write; where not even a log can be made beside the file, as one that nobody writes."""
    address = path.absolute().as_uri()
    connection = _connect(f"{address}?mode=ro", uri=True)
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        connection = _connect(f"{address}?immutable=1", uri=True)
    except sqlite3.DatabaseError:
        pass
    return connection


def _initialise(connection: sqlite3.Connection, study: dict[str, Any]) -> None:
    """Make tables and first values in one transaction, still without a log: a file is a whole study, or empty."""
    connection.executescript(
        f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; {SCHEMA}"
    )
    connection.executemany("INSERT INTO study VALUES (?, ?)", [(key, _encode(value)) for key, value in study.items()])
    connection.execute("COMMIT")


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Raise unless the connected file is a whole study of a schema that this version knows."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StudyFileError(f"{str(path)!r} must be a study file, but is the database of another program")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StudyFileError(
            f"{str(path)!r} must have schema {SCHEMA_VERSION} or older, but has {version}; upgrade nn-tuning"
        )
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StudyFileError(f"{str(path)!r} must be a whole study file, but is damaged: {' '.join(verdict.split())}")


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StudyFileError(
            f"storage must be a file that can be written, but {str(path)!r} can't: {error.strerror}"
        ) from None
    except sqlite3.Error as error:
        raise StudyFileError(f"{str(path)!r} must be a whole study file, but is damaged or foreign: {error}") from None


def _acquire(path: Path) -> int:
    """Lock `<file>.lock` and return its descriptor: SQLite's own locks would stop readers or last only for moments."""
    beside = Path(f"{path}.lock")
    while True:
        with _file_errors(path):
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise StudyFileError(
                f"a study file must have one writer, but another process is at work on {str(path)!r}; wait for it"
            ) from None
        # The one before us may have removed the file between our open and our lock.
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == beside.stat().st_ino:
                return descriptor
        os.close(descriptor)


def _release(path: Path, lock: int | None) -> None:
    if lock is not None:
        Path(f"{path}.lock").unlink(missing_ok=True)
        os.close(lock)


@cache
def _names_text(names: tuple[str, ...]) -> str:
    return _encode(names)


@cache
def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _row(spec: TrialSpec, result: TrialResult) -> tuple[Any, ...]:
    metrics = {name: float(value) if math.isfinite(value) else None for name, value in result.metrics.items()}
    curves = result.curves
    blob = np.array(list(curves.values()), dtype="<f8").tobytes() if curves else None
    return (
        spec.number,
        spec.identity,
        spec.text,
        spec.repeat,
        spec.fold,
        spec.seed,
        result.state,
        result.epochs,
        _encode(metrics),
        _names_text(tuple(curves)),
        blob,
        result.duration,
        result.diverged_step,
        result.error,
    )


def _metrics(text: str) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in json.loads(text).items()}


def _trial(row: tuple[Any, ...]) -> Trial:
    (number, _, params, repeat, fold, seed, state, epochs, metrics, names_text, blob, duration, step, error) = row
    names = _names(names_text)
    lines = np.frombuffer(blob or b"", dtype="<f8").astype(np.float64).reshape(len(names), -1 if names else 0)
    curves = dict(zip(names, lines, strict=True))
    return Trial(
        number, setting_of(params), repeat, fold, seed, state, _metrics(metrics), curves, epochs, duration, step, error
    )
