# SPDX-License-Identifier: MIT
"""Force: weight of the head removed in every position, a zero that follows the cell and eats no touch."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.spatial.transform import Rotation
from sim import (
    Dialogue,
    Session,
    first_sample_s,
    joined,
    match_strokes,
    run,
    session,
    true_force,
    true_strokes,
    understood,
)

from firmware_protocol import codec, zones
from roller_host.signal.calibration import DeviceModel, Samples
from roller_host.signal.comfort import Band, Comfort
from roller_host.signal.core import SignalParams, SignalState, signal_step
from roller_host.signal.force import Force, ForceParams, ForceState, after_gap, force_step, peak_n
from roller_host.signal.tumble import TumbleError, TumbleParams, calibrated, identify
from simulator.body.people import Habits
from simulator.firmware.device import Device

MODEL = DeviceModel()
G = 9.80665
FS_HZ = 104.0
SEEDS = (1, 2, 3)
SECONDS = 60
BAND = Band(0.5, 1.5, 3.0, 5.0)
STRAIGHT = ForceParams(pitch_deg=0.0)
"""No correction for a pitched handle: what is applied along the axis is what has to be read."""


def made_samples(rotation, applied_n=0.0, zero_n=0.0, model=MODEL, axis=None, roll_rad=0.0, fs_hz=FS_HZ):
    """Samples of a roller that turns about its own IMU as ``rotation`` says, one per sample.

    The load of the head is worked out here from the rigid-body relation, in vectors.
    """
    n = len(rotation)
    turn = (rotation[:-1].inv() * rotation[1:]).as_rotvec() * fs_hz
    rate = np.vstack([turn[:1], turn])
    alpha = np.gradient(rate, 1 / fs_hz, axis=0)
    acc = rotation.inv().apply([0.0, 0.0, G])
    lever = model.lever_m
    head = acc + np.cross(alpha, lever) + np.cross(rate, np.cross(rate, lever))
    cell_n = model.calibration.head_mass_kg * head @ (model.press if axis is None else axis) + applied_n + zero_n
    t_s, roll_rad = np.arange(n) / fs_hz, np.broadcast_to(roll_rad, n).astype(float)
    return Samples(t_s, rate, acc, roll_rad, np.broadcast_to(cell_n, n).astype(float))


def level(seconds, fs_hz=FS_HZ):
    """Held still, handle down."""
    return Rotation.from_rotvec(np.zeros((round(seconds * fs_hz), 3)))


def estimated(samples, params=STRAIGHT, model=MODEL, length=10**9, fs_hz=FS_HZ):
    """Force of samples fed in blocks of ``length``; their rates have no bias."""
    state, parts = ForceState(), []
    for begin in range(0, len(samples.t_s), length):
        block = Samples(*(column[begin : begin + length] for column in samples))
        force, state = force_step(params, model, state, block, block.gyro_rad_s, fs_hz)
        parts.append(force)
    return Force(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def held(load_n, fs_hz=FS_HZ, **options):
    """A roller held still under a load in N per sample."""
    load_n = np.asarray(load_n, float)
    return estimated(made_samples(level(len(load_n) / fs_hz, fs_hz), load_n, fs_hz=fs_hz, **options), fs_hz=fs_hz)


def seconds_of(load_n, seconds, fs_hz=FS_HZ):
    return np.full(round(seconds * fs_hz), float(load_n))


def ramp(begin_n, end_n, n_s, fs_hz=FS_HZ):
    """Load that rises or falls evenly by ``n_s`` N/s."""
    return np.linspace(begin_n, end_n, round(abs(end_n - begin_n) / n_s * fs_hz))


# --- Weight and inertia -----------------------------------------------------------------------------------------------


def turned_over(axis, pause_s=3.0, turn_s=0.6):
    """Pose over time: held with the skin side down, turned by half a turn within ``turn_s``, held again."""
    u = np.linspace(0, 1, round(turn_s * FS_HZ))
    angle = np.pi * u**3 * (10 - 15 * u + 6 * u**2)
    n_pause = round(pause_s * FS_HZ)
    return Rotation.from_rotvec(np.outer(np.concatenate([np.zeros(n_pause), angle, np.full(n_pause, np.pi)]), axis))


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 0.6, 0.8), (0, 0.6, -0.8), (0.6, 0.8, 0)])
@pytest.mark.parametrize("lever_z_m", [0.0, -0.06])
def test_roller_turned_over_in_the_air_reads_nearly_nothing(axis, lever_z_m):
    model = replace(MODEL, geometry=MODEL.geometry._replace(lever_z_m=lever_z_m))
    samples = made_samples(turned_over(axis), zero_n=0.7, model=model)
    # Weight and inertia of the head, which are to be removed, are several times what may be left of them.
    assert np.ptp(samples.cell_n) > 0.4
    force_n = estimated(samples, model=model).force_n[round(1.0 * FS_HZ) :]
    assert np.abs(force_n).max() < 0.1


def test_roller_rocked_quickly_in_the_air_reads_nearly_nothing():
    swing_rad = 0.25 * np.sin(2 * np.pi * 3.0 * np.arange(round(3 * FS_HZ)) / FS_HZ)
    samples = made_samples(Rotation.from_rotvec(np.outer(swing_rad, (1, 0, 0))))
    assert np.ptp(samples.cell_n) > 0.5
    assert np.abs(estimated(samples).force_n[round(1.0 * FS_HZ) :]).max() < 0.035


def test_force_axis_is_the_calibrations_where_it_has_one():
    axis = np.array([0.1, -0.2, -0.97])
    record = MODEL.calibration._replace(axis_x=0.1, axis_y=-0.2, axis_z=-0.97)
    model = replace(MODEL, calibration=record)
    assert model.force_axis == pytest.approx(axis / np.linalg.norm(axis))
    samples = made_samples(turned_over((0, 1, 0)), model=model, axis=axis / np.linalg.norm(axis))
    assert np.abs(estimated(samples, model=model).force_n[100:]).max() < 0.05
    assert np.abs(estimated(samples).force_n[100:]).max() > 0.05
    none = replace(MODEL, calibration=record._replace(axis_x=0.0, axis_y=0.0, axis_z=0.0))
    assert none.force_axis == pytest.approx(MODEL.press)


def test_head_mass_is_the_geometrys_where_the_calibration_has_none():
    model = replace(MODEL, calibration=MODEL.calibration._replace(head_mass_kg=0.0))
    samples = made_samples(turned_over((1, 0, 0)))
    assert_array_equal(estimated(samples, model=model).force_n, estimated(samples).force_n)


def test_force_along_the_press_axis_is_read_in_newtons():
    applied_n = np.r_[seconds_of(0, 2), seconds_of(2, 2)]
    force = estimated(made_samples(level(4), applied_n, zero_n=-0.4))
    assert force.force_n[-1] == pytest.approx(2.0, abs=0.01)
    assert force.force_n[round(1.9 * FS_HZ)] == pytest.approx(0.0, abs=0.01)


def test_force_is_that_on_the_skin_under_a_handle_pitched_as_hands_pitch_it():
    along_n = 2.0 * np.cos(np.radians(ForceParams().pitch_deg))
    load_n = np.r_[seconds_of(0, 2), seconds_of(along_n, 2)]
    force = estimated(made_samples(level(4), load_n), ForceParams())
    assert force.force_n[-1] == pytest.approx(2.0, abs=0.001)
    # A handle without any pitch is within what is stated.
    assert 2.0 / np.cos(np.radians(ForceParams().pitch_deg)) - 2.0 < 2 * force.sigma_n[-1]


def test_force_is_shown_within_10_ms():
    load_n = np.r_[seconds_of(0, 2), ramp(0, 3, 20), seconds_of(3, 1)]
    late_s = np.argmax(held(load_n).force_n > 1.5) / FS_HZ - np.argmax(load_n > 1.5) / FS_HZ
    assert 0 <= late_s <= 0.010


@pytest.mark.parametrize("length", [1, 7, 64])
def test_force_does_not_depend_on_blocks(length):
    rng = np.random.default_rng(1)
    n = round(20 * FS_HZ)
    rotation = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.01, (n, 3)), axis=0))
    load_n = np.maximum(3 * np.sin(np.arange(n) / 80), 0) + 0.01 * rng.normal(size=n)
    load_n[700:710] = 30.0
    samples = made_samples(rotation, load_n, roll_rad=np.cumsum(rng.normal(0, 0.02, n)))
    for ours, theirs in zip(estimated(samples, length=length), estimated(samples), strict=True):
        assert_array_equal(ours, theirs)


def test_uncertainty_grows_with_what_the_calibration_does_not_know():
    def sigma_n(**changed):
        model = replace(MODEL, calibration=MODEL.calibration._replace(flags=1)._replace(**changed))
        return estimated(made_samples(level(3), np.r_[seconds_of(0, 2), seconds_of(5, 1)]), model=model).sigma_n[-1]

    assert sigma_n() < 0.15
    assert sigma_n(flags=0) > 0.25
    # 0.2 % per kelvin over the 10 K by which the head warms.
    assert sigma_n(tempco_ppm_k=2000) == pytest.approx(np.hypot(sigma_n(), 0.02 * 5.0), abs=0.005)


def test_uncertainty_of_the_zero_grows_while_it_is_not_seen():
    sigma_n = held(np.r_[seconds_of(0, 2), seconds_of(0.2, 120)]).sigma_n
    assert sigma_n[round(121 * FS_HZ)] > sigma_n[round(3 * FS_HZ)] + 0.01


# --- Zero -------------------------------------------------------------------------------------------------------------


def test_zero_is_not_looked_for_in_a_load_that_changes():
    wave_n = 0.3 * np.sin(np.arange(round(8 * FS_HZ)) / 20)
    assert not held(wave_n).zero_found.any()


def test_zero_is_found_without_a_rest_where_the_roller_turns_in_the_air():
    angle = np.linspace(0, 4 * np.pi, round(8 * FS_HZ))
    force = estimated(made_samples(Rotation.from_rotvec(np.outer(angle, [1, 0, 0])), zero_n=0.3))
    assert force.zero_found[-1]
    assert abs(force.force_n[-1]) < 0.02


def test_zero_is_found_after_holding_still():
    found = held(seconds_of(0.3, 3)).zero_found
    assert 0.7 <= np.argmax(found) / FS_HZ <= 0.9


def test_steady_press_does_not_move_a_zero_once_found():
    assert held(np.r_[seconds_of(0, 2), seconds_of(1, 10)]).force_n[-1] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("touch_n", [0.11, 0.15, 0.25])
def test_light_touch_is_not_taken_for_the_zero(touch_n):
    load_n = np.r_[seconds_of(0, 3), ramp(0, touch_n, 1.0), seconds_of(touch_n, 60)]
    assert held(load_n).force_n[-1] == pytest.approx(touch_n, abs=0.02)


@pytest.mark.parametrize("rate_n_s", [0.03, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("fs_hz", [52.0, 104.0, 208.0])
def test_touch_that_begins_slowly_is_not_followed(rate_n_s, fs_hz):
    # However long the zero has been seen before.
    load_n = np.r_[seconds_of(0, 60, fs_hz), ramp(0, 0.3, rate_n_s, fs_hz), seconds_of(0.3, 20, fs_hz)]
    assert held(load_n, fs_hz).force_n[-1] == pytest.approx(0.3, abs=0.03)


def test_touch_soon_after_a_turn_in_the_air_is_not_taken_for_the_zero():
    # A little turn before the touch and a little more under it: what came before must not count for it.
    before, under = np.linspace(0, 0.4, round(0.5 * FS_HZ)), np.linspace(0.4, 0.7, round(0.4 * FS_HZ))
    angle = np.r_[np.zeros(208), before, np.full(round(16 * FS_HZ), 0.4), under, np.full(round(5 * FS_HZ), 0.7)]
    touch_n = np.r_[ramp(0, 0.3, 0.05), seconds_of(0.3, 10)]
    load_n = np.r_[np.zeros(len(angle) - len(touch_n)), touch_n]
    samples = made_samples(Rotation.from_rotvec(np.outer(angle, [0, 1, 0])), load_n)
    assert estimated(samples).force_n[-1] == pytest.approx(0.3, abs=0.03)


def test_stroke_that_turns_the_handle_under_a_steady_force_is_not_taken_for_the_zero():
    # To and fro: the roller comes back to where it was while the handle goes on turning.
    n, n_rest = round(6 * FS_HZ), round(2 * FS_HZ)
    angle = np.r_[np.zeros(n_rest), 0.8 * np.sin(np.arange(n) / FS_HZ * 2 * np.pi)]
    load_n = np.r_[np.zeros(n_rest), np.full(n, 0.5)]
    roll = np.r_[np.zeros(n_rest), 3.0 * np.sin(np.arange(n) / FS_HZ * 2 * np.pi)]
    samples = made_samples(Rotation.from_rotvec(np.outer(angle, [0, 0, 1])), load_n, roll_rad=roll)
    assert estimated(samples).force_n[-1] == pytest.approx(0.5, abs=0.03)


def test_zero_follows_in_the_pauses_between_strokes():
    # Half a second in the air after every two seconds of rolling, while the zero drifts by 1 mN/s, ten times what
    # warming does.
    one = np.r_[np.full(208, 1.0), np.zeros(52)]
    load_n = np.r_[seconds_of(0, 2), np.tile(one, 120)]
    rolling = np.r_[np.zeros(208), np.cumsum(np.tile(np.r_[np.full(208, 0.05), np.zeros(52)], 120))]
    drift_n = 0.001 * np.arange(len(load_n)) / FS_HZ
    force = estimated(made_samples(level(len(load_n) / FS_HZ), load_n, zero_n=drift_n, roll_rad=rolling))
    assert drift_n[-1] > 0.25
    settled = np.abs(force.force_n - force.force_n.round())[-260 * 10 :]
    assert np.median(settled) < 0.03


def test_zero_that_jumped_is_found_again_where_the_roller_turns_in_the_air():
    angle = np.r_[np.zeros(400), np.linspace(0, np.pi, 200), np.full(100, np.pi)]
    zero_n = np.r_[np.zeros(200), np.full(500, 0.4)]
    samples = made_samples(Rotation.from_rotvec(np.outer(angle, [0, 1, 0])), zero_n=zero_n)
    force_n = estimated(samples).force_n
    assert force_n[380] == pytest.approx(0.4, abs=0.02)
    assert abs(force_n[-1]) < 0.02


def test_start_on_the_skin_is_put_right_in_the_air():
    force = held(np.r_[seconds_of(1, 3), seconds_of(0, 2), seconds_of(2, 1)])
    assert force.force_n[-20:].mean() == pytest.approx(2.0, abs=0.05)


def test_zero_that_is_too_high_is_seen_though_the_roller_spins_freely():
    load_n = np.r_[seconds_of(0.5, 2), seconds_of(0, 2)]
    samples = made_samples(level(4), load_n, roll_rad=np.arange(len(load_n)) * 0.1)
    assert abs(estimated(samples).force_n[-1]) < 0.02


def test_device_without_encoder_follows_its_zero_and_no_more():
    load_n = np.r_[seconds_of(0, 3), 0.001 * np.arange(3120) / FS_HZ, seconds_of(1.03, 3)]
    assert held(load_n, roll_rad=np.nan).force_n[-1] == pytest.approx(1.0, abs=0.03)


def test_zero_stays_known_after_a_gap():
    samples = made_samples(level(2), zero_n=0.3)
    _, state = force_step(STRAIGHT, MODEL, ForceState(), samples, samples.gyro_rad_s, FS_HZ)
    later = samples._replace(t_s=samples.t_s + 10, cell_n=samples.cell_n + 1.0)
    force, _ = force_step(STRAIGHT, MODEL, after_gap(state), later, later.gyro_rad_s, FS_HZ)
    assert force.zero_found.all()
    assert force.force_n == pytest.approx(1.0, abs=0.01)


# --- Peaks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fs_hz", [52.0, 104.0, 208.0])
def test_peak_is_a_force_that_was_held(fs_hz):
    t_s = np.arange(round(fs_hz)) / fs_hz
    force_n = np.where((t_s > 0.3) & (t_s < 0.4), 2.0, 1.0)
    force_n[round(0.8 * fs_hz)] = 2.2
    assert peak_n(t_s, force_n) == pytest.approx(2.0, abs=1e-9)


def test_peak_of_a_few_samples_is_their_mean():
    assert peak_n(np.array([1.0, 1.01]), np.array([1.0, 2.0])) == pytest.approx(1.5)
    assert peak_n(np.array([1.0]), np.array([2.0])) == 2.0


# --- Saturation -------------------------------------------------------------------------------------------------------


def test_load_cell_at_its_end_is_flagged_and_its_force_uncertain():
    force = held(np.r_[seconds_of(0, 2), seconds_of(27, 1), seconds_of(0, 1)])
    assert_array_equal(np.flatnonzero(force.overload), np.arange(208, 312))
    assert_array_equal(force.saturated, force.overload)
    assert force.sigma_n[force.saturated].min() >= 25.0


def test_converter_at_its_rail_is_flagged_where_the_record_knows_no_range():
    model = replace(MODEL, calibration=MODEL.calibration._replace(max_force_n=0.0))
    rail_n = (2**23 - 1) * model.calibration.n_per_count
    force = estimated(made_samples(level(2), np.r_[seconds_of(0, 1), seconds_of(rail_n + 1, 1)]), model=model)
    assert_array_equal(np.flatnonzero(force.overload), np.arange(104, 208))


def test_pull_at_the_lower_end_is_flagged_and_is_no_overload():
    force = held(np.r_[seconds_of(0, 1), seconds_of(-27, 1)])
    assert force.saturated[104:].all()
    assert not force.overload.any()


@pytest.mark.parametrize("column", ["gyro_rad_s", "acc_m_s2"])
def test_clipped_imu_is_flagged(column):
    samples = made_samples(level(2))
    scale = {"gyro_rad_s": MODEL.gyro_rad_s_per_count, "acc_m_s2": MODEL.acc_m_s2_per_count}[column]
    values = getattr(samples, column).copy()
    values[100, 1], values[110, 2] = 32767 * scale, -32768 * scale
    force = estimated(samples._replace(**{column: values}))
    assert_array_equal(np.flatnonzero(force.saturated), [100, 110])
    assert not force.overload.any()


def test_zero_is_not_taken_from_a_clipped_load():
    force = held(np.r_[seconds_of(-27, 3), seconds_of(0, 3)])
    assert not force.zero_found[: round(3 * FS_HZ)].any()
    assert abs(force.force_n[-1]) < 0.01


def test_overload_means_stop_even_where_the_ceiling_lies_beyond_the_cells_range():
    model = replace(MODEL, calibration=MODEL.calibration._replace(max_force_n=3.0))
    samples = made_samples(level(4), np.r_[seconds_of(0, 3), seconds_of(4.0, 1)])
    estimates, _ = signal_step(SignalParams(), model, SignalState(), samples, 1 / FS_HZ)
    assert estimates.comfort[-1] is Comfort.STOP
    assert estimates.saturated[-1]
    assert not estimates.saturated[0]


# --- Against the truth of simulated sessions --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_zero_is_found_within_a_second_of_stillness_and_then_the_uncertainty_falls(seed):
    _, estimates = understood(seed, SECONDS)
    t_s, sigma_n = joined(estimates, "t_s"), joined(estimates, "force_sigma_n")
    found_s = t_s[np.argmax(sigma_n < 0.4)]
    assert 0.8 <= found_s <= 1.5
    assert sigma_n[t_s < found_s].min() >= 0.5
    # While the force jumps, what the filter has not followed yet is uncertain as well.
    assert np.percentile(sigma_n[t_s >= found_s], 90) < 0.2


@pytest.fixture(scope="module")
def samples_of_sessions():
    """Error, true force and uncertainty of every sample after the start pose."""
    parts = []
    for seed in SEEDS:
        made, (_, estimates) = session(seed, SECONDS), understood(seed, SECONDS)
        t_s = joined(estimates, "t_s")
        true_n = true_force(made, t_s)
        force_n, sigma_n = joined(estimates, "force_n"), joined(estimates, "force_sigma_n")
        parts.append(np.stack([force_n - true_n, true_n, sigma_n])[:, t_s > 3.0])
    return np.concatenate(parts, axis=1)


def test_force_keeps_to_its_budget(samples_of_sessions):
    error_n, true_n, _ = samples_of_sessions
    assert np.sqrt(np.mean((error_n / (0.10 + 0.02 * true_n)) ** 2)) < 0.6
    assert np.sqrt(np.mean(error_n[true_n == 0] ** 2)) < 0.03


def test_uncertainty_is_an_honest_size(samples_of_sessions):
    error_n, true_n, sigma_n = samples_of_sessions
    ratio = np.abs(error_n / sigma_n)[true_n > 0]
    assert 0.60 < np.mean(ratio < 1) < 0.85
    assert np.mean(ratio < 2) > 0.88
    assert np.mean(ratio < 3) > 0.95


def test_device_that_sends_newtons_instead_of_counts_gives_the_same_force():
    happened = []
    host = Dialogue(Device(1, on_truth=happened.append))
    host.connect()
    host.start(streams=("IMU6", "ROLL", "FORCE"))
    host.pass_time(20)
    _, estimates = run(host.records)
    t_s, force_n = joined(estimates, "t_s"), joined(estimates, "force_n")
    true_n = true_force(Session(host.device, happened, host.records), t_s)
    known = t_s > 3.0
    assert true_n[known].max() > 0.5
    assert np.sqrt(np.mean((force_n - true_n)[known] ** 2)) < 0.1


def test_mean_forces_of_strokes_are_within_their_uncertainty():
    for seed in SEEDS:
        made, (pipeline, _) = session(seed, SECONDS), understood(seed, SECONDS)
        pairs = match_strokes(true_strokes(made), pipeline.totals.strokes)
        misses = [abs(found.force_n - true.force_n) / found.force_sigma_n for true, found in pairs]
        assert np.mean(np.array(misses) < 3) > 0.9


def test_alerts_come_in_time():
    """Limit and ceiling in the massage of a heavy hand, by the unknown place's thresholds wherever it is."""
    made = session(3, SECONDS, Habits(firmness=3.0, force_wander=0.0))
    _, estimates = run(made.records, SignalParams(bands=dict.fromkeys([*zones.PLACES, ("", "")], BAND)))
    grid_s = np.concatenate([part.t_s for part in made.truth]) - first_sample_s(made.device)
    force_n = np.concatenate([part.force_n for part in made.truth])
    for threshold_n, comfort, allowed_s in (
        (BAND.limit_n, Comfort.TOO_HARD, 0.130),
        (BAND.ceiling_n, Comfort.STOP, 0.040),
    ):
        edges = np.flatnonzero(np.diff(np.r_[False, force_n > threshold_n * 1.05]))
        crossed = [grid_s[a] for a, b in zip(edges[::2], edges[1::2], strict=False) if b - a > 300]
        decided = np.array([cue.t_s for one in estimates for cue in one.cues if cue.comfort >= comfort > cue.before])
        waits_s = [np.min(decided[decided >= t - 0.05], initial=np.inf) - t for t in crossed]
        assert len(waits_s) >= 5
        assert max(waits_s) <= allowed_s


