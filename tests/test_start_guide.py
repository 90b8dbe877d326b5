# SPDX-License-Identifier: MIT
"""The start pose is taken when it is held, and only then; what is wrong with it is told."""

import math

import numpy as np
import pytest

from roller_host.guide.start import Head, Start, StartGuide, recline_of
from roller_host.signal.calibration import GRAVITY_M_S2, DeviceModel, Samples

MODEL = DeviceModel()
HEADS = Head(0, 15.0, 60.0, 1.5), Head(1, 12.0, 42.0, 1.1)
UPRIGHT, LEANING, ASKEW, ON_ITS_HEAD = (0.0, 1.0, 0.0), (0.0, 0.77, 0.64), (0.7, 0.7, 0.0), (0.0, -1.0, 0.0)
RATE_HZ, N = 104.0, 6


def samples(up, t_s, rate_rad_s=0.02):
    acc = np.tile(np.array(up) / np.linalg.norm(up) * GRAVITY_M_S2, (N, 1))
    return Samples(
        t_s + np.arange(N) / RATE_HZ, np.full((N, 3), rate_rad_s / math.sqrt(3)), acc, np.zeros(N), np.zeros(N)
    )


def hold(guide, up, seconds, begin_s=0.0, *, rate_rad_s=0.02, touching=False, heading_sigma_deg=3.0):
    for i in range(round(seconds * RATE_HZ / N)):
        block = samples(up, begin_s + i * N / RATE_HZ, rate_rad_s)
        guide.take(MODEL, block, touching=touching, heading_sigma_deg=heading_sigma_deg)
    return guide.shown


@pytest.mark.parametrize(("up", "posture"), [(UPRIGHT, "sitting"), (LEANING, "reclining")])
def test_a_pose_that_is_held_ends_it(up, posture):
    guide = StartGuide(HEADS)
    guide.act("posture", posture)
    shown = hold(guide, up, 2.5)
    assert not shown.over
    assert 0.5 < shown.progress < 1
    shown = hold(guide, up, 1.0, 2.5)
    assert shown.over
    assert posture in shown.note
    assert shown.order is None


@pytest.mark.parametrize(
    ("up", "posture", "more", "told"),
    [
        (UPRIGHT, "sitting", {"touching": True}, "touches"),
        (LEANING, "sitting", {}, "lean back by 40 degrees"),
        (UPRIGHT, "reclining", {}, "sit upright"),
        (ASKEW, "sitting", {}, "not the start pose"),
        (ON_ITS_HEAD, "sitting", {}, "not the start pose"),
        (UPRIGHT, "sitting", {"heading_sigma_deg": math.inf}, "connect anew"),
    ],
)
def test_what_is_wrong_is_told(up, posture, more, told):
    guide = StartGuide(HEADS)
    guide.act("posture", posture)
    shown = hold(guide, up, 5.0, **more)
    assert told in shown.problem
    assert not shown.over


def test_whoever_moves_begins_anew():
    guide = StartGuide(HEADS)
    hold(guide, UPRIGHT, 2.5)
    shown = hold(guide, UPRIGHT, 0.2, 2.5, rate_rad_s=1.0)
    assert (shown.progress, shown.still, shown.problem) == (0.0, False, "")
    assert not hold(guide, UPRIGHT, 2.5, 2.7).over
    assert hold(guide, UPRIGHT, 1.0, 5.2).over


def test_what_is_chosen_is_shown_and_the_head_is_asked_for():
    asked = []
    guide = StartGuide(HEADS, Start(7, "left", "reclining"), asked.append)
    assert guide.start == Start(0, "left", "reclining")
    for key, value in (
        ("head", "1"),
        ("head", "9"),
        ("hand", "right"),
        ("hand", "third"),
        ("posture", "sitting"),
        ("x", "y"),
    ):
        guide.act(key, value)
    assert guide.shown.start == guide.start == Start(1, "right", "sitting")
    assert asked == [1]


def test_it_can_be_skipped():
    guide = StartGuide(HEADS)
    guide.act("skip")
    assert guide.shown.over
    hold(guide, UPRIGHT, 5.0)
    assert "without" in guide.shown.note


def test_lean_by_the_way_the_roller_is_held():
    for deg in (0, 20, 45, 90):
        up = (0.0, math.cos(math.radians(deg)), math.sin(math.radians(deg)))
        assert recline_of(MODEL, samples(up, 0.0).acc_m_s2) == pytest.approx(deg, abs=1e-6)
    assert math.isnan(recline_of(MODEL, np.zeros((3, 3))))
