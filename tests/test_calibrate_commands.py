# SPDX-License-Identifier: MIT
"""The commands that calibrate, as a person or a script meets them."""

import asyncio
import io
import json
import sys
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hosted import roller
from test_cli import roller_host

from firmware_protocol import codec, reference
from roller_host import calibrate_commands, cli
from roller_host.app import calibrating
from roller_host.app.calibrating import ForceCalibration
from roller_host.guide.step import Task
from roller_host.pipeline import Pipeline
from roller_host.sessions import calibrations
from roller_host.sessions.calibrations import Made
from roller_host.sessions.source import params_from_json
from roller_host.sessions.store import open_recording
from roller_host.signal.calibration import DeviceModel
from roller_host.signal.core import SignalParams
from roller_host.signal.record import Record
from simulator.body.scripted import ScriptedHand, Slips
from simulator.firmware.device import Build, Device
from simulator.generate import Dialogue
from simulator.hardware.flaws import Flaws


class Hands:
    """The demo's hands."""

    def __init__(self, device):
        self.device = device

    def obey(self, order):
        hand = self.device.hand
        if order.task is Task.LOAD:
            hand.hang(order.mass_kg)
        elif order.task is not Task.BUTTON:
            {Task.REST: hand.still, Task.TUMBLE: hand.tumble}[order.task]()

    def release(self):
        self.device.hand.release()


class Quick:
    """Stands in for a live session: the same device, host and hands, but faster than real time."""

    device = None

    def __init__(self, _options, on_estimates, _on_state, _on_battery):
        self.pipeline = Pipeline(SignalParams())
        self.bookmark, self.control = Quick.device, None
        self.outputs = SimpleNamespace(hold_back=lambda: None)
        self._on_estimates = on_estimates

    async def run(self, _radio, stop):
        host = Dialogue(Quick.device, self._take)
        host.connect()
        host.start()
        for _ in range(2000):
            if stop.is_set():
                return
            host.pass_time(0.1)
            await asyncio.sleep(0)
        raise TimeoutError

    def _take(self, payload):
        if (estimates := self.pipeline.feed(Record(*payload))) is not None:
            self._on_estimates(estimates)


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """Run a calibration of a cell that is far off, by hands with these slips: exit code, result."""

    def run(*arguments, hands=True, **slips):
        Quick.device = Device(
            104, None, Flaws(sensitivity=0.12), hand=ScriptedHand(104, slips=Slips(**slips)),
            build=Build(calibrated=False),
        )  # fmt: skip

        @asynccontextmanager
        async def open_world(spec, seed, passkey, on_hands):
            if hands:
                on_hands(Hands(Quick.device))
            yield None, {"seed": seed}

        monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
        monkeypatch.setattr(calibrate_commands, "open_world", open_world)
        monkeypatch.setattr(calibrate_commands, "LiveRun", Quick)
        return cli.main(["calibrate", "force", "--radio", "demo", "--json", *arguments])

    return run


