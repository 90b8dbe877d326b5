# SPDX-License-Identifier: MIT
"""The simulated person over time: continuous, everywhere, and patient."""

from itertools import pairwise

import numpy as np
import pytest
from sim import Dialogue

from firmware_protocol import zones
from simulator.body.face import PATCHES, Face
from simulator.body.hand import BASE_FORCE_N, Habits, Hand
from simulator.body.truth import GRID_HZ, TrueStroke, match_strokes
from simulator.firmware.device import Device
from simulator.firmware.senses import REST_S


@pytest.fixture(scope="module")
def massage():
    """Every place of the routine once: a rest and 15 visits."""
    hand = Hand(1, Habits(strokes=(2, 3)))
    return [hand.rest(0.5), *(hand.visit() for _ in zones.PLACES)]


def test_truth_has_no_hole_in_its_time_grid(massage):
    t_s = np.concatenate([truth.t_s for truth in massage])
    np.testing.assert_allclose(np.diff(t_s) * GRID_HZ, 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "largest_step"),
    # Per ms: a roller of 15 mm at most at 0.5 m/s, accelerations and turns that a hand can do, touch-down in 60 ms.
    [("roll_rad", 0.04), ("gyro_rad_s", 0.4), ("acc_m_s2", 2.0), ("head_acc_m_s2", 2.0), ("force_n", 0.3)],
)
def test_truth_does_not_jump(massage, name, largest_step):
    values = np.concatenate([getattr(truth, name) for truth in massage])
    assert np.abs(np.diff(values, axis=0)).max() < largest_step


@pytest.mark.parametrize(
    ("name", "largest_step"), [("roll_rad", 1e-6), ("gyro_rad_s", 0.01), ("acc_m_s2", 0.05), ("head_acc_m_s2", 0.05)]
)
def test_visits_join_at_rest(massage, name, largest_step):
    for before, after in pairwise(massage):
        assert np.abs(getattr(after, name)[0] - getattr(before, name)[-1]).max() < largest_step


def test_every_place_has_a_patch_and_a_force():
    assert tuple(PATCHES) == zones.ZONES
    assert tuple(BASE_FORCE_N) == zones.ZONES


def test_every_place_gets_visited(massage):
    assert {(stroke.zone, stroke.side) for truth in massage for stroke in truth.strokes} == set(zones.PLACES)


def test_strokes_lie_in_contact_and_force_only_there(massage):
    for truth in massage:
        for stroke in truth.strokes:
            during = (truth.t_s >= stroke.begin_s) & (truth.t_s < stroke.end_s)
            assert truth.contact[during].all()
            assert 0 < stroke.force_n <= stroke.force_peak_n
            assert 0.01 < stroke.length_m < 0.15
        assert not truth.force_n[~truth.contact].any()


@pytest.mark.parametrize("zone", [zone for zone in zones.ZONES if zone not in zones.MIDLINE])
def test_left_and_right_mirror_each_other(zone):
    face = Face.draw(np.random.default_rng(1))
    _, left_m, left_deg = face.place(np.random.default_rng(2), zone, "left")
    _, right_m, right_deg = face.place(np.random.default_rng(2), zone, "right")
    assert left_m[0] > 0 > right_m[0]
    np.testing.assert_allclose(left_m * [-1, 1, 1], right_m)
    assert left_deg == -right_deg


def test_strokes_are_matched_one_to_one_by_both_ends():
    def stroke(begin_s, end_s):
        return TrueStroke(begin_s, end_s, 0.05, 0.0, 1.0, 1.0, "cheek", "left")

    true = [stroke(1.0, 2.0), stroke(2.1, 3.0), stroke(5.0, 6.0)]
    found = [stroke(2.2, 3.2), stroke(1.1, 2.1), stroke(1.2, 2.2), stroke(5.0, 6.4)]
    pairs, missed, surplus = match_strokes(true, found)
    assert pairs == [(true[0], found[1]), (true[1], found[0])]
    assert missed == [true[2]]
    assert surplus == [found[2], found[3]]


def test_person_holds_still_until_start_and_a_little_longer():
    truth = []
    host = Dialogue(Device(1, on_truth=truth.append))
    host.connect()
    for _ in range(2):
        assert host.ask("TARE", 320).status == 0  # reads about 4 s of the cell
    waited_s = truth[-1].t_s[-1]
    assert waited_s >= 2 * 320 / (80 * 1.07)
    assert not any(stretch.contact.any() for stretch in truth)
    host.start()
    host.pass_time(8)
    first_touch_s = next(stretch.t_s[stretch.contact][0] for stretch in truth if stretch.contact.any())
    assert first_touch_s >= waited_s + REST_S
