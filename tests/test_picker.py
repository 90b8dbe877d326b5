# SPDX-License-Identifier: MIT
# Qt must not be imported where it cannot work.
from __future__ import annotations

from dataclasses import replace

import pytest

from roller_host.dashboard import requirements

if problem := requirements.import_problem():
    pytest.skip(problem, allow_module_level=True)

from hand_fed import LOSSES, REAL, SIMULATED, Clock, Session
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QWidget

from roller_host.dashboard import run, theme, words
from roller_host.dashboard.messages import Action, counted_down, link_message
from roller_host.dashboard.rollerlist import OLD_S, second_line, sighting
from roller_host.dashboard.session import Interrupted, RollerChoice, Rollers, Snapshot
from roller_host.dashboard.window import MainWindow
from roller_host.link.states import PHASE_HELP, LinkPhase, LinkState

pytestmark = pytest.mark.qt_log_level_fail("WARNING")

BATHROOM = RollerChoice("aa" * 8, "Bathroom", "Roller-3F2A", known=True, seen_s=99.0, rssi_dbm=-52)
TRAVEL = RollerChoice("bb" * 8, "Travel", "Roller-77B1", known=True, security_mode=3)
TAKEN = RollerChoice("C0:FD", "Roller-1C2E", taken=True, seen_s=99.0, rssi_dbm=-64)
OFFER = Interrupted("a.sqlite", "Bathroom", "2026-01-02T12:00:00+01:00", 260.0)
FORGOTTEN = LinkState(LinkPhase.REFUSED, "It has forgotten this computer.", "Pair again.", unpaired=True, over=True)
LOST = LinkState(LinkPhase.LOST, "Roller-3F2A is gone.", "Bring it closer.", "Roller-3F2A", over=True)


@pytest.fixture
def opened(qtbot, qapp):
    """Opens the window on rollers, a session and a clock of the test's own."""
    theme.prepare(qapp)

    def opened(*choices, offer=None):
        session, clock = Session(*choices, offer=offer), Clock()
        window = MainWindow(session, "dark")
        qtbot.addWidget(window)
        with qtbot.waitActive(window):
            window.show()
        window.presenter.stop()
        window.presenter._clock = window.picker.list._clock = clock
        return window, session, clock

    return opened


def tell(window, session, *items):
    session.mailbox.extend(items)
    window.presenter._clock.now_s += 1
    window.presenter.tick()


def rows(window):
    listed = window.picker.list
    return [listed.item(i).text().split(",")[0] for i in range(listed.count())]


def unnamed(root: QWidget) -> list[QWidget]:
    out = []
    for widget in root.findChildren(QWidget):
        if widget.focusPolicy() is Qt.FocusPolicy.NoFocus or not widget.isVisibleTo(root):
            continue
        told = QAccessible.queryAccessibleInterface(widget)
        if told is None or not told.text(QAccessible.Text.Name):
            out.append(widget)
    return out


# What is said


@pytest.mark.parametrize("phase", set(LinkPhase) - {LinkPhase.OFF, LinkPhase.STREAMING})
def test_every_phase_says_what_it_means_and_what_to_do(phase):
    message = link_message(LinkState(phase))
    known = PHASE_HELP[phase]
    assert message.title == words.opening(phase.value)
    assert message.text == f"{known.meaning} {known.action}"
    own = link_message(LinkState(phase, "it rains", "go in"))
    assert own.text == "It rains. Go in."


def test_nothing_is_said_when_all_is_well():
    assert link_message(LinkState(LinkPhase.STREAMING)) is None
    assert link_message(LinkState(LinkPhase.OFF)) is None
    assert link_message(LinkState(LinkPhase.STREAMING, "4 % are late")).actions == ()


def test_what_can_be_done_depends_on_whether_anything_is_still_tried():
    assert link_message(replace(LOST, over=False)).actions == (Action.OTHER,)
    assert link_message(LOST).actions == (Action.AGAIN, Action.OTHER)
    assert link_message(FORGOTTEN).actions == (Action.PAIR_AGAIN, Action.AGAIN, Action.OTHER)


