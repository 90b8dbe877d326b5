# SPDX-License-Identifier: MIT
"""Codecs against golden records, against each other, and against bytes that nobody should send."""

import ast
import binascii
import hashlib
import inspect
import json
import math
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import arrays, codec, layout, reference
from firmware_protocol.codec import ProtocolError

PACKAGE = Path(codec.__file__).parent
FILES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((PACKAGE / "vectors").glob("*.json"))}
VECTORS = [vector for vectors in FILES.values() for vector in vectors]
FROZEN = "6538565e6a71b900adaf8386e98d88f15707699d5eeca5ebe0e0367a7348fe4b"
"""SHA-256 of what the golden records say, notes aside.

They are frozen with protocol 1.0. If this hash changes because a record that was there before has changed, then the
wire has changed, and with it ``PROTOCOL_MAJOR``; if records were only added, ``PROTOCOL_MINOR`` or nothing has.
"""
NEWER = [vector for vector in FILES["newer"] if vector["value"] is not None]
"""Sent by a device or a host of a newer minor: read as far as known, so that they cannot be made again."""
GOLDEN = [vector for vector in VECTORS if vector["value"] is not None and vector not in NEWER]
REFUSED = [vector for vector in VECTORS if vector["value"] is None]
RECORD_NAMES = tuple(codec.RECORDS)
CRC_RECORDS = ("CALIBRATION", "GEOMETRY")
unhurried = settings(deadline=None)


def wire(vector):
    return bytes.fromhex(vector["bytes"])


def ident(vector):
    return vector["name"]


def decoder(kind):
    if kind in codec.RECORDS:
        return lambda payload: codec.decode_record(kind, payload)
    return {"packet": codec.decode_packet, "request": codec.decode_request, "response": codec.decode_response}[kind]


def of_kind(vectors, *kinds):
    return [vector for vector in vectors if vector["kind"] in kinds]


def stated_sizes(vector):
    """Sample sizes that STREAM_INFO gave before the packet came."""
    return {int(stream_id): size for stream_id, size in vector.get("sizes", {}).items()}


def stated_packet(value):
    """What a packet vector says, as `plain` puts it."""
    header = tuple(value[name] for name in ("ptype", "flags", "seq", "t0_us"))
    blocks = [
        (codec.STREAM_ID[b["stream"]], b["offset_us"], b["period_us"], [tuple(s) for s in b["samples"]])
        for b in value["blocks"]
    ]
    return header, blocks, value.get("unknown_stream")


def plain(packet):
    """A packet of either decoder as plain tuples."""
    blocks = [
        (b.stream_id, b.offset_us, b.period_us, [tuple(int(v) for v in sample) for sample in b.samples])
        for b in packet.blocks
    ]
    return tuple(packet[:4]), blocks, packet.unknown_stream


def outcome(decode, payload):
    """What a decoder makes of a payload; anything but a value or ProtocolError escapes."""
    try:
        return decode(payload)
    except ProtocolError as error:
        return error


# --- Golden records ---------------------------------------------------------------------------------------------------


def assert_fields(fields, values, expected):
    """Integers and bytes are equal; physical values agree within half a step of the wire."""
    assert [field[0] for field in fields] == list(expected)
    for (name, type_name, _, scale, _), value in zip(fields, values, strict=True):
        want = expected[name]
        if ":" in type_name:
            assert value == bytes.fromhex(want), name
        elif type_name == "f32" or scale == 1:
            assert value == want, name
        else:
            assert value == pytest.approx(want, abs=0.499 * scale), name


def values_for(fields, expected):
    return [bytes.fromhex(expected[f[0]]) if ":" in f[1] else expected[f[0]] for f in fields]


@pytest.mark.parametrize("vector", of_kind(GOLDEN, *RECORD_NAMES), ids=ident)
def test_golden_record(vector):
    name, value = vector["kind"], vector["value"]
    fields, make = codec.RECORDS[name]
    assert_fields(fields, codec.decode_record(name, wire(vector)), value)
    record = make(*values_for(fields, value))
    assert codec.encode_record(name, record) == wire(vector)
    if name in CRC_RECORDS:
        assert codec.encode_record(name, record._replace(crc16=0)) == wire(vector)


