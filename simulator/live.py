# SPDX-License-Identifier: MIT
"""``roller-sim run``: rollers on a virtual air over TCP, and what is typed at them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from simulator.bluetooth import faults
from simulator.bluetooth.air import Air
from simulator.bluetooth.bonds import AUTHENTICATED
from simulator.bluetooth.hub import open_hub
from simulator.bluetooth.mishaps import FaultError
from simulator.bluetooth.peripheral import Peripheral, monotonic_us, open_peripheral
from simulator.bluetooth.vhci import open_vhci
from simulator.generate import record_alone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from simulator.scenario import Incident, Scenario

LONGEST_PRESS_S: Final = 60.0
M_MMAP_THRESHOLD: Final = -3
"""From malloc.h."""
LARGE_B: Final = 128 * 1024
"""glibc's own threshold at the start."""
WATCH_S: Final = 0.05
"""How often a run looks whether the first session has begun, s."""
HELP: Final = (
    "type a fault, for instance: out_of_range 5 (with several rollers: 2 out_of_range 5); faults lists them; "
    "press [SECONDS] presses the button; quit ends"
)


def say(text: str) -> None:
    """Print one line at once, so that a program reading our output sees it in time."""
    print(text, flush=True)  # noqa: T201 - the command's output


class Rollers:
    """Rollers on the air, and what is done to them.

    Parameters
    ----------
    peripherals : list of Peripheral
        All of one scenario.
    tell : callable, optional
        Gets a line about everything that is done; by default it is printed.
    """

    def __init__(self, peripherals: list[Peripheral], tell: Callable[[str], None] = say) -> None:
        self._peripherals = peripherals
        self._tell = tell

    def obey(self, line: str) -> None:
        """Do what a typed line says; a mistake in it is answered and nothing else."""
        first, _, rest = line.strip().partition(" ")
        try:
            if first.isdecimal() and len(first) < 5 and rest:
                self._act(self._peripheral(int(first)), rest)
            elif first in ("help", "?"):
                self._tell(HELP)
            elif first == "faults":
                for fault in faults.Fault:
                    self._tell(f"{fault.usage}: {fault.value.happens}")
            elif first:
                self._act(self._peripherals[0], line)
        except FaultError as error:
            self._tell(f"? {error}")

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
        self._tell(f"{peripheral.device.name}: {fault.title} {told}".rstrip())

    def _press(self, peripheral: Peripheral, words: list[str]) -> None:
        try:
            (seconds,) = map(float, words or ["0.2"])
        except ValueError:
            seconds = float("nan")
        if not 0 < seconds <= LONGEST_PRESS_S:
            raise FaultError(
                f"press takes the seconds for which the button is held, up to {LONGEST_PRESS_S:g}: press 3"
            )
        peripheral.device.press(seconds, peripheral.now_us())
        self._tell(f"{peripheral.device.name}: button pressed for {seconds:g} s, {peripheral.device.state}")

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
                self._tell(f"{peripheral.device.name}: {incident.fault.title} did not happen: {error}")
            else:
                self._tell(f"{peripheral.device.name}: {incident.fault.title}")


async def run(
    address: tuple[str, int],
    plan: Scenario,
    seed: int,
    n_devices: int,
    duration_s: float | None,
    signals: Sequence[int] = (),
    *,
    vhci: bool = False,
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
    vhci : bool, default False
        Whether this machine's own Bluetooth gets an adapter in range as well.

    Raises
    ------
    OSError
        When the address or the adapter cannot be had.
    """
    stop = _stop_on_signals()
    if signals:
        stop.set()
    _give_memory_back()
    air = Air()
    async with contextlib.AsyncExitStack() as stack:
        hub = await stack.enter_async_context(open_hub(air, *address))
        if vhci:
            await stack.enter_async_context(open_vhci(air))
        peripherals = [await _open(stack, air, plan, seed + i, several=n_devices > 1) for i in range(n_devices)]
        where = f"[{hub.host}]:{hub.port}" if ":" in hub.host else f"{hub.host}:{hub.port}"
        say(f"listening on {where}; connect with: roller-host stream --radio tcp:{where}")
        if vhci:
            say("this machine's Bluetooth is in range too; connect with: roller-host stream --radio native")
        for i, peripheral in enumerate(peripherals):
            _introduce(peripheral, seed + i)
        rollers = Rollers(peripherals)
        _read_lines(lambda line: stop.set() if line.strip() == "quit" else rollers.obey(line))
        async with _following(rollers, peripherals, plan.incidents) as failed:
            ends = [asyncio.ensure_future(stop.wait()), failed, *(peripheral.serving for peripheral in peripherals)]
            await asyncio.wait(ends, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
            ends[0].cancel()
    say("ended")


@contextlib.asynccontextmanager
async def _following(
    rollers: Rollers, peripherals: list[Peripheral], incidents: tuple[Incident, ...]
) -> AsyncGenerator[asyncio.Future[None]]:
    """Let incidents happen to all rollers; gives a future that is done when that fails, and raises what failed."""
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() and not failed.done():
            failed.set_result(None)

    tasks = [asyncio.create_task(rollers.follow(peripheral, incidents)) for peripheral in peripherals]
    for task in tasks:
        task.add_done_callback(note)
    try:
        yield failed
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


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


def _give_memory_back() -> None:
    """Let large arrays go back to the system when they are freed.

    glibc raises the size from which it does so with every such array, and then keeps some of the memory of a long visit
    (25 MiB and more) for as long as chance will have it.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_MMAP_THRESHOLD, LARGE_B)


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
    typed = sys.stdin
    if typed is None:
        return
    if typed.isatty():
        say(HELP)
    # In the background of a terminal, reading from it would stop the whole process.
    if hasattr(signal, "SIGTTIN"):
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    def read() -> None:
        # Reading blocks for as long as nobody types, and the loop may be gone by then.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            for line in typed:
                loop.call_soon_threadsafe(take, line)

    threading.Thread(target=read, name="typed lines", daemon=True).start()
