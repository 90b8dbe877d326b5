# SPDX-License-Identifier: MIT
"""Take the pictures in this folder: the dashboard on the simulated roller, light and dark, without a screen.

Usage: ``python docs/screenshots.py [--out DIR] [--seconds S]``
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

SIZE = 1360, 800


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the pictures")
    parser.add_argument("--seconds", type=float, default=45.0, help="how long to roll before the pictures are taken")
    arguments = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROLLER_HOST_DATA"] = folder
        return take(arguments.out, arguments.seconds)


def take(out: Path, seconds: float) -> int:
    """Open the window, roll, grab every page in both themes."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from roller_host.app import Options
    from roller_host.dashboard.theme import prepare
    from roller_host.dashboard.window import MainWindow
    from roller_host.feed import DashboardSession

    app = QApplication.instance() or QApplication(sys.argv[:1])
    prepare(app)
    session = DashboardSession(Options(radio="demo"))
    window = MainWindow(session, "light")
    window.resize(*SIZE)
    window.show()

    def grab(page: str) -> None:
        for theme in ("light", "dark"):
            window.set_mode(theme)
            QApplication.processEvents()
            path = out / f"{page}-{theme}.png"
            if not window.grab_to(path):
                raise SystemExit(f"cannot write {path}")
            print(f"wrote {path}")

    def begin() -> None:
        grab("picker")
        window.connect_to(session.choices()[0])
        QTimer.singleShot(round(seconds * 1000), end)

    def end() -> None:
        grab("live")
        window.close()

    QTimer.singleShot(1500, begin)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
