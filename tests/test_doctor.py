# SPDX-License-Identifier: MIT
"""The doctor: each verdict from facts, the probes here and on broken computers, the command as a person meets it."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from roller_host import cli
from roller_host.doctor import checks, probes
from roller_host.doctor.cases import BLUETOOTH, Case, Check, Verdict
from roller_host.doctor.probes import (
    Adapter,
    Answer,
    Bluez,
    Bus,
    Clock,
    Facts,
    Folder,
    Python,
    Remembered,
    Sound,
    Switch,
    Unknown,
    Window,
)
from roller_host.doctor.report import as_object, as_text, run_doctor, table

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "troubleshooting.md"
NOW_S = 1.8e9

LINUX = Facts(
    radio="native",
    python=Python((3, 11, 7), "linux", "Debian GNU/Linux 12 (bookworm)", "0.1.0", "ada"),
    versions={
        "bleak": "3.1.0",
        "numpy": "2.4.6",
        "platformdirs": "4.14.7",
        "scipy": "1.17.1",
        "vqf": "2.1.2",
        "bumble": "0.0.236",
        "PySide6-Essentials": "6.11.3",
        "pyqtgraph": "0.14.0",
        "miniaudio": "1.71",
    },
    load_error="",
    window=Window(display=True, platform="xcb"),
    sound=Sound("PulseAudio", plays=True),
    bus=Bus(service=True, adapters=(Adapter("hci0", powered=True, low_energy=True),)),
    bluez=Bluez(installed=True, version="5.66", kernel=("hci0",)),
    switches=(Switch("hci0", soft=False, hard=False),),
    answer=Answer(rollers=(("Roller-9A03", False), ("Roller-77B1", True))),
    folder=Folder("/home/ada/data", "", 80_000_000_000, 5, (), NOW_S - 3600),
    remembered=Remembered("/home/ada/data/rollers.json", ("Mine", "Roller-77B1"), readable=True),
    clock=Clock(NOW_S, 1e-9),
)
MACOS = replace(LINUX, python=replace(LINUX.python, system="darwin"), bus=None, bluez=None, switches=None)
WINDOWS = replace(MACOS, python=replace(LINUX.python, system="win32"))
TCP = replace(LINUX, radio="tcp:127.0.0.1:9100", bus=None, bluez=None, switches=None)


def without(*names, **others):
    return {key: value for key, value in LINUX.versions.items() if key not in names} | others


def bus(**changes):
    return {"bus": replace(LINUX.bus, **changes)}


def adapter(*, powered=True, low_energy=True):
    return bus(adapters=(Adapter("hci0", powered, low_energy),))


def failed(reason, error="no"):
    return {"answer": Answer(reason, error)}


def switch(soft, hard):
    return {"switches": (Switch("hci0", soft, hard),)}


OPEN = replace(LINUX.folder, unfinished=("/home/ada/data/a.sqlite",))

# What was found on which computer, and what of it a person must see in the words.
SCENES = [
    (LINUX, {}, Case.PYTHON_FITS, "Python 3.11.7 on Debian"),
    (LINUX, {"python": replace(LINUX.python, version=(3, 10, 2))}, Case.PYTHON_OLD, "3.10.2 is too old"),
    (LINUX, {"python": replace(LINUX.python, version=(3, 14, 0))}, Case.PYTHON_NEW, "3.14.0"),
    (LINUX, {}, Case.PACKAGES_FIT, "bleak 3.1.0, numpy"),
    (LINUX, {"versions": without("bleak", "vqf")}, Case.PACKAGES_MISSING, "bleak, vqf"),
    (LINUX, {"versions": without(bleak="2.1.1")}, Case.PACKAGES_DIFFER, "bleak 2.1.1 (needed: 3.1 or newer, below 4)"),
    (LINUX, {"versions": without(bleak="4.0.0")}, Case.PACKAGES_DIFFER, "bleak 4.0.0"),
    (LINUX, {"load_error": "ImportError: no blas"}, Case.PACKAGES_BROKEN, "no blas"),
    (LINUX, {}, Case.SIMULATOR_FITS, "0.0.236"),
    (LINUX, {"versions": without("bumble")}, Case.SIMULATOR_ABSENT, "'.[sim]'"),
    (TCP, {"versions": without("bumble")}, Case.SIMULATOR_NEEDED, "--radio tcp:127.0.0.1:9100 needs Bumble"),
    (LINUX, {"versions": without(bumble="0.0.240")}, Case.SIMULATOR_DIFFERS, "0.0.240"),
    (LINUX, {}, Case.DASHBOARD_OPENS, "PySide6 6.11.3, xcb"),
    (LINUX, {"versions": without("pyqtgraph")}, Case.DASHBOARD_ABSENT, "pyqtgraph"),
    (LINUX, {"versions": without(**{"PySide6-Essentials": "6.12.0"})}, Case.DASHBOARD_CRASHES, "6.12.0"),
    (LINUX, {"versions": without(**{"PySide6-Essentials": "6.8.3"})}, Case.DASHBOARD_DIFFERS, "6.8.3 (needed: 6.10"),
    (LINUX, {"window": Window(display=False)}, Case.DASHBOARD_NO_DISPLAY, "no display"),
    (LINUX, {"window": Window(display=True, loads=False, error="libGL.so.1")}, Case.DASHBOARD_NOT_LOADED, "libgl1"),
    (
        LINUX,
        {"window": Window(display=True, error="libxcb-cursor0 is needed to load the plugin")},
        Case.DASHBOARD_NOT_LOADED,
        "apt-get install",
    ),
    (LINUX, {"window": Window(display=True, error="no access to :0")}, Case.DASHBOARD_NOT_OPENED, "no access to :0"),
    (LINUX, {}, Case.SOUND_PLAYS, "miniaudio 1.71, PulseAudio"),
    (LINUX, {"versions": without("miniaudio")}, Case.SOUND_ABSENT, "'.[audio]'"),
    (LINUX, {"versions": without(miniaudio="1.6")}, Case.SOUND_DIFFERS, "1.6 (needed: 1.71"),
    (LINUX, {"sound": Sound(error="No sound: none here.")}, Case.SOUND_NO_DEVICE, "none here. All else works"),
    (LINUX, {"sound": Sound("ALSA")}, Case.SOUND_SILENT, "ALSA"),
    (LINUX, {}, Case.BUS_ANSWERS, ""),
    (LINUX, {"bus": Bus("No such file")}, Case.BUS_ABSENT, "No such file"),
    (LINUX, {"bus": Bus("REJECTED", refused=True)}, Case.BUS_REFUSES, "BLEAK_DBUS_AUTH_UID"),
    (LINUX, {}, Case.SERVICE_RUNS, ""),
    (LINUX, bus(service=False), Case.SERVICE_STOPPED, "systemctl enable --now bluetooth"),
    (LINUX, bus(service=False) | {"bluez": Bluez(False, "", ())}, Case.SERVICE_ABSENT, "apt-get install bluez"),
    (LINUX, {}, Case.BLUEZ_FITS, "5.66"),
    (LINUX, {"bluez": Bluez(True, "5.55", ())}, Case.BLUEZ_FITS, "5.55"),
    (LINUX, {"bluez": Bluez(True, "5.54", ())}, Case.BLUEZ_OLD, "5.54 is too old"),
    (LINUX, {"bluez": Bluez(True, "", ())}, Case.BLUEZ_UNKNOWN, "bluetoothctl"),
    (LINUX, {}, Case.SWITCH_ON, ""),
    (LINUX, {"switches": ()}, Case.SWITCH_ABSENT, ""),
    (LINUX, switch(True, False), Case.SWITCH_SOFT, "rfkill unblock bluetooth"),
    (LINUX, switch(True, True), Case.SWITCH_HARD, "switch or key of the computer (hci0)"),
    (LINUX, {"switches": (Switch("a", True, False), Switch("b", False, False))}, Case.SWITCH_ON, ""),
    (LINUX, {}, Case.ADAPTER_ON, "hci0"),
    (LINUX, bus(adapters=()) | {"bluez": Bluez(True, "5.66", ())}, Case.ADAPTER_ABSENT, "Plug one in"),
    (LINUX, bus(adapters=()), Case.ADAPTER_UNUSED, "hci0"),
    (LINUX, adapter(powered=False), Case.ADAPTER_OFF, "bluetoothctl power on"),
    (LINUX, adapter(low_energy=False), Case.ADAPTER_CLASSIC, "hci0 cannot do Bluetooth Low Energy"),
    (LINUX, {}, Case.PERMISSION_GIVEN, ""),
    (MACOS, {}, Case.PERMISSION_GIVEN, ""),
    (LINUX, bus(denied="AccessDenied", adapters=()), Case.PERMISSION_GROUP, "usermod -aG bluetooth ada"),
    (MACOS, failed("DENIED_BY_USER"), Case.PERMISSION_MACOS, "System Settings > Privacy & Security > Bluetooth"),
    (MACOS, failed("ENDED"), Case.PERMISSION_MACOS, "terminal"),
    (WINDOWS, {}, Case.PERMISSION_WINDOWS, "Settings > Privacy & security"),
    (LINUX, {}, Case.RADIO_WORKS, "--radio native"),
    (TCP, {}, Case.RADIO_WORKS, "--radio tcp:127.0.0.1:9100"),
    (TCP, {"radio": "demo", "answer": None}, Case.RADIO_DEMO, ""),
    (WINDOWS, failed("NO_BLUETOOTH"), Case.RADIO_ABSENT, "Device Manager"),
    (WINDOWS, failed("NO_BLE_CENTRAL_ROLE"), Case.RADIO_ABSENT, "4.0"),
    (MACOS, failed("POWERED_OFF"), Case.RADIO_OFF, "Control Centre"),
    (TCP, failed("NO_BLUETOOTH"), Case.RADIO_SILENT, "roller-sim run --listen 127.0.0.1:9100"),
    (TCP, failed("UNKNOWN"), Case.RADIO_STRANGER, "Something listens on 127.0.0.1:9100"),
    (TCP, {"radio": "hci:usb:0"} | failed("NO_BLUETOOTH", "usb:0 is gone"), Case.RADIO_CONTROLLER, "usb:0 is gone"),
    (TCP, failed("BAD", "needs pyee"), Case.RADIO_UNINSTALLED, "needs pyee"),
    (LINUX, failed("UNKNOWN", "le-scan"), Case.RADIO_FAILS, "le-scan"),
    (LINUX, failed("SLOW"), Case.RADIO_SLOW, "did not answer in time"),
    (LINUX, {}, Case.ROLLERS_SEEN, "Roller-9A03."),
    (LINUX, {"answer": Answer(rollers=(("Roller-77B1", True),))}, Case.ROLLERS_TAKEN, "Roller-77B1"),
    (LINUX, {"answer": Answer()}, Case.ROLLERS_UNSEEN, "Switch the roller on"),
    (LINUX, {}, Case.FOLDER_WRITABLE, "/home/ada/data"),
    (LINUX, {"folder": replace(LINUX.folder, error="Read-only file system")}, Case.FOLDER_CLOSED, "Read-only"),
    (LINUX, {}, Case.SPACE_ENOUGH, "80.0 GB free: room for about 7619 hours"),
    (
        LINUX,
        {"folder": replace(LINUX.folder, free_bytes=500_000_000)},
        Case.SPACE_LOW,
        "500 MB free: room for about 48",
    ),
    (LINUX, {"folder": replace(LINUX.folder, free_bytes=5_000_000)}, Case.SPACE_NONE, "full (5 MB free)"),
    (LINUX, {}, Case.RECORDINGS_CLOSED, "5 in the data folder"),
    (LINUX, {"folder": OPEN}, Case.RECORDINGS_OPEN, "roller-host replay /home/ada/data/a.sqlite reads it"),
    (LINUX, {"folder": replace(OPEN, unfinished=("/a b.sqlite",))}, Case.RECORDINGS_OPEN, 'replay "/a b.sqlite"'),
    (LINUX, {}, Case.REMEMBERED_SOME, "Mine, Roller-77B1"),
    (LINUX, {"remembered": Remembered("/r.json", (), readable=True)}, Case.REMEMBERED_NONE, "None yet"),
    (LINUX, {"remembered": Remembered("/r.json", (), readable=False)}, Case.REMEMBERED_DAMAGED, "/r.json, cannot be"),
    (LINUX, {}, Case.CLOCK_FITS, "2027-01-1"),
    (LINUX, {"clock": Clock(0.0, 1e-9)}, Case.CLOCK_BEHIND, "says 19"),
    (WINDOWS, {"clock": Clock(NOW_S, 0.0156)}, Case.CLOCK_COARSE, "steps of 16 ms"),
]


def examined(facts):
    findings = checks.examine(facts)
    assert [finding.check for finding in findings] == list(Check)
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(("computer", "changes", "case", "words"), SCENES)
def test_what_is_found_is_said_and_what_to_do(computer, changes, case, words):
    finding = examined(replace(computer, **changes))[case.check]
    assert finding.case == case.name
    assert finding.verdict is case.saying.verdict
    said = f"{finding.found} {finding.action}"
    assert words in said
    assert "{" not in said
    assert bool(finding.action) == bool(case.saying.action)


def test_every_case_has_a_scene():
    assert {case for _, _, case, _ in SCENES} == set(Case)


def test_whatever_is_wrong_has_something_to_do():
    wrong = [case for case in Case if case.saying.verdict in {Verdict.PROBLEM, Verdict.WARNING}]
    assert all(case.saying.action for case in wrong)


@pytest.mark.parametrize(("computer", "changes", "case", "words"), SCENES)
def test_the_exit_code_follows_from_the_problems(computer, changes, case, words):
    findings = checks.examine(replace(computer, **changes))
    problems = {finding.check for finding in findings if finding.verdict is Verdict.PROBLEM}
    expected = 3 if problems & BLUETOOTH else 2 if problems else 0
    assert checks.exit_code(findings) == expected
    if case.saying.verdict is Verdict.PROBLEM:
        assert expected == (3 if case.check in BLUETOOTH else 2)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"window": Window(display=False)}, 0),
        ({"folder": replace(LINUX.folder, error="Read-only")}, 2),
        ({"window": Window(display=True, error="no access")}, 2),
        (bus(service=False), 3),
        (switch(True, False), 3),
        (adapter(powered=False) | {"window": Window(display=True, error="no access")}, 3),
    ],
)
def test_no_bluetooth_is_3_and_other_problems_are_2(changes, code):
    assert checks.exit_code(checks.examine(replace(LINUX, **changes))) == code


def test_one_cause_is_told_once():
    findings = examined(replace(LINUX, bus=Bus("No such file"), answer=Answer("NO_BLUETOOTH", "no bus")))
    assert [check for check, one in findings.items() if one.verdict is Verdict.PROBLEM] == [Check.BUS]
    assert findings[Check.RADIO].found == "Not looked at: D-Bus comes first."
    assert findings[Check.SWITCH].case == "SWITCH_ON"
    assert findings[Check.FOLDER].case == "FOLDER_WRITABLE"


def test_without_its_packages_nothing_else_is_complained_about():
    lacking = Unknown("ModuleNotFoundError: No module named 'platformdirs'")
    findings = examined(replace(LINUX, versions={}, bus=lacking, folder=lacking, clock=lacking))
    troubled = [check for check, one in findings.items() if one.verdict in {Verdict.PROBLEM, Verdict.WARNING}]
    assert troubled == [Check.PACKAGES]
    assert findings[Check.FOLDER].found == "Not looked at: packages comes first."


COMPUTERS = {"linux": LINUX, "macos": MACOS, "windows": WINDOWS, "tcp": TCP}
NEEDED = [
    pytest.param(computer, name, id=f"{called}-{name}")
    for called, computer in COMPUTERS.items()
    for name in Facts.__dataclass_fields__
    if name != "radio" and getattr(computer, name) is not None
]


@pytest.mark.parametrize(("computer", "name"), NEEDED)
def test_what_cannot_be_found_out_is_a_warning_and_the_rest_goes_on(computer, name):
    findings = examined(replace(computer, **{name: Unknown("no answer within 8 s")}))
    unknown = [finding for finding in findings.values() if finding.case == "UNKNOWN"]
    assert unknown
    assert all("no answer within 8 s" in finding.found for finding in unknown)
    assert checks.exit_code(list(findings.values())) == 0


@pytest.mark.parametrize("computer", [MACOS, WINDOWS, TCP], ids=["macos", "windows", "tcp"])
def test_what_only_linux_has_is_not_shown_elsewhere(computer):
    findings = checks.examine(computer)
    assert {one.check for one in findings if one.case == "ELSEWHERE"} >= {Check.BUS, Check.SERVICE, Check.SWITCH}
    assert "D-Bus" not in as_text(findings)
    assert "D-Bus" in as_object("native", findings)


def test_the_text_says_what_to_begin_with():
    text = as_text(checks.examine(replace(LINUX, bus=Bus("No such file"), window=Window(display=False))))
    conclusion = text.splitlines()[-1]
    assert conclusion.startswith("1 problem and 1 warning. Begin with: D-Bus. Not looked at until that is solved: ")
    assert as_text(checks.examine(LINUX)).splitlines()[-1] == "Nothing stands in the way."


def test_the_text_can_be_printed_on_any_terminal():
    for case in Case:
        assert f"{case.saying.found}{case.saying.action}".isascii()


# --- The facts about packages are those of the project ----------------------------------------------------------------


def test_the_versions_wanted_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["sim"], *extras["dashboard"], *extras["audio"]]
    wanted = {
        name: f">={one.lowest}" + (f",<{one.below}" if one.below else "") for name, one in checks.PACKAGES.items()
    }
    wanted |= {"bumble": f"=={checks.BUMBLE}", "pyqtgraph": ">=0.14,<0.15", "miniaudio": ">=1.71,<2"}
    assert wanted.items() <= dict(re.match(r"([\w-]+)(.*)", one).groups() for one in asked).items()
    window = checks.WINDOW_PACKAGES["PySide6-Essentials"]
    assert f"PySide6-Essentials>={window.lowest},<{window.below}; python_version>='3.12'" in asked
    assert "PySide6-Essentials>=6.10,<6.12; python_version<'3.12'" in asked
    assert {re.match(r"[\w-]+", one)[0] for one in asked} == set(checks.NAMES)


@pytest.mark.parametrize(
    ("version", "fits"),
    [("3.1", True), ("3.1.0", True), ("3.9.1rc1", True), ("3.0.2", False), ("4", False), ("", False)],
)
def test_versions_are_compared_as_numbers(version, fits):
    assert checks.Wanted("3.1", "4").fits(version) is fits


# --- Probes -----------------------------------------------------------------------------------------------------------


def test_a_probe_that_hangs_is_left_alone():
    release = threading.Event()
    begun_s = time.monotonic()
    assert probes.bounded(release.wait, 0.05) == Unknown("no answer within 0.05 s")
    assert time.monotonic() - begun_s < 5
    release.set()


def test_a_probe_that_raises_is_no_traceback():
    assert probes.bounded(lambda: 1 / 0, 5) == Unknown("ZeroDivisionError: division by zero")


def test_switches_are_read_as_the_kernel_shows_them(tmp_path):
    for n, (kind, soft) in enumerate([("wlan", "1"), ("bluetooth", "1"), ("bluetooth", "0")]):
        folder = tmp_path / f"rfkill{n}"
        folder.mkdir()
        for name, text in (("name", f"hci{n}"), ("type", kind), ("soft", soft), ("hard", "0")):
            (folder / name).write_text(text + "\n")
    assert probes._switches(tmp_path) == (Switch("hci1", True, False), Switch("hci2", False, False))
    assert probes._switches(tmp_path / "missing") == ()


def test_a_folder_that_is_not_there_yet_is_fine_and_stays_away(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path / "a" / "b"))
    folder = probes._folder()
    assert (folder.error, folder.recordings, folder.unfinished) == ("", 0, ())
    assert folder.free_bytes > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_told(tmp_path, monkeypatch):
    (tmp_path / "data").write_text("")
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path / "data"))
    assert probes._folder().error == "Not a directory"


def test_recordings_left_open_are_listed_the_newest_last(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for n, name in enumerate(("c", "a", "b")):
        path = recordings / f"{name}.sqlite"
        path.write_text("")
        os.utime(path, (n, n))
    for name in ("a", "c"):
        (recordings / f"{name}.sqlite-wal").write_text("")
    folder = probes._folder()
    assert folder.recordings == 3
    assert folder.unfinished == tuple(str(recordings / name) for name in ("c.sqlite", "a.sqlite"))


@pytest.mark.parametrize(
    ("text", "readable", "names"),
    [
        (None, True, ()),
        ('{"rollers": []}', True, ()),
        ('{"rollers": [{"device_id": "00", "name": "Roller-1", "own_name": "Mine"}]}', True, ("Mine",)),
        ("half of a f", False, ()),
        ("[]", False, ()),
    ],
)
def test_known_rollers_are_read(tmp_path, monkeypatch, text, readable, names):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
    if text is not None:
        (tmp_path / "rollers.json").write_text(text)
    remembered = probes._remembered()
    assert (remembered.readable, remembered.names) == (readable, names)


def test_a_closed_port_and_a_name_of_no_radio_are_told_apart():
    assert asyncio.run(probes.search("tcp:127.0.0.1:1", 0.1)).reason == "NO_BLUETOOTH"
    assert asyncio.run(probes.search("bogus", 0.1)).reason == "BAD"


def test_a_process_that_the_system_ends_is_told(monkeypatch):
    ended = subprocess.CompletedProcess([], -6, "", "")
    monkeypatch.setattr(probes, "_run", lambda *_: ended)
    assert probes._answer("native", 1).reason == "ENDED"


def test_nonsense_from_the_other_process_is_told(monkeypatch):
    monkeypatch.setattr(probes, "_run", lambda *_: subprocess.CompletedProcess([], 1, "", "a\nImportError: b\n"))
    assert probes._answer("native", 1) == Answer("UNKNOWN", "ImportError: b")


def test_a_search_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(probes, "__name__", "http.server")
    assert probes._answer("0", 0.8) == Answer("SLOW")


# --- D-Bus, where there is a bus to try it with -----------------------------------------------------------------------

dbus_daemon = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and shutil.which("dbus-daemon")), reason="needs dbus-daemon (apt: dbus)"
)
BUS_CONFIG = """<busconfig><type>custom</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
{policy}</policy></busconfig>"""


@contextmanager
def system_bus(folder, monkeypatch, policy=""):
    path = folder / "bus"
    (folder / "bus.conf").write_text(BUS_CONFIG.format(path=path, policy=policy))
    daemon = subprocess.Popen(  # noqa: S603
        [shutil.which("dbus-daemon"), "--nofork", f"--config-file={folder / 'bus.conf'}", "--print-address"],
        stdout=subprocess.PIPE,
    )
    try:
        assert daemon.stdout.readline()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
        yield
    finally:
        daemon.terminate()
        daemon.wait()
        daemon.stdout.close()


async def looked_at(properties):
    """What the probe sees beside a bluetoothd with one adapter; without properties there is no bluetoothd."""
    from dbus_fast import BusType  # noqa: PLC0415 - only there on Linux
    from dbus_fast.aio import MessageBus  # noqa: PLC0415
    from dbus_fast.constants import PropertyAccess  # noqa: PLC0415
    from dbus_fast.service import ServiceInterface, dbus_property  # noqa: PLC0415

    class Adapter1(ServiceInterface):
        def __init__(self):
            super().__init__("org.bluez.Adapter1")

        @dbus_property(access=PropertyAccess.READ)
        def Powered(self) -> "b":  # noqa: N802, F821
            return properties["Powered"]

        @dbus_property(access=PropertyAccess.READ)
        def Roles(self) -> "as":  # noqa: N802, F722
            return properties["Roles"]

    if properties is None:
        return await probes._bus()
    bluetoothd = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        bluetoothd.export("/org/bluez/hci0", Adapter1())
        await bluetoothd.request_name("org.bluez")
        return await probes._bus()
    finally:
        bluetoothd.disconnect()


@dbus_daemon
def test_adapters_are_asked_for_over_the_bus(tmp_path, monkeypatch):
    with system_bus(tmp_path, monkeypatch):
        seen = asyncio.run(looked_at({"Powered": False, "Roles": ["central", "peripheral"]}))
    assert seen == Bus(service=True, adapters=(Adapter("hci0", powered=False, low_energy=True),))


@dbus_daemon
def test_an_adapter_without_low_energy_is_seen(tmp_path, monkeypatch):
    with system_bus(tmp_path, monkeypatch):
        seen = asyncio.run(looked_at({"Powered": True, "Roles": []}))
    assert seen.adapters == (Adapter("hci0", powered=True, low_energy=False),)


@dbus_daemon
def test_a_bus_without_bluetoothd_is_seen(tmp_path, monkeypatch):
    with system_bus(tmp_path, monkeypatch):
        assert asyncio.run(looked_at(None)) == Bus(service=False)


@dbus_daemon
def test_a_user_whom_bluetoothd_does_not_serve_is_told(tmp_path, monkeypatch):
    policy = '<deny send_interface="org.freedesktop.DBus.ObjectManager"/>'
    with system_bus(tmp_path, monkeypatch, policy):
        seen = asyncio.run(looked_at({"Powered": True, "Roles": ["central"]}))
    assert seen.service
    assert "rejected" in seen.denied.lower()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="D-Bus is for Linux")
def test_no_bus_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    assert asyncio.run(probes._bus()) == Bus("No such file or directory")


# --- The command ------------------------------------------------------------------------------------------------------


def doctor(folder, *arguments, **changes):
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "roller_host.cli", "doctor", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**kept, "ROLLER_HOST_DATA": str(folder), **changes},
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


def test_the_command_prints_one_object(tmp_path):
    done = doctor(tmp_path, "--radio", "demo", "--json", QT_QPA_PLATFORM="offscreen")
    told = json.loads(done.stdout)
    assert done.returncode == told["exit_code"] == 0
    assert [check["name"] for check in told["checks"]] == [check.value for check in Check]
    assert all(set(check) == {"name", "verdict", "case", "found", "action"} for check in told["checks"])
    assert done.stderr == ""


def test_a_simulator_that_is_not_there_is_no_working_bluetooth(tmp_path):
    done = doctor(tmp_path, "--radio", "tcp:127.0.0.1:1")
    assert done.returncode == 3
    assert "Nothing listens on 127.0.0.1:1." in done.stdout
    assert "> Start the simulator in another terminal: roller-sim run --listen 127.0.0.1:1" in done.stdout
    assert "Begin with: radio." in done.stdout


WITHOUT = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numpy", "scipy", "vqf", "bleak", "bumble", "PySide6", "pyqtgraph", "simulator"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Wall())
from roller_host.cli import main
sys.exit(main(["doctor", "--radio", "demo", "--json"]))
"""


