# SPDX-License-Identifier: MIT
"""A guided flow on the screen: instructions and choices at the left, what is measured at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from roller_host.dashboard import theme
from roller_host.dashboard.banner import Banner
from roller_host.dashboard.calibrate.choices import ChoiceButtons, focused_beside
from roller_host.dashboard.calibrate.progress import ShareBar, StepRow
from roller_host.dashboard.messages import Message
from roller_host.dashboard.surface import CARD_PADDING, Card

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roller_host.dashboard.calibrate.panel import Panel
    from roller_host.dashboard.session import Flow
    from roller_host.guide.step import Shown

MARK = "mark"
"""Key of the choice that the space bar stands for."""
PAUSE = "pause"
"""Key of the choice that leaving stands for as well."""
NAMES = {
    "start": "Start",
    "force": "Sensor calibration",
    "scale": "Sensor calibration on a scale",
    "comfort": "Your comfort",
}


class Instructions(Card):
    """Title and text of a step, how far it is, what is wrong, what was done, and the choices."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.setAccessibleName("Instructions")
        self.title = _label(26, bold=True)
        self.text = _label(16)
        self.share = ShareBar(self)
        self.problem = Banner("Problem", (), self)
        self.note = _label(14)
        self.note.setProperty("role", "dim")
        self.choices = ChoiceButtons(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(CARD_PADDING + 4, CARD_PADDING + 4, CARD_PADDING + 4, CARD_PADDING + 4)
        layout.setSpacing(14)
        for widget in (self.title, self.text, self.share, self.problem, self.note):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(self.choices)

    def set_shown(self, shown: Shown, panel: Panel) -> None:
        """Take a step; what the panel offers itself gets no button."""
        _set_text(self.title, shown.title)
        _set_text(self.text, shown.text)
        _set_text(self.note, shown.note)
        self.share.set_share(shown.progress)
        self.problem.set_message(Message("", shown.problem, "bad") if shown.problem else None)
        self.choices.set_choices([choice for choice in shown.choices if choice.key not in panel.takes], panel.hints)


class FlowView(QWidget):
    """Shows one flow.

    Parameters
    ----------
    panels : mapping of Flow to Panel
        What stands at the right in each flow.
    """

    acted = Signal(str, str)
    """Key of a choice, and what was typed or picked with it."""
    left = Signal()
    """The person wants to leave the flow; what it has found so far is kept."""

    def __init__(self, panels: Mapping[Flow, Panel], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self._shown: Shown | None = None
        self._flow: Flow | None = None
        self.heading = _label(theme.LARGE + 2, bold=True)
        self.steps = StepRow(self)
        self.step_words = _label(13)
        self.step_words.setProperty("role", "dim")
        self.step_words.setWordWrap(False)
        self.leave_button = QPushButton("Back", self)
        self.leave_button.setToolTip("Pause and go back to the overview; what was found is kept (Esc)")
        self.leave_button.clicked.connect(self.leave)
        self.instructions = Instructions(self)
        self.instructions.choices.pressed.connect(self.choose)
        self.panels = panels
        self.stack = QStackedWidget(self)
        for panel in panels.values():
            panel.acted.connect(self.acted)
            self.stack.addWidget(panel)
        self._lay_out()
        self._space = self._shortcut(Qt.Key.Key_Space, lambda: self.choose(MARK))
        for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._shortcut(key, self._choose_primary)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(16)
        top.addWidget(self.heading, 1)
        top.addWidget(self.step_words)
        top.addWidget(self.steps)
        top.addWidget(self.leave_button)
        body = QHBoxLayout()
        body.setSpacing(14)
        body.addWidget(self.instructions, 33)
        body.addWidget(self.stack, 67)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addLayout(top)
        layout.addLayout(body, 1)

    def _shortcut(self, key: Qt.Key, act: Callable[[], None]) -> QShortcut:
        context = Qt.ShortcutContext.WidgetWithChildrenShortcut
        shortcut = QShortcut(QKeySequence(key), self, context=context)
        shortcut.setAutoRepeat(False)
        shortcut.activated.connect(act)
        return shortcut

    def set_shown(self, flow: Flow, shown: Shown) -> None:
        """Take what a flow shows now."""
        before, self._shown = self._shown, shown
        focused = focused_beside(self)
        if flow is not self._flow:
            self._open(flow)
            before = None
        self.steps.set_step(shown.i_step, shown.n_steps, over=shown.over)
        _set_text(self.step_words, self.steps.words())
        self.instructions.set_shown(shown, self.panels[flow])
        self.panels[flow].set_shown(shown)
        # Also while nothing can be marked: then it must not press the button that has the focus.
        self._space.setEnabled(any(choice.key == MARK for choice in shown.choices))
        new_step = before is None or before.step != shown.step
        if new_step:
            self._say(f"{shown.title}. {shown.text}")
        if new_step or focused is self.instructions.choices or (focused is not None and not focused.isEnabled()):
            self._take_focus()
        if shown.problem and (before is None or before.problem != shown.problem):
            self._say(shown.problem)
        elif shown.note and (before is None or before.note != shown.note):
            self._say(shown.note)

    def _open(self, flow: Flow) -> None:
        self._flow = flow
        _set_text(self.heading, NAMES[flow.value])
        self.stack.setCurrentWidget(self.panels[flow])

    def _say(self, text: str) -> None:
        """Have a screen reader say something that nobody moved the focus to."""
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, text))

    def choose(self, key: str) -> None:
        """Do one of the choices, if it can be done now."""
        if self._shown is None or self._flow is None:
            return
        if any(choice.key == key and choice.enabled for choice in self._shown.choices):
            self.acted.emit(key, self.panels[self._flow].value(key))

    def _take_focus(self) -> None:
        panel = self.panels[self._flow] if self._flow else None
        if self.instructions.choices.primary() is not None or panel is None or not panel.take_focus():
            self.instructions.choices.focus_first()

    def leave(self) -> None:
        """Pause the flow where it can be paused, and leave it."""
        self.choose(PAUSE)
        self.left.emit()

    def _choose_primary(self) -> None:
        panel = self.panels.get(self._flow) if self._flow else None
        key = (panel.enter_key() if panel else None) or self.instructions.choices.primary()
        if key is not None:
            self.choose(key)
        elif self._shown is not None and self._shown.over:
            self.left.emit()


def _label(px: float, *, bold: bool = False) -> QLabel:
    label = QLabel()
    label.setFont(theme.font(px, bold=bold))
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def _set_text(label: QLabel, text: str) -> None:
    if text != label.text():
        label.setText(text)
        label.setVisible(bool(text))
