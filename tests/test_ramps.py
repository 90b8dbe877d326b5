# SPDX-License-Identifier: MIT
"""Ramps: what counts as one, what it tells, and what it is refused for."""

import numpy as np
import pytest
from pressed import FS_HZ, estimates

from firmware_protocol.zones import PLACES
from roller_host.signal.estimates import Gap
from roller_host.signal.ramps import (
    End,
    Fault,
    Ramp,
    RampError,
    RampParams,
    Reaction,
    judge,
    mark,
    pace_n_s,
    ramp_step,
    reaction_of,
)

PARAMS, CHEEK = RampParams(), ("cheek", "left")


def pressed(force_of, seconds, marks_s=(), n_block=6, place=CHEEK, **changes):
    """Ramp of a force over time, fed in blocks; marks come with the blocks in which they fall."""
    t_s = np.arange(round(seconds * FS_HZ)) / FS_HZ
    force_n = np.vectorize(force_of, otypes=[float])(t_s)
    ramp = Ramp()
    for begin in range(0, len(t_s), n_block):
        part = slice(begin, begin + n_block)
        columns = {
            key: value[part] if isinstance(value, np.ndarray | tuple) else value for key, value in changes.items()
        }
        block = estimates(t_s[part], force_n[part], **columns)
        for mark_s in marks_s:
            if block.t_s[0] <= mark_s <= block.t_s[-1] + 1 / FS_HZ:
                ramp = mark(PARAMS, ramp, mark_s)
        ramp = ramp_step(PARAMS, ramp, block, place)
    return ramp


def rising(rate_n_s, lift_s):
    """Up at a rate from 0.5 s on, and off at ``lift_s``."""
    return lambda t: rate_n_s * (t - 0.5) if 0.5 <= t < lift_s else 0.0


def fault_of(ramp, **changes):
    with pytest.raises(RampError) as refused:
        judge(PARAMS, ramp, CHEEK, Reaction(), **changes)
    assert str(refused.value) == refused.value.fault.value
    return refused.value.fault


@pytest.mark.parametrize("reaction_s", [0.15, 0.25, 0.5])
def test_marks_mean_the_force_one_reaction_time_earlier(reaction_s):
    ramp = pressed(rising(1.2, 5.0), 6.0, (2.5 + reaction_s, 4.0 + reaction_s))
    assert ramp.end is End.MARKED
    found = judge(PARAMS, ramp, CHEEK, Reaction(reaction_s, 0.02, 5))
    assert found.pleasant_n == pytest.approx(2.4, abs=0.02)
    assert found.firmest_n == pytest.approx(4.2, abs=0.02)
    assert found.rate_n_s == pytest.approx(1.2, rel=0.05)
    assert not found.bound


def test_uncertainty_of_the_reaction_weighs_by_the_rate():
    ramp = pressed(rising(1.5, 5.0), 6.0, (2.5, 4.0))
    sigma_n = judge(PARAMS, ramp, CHEEK, Reaction(0.25, 0.1)).sigma_n
    assert sigma_n == pytest.approx(np.hypot(0.03, 0.15), rel=0.05)


@pytest.mark.parametrize("n_block", [1, 7, 20])
def test_blocks_do_not_matter(n_block):
    marks_s = (2.5, 4.0)
    whole, parts = (pressed(rising(1.0, 5.0), 6.0, marks_s, n) for n in (6, n_block))
    assert np.array_equal(whole.force_n, parts.force_n)
    assert judge(PARAMS, whole, CHEEK, Reaction()) == judge(PARAMS, parts, CHEEK, Reaction())


def test_lifting_before_a_mark_is_refused():
    assert fault_of(pressed(rising(1.0, 3.0), 4.0)) is Fault.NO_MARK
    assert fault_of(pressed(rising(1.0, 4.0), 5.0, (2.5,))) is Fault.ONE_MARK


def test_ceiling_ends_the_ramp_at_once_and_bounds_the_place():
    ramp = pressed(rising(2.0, 9.0), 10.0, (2.5,))
    assert ramp.end is End.CEILING
    assert ramp.force_n[-1] > 8.0 >= ramp.force_n[-2]
    found = judge(PARAMS, ramp, CHEEK, Reaction())
    assert found.bound
    assert found.firmest_n == 8.0


def test_ceiling_without_a_mark_tells_nothing():
    assert fault_of(pressed(rising(2.0, 9.0), 10.0)) is Fault.NO_MARK_AT_CEILING


