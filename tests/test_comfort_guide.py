# SPDX-License-Identifier: MIT
"""The comfort calibration as a flow: with simulated people through the whole chain, and step by step by hand."""

import dataclasses

import numpy as np
import pytest
from pressed import FS_HZ, estimates

from firmware_protocol.zones import PLACES
from roller_host.guide.comfort import ComfortGuide, ComfortGuideParams
from roller_host.guide.reaction import ReactionTest
from roller_host.guide.step import Order, Task
from roller_host.guide.turns import Rests
from roller_host.pipeline import Pipeline
from roller_host.sessions.errors import SessionError
from roller_host.sessions.person import Person, from_toml, to_toml
from roller_host.signal.limits import Origin
from roller_host.signal.record import Record
from simulator.body.feelings import Feelings
from simulator.body.pressing import PressingHand
from simulator.firmware.device import Device
from simulator.generate import Dialogue

CHEEK, JAW = ("cheek", "left"), ("jaw", "left")
QUICK_RESTS = ComfortGuideParams(rests=Rests(0.5, 1.0))


class Session:
    """A flow that a test leads by hand: it presses, and says when it marks."""

    def __init__(self, person=None, **options):
        self.kept = []
        self.now_s = 0.0
        options = {"params": QUICK_RESTS, **options}
        person = person or Person("Anna")
        self.disk_full = False
        self.guide = ComfortGuide(person, "00ff", "2026-01-02", self.keep, clock=lambda: self.now_s, **options)

    def keep(self, person):
        if self.disk_full:
            raise SessionError("no space")
        self.kept.append(person)

    @property
    def shown(self):
        return self.guide.shown

    @property
    def keys(self):
        return [choice.key for choice in self.shown.choices if choice.enabled]

    def act(self, *keys):
        for key in keys:
            assert key in self.keys, (key, self.shown)
            self.guide.act(key)

    def hold(self, force_n, seconds, marks_s=(), **changes):
        """Press with a force by time since now; mark at times since now."""
        begin_s, marks = self.now_s, list(marks_s)
        while self.now_s < begin_s + seconds:
            t_s = self.now_s + np.arange(6) / FS_HZ
            n = np.array([force_n(t - begin_s) if callable(force_n) else force_n for t in t_s])
            self.now_s += 6 / FS_HZ
            self.guide.take(estimates(t_s, n, **changes))
            if marks and self.now_s - begin_s >= marks[0]:
                marks.pop(0)
                self.guide.act("mark")

    def ramp(self, rate_n_s=1.0, marks_s=(2.5, 4.5), seconds=5.0):
        """Rest, press, lift."""
        self.hold(0.0, 2.0)
        assert self.shown.phase == "place", self.shown
        self.hold(lambda t: 0.2 + rate_n_s * t, seconds, marks_s)
        self.hold(0.0, 0.5)


def at_ramps(*names, **options):
    session = Session(**options)
    session.guide.act("places", ", ".join(names))
    session.act("go", "skip")
    assert session.shown.step == "ramps"
    return session


def test_steps_come_in_their_order_and_end_with_bands():
    session = Session()
    assert session.shown.step == "form"
    session.act("quick")
    assert session.shown.step == "exclude"
    session.act("go")
    assert session.shown.step == "reaction"
    session.act("skip")
    places = []
    while session.shown.step == "ramps":
        places.append(session.shown.place)
        session.ramp()
    assert places == [("forehead", "left"), CHEEK, JAW] * 3, "places take turns"
    assert session.shown.step == "result"
    assert set(session.shown.bands) == set(PLACES)
    session.act("save")
    assert session.shown.over
    bands = session.kept[-1].bands
    assert bands[CHEEK].origin is Origin.MEASURED
    assert bands[CHEEK].band.limit_n == pytest.approx(0.85 * (0.2 + 4.5 - 0.25), rel=0.03)
    assert bands["cheek", "right"].origin is Origin.INFERRED
    assert session.kept[-1].unfinished is None


def test_orders_tell_hands_when_to_rest_and_where_to_press():
    session = at_ramps("left eye")
    assert session.shown.order == Order(Task.REST)
    session.hold(0.0, 2.0)
    assert session.shown.order == Order(Task.RAMP, zone="eye", side="left", rate_n_s=0.25)


