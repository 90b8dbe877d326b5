# SPDX-License-Identifier: MIT
"""What the commands write: a line that says how it goes, and how it ended. Needs no packages but our own."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from firmware_protocol.codec import VersionError
from firmware_protocol.zones import place_name
from roller_host.link.states import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from roller_host.pipeline import Pipeline
    from roller_host.signal.estimates import Stroke

INTERNAL = 1
BAD_INPUT = 2
INCOMPATIBLE = 5
INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended before its work was done."""


def guarded(command: Callable[[], int]) -> int:
    """Run a command; a mistake of ours in it becomes a sentence and a file to report, never a traceback."""
    try:
        return command()
    except KeyboardInterrupt:
        sys.stderr.write("\nroller-host: stopped\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python must not complain about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the top of the program, from where it reaches the person
        from roller_host.sessions.folder import data_folder  # noqa: PLC0415 - needs a package that may be missing

        path = data_folder() / "last-error.txt"
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(traceback.format_exc(), encoding="utf-8")
        sys.stderr.write(
            f"roller-host: something went wrong inside the program ({type(error).__name__}: {error}). What was "
            f"recorded is safe. Please report it with the file {path}\n"
        )
        return INTERNAL


class Progress:
    """One line on a terminal that says how it goes; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last_s = 0.0
        self._width = 0

    def show(self, text: str, *, at_once: bool = False) -> None:
        """Replace the line, a few times a second at most unless ``at_once``."""
        now_s = time.monotonic()
        if self._shown and (at_once or now_s - self._last_s > 0.2):
            self._last_s = now_s
            sys.stderr.write("\r" + text.ljust(self._width))
            sys.stderr.flush()
            self._width = len(text)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown and self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()


def status_line(pipeline: Pipeline) -> str:
    """How a session goes."""
    totals = pipeline.totals
    return (
        f"{totals.duration_s:6.1f} s   {pipeline.rate_hz or 0:6.1f} Hz   {len(totals.strokes)} strokes   "
        f"{totals.contact_samples / (pipeline.rate_hz or 1):.1f} s contact   {totals.gaps} gaps"
    )


def finish(result: dict[str, Any], error: Exception | None, code: int, *, as_json: bool) -> int:
    """Say how it ended: exactly one JSON object on stdout, or words; the exit code is handed through."""
    if error is not None:
        result = {**result, "error": str(error)}
        sys.stderr.write(f"roller-host: {error}\n")
    if result.get("packets") and result["missing_streams"]:
        missing = ", ".join(result["missing_streams"])
        lacking = "strokes are found from its motion alone, without a length"
        if result["missing_streams"] != ["ROLL"]:
            lacking = "there is no force and no stroke to show"
        sys.stderr.write(f"roller-host: the roller sends no {missing}, so {lacking}\n")
    if result.get("packets") and result.get("calibrated") is False:
        sys.stderr.write(
            "roller-host: the roller's force is uncalibrated: its newtons may be off by a fifth. Weigh it: "
            "roller-host calibrate force\n"
        )
    elif result.get("calibration_hint"):
        sys.stderr.write(f"roller-host: {result['calibration_hint']}\n")
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
    elif result.get("packets"):
        sys.stdout.write(report(result))
    return code


def report(result: dict[str, Any]) -> str:
    """A session in a few lines."""
    mean = result["force_mean_n"]
    lines = [
        f"{result['strokes']} strokes in {result['duration_s']:.1f} s, {result['contact_s']:.1f} s in contact"
        + (f", mean force {mean:.2f} N, peak {result['force_peak_n']:.2f} N" if mean is not None else ""),
        (
            f"{result['packets']} packets at {result['rate_hz'] or 0:.2f} Hz, {result['gaps']} gaps, "
            f"{result['lost_packets']} lost, {result['bad_payloads']} unreadable"
        ),
    ]
    lines += [f"{key}: {result[key]}" for key in ("recording", "out") if result.get(key)]
    return "\n".join(lines) + "\n"


def exit_code(error: Exception) -> int:
    """Exit code that belongs to an error."""
    if isinstance(error, LinkError):
        return error.exit_code
    return INCOMPATIBLE if isinstance(error, VersionError) else BAD_INPUT


def stroke_line(stroke: Stroke) -> str:
    """A stroke in a line."""
    where = place_name(stroke.zone, stroke.side) if stroke.zone else "place unknown"
    way, pace = "direction unknown ", "length unknown    "
    if not math.isnan(stroke.direction_deg):
        way = f"{stroke.direction_deg:+5.0f} deg (+-{stroke.direction_sigma_deg:.0f})"
    if not math.isnan(stroke.length_m):
        pace = f"{stroke.length_m * 100:4.1f} cm  {stroke.speed_m_s * 100:4.1f} cm/s"
    return f"{stroke.begin_s:7.2f} s  {where:16}  {way}  {pace}  {stroke.force_n:4.2f} N"


def say_assumed(assumed: Collection[str], who: str) -> None:
    """Say what the roller did not say about itself."""
    if assumed:
        names = ", ".join(sorted(assumed))
        sys.stderr.write(f"roller-host: {who} does not say its {names}: the reference device's is assumed\n")
