# SPDX-License-Identifier: MIT
"""From raw counts to SI units, and all streams onto the clock of the IMU."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol import codec, reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMU6 = codec.STREAM_ID["IMU6"]
ROLL = codec.STREAM_ID["ROLL"]
FORCE = codec.STREAM_ID["FORCE"]
FORCE_RAW = codec.STREAM_ID["FORCE_RAW"]
GRAVITY_M_S2 = 9.80665
PATIENCE_S = 5.0
"""How long samples are kept for a stream that has not begun, s."""
TURN_COUNTS = 1 << 16
"""ROLL wraps after this many counts, whatever the encoder behind it resolves: one turn of 16 bits (STREAMS)."""
FORCE_N_PER_COUNT = 1e-3
"""FORCE is in mN (STREAMS)."""

_I24_MAX = 2**23 - 1


class KeptCalibration(NamedTuple):
    """A calibration that the host keeps; used instead of the device's own, unless that is of a later date."""

    record: codec.Calibration
    device_id: str
    """Of which roller, 16 hexadecimal digits."""
    since_s: int
    """When it was taken into use, s since 1970."""
    head: int = 0
    """With which of the exchangeable heads it was made: another one weighs something else."""


@dataclass(frozen=True)
class DeviceModel:
    """What is known about the device: its records and scales. Defaults are those of the reference device."""

    calibration: codec.Calibration = field(default_factory=lambda: reference.CALIBRATION)
    geometry: codec.Geometry = field(default_factory=lambda: reference.GEOMETRY)
    gyro_rad_s_per_count: float = reference.GYRO_RAD_S_PER_COUNT
    acc_m_s2_per_count: float = reference.ACC_M_S2_PER_COUNT
    roll_rad_per_count: float = reference.ROLL_RAD_PER_COUNT
    streams: frozenset[int] = frozenset({IMU6, ROLL, FORCE_RAW})
    """Ids of the streams that it sends. Samples wait for those named here and for no others."""
    session_s: int = 0
    """Time of day at which the session began, s since 1970; 0 when not known."""

    @property
    def calibrated(self) -> bool:
        """Its load cell was calibrated with weights: newtons mean something."""
        return bool(self.calibration.flags & 1)

    @property
    def has_encoder(self) -> bool:
        """The roller's angle comes with the other streams."""
        return ROLL in self.streams

    @cached_property
    def axle(self) -> NDArray[np.float64]:
        """Unit vector along the axle, body frame, shape (3,)."""
        return _unit(self.geometry.axle_x, self.geometry.axle_y, self.geometry.axle_z)

    @cached_property
    def press(self) -> NDArray[np.float64]:
        """Unit vector into the skin, body frame, shape (3,)."""
        return _unit(self.geometry.press_x, self.geometry.press_y, self.geometry.press_z)

    @cached_property
    def forward(self) -> NDArray[np.float64]:
        """Unit vector of positive rolling, body frame, shape (3,)."""
        return np.cross(self.axle, self.press)

    @cached_property
    def basis(self) -> NDArray[np.float64]:
        """Axle, rolling direction and away from the skin as columns, body frame, shape (3, 3)."""
        return np.stack([self.axle, self.forward, -self.press], axis=1)

    @cached_property
    def straight(self) -> bool:
        """These are the body's own axes, so that nothing needs to be turned."""
        return bool((self.basis == np.eye(3)).all())

    @cached_property
    def lever_along_m(self) -> NDArray[np.float64]:
        """`lever_m` along axle, rolling direction and away from the skin, m, shape (3,)."""
        return self.lever_m @ self.basis

    @cached_property
    def turning(self) -> NDArray[np.float64]:
        """What an angular rate (a row) is multiplied by to give the velocity of the axle about the IMU, m, (3, 3)."""
        return np.cross(np.eye(3), self.lever_m)

    @cached_property
    def slope_turning(self) -> NDArray[np.float64]:
        """The same for the angular rates of three samples in a row: its slope at the last, times a period, (9, 3)."""
        return np.concatenate([0.5 * self.turning, -2.0 * self.turning, 1.5 * self.turning])

    @cached_property
    def force_axis(self) -> NDArray[np.float64]:
        """Unit vector of the load cell's axis, body frame: as the calibration says, else `press`. Shape (3,)."""
        record = self.calibration
        axis = _unit(record.axis_x, record.axis_y, record.axis_z)
        return axis if axis.any() else self.press

    @cached_property
    def head_mass_kg(self) -> float:
        """Mass that hangs on the load cell, kg: as the calibration says, else that of the geometry."""
        return self.calibration.head_mass_kg or self.geometry.head_mass_kg

    @cached_property
    def range_n(self) -> float:
        """Load at which cell or converter clips, N."""
        record = self.calibration
        rail_n = (_I24_MAX - abs(record.zero_counts)) * abs(record.n_per_count)
        return min(record.max_force_n, rail_n) if record.max_force_n > 0 else rail_n

    @cached_property
    def lever_m(self) -> NDArray[np.float64]:
        """From the IMU to the axle, body frame, m, shape (3,)."""
        geometry = self.geometry
        return np.array([geometry.lever_x_m, geometry.lever_y_m, geometry.lever_z_m])


