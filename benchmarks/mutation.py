# SPDX-License-Identifier: MIT
"""Inputs for fuzzing: valid messages drawn from the tables in `layout`, and what can go wrong with their bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from firmware_protocol import codec, layout, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

UNKNOWN_STREAMS = (0x00, 0x0F, 0x40, 0xFF)
"""Ids that no table knows; their blocks are put into packets with ``UNKNOWN_SIZE`` bytes a sample."""
UNKNOWN_SIZE = 5
MUTANTS, VALID = 0.7, 0.2
"""Shares of what `Supply` draws; the rest is noise."""

_SENSIBLE: dict[str, Sequence[int]] = {
    "stream_id": sorted(codec.STREAM_FIELDS), "rate_index": range(10), "range_index": (0, 0, 0, 1, 2),
    "stream_mask": (0x5A, 0x5A, 0x44, 0x04, 0x02, 0xDE, 0xFE), "flush_ms": (20, 60, 200), "linger_s": (0, 0, 1, 60),
    "first": (0, 0, 1, 20), "last": (0, 10, 0xFFFFFFFF), "samples": (8, 8, 9, 16), "page": (0, 1), "head": (0,),
    "index": (0, 0, 1), "slot": range(4), "source": range(3), "compare": range(3), "hysteresis": (0, 100),
    "level": (-100, 0, 500, 3000), "hold_ms": (0, 100), "cooldown_ms": (0, 5), "pattern": range(5), "repeat": (1, 2),
    "strength": (0, 50, 100), "mode": (0, 0, 0, 1, 3), "seconds": (0, 1, 3), "count": (1, 2, 50), "next": (0, 0, 1, 3),
    "tz_min": (-720, 0, 840),
}  # fmt: skip
"""Wire values that lead somewhere, by the name of the field of a request."""
_FLOATS = (1.0, -1.0, 0.0, reference.N_PER_COUNT, 3.4028234663852886e38, 1e-45)
_RIGHT_ANGLES = (((1, 0, 0), (0, 0, -1)), ((0, -1, 0), (1, 0, 0)), ((0.6, 0.8, 0), (0, 0, 1)))


# --- Valid messages ---------------------------------------------------------------------------------------------------


def _wire_value(rng: Random, name: str, low: int, high: int) -> int:
    way = rng.random()
    if way < 0.6 and name in _SENSIBLE:
        return rng.choice(_SENSIBLE[name])
    return rng.choice((low, high, low + 1, high - 1)) if way < 0.8 else rng.randint(low, high)


def _values(rng: Random, fields: Sequence[tuple[str, str, str, float, str]]) -> list[Any]:
    values: list[Any] = []
    for name, type_name, _, scale, _ in fields:
        kind, _, size = type_name.partition(":")
        if size:
            values.append(rng.randbytes(int(size) if kind == "bytes" else rng.randint(0, int(size))))
        elif kind == "f32":
            values.append(rng.choice(_FLOATS))
        else:
            _, _, low, high = layout.TYPES[type_name]
            values.append(_wire_value(rng, name, low, high) * scale)
    return values


def valid_record(rng: Random, name: str) -> bytes:
    """INFO, STATUS, CALIBRATION or GEOMETRY with any values that make sense."""
    fields, make = codec.RECORDS[name]
    record: Any = make(*_values(rng, fields))
    if isinstance(record, codec.Info):
        record = record._replace(proto_major=layout.PROTOCOL_MAJOR)
    elif isinstance(record, codec.Calibration):
        record = record._replace(n_per_count=record.n_per_count or 1.0)
    elif isinstance(record, codec.Geometry):
        axle, press = rng.choice(_RIGHT_ANGLES)
        record = codec.Geometry(
            *record[:2], 0.015, *record[3:6], *axle, *press, *record[12:14], rng.choice((1, -1)), *record[15:]
        )
    return codec.encode_record(name, record)


def valid_request(rng: Random, name: str) -> bytes:
    """Request with any arguments of the right types, about half of them sensible."""
    return codec.encode_request(name, rng.getrandbits(8), *_values(rng, codec.ARGS[codec.OP[name]][0]))


def valid_response(rng: Random, name: str) -> bytes:
    """Response to a request: mostly OK with any reply, else a refusal."""
    op, tag = codec.OP[name], rng.getrandbits(8)
    if rng.random() < 0.2:
        return codec.encode_response(op, tag, rng.choice((*range(1, len(layout.RESPONSE_STATUS)), 0xFF)))
    return codec.encode_response(op, tag, 0, *_values(rng, codec.REPLIES[op][0]))


def valid_packet(rng: Random) -> bytes:
    """Stream packet of a few blocks, now and then with an unknown one."""
    payload = codec.encode_packet(
        rng.getrandbits(8),
        rng.getrandbits(32),
        rng.getrandbits(32),
        [valid_block(rng) for _ in range(rng.randrange(6))],
        rng.choice((layout.PTYPE_LIVE, layout.PTYPE_BACKFILL, layout.PTYPE_LOG)),
    )
    if rng.random() < 0.8:
        return payload
    count = rng.randrange(5)
    strange = codec.pack_fields(layout.BLOCK_HEADER, (rng.choice(UNKNOWN_STREAMS), count, 0, 0))
    known = codec.encode_packet(0, 0, 0, [valid_block(rng)])[codec.size_of(layout.PACKET_HEADER) :]
    return payload + strange + rng.randbytes(UNKNOWN_SIZE * count) + known


def valid_block(rng: Random) -> tuple[int, int, int, list[list[int]]]:
    """Block of any known stream, as `codec.encode_packet` takes it, of up to 60 samples, often extreme ones."""
    stream_id = rng.choice(sorted(codec.STREAM_FIELDS))
    bounds = [layout.TYPES[field[1]][2:] for field in codec.STREAM_FIELDS[stream_id]]
    n_samples = rng.choice((0, 1, 2, 5, 6, rng.randrange(60)))
    samples = [[rng.choice((low, high, rng.randint(low, high))) for low, high in bounds] for _ in range(n_samples)]
    return stream_id, 10 * rng.getrandbits(16), rng.getrandbits(16), samples


# --- Mutations --------------------------------------------------------------------------------------------------------


def _flip(rng: Random, payload: bytearray, _other: bytes) -> None:
    if payload:
        payload[rng.randrange(len(payload))] ^= 1 << rng.getrandbits(3)


def _change(rng: Random, payload: bytearray, _other: bytes) -> None:
    if payload:
        payload[rng.randrange(len(payload))] = rng.getrandbits(8)


def _truncate(rng: Random, payload: bytearray, _other: bytes) -> None:
    del payload[rng.randrange(len(payload) + 1) :]


def _extend(rng: Random, payload: bytearray, _other: bytes) -> None:
    payload += rng.randbytes(1 + rng.getrandbits(4))


def _splice(rng: Random, payload: bytearray, other: bytes) -> None:
    at = rng.randrange(len(payload) + 1)
    payload[at:] = other[at:]


def _extreme(rng: Random, payload: bytearray, _other: bytes) -> None:
    size = 1 << rng.getrandbits(2)
    at = rng.randrange(len(payload) + 1)
    whole = rng.choice((bytes(size), b"\xff" * size, b"\xff" * (size - 1) + b"\x7f", bytes(size - 1) + b"\x80"))
    payload[at : at + size] = whole[: len(payload) - at]


def _cut_out(rng: Random, payload: bytearray, _other: bytes) -> None:
    at = rng.randrange(len(payload) + 1)
    del payload[at : at + 1 + rng.getrandbits(2)]


def _insert(rng: Random, payload: bytearray, _other: bytes) -> None:
    at = rng.randrange(len(payload) + 1)
    payload[at:at] = rng.randbytes(1 + rng.getrandbits(2))


_WAYS = (_flip, _flip, _change, _truncate, _extend, _splice, _extreme, _cut_out, _insert)


def mutate(rng: Random, payload: bytes, other: bytes) -> bytes:
    """Spoil ``payload`` in one to three places; ``other`` is a message to splice with. The result differs from it."""
    spoilt = bytearray(payload)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(_WAYS)(rng, spoilt, other)
    if spoilt == payload:
        spoilt.append(rng.getrandbits(8))
    return bytes(spoilt)


def with_right_crc(payload: bytes) -> bytes:
    """Record of 32 bytes or more whose CRC field is put right, so that its values are looked at."""
    return payload[:30] + struct.pack("<H", codec.crc16(payload[:30])) + payload[32:]


class Supply:
    """Inputs made from one kind of message.

    Parameters
    ----------
    rng : Random
        Where chance comes from.
    make : callable
        Makes one valid message.
    pool : int, default 200
        How many valid messages are mixed; more of them cost time at the beginning.
    """

    def __init__(self, rng: Random, make: Callable[[Random], bytes], pool: int = 200) -> None:
        self._rng = rng
        self._pool = [make(rng) for _ in range(pool)]

    def draw(self) -> tuple[str, bytes]:
        """Draw one input, and what it is: ``"mutant"``, ``"valid"`` or ``"noise"``."""
        rng = self._rng
        share = rng.random()
        if share < MUTANTS:
            return "mutant", mutate(rng, rng.choice(self._pool), rng.choice(self._pool))
        if share < MUTANTS + VALID:
            return "valid", rng.choice(self._pool)
        return "noise", rng.randbytes(rng.randrange(40) if rng.random() < 0.5 else rng.randrange(260))
