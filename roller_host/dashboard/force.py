# SPDX-License-Identifier: MIT
"""Force gauge: the number with its uncertainty, the state in words, and where that is on the person's own scale."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QPushButton

from roller_host.cues.words import COMFORT, NOTHING
from roller_host.dashboard import theme
from roller_host.dashboard.surface import CARD_PADDING, HEADING_HEIGHT, Card, draw_text
from roller_host.signal.comfort import STARTING_BANDS, Band, Comfort

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

_STOPS = (0.0, 0.20, 0.52, 0.74, 0.93, 1.0)
"""Shares of the bar at 0, low, firm, limit, ceiling and the end."""
_PARTS = (("light", "low"), ("comfortable", "good"), ("firm", "firm"), ("too hard", "bad"), ("", "bad"))


def share_of(force_n: float, band: Band) -> float:
    """Where a force stands on the comfort bar, 0 to 1.

    Linear between the thresholds, which keep their places: the comfortable part looks the same on every
    zone, only the newtons under it change.
    """
    marks = (0.0, *band, band.ceiling_n * 1.15)
    for (low, high), (left, right) in zip(pairwise(marks), pairwise(_STOPS), strict=True):
        if force_n <= high:
            return left + (right - left) * max(force_n - low, 0.0) / (high - low)
    return 1.0


def shown_uncertainty(sigma_n: float) -> float:
    """Uncertainty as displayed, N: rounded up to a tenth, so that it is never shown as none."""
    return math.ceil(sigma_n * 10 - 1e-9) / 10


class ForceGauge(Card):
    """Force now."""

    asked_calibrate = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Pressure", parent)
        self._force_n = math.nan
        self._sigma_n = 0.0
        self._comfort = Comfort.STALE
        self._band = STARTING_BANDS[""]
        self.setMinimumSize(330, 176)
        self._calibrated = True
        self.calibrate_button = QPushButton("Calibrate", self)
        self.calibrate_button.setToolTip("Uncalibrated: the numbers are not newtons yet. Go to the Calibrate page")
        self.calibrate_button.setAccessibleDescription(self.calibrate_button.toolTip())
        self.calibrate_button.clicked.connect(self.asked_calibrate)
        self.calibrate_button.hide()
        self.describe(COMFORT[self._comfort].words)

    def set_force(self, force_n: float, sigma_n: float) -> None:
        """Take force and its standard uncertainty, N; NaN shows a dash."""
        shown = (round(self._force_n, 2), shown_uncertainty(self._sigma_n))
        self._force_n, self._sigma_n = force_n, sigma_n
        if shown != (round(force_n, 2), shown_uncertainty(sigma_n)):
            self.update()

    def set_comfort(self, comfort: Comfort) -> None:
        """Take the comfort state."""
        if comfort is not self._comfort:
            self._comfort = comfort
            self.describe(COMFORT[comfort].words)
            self.update()

    def set_band(self, band: Band) -> None:
        """Take the thresholds that hold where the roller is, N."""
        if band != self._band:
            self._band = band
            self.update()

    def set_calibrated(self, calibrated: bool) -> None:
        """Say whether newtons come from a calibration of this roller, and offer one where they do not."""
        if calibrated != self._calibrated:
            self._calibrated = calibrated
            self.calibrate_button.setVisible(not calibrated)
            self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the button in the corner of the heading."""
        super().resizeEvent(event)
        size = self.calibrate_button.sizeHint()
        self.calibrate_button.setGeometry(self.width() - CARD_PADDING - size.width() + 6, 7, size.width(), 30)

    def words(self) -> str:
        """The state as the person reads it."""
        return COMFORT[self._comfort].words

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint card, number, state and bar."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            tall = min(max((self.height() - 176) / 90, 0.0), 1.0)
            big = theme.HUGE + 40 * tall
            baseline = HEADING_HEIGHT + big * 0.86 + 4 * tall
            left = self._paint_number(p, big, baseline) + 14
            self._paint_state(p, QPointF(left, baseline - big * 0.36), 1.0 + 0.5 * tall)
            self._paint_bar(p)

    def _paint_number(self, p: QPainter, big: float, baseline: float) -> float:
        """Paint the force; give back where it ends."""
        known = not math.isnan(self._force_n)
        number = f"{max(self._force_n, 0.0):.1f}" if known else NOTHING
        x = draw_text(p, CARD_PADDING - 2, baseline, number, theme.font(big, bold=True), self.look.tone("ink"))
        if known:
            dim = self.look.tone("dim")
            x = draw_text(p, x + 8, baseline, "N", theme.font(big * 0.45, strong=True), dim)
            if self._calibrated:
                told, tone, strong = f"± {shown_uncertainty(self._sigma_n):.1f}", dim, False
            else:
                told, tone, strong = "uncalibrated", self.look.tone("low"), True
            x = draw_text(p, x + 14, baseline, told, theme.font(theme.BODY + 1, strong=strong), tone)
        return x

    def _paint_state(self, p: QPainter, left: QPointF, scale: float) -> None:
        """Paint the state at the right; it shrinks when it would reach over ``left``."""
        saying = COMFORT[self._comfort]
        tone = self.look.tone(saying.tone)
        room = self.width() - CARD_PADDING - left.x()
        wish = QFontMetricsF(theme.font(theme.LARGE, strong=True)).horizontalAdvance(saying.words) + 64
        scale = min(scale, room / wish)
        face = theme.font(math.floor(theme.LARGE * scale), strong=True)
        width, height = wish * scale, 42 * scale
        box = QRectF(self.width() - CARD_PADDING - width, left.y() - height / 2, width, height)
        alarm = self._comfort in (Comfort.TOO_HARD, Comfort.STOP)
        p.setPen(QPen(theme.faded(tone, 0.55), 1.2))
        p.setBrush(tone if alarm else theme.faded(tone, 0.13))
        p.drawRoundedRect(box, height / 2, height / 2)
        ink = theme.legible_on(tone) if alarm else tone
        paint_sign(p, QPointF(box.left() + 25 * scale, box.center().y()), scale, self._comfort, ink)
        p.setFont(face)
        p.setPen(ink)
        p.drawText(box.adjusted(42 * scale, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, saying.words)

    def _paint_bar(self, p: QPainter) -> None:
        bar = QRectF(CARD_PADDING, self.height() - CARD_PADDING - 34, self.width() - 2 * CARD_PADDING, 14)
        shape = QPainterPath()
        shape.addRoundedRect(bar, 7, 7)
        p.save()
        p.setClipPath(shape)
        p.fillRect(bar, self.look.tone("raised"))
        now = self._comfort
        for i, ((left, right), (_, tone)) in enumerate(zip(pairwise(_STOPS), _PARTS, strict=True), start=1):
            strong = 0.95 if now is Comfort(i) else 0.5 if i == Comfort.COMFORTABLE else 0.22
            part = QRectF(bar.left() + bar.width() * left, bar.top(), bar.width() * (right - left) - 2, bar.height())
            p.fillRect(part, theme.faded(self.look.tone(tone), strong))
        p.restore()
        self._paint_scale(p, bar)
        if not math.isnan(self._force_n):
            self._paint_marker(p, bar)

    def _paint_scale(self, p: QPainter, bar: QRectF) -> None:
        p.setFont(theme.font(theme.SMALL))
        p.setPen(self.look.tone("dim"))
        names = ("", "", "limit ", "stop ")
        for name, newtons, stop in zip(names, self._band, _STOPS[1:], strict=False):
            x = bar.left() + bar.width() * stop - 1
            p.drawLine(int(x), int(bar.bottom() + 2), int(x), int(bar.bottom() + 6))
            p.drawText(QRectF(x - 50, bar.bottom() + 7, 100, 18), Qt.AlignmentFlag.AlignCenter, f"{name}{newtons:.1f}")
        p.drawText(QRectF(bar.left(), bar.bottom() + 7, 40, 18), Qt.AlignmentFlag.AlignVCenter, "0 N")
        for (left, right), (name, _) in zip(pairwise(_STOPS), _PARTS, strict=True):
            box = QRectF(bar.left() + bar.width() * left, bar.top() - 27, bar.width() * (right - left), 18)
            p.drawText(box, Qt.AlignmentFlag.AlignCenter, name)

    def _paint_marker(self, p: QPainter, bar: QRectF) -> None:
        def at(force_n: float) -> float:
            return bar.left() + bar.width() * share_of(force_n, self._band)

        tone = self.look.tone("ink")
        low, high = at(self._force_n - self._sigma_n), at(self._force_n + self._sigma_n)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(theme.faded(tone, 0.22))
        p.drawRoundedRect(QRectF(low, bar.top() - 4, max(high - low, 1.0), bar.height() + 8), 4, 4)
        x = min(max(at(self._force_n), bar.left() + 4), bar.right() - 4)
        p.setPen(QPen(self.look.tone("card"), 2.5))
        p.setBrush(tone)
        p.drawRoundedRect(QRectF(x - 5, bar.top() - 8, 10, bar.height() + 16), 5, 5)


def paint_sign(p: QPainter, at: QPointF, scale: float, comfort: Comfort, tone: QColor) -> None:
    """Paint the sign of a state: its shape alone tells the state apart."""
    saying = COMFORT[comfort]
    p.save()
    p.translate(at)
    p.scale(scale, scale)
    p.setPen(Qt.PenStyle.NoPen)
    p.setBrush(tone)
    path = QPainterPath()
    if saying.sign in "▲▼":
        up = -1 if saying.sign == "▲" else 1
        path.moveTo(-8, -6 * up)
        path.lineTo(8, -6 * up)
        path.lineTo(0, 8 * up)
        path.closeSubpath()
    elif saying.sign == "■":
        path.addRoundedRect(QRectF(-8, -8, 16, 16), 2, 2)
    elif saying.sign == NOTHING:
        path.addRoundedRect(QRectF(-8, -1.5, 16, 3), 1.5, 1.5)
    elif comfort is Comfort.COMFORTABLE:
        p.setPen(QPen(tone, 3.2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
        p.setBrush(Qt.BrushStyle.NoBrush)
        path.moveTo(-7.5, 0.5)
        path.lineTo(-2, 6)
        path.lineTo(8, -6)
    else:
        p.setPen(QPen(tone, 2.6))
        p.setBrush(tone if comfort is Comfort.FIRM else Qt.BrushStyle.NoBrush)
        path.addEllipse(QRectF(-6.5, -6.5, 13, 13))
    p.drawPath(path)
    p.restore()
