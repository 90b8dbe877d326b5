# SPDX-License-Identifier: MIT
"""How long after the force has really crossed a threshold the roller buzzes and the computer sounds.

A simulated hand presses harder and harder on a forehead: past the limit, stays there, past the ceiling, lets go. Both
sides know the same thresholds on every place, so that a place recognised late is not counted as a late alert. Sensors
have their usual flaws, so the force is off by a few percent, and an alert by what that makes in time.

- Motor: the simulated device by itself, after it has lost its host, in device time. From truth to the first reading
  that starts the motor, and the firmware's polling of 10 ms on top.
- Sound: everything in real time, in one process: hand, sensors, packets of 60 ms, virtual radio, link, pipeline,
  audio callback. From truth to the end of the callback that gave the signal's first samples, and the block of these
  samples on top. The library plays to its null device; what a real device adds behind that is not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from firmware_protocol import codec, reference
from firmware_protocol.zones import PLACES
from roller_host.app.live import LiveRun, Options
from roller_host.app.outputs import CueOutputs
from roller_host.cues.haptics import FORCE, rules
from roller_host.cues.sound import FS_HZ, Signal
from roller_host.cues.speaker import PERIOD_MS, is_installed, open_stream
from roller_host.link.radio import open_radio
from roller_host.pipeline import Pipeline
from roller_host.signal.comfort import Band
from roller_host.signal.core import SignalParams
from roller_host.signal.record import Record
from simulator import generate
from simulator.bluetooth.air import Air, AirController
from simulator.bluetooth.peripheral import open_peripheral
from simulator.body.hand import Hand
from simulator.body.motion import join, min_jerk, through_air
from simulator.body.strokes import Plan
from simulator.body.truth import GRID_HZ
from simulator.firmware.device import Device
from simulator.firmware.senses import REACT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from roller_host.cues.speaker import Render, Stream
    from simulator.body.truth import Truth

PLACE: Final = ("forehead", "left")
BAND: Final = Band(0.8, 2.5, 4.0, 8.0)
PARAMS: Final = SignalParams(bands=dict.fromkeys([*PLACES, ("", "")], BAND))
ALONE_S: Final = 120.0
"""Time without a host, a device, s."""
LATE_S: Final = 1.0
"""An alert that has not come after this time is missed, s."""
SIGNALS: Final = {Signal.EASE_OFF: BAND.limit_n, Signal.STOP: BAND.ceiling_n}


class PressingHand(Hand):
    """Presses on one place, past limit and ceiling, again and again."""

    def visit(self) -> Truth:
        """Go there, press, lift off."""
        rng, (zone, side) = self.rng, PLACE
        surface, middle, aim = self.face.place(rng, zone, side, None)
        pitch = rng.normal(-2 * self.habits.pitch_deg, self.habits.pitch_deg)
        plan = Plan(surface, middle, aim, 0.0, pitch, 0.0, 1.0, 0.03, (0.02, 0.022), 1, PLACES.index(PLACE))
        motion, begin, end = self._roller.roll(plan)
        force_n = self._pressed_n(len(motion.force_n))
        share = force_n / np.maximum(motion.force_n, 1e-9)
        motion = replace(
            motion,
            force_n=force_n,
            axial_n=motion.axial_n * share,
            side_n=motion.side_n * share[:, np.newaxis],
        )
        before, self._pose = self._pose, end._replace(axle_m=end.axle_m + 0.04 * end.normal)
        there = through_air(before, begin, rng.uniform(0.4, 0.6))
        return self._truth(join([there, motion, through_air(end, self._pose, 0.4)]))

    def _pressed_n(self, n: int) -> NDArray[np.float64]:
        """Touch, past the limit, past the ceiling, let go; each step at a speed of its own, 10 to 40 N/s on average."""
        steps_n = (1.2, BAND.limit_n + self.rng.uniform(0.5, 1.5), BAND.ceiling_n + self.rng.uniform(0.5, 2.0))
        parts: list[NDArray[np.float64]] = []
        level_n = 0.0
        for step_n, hold_s in zip(steps_n, self.rng.uniform((0.2, 0.3, 0.2), (0.3, 0.4, 0.3)), strict=True):
            rise = min_jerk(round((step_n - level_n) / self.rng.uniform(10, 40) * GRID_HZ))
            parts += [level_n + (step_n - level_n) * rise, np.full(round(hold_s * GRID_HZ), step_n)]
            level_n = step_n
        parts.append(level_n * min_jerk(round(0.15 * GRID_HZ))[::-1])
        force_n = np.concatenate(parts)
        # What is left of the way is rolled lightly, so that the motion keeps its length.
        return np.concatenate([force_n, np.zeros(max(n - len(force_n), 0))])[:n]


class Crossings:
    """When the true force rose above thresholds, by the hand's time."""

    def __init__(self) -> None:
        self.times_s: dict[float, list[float]] = {threshold_n: [] for threshold_n in SIGNALS.values()}

    def add(self, truth: Truth) -> None:
        """Take in a stretch of truth."""
        for threshold_n, times_s in self.times_s.items():
            above = truth.force_n > threshold_n
            for i in np.flatnonzero(above[1:] & ~above[:-1]).tolist():
                low, high = truth.force_n[i : i + 2]
                times_s.append(float(truth.t_s[i] + (threshold_n - low) / (high - low) / GRID_HZ))


