# SPDX-License-Identifier: MIT
"""Session card: time against the 10 to 15 minutes of a session, strokes, time on the skin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QPaintEvent

from roller_host.dashboard import theme, words
from roller_host.dashboard.surface import CARD_PADDING, HEADING_HEIGHT, Card, draw_text

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

ENOUGH_S, MOST_S = 600.0, 900.0
"""A home session lasts 10 to 15 minutes."""


class SessionTimer(Card):
    """How long, how many strokes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Session", parent)
        self._elapsed_s = 0
        self._strokes = 0
        self._contact_s = 0
        self.set_note("10 to 15 min")
        self.setMinimumSize(200, 138)
        self.setMaximumHeight(190)

    def set_session(self, elapsed_s: float, strokes: int, contact_s: float) -> None:
        """Take elapsed time, strokes so far and time on the skin; times in s."""
        new = (int(elapsed_s), strokes, int(contact_s))
        if new != (self._elapsed_s, self._strokes, self._contact_s):
            self._elapsed_s, self._strokes, self._contact_s = new
            self.describe(self._minutes())
            self.update()

    def _minutes(self) -> str:
        if self._elapsed_s >= MOST_S:
            return "more than 15 minutes: time to rest"
        return f"{self._elapsed_s // 60} minutes of 10 to 15"

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint card, clock, progress and counts."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            spare = max(self.height() - 138, 0)
            baseline = HEADING_HEIGHT + 34 + spare * 0.25
            tone = self.look.tone("low" if self._elapsed_s >= MOST_S else "ink")
            draw_text(p, CARD_PADDING - 1, baseline, words.clock(self._elapsed_s), theme.font(40, bold=True), tone)
            if self._elapsed_s >= ENOUGH_S:
                text = "time to rest" if self._elapsed_s >= MOST_S else "a full session"
                p.setFont(theme.font(theme.BODY, strong=True))
                p.setPen(self.look.tone("low" if self._elapsed_s >= MOST_S else "good"))
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom
                p.drawText(QRectF(self.width() / 2, baseline - 24, self.width() / 2 - CARD_PADDING, 24), right, text)
            self._paint_progress(p, baseline + 14)
            self._paint_counts(p, self.height() - CARD_PADDING - 1)

    def _paint_progress(self, p: QPainter, top: float) -> None:
        bar = QRectF(CARD_PADDING, top, self.width() - 2 * CARD_PADDING, 7)
        shape = QPainterPath()
        shape.addRoundedRect(bar, 3.5, 3.5)
        p.save()
        p.setClipPath(shape)
        p.fillRect(bar, self.look.tone("raised"))
        done = min(self._elapsed_s / MOST_S, 1.0)
        tone = "low" if self._elapsed_s >= MOST_S else "good" if self._elapsed_s >= ENOUGH_S else "accent"
        p.fillRect(QRectF(bar.left(), top, bar.width() * done, 7), self.look.tone(tone))
        p.fillRect(QRectF(bar.left() + bar.width() * ENOUGH_S / MOST_S - 1, top, 2, 7), self.look.tone("card"))
        p.restore()

    def _paint_counts(self, p: QPainter, baseline: float) -> None:
        ink, dim = self.look.tone("ink"), self.look.tone("dim")
        number, word = theme.font(theme.TITLE - 1, strong=True), theme.font(13)
        x = draw_text(p, CARD_PADDING, baseline, str(self._strokes), number, ink)
        draw_text(p, x + 5, baseline, "stroke" if self._strokes == 1 else "strokes", word, dim)
        contact, on_skin = words.clock(self._contact_s), "on skin"
        width = QFontMetricsF(number).horizontalAdvance(contact) + 5 + QFontMetricsF(word).horizontalAdvance(on_skin)
        x = draw_text(p, self.width() - CARD_PADDING - width, baseline, contact, number, ink)
        draw_text(p, x + 5, baseline, on_skin, word, dim)
