# SPDX-License-Identifier: MIT
"""The bulk decoder against the pure codec: the same values, times, refusals and reasons, for whatever bytes."""

from __future__ import annotations

import json
import random
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import arrays, bulk, codec, layout, reference

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import decode  # noqa: E402
import mutation  # noqa: E402

VECTORS = [
    vector
    for path in sorted((ROOT / "firmware_protocol" / "vectors").glob("*.json"))
    for vector in json.loads(path.read_text())
]
PACKETS = [bytes.fromhex(vector["bytes"]) for vector in VECTORS if vector["kind"] == "packet"]
ANYTHING = [bytes.fromhex(vector["bytes"]) for vector in VECTORS]
IMU6, FORCE_RAW, EVENT = (codec.STREAM_ID[name] for name in ("IMU6", "FORCE_RAW", "EVENT"))
UNKNOWN = 0x0F


def header(ptype=layout.PTYPE_LIVE, flags=0, seq=7, t0_us=1000):
    return codec.encode_packet(flags, seq, t0_us, [], ptype=ptype)


def block(stream_id, count, content=b"", offset=0, period_us=0):
    return codec.pack_fields(layout.BLOCK_HEADER, (stream_id, count, 10 * offset, period_us)) + content


def check(payloads, sizes=None):
    """Compare with the pure codec, and hand out what bulk decoding found."""
    found = bulk.decode_packets(payloads, sizes)
    assert decode.differences(decode.decode_singly(codec.decode_packet, payloads, sizes), found) == []
    return found


def random_packet(rng):
    blocks = [mutation.valid_block(rng) for _ in range(rng.randrange(6))]
    return codec.encode_packet(rng.getrandbits(8), rng.getrandbits(32), rng.getrandbits(32), blocks)


def test_golden_records_all_at_once_and_each_alone():
    found = check(ANYTHING)
    assert 0 < len(found.refused) < len(ANYTHING)
    for payload in PACKETS:
        check([payload])
    assert {i for i, stream in check(PACKETS).streams.items() if len(stream.samples)} >= {IMU6, FORCE_RAW, EVENT}


def test_random_packets_of_every_stream():
    rng = random.Random(5)
    payloads = [random_packet(rng) for _ in range(1500)]
    found = check(payloads)
    assert not found.refused
    assert all(len(stream.samples) for stream in found.streams.values())


def test_samples_blocks_and_times_are_where_they_belong():
    payloads = [
        codec.encode_packet(8, 4, 0xFFFFFFF0, [(FORCE_RAW, 20, 12_500, [(-1,), (5,)]), (EVENT, 30, 0, [(8, 254, -7)])]),
        b"garbage",
        codec.encode_packet(0, 5, 60_000, [(FORCE_RAW, 0, 0, [(-0x800000,)]), (FORCE_RAW, 100, 9, [])]),
    ]
    found = check(payloads)
    assert found.seq.tolist() == [4, 0, 5]
    assert found.flags.tolist() == [8, 0, 0]
    assert found.ptype.tolist() == [layout.PTYPE_LIVE, 0, layout.PTYPE_LIVE]
    assert found.t0_us.tolist() == [0xFFFFFFF0, 0, 60_000]
    assert list(found.refused) == [1]
    force = found.streams[FORCE_RAW]
    assert force.packet.tolist() == [0, 2, 2]
    assert force.n_samples.tolist() == [2, 1, 0]
    assert force.offset_us.tolist() == [20, 0, 100]
    assert force.period_us.tolist() == [12_500, 0, 9]
    assert force.t_us.tolist() == [0xFFFFFFF0 + 20, 0xFFFFFFF0 + 20 + 12_500, 60_000]  # beyond 32 bits
    assert force.samples.tolist() == [[-1], [5], [-0x800000]]
    assert found.streams[EVENT].samples.tolist() == [[8, 254, -7]]
    assert found.streams[IMU6].samples.shape == (0, 6)
    assert {stream.samples.dtype for stream in found.streams.values()} == {np.dtype(np.int32)}


def test_nothing_and_only_garbage():
    assert not check([]).refused
    assert list(check([b"", b"\x10", bytes(9), bytes(300)]).refused) == [0, 1, 2, 3]