# --- Tumble -----------------------------------------------------------------------------------------------------------


def tumbled(seconds=20.0, turns=((1.0, 0.37, 0.0), (0.0, 0.29, 1.0))):
    """Turned about slowly, two turns at once, through all positions."""
    t_s = np.arange(round(seconds * FS_HZ)) / FS_HZ
    first, second = (
        Rotation.from_rotvec(np.outer(t_s * rate, np.array(axis))) for rate, axis in zip((1.0, 0.7), turns, strict=True)
    )
    return first * second


TRUE_AXIS = np.array([0.03, -0.05, -1.0]) / np.linalg.norm([0.03, -0.05, -1.0])


def tumble_samples(rotation, noise_n=0.005, touch_n=0.0, mass_kg=0.0637):
    model = replace(MODEL, calibration=MODEL.calibration._replace(head_mass_kg=mass_kg))
    noise = np.random.default_rng(1).normal(0, noise_n, len(rotation))
    return made_samples(rotation, noise + touch_n, zero_n=0.21, model=model, axis=TRUE_AXIS)


NOISE_ONLY = TumbleParams(scale_sigma=0.0, acc_sigma_m_s2=0.0, tilt_sigma_deg=0.0)
"""For sensors that err by nothing but noise."""


def identified(samples, params=NOISE_ONLY):
    return identify(params, MODEL, samples, samples.gyro_rad_s, FS_HZ)


