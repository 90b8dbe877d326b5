# SPDX-License-Identifier: MIT
"""What a session makes heard and felt, beside what it shows."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from firmware_protocol import codec, layout
from roller_host.app.motor import Motor
from roller_host.cues.haptics import SILENT, rules
from roller_host.cues.moving import Shares
from roller_host.cues.sound import Heard
from roller_host.cues.speaker import Speaker, open_stream
from roller_host.signal.comfort import Comfort, band_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.cues.haptics import Rule
    from roller_host.cues.sound import Signal
    from roller_host.cues.speaker import Render, Stream
    from roller_host.link.control import Control
    from roller_host.signal.core import SignalParams
    from roller_host.signal.estimates import Estimates

logger = logging.getLogger(__name__)

LEAVE_S: Final = 1.0
"""Longest time that the end of a session waits for the roller's rules, s."""
_HAPTIC = codec.bit(layout.FEATURES, "HAPTIC")


class CueOutputs:
    """Sound of the computer and motor of the roller, for one session; lives on the link's loop.

    Parameters
    ----------
    sound : bool
        Whether to play at all.
    muted : bool
        Whether only the stop is played.
    haptics : bool
        Whether the roller warns of limits by itself; of the ceiling it always does.
    open_device : callable, default `open_stream`
        Opens what plays.
    """

    def __init__(
        self, *, sound: bool, muted: bool, haptics: bool, open_device: Callable[[Render], Stream] = open_stream
    ) -> None:
        self.n_moves = 0
        """How often the person was told to move on."""
        self.haptics = haptics
        """Whether the roller warns of limits; may change at any time."""
        self._muted = muted
        self._held_back = self._leaving = False
        self._on_face: tuple[Rule, ...] = ()
        """Rules that belong on the roller when it is rolled."""
        self._shares: Shares | None = None
        self._motor: Motor | None = None
        self._sound, self._open_device = sound, open_device
        self._speaker: Speaker | None = None

    @property
    def signal(self) -> Signal | None:
        """Signal that is played now."""
        return self._speaker.state.signal if self._speaker else None

    @property
    def problems(self) -> tuple[str, ...]:
        """Why nothing is heard, and why the roller does not warn by itself, in a sentence each, where that is so."""
        outputs = self._speaker, self._motor
        return tuple(output.problem for output in outputs if output and output.problem)

    @property
    def muted(self) -> bool:
        """Whether only the stop is played."""
        return self._muted

    @muted.setter
    def muted(self, on: bool) -> None:
        self._muted = on
        if self._speaker and self._speaker.heard:
            self._speaker.heard = self._speaker.heard._replace(muted=on)

    def connect(self, control: Control, features: int, params: SignalParams) -> None:
        """Put the rules on a roller that has just been connected; one without a motor is left alone.

        Parameters
        ----------
        control : Control
            Its requests.
        features : int
            Those of its INFO.
        params : SignalParams
            Thresholds.
        """
        if not features & _HAPTIC:
            return
        if self._motor is None:
            self._motor = Motor(_tell)
            self._motor.want(rules(params, ("", ""), 0.0, limits=self.haptics))
        self._motor.connect(control)

    def hold_back(self) -> None:
        """Warn of nothing at the next estimates: what presses on the roller is a known load, and no face."""
        self._held_back = True

    def take(self, estimates: Estimates, params: SignalParams) -> None:
        """Follow what was estimated."""
        held_back, self._held_back = self._held_back, False
        place = estimates.zone, estimates.side
        if self._shares is None:
            self._shares = Shares(params.routine)
        self.n_moves += self._shares.add(estimates)
        if self._sound:
            self._speaker = self._speaker or Speaker(_tell, self._open_device)
            band = band_of(params.bands, *place)
            force_n = estimates.force_n.item(-1) if len(estimates.force_n) else 0.0
            self._speaker.heard = Heard(
                Comfort.NO_CONTACT if held_back else _told(estimates), force_n, band, self.n_moves, self._muted
            )
        if self._motor:
            self._on_face = rules(params, place, estimates.zero_n, limits=self.haptics)
            self._motor.want(SILENT if held_back and not self._leaving else self._on_face)

    async def leave(self) -> None:
        """Before the link ends: whatever was held back, the roller warns of a face from now on, host or no host."""
        self._leaving = True
        if self._motor and self._on_face:
            self._motor.want(self._on_face)
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._motor.settle()

    async def close(self) -> None:
        """Fall silent; the roller keeps its rules."""
        if self._speaker:
            # Waiting for a sound device must not hold up the loop that others share.
            await asyncio.to_thread(self._speaker.close)
        if self._motor:
            await self._motor.close()


def _tell(text: str) -> None:
    logger.warning("%s", text)


def _told(estimates: Estimates) -> Comfort:
    """State of a block to be told: the hardest alert in it, else the last one."""
    last = estimates.comfort[-1] if estimates.comfort else Comfort.STALE
    alerts = [one for one in estimates.comfort if one in (Comfort.TOO_HARD, Comfort.STOP)]
    return max(alerts, default=last)
