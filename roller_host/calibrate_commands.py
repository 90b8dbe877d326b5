# SPDX-License-Identifier: MIT
"""The commands that calibrate: the load cell with known weights, and what was made of it so far."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from roller_host.app.calibrating import ForceCalibration
from roller_host.app.guidance import Guidance
from roller_host.app.live import LiveRun
from roller_host.app.world import is_demo, open_world
from roller_host.guide.weighing import ForceShown, mass_of
from roller_host.link.states import LinkError
from roller_host.link_commands import stopping_on_signals
from roller_host.sessions import calibrations, rollers
from roller_host.sessions.errors import SessionError
from roller_host.signal.weights import WeightError, WeightParams, check_masses
from roller_host.terminal import BAD_INPUT, Progress, exit_code, finish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roller_host.app.live import Options
    from roller_host.guide.step import Assistant, Shown
    from roller_host.link.states import LinkState
    from roller_host.sessions.calibrations import Entry
    from roller_host.signal.estimates import Estimates

USUAL_KG: Final = "0.1,0.2,0.5,1.0,2.0"
"""What the demo's hands hang when nothing else is said."""
MOST_N: Final = 25.0
"""Load that the reference device bears, for a list of weights that is judged before a roller is there."""
_TUMBLE_S, _WEIGHT_S, _BY_HAND_S = 27.0, 6.5, 20.0
"""How long it takes up to the first weight, and for each of them by the demo's hands, and by a person's, about."""


class CalibrationError(SessionError):
    """The readings make no calibration, or nobody is there to make them."""


@dataclass(frozen=True)
class ForceTask:
    """What the person asked for on the command line."""

    weights: str | None = None
    """Masses, with commas between them; None asks for them one by one."""
    scale: bool = False
    """The roller is pressed on a scale instead."""
    write: bool = False
    """Store it in the roller as well."""


def run_calibrate_force(options: Options, task: ForceTask) -> int:
    """Calibrate the load cell; returns the exit code."""
    demo = is_demo(options.radio)
    if demo and task.scale:
        error = CalibrationError("the demo's hands hang weights and have no scale: leave out --scale")
        return finish({}, error, BAD_INPUT, as_json=options.json)
    try:
        masses = _masses(USUAL_KG if demo and task.weights is None else task.weights)
    except WeightError as error:
        return finish({}, error, BAD_INPUT, as_json=options.json)
    if masses:
        seconds = _TUMBLE_S + (_WEIGHT_S if demo else _BY_HAND_S) * len(masses)
        sys.stderr.write(f"roller-host: this takes about {seconds / 60:.1f} min\n")
    run = _Run(replace(options, recorded=False), task, masses)
    try:
        truth = asyncio.run(run.hold())
    except (LinkError, SessionError) as error:
        return finish(run.result, error, exit_code(error), as_json=options.json)
    finally:
        run.progress.clear()
    result = run.result | ({"simulator": truth} if truth else {})
    if not options.json:
        sys.stdout.write(_report(result))
    return finish(result, None, 0, as_json=options.json)


def _masses(text: str | None) -> list[float]:
    """Masses of a list; raises `WeightError` when they cannot make a calibration."""
    if text is None:
        return []
    masses = [mass_of(part) for part in text.split(",")]
    check_masses(WeightParams(), masses, MOST_N)
    return masses


