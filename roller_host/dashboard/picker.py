# SPDX-License-Identifier: MIT
"""Choose a roller: the simulated one stands beside the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QPaintEvent, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from roller_host.dashboard import faceshape, theme
from roller_host.dashboard.banner import Banner
from roller_host.dashboard.facemap import paint_features, paint_person
from roller_host.dashboard.messages import (
    Action,
    Message,
    counted_down,
    held_message,
    link_message,
    offer_message,
)
from roller_host.dashboard.passkey import PasskeyRow
from roller_host.dashboard.rolleractions import RollerActions
from roller_host.dashboard.rollerlist import RollerList
from roller_host.dashboard.surface import Painted
from roller_host.link.states import LinkPhase, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roller_host.dashboard.session import Interrupted, RollerChoice, Rollers

TALL_PX = 660
"""From here on there is room for what is not needed."""
AGEING_MS = 1000
"""How often the ages of signals are shown anew, ms."""


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


class PickerPage(QWidget):
    """List of rollers with search and connect, what can be done with each, and what the link is doing."""

    asked_scan = Signal()
    asked_connect = Signal(object)
    asked_stop = Signal()
    asked_pair_again = Signal()
    asked_go_on = Signal(object)
    asked_leave_it = Signal(object)
    asked_theme = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self._state = LinkState(LinkPhase.OFF)
        self.busy = False
        """A link is being made, or held."""
        self._offer: Interrupted | None = None
        self.portrait = Portrait(self)
        self.offer = Banner("Interrupted session", (Action.GO_ON, Action.LEAVE), self)
        self.offer.buttons[Action.GO_ON].setProperty("role", "primary")
        self.offer.pressed.connect(self._answer_offer)
        self.list = RollerList(self)
        self.list.itemActivated.connect(self._connect)
        self.list.chosen_changed.connect(self._show_choice)
        self.choice_actions = RollerActions(self)
        self.choice_actions.asked_scenario.connect(self.list.play)
        self.passkey = PasskeyRow(self)
        self.banner = Banner("Link", (Action.PAIR_AGAIN,), self, self.passkey)
        self.banner.pressed.connect(self.asked_pair_again)
        self.connect_button = _button("Connect", "Connect to the chosen roller (Enter)", self._connect_or_stop)
        self.connect_button.setProperty("role", "primary")
        self.connect_button.setEnabled(False)
        self.scan_button = _button("Search for rollers", "Look for rollers nearby (F5)", self.asked_scan.emit)
        self.theme_button = _button("Light", "Change between light and dark (Ctrl+T)", self.asked_theme.emit)
        text = "See while you roll: is the pressure comfortable, does the stroke go the right way?"
        self._about = _label(text, role="dim")
        self._ageing = QTimer(self)
        self._ageing.timeout.connect(self.list.viewport().update)
        self._ageing.start(AGEING_MS)
        for keys, act in (("F2", self.choice_actions.ask_name), ("Del", self.choice_actions.ask_forget)):
            shortcut = QShortcut(QKeySequence(keys), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)
        self._lay_out()

    def _lay_out(self) -> None:
        title = _label("Choose a roller")
        title.setFont(theme.font(30, bold=True))
        about = self._about
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
        for widget in (title, about, self.offer):
            side.addWidget(widget)
        side.addWidget(self.list, 100)
        for widget in (self.choice_actions, self.banner):
            side.addWidget(widget)
        side.addLayout(buttons)
        side.addStretch(3)
        bottom = QHBoxLayout()
        bottom.addWidget(foot, 1)
        bottom.addWidget(self.theme_button)
        side.addLayout(bottom)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(40, 28, 40, 24)
        layout.setSpacing(44)
        layout.addWidget(self.portrait, 4)
        layout.addLayout(side, 5)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Do without the explanation where room is short."""
        super().resizeEvent(event)
        self._about.setVisible(self.height() >= TALL_PX)

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme for the rows."""
        self.list.set_look(look)

    def set_choices(self, choices: Sequence[RollerChoice]) -> None:
        """Show rollers; the chosen one stays chosen."""
        self.list.set_choices(choices)

    def choices(self) -> list[RollerChoice]:
        """The rollers shown, every scenario of the simulated one among them."""
        return self.list.choices()

    def chosen(self) -> RollerChoice | None:
        """The chosen roller."""
        return self.list.chosen()

    def set_rollers(self, rollers: Rollers) -> None:
        """Take what a search found or an intent changed."""
        self.set_choices(rollers.choices)
        if rollers.problem:
            self.banner.set_message(Message("", rollers.problem, "bad"))
        elif rollers.note:
            self.banner.set_message(Message("", rollers.note, "accent"))

    def set_offer(self, offer: Interrupted | None) -> None:
        """Offer to go on with a session, or offer nothing any more."""
        self._offer = offer
        self.offer.set_message(offer_message(offer) if offer else None)

    def has_offer(self) -> bool:
        """Whether a session that was cut off is on offer."""
        return self._offer is not None

    def set_state(self, state: LinkState) -> None:
        """Take what the link is doing."""
        self._state = state
        self.banner.set_message(link_message(state) or held_message(state))
        was_busy = self.busy
        # A search scans as well, and so does an attempt to connect: scanning alone tells neither.
        if state.over or state.phase is LinkPhase.OFF:
            self.busy = False
        elif state.phase is not LinkPhase.SCANNING:
            self.busy = True
        self.list.setEnabled(not self.busy)
        self.scan_button.setEnabled(not self.busy and state.phase is not LinkPhase.SCANNING)
        self._show_choice()
        # A passkey that is asked for has the focus already.
        if self.busy is not was_busy and not state.wants_passkey:
            (self.connect_button if self.busy else self.list).setFocus()

    def show_waiting(self, waited_s: float) -> None:
        """Count a pause down, ``waited_s`` after the newest state."""
        if self._state.retry_s is not None:
            self.banner.set_message(link_message(counted_down(self._state, waited_s)))

    def _show_choice(self) -> None:
        """What can be done depends on the chosen roller and on the link."""
        chosen, busy = self.chosen(), self.busy
        self.choice_actions.set_choice(chosen, self.list.scenarios())
        self.choice_actions.setEnabled(not busy)
        self.offer.setEnabled(not busy)
        held = self._state.phase is LinkPhase.STREAMING
        self.connect_button.setText("Disconnect" if held else "Stop" if busy else "Connect")
        self.connect_button.setProperty("role", "" if busy else "primary")
        self.connect_button.style().polish(self.connect_button)
        tip = "Leave the roller (Ctrl+D)" if held else "Do not connect (Esc)"
        self.connect_button.setToolTip(tip if busy else "Connect to the chosen roller (Enter)")
        # Also for a roller that was heard to be taken: it may be free by now, and the attempt tells.
        self.connect_button.setEnabled(busy or chosen is not None)

    def _connect(self) -> None:
        chosen = self.chosen()
        if chosen is not None:
            self.asked_connect.emit(chosen)

    def _connect_or_stop(self) -> None:
        if self.busy:
            self.asked_stop.emit()
        else:
            self._connect()

    def _answer_offer(self, action: Action) -> None:
        (self.asked_go_on if action is Action.GO_ON else self.asked_leave_it).emit(self._offer)


def _button(text: str, tip: str, act: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(act)
    return button


def _label(text: str, role: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    if role:
        label.setProperty("role", role)
    return label
