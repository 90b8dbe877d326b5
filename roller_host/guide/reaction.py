# SPDX-License-Identifier: MIT
"""How fast a person reacts: a sign appears after a wait that nobody can guess, and is answered by pressing a button."""

from __future__ import annotations

import math

from roller_host.signal.ramps import ANTICIPATED_S, LAPSED_S, Reaction, reaction_of

WAIT_S = 1.2, 3.0
"""Shortest and longest wait for the sign, s."""
_GOLDEN = 0.6180339887


class ReactionTest:
    """A test under way, on the session timeline.

    Parameters
    ----------
    n_taps : int
        Taps that are wanted.
    """

    def __init__(self, n_taps: int) -> None:
        self.sign = False
        """Press now."""
        self.taps_s: tuple[float, ...] = ()
        """Reactions so far, s."""
        self.note = ""
        self._n_taps, self._n_signs, self._sign_s = n_taps, 0, math.nan

    @property
    def done(self) -> bool:
        """Whether there are enough taps."""
        return len(self.taps_s) >= self._n_taps

    @property
    def progress(self) -> float:
        """Share of the taps that were made."""
        return len(self.taps_s) / self._n_taps

    @property
    def reaction(self) -> Reaction | None:
        """What they tell; None when that is nothing."""
        return reaction_of(self.taps_s)

    def advance(self, now_s: float) -> None:
        """Let time pass: show the sign when it is due, try again when nobody answered it."""
        if math.isnan(self._sign_s):
            self._await(now_s)
        elif self.sign and now_s - self._sign_s > 1.5 * LAPSED_S:
            self.note = "Nothing was pressed. Once more."
            self._await(now_s)
        elif not self.sign and now_s >= self._sign_s:
            self.sign, self._sign_s = True, now_s

    def tap(self, t_s: float) -> None:
        """Take a press of the button at ``t_s``."""
        latency_s = t_s - self._sign_s
        if not self.sign or latency_s < ANTICIPATED_S:
            self.note = "That was before the sign. Wait for it."
        else:
            self.taps_s, self.note = (*self.taps_s, latency_s), f"{1000 * latency_s:.0f} ms"
        self._await(t_s)

    def _await(self, now_s: float) -> None:
        """Multiples of the golden ratio fall evenly, and nobody counts along with them."""
        shortest_s, longest_s = WAIT_S
        self._n_signs += 1
        wait_s = shortest_s + (longest_s - shortest_s) * (self._n_signs * _GOLDEN % 1)
        self.sign, self._sign_s = False, now_s + wait_s
