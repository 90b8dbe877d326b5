# SPDX-License-Identifier: MIT
"""What the calibration of the load cell shows, keeps and finds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from roller_host.guide.step import Shown
from roller_host.guide.tumbling import SIDES
from roller_host.signal.calibration import GRAVITY_M_S2
from roller_host.signal.weights import WeightError

if TYPE_CHECKING:
    from firmware_protocol import codec
    from roller_host.signal.tumble import Tumble
    from roller_host.signal.weights import Reading, WeightFit

STEPS: Final = ("tare", "tumble", "weights", "result", "store")
_UNITS_KG: Final = {"": 1.0, "kg": 1.0, "g": 1e-3, "n": 1 / GRAVITY_M_S2}


class Draft(NamedTuple):
    """What was read so far: begins another flow where one was left."""

    gyro_rad_s: tuple[float, float, float] | None = None
    tumble: Tumble | None = None
    readings: tuple[Reading, ...] = ()


class Found(NamedTuple):
    """A calibration that was just made."""

    before: codec.Calibration
    record: codec.Calibration
    """Its CRC is not filled in."""
    fit: WeightFit
    readings: tuple[Reading, ...]
    tumble: Tumble | None
    temp_c: float | None
    pressed: bool
    """On a scale, instead of weights that hang."""


@dataclass(frozen=True)
class ForceShown(Shown):
    """What the flow looks like."""

    counts: float | None = None
    """Raw reading of the cell, mean over the last moments; None before there are samples."""
    load_n: float | None = None
    """The same in N, without the weight of the head, by the best sensitivity known."""
    noise_n: float | None = None
    """Standard deviation of a sample."""
    steady: bool = False
    trouble: str = ""
    """Why it is not steady, with what to do."""
    sides: tuple[bool, ...] = (False,) * len(SIDES)
    """Which of `SIDES` were down in this tumble."""
    wants_empty: bool = False
    """The empty roller is to be read next; that comes by itself."""
    readings: tuple[Reading, ...] = ()
    residuals_n: tuple[float, ...] = ()
    """Of the readings, once they make a calibration; else empty."""
    suspects: tuple[int, ...] = ()
    """Readings that do not go with the others."""
    fit: WeightFit | None = None
    tumble: Tumble | None = None
    head_mass_kg: float | None = None
    """As the tumble found it, by the sensitivity found; None before both are known."""
    found: Found | None = None
    """From the result on."""
    stored: str = ""
    """Where it was stored; empty before that."""


def mass_of(text: str) -> float:
    """Mass that a person typed, kg: ``0.5``, ``0.5 kg``, ``500 g`` or, as what a force gauge shows, ``4.9 N``.

    Raises
    ------
    WeightError
        When it is none.
    """
    words = text.strip().casefold().replace(",", ".")
    number = words.rstrip("kgn ")
    factor = _UNITS_KG.get(words[len(number) :].strip())
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if factor is None or math.isnan(value):
        raise WeightError(f"{text[:40]!r} is no mass: type it as in 0.5, 0.5 kg, 500 g or 4.9 N")
    return value * factor
