# SPDX-License-Identifier: MIT
"""From force to a comfort state: personal thresholds with deadband and delays, and cues that explain themselves.

The pattern (limit, deadband, on-delay, off-delay, and none of these delays for the safety limit) is that of alarm
management in process control: ISA-18.2, OPC UA Part 9.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    """Time above the limit before it counts, s. Raising it means fewer and later alerts."""
    limit_off_delay_s: float = 0.3
    """Time below limit (or ceiling) minus deadband before it is over, s."""


class _Latch(NamedTuple):
    """One threshold with its memory: on or off, and since when the input asks for the other."""

    on: bool = False
    asked_s: float | None = None


class ComfortState(NamedTuple):
    """Memory between blocks: one latch each for contact, low, firm, limit, ceiling."""

    latches: tuple[_Latch, ...] = (_Latch(),) * 5
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


_EDGE_NAMES = ("contact threshold", "low end of the band", "firm end of the band", "limit", "ceiling")


def band_of(bands: Mapping[tuple[str, str], Band], zone: str, side: str) -> Band:
    """Thresholds of a place: the person's own when there are any, else the starting point of its zone."""
    return bands.get((zone, side)) or STARTING_BANDS[zone]


def _latch_step(latch: _Latch, force_n: float, t_s: float, edge: tuple[float, float, float, float]) -> _Latch:
    on_n, off_n, on_delay_s, off_delay_s = edge
    if latch.on:
        asks, delay_s = force_n < off_n, off_delay_s
    else:
        asks, delay_s = force_n > on_n, on_delay_s
    if not asks:
        return latch if latch.asked_s is None else _Latch(latch.on)
    asked_s = t_s if latch.asked_s is None else latch.asked_s
    # Half a microsecond of slack: a delay of whole samples must not depend on rounding.
    return _Latch(not latch.on) if t_s - asked_s >= delay_s - 5e-7 else _Latch(latch.on, asked_s)


def _edges(params: ComfortParams, band: Band) -> tuple[tuple[float, float, float, float], ...]:
    def off(threshold_n: float) -> float:
        return threshold_n - max(params.deadband_ratio * threshold_n, params.deadband_min_n)

    off_delay_s = params.limit_off_delay_s
    return (
        (params.contact_on_n, params.contact_off_n, 0.0, 0.0),
        (band.low_n, off(band.low_n), 0.0, 0.0),
        (band.firm_n, off(band.firm_n), 0.0, 0.0),
        (band.limit_n, off(band.limit_n), params.limit_on_delay_s, off_delay_s),
        (band.ceiling_n, off(band.ceiling_n), 0.0, off_delay_s),
    )


def _level(latches: Sequence[_Latch]) -> Comfort:
    if not latches[0].on:
        return Comfort.NO_CONTACT
    return Comfort(1 + max((i for i in range(1, 5) if latches[i].on), default=0))


def _cue(
    t_s: float,
    change: tuple[Comfort, Comfort],
    forces_n: tuple[float, float],
    edges: Sequence[tuple[float, float, float, float]],
    place: tuple[str, str],
) -> Cue:
    """Explain a change: going up, the highest threshold passed decided; going down, the lowest one left."""
    before, now = change
    if before is Comfort.STALE:
        return Cue(t_s, now, before, *forces_n, math.nan, "samples came again after a gap", *place)
    rising = now > before
    i = int(now) - 1 if rising else int(now)
    on_n, off_n, on_delay_s, off_delay_s = edges[i]
    delay_s = on_delay_s if rising else off_delay_s
    rule = f"rose above the {_EDGE_NAMES[i]}" if rising else f"fell below the {_EDGE_NAMES[i]}, less its deadband"
    rule += f", for {delay_s * 1000:.0f} ms" if delay_s else ""
    return Cue(t_s, now, before, *forces_n, on_n if rising else off_n, rule, *place)


def stale_cue(state: ComfortState, t_s: float) -> Cue:
    """Cue for samples that stopped at ``t_s``: whatever was signalled before no longer holds."""
    return Cue(t_s, Comfort.STALE, state.level, math.nan, math.nan, math.nan, "no samples", "", "")


def comfort_step(
    params: ComfortParams,
    state: ComfortState,
    t_s: NDArray[np.float64],
    force_n: NDArray[np.float64],
    force_raw_n: NDArray[np.float64],
    place: tuple[str, str, Band],
) -> tuple[list[Comfort], list[Cue], ComfortState]:
    """Decide the comfort state of each sample.

    Parameters
    ----------
    params : ComfortParams
        Tuning.
    state : ComfortState
        Memory from the block before.
    t_s : ndarray, shape (n,)
        Sample times, s.
    force_n : ndarray, shape (n,)
        Filtered force, N.
    force_raw_n : ndarray, shape (n,)
        Unfiltered force, N; only quoted in cues.
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
    latches, level = list(state.latches), state.level
    comfort: list[Comfort] = []
    cues: list[Cue] = []
    for t, force, raw in zip(t_s.tolist(), force_n.tolist(), force_raw_n.tolist(), strict=True):
        for i, edge in enumerate(edges):
            latches[i] = _latch_step(latches[i], force, t, edge)
        if not latches[0].on:
            # The next touch begins anew: a light one soon after a hard one is light.
            latches = list(ComfortState().latches)
        now = _level(latches)
        if now is not level:
            cues.append(_cue(t, (level, now), (raw, force), edges, (zone, side)))
            level = now
        comfort.append(level)
    return comfort, cues, ComfortState(tuple(latches), level)
