# SPDX-License-Identifier: MIT
"""Accuracy without an encoder: hand-held strokes of BROAD against optics, and the IMU-only mode against the simulator.

BROAD (Laidig et al., Data 6(7):72, 2021): strokes are cut at minima of the optical speed, and their direction and
length estimated from the IMU alone. Three methods, on the same strokes:

baseline  VQF, acceleration integrated between the ends of each stroke with both ends taken for rest
live      VQF and the Kalman filter of ``roller_host.signal.displacement``, which looks at nothing after the stroke
after     offline VQF, and the same filter smoothed after the session
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import signal
from vqf import VQF, offlineVQF

from firmware_protocol import reference
from roller_host.pipeline import Pipeline
from roller_host.signal.displacement import (
    Course,
    DisplacementParams,
    Step,
    displacement,
    displacement_step,
    integrate,
    smoothed,
)
from roller_host.signal.orientation import matrices
from roller_host.signal.record import Record
from simulator.body.hand import Habits
from simulator.body.truth import match_strokes
from simulator.firmware.device import Device
from simulator.generate import Dialogue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.estimates import Stroke
    from simulator.body.truth import TrueStroke, Truth

BROAD = Path(__file__).resolve().parents[2] / "shared" / "data" / "broad"
GRAVITY_M_S2 = 9.81
METHODS = ("baseline", "live", "after")
LENGTHS_M = {"3-8 cm": (0.0, 0.08), "8-15 cm": (0.08, 0.15), "15-30 cm": (0.15, 0.30), "over 30 cm": (0.30, np.inf)}
SPEEDS_M_S = {
    "below 15 cm/s": (0.0, 0.15),
    "15-30 cm/s": (0.15, 0.30),
    "30-120 cm/s": (0.30, 1.20),
    "over 120 cm/s": (1.20, np.inf),
}
STREAMS = tuple(name for name in reference.DEFAULT_STREAMS if name != "ROLL")
SESSION_SPEEDS = {"6-25": (0.06, 0.25), "2-6": (0.02, 0.06), "15-40": (0.15, 0.40)}
"""Classes of mean stroke speed, cm/s as people say and m/s as the simulator takes them."""


class Trial(NamedTuple):
    """One recording of BROAD."""

    name: str
    fs_hz: float
    acc_m_s2: NDArray[np.float64]
    gyro_rad_s: NDArray[np.float64]
    optical: NDArray[np.float64]
    """World from sensor by optics, unit quaternions, (n, 4); gaps filled."""
    place_m: NDArray[np.float64]
    """Low-passed optical position, (n, 3)."""
    scored: NDArray[np.bool_]
    """In the movement phase, with valid optics."""


def load(path: Path) -> Trial:
    """Read a trial and fill the gaps of its optics."""
    with np.load(path) as arrays:
        columns = {name: np.asarray(arrays[name]) for name in arrays.files}
    fs_hz = float(columns["fs_hz"])
    place, no_place = _filled(columns["pos_m"])
    optical, no_optical = _filled(columns["q_world_sensor"])
    low_pass = signal.butter(2, 8.0, fs=fs_hz, output="sos")
    return Trial(
        path.stem,
        fs_hz,
        np.ascontiguousarray(columns["acc_m_s2"], np.float64),
        np.ascontiguousarray(columns["gyr_rad_s"], np.float64),
        optical / np.linalg.norm(optical, axis=1, keepdims=True),
        np.asarray(signal.sosfiltfilt(low_pass, place, axis=0)),
        columns["movement"].astype(bool) & ~no_place & ~no_optical,
    )


def _filled(columns: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Columns with NaN filled by linear interpolation, and where it was."""
    gone = np.isnan(columns).any(axis=1)
    i = np.arange(len(columns))
    return np.stack([np.interp(i, i[~gone], column[~gone]) for column in columns.T.astype(float)], axis=1), gone


def cut(trial: Trial) -> list[tuple[int, int]]:
    """Strokes between minima of the optical speed, rows of begin and end, chosen as the README of the data says."""
    place, fs_hz = trial.place_m, trial.fs_hz
    speed = np.linalg.norm(np.gradient(place, 1 / fs_hz, axis=0), axis=1)
    minima, _ = signal.find_peaks(-speed, distance=round(0.1 * fs_hz))
    return [
        (begin, end)
        for begin, end in zip(minima[:-1].tolist(), minima[1:].tolist(), strict=True)
        if _is_stroke(trial, speed, begin, end)
    ]


