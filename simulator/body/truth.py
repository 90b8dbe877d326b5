# SPDX-License-Identifier: MIT
"""What really happens, on a fine time grid: the values that sensors sample and that estimates are scored against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from simulator.body import rotations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GRID_HZ = 1000
GRAVITY_M_S2 = 9.80665
NOWHERE = -1
"""Index of no place."""
MATCH_S = 0.3
"""A detected stroke is a true one when both of its ends lie within this time of the true ends, s."""


class TrueStroke(NamedTuple):
    """What really happened in one stroke."""

    begin_s: float
    end_s: float
    length_m: float
    """Path of the contact point on the skin, face frame."""
    direction_deg: float
    """Displacement in the tangent plane at the middle: from face-up, positive toward the person's left."""
    force_n: float
    """Mean normal force."""
    force_peak_n: float
    zone: str
    side: str


@dataclass(frozen=True)
class Truth:
    """A stretch of truth on the grid. Arrays have n rows; what belongs to the contact is NaN in the air."""

    t_s: NDArray[np.float64]
    gyro_rad_s: NDArray[np.float64]
    """Angular rate of the body frame, (n, 3)."""
    acc_m_s2: NDArray[np.float64]
    """Specific force at the IMU, body frame, (n, 3)."""
    head_acc_m_s2: NDArray[np.float64]
    """Specific force at the roller's axle, body frame, (n, 3)."""
    roll_rad: NDArray[np.float64]
    """Roller angle relative to the handle, unwrapped."""
    force_n: NDArray[np.float64]
    """Normal force on the skin."""
    axial_n: NDArray[np.float64]
    """Its share along the load cell's axis."""
    side_n: NDArray[np.float64]
    """Force of the skin on the roller along body x (friction) and y (pitched handle), (n, 2)."""
    contact: NDArray[np.bool_]
    moving: NDArray[np.bool_]
    """Contact point in motion: the skin shakes the roller."""
    place: NDArray[np.int8]
    """Index into `zones.PLACES`, `NOWHERE` in the air."""
    contact_m: NDArray[np.float64]
    """Contact point, face frame, (n, 3)."""
    normal: NDArray[np.float64]
    """Outward unit normal of the skin there, face frame, (n, 3)."""
    speed_m_s: NDArray[np.float64]
    """Speed of the contact point over the skin, skin stretch excluded; 0 in the air."""
    direction_deg: NDArray[np.float64]
    """Its direction in the tangent plane: from face-up, positive toward the person's left; NaN when it stands."""
    skew_deg: NDArray[np.float64]
    """Turn of the roller out of its path, about the normal."""
    pitch_deg: NDArray[np.float64]
    """Pitch of the handle against the skin, about the axle; positive: the head is raised, the grip near the skin."""
    q_world_body: NDArray[np.float64]
    """Orientation of the roller, (n, 4), scalar first; the world's z is up."""
    q_world_face: NDArray[np.float64]
    """Orientation of the head, (n, 4)."""
    temp_c: NDArray[np.float64]
    """Temperature of the roller's head, at the load cell."""
    strokes: tuple[TrueStroke, ...]
    """Strokes that end in this stretch."""

    def at(self, t_s: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        """Truth at the times of samples.

        Parameters
        ----------
        t_s : ndarray, shape (m,)
            Times in this stretch, s; up to one grid step before its first row.

        Returns
        -------
        dict
            The names of `COLUMNS` in their order; each shape (m,). Interpolated, but for flags, places and directions,
            which are those of the nearest row.

        Raises
        ------
        ValueError
            When a time lies outside.
        """
        step_s = 1 / GRID_HZ
        if len(t_s) and (t_s.min() < self.t_s[0] - 1.001 * step_s or t_s.max() > self.t_s[-1] + 1e-9):
            raise ValueError(f"truth from {self.t_s[0]:.3f} s to {self.t_s[-1]:.3f} s was asked for another time")
        grid = Grid(self.t_s, t_s)
        columns: dict[str, NDArray[Any]] = {"t_s": t_s}
        for name, parts, nearest in _PARTS:
            values = getattr(self, name)
            rows = values[grid.nearest] if nearest else grid.of(values)
            if name.startswith("q_"):
                rows = grid.quaternion(values)
            columns.update(zip(parts, rows.reshape(len(t_s), -1).T, strict=True))
        return columns


class Grid:
    """Places of sample times between the rows of an even time grid.

    Parameters
    ----------
    grid_s : ndarray, shape (n,)
        Times of the rows, n >= 2.
    t_s : ndarray, shape (m,)
        Times asked for; beyond the ends values are extrapolated.
    """

    def __init__(self, grid_s: NDArray[np.float64], t_s: NDArray[np.float64]) -> None:
        place = (t_s - grid_s[0]) / (grid_s[-1] - grid_s[0]) * (len(grid_s) - 1)
        self._low = np.clip(place.astype(np.int64), 0, len(grid_s) - 2)
        self._share = place - self._low
        self.nearest = self._low + (self._share > 0.5)

    def of(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Rows of ``values``, interpolated linearly."""
        share = self._share.reshape(-1, *[1] * (values.ndim - 1))
        return values[self._low] * (1 - share) + values[self._low + 1] * share

    def quaternion(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows of unit quaternions of either sign, (n, 4), interpolated; w >= 0."""
        low, high = values[self._low], values[self._low + 1]
        sign = np.where(np.einsum("ij,ij->i", low, high) < 0, -1.0, 1.0)
        between = low + (high * sign[:, np.newaxis] - low) * self._share[:, np.newaxis]
        between = np.where(between[:, :1] < 0, -between, between)
        return between / np.linalg.norm(between, axis=1, keepdims=True)


COLUMNS = (
    ("t_s", "s", "time of the sample, true time"),
    ("contact", "0 or 1", "the roller touches the skin"),
    ("moving", "0 or 1", "a stroke is under way"),
    ("place", "", "index of zone and side in the list of places, -1 in the air"),
    ("force_n", "N", "normal force on the skin"),
    ("axial_n", "N", "its share along the axis of the load cell"),
    ("side_x_n", "N", "force of the skin on the roller along the axle: friction"),
    ("side_y_n", "N", "the same along the handle: the normal force on a pitched handle"),
    ("speed_m_s", "m/s", "speed of the contact point over the skin, skin stretch excluded"),
    (
        "direction_deg",
        "deg",
        "its direction in the tangent plane, from face-up toward the person's left; empty at rest",
    ),
    ("skew_deg", "deg", "turn of the roller out of its path, about the normal"),
    ("pitch_deg", "deg", "pitch of the handle against the skin; positive: the head is raised"),
    ("roll_rad", "rad", "roller angle relative to the handle, unwrapped"),
    ("contact_x_m", "m", "contact point, face frame: to the person's left"),
    ("contact_y_m", "m", "up"),
    ("contact_z_m", "m", "forward"),
    ("normal_x", "", "outward normal of the skin, face frame"),
    ("normal_y", "", ""),
    ("normal_z", "", ""),
    ("q_world_body_w", "", "orientation of the roller, unit quaternion; the world's z is up"),
    ("q_world_body_x", "", ""),
    ("q_world_body_y", "", ""),
    ("q_world_body_z", "", ""),
    ("q_world_face_w", "", "orientation of the head"),
    ("q_world_face_x", "", ""),
    ("q_world_face_y", "", ""),
    ("q_world_face_z", "", ""),
    ("gyro_x_rad_s", "rad/s", "angular rate, body frame"),
    ("gyro_y_rad_s", "rad/s", ""),
    ("gyro_z_rad_s", "rad/s", ""),
    ("acc_x_m_s2", "m/s2", "specific force at the IMU, body frame"),
    ("acc_y_m_s2", "m/s2", ""),
    ("acc_z_m_s2", "m/s2", ""),
    ("temp_c", "degC", "temperature of the roller's head"),
)
"""Name, unit and meaning of the columns of `Truth.at`."""

_PARTS = (
    ("contact", ("contact",), True),
    ("moving", ("moving",), True),
    ("place", ("place",), True),
    ("force_n", ("force_n",), False),
    ("axial_n", ("axial_n",), False),
    ("side_n", ("side_x_n", "side_y_n"), False),
    ("speed_m_s", ("speed_m_s",), False),
    ("direction_deg", ("direction_deg",), True),
    ("skew_deg", ("skew_deg",), False),
    ("pitch_deg", ("pitch_deg",), False),
    ("roll_rad", ("roll_rad",), False),
    ("contact_m", ("contact_x_m", "contact_y_m", "contact_z_m"), False),
    ("normal", ("normal_x", "normal_y", "normal_z"), False),
    ("q_world_body", tuple(f"q_world_body_{part}" for part in "wxyz"), False),
    ("q_world_face", tuple(f"q_world_face_{part}" for part in "wxyz"), False),
    ("gyro_rad_s", tuple(f"gyro_{part}_rad_s" for part in "xyz"), False),
    ("acc_m_s2", tuple(f"acc_{part}_m_s2" for part in "xyz"), False),
    ("temp_c", ("temp_c",), False),
)
"""Column of `Truth`, names of its parts in `COLUMNS`, whether the nearest row is taken."""


def felt(position_m: NDArray[np.float64], q_world_body: NDArray[np.float64]) -> NDArray[np.float64]:
    """Specific force in the body frame at a point that moves as given in the world, (n, 3)."""
    acceleration = np.zeros_like(position_m)
    acceleration[1:-1] = (position_m[2:] - 2 * position_m[1:-1] + position_m[:-2]) * GRID_HZ**2
    return rotations.rotate(rotations.inverse(q_world_body), acceleration + np.array([0.0, 0.0, GRAVITY_M_S2]))


class _Span(Protocol):
    @property
    def begin_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...


_Found = TypeVar("_Found", bound=_Span)


def match_strokes(
    true: Sequence[TrueStroke], found: Sequence[_Found]
) -> tuple[list[tuple[TrueStroke, _Found]], list[TrueStroke], list[_Found]]:
    """Pair detected strokes with true ones, one to one.

    Parameters
    ----------
    true : sequence of TrueStroke
        In order of time.
    found : sequence
        Anything with ``begin_s`` and ``end_s`` on the same timeline.

    Returns
    -------
    pairs : list of (TrueStroke, found)
        Each true stroke with the nearest free partner.
    missed : list of TrueStroke
        Those without a partner.
    surplus : list
        Detected strokes that are none.
    """
    pairs: list[tuple[TrueStroke, _Found]] = []
    missed: list[TrueStroke] = []
    free = list(found)
    for stroke in true:
        distances = [(abs(other.begin_s - stroke.begin_s), abs(other.end_s - stroke.end_s)) for other in free]
        near = [(sum(ends), i) for i, ends in enumerate(distances) if max(ends) < MATCH_S]
        if near:
            pairs.append((stroke, free.pop(min(near)[1])))
        else:
            missed.append(stroke)
    return pairs, missed, free
