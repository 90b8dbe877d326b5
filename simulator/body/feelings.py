# SPDX-License-Identifier: MIT
"""What one person feels when something presses on them: thresholds by place, reaction, habits of pressing.

The ranges are the simulator's own; the host must not know them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import PLACES

if TYPE_CHECKING:
    from collections.abc import Mapping


class Thresholds(NamedTuple):
    """Of one place, normal force on the skin, N."""

    pleasant_n: float
    """Pleasantly firm from here."""
    firmest_n: float
    """As firm as this person would like."""
    pain_n: float


USUAL_N = {
    "forehead": 5.0,
    "temple": 3.4,
    "eye": 1.4,
    "cheek": 4.4,
    "jaw": 5.6,
    "under_chin": 3.4,
    "neck": 1.4,
    "decolletage": 5.4,
}
"""As firm as a middling person would like, N."""
PERSON_SD, ZONE_SD, SIDE_SD = 0.28, 0.12, 0.06
"""How people, the zones of one of them, and their two sides differ: standard deviations of the logarithm."""
PERSON_LIMITS = 0.55, 1.8
"""Most sensitive and least sensitive person, as a multiple of the middling one."""
PLEASANT, PAIN = (0.5, 0.75), (1.25, 1.9)
"""Ranges of the other two thresholds, as multiples of ``firmest_n``."""


@dataclass(frozen=True)
class Feelings:
    """One person. Times and shares marked as spread are standard deviations of the logarithm."""

    thresholds: Mapping[tuple[str, str], Thresholds]
    reaction_s: float
    """From feeling to pressing the button, 0.15 to 0.5 s."""
    reaction_spread: float = 0.12
    spread: float = 0.06
    """Of the thresholds from ramp to ramp."""
    pace: float = 1.0
    """Rate of a ramp, as a multiple of what is asked for, 0.5 to 2."""
    pace_spread: float = 0.08
    wander: float = 0.04
    """Slow variation of the force in a ramp, as a share of it."""
    tremor_n: float = 0.03

    @staticmethod
    def draw(rng: np.random.Generator) -> Feelings:
        """Draw a person."""
        tolerance = float(np.clip(rng.lognormal(0, PERSON_SD), *PERSON_LIMITS))
        pleasant, pain = rng.uniform(*PLEASANT), rng.uniform(*PAIN)
        zones = {zone: usual_n * tolerance * rng.lognormal(0, ZONE_SD) for zone, usual_n in USUAL_N.items()}
        thresholds: dict[tuple[str, str], Thresholds] = {}
        for zone, side in PLACES:
            firmest_n = float(zones[zone] * rng.lognormal(0, SIDE_SD))
            thresholds[zone, side] = Thresholds(pleasant * firmest_n, firmest_n, pain * firmest_n)
        return Feelings(
            thresholds,
            reaction_s=float(rng.uniform(0.15, 0.5)),
            spread=float(rng.uniform(0.03, 0.1)),
            pace=float(2 ** rng.uniform(-1, 1)),
        )