@pytest.mark.parametrize("sizes", [None, {}, {UNKNOWN: 5}, {UNKNOWN: 0, 0xFF: 2}, {IMU6: 1, 300: 4}])
def test_unknown_streams(sizes):
    force = block(FORCE_RAW, 1, bytes(3))
    payloads = [
        header() + block(UNKNOWN, 2, bytes(10)) + force,
        header() + force + block(UNKNOWN, 2, bytes(10)) + block(0xFF, 1, bytes(2)) + force,
        header() + block(0xFF, 9) + block(UNKNOWN, 255, bytes(100)),
        header() + force + block(UNKNOWN, 3, bytes(14)),  # one byte is missing, when the size is known
        header() + block(UNKNOWN, 0) + force + bytes(5),
        header() + block(IMU6, 1, bytes(12)) + force,
    ]
    found = check(payloads, sizes)
    assert found.unknown_stream[5] == -1
    if sizes == {UNKNOWN: 5}:
        assert found.streams[FORCE_RAW].packet.tolist() == [0, 1, 5]
        assert list(found.refused) == [3, 4]


def test_another_major_is_refused_as_such():
    payloads = [header(ptype) for ptype in range(256)]
    found = check(payloads)
    assert sorted(set(range(256)) - set(found.refused)) == list(range(0x10, 0x20))
    assert {type(error) for error in found.refused.values()} == {codec.VersionError}
    assert {error.__traceback__ for error in found.refused.values()} == {None}  # it would keep all payloads alive


def test_every_truncation_of_a_packet_of_all_streams():
    rng = random.Random(11)
    whole = max((random_packet(rng) for _ in range(50)), key=len)
    found = check([whole[:length] for length in range(len(whole) + 1)])
    assert len(whole) - 5 <= len(found.refused) <= len(whole)  # a packet may end where a block could begin


mutants = st.builds(
    lambda payload, at, change, cut: payload[:at] + change + payload[at + cut :],
    st.sampled_from(PACKETS),
    st.integers(0, 60),
    st.binary(max_size=4),
    st.integers(0, 8),
)


@settings(deadline=None, max_examples=200)
@given(
    payloads=st.lists(st.sampled_from(PACKETS) | mutants | st.binary(max_size=80), max_size=8),
    sizes=st.none() | st.dictionaries(st.integers(0, 255), st.integers(0, 20), max_size=6),
)
def test_any_bytes_read_as_by_the_codec(payloads, sizes):
    check(payloads, sizes)


def test_more_blocks_than_are_read_at_once_and_any_buffer(monkeypatch):
    monkeypatch.setattr(bulk, "_AT_ONCE", 7)
    rng = random.Random(3)
    payloads = [random_packet(rng) if i % 5 else rng.randbytes(30) for i in range(40)]
    found = check([memoryview(bytearray(payload)) for payload in payloads])
    assert sorted(found.refused) == list(range(0, 40, 5))


def test_the_numpy_path_for_single_packets_reads_the_same():
    payloads = ANYTHING + [random_packet(random.Random(i)) for i in range(50)]
    assert decode.differences(decode.decode_singly(arrays.decode_packet, payloads), check(payloads)) == []


def test_memory_is_bounded_by_the_results():
    payloads = [codec.encode_packet(0, 0, 0, [(FORCE_RAW, 0, 12_500, [(1,)] * 70)])] * 20_000
    bulk.decode_packets(payloads[:10])
    tracemalloc.start()
    found = bulk.decode_packets(payloads)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.streams[FORCE_RAW].samples) == 1_400_000
    assert peak < 2 * kept  # the joined payloads and what is known of each block; nothing more for each sample


def test_benchmark_compares_measures_and_notices_differences(monkeypatch):
    payloads = [random_packet(random.Random(i)) for i in range(300)]
    found = decode.measure(payloads, 18.0)
    assert found["packets"] == 300
    assert found["ratio"] == pytest.approx(found["pure_us_per_packet"] / found["bulk_us_per_packet"])
    assert found["times_real_time"] == pytest.approx(18.0 / (300 * found["bulk_us_per_packet"] * 1e-6))
    assert found["ratio"] > 1
    other = [*payloads[1:], payloads[0]]
    assert "seq" in decode.differences(bulk.decode_packets(payloads), bulk.decode_packets(other))
    assert decode.differences(bulk.decode_packets(payloads), bulk.decode_packets([*payloads[1:], b""]))
    right = bulk.decode_packets
    monkeypatch.setattr(bulk, "decode_packets", lambda payloads: right([*payloads[:-1], reference.MODEL.encode()]))
    with pytest.raises(RuntimeError, match=r"disagree.*refused 299"):
        decode.measure(payloads, 18.0)
