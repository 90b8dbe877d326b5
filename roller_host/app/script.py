# SPDX-License-Identifier: MIT
"""The way in for scripts: a roller as an async context manager, its estimates as an async iterator."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roller_host.app.live import LiveRun, Options
from roller_host.app.world import open_world
from roller_host.link.states import LinkError, LinkPhase, LinkState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from roller_host.link.control import Control
    from roller_host.signal.estimates import Estimates


class Roller:
    """A roller that streams; made by `open_roller`. Iterate over it for estimates, until it is left.

    Parameters
    ----------
    options : Options
        Which roller, and what to do with what it sends.
    """

    def __init__(self, options: Options) -> None:
        self.state = LinkState(LinkPhase.OFF)
        """What the link is doing."""
        self.battery_percent: int | None = None
        self._options = options
        self._queue: asyncio.Queue[Estimates | None] = asyncio.Queue()
        self._live = LiveRun(options, self._queue.put_nowait, self._note_state, self._note_battery)
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        options = self._options
        try:
            async with open_world(options.radio, options.seed, options.passkey) as (radio, _):
                await self._live.run(radio, self._stop)
        finally:
            self._queue.put_nowait(None)

    def _note_state(self, state: LinkState) -> None:
        self.state = state

    def _note_battery(self, percent: int) -> None:
        self.battery_percent = percent

    @property
    def control(self) -> Control:
        """Requests to the roller, typed; see `link.control.Control`.

        Raises
        ------
        LinkError
            When it was not connected yet.
        """
        if self._live.control is None:
            raise LinkError("The roller is not connected yet.", "Wait for the first estimates.")
        return self._live.control

    def summary(self) -> dict[str, object]:
        """Numbers of the session so far, ready for JSON."""
        return self._live.summary()

    async def __aiter__(self) -> AsyncIterator[Estimates]:
        """Estimates as they are made, one per packet.

        Raises
        ------
        LinkError
            When the link cannot be made, or is lost for good.
        """
        while (estimates := await self._queue.get()) is not None:
            yield estimates
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def leave(self) -> None:
        """End the link in good order, and close the recording; what went wrong is told by the iteration alone."""
        self._stop.set()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()


@asynccontextmanager
async def open_roller(
    radio: str = "native",
    device: str | None = None,
    *,
    record: Path | None = None,
    seconds: float | None = None,
    seed: int = 1,
    passkey: int | None = None,
) -> AsyncGenerator[Roller]:
    """Connect to a roller and stream from it, for scripts.

    Parameters
    ----------
    radio : str, default "native"
        ``native``, ``demo``, ``demo:SCENARIO``, ``tcp:HOST:PORT`` or ``hci:TRANSPORT``.
    device : str, optional
        Name, address or device id; by default the strongest.
    record : Path, optional
        New file to record to; by default nothing is recorded.
    seconds : float, optional
        Streaming time, s; by default until the block is left.
    seed : int, default 1
        Person and device of the demo.
    passkey : int, optional
        Six digits on the label of a roller that wants them.

    Raises
    ------
    BadRadioError
        When there is no such radio.
    SessionError
        When the file exists or cannot be written; raised by the iteration.
    """
    roller = Roller(
        Options(
            radio=radio,
            device=device,
            seconds=seconds,
            seed=seed,
            passkey=passkey,
            out=record,
            recorded=record is not None,
            haptics=False,
        )
    )
    try:
        yield roller
    finally:
        await roller.leave()
