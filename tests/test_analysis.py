# SPDX-License-Identifier: MIT
"""`analyse`: late packets in their places, the live numbers where nothing was lost, tables that are whole or absent."""

import csv
import itertools
import json
import logging
import math
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sim import Dialogue, joined, run, session, understood

from firmware_protocol import arrays, codec, layout
from roller_host import cli
from roller_host.analysis import analyse
from roller_host.export import EVENT_COLUMNS, FILES, SAMPLE_COLUMNS, STROKE_COLUMNS, export, summarise
from roller_host.intake import LIVE, OFFLINE_LOG, Opened, open_file
from roller_host.sessions.capture import header_line, record_line
from roller_host.sessions.errors import SessionError
from roller_host.sessions.source import params_json
from roller_host.sessions.store import Recorder
from roller_host.signal.comfort import Band
from roller_host.signal.core import SignalParams
from roller_host.signal.record import Record
from roller_host.signal.timebase import TimebaseState, lay_out, new_beginnings, timebase_step
from simulator import generate
from simulator.firmware.device import Device

ROOT = Path(__file__).parent.parent
SECONDS = 60
COLUMNS = ("t_s", "force_n", "force_sigma_n", "contact", "speed_m_s", "direction_deg", "comfort", "places")
LAST = codec.bit(layout.PACKET_FLAGS, "LAST")


def analysed(records, params=None):
    return analyse(Opened(Path("a.jsonl"), iter(records), params or SignalParams(), "this test"))


def column(analysis, name):
    """One array of the estimates of all sessions."""
    return joined([part.estimates for one in analysis.sessions for part in one.parts], name)


def strokes(analysis):
    return [stroke for one in analysis.sessions for stroke in one.strokes]


def assert_same_strokes(ours, theirs):
    # Not `==`: what is not known is NaN.
    assert repr(list(ours)) == repr(list(theirs))


def assert_equal_to_live(analysis, pipeline, estimates):
    for name in COLUMNS:
        assert_array_equal(column(analysis, name), joined(estimates, name), err_msg=name)
    # As decided at their ends; what comes after may change what is reported.
    decided = [stroke for one in analysis.sessions for part in one.parts for stroke in part.estimates.strokes]
    assert_same_strokes(decided, pipeline.totals.strokes)
    cues = [cue for one in analysis.sessions for cue in one.cues]
    assert repr(cues) == repr([cue for one in estimates for cue in one.cues])
    gaps = [gap for one in analysis.sessions for gap in one.gaps]
    assert gaps == [gap for one in estimates for gap in one.gaps]


def stream_indexes(records):
    return [i for i, record in enumerate(records) if record.source == "STREAM"]


def resent(payload, last=False):
    return bytes([layout.PTYPE_BACKFILL, payload[1] | (LAST if last else 0)]) + payload[2:]


def backfilled(records, first, last, behind):
    """The same session in which packets ``first`` to ``last`` came later, between live ones, from ``behind`` on."""
    indexes = stream_indexes(records)
    late = [records[i] for i in indexes[first : last + 1]]
    late = [one._replace(payload=resent(one.payload, one is late[-1])) for one in late]
    gone = set(indexes[first : last + 1])
    kept = [record for i, record in enumerate(records) if i not in gone]
    at = stream_indexes(kept)[behind - len(late)]
    mixed = [one for pair in itertools.zip_longest(kept[at:], late) for one in pair if one is not None]
    return kept[:at] + mixed


@cache
def untouched():
    return analysed(session(2, SECONDS).records)


# --- All packets of a session on one timeline -------------------------------------------------------------------------


def laid(packets, **options):
    """Layout of (seq, t0_us) pairs, each of which spans 60 ms."""
    seq, t0_us = np.array(packets, np.int64).reshape(-1, 2).T
    return lay_out(
        seq.astype(np.uint32), (t0_us % 2**32).astype(np.uint32), np.full(len(seq), 60_000, np.int64), **options
    )


def regular(*numbers, start_us=0):
    return [(n, start_us + 60_000 * n) for n in numbers]


def test_late_packets_stand_where_they_belong():
    found = laid(regular(0, 1, 4, 5, 2, 6, 3, 7))
    assert found.packet.tolist() == [0, 1, 4, 6, 2, 3, 5, 7]
    assert found.t0_us.tolist() == [60_000 * n for n in range(8)]
    assert found.gaps == ()
    assert found.n_late == 2


