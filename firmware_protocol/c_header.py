# SPDX-License-Identifier: MIT
"""The protocol as one C11 header: the tables set into ``c/roller_protocol.h.in``.

``python -m firmware_protocol.c_header > firmware_protocol/c/roller_protocol.h`` writes it anew; a test compares.
"""

from __future__ import annotations

import sys
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol import codec, layout
from firmware_protocol.describe import scale_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Field = tuple[str, str, str, float, str]
    Fields = Sequence[Field]

_C_TYPE = {
    "u8": "uint8_t",
    "i8": "int8_t",
    "u16": "uint16_t",
    "i16": "int16_t",
    "i24": "int32_t",
    "u32": "uint32_t",
    "i32": "int32_t",
    "u64": "uint64_t",
    "f32": "float",
}

_AND = " &&\n           "
_SENSE = {
    "INFO": ["value->proto_major == RP_PROTOCOL_MAJOR"],
    "CALIBRATION": ["(value->n_per_count > 0.0f || value->n_per_count < 0.0f)"],
    "GEOMETRY": [
        "value->roller_radius_m != 0",
        "(value->encoder_sign == 1 || value->encoder_sign == -1)",
        "rp_is_unit(value->axle_x, value->axle_y, value->axle_z)",
        "rp_is_unit(value->press_x, value->press_y, value->press_z)",
        "rp_is_square(value->axle_x, value->axle_y, value->axle_z, value->press_x, value->press_y, value->press_z)",
    ],
}
"""C conditions that a record must meet beyond its layout, as `codec.decode_record` checks them."""


class _Message(NamedTuple):
    """What one pair of C functions encodes and decodes: a fixed head, then fields."""

    name: str
    fields: Fields
    head: tuple[str, ...] = ()
    """C expressions of the bytes before the fields; a byte called ``tag`` is an argument of the encoder."""
    exact: bool = False
    """Refuse longer ones."""
    sense: Sequence[str] = ()
    """C conditions on ``value``."""
    has_crc: bool = False
    """The last field is a CRC over what stands before it."""

    @property
    def size_name(self) -> str:
        return f"RP_{self.name.upper()}_SIZE"

    @property
    def rest(self) -> Field | None:
        return self.fields[-1] if self.fields and self.fields[-1][1].startswith("rest:") else None


def _messages_of_control() -> Iterator[_Message]:
    for _, name, args, reply in layout.REQUESTS:
        op = f"RP_OP_{name}"
        yield _Message(f"{name.lower()}_request", args, (op, "tag"), exact=True)
        yield _Message(f"{name.lower()}_reply", reply, ("RP_RESPONSE_MARKER", op, "tag", "RP_STATUS_OK"))


# --- Constants --------------------------------------------------------------------------------------------------------


def _define(name: str, value: object, meaning: str = "") -> str:
    return f"#define RP_{name} {value}" + (f" /* {meaning} */" if meaning else "")


def _uuids() -> Iterator[str]:
    for name in ("SERVICE", "TAKEN", *(row[1] for row in layout.CHARACTERISTICS)):
        uuid = codec.uuid_of(name)
        octets = bytes.fromhex(uuid.replace("-", ""))[::-1]
        yield _define(f"UUID_{name}", f'"{uuid}"')
        yield _define(f"UUID_{name}_BYTES", "{" + ", ".join(f"0x{octet:02x}" for octet in octets) + "}")


def _codes() -> Iterator[str]:
    yield from (_define(f"OP_{name}", f"0x{op:02x}u") for op, name, _, _ in layout.REQUESTS)
    yield from (_define(f"STREAM_{name}", f"0x{stream_id:02x}u") for stream_id, name, _ in layout.STREAMS)
    for prefix, table in (
        ("STATUS", layout.RESPONSE_STATUS),
        ("PTYPE", layout.PACKET_TYPES),
        ("EVENT", layout.EVENTS),
        ("HAPTIC_SLOT", layout.HAPTIC_SLOTS),
        ("HAPTIC_SOURCE", layout.HAPTIC_SOURCES),
        ("HAPTIC_PATTERN", layout.HAPTIC_PATTERNS),
    ):
        yield ""
        yield from (_define(f"{prefix}_{name}", f"0x{code:02x}u", meaning) for code, name, meaning in table)
    for prefix, names in (("STATE", layout.STATES), ("LED", layout.LED_MODES)):
        yield ""
        yield from (_define(f"{prefix}_{name.upper().replace(' ', '_')}", f"{code}u") for code, name in names)


