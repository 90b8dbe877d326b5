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
from typing import TYPE_CHECKING, Any, Final, Protocol

from firmware_protocol import codec, layout
from roller_host.link.control import RequestError
from roller_host.link.states import LinkLostError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roller_host.link.bookmark import Bookmark
    from roller_host.link.connection import Connection, LinkTimes
    from roller_host.signal.record import Record

logger = logging.getLogger(__name__)

N_TIME_SYNC: Final = 8
"""Clock exchanges at the beginning."""
SYNC_S: Final = 10.0
"""Time between later ones, s."""
TRIES: Final = 6
"""How often a missing packet is asked for, since what is sent again can be lost again."""
QUIET_S: Final = 1.0
"""A transfer that brings nothing for so long is over, s."""
LOG_CHUNK: Final = 64
"""Packets of the roller's log that are asked for at a time, and freed there once they are safe here."""
_LAST: Final = codec.bit(layout.PACKET_FLAGS, "LAST")


class LogShelf(Protocol):
    """Where recordings go that the roller made without a host."""

    def begin(self, first: int, last: int, unix_us: int) -> None:
        """Begin, or go on with, a recording of log packets ``first`` to ``last``; ``unix_us`` is 0 when unknown."""
        ...

    def record(self, record: Record) -> None:
        """Take a payload that belongs to it."""
        ...

    async def settle(self) -> None:
        """Return when everything taken is safely on disk."""
        ...

    def progress(self, n_fetched: int, n_packets: int) -> None:
        """Learn how far it is, over all recordings."""
        ...

    async def finish(self) -> None:
        """The recording is complete."""
        ...


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
        self._connection, self._bookmark, self._times, self._shelf = connection, bookmark, times, shelf
        self._moved = asyncio.Event()
        self._over = False
        self._log_seen: set[int] = set()
        self._tries: dict[int, int] = {}

    async def run(self) -> None:
        """Run errands until cancelled, or the connection ends."""
        for errand in (self.sync_clocks, self._set_wall, self._connection.read_status, self._connection.follow_battery):
            await self._try(errand)
        synced_s = time.monotonic()
        self.missing.set()
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
            if time.monotonic() - synced_s >= SYNC_S:
                synced_s = time.monotonic()
                await self._try(self._sync_clock)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._times.settle_s):
                    await self.missing.wait()

    async def _try(self, errand: Callable[[], Awaitable[None]]) -> bool:
        """Run one errand; False when the roller refused or did not answer, which is no reason to end the link."""
        try:
            await errand()
        except (RefusedError, LinkLostError) as error:
            logger.info("%s", error)
            return False
        return True

    # --- Clocks -----------------------------------------------------------------------------------------------------

    async def sync_clocks(self) -> None:
        """Compare clocks several times; whoever reads the records makes use of it."""
        for _ in range(N_TIME_SYNC):
            await self._sync_clock()

    async def _sync_clock(self) -> None:
        await self._connection.ask_if_known("TIME_SYNC")

    async def _set_wall(self) -> None:
        if self._connection.info.features & codec.bit(layout.FEATURES, "WALL_CLOCK"):
            offset = datetime.now().astimezone().utcoffset()
            minutes = round(offset.total_seconds() / 60) if offset else 0
            await self._connection.ask_if_known("SET_WALL", time.time_ns() // 1000, minutes)

    # --- Missing packets --------------------------------------------------------------------------------------------

    async def fetch_missing(self) -> None:
        """Ask for everything that is missing, until it is here or known to be gone."""
        self.missing.clear()
        ledger = self._bookmark.ledger
        while spans := _spans(ledger.missing()):
            first, last = spans[0]
            if self._tries.get(first, 0) >= TRIES:
                ledger.give_up(first, last)
                continue
            try:
                reply = await self._transfer("BACKFILL", first, last)
            except RequestError as error:
                if error.status not in ("RANGE_GONE", "BAD_PARAM", "UNKNOWN_OP", "NOT_SUPPORTED"):
                    raise
                ledger.give_up(first, last)
                continue
            self._tries[first] = self._tries.get(first, 0) + 1
            ledger.give_up(first, reply.first_available - 1)
        self._tries.clear()

    async def _transfer(self, name: str, first: int, second: int) -> Any:
        """Ask for a transfer, and wait until its last packet came or nothing comes any more."""
        self._over = False
        reply = await self._connection.ask(name, first, second)
        while not self._over:
            self._moved.clear()
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._moved.wait()
            except TimeoutError:
                break
            if self._connection.lost.is_set():
                break
        return reply

    def take_resent(self, flags: int) -> None:
        """Note that a packet came that was asked for."""
        self._over = self._over or bool(flags & _LAST)
        self._moved.set()

    # --- The roller's own recordings --------------------------------------------------------------------------------

    def take_log(self, record: Record) -> None:
        """Take a packet of the roller's log."""
        if self._shelf is None or len(record.payload) < 6:
            return
        self._shelf.record(record)
        self._log_seen.add(int.from_bytes(record.payload[2:6], "little"))
        self.take_resent(record.payload[1])

    async def fetch_log(self) -> None:
        """Fetch the recordings that the roller made without a host; each is freed there once it is safe here."""
        info = await self._connection.ask_if_known("LOG_INFO")
        if self._shelf is None or info is None or not info.used:
            return
        sessions = [await self._connection.ask("LOG_SESSION", i) for i in range(info.sessions)]
        n_fetched, n_packets = 0, sum(session.last - session.first + 1 for session in sessions)
        for session in sessions:
            self._shelf.begin(session.first, session.last, session.unix_us)
            for first in range(session.first, session.last + 1, LOG_CHUNK):
                last = min(first + LOG_CHUNK - 1, session.last)
                await self._fetch_log_chunk(first, last)
                n_fetched += last - first + 1
                self._shelf.progress(n_fetched, n_packets)
            await self._shelf.finish()

    async def _fetch_log_chunk(self, first: int, last: int) -> None:
        self._log_seen.clear()
        for _ in range(TRIES):
            if self.missing.is_set():
                # The live session goes first: the roller cannot keep its packets for long.
                await self.fetch_missing()
            await self._transfer("LOG_READ", first, last - first + 1)
            if self._log_seen >= set(range(first, last + 1)):
                assert self._shelf is not None  # noqa: S101 - nobody else comes here
                await self._shelf.settle()
                await self._connection.ask("LOG_ADVANCE", last + 1)
                return
        raise LinkLostError(
            "The roller's own recording did not come through.", "It stays in the roller until next time."
        )


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
