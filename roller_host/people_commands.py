# SPDX-License-Identifier: MIT
"""``roller-host people``: profiles on the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol.zones import PLACES, ZONES, place_name, places_named
from roller_host.sessions import people
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import is_taken
from roller_host.sessions.person import Person
from roller_host.signal.comfort import STARTING_BANDS
from roller_host.signal.limits import Answer, Origin
from roller_host.terminal import BAD_INPUT, finish

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from roller_host.sessions.person import PlaceBand
    from roller_host.signal.limits import Place

START_SOURCE: Final = "this project's choice, not clinical; replaced by a calibration of your own"


def run_people(arguments: argparse.Namespace) -> int:
    """List, show, refine, export, import, rename or delete profiles; returns the exit code."""
    acts: dict[str | None, Callable[[argparse.Namespace], tuple[dict[str, Any], str]]] = {
        None: _list,
        "list": _list,
        "show": _show,
        "feel": _feel,
        "include": _include,
        "export": _export,
        "import": _import,
        "rename": _rename,
        "delete": _delete,
    }
    try:
        result, words = acts[arguments.act](arguments)
    except SessionError as error:
        return finish({}, error, BAD_INPUT, as_json=arguments.json)
    sys.stdout.write(json.dumps(result) + "\n" if arguments.json else words)
    return 0


def _list(_: argparse.Namespace) -> tuple[dict[str, Any], str]:
    everybody = people.load_all()
    broken = people.unreadable()
    for problem in broken:
        sys.stderr.write(f"roller-host: {problem}\n")
    lines = [f"{one.name}: {_measured(one)} places measured, {len(one.excluded)} left out" for one in everybody]
    lines = lines or ["nobody has a profile yet: roller-host calibrate comfort --person NAME"]
    rows = [
        {
            "name": one.name,
            "measured": _measured(one),
            "excluded": len(one.excluded),
            "unfinished": bool(one.unfinished),
        }
        for one in everybody
    ]
    return {"people": rows, "unreadable": broken}, "\n".join(lines) + "\n"


def _measured(person: Person) -> int:
    return sum(one.origin is Origin.MEASURED for one in person.bands.values())


def _show(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    person = people.find(arguments.name)
    return person_json(person), person_words(person)


def person_json(person: Person) -> dict[str, Any]:
    """A profile as JSON values."""
    return {
        "person": person.name,
        "patch_area_m2": person.patch_area_m2,
        "reaction_s": person.reaction.s,
        "reaction_taps": person.reaction.n,
        "bands": [_band_json(person, place) for place in PLACES],
        "excluded": {place_name(*place): reason for place, reason in person.excluded.items()},
        "doses": {place_name(*place): dose._asdict() for place, dose in person.doses.items()},
        "unfinished": bool(person.unfinished),
    }


def _band_json(person: Person, place: Place) -> dict[str, Any]:
    one = person.band(place)
    return {
        "place": place_name(*place),
        "zone": place[0],
        "side": place[1],
        **one.band._asdict(),
        "firm_kpa": person.kpa(one.band.firm_n),
        "limit_kpa": person.kpa(one.band.limit_n),
        "origin": one.origin.value,
        "source": _source(one),
        "date": one.date,
        "device": one.device,
        "spread": one.spread,
        "ramps": one.ramps,
        "bound_by_ceiling": one.bound,
        "excluded": place in person.excluded,
    }


def _source(one: PlaceBand) -> str:
    if one.origin is Origin.START:
        return START_SOURCE
    if one.origin is Origin.INFERRED:
        return f"from the places measured by {one.date[:10]}"
    spread = f", spread {100 * one.spread:.0f} %" if one.spread is not None else ""
    return f"{one.ramps} ramps on {one.date[:10]} with {one.device or 'an unknown roller'}{spread}"


def person_words(person: Person) -> str:
    """A profile as a table."""
    area = f"{person.patch_area_m2 * 1e4:.1f} cm2"
    lines = [f"{person.name}: comfortable, limit and ceiling in N (kPa on {area}). Not medical advice."]
    for place in PLACES:
        one = person.band(place)
        band = one.band
        kpa = f"{person.kpa(band.low_n):.0f}-{person.kpa(band.firm_n):.0f}, {person.kpa(band.limit_n):.0f} kPa"
        words = f"{band.low_n:.1f}-{band.firm_n:.1f}   {band.limit_n:.1f}   {band.ceiling_n:g}   ({kpa})"
        source = f"left out: {person.excluded[place]}" if place in person.excluded else _origin_words(one)
        lines.append(f"  {place_name(*place):16}  {words:38}  {source}")
    if person.unfinished:
        lines.append("a calibration was interrupted: roller-host calibrate comfort --continue goes on with it")
    return "\n".join(lines) + "\n"


def _origin_words(one: PlaceBand) -> str:
    bound = "; bound by the ceiling" if one.bound else ""
    return f"{one.origin.value}: {_source(one)}{bound}"


def _place(text: str) -> tuple[Place, ...]:
    try:
        return places_named(text)
    except ValueError as error:
        raise SessionError(str(error)) from error


def _feel(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    answers = {one.value.replace(" ", "-"): one for one in Answer}
    answer = answers.get(arguments.how.replace(" ", "-").casefold())
    if answer is None:
        raise SessionError(f"{arguments.how!r} is no answer: say {', '.join(answers)}")
    person, steps = people.find(arguments.name), []
    for place in _place(arguments.place):
        person, step = person.felt(place, answer, datetime.now().astimezone().isoformat(timespec="seconds"))
        steps.append(f"{place_name(*place)}: {answer.value}; {step}")
    people.save(person)
    return {"person": person.name, "steps": steps}, "\n".join(steps) + "\n"


def _include(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    person, wanted = people.find(arguments.name), _place(arguments.place)
    left = {place: reason for place, reason in person.excluded.items() if place not in wanted}
    if len(left) == len(person.excluded):
        raise SessionError(f"{arguments.place} is not left out for {person.name}")
    people.save(replace(person, excluded=left))
    names = [place_name(*place) for place in wanted]
    return {"person": person.name, "included": names}, f"{', '.join(names)}: no longer left out\n"


def _export(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    person, path = people.find(arguments.name), arguments.file
    if is_taken(path):
        raise SessionError(f"{path} exists already: choose another name, nothing is overwritten")
    people.write(path, person)
    return {"person": person.name, "file": str(path)}, f"{person.name} -> {path}\n"


def _import(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    person = people.read(arguments.file)
    name = people.new_name(person.name if arguments.name is None else arguments.name)
    person = replace(person, name=name)
    path = people.save(person)
    return {"person": person.name, "file": str(path)}, f"{person.name}: {_measured(person)} places measured\n"


def _rename(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    person = people.rename(arguments.name, arguments.new)
    return {"person": person.name}, f"{arguments.name} -> {person.name}\n"


def _delete(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    name = people.find(arguments.name).name
    people.delete(name)
    return {"deleted": name}, f"{name} is deleted; recordings stay\n"


def starting_table() -> str:
    """Starting bands as a table for docs/calibration.md: N, and kPa on the reference patch."""
    nobody = Person("")
    lines = ["| zone | from | comfortable to | limit | ceiling |", "|---|---|---|---|---|"]
    for zone in ZONES:
        cells = [f"{force_n:g} ({nobody.kpa(force_n):.0f} kPa)" for force_n in STARTING_BANDS[zone]]
        lines.append(f"| {zone.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
