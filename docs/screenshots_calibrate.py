# SPDX-License-Identifier: MIT
"""Take pictures of every step of the guided flows, in both themes; needs no screen.

Usage: ``python docs/screenshots_calibrate.py [--out DIR] [--steps DIR] [--size WIDTHxHEIGHT] [NAME ...]``
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from roller_host.dashboard.session import Flow, Guided, RollerChoice, Snapshot, Standing
from roller_host.guide.comfort import ComfortGuide
from roller_host.guide.force import ForceGuide
from roller_host.guide.start import Head, StartGuide
from roller_host.link.states import LinkPhase, LinkState
from roller_host.sessions.person import Person
from roller_host.signal.calibration import GRAVITY_M_S2, DeviceModel, Samples
from roller_host.signal.comfort import Comfort
from roller_host.signal.estimates import Estimates

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QImage

    from roller_host.dashboard.window import MainWindow
    from roller_host.guide.step import Shown

TILE, COLUMNS = (320, 200), 4
THEMES = "light", "dark"
RATE_HZ, BLOCK = 104.0, 6
SIMULATED = RollerChoice("demo", "Simulated roller", "A whole face.", simulated=True, scenario="practised")


# --- What flows are led by ----------------------------------------------------------------------------------------


class Pressing:
    """A person who goes through the comfort calibration; everything that was shown is kept."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.guide = ComfortGuide(Person("Ada"), "aa" * 8, "2026-11-23T10:00:00+01:00", lambda _: None)
        self.shown: list[Shown] = [self.guide.shown]

    def act(self, key: str, value: str = "") -> None:
        """Do what the person chose."""
        self.guide.act(key, value)
        self.shown.append(self.guide.shown)

    def feel(self, force_n: float, presses_s: tuple[float, ...] = ()) -> None:
        """One packet at a force."""
        t_s = self.now_s + np.arange(1, BLOCK + 1) / RATE_HZ
        self.now_s = float(t_s[-1])
        self.guide.take(estimates_of(t_s, np.full(BLOCK, force_n), presses_s))
        self.shown.append(self.guide.shown)

    def wait(self, until: Callable[[Any], bool]) -> None:
        """Hold the roller in the air until the flow shows something."""
        for _ in range(4000):
            if until(self.guide.shown):
                return
            self.feel(0.0)
        raise RuntimeError(f"the flow stays at {self.guide.shown}")

    def press(self, *, up_to_n: float = 9.0, marks: tuple[float, ...] = (2.0, 3.2)) -> None:
        """One ramp at the pace that is asked for, with the button pressed at multiples of it."""
        self.wait(lambda shown: shown.phase == "place")
        pace_n_s, begin_s, due = self.guide.shown.pace_n_s, self.now_s, list(marks)
        force_n = 0.13
        while force_n < up_to_n and self.guide.shown.phase in ("place", "press"):
            rising_s = self.now_s - begin_s
            force_n = 0.13 + pace_n_s * (1.05 * rising_s + 0.1 * np.sin(3 * rising_s))
            presses_s = ()
            if due and force_n > due[0] * pace_n_s:
                presses_s = (self.now_s + 0.02,)
                del due[0]
            self.feel(force_n, presses_s)

    def tap(self) -> None:
        """React to the sign of the reaction test."""
        self.wait(lambda shown: shown.sign)
        for _ in range(4):
            self.feel(0.0)
        self.feel(0.0, (self.now_s,))


