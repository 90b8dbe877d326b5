# SPDX-License-Identifier: MIT
# Qt must not be imported where it cannot work.
from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from roller_host.dashboard import requirements

if problem := requirements.import_problem():
    pytest.skip(problem, allow_module_level=True)

import numpy as np
from hand_fed import SIMULATED, Clock, Session
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QAbstractButton, QLabel, QWidget

from roller_host.dashboard import theme
from roller_host.dashboard.calibrate.choices import lettered
from roller_host.dashboard.calibrate.ramp import RampView, pace_words
from roller_host.dashboard.calibrate.residuals import Reading, ResidualPlot
from roller_host.dashboard.rail import Place
from roller_host.dashboard.session import Flow, Guided, Snapshot
from roller_host.dashboard.window import MainWindow
from roller_host.guide.step import Choice
from roller_host.link.states import LinkPhase, LinkState
from roller_host.signal.comfort import Comfort, Cue

pytestmark = pytest.mark.qt_log_level_fail("WARNING")

PICTURES = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "screenshots_calibrate.py"))
STREAMING = LinkState(LinkPhase.STREAMING, device="Simulated roller")
SNAPSHOT = Snapshot(9.0, 104.0, rate_now_hz=104.0, calibrated=True)


class Led(Session):
    """Hands intents on to a guide that a test leads."""

    guide = None

    def act(self, key, value=""):
        super().act(key, value)
        if self.guide is not None:
            self.guide.act(key, value)


@pytest.fixture
def opened(qtbot, qapp):
    """Window on a hand-filled session that streams, with the Calibrate page open."""
    theme.prepare(qapp)
    session, clock = Led(), Clock()
    window = MainWindow(session, "dark")
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
    window.presenter.stop()
    window.presenter._clock = clock
    window.connect_to(SIMULATED)
    tell(window, session, SNAPSHOT, STREAMING)
    session.asked.clear()
    qtbot.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert window.pages.currentWidget() is window.calibrate
    return window, session


def tell(window, session, *items):
    session.mailbox.extend(items)
    window.presenter._clock.now_s += 1
    window.presenter.tick()


def show(window, shown, flow=Flow.COMFORT):
    if window.calibrate.open_flow is not flow:
        window.calibrate.open(flow)
    window.calibrate.set_guided(Guided(flow, shown))