def _is_stroke(trial: Trial, speed: NDArray[np.float64], begin: int, end: int) -> bool:
    path = trial.place_m[begin : end + 1]
    length = float(np.linalg.norm(path[-1] - path[0]))
    way = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    return bool(
        trial.scored[begin : end + 1].all()
        and end - begin < 4 * trial.fs_hz
        and length >= 0.03
        and max(speed[begin], speed[end]) < speed[begin : end + 1].max() / 4
        and length > 0.9 * way
    )


def inclination_deg(trial: Trial, estimated: NDArray[np.float64]) -> float:
    """RMSE of the inclination over the movement phase, degrees."""
    # World from world: what is left of it without its turn about the vertical.
    a, b = estimated, trial.optical * [1, -1, -1, -1]
    w = a[:, 0] * b[:, 0] - a[:, 1] * b[:, 1] - a[:, 2] * b[:, 2] - a[:, 3] * b[:, 3]
    z = a[:, 0] * b[:, 3] + a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1] + a[:, 3] * b[:, 0]
    error = np.degrees(2 * np.arccos(np.clip(np.hypot(w, z), 0, 1)))
    return float(np.sqrt(np.mean(error[trial.scored] ** 2)))


def course_of(trial: Trial, estimated: NDArray[np.float64]) -> Course:
    """Integrated acceleration of a whole trial."""
    acc = np.einsum("nij,nj->ni", matrices(estimated), trial.acc_m_s2)
    acc[:, 2] -= GRAVITY_M_S2
    return Course(np.arange(len(acc)) / trial.fs_hz, *integrate(acc, 1 / trial.fs_hz), 1 / trial.fs_hz)


def by_rest(course: Course, strokes: list[tuple[int, int]]) -> list[NDArray[np.float64]]:
    """Displacements by the baseline: what velocity is left at the end of a stroke grew evenly."""
    ways: list[NDArray[np.float64]] = []
    for begin, end in strokes:
        time_s = course.t_s[end] - course.t_s[begin]
        way = course.place_m[end] - course.place_m[begin] - time_s * course.velocity_m_s[begin]
        ways.append(way - time_s / 2 * (course.velocity_m_s[end] - course.velocity_m_s[begin]))
    return ways


def by_filter(course: Course, strokes: list[tuple[int, int]], *, look_back: bool) -> list[NDArray[np.float64]]:
    """Displacements by the Kalman filter, live or smoothed."""
    state, steps, rows = None, list[Step](), list[int]()
    for begin, end in strokes:
        added, state = displacement_step(DisplacementParams(), state, course, begin, end)
        steps += added
        rows.append(len(steps) - 1)
    found = (smoothed(steps) if steps else []) if look_back else [displacement(step) for step in steps]
    return [found[i].mean_m for i in rows]


def score_trial(trial: Trial) -> dict[str, Any]:
    """Inclination of a trial, and errors of its strokes by each method."""
    period_s = 1 / trial.fs_hz
    live = VQF(period_s).updateBatch(trial.gyro_rad_s, trial.acc_m_s2)["quat6D"]
    after = offlineVQF(trial.gyro_rad_s, trial.acc_m_s2, None, period_s)["quat6D"]
    strokes = cut(trial)
    courses = {id(q): course_of(trial, q) for q in (live, after)}
    ways = {
        "baseline": (live, by_rest(courses[id(live)], strokes)),
        "live": (live, by_filter(courses[id(live)], strokes, look_back=False)),
        "after": (after, by_filter(courses[id(after)], strokes, look_back=True)),
    }
    true_m = [
        matrices(trial.optical[begin : begin + 1])[0].T @ (trial.place_m[end] - trial.place_m[begin])
        for begin, end in strokes
    ]
    errors: dict[str, NDArray[np.float64]] = {}
    for method, (estimated, found) in ways.items():
        begins = matrices(estimated[[begin for begin, _ in strokes]])
        rows = [_errors(true, turn.T @ way) for true, turn, way in zip(true_m, begins, found, strict=True)]
        errors[method] = np.array(rows).reshape(-1, 2)
    length_m = np.array([np.linalg.norm(true) for true in true_m])
    time_s = np.array([(end - begin) * period_s for begin, end in strokes])
    return {
        "name": trial.name,
        "inclination_deg": {"live": inclination_deg(trial, live), "after": inclination_deg(trial, after)},
        "errors": errors,
        "length_m": length_m,
        "speed_m_s": length_m / time_s,
    }


