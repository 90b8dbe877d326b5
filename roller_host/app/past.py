# SPDX-License-Identifier: MIT
"""A session that was cut off: brought to where it ended, from its recording, to go on with it or to end it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from firmware_protocol import codec, layout
from firmware_protocol.codec import ProtocolError, VersionError
from roller_host.link.bookmark import Bookmark
from roller_host.pipeline import Pipeline
from roller_host.sessions.errors import SessionError
from roller_host.sessions.shelf import Settings
from roller_host.sessions.source import params_from_json
from roller_host.sessions.store import Recorder, is_under_way, open_recording
from roller_host.signal.ledger import Ledger, number_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roller_host.signal.record import Record

logger = logging.getLogger(__name__)

BATCH: Final = 256
"""Records that are read at a time."""


class Past:
    """What a session was when it was cut off.

    Parameters
    ----------
    path : Path
        Its recording.

    Attributes
    ----------
    pipeline : Pipeline
        With the session's own parameters.
    bookmark : Bookmark
    settings : Settings
    began : str
        When the session began, ISO 8601 with its time zone.
    last_s : float
        Stamp of the last record read, s since the session began.

    Raises
    ------
    SessionError
        When the file is no recording, it is complete, or another program has it open.
    """

    def __init__(self, path: Path) -> None:
        self._recording = open_recording(path)
        if self._recording.estimates is not None:
            raise SessionError(f"{path} is complete: it cannot be gone on with. Begin a new session")
        if is_under_way(path):
            raise SessionError(f"{path} is in use by another program. Close that, or begin a new session")
        self.pipeline = Pipeline(params_from_json(self._recording.meta.get("params", "")))
        self.bookmark, self.settings = Bookmark(), Settings()
        self.began, self.last_s = self._recording.meta.get("created", ""), 0.0

    def read(self) -> Iterator[float]:
        """Read everything, some records at a time; yields `last_s` in between, since a long session takes a while.

        Raises
        ------
        SessionError
            When the recording is damaged.
        """
        for n_read, record in enumerate(self._recording.records()):
            self.last_s = record.t_s
            # An INFO of a wrong version was reported when it came.
            with suppress(VersionError):
                self.pipeline.feed(record)
            follow(self.bookmark, record)
            self.settings.keep(record)
            if n_read % BATCH == 0:
                yield self.last_s


def complete(path: Path) -> None:
    """End a session that was cut off as it is.

    Raises
    ------
    SessionError
        When the file is no recording, is complete already, or cannot be written.
    """
    past = Past(path)
    for _ in past.read():
        pass
    recorder = Recorder(path, None, logger.error)
    recorder.act(past.last_s, "ended", "as it was when it was cut off")
    recorder.close(past.pipeline.summary())


def follow(bookmark: Bookmark, record: Record) -> None:
    """Bring a bookmark forward by one record."""
    if record.direction == "out":
        return
    if record.source == "STREAM" and record.payload[:1] in (bytes([layout.PTYPE_LIVE]), bytes([layout.PTYPE_BACKFILL])):
        bookmark.ledger.add(number_of(record.payload))
        return
    with suppress(ProtocolError):
        if record.source == "INFO":
            info = codec.decode_record("INFO", record.payload)
            bookmark.device_id, bookmark.boot_id = bytes(info.device_id), info.boot_id
            bookmark.security_mode = info.security_mode
        elif record.source == "CONTROL":
            response = codec.decode_response(record.payload)
            if codec.OP_NAME.get(response.op) == "START" and response.reply is not None:
                bookmark.session_id, bookmark.ledger = response.reply.session_id, Ledger()
