# SPDX-License-Identifier: MIT
"""What is done over a connection beside the live stream: clocks, missing packets, the roller's own recordings.

One thing at a time, and none of it ends a link that still streams.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from firmware_protocol import codec, layout
from roller_host.link.race import end
from roller_host.link.refusals import RequestError, if_known
from roller_host.link.states import LinkLostError, RefusedError
from roller_host.signal.ledger import number_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roller_host.link.bookmark import Bookmark
    from roller_host.link.connection import Connection
    from roller_host.link.times import LinkTimes
    from roller_host.signal.record import Record

logger = logging.getLogger(__name__)

TRIES: Final = 6
"""Transfers in a row that may bring nothing new before the next errand gets its turn."""
QUIET_S: Final = 1.0
"""A transfer that brings nothing for so long is over, s."""
LOG_CHUNK: Final = 64
"""Packets of the roller's log that are asked for at a time, and freed there once they are safe here."""
TRANSFER_MOST: Final = 0xFFFF
"""No transfer has more packets."""
_NOT_HELD: Final = ("RANGE_GONE", "BAD_PARAM", "UNKNOWN_OP", "NOT_SUPPORTED")
"""Answers to BACKFILL after which asking again is no use."""
HEADER_B: Final = codec.size_of(layout.PACKET_HEADER)
_LAST: Final = codec.bit(layout.PACKET_FLAGS, "LAST")


class LogShelf(Protocol):
    """Where recordings go that the roller made without a host."""

    async def begin(self, first: int, last: int, unix_us: int) -> bool:
        """Begin, or go on with, a recording of log packets ``first`` to ``last``; False when there is no room for it.

        ``unix_us`` is when it was made, 0 when that is unknown.
        """
        ...

    def record(self, record: Record) -> None:
        """Take a payload that belongs to it."""
        ...

    async def settle(self) -> bool:
        """Wait until everything taken is safely on disk; False when it cannot be written."""
        ...

    def progress(self, n_fetched: int, n_packets: int) -> None:
        """Learn how far it is, over all recordings."""
        ...

    async def finish(self) -> None:
        """The recording is complete."""
        ...


class _Asked(NamedTuple):
    """A transfer under way."""

    first: int
    last: int
    count: int  # pyright: ignore[reportIncompatibleMethodOverride] - the name on the wire


