# SPDX-License-Identifier: MIT
"""``roller-host calibrate comfort``: against the demo's hands, and what it refuses."""

import json

import pytest

from roller_host import cli, comfort_commands
from roller_host.guide.comfort import ComfortGuideParams
from roller_host.guide.turns import Rests
from roller_host.sessions import people
from roller_host.sessions.person import Person
from roller_host.signal.limits import LimitParams, Origin


@pytest.fixture(autouse=True)
def data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
    return tmp_path


def calibrate(capsys, *words):
    code = cli.main(["calibrate", "comfort", *words, "--json"])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, json.loads(out), err


def test_the_demo_finds_bands_and_keeps_them(capsys, monkeypatch):
    quick = ComfortGuideParams(rests=Rests(0.3, 0.3), n_taps=3, limits=LimitParams(n_ramps=1))
    monkeypatch.setattr(comfort_commands, "PARAMS", quick)
    code, found, err = calibrate(capsys, "--radio", "demo", "--seed", "4", "--zones", "left temple", "--person", "Ann")
    assert code == 0, err
    temple = next(one for one in found["bands"] if one["place"] == "left temple")
    assert temple["origin"] == "measured"
    assert 0 < temple["low_n"] < temple["firm_n"] < temple["limit_n"] < temple["ceiling_n"] == 6.0
    assert temple["limit_kpa"] == pytest.approx(temple["limit_n"] / 0.15)
    assert {one["origin"] for one in found["bands"]} == {"measured", "inferred"}
    assert len(found["bands"]) == 15
    assert 0.1 < found["reaction_s"] < 0.7
    assert found["measured"] == {"left temple": 1}
    assert "Mark when it is pleasantly firm" in err
    assert people.find("Ann").bands["temple", "left"].origin is Origin.MEASURED


def test_a_roller_that_is_not_calibrated_is_refused_with_the_way_forward(capsys):
    code, found, _ = calibrate(capsys, "--radio", "demo:uncalibrated")
    assert code == 2
    assert "roller-host calibrate force" in found["error"]
    assert people.load_all() == []


@pytest.mark.parametrize(("words", "said"), [
    (("--zones", "nose"), "no place 'nose'"),
    (("--zones", ","), "--zones names no place"),
    (("--exclude", "left ear"), "no place 'left ear'"),
    (("--person", " "), "1 to 40 printable characters"),
    (("--person", ""), "1 to 40 printable characters"),
    (("--continue",), "no calibration of Demo was interrupted"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_before_connecting(capsys, words, said):
    code, found, err = calibrate(capsys, "--radio", "demo", *words)
    assert code == 2
    assert said in found["error"]
    assert said in err


def test_radio_that_is_none_keeps_its_exit_code(capsys):
    code, found, _ = calibrate(capsys, "--radio", "bogus")
    assert code == 2
    assert found["error"]


def test_who_leaves_every_place_out_is_told_so_at_once(capsys):
    code, found, _ = calibrate(capsys, "--radio", "demo", "--zones", "neck", "--exclude", "neck")
    assert code == 2
    assert "all of these places are left out for Demo" in found["error"]


def test_places_to_leave_out_are_kept_before_anything_is_measured(capsys):
    people.save(Person("Ann"))
    calibrate(capsys, "--radio", "demo:uncalibrated", "--person", "Ann", "--exclude", "left cheek, neck")
    assert set(people.find("Ann").excluded) == {("cheek", "left"), ("neck", "left"), ("neck", "right")}