@pytest.mark.parametrize("vector", of_kind(GOLDEN, "packet"), ids=ident)
def test_golden_packet(vector):
    header, blocks, _ = expected = stated_packet(vector["value"])
    assert plain(codec.decode_packet(wire(vector))) == expected
    assert plain(arrays.decode_packet(wire(vector))) == expected
    assert codec.encode_packet(*header[1:], blocks, ptype=header[0]) == wire(vector)


@pytest.mark.parametrize("vector", of_kind(GOLDEN, "request"), ids=ident)
def test_golden_request(vector):
    value = vector["value"]
    fields = codec.ARGS[codec.OP[value["op"]]][0]
    request = codec.decode_request(wire(vector))
    assert (request.op, request.tag) == (codec.OP[value["op"]], value["tag"])
    assert_fields(fields, request.args, value["args"])
    assert codec.encode_request(value["op"], value["tag"], *values_for(fields, value["args"])) == wire(vector)


def assert_response(vector):
    """The response is read as the vector says; returns what it says about op, tag, status and reply."""
    value = vector["value"]
    op = codec.OP.get(value["op"], value["op"])
    status = codec.STATUS_CODE.get(value["status"], value["status"])
    response = codec.decode_response(wire(vector))
    assert response[:3] == (op, value["tag"], status)
    if value["reply"] is None:
        assert response.reply is None
        return op, value["tag"], status, ()
    fields = codec.REPLIES[op][0]
    assert_fields(fields, response.reply, value["reply"])
    return op, value["tag"], status, values_for(fields, value["reply"])


@pytest.mark.parametrize("vector", of_kind(GOLDEN, "response"), ids=ident)
def test_golden_response(vector):
    op, tag, status, reply = assert_response(vector)
    assert codec.encode_response(op, tag, status, *reply) == wire(vector)


@pytest.mark.parametrize("vector", NEWER, ids=ident)
def test_message_of_a_newer_minor_is_read_as_far_as_known(vector):
    kind, value, payload = vector["kind"], vector["value"], wire(vector)
    if kind in codec.RECORDS:
        assert_fields(codec.RECORDS[kind][0], codec.decode_record(kind, payload), value)
    elif kind == "packet":
        for decode in (codec.decode_packet, arrays.decode_packet):
            assert plain(decode(payload, stated_sizes(vector))) == stated_packet(value)
    elif kind == "request":
        assert codec.decode_request(payload) == (value["op"], value["tag"], None)
    else:
        assert_response(vector)


@pytest.mark.parametrize("vector", REFUSED, ids=ident)
def test_refused(vector):
    if vector["kind"] != "packet":
        with pytest.raises(ProtocolError):
            decoder(vector["kind"])(wire(vector))
        return
    for decode in (codec.decode_packet, arrays.decode_packet):
        with pytest.raises(ProtocolError):
            decode(wire(vector), stated_sizes(vector))


def test_golden_records_are_frozen():
    says = [[v["name"], v["kind"], v.get("sizes"), v["value"], v["bytes"].replace(" ", "")] for v in VECTORS]
    canonical = json.dumps(sorted(says, key=lambda said: said[0]), sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(canonical.encode("ascii")).hexdigest() == FROZEN


def test_vectors_cover_every_message():
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)
    assert all(set(vector) - {"sizes"} == {"name", "kind", "value", "bytes", "note"} for vector in VECTORS)
    for vectors in (GOLDEN, REFUSED, NEWER):
        assert {vector["kind"] for vector in vectors} >= {"packet", "request", "response", "INFO", "GEOMETRY"}
    assert {vector["kind"] for vector in GOLDEN} == {*RECORD_NAMES, "packet", "request", "response"}
    packets_ = [v["value"] for v in of_kind(GOLDEN, "packet")]
    assert {value["ptype"] for value in packets_} >= {ptype for ptype, _, _ in layout.PACKET_TYPES}
    assert {b["stream"] for value in packets_ for b in value["blocks"]} == set(codec.STREAM_ID)
    events = [b["samples"][0][0] for value in packets_ for b in value["blocks"] if b["stream"] == "EVENT"]
    assert set(events) >= set(codec.EVENT_CODE.values())


