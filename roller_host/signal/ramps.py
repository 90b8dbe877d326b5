# SPDX-License-Identifier: MIT
"""One press that grows slowly harder on one place, with the person's two marks in it, and whether it tells anything.

The method of limits (ascending series; Gescheider, Psychophysics: The Fundamentals, 1997, chapter 3), as pressure
algometry uses it, but stopped at "as firm as I would like" instead of at pain. A mark comes later than what it means,
by the person's reaction time; the force of that earlier moment counts. For an even ramp that is the force at the mark
less rate times reaction time.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import place_at
from roller_host.signal.comfort import STARTING_BANDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.estimates import Estimates


@dataclass(frozen=True)
class RampParams:
    """What a ramp has to be like. All of them are choices of this project."""

    paced_s: float = 4.0
    """Time in which a paced ramp reaches the starting limit of its zone, s: 1 N/s where that is 4 N, and slower where
    less is firm, so that the reaction time weighs alike everywhere. Raising it tires the arm."""
    fastest_n_s: float = 1.0
    """but never faster than this, N/s."""
    rate_ratio: tuple[float, float] = (0.3, 2.6)
    """Slowest and fastest rate that is taken, as multiples of the pace."""
    fall_ratio: float = 0.25
    """A ramp that falls by more than this share of its highest force before the second mark goes up and down."""
    fall_min_n: float = 0.2
    """but falls less than this are tremor, N."""
    lift_s: float = 0.2
    """Without contact for this long the roller is lifted, s."""
    lifted_n: float = 0.15
    """Below this force the roller is taken to be in the air before a ramp, N."""
    brush_ratio: float = 0.5
    """A touch that stays below this share of the zone's lowest comfortable force, and has no mark, is no ramp."""
    bounce_s: float = 0.15
    """Marks closer than this are one, s."""
    fit_s: float = 0.15
    """The force at a moment is that of a straight line through the samples up to this far from it, s."""
    other_side_confidence: float = 0.8
    """A place on the other side that is surer than this contradicts the one asked for."""
    other_zone_confidence: float = 0.99
    """The same of another zone on the same side: of a roller that stands still its estimate is worth less."""
    elsewhere_share: float = 0.5
    """when it does so for at least this share of the ramp."""


class End(enum.Enum):
    """How a ramp ended."""

    MARKED = "marked"
    """Both marks are there."""
    LIFTED = "lifted"
    CEILING = "ceiling"
    """The ceiling of the zone was crossed: stop, at once."""


class Fault(enum.Enum):
    """Why a ramp tells nothing. Values are sentences for the person."""

    NO_MARK = "You lifted before the first mark: mark once when it is pleasantly firm, again as firm as you would like."
    ONE_MARK = "You lifted before the second mark: press on after the first, and mark again as firm as you would like."
    NO_MARK_AT_CEILING = "Stop: this is the ceiling of the zone, and nothing was marked. Press less, and mark earlier."
    TOO_FAST = "That was too fast to be exact: let the force rise as slowly as the pace that is shown."
    TOO_SLOW = "That was too slow: let the force rise as fast as the pace that is shown."
    UP_AND_DOWN = "The force went up and down: let it only rise until you have marked twice."
    WRONG_ORDER = (
        "The second mark came at no more force than the first: first pleasantly firm, then as firm as you like."
    )
    SATURATED = "A sensor was at the end of its range: press along the axis of the roller, without knocking."
    ELSEWHERE = "The roller seems to be at another place: go to the one named above, or say that you are there."
    GAP = "Packets were lost meanwhile: repeat this ramp."


