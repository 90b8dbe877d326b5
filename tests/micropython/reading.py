# SPDX-License-Identifier: MIT
"""What the codec makes of a message, in plain values: the same file runs under CPython and MicroPython.

Numbers are wire values, an f32 and bytes are hex, and ``wire`` is the message encoded again from what was read.
"""

import binascii
import json
import struct

from firmware_protocol import codec


def _hex(payload):
    return binascii.hexlify(payload).decode()


def _plain(field, value):
    _, type_name, _, scale, _ = field
    if ":" in type_name:
        return _hex(value)
    if type_name == "f32":
        return _hex(struct.pack(">f", value))
    return value if scale == 1 else round(value / scale)


def _named(fields, values):
    return {field[0]: _plain(field, value) for field, value in zip(fields, values)}  # noqa: B905 - MicroPython


def _record(name, payload):
    record = codec.decode_record(name, payload)
    return {"fields": _named(codec.RECORDS[name][0], record), "wire": _hex(codec.encode_record(name, record))}


def _packet(payload, sizes):
    packet = codec.decode_packet(payload, sizes)
    wire = codec.encode_packet(packet.flags, packet.seq, packet.t0_us, packet.blocks, packet.ptype)
    blocks = [[b.stream_id, b.offset_us // 10, b.period_us, [list(s) for s in b.samples]] for b in packet.blocks]
    return {"header": list(packet[:4]), "blocks": blocks, "unknown": packet.unknown_stream, "wire": _hex(wire)}


def _request(payload):
    op, tag, args = codec.decode_request(payload)
    if args is None:
        return {"op": op, "tag": tag, "fields": None, "wire": None}
    wire = codec.encode_request(codec.OP_NAME[op], tag, *args)
    return {"op": op, "tag": tag, "fields": _named(codec.ARGS[op][0], args), "wire": _hex(wire)}


def _response(payload):
    op, tag, status, reply = codec.decode_response(payload)
    said = {"op": op, "tag": tag, "status": status, "fields": None, "wire": None}
    if reply is not None:
        said["fields"] = _named(codec.REPLIES[op][0], reply)
        said["wire"] = _hex(codec.encode_response(op, tag, status, *reply))
    elif status:
        said["wire"] = _hex(codec.encode_response(op, tag, status))
    return said


def reading(kind, payload, sizes):
    """Plain values of a message, or None when the codec refuses it."""
    try:
        if kind == "packet":
            return _packet(payload, sizes)
        if kind in codec.RECORDS:
            return _record(kind, payload)
        return _request(payload) if kind == "request" else _response(payload)
    except codec.ProtocolError:
        return None


def read_cases(cases_path, results_path):
    """Read ``[kind, hex, sizes]`` per line, write one reading per line, both as JSON."""
    with open(cases_path) as cases, open(results_path, "w") as results:  # noqa: PTH123 - MicroPython
        for line in cases:
            kind, payload, sizes = json.loads(line)
            said = reading(kind, binascii.unhexlify(payload), {int(key): size for key, size in sizes.items()})
            results.write(json.dumps(said) + "\n")
