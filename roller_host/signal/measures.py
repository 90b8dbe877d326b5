# SPDX-License-Identifier: MIT
"""What a session amounts to: dose, coverage, balance, directions, pace.

Sums over samples and strokes, without verdicts: no dose limits for facial rollers are published. Every sample stands
for one sample period, and every stroke lies between two gaps, so that no measure spans a gap. What happened at an
unknown place is counted beside the known ones, never left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmware_protocol.routine import DIRECTIONS_DEG, TOWARD_NECK_DEG
from firmware_protocol.zones import PLACES, SIDES, ZONES, place_name
from roller_host.signal.comfort import Band, Comfort, band_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from roller_host.signal.estimates import Estimates, Stroke


def _targets() -> dict[str, Mapping[str, float]]:
    lift: Mapping[str, float] = dict.fromkeys(ZONES, DIRECTIONS_DEG["up-outward"])
    return {"lift": lift, "toward_neck": TOWARD_NECK_DEG}


@dataclass(frozen=True)
class MeasureParams:
    """What counts as a stroke in the target direction."""

    targets: Mapping[str, Mapping[str, float]] = field(default_factory=_targets)
    """Technique -> zone -> its direction, degrees from up toward outward. ``lift`` is the one of sculpting techniques,
    upward and outward everywhere; ``toward_neck`` that of lymphatic drainage (``firmware_protocol.routine``)."""
    tolerance_deg: float = 45.0
    """A stroke at most this far off its target counts: for ``lift`` all from straight up to straight outward."""


class Rolled(NamedTuple):
    """Columns of a session's samples, all of shape (n,); gaps are simply absent."""

    t_s: NDArray[np.float64]
    dt_s: NDArray[np.float64]
    """Time that each sample stands for: its sample period, s."""
    force_n: NDArray[np.float64]
    contact: NDArray[np.bool_]
    place: NDArray[np.intp]
    """Index in ``zones.PLACES``; -1 when not known or without contact."""
    comfort: NDArray[np.intp]
    """Values of `Comfort`."""


class Amounts(NamedTuple):
    """Sums over some samples and strokes. None: there is nothing to take it from."""

    contact_s: float
    dose_n_s: float
    """Integral of the force over contact time, N s."""
    over_limit_n_s: float
    """Integral of what exceeds the place's limit, N s."""
    force_mean_n: float | None
    force_p95_n: float | None
    """95th percentile of the force over contact time, N."""
    in_band_ratio: float | None
    """Share of contact time in the comfort band."""
    passes: int
    """Strokes."""
    path_m: float | None
    """Rolled length of all strokes, m; None when no stroke has one."""
    force_path_n_m: float | None
    """Sum of mean force times length over strokes, N m."""
    pace_cm_s: float | None
    """Length of all strokes over their duration, cm/s."""
    passes_of_known_direction: int
    in_target_ratio: Mapping[str, float | None]
    """Technique -> share of the strokes of known direction that go its way."""


class SessionMeasures(NamedTuple):
    """Measures of a whole session."""

    observed_s: float
    """Time covered by samples, without gaps, s."""
    total: Amounts
    places: Mapping[str, Amounts]
    """By name, as ``zones.place_name`` gives it; only places that were touched."""
    unknown_place: Amounts
    sides: Mapping[str, Amounts]
    comfort_s: Mapping[str, float]
    """Time in each comfort state, s."""
    covered: Sequence[str]
    """Names of the places with at least one stroke."""
    coverage_ratio: float
    """Their share of all places."""
    unknown_time_ratio: float | None
    """Share of contact time at unknown places."""
    left_ratio: Mapping[str, float | None]
    """``dose``, ``contact`` and ``passes`` of the left side as a share of left plus right; 0.5 is balance."""
    strokes_per_min: float | None
    """Strokes per minute of contact."""


def rolled(blocks: Sequence[Estimates], period_s: float) -> Rolled:
    """Columns of one session's estimates.

    Parameters
    ----------
    blocks : sequence of Estimates
        In order of time.
    period_s : float
        Sample period, s.
    """

    def column(name: str, dtype: type) -> NDArray[Any]:
        parts = [np.asarray(getattr(block, name), dtype) for block in blocks]
        return np.concatenate(parts) if parts else np.zeros(0, dtype)

    t_s = column("t_s", float)
    return Rolled(
        t_s,
        np.full(len(t_s), period_s),
        column("force_n", float),
        column("contact", bool),
        column("places", np.intp),
        column("comfort", np.intp),
    )


def join(parts: Sequence[Rolled]) -> Rolled:
    """One after the other, for several sessions."""
    return Rolled(*(np.concatenate(columns) for columns in zip(*parts, strict=True))) if parts else rolled((), 0.0)


