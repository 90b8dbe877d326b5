# SPDX-License-Identifier: MIT
"""Every fault, as a program sees it that uses bleak and nothing else."""

import ast
import asyncio
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from bare import DEFAULT_MASK, STATUS, STREAM, Heard, events, visit
from bleak.exc import BleakError, BleakGATTProtocolError
from bumble import pairing

from firmware_protocol import codec, layout
from simulator.bluetooth.air import Air
from simulator.bluetooth.faults import Fault, FaultError, check, inject, parse
from simulator.bluetooth.peripheral import open_peripheral
from simulator.bluetooth.radio import level_dbm
from simulator.firmware.device import Build, Device

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
TIMED_OUT, LEFT, POWERED_OFF = 0x08, 0x13, 0x15
LONG_S = 100.0
"""For faults that a test does not wait out."""
BRIEFLY_S = 0.4


def scenario(main):
    """Make a test of a coroutine."""

    def test():
        asyncio.run(main())

    test.__name__ = main.__name__
    return test


@pytest.fixture(autouse=True)
def _hasty_roller(monkeypatch):
    """STATUS and advertisements come more often, so that tests do not wait for them."""
    monkeypatch.setattr("simulator.bluetooth.peripheral.REPORT_S", 0.05)
    monkeypatch.setattr("simulator.bluetooth.advertising.INTERVAL_MS", 20.0)


def title(fault):
    return fault.title


async def reconnected(host):
    """Find the roller again, and return its INFO."""
    await host.connect()
    await host.listen()
    return await host.info()


def seqs(payloads):
    return [codec.decode_packet(payload).seq for payload in payloads]


def gaps(numbers):
    return sum(after - before - 1 for before, after in pairwise(numbers))


# --- The link ---------------------------------------------------------------------------------------------------------


@scenario
async def test_link_loss():
    async with visit(start=True) as (host, roller):
        inject(roller, Fault.LINK_LOSS)
        await host.gone.until(len)
        assert host.reasons == [TIMED_OUT]
        with pytest.raises(BleakError):
            await host.client.read_gatt_char(STATUS)
        assert (await reconnected(host)).boot_id == roller.device.boot_id
        assert "host gone (supervision timeout), advertising again" in host.told
        inject(roller, Fault.LINK_LOSS, seconds=LONG_S)
        await host.gone.until(lambda gone: len(gone) == 2)
        assert await host.find(seconds=0.3) is None


@scenario
async def test_out_of_range():
    async with visit(start=True) as (host, roller):
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        inject(roller, Fault.OUT_OF_RANGE, seconds=1.3)
        reading = asyncio.ensure_future(host.client.read_gatt_char(STATUS))
        await host.gone.until(len)
        # Bumble's central asks for a supervision timeout of 720 ms.
        assert loop.time() - begun_s > 0.7
        assert host.reasons == [TIMED_OUT]
        with pytest.raises(BleakError):
            await reading
        assert await host.find(seconds=0.1) is None
        await host.client.disconnect()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(host.client.connect(), 0.2)
        assert (await reconnected(host)).boot_id == roller.device.boot_id
        assert loop.time() - begun_s > 1.3


@scenario
async def test_out_of_range_for_a_moment():
    async with visit(start=True) as (host, roller):
        inject(roller, Fault.OUT_OF_RANGE, seconds=0.2)
        numbers = [packet.seq for packet in await host.packets(20)]
        assert not host.gone
        assert gaps(numbers) == 0


@scenario
async def test_weak_signal():
    async with visit(connect=False) as (host, roller):
        _, near = await host.find()
        inject(roller, Fault.WEAK_SIGNAL, distance_m=30, seconds=LONG_S)
        _, far = await host.find()
        assert abs(near.rssi - level_dbm(1)) < 12
        assert abs(far.rssi - level_dbm(30)) < 12
        inject(roller, Fault.WEAK_SIGNAL, distance_m=80, seconds=LONG_S)
        assert await host.find(seconds=0.3) is None


