# SPDX-License-Identifier: MIT
"""A hand that rolls: an endless massage with known truth, computed visit by visit on a fine time grid.

A *visit* goes to one place: approach through the air, touch-down, strokes, lift-off. Every visit begins and ends at
rest relative to the face, so visits join without a jump in position, speed or acceleration.

Contact mechanics. The axle lies flat on the skin. The roller rolls without slip along its own rolling direction, which
differs from the path by the skew; across it the roller slides. The encoder sits on the handle: it reads the rolled
angle plus the pitch of the handle about the axle.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from firmware_protocol import reference, zones
from simulator.face import PATCHES, Ellipsoid, Face, tangent, tangent_axes
from simulator.truth import GRID_HZ, TrueStroke, Truth, felt

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MARGIN = 3  # grid points on either side of a group, for its derivatives

FASTEST_TURN_RAD_S = 6.0
"""Nobody turns the handle faster around a curve; strokes over strongly curved skin are slower instead."""

ROCKING_REACH_M = 0.035
"""Distance from the middle of the path at which the wrist has rocked by the full angle."""

BASE_FORCE_N = {
    "forehead": 1.8,
    "temple": 1.0,
    "eye": 0.45,
    "cheek": 1.8,
    "jaw": 2.4,
    "under_chin": 1.0,
    "neck": 0.45,
    "decolletage": 2.0,
}
"""What a practised hand applies, N; strokes scatter around it."""


@dataclass(frozen=True)
class Habits:
    """How a person rolls, and what disturbs the measurement. Angles and scatters are standard deviations."""

    speed_m_s: tuple[float, float] = (0.06, 0.25)
    """Range of mean stroke speeds."""
    length_m: tuple[float, float] = (0.03, 0.10)
    strokes: tuple[int, int] = (4, 8)
    """Strokes per visit to a place."""
    reciprocating: float = 0.5
    """Share of visits that roll to and fro without lifting; the others lift off and return through the air."""
    wrong_way: float = 0.1
    """Share of one-way visits that roll against the recommended direction."""
    heavy: float = 0.15
    """Share of visits with about twice the usual force."""
    dwell_s: tuple[float, float] = (0.0, 0.15)
    """Rest at a reversal."""
    skew_group_deg: float = 6.0
    """Skew of the roller to its path, between visits."""
    skew_stroke_deg: float = 2.0
    """The same between the strokes of a visit."""
    pitch_deg: float = 5.0
    """Pitch of the handle against the skin, between visits; the grip is held off the skin by twice this on average."""
    rocking_deg: float = 8.0
    """Pitch of the wrist at either end of a stroke of 7 cm; in proportion for others."""
    head_sway_deg: float = 2.0
    slip: float = 0.04
    """Rolled length missing or in excess, per stroke, as a share."""
    radius_bias: float = 0.02
    """Difference of the roller's radius from its nominal value, as a share."""
    tremor_m: float = 3e-5


class _Pose(NamedTuple):
    axle_m: NDArray[np.float64]
    rotation: Rotation
    normal: NDArray[np.float64]


