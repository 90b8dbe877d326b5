# SPDX-License-Identifier: MIT
"""Strokes against simulator truth: direction, length, reversals, missed and surplus ones, and their uncertainty.

Every session is a new person with a new device. Detected strokes are matched to true ones one to one when both ends lie
within 300 ms; a true stroke without a partner is missed, a detected one without a partner is surplus. *Live* is what
was known at a stroke's end, *after* is what `roller-host analyse` makes of the whole session.

A reversal is found when a stroke's end was decided, the skin still touched, between 150 ms before and 400 ms after the
true beginning of the next stroke; its latency counts from there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roller_host.analysis import analyse
from roller_host.intake import Opened
from roller_host.pipeline import Pipeline
from roller_host.signal.core import SignalParams
from roller_host.signal.estimates import WITHIN_DEG
from roller_host.signal.record import Record
from simulator.body.hand import Habits
from simulator.body.truth import match_strokes
from simulator.firmware.device import Device
from simulator.generate import generate
from simulator.hardware.flaws import Flaws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from roller_host.signal.estimates import Estimates, Stroke
    from simulator.body.truth import TrueStroke, Truth

SPEEDS = {"6-25": (0.06, 0.25), "2-6": (0.02, 0.06), "15-40": (0.15, 0.40)}
"""Classes of mean stroke speed, cm/s as people say and m/s as the simulator takes them."""
HABITS = Habits(pause_s=(0.0, 1.0))
"""The practised person, with pauses between visits."""
EARLY_S, LATE_S = 0.15, 0.4
BINS = np.array([0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0 + 1e-9])
"""Borders of stated confidence in the reliability diagram."""

_H, _F = Habits(), Flaws()
DOUBLED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "skew of the grip": ({"skew_group_deg": 2 * _H.skew_group_deg}, {}),
    "skew of single strokes": ({"skew_stroke_deg": 2 * _H.skew_stroke_deg}, {}),
    "pitch of the handle": ({"pitch_deg": 2 * _H.pitch_deg}, {}),
    "rocking of the wrist": ({"rocking_deg": 2 * _H.rocking_deg}, {}),
    "head sway": ({"head_sway_deg": 2 * _H.head_sway_deg}, {}),
    "slip": ({"slip": 2 * _H.slip}, {}),
    "radius of the roller": ({"radius_bias": 2 * _H.radius_bias}, {}),
    "stretch of the skin": ({"stretch_m": 2 * _H.stretch_m}, {}),
    "tremor": ({"tremor_m": 2 * _H.tremor_m}, {}),
    "mounting of the IMU": ({}, {"mounting_rad": 2 * _F.mounting_rad}),
    "gyroscope offset": ({}, {"gyro_bias_rad_s": 2 * _F.gyro_bias_rad_s}),
    "accelerometer offset": ({}, {"acc_bias_m_s2": 2 * _F.acc_bias_m_s2}),
    "vibration": ({}, {"vibration_m_s2": 2 * _F.vibration_m_s2}),
    "encoder jitter": ({}, {"encoder_jitter_m": 2 * _F.encoder_jitter_m}),
}
"""Row of the second table -> what differs in habits and in flaws."""

FLAWLESS = Flaws(
    **{field.name: getattr(_F, field.name) if field.name in ("creep_s", "stop_n") else 0.0 for field in fields(Flaws)}
)
ABLATED: dict[str, tuple[dict[str, Any], Flaws]] = {
    "perfect sensors": ({}, FLAWLESS),
    "perfect sensors, head at rest": ({"head_sway_deg": 0.0, "turns": 0.0}, FLAWLESS),
    "perfect sensors, no slip, true radius": ({"slip": 0.0, "radius_bias": 0.0}, FLAWLESS),
    "perfect sensors, head at rest, no slip, true radius, steady hand": (
        {
            "head_sway_deg": 0.0, "turns": 0.0, "slip": 0.0, "radius_bias": 0.0, "skew_stroke_deg": 0.0,
            "wander_deg": 0.0, "tremor_m": 0.0, "stretch_m": 0.0,
        },
        FLAWLESS,
    ),
}  # fmt: skip
"""Row of the table of what limits the figures -> what differs in habits, and the flaws."""


class Session(NamedTuple):
    """What crossed the link, and what really happened, on the host's timeline."""

    records: list[Record]
    strokes: list[TrueStroke]
    reversals_s: list[float]
    """Beginnings of strokes that follow another one without a lift-off."""
    end_s: float
    """Strokes that end later are not scored."""
    truth: list[Truth]
    first_sample_s: float
    """True time of session time 0."""


