# SPDX-License-Identifier: MIT
"""The live page: face map, pressure, strips, compass, session, strokes, and what the link is doing."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, SignalInstance
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from roller_host.dashboard import theme, words
from roller_host.dashboard.alerts import AlertsDialog
from roller_host.dashboard.banner import Banner
from roller_host.dashboard.compass import Compass
from roller_host.dashboard.facemap import FaceMap
from roller_host.dashboard.force import ForceGauge
from roller_host.dashboard.messages import Action
from roller_host.dashboard.passkey import PasskeyRow
from roller_host.dashboard.strip import Heights, StripPlot
from roller_host.dashboard.strokes import StrokeList
from roller_host.dashboard.surface import HEADING_HEIGHT, Card, Pill, Title
from roller_host.dashboard.timer import SessionTimer
from roller_host.link.states import LinkPhase, LinkState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roller_host.dashboard.session import Snapshot
    from roller_host.signal.comfort import Band, Cue

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


WIDE_PX = 1000
"""From here on the header has room for the name of the recording."""


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


class Header(QWidget):
    """Name of the roller at the left; link, loss, battery, recording and buttons at the right."""

    asked_disconnect = Signal()
    asked_theme = Signal()
    asked_alerts = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self.title = Title("Roller", self)
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
        self.alerts_button = self._button("", "Why each alert was given (Ctrl+E)", self.asked_alerts)
        self.alerts_button.hide()
        layout.addWidget(self.alerts_button)
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

    def clear(self) -> None:
        """Show nothing of an earlier session."""
        for pill in (self.recording, self.battery, self.loss, self.link):
            pill.set_state("", "dim")

    def set_alerts(self, n_alerts: int) -> None:
        """Offer to explain the alerts, once there are some."""
        self.alerts_button.setText("1 alert" if n_alerts == 1 else f"{n_alerts} alerts")
        self.alerts_button.setVisible(n_alerts > 0)

    def set_link(self, state: LinkState, snapshot: Snapshot | None) -> None:
        """Show the phase, and the rate while samples are due."""
        text, tip = words.opening(state.words), f"Link: {state.phase.value}"
        # In the first moment nothing is measured yet, which is not the same as nothing coming.
        if state.phase is LinkPhase.STREAMING and snapshot and (snapshot.rate_now_hz or snapshot.elapsed_s > 2):
            text = f"{text} {snapshot.rate_now_hz:.0f} Hz"
            tip = f"{tip}; {snapshot.rate_hz:.1f} Hz by the roller's clock, the number shown is what arrives"
        self.link.set_state(text, words.PHASE_TONE[state.phase], tip)

    def set_snapshot(self, snapshot: Snapshot, state: LinkState) -> None:
        """Show loss with its likely cause, battery and recording."""
        self._set_loss(snapshot, state)
        if snapshot.battery_percent is None:
            self.battery.set_state("", "dim")
        else:
            low = snapshot.battery_percent < 20
            battery = f"Battery {snapshot.battery_percent:.0f} %"
            tip = f"{battery}, charge soon" if low else battery
            self.battery.set_state(battery, "bad" if low else "good", tip)
        if snapshot.recording_problem:
            self.recording.set_state("Recording stopped", "bad", snapshot.recording_problem)
            return
        name = PurePath(snapshot.recording).name
        tip = f"Recording to {snapshot.recording}" if name else ""
        text = f"Rec {name}" if self.width() >= WIDE_PX else "Rec"
        self.recording.set_state(text if name else "", "bad", tip, sign="good")

    def _set_loss(self, snapshot: Snapshot, state: LinkState) -> None:
        lost, late = snapshot.lost_packets, snapshot.backfilled_packets
        tip = f"Missing: {lost} packets; came late: {late}; gaps: {snapshot.gaps}"
        if snapshot.missing_packets:
            some = "1 packet" if snapshot.missing_packets == 1 else f"{snapshot.missing_packets} packets"
            self.loss.set_state(f"Fetching {some}", "low", tip)
        elif state.phase is not LinkPhase.STREAMING:
            self.loss.set_state("Loss not known", "dim", f"{tip}; more when the roller is back")
        elif state.reason and snapshot.loss_share:
            # The link says why: then packets get lost all the time, not in one break that is over.
            tip = f"{tip}. {words.sentence(state.reason)}"
            self.loss.set_state(f"Loss {snapshot.loss_share * 100:.0f} %", "low", tip)
        elif lost:
            self.loss.set_state(f"{lost} lost", "low", tip)
        else:
            self.loss.set_state("No loss", "good", tip)


class LivePage(QWidget):
    """Everything a person at the mirror looks at."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.header = Header(self)
        self.passkey = PasskeyRow(self)
        self.banner = Banner("Link", (Action.PAIR_AGAIN, Action.AGAIN, Action.OTHER), self, self.passkey)
        self.face = FaceMap(self)
        self.gauge = ForceGauge(self)
        self.force_strip = StripCard("Force, N", FORCE_HEIGHTS_N, self)
        self.speed_strip = StripCard("Speed, cm/s", SPEED_HEIGHTS_CM_S, self)
        self.compass = Compass(self)
        self.timer = SessionTimer(self)
        self.strokes = StrokeList(self)
        self.alerts = AlertsDialog(self)
        self.header.asked_alerts.connect(self.show_alerts)
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

    def add_cues(self, cues: Sequence[Cue], bands: Mapping[tuple[str, str], Band]) -> None:
        """Keep what was told, to be explained."""
        for cue in cues:
            self.alerts.add(cue, bands)
        if cues:
            self.header.set_alerts(len(self.alerts))

    def clear_cues(self) -> None:
        """Forget what was told."""
        self.alerts.clear()
        self.header.set_alerts(0)

    def show_alerts(self) -> None:
        """Open the alerts, if there are any."""
        if len(self.alerts):
            self.alerts.open()
            self.alerts.list.setFocus()


def _column(*cards: tuple[QWidget, int]) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(14)
    for card, share in cards:
        column.addWidget(card, share)
    return column
