# SPDX-License-Identifier: MIT
"""Side, zone, face-up and heading of the signal core against simulator truth, free-hand and along routines.

Every session is a new person with a new device; each begins with a start pose. Scored are the found strokes that match
a true one (both ends within 300 ms); a place that is not known counts as wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmware_protocol.zones import PLACES, place_name
from roller_host.pipeline import Pipeline
from roller_host.signal.core import SignalParams
from roller_host.signal.record import Record
from roller_host.signal.sequence import guided
from simulator.body import rotations
from simulator.body.hand import Hand
from simulator.body.people import person
from simulator.body.truth import match_strokes
from simulator.firmware.device import Device
from simulator.generate import generate
from simulator.scenario import load_routine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.face import FaceFrame
    from simulator.body.truth import Truth

FACE = ("forehead", "temple", "eye", "cheek", "jaw")
RELIABILITY = (0.6, 0.8, 0.9, 0.95, 0.99)
"""Borders of stated confidence between which places are counted."""


class Kind(NamedTuple):
    """Sessions of one kind."""

    person: str
    routine: str = ""
    sessions: int = 4
    seconds: float = 300.0


KINDS = {
    "free_hand": Kind("practised", sessions=10, seconds=120.0),
    "free_hand_15_minutes": Kind("practised", sessions=3, seconds=900.0),
    "slow": Kind("slow"),
    "fast": Kind("fast"),
    "reclining": Kind("reclining"),
    "lying": Kind("lying"),
    "beginner": Kind("beginner"),
    "right_handed": Kind("right_handed"),
    "left_handed": Kind("left_handed"),
    "routine_sculpt": Kind("right_handed", "sculpt", 2, 800.0),
    "routine_lymph": Kind("gentle", "lymph", 2, 1000.0),
    "routine_wake-up": Kind("fast", "wake-up", 2, 700.0),
    "routine_short_beginner": Kind("beginner", "short", 3, 240.0),
    "routine_sculpt_lying": Kind("lying", "sculpt", 2, 800.0),
}


class Scored(NamedTuple):
    """What one session showed."""

    pairs: list[tuple[int, int]]
    """True and found place of each stroke; -1 unknown."""
    confidence: list[float]
    """Of the found places."""
    up_deg: NDArray[np.float64]
    """Error of face-up, at every packet."""
    heading: NDArray[np.float64]
    """Error of the face's heading in its own sigma, at every packet, and sigma in degrees, (2, n)."""


def score_session(kind: Kind, seed: int) -> Scored:
    """Simulate and estimate one session."""
    truth: list[Truth] = []
    routine = load_routine(kind.routine, Path()) if kind.routine else None
    device = Device(seed, None, on_truth=truth.append, hand=Hand(seed, person(kind.person, seed), routine=routine))
    pipeline = Pipeline(SignalParams(routine=guided(routine)) if routine else None)
    seen: list[tuple[float, float, FaceFrame, float, NDArray[np.float64]]] = []
    for payload in generate(device, kind.seconds):
        estimates = pipeline.feed(Record(*payload))
        signal = pipeline._signal  # noqa: SLF001 - estimates show how sure the face frame is, not what it is
        if estimates and len(estimates.t_s) and signal.orientation and (track := signal.zones.track):
            q = rotations.multiply(*(np.array([signal.orientation[key]]) for key in ("accQuat", "gyrQuat")))
            seen.append((float(estimates.t_s[-1]), estimates.heading_sigma_deg, track.straight, track.heading[0], q[0]))
    # Session time begins with the first sample, true time with START.
    begin_s = 0.5 / max(device.imu_rate_hz, device.force_rate_hz)
    found = [
        stroke._replace(begin_s=stroke.begin_s + begin_s, end_s=stroke.end_s + begin_s)
        for stroke in pipeline.totals.strokes
    ]
    pairs, _, _ = match_strokes([stroke for part in truth for stroke in part.strokes], found)
    return Scored(
        [(_index(true), _index(other)) for true, other in pairs],
        [other.zone_confidence for _, other in pairs],
        *_frame_errors(truth, seen, begin_s),
    )


