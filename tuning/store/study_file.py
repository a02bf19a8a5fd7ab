"""The study file: an SQLite database with one row for each finished trial, readable with the plain `sqlite3` shell.

    sqlite3 runs/digits.db "SELECT params, metrics ->> 'validation_accuracy' AS v FROM trials ORDER BY v DESC LIMIT 5"

- Table `study` has what is said once, as JSON by key: the definition (space, data, method, epochs, seed, …), the limits
  of the last call, the environment and where the data came from. Table `trials` is keyed by the trial's number.
- Setting and metrics are JSON, for people and for SQL; NaN and infinity, which JSON lacks, become null. Curves are one
  BLOB of little-endian float64, a line of `epochs` numbers for each name in `curve_names`: exact, a third of the size
  of text, and a hundred times as fast to write, which matters where a whole trial takes a millisecond.
- Table `checkpoints` has what trials that wait to be promoted need to continue: bytes in the objective's own form, into
  which the file does not look. They are deleted when a trial ends for good.
- Trials are committed in groups with synchronous=FULL: when `add` returns, they survive SIGKILL and power loss.
- One process writes, holding a lock on `<file>.lock`; readers never wait for it (write-ahead log).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, overload

from tuning.store.rows import (
    COLUMNS,
    FAIL,
    INSERT,
    Outcome,
    Record,
    Standing,
    error_text,
    metrics_of,
    names_of,
    row_of,
    trial_of,
)
from tuning.store.schema import StudyFileError, StudyWriteError, check, encode, file_errors, initialise, migrate
from tuning.store.trial import FAILED, PAUSED, PRUNED, Trial, TrialResult, TrialSpec

_TO_WRITE = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"


class StudyFile:
    """An open study file, or a study in memory (`path=None`)."""

    def __init__(self, path: Path | None, connection: sqlite3.Connection, lock: int | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        # Not __del__: in a cycle, Python may finalise the connection first, and warn that it was not closed.
        self._end = weakref.finalize(self, _close, os.getpid(), path, connection, lock)
        self._place = None if path is None else _place(path)

    @property
    def writable(self) -> bool:
        """True where trials can be added."""
        return self.path is None or self._lock is not None

    @classmethod
    def create(cls, path: Path | None, study: dict[str, Any]) -> Self:
        """Return a new study with the values of table `study`; a file that exists must be empty."""
        if path is None:
            memory = _connect(":memory:")
            initialise(memory, study)
            return cls(None, memory, None)
        with contextlib.ExitStack() as undo:
            lock = _acquire(path)
            undo.callback(_release, path, lock)
            if not path.exists():
                undo.callback(path.unlink, missing_ok=True)
            try:
                connection = _connect(str(path))
                undo.callback(connection.close)
                initialise(connection, study)
                connection.executescript(_TO_WRITE)
            except sqlite3.Error as error:
                raise StudyFileError(
                    f"storage must be a file that can be written, but {str(path)!r} can't: {error}"
                ) from None
            undo.pop_all()
        return cls(path, connection, lock)

    @classmethod
    def open(cls, path: Path, *, write: bool) -> Self:
        """Return the study that stands in a file, after checking that it is one and whole."""
        if not path.is_file():
            raise StudyFileError(
                f"a study file must exist at {str(path)!r}, but there is none; make one with: nn-tuning sweep"
            )
        _recover(path)
        with file_errors(path):
            with path.open("rb") as file:
                magic = file.read(18)
            if magic[:16] != b"SQLite format 3\0":
                raise StudyFileError(f"{str(path)!r} must be a study file, but is something else; name another file")
            # SQLite takes what is missing of a last page as zeros, and so would change a number of a curve.
            page = int.from_bytes(magic[16:], "big")
            page = page if page > 1 else 2**16
            if not os.path.exists(f"{path}-wal") and path.stat().st_size % page:
                raise StudyFileError(f"{str(path)!r} must be a whole study file, but is damaged: its end is cut off")
        with contextlib.ExitStack() as undo:
            lock = _acquire(path) if write else None
            undo.callback(_release, path, lock)
            connection = _connect(str(path)) if write else _connect_to_read(path)
            undo.callback(connection.close)
            with file_errors(path):
                check(path, connection)
                if write:
                    migrate(connection)
                    connection.executescript(_TO_WRITE)
            undo.pop_all()
        return cls(path, connection, lock)

    def add(self, results: Iterable[tuple[TrialSpec, TrialResult]]) -> None:
        """Write finished trials in one transaction; they are on the disk when this returns.

        One that is in the file already is left as it is, so that a call that was interrupted can be made again; one
        that is paused there goes on. Checkpoints come and go in the same transaction.
        """
        results = list(results)
        rows = [row_of(spec, result) for spec, result in results]
        failures = [
            (error_text(result), spec.number) for spec, result in results if spec.start and result.state == FAILED
        ]
        ended = [(spec.number,) for spec, result in results if spec.start and result.checkpoint is None]
        kept = [(spec.number, result.checkpoint) for spec, result in results if result.checkpoint is not None]
        self._write(
            (INSERT, rows),
            (FAIL, failures),
            ("DELETE FROM checkpoints WHERE number = ?", ended),
            ("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", kept),
        )

    def prune(self, over: Callable[[int], bool]) -> list[int]:
        """End the paused trials whose numbers are `over`, and return these numbers."""
        paused = self._query("SELECT number FROM trials WHERE state = ?", (PAUSED,))
        pruned = [row for row in paused if over(row[0])]
        if pruned:
            self._write(
                (f"UPDATE trials SET state = '{PRUNED}' WHERE number = ?", pruned),
                ("DELETE FROM checkpoints WHERE number = ?", pruned),
            )
        return [number for (number,) in pruned]

    def _write(self, *statements: tuple[str, list[Any]]) -> None:
        """Carry out statements, each for all its rows, in one transaction."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for sql, rows in statements:
                if rows:
                    self._connection.executemany(sql, rows)
            self._connection.execute("COMMIT")
            self._check_place()
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            raise StudyWriteError(
                f"{str(self.path)!r} could not be written: {error}; what was counted is saved"
            ) from None

    def _check_place(self) -> None:
        """Raise when the file is gone: what is written to a deleted one is lost, and SQLite does not say so."""
        if self.path is not None and _place(self.path) != self._place:
            raise StudyWriteError(f"{str(self.path)!r} was moved or deleted, and what it held went with it")

    def put(self, key: str, value: Any) -> None:
        """Set one value of table `study`."""
        self._write(("INSERT OR REPLACE INTO study VALUES (?, ?)", [(key, encode(value))]))

    def get(self, key: str) -> Any:
        """Return one value of table `study`, or None."""
        row = self._query("SELECT value FROM study WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def count(self) -> int:
        """Return how many trials have come back."""
        return int(self._query("SELECT COUNT(*) FROM trials").fetchone()[0])

    def identities(self) -> dict[int, str]:
        """Return the identity of each trial by its number."""
        return dict(self._query("SELECT number, identity FROM trials"))

    def standing(self, number: int) -> Standing | None:
        """Return how far a trial is; None for one that has not come back yet."""
        row = self._query("SELECT identity, state, epochs FROM trials WHERE number = ?", (number,)).fetchone()
        return None if row is None else Standing(*row)

    def checkpoint(self, number: int) -> bytes | None:
        """Return the bytes that a paused trial continues from."""
        row = self._query("SELECT content FROM checkpoints WHERE number = ?", (number,)).fetchone()
        return None if row is None else bytes(row[0])

    def epochs(self) -> dict[str, tuple[int, int]]:
        """Return, for each state, the number of trials and the epochs that they have done together."""
        rows = self._query("SELECT state, COUNT(*), SUM(epochs) FROM trials GROUP BY state")
        return {state: (count, epochs) for state, count, epochs in rows}

    def trial(self, number: int) -> Trial | None:
        """Return the trial of this number."""
        return next(self._trials("WHERE number = ?", number), None)

    def trial_at(self, index: int) -> Trial:
        """Return the finished trial at this place in the order of numbers."""
        return next(self._trials("ORDER BY number LIMIT 1 OFFSET ?", index))

    def trials(self) -> Iterator[Trial]:
        """Yield every trial by number."""
        return self._trials("ORDER BY number")

    def trials_of(self, setting: str) -> Iterator[Trial]:
        """Yield the trials of the setting with this text, by number."""
        return self._trials("WHERE params = ? ORDER BY number", setting)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of every trial by number; no curves are read."""
        for setting, state, metrics in self._query("SELECT params, state, metrics FROM trials ORDER BY number"):
            yield Outcome(setting, state, metrics_of(metrics))

    def records(self) -> Iterator[Record]:
        """Yield every trial by number as it stands in the file: four times as fast as `trials` where there are many."""
        columns = "params, repeat, fold, state, epochs, metrics, curve_names, curves, duration"
        for *plain, names, curves, seconds in self._query(f"SELECT {columns} FROM trials ORDER BY number"):
            yield Record._make([*plain, names_of(names), curves or b"", seconds])

    def first_error(self) -> str | None:
        """Return the error of the first trial that failed."""
        row = self._query("SELECT error FROM trials WHERE state = ? ORDER BY number LIMIT 1", (FAILED,)).fetchone()
        return None if row is None else str(row[0]).partition("\n")[0]

    def close(self) -> None:
        """Close the file. A writer merges its log, so that one plain file is left, which needs no log to be read."""
        self._end()
        self._lock = None

    def _trials(self, which: str, *values: int | str) -> Iterator[Trial]:
        for row in self._query(f"SELECT {COLUMNS} FROM trials {which}", values):
            yield trial_of(row)

    def _query(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise StudyFileError(f"{str(self.path)!r} must be a whole study file, but: {error}") from None


class Trials(Sequence[Trial]):
    """The finished trials of a study, read from its file one by one and never held in memory as a whole."""

    def __init__(self, file: StudyFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return self._file.count()

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        if isinstance(index, slice):
            return list(self)[index]
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"a trial's index must be below {length:,}, but got {index}")
        return self._file.trial_at(index % length)

    def __iter__(self) -> Iterator[Trial]:
        return self._file.trials()

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of every trial by number; no curves are read."""
        return self._file.outcomes()


def check_writable(path: Path) -> None:
    """Raise unless a study file can be made or continued at `path`; makes no file, but its folder."""
    with file_errors(path):
        if path.is_dir():
            raise StudyFileError(
                f"storage must be a file, but {str(path)!r} is a folder; try {str(path / 'study.db')!r}"
            )
        if path.exists() and not path.is_file():
            raise StudyFileError(f"storage must be a plain file, but {str(path)!r} is none")
        path.parent.mkdir(parents=True, exist_ok=True)
    _recover(path)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise StudyFileError(f"storage must be a file that can be written, but {str(path)!r} can't: permission denied")


def _place(path: Path) -> tuple[int, int] | None:
    """Return the numbers that tell a file from all others, or None where there is none."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _connect(name: str, *, uri: bool = False) -> sqlite3.Connection:
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


def _recover(path: Path) -> None:
    """Undo what a writer that was killed left half done, if there is such; who only reads has no right to.

    A study that was killed while it was made is an empty file from then on.
    """
    if not os.path.exists(f"{path}-journal"):
        return
    with contextlib.suppress(StudyFileError, sqlite3.Error):  # whoever opens the file next says what is wrong
        lock = _acquire(path)
        try:
            with contextlib.closing(_connect(str(path))) as connection:
                connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        finally:
            _release(path, lock)


def _acquire(path: Path) -> int:
    """Lock `<file>.lock` and return its descriptor: SQLite's own locks would stop readers or last only for moments."""
    beside = Path(f"{path}.lock")
    while True:
        with file_errors(path):
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


def _close(process: int, path: Path | None, connection: sqlite3.Connection, lock: int | None) -> None:
    if process != os.getpid():  # a forked worker has a copy, and must not end its parent's
        return
    if lock is not None:
        with contextlib.suppress(sqlite3.Error):
            connection.executescript("PRAGMA incremental_vacuum")  # execute would free one page alone
            connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    if path is not None:
        _release(path, lock)


def _release(path: Path, lock: int | None) -> None:
    if lock is not None:
        Path(f"{path}.lock").unlink(missing_ok=True)
        os.close(lock)
