# SPDX-License-Identifier: MIT
"""Face map: how long each place was rolled, and where the roller is now, as the person sees it in the mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QLinearGradient,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QTransform,
)
from PySide6.QtWidgets import QToolTip

from firmware_protocol.zones import PLACES, place_name
from roller_host.dashboard import faceshape, theme, words
from roller_host.dashboard.surface import CARD_PADDING, Card

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PySide6.QtWidgets import QWidget

_FULL_S = (60, 120, 180, 300, 600, 900)
"""Upper ends of the colour scale, s; the first that holds every place is taken."""
_LEGEND_HEIGHT = 34
_ENOUGH_HEIGHT = 24
_MOST_NAMES = 2
"""Places that have had enough are named while they are no more; then they are counted."""
_SMALLEST_NUMBER_PX = 11


class FaceMap(Card):
    """Seconds of contact per place as colour and number; the active place has an outline and a halo."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Face map", parent)
        self._seconds: dict[tuple[str, str], int] = dict.fromkeys(PLACES, 0)
        self._enough: dict[tuple[str, str], str] = {}
        self._active: tuple[str, str] | None = None
        self._halo = "accent"
        self._still: QPixmap | None = None
        self.set_note("as in the mirror")
        self.setMinimumSize(250, 380)
        self.setMouseTracking(True)

    def set_seconds(self, seconds: Mapping[tuple[str, str], float]) -> None:
        """Take the time in contact by (zone, side), s; places that are missing count 0."""
        whole = {place: int(seconds.get(place, 0.0)) for place in PLACES}
        if whole != self._seconds:
            self._seconds = whole
            self._still = None
            self.update()

    def set_active(self, zone: str, side: str, tone: str = "accent") -> None:
        """Mark the place where the roller is; an unknown one marks none. ``tone`` is a colour of the look."""
        active = (zone, side) if (zone, side) in self._seconds else None
        if (active, tone) == (self._active, self._halo):
            return
        changed = active != self._active
        self._active, self._halo = active, tone
        if changed:
            self._describe()
        self.update()

    def set_enough(self, enough: Mapping[tuple[str, str], str]) -> None:
        """Mark places that have had enough for today, with the reason; a new one is told to a screen reader once."""
        found = {place: enough[place] for place in PLACES if place in enough}
        if found == self._enough:
            return
        new, same = found.keys() - self._enough.keys(), found.keys() == self._enough.keys()
        self._enough = found
        if same:
            # Only the numbers in the reasons: they are told by tool tips.
            return
        if new:
            names = ", ".join(place_name(*place) for place in PLACES if place in new)
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, f"Enough for today: {names}"))
        self._describe()
        self._still = None
        self.update()

    def enough_words(self) -> str:
        """Which places have had enough for today; empty while none has."""
        if not self._enough:
            return ""
        names = ", ".join(place_name(*place) for place in self._enough)
        return f"Enough for today: {names if len(self._enough) <= _MOST_NAMES else f'{len(self._enough)} places'}"

    def _describe(self) -> None:
        where = f"rolling {place_name(*self._active)}" if self._active else "roller lifted or place not known"
        names = ", ".join(place_name(*place) for place in self._enough)
        self.describe(f"{where}; enough for today: {names}" if names else where)

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme."""
        self._still = None
        super().set_look(look)

    def full_s(self) -> int:
        """Upper end of the colour scale, s."""
        most = max(self._seconds.values())
        return next((full for full in _FULL_S if most <= full), _FULL_S[-1])

    def place_at(self, at: QPointF) -> tuple[str, str] | None:
        """Place under a point of the widget, or None."""
        on_face = self._to_widget().inverted()[0].map(at)
        for place, path in faceshape.places().items():
            if path.contains(on_face):
                return place
        return None

    def event(self, event: QEvent) -> bool:
        """Answer the request for a tool tip with the place under the pointer."""
        if isinstance(event, QHelpEvent):
            place = self.place_at(QPointF(event.pos()))
            if place is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self.tip(place), self)
            return True
        return super().event(event)

    def tip(self, place: tuple[str, str]) -> str:
        """A place and its time in words."""
        seconds = self._seconds[place]
        name = place_name(*place).capitalize()
        rolled = f"{name}: {words.clock(seconds)} min" if seconds else f"{name}: not rolled yet"
        reason = self._enough.get(place)
        return f"{rolled}; enough for today, {reason}" if reason else rolled

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Forget the cached drawing."""
        self._still = None
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Blit the cached drawing and paint the halo over it."""
        del event
        ratio = self.devicePixelRatioF()
        if self._still is None or self._still.devicePixelRatioF() != ratio:
            self._still = QPixmap(self.size() * ratio)
            self._still.setDevicePixelRatio(ratio)
            self._still.fill(Qt.GlobalColor.transparent)
            with QPainter(self._still) as still:
                still.setRenderHint(QPainter.RenderHint.Antialiasing)
                self._paint_still(still)
        with self.painter() as p:
            p.drawPixmap(0, 0, self._still)
            if self._active:
                self._paint_halo(p, self._active)

    def _to_widget(self) -> QTransform:
        room = self.content().adjusted(0, -4, 0, -_LEGEND_HEIGHT - (_ENOUGH_HEIGHT if self._enough else 0))
        frame = faceshape.FRAME
        scale = min(room.width() / frame.width(), room.height() / frame.height())
        at = room.center() - frame.center() * scale
        return QTransform(scale, 0, 0, scale, at.x(), at.y())

    def _paint_halo(self, p: QPainter, place: tuple[str, str]) -> None:
        path = faceshape.outlines()[place]
        tone = self.look.tone(self._halo)
        p.setTransform(self._to_widget())
        p.setBrush(Qt.BrushStyle.NoBrush)
        for width, alpha in ((11.0, 0.16), (7.0, 0.30), (2.4, 1.0)):
            p.setPen(
                QPen(
                    theme.faded(tone, alpha),
                    width,
                    Qt.PenStyle.SolidLine,
                    Qt.PenCapStyle.RoundCap,
                    Qt.PenJoinStyle.RoundJoin,
                )
            )
            p.drawPath(path)

    def _paint_still(self, p: QPainter) -> None:
        self.paint_card(p)
        p.save()
        p.setTransform(self._to_widget(), combine=True)
        paint_person(p, self.look)
        full = self.full_s()
        for place, path in faceshape.places().items():
            p.setPen(Qt.PenStyle.NoPen)
            p.setBrush(self.look.filled(self._seconds[place] / full))
            p.drawPath(path)
        paint_features(p, self.look)
        for place, seconds in self._seconds.items():
            if seconds:
                self._paint_number(p, place, seconds, full)
        for place in self._enough:
            self._paint_enough(p, place)
        p.restore()
        self._paint_sides(p)
        self._paint_legend(p, full)
        self._paint_line(p)

    def _paint_number(self, p: QPainter, place: tuple[str, str], seconds: int, full: int) -> None:
        size = 10.5 if place[0] in {"temple", "eye", "under_chin"} else 13
        p.setFont(theme.font(max(size, _SMALLEST_NUMBER_PX / self._to_widget().m11()), strong=True))
        p.setPen(theme.legible_on(self.look.filled(seconds / full)))
        at = faceshape.label_at(*place)
        p.drawText(QRectF(at.x() - 30, at.y() - 10, 60, 20), Qt.AlignmentFlag.AlignCenter, str(seconds))

    def _paint_enough(self, p: QPainter, place: tuple[str, str]) -> None:
        """Outline a place in dashes, with a tick below its number."""
        p.setPen(QPen(self.look.tone("good"), 2.0, Qt.PenStyle.DashLine))
        p.setBrush(Qt.BrushStyle.NoBrush)
        p.drawPath(faceshape.outlines()[place])
        px = 1.0 / self._to_widget().m11()
        _paint_tick(p, self.look, faceshape.label_at(*place) + QPointF(0, max(15.0, 12 * px)), max(7.0, 5.5 * px))

    def _paint_line(self, p: QPainter) -> None:
        text = self.enough_words()
        if not text:
            return
        area = self.content()
        p.setFont(theme.font(13, strong=True))
        width = min(QFontMetricsF(p.font()).horizontalAdvance(text), area.width() - 26)
        x, y = area.center().x() - (width + 26) / 2, area.bottom() - _LEGEND_HEIGHT - 2
        _paint_tick(p, self.look, QPointF(x + 8, y), 8.0)
        p.setPen(self.look.tone("ink"))
        shown = QFontMetricsF(p.font()).elidedText(text, Qt.TextElideMode.ElideRight, width + 1)
        p.drawText(QRectF(x + 26, y - 12, width + 2, 24), Qt.AlignmentFlag.AlignVCenter, shown)

    def _paint_sides(self, p: QPainter) -> None:
        area = self.content()
        for side, align, x in (("left", Qt.AlignmentFlag.AlignLeft, 0), ("right", Qt.AlignmentFlag.AlignRight, -90)):
            total = sum(seconds for place, seconds in self._seconds.items() if place[1] == side)
            box = QRectF((area.right() if x else area.left()) + x, area.top() + 2, 90, 22)
            p.setFont(theme.font(theme.TITLE, bold=True))
            p.setPen(self.look.tone("dim"))
            p.drawText(box, align | Qt.AlignmentFlag.AlignVCenter, side[0].upper())
            p.setFont(theme.font(theme.SMALL))
            p.drawText(box.translated(0, 20), align | Qt.AlignmentFlag.AlignVCenter, f"{words.clock(total)} min")

    def _paint_legend(self, p: QPainter, full: int) -> None:
        area = self.content()
        bar = QRectF(area.left() + 64, area.bottom() - 12, area.width() - 128, 8)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for i, colour in enumerate(self.look.ramp):
            gradient.setColorAt(i / (len(self.look.ramp) - 1), QColor(colour))
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(gradient)
        p.drawRoundedRect(bar, 4, 4)
        p.setFont(theme.font(theme.SMALL))
        p.setPen(self.look.tone("dim"))
        middle = Qt.AlignmentFlag.AlignVCenter
        p.drawText(QRectF(CARD_PADDING, bar.top() - 6, 56, 20), middle | Qt.AlignmentFlag.AlignRight, "0")
        p.drawText(QRectF(bar.right() + 8, bar.top() - 6, 60, 20), middle | Qt.AlignmentFlag.AlignLeft, f"{full} s")


def _paint_tick(p: QPainter, look: theme.Look, at: QPointF, radius: float) -> None:
    """Paint a tick on a disc."""
    p.setPen(QPen(look.tone("card"), 1.2))
    p.setBrush(look.tone("good"))
    p.drawEllipse(at, radius, radius)
    round_ends = Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
    p.setPen(QPen(look.tone("card"), 0.26 * radius, Qt.PenStyle.SolidLine, *round_ends))
    p.drawPolyline([at + QPointF(*one) * radius for one in ((-0.45, 0.05), (-0.1, 0.4), (0.5, -0.35))])


def paint_person(p: QPainter, look: theme.Look) -> None:
    """Paint everything that lies under the places: body, hair, ears, face."""
    shape = faceshape.features()
    p.setPen(Qt.PenStyle.NoPen)
    for path, colour in (
        (shape.body, theme.mixed(look.tone("skin"), look.tone("shade"), 0.45)),
        (shape.shadow, look.tone("shade")),
        (shape.hair, look.tone("hair")),
        (shape.ears, look.tone("shade")),
        (shape.face, look.tone("skin")),
        (shape.headband, look.tone("headband")),
    ):
        p.setBrush(colour)
        p.drawPath(path)


def paint_features(p: QPainter, look: theme.Look) -> None:
    """Paint the parts that lie over the places and carry no value: brows, eyes, nose, lips."""
    shape = faceshape.features()
    line = look.tone("feature")
    p.setPen(Qt.PenStyle.NoPen)
    p.setBrush(look.tone("hair"))
    p.drawPath(shape.brows)
    p.setBrush(look.tone("lips"))
    p.drawPath(shape.lower_lip)
    p.setBrush(theme.mixed(look.tone("lips"), look.tone("hair"), 0.28))
    p.drawPath(shape.upper_lip)
    p.setBrush(Qt.BrushStyle.NoBrush)
    for path, width, alpha in ((shape.lids, 2.0, 0.95), (shape.nose, 1.7, 0.6), (shape.lines, 1.5, 0.35)):
        p.setPen(
            QPen(
                theme.faded(line, alpha),
                width,
                Qt.PenStyle.SolidLine,
                Qt.PenCapStyle.RoundCap,
                Qt.PenJoinStyle.RoundJoin,
            )
        )
        p.drawPath(path)
