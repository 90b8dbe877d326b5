# SPDX-License-Identifier: MIT
"""Simulated sessions for tests: a roller driven faster than time by the dialogue that a real host holds with it."""

import functools
from typing import NamedTuple

import numpy as np

from firmware_protocol import arrays, codec
from roller_host.pipeline import Pipeline
from roller_host.signal.record import Record
from simulator import generate
from simulator.body import truth
from simulator.firmware.device import Device

MTU = 247


class Dialogue(generate.Dialogue):
    """A host's side of the conversation with a device, and what crossed the link in it."""

    def __init__(self, device):
        self.records = []
        super().__init__(device, lambda payload: self.records.append(Record(*payload)))


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
    host.connect()
    host.start()
    host.pass_time(seconds)
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
    return 0.5 / max(device.senses.sensors.imu_rate_hz, device.senses.sensors.force_rate_hz)


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
