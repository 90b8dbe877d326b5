# SPDX-License-Identifier: MIT
"""The seam between the window and whatever feeds it: values that arrive, intents that leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from roller_host.signal.comfort import STARTING_BANDS, Band

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping, Sequence

    from roller_host.link.states import LinkState
    from roller_host.signal.estimates import Estimates


@dataclass(frozen=True)
class RollerChoice:
    """One roller that a person can choose, real or simulated."""

    key: str
    """Names it for the program; unique in a list of choices."""
    title: str
    detail: str = ""
    """What tells it from the others: ``"-58 dBm"``, ``"in this program, no hardware"``."""
    simulated: bool = False


@dataclass(frozen=True)
class Rollers:
    """What a search has found so far."""

    choices: tuple[RollerChoice, ...]
    problem: str = ""
    """Why the search cannot go on, and what to do; empty when it can."""


@dataclass(frozen=True)
class Snapshot:
    """Slow facts about the running session, posted about four times a second."""

    elapsed_s: float
    """Since the first sample, s."""
    rate_hz: float
    """Measured sample rate, Hz."""
    lost_packets: int = 0
    gaps: int = 0
    strokes: int = 0
    contact_s: float = 0.0
    """Time in contact with the skin, s."""
    battery_percent: float | None = None
    recording: str = ""
    """Path of the recording, empty when nothing is recorded."""
    contact_s_by_place: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    """Time in contact by (zone, side), s."""
    band: Band = STARTING_BANDS[""]
    """Thresholds where the roller is now, N."""
    calibrated: bool = False
    """Whether force comes from a calibration of this roller."""
    recording_problem: str = ""
    """Why recording stopped, in a sentence; empty while it goes on."""


class LiveSession(Protocol):
    """What the window asks of its feed. Every method returns at once; what follows from it arrives in ``mailbox``."""

    mailbox: deque[Estimates | LinkState | Snapshot | Rollers]
    """Appended by the link's thread, drained by the window."""

    def choices(self) -> Sequence[RollerChoice]:
        """Rollers known now, the simulated one always among them."""
        ...

    def scan(self) -> None:
        """Look for rollers nearby; finds arrive as `Rollers`."""
        ...

    def connect(self, choice: RollerChoice) -> None:
        """Connect and stream."""
        ...

    def disconnect(self) -> None:
        """Leave the roller; harmless when there is none."""
        ...

    def close(self) -> None:
        """End everything; the window is about to go."""
        ...
