# SPDX-License-Identifier: MIT
"""The signal core: one result however samples are divided, right against truth, honest about what is not known."""

from dataclasses import astuple, fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation
from sim import joined, match_strokes, payloads, run, session, true_force, true_strokes, understood

from firmware_protocol import arrays, reference, zones
from roller_host.signal.calibration import FORCE_RAW, IMU6, ROLL, AlignState, DeviceModel, RawBlock, Samples, align_step
from roller_host.signal.comfort import STARTING_BANDS, Band, Comfort, ComfortParams, ComfortState, band_of, comfort_step
from roller_host.signal.core import SignalParams, SignalState, after_gap, signal_step
from roller_host.signal.estimates import Gap
from roller_host.signal.orientation import orientation_step, restart
from roller_host.signal.timebase import TimebaseState, timebase_step
from roller_host.signal.zones import ZoneParams, ZoneState, zone_step

MODEL = DeviceModel()
G = 9.80665
FS_HZ = 104.0
BLOCK_LENGTHS = (1, 7, 64)
SEEDS = (1, 2, 3)
SECONDS = 60


def frozen(array):
    """An array that nobody may write to."""
    array = np.array(array)
    array.flags.writeable = False
    return array


def assert_same_fields(ours, theirs):
    for ours_one, theirs_one in zip(ours, theirs, strict=True):
        assert_array_equal(ours_one, theirs_one)


# --- Samples on one clock ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def streams():
    """Stream id -> (session time, counts) of a simulated session."""
    placed = {IMU6: [], ROLL: [], FORCE_RAW: []}
    state = TimebaseState()
    for payload in payloads(session(1, 20).records):
        packet = arrays.decode_packet(payload)
        where, state = timebase_step(state, packet)
        for block in packet.blocks:
            if block.stream_id in placed:
                ticks = where.t0_us + block.offset_us + block.period_us * np.arange(len(block.samples))
                placed[block.stream_id].append((ticks * 1e-6, block.samples))
    return {
        key: tuple(frozen(np.concatenate(part)) for part in zip(*parts, strict=True)) for key, parts in placed.items()
    }


