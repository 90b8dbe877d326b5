# SPDX-License-Identifier: MIT
"""Anything that can be replayed, told apart by its first bytes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from roller_host.sessions.capture import read_capture
from roller_host.sessions.errors import SessionError
from roller_host.sessions.store import Recording, open_recording
from roller_host.signal.comfort import Band, ComfortParams
from roller_host.signal.core import SignalParams
from roller_host.signal.force import ForceParams
from roller_host.signal.strokes import StrokeParams
from roller_host.signal.zones import ZoneParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roller_host.signal.record import Record

_SQLITE_MAGIC = b"SQLite format 3\x00"


def params_json(params: SignalParams) -> str:
    """Parameters as JSON, for a recording to remember."""
    bands = [[*place, *band] for place, band in params.bands.items()]
    parts = {name: asdict(getattr(params, name)) for name in ("force", "comfort", "strokes", "zones")}
    return json.dumps({**parts, "bands": bands})


def params_from_json(text: str) -> SignalParams:
    """Parameters that `params_json` wrote.

    Raises
    ------
    SessionError
        When they are not what this version knows.
    """
    try:
        parts: dict[str, Any] = json.loads(text)
        numbers = [value for name in ("force", "comfort", "strokes", "zones") for value in parts[name].values()]
        if not all(isinstance(value, int | float) for value in numbers):
            raise TypeError("a value is no number")  # noqa: TRY301 - one message for all that can be wrong
        return SignalParams(
            ForceParams(**parts["force"]),
            ComfortParams(**parts["comfort"]),
            StrokeParams(**parts["strokes"]),
            ZoneParams(**parts["zones"]),
            {(zone, side): Band(*thresholds) for zone, side, *thresholds in parts["bands"]},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SessionError(
            f"the parameters in the recording are not understood ({error}): use the version that made it"
        ) from error


def open_source(path: Path) -> tuple[Iterator[Record], SignalParams, Recording | None]:
    """Open a recording or a capture for replay.

    Returns
    -------
    records : iterator of Record
        In order of arrival. May raise `SessionError` while read.
    params : SignalParams
        Those of the live session; defaults for a capture.
    recording : Recording or None
        None for a capture.

    Raises
    ------
    SessionError
        When there is no such file, or it is neither.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_SQLITE_MAGIC))
    except FileNotFoundError as error:
        raise SessionError(f"there is no file {path}") from error
    except OSError as error:
        raise SessionError(f"cannot read {path}: {error.strerror}") from error
    if magic != _SQLITE_MAGIC:
        return read_capture(path), SignalParams(), None
    recording = open_recording(path)
    try:
        params = params_from_json(recording.meta.get("params", ""))
    except SessionError as error:
        raise SessionError(f"{path}: {error}") from error
    return recording.records(), params, recording
