# SPDX-License-Identifier: MIT
"""The simulated sensors against closed forms: signs, scales, limits, slow errors, clocks; and slices of time."""

import gc
import itertools
import tracemalloc
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from firmware_protocol import reference
from simulator.body import rotations
from simulator.body.hand import Hand
from simulator.body.people import Habits
from simulator.body.truth import GRAVITY_M_S2, GRID_HZ, Truth
from simulator.hardware.parts import Oscillator
from simulator.hardware.sensors import Flaws, Sensors

PERFECT = Flaws(**{f.name: 0.0 for f in fields(Flaws)} | {"stop_n": 27.0, "creep_s": 60.0})
TEMP_REF_C = reference.CALIBRATION.temp_ref_c
COUNTS_PER_N = 1 / reference.N_PER_COUNT
HEAD_KG = reference.CALIBRATION.head_mass_kg


def stretch(seconds=2.0, begin_s=0.0, **columns):
    """Truth of a roller held still and upright in the air, but for the given columns (rows or one value for all)."""
    n = round(seconds * GRID_HZ)
    q = np.tile([1.0, 0, 0, 0], (n, 1))
    nothing, nothing2, nothing3, none = np.zeros(n), np.zeros((n, 2)), np.zeros((n, 3)), np.zeros(n, bool)
    still = {
        "gyro_rad_s": nothing3, "acc_m_s2": np.tile([0, GRAVITY_M_S2, 0], (n, 1)), "head_acc_m_s2": nothing3,
        "roll_rad": nothing, "force_n": nothing, "axial_n": nothing, "side_n": nothing2, "contact": none,
        "moving": none, "place": nothing.astype(np.int8), "contact_m": nothing3, "normal": nothing3,
        "speed_m_s": nothing, "direction_deg": nothing, "skew_deg": nothing, "pitch_deg": nothing, "q_world_body": q,
        "q_world_face": q, "temp_c": np.full(n, TEMP_REF_C),
    }  # fmt: skip
    given = {name: np.broadcast_to(value, still[name].shape) for name, value in columns.items()}
    return Truth(t_s=begin_s + np.arange(n) / GRID_HZ, **still | given, strokes=())


def readings(flaws=PERFECT, seed=1, seconds=2.0, **columns):
    return Sensors(seed, iter([stretch(seconds, **columns)]), flaws).read(seconds - 0.002)


# --- IMU --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", range(3))
def test_a_known_rate_gives_its_counts(axis):
    imu = readings(gyro_rad_s=np.eye(3)[axis] * 1.0, acc_m_s2=0.0).imu
    expected = np.zeros(6)
    expected[axis] = np.degrees(1.0) / 0.0175
    assert_allclose(imu, np.tile(expected, (len(imu), 1)), atol=0.51)


def test_gravity_reads_as_one_g_upward():
    imu = readings(acc_m_s2=[0, 0, GRAVITY_M_S2]).imu
    assert_allclose(imu, np.tile([0, 0, 0, 0, 0, 1000 / 0.122], (len(imu), 1)), atol=0.51)


def test_both_halves_of_the_imu_are_mounted_alike_and_the_fused_orientation_knows():
    vector = np.array([0.5, -1.5, 3.0])
    q_world_body = rotations.from_rotvec(np.array([0.4, -1.1, 0.7]))
    up_in_body = rotations.rotate(rotations.inverse(q_world_body), np.array([0, 0, 1.0]))
    flaws = replace(PERFECT, mounting_rad=0.2)
    made = readings(flaws, gyro_rad_s=vector, acc_m_s2=up_in_body * 20, q_world_body=q_world_body)
    again = readings(flaws, gyro_rad_s=vector, acc_m_s2=vector)
    gyro = made.imu[0, :3] * reference.GYRO_RAD_S_PER_COUNT
    acc = again.imu[0, 3:] * reference.ACC_M_S2_PER_COUNT
    assert_allclose(gyro, acc, atol=2e-3)
    assert np.linalg.norm(gyro) == pytest.approx(np.linalg.norm(vector), rel=1e-3)
    assert np.linalg.norm(gyro - vector) > 0.1
    up_in_sensor = made.imu[0, 3:] / np.linalg.norm(made.imu[0, 3:])
    assert_allclose(rotations.rotate(fused(made)[0], up_in_sensor), [0, 0, 1], atol=1e-3)


