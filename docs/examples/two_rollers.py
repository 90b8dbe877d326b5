# SPDX-License-Identifier: MIT
"""Two rollers at once, recorded, for as long as asked: ``two_rollers.py RADIO SECONDS NAME NAME``."""

import asyncio
import sys
from pathlib import Path

from roller_host import open_roller


async def follow(radio: str, seconds: float, name: str) -> None:
    async with open_roller(radio, name, seconds=seconds, record=Path(f"{name}.sqlite")) as roller:
        async for estimates in roller:
            for stroke in estimates.strokes:
                print(f"{name}: {stroke.force_n:.1f} N, {stroke.length_m * 100:.1f} cm")
        print(name, roller.summary()["packets"], "packets")


async def main(radio: str, seconds: float, *names: str) -> None:
    await asyncio.gather(*(follow(radio, seconds, name) for name in names))


asyncio.run(main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:]))
