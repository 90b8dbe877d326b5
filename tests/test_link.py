# SPDX-License-Identifier: MIT
"""The whole link in one process: bleak and Bumble on one side, the simulated roller on the other, air between."""

import asyncio
import dataclasses
import gc
import subprocess
import sys
import threading
from collections import Counter
from itertools import pairwise

import pytest
from bleak.exc import BleakError, BleakGATTProtocolError
from hosted import HASTY, Altered, Session, roller

from firmware_protocol import codec, layout
from roller_host.link.client import LinkSession
from roller_host.link.control import Control
from roller_host.link.race import race
from roller_host.link.radio import open_radio
from roller_host.link.refusals import RequestError
from roller_host.link.states import BadRadioError, LinkLostError, LinkPhase, NoDeviceError, RefusedError
from roller_host.link.thread import LinkThread
from roller_host.link.visit import visit
from simulator.bluetooth.air import Air
from simulator.bluetooth.peripheral import open_peripheral
from simulator.firmware.device import Device

STREAM_MASK = sum(1 << codec.STREAM_ID[name] for name in ("IMU6", "ROLL", "FORCE_RAW", "EVENT", "TEMP"))
"""Streams that the host asks for."""


class Confused(Altered):
    """Answers SESSION with the tag of another request."""

    def request(self, payload, now_us):
        if payload[0] == codec.OP["SESSION"]:
            return codec.encode_response(codec.OP["SESSION"], payload[1] ^ 0xFF, 0, 0, 0, 0, 0)
        return super().request(payload, now_us)


# --- Scanning and connecting ------------------------------------------------------------------------------------------


def test_a_scan_finds_the_roller_with_its_name_and_strength():
    async def main():
        async with roller() as session, session.radio() as radio:
            heard = []
            found = await radio.scan(5, until=lambda found: bool(found.name), on_found=heard.append)
            assert [one.name for one in found] == [session.device.name]
            assert found[0].address == session.peripheral.address
            assert found[0].rssi_dbm < 0
            assert heard[-1].name == session.device.name

    asyncio.run(main())


def test_a_scan_ends_in_time_when_there_is_nothing():
    async def main():
        async with Session(Air()).radio() as radio:
            assert await radio.scan(0.05) == []

    asyncio.run(main())


def test_a_client_gets_the_long_mtu_and_all_services():
    async def main():
        async with roller() as session, session.radio() as radio:
            found = await radio.scan(5, until=lambda _: True)
            async with radio.client(found[0], lambda: None, 5) as client:
                assert client.mtu_size == 517
                for _, name, properties, _ in layout.CHARACTERISTICS:
                    assert set(client.services.get_characteristic(codec.uuid_of(name)).properties) == set(properties)
                assert (await client.read_gatt_char("2a25")).decode() == session.device.device_id.hex()
                assert (await client.read_gatt_char("2a28")).decode() == "1.0"
                assert (await client.read_gatt_char("2a19"))[0] == session.device.battery_percent
                info = client.services.get_characteristic(codec.uuid_of("INFO"))
                assert info.max_write_without_response_size == 512

    asyncio.run(main())


def test_a_request_before_indications_are_on_is_an_att_error():
    async def main():
        async with roller() as session, session.radio() as radio:
            found = await radio.scan(5, until=lambda _: True)
            async with radio.client(found[0], lambda: None, 5) as client:
                ping = codec.encode_request("PING", 1, b"")
                with pytest.raises(BleakGATTProtocolError) as error:
                    await client.write_gatt_char(codec.uuid_of("CONTROL"), ping, response=True)
                assert error.value.args[0] == 0xFD

    asyncio.run(main())


def test_pairing_and_forgetting():
    async def main():
        async with roller() as session, session.radio() as radio:
            found = await radio.scan(5, until=lambda _: True)
            async with radio.client(found[0], lambda: None, 5) as client:
                await client.pair()
                assert (await client.read_gatt_char("2a28")).decode() == "1.0"
                await client.unpair()

    asyncio.run(main())


