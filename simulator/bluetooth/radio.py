# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""One controller's antenna, and one end of a connection: what is heard, when something is sent, what is lost."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from typing import TYPE_CHECKING, Final

from bumble import hci

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bumble.controller import Connection

SUPERVISION_TIMEOUT: Final = int(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
"""Reason 0x08: the peer was not heard any more."""
NOT_ESTABLISHED: Final = int(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)
"""Reason 0x3E: the peer never answered."""
PACKETS_PER_EVENT: Final = 6
"""Packets that one end can send in one connection event."""
EVENTS_TO_ESTABLISH: Final = 6
"""Connection events without an answer after which a new connection is given up."""
SENSITIVITY_DBM: Final = -94.0
"""What is weaker is not heard at all."""
LEVEL_AT_1_M_DBM: Final = -55.0
PATH_LOSS_EXPONENT: Final = 2.2
"""Between free space (2) and a furnished room (3)."""
FADING_DB: Final = 2.5
"""Standard deviation of the level from packet to packet."""
NEAR_M: Final = 0.1

_NOTIFICATION: Final = b"\x04\x00\x1b"
"""L2CAP channel of ATT and the opcode, after the length."""
_VALUE_AT: Final = 7
"""Where the value of a notification begins: length 2, channel 2, opcode 1, handle 2."""


def level_dbm(distance_m: float) -> float:
    """Mean signal strength at a distance, by the log-distance path-loss model."""
    return LEVEL_AT_1_M_DBM - 10 * PATH_LOSS_EXPONENT * math.log10(max(distance_m, NEAR_M))


class Radio:
    """Antenna of one controller, with everything that can go wrong behind it.

    Parameters
    ----------
    seed : str
        Draws fading and losses: the same seed and the same packets give the same ones.
    distance_m : float
        Distance from the place where the hosts are, m.
    on_change : callable
        Called when somebody may be heard now who was not, or the other way round.
    """

    held = False
    """Whether the peer keeps the connection but takes no packets."""
    lost_share = duplicate_share = garbage_share = late_share = 0.0
    """Shares of the sent notifications, 0 to 1, that vanish, come twice, come as noise, come ``late_s`` later."""
    late_s = 0.5
    jitter_s = 0.0
    """Longest random delay of whatever is sent, s; the order is kept."""

    def __init__(self, seed: str, distance_m: float, on_change: Callable[[], None]) -> None:
        self._home_m = self.distance_m = distance_m
        self.silent = False
        self.n_lost = self.n_duplicates = self.n_garbage = self.n_late = 0
        self._on_change = on_change
        self._random = random.Random(seed)
        self._queue: deque[tuple[float, Callable[[bytes], None], bytes]] = deque()

    def place(self, distance_m: float) -> None:
        """Put the device at a distance from the hosts, m, where it belongs; 60 m are out of range."""
        self._home_m = distance_m
        self.carry(distance_m)

    def carry(self, distance_m: float | None) -> None:
        """Carry the device to another distance, m, for the time being; None brings it back."""
        self.distance_m = self._home_m if distance_m is None else distance_m
        self._on_change()

    def silence(self, on: bool) -> None:
        """Neither send nor hear anything while ``on``."""
        self.silent = on
        self._on_change()

    def hears(self, other: Radio) -> bool:
        """Whether the two antennas reach each other."""
        reached = level_dbm(self.distance_m + other.distance_m) >= SENSITIVITY_DBM
        return reached and not (self.silent or other.silent)

    def rssi_dbm(self, other: Radio) -> int:
        """Strength of one packet from another antenna, dBm, as a controller reports it."""
        level = level_dbm(self.distance_m + other.distance_m) + self._random.gauss(0, FADING_DB)
        return round(min(max(level, -127), 20))

    def send(self, pdu: bytes, deliver: Callable[[bytes], None]) -> None:
        """Send one PDU of a connection.

        Parameters
        ----------
        pdu : bytes
            L2CAP PDU.
        deliver : callable
            Called for each copy that arrives, when it does.
        """
        for copy, late in self._arrivals(pdu):
            if late:
                asyncio.get_running_loop().call_later(self.late_s, deliver, copy)
            else:
                self._send_in_order(copy, deliver)

    def _arrivals(self, pdu: bytes) -> Iterator[tuple[bytes, bool]]:
        """Copies of a PDU that will arrive, and whether each is late."""
        if pdu[2:5] != _NOTIFICATION:
            yield pdu, False
            return
        if self._happens(self.lost_share):
            self.n_lost += 1
            return
        if self._happens(self.garbage_share):
            self.n_garbage += 1
            pdu = pdu[:_VALUE_AT] + self._random.randbytes(len(pdu) - _VALUE_AT)
        if self._happens(self.late_share):
            self.n_late += 1
            yield pdu, True
            return
        yield pdu, False
        if self._happens(self.duplicate_share):
            self.n_duplicates += 1
            yield pdu, False

    def _happens(self, share: float) -> bool:
        # Draws only where something can happen, so that one knob does not shift the effects of another.
        return share > 0 and self._random.random() < share

    def _send_in_order(self, pdu: bytes, deliver: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        if not (self.jitter_s or self._queue):
            loop.call_soon(deliver, pdu)
            return
        at_s = loop.time() + self._random.uniform(0, self.jitter_s)
        if not self._queue:
            loop.call_at(at_s, self._arrive)
        self._queue.append((at_s, deliver, pdu))

    def _arrive(self) -> None:
        loop = asyncio.get_running_loop()
        at_s = self._queue[0][0]
        while self._queue and self._queue[0][0] <= at_s:
            _, deliver, pdu = self._queue.popleft()
            deliver(pdu)
        if self._queue:
            loop.call_at(self._queue[0][0], self._arrive)


class LinkEnd:
    """One end of a connection: sends at connection events only, and notices when the peer falls silent.

    The host is told that a packet is completed when it is sent, so a slow or blocked connection fills the host's queue.

    Parameters
    ----------
    connection : Connection
        The controller's connection.
    interval_s : float
        Connection interval, s.
    timeout_s : float
        Supervision timeout, s.
    blocked : callable
        Whether nothing can be sent for the moment.
    """

    def __init__(
        self, connection: Connection, interval_s: float, timeout_s: float, blocked: Callable[[], bool]
    ) -> None:
        self._connection = connection
        self._blocked = blocked
        self._packets: deque[list[bytes]] = deque()
        self._finished: list[bytes] = []
        self._assembler = hci.HCI_AclDataPacketAssembler(self._take)
        self._established = False
        self._event: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._anchor_s, self._i_event = 0.0, 0
        self.interval_s, self.timeout_s = interval_s, timeout_s
        self.update(interval_s, timeout_s)

    def update(self, interval_s: float, timeout_s: float) -> None:
        """Use other connection parameters from now on, both in s."""
        self.interval_s, self.timeout_s = interval_s, timeout_s
        # The peripheral sends half an interval after the central, so that an answer takes one interval and not two.
        phase = 0.5 if self._connection.role == hci.Role.PERIPHERAL else 0.0
        self._anchor_s, self._i_event = asyncio.get_running_loop().time() + phase * interval_s, 0
        if self._event:
            self._event.cancel()
            self._wait_for_event()

    def send(self, packet: hci.HCI_AclDataPacket) -> None:
        """Send a packet of the host at the next connection event with room.

        Raises
        ------
        struct.error
            When it is no part of an L2CAP PDU.
        """
        self._assembler.feed_packet(packet)
        self._packets.append(self._finished)
        self._finished = []
        if self._event is None:
            self._wait_for_event()

    def _take(self, pdu: bytes) -> None:
        self._finished.append(pdu)

    def _wait_for_event(self) -> None:
        loop = asyncio.get_running_loop()
        coming = math.ceil((loop.time() - self._anchor_s) / self.interval_s)
        self._i_event = max(coming, self._i_event + 1)
        self._event = loop.call_at(self._anchor_s + self._i_event * self.interval_s, self._hold_event)

    def _hold_event(self) -> None:
        """Send what fits into this connection event."""
        self._event = None
        n_sent = 0 if self._blocked() else min(len(self._packets), PACKETS_PER_EVENT)
        for _ in range(n_sent):
            for pdu in self._packets.popleft():
                self._connection.on_acl_pdu(pdu)
        if n_sent:
            self._connection.controller.send_hci_packet(
                hci.HCI_Number_Of_Completed_Packets_Event([self._connection.handle], [n_sent])
            )
        if self._packets:
            self._wait_for_event()

    def supervise(self, heard: bool) -> None:
        """Note whether the peer can be heard; the connection ends when that stays false for too long."""
        if heard:
            self._established = True
            if self._silence:
                self._silence.cancel()
                self._silence = None
        elif self._silence is None:
            wait_s = self.timeout_s if self._established else EVENTS_TO_ESTABLISH * self.interval_s
            self._silence = asyncio.get_running_loop().call_later(wait_s, self._give_up)

    def _give_up(self) -> None:
        reason = SUPERVISION_TIMEOUT if self._established else NOT_ESTABLISHED
        self._connection.controller.on_le_disconnected(self._connection, reason)

    def close(self) -> None:
        """Send nothing more."""
        self._packets.clear()
        for timer in (self._event, self._silence):
            if timer:
                timer.cancel()
        self._event = self._silence = None
