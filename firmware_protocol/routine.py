# SPDX-License-Identifier: MIT
"""Routines: what to roll where, how, and how often, as a text that people write by hand.

Pure: text in, values out; docs/routines.md describes the format for people.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from firmware_protocol import zones

if TYPE_CHECKING:
    from collections.abc import Collection

FORMAT = 1
"""Version of the format that this module reads."""

LONGEST_TEXT = 65536
"""Characters of a routine."""
MOST_STEPS = 100
LONGEST_NOTE = 200
"""Characters of a note, a name or a description."""
STROKES = (1, 100)
"""Fewest and most strokes of a step, each side."""
SECONDS = (1.0, 900.0)
"""Shortest and longest step, each side, s."""
PACE_CM_S = (1.0, 50.0)
"""Slowest and fastest pace."""
LIGHTEST_N = 0.15
"""Below this force the roller has no contact with the skin."""

BANDS_N = {
    "forehead": (0.8, 2.5, 4.0),
    "temple": (0.5, 1.5, 3.0),
    "eye": (0.2, 0.6, 1.0),
    "cheek": (0.8, 2.5, 4.0),
    "jaw": (1.0, 3.5, 5.0),
    "under_chin": (0.5, 1.5, 3.0),
    "neck": (0.2, 0.6, 1.0),
    "decolletage": (0.8, 3.0, 4.5),
}
"""Zone -> where comfortable begins, where firm begins, limit; starting points of this project, not clinical values. A
routine can narrow a band, never raise a limit."""

BAND_NAMES = ("light", "comfortable", "firm")
"""``light`` is 0.3 to 0.8 N but never firm, ``comfortable`` and ``firm`` are the zone's own."""

_LIGHT_N = (0.3, 0.8)

PACES_CM_S = {"slow": (2.0, 6.0), "medium": (6.0, 15.0), "brisk": (15.0, 30.0)}

DIRECTIONS_DEG = {
    "up": 0.0,
    "up-outward": 45.0,
    "outward": 90.0,
    "down-outward": 135.0,
    "down": 180.0,
    "down-inward": -135.0,
    "inward": -90.0,
    "up-inward": -45.0,
}
"""Angle from up toward outward; on the midline outward is away from it, to either side."""

TOWARD_NECK_DEG = {
    "forehead": 110.0,
    "temple": 180.0,
    "eye": 100.0,
    "cheek": 120.0,
    "jaw": 110.0,
    "under_chin": 90.0,
    "neck": 180.0,
    "decolletage": 0.0,
}
"""What ``toward-neck`` means in each zone: by way of temple and ear down the sides of the neck."""


class RoutineError(ValueError):
    """A text is no routine; says which step and key is wrong, and what is allowed there."""


class Step(NamedTuple):
    """One step of a routine. Exactly one of ``strokes`` and ``seconds`` is not None."""

    zone: str
    """One of `zones.ZONES`."""
    side: str
    """``"left"``, ``"right"``, ``"both"`` (left, then right), or ``""`` on the midline."""
    direction: str
    """As written; degrees as a number."""
    direction_deg: float
    """From up, positive toward outward, -180 to 180."""
    band: str
    """One of `BAND_NAMES`, or ``""`` when the routine gives numbers."""
    band_n: tuple[float, float]
    """Lowest and highest force, N."""
    pace_m_s: tuple[float, float]
    """Slowest and fastest mean speed of a stroke, m/s."""
    strokes: int | None
    """How many, on each side."""
    seconds: float | None
    """How long, on each side, s."""
    note: str
    """What to tell the person, or empty."""

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """(zone, side) pairs in their order."""
        sides = zones.SIDES if self.side == "both" else (self.side,)
        return tuple((self.zone, side) for side in sides)


class Routine(NamedTuple):
    """Steps in their order."""

    name: str
    description: str
    steps: tuple[Step, ...]


def parse_routine(text: str) -> Routine:
    """Read a routine.

    Parameters
    ----------
    text : str
        TOML.

    Raises
    ------
    RoutineError
        When the text is no routine.
    """
    if len(text) > LONGEST_TEXT:
        raise RoutineError(f"the routine is longer than {LONGEST_TEXT} characters")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RoutineError(f"not readable as TOML: {error}") from error
    _only(table, ("format", "name", "description", "steps"), "routine")
    if type(table.get("format")) is not int or table["format"] != FORMAT:
        raise RoutineError(f"routine, format: must be {FORMAT}, not {_shown(table.get('format'))}")
    steps = table.get("steps")
    if not isinstance(steps, list) or not 1 <= len(steps) <= MOST_STEPS:
        raise RoutineError(f"routine, steps: must be 1 to {MOST_STEPS} tables [[steps]]")
    return Routine(
        _text(table, "name", "routine", needed=True),
        _text(table, "description", "routine"),
        tuple(_step(step, f"step {i}") for i, step in enumerate(steps, 1)),
    )


_STEP_KEYS = ("zone", "side", "direction", "band", "pace", "strokes", "seconds", "note")