@pytest.mark.parametrize("from_start", [False, True])
@pytest.mark.parametrize("start_us", [0, 2**32 - 100_000])
@pytest.mark.parametrize("numbers", [(0, 1, 2, 3), (3, 4, 9, 5, 12), (7,)])
def test_packets_in_step_are_laid_out_as_they_are_one_by_one(numbers, start_us, from_start):
    packets = regular(*numbers, start_us=start_us)
    placed = stepwise(sorted(packets), from_start=from_start)
    found = laid(packets, from_start=from_start)
    assert found.t0_us.tolist() == [one.t0_us for one in placed]
    assert found.gaps == tuple((i, one.gap) for i, one in enumerate(placed) if one.gap)
    # A duplicate changes nothing; with it packets are placed one at a time.
    again = laid([*packets, packets[0]], from_start=from_start)
    assert (again.t0_us.tolist(), again.gaps, again.n_late) == (found.t0_us.tolist(), found.gaps, found.n_late)
    assert again.n_duplicates == 1


def test_what_is_still_missing_is_a_gap():
    found = laid(regular(0, 1, 6, 7, 3))
    assert [(i, gap.lost_packets) for i, gap in found.gaps] == [(2, 1), (3, 2)]
    assert [gap.duration_s for _, gap in found.gaps] == pytest.approx([0.06, 0.12])


def test_duplicates_are_left_out_and_counted():
    found = laid(regular(0, 1, 1, 2, 0, 2))
    assert found.packet.tolist() == [0, 1, 3]
    assert (found.n_duplicates, found.n_late, found.n_contradictions) == (3, 0, 0)


def test_packets_that_contradict_their_neighbours_are_left_out():
    found = laid([*regular(0, 1, 2), (3_000_000_000, 7), *regular(3), (4, 2**31), *regular(4, 5), (900_000, 5)])
    assert found.t0_us.tolist() == [60_000 * n for n in range(6)]
    assert (found.n_contradictions, found.gaps) == (3, ())


def test_wrong_numbers_that_agree_on_nothing_are_no_new_clock():
    wrong = [(1_000_000 * n, (n * 2_654_435_761) % 2**32) for n in range(1000, 1008)]
    assert laid([*regular(*range(9)), *wrong]).t0_us.tolist() == [60_000 * n for n in range(9)]


def test_a_late_packet_may_lie_on_the_other_side_of_the_clocks_wrap():
    found = laid(regular(0, 1, 4, 5, 2, 3, start_us=2**32 - 150_000))
    assert found.t0_us.tolist() == [60_000 * n for n in range(6)]


def test_packets_lost_right_after_start_are_a_gap_unless_they_come_later():
    assert [gap.lost_packets for _, gap in laid(regular(2, 3), from_start=True).gaps] == [2]
    assert laid(regular(2, 3, 0, 1), from_start=True).gaps == ()
    assert laid(regular(2, 3)).gaps == ()


def test_no_packets_are_no_layout():
    found = laid([])
    assert (len(found.packet), found.gaps, found.n_late) == (0, (), 0)


def stepwise(packets, **options):
    state, placed = TimebaseState(**options), []
    for seq, t0_us in packets:
        block = arrays.Block(1, 0, 10_000, np.zeros((6, 6), np.int32))
        where, state = timebase_step(state, arrays.Packet(0x10, 0, seq, t0_us % 2**32, (block,), None))
        placed.append(where)
    return placed


@st.composite
def streams(draw):
    """Numbers and clocks in rising order, with losses, jumps of the clock and wrong clocks."""
    packets, t0_us, seq = [], draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 3))
    for _ in range(draw(st.integers(1, 30))):
        kind = draw(st.sampled_from(["next"] * 6 + ["lost", "jump", "wrong"]))
        n = draw(st.integers(2, 50)) if kind == "lost" else 1
        seq, t0_us = seq + n, t0_us + 60_000 * n + draw(st.integers(-50, 50))
        t0_us += draw(st.integers(10**9, 2 * 10**9)) if kind == "jump" else 0
        packets.append((seq, draw(st.integers(0, 2**32 - 1)) if kind == "wrong" else t0_us))
    return packets