def test_vectors_cover_every_request_reply_and_status():
    assert {v["value"]["op"] for v in of_kind(GOLDEN, "request")} == set(codec.OP)
    responses_ = [v["value"] for v in of_kind(GOLDEN, "response")]
    assert {value["op"] for value in responses_ if value["reply"] is not None} == set(codec.OP)
    assert {value["status"] for value in responses_} >= set(codec.STATUS_CODE)
    assert {value["reply"]["stream_id"] for value in responses_ if (value["reply"] or {}).get("stream_id")} == set(
        codec.STREAM_FIELDS
    )


def test_crc_check_value():
    assert codec.crc16(b"123456789") == 0x29B1
    assert codec.crc16(bytes(range(256))) == binascii.crc_hqx(bytes(range(256)), 0xFFFF)


def test_reference_records_are_the_golden_ones():
    by_name = {vector["name"]: wire(vector) for vector in GOLDEN}
    assert codec.encode_record("CALIBRATION", reference.CALIBRATION) == by_name["calibration_nominal"]
    assert codec.encode_record("GEOMETRY", reference.GEOMETRY) == by_name["geometry_reference"]
    info = codec.OP["STREAM_INFO"]
    for tag, stream, imu_range, name in (
        (2, "IMU6", 0, "imu6_rates"),
        (3, "IMU6", 1, "imu6_range"),
        (4, "FORCE", 0, "force_mn"),
        (5, "ROLL", 0, "roll"),
        (6, "FORCE_RAW", 0, "force_raw"),
        (8, "EVENT", 0, "event"),
        (9, "TEMP", 0, "temp"),
    ):
        reply = reference.stream_info_reply(codec.STREAM_ID[stream], imu_range)
        assert codec.encode_response(info, tag, 0, *reply) == by_name[f"response_stream_info_{name}"], name


@pytest.mark.parametrize("offset", [0, 1, -1, 43800, -123456, 0x7FFFFF, -0x800000])
def test_tare_event_carries_24_bits(offset):
    code, arg, value = codec.tare_event(offset)
    assert code == 8
    assert codec.tare_offset(arg, value) == offset
    assert ((arg << 16) | (value & 0xFFFF)) == offset & 0xFFFFFF


@pytest.mark.parametrize("offset", [0x800000, -0x800001])
def test_tare_event_beyond_24_bits(offset):
    with pytest.raises(ProtocolError):
        codec.tare_event(offset)


# --- Round trips ------------------------------------------------------------------------------------------------------


def field_values(field):
    """Values that the wire holds exactly."""
    _, type_name, _, scale, _ = field
    if ":" in type_name:
        kind, size = type_name.split(":")
        return st.binary(min_size=int(size) if kind == "bytes" else 0, max_size=int(size))
    if type_name == "f32":
        return st.floats(width=32, allow_nan=False, allow_infinity=False)
    _, _, low, high = layout.TYPES[type_name]
    raw = st.integers(low, high)
    return raw if scale == 1 else raw.map(lambda wire_value: wire_value * scale)


def all_values(fields):
    return st.tuples(*[field_values(field) for field in fields])


@st.composite
def right_angles(draw):
    """Axle and press direction as the wire holds them: two unit vectors at right angles, anyhow in space."""
    polar, azimuth, spin = (draw(st.floats(0, 2 * math.pi)) for _ in range(3))
    axle = np.array([math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)])
    other = np.array([math.cos(polar) * math.cos(azimuth), math.cos(polar) * math.sin(azimuth), -math.sin(polar)])
    press = math.cos(spin) * other + math.sin(spin) * np.cross(axle, other)
    return [int(raw) * (1 / 32767) for raw in np.rint(np.concatenate([axle, press]) * 32767)]


