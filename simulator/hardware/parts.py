# SPDX-License-Identifier: MIT
"""The sensing parts of the device, each from truth to its own counts.

A part first *enters* a stretch of truth, which carries its slow states on (bias, creep), and then *samples* it as often
as it is asked to, at times of that stretch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

from firmware_protocol import reference
from simulator.body import rotations
from simulator.body.truth import GRID_HZ, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulator.body.truth import Truth
    from simulator.hardware.flaws import Flaws

I16_MAX = 2**15 - 1
I24_MAX = 2**23 - 1


class Oscillator:
    """Sampling clock of a part: off by a constant share, and drifting slowly around that.

    Parameters
    ----------
    deviation : float
        Mean rate is faster by this share.
    drift : float
        Amplitude of the drift, a share.
    period_s, phase_rad : float
        Of the drift.
    rate_hz : float
        Nominal sample rate.
    """

    def __init__(self, deviation: float, drift: float, period_s: float, phase_rad: float, rate_hz: float) -> None:
        self._mean, self._drift, self._phase_rad = 1 + deviation, drift, phase_rad
        self._turn_rad_s = 2 * np.pi / period_s
        self._nominal_hz = rate_hz
        self._begin = 0.0
        self._taken = 0

    def rate_hz(self, t_s: float) -> float:
        """True sample rate at a time, Hz."""
        return self._nominal_hz * (self._mean + self._drift * float(np.sin(self._turn_rad_s * t_s + self._phase_rad)))

    def restart(self, t_s: float, rate_hz: float | None = None) -> None:
        """Forget samples from ``t_s`` on; with another rate, begin anew there."""
        told = float(self._told(np.array(t_s)))
        if rate_hz is None:
            self._taken = max(int(np.ceil((told - self._begin) * self._nominal_hz - 0.5)), 0)
        else:
            self._nominal_hz, self._begin, self._taken = rate_hz, told, 0

    def due(self, until_s: float) -> NDArray[np.float64]:
        """True times of the samples not yet taken before ``until_s``, which count as taken."""
        end = int(np.floor((float(self._told(np.array(until_s))) - self._begin) * self._nominal_hz + 0.5))
        told = self._begin + (np.arange(self._taken, max(end, self._taken)) + 0.5) / self._nominal_hz
        self._taken = max(end, self._taken)
        t_s = np.asarray(told / self._mean, np.float64)
        for _ in range(4):  # each leaves a thousandth of the error of the one before
            t_s -= (self._told(t_s) - told) / self._mean
        return t_s

    def _told(self, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Nominal seconds that the oscillator has counted at true times."""
        swing = np.cos(self._phase_rad) - np.cos(self._turn_rad_s * t_s + self._phase_rad)
        return self._mean * t_s + self._drift / self._turn_rad_s * swing


