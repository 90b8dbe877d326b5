# SPDX-License-Identifier: MIT
"""How much is enough: force times contact time by place, in a session and in a week.

No dose limits for facial rollers are published. The starting values say what a routine amounts to, so that "enough for
today" means "as much as a whole routine, here alone"; trials of facial rollers name minutes and no force.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol.zones import PLACES
from roller_host.signal.comfort import STARTING_BANDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roller_host.signal.limits import Place


class Dose(NamedTuple):
    """Most of a place, N s."""

    session_n_s: float
    week_n_s: float


ROUTINE_S = 60.0
"""A place's share of 15 minutes for 15 places, s; 10 to 15 minutes, two to three times a week, is what practitioners
of facial massage advise for use at home."""
ROUTINES_A_WEEK = 3

STARTING_DOSES: Mapping[Place, Dose] = {
    (zone, side): Dose(
        STARTING_BANDS[zone].firm_n * ROUTINE_S, STARTING_BANDS[zone].firm_n * ROUTINE_S * ROUTINES_A_WEEK
    )
    for zone, side in PLACES
}
"""Starting points of this project: the firm end of the comfort band for `ROUTINE_S`, `ROUTINES_A_WEEK` times."""


def enough(
    limits: Mapping[Place, Dose], session_n_s: Mapping[Place, float], before_n_s: Mapping[Place, float]
) -> dict[Place, str]:
    """Places that have had enough for today, with the reason.

    Parameters
    ----------
    limits : mapping of place to Dose
        Places without one have no end.
    session_n_s : mapping of place to float
        Dose of this session so far, N s.
    before_n_s : mapping of place to float
        Dose of the seven days before it, N s.

    Returns
    -------
    dict of place to str
    """
    found: dict[Place, str] = {}
    for place, most in limits.items():
        now_n_s = session_n_s.get(place, 0.0)
        week_n_s = now_n_s + before_n_s.get(place, 0.0)
        if now_n_s >= most.session_n_s:
            found[place] = f"{now_n_s:.0f} of {most.session_n_s:.0f} N s in this session"
        elif now_n_s > 0 and week_n_s >= most.week_n_s:
            found[place] = f"{week_n_s:.0f} of {most.week_n_s:.0f} N s in seven days"
    return found