class _Typed:
    """What a person answers; before `listen` everything is agreed to at once.

    Parameters
    ----------
    on_end : callable
        Called when an answer is wanted and there will be none.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._lines: list[str] = []
        self._listens = self._ended = False
        self._on_end = on_end

    def listen(self) -> None:
        """Hear what is typed, on a thread of its own: reading blocks for as long as nobody types."""
        loop, self._listens = asyncio.get_running_loop(), True

        def read() -> None:
            # The loop may be gone by then, and with it whoever would listen.
            with suppress(OSError, ValueError, RuntimeError):
                n_lines = 0
                for line in sys.stdin or ():
                    n_lines += 1
                    loop.call_soon_threadsafe(self._lines.append, line.strip())
                loop.call_soon_threadsafe(self._end, n_lines)

        threading.Thread(target=read, name="typed lines", daemon=True).start()

    def _end(self, n_lines: int) -> None:
        self._ended = True
        if not n_lines:
            self._on_end()

    def take(self) -> str | None:
        """The next line; None while there is none. At their end ``on_end`` is called."""
        if not self._listens:
            return ""
        if self._lines:
            return self._lines.pop(0)
        if self._ended:
            self._on_end()
        return None


class _Run:
    """One calibration on a terminal, or by the demo's hands."""

    def __init__(self, options: Options, task: ForceTask, masses: Sequence[float]) -> None:
        self.result: dict[str, Any] = {}
        self.progress = Progress()
        self._options, self._task = options, task
        self._left, self._listed = list(masses), bool(masses)
        self._typed = _Typed(self._note_silence)
        self._live = LiveRun(options, self._take, self._note_state, lambda _: None)
        self._flow = ForceCalibration(self._live, pressed=task.scale)
        self._flow.on_written = lambda: self._guidance and self._guidance.show()
        self._guidance: Guidance | None = None
        self._hands: Assistant | None = None
        self._stop = asyncio.Event()
        self._failure: Exception | None = None
        self._told: set[str] = set()
        self._wrote = False

    async def hold(self) -> dict[str, Any]:
        """Lead through the flow; returns what the simulator knows about itself.

        Raises
        ------
        LinkError, SessionError
            When the link fails, the readings make no calibration, or nobody answers.
        KeyboardInterrupt
            When it was ended before there was a result; nothing is changed then.
        """
        options = self._options
        async with open_world(options.radio, options.seed, options.passkey, self._take_hands) as (radio, truth):
            if self._hands is None:
                self._typed.listen()
            with stopping_on_signals(self._stop):
                await self._live.run(radio, self._stop)
        if self._failure:
            raise self._failure
        if not self.result:
            raise KeyboardInterrupt
        return truth

    def _take_hands(self, hands: Assistant) -> None:
        self._hands = hands

    def _note_state(self, state: LinkState) -> None:
        self.progress.show(" - ".join(text for text in (state.words, state.reason) if text), at_once=True)

    def _note_silence(self) -> None:
        if not self.result:
            self._fail("nobody can answer, standard input is closed: run it in a terminal, or with --radio demo")

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or CalibrationError(reason)
        self._stop.set()

    # --- The flow ---------------------------------------------------------------------------------------------------

    def _take(self, estimates: Estimates) -> None:
        if self._guidance is None:
            self._guidance = Guidance(self._flow.guide, self._flow.take, self._show, self._hands)
        if self._stop.is_set():
            return
        self._guidance.take(estimates)
        shown = self._flow.guide.shown
        lead = {"weights": self._weigh, "result": self._use, "store": self._end}.get(shown.step)
        if lead:
            lead(self._guidance.act, shown)

    def _show(self, shown: Shown) -> None:
        for text in (self._asks(shown), shown.problem):
            if text and text not in self._told:
                self._told = {text} if text != shown.problem else self._told | {text}
                self.progress.clear()
                sys.stderr.write(f"roller-host: {text}\n")
        if isinstance(shown, ForceShown):
            self.progress.show(_status(shown))

    def _asks(self, shown: Shown) -> str:
        """What to do now, and what to type."""
        text, hangs = f"{shown.title}. {shown.text}", shown.order is not None and shown.order.mass_kg > 0
        if shown.step == "weights" and self._listed and not hangs:
            return "Take everything off, and hold it still."
        if self._hands is not None:
            return text
        if hangs:
            return f"{text} [Enter]"
        if shown.step == "weights" and isinstance(shown, ForceShown) and not shown.wants_empty:
            return f"{text} [mass in kg; undo; Enter when there are no more]"
        if isinstance(shown, ForceShown) and shown.step == "result" and not self._listed:
            offs = zip(shown.readings, shown.residuals_n, strict=True)
            told = ", ".join(f"{one.mass_kg:g} kg {off_n:+.3f} N" for one, off_n in offs if one.mass_kg)
            return f"{text} {told}. [Enter to use it, Ctrl-C to leave everything as it was]"
        return text

    def _weigh(self, act: Callable[..., None], shown: ForceShown) -> None:
        can = {choice.key for choice in shown.choices if choice.enabled}
        if shown.order and shown.order.mass_kg:
            if "take" in can and self._typed.take() is not None:
                act("take")
        elif shown.wants_empty:
            return
        elif self._left:
            act("add", str(self._left.pop(0)))
            if (order := self._flow.guide.shown.order) is None or not order.mass_kg:
                self._fail(self._flow.guide.shown.problem.rstrip("."))
        elif self._listed and "finish" in can:
            act("finish")
        elif self._listed:
            self._fail(shown.problem.rstrip(".") or "the readings make no calibration: try again")
        elif (line := self._typed.take()) is not None:
            act("undo" if line == "undo" else "add" if line else "finish", line)

    def _use(self, act: Callable[..., None], shown: ForceShown) -> None:
        # What could not be stored stays on offer to a person, who may make room; hands would try for ever.
        if shown.problem and self._hands is not None:
            self._fail(shown.problem.rstrip("."))
        elif (self._listed and not shown.problem) or self._typed.take() is not None:
            act("keep")

    def _end(self, act: Callable[..., None], shown: ForceShown) -> None:
        if self._task.write and not self._wrote:
            self._wrote = True
            act("write")
        elif any(choice.key == "done" and choice.enabled for choice in shown.choices):
            self.result = _result(self._flow, shown, written=self._wrote and not shown.problem)
            if self._wrote and shown.problem:
                self._fail(f"it is stored on this computer, but not in the roller: {shown.problem}".rstrip("."))
            act("done")
            self._stop.set()


