# SPDX-License-Identifier: MIT
"""Counts to newtons from known loads: what makes a calibration, what is refused, and with which words."""

from dataclasses import replace

import numpy as np
import pytest

from firmware_protocol import codec, reference
from roller_host.signal.calibration import GRAVITY_M_S2, DeviceModel, Samples
from roller_host.signal.steady import SteadyParams, SteadyState, raw_counts, steady_step
from roller_host.signal.tumble import TUMBLED
from roller_host.signal.weights import (
    WEIGHED,
    Reading,
    WeightError,
    WeightParams,
    check_masses,
    fit_weights,
    reading_of,
    with_weights,
)

PARAMS = WeightParams()
RECORD = reference.CALIBRATION
MODEL = DeviceModel()
TRUE_N_PER_COUNT = 1.17 * RECORD.n_per_count
ZERO = 12_000.0


def readings(*masses_kg, actual=None, drift_counts_s=0.0, noise_n=0.003, seed=1):
    """The empty roller, each mass, and the empty roller again after each; ``actual`` says what really hung there."""
    rng, made = np.random.default_rng(seed), []
    for i, mass_kg in enumerate([0.0, *(m for one in masses_kg for m in (one, 0.0))]):
        t_s = 10.0 * i
        really_kg = (actual or {}).get(mass_kg, mass_kg)
        counts = ZERO + drift_counts_s * t_s + (really_kg * GRAVITY_M_S2 + rng.normal(0, noise_n)) / TRUE_N_PER_COUNT
        made.append(Reading(mass_kg, mass_kg * GRAVITY_M_S2, counts, 100.0, t_s))
    return made


def refusal(*masses_kg, record=RECORD, **options):
    with pytest.raises(WeightError) as caught:
        fit_weights(PARAMS, record, readings(*masses_kg, **options))
    return caught.value


# --- Fit --------------------------------------------------------------------------------------------------------------


def test_the_line_finds_sensitivity_and_zero_in_any_order_with_repeats():
    fit = fit_weights(PARAMS, RECORD, readings(1.0, 0.2, 2.0, 0.2, 0.5))
    assert fit.n_per_count == pytest.approx(TRUE_N_PER_COUNT, rel=0.001)
    assert fit.zero_counts == pytest.approx(ZERO, abs=0.01 / TRUE_N_PER_COUNT)
    assert fit.n_loads == 4
    assert fit.max_error_n == max(abs(one) for one in fit.residuals_n) < 0.01
    assert not fit.bent


def test_two_masses_and_the_empty_roller_are_enough():
    assert fit_weights(PARAMS, RECORD, readings(0.5, 2.0)).n_per_count == pytest.approx(TRUE_N_PER_COUNT, rel=0.002)


def test_a_drifting_zero_does_no_harm():
    drift = 0.002 / TRUE_N_PER_COUNT  # 2 mN/s: 0.2 N in the whole flow
    fit = fit_weights(PARAMS, RECORD, readings(0.1, 0.2, 0.5, 1.0, 2.0, drift_counts_s=drift))
    assert fit.n_per_count == pytest.approx(TRUE_N_PER_COUNT, rel=0.001)
    assert fit.max_error_n < 0.01
    assert fit.zero_counts == pytest.approx(ZERO + 100 * drift, abs=0.01 / TRUE_N_PER_COUNT)


def test_stated_uncertainty_is_honest_but_for_the_masses():
    fits = [
        fit_weights(replace(PARAMS, mass_sigma=0.0), RECORD, readings(0.1, 0.3, 0.5, 0.8, noise_n=0.01, seed=seed))
        for seed in range(60)
    ]
    misses = [(fit.n_per_count / TRUE_N_PER_COUNT - 1) / fit.sigma for fit in fits]
    assert 0.7 < np.std(misses) < 1.6
    assert fit_weights(PARAMS, RECORD, readings(0.1, 0.5, 1.0)).sigma >= PARAMS.mass_sigma


def test_a_curve_is_preferred_only_when_it_is_clearly_better():
    def bent(share):
        return [
            one._replace(counts=one.counts + share * one.load_n**2 / 20.0 / TRUE_N_PER_COUNT)
            for one in readings(0.2, 0.5, 1.0, 1.5, 2.0, noise_n=0.001)
        ]

    assert not fit_weights(PARAMS, RECORD, bent(0.001)).bent
    fit = fit_weights(PARAMS, RECORD, bent(0.02))
    assert fit.bent
    assert fit.bent_left_out_n < PARAMS.clearly * fit.left_out_n


