# SPDX-License-Identifier: MIT
"""Recordings that a roller made by itself, each put into a file of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from firmware_protocol import codec
from firmware_protocol.codec import ProtocolError
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import SUFFIX, recordings_folder, reserve
from roller_host.sessions.store import Recorder, open_recording
from roller_host.sessions.unfinished import LOG_KIND
from roller_host.signal.ledger import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from roller_host.signal.record import Record

logger = logging.getLogger(__name__)


_SETTINGS: Final = ("STREAM_INFO", "CAL_READ", "GEOMETRY_READ", "LOG_SESSION")
"""Requests whose answers say how to read the roller's packets."""


class Settings:
    """What a roller has said about itself: without it its packets cannot be read."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def keep(self, record: Record) -> None:
        """Keep a record if it is one of those."""
        if record.source == "INFO":
            # It is read at each connection, the rest once in a session.
            if not self.records or _device_id(self.records[0]) != _device_id(record):
                self.records = [record]
        elif record.source == "CONTROL":
            op = record.payload[1:2] if record.direction == "in" else record.payload[:1]
            if op and codec.OP_NAME.get(op[0]) in _SETTINGS:
                self.records.append(record)


def _device_id(info: Record) -> bytes | None:
    with suppress(ProtocolError):
        return bytes(codec.decode_record("INFO", info.payload).device_id)
    return None


class Shelf:
    """Takes log packets, session by session; see ``link.errands.LogShelf`` for the contract.

    Parameters
    ----------
    meta : callable
        What to remember with a recording: versions, the roller.
    settings : Settings
        Stands at the beginning of each recording.
    on_progress : callable
        Told packets fetched and packets in all.
    folder : Path, optional
        Default `recordings_folder`.

    Attributes
    ----------
    finished : list of Path
        Recordings that are complete.
    problem : str
        Why one could not be written, in a sentence; the roller keeps what it holds of it.
    """

    def __init__(
        self,
        meta: Callable[[], Mapping[str, str]],
        settings: Settings,
        on_progress: Callable[[int, int], None],
        folder: Path | None = None,
    ) -> None:
        self.finished: list[Path] = []
        self._meta, self._settings, self._on_progress = meta, settings, on_progress
        self._folder = folder or recordings_folder()
        self._recorder: Recorder | None = None
        self.problem = ""

    async def begin(self, first: int, last: int, unix_us: int) -> bool:
        """Begin a recording of log packets ``first`` to ``last``, or go on with one that was interrupted.

        False when there is nowhere to record to.
        """
        if self._recorder:
            # The link was lost on the way.
            await asyncio.to_thread(self._recorder.close)
            self._recorder = None
        try:
            self._open(first, last, unix_us)
        except SessionError as error:
            self._fail(str(error))
        return self._recorder is not None

    def _open(self, first: int, last: int, unix_us: int) -> None:
        meta = {**self._meta(), "kind": LOG_KIND, "log_last": str(last)}
        path = self._interrupted(meta.get("device_id", ""), first, last)
        if path is not None:
            self._recorder = Recorder(path, None, self._fail)
            return
        began = datetime.fromtimestamp(unix_us * 1e-6, UTC).astimezone() if unix_us else datetime.now().astimezone()
        meta["created"] = began.isoformat(timespec="seconds")
        name = self._folder / f"{began:%Y-%m-%d_%H-%M-%S}_roller{SUFFIX}"
        for n in range(1, 1000):
            candidate = name if n == 1 else name.with_name(f"{name.stem}_{n}{SUFFIX}")
            if not candidate.exists():
                name = candidate
                break
        self._recorder = Recorder(reserve(name, began), meta, self._fail)
        for record in self._settings.records:
            self._recorder.record(record)

    def _fail(self, text: str) -> None:
        self.problem = text
        logger.error("%s", text)

    def _interrupted(self, device_id: str, first: int, last: int) -> Path | None:
        """Recording of the same log session that reaches at least up to packet ``first``.

        It reaches farther when the link was lost before the roller could free what was safe here already.
        """
        for path in self._folder.glob(f"*_roller*{SUFFIX}"):
            with suppress(SessionError, sqlite3.Error, TypeError):
                meta = open_recording(path).meta
                if (meta.get("kind"), meta.get("device_id"), meta.get("log_last")) != (LOG_KIND, device_id, str(last)):
                    continue
                newest = _last_number(path)
                if newest is not None and first - 1 <= newest <= last:
                    return path
        return None

    def record(self, record: Record) -> None:
        """Take a payload of the recording that was begun."""
        if self._recorder:
            self._recorder.record(record)

    async def settle(self) -> bool:
        """Wait until everything taken is on disk; False when it cannot be written."""
        if self._recorder is None or await asyncio.to_thread(self._recorder.settle):
            return True
        self.problem = self.problem or f"writing to {self._recorder.path} takes too long"
        return False

    def progress(self, n_fetched: int, n_packets: int) -> None:
        """Hand on how far it is."""
        self._on_progress(n_fetched, n_packets)

    async def finish(self) -> None:
        """Close the recording that was begun."""
        recorder, self._recorder = self._recorder, None
        if recorder:
            await asyncio.to_thread(recorder.close)
            self.finished.append(recorder.path)


def _last_number(path: Path) -> int | None:
    """Number of the newest log packet in a recording."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as db:
        row = db.execute("SELECT payload FROM records WHERE source = 'STREAM' ORDER BY n DESC LIMIT 1").fetchone()
    return number_of(row[0]) if row else None
