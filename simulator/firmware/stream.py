# SPDX-License-Identifier: MIT
"""The device's packet maker: sessions and offline recordings, what is kept of them, and what is sent again."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from firmware_protocol import codec, layout, reference
from simulator.firmware.memory import Ring
from simulator.firmware.packing import Stretch, encode, fill, shortest_packet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from simulator.firmware.memory import Log
    from simulator.firmware.senses import Senses
    from simulator.hardware.sensors import Readings

STREAM_ID = codec.STREAM_ID
DEFAULT_MASK: Final = sum(1 << STREAM_ID[name] for name in reference.DEFAULT_STREAMS)
SHORT_PACKET_B: Final = 182
"""Packets made without a host stay this short, so that they can be read over any MTU from 185."""
TRANSFER_US: Final = 30_000
"""Pace of a transfer while nothing is streamed, us a packet; while streaming, two for each live packet."""
_SILENCED: Final = {"IMU": ("IMU6", "ROLL", "QUAT"), "ADC": ("FORCE", "FORCE_RAW", "TEMP"), "ENCODER": ("ROLL",)}
"""Fault -> streams that end with it."""


OnSamples: TypeAlias = "Callable[[NDArray[np.float64], NDArray[np.int64], int], None]"
"""Takes true times of IMU samples, s, the device's clock, us, and the number of the session, 0 for the log."""