def test_the_record_takes_over_what_was_found():
    fit = fit_weights(PARAMS, RECORD, readings(0.1, 0.5, 2.0))
    found = RECORD._replace(flags=TUMBLED, head_mass_kg=0.05, zero_counts=7)
    record = with_weights(RECORD, found, fit, 1_790_000_000, 21.5)
    back = codec.decode_record("CALIBRATION", codec.encode_record("CALIBRATION", record))
    assert back.flags == TUMBLED | WEIGHED
    assert back.n_per_count == pytest.approx(TRUE_N_PER_COUNT, rel=0.001)
    assert back.zero_counts == round(fit.zero_counts)
    # The tumble weighed in newtons of the old sensitivity.
    assert back.head_mass_kg == pytest.approx(0.05 * 1.17, rel=0.003)
    assert (back.points, back.unix_date_s, back.temp_ref_c) == (3, 1_790_000_000, 21.5)
    assert back.max_error_n == pytest.approx(fit.max_error_n, abs=0.0006)


def test_without_a_tumble_and_thermometer_head_mass_and_temperature_stay():
    fit = fit_weights(PARAMS, RECORD, readings(0.1, 0.5, 2.0))
    record = with_weights(RECORD, RECORD, fit, 1_790_000_000, float("nan"))
    assert (record.head_mass_kg, record.temp_ref_c) == (RECORD.head_mass_kg, RECORD.temp_ref_c)


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_an_outlier_is_named_with_how_far_it_is_off():
    error = refusal(0.1, 0.2, 0.5, 1.0, 2.0, actual={0.5: 0.531})
    assert str(error).startswith("the 0.5 kg reading is 0.31 N off what the others say: remove it")
    assert [readings(0.1, 0.2, 0.5, 1.0, 2.0)[i].mass_kg for i in error.suspects] == [0.5]


def test_of_two_readings_of_a_mass_the_wrong_one_is_named():
    made = readings(0.2, 0.5, 0.5, 1.0)
    made[5] = made[5]._replace(counts=made[5].counts + 0.4 / TRUE_N_PER_COUNT)
    with pytest.raises(WeightError, match=r"the second 0\.5 kg reading is 0\.4. N off") as caught:
        fit_weights(PARAMS, RECORD, made)
    assert caught.value.suspects == (5,)


def test_swapped_masses_are_recognised():
    error = refusal(0.1, 0.2, 0.5, 1.0, 2.0, actual={0.5: 1.0, 1.0: 0.5})
    assert str(error) == "0.5 kg and 1 kg seem to be swapped: remove both, and read them again"
    assert len(error.suspects) == 2


def test_two_masses_that_contradict_each_other_blame_nobody():
    error = refusal(0.5, 1.0, actual={0.5: 0.6})
    assert "the readings contradict each other by up to" in str(error)
    assert "one or two more" in str(error)
    assert error.suspects == ()


def test_loads_that_never_hung_there_are_no_calibration():
    with pytest.raises(WeightError):
        fit_weights(PARAMS, RECORD, readings(0.5, 1.0, 2.0, actual={0.5: 0.0, 1.0: 0.0, 2.0: 0.0}))


def test_a_reading_that_falls_under_load_is_refused():
    error = refusal(0.2, 0.5, 1.0, record=RECORD._replace(n_per_count=-RECORD.n_per_count))
    assert "falls where it should rise" in str(error)


def test_grams_taken_for_kilograms_are_noticed():
    error = refusal(0.2, 0.5, 1.0, actual={0.2: 0.02, 0.5: 0.05, 1.0: 0.1})
    assert "masses given in kg" in str(error)


@pytest.mark.parametrize("masses_kg", [(), (0.5,), (0.5, 0.5)])
def test_too_few_different_loads_are_refused(masses_kg):
    assert "different masses or more" in str(refusal(*masses_kg))


def test_without_the_empty_roller_there_is_no_zero():
    with pytest.raises(WeightError, match="empty roller was not read"):
        fit_weights(PARAMS, RECORD, [one for one in readings(0.1, 0.5, 1.0) if one.mass_kg])


@pytest.mark.parametrize(
    ("masses_kg", "reason"),
    [
        ((0.5,), "one mass beside the empty roller"),
        ((0.5, 0.5), "one mass beside the empty roller"),
        ((0.5, -1.0), "-1 kg is no mass"),
        ((0.5, 0.0), "0 kg is no mass"),
        ((0.5, float("nan")), "nan kg is no mass"),
        ((0.5, float("inf")), "inf kg is no mass"),
        ((0.5, 3.0), r"3 kg pulls with 29\.4 N, more than the 25 N that the cell bears: give masses up to 2\.5 kg"),
    ],
)
def test_a_list_of_masses_is_judged_before_anything_hangs(masses_kg, reason):
    with pytest.raises(WeightError, match=reason):
        check_masses(PARAMS, masses_kg, 25.0)
    check_masses(PARAMS, (0.1, 0.5, 0.5), 25.0)


