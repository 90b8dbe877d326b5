# SPDX-License-Identifier: MIT
"""Sensors of the reference device: from truth to counts, with noise, bias and clocks that are several percent off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from firmware_protocol import codec, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from simulator.truth import Truth


@dataclass(frozen=True)
class Flaws:
    """Imperfections of one device. Standard deviations unless said otherwise."""

    oscillator: float = 0.03
    """IMU and ADC run on RC oscillators: deviation of their rates from nominal."""
    gyro_bias_rad_s: float = 0.0087
    gyro_noise_rad_s: float = 0.0006
    gyro_scale: float = 0.005
    acc_bias_m_s2: float = 0.049
    acc_noise_m_s2: float = 0.009
    acc_scale: float = 0.002
    mounting_rad: float = 0.0175
    vibration_m_s2: float = 0.3
    """Shaking of the handle while the roller moves on skin."""
    zero_counts: float = 15000.0
    force_noise_n: float = 0.005
    sensitivity: float = 0.03
    """Spread of load cells around the nominal sensitivity."""
    calibration: float = 0.004
    """Error of the sensitivity in the device's calibration record."""
    head_mass_kg: float = 0.001
    encoder_jitter_m: float = 1e-4


class Readings(NamedTuple):
    """Raw samples of a stretch of time, with the true times at which they were taken."""

    imu_s: NDArray[np.float64]
    imu: NDArray[np.int32]
    """Gyro then accelerometer, counts, (n, 6)."""
    roll: NDArray[np.int32]
    """Roller angle, counts of 65536 a turn, (n,)."""
    force_s: NDArray[np.float64]
    force: NDArray[np.int32]
    """Load cell, counts, (m,)."""


class Sensors:
    """Samples an endless stream of truth.

    Parameters
    ----------
    seed : int
        Draws the individual device.
    truth : iterator of Truth
        Adjoining stretches, in order.
    flaws : Flaws, optional
        How imperfect the device is.
    """

    def __init__(self, seed: int, truth: Iterator[Truth], flaws: Flaws | None = None) -> None:
        self.flaws = flaws = flaws or Flaws()
        self._rng = rng = np.random.default_rng([seed, 2])
        self._truth = truth
        self._now: Truth | None = None
        self.imu_rate_hz = reference.IMU_RATE_HZ * (1 + float(np.clip(rng.normal(0, flaws.oscillator), -0.07, 0.07)))
        self.force_rate_hz = reference.FORCE_RATE_HZ * (
            1 + float(np.clip(rng.normal(0, flaws.oscillator), -0.07, 0.07))
        )
        self._n_imu = self._n_force = 0
        self._mount = Rotation.from_rotvec(rng.normal(0, flaws.mounting_rad / np.sqrt(3), 3))
        self._gyro_bias = rng.normal(0, flaws.gyro_bias_rad_s, 3)
        self._gyro_scale = 1 + rng.normal(0, flaws.gyro_scale, 3)
        self._acc_bias = rng.normal(0, flaws.acc_bias_m_s2, 3)
        self._acc_scale = 1 + rng.normal(0, flaws.acc_scale, 3)
        self._zero = round(rng.normal(0, flaws.zero_counts))
        self._n_per_count = reference.N_PER_COUNT * (1 + rng.normal(0, flaws.sensitivity))
        self._head_mass_kg = reference.CALIBRATION.head_mass_kg + rng.normal(0, flaws.head_mass_kg)
        self.calibration = reference.CALIBRATION._replace(
            flags=1,
            zero_counts=0,
            n_per_count=self._n_per_count * (1 + rng.normal(0, flaws.calibration)),
            points=5,
            max_error_n=0.05,
        )
        """What the maker of this device found out with weights; its zero has moved since."""

    def read(self, until_s: float) -> Readings:
        """Take all samples that are due before ``until_s``, true time in s."""
        parts: list[Readings] = []
        while True:
            if self._now is None:
                self._now = next(self._truth)
            end_s = min(until_s, float(self._now.t_s[-1]))
            parts.append(self._sample(self._now, end_s))
            if until_s <= self._now.t_s[-1]:
                break
            self._now = next(self._truth).after(self._now)
        return Readings(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _due(self, n_taken: int, rate_hz: float, end_s: float) -> NDArray[np.float64]:
        n_end = max(int(np.floor(end_s * rate_hz + 0.5)), n_taken)
        return np.asarray((np.arange(n_taken, n_end) + 0.5) / rate_hz, np.float64)

    def _sample(self, truth: Truth, end_s: float) -> Readings:
        imu_s = self._due(self._n_imu, self.imu_rate_hz, end_s)
        force_s = self._due(self._n_force, self.force_rate_hz, end_s)
        self._n_imu += len(imu_s)
        self._n_force += len(force_s)
        return Readings(imu_s, self._imu(truth, imu_s), self._roll(truth, imu_s), force_s, self._force(truth, force_s))

    def _imu(self, truth: Truth, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        flaws, rng, n = self.flaws, self._rng, len(t_s)
        gyro = self._mount.apply(_at(t_s, truth.t_s, truth.gyro_rad_s).reshape(n, 3)) if n else np.zeros((0, 3))
        acc = self._mount.apply(_at(t_s, truth.t_s, truth.acc_m_s2).reshape(n, 3)) if n else np.zeros((0, 3))
        shaken = _at(t_s, truth.t_s, truth.moving.astype(float))[:, np.newaxis]
        gyro = gyro * self._gyro_scale + self._gyro_bias + rng.normal(0, flaws.gyro_noise_rad_s, (n, 3))
        acc = acc * self._acc_scale + self._acc_bias + rng.normal(0, flaws.acc_noise_m_s2, (n, 3))
        acc += shaken * rng.normal(0, flaws.vibration_m_s2, (n, 3))
        counts = np.hstack([gyro / reference.GYRO_RAD_S_PER_COUNT, acc / reference.ACC_M_S2_PER_COUNT])
        return np.clip(np.rint(counts), -32768, 32767).astype(np.int32)

    def _roll(self, truth: Truth, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        jitter_rad = self.flaws.encoder_jitter_m / reference.GEOMETRY.roller_radius_m
        angle = _at(t_s, truth.t_s, truth.roll_rad) + self._rng.normal(0, jitter_rad, len(t_s))
        steps = np.floor(angle / (2 * np.pi) * 2**reference.ROLL_BITS).astype(np.int64)
        return ((steps << (16 - reference.ROLL_BITS)) & 0xFFFF).astype(np.int32)

    def _force(self, truth: Truth, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        axial = _at(t_s, truth.t_s, truth.axial_n)
        head = -_at(t_s, truth.t_s, truth.head_acc_m_s2[:, 2])
        newtons = axial + self._head_mass_kg * head + self._rng.normal(0, self.flaws.force_noise_n, len(t_s))
        counts = np.rint(newtons / self._n_per_count) + self._zero
        return np.clip(counts, -(2**23), 2**23 - 1).astype(np.int32)

    def calibration_payload(self) -> bytes:
        """CALIBRATION record of this device."""
        return codec.encode_record("CALIBRATION", self.calibration)


def _at(t_s: NDArray[np.float64], grid_s: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate rows of ``values`` linearly from an even grid."""
    place = (t_s - grid_s[0]) / (grid_s[-1] - grid_s[0]) * (len(grid_s) - 1)
    low = np.clip(place.astype(np.int64), 0, len(grid_s) - 2)
    share = (place - low).reshape(-1, *[1] * (values.ndim - 1))
    return values[low] * (1 - share) + values[low + 1] * share
