# SPDX-License-Identifier: MIT
"""A session through losses of every kind: it goes on, and what the roller held is in it."""

import asyncio
import dataclasses
import inspect
from collections import Counter
from itertools import pairwise

import pytest
from bleak.exc import BleakError
from bumble.gatt import Characteristic, Service
from bumble.gatt_client import Client as GattClient
from hosted import PATIENT, Session, roller

from firmware_protocol import codec, layout
from roller_host.link.bookmark import Bookmark
from roller_host.link.bumble_backend import BumbleScanner
from roller_host.link.states import LinkLostError, LinkPhase, NoDeviceError, PairingError, RefusedError, TakenError
from simulator.bluetooth.bonds import passkey_of
from simulator.bluetooth.faults import Fault, inject
from simulator.bluetooth.peripheral import monotonic_us, open_peripheral
from simulator.firmware.device import Build, Device


@pytest.fixture(autouse=True)
def _hasty_roller(monkeypatch):
    """Advertisements come more often, so that tests do not wait for them."""
    monkeypatch.setattr("simulator.bluetooth.advertising.INTERVAL_MS", 20.0)
    monkeypatch.setattr("roller_host.link.radio.SETTLE_S", 0.02)


def scenario(main):
    """Make a test of a coroutine."""

    def test(**arguments):
        asyncio.run(main(**arguments))

    test.__name__ = main.__name__
    test.__signature__ = inspect.signature(main)
    return test


def resent(session):
    """Numbers of the packets that came again, as often as they did."""
    backfilled = bytes([layout.PTYPE_BACKFILL])
    numbers = (payload[2:6] for payload in session.payloads("STREAM") if payload[:1] == backfilled)
    return Counter(int.from_bytes(number, "little") for number in numbers)


def reasons(session, phase):
    return [state.reason for state in session.states if state.phase is phase]


# --- The link is lost -------------------------------------------------------------------------------------------------


@scenario
async def test_a_session_goes_on_after_a_lost_link_and_is_complete():
    async with roller() as session:
        async with session.streaming():
            for seconds in (0, 0.6):
                inject(session.peripheral, Fault.LINK_LOSS, seconds=seconds)
                await session.back()
        assert not session.lacking
        assert len(resent(session)) >= 10
        assert len(session.asked("START")) == 1
        assert session.phases.count(LinkPhase.OUT_OF_RANGE) == 2
        assert session.phases[-1] is LinkPhase.OFF


@scenario
async def test_a_request_of_the_callers_ends_with_the_link():
    """It does not wait for an answer that nobody can give any more, nor does a library's own error come through."""
    async with roller() as session:
        controls = []
        async with session.streaming(on_control=controls.append):
            inject(session.peripheral, Fault.RESPONSE_MISSING, seconds=5.0)
            asked = asyncio.ensure_future(controls[0].ping())
            await session.until(lambda: session.asked("PING"))
            inject(session.peripheral, Fault.LINK_LOSS, seconds=0)
            with pytest.raises(LinkLostError, match="while asking PING"):
                await asked
            with pytest.raises(LinkLostError, match="while asking STREAM_LIST"):
                await controls[0].stream_ids()


@scenario
async def test_out_of_range_beyond_the_supervision_timeout():
    async with roller() as session:
        async with session.streaming():
            inject(session.peripheral, Fault.OUT_OF_RANGE, seconds=1.0)
            await session.back()
        assert not session.lacking
        assert len(session.asked("START")) == 1


@scenario
async def test_a_switched_off_adapter_that_comes_back():
    async with roller() as session:
        async with session.streaming():
            inject(session.peripheral, Fault.ADAPTER_OFF, seconds=0.9)
            await session.back()
        assert not session.lacking
        assert len(session.asked("START")) == 1


