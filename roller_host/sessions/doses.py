# SPDX-License-Identifier: MIT
"""What a person's recordings of the last seven days amount to."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from firmware_protocol.zones import places_named
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import SUFFIX, recordings_folder
from roller_host.sessions.store import open_recording

if TYPE_CHECKING:
    from pathlib import Path

    from roller_host.signal.limits import Place

WEEK: Final = timedelta(days=7)


def dose_of_week(person: str, now: datetime, folder: Path | None = None) -> dict[Place, float]:
    """Force times contact time by place, N s, over the sessions that a person began in the seven days before ``now``.

    Parameters
    ----------
    person : str
        Name; sessions that were recorded for nobody, or did not end in order, do not count.
    now : datetime
        With its time zone.
    folder : Path, optional
        Default `recordings_folder`.
    """
    total: dict[Place, float] = {}
    for path in (folder or recordings_folder()).glob(f"*{SUFFIX}"):
        # Files of others, of newer versions, or damaged ones: they hold nothing to add up.
        with suppress(SessionError, sqlite3.Error, OSError, ValueError, TypeError, AttributeError):
            if datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo) < now - WEEK:
                continue
            recording = open_recording(path)
            began = datetime.fromisoformat(recording.meta.get("created", ""))
            if recording.meta.get("person", "").casefold() != person.casefold() or not now - WEEK <= began <= now:
                continue
            for name, dose_n_s in (recording.estimates or {}).get("dose_n_s", {}).items():
                place = places_named(name)[0]
                total[place] = total.get(place, 0.0) + float(dose_n_s)
    return total
