# SPDX-License-Identifier: MIT
"""What the pages say is true: examples run, commands exist, links lead somewhere."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest

from roller_host import cli
from roller_host.app.live import Options
from roller_host.commands import run_replay
from roller_host.people_commands import starting_table
from simulator import cli as simulator_cli
from simulator import witness
from simulator.body.people import PEOPLE
from simulator.scenario import parse_scenario

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("hardware/*.md")])


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_capture_example_runs_and_replays(tmp_path, monkeypatch, capsys):
    (script,) = blocks(ROOT / "docs" / "capture.md", "python")
    (tmp_path / "example.py").write_text(script, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")

    assert run_replay(Path("still.jsonl"), Options()) == 0

    report = capsys.readouterr()
    assert "80 packets at 100.00 Hz, 0 gaps" in report.out
    assert report.out.startswith("0 strokes")
    assert "the reference device's is assumed" in report.err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_command_in_the_readme_is_one_that_the_program_takes():
    parser = cli.build_parser()
    lines = [line.split("#")[0] for block in blocks(ROOT / "README.md", "bash") for line in block.splitlines()]
    commands = [line[line.index("roller-host") :] for line in lines if re.search(r"roller-host (?!/)", line)]
    assert len(commands) >= 7
    for command in commands:
        parser.parse_args(shlex.split(command)[1:])


def test_every_simulator_command_in_the_readme_is_one_that_it_takes():
    parser = simulator_cli.build_parser()
    lines = [line.split("#")[0] for block in blocks(ROOT / "README.md", "bash") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("roller-sim")]
    assert len(commands) >= 3
    for command in commands:
        parser.parse_args(shlex.split(command)[1:])


def test_the_readme_describes_every_column_of_the_truth_with_its_unit():
    text = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- truth -->")[2].partition("<!-- /truth -->")[0]
    )
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", text, flags=re.MULTILINE)
    columns = (*witness.TRUTH_COLUMNS, *witness.STROKE_COLUMNS)
    assert rows == [(name, unit or "-", meaning or "as above") for name, unit, meaning in columns]


def test_the_scenario_example_is_one():
    (text,) = blocks(ROOT / "docs" / "scenarios.md", "toml")
    example = parse_scenario("example", text)
    assert (example.person, len(example.incidents)) == ("beginner", 1)


def test_the_scenario_page_names_everybody():
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)`", page.partition("People: ")[2].partition(". A seed")[0])
    assert named == list(PEOPLE)


def test_the_table_of_starting_bands_is_the_programs():
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    assert f"<!-- bands -->\n{starting_table()}<!-- /bands -->" in page


def test_every_command_of_the_calibration_page_is_one_that_the_program_takes():
    parser = cli.build_parser()
    lines = [
        line.split("#")[0] for block in blocks(ROOT / "docs" / "calibration.md", "bash") for line in block.splitlines()
    ]
    commands = [line for line in lines if line.startswith("roller-host ")]
    assert len(commands) >= 15
    for command in commands:
        parser.parse_args(shlex.split(command)[1:])
