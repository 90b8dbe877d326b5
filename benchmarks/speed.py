# SPDX-License-Identifier: MIT
"""Speed of the host's signal chain, and its memory over simulated hours.

- Streaming: `Pipeline.feed` payload by payload, from the bytes of a 60 ms packet to estimates and cues, on one core.
- Analysis: a stored session from payloads to strokes, against what `vqf.VQF.updateBatch` alone needs for the same
  samples of gyroscope and accelerometer in one call, in the same run. Best of several runs each, in turns.
- Memory: private memory of a fresh process (Linux only) while one pipeline in it is fed for hours.

Times are processor times of the process, all threads together: what else runs on the machine does not count.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import multiprocessing
import re
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from vqf import VQF

from roller_host.analysis import analyse
from roller_host.intake import Opened
from roller_host.pipeline import Pipeline
from roller_host.signal.core import SignalParams
from roller_host.signal.record import Record
from simulator.firmware.device import Device
from simulator.generate import generate

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 5
SETTLED_S = 600.0
"""Memory counts from here on."""
LOOK_S = 300.0
_NUMBER_AND_CLOCK = struct.Struct("<II")


def make_session(seed: int, minutes: float) -> list[Record]:
    """Records of a simulated massage."""
    return [Record(*payload) for payload in generate(Device(seed), 60 * minutes)]


def measure_streaming(records: list[Record], minutes: float) -> dict[str, float]:
    """Time that each packet takes; a run over all of them in a new pipeline."""
    pipeline, took_s = Pipeline(), []
    for record in records:
        begin_s = time.process_time()
        pipeline.feed(record)
        if record.source == "STREAM":
            took_s.append(time.process_time() - begin_s)
    us = 1e6 * np.array(took_s)
    return {
        "packets": len(us),
        "times_real_time": 60 * minutes / float(us.sum() * 1e-6),
        "packet_mean_us": float(us.mean()),
        "packet_median_us": float(np.median(us)),
        "packet_p99_us": float(np.percentile(us, 99)),
        "packet_worst_ms": float(us.max() * 1e-3),
    }


def measure_analysis(records: list[Record], minutes: float) -> dict[str, float]:
    """Time that an analysis takes, and vqf for the same samples."""
    analyse_s, vqf_s = [], []
    for _ in range(RUNS):
        begin_s = time.process_time()
        analysis = analyse(Opened(Path("memory"), iter(records), SignalParams(), "defaults"))
        analyse_s.append(time.process_time() - begin_s)
        (session,) = analysis.sessions
        gyro = np.concatenate([part.samples.gyro_rad_s for part in session.parts])
        acc = np.concatenate([part.samples.acc_m_s2 for part in session.parts])
        begin_s = time.process_time()
        VQF(session.period_s).updateBatch(gyro, acc)
        vqf_s.append(time.process_time() - begin_s)
    return {
        "samples": len(gyro),
        "strokes": len(session.strokes),
        "analyse_s": min(analyse_s),
        "vqf_s": min(vqf_s),
        "ratio_to_vqf": min(analyse_s) / min(vqf_s),
        "us_per_sample": 1e6 * min(analyse_s) / len(gyro),
        "times_real_time": 60 * minutes / min(analyse_s),
    }


def endless(records: list[Record]) -> Iterator[Record]:
    """The same packets over and over, with numbers and clock that go on."""
    yield from (record for record in records if record.source != "STREAM")
    payloads = [record.payload for record in records if record.source == "STREAM"]
    clocks = [_NUMBER_AND_CLOCK.unpack_from(payload, 2)[1] for payload in payloads]
    turn_us = (clocks[-1] - clocks[0]) % 2**32 + 60_000
    for turn in itertools.count():
        for i, payload in enumerate(payloads):
            clock_us = (clocks[i] + turn * turn_us) % 2**32
            stamped = _NUMBER_AND_CLOCK.pack(turn * len(payloads) + i, clock_us)
            yield Record(0.0, "STREAM", "in", payload[:2] + stamped + payload[10:])


def measure_memory(records: list[Record], hours: float) -> dict[str, float]:
    """Feed one pipeline for hours and look at the memory of this process."""
    pipeline, looks = Pipeline(), []
    for record in endless(records):
        pipeline.feed(record)
        at_s = pipeline.totals.duration_s
        if at_s >= LOOK_S * len(looks):
            gc.collect()
            looks.append((at_s, memory_mib()))
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{at_s / 3600:5.2f} h  {looks[-1][1]:.1f} MiB ")
            if at_s > 3600 * hours:
                break
    settled = np.array([look for look in looks if look[0] >= SETTLED_S])
    growth = np.polyfit(settled[:, 0] / 3600, settled[:, 1], 1)[0]
    return {
        "hours": hours,
        "strokes": len(pipeline.totals.strokes),
        "gaps": pipeline.totals.gaps,
        "memory_mib": float(settled[-1, 1]),
        "growth_mib_per_h": float(growth),
    }


def memory_mib() -> float:
    """Memory of this process that is its own, without shared libraries, MiB."""
    text = Path("/proc/self/smaps_rollup").read_text("utf-8")
    return sum(int(n) for n in re.findall(r"Private_\w+:\s+(\d+) kB", text)) / 1024


def score(seed_base: int, minutes: float = 15.0, hours: float = 2.0) -> dict[str, Any]:
    """Measure everything; without ``hours``, or elsewhere than on Linux, memory is left out."""
    records = make_session(seed_base, minutes)
    result: dict[str, Any] = {
        "minutes": minutes,
        "streaming": measure_streaming(records, minutes),
        "analysis": measure_analysis(records, minutes),
    }
    if hours and sys.platform == "linux":
        # What this process has freed would hide what grows.
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            result["memory"] = fresh.apply(measure_memory, (records, hours))
    return result


def table(result: dict[str, Any]) -> str:
    """Render the result for people."""
    lines = []
    for part in ("streaming", "analysis", "memory"):
        lines += [part, *(f"  {name:20} {value:12.3f}" for name, value in result.get(part, {}).items())]
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed-base", type=int, default=7000, help="seed of the session")
    parser.add_argument("--minutes", type=float, default=15.0, help="its length")
    parser.add_argument("--hours", type=float, default=2.0, help="simulated time for memory; 0 leaves it out")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    result = score(arguments.seed_base, arguments.minutes, arguments.hours)
    print(json.dumps(result) if arguments.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
