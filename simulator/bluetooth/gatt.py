# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""The roller's GATT table: its own service, Battery and Device Information."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bumble import att
from bumble.core import UUID
from bumble.gatt import Characteristic, CharacteristicValue, Service

from firmware_protocol import codec, layout, reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from bumble.device import Connection
    from bumble.gatt_server import Server

    from simulator.bluetooth.bonds import Bonds
    from simulator.firmware.device import Device

CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
"""ATT error: the host wrote to CONTROL before it asked for indications."""
NOTIFY, INDICATE = 0x01, 0x02
"""Bits of a CCCD."""

_PROPERTIES: Final = {
    "read": Characteristic.Properties.READ,
    "write": Characteristic.Properties.WRITE,
    "notify": Characteristic.Properties.NOTIFY,
    "indicate": Characteristic.Properties.INDICATE,
}


class RollerServer:
    """Attributes of one roller. Only INFO, Battery and Device Information are open in every security mode.

    Parameters
    ----------
    device : Device
        What is behind the attributes.
    server : Server
        Bumble's GATT server; gets the services.
    bonds : Bonds
        Says who may use the protected attributes.
    on_request : callable
        Called with each control request.
    on_subscription : callable
        Called with whether a host wants STREAM, when that changes.
    """

    def __init__(
        self,
        device: Device,
        server: Server,
        bonds: Bonds,
        on_request: Callable[[bytes], None],
        on_subscription: Callable[[bool], None],
    ) -> None:
        self._device = device
        self._server = server
        self._bonds = bonds
        self._on_request = on_request
        self._on_subscription = on_subscription
        self._roller = {
            name: self._characteristic(name, properties) for _, name, properties, _ in layout.CHARACTERISTICS
        }
        self._battery = Characteristic[bytes](
            UUID("2A19"),
            Characteristic.Properties.READ | Characteristic.Properties.NOTIFY,
            Characteristic.READABLE,
            CharacteristicValue(read=lambda _: bytes([device.battery_percent])),
        )
        self._roller["STREAM"].on(Characteristic.EVENT_SUBSCRIPTION, self._on_stream_cccd)
        server.add_services(self._services())

    def _services(self) -> list[Service]:
        info = codec.unpack_fields(layout.INFO, self._device.info_payload(), "INFO", 0, codec.Info)
        texts = {
            "2A29": reference.MANUFACTURER,
            "2A24": reference.MODEL,
            "2A25": self._device.device_id.hex(),
            "2A27": str(info.hw_rev),
            "2A26": self._device.firmware,
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
        value = CharacteristicValue[bytes](
            read={"INFO": self._read_info, "STATUS": self._read_status}.get(name),
            write=self._write_control if "write" in properties else None,
        )
        characteristic = Characteristic[bytes](UUID(codec.uuid_of(name)), flags, permissions, value)
        if flags & (Characteristic.Properties.NOTIFY | Characteristic.Properties.INDICATE):
            characteristic.descriptors = (self._bonds.guarded_cccd(characteristic),)
        return characteristic

    def _read_info(self, _connection: Connection) -> bytes:
        return self._device.info_payload()

    async def _read_status(self, connection: Connection) -> bytes:
        await self._bonds.require(connection)
        return self._device.status_payload()

    async def _write_control(self, connection: Connection, payload: bytes) -> None:
        await self._bonds.require(connection)
        if not self._subscribed(connection, self._roller["CONTROL"], INDICATE):
            raise att.ATT_Error(CCCD_IMPROPERLY_CONFIGURED)
        self._on_request(bytes(payload))

    def _on_stream_cccd(self, _connection: Connection, notify: bool, _indicate: bool) -> None:
        self._on_subscription(notify)

    def _subscribed(self, connection: Connection, characteristic: Characteristic[bytes], bit: int) -> bool:
        return bool(self._server.read_cccd(connection, characteristic)[0] & bit)

    def notify(self, connection: Connection, name: str, payload: bytes) -> None:
        """Notify a value, if the host wants it; ``name`` as in ``layout.CHARACTERISTICS``, or "Battery Level"."""
        characteristic = self._roller.get(name, self._battery)
        if self._subscribed(connection, characteristic, NOTIFY):
            # Bumble's own way makes a coroutine of it, though nothing has to be waited for.
            notification = att.ATT_Handle_Value_Notification(
                attribute_handle=characteristic.handle, attribute_value=payload
            )
            self._server.send_gatt_pdu(connection, bytes(notification))

    async def indicate(self, connection: Connection, response: bytes) -> bool:
        """Indicate a control response, and wait until the host has confirmed it.

        Returns
        -------
        bool
            False when it did not within 30 s: nothing more may be sent over this connection then, says ATT.
        """
        try:
            await self._server.indicate_subscriber(connection, self._roller["CONTROL"], response)
        except TimeoutError:
            return False
        return True
