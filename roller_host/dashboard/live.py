# SPDX-License-Identifier: MIT
"""The live page: face map, pressure, strips, compass, session, strokes, and what the link is doing."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtGui import QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from roller_host.dashboard import theme, words
from roller_host.dashboard.compass import Compass
from roller_host.dashboard.facemap import FaceMap
from roller_host.dashboard.force import ForceGauge
from roller_host.dashboard.strip import Heights, StripPlot
from roller_host.dashboard.strokes import StrokeList
from roller_host.dashboard.surface import HEADING_HEIGHT, Card, Painted, Pill
from roller_host.dashboard.timer import SessionTimer
from roller_host.link.states import LinkPhase, LinkState

if TYPE_CHECKING:
    from roller_host.dashboard.session import Snapshot

_TROUBLE = frozenset(LinkPhase) - {LinkPhase.STREAMING, LinkPhase.SUBSCRIBED, LinkPhase.OFF}
FORCE_HEIGHTS_N = (
    (1.5, 0.5),
    (2.0, 0.5),
    (3.0, 1.0),
    (4.0, 1.0),
    (5.0, 1.0),
    (6.0, 2.0),
    (8.0, 2.0),
    (10.0, 2.0),
    (15.0, 5.0),
    (25.0, 5.0),
)
SPEED_HEIGHTS_CM_S = ((10.0, 5.0), (20.0, 10.0), (40.0, 20.0), (80.0, 40.0), (160.0, 80.0))


class StripCard(Card):
    """A strip under a heading."""

    def __init__(self, heading: str, heights: Heights, parent: QWidget | None = None) -> None:
        super().__init__(heading, parent)
        self.plot = StripPlot(heights, self)
        self.plot.setAccessibleName(heading)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, HEADING_HEIGHT - 2, 16, 8)
        layout.addWidget(self.plot)

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme."""
        super().set_look(look)
        self.plot.set_look(look)


class Banner(Painted):
    """What is wrong with the link and what to do; takes no room when all is well."""

    chosen_other = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Link", parent)
        self._tone = "low"
        self._text = QLabel(self)
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        other = QPushButton("Choose another roller", self)
        other.clicked.connect(self.chosen_other)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(46, 8, 10, 8)
        layout.addWidget(self._text)
        layout.addWidget(other)
        self.hide()

    def set_state(self, state: LinkState) -> None:
        """Show trouble of the link; hide when there is none."""
        self.setVisible(state.phase in _TROUBLE)
        self._tone = words.PHASE_TONE[state.phase]
        parts = [f"<b>{words.opening(state.phase.value)}.</b>", state.reason, state.action]
        self._text.setText(" ".join(part for part in parts if part))
        self.describe(" ".join(part for part in (state.phase.value, state.reason, state.action) if part))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint a tinted surface with a warning sign."""
        del event
        with self.painter() as p:
            tone = self.look.tone(self._tone)
            box = self.rect().toRectF().adjusted(0.5, 0.5, -0.5, -0.5)
            p.setPen(QPen(theme.faded(tone, 0.6), 1.0))
            p.setBrush(theme.mixed(self.look.tone("card"), tone, 0.10))
            p.drawRoundedRect(box, 12, 12)
            p.setPen(Qt.PenStyle.NoPen)
            p.setBrush(tone)
            middle = box.center()
            middle.setX(24)
            p.drawEllipse(middle, 10, 10)
            p.setFont(theme.font(theme.BODY, bold=True))
            p.setPen(self.look.tone("card"))
            sign = self.rect().adjusted(14, 0, 0, 0)
            sign.setWidth(20)
            p.drawText(sign, Qt.AlignmentFlag.AlignCenter, "!")


class Header(QWidget):
    """Name of the roller at the left; link, loss, battery, recording and buttons at the right."""

    asked_disconnect = Signal()
    asked_theme = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self.title = QLabel("Roller", self)
        self.title.setFont(theme.font(theme.LARGE + 2, bold=True))
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.link = Pill("Link")
        self.loss = Pill("Packet loss")
        self.battery = Pill("Battery")
        self.recording = Pill("Recording", max_width=210)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.title, 1)
        for pill in (self.recording, self.battery, self.loss, self.link):
            pill.setVisible(False)
            layout.addWidget(pill)
        self.theme_button = self._button("Light", "Change between light and dark (Ctrl+T)", self.asked_theme)
        self.disconnect_button = self._button(
            "Disconnect", "Leave this roller and choose another (Ctrl+D)", self.asked_disconnect
        )
        layout.addWidget(self.theme_button)
        layout.addWidget(self.disconnect_button)

    def _button(self, text: str, tip: str, intent: SignalInstance) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.clicked.connect(intent)
        return button

    def set_link(self, state: LinkState, rate_hz: float) -> None:
        """Show phase and measured rate; the rate only while samples flow."""
        text = words.opening(state.phase.value)
        if state.phase is LinkPhase.STREAMING and rate_hz > 0:
            text = f"{text} {rate_hz:.1f} Hz"
        self.link.set_state(text, words.PHASE_TONE[state.phase], f"Link: {state.phase.value}")
        if state.device:
            self.title.setText(state.device)

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Show loss, battery and recording."""
        lost, gaps = snapshot.lost_packets, snapshot.gaps
        text = f"{lost} lost" if lost else "No loss"
        tip = f"{lost} packets lost in {gaps} gaps" if lost else "No packet was lost"
        self.loss.set_state(text, "low" if lost else "good", tip)
        if snapshot.battery_percent is None:
            self.battery.set_state("", "dim")
        else:
            low = snapshot.battery_percent < 20
            battery = f"Battery {snapshot.battery_percent:.0f} %"
            self.battery.set_state(battery, "bad" if low else "good", f"{battery}, charge soon" if low else battery)
        if snapshot.recording_problem:
            self.recording.set_state("Recording stopped", "low", snapshot.recording_problem)
            return
        name = PurePath(snapshot.recording).name
        self.recording.set_state(
            f"Rec {name}" if name else "", "bad", f"Recording to {snapshot.recording}" if name else ""
        )


class LivePage(QWidget):
    """Everything a person at the mirror looks at."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.header = Header(self)
        self.banner = Banner(self)
        self.face = FaceMap(self)
        self.gauge = ForceGauge(self)
        self.force_strip = StripCard("Force, N", FORCE_HEIGHTS_N, self)
        self.speed_strip = StripCard("Speed, cm/s", SPEED_HEIGHTS_CM_S, self)
        self.compass = Compass(self)
        self.timer = SessionTimer(self)
        self.strokes = StrokeList(self)
        self.force_strip.set_note("last 10 s, shaded: your comfort band")
        self.speed_strip.set_note("last 10 s")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(18, 12, 18, 18)
        outer.setSpacing(12)
        outer.addWidget(self.header)
        outer.addWidget(self.banner)
        columns = QHBoxLayout()
        columns.setSpacing(14)
        columns.addWidget(self.face, 36)
        columns.addLayout(_column((self.gauge, 26), (self.force_strip, 42), (self.speed_strip, 28)), 42)
        columns.addLayout(_column((self.compass, 40), (self.timer, 20), (self.strokes, 40)), 24)
        outer.addLayout(columns, 1)


def _column(*cards: tuple[QWidget, int]) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(14)
    for card, share in cards:
        column.addWidget(card, share)
    return column
