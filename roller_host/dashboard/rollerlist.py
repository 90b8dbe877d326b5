# SPDX-License-Identifier: MIT
"""The list of rollers: known ones, others nearby, the simulated one; each with its signal and how old that is."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from roller_host.dashboard import theme, words
from roller_host.dashboard.session import RollerChoice
from roller_host.link.states import LinkPhase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROW_HEIGHT, HEADING_HEIGHT = 72, 32
OLD_S = 30.0
"""A signal heard longer ago than this is shown as a thing of the past, s."""
_CONTENT = Qt.ItemDataRole.UserRole
"""What a row shows: a `RollerChoice`, or the text of a heading."""


def sighting(choice: RollerChoice, now_s: float) -> str:
    """What is known of a roller's nearness, in words.

    Parameters
    ----------
    choice : RollerChoice
        The roller.
    now_s : float
        Time of ``time.monotonic``, s.
    """
    if choice.simulated:
        return ""
    if choice.taken:
        return LinkPhase.TAKEN.value
    if choice.seen_s is None:
        return "not heard yet"
    if choice.rssi_dbm is None:
        return "held by this computer"
    return f"{words.signal(choice.rssi_dbm)[1]} signal, {words.ago(now_s - choice.seen_s)}"


def second_line(choice: RollerChoice) -> str:
    """What stands below a roller's name."""
    if choice.taken:
        return "Close the other program, or its link, to use this roller here"
    if choice.simulated:
        return "in this program, no hardware"
    parts = [choice.detail if choice.known or choice.detail else "not connected here before"]
    if choice.known and choice.seen_s is None:
        parts.append(_last_used(choice.last_used))
    if choice.security_mode >= 3:
        parts.append("asks for a passkey")
    return " · ".join(part for part in parts if part)


def _last_used(iso: str) -> str:
    try:
        then = datetime.fromisoformat(iso)
    except ValueError:
        return ""
    return f"last used {words.ago((datetime.now(then.tzinfo) - then).total_seconds())}"


