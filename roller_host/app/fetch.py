# SPDX-License-Identifier: MIT
"""Fetching what a roller recorded by itself, without a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roller_host.app.past import follow
from roller_host.app.provenance import provenance
from roller_host.link.bookmark import Bookmark
from roller_host.link.errands import Errands
from roller_host.link.times import LinkTimes
from roller_host.link.visit import visit
from roller_host.sessions import calibrations, rollers
from roller_host.sessions.errors import SessionError
from roller_host.sessions.shelf import Settings, Shelf
from roller_host.signal.core import SignalParams

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from roller_host.link.connection import Connection
    from roller_host.link.radio import Radio
    from roller_host.link.states import LinkState
    from roller_host.signal.record import Record


async def fetch_log(
    radio: Radio, device: str | None, on_state: Callable[[LinkState], None], on_log: Callable[[int, int], None]
) -> list[Path]:
    """Fetch the recordings that a roller made by itself; it frees them once they are on disk.

    Parameters
    ----------
    radio : Radio
        What to connect through.
    device : str or None
        Which roller; None takes the strongest.
    on_state : callable
        Gets each change of the link's state.
    on_log : callable
        Told packets fetched and packets in all.

    Returns
    -------
    list of Path
        The new recordings; none when the roller has recorded nothing.

    Raises
    ------
    LinkError
        When the link ends meanwhile; what was not fetched stays in the roller.
    SessionError
        When it cannot be written.
    """
    log = _Log(radio.spec, on_log)
    try:
        await visit(radio, rollers.target_of(device), log.fetch, on_state=on_state, on_record=log.take)
    finally:
        await log.shelf.finish()
    if log.shelf.problem:
        raise SessionError(f"{log.shelf.problem}. What is not here stays in the roller")
    return log.shelf.finished


class _Log:
    """The log of one roller on its way to the shelf."""

    def __init__(self, radio: str, on_log: Callable[[int, int], None]) -> None:
        self._settings, self._bookmark = Settings(), Bookmark()
        self._radio = radio
        self.shelf = Shelf(self._meta, self._settings, on_log)
        self._errands: Errands | None = None

    def _meta(self) -> dict[str, str]:
        device_id = self._bookmark.device_id.hex()
        return {
            **provenance(self._radio, SignalParams(calibration=calibrations.kept(device_id))),
            "device_id": device_id,
        }

    def take(self, record: Record) -> None:
        self._settings.keep(record)
        follow(self._bookmark, record)
        if record.source == "STREAM" and self._errands:
            self._errands.take_log(record)

    async def fetch(self, connection: Connection) -> None:
        self._errands = Errands(connection, self._bookmark, LinkTimes(), self.shelf)
        await connection.learn()
        await self._errands.fetch_log()
