# SPDX-License-Identifier: MIT
"""A person's profile: comfort bands with where they come from, places left out, doses; and the same as TOML."""

from __future__ import annotations

import json
import logging
import tomllib
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from firmware_protocol import reference
from firmware_protocol.zones import MIDLINE, PLACES, SIDES, ZONES, place_name
from roller_host.signal.comfort import STARTING_BANDS, Band
from roller_host.signal.dose import STARTING_DOSES, Dose
from roller_host.signal.limits import Answer, LimitParams, Origin, Place, bands_in_use, refine
from roller_host.signal.ramps import Marks, Reaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

T = TypeVar("T")

FORMAT: Final = 1
LONGEST_NAME: Final = 40
LIMITS: Final = LimitParams()
MOST_ROWS: Final = 1000
"""Rows of one kind in a profile."""


@dataclass(frozen=True)
class PlaceBand:
    """Thresholds of one place and where they come from."""

    band: Band
    origin: Origin = Origin.START
    most_n: float = 0.0
    """Refinements do not raise the limit above this, N."""
    date: str = ""
    """Of the measurement, ISO 8601; empty when nothing was measured."""
    device: str = ""
    """Device id of the roller that measured it."""
    spread: float | None = None
    """Of the ramps, as a share of their median."""
    ramps: int = 0
    bound: bool = False
    """The ceiling of the zone bounds it."""


@dataclass(frozen=True)
class Refinement:
    """One answer to "how did that feel"."""

    place: Place
    answer: Answer
    date: str
    from_n: float
    """Limit before, N."""
    to_n: float
    """Limit after, N."""


@dataclass(frozen=True)
class Unfinished:
    """A calibration of comfort that was interrupted."""

    form: str
    places: tuple[Place, ...]
    """All that were to be measured, in their order."""
    reaction: Reaction
    marks: Mapping[Place, tuple[Marks, ...]] = field(default_factory=dict[Place, tuple[Marks, ...]])
    skipped: tuple[Place, ...] = ()
    date: str = ""


@dataclass(frozen=True)
class Person:
    """What one person's thresholds are."""

    name: str
    bands: Mapping[Place, PlaceBand] = field(default_factory=dict[Place, PlaceBand])
    """Places without one have the starting points."""
    excluded: Mapping[Place, str] = field(default_factory=dict[Place, str])
    """Places that are to be left out, with the reason."""
    doses: Mapping[Place, Dose] = field(default_factory=lambda: dict(STARTING_DOSES))
    refinements: tuple[Refinement, ...] = ()
    reaction: Reaction = field(default_factory=Reaction)
    patch_area_m2: float = reference.GEOMETRY.patch_area_m2
    """Area on which the roller presses, m2: makes kPa of N."""
    unfinished: Unfinished | None = None

    def band(self, place: Place) -> PlaceBand:
        """Thresholds of a place, its own or the starting point."""
        start = STARTING_BANDS[place[0]]
        return self.bands.get(place) or PlaceBand(start, Origin.START, start.limit_n)

    def in_use(self) -> dict[Place, Band]:
        """Thresholds for ``SignalParams.bands``; places without any of their own are not in it."""
        return bands_in_use({place: one.band for place, one in self.bands.items()}, self.excluded)

    def kpa(self, newtons: float) -> float:
        """Mean pressure on the patch, kPa."""
        return newtons / self.patch_area_m2 / 1000

    def felt(self, place: Place, answer: Answer, date: str) -> tuple[Person, str]:
        """Take in how a place felt; returns the person with the band moved, and the step in words without the place."""
        before = self.band(place)
        moved = refine(LIMITS, place[0], before.band, before.most_n, answer)
        done = Refinement(place, answer, date, before.band.limit_n, moved.limit_n)
        bands = {**self.bands, place: replace(before, band=moved)} if moved != before.band else self.bands
        if moved == before.band:
            reason = "it is right" if answer is Answer.RIGHT else "it goes no further; measure it again instead"
            words = f"the band stays, {reason}"
        else:
            share = 100 * (moved.limit_n / before.band.limit_n - 1)
            words = (
                f"limit {before.band.limit_n:.2f} -> {moved.limit_n:.2f} N ({share:+.0f} %), "
                f"band {before.band.low_n:.2f}-{before.band.firm_n:.2f} -> {moved.low_n:.2f}-{moved.firm_n:.2f} N"
            )
        return replace(self, bands=bands, refinements=(*self.refinements, done)[-MOST_ROWS:]), words


def checked_name(name: str) -> str:
    """Name without surplus spaces.

    Raises
    ------
    ValueError
        When it is empty, too long, or holds signs that nobody can type.
    """
    # The same letters are typed, and stored by systems, in one piece or as letter and accent.
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"a person's name has 1 to {LONGEST_NAME} printable characters, {name[:60]!r} has not")
    return name


# --- TOML -------------------------------------------------------------------------------------------------------------


