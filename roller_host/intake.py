# SPDX-License-Identifier: MIT
"""What a file holds, sorted by session: packets as they came, and what the device said about itself."""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from firmware_protocol import bulk, codec, layout
from firmware_protocol.codec import ProtocolError
from roller_host.pipeline import Pipeline
from roller_host.sessions.errors import SessionError
from roller_host.sessions.source import open_source, params_from_json
from roller_host.sessions.store import APPLICATION_ID, SCHEMA_VERSION, Recording
from roller_host.signal.comfort import Band
from roller_host.signal.core import SignalParams
from roller_host.signal.ledger import is_since
from roller_host.signal.timebase import new_beginnings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roller_host.signal.calibration import DeviceModel
    from roller_host.signal.record import Record

LIVE, OFFLINE_LOG = "live", "offline log"
_CLOCK_BREAK = codec.bit(layout.PACKET_FLAGS, "CLOCK_BREAK")
_LIVE = bytes([layout.PTYPE_LIVE])
_LOG = bytes([layout.PTYPE_LOG])


@dataclass(frozen=True)
class Opened:
    """A file, ready to be analysed."""

    path: Path
    records: Iterator[Record]
    """In order of arrival; may raise `SessionError` while read."""
    params: SignalParams
    params_source: str
    """Where they come from, in words."""


@dataclass
class Heard:
    """Packets of one session as they came."""

    source: str
    """`LIVE` or `OFFLINE_LOG`."""
    model: DeviceModel
    from_start: bool = False
    """The session's START is in the file."""
    began_unix_s: float | None = None
    """Time of day at its beginning, as far as the device said, s."""
    payloads: list[bytes] = field(default_factory=list[bytes])


def open_file(path: Path) -> Opened:
    """Open a recording or a capture for analysis.

    Unlike for a replay, parameters that another version wrote are no obstacle: this version's tuning is used then,
    with the thresholds of the recording where these can be read.

    Raises
    ------
    SessionError
        When there is no such file, or it is neither.
    """
    try:
        records, params, recording = open_source(path)
    except SessionError as error:
        return _salvage(path, error)
    return Opened(path, records, params, "the recording" if recording else "defaults of this version")


def _salvage(path: Path, error: SessionError) -> Opened:
    """Open a recording whose parameters or whose stored summary cannot be read; else raise ``error``."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as db:
            application, version = (
                db.execute(f"PRAGMA {key}").fetchone()[0] for key in ("application_id", "user_version")
            )
            row = db.execute("SELECT value FROM meta WHERE key = 'params'").fetchone()
    except (sqlite3.Error, ValueError):
        raise error from None
    if application != APPLICATION_ID or version > SCHEMA_VERSION:
        raise error
    records, text = Recording(path, {}, None).records(), str(row[0]) if row else ""
    with suppress(SessionError):
        return Opened(path, records, params_from_json(text), "the recording")
    bands = _bands(text)
    source = "defaults of this version, which does not understand those of the recording"
    return Opened(path, records, SignalParams(bands=bands), source + (", with its thresholds" if bands else ""))


def _bands(text: str) -> dict[tuple[str, str], Band]:
    """Thresholds in parameters of another version; empty when not even they can be read."""
    try:
        rows = json.loads(text)["bands"]
        bands = {(str(zone), str(side)): Band(*map(float, edges)) for zone, side, *edges in rows}
    except (ValueError, KeyError, TypeError):
        return {}
    return bands if all(map(math.isfinite, itertools.chain.from_iterable(bands.values()))) else {}


class Intake:
    """Sorts records by session.

    Parameters
    ----------
    params : SignalParams
        Tuning and thresholds.
    """

    def __init__(self, params: SignalParams) -> None:
        self.pipeline = Pipeline(params)
        """Sees no packet; it learns about the device."""
        self._live = [Heard(LIVE, self.pipeline.model)]
        self._asked: dict[int, int] = {}
        """Tag of each START under way -> how many payloads had come when it was asked for."""
        self._log: list[bytes] = []
        self._log_began_us: dict[tuple[int, int], int] = {}

    def take(self, record: Record) -> None:
        """Take in the next record, in order of arrival.

        Raises
        ------
        VersionError
            For an INFO record of another protocol major.
        """
        if record.source == "STREAM":
            (self._log if record.payload[:1] == _LOG else self._live[-1].payloads).append(record.payload)
            return
        self.pipeline.feed(record)
        if record.source == "CONTROL":
            with suppress(ProtocolError):
                if record.direction == "in":
                    self._heed(codec.decode_response(record.payload))
                elif codec.OP_NAME.get((request := codec.decode_request(record.payload)).op) == "START":
                    self._asked[request.tag] = len(self._live[-1].payloads)

    def _heed(self, response: codec.Response) -> None:
        name = codec.OP_NAME.get(response.op)
        if response.reply is None:
            return
        if name == "START":
            self._begin(response.tag, response.reply.t_us)
        elif name == "LOG_SESSION":
            self._log_began_us[response.reply.first, response.reply.last] = response.reply.unix_us
        # What was learnt later holds for the whole session, as does what was learnt before it.
        self._live[-1].model = self.pipeline.model

    def _begin(self, tag: int, start_us: int) -> None:
        """Begin a session; its first packets may have been faster than the response to START."""
        came = self._live[-1].payloads
        n_before = self._asked.pop(tag, len(came))
        early = [payload for payload in came[n_before:] if is_since(payload, start_us)]
        came[n_before:] = [payload for payload in came[n_before:] if not is_since(payload, start_us)]
        self._live.append(Heard(LIVE, self.pipeline.model, from_start=True, payloads=early))
        self._asked = dict.fromkeys(self._asked, 0)

    def sessions(self) -> Iterator[Heard]:
        """All sessions with a payload: live ones in order of their STARTs, then those of the offline log."""
        for heard in self._live:
            if heard.payloads:
                yield from _divided(heard)
        if self._log:
            yield from self._logged()

    def _logged(self) -> Iterator[Heard]:
        """Recordings without a host: each begins with a packet that says so."""
        packets = bulk.decode_packets(self._log, self.pipeline.sizes)
        order = np.argsort(packets.seq, kind="stable")
        seq, flags = packets.seq[order], packets.flags[order]
        begins = flags & _CLOCK_BREAK != 0
        begins[1:] &= seq[1:] != seq[:-1]  # sent twice
        edges = sorted({0, *np.flatnonzero(begins).tolist(), len(order)})
        for begin, end in itertools.pairwise(edges):
            began_us = [us for (first, last), us in self._log_began_us.items() if first <= seq[begin] <= last and us]
            heard = Heard(OFFLINE_LOG, self.pipeline.model, began_unix_s=began_us[0] * 1e-6 if began_us else None)
            heard.payloads = [self._log[i] for i in order[begin:end].tolist()]
            yield heard


def _divided(heard: Heard) -> Iterator[Heard]:
    """Sessions of which no START was seen, told apart by their packet numbers."""
    live = [i for i, payload in enumerate(heard.payloads) if payload[:1] == _LIVE]
    numbers = [int.from_bytes(heard.payloads[i][2:6], "little") for i in live]
    edges = [0, *(live[i] for i in new_beginnings(np.array(numbers, np.uint32)).tolist()), len(heard.payloads)]
    for begin, end in itertools.pairwise(edges):
        from_start = heard.from_start and begin == 0
        yield Heard(LIVE, heard.model, from_start, None, heard.payloads[begin:end])
