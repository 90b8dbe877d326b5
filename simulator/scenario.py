# SPDX-License-Identifier: MIT
"""Scenarios: who rolls, with which device, and what goes wrong when. Readable TOML, reproducible to the byte."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from firmware_protocol import layout
from firmware_protocol.routine import RoutineError, parse_routine
from simulator.bluetooth import faults
from simulator.body.hand import Hand
from simulator.body.people import HABIT_LIMITS, Habits, person
from simulator.body.scripted import Slips
from simulator.firmware.device import Build, Device
from simulator.hardware.flaws import FLAW_LIMITS, Flaws

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firmware_protocol.routine import Routine
    from simulator.bluetooth.faults import Fault
    from simulator.body.truth import Truth
    from simulator.firmware.stream import OnSamples

DEFAULT = "practised"
LARGEST_B = 100_000
LONGEST_SHOWN = 60
"""Of a value in a message, characters."""

Limits = tuple[float, float]
"""Least and most that is allowed."""
BUILD_LIMITS: dict[str, Limits] = {
    "security_mode": (0, len(layout.SECURITY_MODES) - 1),
    "fusion": (0, 1),
    "battery_percent": (1, 100),
    "calibrated": (0, 1),
}
RADIO_LIMITS: dict[str, Limits] = {"max_mtu": (layout.MTU_MIN, 517), "distance_m": (0, 1000)}

HEAVIEST_KG = 10.0
"""That a hand hangs on a roller."""

_SHIPPED = resources.files("simulator")
_HERE = Path()


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message says where and what is allowed."""


@dataclass(frozen=True)
class Radio:
    """The link that the roller offers."""

    max_mtu: int = 517
    """Longest ATT MTU that it agrees to, 23 to 517 B."""
    distance_m: float = 1.0
    """How far away it is, 0 to 1000 m; out of range from 60 m on."""


@dataclass(frozen=True)
class Incident:
    """A fault at its time."""

    at_s: float
    """After the first START, s."""
    fault: Fault
    arguments: dict[str, float]


@dataclass(frozen=True)
class Scenario:
    """Everything that a simulation needs but its seed."""

    name: str
    description: str = ""
    person: str = DEFAULT
    """Name in `people.PEOPLE`."""
    routine: Routine | None = None
    """None: a massage without end."""
    log_s: float = 0.0
    """Recorded without a host before anything else, s."""
    habits: dict[str, Any] = field(default_factory=dict[str, Any])
    """What differs in the person."""
    flaws: Flaws = field(default_factory=Flaws)
    build: Build = field(default_factory=Build)
    radio: Radio = field(default_factory=Radio)
    incidents: tuple[Incident, ...] = ()
    """In order of time."""
    slips: Slips = field(default_factory=Slips)
    """What hands that take orders do wrong."""

    def device(
        self,
        seed: int,
        on_truth: Callable[[Truth], None] | None = None,
        on_samples: OnSamples | None = None,
        *,
        hand: Callable[..., Hand] = Hand,
    ) -> Device:
        """Make the device of this scenario, in its person's hand.

        Parameters
        ----------
        seed : int
            Draws person, device and massage.
        on_truth, on_samples : callable, optional
            See `Device`.
        hand : callable, default Hand
            Makes that person's hand, called like `Hand`.
        """
        held = hand(seed, replace(person(self.person, seed), **self.habits), routine=self.routine)
        return Device(seed, None, self.flaws, on_truth, build=self.build, hand=held, on_samples=on_samples)


def parse_scenario(name: str, text: str, beside: Path = _HERE) -> Scenario:
    """Read a scenario.

    Parameters
    ----------
    name : str
        What it is called.
    text : str
        TOML.
    beside : Path, optional
        Folder in which a routine's file is looked up. Default: the working directory.

    Raises
    ------
    ScenarioError
        When it is no TOML, or a key or value in it makes no sense.
    """
    if len(text) > LARGEST_B:
        raise ScenarioError(f"{name}: longer than {LARGEST_B} characters")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of too many digits, brackets without end
        raise ScenarioError(f"{name}: no TOML: {str(error)[:200]}") from error
    try:
        return _scenario(name, table, beside)
    except ValueError as error:
        raise ScenarioError(f"{name}: {error}") from error


def _scenario(name: str, table: dict[str, Any], beside: Path) -> Scenario:
    allowed = {
        "description", "person", "routine", "log_s", "habits", "flaws", "build", "radio", "faults", "wrong_weights",
    }  # fmt: skip
    if unknown := set(table) - allowed:
        raise ScenarioError(f"unknown key {_shown(min(unknown))}: known are {', '.join(sorted(allowed))}")
    who = _text(table, "person", DEFAULT)
    person(who)
    habits = _changed(Habits(), table.get("habits", {}), "habits", HABIT_LIMITS)
    return Scenario(
        name,
        _text(table, "description", ""),
        who,
        load_routine(_text(table, "routine", ""), beside) if "routine" in table else None,
        _number(table, "log_s", 0.0, 0.0, 3600.0),
        {key: getattr(habits, key) for key in table.get("habits", {})},
        _changed(Flaws(), table.get("flaws", {}), "flaws", FLAW_LIMITS),
        _changed(Build(), table.get("build", {}), "build", BUILD_LIMITS),
        _changed(Radio(), table.get("radio", {}), "radio", RADIO_LIMITS),
        tuple(sorted((_incident(i, entry) for i, entry in enumerate(_list(table, "faults"))), key=lambda it: it.at_s)),
        Slips(dict(_wrong_weight(i, entry) for i, entry in enumerate(_list(table, "wrong_weights")))),
    )


