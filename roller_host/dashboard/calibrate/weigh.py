# SPDX-License-Identifier: MIT
"""What the load cell reads now, whether it can be trusted, and the readings taken so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeySequence, QPen, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QPushButton, QTableWidget, QTableWidgetItem, QVBoxLayout

from roller_host.cues.words import NOTHING
from roller_host.dashboard import theme
from roller_host.dashboard.surface import CARD_PADDING, HEADING_HEIGHT, Card, draw_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QPainter, QPaintEvent
    from PySide6.QtWidgets import QWidget

    from roller_host.dashboard.calibrate.residuals import Reading


class LiveReading(Card):
    """Raw counts, large; newtons and noise below; a lamp that says in words whether it is steady."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Load cell now", parent)
        self._counts = self._force_n = self._noise_n = math.nan
        self._trouble: str | None = None
        self.setMinimumSize(300, 150)

    def set_reading(self, counts: float, force_n: float, noise_n: float, trouble: str | None) -> None:
        """Take raw counts, newtons, noise in N, and why it is not steady; ``""`` when it is, None when not known."""
        shown = tuple(
            None if math.isnan(one) else round(one, n) for one, n in ((counts, -1), (force_n, 2), (noise_n, 3))
        )
        if shown == self._rounded and trouble == self._trouble:
            return
        self._rounded = shown
        self._counts, self._force_n, self._noise_n, self._trouble = counts, force_n, noise_n, trouble
        self.describe(self._lamp()[0])
        self.update()

    _rounded: tuple[float | None, ...] = ()

    def _lamp(self) -> tuple[str, str]:
        if self._trouble is None:
            return "Waiting", "dim"
        return ("Not steady", "low") if self._trouble else ("Steady", "good")

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint number, lamp and what is known about both."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            dim = self.look.tone("dim")
            baseline = HEADING_HEIGHT + 46
            text = NOTHING if math.isnan(self._counts) else _grouped(round(self._counts, -1))
            x = draw_text(p, CARD_PADDING, baseline, text, theme.font(48, bold=True), self.look.tone("ink"))
            draw_text(p, x + 8, baseline, "counts", theme.font(18, strong=True), dim)
            line = ""
            if not math.isnan(self._force_n):
                line = f"{round(self._force_n, 2) + 0.0:.2f} N"
            if not math.isnan(self._noise_n):
                line += f", noise {self._noise_n * 1000:.0f} mN"
            draw_text(p, CARD_PADDING, baseline + 36, line, theme.font(theme.BODY), dim)
            self._paint_lamp(p, baseline + 30)

    def _paint_lamp(self, p: QPainter, middle: float) -> None:
        """A lamp with words: its shape tells as much as its colour."""
        told, tone = self._lamp()
        colour = self.look.tone(tone)
        face = theme.font(theme.TITLE, strong=True)
        width = QFontMetricsF(face).horizontalAdvance(told) + 52
        box = QRectF(self.width() - CARD_PADDING - width, middle - 18, width, 36)
        p.setPen(QPen(theme.faded(colour, 0.55), 1.2))
        p.setBrush(theme.faded(colour, 0.13))
        p.drawRoundedRect(box, 18, 18)
        at = QPointF(box.left() + 21, box.center().y())
        steady = self._trouble == ""
        p.setPen(QPen(colour, 3))
        p.setBrush(colour if steady else Qt.BrushStyle.NoBrush)
        p.drawEllipse(at, 7, 7)
        p.setFont(face)
        p.setPen(colour)
        p.drawText(box.adjusted(37, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, told)


def _grouped(counts: float) -> str:
    """Digits in groups of three, with thin spaces."""
    return f"{counts:,.0f}".replace(",", "\N{THIN SPACE}").replace("-", "\N{MINUS SIGN}")


class ReadingTable(Card):
    """Readings so far, with what the fit leaves of each."""

    _COLUMNS = "Load", "N", "Off, N"

    asked_remove = Signal(int)
    """Which reading is to go, from 0."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Readings", parent)
        self.table = QTableWidget(0, len(self._COLUMNS))
        self.table.setAccessibleName("Readings")
        self.table.setHorizontalHeaderLabels(self._COLUMNS)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(28)
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setTabKeyNavigation(False)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setHighlightSections(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, HEADING_HEIGHT - 2, 10, 10)
        layout.addWidget(self.table)
        self.remove = QPushButton("Remove this reading")
        self.remove.setToolTip("Take the chosen reading out (Delete)")
        self.remove.clicked.connect(self._ask_remove)
        self.remove.setEnabled(False)
        self.table.itemSelectionChanged.connect(lambda: self.remove.setEnabled(self.table.currentRow() >= 0))
        delete = QShortcut(QKeySequence.StandardKey.Delete, self.table, context=Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self._ask_remove)
        layout.addWidget(self.remove)
        self._readings: tuple[Reading, ...] = ()
        self._suspects: tuple[int, ...] = ()
        self.setMinimumWidth(220)

    def _ask_remove(self) -> None:
        if self.table.currentRow() >= 0:
            self.asked_remove.emit(self.table.currentRow())

    def set_readings(self, readings: Sequence[Reading], suspects: Sequence[int] = ()) -> None:
        """Take all readings, and which do not go with the others; the newest is scrolled to."""
        # Residuals that are not known yet are NaN, which differs from itself.
        if repr((readings, suspects)) == repr((self._readings, self._suspects)):
            return
        self._readings, self._suspects = tuple(readings), tuple(suspects)
        self.set_note("none yet" if not readings else "")
        self.table.setRowCount(len(readings))
        for i, one in enumerate(readings):
            left = NOTHING if math.isnan(one.residual_n) else f"{round(one.residual_n, 2) + 0.0:+.2f}"
            name = f"{one.name} ▲" if i in suspects else one.name
            for j, text in enumerate((name, f"{round(one.load_n, 2) + 0.0:.2f}", left)):
                item = QTableWidgetItem(text.replace("-", "\N{MINUS SIGN}"))
                if i in suspects:
                    item.setForeground(self.look.tone("bad"))
                    item.setToolTip("does not go with the others")
                    item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{text}, does not go with the others")
                if j:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(i, j, item)
        self.table.scrollToBottom()
