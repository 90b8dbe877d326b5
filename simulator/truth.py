# SPDX-License-Identifier: MIT
"""What really happens, on a fine time grid: the values that sensors sample and that estimates are scored against."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.spatial.transform import Rotation

GRID_HZ = 1000
GRAVITY_M_S2 = 9.80665
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
    """A stretch of truth on the grid. Arrays have n rows."""

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
    contact: NDArray[np.bool_]
    moving: NDArray[np.bool_]
    """Contact point in motion: the skin shakes the roller."""
    strokes: tuple[TrueStroke, ...]
    """Strokes that end in this stretch."""

    def after(self, before: Truth) -> Truth:
        """Return this stretch behind the last grid point of the one ``before``, so that there is no hole between."""
        columns: dict[str, Any] = {
            f.name: np.concatenate([getattr(before, f.name)[-1:], getattr(self, f.name)])
            for f in fields(Truth)
            if f.name != "strokes"
        }
        return Truth(**columns, strokes=self.strokes)


def felt(position_m: NDArray[np.float64], world: Rotation) -> NDArray[np.float64]:
    """Specific force in the body frame at a point that moves as given in the world."""
    acceleration = np.zeros_like(position_m)
    acceleration[1:-1] = (position_m[2:] - 2 * position_m[1:-1] + position_m[:-2]) * GRID_HZ**2
    return world.inv().apply(acceleration + np.array([0.0, 0.0, GRAVITY_M_S2]))


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
