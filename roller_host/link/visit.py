# SPDX-License-Identifier: MIT
"""A short visit to a roller, without a stream: to see which one it is, to read its log, to forget it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from roller_host.link.connection import Connection
from roller_host.link.sightings import Wanted
from roller_host.link.states import LinkPhase
from roller_host.link.stay import Teller
from roller_host.link.times import LinkTimes
from roller_host.signal.record import Record, Source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roller_host.link.radio import Radio
    from roller_host.link.states import LinkState

_T = TypeVar("_T")

IDENTIFY_S: Final = 5
"""How long a roller blinks and buzzes, s."""


async def visit(
    radio: Radio,
    target: str | None,
    errand: Callable[[Connection], Awaitable[_T]],
    *,
    on_state: Callable[[LinkState], None],
    on_record: Callable[[Record], None] | None = None,
    scan_s: float = 10.0,
    times: LinkTimes | None = None,
) -> _T:
    """Connect to a roller, do something, leave.

    Parameters
    ----------
    radio : Radio
        What to scan and connect with; stays open.
    target : str or None
        As for `link.client.LinkSession`.
    errand : callable
        Gets the connection, on which everything is subscribed to; its result is returned.
    on_state : callable
        Gets each change of the link's state.
    on_record : callable, optional
        Gets every payload in either direction.
    scan_s : float, default 10
        How long to look for the roller, s.
    times : LinkTimes, optional
        Other patience than the default.

    Raises
    ------
    LinkError
        When the roller cannot be reached or refuses.
    """
    teller = Teller(on_state)
    teller.enter(LinkPhase.SCANNING)
    try:
        found = await radio.find(Wanted.named(target), scan_s)
        teller.name = found.name or found.address
        connection = Connection(radio, found, times or LinkTimes(), _stamping(on_record), lambda _: None)
        try:
            await connection.meet(teller.enter)
            await connection.open(teller.enter)
            for source in ("STREAM", "STATUS"):
                await connection.listen(source)
            return await errand(connection)
        finally:
            await connection.close()
    finally:
        teller.enter(LinkPhase.OFF)


def _stamping(on_record: Callable[[Record], None] | None) -> Callable[[Source, bytes, bool], None]:
    """What makes records of payloads."""
    begin_s = time.perf_counter()

    def take(source: Source, payload: bytes, out: bool) -> None:
        if on_record:
            on_record(Record(time.perf_counter() - begin_s, source, "out" if out else "in", payload))

    return take


async def identify(radio: Radio, target: str | None, *, on_state: Callable[[LinkState], None]) -> None:
    """Let a roller blink and buzz for `IDENTIFY_S`, to tell it from others; raises like `visit`."""
    await visit(radio, target, lambda connection: connection.control.identify(IDENTIFY_S), on_state=on_state)


async def forget_keys(radio: Radio, target: str, scan_s: float = 4.0) -> bool:
    """Drop the keys of a roller, so that it is paired anew; False when it is not in sight.

    Where a system does not let a program do that, nothing happens.

    Raises
    ------
    NoBluetoothError
        When there is no working Bluetooth.
    """
    wanted = Wanted.named(target)
    for found in await radio.scan(scan_s, until=wanted.matches):
        if wanted.matches(found):
            await Connection(radio, found, LinkTimes(), lambda *_: None, lambda _: None).unpair()
            return True
    return False