@scenario
async def test_tx_overflow():
    async with visit(start=True) as (host, roller):
        inject(roller, Fault.TX_OVERFLOW, seconds=0.8)
        n_before = len(host.stream)
        await host.status.one(lambda status: status.dropped > 0)
        await host.packets(20)
        assert not host.gone
        numbers = seqs(host.stream)
        lost = [(before, after) for before, after in pairwise(numbers) if after - before > 1]
        # 50 packets/s for 0.8 s, of which 12 fit into the queue and 8 into the controller.
        assert 10 < gaps(numbers) < 30
        assert len(lost) == 1
        assert all(packet.seq <= lost[0][0] for packet in map(codec.decode_packet, host.stream[:n_before]))
        flag = codec.bit(layout.PACKET_FLAGS, "DROPPED_BEFORE")
        assert any(codec.decode_packet(payload).flags & flag for payload in host.stream)
        dropped = (await host.ask("STOP")).reply.dropped
        assert dropped == gaps(numbers)
        first, last = lost[0][0] + 1, lost[0][1] - 1
        response = await host.ask("BACKFILL", first, last)
        assert (response.status, response.reply.count) == (0, dropped)
        n_live = len(numbers)
        await host.stream.until(lambda heard: len(heard) >= n_live + dropped)
        resent = [codec.decode_packet(payload) for payload in host.stream if payload[0] == layout.PTYPE_BACKFILL]
        assert [packet.seq for packet in resent] == list(range(first, last + 1))


@scenario
async def test_slow_parameters():
    async with visit(start=True) as (host, roller):
        intervals_ms = Heard()
        connection = host.client._backend._connection
        connection.on(
            "connection_parameters_update", lambda: intervals_ms.add(connection.parameters.connection_interval)
        )
        inject(roller, Fault.SLOW_PARAMETERS, interval_ms=300, seconds=1.5)
        await intervals_ms.until(len)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        assert (await host.ask("PING", b"")).status == 0
        assert loop.time() - begun_s > 0.1
        # 50 packets/s do not pass where there is room for 20.
        await host.stream.until(lambda heard: gaps(seqs(heard)) > 5)
        await intervals_ms.until(lambda heard: len(heard) == 2)
        assert intervals_ms == [300, 30]
        assert not host.gone


# --- Notifications ----------------------------------------------------------------------------------------------------


async def _after(roller, fault, host, n, **arguments):
    """Numbers of the packets during a fault."""
    begin = len(host.stream)
    inject(roller, fault, seconds=LONG_S, **arguments)
    await host.stream.until(lambda heard: len(heard) >= begin + n)
    return seqs(host.stream)


@scenario
async def test_lost_notifications():
    async with visit(start=True) as (host, roller):
        numbers = await _after(roller, Fault.LOST_NOTIFICATIONS, host, 20, share=0.5)
        # What was lost after the last packet that arrived is no gap yet; STATUS may be among the lost ones.
        assert 5 < gaps(numbers) <= roller.radio.n_lost < 60
        assert numbers == sorted(set(numbers))
        assert (await host.ask("STOP")).reply.dropped == 0


@scenario
async def test_duplicate_notifications():
    async with visit(start=True) as (host, roller):
        numbers = await _after(roller, Fault.DUPLICATE_NOTIFICATIONS, host, 20, share=1)
        doubled = numbers[-20:]
        assert numbers == sorted(numbers)
        assert gaps(sorted(set(numbers))) == 0
        assert len(set(doubled)) <= 11


@scenario
async def test_late_notifications():
    async with visit(start=True) as (host, roller):
        numbers = await _after(roller, Fault.LATE_NOTIFICATIONS, host, 40, share=0.3, by_s=0.1)
        steps_back = [(before, after) for before, after in pairwise(numbers) if after < before]
        assert steps_back
        assert roller.radio.n_late >= len(steps_back)
        assert len(set(numbers)) == len(numbers)


