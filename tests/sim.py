# SPDX-License-Identifier: MIT
"""Simulated sessions for tests: a roller driven faster than time by the dialogue that a real host holds with it."""

import functools
from typing import NamedTuple

import numpy as np

from firmware_protocol import arrays, codec, layout, reference
from roller_host.pipeline import Pipeline
from roller_host.signal.record import Record
from simulator import truth
from simulator.device import Device

TICK_US = 20_000
MTU = 247
STREAM_MASK = sum(1 << stream_id for stream_id, _, _ in layout.STREAMS)


class Dialogue:
    """A host's side of the conversation with a device, and what crossed the link in it."""

    def __init__(self, device):
        self.device = device
        self.now_us = 0
        self.records = []
        self._tag = 0

    def note(self, source, payload, direction="in"):
        self.records.append(Record(self.now_us * 1e-6, source, direction, payload))

    def ask(self, name, *args):
        self._tag = (self._tag + 1) & 0xFF
        request = codec.encode_request(name, self._tag, *args)
        self.note("CONTROL", request, "out")
        payload = self.device.request(request, self.now_us)
        self.note("CONTROL", payload)
        return codec.decode_response(payload)

    def introduce(self, mtu=MTU):
        """Connect and learn about the device."""
        self.device.connected(mtu, self.now_us)
        self.note("INFO", self.device.info_payload())
        for stream_id, _, _ in layout.STREAMS:
            self.ask("STREAM_INFO", stream_id)
        for page in (0, 1):
            self.ask("CAL_READ", page)
        for page in (0, 1):
            self.ask("GEOMETRY_READ", 0, page)

    def start(self, mask=STREAM_MASK, flush_ms=reference.FLUSH_MS):
        return self.ask("START", mask, flush_ms, 0)

    def stream(self, seconds):
        for _ in range(round(seconds * 1e6 / TICK_US)):
            self.now_us += TICK_US
            for payload in self.device.advance(self.now_us):
                self.note("STREAM", payload)


class Session(NamedTuple):
    """A device, what really happened, and what crossed the link."""

    device: Device
    truth: list
    records: list


@functools.cache
def session(seed, seconds, habits=None, flaws=None):
    """Massage of ``seconds``, streamed. Cached: leave what comes back as it is."""
    happened = []
    device = Device(seed, habits, flaws, happened.append)
    host = Dialogue(device)
    host.introduce()
    host.start()
    host.stream(seconds)
    return Session(device, happened, host.records)


def payloads(records):
    return [record.payload for record in records if record.source == "STREAM"]


def run(records, params=None):
    """Feed records into a new pipeline; returns it and all estimates."""
    pipeline = Pipeline(params)
    estimates = [pipeline.feed(record) for record in records]
    return pipeline, [one for one in estimates if one is not None]


@functools.cache
def understood(seed, seconds, habits=None, flaws=None):
    """Pipeline and estimates of a cached session."""
    return run(session(seed, seconds, habits, flaws).records)


def joined(estimates, name):
    """One array of the estimates of a whole session."""
    return np.concatenate([getattr(one, name) for one in estimates])


def counts(records_or_payloads, stream_name):
    """All samples of a stream, (n, n_channels), as decoded."""
    blocks = [
        block.samples
        for payload in records_or_payloads
        for block in arrays.decode_packet(payload).blocks
        if block.stream_id == codec.STREAM_ID[stream_name]
    ]
    return np.concatenate(blocks)


def first_sample_s(device):
    """True time since START of session time 0."""
    return 0.5 / max(device._sensors.imu_rate_hz, device._sensors.force_rate_hz)


def true_strokes(made, until_s=None):
    """True strokes of a session on the host's timeline, those that ended before ``until_s``."""
    shift_s = first_sample_s(made.device)
    strokes = [stroke for stretch in made.truth for stroke in stretch.strokes]
    strokes = [s._replace(begin_s=s.begin_s - shift_s, end_s=s.end_s - shift_s) for s in strokes]
    return [s for s in strokes if until_s is None or s.end_s < until_s]


def true_force(made, t_s):
    """True normal force at times of the host's timeline, N."""
    grid_s = np.concatenate([stretch.t_s for stretch in made.truth]) - first_sample_s(made.device)
    return np.interp(t_s, grid_s, np.concatenate([stretch.force_n for stretch in made.truth]))


def match_strokes(true, found):
    """Pairs of true and found strokes, one to one, both ends within 300 ms."""
    return truth.match_strokes(true, found)[0]
