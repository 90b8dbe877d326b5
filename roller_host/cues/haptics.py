# SPDX-License-Identifier: MIT
"""From thresholds to the rules by which the roller itself buzzes, link or no link.

The roller warns at what the host shows: at limit and ceiling of the place that the host has recognised, and while it
has recognised none at those that hold for an unknown place. Left alone it cannot know the place: then it warns from
the lowest limit of the person on. Its rules look at the force along the load cell's axis, from its own zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from firmware_protocol import layout
from firmware_protocol.zones import PLACES
from roller_host.signal.comfort import NOT_HERE_N, band_of
from roller_host.signal.force import pitch_gain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from roller_host.signal.comfort import ComfortParams
    from roller_host.signal.core import SignalParams

SLOTS: Final = {name: code for code, name, _ in layout.HAPTIC_SLOTS}
PATTERNS: Final = {name: code for code, name, _ in layout.HAPTIC_PATTERNS}
FORCE: Final = next(code for code, name, _ in layout.HAPTIC_SOURCES if name == "FORCE")
OFF, ABOVE = 0, 1
"""Comparisons of HAPTIC_RULE."""
LIMIT_AGAIN_MS: Final = 1000
"""While it is too hard the motor runs this often, ms: a fifth of the time. Ours."""
CEILING_AGAIN_MS: Final = 700
"""The same above the ceiling, ms: most of the time. Ours."""
SAME_MN: Final = 20
"""Levels that differ by less are not worth a request, mN: a fifth of the smallest deadband."""
_MOST_MN: Final = 2**15 - 1


class Rule(NamedTuple):
    """One HAPTIC_RULE request."""

    slot: int
    compare: int
    level_mn: int = 0
    hysteresis_mn: int = 0
    hold_ms: int = 0
    pattern: int = 1
    cooldown_ms: int = 0

    def is_like(self, other: Rule | None) -> bool:
        """Whether it makes no difference which of the two holds."""
        return (
            other is not None
            and abs(self.level_mn - other.level_mn) <= SAME_MN
            and self._replace(level_mn=0, hysteresis_mn=0) == other._replace(level_mn=0, hysteresis_mn=0)
        )


SILENT: Final = tuple(Rule(code, OFF) for code in SLOTS.values())
"""Rules of a roller that is weighed, and touches no face."""


def rules(params: SignalParams, place: tuple[str, str], zero_n: float, *, limits: bool = True) -> tuple[Rule, ...]:
    """Rules that belong on the roller now, the most important first.

    Parameters
    ----------
    params : SignalParams
        Thresholds, deadband and delay.
    place : (zone, side)
        Where the roller is; both empty while that is not known.
    zero_n : float
        What the roller itself reads along the cell's axis when nothing touches it, N; NaN counts as 0.
    limits : bool, default True
        Whether it warns of limits. The ceiling is always warned of.
    """
    band = band_of(params.bands, *place)
    off = tuple(Rule(SLOTS[name], OFF) for name in ("LIMIT", "ALONE"))
    limits_n = [band_of(params.bands, *one).limit_n for one in PLACES]
    # Where the place is not known, one that is left out tells nothing about the others.
    lowest_n = min((limit_n for limit_n in limits_n if limit_n > NOT_HERE_N), default=NOT_HERE_N)
    hold_ms = round(params.comfort.limit_on_delay_s * 1000)
    gain = pitch_gain(params.force)
    zero_n = 0.0 if zero_n != zero_n else zero_n  # noqa: PLR0124 - NaN

    def above(slot: str, threshold_n: float, hold_ms: int, pattern: str, again_ms: int) -> Rule:
        level_mn = min(max(round(1000 * (threshold_n / gain + zero_n)), 1), _MOST_MN)
        hysteresis_mn = round(1000 * _deadband_n(params.comfort, threshold_n) / gain)
        return Rule(SLOTS[slot], ABOVE, level_mn, hysteresis_mn, hold_ms, PATTERNS[pattern], again_ms)

    ceiling = above("CEILING", band.ceiling_n, 0, "STOP", CEILING_AGAIN_MS)
    if not limits:
        return (ceiling, *off)
    return (
        ceiling,
        above("LIMIT", band.limit_n, hold_ms, "EASE_OFF", LIMIT_AGAIN_MS),
        above("ALONE", lowest_n, hold_ms, "EASE_OFF", LIMIT_AGAIN_MS),
    )


def _deadband_n(comfort: ComfortParams, threshold_n: float) -> float:
    return max(comfort.deadband_ratio * threshold_n, comfort.deadband_min_n)


def missing(wanted: Iterable[Rule], there: Mapping[int, Rule]) -> list[Rule]:
    """Rules that are not on the roller, where ``there`` is what it holds by slot."""
    return [rule for rule in wanted if not rule.is_like(there.get(rule.slot))]
