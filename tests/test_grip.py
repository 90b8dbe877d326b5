# SPDX-License-Identifier: MIT
"""How the roller is held: skew, pitch, scale and curvature learned from strokes, and what that does to their paths."""

import dataclasses
import math

import numpy as np
import pytest
import sim

from firmware_protocol.zones import PLACES
from roller_host.signal import grip
from roller_host.signal.calibration import DeviceModel
from roller_host.signal.grip import GripParams, GripState
from roller_host.signal.paths import along_rolling_rad
from roller_host.signal.skin import ANYWHERE_PER_M, curvature_per_m
from roller_host.signal.stroke_sums import StrokeParams, after_session
from simulator.body.hand import Habits
from simulator.hardware.flaws import Flaws

PERFECT = Flaws(**{f.name: f.default if f.name in ("creep_s", "stop_n") else 0.0 for f in dataclasses.fields(Flaws)})
STEADY = Habits(
    skew_group_deg=0.0, skew_stroke_deg=0.0, pitch_deg=0.0, rocking_deg=0.0, wander_deg=0.0, head_sway_deg=0.0,
    turns=0.0, slip=0.0, stretch_m=0.0, radius_bias=0.0, tremor_m=0.0,
)  # fmt: skip
SKEW_DEG = 15.0
SECONDS = 50.0


def turns(degrees):
    return np.abs((np.asarray(degrees) + 180) % 360 - 180)


def massage(seed=5, flaws=PERFECT, **habits):
    """Pairs of true and found strokes, evidence of all found ones, and those."""
    made = sim.session(seed, SECONDS, dataclasses.replace(STEADY, **habits), flaws)
    pipeline, estimates = sim.run(made.records)
    found = list(pipeline.totals.strokes)
    pairs = sim.match_strokes(sim.true_strokes(made, SECONDS - 1), found)
    assert len(pairs) > 15
    evidence = [said for one in estimates for said in one.evidence]
    assert len(evidence) == len(found)
    return pairs, evidence, found


def said_of(pairs, evidence, found):
    """Evidence of each pair."""
    return [evidence[found.index(one)] for _, one in pairs]


def direction_errors(pairs):
    return turns([found.direction_deg - true.direction_deg for true, found in pairs])


def grips(evidence, params=None):
    state, held = GripState(), []
    for said in evidence:
        one, state = grip.grip_step(params or GripParams(), state, said)
        held.append(one)
    return held


@pytest.mark.parametrize("skew_deg", [-SKEW_DEG, SKEW_DEG])
def test_a_skewed_roller_is_found_out(skew_deg):
    pairs, evidence, found = massage(grip_skew_deg=skew_deg)
    straight = [math.degrees(along_rolling_rad(said)) for said in said_of(pairs, evidence, found)]
    assert np.median(turns([a - true.direction_deg for a, (true, _) in zip(straight, pairs, strict=True)])) > 12
    assert np.median(direction_errors(pairs)) < 2
    assert math.degrees(math.atan(grips(evidence)[-1][0][0])) == pytest.approx(skew_deg, abs=2.5)


def test_a_pitched_handle_is_found_out():
    _, evidence, _ = massage(pitch_deg=8.0)
    values = grips(evidence)[-1][0]
    # Held off the skin by twice that, with a scatter of as much.
    assert -32 < math.degrees(math.atan2(values[2], values[1])) < -3
    pairs, _, _ = massage(pitch_deg=8.0)
    assert np.percentile(direction_errors(pairs), 90) < 5


def test_forces_of_strokes_are_those_under_the_pitch_that_they_had():
    pairs, _, _ = massage(seed=7, pitch_deg=10.0, rocking_deg=8.0)
    errors = np.array(
        [
            (found.force_n / true.force_n - 1, found.force_peak_n / true.force_peak_n - 1)
            for true, found in pairs
            if true.force_n > 1.0
        ]
    )
    assert len(errors) > 15
    # Along the cell's axis, corrected for the usual pitch alone, either is wrong by 7 %.
    assert np.median(np.abs(errors), axis=0).max() < 0.03


def test_lengths_are_those_on_the_skin_not_those_of_the_axle():
    pairs, evidence, found = massage()
    ratios = [found.length_m / true.length_m for true, found in pairs]
    assert np.median(ratios) == pytest.approx(1.0, abs=0.02)
    ways = [said.way_m / true.length_m for said, (true, _) in zip(said_of(pairs, evidence, found), pairs, strict=True)]
    assert np.median(ways) > 1.08  # faces are convex


def test_slip_and_a_wrong_radius_are_noticed_in_quick_strokes():
    pairs, evidence, found = massage(slip=0.08, speed_m_s=(0.2, 0.4))
    by_encoder = [
        said.way_m / true.length_m for said, (true, _) in zip(said_of(pairs, evidence, found), pairs, strict=True)
    ]
    estimated = [found.length_m / true.length_m for true, found in pairs]
    assert np.std(estimated) < 0.6 * np.std(by_encoder)


