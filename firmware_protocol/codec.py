# SPDX-License-Identifier: MIT
# Types are in codec.pyi: annotations would need ``typing``, which MicroPython does not have.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
"""Pure-Python codec: bytes to values and back, for the device side and for reading one message at a time.

Runs unchanged under MicroPython: only ``struct`` functions and ``namedtuple``, no ``enum``, ``dataclasses`` or
``typing``. Ranges are checked here because MicroPython's ``struct.pack`` truncates silently. Values are physical (wire
value times scale); samples of stream blocks stay raw, because their scale depends on the device.
"""

import struct
from collections import namedtuple

from firmware_protocol import layout


class ProtocolError(ValueError):
    """Bytes or values that the protocol does not allow; the message says which and why."""


class VersionError(ProtocolError):
    """A message of another protocol major: nothing in it can be relied on."""


def _names(fields):
    return tuple(field[0] for field in fields)


def _type_size(type_name):
    if type_name[:6] == "bytes:":
        return int(type_name[6:])
    if type_name[:5] == "rest:":
        return 0
    return layout.TYPES[type_name][1]


def size_of(fields):
    """Bytes that ``fields`` take on the wire; a ``rest`` field counts as none."""
    return sum(_type_size(field[1]) for field in fields)


Info = namedtuple("Info", _names(layout.INFO))  # noqa: PYI024 - derived from the table
Status = namedtuple("Status", _names(layout.STATUS))  # noqa: PYI024
Calibration = namedtuple("Calibration", _names(layout.CALIBRATION))  # noqa: PYI024
Geometry = namedtuple("Geometry", _names(layout.GEOMETRY))  # noqa: PYI024
Block = namedtuple("Block", ("stream_id", "offset_us", "period_us", "samples"))  # noqa: PYI024
Packet = namedtuple("Packet", ("ptype", "flags", "seq", "t0_us", "blocks", "unknown_stream"))  # noqa: PYI024
Request = namedtuple("Request", ("op", "tag", "args"))  # noqa: PYI024
Response = namedtuple("Response", ("op", "tag", "status", "reply"))  # noqa: PYI024

RECORDS = {
    "INFO": (layout.INFO, Info),
    "STATUS": (layout.STATUS, Status),
    "CALIBRATION": (layout.CALIBRATION, Calibration),
    "GEOMETRY": (layout.GEOMETRY, Geometry),
}
STREAM_FIELDS = {stream_id: fields for stream_id, _, fields in layout.STREAMS}
STREAM_ID = {name: stream_id for stream_id, name, _ in layout.STREAMS}
STREAM_NAME = {stream_id: name for stream_id, name, _ in layout.STREAMS}
EVENT_CODE = {name: code for code, name, _ in layout.EVENTS}
STATUS_CODE = {name: code for code, name, _ in layout.RESPONSE_STATUS}
STATUS_NAME = {code: name for code, name, _ in layout.RESPONSE_STATUS}
OP = {name: op for op, name, _, _ in layout.REQUESTS}
OP_NAME = {op: name for op, name, _, _ in layout.REQUESTS}
ARGS = {op: (fields, namedtuple(name + "_args", _names(fields))) for op, name, fields, _ in layout.REQUESTS}  # noqa: PYI024
REPLIES = {op: (fields, namedtuple(name + "_reply", _names(fields))) for op, name, _, fields in layout.REQUESTS}  # noqa: PYI024


def uuid_of(name):
    """128-bit UUID, as a string, of the roller ``"SERVICE"``, of ``"TAKEN"`` or of a characteristic by name."""
    if name == "SERVICE":
        return layout.BASE_UUID.format(layout.SERVICE_SLOT)
    if name == "TAKEN":
        return layout.BASE_UUID.format(layout.TAKEN_SLOT)
    for slot, known, _, _ in layout.CHARACTERISTICS:
        if known == name:
            return layout.BASE_UUID.format(slot)
    raise KeyError(name)


def bit(table, name):
    """Mask of the bit called ``name`` in one of the bit tables of `layout`."""
    for position, known, _ in table:
        if known == name:
            return 1 << position
    raise KeyError(name)


def crc16(payload):
    """CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, no reflection; 0x29B1 for ``b"123456789"``."""
    crc = 0xFFFF
    for byte in payload:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else (crc << 1) & 0xFFFF
    return crc


def struct_format(fields):
    """``struct`` format of fields that all have a struct code; None when one of them is an ``i24`` or bytes."""
    codes = [layout.TYPES[field[1]][0] if field[1] in layout.TYPES else "" for field in fields]
    return "<" + "".join(codes) if all(codes) else None


