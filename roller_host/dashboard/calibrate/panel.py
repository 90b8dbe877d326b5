# SPDX-License-Identifier: MIT
"""What the right side of every flow offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QWidget

if TYPE_CHECKING:
    from collections.abc import Mapping


class Panel(QStackedWidget):
    """Pictures and fields of one flow, a page for each kind of step."""

    acted = Signal(str, str)
    """Key and value for `Guide.act`, from something that is no button of the step."""

    takes: frozenset[str] = frozenset()
    """Keys of choices that this panel offers itself, so that they need no button."""
    hints: Mapping[str, str] = {}
    """By key of a choice: what stands below its button, instead of what the flow says."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")

    def set_shown(self, shown: Any) -> None:
        """Take what the flow shows now."""
        raise NotImplementedError

    def take_focus(self) -> bool:
        """Put the focus on a field that wants to be filled in now; False when there is none."""
        return False

    def enter_key(self) -> str | None:
        """Key of what Enter does while a field of the panel has the focus; None: what the flow says."""
        return None

    def value(self, key: str) -> str:
        """What was typed or picked for a choice; empty when it takes nothing."""
        del key
        return ""
