# SPDX-License-Identifier: MIT
"""A hand that massages until it is told to do something else: hold still, turn the roller about, hang a mass on it.

What it does is planned in deeds that begin and end at rest, and handed out in short stretches, so that an order acts
at once. A deed that is cut short is brought to rest from where it is, at the speed it has: pose and velocity have no
jumps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from simulator.body import rotations
from simulator.body.hand import Hand
from simulator.body.motion import Motion, Pose, at_rest, ease, in_air, through_air
from simulator.body.truth import GRAVITY_M_S2, GRID_HZ, Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from firmware_protocol.routine import Routine
    from simulator.body.people import Habits

STRETCH = GRID_HZ // 10
"""Rows handed out at a time."""
STOP_S = 0.4
"""Within this time a deed that is cut short comes to rest, and what pulls at the roller is taken off."""
ASIDE_M = np.array([0.0, -0.05, 0.32])
"""Where the roller is held when it is not on the face, face frame."""
NEAR_FACE_M = 0.25
"""Less than this from the origin of the face is not aside."""
TURN_RAD_S = 1.5
"""How fast the roller is turned from one pose to another, about."""
TUMBLE_SIDES = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0), (0, 0, -1))
"""Sides of the roller, body frame, that a tumble turns down one after the other; it is repeated."""
TUMBLE_S, TUMBLE_TILT_DEG = 3.0, 8.0
"""From one side to the next, and how far off it is, standard deviation."""
HANG_S = 1.0
"""From an empty roller to a load that hangs by itself."""
SWING_DEG, SWING_S, SWING_HZ = 5.0, 1.5, 1.1
"""A load that was let go swings: amplitude at first, time constant, rate."""
HANG_TILT_DEG = 3.0
"""How far off the vertical the roller is held under a load, standard deviation."""
_LEAD = 3


@dataclass(frozen=True)
class Slips:
    """What clumsy hands do wrong; the default is nothing."""

    other_kg: Mapping[float, float] = field(default_factory=dict[float, float])
    """Mass asked for -> mass hung instead."""
    swing_deg: float = 0.0
    """Amplitude with which a load keeps swinging; 0 lets it come to rest."""
    touch_n: float = 0.0
    """Pull of a finger that touches the head now and then while nothing should."""


class Deed(NamedTuple):
    """A motion from rest to rest, and what pulls at the roller's head in it."""

    motion: Motion
    pull_n: NDArray[np.float64] | None = None
    """World frame, (n, 3); None: nothing does."""


