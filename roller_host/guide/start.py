# SPDX-License-Identifier: MIT
"""Before the first stroke: which head, which hand, sitting or reclining, and the start pose. One page, ten seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.guide.step import Choice, Order, Shown, Task
from roller_host.signal.face import frame_of_pose
from roller_host.signal.zones import ZoneParams

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel, Samples

HANDS = ("right", "left")
POSTURES = ("sitting", "reclining")


@dataclass(frozen=True)
class StartParams:
    """What a start pose has to be like. All are choices of this project."""

    hold_s: float = 3.0
    """How long it is held, s: the signal core takes a pose after `ZoneParams.pose_s`, a person needs to settle."""
    still_rad_s: float = ZoneParams.still_rad_s
    """Faster than this it is not held still, rad/s."""
    reclining_deg: float = 20.0
    """From this recline on a person reclines."""
    heading_deg: float = 15.0
    """The face is tied to the world once its heading is known this well, degrees: a pose leaves 10 open, most of it how
    far the head may be turned (`PlacingParams.turn_deg`)."""


class Head(NamedTuple):
    """One exchangeable head, as its GEOMETRY record describes it."""

    number: int
    """From 0."""
    radius_mm: float
    mass_g: float
    patch_cm2: float


class Start(NamedTuple):
    """What a session begins with."""

    head: int = 0
    hand: str = HANDS[0]
    posture: str = POSTURES[0]


@dataclass(frozen=True)
class StartShown(Shown):
    """The page before the first stroke."""

    heads: tuple[Head, ...] = ()
    """Those that the roller knows."""
    start: Start = field(default_factory=Start)
    """What is chosen: ``act("head", "1")``, ``act("hand", "left")``, ``act("posture", "reclining")`` change it."""
    still: bool = False
    """The roller is held still."""
    recline_deg: float = math.nan
    """How far the face leans back if this is the start pose; NaN when it can be none."""


class StartGuide:
    """Leads to the start pose.

    Parameters
    ----------
    heads : tuple of Head
        Heads that the roller describes; at least one.
    start : Start, optional
        What was chosen the last time.
    choose_head : callable, optional
        Told which head is on the roller, when that changes.
    params : StartParams, optional
        What is asked of the pose.
    """

    def __init__(
        self,
        heads: tuple[Head, ...],
        start: Start | None = None,
        choose_head: Callable[[int], None] | None = None,
        params: StartParams | None = None,
    ) -> None:
        self._params = params or StartParams()
        self._choose_head = choose_head or (lambda _: None)
        self._since_s: float | None = None
        """Since when the pose has been held, s of the session."""
        chosen = start or Start()
        if chosen.head not in [head.number for head in heads]:
            chosen = chosen._replace(head=heads[0].number)
        self._shown = StartShown(
            "pose",
            0,
            1,
            "Before the first stroke",
            "Sit as you are going to roll. Hold the roller still before your nose, handle down, its front to your "
            "face, and do not touch your face with it yet.",
            (Choice("skip", "Skip", hint="Places on the face stay unknown until the pose is held once"),),
            progress=0.0,
            order=Order(Task.POSE),
            heads=heads,
            start=chosen,
        )

    @property
    def shown(self) -> StartShown:
        """What to show now."""
        return self._shown

    @property
    def start(self) -> Start:
        """What is chosen."""
        return self._shown.start

    def act(self, key: str, value: str = "") -> None:
        """Choose ``head``, ``hand`` or ``posture``, or ``skip`` the pose; see `StartShown.start`."""
        shown, start = self._shown, self._shown.start
        if key == "head" and value in [str(head.number) for head in shown.heads]:
            start = start._replace(head=int(value))
            self._choose_head(start.head)
        elif key == "hand" and value in HANDS:
            start = start._replace(hand=value)
        elif key == "posture" and value in POSTURES:
            start = start._replace(posture=value)
        elif key == "skip":
            self._shown = replace(shown, over=True, order=None, choices=(), note="Begun without a start pose.")
            return
        self._shown = replace(shown, start=start)

    def take(self, model: DeviceModel, samples: Samples, touching: bool, heading_sigma_deg: float) -> None:
        """Look at the next samples.

        Parameters
        ----------
        model : DeviceModel
            Axes of the roller.
        samples : Samples
            n > 0 samples.
        touching : bool
            The roller touches the skin.
        heading_sigma_deg : float
            As in `Estimates`.
        """
        shown = self._shown
        if shown.over:
            return
        recline_deg = recline_of(model, samples.acc_m_s2)
        rate_rad_s = float(np.sqrt(np.max(np.sum(np.square(samples.gyro_rad_s), axis=1))))
        still = rate_rad_s < self._params.still_rad_s
        problem = self._problem(recline_deg, touching=touching) if still else ""
        held = still and not problem
        now_s = float(samples.t_s[-1])
        self._since_s = (now_s if self._since_s is None else self._since_s) if held else None
        share = 0.0 if self._since_s is None else min((now_s - self._since_s) / self._params.hold_s, 1.0)
        if share == 1.0 and heading_sigma_deg > self._params.heading_deg:
            problem = (
                "This is not how you sat when the session began. Sit as before, or leave the roller and connect anew."
            )
        self._shown = replace(shown, still=still, recline_deg=recline_deg, progress=share, problem=problem)
        if share == 1.0 and not problem:
            self._end()

    def _problem(self, recline_deg: float, *, touching: bool) -> str:
        """What is wrong with a roller that is held still."""
        if touching:
            return "The roller touches something. Hold it in the air, a hand's breadth before your nose."
        if math.isnan(recline_deg):
            return "This is not the start pose: hold the handle down, and the roller level, its front to your face."
        reclines = recline_deg > self._params.reclining_deg
        if reclines and self.start.posture == "sitting":
            return f'You lean back by {recline_deg:.0f} degrees. Choose "reclining", or hold the handle straight down.'
        if not reclines and self.start.posture == "reclining":
            return 'You sit upright, by the way the roller is held. Choose "sitting", or lean back with it.'
        return ""

    def _end(self) -> None:
        note = start_words(self.start) + "."
        self._shown = replace(
            self._shown,
            over=True,
            order=None,
            choices=(),
            progress=1.0,
            title="Ready",
            text="Roll as you like.",
            note=note,
        )


def start_words(start: Start) -> str:
    """What a session begins with, in words."""
    return f"Head {start.head + 1}, {start.hand} hand, {start.posture}"


def recline_of(model: DeviceModel, acc_m_s2: NDArray[np.float64]) -> float:
    """How far a face leans back before which the roller is held like this, degrees; NaN when it can be no start pose.

    Parameters
    ----------
    model : DeviceModel
        Axes of the roller.
    acc_m_s2 : ndarray, shape (n, 3)
        Specific force of a roller that is held still, body frame.
    """
    up = acc_m_s2.mean(axis=0)
    norm = float(np.linalg.norm(up))
    if norm == 0.0:
        return math.nan
    up = up / norm
    # Any level direction does: only the heading depends on it.
    level = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    level /= np.linalg.norm(level)
    world = np.stack([level, np.cross(up, level), up])
    frame = frame_of_pose(world @ -model.press, world @ model.forward)
    return math.nan if frame is None else math.degrees(frame.recline_rad)