@settings(deadline=None, max_examples=200, derandomize=True)
@given(streams(), st.randoms(use_true_random=False), st.booleans())
def test_layout_is_that_of_the_live_step_whatever_the_order_of_arrival(packets, random, from_start):
    live = stepwise(packets, from_start=from_start)
    order = list(range(len(packets)))
    random.shuffle(order)
    found = laid([packets[i] for i in order], from_start=from_start)
    used = [i for i, where in enumerate(live) if where]
    assert [order[i] for i in found.packet.tolist()] == used
    assert found.t0_us.tolist() == [live[i].t0_us for i in used]
    assert dict(found.gaps) == {n: live[i].gap for n, i in enumerate(used) if live[i].gap}
    assert found.n_contradictions == len(packets) - len(used)


@pytest.mark.parametrize(
    ("numbers", "beginnings"),
    [
        ([*range(300)], []),
        ([*range(300), *range(50)], [300]),
        ([*range(200), *range(150), *range(10)], [200, 350]),
        ([*range(150), 10, *range(150, 300)], []),
        ([*range(150), 4_000_000_000, *range(150, 300)], []),
        ([*range(100, 200), *range(110, 160), *range(200, 300)], []),
        ([5, 4], []),
    ],
)
def test_new_sessions_are_told_by_their_numbers(numbers, beginnings):
    assert new_beginnings(np.array(numbers, np.uint32)).tolist() == beginnings


# --- Equal to live ----------------------------------------------------------------------------------------------------


def test_without_loss_the_estimates_are_those_of_the_live_session_bit_for_bit():
    assert_equal_to_live(untouched(), *understood(2, SECONDS))
    assert len(strokes(untouched())) > 20


def test_blocks_may_have_any_length(monkeypatch):
    monkeypatch.setattr("roller_host.analysis.AT_ONCE", 97)
    found = analysed(session(2, SECONDS).records)
    assert len(found.sessions[0].parts) > 5
    assert_equal_to_live(found, *understood(2, SECONDS))


def test_with_losses_and_nothing_late_they_are_those_of_the_live_session_too():
    records = session(2, SECONDS).records
    indexes = stream_indexes(records)
    gone = {*indexes[100:103], indexes[300], *indexes[500:560]}
    rest = [record for i, record in enumerate(records) if i not in gone]
    found = analysed(rest)
    assert [gap.lost_packets for gap in found.sessions[0].gaps] == [3, 1, 60]
    assert_equal_to_live(found, *run(rest))
    assert found.sessions[0].rate_hz == pytest.approx(run(rest)[0].rate_hz, rel=1e-9)


def test_packets_lost_right_after_start_are_missing_as_live():
    records = session(2, 12).records
    gone = set(stream_indexes(records)[:3])
    rest = [record for i, record in enumerate(records) if i not in gone]
    found = analysed(rest)
    assert [gap.lost_packets for gap in found.sessions[0].gaps] == [3]
    assert_equal_to_live(found, *run(rest))


def test_only_the_first_block_behind_a_gap_is_marked(monkeypatch):
    monkeypatch.setattr("roller_host.analysis.AT_ONCE", 50)
    records = session(2, 12).records
    gone = set(stream_indexes(records)[80:82])
    parts = analysed([record for i, record in enumerate(records) if i not in gone]).sessions[0].parts
    assert [part.after_gap for part in parts] == [False, False, True, False, False]


def test_a_device_without_an_encoder_is_analysed_as_live():
    host = Dialogue(Device(6))
    host.connect()
    host.start(streams=("IMU6", "FORCE_RAW", "EVENT"))
    host.pass_time(15)
    found = analysed(host.records)
    assert found.sessions[0].missing_streams == ("ROLL",)
    assert column(found, "contact").any()
    assert_equal_to_live(found, *run(host.records))


def test_with_everything_backfilled_they_are_those_of_a_session_without_loss():
    records = session(2, SECONDS).records
    late = backfilled(backfilled(records, 100, 180, 300), 400, 401, 700)
    found = analysed(late)
    assert_equal_to_live(found, *understood(2, SECONDS))
    assert (found.sessions[0].late_packets, found.sessions[0].duplicates) == (83, 0)
    pipeline, _ = run(late)
    assert pipeline.totals.gaps > 0, "live, nobody waits for late packets"


