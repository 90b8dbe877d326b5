# SPDX-License-Identifier: MIT
"""Fuzz run: spoilt messages against the pure codec, both numpy decoders and the simulated device in all its states.

A decoder may return a valid value, which encodes to the bytes it came from, or raise ProtocolError; all decoders of
packets must agree. The device must answer whatever it is sent, whatever happens around it, and send packets that can be
read. Anything else, a warning included, is a failure; so is an operation, state or outcome that no input reached.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import sys
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import starmap
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import decode
import mutation
from device_fuzz import FATES, Walk

from firmware_protocol import arrays, bulk, codec, layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SHARES: Final = {"messages": 0.3, "packets": 0.3, "device": 0.4}
"""Which part of all inputs each target gets."""
JOB: Final = {"messages": 100_000, "packets": 50_000, "device": 25_000}
"""Inputs that are worked through at a time."""
BATCH: Final = 1000
"""Packets that are decoded in bulk together."""
HANG_S: Final = 300.0
"""A job that takes longer hangs: its stack is printed and the run ends."""


@dataclass
class Report:
    """What happened: how often, and what should not have."""

    hits: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By table, row and column."""
    failures: Counter[str] = field(default_factory=Counter)
    """By the line that raised."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first input of each failure, and its traceback."""

    def fail(self, error: Exception, where: str, payload: bytes) -> None:
        """Keep an exception that should not have been raised."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} in {frame.name}, {Path(frame.filename).name}:{frame.lineno}"
        self.failures[kind] += 1
        trace = "".join(traceback.format_exception(error, limit=-5))
        self.examples.setdefault(kind, f"{where}, input {payload.hex() or 'empty'}\n{trace}")

    def add(self, other: Report) -> None:
        """Take in what another job found."""
        self.hits += other.hits
        self.failures += other.failures
        self.examples = {**other.examples, **self.examples}


# --- Targets ----------------------------------------------------------------------------------------------------------


def _encode_request(request: codec.Request) -> bytes:
    if request.args is None:
        return bytes((request.op, request.tag))
    return codec.encode_request(codec.OP_NAME[request.op], request.tag, *request.args)


def _encode_response(response: codec.Response) -> bytes:
    if response.reply is None:
        return bytes((layout.RESPONSE_MARKER, response.op, response.tag, response.status))
    return codec.encode_response(response.op, response.tag, response.status, *response.reply)


def _named(what: str, payload: bytes, at: int) -> str:
    name = codec.OP_NAME.get(payload[at]) if len(payload) > at else None
    return f"{what} {name or 'no known op'}"


def _message(
    rng: Random, supply: mutation.Supply, name: str
) -> tuple[str, str, bytes, Callable[[bytes], Any], Callable[[Any], bytes]]:
    """One input for the pure codec: origin, row in the table, payload, decoder and its inverse."""
    origin, payload = supply.draw()
    if name == "request":
        return origin, _named(name, payload, 0), payload, codec.decode_request, _encode_request
    if name == "response":
        row = "refusal" if payload[3:4] > b"\0" else _named("reply to", payload, 1)
        return origin, row, payload, codec.decode_response, _encode_response
    if name in {"CALIBRATION", "GEOMETRY"} and len(payload) >= 32 and rng.random() < 0.5:
        payload = mutation.with_right_crc(payload)
    record: Any = name
    return origin, name, payload, lambda p: codec.decode_record(record, p), lambda v: codec.encode_record(record, v)


def fuzz_messages(seed: str, n: int) -> Report:
    """Records, requests and responses against the pure codec."""
    rng, report = Random(seed), Report()
    supplies = [(name, mutation.Supply(rng, lambda r, n=name: mutation.valid_record(r, n))) for name in codec.RECORDS]
    supplies += [("request", mutation.Supply(rng, lambda r, n=name: mutation.valid_request(r, n))) for name in codec.OP]
    supplies += [
        ("response", mutation.Supply(rng, lambda r, n=name: mutation.valid_response(r, n))) for name in codec.OP
    ]
    for i in range(n):
        name, supply = supplies[i % len(supplies)]
        origin, row, payload, read, write = _message(rng, supply, name)
        report.hits["inputs", origin, "messages"] += 1
        try:
            again = write(read(payload))
            assert again == payload[: len(again)], "does not encode to the bytes it came from"
            report.hits["messages", row, "accepted"] += 1
        except codec.ProtocolError:
            report.hits["messages", row, "refused"] += 1
        except Exception as error:  # noqa: BLE001 - what a fuzz run is looking for
            report.fail(error, f"messages, {row}", payload)
    return report


def _compare(payloads: list[bytes], sizes: dict[int, int] | None) -> bulk.Packets:
    """Decode by all three decoders; AssertionError when they do not agree."""
    pure = decode.decode_singly(codec.decode_packet, payloads, sizes)
    for name, other in (
        ("arrays", decode.decode_singly(arrays.decode_packet, payloads, sizes)),
        ("bulk", bulk.decode_packets(payloads, sizes)),
    ):
        wrong = decode.differences(pure, other)
        assert not wrong, f"{name} disagrees with the codec: {wrong}"
    return pure


def fuzz_packets(seed: str, n: int) -> Report:
    """Stream packets against the pure codec and both numpy decoders, with and without sizes of unknown streams."""
    rng, report = Random(seed), Report()
    supply = mutation.Supply(rng, mutation.valid_packet, 2000)
    ptypes = {code: name for code, name, _ in layout.PACKET_TYPES}
    for done in range(0, n, BATCH):
        inputs = [supply.draw() for _ in range(min(BATCH, n - done))]
        payloads = [payload for _, payload in inputs]
        sizes = dict.fromkeys(mutation.UNKNOWN_STREAMS, mutation.UNKNOWN_SIZE) if rng.random() < 0.5 else None
        report.hits.update(("inputs", origin, "packets") for origin, _ in inputs)
        try:
            found = _compare(payloads, sizes)
        except Exception:  # noqa: BLE001 - what a fuzz run is looking for
            _blame(report, payloads, sizes)
            continue
        for i, payload in enumerate(payloads):
            row = ptypes.get(payload[0], "of no known type") if payload else "of no known type"
            report.hits["packets", row, "refused" if i in found.refused else "accepted"] += 1
        for stream_id, name, _ in layout.STREAMS:
            report.hits["blocks", name, "read"] += len(found.streams[stream_id].packet)
        way = "stepped over" if sizes else "stopped at"
        report.hits["blocks", "of no known stream", way] += int((found.unknown_stream >= 0).sum())
    return report


def _blame(report: Report, payloads: list[bytes], sizes: dict[int, int] | None) -> None:
    """Find the packets of a batch that the decoders fail on; when there is none alone, it is the batch."""
    before = report.failures.total()
    for payload in payloads:
        try:
            _compare([payload], sizes)
        except Exception as error:  # noqa: BLE001 - what a fuzz run is looking for
            report.fail(error, "packets", payload)
    if report.failures.total() == before:
        try:
            _compare(payloads, sizes)
        except Exception as error:  # noqa: BLE001 - what a fuzz run is looking for
            report.fail(error, "packets, only together", b"".join(payloads))


def fuzz_device(seed: str, n: int) -> Report:
    """Requests against simulated devices in all their states, while links, people and fate do as they like."""
    rng, report = Random(seed), Report()
    supplies = {name: mutation.Supply(rng, lambda r, n=name: mutation.valid_request(r, n)) for name in codec.OP}
    walk = Walk(rng, supplies, report.hits)
    for _ in range(n):
        try:
            walk.step()
        except Exception as error:  # noqa: BLE001 - what a fuzz run is looking for
            report.fail(error, f"device, {walk.doing}", walk.payload)
            walk = Walk(rng, supplies, report.hits)
    return report


TARGETS = {"messages": fuzz_messages, "packets": fuzz_packets, "device": fuzz_device}


# --- Whole run --------------------------------------------------------------------------------------------------------


def _jobs(inputs: int, seed: int) -> Iterator[tuple[str, str, int]]:
    for target, share in SHARES.items():
        whole = round(inputs * share)
        for first in range(0, whole, JOB[target]):
            yield target, f"{seed}/{target}/{first}", min(JOB[target], whole - first)


def _work(target: str, seed: str, n: int) -> Report:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return TARGETS[target](seed, n)


def _work_apart(job: tuple[str, str, int]) -> Report:
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    report = _work(*job)
    faulthandler.cancel_dump_traceback_later()
    return report


def _reports(jobs: list[tuple[str, str, int]], processes: int) -> Iterator[Report]:
    if processes == 1:
        yield from starmap(_work, jobs)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(_work_apart, jobs)


def run(inputs: int, seed: int, processes: int = 1, on_progress: Callable[[int], None] = lambda _: None) -> Report:
    """Fuzz all targets.

    Parameters
    ----------
    inputs : int
        How many inputs in all.
    seed : int
        The same seed and number give the same inputs.
    processes : int, default 1
        How many work at the same time; 1 works in this one.
    on_progress : callable, optional
        Is told how many inputs are done.
    """
    jobs = list(_jobs(inputs, seed))
    report, done = Report(), 0
    for job, part in zip(jobs, _reports(jobs, processes), strict=True):
        report.add(part)
        done += job[2]
        on_progress(done)
    return report


def wanted() -> Iterator[tuple[str, str, str]]:
    """Keys of the hits that a run must have."""
    kinds = [*codec.RECORDS, *(f"{what} {name}" for what in ("request", "reply to") for name in codec.OP)]
    kinds += ["request no known op", "reply to no known op", "refusal"]
    yield from (("messages", kind, outcome) for kind in kinds for outcome in ("accepted", "refused"))
    yield from (("packets", name, outcome) for _, name, _ in layout.PACKET_TYPES for outcome in ("accepted", "refused"))
    yield from (("blocks", name, "read") for _, name, _ in layout.STREAMS)
    yield from (("blocks", "of no known stream", way) for way in ("stepped over", "stopped at"))
    yield from (("answers", name, status) for name in codec.OP for status in ("OK", "BAD_LENGTH"))
    yield ("answers", "no known op", "UNKNOWN_OP")
    yield from (("statuses", status, "answered") for status in codec.STATUS_CODE)
    yield from (("states", op, state) for op in (*codec.OP, "no known op") for _, state in layout.STATES)
    yield from (("fates", name, "happened") for name in FATES)
    yield from (("inputs", "mutant", target) for target in TARGETS)


def shortcomings(report: Report) -> list[str]:
    """Everything for which a run counts as failed."""
    found = [f"{count} times {kind}" for kind, count in report.failures.most_common()]
    found += [f"never reached: {', '.join(key)}" for key in wanted() if not report.hits[key]]
    inputs = {key: count for key, count in report.hits.items() if key[0] == "inputs"}
    if 2 * sum(count for key, count in inputs.items() if key[1] == "mutant") < sum(inputs.values()):
        found.append("less than half of the inputs were mutations")
    return found


def tables(hits: Counter[tuple[str, str, str]]) -> str:
    """Render all hits, one table after the other."""
    lines: list[str] = []
    for table in dict.fromkeys(key[0] for key in sorted(hits)):
        part = {key[1:]: count for key, count in hits.items() if key[0] == table}
        rows, columns = (sorted({key[i] for key in part}) for i in (0, 1))
        widths = [max(len(column), 9) for column in columns]
        lines.append(_line(table, columns, widths))
        lines += [_line("  " + row, (part.get((row, column), 0) for column in columns), widths) for row in rows]
    return "\n".join(lines)


def _line(label: str, cells: Iterable[object], widths: list[int]) -> str:
    return f"{label:32}" + "".join(f"  {cell!s:>{width}}" for cell, width in zip(cells, widths, strict=True))


def main() -> int:
    """Command line; exit code 1 when the run has shortcomings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--inputs", type=int, default=5_000_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="working at the same time (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    begin_s = time.perf_counter()

    def show(done: int) -> None:
        seconds = time.perf_counter() - begin_s
        sys.stderr.write(f"\r{done:,} of {arguments.inputs:,} inputs, {seconds:.0f} s ")

    report = run(arguments.inputs, arguments.seed, arguments.processes, show)
    sys.stderr.write("\n")
    found = shortcomings(report)
    if arguments.json:
        result = {
            "inputs": arguments.inputs,
            "seed": arguments.seed,
            "took_s": time.perf_counter() - begin_s,
            "hits": [[*key, count] for key, count in sorted(report.hits.items())],
            "failures": report.examples,
            "shortcomings": found,
        }
        print(json.dumps(result))
    else:
        print("\n".join([tables(report.hits), *report.examples.values(), *found]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
