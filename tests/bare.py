# SPDX-License-Identifier: MIT
"""A bare bleak client beside a simulated roller: nothing of the project between bleak and the test but the backend."""

import asyncio
from contextlib import asynccontextmanager

from bleak import BleakClient, BleakScanner

from firmware_protocol import codec, layout
from roller_host.link.bumble_backend import BumbleClient, BumbleScanner
from roller_host.link.dongle import Dongle
from simulator.bluetooth.air import Air, AirController
from simulator.bluetooth.peripheral import open_peripheral
from simulator.firmware.device import Device

INTERVAL_S = 2.5e-3
"""Connection interval, shorter than the usual 30 ms so that tests do not wait for it."""
PATIENCE_S = 10.0
SERVICE = codec.uuid_of("SERVICE")
CONTROL, STREAM, STATUS, INFO = (codec.uuid_of(name) for name in ("CONTROL", "STREAM", "STATUS", "INFO"))
DEFAULT_MASK = sum(1 << codec.STREAM_ID[name] for name in ("IMU6", "ROLL", "FORCE_RAW", "EVENT"))


class Heard(list):
    """What was heard, in order, with a way to wait for more."""

    def __init__(self):
        super().__init__()
        self._more = asyncio.Event()

    def add(self, item):
        self.append(item)
        self._more.set()

    async def until(self, enough):
        """Wait until ``enough(all that was heard)`` is true, and return that."""
        async with asyncio.timeout(PATIENCE_S):
            while not (result := enough(self)):
                self._more.clear()
                await self._more.wait()
        return result

    async def one(self, fits, since=0):
        """Wait for one that fits, among those from ``since`` on."""
        return await self.until(lambda heard: next((item for item in heard[since:] if fits(item)), None))


class Host:
    """A program with a Bluetooth adapter, bleak, and no more.

    ``gone`` counts the ends of connections; the other lists hold decoded (or raw) payloads.
    """

    def __init__(self, air, name="host"):
        self.controller = AirController(name, air)
        self.dongle = Dongle(None, self.controller)
        self.client = None
        self.gone = Heard()
        self.stream, self.status, self.responses, self.reasons = Heard(), Heard(), Heard(), Heard()
        self._tag = 0

    async def find(self, fits=lambda _device, _seen: True, seconds=PATIENCE_S):
        """Scan until an advertisement of a roller fits; returns (device, what was seen) or None."""
        found = asyncio.get_running_loop().create_future()

        def detected(device, seen):
            if fits(device, seen) and not found.done():
                found.set_result((device, seen))

        async with BleakScanner(detected, [SERVICE], backend=BumbleScanner, hci=self.dongle):
            await asyncio.wait([found], timeout=seconds)
        return found.result() if found.done() else None

    async def connect(self, seconds=PATIENCE_S, name=""):
        device, _ = await self.find(lambda _, seen: seen.local_name and seen.local_name.startswith(name))
        self.client = BleakClient(
            device, lambda _: self.gone.add(1), timeout=seconds, backend=BumbleClient, hci=self.dongle
        )
        await self.again()

    async def again(self):
        await self.client.connect()
        self.client._backend._connection.on("disconnection", self.reasons.add)

    async def listen(self):
        await self.client.start_notify(CONTROL, lambda _, payload: self.responses.add(bytes(payload)))
        await self.client.start_notify(STATUS, lambda _, payload: self.status.add(_status(payload)))
        await self.client.start_notify(STREAM, lambda _, payload: self.stream.add(bytes(payload)))

    async def send(self, name, *args):
        self._tag += 1
        await self.client.write_gatt_char(CONTROL, codec.encode_request(name, self._tag, *args), response=True)

    async def ask(self, name, *args):
        """Send a request and return its response."""
        since = len(self.responses)
        await self.send(name, *args)
        return codec.decode_response(await self.responses.one(bool, since))

    async def start(self, mask=DEFAULT_MASK, flush_ms=20):
        response = await self.ask("START", mask, flush_ms, 0)
        assert response.status == 0
        return response

    async def info(self):
        return codec.decode_record("INFO", bytes(await self.client.read_gatt_char(INFO)))

    async def packets(self, n):
        """The next ``n`` stream packets."""
        begin = len(self.stream)
        await self.stream.until(lambda heard: len(heard) >= begin + n)
        return [codec.decode_packet(payload) for payload in self.stream[begin:]]

    async def close(self):
        if self.client:
            await self.client.disconnect()
        await self.dongle.close()


def _status(payload):
    return codec.decode_record("STATUS", bytes(payload))


def events(payloads, name):
    """(arg, value) of all events of a name."""
    wanted = codec.STREAM_ID["EVENT"]
    blocks = [block for payload in payloads for block in codec.decode_packet(payload).blocks]
    samples = [sample for block in blocks if block.stream_id == wanted for sample in block.samples]
    code = next(code for code, known, _ in layout.EVENTS if known == name)
    return [(arg, value) for number, arg, value in samples if number == code]


@asynccontextmanager
async def visit(device=None, *, connect=True, start=False, interval_s=INTERVAL_S, **options):
    """A roller and a host that is connected to it, listens and perhaps streams."""
    air = Air(interval_s)
    device = device or Device(seed=1)
    told = Heard()
    async with open_peripheral(air, device, on_event=told.add, **options) as roller:
        host = Host(air)
        host.air, host.roller, host.told = air, roller, told
        try:
            if connect:
                await host.connect()
                await host.listen()
            if start:
                await host.start()
                await host.packets(1)
            yield host, roller
        finally:
            await host.close()
