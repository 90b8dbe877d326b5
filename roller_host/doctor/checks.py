# SPDX-License-Identifier: MIT
"""What the facts about a computer mean: one finding for each check. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from roller_host.doctor.cases import AFTER, BLUETOOTH, COMES_FIRST, ELSEWHERE, UNKNOWN, Case, Check, Saying, Verdict
from roller_host.doctor.probes import SCAN_S, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from roller_host.doctor.probes import Answer, Bluez, Bus, Facts

T = TypeVar("T")

NO_BLUETOOTH: Final = 3
PROBLEMS: Final = 2
RECORDED_BYTES_PER_S: Final = (130 + 45) / 60e-3
"""Growth of a recording: a packet of 130 bytes each 60 ms, and what its row takes beside it (measured)."""
SPACE_LOW_BYTES: Final = 1e9
SPACE_NONE_BYTES: Final = 10e6
CLOCK_COARSE_S: Final = 5e-3
CLOCK_SLACK_S: Final = 86400.0
"""Time zones and file systems of other systems may put a file into the future by less than this, s."""


class Wanted(NamedTuple):
    """Versions of a package that the program works with: from ``lowest``, and below ``below`` if that is given."""

    lowest: str
    below: str = ""

    def fits(self, version: str) -> bool:
        """Whether a version is one of these; what cannot be read as numbers counts as 0."""
        return _numbers(self.lowest) <= _numbers(version) and not (
            self.below and _numbers(version) >= _numbers(self.below)
        )

    def __str__(self) -> str:
        return f"{self.lowest} or newer" + (f", below {self.below}" if self.below else "")


PACKAGES: Final = {
    "bleak": Wanted("3.1", "4"),
    "numpy": Wanted("2.0"),
    "platformdirs": Wanted("4.2"),
    "scipy": Wanted("1.13"),
    "vqf": Wanted("2.1.2"),
}
BUMBLE: Final = "0.0.236"
WINDOW_PACKAGES: Final = {"PySide6-Essentials": Wanted("6.10", "7"), "pyqtgraph": Wanted("0.14", "0.15")}
SOUND_PACKAGES: Final = {"miniaudio": Wanted("1.71", "2")}
NAMES: Final = (*PACKAGES, "bumble", *WINDOW_PACKAGES, *SOUND_PACKAGES)
"""Packages whose versions the checks need."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: Check
    case: str
    """Name of a `Case`, or of one of the sayings that any check can use; stable, for programs."""
    verdict: Verdict
    found: str
    action: str


class _NotKnownError(Exception):
    """A fact that a check needs could not be found out."""


