# SPDX-License-Identifier: MIT
"""Choose a roller: the simulated one stands beside the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from roller_host.dashboard import faceshape, theme, words
from roller_host.dashboard.facemap import paint_features, paint_person
from roller_host.dashboard.surface import Painted
from roller_host.link.states import LinkPhase, LinkState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roller_host.dashboard.session import RollerChoice, Rollers

_ROW_HEIGHT = 78
_CHOICE = Qt.ItemDataRole.UserRole
_BUSY = frozenset({LinkPhase.CONNECTING, LinkPhase.SUBSCRIBED})
_TROUBLE = frozenset({LinkPhase.NO_BLUETOOTH, LinkPhase.LOST, LinkPhase.REFUSED, LinkPhase.STALLED})


class Portrait(Painted):
    """The face of the face map without values: what this program is about."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Picture of a face with the places that can be rolled", parent)
        self.setMinimumWidth(280)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the person, the places all lightly tinted."""
        del event
        with self.painter() as p:
            frame = faceshape.FRAME
            scale = min(self.width() / frame.width(), self.height() / frame.height())
            p.translate(self.rect().toRectF().center() - frame.center() * scale)
            p.scale(scale, scale)
            paint_person(p, self.look)
            p.setPen(Qt.PenStyle.NoPen)
            for i, path in enumerate(faceshape.places().values()):
                p.setBrush(theme.faded(self.look.filled(0.25 + 0.5 * (i // 2 % 4) / 3), 0.85))
                p.drawPath(path)
            paint_features(p, self.look)


class ChoiceDelegate(QStyledItemDelegate):
    """Paints one roller: sign, name, detail."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.look = theme.DARK

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Room for two lines."""
        return QSize(super().sizeHint(option, index).width(), _ROW_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Paint a roller as a card."""
        choice: RollerChoice = index.data(_CHOICE)
        state: QStyle.StateFlag = option.state  # pyright: ignore[reportAttributeAccessIssue]
        box = QRectF(option.rect).adjusted(1.5, 4, -1.5, -4)  # pyright: ignore[reportAttributeAccessIssue]
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        accent = self.look.tone("accent")
        painter.setPen(QPen(accent if chosen else self.look.tone("line"), 2.0 if chosen else 1.0))
        painter.setBrush(theme.mixed(self.look.tone("card"), accent, 0.10 if chosen else 0.0))
        painter.drawRoundedRect(box, 12, 12)
        self._paint_sign(painter, box, choice)
        text = box.adjusted(66, 13, -16, -13)
        painter.setFont(theme.font(16, strong=True))
        painter.setPen(self.look.tone("ink"))
        painter.drawText(text, Qt.AlignmentFlag.AlignTop, choice.title)
        painter.setFont(theme.font(13))
        painter.setPen(self.look.tone("dim"))
        painter.drawText(text, Qt.AlignmentFlag.AlignBottom, choice.detail)
        painter.restore()

    def _paint_sign(self, p: QPainter, box: QRectF, choice: RollerChoice) -> None:
        """A roller: filled when real, dashed when simulated."""
        tone = self.look.tone("accent" if choice.simulated else "good")
        p.save()
        p.translate(box.left() + 36, box.center().y())
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(theme.faded(tone, 0.16))
        p.drawEllipse(QRectF(-20, -20, 40, 40))
        style = Qt.PenStyle.DotLine if choice.simulated else Qt.PenStyle.SolidLine
        p.setPen(QPen(tone, 2.2, style, Qt.PenCapStyle.RoundCap))
        p.setBrush(Qt.BrushStyle.NoBrush if choice.simulated else theme.faded(tone, 0.5))
        p.rotate(35)
        p.drawRoundedRect(QRectF(-10, -12, 20, 9), 4, 4)
        p.setPen(QPen(tone, 2.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        p.drawLine(0, -2, 0, 12)
        p.restore()


class PickerPage(QWidget):
    """List of rollers with search and connect."""

    asked_scan = Signal()
    asked_connect = Signal(object)
    asked_theme = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.portrait = Portrait(self)
        self.list = QListWidget(self)
        self.list.setAccessibleName("Rollers")
        self.list.setMouseTracking(True)
        self._delegate = ChoiceDelegate(self.list)
        self.list.setItemDelegate(self._delegate)
        self.list.itemActivated.connect(self._connect_item)
        self.list.currentRowChanged.connect(lambda row: self.connect_button.setEnabled(row >= 0))
        self.status = _label("", role="dim")
        self.status.setMinimumHeight(44)
        self.connect_button = QPushButton("Connect", self)
        self.connect_button.setProperty("role", "primary")
        self.connect_button.setToolTip("Connect to the chosen roller (Enter)")
        self.connect_button.setEnabled(False)
        self.connect_button.clicked.connect(lambda: self._connect_item(self.list.currentItem()))
        self.scan_button = QPushButton("Search for rollers", self)
        self.scan_button.setToolTip("Look for rollers nearby (F5)")
        self.scan_button.clicked.connect(self.asked_scan)
        self.theme_button = QPushButton("Light", self)
        self.theme_button.setToolTip("Change between light and dark (Ctrl+T)")
        self.theme_button.clicked.connect(self.asked_theme)
        self._lay_out()

    def _lay_out(self) -> None:
        title = _label("Choose a roller")
        title.setFont(theme.font(30, bold=True))
        about = _label("See while you roll: is the pressure comfortable, does the stroke go the right way?", role="dim")
        about.setFont(theme.font(15))
        foot = _label("Not a medical device. Stop when it hurts.", role="dim")
        foot.setFont(theme.font(13))
        buttons = QHBoxLayout()
        buttons.setSpacing(10)
        for button in (self.connect_button, self.scan_button):
            button.setMinimumHeight(42)
            buttons.addWidget(button, 1)
        side = QVBoxLayout()
        side.setSpacing(10)
        side.addStretch(2)
        for widget in (title, about):
            side.addWidget(widget)
        side.addSpacing(12)
        side.addWidget(self.list, 12)
        side.addWidget(self.status)
        side.addLayout(buttons)
        side.addStretch(3)
        bottom = QHBoxLayout()
        bottom.addWidget(foot, 1)
        bottom.addWidget(self.theme_button)
        side.addLayout(bottom)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(48, 28, 48, 24)
        layout.setSpacing(56)
        layout.addWidget(self.portrait, 5)
        layout.addLayout(side, 5)
        self.setTabOrder(self.list, self.connect_button)
        self.setTabOrder(self.connect_button, self.scan_button)

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme for the rows."""
        self._delegate.look = look
        self.list.viewport().update()

    def set_choices(self, choices: Sequence[RollerChoice]) -> None:
        """Show rollers; the chosen one stays chosen."""
        chosen = self.chosen()
        self.list.clear()
        for choice in choices:
            item = QListWidgetItem(f"{choice.title}, {choice.detail}")
            item.setData(_CHOICE, choice)
            self.list.addItem(item)
            if chosen is not None and choice.key == chosen.key:
                self.list.setCurrentItem(item)
        n_rows = len(choices)
        self.list.setMinimumHeight(_ROW_HEIGHT * min(max(n_rows, 1), 2) + 2)
        self.list.setMaximumHeight(_ROW_HEIGHT * max(n_rows, 1) + 2)
        if self.list.currentRow() < 0 and choices:
            self.list.setCurrentRow(0)

    def choices(self) -> list[RollerChoice]:
        """The rollers shown."""
        return [self.list.item(i).data(_CHOICE) for i in range(self.list.count())]

    def chosen(self) -> RollerChoice | None:
        """The chosen roller."""
        return self.list.currentItem().data(_CHOICE) if self.list.currentRow() >= 0 else None

    def set_rollers(self, rollers: Rollers) -> None:
        """Take what a search found."""
        self.set_choices(rollers.choices)
        if rollers.problem:
            self._say(rollers.problem, problem=True)

    def set_state(self, state: LinkState) -> None:
        """Take what the link is doing."""
        busy = state.phase in _BUSY
        self.list.setEnabled(not busy)
        self.connect_button.setEnabled(not busy and self.chosen() is not None)
        self.scan_button.setEnabled(not busy and state.phase is not LinkPhase.SCANNING)
        if state.phase in _TROUBLE:
            parts = [f"{words.opening(state.phase.value)}.", state.reason, state.action]
            self._say(" ".join(part for part in parts if part), problem=True)
        elif state.phase is LinkPhase.SCANNING:
            self._say(state.reason or "Looking for rollers nearby…")
        elif busy:
            self._say(f"Connecting to {state.device or 'the roller'}…")
        else:
            self._say(state.reason)

    def _say(self, text: str, *, problem: bool = False) -> None:
        self.status.setText(text)
        self.status.setProperty("role", "problem" if problem else "dim")
        self.status.style().polish(self.status)

    def _connect_item(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.asked_connect.emit(item.data(_CHOICE))


def _label(text: str, role: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    if role:
        label.setProperty("role", role)
    return label
