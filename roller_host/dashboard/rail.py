# SPDX-License-Identifier: MIT
"""The way from page to page, at the left edge of the window."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeySequence, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF, QShortcut
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QSizePolicy, QVBoxLayout, QWidget

from roller_host.dashboard import theme

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Sign = Callable[[QPainter, QColor], None]
    """Paints a sign around the origin."""

WIDTH: Final = 80


class Place(enum.Enum):
    """A page of the window; the value is its name."""

    LIVE = "Live"
    PAIR = "Pair"
    CALIBRATE = "Calibrate"


_ABOUT: Final = {
    Place.LIVE: "Pressure and strokes now",
    Place.PAIR: "Choose a roller",
    Place.CALIBRATE: "Make force right for the roller, and thresholds right for you",
}


def _paint_speaker(p: QPainter, tone: QColor) -> None:
    p.setPen(_pen(tone))
    p.setBrush(theme.faded(tone, 0.35))
    p.drawPolygon(QPolygonF([QPointF(*at) for at in ((-11, -4), (-6, -4), (0, -9), (0, 9), (-6, 4), (-11, 4))]))
    p.setBrush(Qt.BrushStyle.NoBrush)
    for radius in (6, 11):
        p.drawArc(QRectF(-radius + 1, -radius, 2 * radius, 2 * radius), -45 * 16, 90 * 16)


def _paint_waves(p: QPainter, tone: QColor) -> None:
    p.setPen(_pen(tone))
    p.setBrush(theme.faded(tone, 0.35))
    p.drawRoundedRect(QRectF(-4, -9, 8, 18), 3, 3)
    p.setBrush(Qt.BrushStyle.NoBrush)
    for side in (-1, 1):
        for x, height in ((8, 5), (12, 8)):
            p.drawLine(QPointF(side * x, -height), QPointF(side * x, height))


def _pen(tone: QColor) -> QPen:
    return QPen(tone, 2.2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)


def _paint_trace(p: QPainter, tone: QColor) -> None:
    p.setPen(_pen(tone))
    points = ((-12, 3), (-7, 3), (-4, -8), (1, 9), (4, -2), (7, 3), (12, 3))
    p.drawPolyline(QPolygonF([QPointF(*at) for at in points]))


def _paint_roller(p: QPainter, tone: QColor) -> None:
    p.setPen(_pen(tone))
    p.rotate(35)
    p.setBrush(theme.faded(tone, 0.35))
    p.drawRoundedRect(QRectF(-9, -11, 18, 8), 4, 4)
    p.drawLine(0, -3, 0, 11)


def _paint_gauge(p: QPainter, tone: QColor) -> None:
    p.setPen(_pen(tone))
    arc = QPainterPath()
    box = QRectF(-11, -9, 22, 22)
    arc.arcMoveTo(box, -20)
    arc.arcTo(box, -20, 220)
    p.drawPath(arc)
    p.drawLine(QPointF(0, 3), QPointF(5.5, -4))
    p.setBrush(tone)
    p.drawEllipse(QPointF(0, 3), 1.6, 1.6)


_SIGNS: Final[dict[Place, Sign]] = {
    Place.LIVE: _paint_trace,
    Place.PAIR: _paint_roller,
    Place.CALIBRATE: _paint_gauge,
}


class RailSign(QAbstractButton):
    """A sign with its name below."""

    def __init__(self, name: str, sign: Sign, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sign = sign
        self.look = theme.DARK
        self.setText(name)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Room for a sign and a word."""
        return QSize(WIDTH - 12, 66)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint ground, sign and name."""
        del event
        look = self.look
        with QPainter(self) as p:
            p.setRenderHint(QPainter.RenderHint.Antialiasing)
            box = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
            chosen = self.is_open()
            tone = look.tone("accent" if chosen else "ink" if self.isEnabled() else "dim")
            p.setPen(QPen(look.tone("accent"), 2.0) if self.hasFocus() else Qt.PenStyle.NoPen)
            ground = theme.mixed(look.tone("card"), look.tone("accent"), 0.16)
            hover = self.underMouse() and self.isEnabled()
            p.setBrush(ground if chosen else look.tone("raised") if hover else Qt.BrushStyle.NoBrush)
            p.drawRoundedRect(box, 12, 12)
            p.save()
            p.translate(box.center().x(), box.top() + 23)
            self._sign(p, tone)
            self.paint_over(p)
            p.restore()
            p.setFont(theme.font(theme.SMALL, strong=chosen))
            p.setPen(tone)
            foot = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom
            p.drawText(box.adjusted(0, 0, 0, -7), foot, self.text())

    def is_open(self) -> bool:
        """It stands on a tinted ground."""
        return False

    def paint_over(self, p: QPainter) -> None:
        """Paint something over the sign, its middle at the origin."""


class RailButton(RailSign):
    """The way to a page; that of the open one stands on a tinted ground."""

    def __init__(self, place: Place, keys: str, parent: QWidget | None = None) -> None:
        super().__init__(place.value, _SIGNS[place], parent)
        self.about = f"{_ABOUT[place]} ({keys})"
        self.setToolTip(self.about)

    def is_open(self) -> bool:
        """Its page is open."""
        return self.isChecked()


class RailSwitch(RailSign):
    """A sign that is struck through while something is off."""

    def __init__(self, name: str, sign: Sign, about: str, parent: QWidget | None = None) -> None:
        super().__init__(name, sign, parent)
        self.setChecked(True)
        self.setToolTip(about)

    def paint_over(self, p: QPainter) -> None:
        """Strike it through."""
        if not self.isChecked():
            for tone, width in (("page", 7.0), ("bad", 2.6)):
                p.setPen(QPen(self.look.tone(tone), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
                p.drawLine(QPointF(-11, 11), QPointF(11, -11))


class Rail(QWidget):
    """One button for each `Place`; Ctrl+1 to Ctrl+3 choose from anywhere in the window. Below: sound and motor."""

    asked = Signal(object)
    """The `Place` that the person wants to see."""
    asked_mute = Signal(bool)
    """Play nothing but the stop signal, or everything again."""
    asked_limits = Signal(bool)
    """Let the roller buzz at limits, or at the ceiling alone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.setAccessibleName("Pages")
        # A plain widget paints the ground of its style sheet only when told to.
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 12, 6, 12)
        layout.setSpacing(6)
        group = QButtonGroup(self)
        self.buttons: dict[Place, RailButton] = {}
        for i, place in enumerate(Place, start=1):
            keys = f"Ctrl+{i}"
            button = self.buttons[place] = RailButton(place, keys, self)
            group.addButton(button)
            layout.addWidget(button)
            button.clicked.connect(lambda _=False, place=place: self.asked.emit(place))
            QShortcut(QKeySequence(keys), self).activated.connect(button.click)
        layout.addStretch(1)
        self.sound = RailSwitch("Sound", _paint_speaker, "Play cues, or mute all but the stop (Ctrl+M)", self)
        self.sound.clicked.connect(lambda on: self.asked_mute.emit(not on))
        self.motor = RailSwitch(
            "Buzz", _paint_waves, "Let the roller buzz at limits; at the ceiling it always does", self
        )
        self.motor.clicked.connect(self.asked_limits)
        for switch in (self.sound, self.motor):
            layout.addWidget(switch)
        QShortcut(QKeySequence("Ctrl+M"), self).activated.connect(self.sound.click)

    def set_outputs(self, *, muted: bool, limits: bool, problems: Sequence[str]) -> None:
        """Show what is on, and what of it does not work."""
        self.sound.setChecked(not muted)
        self.motor.setChecked(limits)
        for switch in (self.sound, self.motor):
            switch.setAccessibleDescription(" ".join(problems))

    def set_place(self, place: Place) -> None:
        """Show which page is open."""
        self.buttons[place].setChecked(True)

    def set_enabled(self, place: Place, enabled: bool, why_not: str) -> None:
        """Say whether a page can be opened, and why not."""
        button = self.buttons[place]
        button.setEnabled(enabled)
        button.setToolTip(button.about if enabled else why_not)

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme."""
        for button in (*self.buttons.values(), self.sound, self.motor):
            button.look = look
            button.update()
