# SPDX-License-Identifier: MIT
"""Packets placed on one timeline by the device's own clock, and what is missing between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from roller_host.signal.estimates import Gap

if TYPE_CHECKING:
    from firmware_protocol.arrays import Packet

_WRAP_US = 1 << 32
SHORTEST_PACKET_US = 1000
"""No device sends packets closer than this: a number that jumps farther than its clock allows is not believed."""
SLACK_US = 300_000
"""Packets of one flush (at most 200 ms) may begin in any order."""


@dataclass(frozen=True)
class TimebaseState:
    """Memory between packets."""

    origin_us: int | None = None
    """Unwrapped device clock at session time zero."""
    last_seq: int = -1
    last_t0_us: int = 0
    """Unwrapped device clock of the newest packet."""
    last_end_us: int = 0
    """End of the newest packet's samples."""
    from_start: bool = False
    """The START was seen, so a first packet with a number above 0 has lost predecessors."""


class Placed(NamedTuple):
    """Where a packet lies on the session timeline."""

    t0_us: int
    """Session time of its first sample, us."""
    gap: Gap | None
    """What is missing before it."""


def timebase_step(state: TimebaseState, packet: Packet) -> tuple[Placed | None, TimebaseState]:
    """Place one packet.

    Parameters
    ----------
    state : TimebaseState
        Memory from the packet before.
    packet : Packet
        Newest packet in order of arrival.

    Returns
    -------
    placed : Placed or None
        None for a packet that is a duplicate, older than the newest one, or whose number and clock contradict each
        other: live estimates never go back.
    state : TimebaseState
        Memory for the next packet.
    """
    if packet.seq <= state.last_seq:
        return None, state
    if state.origin_us is None:
        t0_us = packet.t0_us
        state = replace(state, origin_us=t0_us, last_end_us=t0_us)
        state = state if state.from_start else replace(state, last_seq=packet.seq - 1)
    else:
        # The clock on the wire has 32 bits and wraps every 71.6 minutes; a gap is taken to be shorter than half that.
        step = (packet.t0_us - state.last_t0_us + _WRAP_US // 2) % _WRAP_US - _WRAP_US // 2
        if step < (packet.seq - state.last_seq) * SHORTEST_PACKET_US - SLACK_US:
            return None, state
        t0_us = state.last_t0_us + step
    origin_us = state.origin_us or 0
    lost = packet.seq - state.last_seq - 1
    gap = None
    if lost:
        gap = Gap((state.last_end_us - origin_us) * 1e-6, max(t0_us - state.last_end_us, 0) * 1e-6, lost)
    ends = [t0_us + b.offset_us + b.period_us * len(b.samples) for b in packet.blocks]
    return Placed(t0_us - origin_us, gap), TimebaseState(origin_us, packet.seq, t0_us, max(ends, default=t0_us))
