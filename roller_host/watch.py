# SPDX-License-Identifier: MIT
"""What the window is told of a running session: estimates as they come, slow facts four times a second."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from roller_host.dashboard.session import Guided, Question, Rollers, Snapshot
from roller_host.signal.comfort import band_of

if TYPE_CHECKING:
    from roller_host.app.flows import Flows
    from roller_host.app.live import LiveRun
    from roller_host.link.states import LinkState
    from roller_host.signal.estimates import Estimates

SNAPSHOT_S: Final = 0.25
RATE_S: Final = 2.0
"""Over how long the present rate is measured, s."""
LOSS_S: Final = 5.0
"""Over how long the present loss is measured, s."""


class Watch:
    """Puts what one session measures into the mailbox.

    Parameters
    ----------
    mailbox : deque
        Where estimates go as they come, and a `Snapshot` four times a second.
    """

    live: LiveRun
    flows: Flows
    """To be set before anything arrives."""

    def __init__(self, mailbox: deque[Estimates | LinkState | Snapshot | Rollers | Guided | Question]) -> None:
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
        self.flows.take(estimates)

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
            muted=live.outputs.muted,
            haptics=live.outputs.haptics,
            cue_problems=live.outputs.problems,
            n_moves=live.outputs.n_moves,
            bands=pipeline.params.bands,
            log_fetched=self._log[0],
            log_packets=self._log[1],
            enough=live.enough(),
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
