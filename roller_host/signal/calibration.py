# SPDX-License-Identifier: MIT
"""From raw counts to SI units, and all streams onto the clock of the IMU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol import codec, reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMU6 = codec.STREAM_ID["IMU6"]
ROLL = codec.STREAM_ID["ROLL"]
FORCE_RAW = codec.STREAM_ID["FORCE_RAW"]
PATIENCE_S = 5.0
"""How long samples are kept for a stream that has not begun, s."""


@dataclass(frozen=True)
class DeviceModel:
    """What is known about the device: its records and scales. Defaults are those of the reference device."""

    calibration: codec.Calibration = field(default_factory=lambda: reference.CALIBRATION)
    geometry: codec.Geometry = field(default_factory=lambda: reference.GEOMETRY)
    gyro_rad_s_per_count: float = reference.GYRO_RAD_S_PER_COUNT
    acc_m_s2_per_count: float = reference.ACC_M_S2_PER_COUNT
    roll_rad_per_count: float = reference.ROLL_RAD_PER_COUNT

    @property
    def axle(self) -> NDArray[np.float64]:
        """Unit vector along the axle, body frame, shape (3,)."""
        return _unit(self.geometry.axle_x, self.geometry.axle_y, self.geometry.axle_z)

    @property
    def press(self) -> NDArray[np.float64]:
        """Unit vector into the skin, body frame, shape (3,)."""
        return _unit(self.geometry.press_x, self.geometry.press_y, self.geometry.press_z)

    @property
    def forward(self) -> NDArray[np.float64]:
        """Unit vector of positive rolling, body frame, shape (3,)."""
        return np.cross(self.axle, self.press)

    @property
    def lever_m(self) -> NDArray[np.float64]:
        """From the IMU to the axle, body frame, m, shape (3,)."""
        return np.array([self.geometry.lever_x_m, self.geometry.lever_y_m, self.geometry.lever_z_m])


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
    """Roller angle against the handle, unwrapped, positive when rolling forward."""
    cell_n: NDArray[np.float64]
    """Load on the cell, N: sensitivity applied, stored zero removed, head weight still in it."""


class _Track(NamedTuple):
    """Samples of a stream that wait for their partners."""

    t_s: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class AlignState:
    """Memory between packets: samples that wait until the slower streams have caught up."""

    imu: _Track = field(default_factory=lambda: _Track(np.zeros(0), np.zeros((0, 6))))
    roll: _Track = field(default_factory=lambda: _Track(np.zeros(0), np.zeros((0, 1))))
    force: _Track = field(default_factory=lambda: _Track(np.zeros(0), np.zeros((0, 1))))


def align_step(model: DeviceModel, state: AlignState, blocks: list[RawBlock]) -> tuple[Samples, AlignState]:
    """Calibrate the blocks of a packet and bring roller angle and force to the sample times of the IMU.

    Values between two samples are interpolated linearly; an IMU sample waits until both neighbours are there, and one
    that can never have them (before the first sample of another stream) is dropped. How samples are divided into
    packets changes nothing.

    Parameters
    ----------
    model : DeviceModel
        Scales and records of the device.
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
    imu, roll, force = state.imu, state.roll, state.force
    for block in blocks:
        counts = block.counts.astype(np.float64)
        if block.stream_id == IMU6:
            scale = [model.gyro_rad_s_per_count] * 3 + [model.acc_m_s2_per_count] * 3
            imu = _append(imu, block.t_s, counts * np.array(scale))
        elif block.stream_id == ROLL:
            roll = _append(roll, block.t_s, _unwrap(model, roll, counts))
        elif block.stream_id == FORCE_RAW:
            newtons = (counts - model.calibration.zero_counts) * model.calibration.n_per_count
            force = _append(force, block.t_s, newtons)
    if not (len(imu.t_s) and len(roll.t_s) and len(force.t_s)):
        waiting = AlignState(*(_newest(track) for track in (imu, roll, force)))
        return _samples(imu, 0, 0, np.zeros(0), np.zeros(0)), waiting
    begin = int(np.searchsorted(imu.t_s, max(roll.t_s[0], force.t_s[0])))
    end = max(int(np.searchsorted(imu.t_s, min(roll.t_s[-1], force.t_s[-1]), side="right")), begin)
    t_s = imu.t_s[begin:end]
    samples = _samples(imu, begin, end, _between(t_s, roll), _between(t_s, force))
    left = _Track(imu.t_s[end:], imu.values[end:])
    return samples, AlignState(left, _tail(roll, t_s), _tail(force, t_s))


def _append(track: _Track, t_s: NDArray[np.float64], values: NDArray[np.float64]) -> _Track:
    return _Track(np.concatenate([track.t_s, t_s]), np.concatenate([track.values, values]))


def _unwrap(model: DeviceModel, roll: _Track, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    angle = counts * (model.roll_rad_per_count * model.geometry.encoder_sign)
    if not len(angle):
        return angle
    # Sample by sample from the one before, so that the division into blocks cannot show in the last bit.
    unwrapped, last = np.empty_like(angle), float(roll.values[-1, 0] if len(roll.t_s) else angle[0, 0])
    for i, value in enumerate(angle[:, 0].tolist()):
        last += (value - last + np.pi) % (2 * np.pi) - np.pi
        unwrapped[i, 0] = last
    return unwrapped


def _between(t_s: NDArray[np.float64], track: _Track) -> NDArray[np.float64]:
    after = np.clip(np.searchsorted(track.t_s, t_s), 1, max(len(track.t_s) - 1, 1))
    if len(track.t_s) == 1:
        return np.repeat(track.values[:, 0], len(t_s))
    before = after - 1
    share = (t_s - track.t_s[before]) / (track.t_s[after] - track.t_s[before])
    return track.values[before, 0] * (1 - share) + track.values[after, 0] * share


def _tail(track: _Track, t_s: NDArray[np.float64]) -> _Track:
    """Keep what later samples may still need: from the last point at or before the newest finished sample."""
    if not len(t_s):
        return track
    keep = max(int(np.searchsorted(track.t_s, t_s[-1], side="right")) - 1, 0)
    return _Track(track.t_s[keep:], track.values[keep:])


def _newest(track: _Track) -> _Track:
    """Keep the last seconds of a stream whose partners have not shown up: they may never."""
    keep = int(np.searchsorted(track.t_s, track.t_s[-1] - PATIENCE_S)) if len(track.t_s) else 0
    return _Track(track.t_s[keep:], track.values[keep:])


def _samples(imu: _Track, begin: int, end: int, roll: NDArray[np.float64], force: NDArray[np.float64]) -> Samples:
    values = imu.values[begin:end]
    return Samples(imu.t_s[begin:end], values[:, :3], values[:, 3:], roll, force)
