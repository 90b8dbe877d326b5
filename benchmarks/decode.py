# SPDX-License-Identifier: MIT
"""Decode throughput: a simulated session's stream packets by the pure-Python codec and by numpy in bulk.

Both read the same payloads in memory, and their results are compared before they are timed. The ratio is strict: the
pure codec is charged neither for keeping its values nor for turning them into arrays.
"""

from __future__ import annotations

import argparse
import json
import sys
import timeit
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from firmware_protocol import bulk, codec
from simulator.firmware.device import Device
from simulator.generate import generate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def decode_singly(
    decode: Callable[..., Any], payloads: Sequence[bytes], sizes: Mapping[int, int] | None = None
) -> bulk.Packets:
    """Result of `bulk.decode_packets` put together from a decoder of single packets, of `codec` or of `arrays`."""
    headers: list[tuple[int, ...]] = []
    refused: dict[int, codec.ProtocolError] = {}
    blocks: dict[int, list[tuple[int, ...]]] = {stream_id: [] for stream_id in codec.STREAM_FIELDS}
    t_us: dict[int, list[int]] = {stream_id: [] for stream_id in codec.STREAM_FIELDS}
    samples: dict[int, list[Any]] = {stream_id: [] for stream_id in codec.STREAM_FIELDS}
    for i, payload in enumerate(payloads):
        try:
            packet = decode(payload, sizes)
        except codec.ProtocolError as error:
            refused[i] = error
            headers.append((0, 0, 0, 0, -1))
            continue
        headers.append((*packet[:4], -1 if packet.unknown_stream is None else packet.unknown_stream))
        for stream_id, offset_us, period_us, values in packet.blocks:
            first_us = packet.t0_us + offset_us
            blocks[stream_id].append((i, len(values), offset_us, period_us))
            t_us[stream_id].extend(first_us + k * period_us for k in range(len(values)))
            samples[stream_id].extend(values)
    columns = np.array(headers, np.int64).reshape(-1, 5).T
    streams = {
        stream_id: bulk.Stream(
            *np.array(blocks[stream_id], np.int64).reshape(-1, 4).T,
            np.array(t_us[stream_id], np.int64),
            np.array(samples[stream_id], np.int32).reshape(-1, len(fields)),
        )
        for stream_id, fields in codec.STREAM_FIELDS.items()
    }
    return bulk.Packets(*columns, streams, refused)


def differences(one: bulk.Packets, other: bulk.Packets) -> list[str]:
    """Names of what is not equal in two decoded sessions: values, shapes or reasons of refusal."""
    found = [name for name in one._fields[:5] if not np.array_equal(getattr(one, name), getattr(other, name))]
    for stream_id, stream in one.streams.items():
        parts = zip(stream._fields, stream, other.streams[stream_id], strict=True)
        found += [f"stream {stream_id} {name}" for name, a, b in parts if not np.array_equal(a, b)]
    reasons = [{i: (type(e), str(e)) for i, e in packets.refused.items()} for packets in (one, other)]
    return found + [f"refused {i}" for i in reasons[0].keys() | reasons[1] if reasons[0].get(i) != reasons[1].get(i)]


def measure(payloads: Sequence[bytes], seconds: float) -> dict[str, float]:
    """Time both decoders over the same payloads, best of several.

    Parameters
    ----------
    payloads : sequence of bytes
        Stream packets of one session.
    seconds : float
        How long the session was, s.

    Raises
    ------
    RuntimeError
        When the decoders do not agree.
    """
    if wrong := differences(decode_singly(codec.decode_packet, payloads), bulk.decode_packets(payloads)):
        raise RuntimeError(f"the decoders disagree: {', '.join(wrong)}")
    pure_s = min(timeit.repeat(lambda: deque(map(codec.decode_packet, payloads), maxlen=0), number=1, repeat=5))
    bulk_s = min(timeit.repeat(lambda: bulk.decode_packets(payloads), number=1, repeat=25))
    return {
        "packets": len(payloads),
        "bytes_per_packet": sum(map(len, payloads)) / len(payloads),
        "pure_us_per_packet": pure_s / len(payloads) * 1e6,
        "bulk_us_per_packet": bulk_s / len(payloads) * 1e6,
        "ratio": pure_s / bulk_s,
        "times_real_time": seconds / bulk_s,
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the session (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which person and device (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    records = generate(Device(arguments.seed), seconds)
    payloads = [record.payload for record in records if record.source == "STREAM"]
    result = {"seed": arguments.seed, "minutes": arguments.minutes, **measure(payloads, seconds)}
    if arguments.json:
        print(json.dumps(result))
        return 0
    print(f"{result['packets']} packets of {result['bytes_per_packet']:.0f} bytes, {arguments.minutes:g} min")
    print(f"pure-Python codec  {result['pure_us_per_packet']:6.2f} us a packet")
    print(f"numpy in bulk      {result['bulk_us_per_packet']:6.2f} us a packet, {result['ratio']:.1f} times faster")
    print(f"                   {result['times_real_time']:,.0f} times real time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
