# SPDX-License-Identifier: MIT
"""Smooth time for scrolling: samples come in bursts, the picture should not."""

from __future__ import annotations

import math


class Playhead:
    """A time that runs at the speed of the wall clock, just behind the newest sample.

    Parameters
    ----------
    delay_s : float
        How far behind it aims to be, s; at least the time between two packets. Raising it rides out more jitter and
        shows all later.
    gain_hz : float
        How fast an error of place is worked off, 1/s. Raising it follows sooner and moves less evenly.
    jump_s : float
        An error beyond this is not worked off but jumped over, s.
    """

    def __init__(self, delay_s: float = 0.10, gain_hz: float = 2.0, jump_s: float = 0.6) -> None:
        self._delay_s, self._gain_hz, self._jump_s = delay_s, gain_hz, jump_s
        self._wall_s = 0.0
        self._now_s = -math.inf

    def step(self, wall_s: float, newest_s: float) -> float:
        """Time to show at ``wall_s`` when the newest sample is from ``newest_s``; minus infinity before the first."""
        goal_s = newest_s - self._delay_s
        dt_s, self._wall_s = wall_s - self._wall_s, wall_s
        ahead_s = goal_s - (self._now_s + dt_s)
        if not abs(ahead_s) < self._jump_s:
            self._now_s = max(goal_s, self._now_s) if ahead_s < 0 else goal_s
        else:
            self._now_s += max(dt_s + ahead_s * min(self._gain_hz * dt_s, 1.0), 0.0)
        return self._now_s

    def clear(self) -> None:
        """Start anew with the next sample."""
        self._now_s = -math.inf
