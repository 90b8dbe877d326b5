# SPDX-License-Identifier: MIT
"""Command line of the simulator. Imports nothing heavy before a command runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_LISTEN = "127.0.0.1:9100"
DEFAULT_SCENARIO = "practised"
MOST_DEVICES = 16
SHORTEST_MIN, LONGEST_MIN = 0.001, 1440


def listen_address(text: str) -> tuple[str, int]:
    """Parse ``HOST:PORT``.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is something else.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and colon and port.isdecimal() and int(port) <= 0xFFFF):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for instance {DEFAULT_LISTEN}")
    return host, int(port)


def above_zero(text: str) -> float:
    """Parse a number above zero.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is something else.
    """
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


def minutes(text: str) -> float:
    """Parse the length of a generated session, up to a day, min.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is something else.
    """
    with contextlib.suppress(ValueError):
        if SHORTEST_MIN <= float(text) <= LONGEST_MIN:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes from {SHORTEST_MIN} to {LONGEST_MIN}")


def seed(text: str) -> int:
    """Parse a seed, an integer from 0.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is something else.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 0")
    return int(text)


def devices(text: str) -> int:
    """Parse a number of rollers.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is something else.
    """
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DEVICES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rollers from 1 to {MOST_DEVICES}")
    return int(text)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="roller-sim", description="A roller in software: the reference device, its Bluetooth and a massage."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="be a roller that hosts can connect to over TCP",
        description="Be a roller. Each host that opens the TCP port gets a virtual Bluetooth dongle in its range. "
        "Faults can be typed while it runs, one a line: see docs/faults.md, or type faults.",
    )
    run.add_argument(
        "--listen",
        type=listen_address,
        default=listen_address(DEFAULT_LISTEN),
        metavar="HOST:PORT",
        help=f"where hosts connect (default {DEFAULT_LISTEN}); port 0 takes any free one",
    )
    run.add_argument("--devices", type=devices, default=1, metavar="N", help="rollers on the air (default 1)")
    run.add_argument(
        "--vhci",
        action="store_true",
        help="be in range of this machine's own Bluetooth as well (Linux; takes root and the kernel module hci_vhci)",
    )
    run.add_argument("--seconds", type=above_zero, metavar="S", help="end by itself after so many seconds")
    generate = commands.add_parser(
        "generate",
        help="write a capture and its truth, faster than real time",
        description="Write DIR/capture.jsonl for roller-host replay, and what really happened: truth.csv with a row "
        "per IMU sample, strokes.csv with a row per stroke. The same scenario, seed and length give the same bytes.",
    )
    generate.add_argument(
        "--minutes", type=minutes, default=10.0, metavar="M", help="length of the session (default 10)"
    )
    generate.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the three files")
    for command in (run, generate):
        command.add_argument(
            "--scenario",
            default=DEFAULT_SCENARIO,
            metavar="NAME",
            help=f"who rolls and what goes wrong: a name that 'roller-sim scenarios' lists, or a .toml file "
            f"(default {DEFAULT_SCENARIO})",
        )
        command.add_argument(
            "--seed", type=seed, default=1, metavar="N", help="draws device, person and massage (default 1)"
        )
    commands.add_parser("scenarios", help="list the scenarios", description="List the scenarios, name first.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 when all went well, 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    # A host that vanishes makes Bumble warn about each packet that is still under way.
    logging.getLogger("bumble").setLevel(logging.ERROR)
    try:
        _dispatch(arguments)
    except ModuleNotFoundError as error:
        return _complain(f"the simulator needs {error.name}: pip install '.[sim]' in the project's folder")
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to write the rest of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FileExistsError as error:
        return _complain(f"{error}; choose another folder with --out DIR")
    except OSError as error:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        return _complain(text + ("; choose another address with --listen" if text.startswith("cannot listen") else ""))
    except ValueError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _dispatch(arguments: argparse.Namespace) -> None:
    # Before the slow imports: an early signal has to end a run cleanly too.
    early = _ended_early() if arguments.command == "run" else []
    from simulator import scenario  # noqa: PLC0415 - heavy

    if arguments.command == "scenarios":
        known = scenario.scenarios()
        width = max(map(len, known))
        print("\n".join(f"{name:<{width}}  {description}" for name, description in known.items()))  # noqa: T201
        return
    plan = scenario.load_scenario(arguments.scenario)
    if arguments.command == "generate":
        from simulator.write import write_session  # noqa: PLC0415

        print(write_session(plan, arguments.seed, arguments.minutes, arguments.out))  # noqa: T201
        return
    from simulator.live import run  # noqa: PLC0415

    seed, n_devices, duration_s = arguments.seed, arguments.devices, arguments.seconds
    asyncio.run(run(arguments.listen, plan, seed, n_devices, duration_s, early, vhci=arguments.vhci))


def _ended_early() -> list[int]:
    """Collects signals that come before anybody else handles them."""
    came: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: came.append(number))
    return came


def _complain(text: str) -> int:
    print(f"roller-sim: {text}", file=sys.stderr)  # noqa: T201 - the command's output
    return 2


if __name__ == "__main__":
    sys.exit(main())
