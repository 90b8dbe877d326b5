# SPDX-License-Identifier: MIT
"""A whole session's stream packets at once: what `arrays` reads packet by packet, without a Python loop per packet.

All packets are walked together, block number by block number, with index arithmetic over their joined bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmware_protocol import codec, layout
from firmware_protocol.arrays import record_dtype, sample_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_AT_ONCE = 4096
"""Blocks whose samples are read at a time: the temporary arrays stay small, in the processor's cache."""
_PADDING = bytes(16)
"""Behind the last payload, so that no header is read beyond the buffer; longer than any of them."""
_PACKET_HEADER = record_dtype(layout.PACKET_HEADER)
_BLOCK_HEADER = record_dtype(layout.BLOCK_HEADER)
_OFFSET_STEP_US = int(layout.BLOCK_HEADER[2][3])
_KNOWN = np.zeros(256, bool)
_KNOWN[list(codec.STREAM_FIELDS)] = True


class Stream(NamedTuple):
    """Every block of one stream, in the order of the payloads, and their samples one after the other."""

    packet: NDArray[np.intp]
    """Which payload each block came in, shape (n_blocks,)."""
    n_samples: NDArray[np.intp]
    """Samples of each block, shape (n_blocks,); ``np.repeat(packet, n_samples)`` is the payload of each sample."""
    offset_us: NDArray[np.int64]
    """First sample after the packet's ``t0_us``, us, shape (n_blocks,)."""
    period_us: NDArray[np.int64]
    """Measured sample period, us, shape (n_blocks,); 0 when there is one sample."""
    t_us: NDArray[np.int64]
    """``t0_us + offset_us + k * period_us`` of each sample, us, shape (n_samples,).

    Unwrapping the 32 bits of ``t0_us``, by the order of ``seq``, is left to the caller: whole turns of 2**32 us to add
    to each packet. Within a packet time goes on beyond 32 bits.
    """
    samples: NDArray[np.int32]
    """Raw counts, shape (n_samples, n_channels)."""


class Packets(NamedTuple):
    """All packets of a session.

    The arrays have one row per payload; rows of refused payloads are 0, and -1 in ``unknown_stream``.
    """

    ptype: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    seq: NDArray[np.uint32]
    """Packet number since START."""
    t0_us: NDArray[np.uint32]
    """Device clock at the first sample of the first block, low 32 bits, us."""
    unknown_stream: NDArray[np.int16]
    """First stream of the packet that is not known, else -1."""
    streams: Mapping[int, Stream]
    """By stream id, for every stream in ``layout.STREAMS``."""
    refused: Mapping[int, codec.ProtocolError]
    """By index of the payload: why it is no packet; nothing was taken from it."""


def decode_packets(payloads: Sequence[bytes], sizes: Mapping[int, int] | None = None) -> Packets:
    """Decode stream packets; each of them is read, or refused, exactly as by `codec.decode_packet`.

    Parameters
    ----------
    payloads : sequence of bytes
        Notifications of STREAM, in any order.
    sizes : mapping, optional
        Sample size by stream id, from STREAM_INFO, of streams that this version does not know.
    """
    octets = np.frombuffer(b"".join([*payloads, _PADDING]), np.uint8)
    length = np.fromiter(map(len, payloads), np.intp, len(payloads))
    end = np.cumsum(length)
    headers = _gather(octets, end - length, _PACKET_HEADER)
    is_bad = (length < _PACKET_HEADER.itemsize) | (headers["ptype"] >> 4 != layout.PROTOCOL_MAJOR)
    blocks, unknown_stream = _walk(octets, end - length, end, _steps(sizes or {}), is_bad)
    headers[is_bad] = 0
    unknown_stream[is_bad] = -1
    t0_us = headers["t0_us"].astype(np.int64)
    streams: dict[int, Stream] = {}
    for stream_id in codec.STREAM_FIELDS:
        rows = slice(*np.searchsorted(blocks.stream_id, (stream_id, stream_id + 1)))
        streams[stream_id] = _read_stream(octets, stream_id, blocks.packet[rows], blocks.begin[rows], t0_us)
    return Packets(
        headers["ptype"].copy(),
        headers["flags"].copy(),
        headers["seq"].copy(),
        headers["t0_us"].copy(),
        unknown_stream,
        streams,
        _refusals(payloads, np.flatnonzero(is_bad).tolist(), sizes),
    )


def _refusals(
    payloads: Sequence[bytes], bad: Sequence[int], sizes: Mapping[int, int] | None
) -> dict[int, codec.ProtocolError]:
    """Reasons in the words of the codec."""
    reasons: dict[int, codec.ProtocolError] = {}
    for i in bad:
        try:
            codec.walk_packet(payloads[i], sizes)
        except codec.ProtocolError as error:
            reasons[i] = error.with_traceback(None)  # whose frames would keep all payloads
    return reasons


class _Blocks(NamedTuple):
    """Blocks, one row each."""

    stream_id: NDArray[np.uint8]
    packet: NDArray[np.intp]
    begin: NDArray[np.intp]
    """Where in the joined bytes the header of the block starts."""

    def at(self, rows: NDArray[np.intp]) -> _Blocks:
        """Only these rows, in this order."""
        return _Blocks(self.stream_id[rows], self.packet[rows], self.begin[rows])


