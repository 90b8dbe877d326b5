# SPDX-License-Identifier: MIT
"""A hand that also presses slowly harder on a place, and the button at what its person feels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import PLACES
from simulator.body import rotations
from simulator.body.face import tangent
from simulator.body.feelings import Feelings, Thresholds
from simulator.body.motion import Motion, Pose, ease, in_air
from simulator.body.scripted import Deed, ScriptedHand
from simulator.body.strokes import smooth_noise
from simulator.body.truth import GRID_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from firmware_protocol.routine import Routine
    from simulator.body.people import Habits
    from simulator.body.scripted import Slips

SETTLE_S = 0.3
"""From the touch-down to the beginning of a ramp: the roller lies on the skin."""
TOUCH_N = 0.25
"""With this force."""
LIFT_S = 0.5
AFTER_S = 0.15
"""From the second press of the button to lifting off."""
LONGEST_S = 30.0


class Ramp(NamedTuple):
    """A ramp as it will be pressed."""

    force_n: NDArray[np.float64]
    """On the truth's grid."""
    presses_s: tuple[float, ...]
    """When the button is pressed, s from its beginning."""


def ramp_of(rng: np.random.Generator, feelings: Feelings, felt: Thresholds, rate_n_s: float) -> Ramp:
    """One ramp of a person: press, feel, press the button late, lift off.

    Parameters
    ----------
    rng : numpy Generator
        Draws this ramp.
    feelings : Feelings
        Of the person.
    felt : Thresholds
        Of the place.
    rate_n_s : float
        Pace that was asked for, N/s.
    """
    rate = rate_n_s * feelings.pace * rng.lognormal(0, feelings.pace_spread)
    today = rng.lognormal(0, feelings.spread)
    n_touch, n = round(SETTLE_S * GRID_HZ), round(LONGEST_S * GRID_HZ)
    rise_n = TOUCH_N + rate * np.maximum(np.arange(n) / GRID_HZ - SETTLE_S, 0.0)
    rise_n *= 1 + feelings.wander * smooth_noise(rng, n, 0.4)
    rise_n += feelings.tremor_n * smooth_noise(rng, n, 0.02)
    rise_n[:n_touch] *= ease(np.linspace(0.0, 1.0, n_touch))

    def after(level_n: float) -> float:
        """When something felt at a force is answered, s."""
        above = np.flatnonzero(rise_n >= level_n)
        return (above[0] if len(above) else n) / GRID_HZ + feelings.reaction_s * rng.lognormal(
            0, feelings.reaction_spread
        )

    first_s = after(today * felt.pleasant_n)
    second_s = max(after(today * felt.firmest_n), first_s + 0.25)
    end_s = min(second_s + AFTER_S, after(felt.pain_n), LONGEST_S)
    rise_n = np.maximum(rise_n[: round(end_s * GRID_HZ)], 0.0)
    fall_n = rise_n[-1] * (1 - ease(np.linspace(0.0, 1.0, round(LIFT_S * GRID_HZ))))
    presses_s = tuple(press_s for press_s in (first_s, second_s) if press_s < end_s)
    return Ramp(np.concatenate([rise_n, fall_n]), presses_s)


class PressingHand(ScriptedHand):
    """A hand that takes orders, of a person who feels.

    Parameters
    ----------
    seed, habits, visits, routine, slips
        See `ScriptedHand`.
    feelings : Feelings, optional
        By default drawn from the seed.
    """

    def __init__(
        self,
        seed: int,
        habits: Habits | None = None,
        visits: tuple[tuple[str, str], ...] | None = None,
        *,
        routine: Routine | None = None,
        slips: Slips | None = None,
        feelings: Feelings | None = None,
    ) -> None:
        super().__init__(seed, habits, visits, routine=routine, slips=slips)
        self._skin = np.random.default_rng([seed, 1, 3])
        self.feelings = feelings or Feelings.draw(self._skin)
        self._due_s: list[float] = []
        self._pitch_rad = 0.0
        self._touch_m = self._normal = self._pose.normal
        """Of the latest place: pitch of the handle, point of contact, normal of the skin."""

    def press(self, zone: str, side: str, rate_n_s: float) -> None:
        """Go to a place, press slowly harder, mark twice with the button on the roller, lift off, and wait."""
        self._do(partial(self._go_to, zone, side, rate_n_s))

    def tap(self, now_s: float) -> None:
        """Press the button as a reaction to something that happens now, s by the truth's time."""
        feelings = self.feelings
        self._due_s.append(now_s + feelings.reaction_s * self._skin.lognormal(0, feelings.reaction_spread))

    def presses(self, until_s: float) -> list[float]:
        """See `Hand.presses`."""
        due = sorted(press_s for press_s in self._due_s if press_s <= until_s)
        self._due_s = [press_s for press_s in self._due_s if press_s > until_s]
        return due

    def _stop(self) -> None:
        """What is not done is not marked either."""
        super()._stop()
        self._due_s = [press_s for press_s in self._due_s if press_s <= self._t0_s]

    def _go_to(self, zone: str, side: str, rate_n_s: float) -> Deed:
        pose = self._pose_on(zone, side)
        self._plan = partial(self._ramp, zone, side, rate_n_s)
        return Deed(self._way_to(pose))

    def _pose_on(self, zone: str, side: str) -> Pose:
        """Roller on the skin, handle where a hand can hold it."""
        surface, middle_m, direction_deg = self.face.place(self._skin, zone, side)
        points_m, normals = surface.project(middle_m[np.newaxis])
        forward = tangent(normals[0], direction_deg)
        pitch_rad = np.radians(self._skin.normal(-2 * self.habits.pitch_deg, self.habits.pitch_deg))
        axle = rotations.cross(forward[np.newaxis], normals)
        body_y = np.cos(pitch_rad) * forward[np.newaxis] + np.sin(pitch_rad) * normals
        q = rotations.from_axes(axle, body_y, rotations.cross(axle, body_y))[0]
        self._pitch_rad, self._touch_m, self._normal = float(pitch_rad), points_m[0], normals[0]
        return Pose(points_m[0] + self._roller.radius_m * normals[0], q, normals[0])

    def _ramp(self, zone: str, side: str, rate_n_s: float) -> Deed:
        ramp = ramp_of(self._skin, self.feelings, self.feelings.thresholds[zone, side], rate_n_s)
        self._due_s += [self._t0_s + press_s for press_s in ramp.presses_s]
        self._plan = self._stay_aside
        return Deed(self._pressed(ramp.force_n, PLACES.index((zone, side))))

    def _pressed(self, force_n: NDArray[np.float64], place: int) -> Motion:
        """The roller stands on the skin, pressed with a force."""
        n = len(force_n)
        still = in_air(np.tile(self._pose.axle_m, (n, 1)), np.tile(self._pose.q_face_body, (n, 1)))
        return replace(
            still,
            force_n=force_n,
            axial_n=force_n * np.cos(self._pitch_rad),
            side_n=np.outer(force_n, [0.0, np.sin(self._pitch_rad)]),
            contact_m=np.tile(self._touch_m, (n, 1)),
            normal=np.tile(self._normal, (n, 1)),
            pitch_deg=np.full(n, np.degrees(self._pitch_rad)),
            place=np.full(n, place, np.int8),
        )