@scenario
async def test_jitter():
    async with visit(start=True) as (host, roller):
        loop = asyncio.get_running_loop()
        arrivals_s = []
        await host.client.stop_notify(STREAM)
        inject(roller, Fault.JITTER, up_to_s=0.2, seconds=LONG_S)

        def stamp(_, payload):
            arrivals_s.append(loop.time())
            host.stream.add(bytes(payload))

        n_before = len(host.stream)
        await host.client.start_notify(STREAM, stamp)
        await host.stream.until(lambda heard: len(heard) >= n_before + 40)
        numbers = seqs(host.stream[n_before:])
        assert gaps(numbers) == 0
        # 20 ms apart when made: many arrive together, after a longer wait.
        waits_s = [after - before for before, after in pairwise(arrivals_s)]
        assert sum(wait_s < 0.005 for wait_s in waits_s) > 10
        assert max(waits_s) > 0.05


@scenario
async def test_garbage_notifications():
    async with visit(start=True) as (host, roller):
        whole_b = len(host.stream[-1])
        begin = len(host.stream)
        inject(roller, Fault.GARBAGE_NOTIFICATIONS, share=1, seconds=LONG_S)
        await host.stream.until(lambda heard: len(heard) >= begin + 10)
        garbage = host.stream[begin:]
        assert sum(payload[0] in {0x10, 0x11, 0x12} for payload in garbage) <= 2
        assert all(abs(len(payload) - whole_b) < whole_b / 2 for payload in garbage)
        assert roller.radio.n_garbage >= 10


# --- Connecting -------------------------------------------------------------------------------------------------------


@scenario
async def test_mtu_small():
    async with visit() as (host, roller):
        assert host.client.mtu_size == 517
        inject(roller, Fault.MTU_SMALL)
        await host.gone.until(len)
        info = await reconnected(host)
        assert host.client.mtu_size == 23
        assert info.device_id == roller.device.device_id
        assert (await host.ask("PING", b"0123456789abcdef")).reply.echo == b"0123456789abcdef"
        assert (await host.ask("START", DEFAULT_MASK, 60, 0)).status == codec.STATUS_CODE["MTU_TOO_SMALL"]
        small = 1 << codec.STREAM_ID["FORCE"] | 1 << codec.STREAM_ID["EVENT"]
        await host.start(small)
        await host.packets(5)
        assert max(map(len, host.stream)) <= 20
        inject(roller, Fault.MTU_SMALL, mtu=100)
        await host.gone.until(lambda gone: len(gone) == 2)
        await reconnected(host)
        assert host.client.mtu_size == 100
        n_before = len(host.stream)
        await host.start()
        await host.packets(5)
        assert 20 < max(map(len, host.stream[n_before:])) <= 97


@scenario
async def test_adapter_off():
    async with visit(start=True) as (host, roller):
        inject(roller, Fault.ADAPTER_OFF, seconds=1.2)
        await host.gone.until(len)
        await host.told.one(lambda text: text == "host gone (supervision timeout), advertising again")
        assert await host.find(seconds=0.1) is None
        assert (await reconnected(host)).device_id == roller.device.device_id


# --- Pairing ----------------------------------------------------------------------------------------------------------


async def _att_error(operation):
    with pytest.raises(BleakGATTProtocolError) as error:
        await operation
    return error.value.args[0]


def _type_passkeys(host, passkey):
    """Let the host's person type a passkey."""

    class Keyboard(pairing.PairingDelegate):
        async def get_number(self):
            return passkey

    config = pairing.PairingConfig(
        delegate=Keyboard(Keyboard.KEYBOARD_INPUT_ONLY),
        identity_address_type=pairing.PairingConfig.AddressType.RANDOM,
    )
    host.dongle._device.pairing_config_factory = lambda _: config


@pytest.mark.parametrize("mode", [1, 2])
def test_a_protected_roller_asks_for_pairing(mode):
    async def main():
        async with visit(Device(seed=1, build=Build(security_mode=mode)), connect=False) as (host, roller):
            await host.connect()
            assert (await host.info()).security_mode == mode
            assert (await host.client.read_gatt_char("2a19"))[0] == roller.device.battery_percent
            assert await _att_error(host.client.read_gatt_char(STATUS)) == 0x05
            assert await _att_error(host.listen()) == 0x05
            assert await _att_error(host.send("PING", b"")) == 0x05
            await host.client.pair()
            await host.listen()
            assert (await host.ask("PING", b"x")).reply.echo == b"x"
            await host.client.disconnect()
            await host.connect()
            # Like the systems' own stacks, the backend encrypts by itself when there is a bond.
            assert len(await host.client.read_gatt_char(STATUS)) == 12

    asyncio.run(main())


