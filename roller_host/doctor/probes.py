# SPDX-License-Identifier: MIT
"""Facts about this computer, each found out within a bounded time. Judges nothing; see `checks` for that.

What may crash or hang (Qt without its libraries, macOS without permission) is tried in another process.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import platform
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import roller_host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCAN_S: Final = 3.0
"""How long rollers are looked for, s."""
RADIO_S: Final = 20.0
"""Longest time for a radio to start and to scan, s; a person may have to answer the system's question."""
_MARGIN_S: Final = 2.0
"""What a process of its own gets less than the thread that waits for it, s."""
_BLUEZ: Final = "org.bluez"
_BLUETOOTHD: Final = (
    "/usr/libexec/bluetooth/bluetoothd",
    "/usr/lib/bluetooth/bluetoothd",
    "/usr/lib/bluez/bluetooth/bluetoothd",
    "/usr/sbin/bluetoothd",
)

T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """Stands for a fact that could not be found out."""

    error: str


@dataclass(frozen=True)
class Python:
    """Interpreter, system and this program."""

    version: tuple[int, int, int]
    system: str
    """`sys.platform`."""
    system_name: str
    program: str
    user: str


@dataclass(frozen=True)
class Window:
    """Whether Qt can open a window."""

    display: bool
    """False on Linux without any display."""
    loads: bool = True
    platform: str = ""
    """Qt's name of the window system, when a window can open."""
    error: str = ""


class Sound(NamedTuple):
    """Whether there is something to play on."""

    system: str = ""
    """Sound system of the device that opens."""
    plays: bool = False
    error: str = ""
    """Why none opens."""


class Adapter(NamedTuple):
    """A Bluetooth adapter that BlueZ uses."""

    name: str
    powered: bool
    low_energy: bool


@dataclass(frozen=True)
class Bus:
    """The system bus and BlueZ on it."""

    error: str = ""
    """Why the bus cannot be reached."""
    refused: bool = False
    """The bus is there, but lets this user not in."""
    service: bool = False
    """bluetoothd is on the bus."""
    denied: str = ""
    """Why bluetoothd does not answer this user."""
    adapters: tuple[Adapter, ...] = ()


@dataclass(frozen=True)
class Bluez:
    """What is installed of BlueZ."""

    installed: bool
    version: str
    """As `bluetoothctl` tells it; empty when it does not."""
    kernel: tuple[str, ...]
    """Adapters that the kernel knows."""


class Switch(NamedTuple):
    """A Bluetooth switch of Linux (rfkill)."""

    name: str
    soft: bool
    """Blocked by software."""
    hard: bool
    """Blocked by a switch or key."""


@dataclass(frozen=True)
class Answer:
    """How a search for rollers went."""

    reason: str = ""
    """Empty when it worked; else ``BAD``, ``ENDED``, ``SLOW`` or a name of bleak's reasons, ``UNKNOWN`` at least."""
    error: str = ""
    rollers: tuple[tuple[str, bool], ...] = ()
    """Names, and whether another host holds them."""


@dataclass(frozen=True)
class Folder:
    """The data folder."""

    path: str
    error: str
    """Why nothing can be written there; empty when it can."""
    free_bytes: int
    recordings: int
    unfinished: tuple[str, ...]
    """Recordings with a log beside them, which goes away when they are closed; oldest first."""
    newest_s: float
    """Latest time of day at which something of this program was written, s since 1970."""


@dataclass(frozen=True)
class Remembered:
    """Rollers that were connected before."""

    path: str
    names: tuple[str, ...]
    readable: bool
    """False when there is a file, but not one that names rollers."""


@dataclass(frozen=True)
class Clock:
    """Time of day, s since 1970, and the steps of the clock that stamps what arrives, s."""

    now_s: float
    step_s: float


