# SPDX-License-Identifier: MIT
"""Take the pictures in this folder: the dashboard on the simulated roller, and every state; needs no screen.

Usage: ``python docs/screenshots.py [--out DIR] [--seconds S] [--states DIR]``
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roller_host.dashboard.session import Interrupted, RollerChoice, Rollers, Snapshot
from roller_host.link.states import LinkPhase, LinkState

if TYPE_CHECKING:
    from PySide6.QtGui import QImage

    from roller_host.dashboard.window import MainWindow

SIZE = 1360, 800
PICKER_TILE, PICKER_COLUMNS = (340, 358), 8
LIVE_HEIGHT = 118
THEMES = "light", "dark"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the pictures")
    parser.add_argument("--seconds", type=float, default=45.0, help="how long to roll before the pictures are taken")
    parser.add_argument("--states", type=Path, help="folder for a picture of each state in full size as well")
    arguments = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtWidgets import QApplication

    from roller_host.dashboard.theme import prepare

    app = QApplication(sys.argv[:1])
    prepare(app)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROLLER_HOST_DATA"] = folder
        write_sheet(arguments.out / "states.png", arguments.states)
        return roll(arguments.out, arguments.seconds) if arguments.seconds else 0


def roll(out: Path, seconds: float) -> int:
    """Open the window on the simulated roller, roll, and grab the live page in both themes."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from roller_host.app.live import Options
    from roller_host.dashboard.window import MainWindow
    from roller_host.feed import DashboardSession

    window = MainWindow(DashboardSession(Options(radio="demo")), "light")
    window.resize(*SIZE)
    window.show()

    def end() -> None:
        for theme in THEMES:
            window.set_mode(theme)
            QApplication.processEvents()
            keep(window.grab().toImage(), out / f"live-{theme}.png")
        window.close()

    window.begin("demo")
    QTimer.singleShot(round(seconds * 1000), end)
    return QApplication.exec()


def keep(picture: QImage, path: Path) -> None:
    """Write a picture."""
    # Quality 0 of a PNG is its smallest file.
    if not picture.save(str(path), quality=0):
        raise SystemExit(f"cannot write {path}")
    print(f"wrote {path}")


# --- Every state ------------------------------------------------------------------------------------------------------


def before(days: float) -> str:
    """A time of day in the past, ISO 8601."""
    return (datetime.now().astimezone() - timedelta(days=days)).isoformat()


NOW_S = time.monotonic()
BATHROOM = RollerChoice(
    "aa" * 8, "Bathroom", "Roller-3F2A", known=True, at_start=True, seen_s=NOW_S, rssi_dbm=-52, last_used=before(1)
)
TRAVEL = RollerChoice("bb" * 8, "Travel kit", "Roller-77B1", known=True, last_used=before(12), security_mode=3)
TAKEN = RollerChoice("C0:01", "Roller-1C2E", taken=True, seen_s=NOW_S, rssi_dbm=-64)
WEAK = RollerChoice("C0:02", "Roller-9A03", seen_s=NOW_S - 4, rssi_dbm=-81)
WHOLE_FACE = "A practised person massages the whole face without end."
SIMULATED = RollerChoice("demo", "Simulated roller", WHOLE_FACE, simulated=True, scenario="practised")
ALL = BATHROOM, TRAVEL, WEAK, TAKEN, SIMULATED
OFFER = Interrupted("a.sqlite", "Bathroom", before(0.01), 260.0)
SNAPSHOT = Snapshot(229.0, 104.0, 0, 0, 42, 151.0, 64, "2026-11-23_07-30-00.sqlite", rate_now_hz=104.0, calibrated=True)
NEARER = "Bring it closer to the computer."
FORGOTTEN = (
    "Roller-3F2A has forgotten this computer.",
    'Choose "forget" for it here and in the system\'s Bluetooth settings, then pair again.',
)
PASSKEY = "Roller-3F2A wants the six digits on its label", "Type them here within 2 min."
WRONG_PASSKEY = "Roller-3F2A did not accept these digits", "Look at the label and type them again within 2 min."
NOBODY = "No roller was seen. Switch it on and bring it near, then search again."
FULL = "Close the other program, or switch Bluetooth off on the phone that holds it, then try again."