@scenario
async def test_while_bluetooth_is_off_that_is_said_at_once_and_nothing_else(monkeypatch):
    refused = []
    start = BumbleScanner.start

    async def switched_off(scanner):
        if len(refused) >= 3:
            return await start(scanner)
        refused.append(scanner)
        raise BleakError("[org.bluez.Error.NotReady] Resource Not Ready")

    async with roller() as session:
        async with session.streaming():
            monkeypatch.setattr(BumbleScanner, "start", switched_off)
            inject(session.peripheral, Fault.LINK_LOSS)
            await session.back()
        after = session.phases[session.phases.index(LinkPhase.STREAMING) + 1 :]
    assert after[:4] == [LinkPhase.RETRYING, LinkPhase.NO_BLUETOOTH, LinkPhase.OUT_OF_RANGE, LinkPhase.CONNECTING]
    told = next(state for state in session.states if state.phase is LinkPhase.NO_BLUETOOTH)
    assert (told.words, told.reason) == ("no Bluetooth", "Bluetooth is switched off.")
    assert len(refused) == 3


@scenario
async def test_what_a_full_memory_holds_when_asked_is_fetched_before_it_gives_way(monkeypatch):
    monkeypatch.setattr("simulator.firmware.memory.RING_B", 4096)
    held = []

    class Witness(Device):
        def request(self, payload, now_us):
            response = super().request(payload, now_us)
            if payload[0] == codec.OP["SESSION"]:
                first = self.stream.ring.first()
                held.append(self.stream.ring.held(first, self.stream.seq))
            return response

    async with roller(Witness(seed=1)) as session:
        async with session.streaming():
            inject(session.peripheral, Fault.LINK_LOSS, seconds=2.5)
            await session.back()
            await asyncio.sleep(0.5)
        assert len(held) == 1
        assert held[0][0] > 5, "the memory was not full"
        assert set(held[0]) <= session.seqs
        # What had given way is not asked for again and again.
        assert len(session.asked("BACKFILL")) <= 4


@scenario
async def test_a_roller_that_stays_away_is_given_up():
    async with roller() as session:
        link = asyncio.create_task(session.run(times=dataclasses.replace(PATIENT, give_up_s=0.5)))
        await session.until(lambda: session.seqs)
        inject(session.peripheral, Fault.LINK_LOSS, seconds=60)
        with pytest.raises(LinkLostError, match=r"has not come back within 0\.5 s"):
            await link
        assert session.phases[-1] is LinkPhase.LOST


@scenario
async def test_a_scan_that_went_deaf_is_begun_anew(monkeypatch):
    monkeypatch.setattr("roller_host.link.client.RESCAN_S", 0.3)
    async with roller() as session:
        async with session.streaming():
            inject(session.peripheral, Fault.LINK_LOSS, seconds=0.6)
            await session.until(lambda: LinkPhase.OUT_OF_RANGE in session.phases)
            await asyncio.sleep(0.1)
            session.controller("host").le_scan_enable = False
            await session.back()
        assert not session.lacking


@scenario
async def test_services_are_read_anew_only_when_they_changed(monkeypatch):
    n_read = []
    discover = GattClient.discover_services
    monkeypatch.setattr(GattClient, "discover_services", lambda self: n_read.append(1) or discover(self))
    async with roller() as session:
        async with session.streaming():
            inject(session.peripheral, Fault.LINK_LOSS)
            await session.back()
            assert len(n_read) == 1
            more = Characteristic("2AFF", Characteristic.Properties.READ, Characteristic.READABLE, b"1")
            server = session.peripheral._host.gatt_server
            server.add_services([Service("1234", [more])])
            inject(session.peripheral, Fault.LINK_LOSS)
            await session.back()
            assert len(n_read) == 2
        assert not session.lacking


# --- The roller begins anew -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.REBOOT, Fault.POWER_OFF], ids=lambda fault: fault.title)
@scenario
async def test_a_restarted_roller_gets_a_new_session(fault):
    async with roller() as session:
        async with session.streaming():
            inject(session.peripheral, fault, **({"seconds": 0.1} if fault is Fault.POWER_OFF else {}))
            await session.back()
            await session.until(lambda: len(session.seqs) >= 4)
        boots = [codec.decode_record("INFO", payload).boot_id for payload in session.payloads("INFO")]
        assert len(set(boots)) == 2
        assert len(session.asked("START")) == 2
        assert not session.lacking


