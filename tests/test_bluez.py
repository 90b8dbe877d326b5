# SPDX-License-Identifier: MIT
"""Linux: programs share BlueZ's one connection to a roller, and BlueZ is asked over D-Bus who uses it."""

import asyncio
import shutil
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError
from hosted import HASTY, roller

from firmware_protocol import codec
from roller_host.link import bluez, radio
from roller_host.link.connection import Connection
from roller_host.link.radio import open_radio
from roller_host.link.sightings import Wanted
from roller_host.link.states import (
    BadRadioError,
    BondLostError,
    Found,
    LinkPhase,
    LinkState,
    NoBluetoothError,
    NoDeviceError,
    PairingError,
    TakenError,
)
from simulator.firmware.device import Build, Device

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

    def __init__(self, paired):
        super().__init__(ADDRESS, "FR-1234", {"path": PATH, "props": {"Paired": paired}})


@pytest.fixture
def system(monkeypatch):
    """A system that holds a roller connected while ``held``; ``in_use`` when a program listens to it."""

    class System:
        held, in_use, paired, stop_failure = True, True, False, None
        starting = starting_most = 0

        async def get_connected_devices(self, _):
            return [HeldDevice(self.paired)] if self.held else []

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
            system.starting += 1
            system.starting_most = max(system.starting, system.starting_most)
            await asyncio.sleep(0.05)
            system.starting -= 1

        async def stop(self):
            if system.stop_failure:
                raise system.stop_failure

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


# --- Connecting through BlueZ -----------------------------------------------------------------------------------------

NOT_READY = BleakDBusError("org.bluez.Error.NotReady", ["Resource Not Ready"])
IO_ERROR = BleakDBusError("org.bluez.Error.Failed", ["Input/output error"])
IN_PROGRESS = BleakDBusError("org.bluez.Error.InProgress", ["Operation already in progress"])


@pytest.fixture
def client(system, monkeypatch):
    """A bleak client that notes what is asked of it, and when; ``failure`` is raised at each connection."""

    class Client:
        failure = None
        security_mode = 2
        events = []  # noqa: RUF012 - of one test

        def __init__(self, *_, **__):
            pass

        async def connect(self):
            self.events.append(("connect", time.monotonic()))
            if self.failure:
                raise self.failure

        async def disconnect(self):
            self.events.append(("disconnect", time.monotonic()))

        async def read_gatt_char(self, _):
            return Device(seed=1, build=Build(security_mode=self.security_mode)).info_payload()

        async def start_notify(self, *_, **options):
            self.events.append(("start_notify", options))

        async def pair(self):
            pass

    async def pair(*_):
        pass

    system.in_use = False
    monkeypatch.setattr(bluez, "pair", pair)
    monkeypatch.setattr(radio, "SETTLE_S", 0.0)
    monkeypatch.setattr("bleak.BleakClient", Client)
    return Client


async def connect(native):
    """Connect and leave; the phases gone through, with their reasons."""
    told = []
    connection = Connection(native, await native.find(Wanted(), 5), HASTY, lambda *_: None, lambda _: None)
    try:
        await connection.meet(lambda *state: told.append(state))
        await connection.open(lambda *state: told.append(state))
    finally:
        await connection.close()
    return told


def test_programs_begin_their_scans_one_after_the_other(system, tmp_path):
    async def main():
        radios = [open_radio("native", claims=tmp_path / "claims") for _ in range(3)]
        await asyncio.gather(*(one.scan(0.1) for one in radios))

    asyncio.run(main())
    assert (system.starting_most, system.starting) == (1, 0)