@dataclass(frozen=True)
class _Plan:
    """One visit as intended: where, along which path, how firmly."""

    surface: Ellipsoid
    middle_m: NDArray[np.float64]
    direction_deg: float
    skew_deg: float
    pitch_deg: float
    rocking_deg: float
    force_n: float
    length_m: float
    place: tuple[str, str]

    def path(self, xi: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Contact points and normals, (n, 3), at positions along the path."""
        _, normal = self.surface.project(self.middle_m[np.newaxis])
        heading = tangent(normal[0], self.direction_deg)
        return self.surface.project(self.middle_m + xi[:, np.newaxis] * heading)

    def bend_per_m(self) -> float:
        """Mean curvature of the path."""
        _, normal = self.path(np.array([-0.5, 0.5]) * self.length_m)
        return float(np.arccos(np.clip(normal[0] @ normal[1], -1, 1))) / self.length_m


@dataclass
class _Run:
    """Uninterrupted contact with the skin, on the grid, face frame."""

    axle_m: NDArray[np.float64]
    rotation: Rotation
    normal: NDArray[np.float64]
    roll_rate_rad_s: NDArray[np.float64]
    pitch_rad: NDArray[np.float64]
    force_n: NDArray[np.float64]
    spans: list[tuple[int, int]]
    """Begin and end of each stroke, grid indexes in the run."""
    truths: list[tuple[float, float]]
    """Length and direction of each stroke."""
    place: tuple[str, str] = ("", "")
    moving: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def pose(self, i: int) -> _Pose:
        return _Pose(self.axle_m[i], self.rotation[i], self.normal[i])


def _min_jerk(n: int) -> NDArray[np.float64]:
    """Rest-to-rest motion from 0 to 1 in ``n`` points (Flash and Hogan 1985)."""
    u = np.linspace(0.0, 1.0, n)
    return u**3 * (10 - 15 * u + 6 * u**2)


def _edges(n: int, n_edge: int) -> NDArray[np.float64]:
    """Window of ``n`` points that rises from 0 and falls back to 0 without a jerk."""
    n_edge = min(n_edge, n // 3)
    window = np.ones(n)
    window[:n_edge] = _min_jerk(n_edge)
    window[n - n_edge :] = window[:n_edge][::-1]
    return window


def _noise(rng: np.random.Generator, n: int, tau_s: float) -> NDArray[np.float64]:
    """Smooth noise of unit standard deviation."""
    sigma = tau_s * GRID_HZ
    pad = int(4 * sigma)
    smooth = gaussian_filter1d(rng.normal(size=n + 2 * pad), sigma)[pad : pad + n]
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * sigma)


class Hand:
    """Endless massage of one person.

    Parameters
    ----------
    seed : int
        Draws the person and everything they do.
    habits : Habits, optional
        How they roll.
    visits : iterable of (zone, side), optional
        Order of places; repeats for ever. Default: `ROUTINE`.
    """

    def __init__(
        self, seed: int, habits: Habits | None = None, visits: tuple[tuple[str, str], ...] | None = None
    ) -> None:
        self.rng = np.random.default_rng([seed, 1])
        self.habits = habits or Habits()
        self.face = Face.draw(self.rng)
        self._visits = itertools.cycle(visits or ROUTINE)
        self._radius_m = reference.GEOMETRY.roller_radius_m * (1 + self.rng.normal(0, self.habits.radius_bias))
        self._t0_s = 0.0
        self._roll_rad = float(self.rng.uniform(0, 2 * np.pi))
        self._yaw = Rotation.from_euler("z", self.rng.uniform(-180, 180), degrees=True)
        self._waves = self.rng.uniform(0.05, 0.4, (3, 4)), self.rng.uniform(0, 2 * np.pi, (3, 4))
        self._shakes = self.rng.uniform(7, 11, (3, 3)), self.rng.uniform(0, 2 * np.pi, (3, 3))
        self._pose = self._start_pose()

    def _start_pose(self) -> _Pose:
        """Roller held upright on the midline before the face, handle down."""
        tilt = Rotation.from_euler("xyz", self.rng.normal(0, 2, 3), degrees=True)
        return _Pose(np.array([0.0, 0.0, 0.16]), tilt, np.array([0.0, 0.0, 1.0]))

    def rest(self, duration_s: float) -> Truth:
        """Hold the roller still where it is, in the air."""
        n = round(duration_s * GRID_HZ)
        still = np.zeros(n)
        pose = self._pose
        return self._truth(
            np.repeat(pose.axle_m[np.newaxis], n, 0), Rotation.concatenate([pose.rotation] * n), still, still, still, []
        )

    def visit(self) -> Truth:
        """Go to the next place, roll there, lift off."""
        zone, side = next(self._visits)
        runs = self._runs(zone, side)
        axle, rotation, roll_rate, pitch, force = [], [], [], [], []
        strokes: list[tuple[_Run, int]] = []
        at = 0
        before = self._pose
        for run in runs:
            air_axle, air_rotation = self._through_air(before, run.pose(0))
            n = len(air_axle)
            axle += [air_axle, run.axle_m]
            rotation += [air_rotation, run.rotation]
            roll_rate += [np.zeros(n), run.roll_rate_rad_s]
            pitch += [np.zeros(n), run.pitch_rad]
            force += [np.zeros(n), run.force_n]
            strokes.append((run, at + n))
            at += n + len(run.axle_m)
            before = run.pose(-1)
        lifted = before._replace(axle_m=before.axle_m + 0.04 * before.normal)
        air_axle, air_rotation = self._through_air(before, lifted, 0.4)
        n = len(air_axle)
        self._pose = lifted
        return self._truth(
            np.concatenate([*axle, air_axle]),
            Rotation.concatenate([*rotation, air_rotation]),
            np.concatenate([*roll_rate, np.zeros(n)]),
            np.concatenate([*pitch, np.zeros(n)]),
            np.concatenate([*force, np.zeros(n)]),
            strokes,
        )

    def _through_air(
        self, begin: _Pose, end: _Pose, duration_s: float | None = None
    ) -> tuple[NDArray[np.float64], Rotation]:
        distance = float(np.linalg.norm(end.axle_m - begin.axle_m))
        if duration_s is None:
            duration_s = 0.35 + 4.0 * distance + self.rng.uniform(0, 0.2)
        n = round(duration_s * GRID_HZ)
        u = _min_jerk(n)[:, np.newaxis]
        clear = 0.015 + 0.6 * distance
        corners = begin.axle_m, begin.axle_m + clear * begin.normal, end.axle_m + clear * end.normal, end.axle_m
        weights = (1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u), u**3
        path = sum((w * c for w, c in zip(weights, corners, strict=True)), np.zeros((n, 3)))
        turn = Slerp([0.0, 1.0], Rotation.concatenate([begin.rotation, end.rotation]))
        return path, turn(np.clip(u[:, 0], 0.0, 1.0))

    def _runs(self, zone: str, side: str) -> list[_Run]:
        """The contact part of one visit: one run to and fro, or one run per stroke."""
        rng, habits = self.rng, self.habits
        surface, middle, recommended = self.face.place(rng, zone, side)
        n_strokes = int(rng.integers(habits.strokes[0], habits.strokes[1] + 1))
        to_and_fro = rng.random() < habits.reciprocating
        wrong = not to_and_fro and rng.random() < habits.wrong_way
        direction = recommended + rng.normal(0, 10) + (180.0 if wrong else 0.0)
        skew = rng.normal(0, habits.skew_group_deg)
        pitch = rng.normal(-2 * habits.pitch_deg, habits.pitch_deg)
        rocking = rng.normal(0, habits.rocking_deg)
        force = BASE_FORCE_N[zone] * rng.lognormal(0, 0.2) * (2.0 if rng.random() < habits.heavy else 1.0)
        longest = min(habits.length_m[1], PATCHES[zone].longest_m)
        length = rng.uniform(habits.length_m[0], max(longest, habits.length_m[0] * 1.2))
        plan = _Plan(surface, middle, direction, skew, pitch, rocking, force, length, (zone, side))
        if to_and_fro:
            return [self._run(plan, n_strokes)]
        return [self._run(plan, 1) for _ in range(n_strokes)]

    def _run(self, plan: _Plan, n_strokes: int) -> _Run:
        """Touch down, roll ``n_strokes`` to and fro, lift off."""
        rng, habits = self.rng, self.habits
        xi, spans = self._to_and_fro(plan.length_m, plan.bend_per_m(), n_strokes)
        # Skew and slip belong to strokes; each holds until the next one begins.
        borders = [0, *(begin for begin, _ in spans[1:]), len(xi)]
        counts = [end - begin for begin, end in itertools.pairwise(borders)]
        slip = np.repeat(rng.normal(0, habits.slip, n_strokes), counts)
        skews = plan.skew_deg + rng.normal(0, habits.skew_stroke_deg, n_strokes)
        skew = np.radians(gaussian_filter1d(np.repeat(skews, counts), 0.06 * GRID_HZ, mode="nearest"))
        wander = _noise(rng, len(xi), 0.3) * _edges(len(xi), 100)
        pitch = np.radians(plan.pitch_deg + plan.rocking_deg * xi / ROCKING_REACH_M + wander)
        return self._on_skin(plan, xi, skew, pitch, slip, spans)

    def _to_and_fro(
        self, length_m: float, bend_per_m: float, n_strokes: int
    ) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
        """Position along the path over time, pauses included, and where the strokes lie."""
        rng, habits = self.rng, self.habits
        position, sign = -length_m / 2, 1.0
        parts = [np.full(round(rng.uniform(0.08, 0.2) * GRID_HZ), position)]
        at = len(parts[0])
        spans: list[tuple[int, int]] = []
        for i in range(n_strokes):
            reach = position + sign * length_m * rng.uniform(0.85, 1.15)
            target = float(np.clip(reach, -0.6 * length_m, 0.6 * length_m))
            reach_m = abs(target - position)
            # The peak of a minimum-jerk motion is 1.875 times its mean.
            shortest_s = max(1.875 * bend_per_m * reach_m / FASTEST_TURN_RAD_S, 0.06)
            n_move = round(max(reach_m / rng.uniform(*habits.speed_m_s), shortest_s) * GRID_HZ)
            pause_s = habits.dwell_s if i < n_strokes - 1 else (0.08, 0.2)
            n_rest = round(rng.uniform(*pause_s) * GRID_HZ)
            parts += [position + (target - position) * _min_jerk(n_move), np.full(n_rest, target)]
            spans.append((at, at + n_move))
            at += n_move + n_rest
            position, sign = target, -sign
        return np.concatenate(parts), spans

    def _on_skin(
        self,
        plan: _Plan,
        xi: NDArray[np.float64],
        skew: NDArray[np.float64],
        pitch: NDArray[np.float64],
        slip: NDArray[np.float64],
        spans: list[tuple[int, int]],
    ) -> _Run:
        """Put the planned motion on the surface and derive what the roller does."""
        contact, normal = plan.path(xi)
        forward = plan.path(xi + 1e-4)[0] - contact
        forward -= np.einsum("ij,ij->i", forward, normal)[:, np.newaxis] * normal
        forward /= np.linalg.norm(forward, axis=1, keepdims=True)
        # The handle hangs down: strokes downward are rolled with the head of the roller trailing.
        if forward[len(forward) // 2, 1] < 0:
            forward = -forward
        cross = np.cross(normal, forward)
        rolling = np.cos(skew)[:, np.newaxis] * forward + np.sin(skew)[:, np.newaxis] * cross
        axle = np.cross(rolling, normal)
        body_y = np.cos(pitch)[:, np.newaxis] * rolling + np.sin(pitch)[:, np.newaxis] * normal
        body_z = np.cross(axle, body_y)
        rotation = Rotation.from_matrix(np.stack([axle, body_y, body_z], axis=2))
        velocity = np.gradient(contact, 1 / GRID_HZ, axis=0)
        rolled = np.einsum("ij,ij->i", velocity, rolling) * (1 - slip)
        radius = self._radius_m
        force = self._force(plan.force_n, len(xi))
        moving = np.zeros(len(xi), bool)
        for begin, end in spans:
            moving[begin:end] = True
        truths = [_stroke_truth(contact[begin:end], normal[(begin + end) // 2]) for begin, end in spans]
        return _Run(
            contact + radius * normal,
            rotation,
            normal,
            rolled / radius,
            pitch,
            force,
            spans,
            truths,
            plan.place,
            moving,
        )

    def _force(self, mean_n: float, n: int) -> NDArray[np.float64]:
        """Force over one run: rises after touch-down, wanders, falls before lift-off."""
        rng = self.rng
        wander = 1 + 0.12 * _noise(rng, n, 0.15) + 0.02 * _noise(rng, n, 0.018)
        ramp = _edges(n, round(rng.uniform(0.06, 0.14) * GRID_HZ))
        return np.maximum(mean_n * wander * ramp, 0.0)

    def _truth(
        self,
        axle_m: NDArray[np.float64],
        rotation: Rotation,
        roll_rate: NDArray[np.float64],
        pitch: NDArray[np.float64],
        force: NDArray[np.float64],
        runs: list[tuple[_Run, int]],
    ) -> Truth:
        """From poses in the face frame to what an ideal sensor would feel in the world."""
        n = len(axle_m)
        index = np.clip(np.arange(n + 2 * _MARGIN) - _MARGIN, 0, n - 1)
        t = self._t0_s + (np.arange(n + 2 * _MARGIN) - _MARGIN) / GRID_HZ
        head = self._head_motion(t)
        world = head * rotation[index]  # pyright: ignore[reportArgumentType] - scipy's stub knows no arrays here
        neck = np.array([0.0, -0.15, -0.03])
        axle_world = head.apply(axle_m[index] - neck) + self._shake(t)
        lever = np.array([0.0, reference.GEOMETRY.lever_y_m, 0.0])
        imu_world = axle_world - world.apply(lever)
        keep = slice(_MARGIN, n + _MARGIN)
        turn = (world[:-2].inv() * world[2:]).as_rotvec() * (GRID_HZ / 2)
        gyro = np.vstack([turn[:1], turn, turn[-1:]])[keep]
        contact = force > 0
        moving = np.zeros(n, bool)
        strokes: list[TrueStroke] = []
        roll = np.cumsum(roll_rate) / GRID_HZ
        for run, begin in runs:
            moving[begin : begin + len(run.moving)] = run.moving
            relative = run.pitch_rad - run.pitch_rad[0]
            roll[begin : begin + len(relative)] += relative
            roll[begin + len(relative) :] += relative[-1]
            strokes += [
                TrueStroke(
                    self._t0_s + (begin + i) / GRID_HZ, self._t0_s + (begin + j) / GRID_HZ, length, direction,
                    float(run.force_n[i:j].mean()), float(run.force_n[i:j].max()), *run.place,
                )
                for (i, j), (length, direction) in zip(run.spans, run.truths, strict=True)
            ]  # fmt: skip
        roll = self._roll_rad + roll
        self._roll_rad = float(roll[-1])
        truth = Truth(
            t[keep], gyro, felt(imu_world, world)[keep], felt(axle_world, world)[keep], roll, force,
            force * np.cos(pitch), contact, moving, tuple(strokes),
        )  # fmt: skip
        self._t0_s += n / GRID_HZ
        return truth

    def _head_motion(self, t_s: NDArray[np.float64]) -> Rotation:
        """World from face, sitting: slow sway on top of an unknown heading."""
        rates, phases = self._waves
        wave = np.sin(2 * np.pi * rates[:, :, np.newaxis] * t_s + phases[:, :, np.newaxis]).sum(1) / np.sqrt(2.0)
        sway = Rotation.from_rotvec(np.radians(self.habits.head_sway_deg / np.sqrt(3)) * wave.T)
        upright = Rotation.from_matrix(np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]))
        return self._yaw * sway * upright

    def _shake(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        rates, phases = self._shakes
        return (
            self.habits.tremor_m * np.sin(2 * np.pi * rates[:, :, np.newaxis] * t_s + phases[:, :, np.newaxis]).sum(1).T
        )


def _stroke_truth(contact_m: NDArray[np.float64], normal: NDArray[np.float64]) -> tuple[float, float]:
    length = float(np.linalg.norm(np.diff(contact_m, axis=0), axis=1).sum())
    up, left = tangent_axes(normal[np.newaxis])
    chord = contact_m[-1] - contact_m[0]
    return length, float(np.degrees(np.arctan2(chord @ left[0], chord @ up[0])))


ROUTINE = tuple(
    place
    for zone in ("jaw", "cheek", "eye", "temple", "forehead", "under_chin", "neck", "decolletage")
    for place in (((zone, ""),) if zone in zones.MIDLINE else ((zone, "left"), (zone, "right")))
)
"""Up the face, then down the neck; left before right."""
