# SPDX-License-Identifier: MIT
"""What this computer remembers: rollers by name, sessions that were cut off, recordings fetched from rollers."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sim import session

from firmware_protocol import codec
from roller_host.app.past import complete
from roller_host.sessions import rollers, unfinished
from roller_host.sessions.errors import SessionError
from roller_host.sessions.rollers import KnownRoller
from roller_host.sessions.shelf import Settings, Shelf
from roller_host.sessions.source import params_json
from roller_host.sessions.store import Recorder, open_recording
from roller_host.signal.core import SignalParams
from roller_host.signal.record import Record
from simulator.firmware.device import Device

ROOT = Path(__file__).parent.parent
BLUE = KnownRoller("00112233445566aa", "Roller-66AA", "", "AA:BB", "2026-11-20T10:00:00+01:00")
RED = KnownRoller("00112233445566bb", "Roller-66BB", "", "CC:DD", "2026-11-21T10:00:00+01:00", 2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deeper" / "rollers.json"


# --- Known rollers ----------------------------------------------------------------------------------------------------


def test_the_roller_used_last_comes_first(path):
    rollers.remember(RED, path)
    rollers.remember(BLUE, path)
    assert rollers.load(path) == [RED, BLUE]


def test_what_its_owner_chose_outlives_the_next_connection(path):
    rollers.remember(BLUE, path)
    rollers.rename(BLUE.device_id, "  Bath   room ", path)
    rollers.connect_at_start(BLUE.device_id, path)
    rollers.remember(BLUE, path)
    (known,) = rollers.load(path)
    assert (known.own_name, known.title, known.at_start) == ("Bath room", "Bath room", True)


def test_one_roller_at_most_is_connected_at_the_start(path):
    for roller in (BLUE, RED):
        rollers.remember(roller, path)
        rollers.connect_at_start(roller.device_id, path)
    assert [roller.at_start for roller in rollers.load(path)] == [True, False]
    rollers.connect_at_start(None, path)
    assert not any(roller.at_start for roller in rollers.load(path))


@pytest.mark.parametrize("text", ["bath room", "ROLLER-66AA", "aa:bb", "00112233445566AA"])
def test_a_roller_is_found_by_any_of_its_names(path, text):
    rollers.remember(RED, path)
    rollers.remember(BLUE, path)
    rollers.rename(BLUE.device_id, "Bath room", path)
    assert rollers.find(text, path).device_id == BLUE.device_id
    assert rollers.find("Kitchen", path) is None


def test_a_forgotten_roller_is_gone_and_others_stay(path):
    rollers.remember(BLUE, path)
    rollers.remember(RED, path)
    rollers.forget(BLUE.device_id, path)
    rollers.forget(BLUE.device_id, path)
    assert rollers.load(path) == [RED]


@pytest.mark.parametrize("name", ["x" * 41, "nobody"])
def test_a_name_too_long_and_a_roller_unknown_are_refused(path, name):
    rollers.remember(BLUE, path)
    with pytest.raises(SessionError):
        rollers.rename(BLUE.device_id if len(name) > 40 else "0" * 16, name, path)


@pytest.mark.parametrize("text", ["", "[]", '{"rollers": [{"name": "x"}]}', '{"rollers": 3}', "\x00"])
def test_a_damaged_list_is_an_empty_one(path, text):
    path.parent.mkdir()
    path.write_text(text)
    assert rollers.load(path) == []
    rollers.remember(BLUE, path)
    assert rollers.load(path) == [BLUE]


def test_a_list_that_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match=r"rollers\.json"):
        rollers.remember(BLUE, tmp_path / "file" / "rollers.json")


# --- Sessions that were cut off ---------------------------------------------------------------------------------------


def began(age_s=60.0):
    return (datetime.now().astimezone() - timedelta(seconds=age_s)).isoformat(timespec="seconds")


def recording(folder, name, records=(), age_s=60.0, summary=None, **meta):
    """A recording that was written to so long ago; without a summary it was cut off."""
    path = folder / name
    path.touch()
    recorder = Recorder(path, {"created": began(age_s), "params": params_json(SignalParams()), **meta}, pytest.fail)
    for record in records:
        recorder.record(record)
    recorder.close(summary)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_the_latest_session_without_an_end_is_offered(tmp_path):
    recording(tmp_path, "a.sqlite", age_s=300)
    path = recording(tmp_path, "b.sqlite", age_s=120)
    recording(tmp_path, "c.sqlite", age_s=60, summary={"packets": 3})
    found = unfinished.latest_unfinished(tmp_path)
    assert found.path == path
    assert found.age_s == pytest.approx(120, abs=10)


def test_what_is_long_over_is_not_offered_even_if_somebody_looked_at_it(tmp_path):
    path = recording(tmp_path, "a.sqlite", [Record(0.1, "STREAM", "in", b"x")], age_s=4000)
    assert unfinished.latest_unfinished(tmp_path) is None
    os.utime(path)
    assert unfinished.latest_unfinished(tmp_path) is None


def test_a_session_that_is_under_way_in_this_program_is_not_offered(tmp_path):
    path = tmp_path / "a.sqlite"
    path.touch()
    for meta in ({"created": began()}, None):
        recorder = Recorder(path, meta, pytest.fail)
        assert unfinished.latest_unfinished(tmp_path) is None
        recorder.close()
        assert unfinished.latest_unfinished(tmp_path).path == path


@contextmanager
def ended(process):
    """A process that does not outlive its test."""
    with process:
        try:
            yield process
        finally:
            process.kill()


WRITER = """
import sys, threading
from pathlib import Path
from roller_host.sessions.store import Recorder
from roller_host.signal.record import Record
recorder = Recorder(Path(sys.argv[1]), {"created": sys.argv[2]}, print)
for n in range(2000):
    recorder.record(Record(n / 100, "STREAM", "in", bytes(200)))
