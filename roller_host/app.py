# SPDX-License-Identifier: MIT
"""Composition root: puts radio, recorder, pipeline and outputs together.

The only module that names the simulator, for the demo.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import roller_host
from firmware_protocol.codec import VersionError
from roller_host.dashboard.session import RollerChoice, Rollers, Snapshot
from roller_host.link.client import stream
from roller_host.link.radio import open_radio
from roller_host.link.states import BadRadioError, Found, LinkError, LinkPhase, LinkState
from roller_host.link.thread import LinkThread
from roller_host.pipeline import Pipeline
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import already_there, reserve
from roller_host.sessions.source import params_json
from roller_host.sessions.store import Recorder
from roller_host.signal.comfort import band_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from roller_host.link.radio import Radio
    from roller_host.signal.estimates import Estimates
    from roller_host.signal.record import Record

logger = logging.getLogger(__name__)

SNAPSHOT_S = 0.25
SCAN_S = 8.0
DEMO = "demo"


@dataclass(frozen=True)
class Options:
    """What the person asked for on the command line."""

    radio: str = "native"
    show_strokes: bool = True
    """Print a line for each stroke, where stdout is not for JSON."""
    device: str | None = None
    """Address or beginning of the name; None takes the strongest."""
    seconds: float | None = None
    """Streaming time; None until stopped."""
    seed: int = 1
    """Of the demo's simulator."""
    out: Path | None = None
    """File to record to; None for a name in the data folder."""
    json: bool = False
    theme: str = "system"


@asynccontextmanager
async def open_world(spec: str, seed: int) -> AsyncGenerator[tuple[Radio, dict[str, Any]]]:
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
    if spec != DEMO:
        async with open_radio(spec) as radio:
            yield radio, {}
        return
    try:
        from simulator.bluetooth.air import Air, AirController  # noqa: PLC0415 - only for the demo, and heavy
        from simulator.bluetooth.peripheral import open_peripheral  # noqa: PLC0415
        from simulator.firmware.device import Device  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BadRadioError(
            f"the demo needs {error.name}, which is not installed: pip install '.[demo]' in the project's folder"
        ) from error
    # The shortest connection interval that there is: nobody waits for the demo to connect.
    air, device = Air(interval_s=7.5e-3), Device(seed=seed)
    async with open_peripheral(air, device):
        controller = AirController("host", air)
        async with open_radio(spec, controller=controller) as radio:
            yield radio, {"imu_rate_hz": device.imu_rate_hz, "seed": seed}
        air.remove(controller)