def test_stated_uncertainty_covers_the_errors():
    pairs, _, _ = massage(seed=6, flaws=Flaws(), **dataclasses.asdict(Habits()))
    ratios = direction_errors(pairs) / [found.direction_sigma_deg for _, found in pairs]
    assert np.mean(ratios < 2) > 0.85
    assert np.sqrt(np.mean(ratios**2)) > 0.3  # and is not stated so large that it always does
    lengths = [(found.length_m - true.length_m) / found.length_sigma_m for true, found in pairs]
    assert np.mean(np.abs(lengths) < 2) > 0.85


def test_strokes_in_one_grip_make_each_other_surer():
    _, evidence, _ = massage(flaws=Flaws(), speed_m_s=(0.1, 0.2))
    alike = [evidence[3]._replace(lifted=True)] + [evidence[3]._replace(lifted=False)] * 5
    sigma = [math.sqrt(covariance[0, 0]) for _, covariance in grips(alike)]
    assert sigma == sorted(sigma, reverse=True)
    assert sigma[-1] < 0.8 * sigma[0]


def test_covariances_are_covariances():
    _, evidence, _ = massage(flaws=Flaws(), slip=0.04)
    for _, covariance in grips(evidence) + grip.look_back(GripParams(), evidence):
        assert np.allclose(covariance, covariance.T, atol=1e-9)
        assert np.linalg.eigvalsh((covariance + covariance.T) / 2).min() > 0


def test_looking_back_adds_what_came_later_and_nothing_to_the_last_stroke():
    _, evidence, _ = massage(flaws=Flaws(), skew_group_deg=6.0, speed_m_s=(0.03, 0.08))
    forward, back = grips(evidence), grip.look_back(GripParams(), evidence)
    np.testing.assert_allclose(back[-1][0], forward[-1][0], rtol=1e-9, atol=1e-12)
    sigma = np.array([[math.sqrt(held[1][0, 0]) for held in run] for run in (forward, back)])
    assert (sigma[1] <= sigma[0] * (1 + 1e-9)).all()
    assert sigma[1].mean() < sigma[0].mean()


def test_after_the_session_strokes_keep_what_they_are():
    _, evidence, found = massage(flaws=Flaws(), skew_group_deg=6.0, speed_m_s=(0.03, 0.08))
    later = after_session(StrokeParams(), DeviceModel(), found, evidence)
    path = {"length_m", "length_sigma_m", "direction_deg", "direction_sigma_deg", "confidence", "outward_deg"}
    path |= {"speed_m_s", "speed_peak_m_s"}
    for before, after in zip(found, later, strict=True):
        same = [name for name in before._fields if name not in path]
        assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]
    assert any(before.direction_deg != after.direction_deg for before, after in zip(found, later, strict=True))
    assert after_session(StrokeParams(), DeviceModel(), found, []) == found


def test_a_new_grip_is_not_the_old_one():
    """After strokes with a lift-off elsewhere the old skew is forgotten but for what it tells of the person."""
    _, evidence, _ = massage(grip_skew_deg=SKEW_DEG)
    state = GripState()
    for said in evidence[:6]:
        _, state = grip.grip_step(GripParams(), state, said)
    silent = evidence[6]._replace(information=np.zeros((4, 4)), vector=np.zeros(4), lifted=True)
    near, _ = grip.grip_step(GripParams(), state, silent._replace(out=evidence[5].out, forward=evidence[5].forward))
    far, _ = grip.grip_step(GripParams(), state, silent._replace(out=-evidence[5].out))
    assert abs(far[0][0]) < abs(near[0][0])
    assert far[1][0, 0] > near[1][0, 0]


def test_directions_near_the_vertical_normal_are_stated_as_unsure():
    pairs, _, _ = massage(seed=8, flaws=Flaws(), **dataclasses.asdict(Habits()))
    sigma = {
        chin: np.median([found.direction_sigma_deg for true, found in pairs if (true.zone == "under_chin") is chin])
        for chin in (True, False)
        if any((true.zone == "under_chin") is chin for true, _ in pairs)
    }
    if True in sigma:
        assert sigma[True] > 1.5 * sigma[False]
    for _, found in pairs:
        assert found.confidence == pytest.approx(math.erf(22.5 / found.direction_sigma_deg / math.sqrt(2)))


@pytest.mark.parametrize("place", range(len(PLACES)))
@pytest.mark.parametrize("direction_deg", [0.0, 40.0, 90.0, 140.0])
def test_skin_curves_outward_alike_on_both_sides(place, direction_deg):
    mean, spread = curvature_per_m(place, math.radians(direction_deg))
    assert 0 < mean < 25
    assert 0 < spread < ANYWHERE_PER_M[1]
    zone, side = PLACES[place]
    if side:
        other = PLACES.index((zone, {"left": "right", "right": "left"}[side]))
        assert curvature_per_m(other, math.radians(-direction_deg)) == pytest.approx((mean, spread))
    assert curvature_per_m(place, math.radians(direction_deg + 180)) == pytest.approx((mean, spread))


def test_a_neck_is_round_one_way_only():
    neck = PLACES.index(("neck", "left"))
    assert curvature_per_m(neck, 0.0)[0] < 3
    assert curvature_per_m(neck, math.pi / 2)[0] > 12
    assert curvature_per_m(-1, 0.3) == ANYWHERE_PER_M
