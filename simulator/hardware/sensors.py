# SPDX-License-Identifier: MIT
"""Sensors of the reference device: sampled in time with clocks that are several percent off.

A stretch of truth is sampled as a whole when it is reached; `Sensors.read` hands out slices of that. So what is read
does not depend on how reading is divided in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol import layout, reference
from simulator.hardware.flaws import Flaws
from simulator.hardware.parts import Encoder, Imu, LoadCell, Oscillator, Thermometer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from simulator.body.truth import Truth

TEMP_RATE_HZ = 1.0
HAPTIC_HZ = 175.0
"""Resonance of the motor."""


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
    quat: NDArray[np.int32]
    """Orientation as fused on the chip: x, y, z of q_world_body in Q15 with w >= 0, (n, 3), at the times of the IMU."""
    temp_s: NDArray[np.float64]
    temp: NDArray[np.int32]
    """Thermometer, counts of 0.01 degrees C, (k,)."""


class _Feed:
    """Samples of one clock in the present stretch, of which a part has been handed out."""

    def __init__(self, clock: Oscillator, parts: list[Callable[[NDArray[np.float64]], NDArray[np.int32]]]) -> None:
        self._clock, self._parts = clock, parts
        self._columns: list[NDArray] = []
        self._at = 0

    def fill(self, end_s: float) -> None:
        t_s = self._clock.due(end_s)
        self._columns = [t_s, *(part(t_s) for part in self._parts)]
        self._at = 0

    def restart(self, now_s: float, end_s: float, rate_hz: float | None) -> None:
        """Sample anew what was not handed out."""
        self._clock.restart(now_s, rate_hz)
        self.fill(end_s)

    def take(self, until_s: float) -> list[NDArray]:
        begin, self._at = self._at, max(int(self._columns[0].searchsorted(until_s)), self._at)
        return [column[begin : self._at] for column in self._columns]


class Sensors:
    """Samples an endless stream of truth.

    Parameters
    ----------
    seed : int
        Draws the individual device.
    truth : iterator of Truth
        Adjoining stretches, in order. The next one is asked for when a reading reaches it.
    flaws : Flaws, optional
        How imperfect the device is.
    """

    def __init__(self, seed: int, truth: Iterator[Truth], flaws: Flaws | None = None) -> None:
        self.flaws = flaws = flaws or Flaws()
        rng, more = np.random.default_rng([seed, 2]), np.random.default_rng([seed, 2, 1])
        self._truth = truth
        self._imu_clock = _clock(rng, more, flaws, reference.IMU_RATE_HZ)
        self._force_clock = _clock(rng, more, flaws, reference.FORCE_RATE_HZ)
        self._imu = Imu(rng, more, flaws)
        self._cell = LoadCell(rng, more, flaws)
        encoder, thermometer = Encoder(more, flaws), Thermometer(more, flaws)
        self._parts = (self._imu, encoder, self._cell, thermometer)
        self._imu_feed = _Feed(self._imu_clock, [self._imu.sample, encoder.sample, self._imu.fused])
        self._force_feed = _Feed(self._force_clock, [self._cell.sample])
        temp_feed = _Feed(Oscillator(0.0, 0.0, 1.0, 0.0, TEMP_RATE_HZ), [thermometer.sample])
        self._feeds = (self._imu_feed, self._force_feed, temp_feed)
        self._haptics: list[tuple[float, float, float]] = []
        self._haptic_phases = more.uniform(0, 2 * np.pi, 7)
        self._now_s, self._end_s = 0.0, -1.0
        self.calibration = reference.CALIBRATION._replace(
            flags=1,
            zero_counts=0,
            n_per_count=self._cell.n_per_count * (1 + rng.normal(0, flaws.calibration)),
            points=5,
            max_error_n=0.05,
        )
        """What the maker of this device found out with weights; its zero has moved since."""

    @property
    def imu_rate_hz(self) -> float:
        """True rate of IMU and encoder at present, Hz."""
        return self._imu_clock.rate_hz(self._now_s)

    @property
    def force_rate_hz(self) -> float:
        """True rate of the load cell at present, Hz."""
        return self._force_clock.rate_hz(self._now_s)

    @property
    def imu_range(self) -> int:
        """Present range of the IMU, index into `layout.IMU_RANGES`."""
        return self._imu.range_index

    @property
    def zero_counts(self) -> int:
        """True reading of the unloaded load cell when the device was new, counts; what a tare has to find."""
        return self._cell.zero_counts

    @property
    def n_per_count(self) -> float:
        """True sensitivity of the load cell; what a calibration has to find."""
        return self._cell.n_per_count

    @property
    def head_mass_kg(self) -> float:
        """True mass of the roller's head."""
        return self._cell.head_mass_kg

    def configure(
        self, imu_rate_hz: int | None = None, imu_range: int | None = None, force_rate_hz: int | None = None
    ) -> None:
        """Change how the parts sample from the end of the last reading on.

        Parameters
        ----------
        imu_rate_hz, force_rate_hz : int, optional
            Nominal rates, Hz.
        imu_range : int, optional
            Index into `layout.IMU_RANGES`.

        Raises
        ------
        ValueError
            When there is no such range or a rate is none of `layout.RATES_HZ`.
        """
        rates = {imu_rate_hz, force_rate_hz} - {None}
        if not rates <= set(layout.RATES_HZ) or not 0 <= (imu_range or 0) < len(layout.IMU_RANGES):
            raise ValueError(f"no such rate or range: {imu_rate_hz=}, {imu_range=}, {force_rate_hz=}")
        if imu_range is not None:
            self._imu.range_index = imu_range
        if imu_rate_hz is not None or imu_range is not None:
            self._restart(self._imu_feed, self._imu_clock, imu_rate_hz)
        if force_rate_hz is not None:
            self._restart(self._force_feed, self._force_clock, force_rate_hz)

    def _restart(self, feed: _Feed, clock: Oscillator, rate_hz: float | None) -> None:
        if self._end_s < 0:
            clock.restart(0.0, rate_hz)
        else:
            feed.restart(self._now_s, self._end_s, rate_hz)

    def haptic(self, begin_s: float, end_s: float, strength: float) -> None:
        """Let the motor run; its vibration disturbs what is read from now on.

        Parameters
        ----------
        begin_s, end_s : float
            True time, s.
        strength : float
            0 to 1.
        """
        self._haptics.append((begin_s, end_s, strength))

    def read(self, until_s: float) -> Readings:
        """Take all samples that are due before ``until_s``, true time in s."""
        taken: list[list[NDArray]] = [[] for _ in Readings._fields]
        while self._end_s < until_s:
            self._keep(taken, self._end_s)
            truth = next(self._truth)
            self._end_s = float(truth.t_s[-1])
            for part in self._parts:
                part.enter(truth)
            for feed in self._feeds:
                feed.fill(self._end_s)
        self._keep(taken, until_s)
        self._now_s = max(self._now_s, until_s)
        readings = Readings(*(parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in taken))
        return self._shaken(readings) if self._haptics else readings

    def _keep(self, taken: list[list[NDArray]], until_s: float) -> None:
        """Append what is due of the present stretch, in the order of `Readings`."""
        if self._end_s < 0:
            return
        (imu_s, imu, roll, quat), (force_s, force), (temp_s, temp) = (feed.take(until_s) for feed in self._feeds)
        for parts, part in zip(taken, (imu_s, imu, roll, force_s, force, quat, temp_s, temp), strict=True):
            parts.append(part)

    def _shaken(self, readings: Readings) -> Readings:
        """Add what the motor does to IMU and load cell."""
        flaws = self.flaws
        amplitudes = np.array([flaws.haptic_rad_s] * 3 + [flaws.haptic_m_s2] * 3)
        imu = self._vibration(readings.imu_s, self._haptic_phases[:6]) * amplitudes
        force = self._vibration(readings.force_s, self._haptic_phases[6:])[:, 0] * flaws.haptic_n
        self._haptics = [run for run in self._haptics if run[1] > self._now_s]
        return readings._replace(
            imu=np.clip(readings.imu + self._imu.counts(imu), *_I16),
            force=readings.force + np.rint(force / self._cell.n_per_count).astype(np.int32),
        )

    def _vibration(self, t_s: NDArray[np.float64], phases: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of unit amplitude at full strength, shape (n, n_phases)."""
        strength = np.zeros(len(t_s))
        for begin_s, end_s, run in self._haptics:
            strength = np.maximum(strength, np.where((t_s >= begin_s) & (t_s < end_s), run, 0.0))
        return strength[:, np.newaxis] * np.sin(2 * np.pi * HAPTIC_HZ * t_s[:, np.newaxis] + phases)


_I16 = (-(2**15), 2**15 - 1)


def _clock(rng: np.random.Generator, more: np.random.Generator, flaws: Flaws, rate_hz: int) -> Oscillator:
    deviation = float(np.clip(rng.normal(0, flaws.oscillator), -0.07, 0.07))
    return Oscillator(
        deviation, flaws.oscillator_drift, float(more.uniform(400, 1200)), float(more.uniform(0, 2 * np.pi)), rate_hz
    )