@pytest.mark.parametrize(("rate_n_s", "fault"), [(4.0, Fault.TOO_FAST), (0.2, Fault.TOO_SLOW)])
def test_pace_is_kept(rate_n_s, fault):
    seconds = 0.5 + 3.0 / rate_n_s
    ramp = pressed(rising(rate_n_s, seconds), seconds + 1.0, (0.6 * seconds + 0.2, 0.95 * seconds))
    assert fault_of(ramp) is fault


def test_force_that_goes_up_and_down_is_refused():
    ramp = pressed(lambda t: 0.0 if t < 0.5 else 1.0 * (t - 0.5) + 0.8 * np.sin(3 * t), 8.0, (2.5, 6.0))
    assert fault_of(ramp) is Fault.UP_AND_DOWN


def test_second_mark_at_less_force_is_the_wrong_order():
    ramp = pressed(lambda t: 0.0 if t < 0.5 else min(t - 0.5, 2.5) - 0.1 * max(t - 3.2, 0), 6.0, (3.3, 4.5))
    assert fault_of(ramp) is Fault.WRONG_ORDER


def test_saturation_is_refused():
    n = round(6.0 * FS_HZ)
    clipped = np.arange(n) == round(3.0 * FS_HZ)
    assert fault_of(pressed(rising(1.0, 5.0), 6.0, (2.5, 4.0), saturated=clipped)) is Fault.SATURATED


def test_lost_packets_are_refused():
    t_s = np.arange(200) / FS_HZ
    ramp = ramp_step(PARAMS, Ramp(), estimates(t_s, 0.3 + t_s), CHEEK)
    for mark_s in (1.5, 2.5):
        ramp = mark(PARAMS, ramp, mark_s)
    later_s = t_s + 2.5
    ramp = ramp_step(PARAMS, ramp, estimates(later_s, 0.3 + later_s, gaps=(Gap(1.9, 0.6, 10),)), CHEEK)
    assert fault_of(ramp) is Fault.GAP


@pytest.mark.parametrize(("place", "confidence", "refused"), [
    (("cheek", "right"), 0.9, True), (("cheek", "right"), 0.7, False), (("jaw", "left"), 0.9, False),
    (("jaw", "left"), 1.0, True), (("jaw", "right"), 0.9, True), (("cheek", "left"), 1.0, False),
])  # fmt: skip
def test_another_place_contradicts_when_it_is_sure_the_other_side_sooner(place, confidence, refused):
    n = round(6.0 * FS_HZ)
    there = {"places": (PLACES.index(place),) * n, "place_confidence": np.full(n, confidence)}
    ramp = pressed(rising(1.0, 5.0), 6.0, (2.5, 4.0), **there)
    if refused:
        assert fault_of(ramp) is Fault.ELSEWHERE
    assert judge(PARAMS, ramp, CHEEK, Reaction(), here=True).firmest_n > 3


def test_brushing_the_skin_is_no_ramp():
    assert not pressed(lambda t: 0.3 if 0.5 < t < 0.7 else 0.0, 2.0).begun


def test_marks_that_bounce_are_one():
    ramp = pressed(rising(1.0, 5.0), 6.0, (2.5, 2.6, 4.0))
    assert ramp.marks_s == (2.5, 4.0)


def test_marks_before_the_touch_are_none():
    assert mark(PARAMS, Ramp(), 1.0) == Ramp()


def test_what_has_ended_stays_as_it_is():
    ramp = pressed(rising(1.0, 5.0), 6.0, (2.5, 4.0))
    t_s = np.arange(50) / FS_HZ + 6.0
    assert ramp_step(PARAMS, ramp, estimates(t_s, np.ones(50)), CHEEK) is ramp
    assert mark(PARAMS, ramp, 6.0) is ramp


def test_delicate_zones_are_paced_more_slowly():
    assert pace_n_s(PARAMS, "cheek") == 1.0
    assert pace_n_s(PARAMS, "eye") == 0.25


def test_reaction_is_the_median_of_taps_that_answered_the_sign():
    found = reaction_of((0.05, 0.3, 0.32, 0.28, 1.4))
    assert found is not None
    assert found.s == pytest.approx(0.3)
    assert found.n == 3


def test_too_few_taps_tell_nothing():
    assert reaction_of((0.05, 0.3, 0.31)) is None
