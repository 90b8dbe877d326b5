# SPDX-License-Identifier: MIT
"""The flow that calibrates the load cell: what it shows and orders, and that nothing that was read gets lost."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from firmware_protocol import reference
from roller_host.guide.force import ForceGuide
from roller_host.guide.step import Order, Task
from roller_host.guide.weighing import Draft, mass_of
from roller_host.sessions.errors import SessionError
from roller_host.signal.calibration import GRAVITY_M_S2, IMU6, DeviceModel, Samples
from roller_host.signal.weights import WeightError

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from calibration import Bench

FS_HZ = 104.0
RECORD = reference.CALIBRATION
GAIN = 1.17
HEAD_KG, ZERO = 0.0625, 9_000.0
UPSIDE_DOWN = Rotation.from_rotvec([np.pi, 0.0, 0.0])


class Bed:
    """A roller of which the samples are made up: the flow on it, and what was kept and written."""

    def __init__(self, **options):
        self.kept, self.asked_to_write, self.t_s = [], [], 0.0
        self.rng = np.random.default_rng(5)
        self.rotation = UPSIDE_DOWN
        self.guide = ForceGuide(
            lambda found: self.kept.append(found) or "a file", lambda: 1_790_000_000,
            lambda record, on_end: self.asked_to_write.append((record, on_end)), **options,
        )  # fmt: skip

    @property
    def shown(self):
        return self.guide.shown

    def pass_time(self, seconds, mass_kg=0.0, rotations=None, shaking_n=0.0):
        """Samples in blocks of a packet, of a roller that carries a mass."""
        n = round(seconds * FS_HZ)
        turned = rotations or Rotation.concatenate([self.rotation] * n)
        felt = turned.inv().apply([0.0, 0.0, GRAVITY_M_S2])
        load_n = -(HEAD_KG + mass_kg) * felt[:, 2] + self.rng.normal(0, 0.004, n)
        load_n += shaking_n * np.sin(np.arange(n) / FS_HZ * 12.0)
        rate = np.zeros((n, 3))
        rate[:-1] = (turned[:-1].inv() * turned[1:]).as_rotvec() * FS_HZ
        counts = ZERO + load_n / (GAIN * RECORD.n_per_count)
        whole = Samples(
            self.t_s + np.arange(n) / FS_HZ, rate + 0.01, felt, np.zeros(n),
            (counts - RECORD.zero_counts) * RECORD.n_per_count,
        )  # fmt: skip
        self.t_s += n / FS_HZ
        for i in range(0, n, 6):
            self.guide.take(DeviceModel(), Samples._make(column[i : i + 6] for column in whole), 22.5)

    def tumble(self, seconds=21.0, **how):
        n = round(seconds * FS_HZ)
        turn = 2 * np.pi * np.arange(n) / n
        about = Rotation.from_rotvec(np.outer(turn * 3, [1, 0, 0])) * Rotation.from_rotvec(
            np.outer(turn * 2, [0, 0, 1])
        )
        self.pass_time(seconds, rotations=self.rotation * about, **how)

    def to_weights(self):
        self.pass_time(5.0)
        self.tumble()
        assert self.shown.step == "weights"
        self.pass_time(2.5)

    def weigh(self, *masses_kg):
        for mass_kg in masses_kg:
            self.guide.act("add", str(mass_kg))
            assert self.shown.order == Order(Task.LOAD, mass_kg)
            self.pass_time(2.5, mass_kg)
            self.guide.act("take")
            assert self.shown.order == Order(Task.REST)
            self.pass_time(2.5)

    def can(self, key):
        return any(choice.key == key and choice.enabled for choice in self.shown.choices)


def test_the_whole_flow():
    bed = Bed()
    assert (bed.shown.step, bed.shown.order) == ("tare", Order(Task.REST))
    bed.pass_time(2.0)
    assert 0 < bed.shown.progress < 1
    bed.pass_time(2.0)
    assert (bed.shown.step, bed.shown.order) == ("tumble", Order(Task.TUMBLE))
    bed.tumble()
    assert (bed.shown.step, bed.shown.wants_empty) == ("weights", True)
    assert bed.shown.tumble.head_mass_kg * GAIN == pytest.approx(HEAD_KG, abs=0.0005)
    bed.pass_time(2.5)
    assert not bed.shown.wants_empty
    bed.weigh(0.5, 0.1, 2.0)
    shown = bed.shown
    assert [one.mass_kg for one in shown.readings] == [0.0, 0.5, 0.0, 0.1, 0.0, 2.0, 0.0]
    assert shown.fit.n_per_count == pytest.approx(GAIN * RECORD.n_per_count, rel=0.002)
    assert len(shown.residuals_n) == len(shown.readings)
    assert shown.head_mass_kg == pytest.approx(HEAD_KG, abs=0.0005)
    assert bed.shown.load_n == pytest.approx(0.0, abs=0.02)
    bed.guide.act("finish")
    assert (bed.shown.step, bed.kept) == ("result", [])
    bed.guide.act("keep")
    assert (bed.shown.step, bed.shown.stored) == ("store", "a file")
    (found,) = bed.kept
    assert found.record.flags == 3
    assert found.record.unix_date_s == 1_790_000_000
    assert found.record.temp_ref_c == 22.5
    assert found.record.head_mass_kg == pytest.approx(HEAD_KG, abs=0.0005)
    bed.guide.act("write")
    ((record, on_end),) = bed.asked_to_write
    assert record == found.record
    assert (bed.shown.order, bed.can("done")) == (Order(Task.BUTTON), False)
    on_end("")
    assert bed.shown.note
    bed.guide.act("done")
    assert bed.shown.over


def test_writing_that_fails_says_why_and_can_be_tried_again():
    bed = Bed()
    bed.to_weights()
    bed.weigh(0.5, 1.0)
    for key in ("finish", "keep", "write"):
        bed.guide.act(key)
    bed.asked_to_write[0][1]("The button was not pressed.")
    assert (bed.shown.problem, bed.shown.order) == ("The button was not pressed.", None)
    bed.guide.act("write")
    assert len(bed.asked_to_write) == 2


def test_a_store_that_fails_keeps_the_result():
    def refuse(_):
        raise SessionError("no space left on the disk")

    bed = Bed()
    bed.guide = ForceGuide(refuse, lambda: 0)
    bed.to_weights()
    bed.weigh(0.5, 1.0)
    bed.guide.act("finish")
    bed.guide.act("keep")
    assert (bed.shown.step, bed.shown.problem) == ("result", "No space left on the disk.")


def test_a_roller_that_moves_is_not_tared():
    bed = Bed()
    bed.pass_time(6.0, shaking_n=0.2)
    assert bed.shown.step == "tare"
    assert not bed.shown.steady
    assert "wait" in bed.shown.trouble or "rest" in bed.shown.trouble


def test_a_tumble_shows_its_sides_and_is_repeated_when_it_was_touched():
    bed = Bed()
    bed.pass_time(4.0)
    bed.tumble(5.0)
    assert 0 < sum(bed.shown.sides) <= 6
    bed.tumble(25.0, shaking_n=0.3)
    assert bed.shown.step == "tumble"
    assert "let nothing touch the roller" in bed.shown.problem
    bed.tumble(60.0)
    assert bed.shown.step == "weights"


def test_a_tumble_can_be_skipped():
    bed = Bed()
    bed.pass_time(4.0)
    bed.guide.act("skip")
    bed.pass_time(2.5)
    bed.weigh(0.5, 1.0)
    bed.guide.act("finish")
    assert bed.shown.found.tumble is None
    assert bed.shown.found.record.head_mass_kg == RECORD.head_mass_kg
    assert bed.shown.fit.n_per_count == pytest.approx(GAIN * RECORD.n_per_count, rel=0.003)


def test_a_reading_can_be_taken_only_of_a_load_that_hangs_still():
    bed = Bed()
    bed.to_weights()
    bed.guide.act("add", "500 g")
    assert not bed.can("take")
    bed.pass_time(2.5)
    assert not bed.can("take"), "nothing hangs there"
    bed.pass_time(3.0, 0.5, shaking_n=0.5)
    assert not bed.can("take"), "it swings"
    bed.guide.act("take")
    assert [one.mass_kg for one in bed.shown.readings] == [0.0]
    bed.pass_time(2.5, 0.5)
    assert bed.can("take")


def test_the_empty_roller_is_not_read_while_the_load_still_hangs():
    bed = Bed()
    bed.to_weights()
    bed.guide.act("add", "0.5")
    bed.pass_time(2.5, 0.5)
    bed.guide.act("take")
    bed.pass_time(4.0, 0.5)
    assert bed.shown.wants_empty
    bed.pass_time(2.5)
    assert not bed.shown.wants_empty


def test_an_outlier_is_named_and_can_be_removed_or_undone():
    bed = Bed()
    bed.to_weights()
    bed.weigh(0.1, 0.2, 1.0)
    bed.guide.act("add", "0.5")
    bed.pass_time(2.5, 0.55)
    bed.guide.act("take")
    shown = bed.shown
    assert shown.problem.startswith("The 0.5 kg reading is 0.4")
    assert [shown.readings[i].mass_kg for i in shown.suspects] == [0.5]
    assert not bed.can("finish")
    bed.pass_time(2.5)
    bed.guide.act("remove", str(shown.suspects[0]))
    assert 0.5 not in [one.mass_kg for one in bed.shown.readings]
    assert bed.can("finish")
    bed.guide.act("undo")
    assert [one.mass_kg for one in bed.shown.readings if one.mass_kg] == [0.1, 0.2]
    bed.guide.act("undo")
    assert [one.mass_kg for one in bed.shown.readings if one.mass_kg] == [0.1]
    assert not bed.can("finish")


@pytest.mark.parametrize("typed", ["nonsense", "", "-1", "0", "nan", "9", "0.5 lb"])
def test_what_is_no_mass_is_refused_with_the_reason(typed):
    bed = Bed()
    bed.to_weights()
    bed.guide.act("add", typed)
    assert bed.shown.problem
    assert bed.shown.order == Order(Task.REST)


def test_masses_are_read_in_their_units():
    assert [mass_of(text) for text in ("0.5", "0,5 kg", "500 g", "4.903325 N")] == pytest.approx([0.5] * 4)
    with pytest.raises(WeightError, match="is no mass"):
        mass_of("1e")


def test_a_pause_loses_nothing_and_lets_the_hands_go():
    bed = Bed()
    bed.to_weights()
    bed.weigh(0.5)
    bed.guide.act("pause")
    assert bed.shown.order is None
    bed.pass_time(3.0, 1.0, shaking_n=2.0)
    assert len(bed.shown.readings) == 3
    bed.guide.act("go_on")
    bed.pass_time(2.5)
    bed.weigh(1.0)
    assert bed.can("finish")


def test_a_flow_that_was_left_goes_on_from_its_draft():
    bed = Bed()
    bed.to_weights()
    bed.weigh(0.5)
    bed.guide.act("cancel")
    assert bed.shown.over
    assert bed.shown.note == "Nothing was changed."
    assert bed.kept == []
    again = Bed(draft=bed.guide.draft)
    again.t_s = bed.t_s
    assert again.shown.step == "weights"
    again.pass_time(2.5)
    again.weigh(1.0)
    assert again.can("finish")
    assert Bed(draft=Draft((0.0, 0.0, 0.0))).shown.step == "tumble"


def test_more_weights_may_follow_the_result():
    bed = Bed()
    bed.to_weights()
    bed.weigh(0.5, 1.0)
    bed.guide.act("finish")
    bed.guide.act("back")
    bed.pass_time(2.5)
    bed.weigh(2.0)
    bed.guide.act("finish")
    bed.guide.act("keep")
    assert bed.kept[0].fit.n_loads == 3


def test_a_roller_pressed_on_a_scale():
    bed = Bed(pressed=True)
    bed.to_weights()
    bed.rotation = Rotation.identity()
    for mass_kg in (0.5, 1.0):
        bed.guide.act("add", str(mass_kg))
        # The scale pushes up what the hand presses down.
        bed.pass_time(2.5, -mass_kg)
        bed.guide.act("take")
        bed.pass_time(2.5)
    assert bed.shown.fit.n_per_count == pytest.approx(GAIN * RECORD.n_per_count, rel=0.003)
    bed.guide.act("finish")
    assert bed.shown.found.pressed


def test_choices_that_are_not_there_are_left_alone():
    bed = Bed()
    for key in ("finish", "keep", "write", "done", "remove", "nonsense"):
        bed.guide.act(key)
    assert (bed.shown.step, bed.shown.over, bed.kept) == ("tare", False, [])


def test_simulated_hands_calibrate_a_simulated_cell():
    bench = Bench(104)
    shown = bench.weigh(0.2, 2.0)
    sensors = bench.device.senses.sensors
    assert abs(sensors.n_per_count / RECORD.n_per_count - 1) > 0.1
    assert shown.fit.n_per_count == pytest.approx(sensors.n_per_count, rel=0.005)
    assert shown.head_mass_kg == pytest.approx(sensors.head_mass_kg, abs=0.002)


def test_a_roller_without_raw_readings_cannot_be_calibrated():
    bed = Bed()
    model = replace(DeviceModel(), streams=frozenset({IMU6}))
    one = Samples(np.zeros(1), np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1), np.zeros(1))
    bed.guide.take(model, one)
    assert "FORCE_RAW" in bed.shown.problem
    assert bed.shown.counts is None
