# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""An HCI controller with Bumble's host on top: what scanner and clients of one radio share."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason
from bumble import core, hci, pairing
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.host import Host
from bumble.transport import open_transport

if TYPE_CHECKING:
    from bleak.backends.service import BleakGATTServiceCollection
    from bumble.gatt_client import ServiceProxy
    from bumble.transport.common import Transport

logger = logging.getLogger(__name__)

OPEN_S: Final = 5.0
"""Longest time that a controller may take to start, s."""
CLOSE_S: Final = 2.0
_ABSENT: Final = BleakBluetoothNotAvailableReason.NO_BLUETOOTH
_SILENT: Final = BleakBluetoothNotAvailableReason.UNKNOWN


class AttributeTable(NamedTuple):
    """What was discovered on a peripheral."""

    digest: bytes
    """Database hash; empty when it has none."""
    services: list[ServiceProxy]
    collection: BleakGATTServiceCollection
    """Those of the services that were asked for, for bleak."""


class _Typist(pairing.PairingDelegate):
    """Types a passkey when asked for one."""

    def __init__(self, passkey: int) -> None:
        super().__init__(self.KEYBOARD_INPUT_ONLY)
        self._passkey = passkey

    async def get_number(self) -> int | None:
        return self._passkey


class Dongle:
    """One HCI controller with Bumble's host on top, shared by all scanners and clients of a radio.

    Parameters
    ----------
    transport : str or None
        Bumble's name of the transport, for instance ``tcp-client:127.0.0.1:9100`` or ``usb:0``.
    controller : object or None
        Instead of a transport: a controller in this process, an HCI packet source and sink as Bumble defines it.
    passkey : int or None
        Six digits to pair with; None pairs without asking anybody ("Just Works").
    """

    def __init__(self, transport: str | None, controller: object | None = None, passkey: int | None = None) -> None:
        self._name = transport or "injected controller"
        self._spec = transport
        self._controller = controller
        self.passkey = passkey
        self._transport: Transport | None = None
        self._device: Device | None = None
        self._opening = asyncio.Lock()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the transport is gone."""
        self.tables: dict[tuple[str, frozenset[str]], AttributeTable] = {}
        """By the address of the peripheral, and the services that were asked for; all when there are none."""

    async def open(self) -> Device:
        """Start the controller, unless it runs already.

        Raises
        ------
        BleakBluetoothNotAvailableError
            When there is no such controller, or it does not answer.
        """
        async with self._opening:
            if self.lost.done():
                raise BleakBluetoothNotAvailableError(
                    f"{self._name}: the connection to the controller is lost", _SILENT
                )
            if self._device is None:
                try:
                    async with asyncio.timeout(OPEN_S):
                        self._device = await self._start()
                except BaseException as error:
                    await self.close()
                    if not isinstance(error, (TimeoutError, core.BaseBumbleError)):
                        raise
                    text = f"{self._name}: no answer from a Bluetooth controller"
                    raise BleakBluetoothNotAvailableError(text, _SILENT) from error
            return self._device

    async def _start(self) -> Device:
        host = Host()
        if self._spec is None:
            host.controller = self._controller
        else:
            self._transport = await self._open_transport(self._spec)
            self._transport.source.terminated.add_done_callback(self._on_terminated)
            host.set_packet_source(self._transport.source)
            host.set_packet_sink(cast("Any", self._transport.sink))
        # A fresh address per start: a controller in use by a host that just died may still hold the old one.
        config = DeviceConfiguration(name="roller-host", address=hci.Address.generate_static_address())
        device = Device(config=config, host=host)
        device.pairing_config_factory = self._pairing
        await device.power_on()
        return device

    async def holds_keys(self, address: hci.Address) -> bool:
        """Whether a peripheral was paired with since the controller was started."""
        store = self._device.keystore if self._device else None
        return store is not None and await store.get(str(address)) is not None

    def _pairing(self, _connection: Connection) -> pairing.PairingConfig:
        return pairing.PairingConfig(
            mitm=self.passkey is not None,
            delegate=None if self.passkey is None else _Typist(self.passkey),
            # Bonds are looked up under the address that is on the air.
            identity_address_type=pairing.PairingConfig.AddressType.RANDOM,
        )

    async def _open_transport(self, spec: str) -> Transport:
        try:
            return await open_transport(spec)
        except TimeoutError:
            raise
        except Exception as error:  # each kind of transport raises the errors of its own library
            raise BleakBluetoothNotAvailableError(f"{self._name}: {error}", _ABSENT) from error

    def _on_terminated(self, terminated: asyncio.Future[None]) -> None:
        if not terminated.cancelled() and (error := terminated.exception()):
            logger.debug("%s: %s", self._name, error)
        if not self.lost.done():
            self.lost.set_result(None)

    async def close(self) -> None:
        """Stop the controller and let go of the transport; safe to call twice."""
        device, self._device = self._device, None
        transport, self._transport = self._transport, None
        if device and not self.lost.done():
            with suppress(TimeoutError, core.BaseBumbleError):
                async with asyncio.timeout(CLOSE_S):
                    await device.host.send_sync_command(hci.HCI_Reset_Command())
                    await device.power_off()
        if transport:
            await transport.close()
            # The socket closes in the next turn of the loop.
            await asyncio.sleep(0)