def _steps(sizes: Mapping[int, int]) -> NDArray[np.intp]:
    """Sample size of each stream id, B; -1 where it is not known."""
    steps = {**sizes, **{stream_id: codec.size_of(fields) for stream_id, fields in codec.STREAM_FIELDS.items()}}
    return np.array([steps.get(stream_id, -1) for stream_id in range(256)], np.intp)


def _gather(octets: NDArray[np.uint8], begin: NDArray[np.intp], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values of ``dtype`` that start at any byte. They are taken as opaque bytes: much faster than field by field."""
    size = dtype.itemsize
    windows = np.ndarray((len(octets) - size + 1,), f"V{size}", octets.data, strides=(1,))
    return windows[begin].view(dtype)


def _walk(
    octets: NDArray[np.uint8],
    begin: NDArray[np.intp],
    end: NDArray[np.intp],
    steps: NDArray[np.intp],
    is_bad: NDArray[np.bool_],
) -> tuple[_Blocks, NDArray[np.int16]]:
    """Locate the blocks of all packets: the first block of each, then the second of each that has one, and so on.

    Adds to ``is_bad`` the packets that turn out to be cut off. Returns the blocks of the others, sorted by stream and
    then by packet, and the first unknown stream of each packet.
    """
    unknown_stream = np.full(len(begin), -1, np.int16)
    rounds = [_Blocks(np.zeros(0, np.uint8), np.zeros(0, np.intp), np.zeros(0, np.intp))]
    packet = np.flatnonzero(~is_bad)
    at = begin[packet] + _PACKET_HEADER.itemsize
    while True:
        goes_on = at < end[packet]
        packet, at = packet[goes_on], at[goes_on]
        if not len(packet):
            break
        head = _gather(octets, at, _BLOCK_HEADER)
        stream_id = head["stream_id"]
        rounds.append(_Blocks(stream_id, packet, at))
        strange = ~_KNOWN[stream_id] & (unknown_stream[packet] < 0)
        unknown_stream[packet[strange]] = stream_id[strange]
        step = steps[stream_id]
        samples_at = at + _BLOCK_HEADER.itemsize
        at = samples_at + head["count"] * step
        stops = step < 0
        room = end[packet]
        is_bad[packet[(samples_at > room) | (at > room)]] = True
        at[stops] = room[stops]
    blocks = _Blocks._make(np.concatenate(column) for column in zip(*rounds, strict=True))
    blocks = blocks.at(np.flatnonzero(~is_bad[blocks.packet]))
    return blocks.at(np.lexsort((blocks.packet, blocks.stream_id))), unknown_stream


def _read_stream(
    octets: NDArray[np.uint8],
    stream_id: int,
    packet: NDArray[np.intp],
    begin: NDArray[np.intp],
    t0_us: NDArray[np.int64],
) -> Stream:
    """Read the samples of one stream, whose block headers start at ``begin``."""
    head = _gather(octets, begin, _BLOCK_HEADER)
    n_samples = head["count"].astype(np.intp)
    offset_us = head["offset_us"].astype(np.int64) * _OFFSET_STEP_US
    period_us = head["period_us"].astype(np.int64)
    # Sample i of all is the (i - before)-th of its block: so far behind its begin, and so many periods later.
    after = np.cumsum(n_samples)
    before = after - n_samples
    size = codec.size_of(codec.STREAM_FIELDS[stream_id])
    origin = begin + _BLOCK_HEADER.itemsize - size * before
    origin_us = t0_us[packet] + offset_us - period_us * before
    t_us = np.empty(n_samples.sum(), np.int64)
    samples = np.empty((len(t_us), len(codec.STREAM_FIELDS[stream_id])), np.int32)
    for first in range(0, len(packet), _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        part = slice(before[first], after[rows][-1])
        i = np.arange(part.start, part.stop)
        n = n_samples[rows]
        t_us[part] = np.repeat(origin_us[rows], n) + np.repeat(period_us[rows], n) * i
        _read_samples(octets, np.repeat(origin[rows], n) + size * i, stream_id, samples[part])
    return Stream(packet, n_samples, offset_us, period_us, t_us, samples)


def _read_samples(
    octets: NDArray[np.uint8], where: NDArray[np.intp], stream_id: int, samples: NDArray[np.int32]
) -> None:
    """Fill ``samples`` with those that start at ``where``."""
    dtype = sample_dtype(stream_id)
    if dtype is None:
        # The upper three of four bytes: a block header stands before every sample, so that there is one more.
        samples[:, 0] = _gather(octets, where - 1, np.dtype("<i4")) >> 8
        return
    names = dtype.names or ()
    records = _gather(octets, where, dtype)
    if len({dtype[name] for name in names}) == 1:
        samples[:] = records.view(dtype[0]).reshape(samples.shape)
        return
    for channel, name in enumerate(names):
        samples[:, channel] = records[name]
