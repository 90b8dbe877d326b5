# SPDX-License-Identifier: MIT
"""A session with a roller through all its connections: found, held, lost, found again, and complete in the end."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol import layout, reference
from roller_host.link.bookmark import Bookmark
from roller_host.link.connection import BondLostError, Connection, LinkTimes
from roller_host.link.control import RequestError
from roller_host.link.errands import HEADER_B, Errands
from roller_host.link.quality import Quality
from roller_host.link.race import InterruptedByEventError, end, race
from roller_host.link.radio import NobodyListensError, Wanted
from roller_host.link.states import (
    BadRadioError,
    Found,
    LinkError,
    LinkLostError,
    LinkPhase,
    LinkState,
    NoBluetoothError,
    NoDeviceError,
    PairingError,
    RefusedError,
    TakenError,
)
from roller_host.signal.ledger import Ledger
from roller_host.signal.record import Record, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.link.control import Control
    from roller_host.link.errands import LogShelf
    from roller_host.link.radio import Radio

logger = logging.getLogger(__name__)

LINGER_S: Final = 120
"""How long the roller goes on without a link; what it makes meanwhile is fetched as far as it can keep it."""
LISTENER_S: Final = 1.0
"""How long the port of a simulator may be closed before it counts as gone."""
_STATE: Final = {name: code for code, name in layout.STATES}
_STREAMING, _CHARGING = _STATE["streaming"], _STATE["charging"]
RESCAN_S: Final = 10.0
"""A scan is begun anew after so long: some adapters go deaf without a word, s."""
_UNPLUG: Final = "Pull out the cable to go on."
_NEARER: Final = "Bring it closer to the computer."


async def stream(
    radio: Radio,
    *,
    target: str | None,
    on_record: Callable[[Record], None],
    on_state: Callable[[LinkState], None],
    stop: asyncio.Event,
    clock: Callable[[], float] = time.perf_counter,
    scan_s: float = 10.0,
    on_battery: Callable[[int], None] | None = None,
    times: LinkTimes | None = None,
    bookmark: Bookmark | None = None,
    shelf: LogShelf | None = None,
    on_control: Callable[[Control], None] | None = None,
) -> None:
    """Find a roller, connect, and stream until told to stop; after a loss find it again and fetch what is missing.

    Parameters
    ----------
    radio : Radio
        What to scan and connect with; stays open.
    target : str or None
        Address, beginning of the name in any case, or device id (16 hexadecimal digits); None takes the strongest.
    on_record : callable
        Gets every payload in either direction, decodable or not, before anything else looks at it.
    on_state : callable
        Gets each change of the link's state, the last one included.
    stop : asyncio.Event
        Ends the link in good order when set.
    clock : callable, default ``time.perf_counter``
        Monotonic time, s, for the stamps and for noticing silence; ``time.monotonic`` steps by 16 ms on some systems.
    scan_s : float, default 10
        How long to look for the roller at first, s; infinity waits for it to come.
    on_battery : callable, optional
        Gets the battery level, percent, when it is read and when it changes.
    times : LinkTimes, optional
        Other patience than the default.
    bookmark : Bookmark, optional
        An earlier session to go on with, where the roller still knows of it. Kept up to date.
    shelf : LogShelf, optional
        Where recordings of the roller's own go; without one they stay in the roller.
    on_control : callable, optional
        Gets the control requests of each connection once it streams.

    Raises
    ------
    NoDeviceError
        When there is no working Bluetooth, no such roller, or it accepts no connection.
    RefusedError
        When the roller cannot or will not work with this program.
    LinkLostError
        When the roller is lost before ``stop`` and does not come back.
    Exception
        What one of the callbacks raised.
    """
    times = times or LinkTimes()
    session = _Session(
        radio,
        Wanted.named(target),
        on_record,
        on_state,
        clock,
        on_battery or _ignore,
        times,
        bookmark or Bookmark(),
        shelf,
        on_control or _ignore,
    )
    try:
        await session.run(stop, scan_s)
    except LinkError as error:
        if session.failure:
            on_state(LinkState(LinkPhase.OFF, "the program failed", device=session.name, over=True))
            raise session.failure from None
        unpaired = isinstance(error, PairingError)
        on_state(LinkState(error.phase, error.reason, error.action, session.name, unpaired=unpaired, over=True))
        raise
    on_state(LinkState(LinkPhase.OFF, device=session.name, over=True))


def _ignore(_: object) -> None:
    pass


class _Session:
    """One session; there is at most one connection at a time."""

    def __init__(
        self,
        radio: Radio,
        wanted: Wanted,
        on_record: Callable[[Record], None],
        on_state: Callable[[LinkState], None],
        clock: Callable[[], float],
        on_battery: Callable[[int], None],
        times: LinkTimes,
        bookmark: Bookmark,
        shelf: LogShelf | None,
        on_control: Callable[[Control], None],
    ) -> None:
        self.name = ""
        self.failure: Exception | None = None
        """What a callback of the caller raised."""
        self._radio, self._wanted = radio, wanted
        self._on_record, self._on_state, self._on_battery = on_record, on_state, on_battery
        self._clock, self._times = clock, times
        self._bookmark, self._shelf, self._on_control = bookmark, shelf, on_control
        self._begin_s = clock()
        self._connection: Connection | None = None
        self._errands: Errands | None = None
        self._quality = Quality()
        self._early: list[bytes] | None = None
        """Headers of packets that came while START was not answered: they may be faster than the response."""
        self._mask = 0
        self._phase = LinkPhase.OFF
        self._told: LinkState | None = None
        self._heard_s = 0.0
        self._lost_s: float | None = None
        """Since when a session that had begun is interrupted."""
        self._paired_anew = False

    # --- Payloads ---------------------------------------------------------------------------------------------------

    def _take(self, source: Source, payload: bytes, out: bool) -> None:
        """Record a payload, then see what it means; what a callback raises ends the link instead of its library."""
        try:
            if source == "STREAM" and payload[:1] == bytes([layout.PTYPE_LOG]):
                if self._errands:
                    self._errands.take_log(self._stamp(source, payload, out))
                return
            self._on_record(self._stamp(source, payload, out))
            if source == "STREAM":
                self._heed(payload)
        except Exception as error:
            logger.debug("a callback failed", exc_info=error)
            self.failure = self.failure or error
            if self._connection:
                self._connection.lost.set()

    def _stamp(self, source: Source, payload: bytes, out: bool) -> Record:
        return Record(self._clock() - self._begin_s, source, "out" if out else "in", payload)

    def _heed(self, payload: bytes) -> None:
        """Note which packet came."""
        if len(payload) < HEADER_B:
            return
        ptype, flags, seq = payload[0], payload[1], int.from_bytes(payload[2:6], "little")
        ledger = self._bookmark.ledger
        if self._early is not None:
            self._early.append(payload[:HEADER_B])
        elif ptype == layout.PTYPE_BACKFILL and self._errands:
            self._errands.take_resent(seq, flags, new=ledger.add(seq))
        elif ptype == layout.PTYPE_LIVE:
            self._heard_s = self._clock()
            before = ledger.newest
            # A number that cannot be is noise, or of another session.
            if ledger.add(seq):
                self._quality.note(self._heard_s, seq, flags)
            if self._errands and seq > before + 1:
                self._errands.missing.set()
            if self._phase is LinkPhase.STALLED:
                self._enter(LinkPhase.STREAMING)

    def _enter(self, phase: LinkPhase, reason: str = "", action: str = "", retry_s: float | None = None) -> None:
        self._phase = phase
        state = LinkState(phase, reason, action, self.name, retry_s)
        if state != self._told:
            self._told = state
            self._on_state(state)

    # --- Connections, one after the other ---------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event, scan_s: float) -> None:
        """Hold the roller until ``stop``."""
        n_failed = 0
        while not stop.is_set():
            try:
                with suppress(InterruptedByEventError):
                    await race(self._open(scan_s), stop)
                    n_failed = 0
                    await race(self._watch(), stop)
            except LinkError as error:
                n_failed += 1
                pause_s = 0.0 if await self._forget_bond(error) else self._pause_after(error, n_failed)
                await self._leave(goodbye=False)
                if pause_s:
                    self._enter(LinkPhase.RETRYING, error.reason, error.action, pause_s)
                    with suppress(InterruptedByEventError):
                        await race(asyncio.sleep(pause_s), stop)
            finally:
                await self._leave(goodbye=stop.is_set())
            if self.failure:
                raise LinkError("a callback failed")

    async def _forget_bond(self, error: LinkError) -> bool:
        """Forget the keys when one side has lost them, so that the next attempt pairs anew; False when that is no help.

        "Just Works" protects against nobody who stands by: pairing once more loses nothing and asks nobody. A passkey
        is different: then the person decides.
        """
        if not isinstance(error, BondLostError) or self._paired_anew or not self._connection or self._radio.passkey:
            return False
        self._enter(LinkPhase.PAIRING, "roller and computer had forgotten each other")
        await self._connection.unpair()
        self._paired_anew = True
        return True

    def _pause_after(self, error: LinkError, n_failed: int) -> float:
        """How long to wait before the next attempt, s; raises the error when there is to be none."""
        times, now_s = self._times, self._clock()
        if self.failure or isinstance(error, BadRadioError):
            raise error
        if self._lost_s is None and self._bookmark.session_id:
            self._lost_s = now_s
        away_s = 0.0 if self._lost_s is None else now_s - self._lost_s
        if self._lost_s is None:
            if isinstance(error, TakenError | NoBluetoothError | RefusedError) or n_failed >= times.attempts:
                raise error
            if self._connection is None:
                raise error
        elif isinstance(error, NobodyListensError) and away_s >= min(LISTENER_S, times.give_up_s):
            raise LinkLostError(f"{self.name} is gone. {error.reason}", error.action) from error
        elif away_s >= times.give_up_s:
            if isinstance(error, LinkLostError | RefusedError):
                raise error
            raise LinkLostError(
                f"{self.name} has not come back within {times.give_up_s:g} s: {error.reason}", error.action
            )
        if isinstance(error, LinkLostError) and n_failed == 1:
            return 0.0
        return times.retries_s[min(n_failed, len(times.retries_s)) - 1]

    async def _open(self, scan_s: float) -> None:
        """Everything from scanning to the first stream packet."""
        while not await self._meet(await self._find(scan_s)):
            await self._leave(goodbye=False)
        await self._live().open(self._enter)
        await self._begin()
        self._lost_s, self._paired_anew = None, False

    async def _meet(self, found: Found) -> bool:
        """Connect; False when this is another roller than the one wanted, of which only the name is alike."""
        self.name = found.name or found.address
        self._connection = Connection(self._radio, found, self._times, self._take, self._on_battery)
        await self._connection.meet(self._enter)
        device_id = bytes(self._connection.info.device_id)
        if self._wanted.device_id and device_id != self._wanted.device_id:
            self._wanted = replace(self._wanted, others=self._wanted.others | {found.address})
            return False
        self._wanted = replace(self._wanted, text=found.name, device_id=device_id, address=found.address)
        self._bookmark.name, self._bookmark.address = found.name, found.address
        self._bookmark.security_mode = self._connection.info.security_mode
        return True

    async def _find(self, scan_s: float) -> Found:

        def look() -> None:
            if self._lost_s is None:
                self._enter(LinkPhase.SCANNING)
            else:
                self._enter(LinkPhase.OUT_OF_RANGE, "looking for the roller", _NEARER)

        def note(found: Found) -> None:
            if found.taken and self._phase is not LinkPhase.TAKEN:
                self.name = found.name or found.address
                self._enter(LinkPhase.TAKEN, "a roller serves one program at a time", "Close the other program.")
            elif not found.taken and self._phase is LinkPhase.TAKEN:
                look()

        look()
        if self._lost_s is not None:
            scan_s = max(self._times.give_up_s - (self._clock() - self._lost_s), 0.1)
        end_s = self._clock() + scan_s
        while (left_s := end_s - self._clock()) > RESCAN_S:
            try:
                return await self._radio.find(self._wanted, RESCAN_S, note)
            except (TakenError, NoBluetoothError):
                raise
            except NoDeviceError:
                continue
        return await self._radio.find(self._wanted, left_s, note)

    # --- Sessions ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Go on with the session that was interrupted, or start one."""
        connection, bookmark = self._live(), self._bookmark
        self._errands = Errands(connection, bookmark, self._times, self._shelf)
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
        self._quality = Quality()
        self._on_control(connection.control)
        self._enter(LinkPhase.STREAMING)

    def _live(self) -> Connection:
        if self._connection is None:
            raise LinkLostError("not connected")
        return self._connection

    async def _resume(self) -> bool:
        """Ask what became of the session; True when it is still under way."""
        connection, bookmark = self._live(), self._bookmark
        if connection.info.boot_id != bookmark.boot_id:
            return False
        now = await connection.ask_if_known("SESSION")
        if now is None or now.session_id != bookmark.session_id:
            return False
        bookmark.ledger.reach(now.next_seq - 1)
        bookmark.ledger.give_up(0, now.first_available - 1)
        assert self._errands is not None  # noqa: S101 - made by _begin
        await self._errands.claim()
        if now.state == _STREAMING:
            return True
        # The next START empties the roller's memory.
        if bookmark.ledger.n_missing:
            self._enter(LinkPhase.SUBSCRIBED, f"fetching {bookmark.ledger.n_missing} packets")
            await connection.listen("STREAM")
            await self._errands.fetch_missing()
        return False

    async def _make_ready(self) -> None:
        """Learn what the roller offers, and end a session that nobody goes on with."""
        connection = self._live()
        if not self._mask:
            self._mask = await connection.learn()
        state = await connection.read_status()
        if state == _CHARGING:
            raise RefusedError(f"{self.name} is charging, and does not stream meanwhile.", _UNPLUG)
        if state == _STREAMING:
            with suppress(RequestError):
                await connection.ask("STOP")

    async def _start(self) -> None:
        connection, bookmark = self._live(), self._bookmark
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
            if (int.from_bytes(header[6:10], "little") - started.t_us) % (1 << 32) < 1 << 31:
                self._heed(header)
        self._heard_s = self._clock()

    async def _ask_to_start(self) -> Any:
        connection, request = self._live(), ("START", self._mask, reference.FLUSH_MS, LINGER_S)
        try:
            return await connection.ask(*request)
        except RequestError as error:
            if error.status != "BAD_STATE":
                raise
        except LinkLostError:
            if connection.lost.is_set():
                raise
        # A session that nobody goes on with is under way: of somebody else, or of a START whose response was lost.
        with suppress(RequestError):
            await connection.ask("STOP")
        return await connection.ask(*request)

    # --- Streaming --------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Notice silence and the end of the connection; returns never, but raises when the link is lost."""
        connection = self._live()
        assert self._errands is not None  # noqa: S101 - made by _begin
        errands = asyncio.ensure_future(self._errands.run())
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
                elif self._phase is LinkPhase.STREAMING:
                    self._enter(LinkPhase.STALLED, "no data from the roller", _NEARER)
                if now_s - asked_s >= self._times.ask_s:
                    await self._look_into_silence(n_asked)
                    asked_s, n_asked = self._clock(), n_asked + 1
                with suppress(InterruptedByEventError):
                    await race(asyncio.sleep(self._times.watch_s), connection.lost)
        finally:
            await end(errands)

    def _tell_quality(self, now_s: float) -> None:
        verdict = self._quality.judge(now_s)
        if verdict is not None and self._phase is LinkPhase.STREAMING:
            self._enter(LinkPhase.STREAMING, verdict.reason, verdict.action)

    async def _look_into_silence(self, n_asked: int) -> None:
        """Find out why nothing comes, and do about it what can be done without the person."""
        connection, bookmark = self._live(), self._bookmark
        now = await connection.ask_if_known("SESSION")
        if now is None:
            await connection.ask_if_known("PING", b"")
        elif now.state == _STREAMING and now.session_id == bookmark.session_id:
            if n_asked == 0:
                await connection.listen_again("STREAM")
            elif now.next_seq > bookmark.ledger.newest + 1:
                assert self._errands is not None  # noqa: S101 - made by _begin
                raise self._errands.refusal or connection.gone("streams, but nothing arrives")
        elif now.state == _CHARGING:
            self._enter(LinkPhase.STALLED, "the roller is charging", _UNPLUG)
        else:
            await self._start_anew()

    async def _start_anew(self) -> None:
        """The roller ended the session by itself, for instance to charge."""
        try:
            await self._resume()
            await self._start()
            self._enter(LinkPhase.STREAMING)
        except RequestError as error:
            self._enter(LinkPhase.STALLED, error.reason, error.action)

    # --- The end ----------------------------------------------------------------------------------------------------

    async def _leave(self, *, goodbye: bool) -> None:
        """End the connection: in good order, and complete, as far as there is still somebody at the other end."""
        if self._connection is None:
            return
        try:
            if goodbye and self._errands and self._phase in (LinkPhase.STREAMING, LinkPhase.STALLED):
                with suppress(LinkError, TimeoutError):
                    async with asyncio.timeout(self._times.drain_s):
                        await self._complete(self._connection, self._errands)
        finally:
            connection, self._connection, self._errands = self._connection, None, None
            await connection.close()

    async def _complete(self, connection: Connection, errands: Errands) -> None:
        """End the session, and fetch what is missing of it."""
        ledger = self._bookmark.ledger
        with suppress(RequestError):
            ledger.reach((await connection.ask("STOP")).last_seq)
        if ledger.n_missing:
            self._enter(LinkPhase.SUBSCRIBED, f"fetching {ledger.n_missing} packets")
            await errands.fetch_missing()
