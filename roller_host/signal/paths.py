# SPDX-License-Identifier: MIT
"""The path of a stroke over the skin, from how the roller was held on it.

In plain numbers: for single vectors they are far quicker than arrays.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from roller_host.signal.grip import Evidence


class Path(NamedTuple):
    """Path of one stroke over the skin."""

    direction_deg: float
    """In the tangent plane from face-up, positive toward the person's left."""
    direction_sigma_deg: float
    """Standard uncertainty from the grip alone."""
    length_m: float
    length_sigma_m: float
    flatness: float
    """Sine of the angle between normal and face-up: near 0 the direction is ill defined."""
    pitch: float
    """Tangent of the handle's pitch against the skin, half way."""
    pitch_per_m: float
    """Its change along the axle's way, 1/m."""
    pitch_variance: float
    """Of the pitch half way: squared standard uncertainty."""


_STEPS = (1e-3, 1e-3, 1e-3, 1e-1)
"""Steps of skew, scale, pitch and curvature over which slopes are taken."""


def along_rolling_rad(evidence: Evidence) -> float:
    """Direction of a stroke were it straight along the rolling direction, in the tangent plane from face-up."""
    return _Course.of(evidence).way((0.0, 1.0, 0.0, -evidence.turn_per_m), 0.0)[0]


def path_of(evidence: Evidence, grip: tuple[NDArray[np.float64], NDArray[np.float64]], radius_m: float) -> Path:
    """Path of a stroke on the skin.

    Parameters
    ----------
    evidence : Evidence
        Of the stroke.
    grip : (ndarray, ndarray)
        From `grip_step` or `look_back`.
    radius_m : float
        Of the roller.
    """
    values, covariance = grip[0].tolist(), grip[1]
    course = _Course.of(evidence)
    angle, length_m = course.way(values, radius_m)
    slopes = np.empty((2, 4))
    for i, step in enumerate(_STEPS):
        aside = [*values[:i], values[i] + step, *values[i + 1 :]]
        turned, longer_m = course.way(aside, radius_m)
        slopes[:, i] = math.remainder(turned - angle, 2 * math.pi) / step, (longer_m - length_m) / step
    variances = np.vecdot(slopes @ covariance, slopes).tolist()
    angle_sigma, length_sigma = (math.sqrt(max(variance, 0.0)) for variance in variances)
    leaning = sum(map(operator.mul, course.normal(values), course.up))
    flatness = math.sqrt(max(1.0 - leaning * leaning, 0.0))
    return Path(
        math.degrees(angle),
        math.degrees(angle_sigma),
        length_m,
        length_sigma,
        flatness,
        pitch=values[2],
        pitch_per_m=evidence.turn_per_m + values[3],
        pitch_variance=covariance.item(2, 2),
    )


class _Course(NamedTuple):
    """What a path follows from, see `Evidence`."""

    turn_per_m: float
    way_m: float
    chord: list[list[float]]
    forward: list[float]
    out: list[float]
    up: list[float]

    @classmethod
    def of(cls, said: Evidence) -> _Course:
        columns = (said.chord.T, said.forward, said.out, said.up)
        return cls(said.turn_per_m, said.way_m, *(column.tolist() for column in columns))

    def normal(self, values: Sequence[float]) -> tuple[float, float, float]:
        """Unit normal of the skin half way, for a skew, scale, pitch and curvature."""
        _, scale, pitch, _ = values
        (ox, oy, oz), (fx, fy, fz) = self.out, self.forward
        x, y, z = scale * ox + pitch * fx, scale * oy + pitch * fy, scale * oz + pitch * fz
        size = math.sqrt(x * x + y * y + z * z)
        return x / size, y / size, z / size

    def way(self, values: Sequence[float], radius_m: float) -> tuple[float, float]:
        """Direction (rad) and length (m) of the path."""
        skew, scale, pitch, curvature = values
        turning = self.turn_per_m + curvature
        (ax, fx, ox, tx), (ay, fy, oy, ty), (az, fz, oz, tz) = self.chord
        mx = skew * ax + scale * fx - pitch * ox - turning * tx
        my = skew * ay + scale * fy - pitch * oy - turning * ty
        mz = skew * az + scale * fz - pitch * oz - turning * tz
        (nx, ny, nz), (ux, uy, uz) = self.normal(values), self.up
        # Up is the vertical less its share along the normal, left is up x normal.
        along_up = mx * ux + my * uy + mz * uz - (mx * nx + my * ny + mz * nz) * (nx * ux + ny * uy + nz * uz)
        along_left = mx * (uy * nz - uz * ny) + my * (uz * nx - ux * nz) + mz * (ux * ny - uy * nx)
        size = math.sqrt(skew * skew + scale * scale + pitch * pitch)
        return math.atan2(along_left, along_up), self.way_m * size * (1 - radius_m * curvature)