@dataclass(frozen=True)
class Facts:
    """All that is known; each value may be `Unknown`. What is None does not exist on this system or for this radio."""

    radio: str
    python: Python | Unknown
    versions: Mapping[str, str] | Unknown
    """Installed packages of ours by name."""
    load_error: str | Unknown
    """Why the program's modules cannot be loaded; empty when they can."""
    window: Window | Unknown
    sound: Sound | Unknown
    bus: Bus | Unknown | None
    bluez: Bluez | Unknown | None
    switches: tuple[Switch, ...] | Unknown | None
    answer: Answer | Unknown | None
    folder: Folder | Unknown
    remembered: Remembered | Unknown
    clock: Clock | Unknown


def gather(radio: str, names: tuple[str, ...], say: Callable[[str], None]) -> Facts:
    """Find out about this computer; takes some seconds, and at most about a minute.

    Parameters
    ----------
    radio : str
        Radio that the person asked for.
    names : tuple of str
        Packages whose versions matter.
    say : callable
        Told in a few words what goes on.
    """
    native = radio == "native"
    linux = native and sys.platform.startswith("linux")

    def ask(words: str, seconds: float, probe: Callable[[], T]) -> T | Unknown:
        say(f"looking at {words} ...")
        return bounded(probe, seconds)

    return Facts(
        radio=radio,
        python=ask("Python", 10, _python),
        versions=ask("packages", 10, lambda: _versions(names)),
        load_error=ask("packages", 40, lambda: _load_error(40 - _MARGIN_S)),
        window=ask("the dashboard", 30, lambda: _window(30 - _MARGIN_S)),
        sound=ask("sound", 12, lambda: _sound(12 - _MARGIN_S)),
        bus=ask("D-Bus", 8, lambda: asyncio.run(_bus())) if linux else None,
        bluez=ask("BlueZ", 8, lambda: _bluez(8 - _MARGIN_S)) if linux else None,
        switches=ask("radio switches", 5, lambda: _switches(Path("/sys/class/rfkill"))) if linux else None,
        answer=None if radio == "demo" else ask("rollers", RADIO_S + _MARGIN_S, lambda: _answer(radio, RADIO_S)),
        folder=ask("the data folder", 10, _folder),
        remembered=ask("known rollers", 5, _remembered),
        clock=ask("the clock", 5, _clock),
    )


def bounded(probe: Callable[[], T], seconds: float) -> T | Unknown:
    """Result of ``probe``, or why there is none within that time, s; never raises what the probe raises."""
    done: queue.SimpleQueue[T | Unknown] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put(probe())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this computer, the other checks go on
            done.put(Unknown(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))

    # A daemon: what hangs in the system must not keep the program from ending.
    threading.Thread(target=run, name="probe", daemon=True).start()
    try:
        return done.get(timeout=seconds)
    except queue.Empty:
        return Unknown(f"no answer within {seconds:g} s")


