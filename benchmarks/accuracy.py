# SPDX-License-Identifier: MIT
"""Accuracy of the signal core: strokes, force, alerts, places, BROAD and the mode without an encoder.

Simulated truth from people and devices that no test and no tuning used, and the recordings of BROAD where they are at
hand. Text, one JSON object, or a picture.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import accuracy_broad
import accuracy_force
import accuracy_strokes
import accuracy_zones
import numpy as np

PARTS = ("strokes", "force", "zones", "broad", "doubled", "limits")
ROWS = {
    "direction, live, median / p95 (deg)": ("direction", "deg", "{:.1f}"),
    "direction, after the session (deg)": ("after_direction", "deg", "{:.1f}"),
    "length, median / p95 (%)": ("length", "percent", "{:.1f}"),
    "length, after the session (%)": ("after_length", "percent", "{:.1f}"),
    "reversal, decision after (ms)": ("reversal_latency", "ms", "{:.0f}"),
}
SINGLE = {
    "strokes": ("strokes", "{}"),
    "missed + surplus (%)": ("missed_surplus_percent", "{:.1f}"),
    "reversals found, F1": ("reversal_f1", "{:.3f}"),
    "direction within two stated standard uncertainties (%)": ("within_2_sigma_percent", "{:.0f}"),
    "length within two stated standard uncertainties (%)": ("length_within_2_sigma_percent", "{:.0f}"),
    "stated 0.9 or surer to be right within 22.5 deg (%)": ("confident_percent", "{:.0f}"),
    "reliability error (points)": ("reliability_error_points", "{:.1f}"),
}


def measure(parts: list[str], seed_base: int, broad: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the parts; JSON values, and what the picture shows."""
    result: dict[str, Any] = {"seed_base": seed_base}
    pooled: dict[str, Any] = {}
    begin_s = time.perf_counter()
    if "strokes" in parts:
        scored = accuracy_strokes.score(seed_base, tell=_tell)
        result["speeds"], pooled = scored["speeds"], scored["pooled"]
        result["reliability"] = {
            name: accuracy_strokes.reliability(one["confidence"], one["direction_deg"]) for name, one in pooled.items()
        }
    if "force" in parts:
        _tell("force: four sessions of 15 minutes")
        result["force"] = accuracy_force.score(seed_base)
        result["force_rmse_n"] = result["force"]["force_rmse_n"]
    if "zones" in parts:
        _tell("places: sessions of every kind")
        result["zones"] = accuracy_zones.score(seed_base)
        free = result["zones"]["kinds"]["free_hand"]
        result["side_percent"], result["zone_percent"] = free["side_percent"], free["zone_face_percent"]
    if "broad" in parts:
        _tell("BROAD, and sessions without an encoder")
        result |= accuracy_broad.score(seed_base, broad=broad)
    if "doubled" in parts:
        result["doubled"] = accuracy_strokes.score_doubled(seed_base, tell=_tell)
    if "limits" in parts:
        result["limits"] = accuracy_strokes.score_ablated(seed_base, tell=_tell)
        _tell("force: what limits it")
        result["force_limits"] = accuracy_force.ablate(seed_base)
    _tell("")
    return result | {"took_s": time.perf_counter() - begin_s}, pooled


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text[:79]:79}\r")


