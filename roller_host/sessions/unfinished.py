# SPDX-License-Identifier: MIT
"""Sessions that were cut off: this program, or the computer, ended before they did."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import SUFFIX, recordings_folder
from roller_host.sessions.store import open_recording

if TYPE_CHECKING:
    from pathlib import Path

FRESH_S: Final = 1800.0
"""After half an hour nobody goes on with a massage, s."""
QUIET_S: Final = 3.0
"""A recording that was written to more recently may still be under way in another program, s."""
LOG_KIND: Final = "offline log"
"""``kind`` in the meta table of recordings that the roller made by itself."""


@dataclass(frozen=True)
class Unfinished:
    """A recording without an end."""

    path: Path
    began: str
    """ISO 8601 with its time zone."""
    age_s: float
    """Time since it was written to, s."""


def latest_unfinished(folder: Path | None = None, now_s: float | None = None) -> Unfinished | None:
    """The session that was cut off last, if somebody may want to go on with it.

    Parameters
    ----------
    folder : Path, optional
        Default `recordings_folder`.
    now_s : float, optional
        Time of day, s since 1970; default now.
    """
    now_s = time.time() if now_s is None else now_s
    paths = sorted((folder or recordings_folder()).glob(f"*{SUFFIX}"), key=_written_s, reverse=True)
    for path in paths:
        age_s = now_s - _written_s(path)
        if age_s > FRESH_S:
            return None
        if age_s < QUIET_S:
            continue
        with suppress(SessionError, sqlite3.Error):
            recording = open_recording(path)
            # The roller of a demo ended with the program.
            of_a_demo = recording.meta.get("radio", "").startswith("demo")
            if recording.estimates is None and recording.meta.get("kind") != LOG_KIND and not of_a_demo:
                return Unfinished(path, recording.meta.get("created", ""), age_s)
    return None


def _written_s(path: Path) -> float:
    """When a recording was written to last, its log beside it included, s since 1970."""
    times_s = [0.0]
    for one in (path, path.with_name(path.name + "-wal")):
        with suppress(OSError):
            times_s.append(one.stat().st_mtime)
    return max(times_s)


def elapsed_s(began: str, last_s: float) -> float:
    """Session time at which a session goes on: as the wall clock says, and never before its last payload.

    Parameters
    ----------
    began : str
        When it began, ISO 8601 with its time zone.
    last_s : float
        Stamp of its last payload, s.
    """
    with suppress(ValueError):
        return max((datetime.now().astimezone() - datetime.fromisoformat(began)).total_seconds(), last_s)
    return last_s