def test_the_command_runs_without_the_packages_that_it_looks_for(tmp_path):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, cwd=ROOT, timeout=100, check=False
    )
    assert done.stderr == ""
    assert len(json.loads(done.stdout)["checks"]) == len(Check)


def test_a_radio_that_is_none_is_bad_input(capsys):
    assert cli.main(["doctor", "--radio", "bogus", "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["radio"] == "bogus"
    assert "known are" in said.err


def test_ctrl_c_ends_it_without_a_traceback(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("roller_host.doctor.report.gather", interrupted)
    assert cli.main(["doctor"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_person_at_a_terminal_sees_what_goes_on(monkeypatch, capsys):
    said = []

    def gather(radio, names, say):
        say("looking at Python ...")
        return replace(LINUX, radio=radio)

    monkeypatch.setattr("roller_host.doctor.report.gather", gather)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert run_doctor("native", as_json=False) == 0
    out, err = capsys.readouterr()
    assert "looking at Python ..." in err
    assert "looking at" not in out
    assert said == []


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_page_has_the_table_of_all_that_the_doctor_can_say():
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition("<!-- doctor -->\n")[2].partition("<!-- /doctor -->")[0] == table()


def test_the_page_names_only_commands_that_there_are():
    parser = cli.build_parser()
    commands = re.findall(r"`roller-host ([^`]+)`", PAGE.read_text(encoding="utf-8"))
    assert len(commands) >= 5
    for command in commands:
        parser.parse_args(command.split())
