# SPDX-License-Identifier: MIT
"""Guided flows beside a session of the demo, whose hands do what is ordered."""

import sqlite3
import time
from contextlib import closing

import pytest

from roller_host.app import felt
from roller_host.app.live import Options
from roller_host.app.standing import FIRST_PERSON
from roller_host.dashboard.session import Flow, Guided, Question, Rollers, Snapshot
from roller_host.feed import DashboardSession
from roller_host.link.states import LinkPhase, LinkState
from roller_host.sessions import people
from roller_host.sessions.person import Person
from roller_host.signal.limits import Answer


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
    session = DashboardSession(Options(radio="demo"))
    yield session
    session.close()


def wait(session, wanted, seconds=60.0):
    """The first thing in the mailbox that is wanted."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        while session.mailbox:
            item = session.mailbox.popleft()
            if wanted(item):
                return item
        time.sleep(0.02)
    raise AssertionError("it never came")


def streaming(item):
    return isinstance(item, LinkState) and item.phase is LinkPhase.STREAMING


def shows(flow, wanted):
    return lambda item: isinstance(item, Guided) and item.flow is flow and wanted(item.shown)


def test_flows_are_led_and_left_while_the_session_goes_on(session, tmp_path):
    session.connect(next(choice for choice in session.choices() if choice.simulated))
    wait(session, streaming)
    session.start_guide(Flow.START)
    begun = wait(session, shows(Flow.START, bool)).shown
    assert len(begun.heads) == 1
    session.act("hand", "left")
    wait(session, shows(Flow.START, lambda shown: shown.over and shown.progress == 1.0))
    assert session.standing(Flow.START).words == "Head 1, left hand, sitting"
    session.start_guide(Flow.FORCE)
    wait(session, shows(Flow.FORCE, lambda shown: shown.step == "tumble" and sum(shown.sides) >= 2))
    session.leave_guide()
    session.start_guide(Flow.FORCE)
    # It goes on where it was left.
    assert wait(session, shows(Flow.FORCE, bool)).shown.step == "tumble"
    assert "Calibrated" in session.standing(Flow.FORCE).words
    session.close()
    (recording,) = tmp_path.rglob("*.sqlite")
    with closing(sqlite3.connect(recording)) as db:
        acts = db.execute("SELECT action, detail FROM actions").fetchall()
    assert ("start", "Head 1, left hand, sitting.") in acts


def test_whose_comfort_it_is(session):
    assert session.person() == FIRST_PERSON
    assert session.standing(Flow.COMFORT).words == f"{FIRST_PERSON}: starting points"
    people.save(Person("Ada"))
    assert session.person() == "Ada"
    session.set_person("Bo")
    assert session.person() == "Bo"
    assert session.people() == ["Ada"]


def test_a_person_is_asked_how_the_session_felt_and_the_answer_is_kept(session, monkeypatch):
    monkeypatch.setattr(felt, "LEAST_S", 0.3)
    people.save(Person("Ada"))
    session.connect(next(choice for choice in session.choices() if choice.simulated))
    wait(session, lambda item: isinstance(item, Snapshot) and max(item.contact_s_by_place.values(), default=0.0) > 0.5)
    session.disconnect()
    question = wait(session, lambda item: isinstance(item, Question))
    place = question.places[0].place
    session.feel({place: Answer.TOO_FIRM})
    told = wait(session, lambda item: isinstance(item, Rollers) and item.note)
    assert told.note.startswith("Noted for Ada: 1 band moved")
    assert people.find("Ada").refinements[0].place == place
    session.ask_feel()
    again = wait(session, lambda item: isinstance(item, Question))
    assert place not in [one.place for one in again.places]
    people.delete("Ada")
    session.ask_feel()
    assert "no profile" in wait(session, lambda item: isinstance(item, Rollers) and item.problem).problem


def test_nobody_is_asked_where_no_person_is_chosen(session):
    session.ask_feel()
    assert wait(session, lambda item: isinstance(item, Question)) == Question("")
    session.connect(next(choice for choice in session.choices() if choice.simulated))
    wait(session, lambda item: isinstance(item, Snapshot))
    session.close()
    assert not [item for item in session.mailbox if isinstance(item, Question)]


def test_without_a_roller_no_flow_begins(session):
    session.start_guide(Flow.FORCE)
    session.act("add", "1 kg")
    session.leave_guide()
    assert session.standing(Flow.FORCE).words == ""
    assert not session.mailbox
