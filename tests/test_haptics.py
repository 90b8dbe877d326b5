# SPDX-License-Identifier: MIT
"""Haptics: which rules belong on a roller, how they get there, and that the roller then warns by itself."""

import asyncio
import math
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from hosted import Altered, roller

from firmware_protocol import codec, layout
from firmware_protocol.zones import PLACES
from roller_host.app import motor
from roller_host.app.live import LiveRun, Options
from roller_host.app.motor import Motor
from roller_host.app.outputs import CueOutputs
from roller_host.cues.haptics import ABOVE, OFF, PATTERNS, SAME_MN, SILENT, SLOTS, Rule, missing, rules
from roller_host.link.refusals import RequestError
from roller_host.link.states import LinkLostError
from roller_host.signal.comfort import STARTING_BANDS, Band, excluded_band
from roller_host.signal.core import SignalParams
from roller_host.signal.estimates import Estimates
from roller_host.signal.force import pitch_gain
from simulator.firmware.device import Device

PARAMS = SignalParams()
GAIN = pitch_gain(PARAMS.force)
NOWHERE = ("", "")


def by_slot(found):
    names = {code: name for name, code in SLOTS.items()}
    return {names[rule.slot]: rule for rule in found}


@pytest.mark.parametrize("place", [*PLACES, NOWHERE])
def test_the_roller_warns_at_what_the_host_shows(place):
    found, band = by_slot(rules(PARAMS, place, 0.0)), STARTING_BANDS[place[0]]
    assert found["CEILING"].level_mn == pytest.approx(1000 * band.ceiling_n / GAIN, abs=1)
    assert found["LIMIT"].level_mn == pytest.approx(1000 * band.limit_n / GAIN, abs=1)
    assert (found["CEILING"].hold_ms, found["LIMIT"].hold_ms) == (0, 100)
    assert (found["CEILING"].pattern, found["LIMIT"].pattern) == (PATTERNS["STOP"], PATTERNS["EASE_OFF"])
    assert {rule.compare for rule in found.values()} == {ABOVE}


def test_places_left_out_do_not_make_it_buzz_everywhere_when_alone():
    bands = {("jaw", "left"): excluded_band("jaw"), ("temple", "right"): Band(0.3, 0.5, 0.7, 2.0)}
    found = by_slot(rules(SignalParams(bands=bands), ("jaw", "left"), 0.0))
    assert found["ALONE"].level_mn == round(700 / GAIN)
    assert found["LIMIT"].level_mn == round(150 / GAIN)


def test_alone_it_warns_from_the_lowest_limit_of_the_person():
    lowest = Band(0.3, 0.5, 0.7, 2.0)
    found = by_slot(rules(SignalParams(bands={("temple", "right"): lowest}), ("jaw", "left"), 0.0))
    assert found["ALONE"].level_mn == round(700 / GAIN)
    assert by_slot(rules(PARAMS, ("jaw", "left"), 0.0))["ALONE"].level_mn == round(1000 / GAIN)


def test_personal_thresholds_count_on_their_side_alone():
    params = SignalParams(bands={("cheek", "left"): Band(0.8, 2.0, 3.0, 6.0)})
    left, right = (by_slot(rules(params, ("cheek", side), 0.0)) for side in ("left", "right"))
    assert left["LIMIT"].level_mn == round(3000 / GAIN)
    assert right["LIMIT"].level_mn == round(4000 / GAIN)


def test_the_deadband_is_that_of_the_host():
    cheek, eye = (by_slot(rules(PARAMS, (zone, "left"), 0.0)) for zone in ("cheek", "eye"))
    assert cheek["LIMIT"].hysteresis_mn == round(800 / GAIN)
    assert eye["LIMIT"].hysteresis_mn == round(200 / GAIN)


def test_what_the_cell_shows_of_nothing_is_added_to_the_levels():
    moved, still = (rules(PARAMS, NOWHERE, zero_n) for zero_n in (-0.3, math.nan))
    assert still == rules(PARAMS, NOWHERE, 0.0)
    assert {a.level_mn - b.level_mn for a, b in zip(moved, still, strict=True)} == {-300}


def test_levels_fit_their_field():
    high = SignalParams(bands={("jaw", "left"): Band(1.0, 2.0, 3.0, 90.0)})
    assert by_slot(rules(high, ("jaw", "left"), 0.0))["CEILING"].level_mn == 2**15 - 1
    assert min(rule.level_mn for rule in rules(PARAMS, NOWHERE, -99.0)) == 1


def test_the_ceiling_cannot_be_switched_off():
    found = by_slot(rules(PARAMS, ("cheek", "left"), 0.0, limits=False))
    assert found["CEILING"] == by_slot(rules(PARAMS, ("cheek", "left"), 0.0))["CEILING"]
    assert (found["LIMIT"].compare, found["ALONE"].compare) == (OFF, OFF)


