# SPDX-License-Identifier: MIT
"""A strip across a page that says what is going on and offers what can be done; takes no room when all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from roller_host.dashboard import theme
from roller_host.dashboard.surface import Painted, paint_tone_sign

if TYPE_CHECKING:
    from roller_host.dashboard.messages import Action, Message
    from roller_host.dashboard.passkey import PasskeyRow


ROOM_PX = 400
"""Least room for text, sign and margins, px."""


class Banner(Painted):
    """Shows one `Message`.

    Parameters
    ----------
    name : str
        What it is about, for screen readers.
    actions : tuple of Action
        Buttons that may be offered here; others in a message are left out.
    passkey : PasskeyRow, optional
        Shown while a message asks for a passkey.
    """

    pressed = Signal(object)
    """The `Action` of the button."""

    def __init__(
        self,
        name: str,
        actions: tuple[Action, ...],
        parent: QWidget | None = None,
        passkey: PasskeyRow | None = None,
    ) -> None:
        super().__init__(name, parent)
        self._message: Message | None = None
        self._text = QLabel(self)
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._passkey = passkey
        self._controls = QWidget(self)
        self._controls.setObjectName("plain")
        controls = QHBoxLayout(self._controls)
        controls.setContentsMargins(0, 0, 0, 0)
        controls.setSpacing(8)
        self.buttons: dict[Action, QPushButton] = {}
        for action in actions:
            button = self.buttons[action] = QPushButton(action.value, self._controls)
            button.clicked.connect(lambda _=False, action=action: self.pressed.emit(action))
            controls.addWidget(button)
        if passkey is not None:
            controls.addWidget(passkey)
        self._layout = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._layout.setSpacing(8)
        self._layout.addWidget(self._text, 1)
        self._layout.addWidget(self._controls)
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
        if self._passkey is not None:
            self._passkey.setVisible(bool(message and message.passkey_of))
        self.setVisible(message is not None)
        if message is None:
            self.describe("")
            return
        title, text = (part.replace("&", "&amp;").replace("<", "&lt;") for part in (message.title, message.text))
        self._text.setText(_joined(f"<b>{title}</b>" if title else "", text))
        self.describe(_joined(message.spoken or message.title, message.text))
        if self._passkey is not None:
            self._passkey.set_question(message.passkey_of, message.text)
        for action, button in self.buttons.items():
            button.setVisible(action in message.actions)
        self._controls.setVisible(bool(message.passkey_of or message.actions))
        self._arrange()
        self.update()

    def _arrange(self) -> None:
        """Put the controls beside the text where that leaves enough room for it, else below."""
        beside = self.width() - self._controls.sizeHint().width() >= ROOM_PX
        way = QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom
        self._layout.setDirection(way)
        self._layout.setAlignment(
            self._controls, Qt.AlignmentFlag.AlignVCenter if beside else Qt.AlignmentFlag.AlignLeft
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Find a place for the controls."""
        super().resizeEvent(event)
        self._arrange()

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
            paint_tone_sign(p, self.look, self._message.tone, 26.0, self._text.geometry().center().y() + 0.5)
            if self._message.share is not None:
                p.setPen(Qt.PenStyle.NoPen)
                for share, alpha in ((1.0, 0.2), (self._message.share, 1.0)):
                    p.setBrush(theme.faded(tone, alpha))
                    p.drawRoundedRect(QRectF(48, box.bottom() - 10, (box.width() - 60) * share, 4), 2, 2)


def _joined(title: str, text: str) -> str:
    return f"{title}. {text}" if title else text