class LiveRun:
    """One session on a link: every record is stored first, then understood, then shown.

    Parameters
    ----------
    options : Options
        Device, length and place of the recording.
    on_estimates, on_state, on_battery : callable
        Outputs; called on the link's thread.
    """

    def __init__(
        self,
        options: Options,
        on_estimates: Callable[[Estimates], None],
        on_state: Callable[[LinkState], None],
        on_battery: Callable[[int], None],
    ) -> None:
        self._options = options
        self._on_estimates, self._on_state, self._on_battery = on_estimates, on_state, on_battery
        self.pipeline = Pipeline()
        self.recorder: Recorder | None = None
        self.problem = ""
        """What went wrong beside the link, in a sentence."""
        self._begin_s = time.monotonic()
        self._streaming = asyncio.Event()

    async def run(self, radio: Radio, stop: asyncio.Event) -> None:
        """Stream until ``stop`` or the end of the time asked for.

        Raises
        ------
        LinkError
            When the link fails; what came before is in the recording.
        SessionError
            When there is nowhere to record to.
        """
        if self._options.out is not None and self._options.out.exists():
            raise already_there(self._options.out)
        watch = asyncio.create_task(self._end_after(stop))
        failure: list[SessionError] = []

        def take(record: Record) -> None:
            # Without a recording there is no session; the link is still left in good order.
            try:
                self._take(record)
            except SessionError as error:
                failure.append(error)
                stop.set()

        # Records and actions share this origin of time.
        self._begin_s = time.monotonic()
        try:
            await stream(
                radio,
                target=self._options.device,
                on_record=take,
                on_state=self._note_state,
                stop=stop,
                on_battery=self._on_battery,
            )
        except LinkError as error:
            if self.recorder:
                self.recorder.act(time.monotonic() - self._begin_s, "failed", str(error))
            raise
        finally:
            watch.cancel()
            if self.recorder:
                # Waiting for the disk must not hold up the loop that others share.
                await asyncio.to_thread(self.recorder.close, self.pipeline.summary())
        if failure:
            raise failure[0]

    def summary(self) -> dict[str, object]:
        """Numbers of the session, and where it is recorded."""
        return {**self.pipeline.summary(), "recording": str(self.recorder.path) if self.recorder else None}

    def _take(self, record: Record) -> None:
        if self.recorder is None:
            self.recorder = self._open_recorder()
        self.recorder.record(record)
        # An INFO of a wrong version is reported by the link itself.
        with suppress(VersionError):
            estimates = self.pipeline.feed(record)
            if estimates:
                self._on_estimates(estimates)

    def _open_recorder(self) -> Recorder:
        now = datetime.now().astimezone()
        meta = {"created": now.isoformat(timespec="seconds"), "radio": self._options.radio, **_versions()}
        meta["params"] = params_json(self.pipeline.params)
        return Recorder(reserve(self._options.out, now), meta, self._note_problem)

    def _note_problem(self, text: str) -> None:
        self.problem = text
        logger.error("%s", text)

    def _note_state(self, state: LinkState) -> None:
        if self.recorder:
            self.recorder.act(time.monotonic() - self._begin_s, state.phase.value, state.reason)
        if state.phase is LinkPhase.STREAMING:
            self._streaming.set()
        self._on_state(state)

    async def _end_after(self, stop: asyncio.Event) -> None:
        await self._streaming.wait()
        if self._options.seconds is not None:
            await asyncio.sleep(self._options.seconds)
            stop.set()