@scenario
async def test_a_pause_for_charging_is_told_and_ends_by_itself():
    async with roller() as session:
        async with session.streaming(n_packets=10):
            session.device.plug(True, session.peripheral.now_us())
            await session.until(lambda: "the roller is charging" in reasons(session, LinkPhase.STALLED))
            first = set(range(session.device.stream.seq))
            await asyncio.sleep(1.5)
            assert first <= session.seqs
            session.device.plug(False, session.peripheral.now_us())
            await session.back()
            await session.until(lambda: len(session.asked("START")) == 2 and len(session.seqs) >= 4)
            # Nothing is stalled any more, not even for a moment.
            assert session.phases[-1] is LinkPhase.STREAMING
            assert session.phases.count(LinkPhase.STALLED) == 2
        assert not session.lacking
        assert max(resent(session).values(), default=1) == 1


@scenario
async def test_a_roller_that_charges_already_is_refused_with_what_to_do():
    device = Device(seed=1)
    device.plug(True, monotonic_us())
    async with roller(device) as session:
        with pytest.raises(RefusedError, match=r"is charging.*Pull out the cable"):
            await session.run()
        assert not session.asked("START")


@scenario
async def test_packets_of_a_session_that_charging_ended_are_fetched_before_the_next():
    async with roller() as session:
        async with session.streaming(n_packets=10):
            session.peripheral.radio.lost_share = 1.0
            n_before = session.device.stream.seq
            await session.until(lambda: session.device.stream.seq > n_before + 5)
            session.device.plug(True, session.peripheral.now_us())
            made = set(range(session.device.stream.seq))
            await asyncio.sleep(0.05)
            session.peripheral.radio.lost_share = 0.0
            session.device.plug(False, session.peripheral.now_us())
            await session.until(lambda: len(session.asked("START")) == 2)
        starts = [
            i
            for i, record in enumerate(session.records)
            if record[1:3] == ("CONTROL", "out") and record.payload[0] == codec.OP["START"]
        ]
        before = [record.payload for record in session.records[: starts[1]] if record.source == "STREAM"]
        assert made <= {int.from_bytes(payload[2:6], "little") for payload in before}


@scenario
async def test_a_session_of_another_program_is_ended_and_not_mixed_with_the_own_one():
    async with roller() as session:
        other = Session(session.air)
        other.device = session.device
        async with asyncio.timeout(10):
            link = asyncio.create_task(other.run(times=PATIENT, name="other"))
            await session.until(lambda: len(other.seqs) >= 10)
            link.cancel()
            await asyncio.wait([link])
        assert session.device.streaming
        async with session.streaming():
            await asyncio.sleep(0.3)
        assert len(session.asked("STOP")) == 2
        assert not session.asked("BACKFILL")
        assert not session.lacking
        numbers = [int.from_bytes(payload[2:6], "little") for payload in session.payloads("STREAM")]
        assert numbers == sorted(numbers)


# --- Notifications and responses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "arguments"),
    [
        (Fault.LOST_NOTIFICATIONS, {"share": 0.5}),
        (Fault.DUPLICATE_NOTIFICATIONS, {"share": 0.5}),
        (Fault.LATE_NOTIFICATIONS, {"share": 0.5, "by_s": 0.2}),
        (Fault.GARBAGE_NOTIFICATIONS, {"share": 0.3}),
        (Fault.TX_OVERFLOW, {}),
        (Fault.FIRMWARE_HANGS, {}),
    ],
    ids=lambda value: value.title if isinstance(value, Fault) else "",
)
@scenario
async def test_troubled_notifications_leave_nothing_out(fault, arguments):
    async with roller() as session:
        async with session.streaming():
            inject(session.peripheral, fault, seconds=1.0, **arguments)
            await asyncio.sleep(1.2)
        assert not session.lacking
        assert len(session.asked("START")) == 1
        assert not [text for state in session.states if "100%" in (text := state.reason)]


@scenario
async def test_a_packet_that_is_lost_again_and_again_is_asked_for_as_long_as_it_is_held():
    async with roller() as session:
        async with session.streaming():
            session.peripheral.radio.lost_share = 0.9
            await asyncio.sleep(1.5)
            session.peripheral.radio.lost_share = 0.0
            await session.until(lambda: len(session.lacking) < 3)
        assert not session.lacking


@pytest.mark.parametrize(
    "fault", [Fault.RESPONSE_LATE, Fault.RESPONSE_MISSING, Fault.RESPONSE_GARBAGE], ids=lambda fault: fault.title
)
@scenario
async def test_troubled_responses_do_not_end_a_stream(fault):
    async with roller() as session:
        async with session.streaming(n_packets=1):
            inject(session.peripheral, fault, seconds=1.5, **({"by_s": 1.0} if fault is Fault.RESPONSE_LATE else {}))
            await asyncio.sleep(1.8)
        assert session.phases.count(LinkPhase.STREAMING) == 1
        assert not session.lacking