def _bits() -> Iterator[str]:
    for prefix, table in (
        ("FEATURE", layout.FEATURES),
        ("PACKET_FLAG", layout.PACKET_FLAGS),
        ("STATUS_FLAG", layout.STATUS_FLAGS),
        ("FAULT", layout.FAULTS),
        ("SELF_TEST", layout.SELF_TEST),
    ):
        yield ""
        yield from (_define(f"{prefix}_{name}", f"(1u << {place})", meaning) for place, name, meaning in table)


def _constants() -> Iterator[str]:
    yield _define("PROTOCOL_MAJOR", f"{layout.PROTOCOL_MAJOR}u")
    yield _define("PROTOCOL_MINOR", f"{layout.PROTOCOL_MINOR}u")
    yield _define("MTU_MIN", layout.MTU_MIN, "control works with it")
    yield _define("MTU_MIN_STREAM", layout.MTU_MIN_STREAM, "START needs it, unless FORCE and EVENT are all it asks for")
    yield _define("BUTTON_WINDOW_S", layout.BUTTON_WINDOW_S, "protected requests after a press of the button, s")
    yield _define("RESPONSE_MARKER", f"0x{layout.RESPONSE_MARKER:02X}u")
    yield _define("RATES_HZ", "{" + ", ".join(map(str, layout.RATES_HZ)) + "}", "by rate_index, an initializer")
    yield "\n/* UUIDs as they are written, and as 16 bytes in the order of the air, least significant first. */"
    yield from _uuids()
    yield ""
    yield from _codes()
    yield from _bits()


# --- Structs and functions --------------------------------------------------------------------------------------------


def _member(field: Field) -> str:
    name, type_name, unit, scale, meaning = field
    factor = f"x {scale_text(scale)} {unit}".strip() if scale != 1 else unit
    about = ", ".join(part for part in (factor, meaning) if part)
    comment = f" /* {about} */" if about else ""
    if ":" not in type_name:
        return f"    {_C_TYPE[type_name]} {name};{comment}\n"
    kind, size = type_name.split(":")
    length = f"    uint8_t {name}_length; /* bytes of it in use */\n" if kind == "rest" else ""
    return f"    uint8_t {name}[{size}];{comment}\n{length}"


def _struct(message: _Message) -> str:
    size = len(message.head) + codec.size_of(message.fields)
    members = "".join(_member(field) for field in message.fields)
    struct = f"typedef struct {{\n{members}}} rp_{message.name};\n\n" if members else ""
    shortest = " /* the shortest */" if message.rest else ""
    return f"#define {message.size_name} {size}{shortest}\n\n{struct}"


def _fits(message: _Message) -> Iterator[str]:
    """C conditions under which the wire can hold the fields of a struct."""
    for name, type_name, *_ in message.fields:
        if type_name == "i24":
            yield f"value->{name} >= -0x800000 && value->{name} <= 0x7fffff"
        elif type_name.startswith("rest:"):
            yield f"value->{name}_length <= {type_name[5:]}"


def _makes_sense(message: _Message) -> Iterator[str]:
    """C conditions under which fields may be sent and believed."""
    yield from (f"rp_is_finite(value->{name})" for name, type_name, *_ in message.fields if type_name == "f32")
    yield from message.sense


def _placed(message: _Message) -> Iterator[tuple[str, str, int]]:
    """Name, type and offset of each field."""
    at = len(message.head)
    for field in message.fields:
        yield field[0], field[1], at
        at += codec.size_of((field,))


def _function(head: str, lines: Sequence[str]) -> str:
    return "\n".join([head, "{", *(f"    {line}" for line in lines), "}", "", ""])


def _copied(name: str, type_name: str) -> str:
    """C expression for the number of bytes that a field of bytes takes."""
    return f"value->{name}_length" if type_name.startswith("rest:") else type_name.partition(":")[2]


def _encoder(message: _Message) -> str:
    lines = [f"out[{i}] = {octet};" for i, octet in enumerate(message.head)]
    for name, type_name, at in _placed(message):
        if ":" in type_name:
            lines.append(f"memcpy(out + {at}, value->{name}, {_copied(name, type_name)});")
        elif message.has_crc and name == "crc16":
            lines.append(f"rp_put_u16(out + {at}, rp_crc16(out, {at}));")
        else:
            lines.append(f"rp_put_{type_name}(out + {at}, value->{name});")
    size = message.size_name + (f" + (size_t)value->{message.rest[0]}_length" if message.rest else "")
    sound = "".join(f" ||\n        !({condition})" for condition in (*_fits(message), *_makes_sense(message)))
    tag = ", uint8_t tag" if "tag" in message.head else ""
    value = f", const rp_{message.name} *value" if message.fields else ""
    head = f"static inline size_t rp_encode_{message.name}(uint8_t *out, size_t room{tag}{value})"
    return _function(head, [f"if (room < {size}{sound}) {{\n        return 0;\n    }}", *lines, f"return {size};"])