HOLDER = """
import pathlib, sys
from roller_host.link.radio import open_radio
from roller_host.link.states import Found
claim = open_radio("native", claims=pathlib.Path(sys.argv[1])).claim(Found("", sys.argv[2], None))
print(claim.take(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_program(tmp_path):
    """A program that has just begun to connect to the roller: BlueZ does not say so yet."""
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path / "claims"), ADDRESS]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:  # noqa: S603
        assert program.stdout.readline() == "True\n"
        yield program
        program.kill()


def test_of_two_programs_that_begin_at_once_one_hears_that_the_roller_is_taken(client, other_program, tmp_path):
    native = open_radio("native", claims=tmp_path / "claims")
    with pytest.raises(TakenError, match="taken by another program") as refused:
        asyncio.run(connect(native))
    assert refused.value.exit_code == 3
    assert "connect" not in dict(client.events)
    other_program.kill()
    other_program.wait()
    asyncio.run(connect(native))
    assert "connect" in dict(client.events)


def test_a_roller_that_was_left_is_free_for_other_programs(client, tmp_path):
    first, second = (open_radio("native", claims=tmp_path / "claims") for _ in range(2))
    found = Found("", ADDRESS, None)
    claim = second.claim(found)

    async def main():
        connection = Connection(first, await first.find(Wanted(), 5), HASTY, lambda *_: None, lambda _: None)
        await connection.meet(lambda *_: None)
        assert not claim.take()
        await connection.close()
        assert claim.take()
        claim.release()

    asyncio.run(main())


def test_a_roller_is_used_where_nothing_can_be_claimed(client, tmp_path):
    (tmp_path / "claims").write_text("in the way")
    asyncio.run(connect(open_radio("native", claims=tmp_path / "claims")))
    assert "connect" in dict(client.events)


@pytest.mark.skipif(not bluez.HERE, reason="BlueZ is for Linux")
@pytest.mark.parametrize("failure", [None, IO_ERROR])
def test_a_roller_that_was_left_is_left_alone_for_a_moment(client, failure):
    async def main():
        native = open_radio("native")
        client.failure = failure
        for _ in range(2):
            with suppress(NoDeviceError):
                await connect(native)

    asyncio.run(main())
    connects_s, disconnects_s = ([t for name, t in client.events if name == end] for end in ("connect", "disconnect"))
    assert 0.9 * radio.LEFT_S < connects_s[1] - disconnects_s[0] < radio.LEFT_S + 2


def test_a_scan_that_cannot_end_while_another_program_connects_has_found_what_it_found(client, system):
    system.stop_failure = IN_PROGRESS
    assert asyncio.run(open_radio("native").find(Wanted(), 5)).address == ADDRESS
    system.stop_failure = NOT_READY
    with pytest.raises(NoBluetoothError, match="switched off"):
        asyncio.run(open_radio("native").find(Wanted(), 5))


def test_an_adapter_that_is_not_ready_is_switched_off(client):
    client.failure = NOT_READY
    with pytest.raises(NoBluetoothError, match=r"^Bluetooth is switched off\. Switch it on"):
        asyncio.run(connect(open_radio("native")))


def test_a_scan_with_an_adapter_that_is_not_ready_is_told_as_switched_off(system, monkeypatch):
    async def start(_):
        raise NOT_READY

    monkeypatch.setattr("bleak.BleakScanner.start", start)
    with pytest.raises(NoBluetoothError, match=r"^Bluetooth is switched off\. Switch it on"):
        asyncio.run(open_radio("native").scan(1))


@pytest.mark.parametrize(
    ("paired", "mode", "passkey", "reasons"),
    [
        (True, 2, None, []),
        (False, 2, None, [""]),
        (False, 3, 123456, [""]),
        (False, 3, None, ["the system may ask for the six digits on its label"]),
    ],
)
def test_consent_is_mentioned_where_the_system_may_ask(client, system, monkeypatch, paired, mode, passkey, reasons):
    system.paired = paired
    monkeypatch.setattr(client, "security_mode", mode)
    told = asyncio.run(connect(open_radio("native", passkey=passkey)))
    assert [reason for phase, reason in told if phase is LinkPhase.PAIRING] == reasons


@pytest.mark.parametrize("failure", [IO_ERROR, TimeoutError()])
def test_a_connection_that_fails_is_tried_again_in_sight(monkeypatch, failure):
    from roller_host.link.bumble_backend import BumbleClient  # noqa: PLC0415 - slow

    async def main():
        async with roller() as session, session.streaming():
            assert session.phases[1:5] == [
                LinkPhase.CONNECTING, LinkPhase.RETRYING, LinkPhase.SCANNING, LinkPhase.CONNECTING
            ]  # fmt: skip
            assert session.phases[-1] is LinkPhase.STREAMING

    connect, failures = BumbleClient.connect, [failure]

    async def failing(self, *args, **options):
        if failures:
            raise failures.pop()
        await connect(self, *args, **options)

    monkeypatch.setattr(BumbleClient, "connect", failing)
    asyncio.run(main())


# --- Pairing ----------------------------------------------------------------------------------------------------------


class PairingDaemon:
    """What a made-up bluetoothd does when it is asked to pair: it asks the agent that came with the request.

    Parameters
    ----------
    question : str
        Method of the agent.
    about : str
        Path of the device to ask about.
    refusal : str
        Error of Pair, whatever the agent says; none when that decides.
    """

    def __init__(self, question="RequestAuthorization", about=PATH, refusal=""):
        self.question, self.about, self.refusal = question, about, refusal
        self.capability = self.answer = None

    def handle(self, bus, call):
        from dbus_fast import Message  # noqa: PLC0415 - only there on Linux

        if call.member == "RegisterAgent":
            self.agent, self.capability = call.body
        elif call.member == "Pair" and self.refusal:
            return Message.new_error(call, f"org.bluez.Error.{self.refusal}", "no")
        elif call.member == "Pair":
            self.asking = asyncio.ensure_future(self.ask(bus, call))
            return True
        else:
            return None
        return Message.new_method_return(call)

    async def ask(self, bus, call):
        from dbus_fast import Message, MessageType  # noqa: PLC0415 - only there on Linux

        reply = await bus.call(
            Message(
                destination=call.sender, path=self.agent, interface="org.bluez.Agent1", member=self.question,
                signature="o", body=[self.about],
            )
        )  # fmt: skip
        failed = reply.message_type is MessageType.ERROR
        self.answer = reply.error_name if failed else reply.body
        refused = Message.new_error(call, "org.bluez.Error.AuthenticationFailed", "Authentication Failed")
        await bus.send(refused if failed else Message.new_method_return(call))


def paired_device():
    """The roller as BlueZ shows it when it is paired."""
    from dbus_fast.constants import PropertyAccess  # noqa: PLC0415 - only there on Linux
    from dbus_fast.service import ServiceInterface, dbus_property  # noqa: PLC0415

    class Device1(ServiceInterface):
        def __init__(self):
            super().__init__("org.bluez.Device1")

        @dbus_property(access=PropertyAccess.READ)
        def Paired(self) -> "b":  # noqa: N802, F821
            return True

    return PATH, Device1()


async def pair_with(daemon, passkey=None, *objects):
    async with bluetoothd(*objects) as bus:
        bus.add_message_handler(lambda call: daemon.handle(bus, call))
        await bluez.pair(PATH, passkey)


@dbus_daemon
@pytest.mark.usefixtures("system_bus")
def test_just_works_asks_nobody():
    daemon = PairingDaemon()
    asyncio.run(pair_with(daemon))
    assert (daemon.capability, daemon.answer) == ("NoInputNoOutput", [])


@dbus_daemon
@pytest.mark.usefixtures("system_bus")
def test_a_passkey_that_was_given_is_used():
    daemon = PairingDaemon("RequestPasskey")
    asyncio.run(pair_with(daemon, 123456))
    assert (daemon.capability, daemon.answer) == ("KeyboardOnly", [123456])


@dbus_daemon
@pytest.mark.usefixtures("system_bus")
def test_the_agent_says_no_to_other_devices():
    daemon = PairingDaemon(about=f"{PATH[:-2]}66")
    with pytest.raises(BleakDBusError, match="AuthenticationFailed"):
        asyncio.run(pair_with(daemon))
    assert daemon.answer == "org.bluez.Error.Rejected"


@dbus_daemon
@pytest.mark.usefixtures("system_bus")
def test_a_roller_that_is_paired_already_is_not_paired_again():
    asyncio.run(pair_with(PairingDaemon(refusal="Failed"), None, paired_device()))


def test_a_failed_pairing_with_a_passkey_says_what_answers_for_it(client, monkeypatch):
    async def pair(_):
        raise BleakDBusError("org.bluez.Error.AuthenticationFailed", ["Authentication Failed"])

    monkeypatch.setattr(client, "pair", pair)
    monkeypatch.setattr(client, "security_mode", 3)
    with pytest.raises(PairingError, match=r"could not be paired .*--passkey.*bluetoothctl") as caught:
        asyncio.run(connect(open_radio("native")))
    assert not isinstance(caught.value, BondLostError)


class Typist:
    """Types digits when asked, and remembers for whom."""

    def __init__(self):
        self.asked = []

    async def ask(self, name):
        self.asked.append(name)
        return 123456


@pytest.mark.parametrize(
    ("here", "paired", "mode", "typed"),
    [(True, False, 3, 1), (True, True, 3, 0), (True, False, 2, 0), (False, False, 3, 0)],
)
def test_somebody_is_asked_for_the_passkey_where_the_system_would_not_ask(
    client, system, monkeypatch, here, paired, mode, typed
):
    used = []

    async def pair(_, passkey):
        used.append(passkey)

    monkeypatch.setattr(bluez, "pair", pair)
    monkeypatch.setattr(bluez, "HERE", here)
    monkeypatch.setattr(client, "security_mode", mode)
    system.paired = paired
    native = open_radio("native")
    native.passkeys = typist = Typist()
    asyncio.run(connect(native))
    assert len(typist.asked) == typed
    assert used.count(123456) == typed


# --- How payloads come ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "options"), [("", {}), ("start", {}), ("acquire", {"bluez": {"use_start_notify": False}})]
)
def test_bluez_hands_payloads_over_as_set(client, monkeypatch, setting, options):
    monkeypatch.setenv(bluez.NOTIFY_VARIABLE, setting)
    asyncio.run(connect(open_radio("native")))
    assert dict(client.events)["start_notify"] == options


def test_a_setting_that_makes_no_sense_is_told(monkeypatch):
    monkeypatch.setenv(bluez.NOTIFY_VARIABLE, "magic")
    with pytest.raises(BadRadioError, match="ROLLER_HOST_BLUEZ_NOTIFY is 'magic'; known are: start, acquire"):
        open_radio("native")
    # Other radios do without BlueZ.
    open_radio("tcp:127.0.0.1:9100")


# --- Words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pause_s", "told"), [(0.25, "trying again"), (1.0, "trying again in 1 s"), (4.0, "trying again in 4 s")]
)
def test_a_pause_is_told_from_a_second_on(pause_s, told):
    assert LinkState(LinkPhase.RETRYING, retry_s=pause_s).words == told
