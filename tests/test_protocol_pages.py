# SPDX-License-Identifier: MIT
"""What is generated from the protocol tables is current, complete, and true of the simulated device."""

from __future__ import annotations

import json
import random
import re
import struct
from collections import Counter
from pathlib import Path

import pytest

from firmware_protocol import codec, describe, layout, rules
from simulator.firmware.device import Device

ROOT = Path(__file__).parents[1]
VECTORS = [
    v for path in sorted((ROOT / "firmware_protocol" / "vectors").glob("*.json")) for v in json.loads(path.read_text())
]
PROTOCOL = json.loads((ROOT / "docs" / "protocol.json").read_text("utf-8"))


# --- The page ---------------------------------------------------------------------------------------------------------


def test_page_is_current():
    assert (ROOT / "docs" / "protocol.md").read_text("utf-8") == describe.main("page")


def test_json_is_current():
    assert (ROOT / "docs" / "protocol.json").read_text("utf-8") == describe.main("json")


def test_page_has_everything_that_it_refers_to():
    page = describe.page()
    titles = set(re.findall(r"^#+ (?:0x\w\w )?(.+)$", page, re.MULTILINE)) | set(re.findall(r"\*\*([\w -]+)\*\*", page))
    referred = {title for title in re.findall(r"\bsee ([A-Z][\w-]*(?: [a-z]+)?)", page) if title != "STREAM_INFO"}
    assert len(referred) > 10
    assert {title for title in referred if title not in titles and title.split()[0] not in titles} == set()
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= anchors


def test_page_shows_every_step_of_the_session():
    page = describe.page()
    session = [v for v in VECTORS if v["name"].startswith("session_")]
    assert len(session) > 20
    places = [page.find(f"{v['note']}\n\n```\n{v['bytes'].replace('  ', chr(10))}\n```") for v in session]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("scale", "text"), [(1, "1"), (1e-3, "0.001"), (1 / 32767, "1/32767"), (1 / 127, "1/127"), (100, "100"), (10, "10")]
)
def test_scales_are_written_as_people_do(scale, text):
    assert describe.scale_text(scale) == text


# --- A reader that knows protocol.json and nothing else ---------------------------------------------------------------


def read_field(field, payload, start):
    at = start + field["byte"]
    kind = field["type"]
    if kind == "bytes":
        return payload[at : at + field["size"]].hex()
    if kind == "rest":
        return payload[at:].hex()
    octets = payload[at : at + PROTOCOL["types"][kind]["size"]]
    if kind == "f32":
        return struct.unpack("<f", octets)[0]
    return int.from_bytes(octets, "little", signed=PROTOCOL["types"][kind]["smallest"] < 0) * field["scale"]


def read_fields(fields, payload, start=0):
    return {field["name"]: read_field(field, payload, start) for field in fields}


def read_packet(payload):
    lists = PROTOCOL["field_lists"]
    value = {**read_fields(lists["packet_header"]["fields"], payload), "blocks": []}
    at = lists["packet_header"]["size"]
    streams = {stream["id"]: stream for stream in PROTOCOL["streams"]}
    while at < len(payload):
        head = read_fields(lists["block_header"]["fields"], payload, at)
        at += lists["block_header"]["size"]
        stream = streams[head.pop("stream_id")]
        samples = []
        for _ in range(head.pop("count")):
            raw = [{**field, "scale": 1} for field in stream["fields"]]
            samples.append(list(read_fields(raw, payload, at).values()))
            at += stream["sample_size"]
        value["blocks"].append({"stream": stream["name"], **head, "samples": samples})
    return value


def read_control(payload, which):
    requests = {request["op"]: request for request in PROTOCOL["requests"]}
    if which == "request":
        request = requests[payload[0]]
        return {"op": request["name"], "tag": payload[1], "args": read_fields(request["request"], payload)}
    statuses = {row["code"]: row["name"] for row in PROTOCOL["codes"]["response_status"]}
    assert payload[0] == PROTOCOL["response_marker"]
    name = requests[payload[1]]["name"] if payload[1] in requests else payload[1]
    reply = read_fields(requests[payload[1]]["reply"], payload) if payload[3] == 0 else None
    return {"op": name, "tag": payload[2], "status": statuses.get(payload[3], payload[3]), "reply": reply}


def assert_agree(found, stated):
    """Numbers agree to half a step of the coarsest scale in use there; everything else is equal."""
    if isinstance(stated, dict):
        assert list(found) == list(stated)
        for name, value in stated.items():
            assert_agree(found[name], value)
    elif isinstance(stated, float):
        assert found == pytest.approx(stated, rel=1e-12, abs=0.004)
    else:
        assert found == stated


