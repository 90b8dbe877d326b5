# SPDX-License-Identifier: MIT
"""Linux: programs share BlueZ's one connection to a roller, and BlueZ is asked over D-Bus who uses it."""

import asyncio
import shutil
import subprocess
from contextlib import asynccontextmanager

import pytest
from bleak.backends.device import BLEDevice

from firmware_protocol import codec
from roller_host.link import bluez, radio
from roller_host.link.radio import Wanted, open_radio
from roller_host.link.states import TakenError

ADDRESS = "00:11:22:33:44:55"
PATH = "/org/bluez/hci0/dev_00_11_22_33_44_55"

dbus_daemon = pytest.mark.skipif(
    not (bluez.HERE and shutil.which("dbus-daemon")), reason="needs dbus-daemon (apt: dbus)"
)


@pytest.fixture
def system_bus(tmp_path, monkeypatch):
    """A system bus for this test alone."""
    (tmp_path / "bus.conf").write_text(
        f"<busconfig><type>custom</type><listen>unix:path={tmp_path / 'bus'}</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>'
        "</busconfig>"
    )
    daemon = subprocess.Popen(  # noqa: S603
        [shutil.which("dbus-daemon"), "--nofork", f"--config-file={tmp_path / 'bus.conf'}", "--print-address"],
        stdout=subprocess.PIPE,
    )
    assert daemon.stdout.readline()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    yield
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()


@asynccontextmanager
async def bluetoothd(*objects):
    """A made-up bluetoothd with these objects, each a path and an interface."""
    from dbus_fast import BusType  # noqa: PLC0415 - only there on Linux
    from dbus_fast.aio import MessageBus  # noqa: PLC0415

    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    for path, interface in objects:
        bus.export(path, interface)
    await bus.request_name("org.bluez")
    try:
        yield bus
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()


def characteristic(name, **properties):
    """A characteristic as BlueZ shows it."""
    from dbus_fast.constants import PropertyAccess  # noqa: PLC0415 - only there on Linux
    from dbus_fast.service import ServiceInterface, dbus_property  # noqa: PLC0415

    class Characteristic(ServiceInterface):
        def __init__(self):
            super().__init__("org.bluez.GattCharacteristic1")

        @dbus_property(access=PropertyAccess.READ)
        def UUID(self) -> "s":  # noqa: N802, F821
            return codec.uuid_of(name)

        @dbus_property(access=PropertyAccess.READ, disabled="Notifying" not in properties)
        def Notifying(self) -> "b":  # noqa: N802, F821
            return properties["Notifying"]

        @dbus_property(access=PropertyAccess.READ, disabled="NotifyAcquired" not in properties)
        def NotifyAcquired(self) -> "b":  # noqa: N802, F821
            return properties["NotifyAcquired"]

    return f"{PATH}/service0010/char{sum(name.encode()):04x}", Characteristic()


@dbus_daemon
@pytest.mark.usefixtures("system_bus")
@pytest.mark.parametrize(
    ("name", "properties", "in_use"),
    [
        ("STREAM", {"Notifying": True}, True),
        ("CONTROL", {"Notifying": True, "NotifyAcquired": False}, True),
        ("STREAM", {"Notifying": False, "NotifyAcquired": True}, True),
        ("STREAM", {"Notifying": False}, False),
        ("INFO", {}, False),
        # Nobody's business but the desktop's.
        ("STATUS", {"Notifying": True}, False),
    ],
)
def test_a_roller_that_a_program_listens_to_is_in_use(name, properties, in_use):
    async def main():
        async with bluetoothd(characteristic(name, **properties)):
            assert await bluez.listened_to() == ({PATH} if in_use else set())

    asyncio.run(main())


@dbus_daemon
@pytest.mark.usefixtures("system_bus")
def test_without_bluetoothd_nothing_is_in_use():
    assert asyncio.run(bluez.listened_to()) == set()


def test_without_a_bus_nothing_is_in_use(tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    assert asyncio.run(bluez.listened_to()) == set()


# --- What a scan makes of it ------------------------------------------------------------------------------------------


class HeldDevice(BLEDevice):
    """The roller, which the system holds connected."""

    def __init__(self):
        super().__init__(ADDRESS, "FR-1234", {"path": PATH, "props": {}})


@pytest.fixture
def system(monkeypatch):
    """A system that holds a roller connected while ``held``; ``in_use`` when a program listens to it."""

    class System:
        held, in_use = True, True

        async def get_connected_devices(self, _):
            return [HeldDevice()] if self.held else []

        async def get(self):
            return self

        async def listened_to(self):
            return frozenset({PATH} if self.in_use else ())

    system = System()
    monkeypatch.setattr("bleak.BleakAdapter", system)
    monkeypatch.setattr(bluez, "listened_to", system.listened_to)
    monkeypatch.setattr(radio, "HELD_S", 0.02)
    monkeypatch.setattr(radio, "TAKEN_S", 0.2)

    class Scanner:
        """Hears nothing."""

        def __init__(self, *_, **__):
            pass

        async def start(self):
            pass

        stop = start

    monkeypatch.setattr("bleak.BleakScanner", Scanner)
    return system


def test_a_roller_that_another_program_here_uses_is_taken(system):
    with pytest.raises(TakenError, match="FR-1234 is taken by another program"):
        asyncio.run(open_radio("native").find(Wanted.named("FR"), 5))


def test_a_connection_that_a_crashed_program_left_is_free(system):
    system.in_use = False
    assert not asyncio.run(open_radio("native").find(Wanted.named("FR"), 5)).taken


def test_a_roller_is_free_as_soon_as_the_other_program_lets_it_go(system):
    async def main():
        asyncio.get_running_loop().call_later(0.1, setattr, system, "in_use", False)
        seen = []
        found = await open_radio("native").find(Wanted.named("FR"), 5, lambda one: seen.append(one.taken))
        assert not found.taken
        assert seen[0]

    asyncio.run(main())
