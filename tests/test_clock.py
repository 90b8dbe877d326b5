# SPDX-License-Identifier: MIT
"""Host time from device time: bounds, likelihood, honest uncertainty, what upsets clocks, and records of a session."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import sim

from firmware_protocol import arrays, codec
from roller_host.signal import clock
from roller_host.signal.clock import (
    ClockParams,
    ClockState,
    Exchange,
    arrival_step,
    exchange_step,
    pause_s,
    record_step,
)
from roller_host.signal.clock_line import estimate
from roller_host.signal.record import Record
from simulator.firmware.device import Device

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import clock as delays

PARAMS = ClockParams()


def follow(link):
    state = ClockState()
    for arrival_s, what in link.traffic():
        if isinstance(what, Exchange):
            state = exchange_step(PARAMS, state, what)
        else:
            state = arrival_step(PARAMS, state, arrival_s, what % 2**32)
    return state


def exchange(t1_s, *, skew_ppm=0.0, boot_us=5_000_000, there_s=0.01, back_s=0.01):
    t2_us = round(boot_us + (t1_s + there_s) * (1e6 + skew_ppm))
    return Exchange(t1_s, t2_us, 200, t1_s + there_s + 2e-4 + back_s)


def exchanged(times_s, **of_exchange):
    state = ClockState()
    for t1_s in times_s:
        state = exchange_step(PARAMS, state, exchange(t1_s, **of_exchange))
    return state


def test_nothing_is_said_before_the_first_exchange():
    assert estimate(PARAMS, arrival_step(PARAMS, ClockState(), 3.0, 1000)) is None


def test_the_first_exchange_bounds_the_offset_and_says_how_little_is_known():
    model = estimate(PARAMS, exchanged([100.0], there_s=0.03, back_s=0.03))
    assert model.to_host_s(5_000_000) == pytest.approx(0.0, abs=0.02)
    assert model.offset_s == pytest.approx(-5.0, abs=0.02)
    assert 0.015 < model.uncertainty_s(105_000_000) < 0.025
    # Nothing is known about the skew: an hour later the offset may be anywhere within its prior spread.
    hour = model.uncertainty_s(105_000_000 + 3_600_000_000)
    assert hour == pytest.approx(3600 * PARAMS.skew_sigma_ppm * 1e-6, rel=0.1)


@pytest.mark.parametrize("skew_ppm", [-100.0, 100.0])
def test_short_delays_show_offset_and_skew(skew_ppm):
    state = exchanged(np.arange(0.0, 300.0, 3.0).tolist(), skew_ppm=skew_ppm, there_s=1e-4, back_s=1e-4)
    model = estimate(PARAMS, state)
    assert model.skew_ppm == pytest.approx(skew_ppm, abs=2.0)
    for t_s in (0.0, 150.0, 400.0):
        assert model.to_host_s(5_000_000 + t_s * (1e6 + skew_ppm)) == pytest.approx(t_s, abs=1e-3)


@pytest.mark.parametrize("seed", [300, 301, 302, 303])
@pytest.mark.parametrize(
    "name", ["7.5 ms, jitter both ways", "30 ms, jitter", "60 ms, no jitter", "30 ms, jitter, reboot"]
)
def test_within_5_ms_after_two_minutes_and_honest_before(name, seed):
    rows = np.concatenate(
        [delays.errors(link) for link in delays.boots(seed, list(delays.CONDITIONS).index(name), 320.0)]
    )
    settled = rows[:, 0] >= 120.0
    assert settled.any()
    assert np.abs(rows[settled, 1]).max() < 0.006
    assert np.mean(np.abs(rows[:, 1]) <= 2 * rows[:, 2]) >= 0.85


def test_the_stated_uncertainty_is_neither_too_small_nor_idle():
    i_condition = list(delays.CONDITIONS).index("30 ms, jitter")
    rows = np.concatenate([delays.errors(delays.boots(seed, i_condition, 190.0)[0]) for seed in range(304, 314)])
    before = rows[rows[:, 0] < 120.0]
    assert np.mean(np.abs(before[:, 1]) <= 2 * before[:, 2]) >= 0.95
    first, last = rows[rows[:, 0] == 0.5], rows[rows[:, 0] >= 120.0]
    assert np.median(last[:, 2]) < 0.25 * np.median(first[:, 2])


def jittered(intervals_s, *, jitter_s, seed=311):
    """Where exchanges lead at connection intervals, and the error of the host time at the newest one, s."""
    rng = np.random.default_rng(seed)
    state, t1_s = ClockState(), 0.0
    for i, interval_s in enumerate(intervals_s):
        there_s = rng.uniform(0, interval_s) + rng.uniform(0, jitter_s)
        one = exchange(t1_s, skew_ppm=100.0, there_s=there_s, back_s=interval_s + rng.uniform(0, jitter_s))
        state = exchange_step(PARAMS, state, one)
        t1_s = one.t4_s + pause_s(i)
    model = estimate(PARAMS, state)
    return model, model.host_s - (one.t2_us - 5_000_000) / (1e6 + 100.0)


def test_answers_that_always_take_the_same_at_least_show_the_skew():
    errors_ppm = [jittered([0.03] * 240, jitter_s=0.06, seed=seed)[0].skew_ppm - 100.0 for seed in range(311, 319)]
    assert np.sqrt(np.mean(np.square(errors_ppm))) < 25.0


@pytest.mark.parametrize(("before_s", "n_before", "after_s"), [(0.03, 190, 0.06), (0.06, 340, 0.03)])
def test_a_connection_interval_that_changes_is_no_skew(before_s, n_before, after_s):
    model, error_s = jittered([before_s] * n_before + [after_s] * (480 - n_before), jitter_s=1e-3)
    assert model.skew_ppm == pytest.approx(100.0, abs=15.0)
    assert abs(error_s) < 2 * model.sigma_s < 0.01


def test_answers_that_pace_requests_do_not_pass_for_short_delays():
    """Requests sent right after answers all wait a whole interval; only their bounds may be believed."""
    interval_s = 0.06
    paced = [2.0 + k * 2 * interval_s for k in range(30)]
    model = estimate(PARAMS, exchanged(paced, there_s=interval_s - 0.001, back_s=interval_s - 0.001))
    error_s = model.to_host_s(5_000_000)
    assert abs(error_s) < 2 * model.uncertainty_s(5_000_000)
    assert model.uncertainty_s(5_000_000) > 0.02


def test_requests_scattered_over_the_interval_outweigh_late_answers():
    state, t1_s = ClockState(), 0.0
    for i in range(60):
        wait_s = 0.06 - t1_s % 0.06
        one = exchange(t1_s, there_s=wait_s, back_s=0.06)
        state = exchange_step(PARAMS, state, one)
        t1_s = one.t4_s + pause_s(i)
    middle_s = min(e.t4_s - e.t1_s for e in state.exchanges) / 2
    assert middle_s > 0.028
    assert abs(estimate(PARAMS, state).to_host_s(5_000_000)) < middle_s / 3


def test_pauses_fall_into_all_phases_of_any_connection_interval():
    for interval_s in (0.0075, 0.015, 0.03, 0.04875, 0.05, 0.06):
        phases = np.sort([pause_s(i) % interval_s for i in range(100, 160)]) / interval_s
        assert np.diff([*phases, phases[0] + 1]).max() < 0.1
    assert sum(pause_s(i) for i in range(8)) < 0.3
    assert 1.0 <= pause_s(10_000) < 1.07


def test_arrivals_bound_the_host_time_from_above():
    """A packet that took no time shows how late the answers were."""
    state = exchanged([1.0], there_s=0.05, back_s=0.05)
    wide = estimate(PARAMS, state)
    state = arrival_step(PARAMS, state, 1.06, 5_000_000 + 1_055_000)
    close = estimate(PARAMS, state)
    assert wide.to_host_s(6_050_000) - 1.05 == pytest.approx(0.0, abs=0.005)
    assert close.to_host_s(6_050_000) <= 1.056
    assert close.sigma_s < 0.7 * wide.sigma_s


def test_the_clock_on_the_wire_may_wrap():
    boot_us = 2**32 - 3_000_000
    packets = [(t_s, round(boot_us + t_s * 1e6)) for t_s in np.arange(1.0, 9.0, 0.06)]
    whole = wrapped = exchange_step(PARAMS, ClockState(), exchange(0.9, boot_us=boot_us, there_s=0.05, back_s=0.05))
    for t_s, device_us in packets:
        whole = arrival_step(PARAMS, whole, t_s + 0.02, device_us)
        wrapped = arrival_step(PARAMS, wrapped, t_s + 0.02, device_us % 2**32)
    assert packets[0][1] < 2**32 < packets[-1][1]
    assert wrapped == whole
    assert wrapped.hull[-1][0] == packets[-1][1]


def test_a_packet_from_the_future_is_left_out():
    state = exchanged([1.0, 2.0, 3.0])
    wild = arrival_step(PARAMS, state, 4.0, 5_000_000 + 5_000_000)
    assert wild == state
    late = arrival_step(PARAMS, arrival_step(PARAMS, state, 4.0, 8_980_000), 4.1, 8_900_000)
    assert [corner[0] for corner in late.hull] == [8_980_000]


def test_a_coarse_host_clock_is_no_contradiction():
    """Stamps that are up to a step too early must not shut the truth out."""
    step_s = 1 / 64
    coarse = ClockParams(clock_step_s=step_s)
    state = ClockState()
    for t_s in np.arange(1.0, 61.0, 0.507).tolist():
        true = exchange(t_s, there_s=0.002, back_s=0.002)
        stamped = true._replace(t1_s=true.t1_s // step_s * step_s, t4_s=true.t4_s // step_s * step_s)
        state = exchange_step(coarse, state, stamped)
    model = estimate(coarse, state)
    assert len(state.exchanges) == 119
    assert abs(model.to_host_s(65_000_000) - 60.0) < 2 * model.uncertainty_s(65_000_000) < 0.02


def test_an_exchange_that_took_no_time_is_the_best_there_is():
    model = estimate(PARAMS, exchanged([1.0, 2.0], there_s=0.0, back_s=-2e-4))
    assert model.to_host_s(7_000_000) == pytest.approx(2.0, abs=1e-5)
    assert model.sigma_s == pytest.approx(PARAMS.stack_sigma_s, rel=1e-3)


def test_one_nonsensical_exchange_changes_nothing():
    state = exchanged(np.arange(1.0, 20.0).tolist())
    before = estimate(PARAMS, state)
    after = exchange_step(PARAMS, state, Exchange(20.0, 123_456_789_000, 200, 20.02))
    assert estimate(PARAMS, after) == before
    after = exchange_step(PARAMS, after, exchange(21.0))
    assert after.doubt is None
    assert len(after.exchanges) == 20
    assert exchange_step(PARAMS, state, Exchange(30.0, 35_000_000, 200, 29.0)) == state


def test_after_a_jump_of_the_host_clock_the_estimate_begins_anew():
    """A host that sleeps stops its monotonic clock; the device goes on."""
    state = exchanged(np.arange(1.0, 60.0).tolist())
    for t1_s in (60.0, 61.0, 62.0):
        state = exchange_step(PARAMS, state, exchange(t1_s, boot_us=5_000_000 + 900_000_000))
    assert len(state.exchanges) == 3
    model = estimate(PARAMS, state)
    assert model.to_host_s(5_000_000 + 900_000_000) == pytest.approx(0.0, abs=2 * model.uncertainty_s(905_000_000))


def test_a_skew_that_changes_narrows_the_view_to_the_newer_exchanges():
    state = exchanged(np.arange(0.0, 200.0).tolist(), there_s=1e-4, back_s=1e-4)
    turned_us = round(5_000_000 + 200e6)
    for t_s in np.arange(1.0, 200.0).tolist():
        one = exchange(200.0 + t_s, boot_us=turned_us - 200e6, there_s=1e-4, back_s=1e-4)
        state = exchange_step(PARAMS, state, one._replace(t2_us=one.t2_us + round(t_s * 100)))
    model = estimate(PARAMS, state)
    assert model.skew_ppm == pytest.approx(100.0, abs=15.0)
    assert model.to_host_s(turned_us + 199e6 + 19_900) == pytest.approx(399.0, abs=1e-3)


def test_memory_is_bounded():
    few = ClockParams(n_exchanges=20, n_arrivals=5, window_s=30.0)
    state = ClockState()
    for i in range(200):
        state = exchange_step(few, state, exchange(0.1 * i))
        # Ever later arrivals: every one of them is a corner of the hull.
        state = arrival_step(few, state, 0.1 * i + 0.05 + 1e-6 * i * i, 5_000_000 + round(1e5 * i))
    assert len(state.exchanges) == len(state.scattered) == 20
    assert len(state.hull) == 5
    state = exchange_step(few, state, exchange(100.0))
    assert len(state.exchanges) == 1


def test_the_hull_keeps_what_bounds_and_nothing_else():
    rng = np.random.default_rng(310)
    state = exchange_step(PARAMS, ClockState(), exchange(0.0, there_s=0.001))
    points = [(5_000_000 + 60_000 * k, 0.06 * k + float(rng.exponential(0.02))) for k in range(1, 400)]
    for device_us, arrival_s in points:
        state = arrival_step(PARAMS, state, arrival_s, device_us)
    assert len(state.hull) < 30
    for rate in np.linspace(-2e-4, 2e-4, 21):
        of_all = min(s - us * 1e-6 * (1 + rate) for us, s in points)
        of_hull = min(delay_s - us * 1e-6 * rate for us, delay_s in state.hull)
        assert of_hull == pytest.approx(of_all, abs=1e-9)


# --- Records ----------------------------------------------------------------------------------------------------------


def asked(tag, t_s):
    return Record(t_s, "CONTROL", "out", codec.encode_request("TIME_SYNC", tag))


def answered(tag, t_s, t2_us, status=0):
    reply = (t2_us, 200) if status == 0 else ()
    return Record(t_s, "CONTROL", "in", codec.encode_response(codec.OP["TIME_SYNC"], tag, status, *reply))


def replayed(records, state=None):
    state = state or ClockState()
    for record in records:
        state = record_step(PARAMS, state, record)
    return state


def test_requests_and_answers_are_matched_by_their_tags():
    state = replayed([asked(1, 1.0), asked(2, 3.0), answered(1, 3.1, 6_010_000), answered(2, 3.2, 8_010_000)])
    assert state.exchanges == (Exchange(3.0, 8_010_000, 200, 3.2),)
    assert replayed([answered(2, 3.3, 9_000_000)], state) == state


def test_records_that_say_nothing_about_time_change_nothing():
    state = replayed([asked(1, 1.0), answered(1, 1.1, 6_050_000)])
    others = [
        Record(2.0, "CONTROL", "out", codec.encode_request("PING", 9, b"")),
        Record(2.0, "CONTROL", "in", b"\x00garbage"),
        Record(2.0, "STREAM", "in", b"\xff" * 40),
        Record(2.0, "STATUS", "in", bytes(12)),
        Record(2.0, "INFO", "in", bytes(20)),
    ]
    assert replayed(others, state) == state
    refused = replayed([asked(3, 2.0), answered(3, 2.1, 0, status=5)], state)
    assert refused.exchanges == state.exchanges


def session(seed):
    """Records of a simulated device that is asked for the time, and the true offset of its clock."""
    device = Device(seed)
    host = sim.Dialogue(device)
    host.connect()
    for _ in range(8):
        host.ask("TIME_SYNC")
        host.pass_time(0.04)
    host.start()
    for _ in range(10):
        host.pass_time(1.0)
        host.ask("TIME_SYNC")
    return host.records, host.now_us * 1e-6 - device.clock_us(host.now_us) * 1e-6


def test_records_of_a_simulated_device_give_its_offset():
    records, offset_s = session(320)
    state = replayed(records)
    model = estimate(PARAMS, state)
    assert len(state.exchanges) == 18
    assert state.hull
    assert model.offset_s == pytest.approx(offset_s, abs=2e-3)
    # No packet can be sent before its newest sample.
    for record in records:
        if record.source == "STREAM":
            packet = arrays.decode_packet(record.payload)
            newest_us = clock.newest_sample_us(packet)
            assert newest_us * 1e-6 + offset_s < record.t_s + 1e-3
            assert newest_us > packet.t0_us


def test_packets_sent_again_do_not_count():
    records, _ = session(321)
    state = replayed(records)
    packet = next(record.payload for record in records if record.source == "STREAM")
    again = Record(math.inf, "STREAM", "in", b"\x11" + packet[1:])
    assert record_step(PARAMS, state, again) == state


def test_live_and_replay_agree_to_the_last_bit():
    records, _ = session(322)
    half = replayed(records[: len(records) // 2])
    estimate(PARAMS, half)
    assert estimate(PARAMS, replayed(records[len(records) // 2 :], half)) == estimate(PARAMS, replayed(records))