def examine(facts: Facts) -> list[Finding]:
    """Judge all checks, in the order of `Check`."""
    findings: list[Finding] = []
    for check in Check:
        troubled = [one.check for one in findings if one.verdict is Verdict.PROBLEM]
        first = next((one for one in troubled if check in COMES_FIRST.get(one, ())), None)
        try:
            finding = _JUDGES[check](facts) if first is None else _after(check, first)
        except _NotKnownError as error:
            # Without its packages the program cannot find out much about anything.
            packages = Check.PACKAGES in troubled
            finding = _after(check, Check.PACKAGES) if packages else _said(check, "UNKNOWN", UNKNOWN, error=str(error))
        findings.append(finding)
    return findings


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when nothing stands in the way, 3 when there is no working Bluetooth, 2 for other problems."""
    problems = {finding.check for finding in findings if finding.verdict is Verdict.PROBLEM}
    if problems & BLUETOOTH:
        return NO_BLUETOOTH
    return PROBLEMS if problems else 0


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", version)[0]))


def _said(check: Check, case: str, saying: Saying, **words: object) -> Finding:
    return Finding(check, case, saying.verdict, saying.found.format(**words), saying.action.format(**words))


def _after(check: Check, first: Check) -> Finding:
    return _said(check, "AFTER", AFTER, other=first.value)


def _find(case: Case, **words: object) -> Finding:
    return _said(case.check, case.name, case.saying, **words)


def _elsewhere(check: Check) -> Finding:
    return _said(check, "ELSEWHERE", ELSEWHERE)


def _known(fact: T | Unknown) -> T:
    if isinstance(fact, Unknown):
        raise _NotKnownError(fact.error)
    return fact


def _python(facts: Facts) -> Finding:
    python = _known(facts.python)
    version = ".".join(map(str, python.version))
    if python.version < (3, 11):
        return _find(Case.PYTHON_OLD, version=version)
    if python.version >= (3, 14):
        return _find(Case.PYTHON_NEW, version=version)
    return _find(Case.PYTHON_FITS, version=version, system=python.system_name, program=python.program)


def _unfit(versions: dict[str, str], wanted: dict[str, Wanted]) -> str:
    return ", ".join(
        f"{name} {versions[name]} (needed: {one})" for name, one in wanted.items() if not one.fits(versions[name])
    )


def _packages(facts: Facts) -> Finding:
    versions = dict(_known(facts.versions))
    missing = [name for name in PACKAGES if name not in versions]
    if missing:
        return _find(Case.PACKAGES_MISSING, names=", ".join(missing))
    if unfit := _unfit(versions, PACKAGES):
        return _find(Case.PACKAGES_DIFFER, names=unfit)
    if error := _known(facts.load_error):
        return _find(Case.PACKAGES_BROKEN, error=error)
    return _find(Case.PACKAGES_FIT, versions=", ".join(f"{name} {versions[name]}" for name in PACKAGES))


def _simulator(facts: Facts) -> Finding:
    version = _known(facts.versions).get("bumble")
    if version is None:
        return _find(Case.SIMULATOR_ABSENT if facts.radio == "native" else Case.SIMULATOR_NEEDED, radio=facts.radio)
    return _find(Case.SIMULATOR_FITS if version == BUMBLE else Case.SIMULATOR_DIFFERS, version=version, wanted=BUMBLE)


def _dashboard(facts: Facts) -> Finding:
    versions, python = dict(_known(facts.versions)), _known(facts.python).version
    missing = [name for name in WINDOW_PACKAGES if name not in versions]
    if missing:
        return _find(Case.DASHBOARD_ABSENT, names=", ".join(missing))
    qt = versions["PySide6-Essentials"]
    # It loses a reference to None with every call that returns nothing; since 3.12 None cannot be lost.
    if _numbers(qt)[:2] == (6, 12) and python < (3, 12):
        return _find(Case.DASHBOARD_CRASHES, version=qt, python=".".join(map(str, python)))
    if unfit := _unfit(versions, WINDOW_PACKAGES):
        return _find(Case.DASHBOARD_DIFFERS, names=unfit)
    window = _known(facts.window)
    if not window.loads or "needed to load" in window.error:
        return _find(Case.DASHBOARD_NOT_LOADED, error=window.error)
    if not window.display:
        return _find(Case.DASHBOARD_NO_DISPLAY)
    if window.error:
        return _find(Case.DASHBOARD_NOT_OPENED, error=window.error)
    return _find(Case.DASHBOARD_OPENS, version=qt, platform=window.platform)


def _sound(facts: Facts) -> Finding:
    versions = dict(_known(facts.versions))
    if "miniaudio" not in versions:
        return _find(Case.SOUND_ABSENT)
    if unfit := _unfit(versions, SOUND_PACKAGES):
        return _find(Case.SOUND_DIFFERS, names=unfit)
    sound = _known(facts.sound)
    if sound.error:
        return _find(Case.SOUND_NO_DEVICE, error=sound.error)
    case = Case.SOUND_PLAYS if sound.plays else Case.SOUND_SILENT
    return _find(case, version=versions["miniaudio"], system=sound.system)


def _with_bus(check: Check, judge: Callable[[Bus, Facts], Finding]) -> Callable[[Facts], Finding]:
    """Check of what only BlueZ has."""

    def judged(facts: Facts) -> Finding:
        return _elsewhere(check) if facts.bus is None else judge(_known(facts.bus), facts)

    return judged


def _bus(bus: Bus, _: Facts) -> Finding:
    if bus.refused:
        return _find(Case.BUS_REFUSES, error=bus.error)
    return _find(Case.BUS_ABSENT, error=bus.error) if bus.error else _find(Case.BUS_ANSWERS)


def _service(bus: Bus, facts: Facts) -> Finding:
    if bus.service:
        return _find(Case.SERVICE_RUNS)
    return _find(Case.SERVICE_STOPPED if _bluez_of(facts).installed else Case.SERVICE_ABSENT)


def _bluez_of(facts: Facts) -> Bluez:
    bluez = _known(facts.bluez)
    if bluez is None:
        raise _NotKnownError("it was not looked at")
    return bluez


def _version(_: Bus, facts: Facts) -> Finding:
    version = _bluez_of(facts).version
    if not version:
        return _find(Case.BLUEZ_UNKNOWN)
    return _find(Case.BLUEZ_FITS if _numbers(version) >= (5, 55) else Case.BLUEZ_OLD, version=version)


def _switch(facts: Facts) -> Finding:
    if facts.switches is None:
        return _elsewhere(Check.SWITCH)
    switches = _known(facts.switches) or ()
    if not switches:
        return _find(Case.SWITCH_ABSENT)
    for case, blocked in (
        (Case.SWITCH_HARD, [one.name for one in switches if one.hard]),
        (Case.SWITCH_SOFT, [one.name for one in switches if one.soft]),
    ):
        # Of several adapters, one that is free is enough.
        if len(blocked) == len(switches):
            return _find(case, names=", ".join(blocked))
    return _find(Case.SWITCH_ON)


def _adapter(bus: Bus, facts: Facts) -> Finding:
    if not bus.adapters:
        seen = _bluez_of(facts).kernel
        return _find(Case.ADAPTER_UNUSED if seen else Case.ADAPTER_ABSENT, names=", ".join(seen))
    able = [one for one in bus.adapters if one.low_energy]
    if not able:
        return _find(Case.ADAPTER_CLASSIC, names=", ".join(one.name for one in bus.adapters))
    powered = [one.name for one in able if one.powered]
    if not powered:
        return _find(Case.ADAPTER_OFF, names=", ".join(one.name for one in able))
    return _find(Case.ADAPTER_ON, names=", ".join(powered))


def _permission(facts: Facts) -> Finding:
    if facts.radio != "native":
        return _elsewhere(Check.PERMISSION)
    python = _known(facts.python)
    if python.system == "win32":
        return _find(Case.PERMISSION_WINDOWS)
    if python.system == "darwin":
        answer = _answer_of(facts)
        denied = answer.reason.startswith("DENIED") or answer.reason == "ENDED"
        return _find(Case.PERMISSION_MACOS if denied else Case.PERMISSION_GIVEN)
    if facts.bus is None:
        return _elsewhere(Check.PERMISSION)
    error = _known(facts.bus).denied
    return _find(Case.PERMISSION_GROUP if error else Case.PERMISSION_GIVEN, user=python.user, error=error)


def _answer_of(facts: Facts) -> Answer:
    answer = _known(facts.answer)
    if answer is None:
        raise _NotKnownError("there was no search")
    return answer


_ANY_RADIO: Final = {"SLOW": Case.RADIO_SLOW, "BAD": Case.RADIO_UNINSTALLED}
_NATIVE: Final = {
    "POWERED_OFF": Case.RADIO_OFF,
    "NO_BLUETOOTH": Case.RADIO_ABSENT,
    "NO_BLE_CENTRAL_ROLE": Case.RADIO_ABSENT,
}


def _radio(facts: Facts) -> Finding:
    if facts.answer is None:
        return _find(Case.RADIO_DEMO)
    answer, radio = _answer_of(facts), facts.radio
    if not answer.reason:
        return _find(Case.RADIO_WORKS, radio=radio)
    if answer.reason in _ANY_RADIO:
        return _find(_ANY_RADIO[answer.reason], error=answer.error)
    if radio.startswith("tcp:"):
        case = Case.RADIO_SILENT if answer.reason == "NO_BLUETOOTH" else Case.RADIO_STRANGER
        return _find(case, address=radio.removeprefix("tcp:"))
    if radio.startswith("hci:"):
        return _find(Case.RADIO_CONTROLLER, radio=radio, error=answer.error)
    return _find(_NATIVE.get(answer.reason, Case.RADIO_FAILS), error=answer.error)


def _rollers(facts: Facts) -> Finding:
    if facts.answer is None:
        return _elsewhere(Check.ROLLERS)
    seen = _answer_of(facts).rollers
    free = [name for name, taken in seen if not taken]
    if free:
        return _find(Case.ROLLERS_SEEN, names=", ".join(free))
    if seen:
        return _find(Case.ROLLERS_TAKEN, names=", ".join(name for name, _ in seen))
    return _find(Case.ROLLERS_UNSEEN, seconds=SCAN_S)


def _folder(facts: Facts) -> Finding:
    folder = _known(facts.folder)
    if folder.error:
        return _find(Case.FOLDER_CLOSED, path=folder.path, error=folder.error)
    return _find(Case.FOLDER_WRITABLE, path=folder.path)


def _space(facts: Facts) -> Finding:
    folder = _known(facts.folder)
    free = folder.free_bytes
    words = f"{free / 1e9:.1f} GB" if free >= 1e9 else f"{free / 1e6:.0f} MB"
    case = Case.SPACE_ENOUGH
    if free < SPACE_LOW_BYTES:
        case = Case.SPACE_NONE if free < SPACE_NONE_BYTES else Case.SPACE_LOW
    return _find(case, free=words, hours=f"{free / RECORDED_BYTES_PER_S / 3600:.0f}", path=folder.path)


def _unfinished(facts: Facts) -> Finding:
    folder = _known(facts.folder)
    if not folder.unfinished:
        return _find(Case.RECORDINGS_CLOSED, count=folder.recordings)
    path = folder.unfinished[-1]
    return _find(Case.RECORDINGS_OPEN, names=", ".join(folder.unfinished), path=f'"{path}"' if " " in path else path)


def _remembered(facts: Facts) -> Finding:
    remembered = _known(facts.remembered)
    if not remembered.readable:
        return _find(Case.REMEMBERED_DAMAGED, path=remembered.path)
    case = Case.REMEMBERED_SOME if remembered.names else Case.REMEMBERED_NONE
    return _find(case, names=", ".join(remembered.names))


def _clock(facts: Facts) -> Finding:
    clock, newest_s = _known(facts.clock), _known(facts.folder).newest_s
    now, later = (f"{datetime.fromtimestamp(t_s).astimezone():%Y-%m-%d %H:%M}" for t_s in (clock.now_s, newest_s))
    if clock.now_s < newest_s - CLOCK_SLACK_S:
        return _find(Case.CLOCK_BEHIND, now=now, later=later)
    if clock.step_s > CLOCK_COARSE_S:
        return _find(Case.CLOCK_COARSE, step_ms=clock.step_s * 1e3)
    return _find(Case.CLOCK_FITS, now=now)


_JUDGES: Final[dict[Check, Callable[[Facts], Finding]]] = {
    Check.PYTHON: _python,
    Check.PACKAGES: _packages,
    Check.SIMULATOR: _simulator,
    Check.DASHBOARD: _dashboard,
    Check.SOUND: _sound,
    Check.BUS: _with_bus(Check.BUS, _bus),
    Check.SERVICE: _with_bus(Check.SERVICE, _service),
    Check.BLUEZ: _with_bus(Check.BLUEZ, _version),
    Check.SWITCH: _switch,
    Check.ADAPTER: _with_bus(Check.ADAPTER, _adapter),
    Check.PERMISSION: _permission,
    Check.RADIO: _radio,
    Check.ROLLERS: _rollers,
    Check.FOLDER: _folder,
    Check.SPACE: _space,
    Check.UNFINISHED: _unfinished,
    Check.REMEMBERED: _remembered,
    Check.CLOCK: _clock,
}
