# SPDX-License-Identifier: MIT
"""Let the roller buzz whenever somebody presses too hard: estimates come in, requests go out."""

import asyncio
import sys

from roller_host import open_roller

EASE_OFF, STRENGTH_PERCENT = 3, 60


async def main(radio: str = "demo", seconds: float = 30.0) -> None:
    async with open_roller(radio, seconds=seconds) as roller:
        async for estimates in roller:
            for cue in estimates.cues:
                if cue.comfort.name in ("TOO_HARD", "STOP"):
                    print(f"{cue.t_s:6.1f} s  {cue.force_n:.1f} N: ease off")
                    await roller.control.haptic_play(EASE_OFF, STRENGTH_PERCENT, 1)


asyncio.run(main(*sys.argv[1:2], *map(float, sys.argv[2:3])))
