# SPDX-License-Identifier: MIT
"""Packets placed on one timeline by the device's own clock, and what is missing between them.

One at a time, as they arrive (`timebase_step`), or all packets of a session at once, late ones in their places
(`lay_out`). Both decide alike, packet by packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.signal.estimates import Gap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from firmware_protocol.arrays import Packet

_WRAP_US = 1 << 32
PATIENCE = 3
"""After this many contradictions in a row that agree with each other the clock has really changed: the timeline goes on
with the new one."""
SHORTEST_PACKET_US = 1000
"""No device sends packets closer than this: a number that jumps farther than its clock allows is not believed."""
LONGEST_PACKET_US = 250_000
"""No device spans more time with one packet than this."""
SLACK_US = 300_000
"""Packets of one flush (at most 200 ms) may begin in any order."""
BACK_TO_START = 100
"""Live packets whose numbers fall back by more than this belong to another session: none is that late (6 s)."""


class TimebaseState(NamedTuple):
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
    n_doubts: int = 0
    """Packets in a row that contradict what came before, but not each other."""
    doubt_seq: int = 0
    doubt_t0_us: int = 0
    """Number and clock (32 bits) of the newest of them."""


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
        other: live estimates never go back. After `PATIENCE` contradictions in a row that agree with each other the new
        clock is taken, behind a gap of unknown length.
    state : TimebaseState
        Memory for the next packet.
    """
    return _place(state, packet.seq, packet.t0_us, span_us(packet))


def span_us(packet: Packet) -> int:
    """Time from the beginning of a packet to the end of its last sample, us."""
    return max((b.offset_us + b.period_us * len(b.samples) for b in packet.blocks), default=0)


def _place(state: TimebaseState, seq: int, t0_us: int, span: int) -> tuple[Placed | None, TimebaseState]:
    origin_us, last_seq, last_t0_us, last_end_us, from_start = state[:5]
    if seq <= last_seq:
        return None, state
    if origin_us is None:
        origin_us = last_t0_us = last_end_us = t0_us
        n_steps, step_us = seq - last_seq if from_start else 1, 0
    else:
        n_steps, step_us = seq - last_seq, _difference_us(t0_us, last_t0_us)
        if not _believable(n_steps, step_us):
            return _doubt(state, seq, t0_us, span)
    t0_us = last_t0_us + step_us
    gap = None
    if n_steps > 1:
        gap = _gap(last_end_us - origin_us, t0_us - origin_us, n_steps)
    return Placed(t0_us - origin_us, gap), TimebaseState(origin_us, seq, t0_us, t0_us + span)


