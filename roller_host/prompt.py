# SPDX-License-Identifier: MIT
"""Asks the person at the window for the passkey of a roller, and remembers it while the program runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roller_host.link.states import LinkPhase, LinkState
from roller_host.link.times import LinkTimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.link.radio import Radio


class PasskeyPrompt:
    """Answers a link that wants a passkey; lives on the link's thread.

    Parameters
    ----------
    tell : callable
        Gets the states that ask the person.
    """

    def __init__(self, tell: Callable[[LinkState], None]) -> None:
        self._tell = tell
        self._known: dict[str, int] = {}
        self._label: int | None = None
        """What stands on a simulated roller, which nobody has in hand."""
        self._rejected = ""
        """Name of the roller that did not accept what was typed last."""
        self._typed: asyncio.Future[int] | None = None

    def serve(self, radio: Radio, *, simulated: bool) -> None:
        """Be asked by a radio from now on. A simulated roller's passkey is not used but read out to the person."""
        self._label = None
        if simulated:
            self._label = radio.passkey
            radio.use_passkey(None)
        radio.passkeys = self

    def answer(self, passkey: int) -> None:
        """Take what the person typed; harmless when nobody waits for it."""
        if self._typed is not None and not self._typed.done():
            self._typed.set_result(passkey)

    def forget(self) -> None:
        """Know no passkey any more."""
        self._known.clear()

    def reject(self, name: str) -> None:
        """Forget digits that were wrong."""
        self._known.pop(name, None)
        self._rejected = name

    async def ask(self, name: str) -> int:
        """Ask the person, unless the passkey of this roller is known."""
        if name in self._known:
            return self._known[name]
        rejected, self._rejected = self._rejected == name, ""
        reason = f"{name} did not accept these digits" if rejected else f"{name} wants the six digits on its label"
        if self._label is not None:
            reason = f"{reason}; the label of this simulated roller says {self._label:06d}"
        how = "Look at the label and type them again" if rejected else "Type them here"
        action = f"{how} within {LinkTimes.type_s / 60:.0f} min."
        self._typed = asyncio.get_running_loop().create_future()
        self._tell(LinkState(LinkPhase.PAIRING, reason, action, name, wants_passkey=True))
        self._known[name] = passkey = await self._typed
        self._tell(LinkState(LinkPhase.PAIRING, "the digits are being checked", "Wait a moment.", name))
        return passkey
