# SPDX-License-Identifier: MIT
"""The one loop that owns signal state: records in, estimates and a summary out.

Live sessions and replays feed it alike.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from firmware_protocol import arrays, codec, layout, reference
from firmware_protocol.codec import ProtocolError, VersionError
from firmware_protocol.zones import PLACES, place_name
from roller_host.signal.calibration import PATIENCE_S, AlignState, DeviceModel, RawBlock, align_step, hold_step
from roller_host.signal.clock import (
    ClockParams,
    ClockState,
    arrival_step,
    newest_sample_us,
    record_step,
)
from roller_host.signal.clock_line import ClockModel, estimate
from roller_host.signal.comfort import Cue, stale_cue
from roller_host.signal.core import SignalParams, SignalState, after_gap, signal_step
from roller_host.signal.estimates import Estimates, Gap, Stroke
from roller_host.signal.ledger import Ledger
from roller_host.signal.stroke_list import StrokeList
from roller_host.signal.timebase import TimebaseState, session_us_near, timebase_step

if TYPE_CHECKING:
    from collections.abc import Collection

    from firmware_protocol.arrays import Packet
    from roller_host.signal.calibration import Samples
    from roller_host.signal.record import Record

logger = logging.getLogger(__name__)

_CLOCK = ClockParams()
MOST_WARNINGS = 10
"""Kinds of unreadable payloads that are told one by one; all of them are counted."""

IMU6 = codec.STREAM_ID["IMU6"]
EVENT = codec.STREAM_ID["EVENT"]
TEMP = codec.STREAM_ID["TEMP"]
TEMP_C_PER_COUNT = 0.01
_BUTTON = codec.EVENT_CODE["BUTTON"]
NEEDED = {name: codec.STREAM_ID[name] for name in ("IMU6", "ROLL", "FORCE_RAW")}
"""Streams that the signal core works on. FORCE stands in for FORCE_RAW; without ROLL strokes have no length."""
FORCE = codec.STREAM_ID["FORCE"]


@dataclass
class Totals:
    """Counts and sums over a session."""

    packets: int = 0
    bad_payloads: int = 0
    """Payloads that the protocol does not allow; skipped."""
    unknown_blocks: int = 0
    """Packets with a block of an unknown stream; what stood before it was used."""
    late_packets: int = 0
    """Packets that came after newer ones; live estimates leave them out."""
    backfilled: int = 0
    """Those of them that had been missing."""
    log_packets: int = 0
    """Packets of an offline log; they belong to no live session."""
    gaps: int = 0
    lost_packets: int = 0
    lost_s: float = 0.0
    imu_samples: int = 0
    imu_span_s: float = 0.0
    samples: int = 0
    contact_samples: int = 0
    force_sum_n: float = 0.0
    force_peak_n: float = 0.0
    duration_s: float = 0.0
    strokes: StrokeList = field(default_factory=StrokeList)
    cues: int = 0
    contact_s_by_place: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    dose_n_s_by_place: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    """Integral of the force over contact time, N s."""


class Pipeline:
    """Signal chain of one session.

    Parameters
    ----------
    params : SignalParams, optional
        Tuning and thresholds.
    """

    def __init__(self, params: SignalParams | None = None) -> None:
        self.params = params or SignalParams()
        self.model = DeviceModel(session_s=self.params.began_s)
        self.device_calibration: codec.Calibration | None = None
        """The device's own record, whichever is used; None before it was read."""
        self.samples: Samples | None = None
        """What the latest estimates were made of."""
        self.temp_c: float | None = None
        """Temperature of the load cell; None before the device told it."""
        self.assumed = {"STREAM_INFO", "CALIBRATION", "GEOMETRY"}
        """Descriptions that the device has not given: the reference device's are used."""
        self.totals = Totals()
        self.first_problem: ProtocolError | None = None
        """What was wrong with the first STREAM payload that had to be skipped."""
        self._seen: set[int] = set()
        self._halves: dict[tuple[str, int], bytes] = {}
        self.sizes: dict[int, int] = {}
        """Sample sizes, B, of streams that this version does not know, as the device gave them."""
        self._asked: dict[int, tuple[str, int]] = {}
        self._masks: dict[int, int] = {}
        self._offered: frozenset[int] | None = None
        self._wanted = frozenset(NEEDED.values())
        self._restart_timeline()
        self._offset_s = 0.0
        self._told: set[str] = set()
        self._ledger = Ledger()
        self._clock = ClockState()
        self._boot_id: int | None = None
        self.features = 0
        """Of the device, see ``layout.FEATURES``; 0 until it has said so."""
        self._device_id = ""
        self._choose_calibration()

    def _restart_timeline(self) -> None:
        self._timebase = TimebaseState()
        self._align = AlignState()
        self._signal = SignalState()
        self._period_s: float | None = None
        self._last_imu_s: float | None = None
        self._begin_s: float | None = None
        self._seen_s: dict[int, float] = {}
        self._presses_s: tuple[float, ...] = ()

    def feed(self, record: Record) -> Estimates | None:
        """Take in the next record, in order of arrival.

        Returns
        -------
        Estimates or None
            What a stream packet added; None for everything else, and while samples still wait for their partners.

        Raises
        ------
        VersionError
            For an INFO record of another protocol major. Garbage is counted and skipped.
        """
        try:
            if record.source == "INFO":
                self._identify(codec.decode_record("INFO", record.payload))
            elif record.source == "CONTROL":
                self._clock = record_step(_CLOCK, self._clock, record)
                self._control(record)
            elif record.source == "STREAM":
                packet = arrays.decode_packet(record.payload, self.sizes)
                if packet.ptype == layout.PTYPE_LIVE and packet.blocks:
                    self._clock = arrival_step(_CLOCK, self._clock, record.t_s, newest_sample_us(packet))
                return self._stream(packet)
        except ProtocolError as error:
            if record.source == "INFO" and isinstance(error, VersionError):
                raise
            self.totals.bad_payloads += 1
            if record.source == "STREAM":
                self.first_problem = self.first_problem or error
            # Once for each kind: a device that keeps sending nonsense must not flood the terminal.
            if str(error) not in self._told and len(self._told) < MOST_WARNINGS:
                self._told.add(str(error))
                logger.warning("skipped a %s payload: %s", record.source, error)
        return None

    def _identify(self, info: codec.Info) -> None:
        """Note what the roller can do; one that has booted has another clock."""
        self.features = info.features
        if info.boot_id != self._boot_id:
            self._boot_id, self._clock = info.boot_id, ClockState()
        if (device_id := bytes(info.device_id).hex()) != self._device_id:
            self._device_id, self.device_calibration = device_id, None
            self._choose_calibration()

    def _choose_calibration(self) -> None:
        """Take what the host keeps for this device and head, unless the device's own is newer."""
        kept, record = self.params.calibration, self.device_calibration
        fits = kept and self._device_id in ("", kept.device_id) and kept.head == self.model.geometry.head
        if kept and fits and (not record or record.unix_date_s <= kept.since_s):
            record = kept.record
        self.model = replace(self.model, calibration=record or reference.CALIBRATION)

    def _stream(self, packet: Packet) -> Estimates | None:
        self.totals.packets += 1
        if packet.ptype == layout.PTYPE_LOG:
            # Recorded before this session, and numbered on its own.
            self.totals.log_packets += 1
            return None
        self.totals.unknown_blocks += packet.unknown_stream is not None
        self._seen.update([block.stream_id for block in packet.blocks])
        placed, self._timebase = timebase_step(self._timebase, packet)
        arrived = self._ledger.add(packet.seq)
        if placed is None:
            self.totals.late_packets += 1
            self.totals.backfilled += arrived
            return None
        for block in packet.blocks:
            if block.stream_id == TEMP and len(block.samples):
                self.temp_c = block.samples.item(-1) * TEMP_C_PER_COUNT
        blocks = [
            _raw_block(placed.t0_us, block, self._offset_s) for block in packet.blocks if block.stream_id != EVENT
        ]
        self._presses_s += _presses(placed.t0_us, packet, self._offset_s)
        gaps: tuple[Gap, ...] = ()
        stale: tuple[Cue, ...] = ()
        if placed.gap:
            gaps = (placed.gap._replace(t_s=placed.gap.t_s + self._offset_s),)
            stale = (stale_cue(self._signal.comfort, gaps[0].t_s),)
            self._cross_gap(placed.gap)
        self._measure_rate(packet, blocks)
        self._expect(blocks)
        if self._period_s is None:
            self._align = hold_step(self._align, blocks)
            return None
        samples, self._align = align_step(self.model, self._align, blocks)
        if not len(samples.t_s):
            return _nothing(gaps, stale) if gaps else None
        self.samples = samples
        estimates, self._signal = signal_step(self.params, self.model, self._signal, samples, self._period_s)
        if gaps:
            estimates = estimates._replace(gaps=gaps, cues=stale + estimates.cues)
        if self._presses_s:
            estimates, self._presses_s = estimates._replace(presses_s=self._presses_s), ()
        self._add_up(estimates)
        return estimates

    def _cross_gap(self, gap: Gap) -> None:
        self.totals.gaps += 1
        self.totals.lost_packets += gap.lost_packets
        self.totals.lost_s += gap.duration_s
        self._align = AlignState()
        self._last_imu_s = None
        if self._period_s is not None:
            self._signal = after_gap(self._signal, self._period_s, gap.duration_s)

    def _measure_rate(self, packet: Packet, blocks: list[RawBlock]) -> None:
        """Count IMU samples against device time, leaving out what a gap hides."""
        for stream_id, t_s, _ in blocks:
            if stream_id != IMU6 or not len(t_s):
                continue
            first_s, newest_s, last_s = t_s.item(0), t_s.item(-1), self._last_imu_s
            self.totals.imu_samples += len(t_s) - (last_s is None)
            self.totals.imu_span_s += newest_s - (first_s if last_s is None else last_s)
            if self._period_s is None and last_s is not None and first_s > last_s:
                # A block of one sample states no period: then it is the time since the sample before.
                self._period_s = first_s - last_s
            self._last_imu_s = newest_s
        if self._period_s is None:
            periods = [b.period_us for b in packet.blocks if b.stream_id == IMU6 and b.period_us]
            self._period_s = periods[0] * 1e-6 if periods else None

    def _expect(self, blocks: list[RawBlock]) -> None:
        """Wait for the streams that were asked for; after `PATIENCE_S` without one, go on without it."""
        seen_s = self._seen_s
        for stream_id, t_s, _ in blocks:
            if len(t_s):
                seen_s[stream_id] = t_s.item(-1)
                if self._begin_s is None:
                    self._begin_s = t_s.item(0)
        if self._begin_s is None:
            return
        late_s = max(seen_s.values()) - PATIENCE_S
        streams = frozenset([stream_id for stream_id, newest_s in seen_s.items() if newest_s > late_s])
        if late_s < self._begin_s:
            streams |= self._wanted
        if streams != self.model.streams:
            self.model = replace(self.model, streams=streams)

    def _add_up(self, estimates: Estimates) -> None:
        totals, period_s = self.totals, self._period_s or 0.0
        totals.samples += len(estimates.t_s)
        totals.duration_s = float(estimates.t_s[-1])
        totals.cues += len(estimates.cues)
        totals.strokes.extend(estimates.strokes)
        contact = estimates.contact.tolist()
        if True not in contact:
            return
        touching = itertools.compress(zip(estimates.force_n.tolist(), estimates.places, strict=True), contact)
        contact_s, force_sum_n, force_peak_n = totals.contact_s_by_place, totals.force_sum_n, totals.force_peak_n
        dose_n_s = totals.dose_n_s_by_place
        for force_n, i_place in touching:
            # One by one: a sum over blocks would depend on where they end.
            force_sum_n += force_n
            force_peak_n = max(force_peak_n, force_n)
            if i_place >= 0:
                place = PLACES[i_place]
                contact_s[place] = contact_s.get(place, 0.0) + period_s
                dose_n_s[place] = dose_n_s.get(place, 0.0) + force_n * period_s
        totals.contact_samples += contact.count(True)
        totals.force_sum_n, totals.force_peak_n = force_sum_n, force_peak_n

    def _control(self, record: Record) -> None:
        """Learn about the device from the requests and responses that went by."""
        if record.direction == "out":
            request = codec.decode_request(record.payload)
            if request.args is not None and codec.OP_NAME[request.op] in ("CAL_READ", "GEOMETRY_READ"):
                self._asked[request.tag] = codec.OP_NAME[request.op], request.args.page
            elif request.args is not None and codec.OP_NAME[request.op] == "START":
                self._masks[request.tag] = request.args.stream_mask
            return
        response = codec.decode_response(record.payload)
        if response.reply is None:
            return
        name = codec.OP_NAME[response.op]
        if name == "STREAM_INFO":
            self._learn_scale(response.reply)
        elif name in ("CAL_READ", "GEOMETRY_READ") and response.tag in self._asked:
            self._learn_half(*self._asked.pop(response.tag), response.reply.half)
        elif name == "STREAM_LIST":
            self._offered = frozenset(response.reply.ids)
        elif name == "START":
            mask = self._masks.pop(response.tag, None)
            asked = NEEDED.values() if mask is None else [i for i in range(16) if mask >> i & 1]
            self._wanted = frozenset(i for i in asked if self._offered is None or i in self._offered)
            if self._timebase.origin_us is not None:
                self._offset_s = self.totals.duration_s + (self._period_s or 0.0)
            self._restart_timeline()
            self._timebase, self._ledger = TimebaseState(from_start=True), Ledger()

    def _learn_scale(self, reply: Any) -> None:
        if reply.stream_id not in codec.STREAM_FIELDS:
            self.sizes[reply.stream_id] = reply.sample_size
        if reply.stream_id == IMU6:
            self.model = replace(self.model, gyro_rad_s_per_count=reply.scale_a, acc_m_s2_per_count=reply.scale_b)
            self.assumed.discard("STREAM_INFO")
        elif reply.stream_id == NEEDED["ROLL"]:
            self.model = replace(self.model, roll_rad_per_count=reply.scale_a)

    def _learn_half(self, name: str, page: int, half: bytes) -> None:
        self._halves[name, page] = half
        if (name, 0) not in self._halves or (name, 1) not in self._halves:
            return
        record = self._halves.pop((name, 0)) + self._halves.pop((name, 1))
        if name == "CAL_READ":
            self.device_calibration = codec.decode_record("CALIBRATION", record)
            self._choose_calibration()
            self.assumed.discard("CALIBRATION")
        else:
            self.model = replace(self.model, geometry=codec.decode_record("GEOMETRY", record))
            self._choose_calibration()
            self.assumed.discard("GEOMETRY")

    def summary(self) -> dict[str, object]:
        """Numbers of the session so far, ready for JSON; the same records give the same values, bit for bit."""
        totals, period_s = self.totals, self._period_s or 0.0
        contact = totals.contact_samples
        return {
            "packets": totals.packets,
            "gaps": totals.gaps,
            "lost_packets": max(totals.lost_packets - totals.backfilled, 0),
            "late_packets": totals.late_packets,
            "backfilled_packets": totals.backfilled,
            "log_packets": totals.log_packets,
            "bad_payloads": totals.bad_payloads,
            "unknown_blocks": totals.unknown_blocks,
            "missing_streams": missing_streams(self._seen),
            "duration_s": totals.duration_s,
            "strokes": len(totals.strokes),
            "contact_s": contact * period_s,
            "force_mean_n": totals.force_sum_n / contact if contact else None,
            "force_peak_n": totals.force_peak_n if contact else None,
            "rate_hz": self.rate_hz,
            "cues": totals.cues,
            "calibrated": self.model.calibrated,
            "clock": self._clock_json(),
            "contact_s_by_place": {
                place_name(*place): seconds for place, seconds in sorted(totals.contact_s_by_place.items())
            },
            "dose_n_s": {place_name(*place): dose for place, dose in sorted(totals.dose_n_s_by_place.items())},
            "stroke_list": [stroke_json(stroke) for stroke in totals.strokes],
        }

    def session_s(self, host_s: float) -> float | None:
        """Session time of a stamp as records have it, s; None before clocks were compared. Takes ms."""
        model = self.clock()
        session_us = None if model is None else session_us_near(self._timebase, model.to_device_us(host_s))
        return None if session_us is None else self._offset_s + session_us * 1e-6

    def clock(self) -> ClockModel | None:
        """The device's clock by the host's, in stamps of the records; None before clocks were compared. Takes ms."""
        return estimate(_CLOCK, self._clock)

    def _clock_json(self) -> dict[str, float] | None:
        model = self.clock()
        if model is None:
            return None
        return {
            "skew_ppm": model.skew_ppm,
            "skew_sigma_ppm": model.skew_sigma_ppm,
            "offset_s": model.offset_s,
            "offset_sigma_s": model.sigma_s,
        }

    @property
    def rate_hz(self) -> float | None:
        """Measured IMU rate by device time, Hz; None until two samples came."""
        return self.totals.imu_samples / self.totals.imu_span_s if self.totals.imu_span_s else None


