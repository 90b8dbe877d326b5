# SPDX-License-Identifier: MIT
"""One connection to a roller: no step is without a time limit, and each races the end of the link."""

from __future__ import annotations

import asyncio
import logging
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from firmware_protocol import codec, layout
from roller_host.link import bluez
from roller_host.link.control import Control
from roller_host.link.passkey import pair_by_typing
from roller_host.link.race import InterruptedByEventError, race
from roller_host.link.refusals import BadRecordError, RequestError, if_known
from roller_host.link.states import (
    BondLostError,
    LinkError,
    LinkLostError,
    LinkPhase,
    NoBluetoothError,
    NoDeviceError,
    PairingError,
    RefusedError,
    TakenError,
)
from roller_host.link.unavailable import SWITCHED_OFF

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from roller_host.link.passkey import PasskeySource
    from roller_host.link.radio import Radio
    from roller_host.link.states import Found
    from roller_host.link.times import LinkTimes
    from roller_host.signal.record import Source

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

BATTERY_UUID: Final = "00002a19-0000-1000-8000-00805f9b34fb"
OPEN, AUTHENTICATED = 0, 3
"""Security modes, see ``layout.SECURITY_MODES``."""
_FEATURE_OF: Final = {"IMU6": "IMU", "ROLL": "ROLL", "FORCE_RAW": "FORCE_RAW", "TEMP": "TEMP", "EVENT": ""}
"""Streams that the host wants -> the feature bit that offers each; "" is always worth asking for."""
_NEEDS_PAIRING: Final = (0x05, 0x08, 0x0C, 0x0F)
"""ATT errors: authentication, authorization, key size, encryption."""
_BOND_GONE: Final = ("PIN_OR_KEY_MISSING", "AuthenticationFailed", "AUTHENTICATION_FAILURE", "KEY_MISSING")
"""What systems say when one side has forgotten the other."""
_TYPE_DIGITS: Final = "Type the six digits on its label: --passkey, or the system's dialog. Then try again."
_NEEDS_AGENT: Final = (
    " If nothing asks for them, use --passkey; or run bluetoothctl in another terminal, type agent KeyboardOnly and "
    "default-agent, and give it the digits."
)
_FORGET: Final = 'Choose "forget" for it here and in the system\'s Bluetooth settings, then pair again.'


