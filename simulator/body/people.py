# SPDX-License-Identifier: MIT
"""How people roll: a set of plain numbers, and named people to draw from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from firmware_protocol import zones


@dataclass(frozen=True)
class Habits:
    """How a person rolls, and what disturbs the measurement. Angles and scatters are standard deviations.

    The defaults are a practised person, sitting.
    """

    speed_m_s: tuple[float, float] = (0.06, 0.25)
    """Range of mean stroke speeds in a free massage; in a routine the step says it."""
    pace: float = 1.0
    """Speed in a routine, as a multiple of what the step asks for."""
    length_m: tuple[float, float] = (0.03, 0.10)
    strokes: tuple[int, int] = (4, 8)
    """Strokes per visit to a place."""
    reciprocating: float = 0.5
    """Share of visits that roll to and fro without lifting; the others lift off and return through the air."""
    wrong_way: float = 0.1
    """Share of one-way visits that roll against the recommended direction."""
    direction_scatter_deg: float = 10.0
    """Direction of a visit around the one aimed at."""
    firmness: float = 1.0
    """Force, as a multiple of the usual one or of what a routine asks for."""
    zone_force: tuple[float, ...] = (1.0,) * len(zones.ZONES)
    """The same by zone, in the order of `zones.ZONES`."""
    heavy: float = 0.15
    """Share of visits with about twice the usual force."""
    force_scatter: float = 0.2
    """Force of a visit, log-normal around the one aimed at."""
    force_wander: float = 0.12
    """Slow variation of the force within a visit, as a share of it."""
    left_force: float = 1.0
    """Force on the left side, as a multiple of the right side's."""
    left_pace: float = 1.0
    """Speed on the left side, as a multiple of the right side's."""
    dwell_s: tuple[float, float] = (0.0, 0.15)
    """Rest at a reversal."""
    pause_s: tuple[float, float] = (0.0, 0.0)
    """Rest in the air after a visit."""
    skew_group_deg: float = 6.0
    """Skew of the roller to its path, between visits."""
    skew_stroke_deg: float = 2.0
    """The same between the strokes of a visit."""
    grip_skew_deg: float = 0.0
    """Skew that the grip brings into every stroke, of opposite sign in the other hand. Not a scatter."""
    handle_deg: float = 0.0
    """Easiest direction of the roller's head, from face-up toward the person's left, not a scatter: the handle hangs
    down to the right of a right hand, which is positive."""
    pitch_deg: float = 5.0
    """Pitch of the handle against the skin, between visits; the grip is held off the skin by twice this on average."""
    rocking_deg: float = 8.0
    """Pitch of the wrist at either end of a stroke of 7 cm; in proportion for others."""
    wander_deg: float = 1.0
    """Unsteadiness of the pitch within a visit."""
    recline_deg: float = 0.0
    """Posture: 0 sits upright, 45 reclines, 90 lies on the back. Not a scatter."""
    head_sway_deg: float = 2.0
    turn_deg: float = 8.0
    """Where the head is turned to, left or right, when it is."""
    turns: float = 0.1
    """Share of visits in which the head turns."""
    slip: float = 0.04
    """Rolled length missing or in excess, per stroke, as a share."""
    stretch_m: float = 0.0002
    """How far the skin goes along with the roller before it stays behind. Not a scatter."""
    radius_bias: float = 0.02
    """Difference of the roller's radius from its nominal value, as a share."""
    tremor_m: float = 3e-5


HABIT_LIMITS = {
    "speed_m_s": (0.01, 1.0),
    "pace": (0.4, 4.0),
    "length_m": (0.005, 0.1),
    "strokes": (1, 12),
    "reciprocating": (0.0, 1.0),
    "wrong_way": (0.0, 1.0),
    "direction_scatter_deg": (0.0, 180.0),
    "firmness": (0.1, 10.0),
    "zone_force": (0.1, 10.0),
    "heavy": (0.0, 1.0),
    "force_scatter": (0.0, 1.0),
    "force_wander": (0.0, 0.5),
    "left_force": (0.1, 10.0),
    "left_pace": (0.4, 2.5),
    "dwell_s": (0.0, 5.0),
    "pause_s": (0.0, 60.0),
    "skew_group_deg": (0.0, 30.0),
    "skew_stroke_deg": (0.0, 30.0),
    "grip_skew_deg": (-45.0, 45.0),
    "handle_deg": (-180.0, 180.0),
    "pitch_deg": (0.0, 30.0),
    "rocking_deg": (0.0, 45.0),
    "wander_deg": (0.0, 10.0),
    "recline_deg": (0.0, 90.0),
    "head_sway_deg": (0.0, 30.0),
    "turn_deg": (0.0, 60.0),
    "turns": (0.0, 1.0),
    "slip": (0.0, 0.3),
    "stretch_m": (0.0, 0.02),
    "radius_bias": (0.0, 0.1),
    "tremor_m": (0.0, 0.002),
}
"""Least and most that a scenario may ask for; both ends of a range lie within. A visit takes memory by its duration:
no combination lasts longer than about ten minutes."""

