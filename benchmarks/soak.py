# SPDX-License-Identifier: MIT
"""A link under faults, in real seconds: what the roller held is in the recording, exactly once and in order.

Rounds follow each other, each with a roller of its own, a new radio and a new recording; security modes alternate. The
host is a process of its own (``soak_host.py``) and reaches the roller over TCP; simulator, faults and books are here.
Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from soak_books import Books, WitnessedDevice, audit
from soak_host import Host, memory_mib, open_ends

from roller_host.link.states import LinkPhase
from roller_host.sessions.folder import FOLDER_VARIABLE
from simulator.bluetooth.air import Air
from simulator.bluetooth.faults import Fault, inject
from simulator.bluetooth.hub import open_hub
from simulator.bluetooth.mishaps import FaultError
from simulator.bluetooth.peripheral import open_peripheral
from simulator.firmware.device import Build

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.bluetooth.air import AirController
    from simulator.bluetooth.peripheral import Peripheral

ROUND_S: Final = 450.0
"""About how long a round lasts: long enough for what grows with a session to be seen."""
CALM_S: Final = 20.0
"""Without a new fault, at the end of a round."""
PAUSE_S: Final = (3.0, 12.0)
"""From one fault to the next; many last longer, so that they overlap."""
MODES: Final = (0, 2, 0, 1)
"""Security modes of the rounds, see ``layout.SECURITY_MODES``."""
SETTLED_S: Final = 600.0
"""Memory counts from here on; in a shorter run, from its middle on."""
LOOK_S: Final = 0.01
LOOK_AT_MEMORY_S: Final = 5.0
FEWEST_LOOKS: Final = 4
"""For a slope and its standard error."""
RECONNECT_WITHIN_S: Final = 10.0
"""A link that takes longer to come back is listed with the faults of that time."""

Draw = "Callable[[random.Random], dict[str, float]]"


def _between(name: str, shortest: float, longest: float, **others: tuple[float, float]) -> Draw:
    ranges = {name: (shortest, longest), **others}
    return lambda rng: {key: rng.uniform(*ends) for key, ends in ranges.items()}


def _absence(rng: random.Random) -> dict[str, float]:
    """Mostly shorter than what the roller can keep (33 s), sometimes longer."""
    return {"seconds": rng.uniform(34, 45) if rng.random() < 0.07 else rng.triangular(0.1, 20, 2)}


_DRAWS: Final[dict[Fault, tuple[float, Draw]]] = {
    Fault.LINK_LOSS: (4, lambda rng: {"seconds": rng.choice((0, rng.uniform(0, 6)))}),
    Fault.OUT_OF_RANGE: (4, _absence),
    Fault.WEAK_SIGNAL: (1, _between("seconds", 1, 10, distance_m=(10, 70))),
    Fault.TX_OVERFLOW: (2, _between("seconds", 0.5, 6)),
    Fault.SLOW_PARAMETERS: (1.5, _between("seconds", 2, 10, interval_ms=(100, 1500))),
    Fault.LOST_NOTIFICATIONS: (3, _between("seconds", 2, 10, share=(0.02, 0.6))),
    Fault.DUPLICATE_NOTIFICATIONS: (2, _between("seconds", 2, 10, share=(0.05, 0.5))),
    Fault.LATE_NOTIFICATIONS: (2, _between("seconds", 2, 10, share=(0.05, 0.4), by_s=(0.1, 3))),
    Fault.JITTER: (1.5, _between("seconds", 2, 10, up_to_s=(0.02, 1))),
    Fault.GARBAGE_NOTIFICATIONS: (2, _between("seconds", 2, 10, share=(0.02, 0.4))),
    Fault.MTU_SMALL: (1, lambda rng: {"mtu": rng.choice((23, 23, 100, 185))}),
    Fault.ADAPTER_OFF: (2, _absence),
    Fault.PAIRING_REFUSED: (0.7, _between("seconds", 1, 8)),
    Fault.BOND_LOST: (1.5, lambda _: {}),
    Fault.WRONG_PASSKEY: (0.5, _between("seconds", 1, 8)),
    Fault.POWER_OFF: (1, _between("seconds", 0.2, 6)),
    Fault.POWER_CUT: (1, _between("seconds", 0.2, 6)),
    Fault.REBOOT: (1, lambda _: {}),
    Fault.SLEEP: (1, _between("seconds", 0.5, 6)),
    Fault.BATTERY_LOW: (0.7, _between("percent", 5, 30)),
    Fault.BATTERY_EMPTY: (0.7, _between("seconds", 0.5, 6)),
    Fault.USB_PLUGGED: (1.5, _between("seconds", 1, 8)),
    Fault.IMU_FAULT: (0.7, _between("seconds", 1, 8)),
    Fault.ADC_FAULT: (0.7, _between("seconds", 1, 8)),
    Fault.ENCODER_FAULT: (0.7, _between("seconds", 1, 8)),
    Fault.HAPTIC_FAULT: (0.5, _between("seconds", 1, 8)),
    Fault.STORAGE_FAULT: (0.5, _between("seconds", 1, 8)),
    Fault.CAL_CRC_FAULT: (0.5, _between("seconds", 1, 8)),
    Fault.FIRMWARE_HANGS: (1.5, _between("seconds", 0.3, 6)),
    Fault.RESPONSE_LATE: (1.5, _between("seconds", 2, 10, by_s=(0.2, 3))),
    Fault.RESPONSE_MISSING: (1.5, _between("seconds", 2, 10)),
    Fault.RESPONSE_GARBAGE: (1.5, _between("seconds", 2, 10)),
}
"""Weight and arguments of each fault."""
assert set(_DRAWS) == set(Fault)


@dataclass
class Outcome:
    """What came of all rounds."""

    faults: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    reconnects_s: list[float] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    memory: list[tuple[float, float, float]] = field(default_factory=list)
    """Time, s; memory of the host and of the simulator, MiB."""


class Stopwatch:
    """Time from the roller being back on the virtual radio to its stream being back.

    Parameters
    ----------
    roller : Peripheral
        The roller.
    host : callable
        Returns the host's controller, None when it has none at the moment.
    """

    def __init__(self, roller: Peripheral, host: Callable[[], AirController | None]) -> None:
        self.times_s: list[float] = []
        self._roller, self._host = roller, host
        self._back_s = time.monotonic()
        self._lost = self._reachable = False

    async def run(self) -> None:
        """Look all the time whether the roller could be found."""
        while True:
            reachable = self._could_be_found()
            if reachable and not self._reachable:
                self._back_s = time.monotonic()
            self._reachable = reachable
            await asyncio.sleep(LOOK_S)

    def _could_be_found(self) -> bool:
        roller, host = self._roller, self._host()
        if host is None or not roller.device.on_air or not roller.radio.hears(host.radio):
            return False
        # While they are connected it need not be found.
        return roller.connection is not None or roller.controller.le_legacy_advertiser.connectable

    def note(self, at_s: float, phase: LinkPhase) -> float | None:
        """Take a state of the link; how long the way back took, when it is back."""
        if phase in (LinkPhase.OUT_OF_RANGE, LinkPhase.RETRYING):
            if not self._lost:
                self._lost, self._back_s = True, at_s
        elif phase is LinkPhase.STREAMING and self._lost:
            self._lost = False
            self.times_s.append(at_s - self._back_s)
            return self.times_s[-1]
        return None


class Round:
    """One roller, one recording, many faults."""

    def __init__(self, i_round: int, seed: int, seconds: float, folder: Path, outcome: Outcome) -> None:
        self.i_round, self.seconds, self.outcome = i_round, seconds, outcome
        self.mode = MODES[i_round % len(MODES)]
        self.rng = random.Random(f"{seed} {i_round}")
        self.path = folder / f"round-{i_round}.sqlite"
        self.books = Books(folder / f"round-{i_round}.journal")
        self.device = WitnessedDevice(1000 * seed + i_round, Build(security_mode=self.mode), self.books)
        self.begin_s = time.monotonic()
        self.diary: list[str] = []
        self.streaming = asyncio.Event()

    def tell(self, text: str) -> None:
        """Note what happened when."""
        self.diary.append(f"{time.monotonic() - self.begin_s:7.2f} {text}")

    async def run(self, host: Host) -> None:
        """The whole round."""
        air = Air()
        async with open_peripheral(air, self.device, on_event=self.tell) as roller, open_hub(air) as hub:
            self.watch = Stopwatch(
                roller, lambda: next((one for one in air.controllers if one.name.startswith("dongle")), None)
            )
            looking = asyncio.create_task(self.watch.run())
            link = host.begin(f"tcp:{hub.host}:{hub.port}", self.device.name, self.path, self.note)
            try:
                await self._disturb(roller, link)
            finally:
                host.end()
                left = await link
                looking.cancel()
                await asyncio.wait([looking])
        self.outcome.totals["payloads"] += left.pop("payloads")
        self.outcome.leftovers += [f"round {self.i_round}: {n} {kind} of the host" for kind, n in left.items()]
        self.outcome.reconnects_s += self.watch.times_s
        self.books.close()

    def note(self, at_s: float, phase: LinkPhase, words: str) -> None:
        """Take a state of the link."""
        self.tell(f"    {words}")
        (self.streaming.set if phase is LinkPhase.STREAMING else self.streaming.clear)()
        took_s = self.watch.note(at_s, phase)
        if took_s is not None:
            self.tell(f"    back after {took_s:.2f} s")
            if took_s > RECONNECT_WITHIN_S:
                self.outcome.slow.append(f"round {self.i_round}: {took_s:.1f} s, " + "; ".join(self.diary[-8:]))

    async def _disturb(self, roller: Peripheral, link: asyncio.Future[Counter[str]]) -> None:
        faults, weights = list(_DRAWS), [weight for weight, _ in _DRAWS.values()]
        end_s = self.begin_s + self.seconds - CALM_S
        while not link.done() and (now_s := time.monotonic()) < end_s:
            await asyncio.wait([link], timeout=min(self.rng.uniform(*PAUSE_S), end_s - now_s + 0.01))
            fault = self.rng.choices(faults, weights)[0]
            arguments = _DRAWS[fault][1](self.rng)
            if "seconds" in arguments:
                # The link gets half of the calm to come back.
                arguments["seconds"] = min(arguments["seconds"], end_s + CALM_S / 2 - time.monotonic())
            with suppress(FaultError):
                inject(roller, fault, **arguments)
                self.outcome.faults[fault.title] += 1
                self.tell(f"! {fault.title} {' '.join(f'{key}={value:.2f}' for key, value in arguments.items())}")
                if fault is Fault.MTU_SMALL:
                    roller.later("mtu", self.rng.uniform(1, 6), lambda: inject(roller, Fault.MTU_SMALL, mtu=517))
        await asyncio.wait([link], timeout=CALM_S)
        if not self.streaming.is_set():
            self.outcome.failures.append(f"round {self.i_round}: not streaming {CALM_S:g} s after the last fault")


async def _follow_memory(begin_s: float, host: Host, looks: list[tuple[float, float, float]]) -> None:
    while True:
        looks.append((time.monotonic() - begin_s, host.memory_mib(), memory_mib(os.getpid())))
        await asyncio.sleep(LOOK_AT_MEMORY_S)


async def soak(seconds: float, seed: int, folder: Path, talk: Callable[[str], None]) -> dict[str, Any]:
    """Run all rounds and look into the recordings."""
    outcome = Outcome()
    begin_s = time.monotonic()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: outcome.failures.append(f"{context['message']} {context.get('exception')!r}")
    )
    n_rounds = max(round(seconds / ROUND_S), 1)
    host = Host(outcome.failures.append)
    await host.start()
    memory = asyncio.create_task(_follow_memory(begin_s, host, outcome.memory))
    # Threads of the pool stay: they are no leftovers.
    await asyncio.to_thread(int)
    before = open_ends()
    for i_round in range(n_rounds):
        left_s = seconds - (time.monotonic() - begin_s)
        one = Round(i_round, seed, max(left_s / (n_rounds - i_round), CALM_S), folder, outcome)
        await one.run(host)
        found = await asyncio.to_thread(audit, one.path, one.books)
        outcome.totals.update(found)
        outcome.leftovers += [f"round {i_round}: {n} {kind}" for kind, n in (open_ends() - before).items()]
        (folder / f"round-{i_round}.txt").write_text("\n".join(one.diary) + "\n", "utf-8")
        talk(f"round {i_round} (mode {one.mode}): {dict(found)}")
    memory.cancel()
    await asyncio.wait([memory])
    await host.close()
    return _result(outcome, time.monotonic() - begin_s)


def _result(outcome: Outcome, took_s: float) -> dict[str, Any]:
    times_s = sorted(outcome.reconnects_s)
    t_s, host_mib, simulator_mib = np.array(outcome.memory).T
    growth, sigma = _growth(t_s, host_mib)
    return {
        "seconds": took_s,
        "faults": sum(outcome.faults.values()),
        **{key: int(outcome.totals[key]) for key in (
            "packets_sent", "packets_recorded", "packets_unrecoverable", "packets_owed", "duplicates", "misplaced",
            "foreign", "packets_backfilled", "resent_notifications", "duplicate_notifications", "payloads", "sessions",
            "lost_in_reach",
        )},
        "reconnects": len(times_s),
        "reconnect_median_s": statistics.median(times_s) if times_s else None,
        "reconnect_p90_s": times_s[int(len(times_s) * 0.9)] if times_s else None,
        "reconnect_max_s": max(times_s, default=None),
        "memory_growth_mib_per_h": growth,
        "memory_growth_sigma_mib_per_h": sigma,
        "memory_mib": float(host_mib[-1]),
        "simulator_growth_mib_per_h": _growth(t_s, simulator_mib)[0],
        "simulator_mib": float(simulator_mib[-1]),
        "leftovers": outcome.leftovers,
        "failures": outcome.failures,
        "slow": outcome.slow,
        "faults_by_name": dict(outcome.faults.most_common()),
    }  # fmt: skip


def _growth(t_s: np.ndarray, mib: np.ndarray) -> tuple[float, float]:
    """Slope of the least squares line after the settling time, and its standard error, MiB per hour.

    What is left over is taken for an autoregressive process of first order: neighbouring looks are much alike.
    """
    settled = t_s >= min(SETTLED_S, t_s[-1] / 2)
    t_h, mib = t_s[settled] / 3600, mib[settled]
    if len(t_h) < FEWEST_LOOKS:
        return float("nan"), float("nan")
    slope, level = np.polyfit(t_h, mib, 1)
    rest = mib - slope * t_h - level
    power = float(rest @ rest)
    alike = float(rest[1:] @ rest[:-1]) / power if power else 0.0
    sigma = np.sqrt(power / (len(t_h) - 2) / np.sum((t_h - t_h.mean()) ** 2) * (1 + alike) / (1 - alike))
    return float(slope), float(sigma)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="1800 for the run in docs/link.md")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    parser.add_argument("--keep", type=Path, help="folder for recordings and diaries")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER_VARIABLE] = folder
        result = asyncio.run(
            soak(
                arguments.seconds,
                arguments.seed,
                arguments.keep or Path(folder),
                lambda text: print(text, file=sys.stderr),
            )
        )
    if arguments.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:26} {value}" for name, value in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