def test_known_weights_give_newtons_and_a_place_to_find_them(quick, capsys):
    assert quick("--weights", "0.2,500 g,2") == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    sensors = Quick.device.senses.sensors
    assert result["n_per_count"] == pytest.approx(sensors.n_per_count, rel=0.005)
    assert result["head_mass_g"] == pytest.approx(1e3 * sensors.head_mass_kg, abs=2)
    assert result["device_id"] == Quick.device.device_id.hex()
    assert len(result["residuals_n"]) == 3
    assert max(map(abs, result["residuals_n"])) <= result["max_error_n"] < 0.05
    assert {"date", "temp_c", "zero_counts", "sensitivity_sigma_percent", "points"} <= result.keys()
    assert "about 0.8 min" in err
    # What was in the roller is the first to go back to.
    methods = [entry.made.method for entry in calibrations.load(result["device_id"])]
    assert methods == ["device", "weights"]
    assert Path(result["stored"]).exists()
    assert calibrations.in_use(result["device_id"]).made.calibration.flags == 3

    assert cli.main(["calibrate", "list", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["calibrations"]
    assert (first["in_use"], second["in_use"]) == (False, True)
    assert second["n_per_count"] == pytest.approx(result["n_per_count"], rel=1e-6)
    assert cli.main(["calibrate", "undo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "device"
    assert cli.main(["calibrate", "undo", "--to", "2", "--device", result["device_id"]]) == 0
    assert "in use from the next session on" in capsys.readouterr().out
    assert cli.main(["calibrate", "undo", "--to", "7", "--json"]) == 2
    assert "there are 2, numbered from 1" in json.loads(capsys.readouterr().out)["error"]


def test_nowhere_to_store_it_ends_with_the_reason(quick, capsys, tmp_path):
    (tmp_path / "calibrations").write_text("a file where the folder should be")
    assert quick("--weights", "0.2,2") == 2
    assert "annot read the calibrations" in json.loads(capsys.readouterr().out)["error"]


def test_weights_that_contradict_each_other_are_refused_with_the_reason(quick, capsys, tmp_path):
    assert quick("--weights", "0.2,0.5,1.0,2.0", other_kg={0.5: 0.6}) == 2
    out, err = capsys.readouterr()
    assert "the 0.5 kg reading is 0.9" in json.loads(out)["error"].lower()
    assert "remove it" in err
    assert not (tmp_path / "calibrations").exists()


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("0.5", "one mass beside the empty roller"),
        ("0.5,0.5", "one mass beside the empty roller"),
        ("0.5,-1", "-1 kg is no mass"),
        ("0,1", "0 kg is no mass"),
        ("0.5,nan", "is no mass"),
        ("0.5,10", "10 kg pulls with 98.1 N"),
        ("0.5,heavy", "'heavy' is no mass"),
        ("0.5,", "'' is no mass"),
        ("", "'' is no mass"),
    ],
)
def test_a_list_that_can_make_no_calibration_is_bad_input_before_anything_hangs(weights, reason, capsys):
    assert cli.main(["calibrate", "force", "--weights", weights, "--radio", "demo", "--json"]) == 2
    out, err = capsys.readouterr()
    assert reason in json.loads(out)["error"]
    assert reason in err


def test_a_load_beyond_the_cell_of_this_roller_ends_it_with_the_reason(quick, capsys, monkeypatch):
    monkeypatch.setattr(DeviceModel, "range_n", 10.0)
    assert quick("--weights", "0.2,2.0,0.5") == 2
    assert "2 kg pulls with 19.6 N, more than the 10 N" in json.loads(capsys.readouterr().out)["error"]


def test_ending_it_changes_nothing(quick, capsys, monkeypatch, tmp_path):
    async def end(_live, _radio, stop):
        stop.set()

    monkeypatch.setattr(Quick, "run", end)
    assert quick("--weights", "0.2,0.5") == 130
    assert not (tmp_path / "calibrations").exists()


def test_the_demo_has_no_scale(capsys):
    assert cli.main(["calibrate", "force", "--scale", "--radio", "demo", "--json"]) == 2
    assert "leave out --scale" in json.loads(capsys.readouterr().out)["error"]


def test_nothing_was_calibrated_yet(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
    assert cli.main(["calibrate", "list"]) == 0
    assert "No calibration" in capsys.readouterr().out
    assert cli.main(["calibrate", "undo", "--json"]) == 2
    assert "roller-host calibrate force" in json.loads(capsys.readouterr().out)["error"]
    assert cli.main(["calibrate", "list", "--device", "nobody", "--json"]) == 2


class Followed(ForceCalibration):
    """A flow with somebody who does what it asks, as a person would."""

    order = None

    def take(self, estimates):
        super().take(estimates)
        if self.guide.shown.order != self.order:
            self.order = self.guide.shown.order
            if self.order:
                Hands(Quick.device).obey(self.order)


@pytest.fixture
def typed(quick, monkeypatch):
    """The same with a person at a terminal, who typed these lines."""

    def run(text, *arguments):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        monkeypatch.setattr(calibrate_commands, "ForceCalibration", Followed)
        monkeypatch.setattr(calibrate_commands, "is_demo", lambda _: False)
        return quick(*arguments, hands=False)

    return run


def test_a_person_types_masses_and_takes_readings_with_enter(typed, capsys):
    # A mass and Enter once it hangs, twice; a mistake; nothing finishes, and nothing more uses it.
    assert typed("0.5\n\nnonsense\n2\n\n\n\n") == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert [point["mass_kg"] for point in result["points"] if point["mass_kg"]] == [0.5, 2.0]
    assert "'nonsense' is no mass" in err
    assert "Hang 0.5 kg" in err


def test_a_reading_that_was_wrong_is_undone(typed, capsys):
    assert typed("0.5\n\nundo\n0.2\n\n2\n\n\n\n") == 0
    result = json.loads(capsys.readouterr().out)
    assert [point["mass_kg"] for point in result["points"] if point["mass_kg"]] == [0.2, 2.0]


@pytest.mark.parametrize("text", ["", "0.5\n\n"])
def test_nobody_to_answer_is_bad_input(typed, capsys, text):
    assert typed(text) == 2
    assert "standard input is closed" in json.loads(capsys.readouterr().out)["error"]


def test_an_uncalibrated_roller_says_so_and_what_to_do(tmp_path):
    done = roller_host(tmp_path, "demo", "--headless", "--seconds", "2", "--json")
    assert json.loads(done.stdout)["calibrated"] is True
    assert "uncalibrated" not in done.stderr
    done = roller_host(tmp_path, "stream", "--radio", "demo:uncalibrated", "--seconds", "2", "--json")
    assert json.loads(done.stdout)["calibrated"] is False
    assert "roller-host calibrate force" in done.stderr


def test_a_kept_calibration_is_used_recorded_and_replayed_to_the_bit(tmp_path, monkeypatch, capsys):
    first = roller_host(tmp_path, "stream", "--radio", "demo:uncalibrated", "--seconds", "1", "--json")
    recording = open_recording(Path(json.loads(first.stdout)["recording"]))
    info = next(record for record in recording.records() if record.source == "INFO")
    device_id = bytes(codec.decode_record("INFO", info.payload).device_id).hex()
    record = reference.CALIBRATION._replace(
        flags=3, n_per_count=1.25 * reference.N_PER_COUNT, unix_date_s=1_700_000_000
    )
    made = Made(device_id, 0, "", "weights", codec.encode_record("CALIBRATION", record).hex())
    calibrations.keep(made, datetime.now().astimezone(), tmp_path / "calibrations")

    done = roller_host(tmp_path, "stream", "--radio", "demo:uncalibrated", "--seconds", "3", "--json")
    result = json.loads(done.stdout)
    assert result["calibrated"]
    assert "days old" in result["calibration_hint"]
    assert "calibrate again" in done.stderr
    params = params_from_json(open_recording(Path(result["recording"])).meta["params"])
    assert params.calibration.record == made.calibration
    assert params.began_s > 1_700_000_000
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path / "elsewhere"))
    assert cli.main(["replay", result["recording"], "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["matches_live"]
    assert again["calibrated"]


# --- Writing to the roller --------------------------------------------------------------------------------------------


async def written(monkeypatch, device, meanwhile=lambda _: None):
    """What the flow is told about writing a record to a roller on a virtual radio, and the record."""
    monkeypatch.setattr(calibrating, "EVERY_S", 0.05)
    monkeypatch.setattr(calibrating, "BUTTON_S", 0.3)
    controls = []
    record = reference.CALIBRATION._replace(flags=3, n_per_count=2.5e-5, unix_date_s=1_790_000_000)
    async with roller(device) as host, host.streaming(on_control=controls.append):
        live = SimpleNamespace(control=controls[0])
        told = asyncio.create_task(ForceCalibration(live)._written(record))
        await asyncio.sleep(0.1)
        assert not told.done()
        meanwhile(host.peripheral)
        return await told, record


def test_the_roller_takes_a_record_once_its_button_is_pressed(monkeypatch):
    device = Device(seed=1)
    press = lambda peripheral: peripheral.device.press(0.2, peripheral.now_us())  # noqa: E731
    problem, record = asyncio.run(written(monkeypatch, device, press))
    assert problem == ""
    assert device.stored_calibration.n_per_count == pytest.approx(record.n_per_count)
    assert device.stored_calibration.flags == 3


def test_a_button_that_nobody_presses_is_said(monkeypatch):
    device = Device(seed=1)
    before = device.stored_calibration
    problem, _ = asyncio.run(written(monkeypatch, device))
    assert "The button was not pressed" in problem
    assert device.stored_calibration == before


def test_another_record_than_the_one_that_was_written_is_noticed():
    class Odd:
        async def write_calibration(self, record):
            pass

        async def calibration(self):
            return reference.CALIBRATION

    told = asyncio.run(
        ForceCalibration(SimpleNamespace(control=Odd()))._written(reference.CALIBRATION._replace(points=5))
    )
    assert "another record back" in told
    assert "not connected" in asyncio.run(
        ForceCalibration(SimpleNamespace(control=None))._written(reference.CALIBRATION)
    )
