# SPDX-License-Identifier: MIT
"""Calibrations that were made: none is lost, any can be gone back to, and the one in use is the one that counts."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from firmware_protocol import codec, reference
from roller_host.cli import main
from roller_host.pipeline import Pipeline
from roller_host.sessions import calibrations
from roller_host.sessions.calibrations import Made, Point
from roller_host.sessions.errors import SessionError
from roller_host.sessions.source import params_from_json, params_json
from roller_host.signal.calibration import DeviceModel, KeptCalibration
from roller_host.signal.core import SignalParams
from roller_host.signal.force import ForceParams, sensitivity_sigma
from simulator.firmware.device import Build, Device
from tests.sim import Dialogue

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
ID = "00112233445566ff"


def record(gain=1.1, date=NOW, **changed):
    made = reference.CALIBRATION._replace(
        flags=3, n_per_count=gain * reference.N_PER_COUNT, unix_date_s=int(date.timestamp()), temp_ref_c=22.0, **changed
    )
    return codec.decode_record("CALIBRATION", codec.encode_record("CALIBRATION", made))


def made(gain=1.1, date=NOW, **changed):
    encoded = codec.encode_record("CALIBRATION", record(gain, date)).hex()
    return Made(ID, 0, date.isoformat(), "weights", encoded, (Point(0.5, 4.9, 12345.0, 0.01),), 0.003, 22.0, **changed)


def test_every_calibration_stays_and_the_newest_is_in_use(tmp_path):
    for gain in (1.0, 1.1, 1.2):
        calibrations.keep(made(gain), NOW, tmp_path)
    entries = calibrations.load(ID, folder=tmp_path)
    assert [entry.number for entry in entries] == [1, 2, 3]
    assert [entry.in_use for entry in entries] == [False, False, True]
    assert entries[1].made == made(1.1)
    assert entries[1].made.calibration == record(1.1)
    assert calibrations.device_ids(tmp_path) == [ID]
    assert calibrations.load("ffff", folder=tmp_path) == []
    assert calibrations.load(ID, head=1, folder=tmp_path) == []


def test_any_earlier_one_can_be_gone_back_to_and_forward_again(tmp_path):
    for gain in (1.0, 1.1, 1.2):
        calibrations.keep(made(gain), NOW, tmp_path)
    assert calibrations.choose(ID, None, NOW, folder=tmp_path).number == 2
    later = NOW + timedelta(days=3)
    assert calibrations.choose(ID, 1, later, folder=tmp_path).made == made(1.0)
    assert calibrations.kept(ID, folder=tmp_path) == KeptCalibration(record(1.0), ID, int(later.timestamp()))
    assert calibrations.choose(ID, 3, later, folder=tmp_path).number == 3
    assert len(calibrations.load(ID, folder=tmp_path)) == 3


@pytest.mark.parametrize("number", [None, 0, 2, -1])
def test_there_is_nothing_before_the_first_one(tmp_path, number):
    with pytest.raises(SessionError, match="none was ever stored"):
        calibrations.choose(ID, number, NOW, folder=tmp_path)
    calibrations.keep(made(), NOW, tmp_path)
    with pytest.raises(SessionError, match="there are 1, numbered from 1"):
        calibrations.choose(ID, number, NOW, folder=tmp_path)


def test_a_line_that_was_cut_off_or_makes_no_sense_spoils_no_other(tmp_path):
    path = calibrations.keep(made(1.0), NOW, tmp_path)
    whole = path.read_text()
    broken = json.loads(whole) | {"record": "00" * 32}
    path.write_text(whole + json.dumps(broken) + "\n[1]\n" + '{"event": "chosen", "number": 9}\n' + whole[:40])
    calibrations.keep(made(1.2), NOW, tmp_path)
    entries = calibrations.load(ID, folder=tmp_path)
    assert [entry.made for entry in entries] == [made(1.0), made(1.2)]
    assert entries[1].in_use


def test_a_store_that_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match="cannot store the calibration in"):
        calibrations.keep(made(), NOW, tmp_path / "file")


@pytest.mark.parametrize(
    ("changed", "later", "temp_c", "hint"),
    [
        ({}, timedelta(days=30), 25.0, ""),
        ({}, timedelta(days=200), None, "200 days old"),
        ({}, timedelta(days=1), 38.0, "at 22 degrees C, and the roller has 38"),
        ({"flags": 2}, timedelta(), None, "never calibrated with weights"),
    ],
)
def test_age_and_temperature_call_for_a_new_calibration(changed, later, temp_c, hint):
    encoded = codec.encode_record("CALIBRATION", record()._replace(**changed)).hex()
    told = calibrations.expiry(Made(ID, 0, "", "weights", encoded), NOW + later, temp_c)
    assert hint in told
    assert bool(told) == bool(hint)


# --- Use --------------------------------------------------------------------------------------------------------------


def met(calibration, own=None, build=None, head=0):
    """A pipeline that has met a device; ``own`` is the record in it."""
    device = Device(7, build=build)
    if own is not None:
        device.senses.calibration = own
    kept = calibration and KeptCalibration(calibration[0], device.device_id.hex(), calibration[1], head)
    host = Dialogue(device)
    host.connect()
    pipeline = Pipeline(SignalParams(calibration=kept))
    for one in host.records:
        pipeline.feed(one)
    return pipeline


def test_what_the_host_keeps_is_used_unless_the_device_has_a_newer_one():
    own = record(1.3, NOW)
    assert met(None, own).model.calibration == own
    assert met((record(1.1), NOW_S), own).model.calibration == record(1.1)
    assert met((record(1.1), NOW_S - 1), own).model.calibration == own
    assert met((record(1.1), NOW_S - 1), own).device_calibration == own


def test_an_old_calibration_that_was_chosen_again_beats_a_record_from_between():
    between = record(1.3, NOW)
    old = record(1.0, NOW - timedelta(days=90))
    assert met((old, NOW_S + 5), between).model.calibration == old


def test_a_calibration_of_another_roller_is_not_used():
    pipeline = met(None)
    other = Pipeline(SignalParams(calibration=KeptCalibration(record(2.0), ID, NOW_S)))
    host = Dialogue(Device(7))
    host.connect()
    for one in host.records:
        other.feed(one)
    assert other.model.calibration == pipeline.model.calibration


def test_a_calibration_of_another_head_is_not_used():
    own = record(1.3, NOW)
    assert met((record(1.1), NOW_S), own, head=1).model.calibration == own


def test_a_summary_says_whether_force_is_calibrated():
    assert met(None).summary()["calibrated"]
    assert not met(None, build=Build(calibrated=False)).summary()["calibrated"]
    assert met((record(), NOW_S), build=Build(calibrated=False)).summary()["calibrated"]


def test_parameters_remember_the_calibration_to_the_last_bit():
    params = SignalParams(calibration=KeptCalibration(record(1.0 / 3.0), ID, NOW_S), began_s=NOW_S)
    assert params_from_json(params_json(params)) == params
    without = json.loads(params_json(SignalParams()))
    del without["calibration"], without["began_s"]
    assert params_from_json(json.dumps(without)) == SignalParams()


# --- Uncertainty ------------------------------------------------------------------------------------------------------


def sigma(session=NOW, **changed):
    model = DeviceModel(calibration=record()._replace(**changed), session_s=int(session.timestamp()) if session else 0)
    return sensitivity_sigma(ForceParams(), model)


def test_the_uncertainty_of_the_sensitivity_grows_with_residuals_and_age():
    fresh = sigma()
    assert fresh == pytest.approx(ForceParams().sensitivity_sigma, rel=0.01)
    year = sigma(NOW + timedelta(days=365.25))
    assert year**2 == pytest.approx(fresh**2 + ForceParams().ageing_sigma ** 2, rel=1e-3)
    assert sigma(None) == sigma(unix_date_s=0) == pytest.approx(year, rel=1e-6)
    assert sigma(NOW - timedelta(days=9)) == fresh
    assert sigma(max_error_n=0.5) > fresh + 0.005
    assert sigma(flags=0) == ForceParams().nominal_sigma


def damaged(tmp_path, **changes):
    """Two calibrations on disk, the second one changed by hand."""
    for gain in (1.0, 1.1):
        path = calibrations.keep(made(gain), NOW, tmp_path)
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{json.dumps(json.loads(second) | changes)}\n")
    return path


@pytest.mark.parametrize("changes", [
    {"date": "yesterday"}, {"date": 5}, {"sigma": "q"}, {"temp_c": []}, {"head": "0"}, {"device_id": "ff" * 8},
    {"points": [{"mass_kg": "a", "load_n": 1.0, "counts": 1.0, "residual_n": 0.0}]}, {"points": [3]},
    {"points": [{"mass_kg": 1.0, "load_n": 1.0, "counts": 1.0, "residual_n": float("nan")}]},
])  # fmt: skip
def test_a_calibration_that_makes_no_sense_is_passed_over(tmp_path, changes):
    damaged(tmp_path, **changes)
    assert [one.made for one in calibrations.load(ID, folder=tmp_path)] == [made(1.0)]


@pytest.mark.parametrize("unix_s", [None, "abc", float("inf"), [1]])
def test_a_damaged_date_of_the_choice_is_that_of_nobody(tmp_path, unix_s):
    damaged(tmp_path, unix_s=unix_s)
    assert [one.chosen_s for one in calibrations.load(ID, folder=tmp_path)] == [NOW_S, 0]


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
def test_one_damaged_line_does_not_hide_the_others(tmp_path, junk):
    path = calibrations.keep(made(), NOW, tmp_path)
    path.write_bytes(junk + path.read_bytes())
    assert [one.made for one in calibrations.load(ID, folder=tmp_path)] == [made()]


def test_what_cannot_be_opened_is_said_and_not_taken_for_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
    (tmp_path / "calibrations" / f"{ID}-0.jsonl").mkdir(parents=True)
    with pytest.raises(SessionError, match="cannot read the calibrations"):
        calibrations.in_use(ID)
    assert main(["calibrate", "list"]) == 2
    assert "cannot read the calibrations" in capsys.readouterr().err