@pytest.mark.parametrize(
    "vector",
    [v for v in VECTORS if v["value"] is not None and not v["name"].startswith("newer_")],
    ids=lambda vector: vector["name"],
)
def test_json_is_enough_to_read_every_golden_record(vector):
    payload, kind = bytes.fromhex(vector["bytes"]), vector["kind"]
    if kind == "packet":
        found = read_packet(payload)
    elif kind in {"request", "response"}:
        found = read_control(payload, kind)
    else:
        found = read_fields(PROTOCOL["field_lists"][kind.lower()]["fields"], payload)
    assert_agree(found, vector["value"])


# --- Rules ------------------------------------------------------------------------------------------------------------


def test_rules_name_only_what_exists():
    states = {name for _, name in layout.STATES}
    features = {name for _, name, _ in layout.FEATURES}
    assert {*rules.REQUIRED, *rules.NEEDED_FEATURES, *rules.BAD_STATE_IN, *rules.REFUSALS} <= set(codec.OP)
    assert not set(rules.REQUIRED) & set(rules.NEEDED_FEATURES)
    assert all(set(barred) < states for barred in rules.BAD_STATE_IN.values())
    assert {feature for needed in rules.NEEDED_FEATURES.values() for feature in needed} <= features
    assert {status for refusals in rules.REFUSALS.values() for status, _ in refusals} <= set(codec.STATUS_CODE)
    for request in rules.BAD_STATE_IN:
        assert "BAD_STATE" in [status for status, _ in rules.REFUSALS[request]]


def in_state(state):
    """A device in a state, connected, and the time."""
    device = Device(1)
    now_us = 1_000_000
    if state == "offline log":
        device.press(0.2, now_us)
    device.connected(247, now_us)
    if state == "streaming":
        device.request(codec.encode_request("START", 0, 0x5A, 60, 0), now_us)
    elif state == "charging":
        device.plug(True, now_us)
    elif state == "fault":
        device.fail("ADC", True, now_us)
    assert device.state == state
    return device, now_us


SOUND = {
    "STREAM_INFO": (1,), "CONFIG": (1, 7, 0), "START": (0x42, 60, 0), "BACKFILL": (0, 1), "SET_WALL": (0, 0),
    "TARE": (8,), "PING": (b"",), "CAL_READ": (0,), "CAL_WRITE": (0, bytes(16)), "LED": (0, 0, 0, 0),
    "HAPTIC_RULE": (0, 0, 1, 0, 0, 0, 1, 0), "HAPTIC_PLAY": (1, 50, 1), "IDENTIFY": (1,), "LOG_READ": (0, 1),
    "LOG_ADVANCE": (0,), "REBOOT": (0,), "GEOMETRY_READ": (0, 0), "LOG_SESSION": (0,),
}  # fmt: skip
"""Arguments that are not refused for their values."""


@pytest.mark.parametrize("state", [name for _, name in layout.STATES])
@pytest.mark.parametrize("request_", sorted(set(codec.OP) - {"CAL_COMMIT"}))  # its BAD_STATE is of another kind
def test_simulated_device_answers_by_the_table_of_states(request_, state):
    device, now_us = in_state(state)
    answer = device.request(codec.encode_request(request_, 0, *SOUND.get(request_, ())), now_us)
    barred = state in rules.BAD_STATE_IN.get(request_, ())
    assert (codec.decode_response(answer).status == codec.STATUS_CODE["BAD_STATE"]) == barred


def random_args(rng, name):
    """Mostly small values: they reach further than any others."""
    args = []
    for field in codec.ARGS[codec.OP[name]][0]:
        _, type_name, _, scale, _ = field
        if ":" in type_name:
            args.append(rng.randbytes(16))
        else:
            _, _, low, high = layout.TYPES[type_name]
            args.append(scale * (rng.choice([0, 1, 2, 8, 60, 0x5A]) if rng.random() < 0.8 else rng.randint(low, high)))
    return args


def test_simulated_device_refuses_only_as_the_rules_say():
    rng = random.Random(4)
    seen = Counter()
    stated = {(name, status) for name, refusals in rules.REFUSALS.items() for status, _ in refusals}
    for _ in range(60):
        device, now_us = in_state(rng.choice([name for _, name in layout.STATES]))
        if not device.streaming and rng.random() < 0.3:
            device.mtu_changed(rng.choice([23, 60]))
        if rng.random() < 0.3:
            device.fail(rng.choice(layout.FAULTS)[1], True, now_us)
        for _ in range(40):
            name = rng.choice(sorted(set(codec.OP) - {"SLEEP", "REBOOT", "FACTORY_RESET"}))
            response = codec.decode_response(
                device.request(codec.encode_request(name, 0, *random_args(rng, name)), now_us)
            )
            if response.status:
                seen[name, codec.STATUS_NAME[response.status]] += 1
            device.advance(now_us := now_us + 30_000)
    assert set(seen) <= stated
    assert len(seen) > len(stated) / 2, sorted(stated - set(seen))
