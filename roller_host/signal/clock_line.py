# SPDX-License-Identifier: MIT
"""Host time as a straight line over device time, between the bounds that `clock` collects.

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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.clock import ClockParams, ClockState, Exchange

    _Moments = tuple[NDArray[np.float64], NDArray[np.float64]]

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

    def to_device_us(self, host_s: float) -> float:
        """Device time of a host time, us: `to_host_s` turned about."""
        return self.device_us + (host_s - self.host_s) * (1 + self.skew_ppm * 1e-6) * 1e6

    def uncertainty_s(self, device_us: float) -> float:
        """Standard uncertainty of `to_host_s`, s; twice that covers at least 95 %."""
        u = (device_us - self.device_us) * 1e-12
        skew2 = self.skew_sigma_ppm**2 + self.wander_ppm**2
        return math.sqrt(max(self.sigma_s**2 - 2 * u * self.covariance_s_ppm + u * u * skew2, 0.0))


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
        # One rate after the other: all at once would take 10 MiB, which the process would never give back.
        for k, bounds_s in enumerate(nearest):
            mass[k] += params.trust * _log_likelihood(params, offsets[k] - bounds_s[:, np.newaxis])
    return offsets, mass


def _answer_likelihood(answered_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the likelihood of each rate, from what the answers of exchanges are above it."""
    n = answered_s.shape[1]
    spread_s = np.maximum(answered_s.mean(axis=1) - answered_s.min(axis=1), _LEAST_SPREAD_S)
    return -(n - 2) * np.log(spread_s) if n >= _N_ANSWERS else np.zeros(len(spread_s))


def _log_likelihood(params: ClockParams, delays_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of delays along the first axis, in rising order, given the last of them."""
    logs = np.log(np.maximum(delays_s, _LEAST_DELAY_S))
    longest_s = np.maximum(delays_s[-1], _LEAST_DELAY_S)
    terms: list[NDArray[np.float64]] = []
    for wait_s in params.shorter_waits_s:
        # Density in proportion to min(delay, wait), and its integral.
        below = np.where(longest_s < wait_s, longest_s**2 / 2, wait_s * (longest_s - wait_s / 2))
        shape = np.minimum(logs[:-1], math.log(wait_s)).sum(axis=0)
        terms.append(shape - (len(delays_s) - 1) * np.log(below))
    return np.logaddexp.reduce(terms, axis=0)


def _moments(rates: NDArray[np.float64], offsets: NDArray[np.float64], weight: NDArray[np.float64]) -> _Moments:
    values = np.stack([offsets, np.broadcast_to(rates[:, np.newaxis], offsets.shape)])
    weight = weight / weight.sum()
    mean = np.einsum("kij,ij->k", values, weight)
    apart = values - mean[:, np.newaxis, np.newaxis]
    return mean, np.einsum("kij,lij,ij->kl", apart, apart, weight)
