# SPDX-License-Identifier: MIT
"""What the link is doing, in the words that a person sees everywhere, and the errors that it can end with."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple


class LinkPhase(enum.Enum):
    """Phases of the link; the value is the word shown to the person."""

    OFF = "off"
    NO_BLUETOOTH = "no Bluetooth"
    SCANNING = "scanning"
    OUT_OF_RANGE = "out of range"
    TAKEN = "taken by another program"
    CONNECTING = "connecting"
    PAIRING = "pairing"
    SUBSCRIBED = "subscribed"
    STREAMING = "streaming"
    STALLED = "stalled"
    RETRYING = "trying again"
    LOST = "link lost"
    REFUSED = "refused"


class Help(NamedTuple):
    """What a phase means and what to do then, where its state says nothing more exact."""

    meaning: str
    action: str


PHASE_HELP: Final[dict[LinkPhase, Help]] = {
    LinkPhase.OFF: Help("There is no link to a roller.", "Choose a roller and connect."),
    LinkPhase.NO_BLUETOOTH: Help(
        "This computer has no Bluetooth that works.", "Switch it on, or plug an adapter in; roller-host doctor helps."
    ),
    LinkPhase.SCANNING: Help("Looking for rollers nearby.", "Switch the roller on and bring it near."),
    LinkPhase.OUT_OF_RANGE: Help("The roller is not heard.", "Bring it closer, and check that it is on and charged."),
    LinkPhase.TAKEN: Help(
        "A roller serves one program at a time, and another one has it.", "Close the other program, or its link."
    ),
    LinkPhase.CONNECTING: Help("The roller was found; the connection is being made.", "Wait a moment."),
    LinkPhase.PAIRING: Help(
        "Roller and computer agree on keys, so that nobody else can listen.",
        "Answer the system's question, if it asks.",
    ),
    LinkPhase.SUBSCRIBED: Help("Connected; the roller is asked for its data.", "Wait a moment."),
    LinkPhase.STREAMING: Help("Data arrive, at the rate that is shown.", "Roll."),
    LinkPhase.STALLED: Help(
        "Connected, but no data came for a second.", "Bring the roller closer; the link is repaired by itself."
    ),
    LinkPhase.RETRYING: Help(
        "An attempt to connect failed; the next one follows.", "Wait, or bring the roller closer."
    ),
    LinkPhase.LOST: Help("The link ended and did not come back.", "Bring the roller closer, then try again."),
    LinkPhase.REFUSED: Help(
        "The roller answered, but will not or cannot work with this program.", "Switch it off and on, then try again."
    ),
}
"""Every phase in words for a person; docs/states.md shows them as a table."""


@dataclass(frozen=True)
class LinkState:
    """A phase with its reason and what the person can do next; both may be empty."""

    phase: LinkPhase
    reason: str = ""
    action: str = ""
    device: str = ""
    """Name of the roller concerned."""
    retry_s: float | None = None
    """When trying again: after how many seconds."""
    unpaired: bool = False
    """Roller and computer are not paired, or no longer: forgetting the keys and pairing again may help."""
    wants_passkey: bool = False
    """Somebody is to type the roller's passkey now; the link waits for it."""
    over: bool = False
    """The session has ended with this state; nothing more is tried until the person asks for it."""

    @property
    def words(self) -> str:
        """The phase as shown: its word, and for a pause of a second or more how long it is."""
        return self.phase.value if (self.retry_s or 0) < 1 else f"{self.phase.value} in {self.retry_s:.0f} s"


@dataclass(frozen=True)
class Found:
    """A roller seen while scanning, or held connected by the system."""

    name: str
    address: str
    rssi_dbm: int | None
    """Signal strength, dBm, nearer to zero is stronger; None when the system holds it connected and hears no more."""
    taken: bool = False
    """Another host is connected to it: nobody else can."""
    seen_s: float = 0.0
    """When it was heard last, s of the monotonic clock."""


class LinkError(Exception):
    """The link cannot go on.

    Parameters
    ----------
    reason : str
        What happened and why, in a sentence.
    action : str, default ""
        What to do next, in a sentence.
    """

    exit_code = 4
    """For the command line."""
    phase = LinkPhase.LOST
    """What the link shows after it."""

    def __init__(self, reason: str, action: str = "") -> None:
        self.reason = reason
        self.action = action
        super().__init__(f"{reason} {action}".strip())


class NoDeviceError(LinkError):
    """No roller in range, or not the one asked for."""

    exit_code = 3
    phase = LinkPhase.OUT_OF_RANGE


class TakenError(NoDeviceError):
    """The roller asked for is connected to another program."""

    phase = LinkPhase.TAKEN

    @classmethod
    def of(cls, name: str) -> TakenError:
        """Make the error for a roller of that name."""
        return cls(
            f"{name} is taken by another program: a roller serves one at a time.",
            "Close the other program, or switch Bluetooth off on the phone that holds it, then try again.",
        )


class NoBluetoothError(NoDeviceError):
    """There is no working Bluetooth to look for rollers with."""

    phase = LinkPhase.NO_BLUETOOTH


class LinkLostError(LinkError):
    """The roller was connected and is gone."""

    exit_code = 4


class RefusedError(LinkError):
    """The roller answered, but will not or cannot work with this program."""

    exit_code = 5
    phase = LinkPhase.REFUSED


class PairingError(RefusedError):
    """Roller and computer could not be paired, or one of them has forgotten the other."""


class BondLostError(PairingError):
    """One side has forgotten the other; pairing anew helps."""


class BadRadioError(LinkError):
    """The radio asked for does not exist or its name makes no sense."""

    exit_code = 2
    phase = LinkPhase.OFF
