# SPDX-License-Identifier: MIT
"""Every calibration that was ever made of a roller's load cell, and which one is in use. Nothing is overwritten.

One file per roller and head, a line of JSON for each event: a calibration that was made or found, or the choice of an
earlier one. The last event says what is in use.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol import codec
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import data_folder
from roller_host.signal.calibration import KeptCalibration

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "calibrations"
GOOD_FOR: Final = timedelta(days=180)
"""After this time a calibration is due: ours, half of the year that makers of load cells and scales give."""
GOOD_WITHIN_K: Final = 15.0
"""At temperatures further away than this from that of the calibration the sensitivity is not what it was, K: ours, from
0.02 to 0.05 %/K of simple bar cells. On the skin a roller warms by 10 K."""
_WEIGHED: Final = 1


@dataclass(frozen=True)
class Point:
    """A reading under a known load."""

    mass_kg: float
    """0 for the empty roller."""
    load_n: float
    counts: float
    residual_n: float


@dataclass(frozen=True)
class Made:
    """A calibration: how it came about, and the record that it made."""

    device_id: str
    """16 hexadecimal digits."""
    head: int
    date: str
    """ISO 8601 with its time zone."""
    method: str
    """``weights``, ``scale``, or ``device`` for the one that was found in the roller."""
    record: str
    """CALIBRATION as on the wire, hexadecimal."""
    points: tuple[Point, ...] = ()
    sigma: float | None = None
    """Relative standard uncertainty of the sensitivity; None when it is not known."""
    temp_c: float | None = None
    """Of the load cell, degrees C."""

    @property
    def calibration(self) -> codec.Calibration:
        """The record; `ProtocolError` when it is damaged."""
        return codec.decode_record("CALIBRATION", bytes.fromhex(self.record))


@dataclass(frozen=True)
class Entry:
    """A calibration in the list of a roller."""

    number: int
    """From 1."""
    made: Made
    in_use: bool
    chosen_s: int
    """When it was taken into use last, s since 1970; 0 when it never was."""


def load(device_id: str, head: int = 0, folder: Path | None = None) -> list[Entry]:
    """All calibrations of a roller's head, the oldest first; none when nothing was ever stored.

    Parameters
    ----------
    device_id : str
        16 hexadecimal digits.
    head : int, default 0
        Exchangeable head.
    folder : Path, optional
        By default `FOLDER` in the data folder.

    Raises
    ------
    SessionError
        When there is a file that cannot be opened. Lines in it that make no sense are passed over.
    """
    made: list[Made] = []
    chosen: dict[int, int] = {}
    in_use = 0
    for event in _events(_file(device_id, head, folder)):
        if event.get("event") == "made":
            one = _made(event)
            if one is None or (one.device_id, one.head) != (device_id, head):
                continue
            made.append(one)
            number = len(made)
        else:
            number = event.get("number", 0)
        if event.get("event") in ("made", "chosen") and isinstance(number, int) and 0 < number <= len(made):
            since_s = event.get("unix_s")
            chosen[number], in_use = since_s if type(since_s) is int else 0, number
    return [Entry(i, one, i == in_use, chosen.get(i, 0)) for i, one in enumerate(made, 1)]


def device_ids(folder: Path | None = None) -> list[str]:
    """Rollers of which calibrations are stored, in order of their ids."""
    return sorted({path.stem.rpartition("-")[0] for path in (folder or data_folder() / FOLDER).glob("*-*.jsonl")})


def in_use(device_id: str, head: int = 0, folder: Path | None = None) -> Entry | None:
    """The calibration in use; None when nothing was ever stored."""
    return next((one for one in load(device_id, head, folder) if one.in_use), None)


def kept(device_id: str, head: int = 0, folder: Path | None = None) -> KeptCalibration | None:
    """The calibration in use, for `SignalParams.calibration`; None when nothing was ever stored."""
    entry = in_use(device_id, head, folder)
    return entry and KeptCalibration(entry.made.calibration, device_id, entry.chosen_s, head)


def keep(made: Made, now: datetime, folder: Path | None = None) -> Path:
    """Store a calibration and take it into use.

    Parameters
    ----------
    made : Made
        What is to be kept for good.
    now : datetime
        With a time zone.
    folder : Path, optional
        By default `FOLDER` in the data folder.

    Returns
    -------
    Path
        File in which it stands.

    Raises
    ------
    SessionError
        When it cannot be written.
    """
    return _append(made.device_id, made.head, {"event": "made", "unix_s": int(now.timestamp()), **asdict(made)}, folder)


def choose(device_id: str, number: int | None, now: datetime, head: int = 0, folder: Path | None = None) -> Entry:
    """Take an earlier calibration into use again.

    Parameters
    ----------
    device_id : str
        16 hexadecimal digits.
    number : int or None
        Of an `Entry`; None for the one before the one in use.
    now : datetime
        With a time zone.
    head : int, default 0
        Exchangeable head.
    folder : Path, optional
        By default `FOLDER` in the data folder.

    Returns
    -------
    Entry
        The one that is in use now.

    Raises
    ------
    SessionError
        When there is no such calibration, or it cannot be written.
    """
    entries = load(device_id, head, folder)
    current = next((one.number for one in entries if one.in_use), 0)
    wanted = current - 1 if number is None else number
    if not 1 <= wanted <= len(entries):
        known = f"there are {len(entries)}, numbered from 1" if entries else "none was ever stored for this roller"
        which = "an earlier one" if number is None else f"calibration {wanted}"
        raise SessionError(f"there is no {which.removeprefix('an ')} to go back to: {known}")
    _append(device_id, head, {"event": "chosen", "unix_s": int(now.timestamp()), "number": wanted}, folder)
    return load(device_id, head, folder)[wanted - 1]


def expiry(made: Made, now: datetime, temp_c: float | None = None) -> str:
    """Why a calibration should be made anew, with what to do; empty when it is still good.

    Parameters
    ----------
    made : Made
        The one in use.
    now : datetime
        With a time zone.
    temp_c : float, optional
        Present temperature of the load cell, degrees C.
    """
    record = made.calibration
    if not record.flags & _WEIGHED:
        return "The load cell was never calibrated with weights: roller-host calibrate force"
    if record.unix_date_s:
        age = now - datetime.fromtimestamp(record.unix_date_s, UTC)
        if age > GOOD_FOR:
            return f"The calibration is {age.days} days old, and good for {GOOD_FOR.days}: calibrate again"
    if temp_c is not None and abs(temp_c - record.temp_ref_c) > GOOD_WITHIN_K:
        return (
            f"The calibration was made at {record.temp_ref_c:.0f} degrees C, and the roller has {temp_c:.0f}: let it "
            f"come to room temperature, or calibrate again"
        )
    return ""


def _file(device_id: str, head: int, folder: Path | None) -> Path:
    return (folder or data_folder() / FOLDER) / f"{device_id}-{head}.jsonl"


def _events(path: Path) -> list[dict[str, Any]]:
    """Lines that can be read; one that was cut off by a crash, or damaged, is passed over."""
    try:
        lines = path.read_bytes().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SessionError(
            f"cannot read the calibrations in {path}: {error.strerror}. Make that file readable, or move it away"
        ) from error
    events: list[dict[str, Any]] = []
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def _made(event: dict[str, Any]) -> Made | None:
    """The calibration in an event; None when it makes no sense."""
    try:
        made = Made(
            event["device_id"],
            event["head"],
            _date(event["date"]),
            str(event["method"]),
            event["record"],
            tuple(Point(**{key: _number(value) for key, value in point.items()}) for point in event.get("points", ())),
            *(None if event.get(key) is None else _number(event[key]) for key in ("sigma", "temp_c")),
        )
        codec.decode_record("CALIBRATION", bytes.fromhex(made.record))
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
    return made


def _date(text: str) -> str:
    if text:
        datetime.fromisoformat(text)
    return text


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    return value


def _append(device_id: str, head: int, event: dict[str, Any], folder: Path | None) -> Path:
    path = _file(device_id, head, folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            # A line that a crash cut off must not swallow this one.
            file.write(("\n" if file.tell() and not _ends_well(path) else "") + json.dumps(event) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SessionError(f"cannot store the calibration in {path}: {error.strerror}") from error
    return path


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
