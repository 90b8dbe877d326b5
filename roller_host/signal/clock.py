# SPDX-License-Identifier: MIT
"""The device's clock told by the host's: offset and skew, and how well they are known.

No delay is negative. So a request cannot have arrived before it was sent, and an answer or a packet cannot have been
sent after it arrived: host time, as a straight line over device time, runs above all requests and below all answers
and packets (Cristian, Distributed Computing 3, 1989; both sides as convex hulls: Duda, Harrus, Haddad and Bernard,
IEEE ICDCS 1987; of arrivals alone: Moon, Skelly and Towsley, IEEE INFOCOM 1999, and Zhang, Liu and Xia, IEEE INFOCOM
2002). These bounds hold whatever the link does.

Between the bounds lies an interval or two of the connection, and its middle is no good guess: an answer waits for the
next connection event, a packet for the same phase of it every time, while a request that is sent at any moment waits
between nothing and an interval. Taking the exchange with the least round trip (the clock filter of NTP, RFC 5905
section 10) would be wrong by half an interval. Therefore the requests show where in between the truth lies, by how
dense they are near their bound (the end of a distribution told by the least of a sample: Hall, Annals of Statistics
10(2), 1982). Two waits of random length add up to a delay, that for the connection event and what the systems add; so
the density rises from zero over the length of the shorter one and stays level up to that of the longer one. Offset
and skew are integrated numerically over the likelihood of the shorter half of the delays.

The skew is shown best by the answers: their least delay is unknown, but stays the same while the connection interval
does, so the line that touches them from below is parallel to the truth. Delays as if exponential, of unknown least and
mean, make the likelihood of a skew the mean distance from that line to the minus n-th power (its maximum is the line
of Moon, Skelly and Towsley). Where that contradicts bounds and requests, the interval has changed, and they hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol import arrays, codec, layout
from firmware_protocol.codec import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from firmware_protocol.arrays import Packet
    from roller_host.signal.record import Record

    _Moments = tuple[NDArray[np.float64], NDArray[np.float64]]

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


class ClockModel(NamedTuple):
    """A straight line from device to host time, with its uncertainty (standard, from a posterior that is no normal)."""

    device_us: int
    """Reference: the newest exchange by the device's clock, us."""
    host_s: float
    """Host time there, s."""
    skew_ppm: float
    """How much faster than the host's the device's clock goes, ppm."""
    sigma_s: float
    """Uncertainty of ``host_s``, s."""
    skew_sigma_ppm: float
    covariance_s_ppm: float
    """Of ``host_s`` and ``skew_ppm``."""
    wander_ppm: float

    @property
    def offset_s(self) -> float:
        """Host time less device time at the reference, s."""
        return self.host_s - self.device_us * 1e-6

    def to_host_s(self, device_us: float) -> float:
        """Host time of a device time, s."""
        return self.host_s + (device_us - self.device_us) * 1e-6 / (1 + self.skew_ppm * 1e-6)

    def uncertainty_s(self, device_us: float) -> float:
        """Standard uncertainty of `to_host_s`, s; twice that covers at least 95 %."""
        u = (device_us - self.device_us) * 1e-12
        skew2 = self.skew_sigma_ppm**2 + self.wander_ppm**2
        return math.sqrt(max(self.sigma_s**2 - 2 * u * self.covariance_s_ppm + u * u * skew2, 0.0))


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


# --- Estimate ---------------------------------------------------------------------------------------------------------

_N_SKEWS, _N_OFFSETS, _N_ZOOMS = 25, 40, 8
_ENOUGH = 7
"""Skews on the grid that matter, for sums over them to be exact enough."""
_FADED = 10.0
"""Skews whose log likelihood is less by more than this are left out."""
_MIDDLES = (np.arange(_N_OFFSETS) + 0.5) / _N_OFFSETS
_LEAST_DELAY_S = 1e-6
_LEAST_SPREAD_S = 1e-3
"""Answers are not believed to spread by less than this: it blurs their least delay."""
_N_ANSWERS = 8
"""Fewer answers do not show the skew."""
_LIKELY = 3.0
"""Standard deviations by which a skew may be off."""