def test_mounting_errors_have_no_preferred_direction():
    seen = [
        readings(replace(PERFECT, mounting_rad=0.02), seed, 0.1, gyro_rad_s=[0, 0, 4.0]).imu[0, :2]
        for seed in range(40)
    ]
    angles = np.array(seen) * reference.GYRO_RAD_S_PER_COUNT / 4.0
    assert_allclose(angles.std(axis=0), 0.02 / np.sqrt(3), rtol=0.4)
    assert np.abs(angles.mean(axis=0)).max() < 0.006


def fused(made):
    """Quaternions of readings, scalar first."""
    xyz = made.quat / 32767
    return np.hstack([np.sqrt(1 - (xyz**2).sum(axis=1, keepdims=True)), xyz])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_fused_orientation_is_q_world_body_with_positive_w(sign):
    q = rotations.from_rotvec(np.array([0.3, 2.4, -1.0])) * sign
    assert_allclose(fused(readings(q_world_body=q))[0], q * np.sign(q[0]), atol=1e-4)


def test_the_fused_orientation_knows_its_mounting_where_the_sign_changes():
    q_world_body = rotations.from_rotvec(np.array([np.pi, 0, 0]))
    for seed in range(8):
        made = readings(
            replace(PERFECT, mounting_rad=0.2), seed, 0.1, q_world_body=q_world_body, acc_m_s2=[0, 0, -GRAVITY_M_S2]
        )
        up_in_sensor = made.imu[0, 3:] / np.linalg.norm(made.imu[0, 3:])
        assert_allclose(rotations.rotate(fused(made)[0], up_in_sensor), [0, 0, 1], atol=0.02)


def test_the_fused_orientation_is_wrong_by_half_a_degree_slowly():
    made = readings(replace(PERFECT, quat_deg=0.5), seconds=300.0)
    off_deg = np.degrees(2 * np.linalg.norm(fused(made)[:, 1:], axis=1))
    assert np.sqrt(np.mean(off_deg**2)) == pytest.approx(0.5, rel=0.15)
    assert np.abs(np.diff(off_deg)).max() < 0.02


@pytest.mark.parametrize(("imu_range", "dps", "g"), [(0, 500, 4), (1, 1000, 8), (2, 2000, 16)])
def test_ranges_saturate_where_they_end_and_scale_below(imu_range, dps, g):
    fast = np.radians([2 * dps, -2 * dps, dps / 2])
    strong = np.array([2 * g, -2 * g, g / 2]) * GRAVITY_M_S2
    sensors = Sensors(1, iter([stretch(gyro_rad_s=fast, acc_m_s2=strong)]), PERFECT)
    sensors.configure(imu_range=imu_range)
    assert sensors.imu_range == imu_range
    imu = sensors.read(1.0).imu
    finest = [500 / 2 / 0.0175, 4 / 2 / 0.122e-3]
    assert_allclose(imu[0], [32767, -32768, finest[0], 32767, -32768, finest[1]], atol=0.51)


@pytest.mark.parametrize(
    ("flaw", "columns", "scale"),
    [
        ("gyro_noise_rad_s", slice(0, 3), reference.GYRO_RAD_S_PER_COUNT),
        ("acc_noise_m_s2", slice(3, 6), reference.ACC_M_S2_PER_COUNT),
    ],
)
def test_noise_is_as_large_as_stated_and_white(flaw, columns, scale):
    imu = readings(replace(PERFECT, **{flaw: 50 * scale}), seconds=30.0).imu[:, columns]
    assert_allclose(imu.std(axis=0), 50, rtol=0.1)
    noise = imu - imu.mean(axis=0)
    assert np.abs((noise[1:] * noise[:-1]).mean(axis=0)).max() < 0.1 * 50**2


