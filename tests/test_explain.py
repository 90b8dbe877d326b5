# SPDX-License-Identifier: MIT
"""The command `explain`: why an alert was given, from a file alone; what of the cues can be chosen for a session."""

import json

import pytest
from sim import session
from test_cli import roller_host

from roller_host import cli, commands
from roller_host.cues.words import explain
from roller_host.pipeline import Pipeline
from roller_host.sessions.capture import header_line, record_line
from roller_host.signal.comfort import Comfort
from simulator.body.people import Habits


@pytest.fixture(scope="module")
def records():
    return session(101, 40, Habits(firmness=2.0, heavy=0.3)).records


@pytest.fixture(scope="module")
def capture(tmp_path_factory, records):
    """Somebody who presses too hard, as a capture."""
    path = tmp_path_factory.mktemp("capture") / "a.jsonl"
    path.write_text("\n".join([header_line(), *map(record_line, records)]) + "\n")
    return path


@pytest.fixture(scope="module")
def cues(records):
    pipeline = Pipeline()
    return [cue for record in records if (one := pipeline.feed(record)) for cue in one.cues]


def explained(capsys, *arguments):
    code = cli.main(["explain", *map(str, arguments)])
    return (code, *capsys.readouterr())


def test_every_alert_is_explained_and_nothing_else(capture, cues, capsys):
    alerts = [cue for cue in cues if cue.comfort in (Comfort.TOO_HARD, Comfort.STOP)]
    assert 3 < len(alerts) < len(cues)
    code, out, _ = explained(capsys, capture)
    assert code == 0
    assert out.splitlines() == [f"{cue.t_s:8.2f} s  {explain(cue, {})}" for cue in alerts]


def test_the_same_as_values(capture, cues, capsys):
    code, out, _ = explained(capsys, capture, "--json")
    (line,) = out.splitlines()
    first = json.loads(line)["cues"][0]
    cue = next(cue for cue in cues if cue.comfort in (Comfort.TOO_HARD, Comfort.STOP))
    assert code == 0
    assert (first["t_s"], first["force_n"], first["threshold_n"]) == (cue.t_s, cue.force_n, cue.threshold_n)
    assert (first["comfort"], first["zone"], first["personal"]) == (cue.comfort.name, cue.zone, False)
    assert first["explanation"] == explain(cue, {})


def test_a_moment_is_explained_by_the_cue_that_held_then(capture, cues, capsys):
    before, after = cues[4], cues[5]
    _, out, _ = explained(capsys, capture, "--at", f"{(before.t_s + after.t_s) / 2:.6f}")
    assert out == f"{before.t_s:8.2f} s  {explain(before, {})}\n"


def test_a_moment_before_the_first_cue_is_bad_input(capture, cues, capsys):
    code, out, err = explained(capsys, capture, "--at", "0")
    assert (code, out) == (2, "")
    assert f"the first cue comes at {cues[0].t_s:.2f} s" in err


def test_a_file_without_alerts_says_so(tmp_path, capsys):
    path = tmp_path / "light.jsonl"
    records = session(102, 8).records
    path.write_text("\n".join([header_line(), *map(record_line, records)]) + "\n")
    code, out, _ = explained(capsys, path)
    assert (code, out) == (0, "No alert: the force was never above a limit for long, and nothing was lost.\n")


@pytest.mark.parametrize("at", ["soon", "-1", "nan"])
def test_a_moment_that_is_none_is_bad_input(capture, capsys, at):
    with pytest.raises(SystemExit) as end:
        cli.main(["explain", str(capture), f"--at={at}"])
    assert end.value.code == 2
    assert "is not a time in seconds" in capsys.readouterr().err


def test_a_file_that_is_none_is_bad_input(tmp_path, capsys):
    code, _, err = explained(capsys, tmp_path / "gone.sqlite")
    assert code == 2
    assert "there is no file" in err


# --- What can be chosen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ([], (None, False, True)),
        (["--sound"], (True, False, True)),
        (["--no-sound", "--no-haptics"], (False, False, False)),
        (["--mute"], (None, True, True)),
    ],
)
@pytest.mark.parametrize("command", [["stream"], ["record"], ["demo", "--headless"]])
def test_cues_are_chosen_on_the_command_line(monkeypatch, command, words, chosen):
    asked = []
    monkeypatch.setattr(commands, "run_headless", lambda options, _: asked.append(options) or 0)
    assert cli.main([*command, *words]) == 0
    assert (asked[0].sound, asked[0].muted, asked[0].haptics) == chosen


def test_sound_where_there_is_none_is_one_line_and_no_error(tmp_path):
    done = roller_host(tmp_path, "demo", "--headless", "--seconds", "2", "--sound", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["packets"] > 0
    lines = done.stderr.splitlines()
    assert [line for line in lines if not line.startswith("No sound: ")] == []
    assert len(lines) <= 1
