# SPDX-License-Identifier: MIT
"""The command line as a person or a script meets it: help, exit codes, messages, one JSON object."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sim import session

from roller_host import cli, terminal
from roller_host.pipeline import Pipeline
from roller_host.sessions.capture import header_line, record_line
from roller_host.sessions.source import guided_by
from roller_host.sessions.store import open_recording
from roller_host.signal.record import Record

ROOT = Path(__file__).parent.parent
HEAVY = ("numpy", "scipy", "bleak", "bumble", "PySide6", "pyqtgraph", "vqf", "platformdirs", "sqlite3", "asyncio")
COMMANDS = ("demo", "scan", "stream", "record", "replay", "explain", "analyse", "dashboard", "doctor")
KEYS = ("packets", "gaps", "lost_packets", "strokes", "contact_s", "force_mean_n", "rate_hz", "recording")
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def environment(folder, **changes):
    kept = {key: value for key, value in os.environ.items() if key not in DISPLAYS}
    return {**kept, "ROLLER_HOST_DATA": str(folder), "PYTHONWARNINGS": "error", **changes}


def roller_host(folder, *arguments):
    """Run the program; whatever happens, it shows no traceback."""
    command = [sys.executable, "-m", "roller_host.cli", *map(str, arguments)]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, env=environment(folder), cwd=ROOT, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


def replayed(capsys, *arguments):
    """Run `replay` in this process: exit code, stdout, stderr."""
    code = cli.main(["replay", *map(str, arguments)])
    return (code, *capsys.readouterr())


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Four seconds of the demo without a window."""
    return roller_host(tmp_path_factory.mktemp("data"), "demo", "--headless", "--seconds", "4", "--json", "--seed", "3")


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """A simulated session as a capture."""
    path = tmp_path_factory.mktemp("capture") / "a.jsonl"
    path.write_text("\n".join([header_line(), *map(record_line, session(2, 15).records)]) + "\n")
    return path


def unused_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- Help -------------------------------------------------------------------------------------------------------------

HELP = """
import contextlib, io, json, sys
from {module} import main
said = {{}}
for command in {commands}:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main([*command, "--help"])
        except SystemExit as end:
            said[" ".join(command)] = [end.code, out.getvalue()]
print(json.dumps([said, list(sys.modules)]))
"""


@pytest.mark.parametrize(
    ("module", "commands"),
    [("roller_host.cli", [[], *([name] for name in COMMANDS)]), ("simulator.cli", [[], ["run"]])],
)
def test_help_is_light(module, commands):
    script = HELP.format(module=module, commands=commands)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    said, modules = json.loads(done.stdout)
    assert len(said) == len(commands)
    for code, text in said.values():
        assert code == 0
        assert "usage:" in text
    # The simulator's command line needs asyncio for its own main, and that is light enough.
    heavy = HEAVY if module == "roller_host.cli" else HEAVY[:-1]
    assert not {name for name in modules if name.split(".")[0] in heavy}


def test_help_lists_every_command_and_exit_code(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    assert all(f"{code} " in text.split("exit codes")[1] for code in (0, 2, 3, 4, 5))


def test_no_command_is_bad_input(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([])
    assert end.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf", ""])
@pytest.mark.parametrize("command", ["demo", "scan", "stream", "dashboard"])
def test_bad_seconds_are_bad_input(capsys, command, seconds):
    with pytest.raises(SystemExit) as end:
        cli.main([command, f"--seconds={seconds}"])
    assert end.value.code == 2
    assert "is not a number of seconds" in capsys.readouterr().err


def test_bad_seed_is_bad_input(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["demo", "--seed", "-3"])
    assert end.value.code == 2
    assert "--seed" in capsys.readouterr().err


# --- A session --------------------------------------------------------------------------------------------------------


def test_demo_prints_exactly_one_json_object(demo):
    assert demo.returncode == 0, demo.stderr
    assert demo.stderr == ""
    assert len(demo.stdout.splitlines()) == 1
    assert set(KEYS) <= set(json.loads(demo.stdout))


def test_demo_measures_the_simulated_roller(demo):
    result = json.loads(demo.stdout)
    assert (result["gaps"], result["lost_packets"], result["bad_payloads"]) == (0, 0, 0)
    assert result["packets"] > 30
    assert result["rate_hz"] == pytest.approx(result["simulator"]["imu_rate_hz"], rel=0.005)
    assert result["simulator"]["seed"] == 3


def test_demo_is_recorded_where_it_says(demo):
    recording = Path(json.loads(demo.stdout)["recording"])
    assert [path.name for path in recording.parent.iterdir()] == [recording.name]


def test_replay_of_the_demo_gives_the_live_numbers_and_every_time_the_same(demo, capsys):
    live = json.loads(demo.stdout)
    runs = [replayed(capsys, live["recording"], "--json") for _ in range(2)]
    assert runs[0] == runs[1]
    code, out, err = runs[0]
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["matches_live"] is True
    same = set(live) - {"simulator", "recording", "enough_for_today"}
    assert {key: result[key] for key in same} == {key: live[key] for key in same}


def test_replay_without_json_is_for_people(demo, capsys):
    code, out, err = replayed(capsys, json.loads(demo.stdout)["recording"])
    assert (code, err) == (0, "")
    assert "packets at" in out
    assert "0 gaps" in out


def test_recording_to_an_existing_file_is_refused(tmp_path):
    path = tmp_path / "mine.sqlite"
    path.write_text("precious")
    done = roller_host(tmp_path, "demo", "--headless", "--seconds", "2", "--json", "--out", path)
    assert done.returncode == 2
    assert "mine.sqlite exists already" in done.stderr
    assert "mine.sqlite exists already" in json.loads(done.stdout)["error"]
    assert path.read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_interrupted_session_ends_in_good_order(tmp_path):
    out = tmp_path / "a.sqlite"
    command = [sys.executable, "-u", "-m", "roller_host.cli", "demo", "--headless", "--out", str(out)]
    running = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path), cwd=ROOT
    )
    with running:
        first_stroke = running.stdout.readline()
        running.send_signal(signal.SIGINT)
        rest, err = running.communicate(timeout=30)
    assert "N\n" in first_stroke
    assert (running.returncode, err) == (0, "")
    assert f"recording: {out}" in rest
    with closing(sqlite3.connect(out)) as db:
        assert db.execute("SELECT count(*) FROM estimates").fetchone() == (1,)


