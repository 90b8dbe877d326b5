# SPDX-License-Identifier: MIT
"""The pace of a ramp: the force as it should rise and as it does, both marks, and where it ends at the latest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF

from roller_host.dashboard import theme
from roller_host.dashboard.calibrate.axes import Axes, axes_in, paint_axes
from roller_host.dashboard.surface import CARD_PADDING, HEADING_HEIGHT, Card, draw_text

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

MARKS = "pleasantly firm", "as firm as I would like"
_NUMBER_HEIGHT = 76
_KEPT_S = 60.0


class RampView(NamedTuple):
    """What a ramp looks like at a moment."""

    place: str = ""
    """Where, in words."""
    waiting: str = "Touch and press"
    """What to do before the touch."""
    t_s: float = math.nan
    """Since the touch, s; NaN before it."""
    force_n: float = math.nan
    target_n: float = math.nan
    """Where the force should be now, N; NaN before the touch."""
    rate_n_s: float = 1.0
    ceiling_n: float = 8.0
    marks: tuple[tuple[float, float], ...] = ()
    """Time and force of what was marked so far, s and N."""
    earlier: tuple[tuple[float, float], ...] = ()
    """Forces of both marks in the ramps before on this place, N."""


def pace_words(view: RampView) -> tuple[str, str]:
    """What to do about the pace, and the name of its colour."""
    if math.isnan(view.t_s) or math.isnan(view.target_n):
        return view.waiting, "dim"
    if view.force_n >= 0.9 * view.ceiling_n:
        return "Stop here", "bad"
    lead_n = view.force_n - view.target_n
    # Half a second of pace either way is as even as a hand presses.
    tolerance_n = max(0.5 * view.rate_n_s, 0.15 * view.target_n)
    if lead_n > tolerance_n:
        return "Slower", "low"
    if lead_n < -tolerance_n:
        return "A little more", "low"
    return "Good pace", "good"


class RampChart(Card):
    """Force over time while a ramp is pressed, large enough to be followed from the mirror."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Press slowly harder", parent)
        self._view = RampView()
        self._trace: list[tuple[float, float]] = []
        self.setMinimumSize(360, 320)

    def set_view(self, view: RampView) -> None:
        """Take the next moment; time that goes back begins a new ramp."""
        if view == self._view:
            return
        last_s = self._trace[-1][0] if self._trace else -math.inf
        if math.isnan(view.t_s) or view.t_s < last_s:
            self._trace.clear()
        if not math.isnan(view.t_s) and not math.isnan(view.force_n):
            self._trace.append((view.t_s, view.force_n))
        self._view = view
        self.set_note(view.place)
        n_marks = len(view.marks)
        self.describe(f"{pace_words(view)[0]}. {f'Marked: {MARKS[n_marks - 1]}' if n_marks else 'Nothing marked yet'}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint number and pace in words, and the chart below."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            self._paint_number(p)
            room = self.content()
            axes = axes_in(room.adjusted(0, _NUMBER_HEIGHT, 0, 0), (0.0, self._span_s()), (0.0, self._top_n()))
            paint_axes(p, self.look, axes, "seconds since the touch")
            self._paint_limits(p, axes)
            self._paint_pace(p, axes)
            self._paint_trace(p, axes)
            self._paint_marks(p, axes)

    def _span_s(self) -> float:
        view = self._view
        needed = max(view.ceiling_n / view.rate_n_s, self._trace[-1][0] if self._trace else 0.0)
        return min(math.ceil(needed * 1.08 / 2) * 2, _KEPT_S)

    def _top_n(self) -> float:
        return self._view.ceiling_n * 1.12

    def _paint_number(self, p: QPainter) -> None:
        view = self._view
        known = not math.isnan(view.force_n)
        baseline = HEADING_HEIGHT + 52
        number = f"{max(view.force_n, 0.0):.1f}" if known else "\N{EN DASH}"
        x = draw_text(p, CARD_PADDING, baseline, number, theme.font(60, bold=True), self.look.tone("ink"))
        x = draw_text(p, x + 8, baseline, "N", theme.font(26, strong=True), self.look.tone("dim"))
        words, tone = pace_words(view)
        wish = QFontMetricsF(theme.font(26, bold=True)).horizontalAdvance(words) + 44
        scale = min((self.width() - CARD_PADDING - x - 12) / wish, 1.0)
        face, width = theme.font(math.floor(26 * scale), bold=True), wish * scale
        box = QRectF(self.width() - CARD_PADDING - width, HEADING_HEIGHT + 8, width, 50)
        colour = self.look.tone(tone)
        p.setPen(QPen(theme.faded(colour, 0.55), 1.2))
        p.setBrush(theme.faded(colour, 0.13))
        p.drawRoundedRect(box, 25, 25)
        p.setFont(face)
        p.setPen(colour)
        p.drawText(box, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_limits(self, p: QPainter, axes: Axes) -> None:
        """The ceiling in words and colour, and what the ramps before found."""
        bad = self.look.tone("bad")
        top = axes.y(self._view.ceiling_n)
        p.fillRect(
            QRectF(axes.area.left(), axes.area.top(), axes.area.width(), top - axes.area.top()), theme.faded(bad, 0.14)
        )
        p.setPen(QPen(bad, 2.0))
        p.drawLine(QPointF(axes.area.left(), top), QPointF(axes.area.right(), top))
        p.setFont(theme.font(13, strong=True))
        p.drawText(QPointF(axes.area.left() + 8, top - 7), f"Stop: {self._view.ceiling_n:g} N, never harder")
        for forces in self._view.earlier:
            for force_n, tone in zip(forces, ("good", "firm"), strict=False):
                p.setPen(QPen(theme.faded(self.look.tone(tone), 0.8), 1.4, Qt.PenStyle.DotLine))
                p.drawLine(axes.at(0.0, force_n), axes.at(axes.x_range[1], force_n))

    def _paint_pace(self, p: QPainter, axes: Axes) -> None:
        """The line to follow, a lane around it, and the point where the force should be now."""
        view, high_s = self._view, axes.x_range[1]
        end_s = min(view.ceiling_n / view.rate_n_s, high_s)
        half_n = 0.5 * view.rate_n_s
        lane = [
            (0.0, -half_n),
            (end_s, end_s * view.rate_n_s - half_n),
            (end_s, end_s * view.rate_n_s + half_n),
            (0.0, half_n),
        ]
        p.save()
        p.setClipRect(axes.area)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(theme.faded(self.look.tone("accent"), 0.14))
        p.drawPolygon(QPolygonF([axes.at(*one) for one in lane]))
        p.setPen(QPen(theme.faded(self.look.tone("accent"), 0.6), 2.0, Qt.PenStyle.DashLine))
        p.drawLine(axes.at(0.0, 0.0), axes.at(end_s, end_s * view.rate_n_s))
        p.restore()
        if not math.isnan(view.t_s) and not math.isnan(view.target_n):
            p.setPen(QPen(self.look.tone("accent"), 2.5))
            p.setBrush(Qt.BrushStyle.NoBrush)
            p.drawEllipse(axes.at(min(view.t_s, high_s), min(view.target_n, axes.y_range[1])), 11, 11)

    def _paint_trace(self, p: QPainter, axes: Axes) -> None:
        if not self._trace:
            return
        p.save()
        p.setClipRect(axes.area)
        p.setPen(
            QPen(
                self.look.tone("trace"), 3.0, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
            )
        )
        p.setBrush(Qt.BrushStyle.NoBrush)
        p.drawPolyline(QPolygonF([axes.at(*one) for one in self._trace]))
        p.restore()
        _dot(p, axes.at(*self._trace[-1]), self.look.tone("ink"), self.look.tone("card"))

    def _paint_marks(self, p: QPainter, axes: Axes) -> None:
        p.setFont(theme.font(13, strong=True))
        for (t_s, force_n), name, tone in zip(self._view.marks, MARKS, ("good", "firm"), strict=False):
            colour = self.look.tone(tone)
            at = axes.at(t_s, force_n)
            p.setPen(QPen(colour, 1.6))
            p.drawLine(QPointF(at.x(), axes.area.bottom()), at)
            _dot(p, at, colour, self.look.tone("card"))
            p.setPen(colour)
            # Below the rising line nothing else is painted.
            p.drawText(QRectF(at.x() + 12, at.y() + 2, 220, 20), Qt.AlignmentFlag.AlignVCenter, name)


def _dot(p: QPainter, at: QPointF, colour: QColor, edge: QColor) -> None:
    p.setPen(QPen(edge, 2.0))
    p.setBrush(colour)
    p.drawEllipse(at, 8, 8)
