# SPDX-License-Identifier: MIT
"""How did that feel: a page that asks about the places that were rolled, and says what each answer changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from firmware_protocol.zones import place_name
from roller_host.dashboard import theme, words
from roller_host.dashboard.calibrate.options import OptionRow
from roller_host.dashboard.surface import CARD_PADDING, Card
from roller_host.signal.limits import STEPS, Answer

if TYPE_CHECKING:
    from roller_host.dashboard.session import Question, Rolled

_WIDEST_PX: Final = 980
_EXPLAINED: Final = (
    f"Too light moves the band of a place up by {100 * (STEPS[Answer.TOO_LIGHT] - 1):.0f} %, too firm moves it down by "
    f"{100 * (1 - STEPS[Answer.TOO_FIRM]):.0f} %: small steps, so that no single day decides much. Ceilings stay. "
    "What you leave open stays as it is."
)
_NOBODY: Final = "Nobody's bands hold in this session. Find your comfort first: then there is something to refine."
_NOTHING: Final = (
    "There is no place to ask about: each is asked about once in a session, "
    "when it was rolled for five seconds or more."
)


class PlaceRow(QWidget):
    """One place: its name, the answers, and what the chosen one does."""

    answered = Signal()

    def __init__(self, rolled: Rolled, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self.place, self._steps = rolled.place, rolled.steps
        self.answer: Answer | None = None
        name = place_name(*rolled.place).capitalize()
        title = _label(name, theme.BODY, strong=True)
        title.setMinimumWidth(130)
        time = _label(f"{words.clock(int(rolled.contact_s))} min", 13, role="dim")
        self.options = OptionRow(name, self.choose)
        self.options.set_options([(answer.value, answer.value.capitalize()) for answer in Answer])
        self.step = _label("", 13, role="dim")
        self.step.setWordWrap(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        for widget, share in ((title, 0), (time, 0), (self.options, 0), (self.step, 1)):
            layout.addWidget(widget, share)

    def choose(self, answer: str) -> None:
        """Take an answer and say what it does."""
        self.answer = Answer(answer)
        self.options.choose(answer)
        step = self._steps[self.answer]
        self.step.setText(f"{step[:1].upper()}{step[1:]}")
        self.options.setAccessibleDescription(step)
        for option in self.options.options.values():
            option.setAccessibleDescription(step if option.isChecked() else "")
        self.answered.emit()


class FeelPage(QWidget):
    """Asks one `Question`; Enter keeps the answers, Esc skips all."""

    answered = Signal(object)
    """Mapping of place to `Answer`, at least one."""
    left = Signal()
    """The page is done with, answered or not."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.setAccessibleName("How did that feel?")
        self.card = Card("", self)
        self.card.setMaximumWidth(_WIDEST_PX)
        self.title = _label("How did that feel?", 26, strong=True)
        self.text = _label("", 15)
        self.text.setWordWrap(True)
        self.rows: list[PlaceRow] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(10)
        self.area = _scrolling(self._list)
        self.keep_button = QPushButton("&Keep")
        self.keep_button.setProperty("role", "primary")
        self.keep_button.setToolTip("Move the bands as it says (Enter)")
        self.keep_button.clicked.connect(self.keep)
        self.skip_button = QPushButton("&Skip all")
        self.skip_button.setToolTip("Change nothing (Esc)")
        self.skip_button.clicked.connect(self.left)
        self._lay_out()
        for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            context = Qt.ShortcutContext.WidgetWithChildrenShortcut
            QShortcut(QKeySequence(key), self, context=context).activated.connect(self._press)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.skip_button, self.keep_button):
            button.setMinimumSize(120, 40)
            buttons.addWidget(button)
        inner = QVBoxLayout(self.card)
        inner.setContentsMargins(*(CARD_PADDING + 6,) * 4)
        inner.setSpacing(14)
        for widget in (self.title, self.text):
            inner.addWidget(widget)
        inner.addWidget(self.area, 1)
        inner.addLayout(buttons)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(18, 18, 18, 18)
        layout.addStretch(0)
        layout.addWidget(self.card, 1)
        layout.addStretch(0)

    def set_question(self, question: Question) -> None:
        """Ask about other places; nothing is answered yet."""
        for row in self.rows:
            row.hide()
            row.deleteLater()
        self.rows = [PlaceRow(rolled) for rolled in question.places]
        for i, row in enumerate(self.rows):
            self._list.insertWidget(i, row)
            row.answered.connect(self._show_answers)
        self.area.verticalScrollBar().setValue(0)
        self.title.setText(f"How did that feel, {question.person}?" if question.person else "How did that feel?")
        self.text.setText(_EXPLAINED if question.places else _NOTHING if question.person else _NOBODY)
        self.setAccessibleDescription(self.text.text())
        self.keep_button.setVisible(bool(self.rows))
        self.skip_button.setText("&Skip all" if self.rows else "&Back")
        self._show_answers()

    def take_focus(self) -> None:
        """Put the focus on the first answer."""
        first = next(iter(self.rows[0].options.options.values())) if self.rows else self.skip_button
        first.setFocus(Qt.FocusReason.TabFocusReason)

    def answers(self) -> dict[tuple[str, str], Answer]:
        """What was answered so far."""
        return {row.place: row.answer for row in self.rows if row.answer is not None}

    def keep(self) -> None:
        """Hand on the answers, if there are any."""
        if answers := self.answers():
            self.answered.emit(answers)
            self.left.emit()

    def _press(self) -> None:
        """Enter presses the button that has the focus, else it keeps the answers."""
        if not self.rows or self.skip_button.hasFocus():
            self.left.emit()
        else:
            self.keep()

    def _show_answers(self) -> None:
        n_open = len(self.rows) - len(self.answers())
        self.keep_button.setEnabled(n_open < len(self.rows))
        self.keep_button.setAccessibleDescription(f"{n_open} of {len(self.rows)} places are not answered")


def _label(text: str, px: float, *, strong: bool = False, role: str = "") -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setFont(theme.font(px, strong=strong))
    label.setProperty("role", role)
    return label


def _scrolling(rows: QVBoxLayout) -> QScrollArea:
    """Rows that scroll where there are more than fit."""
    inside = QWidget()
    inside.setObjectName("plain")
    whole = QVBoxLayout(inside)
    whole.setContentsMargins(0, 0, 8, 0)
    whole.addLayout(rows)
    whole.addStretch(1)
    area = QScrollArea()
    area.setObjectName("plain")
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.viewport().setObjectName("plain")
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(inside)
    return area
