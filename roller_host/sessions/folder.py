# SPDX-License-Identifier: MIT
"""Where recordings live, and names that are never used twice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from roller_host.sessions.errors import SessionError

if TYPE_CHECKING:
    from datetime import datetime

SUFFIX = ".sqlite"
FOLDER_VARIABLE = "ROLLER_HOST_DATA"
"""Environment variable that moves the data folder."""


def data_folder() -> Path:
    """Folder of everything that this program keeps; it need not exist yet."""
    moved = os.environ.get(FOLDER_VARIABLE)
    return Path(moved) if moved else platformdirs.user_data_path("roller-host", appauthor=False)


def recordings_folder() -> Path:
    """Folder of recordings; it need not exist yet."""
    return data_folder() / "recordings"


def is_taken(path: Path) -> bool:
    """Whether something bears that name, be it a link to nowhere; a name that none can bear is not taken."""
    return os.path.lexists(path)


def already_there(path: Path) -> SessionError:
    """Error for a file asked for that exists."""
    return SessionError(f"{path} exists already, and recordings are never overwritten: choose another name")


def reserve(path: Path | None, now: datetime, folder: Path | None = None) -> Path:
    """Create an empty file for a new recording; never one that exists.

    Parameters
    ----------
    path : Path or None
        File asked for by the person; None for a name made of the time.
    now : datetime
        Local time, for that name.
    folder : Path, optional
        Where to put it; default `recordings_folder`.

    Raises
    ------
    SessionError
        When the file asked for exists, or cannot be created.
    """
    wanted = path or (folder or recordings_folder()) / f"{now:%Y-%m-%d_%H-%M-%S}{SUFFIX}"
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SessionError(
            f"cannot create the folder {wanted.parent}: {error.strerror}; choose another place with --out"
        ) from error
    candidate, n = wanted, 1
    while True:
        try:
            with candidate.open("xb"):
                return candidate
        except FileExistsError as error:
            if path is not None:
                raise already_there(path) from error
            n += 1
            candidate = wanted.with_name(f"{wanted.stem}_{n}{SUFFIX}")
        except OSError as error:
            raise SessionError(
                f"cannot create {candidate}: {error.strerror}; choose another place with --out"
            ) from error