def align(streams, lengths, state=None):
    """Samples of whole streams fed in blocks of the given lengths, one per stream."""
    state = state or AlignState()
    parts = []
    n_steps = max(-(-len(streams[key][0]) // length) for key, length in lengths.items())
    for i in range(n_steps):
        blocks = [
            RawBlock(key, *(column[i * length : (i + 1) * length] for column in streams[key]))
            for key, length in lengths.items()
        ]
        samples, state = align_step(MODEL, state, [block for block in blocks if len(block.t_s)])
        parts.append(samples)
    return Samples(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@pytest.fixture(scope="module")
def samples(streams):
    """A simulated session as calibrated samples."""
    whole = align(streams, dict.fromkeys(streams, 10**9))
    return Samples(*map(frozen, whole))


@pytest.mark.parametrize("length", BLOCK_LENGTHS)
def test_alignment_does_not_depend_on_blocks(streams, samples, length):
    assert_same_fields(align(streams, dict.fromkeys(streams, length)), samples)


def test_alignment_does_not_depend_on_which_stream_is_ahead(streams, samples):
    assert_same_fields(align(streams, {IMU6: 64, ROLL: 7, FORCE_RAW: 33}), samples)


def test_alignment_loses_only_what_has_no_neighbours(streams, samples):
    others = [streams[ROLL][0], streams[FORCE_RAW][0]]
    t_s = streams[IMU6][0]
    inside = (t_s >= max(t[0] for t in others)) & (t_s <= min(t[-1] for t in others))
    assert_array_equal(samples.t_s, t_s[inside])


def test_alignment_interpolates_and_applies_scales():
    t_s = np.arange(5) * 0.01
    model = replace(MODEL, calibration=MODEL.calibration._replace(n_per_count=0.5, zero_counts=10))
    blocks = [
        RawBlock(IMU6, t_s, np.tile(np.arange(6, dtype=np.int32), (5, 1))),
        RawBlock(ROLL, t_s, np.array([[60000], [64000], [2464], [6464], [10464]], np.int32)),
        RawBlock(FORCE_RAW, np.array([0.0, 0.02, 0.04]), np.array([[10], [30], [10]], np.int32)),
    ]
    samples, _ = align_step(model, AlignState(), blocks)
    assert_allclose(samples.gyro_rad_s[2], np.arange(3) * reference.GYRO_RAD_S_PER_COUNT)
    assert_allclose(samples.acc_m_s2[2], np.arange(3, 6) * reference.ACC_M_S2_PER_COUNT)
    assert_allclose(samples.cell_n, [0.0, 5.0, 10.0, 5.0, 0.0])
    assert_allclose(np.diff(samples.roll_rad), 4000 * reference.ROLL_RAD_PER_COUNT)


def test_encoder_sign_turns_the_roll_round(streams):
    def rolled(sign):
        model = replace(MODEL, geometry=MODEL.geometry._replace(encoder_sign=sign))
        blocks = [RawBlock(key, *columns) for key, columns in streams.items()]
        return np.diff(align_step(model, AlignState(), blocks)[0].roll_rad)

    assert_allclose(rolled(-1), -rolled(1), atol=1e-9)


# --- Timebase ---------------------------------------------------------------------------------------------------------


def packet(seq, t0_us, n=6, period_us=10_000, offset_us=0):
    block = arrays.Block(IMU6, offset_us, period_us, np.zeros((n, 6), np.int32))
    return arrays.Packet(0x10, 0, seq, t0_us, (block,), None)


def place(*packets):
    state = TimebaseState()
    placed = []
    for one in packets:
        where, state = timebase_step(state, one)
        placed.append(where)
    return placed


def test_first_packet_is_time_zero():
    assert place(packet(0, 123_456_789))[0] == (0, None)


def test_first_packet_need_not_be_number_zero():
    assert place(packet(17, 5))[0].gap is None


def test_packets_keep_the_spacing_of_the_device_clock():
    assert [where.t0_us for where in place(packet(0, 1000), packet(1, 61_000), packet(2, 121_007))] == [
        0,
        60_000,
        120_007,
    ]


def test_missing_packets_are_a_gap_from_the_last_sample_to_the_next():
    placed = place(packet(0, 0), packet(1, 60_000), packet(5, 300_000))
    assert placed[2].gap == pytest.approx(Gap(0.120, 0.180, 3))
    assert placed[2].t0_us == 300_000


def test_clock_of_32_bits_may_wrap():
    placed = place(packet(0, 2**32 - 100_000), packet(1, 2**32 - 40_000), packet(2, 20_000), packet(4, 140_000))
    assert [where.t0_us for where in placed] == [0, 60_000, 120_000, 240_000]
    assert placed[3].gap == pytest.approx(Gap(0.180, 0.060, 1))


def test_clock_may_wrap_many_times():
    state, t0_us = TimebaseState(), 0
    for n in range(9):
        # The number has to go up with the clock: a packet spans at most a quarter of a second.
        where, state = timebase_step(state, packet(n * 10_000, t0_us % 2**32))
        assert where.t0_us == t0_us
        t0_us += 2**30 + 12_345


@pytest.mark.parametrize("seq", [3, 2, 0])
def test_duplicates_and_old_packets_change_nothing(seq):
    state = TimebaseState()
    for one in (packet(0, 0), packet(3, 180_000)):
        _, state = timebase_step(state, one)
    assert timebase_step(state, packet(seq, 60_000 * seq)) == (None, state)


# --- The whole core, block by block -----------------------------------------------------------------------------------


def steps(samples, length, state=None, params=None):
    """Estimates of samples fed in blocks of ``length``, and the state after the last one."""
    state = state or SignalState()
    estimates = []
    for begin in range(0, len(samples.t_s), length):
        block = Samples(*(column[begin : begin + length] for column in samples))
        one, state = signal_step(params or SignalParams(), MODEL, state, block, 1 / FS_HZ)
        estimates.append(one)
    return estimates, state


ARRAYS = ("t_s", "force_n", "force_sigma_n", "contact", "speed_m_s", "direction_deg")
LISTS = ("comfort", "places", "strokes", "cues")


def assert_same_estimates(ours, theirs):
    for name in ARRAYS:
        assert_array_equal(joined(ours, name), joined(theirs, name), err_msg=name)
    for name in LISTS:
        # Compared as text, in which an unknown angle equals another one and floats keep every bit.
        ours_all, theirs_all = ([item for one in run for item in getattr(one, name)] for run in (ours, theirs))
        assert repr(ours_all) == repr(theirs_all), name


@pytest.fixture(scope="module")
def whole(samples):
    return steps(samples, 10**9)[0]


def test_the_session_used_for_comparison_has_something_to_compare(whole):
    assert len(whole[0].strokes) >= 5
    assert len(whole[0].cues) >= 10
    assert len(set(whole[0].places)) >= 3


@pytest.mark.parametrize("length", BLOCK_LENGTHS)
def test_estimates_do_not_depend_on_blocks(samples, whole, length):
    assert_same_estimates(steps(samples, length)[0], whole)


def test_a_step_writes_neither_into_its_samples_nor_into_its_state(samples):
    # The samples of the fixture are read-only.
    _, state = steps(Samples(*(column[:1000] for column in samples)), 64)
    rest = Samples(*(column[1000:1500] for column in samples))
    assert_same_estimates(steps(rest, 64, state)[0], steps(rest, 64, state)[0])


def test_a_step_after_a_gap_does_not_change_the_state_before_it(samples):
    _, state = steps(Samples(*(column[:1000] for column in samples)), 64)
    rest = Samples(*(column[1000:1100] for column in samples))
    expected = steps(rest, 64, state)[0]
    steps(rest, 64, after_gap(state, 1 / FS_HZ, 1.0))
    assert_same_estimates(steps(rest, 64, state)[0], expected)


@pytest.mark.parametrize("rate_hz", [20, 26, 52, 208])
def test_other_imu_rates_of_the_protocol_work(samples, rate_hz):
    slow = samples._replace(t_s=samples.t_s[0] + np.arange(len(samples.t_s)) / rate_hz)
    estimates, _ = signal_step(SignalParams(), MODEL, SignalState(), slow, 1 / rate_hz)
    assert np.isfinite(estimates.force_n).all()


# --- Comfort ----------------------------------------------------------------------------------------------------------

CHEEK = STARTING_BANDS["cheek"]
DT_S = 0.01


def feel(forces_n, band=CHEEK, place=("cheek", "left"), state=None, begin_s=0.0):
    """Comfort states and cues of forces 10 ms apart."""
    forces_n = np.asarray(forces_n, float)
    t_s = begin_s + DT_S * np.arange(len(forces_n))
    raw_n = forces_n + 0.01
    return comfort_step(ComfortParams(), state or ComfortState(), t_s, forces_n, raw_n, (*place, band))


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
    assert Comfort.TOO_HARD not in levels(([4.1] * 10 + [3.9]) * 5)


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
    assert felt.index(Comfort.TOO_HARD) == 10
    assert cues[-1].zone == "eye"


FORCES = st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=120)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(forces_n=FORCES, at=st.integers(0, 120), zone=st.sampled_from(zones.ZONES))
def test_comfort_does_not_depend_on_blocks(forces_n, at, zone):
    band = STARTING_BANDS[zone]
    felt, cues, _ = feel(forces_n, band)
    n = min(at, len(forces_n))
    t_s, forces = DT_S * np.arange(len(forces_n)), np.array(forces_n)
    place = "cheek", "left", band
    first = comfort_step(ComfortParams(), ComfortState(), t_s[:n], forces[:n], forces[:n] + 0.01, place)
    second = comfort_step(ComfortParams(), first[2], t_s[n:], forces[n:], forces[n:] + 0.01, place)
    assert first[0] + second[0] == felt
    assert first[1] + second[1] == cues


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


# --- Force ------------------------------------------------------------------------------------------------------------


def made_samples(rotation, applied_n=0.0, zero_n=0.0, model=MODEL):
    """Samples of a roller that turns about its own IMU as ``rotation`` (one per 1/FS_HZ) says.

    The load of the head is worked out here from the rigid-body relation, in vectors.
    """
    n = len(rotation)
    turn = (rotation[:-1].inv() * rotation[1:]).as_rotvec() * FS_HZ
    rate = np.vstack([turn[:1], turn])
    alpha = np.gradient(rate, 1 / FS_HZ, axis=0)
    acc = rotation.inv().apply([0.0, 0.0, G])
    lever = model.lever_m
    head = acc + np.cross(alpha, lever) + np.cross(rate, np.cross(rate, lever))
    cell_n = model.calibration.head_mass_kg * head @ model.press + applied_n + zero_n
    return Samples(np.arange(n) / FS_HZ, rate, acc, np.zeros(n), np.broadcast_to(cell_n, n).copy())


def turned_over(axis, pause_s=3.0, turn_s=0.6):
    """Pose over time: held with the skin side down, turned by half a turn within ``turn_s``, held again."""
    u = np.linspace(0, 1, round(turn_s * FS_HZ))
    angle = np.pi * u**3 * (10 - 15 * u + 6 * u**2)
    n_pause = round(pause_s * FS_HZ)
    return Rotation.from_rotvec(np.outer(np.concatenate([np.zeros(n_pause), angle, np.full(n_pause, np.pi)]), axis))


def estimated(samples, model=MODEL):
    return signal_step(SignalParams(), model, SignalState(), samples, 1 / FS_HZ)[0]


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 0.6, 0.8), (0, 0.6, -0.8), (0.6, 0.8, 0)])
@pytest.mark.parametrize("lever_z_m", [0.0, -0.06])
def test_roller_turned_over_in_the_air_reads_nearly_nothing(axis, lever_z_m):
    model = replace(MODEL, geometry=MODEL.geometry._replace(lever_z_m=lever_z_m))
    samples = made_samples(turned_over(axis), zero_n=0.7, model=model)
    # Weight and inertia of the head, which are to be removed, are several times what may be left of them.
    assert np.ptp(samples.cell_n) > 0.4
    force_n = estimated(samples, model).force_n[round(1.0 * FS_HZ) :]
    assert np.abs(force_n).max() < 0.1


