# SPDX-License-Identifier: MIT
"""Packets placed on one timeline by the device's own clock, and what is missing between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from roller_host.signal.estimates import Gap

if TYPE_CHECKING:
    from firmware_protocol.arrays import Packet

_WRAP_US = 1 << 32
PATIENCE = 3
"""After this many contradictions in a row the clock has really changed: the timeline goes on with the new one."""
SHORTEST_PACKET_US = 1000
"""No device sends packets closer than this: a number that jumps farther than its clock allows is not believed."""
LONGEST_PACKET_US = 250_000
"""No device spans more time with one packet than this."""
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
    n_doubts: int = 0
    """Packets in a row whose number and clock contradict each other."""
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
        other: live estimates never go back. After `PATIENCE` contradictions in a row the new clock is taken, behind a
        gap of unknown length.
    state : TimebaseState
        Memory for the next packet.
    """
    if packet.seq <= state.last_seq:
        return None, state
    if state.origin_us is None:
        state = replace(state, origin_us=packet.t0_us, last_t0_us=packet.t0_us, last_end_us=packet.t0_us)
        state = state if state.from_start else replace(state, last_seq=packet.seq - 1)
    # The clock on the wire has 32 bits and wraps every 71.6 minutes; a gap is taken to be shorter than half that.
    step_us = (packet.t0_us - state.last_t0_us + _WRAP_US // 2) % _WRAP_US - _WRAP_US // 2
    n_steps = packet.seq - state.last_seq
    first = state.last_seq == -1
    if not first and not n_steps * SHORTEST_PACKET_US - SLACK_US <= step_us <= n_steps * LONGEST_PACKET_US + SLACK_US:
        if state.n_doubts + 1 < PATIENCE:
            return None, replace(state, n_doubts=state.n_doubts + 1)
        return _reanchor(state, packet)
    t0_us, origin_us = state.last_t0_us + step_us, state.origin_us or 0
    gap = None
    if n_steps > 1:
        gap = Gap((state.last_end_us - origin_us) * 1e-6, max(t0_us - state.last_end_us, 0) * 1e-6, n_steps - 1)
    return Placed(t0_us - origin_us, gap), TimebaseState(origin_us, packet.seq, t0_us, _end_us(t0_us, packet))


def _reanchor(state: TimebaseState, packet: Packet) -> tuple[Placed, TimebaseState]:
    """Go on with a clock that has nothing to do with the old one; how much time is missing, nobody knows."""
    session_us = state.last_end_us - (state.origin_us or 0)
    state = TimebaseState(packet.t0_us - session_us, packet.seq, packet.t0_us, _end_us(packet.t0_us, packet))
    return Placed(session_us, Gap(session_us * 1e-6, 0.0, PATIENCE - 1)), state


def _end_us(t0_us: int, packet: Packet) -> int:
    return max((t0_us + b.offset_us + b.period_us * len(b.samples) for b in packet.blocks), default=t0_us)
