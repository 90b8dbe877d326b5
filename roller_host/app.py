# SPDX-License-Identifier: MIT
"""Composition root: puts radio, recorder, pipeline and outputs together.

The only module that names the simulator, for the demo.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import roller_host
from firmware_protocol import codec, layout
from firmware_protocol.codec import ProtocolError, VersionError
from roller_host.link.bookmark import Bookmark
from roller_host.link.client import stream
from roller_host.link.connection import AUTHENTICATED, LinkTimes
from roller_host.link.errands import Errands
from roller_host.link.radio import open_radio
from roller_host.link.states import BadRadioError, LinkError, LinkPhase, LinkState
from roller_host.link.visit import visit
from roller_host.pipeline import Pipeline
from roller_host.sessions import rollers
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import already_there, reserve
from roller_host.sessions.shelf import Settings, Shelf
from roller_host.sessions.source import guided_by, params_from_json, params_json
from roller_host.sessions.store import Recorder, open_recording
from roller_host.sessions.unfinished import elapsed_s
from roller_host.signal.core import SignalParams
from roller_host.signal.ledger import Ledger, number_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from pathlib import Path

    from roller_host.link.connection import Connection
    from roller_host.link.control import Control
    from roller_host.link.radio import Radio
    from roller_host.signal.estimates import Estimates
    from roller_host.signal.record import Record
    from simulator.bluetooth.peripheral import Peripheral

logger = logging.getLogger(__name__)

DEMO: Final = "demo"


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
    passkey: int | None = None
    """Six digits on the roller's label; Windows and macOS ask for them themselves."""
    give_up_s: float = LinkTimes.give_up_s
    """How long a lost roller is looked for, s."""
    scan_s: float = 10.0
    """How long the roller is looked for at first, s."""
    json: bool = False
    theme: str = "system"


@asynccontextmanager
async def open_world(spec: str, seed: int, passkey: int | None = None) -> AsyncGenerator[tuple[Radio, dict[str, Any]]]:
    """Open a radio; for ``demo``, a simulated roller with it.

    Yields
    ------
    radio : Radio
    truth : dict
        What the simulator knows about itself, for comparison; empty for real rollers.

    Raises
    ------
    BadRadioError
        When there is no such radio, or the simulator is not installed.
    """
    if not is_demo(spec):
        async with open_radio(spec, passkey=passkey) as radio:
            yield radio, {}
        return
    try:
        from simulator.bluetooth.air import Air, AirController  # noqa: PLC0415 - only for the demo, and heavy
        from simulator.bluetooth.peripheral import monotonic_us, open_peripheral  # noqa: PLC0415
        from simulator.firmware.device import Device  # noqa: PLC0415
        from simulator.generate import record_alone  # noqa: PLC0415
        from simulator.live import Rollers  # noqa: PLC0415
        from simulator.scenario import Radio as Antenna  # noqa: PLC0415
        from simulator.scenario import ScenarioError, load_scenario  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BadRadioError(
            f"The demo needs {error.name}, which is not installed.", "pip install '.[demo]' in the project's folder"
        ) from error
    name = spec.partition(":")[2]
    try:
        plan = load_scenario(name) if name else None
    except ScenarioError as error:
        raise BadRadioError(f"There is no such demo: {error}.") from error
    # The shortest connection interval that there is: nobody waits for the demo to connect.
    air, device = Air(interval_s=7.5e-3), plan.device(seed) if plan else Device(seed=seed)
    antenna = plan.radio if plan else Antenna()
    if plan and plan.log_s:
        record_alone(device, plan.log_s, monotonic_us())
    async with open_peripheral(air, device, max_mtu=antenna.max_mtu) as roller:
        controller, incidents = AirController("host", air), plan.incidents if plan else ()
        roller.radio.place(antenna.distance_m)
        fate = asyncio.create_task(Rollers([roller], logger.info).follow(roller, incidents))
        try:
            async with open_radio(spec, controller=controller, passkey=passkey or _passkey_of(roller)) as radio:
                yield radio, {"imu_rate_hz": device.imu_rate_hz, "seed": seed}
        finally:
            fate.cancel()
        air.remove(controller)


