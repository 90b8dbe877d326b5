# SPDX-License-Identifier: MIT
"""Stroke compass: which way the roller goes, as the person sees it in the mirror, with the way that is advised."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QPaintEvent, QPen

from roller_host.dashboard import theme, words
from roller_host.dashboard.surface import Card

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

_N_TRAIL = 6


class Compass(Card):
    """Direction of the stroke; up is up on the face, the picture's left is the person's own left."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Stroke direction", parent)
        self._direction_deg = math.nan
        self._side = ""
        self._moving = False
        self._trail: deque[float] = deque(maxlen=_N_TRAIL)
        self.setMinimumSize(200, 170)
        self.describe("no stroke yet")

    def set_direction(self, direction_deg: float, side: str, *, moving: bool) -> None:
        """Take the direction.

        Parameters
        ----------
        direction_deg : float
            Angle from face-up, positive toward the person's left, degrees; NaN keeps the last arrow, faded.
        side : str
            Side of the face, ``""`` when not known: then no direction is advised.
        moving : bool
            Whether the roller rolls on the skin now.
        """
        known = not math.isnan(direction_deg)
        if known and moving and not abs(direction_deg - self._direction_deg) < 1.0:
            self._direction_deg = direction_deg
            self.update()
        if (side, moving and known) != (self._side, self._moving):
            self._side, self._moving = side, moving and known
            self.update()
        self.describe(self.words() or "no stroke yet")

    def add_stroke(self, direction_deg: float) -> None:
        """Leave a fading mark of a finished stroke."""
        if not math.isnan(direction_deg):
            self._trail.append(direction_deg)
            self.update()

    def clear(self) -> None:
        """Forget arrow and marks."""
        self._direction_deg = math.nan
        self._moving = False
        self._trail.clear()
        self.describe("no stroke yet")
        self.update()

    def words(self) -> str:
        """Direction in words: ``"Up and out"``, ``"Down: advised against"``."""
        heading = words.heading(self._direction_deg, self._side).capitalize()
        return heading if words.advised(self._direction_deg, self._side) else f"{heading}: advised against"

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint card, dial, target, marks, arrow and words."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            area = self.content().adjusted(0, -6, 0, 8)
            radius = min(area.width() / 2 - 34, (area.height() - 34) / 2 - 16)
            centre = QPointF(area.center().x(), area.top() + radius + 18)
            self._paint_dial(p, centre, radius)
            for age, direction_deg in enumerate(reversed(self._trail)):
                self._paint_mark(p, centre, radius, direction_deg, 0.6 * (1 - age / _N_TRAIL))
            if not math.isnan(self._direction_deg):
                self._paint_arrow(p, centre, radius)
            self._paint_words(p, QRectF(area.left(), area.bottom() - 26, area.width(), 26))

    def _paint_dial(self, p: QPainter, centre: QPointF, radius: float) -> None:
        ring = QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius)
        p.setBrush(theme.faded(self.look.tone("raised"), 0.6))
        p.setPen(QPen(self.look.tone("line"), 1.5))
        p.drawEllipse(ring)
        p.setPen(Qt.PenStyle.NoPen)
        if self._side:
            p.setBrush(theme.faded(self.look.tone("good"), 0.20))
            p.drawPie(ring, 90 * 16, (90 if self._side == "left" else -90) * 16)
            p.setPen(QPen(self.look.tone("good"), 3.0, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
            p.setBrush(Qt.BrushStyle.NoBrush)
            p.drawArc(ring, 90 * 16, (90 if self._side == "left" else -90) * 16)
        p.setFont(theme.font(theme.SMALL))
        p.setPen(self.look.tone("dim"))
        left, right = {"left": ("out", "in"), "right": ("in", "out")}.get(self._side, ("L", "R"))
        for word, x, y in (("up", 0, -1), ("down", 0, 1), (left, -1, 0), (right, 1, 0)):
            at = centre + QPointF(x * (radius + 17), y * (radius + 11))
            p.drawText(QRectF(at.x() - 24, at.y() - 10, 48, 20), Qt.AlignmentFlag.AlignCenter, word)

    def _paint_mark(self, p: QPainter, centre: QPointF, radius: float, direction_deg: float, alpha: float) -> None:
        tone = self.look.tone("good" if words.advised(direction_deg, self._side) else "low")
        p.save()
        p.translate(centre)
        p.rotate(-direction_deg)
        p.setPen(QPen(theme.faded(tone, alpha), 2.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        p.drawLine(QPointF(0, -radius * 0.30), QPointF(0, -radius * 0.92))
        p.restore()

    def _paint_arrow(self, p: QPainter, centre: QPointF, radius: float) -> None:
        tone = self.look.tone("good" if words.advised(self._direction_deg, self._side) else "low")
        p.save()
        p.setOpacity(1.0 if self._moving else 0.4)
        p.translate(centre)
        p.rotate(-self._direction_deg)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(tone)
        p.drawPath(arrow(radius * 0.84))
        p.restore()

    def _paint_words(self, p: QPainter, box: QRectF) -> None:
        if math.isnan(self._direction_deg):
            text, tone = "Roll to see the direction", "dim"
        else:
            text, tone = self.words(), "good" if words.advised(self._direction_deg, self._side) else "low"
            if words.advised(self._direction_deg, self._side):
                text = f"{text}  {abs(self._direction_deg):.0f}°"
        face = theme.font(theme.TITLE - 1, strong=True)
        if QFontMetricsF(face).horizontalAdvance(text) > box.width():
            face, box = theme.font(13, strong=True), box.adjusted(-10, -4, 10, 6)
        p.setFont(face)
        p.setPen(self.look.tone(tone))
        p.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, text)


def arrow(length: float) -> QPainterPath:
    """A slender arrow that points up, centred on the origin, ``length`` from the middle to the tip."""
    head, half, shaft = length * 0.52, length * 0.30, length * 0.075
    path = QPainterPath(QPointF(0, -length))
    path.lineTo(half, -length + head)
    path.quadTo(shaft, -length + head * 0.80, shaft, -length + head * 0.86)
    path.lineTo(shaft * 0.7, length * 0.78)
    path.quadTo(0, length * 0.86, -shaft * 0.7, length * 0.78)
    path.lineTo(-shaft, -length + head * 0.86)
    path.quadTo(-shaft, -length + head * 0.80, -half, -length + head)
    path.closeSubpath()
    return path
