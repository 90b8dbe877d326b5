# SPDX-License-Identifier: MIT
"""The device as a host sees it: packets, requests, sessions, and what a person and fate do to it."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sim import MTU, Dialogue, counts, payloads, session

from firmware_protocol import arrays, codec, layout, reference
from simulator.firmware.answers import ANSWERS
from simulator.firmware.device import AUTO_SLEEP_US, BOOT_US, Build, Device
from simulator.firmware.memory import RING_B
from simulator.firmware.stream import DEFAULT_MASK
from simulator.generate import generate
from simulator.hardware.flaws import Flaws

MTUS = (100, 185, 247, 517)


def streamed(seed, seconds, mtu=MTU):
    host = Dialogue(Device(seed))
    host.connect(mtu)
    host.start()
    host.pass_time(seconds)
    return host.records


def begun(seed=1, seconds=1.0, **start):
    """A host in the middle of a session."""
    host = Dialogue(Device(seed))
    host.connect()
    host.start(**start)
    host.pass_time(seconds)
    return host


def status_of(response):
    return codec.STATUS_NAME[response.status]


def state_of(device):
    return dict(layout.STATES)[codec.decode_record("STATUS", device.status_payload()).state]


def has_status_flag(device, name):
    return bool(codec.decode_record("STATUS", device.status_payload()).flags & codec.bit(layout.STATUS_FLAGS, name))


def events_in(records):
    return [tuple(int(v) for v in sample) for sample in counts(payloads(records), "EVENT")]


def packets_of(records, ptype=layout.PTYPE_LIVE):
    packets = map(codec.decode_packet, payloads(records))
    return [packet for packet in packets if packet.ptype == ptype]


def flagged(packets, name):
    return [packet.seq for packet in packets if packet.flags & codec.bit(layout.PACKET_FLAGS, name)]


# --- Packets ----------------------------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_bytes():
    assert streamed(5, 4) == streamed(5, 4)


def test_other_seed_gives_other_bytes():
    ours, others = streamed(5, 4), streamed(6, 4)
    assert ours[0] != others[0], "two devices with one identity"
    assert not set(payloads(ours)) & set(payloads(others))


def test_imu_rate_by_device_time_is_the_stated_one():
    made = session(1, 60)
    imu = [
        (packet.t0_us + block.offset_us, block.period_us, len(block.samples))
        for packet in map(arrays.decode_packet, payloads(made.records))
        for block in packet.blocks
        if block.stream_id == codec.STREAM_ID["IMU6"]
    ]
    last_us = imu[-1][0] + imu[-1][1] * (imu[-1][2] - 1)
    n_periods = sum(n for _, _, n in imu) - 1
    assert n_periods / ((last_us - imu[0][0]) % 2**32 * 1e-6) == pytest.approx(made.device.imu_rate_hz, rel=1e-3)


@pytest.mark.parametrize("mtu", MTUS)
def test_packets_fit_the_mtu_and_lose_nothing(mtu):
    records, whole = streamed(5, 3, mtu), streamed(5, 3, 517)
    limit = min(mtu - 3, reference.MAX_PACKET_B)
    assert max(map(len, payloads(records))) <= limit
    for name in ("IMU6", "ROLL", "FORCE_RAW", "EVENT"):
        assert_array_equal(counts(payloads(records), name), counts(payloads(whole), name))


def test_packets_of_a_small_mtu_are_split():
    assert len(payloads(streamed(5, 3, 100))) > len(payloads(streamed(5, 3, 517)))


@pytest.mark.parametrize("mtu", MTUS)
def test_packets_are_numbered_without_holes(mtu):
    seqs = [arrays.decode_packet(payload).seq for payload in payloads(streamed(3, 2, mtu))]
    assert seqs == list(range(len(seqs)))


def test_packets_leave_soon_after_their_samples_and_never_before():
    host = Dialogue(Device(4))
    host.connect()
    begin_us = host.start().reply.t_us
    host.pass_time(10)
    for record in host.records:
        if record.source == "STREAM":
            packet = arrays.decode_packet(record.payload)
            ends_us = [b.offset_us + b.period_us * (len(b.samples) - 1) for b in packet.blocks]
            taken_s = ((packet.t0_us - begin_us) % 2**32 + max(ends_us)) * 1e-6
            assert record.t_s - 0.075 < taken_s <= record.t_s + 0.001


def test_only_the_streams_asked_for_are_sent():
    host = Dialogue(Device(1))
    host.connect()
    host.start(("ROLL",))
    host.pass_time(1)
    sent = {block.stream_id for p in payloads(host.records) for block in arrays.decode_packet(p).blocks}
    assert sent == {codec.STREAM_ID["ROLL"]}


def test_longest_flush_period_fits_too():
    host = Dialogue(Device(1))
    host.connect()
    host.start(flush_ms=200)
    host.pass_time(2)
    assert max(map(len, payloads(host.records))) <= reference.MAX_PACKET_B


def test_clock_on_the_wire_wraps():
    host = Dialogue(Device(2))
    host.connect()
    clock_us = host.ask("TIME_SYNC").reply.t2_us
    host.now_us += 2**32 - clock_us % 2**32 - 1_000_000
    assert host.start().reply.t_us > 2**31
    host.pass_time(2)
    t0_us = [arrays.decode_packet(payload).t0_us for payload in payloads(host.records)]
    steps = [(after - before) % 2**32 for before, after in pairwise(t0_us)]
    assert t0_us[-1] < t0_us[0], "the wrap was missed"
    assert max(abs(step - 60_000) for step in steps) < 15_000


def test_generated_session_is_the_streamed_one():
    made = list(generate(Device(3), 3))
    assert [one.payload for one in made if one.source == "STREAM"] == payloads(streamed(3, 3))
    assert [one.source for one in made[:2]] == ["INFO", "STATUS"]


# --- Requests ---------------------------------------------------------------------------------------------------------

REFUSED = [
    ("UNKNOWN_OP", bytes([0x7F, 1])),
    ("BAD_LENGTH", b""),
    ("BAD_LENGTH", bytes([codec.OP["PING"]])),
    ("BAD_LENGTH", codec.encode_request("PING", 1, b"") + bytes(17)),
    ("BAD_LENGTH", codec.encode_request("START", 1, 2, 60, 0)[:-1]),
    ("BAD_LENGTH", codec.encode_request("STOP", 1) + b"\0"),
    ("NOT_SUPPORTED", codec.encode_request("STREAM_INFO", 1, codec.STREAM_ID["QUAT"])),
    ("BAD_PARAM", codec.encode_request("START", 1, 0, 60, 0)),
    ("BAD_PARAM", codec.encode_request("START", 1, DEFAULT_MASK | 1 << codec.STREAM_ID["QUAT"], 60, 0)),
    ("BAD_PARAM", codec.encode_request("START", 1, DEFAULT_MASK, 19, 0)),
    ("BAD_PARAM", codec.encode_request("START", 1, DEFAULT_MASK, 201, 0)),
    ("BAD_STATE", codec.encode_request("STOP", 1)),
    ("BAD_PARAM", codec.encode_request("TARE", 1, 7)),
    ("BAD_PARAM", codec.encode_request("TARE", 1, 321)),
    ("BAD_PARAM", codec.encode_request("CAL_READ", 1, 2)),
    ("BAD_PARAM", codec.encode_request("GEOMETRY_READ", 1, 0, 2)),
    ("BAD_PARAM", codec.encode_request("GEOMETRY_READ", 1, 1, 0)),
]


@pytest.mark.parametrize(("status", "request_bytes"), REFUSED)
def test_refusals_say_why(status, request_bytes):
    device = Device(1)
    device.connected(MTU, 0)
    response = codec.decode_response(device.request(request_bytes, 0))
    assert status_of(response) == status
    assert (response.op, response.tag) == (*request_bytes, 0, 0)[:2]
    assert not device.streaming


def test_every_request_is_answered_in_good_order():
    host = Dialogue(Device(1))
    host.connect()
    assert host.ask("PING", b"hello").reply.echo == b"hello"
    info = host.ask("STREAM_INFO", codec.STREAM_ID["IMU6"]).reply
    assert (info.scale_a, info.scale_b) == pytest.approx((reference.GYRO_RAD_S_PER_COUNT, reference.ACC_M_S2_PER_COUNT))
    calibration = b"".join(host.ask("CAL_READ", page).reply.half for page in (0, 1))
    assert codec.decode_record("CALIBRATION", calibration).flags & 1
    geometry = b"".join(host.ask("GEOMETRY_READ", 0, page).reply.half for page in (0, 1))
    assert codec.decode_record("GEOMETRY", geometry).roller_radius_m == pytest.approx(0.015)
    assert status_of(host.ask("TARE", 80)) == "OK"
    before_us = host.ask("TIME_SYNC").reply.t2_us
    started = host.start().reply
    assert started.t_us == before_us
    assert codec.decode_record("STATUS", host.device.status_payload()).state == 1
    host.pass_time(1)
    assert host.ask("TIME_SYNC").reply.t2_us - before_us == pytest.approx(1_000_000, rel=1e-4)
    stopped = host.ask("STOP").reply
    assert stopped.last_seq == arrays.decode_packet(payloads(host.records)[-1]).seq
    assert host.start().reply.session_id != started.session_id


def test_start_while_streaming_is_refused_and_changes_nothing():
    host = Dialogue(Device(1))
    host.connect()
    host.start()
    host.pass_time(0.5)
    assert status_of(host.start()) == "BAD_STATE"
    host.pass_time(0.5)
    assert [arrays.decode_packet(p).seq for p in payloads(host.records)] == list(range(16))


def test_start_needs_a_large_mtu_but_other_requests_do_not():
    host = Dialogue(Device(1))
    host.connect(mtu=23)
    assert status_of(host.start()) == "MTU_TOO_SMALL"
    host.device.mtu_changed(layout.MTU_MIN_STREAM - 1)
    assert status_of(host.start()) == "MTU_TOO_SMALL"
    host.device.mtu_changed(layout.MTU_MIN_STREAM)
    assert status_of(host.start()) == "OK"


def test_tare_of_a_still_roller_finds_the_zero_and_tells_it_in_an_event():
    host = Dialogue(Device(1))
    host.connect()
    host.start()
    host.pass_time(1)
    reply = host.ask("TARE", 40).reply
    host.pass_time(0.2)
    told = [codec.tare_offset(arg, v) for code, arg, v in events_in(host.records) if code == codec.EVENT_CODE["TARE"]]
    assert told == [reply.offset]
    assert abs(reply.offset - host.device.senses.sensors.zero_counts) * reference.N_PER_COUNT < 0.05
    flag = codec.bit(layout.PACKET_FLAGS, "TARE_CHANGED")
    assert sum(bool(arrays.decode_packet(p).flags & flag) for p in payloads(host.records)) == 1


def test_tare_is_unstable_without_enough_readings_and_during_strokes():
    host = Dialogue(Device(1))
    host.connect()
    host.start()
    host.pass_time(0.1)
    assert status_of(host.ask("TARE", 80)) == "UNSTABLE"
    host.pass_time(7.9)
    while not host.device.senses.contact:
        host.pass_time(0.1)
    assert status_of(host.ask("TARE", 40)) == "UNSTABLE"


def test_an_idle_tare_takes_the_time_of_its_readings():
    host = Dialogue(Device(1))
    host.connect()
    before_us = host.now_us
    assert status_of(host.ask("TARE", 320)) == "OK"
    assert (host.now_us - before_us) * 1e-6 == pytest.approx(4, rel=0.08)
    host.ask("PING", b"")
    assert host.device.answer_after_s == 0


def test_of_what_happened_before_start_only_the_zero_is_told():
    host = Dialogue(Device(1))
    host.connect()
    host.ask("HAPTIC_PLAY", 1, 100, 1)
    host.device.press(0.2, host.now_us)
    zeros = [host.ask("TARE", 40).reply.offset for _ in range(2)]
    host.start()
    host.pass_time(1)
    code, arg, value = events_in(host.records)[0]
    assert (code, codec.tare_offset(arg, value)) == (codec.EVENT_CODE["TARE"], zeros[-1])
    assert len(events_in(host.records)) == 1
    assert not flagged(packets_of(host.records), "HAPTIC")


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_start_after_several_tares_streams(seed):
    host = Dialogue(Device(seed))
    host.connect()
    for _ in range(3):
        host.ask("TARE", 320)
    host.start()
    host.pass_time(1)
    assert len(payloads(host.records)) >= 16


def test_contact_events_alternate():
    made = session(1, 60)
    codes = [code for code, _, _ in events_in(made.records)]
    on, off = codec.EVENT_CODE["CONTACT_ON"], codec.EVENT_CODE["CONTACT_OFF"]
    assert len(codes) > 10
    assert codes == [on, off] * (len(codes) // 2) + [on] * (len(codes) % 2)


def test_disconnect_ends_the_stream():
    host = Dialogue(Device(1))
    host.connect()
    host.start()
    host.pass_time(1)
    host.device.disconnected(host.now_us)
    assert host.device.advance(host.now_us + 10_000_000) == []
    assert codec.decode_record("STATUS", host.device.status_payload()).state == 0
    assert status_of(host.ask("STOP")) == "BAD_STATE"
    host.connect()
    host.start()
    host.pass_time(1)
    assert len(payloads(host.records)) == 32


# --- Sessions: loss, ring and backfill --------------------------------------------------------------------------------


def test_a_lost_link_loses_nothing_that_the_ring_holds():
    host = begun(linger_s=30)
    host.lose(3)
    before = len(host.records)
    host.resume()
    host.pass_time(4)
    late, live = packets_of(host.records, layout.PTYPE_BACKFILL), packets_of(host.records)
    assert late[0].seq == 16
    assert len(late) == 50
    assert flagged(late, "LAST") == [late[-1].seq]
    assert sorted(p.seq for p in (*late, *live)) == list(range(live[-1].seq + 1))
    kinds = [p[0] for p in payloads(host.records[before:])]
    assert all(layout.PTYPE_BACKFILL in kinds[i : i + 3] for i in range(50)), "a live packet without a resent one"


def test_resent_packets_are_the_live_ones_but_for_type_and_last():
    host = begun(linger_s=30)
    sent = payloads(host.records)
    reply = host.ask("BACKFILL", 3, 7).reply
    assert (reply.count, reply.first_available) == (5, 0)
    host.pass_time(0.5)
    again = [p for p in payloads(host.records) if p[0] == layout.PTYPE_BACKFILL]
    last = codec.bit(layout.PACKET_FLAGS, "LAST")
    assert [p[2:] for p in again] == [p[2:] for p in sent[3:8]]
    assert [p[1] for p in again] == [p[1] | (last if i == 4 else 0) for i, p in enumerate(sent[3:8])]


def test_the_ring_keeps_the_newest_packets_and_those_being_fetched():
    host = begun(seconds=60, linger_s=60)
    oldest = host.ask("SESSION").reply.first_available
    assert oldest > 0
    held = host.ask("SESSION").reply.next_seq - oldest
    assert 0.9 * RING_B < held * 130 < 1.1 * RING_B
    first_fetched = len(payloads(host.records))
    host.ask("BACKFILL", 0, 0xFFFFFFFF)
    host.pass_time(held * 0.06)
    fetched = [p.seq for p in packets_of(host.records[first_fetched:], layout.PTYPE_BACKFILL)]
    assert fetched == list(range(oldest, oldest + held)), "the ring dropped what it had promised"


def test_a_full_memory_keeps_what_session_named_until_backfill_asks_for_it():
    host = begun(seconds=45)
    first = host.ask("SESSION").reply.first_available
    assert first > 0
    host.pass_time(0.6)
    assert host.ask("BACKFILL", first, first).reply == (1, first)
    host.pass_time(0.6)
    # Nobody asked, so nothing is kept for ever.
    first = host.ask("SESSION").reply.first_available
    host.pass_time(5)
    assert host.ask("SESSION").reply.first_available > first


def test_backfill_keeps_its_packets_while_it_waits_for_a_subscription():
    host = begun(seconds=45)
    host.device.subscribed(False, host.now_us)
    first = host.ask("SESSION").reply.first_available
    n_records = len(host.records)
    assert host.ask("BACKFILL", first, first + 9).reply.count == 10
    host.pass_time(10)
    host.device.subscribed(True, host.now_us)
    host.pass_time(1)
    fetched = [packet.seq for packet in packets_of(host.records[n_records:], layout.PTYPE_BACKFILL)]
    assert fetched == list(range(first, first + 10))


def test_backfill_refusals():
    host = begun()
    assert status_of(host.ask("BACKFILL", 5, 4)) == "BAD_PARAM"
    assert status_of(host.ask("BACKFILL", 1000, 2000)) == "RANGE_GONE"
    assert status_of(host.ask("BACKFILL", 0, 9)) == "OK"
    assert status_of(host.ask("BACKFILL", 0, 9)) == "BUSY"
    host.pass_time(1)
    host.device.mtu_changed(100)
    assert status_of(host.ask("BACKFILL", 0, 9)) == "MTU_TOO_SMALL"


def test_the_session_ends_when_the_host_stays_away():
    host = begun(linger_s=2)
    host.lose(1.9)
    assert state_of(host.device) == "streaming"
    host.lose(0.3)
    assert state_of(host.device) == "idle"
    host.device.connected(MTU, host.now_us)
    reply = host.ask("SESSION").reply
    assert (reply.first_available, reply.state) == (0, 0)
    assert reply.next_seq == pytest.approx(48, abs=2)


def test_without_a_subscription_packets_go_to_the_ring():
    host = begun(linger_s=2)
    host.device.subscribed(False, host.now_us)
    before = len(payloads(host.records))
    host.pass_time(1)
    assert len(payloads(host.records)) == before
    host.device.subscribed(True, host.now_us)
    host.pass_time(0.1)
    assert packets_of(host.records)[-1].seq > before + 15


def test_dropped_packets_are_counted_and_flagged():
    host = begun()
    host.device.dropped(3)
    assert codec.decode_record("STATUS", host.device.status_payload()).dropped == 3
    host.pass_time(0.2)
    assert flagged(packets_of(host.records), "DROPPED_BEFORE") == [16]
    assert host.ask("STOP").reply.dropped == 3


# --- Offline log ------------------------------------------------------------------------------------------------------


def alone(host, seconds):
    """Record without a host."""
    host.device.press(0.2, host.now_us)
    assert state_of(host.device) == "offline log"
    host.pass_time(seconds)
    host.device.press(0.2, host.now_us)


def test_a_log_is_read_and_freed_only_when_the_host_says_so():
    host = Dialogue(Device(1))
    alone(host, 2)
    host.pass_time(1)
    alone(host, 3)
    assert payloads(host.records) == []
    host.connect()
    assert has_status_flag(host.device, "LOG_PENDING")
    log = host.ask("LOG_INFO").reply
    sessions = [host.ask("LOG_SESSION", i).reply for i in range(log.sessions)]
    assert log.sessions == 2
    assert (sessions[0].first, sessions[1].last) == (log.first, log.last)
    assert sessions[0].last + 1 == sessions[1].first
    for _ in range(2):
        assert host.ask("LOG_READ", log.first, 0xFFFF).reply.count == log.last - log.first + 1
        host.pass_time(4)
    read = packets_of(host.records, layout.PTYPE_LOG)
    assert [p.seq for p in read] == 2 * list(range(log.first, log.last + 1))
    assert flagged(read[: len(read) // 2], "CLOCK_BREAK") == [s.first for s in sessions]
    assert flagged(read, "LAST") == [log.last] * 2
    host.ask("LOG_ADVANCE", sessions[1].first)
    assert host.ask("LOG_INFO").reply.sessions == 1
    assert status_of(host.ask("LOG_READ", sessions[0].first, 1)) == "RANGE_GONE"
    assert status_of(host.ask("LOG_ADVANCE", log.last + 2)) == "BAD_PARAM"
    host.ask("LOG_ADVANCE", log.last + 1)
    assert host.ask("LOG_INFO").reply.used == 0
    assert not has_status_flag(host.device, "LOG_PENDING")


def test_a_log_can_be_looked_at_and_freed_while_it_is_being_recorded():
    host = Dialogue(Device(1))
    host.device.press(0.2, host.now_us)
    host.connect()
    assert host.ask("LOG_INFO").reply.sessions == 0
    assert status_of(host.ask("LOG_SESSION", 0)) == "BAD_PARAM"
    host.pass_time(1)
    host.ask("LOG_ADVANCE", host.ask("LOG_INFO").reply.last + 1)
    host.pass_time(1)
    session = host.ask("LOG_SESSION", 0).reply
    assert (session.first, session.last) == (16, 32)


def test_a_log_survives_a_reboot_and_goes_on_counting():
    host = Dialogue(Device(1))
    alone(host, 1)
    host.device.reboot(host.now_us)
    host.pass_time(1)
    alone(host, 1)
    host.connect()
    sessions = [host.ask("LOG_SESSION", i).reply for i in range(2)]
    assert sessions[1].first == sessions[0].last + 1 > 1


def test_logged_sessions_carry_the_time_of_day_when_it_is_known():
    host = Dialogue(Device(1))
    host.connect()
    host.ask("SET_WALL", 1_800_000_000_000_000, 60)
    host.device.disconnected(host.now_us)
    host.pass_time(5)
    alone(host, 1)
    host.connect()
    assert host.ask("LOG_SESSION", 0).reply.unix_us == 1_800_000_005_000_000
    assert status_of(host.ask("SET_WALL", 0, 900)) == "BAD_PARAM"
    assert status_of(host.ask("SET_WALL", 2**64 - 1, 0)) == "BAD_PARAM"


def test_a_full_log_keeps_the_old():
    host = Dialogue(Device(1))
    host.device.press(0.2, 0)
    host.pass_time(600)
    assert state_of(host.device) == "idle"
    host.connect()
    log = host.ask("LOG_INFO").reply
    assert log.first == 0
    assert 1024 * 1024 - 200 < log.used <= 1024 * 1024


# --- Calibration, configuration, haptics ------------------------------------------------------------------------------


def written(host, calibration):
    record = codec.encode_record("CALIBRATION", calibration)
    for page in (0, 1):
        assert status_of(host.ask("CAL_WRITE", page, record[16 * page :][:16])) == "OK"
    return int.from_bytes(record[-2:], "little")


def test_a_calibration_needs_the_button_and_takes_effect_at_once():
    host = begun()
    crc = written(host, reference.CALIBRATION._replace(n_per_count=3e-5, zero_counts=-1234))
    assert status_of(host.ask("CAL_COMMIT", crc)) == "NOT_PERMITTED"
    host.device.press(0.2, host.now_us)
    assert has_status_flag(host.device, "BUTTON_WINDOW")
    assert status_of(host.ask("CAL_COMMIT", crc ^ 1)) == "BAD_CRC"
    assert status_of(host.ask("CAL_COMMIT", crc)) == "OK"
    read = codec.decode_record("CALIBRATION", b"".join(host.ask("CAL_READ", page).reply.half for page in (0, 1)))
    assert (read.n_per_count, read.zero_counts) == (pytest.approx(3e-5), -1234)
    host.pass_time(0.2)
    told = [codec.tare_offset(arg, v) for code, arg, v in events_in(host.records) if code == codec.EVENT_CODE["TARE"]]
    assert told == [-1234]
    assert flagged(packets_of(host.records), "TARE_CHANGED") == [16]
    host.pass_time(layout.BUTTON_WINDOW_S)
    assert status_of(host.ask("CAL_COMMIT", crc)) == "NOT_PERMITTED"


def test_half_a_calibration_is_none():
    host = begun()
    host.device.press(0.2, host.now_us)
    assert status_of(host.ask("CAL_WRITE", 2, bytes(16))) == "BAD_PARAM"
    host.ask("CAL_WRITE", 0, bytes(16))
    assert status_of(host.ask("CAL_COMMIT", 0)) == "BAD_STATE"
    host.ask("CAL_WRITE", 1, bytes(16))
    assert status_of(host.ask("CAL_COMMIT", 0)) == "BAD_CRC"


def test_rates_and_ranges_can_be_chosen():
    host = Dialogue(Device(1))
    host.connect()
    imu, force = codec.STREAM_ID["IMU6"], codec.STREAM_ID["FORCE_RAW"]
    scale = host.ask("STREAM_INFO", imu).reply.scale_a
    rate_hz = host.ask("CONFIG", imu, layout.RATES_HZ.index(208), 1).reply.rate_hz
    assert rate_hz == pytest.approx(208, rel=0.08)
    assert host.ask("STREAM_INFO", imu).reply.scale_a == pytest.approx(2 * scale)
    assert host.ask("CONFIG", force, layout.RATES_HZ.index(20), 0).reply.rate_hz == pytest.approx(20, rel=0.08)
    host.start()
    host.pass_time(5)
    assert len(counts(payloads(host.records), "IMU6")) == pytest.approx(5 * rate_hz, rel=0.03)
    assert len(counts(payloads(host.records), "FORCE_RAW")) == pytest.approx(100, rel=0.1)
    assert status_of(host.ask("CONFIG", imu, 7, 0)) == "BAD_STATE"
    host.ask("STOP")
    for stream_id, rate_index, range_index in ((imu, 0, 0), (imu, 255, 0), (imu, 7, 3), (force, 6, 1)):
        assert status_of(host.ask("CONFIG", stream_id, rate_index, range_index)) == "BAD_PARAM"
    assert status_of(host.ask("CONFIG", codec.STREAM_ID["ROLL"], 7, 0)) == "NOT_SUPPORTED"


def test_force_in_newtons_is_counts_times_sensitivity():
    host = begun(streams=("FORCE", "FORCE_RAW"), seconds=30)
    device = host.device
    raw, mn = (counts(payloads(host.records), name)[:, 0] for name in ("FORCE_RAW", "FORCE"))
    newtons = (raw - device.senses.zero_counts) * device.senses.calibration.n_per_count
    np.testing.assert_allclose(mn * 1e-3, np.clip(newtons, -32.768, 32.767), atol=0.00051)
    assert np.ptp(newtons) > 0.5


def test_force_alone_streams_over_the_smallest_mtu():
    host = Dialogue(Device(1))
    host.connect(layout.MTU_MIN)
    assert status_of(host.start(("FORCE", "EVENT"))) == "OK"
    host.pass_time(2)
    assert max(map(len, payloads(host.records))) <= 20
    assert len(counts(payloads(host.records), "FORCE")) == pytest.approx(160, rel=0.08)


def test_only_a_device_with_fusion_offers_its_orientation():
    quat = codec.STREAM_ID["QUAT"]
    plain, fusing = Dialogue(Device(1)), Dialogue(Device(1, build=Build(fusion=True)))
    plain.connect()
    fusing.connect()
    assert quat not in plain.ask("STREAM_LIST").reply.ids
    assert quat in fusing.ask("STREAM_LIST").reply.ids
    assert codec.decode_record("INFO", fusing.device.info_payload()).features & codec.bit(layout.FEATURES, "QUAT")
    assert status_of(fusing.start((*reference.DEFAULT_STREAMS, "QUAT"))) == "OK"
    fusing.pass_time(3)
    samples = counts(payloads(fusing.records), "QUAT")
    assert len(samples) == len(counts(payloads(fusing.records), "IMU6"))
    assert (np.linalg.norm(samples / 32767, axis=1) < 1.001).all()


RULE = {"slot": 0, "source": 0, "compare": 1, "level": 300, "hysteresis": 50, "hold_ms": 0, "pattern": 4, "cooldown": 0}


def haptic_events(records, slot):
    codes = (codec.EVENT_CODE["HAPTIC_START"], slot)
    return [event for event in events_in(records) if (event[0], event[2]) == codes]


@pytest.mark.parametrize(("slot", "fires"), [("CEILING", True), ("LIMIT", True), ("ALONE", False), ("FREE", True)])
def test_rules_run_while_connected(slot, fires):
    host = begun()
    number = next(number for number, name, _ in layout.HAPTIC_SLOTS if name == slot)
    assert status_of(host.ask("HAPTIC_RULE", *(RULE | {"slot": number}).values())) == "OK"
    host.pass_time(15)
    assert bool(haptic_events(host.records, number)) is fires
    assert bool(flagged(packets_of(host.records), "HAPTIC")) is fires


def test_without_a_link_the_rule_for_being_alone_takes_over():
    host = begun(linger_s=60)
    for slot in (1, 2):
        host.ask("HAPTIC_RULE", *(RULE | {"slot": slot}).values())
    host.lose(15)
    host.resume()
    host.pass_time(15)
    fetched = [record for record in host.records if record.payload[:1] == bytes([layout.PTYPE_BACKFILL])]
    assert haptic_events(fetched, 2)
    assert not haptic_events(fetched, 1)


def test_a_rule_fires_once_per_crossing_and_again_only_after_its_cooldown():
    host = begun()
    host.ask("HAPTIC_RULE", *RULE.values())
    host.pass_time(20)
    touches = sum(code == codec.EVENT_CODE["CONTACT_ON"] for code, _, _ in events_in(host.records))
    once = len(haptic_events(host.records, 0))
    assert 0 < once <= 3 * touches
    again = begun()
    again.ask("HAPTIC_RULE", *(RULE | {"cooldown": 200}).values())
    again.pass_time(20)
    assert len(haptic_events(again.records, 0)) > 2 * once


def test_slow_streams_send_one_sample_per_block():
    host = Dialogue(Device(1))
    host.connect()
    host.ask("CONFIG", codec.STREAM_ID["FORCE_RAW"], layout.RATES_HZ.index(10), 0)
    host.start(flush_ms=200)
    host.pass_time(3)
    blocks = [b for p in packets_of(host.records) for b in p.blocks if b.stream_id == codec.STREAM_ID["FORCE_RAW"]]
    assert len(blocks) == pytest.approx(30, abs=3)
    assert {(len(block.samples), block.period_us) for block in blocks} == {(1, 0)}


def test_a_host_that_comes_back_with_a_short_mtu_gets_nothing_until_it_has_a_longer_one():
    host = begun(linger_s=60)
    host.lose(1)
    before = len(payloads(host.records))
    host.device.connected(layout.MTU_MIN, host.now_us)
    host.device.subscribed(True, host.now_us)
    host.pass_time(1)
    assert len(payloads(host.records)) == before
    host.device.mtu_changed(MTU)
    host.pass_time(1)
    assert len(payloads(host.records)) > before
    assert packets_of(host.records)[-1].seq > 45


def test_a_rule_can_be_switched_off():
    host = begun()
    host.ask("HAPTIC_RULE", *RULE.values())
    host.ask("HAPTIC_RULE", *(RULE | {"compare": 0}).values())
    host.pass_time(15)
    assert not haptic_events(host.records, 0)


@pytest.mark.parametrize(
    "wrong", [{"slot": 4}, {"source": 3}, {"compare": 3}, {"pattern": 0}, {"pattern": 5}, {"hysteresis": -1}]
)
def test_senseless_rules_are_refused(wrong):
    assert status_of(begun(seconds=0.1).ask("HAPTIC_RULE", *(RULE | wrong).values())) == "BAD_PARAM"


def test_the_motor_plays_on_request_and_stops():
    host = begun()
    assert status_of(host.ask("HAPTIC_PLAY", 3, 100, 2)) == "OK"
    host.pass_time(2)
    codes = [event[:2] for event in events_in(host.records)]
    assert (codec.EVENT_CODE["HAPTIC_START"], 3) in codes
    assert (codec.EVENT_CODE["HAPTIC_STOP"], 0) in codes
    for arguments in ((5, 100, 1), (1, 101, 1), (1, 100, 0), (1, 100, 11)):
        assert status_of(host.ask("HAPTIC_PLAY", *arguments)) == "BAD_PARAM"
    host.device.fail("HAPTIC", True, host.now_us)
    assert status_of(host.ask("HAPTIC_PLAY", 1, 100, 1)) == "HW_FAULT"


def test_a_short_tick_marks_the_packet_in_which_it_ran():
    host = begun()
    host.ask("HAPTIC_PLAY", 1, 100, 1)
    host.pass_time(1)
    assert 1 <= len(flagged(packets_of(host.records), "HAPTIC")) <= 2


def test_led_and_identify():
    host = begun()
    host.ask("LED", 1, 2, 3, 1)
    assert host.device.led == (1, 2, 3, 1)
    assert status_of(host.ask("LED", 1, 2, 3, 4)) == "BAD_PARAM"
    host.ask("IDENTIFY", 3)
    host.pass_time(1)
    assert flagged(packets_of(host.records), "HAPTIC")
    host.ask("IDENTIFY", 0)
    host.pass_time(1)
    assert max(flagged(packets_of(host.records), "HAPTIC")) < packets_of(host.records)[-1].seq - 10


# --- What a person and fate do to it ----------------------------------------------------------------------------------


def test_a_reboot_is_a_new_boot_with_a_new_clock_and_nothing_in_ram():
    host = begun(linger_s=10)
    device = host.device
    host.ask("TARE", 40)
    before = codec.decode_record("INFO", device.info_payload()).boot_id
    assert status_of(host.ask("REBOOT", 1)) == "NOT_SUPPORTED"
    assert status_of(host.ask("REBOOT", 0)) == "OK"
    assert device.on_air, "the response must still get out"
    host.pass_time(0.2)
    assert not device.on_air
    device.disconnected(host.now_us)
    host.pass_time(BOOT_US * 1e-6)
    assert device.on_air
    assert state_of(device) == "idle"
    assert codec.decode_record("INFO", device.info_payload()).boot_id != before
    host.connect()
    assert host.ask("SESSION").reply[:3] == (0, 0, 0)
    assert host.ask("TIME_SYNC").reply.t2_us < 1_000_000
    assert not has_status_flag(device, "TARED")
    assert status_of(host.start()) == "OK"


def test_sleep_leaves_the_air_until_the_button_wakes_it():
    host = Dialogue(Device(1))
    host.connect()
    host.ask("SLEEP")
    host.pass_time(0.2)
    assert not host.device.on_air
    host.device.disconnected(host.now_us)
    host.pass_time(10)
    assert not host.device.on_air
    host.device.press(0.2, host.now_us)
    host.pass_time(1)
    assert host.device.on_air


def test_a_forgotten_roller_falls_asleep():
    device = Device(1)
    device.advance(0)
    device.advance(AUTO_SLEEP_US - 1)
    assert device.on_air
    device.advance(AUTO_SLEEP_US + 1)
    assert not device.on_air


def test_charging_ends_the_session_and_allows_none():
    host = begun()
    host.device.plug(True, host.now_us)
    assert state_of(host.device) == "charging"
    assert has_status_flag(host.device, "CHARGING")
    before = len(payloads(host.records))
    host.pass_time(1)
    assert len(payloads(host.records)) == before
    assert status_of(host.start()) == "BAD_STATE"
    host.device.plug(False, host.now_us)
    assert status_of(host.start()) == "OK"


def test_the_battery_empties_warns_once_and_switches_off():
    host = begun()
    volts = codec.decode_record("STATUS", host.device.status_payload()).battery_v
    host.device.battery(15.01, host.now_us)
    assert 3.3 < codec.decode_record("STATUS", host.device.status_payload()).battery_v < volts
    host.pass_time(30)
    assert [arg for code, arg, _ in events_in(host.records) if code == codec.EVENT_CODE["LOW_BATTERY"]] == [15]
    host.device.battery(0.001, host.now_us)
    host.pass_time(2)
    assert not host.device.on_air
    host.device.plug(True, host.now_us)
    host.device.power(True, host.now_us)
    host.pass_time(1)
    assert host.device.on_air


def test_streaming_lasts_as_long_as_the_battery_is_said_to():
    host = begun(seconds=36)
    used = 90 - host.device.cell.charge_percent
    assert 36 / 3600 * 100 / used == pytest.approx(6.5, abs=0.3)


@pytest.mark.parametrize(
    ("fault", "silent", "refused"),
    [
        ("IMU", {"IMU6", "ROLL"}, "IMU6"),
        ("ADC", {"FORCE_RAW", "TEMP"}, "FORCE_RAW"),
        ("ENCODER", {"ROLL"}, "ROLL"),
    ],
)
def test_a_failing_part_ends_its_streams_and_is_told(fault, silent, refused):
    host = begun()
    host.device.fail(fault, True, host.now_us)
    before = len(payloads(host.records))
    host.pass_time(2)
    after = {b.stream_id for p in payloads(host.records)[before:] for b in codec.decode_packet(p).blocks}
    assert after == {codec.STREAM_ID[n] for n in reference.DEFAULT_STREAMS} - {codec.STREAM_ID[n] for n in silent}
    bit = codec.bit(layout.FAULTS, fault)
    assert codec.decode_record("STATUS", host.device.status_payload()).faults == bit
    assert (codec.EVENT_CODE["FAULT"], bit.bit_length() - 1, 1) in events_in(host.records)
    host.ask("STOP")
    assert status_of(host.start((refused,))) == "HW_FAULT"
    passed = host.ask("SELF_TEST").reply.passed
    assert not passed & codec.bit(layout.SELF_TEST, fault)
    host.device.fail(fault, False, host.now_us)
    assert status_of(host.start()) == "OK"
    assert status_of(host.ask("SELF_TEST")) == "BAD_STATE"


def test_a_healthy_device_passes_its_self_test():
    host = Dialogue(Device(1))
    host.connect()
    assert host.ask("SELF_TEST").reply.passed == (1 << len(layout.SELF_TEST)) - 1


def test_a_damaged_calibration_is_replaced_by_defaults():
    host = begun()
    host.device.fail("CAL_CRC", True, host.now_us)
    assert not has_status_flag(host.device, "CALIBRATED")
    read = codec.decode_record("CALIBRATION", b"".join(host.ask("CAL_READ", page).reply.half for page in (0, 1)))
    assert read.flags == reference.CALIBRATION.flags
    assert read.n_per_count == pytest.approx(reference.N_PER_COUNT)


def test_flash_that_fails_is_told():
    host = begun()
    host.device.fail("STORAGE", True, host.now_us)
    host.device.press(0.2, host.now_us)
    crc = written(host, reference.CALIBRATION)
    assert status_of(host.ask("CAL_COMMIT", crc)) == "STORAGE"
    assert status_of(host.ask("LOG_ADVANCE", 0)) == "STORAGE"


def test_factory_reset_forgets_log_calibration_and_bonds():
    host = Dialogue(Device(1))
    alone(host, 1)
    host.connect()
    bonds = ["one"]
    host.device.on_factory_reset = bonds.clear
    host.pass_time(layout.BUTTON_WINDOW_S)
    assert status_of(host.ask("FACTORY_RESET")) == "NOT_PERMITTED"
    host.device.press(0.2, host.now_us)
    assert status_of(host.ask("FACTORY_RESET")) == "OK"
    assert host.ask("LOG_INFO").reply.used == 0
    assert host.device.senses.calibration == reference.CALIBRATION
    assert bonds == []


def test_after_a_stop_the_person_begins_anew():
    """A second session begins at rest, as the first one did."""
    host = begun(seconds=12)
    host.ask("STOP")
    host.pass_time(5)
    host.start()
    before = len(payloads(host.records))
    host.pass_time(2)
    flags = [
        codec.decode_packet(p).flags & codec.bit(layout.PACKET_FLAGS, "CONTACT")
        for p in payloads(host.records)[before:]
    ]
    assert not any(flags)


def test_every_request_has_an_answer():
    assert set(ANSWERS) == set(codec.OP)


# --- What a review found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mtu", [100, 185, 247])
@pytest.mark.parametrize("flush_ms", [20, 60, 100, 200])
@pytest.mark.parametrize("imu_hz", [52, 104, 208])
def test_packets_are_in_the_order_of_their_times(mtu, flush_ms, imu_hz):
    host = Dialogue(Device(1))
    host.connect(mtu)
    host.ask("CONFIG", codec.STREAM_ID["IMU6"], layout.RATES_HZ.index(imu_hz), 0)
    host.start(flush_ms=flush_ms)
    host.pass_time(3)
    packets = packets_of(host.records)
    steps = [(after.t0_us - before.t0_us) % 2**32 for before, after in pairwise(packets)]
    assert max(steps) < 1_000_000, "a step back looks like a wrap of the clock"
    assert all(p.blocks[0].offset_us == 0 for p in packets)


def test_a_dead_adc_feels_nothing():
    host = begun(linger_s=10)
    host.ask("HAPTIC_RULE", *RULE.values())
    host.device.fail("ADC", True, host.now_us)
    before = len(host.records)
    host.pass_time(15)
    told = {code for code, _, _ in events_in(host.records[before:])}
    assert not told & {codec.EVENT_CODE[name] for name in ("CONTACT_ON", "OVERLOAD", "HAPTIC_START")}
    assert not flagged(packets_of(host.records[before:]), "CONTACT")


def test_a_dead_motor_does_not_run():
    host = begun()
    host.ask("HAPTIC_RULE", *RULE.values())
    host.device.fail("HAPTIC", True, host.now_us)
    host.pass_time(15)
    assert not flagged(packets_of(host.records), "HAPTIC")


def test_the_encoder_needs_the_clock_of_the_imu():
    host = begun()
    host.ask("STOP")
    host.device.fail("IMU", True, host.now_us)
    assert status_of(host.start(("ROLL",))) == "HW_FAULT"


def test_another_press_ends_a_recording_even_while_a_host_looks_on():
    host = Dialogue(Device(1))
    host.device.press(0.2, host.now_us)
    host.connect()
    assert state_of(host.device) == "offline log"
    host.device.press(0.2, host.now_us)
    assert state_of(host.device) == "idle"


def test_every_run_of_the_motor_has_a_start_and_a_stop():
    host = begun()
    for ask in (("HAPTIC_PLAY", 2, 100, 2), ("IDENTIFY", 2)):
        before = len(host.records)
        host.ask(*ask)
        host.pass_time(3)
        told = [code for code, _, _ in events_in(host.records[before:]) if code in (4, 5)]
        start, stop = codec.EVENT_CODE["HAPTIC_START"], codec.EVENT_CODE["HAPTIC_STOP"]
        assert told == [start, stop] * (4 if ask[0] == "HAPTIC_PLAY" else 2)


def test_a_stopped_motor_shakes_nothing():
    still = Flaws(acc_noise_m_s2=0.0, acc_walk_m_s2=0.0)
    host = Dialogue(Device(1, flaws=still))
    host.connect()
    host.start()
    host.pass_time(0.6)
    host.ask("HAPTIC_PLAY", 4, 100, 1)
    host.pass_time(0.12)
    host.ask("HAPTIC_PLAY", 0, 0, 0)
    host.pass_time(0.6)
    acc = counts(payloads(host.records), "IMU6")[:, 3:] * reference.ACC_M_S2_PER_COUNT
    assert acc[62:72].std(axis=0).max() > 1
    assert acc[85:].std(axis=0).max() < 0.4  # the hand's own tremor


def test_a_rule_that_was_not_in_force_begins_anew():
    host = begun(seconds=3.0, linger_s=60)
    slow = RULE | {"slot": 1, "level": -32000, "hold_ms": 2000, "hysteresis": 0}
    host.ask("HAPTIC_RULE", *slow.values())
    host.pass_time(1)
    host.lose(3)
    host.resume()
    before = len(host.records)
    host.pass_time(1.5)
    live = [r for r in host.records[before:] if r.payload[0] == layout.PTYPE_LIVE]
    assert not haptic_events(live, 1), "it fired without having held for 2 s"


def test_contact_ends_with_the_session():
    host = begun(seconds=8)
    while not host.device.senses.contact:
        host.pass_time(0.1)
    host.ask("STOP")
    assert not has_status_flag(host.device, "CONTACT")


def test_a_low_battery_is_told_in_each_session():
    host = Dialogue(Device(1, build=Build(battery_percent=10)))
    host.connect()
    for _ in range(2):
        before = len(host.records)
        host.start()
        host.pass_time(1)
        assert codec.EVENT_CODE["LOW_BATTERY"] in [code for code, _, _ in events_in(host.records[before:])]
        host.ask("STOP")


def test_a_restart_cancels_a_good_night():
    host = begun()
    host.ask("SLEEP")
    host.device.reboot(host.now_us)
    host.pass_time(2)
    assert host.device.on_air


def test_nobody_connects_to_a_device_that_is_off():
    host = Dialogue(Device(1))
    host.device.power(False, 0)
    host.device.connected(MTU, 0)
    assert not host.device.linked
    assert status_of(host.start(("FORCE",))) == "BAD_STATE"


def test_a_press_postpones_sleep():
    device = Device(1)
    device.advance(0)
    device.press(5.0, AUTO_SLEEP_US - 1_000_000)
    device.advance(AUTO_SLEEP_US + 1_000_000)
    assert device.on_air


def test_a_tare_does_not_use_readings_of_the_session_before():
    host = begun(seconds=2)
    host.ask("STOP")
    host.pass_time(60)
    host.start()
    host.pass_time(0.06)
    assert status_of(host.ask("TARE", 40)) == "UNSTABLE"


def test_the_weight_of_the_head_pulls_along_the_axis_of_the_calibration():
    forces = {}
    for axis_z in (-1.0, 1.0):
        host = begun(seconds=0.1)
        host.device.press(0.2, host.now_us)
        host.ask("CAL_COMMIT", written(host, reference.CALIBRATION._replace(axis_z=axis_z, head_mass_kg=0.1)))
        host.pass_time(2)
        forces[axis_z] = host.ask("TARE", 40).reply.offset * reference.N_PER_COUNT
    acc_n = np.median(counts(payloads(host.records), "IMU6")[:, 5]) * reference.ACC_M_S2_PER_COUNT
    assert forces[-1.0] - forces[1.0] == pytest.approx(0.2 * acc_n, abs=0.02)


def test_what_lingers_fits_the_mtu_of_the_host_that_left():
    host = Dialogue(Device(1))
    host.connect(120)
    host.start(linger_s=30)
    host.pass_time(1)
    host.lose(2)
    host.resume()
    host.pass_time(3)
    late = [p for p in payloads(host.records) if p[0] == layout.PTYPE_BACKFILL]
    assert len(late) > 30
    assert max(map(len, late)) <= 117


def test_reset_and_failing_flash_end_a_recording():
    host = Dialogue(Device(1))
    host.device.press(0.2, host.now_us)
    host.connect()
    host.pass_time(2)
    host.ask("FACTORY_RESET")
    assert host.ask("LOG_INFO").reply.used == 0
    assert state_of(host.device) == "idle"
    other = Dialogue(Device(1))
    other.device.press(0.2, other.now_us)
    other.device.fail("STORAGE", True, other.now_us)
    assert state_of(other.device) == "idle"


def test_a_healed_calibration_is_told():
    host = begun()
    host.device.press(0.2, host.now_us)
    host.device.fail("CAL_CRC", True, host.now_us)
    host.pass_time(0.2)
    assert flagged(packets_of(host.records), "TARE_CHANGED") == [16]
    host.ask("CAL_COMMIT", written(host, reference.CALIBRATION))
    host.pass_time(0.2)
    bit = next(bit for bit, name, _ in layout.FAULTS if name == "CAL_CRC")
    assert (codec.EVENT_CODE["FAULT"], bit, 0) in events_in(host.records)
