# SPDX-License-Identifier: MIT
"""Known loads on the roller, one after the other, with the empty roller between them, and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roller_host.signal.calibration import GRAVITY_M_S2
from roller_host.signal.weights import WeightError, WeightParams, check_mass, fit_weights, reading_of

if TYPE_CHECKING:
    from firmware_protocol import codec
    from roller_host.signal.calibration import DeviceModel
    from roller_host.signal.steady import Plateau
    from roller_host.signal.weights import Reading, WeightFit


@dataclass(frozen=True)
class LoadParams:
    """What is asked of loads. All ours."""

    weights: WeightParams = field(default_factory=WeightParams)
    empty_n: float = 0.2
    """A load is off when the reading is back this close to the last one without, N,"""
    empty_share: float = 0.05
    """and this share of the load besides."""
    felt: float = 0.3
    """A load that the cell feels less of than this share does not hang there."""


class Loads:
    """Readings under known loads.

    Parameters
    ----------
    params : LoadParams
    pressed : bool
        The roller is pressed on a scale; masses are what that shows.
    readings : tuple of Reading
        What was read before.
    """

    def __init__(self, params: LoadParams, *, pressed: bool, readings: tuple[Reading, ...]) -> None:
        self._params, self._pressed = params, pressed
        self.readings = readings
        self.asked_kg: float | None = None
        """What is to hang there now; None: nothing."""
        self.wants_empty = True
        """The empty roller is to be read next."""
        self.fit: WeightFit | None = None
        self.suspects: tuple[int, ...] = ()
        """Readings that do not go with the others."""
        self.problem = ""
        """Why the readings make no calibration; empty while they are too few to say."""

    def ask(self, mass_kg: float, most_n: float) -> None:
        """Want a mass to hang there; raises `WeightError` when it is none, or the cell bears less."""
        check_mass(mass_kg, most_n)
        self.asked_kg = mass_kg

    def see(self, model: DeviceModel, plateau: Plateau, before: codec.Calibration) -> bool:
        """Read the empty roller by itself when it is wanted and there; True when that was done."""
        if self.asked_kg is not None or not self.wants_empty or not plateau.steady:
            return False
        reading = reading_of(self._params.weights, model, plateau, 0.0)
        if not self._is_off(model, reading):
            return False
        self.wants_empty = False
        self._read((*self.readings, reading), before)
        return True

    def is_on(self, model: DeviceModel, plateau: Plateau) -> bool:
        """Whether the mass that was asked for hangs there, still."""
        if self.asked_kg is None or not plateau.steady:
            return False
        return abs(self.load_n(model, plateau)) > self._params.felt * self.asked_kg * GRAVITY_M_S2

    def take(self, model: DeviceModel, plateau: Plateau, before: codec.Calibration) -> Reading:
        """Read the mass that was asked for; raises `WeightError` when the roller is held so that it cannot be."""
        mass_kg = self.asked_kg or 0.0
        reading = reading_of(self._params.weights, model, plateau, mass_kg, pressed=self._pressed)
        self.asked_kg, self.wants_empty = None, True
        self._read((*self.readings, reading), before)
        return reading

    def remove(self, i: int, before: codec.Calibration) -> None:
        """Forget a reading; others than those that there are, are left alone."""
        if 0 <= i < len(self.readings):
            left = (*self.readings[:i], *self.readings[i + 1 :])
            self.asked_kg = None
            self.wants_empty |= all(one.mass_kg for one in left)
            self._read(left, before)

    @property
    def last(self) -> int:
        """Which reading is that of the last mass; -1 when there is none."""
        return max((i for i, one in enumerate(self.readings) if one.mass_kg), default=-1)

    @property
    def n_lacking(self) -> int:
        """How many more different loads are needed at least."""
        return max(self._params.weights.fewest - len({one.mass_kg for one in self.readings}), 0)

    def n_per_count(self, model: DeviceModel) -> float:
        """Best sensitivity known."""
        return self.fit.n_per_count if self.fit else model.calibration.n_per_count

    def zero_counts(self) -> float:
        """Of the last empty reading; NaN before there is one."""
        return next((one.counts for one in reversed(self.readings) if not one.mass_kg), math.nan)

    def load_n(self, model: DeviceModel, plateau: Plateau) -> float:
        """Mean load over the last moments, without the weight of the head, N."""
        counts = reading_of(self._params.weights, model, plateau, 0.0).counts
        zero = self.zero_counts()
        return (counts - (model.calibration.zero_counts if math.isnan(zero) else zero)) * self.n_per_count(model)

    def _is_off(self, model: DeviceModel, reading: Reading) -> bool:
        """Whether the load that was read last is off again."""
        zero = self.zero_counts()
        if self.last < 0 or math.isnan(zero):
            return True
        allowed_n = self._params.empty_n + self._params.empty_share * abs(self.readings[self.last].load_n)
        return abs((reading.counts - zero) * self.n_per_count(model)) < allowed_n

    def _read(self, readings: tuple[Reading, ...], before: codec.Calibration) -> None:
        """Take other readings, and see what they say."""
        self.readings, self.fit, self.suspects, self.problem = readings, None, (), ""
        if self.n_lacking:
            return
        try:
            self.fit = fit_weights(self._params.weights, before, readings)
        except WeightError as error:
            self.problem, self.suspects = str(error), error.suspects