class _Bounds(NamedTuple):
    """Lines below and above host time, which is counted from the newest request, as is device time (``u``), s."""

    low_u: NDArray[np.float64]
    low_s: NDArray[np.float64]
    """Host less device time of the requests; moves by ``u`` times the skew."""
    high_u: NDArray[np.float64]
    high_s: NDArray[np.float64]
    """The same of answers, one to each request, and then of arrivals."""
    scattered: NDArray[np.bool_]
    """Which of the requests tell by how dense they are."""


def estimate(params: ClockParams, state: ClockState) -> ClockModel | None:
    """Offset and skew from what is in memory; None before the first exchange.

    Parameters
    ----------
    params : ClockParams
        Tuning.
    state : ClockState
        Memory.

    Returns
    -------
    ClockModel or None
        Mean and covariance of the posterior. Where the bounds exclude each other, because the skew changed by more than
        ``wander_ppm``, it is that of the newer half of the exchanges, or of the newer half of these, and so on.
    """
    n = len(state.exchanges)
    while n:
        bounds = _bounds(params, state, n)
        if found := _posterior(params, bounds, steady=False):
            steady = _posterior(params, bounds, steady=True)
            return _model(params, state.exchanges[-1], *(steady if steady and _agrees(steady, found) else found))
        n //= 2
    return None


def _agrees(steady: _Moments, found: _Moments) -> bool:
    """Whether the skew that steady answers show is among those that are likely without."""
    return abs(steady[0][1] - found[0][1]) <= _LIKELY * math.sqrt(found[1][1, 1])


