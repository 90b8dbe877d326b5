# SPDX-License-Identifier: MIT
"""Cues in words, when it is time to move on, and that what is estimated is heard."""

import asyncio
import math
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from firmware_protocol.zones import PLACES
from roller_host.app.outputs import CueOutputs
from roller_host.cues.moving import SHARE_S, Shares
from roller_host.cues.sound import Signal
from roller_host.cues.words import COMFORT, MOVE_ON, cue_json, explain, table
from roller_host.signal.comfort import STARTING_BANDS, Band, Comfort, Cue, excluded_band
from roller_host.signal.core import SignalParams
from roller_host.signal.estimates import Estimates, Stroke
from roller_host.signal.sequence import GuidedPlace

ROOT = Path(__file__).parents[1]
CHEEK = PLACES.index(("cheek", "left"))
EASE_OFF = Cue(
    12.3, Comfort.TOO_HARD, Comfort.FIRM, 4.35, 4.21, 4.0, "rose above the limit, for 100 ms", "cheek", "left"
)


# --- Words ----------------------------------------------------------------------------------------------------------


def test_every_state_has_words_a_sign_and_a_sound_of_its_own():
    assert set(COMFORT) == set(Comfort)
    sayings = [*COMFORT.values(), MOVE_ON]
    for part in ("words", "means", "sound"):
        assert len({getattr(one, part) for one in sayings}) == len(sayings)
    # Comfortable and firm have one shape: only the words and the colour differ between them.
    assert len({one.sign for one in sayings}) == len(sayings) - 1
    assert {one.tone for one in sayings} <= {"good", "low", "firm", "bad", "dim"}


def test_the_page_has_the_table_of_all_cues():
    page = (ROOT / "docs" / "cues.md").read_text(encoding="utf-8")
    assert page.partition("<!-- cues -->\n")[2].partition("<!-- /cues -->")[0] == table()


def test_an_alert_is_explained_with_everything_that_led_to_it():
    assert explain(EASE_OFF, {}) == (
        'Left cheek: "Ease off", after "Firm". Because the force rose above the limit, for 100 ms: 4.21 N after the '
        "low-pass filter (4.35 N before it), against 4.00 N. The thresholds there are starting points of this project, "
        "not clinical values: 0.8 to 2.5 N is comfortable, the limit is 4 N, the ceiling 8 N."
    )


def test_personal_thresholds_are_told_as_such_on_their_side_alone():
    bands = {("cheek", "left"): Band(0.5, 1.5, 3.2, 8.0)}
    assert "The thresholds there are your own: 0.5 to 1.5 N is comfortable, the limit is 3.2 N" in explain(
        EASE_OFF, bands
    )
    assert "starting points" in explain(EASE_OFF._replace(side="right"), bands)


def test_an_unknown_place_is_told_with_the_thresholds_that_hold_there():
    told = explain(EASE_OFF._replace(zone="", side=""), {})
    assert told.startswith("Place not known: ")
    assert "because the place was not known: 0.5 to 1.5 N" in told


def test_a_cue_at_a_place_left_out_says_not_here():
    place = EASE_OFF.zone, EASE_OFF.side
    assert "Not here: this place is left out" in explain(EASE_OFF, {place: excluded_band(EASE_OFF.zone)})


def test_cues_without_a_threshold_are_explained_too():
    overload = Cue(
        1.0, Comfort.STOP, Comfort.FIRM, 25.0, 25.0, math.nan, "the load cell is at the end of its range", "", ""
    )
    assert explain(overload, {}) == (
        'Place not known: "Stop", after "Firm". Because: the load cell is at the end of its range.'
    )
    assert cue_json(overload, {})["threshold_n"] is None


def test_contact_is_no_matter_of_personal_thresholds():
    touch = Cue(1.0, Comfort.TOO_LIGHT, Comfort.NO_CONTACT, 0.2, 0.16, 0.15, "rose above the contact threshold", "", "")
    assert "thresholds there" not in explain(touch, {})


# --- Moving on ------------------------------------------------------------------------------------------------------


def block(begin_s, *, places=(CHEEK,) * 10, comfort=Comfort.COMFORTABLE, force_n=2.0, strokes=(), **more):
    n = len(places)
    none = np.zeros(n)
    return Estimates(
        begin_s + np.arange(n) * 0.1, none + force_n, none, none > 0, none, none,
        comfort if isinstance(comfort, tuple) else (comfort,) * n, tuple(places), "cheek", "left", strokes, **more,
    )  # fmt: skip


def stroke_at(zone, side):
    return Stroke(*[0.0] * 15, zone=zone, side=side)


def told_at(shares, blocks):
    return [i for i, one in enumerate(blocks) if shares.add(one)]


def test_free_hand_a_place_has_had_enough_after_a_minute_of_contact_and_again_after_another():
    shares, n = Shares(()), round(SHARE_S)
    # Each block is a second, half of it on the cheek and half in the air.
    blocks = [block(float(i), places=(CHEEK,) * 5 + (-1,) * 5) for i in range(4 * n)]
    assert told_at(shares, blocks) == pytest.approx([2 * n - 1, 4 * n - 1], abs=1)