@scenario
async def test_pairing_refused():
    async with visit(Device(seed=1, build=Build(security_mode=1)), connect=False) as (host, roller):
        await host.connect()
        inject(roller, Fault.PAIRING_REFUSED, seconds=BRIEFLY_S)
        with pytest.raises(BleakError, match="PAIRING_NOT_SUPPORTED"):
            await host.client.pair()
        assert await _att_error(host.client.read_gatt_char(STATUS)) == 0x05
        await asyncio.sleep(BRIEFLY_S)
        await host.client.disconnect()
        await host.connect()
        await host.client.pair()
        assert len(await host.client.read_gatt_char(STATUS)) == 12


@scenario
async def test_bond_lost():
    async with visit(Device(seed=1, build=Build(security_mode=2)), connect=False) as (host, roller):
        await host.connect()
        await host.client.pair()
        inject(roller, Fault.BOND_LOST)
        await host.gone.until(len)
        with pytest.raises(BleakError, match="PIN_OR_KEY_MISSING"):
            await host.connect()
        await host.client.unpair()
        await host.again()
        assert await _att_error(host.client.read_gatt_char(STATUS)) == 0x05
        await host.client.pair()
        assert len(await host.client.read_gatt_char(STATUS)) == 12


@scenario
async def test_bond_lost_by_the_host():
    async with visit(Device(seed=1, build=Build(security_mode=2)), connect=False) as (host, _):
        await host.connect()
        await host.client.pair()
        await host.client.unpair()
        await host.client.disconnect()
        await host.connect()
        assert await _att_error(host.client.read_gatt_char(STATUS)) == 0x0F
        await host.client.pair()
        assert len(await host.client.read_gatt_char(STATUS)) == 12


@scenario
async def test_a_factory_reset_forgets_the_bonds():
    async with visit(Device(seed=1, build=Build(security_mode=2)), connect=False) as (host, roller):
        await host.connect()
        await host.client.pair()
        await host.listen()
        roller.device.press(0.2, roller.now_us())
        assert (await host.ask("FACTORY_RESET")).status == 0
        assert await _att_error(host.client.read_gatt_char(STATUS)) == 0x05


@scenario
async def test_wrong_passkey():
    async with visit(Device(seed=1, build=Build(security_mode=3)), connect=False) as (host, roller):
        await host.connect()
        await host.client.pair()
        # Without a passkey the connection is encrypted, but nobody knows with whom.
        assert await _att_error(host.client.read_gatt_char(STATUS)) == 0x05
        await host.client.unpair()
        await host.client.disconnect()
        await host.connect()
        _type_passkeys(host, roller.bonds.passkey)
        inject(roller, Fault.WRONG_PASSKEY, seconds=BRIEFLY_S)
        with pytest.raises(BleakError, match="CONFIRM_VALUE_FAILED"):
            await host.client.pair()
        assert await _att_error(host.client.read_gatt_char(STATUS)) == 0x0F
        await asyncio.sleep(BRIEFLY_S)
        await host.client.disconnect()
        await host.connect()
        await host.client.pair()
        assert len(await host.client.read_gatt_char(STATUS)) == 12


def test_passkeys_have_six_digits_and_belong_to_the_device():
    async def main():
        passkeys = set()
        for seed in range(3):
            async with open_peripheral(Air(), Device(seed=seed)) as roller:
                passkeys.add(roller.bonds.passkey)
        assert len(passkeys) == 3
        assert all(1 <= passkey <= 999_999 for passkey in passkeys)

    asyncio.run(main())


