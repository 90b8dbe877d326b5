# SPDX-License-Identifier: MIT
"""The protocol for people and for programs: ``docs/protocol.md`` and ``docs/protocol.json``, from tables and template.

``python -m firmware_protocol.describe page > docs/protocol.md`` and ``... json > docs/protocol.json`` write them anew;
tests compare.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

from firmware_protocol import codec, layout, reference, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Field = tuple[str, str, str, float, str]
    Fields = Sequence[Field]

_PACKAGE = resources.files("firmware_protocol")
_FIELD_LISTS: dict[str, Fields] = {
    **{name: fields for name, (fields, _) in codec.RECORDS.items()},
    "PACKET_HEADER": layout.PACKET_HEADER,
    "BLOCK_HEADER": layout.BLOCK_HEADER,
    "REQUEST_HEADER": layout.REQUEST_HEADER,
    "RESPONSE_HEADER": layout.RESPONSE_HEADER,
}
_BITS = {
    "FEATURES": "Features",
    "PACKET_FLAGS": "Packet flags",
    "STATUS_FLAGS": "Status flags",
    "FAULTS": "Fault bits",
    "SELF_TEST": "Self-test bits",
}
_CODES = {
    "PACKET_TYPES": "Packet types",
    "EVENTS": "Event codes",
    "RESPONSE_STATUS": "Response status",
    "STATES": "States",
    "SECURITY_MODES": "Security modes",
    "HAPTIC_SLOTS": "Haptic slots",
    "HAPTIC_SOURCES": "Haptic sources",
    "HAPTIC_PATTERNS": "Haptic patterns",
    "LED_MODES": "LED modes",
}
"""Table in `layout` -> what fields call it when they refer to it."""
_NUMBERS = ("MTU_MIN", "MTU_MIN_STREAM", "BUTTON_WINDOW_S", "PROTOCOL_MAJOR", "PROTOCOL_MINOR")


def scale_text(scale: float) -> str:
    """Scale as people write it: ``0.001``, ``1/32767``."""
    inverse = round(1 / scale)
    is_decimal = str(inverse).rstrip("0") == "1"
    return f"1/{inverse}" if inverse > 1 and not is_decimal else f"{scale:g}"


def _vectors() -> dict[str, dict[str, Any]]:
    """Golden records by name."""
    files = sorted(_PACKAGE.joinpath("vectors").iterdir(), key=lambda file: file.name)
    found = [vector for file in files for vector in json.loads(file.read_text("utf-8"))]
    return {vector["name"]: vector for vector in found}


# --- Markdown ---------------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in lines)


def _type_text(type_name: str) -> str:
    kind, _, size = type_name.partition(":")
    return {"bytes": f"{size} bytes", "rest": f"0 to {size} bytes"}.get(kind, kind)


def _field_table(fields: Fields, start: int = 0) -> str:
    rows: list[tuple[object, ...]] = []
    for name, type_name, unit, scale, meaning in fields:
        step = " ".join(part for part in (scale_text(scale) if scale != 1 else "", unit) if part)
        rows.append((start, _type_text(type_name), f"`{name}`", step, meaning))
        start += codec.size_of(((name, type_name, unit, scale, meaning),))
    return _table(("byte", "type", "field", "unit", "meaning"), rows)


def _code_table(name: str) -> str:
    table: Sequence[tuple[Any, ...]] = getattr(layout, name)
    code = "{:#04x}" if name == "PACKET_TYPES" else "{}"
    rows = [(code.format(row[0]), *(f"`{word}`" for word in row[1:-1]), row[-1]) for row in table]
    return f"**{_CODES[name]}**\n\n{_table(_keys(name), rows)}"


def _bit_table(name: str) -> str:
    table: Sequence[tuple[int, str, str]] = getattr(layout, name)
    rows = [(place, f"{1 << place:#06x}", f"`{known}`", meaning) for place, known, meaning in table]
    return f"**{_BITS[name]}**\n\n{_table(('bit', 'mask', 'name', 'meaning'), rows)}"


def _gatt_table() -> str:
    rows = [("service", f"`{codec.uuid_of('SERVICE')}`", "", "the roller service")]
    for _, name, properties, content in layout.CHARACTERISTICS:
        rows.append((name, f"`{codec.uuid_of(name)}`", ", ".join(properties), content))
    return _table(("name", "UUID", "properties", "content"), rows)


def _standard_table() -> str:
    rows: list[tuple[str, ...]] = []
    for service_uuid, service, characteristics in layout.STANDARD_SERVICES:
        for uuid, name, properties, content in characteristics:
            rows.append((f"{service} `{service_uuid:#06x}`", f"{name} `{uuid:#06x}`", ", ".join(properties), content))
    return _table(("service", "characteristic", "properties", "content"), rows)


def _streams() -> str:
    rows: list[tuple[object, ...]] = []
    for stream_id, name, fields in layout.STREAMS:
        for i, (field, type_name, unit, scale, meaning) in enumerate(fields):
            step = " ".join(part for part in (scale_text(scale) if scale != 1 else "", unit) if part)
            first = (f"{stream_id:#04x}", f"`{name}`", codec.size_of(fields)) if i == 0 else ("", "", "")
            at = codec.size_of(fields[:i])
            rows.append((*first, at, type_name, f"`{field}`", step, meaning))
    return _table(("id", "stream", "bytes per sample", "byte", "type", "field", "unit", "meaning"), rows)


def _answered_by(name: str) -> str:
    """Which devices answer a request."""
    if name in rules.REQUIRED:
        return "every device"
    features = " or ".join(f"`{feature}`" for feature in rules.NEEDED_FEATURES.get(name, ()))
    return f"devices with feature {features}" if features else "devices that have it"


def _request(op: int, name: str, args: Fields, reply: Fields) -> str:
    parts = [f"### {op:#04x} {name}"]
    for title, fields, start in (("Request", args, 2), ("Reply", reply, 4)):
        parts.append(f"{title}:\n\n{_field_table(fields, start)}" if fields else f"{title}: no fields.")
    if refusals := [f"- `{status}`: {when}" for status, when in rules.REFUSALS.get(name, ())]:
        parts.append("Refused with:\n\n" + "\n".join(refusals))
    return "\n\n".join(parts)


def _requests() -> str:
    return "\n\n".join(_request(*row) for row in layout.REQUESTS)


def _who_answers() -> str:
    rows = [(f"{op:#04x}", name, _answered_by(name)) for op, name, _, _ in layout.REQUESTS]
    return _table(("op", "request", "answered by"), rows)


def _state_table() -> str:
    names = [name for _, name in layout.STATES]
    rows: list[tuple[str, ...]] = []
    for _, request, _, _ in layout.REQUESTS:
        if barred := rules.BAD_STATE_IN.get(request):
            rows.append((request, *("BAD_STATE" if name in barred else "OK" for name in names)))
    rows.append(("all others", *("OK" for _ in names)))
    return _table(("request", *names), rows)


def _ranges() -> str:
    return _table(("range_index", "gyroscope, deg/s", "accelerometer, g"), layout.IMU_RANGES)


def _rates() -> str:
    return _table(("rate_index", "Hz"), enumerate(layout.RATES_HZ))


def _reference(name: str) -> str:
    """What the reference device says of itself."""
    if name == "STREAM_INFO":
        rows = [
            (codec.STREAM_NAME[i], one.element, f"{one.scale_a:.9g}", f"{one.scale_b:.9g}", _words(one.rates_hz))
            for i, one in reference.STREAM_INFO.items()
        ]
        return _table(("stream", "element", "scale_a", "scale_b", "rates, Hz, the first by default"), rows)
    record = {"CALIBRATION": reference.CALIBRATION, "GEOMETRY": reference.GEOMETRY}[name]
    values = zip(_FIELD_LISTS[name], record, strict=True)
    rows = [(f"`{field[0]}`", f"{value:.9g}", field[2]) for field, value in values if field[0] != "crc16"]
    return _table((name, "value", "unit"), rows)


def _words(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or "as things happen"


def _dump(name: str) -> str:
    vector = _vectors()[name]
    value, note, lines = vector["value"], vector["note"], vector["bytes"].replace("  ", "\n")
    where = {
        "packet": "From STREAM",
        "request": f"To CONTROL, {value.get('op')}",
        "response": f"From CONTROL, {value.get('op')}",
    }.get(vector["kind"], f"From {vector['kind']}")
    return f"**{where}:** {note}\n\n```\n{lines}\n```"


def page() -> str:
    """Text of ``docs/protocol.md``.

    Raises
    ------
    KeyError
        When the template asks for something that the tables do not have.
    """
    parts: dict[str, Callable[[str], str]] = {
        "fields": lambda name: _field_table(_FIELD_LISTS[name]),
        "codes": _code_table,
        "bits": _bit_table,
        "gatt": lambda _: _gatt_table(),
        "standard": lambda _: _standard_table(),
        "streams": lambda _: _streams(),
        "requests": lambda _: _requests(),
        "who_answers": lambda _: _who_answers(),
        "states": lambda _: _state_table(),
        "ranges": lambda _: _ranges(),
        "rates": lambda _: _rates(),
        "uuid": lambda name: f"`{codec.uuid_of(name)}`",
        "number": lambda name: str(getattr(layout, name)),
        "dump": _dump,
        "reference": _reference,
    }
    template = _PACKAGE.joinpath("protocol_page.md").read_text("utf-8")
    return re.sub(r"\{\{(\w+) ?(\w*)\}\}", lambda found: parts[found[1]](found[2]), template)


# --- JSON -------------------------------------------------------------------------------------------------------------


def _fields_json(fields: Fields, start: int = 0) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = []
    for i, (name, type_name, unit, scale, meaning) in enumerate(fields):
        kind, _, size = type_name.partition(":")
        at = start + codec.size_of(fields[:i])
        entry = {"name": name, "byte": at, "type": kind, "unit": unit, "scale": scale, "meaning": meaning}
        described.append({**entry, **({"size": int(size)} if size else {})})
    return described


def _named(keys: Sequence[str], table: Iterable[Sequence[object]]) -> list[dict[str, object]]:
    return [dict(zip(keys, row, strict=False)) for row in table]


def _gatt_json() -> dict[str, Any]:
    own = [
        {"name": name, "uuid": codec.uuid_of(name), "properties": properties, "content": content}
        for _, name, properties, content in layout.CHARACTERISTICS
    ]
    standard = [
        {
            "name": name,
            "uuid": f"{uuid:04x}",
            "characteristics": [
                {"name": known, "uuid": f"{number:04x}", "properties": properties, "content": content}
                for number, known, properties, content in characteristics
            ],
        }
        for uuid, name, characteristics in layout.STANDARD_SERVICES
    ]
    service, taken = codec.uuid_of("SERVICE"), codec.uuid_of("TAKEN")
    return {"service": service, "taken": taken, "characteristics": own, "standard_services": standard}


def _request_json(op: int, name: str, args: Fields, reply: Fields) -> dict[str, Any]:
    return {
        "op": op,
        "name": name,
        "request": _fields_json(args, codec.size_of(layout.REQUEST_HEADER)),
        "reply": _fields_json(reply, codec.size_of(layout.RESPONSE_HEADER)),
        "required": name in rules.REQUIRED,
        "features": rules.NEEDED_FEATURES.get(name, ()),
        "bad_state_in": rules.BAD_STATE_IN.get(name, ()),
        "refusals": _named(("status", "when"), rules.REFUSALS.get(name, ())),
    }


def description() -> dict[str, Any]:
    """The tables as plain values, the content of ``docs/protocol.json``."""
    return {
        "protocol": {"major": layout.PROTOCOL_MAJOR, "minor": layout.PROTOCOL_MINOR},
        "byte_order": "little",
        "types": {
            name: {"size": size, "smallest": low, "largest": high}
            for name, (_, size, low, high) in layout.TYPES.items()
        },
        "gatt": _gatt_json(),
        "field_lists": {
            name.lower(): {"size": codec.size_of(fields), "fields": _fields_json(fields)}
            for name, fields in _FIELD_LISTS.items()
        },
        "streams": [
            {"id": stream_id, "name": name, "sample_size": codec.size_of(fields), "fields": _fields_json(fields)}
            for stream_id, name, fields in layout.STREAMS
        ],
        "requests": [_request_json(*row) for row in layout.REQUESTS],
        "response_marker": layout.RESPONSE_MARKER,
        "codes": {name.lower(): _named(_keys(name), getattr(layout, name)) for name in _CODES},
        "bits": {name.lower(): _named(("bit", "name", "meaning"), getattr(layout, name)) for name in _BITS},
        "rates_hz": layout.RATES_HZ,
        "imu_ranges": _named(("range_index", "gyro_deg_s", "acc_g"), layout.IMU_RANGES),
        "numbers": {name.lower(): getattr(layout, name) for name in _NUMBERS},
    }


def _keys(name: str) -> tuple[str, ...]:
    return ("code", "name", "meaning") if len(getattr(layout, name)[0]) == 3 else ("code", "meaning")


def main(what: str) -> str:
    """Text of the page, or of the JSON description when ``what`` is ``"json"``."""
    return json.dumps(description(), indent=1) + "\n" if what == "json" else page()


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[-1]))
