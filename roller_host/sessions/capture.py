# SPDX-License-Identifier: MIT
"""JSON-lines captures: payloads from anybody's sniffer or generator, one JSON object per line.

``docs/capture.md`` describes the format.
"""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any, get_args

from roller_host.sessions.errors import SessionError
from roller_host.signal.record import Record, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

FORMAT = "roller-capture"
VERSION = 1
_SOURCES = get_args(Source)
LONGEST_LINE = 4096
"""Characters; a payload has at most 512 bytes, so a longer line is no capture."""
_UNREADABLE = (ValueError, OverflowError, RecursionError)
"""What a line that is no payload raises: numbers and brackets in it may go beyond every bound."""


def _parse_header(path: Path, line: str) -> None:
    try:
        header = json.loads(line)
    except _UNREADABLE:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise SessionError(
            f"{path} is neither a recording nor a capture: its first line must be "
            f'{{"format": "{FORMAT}", "version": {VERSION}}}'
        )
    if header.get("version") != VERSION:
        raise SessionError(
            f"{path} is a capture of version {header.get('version')}; this program reads version {VERSION}"
        )


class _LineError(ValueError):
    """A line that is no payload."""


def _parse_line(line: str) -> Record:
    """Read one payload line; one of _UNREADABLE says why it is none."""
    entry: Any = json.loads(line)
    if not isinstance(entry, dict):
        raise _LineError("not a JSON object")
    missing = [key for key in ("t_s", "from", "dir", "payload") if key not in entry]
    if missing:
        raise _LineError(f"no {', '.join(missing)}")
    t_s, source, direction, payload = entry["t_s"], entry["from"], entry["dir"], entry["payload"]
    if isinstance(t_s, bool) or not isinstance(t_s, int | float) or not math.isfinite(t_s):
        raise _LineError("t_s is not a number")
    if source not in _SOURCES:
        raise _LineError(f'"from" is not one of {", ".join(_SOURCES)}')
    if direction not in ("in", "out"):
        raise _LineError('"dir" is neither "in" nor "out"')
    if not isinstance(payload, str):
        raise _LineError("payload is not a string of hex digits")
    return Record(float(t_s), source, direction, bytes.fromhex(payload))


def read_capture(path: Path) -> Iterator[Record]:
    """Read a capture line by line.

    A last line that was cut off is left out with a warning: the program that wrote it may have been stopped.

    Raises
    ------
    SessionError
        When the file is no capture, or a line in it is not what it must be.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            _parse_header(path, lines.readline(LONGEST_LINE))
            problem = ""
            n = 1
            while line := lines.readline(LONGEST_LINE):
                n += 1
                if problem:
                    raise SessionError(f"{path}, line {problem}")
                if line.strip():
                    try:
                        yield _parse_line(line)
                    except _UNREADABLE as error:
                        problem = f"{n}: {error}"
            if problem:
                logger.warning("%s: the last line is incomplete and was left out (line %s)", path, problem)
    except OSError as error:
        raise SessionError(f"cannot read {path}: {error}") from error


def header_line() -> str:
    """First line of a capture, without line break."""
    return json.dumps({"format": FORMAT, "version": VERSION})


def record_line(record: Record) -> str:
    """One payload as a line, without line break."""
    return json.dumps(
        {"t_s": record.t_s, "from": record.source, "dir": record.direction, "payload": record.payload.hex()}
    )
