# SPDX-License-Identifier: MIT
"""Feeds the dashboard: searches, holds one roller, and puts what happens into the window's mailbox."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roller_host.app import DEMO, LiveRun, Options, open_world
from roller_host.dashboard.session import RollerChoice, Rollers, Snapshot
from roller_host.link.radio import open_radio
from roller_host.link.states import BadRadioError, Found, LinkError, LinkPhase, LinkState
from roller_host.link.thread import LinkThread
from roller_host.sessions.errors import SessionError
from roller_host.signal.comfort import band_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from concurrent.futures import Future

    from roller_host.signal.estimates import Estimates

logger = logging.getLogger(__name__)

SNAPSHOT_S = 0.25
SCAN_S = 8.0


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
