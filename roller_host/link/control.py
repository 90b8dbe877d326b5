# SPDX-License-Identifier: MIT
"""Control requests: one at a time, each with its answer or a reason why there is none."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from firmware_protocol import codec, layout, reference
from roller_host.link.refusals import RequestError, damage_told, no_answer
from roller_host.link.replies import (
    BackfillReply,
    LogExtent,
    LogSession,
    SessionReply,
    Started,
    Stopped,
    StreamInfo,
    Tared,
    TimeSync,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

logger = logging.getLogger(__name__)

ASKED_ONCE: Final = frozenset(
    {
        "START", "STOP", "TARE",  # the second answer would not be the first one
        "BACKFILL", "LOG_READ",  # a second transfer
        "HAPTIC_PLAY", "SLEEP", "REBOOT", "FACTORY_RESET", "CAL_COMMIT",  # the person notices, or flash is written
        "SET_WALL",  # the time in it would be an old one
    }
)  # fmt: skip
"""Requests that are not sent again when no response comes; all others are, once, since they are idempotent."""
BUSY_PAUSES: Final = (0.05, 0.1, 0.2, 0.4)
"""Pauses before a request answered with BUSY is sent again, as shares of the longest wait for a response."""
SLOWEST_FORCE_HZ: Final = min(reference.STREAM_INFO[codec.STREAM_ID["FORCE_RAW"]].rates_hz)
"""While idle a roller answers TARE once it has taken the readings, which is at this rate at the slowest, Hz."""

_STATUS: Final = codec.STATUS_CODE

Guard: TypeAlias = "Callable[[str, Coroutine[Any, Any, Any]], Awaitable[Any]]"


def _unguarded(_: str, work: Coroutine[Any, Any, Any]) -> Awaitable[Any]:
    return work


@dataclass
class _Exchange:
    """A request under way, however often it is sent."""

    op: int
    tags: set[int] = field(default_factory=set[int])
    """Under which it was sent and not yet answered."""
    answers: asyncio.Queue[codec.Response] = field(default_factory=asyncio.Queue[codec.Response])
    garbage: str = ""
    """What was wrong with the latest indication that could not be decoded."""


class Control:
    """The CONTROL characteristic of one connection as calls.

    Calls may overlap: each waits for its turn. A request that is idempotent is sent once more when no response comes
    in time, and a late response to the first sending counts as well. After BUSY any request is sent again, up to four
    times with growing pauses. One that this roller does not know (UNKNOWN_OP), or does not support with these
    arguments (NOT_SUPPORTED), is not sent again: the same error is raised at once. Use a new `Control` for each
    connection.

    Every call may raise `RequestError` when the roller refused, `LinkLostError` when no response came in time,
    `codec.ProtocolError` before anything is sent when an argument does not fit its field, and what ``write`` and
    ``guard`` raise. Meanings and ranges of the arguments are those of ``layout.REQUESTS``.

    Parameters
    ----------
    write : callable
        Writes one request, with response.
    timeout_s : float
        Longest time from a request to its response, s; TARE is given the time for its readings besides. A call takes
        at most twice as long; each BUSY allows for another response and its pause, of 0.75 ``timeout_s`` in all.
    guard : callable, optional
        Gets each call in words and as a coroutine to run, so that what ends the connection can end the call.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]], timeout_s: float, guard: Guard = _unguarded) -> None:
        self._write, self._guard = write, guard
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._tag = 0
        self._exchange: _Exchange | None = None
        self._hopeless: dict[bytes, int] = {}
        """Request without its tag, or its op alone -> status that will not change on this connection."""
        self.n_strays = 0
        """Indications that were no answer to the request under way."""

    async def request(self, name: str, *args: Any) -> Any:
        """Send the request called ``name`` and wait for its reply.

        Parameters
        ----------
        name : str
            Name in ``layout.REQUESTS``.
        *args
            Its fields.

        Returns
        -------
        namedtuple
            Fields of the reply.

        Raises
        ------
        RequestError
            When the roller refused.
        LinkLostError
            When no response came in time, or none that can be read.
        """
        return await self._guard(f"asking {name}", self._request(name, *args))

    async def _request(self, name: str, *args: Any) -> Any:
        op, _, *fields = codec.encode_request(name, 0, *args)
        body = bytes(fields)
        same, alike = bytes((op,)) + body, bytes((op,))
        async with self._turn:
            status = self._hopeless.get(alike, self._hopeless.get(same))
            if status is None:
                response = await self._converse(name, body, self._timeout_s + _readings_s(name, args))
                if response.status == _STATUS["OK"]:
                    return response.reply
                status = response.status
        if status == _STATUS["UNKNOWN_OP"]:
            self._hopeless[alike] = status
        elif status == _STATUS["NOT_SUPPORTED"]:
            self._hopeless[same] = status
        raise RequestError(name, status)

    async def _converse(self, name: str, body: bytes, wait_s: float) -> codec.Response:
        """Send a request until there is an answer to go by."""
        n_left = 1 if name in ASKED_ONCE else 2
        pauses = iter(BUSY_PAUSES)
        exchange = self._exchange = _Exchange(codec.OP[name])
        try:
            while n_left:
                response = await self._attempt(exchange, body, wait_s)
                if response is None:
                    n_left -= 1
                elif response.status == _STATUS["BUSY"] and (pause := next(pauses, None)):
                    await asyncio.sleep(pause * self._timeout_s)
                else:
                    return response
        finally:
            self._exchange = None
        raise no_answer(name, wait_s, exchange.garbage, asked_again=name not in ASKED_ONCE)

    async def _attempt(self, exchange: _Exchange, body: bytes, wait_s: float) -> codec.Response | None:
        """Send a request, unless a late answer is there already; None when no answer comes in time."""
        try:
            async with asyncio.timeout(wait_s):
                if exchange.answers.empty():
                    self._tag = (self._tag + 1) & 0xFF
                    exchange.tags.add(self._tag)
                    await self._write(bytes((exchange.op, self._tag)) + body)
                return await exchange.answers.get()
        except TimeoutError:
            return None

    def on_indication(self, payload: bytes) -> None:
        """Take what the roller indicated; strays and garbage are counted and otherwise ignored."""
        exchange = self._exchange
        try:
            response = codec.decode_response(payload)
        except codec.ProtocolError as error:
            self.n_strays += 1
            logger.info("undecodable indication: %s", error)
            if exchange:
                exchange.garbage = str(error)
            return
        if exchange and response.op == exchange.op and response.tag in exchange.tags:
            exchange.tags.remove(response.tag)
            exchange.answers.put_nowait(response)
        else:
            self.n_strays += 1

    # --- Streams ----------------------------------------------------------------------------------------------------

    async def ping(self, echo: bytes = b"") -> bytes:
        """Ask for ``echo``, up to 16 bytes, back."""
        return (await self.request("PING", echo)).echo

    async def stream_ids(self) -> tuple[int, ...]:
        """Ids of the streams that the roller has, those included that this program does not know."""
        return tuple((await self.request("STREAM_LIST")).ids)

    async def stream_info(self, stream_id: int) -> StreamInfo:
        """Layout, scales and rates of a stream."""
        reply = await self.request("STREAM_INFO", stream_id)
        rates_hz = tuple(hz for i, hz in enumerate(layout.RATES_HZ) if reply.rate_mask >> i & 1)
        return StreamInfo._make((*reply[:6], rates_hz))

    async def configure(self, stream_id: int, rate_index: int, range_index: int = 0) -> float:
        """Set rate (index into ``layout.RATES_HZ``) and range (into ``layout.IMU_RANGES``); the measured rate, Hz."""
        return (await self.request("CONFIG", stream_id, rate_index, range_index)).rate_hz

    async def start(self, mask: int, flush_ms: int = reference.FLUSH_MS, linger_s: int = 0) -> Started:
        """Start a session.

        Parameters
        ----------
        mask : int
            Bit n: stream id n.
        flush_ms : int, default 60
            Packet period, 20 to 200 ms; longer ones cost latency and save power.
        linger_s : int, default 0
            How long the roller goes on into its ring after a link loss, 0 to 255 s.
        """
        return Started(*await self.request("START", mask, flush_ms, linger_s))

    async def stop(self) -> Stopped:
        """End the session."""
        return Stopped(*await self.request("STOP"))

    async def session(self) -> SessionReply:
        """What the roller holds of its latest session."""
        return SessionReply(*await self.request("SESSION"))

    async def backfill(self, first: int, last: int) -> BackfillReply:
        """Have packets ``first`` to ``last``, both included, sent again on STREAM."""
        return BackfillReply(*await self.request("BACKFILL", first, last))

    # --- Time -------------------------------------------------------------------------------------------------------

    async def time_sync(self) -> TimeSync:
        """Device clock at some time between call and return; the closer the two, the more it says."""
        return TimeSync(*await self.request("TIME_SYNC"))

    async def set_wall(self, unix_us: int, tz_min: int) -> None:
        """Tell the time of day, us since 1970 UTC, and local time minus UTC, -720 to 840 min.

        The roller's clock is slow by what the call waits for its turn and for BUSY.
        """
        await self.request("SET_WALL", unix_us, tz_min)

    # --- Zero, calibration, geometry --------------------------------------------------------------------------------

    async def tare(self, samples: int) -> Tared:
        """Make the mean of 8 to 320 readings the new zero; a roller that is idle takes them first."""
        return Tared(*await self.request("TARE", samples))

    async def calibration(self) -> codec.Calibration:
        """Read the CALIBRATION record.

        Raises
        ------
        BadRecordError
            When it is damaged.
        """
        payload = await self._both_pages("CAL_READ")
        with damage_told():
            return codec.decode_record("CALIBRATION", payload)

    async def write_calibration(self, record: codec.Calibration) -> None:
        """Store a CALIBRATION record for good; its ``crc16`` is filled in. May need the button (NOT_PERMITTED)."""
        payload = codec.encode_record("CALIBRATION", record)
        for page in (0, 1):
            await self.request("CAL_WRITE", page, payload[16 * page : 16 * page + 16])
        await self.request("CAL_COMMIT", int.from_bytes(payload[-2:], "little"))

    async def geometry(self, head: int = 0) -> codec.Geometry:
        """Read the GEOMETRY record of an exchangeable head.

        Raises
        ------
        BadRecordError
            When it is damaged.
        """
        payload = await self._both_pages("GEOMETRY_READ", head)
        with damage_told():
            return codec.decode_record("GEOMETRY", payload)

    async def _both_pages(self, name: str, *args: int) -> bytes:
        return b"".join([(await self.request(name, *args, page)).half for page in (0, 1)])

    # --- Haptics and light ------------------------------------------------------------------------------------------

    async def haptic_rule(
        self,
        slot: int,
        source: int,
        compare: int,
        level: int,
        hysteresis: int = 0,
        *,
        hold_ms: int = 0,
        pattern: int = 1,
        cooldown_ms: int = 0,
    ) -> None:
        """Have the roller itself buzz on a condition.

        Parameters
        ----------
        slot, source, pattern : int
            Codes in ``layout.HAPTIC_SLOTS``, ``HAPTIC_SOURCES`` and ``HAPTIC_PATTERNS``; the pattern is 1 (TICK) by
            default.
        compare : int
            0 rule off, 1 fires above the level, 2 below it.
        level, hysteresis : int
            In the unit of the source. More hysteresis (default 0) ends the condition later.
        hold_ms : int, default 0
            How long the condition must last; longer ignores more short ones.
        cooldown_ms : int, default 0
            Pause between two firings while the condition lasts, in steps of 100 ms; 0 fires once.
        """
        await self.request("HAPTIC_RULE", slot, source, compare, level, hysteresis, hold_ms, pattern, cooldown_ms)

    async def haptic_play(self, pattern: int, strength_percent: int = 100, repeat: int = 1) -> None:
        """Play a pattern of ``layout.HAPTIC_PATTERNS`` 1 to 10 times; pattern 0 stops the motor."""
        await self.request("HAPTIC_PLAY", pattern, strength_percent, repeat)

    async def led(self, red: int, green: int, blue: int, mode: int = 1) -> None:
        """Light up, 0 to 255 for each colour; ``mode`` is a code in ``layout.LED_MODES``, by default on."""
        await self.request("LED", red, green, blue, mode)

    async def identify(self, seconds: int) -> None:
        """Blink and buzz for 1 to 255 s, so that a person sees which roller this is; 0 stops."""
        await self.request("IDENTIFY", seconds)

    # --- Offline log ------------------------------------------------------------------------------------------------

    async def log_info(self) -> LogExtent:
        """What the roller recorded without a host."""
        return LogExtent(*await self.request("LOG_INFO"))

    async def log_session(self, i_session: int) -> LogSession:
        """One recording of the log, from 0."""
        return LogSession(*await self.request("LOG_SESSION", i_session))

    async def log_read(self, first: int, count: int) -> int:
        """Have ``count`` log packets from ``first`` on sent on STREAM; how many will come."""
        return (await self.request("LOG_READ", first, count)).count

    async def log_advance(self, until: int) -> None:
        """Free the log packets before ``until``: only once they are safely stored."""
        await self.request("LOG_ADVANCE", until)

    # --- The device -------------------------------------------------------------------------------------------------

    async def sleep(self) -> None:
        """Send the roller to sleep, which ends the connection; its button wakes it."""
        await self.request("SLEEP")

    async def reboot(self, *, bootloader: bool = False) -> None:
        """Restart the roller, into its bootloader if wanted, which ends the connection."""
        await self.request("REBOOT", int(bootloader))

    async def factory_reset(self) -> None:
        """Erase log, calibration and bonds, and restart. May need the button (NOT_PERMITTED)."""
        await self.request("FACTORY_RESET")

    async def self_test(self) -> dict[str, bool]:
        """Whether each part in ``layout.SELF_TEST`` passed, by its name."""
        passed = (await self.request("SELF_TEST")).passed
        return {name: bool(passed >> position & 1) for position, name, _ in layout.SELF_TEST}


def _readings_s(name: str, args: tuple[Any, ...]) -> float:
    """How long the roller may measure before it answers."""
    return args[0] / SLOWEST_FORCE_HZ if name == "TARE" else 0.0