def _model(
    params: ClockParams, newest: Exchange, mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> ClockModel:
    """Line from the moments of host time and of its excess over device time."""
    (offset_s, rate_ppm), ((offset2, both), (_, rate2)) = mean.tolist(), covariance.tolist()
    return ClockModel(
        newest.t2_us,
        newest.t1_s + offset_s,
        (1 / (1 + rate_ppm * 1e-6) - 1) * 1e6,
        math.sqrt(offset2 + params.stack_sigma_s**2),
        math.sqrt(rate2),
        -both,
        params.wander_ppm,
    )


def _bounds(params: ClockParams, state: ClockState, n: int) -> _Bounds:
    """Bounds from the ``n`` newest exchanges and what arrived since the first of them."""
    kept, newest = state.exchanges[-n:], state.exchanges[-1]
    offset_s = newest.t1_s - newest.t2_us * 1e-6
    asked = [(e.t2_us - newest.t2_us, e.t1_s - e.t2_us * 1e-6 - offset_s) for e in kept]
    # A device that says it took longer than the whole exchange is not believed.
    answered = [(e.t2_us, e.t4_s - e.t2_us * 1e-6 - min(e.dt_us * 1e-6, e.t4_s - e.t1_s)) for e in kept]
    arrived = [corner for corner in state.hull if corner[0] >= kept[0].t2_us]
    heard = [(us - newest.t2_us, delay_s - offset_s) for us, delay_s in answered + arrived]
    low_us, low_s = np.array(asked, np.float64).T
    high_us, high_s = np.array(heard, np.float64).T
    return _Bounds(
        low_us * 1e-6,
        low_s,
        high_us * 1e-6,
        high_s + params.clock_step_s,
        np.array(state.scattered[-n:]),
    )


def _posterior(params: ClockParams, bounds: _Bounds, *, steady: bool) -> _Moments | None:
    """Mean and covariance of host time at the reference, s, and of its excess rate, ppm; None if there is no room.

    ``steady``: the least delay of answers stayed the same.
    """
    first, last = -params.max_skew_ppm, params.max_skew_ppm
    wander = params.wander_ppm * 1e-6
    for _ in range(_N_ZOOMS):
        rates = np.linspace(first, last, _N_SKEWS)
        low = bounds.low_s - np.multiply.outer(rates * 1e-6, bounds.low_u)
        above = bounds.high_s - np.multiply.outer(rates * 1e-6, bounds.high_u)
        least = (low - wander * np.abs(bounds.low_u)).max(axis=1)
        high = (above + wander * np.abs(bounds.high_u)).min(axis=1)
        room = high - least
        # The figure between the bounds is convex: where it has no room yet, it is next to where it lacks least.
        alive = np.flatnonzero(room > 0) if room.max() > 0 else np.array([int(room.argmax())])
        if len(alive) >= _ENOUGH:
            offsets, mass = _weigh(params, rates, low[:, bounds.scattered], least, high)
            if steady:
                mass += params.trust * _answer_likelihood(above[:, : low.shape[1]])[:, np.newaxis]
            alive = np.flatnonzero(mass.max(axis=1) > mass.max() - _FADED)
            if len(alive) >= _ENOUGH:
                return _moments(rates, offsets, np.exp(mass - mass.max()))
        first, last = rates[max(alive[0] - 1, 0)], rates[min(alive[-1] + 1, _N_SKEWS - 1)]
    return None


def _weigh(
    params: ClockParams,
    rates: NDArray[np.float64],
    low: NDArray[np.float64],
    least: NDArray[np.float64],
    high: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each rate, offsets between the bounds, finer near the lower one, and the log posterior mass at each.

    ``low`` has scattered requests only.
    """
    width = np.maximum(high - least, 0.0)[:, np.newaxis]
    offsets = least[:, np.newaxis] + width * _MIDDLES**2
    with np.errstate(divide="ignore"):
        mass = np.log(width * _MIDDLES) - 0.5 * (rates[:, np.newaxis] / params.skew_sigma_ppm) ** 2
    n = low.shape[1]
    n_shorter = max(n // 2, min(n, 4))
    if n_shorter >= 2:
        nearest = params.least_request_s - np.sort(-low, axis=1)[:, :n_shorter]
        mass += params.trust * _log_likelihood(params, offsets[:, np.newaxis] - nearest[..., np.newaxis])
    return offsets, mass


def _answer_likelihood(answered_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the likelihood of each rate, from what the answers of exchanges are above it."""
    n = answered_s.shape[1]
    spread_s = np.maximum(answered_s.mean(axis=1) - answered_s.min(axis=1), _LEAST_SPREAD_S)
    return -(n - 2) * np.log(spread_s) if n >= _N_ANSWERS else np.zeros(len(spread_s))


def _log_likelihood(params: ClockParams, delays_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of delays along the second axis, in rising order, given the last of them."""
    logs = np.log(np.maximum(delays_s, _LEAST_DELAY_S))
    longest_s = np.maximum(delays_s[:, -1], _LEAST_DELAY_S)
    terms: list[NDArray[np.float64]] = []
    for wait_s in params.shorter_waits_s:
        # Density in proportion to min(delay, wait), and its integral.
        below = np.where(longest_s < wait_s, longest_s**2 / 2, wait_s * (longest_s - wait_s / 2))
        shape = np.minimum(logs[:, :-1], math.log(wait_s)).sum(axis=1)
        terms.append(shape - (delays_s.shape[1] - 1) * np.log(below))
    return np.logaddexp.reduce(terms, axis=0)


def _moments(rates: NDArray[np.float64], offsets: NDArray[np.float64], weight: NDArray[np.float64]) -> _Moments:
    values = np.stack([offsets, np.broadcast_to(rates[:, np.newaxis], offsets.shape)])
    weight = weight / weight.sum()
    mean = np.einsum("kij,ij->k", values, weight)
    apart = values - mean[:, np.newaxis, np.newaxis]
    return mean, np.einsum("kij,lij,ij->kl", apart, apart, weight)