class Imu:
    """Gyroscope and accelerometer on a board that sits a little askew, and the orientation a chip makes of them."""

    def __init__(self, rng: np.random.Generator, more: np.random.Generator, flaws: Flaws) -> None:
        self._flaws, self._more, self._noise = flaws, more, more.spawn(1)[0]
        self.range_index = 0
        self._q_sensor_body = rotations.from_rotvec(rng.normal(0, flaws.mounting_rad / np.sqrt(3), 3))
        gyro_bias = rng.normal(0, flaws.gyro_bias_rad_s, 3)
        gyro_scale = 1 + rng.normal(0, flaws.gyro_scale, 3)
        acc_bias = rng.normal(0, flaws.acc_bias_m_s2, 3)
        acc_scale = 1 + rng.normal(0, flaws.acc_scale, 3)
        self._biases = np.tile(np.concatenate([gyro_bias, acc_bias]), (2, 1))
        self._gyro = _with_leaks(gyro_scale, flaws.gyro_cross, more)
        self._acc = _with_leaks(acc_scale, flaws.acc_cross, more)
        self._waves = 2 * np.pi / more.uniform(20, 60, 3), more.uniform(0, 2 * np.pi, 3)
        self._truth: Truth

    def enter(self, truth: Truth) -> None:
        """Go on to the next stretch."""
        flaws = self._flaws
        minutes = len(truth.t_s) / GRID_HZ / 60
        walk = np.repeat([flaws.gyro_walk_rad_s, flaws.acc_walk_m_s2], 3) * np.sqrt(minutes)
        self._biases = np.array([self._biases[1], self._biases[1] + self._more.normal(0, 1, 6) * walk])
        self._truth = truth

    def sample(self, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        """Gyroscope then accelerometer, counts, (n, 6)."""
        flaws, noise, truth, shape = self._flaws, self._noise, self._truth, (len(t_s), 3)
        grid = Grid(truth.t_s, t_s)
        gyro = rotations.rotate(self._q_sensor_body, grid.of(truth.gyro_rad_s)) @ self._gyro.T
        acc = rotations.rotate(self._q_sensor_body, grid.of(truth.acc_m_s2)) @ self._acc.T
        gyro += noise.normal(0, flaws.gyro_noise_rad_s, shape)
        acc += noise.normal(0, flaws.acc_noise_m_s2, shape)
        acc += grid.of(truth.moving)[:, np.newaxis] * noise.normal(0, flaws.vibration_m_s2, shape)
        both = np.hstack([gyro, acc]) + Grid(truth.t_s[[0, -1]], t_s).of(self._biases)
        return self.counts(both)

    def counts(self, values: NDArray[np.float64]) -> NDArray[np.int32]:
        """Angular rates (rad/s) and specific forces (m/s2), (n, 6), as the registers show them in the present range."""
        scales = reference.imu_scales(self.range_index)
        return np.clip(np.rint(values / np.repeat(scales, 3)), -I16_MAX - 1, I16_MAX).astype(np.int32)

    def fused(self, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        """Orientation as fused on the chip: x, y, z of ``q_world_body`` in Q15, (n, 3), w >= 0."""
        truth, (rates_rad_s, phases) = self._truth, self._waves
        amplitude = np.radians(self._flaws.quat_deg) * np.sqrt(2 / 3)
        error = rotations.from_rotvec(amplitude * np.sin(t_s[:, np.newaxis] * rates_rad_s + phases))
        q_world_sensor = rotations.multiply(
            Grid(truth.t_s, t_s).quaternion(truth.q_world_body), rotations.inverse(self._q_sensor_body)
        )
        q = rotations.multiply(q_world_sensor, error)
        return np.rint(q[:, 1:] * np.copysign(I16_MAX, q[:, :1])).astype(np.int32)


class Encoder:
    """Magnetic angle sensor of the roller's axle, on the handle."""

    def __init__(self, more: np.random.Generator, flaws: Flaws) -> None:
        self._noise = more.spawn(1)[0]
        self._jitter_rad = flaws.encoder_jitter_m / reference.GEOMETRY.roller_radius_m
        self._once_rad, self._twice_rad = more.normal(0, 1, 2) * (flaws.runout_rad, flaws.runout_twice_rad)
        self._phases = more.uniform(0, 2 * np.pi, 2)
        self._truth: Truth

    def enter(self, truth: Truth) -> None:
        """Go on to the next stretch."""
        self._truth = truth

    def sample(self, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        """Counts of 65536 a turn, (n,)."""
        angle = Grid(self._truth.t_s, t_s).of(self._truth.roll_rad)
        angle = (
            angle
            + self._once_rad * np.sin(angle + self._phases[0])
            + self._twice_rad * np.sin(2 * angle + self._phases[1])
            + self._noise.normal(0, self._jitter_rad, len(t_s))
        )
        steps = np.floor(angle / (2 * np.pi) * 2**reference.ROLL_BITS).astype(np.int64)
        return ((steps << (16 - reference.ROLL_BITS)) & 0xFFFF).astype(np.int32)


class LoadCell:
    """Beam under the roller's head with its amplifier."""

    def __init__(self, rng: np.random.Generator, more: np.random.Generator, flaws: Flaws) -> None:
        self._flaws, self._more, self._noise = flaws, more, more.spawn(1)[0]
        self.zero_counts = round(rng.normal(0, flaws.zero_counts))
        self.n_per_count = reference.N_PER_COUNT * (1 + rng.normal(0, flaws.sensitivity))
        self.head_mass_kg = reference.CALIBRATION.head_mass_kg + rng.normal(0, flaws.head_mass_kg)
        self._leaks = more.normal(0, flaws.crosstalk, 2)
        self._zero_n_k, self._sensitivity_k = more.normal(0, 1, 2) * (flaws.zero_n_k, flaws.sensitivity_k)
        self._crept_n = 0.0
        self._zeros_n = np.zeros(2)
        self._truth: Truth
        self._shown_n: NDArray[np.float64]

    def enter(self, truth: Truth) -> None:
        """Go on to the next stretch."""
        flaws = self._flaws
        walk_n = flaws.zero_walk_n * np.sqrt(len(truth.t_s) / GRID_HZ / 60)
        self._zeros_n = np.array([self._zeros_n[1], self._zeros_n[1] + self._more.normal(0, walk_n)])
        warmer_k = truth.temp_c - reference.CALIBRATION.temp_ref_c
        weight_n = -self.head_mass_kg * truth.head_acc_m_s2[:, 2]
        load_n = truth.axial_n + truth.side_n @ self._leaks + weight_n
        load_n = np.clip(load_n, -flaws.stop_n, flaws.stop_n)
        self._shown_n = (load_n + self._creep_n(load_n)) * (
            1 + self._sensitivity_k * warmer_k
        ) + self._zero_n_k * warmer_k
        self._truth = truth

    def _creep_n(self, load_n: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the beam adds to its load: a share of it, reached and lost exponentially."""
        fall = np.exp(-1 / (self._flaws.creep_s * GRID_HZ))
        crept_n, _ = lfilter([1 - fall], [1.0, -fall], self._flaws.creep * load_n, zi=[fall * self._crept_n])
        self._crept_n = float(crept_n[-1])
        return np.asarray(crept_n)

    def sample(self, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        """Counts, (n,)."""
        truth = self._truth
        newtons = Grid(truth.t_s, t_s).of(self._shown_n) + Grid(truth.t_s[[0, -1]], t_s).of(self._zeros_n)
        return self.counts(newtons + self._noise.normal(0, self._flaws.force_noise_n, len(t_s)))

    def counts(self, newtons: NDArray[np.float64]) -> NDArray[np.int32]:
        """As the converter shows it."""
        counts = np.rint(newtons / self.n_per_count) + self.zero_counts
        return np.clip(counts, -I24_MAX - 1, I24_MAX).astype(np.int32)


class Thermometer:
    """Temperature at the load cell."""

    def __init__(self, more: np.random.Generator, flaws: Flaws) -> None:
        self._offset_c = more.normal(0, flaws.temp_c)
        self._truth: Truth

    def enter(self, truth: Truth) -> None:
        """Go on to the next stretch."""
        self._truth = truth

    def sample(self, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        """Counts of 0.01 degrees C, (n,)."""
        shown_c = Grid(self._truth.t_s, t_s).of(self._truth.temp_c) + self._offset_c
        return np.rint(shown_c * 100).astype(np.int32)


def _with_leaks(scale: NDArray[np.float64], leak: float, more: np.random.Generator) -> NDArray[np.float64]:
    """Matrix from true to measured axes, (3, 3)."""
    matrix = more.normal(0, leak, (3, 3))
    np.fill_diagonal(matrix, scale)
    return matrix
