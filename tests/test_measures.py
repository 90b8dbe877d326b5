# SPDX-License-Identifier: MIT
"""Session measures: sums that can be checked by hand, and what is not known shown as such."""

import json
import math
import tracemalloc

import numpy as np
import pytest
from sim import understood

from firmware_protocol.routine import TOWARD_NECK_DEG
from firmware_protocol.zones import PLACES, SIDES, ZONES
from roller_host.signal.comfort import Band, Comfort
from roller_host.signal.estimates import Stroke
from roller_host.signal.measures import MeasureParams, Rolled, join, measure, measures_json, rolled
from roller_host.signal.stroke_list import StrokeList

DT_S = 0.01
PARAMS = MeasureParams()
CHEEK = PLACES.index(("cheek", "left"))
JAW = PLACES.index(("jaw", "right"))


def samples(force_n, place=CHEEK, begin_s=0.0, comfort=Comfort.COMFORTABLE):
    """Columns of samples at one place, in contact where there is force."""
    force_n = np.asarray(force_n, float)
    n, contact = len(force_n), force_n > 0
    return Rolled(
        begin_s + DT_S * np.arange(n),
        np.full(n, DT_S),
        force_n,
        contact,
        np.where(contact, place, -1),
        np.where(contact, comfort, Comfort.NO_CONTACT),
    )


def stroke(zone="cheek", side="left", outward_deg=45.0, **changes):
    values = dict.fromkeys(Stroke._fields, 0.0) | {"begin_s": 0.0, "end_s": 0.5, "length_m": 0.06, "force_n": 2.0}
    direction_deg = -outward_deg if side == "right" else outward_deg
    values |= {"zone": zone, "side": side, "outward_deg": outward_deg, "direction_deg": direction_deg}
    if not side:
        values["outward_deg"] = math.nan
    return Stroke(**(values | changes))


def measured(strokes=(), columns=None, bands=None):
    return measure(PARAMS, strokes, samples([]) if columns is None else columns, bands or {})


# --- From samples -----------------------------------------------------------------------------------------------------


def test_dose_is_the_integral_of_the_force_in_contact():
    found = measured(columns=samples([0.0] * 50 + [2.0] * 100 + [3.0] * 100))
    assert found.total.dose_n_s == pytest.approx(5.0)
    assert found.total.contact_s == pytest.approx(2.0)
    assert found.total.force_mean_n == pytest.approx(2.5)
    assert found.total.force_p95_n == pytest.approx(3.0)
    assert found.observed_s == pytest.approx(2.5)


def test_force_in_the_air_is_no_dose():
    columns = samples([2.0] * 100)
    assert measured(columns=columns._replace(contact=np.zeros(100, bool))).total.dose_n_s == 0


def test_over_limit_dose_counts_what_exceeds_the_limit_of_the_place():
    columns = join([samples([6.0] * 100), samples([6.0] * 100, JAW, 1.0), samples([6.0] * 100, -1, 2.0)])
    found = measured(columns=columns)
    # Starting points: cheek 4 N, jaw 5 N, unknown 3 N.
    assert found.places["left cheek"].over_limit_n_s == pytest.approx(2.0)
    assert found.places["right jaw"].over_limit_n_s == pytest.approx(1.0)
    assert found.unknown_place.over_limit_n_s == pytest.approx(3.0)
    assert found.total.over_limit_n_s == pytest.approx(6.0)


def test_a_personal_limit_is_the_one_that_counts():
    found = measured(columns=samples([6.0] * 100), bands={("cheek", "left"): Band(0.5, 1.0, 5.5, 8.0)})
    assert found.total.over_limit_n_s == pytest.approx(0.5)


def test_what_happened_at_an_unknown_place_is_shown():
    found = measured(columns=join([samples([2.0] * 300), samples([1.0] * 100, -1, 3.0)]))
    assert found.unknown_time_ratio == pytest.approx(0.25)
    assert found.unknown_place.dose_n_s == pytest.approx(1.0)
    assert set(found.places) == {"left cheek"}


def test_a_gap_adds_nothing():
    whole = samples([2.0] * 400)
    with_gap = Rolled(*(np.concatenate([column[:100], column[300:]]) for column in whole))
    assert measured(columns=with_gap).total.dose_n_s == pytest.approx(measured(columns=whole).total.dose_n_s / 2)
    assert measured(columns=with_gap).observed_s == pytest.approx(2.0)


