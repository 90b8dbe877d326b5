# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""bleak over Bumble: scanner and client for any HCI controller, a USB dongle or a virtual one.

Importing this module needs the ``sim`` extra.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from uuid import UUID

from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bumble import att, core, hci
from bumble.device import Advertisement, Connection, Device
from bumble.gatt import GATT_DATABASE_HASH_CHARACTERISTIC

from roller_host.link.dongle import AttributeTable
from roller_host.link.race import end

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from bleak.args import SizedBuffer
    from bleak.backends.client import NotifyCallback
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementDataCallback
    from bumble.gatt_client import CharacteristicProxy, ServiceProxy
    from bumble.gatt_client import Client as GattClient

    from roller_host.link.dongle import Dongle

_T = TypeVar("_T")

MTU: Final = 517
"""ATT MTU asked for."""
LONGEST_WRITE_B: Final = 512
"""An attribute value is never longer, whatever the MTU."""
DISCONNECT_S: Final = 2.0


class BumbleScanner(BaseBleakScanner):
    """Scanner for ``BleakScanner(backend=BumbleScanner, hci=dongle)``."""

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        *,
        hci: Dongle,
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._dongle = hci
        self._device: Device | None = None

    async def start(self) -> None:
        """Start scanning."""
        self.seen_devices = {}
        self._device = await self._dongle.open()
        self._device.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        await _raced(self._device.start_scanning(active=self._active), self._dongle.lost)

    async def stop(self) -> None:
        """Stop scanning; nothing to do when the controller is gone."""
        if self._device and not self._dongle.lost.done():
            self._device.remove_listener(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
            await _raced(self._device.stop_scanning(), self._dongle.lost)
        self._device = None

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        uuids = _service_uuids(advertisement.data)
        if not self.is_allowed_uuid(uuids):
            return
        name = advertisement.data.get(core.AdvertisingData.Type.COMPLETE_LOCAL_NAME)
        name = name or advertisement.data.get(core.AdvertisingData.Type.SHORTENED_LOCAL_NAME)
        name = name if isinstance(name, str) else None
        address = advertisement.address.to_string(with_type_qualifier=False)
        received = AdvertisementData(name, {}, {}, uuids, None, advertisement.rssi, (advertisement,))
        device = self.create_or_update_device(address, address, name, advertisement.address, received)
        self.call_detection_callbacks(device, received)


def _service_uuids(data: core.AdvertisingData) -> list[str]:
    kinds = (
        core.AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        core.AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        core.AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
        core.AdvertisingData.Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    )
    return [_uuid_text(uuid) for kind in kinds for uuid in data.get(kind) or ()]


def _uuid_text(uuid: core.UUID) -> str:
    """128-bit text form that bleak uses."""
    return str(UUID(bytes=uuid.to_bytes(force_128=True)[::-1]))


class BumbleClient(BaseBleakClient):
    """Client for ``BleakClient(device, backend=BumbleClient, hci=dongle)``."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        services: set[str] | None = None,
        hci: Dongle,
        **kwargs: Any,
    ) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        self._wanted = frozenset(services or ())
        self._dongle = hci
        self._details = None if isinstance(address_or_ble_device, str) else address_or_ble_device.details
        self._connection: Connection | None = None
        self._gatt: GattClient | None = None
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def name(self) -> str:
        """Address of the peripheral, with dashes."""
        return self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """Agreed ATT MTU, B."""
        return self._connection.att_mtu if self._connection else att.ATT_DEFAULT_MTU

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection right now."""
        return self._connection is not None and not self._lost.done()

    async def connect(self, pair: bool, **_: Any) -> None:
        """Connect, agree on the MTU, discover the services."""
        if self.is_connected:
            raise BleakError("already connected")
        device = await self._dongle.open()
        # What is left of a lost connection must not be waited for when this attempt fails.
        self._connection = self._gatt = None
        self._lost = asyncio.get_running_loop().create_future()
        self._dongle.lost.add_done_callback(self._on_lost)
        peer = self._details or hci.Address(self.address, hci.Address.RANDOM_DEVICE_ADDRESS)
        try:
            self._connection = await _raced(_connect(device, peer, self._timeout), self._lost)
            self._connection.on(Connection.EVENT_DISCONNECTION, self._on_lost)
            self._gatt = self._connection.gatt_client
            if pair:
                await self.pair()
            elif device.keystore and await device.keystore.get(str(peer)):
                await self._run(self._connection.encrypt())
            await self._run(self._gatt.request_mtu(MTU))
            self.services = await self._run(self._table(self._gatt))
        except BaseException:
            await self.disconnect()
            raise

    def _on_lost(self, _reason: object) -> None:
        """Note, once, that the connection or the controller is gone."""
        if self._lost.done():
            return
        self._lost.set_result(None)
        if self._connection and self._disconnected_callback:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        """Disconnect; nothing to do when the connection is gone already."""
        if self._connection and not self._lost.done():
            with suppress(BleakError, TimeoutError):
                async with asyncio.timeout(DISCONNECT_S):
                    await self._run(self._connection.disconnect())
        self._dongle.lost.remove_done_callback(self._on_lost)
        if self._connection and self._gatt:
            _release(self._connection, self._gatt)
        self._connection = self._gatt = None

    async def _run(self, operation: Coroutine[Any, Any, _T]) -> _T:
        """Do something over the connection; BleakError when that fails or the connection is lost meanwhile."""
        return await _raced(operation, self._lost)

    def _server(self) -> GattClient:
        if self._gatt is None or self._lost.done():
            raise BleakError("not connected")
        return self._gatt

    async def pair(self, *_args: Any, **_kwargs: Any) -> None:
        """Pair, unless that was done before; the keys are kept until the radio is closed."""
        if self._connection is None:
            raise BleakError("not connected")
        if not self._connection.is_encrypted:
            await self._run(self._connection.pair())

    async def unpair(self) -> None:
        """Forget the keys of this peripheral."""
        device = await self._dongle.open()
        if device.keystore:
            with suppress(KeyError):
                await device.keystore.delete(str(self._details or self.address))

    async def _table(self, gatt: GattClient) -> BleakGATTServiceCollection:
        """Services of the peripheral: those of an earlier connection when it says that nothing has changed since.

        See Bluetooth Core Specification 5.4, Vol 3, Part G, 2.5.2 (attribute caching).
        """
        digest = b"".join(await gatt.read_characteristics_by_uuid(GATT_DATABASE_HASH_CHARACTERISTIC, None))
        table = self._dongle.tables.get((self.address, self._wanted))
        if table and digest and digest == table.digest:
            _move(table.services, gatt)
            return table.collection
        services = await _discover(gatt)
        collection = _collect(found for found in services if not self._wanted or _uuid_text(found.uuid) in self._wanted)
        self._dongle.tables[self.address, self._wanted] = AttributeTable(digest, services, collection)
        return collection

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a characteristic; always from the peripheral."""
        del use_cached
        return bytearray(await self._run(self._server().read_value(characteristic.handle)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a descriptor; always from the peripheral."""
        del use_cached
        return bytearray(await self._run(self._server().read_value(descriptor.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write a characteristic."""
        await self._run(self._server().write_value(characteristic.handle, bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor."""
        await self._run(self._server().write_value(descriptor.handle, bytes(data), with_response=True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any) -> None:
        """Ask for notifications, or for indications where there are no notifications."""
        self._server()
        proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)

        def deliver(payload: bytes) -> None:
            callback(bytearray(payload))

        await self._run(proxy.subscribe(deliver))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """End notifications or indications."""
        self._server()
        proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)
        await self._run(proxy.unsubscribe())


async def _discover(gatt: GattClient) -> list[ServiceProxy]:
    """Read the whole attribute table, some thirty round trips."""
    services = await gatt.discover_services()
    for service in services:
        for characteristic in await service.discover_characteristics():
            await characteristic.discover_descriptors()
    return services


def _collect(services: Iterable[ServiceProxy]) -> BleakGATTServiceCollection:
    """Services as bleak has them."""
    collection = BleakGATTServiceCollection()
    for found in services:
        service = BleakGATTService(found, found.handle, _uuid_text(found.uuid))
        collection.add_service(service)
        for proxy in found.characteristics:
            flags = list(gatt_char_props_to_strs(proxy.properties))
            characteristic = BleakGATTCharacteristic(
                proxy, proxy.handle, _uuid_text(proxy.uuid), flags, partial(_longest_write, proxy), service
            )
            collection.add_characteristic(characteristic)
            for descriptor in proxy.descriptors:
                uuid = _uuid_text(descriptor.type)
                collection.add_descriptor(BleakGATTDescriptor(descriptor, descriptor.handle, uuid, characteristic))
    return collection


def _longest_write(proxy: CharacteristicProxy[bytes]) -> int:
    """Of the connection that a characteristic belongs to at the moment."""
    return min(proxy.client.mtu - 3, LONGEST_WRITE_B)


def _move(services: list[ServiceProxy], gatt: GattClient) -> None:
    """Make what was discovered over a connection that is over belong to another one."""
    gatt.services = services
    for service in services:
        service.client = gatt
        for characteristic in service.characteristics:
            characteristic.client = gatt
            characteristic.subscribers.clear()
            for descriptor in characteristic.descriptors:
                descriptor.client = gatt


def _release(connection: Connection, gatt: GattClient) -> None:
    """Take apart what is left of a connection that is over.

    Its objects refer to each other in rings, 100 of them to a connection, which the garbage collector may look for only
    after hundreds of connections.
    """
    connection.remove_all_listeners()
    gatt.notification_subscribers.clear()
    gatt.indication_subscribers.clear()
    for service in gatt.services:
        for characteristic in service.characteristics:
            characteristic.subscribers.clear()
    del connection.gatt_client


async def _connect(device: Device, peer: hci.Address, timeout_s: float) -> Connection:
    """Connect, and leave no half-made connection in the controller when cancelled."""
    try:
        return await device.connect(peer, timeout=timeout_s)
    except asyncio.CancelledError:
        with suppress(core.BaseBumbleError):
            await device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
        raise


async def _raced(operation: Coroutine[Any, Any, _T], lost: asyncio.Future[None]) -> _T:
    """Result of an operation of Bumble's, with its errors as bleak's; BleakError when ``lost`` comes first."""
    task = asyncio.ensure_future(operation)
    try:
        await asyncio.wait([task, lost], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(task)
    # Bumble cancels what waits for an answer over a lost connection.
    if task.cancelled() or (lost.done() and task.exception()):
        raise BleakError("the connection is lost")
    try:
        return task.result()
    except att.ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except (core.BaseBumbleError, hci.HCI_Error, OSError) as error:
        raise BleakError(str(error) or type(error).__name__) from error