def test_force_along_the_press_axis_is_read_in_newtons():
    pose = Rotation.from_rotvec(np.zeros((round(4 * FS_HZ), 3)))
    applied_n = np.where(np.arange(len(pose)) < 2 * FS_HZ, 0.0, 2.0)
    force_n = estimated(made_samples(pose, applied_n, zero_n=-0.4)).force_n
    assert force_n[-1] == pytest.approx(2.0, abs=0.01)
    assert force_n[round(1.9 * FS_HZ)] == pytest.approx(0.0, abs=0.01)


def test_zero_is_not_looked_for_while_the_roller_turns():
    angle = np.linspace(0, 4 * np.pi, round(8 * FS_HZ))
    estimates = estimated(made_samples(Rotation.from_rotvec(np.outer(angle, [1, 0, 0])), zero_n=0.3))
    assert estimates.force_sigma_n.min() >= 0.5


def test_steady_press_does_not_move_a_zero_once_found():
    pose = Rotation.from_rotvec(np.zeros((round(12 * FS_HZ), 3)))
    applied_n = np.where(np.arange(len(pose)) < 2 * FS_HZ, 0.0, 1.0)
    assert estimated(made_samples(pose, applied_n)).force_n[-1] == pytest.approx(1.0, abs=0.02)


def test_slow_drift_of_the_zero_is_followed_in_the_air():
    pose = Rotation.from_rotvec(np.zeros((round(30 * FS_HZ), 3)))
    drift_n = np.linspace(0, 0.6, len(pose))
    assert abs(estimated(made_samples(pose, zero_n=drift_n)).force_n[-1]) < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_zero_is_found_within_a_second_of_stillness_and_then_the_uncertainty_falls(seed):
    _, estimates = understood(seed, SECONDS)
    t_s, sigma_n = joined(estimates, "t_s"), joined(estimates, "force_sigma_n")
    found_s = t_s[np.argmax(sigma_n < 0.4)]
    assert 0.8 <= found_s <= 1.5
    assert sigma_n[t_s < found_s].min() >= 0.5
    # While the force jumps, what the filter has not followed yet is uncertain as well.
    assert np.percentile(sigma_n[t_s >= found_s], 90) < 0.3


