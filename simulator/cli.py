# SPDX-License-Identifier: MIT
"""Command line of the simulator. Imports nothing heavy before a command runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_LISTEN = "127.0.0.1:9100"


def listen_address(text: str) -> tuple[str, int]:
    """Parse ``HOST:PORT``.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is something else.
    """
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) <= 0xFFFF):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for instance {DEFAULT_LISTEN}")
    return host, int(port)


def seconds(text: str) -> float:
    """Parse a duration above zero, s.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is something else.
    """
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")


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


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="roller-sim", description="A roller in software: the reference device, its Bluetooth and a massage."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="be a roller that hosts can connect to over TCP",
        description="Be a roller. Each host that opens the TCP port gets a virtual Bluetooth dongle in its range.",
    )
    run.add_argument(
        "--listen",
        type=listen_address,
        default=listen_address(DEFAULT_LISTEN),
        metavar="HOST:PORT",
        help=f"where hosts connect (default {DEFAULT_LISTEN}); port 0 takes any free one",
    )
    run.add_argument("--seed", type=seed, default=1, metavar="N", help="draws device, person and massage (default 1)")
    run.add_argument("--seconds", type=seconds, metavar="S", help="end by itself after so many seconds")
    return parser


def say(text: str) -> None:
    """Print one line at once, so that a program reading our output sees it in time."""
    print(text, flush=True)  # noqa: T201 - the command's output


async def run(address: tuple[str, int], seed: int, duration_s: float | None) -> None:
    """Serve one roller over TCP until a signal, the end of the duration or a failure of the simulator.

    Parameters
    ----------
    address : (str, int)
        Host and port to listen on; port 0 takes any free one.
    seed : int
        Draws device, person and massage.
    duration_s : float or None
        Longest time to serve, s; None for no end.

    Raises
    ------
    OSError
        When the address cannot be had.
    """
    # Before the slow imports: an early signal has to end this cleanly too.
    stop = _stop_on_signals()
    from simulator.air import Air  # noqa: PLC0415 - heavy
    from simulator.device import Device  # noqa: PLC0415
    from simulator.hub import open_hub  # noqa: PLC0415
    from simulator.peripheral import open_peripheral  # noqa: PLC0415

    air = Air()
    device = Device(seed=seed)
    async with open_hub(air, *address) as hub, open_peripheral(air, device, on_event=say) as peripheral:
        say(f"listening on {hub.host}:{hub.port}; connect with: roller-host stream --radio tcp:{hub.host}:{hub.port}")
        say(f"{device.name}, seed {seed}, true IMU rate {device.imu_rate_hz:.3f} Hz")
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, peripheral.serving], timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
    say("ended")


def _stop_on_signals() -> asyncio.Event:
    """Event that SIGINT and SIGTERM set."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # loop.add_signal_handler does not exist on Windows.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 when all went well, 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    # A host that vanishes makes Bumble warn about each packet that is still under way.
    logging.getLogger("bumble").setLevel(logging.ERROR)
    try:
        asyncio.run(run(arguments.listen, arguments.seed, arguments.seconds))
    except ModuleNotFoundError as error:
        return _complain(f"the simulator needs {error.name}: pip install '.[sim]' in the project's folder")
    except OSError as error:
        return _complain(f"{error.strerror or error}; choose another address with --listen HOST:PORT")
    return 0


def _complain(text: str) -> int:
    print(f"roller-sim: {text}", file=sys.stderr)  # noqa: T201 - the command's output
    return 2


if __name__ == "__main__":
    sys.exit(main())