# --- Power ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.POWER_OFF, "switched off"),
        (Fault.SLEEP, "asleep; press wakes it"),
        (Fault.BATTERY_EMPTY, "battery empty"),
    ],
    ids=["power_off", "sleep", "battery_empty"],
)
def test_a_roller_that_goes_off_says_so(fault, why):
    async def main():
        async with visit(start=True) as (host, roller):
            before = await host.info()
            inject(roller, fault, seconds=0.5)
            await host.gone.until(len)
            assert host.reasons == [POWERED_OFF]
            assert await host.find(seconds=0.2) is None
            after = await reconnected(host)
            assert after.device_id == before.device_id
            assert after.boot_id != before.boot_id
            assert (await host.ask("SESSION")).reply.session_id == 0
            told = ["streaming stopped", f"off the air: {why}", "advertising again", "host connected"]
            assert list(host.told[-4:]) == told

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "arguments", "why"),
    [(Fault.POWER_CUT, {"seconds": 0.9}, "switched off"), (Fault.REBOOT, {}, "restarting")],
    ids=["power_cut", "reboot"],
)
def test_a_roller_that_dies_is_missed(fault, arguments, why):
    async def main():
        async with visit(start=True) as (host, roller):
            before = await host.info()
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            inject(roller, fault, **arguments)
            await host.gone.until(len)
            assert loop.time() - begun_s > 0.6
            assert host.reasons == [TIMED_OUT]
            assert f"off the air: {why}" in host.told
            after = await reconnected(host)
            assert after.boot_id != before.boot_id
            assert (await host.ask("SESSION")).reply.session_id == 0

    asyncio.run(main())


@scenario
async def test_reboot_on_request():
    async with visit() as (host, _):
        before = await host.info()
        assert (await host.ask("REBOOT", 0)).status == 0
        await host.gone.until(len)
        assert host.reasons == [TIMED_OUT]
        assert (await reconnected(host)).boot_id != before.boot_id


@scenario
async def test_battery_low():
    async with visit(start=True) as (host, roller):
        levels = asyncio.Queue()
        await host.client.start_notify("2a19", lambda _, payload: levels.put_nowait(payload[0]))
        volts = (await host.status.one(bool)).battery_v
        inject(roller, Fault.BATTERY_LOW, percent=10)
        async with asyncio.timeout(5):
            while await levels.get() != 10:
                pass
        assert (await host.status.one(lambda status: status.battery_v < 3.7)).battery_v < volts
        assert await host.stream.until(lambda heard: events(heard, "LOW_BATTERY")) == [(10, 0)]


@scenario
async def test_usb_plugged():
    async with visit(start=True) as (host, roller):
        inject(roller, Fault.USB_PLUGGED, seconds=0.5)
        status = await host.status.one(lambda status: dict(layout.STATES)[status.state] == "charging")
        usb = codec.bit(layout.STATUS_FLAGS, "USB") | codec.bit(layout.STATUS_FLAGS, "CHARGING")
        assert status.flags & usb == usb
        assert (await host.ask("START", DEFAULT_MASK, 60, 0)).status == codec.STATUS_CODE["BAD_STATE"]
        since = len(host.status)
        await host.status.one(lambda status: status.flags & usb == 0, since)
        await host.start()


# --- Parts and firmware -----------------------------------------------------------------------------------------------

SILENCED = {"IMU": {"IMU6", "ROLL"}, "ADC": {"FORCE_RAW"}, "ENCODER": {"ROLL"}}