def test_only_what_makes_a_difference_is_sent():
    rule = Rule(1, ABOVE, 1000, 200, 100, 3, 1000)
    assert missing([rule], {}) == [rule]
    assert missing([rule], {1: rule._replace(level_mn=1000 + SAME_MN)}) == []
    for change in ({"level_mn": 1001 + SAME_MN}, {"pattern": 4}, {"compare": OFF}, {"hold_ms": 0}):
        assert missing([rule], {1: rule._replace(**change)}) == [rule]


# --- Getting them there ---------------------------------------------------------------------------------------------


class Control:
    """Notes requests; refuses while told to."""

    def __init__(self, *refusals):
        self.levels, self.refusals = [], list(refusals)

    async def haptic_rule(self, slot, _source, _compare, level, *_hysteresis, **_rest):
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        self.levels.append((slot, level))


@asynccontextmanager
async def kept(monkeypatch, pause_s=0.0, retry_s=0.0):
    monkeypatch.setattr(motor, "PAUSE_S", pause_s)
    monkeypatch.setattr(motor, "RETRY_S", retry_s)
    notes = []
    one = Motor(notes.append)
    one.notes = notes
    yield one
    await one.close()


async def settle():
    for _ in range(40):
        await asyncio.sleep(0.001)


def rule_at(level_mn, slot=1):
    return Rule(slot, ABOVE, level_mn)


async def _changes(monkeypatch):
    async with kept(monkeypatch) as one:
        control = Control()
        one.want((rule_at(8000, 0), rule_at(4000)))
        one.connect(control)
        await settle()
        one.want((rule_at(8010, 0), rule_at(1000)))
        await settle()
        again = Control()
        one.connect(again)
        await settle()
        return control.levels, again.levels


def test_rules_are_sent_at_once_then_what_changes_and_all_of_them_after_a_reconnection(monkeypatch):
    before, after = asyncio.run(_changes(monkeypatch))
    assert before == [(0, 8000), (1, 4000), (1, 1000)]
    assert after == [(0, 8010), (1, 1000)]


async def _flicker(monkeypatch):
    async with kept(monkeypatch, pause_s=0.02) as one:
        control = Control()
        one.connect(control)
        begin_s = time.monotonic()
        for i in range(100):
            one.want((rule_at(1000 if i % 2 else 4000),))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.03)
        return control.levels, time.monotonic() - begin_s


def test_a_place_that_flickers_does_not_keep_the_link_busy(monkeypatch):
    levels, seconds = asyncio.run(_flicker(monkeypatch))
    # Two changes a pause, the second while the first is sent, instead of a hundred; a busy machine takes longer.
    assert 2 <= len(levels) <= 2 * (1 + seconds / 0.02)
    assert levels[-1] == (1, 1000)


def refusal(status):
    return RequestError("HAPTIC_RULE", codec.STATUS_CODE[status])


async def _refused(monkeypatch, *errors):
    async with kept(monkeypatch) as one:
        control = Control(*errors)
        one.want((rule_at(4000),))
        one.connect(control)
        await settle()
        return control.levels, one.notes, one.problem


def test_a_roller_that_is_busy_is_asked_again_and_told_once(monkeypatch):
    levels, notes, problem = asyncio.run(_refused(monkeypatch, refusal("BUSY"), refusal("BUSY")))
    assert levels == [(1, 4000)]
    assert len(notes) == 1
    assert "does not warn by itself" in notes[0]
    assert problem == ""


def test_a_roller_that_knows_no_rules_is_left_alone(monkeypatch):
    levels, notes, problem = asyncio.run(_refused(monkeypatch, refusal("UNKNOWN_OP")))
    assert levels == []
    assert notes == [problem] != [""]


def test_an_answer_that_does_not_come_is_no_news_to_anybody(monkeypatch):
    levels, notes, _ = asyncio.run(_refused(monkeypatch, LinkLostError("nothing came", "")))
    assert (levels, notes) == ([(1, 4000)], [])


# --- On the roller --------------------------------------------------------------------------------------------------


def rules_on(device):
    """Level of each slot's rule."""
    names = {code: name for name, code in SLOTS.items()}
    return {names[slot]: rule.level for slot, rule in device.senses.haptics._rules.items()}


async def _streaming(check, device=None, **options):
    async with roller(device) as session:
        stop = asyncio.Event()
        live = LiveRun(Options(recorded=False, **options), lambda _: None, lambda _: None, lambda _: None)
        async with session.radio() as radio:
            task = asyncio.create_task(live.run(radio, stop))
            try:
                return await check(session, live)
            finally:
                stop.set()
                await task


