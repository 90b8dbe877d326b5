# SPDX-License-Identifier: MIT
"""From mailbox to widgets: one timer drains what arrived and sets what changed."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from roller_host.dashboard.messages import counted_down, link_message, session_message
from roller_host.dashboard.playhead import Playhead
from roller_host.dashboard.session import Guided, Question, Rollers, Snapshot
from roller_host.dashboard.strip import SPAN_S, StripBand
from roller_host.link.states import LinkPhase, LinkState
from roller_host.signal.comfort import Comfort
from roller_host.signal.estimates import Estimates

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.dashboard.live import LivePage
    from roller_host.dashboard.session import LiveSession

FRAME_MS = 16
IDLE_MS = 100
"""Time between two looks into the mailbox while nothing moves."""
SLOW_S = 0.25
"""Texts, axes."""
MAP_S = 0.5
STALE_S = 0.5
"""Without samples for this long nothing is known."""
_ALERTS = (Comfort.TOO_HARD, Comfort.STOP)


class Presenter(QObject):
    """Feeds a live page from a session.

    Parameters
    ----------
    session : LiveSession
        Where values come from.
    page : LivePage
        Where they are shown.
    clock : callable
        Monotonic seconds.
    """

    link_changed = Signal(LinkState)
    waiting = Signal(float)
    """How long the newest state has lasted, s; told with the slow texts."""
    rollers_found = Signal(Rollers)
    guided = Signal(Guided)
    asked = Signal(Question)
    told = Signal(object, object)
    """`Message` about link and session and the newest `Snapshot`, or None for each; told with the slow texts."""

    def __init__(self, session: LiveSession, page: LivePage, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(page)
        self._mailbox = session.mailbox
        self._page = page
        self._clock = clock
        self._playhead = Playhead()
        self._link, self._link_s = LinkState(LinkPhase.OFF), 0.0
        self._snapshot: Snapshot | None = None
        self._place = ("", "")
        self._comfort = Comfort.STALE
        self._fed_s = self._guided_s = -math.inf
        self._slow_s = self._map_s = -math.inf
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tick)

    def start(self) -> None:
        """Begin to look into the mailbox."""
        self._timer.start(IDLE_MS)

    def stop(self) -> None:
        """Stop looking into the mailbox."""
        self._timer.stop()

    def clear(self) -> None:
        """Forget the session that was shown."""
        self._page.strokes.clear()
        self._page.clear_cues()
        self._page.face.set_enough({})
        self._clear_strips()
        self._page.header.clear()
        self._snapshot = None
        self._fed_s = -math.inf
        self._go_stale()

    def _clear_strips(self) -> None:
        """Also when the session's timeline began anew."""
        for strip in (self._page.force_strip, self._page.speed_strip):
            strip.plot.trace.clear()
        self._playhead.clear()

    def tick(self) -> None:
        """Drain the mailbox and show what changed."""
        now_s = self._clock()
        while self._mailbox:
            self._take(self._mailbox.popleft(), now_s)
        if now_s - self._fed_s > STALE_S and self._comfort is not Comfort.STALE:
            self._go_stale()
        moving = self._comfort is not Comfort.STALE and self._page.isVisible()
        period_ms = FRAME_MS if moving or now_s - self._guided_s < STALE_S else IDLE_MS
        if self._timer.isActive() and self._timer.interval() != period_ms:
            self._timer.setInterval(period_ms)
        if moving:
            self._scroll(now_s)
        if now_s - self._slow_s >= SLOW_S:
            self._slow_s = now_s
            self._show_slow(now_s)
        if now_s - self._map_s >= MAP_S and self._snapshot is not None:
            self._map_s = now_s
            self._page.face.set_seconds(self._snapshot.contact_s_by_place)
            self._page.face.set_enough(self._snapshot.enough)

    def _take(self, item: Estimates | LinkState | Snapshot | Rollers | Guided | Question, now_s: float) -> None:
        match item:
            case Estimates():
                self._fed_s = now_s
                self._show_estimates(item)
            case LinkState():
                self._link, self._link_s = item, now_s
                self._show_slow(now_s)
                self.link_changed.emit(item)
            case Snapshot():
                self._take_snapshot(item)
            case Rollers():
                self.rollers_found.emit(item)
            case Guided():
                self._guided_s = now_s
                self.guided.emit(item)
            case Question():
                self.asked.emit(item)

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        band = snapshot.band
        self._page.gauge.set_band(band)
        self._page.force_strip.plot.trace.band = StripBand(band.low_n, band.firm_n, band.limit_n)

    def _show_estimates(self, new: Estimates) -> None:
        page = self._page
        for stroke in new.strokes:
            page.strokes.add_stroke(stroke)
            page.compass.add_stroke(stroke.direction_deg)
        page.add_cues(new.cues, self._snapshot.bands if self._snapshot else {})
        if not new.t_s.size:
            return
        if new.t_s[-1] < page.force_strip.plot.trace.newest_s() - SPAN_S:
            self._clear_strips()
        self._comfort = new.comfort[-1]
        self._place = (new.zone, new.side)
        alert = np.fromiter((comfort in _ALERTS for comfort in new.comfort), bool, len(new.comfort))
        page.force_strip.plot.trace.extend(new.t_s, new.force_n, alert)
        page.speed_strip.plot.trace.extend(new.t_s, np.abs(new.speed_m_s) * 100.0, np.zeros_like(alert))
        page.gauge.set_comfort(self._comfort)
        page.gauge.set_force(float(new.force_n[-1]), float(new.force_sigma_n[-1]))
        known = new.direction_deg[np.isfinite(new.direction_deg)]
        page.compass.set_direction(float(known[-1]) if known.size else math.nan, new.side, moving=bool(new.contact[-1]))
        self._show_place()

    def _show_place(self) -> None:
        touching = self._comfort not in (Comfort.NO_CONTACT, Comfort.STALE)
        zone, side = self._place if touching else ("", "")
        tone = "bad" if self._comfort in _ALERTS else "accent"
        self._page.face.set_active(zone, side, tone)

    def _go_stale(self) -> None:
        self._comfort = Comfort.STALE
        page = self._page
        page.gauge.set_comfort(Comfort.STALE)
        page.gauge.set_force(math.nan, 0.0)
        page.compass.clear()
        self._show_place()

    def _scroll(self, now_s: float) -> None:
        force, speed = self._page.force_strip.plot.trace, self._page.speed_strip.plot.trace
        shown_s = self._playhead.step(now_s, force.newest_s())
        force.advance(shown_s)
        speed.advance(shown_s)

    def _show_slow(self, now_s: float) -> None:
        page, snapshot, waited_s = self._page, self._snapshot, now_s - self._link_s
        link = counted_down(self._link, waited_s)
        message = link_message(link) or (session_message(snapshot) if snapshot else None)
        page.banner.set_message(message)
        page.header.set_link(link, snapshot)
        self.waiting.emit(waited_s)
        self.told.emit(message, snapshot)
        if snapshot is None:
            return
        page.header.set_snapshot(snapshot, self._link)
        page.timer.set_session(snapshot.elapsed_s, snapshot.strokes, snapshot.contact_s)
        page.gauge.set_calibrated(snapshot.calibrated)
        trace = page.force_strip.plot.trace
        page.force_strip.plot.fit(max(trace.highest(), snapshot.band.limit_n) * 1.06)
        page.speed_strip.plot.fit(page.speed_strip.plot.trace.highest() * 1.05)