# --- Plateaus ---------------------------------------------------------------------------------------------------------

FS_HZ = 104.0


def samples(load_n, t0_s=0.0, turn_rad_s=0.0, noise_n=0.005, up=(0.0, 0.0, -GRAVITY_M_S2)):
    """Samples of a load that changes as told, N, the pressing side of the roller up."""
    n = len(load_n)
    rng = np.random.default_rng(3)
    counts = ZERO + (np.asarray(load_n) + rng.normal(0, noise_n, n)) / RECORD.n_per_count
    return Samples(
        t0_s + np.arange(n) / FS_HZ,
        np.tile([turn_rad_s, 0.0, 0.01], (n, 1)),
        np.tile(up, (n, 1)),
        np.zeros(n),
        (counts - RECORD.zero_counts) * RECORD.n_per_count,
    )


def plateau(*blocks):
    found, state = None, SteadyState()
    for block in blocks:
        found, state = steady_step(SteadyParams(), MODEL, state, block)
    return found


def test_a_steady_load_gives_its_raw_reading_and_noise():
    found = plateau(samples(np.full(300, 4.9)))
    assert found.steady
    assert found.counts == pytest.approx(ZERO + 4.9 / RECORD.n_per_count, abs=0.002 / RECORD.n_per_count)
    assert found.noise_counts == pytest.approx(0.005 / RECORD.n_per_count, rel=0.2)
    assert found.gyro_rad_s == pytest.approx((0.0, 0.0, 0.01))
    assert raw_counts(MODEL, samples(np.full(2, 4.9), noise_n=0.0)) == pytest.approx(ZERO + 4.9 / RECORD.n_per_count)


@pytest.mark.parametrize(
    ("block", "trouble"),
    [
        (samples(np.full(300, 1.0), turn_rad_s=0.3), "the roller turns"),
        (samples(np.linspace(1.0, 1.2, 300)), "the load still changes"),
        (samples(1.0 + 0.1 * np.sin(np.arange(300) / FS_HZ * 2 * np.pi * 2.0)), "swings or shakes"),
        (samples(np.full(300, 2**23 * RECORD.n_per_count), noise_n=0.0), "end of its range"),
    ],
)
def test_what_is_not_steady_says_why(block, trouble):
    found = plateau(block)
    assert not found.steady
    assert trouble in found.trouble


def test_a_gap_begins_a_new_window_and_a_short_one_is_no_plateau():
    before, after = samples(np.full(300, 1.0)), samples(np.full(20, 1.0), t0_s=10.0)
    assert plateau(before) is not None
    assert plateau(before, after) is None


def test_a_reading_takes_head_and_tilt_into_account():
    tilt = np.radians(10.0)
    up = GRAVITY_M_S2 * np.array([np.sin(tilt), 0.0, -np.cos(tilt)])
    load_n = (0.5 + RECORD.head_mass_kg) * GRAVITY_M_S2 * np.cos(tilt)
    found = reading_of(PARAMS, MODEL, plateau(samples(np.full(300, load_n), up=up)), 0.5)
    assert found.load_n == pytest.approx(0.5 * GRAVITY_M_S2 * np.cos(tilt), rel=1e-6)
    assert found.counts == pytest.approx(ZERO + found.load_n / RECORD.n_per_count, abs=0.002 / RECORD.n_per_count)


def test_a_scale_pushes_against_a_roller_that_points_down():
    up = (0.0, 0.0, GRAVITY_M_S2)
    load_n = (0.5 - RECORD.head_mass_kg) * GRAVITY_M_S2
    found = reading_of(PARAMS, MODEL, plateau(samples(np.full(300, load_n), up=up)), 0.5, pressed=True)
    assert found.load_n == pytest.approx(0.5 * GRAVITY_M_S2)
    assert found.counts == pytest.approx(ZERO + found.load_n / RECORD.n_per_count, abs=0.002 / RECORD.n_per_count)


def test_a_roller_on_its_side_carries_no_load_along_its_axis():
    with pytest.raises(WeightError, match="tilted by 90 degrees"):
        reading_of(PARAMS, MODEL, plateau(samples(np.full(300, 0.0), up=(0.0, GRAVITY_M_S2, 0.0))), 0.5)
