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
from simulator.body.people import Habits, person
from simulator.firmware.device import Build, Device
from simulator.hardware.sensors import Flaws

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from firmware_protocol.routine import Routine
    from simulator.bluetooth.faults import Fault
    from simulator.body.truth import Truth

DEFAULT = "practised"
LARGEST_B = 100_000
_SHIPPED = resources.files("simulator")


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message says where and what is allowed."""


@dataclass(frozen=True)
class Radio:
    """The link that the roller offers."""

    max_mtu: int = 517
    """Longest ATT MTU that it agrees to, 23 to 517 B."""
    distance_m: float = 1.0
    """How far away it is: 59 m is out of range."""


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

    def device(
        self,
        seed: int,
        on_truth: Callable[[Truth], None] | None = None,
        on_samples: Callable[[np.ndarray, np.ndarray], None] | None = None,
    ) -> Device:
        """Make the device of this scenario, in its person's hand.

        Parameters
        ----------
        seed : int
            Draws person, device and massage.
        on_truth, on_samples : callable, optional
            See `Device`.
        """
        hand = Hand(seed, replace(person(self.person, seed), **self.habits), routine=self.routine)
        return Device(seed, None, self.flaws, on_truth, build=self.build, hand=hand, on_samples=on_samples)


def parse_scenario(name: str, text: str) -> Scenario:
    """Read a scenario.

    Parameters
    ----------
    name : str
        What it is called.
    text : str
        TOML.

    Raises
    ------
    ScenarioError
        When it is no TOML, or a key or value in it makes no sense.
    """
    if len(text) > LARGEST_B:
        raise ScenarioError(f"{name}: longer than {LARGEST_B} characters")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: no TOML: {error}") from error
    try:
        return _scenario(name, table)
    except ValueError as error:
        raise ScenarioError(f"{name}: {error}") from error


def _scenario(name: str, table: dict[str, Any]) -> Scenario:
    allowed = {"description", "person", "routine", "log_s", "habits", "flaws", "build", "radio", "faults"}
    if unknown := set(table) - allowed:
        raise ScenarioError(f"unknown key {min(unknown)!r}: known are {', '.join(sorted(allowed))}")
    who = _text(table, "person", DEFAULT)
    person(who)
    habits = _changed(Habits(), table.get("habits", {}), "habits")
    return Scenario(
        name,
        _text(table, "description", ""),
        who,
        load_routine(_text(table, "routine", "")) if "routine" in table else None,
        _number(table, "log_s", 0.0, 0.0, 3600.0),
        {key: getattr(habits, key) for key in table.get("habits", {})},
        _changed(Flaws(), table.get("flaws", {}), "flaws"),
        _changed(Build(), table.get("build", {}), "build"),
        _radio(table.get("radio", {})),
        tuple(sorted((_incident(i, entry) for i, entry in enumerate(_list(table, "faults"))), key=lambda it: it.at_s)),
    )


def _radio(table: Any) -> Radio:
    radio = _changed(Radio(), table, "radio")
    if not layout.MTU_MIN <= radio.max_mtu <= 517 or radio.distance_m < 0:
        raise ScenarioError("[radio]: max_mtu must be 23 to 517, distance_m 0 or more")
    return radio


def _text(table: dict[str, Any], key: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ScenarioError(f"{key} = {value!r} is no text")
    return value


def _number(table: dict[str, Any], key: str, default: float, low: float, high: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ScenarioError(f"{key} = {value!r} is not a number from {low:g} to {high:g}")
    return float(value)


def _list(table: dict[str, Any], key: str) -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise ScenarioError(f"{key} must be written as [[{key}]]")
    return value


def _incident(i: int, entry: Any) -> Incident:
    if not isinstance(entry, dict) or "fault" not in entry:
        raise ScenarioError(f'fault {i + 1}: needs at_s and fault, for instance at_s = 12.0, fault = "link_loss"')
    at_s = _number(entry, "at_s", -1.0, 0.0, 86400.0)
    fault = faults.find(str(entry["fault"]))
    given = {key: value for key, value in entry.items() if key not in ("at_s", "fault")}
    return Incident(at_s, fault, faults.check(fault, given))


_Values = TypeVar("_Values")


def _changed(default: _Values, changes: Any, where: str) -> _Values:
    """``default``, a frozen dataclass of plain values, with some of them replaced by those of a TOML table."""
    if not isinstance(changes, dict):
        raise ScenarioError(f"{where} must be written as [{where}]")
    known = {one.name for one in fields(default)}  # pyright: ignore[reportArgumentType] - a dataclass
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise ScenarioError(f"unknown key {key!r} in [{where}]: known are {', '.join(sorted(known))}")
        values[key] = _like(getattr(default, key), value, f"{key} in [{where}]")
    return replace(default, **values)  # pyright: ignore[reportArgumentType] - a dataclass


def _like(default: Any, value: Any, where: str) -> Any:
    """Check that a value is of the kind of its default."""
    if isinstance(default, tuple):
        if not isinstance(value, list) or len(value) != len(default):
            raise ScenarioError(f"{where} = {value!r} is not a list of {len(default)} numbers")
        return tuple(_like(one, other, where) for one, other in zip(default, value, strict=True))
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits:
        kind = (
            "true or false"
            if isinstance(default, bool)
            else "a whole number"
            if isinstance(default, int)
            else "a number"
        )
        raise ScenarioError(f"{where} = {value!r} is not {kind}")
    return type(default)(value)


def _shipped(folder: str) -> dict[str, Any]:
    return {
        Path(entry.name).stem: entry
        for entry in sorted(_SHIPPED.joinpath(folder).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }


def _read(folder: str, name: str, kind: str) -> tuple[str, str]:
    """Name and text of a shipped file, or of one of the user's own."""
    if name in (known := _shipped(folder)):
        return name, known[name].read_text("utf-8")
    path = Path(name)
    if path.suffix != ".toml":
        raise ScenarioError(f"no {kind} is called {name!r}: known are {', '.join(known)}, or give a .toml file")
    try:
        return path.stem, path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot read {name}: {error}") from error


def load_routine(name: str) -> Routine:
    """Read a shipped routine by its name, or a TOML file.

    Raises
    ------
    ScenarioError
        When there is no such routine, or it makes no sense.
    """
    name, text = _read("routines", name, "routine")
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
    return parse_scenario(*_read("scenarios", name, "scenario"))


def scenarios() -> dict[str, str]:
    """Shipped scenarios: name -> description."""
    return {
        name: parse_scenario(name, entry.read_text("utf-8")).description
        for name, entry in _shipped("scenarios").items()
    }