def test_zero_stays_known_after_a_gap(samples):
    _, state = steps(Samples(*(column[: round(2 * FS_HZ)] for column in samples)), 64)
    rest = Samples(*(column[round(3 * FS_HZ) :] for column in samples))
    estimates, _ = steps(rest, 64, after_gap(state, 1 / FS_HZ, 1.0))
    assert joined(estimates, "force_sigma_n")[0] < 0.4


def test_force_follows_the_truth():
    errors = []
    for seed in SEEDS:
        made, (_, estimates) = session(seed, SECONDS), understood(seed, SECONDS)
        t_s = joined(estimates, "t_s")
        known = t_s >= t_s[np.argmax(joined(estimates, "force_sigma_n") < 0.4)]
        errors.append((joined(estimates, "force_n") - true_force(made, t_s))[known])
    assert np.sqrt(np.mean(np.concatenate(errors) ** 2)) < 0.15


def test_uncertainty_of_the_force_is_an_honest_size():
    for seed in SEEDS:
        made, (pipeline, _) = session(seed, SECONDS), understood(seed, SECONDS)
        pairs = match_strokes(true_strokes(made), pipeline.totals.strokes)
        misses = [abs(found.force_n - true.force_n) / found.force_sigma_n for true, found in pairs]
        assert np.mean(np.array(misses) < 3) > 0.8


