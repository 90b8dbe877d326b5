# SPDX-License-Identifier: MIT
"""When it is time to move on: a place has had its share."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Final

from firmware_protocol.zones import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roller_host.signal.estimates import Estimates
    from roller_host.signal.sequence import GuidedPlace

SHARE_S: Final = 60.0
"""Contact with one place after which it is time to move on, free-hand, s: 15 places in a quarter of an hour, the upper
end of the usual 10 to 15 minutes of home practice. Ours."""


class Shares:
    """How much each place has had in a session.

    Parameters
    ----------
    routine : iterable of GuidedPlace
        Routine that is followed, which says how many strokes a place gets each time; without one a place gets
        `SHARE_S` at a time.
    """

    def __init__(self, routine: Iterable[GuidedPlace]) -> None:
        self._ends: dict[int, set[int]] = {}
        """Place -> numbers of its strokes with which its turns end."""
        for place, steps in itertools.groupby(sorted(routine, key=lambda one: one.place), lambda one: one.place):
            self._ends[place] = set(itertools.accumulate(max(round(one.contacts), 1) for one in steps))
        self._n_strokes: Counter[int] = Counter()
        self._contact_s: dict[int, float] = {}

    def add(self, estimates: Estimates) -> bool:
        """Take in a block; True when the person is to move on."""
        if self._ends:
            ends = [self._ends_turn((stroke.zone, stroke.side)) for stroke in estimates.strokes]
            return True in ends
        t_s = estimates.t_s
        if len(t_s) < 2:
            return False
        period_s = (t_s.item(-1) - t_s.item(0)) / (len(t_s) - 1)
        enough = [self._has_had_enough(place, period_s * n) for place, n in Counter(estimates.places).items()]
        return True in enough

    def _ends_turn(self, place: tuple[str, str]) -> bool:
        if place not in PLACES:
            return False
        i_place = PLACES.index(place)
        self._n_strokes[i_place] += 1
        return self._n_strokes[i_place] in self._ends.get(i_place, ())

    def _has_had_enough(self, i_place: int, seconds: float) -> bool:
        if i_place < 0:
            return False
        before_s = self._contact_s.get(i_place, 0.0)
        self._contact_s[i_place] = before_s + seconds
        return int(self._contact_s[i_place] / SHARE_S) > int(before_s / SHARE_S)
