# SPDX-License-Identifier: MIT
"""Where the device keeps packets: a ring of sent ones in RAM, a log in flash, and transfers out of either."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from firmware_protocol import codec, layout
from simulator.firmware.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

RING_B = 64 * 1024
"""33 s of default packets."""
LOG_B = 1024 * 1024
"""8.8 minutes of default packets."""
MOMENT = 16
"""How long the answer to SESSION holds, in packets: about a second."""
_LAST = codec.bit(layout.PACKET_FLAGS, "LAST")


class Ring:
    """Live packets of the present session, verbatim; the oldest give way unless a transfer still needs them."""

    def __init__(self) -> None:
        self._packets: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0
        self._pinned = range(0)
        self._moment = 0
        """Packets until what `hold` keeps may be dropped again."""

    def keep(self, seq: int, payload: bytes) -> None:
        """Store one packet and drop what no longer fits."""
        self._packets[seq] = payload
        self._size += len(payload)
        if self._moment:
            self._moment -= 1
            if not self._moment:
                self.release()
        while self._size > RING_B:
            oldest = next((held for held in self._packets if held not in self._pinned), seq)
            self._size -= len(self._packets.pop(oldest))

    def first(self) -> int | None:
        """Oldest packet held; None when there is none."""
        return next(iter(self._packets), None)

    def held(self, first: int, last: int) -> list[int]:
        """Numbers of the packets held from ``first`` to ``last``, ascending."""
        return [seq for seq in self._packets if first <= seq <= last]

    def longest(self, numbers: list[int]) -> int:
        """Length of the longest of these packets, B."""
        return max(len(self._packets[seq]) for seq in numbers)

    def hold(self) -> None:
        """Keep everything for a moment, so that a host that learnt what is there can ask for it."""
        if not self._pinned and self._packets:
            self._pinned, self._moment = range(next(iter(self._packets)), next(reversed(self._packets)) + 1), MOMENT

    def read(self, numbers: list[int]) -> Iterator[bytes]:
        """Read packets one after the other; none of them is dropped from now on until it was read."""
        self._pinned, self._moment = range(numbers[0], numbers[-1] + 1), 0
        return self._read(numbers)

    def _read(self, numbers: list[int]) -> Iterator[bytes]:
        for i, seq in enumerate(numbers):
            self._pinned = range(seq, numbers[-1] + 1)
            yield _resent(self._packets[seq], layout.PTYPE_BACKFILL, last=i == len(numbers) - 1)
        self.release()

    def release(self) -> None:
        """End the transfer: what it needed may be dropped again."""
        self._pinned, self._moment = range(0), 0


@dataclass
class LoggedSession:
    """One recording without a host."""

    first: int
    last: int
    unix_us: int
    """Time of day at its beginning, UTC; 0 when the device did not know."""


class Log:
    """Flash: packets numbered for ever, freed only when the host says that it has them."""

    def __init__(self) -> None:
        self._packets: deque[bytes] = deque()
        self._first = 0
        self._open = False
        self.used_b = 0
        self._sessions: list[LoggedSession] = []

    @property
    def first(self) -> int:
        """Oldest packet held."""
        return self._first

    @property
    def next(self) -> int:
        """Number of the next packet."""
        return self._first + len(self._packets)

    @property
    def sessions(self) -> list[LoggedSession]:
        """Sessions of which packets are held, oldest first."""
        return [session for session in self._sessions if session.first <= session.last]

    def has_room(self, length: int) -> bool:
        """Whether a packet of ``length`` bytes fits."""
        return self.used_b + length <= LOG_B

    def begin(self, unix_us: int) -> None:
        """Open a session; it appears in the list with its first packet."""
        self._sessions.append(LoggedSession(self.next, self.next - 1, unix_us))
        self._open = True

    def end(self) -> None:
        """Close the session; an empty one leaves no trace."""
        if self._open and self._sessions[-1].last < self._sessions[-1].first:
            self._sessions.pop()
        self._open = False

    def append(self, payload: bytes) -> None:
        """Store the next packet of the open session."""
        self._sessions[-1].last = self.next
        self._packets.append(payload)
        self.used_b += len(payload)

    def read(self, first: int, count: int) -> list[bytes]:
        """Copies of up to ``count`` packets, ready to send.

        Raises
        ------
        RefusalError
            When the first of them is not held.
        """
        if not self._first <= first < self.next:
            raise RefusalError("RANGE_GONE")
        packets = list(islice(self._packets, first - self._first, first - self._first + count))
        return [_resent(p, layout.PTYPE_LOG, last=i == len(packets) - 1) for i, p in enumerate(packets)]

    def advance(self, until: int) -> None:
        """Free all packets before ``until``; a session that is being recorded goes on."""
        while self._first < until:
            self.used_b -= len(self._packets.popleft())
            self._first += 1
        self._sessions = [
            LoggedSession(max(session.first, until), session.last, session.unix_us)
            for session in self._sessions
            if session.last >= until or (self._open and session is self._sessions[-1])
        ]

    def erase(self) -> None:
        """Forget everything; numbering goes on."""
        self.advance(self.next)


def _resent(payload: bytes, ptype: int, *, last: bool) -> bytes:
    return bytes((ptype, payload[1] | (_LAST if last else 0))) + payload[2:]