def _errors(true: NDArray[np.float64], found: NDArray[np.float64]) -> tuple[float, float]:
    """Angle between two displacements, degrees, and relative error of the length."""
    lengths = float(np.linalg.norm(true)), float(np.linalg.norm(found))
    cosine = float(true @ found) / (lengths[0] * lengths[1])
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), abs(lengths[1] / lengths[0] - 1)


def summary(errors: NDArray[np.float64]) -> dict[str, float | int | None]:
    """Medians and 95th percentiles of strokes' errors, (n, 2)."""
    if not len(errors):
        return {"strokes": 0, **dict.fromkeys(_KEYS)}
    middle, high = np.percentile(errors, [50, 95], axis=0)
    values = (middle[0], high[0], 100 * middle[1], 100 * high[1])
    return {"strokes": len(errors), **dict(zip(_KEYS, map(float, values), strict=True))}


_KEYS = ("direction_median_deg", "direction_p95_deg", "length_median_percent", "length_p95_percent")


def score_broad(folder: Path = BROAD) -> dict[str, Any]:
    """Score all trials of a folder.

    Returns
    -------
    dict
        ``skipped`` alone, with the reason, when there are no trials.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        return {"skipped": f"no BROAD trials (.npz) in {folder}"}
    trials = [score_trial(load(path)) for path in paths]
    # A rotation trial holds no strokes but by chance.
    moved = [trial for trial in trials if "rotation" not in trial["name"]] or trials
    length_m, speed_m_s = (np.concatenate([trial[key] for trial in moved]) for key in ("length_m", "speed_m_s"))
    errors = {method: np.concatenate([trial["errors"][method] for trial in moved]) for method in METHODS}

    def classes(values: NDArray[np.float64], edges: dict[str, tuple[float, float]]) -> dict[str, Any]:
        picks = {name: (values >= low) & (values < high) for name, (low, high) in edges.items()}
        return {name: {m: summary(errors[m][pick]) for m in METHODS} for name, pick in picks.items()}

    return {
        "inclination_deg": {trial["name"]: trial["inclination_deg"] for trial in trials},
        "inclination_mean_deg": {
            key: float(np.mean([trial["inclination_deg"][key] for trial in trials])) for key in ("live", "after")
        },
        "strokes": {method: summary(errors[method]) for method in METHODS},
        "better_than_baseline_percent": {
            method: {
                key: 100 * float(np.mean(errors[method][:, i] < errors["baseline"][:, i]))
                for i, key in enumerate(("direction", "length"))
            }
            for method in METHODS[1:]
        },
        "by_trial": {trial["name"]: {m: summary(trial["errors"][m]) for m in METHODS} for trial in moved},
        "by_length": classes(length_m, LENGTHS_M),
        "by_speed": classes(speed_m_s, SPEEDS_M_S),
    }


def score_session(seed: int, seconds: float, speed: tuple[float, float]) -> dict[str, Any]:
    """Simulate a session of a device without an encoder and score its strokes."""
    truth: list[Truth] = []
    device, pipeline = Device(seed, Habits(speed_m_s=speed), on_truth=truth.append), Pipeline()
    host = Dialogue(device, lambda payload: pipeline.feed(Record(*payload)))
    host.connect()
    host.start(STREAMS)
    host.pass_time(seconds)
    # Session time begins with the first sample, true time with START.
    shift_s = 0.5 / max(device.imu_rate_hz, device.force_rate_hz)
    strokes = [s._replace(begin_s=s.begin_s + shift_s, end_s=s.end_s + shift_s) for s in pipeline.totals.strokes]
    known = [stroke for stroke in strokes if not np.isnan(stroke.direction_deg)]
    true = [stroke for part in truth for stroke in part.strokes if stroke.end_s < seconds - 1.0]
    pairs, missed, surplus = match_strokes(true, known)
    return {
        "rows": np.array([_row(*pair) for pair in pairs]).reshape(-1, 5),
        "true": len(true),
        "missed": len(missed),
        "surplus": sum(stroke.end_s < seconds - 1.0 for stroke in surplus),
        "unknown": len(strokes) - len(known),
    }


def _row(true: TrueStroke, found: Stroke) -> tuple[float, ...]:
    error = abs((found.direction_deg - true.direction_deg + 180) % 360 - 180)
    return error, found.direction_sigma_deg, found.confidence, found.decided_s - found.end_s, true.length_m


def summarise(sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of one speed class."""
    rows = np.concatenate([session["rows"] for session in sessions])
    n_true, missed, surplus, unknown = (
        sum(session[key] for session in sessions) for key in ("true", "missed", "surplus", "unknown")
    )
    error, sigma, confidence, delay_s = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
    sure = confidence >= 0.9

    def percent(part: NDArray[np.bool_]) -> float | None:
        return 100 * float(np.mean(part)) if len(part) else None

    return {
        "strokes": n_true,
        "direction_median_deg": float(np.median(error)) if len(error) else None,
        "direction_p95_deg": float(np.percentile(error, 95)) if len(error) else None,
        "turned_round_percent": percent(error > 90),
        "missed_percent": 100 * missed / max(n_true, 1),
        "surplus_percent": 100 * surplus / max(n_true, 1),
        "unknown": unknown,
        "within_1_sigma_percent": percent(error < sigma),
        "confidence_mean": float(np.mean(confidence)) if len(confidence) else None,
        "within_22_5_deg_percent": percent(error < 22.5),
        "sure_percent": percent(sure),
        "sure_within_22_5_deg_percent": percent(error[sure] < 22.5),
        "decided_after_end_median_s": float(np.median(delay_s)) if len(delay_s) else None,
    }


