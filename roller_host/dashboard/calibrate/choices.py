# SPDX-License-Identifier: MIT
"""The buttons of a step: what Enter does stands first, and each has a letter of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from roller_host.dashboard import theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roller_host.guide.step import Choice


_SHORT = 8
"""Buttons with no more letters stand side by side below the others."""
_NO_HINTS: Mapping[str, str] = {}


class ChoiceButtons(QWidget):
    """Buttons for the choices of a step, one below the other."""

    pressed = Signal(str)
    """Key of the choice."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self.setAccessibleName("Choices")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.buttons: dict[str, QPushButton] = {}
        self._captions: dict[str, QLabel] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        self._short = QHBoxLayout()
        self._short.setSpacing(8)
        self._layout.addLayout(self._short)

    def set_choices(self, choices: Sequence[Choice], hints: Mapping[str, str] = _NO_HINTS) -> None:
        """Show choices; the focus stays on a button that can be pressed, else it waits for the first one.

        Parameters
        ----------
        choices : sequence of Choice
            In any order.
        hints : mapping of str to str, optional
            By key, where the hint of the choice is not right for a window.
        """
        choices = sorted(choices, key=lambda choice: not choice.primary)
        primary = next((choice.key for choice in choices if choice.primary), None)
        if ([choice.key for choice in choices], primary) != (list(self.buttons), self.primary()):
            self._rebuild(choices)
        told = [choice.label.partition(": ") for choice in choices]
        for choice, label, (_, _, more) in zip(choices, lettered([label for label, _, _ in told]), told, strict=True):
            button, caption = self.buttons[choice.key], self._captions[choice.key]
            words = words_of(more, hints.get(choice.key, choice.hint))
            if (label, choice.enabled, words) != (button.text(), button.isEnabled(), button.accessibleDescription()):
                button.setText(label)
                if self._holds_focus(button) and not choice.enabled:
                    # Else Qt gives the focus to the next button, and the next key presses it.
                    self.setFocus()
                button.setEnabled(choice.enabled)
                button.setAccessibleDescription(words)
                button.setToolTip(words)
                # What can be done is told by its label, but for forms that differ in more than that.
                caption.setText(more if choice.enabled and not choice.primary else words)
                caption.setVisible(bool(caption.text()) and self._layout.indexOf(caption) >= 0)
        if self._holds_focus(self):
            self.focus_first()

    def primary(self) -> str | None:
        """Key of what Enter does now."""
        return next((key for key, one in self.buttons.items() if one.property("role") == "primary"), None)

    def _holds_focus(self, widget: QWidget) -> bool:
        """Keys go to it, or will as soon as the window is active again."""
        return focused_beside(self) is widget

    def _rebuild(self, choices: Sequence[Choice]) -> None:
        focused = any(self._holds_focus(button) for button in self.buttons.values())
        for old in (*self.buttons.values(), *self._captions.values()):
            for layout in (self._layout, self._short):
                layout.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._captions = {}
        self.buttons = {choice.key: self._button(choice) for choice in choices}
        if focused:
            self.focus_first()

    def focus_first(self) -> None:
        """Put the focus on what Enter does; on no button when that cannot be done, lest one is pressed by mistake."""
        primary = self.primary()
        if primary is not None and self.buttons[primary].isEnabled():
            self.buttons[primary].setFocus()
        else:
            self.setFocus()

    def _button(self, choice: Choice) -> QPushButton:
        button = QPushButton(self)
        button.setMinimumHeight(40)
        if choice.primary:
            button.setProperty("role", "primary")
        button.clicked.connect(lambda _=False, key=choice.key: self.pressed.emit(key))
        caption = self._captions[choice.key] = QLabel(self)
        caption.setProperty("role", "dim")
        caption.setFont(theme.font(13))
        caption.setWordWrap(True)
        caption.hide()
        # What cannot be done says why not, and needs the room for it.
        if len(choice.label) <= _SHORT and choice.enabled and not choice.primary:
            self._short.addWidget(button)
        else:
            for widget in (button, caption):
                self._layout.insertWidget(self._layout.count() - 1, widget)
        button.show()
        return button


def focused_beside(widget: QWidget) -> QWidget | None:
    """What has the focus in the same window, or would if that were active."""
    return widget.window().focusWidget()


def words_of(more: str, hint: str) -> str:
    """What stands below a button."""
    return "; ".join(part for part in (more, hint) if part)


def lettered(labels: Sequence[str]) -> list[str]:
    """Mark a letter in each label, the first that is free, as Qt's labels do; where none is free there is none."""
    taken: set[str] = set()
    out: list[str] = []
    for label in labels:
        i = next((i for i, c in enumerate(label) if c.isalnum() and c.isascii() and c.lower() not in taken), None)
        if i is not None:
            taken.add(label[i].lower())
        shown = [c.replace("&", "&&") for c in label]
        out.append("".join("&" + c if at == i else c for at, c in enumerate(shown)))
    return out
