# SPDX-License-Identifier: MIT
"""Scenarios as files, and sessions generated from them: reproducible, with truth, accepted by the host."""

import csv
import json
from dataclasses import asdict, fields, replace
from itertools import pairwise

import numpy as np
import pytest

from firmware_protocol import codec, layout, zones
from roller_host.cli import main as host
from simulator import scenario, witness
from simulator.bluetooth.faults import Fault
from simulator.bluetooth.mishaps import FaultError
from simulator.body.hand import Hand
from simulator.body.people import HABIT_LIMITS, PEOPLE, Habits, person
from simulator.body.truth import GRID_HZ
from simulator.cli import main as sim
from simulator.firmware.device import Build
from simulator.generate import Dialogue
from simulator.hardware.flaws import FLAW_LIMITS, Flaws
from simulator.hardware.sensors import Sensors
from simulator.incidents import Disturbed
from simulator.scenario import (
    BUILD_LIMITS,
    RADIO_LIMITS,
    Incident,
    Radio,
    ScenarioError,
    load_routine,
    load_scenario,
    parse_scenario,
    scenarios,
)

FILES = ("capture.jsonl", "truth.csv", "strokes.csv")


def generated(folder, name="practised", minutes=0.5, seed=1):
    assert (
        sim(["generate", "--scenario", name, "--seed", str(seed), "--minutes", str(minutes), "--out", str(folder)]) == 0
    )
    return [(folder / file).read_bytes() for file in FILES]


