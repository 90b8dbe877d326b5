# SPDX-License-Identifier: MIT
"""One of a few, side by side: radio buttons that look like parts of one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QRadioButton, QVBoxLayout, QWidget

from roller_host.dashboard import theme

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtCore import QPoint


class Option(QRadioButton):
    """One of them; the chosen one is filled and bears a dot."""

    def sizeHint(self) -> QSize:
        """As wide as its words."""
        return QSize(round(QFontMetricsF(theme.font(theme.BODY, strong=True)).horizontalAdvance(self.text())) + 48, 36)

    def minimumSizeHint(self) -> QSize:
        """No narrower than its words."""
        return self.sizeHint()

    def hitButton(self, at: QPoint) -> bool:
        """The whole bar can be clicked."""
        return self.rect().contains(at)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint bar, dot and words in the colours of the palette."""
        del event
        colours = self.palette()
        accent, ink = colours.highlight().color(), colours.windowText().color()
        with QPainter(self) as p:
            p.setRenderHint(QPainter.RenderHint.Antialiasing)
            box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
            chosen = self.isChecked()
            p.setPen(QPen(accent if chosen or self.hasFocus() else colours.mid().color(), 2 if self.hasFocus() else 1))
            p.setBrush(theme.mixed(colours.base().color(), accent, 0.14 if chosen else 0.0))
            p.drawRoundedRect(box, 9, 9)
            p.setPen(QPen(accent if chosen else colours.placeholderText().color(), 1.6))
            p.setBrush(Qt.BrushStyle.NoBrush)
            dot = QRectF(box.left() + 12, box.center().y() - 6, 12, 12)
            p.drawEllipse(dot)
            if chosen:
                p.setBrush(accent)
                p.drawEllipse(dot.adjusted(3, 3, -3, -3))
            p.setFont(theme.font(theme.BODY, strong=chosen))
            p.setPen(ink if self.isEnabled() else colours.placeholderText().color())
            p.drawText(box.adjusted(32, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.text())


class OptionRow(QWidget):
    """Options side by side.

    Parameters
    ----------
    name : str
        What is chosen here.
    pick : callable
        Told the value that a person picked.
    upright : bool, default False
        One below the other.
    """

    def __init__(
        self, name: str, pick: Callable[[str], None], *, upright: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self.setAccessibleName(name)
        self._pick = pick
        self.options: dict[str, Option] = {}
        self._shown: list[tuple[str, str]] = []
        self._layout = QVBoxLayout(self) if upright else QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        if not upright:
            self._layout.addStretch(1)

    def set_options(self, options: Sequence[tuple[str, str]]) -> None:
        """Offer values with their words."""
        if list(options) == self._shown:
            return
        self._shown = list(options)
        for option in self.options.values():
            option.hide()
            option.deleteLater()
        self.options = {}
        for i, (value, words) in enumerate(options):
            option = self.options[value] = Option(words, self)
            option.setAccessibleName(f"{self.accessibleName()}: {words}")
            option.clicked.connect(lambda _=False, value=value: self._pick(value))
            self._layout.insertWidget(i, option)

    def choose(self, value: str) -> None:
        """Show one of them as chosen."""
        if value in self.options:
            self.options[value].setChecked(True)
