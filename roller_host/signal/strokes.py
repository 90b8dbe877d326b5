# SPDX-License-Identifier: MIT
"""Strokes: cut from skin contact and reversals of the roller, each with length, direction, speed and force."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import PLACES
from roller_host.signal.comfort import Comfort
from roller_host.signal.estimates import Stroke
from roller_host.signal.lowpass import lowpass_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel


@dataclass(frozen=True)
class StrokeParams:
    """Tuning of the stroke detector."""

    low_pass_hz: float = 12.0
    """Cut-off for the rolled distance, Hz. Lowering it rejects encoder jitter and finds reversals later."""
    reversal_m: float = 0.5e-3
    """The roller has turned back once it is this far from its extreme, m. Raising it rejects jitter and finds
    reversals later."""
    shortest_m: float = 0.012
    """Shorter movements are no strokes, m."""
    edge_m: float = 0.3e-3
    """A stroke begins and ends this far inside its extremes, m: dwell does not count."""
    longest_s: float = 20.0
    """A contact without a reversal is cut after this time, s, so that memory stays bounded."""
    moving_m_s: float = 0.01
    """Below this speed the direction of motion is not defined, m/s."""
    skew_deg: float = 6.5
    """Angle between rolling direction and path that the direction's uncertainty assumes, standard deviation."""
    sway_deg: float = 3.0
    """Head motion and orientation error that it assumes, standard deviation."""


_COLUMNS = 9  # time, rolled distance, step up, step left, flatness, force, force sigma, in band, place


class StrokeState(NamedTuple):
    """Memory between blocks."""

    filter_zi: NDArray[np.float64] | None = None
    last_m: float | None = None
    pending: NDArray[np.float64] = np.zeros((0, _COLUMNS))
    """Samples since the contact or the reversal that began the movement under way."""
    extreme: int = 0
    """Row of ``pending`` at which the movement was farthest."""
    sign: int = 0
    """Sense of the movement, 0 until it shows."""


class Motion(NamedTuple):
    """Motion per sample."""

    speed_m_s: NDArray[np.float64]
    """Signed, positive toward the head of the roller."""
    direction_deg: NDArray[np.float64]
    """As in ``Stroke.direction_deg``; NaN without contact or motion."""


class StrokeInput(NamedTuple):
    """What the stroke detector needs of each of n samples."""

    t_s: NDArray[np.float64]
    roll_rad: NDArray[np.float64]
    rotation: NDArray[np.float64]
    """World from body, (n, 3, 3)."""
    force_n: NDArray[np.float64]
    force_sigma_n: NDArray[np.float64]
    comfort: list[Comfort]
    places: list[int]


def _delay_s(params: StrokeParams) -> float:
    """Group delay of the low-pass at low frequencies: that of a second-order Butterworth filter."""
    return math.sqrt(2.0) / (2 * math.pi * params.low_pass_hz)


def tangent_axes(rotation: NDArray[np.float64], model: DeviceModel) -> NDArray[np.float64]:
    """Components of the rolling direction in the tangent plane, and how well "up" is defined there.

    The plane is the one across the press axis; up is the world's, which is the face's while the person sits upright.

    Parameters
    ----------
    rotation : ndarray, shape (n, 3, 3)
        World from body.
    model : DeviceModel
        Geometry.

    Returns
    -------
    ndarray, shape (n, 3)
        Up, left, and the sine of the angle between the normal and the vertical.
    """
    normal = -np.einsum("nij,j->ni", rotation, model.press)
    rolling = np.einsum("nij,j->ni", rotation, model.forward)
    flat = np.sqrt(np.maximum(1.0 - normal[:, 2] ** 2, 1e-6))
    up = rolling[:, 2] / flat
    # left = up x normal; its product with the rolling direction needs no more than two components.
    left = (normal[:, 0] * rolling[:, 1] - normal[:, 1] * rolling[:, 0]) / flat
    return np.stack([up, left, flat], axis=1)