def test_tumble_states_what_sensors_err_by_that_the_fit_cannot_see():
    samples = tumble_samples(tumbled())
    found, noise_only = identified(samples, TumbleParams()), identified(samples)
    assert found.head_mass_sigma_kg == pytest.approx(np.hypot(noise_only.head_mass_sigma_kg, 0.006 * 0.0637), rel=0.01)
    assert found.zero_sigma_n == pytest.approx(np.hypot(noise_only.zero_sigma_n, 0.05 * 0.0637), rel=0.01)
    assert found.axis_sigma_deg == pytest.approx(np.hypot(noise_only.axis_sigma_deg, 0.15), rel=0.01)


def test_tumble_finds_mass_axis_and_zero_within_their_uncertainties():
    found = identified(tumble_samples(tumbled()))
    assert found.head_mass_kg == pytest.approx(0.0637, abs=4 * found.head_mass_sigma_kg)
    assert found.zero_n == pytest.approx(0.21, abs=4 * found.zero_sigma_n)
    assert np.degrees(np.arccos(min(np.dot(found.axis, TRUE_AXIS), 1.0))) < 4 * found.axis_sigma_deg
    assert found.head_mass_sigma_kg < 1e-4
    assert found.axis_sigma_deg < 0.2
    assert found.zero_sigma_n < 0.002
    assert found.residual_n < 0.01


