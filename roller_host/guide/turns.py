# SPDX-License-Identifier: MIT
"""Ramps on several places in turns, so that skin and arm rest, and the bands that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from roller_host.sessions.person import PlaceBand, Unfinished
from roller_host.signal.limits import LimitParams, Origin, Place, band_of_marks, infer, needs_more, threshold_of
from roller_host.signal.ramps import Marks, Reaction

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from roller_host.sessions.person import Person


@dataclass(frozen=True)
class Rests:
    """How long skin and arm rest."""

    ramp_s: float = 4.0
    """Between two ramps, s."""
    place_s: float = 30.0
    """Between two ramps on one place, s; the others have their turns meanwhile. Pressure algometry rests for 30 s to
    120 s."""


@dataclass
class Turns:
    """What was measured so far, and what is next."""

    form: str
    """Name of the form, for the person's profile."""
    places: tuple[Place, ...]
    """All that are to be measured, in their order."""
    limits: LimitParams
    rests: Rests
    marks: dict[Place, tuple[Marks, ...]] = field(default_factory=dict[Place, tuple[Marks, ...]])
    """Ramps that tell something."""
    skipped: set[Place] = field(default_factory=set[Place])
    ended_s: dict[Place, float] = field(default_factory=dict[Place, float])
    """When the latest ramp on each place ended, s on the session timeline."""

    @staticmethod
    def continued(flow: Unfinished, limits: LimitParams, rests: Rests) -> Turns:
        """Go on with a flow that was interrupted; everybody has rested since."""
        return Turns(flow.form, flow.places, limits, rests, dict(flow.marks), set(flow.skipped))

    def next(self, excluded: Collection[Place]) -> Place | None:
        """The place that has had the fewest ramps and rested longest; None when all is done."""
        wanted = [
            place
            for place in self.places
            if place not in self.skipped
            and place not in excluded
            and needs_more(self.limits, self.marks.get(place, ()))
        ]
        first = {place: (len(self.marks.get(place, ())), self.ended_s.get(place, -math.inf)) for place in wanted}
        return min(wanted, key=lambda place: first[place], default=None)

    def rest_s(self, place: Place, now_s: float) -> float:
        """Rest that is left before a ramp on a place, s."""
        last_s = max(self.ended_s.values(), default=-math.inf)
        due_s = max(last_s + self.rests.ramp_s, self.ended_s.get(place, -math.inf) + self.rests.place_s)
        return max(due_s - now_s, 0.0)

    def progress(self, excluded: Collection[Place]) -> float:
        """Share of the ramps that are done or not wanted."""
        n = self.limits.n_ramps
        wanted = [place for place in self.places if place not in excluded]
        done = sum(n if place in self.skipped else min(len(self.marks.get(place, ())), n) for place in wanted)
        return done / max(n * len(wanted), 1)

    def unfinished(self, reaction: Reaction, date: str) -> Unfinished:
        """The same, for the person's profile."""
        return Unfinished(self.form, self.places, reaction, dict(self.marks), tuple(sorted(self.skipped)), date)


class Found(NamedTuple):
    """Result of a calibration."""

    bands: Mapping[Place, PlaceBand]
    """Of all places; empty when nothing was measured."""
    measured: tuple[Place, ...]
    """This time."""
    too_light: tuple[Place, ...]
    """Measured, but below what can be told from touch."""
    unsteady: tuple[Place, ...]
    """Their ramps disagree."""


def found(turns: Turns, person: Person, device: str, date: str) -> Found:
    """Bands of everything that was measured, now or on another day, and of the other places by what follows from it."""
    limits = turns.limits
    measured: dict[Place, PlaceBand] = {}
    too_light: list[Place] = []
    for place, marks in turns.marks.items():
        if len(marks) < limits.n_ramps:
            continue
        level = threshold_of(marks)
        band = band_of_marks(limits, place[0], level)
        if band is None:
            too_light.append(place)
        else:
            measured[place] = PlaceBand(
                band, Origin.MEASURED, level.firmest_n, date, device, level.spread, level.n_ramps, level.bound
            )
    if not measured:
        return Found({}, (), tuple(too_light), ())
    known = {place: one for place, one in person.bands.items() if one.origin is Origin.MEASURED} | measured
    inferred = {
        place: PlaceBand(band, Origin.INFERRED, band.limit_n, date, device)
        for place, band in infer(limits, {place: one.band for place, one in known.items()}).items()
    }
    unsteady = tuple(place for place, one in measured.items() if (one.spread or 0.0) > limits.spread)
    return Found({**inferred, **known}, tuple(measured), tuple(too_light), unsteady)