def test_a_session_puts_its_rules_on_the_roller():
    async def check(session, live):
        await session.until(lambda: len(rules_on(session.device)) == 3)
        return rules_on(session.device)

    expected = {name: rule.level_mn for name, rule in by_slot(rules(PARAMS, NOWHERE, 0.0)).items()}
    assert asyncio.run(_streaming(check)) == expected


def test_rules_come_back_after_a_restart_of_the_roller():
    async def check(session, live):
        await session.until(lambda: len(rules_on(session.device)) == 3)
        session.device.reboot(session.peripheral.now_us())
        assert rules_on(session.device) == {}
        await session.until(lambda: len(rules_on(session.device)) == 3, 20)

    asyncio.run(_streaming(check))


def test_without_haptics_the_ceiling_stays_and_limits_can_be_had_back():
    async def check(session, live):
        await session.until(lambda: "CEILING" in rules_on(session.device))
        await session.until(lambda: live.pipeline.totals.packets > 5)
        without = rules_on(session.device)
        live.warn_of_limits(True)
        await session.until(lambda: len(rules_on(session.device)) == 3)
        return without

    assert list(asyncio.run(_streaming(check, haptics=False))) == ["CEILING"]


def test_the_roller_is_told_what_its_cell_shows_of_nothing():
    device = Device(seed=103)
    cell, record = device.senses.sensors, device.senses.calibration
    zero_mn = 1000 * (cell.zero_counts - record.zero_counts) * record.n_per_count
    assert abs(zero_mn) > 100
    before = by_slot(rules(PARAMS, NOWHERE, 0.0))["CEILING"].level_mn

    async def check(session, live):
        await session.until(lambda: rules_on(session.device).get("CEILING", before) != before)
        return rules_on(session.device)["CEILING"]

    assert asyncio.run(_streaming(check, device)) - before == pytest.approx(zero_mn, abs=40)


def test_the_rules_follow_the_place():
    async def check(session, live):
        def at_place():
            return live.pipeline.totals.contact_s_by_place and rules_on(session.device)["CEILING"] > 6500

        # The first places of the massage are jaw and cheek.
        await session.until(at_place, 20)

    asyncio.run(_streaming(check))


class Motorless(Altered):
    """A device without a motor."""

    def info_payload(self):
        info = codec.decode_record("INFO", super().info_payload())
        return codec.encode_record(
            "INFO", info._replace(features=info.features & ~codec.bit(layout.FEATURES, "HAPTIC"))
        )

    def request(self, payload, now_us):
        self.asked = [*getattr(self, "asked", []), payload[0]]
        return super().request(payload, now_us)


def test_a_roller_without_a_motor_is_left_alone():
    async def check(session, live):
        await session.until(lambda: live.pipeline.totals.packets > 10)
        return session.device.asked

    asked = asyncio.run(_streaming(check, Motorless()))
    assert codec.OP["START"] in asked
    assert codec.OP["HAPTIC_RULE"] not in asked


def test_a_refusal_ends_no_session():
    async def check(session, live):
        await session.until(lambda: live.outputs.problems)
        n_packets = live.pipeline.totals.packets
        await session.until(lambda: live.pipeline.totals.packets > n_packets + 10)
        return live.outputs.problems

    (problem,) = asyncio.run(_streaming(check, Altered({("HAPTIC_RULE",): "BAD_STATE"})))
    assert problem.startswith("The roller does not warn by itself. The roller refused HAPTIC_RULE: BAD_STATE")


def test_a_roller_that_is_weighed_does_not_warn_of_its_loads():
    wanted, none = [], np.zeros(0)
    outputs = CueOutputs(sound=False, muted=False, haptics=True)
    outputs._motor = SimpleNamespace(want=wanted.append)
    for weighed in (False, True, True, False):
        if weighed:
            outputs.hold_back()
        outputs.take(Estimates(none, none, none, none > 0, none, none, (), (), "", "", zero_n=0.0), PARAMS)
    on_face = rules(PARAMS, NOWHERE, 0.0)
    assert wanted == [on_face, SILENT, SILENT, on_face]
    assert {rule.slot for rule in SILENT} == set(SLOTS.values())
    assert {rule.compare for rule in SILENT} == {OFF}


def test_a_session_that_weighed_to_its_end_leaves_the_rules_of_a_face_behind():
    async def main():
        async with roller() as session:
            stop = asyncio.Event()
            live = LiveRun(Options(recorded=False), lambda _: live.outputs.hold_back(), lambda _: None, lambda _: None)
            async with session.radio() as radio:
                task = asyncio.create_task(live.run(radio, stop))
                await session.until(lambda: live.pipeline.totals.packets > 10 and not rules_on(session.device))
                stop.set()
                await task
            return rules_on(session.device)

    assert list(asyncio.run(main())) == ["CEILING", "LIMIT", "ALONE"]