def test_an_ended_connection_is_told_once_and_refuses_further_work():
    async def main():
        async with roller() as session, session.radio() as radio:
            found = await radio.scan(5, until=lambda _: True)
            gone = []
            client = radio.client(found[0], lambda: gone.append(1), 5)
            await client.connect()
            reading = asyncio.ensure_future(client.read_gatt_char("2a28"))
            await asyncio.sleep(0)
            session.air.drop_link(session.controller("host"))
            with pytest.raises(BleakError):
                await reading
            with pytest.raises(BleakError):
                await client.read_gatt_char("2a28")
            await client.disconnect()
            assert gone == [1]
            await client.connect()
            assert client.is_connected
            await client.disconnect()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["name", "prefix", "address"])
def test_a_roller_can_be_named(how):
    async def main():
        async with roller() as session:
            session.stop_after = 1
            name = session.device.name
            await session.run({"name": name.lower(), "prefix": name[:-2], "address": session.peripheral.address}[how])
            assert session.states[-1].device == name

    asyncio.run(main())


def test_of_two_rollers_the_named_one_is_taken():
    async def main():
        async with roller() as session, open_peripheral(session.air, other := Device(seed=2)):
            session.stop_after = 1
            await session.run(other.name)
            assert codec.decode_record("INFO", session.payloads("INFO")[0]).device_id == other.device_id

    asyncio.run(main())


def test_another_roller_than_the_one_asked_for_is_no_device():
    async def main():
        async with roller() as session:
            with pytest.raises(NoDeviceError, match=session.device.name) as error:
                await session.run("Roller-NONE", scan_s=0.5)
            assert error.value.exit_code == 3

    asyncio.run(main())


def test_nobody_there_is_no_device():
    async def main():
        session = Session(Air())
        with pytest.raises(NoDeviceError, match="Switch it on"):
            await session.run(scan_s=0.05)
        assert session.phases == [LinkPhase.SCANNING, LinkPhase.OUT_OF_RANGE]

    asyncio.run(main())


def test_a_roller_that_vanishes_before_the_connection_is_looked_for_again():
    async def main():
        async with roller() as session:
            session.on_phase[LinkPhase.CONNECTING] = session.controller(session.device.name).le_legacy_advertiser.stop
            with pytest.raises(NoDeviceError, match="No roller was found"):
                await session.run(scan_s=0.5, times=dataclasses.replace(HASTY, connect_s=0.05))
            assert session.phases[1:4] == [LinkPhase.CONNECTING, LinkPhase.RETRYING, LinkPhase.SCANNING]

    asyncio.run(main())


def test_stopping_during_the_scan_ends_quietly():
    async def main():
        session = Session(Air())
        session.on_phase[LinkPhase.SCANNING] = session.stop.set
        await session.run(scan_s=60)
        assert session.phases == [LinkPhase.SCANNING, LinkPhase.OFF]

    asyncio.run(main())


# --- A session --------------------------------------------------------------------------------------------------------


def test_a_whole_session_is_recorded_in_order():
    async def main():
        async with roller() as session:
            session.stop_after = 12
            await session.run()
            assert session.phases == [
                LinkPhase.SCANNING, LinkPhase.CONNECTING, LinkPhase.SUBSCRIBED, LinkPhase.STREAMING, LinkPhase.OFF,
            ]  # fmt: skip
            assert session.events[0] == "host connected"
            assert session.events[1].startswith("streaming")
            assert session.events[2] == "streaming stopped"
            return session

    session = asyncio.run(main())
    assert session.records[0].source == "INFO"
    requests = [codec.decode_request(payload) for payload in session.payloads("CONTROL", "out")]
    responses = [codec.decode_response(payload) for payload in session.payloads("CONTROL")]
    assert [request[:2] for request in requests] == [response[:2] for response in responses]
    assert all(response.status == 0 for response in responses)
    names = Counter(codec.OP_NAME[request.op] for request in requests)
    assert names == {
        "STREAM_LIST": 1, "STREAM_INFO": 5, "CAL_READ": 2, "GEOMETRY_READ": 2,
        "START": 1, "TIME_SYNC": 8, "SET_WALL": 1, "STOP": 1,
    }  # fmt: skip
    assert session.asked("START") == [(STREAM_MASK, 60, 120)]
    assert all(before.t_s <= after.t_s for before, after in pairwise(session.records))
    packets = [codec.decode_packet(payload) for payload in session.payloads("STREAM")]
    assert [packet.seq for packet in packets] == list(range(len(packets)))
    assert len(packets) >= 5
    assert session.payloads("STATUS")
    assert session.battery == [session.device.battery_percent]


