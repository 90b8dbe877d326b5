# SPDX-License-Identifier: MIT
"""The device's motor and the rules that start it, with or without a host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from firmware_protocol import codec, layout
from simulator.firmware.refusal import RefusalError

_BURSTS_S = {1: ((0.0, 0.04),), 2: ((0.0, 0.04), (0.12, 0.16)), 3: ((0.0, 0.2),), 4: ((0.0, 0.5),)}
"""Pattern -> begin and end of the motor's runs."""
_REPEAT_S = 0.3
IDENTIFY_S, BUZZ = 1.0, 3
"""IDENTIFY plays this pattern once a second."""
KEPT_S = 1.0
"""How long a run is remembered after its end, s."""
SLOTS = {name: slot for slot, name, _ in layout.HAPTIC_SLOTS}
SOURCES = {name: source for source, name, _ in layout.HAPTIC_SOURCES}
ABOVE, BELOW = 1, 2


@dataclass
class _Rule:
    source: int
    compare: int
    level: int
    hysteresis: int
    hold_s: float
    pattern: int
    cooldown_s: float
    since_s: float | None = None
    """When the condition began to hold."""
    fired_s: float | None = None
    """When the rule last fired in the present crossing."""

    def fires(self, t_s: float, value: float) -> bool:
        """Follow one reading; True when the motor is to start."""
        beyond = value - self.level if self.compare == ABOVE else self.level - value
        if self.since_s is None and beyond > 0:
            self.since_s = t_s
        elif self.since_s is not None and beyond < -self.hysteresis:
            self.since_s = self.fired_s = None
        if self.since_s is None or t_s - self.since_s < self.hold_s:
            return False
        if self.fired_s is not None and not 0 < self.cooldown_s <= t_s - self.fired_s:
            return False
        self.fired_s = t_s
        return True


class _Run(NamedTuple):
    """The motor runs once."""

    begin_s: float
    end_s: float
    strength: float
    """0 to 1."""
    pattern: int
    slot: int
    """Of the rule that started it, -1 for a request."""


def _runs(pattern: int, t_s: float, strength: float = 1.0, slot: int = -1) -> list[_Run]:
    return [_Run(t_s + begin_s, t_s + end_s, strength, pattern, slot) for begin_s, end_s in _BURSTS_S[pattern]]


class Haptics:
    """Motor and rules; times are those of the sensors, s."""

    def __init__(self) -> None:
        self._rules: dict[int, _Rule] = {}
        self._runs: list[_Run] = []
        self._playing: _Run | None = None

    @property
    def has_work(self) -> bool:
        """Whether a rule is set or the motor is running."""
        return bool(self._rules or self._runs)

    def set_rule(self, arguments: Any) -> None:
        """Take a HAPTIC_RULE request.

        Raises
        ------
        RefusalError
            When an argument is out of range.
        """
        slot, source, compare, level, hysteresis, hold_ms, pattern, cooldown_ms = arguments
        if slot not in SLOTS.values():
            raise RefusalError("BAD_PARAM")
        if compare == 0:
            self._rules.pop(slot, None)
            return
        known = source in SOURCES.values() and compare in (ABOVE, BELOW) and pattern in _BURSTS_S
        if not known or hysteresis < 0:
            raise RefusalError("BAD_PARAM")
        self._rules[slot] = _Rule(source, compare, level, hysteresis, hold_ms * 1e-3, pattern, cooldown_ms * 1e-3)

    def play(self, t_s: float, pattern: int, strength: int, repeat: int) -> None:
        """Take a HAPTIC_PLAY request; what is started takes the place of what is playing.

        Raises
        ------
        RefusalError
            When an argument is out of range.
        """
        if pattern == 0:
            self._runs = [run._replace(end_s=min(run.end_s, t_s)) for run in self._runs if run.begin_s < t_s]
            return
        if pattern not in _BURSTS_S or strength > 100 or not 1 <= repeat <= 10:
            raise RefusalError("BAD_PARAM")
        self._runs = [run for i in range(repeat) for run in _runs(pattern, t_s + i * _REPEAT_S, strength / 100)]

    def identify(self, t_s: float, seconds: int) -> None:
        """Buzz once a second; 0 stops."""
        self._runs = [run for i in range(seconds) for run in _runs(BUZZ, t_s + i * IDENTIFY_S)]

    def sense(
        self, t_s: float, values: dict[int, float], *, connected: bool
    ) -> list[tuple[float, tuple[int, int, int]]]:
        """Follow one reading of the sources; returns the events that it causes.

        Parameters
        ----------
        t_s : float
            Time of the reading.
        values : dict
            Source -> value in the unit of its rules.
        connected : bool
            Whether a host is there: decides between the slots LIMIT and ALONE.
        """
        asleep = SLOTS["ALONE" if connected else "LIMIT"]
        for slot, rule in self._rules.items():
            if slot == asleep:
                rule.since_s = rule.fired_s = None
            elif rule.source in values and rule.fires(t_s, values[rule.source]):
                self._runs = _runs(rule.pattern, t_s, slot=slot)
        # The packet that is being filled still asks for what has just ended.
        self._runs = [run for run in self._runs if run.end_s > t_s - KEPT_S]
        before, self._playing = self._playing, self._run_at(t_s)
        if self._playing is before:
            return []
        if self._playing is None:
            return [(t_s, (codec.EVENT_CODE["HAPTIC_STOP"], 0, 0))]
        return [(t_s, (codec.EVENT_CODE["HAPTIC_START"], self._playing.pattern, self._playing.slot))]

    def _run_at(self, t_s: float) -> _Run | None:
        return next((run for run in self._runs if run.begin_s <= t_s < run.end_s), None)

    def strength_at(self, t_s: float) -> float:
        """How strongly the motor runs, 0 to 1."""
        run = self._run_at(t_s)
        return run.strength if run else 0.0

    def runs_in(self, begin_s: float, end_s: float) -> bool:
        """Whether the motor runs at some time of the span."""
        return any(run.begin_s <= end_s and begin_s < run.end_s for run in self._runs)

    def halt(self) -> None:
        """Stop the motor without a word."""
        self._runs, self._playing = [], None

    def reset(self) -> None:
        """Stop the motor and forget all rules, as at a reboot."""
        self._rules.clear()
        self.halt()
