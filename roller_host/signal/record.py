# SPDX-License-Identifier: MIT
"""What crosses the link, one payload at a time: stamped on arrival, recorded verbatim, replayed in the same order."""

from __future__ import annotations

from typing import Literal, NamedTuple

Source = Literal["INFO", "CONTROL", "STREAM", "STATUS"]
"""Characteristic that a payload came from or went to."""


class Record(NamedTuple):
    """One payload that crossed the link."""

    t_s: float
    """Monotonic host time of arrival or sending, s since the session began."""
    source: Source
    direction: Literal["in", "out"]
    """``"in"`` from the roller, ``"out"`` to it."""
    payload: bytes
