# SPDX-License-Identifier: MIT
"""Which sides of the roller have been down in a tumble: an unfolded box around it, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainterPath, QPen

from roller_host.dashboard import theme
from roller_host.dashboard.calibrate.overview import paint_roller
from roller_host.dashboard.surface import Card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QPainter, QPaintEvent
    from PySide6.QtWidgets import QWidget


class Side(NamedTuple):
    """One side of the roller."""

    name: str
    at: tuple[int, int]
    """Column and row in the unfolded box."""


SIDES = (
    Side("left side", (0, 1)),
    Side("right side", (2, 1)),
    Side("head", (1, 0)),
    Side("handle", (1, 2)),
    Side("back", (3, 1)),
    Side("front", (1, 1)),
)
"""Sides that can be down, in the order of `weighing.SIDES`."""


class SidesPicture(Card):
    """A tile for each side; it fills while that side is down."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Sides that have been down", parent)
        self._shares: tuple[float, ...] = (0.0,) * len(SIDES)
        self._down: int | None = None
        self.setMinimumSize(420, 300)

    def set_shares(self, shares: Sequence[float], down: int | None) -> None:
        """Take how much of each of `SIDES` is done, 0 to 1, and which is down now, if one is."""
        shown = tuple(round(share, 2) for share in shares)
        if (shown, down) != (self._shares, self._down):
            self._shares, self._down = shown, down
            missing = [side.name for side, share in zip(SIDES, shown, strict=True) if share < 1]
            self.describe(f"still to turn down: {', '.join(missing)}" if missing else "all sides have been down")
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the unfolded box."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            room = self.content()
            size = min(room.width() / 4.3, room.height() / 3.2)
            left = room.center().x() - 2.1 * size
            top = room.center().y() - 1.55 * size
            for i, side in enumerate(SIDES):
                column, row = side.at
                box = QRectF(left + column * size * 1.06, top + row * size * 1.06, size * 0.98, size * 0.98)
                self._paint_tile(p, box, i)

    def _paint_tile(self, p: QPainter, box: QRectF, i: int) -> None:
        look, share, down = self.look, self._shares[i], i == self._down
        done = share >= 1
        p.setPen(QPen(look.tone("accent" if down else "good" if done else "line"), 3 if down else 1.5))
        p.setBrush(look.tone("raised"))
        p.drawRoundedRect(box, 12, 12)
        if share:
            p.save()
            clip = QPainterPath()
            clip.addRoundedRect(box.adjusted(2, 2, -2, -2), 10, 10)
            p.setClipPath(clip)
            height = box.height() * min(share, 1.0)
            fill = QRectF(box.left(), box.bottom() - height, box.width(), height)
            p.fillRect(fill, theme.mixed(look.tone("raised"), look.tone("good"), 0.45 if done else 0.25))
            p.restore()
        p.save()
        p.setClipRect(box)
        paint_sides_up(p, look, i, box)
        p.restore()
        p.setFont(theme.font(13, strong=True))
        p.setPen(look.tone("ink"))
        p.drawText(
            box.adjusted(0, 0, 0, -9), Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom, SIDES[i].name
        )
        if done:
            p.setPen(QPen(look.tone("good"), 3.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            x, y = box.right() - 22, box.top() + 18
            p.drawPolyline([QPointF(x - 7, y), QPointF(x - 2, y + 6), QPointF(x + 8, y - 6)])


_TURNS = {0: 90.0, 1: -90.0, 2: 180.0, 3: 0.0}


def paint_sides_up(p: QPainter, look: theme.Look, i: int, box: QRectF) -> None:
    """Paint a roller lying as it does when this side is down: turned in the picture, or seen from its end."""
    scale = box.width() / 240
    p.translate(box.center().x(), box.center().y() - 8)
    if i in _TURNS:
        p.rotate(_TURNS[i])
        paint_roller(p, look, QPointF(0, -52 * scale), scale)
        return
    # Front or back down: seen from the side, the handle level.
    p.scale(scale, scale)
    up = -1 if i == 4 else 1
    p.setPen(QPen(look.tone("card"), 3))
    p.setBrush(theme.mixed(look.tone("ink"), look.tone("dim"), 0.5))
    p.drawRoundedRect(QRectF(-70, -10 - 10 * up, 130, 20), 10, 10)
    p.setBrush(look.tone("accent"))
    p.drawEllipse(QPointF(-62, 4 * up), 26, 26)
