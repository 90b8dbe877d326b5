# SPDX-License-Identifier: MIT
"""What the calibration of the load cell asks of session, disk and roller."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from firmware_protocol import codec
from roller_host.guide.force import ForceGuide
from roller_host.link.refusals import RequestError
from roller_host.link.states import LinkError
from roller_host.sessions import calibrations
from roller_host.sessions.calibrations import Made, Point

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.app.live import LiveRun
    from roller_host.guide.weighing import Draft, Found
    from roller_host.signal.estimates import Estimates

BUTTON_S: Final = 30.0
"""How long the roller is asked again to take a record, until its button is pressed, s."""
EVERY_S: Final = 1.0


class ForceCalibration:
    """The flow of one session, with what it needs of it.

    Parameters
    ----------
    live : LiveRun
        Its pipeline gives the samples, its roller takes the record.
    pressed : bool, default False
        See `ForceGuide`.
    draft : Draft, optional
        See `ForceGuide`.
    """

    def __init__(self, live: LiveRun, *, pressed: bool = False, draft: Draft | None = None) -> None:
        self._live = live
        self.guide = ForceGuide(self._keep, lambda: int(time.time()), self._write, pressed=pressed, draft=draft)
        self.made: Made | None = None
        """What was stored."""
        self.on_written: Callable[[], None] = lambda: None
        """Called when the roller has taken the record, or has not."""
        self._writing: asyncio.Task[None] | None = None

    def take(self, _: Estimates) -> None:
        """Hand on what a packet added."""
        pipeline, shown = self._live.pipeline, self.guide.shown
        if shown.step == "weights":
            # A motor that warns of the load would shake it.
            self._live.outputs.hold_back()
        if pipeline.samples is not None:
            self.guide.take(pipeline.model, pipeline.samples, pipeline.temp_c)

    def _keep(self, found: Found) -> str:
        device_id, own = self._live.bookmark.device_id.hex(), self._live.pipeline.device_calibration
        now = datetime.now().astimezone()
        head = self._live.pipeline.model.geometry.head
        if own is not None and not calibrations.load(device_id, head):
            # What was in the roller is the first one to go back to.
            date = datetime.fromtimestamp(own.unix_date_s, UTC).isoformat() if own.unix_date_s else ""
            calibrations.keep(Made(device_id, head, date, "device", _encoded(own)), now)
        self.made = Made(
            device_id,
            head,
            now.isoformat(timespec="seconds"),
            "scale" if found.pressed else "weights",
            _encoded(found.record),
            tuple(
                Point(one.mass_kg, one.load_n, one.counts, residual_n)
                for one, residual_n in zip(found.readings, found.fit.residuals_n, strict=True)
            ),
            found.fit.sigma,
            found.temp_c,
        )
        return str(calibrations.keep(self.made, now))

    def _write(self, record: codec.Calibration, on_end: Callable[[str], None]) -> None:
        async def write() -> None:
            on_end(await self._written(record))
            self.on_written()

        self._writing = asyncio.create_task(write())

    async def _written(self, record: codec.Calibration) -> str:
        """Write a record, and read it back; returns what went wrong."""
        control = self._live.control
        if control is None:
            return "The roller is not connected: connect, and write again."
        wanted = codec.decode_record("CALIBRATION", codec.encode_record("CALIBRATION", record))
        deadline_s = time.monotonic() + BUTTON_S
        while True:
            try:
                await control.write_calibration(record)
                back = await control.calibration()
            except RequestError as error:
                if error.status != "NOT_PERMITTED":
                    return str(error)
                if time.monotonic() > deadline_s:
                    return f"The button was not pressed within {BUTTON_S:.0f} s: press it, and write again."
                await asyncio.sleep(EVERY_S)
            except LinkError as error:
                return str(error)
            else:
                return "" if back == wanted else "The roller gave another record back: write again."


def _encoded(record: codec.Calibration) -> str:
    return codec.encode_record("CALIBRATION", record).hex()
