# SPDX-License-Identifier: MIT
"""From force to a comfort state: personal thresholds with deadband and delays, and cues that explain themselves.

The pattern (limit, deadband, on-delay, off-delay, and none of these delays for the safety limit) is that of alarm
management in process control: ISA-18.2, OPC UA Part 9.
"""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


class Comfort(enum.IntEnum):
    """How the force feels: up to STOP in rising order of force."""

    NO_CONTACT = 0
    """The roller does not touch the skin."""
    TOO_LIGHT = 1
    """Below the band."""
    COMFORTABLE = 2
    """Inside the band."""
    FIRM = 3
    """Above the band, below the limit."""
    TOO_HARD = 4
    """Above the person's limit for longer than the on-delay."""
    STOP = 5
    """Above the ceiling, which no setting raises."""
    STALE = 6
    """No samples for half a second: nothing is known."""


NO_CONTACT, COMFORTABLE = Comfort.NO_CONTACT, Comfort.COMFORTABLE
"""Under names of their own, because looking members up costs as much as comparing with them."""


class Band(NamedTuple):
    """Thresholds of one place, N."""

    low_n: float
    """Below is too light."""
    firm_n: float
    """The comfort band ends here."""
    limit_n: float
    """Above is too hard."""
    ceiling_n: float
    """Above means stop, at once."""


STARTING_BANDS: Mapping[str, Band] = {
    "forehead": Band(0.8, 2.5, 4.0, 8.0),
    "temple": Band(0.5, 1.5, 3.0, 6.0),
    "eye": Band(0.2, 0.6, 1.0, 2.0),
    "cheek": Band(0.8, 2.5, 4.0, 8.0),
    "jaw": Band(1.0, 3.5, 5.0, 8.0),
    "under_chin": Band(0.5, 1.5, 3.0, 5.0),
    "neck": Band(0.2, 0.6, 1.0, 2.0),
    "decolletage": Band(0.8, 3.0, 4.5, 8.0),
    "": Band(0.5, 1.5, 3.0, 5.0),
}
"""Starting points by zone, chosen by this project; not clinical values. ``""`` is a place not yet known: the
strictest band of all zones but eye and neck."""


NOT_HERE_N = 0.15
"""All thresholds but the ceiling of a place that its person has left out, N: where contact begins, so that any lasting
touch is too hard."""


def excluded_band(zone: str) -> Band:
    """Thresholds of a place that is to be left out."""
    return Band(NOT_HERE_N, NOT_HERE_N, NOT_HERE_N, STARTING_BANDS[zone].ceiling_n)


@dataclass(frozen=True)
class ComfortParams:
    """Tuning of the comfort states."""

    contact_on_n: float = 0.15
    """Contact begins above this force, N. Raising it misses light strokes."""
    contact_off_n: float = 0.10
    """Contact ends below this force, N. Lowering it keeps contact through drift of the zero."""
    deadband_ratio: float = 0.2
    """A threshold is left again this far below it, as a share of it. Raising it flickers less and forgives later."""
    deadband_min_n: float = 0.1
    """Smallest deadband, N."""
    limit_on_delay_s: float = 0.1
    """Time above the limit, less time below it, before it counts, s: a force that trembles about the limit counts once
    it was above it more than below. Raising it means fewer and later alerts."""
    limit_off_delay_s: float = 0.3
    """Time below limit (or ceiling) minus deadband before it is over, s."""


class Felt(NamedTuple):
    """What is felt, per sample. Arrays have shape (n,)."""

    t_s: NDArray[np.float64]
    force_n: NDArray[np.float64]
    """Filtered force, N."""
    sure_n: NDArray[np.float64]
    """Least force that is surely there, N: contact is decided by it. Differs from ``force_n`` while the zero is not
    known."""
    raw_n: NDArray[np.float64]
    """Unfiltered force, N; only quoted in cues."""
    overload: NDArray[np.bool_]
    """The load cell is at the end of its range: the force is above any ceiling, whatever its number says."""

    def part(self, begin: int, end: int) -> Felt:
        """Samples from ``begin`` on, up to before ``end``."""
        return Felt(
            self.t_s[begin:end],
            self.force_n[begin:end],
            self.sure_n[begin:end],
            self.raw_n[begin:end],
            self.overload[begin:end],
        )


class ComfortState(NamedTuple):
    """Memory between blocks."""

    on: tuple[bool, ...] = (False,) * 5
    """Whether the force is above contact, low, firm, limit, ceiling."""
    above_s: float = 0.0
    """Time spent above the limit less time below it since that became positive, s."""
    below_limit_s: float = math.inf
    below_ceiling_s: float = math.inf
    """Since when the force has been below limit (ceiling) less deadband; inf while it is not."""
    last: tuple[float, float] = (math.nan, math.nan)
    """Time and force of the last sample."""
    level: Comfort = Comfort.NO_CONTACT


