# SPDX-License-Identifier: MIT
"""The soak's host: in a process of its own, so that its memory is measured alone. Lines of JSON go both ways.

An order is a round: radio, roller and file. Any other line ends it. Each change of the link's state is told, and at the
end what is left over.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from roller_host.app.live import LiveRun, Options
from roller_host.app.world import open_world
from roller_host.commands import quiet_libraries
from roller_host.link.states import LinkPhase

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.link.states import LinkState

SCAN_S: Final = 30.0
CLOSE_S: Final = 0.5
"""Sockets and tasks of a round that is over have so long to end."""
END_S: Final = 60.0
"""Longest time that the end of a round may take."""


def open_ends() -> Counter[str]:
    """What a round may leave behind: tasks, threads, open files and sockets."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    files = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            files.append(one.readlink().name.partition(":")[0])
    return Counter(tasks=len(tasks), threads=threading.active_count(), files=len(files))


def memory_mib(pid: int) -> float:
    """Memory of a process, MiB, without mapped program files: a system drops and reads those as it likes."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


class Host:
    """The host's process, seen from the soak's.

    Parameters
    ----------
    on_failure : callable
        Gets sentences about what went wrong.
    """

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        self._on_failure = on_failure

    async def start(self) -> None:
        """Start it; it imports what it needs."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._hearing = asyncio.create_task(self._hear())

    def begin(
        self, radio: str, device: str, out: Path, on_state: Callable[[float, LinkPhase, str], None]
    ) -> asyncio.Future[Counter[str]]:
        """Begin a round; gives what is left over at its end, and how many ``payloads`` came.

        ``on_state`` gets the monotonic time, s, the phase and the words of each state of the link.
        """
        self._on_state = on_state
        self._ended: asyncio.Future[Counter[str]] = asyncio.get_running_loop().create_future()
        self._write(json.dumps({"radio": radio, "device": device, "out": str(out)}))
        return self._ended

    def end(self) -> None:
        """End the round."""
        self._write("end")

    async def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        async with asyncio.timeout(END_S):
            await self._process.wait()
            await self._hearing

    def memory_mib(self) -> float:
        """Its memory, MiB."""
        return memory_mib(self._process.pid)

    def _write(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")

    async def _hear(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            told = json.loads(line)
            if "phase" in told:
                self._on_state(told["at_s"], LinkPhase(told["phase"]), told["words"])
            elif "failure" in told:
                self._on_failure(told["failure"])
            else:
                self._ended.set_result(Counter(told))
        if not self._ended.done():
            self._ended.set_exception(RuntimeError("the host's process ended by itself"))


def _tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _tell_state(state: LinkState) -> None:
    _tell(at_s=time.monotonic(), phase=state.phase.value, words=f"{state.words}: {state.reason}")


async def _serve() -> None:
    """Do rounds until there are no more orders."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: _tell(failure=f"{context['message']} {context.get('exception')!r}"))
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    # Threads of the pool stay: they are no leftovers.
    await asyncio.to_thread(int)
    before = open_ends()
    while line := await orders.readline():
        n_packets = await _hold(json.loads(line), orders)
        # What a session leaves behind ends with the process otherwise.
        gc.collect()
        await asyncio.sleep(CLOSE_S)
        _tell(**(open_ends() - before), payloads=n_packets)


async def _hold(order: dict[str, str], orders: asyncio.StreamReader) -> int:
    """One round; how many packets came."""
    stop = asyncio.Event()
    options = Options(radio=order["radio"], device=order["device"], out=Path(order["out"]), scan_s=SCAN_S)
    live = LiveRun(
        options,
        lambda _: None,
        _tell_state,
        lambda _: None,
    )

    async def run() -> None:
        async with open_world(options.radio, options.seed) as (radio, _):
            await live.run(radio, stop)

    link = asyncio.create_task(run())
    ending = asyncio.create_task(orders.readline())
    await asyncio.wait([link, ending], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    try:
        await link
    except Exception as error:  # noqa: BLE001 - a defect is a result here
        _tell(failure=f"the link ended: {error!r}")
    if live.problem:
        _tell(failure=live.problem)
    await ending
    return live.pipeline.totals.packets


if __name__ == "__main__":
    gc.freeze()  # as the command line does
    quiet_libraries()
    asyncio.run(_serve())
