# SPDX-License-Identifier: MIT
"""``roller-host calibrate comfort``: the guided flow on the command line."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol.zones import place_name, places_named
from roller_host.app.guidance import Guidance
from roller_host.app.live import LiveRun, Options
from roller_host.app.world import is_demo, open_world
from roller_host.guide.comfort import ComfortGuide, ComfortGuideParams
from roller_host.link.states import LinkError
from roller_host.link_commands import stopping_on_signals
from roller_host.people_commands import person_json, person_words
from roller_host.sessions import people
from roller_host.sessions.errors import SessionError
from roller_host.terminal import BAD_INPUT, Progress, exit_code, finish

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from roller_host.guide.comfort_shown import ComfortShown
    from roller_host.guide.step import Assistant, Shown
    from roller_host.link.states import LinkState
    from roller_host.sessions.person import Person
    from roller_host.signal.estimates import Estimates

FIRST_PERSON: Final = "Me"
"""Whose profile it is when nobody is named."""
DEMO_PERSON: Final = "Demo"
PARAMS: Final = ComfortGuideParams()
KEYS: Final = {"": "mark", "s": "skip", "h": "here", "p": "pause"}
"""What is typed, before Enter -> what it does."""


def run_comfort(options: Options, arguments: argparse.Namespace) -> int:
    """Lead through a calibration of comfort; returns the exit code."""
    progress = Progress()
    try:
        person = _person(options, arguments)
        form = _form(person, arguments)
    except SessionError as error:
        return finish({}, error, BAD_INPUT, as_json=options.json)
    if person.unfinished and form[0] != "continue":
        sys.stderr.write(f"roller-host: an earlier one of {person.name} was interrupted; --continue goes on with it\n")
    # A roller that buzzes at the limit of before would tell the person when to stop.
    quiet = replace(options, recorded=False, person=None, sound=False, haptics=False)
    run = _Calibration(quiet, person, form, progress)

    async def session() -> None:
        stop = asyncio.Event()
        with stopping_on_signals(stop):
            await run.hold(stop)

    asyncio.run(session())
    progress.clear()
    return run.finish()


def _person(options: Options, arguments: argparse.Namespace) -> Person:
    """The person to calibrate, with the places that are to be left out."""
    usual = DEMO_PERSON if is_demo(options.radio) else FIRST_PERSON
    name = usual if arguments.person is None else arguments.person
    person = people.find_or_new(name)
    if left_out := _places(arguments.exclude):
        person = replace(person, excluded=dict.fromkeys(left_out, "left out") | dict(person.excluded))
        people.save(person)
    return person


def _places(names: str | None) -> list[tuple[str, str]]:
    try:
        return [place for name in (names or "").split(",") if name.strip() for place in places_named(name)]
    except ValueError as error:
        raise SessionError(str(error)) from error


def _form(person: Person, arguments: argparse.Namespace) -> tuple[str, str]:
    """Key and value with which the flow begins."""
    if arguments.go_on:
        if person.unfinished is None:
            raise SessionError(f"no calibration of {person.name} was interrupted. Leave out --continue to begin one")
        return "continue", ""
    if arguments.zones is not None:
        if not _places(arguments.zones):
            raise SessionError("--zones names no place. For example: --zones 'left cheek, jaw'")
        return "places", arguments.zones
    return ("full" if arguments.full else "quick"), ""


class _Calibration:
    """One flow on the terminal. With the demo its hands do everything, else Enter or the roller's button marks."""

    def __init__(self, options: Options, person: Person, form: tuple[str, str], progress: Progress) -> None:
        self._options, self._person, self._form, self._progress = options, person, form, progress
        self._live = LiveRun(options, self._take, self._show_state, lambda _: None)
        self._hands: Assistant | None = None
        self._guide: ComfortGuide | None = None
        self._guidance: Guidance | None = None
        self._stop = asyncio.Event()
        self._error: Exception | None = None
        self._said = ""
        self._path = ""

    async def hold(self, stop: asyncio.Event) -> None:
        """Connect, and lead until the end of the flow or ``stop``."""
        self._stop = stop
        options = self._options
        if not is_demo(options.radio):
            _read_lines(asyncio.get_running_loop(), self._type)
        try:
            async with open_world(options.radio, options.seed, options.passkey, self._take_hands) as (radio, _):
                await self._live.run(radio, stop)
        except (LinkError, SessionError) as error:
            self._error = error

    def _take_hands(self, hands: Assistant) -> None:
        self._hands = hands

    def _take(self, estimates: Estimates) -> None:
        try:
            if self._guidance is None:
                self._guidance = self._begin()
            self._guidance.take(estimates)
            self._follow(self._guidance)
        except SessionError as error:
            self._error = error
            self._stop.set()

    def _begin(self) -> Guidance:
        guide = self._guide = ComfortGuide(
            self._person,
            self._live.bookmark.device_id.hex(),
            datetime.now().astimezone().isoformat(timespec="seconds"),
            self._keep,
            clock=self._live.session_s,
            calibrated=self._live.pipeline.model.calibrated,
            params=PARAMS,
        )
        guidance = Guidance(guide, guide.take, self._show, self._hands)
        guidance.act(*self._form)
        guidance.act("go")
        if guide.shown.step == "exclude":
            raise SessionError(
                f"all of these places are left out for {self._person.name}: take one back (roller-host people "
                f"include), or choose others (--zones)"
            )
        return guidance

    def _follow(self, guidance: Guidance) -> None:
        """What needs no decision on a terminal."""
        if self._guide is None:
            return
        shown = self._guide.shown
        if shown.step == "result" and not shown.over:
            if shown.problem:
                self._tell(shown.problem)
            guidance.act("save" if shown.bands else "discard")
        if shown.phase == "paused":
            guidance.act("close")
        if self._guide.shown.over:
            self._stop.set()

    def _keep(self, person: Person) -> None:
        self._path = str(people.save(person))

    def _type(self, line: str) -> None:
        key = KEYS.get(line.strip().casefold())
        if self._guidance is None or key is None:
            return
        self._guidance.act(key)
        self._follow(self._guidance)

    # --- What it says -----------------------------------------------------------------------------------------------

    def _show(self, shown: Shown) -> None:
        if self._guide is None or shown.over:
            return
        now = self._guide.shown
        for text in (now.problem, now.note, f"{now.title}: {now.text}"):
            self._tell(text)
        # The sign of the reaction test must not wait for its turn on the terminal.
        self._progress.show(_line(now), at_once=now.step == "reaction")

    def _tell(self, text: str) -> None:
        """Say a sentence once, until another one is said."""
        if text and text not in self._said:
            self._progress.clear()
            sys.stderr.write(f"{text}\n")
        self._said = (self._said + "\n" + text)[-1000:] if text else self._said

    def _show_state(self, state: LinkState) -> None:
        words = " - ".join(text for text in (state.words, state.reason) if text)
        self._progress.show(words, at_once=True)

    def finish(self) -> int:
        """Say what was found; returns the exit code."""
        guide, error = self._guide, self._error
        if error is None:
            error = self._problem()
        if guide is None or error is not None:
            kept = {"person": self._person.name, "profile": self._path} if self._path else {}
            return finish(kept, error, exit_code(error) if error else 0, as_json=self._options.json)
        result = {**person_json(guide.person), **_outcome(guide.shown), "profile": self._path}
        sys.stdout.write(json.dumps(result) + "\n" if self._options.json else person_words(guide.person))
        return 0

    def _problem(self) -> SessionError | None:
        guide = self._guide
        if guide is None:
            return SessionError("it was stopped before anything was measured")
        shown = guide.shown
        if shown.step == "uncalibrated" or (shown.step == "result" and not shown.bands):
            return SessionError(shown.problem or "nothing was measured, so nothing was changed")
        if shown.step != "result":
            done = sum(map(len, shown.marks.values()))
            if not done:
                return SessionError("it was stopped before anything was measured")
            goes_on = f"roller-host calibrate comfort --person {self._person.name!r} --continue goes on"
            return SessionError(f"stopped after {done} ramps, which are kept: {goes_on}")
        return None