def test_a_pause_counts_down_in_the_words_of_the_state():
    state = LinkState(LinkPhase.RETRYING, retry_s=4.0)
    told = [counted_down(state, waited_s).words for waited_s in (0.0, 0.5, 1.5, 3.9, 9.0)]
    assert told == [f"trying again in {n} s" for n in (4, 4, 3, 1, 1)]
    assert counted_down(LOST, 5.0) == LOST


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "now"),
        (12.9, "12 s ago"),
        (60, "1 min ago"),
        (7300, "2 h ago"),
        (90000, "1 day ago"),
        (200000, "2 days ago"),
    ],
)
def test_ages_in_words(seconds, told):
    assert words.ago(seconds) == told


@pytest.mark.parametrize(
    ("rssi_dbm", "shown"), [(-30, (4, "strong")), (-60, (4, "strong")), (-61, (3, "good")), (-99, (1, "very weak"))]
)
def test_signal_in_bars_and_words(rssi_dbm, shown):
    assert words.signal(rssi_dbm) == shown


def test_nearness_in_words():
    assert sighting(BATHROOM, 100.0) == "strong signal, now"
    assert sighting(BATHROOM, 99.0 + OLD_S) == "strong signal, 30 s ago"
    assert sighting(TRAVEL, 100.0) == "not heard yet"
    assert sighting(replace(BATHROOM, rssi_dbm=None), 100.0) == "held by this computer"
    assert sighting(TAKEN, 100.0) == LinkPhase.TAKEN.value
    assert sighting(SIMULATED, 100.0) == ""


def test_second_line_tells_rollers_apart():
    assert second_line(BATHROOM) == "Roller-3F2A"
    assert second_line(TRAVEL) == "Roller-77B1 · asks for a passkey"
    assert "last used" in second_line(replace(TRAVEL, last_used="2020-01-02T12:00:00+01:00"))
    assert second_line(replace(TRAVEL, last_used="long ago")) == "Roller-77B1 · asks for a passkey"
    assert "before" in second_line(REAL)
    assert "Close the other program" in second_line(TAKEN)


# The list


def test_known_rollers_come_first_and_the_simulated_one_is_one_row(opened):
    window, _, _ = opened(BATHROOM, REAL, TAKEN, SIMULATED, LOSSES)
    assert rows(window) == [
        "Known",
        "Bathroom",
        "Nearby",
        "Roller-3F2A",
        "Roller-1C2E",
        "Simulated",
        "Simulated roller",
    ]
    assert window.picker.chosen() == BATHROOM
    assert "strong signal" in window.picker.list.item(1).text()


def test_headings_are_passed_over_by_the_keys(opened, qtbot):
    window, _, _ = opened(BATHROOM, REAL, SIMULATED)
    chosen = []
    for _ in range(3):
        chosen.append(window.picker.chosen())
        qtbot.keyClick(window.picker.list, Qt.Key.Key_Down)
    assert chosen == [BATHROOM, REAL, SIMULATED]


def test_without_any_roller_the_simulated_one_is_chosen_until_one_is_found(opened):
    window, session, _ = opened(SIMULATED)
    assert rows(window)[0] == "Nearby: none heard yet"
    assert window.picker.chosen() == SIMULATED
    tell(window, session, Rollers((TAKEN, REAL, SIMULATED)))
    assert window.picker.chosen() == REAL


def test_what_the_person_chose_stays_chosen(opened, qtbot):
    window, session, _ = opened(BATHROOM, REAL, SIMULATED)
    qtbot.keyClick(window.picker.list, Qt.Key.Key_Down)
    louder = replace(REAL, rssi_dbm=-40)
    tell(window, session, Rollers((BATHROOM, TRAVEL, TAKEN, louder, SIMULATED)))
    assert window.picker.chosen() == louder
    tell(window, session, Rollers((BATHROOM, SIMULATED)))
    assert window.picker.chosen() == BATHROOM