def to_toml(person: Person) -> str:
    """Profile as text; `from_toml` reads it."""
    lines = [
        "# Comfort profile. Forces in N; ceilings are those of the program, which no file raises.",
        f"format = {FORMAT}",
        f"name = {_quoted(person.name)}",
        f"patch_area_m2 = {person.patch_area_m2!r}",
        *_table("reaction", person.reaction._asdict(), single=True),
    ]
    for place, one in _in_order(person.bands):
        row = {**one.band._asdict(), "origin": one.origin.value, "most_n": one.most_n}
        del row["ceiling_n"]
        measured = {"date": one.date, "device": one.device, "spread": one.spread, "ramps": one.ramps}
        lines += _table("bands", {**_place(place), **row, **(measured if one.date else {}), "bound": one.bound})
    for place, reason in _in_order(person.excluded):
        lines += _table("excluded", {**_place(place), "reason": reason})
    for place, dose in _in_order(person.doses):
        if dose != STARTING_DOSES.get(place):
            lines += _table("doses", {**_place(place), **dose._asdict()})
    for one in person.refinements:
        row = {"answer": one.answer.value, "date": one.date, "from_n": one.from_n, "to_n": one.to_n}
        lines += _table("refinements", {**_place(one.place), **row})
    if person.unfinished:
        lines += _unfinished_lines(person.unfinished)
    return "\n".join(lines) + "\n"


def _unfinished_lines(flow: Unfinished) -> list[str]:
    lines = _table("unfinished", {"form": flow.form, "date": flow.date, **flow.reaction._asdict()}, single=True)
    for place in flow.places:
        lines += _table("unfinished.places", {**_place(place), "skipped": place in flow.skipped})
        for marks in flow.marks.get(place, ()):
            lines += _table("unfinished.ramps", {**_place(place), **marks._asdict()})
    return lines


def _in_order(by_place: Mapping[Place, Any]) -> Iterable[tuple[Place, Any]]:
    return ((place, by_place[place]) for place in PLACES if place in by_place)


def _place(place: Place) -> dict[str, str]:
    return {"zone": place[0], "side": place[1]}


def _table(name: str, row: Mapping[str, Any], *, single: bool = False) -> list[str]:
    head = f"[{name}]" if single else f"[[{name}]]"
    return ["", head, *(f"{key} = {_quoted(value)}" for key, value in row.items() if value is not None)]


def _quoted(value: Any) -> str:
    """A value in TOML: strings as in JSON, but that TOML has no escape for DEL's neighbours beyond those."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def from_toml(text: str) -> Person:
    """Read a profile from text.

    Forces above what the zone's ceiling allows are capped. What is not there has its default.

    Raises
    ------
    ValueError
        When it is no profile; names the key.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"not readable as TOML: {error}") from error
    top = _Row(table, "profile")
    top.only("format", "name", "patch_area_m2", "reaction", "bands", "excluded", "doses", "refinements", "unfinished")
    if top.value("format", int, None) != FORMAT:
        raise ValueError(f"format must be {FORMAT}, which this version reads")
    return Person(
        name=checked_name(top.value("name", str, None)),
        bands=_by_place(map(_band, top.rows("bands"))),
        excluded=_by_place(map(_excluded, top.rows("excluded"))),
        doses={**STARTING_DOSES, **_by_place(map(_dose, top.rows("doses")))},
        refinements=tuple(_refinement(row) for row in top.rows("refinements")),
        reaction=_reaction(top.row("reaction", ("s", "sigma_s", "n"))),
        patch_area_m2=top.number("patch_area_m2", (1e-6, 1e-2), reference.GEOMETRY.patch_area_m2),
        unfinished=_unfinished(top.row("unfinished")) if "unfinished" in table else None,
    )


class _Row:
    """A table of a profile, read with care."""

    def __init__(self, table: Any, where: str) -> None:
        if not isinstance(table, dict):
            raise ValueError(f"{where} must be a table")  # noqa: TRY004 - wrong text, not a wrong call
        self._table: dict[str, Any] = table
        self._where = where

    def __contains__(self, key: str) -> bool:
        return key in self._table

    def only(self, *known: str) -> None:
        unknown = sorted(self._table.keys() - set(known))
        if unknown:
            raise ValueError(f"{self._where}: unknown key {unknown[0][:40]!r}; known are {', '.join(known)}")

    def value(self, key: str, kind: type, default: Any) -> Any:
        value = self._table.get(key, default)
        if type(value) is not kind:
            raise ValueError(f"{self._where}: {key} must be {_KINDS[kind]}, not {str(value)[:40]!r}")
        return value

    def number(self, key: str, limits: tuple[float, float], default: float | None = None) -> float:
        value = self._table.get(key, default)
        if type(value) not in (int, float) or not limits[0] <= value <= limits[1]:
            shown = str(value)[:40]
            raise ValueError(f"{self._where}: {key} must be a number from {limits[0]:g} to {limits[1]:g}, not {shown}")
        return float(value)

    def one_of(self, key: str, allowed: Iterable[str]) -> str:
        value, names = self._table.get(key), list(allowed)
        if value not in names:
            raise ValueError(f"{self._where}: {key} {str(value)[:40]!r} is none of {', '.join(names)}")
        return str(value)

    def place(self) -> Place:
        zone = self.one_of("zone", ZONES)
        return zone, self.one_of("side", ("",) if zone in MIDLINE else SIDES)

    def row(self, key: str, known: tuple[str, ...] = ()) -> _Row:
        row = _Row(self._table.get(key, {}), key)
        if known:
            row.only(*known)
        return row

    def rows(self, key: str, known: tuple[str, ...] = ()) -> list[_Row]:
        tables = self._table.get(key, [])
        if not isinstance(tables, list) or len(tables) > MOST_ROWS:
            raise ValueError(f"{self._where}: {key} must be at most {MOST_ROWS} tables [[{key}]]")
        rows = [_Row(table, f"{key} {i}") for i, table in enumerate(tables, 1)]
        for row in rows:
            if known:
                row.only(*known)
        return rows


