# SPDX-License-Identifier: MIT
# Qt must not be imported where it cannot work.
from __future__ import annotations

import asyncio

import pytest

from roller_host.dashboard import requirements

if problem := requirements.import_problem():
    pytest.skip(problem, allow_module_level=True)

from hand_fed import SIMULATED, Clock, Session
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QAbstractButton

from firmware_protocol.zones import PLACES, place_name
from roller_host.app.felt import LEAST_S, Felt
from roller_host.app.flows import Flows
from roller_host.app.live import LiveRun, Options
from roller_host.dashboard import faceshape, theme
from roller_host.dashboard.rail import Place
from roller_host.dashboard.session import Flow, Question, Rolled, Snapshot
from roller_host.dashboard.window import MainWindow
from roller_host.link.states import LinkPhase, LinkState
from roller_host.sessions import people
from roller_host.sessions.person import Person
from roller_host.signal.limits import Answer

pytestmark = pytest.mark.qt_log_level_fail("WARNING")

CHEEK, JAW = ("cheek", "left"), ("jaw", "right")
STREAMING = LinkState(LinkPhase.STREAMING, device="Simulated roller")
OVER = LinkState(LinkPhase.OFF)
LOST = LinkState(LinkPhase.LOST, "It was looked for in vain.", "Connect again.", over=True)
STEPS = {answer: f"what {answer.value} does" for answer in Answer}
QUESTION = Question("Ada", (Rolled(CHEEK, 65.0, STEPS), Rolled(JAW, 12.0, STEPS)))


@pytest.fixture
def live(qtbot, qapp):
    """Window on a hand-filled session that streams."""
    theme.prepare(qapp)
    session = Session()
    window = MainWindow(session, "dark")
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
    window.presenter.stop()
    window.presenter._clock = Clock()
    window.connect_to(SIMULATED)
    tell(window, session, STREAMING)
    session.asked.clear()
    return window, session


def tell(window, session, *items):
    session.mailbox.extend(items)
    window.presenter._clock.now_s += 1
    window.presenter.tick()


def shown(window):
    return window.pages.currentWidget()