def text(result: dict[str, Any]) -> str:
    """All tables (Markdown)."""
    parts: list[str] = []
    if "speeds" in result:
        parts.append(strokes_table(result["speeds"]))
    if "force" in result:
        parts.append("\n".join(["| force and alerts | |", "|---|---|", *_pairs(result["force"])]))
    if "zones" in result:
        parts.append(accuracy_zones.table(result["zones"]))
        parts.append(accuracy_zones.confusion_table(result["zones"], "free_hand"))
    if "imu_only" in result:
        parts.append(accuracy_broad.text(result))
    parts += [compared_table(name, result[name]) for name in ("doubled", "limits") if name in result]
    if "force_limits" in result:
        rows = [
            f"| {row} | " + ", ".join(f"{k} {v:.3g}" for k, v in one.items()) + " |"
            for row, one in result["force_limits"].items()
        ]
        parts.append("\n".join(["| what limits the force | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _pairs(values: dict[str, float]) -> list[str]:
    return [f"| {key.replace('_', ' ')} | {value:.4g} |" for key, value in values.items()]


def strokes_table(speeds: dict[str, dict[str, float]]) -> str:
    """The table of strokes by speed."""

    def cell(values: dict[str, float], name: str, unit: str, form: str) -> str:
        return " / ".join(form.format(values[f"{name}_{which}_{unit}"]) for which in ("median", "p95"))

    lines = ["| | " + " | ".join(f"{name} cm/s" for name in speeds) + " |", "|---" * (len(speeds) + 1) + "|"]
    lines += [f"| {row} | " + " | ".join(cell(s, *how) for s in speeds.values()) + " |" for row, how in ROWS.items()]
    for row, (key, form) in SINGLE.items():
        lines.append(f"| {row} | " + " | ".join(form.format(s[key]) for s in speeds.values()) + " |")
    return "\n".join(lines)


def compared_table(name: str, rows: dict[str, dict[str, dict[str, float]]]) -> str:
    """Direction, length and missed strokes of several conditions, one a row."""
    speeds = list(next(iter(rows.values())))
    head = [f"{speed} cm/s: direction, length, missed + surplus" for speed in speeds]
    lines = [f"| {name} | " + " | ".join(head) + " |", "|---" * (len(speeds) + 1) + "|"]
    for row, by_speed in rows.items():
        cells = [
            f"{s['direction_median_deg']:.1f}/{s['direction_p95_deg']:.1f} deg, "
            f"{s['length_median_percent']:.1f}/{s['length_p95_percent']:.1f} %, {s['missed_surplus_percent']:.1f} %"
            for s in by_speed.values()
        ]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(pooled: dict[str, Any], path: Path) -> None:
    """Errors of direction and length as shares of strokes, and latencies of reversals, as a PNG."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import pyqtgraph as pg  # noqa: PLC0415 - only the picture needs Qt

    pg.setConfigOptions(background="w", foreground="k", antialias=True)
    pg.mkQApp()
    sheet = pg.GraphicsLayoutWidget()
    sheet.resize(1500, 480)
    panels = (
        ("direction_deg", "direction error, live (deg)", 1.0, (0, 20)),
        ("length", "length error, live (%)", 100.0, (0, 20)),
        ("reversal_latency_s", "reversal decided after (ms)", 1000.0, (-100, 400)),
    )
    for key, label, factor, limits in panels:
        plot = sheet.addPlot(labels={"bottom": label, "left": "share (%)"})
        plot.setXRange(*limits)
        plot.setYRange(0, 100)
        plot.showGrid(x=True, y=True, alpha=0.3)
        plot.addLegend(offset=(-10, -10))
        for (name, values), colour in zip(pooled.items(), ("#0072b2", "#d55e00", "#009e73"), strict=False):
            errors = np.sort(values[key] * factor if key.startswith("rev") else np.abs(values[key]) * factor)
            share = 100 * np.arange(1, len(errors) + 1) / len(errors)
            plot.plot(errors, share, pen=pg.mkPen(colour, width=2), name=f"{name} cm/s")
    sheet.grab().save(str(path))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed-base", type=int, default=7000, help="first seed; the following ones are used too")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS[:4]),
        help="default: all but the tables of doubled disturbances and of what limits the figures",
    )  # fmt: skip
    parser.add_argument("--broad", type=Path, default=accuracy_broad.BROAD, help="folder with trials of BROAD (.npz)")
    parser.add_argument("--picture", type=Path, help="write a PNG; needs the dashboard's packages")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    result, pooled = measure(arguments.parts, arguments.seed_base, arguments.broad)
    if arguments.picture and pooled:
        draw(pooled, arguments.picture)
    print(json.dumps(result) if arguments.json else text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
