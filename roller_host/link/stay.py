# SPDX-License-Identifier: MIT
"""A session while one connection lasts: begun or gone on with, watched, and complete in the end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from firmware_protocol import layout
from roller_host.link.errands import HEADER_B, Errands
from roller_host.link.quality import Quality
from roller_host.link.race import InterruptedByEventError, end, race
from roller_host.link.refusals import RequestError, if_known
from roller_host.link.states import LinkLostError, LinkPhase, LinkState, RefusedError
from roller_host.signal.ledger import Ledger, is_since, number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.link.bookmark import Bookmark
    from roller_host.link.connection import Connection
    from roller_host.link.errands import LogShelf
    from roller_host.link.replies import Started
    from roller_host.link.times import LinkTimes

LINGER_S: Final = 120
"""How long the roller goes on without a link; what it makes meanwhile is fetched as far as it can keep it."""
_STATE: Final = {name: code for code, name in layout.STATES}
_STREAMING, _CHARGING = _STATE["streaming"], _STATE["charging"]
_UNPLUG: Final = "Pull out the cable to go on."
NEARER: Final = "Bring it closer to the computer."


class Teller:
    """Tells each change of the link's state, once.

    Parameters
    ----------
    on_state : callable
        Gets the states.
    """

    def __init__(self, on_state: Callable[[LinkState], None]) -> None:
        self.name = ""
        """The roller concerned."""
        self.phase = LinkPhase.OFF
        self._on_state = on_state
        self._told: LinkState | None = None

    def enter(self, phase: LinkPhase, reason: str = "", action: str = "", retry_s: float | None = None) -> None:
        """Be in a phase from now on."""
        self.phase = phase
        state = LinkState(phase, reason, action, self.name, retry_s)
        if state != self._told:
            self._told = state
            self._on_state(state)


class Stay:
    """A session on one connection.

    Parameters
    ----------
    connection : Connection
        Opened.
    bookmark : Bookmark
        The session to go on with, if there is one; kept up to date.
    times : LinkTimes
        Patience.
    shelf : LogShelf or None
        Where the roller's own recordings go.
    clock : callable
        Monotonic time, s.
    teller : Teller
        Told what the link does.
    mask : int
        START mask of what roller and host have in common; 0 when that is not known yet.
    """

    def __init__(
        self,
        connection: Connection,
        bookmark: Bookmark,
        times: LinkTimes,
        shelf: LogShelf | None,
        clock: Callable[[], float],
        teller: Teller,
        mask: int,
    ) -> None:
        self.errands = Errands(connection, bookmark, times, shelf)
        self.mask = mask
        self._connection, self._bookmark, self._times = connection, bookmark, times
        self._clock, self._teller = clock, teller
        self._quality = Quality()
        self._early: list[bytes] | None = None
        """Headers of packets that came while START was not answered: they may be faster than the response."""
        self._heard_s = clock()

    def heed(self, payload: bytes) -> None:
        """Note which packet came."""
        if len(payload) < HEADER_B:
            return
        ptype, flags, seq = payload[0], payload[1], number_of(payload)
        ledger = self._bookmark.ledger
        if self._early is not None:
            self._early.append(payload[:HEADER_B])
        elif ptype == layout.PTYPE_BACKFILL:
            self.errands.take_resent(seq, flags, new=ledger.add(seq))
        elif ptype == layout.PTYPE_LIVE:
            self._heard_s = self._clock()
            before = ledger.newest
            # A number that cannot be is noise, or of another session.
            if ledger.add(seq):
                self._quality.note(self._heard_s, seq, flags)
            if seq > before + 1:
                self.errands.missing.set()
            if self._teller.phase is LinkPhase.STALLED:
                self._teller.enter(LinkPhase.STREAMING)

    # --- Beginning ---------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Go on with the session that was interrupted, or start one."""
        connection, bookmark = self._connection, self._bookmark
        known = bool(bookmark.session_id) and bytes(connection.info.device_id) == bookmark.device_id
        goes_on = known and await self._resume()
        if not goes_on:
            await self._make_ready()
        # Not earlier: what the roller tells before belongs to a session of somebody else.
        await connection.listen("STREAM")
        if not goes_on:
            await self._start()
        await connection.listen("STATUS")
        self._heard_s = self._clock()

    async def _resume(self) -> bool:
        """Ask what became of the session; True when it is still under way."""
        connection, bookmark = self._connection, self._bookmark
        if connection.info.boot_id != bookmark.boot_id:
            return False
        now = await if_known(connection.control.session())
        if now is None or now.session_id != bookmark.session_id:
            return False
        bookmark.ledger.reach(now.next_seq - 1)
        bookmark.ledger.give_up(0, now.first_available - 1)
        await self.errands.claim()
        if now.state == _STREAMING:
            return True
        # The next START empties the roller's memory.
        if bookmark.ledger.n_missing:
            self._teller.enter(LinkPhase.SUBSCRIBED, f"fetching {bookmark.ledger.n_missing} packets")
            await connection.listen("STREAM")
            await self.errands.fetch_missing()
        return False

    async def _make_ready(self) -> None:
        """Learn what the roller offers, and end a session that nobody goes on with."""
        connection = self._connection
        if not self.mask:
            self.mask = await connection.learn()
        state = await connection.read_status()
        if state == _CHARGING:
            raise RefusedError(f"{connection.name} is charging, and does not stream meanwhile.", _UNPLUG)
        if state == _STREAMING:
            with suppress(RequestError):
                await connection.control.stop()

    async def _start(self) -> None:
        connection, bookmark = self._connection, self._bookmark
        self._early = []
        try:
            started = await self._ask_to_start()
            early = self._early
        finally:
            self._early = None
        bookmark.device_id, bookmark.boot_id = bytes(connection.info.device_id), connection.info.boot_id
        bookmark.session_id, bookmark.ledger = started.session_id, Ledger()
        for header in early:
            # What is older belongs to a session that was ended for this one.
            if is_since(header, started.t_us):
                self.heed(header)
        self._heard_s = self._clock()

    async def _ask_to_start(self) -> Started:
        connection = self._connection
        start = partial(connection.control.start, self.mask, linger_s=LINGER_S)
        try:
            return await start()
        except RequestError as error:
            if error.status != "BAD_STATE":
                raise
        except LinkLostError:
            if connection.lost.is_set():
                raise
        # A session that nobody goes on with is under way: of somebody else, or of a START whose response was lost.
        with suppress(RequestError):
            await connection.control.stop()
        return await start()

    # --- Streaming --------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Notice silence and the end of the connection; returns never, but raises when the link is lost."""
        connection = self._connection
        errands = asyncio.ensure_future(self.errands.run())
        asked_s, n_asked = self._heard_s, 0
        try:
            while True:
                if connection.lost.is_set():
                    raise connection.gone("is gone: the connection ended while streaming")
                if errands.done():
                    errands.result()
                now_s = self._clock()
                if now_s - self._heard_s < self._times.stall_s:
                    asked_s, n_asked = self._heard_s, 0
                    self._tell_quality(now_s)
                elif self._teller.phase is LinkPhase.STREAMING:
                    self._teller.enter(LinkPhase.STALLED, "no data from the roller", NEARER)
                if now_s - asked_s >= self._times.ask_s:
                    await self._look_into_silence(n_asked)
                    asked_s, n_asked = self._clock(), n_asked + 1
                with suppress(InterruptedByEventError):
                    await race(asyncio.sleep(self._times.watch_s), connection.lost)
        finally:
            await end(errands)

    def _tell_quality(self, now_s: float) -> None:
        verdict = self._quality.judge(now_s)
        if verdict is not None and self._teller.phase is LinkPhase.STREAMING:
            self._teller.enter(LinkPhase.STREAMING, verdict.reason, verdict.action)

    async def _look_into_silence(self, n_asked: int) -> None:
        """Find out why nothing comes, and do about it what can be done without the person."""
        connection, bookmark = self._connection, self._bookmark
        now = await if_known(connection.control.session())
        if now is None:
            await if_known(connection.control.ping())
        elif now.state == _STREAMING and now.session_id == bookmark.session_id:
            if n_asked == 0:
                await connection.listen_again("STREAM")
            elif now.next_seq > bookmark.ledger.newest + 1:
                raise self.errands.refusal or connection.gone("streams, but nothing arrives")
        elif now.state == _CHARGING:
            self._teller.enter(LinkPhase.STALLED, "the roller is charging", _UNPLUG)
        else:
            await self._start_anew()

    async def _start_anew(self) -> None:
        """The roller ended the session by itself, for instance to charge."""
        try:
            await self._resume()
            await self._start()
            self._teller.enter(LinkPhase.STREAMING)
        except RequestError as error:
            self._teller.enter(LinkPhase.STALLED, error.reason, error.action)

    # --- The end ----------------------------------------------------------------------------------------------------

    async def complete(self) -> None:
        """End the session, and fetch what is missing of it."""
        ledger = self._bookmark.ledger
        with suppress(RequestError):
            ledger.reach((await self._connection.control.stop()).last_seq)
        if ledger.n_missing:
            self._teller.enter(LinkPhase.SUBSCRIBED, f"fetching {ledger.n_missing} packets")
            await self.errands.fetch_missing()
