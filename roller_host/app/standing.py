# SPDX-License-Identifier: MIT
"""How sensor and person stand: calibrated when, how well, and until when."""

from __future__ import annotations

import math
from datetime import datetime

from roller_host.dashboard.session import Standing
from roller_host.sessions import calibrations, people
from roller_host.signal.limits import Origin

FIRST_PERSON = "Me"
"""Name of whoever calibrates before anybody has a profile."""
_WEIGHED = 1
"""Bit of the flags of CALIBRATION."""


def sensor_standing(device_id: str, head: int, flags: int, temp_c: float | None, now: datetime) -> Standing:
    """How the load cell of a roller stands.

    Parameters
    ----------
    device_id : str
        16 hexadecimal digits.
    head : int
        Exchangeable head on it.
    flags : int
        Of the calibration in use.
    temp_c : float or None
        Temperature of the load cell, degrees C.
    now : datetime
        With a time zone.

    Raises
    ------
    SessionError
        When what is kept cannot be read.
    """
    entry = calibrations.in_use(device_id, head)
    if entry is None or not entry.made.points:
        if flags & _WEIGHED:
            return Standing("Calibrated before it came here", "good")
        return Standing("Uncalibrated: these are no newtons yet", "low")
    worst_n = max(abs(point.residual_n) for point in entry.made.points)
    # Rounded up, so that it is never shown as none.
    words = f"Calibrated {_day(entry.made.date)}, within {max(math.ceil(worst_n * 100), 1) / 100:.2f} N"
    late = calibrations.expiry(entry.made, now, temp_c)
    return Standing(words, "low" if late else "good", late)


def person_standing(name: str) -> Standing:
    """How the comfort bands of a person stand.

    Raises
    ------
    SessionError
        When the name is none.
    """
    person = people.find_or_new(name)
    measured = [one for one in person.bands.values() if one.origin is Origin.MEASURED]
    if person.unfinished is not None:
        n_ramps = sum(len(marks) for marks in person.unfinished.marks.values())
        return Standing(f"{person.name}: paused after {n_ramps} ramps", "low")
    if not measured:
        return Standing(f"{person.name}: starting points", "dim", "Nothing has been measured yet.")
    latest = max(one.date for one in measured)
    return Standing(f"{person.name}: {len(measured)} places, {_day(latest)}", "good")


def usual_person() -> str:
    """Whose comfort it is while nobody says so: the only one's that is known, else a first one's."""
    known = people.load_all()
    return known[0].name if len(known) == 1 else FIRST_PERSON


def _day(date: str) -> str:
    """In words; a profile that was written by hand may have any text there."""
    try:
        when = datetime.fromisoformat(date)
    except ValueError:
        return "date unknown"
    return f"{when.day} {when:%b %Y}"