class Cue(NamedTuple):
    """A change of comfort state, with what is needed to explain it."""

    t_s: float
    """Device time of the deciding sample on the session timeline, s."""
    comfort: Comfort
    before: Comfort
    force_raw_n: float
    """Calibrated force of that sample before filtering, N."""
    force_n: float
    """Filtered force that was compared, N."""
    threshold_n: float
    """Threshold that decided, N; NaN around a gap, where none did."""
    rule: str
    """The rule in words."""
    zone: str
    side: str


_SLACK_S = 5e-7
"""A delay of whole samples must not depend on rounding."""
_EDGE_NAMES = ("contact threshold", "low end of the band", "firm end of the band", "limit", "ceiling")


def band_of(bands: Mapping[tuple[str, str], Band], zone: str, side: str) -> Band:
    """Thresholds of a place: the person's own when there are any, else the starting point of its zone."""
    return bands.get((zone, side)) or STARTING_BANDS[zone]


class _Edge(NamedTuple):
    on_n: float
    off_n: float
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0


@functools.lru_cache(maxsize=64)
def _edges(params: ComfortParams, band: Band) -> tuple[_Edge, ...]:
    """Contact, low, firm, limit, ceiling."""

    def off(threshold_n: float) -> float:
        return threshold_n - max(params.deadband_ratio * threshold_n, params.deadband_min_n)

    off_delay_s = params.limit_off_delay_s
    return (
        _Edge(params.contact_on_n, params.contact_off_n),
        _Edge(band.low_n, off(band.low_n)),
        _Edge(band.firm_n, off(band.firm_n)),
        _Edge(band.limit_n, off(band.limit_n), params.limit_on_delay_s, off_delay_s),
        _Edge(band.ceiling_n, off(band.ceiling_n), 0.0, off_delay_s),
    )


def _time_above(last: tuple[float, float], t_s: float, force_n: float, limit_n: float) -> float:
    """Time above a limit less time below it since the last sample, s, the force taken as a straight line between."""
    last_s, last_n = last
    if not last_s < t_s:
        return 0.0
    high_n, low_n = max(force_n, last_n) - limit_n, min(force_n, last_n) - limit_n
    if high_n <= 0:
        return last_s - t_s
    return (t_s - last_s) * (1.0 if low_n >= 0 else (high_n + low_n) / (high_n - low_n))


def _over(since_s: float, t_s: float, force_n: float, edge: _Edge) -> tuple[bool, float]:
    """Whether a threshold with a delay is left, and since when the force has been below its deadband."""
    since_s = min(since_s, t_s) if force_n < edge.off_n else math.inf
    return t_s - since_s >= edge.off_delay_s - _SLACK_S, since_s


_Sample = tuple[float, float, float, bool]
"""Time, force, sure force, overload."""


def _sample_step(state: ComfortState, edges: tuple[_Edge, ...], sample: _Sample) -> ComfortState:
    """Take in one sample."""
    t_s, force_n, sure_n, overload = sample
    contact, low, firm, limit, ceiling = state.on
    _, above_s, below_limit_s, below_ceiling_s, last, _ = state
    now = t_s, force_n
    at_contact, at_low, at_firm, at_limit, at_ceiling = edges
    contact = overload or (sure_n >= at_contact.off_n if contact else sure_n > at_contact.on_n)
    if not contact:
        # The next touch begins anew: a light one soon after a hard one is light.
        return ComfortState(last=now)
    low = force_n >= at_low.off_n if low else force_n > at_low.on_n
    firm = force_n >= at_firm.off_n if firm else force_n > at_firm.on_n
    if limit:
        ended, below_limit_s = _over(below_limit_s, t_s, force_n, at_limit)
        limit = not ended
    else:
        above_s = max(above_s + _time_above(last, t_s, force_n, at_limit.on_n), 0.0)
        limit = force_n > at_limit.on_n and above_s >= at_limit.on_delay_s - _SLACK_S
        below_limit_s, above_s = math.inf, 0.0 if limit else above_s
    if ceiling and not overload:
        ended, below_ceiling_s = _over(below_ceiling_s, t_s, force_n, at_ceiling)
        ceiling = not ended
    else:
        ceiling, below_ceiling_s = overload or force_n > at_ceiling.on_n, math.inf
    on = contact, low, firm, limit, ceiling
    level = Comfort(1 + max((i for i in range(1, 5) if on[i]), default=0))
    return ComfortState(on, above_s, below_limit_s, below_ceiling_s, now, level)


