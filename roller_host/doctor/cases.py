# SPDX-License-Identifier: MIT
"""Everything that the doctor can say: one list, from which the table in docs/troubleshooting.md is made."""

from __future__ import annotations

import enum
from typing import NamedTuple

from roller_host.dashboard.requirements import APT_LINE

_INSTALL = "In the project's folder: pip install "


class Verdict(enum.Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """Works, but there is something to know or to do."""
    PROBLEM = "problem"
    """Something does not work before this is solved."""
    SKIPPED = "skipped"
    """Not looked at: not installed, not on this system, or something before it comes first."""


class Check(enum.Enum):
    """What is looked at, in this order; the value is the name shown."""

    PYTHON = "Python"
    PACKAGES = "packages"
    SIMULATOR = "simulator"
    DASHBOARD = "dashboard"
    SOUND = "sound"
    BUS = "D-Bus"
    SERVICE = "bluetoothd"
    BLUEZ = "BlueZ version"
    PERMISSION = "permission"
    SWITCH = "radio switch"
    ADAPTER = "adapter"
    RADIO = "radio"
    ROLLERS = "rollers in range"
    FOLDER = "data folder"
    SPACE = "disk space"
    UNFINISHED = "recordings"
    REMEMBERED = "known rollers"
    CLOCK = "clock"


BLUETOOTH = frozenset(
    {Check.BUS, Check.SERVICE, Check.BLUEZ, Check.PERMISSION, Check.SWITCH, Check.ADAPTER, Check.RADIO}
)
"""Checks without which there is no working Bluetooth."""

COMES_FIRST: dict[Check, frozenset[Check]] = {
    Check.PACKAGES: frozenset({Check.RADIO, Check.ROLLERS}),
    Check.SIMULATOR: frozenset({Check.RADIO, Check.ROLLERS}),
    Check.BUS: BLUETOOTH - {Check.SWITCH} | {Check.ROLLERS},
    Check.SERVICE: BLUETOOTH - {Check.SWITCH} | {Check.ROLLERS},
    Check.BLUEZ: frozenset({Check.RADIO, Check.ROLLERS}),
    Check.PERMISSION: frozenset({Check.ADAPTER, Check.RADIO, Check.ROLLERS}),
    Check.SWITCH: frozenset({Check.ADAPTER, Check.RADIO, Check.ROLLERS}),
    Check.ADAPTER: frozenset({Check.RADIO, Check.ROLLERS}),
    Check.RADIO: frozenset({Check.ROLLERS}),
    Check.FOLDER: frozenset({Check.SPACE, Check.UNFINISHED, Check.REMEMBERED}),
}
"""Checks that have nothing new to say after a problem with the first: one cause is told once."""


class Saying(NamedTuple):
    """A verdict in words; names in braces are filled in."""

    verdict: Verdict
    found: str
    """What was found, in a sentence or two."""
    action: str = ""
    """What to do; empty when there is nothing to do."""


OK, WARNING, PROBLEM, SKIPPED = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM, Verdict.SKIPPED


class Case(enum.Enum):
    """What a check can find."""

    PYTHON_FITS = Check.PYTHON, Saying(OK, "Python {version} on {system}; roller-host {program}.")
    PYTHON_OLD = (
        Check.PYTHON,
        Saying(PROBLEM, "Python {version} is too old for this program.", "Install Python 3.11, 3.12 or 3.13."),
    )
    PYTHON_NEW = (
        Check.PYTHON,
        Saying(
            WARNING,
            "This program has not been tried with Python {version}.",
            "If something goes wrong, try Python 3.11, 3.12 or 3.13.",
        ),
    )

    PACKAGES_FIT = Check.PACKAGES, Saying(OK, "{versions}.")
    PACKAGES_MISSING = Check.PACKAGES, Saying(PROBLEM, "Not installed: {names}.", _INSTALL + ".")
    PACKAGES_DIFFER = (
        Check.PACKAGES,
        Saying(PROBLEM, "Installed in a version that does not fit: {names}.", _INSTALL + "--upgrade ."),
    )
    PACKAGES_BROKEN = (
        Check.PACKAGES,
        Saying(
            PROBLEM,
            "All are installed, but the program cannot be loaded: {error}",
            _INSTALL + "--force-reinstall . If that does not help, please report this line.",
        ),
    )

    SIMULATOR_FITS = Check.SIMULATOR, Saying(OK, "Bumble {version}.")
    SIMULATOR_ABSENT = (
        Check.SIMULATOR,
        Saying(
            SKIPPED,
            "Bumble is not installed. Only the demo, simulators and raw controllers need it.",
            "If you want these: pip install '.[sim]' in the project's folder.",
        ),
    )
    SIMULATOR_NEEDED = (
        Check.SIMULATOR,
        Saying(PROBLEM, "--radio {radio} needs Bumble, which is not installed.", _INSTALL + "'.[sim]'"),
    )
    SIMULATOR_DIFFERS = (
        Check.SIMULATOR,
        Saying(
            WARNING,
            "Bumble {version} is installed, but the program is made for {wanted}; its releases differ in small ways.",
            _INSTALL + "'.[sim]'",
        ),
    )

    DASHBOARD_OPENS = Check.DASHBOARD, Saying(OK, "A window can open (PySide6 {version}, {platform}).")
    DASHBOARD_ABSENT = (
        Check.DASHBOARD,
        Saying(
            SKIPPED,
            "Not installed: {names}. There is no window; all else works without.",
            "If you want the window: pip install '.[dashboard]' in the project's folder.",
        ),
    )
    DASHBOARD_CRASHES = (
        Check.DASHBOARD,
        Saying(
            PROBLEM,
            "PySide6 {version} ends the whole program after a while with Python {python}.",
            "pip install 'PySide6-Essentials>=6.10,<6.12'",
        ),
    )
    DASHBOARD_DIFFERS = (
        Check.DASHBOARD,
        Saying(PROBLEM, "Installed in a version that does not fit: {names}.", _INSTALL + "--upgrade '.[dashboard]'"),
    )
    DASHBOARD_NO_DISPLAY = (
        Check.DASHBOARD,
        Saying(
            WARNING,
            "There is no display, so no window can open here.",
            "Use the commands without a window, for instance roller-host stream; on a computer with a screen, start "
            "the program from its desktop.",
        ),
    )
    DASHBOARD_NOT_LOADED = (
        Check.DASHBOARD,
        Saying(PROBLEM, "Qt is installed, but cannot start: {error}", "On Debian and Ubuntu: " + APT_LINE),
    )
    DASHBOARD_NOT_OPENED = (
        Check.DASHBOARD,
        Saying(
            PROBLEM,
            "Qt starts, but cannot open a window: {error}",
            "Start it from the desktop, as the user who is logged in there. If that is so already, a system library is "
            "missing; on Debian and Ubuntu: " + APT_LINE,
        ),
    )

    SOUND_PLAYS = Check.SOUND, Saying(OK, "Cues can be heard (miniaudio {version}, {system}).")
    SOUND_ABSENT = (
        Check.SOUND,
        Saying(
            SKIPPED,
            "miniaudio is not installed. Cues are shown, and felt on the roller, but not heard.",
            "If you want to hear them: pip install '.[audio]' in the project's folder.",
        ),
    )
    SOUND_DIFFERS = (
        Check.SOUND,
        Saying(WARNING, "Installed in a version that does not fit: {names}.", _INSTALL + "--upgrade '.[audio]'"),
    )
    SOUND_NO_DEVICE = (
        Check.SOUND,
        Saying(
            WARNING,
            "{error} All else works without.",
            "Plug in or switch on loudspeaker or headphones, and look whether other programs can be heard.",
        ),
    )
    SOUND_SILENT = (
        Check.SOUND,
        Saying(
            WARNING,
            "A sound device ({system}) opens, but plays nothing.",
            "Choose another sound device in the system's settings.",
        ),
    )

    BUS_ANSWERS = Check.BUS, Saying(OK, "The system bus answers.")
    BUS_ABSENT = (
        Check.BUS,
        Saying(
            PROBLEM,
            "The system bus, through which programs reach Bluetooth on Linux, is not there ({error}).",
            "Start it: sudo systemctl start dbus. A container has none of its own: lend it the computer's /run/dbus. "
            "Without Bluetooth, everything can be tried with roller-host demo.",
        ),
    )
    BUS_REFUSES = (
        Check.BUS,
        Saying(
            PROBLEM,
            "The system bus does not let this user in ({error}).",
            "Run the program as a user of this computer. In a container, set BLEAK_DBUS_AUTH_UID to the number of your "
            "user outside it.",
        ),
    )

    SERVICE_RUNS = Check.SERVICE, Saying(OK, "The Bluetooth service runs.")
    SERVICE_STOPPED = (
        Check.SERVICE,
        Saying(
            PROBLEM, "The Bluetooth service of this computer is not running.", "sudo systemctl enable --now bluetooth"
        ),
    )
    SERVICE_ABSENT = (
        Check.SERVICE,
        Saying(
            PROBLEM,
            "BlueZ, the Bluetooth service of Linux, is not installed.",
            "On Debian and Ubuntu: sudo apt-get install bluez",
        ),
    )

    BLUEZ_FITS = Check.BLUEZ, Saying(OK, "BlueZ {version}.")
    BLUEZ_OLD = (
        Check.BLUEZ,
        Saying(
            PROBLEM,
            "BlueZ {version} is too old: bleak connects through 5.55 or newer only.",
            "Update the system. Debian 11, Ubuntu 22.04 and what came after them are new enough.",
        ),
    )
    BLUEZ_UNKNOWN = (
        Check.BLUEZ,
        Saying(
            WARNING,
            "bluetoothctl is missing, so the version of BlueZ is not known; it is taken for 5.55 or newer.",
            "If connecting fails: sudo apt-get install bluez",
        ),
    )

    PERMISSION_GIVEN = Check.PERMISSION, Saying(OK, "This program may use Bluetooth.")
    PERMISSION_GROUP = (
        Check.PERMISSION,
        Saying(
            PROBLEM,
            "The Bluetooth service does not serve the user {user} ({error}).",
            "sudo usermod -aG bluetooth {user}, then log out and in again.",
        ),
    )
    PERMISSION_MACOS = (
        Check.PERMISSION,
        Saying(
            PROBLEM,
            "macOS does not let this terminal program use Bluetooth.",
            "System Settings > Privacy & Security > Bluetooth: switch your terminal program on there (add it with + "
            "if it is missing), then quit it and start it again.",
        ),
    )
    PERMISSION_WINDOWS = (
        Check.PERMISSION,
        Saying(
            SKIPPED,
            "Windows does not tell in advance whether programs may use Bluetooth.",
            "If a connection is refused: Settings > Privacy & security > Radios, and > Other devices.",
        ),
    )

    SWITCH_ON = Check.SWITCH, Saying(OK, "Bluetooth is not blocked.")
    SWITCH_ABSENT = Check.SWITCH, Saying(SKIPPED, "The system knows no switch for Bluetooth.")
    SWITCH_SOFT = (
        Check.SWITCH,
        Saying(
            PROBLEM,
            "Bluetooth is blocked by the system ({names}), for instance by airplane mode.",
            "Leave airplane mode, or: rfkill unblock bluetooth",
        ),
    )
    SWITCH_HARD = (
        Check.SWITCH,
        Saying(
            PROBLEM,
            "Bluetooth is blocked by a switch or key of the computer ({names}).",
            "Look for a switch at the case, or a key with an aerial or an aeroplane on it, and use it.",
        ),
    )

    ADAPTER_ON = Check.ADAPTER, Saying(OK, "{names}, switched on.")
    ADAPTER_ABSENT = (
        Check.ADAPTER,
        Saying(
            PROBLEM,
            "The computer has no Bluetooth adapter, or its driver is not loaded.",
            "Plug one in that does Bluetooth 4.0 or newer. A virtual machine has to be given one by its host; WSL gets "
            "none, there the program belongs into Windows itself.",
        ),
    )
    ADAPTER_UNUSED = (
        Check.ADAPTER,
        Saying(
            PROBLEM,
            "The system sees an adapter ({names}), but the Bluetooth service does not use it.",
            "sudo systemctl restart bluetooth. If that does not help, its firmware may be missing: "
            "sudo dmesg | grep -i bluetooth tells.",
        ),
    )
    ADAPTER_OFF = (
        Check.ADAPTER,
        Saying(
            PROBLEM,
            "The adapter {names} is switched off.",
            "Switch Bluetooth on in the desktop's settings, or: bluetoothctl power on",
        ),
    )
    ADAPTER_CLASSIC = (
        Check.ADAPTER,
        Saying(
            PROBLEM,
            "The adapter {names} cannot do Bluetooth Low Energy.",
            "Plug in one that does Bluetooth 4.0 or newer.",
        ),
    )

    RADIO_WORKS = Check.RADIO, Saying(OK, "A search for rollers works with --radio {radio}.")
    RADIO_DEMO = Check.RADIO, Saying(OK, "The demo brings its own roller and its own radio.")
    RADIO_ABSENT = (
        Check.RADIO,
        Saying(
            PROBLEM,
            "The computer has no Bluetooth adapter that works.",
            "Plug one in that does Bluetooth 4.0 or newer. The Device Manager of Windows shows its driver.",
        ),
    )
    RADIO_OFF = (
        Check.RADIO,
        Saying(
            PROBLEM,
            "Bluetooth is switched off.",
            "Switch it on. Windows: Settings > Bluetooth & devices; macOS: Control Centre > Bluetooth.",
        ),
    )
    RADIO_SILENT = (
        Check.RADIO,
        Saying(
            PROBLEM,
            "Nothing listens on {address}.",
            "Start the simulator in another terminal: roller-sim run --listen {address}",
        ),
    )
    RADIO_STRANGER = (
        Check.RADIO,
        Saying(
            PROBLEM,
            "Something listens on {address}, but it is no simulator of ours.",
            "Start the simulator on another port, for instance: roller-sim run --listen 127.0.0.1:9101",
        ),
    )
    RADIO_CONTROLLER = (
        Check.RADIO,
        Saying(
            PROBLEM,
            "The controller {radio} cannot be used: {error}",
            "Check that it is plugged in, that you may open it, and that the system does not use it itself (Linux: "
            "sudo systemctl stop bluetooth).",
        ),
    )
    RADIO_UNINSTALLED = Check.RADIO, Saying(PROBLEM, "{error}", _INSTALL + "'.[sim]'")
    RADIO_FAILS = (
        Check.RADIO,
        Saying(
            PROBLEM,
            "Bluetooth does not work: {error}",
            "Switch Bluetooth off and on (Linux: sudo systemctl restart bluetooth), then try again.",
        ),
    )
    RADIO_SLOW = (
        Check.RADIO,
        Saying(
            PROBLEM,
            "Bluetooth did not answer in time.",
            "If the system is asking you about Bluetooth, answer it; else switch Bluetooth off and on. Then try again.",
        ),
    )

    ROLLERS_SEEN = Check.ROLLERS, Saying(OK, "{names}.")
    ROLLERS_TAKEN = (
        Check.ROLLERS,
        Saying(
            WARNING,
            "Taken by another program or phone: {names}.",
            "Close the other program, or switch Bluetooth off on the phone: a roller serves one at a time.",
        ),
    )
    ROLLERS_UNSEEN = (
        Check.ROLLERS,
        Saying(
            WARNING,
            "No roller was seen within {seconds:.0f} s.",
            "Switch the roller on, bring it near, and try again.",
        ),
    )

    FOLDER_WRITABLE = Check.FOLDER, Saying(OK, "{path}")
    FOLDER_CLOSED = (
        Check.FOLDER,
        Saying(
            PROBLEM,
            "Nothing can be written to {path}: {error}.",
            "Give your user the right to write there, or choose another folder with the environment variable "
            "ROLLER_HOST_DATA.",
        ),
    )

    SPACE_ENOUGH = Check.SPACE, Saying(OK, "{free} free: room for about {hours} hours of recording.")
    SPACE_LOW = (
        Check.SPACE,
        Saying(
            WARNING,
            "Only {free} free: room for about {hours} hours of recording.",
            "Make room on the disk of {path}, or choose another folder with the environment variable ROLLER_HOST_DATA.",
        ),
    )
    SPACE_NONE = (
        Check.SPACE,
        Saying(
            PROBLEM,
            "The disk of {path} is full ({free} free): a recording would stop soon.",
            "Make room there, or choose another folder with the environment variable ROLLER_HOST_DATA.",
        ),
    )

    RECORDINGS_CLOSED = Check.UNFINISHED, Saying(OK, "{count} in the data folder, none left open.")
    RECORDINGS_OPEN = (
        Check.UNFINISHED,
        Saying(
            WARNING,
            "Not closed: {names}. Either a session goes on right now, or the program was ended in the middle of one; "
            "what was written is safe.",
            "If no session goes on: roller-host record --resume {path} goes on with it; roller-host replay {path} "
            "reads it, and puts its files in order.",
        ),
    )

    REMEMBERED_SOME = Check.REMEMBERED, Saying(OK, "{names}.")
    REMEMBERED_NONE = Check.REMEMBERED, Saying(SKIPPED, "None yet; a roller is remembered when it was connected once.")
    REMEMBERED_DAMAGED = (
        Check.REMEMBERED,
        Saying(
            WARNING,
            "The list of known rollers, {path}, cannot be read.",
            "Remove it; rollers are remembered anew when they are connected, but the names you gave them are lost.",
        ),
    )

    CLOCK_FITS = Check.CLOCK, Saying(OK, "{now}.")
    CLOCK_BEHIND = (
        Check.CLOCK,
        Saying(
            WARNING,
            "The computer's clock says {now}, but there are files of this program from {later}.",
            "Set date and time: recordings are named by them.",
        ),
    )
    CLOCK_COARSE = (
        Check.CLOCK,
        Saying(
            WARNING,
            "What arrives is timed in steps of {step_ms:.0f} ms only, so the roller's clock is known less well.",
            "On Windows, Python 3.13 has a finer clock.",
        ),
    )

    @property
    def check(self) -> Check:
        """The check that may say this."""
        return self.value[0]

    @property
    def saying(self) -> Saying:
        """The words."""
        return self.value[1]


AFTER = Saying(SKIPPED, "Not looked at: {other} comes first.")
ELSEWHERE = Saying(SKIPPED, "Nothing to look at with this radio on this system.")
UNKNOWN = Saying(
    WARNING, "This could not be found out: {error}.", "Try again. If it stays so, please report this line."
)
"""What any check can say. The first two are not among the lines of the text, only in JSON."""
