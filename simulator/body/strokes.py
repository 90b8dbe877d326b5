# SPDX-License-Identifier: MIT
"""Contact mechanics: strokes as a hand intends them, and what roller and skin make of them.

The axle lies flat on the skin. The roller rolls without slip along its own rolling direction, which differs from the
path by the skew; across it the roller slides. Whenever the motion sets in or turns back, the skin first goes along with
the roller and stays behind more and more; only what it stays behind is rolled. The encoder sits on the handle: it reads
the rolled angle plus the pitch of the handle about the axle.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.ndimage import gaussian_filter1d

from simulator.body import rotations
from simulator.body.face import Ellipsoid, tangent, tangent_axes
from simulator.body.motion import Motion, Pose, Stroke, min_jerk
from simulator.body.truth import GRID_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulator.body.people import Habits

FASTEST_TURN_RAD_S = 6.0
"""Nobody turns the handle faster around a curve; strokes over strongly curved skin are slower instead."""

ROCKING_REACH_M = 0.035
"""Distance from the middle of the path at which the wrist has rocked by the full angle."""

REACH = 0.6
"""How far a stroke reaches at most from the middle of its path, as a multiple of the length of the path."""

FRICTION = 0.1
"""Of the roller sliding sideways on oiled skin."""

SLOWEST_M_S = 1e-3
"""Below this speed the contact point has no direction."""


@dataclass(frozen=True)
class Plan:
    """Strokes to and fro along one path as intended: where, how firmly, how fast."""

    surface: Ellipsoid
    middle_m: NDArray[np.float64]
    direction_deg: float
    """Of the first stroke, from face-up, positive toward the person's left."""
    skew_deg: float
    pitch_deg: float
    rocking_deg: float
    force_n: float
    length_m: float
    speed_m_s: tuple[float, float]
    n_strokes: int
    place: int

    def path(self, xi: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Contact points and normals, (n, 3), at positions along the path."""
        _, normal = self.surface.project(self.middle_m[np.newaxis])
        heading = tangent(normal[0], self.direction_deg)
        return self.surface.project(self.middle_m + xi[:, np.newaxis] * heading)

    def bend_per_m(self) -> float:
        """Mean curvature of the path."""
        _, normal = self.path(np.array([-0.5, 0.5]) * self.length_m)
        return float(np.arccos(np.clip(normal[0] @ normal[1], -1, 1))) / self.length_m


class Roller:
    """One roller in the hand of one person: turns plans into motion, with the errors of both.

    Parameters
    ----------
    rng : numpy Generator
        Draws the errors.
    habits : Habits
        How large they are.
    radius_m : float
        True radius of the roller, m.
    """

    def __init__(self, rng: np.random.Generator, habits: Habits, radius_m: float) -> None:
        self.rng, self.habits, self.radius_m = rng, habits, radius_m

    def roll(self, plan: Plan) -> tuple[Motion, Pose, Pose]:
        """Touch down, roll to and fro, lift off.

        Returns
        -------
        motion : Motion
        begin, end : Pose
            Of its first and last row.
        """
        rng, habits, n_strokes = self.rng, self.habits, plan.n_strokes
        xi, spans = self._to_and_fro(plan)
        # Skew and slip belong to strokes; each holds until the next one begins.
        borders = [0, *(begin for begin, _ in spans[1:]), len(xi)]
        counts = [end - begin for begin, end in itertools.pairwise(borders)]
        slip = np.repeat(rng.normal(0, habits.slip, n_strokes), counts)
        skews = plan.skew_deg + rng.normal(0, habits.skew_stroke_deg, n_strokes)
        skew = np.radians(gaussian_filter1d(np.repeat(skews, counts), 0.06 * GRID_HZ, mode="nearest"))
        wander = habits.wander_deg * smooth_noise(rng, len(xi), 0.3) * _edges(len(xi), 100)
        pitch = np.radians(plan.pitch_deg + plan.rocking_deg * xi / ROCKING_REACH_M + wander)
        gain = rolled_share(xi, spans, habits.stretch_m)
        return self._on_skin(plan, xi, skew, pitch, (1 - slip) * gain, gain, spans)

    def _to_and_fro(self, plan: Plan) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
        """Position along the path over time, pauses included, and where the strokes lie."""
        rng, habits, length_m = self.rng, self.habits, plan.length_m
        bend_per_m = plan.bend_per_m()
        position, sign = -length_m / 2, 1.0
        parts = [np.full(round(rng.uniform(0.08, 0.2) * GRID_HZ), position)]
        at = len(parts[0])
        spans: list[tuple[int, int]] = []
        for i in range(plan.n_strokes):
            reach = position + sign * length_m * rng.uniform(0.85, 1.15)
            target = float(np.clip(reach, -REACH * length_m, REACH * length_m))
            reach_m = abs(target - position)
            # The peak of a minimum-jerk motion is 1.875 times its mean.
            shortest_s = max(1.875 * bend_per_m * reach_m / FASTEST_TURN_RAD_S, 0.06)
            n_move = round(max(reach_m / rng.uniform(*plan.speed_m_s), shortest_s) * GRID_HZ)
            pause_s = habits.dwell_s if i < plan.n_strokes - 1 else (0.08, 0.2)
            n_rest = round(rng.uniform(*pause_s) * GRID_HZ)
            parts += [position + (target - position) * min_jerk(n_move), np.full(n_rest, target)]
            spans.append((at, at + n_move))
            at += n_move + n_rest
            position, sign = target, -sign
        return np.concatenate(parts), spans

    def _on_skin(
        self,
        plan: Plan,
        xi: NDArray[np.float64],
        skew: NDArray[np.float64],
        pitch: NDArray[np.float64],
        rolled: NDArray[np.float64],
        gain: NDArray[np.float64],
        spans: list[tuple[int, int]],
    ) -> tuple[Motion, Pose, Pose]:
        """Put the planned motion on the surface and derive what the roller does."""
        contact, normal = plan.path(xi)
        forward = self._forward(plan, xi, contact, normal)
        rolling = np.cos(skew)[:, np.newaxis] * forward + np.sin(skew)[:, np.newaxis] * rotations.cross(normal, forward)
        axle = rotations.cross(rolling, normal)
        body_y = np.cos(pitch)[:, np.newaxis] * rolling + np.sin(pitch)[:, np.newaxis] * normal
        q_face_body = rotations.from_axes(axle, body_y, rotations.cross(axle, body_y))
        velocity = np.gradient(contact, 1 / GRID_HZ, axis=0)
        roll_rate = np.einsum("ij,ij->i", velocity, rolling) * rolled / self.radius_m
        sliding = np.einsum("ij,ij->i", velocity, axle) * gain
        force = self._force(plan.force_n, len(xi))
        up, left = tangent_axes(normal)
        speed = np.linalg.norm(velocity, axis=1) * gain
        direction = np.degrees(np.arctan2(np.einsum("ij,ij->i", velocity, left), np.einsum("ij,ij->i", velocity, up)))
        moving = np.zeros(len(xi), bool)
        for begin, end in spans:
            moving[begin:end] = True
        motion = Motion(
            axle_m=contact + self.radius_m * normal,
            q_face_body=q_face_body,
            roll_rad=np.cumsum(roll_rate) / GRID_HZ + pitch - pitch[0],
            force_n=force,
            axial_n=force * np.cos(pitch),
            side_n=force[:, np.newaxis]
            * np.stack([-FRICTION * sliding / np.hypot(speed, SLOWEST_M_S), np.sin(pitch)], axis=1),
            contact_m=contact,
            normal=normal,
            speed_m_s=speed,
            direction_deg=np.where(speed > SLOWEST_M_S, direction, np.nan),
            skew_deg=np.degrees(skew),
            pitch_deg=np.degrees(pitch),
            moving=moving,
            place=np.full(len(xi), plan.place, np.int8),
            strokes=tuple(_stroke(contact, normal, gain, span, plan.place) for span in spans),
        )
        begin, end = (Pose(motion.axle_m[i].copy(), q_face_body[i].copy(), normal[i].copy()) for i in (0, -1))
        return motion, begin, end

    def _forward(
        self, plan: Plan, xi: NDArray[np.float64], contact: NDArray[np.float64], normal: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Along the path, toward the side where the head of the roller points."""
        forward = plan.path(xi + 1e-4)[0] - contact
        forward -= np.einsum("ij,ij->i", forward, normal)[:, np.newaxis] * normal
        forward /= np.linalg.norm(forward, axis=1, keepdims=True)
        # The handle stays where the hand can hold it: strokes away from there are rolled with the head trailing.
        easy = np.radians(self.habits.handle_deg)
        middle = forward[len(forward) // 2]
        return forward if middle[0] * np.sin(easy) + middle[1] * np.cos(easy) >= 0 else -forward

    def _force(self, mean_n: float, n: int) -> NDArray[np.float64]:
        """Force over one run: rises after touch-down, wanders, falls before lift-off."""
        rng = self.rng
        wander = 1 + self.habits.force_wander * smooth_noise(rng, n, 0.15) + 0.02 * smooth_noise(rng, n, 0.018)
        ramp = _edges(n, round(rng.uniform(0.06, 0.14) * GRID_HZ))
        return np.maximum(mean_n * wander * ramp, 0.0)


def rolled_share(xi: NDArray[np.float64], spans: list[tuple[int, int]], stretch_m: float) -> NDArray[np.float64]:
    """Share of the roller's motion by which it advances on the skin; the rest carries the skin along.

    Parameters
    ----------
    xi : ndarray, shape (n,)
        Position along the path, m.
    spans : list of (begin, end)
        Rows of the strokes, one way each.
    stretch_m : float
        How far the skin can be carried to either side, m.

    Returns
    -------
    ndarray, shape (n,)
        0 where a stroke begins, near 1 once the skin is carried as far as it goes.
    """
    share = np.ones(len(xi))
    carried_m = 0.0
    for begin, end in spans:
        way_m = np.abs(xi[begin:end] - xi[begin])
        target_m = np.copysign(stretch_m, xi[end - 1] - xi[begin])
        reach_m = abs(target_m - carried_m)
        if reach_m > 0:
            behind = np.exp(-way_m / reach_m)
            share[begin:end] = 1 - behind
            carried_m = float(target_m + (carried_m - target_m) * behind[-1])
    return share


def _stroke(
    contact_m: NDArray[np.float64],
    normal: NDArray[np.float64],
    gain: NDArray[np.float64],
    span: tuple[int, int],
    place: int,
) -> Stroke:
    begin, end = span
    points, share = contact_m[begin:end], gain[begin:end]
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1) * (share[1:] + share[:-1]) / 2
    up, left = tangent_axes(normal[(begin + end) // 2][np.newaxis])
    chord = points[-1] - points[0]
    return Stroke(begin, end, float(steps.sum()), float(np.degrees(np.arctan2(chord @ left[0], chord @ up[0]))), place)


def _edges(n: int, n_edge: int) -> NDArray[np.float64]:
    """Window of ``n`` points that rises from 0 and falls back to 0 without a jerk."""
    n_edge = min(n_edge, n // 3)
    window = np.ones(n)
    window[:n_edge] = min_jerk(n_edge)
    window[n - n_edge :] = window[:n_edge][::-1]
    return window


def smooth_noise(rng: np.random.Generator, n: int, tau_s: float) -> NDArray[np.float64]:
    """Smooth noise of unit standard deviation: white noise through a Gaussian of ``tau_s``."""
    sigma = tau_s * GRID_HZ
    pad = int(4 * sigma)
    n_all = n + 2 * pad
    n_fast = next_fast_len(n_all, real=True)
    spectrum = rfft(rng.normal(size=n_all), n_fast) * np.exp(-2 * (np.pi * sigma * rfftfreq(n_fast)) ** 2)
    return irfft(spectrum, n_fast)[pad : pad + n] * np.sqrt(2 * np.sqrt(np.pi) * sigma)
