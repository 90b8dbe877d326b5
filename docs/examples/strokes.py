# SPDX-License-Identifier: MIT
"""Print every stroke of a simulated roller for half a minute; ``native`` instead of ``demo`` takes a real one."""

import asyncio
import sys

from roller_host import open_roller


async def main(radio: str = "demo", seconds: float = 30.0) -> None:
    async with open_roller(radio, seconds=seconds) as roller:
        async for estimates in roller:
            for stroke in estimates.strokes:
                print(f"{stroke.zone:10} {stroke.direction_deg:+4.0f} deg  {stroke.force_n:.1f} N")


asyncio.run(main(*sys.argv[1:2], *map(float, sys.argv[2:3])))
