# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""The firmware's transmit queue for stream packets: short, and the oldest live ones are thrown away when it is full."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from firmware_protocol import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bumble.host import Host

CAPACITY: Final = 12
"""Packets that wait before live ones are thrown away."""


class Outbox:
    """Stream packets between the device and the controller.

    Parameters
    ----------
    send : callable
        Gives one packet to the controller.
    on_dropped : callable
        Told how many live packets were thrown away.
    """

    def __init__(self, send: Callable[[bytes], None], on_dropped: Callable[[int], None]) -> None:
        self._send = send
        self._on_dropped = on_dropped
        self._packets: deque[bytes] = deque()
        self._host: Host | None = None

    def attach(self, host: Host) -> None:
        """Follow the flow control of a Bluetooth host that is powered on."""
        assert host.le_acl_packet_queue  # noqa: S101 - it is powered on
        self._host = host
        host.le_acl_packet_queue.on("flow", self._pump)

    @property
    def room(self) -> int:
        """Packets that fit in before live ones are thrown away."""
        return max(CAPACITY - len(self._packets), 0)

    def put(self, packets: Iterable[bytes]) -> None:
        """Send packets as soon as the controller takes them."""
        self._packets.extend(packets)
        self._pump()
        # Resent packets stay: the device asks for room before it makes them.
        live = (packet for packet in list(self._packets) if packet[0] == layout.PTYPE_LIVE)
        surplus = [packet for _, packet in zip(range(len(self._packets) - CAPACITY), live, strict=False)]
        for packet in surplus:
            self._packets.remove(packet)
        if surplus:
            self._on_dropped(len(surplus))

    def clear(self) -> None:
        """Forget what waits: the connection is gone."""
        self._packets.clear()

    def _pump(self) -> None:
        queue = self._host.le_acl_packet_queue if self._host else None
        while queue and self._packets and queue.pending < queue.max_in_flight:
            self._send(self._packets.popleft())
