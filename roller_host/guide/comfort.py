# SPDX-License-Identifier: MIT
"""The guided flow that finds a person's comfort bands: ramps on places, two marks each, in turns so that skin rests.

Its time is that of the samples; where it asks for the present moment, on the same timeline, a clock is handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from firmware_protocol.zones import PLACES, SIDES, place_name, places_named
from roller_host.guide.comfort_shown import (
    CHOICES,
    STEPS,
    TEXTS,
    TITLES,
    UNCALIBRATED,
    ComfortShown,
    form_choices,
    ramp_choices,
    ramp_words,
    result_choices,
)
from roller_host.guide.reaction import ReactionTest
from roller_host.guide.step import Order, Task
from roller_host.guide.turns import Found, Rests, Turns, found
from roller_host.signal.comfort import STARTING_BANDS
from roller_host.signal.limits import QUICK_ZONES, LimitParams, Place
from roller_host.signal.ramps import (
    Fault,
    Ramp,
    RampError,
    RampParams,
    Reaction,
    judge,
    mark,
    pace_n_s,
    ramp_step,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.guide.step import Choice
    from roller_host.sessions.person import Person
    from roller_host.signal.estimates import Estimates


@dataclass(frozen=True)
class ComfortGuideParams:
    """Tuning of the flow."""

    ramps: RampParams = field(default_factory=RampParams)
    limits: LimitParams = field(default_factory=LimitParams)
    rests: Rests = field(default_factory=Rests)
    n_taps: int = 5
    """Taps of the reaction test."""
    most_faults: int = 4
    """After so many ramps in a row on a place that tell nothing it is skipped."""
    lift_s: float = 1.5
    """Who still presses so long after a ramp is told to lift off, s."""


class ComfortGuide:
    """Guided flow of the personal comfort calibration.

    Keys of `act`: ``quick``, ``full``, ``places`` (names, with commas between), ``continue`` (an unfinished one);
    ``exclude`` (a name, ": " and the reason if there is one; again takes it back), ``go``; ``mark``, ``skip``,
    ``here``, ``pause``, ``resume``; ``save``, ``discard``; ``close``.

    Parameters
    ----------
    person : Person
        Whose bands are looked for.
    device : str
        Device id of the roller.
    date : str
        Today, ISO 8601.
    keep : callable
        Gets the person whenever there is something to keep: after each ramp with the unfinished flow in it, at the end
        with the new bands.
    clock : callable, optional
        The moment at which it is asked, s on the session timeline; None: not known. By default the newest sample's time
        is taken, which lags behind by up to a tenth of a second: the reaction test would take that for the person's.
    calibrated : bool, default True
        The roller's force is calibrated; else the flow ends at once and says what to do.
    params : ComfortGuideParams, optional
        Tuning.
    """

    def __init__(
        self,
        person: Person,
        device: str,
        date: str,
        keep: Callable[[Person], object],
        *,
        clock: Callable[[], float | None] = lambda: None,
        calibrated: bool = True,
        params: ComfortGuideParams | None = None,
    ) -> None:
        self.person = person
        self.params = params or ComfortGuideParams()
        self._device, self._date, self._keep, self._clock = device, date, keep, clock
        self._now_s, self._force_n = math.nan, 0.0
        self._step, self._phase, self._note, self._problem = "form", "", "", ""
        self._over = False
        self._turns = self._planned("", ())
        self._test = ReactionTest(self.params.n_taps)
        self._reaction = person.reaction
        self._place: Place | None = None
        self._ramp = Ramp()
        self._faults: tuple[Fault, ...] = ()
        """Of the latest ramps in a row on this place."""
        self._doubted: Ramp | None = None
        """The latest ramp, when it seemed to be elsewhere."""
        self._believed: set[Place] = set()
        """Where the person was, whatever the estimate of the place said."""
        self._found = Found({}, (), (), ())
        if not calibrated:
            self._step, self._over, self._problem = "uncalibrated", True, UNCALIBRATED
        self.shown = self._show()

    def act(self, key: str, value: str = "") -> None:
        """See `step.Guide.act` and the keys above."""
        acts: dict[str, Callable[[], None]] = {
            "quick": lambda: self._choose("quick", self._quick_places()),
            "full": lambda: self._choose("full", PLACES),
            "places": lambda: self._choose_named(value),
            "continue": self._continue,
            "exclude": lambda: self._exclude(value),
            "go": self._leave_exclusions,
            "mark": lambda: self._mark(self._time_s(self._now_s)),
            "skip": self._skip,
            "here": self._insist,
            "pause": self._pause,
            "resume": self._next_ramp,
            "save": self._save,
            "discard": self._discard,
            "close": self._close,
        }
        if key not in [choice.key for choice in self.shown.choices if choice.enabled]:
            return
        self._note = self._problem = ""
        acts[key]()
        self.shown = self._show()

    def take(self, estimates: Estimates) -> None:
        """Take in what one packet added, with the presses of the roller's button."""
        if self._over or not len(estimates.t_s):
            return
        self._now_s = self._time_s(float(estimates.t_s[-1]))
        self._force_n = float(estimates.force_n[-1])
        if self._step == "reaction":
            self._take_reaction(estimates)
        elif self._step == "ramps" and self._phase == "rest":
            self._rest()
        elif self._step == "ramps" and self._phase != "paused":
            self._take_ramp(estimates)
        self.shown = self._show()

    def _time_s(self, otherwise_s: float) -> float:
        now_s = self._clock()
        return otherwise_s if now_s is None else now_s

    # --- Form and exclusions ----------------------------------------------------------------------------------------

    def _planned(self, form: str, places: tuple[Place, ...]) -> Turns:
        return Turns(form, places, self.params.limits, self.params.rests)

    def _quick_places(self) -> tuple[Place, ...]:
        """One side of each zone: the left, or where that is left out, the right."""
        excluded = self.person.excluded
        return tuple(
            (zone, next((side for side in SIDES if (zone, side) not in excluded), SIDES[0])) for zone in QUICK_ZONES
        )

    def _choose(self, form: str, places: tuple[Place, ...]) -> None:
        self._turns, self._step = self._planned(form, places), "exclude"

    def _choose_named(self, names: str) -> None:
        try:
            places = tuple(dict.fromkeys(place for name in names.split(",") for place in places_named(name)))
        except ValueError as error:
            self._problem = f"{error}."
        else:
            self._choose("places", places)

    def _continue(self) -> None:
        if flow := self.person.unfinished:
            self._turns = Turns.continued(flow, self.params.limits, self.params.rests)
            self._reaction, self._step = flow.reaction, "ramps"
            self._next_ramp()

    def _exclude(self, value: str) -> None:
        name, _, reason = value.partition(":")
        try:
            places = places_named(name)
        except ValueError as error:
            self._problem = f"{error}."
            return
        excluded = dict(self.person.excluded)
        for place in places:
            if excluded.pop(place, None) is None:
                excluded[place] = reason.strip() or "left out"
        self.person = replace(self.person, excluded=excluded)
        self._keep(self.person)
        if self._turns.form == "quick":
            self._turns.places = self._quick_places()

    def _leave_exclusions(self) -> None:
        if self._turns.next(self.person.excluded) is None:
            self._problem = "All of these places are left out: take one back, or choose others."
        else:
            self._step = "reaction"

    # --- Reaction ---------------------------------------------------------------------------------------------------

    def _take_reaction(self, estimates: Estimates) -> None:
        for press_s in estimates.presses_s:
            self._test.tap(press_s)
        self._test.advance(self._now_s)
        self._follow_test()

    def _follow_test(self) -> None:
        self._note = self._test.note
        if self._test.done:
            self._end_test(self._test.reaction)

    def _end_test(self, measured: Reaction | None) -> None:
        self._reaction = measured or Reaction()
        said = f"{1000 * self._reaction.s:.0f} ms"
        self._note = f"You react in {said}." if measured else f"The usual {said} are taken for your reaction."
        self.person = replace(self.person, reaction=self._reaction)
        self._step = "ramps"
        self._next_ramp()

    # --- Ramps ------------------------------------------------------------------------------------------------------

    def _next_ramp(self) -> None:
        place = self._turns.next(self.person.excluded)
        if place is None:
            self._show_result()
            return
        if place != self._place:
            self._faults = ()
        self._place, self._phase, self._ramp = place, "rest", Ramp()

    def _rest_s(self) -> float:
        return self._turns.rest_s(self._place, self._now_s) if self._place and self._phase == "rest" else 0.0

    def _rest(self) -> None:
        if self._rest_s() <= 0 and not self._touches():
            self._phase = "place"

    def _touches(self) -> bool:
        return self._force_n > self.params.ramps.lifted_n

    def _take_ramp(self, estimates: Estimates) -> None:
        place = self._place
        if place is None:
            return
        # A press of the button may come with the first or with the last samples of the ramp.
        self._mark_all(estimates.presses_s)
        self._ramp = ramp_step(self.params.ramps, self._ramp, estimates, place)
        self._mark_all(estimates.presses_s)
        self._phase = "press" if self._ramp.begun else "place"
        if self._ramp.begun:
            self._note = self._problem = ""
            self._doubted = None
        if self._ramp.end is not None:
            self._end_ramp(place, self._ramp)

    def _mark_all(self, presses_s: tuple[float, ...]) -> None:
        for press_s in presses_s:
            self._ramp = mark(self.params.ramps, self._ramp, press_s)

    def _mark(self, t_s: float) -> None:
        if self._step == "reaction":
            self._test.tap(t_s)
            self._follow_test()
        else:
            self._mark_all((t_s,))

    def _end_ramp(self, place: Place, ramp: Ramp, *, here: bool = False) -> None:
        self._turns.ended_s[place] = self._now_s
        # Who was told that this is another place, and comes back to it, knows better; there it is not doubted again.
        here = here or place in self._believed or self._faults[-1:] == (Fault.ELSEWHERE,)
        try:
            marks = judge(self.params.ramps, ramp, place, self._reaction, here=here)
        except RampError as error:
            self._fail(place, ramp, error)
            return
        if here:
            self._believed.add(place)
        self._faults, self._doubted = (), None
        self._turns.marks[place] = (*self._turns.marks.get(place, ()), marks)
        self._next_ramp()
        self._note = f"Pleasantly firm {marks.pleasant_n:.1f} N, as firm as you would like {marks.firmest_n:.1f} N."
        if marks.bound:
            self._note = f"Stop: the ceiling of {marks.firmest_n:g} N bounds this place."
        # Last: what cannot be kept must not be taken in once more with the next packet.
        self._keep_unfinished()

    def _fail(self, place: Place, ramp: Ramp, error: RampError) -> None:
        self._faults = (*self._faults, error.fault)
        self._phase, self._ramp, self._problem = "rest", Ramp(), str(error)
        self._doubted = ramp if error.fault is Fault.ELSEWHERE else None
        if len(self._faults) >= self.params.most_faults:
            self._leave(place)
            self._note = f"{place_name(*place).capitalize()} is left for another day."

    def _leave(self, place: Place) -> None:
        self._turns.skipped.add(place)
        self._next_ramp()
        self._keep_unfinished()

    def _insist(self) -> None:
        """The person was at the right place after all."""
        if self._doubted is not None and self._place is not None:
            self._end_ramp(self._place, self._doubted, here=True)

    def _skip(self) -> None:
        if self._step == "reaction":
            self._end_test(None)
        elif self._place is not None:
            self._leave(self._place)

    def _pause(self) -> None:
        self._phase, self._ramp = "paused", Ramp()
        self._keep_unfinished()

    def _keep_unfinished(self) -> None:
        # A flow that has nothing yet does not take the place of an interrupted one.
        if self._turns.marks or self.person.unfinished is None:
            self._keep(replace(self.person, unfinished=self._turns.unfinished(self._reaction, self._date)))

    # --- Result -----------------------------------------------------------------------------------------------------

    def _show_result(self) -> None:
        self._step, self._place, self._phase = "result", None, ""
        self._found = found(self._turns, self.person, self._device, self._date)
        if not self._found.measured:
            self._problem = "Nothing was measured, so nothing changes."
        elif self._found.unsteady:
            names = ", ".join(place_name(*place) for place in self._found.unsteady)
            self._problem = f"The ramps disagree at {names}: measure there again on another day."

    def _save(self) -> None:
        self.person = replace(self.person, bands=self._found.bands, unfinished=None)
        self._keep(self.person)
        self._note, self._over = "Saved.", True

    def _discard(self) -> None:
        if self._turns.marks:
            self.person = replace(self.person, unfinished=None)
        self._keep(self.person)
        self._note, self._over = "Nothing was changed.", True

    def _close(self) -> None:
        self._over = True

    # --- What it looks like -----------------------------------------------------------------------------------------

    def _show(self) -> ComfortShown:
        step, place, turns = self._step, self._place, self._turns
        title, text = self._words()
        pace = pace_n_s(self.params.ramps, place[0]) if place else 0.0
        n_done = len(turns.marks.get(place, ())) if place else 0
        return ComfortShown(
            step=step,
            i_step=STEPS.index(step) if step in STEPS else 0,
            n_steps=len(STEPS),
            title=title,
            text=text,
            choices=() if self._over else self._choices(),
            progress={"reaction": self._test.progress, "ramps": turns.progress(self.person.excluded)}.get(step),
            problem=self._problem,
            note=self._note,
            order=None if self._over else self._order(),
            over=self._over,
            phase=self._phase,
            place=place,
            i_ramp=n_done,
            n_ramps=max(self.params.limits.n_ramps, n_done + 1) if place else 0,
            rest_s=self._rest_s(),
            target_n=pace * (self._now_s - float(self._ramp.t_s[0])) if self._ramp.begun else 0.0,
            force_n=self._force_n,
            pace_n_s=pace,
            ceiling_n=STARTING_BANDS[place[0]].ceiling_n if place else 0.0,
            marks_n=tuple(self._ramp.force_at(mark_s) for mark_s in self._ramp.marks_s),
            sign=step == "reaction" and self._test.sign,
            taps_s=self._test.taps_s,
            reaction=self._reaction,
            excluded=tuple(one for one in PLACES if one in self.person.excluded),
            marks=dict(turns.marks),
            skipped=tuple(one for one in PLACES if one in turns.skipped),
            places=turns.places,
            bands=self._found.bands,
            patch_area_m2=self.person.patch_area_m2,
        )

    def _words(self) -> tuple[str, str]:
        if self._step != "ramps" or self._place is None:
            return TITLES[self._step], TEXTS[self._step]
        late = self._now_s - max(self._turns.ended_s.values(), default=math.inf) > self.params.lift_s
        lift = self._phase == "rest" and self._touches() and late
        return ramp_words(self._place, "lift" if lift else "press again" if self._ramp.marks_s else self._phase)

    def _order(self) -> Order | None:
        if self._step == "reaction" and self._test.sign:
            return Order(Task.BUTTON)
        if self._place is not None and self._phase in ("place", "press"):
            zone, side = self._place
            return Order(Task.RAMP, zone=zone, side=side, rate_n_s=pace_n_s(self.params.ramps, zone))
        return Order(Task.REST) if self._step in ("reaction", "ramps", "result") else None

    def _choices(self) -> tuple[Choice, ...]:
        match self._step:
            case "form":
                flow = self.person.unfinished
                return form_choices(sum(map(len, flow.marks.values())) if flow else None)
            case "ramps":
                return ramp_choices(self._phase, doubted=self._doubted is not None)
            case "result":
                return result_choices(some=bool(self._found.measured))
            case step:
                return CHOICES[step]
