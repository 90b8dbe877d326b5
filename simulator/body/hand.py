# SPDX-License-Identifier: MIT
"""A hand that massages a face, by routine or for ever, with known truth, visit by visit on a fine time grid.

A *visit* goes to one place: approach through the air, touch-down, strokes, lift-off. Every visit begins and ends at
rest relative to the face, so visits join without a jump in position, speed or acceleration.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol import reference, zones
from simulator.body import rotations
from simulator.body.face import PATCHES, Face, beside_midline
from simulator.body.head import NECK_M, Head
from simulator.body.motion import Motion, Pose, at_rest, join, through_air
from simulator.body.people import Habits
from simulator.body.strokes import REACH, Plan, Roller
from simulator.body.truth import GRID_HZ, NOWHERE, TrueStroke, Truth, felt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from firmware_protocol.routine import Routine, Step

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

MASSAGE = tuple(
    place
    for zone in ("jaw", "cheek", "eye", "temple", "forehead", "under_chin", "neck", "decolletage")
    for place in (((zone, ""),) if zone in zones.MIDLINE else ((zone, "left"), (zone, "right")))
)
"""Up the face, then down the neck; left before right."""

AMBIENT_C, SKIN_C = 23.0, 33.0
WARMING_S, COOLING_S = 240.0, 400.0
"""Time constants of the roller's head on the skin and in the air."""

_MARGIN = 3  # grid points on either side of a stretch, for its derivatives
_GROUP = 8  # strokes of a routine between two grips
_AIR_S = 0.9  # between two strokes, about


class _Order(NamedTuple):
    """Where to go next, and what a routine says about it."""

    zone: str
    side: str
    step: Step | None = None
    n_strokes: int = 0