def test_ramp_shows_pace_force_marks_and_ceiling():
    session = at_ramps("left cheek")
    session.hold(0.0, 2.0)
    session.hold(lambda t: 0.2 + t, 3.0, (2.0,))
    shown = session.shown
    assert shown.phase == "press"
    assert shown.target_n == pytest.approx(3.0, abs=0.1)
    assert shown.force_n == pytest.approx(3.2, abs=0.1)
    assert shown.marks_n == (pytest.approx(2.2, abs=0.1),)
    assert shown.ceiling_n == 8.0


def test_button_on_the_roller_marks_too():
    session = at_ramps("left cheek")
    session.hold(0.0, 2.0)
    begin_s = session.now_s
    for i in range(60):
        t_s = begin_s + i * 0.1 + np.arange(10) / 100
        session.now_s = t_s[-1]
        presses_s = tuple(p for p in (begin_s + 2.55, begin_s + 4.05) if t_s[0] <= p < t_s[0] + 0.1)
        session.guide.take(estimates(t_s, 0.2 + t_s - begin_s, presses_s=presses_s))
    (found,) = session.shown.marks[CHEEK]
    assert found.pleasant_n == pytest.approx(0.2 + 2.55 - 0.25, abs=0.02)
    assert found.firmest_n == pytest.approx(0.2 + 4.05 - 0.25, abs=0.02)


def test_a_refused_ramp_says_why_and_is_repeated():
    session = at_ramps("left cheek")
    session.ramp(marks_s=(2.5,))
    assert "second mark" in session.shown.problem
    assert session.shown.marks == {}
    assert session.shown.place == CHEEK


def test_a_place_that_never_works_is_left_for_another_day():
    session = at_ramps("left cheek", "left jaw")
    while CHEEK not in session.shown.skipped and session.now_s < 120:
        session.ramp(marks_s=(2.5,) if session.shown.place == CHEEK else (2.5, 4.5))
    while session.shown.step == "ramps":
        session.ramp()
    assert session.shown.bands[JAW].origin is Origin.MEASURED
    assert session.shown.bands[CHEEK].origin is Origin.INFERRED


def test_ceiling_stops_at_once_and_bounds():
    session = at_ramps("left cheek")
    session.hold(0.0, 2.0)
    session.hold(lambda t: 0.2 + 2 * t, 4.5, (2.5,))
    assert session.shown.order == Order(Task.REST)
    assert "ceiling" in session.shown.note
    assert session.shown.marks[CHEEK][0].firmest_n == 8.0


def test_nobody_is_asked_to_press_the_same_place_without_rest():
    session = at_ramps("left cheek", params=ComfortGuideParams(rests=Rests(0.5, 10.0)))
    session.ramp()
    session.hold(0.0, 5.0)
    assert session.shown.phase == "rest"
    assert session.shown.rest_s == pytest.approx(4.5, abs=0.7)
    session.hold(0.0, 6.0)
    assert session.shown.phase == "place"


def test_nobody_is_told_to_lift_off_while_doing_so():
    session = at_ramps("left cheek", "left jaw")
    session.ramp()
    session.ramp()
    session.hold(0.0, 2.0)
    session.hold(lambda t: 0.2 + t, 5.0, (2.5, 4.5))
    assert session.shown.phase == "rest"
    session.hold(3.0, 0.5)
    assert "Lift the roller off" not in session.shown.text


def test_who_goes_on_pressing_is_told_to_lift_off():
    session = at_ramps("left cheek")
    session.hold(0.0, 2.0)
    session.hold(lambda t: 0.2 + t, 5.0, (2.5, 4.5))
    session.hold(3.0, 3.0)
    assert session.shown.phase == "rest"
    assert "Lift the roller off" in session.shown.text


def test_pause_keeps_everything_and_another_day_goes_on():
    session = at_ramps("left cheek", "left jaw")
    session.ramp()
    session.act("pause")
    assert session.shown.order == Order(Task.REST)
    session.hold(0.0, 3.0)
    assert session.shown.phase == "paused"
    session.act("close")
    assert session.shown.over
    kept = from_toml(to_toml(session.kept[-1]))
    again = Session(kept)
    assert again.shown.choices[0].key == "continue"
    again.act("continue")
    assert again.shown.marks == session.shown.marks
    assert again.shown.place == JAW
    while again.shown.step == "ramps":
        again.ramp()
    again.act("save")
    assert again.kept[-1].bands[CHEEK].ramps == 3
    assert again.kept[-1].unfinished is None


