# SPDX-License-Identifier: MIT
"""Strokes summed up: from the rows of one movement to its ends, length, direction, speed and force."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import place_at
from roller_host.signal.estimates import Stroke, confidence_of, outward_deg
from roller_host.signal.force import peak_n
from roller_host.signal.grip import Evidence, GripParams, look_back
from roller_host.signal.paths import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel
    from roller_host.signal.paths import Path


@dataclass(frozen=True)
class StrokeParams:
    """Tuning of the stroke detector."""

    follow_s: float = 0.02
    """Time constant with which the followed way trusts the encoder over the accelerometer, s. Raising it rejects
    encoder jitter and lets vibration in."""
    pitch: float = -0.15
    """Usual pitch of the handle against the skin, tangent: the grip is held off the skin by the fingers around it."""
    reversal_m: float = 0.6e-3
    """The roller has turned back once it is this far from its extreme, m. Raising it rejects jitter and finds
    reversals later."""
    ahead_s: float = 0.014
    """or will be after this time at its present speed, s. Raising it finds quick reversals earlier, and trembling at
    rest is taken for one."""
    shortest_m: float = 0.012
    """Shorter movements are no strokes, m."""
    edge_m: float = 0.3e-3
    """Motion is sure this far inside the extremes, m: dwell does not count."""
    carried_m: float = 0.2e-3
    """Skin goes along with the roller this far before the roller rolls, m."""
    unseen_s: float = 0.2
    """A stroke begins and ends no farther than this outside of what is surely motion, s."""
    longest_s: float = 20.0
    """A contact without a reversal is cut after this time, s, so that memory stays bounded."""
    speed_s: float = 0.05
    """The shown speed is that over this time, s."""
    moving_m_s: float = 0.01
    """Below this speed the direction of motion is not defined, m/s."""
    sway_deg: float = 1.7
    """Error of "up", from head motion, orientation and mounting of the IMU, standard deviation."""
    grip: GripParams = field(default_factory=GripParams)


class Rows(NamedTuple):
    """Samples as strokes are made of them. Vectors are along axle, rolling direction and away from the skin."""

    t_s: NDArray[np.float64]
    path_m: NDArray[np.float64]
    """Way of the axle as encoder and gyroscope say."""
    way_m: NDArray[np.float64]
    """The same as followed."""
    rate_rad_s: NDArray[np.float64]
    acc_m_s2: NDArray[np.float64]
    axes: NDArray[np.float64]
    """World directions of axle, rolling direction and away from the skin as columns, (n, 3, 3)."""
    up: NDArray[np.float64]
    force_n: NDArray[np.float64]
    force_sigma_n: NDArray[np.float64]
    in_band: NDArray[np.bool_]

    def part(self, first: int, last: int) -> Rows:
        """Rows from ``first`` to ``last``."""
        return Rows._make(column[first : last + 1] for column in self)


def proper_motion(params: StrokeParams, rows: Rows, span: tuple[int, int]) -> tuple[int, int] | None:
    """First and last row of the motion proper; None when it was too short to be a stroke."""
    begin, end = span
    if end - begin < 2:
        return None
    travel = np.abs(rows.way_m[begin : end + 1] - rows.way_m[begin])
    length_m = float(travel[-1])
    if length_m < params.shortest_m:
        return None
    # Jitter crosses either edge more than once: the middle between the first and the last time.
    inside, to_go = travel > params.edge_m, travel < length_m - params.edge_m
    if not (inside & to_go).any():  # so fast that no sample lies between the ends
        return begin, end
    first = (int(np.argmax(inside)) + int(np.flatnonzero(~inside)[-1])) // 2
    last = (int(np.flatnonzero(to_go)[-1]) + int(np.argmin(to_go)) + 1) // 2
    return (begin + first, begin + last) if first < last else (begin, end)


def ends_s(
    params: StrokeParams, rows: Rows, span: tuple[int, int], moved: tuple[int, int], *, lifted: bool
) -> tuple[float, float]:
    """When the stroke began and ended.

    Hands set out and stop slowly: by a minimum-jerk motion (Flash and Hogan, J. Neurosci. 5(7), 1985), which covers
    10 x^3 of its way in the first share x of its time. So the first tenths of a millimetre, in which motion is not yet
    sure, take a share of the time that follows from their share of the way.
    """
    begin, end = (rows.t_s.item(i) for i in moved)
    length_m = abs(float(rows.way_m[span[1]] - rows.way_m[span[0]]))
    unseen = min(((params.edge_m + params.carried_m) / (10 * length_m)) ** (1 / 3), 0.25)
    before_s = min(unseen * (end - begin) / (1 - 2 * unseen), params.unseen_s)
    # Nothing begins before the touch-down; where the roller turns back, jitter hides the extreme.
    earliest, latest = (rows.t_s.item(i) for i in span)
    slack_s = 0.0 if lifted else before_s / 2
    return max(begin - before_s, earliest - slack_s), min(end + before_s, latest + before_s / 2)


def summed_up(
    params: StrokeParams,
    rows: Rows,
    moved: tuple[int, int],
    ends_s: tuple[float, float],
    where: tuple[int, float],
    path: Path,
    pitch_gain: float,
) -> Stroke:
    """Sum up one stroke."""
    begin_s, end_s = ends_s
    inner = slice(moved[0], moved[1] + 1)
    zone, side = place_at(where[0])
    way_m = abs(rows.way_m.item(moved[1]) - rows.way_m.item(moved[0]))
    t_s, force_n = _pressed(rows, moved, ends_s, path, pitch_gain)
    speeds = np.abs(rows.way_m[inner][1:] - rows.way_m[inner][:-1]) / (rows.t_s[inner][1:] - rows.t_s[inner][:-1])
    stroke = Stroke(
        begin_s=begin_s,
        end_s=end_s,
        decided_s=rows.t_s.item(-1),
        length_m=way_m,
        length_sigma_m=math.nan,
        direction_deg=math.nan,
        direction_sigma_deg=math.nan,
        confidence=math.nan,
        outward_deg=math.nan,
        speed_m_s=way_m / max(end_s - begin_s, 1e-3),
        speed_peak_m_s=float(np.maximum.reduce(speeds)),
        force_n=_mean(force_n),
        force_peak_n=peak_n(t_s, force_n),
        force_sigma_n=_mean(rows.force_sigma_n[inner]),
        in_band_ratio=_mean(rows.in_band[inner]),
        zone=zone,
        side=side,
        zone_confidence=where[1],
    )
    return _along(params, stroke, path)


def _pressed(
    rows: Rows, moved: tuple[int, int], ends_s: tuple[float, float], path: Path, pitch_gain: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time and force of each sample of the whole stroke, by the pitch that it had instead of the usual one."""
    first, last = rows.t_s.searchsorted(ends_s).tolist()
    span = slice(min(first, moved[0]), max(last, moved[1]) + 1)
    middle_m = (rows.way_m.item(moved[0]) + rows.way_m.item(moved[1])) / 2
    pitch = path.pitch + path.pitch_per_m * (rows.way_m[span] - middle_m)
    # The cell feels F cos(pitch), and 1 / cos = sqrt(1 + tan^2).
    return rows.t_s[span], rows.force_n[span] / pitch_gain * np.sqrt(1 + pitch * pitch + path.pitch_variance)


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    """Mean; numpy's own takes three times as long when there are few."""
    return float(np.add.reduce(values)) / len(values)