def table(folder, file):
    with (folder / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def payloads(folder, source="STREAM"):
    lines = (folder / "capture.jsonl").read_text("utf-8").splitlines()[1:]
    return [bytes.fromhex(line["payload"]) for line in map(json.loads, lines) if line["from"] == source]


def replayed(folder, capsys):
    capsys.readouterr()
    assert host(["replay", str(folder / "capture.jsonl"), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


# --- Files ------------------------------------------------------------------------------------------------------------


def test_the_list_names_at_least_ten_scenarios_first_on_each_line(capsys):
    assert sim(["scenarios"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 10
    assert [line.split()[0] for line in lines] == list(scenarios())
    assert all(len(line.split()) > 4 for line in lines), "a scenario without a description"


@pytest.mark.parametrize("name", scenarios())
def test_every_shipped_scenario_makes_a_device(name):
    device = load_scenario(name).device(1)
    assert codec.decode_record("INFO", device.info_payload()).proto_major == 1


def test_a_file_of_ones_own_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('description = "x"\nperson = "slow"\n[habits]\nspeed_m_s = [0.01, 0.02]\n[flaws]\ngyro_scale = 0\n')
    mine = load_scenario(str(path))
    assert (mine.name, mine.person, mine.habits, mine.flaws.gyro_scale) == (
        "mine",
        "slow",
        {"speed_m_s": (0.01, 0.02)},
        0,
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("= 3", "no TOML"),
        ("persona = 'x'", "unknown key 'persona': known are build"),
        ("person = 'x'", "nobody is called 'x'"),
        ("person = 3", "person = 3 is no text"),
        ("routine = 'x'", "no routine is called 'x': known are"),
        ("log_s = -1", "log_s = -1 is not a number from 0 to 3600"),
        ("log_s = true", "log_s = True is not a number"),
        ("habits = 3", r"habits must be written as \[habits\]"),
        ("[habits]\nspeed = 3", r"unknown key 'speed' in \[habits\]: known are"),
        ("[habits]\nspeed_m_s = 3", r"speed_m_s in \[habits\] = 3 is not a list of 2 numbers"),
        ("[habits]\nslip = 'much'", r"slip in \[habits\] = 'much' is not a number"),
        ("[[wrong_weights]]\nasked_kg = 0.5", "wrong weight 1: write asked_kg"),
        ("[[wrong_weights]]\nasked_kg = 0.5\nhung_kg = -1", "hung_kg = -1 is not a number from 0 to 10"),
        ("[build]\nfusion = 1", r"fusion in \[build\] = 1 is not true or false"),
        ("[build]\nsecurity_mode = 1.5", r"security_mode in \[build\] = 1.5 is not a whole number"),
        ("[radio]\nmax_mtu = 22", r"max_mtu in \[radio\] = 22 is not a whole number from 23 to 517"),
        ("[radio]\ndistance_m = nan", r"distance_m in \[radio\] = nan is not a number from 0 to 1000"),
        ("[radio]\ndistance_m = inf", "distance_m in .* = inf is not a number"),
        ("[build]\nsecurity_mode = 9", r"security_mode in \[build\] = 9 is not a whole number from 0 to 3"),
        ("[build]\nbattery_percent = -50", "battery_percent in .* = -50 is not a number from 1 to 100"),
        (
            "[habits]\nspeed_m_s = [0, 0]",
            r"speed_m_s in \[habits\] = \[0, 0\] is not a list of 2 numbers from 0.01 to",
        ),
        ("[habits]\nspeed_m_s = [1e-9, 1e-9]", "is not a list of 2 numbers from 0.01 to"),
        ("[habits]\nspeed_m_s = [0.2, 0.1]", "is not a list of 2 numbers from .*, the smaller one first"),
        ("[habits]\nlength_m = [-0.02, 0.1]", "length_m in .* is not a list of 2 numbers from 0.005 to"),
        ("[habits]\nstrokes = [2, 3.5]", "is not a list of 2 whole numbers from 1 to 12"),
        ("[habits]\nstrokes = [true, 3]", "is not a list of 2 whole numbers from 1 to 12"),
        ("[habits]\nzone_force = [1, 1]", "is not a list of 8 numbers from 0.1 to 10"),
        ("[habits]\nfirmness = -1", "firmness in .* = -1 is not a number from 0.1 to 10"),
        ("[flaws]\noscillator = 5", r"oscillator in \[flaws\] = 5 is not a number from 0 to 0.07"),
        ("[flaws]\ncreep_s = 0", "creep_s in .* = 0 is not a number from 1 to 3600"),
        ("[flaws]\ncreep = 0x" + "f" * 50_000, "creep in .* is not a number from 0 to 0.2"),
        ("[flaws]\ncreep = " + "9" * 50_000, "no TOML"),
        ("person = " + "[" * 50_000, "no TOML"),
        ("faults = 3", r"faults must be written as \[\[faults\]\]"),
        ("[[faults]]\nat_s = 3", "fault 1: fault is missing: write for instance"),
        ("[[faults]]\nfault = 'reboot'", "fault 1: at_s is missing: write for instance"),
        ("[[faults]]\nat_s = -1\nfault = 'reboot'", "fault 1: at_s = -1 is not a number from 0 to 86400"),
        ("[[faults]]\nat_s = 3\nfault = 'x'", "fault 1: 'x' is no fault; known are"),
        ("[[faults]]\nat_s = 3\nfault = 'reboot'\nseconds = 3", "fault 1: reboot takes no arguments, not 'seconds'"),
        ("[[faults]]\nat_s = 3\nfault = 'sleep'\nseconds = 'x'", "fault 1: sleep: seconds has to be a number"),
        ("#" * 200_000, "longer than"),
    ],
)
def test_nonsense_in_a_scenario_is_named(text, told):
    with pytest.raises(ScenarioError, match=f"^mine: .*{told}"):
        parse_scenario("mine", text)


@pytest.mark.parametrize(
    "text",
    ["person = {}", "routine = {}", "log_s = {}", "{} = 1", "[habits]\n{} = 1", "[habits]\nslip = {}",
     "[build]\nfusion = {}", "[habits]\nspeed_m_s = [{}]", "a = 1\n{0} = 1\n{0} = 2"],
)  # fmt: skip
def test_a_long_value_is_cut_in_the_message(text):
    with pytest.raises(ScenarioError, match=r"^mine: ") as caught:
        parse_scenario("mine", text.format('"' + "x" * 50_000 + '"'))
    assert len(str(caught.value)) < 1500


def test_every_number_has_limits_and_all_people_are_within_them():
    tables = ((Habits(), HABIT_LIMITS), (Flaws(), FLAW_LIMITS), (Build(), BUILD_LIMITS), (Radio(), RADIO_LIMITS))
    for default, limits in tables:
        assert list(limits) == [one.name for one in fields(default)]
    for name in PEOPLE:
        values = asdict(person(name))
        text = "[habits]\n" + "".join(f"{key} = {np.array(value).tolist()}\n" for key, value in values.items())
        assert parse_scenario(name, text).habits == values


@pytest.mark.parametrize("end", [0, 1], ids=["least", "most"])
def test_whatever_is_within_the_limits_can_be_simulated(end):
    habits = {
        key: (limits[end],) * len(default) if isinstance(default := getattr(Habits(), key), tuple) else limits[end]
        for key, limits in HABIT_LIMITS.items()
    }
    flaws = {key: limits[end] for key, limits in FLAW_LIMITS.items()}
    tables = {"habits": habits, "flaws": flaws}
    text = "".join(
        f"[{where}]\n" + "".join(f"{key} = {np.array(value).tolist()}\n" for key, value in table.items())
        for where, table in tables.items()
    )
    scene = parse_scenario("extreme", text)
    hand = Hand(1, replace(person("practised"), **scene.habits))
    visits = [hand.visit() for _ in range(2)]
    assert max(len(visit.t_s) for visit in visits) < 600 * GRID_HZ
    readings = Sensors(1, iter(visits), scene.flaws).read(float(visits[-1].t_s[-1]))
    assert len(readings.imu) > 0
    for visit in visits:
        assert visit.strokes
        assert np.isfinite(visit.acc_m_s2).all()
        assert np.isfinite(visit.gyro_rad_s).all()


def test_files_may_begin_with_a_byte_order_mark_and_name_a_routine_beside_them(tmp_path):
    routine = 'format = 1\nname = "own"\n[[steps]]\nzone = "decolletage"\ndirection = "up"\nstrokes = 2\n'
    (tmp_path / "steps.toml").write_text(routine, "utf-8-sig")
    path = tmp_path / "mine.toml"
    path.write_text('routine = "steps.toml"', "utf-8-sig")
    read = load_scenario(str(path)).routine
    assert read is not None
    assert read.name == "own"
    path.write_text('routine = "nowhere.toml"')
    with pytest.raises(ScenarioError, match=r"mine: cannot read .*nowhere\.toml"):
        load_scenario(str(path))


def test_bad_input_is_one_line_and_exit_2(tmp_path, capsys):
    out = ["--out", str(tmp_path / "out"), "--minutes", "0.05"]
    assert sim(["generate", "--scenario", "nobody", *out]) == 2
    assert sim(["generate", "--scenario", str(tmp_path / "missing.toml"), *out]) == 2
    needs_radio = tmp_path / "radio.toml"
    needs_radio.write_text('[[faults]]\nat_s = 1\nfault = "jitter"\n')
    assert sim(["generate", "--scenario", str(needs_radio), *out]) == 2
    (tmp_path / "file").touch()
    assert sim(["generate", "--minutes", "0.05", "--out", str(tmp_path / "file")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("roller-sim: ") for line in lines)
    assert "jitter needs a radio and cannot be generated: use roller-sim run" in lines[2]


def test_a_routine_can_be_named_or_be_a_file(tmp_path):
    shipped = load_routine("sculpt")
    path = tmp_path / "mine.toml"
    path.write_text("nonsense = 1")
    with pytest.raises(ScenarioError, match="routine mine: "):
        load_routine(str(path))
    assert len(shipped.steps) > 5


# --- Generated sessions -----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    ours = generated(tmp_path / "a", "bad_radio")
    assert generated(tmp_path / "b", "bad_radio") == ours
    assert generated(tmp_path / "c", "bad_radio", seed=2)[0] != ours[0]


def test_what_is_there_already_is_kept(tmp_path, capsys):
    before = generated(tmp_path, minutes=0.05)
    assert sim(["generate", "--minutes", "0.05", "--seed", "9", "--out", str(tmp_path)]) == 2
    assert "is there already and is kept" in capsys.readouterr().err
    assert [(tmp_path / file).read_bytes() for file in FILES] == before


def test_truth_has_a_row_for_every_imu_sample_at_its_device_time(tmp_path):
    generated(tmp_path)
    rows = table(tmp_path, "truth.csv")
    assert list(rows[0]) == [name for name, _, _ in witness.TRUTH_COLUMNS]
    times = [
        packet.t0_us + block.offset_us + i * block.period_us
        for packet in map(codec.decode_packet, payloads(tmp_path))
        for block in packet.blocks
        if block.stream_id == codec.STREAM_ID["IMU6"]
        for i in range(len(block.samples))
    ]
    truth_us = np.array([int(row["device_us"]) % 2**32 for row in rows])
    assert len(times) == len(rows)
    np.testing.assert_allclose(times, truth_us, atol=60)


def test_truth_is_what_the_sensors_measure(tmp_path):
    generated(tmp_path, "perfect_device")
    rows = table(tmp_path, "truth.csv")
    samples = np.concatenate(
        [
            block.samples
            for packet in map(codec.decode_packet, payloads(tmp_path))
            for block in packet.blocks
            if block.stream_id == codec.STREAM_ID["IMU6"]
        ]
    )
    info = [codec.decode_response(p) for p in payloads(tmp_path, "CONTROL") if p[:2] == bytes([0xF0, 2])]
    imu = next(one.reply for one in info if one.reply.stream_id == codec.STREAM_ID["IMU6"])
    gyro = np.array([[float(row[f"gyro_{axis}_rad_s"]) for axis in "xyz"] for row in rows])
    acc = np.array([[float(row[f"acc_{axis}_m_s2"]) for axis in "xyz"] for row in rows])
    np.testing.assert_allclose(samples[:, :3] * imu.scale_a, gyro, atol=0.6 * imu.scale_a)
    np.testing.assert_allclose(samples[:, 3:] * imu.scale_b, acc, atol=0.6 * imu.scale_b)


def test_strokes_lie_in_the_rows_that_move(tmp_path):
    generated(tmp_path)
    rows, strokes = table(tmp_path, "truth.csv"), table(tmp_path, "strokes.csv")
    assert list(strokes[0]) == [name for name, _, _ in witness.STROKE_COLUMNS]
    assert len(strokes) > 10
    for stroke in strokes:
        during = [row for row in rows if float(stroke["begin_s"]) < float(row["t_s"]) < float(stroke["end_s"]) - 0.001]
        assert all(row["moving"] == row["contact"] == "1" for row in during)
        assert {(row["zone"], row["side"]) for row in during} == {(stroke["zone"], stroke["side"])}
        assert (stroke["zone"], stroke["side"]) in zones.PLACES


@pytest.mark.parametrize("name", ["practised", "old_adapter", "battery"])
def test_a_generated_capture_is_replayed_whole(name, tmp_path, capsys):
    generated(tmp_path, name)
    summary = replayed(tmp_path, capsys)
    assert summary["packets"] == len(payloads(tmp_path))
    assert (summary["gaps"], summary["bad_payloads"], summary["unknown_blocks"]) == (0, 0, 0)
    assert summary["duration_s"] == pytest.approx(30, abs=0.2)
    assert abs(summary["strokes"] - len(table(tmp_path, "strokes.csv"))) <= 2


def test_an_offline_log_is_fetched_first(tmp_path, capsys):
    path = tmp_path / "log.toml"
    path.write_text("log_s = 10")
    generated(tmp_path / "out", str(path))
    kinds = [payload[0] for payload in payloads(tmp_path / "out")]
    n_logged = kinds.count(layout.PTYPE_LOG)
    assert n_logged == pytest.approx(10 / 0.06, abs=2)
    assert set(kinds[:n_logged]) == {layout.PTYPE_LOG}
    assert replayed(tmp_path / "out", capsys)["log_packets"] == n_logged


# --- Incidents --------------------------------------------------------------------------------------------------------


def disturbed(fault, duration_s=8.0, **arguments):
    """A session in which a fault happens after 2 s."""
    records = []
    device = load_scenario("practised").device(1)
    complete = {one.name: one.default for one in fault.value.arguments} | arguments
    talk = Disturbed(device, records.append, (Incident(2.0, fault, complete),), 1)
    talk.connect()
    talk.start(linger_s=60)
    talk.pass_time(duration_s)
    packets = []
    for record in records:
        if record.source == "STREAM":
            try:
                packets.append(codec.decode_packet(record.payload))
            except codec.ProtocolError:
                packets.append(None)
    return device, records, packets


def live_seqs(packets):
    return [packet.seq for packet in packets if packet and packet.ptype == layout.PTYPE_LIVE]


def asked(records, name):
    return [r for r in records if r.direction == "out" and r.payload[0] == codec.OP[name]]


@pytest.mark.parametrize(
    "fault", [Fault.LINK_LOSS, Fault.OUT_OF_RANGE, Fault.ADAPTER_OFF], ids=lambda fault: fault.title
)
def test_a_lost_link_is_a_gap_that_is_filled_later(fault):
    _, records, packets = disturbed(fault, seconds=1.0)
    assert len(asked(records, "BACKFILL")) == 1
    numbers = live_seqs(packets)
    assert max(after - before for before, after in pairwise(numbers)) * 0.06 > 0.19
    talk_again = disturbed(fault, duration_s=16.0, seconds=1.0)[2]
    assert {packet.seq for packet in talk_again} == set(range(max(live_seqs(talk_again)) + 1))


@pytest.mark.parametrize(
    "fault",
    [Fault.REBOOT, Fault.POWER_OFF, Fault.POWER_CUT, Fault.SLEEP, Fault.BATTERY_EMPTY],
    ids=lambda fault: fault.title,
)
def test_a_restart_is_a_new_boot_and_a_new_session(fault):
    _, records, packets = disturbed(fault)
    boots = [codec.decode_record("INFO", r.payload).boot_id for r in records if r.source == "INFO"]
    assert len(set(boots)) == 2
    assert len(asked(records, "START")) == 2
    assert live_seqs(packets).count(0) == 2


def test_lost_notifications_are_missing():
    numbers = live_seqs(disturbed(Fault.LOST_NOTIFICATIONS, share=0.5)[2])
    assert 0.3 < (len(set(range(max(numbers))) - set(numbers)) / 100) < 0.7
    assert numbers == sorted(numbers)


def test_duplicates_come_twice_and_late_ones_out_of_order():
    twice = live_seqs(disturbed(Fault.DUPLICATE_NOTIFICATIONS, share=0.5)[2])
    assert sorted(set(twice)) == list(range(max(twice) + 1))
    assert 30 < len(twice) - len(set(twice)) < 70
    late = live_seqs(disturbed(Fault.LATE_NOTIFICATIONS, share=0.3, by_s=0.2)[2])
    assert len(set(late)) == len(late)
    assert any(after < before for before, after in pairwise(late))


def test_garbage_takes_the_place_of_packets():
    packets = disturbed(Fault.GARBAGE_NOTIFICATIONS, share=1.0)[2]
    assert sum(packet is None for packet in packets) > 80


def test_a_slow_link_drops_and_says_so():
    device, _, packets = disturbed(Fault.SLOW_PARAMETERS, interval_ms=700, seconds=20, duration_s=12)
    flagged = [p for p in packets if p.flags & codec.bit(layout.PACKET_FLAGS, "DROPPED_BEFORE")]
    assert flagged
    assert codec.decode_record("STATUS", device.status_payload()).dropped > 30


def test_charging_interrupts_and_a_new_session_follows():
    _, records, packets = disturbed(Fault.USB_PLUGGED, seconds=4.0)
    states = [codec.decode_record("STATUS", r.payload).state for r in records if r.source == "STATUS"]
    assert 3 in states
    assert live_seqs(packets).count(0) == 2


def test_failing_parts_and_the_battery_are_told():
    for fault, code in ((Fault.ENCODER_FAULT, "FAULT"), (Fault.BATTERY_LOW, "LOW_BATTERY")):
        packets = disturbed(fault, seconds=4.0)[2]
        events = [s[0] for p in packets for b in p.blocks if b.stream_id == codec.STREAM_ID["EVENT"] for s in b.samples]
        assert codec.EVENT_CODE[code] in events


def test_what_needs_a_radio_is_refused():
    with pytest.raises(FaultError, match="bond_lost needs a radio"):
        disturbed(Fault.BOND_LOST)


def test_a_host_that_resumes_fetches_only_what_is_held():
    records = []
    talk = Dialogue(load_scenario("practised").device(1), records.append)
    talk.connect()
    talk.start(linger_s=60)
    talk.pass_time(1)
    talk.lose(50)
    talk.resume()
    reply = [codec.decode_response(r.payload) for r in records if r.source == "CONTROL" and r.direction == "in"][-1]
    assert codec.STATUS_NAME[reply.status] == "OK"
    assert reply.reply.first_available > 17


def test_columns_with_a_unit_carry_it_in_their_names():
    for name, unit, _ in (*witness.TRUTH_COLUMNS, *witness.STROKE_COLUMNS):
        suffix = {"m/s": "m_s", "m/s2": "m_s2", "rad/s": "rad_s", "N": "n", "degC": "c", "0 or 1": "", "": ""}.get(
            unit, unit
        )
        assert name.endswith(f"_{suffix}" if suffix else name), (name, unit)
    assert scenario.DEFAULT in scenarios()


# --- Odd lengths, refusals, interruptions -----------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [0.001, 0.01001, 0.0501])
def test_any_length_comes_to_an_end(minutes, tmp_path, capsys):
    assert sim(["generate", "--minutes", str(minutes), "--out", str(tmp_path)]) == 0
    assert all((tmp_path / file).exists() for file in FILES)


@pytest.mark.parametrize("minutes", ["0", "1e-300", "1e308", "nan", "x"])
def test_senseless_lengths_are_refused(minutes, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        sim(["generate", "--minutes", minutes, "--out", str(tmp_path)])
    assert end.value.code == 2
    assert "is not a number of minutes from" in capsys.readouterr().err


def test_a_device_that_refuses_to_stream_says_so_and_leaves_nothing(tmp_path, capsys):
    plan = tmp_path / "plan.toml"
    plan.write_text("[radio]\nmax_mtu = 60\n")
    assert sim(["generate", "--scenario", str(plan), "--out", str(tmp_path / "out")]) == 2
    assert "the roller refused to stream: MTU_TOO_SMALL" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupted_session_leaves_no_half_files(tmp_path, monkeypatch, capsys):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("simulator.write._progress", interrupt)
    assert sim(["generate", "--minutes", "1", "--out", str(tmp_path)]) == 130
    assert list(tmp_path.iterdir()) == []


def test_absences_follow_each_other(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text("".join(f'[[faults]]\nat_s = {at}\nfault = "link_loss"\nseconds = 3\n' for at in (2, 3, 4)))
    generated(tmp_path / "out", str(plan))
    rows = (tmp_path / "out" / "capture.jsonl").read_text("utf-8").splitlines()[1:]
    infos = [row["t_s"] for row in map(json.loads, rows) if row["from"] == "INFO"]
    assert np.diff(infos) == pytest.approx([5, 3, 3], abs=0.2)
    live = [p for p in payloads(tmp_path / "out") if p[0] == layout.PTYPE_LIVE]
    assert len({p[2:6] for p in live}) == len(live)


def test_a_roller_that_fell_asleep_in_a_long_absence_is_woken(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('[[faults]]\nat_s = 2\nfault = "link_loss"\nseconds = 2000\n')
    generated(tmp_path / "out", str(plan), minutes=34)
    numbers = [codec.decode_packet(p).seq for p in payloads(tmp_path / "out")]
    assert numbers.count(0) == 2
    assert len(numbers) > 300


def test_truth_tells_sessions_apart(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('log_s = 5\n[[faults]]\nat_s = 5\nfault = "reboot"\n')
    generated(tmp_path / "out", str(plan))
    rows = table(tmp_path / "out", "truth.csv")
    assert sorted({row["session"] for row in rows}) == ["0", "1", "2"]
    for session in "012":
        clock = [int(row["device_us"]) for row in rows if row["session"] == session]
        assert clock == sorted(clock)
    times = [float(row["t_s"]) for row in rows]
    for stroke in table(tmp_path / "out", "strokes.csv"):
        inside = [t for t in times if float(stroke["begin_s"]) < t < float(stroke["end_s"])]
        assert len(inside) > 80 * (float(stroke["end_s"]) - float(stroke["begin_s"])) - 2