def simulate(seed: int, seconds: float, habits: Habits, flaws: Flaws | None = None) -> Session:
    """Let a person massage with a device for a while."""
    truth: list[Truth] = []
    device = Device(seed, habits, flaws, truth.append)
    records = [Record(*payload) for payload in generate(device, seconds)]
    shift_s = 0.5 / max(device.imu_rate_hz, device.force_rate_hz)
    end_s = seconds - 1.0
    strokes = [
        stroke._replace(begin_s=stroke.begin_s - shift_s, end_s=stroke.end_s - shift_s)
        for part in truth
        for stroke in part.strokes
        if stroke.end_s < end_s
    ]
    t_s = np.concatenate([part.t_s for part in truth]) - shift_s
    air_s = t_s[~np.concatenate([part.contact for part in truth])]
    reversals_s = [
        after.begin_s
        for before, after in itertools.pairwise(strokes)
        if np.searchsorted(air_s, before.end_s) == np.searchsorted(air_s, after.begin_s)
    ]
    return Session(records, strokes, reversals_s, end_s - shift_s, truth, shift_s)


def live(session: Session, params: SignalParams | None = None) -> tuple[list[Stroke], list[Estimates]]:
    """Feed a session packet by packet: strokes and estimates."""
    pipeline = Pipeline(params)
    estimates = [one for record in session.records if (one := pipeline.feed(record)) is not None]
    return list(pipeline.totals.strokes), estimates


def after(session: Session) -> list[Stroke]:
    """Strokes as analysed afterwards."""
    opened = Opened(Path("benchmark"), iter(session.records), SignalParams(), "defaults")
    return [stroke for one in analyse(opened).sessions for stroke in one.strokes]


def score_session(session: Session, *, look_back: bool = True) -> dict[str, Any]:
    """Errors of one session: arrays with one value per matched stroke or found reversal, and counts."""
    strokes, estimates = live(session)
    pairs, missed, surplus = match_strokes(session.strokes, strokes)
    errors = {
        "direction_deg": _turns([found.direction_deg - true.direction_deg for true, found in pairs]),
        "sigma_deg": np.array([found.direction_sigma_deg for _, found in pairs]),
        "confidence": np.array([found.confidence for _, found in pairs]),
        "length": np.array([found.length_m / true.length_m - 1 for true, found in pairs]),
        "length_sigma": np.array([found.length_sigma_m / true.length_m for true, found in pairs]),
    }
    if look_back:
        later, *_ = match_strokes(session.strokes, after(session))
        errors["after_direction_deg"] = _turns([found.direction_deg - true.direction_deg for true, found in later])
        errors["after_length"] = np.array([found.length_m / true.length_m - 1 for true, found in later])
    counts = {
        "true": len(session.strokes),
        "missed": len(missed),
        "surplus": sum(stroke.end_s < session.end_s for stroke in surplus),
    }
    return errors | counts | _reversals(session, strokes, estimates)


def _turns(degrees: Iterable[float]) -> NDArray[np.float64]:
    return np.abs((np.array(list(degrees)) + 180) % 360 - 180)


def _reversals(session: Session, strokes: list[Stroke], estimates: list[Estimates]) -> dict[str, Any]:
    t_s = np.concatenate([one.t_s for one in estimates])
    contact = np.concatenate([one.contact for one in estimates])
    decided = [stroke.decided_s for stroke in strokes if stroke.decided_s < session.end_s]
    touching = [moment for moment in decided if contact[min(np.searchsorted(t_s, moment - 1e-6), len(t_s) - 1)]]
    latency_s: list[float] = []
    free = list(touching)
    for true_s in session.reversals_s:
        near = [moment for moment in free if -EARLY_S <= moment - true_s <= LATE_S]
        if near:
            latency_s.append(near[0] - true_s)
            free.remove(near[0])
    return {
        "reversal_latency_s": np.array(latency_s),
        "reversals": len(session.reversals_s),
        "reversals_found": len(latency_s),
        "reversals_surplus": len(free),
    }


