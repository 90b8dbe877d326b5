# SPDX-License-Identifier: MIT
"""What the commands do: run a session or a replay, say how it goes, and end with the right exit code."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import signal
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from firmware_protocol.codec import ProtocolError, VersionError
from firmware_protocol.zones import place_name
from roller_host.analysis import analyse
from roller_host.app import DEMO, DashboardSession, LiveRun, Options, open_world
from roller_host.export import check_folder, export, summarise
from roller_host.intake import open_file
from roller_host.link.radio import open_radio
from roller_host.link.states import BadRadioError, Found, LinkError, LinkState, NoDeviceError
from roller_host.pipeline import Pipeline
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import already_there, data_folder
from roller_host.sessions.source import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator
    from pathlib import Path

    from roller_host.signal.estimates import Estimates, Stroke

INTERNAL = 1
BAD_INPUT = 2
INCOMPATIBLE = 5
INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended before its work was done."""


def quiet_libraries() -> None:
    """Keep the libraries' own warnings off the terminal: what matters of them reaches the person as a sentence."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    logging.getLogger("bleak").setLevel(logging.CRITICAL)
    # Bumble raises in the event loop when an answer comes to a request that was just given up.
    logging.getLogger("asyncio").addFilter(lambda entry: "Host.on_packet" not in entry.getMessage())


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
        path = data_folder() / "last-error.txt"
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(traceback.format_exc(), encoding="utf-8")
        sys.stderr.write(
            f"roller-host: something went wrong inside the program ({type(error).__name__}: {error}). What was "
            f"recorded is safe. Please report it with the file {path}\n"
        )
        return INTERNAL


class _Progress:
    """One line on a terminal that says how it goes; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last_s = 0.0
        self._width = 0

    def show(self, text: str, *, at_once: bool = False) -> None:
        now_s = time.monotonic()
        if self._shown and (at_once or now_s - self._last_s > 0.2):
            self._last_s = now_s
            sys.stderr.write("\r" + text.ljust(self._width))
            sys.stderr.flush()
            self._width = len(text)

    def clear(self) -> None:
        if self._shown and self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()


def _status_line(pipeline: Pipeline) -> str:
    totals = pipeline.totals
    return (
        f"{totals.duration_s:6.1f} s   {pipeline.rate_hz or 0:6.1f} Hz   {len(totals.strokes)} strokes   "
        f"{totals.contact_samples / (pipeline.rate_hz or 1):.1f} s contact   {totals.gaps} gaps"
    )


def _finish(options: Options, result: dict[str, Any], error: Exception | None, code: int) -> int:
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
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    elif result.get("packets"):
        sys.stdout.write(_report(result))
    return code


def _report(result: dict[str, Any]) -> str:
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


def run_headless(options: Options) -> int:
    """Stream without a window; returns the exit code."""
    progress = _Progress()
    strokes_seen = 0

    def show_estimates(_: Estimates) -> None:
        nonlocal strokes_seen
        strokes = live.pipeline.totals.strokes
        if options.show_strokes and not options.json and len(strokes) > strokes_seen:
            progress.clear()
            for stroke in strokes[strokes_seen:]:
                sys.stdout.write(_stroke_line(stroke) + "\n")
        strokes_seen = len(strokes)
        progress.show(_status_line(live.pipeline))

    def show_state(state: LinkState) -> None:
        words = " - ".join(text for text in (state.phase.value, state.reason) if text)
        progress.show(words, at_once=True)

    live = LiveRun(options, show_estimates, show_state, lambda _: None)
    truth: dict[str, Any] = {}

    async def session() -> None:
        stop = asyncio.Event()
        with _stopping_on_signals(stop):
            async with open_world(options.radio, options.seed) as (radio, known):
                truth.update(known)
                await live.run(radio, stop)

    error: Exception | None = None
    try:
        asyncio.run(session())
    except (LinkError, SessionError) as caught:
        error = caught
    progress.clear()
    if error is None and live.problem:
        error = SessionError(live.problem)
    if error is None and live.pipeline.totals.packets == 0:
        error = live.pipeline.first_problem
    if error is None and live.pipeline.totals.packets:
        _say_assumed(live.pipeline.assumed, "the roller")
    result = live.summary() | ({"simulator": truth} if truth else {})
    return _finish(options, result, error, exit_code(error) if error else 0)


def _stroke_line(stroke: Stroke) -> str:
    where = place_name(stroke.zone, stroke.side) if stroke.zone else "place unknown"
    way, pace = "direction unknown ", "length unknown    "
    if not math.isnan(stroke.direction_deg):
        way = f"{stroke.direction_deg:+5.0f} deg (+-{stroke.direction_sigma_deg:.0f})"
    if not math.isnan(stroke.length_m):
        pace = f"{stroke.length_m * 100:4.1f} cm  {stroke.speed_m_s * 100:4.1f} cm/s"
    return f"{stroke.begin_s:7.2f} s  {where:16}  {way}  {pace}  {stroke.force_n:4.2f} N"


