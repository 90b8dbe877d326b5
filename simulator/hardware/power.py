# SPDX-License-Identifier: MIT
"""Battery and charger of the reference device."""

from __future__ import annotations

from typing import Final

import numpy as np

CAPACITY_MAH: Final = 340.0
"""400 mAh, of which 85 % can be used."""
LOAD_MA: Final = {"streaming": 52.0, "offline log": 45.0, "idle": 30.0, "charging": 30.0, "fault": 30.0, "asleep": 0.12}
"""Current in each state; estimates, see hardware/README.md."""
CHARGE_MA: Final = 130.0
LOW_PERCENT: Final = 15
_CHARGE = (0.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0)
_VOLTS = (3.30, 3.55, 3.65, 3.72, 3.79, 3.90, 4.03, 4.18)
"""A lithium polymer cell under light load."""


class Battery:
    """State of charge.

    Parameters
    ----------
    percent : float
        Charge at the beginning.
    """

    def __init__(self, percent: float) -> None:
        self.charge_percent = percent
        self.usb = False

    @property
    def volts(self) -> float:
        """Voltage of the cell, V."""
        return float(np.interp(self.charge_percent, _CHARGE, _VOLTS))

    @property
    def charging(self) -> bool:
        """Whether current flows into the cell."""
        return self.usb and self.charge_percent < 100

    def drain(self, seconds: float, state: str) -> None:
        """Let time pass in a state of ``LOAD_MA``."""
        current_ma = LOAD_MA[state] - (CHARGE_MA if self.usb else 0.0)
        change = 100 * current_ma * seconds / 3600 / CAPACITY_MAH
        self.charge_percent = min(max(self.charge_percent - change, 0.0), 100.0)
