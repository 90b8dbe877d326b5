# SPDX-License-Identifier: MIT
"""One connection from scan to goodbye: every payload that crosses it becomes a `Record`."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from firmware_protocol import codec, layout, reference
from roller_host.link.control import Control, RequestError
from roller_host.link.race import InterruptedByEventError, race
from roller_host.link.radio import NoBluetoothError
from roller_host.link.states import LinkError, LinkLostError, LinkPhase, LinkState, NoDeviceError, RefusedError
from roller_host.signal.record import Record, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bleak import BleakClient

    from roller_host.link.radio import Radio
    from roller_host.link.states import Found

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

BATTERY_UUID: Final = "00002a19-0000-1000-8000-00805f9b34fb"
N_TIME_SYNC: Final = 8
"""Clock exchanges before START."""
_FEATURE_OF: Final = {"IMU6": "IMU", "ROLL": "ROLL", "FORCE_RAW": "FORCE_RAW", "TEMP": "TEMP", "EVENT": ""}
"""Streams that the host wants -> the feature bit that offers each; "" is always worth asking for."""
_NEEDS_PAIRING: Final = (0x05, 0x08, 0x0C, 0x0F)
"""ATT errors: authentication, authorization, key size, encryption."""


@dataclass(frozen=True)
class LinkTimes:
    """How patient the link is, s. Shorter times notice trouble earlier and give up more often."""

    connect_s: float = 6.0
    retries_s: tuple[float, ...] = (0.25, 0.5)
    """Pauses between attempts to connect; there is one attempt more than pauses."""
    step_s: float = 5.0
    """Reading, subscribing."""
    request_s: float = 2.0
    stall_s: float = 1.0
    """Silence of the stream after which it counts as stalled."""
    ping_s: float = 5.0
    """Silence after which the roller is asked whether it is still there."""
    watch_s: float = 0.2
    """How often silence is looked at."""


async def stream(
    radio: Radio,
    *,
    target: str | None,
    on_record: Callable[[Record], None],
    on_state: Callable[[LinkState], None],
    stop: asyncio.Event,
    clock: Callable[[], float] = time.monotonic,
    scan_s: float = 10.0,
    on_battery: Callable[[int], None] | None = None,
    times: LinkTimes | None = None,
) -> None:
    """Find a roller, connect, and stream until told to stop.

    Parameters
    ----------
    radio : Radio
        What to scan and connect with; stays open.
    target : str or None
        Address, or beginning of the name, of the roller wanted, in any case; None takes the strongest.
    on_record : callable
        Gets every payload in either direction, decodable or not, before anything else looks at it.
    on_state : callable
        Gets each change of the link's state, the last one included.
    stop : asyncio.Event
        Ends the link in good order when set.
    clock : callable, default ``time.monotonic``
        Monotonic time, s, for the stamps and for noticing silence.
    scan_s : float, default 10
        How long to look for the roller, s.
    on_battery : callable, optional
        Gets the battery level, percent, when it is read and when it changes.
    times : LinkTimes, optional
        Other patience than the default.

    Raises
    ------
    NoDeviceError
        When there is no working Bluetooth, no such roller, or it accepts no connection.
    RefusedError
        When the roller cannot or will not work with this program.
    LinkLostError
        When the connection ends or falls silent before ``stop``.
    Exception
        What one of the callbacks raised.
    """
    link = _Link(radio, on_record, on_state, clock, on_battery or _ignore, times or LinkTimes())
    try:
        try:
            await race(link.open(target, scan_s), stop)
            await link.watch(stop)
        finally:
            await link.close()
    except InterruptedByEventError:
        logger.debug("stopped before streaming")
    except LinkError as error:
        if link.failure:
            on_state(LinkState(LinkPhase.OFF, "the program failed", device=link.name))
            raise link.failure from None
        on_state(LinkState(_phase_of(error), str(error), device=link.name))
        raise
    on_state(LinkState(LinkPhase.OFF, device=link.name))


def _ignore(_percent: int) -> None:
    pass


def _phase_of(error: LinkError) -> LinkPhase:
    if isinstance(error, NoBluetoothError):
        return LinkPhase.NO_BLUETOOTH
    if isinstance(error, NoDeviceError):
        return LinkPhase.OFF
    return LinkPhase.REFUSED if isinstance(error, RefusedError) else LinkPhase.LOST


class _Link:
    """State of one connection."""

    def __init__(
        self,
        radio: Radio,
        on_record: Callable[[Record], None],
        on_state: Callable[[LinkState], None],
        clock: Callable[[], float],
        on_battery: Callable[[int], None],
        times: LinkTimes,
    ) -> None:
        self.name = ""
        self.failure: Exception | None = None
        """What a callback of the caller raised."""
        self._radio = radio
        self._on_record = on_record
        self._on_state = on_state
        self._clock = clock
        self._on_battery = on_battery
        self._times = times
        self._begin_s = clock()
        self._client: BleakClient | None = None
        self._lost = asyncio.Event()
        self._control = Control(self._write_control, times.request_s)
        self._phase = LinkPhase.OFF
        self._heard_s = 0.0

    # --- Payloads ---------------------------------------------------------------------------------------------------

    def _record(self, source: Source, payload: bytes, *, out: bool = False) -> None:
        record = Record(self._clock() - self._begin_s, source, "out" if out else "in", payload)
        try:
            self._on_record(record)
        except Exception as error:  # noqa: BLE001 - its OSErrors must not pass for those of Bluetooth
            self._fail(error)

    def _listener(self, take: Callable[[bytes], None]) -> Callable[[object, bytearray], None]:
        """Make the notification callback that gives payloads to ``take``."""

        def deliver(_characteristic: object, payload: bytearray) -> None:
            try:
                take(bytes(payload))
            except Exception as error:  # noqa: BLE001 - the Bluetooth library would swallow it
                self._fail(error)

        return deliver

    def _fail(self, error: Exception) -> None:
        """End the link because a callback of the caller failed; `stream` raises its error."""
        logger.debug("a callback failed", exc_info=error)
        self.failure = self.failure or error
        self._lost.set()

    def _take_stream(self, payload: bytes) -> None:
        self._record("STREAM", payload)
        self._heard_s = self._clock()
        if self._phase is LinkPhase.STALLED:
            self._enter(LinkPhase.STREAMING)

    def _take_control(self, payload: bytes) -> None:
        self._record("CONTROL", payload)
        self._control.on_indication(payload)

    def _take_status(self, payload: bytes) -> None:
        self._record("STATUS", payload)

    def _take_battery(self, payload: bytes) -> None:
        if payload:
            self._on_battery(payload[0])

    async def _write_control(self, request: bytes) -> None:
        self._record("CONTROL", request, out=True)
        await self._connected().write_gatt_char(codec.uuid_of("CONTROL"), request, response=True)

    # --- Opening ----------------------------------------------------------------------------------------------------

    def _enter(self, phase: LinkPhase, reason: str = "", action: str = "") -> None:
        self._phase = phase
        self._on_state(LinkState(phase, reason, action, self.name))

    def _connected(self) -> BleakClient:
        if self._client is None:
            raise LinkLostError("not connected")
        return self._client

    async def open(self, target: str | None, scan_s: float) -> None:
        """Do all that comes before the first stream packet."""
        self._enter(LinkPhase.SCANNING)
        found = await self._radio.find(target, scan_s)
        self.name = found.name or found.address
        self._client = await self._connect(found)
        info = await self._read_info()
        takers = {"CONTROL": self._take_control, "STREAM": self._take_stream, "STATUS": self._take_status}
        for name, take in takers.items():
            await self._subscribe(name, codec.uuid_of(name), take)
        self._enter(LinkPhase.SUBSCRIBED)
        mask = await self._offered(info)
        await self._read_settings()
        for _ in range(N_TIME_SYNC):
            await self._request("TIME_SYNC", optional=True)
        self._take_status(await self._read("STATUS", codec.uuid_of("STATUS")))
        await self._follow_battery()
        await self._request("START", mask, reference.FLUSH_MS, 0)
        self._heard_s = self._clock()
        self._enter(LinkPhase.STREAMING)

    async def _connect(self, found: Found) -> BleakClient:
        from bleak.exc import BleakError  # noqa: PLC0415 - slow

        for i_attempt, pause_s in enumerate((*self._times.retries_s, None), start=1):
            self._enter(LinkPhase.CONNECTING, f"attempt {i_attempt}" if i_attempt > 1 else "")
            self._lost.clear()
            client = self._radio.client(found, self._lost.set, self._times.connect_s)
            try:
                async with asyncio.timeout(2 * self._times.connect_s):
                    await client.connect()
            except (BleakError, OSError, EOFError) as error:
                logger.info("%s, attempt %d to connect: %s", self.name, i_attempt, error)
                if pause_s is None:
                    raise NoDeviceError(
                        f"{self.name} was seen but accepted no connection in {i_attempt} attempts ({error}). It may "
                        "have moved away or be connected to another program: bring it closer, close the other one, "
                        "then try again."
                    ) from error
                await asyncio.sleep(pause_s)
            else:
                return client
        raise AssertionError

    async def _read_info(self) -> codec.Info:
        payload = await self._read("INFO", codec.uuid_of("INFO"))
        self._record("INFO", payload)
        try:
            return codec.decode_record("INFO", payload)
        except codec.ProtocolError as error:
            raise RefusedError(
                f"{self.name} cannot be used: {error}. Update the older one of the two, firmware or program."
            ) from error

    async def _offered(self, info: codec.Info) -> int:
        """START mask of the streams that the host wants; asks for the scales of each.

        Streams of a newer protocol are asked about as well: the sizes of their samples let packets be read past them.
        """
        listed = await self._request("STREAM_LIST", optional=True)
        for stream_id in listed.ids if listed else b"":
            if stream_id not in codec.STREAM_FIELDS:
                with suppress(RequestError):
                    await self._request("STREAM_INFO", stream_id)
        mask = 0
        for name, feature in _FEATURE_OF.items():
            stream_id = codec.STREAM_ID[name]
            if feature and not info.features & codec.bit(layout.FEATURES, feature):
                continue
            if await self._request("STREAM_INFO", stream_id, optional=True):
                mask |= 1 << stream_id
        if not mask:
            raise RefusedError(f"{self.name} offers no stream that this program knows. Update firmware and program.")
        return mask

    async def _read_settings(self) -> None:
        for page in (0, 1):
            await self._request("CAL_READ", page, optional=True)
        for page in (0, 1):
            await self._request("GEOMETRY_READ", 0, page, optional=True)

    async def _follow_battery(self) -> None:
        """Read the battery level and follow it; systems that keep the Battery service to themselves are no error."""
        if self._connected().services.get_characteristic(BATTERY_UUID) is None:
            return
        try:
            self._take_battery(await self._read("the battery", BATTERY_UUID))
            await self._subscribe("the battery", BATTERY_UUID, self._take_battery)
        except RefusedError as error:
            logger.info("no battery level: %s", error)

    async def _read(self, name: str, uuid: str) -> bytes:
        return bytes(await self._step(f"reading {name}", self._connected().read_gatt_char(uuid)))

    async def _subscribe(self, name: str, uuid: str, take: Callable[[bytes], None]) -> None:
        await self._step(f"subscribing to {name}", self._connected().start_notify(uuid, self._listener(take)))

    async def _request(self, name: str, *args: Any, optional: bool = False) -> Any:
        """Reply of a control request; None when it is ``optional`` and the roller does not have it."""
        try:
            return await self._step(f"asking {name}", self._control.request(name, *args))
        except LinkLostError:
            self._lost.set()
            raise
        except RequestError as error:
            if optional and error.status in ("NOT_SUPPORTED", "UNKNOWN_OP"):
                return None
            raise

    async def _step(self, doing: str, work: Coroutine[Any, Any, _T]) -> _T:
        """Do one thing over the connection, with every way to fail in words that a person can use."""
        from bleak.exc import BleakCharacteristicNotFoundError, BleakError, BleakGATTProtocolError  # noqa: PLC0415

        try:
            async with asyncio.timeout(self._times.step_s):
                return await race(work, self._lost)
        except BleakCharacteristicNotFoundError as error:
            raise RefusedError(
                f"{self.name} lacks a characteristic ({doing}). Update its firmware; if that was just done, remove "
                "the roller from the system's Bluetooth settings, so that they forget the old one."
            ) from error
        except BleakGATTProtocolError as error:
            what = "needs pairing" if error.args[0] in _NEEDS_PAIRING else f"refused ({error.args[1]})"
            raise RefusedError(
                f"{self.name} {what} while {doing}. Pair with it in the system's Bluetooth settings, then try again."
            ) from error
        except TimeoutError as error:
            raise self._gone(f"did not answer within {self._times.step_s:g} s while {doing}") from error
        except (InterruptedByEventError, BleakError, OSError, EOFError) as error:
            raise self._gone(f"is gone while {doing}{f' ({error})' if str(error) else ''}") from error

    def _gone(self, what: str) -> LinkLostError:
        return LinkLostError(
            f"{self.name} {what}. It may be out of range, switched off or out of battery: bring it closer, check that "
            "it is on, then start again."
        )

    # --- Streaming --------------------------------------------------------------------------------------------------

    async def watch(self, stop: asyncio.Event) -> None:
        """Return when ``stop`` is set; meanwhile notice silence and the end of the connection."""
        asked_s = self._heard_s
        while not stop.is_set():
            if self._lost.is_set():
                raise self._gone("is gone: the connection ended while streaming")
            now_s = self._clock()
            if now_s - self._heard_s < self._times.stall_s:
                asked_s = self._heard_s
            elif self._phase is LinkPhase.STREAMING:
                self._enter(LinkPhase.STALLED, "no data from the roller", "Bring it closer to the computer.")
            if now_s - asked_s >= self._times.ping_s:
                asked_s = now_s
                with suppress(RequestError):  # a refusal is an answer
                    await self._request("PING", b"")
            with suppress(InterruptedByEventError):
                await race(asyncio.sleep(self._times.watch_s), stop, self._lost)

    async def close(self) -> None:
        """Say goodbye as far as there is still somebody to say it to; takes a few seconds at most and never fails."""
        from bleak.exc import BleakError  # noqa: PLC0415 - slow

        if self._client is None:
            return
        goodbye = [self._end_stream] if self._phase in (LinkPhase.STREAMING, LinkPhase.STALLED) else []
        for farewell in (*goodbye, self._client.disconnect):
            try:
                async with asyncio.timeout(self._times.request_s):
                    await farewell()
            except (LinkError, BleakError, OSError, EOFError) as error:
                logger.debug("while closing: %s", error)
        self._client = None

    async def _end_stream(self) -> None:
        if self._lost.is_set():
            return
        await self._request("STOP")
        for name in ("STREAM", "STATUS", "CONTROL"):
            await self._step(f"unsubscribing from {name}", self._connected().stop_notify(codec.uuid_of(name)))
