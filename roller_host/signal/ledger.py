# SPDX-License-Identifier: MIT
"""Which packets of a session have arrived, and which are missing."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

FARTHEST: Final = 20_000
"""Packets that may be missing at a stretch (20 minutes at the default rate): a number farther ahead is not believed."""


def number_of(payload: bytes) -> int:
    """Packet number in a STREAM payload, without decoding the rest; what is too short for one gives some number."""
    return int.from_bytes(payload[2:6], "little")


def is_since(payload: bytes, start_us: int) -> bool:
    """Whether a STREAM payload is of the session that began at ``start_us`` of the device's clock, or of one before.

    Decides for what is recent: the clock in a payload wraps every 71.6 minutes.
    """
    return (int.from_bytes(payload[6:10], "little") - start_us) % (1 << 32) < 1 << 31


class Ledger:
    """Numbers of the packets of one session; memory grows with what is missing, not with what is there."""

    def __init__(self) -> None:
        self.newest = -1
        """Highest number that was made as far as is known; -1 when there is none."""
        self.n_duplicates = 0
        """Packets that had arrived before."""
        self._missing: set[int] = set()
        self._gone: set[int] = set()

    def add(self, seq: int) -> bool:
        """Note a packet that arrived; False when it was here already, or cannot belong to this session."""
        if self.reach(seq - 1) and seq > self.newest:
            self.newest = seq
        elif seq in self._missing or seq in self._gone:
            self._missing.discard(seq)
            self._gone.discard(seq)
        else:
            self.n_duplicates += seq <= self.newest
            return False
        return True

    def reach(self, newest: int) -> bool:
        """Note that packets up to ``newest`` were made, arrived or not; False when that is beyond belief."""
        if newest > self.newest + FARTHEST:
            return False
        self._missing.update(range(self.newest + 1, newest + 1))
        self.newest = max(self.newest, newest)
        return True

    def give_up(self, first: int, last: int) -> None:
        """Note that those of the packets from ``first`` to ``last`` that are missing will not arrive."""
        lost = {seq for seq in self._missing if first <= seq <= last}
        self._missing -= lost
        self._gone |= lost

    @property
    def n_missing(self) -> int:
        """Packets that have not arrived and still may."""
        return len(self._missing)

    @property
    def n_gone(self) -> int:
        """Packets that will not arrive."""
        return len(self._gone)

    @property
    def n_packets(self) -> int:
        """Packets that arrived, each counted once."""
        return self.newest + 1 - self.n_missing - self.n_gone

    def missing(self) -> list[tuple[int, int]]:
        """Ranges (first, last) of what is missing, ascending."""
        numbers = sorted(self._missing)
        if not numbers:
            return []
        breaks = [(a, b) for a, b in pairwise(numbers) if b > a + 1]
        return list(zip([numbers[0], *(b for _, b in breaks)], [*(a for a, _ in breaks), numbers[-1]], strict=True))
