# SPDX-License-Identifier: MIT
"""Sensor calibration: held still, turned about, known weights, and what came of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QKeySequence, QPen, QShortcut
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from roller_host.dashboard import theme
from roller_host.dashboard.calibrate.overview import paint_roller
from roller_host.dashboard.calibrate.panel import Panel
from roller_host.dashboard.calibrate.residuals import Reading, ResidualPlot
from roller_host.dashboard.calibrate.sides import SidesPicture
from roller_host.dashboard.calibrate.weigh import LiveReading, ReadingTable
from roller_host.dashboard.surface import CARD_PADDING, HEADING_HEIGHT, Card, plain, side_by_side

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

    from roller_host.guide.weighing import ForceShown, Found

BOUND: Final = 0.10, 0.02
"""A force is good within so many N and this share of it: what the whole chain is to keep."""
_USUAL: Final = "0.1", "0.2", "0.5", "1", "2"
"""Masses that many people have, kg."""


class StillRing(Card):
    """A roller in a ring that closes while it is held still."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Hold still", parent)
        self._share = 0.0
        self.setMinimumSize(300, 220)

    def set_share(self, share: float) -> None:
        """Take how much of the time it has been still, 0 to 1."""
        if share != self._share:
            self._share = share
            self.describe("still" if share else "moving")
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint ring and roller."""
        del event
        with self.painter() as p:
            self.paint_card(p)
            room = self.content()
            radius = min(room.width(), room.height()) * 0.44
            box = QRectF(room.center().x() - radius, room.center().y() - radius, 2 * radius, 2 * radius)
            p.setBrush(theme.mixed(self.look.tone("card"), self.look.tone("accent"), 0.07))
            for share, alpha in ((1.0, 0.22), (self._share, 1.0)):
                pen = QPen(theme.faded(self.look.tone("good" if self._share else "dim"), alpha), 12)
                pen.setCapStyle(Qt.PenCapStyle.RoundCap)
                p.setPen(pen)
                if share == 1.0 and alpha < 1:
                    p.drawEllipse(box)
                elif share:
                    p.drawArc(box, 90 * 16, -round(share * 360 * 16))
            paint_roller(p, self.look, QPointF(room.center().x(), room.center().y() - radius * 0.35), radius / 150)


class NextWeight(Card):
    """Which weight comes next: typed, or one of the usual ones."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Next weight", parent)
        self.field = QLineEdit()
        self.field.setAccessibleName("Mass of the next weight")
        self.field.setPlaceholderText("0.5 kg, 500 g, 4.9 N")
        self.field.setMinimumHeight(36)
        self.field.setToolTip("Type a mass (Alt+N)")
        QShortcut(QKeySequence("Alt+N"), self).activated.connect(self.field.setFocus)
        self.add = QPushButton("Add")
        self.add.setToolTip("Hang this weight next (Enter)")
        self.usual = {mass: QPushButton(mass) for mass in _USUAL}
        row = QHBoxLayout()
        row.setSpacing(6)
        for mass, button in self.usual.items():
            button.setAccessibleName(f"{mass} kilograms")
            button.setMinimumWidth(34)
            button.setProperty("role", "chip")
            row.addWidget(button, 1)
        row.addWidget(QLabel("kg"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(CARD_PADDING, HEADING_HEIGHT, CARD_PADDING, CARD_PADDING)
        layout.setSpacing(8)
        typed = QHBoxLayout()
        typed.setSpacing(6)
        typed.addWidget(self.field, 1)
        typed.addWidget(self.add)
        layout.addLayout(typed)
        layout.addLayout(row)
        self.setMinimumWidth(250)


class Comparison(Card):
    """Calibration before and after, figure by figure."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Before and after", parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(CARD_PADDING, HEADING_HEIGHT, CARD_PADDING, CARD_PADDING)
        self._grid.setHorizontalSpacing(18)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(0, 1)
        self._labels: list[QLabel] = []
        self._found: Found | None = None

    def set_found(self, found: Found | None, head_mass_kg: float | None) -> None:
        """Take what was found."""
        if found is None or found is self._found:
            return
        self._found = found
        for label in self._labels:
            label.deleteLater()
        self._labels = []
        rows = [("", "before", "after"), *_compared(found, head_mass_kg)]
        for i, row in enumerate(rows):
            for j, text in enumerate(row):
                label = QLabel(text)
                label.setFont(theme.font(15 if i else 12, strong=bool(i) and j == 2))
                label.setAlignment(Qt.AlignmentFlag.AlignRight if j else Qt.AlignmentFlag.AlignLeft)
                if i == 0 or j == 0:
                    label.setProperty("role", "dim")
                self._labels.append(label)
                self._grid.addWidget(label, i, j)
        self.describe("; ".join(f"{name}: before {before}, after {after}" for name, before, after in rows[1:]))


def _compared(found: Found, head_mass_kg: float | None) -> list[tuple[str, str, str]]:
    before, after, fit = found.before, found.record, found.fit
    change = after.n_per_count / before.n_per_count - 1
    mass_kg = after.head_mass_kg if head_mass_kg is None else head_mass_kg
    return [
        ("Sensitivity, \N{MICRO SIGN}N per count", f"{before.n_per_count * 1e6:.3f}", f"{after.n_per_count * 1e6:.3f}"),
        ("Change", "", f"{change * 100:+.1f} %".replace("-", "\N{MINUS SIGN}")),
        ("Uncertainty of it", "", f"{fit.sigma * 100:.1f} %"),
        ("Largest error, N", "", f"{fit.max_error_n:.2f}"),
        ("Head, g", f"{before.head_mass_kg * 1e3:.0f}", f"{mass_kg * 1e3:.0f}"),
    ]


class ForcePanel(Panel):
    """A page for each step: tare, tumble, weights, and one for result and store."""

    takes = frozenset({"add", "remove"})

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.still, self.sides = StillRing(), SidesPicture()
        self.live, self.next = LiveReading(), NextWeight()
        self.table, self.plot = ReadingTable(), ResidualPlot()
        self.comparison, self.final_plot = Comparison(), ResidualPlot()
        self.table.asked_remove.connect(lambda i: self.acted.emit("remove", str(i)))
        self.next.add.clicked.connect(lambda: self.acted.emit("add", self.next.field.text()))
        for mass, button in self.next.usual.items():
            button.clicked.connect(lambda _=False, mass=mass: self.acted.emit("add", f"{mass} kg"))
        weights = _column(
            side_by_side((self.live, 60), (self.next, 40)), side_by_side((self.table, 40), (self.plot, 60))
        )
        result = _column(self.comparison, self.final_plot)
        self._pages = {
            "tare": self.still,
            "tumble": self.sides,
            "weights": weights,
            "result": result,
            "store": result,
        }
        for page in (self.still, self.sides, weights, result):
            self.addWidget(page)
        self._n_readings = 0

    def set_shown(self, shown: ForceShown) -> None:
        """Take what the flow shows now."""
        self.setCurrentWidget(self._pages[shown.step])
        match shown.step:
            case "tare":
                self.still.set_share(shown.progress or 0.0)
            case "tumble":
                self.sides.set_shares([float(side) for side in shown.sides], None)
            case "weights":
                self._show_weights(shown)
            case _:
                self.comparison.set_found(shown.found, shown.head_mass_kg)
                self.final_plot.set_readings(_readings(shown), BOUND)

    def value(self, key: str) -> str:
        """The mass that was typed."""
        return self.next.field.text() if key == "add" else ""

    def take_focus(self) -> bool:
        """Let the mass of the next weight be typed."""
        wanted = self.next.isVisible() and self.next.isEnabled()
        if wanted:
            self.next.field.setFocus()
        return wanted

    def enter_key(self) -> str | None:
        """Enter takes what was typed."""
        return "add" if self.next.isVisible() and self.next.field.text().strip() else None

    def _show_weights(self, shown: ForceShown) -> None:
        trouble = None if shown.counts is None else shown.trouble
        self.live.set_reading(_or_nan(shown.counts), _or_nan(shown.load_n), _or_nan(shown.noise_n), trouble)
        hanging = any(choice.key == "take" and choice.primary for choice in shown.choices)
        self.next.setEnabled(not hanging)
        if hanging:
            self.next.field.clear()
        readings = _readings(shown)
        self.table.set_readings(readings, shown.suspects)
        self.plot.waiting = "Comes once the readings agree" if shown.suspects else "Comes with the third different load"
        self.plot.set_readings(readings, BOUND)


def _readings(shown: ForceShown) -> tuple[Reading, ...]:
    residuals = shown.residuals_n or (math.nan,) * len(shown.readings)
    pairs = zip(shown.readings, residuals, strict=True)
    return tuple(Reading(one.load_n, left_n, 0.0, _named(one.mass_kg)) for one, left_n in pairs)


def _named(mass_kg: float) -> str:
    return f"{mass_kg:g} kg" if mass_kg else "empty"


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _column(upper: QWidget, lower: QWidget) -> QWidget:
    column = plain()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(14)
    layout.addWidget(upper)
    layout.addWidget(lower, 1)
    return column