def test_uncertainty_covers_the_force_of_each_sample_in_contact():
    ratios = []
    for seed in SEEDS:
        made, (_, estimates) = session(seed, SECONDS), understood(seed, SECONDS)
        contact = joined(estimates, "contact")
        errors = joined(estimates, "force_n") - true_force(made, joined(estimates, "t_s"))
        ratios.append((np.abs(errors) / joined(estimates, "force_sigma_n"))[contact])
    ratio = np.concatenate(ratios)
    assert np.mean(ratio < 1) > 0.6
    assert np.mean(ratio < 2) > 0.9
    assert np.mean(ratio < 3) > 0.95


# --- Strokes ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scored():
    """True strokes, found strokes and pairs, of all seeds together."""
    true, found, pairs = [], [], []
    for seed in SEEDS:
        made, (pipeline, _) = session(seed, SECONDS), understood(seed, SECONDS)
        # A stroke that the end of the stream cuts off is nobody's mistake.
        end_s = pipeline.totals.duration_s - 0.5
        true_one = true_strokes(made, end_s)
        found_one = [stroke for stroke in pipeline.totals.strokes if stroke.end_s < end_s]
        true += true_one
        found += found_one
        pairs += match_strokes(true_one, found_one)
    return true, found, pairs


def turned_by(a, b):
    return abs((a.direction_deg - b.direction_deg + 180) % 360 - 180)


def test_strokes_are_found_and_none_is_made_up(scored):
    true, found, pairs = scored
    assert len(true) > 100
    assert (len(true) - len(pairs)) + (len(found) - len(pairs)) <= 0.03 * len(true)


def test_strokes_begin_and_end_when_they_did(scored):
    _, _, pairs = scored
    ends_s = np.array([[b.begin_s - a.begin_s, b.end_s - a.end_s] for a, b in pairs])
    assert np.abs(ends_s).max() <= 0.3
    assert np.abs(np.median(ends_s, axis=0)).max() < 0.05


def test_directions_are_right_to_a_few_degrees(scored):
    assert np.median([turned_by(a, b) for a, b in scored[2]]) <= 8


