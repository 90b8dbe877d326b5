# SPDX-License-Identifier: MIT
"""Recordings and captures: verbatim, never overwritten, safe against crashes, and replayed to the same numbers."""

import json
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim import run, session, understood

from roller_host.sessions.capture import LONGEST_LINE, header_line, read_capture, record_line
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import FOLDER_VARIABLE, recordings_folder, reserve
from roller_host.sessions.source import open_source, params_from_json, params_json
from roller_host.sessions.store import SCHEMA_VERSION, Recorder, open_recording
from roller_host.signal.comfort import Band, ComfortParams
from roller_host.signal.core import SignalParams
from roller_host.signal.displacement import DisplacementParams
from roller_host.signal.inertial import InertialParams
from roller_host.signal.record import Record

ROOT = Path(__file__).parent.parent
SECONDS = 15
NOW = datetime(2031, 5, 4, 12, 30, 15)  # noqa: DTZ001 - a name is made of local time
STRANGE = [
    Record(0.0, "INFO", "in", b""),
    Record(1 / 3, "CONTROL", "out", b"\0\xff'\";--"),
    Record(0.1 + 0.2, "CONTROL", "in", bytes(range(256))),
    Record(1e-9, "STATUS", "in", b"\0" * 512),
    Record(123456.789, "STREAM", "in", b"SQLite format 3\0"),
]


def no_error(text):
    pytest.fail(f"on_error was told: {text}")


def record(path, records, meta=None, summary=None, on_error=no_error):
    recorder = Recorder(path, {"params": params_json(SignalParams()), **(meta or {})}, on_error)
    for one in records:
        recorder.record(one)
    recorder.close(summary)
    return path


def replay(path):
    records, params, _ = open_source(path)
    return run(records, params)[0].summary()


@pytest.fixture(scope="module")
def massage():
    """Records of a simulated session and its live summary."""
    return session(2, SECONDS).records, understood(2, SECONDS)[0].summary()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, massage):
    """A finished recording of it; to be copied before it is changed."""
    return record(tmp_path_factory.mktemp("recording") / "a.sqlite", *massage[:1], summary=massage[1])


@pytest.fixture
def copied(finished, tmp_path):
    return Path(shutil.copy(finished, tmp_path / "copy.sqlite"))


def change(path, *statements):
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


# --- Recorder ---------------------------------------------------------------------------------------------------------


def test_records_come_back_bit_for_bit_and_in_order(tmp_path, massage):
    records = [*STRANGE, *massage[0], *reversed(STRANGE)]
    recording = open_recording(record(tmp_path / "a.sqlite", records))
    assert list(recording.records()) == records


def test_meta_and_estimates_come_back(tmp_path):
    summary = {"strokes": 3, "rate_hz": 104.1 + 1e-13, "force_mean_n": None}
    recording = open_recording(record(tmp_path / "a.sqlite", [], {"radio": "demo", "note": "ä ' ;"}, summary))
    assert recording.meta["radio"] == "demo"
    assert recording.meta["note"] == "ä ' ;"
    assert recording.estimates == summary


def test_recording_without_a_summary_says_so(tmp_path):
    assert open_recording(record(tmp_path / "a.sqlite", STRANGE)).estimates is None


def test_actions_are_kept(tmp_path):
    recorder = Recorder(tmp_path / "a.sqlite", {}, no_error)
    recorder.act(1.5, "streaming", "why not")
    recorder.close()
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as db:
        assert db.execute("SELECT t_s, action, detail FROM actions").fetchall() == [(1.5, "streaming", "why not")]


def test_clean_close_leaves_one_plain_file(tmp_path):
    record(tmp_path / "a.sqlite", STRANGE)
    assert [path.name for path in tmp_path.iterdir()] == ["a.sqlite"]
    assert (tmp_path / "a.sqlite").read_bytes()[18:20] == b"\1\1", "still in WAL mode"


def test_closing_twice_is_harmless(tmp_path):
    recorder = Recorder(tmp_path / "a.sqlite", {}, no_error)
    recorder.close()
    recorder.close({"strokes": 1})


WRITER = """
import sys, threading, time
from pathlib import Path
from roller_host.sessions.store import Recorder
from roller_host.signal.record import Record
recorder = Recorder(Path(sys.argv[1]), {"params": "{}"}, print)
n, pause = 0, threading.Event()
while True:
    recorder.record(Record(time.monotonic(), "STREAM", "in", n.to_bytes(4, "little")))
    n += 1
    print(time.monotonic(), flush=True)
    pause.wait(0.004)
"""


