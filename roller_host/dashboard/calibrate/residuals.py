# SPDX-License-Identifier: MIT
"""How far each reading lies from what the fit says, and how far it may."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen

from roller_host.dashboard import theme
from roller_host.dashboard.calibrate.axes import Axes, axes_in, paint_axes
from roller_host.dashboard.surface import Card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtWidgets import QWidget


class Reading(NamedTuple):
    """One reading under a known load."""

    load_n: float
    residual_n: float
    """What the fit says less the load; NaN before there is a fit."""
    sigma_n: float = 0.0
    name: str = ""
    """As the person knows it: ``"0.5 kg"``."""


class ResidualPlot(Card):
    """Residuals over load, with bounds that grow with the load."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("What the fit leaves, N", parent)
        self._readings: tuple[Reading, ...] = ()
        self._bound = 0.0, 0.0
        self.waiting = "Comes with the third different load"
        """What stands there while there is no fit."""
        self.setMinimumSize(300, 190)

    def set_readings(self, readings: Sequence[Reading], bound: tuple[float, float]) -> None:
        """Take readings, and the bound: so many N and such a share of the load."""
        # Residuals that are not known yet are NaN, which differs from itself.
        if repr((readings, bound)) == repr((self._readings, self._bound)):
            return
        self._readings, self._bound = tuple(readings), bound
        self.set_note(f"shaded: within {bound[0]:.2f} N + {bound[1] * 100:g} %")
        self.describe(self.words())
        self.update()

    def bound_n(self, load_n: float) -> float:
        """Largest residual that is good enough under a load, N."""
        return self._bound[0] + self._bound[1] * abs(load_n)

    def words(self) -> str:
        """The same in words."""
        known = [one for one in self._readings if not math.isnan(one.residual_n)]
        if not known:
            return "no fit yet"
        worst = max(known, key=lambda one: abs(one.residual_n))
        beyond = [one.name for one in known if abs(one.residual_n) > self.bound_n(one.load_n)]
        told = f"largest {abs(worst.residual_n):.2f} N at {worst.name or f'{worst.load_n:.1f} N'}"
        return f"{told}; beyond the bound: {', '.join(beyond)}" if beyond else f"{told}; all within the bound"

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint bounds, zero and readings."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            room = self.content()
            known = [one for one in self._readings if not math.isnan(one.residual_n)]
            if not known:
                p.setFont(theme.font(theme.BODY))
                p.setPen(self.look.tone("dim"))
                p.drawText(room, Qt.AlignmentFlag.AlignCenter, self.waiting)
                return
            most_n = max(one.load_n for one in known) * 1.08 or 1.0
            tall_n = 1.25 * max(self.bound_n(most_n), *(abs(one.residual_n) for one in known))
            axes = axes_in(room, (0.0, most_n), (-tall_n, tall_n))
            self._paint_bound(p, axes)
            paint_axes(p, self.look, axes, "load, N")
            p.setPen(QPen(self.look.tone("dim"), 1.2))
            p.drawLine(axes.at(0.0, 0.0), axes.at(most_n, 0.0))
            for one in known:
                self._paint_reading(p, axes, one)

    def _paint_bound(self, p: QPainter, axes: Axes) -> None:
        low, high = axes.x_range
        path = QPainterPath(axes.at(low, self.bound_n(low)))
        for x, sign in ((high, 1), (high, -1), (low, -1)):
            path.lineTo(axes.at(x, sign * self.bound_n(x)))
        path.closeSubpath()
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(self.look.tone("band"))
        p.drawPath(path)

    def _paint_reading(self, p: QPainter, axes: Axes, one: Reading) -> None:
        """A disc within the bound, a named square beyond it."""
        beyond = abs(one.residual_n) > self.bound_n(one.load_n)
        tone = self.look.tone("bad" if beyond else "trace")
        at = axes.at(one.load_n, one.residual_n)
        p.setPen(QPen(tone, 1.6))
        high, low = (axes.y(one.residual_n + sign * one.sigma_n) for sign in (1, -1))
        p.drawLine(QPointF(at.x(), high), QPointF(at.x(), low))
        p.setPen(QPen(self.look.tone("card"), 1.5))
        p.setBrush(tone)
        if not beyond:
            p.drawEllipse(at, 5.5, 5.5)
            return
        p.drawRect(QRectF(at.x() - 6, at.y() - 6, 12, 12))
        p.setPen(tone)
        p.setFont(theme.font(13, strong=True))
        right = at.x() < axes.area.center().x()
        box = QRectF(at.x() + (12 if right else -112), at.y() - 10, 100, 20)
        align = Qt.AlignmentFlag.AlignLeft if right else Qt.AlignmentFlag.AlignRight
        p.drawText(box, align | Qt.AlignmentFlag.AlignVCenter, one.name)