def test_status_is_told_when_it_changes():
    async def main():
        async with roller() as session:
            session.stop_after = 25
            await session.run()
            states = [codec.decode_record("STATUS", payload).state for payload in session.payloads("STATUS")]
            assert states[0] == 0
            assert 1 in states

    asyncio.run(main())


def test_a_second_session_on_the_same_radio():
    async def main():
        async with roller() as session, session.radio() as radio:
            for n_packets in (2, 4):
                session.stop_after = n_packets
                session.stop.clear()
                link = LinkSession(radio, target=None, on_record=session.on_record, on_state=session.on_state)
                await link.stream(session.stop)
            assert session.phases.count(LinkPhase.STREAMING) == 2
            assert session.events.count("host connected") == 2

    asyncio.run(main())


def test_streams_that_the_roller_lacks_are_left_out():
    async def main():
        async with roller(Altered({("STREAM_INFO", codec.STREAM_ID["ROLL"]): "NOT_SUPPORTED"})) as session:
            session.stop_after = 1
            await session.run()
            assert session.asked("START")[0].stream_mask == STREAM_MASK & ~(1 << codec.STREAM_ID["ROLL"])

    asyncio.run(main())


def test_a_roller_without_any_known_stream_is_refused():
    async def main():
        async with roller(Altered({("STREAM_INFO",): "NOT_SUPPORTED"})) as session:
            with pytest.raises(RefusedError, match="no stream"):
                await session.run()

    asyncio.run(main())


def test_a_roller_without_geometry_is_used_all_the_same():
    async def main():
        async with roller(Altered({("GEOMETRY_READ",): "UNKNOWN_OP"})) as session:
            session.stop_after = 1
            await session.run()
            assert session.phases[-1] is LinkPhase.OFF

    asyncio.run(main())


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_another_protocol_major_is_refused():
    class Future(Device):
        def info_payload(self):
            return b"\x02" + super().info_payload()[1:]

    async def main():
        async with roller(Future(seed=1)) as session:
            with pytest.raises(RefusedError, match=r"2\.x.*1\.x") as error:
                await session.run()
            assert error.value.exit_code == 5
            assert session.phases[-1] is LinkPhase.REFUSED
            assert session.payloads("INFO")[0][0] == 2

    asyncio.run(main())


def test_a_short_mtu_is_refused_with_the_reason():
    async def main():
        async with roller(max_mtu=23) as session:
            with pytest.raises(RefusedError, match="START: MTU_TOO_SMALL"):
                await session.run()

    asyncio.run(main())


def test_a_refused_start_says_why_and_what_to_do():
    async def main():
        async with roller(Altered({("START",): "NOT_PERMITTED"})) as session:
            with pytest.raises(RefusedError, match=r"NOT_PERMITTED.*[Pp]air"):
                await session.run()
            await session.events.last("host gone (it disconnected), advertising again")

    asyncio.run(main())


# --- Losses -----------------------------------------------------------------------------------------------------------


def test_a_lost_link_ends_the_session_and_the_roller_serves_the_next():
    async def main():
        async with roller() as session:
            session.on_phase[LinkPhase.STREAMING] = lambda: session.air.drop_link(session.controller("host"))
            with pytest.raises(LinkLostError, match="start again") as error:
                await session.run()
            assert error.value.exit_code == 4
            assert session.phases[-1] is LinkPhase.LOST
            await session.events.last("host gone (supervision timeout), advertising again")
            assert session.device.streaming
            session.on_phase.clear()
            session.stop_after = len(session.payloads("STREAM")) + 2
            await session.run()
            assert session.phases[-1] is LinkPhase.OFF

    asyncio.run(main())


def test_a_link_lost_while_setting_up_is_told_too():
    async def main():
        async with roller() as session:
            session.on_phase[LinkPhase.SUBSCRIBED] = lambda: session.air.drop_link(session.controller("host"))
            with pytest.raises(LinkLostError, match="while asking STREAM_LIST"):
                await session.run()

    asyncio.run(main())