def test_a_link_that_was_lost_and_resumed_leaves_no_trace():
    def massage(away_s):
        host = Dialogue(Device(5))
        host.connect()
        host.start(linger_s=60)
        host.pass_time(10)
        if away_s:
            host.lose(away_s)
            host.resume()
        host.pass_time(20 - away_s)
        return analysed(host.records)

    ours, theirs = massage(4), massage(0)
    assert ours.sessions[0].late_packets > 50
    assert ours.sessions[0].gaps == ()
    n = min(len(column(ours, "t_s")), len(column(theirs, "t_s")))
    assert n > 3000
    for name in COLUMNS:
        assert_array_equal(column(ours, name)[:n], column(theirs, name)[:n])


def test_half_a_backfill_leaves_the_other_half_a_gap():
    late = backfilled(session(2, SECONDS).records, 100, 119, 300)
    resent_indexes = [i for i in stream_indexes(late) if late[i].payload[0] == layout.PTYPE_BACKFILL]
    gone = set(resent_indexes[10:])
    found = analysed([record for i, record in enumerate(late) if i not in gone]).sessions[0]
    assert [gap.lost_packets for gap in found.gaps] == [10]
    t_s = column(untouched(), "t_s")
    (gap,) = found.gaps
    assert not any(gap.t_s < t < gap.t_s + gap.duration_s - 0.01 for part in found.parts for t in part.samples.t_s)
    assert [part.after_gap for part in found.parts] == [False, True]
    assert found.parts[-1].samples.t_s[-1] == t_s[-1]


def test_rate_is_the_live_one():
    assert untouched().sessions[0].rate_hz == pytest.approx(understood(2, SECONDS)[0].rate_hz, rel=1e-9)


# --- Several sessions -------------------------------------------------------------------------------------------------


@cache
def restarted():
    """Two streams in one file, with a pause between them."""
    host = Dialogue(Device(4))
    host.connect()
    host.start()
    host.pass_time(9)
    host.ask("STOP")
    host.now_us += 10_000_000
    host.start()
    host.pass_time(8)
    return tuple(host.records)


def test_every_start_is_a_session_on_one_timeline():
    found = analysed(restarted())
    assert [one.source for one in found.sessions] == [LIVE, LIVE]
    assert [one.end_s - one.begin_s for one in found.sessions] == pytest.approx([9, 8], abs=0.1)
    assert_equal_to_live(found, *run(restarted()))


def test_a_restart_of_the_device_is_another_session():
    device = Device(8)
    host = Dialogue(device)
    host.connect()
    host.start(linger_s=60)
    host.pass_time(8)
    device.reboot(host.now_us)
    host.lose(3.0)
    host.resume()
    host.pass_time(8)
    found = analysed(host.records)
    assert [one.packets for one in found.sessions] == [133, 133]
    assert_equal_to_live(found, *run(host.records))


def answered_late(records, n_packets):
    """The same, but each response to START comes behind the first packets of its session."""
    waiting, changed = [], []
    for record in records:
        if record[1:3] == ("CONTROL", "in") and record.payload[1] == codec.OP["START"]:
            waiting = [record]
            continue
        changed.append(record)
        if waiting and record.source == "STREAM" and int.from_bytes(record.payload[2:6], "little") == n_packets - 1:
            changed += waiting
            waiting = []
    return changed


@pytest.mark.parametrize("n_packets", [1, 16])
def test_packets_faster_than_the_response_to_start_are_of_its_session(n_packets):
    records = answered_late(restarted(), n_packets)
    assert records != list(restarted())
    # Neighbours of what is missing are sent again too, though they are here.
    records.append(records[-1]._replace(payload=resent(restarted()[stream_indexes(restarted())[150]].payload)))
    found = analysed(records)
    assert [one.packets for one in found.sessions] == [150, 134]
    assert [(len(one.gaps), one.duplicates) for one in found.sessions] == [(0, 0), (0, 1)]
    assert_array_equal(column(found, "force_n"), column(analysed(restarted()), "force_n"))


