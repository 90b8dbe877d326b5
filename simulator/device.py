# SPDX-License-Identifier: MIT
"""The roller's firmware as a state machine: requests in, responses and stream packets out.

It has no clock of its own: whoever drives it says what time it is.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmware_protocol import codec, layout, reference
from simulator.hand import Habits, Hand
from simulator.sensors import Flaws, Readings, Sensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from simulator.truth import Truth

IMU6 = codec.STREAM_ID["IMU6"]
ROLL = codec.STREAM_ID["ROLL"]
FORCE_RAW = codec.STREAM_ID["FORCE_RAW"]
EVENT = codec.STREAM_ID["EVENT"]

CONTACT_ON_N, CONTACT_OFF_N = 0.15, 0.10
TARE_NOISE_N = 0.02
"""A tare with noisier readings is refused as UNSTABLE."""
BATTERY_LIFE_S = 6.5 * 3600
REST_S = 2.5


class _Block(NamedTuple):
    """Samples of one stream on their way into a packet."""

    stream_id: int
    t_s: NDArray[np.float64]
    samples: NDArray[np.int32]
    period_us: int


class _RefusalError(Exception):
    """A request that is answered with a status other than OK."""

    def __init__(self, status: str) -> None:
        self.status = codec.STATUS_CODE[status]


class Device:
    """A reference device in somebody's hand.

    The person holds the roller still until a host says START, 2.5 s longer, and then begins to massage.

    Parameters
    ----------
    seed : int, default 1
        Draws device, person and massage. The same seed and the same calls give the same bytes.
    habits, flaws : optional
        How the person rolls, and how imperfect the device is.
    on_truth : callable, optional
        Is handed each stretch of truth as the massage reaches it.
    """

    firmware = "0.1.0-sim"

    def __init__(
        self,
        seed: int = 1,
        habits: Habits | None = None,
        flaws: Flaws | None = None,
        on_truth: Callable[[Truth], None] | None = None,
    ) -> None:
        self._hand = Hand(seed, habits)
        self._on_truth = on_truth
        self._waiting = True
        self._sensors = Sensors(seed, self._life(), flaws)
        rng = np.random.default_rng([seed, 3])
        self.device_id = rng.bytes(8)
        self._boot_id = int(rng.integers(1, 2**32))
        self._skew = 1 + rng.normal(0, 20e-6)
        self._boot_us = int(rng.integers(2**31, 2**33))
        self._mtu = 23
        self.streaming = False
        self._session_id = int(rng.integers(1, 2**31))
        self._zero_counts = self._sensors.calibration.zero_counts
        self._tared = self._contact = False
        self._begin_us = self._flushed_us = 0
        self._before_s = self._streamed_s = 0.0
        self._mask, self._flush_us = 0, reference.FLUSH_MS * 1000
        self._seq, self._flags_once = 0, 0
        self._events: list[tuple[float, tuple[int, int, int]]] = []
        self._answers: dict[str, Callable[..., tuple[Any, ...]]] = {
            "PING": self._ping,
            "STREAM_INFO": self._stream_info,
            "START": self._start,
            "STOP": self._stop,
            "TIME_SYNC": self._time_sync,
            "TARE": self._tare,
            "CAL_READ": self._cal_read,
            "GEOMETRY_READ": self._geometry_read,
        }
        self._recent: deque[tuple[float, float]] = deque(maxlen=320)

    # --- Identity ---------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Advertised name."""
        return f"Roller-{self.device_id[-2:].hex().upper()}"

    @property
    def imu_rate_hz(self) -> float:
        """True sample rate of IMU and encoder by the device's own clock, Hz."""
        return self._sensors.imu_rate_hz / self._skew

    @property
    def force_rate_hz(self) -> float:
        """True sample rate of the load cell by the device's own clock, Hz."""
        return self._sensors.force_rate_hz / self._skew

    @property
    def battery_percent(self) -> int:
        """Charge left, percent: falls while streaming."""
        return max(0, round(90 - 100 * (self._before_s + self._streamed_s) / BATTERY_LIFE_S))

    def info_payload(self) -> bytes:
        """INFO record."""
        features = sum(codec.bit(layout.FEATURES, name) for name in ("IMU", "ROLL", "FORCE_RAW"))
        return codec.encode_record(
            "INFO",
            codec.Info(
                layout.PROTOCOL_MAJOR, layout.PROTOCOL_MINOR, features, self.device_id, self._boot_id,
                reference.MAX_PACKET_B, 0, 1,
            ),
        )  # fmt: skip

    def status_payload(self) -> bytes:
        """STATUS record."""
        flags = codec.bit(layout.STATUS_FLAGS, "CALIBRATED")
        flags |= codec.bit(layout.STATUS_FLAGS, "TARED") if self._tared else 0
        flags |= codec.bit(layout.STATUS_FLAGS, "CONTACT") if self._contact else 0
        battery_v = 3.3 + 0.9 * self.battery_percent / 100
        return codec.encode_record("STATUS", codec.Status(int(self.streaming), flags, battery_v, 29.0, 0, 0))

    # --- Link -------------------------------------------------------------------------------------------------------

    def connected(self, mtu: int, now_us: int) -> None:
        """A central connected."""
        del now_us
        self._mtu = mtu

    def mtu_changed(self, mtu: int) -> None:
        """The ATT MTU of the connection was agreed on."""
        self._mtu = mtu

    def disconnected(self, now_us: int) -> None:
        """The central is gone; streaming ends."""
        del now_us
        self._mtu = 23
        self._halt()

    # --- Requests ---------------------------------------------------------------------------------------------------

    def request(self, payload: bytes, now_us: int) -> bytes:
        """Answer one control request; any bytes get a response."""
        op, tag = (*payload[:2], 0, 0)[:2]
        try:
            request = codec.decode_request(payload)
            if request.args is None:
                return codec.encode_response(op, tag, codec.STATUS_CODE["UNKNOWN_OP"])
            answer = self._answers[codec.OP_NAME[request.op]]
            return codec.encode_response(op, tag, 0, *answer(now_us, *request.args))
        except _RefusalError as refusal:
            return codec.encode_response(op, tag, refusal.status)
        except codec.ProtocolError:
            return codec.encode_response(op, tag, codec.STATUS_CODE["BAD_LENGTH"])

    def _ping(self, now_us: int, echo: bytes) -> tuple[bytes]:
        del now_us
        return (echo,)

    def _stream_info(self, now_us: int, stream_id: int) -> tuple[Any, ...]:
        del now_us
        if stream_id not in reference.STREAM_INFO:
            raise _RefusalError("NOT_SUPPORTED")
        return reference.stream_info_reply(stream_id)

    def _start(self, now_us: int, mask: int, flush_ms: int, linger_s: int) -> tuple[int, int]:
        offered = sum(1 << stream_id for stream_id in reference.STREAM_INFO)
        if mask == 0 or mask & ~offered or not 20 <= flush_ms <= 200 or linger_s != 0:
            raise _RefusalError("BAD_PARAM")
        if self._mtu < layout.MTU_MIN_STREAM:
            raise _RefusalError("MTU_TOO_SMALL")
        if self.streaming:
            raise _RefusalError("BAD_STATE")
        self.streaming, self._waiting = True, False
        self._mask, self._flush_us = mask, flush_ms * 1000
        self._begin_us = self._flushed_us = now_us
        self._seq = 0
        # What happened while idle is told at the beginning: a packet does not reach back before START.
        self._events = [(self._before_s, sample) for _, sample in self._events]
        self._session_id = (self._session_id + 1) & 0xFFFFFFFF
        return self._session_id, self._clock_us(now_us)

    def _stop(self, now_us: int) -> tuple[int, int]:
        del now_us
        if not self.streaming:
            raise _RefusalError("BAD_STATE")
        self._halt()
        return max(self._seq - 1, 0), 0

    def _time_sync(self, now_us: int) -> tuple[int, int]:
        return self._clock_us(now_us), 0

    def _tare(self, now_us: int, samples: int) -> tuple[int, int]:
        del now_us
        if not 8 <= samples <= 320:
            raise _RefusalError("BAD_PARAM")
        if not self.streaming:
            self._before_s += (samples + 1) / self._sensors.force_rate_hz
            self._sense(self._before_s)
        recent = np.array(self._recent)[-samples:]
        if len(recent) < samples:
            raise _RefusalError("UNSTABLE")
        noise = float(recent[:, 0].std())
        if noise * self._sensors.calibration.n_per_count > TARE_NOISE_N or recent[:, 1].max() > 0.2:
            raise _RefusalError("UNSTABLE")
        self._zero_counts, self._tared = round(float(recent[:, 0].mean())), True
        self._flags_once |= codec.bit(layout.PACKET_FLAGS, "TARE_CHANGED")
        self._events.append((self._before_s + self._streamed_s, codec.tare_event(self._zero_counts)))
        return self._zero_counts, min(round(noise), 0xFFFF)

    def _cal_read(self, now_us: int, page: int) -> tuple[bytes]:
        del now_us
        return (_half(self._sensors.calibration_payload(), page),)

    def _geometry_read(self, now_us: int, head: int, page: int) -> tuple[bytes]:
        del now_us
        if head != 0:
            raise _RefusalError("BAD_PARAM")
        return (_half(codec.encode_record("GEOMETRY", reference.GEOMETRY), page),)

    # --- Streaming --------------------------------------------------------------------------------------------------

    def advance(self, now_us: int) -> list[bytes]:
        """Stream packets that became due since the last call."""
        packets: list[bytes] = []
        while self.streaming and now_us - self._flushed_us >= self._flush_us:
            self._flushed_us += self._flush_us
            self._streamed_s = (self._flushed_us - self._begin_us) * 1e-6
            packets += self._pack(self._sense(self._before_s + self._streamed_s))
        return packets

    def _halt(self) -> None:
        self.streaming = False
        self._before_s += self._streamed_s
        self._streamed_s = 0.0

    def _life(self) -> Iterator[Truth]:
        """What the person does: waits for a host, holds still, massages."""
        for truth in self._script():
            if self._on_truth:
                self._on_truth(truth)
            yield truth

    def _script(self) -> Iterator[Truth]:
        while self._waiting:
            yield self._hand.rest(0.5)
        yield self._hand.rest(REST_S)
        while True:
            yield self._hand.visit()

    def _clock_us(self, now_us: int) -> int:
        return round(self._boot_us + now_us * self._skew)

    def _sample_us(self, t_s: float) -> int:
        """Device clock at a sample taken at true time ``t_s``."""
        return round(self._clock_us(self._begin_us) + (t_s - self._before_s) * 1e6 * self._skew)

    def _sense(self, until_s: float) -> Readings:
        """Read the sensors, and do on the device what it needs for contact and tare."""
        readings = self._sensors.read(until_s)
        force = readings.force.astype(float)
        spin = np.zeros(len(force))
        if len(readings.imu):
            near = np.clip(np.searchsorted(readings.imu_s, readings.force_s), 0, len(readings.imu) - 1)
            spin = np.linalg.norm(readings.imu[near, :3], axis=1) * reference.GYRO_RAD_S_PER_COUNT
            press_m_s2 = -readings.imu[near, 5] * reference.ACC_M_S2_PER_COUNT
            force -= self._sensors.calibration.head_mass_kg * press_m_s2 / self._sensors.calibration.n_per_count
        for t_s, counts in zip(readings.force_s.tolist(), force.tolist(), strict=True):
            newtons = (counts - self._zero_counts) * self._sensors.calibration.n_per_count
            if newtons > CONTACT_ON_N if not self._contact else newtons < CONTACT_OFF_N:
                self._contact = not self._contact
                code = codec.EVENT_CODE["CONTACT_ON" if self._contact else "CONTACT_OFF"]
                self._events.append((t_s, (code, 0, 0)))
        self._recent.extend(zip(force.tolist(), spin.tolist(), strict=True))
        return readings

    def _pack(self, readings: Readings) -> list[bytes]:
        """Put readings into as few packets as fit the MTU."""
        imu_us, force_us = self._period_us(self._sensors.imu_rate_hz), self._period_us(self._sensors.force_rate_hz)
        pending = [
            _Block(IMU6, readings.imu_s, readings.imu, imu_us),
            _Block(ROLL, readings.imu_s, readings.roll[:, np.newaxis], imu_us),
            _Block(FORCE_RAW, readings.force_s, readings.force[:, np.newaxis], force_us),
            *(_Block(EVENT, np.array([t_s]), np.array([sample]), 0) for t_s, sample in self._events),
        ]
        self._events.clear()
        blocks = [block for block in pending if self._mask >> block.stream_id & 1 and len(block.t_s)]
        limit = min(self._mtu - 3, reference.MAX_PACKET_B)
        packets: list[bytes] = []
        while blocks:
            taken, blocks = _fill(blocks, limit)
            packets.append(self._packet(taken))
        return packets

    def _period_us(self, rate_hz: float) -> int:
        return round(1e6 * self._skew / rate_hz)

    def _packet(self, blocks: list[_Block]) -> bytes:
        blocks = sorted(blocks, key=lambda block: block.t_s[0])
        t0_us = self._sample_us(blocks[0].t_s[0])
        flags = self._flags_once | (codec.bit(layout.PACKET_FLAGS, "CONTACT") if self._contact else 0)
        self._flags_once = 0
        wire = [
            (stream_id, self._sample_us(t_s[0]) - t0_us, period_us if len(t_s) > 1 else 0, samples.tolist())
            for stream_id, t_s, samples, period_us in blocks
        ]
        payload = codec.encode_packet(flags, self._seq, t0_us, wire)
        self._seq += 1
        return payload


def _half(record: bytes, page: int) -> bytes:
    if page > 1:
        raise _RefusalError("BAD_PARAM")
    return record[16 * page : 16 * page + 16]


def _fill(blocks: list[_Block], limit: int) -> tuple[list[_Block], list[_Block]]:
    """Split blocks into what fits one packet and what has to wait."""
    room = limit - codec.size_of(layout.PACKET_HEADER)
    taken: list[_Block] = []
    left: list[_Block] = []
    for stream_id, t_s, samples, period_us in blocks:
        size = codec.size_of(codec.STREAM_FIELDS[stream_id])
        n = 0 if left else max(0, min(len(t_s), (room - codec.size_of(layout.BLOCK_HEADER)) // size))
        if n:
            taken.append(_Block(stream_id, t_s[:n], samples[:n], period_us))
            room -= codec.size_of(layout.BLOCK_HEADER) + n * size
        if n < len(t_s):
            left.append(_Block(stream_id, t_s[n:], samples[n:], period_us))
    return taken, left