class Connection:
    """One connection; made by `meet` and `open`, ended by `close`.

    Parameters
    ----------
    radio : Radio
        What to connect through.
    found : Found
        The roller.
    times : LinkTimes
        Patience.
    on_payload : callable
        Gets the source, every payload, and whether it went out.
    on_battery : callable
        Gets the battery level, percent.
    """

    info: codec.Info

    def __init__(
        self,
        radio: Radio,
        found: Found,
        times: LinkTimes,
        on_payload: Callable[[Source, bytes, bool], None],
        on_battery: Callable[[int], None],
    ) -> None:
        self.name = found.name or found.address
        self.lost = asyncio.Event()
        """Set when the connection is over, whoever ended it."""
        self._times = times
        self._on_payload = on_payload
        self._on_battery = on_battery
        self._mode = OPEN
        self._heard: set[Source] = set()
        self.radio = radio
        """What it goes through."""
        self._found = found
        self._is_paired, self._bluez_path = radio.is_paired(found), radio.bluez_path(found)
        self._claim = radio.claim(found)
        self._client = radio.client(found, self.lost.set, times.connect_s)
        self.control = self._make_control()

    def _make_control(self) -> Control:
        """Requests, which somebody may keep for longer than the connection: they do not keep it."""
        on_payload, client, name, held = self._on_payload, self._client, self.name, weakref.ref(self)

        async def write(request: bytes) -> None:
            on_payload("CONTROL", request, True)
            await client.write_gatt_char(codec.uuid_of("CONTROL"), request, response=True)

        async def guard(doing: str, work: Coroutine[Any, Any, Any]) -> Any:
            if (connection := held()) is not None:
                return await connection.step(doing, work, limited=False)
            work.close()
            raise _gone(name, f"is gone while {doing}")

        return Control(write, self._times.request_s, guard)

    async def meet(self, on_phase: Callable[[LinkPhase, str], None]) -> None:
        """Connect and read INFO, which says who this is.

        Raises
        ------
        NoDeviceError
            When another program has it, it accepts no connection, or Bluetooth is switched off.
        BondLostError
            When the roller has forgotten this computer.
        RefusedError
            When the roller cannot work with this program.
        LinkLostError
            When the connection ends meanwhile.
        """
        on_phase(LinkPhase.CONNECTING, "")
        await self._connect()
        self.info = await self._read_info()
        self._mode = self.info.security_mode

    async def open(self, on_phase: Callable[[LinkPhase, str], None]) -> None:
        """Pair when INFO says so, and listen to what the roller answers.

        Raises
        ------
        BondLostError
            When one side has forgotten the other.
        RefusedError
            When the roller cannot or will not work with this program.
        LinkLostError
            When the connection ends meanwhile.
        """
        if self.info.security_mode != OPEN and sys.platform != "darwin":
            # macOS pairs by itself, at the first protected attribute.
            source = await self.radio.passkey_source(self._found) if self._mode == AUTHENTICATED else None
            if not self._is_paired:
                on_phase(LinkPhase.PAIRING, "" if source or self._pairs_alone else self._system_asks)
            if source is None:
                await self.pair()
            else:
                await self._pair_by_typing(source)
        await self.listen("CONTROL")
        on_phase(LinkPhase.SUBSCRIBED, "")

    async def _connect(self) -> None:
        from bleak.exc import BleakError  # noqa: PLC0415 - slow

        if self._claim and not self._claim.take():
            raise TakenError.of(self.name)
        await self.radio.settle(self._found)
        try:
            async with asyncio.timeout(2 * self._times.connect_s):
                await self._client.connect()
        except (BleakError, OSError, EOFError) as error:
            if any(word in str(error) for word in _BOND_GONE):
                raise BondLostError(f"{self.name} has forgotten this computer.", _FORGET) from error
            if bluez.is_switched_off(error):
                raise NoBluetoothError(*SWITCHED_OFF) from error
            logger.info("%s: %s", self.name, error)
            raise NoDeviceError(
                f"{self.name} was seen but accepted no connection ({str(error) or 'no answer'}).",
                "It may have moved away, or another program be faster: bring it closer, close that, try again.",
            ) from error

    async def _read_info(self) -> codec.Info:
        payload = await self.read("INFO", codec.uuid_of("INFO"))
        self._on_payload("INFO", payload, False)
        try:
            return codec.decode_record("INFO", payload)
        except codec.ProtocolError as error:
            raise RefusedError(
                f"{self.name} cannot be used: {error}.", "Update the older one of the two, firmware or program."
            ) from error

    async def _pair_by_typing(self, source: PasskeySource) -> None:
        try:
            await pair_by_typing(self, source, self._times.type_s)
        except InterruptedByEventError as error:
            raise self.gone("is gone while its passkey was waited for") from error

    async def pair(self) -> None:
        """Pair, with the passkey of the radio if the roller wants one; raises like `open`."""
        from bleak.exc import BleakError  # noqa: PLC0415 - slow

        help_text = (
            "Hold the roller's button for 3 s if it has a pairing window, answer the system's dialog, try again."
        )
        if self.info.security_mode == AUTHENTICATED:
            help_text = _TYPE_DIGITS + _NEEDS_AGENT * bool(self._bluez_path)
        try:
            async with asyncio.timeout(self._times.pair_s):
                await race(self._pairing(), self.lost)
        except NotImplementedError:
            logger.debug("this system pairs by itself")
        except TimeoutError as error:
            raise PairingError(f"Pairing with {self.name} was not answered.", help_text) from error
        except InterruptedByEventError as error:
            raise BondLostError(f"{self.name} ended the connection while pairing.", _FORGET) from error
        except (BleakError, OSError, EOFError) as error:
            # BlueZ says the same when nobody was there to answer, and then there is no bond that could be lost.
            had_bond = self._is_paired or not self._bluez_path
            if self.lost.is_set() or (had_bond and any(word in str(error) for word in _BOND_GONE)):
                raise BondLostError(
                    f"{self.name} or this computer has forgotten the other ({error}).", _FORGET
                ) from error
            raise PairingError(f"{self.name} and this computer could not be paired ({error}).", help_text) from error

    @property
    def _system_asks(self) -> str:
        if self._mode == AUTHENTICATED and self.radio.passkey is None:
            return "the system may ask for the six digits on its label"
        return "the system may ask for your consent"

    @property
    def _pairs_alone(self) -> bool:
        """Whether no person has to answer: with BlueZ, when there is nothing to ask, or the answer is known."""
        return bool(self._bluez_path) and (self._mode != AUTHENTICATED or self.radio.passkey is not None)

    def _pairing(self) -> Coroutine[Any, Any, None]:
        if self._pairs_alone:
            return bluez.pair(self._bluez_path, self.radio.passkey if self._mode == AUTHENTICATED else None)
        return self._client.pair()

    async def unpair(self) -> None:
        """End the connection and forget the keys of this roller; harmless where that is not possible."""
        from bleak.exc import BleakError  # noqa: PLC0415 - slow

        # On BlueZ, bleak fails to disconnect from what it has unpaired.
        await self.close()
        with suppress(BleakError, NotImplementedError, OSError, EOFError, TimeoutError):
            async with asyncio.timeout(self._times.step_s):
                await self._client.unpair()

    # --- Steps ------------------------------------------------------------------------------------------------------

    async def listen(self, name: Source) -> None:
        """Subscribe to a characteristic, once; its payloads go to ``on_payload``."""
        if name in self._heard:
            return

        def take(payload: bytes) -> None:
            self._on_payload(name, payload, False)
            if name == "CONTROL":
                self.control.on_indication(payload)

        await self._subscribe(name, codec.uuid_of(name), take)
        self._heard.add(name)

    async def listen_again(self, name: Source) -> None:
        """Subscribe once more, for a system that has lost the subscription."""
        await self.step(f"unsubscribing from {name}", self._client.stop_notify(codec.uuid_of(name)))
        self._heard.discard(name)
        await self.listen(name)

    async def follow_battery(self) -> None:
        """Read the battery level and follow it; systems that keep the Battery service to themselves are no error."""
        if self._client.services.get_characteristic(BATTERY_UUID) is None:
            return
        try:
            self._take_battery(await self.read("the battery", BATTERY_UUID))
            await self._subscribe("the battery", BATTERY_UUID, self._take_battery)
        except RefusedError as error:
            logger.info("no battery level: %s", error)

    def _take_battery(self, payload: bytes) -> None:
        if payload:
            self._on_battery(payload[0])

    async def read_status(self) -> int | None:
        """Read STATUS, which is otherwise told when it changes; the state in it, None when it cannot be read."""
        payload = await self.read("STATUS", codec.uuid_of("STATUS"))
        self._on_payload("STATUS", payload, False)
        with suppress(codec.ProtocolError):
            return codec.decode_record("STATUS", payload).state
        return None

    async def read(self, name: str, uuid: str) -> bytes:
        """Read a characteristic."""
        return bytes(await self.step(f"reading {name}", self._client.read_gatt_char(uuid)))

    async def _subscribe(self, name: str, uuid: str, take: Callable[[bytes], None]) -> None:
        def deliver(_characteristic: object, payload: bytearray) -> None:
            take(bytes(payload))

        await self.step(f"subscribing to {name}", self._client.start_notify(uuid, deliver, **self.radio.notify_options))

    async def learn(self) -> int:
        """Ask for everything that is needed to read the roller's packets: scales, calibration, geometry.

        Streams of a newer protocol are asked about as well: the sizes of their samples let packets be read past them.

        Returns
        -------
        int
            START mask of the streams that the host wants and the roller offers.

        Raises
        ------
        RefusedError
            When there is none.
        """
        control = self.control
        for stream_id in await if_known(control.stream_ids()) or ():
            if stream_id not in codec.STREAM_FIELDS:
                with suppress(RequestError):
                    await control.stream_info(stream_id)
        mask = 0
        for name, feature in _FEATURE_OF.items():
            stream_id = codec.STREAM_ID[name]
            if feature and not self.info.features & codec.bit(layout.FEATURES, feature):
                continue
            if await if_known(control.stream_info(stream_id)):
                mask |= 1 << stream_id
        if not mask:
            raise RefusedError(f"{self.name} offers no stream that this program knows.", "Update firmware and program.")
        for reading in (control.calibration, control.geometry):
            # Whoever reads the recording says what a damaged record means.
            with suppress(BadRecordError):
                await if_known(reading())
        return mask

    async def step(self, doing: str, work: Coroutine[Any, Any, _T], *, limited: bool = True) -> _T:
        """Do one thing over the connection, with every way to fail in words that a person can use."""
        from bleak.exc import BleakCharacteristicNotFoundError, BleakError, BleakGATTProtocolError  # noqa: PLC0415

        try:
            async with asyncio.timeout(self._times.step_s if limited else None):
                return await race(work, self.lost)
        except BleakCharacteristicNotFoundError as error:
            raise RefusedError(
                f"{self.name} lacks a characteristic ({doing}).",
                "Update its firmware; if that was just done, remove the roller from the system's Bluetooth settings, "
                "so that they forget the old one.",
            ) from error
        except BleakGATTProtocolError as error:
            if error.args[0] in _NEEDS_PAIRING:
                raise self._unpaired(doing) from error
            raise RefusedError(
                f"{self.name} refused ({error.args[1]}) while {doing}.", "Switch it off and on."
            ) from error
        except TimeoutError as error:
            raise self.gone(f"did not answer within {self._times.step_s:g} s while {doing}") from error
        except (InterruptedByEventError, BleakError, OSError, EOFError) as error:
            raise self.gone(f"is gone while {doing}{f' ({error})' if str(error) else ''}") from error

    def _unpaired(self, doing: str) -> PairingError:
        if self._mode == AUTHENTICATED:
            return PairingError(f"{self.name} needs its passkey, and refused while {doing}.", _TYPE_DIGITS)
        return BondLostError(f"{self.name} needs pairing, and refused while {doing}.", _FORGET)

    def gone(self, what: str) -> LinkLostError:
        """Make the error of a link that ended."""
        return _gone(self.name, what)

    # --- The end ----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Disconnect; takes a few seconds at most and never fails."""
        from bleak.exc import BleakError  # noqa: PLC0415 - slow

        was_over = self.lost.is_set()
        try:
            # bluetoothd takes two seconds of its own; a system that hangs is left behind.
            async with asyncio.timeout(self._times.step_s):
                await self._client.disconnect()
        except (LinkError, BleakError, OSError, EOFError) as error:
            logger.debug("while closing: %s", error)
        finally:
            if self._claim:
                self._claim.release()
        if not was_over:
            self.radio.left(self._found)
        self.lost.set()


def _gone(name: str, what: str) -> LinkLostError:
    return LinkLostError(
        f"{name} {what}.",
        "It may be out of range, switched off or out of battery: bring it closer, check that it is on, then start "
        "again.",
    )
