# SPDX-License-Identifier: MIT
"""A host that is killed while it records: what of it is on disk, and whether the session is complete when it goes on.

Each run has a simulated roller of its own on a TCP port and ``roller-host stream`` as a process of its own, which gets
SIGKILL at a random moment. The roller's count of what it sent until then is compared with the recording; then
``roller-host stream --resume`` goes on with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from firmware_protocol import codec, layout
from roller_host.sessions.store import open_recording
from roller_host.signal.ledger import number_of
from simulator.bluetooth.air import Air
from simulator.bluetooth.hub import open_hub
from simulator.bluetooth.peripheral import open_peripheral
from simulator.firmware.device import Device

if TYPE_CHECKING:
    from simulator.bluetooth.hub import Hub

ROOT: Final = Path(__file__).resolve().parents[1]
KILL_S: Final = (1.0, 6.0)
"""From the first packet to the kill, drawn anew for each run."""
RESUMED_S: Final = 2.0
"""How long the second host streams before it ends the session."""
PATIENCE_S: Final = 60.0
"""Until a host streams, or has ended, s."""
_SENT: Final = (layout.PTYPE_LIVE, layout.PTYPE_BACKFILL)


class CountingDevice(Device):
    """A device that remembers when it sent which packet for the first time."""

    def __init__(self, seed: int) -> None:
        self.sent_s: dict[int, float] = {}
        """Number of the packet -> time, s of the monotonic clock."""
        super().__init__(seed)

    def advance(self, now_us: int, room: int = 8) -> list[bytes]:
        """Note what goes out."""
        payloads = super().advance(now_us, room)
        for payload in payloads:
            if payload[0] in _SENT:
                self.sent_s.setdefault(number_of(payload), time.monotonic())
        return payloads


async def _host(hub: Hub, folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "roller_host.cli", "stream", "--json", "--radio", f"tcp:{hub.host}:{hub.port}",
        *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "ROLLER_HOST_DATA": str(folder), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def on_disk(path: Path) -> Counter[str | int]:
    """How often each packet stands in a recording, and under "START" how many sessions it has."""
    found: Counter[str | int] = Counter()
    for record in open_recording(path).records():
        if record.source == "STREAM" and record.payload[0] in _SENT:
            found[number_of(record.payload)] += 1
        found["START"] += (record.source, record.direction, record.payload[:1]) == (
            "CONTROL", "out", bytes([codec.OP["START"]]),
        )  # fmt: skip
    return found


async def kill_once(seed: int, folder: Path) -> dict[str, float]:
    """One host killed, and its session gone on with.

    Returns
    -------
    dict
        ``sent``: packets until the kill; ``lost``: those of them that are not on disk; ``lost_s``: from the first of
        them to the kill, 0 when there is none; ``missing``: packets that the recording lacks in the end; ``sessions``.
    """
    air, device, path = Air(), CountingDevice(seed), folder / f"{seed}.sqlite"
    async with open_peripheral(air, device), open_hub(air) as hub:
        first = await _host(hub, folder, "--out", str(path))
        async with asyncio.timeout(PATIENCE_S):
            while not device.sent_s:
                if first.returncode is not None:
                    raise RuntimeError((await first.communicate())[1].decode())
                await asyncio.sleep(0.01)
        await asyncio.sleep(random.Random(seed).uniform(*KILL_S))
        first.kill()
        killed_s = time.monotonic()
        await first.communicate()
        here = await asyncio.to_thread(on_disk, path)
        sent_s = {number: at_s for number, at_s in device.sent_s.items() if at_s <= killed_s}
        lost_s = [killed_s - at_s for number, at_s in sent_s.items() if number not in here]
        second = await _host(hub, folder, "--resume", str(path), "--seconds", str(RESUMED_S))
        async with asyncio.timeout(PATIENCE_S):
            _, said = await second.communicate()
        if second.returncode:
            raise RuntimeError(said.decode())
        in_the_end = await asyncio.to_thread(on_disk, path)
        missing = set(range(device.stream.seq)) - set(in_the_end)
    return {
        "sent": len(sent_s),
        "lost": len(lost_s),
        "lost_s": max(lost_s, default=0.0),
        "missing": len(missing),
        "sessions": in_the_end["START"],
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each has its own roller and moment")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seed, arguments.seed + arguments.runs):
            runs.append(asyncio.run(kill_once(seed, Path(folder))))
            print(f"seed {seed}: {runs[-1]}", file=sys.stderr)
    lost_s = [run["lost_s"] for run in runs]
    result: dict[str, Any] = {
        "kills": len(runs),
        "packets_sent": sum(run["sent"] for run in runs),
        "packets_not_on_disk": sum(run["lost"] for run in runs),
        "not_on_disk_max_s": max(lost_s),
        "not_on_disk_p95_s": float(np.percentile(lost_s, 95)),
        "packets_missing_after_resume": sum(run["missing"] for run in runs),
        "sessions_broken": sum(run["sessions"] != 1 for run in runs),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:30} {value}" for name, value in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