def spread(flaw, value, columns, scale, **truth):
    """Standard deviation over devices of the change that a flaw makes to their first reading."""
    plain = readings(seconds=0.1, **truth).imu[0, columns]
    seen = [
        readings(replace(PERFECT, **{flaw: value}), seed, 0.1, **truth).imu[0, columns] - plain for seed in range(60)
    ]
    return np.std(np.array(seen) * scale, axis=0)


def test_biases_scales_and_leaks_are_as_large_as_stated():
    gyro, acc = (slice(0, 3), reference.GYRO_RAD_S_PER_COUNT), (slice(3, 6), reference.ACC_M_S2_PER_COUNT)
    rate, force = {"gyro_rad_s": [4.0, 0, 0]}, {"acc_m_s2": [0, 0, 20.0]}
    assert_allclose(spread("gyro_bias_rad_s", 0.02, *gyro), 0.02, rtol=0.35)
    assert_allclose(spread("acc_bias_m_s2", 0.1, *acc), 0.1, rtol=0.35)
    assert_allclose(spread("gyro_scale", 0.02, *gyro, **rate), [0.08, 0, 0], rtol=0.35, atol=1e-3)
    assert_allclose(spread("acc_scale", 0.02, *acc, **force), [0, 0, 0.4], rtol=0.35, atol=1e-2)
    assert_allclose(spread("gyro_cross", 0.02, *gyro, **rate), [0, 0.08, 0.08], rtol=0.35, atol=1e-3)
    assert_allclose(spread("acc_cross", 0.02, *acc, **force), [0.4, 0.4, 0], rtol=0.35, atol=1e-2)


def test_biases_walk_with_the_square_root_of_time():
    flaws = replace(PERFECT, gyro_walk_rad_s=0.02, acc_walk_m_s2=0.1)
    seen = []
    for seed in range(40):
        parts = [stretch(15.0, 15.0 * i) for i in range(4)]
        seen.append(np.diff(Sensors(seed, iter(parts), flaws).read(59.99).imu[[0, -1]], axis=0)[0])
    walked = np.std(seen, axis=0) * np.repeat([reference.GYRO_RAD_S_PER_COUNT, reference.ACC_M_S2_PER_COUNT], 3)
    assert_allclose(walked, np.repeat([0.02, 0.1], 3), rtol=0.4)


def test_the_handle_shakes_while_the_roller_moves_only():
    moving = np.arange(4000) >= 2000
    made = readings(replace(PERFECT, vibration_m_s2=0.5), seconds=4.0, moving=moving)
    acc = made.imu[:, 3:] * reference.ACC_M_S2_PER_COUNT
    assert not np.ptp(acc[made.imu_s < 1.998], axis=0).any()
    assert_allclose(acc[made.imu_s > 2.0].std(axis=0), 0.5, rtol=0.15)
    assert not made.imu[:, :3].any()


# --- Encoder ----------------------------------------------------------------------------------------------------------


def test_the_encoder_counts_twelve_bits_of_a_turn_upward_and_wraps():
    turns = np.linspace(-0.1, 2.1, 4000)
    made = readings(seconds=4.0, roll_rad=2 * np.pi * turns)
    assert not (made.roll & 0xF).any()
    assert np.abs(np.diff(made.roll)).max() > 60_000
    expected = np.interp(made.imu_s, np.arange(4000) / GRID_HZ, turns)
    behind = (expected * 65536 - made.roll + 100) % 65536 - 100
    assert behind.min() > -1
    assert behind.max() < 17


