# SPDX-License-Identifier: MIT
"""How skin curves where the roller may be: what is known about it before a stroke."""

from __future__ import annotations

import math

from firmware_protocol.zones import PLACES
from roller_host.signal.face import NORMALS

_SEMI_AXES_M = {
    "neck": (0.057, 0.20, 0.057),
    "decolletage": (0.155, 0.20, 0.12),
    "": (0.076, 0.112, 0.0975),
}
"""Half the breadth, height and depth of adults: head length 195 mm, breadth 152 mm (sources in `face.LANDMARKS`),
vertex to menton 224 mm, neck circumference 360 mm, chest breadth 310 mm and depth 240 mm. The last four are usual
values that were not checked against any source; heights of neck and chest, which hardly curve that way, are estimates.
``""`` is the head."""

ANYWHERE_PER_M = 10.0, 3.2
"""Curvature where the place is not known: mean and standard deviation."""
_SPREAD_PER_M = 2.0
"""Faces are no ellipsoids."""


def curvature_per_m(place: int, direction_rad: float) -> tuple[float, float]:
    """Normal curvature of the skin at a place along a direction.

    That of an ellipsoid where it has the typical normal of the place: (t M t) sqrt(n M^-1 n) with M = diag(1 / a^2).

    Parameters
    ----------
    place : int
        Index in ``PLACES``, -1 unknown.
    direction_rad : float
        In the tangent plane from face-up, positive toward the person's left.

    Returns
    -------
    (float, float)
        Mean and standard deviation, 1/m.
    """
    if place < 0:
        return ANYWHERE_PER_M
    left, up, forward = NORMALS[place].tolist()
    semi = _SEMI_AXES_M.get(PLACES[place][0], _SEMI_AXES_M[""])
    flat = math.sqrt(max(1 - up * up, 1e-6))
    # Tangents: up is the vertical less its share along the normal; left = up x normal.
    tangent_up = (-left * up / flat, flat, -forward * up / flat)
    tangent_left = (forward / flat, 0.0, -left / flat)
    c, s = math.cos(direction_rad), math.sin(direction_rad)
    along = sum(((c * u + s * v) / a) ** 2 for u, v, a in zip(tangent_up, tangent_left, semi, strict=True))
    reach = math.sqrt(sum((n * a) ** 2 for n, a in zip((left, up, forward), semi, strict=True)))
    return min(max(along * reach, 0.0), 25.0), _SPREAD_PER_M
