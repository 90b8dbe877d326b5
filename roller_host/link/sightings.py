# SPDX-License-Identifier: MIT
"""Rollers that are seen, and the one that is looked for."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware_protocol import codec
from roller_host.link.states import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData


@dataclass(frozen=True)
class Wanted:
    """Which roller is looked for; without anything, the strongest.

    An address may change and names may be alike: the device id that the roller gives once it is connected decides.
    """

    text: str = ""
    """Address, or beginning of the name, in any case; 16 hexadecimal digits are a device id."""
    device_id: bytes = b""
    address: str = ""
    """Where it was last."""
    others: frozenset[str] = frozenset()
    """Addresses of rollers that turned out to be others."""

    @classmethod
    def named(cls, text: str | None) -> Wanted:
        """What a person typed."""
        text = text or ""
        return cls(device_id=bytes.fromhex(text)) if re.fullmatch("[0-9a-fA-F]{16}", text) else cls(text)

    @property
    def words(self) -> str:
        """The roller wanted, in words."""
        return f"roller called {self.text!r}" if self.text else "roller"

    def matches(self, found: Found) -> bool:
        """Whether this may be the one, as far as is known before it is connected."""
        address, name = found.address.casefold(), found.name.casefold()
        if found.address in self.others:
            return False
        if self.device_id:
            # The protocol ends an advertised name with the last two bytes of the id.
            return address == self.address.casefold() or name.endswith(self.device_id[-2:].hex())
        return not self.text or address == self.text.casefold() or name.startswith(self.text.casefold())


class Sightings:
    """Rollers seen during one scan.

    Parameters
    ----------
    until : callable or None
        Sets ``matched`` at the first roller for which it is true.
    on_found : callable or None
        Called with each roller when it is first seen, when what is known of it changes, and about once a second.

    Attributes
    ----------
    seen : dict
        Address -> what is known of the roller, and bleak's name of it.
    matched : asyncio.Event
    """

    def __init__(self, until: Callable[[Found], bool] | None, on_found: Callable[[Found], None] | None) -> None:
        self.seen: dict[str, tuple[Found, BLEDevice]] = {}
        self.matched = asyncio.Event()
        self._until, self._on_found = until, on_found
        self._told_s: dict[str, float] = {}
        self._held: dict[str, bool] = {}

    def hear(self, device: BLEDevice, heard: AdvertisementData) -> None:
        """Take an advertisement."""
        # Of a connected roller systems may tell its services in place of what it advertises.
        taken = self._held.get(device.address, codec.uuid_of("TAKEN") in heard.service_uuids)
        name = heard.local_name or device.name or ""
        self._note(device, Found(name, device.address, heard.rssi, taken, time.monotonic()))

    def note_held(self, devices: list[tuple[BLEDevice, bool]]) -> None:
        """Take the rollers that the system holds connected, each with whether a program uses it."""
        self._held = {device.address: in_use for device, in_use in devices}
        for device, in_use in devices:
            heard, _ = self.seen.get(device.address, (None, None))
            rssi_dbm = heard.rssi_dbm if heard else None
            self._note(device, Found(device.name or "", device.address, rssi_dbm, in_use, time.monotonic()))

    def _note(self, device: BLEDevice, found: Found) -> None:
        before, _ = self.seen.get(found.address, (None, None))
        self.seen[found.address] = (found, device)
        new = before is None or (before.name, before.taken) != (found.name, found.taken)
        if self._on_found and (new or found.seen_s - self._told_s[found.address] > 1):
            self._told_s[found.address] = found.seen_s
            self._on_found(found)
        if self._until and self._until(found):
            self.matched.set()

    def ranked(self) -> list[Found]:
        """The rollers seen: those that are free first, the strongest of them first."""
        found = (found for found, _ in self.seen.values())
        return sorted(found, key=lambda one: (one.taken, -(one.rssi_dbm or 0)))