@scenario
async def test_a_start_whose_response_is_lost_is_asked_for_again():
    class Mumbling(Device):
        n_starts = 0

        def request(self, payload, now_us):
            response = super().request(payload, now_us)
            if payload[0] == codec.OP["START"]:
                self.n_starts += 1
                if self.n_starts == 1:
                    return b"\0\0\0"
            return response

    async with roller(Mumbling(seed=1)) as session:
        async with session.streaming():
            await session.until(lambda: len(session.asked("START")) == 2)
            await asyncio.sleep(0.4)
        assert len(session.asked("START")) == 2
        assert session.phases.count(LinkPhase.CONNECTING) == 1
        assert not session.asked("BACKFILL")
        assert not session.lacking


@scenario
async def test_packets_that_are_missing_when_the_person_stops_are_waited_for():
    async with roller() as session:
        async with session.streaming():
            session.peripheral.radio.lost_share = 1.0
            n_before = session.device.stream.seq
            await session.until(lambda: session.device.stream.seq > n_before + 5)
            session.stop.set()
            await session.events.last("streaming stopped")
            session.peripheral.radio.lost_share = 0.0
        assert not session.lacking
        assert session.phases[-2:] == [LinkPhase.SUBSCRIBED, LinkPhase.OFF]


@scenario
async def test_a_short_mtu_is_told_and_a_long_one_makes_the_session_complete():
    async with roller() as session:
        async with session.streaming():
            inject(session.peripheral, Fault.MTU_SMALL, mtu=23)
            await session.until(lambda: any("MTU_TOO_SMALL" in text for text in reasons(session, LinkPhase.RETRYING)))
            inject(session.peripheral, Fault.MTU_SMALL, mtu=517)
            await session.back()
            await asyncio.sleep(0.5)
        assert not session.lacking
        assert len(session.asked("START")) == 1


# --- Who it is --------------------------------------------------------------------------------------------------------


class Twin(Device):
    """A roller with the name of another."""

    def __init__(self, seed, elder):
        super().__init__(seed)
        self.device_id = self.device_id[:-2] + elder.device_id[-2:]


@scenario
async def test_of_two_rollers_with_the_same_name_the_device_id_decides():
    wanted = Device(seed=1)
    async with roller(wanted) as session, open_peripheral(session.air, Twin(2, wanted)) as other:
        other.radio.place(0.1)
        for _ in range(3):
            session.stop.clear()
            async with session.streaming(target=wanted.device_id.hex()):
                pass
        assert other.device.stream.seq == 0
        assert session.device.stream.seq > 0


@scenario
async def test_only_another_roller_with_that_name_is_no_device():
    wanted = Device(seed=1)
    async with roller(Twin(2, wanted)) as session:
        with pytest.raises(NoDeviceError, match="No roller"):
            await session.run(wanted.device_id.hex(), scan_s=0.5)


@scenario
async def test_a_second_host_hears_that_the_roller_is_taken(monkeypatch):
    monkeypatch.setattr("roller_host.link.radio.TAKEN_S", 0.2)
    async with roller() as session, session.streaming():
        other = Session(session.air)
        with pytest.raises(TakenError, match="taken by another program"):
            await other.run(name="other", scan_s=2.0)
        assert other.phases == [LinkPhase.SCANNING, LinkPhase.TAKEN, LinkPhase.TAKEN]


# --- Bonds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [1, 2])
@scenario
async def test_a_lost_bond_is_made_anew(mode):
    async with roller(Device(seed=1, build=Build(security_mode=mode))) as session:
        async with session.streaming():
            inject(session.peripheral, Fault.BOND_LOST)
            await session.back()
            await asyncio.sleep(0.3)
        assert session.phases.count(LinkPhase.PAIRING) >= 3
        assert not session.lacking
        assert len(session.asked("START")) == 1


