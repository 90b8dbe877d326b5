# SPDX-License-Identifier: MIT
"""The public way to stream from a simulated roller on an air in this process, with everything that a host saw."""

import asyncio
import dataclasses
from contextlib import asynccontextmanager

from firmware_protocol import codec, layout
from roller_host.link.client import LinkSession
from roller_host.link.radio import open_radio
from roller_host.link.states import LinkPhase
from roller_host.link.times import LinkTimes
from simulator.bluetooth.air import Air, AirController
from simulator.bluetooth.peripheral import open_peripheral
from simulator.firmware.device import Device

HASTY = LinkTimes(
    connect_s=0.5, retries_s=(0.01,), step_s=2.0, request_s=0.5, stall_s=0.3, ask_s=0.6, watch_s=0.02, give_up_s=0.0,
    settle_s=0.05,
)  # fmt: skip
"""Impatient, and a lost link ends the session."""
PATIENT = dataclasses.replace(HASTY, give_up_s=20.0, drain_s=5.0)
"""As impatient, but a lost roller is looked for."""
INTERVAL_S = 1.25e-3
"""Connection interval: far below 30 ms, so that tests do not wait for it."""


class Diary(list):
    """What the simulated roller tells."""

    def __init__(self):
        super().__init__()
        self.changed = asyncio.Event()

    def __call__(self, text):
        self.append(text)
        self.changed.set()

    async def last(self, text):
        """Wait until this was told last."""
        async with asyncio.timeout(10):
            while self[-1:] != [text]:
                self.changed.clear()
                await self.changed.wait()


class Session:
    """What a host saw, and buttons to press."""

    def __init__(self, air):
        self.air = air
        self.records, self.states, self.battery = [], [], []
        self.stop = asyncio.Event()
        self.stop_after = None
        self.on_phase = {}

    def on_record(self, record):
        self.records.append(record)
        if self.stop_after and self.payloads("STREAM")[self.stop_after - 1 :]:
            self.stop.set()

    def on_state(self, state):
        self.states.append(state)
        self.on_phase.get(state.phase, lambda: None)()

    def payloads(self, source, direction="in"):
        return [record.payload for record in self.records if record[1:3] == (source, direction)]

    @property
    def phases(self):
        return [state.phase for state in self.states]

    def controller(self, name):
        return next(controller for controller in self.air.controllers if controller.name == name)

    def asked(self, name):
        requests = [codec.decode_request(payload) for payload in self.payloads("CONTROL", "out")]
        return [request.args for request in requests if request.op == codec.OP[name]]

    async def run(self, target=None, scan_s=5.0, times=HASTY, name="host", passkey=None, ask=None, **options):
        async with asyncio.timeout(30), self.radio(name, passkey) as radio:
            radio.passkeys = ask
            link = LinkSession(
                radio, target=target, on_record=self.on_record, on_state=self.on_state,
                on_battery=self.battery.append, times=times, **options,
            )  # fmt: skip
            await link.stream(self.stop, scan_s)

    def radio(self, name="host", passkey=None):
        return open_radio("in process", controller=AirController(name, self.air), passkey=passkey)

    @asynccontextmanager
    async def streaming(self, n_packets=4, times=PATIENT, **options):
        """Stream beside the test, ``n_packets`` before it begins; nothing may be left running in the end."""
        await asyncio.sleep(0.01)
        before = asyncio.all_tasks()
        link = asyncio.create_task(self.run(times=times, **options))
        try:
            await self.until(lambda: link.done() or len(self.seqs) >= n_packets)
            yield link
        finally:
            self.stop.set()
            await link
        # The roller needs a moment to notice.
        await self.until(lambda: asyncio.all_tasks() <= before, 2)

    async def until(self, happened, seconds=10):
        """Wait until something happened."""
        async with asyncio.timeout(seconds):
            while not happened():  # noqa: ASYNC110 - many things are looked at here
                await asyncio.sleep(0.005)

    async def back(self):
        """Wait until the stream is lost and back."""
        n_before, n_states = len(self.seqs), len(self.states)
        await self.until(lambda: LinkPhase.STREAMING in self.phases[n_states:] and len(self.seqs) > n_before)

    @property
    def seqs(self):
        """Numbers of packets since the latest START was answered, each once."""
        begin = max((i for i, record in enumerate(self.records) if _starts(record)), default=0)
        payloads = [record.payload for record in self.records[begin:] if record.source == "STREAM"]
        headers = [payload for payload in payloads if payload[0] in (layout.PTYPE_LIVE, layout.PTYPE_BACKFILL)]
        return {int.from_bytes(payload[2:6], "little") for payload in headers}

    @property
    def lacking(self):
        """Packets of the present session that are not here; noise does not count."""
        return set(range(self.device.stream.seq)) - self.seqs


def _starts(record):
    return record.source == "CONTROL" and record.direction == "in" and record.payload[0] == codec.OP["START"]


@asynccontextmanager
async def roller(device=None, **options):
    """A roller on an air of its own, and a session with it."""
    air = Air(INTERVAL_S)
    events = Diary()
    device = device or Device(seed=1)
    async with open_peripheral(air, device, on_event=events, **options) as peripheral:
        session = Session(air)
        session.device, session.peripheral, session.events = device, peripheral, events
        yield session


class Altered(Device):
    """A device that answers some requests with a status instead of a reply, and can be muted."""

    def __init__(self, refusals=(), mute=False):
        super().__init__(seed=1)
        self.refusals = dict(refusals)
        self.mute = mute

    def request(self, payload, now_us):
        for (name, *args), status in self.refusals.items():
            if payload[0] == codec.OP[name] and payload[2 : 2 + len(args)] == bytes(args):
                return codec.encode_response(payload[0], payload[1], codec.STATUS_CODE[status])
        return super().request(payload, now_us)

    def advance(self, now_us, room=8):
        packets = super().advance(now_us, room)
        return [] if self.mute else packets