@dataclass
class Still:
    """A session in which nothing happens but what a picture needs; see ``LiveSession``."""

    rollers: tuple[RollerChoice, ...]
    offer: Interrupted | None = None
    mailbox: deque[Any] = field(default_factory=deque)

    def choices(self) -> tuple[RollerChoice, ...]:
        """The rollers of the picture."""
        return self.rollers

    def interrupted(self) -> Interrupted | None:
        """The offer of the picture."""
        return self.offer

    def __getattr__(self, intent: str) -> Any:
        return lambda *_: None


def state(phase: LinkPhase, reason: str = "", action: str = "", **more: Any) -> LinkState:
    """A state of the roller in the bathroom."""
    return LinkState(phase, reason, action, "Roller-3F2A", **more)


PICKER: dict[str, tuple[tuple[RollerChoice, ...], Interrupted | None, tuple[Any, ...]]] = {
    "first": ((SIMULATED,), None, ()),
    "known": (ALL, None, ()),
    "offer": ((BATHROOM, TRAVEL, SIMULATED), OFFER, ()),
    "scanning": (ALL, None, (state(LinkPhase.SCANNING),)),
    "no-bluetooth": (
        (BATHROOM, SIMULATED),
        None,
        (state(LinkPhase.NO_BLUETOOTH, "Bluetooth is switched off.", over=True),),
    ),
    "connecting": (ALL, None, (state(LinkPhase.CONNECTING),)),
    "pairing": (ALL, None, (state(LinkPhase.PAIRING, "the system may ask for your consent"),)),
    "passkey": (ALL, None, (state(LinkPhase.PAIRING, *PASSKEY, wants_passkey=True),)),
    "wrong-passkey": (ALL, None, (state(LinkPhase.PAIRING, *WRONG_PASSKEY, wants_passkey=True),)),
    "subscribed": (ALL, None, (state(LinkPhase.SUBSCRIBED),)),
    "not-found": (ALL, None, (state(LinkPhase.OUT_OF_RANGE, "No roller was found within 10 s.", NEARER, over=True),)),
    "taken": (ALL, None, (state(LinkPhase.TAKEN, "Roller-3F2A is taken by another program.", FULL, over=True),)),
    "unpaired": (ALL, None, (state(LinkPhase.REFUSED, *FORGOTTEN, unpaired=True, over=True),)),
    "nobody": ((BATHROOM, SIMULATED), None, (Rollers((BATHROOM, SIMULATED), NOBODY),)),
    "forgotten": ((TRAVEL, SIMULATED), None, (Rollers((TRAVEL, SIMULATED), note="Bathroom is forgotten."),)),
    "identified": (ALL, None, (Rollers(ALL, note="Bathroom blinks and buzzes now."),)),
}
LIVE: dict[str, tuple[Any, ...]] = {
    "streaming": (),
    "lossy": (
        state(
            LinkPhase.STREAMING,
            "4 % of the packets did not come at once, because the roller could not get rid of them: the distance is "
            "large, or something stands between",
            "Bring the roller closer to the computer. Missing packets are fetched again.",
        ),
        replace(SNAPSHOT, lost_packets=3, gaps=9, loss_share=0.04, backfilled_packets=20, battery_percent=14),
    ),
    "own-recordings": (replace(SNAPSHOT, log_fetched=120, log_packets=300),),
    "stalled": (state(LinkPhase.STALLED, "no data from the roller", NEARER),),
    "out-of-range": (state(LinkPhase.OUT_OF_RANGE, "looking for the roller", NEARER),),
    "taken-meanwhile": (state(LinkPhase.TAKEN, "a roller serves one program at a time", "Close the other program."),),
    "trying-again": (state(LinkPhase.RETRYING, "Roller-3F2A was seen but accepted no connection.", retry_s=4.0),),
    "fetching": (state(LinkPhase.SUBSCRIBED, "fetching 87 packets"), replace(SNAPSHOT, missing_packets=87)),
    "lost": (state(LinkPhase.LOST, "Roller-3F2A has not come back within 600 s.", NEARER, over=True),),
    "passkey": (state(LinkPhase.PAIRING, *PASSKEY, wants_passkey=True),),
    "no-bluetooth": (
        state(LinkPhase.NO_BLUETOOTH, "Bluetooth is switched off.", "Switch it on in the system's settings."),
    ),
    "refused": (state(LinkPhase.REFUSED, *FORGOTTEN, unpaired=True, over=True),),
    "not-recording": (replace(SNAPSHOT, recording_problem="The disk is full."),),
}