@scenario
async def test_a_roller_that_refuses_to_pair_is_tried_again_in_mid_session():
    async with roller(Device(seed=1, build=Build(security_mode=2))) as session:
        async with session.streaming():
            inject(session.peripheral, Fault.PAIRING_REFUSED, seconds=0.6)
            inject(session.peripheral, Fault.BOND_LOST)
            await session.back()
        assert any("could not be paired" in text for text in reasons(session, LinkPhase.RETRYING))
        assert not session.lacking


@scenario
async def test_the_passkey_on_the_label_opens_the_roller():
    device = Device(seed=1, build=Build(security_mode=3))
    async with roller(device) as session:
        async with session.streaming(passkey=passkey_of(device.device_id)):
            inject(session.peripheral, Fault.LINK_LOSS)
            await session.back()
        assert not session.lacking


@pytest.mark.parametrize("passkey", [1, None])
@scenario
async def test_without_the_right_passkey_the_person_is_told_where_it_stands(passkey):
    async with roller(Device(seed=1, build=Build(security_mode=3))) as session:
        with pytest.raises(PairingError, match="six digits on its label"):
            await session.run(passkey=passkey)
        assert session.phases[-1] is LinkPhase.REFUSED


class Person:
    """Types these digits one after the other, and then waits for ever."""

    def __init__(self, *passkeys):
        self.asked, self._passkeys = [], [*passkeys]

    async def ask(self, name):
        self.asked.append(name)
        if not self._passkeys:
            await asyncio.Event().wait()
        return self._passkeys.pop(0)

    def reject(self, name):
        self.asked.append(f"{name}: wrong")


@scenario
async def test_digits_are_asked_for_once_and_again_when_they_are_wrong():
    device = Device(seed=1, build=Build(security_mode=3))
    person = Person(1, passkey_of(device.device_id))
    async with roller(device) as session:
        async with session.streaming(ask=person):
            assert person.asked == [device.name, f"{device.name}: wrong", device.name]
            inject(session.peripheral, Fault.LINK_LOSS)
            await session.back()
        assert len(person.asked) == 3
        assert not session.lacking


@pytest.mark.parametrize("mode", [0, 1, 2])
@scenario
async def test_a_roller_without_a_passkey_asks_nobody(mode):
    person = Person()
    async with roller(Device(seed=1, build=Build(security_mode=mode))) as session, session.streaming(ask=person):
        pass
    assert person.asked == []


@scenario
async def test_wrong_digits_end_the_attempt_after_three_times():
    person = Person(1, 2, 3, 4)
    async with roller(Device(seed=1, build=Build(security_mode=3))) as session:
        with pytest.raises(PairingError, match="Look at the six digits on its label"):
            await session.run(ask=person)
        assert len(person.asked) == 6
        assert session.states[-1].unpaired


@scenario
async def test_a_person_who_types_nothing_is_not_waited_for_for_ever():
    times = dataclasses.replace(PATIENT, type_s=0.2)
    async with roller(Device(seed=1, build=Build(security_mode=3))) as session:
        with pytest.raises(PairingError, match=r"Nobody typed the passkey of .* within 0\.2 s"):
            await session.run(ask=Person(), times=times)


@scenario
async def test_a_link_that_is_lost_while_somebody_types_is_made_again_and_asks_again():
    device = Device(seed=1, build=Build(security_mode=3))
    person = Person()
    async with roller(device) as session:
        link = asyncio.create_task(session.run(ask=person))
        await session.until(lambda: person.asked)
        person._passkeys.append(passkey_of(device.device_id))
        inject(session.peripheral, Fault.LINK_LOSS)
        await session.until(lambda: len(session.seqs) >= 4)
        assert person.asked == [device.name] * 2
        session.stop.set()
        await link


# --- Other processes --------------------------------------------------------------------------------------------------


@scenario
async def test_a_new_process_goes_on_with_the_session_of_one_that_was_killed():
    bookmark = Bookmark()
    async with roller() as session:
        link = asyncio.create_task(session.run(times=PATIENT, bookmark=bookmark))
        await session.until(lambda: len(session.seqs) >= 5)
        session.air.remove(session.controller("host"))
        link.cancel()
        await session.events.last("host gone (supervision timeout), advertising again")
        # What the second process sees is written behind what the first one saw.
        async with session.streaming(name="host after", bookmark=bookmark):
            await session.back()
        await asyncio.wait([link])
        assert not session.lacking
        assert len(session.asked("START")) == 1