def test_enter_connects_and_the_states_of_the_attempt_are_shown(opened, qtbot):
    window, session, _ = opened(SIMULATED, REAL)
    picker = window.picker
    with qtbot.waitSignal(picker.asked_connect) as asked:
        qtbot.keyClick(picker.list, Qt.Key.Key_Return)
    assert asked.args == [REAL]
    assert picker.banner.words().startswith("Connecting. Looking for Roller-3F2A.")
    assert not picker.list.isEnabled()
    tell(window, session, LinkState(LinkPhase.SCANNING))
    assert picker.connect_button.text() == "Stop"
    tell(window, session, LinkState(LinkPhase.RETRYING, "no answer", retry_s=4.0))
    tell(window, session)
    assert picker.banner.words().startswith("Trying again in 3 s. No answer.")
    assert picker.banner.accessibleDescription().startswith("Trying again. No answer.")
    assert window.focusWidget() is picker.connect_button
    qtbot.keyClick(picker.connect_button, Qt.Key.Key_Escape)
    assert session.asked == [REAL, "disconnect"]
    assert picker.banner.words() == ""
    assert picker.connect_button.text() == "Connect"
    assert window.focusWidget() is picker.list


@pytest.mark.parametrize("phase", [LinkPhase.OUT_OF_RANGE, LinkPhase.TAKEN, LinkPhase.REFUSED, LinkPhase.NO_BLUETOOTH])
def test_an_attempt_that_ended_can_be_made_again(opened, qtbot, phase):
    window, session, _ = opened(REAL, SIMULATED)
    qtbot.keyClick(window.picker.list, Qt.Key.Key_Return)
    tell(window, session, LinkState(phase, over=True))
    assert window.picker.banner.words().startswith(f"{words.opening(phase.value)}. ")
    qtbot.mouseClick(window.picker.connect_button, Qt.MouseButton.LeftButton)
    assert session.asked == [REAL, REAL]


def test_a_search_hinders_nobody(opened, qtbot):
    window, session, _ = opened(REAL, SIMULATED)
    picker = window.picker
    qtbot.mouseClick(picker.scan_button, Qt.MouseButton.LeftButton)
    tell(window, session, LinkState(LinkPhase.SCANNING))
    assert not picker.scan_button.isEnabled()
    assert picker.connect_button.text() == "Connect"
    assert picker.list.isEnabled()
    tell(window, session, LinkState(LinkPhase.OFF), Rollers((REAL, SIMULATED), "Bluetooth is off. Switch it on."))
    assert picker.scan_button.isEnabled()
    assert picker.banner.words() == "Bluetooth is off. Switch it on."
    assert session.asked == ["scan"]


def test_a_roller_that_another_program_has_says_so_and_can_be_tried(opened, qtbot):
    window, session, _ = opened(TAKEN, SIMULATED)
    picker = window.picker
    assert picker.chosen() == SIMULATED
    picker.list.setCurrentRow(1)
    assert "taken by another program" in picker.list.item(1).text()
    assert not picker.choice_actions.identify.isEnabled()
    qtbot.keyClick(picker.list, Qt.Key.Key_Return)
    assert session.asked == [TAKEN]


def test_after_a_session_rollers_are_heard_anew(opened):
    window, session, _ = opened(BATHROOM, SIMULATED)
    for choice in (BATHROOM, SIMULATED):
        window.connect_to(choice)
        tell(window, session, LinkState(LinkPhase.STREAMING))
        window.leave()
    assert session.asked == [BATHROOM, "disconnect", "scan", SIMULATED, "disconnect"]


# What can be done with a roller


