# SPDX-License-Identifier: MIT
"""The host program against a real BlueZ: run by .ci/bluez in its guest, where it is alone with root and /dev/vhci.

``python .ci/bluez_session.py LOGS [STEP ...]``: all steps without a name. Prints a line for each, then one JSON object;
exit code 1 when a step failed. The simulated roller (``roller-sim run --vhci``) and the host (``roller-host --radio
native``, stock bleak) are programs of their own, as a person would start them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol import layout
from roller_host.link.bluez import NOTIFY_VARIABLE
from roller_host.sessions.source import open_source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

LOGS = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="bluez."))
STREAM_S: Final = 60
N_RECONNECTS: Final = 10
N_RACES: Final = 3
START_S: Final = 30.0
"""Longest time for the simulator to be on the air and for a host to stream."""
ENDED: Final = "(end of output)"

Numbers = dict[str, Any]


class FailedError(Exception):
    """A step did not show what it should; ``outcome`` names the kind of failure."""

    def __init__(self, text: str, outcome: str = "failed") -> None:
        super().__init__(text)
        self.outcome = outcome


def demand(holds: object, text: str, outcome: str = "failed") -> None:
    """End the step unless ``holds``."""
    if not holds:
        raise FailedError(text, outcome)


class Roller:
    """The simulator's process: what it says, and what is typed at it."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        assert process.stdin and process.stdout  # noqa: S101, PT018 - both are pipes
        self._process, self._in, self._out = process, process.stdin, process.stdout
        self._log = log
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with self._log.open("a") as log:
            while line := await self._out.readline():
                log.write(f"{time.time():.3f} {line.decode()}")
                log.flush()
                self._said.put_nowait(line.decode().strip())
        self._said.put_nowait(ENDED)

    async def says(self, text: str, seconds: float = START_S) -> str:
        """Wait for a line with this text in it, and return it."""
        try:
            async with asyncio.timeout(seconds):
                while text not in (line := await self._said.get()):
                    demand(line != ENDED, f"the simulator ended; see {self._log}")
        except TimeoutError:
            raise FailedError(f"the simulator did not say {text!r} within {seconds:g} s") from None
        return line

    @property
    def passkey(self) -> str:
        """The digits on its label."""
        return self._log.read_text().partition("passkey ")[2][:6]

    def type(self, line: str) -> None:
        """Type a line, for instance a fault."""
        self._in.write(line.encode() + b"\n")

    async def close(self) -> None:
        """Switch it off; the kernel's adapter goes with it."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()
        await self._reading


@asynccontextmanager
async def roller(seed: int, security_mode: int = 0) -> AsyncGenerator[Roller]:
    """A roller beside an adapter for this machine's BlueZ."""
    scenario = Path(tempfile.mkdtemp()) / "roller.toml"
    scenario.write_text(f"[build]\nsecurity_mode = {security_mode}\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulator.cli", "run", "--vhci", "--listen", "127.0.0.1:0",
        "--scenario", str(scenario), "--seed", str(seed),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    made = Roller(process, LOGS / f"simulator-{seed}.log")
    try:
        await made.says("true IMU rate")
        await powered(True)
        yield made
    finally:
        await made.close()


async def shell(*words: str) -> str:
    """Output of a program, both streams."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return out.decode()


async def powered(on: bool) -> None:
    """Wait until BlueZ has the adapter on, or off."""
    for _ in range(200):
        if ("Powered: yes" in await shell("bluetoothctl", "show")) is on:
            return
        await asyncio.sleep(0.05)
    raise FailedError(f"BlueZ did not switch the adapter {'on' if on else 'off'}")


class Host:
    """One run of roller-host; made by `host`."""

    def __init__(self, process: asyncio.subprocess.Process, recording: Path) -> None:
        self._begin_s = time.monotonic()
        self._process = process
        self._ended = asyncio.create_task(self._end())
        self.recording = recording
        self.code: int | None = None
        self.seconds = 0.0

    async def _end(self) -> Numbers:
        out, err = (text.decode() for text in await self._process.communicate())
        self.code, self.seconds = self._process.returncode, time.monotonic() - self._begin_s
        result = json.loads(out.splitlines()[-1]) if out else {"error": err[-500:] or "it printed nothing"}
        result.pop("stroke_list", None)
        with (LOGS / "host.log").open("a") as log:
            log.write(f"{time.time():.3f} exit code {self.code} {json.dumps(result)} {err}\n")
        return result

    async def until(self, coming: Awaitable[str]) -> None:
        """Wait for what the simulator says; it is a failure when the host ends before."""
        waiting = asyncio.ensure_future(coming)
        await asyncio.wait([waiting, self._ended], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            raise FailedError(f"the host ended with {self.code}: {self._ended.result().get('error')}")
        waiting.result()

    async def result(self, outcome: str = "failed") -> Numbers:
        """Wait for the end, which has to be with exit code 0; otherwise the step fails with this outcome."""
        result = await self._ended
        demand(self.code == 0, f"the host ended with {self.code}: {result.get('error')}", outcome)
        return result

    async def exit_code(self) -> int | None:
        """Wait for the end."""
        await self._ended
        return self.code

    async def refusal(self, code: int, text: str) -> None:
        """Wait for the end, which has to be with this exit code and this text."""
        error = str((await self._ended).get("error"))
        demand(self.code == code and text in error, f"expected {code} and {text!r}, not {self.code} and {error}")

    def crash(self) -> None:
        """End it so that it can do nothing about it."""
        self._process.kill()

    async def close(self) -> None:
        """End it, if it still runs."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        await self._ended


@asynccontextmanager
async def host(command: str, seconds: float, *options: str) -> AsyncGenerator[Host]:
    """Run roller-host on the system's Bluetooth."""
    recording = Path(tempfile.mkdtemp()) / "session.sqlite"
    words = [command, "--radio", "native", "--json", "--seconds", str(seconds), *options]
    if command == "stream":
        words += ["--out", str(recording)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "roller_host.cli", *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    run = Host(process, recording)
    try:
        yield run
    finally:
        await run.close()


def whole(recording: Path) -> Numbers:
    """Numbers of a session in which every packet arrived, or the end of the step."""
    records, _, _ = open_source(recording)
    packets = [record for record in records if record.source == "STREAM"]
    seqs = [int.from_bytes(record.payload[2:6], "little") for record in packets]
    live_s = [record.t_s for record in packets if record.payload[0] == layout.PTYPE_LIVE]
    numbers = {
        "packets": len(set(seqs)),
        "missing": max(seqs) + 1 - len(set(seqs)),
        "duplicates": len(seqs) - len(set(seqs)),
        "backfilled": len(packets) - len(live_s),
        "longest_silence_s": max(after - before for before, after in pairwise(live_s)),
    }
    if numbers["missing"]:
        kept = shutil.copy(recording, LOGS / f"{recording.parent.name}.sqlite")
        raise FailedError(f"not whole: {numbers}, see {kept}")
    return numbers


# --- Steps ------------------------------------------------------------------------------------------------------------


async def scan() -> Numbers:
    """Found by its service, with its name and a strength."""
    async with roller(seed=1), host("scan", 3) as run:
        found = (await run.result())["rollers"]
        demand(len(found) == 1 and found[0]["name"] and found[0]["rssi_dbm"] < 0, f"found {found}")
        return {**found[0], "seconds": run.seconds}


async def stream() -> Numbers:
    """A minute without a gap."""
    async with roller(seed=1) as sim, host("stream", STREAM_S) as run:
        begin_s = time.monotonic()
        await run.until(sim.says("streaming, IMU"))
        start_s = time.monotonic() - begin_s
        told = await run.result()
        demand(told["duration_s"] > STREAM_S - 1, f"only {told['duration_s']:.1f} s")
        demand(not (told["gaps"] or told["lost_packets"]), f"{told['gaps']} gaps, {told['lost_packets']} packets lost")
        return {"until_streaming_s": start_s, "gaps": told["gaps"], **whole(run.recording)}


async def interrupted(seed: int, interrupt: Callable[[Roller], Awaitable[None]]) -> Numbers:
    """A session with an interruption in its middle that ends whole."""
    async with roller(seed) as sim, host("stream", 25) as run:
        await run.until(sim.says("streaming, IMU"))
        await asyncio.sleep(5)
        await interrupt(sim)
        await run.until(sim.says("host connected"))
        await run.result()
        numbers = whole(run.recording)
        demand(numbers["backfilled"], "nothing was missed: the interruption did not interrupt")
        return numbers


async def link_loss() -> Numbers:
    """The link breaks for 3 s: the session goes on, and what was missed is fetched."""

    async def interrupt(sim: Roller) -> None:
        sim.type("link_loss 3")

    return await interrupted(2, interrupt)


async def adapter_off() -> Numbers:
    """The adapter is switched off and on: the session goes on."""

    async def interrupt(_: Roller) -> None:
        await shell("bluetoothctl", "power", "off")
        await powered(False)
        await asyncio.sleep(2)
        await shell("bluetoothctl", "power", "on")

    return await interrupted(3, interrupt)


async def pair() -> Numbers:
    """A roller that serves bonded hosts only: pair, stream, come back by the bond, unpair, pair anew."""
    async with roller(seed=4, security_mode=2) as sim:
        async with host("stream", 5) as run:
            await run.until(sim.says("streaming, IMU"))
            await run.result()
            numbers = whole(run.recording)
        address = await bonded()
        demand(address, "BlueZ keeps no bond")
        times_s = [await again(i) for i in range(N_RECONNECTS)]
        name = (await shell("bluetoothctl", "info", address)).partition("Name: ")[2].split("\n")[0]
        words = ("-m", "roller_host.cli", "rollers", "--forget", name, "--radio", "native")
        said = await shell(sys.executable, *words)
        demand("went wrong" not in said and not await bonded(), f"unpair: BlueZ has {await bonded()!r}; {said}")
        async with host("stream", 1) as run:
            await run.result()
        demand(await bonded(), "it did not pair anew after unpairing")
        return {**numbers, "reconnects": N_RECONNECTS, "reconnect_run_s": sorted(times_s)[N_RECONNECTS // 2]}


async def two_hosts() -> Numbers:
    """Of two programs on this computer the second is told that the roller is taken; after a crash it is not."""
    async with roller(seed=5) as sim:
        async with host("stream", 30) as first:
            await first.until(sim.says("streaming, IMU"))
            async with host("stream", 5) as second:
                await second.refusal(3, "taken by another program")
            async with host("scan", 2) as scanning:
                found = (await scanning.result())["rollers"]
                demand(len(found) == 1 and found[0]["taken"], f"found {found}")
            await first.result()
            numbers = whole(first.recording)
            demand(numbers["longest_silence_s"] < 2, f"the second one disturbed the first: {numbers}")
        async with host("stream", 30) as first:
            await first.until(sim.says("streaming, IMU"))
            first.crash()
            async with host("stream", 5) as second:
                await second.result()
                whole(second.recording)
        return numbers


async def at_once() -> Numbers:
    """Of programs that begin at the same moment one gets the roller, and the other is told that it is taken."""
    numbers: Numbers = {}
    async with roller(seed=9):
        for _ in range(N_RACES):
            async with host("stream", 15) as one, host("stream", 15) as other:
                first, second = (one, other) if await one.exit_code() == 0 else (other, one)
                await first.result()
                await second.refusal(3, "taken by another program")
                numbers = whole(first.recording)
        return {**numbers, "races": N_RACES}


async def acquire() -> Numbers:
    """The other way to get notifications from BlueZ; who gets them so is noticed by a second program as well."""
    os.environ[NOTIFY_VARIABLE] = "acquire"
    try:
        async with roller(seed=8) as sim, host("stream", 20) as first:
            await first.until(sim.says("streaming, IMU"))
            async with host("stream", 5) as second:
                await second.refusal(3, "taken by another program")
            await first.result()
            return whole(first.recording)
    finally:
        del os.environ[NOTIFY_VARIABLE]


async def pair_alone() -> Numbers:
    """Where nobody answers for the person: "Just Works" and the passkey given work, without one it says what to do."""
    end_agent()
    async with roller(seed=6, security_mode=2), host("stream", 5) as run:
        await run.result()
        numbers = whole(run.recording)
        demand(await bonded(), "BlueZ keeps no bond")
    async with roller(seed=7, security_mode=3) as sim:
        async with host("stream", 5) as run:
            await run.refusal(5, "run bluetoothctl")
        async with host("stream", 5, "--passkey", sim.passkey) as run:
            await run.result()
            whole(run.recording)
    return numbers


def end_agent() -> None:
    """End the pairing agent of this guest."""
    for process in Path("/proc").glob("[0-9]*"):
        if (process / "comm").read_text().strip() == "bluetoothctl":
            os.kill(int(process.name), signal.SIGTERM)


async def bonded() -> str:
    """Address of the device that BlueZ has a bond with; empty without one."""
    words = (await shell("bluetoothctl", "devices", "Paired")).split()
    return words[1] if words[:1] == ["Device"] else ""


async def again(i: int) -> float:
    """One more session with a roller that is bonded; returns its whole length, s."""
    async with host("stream", 1) as run:
        await run.result("bonded-reconnect failure")
        print(f"reconnect {i + 1} of {N_RECONNECTS}: {run.seconds:.1f} s", flush=True)
        whole(run.recording)
        return run.seconds


STEPS: dict[str, Callable[[], Awaitable[Numbers]]] = {
    "scan": scan,
    "stream": stream,
    "link_loss": link_loss,
    "adapter_off": adapter_off,
    "two_hosts": two_hosts,
    "at_once": at_once,
    "acquire": acquire,
    "pair": pair,
    "pair_alone": pair_alone,
}


async def main(names: list[str]) -> int:
    """Run the steps and print what they showed."""
    report: Numbers = {"outcome": "passed", "bluez": await bluez_version(), "bleak": version("bleak"), "steps": {}}
    for name in names or STEPS:
        begin_s = time.monotonic()
        try:
            numbers, outcome = await STEPS[name](), "passed"
        except FailedError as error:
            numbers, outcome = {"error": str(error)}, error.outcome
            report["outcome"] = outcome
        report["steps"][name] = {"outcome": outcome, **numbers}
        told = " ".join(
            f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in numbers.items()
        )
        print(f"{name}: {outcome} in {time.monotonic() - begin_s:.1f} s: {told}", flush=True)
    print(json.dumps(report), flush=True)
    return report["outcome"] != "passed"


async def bluez_version() -> str:
    """Version of bluetoothctl, which comes with bluetoothd."""
    return (await shell("bluetoothctl", "--version")).split()[-1]


if __name__ == "__main__":
    LOGS.mkdir(parents=True, exist_ok=True)
    sys.exit(asyncio.run(main(sys.argv[2:])))