class RollerList(QListWidget):
    """Rollers in sections.

    Parameters
    ----------
    clock : callable
        Seconds of ``time.monotonic``.
    """

    chosen_changed = Signal()
    """Another roller is chosen, or what is known of it changed."""

    def __init__(self, parent: QWidget | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(parent)
        self._clock = clock
        self._choices: list[RollerChoice] = []
        self._scenario = ""
        self._picked = self._filling = False
        self._delegate = _Delegate(self, clock)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName("Rollers")
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.currentRowChanged.connect(self._note_row)

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme."""
        self._delegate.look = look
        self.viewport().update()

    def choices(self) -> list[RollerChoice]:
        """All rollers, every scenario of the simulated one among them."""
        return list(self._choices)

    def scenarios(self) -> list[RollerChoice]:
        """What the simulated roller can play."""
        return [choice for choice in self._choices if choice.simulated]

    def chosen(self) -> RollerChoice | None:
        """The roller that is chosen."""
        content = self.currentItem().data(_CONTENT) if self.currentItem() else None
        return content if isinstance(content, RollerChoice) else None

    def play(self, key: str) -> None:
        """Let the simulated roller play another scenario, by the key of its choice."""
        self._scenario = key
        self.set_choices(self._choices)

    def set_choices(self, choices: Sequence[RollerChoice]) -> None:
        """Show rollers; the one that the person chose stays chosen, else the first is."""
        self._choices = list(choices)
        chosen = self.chosen()
        contents = self._sections()
        self._filling = True
        if [_kind(self._content(row)) for row in range(self.count())] != [_kind(one) for one in contents]:
            self.clear()
            for content in contents:
                self.addItem(_item(content))
        for row, content in enumerate(contents):
            self.item(row).setData(_CONTENT, content)
            self.item(row).setText(self._spoken(content))
        self._choose(chosen)
        self._filling = False
        self.setMinimumHeight(HEADING_HEIGHT + ROW_HEIGHT)
        self.setMaximumHeight(sum(self.sizeHintForRow(row) for row in range(self.count())) + 2)
        self.chosen_changed.emit()

    def _sections(self) -> list[RollerChoice | str]:
        """Headings and rollers, in order; the simulated roller is one row."""
        known = [choice for choice in self._choices if choice.known and not choice.simulated]
        nearby = [choice for choice in self._choices if not choice.known and not choice.simulated]
        scenarios = self.scenarios()
        played = [choice for choice in scenarios if choice.key == self._scenario] or scenarios
        parts: list[RollerChoice | str] = []
        if known:
            parts += ["Known", *known]
        if nearby or not known:
            parts += ["Nearby" if nearby else "Nearby: none heard yet", *nearby]
        return [*parts, *(["Simulated", played[0]] if played else [])]

    def _choose(self, before: RollerChoice | None) -> None:
        rollers = [
            (row, content) for row in range(self.count()) if isinstance(content := self._content(row), RollerChoice)
        ]
        same = [row for row, roller in rollers if before and self._picked and _kind(roller) == _kind(before)]
        free = [row for row, roller in rollers if not roller.taken]
        self.setCurrentRow((same or free or [-1])[0])

    def _content(self, row: int) -> RollerChoice | str:
        return self.item(row).data(_CONTENT)

    def _note_row(self) -> None:
        if not self._filling:
            self._picked = True
            self.chosen_changed.emit()

    def _spoken(self, content: RollerChoice | str) -> str:
        """What a screen reader says."""
        if isinstance(content, str):
            return content
        parts = (content.title, sighting(content, self._clock()), second_line(content))
        return ", ".join(part for part in parts if part)


def _kind(content: RollerChoice | str) -> str:
    """Rows of one kind can be filled anew without making them anew."""
    return content if isinstance(content, str) else "*" if content.simulated else content.key


def _item(content: RollerChoice | str) -> QListWidgetItem:
    item = QListWidgetItem()
    if isinstance(content, str):
        item.setFlags(Qt.ItemFlag.NoItemFlags)
    item.setData(_CONTENT, content)
    return item


class _Delegate(QStyledItemDelegate):
    """Paints headings and rollers."""

    def __init__(self, parent: QWidget, clock: Callable[[], float]) -> None:
        super().__init__(parent)
        self.look = theme.DARK
        self._clock = clock

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Room for two lines, or for a heading."""
        height = HEADING_HEIGHT if isinstance(index.data(_CONTENT), str) else ROW_HEIGHT
        return QSize(super().sizeHint(option, index).width(), height)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Paint a heading, or a roller as a card."""
        content = index.data(_CONTENT)
        state: QStyle.StateFlag = option.state  # pyright: ignore[reportAttributeAccessIssue]
        area = QRectF(option.rect)  # pyright: ignore[reportAttributeAccessIssue]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if isinstance(content, RollerChoice):
            box = area.adjusted(1.5, 3, -1.5, -3)
            self._paint_surface(painter, box, state)
            self._paint_roller(painter, box, content)
        else:
            painter.setFont(theme.font(13, strong=True))
            painter.setPen(self.look.tone("dim"))
            painter.drawText(area.adjusted(4, 6, 0, -5), Qt.AlignmentFlag.AlignBottom, content)
        painter.restore()

    def _paint_surface(self, p: QPainter, box: QRectF, state: QStyle.StateFlag) -> None:
        chosen, accent = bool(state & QStyle.StateFlag.State_Selected), self.look.tone("accent")
        p.setPen(QPen(accent if chosen else self.look.tone("line"), 2.0 if chosen else 1.0))
        p.setBrush(theme.mixed(self.look.tone("card"), accent, 0.10 if chosen else 0.0))
        p.drawRoundedRect(box, 12, 12)

    def _paint_roller(self, p: QPainter, box: QRectF, choice: RollerChoice) -> None:
        now_s = self._clock()
        self._paint_sign(p, box, choice)
        right = self._paint_sighting(p, box, choice, now_s)
        text = box.adjusted(62, 11, 0, -11)
        ink, dim = self.look.tone("ink"), self.look.tone("dim")
        _draw_elided(p, text, right, choice.title, theme.font(16, strong=True), dim if choice.taken else ink)
        below = QRectF(text.left(), text.bottom() - 18, text.width(), 18)
        edge = box.right() - 16 if choice.simulated or choice.taken else right
        start = "connects at start" if choice.at_start else ""
        line = " · ".join(part for part in (second_line(choice), start) if part)
        _draw_elided(p, below, edge, line, theme.font(13), dim)

    def _paint_sighting(self, p: QPainter, box: QRectF, choice: RollerChoice, now_s: float) -> float:
        """Paint how near a roller is, at the right; give back where that begins."""
        told = sighting(choice, now_s)
        right = box.right() - 16
        if not told:
            return right
        face = theme.font(13)
        width = QFontMetricsF(face).horizontalAdvance(told)
        top = box.top() + 13
        old = choice.seen_s is None or now_s - choice.seen_s > OLD_S
        n_bars = words.signal(choice.rssi_dbm)[0] if choice.rssi_dbm is not None and choice.seen_s is not None else 0
        if not choice.taken:
            self._paint_bars(p, QPointF(right - 27, top + 17), n_bars, old=old)
        p.setFont(face)
        p.setPen(self.look.tone("dim" if old and not choice.taken else "low" if choice.taken else "ink"))
        y = top + 14 if choice.taken else box.bottom() - 15
        p.drawText(QPointF(right - width, y), told)
        return right - width - 14

    def _paint_bars(self, p: QPainter, foot: QPointF, n_bars: int, *, old: bool) -> None:
        """Four bars from a left foot; hollow ones are missing."""
        tone = self.look.tone("dim" if old else "good")
        for i in range(4):
            height = 5 + 4 * i
            bar = QRectF(foot.x() + 7 * i, foot.y() - height, 5, height)
            p.setPen(QPen(theme.faded(self.look.tone("dim"), 0.7), 1.0) if i >= n_bars else Qt.PenStyle.NoPen)
            p.setBrush(tone if i < n_bars else Qt.BrushStyle.NoBrush)
            p.drawRoundedRect(bar, 1.5, 1.5)

    def _paint_sign(self, p: QPainter, box: QRectF, choice: RollerChoice) -> None:
        """A roller: filled when real, dashed when simulated, struck through when taken."""
        tone = self.look.tone("dim" if choice.taken else "accent" if choice.simulated else "good")
        p.save()
        p.translate(box.left() + 34, box.center().y())
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(theme.faded(tone, 0.16))
        p.drawEllipse(QRectF(-20, -20, 40, 40))
        style = Qt.PenStyle.DotLine if choice.simulated else Qt.PenStyle.SolidLine
        p.rotate(35)
        p.setPen(QPen(tone, 2.2, style, Qt.PenCapStyle.RoundCap))
        p.setBrush(Qt.BrushStyle.NoBrush if choice.simulated else theme.faded(tone, 0.5))
        p.drawRoundedRect(QRectF(-10, -12, 20, 9), 4, 4)
        p.setPen(QPen(tone, 2.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        p.drawLine(0, -2, 0, 12)
        if choice.taken:
            p.drawLine(-15, 0, 15, 0)
        p.restore()


def _draw_elided(p: QPainter, area: QRectF, right: float, text: str, face: QFont, ink: QColor) -> None:
    """Draw one line at the top of an area, no farther than ``right``."""
    p.setFont(face)
    p.setPen(ink)
    room = right - area.left()
    p.drawText(
        area, Qt.AlignmentFlag.AlignTop, QFontMetricsF(p.font()).elidedText(text, Qt.TextElideMode.ElideRight, room)
    )