def _status(shown: ForceShown) -> str:
    """The live reading on a line."""
    if shown.counts is None or shown.load_n is None or shown.noise_n is None:
        return shown.title
    share = f"   {100 * shown.progress:3.0f} %" if shown.progress is not None else ""
    how = "steady" if shown.steady else shown.trouble
    return f"{shown.counts:9.0f} counts   {shown.load_n:7.3f} N +-{shown.noise_n:.3f}{share}   {how}"


def _result(flow: ForceCalibration, shown: ForceShown, *, written: bool) -> dict[str, Any]:
    """What was found, ready for JSON."""
    found, made = shown.found, flow.made
    if found is None or made is None:
        return {}
    record, fit = found.record, found.fit
    return {
        "device_id": made.device_id,
        "head": made.head,
        "date": made.date,
        "method": made.method,
        "n_per_count": record.n_per_count,
        "n_per_count_before": found.before.n_per_count,
        "sensitivity_sigma_percent": 100 * fit.sigma,
        "max_error_n": fit.max_error_n,
        "left_out_error_n": fit.left_out_n,
        "bent": fit.bent,
        "zero_counts": record.zero_counts,
        "head_mass_g": 1e3 * record.head_mass_kg,
        "axis": [record.axis_x, record.axis_y, record.axis_z],
        "temp_c": made.temp_c,
        "residuals_n": [point.residual_n for point in made.points if point.mass_kg],
        "points": [asdict(point) for point in made.points],
        "stored": shown.stored,
        "written": written,
    }


def _report(result: dict[str, Any]) -> str:
    """The same in a few lines."""
    change = 100 * (result["n_per_count"] / result["n_per_count_before"] - 1)
    lines = [
        f"{point['mass_kg']:g} kg   {point['load_n']:8.3f} N   off by {point['residual_n']:+.3f} N"
        for point in result["points"]
        if point["mass_kg"]
    ]
    lines += [
        f"sensitivity {result['n_per_count']:.4g} N per count ({change:+.1f} %)",
        f"good to {result['sensitivity_sigma_percent']:.1f} %, largest error {result['max_error_n']:.3f} N",
        f"head {result['head_mass_g']:.1f} g",
        f"stored: {result['stored']}" + (", and in the roller" if result["written"] else ""),
    ]
    return "\n".join(lines) + "\n"


# --- What was made so far ---------------------------------------------------------------------------------------------


def run_calibrations(options: Options) -> int:
    """List all calibrations of the rollers, or of the one that is named; returns the exit code."""
    try:
        ids = [_device_id(options.device)] if options.device else calibrations.device_ids()
        entries = [entry for device_id in ids for entry in calibrations.load(device_id)]
    except SessionError as error:
        return finish({}, error, BAD_INPUT, as_json=options.json)
    if options.json:
        sys.stdout.write(json.dumps({"calibrations": [_entry_json(entry) for entry in entries]}) + "\n")
    else:
        none = "No calibration was made with this computer yet: roller-host calibrate force"
        sys.stdout.write("\n".join([_entry_line(entry) for entry in entries] or [none]) + "\n")
    return 0


def run_undo_calibration(options: Options, number: int | None) -> int:
    """Take an earlier calibration into use; returns the exit code."""
    try:
        entry = calibrations.choose(_device_id(options.device), number, datetime.now().astimezone())
    except SessionError as error:
        return finish({}, error, BAD_INPUT, as_json=options.json)
    if not options.json:
        sys.stdout.write(f"in use from the next session on: {_entry_line(entry)}\n")
    return finish(_entry_json(entry), None, 0, as_json=options.json)


def _device_id(name: str | None) -> str:
    """Id of the roller that a person means; without a name the only one there is."""
    known = calibrations.device_ids()
    wanted = rollers.target_of(name) if name else known[0] if len(known) == 1 else None
    if wanted in known:
        return str(wanted)
    if not known:
        raise SessionError("no calibration was made with this computer yet: roller-host calibrate force")
    which = f"no roller with a calibration is called {name!r}" if name else "several rollers have calibrations"
    raise SessionError(f"{which}: name one of {', '.join(known)} with --device")


def _entry_json(entry: Entry) -> dict[str, Any]:
    record = entry.made.calibration
    return {
        "number": entry.number,
        "in_use": entry.in_use,
        **{key: value for key, value in asdict(entry.made).items() if key != "record"},
        "n_per_count": record.n_per_count,
        "max_error_n": record.max_error_n,
        "head_mass_g": 1e3 * record.head_mass_kg,
        "hint": calibrations.expiry(entry.made, datetime.now().astimezone()) if entry.in_use else "",
    }


def _entry_line(entry: Entry) -> str:
    one = _entry_json(entry)
    marks = f"  in use. {one['hint']}".rstrip() if entry.in_use else ""
    return (
        f"{one['device_id']}  {one['number']}  {one['date'] or 'date unknown'}  {one['method']}  "
        f"{one['n_per_count']:.4g} N per count, head {one['head_mass_g']:.1f} g{marks}"
    )
