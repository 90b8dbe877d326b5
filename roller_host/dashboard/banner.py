# SPDX-License-Identifier: MIT
"""A strip across a page that says what is going on and offers what can be done; takes no room when all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from roller_host.dashboard import theme
from roller_host.dashboard.surface import Painted, paint_tone_sign

if TYPE_CHECKING:
    from roller_host.dashboard.messages import Action, Message


class Banner(Painted):
    """Shows one `Message`.

    Parameters
    ----------
    name : str
        What it is about, for screen readers.
    actions : tuple of Action
        Buttons that may be offered here; others in a message are left out.
    """

    pressed = Signal(object)
    """The `Action` of the button."""

    def __init__(self, name: str, actions: tuple[Action, ...], parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self._message: Message | None = None
        self._text = QLabel(self)
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        layout = self._layout = QHBoxLayout(self)
        layout.setSpacing(8)
        layout.addWidget(self._text)
        self.buttons: dict[Action, QPushButton] = {}
        for action in actions:
            button = self.buttons[action] = QPushButton(action.value, self)
            button.clicked.connect(lambda _=False, action=action: self.pressed.emit(action))
            layout.addWidget(button)
        self.hide()

    def words(self) -> str:
        """What it says now; empty when it is hidden."""
        return _joined(self._message.title, self._message.text) if self._message else ""

    def set_message(self, message: Message | None) -> None:
        """Say something, or nothing."""
        if message == self._message:
            return
        self._message = message
        self._layout.setContentsMargins(48, 10, 12, 17 if message and message.share is not None else 10)
        self.setVisible(message is not None)
        if message is None:
            self.describe("")
            return
        title, text = (part.replace("&", "&amp;").replace("<", "&lt;") for part in (message.title, message.text))
        self._text.setText(_joined(f"<b>{title}</b>" if title else "", text))
        self.describe(_joined(message.spoken or message.title, message.text))
        for action, button in self.buttons.items():
            button.setVisible(action in message.actions)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint a tinted surface, the sign of the tone, and how far a transfer is."""
        del event
        if self._message is None:
            return
        with self.painter() as p:
            tone = self.look.tone(self._message.tone)
            box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
            p.setPen(QPen(theme.faded(tone, 0.6), 1.0))
            p.setBrush(theme.mixed(self.look.tone("card"), tone, 0.10))
            p.drawRoundedRect(box, 12, 12)
            paint_tone_sign(p, self.look, self._message.tone, 26.0, box.center().y())
            if self._message.share is not None:
                p.setPen(Qt.PenStyle.NoPen)
                for share, alpha in ((1.0, 0.2), (self._message.share, 1.0)):
                    p.setBrush(theme.faded(tone, alpha))
                    p.drawRoundedRect(QRectF(48, box.bottom() - 10, (box.width() - 60) * share, 4), 2, 2)


def _joined(title: str, text: str) -> str:
    return f"{title}. {text}" if title else text
