# SPDX-License-Identifier: MIT
"""What a host of 1.0 does with devices of other versions: the rules of docs/protocol.md, over a whole link."""

import asyncio
import struct
from contextlib import suppress

import pytest

from firmware_protocol import codec, layout
from roller_host.link.client import LinkSession
from roller_host.link.radio import open_radio
from roller_host.link.states import RefusedError
from roller_host.pipeline import Pipeline
from simulator.bluetooth.air import Air, AirController
from simulator.bluetooth.peripheral import open_peripheral
from simulator.firmware.device import Device

UNKNOWN_STREAM = 0x0F
NEW_BLOCK = struct.pack("<BBHH", UNKNOWN_STREAM, 2, 0, 5000) + bytes(6)


class Newer(Device):
    """A device of 1.7: longer records and replies, a stream, bits, events and statuses that 1.0 does not know."""

    tells_size = True
    major = layout.PROTOCOL_MAJOR

    def info_payload(self):
        info = codec.unpack_fields(layout.INFO, super().info_payload(), "INFO", 0, codec.Info)
        info = info._replace(proto_major=self.major, proto_minor=7, features=0xC000 | info.features)
        return codec.pack_fields(layout.INFO, info) + b"more"

    def status_payload(self):
        return super().status_payload() + b"and more"

    def request(self, payload, now_us):
        response = super().request(payload, now_us)
        name = codec.OP_NAME.get(payload[0])
        if name == "STREAM_LIST":
            return response + bytes([UNKNOWN_STREAM])
        if name == "STREAM_INFO" and payload[2] == UNKNOWN_STREAM and self.tells_size:
            return bytes([0xF0, *payload[:2], 0, UNKNOWN_STREAM, 9, 1, 3]) + bytes(12)
        if name == "STREAM_INFO" and payload[2] == UNKNOWN_STREAM:
            return bytes([0xF0, *payload[:2], 99])
        return response + b"x" if name in ("START", "TIME_SYNC") and response[3] == 0 else response

    def advance(self, now_us, room=8):
        return [payload[:10] + NEW_BLOCK + payload[10:] for payload in super().advance(now_us, room)]


class Older(Device):
    """A device that knows only what every device must."""

    known = frozenset({"PING", "STREAM_INFO", "START", "STOP"})

    def request(self, payload, now_us):
        if codec.OP_NAME.get(payload[0]) in self.known:
            return super().request(payload, now_us)
        return bytes([0xF0, *payload[:2], codec.STATUS_CODE["UNKNOWN_OP"]])


def understood(device, n_packets):
    """Stream over the air, and what the pipeline makes of it."""
    pipeline, stop = Pipeline(), asyncio.Event()

    def take(record):
        with suppress(codec.VersionError):
            pipeline.feed(record)
        if pipeline.totals.packets >= n_packets:
            stop.set()

    async def main():
        air = Air(1.25e-3)
        host = AirController("host", air)
        async with (
            open_peripheral(air, device),
            asyncio.timeout(30),
            open_radio("in process", controller=host) as radio,
        ):
            await LinkSession(radio, target=None, on_record=take, on_state=lambda _: None).stream(stop)

    asyncio.run(main())
    return pipeline


def test_a_newer_minor_is_read_past_what_is_new():
    pipeline = understood(Newer(1), 30)
    summary = pipeline.summary()
    assert summary["unknown_blocks"] == summary["packets"]
    assert (summary["gaps"], summary["bad_payloads"], summary["missing_streams"]) == (0, 0, [])
    assert pipeline.totals.samples > 100
    assert pipeline.assumed == set()


def test_without_its_size_an_unknown_block_ends_the_packet():
    device = Newer(1)
    device.tells_size = False
    summary = understood(device, 5).summary()
    assert summary["unknown_blocks"] == summary["packets"]
    assert summary["bad_payloads"] == 0
    assert summary["missing_streams"] == ["IMU6", "ROLL", "FORCE_RAW"]


def test_a_device_with_the_least_is_streamed_from():
    pipeline = understood(Older(1), 30)
    assert pipeline.summary()["missing_streams"] == []
    assert pipeline.totals.samples > 100
    assert pipeline.assumed == {"CALIBRATION", "GEOMETRY"}


@pytest.mark.parametrize("major", [0, 2])
def test_another_major_is_refused_before_anything_is_written(major):
    device = Newer(1)
    device.major = major
    with pytest.raises(RefusedError, match=f"speaks protocol {major}.x, this program 1.x. Update"):
        understood(device, 1)
    assert not device.streaming


@pytest.mark.parametrize("decode", [codec.decode_packet, codec.walk_packet])
def test_packets_of_another_major_are_refused_and_types_of_ours_are_not(decode):
    header = struct.pack("<BBII", 0x2F, 0, 0, 0)
    with pytest.raises(codec.VersionError):
        decode(header)
    decode(b"\x1f" + header[1:])