@pytest.mark.parametrize("fault", [Fault[f"{part}_FAULT"] for _, part, _ in layout.FAULTS], ids=title)
def test_a_broken_part_is_told_and_recovers(fault):
    part = fault.name.removesuffix("_FAULT")
    bit = codec.bit(layout.FAULTS, part)

    async def main():
        async with visit(start=True) as (host, roller):
            inject(roller, fault, seconds=0.5)
            status = await host.status.one(lambda status: status.faults == bit)
            calibrated = status.flags & codec.bit(layout.STATUS_FLAGS, "CALIBRATED")
            assert bool(calibrated) == (part != "CAL_CRC")
            names = {code: name for name, code in codec.STREAM_ID.items()}
            while True:
                seen = {names[block.stream_id] for packet in await host.packets(5) for block in packet.blocks}
                if not seen & SILENCED.get(part, set()):
                    break
            assert seen | SILENCED.get(part, set()) >= {"IMU6", "FORCE_RAW"}
            since = len(host.status)
            await host.status.one(lambda status: status.faults == 0, since)
            position = bit.bit_length() - 1
            told = await host.stream.until(lambda heard: len(found := events(heard, "FAULT")) > 1 and found)
            assert told == [(position, 1), (position, 0)]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "request_", "status"),
    [
        (Fault.IMU_FAULT, ("START", DEFAULT_MASK, 60, 0), "HW_FAULT"),
        (Fault.ADC_FAULT, ("START", DEFAULT_MASK, 60, 0), "HW_FAULT"),
        (Fault.ENCODER_FAULT, ("START", DEFAULT_MASK, 60, 0), "HW_FAULT"),
        (Fault.HAPTIC_FAULT, ("HAPTIC_PLAY", 1, 50, 1), "HW_FAULT"),
        (Fault.STORAGE_FAULT, ("LOG_READ", 0, 1), "STORAGE"),
    ],
    ids=lambda value: value.title if isinstance(value, Fault) else "",
)
def test_requests_that_need_a_broken_part_are_refused(fault, request_, status):
    async def main():
        async with visit() as (host, roller):
            inject(roller, fault, seconds=LONG_S)
            assert (await host.ask(*request_)).status == codec.STATUS_CODE[status]

    asyncio.run(main())


@scenario
async def test_firmware_hangs():
    async with visit(start=True) as (host, roller):
        inject(roller, Fault.FIRMWARE_HANGS, seconds=0.8)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        assert (await host.ask("PING", b"")).status == 0
        assert loop.time() - begun_s > 0.6
        await host.packets(20)
        # 40 packets at once, of which 20 fit.
        assert gaps(seqs(host.stream)) > 10
        assert not host.gone


@scenario
async def test_response_late():
    async with visit() as (host, roller):
        inject(roller, Fault.RESPONSE_LATE, by_s=0.5, seconds=LONG_S)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await host.ask("PING", b"")
        assert 0.45 < loop.time() - begun_s < 5


@scenario
async def test_response_missing():
    async with visit() as (host, roller):
        inject(roller, Fault.RESPONSE_MISSING, seconds=BRIEFLY_S)
        await host.send("LED", 1, 2, 3, 1)
        await asyncio.sleep(2 * BRIEFLY_S)
        assert host.responses == []
        assert roller.device.led == (1, 2, 3, 1)
        assert (await host.ask("PING", b"")).status == 0


@scenario
async def test_response_garbage():
    async with visit() as (host, roller):
        inject(roller, Fault.RESPONSE_GARBAGE, seconds=LONG_S)
        await host.send("PING", b"abc")
        payload = await host.responses.one(bool)
        with pytest.raises(codec.ProtocolError):
            codec.decode_response(payload)


# --- A host that misbehaves -------------------------------------------------------------------------------------------


@scenario
async def test_a_host_that_does_not_confirm_is_disconnected_and_the_next_one_served():
    async with visit(start=True) as (host, roller):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bumble.gatt_server.GATT_REQUEST_TIMEOUT", 0.2)
            patch.setattr(host.client._backend._connection.gatt_client, "send_confirmation", lambda _: None)
            await host.send("PING", b"")
            await host.gone.until(len)
        assert host.reasons == [LEFT]
        assert not roller.serving.done()
        assert (await reconnected(host)).boot_id == roller.device.boot_id
        assert "host gone (it did not confirm a response), advertising again" in host.told
        assert (await host.ask("PING", b"x")).reply.echo == b"x"


@scenario
async def test_a_host_that_does_not_confirm_and_leaves_harms_nobody():
    async with visit() as (host, roller):
        host.client._backend._connection.gatt_client.send_confirmation = lambda _: None
        for _ in range(3):
            await host.send("PING", b"")
        await host.client.disconnect()
        await reconnected(host)
        assert (await host.ask("PING", b"x")).reply.echo == b"x"
        assert not roller.serving.done()


# --- Faults on top of each other --------------------------------------------------------------------------------------

