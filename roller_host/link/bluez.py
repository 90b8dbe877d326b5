# SPDX-License-Identifier: MIT
"""What has to be asked of BlueZ itself, over D-Bus, because bleak has no word for it. Harmless on other systems."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol import codec
from roller_host.link.states import BadRadioError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from bleak.backends.device import BLEDevice
    from dbus_fast.aio import MessageBus

logger = logging.getLogger(__name__)

HERE: Final = sys.platform == "linux"
"""Whether the system's Bluetooth is BlueZ."""
BLUEZ: Final = "org.bluez"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
NOTIFY_VARIABLE: Final = "ROLLER_HOST_BLUEZ_NOTIFY"
"""Environment variable: how payloads come from BlueZ, ``start`` (StartNotify, the default) or ``acquire``."""
_AGENT: Final = "/roller_host/agent"
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


def is_busy(error: Exception) -> bool:
    """Whether this is how BlueZ says that something else is under way: it may not end a scan while it connects."""
    return f"{BLUEZ}.Error.InProgress" in str(error)


def notify_options() -> dict[str, Any]:
    """Keyword arguments for bleak's ``start_notify``, as the environment variable says.

    Raises
    ------
    BadRadioError
        When the variable makes no sense.
    """
    way = os.environ.get(NOTIFY_VARIABLE) or "start"
    if way not in ("start", "acquire"):
        raise BadRadioError(
            f"{NOTIFY_VARIABLE} is {way!r}; known are: start, acquire.", "Set one of these, or unset it."
        )
    return {"bluez": {"use_start_notify": False}} if way == "acquire" else {}


async def pair(path: str, passkey: int | None) -> None:
    """Pair with a roller that is connected, without anybody being asked; nothing happens when it is paired already.

    BlueZ pairs through an agent, and not every computer has one: a desktop lends its own, a terminal none. This one
    serves the pairing that it was made for, and no other.

    Parameters
    ----------
    path : str
        D-Bus path of the roller, see `path_of`.
    passkey : int or None
        The six digits on the roller; None pairs by "Just Works", where there is nothing to compare.

    Raises
    ------
    BleakError
        When BlueZ or the roller refuses.
    """
    from bleak.exc import BleakDBusError  # noqa: PLC0415 - slow
    from dbus_fast import Message, MessageType  # noqa: PLC0415 - only there on Linux

    def answer(message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.path != _AGENT:
            return None
        if message.member in ("RequestAuthorization", "RequestPasskey") and message.body[0] != path:
            return Message.new_error(message, f"{BLUEZ}.Error.Rejected", "not asked for by this program")
        if message.member == "RequestPasskey":
            return Message.new_method_return(message, "u", [passkey or 0])
        return Message.new_method_return(message)

    capability = "NoInputNoOutput" if passkey is None else "KeyboardOnly"
    async with _system_bus() as bus:
        known = (await _objects(bus)).get(path, {}).get(f"{BLUEZ}.Device1", {})
        if "Paired" in known and known["Paired"].value:
            return  # BlueZ would pair once more, and not come to an end.
        bus.add_message_handler(answer)
        with suppress(BleakDBusError):  # Then it is up to the agent of somebody else.
            await _call(bus, f"/{BLUEZ.replace('.', '/')}", "AgentManager1", "RegisterAgent", _AGENT, capability)
        await _call(bus, path, "Device1", "Pair")


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
    """All that BlueZ knows: path -> interface -> property -> variant."""
    objects, *_ = await _call(bus, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    return objects


async def _call(bus: MessageBus, path: str, interface: str, member: str, *words: str) -> list[Any]:
    """Call a method of BlueZ; the first word is a path, if there is any."""
    from bleak.backends.bluezdbus.utils import assert_reply  # noqa: PLC0415 - only there on Linux
    from dbus_fast import Message  # noqa: PLC0415

    interface = interface if "." in interface else f"{BLUEZ}.{interface}"
    message = Message(
        destination=BLUEZ, path=path, interface=interface, member=member, signature="os"[: len(words)], body=[*words]
    )
    reply = await bus.call(message)
    assert_reply(reply)
    return reply.body


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
