# SPDX-License-Identifier: MIT
"""Words and colour names for link states and directions, the same on screen and for a screen reader."""

from __future__ import annotations

import math

from roller_host.link.states import LinkPhase
from roller_host.signal.estimates import outward_deg

PHASE_TONE: dict[LinkPhase, str] = {
    LinkPhase.OFF: "dim",
    LinkPhase.NO_BLUETOOTH: "bad",
    LinkPhase.SCANNING: "accent",
    LinkPhase.OUT_OF_RANGE: "bad",
    LinkPhase.TAKEN: "bad",
    LinkPhase.CONNECTING: "accent",
    LinkPhase.PAIRING: "accent",
    LinkPhase.SUBSCRIBED: "accent",
    LinkPhase.STREAMING: "good",
    LinkPhase.STALLED: "low",
    LinkPhase.RETRYING: "low",
    LinkPhase.LOST: "bad",
    LinkPhase.REFUSED: "bad",
}

_SIGNALS = ((-60, "strong"), (-75, "good"), (-88, "weak"))
"""Least signal strength for each word, dBm; our starting points, after what phones show as four bars to one."""

_OCTANTS = ("up", "up and {}", "{}", "down and {}", "down")


def heading(direction_deg: float, side: str) -> str:
    """Direction of a stroke in words: ``"up and out"``, ``"down"``; empty when there is none.

    Parameters
    ----------
    direction_deg : float
        Angle from face-up, positive toward the person's left, degrees.
    side : str
        Side of the face; with it the words are in and out, without it left and right.
    """
    if math.isnan(direction_deg):
        return ""
    outward = outward_deg(direction_deg, side)
    if math.isnan(outward):
        outward, names = direction_deg, ("left", "right")
    else:
        names = ("out", "in")
    sideways = names[0] if outward > 0 else names[1]
    return _OCTANTS[round(abs(direction_deg) / 45.0)].format(sideways)


def advised(direction_deg: float, side: str) -> bool:
    """Whether a direction is fine; strokes that go down, or inward where the side is known, are advised against."""
    return not (abs(direction_deg) > 112.5 or outward_deg(direction_deg, side) < -45.0)


def opening(text: str) -> str:
    """Text with its first letter as a capital and all others as they are."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """Text as a sentence, with a capital and an end; empty text stays empty."""
    return opening(text) + ("" if not text or text.endswith((".", "!", "?")) else ".")


def clock(seconds: float) -> str:
    """Minutes and seconds: ``"3:49"``."""
    whole = max(int(seconds), 0)
    return f"{whole // 60}:{whole % 60:02d}"


def ago(seconds: float) -> str:
    """How long ago, roughly: ``"now"``, ``"12 s ago"``, ``"4 min ago"``, ``"3 h ago"``, ``"2 days ago"``."""
    if seconds < 3:
        return "now"
    for limit_s, unit_s, word in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit_s:
            return f"{int(seconds / unit_s)} {word} ago"
    days = int(seconds / 86400)
    return f"{days} day{'s' if days > 1 else ''} ago"


def signal(rssi_dbm: int) -> tuple[int, str]:
    """Bars from 1 to 4, and a word, for a signal strength in dBm."""
    for n_weaker, (least_dbm, word) in enumerate(_SIGNALS):
        if rssi_dbm >= least_dbm:
            return 4 - n_weaker, word
    return 1, "very weak"
