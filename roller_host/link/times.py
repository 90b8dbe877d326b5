# SPDX-License-Identifier: MIT
"""How long the link waits, for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LinkTimes:
    """How patient the link is, s. Shorter times notice trouble earlier and give up more often."""

    connect_s: float = 6.0
    retries_s: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    """Pauses after failed attempts to connect, one after the other; the last one is repeated."""
    attempts: int = 3
    """Attempts at the first connection."""
    pair_s: float = 60.0
    """Somebody may have to answer a dialog."""
    type_s: float = 120.0
    """Somebody may have to find a label with six digits, and type them."""
    step_s: float = 5.0
    """Reading, subscribing."""
    request_s: float = 2.0
    stall_s: float = 0.8
    """Silence of the stream after which it counts as stalled."""
    ask_s: float = 1.6
    """Silence after which the roller is asked what it does; asked again after as much more."""
    watch_s: float = 0.1
    """How often silence is looked at."""
    give_up_s: float = 600.0
    """How long a roller that was lost is looked for; 0 ends the session with the link."""
    settle_s: float = 0.5
    """How long a missing packet may be merely late before it is asked for."""
    drain_s: float = 20.0
    """How long the end of a session waits for packets that are still missing, as long as some come."""
