# SPDX-License-Identifier: MIT
"""The device part of the fuzz run: a host that sends anything to a simulated roller, in every state it can be in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import mutation

from firmware_protocol import codec, layout, reference
from simulator.firmware.device import Build, Device

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping
    from random import Random

MTUS_B: Final = (517, 247, 247, 185, 100, 23)
FATES: Final[Mapping[str, Callable[[Device, Random, int], object]]] = {
    "connected": lambda device, rng, now_us: device.connected(rng.choice(MTUS_B), now_us),
    "mtu_changed": lambda device, rng, _: device.mtu_changed(rng.choice(MTUS_B)),
    "disconnected": lambda device, _, now_us: device.disconnected(now_us),
    "subscribed": lambda device, rng, now_us: device.subscribed(rng.random() < 0.7, now_us),
    "dropped": lambda device, rng, _: device.dropped(rng.choice((1, 12, 0xFFFFFFFF))),
    "press": lambda device, rng, now_us: device.press(rng.choice((0.2, 3.5)), now_us),
    "plug": lambda device, rng, now_us: device.plug(rng.random() < 0.5, now_us),
    "power": lambda device, rng, now_us: device.power(rng.random() < 0.5, now_us),
    "fail": lambda device, rng, now_us: device.fail(rng.choice(layout.FAULTS)[1], rng.random() < 0.5, now_us),
    "battery": lambda device, rng, now_us: device.battery(rng.choice((0, 3, 14, 60, 100)), now_us),
    "reboot": lambda device, _, now_us: device.reboot(now_us),
    "sleep": lambda device, _, now_us: device.sleep(now_us),
    "wake": lambda device, _, now_us: device.wake(now_us),
}
"""What a link, a person or fate can do to a device at any time."""
FATE: Final = 0.03
"""How often one of them interferes, per input."""
STEPS_US: Final = (0, 0, 100, 300, 1000, 3000)
"""How much time passes between two inputs, us."""
LEAPS_US: Final = (70_000, 250_000, 1_500_000)
LEAP: Final = 0.002
DIALOGUE: Final = 0.006
"""How often requests come that lead somewhere only one after the other, per input."""
LIFE: Final = 3000
"""Inputs to one device before the next one comes."""


class Walk:
    """One device after the other, each through all states.

    Parameters
    ----------
    rng : Random
        Where chance comes from.
    supplies : mapping
        Requests by name.
    hits : Counter
        Is told what was reached: by table, row and column.
    """

    def __init__(
        self, rng: Random, supplies: Mapping[str, mutation.Supply], hits: Counter[tuple[str, str, str]]
    ) -> None:
        self._rng = rng
        self._supplies = supplies
        self._names = sorted(supplies)
        self._hits = hits
        self.doing = "begins"
        """What is being done, for the report of a failure."""
        self.payload = b""
        """The last input."""
        self._left = self._scene_left = 0
        self._next_device()

    def _next_device(self) -> None:
        build = Build(self._rng.randrange(len(layout.SECURITY_MODES)), fusion=self._rng.random() < 0.5)
        self._device = Device(self._rng.getrandbits(16), build=build)
        self._now_us = 0
        self._left = LIFE

    def step(self) -> None:
        """Send one input, and let happen what happens around it."""
        if self._left == 0:
            self._next_device()
        self._left -= 1
        if self._scene_left == 0 or (not self._device.on_air and self._rng.random() < 0.8):
            self._set_scene(self._rng.choice(layout.STATES)[1])
        self._scene_left -= 1
        if self._rng.random() < FATE:
            self._fate(self._rng.choice(list(FATES)))
        if self._rng.random() < DIALOGUE:
            self._rng.choice((self._fetch_missed, self._fetch_log, self._write_calibration))()
        self._request(*self._supplies[self._rng.choice(self._names)].draw())
        self._pass(self._rng.choice(LEAPS_US if self._rng.random() < LEAP else STEPS_US))

    # --- What is done to the device ---------------------------------------------------------------------------------

    def _fate(self, name: str) -> None:
        if name == "connected" and not self._device.on_air:
            return
        self.doing = name
        self._hits["fates", name, "happened"] += 1
        FATES[name](self._device, self._rng, self._now_us)

    def _set_scene(self, state: str) -> None:
        """Bring the device into a state with a host connected, as far as nothing gets between."""
        device, self.doing = self._device, f"is brought to {state}"
        device.plug(False, self._now_us)
        device.battery(80, self._now_us)
        device.power(True, self._now_us)
        device.wake(self._now_us)
        for _, fault, _ in layout.FAULTS:
            device.fail(fault, False, self._now_us)
        device.disconnected(self._now_us)
        self._pass(500_000)
        if state == "offline log" and device.state != state:
            device.press(0.2, self._now_us)
        device.connected(self._rng.choice(MTUS_B), self._now_us)
        device.subscribed(True, self._now_us)
        if state == "streaming":
            mask = sum(1 << codec.STREAM_ID[name] for name in reference.DEFAULT_STREAMS)
            self._ask("START", mask, 60, 2)
        elif state == "charging":
            device.plug(True, self._now_us)
        elif state == "fault":
            device.fail("IMU", True, self._now_us)
        self._scene_left = self._rng.randrange(20, 120)

    def _fetch_missed(self) -> None:
        """Begin a session, and ask twice for what has been sent."""
        self._ask("STOP")
        self._ask("CONFIG", codec.STREAM_ID["IMU6"], 8, 2)
        self._ask("START", 0x5A, 20, 1)
        self._pass(100_000)
        self._ask("BACKFILL", 0, 0xFFFFFFFF)
        self._ask("BACKFILL", 0, 0xFFFFFFFF)

    def _fetch_log(self) -> None:
        """Record a moment without a host, and read it."""
        self._device.disconnected(self._now_us)
        self._fate("press")
        self._pass(250_000)
        self._device.connected(247, self._now_us)
        self._device.subscribed(True, self._now_us)
        self._ask("LOG_SESSION", 0)
        reply = self._ask("LOG_INFO").reply
        first = reply.first if reply else 0
        self._ask("LOG_READ", first, 50)
        self._ask("LOG_READ", first, 50)

    def _write_calibration(self) -> None:
        """Write a calibration with any values that make sense; now and then a byte is wrong or the flash fails."""
        record = mutation.valid_record(self._rng, "CALIBRATION")
        crc16 = int.from_bytes(record[30:], "little")
        if self._rng.random() < 0.3:
            record = mutation.mutate(self._rng, record, record)[:32].ljust(32, b"\0")
        self._fate("press")
        self._device.fail("STORAGE", self._rng.random() < 0.2, self._now_us)
        for page in (0, 1):
            self._ask("CAL_WRITE", page, record[16 * page : 16 * page + 16])
        self._ask("CAL_COMMIT", crc16)

    def _ask(self, name: str, *args: int | bytes) -> codec.Response:
        return self._request("valid", codec.encode_request(name, self._rng.getrandbits(8), *args))

    def _request(self, origin: str, payload: bytes) -> codec.Response:
        self.doing, self.payload = "is asked", payload
        self._hits["inputs", origin, "device"] += 1
        state = self._device.state
        answer = self._device.request(payload, self._now_us)
        response = codec.decode_response(answer)
        op = codec.OP_NAME.get(payload[0], "no known op") if payload else "no known op"
        status = codec.STATUS_NAME[response.status]
        self._hits["states", op, state] += 1
        self._hits["answers", op, status] += 1
        self._hits["statuses", status, "answered"] += 1
        assert (response.op, response.tag) == (*payload[:2], 0, 0)[:2], "answers another request"
        assert len(answer) <= layout.MTU_MIN - 3, "the response does not fit every MTU"
        assert status in _allowed(payload), f"{status} is not due"
        return response

    def _pass(self, step_us: int) -> None:
        """Let time pass; what the device sends meanwhile must be readable."""
        self.doing = "advances"
        self._now_us += step_us
        for payload in self._device.advance(self._now_us):
            packet = codec.decode_packet(payload)
            assert len(payload) <= reference.MAX_PACKET_B, "packet too long"
            assert packet.unknown_stream is None, "unknown stream"
        if step_us > max(STEPS_US):
            codec.decode_record("INFO", self._device.info_payload())
            codec.decode_record("STATUS", self._device.status_payload())


def _allowed(payload: bytes) -> set[str]:
    """Statuses with which a request may be answered, as far as its bytes alone decide."""
    try:
        request = codec.decode_request(payload)
    except codec.ProtocolError:
        return {"BAD_LENGTH"}
    if request.args is None:
        return {"UNKNOWN_OP"}
    return set(codec.STATUS_CODE) - {"BAD_LENGTH", "UNKNOWN_OP"}
