# SPDX-License-Identifier: MIT
"""The window: choose a roller, then the live page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QIcon, QKeySequence, QPainter, QPixmap, QShortcut, QShowEvent
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from roller_host.dashboard import faceshape, theme
from roller_host.dashboard.facemap import paint_features, paint_person
from roller_host.dashboard.live import LivePage
from roller_host.dashboard.picker import PickerPage
from roller_host.dashboard.presenter import Presenter
from roller_host.dashboard.surface import Painted
from roller_host.link.states import LinkPhase, LinkState

if TYPE_CHECKING:
    from pathlib import Path

    from roller_host.dashboard.session import LiveSession, RollerChoice

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
        self.look = theme.look_for(mode)
        self.setWindowTitle(TITLE)
        self.setWindowIcon(_icon())
        self.setMinimumSize(1000, 680)
        self.resize(1360, 800)
        self.picker = PickerPage()
        self.live = LivePage()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.picker)
        self.pages.addWidget(self.live)
        self.setCentralWidget(self.pages)
        self.presenter = Presenter(session, self.live)
        self._connect_intents()
        self.set_mode(mode)
        self.picker.set_choices(session.choices())
        self.picker.list.setFocus()

    def _connect_intents(self) -> None:
        self.presenter.link_changed.connect(self._show_link)
        self.presenter.rollers_found.connect(self.picker.set_rollers)
        self.picker.asked_scan.connect(self.search)
        self.picker.asked_connect.connect(self.connect_to)
        self.live.header.asked_disconnect.connect(self.leave)
        self.live.banner.chosen_other.connect(self.leave)
        for page in (self.picker, self.live.header):
            page.asked_theme.connect(self.toggle_theme)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow_system)
        for keys, act in (
            ("Ctrl+T", self.toggle_theme),
            ("Ctrl+D", self.leave),
            ("F5", self.search),
            ("Ctrl+Q", self.close),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(act)

    def search(self) -> None:
        """Look for rollers, while there is a choice to make."""
        if self.pages.currentWidget() is self.picker:
            self._session.scan()

    def connect_to(self, choice: RollerChoice) -> None:
        """Connect to a roller; the live page opens when it streams."""
        self.presenter.clear()
        self.live.header.title.setText(choice.title)
        self.picker.set_state(LinkState(LinkPhase.CONNECTING, device=choice.title))
        self._session.connect(choice)

    def leave(self) -> None:
        """Leave the roller and go back to the choice."""
        if self.pages.currentWidget() is self.live:
            self._session.disconnect()
            self.picker.set_state(LinkState(LinkPhase.OFF))
            self._show_picker()

    def toggle_theme(self) -> None:
        """Change between light and dark; from now on the system is not followed."""
        self.set_mode("dark" if self.look.name == "light" else "light")

    def set_mode(self, mode: str) -> None:
        """Take ``system``, ``light`` or ``dark``."""
        self._mode = mode
        self.look = theme.look_for(mode)
        self.setPalette(theme.palette(self.look))
        self.setStyleSheet(theme.style_sheet(self.look))
        for widget in self.findChildren(QWidget):
            if isinstance(widget, Painted | PickerPage):
                widget.set_look(self.look)
        other = "Dark" if self.look.name == "light" else "Light"
        for page in (self.picker, self.live.header):
            page.theme_button.setText(other)

    def grab_to(self, path: Path | str) -> bool:
        """Save a picture of the window; False when the file cannot be written."""
        return self.grab().save(str(path))

    def _follow_system(self) -> None:
        if self._mode == "system":
            self.set_mode("system")

    def _show_link(self, state: LinkState) -> None:
        self.picker.set_state(state)
        if state.phase is LinkPhase.STREAMING:
            if self.pages.currentWidget() is not self.live:
                self.pages.setCurrentWidget(self.live)
                self.live.setFocus()
            self.setWindowTitle(f"{state.device} - {TITLE}" if state.device else TITLE)
        elif state.phase is LinkPhase.OFF:
            self._show_picker()

    def _show_picker(self) -> None:
        if self.pages.currentWidget() is not self.picker:
            self.pages.setCurrentWidget(self.picker)
            self.setWindowTitle(TITLE)
            self.picker.set_choices(self._session.choices())
            self.picker.list.setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        """Begin to show what arrives."""
        super().showEvent(event)
        self.presenter.start()

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the session with the window."""
        self.presenter.stop()
        self._session.close()
        super().closeEvent(event)


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
