# SPDX-License-Identifier: MIT
"""From sensor readings to stream packets that fit the MTU."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol import codec, layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

_PACKET_HEADER_B = codec.size_of(layout.PACKET_HEADER)
_BLOCK_HEADER_B = codec.size_of(layout.BLOCK_HEADER)
_SAMPLE_B = {stream_id: codec.size_of(fields) for stream_id, fields in codec.STREAM_FIELDS.items()}


_PERIOD_MAX_US = 0xFFFF


def shortest_packet(stream_ids: Iterable[int]) -> int:
    """Length of a packet with one sample of the stream whose samples are longest, B."""
    return _PACKET_HEADER_B + _BLOCK_HEADER_B + max(_SAMPLE_B[stream_id] for stream_id in stream_ids)


class Stretch(NamedTuple):
    """Samples of one stream on their way into a packet."""

    stream_id: int
    t_s: NDArray[np.float64]
    """Shape (n,)."""
    samples: NDArray[np.int32]
    """Shape (n, n_channels)."""
    period_us: int


def fill(blocks: Sequence[Stretch], limit_b: int) -> list[list[Stretch]]:
    """Distribute blocks over as few packets of at most ``limit_b`` bytes as they need, in the order of time.

    ``limit_b`` has to hold a `shortest_packet` of these streams.
    """
    room = limit_b - _PACKET_HEADER_B
    packets: list[list[Stretch]] = []
    rest = [one for block in blocks for one in _expressible(block)]
    while rest:
        taken, rest = _split(rest, room)
        packets.append(taken)
    return packets


def _expressible(block: Stretch) -> list[Stretch]:
    """Samples so far apart that the period does not fit its field go into blocks of their own."""
    if len(block.t_s) == 1 or block.period_us <= _PERIOD_MAX_US:
        return [block]
    return [block._replace(t_s=block.t_s[i : i + 1], samples=block.samples[i : i + 1]) for i in range(len(block.t_s))]


def _split(blocks: list[Stretch], room: int) -> tuple[list[Stretch], list[Stretch]]:
    """Cut all blocks at one time, so that what comes before fits the room."""
    if sum(_BLOCK_HEADER_B + len(block.t_s) * _SAMPLE_B[block.stream_id] for block in blocks) <= room:
        return blocks, []
    counts = [0] * len(blocks)
    for _, i in sorted((t, i) for i, block in enumerate(blocks) for t in block.t_s.tolist()):
        room -= _SAMPLE_B[blocks[i].stream_id] + (0 if counts[i] else _BLOCK_HEADER_B)
        if room < 0:
            break
        counts[i] += 1
    cuts = list(zip(blocks, counts, strict=True))
    before = [block._replace(t_s=block.t_s[:n], samples=block.samples[:n]) for block, n in cuts if n]
    after = [block._replace(t_s=block.t_s[n:], samples=block.samples[n:]) for block, n in cuts if n < len(block.t_s)]
    return before, after


def encode(blocks: list[Stretch], flags: int, seq: int, ptype: int, clock_us: Callable[[float], int]) -> bytes:
    """Encode one packet.

    Parameters
    ----------
    blocks : list of Stretch
        At least one; what fits the packet.
    flags, seq, ptype : int
        Fields of the header.
    clock_us : callable
        Device clock at a sample's time.
    """
    blocks = sorted(blocks, key=lambda block: block.t_s[0])
    t0_us = clock_us(float(blocks[0].t_s[0]))
    wire = [
        (stream_id, clock_us(float(t_s[0])) - t0_us, period_us if len(t_s) > 1 else 0, samples.tolist())
        for stream_id, t_s, samples, period_us in blocks
    ]
    return codec.encode_packet(flags, seq, t0_us, wire, ptype)