def _frame_errors(
    truth: list[Truth], seen: list[tuple[float, float, FaceFrame, float, NDArray[np.float64]]], begin_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Error of face-up, deg, (n,), and of the heading, in sigmas, with the sigmas, deg, (2, n)."""
    grid_s = np.concatenate([part.t_s for part in truth])
    rows = np.searchsorted(grid_s, [t_s + begin_s for t_s, *_ in seen]).clip(0, len(grid_s) - 1)
    body, head = (
        np.concatenate([getattr(part, name) for part in truth])[rows] for name in ("q_world_body", "q_world_face")
    )
    # The filter's world has a heading of its own: the true face is seen in it by way of the roller in both.
    there = rotations.multiply(np.array([q for *_, q in seen]), rotations.multiply(rotations.inverse(body), head))
    true_left, true_up = (rotations.rotate(there, np.array(axis)) for axis in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    axes = np.array([frame.axes() for _, _, frame, *_ in seen])
    up_deg = np.degrees(np.arccos(np.clip(np.einsum("ni,ni->n", true_up, axes[:, 1]), -1, 1)))
    turn = np.arctan2(true_left[:, 1], true_left[:, 0]) - np.array([heading for *_, heading, _ in seen])
    turn_deg = np.abs(np.degrees((turn + np.pi) % (2 * np.pi) - np.pi))
    sigma_deg = np.array([sigma for _, sigma, *_ in seen])
    return up_deg, np.stack([turn_deg / sigma_deg, sigma_deg])


def _index(stroke: Any) -> int:
    return PLACES.index((stroke.zone, stroke.side)) if stroke.zone else -1


def summarise(sessions: list[Scored]) -> dict[str, Any]:
    """Shares over all strokes of one kind, and how far face-up and heading are off."""
    true, found = np.array([pair for session in sessions for pair in session.pairs]).T
    confidence = np.concatenate([session.confidence for session in sessions])
    zone, side = (np.array([place[i] for place in PLACES] + [""]) for i in (0, 1))
    sided, on_face = side[true] != "", np.isin(zone[true], FACE)
    confusion = np.zeros((len(PLACES), len(PLACES) + 1), int)
    np.add.at(confusion, (true, found), 1)
    zone_right, named = zone[true] == zone[found], found >= 0
    up_deg = np.concatenate([session.up_deg for session in sessions])
    sigmas, heading_sigma_deg = np.concatenate([session.heading for session in sessions], axis=1)
    bins = np.searchsorted(RELIABILITY, confidence, side="right")
    return {
        "strokes": len(true),
        "side_percent": _percent((side[true] == side[found])[sided]),
        "zone_percent": _percent(zone_right),
        "zone_face_percent": _percent(zone_right[on_face]),
        "unknown_percent": _percent(~named),
        "confidence_error_percent": 100 * float(abs(confidence[named].mean() - (true == found)[named].mean())),
        "reliability": [
            [int(at.sum()), float(confidence[at].mean()), float((true == found)[at].mean())]
            for at in (named & (bins == i) for i in range(len(RELIABILITY) + 1))
            if at.any()
        ],
        "up_median_deg": float(np.median(up_deg)),
        "up_p95_deg": float(np.percentile(up_deg, 95)),
        "heading_sigma_median_deg": float(np.median(heading_sigma_deg)),
        "heading_within_2_sigma_percent": _percent(sigmas < 2),
        "heading_median_deg": float(np.median(sigmas * heading_sigma_deg)),
        "heading_p95_deg": float(np.percentile(sigmas * heading_sigma_deg, 95)),
        "confusion": confusion.tolist(),
    }


def _percent(right: NDArray[np.bool_]) -> float:
    return 100 * float(np.mean(right)) if len(right) else float("nan")


def score(seed_base: int, kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, Any]:
    """Score kinds of sessions.

    Parameters
    ----------
    seed_base : int
        First seed; the following ones are used too, the same for every kind.
    kinds : tuple of str, optional
        Keys of `KINDS`. Default: all.

    Returns
    -------
    dict
        JSON values: the names of the places (rows of each confusion matrix; its last column is unknown), and by kind
        what `summarise` says.
    """
    return {
        "places": [place_name(*place) for place in PLACES],
        "kinds": {
            name: summarise([score_session(KINDS[name], seed_base + i) for i in range(KINDS[name].sessions)])
            for name in kinds
        },
    }


def table(result: dict[str, Any]) -> str:
    """Render as Markdown."""
    columns = {
        "strokes": "strokes",
        "side_percent": "side %",
        "zone_percent": "zone %",
        "zone_face_percent": "zone, face %",
        "unknown_percent": "unknown %",
        "confidence_error_percent": "confidence off, points",
        "up_median_deg": "up, median deg",
        "up_p95_deg": "up, p95 deg",
        "heading_median_deg": "heading, median deg",
        "heading_p95_deg": "p95 deg",
        "heading_within_2_sigma_percent": "in 2 sigma %",
    }
    lines = ["| | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in result["kinds"].items():
        cells = [f"{row[key]:.1f}" if isinstance(row[key], float) else str(row[key]) for key in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def confusion_table(result: dict[str, Any], kind: str) -> str:
    """Render a confusion matrix, true places as rows, in percent of each."""
    names = [*result["places"], "unknown"]
    lines = [f"| {kind} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, row in zip(result["places"], result["kinds"][kind]["confusion"], strict=True):
        whole = max(sum(row), 1)
        lines.append(f"| {name} | " + " | ".join(f"{100 * n / whole:.0f}" if n else "" for n in row) + " |")
    return "\n".join(lines)


def reliability_table(result: dict[str, Any]) -> str:
    """Render stated confidence against the share of right places, each in percent, with the number of strokes."""
    lines = ["| | stated: right (strokes), percent |", "|---|---|"]
    for name, row in result["kinds"].items():
        cells = [f"{100 * stated:.0f}: {100 * right:.0f} ({n})" for n, stated, right in row["reliability"]]
        lines.append(f"| {name} | " + "; ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed-base", type=int, default=7000, help="first seed; the following ones are used too")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=tuple(KINDS), help="sessions to score")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    result = score(arguments.seed_base, tuple(arguments.kinds))
    if arguments.json:
        print(json.dumps(result))
    else:
        print(table(result))
        print("\n" + reliability_table(result))
        for kind in result["kinds"]:
            print("\n" + confusion_table(result, kind))
    return 0


if __name__ == "__main__":
    sys.exit(main())