_unpack_from = struct.unpack_from
_PACKET_FORMAT = struct_format(layout.PACKET_HEADER)
_BLOCK_FORMAT = struct_format(layout.BLOCK_HEADER)
_OFFSET_STEP_US = layout.BLOCK_HEADER[2][3]
_PACKET_HEADER_SIZE = size_of(layout.PACKET_HEADER)
_BLOCK_HEADER_SIZE = size_of(layout.BLOCK_HEADER)
_SAMPLE_FORMAT = {stream_id: struct_format(fields) for stream_id, fields in STREAM_FIELDS.items()}
_F32_MAX = 3.4028234663852886e38
_SAMPLE_SIZE = {stream_id: size_of(fields) for stream_id, fields in STREAM_FIELDS.items()}


def _pack_value(field, value):
    name, type_name, _, scale, _ = field
    if type_name[:6] == "bytes:" or type_name[:5] == "rest:":
        kind, size = type_name.split(":")
        value = bytes(value)
        if len(value) > int(size) or (kind == "bytes" and len(value) != int(size)):
            raise ProtocolError(f"{name}: {len(value)} bytes do not fit {type_name}")
        return value
    code, size, low, high = layout.TYPES[type_name]
    if code == "f":
        if value - value != 0 or abs(value) > _F32_MAX:  # NaN and infinities; too large for an f32
            raise ProtocolError(f"{name}: {value} is not a finite f32")
        return struct.pack("<f", value)
    if value - value != 0:  # NaN and infinities, which neither round() nor int() takes
        raise ProtocolError(f"{name}: {value} is not a {type_name}")
    raw = value if scale == 1 else round(value / scale)
    if raw != int(raw) or not low <= raw <= high:
        raise ProtocolError(f"{name}: {value} is not a {type_name} in steps of {scale}")
    raw = int(raw)
    return struct.pack("<i", raw)[:3] if type_name == "i24" else struct.pack("<" + code, raw)


def _unpack_value(field, payload, start):
    name, type_name, _, scale, _ = field
    if type_name[:5] == "rest:":
        if len(payload) - start > int(type_name[5:]):
            raise ProtocolError(f"{name}: {len(payload) - start} bytes do not fit {type_name}")
        return bytes(payload[start:])
    size = _type_size(type_name)
    if type_name[:6] == "bytes:":
        return bytes(payload[start : start + size])
    if type_name == "i24":
        low, high = struct.unpack_from("<Hb", payload, start)
        return (high << 16) | low
    raw = struct.unpack_from("<" + layout.TYPES[type_name][0], payload, start)[0]
    if raw - raw != 0:
        raise ProtocolError(f"{name}: {raw} is not a finite {type_name}")
    return raw if scale == 1 else raw * scale


def pack_fields(fields, values):
    """Encode one value per field, in order."""
    if len(values) != len(fields):
        raise ProtocolError(f"{len(values)} values for {len(fields)} fields")
    return b"".join([_pack_value(field, value) for field, value in zip(fields, values)])  # noqa: B905 - MicroPython


def unpack_fields(fields, payload, what, start=0, make=tuple):
    """Decode ``fields`` from ``payload`` at ``start``; bytes beyond them belong to a newer minor and are left."""
    size = size_of(fields)
    if len(payload) - start < size:
        raise ProtocolError(f"{what}: {len(payload) - start} bytes where {size} are needed")
    values = []
    for field in fields:
        values.append(_unpack_value(field, payload, start))
        start += _type_size(field[1])
    return make(values) if make is tuple else make(*values)


def encode_record(name, record):
    """Encode an INFO, STATUS, CALIBRATION or GEOMETRY value; the CRC of the latter two is filled in.

    Raises
    ------
    ProtocolError
        When a value does not fit its field or makes no sense.
    """
    _check_record(name, record)
    payload = pack_fields(RECORDS[name][0], record)
    if name in ("CALIBRATION", "GEOMETRY"):
        payload = payload[:-2] + struct.pack("<H", crc16(payload[:-2]))
    return payload


def decode_record(name, payload):
    """Decode an INFO, STATUS, CALIBRATION or GEOMETRY record; longer ones of a newer minor are read as far as known.

    Raises
    ------
    ProtocolError
        When the record is too short, its CRC is wrong or a value makes no sense; `VersionError` when the protocol major
        in INFO is not ours.
    """
    fields, make = RECORDS[name]
    record = unpack_fields(fields, payload, name, 0, make)
    if name in ("CALIBRATION", "GEOMETRY") and crc16(payload[: size_of(fields) - 2]) != record.crc16:
        raise ProtocolError(f"{name}: CRC {record.crc16:#06x} does not fit its content")
    if name == "INFO" and record.proto_major != layout.PROTOCOL_MAJOR:
        ours, theirs = layout.PROTOCOL_MAJOR, record.proto_major
        raise VersionError(f"the roller speaks protocol {theirs}.x, this program {ours}.x")
    _check_record(name, record)
    return record