def test_silence_is_a_stall_and_ends_with_the_next_packet():
    async def main():
        device = Altered(mute=True)
        async with roller(device) as session:

            def speak():
                device.mute = False
                session.stop_after = 1

            session.on_phase[LinkPhase.STALLED] = speak
            await session.run()
            assert session.phases[-5:] == [
                LinkPhase.STREAMING, LinkPhase.STALLED, LinkPhase.STREAMING, LinkPhase.SUBSCRIBED, LinkPhase.OFF,
            ]  # fmt: skip

    asyncio.run(main())


def test_a_roller_whose_packets_do_not_arrive_is_subscribed_anew_and_then_left():
    async def main():
        async with roller(Altered(mute=True)) as session:
            with pytest.raises(LinkLostError, match="nothing arrives"):
                await session.run()
            assert session.phases[-2:] == [LinkPhase.STALLED, LinkPhase.LOST]
            assert len(session.asked("SESSION")) == 2

    asyncio.run(main())


def test_a_stalled_roller_that_does_not_answer_is_lost():
    async def main():
        async with roller(Confused(mute=True)) as session:
            with pytest.raises(LinkLostError, match="did not answer SESSION"):
                await session.run()
            assert session.phases[-2:] == [LinkPhase.STALLED, LinkPhase.LOST]

    asyncio.run(main())


def test_a_failing_device_surfaces():
    class Broken(Device):
        def advance(self, now_us, room=8):
            raise ZeroDivisionError(now_us, room)

    async def main():
        async with roller(Broken(seed=1)) as session:
            session.on_phase[LinkPhase.STALLED] = session.stop.set
            await session.run()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())


@pytest.mark.parametrize("source", ["INFO", "CONTROL", "STREAM"])
def test_a_failing_recorder_ends_the_session_with_its_error(source):
    def fail(record):
        if record.source == source:
            raise OSError(28, "No space left on device")

    async def main():
        async with roller() as session:
            session.on_record = fail
            with pytest.raises(OSError, match="No space left"):
                await session.run()
            assert session.phases[-1] is LinkPhase.OFF
            await session.events.last("host gone (it disconnected), advertising again")

    asyncio.run(main())


# --- Control requests -------------------------------------------------------------------------------------------------


class Wire:
    """The other end of a Control: answers by itself with `reply`, unless that is None."""

    def __init__(self, reply):
        self.reply = reply
        self.sent = []
        self.control = Control(self.write, timeout_s=0.05)

    async def write(self, payload):
        self.sent.append(payload)
        for indication in self.reply(payload):
            self.control.on_indication(indication)


def answer(payload, status=0, *reply):
    return codec.encode_response(payload[0], payload[1], status, *reply)


def test_an_unknown_op_is_an_error_with_the_status():
    async def main():
        wire = Wire(lambda payload: [answer(payload, codec.STATUS_CODE["UNKNOWN_OP"])])
        with pytest.raises(RequestError, match="PING: UNKNOWN_OP") as error:
            await wire.control.request("PING", b"")
        assert error.value.status == "UNKNOWN_OP"

    asyncio.run(main())


def test_a_status_that_nobody_knows_yet_is_an_error_too():
    async def main():
        wire = Wire(lambda payload: [answer(payload, 200)])
        with pytest.raises(RequestError, match="status 200"):
            await wire.control.request("PING", b"")

    asyncio.run(main())


def test_strays_and_garbage_do_not_answer_a_request():
    async def main():
        wire = Wire(lambda p: [b"", b"\x00" * 8, answer(bytes([p[0], p[1] ^ 1]), 0, b"x"), answer(p, 0, b"y")])
        assert (await wire.control.request("PING", b"")).echo == b"y"
        assert wire.control.n_strays == 3

    asyncio.run(main())


def test_no_answer_is_a_lost_link():
    async def main():
        wire = Wire(lambda _: [])
        with pytest.raises(LinkLostError, match="did not answer PING"):
            await wire.control.request("PING", b"")
        wire.reply = lambda payload: [answer(payload, 0, b"")]
        assert await wire.control.request("PING", b"") == (b"",)

    asyncio.run(main())


