# SPDX-License-Identifier: MIT
"""The last strokes, one line each: which way, where, how far, how fast, how hard."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen

from firmware_protocol.zones import place_name
from roller_host.dashboard import theme, words
from roller_host.dashboard.compass import arrow
from roller_host.dashboard.surface import Card

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from roller_host.signal.estimates import Stroke

_ROW_HEIGHT = 46.0
_N_KEPT = 12


class StrokeList(Card):
    """Newest stroke on top; as many as fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Last strokes", parent)
        self._strokes: deque[Stroke] = deque(maxlen=_N_KEPT)
        self.setMinimumSize(200, 96)
        self.describe("none yet")

    def add_stroke(self, stroke: Stroke) -> None:
        """Put a finished stroke on top."""
        self._strokes.appendleft(stroke)
        self.describe(sentence(stroke))
        self.update()

    def clear(self) -> None:
        """Forget all strokes."""
        self._strokes.clear()
        self.describe("none yet")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint card and rows."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            area = self.content().adjusted(0, -2, 0, CARD_BOTTOM)
            if not self._strokes:
                p.setFont(theme.font(theme.BODY))
                p.setPen(self.look.tone("dim"))
                p.drawText(
                    area, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, "Every stroke will be listed here."
                )
            n_rows = max(int(area.height() // _ROW_HEIGHT), 1)
            for i, stroke in enumerate(list(self._strokes)[:n_rows]):
                self._paint_row(
                    p,
                    QRectF(area.left(), area.top() + i * _ROW_HEIGHT, area.width(), _ROW_HEIGHT),
                    stroke,
                    first=i == 0,
                )

    def _paint_row(self, p: QPainter, row: QRectF, stroke: Stroke, *, first: bool) -> None:
        if not first:
            p.setPen(QPen(self.look.tone("line"), 1.0))
            p.drawLine(row.topLeft(), row.topRight())
        good = words.advised(stroke.direction_deg, stroke.side)
        tone = self.look.tone("dim" if math.isnan(stroke.direction_deg) else "good" if good else "low")
        p.save()
        p.translate(row.left() + 15, row.center().y())
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(theme.faded(tone, 0.16))
        p.drawEllipse(QRectF(-15, -15, 30, 30))
        p.setBrush(tone)
        if math.isnan(stroke.direction_deg):
            p.drawEllipse(QRectF(-3, -3, 6, 6))
        else:
            p.rotate(-stroke.direction_deg)
            p.drawPath(arrow(11))
        p.restore()
        text = row.adjusted(40, 5, 0, -5)
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        top, bottom = Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignBottom
        p.setPen(self.look.tone("ink"))
        p.setFont(theme.font(theme.BODY, strong=True))
        p.drawText(text, left | top, place_title(stroke))
        p.drawText(text, right | top, f"{stroke.force_n:.1f} N")
        p.setPen(self.look.tone("dim"))
        p.setFont(theme.font(theme.SMALL))
        way = f"{stroke.length_m * 100:.1f} cm at {stroke.speed_m_s * 100:.0f} cm/s"
        if math.isnan(stroke.length_m):
            way = "length not known"
        in_band = f"{stroke.in_band_ratio:.0%} in band"
        p.drawText(text, left | bottom, way)
        if QFontMetricsF(p.font()).horizontalAdvance(f"{way}  {in_band}") < text.width():
            p.drawText(text, right | bottom, in_band)


CARD_BOTTOM = 10
"""Rows may reach this far into the lower padding, px."""


def place_title(stroke: Stroke) -> str:
    """Where a stroke was, for a heading."""
    return place_name(stroke.zone, stroke.side).capitalize() or "Somewhere"


def sentence(stroke: Stroke) -> str:
    """A stroke for a screen reader."""
    way = words.heading(stroke.direction_deg, stroke.side) or "direction not known"
    advice = "" if words.advised(stroke.direction_deg, stroke.side) else ", advised against"
    length = f"{stroke.length_m * 100:.0f} centimetres"
    if math.isnan(stroke.length_m):
        length = "length not known"
    return f"{place_title(stroke)}, {way}{advice}, {length}, {stroke.force_n:.1f} newtons"