def press(qtbot, window, key, modifiers=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(window.focusWidget() or window, key, modifiers)


def answers(session):
    return [one[1] for one in session.asked if one[0] == "feel"]


# The page


def test_a_session_that_is_over_is_asked_about_and_answered_by_keyboard(live, qtbot):
    window, session = live
    tell(window, session, OVER, QUESTION)
    assert shown(window) is window.feel
    assert not window.feel.keep_button.isEnabled()
    press(qtbot, window, Qt.Key.Key_Space)
    cheek = window.feel.rows[0]
    assert cheek.step.text() == "What too light does"
    for _ in range(2):
        press(qtbot, window, Qt.Key.Key_Right)
    assert cheek.step.text() == "What too firm does"
    press(qtbot, window, Qt.Key.Key_Return)
    assert answers(session) == [{CHEEK: Answer.TOO_FIRM}]
    assert shown(window) is window.picker


def test_escape_skips_all(live, qtbot):
    window, session = live
    tell(window, session, OVER, QUESTION)
    window.feel.rows[0].choose("too light")
    press(qtbot, window, Qt.Key.Key_Escape)
    assert shown(window) is window.picker
    assert not answers(session)
    tell(window, session, QUESTION)
    assert not window.feel.answers(), "the next question begins anew"


def test_enter_without_an_answer_keeps_the_page(live, qtbot):
    window, session = live
    tell(window, session, OVER, QUESTION)
    press(qtbot, window, Qt.Key.Key_Return)
    assert shown(window) is window.feel
    window.feel.skip_button.setFocus()
    press(qtbot, window, Qt.Key.Key_Return)
    assert shown(window) is window.picker


def test_a_lost_roller_is_told_before_anybody_is_asked(live):
    window, session = live
    tell(window, session, LOST, QUESTION)
    assert shown(window) is window.live
    window.leave()
    assert shown(window) is window.feel


def test_who_connects_again_is_not_asked_about_the_session_before(live):
    window, session = live
    tell(window, session, LOST, QUESTION)
    window.connect_to(SIMULATED)
    tell(window, session, STREAMING, OVER)
    assert shown(window) is window.picker


def test_the_button_on_the_calibrate_page_asks_and_leads_back(live, qtbot):
    window, session = live
    window.rail.buttons[Place.CALIBRATE].click()
    press(qtbot, window, Qt.Key.Key_D, Qt.KeyboardModifier.AltModifier)
    # Qt shows the button pressed for a moment before it acts.
    qtbot.waitUntil(lambda: "ask feel" in session.asked)
    tell(window, session, QUESTION)
    assert shown(window) is window.feel
    press(qtbot, window, Qt.Key.Key_Escape)
    assert shown(window) is window.calibrate
    for question, told in ((Question(""), "Nobody's bands"), (Question("Ada"), "no place to ask about")):
        tell(window, session, question)
        assert told in window.feel.text.text()
        assert window.feel.skip_button.hasFocus()
        assert not window.feel.keep_button.isVisible()
        window.feel.skip_button.click()
    assert not answers(session)


def test_answers_are_not_lost_when_the_session_ends_meanwhile(live):
    window, session = live
    window.rail.buttons[Place.CALIBRATE].click()
    tell(window, session, QUESTION)
    window.feel.rows[1].choose("right")
    tell(window, session, OVER, QUESTION)
    assert window.feel.answers() == {JAW: Answer.RIGHT}
    window.feel.keep_button.click()
    assert answers(session) == [{JAW: Answer.RIGHT}]
    assert shown(window) is window.picker


@pytest.mark.parametrize("size", [(930, 600), (1280, 800)])
def test_every_control_has_a_name_and_every_place_can_be_reached(live, qtbot, size):
    window, session = live
    window.resize(*size)
    tell(window, session, OVER, Question("Ada", tuple(Rolled(place, 61.0, STEPS) for place in PLACES)))
    page = window.feel
    named = {
        QAccessible.queryAccessibleInterface(one).text(QAccessible.Text.Name)
        for one in page.findChildren(QAbstractButton)
        if one.isVisibleTo(page)
    }
    wanted = {f"{place_name(*place).capitalize()}: {one.value.capitalize()}" for place in PLACES for one in Answer}
    assert named >= wanted | {"Keep", "Skip all"}
    last = page.rows[-1].options.options["right"]
    for _ in range(60):
        if last.parent() is window.focusWidget().parent():
            break
        press(qtbot, window, Qt.Key.Key_Tab)
    # The list follows the focus.
    corner = window.focusWidget().mapTo(page.area, QPointF(0, 0))
    assert 0 <= corner.y() <= page.area.height() - window.focusWidget().height()
    assert page.width() <= window.width()
    press(qtbot, window, Qt.Key.Key_Space)
    assert list(page.answers()) == [PLACES[-1]]


# What is asked, and what becomes of the answers


@pytest.fixture
def ada(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
    people.save(Person("Ada", excluded={("temple", "left"): "sore"}))


def test_places_with_enough_contact_are_asked_about_once(ada):
    rolled_s = {CHEEK: LEAST_S, JAW: LEAST_S - 0.1, ("temple", "left"): 60.0}
    felt = Felt("ada", lambda: dict(rolled_s))
    (cheek,) = felt.question().places
    assert (felt.question().person, cheek.place, cheek.contact_s) == ("Ada", CHEEK, LEAST_S)
    assert cheek.steps[Answer.TOO_FIRM].startswith("limit 4.00 -> 3.60 N (-10 %)")
    assert felt.keep({CHEEK: Answer.TOO_FIRM}).startswith("Noted for Ada: 1 band moved.")
    ada = people.find("Ada")
    assert ada.bands[CHEEK].band.limit_n == pytest.approx(3.6)
    assert ada.refinements[-1].answer is Answer.TOO_FIRM
    rolled_s[JAW] = 30.0
    assert [one.place for one in felt.question().places] == [JAW]
    felt.end()
    rolled_s.clear()
    assert [one.place for one in felt.question().places] == [JAW], "it knows of the session when that is gone"
    assert felt.keep({JAW: Answer.RIGHT}).startswith("Noted for Ada: no band moved.")


def test_what_a_flow_asked_for_is_no_massage(ada):
    live = LiveRun(Options(), *(lambda _: None,) * 3)
    flows = Flows(live, lambda _: None, lambda: "Ada")
    contact_s = live.pipeline.totals.contact_s_by_place

    async def flow():
        contact_s[CHEEK] = 10.0
        await flows.open(Flow.COMFORT)
        contact_s.update({CHEEK: 25.0, JAW: 8.0})
        assert flows.rolled_s() == {CHEEK: 10.0, JAW: 0.0}
        await flows.leave()
        contact_s[CHEEK] = 27.0
        assert flows.rolled_s() == {CHEEK: 12.0, JAW: 0.0}

    asyncio.run(flow())


# Enough for today


def test_a_place_that_has_had_enough_is_told_calmly(live, qtbot):
    window, session = live
    face = window.live.face
    window.resize(1280, 800)
    tell(window, session, Snapshot(9.0, 104.0, rate_now_hz=104.0, contact_s_by_place={CHEEK: 62.0, JAW: 62.0}))
    before = face.grab().toImage()
    assert not face.enough_words()
    tell(window, session, Snapshot(9.0, 104.0, rate_now_hz=104.0, contact_s_by_place={CHEEK: 62.0, JAW: 62.0},
         enough={CHEEK: "152 of 150 N s in this session"}))  # fmt: skip
    assert face.enough_words() == "Enough for today: left cheek"
    assert "enough for today: left cheek" in face.accessibleDescription()
    assert face.tip(CHEEK) == "Left cheek: 1:02 min; enough for today, 152 of 150 N s in this session"
    assert face.tip(JAW) == "Right jaw: 1:02 min"
    assert face.grab().toImage() != before
    assert window.live.banner.isHidden(), "it is no alert"
    assert len(window.live.alerts) == 0
    face.set_enough(dict.fromkeys(PLACES, "enough"))
    assert face.enough_words() == "Enough for today: 15 places"
    window.connect_to(SIMULATED)
    assert not face.enough_words()


def test_the_place_is_marked_by_more_than_colour(live):
    window, _ = live
    face = window.live.face
    window.resize(1280, 800)

    def tick_is_there(place):
        at = face._to_widget().map(faceshape.label_at(*place) + QPointF(0, 15 - 5))
        return face.grab().toImage().pixelColor(at.toPoint()) == face.look.tone("good")

    assert not tick_is_there(CHEEK)
    face.set_enough({CHEEK: "enough"})
    assert tick_is_there(CHEEK)
    assert not tick_is_there(JAW)
