# SPDX-License-Identifier: MIT
"""The Calibrate page: an overview, and the flow that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from roller_host.dashboard import theme
from roller_host.dashboard.banner import Banner
from roller_host.dashboard.calibrate.comfort import ComfortPanel
from roller_host.dashboard.calibrate.flow import FlowView
from roller_host.dashboard.calibrate.force import ForcePanel
from roller_host.dashboard.calibrate.overview import Overview
from roller_host.dashboard.calibrate.pose import StartPanel
from roller_host.dashboard.messages import Action
from roller_host.dashboard.session import Flow

if TYPE_CHECKING:
    from roller_host.dashboard.session import Guided


_LAST = "store", "result"
"""Steps that end with something new in use."""


class CalibratePage(QWidget):
    """Everything that is measured once, so that force and thresholds can be trusted."""

    asked_flow = Signal(object)
    """The `Flow` to begin."""
    acted = Signal(str, str)
    """Key and value for the open flow."""
    asked_leave = Signal()
    """Let the open flow rest."""
    asked_renew = Signal()
    """Begin a new session: what was found holds from the next one on."""
    asked_theme = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.title = QLabel("Calibrate")
        self.title.setFont(theme.font(theme.LARGE + 2, bold=True))
        self.theme_button = QPushButton("Light")
        self.theme_button.setToolTip("Change between light and dark (Ctrl+T)")
        self.theme_button.clicked.connect(self.asked_theme)
        self.banner = Banner("Link", (Action.PAIR_AGAIN, Action.AGAIN, Action.OTHER), self)
        self.overview = Overview()
        self.overview.asked.connect(self.open)
        force = ForcePanel()
        self.flow = FlowView(
            {Flow.START: StartPanel(), Flow.FORCE: force, Flow.SCALE: force, Flow.COMFORT: ComfortPanel()}
        )
        self.flow.acted.connect(self.acted)
        self.flow.left.connect(self._leave)
        home = QWidget()
        home.setObjectName("plain")
        inner = QVBoxLayout(home)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(12)
        top = QHBoxLayout()
        top.addWidget(self.title, 1)
        top.addWidget(self.theme_button)
        inner.addLayout(top)
        inner.addWidget(self.overview, 1)
        self.stack = QStackedWidget()
        self.home = home
        for page in (home, self.flow):
            self.stack.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 12, 18, 18)
        layout.setSpacing(12)
        layout.addWidget(self.banner)
        layout.addWidget(self.stack, 1)
        self._open: Flow | None = None
        self._renews = False
        self.set_link(streaming=False, calibrated=False)

    @property
    def open_flow(self) -> Flow | None:
        """The flow that is shown."""
        return self._open

    def set_link(self, *, streaming: bool, calibrated: bool) -> None:
        """Take whether samples arrive, and whether force comes from a calibration of this roller."""
        self.overview.set_open(streaming=streaming, calibrated=calibrated)

    def open(self, flow: Flow) -> None:
        """Begin a flow, or go on with it."""
        self._open = flow
        self.asked_flow.emit(flow)

    def set_guided(self, guided: Guided) -> None:
        """Take what a flow shows now; values of a flow that was left are too late."""
        if guided.flow is not self._open:
            return
        if self.stack.currentWidget() is not self.flow:
            self.stack.setCurrentWidget(self.flow)
        self.flow.set_shown(guided.flow, guided.shown)
        self._renews = guided.shown.over and guided.shown.step in _LAST

    def leave(self) -> None:
        """Let the open flow rest and go back to the overview."""
        if self._open is not None:
            self.flow.leave()

    def _leave(self) -> None:
        self.show_overview()
        self.asked_leave.emit()
        if self._renews:
            self._renews = False
            self.asked_renew.emit()

    def take_focus(self) -> None:
        """Put the focus where the keyboard is wanted first."""
        if self._open is not None:
            self.flow.instructions.choices.focus_first()
        else:
            self.overview.focus_advised()

    def show_overview(self) -> None:
        """Show what can be calibrated."""
        came_from, self._open = self._open, None
        self.stack.setCurrentWidget(self.home)
        if came_from is not None:
            self.overview.buttons[came_from].setFocus()