def test_encoder_jitter_is_travel_of_the_surface():
    made = readings(replace(PERFECT, encoder_jitter_m=3e-4), seconds=30.0, roll_rad=1.0)
    assert np.std(made.roll) * reference.ROLL_RAD_PER_COUNT * 0.015 == pytest.approx(3e-4, rel=0.1)


def test_runout_comes_once_and_twice_a_turn():
    amplitudes = []
    for seed in range(40):
        flaws = replace(PERFECT, runout_rad=0.02, runout_twice_rad=0.01)
        made = readings(flaws, seed, 8.0, roll_rad=np.linspace(0, 4 * np.pi, 8000))
        angle = np.interp(made.imu_s, np.arange(8000) / GRID_HZ, np.linspace(0, 4 * np.pi, 8000))
        off = np.angle(np.exp(1j * (made.roll * reference.ROLL_RAD_PER_COUNT - angle)))
        amplitudes.append([2 * abs(np.mean(off * np.exp(-1j * k * angle))) for k in (1, 2, 3)])
    rms = np.sqrt(np.mean(np.square(amplitudes), axis=0))
    assert_allclose(rms, [0.02, 0.01, 0], rtol=0.3, atol=1e-3)


# --- Load cell --------------------------------------------------------------------------------------------------------


def newtons(flaws=PERFECT, **columns):
    made = readings(flaws, **columns)
    return made.force_s, made.force * reference.N_PER_COUNT


def test_pressing_reads_positive_in_newtons():
    assert_allclose(newtons(axial_n=2.0)[1], 2.0, atol=1e-4)
    assert_allclose(newtons(axial_n=-1.0)[1], -1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("felt", "weight_n"),
    [
        ([0, GRAVITY_M_S2, 0], 0.0),  # upright: the weight lies across the axis
        ([0, 0, GRAVITY_M_S2], -HEAD_KG * GRAVITY_M_S2),  # roller below the handle: it hangs from the cell
        ([0, 0, -GRAVITY_M_S2], HEAD_KG * GRAVITY_M_S2),  # upside down: it lies on the cell
        ([0, 0, 2 * GRAVITY_M_S2], -2 * HEAD_KG * GRAVITY_M_S2),  # thrown upward: inertia adds
    ],
)
def test_the_head_has_weight_and_inertia(felt, weight_n):
    assert_allclose(newtons(head_acc_m_s2=felt)[1], weight_n, atol=1e-4)


def test_a_side_load_leaks_in_by_a_share_that_each_device_has():
    def shown(side_n, seed):
        return newtons(replace(PERFECT, crosstalk=0.02), seed=seed, seconds=0.1, side_n=side_n)[1][0]

    for side_n in (np.array([5.0, 0.0]), np.array([0.0, 5.0])):
        seen = [shown(side_n, seed) for seed in range(60)]
        assert np.std(seen) == pytest.approx(0.1, rel=0.35)
        assert shown(2 * side_n, 7) == pytest.approx(2 * seen[7], abs=1e-4)


@pytest.mark.parametrize(("load_n", "shown_n"), [(26.9, 26.9), (40.0, 27.0), (-40.0, -27.0)])
def test_the_cell_clips_at_its_stop(load_n, shown_n):
    assert_allclose(newtons(axial_n=load_n)[1], shown_n, atol=1e-3)


def test_creep_comes_and_goes_with_its_time_constant():
    flaws = replace(PERFECT, creep=0.01, creep_s=20.0)
    loaded = np.where(np.arange(200 * GRID_HZ) < 100 * GRID_HZ, 10.0, 0.0)
    t_s, shown_n = newtons(flaws, seconds=200.0, axial_n=loaded)
    extra_n = shown_n - np.where(t_s < 100, 10.0, 0.0)
    for after_s in (20.0, 40.0):
        assert np.interp(after_s, t_s, extra_n) == pytest.approx(0.1 * (1 - np.exp(-after_s / 20)), abs=1e-3)
        assert np.interp(100 + after_s, t_s, extra_n) == pytest.approx(0.1 * np.exp(-after_s / 20), abs=2e-3)


