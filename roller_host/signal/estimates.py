# SPDX-License-Identifier: MIT
"""Values that the signal core hands on: what is known about each sample, each stroke, each gap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.comfort import Comfort, Cue
    from roller_host.signal.grip import Evidence


WITHIN_DEG = 22.5
"""A direction is right within this."""


def confidence_of(sigma_deg: float) -> float:
    """Probability that a direction of this standard uncertainty is right within `WITHIN_DEG`."""
    return math.erf(WITHIN_DEG / sigma_deg / math.sqrt(2))


def outward_deg(direction_deg: float, side: str) -> float:
    """Angle from face-up with outward positive, degrees; NaN when the side is not known."""
    return {"left": direction_deg, "right": -direction_deg}.get(side, math.nan)


class Gap(NamedTuple):
    """Packets that never came: no estimate spans it."""

    t_s: float
    """Time of the last sample before the gap on the session timeline, s."""
    duration_s: float
    """Time without samples, s."""
    lost_packets: int


class Stroke(NamedTuple):
    """One pass of the roller over the skin, from reversal, contact or lift-off to the next."""

    begin_s: float
    end_s: float
    decided_s: float
    """Time of the sample at which its end was decided, s."""
    length_m: float
    """Way of the contact point over the skin, m."""
    length_sigma_m: float
    """Standard uncertainty of the length, m."""
    direction_deg: float
    """Angle from face-up in the tangent plane, -180 to 180, positive toward the person's left; NaN when not defined."""
    direction_sigma_deg: float
    """Standard uncertainty of the direction, degrees."""
    confidence: float
    """Probability that the direction is right within 22.5 degrees, 0 to 1."""
    outward_deg: float
    """The same angle with outward (away from the midline) positive; NaN when the side is not known."""
    speed_m_s: float
    """Mean speed, m/s."""
    speed_peak_m_s: float
    force_n: float
    """Mean force, N."""
    force_peak_n: float
    force_sigma_n: float
    """Standard uncertainty of the mean force, N."""
    in_band_ratio: float
    """Share of the stroke spent in the comfort band, 0 to 1."""
    zone: str
    """Name from ``zones.ZONES``, or ``""`` when not known."""
    side: str
    zone_confidence: float = 0.0
    """Probability that zone and side are right, 0 to 1; 0 when not known."""


class Estimates(NamedTuple):
    """What one packet added. Arrays have shape (n,) and share their first axis."""

    t_s: NDArray[np.float64]
    """Session timeline, s: device clock since the first sample."""
    force_n: NDArray[np.float64]
    """Filtered applied force, N."""
    force_sigma_n: NDArray[np.float64]
    """Its standard uncertainty, N."""
    contact: NDArray[np.bool_]
    speed_m_s: NDArray[np.float64]
    """Speed of the contact point along the rolling direction, signed (positive: toward the head of the roller), m/s; 0
    in the air."""
    direction_deg: NDArray[np.float64]
    """Direction of motion as in `Stroke`; NaN without contact or motion."""
    comfort: tuple[Comfort, ...]
    places: tuple[int, ...]
    """Index in ``zones.PLACES`` per sample; -1 when not known or without contact."""
    zone: str
    """Zone at the end of the block, ``""`` when not known."""
    side: str
    strokes: tuple[Stroke, ...] = ()
    """Strokes that ended in this block."""
    evidence: tuple[Evidence, ...] = ()
    """What each of them says about the grip, for `grip.look_back`; empty when they come from the IMU alone."""
    cues: tuple[Cue, ...] = ()
    gaps: tuple[Gap, ...] = ()
    heading_sigma_deg: float = math.inf
    """Standard uncertainty of where the face looks, at the end of the block, degrees; infinite before a start pose."""
    zero_n: float = math.nan
    """What the load cell shows of nothing by the stored zero, along its axis and without the head, at the end of the
    block, N; NaN until that was seen in the air."""
    place_confidence: NDArray[np.float64] = np.zeros(0)
    """Probability that ``places`` is right, 0 to 1."""
    presses_s: tuple[float, ...] = ()
    """When the button on the roller was pressed, s on the session timeline."""
    saturated: NDArray[np.bool_] = np.zeros(0, np.bool_)
    """Load cell or IMU clipped: the force may be far off, whatever its number says."""
