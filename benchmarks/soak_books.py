# SPDX-License-Identifier: MIT
"""The soak's books: what the roller made and held, and what of it stands in the recording."""

from __future__ import annotations

import struct
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np

from firmware_protocol import bulk, codec, layout
from roller_host.intake import Intake, open_file
from roller_host.signal.timebase import lay_out
from simulator.firmware.device import Device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator.firmware.device import Build

_ENTRY: Final = struct.Struct("<cII8s")
MADE, HELD, LET_GO = b"M", b"H", b"G"
"""A packet was made; was held when SESSION or STOP was answered; gave way to newer ones while a host listened."""
_PROMISES: Final = (codec.OP["SESSION"], codec.OP["STOP"])


def fingerprint(payload: bytes) -> bytes:
    """Of a packet, however often and in whatever way it was sent."""
    return blake2b(payload[2:], digest_size=8).digest()


class Books:
    """Entries in a file: in memory they would look like a leak."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")

    def note(self, kind: bytes, session_id: int, seq: int, mark: bytes = b"") -> None:
        """Write one entry."""
        self._file.write(_ENTRY.pack(kind, session_id, seq, mark))

    def close(self) -> None:
        """Finish."""
        self._file.close()

    def entries(self) -> Iterator[tuple[bytes, int, int, bytes]]:
        """All entries."""
        yield from _ENTRY.iter_unpack(self.path.read_bytes())


class WitnessedDevice(Device):
    """A device that keeps books of its packets."""

    def __init__(self, seed: int, build: Build, books: Books) -> None:
        self._books = books
        self._noted = (0, 0)
        self._ring: set[int] = set()
        super().__init__(seed, build=build)

    def advance(self, now_us: int, room: int = 8) -> list[bytes]:
        """Note what was made and what gave way."""
        sent = super().advance(now_us, room)
        self._note(sent)
        return sent

    def request(self, payload: bytes, now_us: int) -> bytes:
        """Note what is held when that is told."""
        response = super().request(payload, now_us)
        if payload[0] in _PROMISES and response[2] == 0:
            self._note([])
            for seq in self.stream.ring.held(0, 0xFFFFFFFF):
                self._books.note(HELD, self.stream.session_id, seq)
        return response

    def _note(self, sent: list[bytes]) -> None:
        now, (session_id, seq) = self.stream, self._noted
        if now.session_id != session_id:
            session_id, seq, self._ring = now.session_id, 0, set()
        if not session_id:
            return
        live = {int.from_bytes(payload[2:6], "little"): payload for payload in sent if payload[0] == layout.PTYPE_LIVE}
        packets = now.ring._packets  # noqa: SLF001 - a witness looks without touching
        for number in range(seq, now.seq):
            payload = packets.get(number) or live.get(number) or b""
            self._books.note(MADE, session_id, number, fingerprint(payload))
        for number in self._ring - packets.keys():
            if self._hears:
                self._books.note(LET_GO, session_id, number)
        self._noted, self._ring = (session_id, now.seq), set(packets)


def audit(path: Path, books: Books) -> Counter[str]:
    """Compare a recording with the books."""
    names: dict[bytes, tuple[int, int]] = {}
    held: set[tuple[int, int]] = set()
    let_go: set[tuple[int, int]] = set()
    for kind, session_id, seq, mark in books.entries():
        if kind == MADE:
            names[mark] = session_id, seq
        else:
            (held if kind == HELD else let_go).add((session_id, seq))
    found: Counter[str] = Counter(packets_sent=len(names))
    opened = open_file(path)
    intake = Intake(opened.params)
    came: set[tuple[int, int]] = set()
    for record in opened.records:
        intake.take(record)
        if record.source == "STREAM" and (name := names.get(fingerprint(record.payload))):
            resent = record.payload[0] == layout.PTYPE_BACKFILL
            found["resent_notifications"] += resent
            found["packets_backfilled"] += resent and name not in came
            found["duplicate_notifications"] += name in came
            came.add(name)
    placed: Counter[tuple[int, int]] = Counter()
    for heard in intake.sessions():
        names_here = [names.get(fingerprint(payload)) for payload in _placed(heard.payloads, heard.from_start)]
        known = [name for name in names_here if name]
        placed.update(known)
        found["foreign"] += len(names_here) - len(known)
        majority = Counter(session_id for session_id, _ in known).most_common(1)
        found["misplaced"] += sum(session_id != majority[0][0] for session_id, _ in known)
        found["disordered"] += known != sorted(known)
        found["sessions"] += 1
    found["packets_recorded"] = len(placed)
    found["duplicates"] = sum(placed.values()) - len(placed)
    missing = set(names.values()) - set(placed)
    found["packets_owed"] = len(missing & held)
    found["lost_in_reach"] = len(missing & let_go)
    found["packets_unrecoverable"] = len(missing - held)
    found["came_not_placed"] = len(came - set(placed))
    return found


def _placed(payloads: list[bytes], from_start: bool) -> list[bytes]:
    """Payloads of a session in the order of its timeline."""
    packets = bulk.decode_packets(payloads, {})
    good = np.setdiff1d(np.arange(len(packets.seq)), list(packets.refused))
    spans_us = np.zeros(len(packets.seq), np.int64)
    for stream in packets.streams.values():
        np.maximum.at(spans_us, stream.packet, stream.offset_us + stream.period_us * stream.n_samples)
    laid = lay_out(packets.seq[good], packets.t0_us[good], spans_us[good], from_start=from_start)
    return [payloads[i] for i in good[laid.packet].tolist()]
