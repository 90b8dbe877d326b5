# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""The roller as a Bluetooth peripheral: a Bumble GATT server around a `Device`."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from bumble import att, data_types, hci, pairing
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, DeviceConfiguration
from bumble.device import Device as BumbleDevice
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host

from firmware_protocol import codec, layout, reference
from simulator.air import SUPERVISION_TIMEOUT, AirController

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from simulator.air import Air
    from simulator.device import Device

logger = logging.getLogger(__name__)

TICK_S: Final = 0.02
"""How often a streaming device is asked for packets, s."""
REPORT_S: Final = 1.0
"""Shortest time between two STATUS notifications, s."""
ADVERTISING_INTERVAL_MS: Final = 100.0
POWER_OFF: Final = int(hci.HCI_ErrorCode.REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR)
MAX_MTU: Final = 517
CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
"""ATT error: the host wrote to CONTROL before it asked for indications."""

_PROPERTIES: Final = {
    "read": Characteristic.Properties.READ,
    "write": Characteristic.Properties.WRITE,
    "notify": Characteristic.Properties.NOTIFY,
    "indicate": Characteristic.Properties.INDICATE,
}
_REASONS: Final = {
    SUPERVISION_TIMEOUT: "supervision timeout",
    int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR): "it disconnected",
}


def monotonic_us() -> int:
    """Microseconds of the monotonic clock."""
    return time.monotonic_ns() // 1000


def random_address(device_id: bytes) -> hci.Address:
    """Make the static random address of a device: the same one for the same device id."""
    octets = bytearray(device_id[-6:])
    octets[5] |= 0xC0
    return hci.Address(bytes(octets), hci.Address.RANDOM_DEVICE_ADDRESS)


class Peripheral:
    """GATT server, advertising and pace of one roller. Made by `open_peripheral`.

    Parameters
    ----------
    device : Device
        The state machine behind the server.
    host : BumbleDevice
        Bluetooth host, powered on by `open_peripheral`.
    clock : callable
        Time of the device, us.
    on_event : callable
        Called with a line of text when something happens that a person may want to know.
    """

    serving: asyncio.Task[None]
    """Ends by itself only when the device fails."""

    def __init__(
        self, device: Device, host: BumbleDevice, clock: Callable[[], int], on_event: Callable[[str], None]
    ) -> None:
        self.device = device
        self._host = host
        self._clock = clock
        self._on_event = on_event
        self._connection: Connection | None = None
        self._gone = ""
        self._responses: asyncio.Queue[bytes] = asyncio.Queue()
        self._streaming = asyncio.Event()
        self._connected = asyncio.Event()
        self._disconnected = asyncio.Event()
        self._roller = {
            name: self._characteristic(name, properties) for _, name, properties, _ in layout.CHARACTERISTICS
        }
        self._battery = Characteristic[bytes](
            UUID("2A19"),
            Characteristic.Properties.READ | Characteristic.Properties.NOTIFY,
            Characteristic.READABLE,
            CharacteristicValue(read=lambda _: bytes([device.battery_percent])),
        )
        host.on(host.EVENT_CONNECTION, self._on_connection)

    @property
    def address(self) -> str:
        """Bluetooth address, upper case with colons."""
        return self._host.random_address.to_string(with_type_qualifier=False)

    def services(self) -> list[Service]:
        """GATT services of the roller: its own, Battery, Device Information."""
        info = codec.unpack_fields(layout.INFO, self.device.info_payload(), "INFO", 0, codec.Info)
        texts = {
            "2A29": reference.MANUFACTURER,
            "2A24": reference.MODEL,
            "2A25": self.device.device_id.hex(),
            "2A27": str(info.hw_rev),
            "2A26": self.device.firmware,
            "2A28": f"{layout.PROTOCOL_MAJOR}.{layout.PROTOCOL_MINOR}",
        }
        information = [
            Characteristic(UUID(uuid), Characteristic.Properties.READ, Characteristic.READABLE, text.encode())
            for uuid, text in texts.items()
        ]
        return [
            Service(UUID(codec.uuid_of("SERVICE")), list(self._roller.values())),
            Service(UUID("180F"), [self._battery]),
            Service(UUID("180A"), information),
        ]

    def _characteristic(self, name: str, properties: tuple[str, ...]) -> Characteristic[bytes]:
        flags = Characteristic.Properties(0)
        for known in properties:
            flags |= _PROPERTIES[known]
        permissions = Characteristic.Permissions(0)
        if "read" in properties:
            permissions |= Characteristic.READABLE
        if "write" in properties:
            permissions |= Characteristic.WRITEABLE
        read = {"INFO": self.device.info_payload, "STATUS": self.device.status_payload}.get(name)
        value = CharacteristicValue[bytes](
            read=(lambda _: read()) if read else None,
            write=self._on_request if "write" in properties else None,
        )
        return Characteristic(UUID(codec.uuid_of(name)), flags, permissions, value)

    async def advertise(self) -> None:
        """Advertise the roller service, with the name in the scan response."""
        flags = AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE | AdvertisingData.Flags.BR_EDR_NOT_SUPPORTED
        service = UUID(codec.uuid_of("SERVICE"))
        await self._host.start_advertising(
            advertising_data=bytes(
                AdvertisingData(
                    [data_types.Flags(flags), data_types.CompleteListOf128BitServiceUUIDs([service])],
                )
            ),
            scan_response_data=bytes(AdvertisingData([data_types.CompleteLocalName(self.device.name)])),
            advertising_interval_min=ADVERTISING_INTERVAL_MS,
            advertising_interval_max=ADVERTISING_INTERVAL_MS,
        )

    def _on_connection(self, connection: Connection) -> None:
        self._connection = connection
        self._responses = asyncio.Queue()
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        connection.on(connection.EVENT_CONNECTION_ATT_MTU_UPDATE, self._on_mtu)
        self.device.connected(connection.att_mtu, self._clock())
        self._disconnected.clear()
        self._connected.set()
        self._on_event("host connected")

    def _on_mtu(self) -> None:
        if self._connection:
            self.device.mtu_changed(self._connection.att_mtu)

    def _on_disconnection(self, reason: int) -> None:
        self._connection = None
        self._streaming.clear()
        self._connected.clear()
        self.device.disconnected(self._clock())
        self._gone = _REASONS.get(reason, f"reason {reason:#04x}")
        self._disconnected.set()

    def _subscribed(self, name: str, bit: int) -> bool:
        """Whether the connected host set ``bit`` in the CCCD of a characteristic."""
        server = self._host.gatt_server
        return bool(self._connection and server.read_cccd(self._connection, self._roller[name])[0] & bit)

    def _on_request(self, _connection: Connection, payload: bytes) -> None:
        if not self._subscribed("CONTROL", 0x02):
            raise att.ATT_Error(CCCD_IMPROPERLY_CONFIGURED)
        was_streaming = self.device.streaming
        self._responses.put_nowait(self.device.request(bytes(payload), self._clock()))
        if self.device.streaming == was_streaming:
            return
        if self.device.streaming:
            self._streaming.set()
            self._on_event(f"streaming, IMU at {self.device.imu_rate_hz:.2f} Hz")
        else:
            self._streaming.clear()
            self._on_event("streaming stopped")

    async def run(self) -> None:
        """Serve hosts, one after the other, until cancelled or the device fails."""
        while True:
            await self.advertise()
            if self._gone:
                self._on_event(f"host gone ({self._gone}), advertising again")
            await self._connected.wait()
            work = [asyncio.create_task(step()) for step in (self._respond, self._stream, self._report)]
            gone = asyncio.create_task(self._disconnected.wait())
            try:
                await asyncio.wait([*work, gone], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*work, gone):
                    task.cancel()
            for failure in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(failure, Exception):
                    raise failure

    async def close(self) -> None:
        """Switch the roller off; a connected host is told so."""
        # Before Python 3.12, asyncio.wait_for (used by Bumble) may swallow a cancellation.
        while not self.serving.done():
            self.serving.cancel()
            await asyncio.wait([self.serving], timeout=TICK_S)
        if self._connection:
            await self._connection.disconnect(POWER_OFF)

    async def _respond(self) -> None:
        """Send responses as indications, in order."""
        while connection := self._connection:
            payload = await self._responses.get()
            await self._host.indicate_subscriber(connection, self._roller["CONTROL"], payload)

    async def _stream(self) -> None:
        """Send the packets that are due while the device streams; sleep while it does not."""
        while connection := self._connection:
            await self._streaming.wait()
            for payload in self.device.advance(self._clock()):
                await self._host.notify_subscriber(connection, self._roller["STREAM"], payload)
            await asyncio.sleep(TICK_S)

    async def _report(self) -> None:
        """Notify STATUS and battery when they changed."""
        status = battery = b""
        while connection := self._connection:
            if (new := self.device.status_payload()) != status:
                status = new
                await self._host.notify_subscriber(connection, self._roller["STATUS"], status)
            if (new := bytes([self.device.battery_percent])) != battery:
                battery = new
                await self._host.notify_subscriber(connection, self._battery, battery)
            await asyncio.sleep(REPORT_S)


