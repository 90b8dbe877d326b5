# SPDX-License-Identifier: MIT
"""What the commands do: run a session or a replay, say how it goes, and end with the right exit code."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firmware_protocol.codec import ProtocolError
from roller_host.analysis import analyse
from roller_host.app.live import Options
from roller_host.app.world import DEMO, is_demo
from roller_host.calibrate_commands import ForceTask, run_calibrate_force, run_calibrations, run_undo_calibration
from roller_host.comfort_commands import run_comfort
from roller_host.cues.speaker import is_installed
from roller_host.cues.words import ALERTS, cue_json, explain
from roller_host.export import check_folder, export, summarise
from roller_host.feed import DashboardSession
from roller_host.intake import open_file
from roller_host.link.radio import open_radio
from roller_host.link.states import BadRadioError
from roller_host.link_commands import run_fetch, run_headless, run_identify, run_rollers, run_scan
from roller_host.people_commands import run_people
from roller_host.pipeline import Pipeline
from roller_host.sessions import people
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import already_there, is_taken
from roller_host.sessions.source import guided_by, open_source
from roller_host.terminal import BAD_INPUT, Progress, exit_code, finish, say_assumed, status_line

if TYPE_CHECKING:
    from pathlib import Path

    from roller_host.signal.comfort import Cue
    from roller_host.signal.core import SignalParams

__all__ = [
    "DEMO",
    "ForceTask",
    "Options",
    "quiet_libraries",
    "run_analyse",
    "run_calibrate_force",
    "run_calibrations",
    "run_comfort",
    "run_dashboard",
    "run_explain",
    "run_fetch",
    "run_headless",
    "run_identify",
    "run_people",
    "run_replay",
    "run_rollers",
    "run_scan",
    "run_undo_calibration",
]


def quiet_libraries() -> None:
    """Keep the libraries' own warnings off the terminal: what matters of them reaches the person as a sentence."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    logging.getLogger("bleak").setLevel(logging.CRITICAL)
    # Bumble raises in the event loop when an answer comes to a request that was just given up.
    logging.getLogger("asyncio").addFilter(lambda entry: "Host.on_packet" not in entry.getMessage())


def run_replay(path: Path, options: Options) -> int:
    """Feed a recording or a capture through the pipeline; returns the exit code."""
    progress = Progress()
    pipeline = Pipeline()
    stored: Any = None
    try:
        records, params, recording = open_source(path)
        stored = recording.estimates if recording else None
        pipeline = Pipeline(params)
        for record in records:
            pipeline.feed(record)
            progress.show(f"replaying   {status_line(pipeline)}")
        _check_readable(pipeline, path)
    except (SessionError, ProtocolError) as error:
        progress.clear()
        return finish({"recording": str(path)}, error, exit_code(error), as_json=options.json)
    progress.clear()
    say_assumed(pipeline.assumed, str(path))
    result = pipeline.summary()
    # Compared as JSON, because that is how it was stored.
    matches = None if stored is None else json.loads(json.dumps(result)) == stored
    if matches is False:
        sys.stderr.write(
            "roller-host: the estimates differ from those of the live session; other versions may have made them\n"
        )
    return finish({**result, "recording": str(path), "matches_live": matches}, None, 0, as_json=options.json)


def run_explain(path: Path, at_s: float | None, options: Options) -> int:
    """Say why alerts of a recording or a capture were given, or what held at a time; returns the exit code."""
    progress = Progress()
    try:
        cues, params = _cues_of(path, progress)
        told = [cue for cue in cues if cue.comfort in ALERTS] if at_s is None else [_held_at(cues, at_s, path)]
    except (SessionError, ProtocolError) as error:
        progress.clear()
        return finish({"file": str(path)}, error, exit_code(error), as_json=options.json)
    progress.clear()
    if not options.json:
        lines = [f"{cue.t_s:8.2f} s  {explain(cue, params.bands)}\n" for cue in told]
        sys.stdout.write(
            "".join(lines) or "No alert: the force was never above a limit for long, and nothing was lost.\n"
        )
    explained = [cue_json(cue, params.bands) for cue in told]
    return finish({"file": str(path), "cues": explained}, None, 0, as_json=options.json)


def _held_at(cues: list[Cue], at_s: float, path: Path) -> Cue:
    """Cue that holds at a time."""
    before = [cue for cue in cues if cue.t_s <= at_s]
    if not before:
        first = f"the first cue comes at {cues[0].t_s:.2f} s" if cues else "there is none in it"
        raise SessionError(f"no cue at {at_s:g} s or before in {path}: {first}")
    return before[-1]


def _cues_of(path: Path, progress: Progress) -> tuple[list[Cue], SignalParams]:
    """All cues of a file, and the parameters that they were given by."""
    records, params, _ = open_source(path)
    pipeline = Pipeline(params)
    cues: list[Cue] = []
    for record in records:
        estimates = pipeline.feed(record)
        cues += estimates.cues if estimates else ()
        progress.show(f"reading   {status_line(pipeline)}")
    _check_readable(pipeline, path)
    return cues, params


def run_analyse(path: Path, folder: Path, options: Options) -> int:
    """Turn a recording or a capture into tables; returns the exit code."""
    progress = Progress()
    try:
        check_folder(folder)
        opened = open_file(path)
        if options.routine is not None:
            params = replace(opened.params, routine=guided_by(options.routine))
            opened = replace(opened, params=params, params_source=f"{opened.params_source}, with {options.routine}")
        analysis = analyse(opened, progress.show)
        summary = summarise(analysis, opened)
        export(analysis, summary, folder, progress.show)
    except (SessionError, ProtocolError) as error:
        progress.clear()
        return finish({"file": str(path)}, error, exit_code(error), as_json=options.json)
    progress.clear()
    say_assumed(analysis.assumed, str(path))
    if "not understand" in opened.params_source:
        sys.stderr.write(f"roller-host: {path}: parameters are the {opened.params_source}\n")
    error = SessionError(analysis.problem) if analysis.problem else None
    code = BAD_INPUT if error else 0
    return finish({**summary, "out": str(folder)}, error, code, as_json=options.json)


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
        if not is_demo(options.radio):
            open_radio(options.radio)
        if options.out is not None and is_taken(options.out):
            raise already_there(options.out)
        if options.routine is not None:
            guided_by(options.routine)
        if options.person is not None:
            people.find(options.person)
    except (BadRadioError, SessionError) as error:
        return finish({}, error, BAD_INPUT, as_json=options.json)
    from roller_host.dashboard.run import run  # noqa: PLC0415

    if options.sound is None:
        options = replace(options, sound=is_installed())
    autoconnect = options.radio if is_demo(options.radio) else options.device
    return run(lambda: DashboardSession(options), theme=options.theme, autoconnect=autoconnect, seconds=options.seconds)
