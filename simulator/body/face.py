# SPDX-License-Identifier: MIT
"""A parametric head, neck and chest: three ellipsoids with the places of the product on them.

Face frame: x to the person's left, y up, z forward, origin in the middle of the head, metres. The shape and the
places live in the simulator alone; the host must not know them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.body import rotations

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ellipsoid:
    """A surface with normals."""

    centre_m: NDArray[np.float64]
    """Shape (3,)."""
    semi_axes_m: NDArray[np.float64]
    """Shape (3,)."""

    def project(self, points_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move points radially onto the surface.

        Parameters
        ----------
        points_m : ndarray, shape (n, 3)
            Points near the surface, face frame, m.

        Returns
        -------
        surface_m, normal : ndarray, shape (n, 3)
            Points on the surface, and the outward unit normals there.
        """
        scaled = (points_m - self.centre_m) / self.semi_axes_m
        scaled = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
        normal = scaled / self.semi_axes_m
        return self.centre_m + scaled * self.semi_axes_m, normal / np.linalg.norm(normal, axis=1, keepdims=True)

    def at(self, azimuth_deg: float, elevation_deg: float) -> NDArray[np.float64]:
        """Surface point, shape (3,), at parametric angles: azimuth from forward to the left, elevation upward."""
        azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
        unit = np.array(
            [math.cos(elevation) * math.sin(azimuth), math.sin(elevation), math.cos(elevation) * math.cos(azimuth)]
        )
        return self.centre_m + unit * self.semi_axes_m


@dataclass(frozen=True)
class Patch:
    """Where a zone lies on the left half, and how it is rolled."""

    surface: str
    azimuth_deg: float
    elevation_deg: float
    scatter_deg: float
    """Standard deviation of the middles of strokes around the centre, in either angle."""
    direction_deg: float
    """Recommended direction, from up toward outward."""
    longest_m: float
    """Longest stroke that fits."""


CLEAR_M = 0.001
"""Strokes on one side of the face keep this far from the midline."""

PATCHES = {
    "forehead": Patch("head", 20, 42, 3, 15, 0.07),
    "temple": Patch("head", 64, 24, 2.5, 20, 0.06),
    "eye": Patch("head", 30, 8, 1.5, 75, 0.05),
    "cheek": Patch("head", 40, -14, 3, 50, 0.09),
    "jaw": Patch("head", 52, -40, 2.5, 55, 0.10),
    "under_chin": Patch("head", 45, -66, 2, 70, 0.05),
    "neck": Patch("neck", 68, 0, 3, 0, 0.09),
    "decolletage": Patch("chest", 0, 30, 5, 75, 0.10),
}


@dataclass(frozen=True)
class Face:
    """One person's shape, drawn from ranges that the host never reads."""

    surfaces: dict[str, Ellipsoid]

    @staticmethod
    def draw(rng: np.random.Generator) -> Face:
        """Draw a person: sizes vary by about 5 %."""

        def ellipsoid(centre: tuple[float, float, float], semi: tuple[float, float, float]) -> Ellipsoid:
            size = rng.normal(1.0, 0.05) * rng.normal(1.0, 0.02, 3)
            return Ellipsoid(np.array(centre), np.array(semi) * size)

        return Face(
            {
                "head": ellipsoid((0.0, 0.0, 0.0), (0.075, 0.110, 0.095)),
                "neck": ellipsoid((0.0, -0.17, -0.025), (0.060, 0.150, 0.062)),
                "chest": ellipsoid((0.0, -0.36, -0.05), (0.190, 0.160, 0.110)),
            }
        )

    def place(
        self, rng: np.random.Generator, zone: str, side: str, outward_deg: float | None = None
    ) -> tuple[Ellipsoid, NDArray[np.float64], float]:
        """Draw the middle of a group of strokes.

        Parameters
        ----------
        rng : numpy Generator
            Draws.
        zone, side : str
            A place; without a side the half is drawn too.
        outward_deg : float, optional
            Direction to roll in, from up toward outward. Default: the recommended one.

        Returns
        -------
        surface : Ellipsoid
            The body part.
        middle_m : ndarray, shape (3,)
            A point on it.
        direction_deg : float
            Direction there, from up, positive toward the person's left.
        """
        patch = PATCHES[zone]
        sign = {"left": 1.0, "right": -1.0}.get(side, 0.0) or float(rng.choice([-1.0, 1.0]))
        azimuth = patch.azimuth_deg + rng.normal(0, patch.scatter_deg)
        elevation = patch.elevation_deg + rng.normal(0, patch.scatter_deg)
        surface = self.surfaces[patch.surface]
        direction_deg = patch.direction_deg if outward_deg is None else outward_deg
        return surface, surface.at(sign * azimuth, elevation), sign * direction_deg


def beside_midline(
    surface: Ellipsoid, middle_m: NDArray[np.float64], direction_deg: float, reach_m: float
) -> NDArray[np.float64]:
    """Middle of strokes that keep to their half: moved outward as far as they would cross the midline.

    Parameters
    ----------
    surface : Ellipsoid
        The body part.
    middle_m : ndarray, shape (3,)
        A point on it, off the midline.
    direction_deg : float
        Direction of the strokes, from up, positive toward the person's left.
    reach_m : float
        How far they reach from their middle, m.

    Returns
    -------
    ndarray, shape (3,)
        A point on the surface on the same half.
    """
    outward = np.array([math.copysign(1.0, middle_m[0]), 0.0, 0.0])
    for _ in range(10):  # moving along the curved surface falls short: each step leaves less to the next
        _, normal = surface.project(middle_m[np.newaxis])
        beyond_m = reach_m * abs(tangent(normal[0], direction_deg)[0]) + CLEAR_M - abs(middle_m[0])
        if beyond_m <= 0:
            break
        middle_m = surface.project((middle_m + beyond_m * outward)[np.newaxis])[0][0]
    return middle_m


def tangent(normal: NDArray[np.float64], direction_deg: float) -> NDArray[np.float64]:
    """Unit vector in the tangent plane at an angle from face-up, positive toward the person's left.

    Parameters
    ----------
    normal : ndarray, shape (3,)
        Outward unit normal, face frame.
    direction_deg : float
        Angle from up, degrees.

    Returns
    -------
    ndarray, shape (3,)
    """
    up, left = tangent_axes(normal[np.newaxis])
    angle = math.radians(direction_deg)
    return math.cos(angle) * up[0] + math.sin(angle) * left[0]


def tangent_axes(normal: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Up and left in the tangent planes of ``normal``, shape (n, 3), face frame."""
    up = np.array([0.0, 1.0, 0.0]) - normal[:, 1:2] * normal
    up = up / np.linalg.norm(up, axis=1, keepdims=True)
    return up, rotations.cross(up, normal)
