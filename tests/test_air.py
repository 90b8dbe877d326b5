# SPDX-License-Identifier: MIT
"""The virtual air: who hears whom, when packets pass, how connections begin and end."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from bare import SERVICE, Heard, Host, visit
from bleak.exc import BleakError
from bumble import core, hci, ll
from bumble.core import AdvertisingData, PhysicalTransport
from bumble.device import AdvertisingType, DeviceConfiguration
from bumble.device import Device as BumbleDevice
from bumble.host import Host as BumbleHost

from firmware_protocol import codec
from simulator.bluetooth.air import Air, AirController
from simulator.bluetooth.outbox import CAPACITY, Outbox
from simulator.bluetooth.peripheral import open_peripheral
from simulator.bluetooth.radio import FADING_DB, PACKETS_PER_EVENT, SENSITIVITY_DBM, Radio, level_dbm
from simulator.firmware.device import Device

TAKEN = codec.uuid_of("TAKEN")
NOTIFICATION = b"\x09\x00\x04\x00\x1b\x10\x00"
"""Beginning of an L2CAP PDU with a notification."""
RESPONSE = b"\x09\x00\x04\x00\x0b"


class Stack:
    """A bare Bluetooth stack on a controller of its own."""

    def __init__(self, air, number, distance_m=0.0):
        host = BumbleHost()
        self.controller = AirController(f"stack {number}", air, distance_m)
        host.controller = self.controller
        self.address = hci.Address(f"C0:00:00:00:00:{number:02X}", hci.Address.RANDOM_DEVICE_ADDRESS)
        self.device = BumbleDevice(config=DeviceConfiguration(name="stack", address=self.address), host=host)
        self.links, self.ends, self.pdus = Heard(), Heard(), Heard()
        self.device.on("connection", self._on_connection)

    def _on_connection(self, connection):
        connection.on("disconnection", self.ends.add)
        self.links.add(connection)

    @property
    def link(self):
        return self.links[-1]


@asynccontextmanager
async def stacks(n, air=None, **options):
    air = air or Air(**options)
    made = [Stack(air, number + 1) for number in range(n)]
    for stack in made:
        await stack.device.power_on()
    yield air, *made
    for stack in made:
        air.remove(stack.controller)
        await stack.device.power_off()


async def joined(central, peripheral):
    """Connect two stacks."""
    await peripheral.device.start_advertising(advertising_interval_min=20, advertising_interval_max=20)
    await central.device.connect(peripheral.address, timeout=5)
    await peripheral.links.until(len)


def scenario(main):
    """Make a test of a coroutine."""

    def test():
        asyncio.run(main())

    test.__name__ = main.__name__
    return test


# --- Advertising ------------------------------------------------------------------------------------------------------


@scenario
async def test_a_roller_advertises_its_service_and_answers_with_its_name():
    async with visit(connect=False) as (host, roller):
        device, seen = await host.find(lambda _, seen: seen.local_name)
        assert device.address == roller.address
        assert (seen.service_uuids, seen.local_name) == ([SERVICE], roller.device.name)
        (advertisement,) = seen.platform_data
        assert advertisement.is_connectable
        assert advertisement.is_scannable


@scenario
async def test_a_taken_roller_says_so_and_cannot_be_connected():
    async with visit() as (host, roller):
        second = Host(host.air, "second")
        _, seen = await second.find(lambda _, seen: seen.local_name)
        assert set(seen.service_uuids) == {SERVICE, TAKEN}
        assert seen.local_name == roller.device.name
        (advertisement,) = seen.platform_data
        assert advertisement.is_scannable
        assert not advertisement.is_connectable
        assert len(roller.controller.le_legacy_advertiser.scan_response_data) == 31
        with pytest.raises((TimeoutError, BleakError)):
            await second.connect(seconds=0.4)
        assert host.client.is_connected
        await host.client.disconnect()
        _, seen = await second.find(lambda _, seen: TAKEN not in seen.service_uuids and seen.local_name)
        assert seen.local_name == roller.device.name
        await second.connect()
        assert second.client.is_connected
        await second.close()


@scenario
async def test_an_advertiser_that_invites_nobody_gets_no_connection():
    async with stacks(2) as (_, central, advertiser):
        for kind in (AdvertisingType.UNDIRECTED_SCANNABLE, AdvertisingType.UNDIRECTED):
            await advertiser.device.start_advertising(
                kind, advertising_data=b"\x02\x01\x06", advertising_interval_min=20, advertising_interval_max=20
            )
            with pytest.raises(core.TimeoutError):
                await central.device.connect(advertiser.address, timeout=0.15)
        assert not central.links
        assert not advertiser.links


@scenario
async def test_a_connection_request_that_nobody_invited_is_ignored():
    async with stacks(2) as (air, central, advertiser):
        request = ll.ConnectInd(central.address, advertiser.address, interval=24, latency=0, timeout=72)
        air.send_advertising_pdu(central.controller, request)
        await advertiser.device.start_advertising(
            AdvertisingType.UNDIRECTED_SCANNABLE, advertising_interval_min=20, advertising_interval_max=20
        )
        air.send_advertising_pdu(central.controller, request)
        await asyncio.sleep(0.02)
        assert not advertiser.controller.le_connections
        await advertiser.device.start_advertising(advertising_interval_min=20, advertising_interval_max=20)
        air.send_advertising_pdu(central.controller, request)
        await advertiser.links.until(len)


@scenario
async def test_scan_responses_come_to_those_who_ask():
    async with stacks(2) as (_, scanner, advertiser):
        name = bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, b"called")]))
        await advertiser.device.start_advertising(
            advertising_data=b"\x02\x01\x06",
            scan_response_data=name,
            advertising_interval_min=20,
            advertising_interval_max=20,
        )
        for active in (False, True):
            seen = Heard()
            scanner.device.on("advertisement", seen.add)
            await scanner.device.start_scanning(active=active)
            heard = await seen.until(lambda seen: seen[2:])
            await scanner.device.stop_scanning()
            scanner.device.remove_listener("advertisement", seen.add)
            names = {one.data.get(AdvertisingData.COMPLETE_LOCAL_NAME) for one in heard}
            assert ("called" in names) == active


@scenario
async def test_several_rollers_share_the_air():
    async with visit() as (first, _), open_peripheral(first.air, other := Device(seed=2)):
        second = Host(first.air, "second")
        await second.connect(name=other.name)
        await second.listen()
        await first.start()
        await second.start()
        await first.packets(3)
        await second.packets(3)
        assert (await second.info()).device_id == other.device_id
        first.air.drop_link(first.controller)
        await first.gone.until(len)
        await second.packets(3)
        assert not second.gone
        await second.close()


# --- Distance ---------------------------------------------------------------------------------------------------------


def test_the_level_falls_with_the_distance():
    assert level_dbm(1) == -55
    assert level_dbm(2) - level_dbm(1) == pytest.approx(-6.6, abs=0.1)
    assert level_dbm(0) == level_dbm(0.1)
    assert level_dbm(50) > SENSITIVITY_DBM > level_dbm(70)


def test_the_level_varies_from_packet_to_packet():
    near, host = Radio("near", 2.0, lambda: None), Radio("host", 0.0, lambda: None)
    levels = [host.rssi_dbm(near) for _ in range(400)]
    assert sum(levels) / 400 == pytest.approx(level_dbm(2), abs=0.5)
    assert max(levels) - min(levels) > 4 * FADING_DB
    again = Radio("host", 0.0, lambda: None)
    assert [again.rssi_dbm(near) for _ in range(400)] == levels


def test_who_is_far_or_silent_is_not_heard():
    changes = []
    roller, host = Radio("roller", 1.0, lambda: changes.append(1)), Radio("host", 0.0, lambda: None)
    assert host.hears(roller)
    # The limit is 59.3 m.
    roller.place(59.0)
    assert host.hears(roller)
    roller.carry(60.0)
    assert not host.hears(roller)
    roller.carry(None)
    assert roller.distance_m == 59.0
    assert host.hears(roller)
    roller.silence(True)
    assert not host.hears(roller)
    assert not roller.hears(host)
    assert len(changes) == 4


# --- Connections ------------------------------------------------------------------------------------------------------


@scenario
async def test_the_central_chooses_the_parameters():
    async with stacks(2) as (_, central, peripheral):
        await joined(central, peripheral)
        for stack in (central, peripheral):
            assert stack.link.parameters.connection_interval == 30
            assert stack.link.parameters.supervision_timeout == 720


@scenario
async def test_either_side_can_change_the_parameters():
    async with stacks(2, interval_s=0.01) as (_, central, peripheral):
        await joined(central, peripheral)
        assert peripheral.link.parameters.connection_interval == 10
        for asking, other, interval_ms in ((central, peripheral, 50), (peripheral, central, 15)):
            told = asyncio.Event()
            other.link.on("connection_parameters_update", told.set)
            await asking.link.update_parameters(interval_ms, interval_ms, 0, 1000)
            async with asyncio.timeout(5):
                await told.wait()
            for stack in (central, peripheral):
                assert stack.link.parameters.connection_interval == interval_ms
                assert stack.link.parameters.supervision_timeout == 1000
                (end,) = stack.controller.ends.values()
                assert end.interval_s == pytest.approx(interval_ms / 1000)


@scenario
async def test_a_slow_central_is_asked_for_a_usual_interval():
    async with visit(interval_s=0.06) as (host, roller):
        # Both ends have heard of it by the end of so much conversation.
        assert host.client._backend._connection.parameters.connection_interval == 30
        assert roller.connection.parameters.supervision_timeout == 4000


@pytest.mark.parametrize("interval_s", [0.02, 0.05])
def test_packets_pass_at_connection_events_only(interval_s):
    async def main():
        async with stacks(2, interval_s=interval_s) as (_, central, peripheral):
            await joined(central, peripheral)
            loop = asyncio.get_running_loop()
            arrivals_s = Heard()
            deliver = central.controller.on_link_acl_data

            def stamp(*arguments):
                arrivals_s.add(loop.time())
                deliver(*arguments)

            central.controller.on_link_acl_data = stamp
            n_events = 5
            for _ in range(n_events * PACKETS_PER_EVENT):
                peripheral.device.send_l2cap_pdu(peripheral.link.handle, 0x3F, b"x")
            await arrivals_s.until(lambda heard: len(heard) == n_events * PACKETS_PER_EVENT)
            # A loaded machine may begin late, but is never early.
            assert arrivals_s[-1] - arrivals_s[0] > (n_events - 2) * interval_s

    asyncio.run(main())


@scenario
async def test_the_host_feels_that_nothing_gets_through():
    async with stacks(2, interval_s=0.01) as (_, central, peripheral):
        await joined(central, peripheral)
        queue = peripheral.device.host.le_acl_packet_queue
        peripheral.controller.radio.held = True
        for _ in range(20):
            peripheral.device.send_l2cap_pdu(peripheral.link.handle, 0x3F, b"x")
        await asyncio.sleep(0.05)
        assert queue.pending == 20
        peripheral.controller.radio.held = False
        async with asyncio.timeout(5):
            await queue.drain(peripheral.link.handle)
        assert queue.pending == 0
        assert not peripheral.ends


@scenario
async def test_an_absence_shorter_than_the_supervision_timeout_ends_nothing():
    async with stacks(2, interval_s=0.01) as (_, central, peripheral):
        await joined(central, peripheral)
        peripheral.controller.radio.silence(True)
        peripheral.device.send_l2cap_pdu(peripheral.link.handle, 0x3F, b"x")
        await asyncio.sleep(0.3)
        assert peripheral.device.host.le_acl_packet_queue.pending == 1
        peripheral.controller.radio.silence(False)
        await asyncio.sleep(0.7)
        assert peripheral.device.host.le_acl_packet_queue.pending == 0
        assert not central.ends
        assert not peripheral.ends


@scenario
async def test_each_side_times_out_by_itself():
    async with stacks(2, interval_s=0.01) as (_, central, peripheral):
        await joined(central, peripheral)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        peripheral.controller.radio.place(1000)
        for stack in (central, peripheral):
            await stack.ends.until(len)
            assert stack.ends == [0x08]
        assert 0.7 <= loop.time() - begun_s < 2


@scenario
async def test_who_ends_a_connection_and_who_is_left_get_different_reasons():
    async with stacks(2) as (_, central, peripheral):
        await joined(central, peripheral)
        await peripheral.link.disconnect(0x15)
        await central.ends.until(len)
        assert (peripheral.ends, central.ends) == ([0x16], [0x15])


@scenario
async def test_a_farewell_that_nobody_hears_is_a_timeout_for_the_other():
    async with stacks(2, interval_s=0.01) as (_, central, peripheral):
        await joined(central, peripheral)
        peripheral.controller.radio.silence(True)
        await peripheral.link.disconnect(0x15)
        assert not central.ends
        await central.ends.until(len)
        assert (peripheral.ends, central.ends) == ([0x16], [0x08])


@scenario
async def test_a_connection_that_the_advertiser_does_not_hear_is_not_established():
    async with stacks(2, interval_s=0.01) as (air, central, peripheral):
        accept = peripheral.controller.on_le_connect_ind
        peripheral.controller.on_le_connect_ind = lambda _: None
        await peripheral.device.start_advertising(advertising_interval_min=20, advertising_interval_max=20)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await central.device.connect(peripheral.address, timeout=5)
        await central.ends.until(len)
        assert central.ends == [0x3E]
        # Six connection events; the supervision timeout is 720 ms.
        assert loop.time() - begun_s < 0.6
        peripheral.controller.on_le_connect_ind = accept
        await central.device.connect(peripheral.address, timeout=5)
        assert air.connected(central.controller, next(iter(central.controller.le_connections.values())))


@scenario
async def test_of_two_centrals_one_gets_the_connection():
    async with stacks(3, interval_s=0.01) as (_, first, second, peripheral):
        await peripheral.device.start_advertising(advertising_interval_min=20, advertising_interval_max=20)
        both = (
            first.device.connect(peripheral.address, timeout=1),
            second.device.connect(peripheral.address, timeout=1),
        )
        await asyncio.gather(*both, return_exceptions=True)
        await asyncio.sleep(0.2)
        assert len(peripheral.links) == 1
        assert sorted([first.ends, second.ends]) in ([[], [0x3E]], [[], []])
        assert len(first.controller.le_connections) + len(second.controller.le_connections) == 1


@scenario
async def test_a_removed_controller_is_missed_after_the_timeout():
    async with stacks(2, interval_s=0.01) as (air, central, peripheral):
        await joined(central, peripheral)
        air.remove(central.controller)
        await asyncio.sleep(0.4)
        assert not peripheral.ends
        await peripheral.ends.until(len)
        assert peripheral.ends == [0x08]


@scenario
async def test_packets_of_an_ended_connection_reach_nobody():
    async with stacks(2, interval_s=0.01) as (air, central, peripheral):
        await joined(central, peripheral)
        arrived = []
        central.controller.on_link_acl_data = lambda *arguments: arrived.append(arguments)
        air.send_acl_data(peripheral.controller, central.link.self_address, PhysicalTransport.LE, b"x")
        air.drop_link(peripheral.controller)
        await asyncio.sleep(0.05)
        assert arrived == []
        assert not peripheral.controller.ends
        assert not central.controller.ends


# --- What happens to single packets -----------------------------------------------------------------------------------


async def sent(radio, pdus, seconds=0.05):
    """What arrives of PDUs that are sent at once, in order."""
    arrived = []
    for pdu in pdus:
        radio.send(pdu, arrived.append)
    await asyncio.sleep(seconds)
    return arrived


def radio(**knobs):
    made = Radio("fixed", 1.0, lambda: None)
    for name, value in knobs.items():
        setattr(made, name, value)
    return made


@scenario
async def test_a_radio_without_faults_loses_and_changes_nothing():
    pdus = [NOTIFICATION + bytes([i]) for i in range(200)]
    assert await sent(radio(), pdus) == pdus


@pytest.mark.parametrize("knob", ["lost_share", "duplicate_share", "garbage_share", "late_share"])
def test_only_notifications_suffer(knob):
    async def main():
        responses = [RESPONSE + bytes([i]) for i in range(50)]
        assert await sent(radio(**{knob: 1.0}), responses) == responses

    asyncio.run(main())


@scenario
async def test_a_share_of_the_notifications_is_lost_and_counted():
    pdus = [NOTIFICATION + bytes([i]) for i in range(200)]
    suffering = radio(lost_share=0.25)
    arrived = await sent(suffering, pdus)
    assert arrived == sorted(arrived)
    assert len(arrived) == 200 - suffering.n_lost
    assert 30 < suffering.n_lost < 70
    assert await sent(radio(lost_share=0.25), pdus) == arrived


@scenario
async def test_doubled_notifications_follow_each_other():
    pdus = [NOTIFICATION + bytes([i]) for i in range(10)]
    assert await sent(radio(duplicate_share=1.0), pdus) == [pdu for pdu in pdus for _ in range(2)]


@scenario
async def test_garbage_keeps_length_and_handle():
    pdus = [NOTIFICATION + bytes(50) for _ in range(20)]
    arrived = await sent(radio(garbage_share=1.0), pdus)
    assert [len(pdu) for pdu in arrived] == [len(pdu) for pdu in pdus]
    assert {pdu[:7] for pdu in arrived} == {NOTIFICATION}
    assert len({pdu[7:] for pdu in arrived}) == 20


@scenario
async def test_late_notifications_are_overtaken():
    suffering = radio(late_share=0.3, late_s=0.02)
    pdus = [NOTIFICATION + bytes([i]) for i in range(60)]
    arrived = await sent(suffering, pdus)
    assert sorted(arrived) == pdus
    prompt = arrived[: 60 - suffering.n_late]
    assert prompt == sorted(prompt)
    assert 5 < suffering.n_late < 40


@scenario
async def test_jitter_keeps_the_order():
    pdus = [NOTIFICATION + bytes([i]) for i in range(60)] + [RESPONSE]
    assert await sent(radio(jitter_s=0.05), pdus, 0.2) == pdus


@scenario
async def test_the_order_holds_when_jitter_ends():
    shaking = radio(jitter_s=0.05)
    arrived = []
    for i in range(20):
        shaking.send(RESPONSE + bytes([i]), arrived.append)
    shaking.jitter_s = 0.0
    shaking.send(RESPONSE + bytes([20]), arrived.append)
    await asyncio.sleep(0.1)
    assert arrived == [RESPONSE + bytes([i]) for i in range(21)]


# --- The transmit queue -----------------------------------------------------------------------------------------------

LIVE, RESENT = b"\x10", b"\x11"


class FullController:
    """A host whose controller takes ``room`` packets."""

    def __init__(self, room):
        self.le_acl_packet_queue = self
        self.pending, self.max_in_flight = 0, room

    def on(self, _event, pump):
        self._pump = pump

    def complete(self, n):
        self.pending -= n
        self._pump()


def outbox(room):
    controller, sent, dropped = FullController(room), [], []

    def send(packet):
        controller.pending += 1
        sent.append(packet)

    queue = Outbox(send, dropped.append)
    queue.attach(controller)
    return queue, controller, sent, dropped


def test_the_oldest_live_packets_are_thrown_away():
    queue, controller, sent, dropped = outbox(2)
    queue.put([LIVE + bytes([i]) for i in range(2 + CAPACITY + 3)])
    assert sent == [LIVE + b"\0", LIVE + b"\1"]
    assert dropped == [3]
    assert queue.room == 0
    for _ in range(CAPACITY):
        controller.complete(1)
    assert [packet[1] for packet in sent[2:]] == list(range(5, 5 + CAPACITY))
    assert queue.room == CAPACITY


def test_resent_packets_are_never_thrown_away():
    queue, controller, sent, dropped = outbox(0)
    queue.put([RESENT] * 8 + [LIVE] * 8)
    assert dropped == [4]
    controller.max_in_flight = 100
    controller.complete(0)
    assert sent == [RESENT] * 8 + [LIVE] * 4


def test_an_empty_queue_drops_nothing_and_forgets_with_the_connection():
    queue, controller, sent, dropped = outbox(0)
    queue.put([])
    queue.put([LIVE] * CAPACITY)
    queue.clear()
    controller.max_in_flight = 100
    controller.complete(0)
    assert (sent, dropped) == ([], [])
