# SPDX-License-Identifier: MIT
"""Axes of a small plot: where values stand, and round numbers beside them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from roller_host.dashboard import theme

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT, BELOW = 46, 36
"""Room for numbers, px."""


class Axes(NamedTuple):
    """A rectangle of a plot with the values at its edges."""

    area: QRectF
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Where a value stands across."""
        low, high = self.x_range
        return self.area.left() + self.area.width() * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """Where a value stands upward."""
        low, high = self.y_range
        return self.area.bottom() - self.area.height() * (value - low) / (high - low)

    def at(self, x: float, y: float) -> QPointF:
        """Where a point stands."""
        return QPointF(self.x(x), self.y(y))


def axes_in(room: QRectF, x_range: tuple[float, float], y_range: tuple[float, float]) -> Axes:
    """Axes with room for their numbers at the left and below."""
    return Axes(room.adjusted(LEFT, 6, -8, -BELOW), x_range, y_range)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values in a range, few enough to be read."""
    raw = (high - low) / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(magnitude * one for one in (1, 2, 2.5, 5, 10) if magnitude * one >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def paint_axes(p: QPainter, look: theme.Look, axes: Axes, x_name: str, x_values: Sequence[float] | None = None) -> None:
    """Paint grid, numbers and what is across."""
    area = axes.area
    p.setFont(theme.font(theme.SMALL))
    for value in ticks(*axes.y_range):
        y = axes.y(value)
        p.setPen(QPen(look.tone("grid"), 1.0))
        p.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        p.setPen(look.tone("dim"))
        box = QRectF(area.left() - LEFT, y - 9, LEFT - 8, 18)
        p.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{value:g}")
    for value in ticks(*axes.x_range) if x_values is None else x_values:
        box = QRectF(axes.x(value) - 30, area.bottom() + 2, 60, 16)
        p.drawText(box, Qt.AlignmentFlag.AlignCenter, f"{value:g}")
    p.drawText(QRectF(area.left(), area.bottom() + 18, area.width(), 18), Qt.AlignmentFlag.AlignCenter, x_name)
