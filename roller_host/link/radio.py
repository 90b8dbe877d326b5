# SPDX-License-Identifier: MIT
"""The one place that decides which Bluetooth is used: the system's own, or any HCI controller through Bumble.

Importing this module is cheap; bleak and Bumble are imported when a radio is first used.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from firmware_protocol import codec
from roller_host.link.states import BadRadioError, Found, NoDeviceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bleak import BleakClient
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

    from roller_host.link.dongle import Dongle

RADIO_FORMS: Final = "native | tcp:HOST:PORT | hci:TRANSPORT (for instance hci:usb:0) | demo"
"""Radios that a person can name."""
SCAN_START_S: Final = 10.0
"""Longest time that the system may take to begin a scan, s."""
SETTLE_S: Final = 0.3
"""How long a scan goes on after the first match, so that a nearer roller can still show up, s."""

_HCI_SCHEMES: Final = ("usb", "pyusb", "serial", "hci-socket", "vhci", "tcp-client", "unix", "ws-client", "udp", "pty")


class NoBluetoothError(NoDeviceError):
    """There is no working Bluetooth to look for rollers with."""


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
    """

    def __init__(self, spec: str, transport: str | None, controller: object | None) -> None:
        self.spec = spec
        self._transport = transport
        self._controller = controller
        self._dongle: Dongle | None = None
        self._seen: dict[str, tuple[Found, BLEDevice]] = {}

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
    ) -> list[Found]:
        """Look for rollers.

        Parameters
        ----------
        seconds : float
            How long to look, s.
        until : callable, optional
            Stops the scan shortly after the first roller for which it is true.
        on_found : callable, optional
            Called with each roller when it is first seen, and again when its name becomes known.

        Returns
        -------
        list of Found
            The rollers seen, strongest first.

        Raises
        ------
        NoDeviceError
            When there is no working Bluetooth. Seeing nothing is no error.
        """
        self._seen = {}
        matched = asyncio.Event()

        def detected(device: BLEDevice, advertisement: AdvertisementData) -> None:
            name = advertisement.local_name or device.name or ""
            found = Found(name, device.address, advertisement.rssi)
            before, _ = self._seen.get(found.address, (None, None))
            self._seen[found.address] = (found, device)
            if on_found and (before is None or before.name != found.name):
                on_found(found)
            if until and until(found):
                matched.set()

        async with self._explained(), self._scanning(detected):
            try:
                async with asyncio.timeout(seconds):
                    await matched.wait()
                    await asyncio.sleep(SETTLE_S)
            except TimeoutError:
                pass
        if self._dongle and self._dongle.lost.done():
            raise NoBluetoothError(self._unavailable("it is gone", "UNKNOWN"))
        return sorted((found for found, _ in self._seen.values()), key=lambda found: -found.rssi_dbm)

    async def find(self, target: str | None, seconds: float) -> Found:
        """Find the roller asked for.

        Parameters
        ----------
        target : str or None
            Address, or beginning of the name, in any case; None takes the strongest roller.
        seconds : float
            How long to look, s.

        Raises
        ------
        NoDeviceError
            When there is no working Bluetooth or no such roller.
        """
        seen = await self.scan(seconds, until=lambda found: _matches(found, target))
        for found in seen:
            if _matches(found, target):
                return found
        others = ", ".join(found.name or found.address for found in seen)
        who = f"No roller called {target!r}" if target else "No roller"
        raise NoDeviceError(
            f"{who} was found within {seconds:g} s{f' (but {others})' if others else ''}. Switch it on, bring it "
            "closer, and make sure that no other program or phone is connected to it."
        )

    @asynccontextmanager
    async def _scanning(self, detected: Callable[[BLEDevice, AdvertisementData], None]) -> AsyncGenerator[None]:
        from bleak import BleakScanner  # noqa: PLC0415 - slow

        scanner = BleakScanner(detected, [codec.uuid_of("SERVICE")], **self._backend("BumbleScanner"))
        async with asyncio.timeout(SCAN_START_S):
            await scanner.start()
        try:
            yield
        finally:
            await scanner.stop()

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

        _, device = self._seen[found.address]
        return BleakClient(device, lambda _: on_disconnect(), timeout=timeout_s, **self._backend("BumbleClient"))

    def _backend(self, name: str) -> dict[str, Any]:
        """Keyword arguments that make bleak use this radio; none for the system's Bluetooth."""
        if self._transport is None and self._controller is None:
            return {}
        try:
            from roller_host.link import bumble_backend, dongle  # noqa: PLC0415 - slow, and an extra
        except ModuleNotFoundError as error:
            raise BadRadioError(
                f"The radio {self.spec!r} needs {error.name}: pip install '.[sim]' in the project's folder"
            ) from error
        if self._dongle is None or self._dongle.lost.done():
            self._dongle = dongle.Dongle(self._transport, self._controller)
        return {"backend": getattr(bumble_backend, name), "hci": self._dongle}

    @asynccontextmanager
    async def _explained(self) -> AsyncGenerator[None]:
        """Turn what bleak and the systems raise without a working adapter into one error that says what to do."""
        from bleak.exc import BleakBluetoothNotAvailableError, BleakError  # noqa: PLC0415 - slow

        try:
            yield
        except TimeoutError as error:
            raise NoBluetoothError(f"Bluetooth did not answer within {SCAN_START_S:g} s. {_HELP}") from error
        except BleakBluetoothNotAvailableError as error:
            raise NoBluetoothError(self._unavailable(error.args[0], error.reason.name)) from error
        except BleakError as error:
            raise NoBluetoothError(f"Bluetooth does not work: {error}. {_HELP}") from error
        except PermissionError as error:
            raise NoBluetoothError(f"Bluetooth may not be used: {error}. {_DENIED_HELP}") from error
        except (FileNotFoundError, ConnectionError) as error:
            raise NoBluetoothError(f"No Bluetooth adapter was found (no system D-Bus). {_HELP}") from error
        except (OSError, EOFError) as error:
            raise NoBluetoothError(f"No Bluetooth adapter was found ({error}). {_HELP}") from error

    def _unavailable(self, text: str, reason: str) -> str:
        if self.spec.startswith("tcp:"):
            address = self.spec.removeprefix("tcp:")
            what = f"Nothing listens on {address}" if reason == "NO_BLUETOOTH" else f"No simulator answers on {address}"
            return f"{what}; start the simulator with roller-sim run --listen {address}"
        if self._transport or self._controller:
            return (
                f"The Bluetooth controller {self.spec} cannot be used ({text}). Check that it is plugged in and free."
            )
        if reason == "POWERED_OFF":
            return "Bluetooth is switched off. Switch it on in the system's settings, or try --radio demo."
        if reason.startswith("DENIED"):
            return f"Bluetooth may not be used by this program ({text}). {_DENIED_HELP}"
        return f"No Bluetooth adapter was found ({text}). {_HELP}"