def test_identify_rename_and_start_are_asked_for(opened, qtbot):
    window, session, _ = opened(BATHROOM, SIMULATED)
    strip = window.picker.choice_actions
    qtbot.mouseClick(strip.identify, Qt.MouseButton.LeftButton)
    qtbot.keyClick(window.picker.list, Qt.Key.Key_F2)
    assert strip.name.hasFocus()
    assert strip.name.selectedText() == "Bathroom"
    qtbot.keyClicks(strip.name, "Hall")
    tell(window, session, Rollers((replace(BATHROOM, rssi_dbm=-70), SIMULATED), note="Roller-3F2A blinks now."))
    assert window.picker.banner.words() == "Roller-3F2A blinks now."
    qtbot.keyClick(strip.name, Qt.Key.Key_Return)
    strip.at_start.click()
    now = replace(BATHROOM, rssi_dbm=-70)
    assert session.asked == [("identify", BATHROOM), ("rename", now, "Hall"), ("at start", now)]
    tell(window, session, Rollers((replace(now, at_start=True), SIMULATED)))
    assert strip.at_start.isChecked()
    strip.at_start.click()
    assert session.asked[-1] == ("at start", None)


def test_nothing_is_forgotten_unasked(opened, qtbot):
    window, session, _ = opened(BATHROOM, SIMULATED)
    strip = window.picker.choice_actions
    qtbot.keyClick(window.picker.list, Qt.Key.Key_Delete)
    assert strip.really_forget.isVisible()
    qtbot.keyClick(strip.really_forget, Qt.Key.Key_Escape)
    assert not strip.really_forget.isVisible()
    assert session.asked == []
    qtbot.mouseClick(strip.forget, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(strip.really_forget, Qt.MouseButton.LeftButton)
    assert session.asked == [("forget", BATHROOM)]


def test_a_question_is_dropped_when_another_roller_is_chosen(opened, qtbot):
    window, _, _ = opened(BATHROOM, TRAVEL, SIMULATED)
    qtbot.keyClick(window.picker.list, Qt.Key.Key_F2)
    assert window.picker.choice_actions.name.isVisible()
    window.picker.list.setCurrentRow(2)
    assert not window.picker.choice_actions.name.isVisible()


def test_strangers_cannot_be_renamed_or_forgotten(opened, qtbot):
    window, _, _ = opened(REAL, SIMULATED)
    strip = window.picker.choice_actions
    for key in (Qt.Key.Key_F2, Qt.Key.Key_Delete):
        qtbot.keyClick(window.picker.list, key)
    assert strip.identify.isEnabled()
    assert not strip.name.isVisible()
    assert not strip.really_forget.isVisible()
    assert not any(widget.isEnabled() for widget in (strip.rename, strip.forget, strip.at_start))


def test_the_simulated_roller_plays_what_is_chosen(opened, qtbot):
    window, session, _ = opened(SIMULATED, LOSSES)
    combo = window.picker.choice_actions.scenario
    assert [combo.itemText(i) for i in range(combo.count())] == ["practised", "link losses"]
    qtbot.keyClick(combo, Qt.Key.Key_Down)
    tell(window, session, Rollers((SIMULATED, LOSSES)))
    qtbot.keyClick(window.picker.list, Qt.Key.Key_Return)
    assert session.asked == [LOSSES]


# The start


def start(monkeypatch, session, **options):
    monkeypatch.setattr(MainWindow, "search", lambda _: session.scan())
    assert run.run(lambda: session, seconds=0.01, **options) == 0
    return session.asked[:-1]


def test_the_start_connects_to_the_usual_roller(qapp, monkeypatch):
    usual = replace(BATHROOM, at_start=True)
    assert start(monkeypatch, Session(BATHROOM, SIMULATED)) == ["scan"]
    assert start(monkeypatch, Session(TRAVEL, usual, SIMULATED)) == [usual]
    assert start(monkeypatch, Session(TRAVEL, usual, SIMULATED), autoconnect="demo") == [SIMULATED]
    assert start(monkeypatch, Session(usual, SIMULATED, offer=OFFER)) == ["scan"]


def test_a_session_that_was_cut_off_is_offered(opened, qtbot):
    window, session, _ = opened(BATHROOM, SIMULATED, offer=OFFER)
    offer = window.picker.offer
    assert offer.words().startswith("A session with Bathroom was cut off 4 min ago. ")
    qtbot.mouseClick(offer.buttons[Action.GO_ON], Qt.MouseButton.LeftButton)
    assert session.asked == [("go on", OFFER)]
    tell(window, session, LinkState(LinkPhase.OUT_OF_RANGE, over=True))
    assert offer.isVisible()
    qtbot.mouseClick(offer.buttons[Action.GO_ON], Qt.MouseButton.LeftButton)
    tell(window, session, LinkState(LinkPhase.STREAMING))
    assert window.live.header.title.text() == "Bathroom"
    window.leave()
    assert not offer.isVisible()


def test_a_session_that_was_cut_off_can_be_left(opened, qtbot):
    window, session, _ = opened(BATHROOM, SIMULATED, offer=OFFER)
    qtbot.mouseClick(window.picker.offer.buttons[Action.LEAVE], Qt.MouseButton.LeftButton)
    assert session.asked == [("leave it", OFFER)]
    assert not window.picker.offer.isVisible()


# Trouble


@pytest.fixture
def rolling(opened):
    window, session, clock = opened(BATHROOM, SIMULATED)
    window.connect_to(BATHROOM)
    tell(window, session, LinkState(LinkPhase.STREAMING, device="Roller-3F2A"))
    session.asked.clear()
    return window, session, clock


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("phase", set(LinkPhase) - {LinkPhase.OFF, LinkPhase.STREAMING})
def test_the_live_page_stays_and_says_what_happens(rolling, phase, over):
    window, session, _ = rolling
    tell(window, session, LinkState(phase, "it rains", "Go in.", over=over))
    assert window.pages.currentWidget() is window.live
    assert window.live.banner.words() == f"{words.opening(phase.value)}. It rains. Go in."
    assert window.live.header.link.words() == words.opening(phase.value)
    assert window.live.banner.buttons[Action.AGAIN].isVisible() == over
    tell(window, session, LinkState(LinkPhase.STREAMING))
    assert not window.live.banner.isVisible()


def test_the_end_of_a_session_leads_back_to_the_choice(rolling):
    window, session, _ = rolling
    tell(window, session, LinkState(LinkPhase.OFF, "the disk is full", "Free some space.", over=True))
    assert window.pages.currentWidget() is window.picker
    assert window.picker.banner.words() == "Off. The disk is full. Free some space."


@pytest.mark.parametrize(
    ("action", "asked"),
    [(Action.AGAIN, BATHROOM), (Action.PAIR_AGAIN, ("pair again", BATHROOM)), (Action.OTHER, "disconnect")],
)
def test_buttons_of_the_live_page_do_what_they_say(rolling, qtbot, action, asked):
    window, session, _ = rolling
    tell(window, session, FORGOTTEN)
    qtbot.mouseClick(window.live.banner.buttons[action], Qt.MouseButton.LeftButton)
    assert session.asked[0] == asked


def test_forget_and_pair_again_on_the_picker(opened, qtbot):
    window, session, _ = opened(BATHROOM, SIMULATED)
    qtbot.keyClick(window.picker.list, Qt.Key.Key_Return)
    tell(window, session, FORGOTTEN)
    qtbot.mouseClick(window.picker.banner.buttons[Action.PAIR_AGAIN], Qt.MouseButton.LeftButton)
    assert session.asked == [BATHROOM, ("pair again", BATHROOM)]
    assert window.picker.connect_button.text() == "Stop"


def test_pauses_count_down_on_banner_and_pill(rolling):
    window, session, _ = rolling
    tell(window, session, LinkState(LinkPhase.RETRYING, "no answer", "Wait.", retry_s=4.0))
    tell(window, session)
    assert window.live.banner.words() == "Trying again in 3 s. No answer. Wait."
    assert window.live.header.link.words() == "Trying again in 3 s"
    assert window.live.banner.accessibleDescription() == "Trying again. No answer. Wait."


def test_progress_of_the_rollers_own_recordings(rolling):
    window, session, _ = rolling
    snapshot = Snapshot(9.0, 104.0, log_fetched=30, log_packets=120)
    tell(window, session, snapshot)
    assert window.live.banner.words().startswith("Fetching recordings 25 %. ")
    assert "25" not in window.live.banner.accessibleDescription()
    tell(window, session, LinkState(LinkPhase.STALLED))
    assert window.live.banner.words().startswith("Stalled. ")
    tell(window, session, LinkState(LinkPhase.STREAMING), replace(snapshot, log_fetched=120))
    assert not window.live.banner.isVisible()


def test_a_recording_that_stopped_is_told(rolling):
    window, session, _ = rolling
    tell(window, session, Snapshot(9.0, 104.0, recording_problem="the disk is full", log_fetched=1, log_packets=9))
    assert window.live.banner.words() == "Recording stopped. The disk is full."
    assert window.live.header.recording.words() == "Recording stopped"


def test_names_are_shown_as_they_are(rolling):
    window, session, _ = rolling
    tell(window, session, LinkState(LinkPhase.LOST, "<i>R&D</i> is gone."))
    assert "&lt;i>R&amp;D&lt;/i> is gone." in window.live.banner._text.text()


# A passkey

ASKED = LinkState(
    LinkPhase.PAIRING, "Roller-77B1 wants the six digits on its label", "Type them here.", "Roller-77B1",
    wants_passkey=True,
)  # fmt: skip
CHECKED = LinkState(LinkPhase.PAIRING, "the digits are being checked", "Wait a moment.", "Roller-77B1")
UNTYPED = replace(FORGOTTEN, reason="Nobody typed the passkey.")


@pytest.fixture(params=["picker", "live"])
def pairing(request, opened):
    """A link that is made, from the choice of rollers or anew from the live page, and that wants a passkey."""
    window, session, _ = opened(TRAVEL, SIMULATED)
    window.connect_to(TRAVEL)
    if request.param == "live":
        tell(window, session, LinkState(LinkPhase.STREAMING), FORGOTTEN)
        window._pair_again()
    session.asked.clear()
    tell(window, session, ASKED)
    page = getattr(window, request.param)
    assert window.pages.currentWidget() is page
    return window, session, page


def test_a_passkey_is_typed_where_it_is_asked_for(pairing, qtbot):
    window, session, page = pairing
    field = page.passkey.field
    assert window.focusWidget() is field
    assert page.banner.words() == "Pairing. Roller-77B1 wants the six digits on its label. Type them here."
    qtbot.keyClicks(field, "12 345")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert session.asked == []
    assert not page.passkey.pair.isEnabled()
    qtbot.keyClicks(field, "x678")
    assert field.text() == "123456"
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert session.asked == [("passkey", 123456)]
    tell(window, session, CHECKED)
    assert not page.passkey.isVisible()
    assert page.banner.words() == "Pairing. The digits are being checked. Wait a moment."
    tell(window, session, replace(ASKED, reason="Roller-77B1 did not accept these digits"))
    assert window.focusWidget() is field
    assert field.text() == ""


def test_digits_are_pasted_as_they_are_written(pairing, qtbot, qapp):
    _, session, page = pairing
    qapp.clipboard().setText("Passkey: 012-345\n")
    page.passkey.field.paste()
    qtbot.mouseClick(page.passkey.pair, Qt.MouseButton.LeftButton)
    assert session.asked == [("passkey", 12345)]


@pytest.mark.parametrize("way", ["Esc", "button"])
def test_a_passkey_need_not_be_typed(pairing, qtbot, way):
    window, session, page = pairing
    qtbot.keyClicks(page.passkey.field, "12")
    if way == "Esc":
        qtbot.keyClick(page.passkey.field, Qt.Key.Key_Escape)
    else:
        qtbot.mouseClick(page.passkey.cancel, Qt.MouseButton.LeftButton)
    assert session.asked[0] == "disconnect"
    assert window.pages.currentWidget() is window.picker
    assert not page.passkey.isVisible()
    assert window.picker.banner.words() == ""
    window.connect_to(TRAVEL)
    tell(window, session, ASKED)
    assert window.picker.passkey.field.text() == ""


def test_what_was_typed_survives_a_lost_link(pairing, qtbot):
    window, session, page = pairing
    qtbot.keyClicks(page.passkey.field, "123")
    tell(window, session, LinkState(LinkPhase.RETRYING, "it is gone"), ASKED)
    assert page.passkey.field.text() == "123"
    assert window.focusWidget() is page.passkey.field
    tell(window, session, ASKED)
    qtbot.keyClicks(page.passkey.field, "456")
    assert page.passkey.field.text() == "456"


def test_when_nobody_typed_pairing_begins_anew_from_there(pairing, qtbot):
    window, session, page = pairing
    tell(window, session, UNTYPED)
    assert not page.passkey.isVisible()
    qtbot.mouseClick(page.banner.buttons[Action.PAIR_AGAIN], Qt.MouseButton.LeftButton)
    assert session.asked == [("pair again", TRAVEL)]
    tell(window, session, ASKED)
    assert window.focusWidget() is page.passkey.field


def test_a_screen_reader_knows_what_to_type(pairing):
    _, _, page = pairing
    assert unnamed(page) == []
    assert page.passkey.field.accessibleName() == "Passkey of Roller-77B1, six digits"
    assert "on its label" in page.passkey.field.accessibleDescription()
    assert "on its label" in page.banner.accessibleDescription()


# Room and names


@pytest.mark.parametrize("size", [(930, 600), (1000, 680), (1360, 800)])
@pytest.mark.parametrize("state", [FORGOTTEN, ASKED], ids=["forgotten", "asked"])
def test_nothing_overlaps(opened, size, state):
    others = [replace(REAL, key=str(i), title="A long name " * 4, detail="a detail " * 9) for i in range(6)]
    window, session, _ = opened(BATHROOM, TRAVEL, *others, SIMULATED, offer=replace(OFFER, roller="Room " * 8))
    window.resize(*size)
    tell(window, session, replace(state, reason="It has forgotten. " * 4))
    window.grab()
    picker = window.picker
    parts = [
        w for w in picker.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly) if w.isVisible()
    ]
    assert (window.width(), window.height()) == size
    for i, part in enumerate(parts):
        assert picker.rect().contains(part.geometry()), part
        assert not any(part.geometry().intersects(other.geometry()) for other in parts[i + 1 :]), part
        assert part.height() >= part.minimumHeight()
    assert picker.choice_actions.height() >= picker.choice_actions.sizeHint().height()


