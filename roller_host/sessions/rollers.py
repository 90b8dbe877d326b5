# SPDX-License-Identifier: MIT
"""Rollers that this computer knows: by their device id, with the names that their owners gave them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE: Final = "rollers.json"
LONGEST_NAME: Final = 40


@dataclass(frozen=True)
class KnownRoller:
    """A roller that was connected before."""

    device_id: str
    """16 hexadecimal digits; never changes."""
    name: str
    """Advertised name."""
    own_name: str = ""
    """Name given by its owner."""
    address: str = ""
    """Where it was last; another computer sees it elsewhere."""
    last_seen: str = ""
    """When it was connected last, ISO 8601 with its time zone."""
    security_mode: int = 0
    """See ``layout.SECURITY_MODES``."""
    at_start: bool = False
    """To be connected to when the dashboard opens; true for one at most."""

    @property
    def title(self) -> str:
        """What to call it."""
        return self.own_name or self.name or self.device_id


def load(path: Path | None = None) -> list[KnownRoller]:
    """Known rollers, the one that was used last at first; none when the file is missing or makes no sense.

    Parameters
    ----------
    path : Path, optional
        By default `FILE` in the data folder.
    """
    try:
        rows = json.loads((path or data_folder() / FILE).read_text(encoding="utf-8"))["rollers"]
        known = [
            KnownRoller(**{key: row[key] for key in KnownRoller.__dataclass_fields__ if key in row}) for row in rows
        ]
        return sorted(known, key=lambda roller: roller.last_seen, reverse=True)
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _save(rollers: Iterable[KnownRoller], path: Path | None) -> None:
    target = path or data_folder() / FILE
    draft = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"rollers": [asdict(roller) for roller in rollers]}, indent=1), encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        raise SessionError(f"cannot remember rollers in {target}: {error.strerror}") from error


def remember(roller: KnownRoller, path: Path | None = None) -> None:
    """Note that a roller was connected; what its owner chose for it stays.

    Raises
    ------
    SessionError
        When the file cannot be written.
    """
    others = [known for known in load(path) if known.device_id != roller.device_id]
    before = [known for known in load(path) if known.device_id == roller.device_id]
    if before:
        roller = replace(roller, own_name=roller.own_name or before[0].own_name, at_start=before[0].at_start)
    _save([roller, *others], path)


def rename(device_id: str, own_name: str, path: Path | None = None) -> None:
    """Give a known roller a name of its own; an empty one takes it away.

    Raises
    ------
    SessionError
        When there is no such roller, the name is too long, or the file cannot be written.
    """
    own_name = " ".join(own_name.split())
    known = load(path)
    if len(own_name) > LONGEST_NAME:
        raise SessionError(f"a name has at most {LONGEST_NAME} characters, this one has {len(own_name)}")
    if device_id not in [roller.device_id for roller in known]:
        raise SessionError(f"no roller {device_id} is known: connect to it once")
    _save([replace(one, own_name=own_name) if one.device_id == device_id else one for one in known], path)


def connect_at_start(device_id: str | None, path: Path | None = None) -> None:
    """Choose the roller to connect to when the dashboard opens; None for none.

    Raises
    ------
    SessionError
        When the file cannot be written.
    """
    _save([replace(roller, at_start=roller.device_id == device_id) for roller in load(path)], path)


def forget(device_id: str, path: Path | None = None) -> None:
    """Know a roller no longer; harmless for one that is not known.

    Raises
    ------
    SessionError
        When the file cannot be written.
    """
    _save([roller for roller in load(path) if roller.device_id != device_id], path)


def find(text: str, path: Path | None = None) -> KnownRoller | None:
    """The known roller that a person means by its own name, its advertised name, its address or its device id."""
    wanted = text.casefold()
    for roller in load(path):
        if wanted in (one.casefold() for one in (roller.own_name, roller.name, roller.address, roller.device_id)):
            return roller
    return None


def target_of(text: str | None) -> str | None:
    """What the link is to look for, when a person named a roller by a name that only this computer knows."""
    known = find(text) if text else None
    return known.device_id if known else text
