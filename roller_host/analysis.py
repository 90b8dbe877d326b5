# SPDX-License-Identifier: MIT
"""A whole file at once: late packets put in their places, then the same signal chain as live, in long blocks.

Where nothing was late or lost, what is estimated sample by sample is that of the live session, bit for bit; directions
and lengths of strokes are better, because all strokes of the session are looked at. `export` writes them down.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol import bulk
from roller_host.intake import Intake
from roller_host.pipeline import EVENT, IMU6, missing_streams
from roller_host.sessions.errors import SessionError
from roller_host.signal.calibration import AlignState, RawBlock, align_step
from roller_host.signal.comfort import stale_cue
from roller_host.signal.core import SignalState, after_gap, signal_step
from roller_host.signal.stroke_sums import after_session
from roller_host.signal.timebase import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from firmware_protocol.codec import ProtocolError
    from roller_host.intake import Heard, Opened
    from roller_host.signal.calibration import DeviceModel, Samples
    from roller_host.signal.comfort import Cue
    from roller_host.signal.core import SignalParams
    from roller_host.signal.estimates import Estimates, Gap, Stroke
    from roller_host.signal.timebase import Layout

AT_ONCE = 1024
"""Packets per block: a minute, so that temporary arrays stay in the processor's cache."""


class Part(NamedTuple):
    """Samples without a gap between them, and what was made of them."""

    samples: Samples
    estimates: Estimates
    after_gap: bool
    """Something is missing before the first sample."""


class DeviceEvent(NamedTuple):
    """One sample of the stream EVENT."""

    t_s: float
    code: int
    """One of ``layout.EVENTS``, if it is known."""
    arg: int
    value: int


@dataclass(frozen=True)
class Session:
    """One session, from START to STOP."""

    source: str
    """``LIVE`` or ``OFFLINE_LOG`` of `intake`."""
    began_unix_s: float | None
    model: DeviceModel
    period_s: float | None
    """Sample period of the IMU that the calculation assumes, s."""
    rate_hz: float | None
    """Measured rate of the IMU by device time, Hz."""
    packets: int
    bad_payloads: Mapping[str, int]
    """What is wrong -> how often."""
    first_problem: ProtocolError | None
    """What was wrong with the first of them."""
    unknown_blocks: int
    late_packets: int
    """Packets that came after newer ones and were put in their places."""
    duplicates: int
    contradictions: int
    """Packets left out because number and clock contradict each other."""
    missing_streams: tuple[str, ...]
    parts: tuple[Part, ...]
    strokes: tuple[Stroke, ...]
    gaps: tuple[Gap, ...]
    cues: tuple[Cue, ...]
    events: tuple[DeviceEvent, ...]

    @property
    def begin_s(self) -> float | None:
        """Time of its first sample; None when there is none."""
        return float(self.parts[0].samples.t_s[0]) if self.parts else None

    @property
    def end_s(self) -> float | None:
        """Time of its last sample; None when there is none."""
        return float(self.parts[-1].samples.t_s[-1]) if self.parts else None


@dataclass(frozen=True)
class Analysis:
    """Everything that a file tells."""

    params: SignalParams
    sessions: tuple[Session, ...]
    """In order of their STARTs, on one timeline without the pauses between them; those of the offline log last."""
    assumed: tuple[str, ...]
    """Descriptions that the device has not given: the reference device's are used."""
    bad_requests: int
    """Payloads of INFO and CONTROL that the protocol does not allow; skipped."""
    problem: str
    """Why reading ended early, or empty: what came before is analysed."""