def test_uncertainty_of_the_direction_is_an_honest_size(scored):
    misses = np.array([turned_by(a, b) / b.direction_sigma_deg for a, b in scored[2]])
    assert 0.5 < np.mean(misses < 1) < 0.95
    assert np.mean(misses < 3) > 0.95


def test_lengths_are_right_to_a_few_percent(scored):
    assert np.median([abs(b.length_m / a.length_m - 1) for a, b in scored[2]]) <= 0.12


def test_mean_forces_of_strokes_are_right(scored):
    assert np.median([abs(b.force_n - a.force_n) for a, b in scored[2]]) < 0.12


def test_values_of_strokes_fit_each_other(scored):
    for stroke in scored[1]:
        assert stroke.speed_m_s == pytest.approx(stroke.length_m / (stroke.end_s - stroke.begin_s))
        assert stroke.speed_peak_m_s >= 0.9 * stroke.speed_m_s
        assert stroke.force_peak_n >= stroke.force_n
        assert 0 <= stroke.in_band_ratio <= 1
        assert -180 <= stroke.direction_deg <= 180
        outward = {"left": stroke.direction_deg, "right": -stroke.direction_deg}.get(stroke.side, np.nan)
        assert_array_equal(stroke.outward_deg, outward)


def test_no_stroke_spans_a_gap():
    made = session(1, SECONDS)
    longest = max(true_strokes(made), key=lambda stroke: stroke.end_s - stroke.begin_s)
    middle_s = (longest.begin_s + longest.end_s) / 2
    kept = [r for r in made.records if r.source != "STREAM" or not middle_s < r.t_s <= middle_s + 0.13]
    pipeline, estimates = run(kept)
    (gap,) = [gap for one in estimates for gap in one.gaps]
    assert longest.begin_s < gap.t_s < gap.t_s + gap.duration_s < longest.end_s
    found = pipeline.totals.strokes
    assert len(found) > 40
    assert not [s for s in found if s.begin_s < gap.t_s and s.end_s > gap.t_s + gap.duration_s]


def test_endless_rolling_one_way_is_cut_so_that_memory_stays_bounded():
    n = round(70 * FS_HZ)
    pose = Rotation.from_rotvec(np.zeros((n, 3)))
    applied_n = np.where(np.arange(n) < 2 * FS_HZ, 0.0, 1.0)
    samples = made_samples(pose, applied_n)._replace(roll_rad=np.arange(n) * 0.01)
    estimates, state = steps(samples, 64)
    assert len([stroke for one in estimates for stroke in one.strokes]) == 3
    assert len(state.strokes.pending) < 21 * FS_HZ


# --- Orientation ------------------------------------------------------------------------------------------------------


def test_orientations_are_rotations_with_up_up(samples):
    orientation, _ = orientation_step(1 / FS_HZ, None, samples.gyro_rad_s, samples.acc_m_s2)
    unity = orientation.rotation @ orientation.rotation.transpose(0, 2, 1)
    assert_allclose(unity, np.broadcast_to(np.eye(3), unity.shape), atol=1e-9)
    assert_allclose(np.linalg.det(orientation.rotation), 1.0)
    still = slice(round(1 * FS_HZ), round(2 * FS_HZ))
    up = np.einsum("nij,nj->ni", orientation.rotation[still], samples.acc_m_s2[still])
    assert_allclose(up.mean(axis=0), [0, 0, G], atol=0.2)


def test_restart_keeps_the_bias_and_forgets_the_orientation():
    n = round(10 * FS_HZ)
    bias = np.array([0.01, -0.02, 0.015])
    acc = np.tile(Rotation.from_rotvec([1.0, 0, 0]).inv().apply([0, 0, G]), (n, 1))
    _, state = orientation_step(1 / FS_HZ, None, np.tile(bias, (n, 1)), acc)
    after = restart(state, 1 / FS_HZ)
    assert_allclose(after["bias"], bias, atol=1e-3)
    level = np.tile([0, 0, G], (5, 1))
    orientation, _ = orientation_step(1 / FS_HZ, after, np.tile(bias, (5, 1)), level)
    assert_allclose(orientation.rate_rad_s, 0, atol=1e-3)
    assert orientation.rotation[0, 2, 2] == pytest.approx(1.0, abs=1e-3)


