# SPDX-License-Identifier: MIT
"""Comfort states: thresholds with deadbands and delays, and cues that explain themselves."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import zones
from roller_host.signal.comfort import (
    STARTING_BANDS,
    Band,
    Comfort,
    ComfortParams,
    ComfortState,
    Felt,
    band_of,
    comfort_step,
    excluded_band,
)

CHEEK = STARTING_BANDS["cheek"]
DT_S = 0.01


def felt_of(forces_n, begin_s=0.0, unsure_n=0.0, overload=False):
    """Forces 10 ms apart."""
    forces_n = np.asarray(forces_n, float)
    t_s = begin_s + DT_S * np.arange(len(forces_n))
    return Felt(t_s, forces_n, forces_n - unsure_n, forces_n + 0.01, np.broadcast_to(overload, len(forces_n)))


def feel(forces_n, band=CHEEK, place=("cheek", "left"), state=None, **options):
    """Comfort states and cues of forces 10 ms apart."""
    return comfort_step(ComfortParams(), state or ComfortState(), felt_of(forces_n, **options), (*place, band))


def levels(forces_n, **options):
    return feel(forces_n, **options)[0]


def test_starting_table_is_the_decided_one():
    table = """
        forehead     0.8 2.5 4.0 8
        temple       0.5 1.5 3.0 6
        eye          0.2 0.6 1.0 2
        cheek        0.8 2.5 4.0 8
        jaw          1.0 3.5 5.0 8
        under_chin   0.5 1.5 3.0 5
        neck         0.2 0.6 1.0 2
        decolletage  0.8 3.0 4.5 8
    """
    rows = [line.split() for line in table.split("\n") if line.strip()]
    decided = {zone: Band(*map(float, values)) for zone, *values in rows}
    assert decided.keys() == set(zones.ZONES)
    assert {zone: band for zone, band in STARTING_BANDS.items() if zone} == decided


def test_unknown_place_is_as_strict_as_any_but_eye_and_neck():
    others = [band for zone, band in STARTING_BANDS.items() if zone not in ("", "eye", "neck")]
    assert STARTING_BANDS[""] == Band(*map(min, zip(*others, strict=True)))


def test_personal_band_replaces_the_starting_one_on_its_side_only():
    mine = Band(0.3, 0.9, 1.5, 4.0)
    bands = {("cheek", "left"): mine}
    assert band_of(bands, "cheek", "left") == mine
    assert band_of(bands, "cheek", "right") == STARTING_BANDS["cheek"]
    assert band_of(bands, "", "") == STARTING_BANDS[""]


def test_contact_has_hysteresis():
    off, on = Comfort.NO_CONTACT, Comfort.TOO_LIGHT
    assert levels([0.0, 0.14, 0.151, 0.12, 0.101, 0.099, 0.14]) == [off, off, on, on, on, off, off]


def test_low_end_is_left_a_fifth_below_it():
    light, good = Comfort.TOO_LIGHT, Comfort.COMFORTABLE
    assert levels([0.79, 0.81, 0.79, 0.65, 0.63, 0.79]) == [light, good, good, good, light, light]


def test_deadband_is_at_least_a_tenth_of_a_newton():
    # A fifth of the 0.4 N would be 0.08 N.
    band = Band(0.4, 0.9, 1.5, 3.0)
    good, light = Comfort.COMFORTABLE, Comfort.TOO_LIGHT
    assert levels([0.41, 0.31, 0.29], band=band) == [good, good, light]


def test_firm_end_has_its_deadband_too():
    good, firm = Comfort.COMFORTABLE, Comfort.FIRM
    assert levels([2.4, 2.51, 2.1, 1.99]) == [good, firm, firm, good]


@pytest.mark.parametrize("begin_s", [0.0, 0.07, 3.3, 1234.56, 5000.11])
def test_limit_counts_after_100_ms(begin_s):
    felt = levels([4.1] * 20, begin_s=begin_s)
    assert felt.index(Comfort.TOO_HARD) == 10
    assert set(felt[:10]) == {Comfort.FIRM}


def test_limit_does_not_count_when_it_was_passed_for_less():
    assert Comfort.TOO_HARD not in levels(([4.1] * 9 + [3.9] * 11) * 5)


@pytest.mark.parametrize("tremor_hz", [8, 9, 10])
def test_force_that_trembles_about_the_limit_counts_when_it_is_above_it_on_average(tremor_hz):
    tremor = 0.4 * np.sin(2 * np.pi * tremor_hz * DT_S * np.arange(300))
    assert Comfort.TOO_HARD in levels(4.15 + tremor)[:150]
    assert Comfort.TOO_HARD not in levels(3.85 + tremor)


def test_time_above_the_limit_begins_where_the_force_crossed_it():
    # Half of the step from 3.9 N to 4.1 N lies above the limit.
    felt = levels([3.9] + [4.1] * 20)
    assert felt.index(Comfort.TOO_HARD) == 11


def test_trembling_long_before_does_not_add_up():
    assert Comfort.TOO_HARD not in levels(([4.1] * 8 + [3.5] * 40) * 5)


def test_limit_is_over_after_300_ms_below_its_deadband():
    felt = levels([4.1] * 11 + [3.1] * 40)
    assert felt.index(Comfort.FIRM, 11) == 11 + 30
    assert set(felt[10:41]) == {Comfort.TOO_HARD}


def test_limit_is_not_over_above_its_deadband():
    assert levels([4.1] * 11 + [3.3] * 100)[-1] == Comfort.TOO_HARD
    assert levels([4.1] * 11 + ([3.1] * 29 + [3.3]) * 5)[-1] == Comfort.TOO_HARD


def test_ceiling_counts_at_once():
    felt, cues, _ = feel([2.0, 2.0, 8.1])
    assert felt == [Comfort.COMFORTABLE, Comfort.COMFORTABLE, Comfort.STOP]
    assert cues[-1].t_s == pytest.approx(0.02)


def test_ceiling_is_over_after_300_ms():
    felt = levels([8.1] + [1.0] * 40)
    assert felt.index(Comfort.COMFORTABLE) == 31


def test_lifting_off_ends_everything_at_once():
    assert levels([8.1, 0.0])[-1] == Comfort.NO_CONTACT


def test_light_touch_soon_after_a_hard_one_is_light():
    felt, cues, _ = feel([5.0] * 20 + [0.0] * 5 + [0.3] * 5)
    assert felt[-5:] == [Comfort.TOO_LIGHT] * 5
    assert cues[-1].comfort == Comfort.TOO_LIGHT


def test_cue_upward_explains_itself():
    _, cues, _ = feel([4.1] * 12, begin_s=3.0)
    cue = cues[-1]
    assert (cue.comfort, cue.before) == (Comfort.TOO_HARD, Comfort.FIRM)
    assert cue.t_s == pytest.approx(3.1)
    assert (cue.force_n, cue.force_raw_n) == pytest.approx((4.1, 4.11))
    assert cue.threshold_n == 4.0
    assert (cue.zone, cue.side) == ("cheek", "left")
    assert cue.rule == "rose above the limit, for 100 ms"


def test_cue_downward_explains_itself():
    cue = feel([1.0, 0.5])[1][-1]
    assert (cue.comfort, cue.before) == (Comfort.TOO_LIGHT, Comfort.COMFORTABLE)
    assert cue.threshold_n == pytest.approx(0.64)
    assert cue.rule == "fell below the low end of the band, less its deadband"


def test_every_change_is_a_cue_and_nothing_else():
    felt, cues, _ = feel([0.0, 0.3, 0.3, 1.0, 3.0, 3.0, 0.3, 0.0])
    assert [cue.comfort for cue in cues] == [felt[i] for i in (1, 3, 4, 6, 7)]
    assert all(a.comfort == b.before for a, b in pairwise(cues))


def test_one_force_feels_different_in_different_places():
    force_n = [1.2] * 15
    assert levels(force_n, band=STARTING_BANDS["eye"], place=("eye", "left"))[-1] == Comfort.TOO_HARD
    assert levels(force_n, band=STARTING_BANDS["jaw"], place=("jaw", "left"))[-1] == Comfort.COMFORTABLE


def test_place_may_change_in_mid_contact():
    _, _, state = feel([1.2] * 15)
    felt, cues, _ = feel([1.2] * 15, band=STARTING_BANDS["eye"], place=("eye", "left"), state=state, begin_s=0.15)
    # The time since the sample before counts as well: all of it was above the limit that holds here.
    assert felt.index(Comfort.TOO_HARD) == 9
    assert cues[-1].zone == "eye"


@pytest.mark.parametrize("force_n", [3.0, 12.0])
def test_load_cell_at_its_end_means_stop_whatever_it_reads(force_n):
    felt, cues, state = feel([force_n] * 3, overload=True)
    assert felt == [Comfort.STOP] * 3
    (cue,) = cues
    assert cue.rule == "the load cell is at the end of its range"
    assert np.isnan(cue.threshold_n)
    # And over as any STOP is.
    felt, _, _ = feel([3.0] * 40, state=state, begin_s=0.03)
    assert felt.index(Comfort.FIRM) == 30


def test_load_cell_at_its_end_is_contact_however_uncertain_the_zero_is():
    assert levels([3.0] * 3, overload=True, unsure_n=5.0) == [Comfort.STOP] * 3


def test_overload_between_others_is_seen():
    overload = np.zeros(60, bool)
    overload[20] = True
    felt, cues, _ = feel([1.0] * 60, overload=overload)
    assert felt.index(Comfort.STOP) == 20
    assert cues[1].t_s == pytest.approx(0.2)


def test_contact_waits_for_a_force_that_is_surely_there_and_everything_else_goes_by_the_shown_one():
    # While the zero is unknown, a newton of what is shown may be nothing.
    assert set(levels([1.1] * 20, unsure_n=1.0)) == {Comfort.NO_CONTACT}
    felt, cues, _ = feel([4.1] * 20, unsure_n=1.0)
    assert felt.index(Comfort.TOO_HARD) == 10
    assert cues[-1].force_n == pytest.approx(4.1)
    assert levels([8.1], unsure_n=1.0) == [Comfort.STOP]


def test_limit_counts_from_the_first_sample_of_a_contact():
    # After a gap there is no sample before it.
    felt = levels([4.1] * 30, state=ComfortState(level=Comfort.STALE))
    assert felt.index(Comfort.TOO_HARD) == 10


FORCES = st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=120)
EDGY = st.lists(
    st.sampled_from([0.0, 0.1, 0.15, 0.64, 0.8, 2.0, 2.5, 3.2, 4.0, 4.1, 6.4, 8.0, 8.1]), min_size=1, max_size=120
)
"""Forces on and about the thresholds of the cheek."""


@settings(deadline=None, max_examples=200, derandomize=True)
@given(forces_n=EDGY | FORCES, at=st.integers(0, 120), zone=st.sampled_from(zones.ZONES))
def test_comfort_does_not_depend_on_blocks(forces_n, at, zone):
    assert_same_in_blocks(felt_of(forces_n), at, STARTING_BANDS[zone])


def assert_same_in_blocks(felt, at, band):
    """The same levels, cues and memory in two blocks and sample by sample; as text, in which one NaN equals another."""
    place = "cheek", "left", band
    whole = comfort_step(ComfortParams(), ComfortState(), felt, place)
    for borders in ((0, at, len(felt.t_s)), range(len(felt.t_s) + 1)):
        levels_found, cues, state = [], [], ComfortState()
        for begin, end in pairwise(borders):
            more, changes, state = comfort_step(ComfortParams(), state, felt.part(begin, end), place)
            levels_found += more
            cues += changes
        assert levels_found == whole[0]
        assert repr((cues, state)) == repr(whole[1:])


def test_a_long_session_does_not_depend_on_blocks():
    rng = np.random.default_rng(1)
    forces_n = np.abs(np.cumsum(rng.normal(0, 0.3, 5000)) % 18 - 9)
    felt = felt_of(forces_n)._replace(overload=rng.random(5000) < 0.002)
    assert_same_in_blocks(felt, 1234, CHEEK)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(forces_n=FORCES, zone=st.sampled_from(zones.ZONES))
def test_comfort_keeps_its_promises(forces_n, zone):
    band = STARTING_BANDS[zone]
    felt, cues, _ = feel(forces_n, band)
    for force_n, comfort in zip(forces_n, felt, strict=True):
        assert force_n <= band.ceiling_n or comfort == Comfort.STOP
        assert force_n >= 0.10 or comfort == Comfort.NO_CONTACT
        assert force_n <= 0.15 or comfort != Comfort.NO_CONTACT
    for cue in cues:
        assert cue.comfort < cue.before or cue.force_n > cue.threshold_n, cue


def test_any_lasting_touch_of_a_place_left_out_is_too_hard_and_says_why():
    comfort, cues, _ = feel([0.0] * 5 + [0.4] * 30 + [0.0] * 40, band=excluded_band("cheek"))
    assert comfort[5 + 12] is Comfort.TOO_HARD
    assert cues[-2].comfort is Comfort.TOO_HARD
    assert cues[-2].rule == "rose above the limit, for 100 ms, at a place that is left out"
    assert comfort[-1] is Comfort.NO_CONTACT


def test_the_ceiling_of_a_place_left_out_is_that_of_its_zone():
    assert feel([0.0, 8.5], band=excluded_band("cheek"))[0][-1] is Comfort.STOP