def _along(params: StrokeParams, stroke: Stroke, path: Path) -> Stroke:
    """The same stroke along another path."""
    sway = params.sway_deg / max(path.flatness, 0.05)
    sigma_deg = math.hypot(path.direction_sigma_deg, math.degrees(params.reversal_m / path.length_m), sway)
    longer = path.length_m / max(stroke.length_m, 1e-6)
    return stroke._replace(
        length_m=path.length_m,
        length_sigma_m=math.hypot(path.length_sigma_m, params.edge_m),
        direction_deg=path.direction_deg,
        direction_sigma_deg=sigma_deg,
        confidence=confidence_of(sigma_deg),
        outward_deg=outward_deg(path.direction_deg, stroke.side),
        speed_m_s=stroke.speed_m_s * longer,
        speed_peak_m_s=stroke.speed_peak_m_s * longer,
    )


def after_session(
    params: StrokeParams, model: DeviceModel, strokes: Sequence[Stroke], evidence: Sequence[Evidence]
) -> list[Stroke]:
    """Strokes of a whole session, each estimated from all: those before it, itself and those after it.

    Parameters
    ----------
    params : StrokeParams
        Tuning.
    model : DeviceModel
        Geometry.
    strokes : sequence of Stroke
        As decided one by one.
    evidence : sequence of Evidence
        Of each of them; empty when they come from the IMU alone: then they stay as they are.

    Returns
    -------
    list of Stroke
        The same strokes with better paths.
    """
    if not evidence:
        return list(strokes)
    radius_m = model.geometry.roller_radius_m
    grips = look_back(params.grip, evidence)
    paths = [path_of(said, grip, radius_m) for said, grip in zip(evidence, grips, strict=True)]
    return [_along(params, stroke, path) for stroke, path in zip(strokes, paths, strict=True)]