def test_creep_goes_on_across_stretches():
    flaws = replace(PERFECT, creep=0.01, creep_s=20.0)
    parts = [stretch(0.5, 0.5 * i, axial_n=10.0) for i in range(80)]
    made = Sensors(1, iter(parts), flaws).read(39.99)
    whole = readings(flaws, seconds=40.0, axial_n=10.0)
    assert np.abs(made.force - whole.force[: len(made.force)]).max() <= 1


def test_zero_and_sensitivity_drift_with_temperature():
    def shown(flaw, value, load_n, temp_c):
        flaws = replace(PERFECT, **{flaw: value})
        return np.array([newtons(flaws, seed=s, seconds=0.1, axial_n=load_n, temp_c=temp_c)[1][0] for s in range(60)])

    assert_allclose(shown("zero_n_k", 0.02, 0.0, TEMP_REF_C), 0, atol=1e-4)
    warm = shown("zero_n_k", 0.02, 0.0, TEMP_REF_C + 5)
    assert warm.std() == pytest.approx(0.1, rel=0.35)
    assert_allclose(shown("zero_n_k", 0.02, 0.0, TEMP_REF_C - 5), -warm, atol=1e-4)
    assert_allclose(shown("sensitivity_k", 0.001, 0.0, TEMP_REF_C + 10), 0, atol=1e-4)
    assert shown("sensitivity_k", 0.001, 10.0, TEMP_REF_C + 10).std() == pytest.approx(0.1, rel=0.35)


def test_the_zero_walks():
    seen = []
    for seed in range(40):
        parts = [stretch(15.0, 15.0 * i) for i in range(4)]
        force = Sensors(seed, iter(parts), replace(PERFECT, zero_walk_n=0.05)).read(59.99).force
        seen.append((force[-1] - force[0]) * reference.N_PER_COUNT)
    assert np.std(seen) == pytest.approx(0.05, rel=0.35)


def test_a_calibrated_device_tells_its_sensitivity():
    flaws = replace(PERFECT, sensitivity=0.05, zero_counts=15000.0)
    for seed in range(5):
        loaded, empty = (readings(flaws, seed, 0.1, axial_n=n).force[0] for n in (10.0, 0.0))
        sensors = Sensors(seed, iter([]), flaws)
        assert (loaded - empty) * sensors.calibration.n_per_count == pytest.approx(10.0, abs=1e-3)
        assert abs(empty) > 100
        assert empty == sensors.zero_counts


def test_the_thermometer_reads_once_a_second():
    made = readings(seconds=10.0, temp_c=np.linspace(20, 30, 10_000))
    assert_allclose(made.temp_s, np.arange(0.5, 9.6))
    assert_allclose(made.temp, 100 * np.arange(20.5, 29.6), atol=1.1)


# --- Clocks -----------------------------------------------------------------------------------------------------------


def test_clocks_are_off_by_a_few_percent_each_on_its_own():
    devices = [Sensors(seed, iter([]), replace(PERFECT, oscillator=0.02)) for seed in range(100)]
    imu, force = np.array([(d.imu_rate_hz / 104, d.force_rate_hz / 80) for d in devices]).T
    assert_allclose([imu.std(), force.std()], 0.02, rtol=0.25)
    assert abs(np.corrcoef(imu, force)[0, 1]) < 0.3


def test_sample_times_follow_the_rate_as_it_drifts():
    clock = Oscillator(0.04, 0.002, 400.0, 1.0, 104)
    t_s = clock.due(1000.0)
    assert t_s[0] == pytest.approx(0.5 / clock.rate_hz(0.0), rel=1e-6)
    told_hz = [clock.rate_hz(t) for t in (t_s[1:] + t_s[:-1]) / 2]
    assert_allclose(1 / np.diff(t_s), told_hz, rtol=1e-8)
    assert np.ptp(told_hz) == pytest.approx(2 * 0.002 * 104, rel=1e-3)
    assert len(clock.due(1000.0)) == 0