class ScriptedHand(Hand):
    """A massaging hand that takes orders.

    Parameters
    ----------
    seed, habits, visits, routine
        See `Hand`: the massage before the first order and after `release`.
    slips : Slips, optional
        What it does wrong.
    """

    def __init__(
        self,
        seed: int,
        habits: Habits | None = None,
        visits: tuple[tuple[str, str], ...] | None = None,
        *,
        routine: Routine | None = None,
        slips: Slips | None = None,
    ) -> None:
        super().__init__(seed, habits, visits, routine=routine)
        self.slips = slips or Slips()
        self._whims = np.random.default_rng([seed, 1, 2])
        self._rest_until_s = 0.0
        """Until then the hand holds still before it goes on with the massage."""
        self._plan: Callable[[], Deed] | None = None
        """Gives the next deed of the order; None: there is no order."""
        self._deed = Deed(at_rest(self._pose, STRETCH / GRID_HZ))
        self._truth_of_deed = self._truth(self._deed.motion)
        self._row = 0
        """Of the deed, up to which it was handed out."""

    # --- Orders -----------------------------------------------------------------------------------------------------

    def still(self) -> None:
        """Take off whatever hangs there, keep away from the face, and hold still."""
        self._do(self._stay_aside)

    def pose(self) -> None:
        """Go to the start pose and hold it."""
        self._do(self._take_pose)

    def tumble(self) -> None:
        """Turn the roller slowly through all positions, over and over."""
        self._do(self._turn_about)

    def hang(self, mass_kg: float) -> None:
        """Hold the roller with its pressing side up and hang a mass on it, so that it pushes as the skin would."""
        self._do(partial(self._turn_over, self.slips.other_kg.get(mass_kg, mass_kg)))

    def release(self) -> None:
        """Go on with the massage."""
        if self._plan is not None:
            self._stop()
        self._plan = None

    def _do(self, plan: Callable[[], Deed]) -> None:
        """Stop what is under way; from now on do what ``plan`` gives, deed by deed."""
        self._stop()
        self._plan = plan

    # --- What the device asks for -----------------------------------------------------------------------------------

    def rest(self, duration_s: float) -> Truth:
        """Hold the roller still for so long from now on, unless an order says something else; a stretch of it."""
        n_left = len(self._truth_of_deed.t_s) - self._row
        self._rest_until_s = self._t0_s - n_left / GRID_HZ + duration_s
        return self._next(lambda: at_rest(self._pose, duration_s))

    def visit(self) -> Truth:
        """Go on with the order, or with the massage; a stretch of it."""
        return self._next(self._roam)

    def home(self) -> Truth:
        """Forget the order and go back to the start pose; the next visit begins the massage anew."""
        self._plan = None
        self._stop()
        stop = _rows(self._truth_of_deed, self._row, None)
        self._row = len(self._truth_of_deed.t_s)
        back = super().home()
        return _joined(stop, back) if len(stop.t_s) else back

    def _next(self, otherwise: Callable[[], Motion]) -> Truth:
        """The next stretch of what is under way, or else of what the order asks for, or else of something else."""
        if self._row == len(self._truth_of_deed.t_s):
            if self._plan is None:
                left_s = self._rest_until_s - self._t0_s
                self._begin(Deed(at_rest(self._pose, left_s) if left_s * GRID_HZ >= 2 else otherwise()))
            else:
                self._begin(self._plan())
                self._pose = _end_of(self._deed.motion)
        begin, n_left = self._row, len(self._truth_of_deed.t_s) - self._row
        # No stretch may be so short that a sensor has nothing to interpolate in.
        self._row += n_left if n_left <= STRETCH else min(STRETCH, n_left // 2)
        return _rows(self._truth_of_deed, begin, self._row)

    def _begin(self, deed: Deed, lead: Motion | None = None) -> None:
        truth = self._truth(deed.motion, lead)
        if deed.pull_n is not None:
            pull_n = rotations.rotate(rotations.inverse(truth.q_world_body), deed.pull_n)
            truth = replace(truth, axial_n=truth.axial_n + pull_n[:, 2], side_n=truth.side_n + pull_n[:, :2])
        self._deed, self._truth_of_deed, self._row = deed, truth, 0

    def _stop(self) -> None:
        """Bring what is under way to rest, and take off what pulls at the roller."""
        row, truth, (motion, pull_n) = self._row, self._truth_of_deed, self._deed
        if row < _LEAD:
            return  # what has not begun is a stop itself
        pulled = None if pull_n is None else _fading(pull_n[row - 1])
        if row == len(truth.t_s):
            if pulled is not None:
                self._begin(Deed(at_rest(self._pose, STOP_S), pulled))
            return
        self._t0_s = float(truth.t_s[0]) + row / GRID_HZ
        self._roll_rad, self._temp_c = float(truth.roll_rad[row - 1]), float(truth.temp_c[row - 1])
        before = _rows(motion, row - _LEAD, row)
        coasting = _coasting(before)
        self._pose = _end_of(coasting)
        self._begin(Deed(coasting, pulled), before)

    # --- Deeds ------------------------------------------------------------------------------------------------------

    def _stay_aside(self) -> Deed:
        return self._going_aside() or self._touched(at_rest(self._pose, 1.0))

    def _going_aside(self) -> Deed | None:
        """Away from the face; None when it is there already."""
        if np.linalg.norm(self._pose.axle_m) > NEAR_FACE_M:
            return None
        return Deed(self._way_to(self._pose._replace(axle_m=ASIDE_M)))

    def _take_pose(self) -> Deed:
        self._plan = lambda: Deed(at_rest(self._pose, 1.0))
        return Deed(self._way_to(self._start))

    def _turn_about(self) -> Deed:
        if aside := self._going_aside():
            return aside
        share = ease(np.linspace(0.0, 1.0, round(TUMBLE_S * GRID_HZ)))
        q, ways = self._pose.q_face_body, []
        for side in TUMBLE_SIDES:
            there = self._turned_down(q, side, TUMBLE_TILT_DEG)
            ways.append(rotations.slerp(q, there, share))
            q = there
        q = np.concatenate(ways)
        return self._touched(in_air(np.tile(self._pose.axle_m, (len(q), 1)), q))

    def _touched(self, motion: Motion) -> Deed:
        """With the finger of a clumsy hand on the head, in the middle third."""
        n = len(motion.axle_m)
        share = ease(np.clip(3 - 6 * np.abs(np.arange(n) / n - 0.5), 0.0, 1.0))
        pull_n = np.outer(share, [0.0, 0.0, -self.slips.touch_n])
        return Deed(motion, pull_n if self.slips.touch_n else None)

    def _turn_over(self, mass_kg: float) -> Deed:
        self._plan = partial(self._load, mass_kg)
        upside_down = self._turned_down(self._pose.q_face_body, (0, 0, 1), HANG_TILT_DEG)
        return Deed(self._way_to(Pose(ASIDE_M, upside_down, _outward(ASIDE_M))))

    def _load(self, mass_kg: float) -> Deed:
        """Hang a mass on the roller, and let go of it."""
        self._plan = partial(self._hold, mass_kg, self._t0_s + HANG_S)
        motion = at_rest(self._pose, HANG_S)
        share = ease(np.linspace(0.0, 1.0, len(motion.axle_m)))
        return Deed(motion, np.outer(share, [0.0, 0.0, -mass_kg * GRAVITY_M_S2]))

    def _hold(self, mass_kg: float, since_s: float) -> Deed:
        """Hold a mass that hangs since a time, and swings less and less."""
        motion = at_rest(self._pose, 1.0)
        t_s = self._t0_s - since_s + np.arange(len(motion.axle_m)) / GRID_HZ
        amplitude_deg = np.maximum(SWING_DEG * np.exp(-t_s / SWING_S), self.slips.swing_deg) * ease(np.clip(t_s, 0, 1))
        swing_rad = np.radians(amplitude_deg) * np.sin(2 * np.pi * SWING_HZ * t_s)
        # A pendulum pulls hardest at its lowest point: centripetal force comes on top of its weight.
        whirl = np.radians(amplitude_deg) ** 2 - swing_rad**2
        pull_n = mass_kg * GRAVITY_M_S2 * (np.cos(swing_rad) + whirl)
        nothing = np.zeros(len(t_s))
        return Deed(motion, np.stack([np.sin(swing_rad) * pull_n, nothing, -np.cos(swing_rad) * pull_n], axis=1))

    def _turned_down(
        self, q_face_body: NDArray[np.float64], side: tuple[int, int, int], tilt_deg: float
    ) -> NDArray[np.float64]:
        """Orientation in the face frame with a side of the body down, about: turned there by the shortest way."""
        head = self._head.orientation(np.array([self._t0_s]))[0]
        now = rotations.multiply(head, q_face_body)
        turn = rotations.between(rotations.rotate(now, np.array(side, np.float64)), np.array([0.0, 0.0, -1.0]))
        tilt = rotations.from_rotvec(np.radians(self._whims.normal(0, tilt_deg, 3)))
        there = rotations.multiply(rotations.multiply(turn, now), tilt)
        return rotations.multiply(rotations.inverse(head), there)

    def _way_to(self, there: Pose) -> Motion:
        """Through the air to another pose."""
        distance_m = float(np.linalg.norm(there.axle_m - self._pose.axle_m))
        turn = rotations.multiply(rotations.inverse(self._pose.q_face_body), there.q_face_body)
        angle_rad = 2 * float(np.arctan2(np.linalg.norm(turn[1:]), abs(turn[0])))
        return through_air(self._pose, there, 0.35 + 4.0 * distance_m + 1.5 * angle_rad / TURN_RAD_S)


_Columns = TypeVar("_Columns", Motion, Truth)


def _rows(columns: _Columns, begin: int, end: int | None) -> _Columns:
    """Some rows; of strokes those that end in them, of a truth, or none, of a motion."""
    part = {f.name: getattr(columns, f.name)[begin:end] for f in fields(columns) if f.name != "strokes"}
    if isinstance(columns, Motion):
        return Motion(**part)
    t_s = part["t_s"]
    within = (t_s[0] - 0.5 / GRID_HZ, t_s[-1] + 0.5 / GRID_HZ) if len(t_s) else (np.inf, -np.inf)
    strokes = tuple(one for one in columns.strokes if within[0] < one.end_s - 1 / GRID_HZ <= within[1])
    return Truth(**part, strokes=strokes)


def _joined(first: Truth, second: Truth) -> Truth:
    names = [f.name for f in fields(Truth) if f.name != "strokes"]
    columns = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names}
    return Truth(**columns, strokes=first.strokes + second.strokes)


