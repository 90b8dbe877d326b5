# SPDX-License-Identifier: MIT
"""Can the dashboard open on this machine? Answers in words that say what to do; imports no Qt by itself."""

from __future__ import annotations

import importlib
import os
import sys

APT_LINE = (
    "sudo apt-get install --no-install-recommends"
    " libgl1 libegl1 libx11-6 libdbus-1-3 libfontconfig1 libfreetype6 libglib2.0-0 libxkbcommon0"
    " libx11-xcb1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0"
    " libxcb-shape0 libxcb-xkb1 libxkbcommon-x11-0"
)
"""System libraries of a Qt window on Debian and Ubuntu; Qt's wheels bring the rest."""

_DISPLAY_NAMES = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
_MODULES = ("PySide6.QtCore", "PySide6.QtGui", "PySide6.QtWidgets", "pyqtgraph")


def missing_display() -> str | None:
    """Why no window can open here, in one line; None when one can.

    Qt ends the whole process when a Linux machine has no display, so this is asked first.
    """
    if not sys.platform.startswith("linux") or any(os.environ.get(name) for name in _DISPLAY_NAMES):
        return None
    return "No display was found, so no window can open. Use `roller-host demo --headless`, or set DISPLAY."


def import_problem() -> str | None:
    """Why Qt cannot be imported and what to install, in one or two lines; None when it can."""
    try:
        for name in _MODULES:
            importlib.import_module(name)
    except ModuleNotFoundError as problem:
        return f"The dashboard needs {problem.name}: pip install '.[dashboard]' in the project's folder"
    except ImportError as problem:
        return f"Qt cannot start, a system library is missing ({problem}). On Debian and Ubuntu:\n{APT_LINE}"
    return None