def stroke_step(
    params: StrokeParams, model: DeviceModel, state: StrokeState, samples: StrokeInput, fs_hz: float
) -> tuple[Motion, list[Stroke], StrokeState]:
    """Follow the roller over one block.

    Parameters
    ----------
    params : StrokeParams
        Tuning.
    model : DeviceModel
        Geometry.
    state : StrokeState
        Memory from the block before. Begin with a new one after a gap: no stroke spans it.
    samples : StrokeInput
        n > 0 samples.
    fs_hz : float
        Sample rate, Hz.

    Returns
    -------
    motion : Motion
        One per sample; lags by the group delay of the low-pass.
    strokes : list of Stroke
        Strokes that ended in this block.
    state : StrokeState
        Memory for the next block.
    """
    rolled_m = samples.roll_rad * model.geometry.roller_radius_m
    # The axes pass the same filter as the distance, so that both lag alike.
    columns = np.column_stack([rolled_m, tangent_axes(samples.rotation, model)])
    smooth, zi = lowpass_step(params.low_pass_hz, fs_hz, state.filter_zi, columns)
    smooth_m, up, left, flat = smooth.T
    steps = smooth_m - np.concatenate([[smooth_m[0] if state.last_m is None else state.last_m], smooth_m[:-1]])
    speed = steps * fs_hz
    in_band = [c is Comfort.COMFORTABLE for c in samples.comfort]
    rows = np.column_stack(
        [
            samples.t_s,
            smooth_m,
            steps * up,
            steps * left,
            flat,
            samples.force_n,
            samples.force_sigma_n,
            in_band,
            samples.places,
        ]
    )
    contact = np.array([c is not Comfort.NO_CONTACT for c in samples.comfort])
    moving = contact & (np.abs(speed) > params.moving_m_s)
    angle = np.degrees(np.arctan2(left * np.sign(speed), up * np.sign(speed)))
    strokes, state = _cut(params, state._replace(filter_zi=zi, last_m=float(smooth_m[-1])), rows, contact.tolist())
    return Motion(speed, np.where(moving, angle, np.nan)), strokes, state


def _cut(
    params: StrokeParams, state: StrokeState, rows: NDArray[np.float64], contact: list[bool]
) -> tuple[list[Stroke], StrokeState]:
    """Divide contact into movements of one sense."""
    strokes: list[Stroke] = []
    pending = np.concatenate([state.pending, rows])
    begin, extreme, sign = 0, state.extreme, state.sign
    position = pending[:, 1].tolist()
    for i in range(len(state.pending), len(pending)):
        if not contact[i - len(state.pending)]:
            strokes += _stroke(params, pending[begin:i])
            begin, extreme, sign = i + 1, i + 1, 0
            continue
        moved = position[i] - position[extreme]
        if sign == 0 and abs(moved) > params.reversal_m:
            sign, extreme = (1 if moved > 0 else -1), i
        elif sign * moved > 0:
            extreme = i
        elif sign and -sign * moved > params.reversal_m:
            strokes += _stroke(params, pending[begin : extreme + 1])
            begin, extreme, sign = extreme, i, -sign
        if pending[i, 0] - pending[begin, 0] > params.longest_s:
            strokes += _stroke(params, pending[begin : i + 1])
            begin, extreme, sign = i, i, 0
    return strokes, state._replace(pending=pending[begin:], extreme=extreme - begin, sign=sign)


def _stroke(params: StrokeParams, rows: NDArray[np.float64]) -> list[Stroke]:
    """Sum up one movement; empty when it was too short to be a stroke."""
    if len(rows) < 3:
        return []
    travel = np.abs(rows[:, 1] - rows[0, 1])
    length_m = float(travel[-1])
    if length_m < params.shortest_m:
        return []
    inner = np.flatnonzero((travel > params.edge_m) & (travel < length_m - params.edge_m))
    if not len(inner):  # so fast that no sample lies between the ends
        return []
    rows = rows[max(int(inner[0]) - 1, 0) : int(inner[-1]) + 2]
    begin_s, end_s = float(rows[0, 0]) - _delay_s(params), float(rows[-1, 0]) - _delay_s(params)
    up, left = float(rows[1:, 2].sum()), float(rows[1:, 3].sum())
    direction = math.degrees(math.atan2(left, up))
    middle = rows[len(rows) // 2]
    place = int(middle[8])
    zone, side = PLACES[place] if place >= 0 else ("", "")
    outward = {"left": direction, "right": -direction}.get(side, math.nan)
    # Unknown skew and pitch; jitter of the path's ends; sway of the head, worse where "up" nearly meets the normal.
    sway = params.sway_deg / max(float(middle[4]), 0.05)
    sigma = math.hypot(params.skew_deg, math.degrees(params.reversal_m / length_m), sway)
    steps_s = np.diff(rows[:, 0])
    speeds = np.abs(np.diff(rows[:, 1])) / steps_s
    return [
        Stroke(
            begin_s=begin_s,
            end_s=end_s,
            length_m=length_m,
            direction_deg=direction,
            direction_sigma_deg=sigma,
            outward_deg=outward,
            speed_m_s=length_m / max(end_s - begin_s, 1e-3),
            speed_peak_m_s=float(speeds.max()),
            force_n=float(rows[:, 5].mean()),
            force_peak_n=float(rows[:, 5].max()),
            force_sigma_n=float(rows[:, 6].mean()),
            in_band_ratio=float(rows[:, 7].mean()),
            zone=zone,
            side=side,
        )
    ]
