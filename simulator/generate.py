# SPDX-License-Identifier: MIT
"""A whole session faster than real time: the dialogue of a real host with a device, and every payload of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol import codec, layout, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.device import Device

_STEP_US = 20_000


class Payload(NamedTuple):
    """One payload as a capture holds it."""

    t_s: float
    source: str
    """Characteristic: INFO, CONTROL, STREAM or STATUS."""
    direction: str
    """``"in"`` from the roller, ``"out"`` to it."""
    payload: bytes


def generate(device: Device, seconds: float, mtu: int = 247) -> Iterator[Payload]:
    """Connect, ask, START, stream, STOP.

    Parameters
    ----------
    device : Device
        Fresh or stopped; afterwards disconnected.
    seconds : float
        Streaming time, s.
    mtu : int, default 247
        ATT MTU of the connection, B.

    Yields
    ------
    Payload
        In the order in which a host would see them; time is zero at START.
    """
    device.connected(mtu, 0)
    device.mtu_changed(mtu)
    yield Payload(0.0, "INFO", "in", device.info_payload())
    yield Payload(0.0, "STATUS", "in", device.status_payload())
    questions: list[tuple[str, tuple[int, ...]]] = [("STREAM_INFO", (stream_id,)) for stream_id, _, _ in layout.STREAMS]
    questions += [
        (name, args) for page in (0, 1) for name, args in (("CAL_READ", (page,)), ("GEOMETRY_READ", (0, page)))
    ]
    questions.append(("START", (sum(1 << stream_id for stream_id in reference.STREAM_INFO), reference.FLUSH_MS, 0)))
    for tag, (name, args) in enumerate(questions):
        yield from _ask(device, 0, name, tag, *args)
    for now_us in range(_STEP_US, round(seconds * 1e6) + 1, _STEP_US):
        for payload in device.advance(now_us):
            yield Payload(now_us * 1e-6, "STREAM", "in", payload)
    end_us = round(seconds * 1e6)
    yield from _ask(device, end_us, "STOP", len(questions))
    device.disconnected(end_us)


def _ask(device: Device, now_us: int, name: str, tag: int, *args: int) -> Iterator[Payload]:
    request = codec.encode_request(name, tag, *args)
    yield Payload(now_us * 1e-6, "CONTROL", "out", request)
    yield Payload(now_us * 1e-6, "CONTROL", "in", device.request(request, now_us))