def _check_record(name, record):
    """No sensitivity, no radius or axes that are no directions would poison every later number."""
    if name == "CALIBRATION" and record.n_per_count == 0:
        raise ProtocolError("CALIBRATION: n_per_count is 0")
    if name != "GEOMETRY":
        return
    if record.roller_radius_m == 0 or record.encoder_sign not in (1, -1):
        raise ProtocolError(f"GEOMETRY: radius {record.roller_radius_m}, encoder sign {record.encoder_sign}")
    axle = (record.axle_x, record.axle_y, record.axle_z)
    press = (record.press_x, record.press_y, record.press_z)
    for axis in (axle, press):
        if abs(sum([v * v for v in axis]) - 1) > 0.01:
            raise ProtocolError(f"GEOMETRY: {axis} is no unit vector")
    if abs(sum([a * b for a, b in zip(axle, press)])) > 0.1:  # noqa: B905 - MicroPython
        raise ProtocolError(f"GEOMETRY: axle {axle} and press {press} are not at right angles")


def _pack_sample(stream_id, sample):
    fields = STREAM_FIELDS[stream_id]
    if len(sample) != len(fields):
        raise ProtocolError(f"stream {stream_id}: {len(sample)} values for {len(fields)} channels")
    for field, value in zip(fields, sample):  # noqa: B905 - MicroPython
        _, _, low, high = layout.TYPES[field[1]]
        if not low <= value <= high or value != int(value):
            raise ProtocolError(f"stream {stream_id}, {field[0]}: {value} is not a {field[1]}")
    sample_format = _SAMPLE_FORMAT[stream_id]
    if sample_format is None:
        return b"".join([struct.pack("<i", int(value))[:3] for value in sample])
    return struct.pack(sample_format, *[int(value) for value in sample])


def _unpack_samples(stream_id, payload, start, count):
    sample_format = _SAMPLE_FORMAT[stream_id]
    step = _SAMPLE_SIZE[stream_id]
    starts = range(start, start + count * step, step)
    if sample_format is not None:
        return [_unpack_from(sample_format, payload, at) for at in starts]
    samples = []
    for at in starts:
        low, high = _unpack_from("<Hb", payload, at)
        samples.append(((high << 16) | low,))
    return samples


def encode_packet(flags, seq, t0_us, blocks, ptype=layout.PTYPE_LIVE):
    """Encode a stream packet.

    Parameters
    ----------
    flags : int
        Bits of ``layout.PACKET_FLAGS``.
    seq : int
        Packet number since START.
    t0_us : int
        Device clock at the first sample of the first block, us; its low 32 bits are sent.
    blocks : sequence of (stream_id, offset_us, period_us, samples)
        Samples are sequences of raw integers, one per channel; the offset is sent in steps of 10 us.
    ptype : int, default PTYPE_LIVE
        Packet type.

    Raises
    ------
    ProtocolError
        When a value does not fit its field.
    """
    parts = [pack_fields(layout.PACKET_HEADER, (ptype, flags, seq, t0_us & 0xFFFFFFFF))]
    for stream_id, offset_us, period_us, samples in blocks:
        if stream_id not in STREAM_FIELDS:
            raise ProtocolError(f"stream {stream_id}: unknown, so that its samples have no layout")
        on_grid_us = round(offset_us / _OFFSET_STEP_US) * _OFFSET_STEP_US
        parts.append(pack_fields(layout.BLOCK_HEADER, (stream_id, len(samples), on_grid_us, period_us)))
        parts.extend([_pack_sample(stream_id, sample) for sample in samples])
    return b"".join(parts)