def session_us_near(state: TimebaseState, device_us: float) -> float | None:
    """Session time of a device time within half a wrap of the newest packet, us; None before there was one.

    Parameters
    ----------
    state : TimebaseState
        Memory of the session.
    device_us : float
        Device clock, however many times it has wrapped on the wire.
    """
    if state.origin_us is None:
        return None
    since_us = (device_us - state.last_t0_us + _WRAP_US // 2) % _WRAP_US - _WRAP_US // 2
    return state.last_t0_us - state.origin_us + since_us


def _gap(end_us: int, begin_us: int, n_steps: int) -> Gap:
    """What is missing between two packets: session times at the end of the one and the beginning of the other."""
    return Gap(end_us * 1e-6, max(begin_us - end_us, 0) * 1e-6, n_steps - 1)


def _difference_us(t0_us: int, before_us: int) -> int:
    """Time between two readings; the clock on the wire wraps every 71.6 minutes, a gap is at most half that."""
    return (t0_us - before_us + _WRAP_US // 2) % _WRAP_US - _WRAP_US // 2


def _believable(n_steps: int, step_us: int) -> bool:
    """Whether the clock may go this far in so many packets."""
    return n_steps * SHORTEST_PACKET_US - SLACK_US <= step_us <= n_steps * LONGEST_PACKET_US + SLACK_US


def _doubt(state: TimebaseState, seq: int, t0_us: int, span: int) -> tuple[Placed | None, TimebaseState]:
    """Leave out a packet; or, when enough of them agree, go on with their clock: how much is missing, nobody knows."""
    n_steps, step_us = seq - state.doubt_seq, _difference_us(t0_us, state.doubt_t0_us)
    agrees = n_steps > 0 and _believable(n_steps, step_us)
    n_doubts = state.n_doubts + 1 if state.n_doubts and agrees else 1
    if n_doubts < PATIENCE:
        return None, state._replace(n_doubts=n_doubts, doubt_seq=seq, doubt_t0_us=t0_us)
    session_us = state.last_end_us - (state.origin_us or 0)
    state = TimebaseState(t0_us - session_us, seq, t0_us, t0_us + span)
    return Placed(session_us, Gap(session_us * 1e-6, 0.0, PATIENCE - 1)), state


class Layout(NamedTuple):
    """All packets of a session in order of time."""

    packet: NDArray[np.intp]
    """Which of the packets given are used, in order of time, shape (n,)."""
    t0_us: NDArray[np.int64]
    """Session time of their first samples, us, shape (n,)."""
    gaps: tuple[tuple[int, Gap], ...]
    """What is missing, and before which of the n packets."""
    n_late: int
    """Packets that came after newer ones and were put in their places."""
    n_duplicates: int
    """Packets left out because their number was there already."""
    n_contradictions: int
    """Packets left out because number and clock contradict each other."""


def lay_out(
    seq: NDArray[np.uint32], t0_us: NDArray[np.uint32], spans_us: NDArray[np.int64], *, from_start: bool = False
) -> Layout:
    """Place all packets of a session, whenever they arrived.

    Without late packets the result is that of `timebase_step`, one after the other.

    Parameters
    ----------
    seq : ndarray, shape (n,)
        Packet numbers, in order of arrival.
    t0_us : ndarray, shape (n,)
        Device clock at the first sample, low 32 bits, us.
    spans_us : ndarray, shape (n,)
        See `span_us`.
    from_start : bool, default False
        The START was seen, so a first packet with a number above 0 has lost predecessors.
    """
    order = np.argsort(seq, kind="stable")
    in_step = _in_step(seq[order], t0_us[order], spans_us[order], from_start=from_start)
    if in_step:
        return Layout(order, *in_step, _n_late(order), 0, 0)
    state = TimebaseState(from_start=from_start)
    used: list[int] = []
    begins_us: list[int] = []
    gaps: list[tuple[int, Gap]] = []
    n_duplicates = n_contradictions = 0
    columns = (order.tolist(), seq[order].tolist(), t0_us[order].tolist(), spans_us[order].tolist())
    for i, number, clock_us, span in zip(*columns, strict=True):
        last_seq = state.last_seq
        placed, state = _place(state, number, clock_us, span)
        if placed is None:
            n_duplicates += number <= last_seq
            n_contradictions += number > last_seq
            continue
        if placed.gap is not None:
            gaps.append((len(used), placed.gap))
        used.append(i)
        begins_us.append(placed.t0_us)
    packet = np.array(used, np.intp)
    n_late = _n_late(packet)
    return Layout(packet, np.array(begins_us, np.int64), tuple(gaps), n_late, n_duplicates, n_contradictions)


def _n_late(packet: NDArray[np.intp]) -> int:
    """How many of the packets used, in order of time, came when a newer one had come already."""
    return int((np.minimum.accumulate(packet[::-1])[::-1] < packet).sum())


def _in_step(
    seq: NDArray[np.uint32], t0_us: NDArray[np.uint32], spans_us: NDArray[np.int64], *, from_start: bool
) -> tuple[NDArray[np.int64], tuple[tuple[int, Gap], ...]] | None:
    """Times and gaps of packets in order, all at once, as `_place` has them; None when one of them is not believed."""
    numbers, clocks_us = seq.astype(np.int64), t0_us.astype(np.int64)
    n_steps = np.diff(numbers, prepend=numbers[:1] - 1)
    steps_us = (np.diff(clocks_us, prepend=clocks_us[:1]) + _WRAP_US // 2) % _WRAP_US - _WRAP_US // 2
    nearest, farthest = n_steps * SHORTEST_PACKET_US - SLACK_US, n_steps * LONGEST_PACKET_US + SLACK_US
    if not ((n_steps > 0) & (nearest <= steps_us) & (steps_us <= farthest)).all():
        return None
    if from_start and len(numbers):
        n_steps[0] = numbers[0] + 1
    begins_us = np.cumsum(steps_us)
    ends_us = np.concatenate([begins_us[:1], begins_us[:-1] + spans_us[:-1]])
    rows = np.flatnonzero(n_steps > 1).tolist()
    gaps = tuple((i, _gap(ends_us.item(i), begins_us.item(i), n_steps.item(i))) for i in rows)
    return begins_us, gaps


def new_beginnings(seq: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Where the numbers of live packets begin anew, though no START was seen.

    One packet with a wrong number is no beginning: `PATIENCE` packets before must all be numbered more than
    `BACK_TO_START` above `PATIENCE` packets after.

    Parameters
    ----------
    seq : ndarray, shape (n,)
        Numbers of live packets, in order of arrival.

    Returns
    -------
    ndarray, shape (n_beginnings,)
        Index of the first packet of each further session.
    """
    if len(seq) < 2 * PATIENCE:
        return np.zeros(0, np.intp)
    windows = np.lib.stride_tricks.sliding_window_view(seq.astype(np.int64), PATIENCE)
    before, after = windows[:-PATIENCE].min(axis=1), windows[PATIENCE:].max(axis=1)
    return np.flatnonzero(before > after + BACK_TO_START) + PATIENCE
