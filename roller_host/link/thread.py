# SPDX-License-Identifier: MIT
"""The thread that Bluetooth lives in: one asyncio loop, out of reach of a busy user interface."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Coroutine

_T = TypeVar("_T")


class LinkThread:
    """One daemon thread that owns one asyncio loop.

    Parameters
    ----------
    name : str, default "link"
        Name of the thread in debuggers.
    """

    def __init__(self, name: str = "link") -> None:
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._running = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._closing = False

    def start(self) -> None:
        """Start the thread and wait until its loop runs.

        Raises
        ------
        RuntimeError
            When it was started before.
        """
        self._thread.start()
        self._running.wait()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Run a coroutine in the thread; cancelling the future cancels it.

        Raises
        ------
        RuntimeError
            When the thread does not run; the coroutine is closed then.
        """
        if self._loop is None or self._closing:
            coroutine.close()
            raise RuntimeError("the link thread does not run")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self, timeout_s: float = 5.0) -> None:
        """Cancel everything that runs in the thread and end it; safe to call twice, and before `start`.

        Parameters
        ----------
        timeout_s : float, default 5
            Longest time to wait for the thread, s. What does not end by then dies with the program.
        """
        if self._loop and self._stop and not self._closing:
            self._closing = True
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _main(self) -> None:
        # asyncio.run cancels what still runs and waits for it when the main coroutine ends.
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._running.set()
        await self._stop.wait()
