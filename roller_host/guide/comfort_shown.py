# SPDX-License-Identifier: MIT
"""What the comfort calibration shows: its words, its choices, and the values beside them."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - evaluated by dataclass
from dataclasses import dataclass, field
from typing import Final

from firmware_protocol import reference
from firmware_protocol.zones import MIDLINE, place_name
from roller_host.guide.step import Choice, Shown
from roller_host.sessions.person import PlaceBand
from roller_host.signal.limits import Place
from roller_host.signal.ramps import Marks, Reaction

STEPS: Final = ("form", "exclude", "reaction", "ramps", "result")
FORMS: Final = {
    "quick": "Quick: forehead, cheek and jaw of one side, 2 minutes",
    "full": "Full: all places, both sides, 12 minutes",
}
TITLES: Final = {
    "form": "Your comfort, in newtons",
    "exclude": "Places to leave out",
    "reaction": "How fast do you react?",
    "result": "Your comfort bands",
    "uncalibrated": "Force is not calibrated",
}
TEXTS: Final = {
    "form": "You press slowly harder on a few places and mark two points: pleasantly firm, and as firm as you would "
    "like. Never go on until it hurts: this is about comfort.",
    "exclude": "Leave out irritated or broken skin, acne, and where you had a procedure lately; when in doubt, ask a "
    "professional. A place that is left out warns at any touch.",
    "reaction": "Press the button on the roller, or the space bar, as soon as the sign appears. Five times.",
    "result": "These are the bands that the program uses from now on. Ceilings stay as they are.",
    "uncalibrated": "",
}
RAMP_TEXTS: Final = {
    "rest": "Lift off, and rest for a moment.",
    "lift": "Lift the roller off: the next ramp begins when it is in the air.",
    "place": "Put the roller there, and press slowly harder. Do not roll.",
    "press": "Press a little harder all the time. Mark when it is pleasantly firm.",
    "press again": "Go on. Mark again when it is as firm as you would like, then lift off.",
    "paused": "Paused. What was measured is kept.",
}
UNCALIBRATED: Final = (
    "The force of this roller is not calibrated, so newtons would mean nothing. Calibrate it first: "
    "roller-host calibrate force"
)
CHOICES: Final = {
    "exclude": (
        Choice("go", "Go on", primary=True),
        Choice("exclude", "Leave a place out", hint="its name; again takes it back"),
    ),
    "reaction": (Choice("mark", "Now", primary=True), Choice("skip", "Without the test", hint="0.25 s are taken")),
}
"""Of the steps in which they are always the same."""


@dataclass(frozen=True)
class ComfortShown(Shown):
    """What the flow shows beside text and choices."""

    phase: str = ""
    """In the step ``ramps``: ``"rest"``, ``"place"`` (go there), ``"press"`` or ``"paused"``."""
    place: Place | None = None
    """Place of the present ramp."""
    i_ramp: int = 0
    """Ramps done on it."""
    n_ramps: int = 0
    """Ramps wanted on it, as far as is known."""
    rest_s: float = 0.0
    """Rest that is left, s."""
    target_n: float = 0.0
    """Force that the pace asks for now, N."""
    force_n: float = 0.0
    """Force now, N."""
    pace_n_s: float = 0.0
    ceiling_n: float = 0.0
    marks_n: tuple[float, ...] = ()
    """Force at the marks of this ramp so far, N; without the reaction time."""
    sign: bool = False
    """In the step ``reaction``: press now."""
    taps_s: tuple[float, ...] = ()
    """Reactions so far, s."""
    reaction: Reaction = field(default_factory=Reaction)
    excluded: tuple[Place, ...] = ()
    marks: Mapping[Place, tuple[Marks, ...]] = field(default_factory=dict[Place, tuple[Marks, ...]])
    """Ramps that tell something, by place."""
    skipped: tuple[Place, ...] = ()
    places: tuple[Place, ...] = ()
    """All that are to be measured, in their order."""
    bands: Mapping[Place, PlaceBand] = field(default_factory=dict[Place, PlaceBand])
    """In the step ``result``: what was found and inferred, by place."""
    patch_area_m2: float = reference.GEOMETRY.patch_area_m2
    """On which the roller presses, m2."""


def form_choices(n_done: int | None) -> tuple[Choice, ...]:
    """Choices of the form; ``n_done`` ramps are done of an unfinished flow, None: there is none."""
    choices = (
        Choice("quick", FORMS["quick"], primary=n_done is None),
        Choice("full", FORMS["full"]),
        Choice("places", "Some places", hint="their names, with commas between"),
    )
    if n_done is None:
        return choices
    return (Choice("continue", f"Go on where you stopped: {n_done} ramps are done", primary=True), *choices)


def ramp_words(place: Place, moment: str) -> tuple[str, str]:
    """Title and text of a ramp on a place; ``moment`` is a key of `RAMP_TEXTS`."""
    title = place_name(*place).capitalize()
    return f"{title} (either side of the middle)" if place[0] in MIDLINE else title, RAMP_TEXTS[moment]


def ramp_choices(phase: str, *, doubted: bool) -> tuple[Choice, ...]:
    """Choices in a phase of the ramps; ``doubted``: the latest ramp seemed to be at another place."""
    if phase == "paused":
        return Choice("resume", "Go on", primary=True), Choice("close", "Stop for now", hint="what is done is kept")
    return (
        Choice("mark", "Mark", primary=True, enabled=phase == "press"),
        *((Choice("here", "I was at the right place"),) if doubted else ()),
        Choice("skip", "Skip this place"),
        Choice("pause", "Pause"),
    )


def result_choices(*, some: bool) -> tuple[Choice, ...]:
    """Choices at the end; ``some``: at least one place was measured."""
    kept = Choice("save", "Keep these bands", primary=some, enabled=some)
    return kept, Choice("discard", "Leave everything as it was", primary=not some)