def test_everything_that_takes_focus_has_a_name(opened, qtbot):
    window, session, _ = opened(BATHROOM, REAL, SIMULATED, LOSSES, offer=OFFER)
    picker = window.picker
    tell(window, session, FORGOTTEN)
    for row, key in ((1, None), (1, Qt.Key.Key_F2), (3, None), (5, None), (1, Qt.Key.Key_Delete)):
        picker.list.setCurrentRow(row)
        if key:
            qtbot.keyClick(picker.list, key)
        assert unnamed(picker) == []
    tell(window, session, LinkState(LinkPhase.STREAMING), FORGOTTEN)
    assert window.pages.currentWidget() is window.live
    assert unnamed(window.live) == []


def test_the_keyboard_reaches_everything_in_reading_order(opened):
    window, session, _ = opened(BATHROOM, SIMULATED, offer=OFFER)
    tell(window, session, FORGOTTEN)
    picker, strip = window.picker, window.picker.choice_actions
    picker.offer.buttons[Action.GO_ON].setFocus()
    reached = []
    for _ in range(10):
        reached.append(window.focusWidget())
        window.focusNextChild()
    assert reached == [
        *picker.offer.buttons.values(),
        picker.list,
        strip.identify,
        strip.rename,
        strip.forget,
        strip.at_start,
        *picker.banner.buttons.values(),
        picker.connect_button,
        picker.scan_button,
    ]
