# SPDX-License-Identifier: MIT
"""Command line of the host. Imports nothing heavy before a command runs, so that help is instant."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from roller_host import __version__
from roller_host.terminal import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from roller_host.app.live import Options

    _Add = Callable[[str, str], argparse.ArgumentParser]
    """Adds a command by its name and what it does."""

LATEST = Path("latest")
"""Stands for the session that was cut off last."""
RADIOS = "demo[:SCENARIO] | native | tcp:HOST:PORT | hci:TRANSPORT"
_EXIT_CODES = (
    "exit codes: 0 ok, 2 bad input, 3 no device, 4 link lost, 5 refused or incompatible "
    "(1 a mistake in the program, 130 ended by Ctrl-C before its work was done)"
)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 0")
    return int(text)


def _add_radio(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--radio", default=default, metavar="RADIO", help=f"{RADIOS} (default: {default})")
    parser.add_argument("--seed", type=_seed, default=1, help="person and device of the demo (default: 1)")


def _passkey(text: str) -> int:
    if not (text.isdecimal() and len(text) == 6):
        raise argparse.ArgumentTypeError(f"{text!r} is no passkey: six digits, as on the roller's label")
    return int(text)


def _patience(text: str) -> float:
    return 0.0 if text == "0" else _seconds(text)


_DEVICE_HELP = "own name, advertised name, address or device id of the roller (default: the strongest)"


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="NAME", help=_DEVICE_HELP)
    _add_passkey(parser)


def _add_passkey(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passkey", type=_passkey, help="six digits on the label of a roller that wants them")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")


def _add_stream(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=_seconds, help="stop after this streaming time (default: until Ctrl-C)")
    _add_json(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="record to this new file (default: the data folder)")
    _add_routine(parser)
    _add_person(parser)


def _add_routine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--routine", type=Path, metavar="FILE", help="what is done, as a routine: places are surer then"
    )


def _add_cues(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sound", action=argparse.BooleanOptionalAction,
        help="play cues (default: in a window, where the extra audio is installed)",
    )  # fmt: skip
    parser.add_argument(
        "--mute", dest="muted", action="store_const", const=True, help="play nothing but the stop signal"
    )
    parser.add_argument(
        "--no-haptics", dest="haptics", action="store_const", const=False,
        help="the roller itself warns of the ceiling only, not of limits",
    )  # fmt: skip


def _moment(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds from 0")
    return value


def _add_person(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--person", metavar="NAME", help="whose comfort bands hold (default: the starting points)")


def _add_patience(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--give-up", dest="give_up_s", type=_patience, default=600.0, metavar="SECONDS",
        help="how long a roller that was lost is looked for; 0 ends with the link (default: 600)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", type=Path, nargs="?", const=LATEST, metavar="FILE",
        help="go on with a session that was cut off (default: the latest)",
    )  # fmt: skip


def _add_live_commands(add: _Add) -> None:
    demo = add("demo", "dashboard (or, with --headless, a stream) of a simulated roller; no hardware needed")
    demo.add_argument("--headless", action="store_true", help="no window: print what was measured")
    demo.add_argument("--seed", type=_seed, default=1, help="person and device to simulate (default: 1)")
    demo.add_argument("--theme", choices=("system", "light", "dark"), default="system")
    _add_stream(demo)
    _add_cues(demo)

    scan = add("scan", "list the rollers in range")
    _add_radio(scan, "native")
    scan.add_argument("--seconds", type=_seconds, help="how long to look (default: 5)")
    _add_json(scan)

    for name, text in (
        ("stream", "stream from a roller and show its strokes; recorded as well"),
        ("record", "record a session without showing it"),
    ):
        command = add(name, text)
        _add_radio(command, "native")
        command.add_argument("--device", metavar="NAME", action="append", help=f"{_DEVICE_HELP}; several are possible")
        _add_passkey(command)
        _add_stream(command)
        _add_cues(command)
        _add_patience(command)


def _add_roller_commands(add: _Add) -> None:
    rollers = add("rollers", "list the rollers that this computer knows; name or forget them")
    rollers.add_argument("--rename", nargs=2, metavar=("NAME", "NEW"), help="give a roller a name of your own")
    rollers.add_argument("--forget", metavar="NAME", help="know a roller no longer; unpair it as well with --radio")
    rollers.add_argument("--radio", metavar="RADIO", help=f"{RADIOS}: where to unpair it")
    _add_json(rollers)

    identify = add("identify", "let a roller blink and buzz, to tell it from others")
    fetch = add("fetch", "fetch what a roller recorded by itself, without a host")
    for command in (identify, fetch):
        _add_radio(command, "native")
        _add_device(command)
        _add_json(command)


def _add_file_commands(add: _Add) -> None:
    replay = add("replay", "feed a recording or a JSON-lines capture through the same pipeline again")
    replay.add_argument("file", type=Path, help="recording (.sqlite) or capture (.jsonl)")
    _add_json(replay)

    explain = add("explain", "say of every alert in a recording or capture why it was given")
    explain.add_argument("file", type=Path, help="recording (.sqlite) or capture (.jsonl)")
    explain.add_argument("--at", type=_moment, metavar="SECONDS", help="what held at this time instead, alert or not")
    _add_json(explain)

    analyse = add("analyse", "turn a recording or a JSON-lines capture into tables of samples, strokes and events")
    analyse.add_argument("file", type=Path, help="recording (.sqlite) or capture (.jsonl)")
    analyse.add_argument("--out", type=Path, required=True, metavar="DIR", help="write to this new folder")
    _add_routine(analyse)
    _add_json(analyse)


def _add_calibration(add: _Add) -> None:
    calibrate = add("calibrate", "make force trustworthy, and thresholds your own")
    kinds = calibrate.add_subparsers(dest="kind", required=True, metavar="WHAT")

    def add_kind(name: str, text: str) -> argparse.ArgumentParser:
        return kinds.add_parser(name, help=text, description=text, epilog=_EXIT_CODES)

    force = add_kind("force", "counts to newtons: hold still, turn about, hang known weights")
    _add_radio(force, "native")
    force.add_argument(
        "--weights", metavar="KG,KG,...", help="masses in kg, hung one after the other (default: asked for)"
    )
    force.add_argument("--scale", action="store_true", help="press the roller on a scale that shows these masses")
    force.add_argument("--write", action="store_true", help="store it in the roller too: press its button when asked")
    listing = add_kind("list", "calibrations made so far, and which is in use")
    undo = add_kind("undo", "go back to an earlier calibration")
    undo.add_argument("--to", type=int, metavar="NUMBER", help="as in the list (default: the one before)")
    for kind in (force, listing, undo):
        kind.add_argument("--device", metavar="NAME", help=_DEVICE_HELP)
        _add_json(kind)
    _add_passkey(force)

    text = "find out what is comfortable, where: press slowly harder, mark twice with the button on the roller or Enter"
    comfort = add_kind("comfort", text)
    _add_radio(comfort, "native")
    _add_device(comfort)
    comfort.add_argument("--person", metavar="NAME", help="whose (default: Me, or Demo with --radio demo)")
    form = comfort.add_mutually_exclusive_group()
    form.add_argument("--full", action="store_true", help="all places, both sides (default: forehead, cheek, jaw)")
    form.add_argument("--zones", metavar="PLACES", help="only these: 'left cheek, jaw'")
    form.add_argument("--continue", dest="go_on", action="store_true", help="go on with one that was interrupted")
    comfort.add_argument("--exclude", metavar="PLACES", help="leave these out from now on: 'chin, left temple'")
    _add_json(comfort)


def _add_people(add: _Add) -> None:
    people = add("people", "comfort profiles of people: list, show, refine, export, import, rename, delete")
    acts = people.add_subparsers(dest="act", metavar="ACT")
    _add_json(people)
    for name, text, operands in (
        ("list", "everybody with a profile (default)", ()),
        ("show", "bands in N and kPa, and where they come from", ("NAME",)),
        (
            "feel",
            "say how a place felt: too-light, right or too-firm; its band moves a little",
            ("NAME", "PLACE", "HOW"),
        ),
        ("include", "take a place back that was left out", ("NAME", "PLACE")),
        ("export", "write a profile to a new file", ("NAME", "FILE")),
        ("import", "take over a profile from a file", ("FILE",)),
        ("rename", "give a person another name", ("NAME", "NEW")),
        ("delete", "delete a profile", ("NAME",)),
    ):
        act = acts.add_parser(name, help=text, description=text, epilog=_EXIT_CODES)
        for operand in operands:
            act.add_argument(operand.lower(), metavar=operand, type=Path if operand == "FILE" else str)
        if name == "import":
            act.add_argument("--as", dest="name", metavar="NAME", help="under this name")
        act.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print exactly one JSON object")


def _add_window_and_doctor(add: _Add) -> None:
    dashboard = add("dashboard", "open the dashboard")
    _add_radio(dashboard, "native")
    _add_device(dashboard)
    _add_routine(dashboard)
    _add_cues(dashboard)
    _add_person(dashboard)
    dashboard.add_argument("--theme", choices=("system", "light", "dark"), default="system")
    dashboard.add_argument("--seconds", type=_seconds, help="close by itself after this time")

    doctor = add("doctor", "check Bluetooth, packages, display and disk, and say what to do")
    doctor.add_argument("--radio", default="native", metavar="RADIO", help=f"{RADIOS} (default: native)")
    _add_json(doctor)


def build_parser() -> argparse.ArgumentParser:
    """Command line as `argparse` sees it."""
    parser = argparse.ArgumentParser(
        prog="roller-host",
        description="Companion of a Bluetooth facial roller: stroke direction and force, live. Not a medical device.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, epilog=_EXIT_CODES)

    kinds = _add_live_commands, _add_roller_commands, _add_calibration, _add_people, _add_file_commands
    for commands_of_a_kind in (*kinds, _add_window_and_doctor):
        commands_of_a_kind(add)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "demo" and arguments.json and not arguments.headless:
        parser.error("demo --json goes with --headless: a window prints nothing")
    if arguments.command == "doctor":
        # Must run even where packages that the other commands need are missing or broken.
        from roller_host.doctor.report import run_doctor  # noqa: PLC0415

        return guarded(lambda: run_doctor(arguments.radio, as_json=arguments.json))
    try:
        from roller_host import commands  # noqa: PLC0415 - heavy; help must not wait for it
    except KeyboardInterrupt:
        return 130

    # What was imported stays: looking for garbage in it again and again would take a tenth of a second.
    gc.freeze()
    commands.quiet_libraries()
    return guarded(lambda: _run(arguments, commands))


def _run(arguments: argparse.Namespace, commands: ModuleType) -> int:
    """Hand the command line to the function that does it."""
    known = {key: value for key, value in vars(arguments).items() if key in commands.Options.__dataclass_fields__}
    known["show_strokes"] = arguments.command != "record"
    if arguments.command == "demo":
        known["radio"] = commands.DEMO
    devices: list[str] = []
    if arguments.command in ("stream", "record"):
        devices = known.pop("device") or []
        known["device"] = devices[0] if devices else None
    options = commands.Options(**{key: value for key, value in known.items() if value is not None})
    windowed = arguments.command == "dashboard" or (arguments.command == "demo" and not arguments.headless)
    acts: dict[str, Callable[[], int]] = {
        "replay": lambda: commands.run_replay(arguments.file, options),
        "explain": lambda: commands.run_explain(arguments.file, arguments.at, options),
        "analyse": lambda: commands.run_analyse(arguments.file, arguments.out, options),
        "scan": lambda: commands.run_scan(options),
        "rollers": lambda: commands.run_rollers(options, arguments.rename, arguments.forget, arguments.radio),
        "identify": lambda: commands.run_identify(options),
        "people": lambda: commands.run_people(arguments),
        "fetch": lambda: commands.run_fetch(options),
        "calibrate": lambda: _calibrate(arguments, commands, options),
    }
    if windowed:
        return commands.run_dashboard(options)
    act = acts.get(arguments.command)
    return act() if act else commands.run_headless(options, devices)


def _calibrate(arguments: argparse.Namespace, commands: ModuleType, options: Options) -> int:
    if arguments.kind == "comfort":
        return commands.run_comfort(options, arguments)
    if arguments.kind == "list":
        return commands.run_calibrations(options)
    if arguments.kind == "undo":
        return commands.run_undo_calibration(options, arguments.to)
    task = commands.ForceTask(arguments.weights, arguments.scale, arguments.write)
    return commands.run_calibrate_force(options, task)


if __name__ == "__main__":
    sys.exit(main())