def _versions() -> dict[str, str]:
    found = {"program": roller_host.__version__, "python": platform.python_version(), "system": platform.platform()}
    for name in ("numpy", "scipy", "vqf", "bleak", "bumble"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class DashboardSession:
    """Feeds the window from the link's thread; see ``dashboard.session.LiveSession`` for the contract.

    Parameters
    ----------
    options : Options
        Radio to use beside the demo, the roller named by the person, where to record to.
    """

    def __init__(self, options: Options) -> None:
        self.mailbox: deque[Estimates | LinkState | Snapshot | Rollers] = deque(maxlen=4096)
        self._options = options
        wanted = options.device
        self._found = (RollerChoice(wanted, wanted, "named on the command line"),) if wanted else ()
        self._stop = asyncio.Event()
        """Ends the newest link, running or still waiting for the one before it to end."""
        self._one_link = asyncio.Lock()
        self._searching = False
        self._battery: int | None = None
        self._place = "", ""
        self._last_snapshot_s = float("-inf")
        self._thread = LinkThread()
        self._thread.start()

    def choices(self) -> Sequence[RollerChoice]:
        """Known rollers, the simulated one first."""
        simulated = RollerChoice(DEMO, "Simulated roller", "in this program, no hardware", simulated=True)
        return (simulated, *self._found)

    def scan(self) -> None:
        """Look for real rollers; finds arrive in the mailbox."""
        self._begin(self._scan())

    def connect(self, choice: RollerChoice) -> None:
        """Connect and stream; what happens arrives in the mailbox."""
        self._begin(self._connect(choice))

    def disconnect(self) -> None:
        """Leave the roller in good order."""
        self._begin(self._disconnect())

    def close(self) -> None:
        """Leave the roller, close the recording, end the thread."""
        # The thread may be gone already: closing twice is harmless.
        with suppress(TimeoutError, RuntimeError):
            self._thread.run(self._disconnect()).result(5.0)
        self._thread.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work on the link's thread; a mistake of ours in it must reach the person too."""

        def tell(done: Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None:
                logger.error("the link's thread failed", exc_info=error)
                self.mailbox.append(LinkState(LinkPhase.LOST, f"Something went wrong: {error!r}", "Connect again."))

        self._thread.run(work).add_done_callback(tell)

    async def _scan(self) -> None:
        seen: dict[str, RollerChoice] = {}

        def note(found: Found) -> None:
            seen[found.address] = RollerChoice(found.address, found.name, f"{found.rssi_dbm} dBm")
            self._found = tuple(seen.values())
            self.mailbox.append(Rollers(tuple(self.choices())))

        if self._searching:
            return
        self._searching = True
        problem = ""
        self._note_search(LinkPhase.SCANNING)
        try:
            async with open_radio(self._real_radio()) as radio:
                await radio.scan(SCAN_S, on_found=note)
        except LinkError as error:
            problem = str(error)
        finally:
            self._searching = False
        self._note_search(LinkPhase.OFF)
        problem = problem or ("" if seen else "No roller was seen. Switch it on and bring it near, then search again.")
        self._found = tuple(seen.values())
        self.mailbox.append(Rollers(tuple(self.choices()), problem))

    def _note_search(self, phase: LinkPhase) -> None:
        # While a link is held, the window shows that link and not a search beside it.
        if not self._one_link.locked():
            self.mailbox.append(LinkState(phase))

    async def _connect(self, choice: RollerChoice) -> None:
        self._stop.set()
        self._stop = stop = asyncio.Event()
        async with self._one_link:
            if not stop.is_set():
                await self._hold(choice, stop)

    async def _disconnect(self) -> None:
        self._stop.set()
        async with self._one_link:
            pass

    async def _hold(self, choice: RollerChoice, stop: asyncio.Event) -> None:
        """Keep a link to the roller until told to stop; its end, good or bad, reaches the window as a state."""
        spec = DEMO if choice.simulated else self._real_radio()
        options = replace(self._options, radio=spec, device=None if choice.simulated else choice.key, seconds=None)
        # A file named by the person is for the first session; later ones get names of their own.
        self._options = replace(self._options, out=None)
        live = LiveRun(options, lambda estimates: self._show(live, estimates), self.mailbox.append, self._note_battery)
        self._place, self._last_snapshot_s = ("", ""), float("-inf")
        try:
            async with open_world(spec, options.seed) as (radio, _):
                await live.run(radio, stop)
        except SessionError as error:
            self.mailbox.append(LinkState(LinkPhase.OFF, str(error), "Choose another place, or free some space."))
        except BadRadioError as error:
            self.mailbox.append(LinkState(LinkPhase.OFF, str(error)))
        except LinkError:
            logger.debug("the link ended with an error; its state has told the window")

    def _real_radio(self) -> str:
        return "native" if self._options.radio == DEMO else self._options.radio

    def _note_battery(self, percent: int) -> None:
        self._battery = percent

    def _show(self, live: LiveRun, estimates: Estimates) -> None:
        self.mailbox.append(estimates)
        now_s = time.monotonic()
        # In the air the last place's thresholds stay on show; at a new place they change at once.
        place = (estimates.zone, estimates.side) if estimates.zone else self._place
        if place == self._place and now_s - self._last_snapshot_s < SNAPSHOT_S:
            return
        self._place = place
        self._last_snapshot_s = now_s
        pipeline, totals = live.pipeline, live.pipeline.totals
        rate_hz = pipeline.rate_hz or 0.0
        self.mailbox.append(
            Snapshot(
                elapsed_s=totals.duration_s,
                rate_hz=rate_hz,
                lost_packets=totals.lost_packets,
                gaps=totals.gaps,
                strokes=len(totals.strokes),
                contact_s=totals.contact_samples / rate_hz if rate_hz else 0.0,
                battery_percent=self._battery,
                recording=str(live.recorder.path) if live.recorder else "",
                recording_problem=live.problem,
                contact_s_by_place=dict(totals.contact_s_by_place),
                band=band_of(pipeline.params.bands, *place),
                calibrated=bool(pipeline.model.calibration.flags & 1),
            )
        )
