# SPDX-License-Identifier: MIT
"""The person's head in the world: posture, sway, looking to the sides, and the tremor of the hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.body import rotations
from simulator.body.motion import ease

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulator.body.people import Habits

NECK_M = np.array([0.0, -0.15, -0.03])
"""Point about which the head moves, face frame."""

_UPRIGHT = rotations.from_rotvec(np.array([np.pi / 2, 0.0, 0.0]))  # world from face: up becomes z


class Head:
    """World from face, as a function of time.

    Parameters
    ----------
    rng : numpy Generator
        Draws heading, sway and tremor.
    habits : Habits
        Posture and magnitudes.
    """

    def __init__(self, rng: np.random.Generator, habits: Habits) -> None:
        self._habits = habits
        heading = rotations.from_rotvec(np.array([0.0, 0.0, np.radians(rng.uniform(-180, 180))]))
        recline = rotations.from_rotvec(np.array([-np.radians(habits.recline_deg), 0.0, 0.0]))
        self._heading, self._posture = heading, rotations.multiply(_UPRIGHT, recline)
        self._waves = rng.uniform(0.05, 0.4, (3, 4)), rng.uniform(0, 2 * np.pi, (3, 4))
        self._shakes = rng.uniform(7, 11, (3, 3)), rng.uniform(0, 2 * np.pi, (3, 3))
        self._turn_s = (0.0, 1.0)
        self._turn_deg = (0.0, 0.0)

    def look(self, to_deg: float, begin_s: float, end_s: float) -> None:
        """Turn to an angle from straight ahead, positive to the left, between two times later than all before."""
        self._turn_s, self._turn_deg = (begin_s, end_s), (self._turn_deg[1], to_deg)

    def orientation(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """``q_world_face``, shape (n, 4)."""
        sway_rad = np.radians(self._habits.head_sway_deg / np.sqrt(3)) * _waves(self._waves, t_s) / np.sqrt(2.0)
        swaying = rotations.multiply(self._heading, rotations.from_rotvec(sway_rad))
        begin_deg, end_deg = self._turn_deg
        still = rotations.multiply(swaying, self._posture)
        if begin_deg == end_deg == 0.0:
            return still
        begin_s, end_s = self._turn_s
        share = ease(np.clip((t_s - begin_s) / (end_s - begin_s), 0.0, 1.0))
        return rotations.multiply(still, _about_neck(begin_deg + (end_deg - begin_deg) * share))

    def shake_m(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tremor of the hand, world frame, (n, 3)."""
        return self._habits.tremor_m * _waves(self._shakes, t_s)


def _about_neck(angle_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    half = np.radians(angle_deg) / 2
    nothing = np.zeros(len(half))
    return np.stack([np.cos(half), nothing, np.sin(half), nothing], axis=1)


def _waves(waves: tuple[NDArray[np.float64], NDArray[np.float64]], t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of sines for each of three axes, (n, 3)."""
    rates_hz, phases = waves
    return np.sin(2 * np.pi * rates_hz[:, :, np.newaxis] * t_s + phases[:, :, np.newaxis]).sum(1).T
