# SPDX-License-Identifier: MIT
"""A field for the six digits on the label of a roller."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QShowEvent, QValidator
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from roller_host.dashboard import theme

N_DIGITS = 6


class _Digits(QValidator):
    """Takes the first six digits of whatever is typed or pasted."""

    def validate(self, text: str, cursor: int) -> tuple[QValidator.State, str, int]:
        """Drop everything else, and keep the cursor behind the digit that it was behind."""
        digits = "".join(filter(str.isdecimal, text))[:N_DIGITS]
        cursor = min(sum(map(str.isdecimal, text[:cursor])), N_DIGITS)
        complete = len(digits) == N_DIGITS
        return QValidator.State.Acceptable if complete else QValidator.State.Intermediate, digits, cursor


class PasskeyRow(QWidget):
    """Field and buttons; has the focus when it appears. Hidden, it keeps what was typed so far."""

    typed = Signal(int)
    """The six digits as a number."""
    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self.field = QLineEdit(self)
        self.field.setValidator(_Digits(self.field))
        self.field.setInputMethodHints(Qt.InputMethodHint.ImhDigitsOnly)
        face = theme.font(theme.LARGE, strong=True)
        face.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, 4)
        self.field.setFont(face)
        self.field.setFixedWidth(QFontMetrics(face).horizontalAdvance("0" * N_DIGITS) + 30)
        self.field.setPlaceholderText("\N{MIDDLE DOT}" * N_DIGITS)
        self.field.textChanged.connect(lambda: self.pair.setEnabled(self.field.hasAcceptableInput()))
        self.field.returnPressed.connect(self._give)
        self.pair = _button("Pair", "Pair with these digits (Enter)")
        self.pair.setProperty("role", "primary")
        self.pair.setEnabled(False)
        self.pair.clicked.connect(self._give)
        self.cancel = _button("Cancel", "Do not pair (Esc)")
        self.cancel.clicked.connect(self.cancelled)
        self._label = QLabel("Pass&key", self)
        self._label.setBuddy(self.field)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for widget in (self._label, self.field, self.pair, self.cancel):
            layout.addWidget(widget)

    def set_question(self, device: str, text: str) -> None:
        """Take the name of the roller and what the person is told, for screen readers."""
        self.field.setAccessibleName(f"Passkey of {device}, six digits")
        self.field.setAccessibleDescription(text)

    def clear(self) -> None:
        """Forget what was typed."""
        self.field.clear()

    def _give(self) -> None:
        if self.field.hasAcceptableInput():
            passkey = int(self.field.text())
            self.clear()
            self.typed.emit(passkey)

    def showEvent(self, event: QShowEvent) -> None:
        """Take the focus; what was typed before is selected, so that typing begins anew."""
        super().showEvent(event)
        self.field.setFocus()
        self.field.selectAll()


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