def test_killed_process_loses_at_most_a_second(tmp_path):
    path = tmp_path / "a.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603
    with writer:
        first_s = last_s = float(writer.stdout.readline())
        while last_s - first_s < 1.45:
            last_s = float(writer.stdout.readline())
        writer.kill()
    records = list(open_recording(path).records())
    assert [int.from_bytes(one.payload, "little") for one in records] == list(range(len(records)))
    assert last_s - records[-1].t_s <= 1.0


def test_failing_writes_are_told_once_and_do_not_stop_the_session(tmp_path, caplog):
    told = []
    recorder = Recorder(tmp_path / "a.sqlite", {}, told.append)
    change(tmp_path / "a.sqlite", "DROP TABLE records")
    for _ in range(3):
        for one in STRANGE:
            recorder.record(one)
    recorder.close({"strokes": 0})
    assert len(told) == 1
    assert str(tmp_path / "a.sqlite") in told[0]
    assert "no such table" in told[0]


FULL_DISK = """
import resource, sys
from pathlib import Path
from roller_host.sessions.store import Recorder
from roller_host.signal.record import Record
told = []
recorder = Recorder(Path(sys.argv[1]), {"params": "{}"}, told.append)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
for n in range(3000):
    recorder.record(Record(float(n), "STREAM", "in", bytes(200)))
recorder.close({})
print(*told, sep="\\n")
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on file sizes")
def test_full_disk_is_told_once_and_what_was_written_is_readable(tmp_path):
    path = tmp_path / "a.sqlite"
    command = [sys.executable, "-c", FULL_DISK, path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)  # noqa: S603
    (told,) = done.stdout.splitlines()
    assert "Recording stopped" in told
    assert "Traceback" not in done.stderr
    assert all(one.source == "STREAM" for one in open_recording(path).records())


def test_folder_in_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(SessionError, match="cannot record to"):
        Recorder(tmp_path, {}, no_error)


# --- Names ------------------------------------------------------------------------------------------------------------


def test_names_of_one_second_differ(tmp_path):
    paths = [reserve(None, NOW, tmp_path / "new") for _ in range(12)]
    assert len(set(paths)) == 12
    assert paths[0].name == "2031-05-04_12-30-15.sqlite"
    assert all(path.exists() for path in paths)


def test_existing_file_is_never_overwritten(tmp_path):
    path = tmp_path / "mine.sqlite"
    path.write_text("precious")
    with pytest.raises(SessionError, match=r"mine\.sqlite exists already"):
        reserve(path, NOW)
    assert path.read_text() == "precious"


def test_folders_on_the_way_are_made(tmp_path):
    assert reserve(tmp_path / "a" / "b.sqlite", NOW).exists()


def test_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SessionError, match=r"file.*--out"):
        reserve(tmp_path / "file" / "x.sqlite", NOW)
    with pytest.raises(SessionError, match=r"file.*--out"):
        reserve(None, NOW, tmp_path / "file")


def test_data_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert recordings_folder() == tmp_path / "recordings"


# --- Files that are no recordings -------------------------------------------------------------------------------------


def refused(path):
    with pytest.raises(SessionError) as caught:
        list(open_source(path)[0])
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing_file_is_named(tmp_path):
    assert "no file" in refused(tmp_path / "nowhere.sqlite")


def test_folder_is_no_recording(tmp_path):
    refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), b"[" * 5000, b"{}\n"])
def test_other_file_is_refused(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    refused(path)


def test_other_sqlite_file_is_refused(tmp_path):
    change(tmp_path / "other.sqlite", "CREATE TABLE t (x)")
    assert "no recording of this program" in refused(tmp_path / "other.sqlite")


def test_recording_of_a_newer_version_is_refused(copied):
    change(copied, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    assert "newer version" in refused(copied)


@pytest.mark.parametrize("n_bytes", [100, 1000, 4096, 30_000])
def test_recording_that_was_cut_off_is_refused(copied, n_bytes):
    assert copied.stat().st_size > 50_000
    os.truncate(copied, n_bytes)
    refused(copied)


def test_table_that_is_missing_is_reported(copied):
    change(copied, "DROP TABLE records")
    assert "damaged" in refused(copied)


@pytest.mark.parametrize("value", ["17", "'x'", "NULL", "x'ff'"])
def test_summary_that_is_none_is_reported(copied, value):
    change(copied, "DROP TABLE estimates", "CREATE TABLE estimates (key, value)")
    change(copied, f"INSERT INTO estimates VALUES ('summary', {value})")  # noqa: S608
    refused(copied)


@pytest.mark.parametrize("column", ["t_s", "source", "direction", "payload"])
@pytest.mark.parametrize("value", ["NULL", "'x'", "17", "x'00ff'"])
def test_row_with_a_value_of_another_kind_is_reported(copied, column, value):
    change(
        copied,
        "CREATE TABLE other (n INTEGER PRIMARY KEY, t_s, source, direction, payload)",
        "INSERT INTO other SELECT * FROM records",
        "DROP TABLE records",
        "ALTER TABLE other RENAME TO records",
        f"UPDATE records SET {column} = {value} WHERE n = 40",  # noqa: S608
    )
    if (column, value) in {("t_s", "17"), ("payload", "x'00ff'")}:
        assert replay(copied)["packets"] > 0
    else:
        assert "damaged" in refused(copied)


def test_flipped_bytes_are_reported_or_counted_but_never_raise_anything_else(copied, caplog):
    caplog.set_level(logging.CRITICAL)
    content = copied.read_bytes()
    rng = random.Random(1)
    outcomes = set()
    for _ in range(25):
        spoilt = bytearray(content)
        for _ in range(rng.choice([1, 30])):
            spoilt[rng.randrange(len(spoilt) if rng.random() < 0.7 else 8192)] = rng.randrange(256)
        copied.write_bytes(spoilt)
        try:
            outcomes.add("read" if list(open_source(copied)[0]) else "empty")
        except SessionError as error:
            outcomes.add("refused" if str(copied) in str(error) else str(error))
    assert outcomes == {"read", "refused"}


# --- Captures ---------------------------------------------------------------------------------------------------------


def capture(path, records):
    path.write_text("\n".join([header_line(), *map(record_line, records)]) + "\n")
    return path


def test_capture_reads_back_what_was_written(tmp_path, massage):
    records = [*STRANGE, *massage[0]]
    assert list(read_capture(capture(tmp_path / "a.jsonl", records))) == records


def test_capture_may_have_blank_lines_and_windows_line_ends(tmp_path):
    path = capture(tmp_path / "a.jsonl", STRANGE)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert list(read_capture(path)) == STRANGE


@pytest.mark.parametrize("n_missing", [1, 10, 40])
def test_last_line_that_was_cut_off_is_left_out_with_a_warning(tmp_path, caplog, n_missing):
    path = capture(tmp_path / "a.jsonl", STRANGE)
    path.write_text(path.read_text().rstrip("\n")[:-n_missing])
    assert list(read_capture(path)) == STRANGE[:-1]
    (warning,) = caplog.messages
    assert str(path) in warning
    assert f"line {len(STRANGE) + 1}" in warning


GOOD = json.loads(record_line(STRANGE[0]))
MALFORMED = [
    "nonsense",
    "[]",
    "17",
    "{",
    "[" * 3000,
    "9" * 4000,
    json.dumps({key: value for key, value in GOOD.items() if key != "payload"}),
    json.dumps({**GOOD, "t_s": "soon"}),
    json.dumps({**GOOD, "t_s": True}),
    json.dumps({**GOOD, "t_s": None}),
    json.dumps({**GOOD, "t_s": 10**400}),
    '{"t_s": NaN, "from": "INFO", "dir": "in", "payload": ""}',
    '{"t_s": 1e999, "from": "INFO", "dir": "in", "payload": ""}',
    json.dumps({**GOOD, "from": "info"}),
    json.dumps({**GOOD, "from": ["INFO"]}),
    json.dumps({**GOOD, "dir": "up"}),
    json.dumps({**GOOD, "dir": {}}),
    json.dumps({**GOOD, "payload": "0g"}),
    json.dumps({**GOOD, "payload": "012"}),
    json.dumps({**GOOD, "payload": 12}),
    json.dumps({**GOOD, "payload": "00" * LONGEST_LINE}),
]


@pytest.mark.parametrize("line", MALFORMED, ids=lambda line: line[:40])
def test_malformed_line_is_named_by_its_number(tmp_path, line):
    path = tmp_path / "a.jsonl"
    lines = [header_line(), *map(record_line, STRANGE[:2]), line, record_line(STRANGE[2])]
    path.write_text("\n".join(lines) + "\n")
    read = []
    with pytest.raises(SessionError, match="line 4") as caught:
        read.extend(read_capture(path))
    assert str(path) in str(caught.value)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(line=st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.binary(max_size=60))
def test_no_line_raises_anything_but_the_one_error(tmp_path_factory, line):
    path = tmp_path_factory.mktemp("capture") / "a.jsonl"
    line = line.encode() if isinstance(line, str) else line
    path.write_bytes(b"\n".join([header_line().encode(), line, record_line(STRANGE[0]).encode()]))
    try:
        said = list(read_capture(path))[-1]
    except SessionError as error:
        said = str(error)
    assert said == STRANGE[0] or str(path) in said


def test_capture_of_another_version_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"format": "roller-capture", "version": 2}\n')
    assert "version 2" in refused(path)


# --- Parameters -------------------------------------------------------------------------------------------------------


def test_parameters_come_back():
    params = SignalParams(
        comfort=ComfortParams(contact_on_n=0.1 + 0.2),
        inertial=InertialParams(sway_deg=2.5, displacement=DisplacementParams(reach_m=0.2)),
        bands={("cheek", "left"): Band(0.1, 0.2, 0.3, 1 / 3), ("decolletage", ""): Band(1.0, 2.0, 3.0, 4.0)},
    )
    assert params_from_json(params_json(params)) == params
    assert params_from_json(params_json(SignalParams())) == SignalParams()


@pytest.mark.parametrize("text", ["", "17", "[]", "{}", "nonsense", "null"])
def test_parameters_that_are_none_are_refused(text):
    with pytest.raises(SessionError, match="parameters"):
        params_from_json(text)


def test_unknown_parameter_is_refused():
    parts = json.loads(params_json(SignalParams()))
    parts["force"]["low_pass_m"] = 1
    with pytest.raises(SessionError, match="low_pass_m"):
        params_from_json(json.dumps(parts))


# --- Replay -----------------------------------------------------------------------------------------------------------


def test_replay_equals_the_live_session_bit_for_bit(finished, massage):
    assert json.dumps(replay(finished)) == json.dumps(massage[1])
    assert open_recording(finished).estimates == json.loads(json.dumps(massage[1]))


@pytest.mark.parametrize("statement", ["DELETE FROM estimates", "DROP TABLE estimates"])
def test_replay_needs_no_stored_estimates(copied, massage, statement):
    change(copied, statement)
    assert open_recording(copied).estimates is None
    assert json.dumps(replay(copied)) == json.dumps(massage[1])


def test_capture_of_the_same_records_gives_the_same_numbers(tmp_path, massage):
    assert json.dumps(replay(capture(tmp_path / "a.jsonl", massage[0]))) == json.dumps(massage[1])


def test_replay_uses_the_parameters_of_the_live_session(tmp_path, massage):
    strict = SignalParams(comfort=ComfortParams(contact_on_n=1.0, contact_off_n=0.9))
    path = record(tmp_path / "a.sqlite", massage[0], {"params": params_json(strict)})
    assert json.dumps(replay(path)) == json.dumps(run(massage[0], strict)[0].summary())
    assert replay(path)["contact_s"] < massage[1]["contact_s"]


def test_reading_does_not_change_the_file(copied):
    before = copied.read_bytes(), sorted(path.name for path in copied.parent.iterdir())
    replay(copied)
    assert (copied.read_bytes(), sorted(path.name for path in copied.parent.iterdir())) == before


def test_recording_costs_the_session_no_time(tmp_path, massage):
    # A disk that hangs for as long as it likes: taking a record must not wait for it.
    recorder = Recorder(tmp_path / "a.sqlite", {}, no_error)
    with closing(sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        begin_s = time.monotonic()
        for one in massage[0]:
            recorder.record(one)
        taken_s = time.monotonic() - begin_s
        db.execute("ROLLBACK")
    recorder.close()
    assert taken_s < 1.0
    assert list(open_recording(tmp_path / "a.sqlite").records()) == massage[0]


def test_parameters_that_are_no_numbers_are_refused():
    parts = json.loads(params_json(SignalParams()))
    parts["force"]["still_s"] = "long"
    with pytest.raises(SessionError, match="not understood"):
        params_from_json(json.dumps(parts))