class Errands:
    """Errands on one connection.

    Parameters
    ----------
    connection : Connection
        The way to the roller.
    bookmark : Bookmark
        The session; says what is missing.
    times : LinkTimes
        Patience.
    shelf : LogShelf or None
        Where the roller's own recordings go; None leaves them there.
    """

    def __init__(self, connection: Connection, bookmark: Bookmark, times: LinkTimes, shelf: LogShelf | None) -> None:
        self.missing = asyncio.Event()
        """Set when a packet was seen to be missing."""
        self.refusal: RequestError | None = None
        """Why the roller does not send missing packets, when it holds them."""
        self._connection, self._control = connection, connection.control
        self._bookmark, self._times, self._shelf = bookmark, times, shelf
        self._moved = asyncio.Event()
        self._over = False
        self._came: dict[int, Record | None] = {}
        """Packets of the transfer under way that came; those of the log wait here until they are complete."""
        self._asked: _Asked | None = None
        self._n_new = 0

    async def run(self) -> None:
        """Run errands until cancelled, or the connection ends."""
        clocks = asyncio.ensure_future(self._compare_clocks())
        try:
            await self._run()
        finally:
            await end(clocks)

    async def _run(self) -> None:
        if self._bookmark.ledger.n_missing:
            await self._try(self.fetch_missing)
        for errand in (self._set_wall, self._connection.read_status, self._connection.follow_battery):
            await self._try(errand)
        log_is_read = False
        while not self._connection.lost.is_set():
            if self.missing.is_set():
                await asyncio.sleep(self._times.settle_s)
                if not await self._try(self.fetch_missing):
                    self.missing.set()
                    await asyncio.sleep(QUIET_S)
            if not log_is_read and self._shelf is not None:
                log_is_read = True
                await self._try(self.fetch_log)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._times.settle_s):
                    await self.missing.wait()

    async def _try(self, errand: Callable[[], Awaitable[object]]) -> bool:
        """Run one errand; False when the roller refused or did not answer, which is no reason to end the link."""
        try:
            await errand()
        except (RefusedError, LinkLostError) as error:
            logger.info("%s", error)
            return False
        return True

    # --- Clocks -----------------------------------------------------------------------------------------------------

    async def _compare_clocks(self) -> None:
        """Compare clocks all the time; whoever reads the records makes use of it."""
        from roller_host.signal.clock import pause_s  # noqa: PLC0415 - brings numpy

        for i_exchange in count():
            await asyncio.sleep(pause_s(i_exchange))
            await self._try(lambda: if_known(self._control.time_sync()))

    async def _set_wall(self) -> None:
        if self._connection.info.features & codec.bit(layout.FEATURES, "WALL_CLOCK"):
            offset = datetime.now().astimezone().utcoffset()
            minutes = round(offset.total_seconds() / 60) if offset else 0
            await if_known(self._control.set_wall(time.time_ns() // 1000, minutes))

    # --- Missing packets --------------------------------------------------------------------------------------------

    async def claim(self) -> None:
        """Ask for the oldest missing packets at once, so that the roller keeps them; they come when they can."""
        if spans := _spans(self._bookmark.ledger.missing()):
            await self._try(lambda: self._ask_for(*spans[0]))

    async def fetch_missing(self) -> None:
        """Ask for everything that is missing, until it is here, known to be gone, or nothing comes any more.

        What is still missing then, or was lost meanwhile, is worth asking for again later.
        """
        self.missing.clear()
        ledger, n_idle = self._bookmark.ledger, 0
        newest = ledger.newest
        while spans := _spans([hole for hole in ledger.missing() if hole[0] <= newest]):
            if n_idle == TRIES or self._connection.lost.is_set():
                self.missing.set()
                return
            n_before = self._n_new
            await self._fetch(*spans[0])
            n_idle = n_idle + 1 if self._n_new == n_before else 0

    async def _fetch(self, first: int, last: int) -> None:
        """Ask once for some of the missing packets, unless others are on their way, and wait for what comes."""
        if self._asked is None:
            await self._ask_for(first, last)
        asked = self._asked
        if asked is None:
            return
        await self._until_over(asked.count)
        self._asked = None
        if len([seq for seq in self._came if asked.first <= seq <= asked.last]) >= asked.count:
            # All that it held of them came.
            self._bookmark.ledger.give_up(asked.first, asked.last)

    async def _ask_for(self, first: int, last: int) -> None:
        """Ask for packets."""
        ledger = self._bookmark.ledger
        self._begin_transfer()
        try:
            reply = await self._control.backfill(first, last)
        except RequestError as error:
            if error.status in _NOT_HELD:
                ledger.give_up(first, last)
                return
            if error.status == "BUSY":
                # Another transfer, of which nothing is known, is under way.
                await self._until_over(TRANSFER_MOST)
                return
            self.refusal = error
            raise
        self.refusal, self._asked = None, _Asked(first, last, reply.count)
        ledger.give_up(first, reply.first_available - 1)

    def _begin_transfer(self) -> None:
        self._over = False
        self._came.clear()

    async def _until_over(self, count: int) -> None:
        """Wait until the last of ``count`` packets of a transfer came, or nothing comes any more."""
        while not (self._over or self._connection.lost.is_set() or len(self._came) >= count):
            self._moved.clear()
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._moved.wait()
            except TimeoutError:
                return

    def take_resent(self, seq: int, flags: int, *, new: bool) -> None:
        """Note that a packet came that was asked for; ``new`` when it was missing."""
        self._came[seq] = None
        self._n_new += new
        self._note_move(flags)

    def _note_move(self, flags: int) -> None:
        self._over = self._over or bool(flags & _LAST)
        self._moved.set()

    # --- The roller's own recordings --------------------------------------------------------------------------------

    def take_log(self, record: Record) -> None:
        """Take a packet of the roller's log."""
        if len(record.payload) >= HEADER_B and record.payload[0] == layout.PTYPE_LOG:
            self._came.setdefault(number_of(record.payload), record)
            self._note_move(record.payload[1])

    async def fetch_log(self) -> None:
        """Fetch the recordings that the roller made without a host; each is freed there once it is safe here."""
        log = await if_known(self._control.log_info())
        if self._shelf is None or log is None or not log.used_b:
            return
        sessions = [await self._control.log_session(i) for i in range(log.n_sessions)]
        n_fetched, n_packets = 0, sum(session.last - session.first + 1 for session in sessions)
        for session in sessions:
            if not await self._shelf.begin(session.first, session.last, session.unix_us):
                return
            for first in range(session.first, session.last + 1, LOG_CHUNK):
                last = min(first + LOG_CHUNK - 1, session.last)
                if not await self._fetch_log_chunk(first, last):
                    return
                n_fetched += last - first + 1
                self._shelf.progress(n_fetched, n_packets)
            await self._shelf.finish()

    async def _fetch_log_chunk(self, first: int, last: int) -> bool:
        """Fetch some packets of the log, hand them over complete and in order, and free them in the roller.

        False when they could not be written: then they stay in the roller.
        """
        assert self._shelf is not None  # noqa: S101 - nobody else comes here
        here: dict[int, Record] = {}
        n_idle = 0
        while lacking := [number for number in range(first, last + 1) if number not in here]:
            if n_idle == TRIES:
                raise LinkLostError(
                    "The roller's own recording did not come through.", "It stays in the roller until next time."
                )
            if self.missing.is_set():
                # The live session goes first: the roller cannot keep its packets for long.
                await self.fetch_missing()
            came = await self._read_log(lacking[0], lacking[-1])
            n_idle = 0 if came.keys() & set(lacking) else n_idle + 1
            here.update(came)
        for number in range(first, last + 1):
            self._shelf.record(here[number])
        if not await self._shelf.settle():
            return False
        await self._control.log_advance(last + 1)
        return True

    async def _read_log(self, first: int, last: int) -> dict[int, Record]:
        self._begin_transfer()
        await self._until_over(await self._control.log_read(first, last - first + 1))
        return {seq: record for seq, record in self._came.items() if record is not None}


def _spans(holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Holes that are asked for at once, because little that is here lies between them.

    The roller keeps what a request names until it is sent; everything else gives way to new packets.
    """
    spans: list[tuple[int, int]] = []
    n_missing = 0
    for first, last in holes:
        if spans and first - spans[-1][1] - 1 <= n_missing:
            spans[-1] = spans[-1][0], last
            n_missing += last - first + 1
        else:
            spans.append((first, last))
            n_missing = last - first + 1
    return spans
