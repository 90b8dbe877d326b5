# SPDX-License-Identifier: MIT
"""Every cue in one table: how it looks, sounds and feels, and what it means; and in words why one was given."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol.zones import place_name
from roller_host.signal.comfort import NOT_HERE_N, STARTING_BANDS, Comfort

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roller_host.signal.comfort import Band, Cue


class Saying(NamedTuple):
    """A cue as a person meets it: never by colour alone."""

    sign: str
    """Glyph."""
    words: str
    tone: str
    """Role of its colour: ``good``, ``low``, ``firm``, ``bad`` or ``dim``."""
    means: str
    sound: str
    motor: str = "nothing"


NOTHING = "\N{EN DASH}"
"""Stands where a number or sign would stand if it were known."""

COMFORT: dict[Comfort, Saying] = {
    Comfort.NO_CONTACT: Saying("○", "No contact", "dim", "The roller does not touch the skin.", "silence"),
    Comfort.TOO_LIGHT: Saying(
        "▼", "Press a little more", "low", "The force is below the comfort band.", "a low, faint tone"
    ),
    Comfort.COMFORTABLE: Saying(
        "●", "Comfortable", "good", "The force is in the comfort band.", "a soft tone that rises with the force"
    ),
    Comfort.FIRM: Saying(
        "●", "Firm", "firm", "The force is above the band and below the limit.", "the same tone, higher"
    ),
    Comfort.TOO_HARD: Saying(
        "▲",
        "Ease off",
        "bad",
        "The force was above the limit for 100 ms.",
        "two falling notes, again and again",
        "one long buzz, once a second (EASE_OFF)",
    ),
    Comfort.STOP: Saying(
        "■",
        "Stop",
        "bad",
        "The force is above the ceiling, which no setting raises.",
        "three short high notes, again and again; also while muted",
        "a longer buzz at full strength, again and again (STOP)",
    ),
    Comfort.STALE: Saying(
        NOTHING, "No data", "dim", "Nothing has come for half a second: nothing is known.", "one low falling note"
    ),
}
MOVE_ON = Saying("→", "Move on", "low", "This place has had its share for today's session.", "three rising notes, once")
"""The one cue that is no comfort state."""

ALERTS = (Comfort.TOO_HARD, Comfort.STOP, Comfort.STALE)
"""States that a person is warned of."""


def explain(cue: Cue, bands: Mapping[tuple[str, str], Band]) -> str:
    """Why a cue was given: place, force, threshold, rule, and where the threshold comes from.

    Parameters
    ----------
    cue : Cue
        Any cue of the session.
    bands : mapping
        Personal thresholds that held in it, as in `SignalParams.bands`.
    """
    where = place_name(cue.zone, cue.side).capitalize() or "Place not known"
    sentences = [f'{where}: "{COMFORT[cue.comfort].words}", after "{COMFORT[cue.before].words}".']
    if math.isnan(cue.threshold_n):
        sentences.append(f"Because: {cue.rule}.")
        return " ".join(sentences)
    sentences.append(
        f"Because the force {cue.rule}: {cue.force_n:.2f} N after the low-pass filter ({cue.force_raw_n:.2f} N before "
        f"it), against {cue.threshold_n:.2f} N."
    )
    if "contact" not in cue.rule:
        sentences.append(_origin(cue, bands))
    return " ".join(sentences)


def _origin(cue: Cue, bands: Mapping[tuple[str, str], Band]) -> str:
    if (cue.zone, cue.side) in bands:
        band, whose = bands[cue.zone, cue.side], "your own"
    else:
        band, whose = STARTING_BANDS[cue.zone], "starting points of this project, not clinical values"
    if band.limit_n <= NOT_HERE_N:
        return f"Not here: this place is left out, so any touch that lasts counts. The ceiling is {band.ceiling_n:g} N."
    if not cue.zone:
        whose = "the strictest ones of all zones but eye and neck, because the place was not known"
    return (
        f"The thresholds there are {whose}: {band.low_n:g} to {band.firm_n:g} N is comfortable, the limit is "
        f"{band.limit_n:g} N, the ceiling {band.ceiling_n:g} N."
    )


def cue_json(cue: Cue, bands: Mapping[tuple[str, str], Band]) -> dict[str, object]:
    """A cue as JSON values with its explanation; what is not known is null."""
    values = {name: None if value != value else value for name, value in cue._asdict().items()}  # noqa: PLR0124 - NaN
    return {
        **values,
        "comfort": cue.comfort.name,
        "before": cue.before.name,
        "personal": (cue.zone, cue.side) in bands,
        "explanation": explain(cue, bands),
    }


def table() -> str:
    """All cues as a table in Markdown."""
    rows = [
        f"| {one.sign} | {one.words} | {one.tone} | {one.means} | {one.sound} | {one.motor} |"
        for one in (*COMFORT.values(), MOVE_ON)
    ]
    head = "| sign | words | colour | means | sound | motor of the roller |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
