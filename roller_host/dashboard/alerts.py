# SPDX-License-Identifier: MIT
"""Alerts of this session, each with the reason why it was given."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLabel, QListWidget, QPushButton, QVBoxLayout

from firmware_protocol.zones import place_name
from roller_host.cues.words import COMFORT, explain
from roller_host.dashboard import theme, words
from roller_host.signal.comfort import Comfort

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PySide6.QtWidgets import QWidget

    from roller_host.signal.comfort import Band, Cue

ALERTS: Final = (Comfort.TOO_HARD, Comfort.STOP, Comfort.STALE)
_N_KEPT = 200


class AlertsDialog(QDialog):
    """A list of alerts, the newest on top, and an explanation of the chosen one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Alerts of this session")
        self.setObjectName("page")
        self.resize(560, 460)
        self._cues: deque[tuple[Cue, str]] = deque(maxlen=_N_KEPT)
        self.list = QListWidget()
        self.list.setAccessibleName("Alerts, newest first")
        self.list.currentRowChanged.connect(self._explain)
        self.text = QLabel()
        self.text.setAccessibleName("Why this alert was given")
        self.text.setWordWrap(True)
        self.text.setFont(theme.font(15))
        self.text.setMinimumHeight(130)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByKeyboard)
        close = QPushButton("Close")
        close.setToolTip("Go back (Esc)")
        close.clicked.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 18, 18, 18)
        layout.setSpacing(12)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.text)
        layout.addWidget(close, alignment=Qt.AlignmentFlag.AlignRight)

    def add(self, cue: Cue, bands: Mapping[tuple[str, str], Band]) -> None:
        """Take a cue that was given under these thresholds; what is no alert is left out."""
        if cue.comfort not in ALERTS:
            return
        self._cues.appendleft((cue, explain(cue, bands)))
        where = place_name(cue.zone, cue.side) or "place not known"
        saying = COMFORT[cue.comfort]
        # Told outside of the reader's place in the list, which stays.
        self.list.insertItem(0, f"{saying.sign}  {saying.words}   {where}, at {words.clock(cue.t_s)}")
        while self.list.count() > _N_KEPT:
            self.list.takeItem(self.list.count() - 1)
        if self.list.currentRow() < 0:
            self.list.setCurrentRow(0)

    def clear(self) -> None:
        """Forget all alerts."""
        self._cues.clear()
        self.list.clear()
        self.text.clear()

    def __len__(self) -> int:
        return len(self._cues)

    def _explain(self, row: int) -> None:
        self.text.setText(self._cues[row][1] if 0 <= row < len(self._cues) else "")
