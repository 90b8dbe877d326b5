# SPDX-License-Identifier: MIT
"""The window: choose a roller, roll, calibrate; the link goes on whatever page is open."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QIcon, QKeySequence, QPainter, QPixmap, QShortcut, QShowEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMainWindow, QStackedWidget, QWidget

from roller_host.dashboard import faceshape, theme
from roller_host.dashboard.calibrate.page import CalibratePage
from roller_host.dashboard.facemap import paint_features, paint_person
from roller_host.dashboard.feel import FeelPage
from roller_host.dashboard.live import LivePage
from roller_host.dashboard.messages import Action
from roller_host.dashboard.picker import PickerPage
from roller_host.dashboard.presenter import Presenter
from roller_host.dashboard.rail import Place, Rail
from roller_host.dashboard.surface import Painted
from roller_host.link.states import LinkPhase, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from roller_host.dashboard.messages import Message
    from roller_host.dashboard.session import Interrupted, LiveSession, Question, RollerChoice, Snapshot

TITLE = "Roller"


class MainWindow(QMainWindow):
    """Window over one session.

    Parameters
    ----------
    session : LiveSession
        Feed and target of intents.
    mode : str
        ``system``, ``light`` or ``dark``.
    """

    def __init__(self, session: LiveSession, mode: str = "system") -> None:
        super().__init__()
        self._session = session
        self._mode = mode
        self._choice: RollerChoice | None = None
        """The roller of the link that was asked for last."""
        self._connect_again: Callable[[], None] = self.search
        self._linked = False
        """The roller has streamed since it was connected to."""
        self._renewing = False
        """A session is about to end because another one begins."""
        self._question: Question | None = None
        """Waits for the person to leave the live page."""
        self._asked_from = Place.PAIR
        self.look = theme.look_for(mode)
        self.setWindowTitle(TITLE)
        self.setWindowIcon(_icon())
        self.setMinimumSize(930, 600)
        self.resize(1360, 800)
        self.picker = PickerPage()
        self.live = LivePage()
        self.calibrate = CalibratePage()
        self.feel = FeelPage()
        self._places: dict[Place, QWidget] = {
            Place.LIVE: self.live,
            Place.PAIR: self.picker,
            Place.CALIBRATE: self.calibrate,
        }
        self.rail = Rail()
        self.pages = QStackedWidget()
        for page in (self.picker, self.live, self.calibrate, self.feel):
            self.pages.addWidget(page)
        self.setCentralWidget(_beside(self.rail, self.pages))
        self.presenter = Presenter(session, self.live)
        self._connect_intents()
        self.set_mode(mode)
        self.picker.set_choices(session.choices())
        self.picker.set_offer(session.interrupted())
        self._show(Place.PAIR)
        self._set_linked(False)

    def _connect_intents(self) -> None:
        picker, session, calibrate = self.picker, self._session, self.calibrate
        self.presenter.link_changed.connect(self._show_link)
        self.presenter.waiting.connect(picker.show_waiting)
        self.presenter.rollers_found.connect(picker.set_rollers)
        self.presenter.guided.connect(calibrate.set_guided)
        self.presenter.asked.connect(self._take_question)
        self.presenter.told.connect(self._show_told)
        for intent, act in (
            (picker.asked_scan, self.search),
            (picker.asked_connect, self.connect_to),
            (picker.asked_stop, self._stop),
            (picker.asked_pair_again, self._pair_again),
            (picker.asked_go_on, self._go_on),
            (picker.asked_leave_it, self._leave_it),
            (picker.choice_actions.asked_identify, session.identify),
            (picker.choice_actions.asked_rename, session.rename),
            (picker.choice_actions.asked_forget, session.forget),
            (picker.choice_actions.asked_start, session.connect_at_start),
            (picker.asked_theme, self.toggle_theme),
            (self.live.header.asked_theme, self.toggle_theme),
            (self.live.header.asked_disconnect, self.leave),
            (self.live.banner.pressed, self._answer_banner),
            (picker.passkey.typed, session.type_passkey),
            (picker.passkey.cancelled, self._cancel),
            (self.live.passkey.typed, session.type_passkey),
            (self.live.passkey.cancelled, self._cancel),
            (calibrate.banner.pressed, self._answer_banner),
            (calibrate.asked_flow, session.start_guide),
            (calibrate.acted, session.act),
            (calibrate.asked_leave, session.leave_guide),
            (calibrate.asked_leave, self._show_standing),
            (calibrate.asked_renew, self._renew),
            (calibrate.asked_theme, self.toggle_theme),
            (calibrate.overview.named, self._take_person),
            (calibrate.overview.asked_feel, session.ask_feel),
            (self.feel.answered, session.feel),
            (self.feel.left, self._leave_feel),
            (self.rail.asked, self._show),
            (self.rail.asked_mute, session.mute),
            (self.rail.asked_limits, session.warn_of_limits),
            (self.live.gauge.asked_calibrate, partial(self._show, Place.CALIBRATE)),
        ):
            intent.connect(act)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow_system)
        for keys, act in (
            ("Ctrl+T", self.toggle_theme),
            ("Ctrl+D", self.leave),
            ("Esc", self._cancel),
            ("F5", self.search),
            ("Ctrl+E", self.live.show_alerts),
            ("Ctrl+Q", self.close),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(act)

    def begin(self, key: str | None = None) -> None:
        """Connect to the roller named, else to the one that is wanted at every start, else search.

        While a session that was cut off is on offer, only the person decides.

        Parameters
        ----------
        key : str, optional
            Key of a `RollerChoice`; unknown keys are left to the person.
        """
        choices = self.picker.choices()
        named = [choice for choice in choices if choice.key == key]
        usual = [] if self.picker.has_offer() else [choice for choice in choices if choice.at_start]
        if named or usual:
            self.connect_to((named or usual)[0])
        else:
            self.search()

    def search(self) -> None:
        """Look for rollers, while there is a choice to make."""
        if self.pages.currentWidget() is self.picker and not self.picker.busy:
            self._session.scan()

    def connect_to(self, choice: RollerChoice) -> None:
        """Connect to a roller; the live page opens when it streams."""
        self._choice = choice
        self._begin_link(choice.title, partial(self._session.connect, choice))

    def _go_on(self, offer: Interrupted) -> None:
        self._choice = next((choice for choice in self.picker.choices() if choice.title == offer.roller), None)
        self._begin_link(offer.roller, partial(self._session.go_on, offer))

    def _leave_it(self, offer: Interrupted) -> None:
        self.picker.set_offer(None)
        self._session.leave_it(offer)

    def _pair_again(self) -> None:
        if self._choice is not None:
            self._begin_link(self._choice.title, partial(self._session.pair_again, self._choice))

    def _begin_link(self, title: str, connect: Callable[[], None]) -> None:
        self._connect_again = partial(self._begin_link, title, connect)
        self._set_linked(False)
        self._question = None
        self.presenter.clear()
        for page in (self.picker, self.live):
            page.passkey.clear()
        self.live.header.title.setText(title)
        self.picker.set_state(LinkState(LinkPhase.CONNECTING, f"looking for {title}", device=title))
        connect()

    def _renew(self) -> None:
        """Leave the roller and connect to it again, in a new recording that begins with what was found."""
        if self._choice is not None:
            self._renewing = True
            self.connect_to(self._choice)

    def _take_person(self, name: str) -> None:
        if name.strip() and name != self._session.person():
            self._session.set_person(name)
            self._show_standing()

    def _show_standing(self) -> None:
        """Show how the calibrations stand, on the page that offers them."""
        overview = self.calibrate.overview
        overview.set_people(self._session.people(), self._session.person())
        for flow in overview.cards:
            overview.set_standing(flow, self._session.standing(flow))

    def _answer_banner(self, action: Action) -> None:
        acts = {Action.AGAIN: self._connect_again, Action.PAIR_AGAIN: self._pair_again, Action.OTHER: self.leave}
        acts[action]()

    def _cancel(self) -> None:
        if self.pages.currentWidget() is self.calibrate:
            self.calibrate.leave()
        elif self.pages.currentWidget() is self.feel:
            self._leave_feel()
        elif self.live.passkey.isVisible():
            self.leave()
        elif self.picker.busy and not self._linked:
            self._stop()
        else:
            self.picker.choice_actions.cancel()

    def _stop(self) -> None:
        """Do not connect after all, or leave the roller that is connected."""
        if self._linked:
            self.leave()
        elif self.pages.currentWidget() is self.picker and self.picker.busy:
            self._session.disconnect()
            self.picker.set_state(LinkState(LinkPhase.OFF))

    def leave(self) -> None:
        """Leave the roller and go back to the choice."""
        if self._linked or self.pages.currentWidget() is self.live:
            self._session.disconnect()
            self.picker.set_state(LinkState(LinkPhase.OFF))
            self._unlink()

    def toggle_theme(self) -> None:
        """Change between light and dark; from now on the system is not followed."""
        self.set_mode("dark" if self.look.name == "light" else "light")

    def set_mode(self, mode: str) -> None:
        """Take ``system``, ``light`` or ``dark``."""
        self._mode = mode
        self.look = theme.look_for(mode)
        # Of the application: widgets under a style sheet do not inherit that of the window.
        QApplication.setPalette(theme.palette(self.look))
        self.setStyleSheet(theme.style_sheet(self.look))
        for widget in self.findChildren(QWidget):
            if isinstance(widget, Painted | PickerPage):
                widget.set_look(self.look)
        self.rail.set_look(self.look)
        other = "Dark" if self.look.name == "light" else "Light"
        for page in (self.picker, self.live.header, self.calibrate):
            page.theme_button.setText(other)

    def grab_to(self, path: Path | str) -> bool:
        """Save a picture of the window; False when the file cannot be written."""
        return self.grab().save(str(path))

    def _follow_system(self) -> None:
        if self._mode == "system":
            self.set_mode("system")

    def _show_link(self, state: LinkState) -> None:
        if self._renewing and state.phase is LinkPhase.OFF:
            self._renewing = False
            return
        self.picker.set_state(state)
        if state.phase is LinkPhase.STREAMING:
            # Its packets are gone from the roller once another session has begun.
            self.picker.set_offer(None)
            if not self._linked:
                self._set_linked(True)
                if self.pages.currentWidget() is self.picker:
                    self._show(Place.LIVE)
                self._show_standing()
        elif state.phase is LinkPhase.OFF:
            self._unlink()

    def _show_told(self, message: Message | None, snapshot: Snapshot | None) -> None:
        self.calibrate.banner.set_message(message)
        self.calibrate.set_link(streaming=self._linked, calibrated=bool(snapshot and snapshot.calibrated))
        if snapshot is not None:
            self.rail.set_outputs(muted=snapshot.muted, limits=snapshot.haptics, problems=snapshot.cue_problems)

    def _show(self, place: Place) -> None:
        """Open a page; the link does not notice."""
        page = self._places[place]
        self.rail.set_place(place)
        if self.pages.currentWidget() is not page:
            self.pages.setCurrentWidget(page)
            page.setFocus()
        if page is self.picker:
            self.picker.list.setFocus()
        elif page is self.calibrate:
            self._show_standing()
            self.calibrate.take_focus()

    def _take_question(self, question: Question) -> None:
        self._question = question
        self._ask()

    def _ask(self) -> None:
        """Ask how it felt, unless something else is looked at: a lost link, one that is being made, an open flow."""
        page, question = self.pages.currentWidget(), self._question
        linking = page is self.picker and self.picker.busy
        if question is None or linking or page is self.live or self.calibrate.open_flow is not None:
            return
        self._question = None
        if page is not self.feel:
            self._asked_from = Place.PAIR if page is self.picker else Place.CALIBRATE
            self.feel.set_question(question)
            self.pages.setCurrentWidget(self.feel)
            self.feel.take_focus()

    def _leave_feel(self) -> None:
        if self.pages.currentWidget() is self.feel:
            self._show(self._asked_from)

    def _set_linked(self, linked: bool) -> None:
        self._linked = linked
        self.rail.set_enabled(Place.LIVE, linked, "Connect to a roller first")
        self.setWindowTitle(f"{self.live.header.title.text()} - {TITLE}" if linked else TITLE)

    def _unlink(self) -> None:
        """Go back to the choice of rollers."""
        self._set_linked(False)
        self.calibrate.show_overview()
        page = self.pages.currentWidget()
        if page is self.feel:
            self._asked_from = Place.PAIR
        elif page is not self.picker:
            self._show(Place.PAIR)
        if page is not self.picker:
            self.picker.set_choices(self._session.choices())
            if self._choice is None or not self._choice.simulated:
                # What was heard while the roller was in use here is no longer true.
                self.search()
        self._ask()

    def showEvent(self, event: QShowEvent) -> None:
        """Begin to show what arrives."""
        super().showEvent(event)
        self.presenter.start()

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the session with the window."""
        self.presenter.stop()
        self._session.close()
        super().closeEvent(event)


def _beside(*widgets: QWidget) -> QWidget:
    """Widgets side by side with nothing between them."""
    whole = QWidget()
    whole.setObjectName("page")
    layout = QHBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    for widget in widgets:
        layout.addWidget(widget)
    return whole


def _icon() -> QIcon:
    """Head of the face map."""
    picture = QPixmap(256, 256)
    picture.fill(Qt.GlobalColor.transparent)
    with QPainter(picture) as p:
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.translate(128, 14)
        p.scale(0.62, 0.62)
        p.translate(0, -faceshape.FRAME.top())
        paint_person(p, theme.LIGHT)
        paint_features(p, theme.LIGHT)
    return QIcon(picture)