def test_requests_go_one_at_a_time():
    async def main():
        wire = Wire(lambda _: [])
        both = asyncio.gather(wire.control.request("PING", b"1"), wire.control.request("PING", b"2"))
        for n_sent in (1, 2):
            await asyncio.sleep(0.01)
            assert len(wire.sent) == n_sent
            wire.control.on_indication(answer(wire.sent[-1], 0, wire.sent[-1][2:]))
        assert [reply.echo for reply in await both] == [b"1", b"2"]

    asyncio.run(main())


# --- Radios -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", ["", "blue", "tcp:", "tcp:host", "tcp:host:", "tcp::1", "tcp:h:70000", "hci:", "hci:x:0"]
)
def test_a_radio_that_makes_no_sense_lists_what_does(spec):
    with pytest.raises(BadRadioError, match=r"native \| tcp:HOST:PORT") as error:
        open_radio(spec)
    assert error.value.exit_code == 2


def test_a_port_where_nobody_listens_names_the_simulator():
    async def main():
        async with open_radio("tcp:127.0.0.1:1") as radio:
            with pytest.raises(NoDeviceError, match=r"roller-sim run --listen 127\.0\.0\.1:1"):
                await radio.scan(1)

    asyncio.run(main())


def test_a_controller_that_is_not_there_is_named():
    async def main():
        async with open_radio("hci:serial:/dev/no-such-port") as radio:
            with pytest.raises(NoDeviceError, match="no-such-port"):
                await radio.scan(1)

    asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="about the system D-Bus")
def test_no_system_bus_says_what_to_do(monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")

    async def main():
        async with open_radio("native") as radio:
            with pytest.raises(NoDeviceError, match="--radio demo"):
                await radio.scan(1)

    asyncio.run(main())


def test_a_missing_bumble_names_the_extra(monkeypatch):
    for name in ("bumble_backend", "dongle"):
        monkeypatch.delitem(sys.modules, f"roller_host.link.{name}", raising=False)
        monkeypatch.delattr(f"roller_host.link.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "bumble", None)

    async def main():
        async with open_radio("tcp:127.0.0.1:1") as radio:
            with pytest.raises(BadRadioError, match=r"pip install '.\[sim\]'"):
                await radio.scan(1)

    asyncio.run(main())


def test_importing_the_link_is_light():
    script = (
        "import sys\nfrom roller_host.link import client, control, radio, thread\n"
        "heavy = {'numpy', 'bumble', 'bleak'} & set(sys.modules)\nsys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603


def test_work_that_fails_while_it_is_given_up_is_no_complaint():
    complaints = []

    async def fail_when_cancelled():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise BleakError("not connected") from None

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        happened = asyncio.Event()
        racing = asyncio.create_task(race(fail_when_cancelled(), happened))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        racing.cancel()
        await asyncio.wait([racing])
        gc.collect()

    asyncio.run(main())
    assert complaints == []


# --- The thread -------------------------------------------------------------------------------------------------------


async def _where():
    return threading.current_thread().name


def test_the_link_thread_runs_coroutines_and_closes_twice():
    thread = LinkThread("somewhere else")
    thread.start()
    assert thread.run(_where()).result(5) == "somewhere else"
    thread.close()
    thread.close()
    with pytest.raises(RuntimeError):
        thread.run(_where())


def test_closing_the_link_thread_cancels_what_runs():
    cancelled = []

    async def forever():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    thread = LinkThread()
    thread.start()
    future = thread.run(forever())
    thread.run(_where()).result(5)
    thread.close()
    assert cancelled == [1]
    assert future.cancelled()


def test_a_link_thread_that_never_started_can_be_closed():
    LinkThread().close()


def test_a_visit_to_nobody_ends_in_off():
    class Empty:
        async def find(self, *_):
            raise NoDeviceError("Nobody is here.")

    async def nothing(_connection):
        raise AssertionError

    states = []
    with pytest.raises(NoDeviceError):
        asyncio.run(visit(Empty(), None, nothing, on_state=states.append))
    assert [state.phase for state in states] == [LinkPhase.SCANNING, LinkPhase.OFF]