_KINDS: Final = {str: "a text", int: "a whole number", bool: "true or false"}
_FORCE_N: Final = (0.0, 100.0)


def _band(row: _Row) -> tuple[Place, PlaceBand]:
    row.only(
        "zone", "side", "low_n", "firm_n", "limit_n", "origin", "most_n", "date", "device", "spread", "ramps", "bound"
    )
    place = row.place()
    ceiling_n = STARTING_BANDS[place[0]].ceiling_n
    most_n = LIMITS.limit_ratio * ceiling_n
    low_n, firm_n, limit_n = (row.number(key, _FORCE_N) for key in ("low_n", "firm_n", "limit_n"))
    if not LIMITS.least_limit_n <= limit_n or not 0 < low_n < firm_n < limit_n:
        raise ValueError(
            f"{place_name(*place)}: must be 0 < low_n < firm_n < limit_n and limit_n at least {LIMITS.least_limit_n:g}"
        )
    # A limit that is too high takes its band down with it.
    share = min(most_n / limit_n, 1.0)
    if share < 1.0:
        logger.warning(
            "%s: a limit of %.1f N is too near the ceiling; %.1f N is taken", place_name(*place), limit_n, most_n
        )
    band = Band(low_n * share, firm_n * share, limit_n * share, ceiling_n)
    spread = row.number("spread", (0.0, 10.0), 0.0) if "spread" in row else None
    return place, PlaceBand(
        band,
        Origin(row.one_of("origin", [one.value for one in Origin])),
        min(row.number("most_n", _FORCE_N, limit_n), ceiling_n),
        row.value("date", str, ""),
        row.value("device", str, ""),
        spread,
        row.value("ramps", int, 0),
        row.value("bound", bool, False),
    )


def _by_place(rows: Iterable[tuple[Place, T]]) -> dict[Place, T]:
    found: dict[Place, T] = {}
    for place, one in rows:
        if place in found:
            raise ValueError(f"{place_name(*place)} is there twice")
        found[place] = one
    return found


def _excluded(row: _Row) -> tuple[Place, str]:
    row.only("zone", "side", "reason")
    return row.place(), row.value("reason", str, "")


def _dose(row: _Row) -> tuple[Place, Dose]:
    row.only("zone", "side", "session_n_s", "week_n_s")
    return row.place(), Dose(row.number("session_n_s", (0.0, 1e6)), row.number("week_n_s", (0.0, 1e6)))


def _refinement(row: _Row) -> Refinement:
    row.only("zone", "side", "answer", "date", "from_n", "to_n")
    answer = Answer(row.one_of("answer", [one.value for one in Answer]))
    return Refinement(
        row.place(), answer, row.value("date", str, ""), row.number("from_n", _FORCE_N), row.number("to_n", _FORCE_N)
    )


def _reaction(row: _Row) -> Reaction:
    usual = Reaction()
    return Reaction(
        row.number("s", (0.0, 1.0), usual.s), row.number("sigma_s", (0.0, 1.0), usual.sigma_s), row.value("n", int, 0)
    )


def _unfinished(row: _Row) -> Unfinished:
    row.only("form", "date", "s", "sigma_s", "n", "places", "ramps")
    places = row.rows("places", ("zone", "side", "skipped"))
    marks: dict[Place, tuple[Marks, ...]] = {}
    for one in row.rows("ramps", ("zone", "side", *Marks._fields)):
        place = one.place()
        ceiling_n = STARTING_BANDS[place[0]].ceiling_n
        found = Marks(
            one.number("pleasant_n", (0.0, ceiling_n)),
            one.number("firmest_n", (LIMITS.lowest_n, ceiling_n)),
            one.value("bound", bool, False),
            one.number("rate_n_s", _FORCE_N),
            one.number("sigma_n", _FORCE_N),
        )
        marks[place] = (*marks.get(place, ()), found)
    return Unfinished(
        row.value("form", str, ""),
        tuple(one.place() for one in places),
        _reaction(row),
        marks,
        tuple(one.place() for one in places if one.value("skipped", bool, False)),
        row.value("date", str, ""),
    )