def _python() -> Python:
    user = "?"
    with suppress(Exception):  # without a user data base and variables it raises one error or another
        user = getpass.getuser()
    system = platform.platform(terse=True)
    with suppress(OSError, KeyError):
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return Python(sys.version_info[:3], sys.platform, system, roller_host.__version__, user)


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _run(seconds: float, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own; raises TimeoutError."""
    # Found where this program was found, and never a file of the folder that the person happens to be in.
    places = [str(Path(roller_host.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        return subprocess.run(  # noqa: S603 - our own interpreter and our own words
            [sys.executable, "-P", *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"no answer within {seconds:g} s") from None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a word"


def _load_error(seconds: float) -> str:
    done = _run(seconds, "-c", "import roller_host.commands")
    return _last_line(done.stderr) if done.returncode else ""


_OPEN_WINDOW: Final = """
from PySide6.QtGui import QGuiApplication
import pyqtgraph
app = QGuiApplication([])
print("opened", app.platformName())
"""


def _window(seconds: float) -> Window:
    from roller_host.dashboard.requirements import missing_display  # noqa: PLC0415

    loaded = _run(seconds, "-c", "import PySide6.QtWidgets, pyqtgraph")
    if loaded.returncode:
        return Window(missing_display() is None, loads=False, error=_last_line(loaded.stderr))
    if missing_display():
        return Window(display=False)
    done = _run(seconds, "-c", _OPEN_WINDOW)
    if done.returncode or "opened" not in done.stdout:
        said = [line for line in done.stderr.splitlines() if re.search("plugin|display", line, re.IGNORECASE)]
        return Window(display=True, error=(said or [_last_line(done.stderr)])[0])
    return Window(display=True, platform=done.stdout.split("opened")[1].strip())


_PLAY: Final = """
import numpy, time
from roller_host.cues.speaker import NoSoundError, open_stream
asked = []
try:
    device = open_stream(lambda n: asked.append(n) or numpy.zeros(n, numpy.float32))
except NoSoundError as error:
    print("none:", error)
else:
    time.sleep(0.5)
    device.close()
    print("plays:" if asked else "silent:", device.backend)
"""


def _sound(seconds: float) -> Sound:
    """Play half a second of silence."""
    done = _run(seconds, "-c", _PLAY)
    how, _, rest = _last_line(done.stdout).partition(": ")
    if done.returncode or how == "none":
        return Sound(error=rest if how == "none" else _last_line(done.stderr))
    return Sound(rest, plays=how == "plays")


async def _bus() -> Bus:
    from bleak.backends.bluezdbus.utils import get_dbus_authenticator  # noqa: PLC0415 - only there on Linux
    from dbus_fast import AuthError, BusType  # noqa: PLC0415
    from dbus_fast.aio import MessageBus  # noqa: PLC0415

    try:
        bus = await MessageBus(bus_type=BusType.SYSTEM, auth=get_dbus_authenticator()).connect()
    except AuthError as error:
        return Bus(str(error), refused=True)
    except PermissionError as error:
        return Bus(error.strerror or str(error), refused=True)
    except OSError as error:
        return Bus(error.strerror or str(error))
    try:
        return await _ask_bluez(bus)
    finally:
        bus.disconnect()


async def _ask_bluez(bus: Any) -> Bus:
    from dbus_fast import Message, MessageType  # noqa: PLC0415

    async def call(to: str, path: str, interface: str, member: str, *body: str) -> Any:
        return await bus.call(
            Message(
                destination=to, path=path, interface=interface, member=member, signature="s" * len(body), body=[*body]
            )
        )

    owned = await call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", _BLUEZ)
    if not (owned.body and owned.body[0] is True):
        return Bus(service=False)
    listed = await call(_BLUEZ, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    if listed.message_type is MessageType.ERROR:
        return Bus(service=True, denied=str(listed.body[0]) if listed.body else str(listed.error_name))
    return Bus(service=True, adapters=tuple(_adapters(listed.body[0])))


def _adapters(objects: Mapping[str, Mapping[str, Any]]) -> list[Adapter]:
    found: list[Adapter] = []
    for path, interfaces in sorted(objects.items()):
        if f"{_BLUEZ}.Adapter1" in interfaces:
            known = {key: variant.value for key, variant in interfaces[f"{_BLUEZ}.Adapter1"].items()}
            # Versions of BlueZ that tell no roles are refused for their age elsewhere.
            low_energy = "central" in known.get("Roles", ["central"])
            found.append(Adapter(path.rpartition("/")[2], bool(known.get("Powered")), low_energy))
    return found


def _bluez(seconds: float) -> Bluez:
    client = shutil.which("bluetoothctl")
    told = ""
    if client:
        done = subprocess.run(  # noqa: S603
            [client, "--version"],
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        told = done.stdout.split()[-1] if done.stdout.split() else ""
    installed = bool(client or shutil.which("bluetoothd") or any(Path(path).exists() for path in _BLUETOOTHD))
    known = Path("/sys/class/bluetooth")
    # Connections are listed beside adapters, as hci0:64.
    kernel = sorted(path.name for path in known.iterdir() if ":" not in path.name) if known.exists() else []
    return Bluez(installed, told, tuple(kernel))


def _switches(folder: Path) -> tuple[Switch, ...]:
    """Switches as the kernel shows them in ``/sys/class/rfkill``."""

    def read(path: Path) -> str:
        return path.read_text(encoding="utf-8").strip()

    return tuple(
        Switch(read(path / "name"), read(path / "soft") == "1", read(path / "hard") == "1")
        for path in sorted(folder.glob("rfkill*"))
        if read(path / "type") == "bluetooth"
    )


def _answer(radio: str, seconds: float) -> Answer:
    try:
        done = _run(seconds, "-m", __name__, radio)
    except TimeoutError:
        return Answer("SLOW")
    if done.returncode < 0:
        # macOS ends programs that ask for Bluetooth from a terminal that is not allowed to.
        return Answer("ENDED", f"ended by signal {-done.returncode}")
    try:
        said = json.loads(done.stdout)
        return Answer(said["reason"], said["error"], tuple((name, taken) for name, taken in said["rollers"]))
    except (ValueError, KeyError, TypeError):
        return Answer("UNKNOWN", _last_line(done.stderr))


async def search(radio: str, seconds: float) -> Answer:
    """Look for rollers in this process; what goes wrong is in the answer."""
    from roller_host.link.radio import open_radio  # noqa: PLC0415
    from roller_host.link.states import BadRadioError, LinkError  # noqa: PLC0415

    try:
        async with open_radio(radio) as opened:
            found = await opened.scan(seconds)
    except BadRadioError as error:
        return Answer("BAD", str(error))
    except LinkError as error:
        cause = error.__cause__
        if isinstance(cause, TimeoutError):
            return Answer("SLOW")
        reason = getattr(getattr(cause, "reason", None), "name", "UNKNOWN")
        return Answer(reason, str(cause.args[0]) if cause and cause.args else str(error))
    return Answer(rollers=tuple((one.name or one.address, one.taken) for one in found))


def _folder() -> Folder:
    from roller_host.sessions.folder import SUFFIX, data_folder, recordings_folder  # noqa: PLC0415

    path, installed_s = data_folder(), Path(roller_host.__file__).stat().st_mtime
    try:
        # What does not exist yet is made where it is missing.
        there = next(one for one in (recordings_folder(), path, *path.absolute().parents) if one.exists())
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"x")
            probe.flush()
    except OSError as problem:
        return Folder(str(path), problem.strerror or str(problem), 0, 0, (), installed_s)
    dated = sorted((one.stat().st_mtime, one) for one in recordings_folder().glob(f"*{SUFFIX}"))
    unfinished = tuple(str(one) for _, one in dated if one.with_name(f"{one.name}-wal").exists())
    newest_s = max(installed_s, *(written_s for written_s, _ in dated), 0.0)
    return Folder(str(path), "", shutil.disk_usage(there).free, len(dated), unfinished, newest_s)


def _remembered() -> Remembered:
    from roller_host.sessions import rollers  # noqa: PLC0415
    from roller_host.sessions.folder import data_folder  # noqa: PLC0415

    path = data_folder() / rollers.FILE
    known = rollers.load(path)
    empty = not path.exists()
    if not (known or empty):
        with suppress(ValueError, OSError):
            empty = json.loads(path.read_text(encoding="utf-8")) == {"rollers": []}
    return Remembered(str(path), tuple(one.title for one in known), readable=bool(known) or empty)


def _clock() -> Clock:
    return Clock(time.time(), time.get_clock_info("monotonic").resolution)


def main(radio: str) -> None:
    """Search in this process and print the answer as JSON, for the process that asked."""
    answer = asyncio.run(search(radio, SCAN_S))
    sys.stdout.write(json.dumps(answer.__dict__) + "\n")


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main(sys.argv[1])