def score(seed_base: int, seeds: int = 10, seconds: float = 120.0, broad: Path = BROAD) -> dict[str, Any]:
    """Score BROAD and the IMU-only mode.

    Parameters
    ----------
    seed_base : int
        First seed of the simulated sessions; the following ones are used too.
    seeds : int, default 10
        Sessions per speed class.
    seconds : float, default 120
        Length of a session.
    broad : Path
        Folder with trials of BROAD as .npz.

    Returns
    -------
    dict
        JSON values: ``broad`` and ``imu_only``.
    """
    span = range(seed_base, seed_base + seeds)
    speeds = {
        name: summarise([score_session(seed, seconds, speed) for seed in span])
        for name, speed in SESSION_SPEEDS.items()
    }
    return {"broad": score_broad(broad), "imu_only": {"speeds": speeds}}


def text(result: dict[str, Any]) -> str:
    """Render the tables (Markdown)."""
    lines: list[str] = []
    broad = result["broad"]
    if reason := broad.get("skipped"):
        lines.append(f"SKIP BROAD: {reason}")
    else:
        lines += ["| inclination RMSE (deg) | live | after the session |", "|---|---|---|"]
        rows = {**broad["inclination_deg"], "mean": broad["inclination_mean_deg"]}
        lines += [f"| {name} | {row['live']:.2f} | {row['after']:.2f} |" for name, row in rows.items()]
        lines += ["", "| direction (deg), length (%), median/p95 | n | " + " | ".join(METHODS) + " |", "|---" * 5 + "|"]
        groups = {"all": broad["strokes"], **broad["by_trial"], **broad["by_length"], **broad["by_speed"]}
        lines += [_line(name, methods) for name, methods in groups.items()]
        better = broad["better_than_baseline_percent"]
        lines += [
            f"{method}: better than the baseline in {share['direction']:.0f} % of directions, "
            f"{share['length']:.0f} % of lengths"
            for method, share in better.items()
        ]
    if speeds := result.get("imu_only", {}).get("speeds"):
        lines += ["", "| IMU only, simulated | " + " | ".join(speeds) + " |", "|---" * (len(speeds) + 1) + "|"]
        for key in next(iter(speeds.values())):
            cells = (_number(speed[key]) for speed in speeds.values())
            lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _line(name: str, methods: dict[str, dict[str, Any]]) -> str:
    cells = [
        "{:.1f}/{:.1f}, {:.1f}/{:.1f}".format(*(found[key] for key in _KEYS)) if found["strokes"] else "-"
        for found in methods.values()
    ]
    return f"| {name} | {next(iter(methods.values()))['strokes']} | " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed-base", type=int, default=7000, help="first seed; the following ones are used too")
    parser.add_argument("--seeds", type=int, default=10, help="sessions per speed class; 0 for BROAD alone")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of a session")
    parser.add_argument("--broad", type=Path, default=BROAD, help="folder with trials of BROAD as .npz")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    if arguments.seeds:
        result = score(arguments.seed_base, arguments.seeds, arguments.seconds, arguments.broad)
    else:
        result = {"broad": score_broad(arguments.broad)}
    print(json.dumps(result) if arguments.json else text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