OVERLAPS = [
    (Fault.JITTER, Fault.JITTER, lambda roller: roller.radio.jitter_s > 0),
    (Fault.RESPONSE_MISSING, Fault.RESPONSE_MISSING, lambda roller: roller.manners.response_missing),
    (Fault.OUT_OF_RANGE, Fault.WEAK_SIGNAL, lambda roller: roller.radio.distance_m > 1),
    (Fault.POWER_CUT, Fault.POWER_CUT, lambda roller: roller.radio.silent),
    (Fault.POWER_CUT, Fault.POWER_OFF, lambda roller: not roller.device.on_air),
    (Fault.BATTERY_EMPTY, Fault.POWER_OFF, lambda roller: not roller.device.on_air),
    (Fault.POWER_OFF, Fault.BATTERY_EMPTY, lambda roller: not roller.device.on_air),
    (Fault.SLEEP, Fault.SLEEP, lambda roller: roller.device.asleep),
    (Fault.USB_PLUGGED, Fault.USB_PLUGGED, lambda roller: roller.device.cell.usb),
    (Fault.IMU_FAULT, Fault.IMU_FAULT, lambda roller: "IMU" in roller.device.faults),
]


@pytest.mark.parametrize("shorter_first", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "suffers"), OVERLAPS, ids=[f"{first.title}-{second.title}" for first, second, _ in OVERLAPS]
)
def test_of_two_faults_of_one_kind_the_later_counts(first, second, suffers, shorter_first, monkeypatch):
    monkeypatch.setattr("simulator.firmware.device.BOOT_US", 50_000)
    monkeypatch.setattr("simulator.bluetooth.peripheral.IDLE_TICK_S", 0.02)

    async def main():
        async with open_peripheral(Air(), Device(seed=1)) as roller:
            inject(roller, first, seconds=0.05 if shorter_first else LONG_S)
            inject(roller, second, seconds=0.6 if shorter_first else 0.1)
            roller.device.advance(roller.now_us())
            assert suffers(roller)
            if shorter_first:
                await asyncio.sleep(0.3)
                assert suffers(roller)
            async with asyncio.timeout(5):
                while suffers(roller):  # noqa: ASYNC110 - a device has no event loop
                    await asyncio.sleep(0.05)
            # It stays well.
            await asyncio.sleep(0.1)
            assert not suffers(roller)

    asyncio.run(main())


@scenario
async def test_of_two_hangs_the_later_counts():
    async with visit() as (host, roller):
        inject(roller, Fault.FIRMWARE_HANGS, seconds=0.1)
        inject(roller, Fault.FIRMWARE_HANGS, seconds=0.6)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await host.ask("PING", b"")
        assert loop.time() - begun_s > 0.4


@scenario
async def test_different_faults_end_one_by_one():
    async with open_peripheral(Air(), Device(seed=1)) as roller:
        inject(roller, Fault.IMU_FAULT, seconds=LONG_S)
        inject(roller, Fault.ADC_FAULT, seconds=0.05)
        await asyncio.sleep(0.2)
        assert roller.device.faults == {"IMU"}


# --- The list of faults -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collected(request):
    """Ids of all tests in this file, whichever of them run."""
    return {item.name for item in request.node.getparent(pytest.Module).collect()}


