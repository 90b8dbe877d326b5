# SPDX-License-Identifier: MIT
"""What the commands of ``roller-sim`` do. Everything heavy is imported here, not in `cli`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Final

from simulator import scenario
from simulator.bluetooth import faults
from simulator.bluetooth.air import Air
from simulator.bluetooth.bonds import AUTHENTICATED
from simulator.bluetooth.hub import open_hub
from simulator.bluetooth.mishaps import FaultError
from simulator.bluetooth.peripheral import Peripheral, monotonic_us, open_peripheral
from simulator.generate import LINGER_S, MTU, record_alone
from simulator.incidents import Disturbed
from simulator.witness import TruthFiles, Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from simulator.generate import Payload
    from simulator.scenario import Incident, Scenario

CHUNK_S: Final = 1.0
"""How much of a generated session is held in memory, s of its own time."""
WATCH_S: Final = 0.05
"""How often a run looks whether the first session has begun, s."""
HELP: Final = (
    "type a fault, for instance: out_of_range 5 (with several rollers: 2 out_of_range 5); faults lists them; "
    "press [SECONDS] presses the button; quit ends"
)


def say(text: str) -> None:
    """Print one line at once, so that a program reading our output sees it in time."""
    print(text, flush=True)  # noqa: T201 - the command's output


def list_scenarios() -> None:
    """Print name and description of the shipped scenarios."""
    known = scenario.scenarios()
    width = max(map(len, known))
    for name, description in known.items():
        say(f"{name:<{width}}  {description}")


# --- Live -------------------------------------------------------------------------------------------------------------


class Rollers:
    """Rollers on the air, and what is done to them.

    Parameters
    ----------
    peripherals : list of Peripheral
        All of one scenario.
    """

    def __init__(self, peripherals: list[Peripheral]) -> None:
        self._peripherals = peripherals

    def obey(self, line: str) -> None:
        """Do what a typed line says; a mistake in it is answered and nothing else."""
        first, _, rest = line.strip().partition(" ")
        try:
            if first.isdecimal():
                self._act(self._peripheral(int(first)), rest)
            elif first in ("help", "?"):
                say(HELP)
            elif first == "faults":
                for fault in faults.Fault:
                    say(f"{fault.usage}: {fault.value.happens}")
            elif first:
                self._act(self._peripherals[0], line)
        except FaultError as error:
            say(f"? {error}")

    def _peripheral(self, number: int) -> Peripheral:
        if not 1 <= number <= len(self._peripherals):
            raise FaultError(f"there is no roller {number}; there are {len(self._peripherals)}")
        return self._peripherals[number - 1]

    def _act(self, peripheral: Peripheral, line: str) -> None:
        words = line.split()
        if words[:1] == ["press"]:
            self._press(peripheral, words[1:])
            return
        fault, arguments = faults.parse(line)
        faults.inject(peripheral, fault, **arguments)
        told = " ".join(f"{name}={value:g}" for name, value in arguments.items())
        say(f"{peripheral.device.name}: {fault.title} {told}".rstrip())

    def _press(self, peripheral: Peripheral, words: list[str]) -> None:
        try:
            (seconds,) = map(float, words or ["0.2"])
        except ValueError as error:
            raise FaultError("press takes the seconds for which the button is held, for instance: press 3") from error
        peripheral.device.press(seconds, peripheral.now_us())
        say(f"{peripheral.device.name}: button pressed for {seconds:g} s, {peripheral.device.state}")

    async def follow(self, peripheral: Peripheral, incidents: tuple[Incident, ...]) -> None:
        """Let the incidents of a scenario happen, counted from the first START."""
        # The device has no event loop: it is looked at.
        while not peripheral.device.streaming:  # noqa: ASYNC110
            await asyncio.sleep(WATCH_S)
        begin_s = time.monotonic()
        for incident in incidents:
            await asyncio.sleep(begin_s + incident.at_s - time.monotonic())
            try:
                faults.inject(peripheral, incident.fault, **incident.arguments)
            except FaultError as error:
                say(f"{peripheral.device.name}: {incident.fault.title} did not happen: {error}")
            else:
                say(f"{peripheral.device.name}: {incident.fault.title}")


async def run(
    address: tuple[str, int],
    plan: Scenario,
    seed: int,
    n_devices: int,
    duration_s: float | None,
    signals: Sequence[int] = (),
) -> None:
    """Serve rollers over TCP until a signal, the end of the duration, ``quit`` or a failure of the simulator.

    Parameters
    ----------
    address : (str, int)
        Host and port to listen on; port 0 takes any free one.
    plan : Scenario
        Who rolls, with what, and what goes wrong.
    seed : int
        Of the first roller; the others have the following ones.
    n_devices : int
        How many rollers.
    duration_s : float or None
        Longest time to serve, s; None for no end.
    signals : sequence of int, optional
        Signals that came before this was called: the run ends at once when there are any.

    Raises
    ------
    OSError
        When the address cannot be had.
    """
    stop = _stop_on_signals()
    if signals:
        stop.set()
    air = Air()
    async with contextlib.AsyncExitStack() as stack:
        hub = await stack.enter_async_context(open_hub(air, *address))
        peripherals = [await _open(stack, air, plan, seed + i, several=n_devices > 1) for i in range(n_devices)]
        say(f"listening on {hub.host}:{hub.port}; connect with: roller-host stream --radio tcp:{hub.host}:{hub.port}")
        for i, peripheral in enumerate(peripherals):
            _introduce(peripheral, seed + i)
        rollers = Rollers(peripherals)
        watches = [asyncio.create_task(rollers.follow(peripheral, plan.incidents)) for peripheral in peripherals]
        if sys.stdin.isatty():
            say(HELP)
        _read_lines(lambda line: stop.set() if line.strip() == "quit" else rollers.obey(line))
        stopped = asyncio.create_task(stop.wait())
        ends = [stopped, *(peripheral.serving for peripheral in peripherals)]
        await asyncio.wait(ends, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, *watches):
            task.cancel()
    say("ended")


async def _open(stack: contextlib.AsyncExitStack, air: Air, plan: Scenario, seed: int, *, several: bool) -> Peripheral:
    device = plan.device(seed)
    if plan.log_s:
        say(f"{device.name} records {plan.log_s:g} s without a host")
        record_alone(device, plan.log_s, monotonic_us())
    prefix = f"{device.name}: " if several else ""
    peripheral = await stack.enter_async_context(
        open_peripheral(air, device, on_event=lambda text: say(prefix + text), max_mtu=plan.radio.max_mtu)
    )
    peripheral.radio.place(plan.radio.distance_m)
    return peripheral


def _introduce(peripheral: Peripheral, seed: int) -> None:
    device = peripheral.device
    say(f"{device.name}, seed {seed}, true IMU rate {device.imu_rate_hz:.3f} Hz")
    if device.security_mode == AUTHENTICATED:
        say(f"{device.name}, passkey {peripheral.bonds.passkey:06d}")


def _stop_on_signals() -> asyncio.Event:
    """Event that SIGINT and SIGTERM set."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # loop.add_signal_handler does not exist on Windows.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


