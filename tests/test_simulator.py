# SPDX-License-Identifier: MIT
"""The simulated person and device: reproducible, continuous, and true to the protocol."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sim import MTU, STREAM_MASK, Dialogue, counts, payloads, session

from firmware_protocol import arrays, codec, layout, reference, zones
from simulator.device import REST_S, Device
from simulator.face import PATCHES, Face
from simulator.generate import generate
from simulator.hand import BASE_FORCE_N, Habits, Hand
from simulator.truth import GRID_HZ, TrueStroke, match_strokes

MTUS = (100, 185, 247, 517)


def streamed(seed, seconds, mtu=MTU):
    host = Dialogue(Device(seed))
    host.introduce(mtu)
    host.start()
    host.stream(seconds)
    return host.records


def status_of(response):
    return codec.STATUS_NAME[response.status]


def events_in(records):
    return [tuple(int(v) for v in sample) for sample in counts(payloads(records), "EVENT")]


# --- The person -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def massage():
    """Every place of the routine once: a rest and 15 visits."""
    hand = Hand(1, Habits(strokes=(2, 3)))
    return [hand.rest(0.5), *(hand.visit() for _ in zones.PLACES)]


def test_same_seed_gives_the_same_bytes():
    assert streamed(5, 4) == streamed(5, 4)


def test_other_seed_gives_other_bytes():
    ours, others = streamed(5, 4), streamed(6, 4)
    assert ours[0] != others[0], "two devices with one identity"
    assert not set(payloads(ours)) & set(payloads(others))


def test_truth_has_no_hole_in_its_time_grid(massage):
    t_s = np.concatenate([truth.t_s for truth in massage])
    np.testing.assert_allclose(np.diff(t_s) * GRID_HZ, 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "largest_step"),
    # Per ms: a roller of 15 mm at most at 0.5 m/s, accelerations and turns that a hand can do, touch-down in 60 ms.
    [("roll_rad", 0.04), ("gyro_rad_s", 0.4), ("acc_m_s2", 2.0), ("head_acc_m_s2", 2.0), ("force_n", 0.3)],
)
def test_truth_does_not_jump(massage, name, largest_step):
    values = np.concatenate([getattr(truth, name) for truth in massage])
    assert np.abs(np.diff(values, axis=0)).max() < largest_step


@pytest.mark.parametrize(
    ("name", "largest_step"), [("roll_rad", 1e-6), ("gyro_rad_s", 0.01), ("acc_m_s2", 0.05), ("head_acc_m_s2", 0.05)]
)
def test_visits_join_at_rest(massage, name, largest_step):
    for before, after in pairwise(massage):
        assert np.abs(getattr(after, name)[0] - getattr(before, name)[-1]).max() < largest_step


def test_every_place_has_a_patch_and_a_force():
    assert tuple(PATCHES) == zones.ZONES
    assert tuple(BASE_FORCE_N) == zones.ZONES


def test_every_place_gets_visited(massage):
    assert {(stroke.zone, stroke.side) for truth in massage for stroke in truth.strokes} == set(zones.PLACES)


def test_strokes_lie_in_contact_and_force_only_there(massage):
    for truth in massage:
        for stroke in truth.strokes:
            during = (truth.t_s >= stroke.begin_s) & (truth.t_s < stroke.end_s)
            assert truth.contact[during].all()
            assert 0 < stroke.force_n <= stroke.force_peak_n
            assert 0.01 < stroke.length_m < 0.15
        assert not truth.force_n[~truth.contact].any()


@pytest.mark.parametrize("zone", [zone for zone in zones.ZONES if zone not in zones.MIDLINE])
def test_left_and_right_mirror_each_other(zone):
    face = Face.draw(np.random.default_rng(1))
    _, left_m, left_deg = face.place(np.random.default_rng(2), zone, "left")
    _, right_m, right_deg = face.place(np.random.default_rng(2), zone, "right")
    assert left_m[0] > 0 > right_m[0]
    np.testing.assert_allclose(left_m * [-1, 1, 1], right_m)
    assert left_deg == -right_deg


def test_strokes_are_matched_one_to_one_by_both_ends():
    def stroke(begin_s, end_s):
        return TrueStroke(begin_s, end_s, 0.05, 0.0, 1.0, 1.0, "cheek", "left")

    true = [stroke(1.0, 2.0), stroke(2.1, 3.0), stroke(5.0, 6.0)]
    found = [stroke(2.2, 3.2), stroke(1.1, 2.1), stroke(1.2, 2.2), stroke(5.0, 6.4)]
    pairs, missed, surplus = match_strokes(true, found)
    assert pairs == [(true[0], found[1]), (true[1], found[0])]
    assert missed == [true[2]]
    assert surplus == [found[2], found[3]]


def test_person_holds_still_until_start_and_a_little_longer():
    truth = []
    host = Dialogue(Device(1, on_truth=truth.append))
    host.introduce()
    for _ in range(2):
        assert status_of(host.ask("TARE", 320)) == "OK"  # reads about 4 s of the cell
    waited_s = truth[-1].t_s[-1]
    assert waited_s >= 2 * 320 / (80 * 1.07)
    assert not any(stretch.contact.any() for stretch in truth)
    host.start()
    host.stream(8)
    first_touch_s = next(stretch.t_s[stretch.contact][0] for stretch in truth if stretch.contact.any())
    assert first_touch_s >= waited_s + REST_S


# --- Packets ----------------------------------------------------------------------------------------------------------


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
    host.introduce()
    begin_us = host.start().reply.t_us
    host.stream(10)
    for record in host.records:
        if record.source == "STREAM":
            packet = arrays.decode_packet(record.payload)
            ends_us = [b.offset_us + b.period_us * (len(b.samples) - 1) for b in packet.blocks]
            taken_s = ((packet.t0_us - begin_us) % 2**32 + max(ends_us)) * 1e-6
            assert record.t_s - 0.075 < taken_s <= record.t_s + 0.001


def test_only_the_streams_asked_for_are_sent():
    host = Dialogue(Device(1))
    host.introduce()
    host.start(1 << codec.STREAM_ID["ROLL"])
    host.stream(1)
    sent = {block.stream_id for p in payloads(host.records) for block in arrays.decode_packet(p).blocks}
    assert sent == {codec.STREAM_ID["ROLL"]}


def test_longest_flush_period_fits_too():
    host = Dialogue(Device(1))
    host.introduce()
    host.start(flush_ms=200)
    host.stream(2)
    assert max(map(len, payloads(host.records))) <= reference.MAX_PACKET_B


def test_clock_on_the_wire_wraps():
    host = Dialogue(Device(2))
    host.introduce()
    clock_us = host.ask("TIME_SYNC").reply.t2_us
    host.now_us += 2**32 - clock_us % 2**32 - 1_000_000
    assert host.start().reply.t_us > 2**31
    host.stream(2)
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
    ("NOT_SUPPORTED", codec.encode_request("STREAM_INFO", 1, 0x02)),
    ("BAD_PARAM", codec.encode_request("START", 1, 0, 60, 0)),
    ("BAD_PARAM", codec.encode_request("START", 1, STREAM_MASK | 1 << 2, 60, 0)),
    ("BAD_PARAM", codec.encode_request("START", 1, STREAM_MASK, 19, 0)),
    ("BAD_PARAM", codec.encode_request("START", 1, STREAM_MASK, 201, 0)),
    ("BAD_PARAM", codec.encode_request("START", 1, STREAM_MASK, 60, 1)),
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
    host.device.connected(MTU, 0)
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
    host.stream(1)
    assert host.ask("TIME_SYNC").reply.t2_us - before_us == pytest.approx(1_000_000, rel=1e-4)
    stopped = host.ask("STOP").reply
    assert stopped.last_seq == arrays.decode_packet(payloads(host.records)[-1]).seq
    assert host.start().reply.session_id != started.session_id


def test_start_while_streaming_is_refused_and_changes_nothing():
    host = Dialogue(Device(1))
    host.introduce()
    host.start()
    host.stream(0.5)
    assert status_of(host.start()) == "BAD_STATE"
    host.stream(0.5)
    assert [arrays.decode_packet(p).seq for p in payloads(host.records)] == list(range(16))


def test_start_needs_a_large_mtu_but_other_requests_do_not():
    host = Dialogue(Device(1))
    host.introduce(mtu=23)
    assert status_of(host.start()) == "MTU_TOO_SMALL"
    host.device.mtu_changed(layout.MTU_MIN_STREAM - 1)
    assert status_of(host.start()) == "MTU_TOO_SMALL"
    host.device.mtu_changed(layout.MTU_MIN_STREAM)
    assert status_of(host.start()) == "OK"


def test_tare_of_a_still_roller_finds_the_zero_and_tells_it_in_an_event():
    host = Dialogue(Device(1))
    host.introduce()
    host.start()
    host.stream(1)
    reply = host.ask("TARE", 40).reply
    host.stream(0.2)
    told = [codec.tare_offset(arg, v) for code, arg, v in events_in(host.records) if code == codec.EVENT_CODE["TARE"]]
    assert told == [reply.offset]
    assert abs(reply.offset - host.device._sensors._zero) * reference.N_PER_COUNT < 0.05
    flag = codec.bit(layout.PACKET_FLAGS, "TARE_CHANGED")
    assert sum(bool(arrays.decode_packet(p).flags & flag) for p in payloads(host.records)) == 1


def test_tare_is_unstable_without_enough_readings_and_during_strokes():
    host = Dialogue(Device(1))
    host.introduce()
    host.start()
    host.stream(0.1)
    assert status_of(host.ask("TARE", 80)) == "UNSTABLE"
    host.stream(7.9)
    while not host.device._contact:
        host.stream(0.1)
    assert status_of(host.ask("TARE", 40)) == "UNSTABLE"


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_start_after_several_tares_streams(seed):
    host = Dialogue(Device(seed))
    host.introduce()
    for _ in range(3):
        host.ask("TARE", 320)
    host.start()
    host.stream(1)
    assert len(payloads(host.records)) >= 16


def test_contact_events_alternate():
    made = session(1, 60)
    codes = [code for code, _, _ in events_in(made.records)]
    on, off = codec.EVENT_CODE["CONTACT_ON"], codec.EVENT_CODE["CONTACT_OFF"]
    assert len(codes) > 10
    assert codes == [on, off] * (len(codes) // 2) + [on] * (len(codes) % 2)


def test_disconnect_ends_the_stream():
    host = Dialogue(Device(1))
    host.introduce()
    host.start()
    host.stream(1)
    host.device.disconnected(host.now_us)
    assert host.device.advance(host.now_us + 10_000_000) == []
    assert codec.decode_record("STATUS", host.device.status_payload()).state == 0
    assert status_of(host.ask("STOP")) == "BAD_STATE"
    host.introduce()
    host.start()
    host.stream(1)
    assert len(payloads(host.records)) == 32


VALID = [
    *(codec.encode_request("STREAM_INFO", 1, stream_id) for stream_id in reference.STREAM_INFO),
    codec.encode_request("PING", 1, b"abc"),
    codec.encode_request("START", 1, STREAM_MASK, 60, 0),
    codec.encode_request("STOP", 1),
    codec.encode_request("TIME_SYNC", 1),
    codec.encode_request("TARE", 1, 16),
    codec.encode_request("CAL_READ", 1, 0),
    codec.encode_request("GEOMETRY_READ", 1, 0, 1),
]


@st.composite
def spoilt(draw):
    """A valid request with one byte changed, cut off or added."""
    payload = bytearray(draw(st.sampled_from(VALID)))
    at = draw(st.integers(0, len(payload) - 1))
    match draw(st.sampled_from(["change", "cut", "grow"])):
        case "change":
            payload[at] = draw(st.integers(0, 255))
        case "cut":
            del payload[at:]
        case "grow":
            payload += draw(st.binary(min_size=1, max_size=20))
    return bytes(payload)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(requests=st.lists(st.sampled_from(VALID) | spoilt() | st.binary(max_size=30), min_size=1, max_size=12))
def test_any_bytes_get_a_response_and_never_stop_the_device(requests):
    device = Device(1)
    device.connected(MTU, 0)
    for i, request in enumerate(requests):
        now_us = 30_000 * i
        response = codec.decode_response(device.request(request, now_us))
        assert (response.op, response.tag) == (*request[:2], 0, 0)[:2]
        assert response.status in codec.STATUS_NAME
        for payload in device.advance(now_us + 30_000):
            arrays.decode_packet(payload)


def test_fuzzed_requests_reach_every_operation():
    seen = Counter()

    @settings(deadline=None, max_examples=300, derandomize=True, database=None)
    @given(spoilt())
    def count(request):
        seen[request[0] if request else None] += 1

    count()
    assert set(codec.OP.values()) <= set(seen)
