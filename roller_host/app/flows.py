# SPDX-License-Identifier: MIT
"""The guided flows of one session: begun, left and gone on with, one open at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from roller_host.app.calibrating import ForceCalibration
from roller_host.app.guidance import Guidance
from roller_host.app.standing import sensor_standing
from roller_host.dashboard.session import Flow, Guided, Standing
from roller_host.guide.comfort import ComfortGuide
from roller_host.guide.start import Head, Start, StartGuide, start_words
from roller_host.link.states import LinkError
from roller_host.sessions import people
from roller_host.sessions.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping

    from firmware_protocol import codec
    from roller_host.app.live import LiveRun
    from roller_host.guide.step import Assistant, Shown
    from roller_host.link.control import Control
    from roller_host.sessions.person import Person
    from roller_host.signal.estimates import Estimates
    from roller_host.signal.limits import Place

MOST_HEADS: Final = 8
"""Heads of a roller that are looked for."""


class Flows:
    """Guided flows of one session.

    Parameters
    ----------
    live : LiveRun
        The session.
    on_guided : callable
        Told what the open flow shows.
    person : callable
        Gives the name of the person whose comfort is calibrated.
    """

    def __init__(self, live: LiveRun, on_guided: Callable[[Guided], None], person: Callable[[], str]) -> None:
        self._live, self._on_guided, self._person = live, on_guided, person
        self._assistant: Assistant | None = None
        self._begun: dict[Flow, Guidance] = {}
        self._over: set[Flow] = set()
        self._open: Guidance | None = None
        self._guided: Guided | None = None
        """What was shown last."""
        self._whose = ""
        """Whom the comfort flow is about."""
        self._start: Start | None = None
        """What this session began with."""
        self._asking: set[asyncio.Task[None]] = set()
        self._before_s: dict[Place, float] = {}
        """Contact by place when the open flow was opened, s."""
        self._pressed_s: Counter[Place] = Counter()
        """Contact by place in flows that were left, s."""

    def take_hands(self, hands: Assistant) -> None:
        """Have hands do what a flow orders; real rollers have none."""
        self._assistant = hands

    def standing(self, flow: Flow) -> Standing:
        """How what a flow finds stands now.

        Raises
        ------
        SessionError
            When what is kept cannot be read.
        """
        live, now = self._live, datetime.now().astimezone()
        if flow is Flow.START:
            return Standing(start_words(self._start), "good") if self._start else Standing("")
        device_id, model = live.bookmark.device_id.hex(), live.pipeline.model
        return sensor_standing(device_id, model.geometry.head, model.calibration.flags, live.pipeline.temp_c, now)

    async def open(self, flow: Flow) -> None:
        """Begin a flow, or go on with it where it was left; the one that was open rests.

        Raises
        ------
        LinkError
            When the roller cannot be asked for what the flow needs.
        SessionError
            When what was kept of it cannot be read.
        """
        await self.leave()
        another = flow is Flow.COMFORT and self._person() != self._whose
        if another or flow in self._over or flow not in self._begun:
            self._over.discard(flow)
            self._begun[flow] = await self._begin(flow)
        else:
            self._begun[flow].show()
        self._open, self._before_s = self._begun[flow], dict(self._contact_s())

    async def act(self, key: str, value: str) -> None:
        """Do in the open flow what the person chose."""
        if self._open is not None:
            with self._told():
                self._open.act(key, value)

    def take(self, estimates: Estimates) -> None:
        """Hand on what a packet added."""
        if self._open is not None:
            with self._told():
                self._open.take(estimates)

    @contextmanager
    def _told(self) -> Generator[None]:
        """What cannot be kept is told in the flow; the session goes on."""
        try:
            yield
        except SessionError as error:
            if self._guided is not None:
                problem = f"{str(error)[:1].upper()}{str(error)[1:]}."
                self._on_guided(self._guided._replace(shown=replace(self._guided.shown, problem=problem)))

    async def leave(self) -> None:
        """Let the open flow rest."""
        if self._open is not None:
            self._open.close()
            self._pressed_s += self._pressing_s()
            self._open = None

    def rolled_s(self) -> dict[Place, float]:
        """Contact by place, s, without what a flow asked for: weights and slow presses are no massage."""
        pressed_s = self._pressed_s + self._pressing_s()
        return {place: contact_s - pressed_s[place] for place, contact_s in self._contact_s().items()}

    def _contact_s(self) -> Mapping[Place, float]:
        return self._live.pipeline.totals.contact_s_by_place

    def _pressing_s(self) -> Counter[Place]:
        """Contact by place in the open flow, s."""
        if self._open is None:
            return Counter()
        return Counter({place: now_s - self._before_s.get(place, 0.0) for place, now_s in self._contact_s().items()})

    async def _begin(self, flow: Flow) -> Guidance:
        match flow:
            case Flow.START:
                return await self._begin_start()
            case Flow.COMFORT:
                return self._begin_comfort()
            case Flow.FORCE | Flow.SCALE:
                return self._begin_force(flow)

    def _show(self, flow: Flow) -> Callable[[Shown], None]:
        def show(shown: Shown) -> None:
            if shown.over:
                self._over.add(flow)
            self._guided = Guided(flow, shown)
            self._on_guided(self._guided)

        return show

    # --- Start ------------------------------------------------------------------------------------------------------

    async def _begin_start(self) -> Guidance:
        pipeline = self._live.pipeline
        heads = await self._heads()
        guide = StartGuide(heads, self._start, self._choose_head)

        def take(estimates: Estimates) -> None:
            samples = pipeline.samples
            if samples is None:
                return
            guide.take(pipeline.model, samples, bool(estimates.contact[-1:].any()), estimates.heading_sigma_deg)
            if guide.shown.over and guide.shown.progress == 1.0 and guide.start != self._start:
                self._start = guide.start
                self._live.act("start", guide.shown.note)

        return Guidance(guide, take, self._show(Flow.START), self._assistant)

    async def _heads(self) -> tuple[Head, ...]:
        """Heads that the roller describes; the one in use is asked for last, so that its geometry holds."""
        control, used = self._live.control, self._live.pipeline.model.geometry
        found = [geometry async for geometry in _geometries(control)] if control is not None else []
        if control is not None and len(found) > 1:
            await control.geometry(used.head)
        return tuple(_head(geometry) for geometry in found) or (_head(used),)

    def _choose_head(self, index: int) -> None:
        control = self._live.control

        async def ask() -> None:
            # A link that fails meanwhile says so by itself.
            with suppress(LinkError):
                if control is not None:
                    await control.geometry(index)

        self._ask(ask())

    def _ask(self, work: Coroutine[None, None, None]) -> None:
        """Begin something that the roller has to be asked for."""
        asking = asyncio.create_task(work)
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    # --- Force and comfort ------------------------------------------------------------------------------------------

    def _begin_force(self, flow: Flow) -> Guidance:
        calibration = ForceCalibration(self._live, pressed=flow is Flow.SCALE)
        return Guidance(calibration.guide, calibration.take, self._show(flow), self._assistant)

    def _begin_comfort(self) -> Guidance:
        live, self._whose = self._live, self._person()
        guide = ComfortGuide(
            people.find_or_new(self._whose),
            live.bookmark.device_id.hex(),
            datetime.now().astimezone().isoformat(timespec="seconds"),
            _keep,
            clock=live.session_s,
            calibrated=bool(live.pipeline.model.calibration.flags & 1),
        )
        return Guidance(guide, guide.take, self._show(Flow.COMFORT), self._assistant)


def _keep(person: Person) -> None:
    people.save(person)


async def _geometries(control: Control) -> AsyncIterator[codec.Geometry]:
    """Of one head after the other, until the roller knows no more."""
    with suppress(LinkError):
        for number in range(MOST_HEADS):
            yield await control.geometry(number)


def _head(geometry: codec.Geometry) -> Head:
    return Head(
        geometry.head, geometry.roller_radius_m * 1e3, geometry.head_mass_kg * 1e3, geometry.patch_area_m2 * 1e4
    )