def _outward(axle_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Away from the head."""
    return axle_m / np.linalg.norm(axle_m)


def _end_of(motion: Motion) -> Pose:
    return Pose(motion.axle_m[-1], motion.q_face_body[-1], _outward(motion.axle_m[-1]))


def _fading(pull_n: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.outer(1 - ease(np.linspace(0.0, 1.0, round(STOP_S * GRID_HZ))), pull_n)


def _coasting(before: Motion) -> Motion:
    """From the end of ``before`` on to rest: velocities fall to zero, what presses is taken off."""
    u = np.arange(1, round(STOP_S * GRID_HZ) + 1) / round(STOP_S * GRID_HZ)
    left, way_s = 1 - ease(u), STOP_S * (u - 2.5 * u**4 + 3 * u**5 - u**6)  # the integral of what is left of the speed
    names = [f.name for f in fields(Motion) if f.name != "strokes"]
    columns: dict[str, Any] = {name: np.repeat(getattr(before, name)[-1:], len(u), axis=0) for name in names}
    for name in ("force_n", "axial_n", "side_n", "speed_m_s"):
        columns[name] = (columns[name].T * left).T
    columns["axle_m"] = columns["axle_m"] + np.outer(way_s, np.diff(before.axle_m[-2:], axis=0)[0] * GRID_HZ)
    columns["roll_rad"] = way_s * float(np.diff(before.roll_rad[-2:])[0]) * GRID_HZ
    step = rotations.multiply(rotations.inverse(before.q_face_body[-2]), before.q_face_body[-1])
    rate_rad_s = 2.0 * GRID_HZ * step[1:] * float(np.sign(step[0]))
    columns["q_face_body"] = rotations.multiply(
        before.q_face_body[-1], rotations.from_rotvec(way_s[:, np.newaxis] * rate_rad_s)
    )
    return Motion(**columns)
