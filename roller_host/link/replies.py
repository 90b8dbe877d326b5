# SPDX-License-Identifier: MIT
"""What the roller answers to requests, as values; fields without a note are as in ``layout.REQUESTS``."""

from typing import NamedTuple


class StreamInfo(NamedTuple):
    """Reply to STREAM_INFO."""

    stream_id: int
    element: int
    """1 i16, 2 u16, 3 i24, 4 mixed."""
    channels: int
    sample_size_b: int
    scale_a: float
    """Unit per count, see ``layout.STREAMS``."""
    scale_b: float
    """IMU6: m/s2 per count of the accelerometer; else 0."""
    rates_hz: tuple[int, ...]
    """Offered rates, ascending; none: samples come as things happen."""


class Started(NamedTuple):
    """Reply to START."""

    session_id: int
    t_us: int
    """Device clock at START."""


class Stopped(NamedTuple):
    """Reply to STOP."""

    last_seq: int
    """0 when there was no packet."""
    dropped: int
    """Live packets that were not sent for want of room."""


class SessionReply(NamedTuple):
    """Reply to SESSION."""

    session_id: int
    """0 when there was no START since boot."""
    first_available: int
    """Oldest packet held; ``next_seq`` when there is none."""
    next_seq: int
    state: int
    """Code in ``layout.STATES``."""


class BackfillReply(NamedTuple):
    """Reply to BACKFILL."""

    count: int  # pyright: ignore[reportIncompatibleMethodOverride] - the name on the wire
    """Packets of the range that will come."""
    first_available: int


class TimeSync(NamedTuple):
    """Reply to TIME_SYNC."""

    t2_us: int
    """Device clock when the request arrived."""
    dt_us: int
    """From then to sending the response."""


class Tared(NamedTuple):
    """Reply to TARE."""

    zero_counts: int
    noise_counts: int
    """Standard deviation of the readings."""


class LogExtent(NamedTuple):
    """Reply to LOG_INFO."""

    first: int
    last: int
    """Without meaning when ``used_b`` is 0."""
    used_b: int
    n_sessions: int


class LogSession(NamedTuple):
    """Reply to LOG_SESSION."""

    first: int
    last: int
    unix_us: int
    """Time of day at its beginning, UTC; 0 when the roller did not know."""