def test_the_stated_rate_is_the_present_one():
    sensors = Sensors(3, iter([stretch(60.0, 60.0 * i) for i in range(10)]), replace(PERFECT, oscillator_drift=0.01))
    rates = []
    for until_s in np.arange(1.0, 599.0):
        taken = sensors.read(until_s)
        rates.append(sensors.imu_rate_hz)
        assert 1 / np.diff(taken.imu_s).mean() == pytest.approx(sensors.imu_rate_hz, rel=2e-4)
    assert np.ptp(rates) > 0.5


def test_another_rate_holds_from_the_last_reading_on():
    sensors = Sensors(1, iter([stretch(10.0)]), PERFECT)
    before = sensors.read(1.0)
    sensors.configure(imu_rate_hz=208, force_rate_hz=10)
    after = sensors.read(3.0)
    assert (len(before.imu_s), len(before.force_s)) == (104, 80)
    assert_allclose(after.imu_s, 1 + (np.arange(416) + 0.5) / 208)
    assert_allclose(after.force_s, 1 + (np.arange(20) + 0.5) / 10)
    assert len(after.roll) == len(after.quat) == len(after.imu) == 416
    assert (sensors.imu_rate_hz, sensors.force_rate_hz) == (208, 10)


def test_another_range_keeps_the_times_of_the_samples():
    times = []
    for imu_range in (None, 2):
        sensors = Sensors(1, iter([stretch(10.0)]))
        first = sensors.read(1.003)
        if imu_range:
            sensors.configure(imu_range=imu_range)
        times.append(np.concatenate([first.imu_s, sensors.read(5.0).imu_s]))
    assert_array_equal(*times)


def test_another_rate_of_the_imu_leaves_the_load_cell_alone():
    forces = []
    for rate_hz in (104, 52):
        sensors = Sensors(1, iter([stretch(10.0)]))
        sensors.configure(imu_rate_hz=rate_hz)
        forces.append(sensors.read(5.0).force)
    assert_array_equal(*forces)


@pytest.mark.parametrize("wrong", [{"imu_rate_hz": 100}, {"force_rate_hz": 0}, {"imu_range": 3}, {"imu_range": -1}])
def test_unknown_rates_and_ranges_are_refused(wrong):
    with pytest.raises(ValueError, match="no such rate or range"):
        Sensors(1, iter([])).configure(**wrong)


# --- Motor ------------------------------------------------------------------------------------------------------------


def test_the_motor_shakes_imu_and_cell_while_it_runs():
    flaws = replace(PERFECT, haptic_m_s2=2.0, haptic_rad_s=0.1, haptic_n=0.2)
    sensors = Sensors(1, iter([stretch(10.0)]), flaws)
    sensors.haptic(1.0, 2.0, 0.5)
    sensors.haptic(4.0, 6.0, 1.0)
    made = sensors.read(9.9)
    quiet = readings(seconds=10.0)
    acc = (made.imu - quiet.imu[: len(made.imu)])[:, 3] * reference.ACC_M_S2_PER_COUNT
    gyro = made.imu[:, 1] * reference.GYRO_RAD_S_PER_COUNT
    force = made.force * reference.N_PER_COUNT
    for times, values, amplitude in ((made.imu_s, acc, 2.0), (made.imu_s, gyro, 0.1), (made.force_s, force, 0.2)):
        weak, strong = (times >= 1) & (times < 2), (times >= 4) & (times < 6)
        assert not values[~weak & ~strong].any()
        assert np.sqrt(2) * values[weak].std() == pytest.approx(amplitude / 2, rel=0.15)
        assert np.sqrt(2) * values[strong].std() == pytest.approx(amplitude, rel=0.15)


