# SPDX-License-Identifier: MIT
"""The device's clock told by the host's: offset and skew, and how well they are known.

No delay is negative. So a request cannot have arrived before it was sent, and an answer or a packet cannot have been
sent after it arrived: host time, as a straight line over device time, runs above all requests and below all answers
and packets (Cristian, Distributed Computing 3, 1989; both sides as convex hulls: Duda, Harrus, Haddad and Bernard,
IEEE ICDCS 1987; of arrivals alone: Moon, Skelly and Towsley, IEEE INFOCOM 1999, and Zhang, Liu and Xia, IEEE INFOCOM
2002). These bounds hold whatever the link does.

Here they are collected; `clock_line` draws the line between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol import arrays, codec, layout
from firmware_protocol.codec import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware_protocol.arrays import Packet
    from roller_host.signal.record import Record

_WRAP_US = 1 << 32
_TIME_SYNC = codec.OP["TIME_SYNC"]
_GOLDEN = (math.sqrt(5) - 1) / 2
LONGEST_INTERVAL_S = 0.06
"""Longest usual connection interval, s: that of Windows, until the roller asks for a shorter one."""


@dataclass(frozen=True)
class ClockParams:
    """Tuning of the clock estimate."""

    skew_sigma_ppm: float = 100.0
    """Expected skew, standard deviation, ppm: crystals of device (10 to 40) and host, and a host clock that is being
    slewed. Raising it lets extreme clocks be believed sooner, and makes the first minutes less certain."""
    max_skew_ppm: float = 400.0
    """No skew beyond this is believed; a clock that goes by more has jumped."""
    wander_ppm: float = 1.0
    """How far the skew may be from constant within the window, ppm: a warming crystal. Raising it makes bounds
    from long ago softer."""
    stack_sigma_s: float = 0.001
    """What Bluetooth stacks and handlers add to every delay, s: it cannot be seen, only admitted."""
    clock_step_s: float = 1e-6
    """Step of the host's clock, s: its stamps are too early by up to that. 1/64 s with Python before 3.13 on Windows;
    ``time.get_clock_info`` tells. Raising it moves bounds apart."""
    window_s: float = 900.0
    """Exchanges and arrivals older than this are forgotten, s."""
    n_exchanges: int = 1024
    n_arrivals: int = 64
    """Most exchanges, and most corners of the hull of arrivals, that are kept."""
    shorter_waits_s: tuple[float, ...] = (0.0001, 0.0075, 0.015, 0.03, 0.06)
    """What the shorter of the two waits of a request may be, s: none, and usual connection intervals; all alike."""
    trust: float = 0.5
    """Weight of the logarithm of the likelihood: delays are not quite as modelled, nor independent. Raising it narrows
    the stated uncertainty."""
    least_request_s: float = 0.0004
    """No request takes less, s: 0.2 ms in the air (25 bytes at 1 Mbit/s), the rest between host and adapter. Raising it
    moves the estimate away from the quickest requests; bounds do not depend on it."""
    least_change_s: float = 0.005
    """Pauses before requests that differ by less, s, leave the requests in one phase of the connection: then their
    delays are alike, and say nothing about where the end of the distribution is."""


class Exchange(NamedTuple):
    """One TIME_SYNC."""

    t1_s: float
    """Host time just before the request was sent, s."""
    t2_us: int
    """Device clock when it arrived, us."""
    dt_us: int
    """From then to sending the answer, us."""
    t4_s: float
    """Host time when the answer arrived, s."""


class ClockState(NamedTuple):
    """Memory, bounded: what was exchanged and what arrived of late."""

    exchanges: tuple[Exchange, ...] = ()
    scattered: tuple[bool, ...] = ()
    """Whether each of them was requested at a phase of its own."""
    pause_s: float = 0.0
    """From the newest but one answer to the request after it."""
    doubt: Exchange | None = None
    """The newest exchange, when it contradicts those before."""
    hull: tuple[tuple[int, float], ...] = ()
    """Lower convex hull of the arrivals: device clock, us, and host time less device clock, s."""
    asked: tuple[int, float] | None = None
    """Tag and host time of the TIME_SYNC request under way, from records."""


def pause_s(i_exchange: int) -> float:
    """How long to wait before the next TIME_SYNC, s, counted from the answer to the one before.

    Eight follow each other closely so that a first estimate is there, then two each second for two minutes, then one
    each second. To each a part of the longest usual connection interval (60 ms) is added, by the multiples of the
    golden ratio modulo 1, so that the requests fall evenly into all phases of any interval; without that, answers pace
    requests, and all of them wait alike.

    Parameters
    ----------
    i_exchange : int
        Exchanges since the connection was made.
    """
    pace_s = 0.0 if i_exchange < 8 else 0.5 if i_exchange < 240 else 1.0
    return pace_s + LONGEST_INTERVAL_S * (i_exchange * _GOLDEN % 1.0)


def exchange_step(params: ClockParams, state: ClockState, exchange: Exchange) -> ClockState:
    """Take in an exchange.

    One that contradicts the one before, whatever the skew, is set aside. When the next one agrees with it instead, a
    clock has jumped (a host that slept), and all before is forgotten. A device that restarted is the caller's to
    notice, by its boot id: it gets a new state.
    """
    if exchange.t4_s < exchange.t1_s:
        return state
    if state.exchanges and not _agree(params, state.exchanges[-1], exchange):
        if state.doubt is None or not _agree(params, state.doubt, exchange):
            return state._replace(doubt=exchange)
        return ClockState((state.doubt, exchange), (False, False), exchange.t1_s - state.doubt.t4_s)
    pause = exchange.t1_s - state.exchanges[-1].t4_s if state.exchanges else 0.0
    scattered = bool(state.exchanges) and abs(pause - state.pause_s) >= params.least_change_s
    oldest_us = exchange.t2_us - round(params.window_s * 1e6)
    first = max(len(state.exchanges) + 1 - params.n_exchanges, 0)
    first += sum(one.t2_us < oldest_us for one in state.exchanges[first:])
    return state._replace(
        exchanges=(*state.exchanges[first:], exchange),
        scattered=(*state.scattered[first:], scattered),
        pause_s=pause,
        doubt=None,
    )


def _agree(params: ClockParams, before: Exchange, after: Exchange) -> bool:
    """Whether one clock can have made both."""
    gone_s = (after.t2_us - before.t2_us) * 1e-6
    slack_s = params.max_skew_ppm * 1e-6 * abs(gone_s) + params.clock_step_s
    shortest_s, longest_s = after.t1_s - before.t4_s, after.t4_s - before.t1_s
    return gone_s > 0 and shortest_s - slack_s <= gone_s <= longest_s + slack_s


def arrival_step(params: ClockParams, state: ClockState, arrival_s: float, clock_us: int) -> ClockState:
    """Take in the arrival of a live packet.

    Those before the first exchange tell nothing, nor do those that are older than one before. One from the future, of
    garbage or of a clock that has jumped, is left out.

    Parameters
    ----------
    params : ClockParams
        Tuning.
    state : ClockState
        Memory from before.
    arrival_s : float
        Host time, s.
    clock_us : int
        Device clock, us, at the newest sample in the packet; its low 32 bits are enough.
    """
    if not state.exchanges:
        return state
    newest = state.exchanges[-1]
    expected_us = newest.t2_us + round((arrival_s - newest.t4_s) * 1e6)
    device_us = expected_us + (clock_us - expected_us + _WRAP_US // 2) % _WRAP_US - _WRAP_US // 2
    latest_us = newest.t2_us + (arrival_s + params.clock_step_s - newest.t1_s) * (1e6 + params.max_skew_ppm)
    point = device_us, arrival_s - device_us * 1e-6
    oldest_us = device_us - round(params.window_s * 1e6)
    hull = [corner for corner in state.hull if corner[0] >= oldest_us]
    if device_us > latest_us or (hull and device_us <= hull[-1][0]):
        return state
    while len(hull) >= 2 and _is_above(hull[-2], hull[-1], point):
        hull.pop()
    return state._replace(hull=(*hull[-(params.n_arrivals - 1) :], point))


def _is_above(left: tuple[int, float], middle: tuple[int, float], right: tuple[int, float]) -> bool:
    """Whether the middle point is on or above the line through its neighbours."""
    share = (middle[0] - left[0]) / (right[0] - left[0])
    return middle[1] >= left[1] + share * (right[1] - left[1])


def newest_sample_us(packet: Packet) -> int:
    """Device clock at the newest sample of a packet, low 32 bits and what the offsets add, us."""
    return packet.t0_us + max((b.offset_us + b.period_us * (len(b.samples) - 1) for b in packet.blocks), default=0)


def record_step(
    params: ClockParams, state: ClockState, record: Record, sizes: Mapping[int, int] | None = None
) -> ClockState:
    """Take in a record, live or replayed: TIME_SYNC requests and answers are matched by their tags.

    Parameters
    ----------
    params : ClockParams
        Tuning.
    state : ClockState
        Memory from before; for another boot id in an INFO record the caller begins with a new one.
    record : Record
        Any record. What is not understood changes nothing.
    sizes : mapping, optional
        See `firmware_protocol.arrays.decode_packet`.
    """
    try:
        if record.source == "STREAM":
            packet = arrays.decode_packet(record.payload, sizes)
            live = packet.ptype == layout.PTYPE_LIVE and packet.blocks
            return arrival_step(params, state, record.t_s, newest_sample_us(packet)) if live else state
        if record.source != "CONTROL":
            return state
        if record.direction == "out":
            request = codec.decode_request(record.payload)
            return state._replace(asked=(request.tag, record.t_s)) if request.op == _TIME_SYNC else state
        response = codec.decode_response(record.payload)
    except ProtocolError:
        return state
    if response.op != _TIME_SYNC or state.asked is None or response.tag != state.asked[0]:
        return state
    t1_s, state = state.asked[1], state._replace(asked=None)
    if response.reply is None:
        return state
    return exchange_step(params, state, Exchange(t1_s, response.reply.t2_us, response.reply.dt_us, record.t_s))