@contextmanager
def _stopping_on_signals(stop: asyncio.Event) -> Generator[None]:
    """Let SIGINT and SIGTERM set ``stop``, for as long as the loop runs."""
    loop = asyncio.get_running_loop()
    # loop.add_signal_handler does not exist on Windows.
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_scan(options: Options) -> int:
    """List the rollers in range; returns the exit code."""
    seconds = options.seconds or 5.0
    progress = _Progress()
    progress.show(f"scanning for {seconds:.0f} s", at_once=True)

    async def session() -> list[Found]:
        async with open_world(options.radio, options.seed) as (radio, _):
            return await radio.scan(seconds)

    try:
        found = asyncio.run(session())
        if not found:
            raise NoDeviceError(
                "No roller was seen. Switch it on, bring it near, and check that no other program is connected to it."
            )
    except LinkError as error:
        progress.clear()
        return _finish(options, {"rollers": []}, error, error.exit_code)
    progress.clear()
    if options.json:
        sys.stdout.write(json.dumps({"rollers": [found_one.__dict__ for found_one in found]}) + "\n")
    else:
        sys.stdout.writelines(f"{one.name}  {one.address}  {one.rssi_dbm} dBm\n" for one in found)
    return 0


def run_replay(path: Path, options: Options) -> int:
    """Feed a recording or a capture through the pipeline; returns the exit code."""
    progress = _Progress()
    pipeline = Pipeline()
    stored: Any = None
    try:
        records, params, recording = open_source(path)
        stored = recording.estimates if recording else None
        pipeline = Pipeline(params)
        for record in records:
            pipeline.feed(record)
            progress.show(f"replaying   {_status_line(pipeline)}")
        _check_readable(pipeline, path)
    except (SessionError, ProtocolError) as error:
        progress.clear()
        return _finish(options, {"recording": str(path)}, error, exit_code(error))
    progress.clear()
    _say_assumed(pipeline.assumed, str(path))
    result = pipeline.summary()
    # Compared as JSON, because that is how it was stored.
    matches = None if stored is None else json.loads(json.dumps(result)) == stored
    if matches is False:
        sys.stderr.write(
            "roller-host: the estimates differ from those of the live session; other versions may have made them\n"
        )
    return _finish(options, {**result, "recording": str(path), "matches_live": matches}, None, 0)


def run_analyse(path: Path, folder: Path, options: Options) -> int:
    """Turn a recording or a capture into tables; returns the exit code."""
    progress = _Progress()
    try:
        check_folder(folder)
        opened = open_file(path)
        analysis = analyse(opened, progress.show)
        summary = summarise(analysis, opened)
        export(analysis, summary, folder, progress.show)
    except (SessionError, ProtocolError) as error:
        progress.clear()
        return _finish(options, {"file": str(path)}, error, exit_code(error))
    progress.clear()
    _say_assumed(analysis.assumed, str(path))
    if "not understand" in opened.params_source:
        sys.stderr.write(f"roller-host: {path}: parameters are the {opened.params_source}\n")
    error = SessionError(analysis.problem) if analysis.problem else None
    return _finish(options, {**summary, "out": str(folder)}, error, BAD_INPUT if error else 0)


def _say_assumed(assumed: Collection[str], who: str) -> None:
    if assumed:
        names = ", ".join(sorted(assumed))
        sys.stderr.write(f"roller-host: {who} does not say its {names}: the reference device's is assumed\n")


def _check_readable(pipeline: Pipeline, path: Path) -> None:
    if pipeline.totals.packets == 0:
        problem = pipeline.first_problem or SessionError("there is no STREAM payload in it")
        raise type(problem)(f"nothing in {path} could be replayed: {problem}")


def run_dashboard(options: Options) -> int:
    """Open the dashboard; returns the exit code."""
    from roller_host.dashboard.requirements import import_problem, missing_display  # noqa: PLC0415 - Qt is optional

    problem = missing_display() or import_problem()
    if problem:
        sys.stderr.write(f"roller-host: {problem}\n")
        return BAD_INPUT
    try:
        if options.radio != DEMO:
            open_radio(options.radio)
        if options.out is not None and options.out.exists():
            raise already_there(options.out)
    except (BadRadioError, SessionError) as error:
        return _finish(options, {}, error, BAD_INPUT)
    from roller_host.dashboard.run import run  # noqa: PLC0415

    autoconnect = DEMO if options.radio == DEMO else options.device
    return run(lambda: DashboardSession(options), theme=options.theme, autoconnect=autoconnect, seconds=options.seconds)
