# SPDX-License-Identifier: MIT
"""Simulated people who press on request: where, how hard, and when they press the button."""

import numpy as np
import pytest

from firmware_protocol import arrays, codec
from firmware_protocol.zones import PLACES
from simulator.body.feelings import Feelings
from simulator.body.motion import at_rest
from simulator.body.pressing import AFTER_S, LIFT_S, PressingHand, ramp_of
from simulator.body.scripted import Deed
from simulator.body.truth import GRID_HZ
from simulator.firmware.device import Device
from simulator.generate import Dialogue

CHEEK = ("cheek", "left")


def lived(hand, seconds):
    parts = []
    while sum(len(part.t_s) for part in parts) < seconds * GRID_HZ:
        parts.append(hand.visit())
    return parts


def of(parts, name):
    return np.concatenate([getattr(part, name) for part in parts])


def test_people_differ_within_their_ranges():
    people = [Feelings.draw(np.random.default_rng(seed)) for seed in range(60)]
    assert all(0.15 <= one.reaction_s <= 0.5 and 0.5 <= one.pace <= 2.0 for one in people)
    assert all(0 < t.pleasant_n < t.firmest_n < t.pain_n for one in people for t in one.thresholds.values())
    firmest_n = [one.thresholds[CHEEK].firmest_n for one in people]
    assert max(firmest_n) > 2 * min(firmest_n)
    assert all(set(one.thresholds) == set(PLACES) for one in people)


@pytest.mark.parametrize("seed", range(5))
def test_button_comes_a_reaction_after_the_feeling_and_then_the_roller_is_lifted(seed):
    rng = np.random.default_rng(seed)
    feelings = Feelings.draw(rng)
    felt = feelings.thresholds[CHEEK]
    ramp = ramp_of(rng, feelings, felt, 1.0)
    assert len(ramp.presses_s) == 2
    for press_s, level_n in zip(ramp.presses_s, felt, strict=False):
        at_feeling_n = ramp.force_n[round((press_s - feelings.reaction_s) * GRID_HZ)]
        assert at_feeling_n == pytest.approx(level_n, rel=0.4)
        assert ramp.force_n[round(press_s * GRID_HZ)] > at_feeling_n
    assert ramp.force_n[-1] == pytest.approx(0.0, abs=1e-6)
    assert len(ramp.force_n) / GRID_HZ <= ramp.presses_s[1] + AFTER_S + LIFT_S + 0.01


def test_pressing_happens_at_the_place_and_nothing_jumps():
    hand = PressingHand(103)
    parts = lived(hand, 3)
    hand.press(*CHEEK, 1.0)
    parts += lived(hand, 14)
    hand.release()
    parts += lived(hand, 4)
    t_s, force_n, place = of(parts, "t_s"), of(parts, "force_n"), of(parts, "place")
    assert np.allclose(np.diff(t_s), 1 / GRID_HZ, atol=1e-9)
    ramp = (t_s > 4.5) & (t_s < 16.5) & (force_n > 0.2)
    assert set(place[ramp].tolist()) == {PLACES.index(CHEEK)}
    assert force_n[ramp].max() >= hand.feelings.thresholds[CHEEK].pleasant_n
    assert np.abs(np.diff(force_n)).max() < 0.1
    assert np.linalg.norm(of(parts, "acc_m_s2"), axis=1).max() < 60
    assert len(hand.presses(t_s[-1])) == 2
    assert hand.presses(t_s[-1]) == [], "each is told once"


@pytest.mark.parametrize("n_rows", [200, 201, 202])
def test_no_stretch_is_a_single_row(n_rows):
    hand = PressingHand(103)
    lived(hand, 1)
    hand._do(lambda: Deed(at_rest(hand._pose, n_rows / GRID_HZ)))
    parts = lived(hand, 2)
    assert min(len(part.t_s) for part in parts) > 1
    assert np.allclose(np.diff(of(parts, "t_s")), 1 / GRID_HZ, atol=1e-9)


def test_an_order_in_mid_ramp_takes_back_the_marks_to_come():
    hand = PressingHand(103)
    lived(hand, 3)
    hand.press(*CHEEK, 1.0)
    parts = lived(hand, 3)
    while parts[-1].force_n[-1] < 0.6:
        parts += lived(hand, 0.1)
    hand.still()
    parts = lived(hand, 2)
    assert parts[-1].force_n[-1] == 0.0
    assert hand.presses(parts[-1].t_s[-1] + 100) == []


def test_presses_of_the_hand_reach_the_host_at_their_time_and_open_the_button_window():
    hand = PressingHand(103)
    device, payloads = Device(103, hand=hand), []
    host = Dialogue(device, payloads.append)
    host.connect()
    host.start()
    host.pass_time(3.0)
    assert not device.button_window
    due_s = device.senses.life_at(host.now_us) + hand.feelings.reaction_s
    hand.tap(device.senses.life_at(host.now_us))
    host.pass_time(1.0)
    assert device.button_window
    events = [
        ((packet.t0_us + block.offset_us) * 1e-6, block.samples[0].tolist())
        for payload in payloads
        if payload.source == "STREAM"
        for packet in [arrays.decode_packet(payload.payload)]
        for block in packet.blocks
        if block.stream_id == codec.STREAM_ID["EVENT"]
    ]
    pressed = [t_s for t_s, (code, arg, _) in events if code == codec.EVENT_CODE["BUTTON"] and arg == 1]
    begin_s = device.clock_us(round(device.senses.true_us(0.0))) % 2**32 * 1e-6
    assert len(pressed) == 1
    assert pressed[0] - begin_s == pytest.approx(due_s, abs=0.25)


def test_a_press_between_two_packets_is_told_at_its_own_time():
    device, payloads = Device(103), []
    host = Dialogue(device, payloads.append)
    host.connect()
    host.start()
    host.pass_time(1.0)
    host.pass_time(0.04)
    now_us = host.now_us
    device.press(0.2, now_us)
    host.pass_time(0.5)
    times_us = [
        packet.t0_us + block.offset_us
        for payload in payloads
        if payload.source == "STREAM"
        for packet in [arrays.decode_packet(payload.payload)]
        for block in packet.blocks
        if block.stream_id == codec.STREAM_ID["EVENT"] and block.samples[0, 0] == codec.EVENT_CODE["BUTTON"]
    ]
    assert times_us[0] == pytest.approx(device.clock_us(now_us) % 2**32, abs=200)
