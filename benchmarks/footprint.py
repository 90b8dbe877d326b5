# SPDX-License-Identifier: MIT
"""What a simulator with several streaming rollers costs: share of a core, and memory over time.

``roller-sim run`` runs in a process of its own and is looked at from outside, while hosts in this process stream from
each of its rollers. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from roller_host.link.client import LinkSession
from roller_host.link.radio import open_radio

SETTLED_S = 600.0
"""Memory counts from here on; in a shorter run, from its middle on."""
LOOK_S = 5.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def memory_mib(pid: int) -> float:
    """Memory of a process that is its own, without shared libraries, MiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    return sum(int(n) for n in re.findall(r"Private_\w+:\s+(\d+) kB", text)) / 1024


async def start_simulator(n_devices: int, seed: int) -> tuple[asyncio.subprocess.Process, str, list[str]]:
    """Start a simulator; returns it, its radio and the names of its rollers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulator.cli", "run", "--listen", "127.0.0.1:0",
        "--devices", str(n_devices), "--seed", str(seed),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    names: list[str] = []
    radio = ""
    while len(names) < n_devices:
        line = (await process.stdout.readline()).decode()
        if not line:
            raise RuntimeError("the simulator ended at once")
        radio = found.group(1) if (found := re.search(r"--radio (\S+)", line)) else radio
        names += re.findall(r"^(Roller-\w+), seed", line)
    return process, radio, names


async def drain(pipe: asyncio.StreamReader) -> None:
    """Read what the simulator says, so that it never waits for a reader."""
    while await pipe.readline():
        pass


class Counter:
    """One host, and the packets that it got."""

    def __init__(self) -> None:
        self.packets = 0

    async def follow(self, radio: str, name: str, stop: asyncio.Event) -> None:
        """Stream from one roller until told to stop."""

        def take(record: Any) -> None:
            self.packets += record.source == "STREAM"

        async with open_radio(radio) as open_one:
            await LinkSession(open_one, target=name, on_record=take, on_state=lambda _: None).stream(stop)


async def measure(n_devices: int, seconds: float, seed: int) -> dict[str, Any]:
    """Stream from all rollers for a while."""
    process, radio, names = await start_simulator(n_devices, seed)
    assert process.stdout
    talk = asyncio.create_task(drain(process.stdout))
    stop = asyncio.Event()
    counters = [Counter() for _ in names]
    hosts = [
        asyncio.create_task(counter.follow(radio, name, stop)) for counter, name in zip(counters, names, strict=True)
    ]
    while not all(counter.packets for counter in counters):  # noqa: ASYNC110 - looked at from outside
        await asyncio.sleep(0.1)
    begin_s, begin_cpu_s = time.monotonic(), cpu_s(process.pid)
    looks: list[tuple[float, float]] = []
    while (now_s := time.monotonic() - begin_s) < seconds:
        looks.append((now_s, memory_mib(process.pid)))
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{now_s:6.0f} s  {looks[-1][1]:.1f} MiB ")
        await asyncio.sleep(min(LOOK_S, seconds - now_s))
    used_s, took_s = cpu_s(process.pid) - begin_cpu_s, time.monotonic() - begin_s
    stop.set()
    await asyncio.gather(*hosts)
    process.terminate()
    await process.wait()
    await talk
    return {
        "devices": n_devices,
        "seconds": took_s,
        "core_share": used_s / took_s,
        "packets_per_s": sum(counter.packets for counter in counters) / took_s,
        **_growth(np.array(looks)),
    }


def _growth(looks: np.ndarray) -> dict[str, float]:
    settled = looks[looks[:, 0] >= min(SETTLED_S, looks[-1, 0] / 2)]
    # What the rollers hold of the visit under way makes single looks differ by some MiB: compare medians.
    first, last = settled[: max(len(settled) // 4, 1)], settled[-max(len(settled) // 4, 1) :]
    hours = (np.median(last[:, 0]) - np.median(first[:, 0])) / 3600
    growth = float(np.median(last[:, 1]) - np.median(first[:, 1]))
    return {
        "memory_mib": float(np.median(last[:, 1])),
        "memory_spread_mib": float(np.ptp(last[:, 1])),
        "memory_settled_s": float(settled[0, 0]),
        "memory_growth_mib": growth,
        "memory_growth_mib_per_h": growth / float(hours) if hours else float("nan"),
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="4200 for the hour after the first ten minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    logging.getLogger("bumble").setLevel(logging.ERROR)
    result = asyncio.run(measure(arguments.devices, arguments.seconds, arguments.seed))
    if arguments.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:24} {value:.3f}" for name, value in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