def test_time_on_other_places_does_not_count():
    shares = Shares(())
    blocks = [block(float(i), places=(i % 15,) * 10) for i in range(10 * round(SHARE_S))]
    assert told_at(shares, blocks) == []


def test_in_a_routine_a_place_has_had_enough_after_the_strokes_that_belong_to_it():
    jaw = PLACES.index(("jaw", "left"))
    shares = Shares([GuidedPlace(CHEEK, 3.0), GuidedPlace(jaw, 2.0), GuidedPlace(CHEEK, 2.0)])
    places = ["cheek", "cheek", "jaw", "cheek", "jaw", "cheek", "", "cheek", "cheek"]
    blocks = [block(float(i), strokes=(stroke_at(zone, "left" if zone else ""),)) for i, zone in enumerate(places)]
    # Third cheek, second jaw, fifth cheek.
    assert told_at(shares, blocks) == [3, 4, 7]


# --- What is heard --------------------------------------------------------------------------------------------------


class Device:
    """Plays into a list, when asked to."""

    def __init__(self):
        self.render = None
        self.opened = threading.Event()

    def __call__(self, render):
        self.render = render
        self.opened.set()
        return self

    def close(self):
        """Nothing is left behind."""


async def _heard(*script, params=None, muted=False):
    """Signals after each of the estimates of ``script``."""
    device = Device()
    outputs = CueOutputs(sound=True, muted=muted, haptics=True, open_device=device)
    signals = []
    for one in script:
        outputs.take(one, params or SignalParams())
        assert device.opened.wait(5)
        device.render(480)
        signals.append(outputs.signal)
    await outputs.close()
    return signals, outputs


def heard(*script, **options):
    return asyncio.run(_heard(*script, **options))


def test_what_is_estimated_is_heard():
    signals, outputs = heard(
        block(0.0), block(1.0, comfort=Comfort.TOO_HARD), block(2.0, comfort=Comfort.STOP), block(3.0)
    )
    assert signals == [None, Signal.EASE_OFF, Signal.STOP, None]
    assert outputs.problems == ()


def test_an_alert_in_the_middle_of_a_packet_is_heard():
    short = (Comfort.FIRM,) * 4 + (Comfort.STOP,) * 3 + (Comfort.NO_CONTACT,) * 3
    assert heard(block(0.0), block(1.0, comfort=short))[0] == [None, Signal.STOP]


def test_a_packet_without_samples_is_no_news_of_the_force():
    signals, _ = heard(block(0.0), block(1.0, places=()))
    assert signals == [None, Signal.NO_DATA]


def test_muted_nothing_but_the_stop_is_heard():
    script = [block(0.0, comfort=comfort) for comfort in (Comfort.TOO_HARD, Comfort.STOP)]
    assert heard(*script, muted=True)[0] == [None, Signal.STOP]


def test_moving_on_is_heard_and_counted():
    routine = SignalParams(routine=(GuidedPlace(CHEEK, 1.0),))
    signals, outputs = heard(block(0.0), block(1.0, strokes=(stroke_at("cheek", "left"),)), params=routine)
    assert signals == [None, Signal.MOVE_ON]
    assert outputs.n_moves == 1


def test_sound_that_is_off_opens_no_device():
    async def work():
        device = Device()
        outputs = CueOutputs(sound=False, muted=False, haptics=True, open_device=device)
        outputs.take(block(0.0, comfort=Comfort.STOP), SignalParams())
        await asyncio.sleep(0.05)
        await outputs.close()
        return device.render, outputs.signal

    assert asyncio.run(work()) == (None, None)


def test_unmuting_is_heard_at_once():
    async def work():
        device = Device()
        outputs = CueOutputs(sound=True, muted=True, haptics=True, open_device=device)
        outputs.take(block(0.0, comfort=Comfort.TOO_HARD), SignalParams())
        assert device.opened.wait(5)
        device.render(480)
        outputs.muted = False
        device.render(480)
        signal = outputs.signal
        await outputs.close()
        return signal

    assert asyncio.run(work()) is Signal.EASE_OFF


def test_the_bands_are_those_of_the_place():
    """The same force sounds higher where less is firm."""

    async def pitch(params):
        device = Device()
        outputs = CueOutputs(sound=True, muted=False, haptics=True, open_device=device)
        outputs.take(block(0.0, force_n=1.5), params)
        assert device.opened.wait(5)
        samples = device.render(4800)
        await outputs.close()
        return int(np.abs(np.fft.rfft(samples)).argmax())

    tender = SignalParams(bands={("cheek", "left"): Band(0.2, 1.5, 3.0, 8.0)})
    assert asyncio.run(pitch(tender)) > 1.3 * asyncio.run(pitch(SignalParams()))
    assert STARTING_BANDS["cheek"].firm_n > 1.5


def test_the_words_of_the_page_name_the_times_of_the_code():
    page = (ROOT / "docs" / "cues.md").read_text(encoding="utf-8")
    assert re.search(rf"{SHARE_S:g} s of contact", page)
