# SPDX-License-Identifier: MIT
"""Start pose: a picture of it from the front and from the side, and what to choose before it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from roller_host.dashboard import faceshape, theme
from roller_host.dashboard.calibrate.options import OptionRow
from roller_host.dashboard.calibrate.panel import Panel
from roller_host.dashboard.facemap import paint_features, paint_person
from roller_host.dashboard.surface import CARD_PADDING, HEADING_HEIGHT, Card
from roller_host.guide.start import HANDS, POSTURES, Start

if TYPE_CHECKING:
    from roller_host.guide.start import Head, StartShown

_RECLINED_DEG = 42.0
_PROFILE = (
    (20, -108), (-40, -102), (-88, -58), (-96, 0), (-74, 50), (-58, 84), (-60, 150), (-118, 190), (-150, 260),
    (112, 260), (70, 196), (30, 168), (22, 124), (34, 112), (60, 108), (72, 92), (66, 78), (74, 68), (70, 58),
    (78, 50), (74, 36), (96, 24), (90, 8), (72, -26), (76, -46), (64, -86),
)  # fmt: skip
_BACK_HAIR = (
    (66, -84), (30, -114), (-42, -110), (-98, -62), (-104, 4), (-80, 56), (-62, 66), (-46, 30), (-30, 8),
    (-34, -30), (20, -66),
)  # fmt: skip


class PosePicture(Card):
    """A face in the mirror and a head from the side, each with the roller as it is to be held."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Start pose", parent)
        self._start, self._still, self._share, self._recline_deg = Start(), False, 0.0, math.nan
        self.setMinimumSize(420, 280)

    def set_pose(self, start: Start, *, still: bool, share: float, recline_deg: float) -> None:
        """Take what is chosen, whether the roller is still, how much of the pose is held, and the lean of it."""
        # NaN differs from itself, which would repaint for nothing.
        shown = start, still, round(share, 2), None if math.isnan(recline_deg) else round(recline_deg)
        if shown != (self._start, self._still, self._share, self._recline_deg):
            self._start, self._still, self._share, self._recline_deg = shown
            self.describe(self.words())
            self.update()

    def words(self) -> str:
        """What is seen of the roller."""
        if self._share >= 1.0:
            return "Held"
        return "Held still" if self._share else "Still, but not in the pose" if self._still else "Moving"

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint both views side by side and how long the pose has been held."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            area = self.content()
            middle = area.left() + area.width() * 0.5
            self._paint_front(p, QRectF(area.left(), area.top(), middle - area.left() - 8, area.height() - 26))
            self._paint_side(p, QRectF(middle + 8, area.top(), area.right() - middle - 8, area.height() - 26))
            p.setFont(theme.font(theme.SMALL))
            p.setPen(self.look.tone("dim"))
            foot = QRectF(area.left(), area.bottom() - 18, area.width() / 2, 18)
            centre = Qt.AlignmentFlag.AlignCenter
            p.drawText(foot, centre, f"in the mirror, {self._start.hand} hand")
            p.drawText(foot.translated(area.width() / 2, 0), centre, f"from the side, {self._start.posture}")

    def _tone(self) -> str:
        return "good" if self._share else "accent"

    def _paint_front(self, p: QPainter, room: QRectF) -> None:
        frame = QRectF(-182, -22, 364, 470)
        p.save()
        p.setClipRect(room)
        scale = min(room.width() / frame.width(), room.height() / frame.height())
        p.translate(room.center() - frame.center() * scale)
        p.scale(scale, scale)
        paint_person(p, self.look)
        paint_features(p, self.look)
        side = -1 if self._start.hand == "left" else 1
        self._paint_hand(p, side)
        self._paint_roller(p, QPointF(0, 214))
        self._paint_ring(p, QPointF(0, 214))
        p.restore()

    def _paint_hand(self, p: QPainter, side: int) -> None:
        """A fist around the handle, its arm from the side of the hand."""
        arm = QPen(theme.mixed(self.look.tone("skin"), self.look.tone("shade"), 0.8), 44)
        arm.setCapStyle(Qt.PenCapStyle.RoundCap)
        p.setPen(arm)
        path = QPainterPath(QPointF(0, 372))
        path.quadTo(QPointF(side * 60, 400), QPointF(side * 150, 470))
        p.setBrush(Qt.BrushStyle.NoBrush)
        p.drawPath(path)

    def _paint_roller(self, p: QPainter, at: QPointF) -> None:
        """From the front: the axle level, the handle straight down, the hand's fingers across it."""
        look, tone = self.look, self.look.tone(self._tone())
        p.setPen(QPen(look.tone("card"), 3))
        p.setBrush(theme.mixed(look.tone("ink"), look.tone("dim"), 0.5))
        p.drawRoundedRect(QRectF(at.x() - 11, at.y() + 8, 22, 196), 11, 11)
        p.setBrush(tone)
        p.drawRoundedRect(QRectF(at.x() - 52, at.y() - 24, 104, 48), 22, 22)
        p.setPen(QPen(theme.faded(look.tone("card"), 0.6), 2.5))
        for x in (-26, 0, 26):
            p.drawLine(QPointF(at.x() + x, at.y() - 16), QPointF(at.x() + x, at.y() + 16))
        p.setPen(QPen(look.tone("shade"), 2))
        p.setBrush(theme.mixed(look.tone("skin"), look.tone("shade"), 0.5))
        for i in range(4):
            p.drawRoundedRect(QRectF(at.x() - 24, at.y() + 118 + i * 17, 48, 17), 8, 8)

    def _paint_ring(self, p: QPainter, at: QPointF) -> None:
        """How long the pose has been held, around the roller."""
        if not self._share:
            return
        p.setBrush(Qt.BrushStyle.NoBrush)
        box = QRectF(at.x() - 76, at.y() - 76, 152, 152)
        for share, alpha in ((1.0, 0.25), (self._share, 1.0)):
            pen = QPen(theme.faded(self.look.tone("good"), alpha), 8)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            p.setPen(pen)
            p.drawArc(box, 90 * 16, -round(share * 360 * 16))

    def _paint_side(self, p: QPainter, room: QRectF) -> None:
        frame = QRectF(-170, -130, 400, 420)
        look = self.look
        p.save()
        p.setClipRect(room)
        scale = min(room.width() / frame.width(), room.height() / frame.height())
        p.translate(room.center() - frame.center() * scale)
        p.scale(scale, scale)
        if self._start.posture == "reclining":
            p.translate(0, 60)
            p.rotate(-_RECLINED_DEG)
            p.translate(-10, -30)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(look.tone("skin"))
        p.drawPath(faceshape.smooth(_PROFILE, closed=True, tension=0.45))
        p.setBrush(look.tone("hair"))
        p.drawPath(faceshape.smooth(_BACK_HAIR, closed=True, tension=0.45))
        p.setBrush(look.tone("shade"))
        p.drawEllipse(QRectF(-30, 2, 24, 40))
        p.setPen(QPen(look.tone("feature"), 2.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        p.setBrush(Qt.BrushStyle.NoBrush)
        p.drawPath(faceshape.smooth(((52, -12), (60, -8), (68, -10)), closed=False))
        p.drawPath(faceshape.smooth(((50, -36), (60, -42), (72, -40)), closed=False))
        p.setPen(QPen(look.tone("dim"), 2, Qt.PenStyle.DotLine))
        p.drawLine(QPointF(104, 18), QPointF(150, 18))
        p.setPen(QPen(look.tone("card"), 3))
        p.setBrush(theme.mixed(look.tone("ink"), look.tone("dim"), 0.5))
        p.drawRoundedRect(QRectF(164, 24, 18, 150), 9, 9)
        p.setBrush(look.tone(self._tone()))
        p.drawEllipse(QPointF(173, 18), 25, 25)
        p.restore()


class StartPanel(Panel):
    """The picture, and below it which head, which hand, sitting or reclining."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture = PosePicture()
        self.rows = {
            key: OptionRow(words, lambda value, key=key: self.acted.emit(key, value))
            for key, words in (("head", "Roller head"), ("hand", "Held in"), ("posture", "Posture"))
        }
        self.rows["hand"].set_options([(hand, f"{hand.capitalize()} hand") for hand in HANDS])
        self.rows["posture"].set_options([(posture, posture.capitalize()) for posture in POSTURES])
        options = Card("How you roll")
        grid = QGridLayout(options)
        grid.setContentsMargins(CARD_PADDING, HEADING_HEIGHT, CARD_PADDING, CARD_PADDING)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        for i, row in enumerate(self.rows.values()):
            name = QLabel(row.accessibleName())
            name.setProperty("role", "dim")
            grid.addWidget(name, i, 0)
            grid.addWidget(row, i, 1)
        page = QWidget()
        page.setObjectName("plain")
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(14)
        layout.addWidget(self.picture, 1)
        layout.addWidget(options)
        self.addWidget(page)

    def set_shown(self, shown: StartShown) -> None:
        """Take what the flow shows now."""
        self.rows["head"].set_options([(str(head.number), _head_words(head)) for head in shown.heads])
        for key, row in self.rows.items():
            row.choose(str(getattr(shown.start, key)))
            row.setEnabled(not shown.over)
        self.picture.set_pose(
            shown.start, still=shown.still, share=shown.progress or 0.0, recline_deg=shown.recline_deg
        )


def _head_words(head: Head) -> str:
    return f"{head.number + 1}: {head.radius_mm * 2:.0f} mm, {head.mass_g:.0f} g"