def _text(table: dict[str, Any], key: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ScenarioError(f"{key} = {_shown(value)} is no text")
    return value


def _number(table: dict[str, Any], key: str, default: float, low: float, high: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ScenarioError(f"{key} = {_shown(value)} is not a number from {low:g} to {high:g}")
    return float(value)


def _list(table: dict[str, Any], key: str) -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise ScenarioError(f"{key} must be written as [[{key}]]")
    return value


def _incident(i: int, entry: Any) -> Incident:
    try:
        if not isinstance(entry, dict):
            raise ScenarioError("must be written as [[faults]]")
        for key in ("at_s", "fault"):
            if key not in entry:
                raise ScenarioError(f'{key} is missing: write for instance at_s = 12.0 and fault = "link_loss"')
        at_s = _number(entry, "at_s", 0.0, 0.0, 86400.0)
        fault = faults.find(_text(entry, "fault", ""))
        given = {key: value for key, value in entry.items() if key not in ("at_s", "fault")}
        return Incident(at_s, fault, faults.check(fault, given))
    except ValueError as error:
        raise ScenarioError(f"fault {i + 1}: {error}") from error


def _wrong_weight(i: int, entry: Any) -> tuple[float, float]:
    """Mass asked for, mass hung instead."""
    if not isinstance(entry, dict) or set(entry) != {"asked_kg", "hung_kg"}:
        raise ScenarioError(f"wrong weight {i + 1}: write asked_kg = 0.5 and hung_kg = 0.4 below [[wrong_weights]]")
    return _number(entry, "asked_kg", 0.0, 0.0, HEAVIEST_KG), _number(entry, "hung_kg", 0.0, 0.0, HEAVIEST_KG)


_Values = TypeVar("_Values")


def _changed(default: _Values, changes: Any, where: str, limits: Mapping[str, Limits]) -> _Values:
    """``default``, a frozen dataclass of plain values, with some of them replaced by those of a TOML table."""
    if not isinstance(changes, dict):
        raise ScenarioError(f"{where} must be written as [{where}]")
    known = {one.name for one in fields(default)}  # pyright: ignore[reportArgumentType] - a dataclass
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise ScenarioError(f"unknown key {_shown(key)} in [{where}]: known are {', '.join(sorted(known))}")
        values[key] = _like(getattr(default, key), value, limits[key], f"{key} in [{where}]")
    return replace(default, **values)  # pyright: ignore[reportArgumentType] - a dataclass


def _like(default: Any, value: Any, limits: Limits, where: str) -> Any:
    """Check that a value is of the kind of its default and within its limits, and convert it to that kind."""
    if not isinstance(default, tuple):
        if not _fits(default, value, limits):
            raise ScenarioError(f"{where} = {_shown(value)} is not {_kind(default, limits)}")
        return type(default)(value)
    kinds: tuple[Any, ...] = default
    fits = isinstance(value, list) and len(value) == len(kinds) and all(_fits(kinds[0], one, limits) for one in value)
    is_range = len(kinds) == 2
    if not fits or (is_range and value[0] > value[1]):
        wanted = f"a list of {len(kinds)} {_span(kinds[0], 'numbers', limits)}"
        raise ScenarioError(f"{where} = {_shown(value)} is not {wanted}{', the smaller one first' * is_range}")
    return tuple(type(kinds[0])(one) for one in value)


def _fits(default: Any, value: Any, limits: Limits) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    return isinstance(value, int if isinstance(default, int) else int | float) and limits[0] <= value <= limits[1]


def _kind(default: Any, limits: Limits) -> str:
    return "true or false" if isinstance(default, bool) else f"a {_span(default, 'number', limits)}"


def _span(default: Any, noun: str, limits: Limits) -> str:
    return f"{'whole ' * isinstance(default, int)}{noun} from {limits[0]:g} to {limits[1]:g}"


def _shown(value: Any) -> str:
    """A value in a message, cut to what fits on a line."""
    try:
        text = repr(value)
    except ValueError:  # Python writes whole numbers of up to 4300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def _shipped(folder: str) -> dict[str, Any]:
    return {
        Path(entry.name).stem: entry
        for entry in sorted(_SHIPPED.joinpath(folder).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }


def _read(folder: str, name: str, kind: str, beside: Path = _HERE) -> tuple[str, str]:
    """Name and text of a shipped file, or of one of the user's own that is named from a folder."""
    if name in (known := _shipped(folder)):
        return name, known[name].read_text("utf-8")
    path = beside / name
    if path.suffix != ".toml":
        raise ScenarioError(f"no {kind} is called {_shown(name)}: known are {', '.join(known)}, or give a .toml file")
    try:
        return path.stem, path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ScenarioError(f"cannot read {_shown(str(path))}: {str(error)[:200]}") from error


def load_routine(name: str, beside: Path = _HERE) -> Routine:
    """Read a shipped routine by its name, or a TOML file.

    Parameters
    ----------
    name : str
        Of a shipped one, or a path.
    beside : Path, optional
        Folder from which a relative path leads. Default: the working directory.

    Raises
    ------
    ScenarioError
        When there is no such routine, or it makes no sense.
    """
    name, text = _read("routines", name, "routine", beside)
    try:
        return parse_routine(text)
    except RoutineError as error:
        raise ScenarioError(f"routine {name}: {error}") from error


def load_scenario(name: str) -> Scenario:
    """Read a shipped scenario by its name, or a TOML file.

    Raises
    ------
    ScenarioError
        When there is no such scenario, or it makes no sense.
    """
    return parse_scenario(*_read("scenarios", name, "scenario"), Path(name).parent)


def scenarios() -> dict[str, str]:
    """Shipped scenarios: name -> description."""
    return {
        name: parse_scenario(name, entry.read_text("utf-8")).description
        for name, entry in _shipped("scenarios").items()
    }