def _unit(*components: float) -> NDArray[np.float64]:
    vector = np.array(components)
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm > 0 else vector


class RawBlock(NamedTuple):
    """Counts of one stream with the session time of each sample."""

    stream_id: int
    t_s: NDArray[np.float64]
    """Shape (n,)."""
    counts: NDArray[np.int32]
    """Shape (n, n_channels)."""


class Samples(NamedTuple):
    """Calibrated samples on the IMU's clock. All have n rows."""

    t_s: NDArray[np.float64]
    gyro_rad_s: NDArray[np.float64]
    """Angular rate, body frame, (n, 3)."""
    acc_m_s2: NDArray[np.float64]
    """Specific force, body frame, (n, 3)."""
    roll_rad: NDArray[np.float64]
    """Roller angle against the handle, unwrapped, positive when rolling forward; NaN without an encoder."""
    cell_n: NDArray[np.float64]
    """Load on the cell, N: sensitivity applied, stored zero removed, head weight still in it."""


class _Track(NamedTuple):
    """Samples of a stream that wait for their partners, in counts."""

    t_s: NDArray[np.float64] = np.zeros(0)
    counts: NDArray[np.int32 | np.int64] = np.zeros(0, np.int32)
    """Shape (n,), of the IMU (n, 6); those of the encoder unwrapped."""


_NONE = _Track()


class AlignState(NamedTuple):
    """Memory between packets: samples that wait until the slower streams have caught up."""

    imu: _Track = _Track(counts=np.zeros((0, 6), np.int32))
    roll: _Track = _Track()
    force_raw: _Track = _Track()
    force: _Track = _Track()
    """The device's own force; waits only as long as no FORCE_RAW has come."""


def hold_step(state: AlignState, blocks: list[RawBlock]) -> AlignState:
    """Take in the blocks of a packet and let all samples wait, the last `PATIENCE_S` of each stream at most.

    Parameters
    ----------
    state : AlignState
        Waiting samples.
    blocks : list of RawBlock
        Next samples of each stream, in order of time.
    """
    state = _take(state, blocks)
    return AlignState._make(map(_newest, state))


def align_step(model: DeviceModel, state: AlignState, blocks: list[RawBlock]) -> tuple[Samples, AlignState]:
    """Calibrate the blocks of a packet and bring roller angle and force to the sample times of the IMU.

    Values between two samples are interpolated linearly; an IMU sample waits until both neighbours are there, and one
    that can never have them (before the first sample of another stream) is dropped. How samples are divided into
    packets changes nothing. A device without ROLL gives no roller angle (NaN); one without FORCE_RAW is taken at its
    word for the force (FORCE).

    Parameters
    ----------
    model : DeviceModel
        Scales and records of the device, and the streams that it sends.
    state : AlignState
        Waiting samples. Begin with a new one after a gap.
    blocks : list of RawBlock
        Next samples of each stream, in order of time.

    Returns
    -------
    samples : Samples
        What is complete now; may be empty.
    state : AlignState
        Memory for the next packet.
    """
    state = _take(state, blocks)
    imu, roll, force_raw, force = state
    has_encoder, raw = model.has_encoder, FORCE_RAW in model.streams
    if raw:
        force = force_raw
    partners = [roll.t_s, force.t_s] if has_encoder else [force.t_s]
    if not (len(imu.t_s) and all(map(len, partners))):
        return _calibrated(model, imu, slice(0, 0), roll, force), hold_step(state, [])
    begin = int(imu.t_s.searchsorted(max([t_s.item(0) for t_s in partners])))
    end = max(int(imu.t_s.searchsorted(min([t_s.item(-1) for t_s in partners]), "right")), begin)
    samples = _calibrated(model, imu, slice(begin, end), roll, force)
    force = _tail(force, samples.t_s)
    left = AlignState(
        imu=_Track(imu.t_s[end:], imu.counts[end:]),
        roll=_tail(roll, samples.t_s) if has_encoder else _NONE,
        force_raw=force if raw else _NONE,
        force=_NONE if raw else force,
    )
    return samples, left