recorder.settle()
print("recording", flush=True)
threading.Event().wait()
"""


def test_a_session_is_offered_as_soon_as_its_program_was_killed_and_not_before(tmp_path):
    path = tmp_path / "a.sqlite"
    path.touch()
    command = [sys.executable, "-c", WRITER, path, began(25)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)) as writer:  # noqa: S603
        assert writer.stdout.readline() == "recording\n"
        assert unfinished.latest_unfinished(tmp_path) is None
        with pytest.raises(SessionError, match="another program"):
            complete(path)
        writer.kill()
        writer.wait()
        killed_s = time.time()
        found = unfinished.latest_unfinished(tmp_path)
    assert found.path == path
    # As its payloads say: they began 25 s ago and took 20 s.
    assert found.age_s == pytest.approx(5 + time.time() - killed_s, abs=3)
    assert unfinished.latest_unfinished(tmp_path).age_s == pytest.approx(found.age_s, abs=1)
    assert len(list(open_recording(path).records())) == 2000


def test_recordings_of_the_rollers_own_demos_and_other_files_are_not_offered(tmp_path):
    recording(tmp_path, "a.sqlite", kind=unfinished.LOG_KIND)
    recording(tmp_path, "c.sqlite", radio="demo:lymph")
    (tmp_path / "b.sqlite").write_text("no recording")
    os.utime(tmp_path / "b.sqlite", (time.time() - 30,) * 2)
    assert unfinished.latest_unfinished(tmp_path) is None
    assert unfinished.latest_unfinished(tmp_path / "nowhere") is None


def test_session_time_goes_on_with_the_wall_clock_and_never_back():
    assert unfinished.elapsed_s(began(100), 40.0) == pytest.approx(100, abs=3)
    assert unfinished.elapsed_s(began(-1000), 40.0) == 40.0
    assert unfinished.elapsed_s("yesterday", 40.0) == 40.0


def test_a_session_left_as_it_is_becomes_complete(tmp_path):
    path = recording(tmp_path, "a.sqlite", session(2, 15).records)
    complete(path)
    assert open_recording(path).estimates["packets"] > 100
    assert unfinished.latest_unfinished(tmp_path) is None
    with pytest.raises(SessionError, match="complete"):
        complete(path)


# --- Recordings that a roller made by itself --------------------------------------------------------------------------


def log_packet(seq):
    return Record(1.0, "STREAM", "in", codec.encode_packet(0, seq, 1000 * seq, [], ptype=0x12))


class Desk:
    """A shelf, and what it said."""

    def __init__(self, folder):
        self.settings, self.told = Settings(), []
        self.settings.keep(Record(0.0, "INFO", "in", b"info"))
        self.shelf = Shelf(lambda: {"device_id": "ab"}, self.settings, lambda *n: self.told.append(n), folder)

    def take(self, first, last, until, unix_us=0):
        async def main():
            await self.shelf.begin(first, last, unix_us)
            for seq in range(first, until):
                self.shelf.record(log_packet(seq))
            await self.shelf.settle()
            numbers = [int.from_bytes(r.payload[2:6], "little") for r in self.written()]
            if until > last:
                await self.shelf.finish()
            return numbers

        return asyncio.run(main())

    def written(self):
        (path,) = self.shelf._folder.glob("*.sqlite")
        return [record for record in open_recording(path).records() if record.source == "STREAM"]


def test_a_log_is_on_disk_when_it_has_settled(tmp_path):
    desk = Desk(tmp_path)
    assert desk.take(5, 9, 8) == [5, 6, 7]
    assert desk.shelf.finished == []


def test_a_log_that_was_interrupted_goes_on_in_the_same_file(tmp_path):
    Desk(tmp_path).take(5, 9, 8)
    desk = Desk(tmp_path)
    assert desk.take(8, 9, 10) == [5, 6, 7, 8, 9]
    (path,) = desk.shelf.finished
    assert open_recording(path).meta["kind"] == unfinished.LOG_KIND
    assert next(open_recording(path).records()).payload == b"info"


def test_a_log_that_was_safe_but_not_freed_goes_on_in_the_same_file(tmp_path):
    Desk(tmp_path).take(5, 9, 8)
    assert Desk(tmp_path).take(6, 9, 10) == [5, 6, 7, 6, 7, 8, 9]


def test_a_log_that_a_lost_link_interrupted_is_closed_before_it_is_gone_on_with(tmp_path):
    desk, before = Desk(tmp_path), threading.active_count()
    desk.take(5, 9, 8)
    assert desk.take(8, 9, 10) == [5, 6, 7, 8, 9]
    assert threading.active_count() == before
    assert len(desk.shelf.finished) == 1


def test_another_log_gets_a_file_of_its_own_named_by_its_beginning(tmp_path):
    Desk(tmp_path).take(5, 9, 10)
    desk = Desk(tmp_path)
    asyncio.run(desk.shelf.finish())
    asyncio.run(desk.shelf.begin(10, 12, 1_700_000_000_000_000))
    asyncio.run(desk.shelf.finish())
    assert desk.shelf.finished[0].name.startswith("2023-11-1")


def test_what_cannot_be_written_is_not_settled(tmp_path):
    desk = Desk(tmp_path)

    async def main():
        await desk.shelf.begin(1, 2, 0)
        desk.shelf._recorder._thread.join(0)
        desk.shelf._recorder._queue.put(("no SQL", ()))
        desk.shelf.record(log_packet(1))
        assert not await desk.shelf.settle()

    asyncio.run(main())
    assert "Recording stopped" in desk.shelf.problem


def test_without_a_place_to_record_to_a_log_is_not_begun(tmp_path):
    (tmp_path / "file").write_text("")
    desk = Desk(tmp_path / "file" / "folder")
    assert not asyncio.run(desk.shelf.begin(1, 2, 0))
    assert "cannot create" in desk.shelf.problem


def test_what_a_roller_said_is_known_after_a_lost_link_but_not_of_another_roller():
    """Scales and calibration are asked for once in a session, and INFO at each connection."""

    def info(seed):
        return Record(0.0, "INFO", "in", Device(seed=seed).info_payload())

    asked = Record(0.1, "CONTROL", "out", codec.encode_request("STREAM_INFO", 1, 1))
    settings = Settings()
    for record in (info(1), asked, info(1)):
        settings.keep(record)
    assert settings.records == [info(1), asked]
    settings.keep(info(2))
    assert settings.records == [info(2)]