def analyse(opened: Opened, tell: Callable[[str], None] = lambda _: None) -> Analysis:
    """Analyse everything that is in a file.

    Parameters
    ----------
    opened : Opened
        See `open_file`.
    tell : callable, optional
        Told now and then how far it is, in words.

    Raises
    ------
    SessionError or ProtocolError
        When there is no packet in it, or the device is of another protocol major. Garbage is counted and skipped.
    """
    intake, problem = Intake(opened.params), ""
    try:
        for n, record in enumerate(opened.records):
            intake.take(record)
            if n % 1000 == 0:
                tell(f"reading   {n} payloads")
    except SessionError as error:
        problem = str(error)
    sessions: list[Session] = []
    offset_s = 0.0
    for heard in intake.sessions():
        made = _calculate(opened.params, heard, intake.pipeline.sizes, offset_s, tell)
        sessions.append(made)
        if made.end_s is not None:
            offset_s = made.end_s + (made.period_s or 0.0)
    if not any(session.packets for session in sessions):
        if problem:
            raise SessionError(problem)
        reason = next((session.first_problem for session in sessions), None) or SessionError("it has no STREAM payload")
        raise type(reason)(f"nothing in {opened.path} could be analysed: {reason}")
    pipeline = intake.pipeline
    return Analysis(
        opened.params, tuple(sessions), tuple(sorted(pipeline.assumed)), pipeline.totals.bad_payloads, problem
    )


def _calculate(
    params: SignalParams, heard: Heard, sizes: Mapping[int, int], offset_s: float, tell: Callable[[str], None]
) -> Session:
    """Make estimates of one session that begins at ``offset_s`` of the common timeline."""
    tell("decoding")
    packets = bulk.decode_packets(heard.payloads, sizes)
    laid = _lay_out(packets, from_start=heard.from_start)
    place = _Place.of(packets, laid, offset_s)
    tracks = {key: _track(stream, place) for key, stream in packets.streams.items()}
    came = frozenset(key for key, track in tracks.items() if len(track.t_s))
    # What never came is not waited for.
    model = replace(heard.model, streams=came)
    run = _Run(params, model, _period_s(packets.streams[IMU6], tracks[IMU6], place))
    gaps = [(i, gap._replace(t_s=gap.t_s + offset_s)) for i, gap in laid.gaps]
    for begin, end, gap in _blocks(len(laid.packet), gaps):
        run.step(tracks, begin, end, gap)
        tell(f"calculating   {end} of {len(laid.packet)} packets")
    events = tracks[EVENT]
    return Session(
        source=heard.source,
        began_unix_s=heard.began_unix_s,
        model=model,
        period_s=run.period_s,
        rate_hz=_rate_hz(tracks[IMU6], [i for i, _ in gaps]),
        packets=len(heard.payloads) - len(packets.refused),
        bad_payloads=Counter(map(str, packets.refused.values())),
        first_problem=next(iter(packets.refused.values()), None),
        unknown_blocks=int((packets.unknown_stream >= 0).sum()),
        late_packets=laid.n_late,
        duplicates=laid.n_duplicates,
        contradictions=laid.n_contradictions,
        missing_streams=tuple(missing_streams(came)),
        parts=tuple(run.parts),
        strokes=tuple(run.all_strokes()),
        gaps=tuple(gap for _, gap in gaps),
        cues=tuple(run.cues),
        events=tuple(map(DeviceEvent, events.t_s.tolist(), *events.counts.T.tolist())),
    )


def _lay_out(packets: bulk.Packets, *, from_start: bool) -> Layout:
    """Order of all packets that could be read."""
    good = np.setdiff1d(np.arange(len(packets.seq)), list(packets.refused))
    spans_us = np.zeros(len(packets.seq), np.int64)
    for stream in packets.streams.values():
        np.maximum.at(spans_us, stream.packet, stream.offset_us + stream.period_us * stream.n_samples)
    laid = lay_out(packets.seq[good], packets.t0_us[good], spans_us[good], from_start=from_start)
    return laid._replace(packet=good[laid.packet])


class _Place(NamedTuple):
    """Where each payload lies."""

    rank: NDArray[np.intp]
    """Position in order of time by payload; -1 for those that are not used."""
    shift_us: NDArray[np.int64]
    """What to add to the device's clock (32 bits) by payload."""
    offset_s: float
    """Beginning of the session on the common timeline."""

    @classmethod
    def of(cls, packets: bulk.Packets, laid: Layout, offset_s: float) -> _Place:
        rank = np.full(len(packets.seq), -1, np.intp)
        rank[laid.packet] = np.arange(len(laid.packet))
        shift_us = np.zeros(len(rank), np.int64)
        shift_us[laid.packet] = laid.t0_us - packets.t0_us[laid.packet].astype(np.int64)
        return cls(rank, shift_us, offset_s)