class Weighing:
    """Somebody who calibrates a load cell that feels an eighth less than its record says."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._noise = np.random.default_rng(1)
        self._model = DeviceModel()
        self.guide = ForceGuide(lambda _: "calibrations/aaaaaaaaaaaaaaaa-0.jsonl", lambda: 1_795_000_000, _never_write)
        self.shown: list[Shown] = [self.guide.shown]

    def act(self, key: str, value: str = "") -> None:
        """Do what the person chose."""
        self.guide.act(key, value)
        self.shown.append(self.guide.shown)

    def hold(self, up: np.ndarray, seconds: float, mass_kg: float = 0.0, shaking_n: float = 0.003) -> None:
        """Hold the roller with this body direction up and a mass on it."""
        for _ in range(round(seconds * RATE_HZ / BLOCK)):
            load_n = (0.06 * float(self._model.force_axis @ up) + mass_kg) * GRAVITY_M_S2
            cell_n = load_n / 1.125 + self._noise.normal(0, shaking_n, BLOCK)
            self.guide.take(self._model, resting(up, self.now_s)._replace(cell_n=cell_n), 23.0)
            self.shown.append(self.guide.shown)
            self.now_s += BLOCK / RATE_HZ

    def turn(self, seconds: float) -> None:
        """Turn the roller about."""
        for _ in range(round(seconds * RATE_HZ / BLOCK)):
            a, b = self.now_s / 2.3, self.now_s / 0.75
            self.hold(np.array([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)]), BLOCK / RATE_HZ)

    def weigh(self, told_kg: float, hung_kg: float | None = None) -> None:
        """Hang a mass, read it, and take it off."""
        up = self._model.force_axis
        self.hold(up, 2.5)
        self.act("add", f"{told_kg:g} kg")
        self.hold(up, 2.5, told_kg if hung_kg is None else hung_kg)
        self.act("take")


def _never_write(*_: object) -> None:
    """A roller whose button nobody presses."""


def estimates_of(t_s: np.ndarray, force_n: np.ndarray, presses_s: tuple[float, ...] = ()) -> Estimates:
    """What the signal core would say about a force."""
    n = len(t_s)
    return Estimates(
        t_s=t_s,
        force_n=force_n,
        force_sigma_n=np.full(n, 0.05),
        contact=force_n > 0.12,
        speed_m_s=np.zeros(n),
        direction_deg=np.full(n, np.nan),
        comfort=(Comfort.COMFORTABLE,) * n,
        places=(-1,) * n,
        zone="",
        side="",
        place_confidence=np.zeros(n),
        presses_s=presses_s,
        saturated=np.zeros(n, bool),
    )


def resting(up: tuple[float, float, float] | np.ndarray, t_s: float, n: int = BLOCK) -> Samples:
    """Samples of a roller that is held still with this body direction up."""
    return Samples(
        t_s + np.arange(1, n + 1) / RATE_HZ,
        np.full((n, 3), 0.01),
        np.tile(np.array(up) * GRAVITY_M_S2, (n, 1)),
        np.zeros(n),
        np.zeros(n),
    )


def start(posture: str, *, up: tuple[float, float, float], seconds: float) -> list[Guided]:
    """The start page after the roller was held for a while."""
    guide = StartGuide((Head(0, 15.0, 60.0, 1.5), Head(1, 12.0, 42.0, 1.1)))
    guide.act("posture", posture)
    for i in range(round(seconds * RATE_HZ / BLOCK)):
        guide.take(DeviceModel(), resting(up, i * BLOCK / RATE_HZ), touching=False, heading_sigma_deg=3.0)
    return [Guided(Flow.START, guide.shown)]


def force(*acts: Callable[[Weighing], None]) -> list[Guided]:
    """All that the sensor calibration showed until now."""
    person = Weighing()
    for act in acts:
        act(person)
    return [Guided(Flow.FORCE, shown) for shown in person.shown]


def hold_still(person: Weighing) -> None:
    """All of the first step."""
    person.hold(np.array(UPRIGHT), 4.0)


def turn_about(person: Weighing) -> None:
    """All of the tumble."""
    person.turn(40.0)


def hang_one(person: Weighing) -> None:
    """The first weight hangs and swings a little."""
    person.weigh(0.1)
    person.hold(-np.array([0.0, 0.0, 1.0]), 2.5)
    person.act("add", "0.5")
    person.hold(-np.array([0.0, 0.0, 1.0]), 2.0, 0.5, shaking_n=0.2)


def hang_all(person: Weighing) -> None:
    """Enough weights that agree."""
    for mass_kg in (0.1, 0.5, 0.2, 1.0, 2.0):
        person.weigh(mass_kg)
    person.hold(-np.array([0.0, 0.0, 1.0]), 2.5)


def hang_wrong(person: Weighing) -> None:
    """One of the weights is not what it is said to be."""
    for told_kg, hung_kg in ((0.1, 0.1), (0.2, 0.2), (0.5, 0.53), (1.0, 1.0), (2.0, 2.0)):
        person.weigh(told_kg, hung_kg)
    person.hold(-np.array([0.0, 0.0, 1.0]), 2.5)


def comfort(*acts: Callable[[Pressing], None]) -> list[Guided]:
    """All that the comfort flow showed until now."""
    person = Pressing()
    for act in acts:
        act(person)
    return [Guided(Flow.COMFORT, shown) for shown in person.shown]


def choose_places(person: Pressing) -> None:
    """The quick form, with some places left out."""
    person.act("quick")
    person.act("exclude", "left cheek: irritated skin")
    person.act("exclude", "neck: recent procedure")


def react(person: Pressing) -> None:
    """All of the reaction test."""
    person.act("go")
    for _ in range(5):
        person.tap()


def react_twice(person: Pressing) -> None:
    """Part of the reaction test, up to a sign."""
    person.act("go")
    for _ in range(2):
        person.tap()
    person.wait(lambda shown: shown.sign)


def touch(person: Pressing) -> None:
    """Wait until a place is named."""
    person.wait(lambda shown: shown.phase == "place")


def press_half(person: Pressing) -> None:
    """A ramp up to a little above the first mark."""
    person.press(up_to_n=2.7)


def lift_early(person: Pressing) -> None:
    """A ramp that ends before its first mark."""
    person.press(up_to_n=1.0, marks=())
    person.wait(lambda shown: bool(shown.problem))


def second_ramp(person: Pressing) -> None:
    """A whole ramp on each place, and part of another on the first."""
    for _ in range(3):
        person.press()
    person.press(up_to_n=2.4)


def pause(person: Pressing) -> None:
    """Pause between two ramps."""
    person.press()
    person.act("pause")


def all_ramps(person: Pressing) -> None:
    """Until there is a result."""
    while person.guide.shown.step == "ramps":
        person.press(marks=(2.0 + 0.2 * np.sin(person.now_s), 3.1 + 0.2 * np.cos(person.now_s)))
        person.wait(lambda shown: shown.step != "ramps" or shown.phase == "place")


UPRIGHT, LEANING = (0.0, 1.0, 0.0), (0.0, 0.77, 0.64)
STEPS: dict[str, Callable[[], list[Guided]]] = {
    "start": lambda: start("sitting", up=UPRIGHT, seconds=1.4),
    "start-leaning": lambda: start("sitting", up=LEANING, seconds=1.4),
    "start-done": lambda: start("reclining", up=LEANING, seconds=5.0),
    "force-tare": lambda: force(lambda person: person.hold(np.array(UPRIGHT), 2.6)),
    "force-tumble": lambda: force(hold_still, lambda person: person.turn(6.0)),
    "force-weights": lambda: force(hold_still, turn_about, lambda person: person.hold(np.array(UPRIGHT), 1.7)),
    "force-hanging": lambda: force(hold_still, turn_about, hang_one),
    "force-outlier": lambda: force(hold_still, turn_about, hang_wrong),
    "force-enough": lambda: force(hold_still, turn_about, hang_all),
    "force-paused": lambda: force(hold_still, turn_about, hang_all, lambda person: person.act("pause")),
    "force-result": lambda: force(hold_still, turn_about, hang_all, lambda person: person.act("finish")),
    "force-stored": lambda: force(
        hold_still, turn_about, hang_all, lambda person: person.act("finish"), lambda person: person.act("keep")
    ),
    "comfort-form": comfort,
    "comfort-exclude": lambda: comfort(choose_places),
    "comfort-reaction": lambda: comfort(choose_places, react_twice),
    "comfort-touch": lambda: comfort(choose_places, react, touch),
    "comfort-press": lambda: comfort(choose_places, react, press_half),
    "comfort-second": lambda: comfort(choose_places, react, second_ramp),
    "comfort-problem": lambda: comfort(choose_places, react, lift_early),
    "comfort-paused": lambda: comfort(choose_places, react, pause),
    "comfort-result": lambda: comfort(choose_places, react, all_ramps),
}
SNAPSHOT = Snapshot(229.0, 104.0, 0, 0, 42, 151.0, 64, "2026-11-23_07-30-00.sqlite", rate_now_hz=104.0)
CALIBRATED = {
    Flow.START: Standing("Head 1, right hand, sitting", "good"),
    Flow.FORCE: Standing("Calibrated 23 Nov 2026, within 0.06 N", "good"),
    Flow.COMFORT: Standing("Ada: 3 places, 23 Nov 2026", "good"),
}
UNCALIBRATED = {
    Flow.FORCE: Standing("Uncalibrated: these are no newtons yet", "low"),
    Flow.COMFORT: Standing("Ada: starting points"),
}


# --- Pictures -----------------------------------------------------------------------------------------------------


@dataclass
class Still:
    """A session in which nothing happens but what a picture needs; see ``LiveSession``."""

    standings: dict[Flow, Standing] = field(default_factory=dict)
    mailbox: deque[Any] = field(default_factory=deque)

    def choices(self) -> tuple[RollerChoice, ...]:
        """The roller of the picture."""
        return (SIMULATED,)

    def interrupted(self) -> None:
        """No session was cut off."""

    def standing(self, flow: Flow) -> Standing:
        """As after the first calibrations, or before them."""
        return self.standings.get(flow, Standing(""))

    def people(self) -> tuple[str, ...]:
        """Those of the picture."""
        return ("Ada", "Bo")

    def person(self) -> str:
        """Whose bands they are."""
        return "Ada"

    def __getattr__(self, intent: str) -> Any:
        return lambda *_: None


def opened(theme: str, size: tuple[int, int], *, calibrated: bool = True) -> MainWindow:
    """A window on a roller that streams, on the Calibrate page."""
    from dataclasses import replace

    from roller_host.dashboard.rail import Place
    from roller_host.dashboard.window import MainWindow

    session = Still(CALIBRATED if calibrated else UNCALIBRATED)
    window = MainWindow(session, theme)
    window.resize(*size)
    window.show()
    window.presenter.stop()
    window.live.header.title.setText(SIMULATED.title)
    session.mailbox.append(replace(SNAPSHOT, calibrated=calibrated))
    session.mailbox.append(LinkState(LinkPhase.STREAMING, device=SIMULATED.title))
    window.presenter.tick()
    window.rail.buttons[Place.CALIBRATE].click()
    return window


def show(window: MainWindow, happened: list[Guided]) -> None:
    """Let a flow happen in a window."""
    if happened:
        window.calibrate.open(happened[0].flow)
    for guided in happened:
        window.calibrate.set_guided(guided)


def picture(name: str, theme: str, size: tuple[int, int]) -> QImage:
    """One step in one theme."""
    from PySide6.QtWidgets import QApplication

    window = opened(theme, size, calibrated=name != "overview-uncalibrated")
    show(window, [] if name.startswith("overview") else STEPS[name]())
    QApplication.processEvents()
    image = window.grab().toImage()
    window.close()
    return image


def write_sheet(pictures: list[QImage], path: Path) -> None:
    """All pictures small, side by side."""
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QImage, QPainter

    width, height = TILE
    rows = -(-len(pictures) // COLUMNS)
    sheet = QImage(COLUMNS * width, rows * height, QImage.Format.Format_RGB32)
    sheet.fill(0)
    with QPainter(sheet) as p:
        for i, one in enumerate(pictures):
            small = one.scaled(width, height, mode=Qt.TransformationMode.SmoothTransformation)
            p.drawImage(i % COLUMNS * width, i // COLUMNS * height, small)
    keep(sheet, path)


def keep(image: QImage, path: Path) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Quality 0 of a PNG is its smallest file.
    if not image.save(str(path), quality=0):
        raise SystemExit(f"cannot write {path}")
    print(f"wrote {path}")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the sheet")
    parser.add_argument("--steps", type=Path, help="folder for a picture of each step in full size, and no sheet")
    parser.add_argument("--size", default="1280x800", help="of the window")
    parser.add_argument("names", nargs="*", help="beginnings of names of steps; none means all")
    arguments = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtWidgets import QApplication

    from roller_host.dashboard.theme import prepare

    app = QApplication(sys.argv[:1])
    prepare(app)
    width, height = (int(part) for part in arguments.size.split("x"))
    names = ["overview", "overview-uncalibrated", *STEPS]
    wanted = [name for name in names if name.startswith(tuple(arguments.names or [""]))]
    pictures = [(f"{name}-{theme}", picture(name, theme, (width, height))) for name in wanted for theme in THEMES]
    if arguments.steps is None:
        write_sheet([image for _, image in pictures], arguments.out / "calibrate.png")
    else:
        for name, image in pictures:
            keep(image, arguments.steps / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
