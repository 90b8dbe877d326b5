# SPDX-License-Identifier: MIT
"""Where a session stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from roller_host.signal.ledger import Ledger


@dataclass
class Bookmark:
    """What has to be known to go on with a session when its connection, or this program, has ended."""

    name: str = ""
    address: str = ""
    security_mode: int = 0
    """See ``layout.SECURITY_MODES``."""
    device_id: bytes = b""
    boot_id: int = 0
    session_id: int = 0
    """As START gave it; 0 before the first."""
    ledger: Ledger = field(default_factory=Ledger)
    """Packets of the session that are here."""
