# SPDX-License-Identifier: MIT
"""Hands that take orders: they do what was asked, at once and without jumps, and the massage goes on afterwards."""

import numpy as np
import pytest

from simulator.body.hand import Hand
from simulator.body.scripted import STOP_S, STRETCH, ScriptedHand, Slips
from simulator.body.truth import GRAVITY_M_S2, GRID_HZ


class Life:
    """What a hand has lived through, stretch by stretch."""

    def __init__(self, hand):
        self.hand, self.parts = hand, []

    def pass_time(self, seconds):
        n_rows = 0
        while n_rows < seconds * GRID_HZ:
            self.parts.append(self.hand.visit())
            n_rows += len(self.parts[-1].t_s)

    def of(self, name, last_s=None):
        values = np.concatenate([getattr(part, name) for part in self.parts])
        return values if last_s is None else values[-round(last_s * GRID_HZ) :]


def life(seed=101, **options):
    return Life(ScriptedHand(seed, **options))


def test_without_an_order_the_massage_is_that_of_any_hand():
    told, free = life(), Hand(101)
    told.pass_time(20)
    free = [free.visit() for _ in range(6)]
    force_n = np.concatenate([part.force_n for part in free])
    # The scripted hand begins with a moment of rest.
    assert np.array_equal(told.of("force_n")[STRETCH : 15 * GRID_HZ], force_n[: 15 * GRID_HZ - STRETCH])
    assert sum(len(part.strokes) for part in told.parts) >= 5
    lengths = {len(part.t_s) for part in told.parts}
    assert STRETCH // 2 <= min(lengths) <= max(lengths) <= STRETCH <= GRID_HZ / 10


def test_orders_in_mid_stroke_act_at_once_and_nothing_jumps():
    told = life()
    told.pass_time(6)
    assert told.of("force_n", 0.1).max() > 0.5
    for order, seconds in (
        (told.hand.still, 3),
        (told.hand.tumble, 12),
        (lambda: told.hand.hang(0.5), 7),
        (told.hand.still, 3),
        (told.hand.tumble, 5),
        (lambda: told.hand.hang(1.0), 2),
        (told.hand.release, 9),
    ):
        order()
        told.pass_time(seconds)
    told.parts.append(told.hand.home())
    assert min(len(part.t_s) for part in told.parts) >= STRETCH // 2
    assert np.allclose(np.diff(told.of("t_s")), 1 / GRID_HZ, atol=1e-9)
    assert np.abs(np.diff(told.of("acc_m_s2"), axis=0)).max() < 3
    assert np.abs(np.diff(told.of("gyro_rad_s"), axis=0)).max() < 0.1
    assert np.abs(np.diff(told.of("axial_n"))).max() < 0.2
    assert np.abs(np.diff(told.of("roll_rad"))).max() < 0.05
    t_s, contact = told.of("t_s"), told.of("contact")
    assert not contact[(t_s > 6.2 + STOP_S) & (t_s < 38)].any()
    assert contact[t_s > 40].any()


def test_a_tumble_shows_gravity_every_side():
    told = life()
    told.hand.tumble()
    told.pass_time(20)
    acc = told.of("acc_m_s2")
    assert (acc.max(axis=0) > 8.5).all()
    assert (acc.min(axis=0) < -8.5).all()


@pytest.mark.parametrize("mass_kg", [0.1, 2.0])
def test_a_mass_hangs_along_the_axis_of_the_cell_and_comes_to_rest(mass_kg):
    told = life()
    told.hand.hang(mass_kg)
    told.pass_time(10)
    load_n = told.of("axial_n", 1.0)
    assert load_n.mean() == pytest.approx(mass_kg * GRAVITY_M_S2, rel=0.015)
    assert load_n.std() < 0.002 * mass_kg * GRAVITY_M_S2
    assert told.of("acc_m_s2", 1.0)[:, 2].mean() < -9.5
    told.hand.still()
    told.pass_time(1.0)
    assert (told.of("axial_n", 0.3) == 0).all()


def test_clumsy_hands_hang_the_wrong_mass_let_it_swing_and_touch_the_head():
    told = life(slips=Slips(other_kg={0.5: 0.55}, swing_deg=12.0, touch_n=0.4))
    told.hand.tumble()
    told.pass_time(20)
    assert np.abs(told.of("axial_n")).max() > 0.2
    told.hand.hang(0.5)
    told.pass_time(12)
    load_n = told.of("axial_n", 2.0)
    assert load_n.mean() == pytest.approx(0.55 * GRAVITY_M_S2, rel=0.05)
    assert load_n.std() > 0.05


def test_home_forgets_the_order():
    told = life()
    told.pass_time(5)
    told.hand.hang(1.0)
    told.pass_time(5)
    told.parts.append(told.hand.home())
    assert told.of("axial_n", 0.1).max() == 0
    told.pass_time(8)
    assert told.of("contact").any()


def test_a_rest_that_is_asked_for_in_the_middle_of_another_is_as_long_as_asked():
    hand = ScriptedHand(101)
    hand.rest(0.5)
    hand.rest(2.5)
    parts = []
    while not parts or parts[-1].force_n.max() == 0:
        parts.append(hand.visit())
    still_s = sum(len(part.t_s) for part in parts) / GRID_HZ
    assert still_s > 2.4
    first = np.concatenate([part.gyro_rad_s for part in parts])[: round(2.3 * GRID_HZ)]
    assert np.abs(first).max() < 0.3


def test_a_pose_is_that_of_the_start():
    hand = ScriptedHand(101)
    begin = hand.rest(0.1).q_world_body[0]
    for _ in range(60):
        hand.visit()
    hand.pose()
    end = [hand.visit() for _ in range(40)][-1]
    assert abs(begin @ end.q_world_body[-1]) > np.cos(np.radians(6.0) / 2)
    assert not end.force_n.any()
