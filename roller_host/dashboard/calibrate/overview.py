# SPDX-License-Identifier: MIT
"""What can be calibrated, and how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from roller_host.dashboard import faceshape, theme
from roller_host.dashboard.facemap import paint_features, paint_person
from roller_host.dashboard.session import Flow, Standing
from roller_host.dashboard.surface import CARD_PADDING, Card, Choice, Painted, Pill

if TYPE_CHECKING:
    from collections.abc import Sequence


class _About(NamedTuple):
    title: str
    text: str
    button: str
    time: str


_ABOUT = {
    Flow.START: _About(
        "Before you roll",
        "Which head, which hand, sitting or reclining, and the start pose that ties the roller to your face.",
        "&Start",
        "10 s",
    ),
    Flow.FORCE: _About(
        "The roller",
        "Newtons instead of raw counts: hold it still, turn it about, then hang known weights on it.",
        "Calibrate the &force",
        "about 5 min",
    ),
    Flow.COMFORT: _About(
        "You",
        "Where is it pleasantly firm, where as firm as you would like? Three slow presses for each place.",
        "Find my &comfort",
        "about 10 min",
    ),
}


class Sketch(Painted):
    """A small picture of a flow."""

    def __init__(self, flow: Flow, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self._flow = flow
        self.setMinimumHeight(110)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint it in the middle, as large as there is room."""
        del event
        with self.painter() as p:
            frame = QRectF(-110, -110, 220, 220)
            scale = min(self.width() / frame.width(), self.height() / frame.height(), 1.25)
            p.translate(self.rect().toRectF().center())
            p.scale(scale, scale)
            p.setPen(Qt.PenStyle.NoPen)
            p.setBrush(theme.mixed(self.look.tone("card"), self.look.tone("accent"), 0.10))
            p.drawEllipse(QPointF(0, 0), 106, 106)
            self._paint_flow(p)

    def _paint_flow(self, p: QPainter) -> None:
        match self._flow:
            case Flow.START:
                self._paint_pose(p)
            case Flow.FORCE | Flow.SCALE:
                self._paint_weight(p)
            case Flow.COMFORT:
                self._paint_places(p)

    def _paint_pose(self, p: QPainter) -> None:
        p.save()
        self._paint_head(p)
        paint_features(p, self.look)
        p.restore()
        paint_roller(p, self.look, QPointF(0, 8), 0.62)

    def _paint_head(self, p: QPainter) -> None:
        """A head that the round frame cuts off; what is painted next lies on it."""
        clip = QPainterPath()
        clip.addEllipse(QPointF(0, 0), 106, 106)
        p.setClipPath(clip)
        p.translate(0, -100)
        p.scale(0.52, 0.52)
        paint_person(p, self.look)

    def _paint_weight(self, p: QPainter) -> None:
        """The roller upside down with a weight on it."""
        p.save()
        p.translate(0, -46)
        p.rotate(180)
        paint_roller(p, self.look, QPointF(0, 0), 0.62)
        p.restore()
        p.setPen(QPen(self.look.tone("dim"), 3))
        p.drawLine(QPointF(0, -30), QPointF(0, 12))
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(self.look.tone("firm"))
        body = QPainterPath()
        body.addPolygon([QPointF(-24, 22), QPointF(24, 22), QPointF(36, 74), QPointF(-36, 74)])
        p.drawPath(body)
        p.drawRoundedRect(QRectF(-10, 8, 20, 18), 6, 6)
        p.setFont(theme.font(17, bold=True))
        p.setPen(theme.legible_on(self.look.tone("firm")))
        p.drawText(QRectF(-36, 30, 72, 38), Qt.AlignmentFlag.AlignCenter, "kg")

    def _paint_places(self, p: QPainter) -> None:
        p.save()
        self._paint_head(p)
        p.setPen(Qt.PenStyle.NoPen)
        for place, path in faceshape.places().items():
            measured = place[0] in {"forehead", "cheek", "jaw"}
            p.setBrush(theme.faded(self.look.tone("good" if measured else "dim"), 0.7 if measured else 0.25))
            p.drawPath(path)
        paint_features(p, self.look)
        p.restore()


def paint_roller(p: QPainter, look: theme.Look, at: QPointF, scale: float) -> None:
    """Paint a roller from the front, its axle level and its handle down."""
    p.save()
    p.translate(at)
    p.scale(scale, scale)
    p.setPen(QPen(look.tone("card"), 3))
    p.setBrush(theme.mixed(look.tone("ink"), look.tone("dim"), 0.5))
    p.drawRoundedRect(QRectF(-10, 8, 20, 130), 10, 10)
    p.setBrush(look.tone("accent"))
    p.drawRoundedRect(QRectF(-52, -24, 104, 48), 22, 22)
    p.setPen(QPen(theme.faded(look.tone("card"), 0.6), 2.5))
    for x in (-26, 0, 26):
        p.drawLine(QPointF(x, -16), QPointF(x, 16))
    p.restore()


