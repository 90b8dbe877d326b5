# SPDX-License-Identifier: MIT
"""The face: how it stands in the world, and where its places lie.

A start pose ties the two together: the roller held still on the midline before the face, handle down, so that its axle
points to the person's left, its rolling direction up the face and its press axis into it.

Face frame: x to the person's left, y up the face, z forward, origin midway between the ears (tragion), metres.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import MIDLINE, PLACES, ZONES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Landmark(NamedTuple):
    """Where the left half of a zone lies, and how it faces."""

    azimuth_deg: float
    """Outward normal: from forward toward the side."""
    elevation_deg: float
    """Outward normal: upward."""
    centre_mm: tuple[float, float, float]
    """Middle of the zone, face frame."""
    spread_mm: tuple[float, float, float]
    """How far the middles of strokes lie from it, standard deviation."""
    between_mm: float
    """How far it differs between people, standard deviation."""
    between_deg: float
    """How far its normal does, standard deviation: more where the skin curves more."""


LANDMARKS = {
    "forehead": Landmark(22.0, 38.0, (28.0, 65.0, 85.0), (14.0, 12.0, 12.0), 12.0, 4.0),
    "temple": Landmark(72.0, 22.0, (68.0, 32.0, 45.0), (8.0, 12.0, 12.0), 12.0, 4.0),
    "eye": Landmark(36.0, 6.0, (38.0, 12.0, 80.0), (10.0, 8.0, 8.0), 10.0, 4.0),
    "cheek": Landmark(48.0, -12.0, (48.0, -22.0, 70.0), (12.0, 12.0, 12.0), 12.0, 4.0),
    "jaw": Landmark(62.0, -36.0, (50.0, -65.0, 45.0), (12.0, 12.0, 15.0), 12.0, 4.0),
    "under_chin": Landmark(35.0, -65.0, (28.0, -90.0, 45.0), (12.0, 8.0, 15.0), 15.0, 6.0),
    "neck": Landmark(85.0, -2.0, (55.0, -145.0, -5.0), (8.0, 25.0, 15.0), 25.0, 10.0),
    "decolletage": Landmark(0.0, 36.0, (0.0, -235.0, 50.0), (50.0, 25.0, 20.0), 30.0, 8.0),
}
"""Zone -> estimate for an adult. Normals and differences between people are estimates of this project, not measured.
Centres follow from a head of 195 mm length and 152 mm breadth, a face of 137 mm breadth and 118 mm from menton to
sellion, 108 mm over the angles of the jaw. Published means are near: head length 195 (men) and 180 (women), breadth
155 and 145 (British adults, after Pheasant, Bodyspace); menton to sellion 119 (124 and 115, HQL Japan, 2001, n = 200);
face breadth 134 and 130, over the jaw 107 and 97 (J. Korean Assoc. Maxillofac. Plast. Reconstr. Surg., 2019,
10.1186/s40902-019-0191-7). Not checked against any source: neck circumference 360 mm, menton to the suprasternal notch
95 mm standing, and that the tragion is level with the lower rim of the orbit and as far from the back of the head as
from the root of the nose. Good to a centimetre on the face, and two or three below it."""

START_MM = (0.0, -5.0, 150.0)
"""Where the roller is held in the start pose."""
START_SPREAD_MM = (12.0, 35.0, 45.0)
"""Standard deviation of that."""

NEARLY_UPRIGHT_RAD = math.radians(8.0)
"""Up to this recline people sit: the pose's own errors (2 degrees an axis) are larger than what gravity leaves open."""
CROOKED = math.sin(math.radians(20.0))
"""Steepest axle of a start pose, sine: nobody holds the head more askew."""
RECLINES_RAD = math.radians(-20.0), math.radians(105.0)
"""Between bent forward and lying with the head low."""


def _sides(zone: str, side: str) -> float:
    return 0.0 if zone in MIDLINE else -1.0 if side == "right" else 1.0


SIGN = np.array([_sides(*place) for place in PLACES])
"""+1 for places on the left, -1 on the right, 0 on the midline, (15,)."""

ZONE_OF = np.array([ZONES.index(zone) for zone, _ in PLACES])
"""Index in ``ZONES`` of each place, (15,)."""

_AZIMUTH, _ELEVATION = (
    np.radians([getattr(LANDMARKS[zone], name) for zone, _ in PLACES]) for name in ("azimuth_deg", "elevation_deg")
)

NORMALS = np.stack(
    [
        np.cos(_ELEVATION) * np.sin(_AZIMUTH) * SIGN,
        np.sin(_ELEVATION),
        np.cos(_ELEVATION) * np.cos(_AZIMUTH),
    ],
    axis=1,
)
"""Outward normals of the places, face frame, (15, 3)."""

EAST = np.stack([np.cos(_AZIMUTH), 0 * SIGN, -np.sin(_AZIMUTH) * SIGN], axis=1)
"""Where a normal goes when it turns to the left, (15, 3)."""

NORTH = np.cross(NORMALS, EAST)
"""Where it goes when it rises, (15, 3)."""

_MIRROR = np.stack([SIGN, np.ones(len(PLACES)), np.ones(len(PLACES))], axis=1)

CENTRES_M = np.array([LANDMARKS[zone].centre_mm for zone, _ in PLACES]) * _MIRROR / 1000
"""Middles of the places, face frame, m, (15, 3)."""

SPREADS_M = np.array([LANDMARKS[zone].spread_mm for zone, _ in PLACES]) / 1000
"""Standard deviation of strokes about them, m, (15, 3)."""


class FaceFrame(NamedTuple):
    """How the face stands in the world, but for tilt to the side, which is taken as none."""

    heading_rad: float
    """World direction toward which the person's left points, about the vertical."""
    recline_rad: float
    """0 sits upright, 90 degrees lies on the back."""

    def axes(self) -> NDArray[np.float64]:
        """Left, up and forward of the face as rows, world frame, (3, 3)."""
        c, s = math.cos(self.heading_rad), math.sin(self.heading_rad)
        up, ahead = math.cos(self.recline_rad), math.sin(self.recline_rad)
        # Upright, forward is left x up; leaning back turns up away from it and forward toward the sky.
        forward = s, -c
        return np.array(
            [
                (c, s, 0.0),
                (-ahead * forward[0], -ahead * forward[1], up),
                (up * forward[0], up * forward[1], ahead),
            ]
        )


def frame_of_pose(normal: NDArray[np.float64], rolling: NDArray[np.float64]) -> FaceFrame | None:
    """How the face stands when the roller is held before it.

    Parameters
    ----------
    normal : ndarray, shape (3,)
        Away from the skin, mean over the pose, world frame; any length.
    rolling : ndarray, shape (3,)
        Rolling direction, likewise.

    Returns
    -------
    FaceFrame or None
        None when nobody could hold the roller so before their face. The heading is that of the axle, which lies level
        in every posture; the recline is that of the roller, and 0 up to 8 degrees.
    """
    n, r = (vector / max(math.sqrt(float(np.einsum("i,i->", vector, vector))), 1e-9) for vector in (normal, rolling))
    left = np.cross(r, n)
    recline = math.atan2(n[2] - r[2] * float(np.einsum("i,i->", n, r)), r[2])
    if abs(left[2]) > CROOKED or not RECLINES_RAD[0] < recline < RECLINES_RAD[1]:
        return None
    return FaceFrame(math.atan2(left[1], left[0]), recline if abs(recline) > NEARLY_UPRIGHT_RAD else 0.0)
