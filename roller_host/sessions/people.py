# SPDX-License-Identifier: MIT
"""Profiles of people on disk, one TOML file each.

A file is written whole and put in place at once, and the one before it is kept beside it. Somebody else's profile is
never written over: a name belongs to one file.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import data_folder, is_taken
from roller_host.sessions.person import Person, checked_name, from_toml, to_toml

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".toml"
KEPT: Final = ".previous"
"""Stands behind the name of the file that was replaced."""
LARGEST_B: Final = 262144
"""Nobody's profile is larger, B."""


def people_folder() -> Path:
    """Folder of profiles; it need not exist yet."""
    return data_folder() / "people"


def load_all(folder: Path | None = None) -> list[Person]:
    """Everybody with a readable profile, by name."""
    return sorted((person for _, person in _stored(folder)), key=lambda person: person.name.casefold())


def _stored(folder: Path | None) -> list[tuple[Path, Person]]:
    found: list[tuple[Path, Person]] = []
    for path in sorted((folder or people_folder()).glob(f"*{SUFFIX}")):
        try:
            found.append((path, read(path)))
        except SessionError:
            continue
    return found


def unreadable(folder: Path | None = None) -> list[str]:
    """What is wrong with the profiles that `load_all` leaves out, a sentence each."""
    problems: list[str] = []
    for path in sorted((folder or people_folder()).glob(f"*{SUFFIX}")):
        try:
            read(path)
        except SessionError as error:
            problems.append(str(error))
    return problems


def find_or_new(name: str, folder: Path | None = None) -> Person:
    """Profile of a person, or a new one that is not saved yet.

    Raises
    ------
    SessionError
        When the name is none, or what seems to be this person's profile cannot be read.
    """
    wanted = _checked(name)
    found = _first(wanted, folder)
    if found is None:
        # Beginning anew would forget places that are left out.
        usual = (folder or people_folder()) / f"{_stem(wanted)}{SUFFIX}"
        if is_taken(usual):
            read(usual)
        return Person(wanted)
    return found[1]


def find(name: str, folder: Path | None = None) -> Person:
    """Profile of a person.

    Raises
    ------
    SessionError
        When nobody is called so; says who is known.
    """
    return _file_of(name, folder)[1]


def _file_of(name: str, folder: Path | None) -> tuple[Path, Person]:
    if found := _first(_checked(name), folder):
        return found
    known = ", ".join(person.name for person in load_all(folder)) or "nobody yet"
    broken = "".join(f". {problem}" for problem in unreadable(folder))
    raise SessionError(
        f"there is no profile of {name!r}; known: {known}. To make one: roller-host calibrate comfort --person "
        f"{name!r}{broken}"
    )


def save(person: Person, folder: Path | None = None) -> Path:
    """Write a profile; the one before it is kept.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SessionError
        When it cannot be written.
    """
    name = _checked(person.name)
    found = _first(name, folder)
    target = found[0] if found else _free(folder or people_folder(), name)
    write(target, replace(person, name=name))
    return target


def _first(name: str, folder: Path | None) -> tuple[Path, Person] | None:
    """File and profile of a checked name; of several that somebody copied there, always the same one."""
    return next((one for one in _stored(folder) if one[1].name.casefold() == name.casefold()), None)


def _checked(name: str) -> str:
    try:
        return checked_name(name)
    except ValueError as error:
        raise SessionError(str(error)) from error


def _free(folder: Path, name: str) -> Path:
    """A file name for a person, which no other has."""
    stem = _stem(name)
    candidate, n = folder / f"{stem}{SUFFIX}", 1
    while is_taken(candidate):
        n += 1
        candidate = folder / f"{stem}_{n}{SUFFIX}"
    return candidate


def _stem(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-") or "person"


def write(target: Path, person: Person) -> None:
    """Write a profile to a file, all of it or nothing; a file that is there is kept beside it.

    Raises
    ------
    SessionError
        When it cannot be written.
    """
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(to_toml(person), encoding="utf-8")
        if target.exists():
            target.with_name(target.name + KEPT).write_bytes(target.read_bytes())
        draft.replace(target)
    except OSError as error:
        raise SessionError(f"cannot write the profile {target}: {error.strerror}; choose another place") from error


def delete(name: str, folder: Path | None = None) -> None:
    """Delete a profile, and the one kept beside it.

    Raises
    ------
    SessionError
        When nobody is called so, or the file cannot be removed.
    """
    path = _file_of(name, folder)[0]
    try:
        path.with_name(path.name + KEPT).unlink(missing_ok=True)
        path.unlink()
    except OSError as error:
        raise SessionError(f"cannot delete {path}: {error.strerror}") from error


def rename(name: str, new: str, folder: Path | None = None) -> Person:
    """Give a person another name.

    Raises
    ------
    SessionError
        When nobody is called so, or somebody is called ``new``.
    """
    (path, person), new = _file_of(name, folder), _checked(new)
    if new.casefold() != person.name.casefold():
        new = new_name(new, folder)
    person = replace(person, name=new)
    write(path, person)
    return person


def new_name(name: str, folder: Path | None = None) -> str:
    """Name for a person, as it is kept.

    Raises
    ------
    SessionError
        When it is none, or somebody is called so.
    """
    name = _checked(name)
    if _first(name, folder):
        raise SessionError(f"there is a profile of {name!r} already; choose another name, or delete that one first")
    return name


def read(path: Path) -> Person:
    """Read a profile.

    Raises
    ------
    SessionError
        When there is no such file, or it is no profile; says what is wrong in it.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_B + 1)
        if len(raw) > LARGEST_B:
            raise SessionError(f"{path} is no profile: it is larger than {LARGEST_B} bytes")
        return from_toml(raw.decode("utf-8"))
    except OSError as error:
        raise SessionError(f"cannot read the profile {path}: {error.strerror}") from error
    except ValueError as error:
        raise SessionError(f"{path} is no profile: {error}. docs/calibration.md says how one looks") from error
