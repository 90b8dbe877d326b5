# SPDX-License-Identifier: MIT
"""The one place that decides which Bluetooth is used: the system's own, or any HCI controller through Bumble.

Importing this module is cheap; bleak and Bumble are imported when a radio is first used.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import time
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from firmware_protocol import codec
from roller_host.link import bluez
from roller_host.link.claim import Claim
from roller_host.link.race import end
from roller_host.link.sightings import Sightings, Wanted
from roller_host.link.states import BadRadioError, Found, NoDeviceError, TakenError
from roller_host.link.unavailable import SCAN_START_S, explained, gone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from bleak import BleakClient
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

    from roller_host.link.dongle import Dongle
    from roller_host.link.passkey import PasskeySource

logger = logging.getLogger(__name__)

RADIO_FORMS: Final = "native | tcp:HOST:PORT | hci:TRANSPORT (for instance hci:usb:0) | demo"
"""Radios that a person can name."""
LEFT_S: Final = 0.5
"""From leaving a roller to connecting to it again, s: up to 20 ms are too short for BlueZ on Linux 6.1, 0.3 s did."""
HELD_S: Final = 0.5
"""How often a scan looks again at the rollers that the system holds connected, s."""

_HCI_SCHEMES: Final = ("usb", "pyusb", "serial", "hci-socket", "vhci", "tcp-client", "unix", "ws-client", "udp", "pty")

TAKEN_S: Final = 4.0
"""A roller whose host died says that it is taken for as long as its supervision timeout, usually 2 to 4 s."""
SETTLE_S: Final = 0.3
"""How long a scan for any roller goes on after the first, so that a nearer one can still show up, s."""
NAMELESS_S: Final = 1.0
"""How long a roller may be without a name before it is taken as it is, s."""


class Radio:
    """A Bluetooth adapter to scan with and connect through. Made by `open_radio`; close it in the end.

    Parameters
    ----------
    spec : str
        What the person asked for, for messages.
    transport : str or None
        Bumble's name of an HCI transport; None for the system's Bluetooth or an injected controller.
    controller : object or None
        Controller in this process.
    passkey : int or None
        Six digits on the label of rollers that want them; without it the system asks, if it can.
    claims : Path or None
        Folder in which programs of this computer claim what only one may do at a time; None claims nothing.
    """

    def __init__(
        self,
        spec: str,
        transport: str | None,
        controller: object | None,
        passkey: int | None = None,
        claims: Path | None = None,
    ) -> None:
        self.spec = spec
        self.passkey = passkey
        self.passkeys: PasskeySource | None = None
        """Asks somebody for a passkey that was not given; without it the system asks, if it can."""
        self._claims = claims
        self._transport = transport
        self._controller = controller
        self._dongle: Dongle | None = None
        self._seen: dict[str, tuple[Found, BLEDevice]] = {}
        self._left_s: dict[str, float] = {}
        self.notify_options = bluez.notify_options() if self._is_system else {}
        """Keyword arguments for ``start_notify`` of the clients of this radio."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the adapter; safe to call twice. Using the radio again opens it again."""
        dongle, self._dongle = self._dongle, None
        if dongle:
            await dongle.close()

    async def scan(
        self,
        seconds: float,
        *,
        until: Callable[[Found], bool] | None = None,
        on_found: Callable[[Found], None] | None = None,
        on_begun: Callable[[], None] | None = None,
    ) -> list[Found]:
        """Look for rollers.

        Parameters
        ----------
        seconds : float
            How long to look, s.
        until : callable, optional
            Stops the scan at the first roller for which it is true.
        on_found : callable, optional
            Called with each roller when it is first seen, when what is known of it changes, and about once a second.
        on_begun : callable, optional
            Called once Bluetooth works and is scanning.

        Returns
        -------
        list of Found
            The rollers seen: those that are free first, the strongest of them first.

        Raises
        ------
        NoDeviceError
            When there is no working Bluetooth. Seeing nothing is no error.
        """
        sightings = Sightings(until, on_found)
        self._seen = sightings.seen

        async def look_at_held() -> None:
            sightings.note_held(await self._held_by_system())

        async with explained(self.spec, is_system=self._is_system):
            await look_at_held()
            async with self._scanning(sightings.hear), self._repeating(look_at_held):
                if on_begun:
                    on_begun()
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await sightings.matched.wait()
        if self._dongle and self._dongle.lost.done():
            raise gone(self.spec, is_system=self._is_system)
        return sightings.ranked()

    async def find(
        self,
        wanted: Wanted,
        seconds: float,
        on_found: Callable[[Found], None] | None = None,
        on_begun: Callable[[], None] | None = None,
    ) -> Found:
        """Find the roller wanted.

        Parameters
        ----------
        wanted : Wanted
            Which one.
        seconds : float
            How long to look, s.
        on_found : callable, optional
            As for `scan`, for the rollers that may be meant.
        on_begun : callable, optional
            As for `scan`.

        Raises
        ------
        TakenError
            When another program is connected to it.
        NoDeviceError
            When there is no working Bluetooth or no such roller.
        """
        first_s: dict[str, float] = {}
        settle_s = SETTLE_S if wanted == Wanted() else 0.0

        def heard(found: Found) -> bool:
            if not wanted.matches(found):
                return False
            if on_found:
                on_found(found)
            # Name and "taken" come in the scan response, a moment after the advertisement.
            stage = "taken" if found.taken else "free" if found.name else "nameless"
            waited_s = found.seen_s - first_s.setdefault(f"{found.address} {stage}", found.seen_s)
            return waited_s >= {"taken": TAKEN_S, "free": settle_s, "nameless": NAMELESS_S}[stage]

        seen = await self.scan(seconds, until=heard, on_begun=on_begun)
        fitting = [found for found in seen if wanted.matches(found)]
        if fitting and not fitting[0].taken:
            return fitting[0]
        if fitting:
            raise TakenError.of(fitting[0].name or fitting[0].address)
        others = ", ".join(found.name or found.address for found in seen)
        raise NoDeviceError(
            f"No {wanted.words} was found within {seconds:g} s{f' (but {others})' if others else ''}.",
            "Switch it on, bring it closer, and make sure that no phone or other program is connected to it.",
        )

    async def _held_by_system(self) -> list[tuple[BLEDevice, bool]]:
        """Rollers that the system holds connected, and whether a program uses them; these advertise no more."""
        if not self._is_system:
            return []
        from bleak import BleakAdapter  # noqa: PLC0415 - slow
        from bleak.exc import BleakError  # noqa: PLC0415

        with suppress(NotImplementedError, BleakError):
            async with asyncio.timeout(SCAN_START_S):
                adapter = await BleakAdapter.get()
                devices = await adapter.get_connected_devices([codec.uuid_of("SERVICE")])
                in_use = await bluez.listened_to() if devices else frozenset[str]()
                return [(device, bluez.path_of(device) in in_use) for device in devices]
        return []

    @asynccontextmanager
    async def _repeating(self, look: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
        """Do something again and again meanwhile, where programs share the connection of the system."""

        async def repeat() -> None:
            while self._is_system and bluez.HERE:
                await asyncio.sleep(HELD_S)
                await look()

        task = asyncio.create_task(repeat())
        try:
            yield
        finally:
            await end(task)

    @property
    def _is_system(self) -> bool:
        """Whether this is the system's own Bluetooth."""
        return self._transport is None and self._controller is None

    @asynccontextmanager
    async def _scanning(self, detected: Callable[[BLEDevice, AdvertisementData], None]) -> AsyncGenerator[None]:
        from bleak import BleakScanner  # noqa: PLC0415 - slow
        from bleak.exc import BleakError  # noqa: PLC0415

        scanner = BleakScanner(detected, [codec.uuid_of("SERVICE")], **self._backend("BumbleScanner"))
        # Of two programs that begin at the same moment, BlueZ 5.66 may leave one without an answer.
        turn = self._claim_to("scan")
        async with asyncio.timeout(SCAN_START_S), turn.in_turn() if turn else nullcontext():
            await scanner.start()
        try:
            yield
        finally:
            try:
                await scanner.stop()
            except BleakError as error:
                # What was found was found.
                if not bluez.is_busy(error):
                    raise
                logger.info("the scan does not end: %s", error)

    def client(self, found: Found, on_disconnect: Callable[[], None], timeout_s: float) -> BleakClient:
        """Make the bleak client for a roller that `scan` returned; it is not connected yet.

        Parameters
        ----------
        found : Found
            The roller.
        on_disconnect : callable
            Called once when an established connection ends, for whatever reason.
        timeout_s : float
            Longest time to connect, s.
        """
        from bleak import BleakClient  # noqa: PLC0415 - slow

        device = self._device(found)
        return BleakClient(device, lambda _: on_disconnect(), timeout=timeout_s, **self._backend("BumbleClient"))

    def _device(self, found: Found) -> BLEDevice:
        return self._seen[found.address][1]

    def is_paired(self, found: Found) -> bool:
        """Whether the system says that it is paired with a roller that `scan` returned; few systems say so."""
        return bluez.is_paired(self._device(found))

    async def passkey_source(self, found: Found) -> PasskeySource | None:
        """Who is to be asked for the digits of a roller that pairs by them; None when nobody needs to be."""
        if self.passkey is not None or self.is_paired(found):
            return None
        if self._is_system:
            # Windows and macOS ask by themselves.
            return self.passkeys if bluez.HERE else None
        known = self._dongle is not None and await self._dongle.holds_keys(self._device(found).details)
        return None if known else self.passkeys

    def use_passkey(self, passkey: int | None) -> None:
        """Pair with these digits from now on; None for without."""
        self.passkey = passkey
        if self._dongle:
            self._dongle.passkey = passkey

    def bluez_path(self, found: Found) -> str:
        """Where BlueZ has a roller that `scan` returned; empty when this radio is not BlueZ."""
        return bluez.path_of(self._device(found)) if self._is_system else ""

    def claim(self, found: Found) -> Claim | None:
        """Make the claim to a roller, to be taken before connecting to it; None when nothing is claimed here.

        Systems let programs share a connection, and tell too late who has it to keep two apart that begin at once.
        """
        return self._claim_to(found.address)

    def _claim_to(self, what: str) -> Claim | None:
        name = re.sub("[^0-9A-Za-z]+", "-", f"{self.spec} {what}")
        return Claim(self._claims / f"{name}.lock") if self._claims else None

    def left(self, found: Found) -> None:
        """Note that this program has ended a connection, or an attempt at one."""
        self._left_s[found.address] = time.monotonic()

    async def settle(self, found: Found) -> None:
        """Wait until a roller that was left can be connected again: BlueZ says too early that a connection is over."""
        if self._is_system and bluez.HERE and found.address in self._left_s:
            await asyncio.sleep(self._left_s.pop(found.address) + LEFT_S - time.monotonic())

    def _backend(self, name: str) -> dict[str, Any]:
        """Keyword arguments that make bleak use this radio; none for the system's Bluetooth."""
        if self._is_system:
            return {}
        try:
            from roller_host.link import bumble_backend, dongle  # noqa: PLC0415 - slow, and an extra
        except ModuleNotFoundError as error:
            raise BadRadioError(
                f"The radio {self.spec!r} needs {error.name}: pip install '.[sim]' in the project's folder"
            ) from error
        if self._dongle and self._dongle.lost.done():
            self._dongle = None
            # An adapter that was pulled out leaves Bumble's whole stack behind, 80 kB of objects in rings.
            gc.collect()
        if self._dongle is None:
            self._dongle = dongle.Dongle(self._transport, self._controller, self.passkey)
        return {"backend": getattr(bumble_backend, name), "hci": self._dongle}


def open_radio(
    spec: str, *, controller: object | None = None, passkey: int | None = None, claims: Path | None = None
) -> Radio:
    """Make the radio called ``spec``; nothing is opened before its first use.

    Parameters
    ----------
    spec : str
        ``native`` (the system's Bluetooth), ``tcp:HOST:PORT`` (a simulator) or ``hci:TRANSPORT`` (Bumble's name of a
        transport, for instance ``hci:usb:0``). Only a name for messages when there is a controller.
    controller : object, optional
        Controller in this process, an HCI packet source and sink as Bumble defines it.
    passkey : int, optional
        Six digits on the label of a roller that wants them; without it the system asks, if it can. Windows and macOS
        always ask.
    claims : Path, optional
        Folder in which programs of this computer claim what only one may do at a time: begin a scan, be connected to
        a roller. It need not exist. By default nothing is claimed.

    Raises
    ------
    BadRadioError
        When the spec is none of these, the message lists them; when the setting for BlueZ makes no sense.
    """
    kind, _, rest = spec.partition(":")
    if controller is not None or spec == "native":
        return Radio(spec, None, controller, passkey, claims)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isdecimal() and 0 < int(port) <= 0xFFFF:
        return Radio(spec, f"tcp-client:{rest}", None, passkey, claims)
    if kind == "hci" and rest.partition(":")[0] in _HCI_SCHEMES:
        return Radio(spec, rest, None, passkey, claims)
    raise BadRadioError(f"{spec!r} is no radio; known are: {RADIO_FORMS}")
