# SPDX-License-Identifier: MIT
"""Accuracy of the signal core against simulator truth, at three stroke speeds.

Every session is a new person with a new device. Detected strokes are matched to true ones one to one when both ends lie
within 300 ms; a true stroke without a partner is missed, a detected one without a partner is surplus.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from roller_host.pipeline import Pipeline
from roller_host.signal.record import Record
from simulator.body.hand import Habits
from simulator.body.truth import match_strokes
from simulator.firmware.device import Device
from simulator.generate import generate

if TYPE_CHECKING:
    from simulator.body.truth import Truth

SPEEDS = {"6-25": (0.06, 0.25), "2-6": (0.02, 0.06), "15-40": (0.15, 0.40)}
"""Classes of mean stroke speed, cm/s as people say and m/s as the simulator takes them."""
SETTLED_S = 3.0
"""Force is scored after the start pose, in which its zero is found."""


def score_session(seed: int, seconds: float, speed: tuple[float, float]) -> dict[str, Any]:
    """Simulate and estimate one session; errors per stroke and force errors per sample."""
    truth: list[Truth] = []
    device = Device(seed, Habits(speed_m_s=speed), on_truth=truth.append)
    pipeline = Pipeline()
    records = (Record(*payload) for payload in generate(device, seconds))
    blocks = [estimates for record in records if (estimates := pipeline.feed(record)) is not None]
    # Session time begins with the first sample, true time with START.
    begin_s = 0.5 / max(device.imu_rate_hz, device.force_rate_hz)
    end_s = seconds - 1.0
    found = [
        stroke._replace(begin_s=stroke.begin_s + begin_s, end_s=stroke.end_s + begin_s)
        for stroke in pipeline.totals.strokes
    ]
    true = [stroke for part in truth for stroke in part.strokes if stroke.end_s < end_s]
    pairs, missed, surplus = match_strokes(true, found)
    turn = np.array([other.direction_deg - stroke.direction_deg for stroke, other in pairs])
    t_s = np.concatenate([block.t_s for block in blocks]) + begin_s
    force_n = np.concatenate([block.force_n for block in blocks])
    true_n = np.interp(t_s, np.concatenate([p.t_s for p in truth]), np.concatenate([p.force_n for p in truth]))
    settled = t_s > SETTLED_S
    return {
        "direction_deg": np.abs((turn + 180) % 360 - 180),
        "sigma_deg": np.array([other.direction_sigma_deg for _, other in pairs]),
        "length": np.array([abs(other.length_m / stroke.length_m - 1) for stroke, other in pairs]),
        "peak_force": np.array([abs(other.force_peak_n / stroke.force_peak_n - 1) for stroke, other in pairs]),
        "side": np.array([other.side == stroke.side for stroke, other in pairs if stroke.side], float),
        "zone": np.array([other.zone == stroke.zone for stroke, other in pairs], float),
        "force_n": (force_n - true_n)[settled],
        "true": len(true),
        "missed": len(missed),
        "surplus": sum(stroke.end_s < end_s for stroke in surplus),
    }


def summarise(sessions: list[dict[str, Any]]) -> dict[str, float]:
    """Medians and 95th percentiles over all strokes of one speed class."""

    def all_of(key: str) -> np.ndarray:
        return np.concatenate([np.asarray(session[key]) for session in sessions])

    def total(key: str) -> int:
        return sum(int(session[key]) for session in sessions)

    direction, length = all_of("direction_deg"), all_of("length")
    return {
        "strokes": total("true"),
        "direction_median_deg": float(np.median(direction)),
        "direction_p95_deg": float(np.percentile(direction, 95)),
        "within_2_sigma_percent": 100 * float(np.mean(direction < 2 * all_of("sigma_deg"))),
        "missed": total("missed"),
        "surplus": total("surplus"),
        "missed_surplus_percent": 100 * (total("missed") + total("surplus")) / max(total("true"), 1),
        "length_median_percent": 100 * float(np.median(length)),
        "length_p95_percent": 100 * float(np.percentile(length, 95)),
        "force_rmse_n": float(np.sqrt(np.mean(all_of("force_n") ** 2))),
        "peak_force_median_percent": 100 * float(np.median(all_of("peak_force"))),
        "side_percent": 100 * float(np.mean(all_of("side"))),
        "zone_percent": 100 * float(np.mean(all_of("zone"))),
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed-base", type=int, default=7000, help="first seed; the following ones are used too")
    parser.add_argument("--seeds", type=int, default=10, help="sessions per speed class")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of a session")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    begin_s = time.perf_counter()
    speeds: dict[str, dict[str, float]] = {}
    force: list[np.ndarray] = []
    for name, speed in SPEEDS.items():
        sessions = []
        for seed in range(arguments.seed_base, arguments.seed_base + arguments.seeds):
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{name} cm/s, seed {seed}   ")
            sessions.append(score_session(seed, arguments.seconds, speed))
        speeds[name] = summarise(sessions)
        force += [np.asarray(session["force_n"]) for session in sessions]
    result = {
        "seed_base": arguments.seed_base,
        "seeds": arguments.seeds,
        "seconds": arguments.seconds,
        "speeds": speeds,
        "force_rmse_n": float(np.sqrt(np.mean(np.concatenate(force) ** 2))),
        "took_s": time.perf_counter() - begin_s,
    }
    if sys.stderr.isatty():
        sys.stderr.write("\r" + " " * 40 + "\r")
    print(json.dumps(result) if arguments.json else table(result))
    return 0


def table(result: dict[str, Any]) -> str:
    """Render the README's table (Markdown)."""
    rows = {
        "strokes": lambda s: f"{s['strokes']}",
        "direction error, median / p95 (deg)": lambda s: (
            f"{s['direction_median_deg']:.1f} / {s['direction_p95_deg']:.1f}"
        ),
        "within two stated standard uncertainties (%)": lambda s: f"{s['within_2_sigma_percent']:.0f}",
        "missed / surplus strokes": lambda s: f"{s['missed']} / {s['surplus']}",
        "length error, median / p95 (%)": lambda s: f"{s['length_median_percent']:.1f} / {s['length_p95_percent']:.1f}",
        "force RMSE (N)": lambda s: f"{s['force_rmse_n']:.3f}",
        "side right (%)": lambda s: f"{s['side_percent']:.0f}",
        "zone right (%)": lambda s: f"{s['zone_percent']:.0f}",
    }
    speeds = result["speeds"]
    lines = ["| | " + " | ".join(f"{name} cm/s" for name in speeds) + " |", "|---" * (len(speeds) + 1) + "|"]
    lines += [f"| {label} | " + " | ".join(cell(s) for s in speeds.values()) + " |" for label, cell in rows.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
