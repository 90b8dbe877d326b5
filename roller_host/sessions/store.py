# SPDX-License-Identifier: MIT
"""A recording: one SQLite file per session with every payload that crossed the link, verbatim and in order.

Tables: ``meta`` (key, value), ``records`` (what crossed the link), ``actions`` (what the person and the program did),
``estimates`` (what the signal core made of it at the time; never needed, since a replay makes it again).
"""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from roller_host.sessions.errors import SessionError
from roller_host.signal.record import Record, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
APPLICATION_ID = 0x524F4C31
"""Marks the file as ours in SQLite's header: "ROL1"."""

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE records (
    n INTEGER PRIMARY KEY, t_s REAL NOT NULL, source TEXT NOT NULL, direction TEXT NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE actions (n INTEGER PRIMARY KEY, t_s REAL NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE estimates (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_INSERT_RECORD = "INSERT INTO records (t_s, source, direction, payload) VALUES (?, ?, ?, ?)"
_INSERT_ACTION = "INSERT INTO actions (t_s, action, detail) VALUES (?, ?, ?)"
_INSERT_ESTIMATE = "INSERT OR REPLACE INTO estimates (key, value) VALUES (?, ?)"
COMMIT_S = 0.5
"""Longest time that a payload waits in memory, s."""
CACHE_KIB = 256
"""Pages that the writer keeps in memory, KiB: rows are only appended, and those written are not looked at again. SQLite
itself would keep 2 MiB, which take ten minutes to fill."""


class Recorder:
    """Writes a recording from a thread of its own.

    Parameters
    ----------
    path : Path
        An empty file made by `folder.reserve`.
    meta : mapping or None
        What to remember about the session: versions, parameters, time of day. None goes on with a recording.
    on_error : callable
        Told once, in a sentence, when writing fails; from the writer's thread.

    Raises
    ------
    SessionError
        When the file cannot be opened for writing.
    """

    def __init__(self, path: Path, meta: Mapping[str, str] | None, on_error: Callable[[str], None]) -> None:
        self.path = path
        self._on_error = on_error
        self._queue: queue.SimpleQueue[tuple[str, tuple[Any, ...]] | threading.Event | None] = queue.SimpleQueue()
        # Open from the first moment to the last: that is how others see that the recording is under way.
        self._db = self._goes_on() if meta is None else self._create(meta)
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def _create(self, meta: Mapping[str, str]) -> sqlite3.Connection:
        path, db = self.path, None
        try:
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            db.executescript(_SCHEMA)
            db.execute("BEGIN")
            db.executemany("INSERT INTO meta VALUES (?, ?)", list(meta.items()))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            if db:
                db.close()
            # The reserved file holds nothing yet; it must not stand in the way of the next try.
            with suppress(OSError):
                path.unlink()
            raise SessionError(f"cannot record to {path}: {error}") from error
        return db

    def _goes_on(self) -> sqlite3.Connection:
        open_recording(self.path)
        try:
            db = _connect(self.path, check_same_thread=False)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("SELECT 1 FROM meta")
        except sqlite3.Error as error:
            raise SessionError(f"cannot record to {self.path}: {error}") from error
        return db

    def record(self, record: Record) -> None:
        """Take a payload to be written; returns at once. After a failure to write there is nobody to take it."""
        if self._thread.is_alive():
            self._queue.put((_INSERT_RECORD, record))

    def act(self, t_s: float, action: str, detail: str = "") -> None:
        """Take note of what the person or the program did at ``t_s``, s since the session began."""
        self._queue.put((_INSERT_ACTION, (t_s, action, detail)))

    def settle(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything taken so far is on disk, at most ``timeout_s``; False when it is not."""
        done = threading.Event()
        self._queue.put(done)
        return self._thread.is_alive() and done.wait(timeout_s)

    def close(self, estimates: Mapping[str, object] | None = None) -> None:
        """Write what is left, and the session's summary, then close the file."""
        if not self._thread.is_alive():
            return
        if estimates is not None:
            # Piece by piece: `json.dumps` holds all pieces at once, which take several times what they amount to.
            text = bytearray()
            for piece in json.JSONEncoder().iterencode(estimates):
                text += piece.encode()
            self._queue.put((_INSERT_ESTIMATE, ("summary", text.decode())))
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        try:
            with closing(self._db) as db:
                db.execute("PRAGMA synchronous = FULL")
                db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                while self._write_batch(db):
                    pass
                # A finished recording is one plain file, which can be copied and read from anywhere. While somebody
                # else reads it, it stays as it is; nothing is lost by that.
                with suppress(sqlite3.OperationalError):
                    db.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            logger.debug("recording stopped", exc_info=error)
            self._on_error(f"Recording stopped: {error}. What was written so far is safe in {self.path}.")

    def _write_batch(self, db: sqlite3.Connection) -> bool:
        """Collect for half a second, then commit; False at the end."""
        batch, goes_on = [self._queue.get()], True
        deadline = time.monotonic() + COMMIT_S
        while isinstance(batch[-1], tuple):
            try:
                batch.append(self._queue.get(timeout=max(deadline - time.monotonic(), 0)))
            except queue.Empty:
                break
        if batch[-1] is None:
            batch.pop()
            goes_on = False
        db.execute("BEGIN")
        for item in batch:
            if isinstance(item, tuple):
                db.execute(*item)
        db.execute("COMMIT")
        for item in batch:
            if isinstance(item, threading.Event):
                item.set()
        return goes_on


@dataclass(frozen=True)
class Recording:
    """A recording opened for reading."""

    path: Path
    meta: Mapping[str, str]
    estimates: Mapping[str, Any] | None
    """Summary stored by the live session; None when there is none."""

    def span_s(self) -> tuple[float, float] | None:
        """Stamps of the first and the last payload, s; None when there is none, or the file is damaged."""
        with suppress(sqlite3.Error), closing(_connect(self.path)) as db:
            first = db.execute("SELECT t_s FROM records ORDER BY n LIMIT 1").fetchone()
            last = db.execute("SELECT t_s FROM records ORDER BY n DESC LIMIT 1").fetchone()
            if first and isinstance(first[0], float) and isinstance(last[0], float):
                return first[0], last[0]
        return None

    def records(self) -> Iterator[Record]:
        """Every payload in order of arrival."""
        try:
            with closing(_connect(self.path)) as db:
                for row in db.execute("SELECT t_s, source, direction, payload FROM records ORDER BY n"):
                    yield _record(row)
        except (sqlite3.Error, ValueError) as error:
            # SQLite quotes damaged names in its errors, which then cannot be decoded: a ValueError.
            raise SessionError(f"{self.path} is damaged: {error}. What stands before the damage was read.") from error


def _record(row: tuple[Any, ...]) -> Record:
    """Read a row; SQLite keeps no promise about the types in a file that was damaged."""
    t_s, source, direction, payload = row
    known = source in get_args(Source) and direction in ("in", "out")
    if not (known and isinstance(t_s, float | int) and isinstance(payload, bytes)):
        raise sqlite3.DataError("a row is no payload")
    return Record(t_s, source, direction, payload)


def _connect(path: Path, **options: Any) -> sqlite3.Connection:
    # Not read-only: after a crash SQLite must be allowed to bring in what stands in the log beside the file.
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, **options)


def is_under_way(path: Path) -> bool:
    """Whether some program, this one included, is writing a recording, or reading one that was cut off.

    A recording in WAL mode leaves that mode only when nobody else has it open, see
    https://www.sqlite.org/pragma.html#pragma_journal_mode; and the system closes the files of a program that ended,
    however it ended. A recording that is not in WAL mode is not being written.

    Raises
    ------
    SessionError
        When that cannot be found out.
    """
    try:
        with closing(_connect(path, timeout=0)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return True
        raise SessionError(f"cannot read {path}: {error}") from error
    except sqlite3.Error as error:
        raise SessionError(f"cannot read {path}: {error}") from error
    return False


def open_recording(path: Path) -> Recording:
    """Open a recording.

    Raises
    ------
    SessionError
        When the file is no recording, is damaged, or was made by a newer version.
    """
    try:
        with closing(_connect(path)) as db:
            if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise SessionError(f"{path} is a SQLite file, but no recording of this program")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise SessionError(f"{path} was made by a newer version (schema {version}): update this program")
            meta = dict(db.execute("SELECT key, value FROM meta"))
            has_estimates = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'estimates'").fetchone()
            stored = (
                db.execute("SELECT value FROM estimates WHERE key = 'summary'").fetchone() if has_estimates else None
            )
            return Recording(path, meta, json.loads(stored[0]) if stored else None)
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise SessionError(f"cannot read {path}: {error}") from error