class Stream:
    """State of streaming since boot.

    Parameters
    ----------
    senses : Senses
        Where samples and events come from.
    log : Log
        Where recordings without a host go.
    clock_us : callable
        Device clock, us, at a time of the driver's clock.
    on_samples : callable or None
        See `Device`.
    """

    def __init__(
        self,
        senses: Senses,
        log: Log,
        clock_us: Callable[[float], int],
        on_samples: OnSamples | None,
    ) -> None:
        self._senses = senses
        self._log = log
        self._clock_us = clock_us
        self._on_samples = on_samples
        self.ring = Ring()
        self.streaming = self.logging = False
        self.session_id = self.seq = self.n_dropped = self.linger_s = 0
        self._transfer: Iterator[bytes] | None = None
        self._mask, self._flush_us = 0, reference.FLUSH_MS * 1000
        self._session_no = 0
        self._shortest_b, self._longest_b = 0, SHORT_PACKET_B
        self._flushed_us = self._resent_us = 0
        self._flags_once = 0

    @property
    def active(self) -> bool:
        """Whether packets are being made."""
        return self.streaming or self.logging

    @property
    def transferring(self) -> bool:
        """Whether packets are being sent again."""
        return self._transfer is not None

    def start(self, session_id: int, session_no: int, mask: int, flush_ms: int, linger_s: int, now_us: int) -> None:
        """Begin the session with this id, which is the ``session_no``-th START of the device's life."""
        self.halt(now_us)
        self.end_transfer()
        self.ring = Ring()
        self.session_id, self._session_no, self.seq, self.n_dropped = session_id, session_no, 0, 0
        self._mask, self._flush_us, self.linger_s = mask, flush_ms * 1000, linger_s
        self._shortest_b = shortest_packet(stream_id for stream_id in codec.STREAM_FIELDS if mask >> stream_id & 1)
        self.streaming = True
        self._begin(now_us)

    def record(self, unix_us: int, now_us: int) -> None:
        """Begin a recording without a host."""
        self.end_transfer()
        self._log.begin(unix_us)
        self._mask, self._flush_us = DEFAULT_MASK, reference.FLUSH_MS * 1000
        self._longest_b = SHORT_PACKET_B
        self.flag("CLOCK_BREAK")
        self.logging = True
        self._begin(now_us)

    def _begin(self, now_us: int) -> None:
        self._flushed_us = self._resent_us = now_us
        self._senses.begin(now_us)

    def halt(self, now_us: int, *, over: bool = True) -> None:
        """End session or recording; ``over`` when the person notices and ends the massage."""
        if self.active:
            self._senses.pause(now_us, over=over)
            self._log.end()
        self.streaming = self.logging = False

    def flag(self, name: str) -> None:
        """Set a flag of ``layout.PACKET_FLAGS`` in the next packet."""
        self._flags_once |= codec.bit(layout.PACKET_FLAGS, name)

    def begin_transfer(self, packets: Iterator[bytes], now_us: int) -> None:
        """Send packets again, between the live ones."""
        self._transfer, self._resent_us = packets, now_us

    def end_transfer(self) -> None:
        """Forget what was still to be sent again."""
        self._transfer = None
        self.ring.release()

    def flush(self, now_us: int, mtu: int, faults: set[str], *, connected: bool) -> list[bytes]:
        """Make the packets that are due and store them.

        Parameters
        ----------
        now_us : int
            The driver's clock.
        mtu : int
            ATT MTU, B. Without a host it does not count; where it is too short for these streams, as before the MTU
            exchange of a reconnection, packets are made as without a host.
        faults : set of str
            Parts that do not work.
        connected : bool
            Whether a host is there.

        Returns
        -------
        list of bytes
            Live packets that can be sent.
        """
        sendable = connected and mtu - 3 >= self._shortest_b and not self.logging
        if sendable:
            self._longest_b = min(mtu - 3, reference.MAX_PACKET_B)
        # The host that comes back will hardly have a longer MTU than the one that left.
        limit = self._longest_b if sendable else min(self._longest_b, SHORT_PACKET_B)
        packets: list[bytes] = []
        while self.active and now_us - self._flushed_us >= self._flush_us:
            self._flushed_us += self._flush_us
            readings = self._senses.read(self._flushed_us, connected=connected)
            for blocks in fill(self._stretches(readings, faults), limit):
                packets += self._store(blocks)
        return packets if sendable else []

    def resend(self, now_us: int, n_live: int, room: int) -> list[bytes]:
        """Packets of the transfer under way that are due: at least one for each live packet."""
        if self._transfer is None:
            return []
        pace_us = self._flush_us // 2 if self.streaming else TRANSFER_US
        due = (now_us - self._resent_us) // pace_us
        self._resent_us += due * pace_us
        wanted = max(min(due, room), n_live)
        packets: list[bytes] = []
        for payload in islice(self._transfer, wanted):
            packets.append(payload)
            if payload[1] & codec.bit(layout.PACKET_FLAGS, "LAST"):
                self.end_transfer()
        return packets

    def _store(self, blocks: list[Stretch]) -> list[bytes]:
        """Encode one packet and put it where it belongs; returns it when it is a live one."""
        flags = self._flags_once | self._senses.take_flags(
            min(block.t_s[0] for block in blocks), max(block.t_s[-1] for block in blocks)
        )
        self._flags_once = 0
        if self.logging:
            payload = encode(blocks, flags, self._log.next, layout.PTYPE_LOG, self._sample_us)
            if self._log.has_room(len(payload)):
                self._log.append(payload)
            else:
                self.halt(self._flushed_us)
            return []
        payload = encode(blocks, flags, self.seq, layout.PTYPE_LIVE, self._sample_us)
        self.ring.keep(self.seq, payload)
        self.seq += 1
        return [payload]

    def _stretches(self, readings: Readings, faults: set[str]) -> list[Stretch]:
        """Blocks of the streams that are wanted and alive."""
        senses, imu_s, force_s = self._senses, readings.imu_s, readings.force_s
        imu_us, force_us = self._period_us(senses.sensors.imu_rate_hz), self._period_us(senses.sensors.force_rate_hz)
        force = readings.force[:, np.newaxis]
        found = [
            Stretch(STREAM_ID["IMU6"], imu_s, readings.imu, imu_us),
            Stretch(STREAM_ID["ROLL"], imu_s, readings.roll[:, np.newaxis], imu_us),
            Stretch(STREAM_ID["FORCE_RAW"], force_s, force, force_us),
            Stretch(STREAM_ID["QUAT"], imu_s, readings.quat, imu_us),
            Stretch(STREAM_ID["TEMP"], readings.temp_s, readings.temp[:, np.newaxis], 1_000_000),
            *(
                Stretch(STREAM_ID["EVENT"], np.array([t_s]), np.array([sample]), 0)
                for t_s, sample in senses.take_events()
            ),
        ]
        if self._mask >> STREAM_ID["FORCE"] & 1:
            mn = np.rint((force - senses.zero_counts) * (senses.calibration.n_per_count * 1000))
            found.append(Stretch(STREAM_ID["FORCE"], force_s, np.clip(mn, -32768, 32767).astype(np.int32), force_us))
        if self._on_samples and len(imu_s):
            device_us = np.array([self._sample_us(t_s) for t_s in imu_s.tolist()])
            self._on_samples(imu_s, device_us, self._session_no if self.streaming else 0)
        wanted = self._mask & ~self.silenced(faults)
        return [block for block in found if wanted >> block.stream_id & 1 and len(block.t_s)]

    @staticmethod
    def silenced(faults: set[str]) -> int:
        """Mask of the streams that end with these faults."""
        return sum(1 << i for i in {STREAM_ID[name] for fault in faults for name in _SILENCED.get(fault, ())})

    def _sample_us(self, t_s: float) -> int:
        return self._clock_us(self._senses.true_us(t_s))

    def _period_us(self, rate_hz: float) -> int:
        """Period by the device's clock, from the distance of two far samples."""
        return round((self._sample_us(1e3) - self._sample_us(0.0)) / (1e3 * rate_hz))