def test_the_motor_cannot_shake_what_was_read_before():
    sensors = Sensors(1, iter([stretch(10.0)]), replace(PERFECT, haptic_n=0.2))
    sensors.read(2.0)
    sensors.haptic(1.0, 3.0, 1.0)
    assert sensors.read(3.0).force.any()
    assert not sensors.read(4.0).force.any()


# --- Streams ----------------------------------------------------------------------------------------------------------


def massage(seed):
    hand = Hand(seed)
    yield hand.rest(3.0)
    while True:
        yield hand.visit()


def in_slices(slices_s, seed=2, end_s=40.0):
    """One massage read in slices, with a change of rate and a run of the motor at the same times."""
    sensors = Sensors(seed, massage(seed))
    parts = []
    for until_s in sorted({*np.arange(slices_s, end_s, slices_s), 17.0, end_s}):
        parts.append(sensors.read(until_s))
        if until_s == 17.0:
            sensors.configure(imu_rate_hz=208, imu_range=1, force_rate_hz=40)
            sensors.haptic(18.0, 21.0, 0.7)
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


@pytest.mark.parametrize("slices_s", [0.01, 0.06, 0.371])
def test_what_is_read_does_not_depend_on_the_slices(slices_s):
    for ours, others in zip(in_slices(slices_s), in_slices(17.0), strict=True):
        assert_array_equal(ours, others)


def test_no_sample_is_lost_or_late_across_stretches():
    sensors = Sensors(5, massage(5), replace(Flaws(), oscillator_drift=0.0))
    made = sensors.read(60.0)
    assert_allclose(np.diff(made.imu_s), 1 / sensors.imu_rate_hz, rtol=1e-9)
    assert_allclose(np.diff(made.force_s), 1 / sensors.force_rate_hz, rtol=1e-9)
    assert made.imu_s[-1] < 60.0 <= made.imu_s[-1] + 1 / sensors.imu_rate_hz
    turned = np.angle(np.exp(1j * np.diff(made.roll * reference.ROLL_RAD_PER_COUNT)))
    assert np.abs(turned).max() < 0.6


def test_devices_differ_by_seed_and_repeat_themselves():
    one, same, other = (Sensors(seed, iter([stretch()])).read(1.5) for seed in (1, 1, 2))
    for ours, theirs in zip(one, same, strict=True):
        assert_array_equal(ours, theirs)
    assert not np.array_equal(one.imu[:50], other.imu[:50])
    assert abs(int(one.force[0]) - int(other.force[0])) > 100


def test_a_stretch_is_asked_for_only_when_a_reading_reaches_it():
    asked = []

    def person():
        for i in range(10):
            asked.append(i)
            yield stretch(1.0, float(i))

    sensors = Sensors(1, person())
    for until_s, n_asked in ((0.5, 1), (0.9, 1), (1.5, 2), (4.5, 5)):
        sensors.read(until_s)
        assert len(asked) == n_asked


def growth_b(turn, n_warm, n):
    """Memory that ``n`` turns leave behind; numpy keeps some 50 kB of small pieces for later."""
    tracemalloc.start()
    try:
        for _ in range(n_warm):
            turn()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(n):
            turn()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def test_memory_of_the_sensors_stays_flat():
    still = itertools.cycle([stretch(1.0)])
    truth = (replace(next(still), t_s=i + np.arange(GRID_HZ) / GRID_HZ) for i in itertools.count())
    sensors = Sensors(1, truth)
    times_s = itertools.count(1)

    def turn():
        until_s = next(times_s) / 2
        sensors.haptic(until_s, until_s + 0.04, 1.0)
        sensors.read(until_s)

    assert growth_b(turn, 20, 800) < 50_000


def test_memory_of_the_hand_stays_flat():
    assert growth_b(Hand(1, Habits(strokes=(1, 1), turns=0.5, speed_m_s=(0.3, 0.4))).visit, 20, 120) < 100_000


def test_samples_lie_between_their_neighbours():
    for before, after in pairwise(in_slices(17.0)[0]):
        assert 0 < after - before < 0.02
