# SPDX-License-Identifier: MIT
"""``roller-sim generate``: a session as files, faster than real time."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import IO, TYPE_CHECKING, Final

from simulator.generate import LINGER_S, MTU, STEP_US, record_alone
from simulator.incidents import Disturbed
from simulator.scenario import ScenarioError
from simulator.witness import TruthFiles, Witness

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from simulator.generate import Payload
    from simulator.scenario import Scenario

FILES: Final = ("capture.jsonl", "truth.csv", "strokes.csv")
CHUNK_S: Final = 1.0
"""How much of a session is held in memory, s of its own time."""


class _Capture:
    """A capture being written, see docs/capture.md."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.n_packets = 0
        file.write('{"format": "roller-capture", "version": 1}\n')

    def take(self, payload: Payload) -> None:
        """Write one payload."""
        self.n_packets += payload.source == "STREAM"
        self._file.write(
            f'{{"t_s": {payload.t_s:.6f}, "from": "{payload.source}", "dir": "{payload.direction}", '
            f'"payload": "{payload.payload.hex()}"}}\n'
        )


def write_session(plan: Scenario, seed: int, minutes: float, out: Path) -> str:
    """Write a capture and the truth behind it.

    Parameters
    ----------
    plan : Scenario
        Who rolls, with what, and what goes wrong.
    seed : int
        Draws everything; the same seed gives the same bytes.
    minutes : float
        Length of the session.
    out : Path
        Folder, made when missing, for `FILES`; they appear when all is written.

    Returns
    -------
    str
        What was written, in a line.

    Raises
    ------
    FileExistsError
        When one of the files is there already.
    ScenarioError
        When the device refuses to stream in this scenario.
    FaultError
        When the scenario has a fault that needs a radio.
    OSError
        When the files cannot be written.
    """
    begin_s = time.perf_counter()
    with _new_files(out) as (capture_file, truth_file, strokes_file):
        capture = _Capture(capture_file)
        host = _hold_session(plan, seed, minutes, capture, TruthFiles(truth_file, strokes_file))
    took_s = time.perf_counter() - begin_s
    return (
        f"{out}: {capture.n_packets} packets, {host.now_us / 60e6:.1f} min of {host.device.name}, seed {seed}, "
        f"in {took_s:.1f} s ({host.now_us * 1e-6 / took_s:.0f} times real time)"
    )


def _hold_session(plan: Scenario, seed: int, minutes: float, capture: _Capture, truth: TruthFiles) -> Disturbed:
    witness = Witness()
    device = plan.device(seed, witness.truth, witness.samples)
    host = Disturbed(device, capture.take, plan.incidents, seed)
    if plan.log_s:
        record_alone(device, plan.log_s, 0)
    host.connect(min(MTU, plan.radio.max_mtu))
    if plan.log_s:
        host.fetch_log()
    if refusal := host.refusal(host.start(linger_s=LINGER_S)):
        raise ScenarioError(f"{plan.name}: the roller refused to stream: {refusal}")
    begin_us = host.now_us
    end_us = begin_us + max(round(minutes * 60e6 / STEP_US), 1) * STEP_US
    while host.now_us < end_us:
        host.pass_time(min(CHUNK_S, (end_us - host.now_us) * 1e-6))
        truth.write(witness, device.senses.life_s)
        _progress((host.now_us - begin_us) / (end_us - begin_us))
    host.ask("STOP")
    truth.write(witness, device.senses.life_s, rest=True)
    _progress(None)
    return host


@contextlib.contextmanager
def _new_files(out: Path) -> Generator[list[IO[str]]]:
    """Open `FILES` under other names; they get their own when all went well, and vanish when not."""
    out.mkdir(parents=True, exist_ok=True)
    if there := [name for name in FILES if (out / name).exists()]:
        raise FileExistsError(f"{out / there[0]} is there already and is kept")
    parts = [out / f"{name}.part" for name in FILES]
    try:
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(part.open("w", encoding="utf-8", newline="\n")) for part in parts]
        for name, part in zip(FILES, parts, strict=True):
            part.rename(out / name)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _progress(share: float | None) -> None:
    """Show how far it is, where somebody is looking; None clears it away."""
    if sys.stderr.isatty():
        sys.stderr.write("\r" + (" " * 20 + "\r" if share is None else f"{min(share, 1):4.0%} "))
        sys.stderr.flush()
