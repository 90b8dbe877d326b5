# SPDX-License-Identifier: MIT
"""A tumble while it is done: which sides were down, and whether it was enough."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from roller_host.signal.calibration import Samples
from roller_host.signal.tumble import Tumble, TumbleParams, identify

if TYPE_CHECKING:
    from roller_host.signal.calibration import DeviceModel

SIDES: Final = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
"""Sides of the roller, body frame: both ends of the axle, head, grip, away from the skin, into the skin."""
_GAP_S = 0.3


@dataclass(frozen=True)
class TumblingParams:
    """When a tumble is over, and how it is judged."""

    identify: TumbleParams = field(default_factory=TumbleParams)
    shortest_s: float = 20.0
    """Least length, s; it goes on until every side was down,"""
    longest_s: float = 60.0
    """but no longer than this, s."""
    side_deg: float = 40.0
    """A side was down when it was this close to it, degrees."""


class Tumbling:
    """A tumble under way.

    Parameters
    ----------
    params : TumblingParams
    """

    def __init__(self, params: TumblingParams) -> None:
        self._params = params
        self._parts: list[Samples] = []
        self.sides = (False,) * len(SIDES)
        """Which of `SIDES` were down."""

    def take(self, samples: Samples) -> None:
        """Take in the next block; after a gap it begins anew."""
        if self._parts and samples.t_s[0] - self._parts[-1].t_s[-1] > _GAP_S:
            self._parts, self.sides = [], (False,) * len(SIDES)
        self._parts.append(samples)
        size = np.linalg.norm(samples.acc_m_s2, axis=1, keepdims=True)
        # An accelerometer at rest shows up: the side that is down is the other one.
        down = -samples.acc_m_s2 / np.maximum(size, 1e-9) @ np.array(SIDES, np.float64).T
        near = (down > math.cos(math.radians(self._params.side_deg))).any(axis=0)
        self.sides = tuple((near | np.array(self.sides)).tolist())

    @property
    def seconds(self) -> float:
        """Its length so far, s."""
        return float(self._parts[-1].t_s[-1] - self._parts[0].t_s[0]) if self._parts else 0.0

    @property
    def progress(self) -> float:
        """0 to 1: of the time and of the sides, whichever is behind."""
        return min(self.seconds / self._params.shortest_s, 1.0, (sum(self.sides) + 1) / len(SIDES))

    @property
    def complete(self) -> bool:
        """It is time to judge it."""
        enough = self.seconds >= self._params.shortest_s and all(self.sides)
        return enough or self.seconds >= self._params.longest_s

    def judge(self, model: DeviceModel, bias_rad_s: tuple[float, float, float] | None) -> Tumble:
        """Find what it tells; raises `TumbleError` when that is too little.

        Parameters
        ----------
        model : DeviceModel
            With its zero and sensitivity the samples were made.
        bias_rad_s : (float, float, float) or None
            Of the gyroscope.
        """
        whole = Samples._make(np.concatenate(columns) for columns in zip(*self._parts, strict=True))
        rate_rad_s = whole.gyro_rad_s - np.array(bias_rad_s or (0.0, 0.0, 0.0))
        fs_hz = (len(whole.t_s) - 1) / float(whole.t_s[-1] - whole.t_s[0])
        return identify(self._params.identify, model, whole, rate_rad_s, fs_hz)
