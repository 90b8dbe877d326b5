# SPDX-License-Identifier: MIT
"""Motion of the roller relative to the face, on the time grid of the truth: at rest, through the air, joined."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simulator.body import rotations
from simulator.body.truth import GRID_HZ, NOWHERE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Pose(NamedTuple):
    """Where the roller is."""

    axle_m: NDArray[np.float64]
    """Middle of the axle, face frame, (3,)."""
    q_face_body: NDArray[np.float64]
    normal: NDArray[np.float64]
    """Outward normal of the skin below, (3,)."""


class Stroke(NamedTuple):
    """One stroke of a motion."""

    begin: int
    """First row."""
    end: int
    """Row behind the last."""
    length_m: float
    direction_deg: float
    place: int


@dataclass(frozen=True)
class Motion:
    """Columns of n rows, face frame. What belongs to the contact is NaN in the air."""

    axle_m: NDArray[np.float64]
    """(n, 3)."""
    q_face_body: NDArray[np.float64]
    """(n, 4)."""
    roll_rad: NDArray[np.float64]
    """Roller angle relative to the handle, from 0 at the beginning."""
    force_n: NDArray[np.float64]
    axial_n: NDArray[np.float64]
    side_n: NDArray[np.float64]
    """(n, 2)."""
    contact_m: NDArray[np.float64]
    """(n, 3)."""
    normal: NDArray[np.float64]
    """(n, 3)."""
    speed_m_s: NDArray[np.float64]
    direction_deg: NDArray[np.float64]
    skew_deg: NDArray[np.float64]
    pitch_deg: NDArray[np.float64]
    moving: NDArray[np.bool_]
    place: NDArray[np.int8]
    strokes: tuple[Stroke, ...] = ()


def in_air(axle_m: NDArray[np.float64], q_face_body: NDArray[np.float64]) -> Motion:
    """Motion without contact."""
    n = len(axle_m)
    none, nowhere = np.zeros(n), np.full(n, np.nan)
    nowhere3 = np.full((n, 3), np.nan)
    return Motion(
        axle_m, q_face_body, none, none, none, np.zeros((n, 2)), nowhere3, nowhere3, none, nowhere, nowhere, nowhere,
        np.zeros(n, bool), np.full(n, NOWHERE, np.int8),
    )  # fmt: skip


def at_rest(pose: Pose, duration_s: float) -> Motion:
    """Stay in the air."""
    n = round(duration_s * GRID_HZ)
    return in_air(np.tile(pose.axle_m, (n, 1)), np.tile(pose.q_face_body, (n, 1)))


def through_air(begin: Pose, end: Pose, duration_s: float) -> Motion:
    """Lift off, go, touch down; at rest at both ends."""
    distance = float(np.linalg.norm(end.axle_m - begin.axle_m))
    u = min_jerk(round(duration_s * GRID_HZ))
    clear = 0.015 + 0.6 * distance
    corners = begin.axle_m, begin.axle_m + clear * begin.normal, end.axle_m + clear * end.normal, end.axle_m
    weights = np.stack([(1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u), u**3], axis=1)
    return in_air(weights @ np.array(corners), rotations.slerp(begin.q_face_body, end.q_face_body, u))


def join(motions: Sequence[Motion]) -> Motion:
    """One after the other; the roller's angle goes on."""
    columns: dict[str, Any] = {
        f.name: np.concatenate([getattr(motion, f.name) for motion in motions]) for f in fields(Motion)[:-1]
    }
    begins = np.cumsum([0] + [len(motion.axle_m) for motion in motions]).tolist()
    turned = np.cumsum([0.0] + [motion.roll_rad[-1] for motion in motions])
    strokes: list[Stroke] = []
    for motion, begin, angle in zip(motions, begins, turned, strict=False):
        columns["roll_rad"][begin : begin + len(motion.axle_m)] += angle
        strokes += [one._replace(begin=one.begin + begin, end=one.end + begin) for one in motion.strokes]
    return Motion(**columns, strokes=tuple(strokes))


def min_jerk(n: int) -> NDArray[np.float64]:
    """Rest-to-rest motion from 0 to 1 in ``n`` points (Flash and Hogan 1985)."""
    return ease(np.linspace(0.0, 1.0, n))


def ease(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimum-jerk position at shares 0 to 1 of the time."""
    return u**3 * (10 - 15 * u + 6 * u**2)