def test_stated_uncertainties_of_a_tumble_are_honest():
    rng = np.random.default_rng(2)
    rotation = tumbled()
    calm = tumble_samples(rotation, noise_n=0.0)
    misses = []
    for _ in range(60):
        found = identified(calm._replace(cell_n=calm.cell_n + rng.normal(0, 0.02, len(rotation))))
        misses.append((found.head_mass_kg - 0.0637) / found.head_mass_sigma_kg)
    assert 0.7 < np.std(misses) < 1.4


def test_record_with_a_tumble_in_it_removes_the_weight_that_the_tumble_found():
    model = replace(MODEL, calibration=calibrated(MODEL.calibration, identified(tumble_samples(tumbled()))))
    record = codec.decode_record("CALIBRATION", codec.encode_record("CALIBRATION", model.calibration))
    assert record.flags & 2
    assert record.head_mass_kg == pytest.approx(0.0637, abs=1e-4)
    zero_n = (model.calibration.zero_counts - MODEL.calibration.zero_counts) * MODEL.calibration.n_per_count
    assert zero_n == pytest.approx(0.21, abs=0.005)
    # The samples of another way through the air, as they come with the new record.
    samples = tumble_samples(turned_over((0.6, 0.8, 0.0)), noise_n=0.0)
    samples = samples._replace(cell_n=samples.cell_n - zero_n)
    force = estimated(samples, model=replace(MODEL, calibration=record))
    assert np.abs(force.force_n[round(FS_HZ) :]).max() < 0.03


@pytest.mark.parametrize(
    ("rotation", "touch_n", "mass_kg", "reason"),
    [
        (tumbled(8.0), 0.0, 0.06, "too short"),
        (level(20), 0.0, 0.06, "turned too little"),
        (Rotation.from_rotvec(np.outer(np.linspace(0, 20, 2080), [1, 0, 0])), 0.0, 0.06, "along the body's x axis"),
        (tumbled(), np.r_[np.zeros(1000), np.full(300, 0.3), np.zeros(780)], 0.06, "let nothing touch"),
        (tumbled(), np.r_[np.zeros(2000), np.full(80, 40.0)], 0.06, "clipped"),
        (tumbled(), 0.0, 0.4, "head of 400 g"),
    ],
)
def test_tumble_that_tells_too_little_is_refused_with_the_reason(rotation, touch_n, mass_kg, reason):
    with pytest.raises(TumbleError, match=reason):
        identified(tumble_samples(rotation, touch_n=touch_n, mass_kg=mass_kg))