def delays_s(crossed_s: Sequence[float], alerted_s: Sequence[float], early_s: float = 0.1) -> tuple[list[float], int]:
    """Delay of the first alert that belongs to each crossing, s, and how many have none."""
    delays: list[float] = []
    for crossing_s in crossed_s:
        near = [one - crossing_s for one in alerted_s if -early_s < one - crossing_s < LATE_S]
        delays += near[:1]
    return delays, len(crossed_s) - len(delays)


def summary_ms(name: str, delays: Sequence[float], n_missed: int) -> dict[str, Any]:
    """What is told of many delays."""
    ms = np.array(delays) * 1000
    return {
        f"{name}_p50_ms": round(float(np.median(ms)), 1),
        f"{name}_p95_ms": round(float(np.percentile(ms, 95)), 1),
        f"{name}_max_ms": round(float(ms.max()), 1),
        f"{name}_events": len(ms),
        f"{name}_missed": n_missed,
    }


# --- The roller alone -----------------------------------------------------------------------------------------------


class Host(generate.Dialogue):
    """A host that listens until it is gone."""

    def __init__(self, device: Device) -> None:
        self.pipeline, self.zero_n = Pipeline(PARAMS), float("nan")
        super().__init__(device, self._take)

    def _take(self, payload: generate.Payload) -> None:
        estimates = self.pipeline.feed(Record(*payload))
        if estimates:
            self.zero_n = estimates.zero_n


def buzzes_us(device: Device, first: int) -> tuple[list[int], int]:
    """Device times at which the motor started for the ceiling, in the packets from ``first`` on; the next packet."""
    ring = device.stream.ring
    numbers = ring.held(first, device.stream.seq)
    event, start = codec.STREAM_ID["EVENT"], codec.EVENT_CODE["HAPTIC_START"]
    found: list[int] = []
    for payload in ring.read(numbers) if numbers else ():
        packet = codec.decode_packet(payload)
        for block in packet.blocks:
            if block.stream_id == event:
                found += [
                    packet.t0_us + block.offset_us for code, _, slot in block.samples if (code, slot) == (start, 0)
                ]
    return found, device.stream.seq


def alone(seed: int) -> tuple[list[float], int]:
    """Delays of the motor at the ceiling, s, on one device that has lost its host, and how many alerts were missed."""
    crossings = Crossings()
    device = Device(seed, on_truth=crossings.add, hand=PressingHand(seed))
    host = Host(device)
    host.connect()
    host.start(linger_s=255)
    host.pass_time(8.0)
    for rule in rules(PARAMS, PLACE, host.zero_n):
        slot, compare, *rest = rule
        assert host.ask("HAPTIC_RULE", slot, FORCE, compare, *rest).status == 0
    device.disconnected(host.now_us)
    lost_s, first = device.senses.life_s, device.stream.seq
    started_us: list[int] = []
    for _ in range(round(ALONE_S / 10)):
        host.pass_time(10.0)
        buzzes, first = buzzes_us(device, first)
        started_us += buzzes
    crossed_s = [t_s for t_s in crossings.times_s[BAND.ceiling_n] if lost_s < t_s < device.senses.life_s - LATE_S]
    base_us = device.clock_us(device.senses.true_us(lost_s))
    started_s = [lost_s + ((us - base_us) % 2**32) * 1e-6 + REACT_S for us in started_us]
    return delays_s(crossed_s, started_s)


def motor(seed_base: int, n_events: int) -> dict[str, Any]:
    """Latency of the motor without a host."""
    delays: list[float] = []
    n_missed, seed = 0, seed_base
    while len(delays) + n_missed < n_events:
        more, missed = alone(seed)
        delays, n_missed, seed = delays + more, n_missed + missed, seed + 1
    return summary_ms("motor_ceiling", delays, n_missed) | {"motor_devices": seed - seed_base}


# --- The whole chain ------------------------------------------------------------------------------------------------


