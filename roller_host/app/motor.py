# SPDX-License-Identifier: MIT
"""Keeps the rules on a connected roller what they should be, a request at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from roller_host.cues.haptics import FORCE, Rule, missing
from roller_host.link.race import end
from roller_host.link.refusals import RequestError
from roller_host.link.states import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.link.control import Control

PAUSE_S: Final = 0.25
"""Shortest time between two changes, s: a place that flickers must not keep the link busy."""
RETRY_S: Final = 5.0
"""After a request that was refused or not answered, s."""


class Motor:
    """The motor of one roller; lives on the link's loop.

    Parameters
    ----------
    on_note : callable
        Told in a sentence, once, when the roller refuses.
    """

    def __init__(self, on_note: Callable[[str], None]) -> None:
        self._on_note = on_note
        self._wanted: tuple[Rule, ...] = ()
        self._there: dict[int, Rule] = {}
        self._changed, self._settled = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Future[None] | None = None
        self.problem = ""
        """Why the roller does not warn as it should, in a sentence; empty when it does."""

    def want(self, wanted: tuple[Rule, ...]) -> None:
        """Have these rules on the roller, the first one first."""
        if wanted != self._wanted:
            self._wanted = wanted
            if missing(wanted, self._there):
                self._settled.clear()
                self._changed.set()

    def connect(self, control: Control) -> None:
        """Begin anew on another connection: the roller may have restarted, which forgets its rules."""
        if self._task:
            self._task.cancel()
        self._there = {}
        self._settled.clear()
        self._changed.set()
        self._task = asyncio.ensure_future(self._keep(control))

    async def _keep(self, control: Control) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            pause_s = PAUSE_S
            try:
                # Looked at anew each time: meanwhile the roller may be somewhere else.
                while rules := missing(self._wanted, self._there):
                    await self._send(control, rules[0])
                self._settled.set()
            except LinkError as error:
                self._changed.set()
                pause_s = RETRY_S
                if isinstance(error, RequestError):
                    self._note(error)
                    if error.status in ("UNKNOWN_OP", "NOT_SUPPORTED"):
                        return
            else:
                self.problem = ""
            await asyncio.sleep(pause_s)

    async def _send(self, control: Control, rule: Rule) -> None:
        slot, compare, level_mn, hysteresis_mn, hold_ms, pattern, cooldown_ms = rule
        await control.haptic_rule(
            slot, FORCE, compare, level_mn, hysteresis_mn, hold_ms=hold_ms, pattern=pattern, cooldown_ms=cooldown_ms
        )
        self._there[slot] = rule

    def _note(self, error: RequestError) -> None:
        told, self.problem = self.problem, f"The roller does not warn by itself. {error}"
        if not told:
            self._on_note(self.problem)

    async def settle(self) -> None:
        """Wait until the roller has all rules that it should have; for ever when it refuses them."""
        if self._task and not self._task.done():
            await self._settled.wait()

    async def close(self) -> None:
        """Change nothing any more; the roller keeps the rules that it has."""
        if self._task:
            await end(self._task)