class _Track(NamedTuple):
    """Samples of one stream in order of time."""

    position: NDArray[np.intp]
    """Which packet, in order of time, each sample came in."""
    t_s: NDArray[np.float64]
    counts: NDArray[np.int32]


def _track(stream: bulk.Stream, place: _Place) -> _Track:
    packet = np.repeat(stream.packet, stream.n_samples)
    position = place.rank[packet]
    t_s = np.asarray((stream.t_us + place.shift_us[packet]) * 1e-6 + place.offset_s, np.float64)
    if len(position) and (position[0] < 0 or (np.diff(position) < 0).any()):
        order = np.argsort(position, kind="stable")
        order = order[int(np.searchsorted(position[order], 0)) :]
        return _Track(position[order], t_s[order], stream.samples[order])
    return _Track(position, t_s, stream.samples)


def _period_s(imu: bulk.Stream, track: _Track, place: _Place) -> float | None:
    """Sample period as the first packet states it; the whole session is filtered with it.

    A block of one sample states none: then it is the time until the next sample.
    """
    rank = place.rank[imu.packet]
    stating = np.flatnonzero((imu.period_us > 0) & (rank >= 0))
    first = stating[np.argmin(rank[stating])] if len(stating) else None
    if len(track.t_s) > 1 and track.t_s[1] > track.t_s[0] and (first is None or rank[first] > track.position[0]):
        return float(track.t_s[1] - track.t_s[0])
    return None if first is None else float(imu.period_us[first] * 1e-6)


def _rate_hz(imu: _Track, gaps: list[int]) -> float | None:
    """IMU samples against device time, leaving out what a gap hides."""
    stretch = np.searchsorted(np.array(gaps, np.intp), imu.position, side="right")
    steps_s = np.diff(imu.t_s)[np.diff(stretch) == 0]
    return len(steps_s) / float(steps_s.sum()) if len(steps_s) and steps_s.sum() > 0 else None


def _blocks(n_packets: int, gaps: Iterable[tuple[int, Gap]]) -> Iterator[tuple[int, int, Gap | None]]:
    """Divide packets at the gaps, and long stretches into blocks: first packet, end, what is missing before it."""
    before = dict(gaps)
    for begin, end in itertools.pairwise(sorted({0, *before, n_packets})):
        for first in range(begin, end, AT_ONCE):
            yield first, min(first + AT_ONCE, end), before.get(first)


class _Run:
    """The signal chain over one session; the only place where its results are collected."""

    def __init__(self, params: SignalParams, model: DeviceModel, period_s: float | None) -> None:
        self.parts: list[Part] = []
        self.cues: list[Cue] = []
        self.period_s = period_s
        self._params, self._model = params, model
        self._align, self._signal = AlignState(), SignalState()
        self._after_gap = False

    def all_strokes(self) -> list[Stroke]:
        """Strokes of the session, each estimated from all of them."""
        estimates = [part.estimates for part in self.parts]
        strokes = [stroke for one in estimates for stroke in one.strokes]
        evidence = [said for one in estimates for said in one.evidence]
        return after_session(self._params.strokes, self._model, strokes, evidence)

    def step(self, tracks: Mapping[int, _Track], begin: int, end: int, gap: Gap | None) -> None:
        """Go on with the packets from ``begin`` to ``end``, behind a gap if there is one."""
        if self.period_s is None:
            return
        if gap:
            self.cues.append(stale_cue(self._signal.comfort, gap.t_s))
            self._align, self._after_gap = AlignState(), True
            # As live, nothing is known yet that a gap before the first sample could spoil.
            if begin:
                self._signal = after_gap(self._signal, self.period_s, gap.duration_s)
        samples, self._align = align_step(self._model, self._align, list(_raw_blocks(tracks, begin, end)))
        if not len(samples.t_s):
            return
        estimates, self._signal = signal_step(self._params, self._model, self._signal, samples, self.period_s)
        self.parts.append(Part(samples, estimates, self._after_gap))
        self._after_gap = False
        self.cues += estimates.cues


def _raw_blocks(tracks: Mapping[int, _Track], begin: int, end: int) -> Iterator[RawBlock]:
    for stream_id, track in tracks.items():
        first, last = np.searchsorted(track.position, (begin, end))
        if last > first:
            yield RawBlock(stream_id, track.t_s[first:last], track.counts[first:last])
