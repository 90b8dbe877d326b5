# SPDX-License-Identifier: MIT
"""Rollers that a person can choose from: known ones, those that were heard, the simulated ones."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from firmware_protocol import codec
from firmware_protocol.codec import ProtocolError
from roller_host.app.world import DEMO, demo_scenarios
from roller_host.dashboard.session import RollerChoice
from roller_host.link.sightings import Wanted
from roller_host.sessions import rollers
from roller_host.sessions.errors import SessionError
from roller_host.sessions.store import open_recording

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from roller_host.link.states import Found


def roller_choices(found: Iterable[Found], named: Iterable[RollerChoice]) -> tuple[RollerChoice, ...]:
    """Known rollers, those named by the person, those that were heard, the simulated ones.

    Parameters
    ----------
    found : iterable of Found
        Those that were heard.
    named : iterable of RollerChoice
        Those that the person named.
    """
    heard = {one.address: one for one in found}
    known: list[RollerChoice] = []
    for roller in rollers.load():
        wanted = Wanted("", bytes.fromhex(roller.device_id), roller.address)
        sighting = next((one for one in heard.values() if wanted.matches(one)), None)
        if sighting:
            del heard[sighting.address]
        known.append(_known_choice(roller, sighting))
    nearby = [RollerChoice(one.address, one.name or one.address, **_sighting(one)) for one in heard.values()]
    return (*known, *named, *nearby, *_simulated())


def _sighting(found: Found | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {"taken": found.taken, "seen_s": found.seen_s, "rssi_dbm": found.rssi_dbm}


def _known_choice(roller: rollers.KnownRoller, found: Found | None) -> RollerChoice:
    return RollerChoice(
        roller.device_id,
        roller.title,
        roller.name if roller.own_name else "",
        known=True,
        at_start=roller.at_start,
        last_used=roller.last_seen,
        security_mode=roller.security_mode,
        **_sighting(found),
    )


def _simulated() -> list[RollerChoice]:
    """The usual scenario first; all of them are one roller to choose."""
    known = demo_scenarios()
    usual = "practised"
    first = RollerChoice(DEMO, "Simulated roller", known.get(usual, ""), simulated=True, scenario=usual)
    others = [
        RollerChoice(f"{DEMO}:{name}", "Simulated roller", text, simulated=True, scenario=name)
        for name, text in known.items()
        if name != usual
    ]
    return [first, *others]


def roller_of(path: Path) -> str:
    """Title of the roller that a recording is of."""
    with suppress(SessionError, ProtocolError):
        for record in open_recording(path).records():
            if record.source == "INFO":
                device_id = bytes(codec.decode_record("INFO", record.payload).device_id).hex()
                known = rollers.find(device_id)
                return known.title if known else device_id
    return "a roller"
