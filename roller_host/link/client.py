# SPDX-License-Identifier: MIT
"""A session with a roller through all its connections: found, held, lost, found again, and complete in the end."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from firmware_protocol import layout
from roller_host.link.bookmark import Bookmark
from roller_host.link.connection import Connection
from roller_host.link.passkey import WrongPasskeyError
from roller_host.link.race import InterruptedByEventError, race
from roller_host.link.sightings import Wanted
from roller_host.link.states import (
    BadRadioError,
    BondLostError,
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
from roller_host.link.stay import NEARER, Stay, Teller
from roller_host.link.times import LinkTimes
from roller_host.link.unavailable import NobodyListensError
from roller_host.signal.record import Record, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.link.control import Control
    from roller_host.link.errands import LogShelf
    from roller_host.link.radio import Radio

logger = logging.getLogger(__name__)

LISTENER_S: Final = 1.0
"""How long the port of a simulator may be closed before it counts as gone."""
RESCAN_S: Final = 10.0
"""A scan is begun anew after so long: some adapters go deaf without a word, s."""


def _ignore(_: object) -> None:
    pass


class LinkSession:
    """A session with a roller; there is at most one connection at a time.

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
    clock : callable, default ``time.perf_counter``
        Monotonic time, s, for the stamps and for noticing silence; ``time.monotonic`` steps by 16 ms on some systems.
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
    """

    def __init__(
        self,
        radio: Radio,
        *,
        target: str | None,
        on_record: Callable[[Record], None],
        on_state: Callable[[LinkState], None],
        clock: Callable[[], float] = time.perf_counter,
        on_battery: Callable[[int], None] = _ignore,
        times: LinkTimes | None = None,
        bookmark: Bookmark | None = None,
        shelf: LogShelf | None = None,
        on_control: Callable[[Control], None] = _ignore,
    ) -> None:
        self._radio, self._wanted = radio, Wanted.named(target)
        self._on_record, self._on_state, self._on_battery = on_record, on_state, on_battery
        self._clock, self._times = clock, times or LinkTimes()
        self._bookmark, self._shelf, self._on_control = bookmark or Bookmark(), shelf, on_control
        self._failure: Exception | None = None
        """What a callback of the caller raised."""
        self._begin_s = clock()
        self._connection: Connection | None = None
        self._stay: Stay | None = None
        self._mask = 0
        self._teller = Teller(on_state)
        self._lost_s: float | None = None
        """Since when a session that had begun is interrupted."""
        self._n_failed = 0
        """Attempts to connect that have failed since the last one that did not, the loss that began them included."""
        self._paired_anew = False

    async def stream(self, stop: asyncio.Event, scan_s: float = 10.0) -> None:
        """Find the roller, connect, stream until told to stop; after a loss find it again and fetch what is missing.

        Parameters
        ----------
        stop : asyncio.Event
            Ends the link in good order when set.
        scan_s : float, default 10
            How long to look for the roller at first, s; infinity waits for it to come.

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
        try:
            await self._hold(stop, scan_s)
        except LinkError as error:
            if self._failure:
                self._end(LinkPhase.OFF, "the program failed")
                raise self._failure from None
            self._end(error.phase, error.reason, error.action, unpaired=isinstance(error, PairingError))
            raise
        self._end(LinkPhase.OFF)

    def _end(self, phase: LinkPhase, reason: str = "", action: str = "", *, unpaired: bool = False) -> None:
        """Tell the last state."""
        self._on_state(LinkState(phase, reason, action, self._teller.name, unpaired=unpaired, over=True))

    # --- Payloads ---------------------------------------------------------------------------------------------------

    def _take(self, source: Source, payload: bytes, out: bool) -> None:
        """Record a payload, then see what it means; what a callback raises ends the link instead of its library."""
        try:
            if source == "STREAM" and payload[:1] == bytes([layout.PTYPE_LOG]):
                if self._stay:
                    self._stay.errands.take_log(self._stamp(source, payload, out))
                return
            self._on_record(self._stamp(source, payload, out))
            if source == "STREAM" and self._stay:
                self._stay.heed(payload)
        except Exception as error:
            logger.debug("a callback failed", exc_info=error)
            self._failure = self._failure or error
            if self._connection:
                self._connection.lost.set()

    def _stamp(self, source: Source, payload: bytes, out: bool) -> Record:
        return Record(self._clock() - self._begin_s, source, "out" if out else "in", payload)

    # --- Connections, one after the other ---------------------------------------------------------------------------

    async def _hold(self, stop: asyncio.Event, scan_s: float) -> None:
        """Hold the roller until ``stop``."""
        while not stop.is_set():
            try:
                with suppress(InterruptedByEventError):
                    await race((await race(self._open(scan_s), stop)).watch(), stop)
            except LinkError as error:
                self._n_failed += 1
                pause_s = 0.0
                if not await self._forget_bond(error):
                    pause_s = self._pause_after(error)
                    self._tell_setback(error, pause_s)
                await self._leave(goodbye=False)
                if pause_s:
                    with suppress(InterruptedByEventError):
                        await race(asyncio.sleep(pause_s), stop)
            finally:
                await self._leave(goodbye=stop.is_set())
            if self._failure:
                raise LinkError("a callback failed")

    async def _forget_bond(self, error: LinkError) -> bool:
        """Forget the keys when one side has lost them, so that the next attempt pairs anew; False when that is no help.

        "Just Works" protects against nobody who stands by: pairing once more loses nothing and asks nobody. A passkey
        is different: then the person decides.
        """
        if not isinstance(error, BondLostError) or self._paired_anew or not self._connection or self._radio.passkey:
            return False
        self._teller.enter(LinkPhase.PAIRING, "roller and computer had forgotten each other")
        await self._connection.unpair()
        self._paired_anew = True
        return True

    def _tell_setback(self, error: LinkError, pause_s: float) -> None:
        if isinstance(error, NoBluetoothError):
            self._teller.enter(LinkPhase.NO_BLUETOOTH, error.reason, error.action)
        else:
            self._teller.enter(LinkPhase.RETRYING, error.reason, error.action, pause_s or None)

    def _pause_after(self, error: LinkError) -> float:
        """How long to wait before the next attempt, s; raises the error when there is to be none."""
        times, n_failed, now_s = self._times, self._n_failed, self._clock()
        if self._failure or isinstance(error, BadRadioError):
            raise error
        if self._lost_s is None and self._bookmark.session_id:
            self._lost_s = now_s
        away_s = 0.0 if self._lost_s is None else now_s - self._lost_s
        if self._lost_s is None:
            final = isinstance(error, TakenError | NoBluetoothError | RefusedError)
            if (final and not isinstance(error, WrongPasskeyError)) or n_failed >= times.attempts:
                raise error
            if self._connection is None:
                raise error
        elif isinstance(error, NobodyListensError) and away_s >= min(LISTENER_S, times.give_up_s):
            raise LinkLostError(f"{self._teller.name} is gone. {error.reason}", error.action) from error
        elif away_s >= times.give_up_s:
            if isinstance(error, LinkLostError | RefusedError):
                raise error
            raise LinkLostError(
                f"{self._teller.name} has not come back within {times.give_up_s:g} s: {error.reason}", error.action
            )
        if isinstance(error, LinkLostError) and n_failed == 1:
            return 0.0
        return times.retries_s[min(n_failed, len(times.retries_s)) - 1]

    async def _open(self, scan_s: float) -> Stay:
        """Everything from scanning to the first stream packet."""
        while (connection := await self._meet(await self._find(scan_s))) is None:
            await self._leave(goodbye=False)
        await connection.open(self._teller.enter)
        self._stay = stay = Stay(
            connection, self._bookmark, self._times, self._shelf, self._clock, self._teller, self._mask
        )
        await stay.begin()
        self._mask = stay.mask
        self._on_control(connection.control)
        self._teller.enter(LinkPhase.STREAMING)
        self._lost_s, self._n_failed, self._paired_anew = None, 0, False
        return stay

    async def _meet(self, found: Found) -> Connection | None:
        """Connect; None when this is another roller than the one wanted, of which only the name is alike."""
        self._teller.name = found.name or found.address
        self._connection = connection = Connection(self._radio, found, self._times, self._take, self._on_battery)
        await connection.meet(self._teller.enter)
        device_id = bytes(connection.info.device_id)
        if self._wanted.device_id and device_id != self._wanted.device_id:
            self._wanted = replace(self._wanted, others=self._wanted.others | {found.address})
            return None
        self._wanted = replace(self._wanted, text=found.name, device_id=device_id, address=found.address)
        self._bookmark.name, self._bookmark.address = found.name, found.address
        self._bookmark.security_mode = connection.info.security_mode
        return connection

    def _tell_search(self) -> None:
        if self._lost_s is None:
            self._teller.enter(LinkPhase.SCANNING)
        else:
            self._teller.enter(LinkPhase.OUT_OF_RANGE, "looking for the roller", NEARER)

    async def _find(self, scan_s: float) -> Found:
        def note(found: Found) -> None:
            if found.taken and self._teller.phase is not LinkPhase.TAKEN:
                self._teller.name = found.name or found.address
                self._teller.enter(LinkPhase.TAKEN, "a roller serves one program at a time", "Close the other program.")
            elif not found.taken and self._teller.phase is LinkPhase.TAKEN:
                self._tell_search()

        def begun() -> None:
            if self._teller.phase is not LinkPhase.TAKEN:
                self._tell_search()

        if self._lost_s is None:
            self._tell_search()
        else:
            # Told once the scan has begun: without Bluetooth nobody knows whether the roller is near.
            scan_s = max(self._times.give_up_s - (self._clock() - self._lost_s), 0.1)
        end_s = self._clock() + scan_s
        while (left_s := end_s - self._clock()) > RESCAN_S:
            try:
                return await self._radio.find(self._wanted, RESCAN_S, note, begun)
            except (TakenError, NoBluetoothError):
                raise
            except NoDeviceError:
                continue
        return await self._radio.find(self._wanted, left_s, note, begun)

    # --- The end ----------------------------------------------------------------------------------------------------

    async def _leave(self, *, goodbye: bool) -> None:
        """End the connection: in good order, and complete, as far as there is still somebody at the other end."""
        if self._connection is None:
            return
        try:
            if goodbye and self._stay and self._teller.phase in (LinkPhase.STREAMING, LinkPhase.STALLED):
                with suppress(LinkError, TimeoutError):
                    async with asyncio.timeout(self._times.drain_s):
                        await self._stay.complete()
        finally:
            connection, self._connection, self._stay = self._connection, None, None
            await connection.close()