def press(qtbot, window, key, modifiers=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(window.focusWidget() or window, key, modifiers)


def acts(session):
    return [one[1:] for one in session.asked if one[0] == "act"]


def unnamed(root):
    out = []
    for widget in root.findChildren(QWidget):
        if widget.focusPolicy() is Qt.FocusPolicy.NoFocus or not widget.isVisibleTo(root):
            continue
        told = QAccessible.queryAccessibleInterface(widget)
        if told is None or not told.text(QAccessible.Text.Name):
            out.append(widget)
    return out


# Pages


def test_pages_change_and_the_link_goes_on(opened, qtbot):
    window, session = opened
    for key, page in ((Qt.Key.Key_1, window.live), (Qt.Key.Key_2, window.picker), (Qt.Key.Key_3, window.calibrate)):
        qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
        assert window.pages.currentWidget() is page
        tell(window, session, STREAMING)
        assert window.pages.currentWidget() is page
    assert session.asked == []
    assert window.windowTitle().startswith("Simulated roller")


def test_without_a_roller_there_is_no_live_page(qtbot, qapp):
    theme.prepare(qapp)
    window = MainWindow(Session(), "light")
    qtbot.addWidget(window)
    window.show()
    window.presenter.stop()
    assert not window.rail.buttons[Place.LIVE].isEnabled()
    assert "Connect" in window.rail.buttons[Place.LIVE].toolTip()
    window.rail.buttons[Place.CALIBRATE].click()
    assert not any(button.isEnabled() for button in window.calibrate.overview.buttons.values())


def test_the_choice_of_rollers_says_that_one_is_connected(opened, qtbot):
    window, session = opened
    window.rail.buttons[Place.PAIR].click()
    assert "is connected" in window.picker.banner.words()
    assert window.picker.connect_button.text() == "Disconnect"
    window.picker.connect_button.click()
    assert session.asked == ["disconnect"]
    assert not window.rail.buttons[Place.LIVE].isEnabled()


def test_losing_the_roller_for_good_is_told_on_the_calibrate_page(opened):
    window, session = opened
    tell(window, session, LinkState(LinkPhase.LOST, "It is gone.", "Bring it closer.", over=True))
    assert window.pages.currentWidget() is window.calibrate
    assert "It is gone." in window.calibrate.banner.words()


def test_thresholds_are_not_looked_for_in_newtons_that_are_none(opened):
    window, session = opened
    tell(window, session, replace(SNAPSHOT, calibrated=False))
    assert not window.calibrate.overview.buttons[Flow.COMFORT].isEnabled()
    assert "force first" in window.calibrate.overview.buttons[Flow.COMFORT].toolTip()
    assert window.calibrate.overview.buttons[Flow.FORCE].isEnabled()


def test_uncalibrated_force_says_so_and_shows_the_way(opened, qtbot):
    window, session = opened
    window.rail.buttons[Place.LIVE].click()
    assert not window.live.gauge.calibrate_button.isVisible()
    tell(window, session, replace(SNAPSHOT, calibrated=False))
    qtbot.mouseClick(window.live.gauge.calibrate_button, Qt.MouseButton.LeftButton)
    assert window.pages.currentWidget() is window.calibrate


def test_switches_for_sound_and_motor(opened, qtbot):
    window, session = opened
    qtbot.keyClick(window, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    window.rail.motor.click()
    assert session.asked == [("mute", True), ("warn of limits", False)]
    tell(window, session, replace(SNAPSHOT, muted=False, haptics=True))
    assert window.rail.sound.isChecked()
    assert window.rail.motor.isChecked()


@pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")
def test_an_alert_explains_itself(opened, qtbot):
    window, session = opened
    cue = Cue(61.0, Comfort.TOO_HARD, Comfort.FIRM, 4.6, 4.3, 4.0, "is above the limit", "cheek", "left")
    calm = cue._replace(comfort=Comfort.FIRM, before=Comfort.TOO_HARD)
    estimates = PICTURES["estimates_of"](np.array([61.0]), np.array([4.3]))
    tell(window, session, estimates._replace(cues=(cue, calm)))
    window.rail.buttons[Place.LIVE].click()
    assert window.live.header.alerts_button.text() == "1 alert"
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    assert "4.30 N" in window.live.alerts.text.text()
    assert "left cheek" in window.live.alerts.list.item(0).text()
    assert unnamed(window.live.alerts) == []
    window.live.alerts.close()


# Choices


def test_each_choice_has_a_letter_of_its_own():
    assert lettered(["Skip", "Stop", "Pause & go", "S"]) == ["&Skip", "S&top", "&Pause && go", "S"]


def test_enter_does_the_primary_choice_and_escape_goes_back(opened, qtbot):
    window, session = opened
    show(window, PICTURES["Pressing"]().guide.shown)
    press(qtbot, window, Qt.Key.Key_Return)
    assert acts(session) == [("quick", "")]
    press(qtbot, window, Qt.Key.Key_Escape)
    assert session.asked[-1] == "leave guide"
    assert window.calibrate.stack.currentWidget() is window.calibrate.home


def test_space_marks_and_presses_no_other_button(opened, qtbot):
    window, session = opened
    shown = PICTURES["comfort"](PICTURES["choose_places"], PICTURES["react"], PICTURES["touch"])[-1].shown
    show(window, shown)
    assert not window.calibrate.flow.instructions.choices.buttons["mark"].isEnabled()
    press(qtbot, window, Qt.Key.Key_Space)
    window.calibrate.flow.instructions.choices.buttons["skip"].setFocus()
    press(qtbot, window, Qt.Key.Key_Space)
    assert acts(session) == []
    show(window, replace(shown, choices=(Choice("mark", "Mark", primary=True), *shown.choices[1:])))
    press(qtbot, window, Qt.Key.Key_Space)
    assert acts(session) == [("mark", "")]


def test_going_back_pauses_where_that_is_possible(opened, qtbot):
    window, session = opened
    show(window, PICTURES["comfort"](PICTURES["choose_places"], PICTURES["react"], PICTURES["touch"])[-1].shown)
    press(qtbot, window, Qt.Key.Key_Escape)
    assert acts(session) == [("pause", "")]
    assert session.asked[-1] == "leave guide"


def test_the_focus_never_slips_to_a_button_by_itself(opened):
    window, _ = opened
    shown = PICTURES["comfort"](PICTURES["choose_places"], PICTURES["react"], PICTURES["touch"])[-1].shown
    choices = window.calibrate.flow.instructions.choices
    show(window, replace(shown, choices=(Choice("mark", "Mark", primary=True), *shown.choices[1:])))
    assert choices.buttons["mark"].hasFocus()
    show(window, shown)
    assert not any(button.hasFocus() for button in choices.buttons.values())
    show(window, replace(shown, choices=(Choice("mark", "Mark", primary=True), *shown.choices[1:])))
    assert choices.buttons["mark"].hasFocus()


# Whole flows by keyboard


def test_a_whole_comfort_flow_by_keyboard(opened, qtbot):
    window, session = opened
    person = PICTURES["Pressing"]()
    session.guide = person.guide
    feel = person.feel

    def felt(force_n, presses_s=()):
        # The space bar instead of the button on the roller.
        for _ in presses_s:
            press(qtbot, window, Qt.Key.Key_Space)
        feel(force_n)
        window.calibrate.set_guided(Guided(Flow.COMFORT, person.guide.shown))

    person.feel = felt
    press(qtbot, window, Qt.Key.Key_C, Qt.KeyboardModifier.AltModifier)
    # Qt shows the button pressed for a moment before it acts.
    qtbot.waitUntil(lambda: session.asked == [("guide", Flow.COMFORT)])
    window.calibrate.set_guided(Guided(Flow.COMFORT, person.guide.shown))
    steps = [person.guide.shown.step]
    for key, result in ((Qt.Key.Key_Return, "exclude"), (Qt.Key.Key_Return, "reaction")):
        press(qtbot, window, key)
        window.calibrate.set_guided(Guided(Flow.COMFORT, person.guide.shown))
        steps.append(person.guide.shown.step)
        assert steps[-1] == result
    for _ in range(5):
        person.tap()
    assert person.guide.shown.step == "ramps"
    PICTURES["all_ramps"](person)
    assert person.guide.shown.step == "result"
    table = window.calibrate.flow.panels[Flow.COMFORT].table.table
    assert [table.item(i, 5).text() for i in range(table.rowCount())].count("measured") == 3
    press(qtbot, window, Qt.Key.Key_Return)
    assert acts(session)[-1] == ("save", "")
    window.calibrate.set_guided(Guided(Flow.COMFORT, person.guide.shown))
    session.asked.clear()
    press(qtbot, window, Qt.Key.Key_Return)
    # A new session takes the new bands.
    assert session.asked == ["leave guide", SIMULATED]
    assert window.pages.currentWidget() is window.calibrate


def test_a_whole_sensor_calibration_by_keyboard(opened, qtbot):
    window, session = opened
    person = PICTURES["Weighing"]()
    session.guide = person.guide

    def after():
        window.calibrate.set_guided(Guided(Flow.FORCE, person.guide.shown))

    press(qtbot, window, Qt.Key.Key_F, Qt.KeyboardModifier.AltModifier)
    # Qt shows the button pressed for a moment before it acts.
    qtbot.waitUntil(lambda: session.asked == [("guide", Flow.FORCE)])
    PICTURES["hold_still"](person)
    after()
    PICTURES["turn_about"](person)
    after()
    assert person.guide.shown.step == "weights"
    up = -np.array([0.0, 0.0, 1.0])
    for mass in ("0.1", "500 g", "9.81 N"):
        person.hold(up, 2.5)
        after()
        field = window.calibrate.flow.panels[Flow.FORCE].next.field
        if mass == "9.81 N":
            # Now there are enough to finish.
            assert window.calibrate.flow.instructions.choices.buttons["finish"].hasFocus()
            press(qtbot, window, Qt.Key.Key_N, Qt.KeyboardModifier.AltModifier)
        assert field.hasFocus()
        qtbot.keyClicks(field, mass)
        press(qtbot, window, Qt.Key.Key_Return)
        after()
        person.hold(up, 2.5, person.guide.shown.order.mass_kg)
        after()
        press(qtbot, window, Qt.Key.Key_Return)
        assert acts(session)[-1] == ("take", "")
        after()
    person.hold(up, 2.5)
    after()
    for key, step in (("finish", "result"), ("keep", "store")):
        press(qtbot, window, Qt.Key.Key_Return)
        after()
        assert acts(session)[-1] == (key, "")
        assert person.guide.shown.step == step
    assert "12.5 %" in window.calibrate.flow.panels[Flow.FORCE].comparison.accessibleDescription()
    press(qtbot, window, Qt.Key.Key_Return)
    after()
    assert person.guide.shown.over


def test_places_are_left_out_by_tick_and_by_click(opened, qtbot):
    window, session = opened
    person = PICTURES["Pressing"]()
    person.act("quick")
    show(window, person.guide.shown)
    panel = window.calibrate.flow.panels[Flow.COMFORT]
    panel.leave_ticks.ticks["cheek", "left"].click()
    panel.reason.options["recent procedure"].click()
    at = panel.leave_map._to_widget().map(QPointF(70, 221)).toPoint()
    qtbot.mouseClick(panel.leave_map, Qt.MouseButton.LeftButton, pos=at)
    assert acts(session) == [
        ("exclude", "left cheek: irritated skin"),
        ("exclude", "right cheek: recent procedure"),
    ]


def test_some_places_are_those_that_are_ticked(opened):
    window, session = opened
    show(window, PICTURES["Pressing"]().guide.shown)
    window.calibrate.flow.panels[Flow.COMFORT].pick_ticks.ticks["jaw", "right"].click()
    window.calibrate.flow.instructions.choices.buttons["places"].click()
    assert acts(session) == [("places", "right jaw")]


def test_head_hand_and_posture_are_chosen_at_the_start(opened):
    window, session = opened
    for guided in PICTURES["STEPS"]["start"]():
        show(window, guided.shown, Flow.START)
    rows = window.calibrate.flow.panels[Flow.START].rows
    rows["head"].options["1"].click()
    rows["hand"].options["left"].click()
    assert acts(session) == [("head", "1"), ("hand", "left")]


# Every step


@pytest.mark.parametrize("name", PICTURES["STEPS"])
def test_every_step_has_names_and_fits(opened, name):
    window, _ = opened
    window.resize(1000, 680)
    happened = PICTURES["STEPS"][name]()
    for guided in (happened[0], happened[-1]):
        show(window, guided.shown, guided.flow)
    window.grab()
    assert (window.width(), window.height()) == (1000, 680)
    page = window.calibrate
    assert unnamed(page) == []
    for kind in (QAbstractButton, QLabel):
        for part in page.findChildren(kind):
            if part.isVisible():
                spot = part.mapTo(page, part.rect().topLeft())
                assert page.rect().contains(part.rect().translated(spot)), part
                needed = (
                    part.heightForWidth(part.width()) if part.hasHeightForWidth() else part.minimumSizeHint().height()
                )
                assert part.height() >= min(needed, part.sizeHint().height()) - 1, part.text()
    instructions = page.flow.instructions
    parts = [
        w
        for w in instructions.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
        if w.isVisible()
    ]
    for i, part in enumerate(parts):
        assert not any(part.geometry().intersects(other.geometry()) for other in parts[i + 1 :]), part


def test_a_screen_reader_is_told_the_steps(opened):
    window, _ = opened
    said = []
    window.calibrate.flow._say = said.append
    happened = PICTURES["STEPS"]["comfort-problem"]()
    for guided in happened:
        show(window, guided.shown)
    titles = {guided.shown.title for guided in happened if guided.shown.step != "ramps"}
    assert all(any(text.startswith(title) for text in said) for title in titles)
    assert any("lifted before" in text for text in said)
    # Not with every packet.
    assert len(said) < 40


# Plots


@pytest.mark.parametrize(
    ("force_n", "target_n", "told"),
    [
        (1.0, 1.1, "Good pace"),
        (3.0, 1.5, "Slower"),
        (0.3, 1.5, "A little more"),
        (7.5, 7.4, "Stop here"),
    ],
)
def test_the_pace_is_told_in_words(force_n, target_n, told):
    assert pace_words(RampView(t_s=target_n, force_n=force_n, target_n=target_n))[0] == told


def test_a_residual_beyond_the_bound_is_named(qtbot):
    plot = ResidualPlot()
    qtbot.addWidget(plot)
    good = Reading(1.0, 0.05, name="0.1 kg")
    plot.set_readings((good, Reading(5.0, -0.31, name="0.5 kg")), (0.1, 0.02))
    assert "beyond the bound: 0.5 kg" in plot.accessibleDescription()
    plot.set_readings((good,), (0.1, 0.02))
    assert "all within" in plot.accessibleDescription()