def test_sessions_without_a_start_are_told_apart_by_their_numbers():
    streamed = [record for record in restarted() if record.source == "STREAM"]
    found = analysed(streamed)
    assert [one.packets for one in found.sessions] == [150, 133]
    assert [len(one.gaps) for one in found.sessions] == [0, 0]
    assert (np.diff(column(found, "t_s")) > 0).all()


@cache
def with_log():
    """A recording without a host, fetched twice, and a live session after it."""
    device = Device(7)
    host = Dialogue(device)
    host.now_us = 60_000_000
    generate.record_alone(device, 12.0, 30_000_000)
    generate.record_alone(device, 20.0, 60_000_000)
    host.connect()
    log = host.ask("LOG_INFO").reply
    host.ask("LOG_READ", log.first, 100)
    host.pass_time(5)
    host.fetch_log()
    host.start()
    host.pass_time(10)
    return tuple(host.records)


def test_what_was_recorded_without_a_host_is_analysed_as_sessions_of_its_own():
    found = analysed(with_log())
    assert [one.source for one in found.sessions] == [LIVE, OFFLINE_LOG, OFFLINE_LOG]
    assert [one.end_s - one.begin_s for one in found.sessions] == pytest.approx([10, 12, 20], abs=0.2)
    assert [one.duplicates for one in found.sessions] == [0, 100, 0]
    assert all(one.strokes and not one.gaps for one in found.sessions)
    assert (np.diff(column(found, "t_s")) > 0).all()


def test_the_live_part_of_a_file_with_a_log_is_that_of_the_live_session():
    _, estimates = run(with_log())
    (live, *_) = analysed(with_log()).sessions
    assert_array_equal(joined([part.estimates for part in live.parts], "force_n"), joined(estimates, "force_n"))


def test_what_is_learnt_late_holds_for_the_whole_session():
    records = session(2, SECONDS).records
    control = [record for record in records if record.source == "CONTROL" and record.payload[0] != codec.OP["START"]]
    streamed = [record for record in records if record.source == "STREAM"]
    found = analysed([*streamed, *control])
    assert found.assumed == ()
    assert_array_equal(column(found, "force_n"), column(untouched(), "force_n"))


# --- Bad input --------------------------------------------------------------------------------------------------------


def test_bad_payloads_are_counted_by_reason():
    records = list(session(2, SECONDS).records)
    at = stream_indexes(records)[50]
    noise = [Record(0.0, "STREAM", "in", b"\xff\xff"), Record(0.0, "STREAM", "in", records[at].payload[:-1])]
    found = analysed([*records[:at], *noise, *records[at:], Record(0.0, "CONTROL", "in", b"\x02")])
    (one,) = found.sessions
    assert sum(one.bad_payloads.values()) == 2
    assert len(one.bad_payloads) == 2
    assert found.bad_requests == 1
    assert_array_equal(column(found, "force_n"), column(untouched(), "force_n"))


@st.composite
def spoilt(draw):
    """Twelve seconds in which some payloads changed, fell short, were repeated, moved or left out."""
    records = list(session(2, 12).records)
    for _ in range(draw(st.integers(1, 8))):
        i = draw(st.integers(1, len(records) - 1))
        payload = bytearray(records[i].payload)
        match draw(st.sampled_from(["change", "change", "cut", "repeat", "lose", "move"])):
            case "change" if payload:
                payload[draw(st.integers(0, min(len(payload) - 1, 20)))] = draw(st.integers(0, 255))
                records[i] = records[i]._replace(payload=bytes(payload))
            case "cut":
                records[i] = records[i]._replace(payload=bytes(payload[: draw(st.integers(0, len(payload)))]))
            case "repeat":
                records.insert(draw(st.integers(1, len(records))), records[i])
            case "lose":
                del records[i]
            case _:
                records.insert(draw(st.integers(1, len(records) - 1)), records.pop(i))
    return records


@settings(deadline=None, max_examples=25, derandomize=True)
@given(spoilt())
def test_no_payload_upsets_an_analysis(records):
    logging.disable(logging.WARNING)
    try:
        found = analysed(records)
    finally:
        logging.disable(logging.NOTSET)
    opened = Opened(Path("a.jsonl"), iter(()), found.params, "this test")
    json.dumps(summarise(found, opened), allow_nan=False)
    assert np.isfinite(column(found, "force_n")).all()