def test_pause_in_mid_ramp_forgets_only_that_ramp():
    session = at_ramps("left cheek")
    session.ramp()
    session.hold(0.0, 2.0)
    session.hold(lambda t: 0.2 + t, 2.0)
    session.act("pause", "resume")
    assert session.shown.phase == "rest"
    assert len(session.shown.marks[CHEEK]) == 1


def test_skipped_places_are_inferred():
    session = at_ramps("left cheek", "left jaw")
    session.act("skip")
    while session.shown.step == "ramps":
        assert session.shown.place == JAW
        session.ramp()
    assert session.shown.bands[CHEEK].origin is Origin.INFERRED


def test_places_left_out_are_kept_with_the_reason_and_never_asked_for():
    session = Session()
    session.act("quick")
    session.guide.act("exclude", "left cheek: irritated skin")
    session.guide.act("exclude", "jaw")
    assert CHEEK in session.shown.excluded
    assert session.kept[-1].excluded[CHEEK] == "irritated skin"
    session.act("go", "skip")
    asked = set()
    while session.shown.step == "ramps":
        asked.add(session.shown.place)
        session.ramp()
    assert asked == {("forehead", "left"), ("cheek", "right")}, "the other side stands in"


def test_leaving_out_can_be_taken_back():
    session = Session()
    session.act("quick")
    session.guide.act("exclude", "left cheek")
    session.guide.act("exclude", "left cheek")
    assert session.shown.excluded == ()


def test_a_place_that_is_none_is_named():
    session = Session()
    session.guide.act("places", "nose")
    assert "'nose'" in session.shown.problem
    assert session.shown.step == "form"


def test_nothing_measured_changes_nothing():
    session = at_ramps("left cheek")
    session.act("skip")
    assert session.shown.step == "result"
    assert "save" not in session.keys
    session.act("discard")
    assert session.kept[-1].bands == {}


def test_discarding_leaves_the_bands_of_before():
    first = at_ramps("left cheek")
    while first.shown.step == "ramps":
        first.ramp()
    first.act("save")
    second = at_ramps("left cheek", person=first.kept[-1])
    while second.shown.step == "ramps":
        second.ramp(marks_s=(2.0, 3.0), seconds=3.5)
    second.act("discard")
    assert second.kept[-1] == first.kept[-1]


def test_without_a_calibrated_force_the_way_forward_is_told():
    session = Session(calibrated=False)
    assert session.shown.over
    assert "roller-host calibrate force" in session.shown.problem
    session.guide.act("quick")
    assert session.shown.step == "uncalibrated"


def test_what_is_not_offered_does_nothing():
    session = Session()
    before = session.shown
    session.guide.act("mark")
    session.guide.act("nonsense")
    assert session.shown is before


def test_another_place_is_refused_once_and_believed_the_second_time():
    session = at_ramps("left cheek")
    there = {"places": (PLACES.index(("cheek", "right")),) * 6, "place_confidence": np.ones(6)}
    for n_marks in (0, 1, 2):
        session.hold(0.0, 2.0)
        session.hold(lambda t: 0.2 + t, 5.0, (2.5, 4.5), **there)
        session.hold(0.0, 0.5)
        assert len(session.shown.marks.get(CHEEK, ())) == n_marks
        assert ("here" in session.keys) is (n_marks == 0)


def test_who_says_that_the_place_was_right_is_believed():
    session = at_ramps("left cheek")
    there = {"places": (PLACES.index(("cheek", "right")),) * 6, "place_confidence": np.ones(6)}
    session.hold(0.0, 2.0)
    session.hold(lambda t: 0.2 + t, 5.0, (2.5, 4.5), **there)
    session.act("here")
    assert len(session.shown.marks[CHEEK]) == 1


def test_reaction_is_measured_by_five_taps():
    session = Session()
    session.act("quick", "go")
    n_signs = 0
    while session.shown.step == "reaction":
        session.hold(0.0, 0.01)
        if session.shown.sign:
            assert session.shown.order == Order(Task.BUTTON)
            n_signs += 1
            session.now_s += 0.32
            session.guide.act("mark")
    assert n_signs == 5
    assert session.shown.reaction.s == pytest.approx(0.32, abs=0.01)
    assert session.shown.reaction.n == 5


