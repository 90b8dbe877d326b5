# SPDX-License-Identifier: MIT
"""What the link is doing, in the words that a person sees everywhere, and the errors that it can end with."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class LinkPhase(enum.Enum):
    """Phases of the link; the value is the word shown to the person."""

    OFF = "off"
    NO_BLUETOOTH = "no Bluetooth"
    SCANNING = "scanning"
    CONNECTING = "connecting"
    SUBSCRIBED = "subscribed"
    STREAMING = "streaming"
    STALLED = "stalled"
    LOST = "link lost"
    REFUSED = "refused"


@dataclass(frozen=True)
class LinkState:
    """A phase with its reason and what the person can do next; both may be empty."""

    phase: LinkPhase
    reason: str = ""
    action: str = ""
    device: str = ""
    """Name of the roller concerned."""


@dataclass(frozen=True)
class Found:
    """A roller seen while scanning."""

    name: str
    address: str
    rssi_dbm: int
    """Signal strength, dBm; nearer to zero is stronger."""


class LinkError(Exception):
    """The link cannot go on; the message says what happened, why, and what to do."""

    exit_code = 4
    """For the command line."""


class NoDeviceError(LinkError):
    """No Bluetooth, no roller in range, or not the one asked for."""

    exit_code = 3


class LinkLostError(LinkError):
    """The roller was connected and is gone."""

    exit_code = 4


class RefusedError(LinkError):
    """The roller answered, but will not or cannot work with this program."""

    exit_code = 5


class BadRadioError(LinkError):
    """The radio asked for does not exist or its name makes no sense."""

    exit_code = 2