# --- Zones ------------------------------------------------------------------------------------------------------------


def normals(azimuth_deg, elevation_deg, face_heading_deg=0.0, n=200):
    """World normals of a place for a person who looks along a heading: azimuth from there toward the left."""
    azimuth, elevation = np.radians([azimuth_deg + face_heading_deg, elevation_deg])
    unit = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    return np.tile(unit, (n, 1))


def places(normal, *, poses=True, face_heading_deg=0.0):
    start = normals(0, 0, face_heading_deg)
    n = len(start)
    pose = np.r_[np.full(n, poses), np.zeros(len(normal), bool)]
    touch = np.r_[np.zeros(n, bool), np.ones(len(normal), bool)]
    found, _ = zone_step(ZoneParams(), ZoneState(), np.vstack([start, normal]), touch, pose, FS_HZ)
    return found[n:]


@pytest.mark.parametrize("heading_deg", [0.0, 77.0, -160.0])
@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "expected"),
    [
        (22, 38, ("forehead", "left")),
        (-62, -36, ("jaw", "right")),
        (-48, -12, ("cheek", "right")),
        (0, 52, ("decolletage", "")),
    ],
)
def test_place_follows_from_the_normal_whatever_the_heading(heading_deg, azimuth_deg, elevation_deg, expected):
    found = places(normals(azimuth_deg, elevation_deg, heading_deg), face_heading_deg=heading_deg)
    assert zones.PLACES[found[-1]] == expected


def test_place_is_unknown_without_a_start_pose():
    assert set(places(normals(48, -12), poses=False)) == {-1}


def test_moment_of_rest_on_the_way_to_the_skin_is_no_start_pose():
    # Handle down: facing ahead for two seconds, then half a second still and turned away, then on the skin.
    n_hold, n_turn = round(2 * FS_HZ), round(0.5 * FS_HZ)
    turn = np.pi / 2 * np.concatenate([np.zeros(n_hold), np.linspace(0, 1, n_turn), np.ones(n_turn + n_hold)])
    rotation = Rotation.from_rotvec(np.outer(turn, [0, 0, 1])) * Rotation.from_rotvec([np.pi / 2, 0, 0])
    applied_n = np.where(np.arange(len(turn)) < n_hold + 2 * n_turn, 0.0, 2.0)
    _, state = steps(made_samples(rotation, applied_n), 64)
    normal = -rotation.apply(MODEL.press)
    assert abs(np.dot(state.zones.forward, normal[0, :2])) > 0.95
    assert abs(np.dot(state.zones.forward, normal[-1, :2])) < 0.3


def test_place_is_unknown_far_from_every_typical_normal():
    assert places(normals(180, 0))[-1] == -1


def test_place_is_unknown_without_contact():
    n = 50
    pose = np.ones(n, bool)
    found, state = zone_step(ZoneParams(), ZoneState(), normals(0, 0, n=n), ~pose, pose, FS_HZ)
    assert set(found) == {-1}
    assert state.forward == pytest.approx((1.0, 0.0))


def test_place_is_held_between_two_that_fit_alike():
    to_and_fro = np.vstack([normals(54, -22, n=60), normals(56, -26, n=60)] * 3)
    named = [zones.PLACES[i][0] for i in places(np.vstack([normals(48, -12), to_and_fro, normals(62, -36)]))]
    assert set(named[150 : 200 + len(to_and_fro)]) == {"cheek"}
    assert named[-1] == "jaw"


def test_sides_are_right_on_jaw_cheek_and_temple(scored):
    sides = [(a.side, b.side) for a, b in scored[2] if a.zone in ("jaw", "cheek", "temple")]
    assert len(sides) > 30
    assert np.mean([true == found for true, found in sides]) > 0.85


def test_zones_are_mostly_right(scored):
    assert np.mean([(a.zone, a.side) == (b.zone, b.side) for a, b in scored[2]]) > 0.5


