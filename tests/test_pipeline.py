# SPDX-License-Identifier: MIT
"""Records in, estimates and a summary out: what is learnt, what is counted, and what nothing can upset."""

import json
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sim import Dialogue, joined, run, session, understood

from firmware_protocol import codec, layout, reference
from firmware_protocol.codec import VersionError
from roller_host.pipeline import Pipeline
from roller_host.signal.comfort import Comfort
from roller_host.signal.record import Record
from simulator.firmware.device import Device

SECONDS = 15
MEASURED = ("duration_s", "strokes", "contact_s", "force_mean_n", "force_peak_n", "rate_hz", "cues", "stroke_list")


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Skipped payloads are logged; that is tested where it matters."""
    caplog.set_level(logging.CRITICAL)


def records():
    return list(session(2, SECONDS).records)


def stream_indexes(all_records):
    return [i for i, record in enumerate(all_records) if record.source == "STREAM"]


def with_payload(all_records, i, payload):
    return [*all_records[:i], all_records[i]._replace(payload=payload), *all_records[i + 1 :]]


def inserted(all_records, i, payload, source="STREAM"):
    return [*all_records[:i], all_records[i]._replace(source=source, payload=payload), *all_records[i:]]


def summary_of(all_records):
    return run(all_records)[0].summary()


@pytest.fixture(scope="module")
def untouched():
    return summary_of(records())


def assert_measured_alike(ours, theirs):
    assert {key: ours[key] for key in MEASURED} == {key: theirs[key] for key in MEASURED}


# --- What comes out ---------------------------------------------------------------------------------------------------


def test_summary_adds_up_the_estimates():
    pipeline, estimates = understood(2, SECONDS)
    summary = pipeline.summary()
    contact = joined(estimates, "contact")
    force_n = joined(estimates, "force_n")[contact]
    assert summary["packets"] == len(stream_indexes(records()))
    assert summary["strokes"] == sum(len(one.strokes) for one in estimates) == len(summary["stroke_list"]) > 0
    assert summary["cues"] == sum(len(one.cues) for one in estimates)
    assert summary["contact_s"] == pytest.approx(contact.sum() / summary["rate_hz"], rel=1e-3)
    assert summary["force_mean_n"] == pytest.approx(force_n.mean())
    assert summary["force_peak_n"] == force_n.max()
    assert summary["duration_s"] == pytest.approx(SECONDS, abs=0.1)
    assert sum(summary["contact_s_by_place"].values()) <= summary["contact_s"] + 1e-6
    assert summary["contact_s_by_place"]


def test_a_clean_session_has_nothing_to_complain_about(untouched):
    for key in ("gaps", "lost_packets", "late_packets", "bad_payloads", "unknown_blocks"):
        assert untouched[key] == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rate_is_that_of_the_device(seed):
    made = session(seed, 60)
    assert understood(seed, 60)[0].rate_hz == pytest.approx(made.device.imu_rate_hz, rel=1e-3)


def test_session_time_begins_at_the_first_sample_and_never_goes_back():
    t_s = joined(understood(2, SECONDS)[1], "t_s")
    assert 0 <= t_s[0] < 0.03
    assert_allclose(np.diff(t_s), 1 / session(2, SECONDS).device.imu_rate_hz, atol=2e-5)


def test_same_records_give_the_same_bits(untouched):
    assert json.dumps(summary_of(records())) == json.dumps(untouched)


@pytest.mark.parametrize("n_records", [0, 1, 20, None])
def test_summary_is_json_without_nan(n_records):
    text = json.dumps(summary_of(records()[:n_records]), allow_nan=False)
    assert json.loads(text)["packets"] >= 0


def test_summary_of_strokes_without_a_place_is_json_too():
    all_records = records()
    i_first = next(i for i in stream_indexes(all_records) if all_records[i].t_s > 5)
    massage = [r for i, r in enumerate(all_records) if r.source != "STREAM" or i >= i_first]
    strokes = json.loads(json.dumps(summary_of(massage), allow_nan=False))["stroke_list"]
    assert strokes
    assert all(stroke["outward_deg"] is None for stroke in strokes if not stroke["side"])


def test_nothing_measured_is_null_not_zero():
    summary = Pipeline().summary()
    assert summary["rate_hz"] is None
    assert summary["force_mean_n"] is None
    assert summary["force_peak_n"] is None


# --- Bad payloads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"\x10", b"\xff" * 40, b"not a packet", b"\x20" + bytes(30)])
def test_garbage_between_packets_is_counted_and_changes_nothing(untouched, payload):
    all_records = records()
    pipeline, _ = run(inserted(all_records, stream_indexes(all_records)[50], payload))
    assert pipeline.totals.bad_payloads == 1
    assert pipeline.first_problem is not None
    assert pipeline.totals.gaps == 0
    assert_measured_alike(pipeline.summary(), untouched)


@pytest.mark.parametrize("spoil", [lambda p: p[:-1], lambda p: p[:9], lambda p: bytes([p[0] + 0x10]) + p[1:]])
def test_a_spoilt_packet_is_skipped_and_missing(spoil):
    all_records = records()
    i = stream_indexes(all_records)[50]
    summary = summary_of(with_payload(all_records, i, spoil(all_records[i].payload)))
    assert (summary["bad_payloads"], summary["gaps"], summary["lost_packets"]) == (1, 1, 1)
    assert summary["duration_s"] == pytest.approx(SECONDS, abs=0.1)


def test_a_burst_of_garbage_is_logged_once(caplog):
    caplog.set_level(logging.WARNING)
    pipeline = Pipeline()
    for _ in range(5):
        pipeline.feed(Record(0.0, "STREAM", "in", b"\xff"))
    assert len(caplog.records) == 1
    assert pipeline.totals.bad_payloads == 5


def test_unknown_block_at_the_end_is_counted_and_the_rest_used(untouched):
    all_records = records()
    i = stream_indexes(all_records)[50]
    strange = codec.pack_fields(layout.BLOCK_HEADER, (0x3F, 1, 0, 0)) + b"\1\2\3"
    summary = summary_of(with_payload(all_records, i, all_records[i].payload + strange))
    assert (summary["unknown_blocks"], summary["bad_payloads"], summary["gaps"]) == (1, 0, 0)
    assert_measured_alike(summary, untouched)


def test_info_of_another_major_is_refused():
    info = records()[0]
    other = bytes([layout.PROTOCOL_MAJOR + 1]) + info.payload[1:]
    with pytest.raises(VersionError, match=r"protocol 2\.x"):
        Pipeline().feed(info._replace(payload=other))


def test_info_that_is_too_short_is_only_counted():
    pipeline = Pipeline()
    pipeline.feed(Record(0.0, "INFO", "in", b"\1"))
    assert pipeline.totals.bad_payloads == 1


@pytest.mark.parametrize("direction", ["in", "out"])
def test_control_garbage_is_counted(untouched, direction):
    all_records = [Record(0.0, "CONTROL", direction, b"\x02"), *records()]
    summary = summary_of(all_records)
    assert summary["bad_payloads"] == 1
    assert_measured_alike(summary, untouched)


@pytest.mark.parametrize("payload", [b"", b"\xff" * 30])
def test_status_is_not_the_pipelines_business(untouched, payload):
    assert summary_of([Record(0.0, "STATUS", "in", payload), *records()]) == untouched


@st.composite
def spoilt_session(draw):
    """Six seconds of a session in which some payloads changed, fell short or were repeated."""
    all_records = list(session(2, 6).records)
    for _ in range(draw(st.integers(1, 8))):
        i = draw(st.integers(1, len(all_records) - 1))
        payload = bytearray(all_records[i].payload)
        match draw(st.sampled_from(["change", "change", "cut", "repeat", "noise"])):
            case "change" if payload:
                at = draw(st.integers(0, min(len(payload) - 1, 20)))
                payload[at] = draw(st.integers(0, 255))
            case "cut":
                del payload[draw(st.integers(0, len(payload))) :]
            case "repeat":
                all_records.insert(i, all_records[draw(st.integers(1, len(all_records) - 1))])
                continue
            case _:
                payload = bytearray(draw(st.binary(max_size=40)))
        all_records[i] = all_records[i]._replace(payload=bytes(payload))
    return all_records


@settings(deadline=None, max_examples=25, derandomize=True)
@given(spoilt_session())
def test_no_payload_upsets_the_pipeline(all_records):
    pipeline, estimates = run(all_records)
    json.dumps(pipeline.summary(), allow_nan=False)
    for one in estimates:
        assert np.isfinite(one.force_n).all()


@pytest.mark.parametrize("period_us", [0, 1, 40_000, 65_535])
@pytest.mark.parametrize("n", [0, 50])
def test_a_strange_sample_period_upsets_nothing(period_us, n):
    all_records = list(session(2, 6).records)
    i = stream_indexes(all_records)[n]
    packet = codec.decode_packet(all_records[i].payload)
    blocks = [(b.stream_id, b.offset_us, period_us, b.samples) for b in packet.blocks]
    payload = codec.encode_packet(packet.flags, packet.seq, packet.t0_us, blocks)
    json.dumps(summary_of(with_payload(all_records, i, payload)), allow_nan=False)


# --- Missing and late packets -----------------------------------------------------------------------------------------


def test_lost_packets_are_a_gap_with_the_right_numbers():
    all_records = records()
    indexes = stream_indexes(all_records)
    gone = set(indexes[80:83])
    pipeline, estimates = run([r for i, r in enumerate(all_records) if i not in gone])
    assert (pipeline.totals.gaps, pipeline.totals.lost_packets) == (1, 3)
    assert pipeline.totals.lost_s == pytest.approx(0.180, abs=0.015)
    (gap,) = [gap for one in estimates for gap in one.gaps]
    assert gap.lost_packets == 3
    assert gap.t_s == pytest.approx(80 * 0.06, abs=0.03)
    t_s = joined(estimates, "t_s")
    assert not ((t_s > gap.t_s) & (t_s < gap.t_s + gap.duration_s)).any()
    assert t_s[-1] == pytest.approx(SECONDS, abs=0.1)


def test_gap_does_not_bend_the_rate():
    all_records = records()
    gone = set(stream_indexes(all_records)[80:120])
    pipeline, _ = run([r for i, r in enumerate(all_records) if i not in gone])
    assert pipeline.rate_hz == pytest.approx(session(2, SECONDS).device.imu_rate_hz, rel=1e-3)


def test_every_gap_is_counted():
    all_records = records()
    gone = set(stream_indexes(all_records)[20:200:20])
    pipeline, estimates = run([r for i, r in enumerate(all_records) if i not in gone])
    assert pipeline.totals.gaps == pipeline.totals.lost_packets == len(gone) == sum(len(one.gaps) for one in estimates)


def test_duplicates_and_late_packets_are_counted_and_change_nothing(untouched):
    all_records = records()
    indexes = stream_indexes(all_records)
    doubled = inserted(all_records, indexes[60] + 1, all_records[indexes[60]].payload)
    late = inserted(doubled, indexes[90], all_records[indexes[30]].payload)
    summary = summary_of(late)
    assert summary["late_packets"] == 2
    assert summary["gaps"] == 0
    assert_measured_alike(summary, untouched)


def test_swapped_packets_are_a_gap_and_a_late_one():
    all_records = records()
    i, j = stream_indexes(all_records)[60:62]
    all_records[i], all_records[j] = all_records[j], all_records[i]
    summary = summary_of(all_records)
    assert (summary["gaps"], summary["late_packets"], summary["backfilled_packets"], summary["lost_packets"]) == (
        1,
        1,
        1,
        0,
    )


# --- Clocks -----------------------------------------------------------------------------------------------------------


def comparison(tag, t_s, offset_s=100.0):
    """A TIME_SYNC that took 10 ms each way; the device's clock is so far ahead of the session's."""
    arrived_us = round((t_s + 0.01 + offset_s) * 1e6)
    return [
        Record(t_s, "CONTROL", "out", codec.encode_request("TIME_SYNC", tag)),
        Record(t_s + 0.0202, "CONTROL", "in", codec.encode_response(codec.OP["TIME_SYNC"], tag, 0, arrived_us, 200)),
    ]


def info(boot_id):
    return Record(
        0.0,
        "INFO",
        "in",
        codec.encode_record(
            "INFO", codec.decode_record("INFO", Device(seed=1).info_payload())._replace(boot_id=boot_id)
        ),
    )


def test_the_clock_of_the_device_is_told_by_that_of_the_host():
    pipeline = Pipeline()
    for record in [info(1), *(record for i in range(8) for record in comparison(i, i * 0.537))]:
        pipeline.feed(record)
    told = pipeline.summary()["clock"]
    assert told["offset_s"] == pytest.approx(-100.0, abs=2 * told["offset_sigma_s"] + 0.01)
    assert 0 < told["offset_sigma_s"] < 0.02


def test_a_clock_that_began_anew_is_another_one():
    pipeline = Pipeline()
    for record in [info(1), *comparison(1, 0.0), info(1)]:
        pipeline.feed(record)
    assert pipeline.clock() is not None
    pipeline.feed(info(2))
    assert pipeline.clock() is None
    assert pipeline.summary()["clock"] is None


# --- Learning about the device ----------------------------------------------------------------------------------------


def calibrated(all_records, **changes):
    """The same session with another calibration record in the responses."""
    made = session(2, SECONDS).device.senses.sensors.calibration
    record = codec.encode_record("CALIBRATION", made._replace(**changes))
    halves = {0: record[:16], 1: record[16:]}
    asked = {}
    for record in all_records:
        if record.source == "CONTROL" and record.payload[0] == codec.OP["CAL_READ"] and record.direction == "out":
            request = codec.decode_request(record.payload)
            asked[request.tag] = request.args.page
        if record.source == "CONTROL" and record.direction == "in" and record.payload[1] == codec.OP["CAL_READ"]:
            yield record._replace(payload=record.payload[:4] + halves[asked[record.payload[2]]])
        else:
            yield record


def test_everything_is_learnt_from_the_dialogue():
    pipeline, _ = understood(2, SECONDS)
    assert pipeline.assumed == set()
    ours, theirs = pipeline.model.calibration, session(2, SECONDS).device.senses.sensors.calibration
    assert ours.flags == 1
    assert ours.n_per_count == pytest.approx(theirs.n_per_count)
    assert ours.n_per_count != reference.N_PER_COUNT


def test_sensitivity_of_the_calibration_scales_the_force():
    n_per_count = session(2, SECONDS).device.senses.sensors.calibration.n_per_count
    head = {"head_mass_kg": 0.0}
    _, plain = run(calibrated(records(), **head))
    _, doubled = run(calibrated(records(), n_per_count=2 * n_per_count, **head))
    ours, theirs = (joined(one, "force_n")[300:] for one in (plain, doubled))
    assert np.ptp(ours) > 1
    assert np.median(theirs[ours > 1.0] / ours[ours > 1.0]) == pytest.approx(2.0, rel=0.1)


def test_geometry_scales_the_way():
    all_records = records()
    geometry = codec.encode_record("GEOMETRY", reference.GEOMETRY._replace(roller_radius_m=0.030))
    pages = iter([geometry[:16], geometry[16:]])
    changed = [
        r._replace(payload=r.payload[:4] + next(pages))
        if r.source == "CONTROL" and r.direction == "in" and r.payload[1] == codec.OP["GEOMETRY_READ"]
        else r
        for r in all_records
    ]
    pipeline, estimates = run(changed)
    assert pipeline.model.geometry.roller_radius_m == pytest.approx(0.030)
    ours, theirs = (joined(one, "speed_m_s") for one in (estimates, run(all_records)[1]))
    rolling = np.abs(theirs) > 0.02
    assert np.median(ours[rolling] / theirs[rolling]) == pytest.approx(2, rel=0.01)


def test_scales_of_stream_info_are_used():
    imu = reference.stream_info_reply(codec.STREAM_ID["IMU6"])
    reply = codec.encode_response(codec.OP["STREAM_INFO"], 9, 0, *imu[:4], 2 * imu[4], 3 * imu[5], imu[6])
    pipeline = Pipeline()
    pipeline.feed(Record(0.0, "CONTROL", "in", reply))
    assert pipeline.model.gyro_rad_s_per_count == pytest.approx(2 * reference.GYRO_RAD_S_PER_COUNT)
    assert pipeline.model.acc_m_s2_per_count == pytest.approx(3 * reference.ACC_M_S2_PER_COUNT)
    assert pipeline.assumed == {"CALIBRATION", "GEOMETRY"}


def test_without_a_dialogue_the_reference_device_is_assumed():
    pipeline, _ = run([r for r in records() if r.source == "STREAM"])
    assert pipeline.assumed == {"STREAM_INFO", "CALIBRATION", "GEOMETRY"}
    assert pipeline.model.calibration == reference.CALIBRATION
    assert pipeline.totals.strokes


def test_half_a_record_is_not_believed():
    halves = [r for r in records() if r.source == "CONTROL" and r.payload[r.direction == "in"] == codec.OP["CAL_READ"]]
    pipeline, _ = run(halves[:2])
    assert "CALIBRATION" in pipeline.assumed
    assert pipeline.model.calibration == reference.CALIBRATION


def test_record_with_a_wrong_crc_is_not_believed():
    spoilt = [
        r._replace(payload=r.payload[:4] + bytes(16))
        if r.source == "CONTROL" and r.direction == "in" and r.payload[1] == codec.OP["CAL_READ"]
        else r
        for r in records()
    ]
    pipeline, _ = run(spoilt)
    assert pipeline.assumed == {"CALIBRATION"}
    assert pipeline.totals.bad_payloads == 1


def test_refusals_teach_nothing():
    pipeline = Pipeline()
    for name in ("CAL_READ", "STREAM_INFO", "START"):
        pipeline.feed(Record(0.0, "CONTROL", "in", codec.encode_response(codec.OP[name], 1, 4)))
    assert len(pipeline.assumed) == 3
    assert pipeline.totals.bad_payloads == 0


# --- Several STARTs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restarted():
    """Two streams in one session, with a pause between them."""
    host = Dialogue(Device(4))
    host.connect()
    host.start()
    host.pass_time(6)
    host.ask("STOP")
    host.now_us += 10_000_000
    host.start()
    host.pass_time(6)
    return host.records


def test_second_start_goes_on_with_one_timeline(restarted):
    pipeline, estimates = run(restarted)
    summary = pipeline.summary()
    t_s = joined(estimates, "t_s")
    assert (np.diff(t_s) > 0).all()
    assert np.diff(t_s).max() < 0.1, "the pause is not part of the timeline"
    assert summary["duration_s"] == pytest.approx(12, abs=0.2)
    assert summary["packets"] == 200
    assert (summary["gaps"], summary["late_packets"]) == (0, 0)
    assert summary["rate_hz"] == pytest.approx(Device(4).imu_rate_hz, rel=1e-3)


def test_strokes_and_gaps_of_the_second_stream_lie_on_that_timeline(restarted):
    indexes = stream_indexes(restarted)
    gone = set(indexes[130:132])
    pipeline, estimates = run([r for i, r in enumerate(restarted) if i not in gone])
    (gap,) = [gap for one in estimates for gap in one.gaps]
    assert gap.t_s == pytest.approx(6 + 30 * 0.06, abs=0.1)
    assert any(stroke.begin_s > 6 for stroke in pipeline.totals.strokes)


def test_estimates_of_both_streams_are_those_of_each_alone(restarted):
    starts = [i for i, r in enumerate(restarted) if r.source == "CONTROL" and r.payload[0] == codec.OP["START"]]
    _, both = run(restarted)
    _, second = run(restarted[: starts[0]] + restarted[starts[1] :])
    assert_array_equal(joined(both, "comfort")[-len(joined(second, "comfort")) :], joined(second, "comfort"))


def test_events_are_not_taken_for_samples(untouched):
    without, n_events = [], 0
    for record in records():
        payload = record.payload
        if record.source == "STREAM":
            packet = codec.decode_packet(payload)
            blocks = [block for block in packet.blocks if block.stream_id != codec.STREAM_ID["EVENT"]]
            n_events += len(packet.blocks) - len(blocks)
            payload = codec.encode_packet(packet.flags, packet.seq, packet.t0_us, blocks)
        without.append(record._replace(payload=payload))
    assert n_events > 0
    assert_measured_alike(summary_of(without), untouched)


def test_a_device_without_an_encoder_is_named_as_what_it_lacks():
    packet = codec.encode_packet(0, 0, 0, [(codec.STREAM_ID["IMU6"], 0, 10_000, [(0, 0, 0, 0, 8197, 0)] * 6)])
    pipeline, _ = run([Record(0.0, "STREAM", "in", packet)])
    assert pipeline.summary()["missing_streams"] == ["ROLL", "FORCE_RAW"]


def test_a_short_gap_keeps_the_place_and_clears_the_state():
    made = session(2, 60)
    streams = [i for i, record in enumerate(made.records) if record.source == "STREAM"]
    lost = streams[len(streams) // 3]
    pipeline, estimates = run(made.records[:lost] + made.records[lost + 1 :])
    cues = [cue for one in estimates for cue in one.cues]
    gap_s = next(gap.t_s for one in estimates for gap in one.gaps)
    stale = [i for i, cue in enumerate(cues) if cue.comfort is Comfort.STALE]
    assert [cues[i].t_s for i in stale] == [gap_s]
    assert cues[stale[0] + 1].before is Comfort.STALE
    after = [stroke for stroke in pipeline.totals.strokes if stroke.begin_s > gap_s]
    assert len(after) > 5
    assert all(stroke.zone for stroke in after[1:])


def test_the_same_nonsense_is_told_once_however_often_it_comes(caplog):
    caplog.set_level(logging.WARNING)
    good = session(2, 15).records
    mixed = [one for record in good[-40:] for one in (record, Record(0.0, "STREAM", "in", b"\x10\x00"))]
    run(mixed)
    assert len(caplog.records) == 1


def test_an_encoder_that_falls_silent_is_not_waited_for_for_ever():
    """After some seconds without ROLL strokes come from motion alone, and nothing piles up."""

    def without_roll(record):
        packet = codec.decode_packet(record.payload)
        blocks = [tuple(block) for block in packet.blocks if block.stream_id != codec.STREAM_ID["ROLL"]]
        return record._replace(payload=codec.encode_packet(packet.flags, packet.seq, packet.t0_us, blocks))

    n_streamed, changed = 0, []
    for record in session(2, 40.0).records:
        n_streamed += record.source == "STREAM"
        changed.append(without_roll(record) if record.source == "STREAM" and n_streamed > 200 else record)
    pipeline, estimates = run(changed)
    t_s = joined(estimates, "t_s")
    assert t_s[-1] > 38
    assert len(t_s) > 0.98 * 104 * 38
    late = [stroke for stroke in pipeline.totals.strokes if stroke.begin_s > 20]
    assert late
    assert all(np.isnan(stroke.length_m) for stroke in late)
    assert pipeline.totals.strokes[0].length_m > 0.02


# --- Button and moment ------------------------------------------------------------------------------------------------


def test_presses_of_the_button_come_with_the_estimates_at_their_time():
    device = Device(2)
    host = Dialogue(device)
    host.connect()
    host.start()
    begin_us = host.now_us
    for seconds in (3.0, 1.03):
        host.pass_time(seconds)
        device.press(0.2, host.now_us)
    pressed_s = [(3.0), (4.02)]
    host.pass_time(1.0)
    _, estimates = run(host.records)
    presses_s = [press_s for one in estimates for press_s in one.presses_s]
    assert begin_us >= 0
    assert presses_s == pytest.approx(pressed_s, abs=0.02)


def test_dose_is_force_times_contact_time_by_place():
    pipeline, estimates = understood(2, SECONDS)
    places = np.concatenate([one.places for one in estimates])
    force_n, contact = joined(estimates, "force_n"), joined(estimates, "contact")
    known = contact & (places >= 0)
    doses = pipeline.summary()["dose_n_s"]
    assert sum(doses.values()) == pytest.approx(force_n[known].sum() / pipeline.rate_hz, rel=1e-3)
    assert set(doses) == set(pipeline.summary()["contact_s_by_place"])


def test_session_time_of_a_stamp_is_not_known_before_clocks_were_compared():
    assert Pipeline().session_s(1.0) is None
