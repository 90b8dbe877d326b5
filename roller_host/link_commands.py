# SPDX-License-Identifier: MIT
"""The commands that need a radio: stream, scan, know, identify, fetch."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar

from firmware_protocol.zones import place_name
from roller_host.app.fetch import fetch_log
from roller_host.app.live import LiveRun, Options
from roller_host.app.world import is_demo, open_world
from roller_host.link.states import Found, LinkError, LinkPhase, LinkState, NoDeviceError
from roller_host.link.visit import forget_keys, identify
from roller_host.sessions import rollers
from roller_host.sessions.errors import SessionError
from roller_host.sessions.unfinished import latest_unfinished
from roller_host.terminal import BAD_INPUT, Progress, exit_code, finish, report, say_assumed, status_line, stroke_line

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Sequence
    from pathlib import Path

    from roller_host.link.radio import Radio
    from roller_host.signal.estimates import Estimates

T = TypeVar("T")


def run_headless(options: Options, devices: Sequence[str] = ()) -> int:
    """Stream without a window, from one roller or several at once; returns the exit code."""
    progress = Progress()
    try:
        options = replace(options, resume=_session_to_resume(options.resume))
        _check_several(options, devices)
    except SessionError as error:
        return finish({}, error, BAD_INPUT, as_json=options.json)
    _mention_unfinished(options)
    several = len(devices) > 1
    wanted = [replace(options, device=name) for name in devices] or [options]
    runs = [_Run(one, progress, f"{one.device}: " if several else "") for one in wanted]

    async def together() -> None:
        stop = asyncio.Event()
        with stopping_on_signals(stop):
            await asyncio.gather(*(run.hold(stop) for run in runs))

    asyncio.run(together())
    progress.clear()
    return _finish_several(runs, as_json=options.json) if several else runs[0].finish()


def _check_several(options: Options, devices: Sequence[str]) -> None:
    if len(devices) > 1 and (options.out or options.resume or is_demo(options.radio)):
        raise SessionError("several rollers at once take neither --out nor --resume, and not the demo")


def _finish_several(runs: Sequence[_Run], *, as_json: bool) -> int:
    """Say how it ended for each of several rollers; returns the worst exit code."""
    outcomes = [(run, *run.outcome()) for run in runs]
    results: list[dict[str, Any]] = []
    for run, result, error, _ in outcomes:
        result["device"] = run.label.removesuffix(": ")
        if error is not None:
            result["error"] = str(error)
            sys.stderr.write(f"roller-host: {run.label}{error}\n")
        if not as_json and result.get("packets"):
            sys.stdout.write(f"{run.label}{report(result)}")
        results.append(result)
    if as_json:
        sys.stdout.write(json.dumps({"rollers": results}) + "\n")
    return max(code for *_, code in outcomes)


class _Run:
    """One roller that streams without a window.

    Parameters
    ----------
    options : Options
        What to do.
    progress : Progress
        Where to say how it goes.
    label : str
        Stands before each line, with its colon; empty for a single roller.
    """

    def __init__(self, options: Options, progress: Progress, label: str) -> None:
        self.label = label
        self._options, self._progress = options, progress
        self._strokes_seen = 0
        self._told_enough: set[tuple[str, str]] = set()
        self._state = ""
        self._truth: dict[str, Any] = {}
        self._error: Exception | None = None
        self._live = LiveRun(options, self._show_estimates, self._show_state, lambda _: None, self._show_log)

    async def hold(self, stop: asyncio.Event) -> None:
        """Stream until ``stop``; what goes wrong is kept for `outcome`."""
        options = self._options
        try:
            async with open_world(options.radio, options.seed, options.passkey) as (radio, known):
                self._truth.update(known)
                await self._live.run(radio, stop, self._say)
        except (LinkError, SessionError) as caught:
            self._error = caught

    def _say(self, text: str, *, at_once: bool = False) -> None:
        self._progress.show(self.label + text, at_once=at_once)

    def _show_estimates(self, _: Estimates) -> None:
        strokes = self._live.pipeline.totals.strokes
        if self._options.show_strokes and not self._options.json and len(strokes) > self._strokes_seen:
            self._progress.clear()
            for stroke in strokes[self._strokes_seen :]:
                sys.stdout.write(f"{self.label}{stroke_line(stroke)}\n")
        self._strokes_seen = len(strokes)
        self._say(status_line(self._live.pipeline))
        for place, reason in self._live.enough().items():
            if place not in self._told_enough:
                self._told_enough.add(place)
                self._progress.clear()
                sys.stderr.write(f"roller-host: {self.label}{place_name(*place)}: enough for today, {reason}\n")

    def _show_state(self, state: LinkState) -> None:
        words = " - ".join(text for text in (state.words, state.reason) if text)
        # Without a terminal a line for each turn of events is enough, and more than nothing.
        if words != self._state and state.reason and not sys.stderr.isatty():
            sys.stderr.write(f"roller-host: {self.label}{words.rstrip('.')}. {state.action}".rstrip() + "\n")
        self._state = words
        self._say(words, at_once=True)

    def _show_log(self, n_fetched: int, n_packets: int) -> None:
        self._say(f"fetching what the roller recorded by itself: {n_fetched} of {n_packets} packets")

    def outcome(self) -> tuple[dict[str, Any], Exception | None, int]:
        """Result, error and exit code."""
        error, live = self._error, self._live
        if error is None and live.problem:
            error = SessionError(live.problem)
        if error is None and live.pipeline.totals.packets == 0:
            error = live.pipeline.first_problem
        result = live.summary() | ({"simulator": self._truth} if self._truth else {})
        return result, error, exit_code(error) if error else 0

    def finish(self) -> int:
        """Say how it ended; returns the exit code."""
        result, error, code = self.outcome()
        if error is None and self._live.pipeline.totals.packets:
            say_assumed(self._live.pipeline.assumed, "the roller")
        return finish(result, error, code, as_json=self._options.json)


def _session_to_resume(asked: Path | None) -> Path | None:
    """File of the session to go on with; raises `SessionError` when there is none."""
    if asked is None or asked.name != "latest" or asked.exists():
        return asked
    unfinished = latest_unfinished()
    if unfinished is None:
        raise SessionError("no session was cut off in the last half hour. Leave out --resume to begin a new one")
    return unfinished.path


def _mention_unfinished(options: Options) -> None:
    unfinished = latest_unfinished() if options.resume is None and not is_demo(options.radio) else None
    if unfinished:
        sys.stderr.write(
            f"roller-host: the session of {unfinished.began} was cut off {unfinished.age_s / 60:.0f} min ago "
            f"({unfinished.path}). To go on with it: --resume\n"
        )


@contextmanager
def stopping_on_signals(stop: asyncio.Event) -> Generator[None]:
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
    progress = Progress()
    progress.show(f"scanning for {seconds:.0f} s", at_once=True)

    async def session() -> list[Found]:
        async with open_world(options.radio, options.seed) as (radio, _):
            return await radio.scan(seconds)

    try:
        found = asyncio.run(session())
        if not found:
            raise NoDeviceError(
                "No roller was seen.", "Switch it on, bring it near, and check that no phone is connected to it."
            )
    except LinkError as error:
        progress.clear()
        return finish({"rollers": []}, error, error.exit_code, as_json=options.json)
    progress.clear()
    if options.json:
        seen = [{**asdict(one), "own_name": _own_name(one)} for one in found]
        sys.stdout.write(json.dumps({"rollers": seen}) + "\n")
    else:
        sys.stdout.writelines(f"{_found_line(one)}\n" for one in found)
    return 0


def _own_name(found: Found) -> str:
    known = rollers.find(found.address) or rollers.find(found.name)
    return known.own_name if known else ""


def _found_line(found: Found) -> str:
    strength = "connected to this computer" if found.rssi_dbm is None else f"{found.rssi_dbm} dBm"
    taken = "taken by another program" if found.taken else ""
    return "  ".join(part for part in (found.name, _own_name(found), found.address, strength, taken) if part)


def run_rollers(options: Options, renaming: tuple[str, str] | None, forgotten: str | None, radio: str | None) -> int:
    """List, rename or forget known rollers; returns the exit code."""
    try:
        if renaming:
            rollers.rename(_known(renaming[0]).device_id, renaming[1])
        if forgotten:
            _forget(_known(forgotten).device_id, replace(options, radio=radio) if radio else None)
    except (SessionError, LinkError) as error:
        return finish({}, error, exit_code(error), as_json=options.json)
    known = rollers.load()
    if options.json:
        sys.stdout.write(json.dumps({"rollers": [asdict(one) for one in known]}) + "\n")
    else:
        lines = [f"{one.title}  {one.name}  {one.device_id}  last used {one.last_seen or 'never'}" for one in known]
        sys.stdout.write("\n".join(lines or ["No roller was used with this computer yet."]) + "\n")
    return 0


def _forget(device_id: str, there: Options | None) -> None:
    """Know a roller no longer; with a radio, forget its keys as well."""
    if there:
        progress, note = _states()
        note(LinkState(LinkPhase.SCANNING))
        _on_radio(there, lambda radio: forget_keys(radio, device_id), progress)
    rollers.forget(device_id)


def _known(text: str) -> rollers.KnownRoller:
    known = rollers.find(text)
    if known is None:
        names = ", ".join(one.title for one in rollers.load()) or "none"
        raise SessionError(f"no known roller is called {text!r}; known are: {names}")
    return known


def run_identify(options: Options) -> int:
    """Let a roller blink and buzz; returns the exit code."""
    progress, note = _states()
    try:
        _on_radio(options, lambda radio: identify(radio, rollers.target_of(options.device), on_state=note), progress)
    except LinkError as error:
        return finish({}, error, error.exit_code, as_json=options.json)
    return finish({"identified": True}, None, 0, as_json=options.json)


def run_fetch(options: Options) -> int:
    """Fetch the recordings that a roller made by itself; returns the exit code."""

    def note_log(n_fetched: int, n_packets: int) -> None:
        progress.show(f"fetching what the roller recorded by itself: {n_fetched} of {n_packets} packets")

    progress, note = _states()
    try:
        paths = _on_radio(options, lambda radio: fetch_log(radio, options.device, note, note_log), progress)
    except (LinkError, SessionError) as error:
        return finish({}, error, exit_code(error), as_json=options.json)
    if not options.json:
        sys.stdout.write("".join(f"{path}\n" for path in paths) or "The roller has recorded nothing by itself.\n")
    return finish({"recordings": [str(path) for path in paths]}, None, 0, as_json=options.json)


def _states() -> tuple[Progress, Callable[[LinkState], None]]:
    """A progress line, and what shows the link's state on it."""
    progress = Progress()
    return progress, lambda state: progress.show(state.words, at_once=True)


def _on_radio(options: Options, errand: Callable[[Radio], Coroutine[Any, Any, T]], progress: Progress) -> T:
    """Do something with a radio."""

    async def work() -> T:
        async with open_world(options.radio, options.seed, options.passkey) as (radio, _):
            return await errand(radio)

    try:
        return asyncio.run(work())
    finally:
        progress.clear()