def test_no_place_is_named_when_the_session_begins_in_mid_massage():
    made = session(2, SECONDS)
    first_s = true_strokes(made)[0].begin_s
    pipeline, estimates = run([r for r in made.records if r.source != "STREAM" or r.t_s > first_s])
    assert len(pipeline.totals.strokes) > 5
    assert {(stroke.zone, stroke.side) for stroke in pipeline.totals.strokes} == {("", "")}
    assert np.isnan([stroke.outward_deg for stroke in pipeline.totals.strokes]).all()
    assert {one.zone for one in estimates} == {""}


# --- Parameters -------------------------------------------------------------------------------------------------------


def test_parameters_and_states_are_frozen():
    for value in (SignalParams(), SignalState(), DeviceModel(), AlignState()):
        for one in fields(value):
            with pytest.raises(AttributeError):
                setattr(value, one.name, None)
    assert len(astuple(ComfortParams())) == 6


def test_a_number_that_jumps_farther_than_its_clock_is_not_believed():
    state = TimebaseState()
    for seq in range(3):
        _, state = timebase_step(state, arrays.Packet(0x10, 0, seq, seq * 60_000, (), None))
    placed, state = timebase_step(state, arrays.Packet(0x10, 0, 4_000_000_000, 180_000, (), None))
    assert placed is None
    placed, state = timebase_step(state, arrays.Packet(0x10, 0, 3, 180_000, (), None))
    assert placed.gap is None


def test_a_clock_that_has_really_changed_is_taken_behind_a_gap():
    state = TimebaseState()
    for seq in range(3):
        _, state = timebase_step(state, arrays.Packet(0x10, 0, seq, seq * 60_000, (), None))
    placed = []
    for seq in range(3, 8):
        where, state = timebase_step(state, arrays.Packet(0x10, 0, seq, 500_000_000 + seq * 60_000, (), None))
        placed.append(where)
    assert placed[:2] == [None, None]
    assert placed[2].gap.lost_packets == 2
    assert [where.t0_us for where in placed[2:]] == [120_000, 180_000, 240_000]


def test_one_wrong_clock_costs_one_packet():
    state = TimebaseState()
    times = {5: 10_000_000}
    placed = []
    for seq in range(10):
        where, state = timebase_step(state, arrays.Packet(0x10, 0, seq, times.get(seq, seq * 60_000), (), None))
        placed.append(where)
    assert [seq for seq, where in enumerate(placed) if where is None] == [5]


def held(load_n):
    """A roller held still, handle down, under a load in N per sample."""
    return estimated(made_samples(Rotation.from_rotvec(np.zeros((len(load_n), 3))), zero_n=np.asarray(load_n)))


def test_a_start_on_the_skin_is_put_right_in_the_air():
    load_n = np.r_[np.full(3 * 104, 1.0), np.zeros(6 * 104), np.full(104, 2.0)]
    assert abs(held(load_n).force_n[-20:].mean() - 2.0) < 0.1


def test_a_light_touch_is_not_taken_for_the_zero():
    load_n = np.r_[np.zeros(3 * 104), np.full(8 * 104, 0.25)]
    assert abs(held(load_n).force_n[-1] - 0.25) < 0.05


def test_a_clock_that_runs_backward_is_not_believed():
    _, state = timebase_step(TimebaseState(), arrays.Packet(0x10, 0, 0, 5_000_000, (), None))
    placed, _ = timebase_step(state, arrays.Packet(0x10, 0, 1, 1_000_000, (), None))
    assert placed is None


def test_packets_lost_right_after_start_are_a_gap():
    placed, _ = timebase_step(TimebaseState(from_start=True), arrays.Packet(0x10, 0, 2, 120_000, (), None))
    assert placed.gap.lost_packets == 2


def test_a_stream_without_its_partners_does_not_pile_up():
    state = AlignState()
    for second in range(60):
        block = RawBlock(IMU6, second + np.arange(100) / 100, np.zeros((100, 6), np.int32))
        samples, state = align_step(DeviceModel(), state, [block])
        assert not len(samples.t_s)
    assert len(state.imu.t_s) <= 601