def write_sheet(sheet: Path, folder: Path | None) -> None:
    """Paint what differs between the states into one picture, light beside dark; all of each into ``folder``."""
    from PySide6.QtCore import QRect, Qt
    from PySide6.QtGui import QImage, QPainter

    pickers, lives = pictures_of_picker(), pictures_of_live()
    width, height = PICKER_TILE
    top = -(-len(pickers) // PICKER_COLUMNS) * height
    out = QImage(PICKER_COLUMNS * width, top + len(lives) // 2 * LIVE_HEIGHT, QImage.Format.Format_RGB32)
    with QPainter(out) as p:
        p.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for i, (_, picture) in enumerate(pickers):
            row, column = divmod(i, PICKER_COLUMNS)
            side = picture.copy(QRect(SIZE[0] - 760, 0, 760, SIZE[1]))
            small = side.scaled(width, height, mode=Qt.TransformationMode.SmoothTransformation)
            p.drawImage(column * width, row * height, small)
        for i, (_, picture) in enumerate(lives):
            p.drawImage(i % 2 * SIZE[0], top + i // 2 * LIVE_HEIGHT, picture.copy(0, 0, SIZE[0], LIVE_HEIGHT))
    keep(out, sheet)
    for name, picture in (*pickers, *lives):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            keep(picture, folder / f"{name}.png")
        if name.startswith("picker-known-"):
            keep(picture, sheet.with_name(name.replace("-known", "") + ".png"))


def pictures_of_picker() -> list[tuple[str, QImage]]:
    """Names and pictures of the choice of rollers in its states."""
    pictures = []
    for name, (rollers, offer, happens) in PICKER.items():
        for theme in THEMES:
            window = opened(session := Still(rollers, offer), theme)
            pictures.append((f"picker-{name}-{theme}", after(window, session, *happens)))
            # Python would take an open window away while it is painted.
            window.close()
    return pictures


def pictures_of_live() -> list[tuple[str, QImage]]:
    """Names and pictures of the live page in its states."""
    pictures = []
    for name, happens in LIVE.items():
        for theme in THEMES:
            window = opened(session := Still(ALL), theme)
            window.connect_to(BATHROOM)
            after(window, session, state(LinkPhase.STREAMING))
            # Texts follow a state at once, figures alone do not.
            link = next((one for one in happens if isinstance(one, LinkState)), state(LinkPhase.STREAMING))
            pictures.append((f"live-{name}-{theme}", after(window, session, SNAPSHOT, *happens, link)))
            window.close()
    return pictures


def opened(session: Still, theme: str) -> MainWindow:
    """A window that shows only what it is told."""
    from roller_host.dashboard.window import MainWindow

    window = MainWindow(session, theme)
    window.resize(*SIZE)
    window.show()
    window.presenter.stop()
    return window


def after(window: MainWindow, session: Still, *happens: Any) -> QImage:
    """Picture of the window after something happened."""
    from PySide6.QtWidgets import QApplication

    session.mailbox.extend(happens)
    window.presenter.tick()
    QApplication.processEvents()
    return window.grab().toImage()


if __name__ == "__main__":
    sys.exit(main())
