# SPDX-License-Identifier: MIT
"""How much of the stream gets through, and what the likely cause is when too little does."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

from firmware_protocol import codec, layout

WINDOW_S: Final = 5.0
WORST_SHARE: Final = 0.01
"""More loss than this is shown."""
JUDGE_S: Final = 1.0
"""How often loss is looked at, s."""
PAUSE_S: Final = 0.15
"""Packets come every 60 ms: pauses as long as this between bursts are those of a slow connection interval."""
MANY_PAUSES: Final = 8
"""Pauses in a window that make it a habit, not an accident."""
_DROPPED: Final = codec.bit(layout.PACKET_FLAGS, "DROPPED_BEFORE")


class Verdict(NamedTuple):
    """What to tell about the loss; empty texts when there is nothing to tell any more."""

    reason: str = ""
    action: str = ""


class Quality:
    """Watches packet numbers and arrivals of one connection."""

    def __init__(self) -> None:
        self._came: deque[tuple[float, int, bool]] = deque()
        self._judged_s = float("-inf")
        self._told = Verdict()

    def note(self, now_s: float, seq: int, flags: int) -> None:
        """Note the arrival of a live packet."""
        self._came.append((now_s, seq, bool(flags & _DROPPED)))
        while self._came[0][0] < now_s - WINDOW_S:
            self._came.popleft()

    @property
    def loss_share(self) -> float:
        """Share of the live packets of the last seconds that did not come."""
        numbers = {seq for _, seq, _ in self._came}
        return 1 - len(numbers) / (max(numbers) - min(numbers) + 1) if numbers else 0.0

    def judge(self, now_s: float) -> Verdict | None:
        """What is to be told now; None when nothing has changed, or too little time has passed."""
        if now_s - self._judged_s < JUDGE_S:
            return None
        self._judged_s = now_s
        verdict = Verdict() if self.loss_share <= WORST_SHARE else self._explain()
        # The figure moves all the time; the cause is what is news.
        if verdict.action == self._told.action:
            return None
        self._told = verdict
        return verdict

    def _explain(self) -> Verdict:
        n_pauses = sum(b[0] - a[0] > PAUSE_S for a, b in pairwise(self._came))
        dropped = any(dropped for _, _, dropped in self._came)
        reason = f"{self.loss_share:.0%} of the packets did not come at once, "
        if dropped and n_pauses >= MANY_PAUSES:
            return Verdict(
                reason + "because the connection interval is long",
                "Other Bluetooth devices may share the adapter: disconnect some. Missing packets are fetched again.",
            )
        if dropped:
            return Verdict(
                reason
                + "because the roller could not get rid of them: the distance is large, or something stands between",
                "Bring the roller closer to the computer. Missing packets are fetched again.",
            )
        return Verdict(
            reason + "though the roller sent them: this computer's Bluetooth lost them",
            "Close programs that keep the computer busy, or try another adapter. Missing packets are fetched again.",
        )
