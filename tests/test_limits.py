# SPDX-License-Identifier: MIT
"""From marks to bands: medians, spreads, ceilings, inference, refinement, dose."""

import itertools

import hypothesis
import hypothesis.strategies as st
import pytest

from firmware_protocol.zones import PLACES
from roller_host.signal.comfort import NOT_HERE_N, STARTING_BANDS, Band, band_of
from roller_host.signal.dose import STARTING_DOSES, Dose, enough
from roller_host.signal.limits import (
    Answer,
    LimitParams,
    Threshold,
    band_of_marks,
    bands_in_use,
    infer,
    needs_more,
    refine,
    threshold_of,
)
from roller_host.signal.ramps import Marks

PARAMS = LimitParams()
CHEEK = ("cheek", "left")
ordinary = st.floats(0.01, 20.0)


def marks(*firmest_n, bound=False):
    return [Marks(0.6 * one, one, bound, 1.0, 0.05) for one in firmest_n]


def in_order(band):
    return 0 < band.low_n < band.firm_n < band.limit_n < band.ceiling_n


def test_limit_is_a_share_of_the_median():
    found = threshold_of(marks(4.0, 5.0, 4.4))
    assert found.firmest_n == 4.4
    band = band_of_marks(PARAMS, "cheek", found)
    assert band is not None
    assert band.limit_n == pytest.approx(0.85 * 4.4)
    assert band.firm_n == pytest.approx(0.6 * 4.4)


@pytest.mark.parametrize(("firmest_n", "more"), [
    ((4.0, 4.0), True), ((4.0, 4.2, 4.4), False), ((3.0, 4.0, 4.5), True), ((3.0, 4.0, 4.5, 4.1, 4.0), False),
])  # fmt: skip
def test_ramps_are_repeated_while_they_disagree_but_not_for_ever(firmest_n, more):
    assert needs_more(PARAMS, marks(*firmest_n)) is more


@hypothesis.given(st.sampled_from(list(STARTING_BANDS)[:-1]), ordinary, ordinary)
def test_bands_keep_their_order_and_the_ceiling_whatever_was_marked(zone, pleasant_n, firmest_n):
    band = band_of_marks(PARAMS, zone, Threshold(pleasant_n, firmest_n, 0.1, 3, bound=False))
    assert band is None or (in_order(band) and band.ceiling_n == STARTING_BANDS[zone].ceiling_n)


def test_what_cannot_be_told_from_touch_is_no_band():
    assert band_of_marks(PARAMS, "eye", Threshold(0.2, 0.4, 0.1, 3, bound=False)) is None


def test_median_at_the_ceiling_is_bound_by_it():
    ramps = [*marks(8.0, 8.0, bound=True), *marks(6.0)]
    assert threshold_of(ramps).bound
    assert not threshold_of([*marks(8.0, bound=True), *marks(6.0, 7.0)]).bound


@hypothesis.given(st.dictionaries(st.sampled_from(PLACES), st.tuples(ordinary, ordinary), min_size=1))
def test_inference_orders_every_band_and_raises_only_the_other_side(found):
    measured = {
        place: band
        for place, pair in found.items()
        if (band := band_of_marks(PARAMS, place[0], Threshold(*pair, 0.1, 3, bound=False)))
    }
    hypothesis.assume(measured)
    inferred = infer(PARAMS, measured)
    assert set(inferred) == set(PLACES) - set(measured)
    for (zone, _), band in inferred.items():
        assert in_order(band)
        if zone not in [known for known, _ in measured]:
            assert band.limit_n <= STARTING_BANDS[zone].limit_n


def test_sensitive_people_get_less_everywhere():
    inferred = infer(PARAMS, {CHEEK: Band(0.4, 1.25, 2.0, 8.0)})
    assert inferred["jaw", "left"].limit_n == pytest.approx(0.9 * 0.5 * 5.0)
    assert inferred["cheek", "right"].limit_n == pytest.approx(0.9 * 2.0)


def test_refinement_comes_down_faster_than_it_goes_up():
    band = STARTING_BANDS["cheek"]
    up = refine(PARAMS, "cheek", band, 10.0, Answer.TOO_LIGHT)
    down = refine(PARAMS, "cheek", band, 10.0, Answer.TOO_FIRM)
    assert up.limit_n == pytest.approx(1.05 * 4.0)
    assert down.limit_n == pytest.approx(0.9 * 4.0)
    assert refine(PARAMS, "cheek", band, 10.0, Answer.RIGHT) == band


def test_what_rounding_leaves_of_a_step_is_none():
    band = Band(0.1, 0.4, 0.85 * 8.0 - 1e-15, 8.0)
    assert band.limit_n < PARAMS.limit_ratio * 8.0
    assert refine(PARAMS, "cheek", band, 8.0, Answer.TOO_LIGHT) == band


@hypothesis.given(st.lists(st.sampled_from(Answer), max_size=60), st.sampled_from(PLACES))
def test_no_answer_raises_a_limit_above_what_was_measured(answers, place):
    band = start = STARTING_BANDS[place[0]]
    for answer in answers:
        band = refine(PARAMS, place[0], band, start.limit_n, answer)
        assert in_order(band)
        assert band.limit_n <= start.limit_n + 1e-9
        assert band.ceiling_n == start.ceiling_n


def test_places_left_out_warn_at_any_touch_and_keep_their_ceiling():
    bands = bands_in_use(dict.fromkeys([CHEEK], Band(1, 2, 3, 8)), [("jaw", "right")])
    left_out = band_of(bands, "jaw", "right")
    assert left_out[:3] == (NOT_HERE_N,) * 3
    assert left_out.ceiling_n == 8.0
    assert band_of(bands, *CHEEK) == Band(1, 2, 3, 8)


def test_unknown_place_takes_the_strictest_band_of_the_person():
    sensitive = Band(0.3, 0.9, 1.4, 8.0)
    bands = bands_in_use({place: STARTING_BANDS[place[0]] for place in PLACES} | {CHEEK: sensitive}, [])
    assert band_of(bands, "", "") == Band(0.3, 0.9, 1.4, 5.0)


def test_enough_in_a_session_or_in_a_week():
    limits = {CHEEK: Dose(100.0, 250.0)}
    assert not enough(limits, {CHEEK: 99.0}, {CHEEK: 100.0})
    assert "100 of 100 N s in this session" in enough(limits, {CHEEK: 100.0}, {})[CHEEK]
    assert "260 of 250 N s in seven days" in enough(limits, {CHEEK: 60.0}, {CHEEK: 200.0})[CHEEK]
    assert not enough(limits, {}, {CHEEK: 300.0}), "nobody is told about a place that is not rolled"


def test_every_place_has_a_starting_dose():
    assert set(STARTING_DOSES) == set(PLACES)
    assert all(0 < dose.session_n_s < dose.week_n_s for dose in STARTING_DOSES.values())


def test_starting_bands_are_in_order():
    assert all(in_order(band) for band in STARTING_BANDS.values())
    pairs = itertools.pairwise(sorted(band.limit_n for band in STARTING_BANDS.values()))
    assert all(a <= b for a, b in pairs)