def _read_lines(take: Callable[[str], None]) -> None:
    """Hand typed lines to the loop; the end of the input ends nothing else."""
    loop = asyncio.get_running_loop()
    # In the background of a terminal, reading from it would stop the whole process.
    if hasattr(signal, "SIGTTIN"):
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    def read() -> None:
        # Reading blocks for as long as nobody types, and the loop may be gone by then.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            for line in sys.stdin:
                loop.call_soon_threadsafe(take, line)

    threading.Thread(target=read, name="typed lines", daemon=True).start()


# --- Faster than real time --------------------------------------------------------------------------------------------


class _Capture:
    """A capture being written, see docs/capture.md."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.n_packets = 0
        file.write('{"format": "roller-capture", "version": 1}\n')

    def take(self, payload: Payload) -> None:
        """Write one payload."""
        self.n_packets += payload.source == "STREAM"
        self._file.write(
            f'{{"t_s": {payload.t_s:.6f}, "from": "{payload.source}", "dir": "{payload.direction}", '
            f'"payload": "{payload.payload.hex()}"}}\n'
        )


def generate(plan: Scenario, seed: int, minutes: float, out: Path) -> None:
    """Write a capture and the truth behind it.

    Parameters
    ----------
    plan : Scenario
        Who rolls, with what, and what goes wrong.
    seed : int
        Draws everything; the same seed gives the same bytes.
    minutes : float
        Length of the session.
    out : Path
        Folder, made when missing, for ``capture.jsonl``, ``truth.csv`` and ``strokes.csv``.

    Raises
    ------
    FileExistsError
        When one of the files is there already.
    FaultError
        When the scenario has a fault that needs a radio.
    OSError
        When the files cannot be written.
    """
    begin_s = time.perf_counter()
    witness = Witness()
    device = plan.device(seed, witness.truth, witness.samples)
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        names = ("capture.jsonl", "truth.csv", "strokes.csv")
        if there := [name for name in names if (out / name).exists()]:
            raise FileExistsError(f"{out / there[0]} is there already and is kept")
        files = [stack.enter_context((out / name).open("x", encoding="utf-8", newline="\n")) for name in names]
        capture, truth = _Capture(files[0]), TruthFiles(files[1], files[2])
        host = Disturbed(device, capture.take, plan.incidents, seed)
        if plan.log_s:
            record_alone(device, plan.log_s, 0)
        host.connect(min(MTU, plan.radio.max_mtu))
        if plan.log_s:
            host.fetch_log()
        host.start(linger_s=LINGER_S)
        end_us = host.now_us + round(minutes * 60e6)
        while host.now_us < end_us:
            host.pass_time(min(CHUNK_S, (end_us - host.now_us) * 1e-6))
            truth.write(witness, device.senses.life_s)
            _progress(host.now_us / end_us)
        host.ask("STOP")
        truth.write(witness, device.senses.life_s, rest=True)
    _progress(None)
    took_s = time.perf_counter() - begin_s
    say(
        f"{out}: {capture.n_packets} packets, {host.now_us / 60e6:.1f} min of {device.name}, seed {seed}, "
        f"in {took_s:.1f} s ({host.now_us * 1e-6 / took_s:.0f} times real time)"
    )


def _progress(share: float | None) -> None:
    """Show how far it is, where somebody is looking; None clears it away."""
    if sys.stderr.isatty():
        sys.stderr.write("\r" + (" " * 20 + "\r" if share is None else f"{min(share, 1):4.0%} "))
        sys.stderr.flush()
