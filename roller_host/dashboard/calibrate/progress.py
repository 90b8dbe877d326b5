# SPDX-License-Identifier: MIT
"""How far a flow is: its steps in a row, and the share of the present one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtWidgets import QSizePolicy

from roller_host.dashboard import theme
from roller_host.dashboard.surface import Painted

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QWidget


class StepRow(Painted):
    """One bar for each step, those that are done in full colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Steps", parent)
        self._at = 0, 1
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_step(self, i_step: int, n_steps: int, *, over: bool) -> None:
        """Take the present step, from 0, and how many there are."""
        at = (n_steps if over else i_step), n_steps
        if at != self._at:
            self._at = at
            self.updateGeometry()
            self.update()
        self.describe(self.words())

    def words(self) -> str:
        """The same in words."""
        i_step, n_steps = self._at
        return "Done" if i_step >= n_steps else f"Step {i_step + 1} of {n_steps}"

    def sizeHint(self) -> QSize:
        """Bars of 28 px."""
        return QSize(self._at[1] * 34 - 6, 10)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the bars."""
        del event
        i_step, n_steps = self._at
        with self.painter() as p:
            p.setPen(Qt.PenStyle.NoPen)
            for i in range(n_steps):
                now = i == i_step
                p.setBrush(self.look.tone("accent") if i <= i_step else theme.faded(self.look.tone("dim"), 0.35))
                p.drawRoundedRect(QRectF(i * 34, 1 if now else 3, 28, 8 if now else 4), 4, 4)


class ShareBar(Painted):
    """How much of the present step is done; invisible for steps without a length."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Progress of this step", parent)
        self._share: float | None = None
        self.setFixedHeight(8)

    def set_share(self, share: float | None) -> None:
        """Take the share, 0 to 1, or None."""
        if share == self._share:
            return
        self._share = share
        # In quarters: a screen reader would never stop talking.
        self.describe("" if share is None else f"{int(share * 4) * 25} percent")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint track and part."""
        del event
        if self._share is None:
            return
        with self.painter() as p:
            p.setPen(Qt.PenStyle.NoPen)
            for share, tone in (
                (1.0, theme.faded(self.look.tone("dim"), 0.25)),
                (self._share, self.look.tone("accent")),
            ):
                p.setBrush(tone)
                width = self.width() * min(max(share, 0.0), 1.0)
                p.drawRoundedRect(QRectF(0, 0, max(width, 8.0 if share else 0.0), 8), 4, 4)