def missing_streams(seen: Collection[int]) -> list[str]:
    """Names of the streams that are `NEEDED` and not among ``seen``."""
    return [
        name
        for name, stream_id in NEEDED.items()
        if stream_id not in seen and not (name == "FORCE_RAW" and FORCE in seen)
    ]


def stroke_json(stroke: Stroke) -> dict[str, object]:
    """Stroke as JSON values; what is not known is null."""
    return {key: None if value != value else value for key, value in stroke._asdict().items()}  # noqa: PLR0124 - NaN


def _raw_block(t0_us: int, block: arrays.Block, offset_s: float) -> RawBlock:
    first_us, period_us = t0_us + block.offset_us, block.period_us
    # For so few samples plain numbers are quicker than arrays.
    t_s = [(first_us + i * period_us) * 1e-6 + offset_s for i in range(len(block.samples))]
    return RawBlock(block.stream_id, np.array(t_s), block.samples)


def _presses(t0_us: int, packet: Packet, offset_s: float) -> tuple[float, ...]:
    """When the button was pressed, s."""
    return tuple(
        (t0_us + block.offset_us + i * block.period_us) * 1e-6 + offset_s
        for block in packet.blocks
        if block.stream_id == EVENT
        for i, (code, pressed, _) in enumerate(block.samples.tolist())
        if code == _BUTTON and pressed
    )


def _nothing(gaps: tuple[Gap, ...], cues: tuple[Cue, ...]) -> Estimates:
    none = np.zeros(0)
    return Estimates(none, none, none, none.astype(bool), none, none, (), (), "", "", gaps=gaps, cues=cues)