class FlowCard(Card):
    """One flow: what it is for, how it stands, and the way into it."""

    def __init__(self, flow: Flow, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        about = _ABOUT[flow]
        self.setAccessibleName(about.title)
        title = QLabel(about.title)
        title.setFont(theme.font(theme.LARGE, bold=True))
        text = QLabel(about.text)
        text.setWordWrap(True)
        text.setFont(theme.font(15))
        text.setAlignment(Qt.AlignmentFlag.AlignTop)
        text.setMinimumHeight(62)
        time = QLabel(about.time)
        time.setProperty("role", "dim")
        self.standing = Pill(f"{about.title}: state", max_width=400)
        room = self.standing.sizePolicy()
        room.setRetainSizeWhenHidden(True)
        self.standing.setSizePolicy(room)
        self.standing.hide()
        self.button = QPushButton(about.button)
        self.button.setMinimumHeight(42)
        self.button.setAccessibleDescription(about.text)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(CARD_PADDING, CARD_PADDING, CARD_PADDING, CARD_PADDING)
        layout.setSpacing(10)
        layout.addWidget(Sketch(flow), 1)
        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(time)
        layout.addLayout(head)
        layout.addWidget(text)
        layout.addStretch(0)
        layout.addWidget(self.standing)
        layout.addWidget(self.button)
        self.layout_below = QVBoxLayout()
        layout.addLayout(self.layout_below)


class Overview(QWidget):
    """The flows side by side."""

    asked = Signal(object)
    """The `Flow` to begin."""
    asked_feel = Signal()
    """Ask how the session felt."""
    named = Signal(str)
    """Whose comfort it is about."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self.cards = {flow: FlowCard(flow) for flow in _ABOUT}
        self.scale_button = QPushButton("On a kitchen &scale instead")
        self.scale_button.setAccessibleDescription("Press the roller on a scale, where no weights are at hand")
        self.scale_button.setMinimumHeight(36)
        self.cards[Flow.FORCE].layout_below.addWidget(self.scale_button)
        self.person = Choice()
        self.person.setEditable(True)
        self.person.setInsertPolicy(Choice.InsertPolicy.NoInsert)
        self.person.setAccessibleName("Whose comfort")
        self.person.setMinimumHeight(36)
        self.person.textActivated.connect(self.named)
        typed = QLineEdit()
        typed.setStyleSheet("background: transparent; border: none;")
        self.person.setLineEdit(typed)
        typed.editingFinished.connect(lambda: self.named.emit(self.person.currentText()))
        self.feel_button = QPushButton("How &did that feel?")
        self.feel_button.setAccessibleDescription("Say of places that were rolled: too light, right, too firm")
        self.feel_button.setMinimumHeight(36)
        self.feel_button.clicked.connect(self.asked_feel)
        for widget in (self.feel_button, self.person):
            self.cards[Flow.COMFORT].layout_below.addWidget(widget)
        self.buttons = {flow: card.button for flow, card in self.cards.items()} | {Flow.SCALE: self.scale_button}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(14)
        for card in self.cards.values():
            layout.addWidget(card, 1)
        for flow, button in self.buttons.items():
            button.clicked.connect(lambda _=False, flow=flow: self.asked.emit(flow))

    def set_people(self, names: Sequence[str], chosen: str) -> None:
        """Offer those who have bands; a new name can be typed."""
        with QSignalBlocker(self.person):
            self.person.clear()
            self.person.addItems(sorted({*names, chosen}))
            self.person.setCurrentText(chosen)

    def set_standing(self, flow: Flow, standing: Standing) -> None:
        """Say how a calibration stands."""
        self.cards[flow].standing.set_state(standing.words, standing.tone, standing.tip)

    def set_open(self, *, streaming: bool, calibrated: bool) -> None:
        """Say what can be begun: nothing without a roller, and no thresholds in newtons that are none."""
        for flow, button in self.buttons.items():
            possible = streaming and (calibrated or flow is not Flow.COMFORT)
            button.setEnabled(possible)
            why = (
                "Connect to a roller first" if not streaming else "Calibrate the force first: thresholds are in newtons"
            )
            button.setToolTip("" if possible else why)
        self._advise(Flow.FORCE if not calibrated else Flow.COMFORT)

    def focus_advised(self) -> None:
        """Put the focus on the button that stands out."""
        for button in self.buttons.values():
            if button.property("role") == "primary" and button.isEnabled():
                button.setFocus()

    def _advise(self, advised: Flow) -> None:
        """Let one button stand out."""
        for flow, card in self.cards.items():
            role = "primary" if flow is advised else ""
            if card.button.property("role") != role:
                card.button.setProperty("role", role)
                card.button.style().unpolish(card.button)
                card.button.style().polish(card.button)
