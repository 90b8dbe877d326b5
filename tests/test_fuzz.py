# SPDX-License-Identifier: MIT
"""The short form of benchmarks/fuzz.py, and that it notices what it is there for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import pytest

from firmware_protocol import bulk, codec, layout

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import fuzz
import mutation

from simulator.firmware.device import Device


@pytest.fixture(scope="module")
def report():
    return fuzz.run(20_000, seed=1)


def test_no_input_does_what_it_must_not_and_everything_is_reached(report):
    assert "\n".join(report.examples.values()) == ""
    assert fuzz.shortcomings(report) == []


def test_every_input_is_counted_and_at_least_half_are_mutations(report):
    inputs = {key[1:]: count for key, count in report.hits.items() if key[0] == "inputs"}
    assert sum(inputs.values()) >= 20_000
    assert 2 * sum(count for (origin, _), count in inputs.items() if origin == "mutant") >= sum(inputs.values())


def test_tables_show_every_hit(report):
    tables = fuzz.tables(report.hits)
    head, *rows = tables[tables.index("states ") :].splitlines()
    ping = next(row for row in rows if row.split()[0] == "PING")
    assert head.split() == ["states", "charging", "fault", "idle", "offline", "log", "streaming"]
    assert ping.split()[-1] == str(report.hits["states", "PING", "streaming"])


def test_the_same_seed_gives_the_same_inputs_in_any_number_of_processes():
    alone, apart = fuzz.run(600, seed=4), fuzz.run(600, seed=4, processes=2)
    assert alone.hits == apart.hits
    assert alone.hits != fuzz.run(600, seed=5).hits


def test_mutations_differ_from_what_they_were_made_of():
    rng = Random(2)
    payloads = [b"", b"\0", *(mutation.valid_packet(rng) for _ in range(20))]
    for _ in range(2000):
        payload = rng.choice(payloads)
        assert mutation.mutate(rng, payload, rng.choice(payloads)) != payload


def failures_of(target, n=400):
    report = fuzz.Report()
    report.add(fuzz.TARGETS[target]("1", n))
    return report


def test_other_exceptions_of_the_codec_are_found(monkeypatch):
    right = codec.decode_request
    monkeypatch.setattr(codec, "decode_request", lambda payload: right(payload) if len(payload) != 3 else payload[5])
    report = failures_of("messages", 3000)
    assert [kind.split(",")[0] for kind in report.failures] == ["IndexError in <lambda>"]
    assert "messages, request" in next(iter(report.examples.values()))


def test_values_that_are_not_what_was_sent_are_found(monkeypatch):
    right = codec.decode_record
    monkeypatch.setattr(
        codec,
        "decode_record",
        lambda name, payload: right(name, payload)._replace(flags=0) if name == "STATUS" else right(name, payload),
    )
    report = failures_of("messages", 3000)
    assert sum(report.failures.values()) > 10
    assert all("messages, STATUS" in example for example in report.examples.values())


def test_packets_that_bulk_decoding_reads_otherwise_are_found(monkeypatch):
    right = bulk.decode_packets

    def wrong(payloads, sizes=None):
        found = right(payloads, sizes)
        return found._replace(seq=found.seq + (found.flags == 7))

    monkeypatch.setattr(bulk, "decode_packets", wrong)
    report = failures_of("packets", 3000)
    assert 0 < sum(report.failures.values()) < 300  # the packets themselves are named, not their batches
    assert all("bulk disagrees with the codec: ['seq']" in example for example in report.examples.values())


def head(payload):
    return bytes((layout.RESPONSE_MARKER, *(*payload[:2], 0, 0)[:2]))


@pytest.mark.parametrize(
    "respond",
    [
        lambda _: b"",
        lambda _: bytes((layout.RESPONSE_MARKER, 0x77, 0x77, 3)),
        lambda payload: head(payload) + b"\x63",
        lambda payload: head(payload) + b"\x03" + bytes(17),
        lambda payload: head(payload) + b"\x01",
    ],
    ids=["nothing", "another request", "unknown status", "too long", "not due"],
)
def test_a_device_that_answers_wrongly_is_found(monkeypatch, respond):
    monkeypatch.setattr(Device, "request", lambda *arguments: respond(arguments[1]))
    assert sum(failures_of("device", 50).failures.values()) > 20


def test_a_device_that_sends_unreadable_packets_is_found(monkeypatch):
    monkeypatch.setattr(Device, "advance", lambda *_: [b"\x10garbage"])
    assert [kind.split(" ")[0] for kind in failures_of("device", 20).failures] == ["ProtocolError"]


def test_command_line_tells_what_was_missed_and_fails(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--inputs", "60", "--processes", "1", "--json"])
    assert fuzz.main() == 1
    result = json.loads(capsys.readouterr().out)
    assert result["inputs"] == 60
    assert result["failures"] == {}
    assert "never reached: answers, CAL_COMMIT, OK" in result["shortcomings"]
    assert sum(count for table, _, _, count in result["hits"] if table == "inputs") >= 60


def test_command_line_prints_tables(monkeypatch, capsys, report):
    monkeypatch.setattr(fuzz, "run", lambda *_: report)
    monkeypatch.setattr(sys, "argv", ["fuzz.py"])
    assert fuzz.main() == 0
    assert capsys.readouterr().out.strip() == fuzz.tables(report.hits).strip()
