# SPDX-License-Identifier: MIT
"""What has to be asked of BlueZ itself, over D-Bus, because bleak has no word for it. Harmless on other systems."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol import codec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from bleak.backends.device import BLEDevice
    from dbus_fast.aio import MessageBus

logger = logging.getLogger(__name__)

HERE: Final = sys.platform == "linux"
"""Whether the system's Bluetooth is BlueZ."""
BLUEZ: Final = "org.bluez"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
ANSWER_S: Final = 2.0
"""Longest time for an answer of the bus or of bluetoothd, s."""


def path_of(device: BLEDevice) -> str:
    """D-Bus path of a roller that bleak found; empty where there is no BlueZ."""
    return device.details.get("path", "") if isinstance(device.details, dict) else ""


def is_paired(device: BLEDevice) -> bool:
    """Whether BlueZ said, when bleak found it, that this roller is paired; False where there is no BlueZ."""
    return bool(path_of(device) and device.details.get("props", {}).get("Paired"))


def is_switched_off(error: Exception) -> bool:
    """Whether this is how BlueZ says that its adapter is switched off."""
    return f"{BLUEZ}.Error.NotReady" in str(error)


async def listened_to() -> frozenset[str]:
    """Rollers to which programs of this computer listen, this one included.

    BlueZ has one connection to a roller for all programs: what joins it disturbs whoever is there, and neither the
    roller nor the radio could tell. BlueZ forgets a subscription with the program that made it, crashed ones too.

    Returns
    -------
    frozenset of str
        Their D-Bus paths, see `path_of`; empty where there is no BlueZ, or none that answers.
    """
    if not HERE:
        return frozenset()
    try:
        async with asyncio.timeout(ANSWER_S), _system_bus() as bus:
            objects = await _objects(bus)
    except Exception as error:  # noqa: BLE001 - bleak, which is asked next, says better what is wrong
        logger.debug("BlueZ was not asked: %s", error)
        return frozenset()
    ours = {codec.uuid_of(name) for name in ("CONTROL", "STREAM")}
    subscribed = (path for path, interfaces in objects.items() if _is_subscribed(interfaces.get(CHARACTERISTIC), ours))
    # .../dev_XX_XX_XX_XX_XX_XX/serviceNNNN/charNNNN
    return frozenset(path.rsplit("/", 2)[0] for path in subscribed)


def _is_subscribed(characteristic: Mapping[str, Any] | None, uuids: set[str]) -> bool:
    if characteristic is None or characteristic["UUID"].value.lower() not in uuids:
        return False
    return any(name in characteristic and characteristic[name].value for name in ("Notifying", "NotifyAcquired"))


async def _objects(bus: MessageBus) -> dict[str, dict[str, dict[str, Any]]]:
    """All that bluetoothd knows: path -> interface -> property -> variant."""
    from bleak.backends.bluezdbus.utils import assert_reply  # noqa: PLC0415 - only there on Linux
    from dbus_fast import Message  # noqa: PLC0415

    interface = "org.freedesktop.DBus.ObjectManager"
    reply = await bus.call(Message(destination=BLUEZ, path="/", interface=interface, member="GetManagedObjects"))
    assert_reply(reply)
    return reply.body[0]


@asynccontextmanager
async def _system_bus() -> AsyncGenerator[MessageBus]:
    from bleak.backends.bluezdbus.utils import get_dbus_authenticator  # noqa: PLC0415 - only there on Linux
    from dbus_fast import BusType  # noqa: PLC0415
    from dbus_fast.aio import MessageBus  # noqa: PLC0415

    bus = MessageBus(bus_type=BusType.SYSTEM, auth=get_dbus_authenticator())
    try:
        yield await bus.connect()
    finally:
        bus.disconnect()