class Hand:
    """Massage of one person.

    Parameters
    ----------
    seed : int
        Draws the person and everything they do.
    habits : Habits, optional
        How they roll.
    visits : iterable of (zone, side), optional
        Order of places; repeats for ever. Default: `MASSAGE`.
    routine : Routine, optional
        Steps to follow instead, with the person's own errors; after the last one the hand rests.
    """

    def __init__(
        self,
        seed: int,
        habits: Habits | None = None,
        visits: tuple[tuple[str, str], ...] | None = None,
        *,
        routine: Routine | None = None,
    ) -> None:
        self.rng = np.random.default_rng([seed, 1])
        self._moods = np.random.default_rng([seed, 1, 1])
        self.habits = habits or Habits()
        self.face = Face.draw(self.rng)
        self._visits, self._routine = visits or MASSAGE, routine
        radius_m = reference.GEOMETRY.roller_radius_m * (1 + self.rng.normal(0, self.habits.radius_bias))
        self._roller = Roller(self.rng, self.habits, radius_m)
        self._t0_s = 0.0
        self._roll_rad = float(self.rng.uniform(0, 2 * np.pi))
        self._temp_c = AMBIENT_C
        self._head = Head(self.rng, self.habits)
        self._pose = self._start = self._start_pose()
        self._set_out()

    def _set_out(self) -> None:
        """Begin the massage anew."""
        self.done = False
        """The routine has ended."""
        if self._routine:
            self._orders = self._follow(self._routine)
        else:
            self._orders = itertools.starmap(_Order, itertools.cycle(self._visits))

    def _start_pose(self) -> Pose:
        """Roller held upright on the midline before the face, handle down."""
        tilt = rotations.from_rotvec(np.radians(self.rng.normal(0, 2, 3)))
        return Pose(np.array([0.0, 0.0, 0.16]), tilt, np.array([0.0, 0.0, 1.0]))

    def rest(self, duration_s: float) -> Truth:
        """Hold the roller still where it is, in the air."""
        return self._truth(at_rest(self._pose, duration_s))

    def home(self) -> Truth:
        """Go back to the start pose; the next visit begins the massage anew."""
        self._set_out()
        before, self._pose = self._pose, self._start
        return self._truth(through_air(before, self._start, 1.0))

    def presses(self, until_s: float) -> list[float]:  # noqa: ARG002 - for hands that press it
        """When the button on the roller was pressed, up to a time and not told yet, s."""
        return []

    def visit(self) -> Truth:
        """Go to the next place, roll there, lift off; after the end of a routine rest for 1 s."""
        return self._truth(self._roam())

    def _roam(self) -> Motion:
        """Motion of the next visit."""
        order = next(self._orders, None)
        if order is None:
            self.done = True
            return at_rest(self._pose, 1.0)
        motions: list[Motion] = []
        before = self._pose
        for motion, begin, end in [self._roller.roll(plan) for plan in self._plans(order)]:
            distance = float(np.linalg.norm(begin.axle_m - before.axle_m))
            motions += [through_air(before, begin, 0.35 + 4.0 * distance + self.rng.uniform(0, 0.2)), motion]
            before = end
        self._pose = before._replace(axle_m=before.axle_m + 0.04 * before.normal)
        motions.append(through_air(before, self._pose, 0.4))
        pause_s = self._moods.uniform(*self.habits.pause_s)
        if pause_s > 1 / GRID_HZ:
            motions.append(at_rest(self._pose, pause_s))
        whole = join(motions)
        self._look_around(len(whole.axle_m) / GRID_HZ)
        return whole

    def _follow(self, routine: Routine) -> Iterator[_Order]:
        """Visits of a routine: groups of strokes until a step's count or time is over."""
        for step in routine.steps:
            for zone, side in step.places:
                yield from self._groups(step, zone, side)

    def _groups(self, step: Step, zone: str, side: str) -> Iterator[_Order]:
        stroke_s = _AIR_S + PATCHES[zone].longest_m * 0.8 / float(np.mean(step.pace_m_s))
        left, end_s = step.strokes or 0, self._t0_s + (step.seconds or 0.0)
        while True:
            if step.seconds is not None:
                left = round((end_s - self._t0_s) / stroke_s)
            if left <= 0:
                return
            n_strokes = min(left, _GROUP)
            yield _Order(zone, side, step, n_strokes)
            left -= n_strokes

    def _plans(self, order: _Order) -> list[Plan]:
        """The contact part of one visit: one run to and fro, or one run per stroke."""
        rng, habits, (zone, side, step, n_ordered) = self.rng, self.habits, order
        surface, middle, aim = self.face.place(rng, zone, side, step.direction_deg if step else None)
        n_strokes = n_ordered or int(rng.integers(habits.strokes[0], habits.strokes[1] + 1))
        to_and_fro = step is None and rng.random() < habits.reciprocating
        wrong = not to_and_fro and rng.random() < habits.wrong_way
        direction = aim + rng.normal(0, habits.direction_scatter_deg) + (180.0 if wrong else 0.0)
        skew = habits.grip_skew_deg + rng.normal(0, habits.skew_group_deg)
        pitch = rng.normal(-2 * habits.pitch_deg, habits.pitch_deg)
        rocking = rng.normal(0, habits.rocking_deg)
        force = self._aimed_n(order) * rng.lognormal(0, habits.force_scatter)
        force *= 2.0 if rng.random() < habits.heavy else 1.0
        longest = min(habits.length_m[1], PATCHES[zone].longest_m)
        length = rng.uniform(habits.length_m[0], max(longest, habits.length_m[0] * 1.2))
        if side:
            middle = beside_midline(surface, middle, direction, REACH * length)
        slowest, fastest = step.pace_m_s if step else habits.speed_m_s
        pace = (habits.pace if step else 1.0) * (habits.left_pace if side == "left" else 1.0)
        plan = Plan(
            surface, middle, direction, skew, pitch, rocking, force, length, (pace * slowest, pace * fastest),
            n_strokes if to_and_fro else 1, zones.PLACES.index((zone, side)),
        )  # fmt: skip
        return [plan] if to_and_fro else [plan] * n_strokes

    def _aimed_n(self, order: _Order) -> float:
        habits = self.habits
        aimed = float(np.mean(order.step.band_n)) if order.step else BASE_FORCE_N[order.zone]
        aimed *= habits.firmness * habits.zone_force[zones.ZONES.index(order.zone)]
        return aimed * (habits.left_force if order.side == "left" else 1.0)

    def _look_around(self, duration_s: float) -> None:
        """Turn the head in this visit, now and then."""
        habits, rng = self.habits, self._moods
        if rng.random() < habits.turns:
            begin_s = self._t0_s + 0.1 * duration_s
            self._head.look(rng.normal(0, habits.turn_deg), begin_s, begin_s + min(rng.uniform(1, 2), 0.8 * duration_s))

    def _truth(self, motion: Motion, lead: Motion | None = None) -> Truth:
        """From poses in the face frame to what an ideal sensor would feel in the world.

        The hand comes from the end of ``lead``; by default it was at rest.
        """
        n = len(motion.axle_m)
        index = np.clip(np.arange(n + 2 * _MARGIN) - _MARGIN, 0, n - 1)
        axle_m, q_face_body = motion.axle_m[index], motion.q_face_body[index]
        if lead is not None:
            axle_m[:_MARGIN], q_face_body[:_MARGIN] = lead.axle_m[-_MARGIN:], lead.q_face_body[-_MARGIN:]
        t = self._t0_s + (np.arange(n + 2 * _MARGIN) - _MARGIN) / GRID_HZ
        head = self._head.orientation(t)
        world = rotations.multiply(head, q_face_body)
        axle = rotations.rotate(head, axle_m - NECK_M) + self._head.shake_m(t)
        imu = axle - rotations.rotate(world, np.array([0.0, reference.GEOMETRY.lever_y_m, 0.0]))
        keep = slice(_MARGIN, n + _MARGIN)
        roll = self._roll_rad + motion.roll_rad
        contact = motion.force_n > 0
        truth = Truth(
            t_s=t[keep],
            gyro_rad_s=_turning(world)[keep],
            acc_m_s2=felt(imu, world)[keep],
            head_acc_m_s2=felt(axle, world)[keep],
            roll_rad=roll,
            force_n=motion.force_n,
            axial_n=motion.axial_n,
            side_n=motion.side_n,
            contact=contact,
            moving=motion.moving,
            place=np.where(contact, motion.place, NOWHERE).astype(np.int8),
            contact_m=motion.contact_m,
            normal=motion.normal,
            speed_m_s=motion.speed_m_s,
            direction_deg=motion.direction_deg,
            skew_deg=motion.skew_deg,
            pitch_deg=motion.pitch_deg,
            q_world_body=world[keep],
            q_world_face=head[keep],
            temp_c=self._warm(contact),
            strokes=self._strokes(motion),
        )
        self._roll_rad = float(roll[-1])
        self._t0_s += n / GRID_HZ
        return truth

    def _strokes(self, motion: Motion) -> tuple[TrueStroke, ...]:
        return tuple(
            TrueStroke(
                self._t0_s + one.begin / GRID_HZ, self._t0_s + one.end / GRID_HZ, one.length_m, one.direction_deg,
                float(motion.force_n[one.begin : one.end].mean()), float(motion.force_n[one.begin : one.end].max()),
                *zones.PLACES[one.place],
            )
            for one in motion.strokes
        )  # fmt: skip

    def _warm(self, contact: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Temperature of the roller's head: toward the skin's in contact, toward the air's elsewhere."""
        borders = [0, *(np.flatnonzero(np.diff(contact)) + 1).tolist(), len(contact)]
        temp_c = np.empty(len(contact))
        for begin, end in itertools.pairwise(borders):
            goal_c, tau_s = (SKIN_C, WARMING_S) if contact[begin] else (AMBIENT_C, COOLING_S)
            fall = np.exp(-np.arange(1, end - begin + 1) / (tau_s * GRID_HZ))
            temp_c[begin:end] = goal_c + (self._temp_c - goal_c) * fall
            self._temp_c = float(temp_c[end - 1])
        return temp_c


def _turning(q_world_body: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angular rate in the body frame from orientations on the grid, rad/s, (n, 3)."""
    step = rotations.multiply(rotations.inverse(q_world_body[:-2]), q_world_body[2:])
    # Two steps turn by a hundredth of a radian at most: sine and angle are one.
    rate = step[:, 1:] * np.copysign(GRID_HZ, step[:, :1])
    return np.vstack([rate[:1], rate, rate[-1:]])
