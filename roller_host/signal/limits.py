# SPDX-License-Identifier: MIT
"""From a person's marks to comfort bands: medians and spreads, places that were not measured, later refinements.

No comfort force for facial rollers is published: the shares and steps here are choices of this project, unless a source
is named. Pain thresholds are published, and far above (docs/calibration.md): nobody is asked to go there.
"""

from __future__ import annotations

import enum
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol.zones import MIDLINE, PLACES, SIDES
from roller_host.signal.comfort import STARTING_BANDS, Band, excluded_band

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from roller_host.signal.ramps import Marks

Place = tuple[str, str]
"""Zone and side."""

QUICK_ZONES = ("forehead", "cheek", "jaw")
"""Measured by the quick form. Between people facial pressure thresholds differ much, but their ratio to that of the
frontal bone is stable (Absolute and Relative Facial Pressure-Pain Thresholds in Healthy Individuals, J Orofac Pain 14,
2000): some places tell about the others."""


@dataclass(frozen=True)
class LimitParams:
    """How marks become bands."""

    limit_ratio: float = 0.85
    """Limit, as a share of "as firm as I would like". Raising it alerts later; 0.8 to 0.9 was thought of."""
    n_ramps: int = 3
    """Ramps on a place."""
    most_ramps: int = 5
    """and at most so many while they disagree: thresholds fall over five tests in a row (J Orofac Pain 14, 2000)."""
    spread: float = 0.30
    """Ramps agree when their highest and lowest "as firm as I would like" differ by no more than this share of the
    median."""
    firm_ratio: float = 0.9
    """The band ends at this share of the limit at most, so that there is room for "firm" below the limit."""
    low_ratio: float = 0.8
    """and begins at this share of its end at most."""
    lowest_n: float = 0.2
    """No band begins lower, N: contact is decided at 0.15 N."""
    least_limit_n: float = 0.4
    """A lower limit cannot be told from touch and zero, N: such a place is better left out."""
    inferred_ratio: float = 0.9
    """What was not measured gets this share of what the measured places let expect, and never more than its starting
    point but on the other side of a place that was measured."""


class Origin(enum.Enum):
    """Where a band comes from."""

    MEASURED = "measured"
    INFERRED = "inferred"
    """From places that were measured."""
    START = "starting point"
    """Of this project, until something better is known."""


class Threshold(NamedTuple):
    """Result of the ramps on one place, N."""

    pleasant_n: float
    """Median of "pleasantly firm"."""
    firmest_n: float
    """Median of "as firm as I would like"."""
    spread: float
    """Highest less lowest ``firmest_n``, as a share of the median."""
    n_ramps: int
    bound: bool
    """The median is the ceiling of the zone: the person may like more, and does not get it."""


class Answer(enum.Enum):
    """How a place felt after a session."""

    TOO_LIGHT = "too light"
    RIGHT = "right"
    TOO_FIRM = "too firm"


STEPS = {Answer.TOO_LIGHT: 1.05, Answer.RIGHT: 1.0, Answer.TOO_FIRM: 0.9}
"""Factor on a band. Down by twice as much as up, a weighted up-down rule (Kaernbach, Perception and Psychophysics 49,
1991): it comes to rest where "too firm" is said half as often as "too light"."""


