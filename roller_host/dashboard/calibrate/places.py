# SPDX-License-Identifier: MIT
"""Places of the face to look at and to choose: a map to click, and the same as boxes to tick."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from PySide6.QtCore import QRectF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QBrush, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent, QTransform
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from firmware_protocol.zones import MIDLINE, PLACES, SIDES, ZONES, place_name
from roller_host.dashboard import faceshape, theme
from roller_host.dashboard.facemap import paint_features, paint_person
from roller_host.dashboard.surface import CARD_PADDING, Card, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from PySide6.QtGui import QColor

Place = tuple[str, str]
_LEGEND_ROW = 20


class Kind(enum.Enum):
    """What is shown of a place; the value is its name in the legend."""

    PLAIN = ""
    PICKED = "chosen"
    WAITING = "to come"
    MEASURED = "measured"
    INFERRED = "inferred"
    START = "starting point"
    EXCLUDED = "left out"


_TONES: Final = {
    Kind.PLAIN: "ramp",
    Kind.PICKED: "accent",
    Kind.WAITING: "accent",
    Kind.MEASURED: "good",
    Kind.INFERRED: "good",
    Kind.START: "dim",
    Kind.EXCLUDED: "bad",
}


class Mark(NamedTuple):
    """One place as it is shown."""

    kind: Kind = Kind.PLAIN
    label: str = ""
    """A number that stands on it."""


class PlaceMap(Card):
    """A face whose places bear marks; patterns tell them apart as well as colours."""

    clicked = Signal(object)
    """The (zone, side) that was clicked."""

    def __init__(self, heading: str, parent: QWidget | None = None) -> None:
        super().__init__(heading, parent)
        self._marks: dict[Place, Mark] = {}
        self._current: Place | None = None
        self._legend: tuple[Kind, ...] = ()
        self._still: QPixmap | None = None
        self.set_note("as in the mirror")
        self.setMinimumSize(190, 260)

    def set_marks(self, marks: Mapping[Place, Mark], current: Place | None = None) -> None:
        """Take marks by place, and the place that it is about now."""
        if (dict(marks), current) == (self._marks, self._current):
            return
        self._marks, self._current = dict(marks), current
        kinds = {mark.kind for mark in marks.values()}
        self._legend = tuple(kind for kind in Kind if kind in kinds and kind.value)
        self._still = None
        self.describe(self.words())
        self.update()

    def words(self) -> str:
        """The same in words."""
        told = [f"now {place_name(*self._current)}"] if self._current else []
        for kind in self._legend:
            names = [_told(place, mark) for place, mark in self._marks.items() if mark.kind is kind]
            told.append(f"{kind.value}: {', '.join(names)}")
        return "; ".join(told)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Tell which place was clicked."""
        on_face = self._to_widget().inverted()[0].map(event.position())
        for place, path in faceshape.places().items():
            if path.contains(on_face):
                self.clicked.emit(place)
                return

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme."""
        self._still = None
        super().set_look(look)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Forget the cached drawing."""
        self._still = None
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Blit the cached drawing and paint the outline of the present place."""
        del event
        ratio = self.devicePixelRatioF()
        if self._still is None:
            self._still = QPixmap(self.size() * ratio)
            self._still.setDevicePixelRatio(ratio)
            self._still.fill(Qt.GlobalColor.transparent)
            with QPainter(self._still) as still:
                still.setRenderHint(QPainter.RenderHint.Antialiasing)
                self._paint_still(still)
        with self.painter() as p:
            p.drawPixmap(0, 0, self._still)
            if self._current:
                p.setTransform(self._to_widget(), combine=True)
                p.setBrush(Qt.BrushStyle.NoBrush)
                for width, alpha in ((11.0, 0.2), (3.2, 1.0)):
                    p.setPen(QPen(theme.faded(self.look.tone("accent"), alpha), width))
                    p.drawPath(faceshape.outlines()[self._current])

    def _to_widget(self) -> QTransform:
        room = self.content().adjusted(-8, -4, 8, -_LEGEND_ROW * self._legend_rows())
        frame = faceshape.FRAME
        scale = min(room.width() / frame.width(), room.height() / frame.height())
        at = room.center() - frame.center() * scale
        return QTransform(scale, 0, 0, scale, at.x(), at.y())

    def _legend_rows(self) -> int:
        return -(-len(self._legend) // self._per_row())

    def _per_row(self) -> int:
        return max(int(self.content().width() // 118), 1)

    def _paint_still(self, p: QPainter) -> None:
        self.paint_card(p)
        p.save()
        p.setTransform(self._to_widget(), combine=True)
        paint_person(p, self.look)
        for place, path in faceshape.places().items():
            mark = self._marks.get(place, Mark())
            for brush in self._brushes(mark.kind):
                p.setPen(Qt.PenStyle.NoPen)
                p.setBrush(brush)
                p.drawPath(path)
        paint_features(p, self.look)
        for place, mark in self._marks.items():
            if mark.label:
                self._paint_label(p, place, mark)
        p.restore()
        self._paint_legend(p)

    def _ground(self, kind: Kind) -> QColor:
        look = self.look
        if kind is Kind.PLAIN:
            return look.filled(0.12)
        share = {Kind.MEASURED: 0.9, Kind.PICKED: 0.85, Kind.INFERRED: 0.4, Kind.WAITING: 0.35}.get(kind, 0.3)
        return theme.mixed(look.tone("skin"), look.tone(_TONES[kind]), share)

    def _brushes(self, kind: Kind) -> list[QBrush]:
        """Ground, and a pattern over it where the ground alone would have to be told by its colour."""
        pattern = {
            Kind.EXCLUDED: Qt.BrushStyle.DiagCrossPattern,
            Kind.INFERRED: Qt.BrushStyle.FDiagPattern,
            Kind.WAITING: Qt.BrushStyle.Dense6Pattern,
        }.get(kind)
        over = [QBrush(theme.faded(self.look.tone(_TONES[kind]), 0.75), pattern)] if pattern else []
        return [QBrush(self._ground(kind)), *over]

    def _paint_label(self, p: QPainter, place: Place, mark: Mark) -> None:
        size = max(11.0 if place[0] in {"temple", "eye", "under_chin"} else 14.0, 11 / self._to_widget().m11())
        p.setFont(theme.font(size, bold=True))
        at = faceshape.label_at(*place)
        box = QRectF(at.x() - 30, at.y() - 10, 60, 20)
        ground = self._ground(mark.kind)
        if mark.kind is Kind.INFERRED:
            width = 9.0 * len(mark.label)
            p.setPen(Qt.PenStyle.NoPen)
            p.setBrush(ground)
            p.drawRoundedRect(QRectF(at.x() - width / 2, at.y() - 9, width, 18), 5, 5)
        p.setPen(theme.legible_on(ground))
        p.drawText(box, Qt.AlignmentFlag.AlignCenter, mark.label)

    def _paint_legend(self, p: QPainter) -> None:
        area, per_row = self.content(), self._per_row()
        top = area.bottom() + 6 - _LEGEND_ROW * self._legend_rows()
        p.setFont(theme.font(theme.SMALL))
        for i, kind in enumerate(self._legend):
            row, column = divmod(i, per_row)
            x, y = area.left() + column * 118, top + row * _LEGEND_ROW
            for brush in self._brushes(kind):
                p.setPen(QPen(theme.faded(self.look.tone("dim"), 0.6), 1))
                p.setBrush(brush)
                p.drawRoundedRect(QRectF(x, y + 3, 16, 13), 4, 4)
            p.setPen(self.look.tone("ink"))
            p.drawText(QRectF(x + 22, y, 96, 18), Qt.AlignmentFlag.AlignVCenter, kind.value)


def _told(place: Place, mark: Mark) -> str:
    return f"{place_name(*place)} {mark.label}".strip()


class PlaceTicks(Card):
    """A box for each place, for the keyboard and for those who hear the page.

    Parameters
    ----------
    heading : str
        What a tick means.
    toggle : callable
        Told the place whose box was ticked or cleared.
    """

    def __init__(self, heading: str, toggle: Callable[[Place], None], parent: QWidget | None = None) -> None:
        super().__init__(heading, parent)
        self.ticks: dict[Place, Tick] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(CARD_PADDING, 40, CARD_PADDING, CARD_PADDING - 6)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 1)
        for row, zone in enumerate(ZONES):
            grid.addWidget(QLabel(place_name(zone, "").capitalize()), row, 0)
            for column, side in enumerate(("",) if zone in MIDLINE else SIDES, start=1):
                tick = self.ticks[zone, side] = Tick(side.capitalize() or "Middle")
                tick.setAccessibleName(f"{heading}: {place_name(zone, side)}")
                tick.clicked.connect(lambda _=False, place=(zone, side): toggle(place))
                grid.addWidget(tick, row, column)

    def set_ticked(self, places: Collection[Place]) -> None:
        """Tick these and clear all others."""
        for place, tick in self.ticks.items():
            with QSignalBlocker(tick):
                tick.setChecked(place in places)


ALL_PLAIN: Final = dict.fromkeys(PLACES, Mark())