def test_a_device_that_sends_nothing_usable_has_no_estimates_but_a_summary():
    packet = codec.encode_packet(0, 0, 0, [(codec.STREAM_ID["IMU6"], 0, 10_000, [(0, 0, 0, 0, 8197, 0)] * 6)])
    found = analysed([Record(0.0, "STREAM", "in", packet)])
    summary = summarise(found, Opened(Path("a.jsonl"), iter(()), found.params, "this test"))
    assert summary["missing_streams"] == ["ROLL", "FORCE_RAW"]
    assert (summary["packets"], summary["strokes"], summary["force_mean_n"]) == (1, 0, None)


# --- Files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("capture") / "a.jsonl"
    path.write_text("\n".join([header_line(), *map(record_line, session(2, SECONDS).records)]) + "\n")
    return path


@pytest.fixture
def recording(tmp_path):
    """A recording with thresholds of the person's own."""
    path = tmp_path / "a.sqlite"
    params = SignalParams(bands={("cheek", "left"): Band(0.5, 1.0, 1.5, 8.0)})
    recorder = Recorder(path, {"params": params_json(params)}, pytest.fail)
    for one in session(2, SECONDS).records:
        recorder.record(one)
    recorder.close({"strokes": 1})
    return path


def change(path, statement, *values):
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement, values)
        db.commit()


