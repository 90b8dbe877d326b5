# SPDX-License-Identifier: MIT
"""What every part of the page is made of: painted widgets that know the colour scheme, cards, pills."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QWidget,
)

from roller_host.dashboard import theme

CARD_PADDING = 18
HEADING_HEIGHT = 40
"""Room above the content of a card for its heading, px."""


class Painted(QWidget):
    """A widget that paints itself in the colours of ``look``."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.look = theme.DARK
        self.setAccessibleName(name)

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme."""
        self.look = look
        self.update()

    def describe(self, text: str) -> None:
        """Tell a screen reader the state; says nothing when it has not changed."""
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)

    def painter(self) -> QPainter:
        """Painter of this widget with smooth edges."""
        out = QPainter(self)
        out.setRenderHint(QPainter.RenderHint.Antialiasing)
        return out


class Card(Painted):
    """A rounded surface with a quiet heading and, at its right, a quiet note."""

    def __init__(self, heading: str, parent: QWidget | None = None) -> None:
        super().__init__(heading, parent)
        self._heading = heading
        self._note = ""

    def set_note(self, note: str) -> None:
        """Text at the right of the heading."""
        if note != self._note:
            self._note = note
            self.update(0, 0, self.width(), HEADING_HEIGHT)

    def content(self) -> QRectF:
        """Area inside the padding, below the heading."""
        return QRectF(self.rect()).adjusted(CARD_PADDING, HEADING_HEIGHT, -CARD_PADDING, -CARD_PADDING)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint surface and heading."""
        del event
        with self.painter() as p:
            self.paint_card(p)

    def paint_card(self, p: QPainter) -> None:
        """Paint surface, heading and note."""
        p.setPen(QPen(self.look.tone("line"), 1.0))
        p.setBrush(self.look.tone("card"))
        p.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), theme.CARD_RADIUS, theme.CARD_RADIUS)
        p.setFont(theme.font(13, strong=True))
        p.setPen(self.look.tone("dim"))
        area = QRectF(CARD_PADDING, 13, self.width() - 2 * CARD_PADDING, 18)
        p.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, self._heading)
        if self._note:
            p.setFont(theme.font(theme.SMALL))
            room = area.width() - QFontMetricsF(theme.font(13, strong=True)).horizontalAdvance(self._heading) - 12
            note = QFontMetricsF(p.font()).elidedText(self._note, Qt.TextElideMode.ElideRight, room)
            p.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, note)


class Pill(Painted):
    """A small capsule with a sign and a few words: a disc when all is well, a triangle or a square when it is not."""

    def __init__(self, name: str, max_width: int = 260, parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self._text = ""
        self._tone = "dim"
        self._sign = ""
        self._max_width = max_width
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def words(self) -> str:
        """What it says."""
        return self._text

    def set_state(self, text: str, tone: str, tip: str = "", sign: str = "") -> None:
        """Show words with the sign of a tone; hides itself when there are no words.

        Parameters
        ----------
        text, tone : str
            Words, and name of a colour of `theme.Look`.
        tip : str, optional
            More of it, for pointer and screen reader.
        sign : str, optional
            Tone whose sign is shown instead of that of ``tone``.
        """
        if (text, tone) != (self._text, self._tone):
            if len(text) != len(self._text):
                self.updateGeometry()
            self._text, self._tone, self._sign = text, tone, sign or tone
            self.setVisible(bool(text))
            self.update()
        if tip != self.toolTip():
            self.setToolTip(tip)
            self.describe(tip)

    def sizeHint(self) -> QSize:
        """As wide as the words, within the maximum."""
        width = QFontMetricsF(self._font()).horizontalAdvance(self._text) + 42
        return QSize(min(round(width), self._max_width), 30)

    def minimumSizeHint(self) -> QSize:
        """Narrow enough to give way in a small window."""
        return QSize(min(self.sizeHint().width(), 86), 30)

    def _font(self) -> QFont:
        return theme.font(13)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the capsule."""
        del event
        with self.painter() as p:
            box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
            p.setPen(QPen(self.look.tone("line"), 1.0))
            p.setBrush(self.look.tone("card"))
            p.drawRoundedRect(box, box.height() / 2, box.height() / 2)
            tone = self.look.tone(self._tone)
            centre = QPointF(box.left() + 16, box.center().y())
            p.setPen(Qt.PenStyle.NoPen)
            p.setBrush(theme.faded(tone, 0.25))
            p.drawEllipse(centre, 7.5, 7.5)
            p.setBrush(tone)
            _paint_shape(p, self._sign, centre)
            p.setFont(self._font())
            p.setPen(self.look.tone("ink"))
            room = box.adjusted(28, 0, -12, 0)
            text = QFontMetricsF(p.font()).elidedText(self._text, Qt.TextElideMode.ElideMiddle, room.width() + 1)
            p.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)


class Title(QLabel):
    """A large line that ends in dots where there is no room for all of it."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setFont(theme.font(theme.LARGE + 2, bold=True))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setMinimumWidth(100)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what fits."""
        del event
        with QPainter(self) as p:
            text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
            p.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)


