# SPDX-License-Identifier: MIT
"""Feeds the dashboard: searches, holds one roller, and puts what happens into the window's mailbox."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol import codec
from firmware_protocol.codec import ProtocolError
from roller_host.app.live import LiveRun, Options
from roller_host.app.past import complete
from roller_host.app.world import DEMO, demo_scenarios, is_demo, open_world
from roller_host.dashboard.session import Interrupted, RollerChoice, Rollers, Snapshot
from roller_host.link.radio import open_radio
from roller_host.link.sightings import Wanted
from roller_host.link.states import BadRadioError, Found, LinkError, LinkPhase, LinkState
from roller_host.link.thread import LinkThread
from roller_host.link.visit import IDENTIFY_S, forget_keys, identify
from roller_host.sessions import rollers
from roller_host.sessions.errors import SessionError
from roller_host.sessions.store import open_recording
from roller_host.sessions.unfinished import latest_unfinished
from roller_host.signal.comfort import band_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from concurrent.futures import Future

    from roller_host.signal.estimates import Estimates

logger = logging.getLogger(__name__)

SNAPSHOT_S: Final = 0.25
SCAN_S: Final = 8.0
RATE_S: Final = 2.0
"""Over how long the present rate is measured, s."""
LOSS_S: Final = 5.0
"""Over how long the present loss is measured, s."""


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
        wanted = rollers.target_of(options.device)
        named = wanted and not any(roller.device_id == wanted for roller in rollers.load())
        self._named = (RollerChoice(wanted, wanted, "named on the command line"),) if wanted and named else ()
        self._found: dict[str, Found] = {}
        self._stop = asyncio.Event()
        """Ends the newest link, running or still waiting for the one before it to end."""
        self._one_link = asyncio.Lock()
        self._live: LiveRun | None = None
        self._searching = False
        self._thread = LinkThread()
        self._thread.start()

    # --- Choices ----------------------------------------------------------------------------------------------------

    def choices(self) -> Sequence[RollerChoice]:
        """Known rollers, those nearby, the simulated ones."""
        heard = dict(self._found)
        known: list[RollerChoice] = []
        for roller in rollers.load():
            wanted = Wanted("", bytes.fromhex(roller.device_id), roller.address)
            found = next((one for one in heard.values() if wanted.matches(one)), None)
            if found:
                del heard[found.address]
            known.append(_known_choice(roller, found))
        nearby = [RollerChoice(one.address, one.name or one.address, **_sighting(one)) for one in heard.values()]
        return (*known, *self._named, *nearby, *_simulated())

    def interrupted(self) -> Interrupted | None:
        """The session that was cut off last, if somebody may want to go on with it."""
        found = latest_unfinished()
        return Interrupted(str(found.path), _roller_of(found.path), found.began, found.age_s) if found else None

    def scan(self) -> None:
        """Look for real rollers; finds arrive in the mailbox."""
        self._begin(self._scan())

    async def _scan(self) -> None:
        def note(found: Found) -> None:
            self._found[found.address] = found
            self._tell()

        if self._searching:
            return
        self._searching = True
        problem = ""
        self._found = {}
        self._note_search(LinkPhase.SCANNING)
        try:
            async with open_radio(self._real_radio()) as radio:
                await radio.scan(SCAN_S, on_found=note)
        except LinkError as error:
            problem = str(error)
        finally:
            self._searching = False
        self._note_search(LinkPhase.OFF)
        nobody = "" if self._found else "No roller was seen. Switch it on and bring it near, then search again."
        self._tell(problem=problem or nobody)

    def _note_search(self, phase: LinkPhase) -> None:
        # While a link is held, the window shows that link and not a search beside it.
        if not self._one_link.locked():
            self.mailbox.append(LinkState(phase))

    def _tell(self, *, problem: str = "", note: str = "") -> None:
        self.mailbox.append(Rollers(tuple(self.choices()), problem, note))

    # --- What a person does to a roller -----------------------------------------------------------------------------

    def identify(self, choice: RollerChoice) -> None:
        """Let a roller blink and buzz."""
        self._begin(self._try(self._identify(choice)))

    async def _identify(self, choice: RollerChoice) -> None:
        if self._live is not None and self._live.control is not None:
            await self._live.control.identify(IDENTIFY_S)
        else:
            async with self._one_link, open_world(*self._world(choice)) as (radio, _):
                await identify(radio, self._target(choice), on_state=self.mailbox.append)
        self._tell(note=f"{choice.title} blinks and buzzes now.")

    def rename(self, choice: RollerChoice, name: str) -> None:
        """Give a known roller a name of its own."""
        self._begin(self._try(self._edit(lambda: rollers.rename(choice.key, name))))

    def connect_at_start(self, choice: RollerChoice | None) -> None:
        """Remember which roller to connect to when the program starts."""
        self._begin(self._try(self._edit(lambda: rollers.connect_at_start(choice.key if choice else None))))

    async def _edit(self, change: Callable[[], None]) -> None:
        change()
        self._tell()

    def forget(self, choice: RollerChoice) -> None:
        """Know a roller no longer, and drop its keys."""
        self._begin(self._try(self._forget(choice)))

    async def _forget(self, choice: RollerChoice) -> None:
        rest = ""
        if choice.security_mode and not await self._forget_keys(choice):
            rest = " Remove it from the system's Bluetooth settings as well."
        rollers.forget(choice.key)
        self._tell(note=f"{choice.title} is forgotten.{rest}")

    async def _forget_keys(self, choice: RollerChoice) -> bool:
        async with self._one_link, open_world(*self._world(choice)) as (radio, _):
            return await forget_keys(radio, choice.key)

    def pair_again(self, choice: RollerChoice) -> None:
        """Drop the keys of a roller and connect to it as to a new one."""
        self._begin(self._pair_again(choice))

    async def _pair_again(self, choice: RollerChoice) -> None:
        await self._disconnect()
        with suppress(LinkError):
            await self._forget_keys(choice)
        await self._connect(choice)

    async def _try(self, work: Awaitable[None]) -> None:
        """Do what a person asked for; what stands in the way is told beside the list."""
        try:
            await work
        except (LinkError, SessionError) as error:
            self._tell(problem=str(error))

    # --- The link ---------------------------------------------------------------------------------------------------

    def connect(self, choice: RollerChoice) -> None:
        """Connect and stream; what happens arrives in the mailbox."""
        self._begin(self._connect(choice))

    def go_on(self, offer: Interrupted) -> None:
        """Go on with a session that was cut off."""
        options = replace(self._options, radio=self._real_radio(), device=None, resume=Path(offer.key))
        self._begin(self._connect_with(options))

    def leave_it(self, offer: Interrupted) -> None:
        """End a session that was cut off as it is."""
        self._begin(self._try(asyncio.to_thread(complete, Path(offer.key))))

    def disconnect(self) -> None:
        """Leave the roller in good order."""
        self._begin(self._disconnect())

    def close(self) -> None:
        """Leave the roller, close the recording, end the thread."""
        # The thread may be gone already: closing twice is harmless.
        with suppress(TimeoutError, RuntimeError):
            self._thread.run(self._disconnect()).result(10.0)
        self._thread.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work on the link's thread; a mistake of ours in it must reach the person too."""

        def tell(done: Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None:
                logger.error("the link's thread failed", exc_info=error)
                text = f"Something went wrong: {error!r}"
                self.mailbox.append(LinkState(LinkPhase.LOST, text, "Connect again.", over=True))

        self._thread.run(work).add_done_callback(tell)

    async def _connect(self, choice: RollerChoice) -> None:
        spec, _, _ = self._world(choice)
        # A file named by the person is for the first session; later ones get names of their own.
        options = replace(self._options, radio=spec, device=self._target(choice), seconds=None)
        self._options = replace(self._options, out=None)
        await self._connect_with(options)

    async def _connect_with(self, options: Options) -> None:
        self._stop.set()
        self._stop = stop = asyncio.Event()
        async with self._one_link:
            if not stop.is_set():
                await self._hold(options, stop)

    async def _disconnect(self) -> None:
        self._stop.set()
        async with self._one_link:
            pass

    def _world(self, choice: RollerChoice) -> tuple[str, int, int | None]:
        """Radio, seed and passkey for a roller."""
        return choice.key if choice.simulated else self._real_radio(), self._options.seed, self._options.passkey

    def _target(self, choice: RollerChoice) -> str | None:
        return None if choice.simulated else choice.key

    def _real_radio(self) -> str:
        return "native" if is_demo(self._options.radio) else self._options.radio

    async def _hold(self, options: Options, stop: asyncio.Event) -> None:
        """Keep a link to the roller until told to stop; its end, good or bad, reaches the window as a state."""
        watch = _Watch(self.mailbox)
        self._live = watch.live = LiveRun(options, watch.take, self.mailbox.append, watch.take_battery, watch.take_log)
        posting = asyncio.create_task(watch.post())
        try:
            async with open_world(options.radio, options.seed, options.passkey) as (radio, _):
                await self._live.run(
                    radio, stop, lambda text: self.mailbox.append(LinkState(LinkPhase.CONNECTING, text))
                )
        except SessionError as error:
            text = "Choose another place, or free some space."
            self.mailbox.append(LinkState(LinkPhase.OFF, str(error), text, over=True))
        except BadRadioError as error:
            self.mailbox.append(LinkState(LinkPhase.OFF, error.reason, error.action, over=True))
        except LinkError:
            logger.debug("the link ended with an error; its state has told the window")
        finally:
            self._live = None
            posting.cancel()


class _Watch:
    """Puts what one session measures into the mailbox."""

    live: LiveRun

    def __init__(self, mailbox: deque[Estimates | LinkState | Snapshot | Rollers]) -> None:
        self._mailbox = mailbox
        self._battery: int | None = None
        self._place = "", ""
        self._log = 0, 0
        self._arrivals: deque[tuple[float, int]] = deque()
        """Times of recent estimates, s, and IMU samples until then."""
        self._past: deque[tuple[float, int, int]] = deque()
        """Time, s, packets and lost packets at recent moments."""

    def take(self, estimates: Estimates) -> None:
        """Hand on estimates; at a new place the thresholds change at once."""
        self._mailbox.append(estimates)
        self._arrivals.append((time.monotonic(), self.live.pipeline.totals.imu_samples))
        # In the air the last place's thresholds stay on show.
        place = (estimates.zone, estimates.side) if estimates.zone else self._place
        if place != self._place:
            self._place = place
            self._mailbox.append(self._snapshot())

    def take_battery(self, percent: int) -> None:
        """Note the battery level."""
        self._battery = percent

    def take_log(self, n_fetched: int, n_packets: int) -> None:
        """Note how much of the roller's own recordings is here."""
        self._log = (0, 0) if n_fetched >= n_packets else (n_fetched, n_packets)

    async def post(self) -> None:
        """Post a snapshot four times a second, whether or not anything arrives."""
        while True:
            await asyncio.sleep(SNAPSHOT_S)
            if self.live.pipeline.totals.packets:
                self._mailbox.append(self._snapshot())

    def _snapshot(self) -> Snapshot:
        live, pipeline, totals = self.live, self.live.pipeline, self.live.pipeline.totals
        rate_hz = pipeline.rate_hz or 0.0
        rate_now_hz, loss_share = self._lately()
        return Snapshot(
            elapsed_s=totals.duration_s,
            rate_hz=rate_hz,
            lost_packets=max(totals.lost_packets - totals.backfilled, 0),
            gaps=totals.gaps,
            strokes=len(totals.strokes),
            contact_s=totals.contact_samples / rate_hz if rate_hz else 0.0,
            battery_percent=self._battery,
            recording=str(live.recorder.path) if live.recorder else "",
            recording_problem=live.problem,
            contact_s_by_place=dict(totals.contact_s_by_place),
            band=band_of(pipeline.params.bands, *self._place),
            calibrated=bool(pipeline.model.calibration.flags & 1),
            rate_now_hz=rate_now_hz,
            loss_share=loss_share,
            missing_packets=live.bookmark.ledger.n_missing,
            backfilled_packets=totals.backfilled,
            log_fetched=self._log[0],
            log_packets=self._log[1],
        )

    def _lately(self) -> tuple[float, float]:
        """Samples per second over the last `RATE_S`, and share of packets lost over the last `LOSS_S`."""
        now_s, totals = time.monotonic(), self.live.pipeline.totals
        self._past.append((now_s, totals.packets - totals.late_packets, totals.lost_packets))
        while self._past[0][0] < now_s - LOSS_S:
            self._past.popleft()
        _, came, lost = (now - then for now, then in zip(self._past[-1], self._past[0], strict=True))
        return self._rate_hz(now_s), lost / (came + lost) if came + lost > 0 else 0.0

    def _rate_hz(self, now_s: float) -> float:
        while self._arrivals and self._arrivals[0][0] < now_s - RATE_S:
            self._arrivals.popleft()
        if len(self._arrivals) < 2:
            return 0.0
        # From arrival to arrival: whole packets come in, and a window that cuts them would make the rate jump.
        (first_s, first), (last_s, last) = self._arrivals[0], self._arrivals[-1]
        return (last - first) / max(last_s - first_s, now_s - first_s - SNAPSHOT_S)


def _sighting(found: Found | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {"taken": found.taken, "seen_s": found.seen_s, "rssi_dbm": found.rssi_dbm}


def _known_choice(roller: rollers.KnownRoller, found: Found | None) -> RollerChoice:
    return RollerChoice(
        roller.device_id,
        roller.title,
        roller.name if roller.own_name else "",
        known=True,
        at_start=roller.at_start,
        last_used=roller.last_seen,
        security_mode=roller.security_mode,
        **_sighting(found),
    )


def _simulated() -> list[RollerChoice]:
    """The usual scenario first; all of them are one roller to choose."""
    known = demo_scenarios()
    usual = "practised"
    first = RollerChoice(DEMO, "Simulated roller", known.get(usual, ""), simulated=True, scenario=usual)
    others = [
        RollerChoice(f"{DEMO}:{name}", "Simulated roller", text, simulated=True, scenario=name)
        for name, text in known.items()
        if name != usual
    ]
    return [first, *others]


def _roller_of(path: Path) -> str:
    """Title of the roller that a recording is of."""
    with suppress(SessionError, ProtocolError):
        for record in open_recording(path).records():
            if record.source == "INFO":
                device_id = bytes(codec.decode_record("INFO", record.payload).device_id).hex()
                known = rollers.find(device_id)
                return known.title if known else device_id
    return "a roller"
