# SPDX-License-Identifier: MIT
"""What can be done with the chosen roller beside connecting: identify, rename, forget; or what it is to play."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from roller_host.dashboard.surface import Choice, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roller_host.dashboard.session import RollerChoice

LONGEST_NAME = 40


class RollerActions(QStackedWidget):
    """A strip below the list; it asks back where something would be lost, without a window of its own."""

    asked_identify = Signal(object)
    asked_rename = Signal(object, str)
    asked_forget = Signal(object)
    asked_start = Signal(object)
    """The roller to connect to at the start, or None."""
    asked_scenario = Signal(str)
    """Key of the simulated choice to play."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choice: RollerChoice | None = None
        self.identify = _button("&Identify", "Let this roller blink and buzz, to tell two apart", self._identify)
        self.rename = _button("&Rename", "Give this roller a name of its own (F2)", self._ask_name)
        self.forget = _button("&Forget", "Know this roller no longer (Delete)", self._ask_forget)
        self.at_start = Tick("Connect to this roller when the program &starts")
        self.at_start.clicked.connect(lambda on: self.asked_start.emit(self._choice if on else None))
        self.scenario = Choice()
        self.scenario.setAccessibleName("What the simulated roller plays")
        self.scenario.activated.connect(lambda i: self.asked_scenario.emit(self.scenario.itemData(i)))
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of this roller")
        self.name.setMaxLength(LONGEST_NAME)
        self.name.returnPressed.connect(self._save_name)
        self._question = QLabel()
        self.save = _button("Save", "Take this name (Enter)", self._save_name)
        self.really_forget = _button("Forget it", "Forget this roller", self._forget)
        self._about = QLabel()
        self._about.setWordWrap(True)
        self._about.setProperty("role", "dim")
        plays = QLabel("&Plays")
        plays.setBuddy(self.scenario)
        named = QLabel("&Name")
        named.setBuddy(self.name)
        self._nothing = _strip()
        self._real = _strip(self.identify, self.rename, self.forget, None, below=self.at_start)
        self._simulated = _strip(plays, self.scenario, None, below=self._about)
        self._naming = _strip(named, self.name, self.save, _button("Cancel", "Keep the name (Esc)", self.cancel))
        self._forgetting = _strip(
            self._question, None, self.really_forget, _button("Keep it", "Forget nothing (Esc)", self.cancel)
        )
        for page in (self._nothing, self._real, self._simulated, self._naming, self._forgetting):
            self.addWidget(page)

    def set_choice(self, choice: RollerChoice | None, scenarios: Sequence[RollerChoice] = ()) -> None:
        """Take the chosen roller; a question about it stays open while it stays the same roller."""
        same = self._choice is not None and choice is not None and choice.key == self._choice.key
        self._choice = choice
        if choice is not None and choice.simulated:
            self._set_scenarios(choice, scenarios)
        elif choice is not None:
            self.identify.setEnabled(not choice.taken)
            for widget in (self.rename, self.forget, self.at_start):
                widget.setEnabled(choice.known)
            with QSignalBlocker(self.at_start):
                self.at_start.setChecked(choice.at_start)
        if not (self._asks() and same):
            self._show_page()

    def _set_scenarios(self, choice: RollerChoice, scenarios: Sequence[RollerChoice]) -> None:
        with QSignalBlocker(self.scenario):
            if [one.key for one in scenarios] != [self.scenario.itemData(i) for i in range(self.scenario.count())]:
                self.scenario.clear()
                for one in scenarios:
                    self.scenario.addItem(one.scenario.replace("_", " "), one.key)
            self._about.setText(choice.detail)
            self.scenario.setCurrentIndex(self.scenario.findData(choice.key))

    def _show_page(self) -> None:
        choice = self._choice
        page = self._nothing if choice is None else self._simulated if choice.simulated else self._real
        self.setCurrentWidget(page)

    def cancel(self) -> None:
        """Ask nothing any more; harmless when nothing is asked."""
        if self._asks():
            self._show_page()
            self.rename.setFocus()

    def _asks(self) -> bool:
        return self.currentWidget() in (self._naming, self._forgetting)

    def _identify(self) -> None:
        self.asked_identify.emit(self._choice)

    def ask_name(self) -> None:
        """Begin to rename the chosen roller, where that is possible."""
        if self.rename.isVisibleTo(self) and self.rename.isEnabled():
            self._ask_name()

    def _ask_name(self) -> None:
        if self._choice is not None:
            self.name.setText(self._choice.title)
            self.name.selectAll()
            self.setCurrentWidget(self._naming)
            self.name.setFocus()

    def _save_name(self) -> None:
        self.asked_rename.emit(self._choice, self.name.text())
        self.cancel()

    def ask_forget(self) -> None:
        """Ask whether to forget the chosen roller, where that is possible."""
        if self.forget.isVisibleTo(self) and self.forget.isEnabled():
            self._ask_forget()

    def _ask_forget(self) -> None:
        if self._choice is not None:
            self._question.setText(f"Forget {self._choice.title}, its name and its keys?")
            self.setCurrentWidget(self._forgetting)
            self.really_forget.setFocus()

    def _forget(self) -> None:
        choice = self._choice
        self.cancel()
        self.asked_forget.emit(choice)


def _button(text: str, tip: str, act: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(act)
    return button


def _strip(*widgets: QWidget | None, below: QWidget | None = None) -> QWidget:
    """Widgets in a row, None for a stretch, and one below."""
    page = QWidget()
    page.setObjectName("plain")
    row = QHBoxLayout()
    row.setSpacing(8)
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            row.addWidget(widget)
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(8)
    column.addLayout(row)
    if below is not None:
        column.addWidget(below)
    column.addStretch(1)
    return page