def walk_packet(payload, sizes=None):
    """Check a stream packet and locate its blocks without reading their samples.

    Parameters
    ----------
    payload : bytes
        One notification of STREAM.
    sizes : dict, optional
        Sample size by stream id, from STREAM_INFO, of streams that this version does not know: their blocks are
        stepped over.

    Returns
    -------
    header : tuple
        ``(ptype, flags, seq, t0_us)``.
    places : list of (stream_id, count, offset_us, period_us, start)
        Each known block, and where in ``payload`` its samples start.
    unknown_stream : int or None
        First stream that is not known. Without its size reading stops there, and what stands before it is kept.

    Raises
    ------
    ProtocolError
        When the packet is truncated; `VersionError` when it is of another protocol major.
    """
    length = len(payload)
    if length < _PACKET_HEADER_SIZE:
        raise ProtocolError(f"stream packet: {length} bytes, the header alone takes {_PACKET_HEADER_SIZE}")
    header = _unpack_from(_PACKET_FORMAT, payload, 0)
    if header[0] >> 4 != layout.PROTOCOL_MAJOR:
        raise VersionError(f"stream packet: type {header[0]:#04x} is not of protocol {layout.PROTOCOL_MAJOR}.x")
    places = []
    unknown = None
    start = _PACKET_HEADER_SIZE
    while start < length:
        if length - start < _BLOCK_HEADER_SIZE:
            raise ProtocolError(f"stream packet: {length - start} bytes left over, too few for a block")
        stream_id, count, offset, period_us = _unpack_from(_BLOCK_FORMAT, payload, start)
        size = _SAMPLE_SIZE.get(stream_id)
        if size is None:
            unknown = stream_id if unknown is None else unknown
            size = sizes.get(stream_id) if sizes else None
            if size is None:
                break
        start += _BLOCK_HEADER_SIZE
        end = start + count * size
        if end > length:
            raise ProtocolError(f"stream packet: block {stream_id:#04x} is cut off, {end - length} bytes are missing")
        if stream_id in _SAMPLE_SIZE:
            places.append((stream_id, count, offset * _OFFSET_STEP_US, period_us, start))
        start = end
    return header, places, unknown


def decode_packet(payload, sizes=None):
    """Decode a stream packet into raw samples, one tuple per sample; ``sizes`` as in `walk_packet`.

    Raises
    ------
    ProtocolError
        When the packet is truncated; `VersionError` when it is of another protocol major.
    """
    header, places, unknown = walk_packet(payload, sizes)
    blocks = [
        Block(stream_id, offset_us, period_us, _unpack_samples(stream_id, payload, start, count))
        for stream_id, count, offset_us, period_us, start in places
    ]
    return Packet(*header, blocks, unknown)


def encode_request(name, tag, *args):
    """Encode the control request called ``name``."""
    op = OP[name]
    return pack_fields(layout.REQUEST_HEADER, (op, tag)) + pack_fields(ARGS[op][0], args)


def decode_request(payload):
    """Decode a control request as the device sees it; ``args`` is None when the op is unknown.

    Raises
    ------
    ProtocolError
        When the length does not fit the op: the device answers BAD_LENGTH.
    """
    op, tag = unpack_fields(layout.REQUEST_HEADER, payload, "request")
    if op not in ARGS:
        return Request(op, tag, None)
    fields, make = ARGS[op]
    args = unpack_fields(fields, payload, "request " + OP_NAME[op], 2, make)
    longest = 2 + size_of(fields) + sum(int(field[1][5:]) for field in fields if field[1][:5] == "rest:")
    if len(payload) > longest:
        raise ProtocolError(f"request {OP_NAME[op]}: {len(payload)} bytes where {longest} are allowed")
    return Request(op, tag, args)


def encode_response(op, tag, status, *reply):
    """Encode a response; a reply belongs to status OK alone."""
    head = pack_fields(layout.RESPONSE_HEADER, (layout.RESPONSE_MARKER, op, tag, status))
    return head + pack_fields(REPLIES[op][0], reply) if status == 0 else head


def decode_response(payload):
    """Decode a response as the host sees it; ``reply`` is None unless the status is OK and the op known.

    Raises
    ------
    ProtocolError
        When it is no response or its reply is too short.
    """
    marker, op, tag, status = unpack_fields(layout.RESPONSE_HEADER, payload, "response")
    if marker != layout.RESPONSE_MARKER:
        raise ProtocolError(f"response: starts with {marker:#04x}, not {layout.RESPONSE_MARKER:#04x}")
    if status != 0 or op not in REPLIES:
        return Response(op, tag, status, None)
    fields, make = REPLIES[op]
    return Response(op, tag, status, unpack_fields(fields, payload, "reply to " + OP_NAME[op], 4, make))


def tare_event(offset_counts):
    """EVENT sample that carries a tare: 24 bits over ``arg`` and ``value``."""
    _, _, lowest, highest = layout.TYPES["i24"]
    if not lowest <= offset_counts <= highest:
        raise ProtocolError(f"tare: {offset_counts} is not an i24")
    low, high = struct.unpack("<hB", struct.pack("<i", offset_counts)[:3])
    return EVENT_CODE["TARE"], high, low


def tare_offset(arg, value):
    """Zero in counts from the ``arg`` and ``value`` of a TARE event."""
    low, high = struct.unpack("<Hb", struct.pack("<hB", value, arg))
    return (high << 16) | low