_PEOPLE = {
    "practised": ("even, upward and outward, sitting: the defaults", Habits()),
    "beginner": (
        "uneven force, wrong ways, short and skewed strokes, pauses",
        Habits(
            length_m=(0.02, 0.06), wrong_way=0.4, direction_scatter_deg=25.0, heavy=0.25, force_scatter=0.5,
            force_wander=0.25, dwell_s=(0.0, 0.8), pause_s=(0.0, 2.0), skew_group_deg=10.0, skew_stroke_deg=5.0,
            pitch_deg=8.0, wander_deg=2.5, turns=0.3, pace=1.2,
        ),
    ),
    "heavy": ("presses twice as hard as is good", Habits(firmness=2.0, heavy=0.3, stretch_m=0.001)),
    "gentle": ("hardly presses", Habits(firmness=0.5, heavy=0.0)),
    "asymmetric": ("rolls the left side harder and slower than the right", Habits(left_force=1.6, left_pace=0.65)),
    "right_handed": ("handle to the right, wrist's arc of the right hand", Habits(handle_deg=25.0, grip_skew_deg=4.0)),
    "left_handed": ("handle to the left, wrist's arc of the left hand", Habits(handle_deg=-25.0, grip_skew_deg=-4.0)),
    "reclining": ("leans back by 45 degrees", Habits(recline_deg=45.0, head_sway_deg=1.0)),
    "lying": ("lies on the back, head at rest", Habits(recline_deg=85.0, head_sway_deg=0.5, turn_deg=12.0)),
    "slow": ("2 to 6 cm/s", Habits(speed_m_s=(0.02, 0.06), pace=0.6)),
    "fast": ("15 to 40 cm/s", Habits(speed_m_s=(0.15, 0.40), pace=2.0)),
    "wrong_way": ("always against the recommended direction", Habits(wrong_way=1.0, reciprocating=0.0)),
    "trembling": (
        "trembling hands, restless head",
        Habits(tremor_m=2e-4, wander_deg=2.5, head_sway_deg=4.0, turns=0.4),
    ),
    "oily": ("much oil: the roller slides", Habits(slip=0.12, stretch_m=0.0)),
    "dry": ("dry skin that goes along with the roller", Habits(stretch_m=0.003, slip=0.02)),
}  # fmt: skip

PEOPLE = {name: description for name, (description, _) in _PEOPLE.items()}
"""Name -> description in one line."""

_VARIED = ("firmness", "pace", "skew_group_deg", "pitch_deg", "rocking_deg", "wander_deg", "head_sway_deg", "tremor_m")


def person(name: str, seed: int | None = None) -> Habits:
    """Habits of a named person.

    Parameters
    ----------
    name : str
        A key of `PEOPLE`.
    seed : int, optional
        Draws an individual of this kind: speed, force, grip and unsteadiness differ by about a tenth.
        Default: the typical one.

    Raises
    ------
    ValueError
        When nobody is called so; tells the known names.
    """
    if name not in _PEOPLE:
        known = ", ".join(_PEOPLE)
        raise ValueError(f"nobody is called {name[:60]!r}: choose one of {known}")
    habits = _PEOPLE[name][1]
    if seed is None:
        return habits
    rng = np.random.default_rng([seed, 5])
    factors = rng.lognormal(0.0, 0.1, len(_VARIED) + 1).tolist()
    slowest, fastest = habits.speed_m_s
    varied = {field: getattr(habits, field) * factor for field, factor in zip(_VARIED, factors, strict=False)}
    return replace(habits, speed_m_s=(slowest * factors[-1], fastest * factors[-1]), **varied)
