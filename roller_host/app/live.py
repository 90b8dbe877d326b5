# SPDX-License-Identifier: MIT
"""A session as a person asked for it: streamed, recorded, understood and shown."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from firmware_protocol import codec
from firmware_protocol.codec import ProtocolError, VersionError
from firmware_protocol.zones import place_name
from roller_host.app.outputs import CueOutputs
from roller_host.app.past import Past
from roller_host.app.provenance import provenance
from roller_host.app.world import is_demo
from roller_host.link.bookmark import Bookmark
from roller_host.link.client import LinkSession
from roller_host.link.states import LinkError, LinkPhase, LinkState
from roller_host.link.times import LinkTimes
from roller_host.pipeline import Pipeline
from roller_host.sessions import calibrations, people, rollers
from roller_host.sessions.doses import dose_of_week
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import already_there, is_taken, reserve
from roller_host.sessions.shelf import Settings, Shelf
from roller_host.sessions.source import guided_by
from roller_host.sessions.store import Recorder
from roller_host.sessions.unfinished import elapsed_s
from roller_host.signal.core import SignalParams
from roller_host.signal.dose import STARTING_DOSES, Dose, enough

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from roller_host.link.control import Control
    from roller_host.link.radio import Radio
    from roller_host.signal.estimates import Estimates
    from roller_host.signal.limits import Place
    from roller_host.signal.record import Record

logger = logging.getLogger(__name__)

TIDY_S = 30.0
"""How often memory is tidied up, s."""


@dataclass(frozen=True)
class Options:
    """What the person asked for on the command line."""

    radio: str = "native"
    show_strokes: bool = True
    """Print a line for each stroke, where stdout is not for JSON."""
    device: str | None = None
    """Name given by its owner, advertised name or its beginning, address, or device id; None takes the strongest."""
    seconds: float | None = None
    """Streaming time; None until stopped."""
    seed: int = 1
    """Of the demo's simulator."""
    recorded: bool = True
    out: Path | None = None
    """File to record to; None for a name in the data folder."""
    resume: Path | None = None
    """Recording of a session that was cut off, to go on with."""
    routine: Path | None = None
    """What the person is going to do, as a routine's TOML file."""
    person: str | None = None
    """Whose comfort bands hold; None for the starting points."""
    passkey: int | None = None
    """Six digits on the roller's label; Windows and macOS ask for them themselves."""
    give_up_s: float = LinkTimes.give_up_s
    """How long a lost roller is looked for, s."""
    scan_s: float = 10.0
    """How long the roller is looked for at first, s."""
    json: bool = False
    theme: str = "system"
    sound: bool | None = None
    """Whether cues are played; None: in a window, where the extra ``audio`` is installed."""
    muted: bool = False
    """Whether only the stop is played."""
    haptics: bool = True
    """Whether the roller warns of limits by itself; of the ceiling it always does."""


