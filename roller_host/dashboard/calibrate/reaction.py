# SPDX-License-Identifier: MIT
"""The sign of the reaction test, large enough for the corner of an eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPen

from roller_host.dashboard import theme
from roller_host.dashboard.surface import Card

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QWidget


class ReactionSign(Card):
    """A hollow ring while one waits, a filled disc with words for the moment to press, and the taps so far."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Reaction", parent)
        self._sign = False
        self._taps_s: tuple[float, ...] = ()
        self.setMinimumSize(300, 300)

    def set_sign(self, sign: bool, taps_s: tuple[float, ...]) -> None:
        """Take whether to press now, and the reactions so far, s."""
        if (sign, taps_s) != (self._sign, self._taps_s):
            self._sign, self._taps_s = sign, taps_s
            self.describe("Press now" if sign else f"Wait for the sign; {len(taps_s)} taps so far")
            # At once: a late sign would be taken for a slow person.
            self.repaint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the sign and the taps."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            room = self.content()
            centre = QPointF(room.center().x(), room.center().y() - 24)
            radius = min(room.width(), room.height() - 60) * 0.4
            tone = self.look.tone("accent")
            p.setPen(QPen(tone if self._sign else self.look.tone("dim"), 6))
            p.setBrush(tone if self._sign else Qt.BrushStyle.NoBrush)
            p.drawEllipse(centre, radius, radius)
            p.setFont(theme.font(radius * 0.34, bold=True))
            p.setPen(theme.legible_on(tone) if self._sign else self.look.tone("dim"))
            box = QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius)
            p.drawText(box, Qt.AlignmentFlag.AlignCenter, "Now" if self._sign else "Wait")
            p.setFont(theme.font(theme.BODY))
            p.setPen(self.look.tone("ink"))
            told = "   ".join(f"{tap_s * 1000:.0f} ms" for tap_s in self._taps_s)
            foot = QRectF(room.left(), room.bottom() - 26, room.width(), 24)
            p.drawText(foot, Qt.AlignmentFlag.AlignCenter, told or "press the space bar, or the button on the roller")
