# SPDX-License-Identifier: MIT
"""Digits that a person types before a roller is paired: SMP itself would wait for them no longer than 30 s."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from roller_host.link.race import race
from roller_host.link.states import PairingError

if TYPE_CHECKING:
    from roller_host.link.connection import Connection

LOOK_AGAIN: Final = "Look at the six digits on its label, then try again."


class PasskeySource(Protocol):
    """Asks somebody for passkeys; called on the link's loop."""

    async def ask(self, name: str) -> int:
        """Passkey of a roller; may take as long as it likes, the link ends it."""
        ...

    def reject(self, name: str) -> None:
        """Learn that the digits given last were wrong."""
        ...


class WrongPasskeyError(PairingError):
    """The digits that somebody typed did not open the roller; they may type them again."""


async def pair_by_typing(connection: Connection, source: PasskeySource, seconds: float) -> None:
    """Pair with digits that somebody types.

    Raises
    ------
    WrongPasskeyError
        When the roller does not accept them. Not every roller can be paired once more on the same connection.
    PairingError
        When nobody typed any within ``seconds``.
    InterruptedByEventError
        When the connection ends meanwhile.
    """
    name, radio = connection.name, connection.radio
    try:
        async with asyncio.timeout(seconds):
            radio.use_passkey(await race(source.ask(name), connection.lost))
    except TimeoutError as error:
        raise PairingError(f"Nobody typed the passkey of {name} within {seconds:g} s.", LOOK_AGAIN) from error
    try:
        await connection.pair()
    except PairingError as error:
        radio.use_passkey(None)
        source.reject(name)
        raise WrongPasskeyError(error.reason, LOOK_AGAIN) from error