def test_tap_before_the_sign_does_not_count_and_silence_repeats_it():
    test = ReactionTest(5)
    test.advance(0.0)
    test.tap(0.5)
    assert "before the sign" in test.note
    for now_s in np.arange(0.5, 20.0, 0.05):
        test.advance(now_s)
    assert "Nothing was pressed" in test.note
    assert test.taps_s == ()


# --- Through the whole chain ------------------------------------------------------------------------------------------


def led(seed, names):
    """A simulated person's calibration of some places, faster than real time."""
    feelings = dataclasses.replace(Feelings.draw(np.random.default_rng(seed)), spread=0.03)
    hand = PressingHand(seed, feelings=feelings)
    device, pipeline, begun = Device(seed, hand=hand), Pipeline(), []
    kept, orders = [], [None]

    def take(payload):
        found = pipeline.feed(Record(*payload))
        if found is None:
            return
        begun[:] = begun or [host.now_us * 1e-6 - found.t_s[-1]]
        guide.take(found)
        order = guide.shown.order
        if order != orders[-1]:
            orders.append(order)
            if order.task is Task.BUTTON:
                hand.tap(device.senses.life_at(host.now_us))
            elif order.task is Task.RAMP:
                hand.press(order.zone, order.side, order.rate_n_s)
            else:
                hand.still()

    def clock():
        return host.now_us * 1e-6 - begun[0] if begun else None

    guide = ComfortGuide(Person("S"), "", "2026-01-02", kept.append, clock=clock, params=QUICK_RESTS)
    host = Dialogue(device, take)
    host.connect()
    host.start()
    host.pass_time(3)
    guide.act("places", names)
    guide.act("go")
    while guide.shown.step != "result" and host.now_us < 300e6:
        host.pass_time(0.02)
    return guide.shown, hand.feelings


@pytest.mark.parametrize("seed", [104, 105])
def test_bands_of_a_simulated_person_are_those_of_their_feelings(seed):
    shown, feelings = led(seed, "left cheek")
    assert shown.step == "result"
    assert shown.reaction.s == pytest.approx(feelings.reaction_s, abs=0.08)
    felt, found = feelings.thresholds[CHEEK], shown.bands[CHEEK]
    assert found.band.limit_n == pytest.approx(0.85 * min(felt.firmest_n, 8.0), rel=0.12)
    assert found.band.firm_n == pytest.approx(felt.pleasant_n, rel=0.12)
    assert all(one.band.limit_n < feelings.thresholds[place].pain_n for place, one in shown.bands.items())


def test_shown_values_are_new_after_every_change():
    session = at_ramps("left cheek")
    before = session.shown
    session.hold(0.0, 0.1)
    assert session.shown is not before
    assert dataclasses.is_dataclass(session.shown)


# --- What is kept -----------------------------------------------------------------------------------------------------


def test_an_interrupted_flow_is_not_replaced_by_one_that_measured_nothing():
    first = at_ramps("left cheek")
    first.ramp()
    (interrupted,) = [one for one in first.kept if one.unfinished][-1:]
    second = at_ramps("left jaw", person=interrupted)
    second.act("skip")
    assert second.shown.step == "result"
    second.act("discard")
    assert all(one.unfinished == interrupted.unfinished for one in second.kept)


def test_a_ramp_that_cannot_be_kept_counts_once():
    session = at_ramps("left cheek")
    session.hold(0.0, 2.0)
    session.disk_full = True
    with pytest.raises(SessionError):
        session.hold(lambda t: 0.2 + t if t < 5 else 0.0, 7.0, (2.5, 4.5))
    for _ in range(5):
        session.hold(0.0, 0.1)
    session.disk_full = False
    session.hold(0.0, 0.1)
    assert len(session.shown.marks[CHEEK]) == 1


def test_a_form_whose_places_are_all_left_out_does_not_begin():
    session = Session(Person("Anna", excluded=dict.fromkeys(PLACES, "sunburn")))
    session.act("quick", "go")
    assert session.shown.step == "exclude"
    assert "left out" in session.shown.problem