def _bluetooth_host(controller: AirController, device: Device, max_mtu: int) -> BumbleDevice:
    host = Host()
    host.controller = controller
    config = DeviceConfiguration(name=device.name, address=random_address(device.device_id))
    bluetooth = BumbleDevice(config=config, host=host)
    bluetooth.gatt_server.max_mtu = max_mtu
    # Bonds are looked up under the address that is on the air.
    bonding = pairing.PairingConfig(mitm=False, identity_address_type=pairing.PairingConfig.AddressType.RANDOM)

    def same_for_all(_connection: Connection) -> pairing.PairingConfig:
        return bonding

    bluetooth.pairing_config_factory = same_for_all
    return bluetooth


@asynccontextmanager
async def open_peripheral(
    air: Air,
    device: Device,
    *,
    clock: Callable[[], int] = monotonic_us,
    on_event: Callable[[str], None] = logger.info,
    max_mtu: int = MAX_MTU,
) -> AsyncGenerator[Peripheral]:
    """Put a roller on the air for as long as the context lasts.

    Parameters
    ----------
    air : Air
        Where to advertise.
    device : Device
        The roller's state machine.
    clock : callable, default `monotonic_us`
        Time of the device, us; must not run backwards.
    on_event : callable, default ``logger.info``
        Called with a line of text when something happens that a person may want to know.
    max_mtu : int, default MAX_MTU
        Longest ATT MTU that the roller agrees to, 23 to 517 B; a shorter one makes packets shorter.

    Raises
    ------
    Exception
        At the end, whatever made the device fail meanwhile. ``Peripheral.serving`` is done as soon as that happens.
    """
    controller = AirController(device.name, air)
    bluetooth = _bluetooth_host(controller, device, max_mtu)
    peripheral = Peripheral(device, bluetooth, clock, on_event)
    bluetooth.add_services(peripheral.services())
    await bluetooth.power_on()
    peripheral.serving = asyncio.create_task(peripheral.run())
    try:
        yield peripheral
    finally:
        await peripheral.close()
        air.remove(controller)
        await bluetooth.power_off()
        if not peripheral.serving.cancelled():
            peripheral.serving.result()