@st.composite
def records(draw, name):
    """A record that makes sense."""
    fields, make = codec.RECORDS[name]
    record = make(*draw(all_values(fields)))
    if name == "INFO":
        return record._replace(proto_major=layout.PROTOCOL_MAJOR)
    if name == "CALIBRATION":
        return record._replace(n_per_count=record.n_per_count or 2.0**-15)
    if name == "GEOMETRY":
        axes = dict(
            zip(("axle_x", "axle_y", "axle_z", "press_x", "press_y", "press_z"), draw(right_angles()), strict=True)
        )
        radius_m = draw(st.integers(1, 0xFFFF)) * 1e-5
        return record._replace(roller_radius_m=radius_m, encoder_sign=draw(st.sampled_from([1, -1])), **axes)
    return record


@st.composite
def stream_blocks(draw):
    stream_id = draw(st.sampled_from(sorted(codec.STREAM_FIELDS)))
    counts = [st.integers(*layout.TYPES[field[1]][2:]) for field in codec.STREAM_FIELDS[stream_id]]
    samples = draw(st.lists(st.tuples(*counts), max_size=6))
    return stream_id, 10 * draw(st.integers(0, 0xFFFF)), draw(st.integers(0, 0xFFFF)), samples


packets = st.tuples(
    st.integers(0x10, 0x1F),
    st.integers(0, 0xFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.lists(stream_blocks(), max_size=5),
)
tags = st.integers(0, 0xFF)
requests = st.sampled_from(sorted(codec.OP)).flatmap(
    lambda name: st.tuples(st.just(name), tags, all_values(codec.ARGS[codec.OP[name]][0]))
)
responses = st.sampled_from(sorted(codec.REPLIES)).flatmap(
    lambda op: st.tuples(st.just(op), tags, all_values(codec.REPLIES[op][0]))
)


def packet_bytes(packet):
    ptype, flags, seq, t0_us, blocks = packet
    return codec.encode_packet(flags, seq, t0_us, blocks, ptype=ptype)


@pytest.mark.parametrize("name", RECORD_NAMES)
@unhurried
@given(data=st.data())
def test_record_round_trip(name, data):
    record = data.draw(records(name))
    payload = codec.encode_record(name, record)
    assert len(payload) == codec.size_of(codec.RECORDS[name][0])
    again = codec.decode_record(name, payload)
    if name in CRC_RECORDS:
        record = record._replace(crc16=again.crc16)
    assert again == record
    assert codec.encode_record(name, again) == payload


@unhurried
@given(packets)
def test_packet_round_trip(packet):
    payload = packet_bytes(packet)
    expected = packet[:4], packet[4], None
    assert plain(codec.decode_packet(payload)) == expected
    by_arrays = arrays.decode_packet(payload)
    assert plain(by_arrays) == expected
    for block in by_arrays.blocks:
        assert block.samples.dtype == np.int32
        assert block.samples.shape[1] == len(codec.STREAM_FIELDS[block.stream_id])


@unhurried
@given(requests)
def test_request_round_trip(request_):
    name, tag, args = request_
    assert codec.decode_request(codec.encode_request(name, tag, *args)) == (codec.OP[name], tag, args)


@unhurried
@given(responses, st.integers(1, 0xFF))
def test_response_round_trip(response, error):
    op, tag, reply = response
    assert codec.decode_response(codec.encode_response(op, tag, 0, *reply)) == (op, tag, 0, reply)
    assert codec.decode_response(codec.encode_response(op, tag, error)) == (op, tag, error, None)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_any_buffer_is_read_alike(make):
    for vector in GOLDEN:
        assert decoder(vector["kind"])(make(wire(vector))) == decoder(vector["kind"])(wire(vector))
        if vector["kind"] == "packet":
            assert plain(arrays.decode_packet(make(wire(vector)))) == plain(arrays.decode_packet(wire(vector)))


# --- Arbitrary bytes --------------------------------------------------------------------------------------------------

DECODERS = {
    **{name: decoder(name) for name in RECORD_NAMES},
    "packet": codec.decode_packet,
    "packet arrays": arrays.decode_packet,
    "request": codec.decode_request,
    "response": codec.decode_response,
}
SEEDS = [wire(vector) for vector in VECTORS]


@st.composite
def mutants(draw):
    """A golden record with some bytes changed, cut, added or spliced in from another."""
    payload = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(payload)))
        match draw(st.sampled_from(["change", "cut", "add", "splice"])):
            case "change":
                payload[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "cut":
                del payload[at : at + draw(st.integers(1, 8))]
            case "add":
                payload[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                payload[at:] = draw(st.sampled_from(SEEDS))[at:]
    return bytes(payload)


hostile = st.one_of(mutants(), mutants(), st.binary(max_size=260))


@pytest.mark.parametrize("name", DECODERS)
@settings(deadline=None, max_examples=300)
@given(payload=hostile)
def test_arbitrary_bytes(name, payload):
    outcome(DECODERS[name], payload)


@settings(deadline=None, max_examples=500)
@given(hostile, st.dictionaries(st.sampled_from([0x00, 0x08, 0x0E, 0x0F, 0xFF]), st.integers(0, 4)))
def test_both_packet_decoders_agree(payload, sizes):
    one, other = (outcome(lambda p, d=d: d(p, sizes), payload) for d in (codec.decode_packet, arrays.decode_packet))
    if isinstance(one, ProtocolError):
        assert str(one) == str(other)
    else:
        assert plain(one) == plain(other)


def mutate(rng, payload):
    payload = bytearray(payload)
    at = rng.randrange(len(payload) + 1)
    match rng.randrange(4):
        case 0:
            payload[at : at + 1] = rng.randbytes(1)
        case 1:
            del payload[at : at + rng.randint(1, 8)]
        case 2:
            payload[at:at] = rng.randbytes(rng.randint(1, 8))
        case _:
            if payload:
                payload[at - 1] ^= 1 << rng.randrange(8)
    return bytes(payload)


def test_fuzz_reaches_every_operation_and_both_outcomes():
    rng = random.Random(20240)
    hits, mutated, total = Counter(), 0, 8_000
    for _ in range(total):
        is_mutant = rng.random() < 0.8
        mutated += is_mutant
        payload = mutate(rng, rng.choice(SEEDS)) if is_mutant else rng.randbytes(rng.randrange(260))
        for name, decode in DECODERS.items():
            found = outcome(decode, payload)
            hits[name, "refused" if isinstance(found, ProtocolError) else "read"] += 1
            if isinstance(found, codec.Request) and found.args is not None:
                hits["request", codec.OP_NAME[found.op]] += 1
            elif isinstance(found, codec.Response) and found.reply is not None:
                hits["reply", codec.OP_NAME[found.op]] += 1
            elif isinstance(found, codec.Response):
                hits["error", "response"] += 1
            elif isinstance(found, codec.Packet):
                for block in found.blocks:
                    hits["block", block.stream_id] += 1
                hits["packet", "unknown block"] += found.unknown_stream is not None
    wanted = [(name, result) for name in DECODERS for result in ("read", "refused")]
    wanted += [(kind, name) for kind in ("request", "reply") for name in codec.OP]
    wanted += [("block", stream_id) for stream_id in codec.STREAM_FIELDS]
    wanted += [("packet", "unknown block"), ("error", "response")]
    print("\n".join(f"{key}: {hits[key]}" for key in wanted))  # noqa: T201 - shown when it fails or with -s
    assert [key for key in wanted if not hits[key]] == []
    assert mutated > total / 2


# --- Damaged, foreign and newer messages ------------------------------------------------------------------------------

ALL_BLOCKS = next(v for v in GOLDEN if v["name"] == "all_blocks")


def test_packet_truncated_at_every_length():
    payload = wire(ALL_BLOCKS)
    whole = plain(codec.decode_packet(payload))
    _, places, _ = codec.walk_packet(payload)
    headers = codec.size_of(layout.BLOCK_HEADER)
    ends = [place[4] - headers for place in places]  # a packet may end where a block could begin
    for length in range(len(payload)):
        for decode in (codec.decode_packet, arrays.decode_packet):
            if length in ends:
                assert plain(decode(payload[:length])) == (whole[0], whole[1][: ends.index(length)], None)
            else:
                with pytest.raises(ProtocolError):
                    decode(payload[:length])
    assert len(ends) == 4
    assert all(b > a for a, b in pairwise(ends))


@pytest.mark.parametrize("vector", of_kind(GOLDEN, *RECORD_NAMES), ids=ident)
def test_record_truncated_at_every_length(vector):
    for length in range(len(wire(vector))):
        with pytest.raises(ProtocolError):
            codec.decode_record(vector["kind"], wire(vector)[:length])


def fixed_size(vector):
    """Bytes of a request or response before what may be of any length."""
    op = codec.OP.get(vector["value"]["op"])
    if vector["kind"] == "request":
        return 2 + codec.size_of(codec.ARGS[op][0])
    return 4 + (codec.size_of(codec.REPLIES[op][0]) if vector["value"]["reply"] is not None else 0)


@pytest.mark.parametrize("vector", of_kind(GOLDEN, "request", "response"), ids=ident)
def test_control_truncated_at_every_length(vector):
    for length in range(fixed_size(vector)):
        with pytest.raises(ProtocolError):
            decoder(vector["kind"])(wire(vector)[:length])


@pytest.mark.parametrize("unknown", [0x00, 0x08, 0x0F, 0xFF])
@pytest.mark.parametrize("decode", [codec.decode_packet, arrays.decode_packet])
def test_unknown_block_keeps_the_blocks_before(decode, unknown):
    known = wire(ALL_BLOCKS)
    after = bytes.fromhex("040100000000 2a0000")
    payload = known + bytes([unknown]) + bytes.fromhex("05 0000 0000 0102030405") + after
    header, before, _ = plain(decode(known))
    for sizes in (None, {}, {0x0E: 1}):
        assert plain(decode(payload, sizes)) == (header, before, unknown)
    assert plain(decode(payload, {unknown: 1})) == (header, [*before, (4, 0, 0, [(42,)])], unknown)
    with pytest.raises(ProtocolError, match=f"block {unknown:#04x} is cut off"):
        decode(payload, {unknown: 12})


@pytest.mark.parametrize("decode", [codec.decode_packet, arrays.decode_packet])
def test_what_stream_info_says_of_a_known_stream_changes_nothing(decode):
    assert plain(decode(wire(ALL_BLOCKS), {0x01: 99, 0x04: 1})) == plain(decode(wire(ALL_BLOCKS)))


@pytest.mark.parametrize("major", [m for m in range(16) if m != layout.PROTOCOL_MAJOR])
def test_wrong_major_is_refused(major):
    payload = wire(ALL_BLOCKS)
    foreign = bytes([(major << 4) | (payload[0] & 0xF)]) + payload[1:]
    for decode in (codec.decode_packet, arrays.decode_packet):
        with pytest.raises(ProtocolError, match="protocol 1"):
            decode(foreign)
    info = next(wire(v) for v in GOLDEN if v["kind"] == "INFO")
    with pytest.raises(ProtocolError, match=rf"protocol {major}\.x, this program 1\.x"):
        codec.decode_record("INFO", bytes([major]) + info[1:])


@pytest.mark.parametrize("vector", of_kind(GOLDEN, *RECORD_NAMES), ids=ident)
def test_longer_record_of_a_newer_minor(vector):
    decode, payload = decoder(vector["kind"]), wire(vector)
    assert decode(payload + b"\xa5\x5a\x00") == decode(payload)


@pytest.mark.parametrize("vector", of_kind(GOLDEN, "response"), ids=ident)
def test_longer_reply_of_a_newer_minor(vector):
    reply = vector["value"]["reply"] or {}
    if {"echo", "ids"} & set(reply):
        with pytest.raises(ProtocolError, match=r"echo|ids"):
            codec.decode_response(wire(vector) + bytes(17))
    else:
        assert codec.decode_response(wire(vector) + b"\xa5") == codec.decode_response(wire(vector))


@pytest.mark.parametrize("vector", of_kind(GOLDEN, "request"), ids=ident)
def test_longer_request_is_refused(vector):
    with pytest.raises(ProtocolError, match=r"are allowed|do not fit"):
        codec.decode_request(wire(vector) + bytes(17))


@pytest.mark.parametrize("name", CRC_RECORDS)
def test_every_bit_error_in_a_record_with_crc_is_found(name):
    payload = next(wire(v) for v in GOLDEN if v["kind"] == name)
    for position in range(8 * len(payload)):
        damaged = bytearray(payload)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(ProtocolError):
            codec.decode_record(name, damaged)


def test_unknown_ops_are_values():
    assert codec.decode_request(b"\x7e\x05abc") == (0x7E, 5, None)
    assert codec.decode_response(b"\xf0\x7e\x05\x00abc") == (0x7E, 5, 0, None)


# --- Range checks -----------------------------------------------------------------------------------------------------

FIELD_LISTS = {
    **{name: fields for name, (fields, _) in codec.RECORDS.items()},
    "packet header": layout.PACKET_HEADER,
    "block header": layout.BLOCK_HEADER,
    **{f"{codec.OP_NAME[op]} request": fields for op, (fields, _) in codec.ARGS.items()},
    **{f"{codec.OP_NAME[op]} reply": fields for op, (fields, _) in codec.REPLIES.items()},
}
FIELDS = [
    pytest.param(field, id=f"{where}-{field[0]}".replace(" ", "-"))
    for where, fields in FIELD_LISTS.items()
    for field in fields
]


def beyond(field):
    _, type_name, _, scale, _ = field
    if ":" in type_name:
        kind, size = type_name.split(":")
        return [bytes(int(size) + 1)] + ([bytes(int(size) - 1)] if kind == "bytes" else [])
    if type_name == "f32":
        return [1e39, -1e39, float("inf"), float("nan")]
    _, _, low, high = layout.TYPES[type_name]
    broken = [1.5] if scale == 1 else []
    return [(low - 1) * scale, (high + 1) * scale, float("inf"), float("-inf"), float("nan"), *broken]


@pytest.mark.parametrize("field", FIELDS)
def test_values_beyond_a_field_are_refused(field):
    for value in beyond(field):
        with pytest.raises(ProtocolError):
            codec.pack_fields((field,), (value,))


@pytest.mark.parametrize("value", [0, -1, 0x7FFFFF, -0x800000])
def test_i24_outside_of_streams(value):
    fields = (("x", "i24", "", 1, ""),)
    assert codec.unpack_fields(fields, codec.pack_fields(fields, (value,)), "x") == (value,)


def test_encoders_check_ranges():
    with pytest.raises(ProtocolError):
        codec.encode_record("GEOMETRY", reference.GEOMETRY._replace(lever_y_m=3.2769))
    with pytest.raises(ProtocolError):
        codec.encode_request("START", 0, 0x10000, 60, 5)
    with pytest.raises(ProtocolError):
        codec.encode_request("START", 0, 90, 60)
    with pytest.raises(ProtocolError):
        codec.encode_request("START", 256, 90, 60, 5)
    with pytest.raises(ProtocolError):
        codec.encode_response(codec.OP["TARE"], 0, 256)
    with pytest.raises(ProtocolError):
        codec.encode_response(codec.OP["TARE"], 0, 0, 2**31, 0)
    with pytest.raises(ProtocolError):
        codec.encode_packet(256, 0, 0, [])
    with pytest.raises(ProtocolError):
        codec.encode_packet(0, 2**32, 0, [])


@pytest.mark.parametrize(
    "block",
    [
        pytest.param((1, 0, 0, [(0, 0, 0, 0, 0, 32768)]), id="i16"),
        pytest.param((1, 0, 0, [(0, 0, 0, 0, 0, 0.5)]), id="fraction"),
        pytest.param((1, 0, 0, [(0, 0, 0, 0, 0)]), id="five of six channels"),
        pytest.param((3, 0, 0, [(-1,)]), id="u16"),
        pytest.param((3, 0, 0, [(float("nan"),)]), id="nan"),
        pytest.param((4, 0, 0, [(0x800000,)]), id="i24 above"),
        pytest.param((4, 0, 0, [(-0x800001,)]), id="i24 below"),
        pytest.param((4, 0, 0, [(1, 2)]), id="two of one channel"),
        pytest.param((4, 0, 0, [(0,)] * 256), id="256 samples"),
        pytest.param((4, 655360, 0, [(0,)]), id="offset"),
        pytest.param((4, 0, 65536, [(0,)]), id="period"),
        pytest.param((15, 0, 0, [(0,)]), id="unknown stream"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(block):
    with pytest.raises(ProtocolError):
        codec.encode_packet(0, 0, 0, [block])


def test_device_clock_is_sent_as_its_low_half():
    assert codec.decode_packet(codec.encode_packet(0, 0, 2**40 + 7, [])).t0_us == 7


def test_offset_is_sent_to_the_nearest_10_us():
    packet = codec.decode_packet(codec.encode_packet(0, 0, 0, [(4, 1234.9, 0, [(0,)])]))
    assert packet.blocks[0].offset_us == 1230


# --- The tables and the code about them -------------------------------------------------------------------------------


def test_tables_are_consistent():
    for table in (layout.FEATURES, layout.PACKET_FLAGS, layout.STATUS_FLAGS, layout.FAULTS, layout.EVENTS):
        assert len({row[0] for row in table}) == len({row[1] for row in table}) == len(table)
    assert codec.size_of(layout.INFO) == 20
    assert codec.size_of(layout.STATUS) == 12
    assert codec.size_of(layout.CALIBRATION) == codec.size_of(layout.GEOMETRY) == 32
    assert codec.size_of(layout.PACKET_HEADER) == 10
    assert codec.size_of(layout.BLOCK_HEADER) == 6
    assert {codec.STREAM_ID[name]: codec.size_of(codec.STREAM_FIELDS[i]) for name, i in codec.STREAM_ID.items()} == {
        1: 12,
        2: 2,
        3: 2,
        4: 3,
        5: 6,
        6: 4,
        7: 2,
    }
    assert arrays.ALL_STREAMS_MASK == 0xFE
    for fields in FIELD_LISTS.values():
        assert all(":" not in field[1] or field[1].startswith("bytes:") for field in fields[:-1])


def test_sample_dtypes_have_the_size_of_a_sample():
    for stream_id, fields in codec.STREAM_FIELDS.items():
        dtype = arrays.sample_dtype(stream_id)
        assert (dtype is None) == any(field[1] == "i24" for field in fields)
        if dtype is not None:
            assert dtype.itemsize == codec.size_of(fields)


def test_uuids_and_bits():
    assert codec.uuid_of("SERVICE") == "06e80001-fc88-4344-96df-0d7b6fcd2219"
    assert codec.uuid_of("STREAM") == "06e80004-fc88-4344-96df-0d7b6fcd2219"
    assert codec.bit(layout.FEATURES, "FORCE_RAW") == 0x0800
    for look_up in (lambda: codec.uuid_of("NOTHING"), lambda: codec.bit(layout.FEATURES, "NOTHING")):
        with pytest.raises(KeyError):
            look_up()


def test_stub_says_what_the_codec_has():
    stub = ast.parse((PACKAGE / "codec.pyi").read_text("utf-8"))
    names = set()
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            fields = tuple(line.target.id for line in node.body if isinstance(line, ast.AnnAssign))
            assert getattr(getattr(codec, node.name), "_fields", ()) == fields, node.name
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        elif isinstance(node, ast.FunctionDef):
            actual = list(inspect.signature(getattr(codec, node.name)).parameters)
            stated = [arg.arg for arg in [*node.args.args, *filter(None, [node.args.vararg])]]
            assert stated == actual[: len(stated)], node.name
            names.add(node.name)
    defined = {name for name in vars(codec) if not name.startswith("_")}
    assert {n for n in names if not n.startswith("_")} == defined - {"struct", "namedtuple", "layout"}


@pytest.mark.parametrize("name", ["codec.py", "layout.py"])
def test_device_side_needs_only_what_micropython_has(name):
    tree = ast.parse((PACKAGE / name).read_text("utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
        assert not isinstance(node, ast.Match | ast.TryStar)
        assert not (isinstance(node, ast.Attribute) and node.attr in {"iter_unpack", "Struct", "cast", "to_bytes"})
    assert imported <= {"struct", "collections", "firmware_protocol"}
