# SPDX-License-Identifier: MIT
"""One program at a time, where several on one computer would get at the same thing."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

logger = logging.getLogger(__name__)

TURN_S: Final = 0.05
"""How often somebody who waits looks whether it is free, s."""


class Claim:
    """The use of something, for one program of this computer at a time.

    It is a lock of the operating system on a file, and so ends with the process that holds it, whatever that dies of.
    SQLite knows how to lock on each system.

    Parameters
    ----------
    path : Path
        Names what is claimed; the file is made when it is not there, stays empty, and stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: sqlite3.Connection | None = None

    def take(self) -> bool:
        """Claim it until `release`; False when somebody else has it.

        Where no file can be made or locked nobody is kept out, since a roller is worth more than good manners.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = sqlite3.connect(self._path, timeout=0.0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            logger.info("%s: %s", self._path, error)
            return True
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            lock.close()
            logger.info("%s: %s", self._path, error)
            return error.sqlite_errorcode != sqlite3.SQLITE_BUSY
        self._lock = lock
        return True

    @asynccontextmanager
    async def in_turn(self) -> AsyncGenerator[None]:
        """Hold it meanwhile; wait first for whoever has it."""
        while not self.take():  # noqa: ASYNC110 - other programs tell nobody when they let go
            await asyncio.sleep(TURN_S)
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Let go of it; harmless when it is not held."""
        lock, self._lock = self._lock, None
        if lock:
            lock.close()