def test_time_in_each_comfort_state():
    columns = join([samples([0.0] * 100), samples([2.0] * 200, begin_s=1), samples([5.0] * 50, comfort=Comfort.STOP)])
    found = measured(columns=columns)
    assert found.comfort_s == pytest.approx(
        {level.name.lower(): 0.0 for level in Comfort} | {"no_contact": 1.0, "comfortable": 2.0, "stop": 0.5}
    )
    assert found.total.in_band_ratio == pytest.approx(0.8)


def test_the_place_decided_at_the_end_of_a_stroke_holds_for_all_of_it():
    columns = samples([2.0] * 100, place=-1)
    found = measured([stroke(begin_s=0.20, end_s=0.60)], columns)
    assert found.places["left cheek"].contact_s == pytest.approx(0.4)
    assert found.unknown_place.contact_s == pytest.approx(0.6)
    assert columns.place.max() == -1, "what is given is left alone"


def test_a_stroke_at_an_unknown_place_does_not_take_a_known_one_away():
    found = measured([stroke(zone="", side="", begin_s=0.2, end_s=0.6)], samples([2.0] * 100))
    assert found.places["left cheek"].contact_s == pytest.approx(1.0)
    assert found.unknown_place.passes == 1


# --- From strokes -----------------------------------------------------------------------------------------------------


def test_path_passes_and_pace():
    found = measured([stroke(), stroke(length_m=0.04, force_n=1.0), stroke("jaw", "right", length_m=0.05)])
    assert found.total.passes == 3
    assert found.total.path_m == pytest.approx(0.15)
    assert found.total.force_path_n_m == pytest.approx(2 * 0.06 + 1 * 0.04 + 2 * 0.05)
    assert found.total.pace_cm_s == pytest.approx(10.0)
    assert found.places["left cheek"].passes == 2
    assert found.places["right jaw"].passes == 1


def test_strokes_per_minute_of_contact():
    assert measured([stroke()] * 3, samples([0.0] * 1000 + [2.0] * 600)).strokes_per_min == pytest.approx(30)


def test_coverage_is_the_share_of_places_with_a_stroke():
    found = measured([stroke(), stroke(), stroke("jaw", "right"), stroke("decolletage", ""), stroke("", "")])
    assert list(found.covered) == ["left cheek", "right jaw", "decolletage"]
    assert found.coverage_ratio == pytest.approx(3 / 15)


def test_balance_of_the_sides():
    columns = join([samples([3.0] * 100), samples([1.0] * 100, JAW, 1.0)])
    strokes = [stroke(), stroke(begin_s=0.5, end_s=0.9), stroke("jaw", "right", begin_s=1.0, end_s=1.5)]
    found = measured([*strokes, stroke("decolletage", "", begin_s=5, end_s=6)], columns)
    assert found.left_ratio == pytest.approx({"dose": 0.75, "contact": 0.5, "passes": 2 / 3})
    assert found.sides["left"].passes == 2


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("outward_deg", "lifts"), [(45, True), (0.1, True), (89.9, True), (-1, False), (91, False), (-135, False)]
)
def test_lifting_goes_upward_and_outward_on_both_sides(side, outward_deg, lifts):
    found = measured([stroke(side=side, outward_deg=outward_deg)])
    assert found.total.in_target_ratio["lift"] == lifts


@pytest.mark.parametrize("zone", [zone for zone in ZONES if zone != "decolletage"])
def test_toward_the_neck_is_what_routines_call_so(zone):
    target_deg = TOWARD_NECK_DEG[zone]
    on = [stroke(zone, outward_deg=(target_deg + off + 180) % 360 - 180) for off in (-44, 0, 44)]
    off = [stroke(zone, outward_deg=(target_deg + off + 180) % 360 - 180) for off in (-46, 46, 180)]
    assert measured(on).total.in_target_ratio["toward_neck"] == 1
    assert measured(off).total.in_target_ratio["toward_neck"] == 0
    assert measured(on + off).total.in_target_ratio["toward_neck"] == pytest.approx(0.5)