def _step(table: Any, where: str) -> Step:
    if not isinstance(table, dict):
        raise RoutineError(f"{where}: must be a table [[steps]]")
    _only(table, _STEP_KEYS, where)
    zone = _one_of(table, "zone", zones.ZONES, where)
    direction, direction_deg = _direction(table, zone, where)
    band, band_n = _band(table, zone, where)
    strokes, seconds = _amount(table, where)
    return Step(
        zone, _side(table, zone, where), direction, direction_deg, band, band_n, _pace(table, where), strokes, seconds,
        _text(table, "note", where),
    )  # fmt: skip


def _side(table: dict[str, Any], zone: str, where: str) -> str:
    if zone in zones.MIDLINE:
        if "side" in table:
            raise RoutineError(f"{where}, side: {zone} has no sides")
        return ""
    return _one_of(table, "side", (*zones.SIDES, "both"), where)


def _direction(table: dict[str, Any], zone: str, where: str) -> tuple[str, float]:
    value = table.get("direction")
    if _is_number(value) and -180 <= value <= 180:
        return f"{value:g}", float(value)
    if value == "toward-neck":
        return "toward-neck", TOWARD_NECK_DEG[zone]
    if isinstance(value, str) and value in DIRECTIONS_DEG:
        return value, DIRECTIONS_DEG[value]
    allowed = ", ".join((*DIRECTIONS_DEG, "toward-neck"))
    raise RoutineError(f"{where}, direction: {_shown(value)} is none of {allowed}, or degrees from -180 to 180")


def _band(table: dict[str, Any], zone: str, where: str) -> tuple[str, tuple[float, float]]:
    low_n, firm_n, limit_n = BANDS_N[zone]
    value = table.get("band", "comfortable")
    if isinstance(value, str) and value in BAND_NAMES:
        light_n = (_LIGHT_N[0], min(_LIGHT_N[1], firm_n))
        return value, {"light": light_n, "comfortable": (low_n, firm_n), "firm": (firm_n, limit_n)}[value]
    if (pair := _pair(value)) and LIGHTEST_N <= pair[0] < pair[1] <= limit_n:
        return "", pair
    raise RoutineError(
        f"{where}, band: {_shown(value)} is none of {', '.join(BAND_NAMES)}, "
        f"or [low, high] in N from {LIGHTEST_N:g} to the {limit_n:g} N of this zone"
    )


def _pace(table: dict[str, Any], where: str) -> tuple[float, float]:
    value = table.get("pace", "medium")
    slowest, fastest = PACE_CM_S
    pair = PACES_CM_S.get(value) if isinstance(value, str) else _pair([value, value] if _is_number(value) else value)
    if pair and slowest <= pair[0] <= pair[1] <= fastest:
        return pair[0] / 100, pair[1] / 100
    raise RoutineError(
        f"{where}, pace: {_shown(value)} is none of {', '.join(PACES_CM_S)}, "
        f"or cm/s, or [slowest, fastest] in cm/s, from {slowest:g} to {fastest:g}"
    )


def _amount(table: dict[str, Any], where: str) -> tuple[int | None, float | None]:
    if ("strokes" in table) == ("seconds" in table):
        raise RoutineError(f"{where}: needs strokes or seconds, exactly one of them")
    if "strokes" in table:
        strokes = table["strokes"]
        if type(strokes) is int and STROKES[0] <= strokes <= STROKES[1]:
            return strokes, None
        raise RoutineError(f"{where}, strokes: {_shown(strokes)} is no whole number from {STROKES[0]} to {STROKES[1]}")
    seconds = table["seconds"]
    if _is_number(seconds) and SECONDS[0] <= seconds <= SECONDS[1]:
        return None, float(seconds)
    raise RoutineError(f"{where}, seconds: {_shown(seconds)} is no number from {SECONDS[0]:g} to {SECONDS[1]:g}")


def _text(table: dict[str, Any], key: str, where: str, *, needed: bool = False) -> str:
    value = table.get(key, "")
    if isinstance(value, str) and len(value) <= LONGEST_NOTE and (value.strip() or not needed):
        return value.strip()
    raise RoutineError(f"{where}, {key}: must be a text of {int(needed)} to {LONGEST_NOTE} characters")


def _one_of(table: dict[str, Any], key: str, allowed: Collection[str], where: str) -> str:
    value = table.get(key)
    if isinstance(value, str) and value in allowed:
        return value
    raise RoutineError(f"{where}, {key}: {_shown(value)} is none of {', '.join(allowed)}")


def _only(table: dict[str, Any], allowed: Collection[str], where: str) -> None:
    unknown = sorted(table.keys() - allowed)
    if unknown:
        raise RoutineError(f"{where}, {_shown(unknown[0])}: unknown key; known are {', '.join(allowed)}")


def _pair(value: Any) -> tuple[float, float] | None:
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
        return float(value[0]), float(value[1])
    return None


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in {int, float} and abs(value) < 1e9


def _shown(value: Any) -> str:
    """A value in a message, not longer than a line."""
    if value is None:
        return "nothing"
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")