class Choice(QComboBox):
    """A combo box that looks like the buttons beside it."""

    def sizeHint(self) -> QSize:
        """Room for the longest text and the mark."""
        return QSize(super().sizeHint().width() + 20, 32)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint surface, text and mark in the colours of the palette."""
        del event
        colours = self.palette()
        with QPainter(self) as p:
            p.setRenderHint(QPainter.RenderHint.Antialiasing)
            typed = self.lineEdit()
            focus = self.hasFocus() or (typed is not None and typed.hasFocus())
            p.setPen(QPen(colours.highlight() if focus else colours.mid(), 2.0 if focus else 1.0))
            p.setBrush(colours.button())
            p.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 9, 9)
            ink = colours.windowText().color() if self.isEnabled() else colours.placeholderText().color()
            p.setPen(QPen(ink, 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            if not self.isEditable():
                p.drawText(self.rect().adjusted(14, 0, -28, 0), Qt.AlignmentFlag.AlignVCenter, self.currentText())
            tip = QPointF(self.width() - 17, self.height() / 2 + 2)
            p.drawPolyline([tip + QPointF(-4, -4), tip, tip + QPointF(4, -4)])


class Tick(QCheckBox):
    """A check box whose box is seen in the dark as well."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint box, tick and words in the colours of the palette."""
        del event
        option = QStyleOptionButton()
        self.initStyleOption(option)
        words = self.style().subElementRect(QStyle.SubElement.SE_CheckBoxContents, option, self)
        colours = self.palette()
        with QPainter(self) as p:
            p.setRenderHint(QPainter.RenderHint.Antialiasing)
            box = QRectF(1, self.height() / 2 - 8, 16, 16)
            p.setPen(QPen(colours.highlight() if self.hasFocus() else colours.placeholderText(), 1.5))
            p.setBrush(colours.highlight() if self.isChecked() else colours.base())
            p.drawRoundedRect(box, 4, 4)
            if self.isChecked():
                p.setPen(QPen(colours.highlightedText(), 2.0))
                p.drawPolyline([box.topLeft() + QPointF(*at) for at in ((4, 8.5), (7, 11.5), (12, 5))])
            p.setPen(colours.windowText().color() if self.isEnabled() else colours.placeholderText().color())
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextShowMnemonic
            p.drawText(words.adjusted(2, 0, 2, 0), flags, self.text())


def plain() -> QWidget:
    """A widget without a surface of its own."""
    widget = QWidget()
    widget.setObjectName("plain")
    return widget


def side_by_side(*widgets: tuple[QWidget, int]) -> QWidget:
    """Widgets in a row without a surface, each with its share of the width."""
    row = plain()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(14)
    for widget, share in widgets:
        layout.addWidget(widget, share)
    return row


def draw_text(p: QPainter, x: float, baseline: float, text: str, face: QFont, colour: QColor) -> float:
    """Draw text from ``x`` on a baseline; give back where it ends."""
    p.setFont(face)
    p.setPen(colour)
    p.drawText(int(x), int(baseline), text)
    return x + QFontMetricsF(face).horizontalAdvance(text)


def paint_tone_sign(p: QPainter, look: theme.Look, tone: str, x: float, y: float) -> None:
    """Paint the round sign of a message around a point: "i" for what is merely told, "!" for trouble."""
    p.setPen(Qt.PenStyle.NoPen)
    p.setBrush(look.tone(tone))
    p.drawEllipse(QPointF(x, y), 10, 10)
    p.setFont(theme.font(theme.BODY, bold=True))
    p.setPen(look.tone("card"))
    text = "i" if tone in {"accent", "dim", "good"} else "!"
    p.drawText(QRectF(x - 10, y - 10, 20, 20), Qt.AlignmentFlag.AlignCenter, text)


def _paint_shape(p: QPainter, tone: str, centre: QPointF) -> None:
    """The small shape of a tone: it differs for whoever cannot tell the colours."""
    x, y = centre.x(), centre.y()
    if tone == "low":
        p.drawPolygon(QPolygonF([QPointF(x, y - 5), QPointF(x + 5, y + 3.5), QPointF(x - 5, y + 3.5)]))
    elif tone == "bad":
        p.drawRect(QRectF(x - 4, y - 4, 8, 8))
    else:
        p.drawEllipse(centre, 3.5, 3.5)