def _waits(state: ComfortState, edges: tuple[_Edge, ...]) -> bool:
    """Something changes with time alone, or with any sample."""
    if state.level is Comfort.STALE:
        return True
    contact, _, _, limit, _ = state.on
    begins = contact and not limit and (state.above_s > 0 or state.last[1] > edges[3].on_n)
    return begins or state.below_limit_s < math.inf or state.below_ceiling_s < math.inf


def _cue(
    t_s: float,
    change: tuple[Comfort, Comfort],
    forces_n: tuple[float, float],
    edges: tuple[_Edge, ...],
    place: tuple[str, str],
    *,
    overload: bool,
) -> Cue:
    """Explain a change: going up, the highest threshold passed decided; going down, the lowest one left."""
    before, now = change
    if overload:
        return Cue(t_s, now, before, *forces_n, math.nan, "the load cell is at the end of its range", *place)
    if before is Comfort.STALE:
        return Cue(t_s, now, before, *forces_n, math.nan, "samples came again after a gap", *place)
    rising = now > before
    i = int(now) - 1 if rising else int(now)
    edge = edges[i]
    delay_s = edge.on_delay_s if rising else edge.off_delay_s
    rule = f"rose above the {_EDGE_NAMES[i]}" if rising else f"fell below the {_EDGE_NAMES[i]}, less its deadband"
    rule += f", for {delay_s * 1000:.0f} ms" if delay_s else ""
    rule += ", at a place that is left out" if edges[3].on_n <= NOT_HERE_N else ""
    return Cue(t_s, now, before, *forces_n, edge.on_n if rising else edge.off_n, rule, *place)


def stale_cue(state: ComfortState, t_s: float) -> Cue:
    """Cue for samples that stopped at ``t_s``: whatever was signalled before no longer holds."""
    return Cue(t_s, Comfort.STALE, state.level, math.nan, math.nan, math.nan, "no samples", "", "")


def comfort_step(
    params: ComfortParams, state: ComfortState, felt: Felt, place: tuple[str, str, Band]
) -> tuple[list[Comfort], list[Cue], ComfortState]:
    """Decide the comfort state of each sample.

    Parameters
    ----------
    params : ComfortParams
        Tuning.
    state : ComfortState
        Memory from the block before.
    felt : Felt
        n samples.
    place : (zone, side, Band)
        Where the roller is, and the thresholds that hold there. May change between blocks.

    Returns
    -------
    comfort : list of Comfort
        One per sample.
    cues : list of Cue
        Changes of state, in order.
    state : ComfortState
        Memory for the next block.
    """
    zone, side, band = place
    edges = _edges(params, band)
    columns = felt.t_s.tolist(), felt.force_n.tolist(), felt.sure_n.tolist(), felt.overload.tolist()
    samples = list(zip(*columns, strict=True))
    comfort: list[Comfort] = []
    cues: list[Cue] = []
    while (i := len(comfort)) < len(samples):
        if n_same := 0 if _waits(state, edges) else _undisturbed(state, edges, samples, i):
            comfort += [state.level] * n_same
            state = ComfortState(*state[:4], samples[i + n_same - 1][:2], state.level)
            continue
        level, state = state.level, _sample_step(state, edges, samples[i])
        if state.level is not level:
            t_s, force_n, _, overload = samples[i]
            forces_n = float(felt.raw_n[i]), force_n
            cues.append(_cue(t_s, (level, state.level), forces_n, edges, (zone, side), overload=overload))
        comfort.append(state.level)
    return comfort, cues, state


def _undisturbed(state: ComfortState, edges: tuple[_Edge, ...], samples: list[_Sample], begin: int) -> int:
    """Count samples from ``begin`` on that cross no threshold."""
    contact, *on = state.on
    low_n, high_n, least_n, most_n = -math.inf, math.inf, -math.inf, edges[0].on_n
    if contact:
        least_n, most_n = edges[0].off_n, math.inf
        for edge, is_on in zip(edges[1:], on, strict=True):
            # Up a threshold counts when it is exceeded, down when it is fallen short of.
            if is_on:
                low_n = max(low_n, edge.off_n)
            else:
                high_n = min(high_n, edge.on_n)
    for i in range(begin, len(samples)):
        _, force_n, sure_n, overload = samples[i]
        if overload or not (low_n <= force_n <= high_n and least_n <= sure_n <= most_n):
            return i - begin
    return len(samples) - begin