@pytest.fixture(scope="module")
def sources():
    """Name of each function in this file -> its source."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {function.name: ast.unparse(function) for function in functions}


@pytest.mark.parametrize("fault", Fault, ids=title)
def test_every_fault_has_a_test_that_injects_it(fault, collected, sources):
    assert fault.test in collected
    source = sources[fault.test.partition("[")[0]]
    assert ("inject(roller, fault" if fault.value.among else f"(roller, Fault.{fault.name}") in source


def test_the_page_is_current():
    printed = subprocess.run(
        [sys.executable, "-m", "simulator.bluetooth.faults"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PAGE.parents[1],
    ).stdout
    assert printed == PAGE.read_text(encoding="utf-8")
    assert all(f"`{fault.usage}`" in printed for fault in Fault)


@pytest.mark.parametrize(
    ("line", "fault", "arguments"),
    [
        ("reboot", Fault.REBOOT, {}),
        ("out_of_range", Fault.OUT_OF_RANGE, {"seconds": 5.0}),
        ("out_of_range 2", Fault.OUT_OF_RANGE, {"seconds": 2.0}),
        ("  Out_Of_Range   seconds=0.5 ", Fault.OUT_OF_RANGE, {"seconds": 0.5}),
        ("lost_notifications 0.5 3", Fault.LOST_NOTIFICATIONS, {"share": 0.5, "seconds": 3.0}),
        ("lost_notifications seconds=3 share=1", Fault.LOST_NOTIFICATIONS, {"share": 1.0, "seconds": 3.0}),
    ],
)
def test_a_typed_line_is_understood(line, fault, arguments):
    assert parse(line) == (fault, arguments)


@pytest.mark.parametrize("fault", Fault, ids=title)
def test_what_the_page_shows_can_be_typed(fault):
    assert parse(fault.usage) == (fault, {each.name: each.default for each in fault.value.arguments})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "'' is no fault; known are: link_loss, out_of_range, .*reboot"),
        ("rebot", "'rebot' is no fault; known are: .*reboot"),
        ("reboot 1", "reboot: '1' is one too many; it takes nothing"),
        ("out_of_range 1 2", "'2' is one too many; it takes seconds"),
        ("out_of_range metres=5", "out_of_range takes seconds, not 'metres'"),
        ("reboot metres=5", "reboot takes no arguments, not 'metres'"),
        ("out_of_range soon", "seconds has to be a number from 0 to 86400 s, not 'soon'"),
        ("out_of_range -1", "seconds has to be a number from 0 to 86400 s, not '-1'"),
        ("out_of_range nan", "not 'nan'"),
        ("out_of_range inf", "not 'inf'"),
        ("out_of_range seconds=", "not ''"),
        ("out_of_range 1 seconds=2", "'seconds' is given twice"),
        ("mtu_small 22", "mtu has to be a whole number from 23 to 517 B"),
        ("mtu_small 23.7", "mtu has to be a whole number from 23 to 517 B, not '23.7'"),
        ("battery_low 0", "percent has to be a number from 1 to 100 %, not '0'"),
        ("lost_notifications 1.5", "share has to be a number from 0 to 1 of the notifications"),
    ],
)
def test_a_senseless_line_says_what_would_make_sense(line, message):
    with pytest.raises(FaultError, match=message):
        parse(line)


@pytest.mark.parametrize("before", ["", "reboot ", "out_of_range ", "out_of_range seconds="])
def test_a_long_line_is_not_repeated_whole(before):
    with pytest.raises(FaultError) as error:
        parse(before + "y" * 3_000_000)
    assert "yyy" in str(error.value)
    assert len(str(error.value)) < 1000
    with pytest.raises(FaultError) as error:
        parse("reboot " + 2 * ("z" * 3_000_000 + "=1 "))
    assert len(str(error.value)) < 1000


def test_a_low_battery_is_not_an_empty_one():
    async def main():
        async with open_peripheral(Air(), Device(seed=1)) as roller:
            inject(roller, Fault.BATTERY_LOW, percent=Fault.BATTERY_LOW.value.arguments[0].smallest)
            await asyncio.sleep(0.3)
            assert roller.device.on_air

    asyncio.run(main())


@pytest.mark.parametrize("value", [True, None, [1], math.nan, "x", pytest.param(10**400, id="huge")])
def test_a_scenario_is_checked_like_a_typed_line(value):
    assert check(Fault.OUT_OF_RANGE, {"seconds": 3}) == {"seconds": 3.0}
    with pytest.raises(FaultError, match="seconds has to be a number"):
        check(Fault.OUT_OF_RANGE, {"seconds": value})


@pytest.mark.parametrize("fault", [Fault.LINK_LOSS, Fault.TX_OVERFLOW, Fault.SLOW_PARAMETERS, Fault.ADAPTER_OFF])
def test_a_fault_that_needs_a_host_says_so(fault):
    async def main():
        async with visit(connect=False) as (_, roller):
            with pytest.raises(FaultError, match="no host is connected"):
                inject(roller, fault)

    asyncio.run(main())