def _outcome(shown: ComfortShown) -> dict[str, Any]:
    measured = {place_name(*place): len(marks) for place, marks in shown.marks.items()}
    return {
        "device": next((one.device for one in shown.bands.values() if one.device), ""),
        "measured": measured,
        "skipped": [place_name(*place) for place in shown.skipped],
        "note": shown.problem,
    }


def _line(shown: ComfortShown) -> str:
    """The moment in a line."""
    if shown.step == "reaction":
        return "NOW!" if shown.sign else "wait for the sign"
    if shown.phase == "press":
        return f"force {shown.force_n:4.1f} N   pace {shown.target_n:4.1f} N   marks {len(shown.marks_n)} of 2"
    rest = f"   rest {shown.rest_s:.0f} s" if shown.rest_s else ""
    return f"{shown.title}   {100 * (shown.progress or 0):.0f} %{rest}"


def _read_lines(loop: asyncio.AbstractEventLoop, take: Callable[[str], None]) -> None:
    """Hand on what is typed; the end of the input ends nothing: the roller's button is enough."""

    def read() -> None:
        # The loop may be gone by the time a line comes.
        with suppress(OSError, ValueError, RuntimeError):
            for line in sys.stdin:
                loop.call_soon_threadsafe(take, line)

    if sys.stdin is not None:
        threading.Thread(target=read, name="typed lines", daemon=True).start()
