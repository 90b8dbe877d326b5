# SPDX-License-Identifier: MIT
"""Doing something until something else happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


class InterruptedByEventError(Exception):
    """An event came before the work was done."""


END_S: Final = 1.0
"""How long a cancelled task may clean up before it is cancelled again, s."""


async def end(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it is over.

    Libraries can swallow a cancellation that arrives together with what they waited for (``asyncio.wait_for`` before
    Python 3.12 does), so one may not be enough.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=END_S)
    if not task.cancelled():
        # It may have failed at the last moment; asyncio would complain that nobody asked.
        task.exception()


async def race(work: Coroutine[Any, Any, _T], *events: asyncio.Event) -> _T:
    """Return the result of ``work`` unless one of the events comes first; the work is cancelled then.

    Raises
    ------
    InterruptedByEventError
        When an event came first, or the work was cancelled from within.
    """
    task = asyncio.ensure_future(work)
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait([task, *waits], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await end(task)
    try:
        if task.cancelled():
            raise InterruptedByEventError
        return task.result()
    finally:
        # An error that passes through here holds this frame: with the task, which holds the error, it would be a ring
        # that only the garbage collector takes apart, and with it everything of the connection that ended.
        del task