@pytest.mark.parametrize("direction_deg", [60.0, -60.0])
def test_on_the_midline_outward_is_to_either_side(direction_deg):
    assert measured([stroke("decolletage", "", direction_deg=direction_deg)]).total.in_target_ratio["lift"] == 1


def test_strokes_of_unknown_direction_are_no_strokes_the_wrong_way():
    strokes = [stroke(), stroke(outward_deg=math.nan), stroke("", "", direction_deg=180.0), stroke(outward_deg=180.0)]
    found = measured(strokes)
    assert found.total.passes == 4
    assert found.total.passes_of_known_direction == 2
    assert found.total.in_target_ratio["lift"] == pytest.approx(0.5)


def test_strokes_without_a_length_are_passes_without_a_path():
    found = measured([stroke(length_m=math.nan), stroke(length_m=math.nan)])
    assert found.total.passes == 2
    assert found.total.path_m is found.total.force_path_n_m is found.total.pace_cm_s is None
    mixed = measured([stroke(length_m=math.nan), stroke(length_m=0.05)]).total
    assert mixed.path_m == pytest.approx(0.05)
    assert mixed.pace_cm_s == pytest.approx(10.0)


def test_targets_are_parameters():
    params = MeasureParams(targets={"down": dict.fromkeys(ZONES, 180.0)}, tolerance_deg=10.0)
    found = measure(params, [stroke(outward_deg=-175.0), stroke(outward_deg=165.0)], samples([]), {})
    assert found.total.in_target_ratio == {"down": 0.5}


# --- Whole sessions ---------------------------------------------------------------------------------------------------


def test_nothing_measured_is_not_known_instead_of_zero():
    found = measured()
    for value in (found.total.force_mean_n, found.total.force_p95_n, found.total.in_band_ratio, found.total.path_m):
        assert value is None
    assert found.unknown_time_ratio is found.strokes_per_min is None
    assert set(found.left_ratio.values()) == set(found.total.in_target_ratio.values()) == {None}
    assert found.places == {}
    json.dumps(measures_json(found), allow_nan=False)


def test_places_and_the_unknown_one_add_up_to_the_total():
    pipeline, estimates = understood(2, 60)
    columns = rolled(estimates, 1 / pipeline.rate_hz)
    found = measure(PARAMS, pipeline.totals.strokes, columns, {})
    parts = [*found.places.values(), found.unknown_place]
    assert len(parts) > 4
    for name in ("contact_s", "dose_n_s", "over_limit_n_s", "passes", "path_m", "force_path_n_m"):
        assert sum(getattr(part, name) or 0 for part in parts) == pytest.approx(getattr(found.total, name))
    assert found.total.contact_s == pytest.approx(pipeline.summary()["contact_s"], rel=2e-3)
    assert sum(found.comfort_s.values()) == pytest.approx(found.observed_s)
    assert json.loads(json.dumps(measures_json(found), allow_nan=False))["total"]["passes"] == found.total.passes


def test_columns_of_no_session_are_empty():
    assert len(join([]).t_s) == len(rolled([], 0.01).t_s) == 0


# --- Strokes in little memory -----------------------------------------------------------------------------------------


def test_packed_strokes_come_back_as_they_were():
    given = [stroke(begin_s=0.1 + 0.2, outward_deg=-math.pi), stroke("", "", length_m=math.nan), stroke("jaw", "")]
    packed = StrokeList()
    packed.extend(given[:1])
    packed.extend(given[1:])
    assert len(packed) == 3
    # Not `==`: NaN.
    assert repr(list(packed)) == repr(given)
    assert repr(packed[1:]) == repr(given[1:])
    assert repr(packed[-1]) == repr(given[-1])
    with pytest.raises(IndexError):
        packed[3]


def test_many_packed_strokes_come_back_in_order():
    packed = StrokeList()
    given = [stroke("cheek" if n % 3 else "jaw", begin_s=n / 3) for n in range(300)]
    for n in range(0, 300, 7):
        packed.extend(given[n : n + 7])
    assert repr(list(packed)) == repr(given)
    assert repr(packed[60:70]) == repr(given[60:70])


def test_an_hour_of_strokes_takes_less_than_a_mebibyte():
    packed = StrokeList()
    tracemalloc.start()
    packed.extend(stroke(begin_s=n / 3, end_s=n / 3 + 0.3) for n in range(3600))
    taken_b, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken_b < 2**20
