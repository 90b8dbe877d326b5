# SPDX-License-Identifier: MIT
"""Running sums: right, and the same however samples are divided and whenever somebody asks for them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation

from roller_host.signal.calibration import GRAVITY_M_S2, DeviceModel
from roller_host.signal.running_sums import FELT, FELT_SUM, NORMAL, ROLLED, TAIL, Moved, RunningSums, SumsState

MODEL = DeviceModel()
OTHER = replace(MODEL, geometry=MODEL.geometry._replace(roller_radius_m=0.02))
N = 700


@pytest.fixture(scope="module")
def moved():
    rng = np.random.default_rng(100)
    return Moved(Rotation.random(N, rng=rng).as_matrix(), rng.normal(0, 5, (N, 3)), np.cumsum(rng.normal(0, 0.1, N)))


def last_row(moved, length, asked=(), model=lambda _: MODEL):
    """The sums at the last sample, fed in blocks, when they are asked for in some blocks before too."""
    state = SumsState()
    for k, i in enumerate(range(0, N, length)):
        sums = RunningSums(model(i), state, Moved(*(column[i : i + length] for column in moved)))
        if k in asked:
            assert len(sums.rows) == TAIL + len(moved.roll_rad[i : i + length])
        state = sums.left()
    return sums.rows[-1]


def test_sums_are_those_of_every_sample(moved):
    row = last_row(moved, N)
    felt = np.einsum("nij,nj->ni", moved.rotation, moved.acc_m_s2) - [0, 0, GRAVITY_M_S2]
    way_m = np.diff(moved.roll_rad, prepend=moved.roll_rad[0]) * MODEL.geometry.roller_radius_m
    assert_allclose(row[NORMAL], (moved.rotation @ -MODEL.press).sum(axis=0), atol=1e-9)
    assert_allclose(row[FELT], felt.sum(axis=0), atol=1e-9)
    assert_allclose(row[FELT_SUM], felt.cumsum(axis=0).sum(axis=0), atol=1e-6)
    assert_allclose(row[ROLLED], (moved.rotation @ MODEL.forward * way_m[:, np.newaxis]).sum(axis=0), atol=1e-9)


@pytest.mark.parametrize("length", [1, 6, 100])
@pytest.mark.parametrize("asked", [(), (0,), range(0, 700, 3), range(700)])
def test_blocks_and_questions_change_nothing(moved, length, asked):
    assert_array_equal(last_row(moved, length, asked), last_row(moved, N))


@pytest.mark.parametrize("asked", [(), range(700)])
def test_samples_that_wait_are_those_of_the_device_as_it_was(moved, asked):
    half = last_row(moved, 10, asked, lambda i: MODEL if i < 350 else OTHER)
    way_m = np.diff(moved.roll_rad, prepend=moved.roll_rad[0]) * np.where(np.arange(N) < 350, 0.015, 0.02)
    expected = (moved.rotation @ MODEL.forward * way_m[:, np.newaxis]).sum(axis=0)
    assert_allclose(half[ROLLED], expected, atol=1e-9)


def test_a_state_can_be_gone_on_from_twice(moved):
    first = RunningSums(MODEL, SumsState(), Moved(*(column[:50] for column in moved))).left()
    rest = Moved(*(column[50:] for column in moved))
    assert_array_equal(RunningSums(MODEL, first, rest).rows, RunningSums(MODEL, first, rest).rows)


def test_few_samples_wait_however_long_nobody_asks(moved):
    state = SumsState()
    for i in range(0, N, 10):
        state = RunningSums(MODEL, state, Moved(*(column[i : i + 10] for column in moved))).left()
        assert sum(len(one.roll_rad) for one in state.waiting) <= 250