def run_analyse(capsys, *arguments):
    """Run the command in this process: exit code, stdout, stderr."""
    code = cli.main(["analyse", *map(str, arguments)])
    return (code, *capsys.readouterr())


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder of an analysis with a gap and late packets in it, and that analysis."""
    late = backfilled(session(2, SECONDS).records, 100, 180, 300)
    gone = set(stream_indexes(late)[600:620])
    found = analysed([record for i, record in enumerate(late) if i not in gone])
    folder = tmp_path_factory.mktemp("out") / "results"
    export(found, summarise(found, Opened(Path("a.jsonl"), iter(()), found.params, "this test")), folder)
    return folder, found


def test_all_files_are_there_and_nothing_else(written):
    assert sorted(path.name for path in written[0].iterdir()) == sorted(FILES)


def test_samples_are_the_estimates(written):
    folder, found = written
    table = rows(folder / "samples.csv")
    assert list(table[0]) == [name for name, *_ in SAMPLE_COLUMNS]
    assert len(table) == len(column(found, "t_s"))
    for name, places in (("t_s", 6), ("force_n", 4), ("force_sigma_n", 4), ("speed_m_s", 4), ("direction_deg", 2)):
        written_column = np.array([float(row[name] or "nan") for row in table])
        assert_allclose(written_column, column(found, name), atol=0.51 * 10.0**-places)
    assert [row["contact"] == "1" for row in table] == column(found, "contact").tolist()
    assert {row["comfort"] for row in table} >= {"no_contact", "comfortable"}
    assert all((row["zone"] != "") == (place >= 0) for row, place in zip(table, column(found, "places"), strict=True))


def test_a_gap_is_marked_at_the_sample_behind_it_and_listed(written):
    folder, _ = written
    table = rows(folder / "samples.csv")
    (behind,) = [float(row["t_s"]) for row in table if row["gap_before"] == "1"]
    (gap,) = [row for row in rows(folder / "events.csv") if row["event"] == "gap"]
    assert int(gap["lost_packets"]) == 20
    assert float(gap["t_s"]) + float(gap["duration_s"]) == pytest.approx(behind, abs=0.02)


def test_strokes_are_those_found(written):
    folder, found = written
    table = rows(folder / "strokes.csv")
    assert list(table[0]) == list(STROKE_COLUMNS)
    assert len(table) == len(strokes(found)) > 20
    for row, stroke in zip(table, strokes(found), strict=True):
        assert float(row["begin_s"]) == pytest.approx(stroke.begin_s, abs=1e-4)
        assert float(row["length_m"]) == pytest.approx(stroke.length_m, abs=1e-5)
        assert (row["zone"], row["side"]) == (stroke.zone, stroke.side)


def test_events_are_in_order_and_explain_themselves(written):
    folder, found = written
    table = rows(folder / "events.csv")
    assert list(table[0]) == [name for name, *_ in EVENT_COLUMNS]
    assert {row["event"] for row in table} == {"begin", "gap", "cue", "device"}
    assert [float(row["t_s"]) for row in table] == sorted(float(row["t_s"]) for row in table)
    cues = [row for row in table if row["event"] == "cue"]
    assert len(cues) == len(found.sessions[0].cues)
    assert all(row["rule"] for row in cues)
    assert {row["detail"] for row in table if row["event"] == "device"} >= {"CONTACT_ON", "CONTACT_OFF"}


def test_units_are_in_the_names_of_the_columns():
    units = {"s": "_s", "N": "_n", "m/s": "_m_s", "deg": "_deg", "rad": "_rad"}
    for name, unit, _ in (*SAMPLE_COLUMNS, *EVENT_COLUMNS):
        assert name.endswith(units[unit]) if unit in units else unit in ("-", "0 or 1"), name


def test_the_summary_says_what_was_done_and_assumed(written):
    folder, found = written
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert (summary["packets"], summary["late_packets"], summary["gaps"], summary["lost_packets"]) == (980, 81, 1, 20)
    assert summary["strokes"] == len(strokes(found)) == summary["measures"]["total"]["passes"]
    assert summary["assumed"] == []
    assert {"roller-host", "numpy", "scipy", "vqf"} <= set(summary["made_with"])
    assert len(summary["thresholds"]) == 16
    assert "starting point" in summary["thresholds"]["unknown place"]["from"]
    assert {"force", "comfort", "strokes", "zones", "measures"} <= set(summary["parameters"])
    assert summary["measures"]["observed_s"] == pytest.approx(SECONDS - 1.2, abs=0.2)


def test_numbers_that_are_none_are_null_in_the_summary(written):
    _, found = written
    (one,) = found.sessions
    calibration = one.model.calibration._replace(n_per_count=math.nan, max_force_n=math.inf)
    strange = replace(found, sessions=(replace(one, model=replace(one.model, calibration=calibration)),))
    summary = summarise(strange, Opened(Path("a.jsonl"), iter(()), found.params, "this test"))
    said = json.loads(json.dumps(summary, allow_nan=False))["sessions"][0]["calibration"]
    assert said["n_per_count"] is said["max_force_n"] is None


def test_the_page_describes_every_column():
    page = (ROOT / "docs" / "recordings.md").read_text(encoding="utf-8")
    for name, columns in (("samples", SAMPLE_COLUMNS), ("events", EVENT_COLUMNS)):
        text = page.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
        assert re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", text, flags=re.MULTILINE) == list(columns)


def test_a_recording_is_analysed_with_its_own_thresholds(recording, tmp_path, capsys):
    code, out, err = run_analyse(capsys, recording, "--out", tmp_path / "out", "--json")
    assert (code, err, len(out.splitlines())) == (0, "", 1)
    result = json.loads(out)
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) | {"out": result["out"]} == result
    assert result["thresholds"]["left cheek"] == {
        "low_n": 0.5, "firm_n": 1.0, "limit_n": 1.5, "ceiling_n": 8.0, "from": "personal"
    }  # fmt: skip
    assert result["parameters_from"] == "the recording"


def test_a_capture_is_analysed_and_the_report_is_for_people(capture, tmp_path, capsys):
    code, out, err = run_analyse(capsys, capture, "--out", tmp_path / "new" / "out")
    assert (code, err) == (0, "")
    assert f"{len(strokes(untouched()))} strokes in" in out
    assert "0 gaps" in out
    assert str(tmp_path / "new" / "out") in out


@pytest.mark.parametrize(
    "damage",
    ["UPDATE estimates SET value = 'no json'", "DROP TABLE estimates", "DELETE FROM estimates"],
)
def test_the_stored_summary_is_not_needed(recording, damage):
    change(recording, damage)
    found = analyse(opened := open_file(recording))
    assert opened.params_source == "the recording"
    assert opened.params.bands
    assert_array_equal(column(found, "force_n"), column(untouched(), "force_n"))


def test_parameters_of_another_version_are_replaced_but_for_the_thresholds(recording, tmp_path, capsys):
    strange = json.dumps({"magic": 7, "bands": [["cheek", "left", 0.5, 1.0, 1.5, 8.0]]})
    change(recording, "UPDATE meta SET value = ? WHERE key = 'params'", strange)
    assert open_file(recording).params == SignalParams(bands={("cheek", "left"): Band(0.5, 1.0, 1.5, 8.0)})
    code, _, err = run_analyse(capsys, recording, "--out", tmp_path / "out")
    assert code == 0
    assert "defaults of this version" in err


@pytest.mark.parametrize(
    "text", ["", "[]", '{"bands": [["cheek", "left", 1]]}', '{"bands": [["a", "b", NaN, 1, 1, 1]]}']
)
def test_without_readable_parameters_the_defaults_are_used(recording, text):
    change(recording, "UPDATE meta SET value = ? WHERE key = 'params'", text)
    assert open_file(recording).params == SignalParams()


@pytest.mark.parametrize("statement", ["PRAGMA application_id = 5", "PRAGMA user_version = 99", "DROP TABLE meta"])
def test_what_is_no_recording_of_ours_is_refused(recording, statement):
    change(recording, statement)
    with pytest.raises(SessionError):
        open_file(recording)


def test_what_stands_before_damage_is_analysed_and_the_damage_is_said(capture, tmp_path, capsys):
    lines = capture.read_text().splitlines()
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join([*lines[:800], "{broken", *lines[800:]]))
    code, out, err = run_analyse(capsys, path, "--out", tmp_path / "out", "--json")
    assert code == 2
    assert "line 801" in err
    assert json.loads(out)["error"] in err
    assert "line 801" in json.loads((tmp_path / "out" / "summary.json").read_text())["problem"]
    assert len(rows(tmp_path / "out" / "strokes.csv")) > 10


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (None, 2, "there is no file"),
        ("cat", 2, "neither a recording nor a capture"),
        (header_line(), 2, "no STREAM payload"),
        ("\n".join([header_line(), record_line(Record(0.0, "STREAM", "in", b"\x11"))]), 2, "could be analysed"),
        ("\n".join([header_line(), record_line(Record(0.0, "STREAM", "in", b"\x20" * 20))]), 5, "could be analysed"),
        ("\n".join([header_line(), record_line(Record(0.0, "INFO", "in", b"\x02" * 20))]), 5, "protocol 2"),
    ],
)
def test_what_cannot_be_analysed_leaves_nothing_behind(tmp_path, capsys, text, code, said):
    path = tmp_path / "a.jsonl"
    if text is not None:
        path.write_text(text)
    found, out, err = run_analyse(capsys, path, "--out", tmp_path / "out", "--json")
    assert found == code
    assert said in err
    assert json.loads(out)["error"] in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["mine.txt", "out/mine.txt"])
def test_nothing_is_ever_overwritten(capture, tmp_path, capsys, name):
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("precious")
    folder = mine if mine.parent == tmp_path else mine.parent
    code, _, err = run_analyse(capsys, capture, "--out", folder)
    assert code == 2
    assert f"{folder} exists already" in err
    assert [path.name for path in folder.iterdir()] == ["mine.txt"] if folder.is_dir() else True
    assert mine.read_text() == "precious"


def test_an_empty_folder_may_be_there_already(capture, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert run_analyse(capsys, capture, "--out", tmp_path / "out")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)


def test_a_place_that_cannot_be_written_to_is_said(capture, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, _, err = run_analyse(capsys, capture, "--out", tmp_path / "file" / "out")
    assert code == 2
    assert "another place" in err


FULL_DISK = """
import resource, sys
from roller_host.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on file sizes")
def test_a_full_disk_is_said_and_leaves_nothing_half_written(capture, tmp_path):
    arguments = ["analyse", str(capture), "--out", str(tmp_path / "out")]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "cannot write to" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_being_stopped_leaves_nothing_half_written(capture, tmp_path):
    opened = open_file(capture)
    found = analyse(opened)

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(found, summarise(found, opened), tmp_path / "out", stop)
    assert not (tmp_path / "out").exists()


def test_how_far_it_is_can_be_followed(capture, tmp_path):
    said = []
    opened = open_file(capture)
    found = analyse(opened, said.append)
    export(found, summarise(found, opened), tmp_path / "out", said.append)
    assert [text.split()[0] for text in said if not text.startswith("reading")][:2] == ["decoding", "calculating"]
    assert {text.split()[0] for text in said} == {"reading", "decoding", "calculating", "writing"}
