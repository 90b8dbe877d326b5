# SPDX-License-Identifier: MIT
"""What a long session keeps in memory: nothing of what is over."""

import asyncio
import gc
import json
import subprocess
import sys
import tracemalloc
import weakref
from collections import Counter
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from bleak.backends.characteristic import BleakGATTCharacteristic
from hosted import roller

from roller_host.link.connection import Connection
from roller_host.link.control import Control
from roller_host.link.dongle import Dongle
from roller_host.link.errands import Errands
from roller_host.link.quality import Quality
from roller_host.link.race import race
from roller_host.link.radio import open_radio
from roller_host.link.stay import Stay
from roller_host.sessions.store import Recorder
from roller_host.signal.clock import ClockParams, ClockState, Exchange, exchange_step
from roller_host.signal.clock_line import estimate
from simulator.bluetooth.air import Air
from simulator.bluetooth.faults import Fault, inject
from simulator.bluetooth.hub import open_hub

OF_A_CONNECTION = (Connection, Control, Stay, Errands, Quality, BleakGATTCharacteristic)


@pytest.fixture(autouse=True)
def _hasty_roller(monkeypatch):
    """Advertisements come more often, so that tests do not wait for them."""
    monkeypatch.setattr("simulator.bluetooth.advertising.INTERVAL_MS", 20.0)


@contextmanager
def nobody_tidies_up():
    """The garbage collector does not run by itself: it may take hundreds of connections until it would."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive(*kinds):
    """How many objects of each kind there are."""
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one) in kinds)


def test_connections_that_are_over_go_at_once():
    gc.collect()
    before = alive(*OF_A_CONNECTION)

    async def scenario():
        async with roller() as session, session.streaming():
            with nobody_tidies_up():
                inject(session.peripheral, Fault.LINK_LOSS, seconds=0)
                await session.back()
                after_one = alive(*OF_A_CONNECTION)
                for _ in range(3):
                    inject(session.peripheral, Fault.LINK_LOSS, seconds=0)
                    await session.back()
                assert alive(*OF_A_CONNECTION) == after_one
                one = after_one - before
                assert one["Connection"] == one["Stay"] == 1

    asyncio.run(scenario())


def test_an_error_that_passes_a_race_keeps_nothing_of_the_work():
    class Held:
        pass

    async def fail(seen):
        held = Held()
        seen.append(weakref.ref(held))
        raise ValueError

    async def scenario():
        seen = []
        with suppress(ValueError):
            await race(fail(seen), asyncio.Event())
        return seen[0]()

    with nobody_tidies_up():
        assert asyncio.run(scenario()) is None


def test_of_an_adapter_that_was_pulled_out_nothing_is_kept():
    gc.collect()
    before = alive(Dongle)

    async def scenario():
        air = Air()
        async with open_hub(air) as hub, open_radio(f"tcp:{hub.host}:{hub.port}") as radio:
            with nobody_tidies_up():
                for _ in range(3):
                    await radio.scan(0.01)
                    hub.close()
                    await asyncio.sleep(0.05)
                await radio.scan(0.01)
                return alive(Dongle) - before

    assert asyncio.run(scenario()) == {"Dongle": 1}


WRITER = """
import sys
from pathlib import Path
from roller_host.sessions.store import Recorder
from roller_host.signal.record import Record

def resident_kib():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))

recorder = Recorder(Path(sys.argv[1]), {}, print)
for i in range(12_000):
    recorder.record(Record(i * 0.06, "STREAM", "in", bytes(240)))
    if i % 100 == 0:
        recorder.settle()
    if i == 2000:
        before = resident_kib()
after = resident_kib()
recorder.close()
print(after - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_writing_a_long_session_takes_no_more_memory_than_a_short_one(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "long.sqlite")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert int(run.stdout) < 512


def peak_kib(work):
    """Most memory that was in use at a time, beyond what was before, KiB."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()


def test_the_line_of_the_clocks_takes_little_memory_after_a_long_time_too():
    state = ClockState()
    rng = np.random.default_rng(100)
    for t1_s in np.arange(0.0, 500.0, 1.0).tolist():
        there_s, back_s = rng.uniform(0, 0.03, 2).tolist()
        t2_us = round((t1_s + there_s) * 1e6)
        state = exchange_step(ClockParams(), state, Exchange(t1_s, t2_us, 200, t1_s + there_s + 2e-4 + back_s))
    assert len(state.exchanges) == 500
    assert peak_kib(lambda: estimate(ClockParams(), state)) < 1024


def test_the_summary_of_a_long_session_is_written_in_little_memory(tmp_path):
    summary = {"stroke_list": [{str(key): i / 7 + key for key in range(18)} for i in range(1000)]}
    recorder = Recorder(tmp_path / "long.sqlite", {}, print)
    assert peak_kib(lambda: recorder.close(summary)) < 3 * len(json.dumps(summary)) / 1024
