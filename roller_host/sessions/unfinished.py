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
from roller_host.sessions.store import is_under_way, open_recording

if TYPE_CHECKING:
    from pathlib import Path

    from roller_host.sessions.store import Recording

FRESH_S: Final = 1800.0
"""After half an hour nobody goes on with a massage, s."""
LOG_KIND: Final = "offline log"
"""``kind`` in the meta table of recordings that the roller made by itself."""


@dataclass(frozen=True)
class Unfinished:
    """A recording without an end."""

    path: Path
    began: str
    """ISO 8601 with its time zone."""
    age_s: float
    """Time since its last payload came, s."""


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
        if now_s - _written_s(path) > FRESH_S:
            return None
        with suppress(SessionError, sqlite3.Error):
            recording = open_recording(path)
            # The roller of a demo ended with the program.
            of_a_demo = recording.meta.get("radio", "").startswith("demo")
            cut_off = recording.estimates is None and recording.meta.get("kind") != LOG_KIND and not of_a_demo
            age_s = now_s - _ended_s(recording)
            if cut_off and age_s <= FRESH_S and not is_under_way(path):
                return Unfinished(path, recording.meta.get("created", ""), max(age_s, 0.0))
    return None


def _ended_s(recording: Recording) -> float:
    """When the last payload came, s since 1970; the time of the file says less, since looking at it changes that."""
    span_s = recording.span_s()
    with suppress(ValueError):
        if span_s:
            # A recording is created when its first payload comes.
            return datetime.fromisoformat(recording.meta.get("created", "")).timestamp() + span_s[1] - span_s[0]
    return _written_s(recording.path)


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
