# SPDX-License-Identifier: MIT
"""Anything that can be replayed, told apart by its first bytes."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from firmware_protocol import codec
from firmware_protocol.routine import parse_routine
from roller_host.sessions.capture import read_capture
from roller_host.sessions.errors import SessionError
from roller_host.sessions.store import Recording, open_recording
from roller_host.signal.calibration import KeptCalibration
from roller_host.signal.comfort import Band
from roller_host.signal.core import SignalParams
from roller_host.signal.sequence import GuidedPlace, guided

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roller_host.signal.record import Record

_SQLITE_MAGIC = b"SQLite format 3\x00"
_PARTS = tuple(one.name for one in fields(SignalParams) if is_dataclass(one.default_factory))


def params_json(params: SignalParams) -> str:
    """Parameters as JSON, for a recording to remember."""
    bands = [[*place, *band] for place, band in params.bands.items()]
    parts = {name: asdict(getattr(params, name)) for name in _PARTS}
    kept = params.calibration and [list(params.calibration.record), *params.calibration[1:]]
    return json.dumps(
        {
            **parts,
            "bands": bands,
            "routine": [list(step) for step in params.routine],
            "calibration": kept,
            "began_s": params.began_s,
        }
    )


def params_from_json(text: str) -> SignalParams:
    """Parameters that `params_json` wrote.

    Raises
    ------
    SessionError
        When they are not what this version knows.
    """
    try:
        parts: dict[str, Any] = json.loads(text)
        return SignalParams(
            **{name: _restored(getattr(SignalParams(), name), parts[name]) for name in _PARTS},
            bands={(zone, side): Band(*thresholds) for zone, side, *thresholds in parts["bands"]},
            routine=tuple(GuidedPlace(*step) for step in parts["routine"]),
            calibration=_kept(parts.get("calibration")),
            began_s=parts.get("began_s", 0),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SessionError(
            f"the parameters in the recording are not understood ({error}): use the version that made it"
        ) from error


def _kept(stored: Any) -> KeptCalibration | None:
    if stored is None:
        return None
    record, device_id, since_s, head = stored
    return KeptCalibration(codec.Calibration(*record), str(device_id), int(since_s), int(head))


def _restored(default: Any, value: Any) -> Any:
    """Parameters of the kind that ``default`` is, from JSON."""
    if is_dataclass(default) and not isinstance(default, type):
        return replace(default, **{name: _restored(getattr(default, name), one) for name, one in value.items()})
    if isinstance(default, tuple):
        return tuple(_restored(*pair) for pair in zip(default, value, strict=True))
    if isinstance(value, int | float):
        return value
    raise TypeError(f"{value!r} is no number")


def guided_by(path: Path) -> tuple[GuidedPlace, ...]:
    """Places of the routine in a TOML file, for `SignalParams.routine`.

    Raises
    ------
    SessionError
        When there is no such file, or it is no routine.
    """
    try:
        return guided(parse_routine(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SessionError(f"cannot read the routine {path}: {error.strerror}") from error
    except ValueError as error:
        raise SessionError(f"{path} is no routine: {error}. docs/routines.md says how to write one") from error


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
