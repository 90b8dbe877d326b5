# SPDX-License-Identifier: MIT
"""Stream packets as numpy arrays: the host's way of reading what `codec` reads one sample at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmware_protocol import codec, layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_NUMPY_CODE = {"u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4"}


class Block(NamedTuple):
    """Samples of one stream."""

    stream_id: int
    """Id from ``layout.STREAMS``."""
    offset_us: int
    """First sample after the packet's ``t0_us``, us."""
    period_us: int
    """Measured sample period, us; 0 when there is one sample."""
    samples: NDArray[np.int32]
    """Raw counts, shape (n_samples, n_channels)."""


class Packet(NamedTuple):
    """One decoded stream packet."""

    ptype: int
    flags: int
    seq: int
    """Packet number since START."""
    t0_us: int
    """Device clock at the first sample of the first block, low 32 bits, us."""
    blocks: tuple[Block, ...]
    unknown_stream: int | None
    """First stream that is not known, else None."""


def record_dtype(fields: Sequence[tuple[str, str, str, float, str]]) -> np.dtype[np.void]:
    """Packed structured dtype of integer fields of `layout`; KeyError for types that numpy does not have."""
    return np.dtype([(field[0], _NUMPY_CODE[field[1]]) for field in fields])


def sample_dtype(stream_id: int) -> np.dtype[np.void] | None:
    """Structured dtype of one sample of a stream; None for streams of 24-bit values, which numpy does not have."""
    fields = codec.STREAM_FIELDS[stream_id]
    return None if any(field[1] == "i24" for field in fields) else record_dtype(fields)


def _uniform_dtype(stream_id: int) -> np.dtype[Any] | None:
    types = {field[1] for field in codec.STREAM_FIELDS[stream_id]}
    code = _NUMPY_CODE.get(types.pop()) if len(types) == 1 else None
    return np.dtype(code) if code else None


_I32, _LE_I32 = np.dtype(np.int32), np.dtype("<i4")
_LAYOUTS = {
    stream_id: (len(fields), _uniform_dtype(stream_id), sample_dtype(stream_id))
    for stream_id, fields in codec.STREAM_FIELDS.items()
}
"""Channels, their type when all have the same, and that of one sample; either is None where there is none."""


def _read_samples(stream_id: int, payload: bytes, start: int, count: int) -> NDArray[np.int32]:
    n_channels, uniform, dtype = _LAYOUTS[stream_id]
    if uniform is not None:
        return np.ndarray((count, n_channels), uniform, payload, start).astype(_I32)
    if dtype is not None:
        records = np.frombuffer(payload, dtype, count, start)
        return np.stack([records[name].astype(np.int32) for name in dtype.names or ()], axis=1)
    # The upper three of four bytes, whose first is still the one before: the shift down drops that and brings the sign.
    return np.ndarray((count, n_channels), _LE_I32, payload, start - 1, (3 * n_channels, 3)) >> 8


def decode_packet(payload: bytes, sizes: Mapping[int, int] | None = None) -> Packet:
    """Decode a stream packet into one array per block.

    Parameters
    ----------
    payload : bytes
        One notification of STREAM.
    sizes : mapping, optional
        Sample size by stream id, from STREAM_INFO, of streams that this version does not know.

    Raises
    ------
    ProtocolError
        When the packet is truncated or of another protocol major.
    """
    header, places, unknown = codec.walk_packet(payload, sizes)
    blocks = [
        Block(stream_id, offset_us, period_us, _read_samples(stream_id, payload, start, count))
        for stream_id, count, offset_us, period_us, start in places
    ]
    return Packet(*header, tuple(blocks), unknown)


ALL_STREAMS_MASK = sum(1 << stream_id for stream_id, _, _ in layout.STREAMS)
"""START mask of every stream that this version knows."""