class LiveRun:
    """One session on a link: every record is stored first, then understood, then shown.

    Parameters
    ----------
    options : Options
        Device, length and place of the recording.
    on_estimates, on_state, on_battery : callable
        Outputs; called on the link's thread.
    on_log : callable, optional
        Told how many packets of the roller's own recordings are fetched, and how many there are.
    """

    def __init__(
        self,
        options: Options,
        on_estimates: Callable[[Estimates], None],
        on_state: Callable[[LinkState], None],
        on_battery: Callable[[int], None],
        on_log: Callable[[int, int], None] | None = None,
    ) -> None:
        self._options = options
        self._on_estimates, self._on_state, self._on_battery = on_estimates, on_state, on_battery
        self.pipeline = Pipeline()
        self.recorder: Recorder | None = None
        self.problem = ""
        """What went wrong beside the link, in a sentence."""
        self.control: Control | None = None
        """Requests of the present connection; None before the first."""
        self.outputs = CueOutputs(sound=bool(options.sound), muted=options.muted, haptics=options.haptics)
        self.bookmark = Bookmark()
        self._settings = Settings()
        self._on_log = on_log or (lambda _n, _of: None)
        self._shelf: Shelf | None = None
        self._begin_s = time.perf_counter()
        self._offset_s = 0.0
        self._person = ""
        self._doses: Mapping[Place, Dose] = STARTING_DOSES
        self._dose_before_n_s: Mapping[Place, float] = {}
        """Of the seven days before."""
        self._streaming = asyncio.Event()
        self._known = False
        """Which roller this is; parameters are complete then."""
        self._failure: SessionError | None = None
        """Why there is nothing to record to any more."""

    async def run(self, radio: Radio, stop: asyncio.Event, on_progress: Callable[[str], None] | None = None) -> None:
        """Stream until ``stop`` or the end of the time asked for.

        Parameters
        ----------
        radio : Radio
            What to connect through.
        stop : asyncio.Event
            Ends the session when set.
        on_progress : callable, optional
            Told in words how far an earlier part of the session is read.

        Raises
        ------
        LinkError
            When the link fails; what came before is in the recording.
        SessionError
            When there is nowhere to record to, or the session to go on with, the routine or the person cannot be read.
        """
        options = self._options
        if options.out is not None and is_taken(options.out):
            raise already_there(options.out)
        self.pipeline = Pipeline(self._params())
        if options.resume is not None:
            await self._go_on_from(options.resume, on_progress or (lambda _: None))
        if options.recorded:
            self._shelf = Shelf(self._log_meta, self._settings, self._on_log)
        besides = [asyncio.create_task(self._end_after(stop)), asyncio.create_task(_tidy_up())]
        # Records and actions share this origin of time.
        self._begin_s = time.perf_counter()
        try:
            await self._stream(radio, stop)
        finally:
            for task in besides:
                task.cancel()
            await self._close()
        if self._failure:
            raise self._failure

    async def _stream(self, radio: Radio, stop: asyncio.Event) -> None:
        def take(record: Record) -> None:
            # Without a recording there is no session; the link is still left in good order.
            if self._failure:
                return
            try:
                self._take(record._replace(t_s=record.t_s + self._offset_s))
            except SessionError as error:
                self._failure = error
                stop.set()

        async def leave() -> None:
            await stop.wait()
            await self.outputs.leave()
            over.set()

        over = asyncio.Event()
        leaving = asyncio.create_task(leave())
        try:
            await LinkSession(
                radio,
                target=self._target(),
                on_record=take,
                on_state=self._note_state,
                on_battery=self._on_battery,
                times=LinkTimes(give_up_s=self._options.give_up_s),
                bookmark=self.bookmark,
                shelf=self._shelf,
                on_control=self._take_control,
            ).stream(over, self._options.scan_s)
        except LinkError as error:
            if self.recorder:
                self.recorder.act(self._now_s(), "failed", str(error))
            raise
        finally:
            leaving.cancel()

    async def _close(self) -> None:
        await self.outputs.close()
        if self._shelf:
            await self._shelf.finish()
            self.problem = self.problem or self._shelf.problem
        if self.recorder:
            # Waiting for the disk must not hold up the loop that others share.
            await asyncio.to_thread(self.recorder.close, self.pipeline.summary())

    def _params(self) -> SignalParams:
        """Parameters of a new session; takes note of the person's doses."""
        options = self._options
        routine = guided_by(options.routine) if options.routine else ()
        if options.person is None:
            return SignalParams(routine=routine)
        person = people.find(options.person)
        self._person, self._doses = person.name, person.doses
        self._dose_before_n_s = dose_of_week(person.name, datetime.now().astimezone())
        return SignalParams(routine=routine, bands=person.in_use())

    def enough(self) -> dict[Place, str]:
        """Places that have had enough for today, with the reason."""
        return enough(self._doses, self.pipeline.totals.dose_n_s_by_place, self._dose_before_n_s)

    def session_s(self) -> float | None:
        """The present moment on the session timeline, s; None while that is not known."""
        return self.pipeline.session_s(self._now_s())

    def act(self, action: str, detail: str) -> None:
        """Note in the recording what the person did."""
        if self.recorder:
            self.recorder.act(self._now_s(), action, detail)

    def _now_s(self) -> float:
        return time.perf_counter() - self._begin_s + self._offset_s

    def _target(self) -> str | None:
        """The roller wanted, in terms of the link."""
        if self._options.resume is not None and self.bookmark.device_id:
            return self.bookmark.device_id.hex()
        return rollers.target_of(self._options.device)

    def summary(self) -> dict[str, object]:
        """Numbers of the session, and where it is recorded."""
        fetched = [str(path) for path in self._shelf.finished] if self._shelf else []
        hint = self._calibration_hint()
        return {
            **self.pipeline.summary(),
            "recording": str(self.recorder.path) if self.recorder else None,
            **({"roller_recordings": fetched} if fetched else {}),
            **({"calibration_hint": hint} if hint else {}),
            **({"person": self._person} if self._person else {}),
            "enough_for_today": {place_name(*place): reason for place, reason in self.enough().items()},
        }

    def _calibration_hint(self) -> str:
        """Why the load cell should be calibrated again, with what to do; empty when it need not be."""
        pipeline, entry = self.pipeline, calibrations.in_use(self.bookmark.device_id.hex())
        if entry is None or pipeline.model.calibration != entry.made.calibration:
            return ""
        return calibrations.expiry(entry.made, datetime.now().astimezone(), pipeline.temp_c)

    def mute(self, on: bool) -> None:
        """Play nothing but the stop signal, or everything again; may be called from any thread."""
        self.outputs.muted = on
        self.act("sound", "muted" if on else "on")

    def warn_of_limits(self, on: bool) -> None:
        """Let the roller warn of limits by itself, or of the ceiling alone; may be called from any thread."""
        self.outputs.haptics = on
        self.act("haptics", "limits and ceiling" if on else "ceiling")

    async def _go_on_from(self, path: Path, on_progress: Callable[[str], None]) -> None:
        """Begin where a session was cut off."""
        past = Past(path)
        for read_s in past.read():
            on_progress(f"reading what was recorded before: {read_s:.0f} s")
            await asyncio.sleep(0)
        if not past.bookmark.session_id:
            raise SessionError(f"{path} holds no session that could be gone on with. Begin a new session")
        self.pipeline, self.bookmark, self._settings = past.pipeline, past.bookmark, past.settings
        self._known = True
        self._offset_s = elapsed_s(past.began, past.last_s)
        self.recorder = Recorder(path, None, self._note_problem)
        self.recorder.act(self._offset_s, "resumed", f"after {self._offset_s - past.last_s:.1f} s")

    # --- While it streams -------------------------------------------------------------------------------------------

    def _take(self, record: Record) -> None:
        if not self._known and record.source == "INFO":
            self._meet(record)
        if self.recorder is None and self._options.recorded:
            self.recorder = self._open_recorder()
        if self.recorder:
            self.recorder.record(record)
        self._settings.keep(record)
        # An INFO of a wrong version is reported by the link itself.
        with suppress(VersionError):
            estimates = self.pipeline.feed(record)
            if estimates:
                self.outputs.take(estimates, self.pipeline.params)
                self._on_estimates(estimates)

    def _meet(self, record: Record) -> None:
        """Complete the parameters by what is kept for the roller that this is."""
        self._known = True
        with suppress(ProtocolError):
            device_id = bytes(codec.decode_record("INFO", record.payload).device_id).hex()
            calibration, began_s = calibrations.kept(device_id), int(time.time())
            self.pipeline = Pipeline(replace(self.pipeline.params, calibration=calibration, began_s=began_s))

    def _take_control(self, control: Control) -> None:
        self.control = control
        self.outputs.connect(control, self.pipeline.features, self.pipeline.params)

    def _open_recorder(self) -> Recorder:
        now = datetime.now().astimezone()
        meta = {"created": now.isoformat(timespec="milliseconds"), **self._provenance()}
        if self._person:
            meta["person"] = self._person
        return Recorder(reserve(self._options.out, now), meta, self._note_problem)

    def _provenance(self) -> dict[str, str]:
        return provenance(self._options.radio, self.pipeline.params)

    def _log_meta(self) -> dict[str, str]:
        return {**self._provenance(), "device_id": self.bookmark.device_id.hex()}

    def _note_problem(self, text: str) -> None:
        self.problem = text
        logger.error("%s", text)

    def _note_state(self, state: LinkState) -> None:
        if self.recorder:
            self.recorder.act(self._now_s(), state.phase.value, f"{state.reason} {state.action}".strip())
        if state.phase is LinkPhase.STREAMING and not self._streaming.is_set():
            self._streaming.set()
            if not is_demo(self._options.radio) and self._options.recorded:
                self._remember()
        if state.phase is LinkPhase.RETRYING:
            # Bleak and Bumble leave rings of objects behind a lost link, and Python alone may not look for hours.
            gc.collect()
        self._on_state(state)

    def _remember(self) -> None:
        mark, now = self.bookmark, datetime.now().astimezone().isoformat(timespec="seconds")
        known = rollers.KnownRoller(mark.device_id.hex(), mark.name, "", mark.address, now, mark.security_mode)
        try:
            rollers.remember(known)
        except SessionError as error:
            logger.warning("%s", error)

    async def _end_after(self, stop: asyncio.Event) -> None:
        await self._streaming.wait()
        if self._options.seconds is not None:
            await asyncio.sleep(self._options.seconds)
            stop.set()


async def _tidy_up() -> None:
    """Have Python give back the tuples that it keeps to use again: only a full collection does that."""
    while True:
        await asyncio.sleep(TIDY_S)
        gc.collect()
