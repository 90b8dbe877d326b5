# SPDX-License-Identifier: MIT
"""The signal core: one result however samples are divided, right against truth, honest about what is not known."""

from dataclasses import astuple, fields, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation
from sim import joined, match_strokes, payloads, run, session, true_strokes, understood

from firmware_protocol import arrays, reference
from roller_host.signal.calibration import FORCE_RAW, IMU6, ROLL, AlignState, DeviceModel, RawBlock, Samples, align_step
from roller_host.signal.comfort import ComfortParams
from roller_host.signal.core import SignalParams, SignalState, after_gap, signal_step
from roller_host.signal.estimates import Gap
from roller_host.signal.orientation import orientation_step, restart
from roller_host.signal.timebase import TimebaseState, timebase_step
from simulator.body.hand import Habits

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


def test_a_quick_roller_that_stops_on_the_skin_does_not_turn_back():
    made = session(2, SECONDS, Habits(speed_m_s=(0.25, 0.4), reciprocating=0.0, pitch_deg=8.0))
    pipeline, estimates = run(made.records)
    t_s, contact = joined(estimates, "t_s"), joined(estimates, "contact")
    decided = np.searchsorted(t_s, [stroke.decided_s - 1e-6 for stroke in pipeline.totals.strokes])
    assert len(decided) > 30
    assert contact[decided].sum() <= 1


def test_quick_reversals_are_decided_early():
    late_s = []
    for seed in SEEDS[:2]:
        made = session(seed, SECONDS, Habits(speed_m_s=(0.15, 0.4), reciprocating=1.0, dwell_s=(0.0, 0.0)))
        pairs = match_strokes(true_strokes(made, SECONDS - 1), run(made.records)[0].totals.strokes)
        late_s += [found.decided_s - true.end_s for true, found in pairs]
    assert len(late_s) > 100
    assert np.median(late_s) < 0.024


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
    assert sum(len(block.t_s) for block in state.strokes.blocks) < 21 * FS_HZ


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
    n = round(30 * FS_HZ)
    bias = np.array([0.01, -0.02, 0.015])
    acc = np.tile(Rotation.from_rotvec([1.0, 0, 0]).inv().apply([0, 0, G]), (n, 1))
    _, state = orientation_step(1 / FS_HZ, None, np.tile(bias, (n, 1)), acc)
    after = restart(state, 1 / FS_HZ)
    assert_allclose(after["bias"], bias, atol=2e-3)
    level = np.tile([0, 0, G], (5, 1))
    orientation, _ = orientation_step(1 / FS_HZ, after, np.tile(bias, (5, 1)), level)
    assert_allclose(orientation.rate_rad_s, 0, atol=2e-3)  # as well as a bias is found at rest
    assert orientation.rotation[0, 2, 2] == pytest.approx(1.0, abs=1e-3)


# --- Parameters -------------------------------------------------------------------------------------------------------


def test_parameters_and_states_are_frozen():
    for value in (SignalParams(), DeviceModel()):
        for one in fields(value):
            with pytest.raises(AttributeError):
                setattr(value, one.name, None)
    with pytest.raises(AttributeError):
        SignalState().orientation = None
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