class RampError(ValueError):
    """A ramp that tells nothing; the message says what to do."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Ramp(NamedTuple):
    """A ramp under way, from the touch on. Arrays have shape (n,) and are empty before it."""

    t_s: NDArray[np.float64] = np.zeros(0)
    force_n: NDArray[np.float64] = np.zeros(0)
    sigma_n: NDArray[np.float64] = np.zeros(0)
    elsewhere: NDArray[np.bool_] = np.zeros(0, bool)
    """Surely at another place than the one asked for."""
    saturated: bool = False
    gap: bool = False
    contact_s: float = math.nan
    """When there was contact last, s."""
    marks_s: tuple[float, ...] = ()
    end: End | None = None
    """None while it is under way, or has not begun."""

    @property
    def begun(self) -> bool:
        """Whether the roller has touched the skin."""
        return len(self.t_s) > 0

    def force_at(self, t_s: float) -> float:
        """Force at a time, N: 0 before the touch, the newest beyond the samples."""
        return float(np.interp(t_s, self.t_s, self.force_n, left=0.0)) if self.begun else 0.0


class Marks(NamedTuple):
    """What a ramp found, N."""

    pleasant_n: float
    """Pleasantly firm."""
    firmest_n: float
    """As firm as the person would like."""
    bound: bool
    """The ceiling ended the ramp: ``firmest_n`` is the ceiling, and the person may like more."""
    rate_n_s: float
    """Mean rate up to the second mark, N/s."""
    sigma_n: float
    """Standard uncertainty of the two forces, N, of force and reaction time together."""


class Reaction(NamedTuple):
    """Time from feeling to pressing the button."""

    s: float = 0.25
    """A usual simple reaction to touch or light with a thumb, s."""
    sigma_s: float = 0.08
    """Standard uncertainty, s: people differ by this much."""
    n: int = 0
    """Taps it was measured by; 0: the usual one."""


ANTICIPATED_S, LAPSED_S = 0.1, 1.0
"""Nobody reacts faster, and who is slower was not attentive (Luce, Response Times, 1986, chapter 2)."""
LEAST_TAPS = 3


def reaction_of(latencies_s: tuple[float, ...]) -> Reaction | None:
    """Reaction time of a person who tapped when told to; None when too few taps tell something.

    Parameters
    ----------
    latencies_s : tuple of float
        Time from the sign to each tap, s. Those before `ANTICIPATED_S` and after `LAPSED_S` are left out.
    """
    good = [one for one in latencies_s if ANTICIPATED_S <= one <= LAPSED_S]
    if len(good) < LEAST_TAPS:
        return None
    median_s = float(np.median(good))
    # 1.48 median absolute deviations are a standard deviation; 1.25 of its error is that of the median.
    deviation_s = 1.48 * float(np.median(np.abs(np.array(good) - median_s)))
    return Reaction(median_s, max(1.25 * deviation_s / math.sqrt(len(good)), 0.01), len(good))


def pace_n_s(params: RampParams, zone: str) -> float:
    """Rate at which a ramp is to rise, N/s."""
    return min(STARTING_BANDS[zone].limit_n / params.paced_s, params.fastest_n_s)


def ramp_step(params: RampParams, ramp: Ramp, estimates: Estimates, place: tuple[str, str]) -> Ramp:
    """Take in what one packet added.

    Parameters
    ----------
    params : RampParams
        Tuning.
    ramp : Ramp
        So far; once it has ended it stays as it is.
    estimates : Estimates
        n >= 0 samples that follow.
    place : (zone, side)
        Where it is to be.

    Returns
    -------
    Ramp
    """
    if ramp.end is not None:
        return ramp
    if ramp.begun and estimates.gaps:
        ramp = ramp._replace(gap=True)
    begin, n = 0, len(estimates.t_s)
    if not ramp.begun:
        touched = np.flatnonzero(estimates.contact)
        if not len(touched):
            return ramp
        begin = int(touched[0])
    ceiling_n = STARTING_BANDS[place[0]].ceiling_n
    elsewhere = _elsewhere(params, estimates, place)
    contact_s, end, i = ramp.contact_s, None, begin
    for i in range(begin, n):
        contact_s = float(estimates.t_s[i]) if estimates.contact[i] else contact_s
        end = _ended(params, ramp, float(estimates.t_s[i]), contact_s, float(estimates.force_n[i]) > ceiling_n)
        if end is not None:
            break
    kept = slice(begin, i + 1)
    ramp = Ramp(
        np.concatenate([ramp.t_s, estimates.t_s[kept]]),
        np.concatenate([ramp.force_n, estimates.force_n[kept]]),
        np.concatenate([ramp.sigma_n, estimates.force_sigma_n[kept]]),
        np.concatenate([ramp.elsewhere, elsewhere[kept]]),
        ramp.saturated or bool(estimates.saturated[kept].any()),
        ramp.gap,
        contact_s,
        ramp.marks_s,
        end,
    )
    brushed_n = params.brush_ratio * STARTING_BANDS[place[0]].low_n
    brushed = end is End.LIFTED and not ramp.marks_s and ramp.force_n.max() < brushed_n
    return Ramp() if brushed else ramp


def _ended(params: RampParams, ramp: Ramp, t_s: float, contact_s: float, above: bool) -> End | None:
    if above:
        return End.CEILING
    if len(ramp.marks_s) == 2 and t_s >= ramp.marks_s[1]:
        return End.MARKED
    return End.LIFTED if t_s - contact_s >= params.lift_s else None


def _elsewhere(params: RampParams, estimates: Estimates, wanted: tuple[str, str]) -> NDArray[np.bool_]:
    sure = {"": math.inf, wanted[1]: params.other_zone_confidence}
    least = [
        math.inf if (place := place_at(index)) == wanted else sure.get(place[1], params.other_side_confidence)
        for index in estimates.places
    ]
    return estimates.place_confidence > np.array(least)


def mark(params: RampParams, ramp: Ramp, t_s: float) -> Ramp:
    """Note that the person pressed the button at ``t_s``, s on the session timeline; may lie ahead of the samples.

    The first mark is "pleasantly firm", the second "as firm as I would like". Marks before the touch, after the end,
    and those that bounce are left alone.
    """
    too_soon = not ramp.begun or t_s < ramp.t_s[0]
    if too_soon or ramp.end is not None or len(ramp.marks_s) == 2:
        return ramp
    if ramp.marks_s and t_s - ramp.marks_s[-1] < params.bounce_s:
        return ramp
    return ramp._replace(marks_s=(*ramp.marks_s, t_s))


def judge(params: RampParams, ramp: Ramp, place: tuple[str, str], reaction: Reaction, *, here: bool = False) -> Marks:
    """Find out at which forces the person felt what they marked.

    Parameters
    ----------
    params : RampParams
        Tuning.
    ramp : Ramp
        One that has ended.
    place : (zone, side)
        Where it was to be.
    reaction : Reaction
        The person's.
    here : bool, default False
        The person says that it was there, whatever the estimate of the place says.

    Returns
    -------
    Marks

    Raises
    ------
    RampError
        When it tells nothing.
    """
    if ramp.end is End.CEILING and not ramp.marks_s:
        raise RampError(Fault.NO_MARK_AT_CEILING)
    if ramp.gap:
        raise RampError(Fault.GAP)
    if ramp.saturated:
        raise RampError(Fault.SATURATED)
    bound = ramp.end is End.CEILING and len(ramp.marks_s) == 1
    if len(ramp.marks_s) < 2 and not bound:
        raise RampError(Fault.ONE_MARK if ramp.marks_s else Fault.NO_MARK)
    rate_n_s = _checked_rate(params, ramp, place[0])
    if not here and float(ramp.elsewhere.mean()) >= params.elsewhere_share:
        raise RampError(Fault.ELSEWHERE)
    felt_s = [mark_s - reaction.s for mark_s in ramp.marks_s]
    pleasant_n = _force_at(params, ramp, felt_s[0])
    firmest_n = STARTING_BANDS[place[0]].ceiling_n if bound else _force_at(params, ramp, felt_s[1])
    if pleasant_n <= 0:
        raise RampError(Fault.TOO_FAST)
    if not pleasant_n < firmest_n:
        raise RampError(Fault.WRONG_ORDER)
    near = np.searchsorted(ramp.t_s, felt_s[-1]).clip(0, len(ramp.t_s) - 1)
    sigma_n = math.hypot(float(ramp.sigma_n[near]), rate_n_s * reaction.sigma_s)
    return Marks(pleasant_n, firmest_n, bound, rate_n_s, sigma_n)


def _checked_rate(params: RampParams, ramp: Ramp, zone: str) -> float:
    """Mean rate up to the last mark, N/s; raises `RampError` when it is no ramp."""
    until = max(int(np.searchsorted(ramp.t_s, ramp.marks_s[-1], "right")), 2)
    t_s, force_n = ramp.t_s[:until], ramp.force_n[:until]
    falls_n = np.maximum.accumulate(force_n) - force_n
    if (falls_n > np.maximum(params.fall_ratio * np.maximum.accumulate(force_n), params.fall_min_n)).any():
        raise RampError(Fault.UP_AND_DOWN)
    if len(t_s) < 3:
        raise RampError(Fault.TOO_FAST)
    rate_n_s = float(force_n[-1] / (t_s[-1] - t_s[0]))
    slowest, fastest = params.rate_ratio
    pace = pace_n_s(params, zone)
    if rate_n_s > fastest * pace:
        raise RampError(Fault.TOO_FAST)
    if rate_n_s < slowest * pace:
        raise RampError(Fault.TOO_SLOW)
    return rate_n_s


def _force_at(params: RampParams, ramp: Ramp, t_s: float) -> float:
    """Force at a moment, N: of the straight line through the samples around it; 0 before the touch."""
    if t_s <= ramp.t_s[0]:
        return 0.0
    near = np.abs(ramp.t_s - t_s) <= params.fit_s
    if near.sum() < 3:
        return float(np.interp(t_s, ramp.t_s, ramp.force_n))
    return float(np.polyfit(ramp.t_s[near] - t_s, ramp.force_n[near], 1)[1])
