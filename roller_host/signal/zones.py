# SPDX-License-Identifier: MIT
"""Which place is being rolled, from the direction of the skin's normal against the face.

A start pose ties face and world together: the roller held still on the midline before the face, handle down. Places
that share a normal cannot be told apart by it; then the estimate is the nearest one, or unknown beyond a limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import PLACES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPICAL_DEG = {
    "forehead": (22.0, 38.0),
    "temple": (72.0, 22.0),
    "eye": (36.0, 6.0),
    "cheek": (48.0, -12.0),
    "jaw": (62.0, -36.0),
    "under_chin": (35.0, -65.0),
    "neck": (85.0, -2.0),
    "decolletage": (0.0, 36.0),
}
"""Typical outward normals of the left half in a sitting person: azimuth from forward toward the side, elevation.
Anatomical estimates of this project, not measured."""


def _normal(zone: str, side: str) -> tuple[float, float, float]:
    azimuth, elevation = np.radians(_TYPICAL_DEG[zone])
    left = np.cos(elevation) * np.sin(azimuth) * (-1.0 if side == "right" else 1.0)
    return float(np.cos(elevation) * np.cos(azimuth)), float(left), float(np.sin(elevation))


_NORMALS = np.array([_normal(*place) for place in PLACES])
"""Forward, left, up components of each place's normal, (15, 3)."""


@dataclass(frozen=True)
class ZoneParams:
    """Tuning of the place estimate."""

    smooth_s: float = 1.0
    """The normal is averaged since the touch-down, and over this time constant at the most, s. Raising it holds on to a
    place through rocking of the wrist and follows later."""
    limit_deg: float = 30.0
    """Farther from every typical normal, the place is unknown."""
    hold_deg: float = 8.0
    """A place is left only for one that fits better by this much."""


class ZoneState(NamedTuple):
    """Memory between blocks."""

    forward: tuple[float, float] | None = None
    """Heading of the face in the world, unit vector; None before the start pose."""
    normal: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Mean normal of the contact under way, world frame."""
    n_samples: int = 0
    """Samples since the touch-down."""
    place: int = -1
    """Index in ``PLACES``, -1 unknown."""


def zone_step(
    params: ZoneParams,
    state: ZoneState,
    normal: NDArray[np.float64],
    contact: NDArray[np.bool_],
    start_pose: NDArray[np.bool_],
    fs_hz: float,
) -> tuple[list[int], ZoneState]:
    """Estimate the place of each sample.

    Parameters
    ----------
    params : ZoneParams
        Tuning.
    state : ZoneState
        Memory from the block before.
    normal : ndarray, shape (n, 3)
        Away from the skin, world frame.
    contact : ndarray of bool, shape (n,)
        Skin contact.
    start_pose : ndarray of bool, shape (n,)
        The roller is held still before the first contact: its normal shows where the face looks.
    fs_hz : float
        Sample rate, Hz.

    Returns
    -------
    places : list of int
        Index in ``PLACES`` per sample, -1 when not known or without contact.
    state : ZoneState
        Memory for the next block.
    """
    n_full = max(round(params.smooth_s * fs_hz), 1)
    forward, mean, n_samples, place = state
    places: list[int] = []
    for n, touches, poses in zip(normal.tolist(), contact.tolist(), start_pose.tolist(), strict=True):
        if poses and (length := math.hypot(n[0], n[1])) > 0.5:
            forward = n[0] / length, n[1] / length
        if touches and forward:
            n_samples = min(n_samples + 1, n_full)
            mean = (
                mean[0] + (n[0] - mean[0]) / n_samples,
                mean[1] + (n[1] - mean[1]) / n_samples,
                mean[2] + (n[2] - mean[2]) / n_samples,
            )
            place = _nearest(params, mean, forward, place)
            places.append(place)
        else:
            n_samples = 0
            places.append(-1)
    return places, ZoneState(forward, mean, n_samples, place)


def _nearest(params: ZoneParams, normal: tuple[float, float, float], forward: tuple[float, float], place: int) -> int:
    ahead = normal[0] * forward[0] + normal[1] * forward[1]
    left = normal[1] * forward[0] - normal[0] * forward[1]
    up = normal[2]
    cosines = (_NORMALS[:, 0] * ahead + _NORMALS[:, 1] * left + _NORMALS[:, 2] * up) / max(
        math.sqrt(ahead**2 + left**2 + up**2), 1e-9
    )
    best = int(np.argmax(cosines))
    angle = _angle_deg(cosines[best])
    if angle > params.limit_deg:
        return -1
    return place if place >= 0 and _angle_deg(cosines[place]) < angle + params.hold_deg else best


def _angle_deg(cosine: float) -> float:
    return math.degrees(math.acos(min(max(float(cosine), -1.0), 1.0)))