@scenario
async def test_a_bookmark_of_a_session_that_is_over_is_no_obstacle():
    async with roller() as session:
        bookmark = Bookmark(session.device.device_id, session.device.boot_id, 12345)
        bookmark.ledger.add(3)
        async with session.streaming(bookmark=bookmark):
            pass
        assert not session.lacking
        assert bookmark.session_id == session.device.stream.session_id


# --- The roller's own recordings --------------------------------------------------------------------------------------


class Leaping:
    """A device's clock that can leap ahead."""

    def __init__(self):
        self.ahead_us = 0

    def __call__(self):
        return monotonic_us() + self.ahead_us


class Shelf:
    """Keeps recordings in memory."""

    def __init__(self, device):
        self.device = device
        self.begun, self.numbers, self.safe, self.told = [], [], 0, []
        self.n_finished = 0
        self.on_settle = lambda: None
        self.is_full = False

    async def begin(self, first, last, unix_us):
        self.begun.append((first, last, unix_us))
        return True

    def record(self, record):
        self.numbers.append(int.from_bytes(record.payload[2:6], "little"))

    async def settle(self):
        # Nothing is freed that is not safe.
        assert self.device.log.first <= self.numbers[self.safe]
        await asyncio.sleep(0)
        self.safe = len(self.numbers)
        self.on_settle()
        return not self.is_full

    def progress(self, n_fetched, n_packets):
        self.told.append((n_fetched, n_packets))

    async def finish(self):
        self.n_finished += 1


def _recorded_offline(seconds):
    """A device with recordings of its own, and its clock."""
    clock, device = Leaping(), Device(seed=1)
    for duration_s in seconds:
        device.press(0.2, clock())
        clock.ahead_us += round(duration_s * 1e6)
        device.advance(clock())
        device.press(0.2, clock())
        clock.ahead_us += 1_000_000
    return clock, device


@scenario
async def test_recordings_of_the_roller_are_fetched_and_then_freed():
    clock, device = _recorded_offline([3.0, 6.0])
    n_packets = device.log.next
    async with roller(device, clock=clock) as session:
        shelf = Shelf(device)
        async with session.streaming(shelf=shelf):
            await session.until(lambda: shelf.n_finished == 2)
        assert shelf.numbers == list(range(n_packets))
        assert [first for first, _, _ in shelf.begun] == [0, shelf.begun[0][1] + 1]
        assert shelf.told[-1] == (n_packets, n_packets)
        assert device.log.used_b == 0
        assert not session.lacking
        assert not [payload for payload in session.payloads("STREAM") if payload[0] == layout.PTYPE_LOG]


@scenario
async def test_a_full_disk_leaves_the_recording_in_the_roller_and_the_session_goes_on():
    clock, device = _recorded_offline([3.0])
    async with roller(device, clock=clock) as session:
        shelf = Shelf(device)
        shelf.is_full = True
        async with session.streaming(shelf=shelf):
            await session.until(lambda: shelf.safe)
            n_here = len(session.payloads("STREAM"))
            await session.until(lambda: len(session.payloads("STREAM")) > n_here + 5)
        assert shelf.n_finished == 0
        assert device.log.first == 0


@scenario
async def test_a_recording_is_fetched_through_a_lost_link_and_lost_packets():
    clock, device = _recorded_offline([7.0])
    n_packets = device.log.next
    async with roller(device, clock=clock) as session:
        shelf = Shelf(device)
        n_losses = []

        def lose():
            if not n_losses:
                n_losses.append(1)
                inject(session.peripheral, Fault.LINK_LOSS)
                inject(session.peripheral, Fault.LOST_NOTIFICATIONS, share=0.1, seconds=60)

        shelf.on_settle = lose
        async with session.streaming(shelf=shelf):
            await session.until(lambda: shelf.n_finished == 1, 15)
        assert len(shelf.begun) == 2
        assert shelf.safe == len(shelf.numbers)
        assert sorted(set(shelf.numbers)) == list(range(n_packets))
        # In order, but for a part that was safe and not freed yet when the link broke.
        assert sum(after != before + 1 for before, after in pairwise(shelf.numbers)) <= 1
        assert device.log.used_b == 0
        assert not session.lacking