def _take(state: AlignState, blocks: list[RawBlock]) -> AlignState:
    """Append blocks to their tracks."""
    imu, roll, force_raw, force = state
    for stream_id, t_s, counts in blocks:
        if not len(t_s):
            continue
        if stream_id == IMU6:
            imu = _append(imu, t_s, counts)
        elif stream_id == ROLL:
            roll = _append(roll, t_s, _unwrap(roll, counts[:, 0]))
        elif stream_id == FORCE_RAW:
            force_raw = _append(force_raw, t_s, counts[:, 0])
        elif stream_id == FORCE and not len(force_raw.t_s):
            force = _append(force, t_s, counts[:, 0])
    return AlignState(imu, roll, force_raw, force)


def _append(track: _Track, t_s: NDArray[np.float64], counts: NDArray[np.int32 | np.int64]) -> _Track:
    if not len(track.t_s):
        return _Track(t_s, counts)
    return _Track(np.concatenate([track.t_s, t_s]), np.concatenate([track.counts, counts]))


def _unwrap(roll: _Track, counts: NDArray[np.int32]) -> NDArray[np.int64]:
    """Counts without the jumps of whole turns, going on from those that wait."""
    half = TURN_COUNTS // 2
    last = roll.counts.item(-1) if len(roll.counts) else counts.item(0)
    unwrapped: list[int] = []
    for count in counts.tolist():
        last += (count - last + half) % TURN_COUNTS - half
        unwrapped.append(last)
    return np.array(unwrapped, np.int64)


def _calibrated(model: DeviceModel, imu: _Track, done: slice, roll: _Track, force: _Track) -> Samples:
    """Rows of the IMU in SI units, with the values of the slower streams at their times."""
    t_s, counts = imu.t_s[done], imu.counts[done]
    if not model.has_encoder:
        roll_rad = np.full(len(t_s), np.nan)
    elif len(t_s):
        roll_rad = np.interp(t_s, *roll) * (model.roll_rad_per_count * model.geometry.encoder_sign)
    else:
        roll_rad = t_s
    cell = np.interp(t_s, *force) if len(t_s) else t_s
    if FORCE_RAW in model.streams:
        cell_n = (cell - model.calibration.zero_counts) * model.calibration.n_per_count
    else:
        cell_n = cell * FORCE_N_PER_COUNT
    gyro, acc = counts[:, :3] * model.gyro_rad_s_per_count, counts[:, 3:] * model.acc_m_s2_per_count
    return Samples(t_s, np.asarray(gyro, np.float64), np.asarray(acc, np.float64), roll_rad, cell_n)


def _tail(track: _Track, t_s: NDArray[np.float64]) -> _Track:
    """Keep what later samples may still need: from the last point at or before the newest finished sample."""
    if not len(t_s):
        return track
    keep = max(int(track.t_s.searchsorted(t_s.item(-1), "right")) - 1, 0)
    return _Track(track.t_s[keep:], track.counts[keep:])


def _newest(track: _Track) -> _Track:
    """Keep the last seconds of a stream whose partners have not shown up: they may never."""
    keep = int(track.t_s.searchsorted(track.t_s[-1] - PATIENCE_S)) if len(track.t_s) else 0
    return _Track(track.t_s[keep:], track.counts[keep:])