def threshold_of(marks: Sequence[Marks]) -> Threshold:
    """Median and spread of the ramps on one place, at least one."""
    firmest_n = [one.firmest_n for one in marks]
    median_n = statistics.median(firmest_n)
    spread = (max(firmest_n) - min(firmest_n)) / median_n
    # Of an even number the lower middle one decides whether the ceiling did.
    bound = sorted((one.firmest_n, one.bound) for one in marks)[(len(marks) - 1) // 2][1]
    return Threshold(statistics.median(one.pleasant_n for one in marks), median_n, spread, len(marks), bound)


def needs_more(params: LimitParams, marks: Sequence[Marks]) -> bool:
    """Whether a place needs another ramp: too few yet, or they disagree and are not `LimitParams.most_ramps` yet."""
    if len(marks) < params.n_ramps:
        return True
    return len(marks) < params.most_ramps and threshold_of(marks).spread > params.spread


def band_of_marks(params: LimitParams, zone: str, found: Threshold) -> Band | None:
    """Band of a place that was measured; None when its limit would be below `LimitParams.least_limit_n`.

    The ceiling is that of the zone, which nothing raises; the limit stays below it, since no mark lies above it.
    """
    limit_n = params.limit_ratio * found.firmest_n
    if limit_n < params.least_limit_n:
        return None
    return _ordered(params, zone, found.pleasant_n, limit_n)


def _ordered(params: LimitParams, zone: str, firm_n: float, limit_n: float) -> Band:
    """Band with low < firm < limit < ceiling; its lower end is that of the starting band in proportion."""
    start = STARTING_BANDS[zone]
    limit_n = min(limit_n, params.limit_ratio * start.ceiling_n)
    firm_n = min(firm_n, params.firm_ratio * limit_n)
    low_n = max(start.low_n * firm_n / start.firm_n, params.lowest_n)
    return Band(min(low_n, params.low_ratio * firm_n), firm_n, limit_n, start.ceiling_n)


def infer(params: LimitParams, measured: Mapping[Place, Band], places: Iterable[Place] = PLACES) -> dict[Place, Band]:
    """Bands of places that were not measured, from those that were.

    The other side of a measured place gets its band, and every other place its starting band, in proportion to how the
    measured ones compare with theirs; both less `LimitParams.inferred_ratio`. Only the former may lie above the
    starting point.

    Parameters
    ----------
    params : LimitParams
        Tuning.
    measured : mapping of place to Band
        At least one.
    places : iterable of place, optional
        Those that are wanted; measured ones among them are left out. Default: all.

    Returns
    -------
    dict of place to Band
    """
    ratios = [(band.firm_n / start.firm_n, band.limit_n / start.limit_n)
              for (zone, _), band in measured.items() for start in [STARTING_BANDS[zone]]]  # fmt: skip
    firm, limit = (min(params.inferred_ratio * statistics.median(column), 1.0) for column in zip(*ratios, strict=True))
    found: dict[Place, Band] = {}
    for zone, side in places:
        if (zone, side) in measured:
            continue
        start, mirrored = STARTING_BANDS[zone], measured.get((zone, _other(zone, side)))
        if mirrored:
            wanted = params.inferred_ratio * mirrored.firm_n, params.inferred_ratio * mirrored.limit_n
        else:
            wanted = firm * start.firm_n, limit * start.limit_n
        found[zone, side] = _ordered(params, zone, wanted[0], max(wanted[1], params.least_limit_n))
    return found


def _other(zone: str, side: str) -> str:
    return side if zone in MIDLINE else SIDES[1 - SIDES.index(side)]


def refine(params: LimitParams, zone: str, band: Band, most_n: float, answer: Answer) -> Band:
    """Move a band by a small step after the person said how it felt.

    Parameters
    ----------
    params : LimitParams
        Tuning.
    zone : str
        Of the band.
    band : Band
        As it is.
    most_n : float
        The limit is not raised above this, N: "as firm as I would like" where that was measured, else the limit before
        any refinement.
    answer : Answer

    Returns
    -------
    Band
        Moved by `STEPS`; the same where it cannot move.
    """
    factor = STEPS[answer]
    if factor > 1:
        most_n = min(most_n, params.limit_ratio * STARTING_BANDS[zone].ceiling_n)
        factor = max(min(factor, most_n / band.limit_n), 1.0)
    # Rounding is no step.
    if math.isclose(factor, 1) or factor * band.limit_n < params.least_limit_n:
        return band
    return _ordered(params, zone, factor * band.firm_n, factor * band.limit_n)


def bands_in_use(bands: Mapping[Place, Band], excluded: Collection[Place]) -> dict[Place, Band]:
    """Thresholds for `SignalParams.bands`: of a person's places, of those left out, and of the place not yet known.

    A place that is left out has all thresholds at `comfort.NOT_HERE_N`. A place not yet known gets the strictest of the
    person's bands but for eye and neck, as the starting points do, and never more than their band for it.
    """
    used = {place: band for place, band in bands.items() if place not in excluded}
    strict = [band for (zone, _), band in used.items() if zone not in ("eye", "neck")]
    unknown = Band(*map(min, zip(*strict, STARTING_BANDS[""], strict=True)))
    return {**used, **{place: excluded_band(place[0]) for place in excluded}, ("", ""): unknown}
