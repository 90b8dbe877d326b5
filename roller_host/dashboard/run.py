# SPDX-License-Identifier: MIT
"""Start Qt, open the window, wait until it closes."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMessageBox

from roller_host.dashboard.theme import prepare
from roller_host.dashboard.window import TITLE, MainWindow

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from roller_host.dashboard.session import LiveSession

logger = logging.getLogger(__name__)


def run(
    session_factory: Callable[[], LiveSession],
    *,
    theme: str = "system",
    autoconnect: str | None = None,
    seconds: float | None = None,
) -> int:
    """Show the dashboard until its window closes.

    Parameters
    ----------
    session_factory : callable
        Makes the session. Called after Qt has started: on Windows, Qt must initialise the main thread before
        Bluetooth is touched.
    theme : str
        ``system``, ``light`` or ``dark``.
    autoconnect : str, optional
        Key of a `RollerChoice` to connect to at once, see `MainWindow.begin`.
    seconds : float, optional
        Close by itself after this time, s.

    Returns
    -------
    int
        Exit code of Qt, 0 when all went well.
    """
    app = QApplication.instance() or QApplication(sys.argv[:1])
    if not isinstance(app, QApplication):
        raise TypeError("a Qt application without windows is running already")
    app.setApplicationDisplayName(TITLE)
    app.setDesktopFileName("roller-host")
    prepare(app)
    window = MainWindow(session_factory(), theme)
    before = sys.excepthook
    sys.excepthook = _teller(window)
    # Ctrl-C in the terminal closes the window; the presenter's timer lets Python notice it.
    before_int = signal.signal(signal.SIGINT, lambda *_: QTimer.singleShot(0, window.close))
    try:
        window.show()
        window.begin(autoconnect)
        if seconds is not None:
            QTimer.singleShot(round(seconds * 1000), window.close)
        return app.exec()
    finally:
        sys.excepthook = before
        signal.signal(signal.SIGINT, before_int)


def _teller(window: MainWindow) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Hook that tells the person of an error once, in a sentence, and writes the rest to the log."""
    told: set[str] = set()

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.error("error in the dashboard", exc_info=(kind, error, trace))
        text = str(error) or kind.__name__
        if text not in told:
            told.add(text)
            box = QMessageBox(QMessageBox.Icon.Warning, TITLE, f"Something went wrong: {text}", parent=window)
            box.setInformativeText("The recording goes on. Details are in the log.")
            box.open()

    return tell