FILLING_DISK = """
import resource, sys
from roller_host.cli import main
from roller_host.sessions.store import Recorder
begin = Recorder.__init__
def begin_and_fill_the_disk(*arguments):
    begin(*arguments)
    resource.setrlimit(resource.RLIMIT_FSIZE, (36_000, 36_000))
Recorder.__init__ = begin_and_fill_the_disk
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on file sizes")
def test_full_disk_is_said_and_the_numbers_are_still_there(tmp_path):
    arguments = ["demo", "--headless", "--seconds", "2", "--json"]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", FILLING_DISK, *arguments],
        capture_output=True, text=True, env=environment(tmp_path), cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Recording stopped" in done.stderr
    result = json.loads(done.stdout)
    assert "Recording stopped" in result["error"]
    assert result["packets"] > 20


# --- No session -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["scan", "stream"])
def test_unknown_radio_is_bad_input_and_the_message_names_what_there_is(tmp_path, command):
    done = roller_host(tmp_path, command, "--radio", "carrier-pigeon", "--json", "--seconds", "1")
    assert done.returncode == 2
    assert "carrier-pigeon" in done.stderr
    assert "tcp:HOST:PORT" in done.stderr
    assert "error" in json.loads(done.stdout)


@pytest.mark.parametrize("command", ["scan", "record"])
def test_nothing_listening_is_said_with_its_address(tmp_path, command):
    port = unused_port()
    done = roller_host(tmp_path, command, "--radio", f"tcp:127.0.0.1:{port}", "--json", "--seconds", "1")
    assert done.returncode == 3
    assert str(port) in done.stderr
    assert ".." not in done.stderr
    assert "error" in json.loads(done.stdout)
    assert not list(tmp_path.rglob("*.sqlite"))


def test_dashboard_without_a_display_says_so(tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("other systems always have a display")
    for command in ("dashboard", "demo"):
        done = roller_host(tmp_path, command)
        assert done.returncode == 2
        assert "display" in done.stderr
        assert "--headless" in done.stderr


# --- Replay of what is no recording -----------------------------------------------------------------------------------


LYMPH = ROOT / "simulator" / "routines" / "lymph.toml"


def test_a_routine_is_the_prior_of_a_session_and_recorded_with_it(tmp_path):
    arguments = ("demo", "--headless", "--seconds", "1", "--json", "--routine", LYMPH)
    done = json.loads(roller_host(tmp_path, *arguments).stdout)
    params = json.loads(open_recording(Path(done["recording"])).meta["params"])
    assert len(params["routine"]) == len(guided_by(LYMPH)) > 5


def test_a_routine_can_be_told_afterwards(demo, tmp_path, capsys):
    recording = json.loads(demo.stdout)["recording"]
    code = cli.main(["analyse", recording, "--out", str(tmp_path / "a"), "--json", "--routine", str(LYMPH)])
    assert code == 0
    assert "lymph.toml" in json.loads(capsys.readouterr().out)["parameters_from"]


@pytest.mark.parametrize("text", [None, "steps = 3"])
def test_what_is_no_routine_is_bad_input_before_anything_begins(tmp_path, text):
    path = tmp_path / "routine.toml"
    if text:
        path.write_text(text)
    done = roller_host(tmp_path, "demo", "--headless", "--seconds", "1", "--routine", path)
    assert done.returncode == 2
    assert "routine" in done.stderr
    assert not list(tmp_path.glob("recordings/*"))


def test_missing_file_is_bad_input(tmp_path, capsys):
    code, out, err = replayed(capsys, tmp_path / "nowhere.sqlite")
    assert (code, out) == (2, "")
    assert err == f"roller-host: there is no file {tmp_path / 'nowhere.sqlite'}\n"


def test_error_is_in_the_json_too(tmp_path, capsys):
    code, out, err = replayed(capsys, tmp_path / "nowhere.sqlite", "--json")
    assert code == 2
    assert json.loads(out)["error"] in err


def test_file_that_is_no_recording_is_bad_input(tmp_path, capsys):
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, out, err = replayed(capsys, tmp_path / "cat.png")
    assert (code, out) == (2, "")
    assert "cat.png" in err
    assert len(err.splitlines()) == 1


def test_capture_is_replayed(capture, capsys):
    code, out, err = replayed(capsys, capture, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["strokes"] > 0
    assert result["matches_live"] is None


def test_capture_without_a_dialogue_says_what_is_assumed(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    streamed = [one for one in session(2, 15).records if one.source == "STREAM"]
    path.write_text("\n".join([header_line(), *map(record_line, streamed[:50])]) + "\n")
    code, _, err = replayed(capsys, path, "--json")
    assert code == 0
    assert "CALIBRATION, GEOMETRY, STREAM_INFO" in err


def test_garbage_in_mid_stream_is_counted_and_no_failure(capture, tmp_path, capsys):
    lines = capture.read_text().splitlines()
    spoilt = tmp_path / "spoilt.jsonl"
    noise = record_line(Record(3.0, "STREAM", "in", b"\xff\xff"))
    spoilt.write_text("\n".join([*lines[:60], noise, *lines[60:]]))
    code, out, _ = replayed(capsys, spoilt, "--json")
    assert code == 0
    assert json.loads(out)["bad_payloads"] == 1


def test_nothing_but_garbage_is_bad_input(tmp_path, capsys):
    path = tmp_path / "noise.jsonl"
    path.write_text("\n".join([header_line(), record_line(Record(0.0, "STREAM", "in", b"\x11"))]))
    code, _, err = replayed(capsys, path)
    assert code == 2
    assert "could be replayed" in err


def test_recording_of_another_protocol_is_incompatible(tmp_path, capsys):
    path = tmp_path / "future.jsonl"
    info = session(2, 15).records[0]
    path.write_text("\n".join([header_line(), record_line(info._replace(payload=b"\x02" + info.payload[1:]))]))
    code, _, err = replayed(capsys, path)
    assert code == 5
    assert "protocol 2.x" in err


def test_difference_to_the_live_session_is_said(demo, tmp_path, capsys):
    path = tmp_path / "a.sqlite"
    path.write_bytes(Path(json.loads(demo.stdout)["recording"]).read_bytes())
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE estimates SET value = ?", (json.dumps(Pipeline().summary()),))
        db.commit()
    code, out, err = replayed(capsys, path, "--json")
    assert code == 0
    assert json.loads(out)["matches_live"] is False
    assert "differ" in err


def test_a_mistake_in_the_program_becomes_a_sentence_and_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))

    def fail():
        raise KeyError("of ours")

    assert terminal.guarded(fail) == 1

    said = capsys.readouterr().err
    assert "KeyError" in said
    assert "Traceback" not in said
    assert "of ours" in (tmp_path / "last-error.txt").read_text(encoding="utf-8")


def test_ctrl_c_in_a_replay_ends_without_a_traceback(capsys):
    def interrupted():
        raise KeyboardInterrupt

    assert terminal.guarded(interrupted) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_capture_without_stream_payloads_is_bad_input(tmp_path, capsys):
    path = tmp_path / "empty.jsonl"
    path.write_text(header_line() + "\n")
    code, _, err = replayed(capsys, path)
    assert code == 2
    assert "no STREAM payload" in err


def test_a_byte_order_mark_before_a_capture_is_skipped(tmp_path, capsys):
    path = tmp_path / "bom.jsonl"
    lines = [header_line(), *(record_line(record) for record in session(2, 15).records)]
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    assert replayed(capsys, path)[0] == 0


def test_json_of_a_window_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--json"])
    assert ended.value.code == 2
    assert "--headless" in capsys.readouterr().err