class Metronome:
    """Asks for a block of samples each period, where there is no library that does."""

    def __init__(self, render: Render) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(render,), daemon=True)
        self._thread.start()

    def _run(self, render: Render) -> None:
        due_s = time.monotonic()
        while not self._over.is_set():
            render(FS_HZ * PERIOD_MS // 1000)
            due_s += PERIOD_MS * 1e-3
            time.sleep(max(due_s - time.monotonic(), 0))

    def close(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()


class Listener:
    """Notes when signals begin in the samples that the device gets."""

    def __init__(self) -> None:
        self.times_s: dict[Signal, list[float]] = {signal: [] for signal in Signal}
        self.outputs: CueOutputs
        self._before: Signal | None = None

    def open(self, render: Render) -> Stream:
        """Open a device that is listened to."""
        device: Callable[[Render], Stream] = partial(open_stream, null=True) if is_installed() else Metronome
        return device(partial(self._listen, render))

    def _listen(self, render: Render, n: int) -> NDArray[np.float32]:
        samples = render(n)
        signal = self.outputs.signal
        if signal is not self._before and signal is not None:
            self.times_s[signal].append(time.monotonic() + n / FS_HZ)
        self._before = signal
        return samples


class Cued(NamedTuple):
    """One session in real time."""

    crossed_s: dict[float, list[float]]
    sounded_s: dict[Signal, list[float]]


async def session(seed: int, seconds: float, interval_s: float) -> Cued:
    """Stream for a time; all times are those of `time.monotonic`."""
    crossings, listener = Crossings(), Listener()
    device = Device(seed, on_truth=crossings.add, hand=PressingHand(seed))
    air = Air(interval_s)
    live = LiveRun(Options(seconds=seconds, recorded=False), lambda _: None, lambda _: None, lambda _: None)
    live.pipeline = Pipeline(PARAMS)
    live.outputs = listener.outputs = CueOutputs(sound=True, muted=False, haptics=True, open_device=listener.open)
    zero_us = 0.0
    async with open_peripheral(air, device), open_radio("in process", controller=AirController("host", air)) as radio:
        task = asyncio.create_task(live.run(radio, asyncio.Event()))
        await asyncio.sleep(seconds / 2)
        # Holds for the whole session.
        zero_us = device.senses.true_us(0.0)
        await task
    last_s = device.senses.life_s - LATE_S
    return Cued(
        {n: [t + zero_us * 1e-6 for t in times_s if t < last_s] for n, times_s in crossings.times_s.items()},
        listener.times_s,
    )


def sound(seed_base: int, n_events: int, interval_s: float, seconds: float) -> dict[str, Any]:
    """Latency of the sound through the whole chain."""
    found: dict[Signal, tuple[list[float], int]] = {signal: ([], 0) for signal in SIGNALS}
    seed = seed_base
    while min(len(delays) + missed for delays, missed in found.values()) < n_events:
        heard = asyncio.run(session(seed, seconds, interval_s))
        for signal, threshold_n in SIGNALS.items():
            more, missed = delays_s(heard.crossed_s[threshold_n], heard.sounded_s[signal])
            found[signal] = found[signal][0] + more, found[signal][1] + missed
        seed += 1
        sys.stderr.write(f"{seed - seed_base} sessions, {[len(delays) for delays, _ in found.values()]} signals\n")
    limit, ceiling = found[Signal.EASE_OFF], found[Signal.STOP]
    return summary_ms("sound_limit", *limit) | summary_ms("sound_ceiling", *ceiling)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--seed-base", type=int, default=100, help="first seed (default: 100; scored with 7000)")
    parser.add_argument("--events", type=int, default=200, help="alerts of each kind (default: 200)")
    parser.add_argument("--interval-ms", type=float, default=30.0, help="connection interval (default: 30)")
    parser.add_argument("--parts", nargs="*", choices=("motor", "sound"), default=("motor", "sound"))
    arguments = parser.parse_args()
    result: dict[str, Any] = {"seed_base": arguments.seed_base}
    if "motor" in arguments.parts:
        result |= motor(arguments.seed_base, arguments.events)
    if "sound" in arguments.parts:
        result |= {
            "interval_ms": arguments.interval_ms,
            "flush_ms": reference.FLUSH_MS,
            "audio": f"null device of miniaudio, {PERIOD_MS} ms" if is_installed() else f"a timer, {PERIOD_MS} ms",
            **sound(arguments.seed_base, arguments.events, arguments.interval_ms * 1e-3, 60.0),
        }
    sys.stdout.write(json.dumps(result) + "\n" if arguments.json else "".join(f"{k}: {v}\n" for k, v in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