def _matches(found: Found, target: str | None) -> bool:
    if not target:
        return True
    wanted = target.casefold()
    return found.address.casefold() == wanted or found.name.casefold().startswith(wanted)


_HELP: Final = "Plug one in, switch Bluetooth on and, on Linux, start bluetoothd; or try --radio demo."
_DENIED_HELP: Final = "Allow it in the system's privacy settings (on Linux: group bluetooth); or try --radio demo."


def open_radio(spec: str, *, controller: object | None = None) -> Radio:
    """Make the radio called ``spec``; nothing is opened before its first use.

    Parameters
    ----------
    spec : str
        ``native`` (the system's Bluetooth), ``tcp:HOST:PORT`` (a simulator) or ``hci:TRANSPORT`` (Bumble's name of a
        transport, for instance ``hci:usb:0``). Only a name for messages when there is a controller.
    controller : object, optional
        Controller in this process, an HCI packet source and sink as Bumble defines it.

    Raises
    ------
    BadRadioError
        When the spec is none of these; the message lists them.
    """
    kind, _, rest = spec.partition(":")
    if controller is not None or spec == "native":
        return Radio(spec, None, controller)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isdecimal() and 0 < int(port) <= 0xFFFF:
        return Radio(spec, f"tcp-client:{rest}", None)
    if kind == "hci" and rest.partition(":")[0] in _HCI_SCHEMES:
        return Radio(spec, rest, None)
    raise BadRadioError(f"{spec!r} is no radio; known are: {RADIO_FORMS}")