def summarise(sessions: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Medians and 95th percentiles over all strokes of several sessions."""

    def all_of(key: str) -> NDArray[np.float64]:
        return np.concatenate([np.asarray(session[key], np.float64) for session in sessions])

    def total(key: str) -> int:
        return sum(int(session[key]) for session in sessions)

    direction, confidence = all_of("direction_deg"), all_of("confidence")
    found, missing = total("reversals_found"), total("reversals") - total("reversals_found")
    latency_ms = 1000 * all_of("reversal_latency_s")
    result: dict[str, float] = {
        "strokes": total("true"),
        **_spread("direction", "deg", direction),
        "within_2_sigma_percent": 100 * float(np.mean(direction < 2 * all_of("sigma_deg"))),
        "missed": total("missed"),
        "surplus": total("surplus"),
        "missed_surplus_percent": 100 * (total("missed") + total("surplus")) / max(total("true"), 1),
        **_spread("length", "percent", 100 * np.abs(all_of("length"))),
        "length_within_2_sigma_percent": 100 * float(np.mean(np.abs(all_of("length")) < 2 * all_of("length_sigma"))),
        "reversals": total("reversals"),
        "reversal_f1": 2 * found / max(2 * found + missing + total("reversals_surplus"), 1),
        **(_spread("reversal_latency", "ms", latency_ms) if found else {}),
        "confident_percent": 100 * float(np.mean(confidence >= 0.9)),
        "reliability_error_points": reliability(confidence, direction)["error_points"],
    }
    if "after_direction_deg" in sessions[0]:
        result |= _spread("after_direction", "deg", all_of("after_direction_deg"))
        result |= _spread("after_length", "percent", 100 * np.abs(all_of("after_length")))
    return result


def _spread(name: str, unit: str, values: NDArray[np.float64]) -> dict[str, float]:
    median, p95 = np.percentile(values, (50, 95)) if len(values) else (np.nan, np.nan)
    return {f"{name}_median_{unit}": float(median), f"{name}_p95_{unit}": float(p95)}


def reliability(confidence: NDArray[np.float64], direction_deg: NDArray[np.float64]) -> dict[str, Any]:
    """How often directions were right within 22.5 degrees, by how sure they were stated to be.

    Returns
    -------
    dict
        ``error_points``: mean over all strokes of |stated - right| of their bin, percentage points; ``bins``: rows of
        stated (mean, percent), right (percent) and number of strokes.
    """
    right = direction_deg < WITHIN_DEG
    which = np.digitize(confidence, BINS)
    rows = [
        (100 * float(confidence[of].mean()), 100 * float(right[of].mean()), int(of.sum()))
        for k in range(1, len(BINS))
        if (of := which == k).any()
    ]
    n = sum(row[2] for row in rows)
    error = sum(abs(stated - share) * number for stated, share, number in rows) / max(n, 1)
    return {"error_points": error, "bins": rows}


def score(
    seed_base: int,
    seeds: int = 10,
    seconds: float = 120.0,
    *,
    habits: dict[str, Any] | None = None,
    flaws: Flaws | None = None,
    look_back: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Score all speed classes.

    Returns
    -------
    dict
        ``speeds``: per class the values of `summarise`; ``pooled``: per class the arrays behind the picture.
    """
    speeds: dict[str, dict[str, float]] = {}
    pooled: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name, speed in SPEEDS.items():
        sessions: list[dict[str, Any]] = []
        for seed in range(seed_base, seed_base + seeds):
            tell(f"strokes at {name} cm/s, seed {seed}")
            person = replace(HABITS, speed_m_s=speed, **(habits or {}))
            sessions.append(score_session(simulate(seed, seconds, person, flaws), look_back=look_back))
        speeds[name] = summarise(sessions)
        pooled[name] = {
            key: np.concatenate([session[key] for session in sessions])
            for key in ("direction_deg", "confidence", "length", "reversal_latency_s")
        }
    return {"speeds": speeds, "pooled": pooled}


def score_doubled(
    seed_base: int, seeds: int = 3, seconds: float = 120.0, tell: Callable[[str], None] = lambda _: None
) -> dict[str, dict[str, dict[str, float]]]:
    """Each disturbance doubled in turn: row -> speed class -> values of `summarise`."""
    return {
        row: score(
            seed_base,
            seeds,
            seconds,
            habits=habits,
            flaws=replace(_F, **flaws),
            look_back=False,
            tell=lambda text, row=row: tell(f"{row} doubled: {text}"),
        )["speeds"]
        for row, (habits, flaws) in {"as it is": ({}, {}), **DOUBLED}.items()
    }


def score_ablated(
    seed_base: int, seeds: int = 3, seconds: float = 120.0, tell: Callable[[str], None] = lambda _: None
) -> dict[str, dict[str, dict[str, float]]]:
    """What is left with perfect sensors and quieter people: row -> speed class -> values of `summarise`."""
    return {
        row: score(
            seed_base, seeds, seconds, habits=habits, flaws=flaws, look_back=False,
            tell=lambda text, row=row: tell(f"{row}: {text}"),
        )["speeds"]
        for row, (habits, flaws) in ABLATED.items()
    }  # fmt: skip


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed-base", type=int, default=7000, help="first seed; the following ones are used too")
    parser.add_argument("--seeds", type=int, default=10, help="sessions per speed class")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    speeds = score(arguments.seed_base, arguments.seeds)["speeds"]
    if arguments.json:
        print(json.dumps(speeds))
        return 0
    for name, values in speeds.items():
        print(f"{name} cm/s")
        for key, value in values.items():
            print(f"    {key:34} {value:.4g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