def is_demo(spec: str) -> bool:
    """Whether a radio is the simulator's, ``demo`` or ``demo:SCENARIO``."""
    return spec.partition(":")[0] == DEMO


def demo_scenarios() -> dict[str, str]:
    """Scenarios of the demo: name -> what happens in it; none without the simulator."""
    try:
        from simulator.scenario import scenarios  # noqa: PLC0415 - only for the demo
    except ModuleNotFoundError:
        return {}
    return scenarios()


def _passkey_of(roller: Peripheral) -> int | None:
    """What stands on the label of a simulated roller; None when it does not want it."""
    return roller.bonds.passkey if roller.device.security_mode == AUTHENTICATED else None


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
        self.bookmark = Bookmark()
        self._settings = Settings()
        self.shelf = Shelf(self._log_meta, self._settings, on_log or (lambda _n, _of: None))
        self._begin_s = time.perf_counter()
        self._offset_s = 0.0
        self._streaming = asyncio.Event()

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
            When there is nowhere to record to, or the session to go on with or the routine cannot be read.
        """
        options = self._options
        if options.out is not None and options.out.exists():
            raise already_there(options.out)
        if options.routine is not None:
            self.pipeline = Pipeline(SignalParams(routine=guided_by(options.routine)))
        if options.resume is not None:
            await self._read_past(options.resume, on_progress or (lambda _: None))
        watch = asyncio.create_task(self._end_after(stop))
        failure: list[SessionError] = []

        def take(record: Record) -> None:
            # Without a recording there is no session; the link is still left in good order.
            try:
                self._take(record._replace(t_s=record.t_s + self._offset_s))
            except SessionError as error:
                failure.append(error)
                stop.set()

        # Records and actions share this origin of time.
        self._begin_s = time.perf_counter()
        try:
            await stream(
                radio,
                target=self._target(),
                on_record=take,
                on_state=self._note_state,
                stop=stop,
                scan_s=options.scan_s,
                on_battery=self._on_battery,
                times=LinkTimes(give_up_s=options.give_up_s),
                bookmark=self.bookmark,
                shelf=self.shelf if options.recorded else None,
                on_control=self._take_control,
            )
        except LinkError as error:
            if self.recorder:
                self.recorder.act(self._now_s(), "failed", str(error))
            raise
        finally:
            watch.cancel()
            await self.shelf.finish()
            self.problem = self.problem or self.shelf.problem
            if self.recorder:
                # Waiting for the disk must not hold up the loop that others share.
                await asyncio.to_thread(self.recorder.close, self.pipeline.summary())
        if failure:
            raise failure[0]

    def _now_s(self) -> float:
        return time.perf_counter() - self._begin_s + self._offset_s

    def _target(self) -> str | None:
        """The roller wanted, in terms of the link."""
        if self._options.resume is not None and self.bookmark.device_id:
            return self.bookmark.device_id.hex()
        return target_of(self._options.device)

    def summary(self) -> dict[str, object]:
        """Numbers of the session, and where it is recorded."""
        fetched = [str(path) for path in self.shelf.finished]
        return {
            **self.pipeline.summary(),
            "recording": str(self.recorder.path) if self.recorder else None,
            **({"roller_recordings": fetched} if fetched else {}),
        }

    # --- Going on with a session that was cut off -------------------------------------------------------------------

    async def _read_past(self, path: Path, on_progress: Callable[[str], None]) -> None:
        """Bring the pipeline to where the session was cut off, and find out which packets are there."""
        self.pipeline, began, records = _read_unfinished(path)
        last_s = 0.0
        for n_read, record in enumerate(records):
            last_s = record.t_s
            with suppress(VersionError):
                self.pipeline.feed(record)
            _follow(self.bookmark, record)
            self._settings.keep(record)
            if n_read % 256 == 0:
                on_progress(f"reading what was recorded before: {last_s:.0f} s")
                await asyncio.sleep(0)
        if not self.bookmark.session_id:
            raise SessionError(f"{path} holds no session that could be gone on with. Begin a new session")
        self._offset_s = elapsed_s(began, last_s)
        self.recorder = Recorder(path, None, self._note_problem)
        self.recorder.act(self._offset_s, "resumed", f"after {self._offset_s - last_s:.1f} s")

    # --- While it streams -------------------------------------------------------------------------------------------

    def _take(self, record: Record) -> None:
        if self.recorder is None and self._options.recorded:
            self.recorder = self._open_recorder()
        if self.recorder:
            self.recorder.record(record)
        self._settings.keep(record)
        # An INFO of a wrong version is reported by the link itself.
        with suppress(VersionError):
            estimates = self.pipeline.feed(record)
            if estimates:
                self._on_estimates(estimates)

    def _take_control(self, control: Control) -> None:
        self.control = control

    def _open_recorder(self) -> Recorder:
        now = datetime.now().astimezone()
        meta = {"created": now.isoformat(timespec="milliseconds"), **self._meta()}
        return Recorder(reserve(self._options.out, now), meta, self._note_problem)

    def _meta(self) -> dict[str, str]:
        return {"radio": self._options.radio, **_versions(), "params": params_json(self.pipeline.params)}

    def _log_meta(self) -> dict[str, str]:
        return {**self._meta(), "device_id": self.bookmark.device_id.hex()}

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


def complete(path: Path) -> None:
    """End a session that was cut off as it is.

    Raises
    ------
    SessionError
        When the file is no recording, is complete already, or cannot be written.
    """
    pipeline, _, records = _read_unfinished(path)
    last_s = 0.0
    for record in records:
        last_s = record.t_s
        with suppress(VersionError):
            pipeline.feed(record)
    recorder = Recorder(path, None, logger.error)
    recorder.act(last_s, "ended", "as it was when it was cut off")
    recorder.close(pipeline.summary())


def _read_unfinished(path: Path) -> tuple[Pipeline, str, Iterator[Record]]:
    """Pipeline for a recording without an end, when it began, and its records."""
    recording = open_recording(path)
    if recording.estimates is not None:
        raise SessionError(f"{path} is complete: it cannot be gone on with. Begin a new session")
    pipeline = Pipeline(params_from_json(recording.meta.get("params", "")))
    return pipeline, recording.meta.get("created", ""), recording.records()


def _follow(bookmark: Bookmark, record: Record) -> None:
    """Bring a bookmark forward by one record."""
    if record.direction == "out":
        return
    if record.source == "STREAM" and record.payload[:1] in (bytes([layout.PTYPE_LIVE]), bytes([layout.PTYPE_BACKFILL])):
        bookmark.ledger.add(number_of(record.payload))
        return
    with suppress(ProtocolError):
        if record.source == "INFO":
            info = codec.decode_record("INFO", record.payload)
            bookmark.device_id, bookmark.boot_id = bytes(info.device_id), info.boot_id
            bookmark.security_mode = info.security_mode
        elif record.source == "CONTROL":
            response = codec.decode_response(record.payload)
            if codec.OP_NAME.get(response.op) == "START" and response.reply is not None:
                bookmark.session_id, bookmark.ledger = response.reply.session_id, Ledger()


def target_of(text: str | None) -> str | None:
    """What the link is to look for, when a person named a roller by a name that only this computer knows."""
    known = rollers.find(text) if text else None
    return known.device_id if known else text


async def fetch_log(
    radio: Radio, options: Options, on_state: Callable[[LinkState], None], on_log: Callable[[int, int], None]
) -> list[Path]:
    """Fetch the recordings that a roller made by itself; it frees them once they are on disk.

    Parameters
    ----------
    radio : Radio
        What to connect through.
    options : Options
        Says which roller.
    on_state : callable
        Gets each change of the link's state.
    on_log : callable
        Told packets fetched and packets in all.

    Returns
    -------
    list of Path
        The new recordings; none when the roller has recorded nothing.

    Raises
    ------
    LinkError
        When the link ends meanwhile; what was not fetched stays in the roller.
    SessionError
        When it cannot be written.
    """
    settings, bookmark = Settings(), Bookmark()
    meta = {"radio": options.radio, **_versions(), "params": params_json(SignalParams())}
    shelf = Shelf(lambda: {**meta, "device_id": bookmark.device_id.hex()}, settings, on_log)
    errands: Errands | None = None

    def take(record: Record) -> None:
        settings.keep(record)
        _follow(bookmark, record)
        if record.source == "STREAM" and errands:
            errands.take_log(record)

    async def fetch(connection: Connection) -> None:
        nonlocal errands
        errands = Errands(connection, bookmark, LinkTimes(), shelf)
        await connection.learn()
        await errands.fetch_log()

    try:
        await visit(radio, target_of(options.device), fetch, on_state=on_state, on_record=take)
    finally:
        await shelf.finish()
    if shelf.problem:
        raise SessionError(f"{shelf.problem}. What is not here stays in the roller")
    return shelf.finished


def _versions() -> dict[str, str]:
    found = {"program": roller_host.__version__, "python": platform.python_version(), "system": platform.platform()}
    for name in ("numpy", "scipy", "vqf", "bleak", "bumble"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class Roller:
    """A roller that streams; made by `open_roller`. Iterate over it for estimates, until it is left."""

    def __init__(self, live: LiveRun, queue: asyncio.Queue[Estimates | None], task: asyncio.Task[None]) -> None:
        self._live, self._queue, self._task = live, queue, task
        self.state = LinkState(LinkPhase.OFF)
        """What the link is doing."""
        self.battery_percent: int | None = None

    @property
    def control(self) -> Control:
        """Requests to the roller, typed; see `link.control.Control`.

        Raises
        ------
        LinkError
            When it was not connected yet.
        """
        if self._live.control is None:
            raise LinkError("The roller is not connected yet.", "Wait for the first estimates.")
        return self._live.control

    def summary(self) -> dict[str, object]:
        """Numbers of the session so far, ready for JSON."""
        return self._live.summary()

    async def __aiter__(self) -> AsyncIterator[Estimates]:
        """Estimates as they are made, one per packet.

        Raises
        ------
        LinkError
            When the link cannot be made, or is lost for good.
        """
        while (estimates := await self._queue.get()) is not None:
            yield estimates
        if self._task.done() and not self._task.cancelled():
            self._task.result()


@asynccontextmanager
async def open_roller(
    radio: str = "native",
    device: str | None = None,
    *,
    record: Path | None = None,
    seconds: float | None = None,
    seed: int = 1,
    passkey: int | None = None,
) -> AsyncGenerator[Roller]:
    """Connect to a roller and stream from it, for scripts.

    Parameters
    ----------
    radio : str, default "native"
        ``native``, ``demo``, ``demo:SCENARIO``, ``tcp:HOST:PORT`` or ``hci:TRANSPORT``.
    device : str, optional
        Name, address or device id; by default the strongest.
    record : Path, optional
        New file to record to; by default nothing is recorded.
    seconds : float, optional
        Streaming time, s; by default until the block is left.
    seed : int, default 1
        Person and device of the demo.
    passkey : int, optional
        Six digits on the label of a roller that wants them.

    Raises
    ------
    BadRadioError
        When there is no such radio.
    SessionError
        When the file exists or cannot be written; raised by the iteration.
    """
    options = Options(
        radio=radio, device=device, seconds=seconds, seed=seed, passkey=passkey, out=record, recorded=record is not None
    )
    queue: asyncio.Queue[Estimates | None] = asyncio.Queue()
    stop = asyncio.Event()

    def note_state(state: LinkState) -> None:
        roller.state = state

    def note_battery(percent: int) -> None:
        roller.battery_percent = percent

    async def hold() -> None:
        try:
            async with open_world(radio, seed, passkey) as (opened, _):
                await live.run(opened, stop)
        finally:
            queue.put_nowait(None)

    live = LiveRun(options, queue.put_nowait, note_state, note_battery)
    task = asyncio.create_task(hold())
    roller = Roller(live, queue, task)
    try:
        yield roller
    finally:
        stop.set()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