def _decoder(message: _Message) -> str:
    wrong = [f"length {'!=' if message.exact and not message.rest else '<'} {message.size_name}"]
    wrong += [f"length > {message.size_name} + {message.rest[1][5:]}"] if message.rest else []
    wrong += [f"in[{i}] != {octet}" for i, octet in enumerate(message.head) if octet != "tag"]
    lines: list[str] = []
    for name, type_name, at in _placed(message):
        if type_name.startswith("rest:"):
            lines.append(f"value->{name}_length = (uint8_t)(length - {at});")
        if ":" in type_name:
            lines.append(f"memcpy(value->{name}, in + {at}, {_copied(name, type_name)});")
        else:
            lines.append(f"value->{name} = rp_get_{type_name}(in + {at});")
    sound = [f"rp_crc16(in, {message.size_name} - 2) == value->crc16"] if message.has_crc else []
    sound += _makes_sense(message)
    value = f", rp_{message.name} *value" if message.fields else ""
    head = f"static inline bool rp_decode_{message.name}(const uint8_t *in, size_t length{value})"
    refusal = "if (" + " ||\n        ".join(wrong) + ") {\n        return false;\n    }"
    return _function(head, [refusal, *lines, f"return {_AND.join(sound) or 'true'};"])


def _code(messages: Sequence[_Message]) -> str:
    return "".join(_struct(message) + _encoder(message) + _decoder(message) for message in messages)


def _records() -> str:
    return _code(
        [
            _Message(name.lower(), fields, sense=_SENSE.get(name, ()), has_crc=fields[-1][0] == "crc16")
            for name, (fields, _) in codec.RECORDS.items()
        ]
    )


def _packets() -> str:
    headers = [_Message("packet_header", layout.PACKET_HEADER), _Message("block_header", layout.BLOCK_HEADER)]
    samples = [_Message(f"{name.lower()}_sample", fields) for _, name, fields in layout.STREAMS]
    cases = "".join(
        f"    case RP_STREAM_{name}:\n        return RP_{name}_SAMPLE_SIZE;\n" for _, name, _ in layout.STREAMS
    )
    return _code([*headers, *samples]) + (
        "/* Bytes per sample of a stream, 0 when it is not known here. */\n"
        "static inline size_t rp_sample_size(uint8_t stream_id)\n{\n"
        f"    switch (stream_id) {{\n{cases}    default:\n        return 0;\n    }}\n}}\n"
    )


def _assertions() -> str:
    """Assertions that every message of control fits the smallest MTU."""
    lines: list[str] = []
    for message in _messages_of_control():
        rest = f" + {message.rest[1][5:]}" if message.rest else ""
        lines.append(f'_Static_assert({message.size_name}{rest} <= RP_MTU_MIN - 3, "fits the smallest MTU");\n')
    lines.append('_Static_assert(RP_INFO_SIZE <= RP_MTU_MIN - 1, "read in one go with the smallest MTU");\n')
    return "".join(lines)


def header() -> str:
    """Text of ``roller_protocol.h``."""
    template = resources.files("firmware_protocol").joinpath("c", "roller_protocol.h.in").read_text("utf-8")
    parts = {
        "VERSION": f"{layout.PROTOCOL_MAJOR}.{layout.PROTOCOL_MINOR}",
        "CONSTANTS": "\n".join(_constants()) + "\n",
        "RECORDS": _records().rstrip("\n") + "\n",
        "PACKETS": _packets(),
        "REQUEST_HEADER_SIZE": str(codec.size_of(layout.REQUEST_HEADER)),
        "RESPONSE_HEADER_SIZE": str(codec.size_of(layout.RESPONSE_HEADER)),
        "CONTROL": _code(list(_messages_of_control())) + _assertions(),
    }
    for name, text in parts.items():
        template = template.replace(f"@@{name}@@", text)
    return template


if __name__ == "__main__":
    sys.stdout.write(header())