def measure(
    params: MeasureParams, strokes: Sequence[Stroke], samples: Rolled, bands: Mapping[tuple[str, str], Band]
) -> SessionMeasures:
    """Sum up a session.

    Parameters
    ----------
    params : MeasureParams
        Target directions.
    strokes : sequence of Stroke
        In order of time.
    samples : Rolled
        Columns of its samples.
    bands : mapping
        Personal thresholds by (zone, side); places without one use the starting points.
    """
    samples = samples._replace(place=_refined(samples, strokes))
    limits = np.array([band_of(bands, zone, side).limit_n for zone, side in (*PLACES, ("", ""))])
    over_n = np.maximum(samples.force_n - limits[samples.place], 0.0)
    stroke_place = [PLACES.index(place) if (place := (s.zone, s.side)) in PLACES else -1 for s in strokes]

    def amounts(wanted: set[int] | None) -> Amounts:
        there = samples.contact if wanted is None else samples.contact & np.isin(samples.place, list(wanted))
        chosen = [s for s, i in zip(strokes, stroke_place, strict=True) if wanted is None or i in wanted]
        return _amounts(params, chosen, samples, over_n, there)

    total, unknown = amounts(None), amounts({-1})
    touched = sorted({*stroke_place, *np.unique(samples.place[samples.contact]).tolist()} - {-1})
    sides = {side: amounts({i for i, place in enumerate(PLACES) if place[1] == side}) for side in SIDES}
    covered = [place_name(*PLACES[i]) for i in sorted({*stroke_place} - {-1})]
    return SessionMeasures(
        observed_s=float(samples.dt_s.sum()),
        total=total,
        places={place_name(*PLACES[i]): amounts({i}) for i in touched},
        unknown_place=unknown,
        sides=sides,
        comfort_s={level.name.lower(): float(samples.dt_s[samples.comfort == level].sum()) for level in Comfort},
        covered=covered,
        coverage_ratio=len(covered) / len(PLACES),
        unknown_time_ratio=_ratio(unknown.contact_s, total.contact_s),
        left_ratio={
            "dose": _left(sides, "dose_n_s"),
            "contact": _left(sides, "contact_s"),
            "passes": _left(sides, "passes"),
        },
        strokes_per_min=60 * len(strokes) / total.contact_s if total.contact_s else None,
    )


def _refined(samples: Rolled, strokes: Sequence[Stroke]) -> NDArray[np.intp]:
    """Places in which the whole of a stroke has the place that was decided at its end."""
    place = samples.place.copy()
    for stroke in strokes:
        if (stroke.zone, stroke.side) in PLACES:
            begin, end = np.searchsorted(samples.t_s, (stroke.begin_s, stroke.end_s))
            place[begin:end] = PLACES.index((stroke.zone, stroke.side))
    return place


def _amounts(
    params: MeasureParams,
    strokes: Sequence[Stroke],
    samples: Rolled,
    over_n: NDArray[np.float64],
    there: NDArray[np.bool_],
) -> Amounts:
    dt_s, force_n = samples.dt_s[there], samples.force_n[there]
    contact_s, dose_n_s = float(dt_s.sum()), float((force_n * dt_s).sum())
    in_band_s = float(dt_s[samples.comfort[there] == Comfort.COMFORTABLE].sum())
    measured = [s for s in strokes if not math.isnan(s.length_m)]
    path_m = sum(s.length_m for s in measured)
    off_deg = [off for s in strokes if (off := _off_target_deg(params, s))]
    return Amounts(
        contact_s=contact_s,
        dose_n_s=dose_n_s,
        over_limit_n_s=float((over_n[there] * dt_s).sum()),
        force_mean_n=_ratio(dose_n_s, contact_s),
        force_p95_n=float(np.percentile(force_n, 95)) if len(force_n) else None,
        in_band_ratio=_ratio(in_band_s, contact_s),
        passes=len(strokes),
        path_m=path_m if measured else None,
        force_path_n_m=sum(s.force_n * s.length_m for s in measured) if measured else None,
        pace_cm_s=_ratio(100 * path_m, sum(s.end_s - s.begin_s for s in measured)),
        passes_of_known_direction=len(off_deg),
        in_target_ratio={
            name: _ratio(sum(off[name] <= params.tolerance_deg for off in off_deg), len(off_deg))
            for name in params.targets
        },
    )


def _off_target_deg(params: MeasureParams, stroke: Stroke) -> dict[str, float]:
    """Angle between a stroke and each target; empty where direction or place are not known."""
    # On the midline outward is away from it, to either side.
    midline = bool(stroke.zone) and not stroke.side
    outward_deg = abs(stroke.direction_deg) if midline else stroke.outward_deg
    if math.isnan(outward_deg) or not stroke.zone:
        return {}
    return {
        name: abs((outward_deg - target_deg[stroke.zone] + 180) % 360 - 180)
        for name, target_deg in params.targets.items()
    }


def _left(sides: Mapping[str, Amounts], name: str) -> float | None:
    left, right = (getattr(sides[side], name) for side in ("left", "right"))
    return _ratio(left, left + right)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def measures_json(measures: SessionMeasures) -> dict[str, Any]:
    """Measures as JSON values."""
    return {key: _json(value) for key, value in measures._asdict().items()}


def _json(value: Any) -> Any:
    if isinstance(value, Amounts):
        return value._asdict()
    if isinstance(value, dict):
        return {key: _json(one) for key, one in value.items()}
    return value
