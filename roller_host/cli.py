# SPDX-License-Identifier: MIT
"""Command line of the host. Imports nothing heavy before a command runs, so that help is instant."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from roller_host import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

RADIOS = "demo | native | tcp:HOST:PORT | hci:TRANSPORT"
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


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="NAME", help="name or address of the roller (default: the strongest)")


def _add_stream(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=_seconds, help="stop after this streaming time (default: until Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    parser.add_argument("--out", type=Path, metavar="FILE", help="record to this new file (default: the data folder)")


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

    demo = add("demo", "dashboard (or, with --headless, a stream) of a simulated roller; no hardware needed")
    demo.add_argument("--headless", action="store_true", help="no window: print what was measured")
    demo.add_argument("--seed", type=_seed, default=1, help="person and device to simulate (default: 1)")
    demo.add_argument("--theme", choices=("system", "light", "dark"), default="system")
    _add_stream(demo)

    scan = add("scan", "list the rollers in range")
    _add_radio(scan, "native")
    scan.add_argument("--seconds", type=_seconds, help="how long to look (default: 5)")
    scan.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")

    for name, text in (
        ("stream", "stream from a roller and show its strokes; recorded as well"),
        ("record", "record a session without showing it"),
    ):
        command = add(name, text)
        _add_radio(command, "native")
        _add_device(command)
        _add_stream(command)

    replay = add("replay", "feed a recording or a JSON-lines capture through the same pipeline again")
    replay.add_argument("file", type=Path, help="recording (.sqlite) or capture (.jsonl)")
    replay.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")

    analyse = add("analyse", "turn a recording or a JSON-lines capture into tables of samples, strokes and events")
    analyse.add_argument("file", type=Path, help="recording (.sqlite) or capture (.jsonl)")
    analyse.add_argument("--out", type=Path, required=True, metavar="DIR", help="write to this new folder")
    analyse.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")

    dashboard = add("dashboard", "open the dashboard")
    _add_radio(dashboard, "native")
    _add_device(dashboard)
    dashboard.add_argument("--theme", choices=("system", "light", "dark"), default="system")
    dashboard.add_argument("--seconds", type=_seconds, help="close by itself after this time")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "demo" and arguments.json and not arguments.headless:
        parser.error("demo --json goes with --headless: a window prints nothing")
    try:
        from roller_host import commands  # noqa: PLC0415 - heavy; help must not wait for it
    except KeyboardInterrupt:
        return 130

    commands.quiet_libraries()
    known = {key: value for key, value in vars(arguments).items() if key in commands.Options.__dataclass_fields__}
    known["show_strokes"] = arguments.command != "record"
    if arguments.command == "demo":
        known["radio"] = commands.DEMO
    options = commands.Options(**known)
    if arguments.command == "replay":
        return commands.guarded(lambda: commands.run_replay(arguments.file, options))
    if arguments.command == "analyse":
        return commands.guarded(lambda: commands.run_analyse(arguments.file, arguments.out, options))
    if arguments.command == "scan":
        return commands.guarded(lambda: commands.run_scan(options))
    if arguments.command == "dashboard" or (arguments.command == "demo" and not arguments.headless):
        return commands.guarded(lambda: commands.run_dashboard(options))
    return commands.guarded(lambda: commands.run_headless(options))


if __name__ == "__main__":
    sys.exit(main())
