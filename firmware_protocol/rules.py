# SPDX-License-Identifier: MIT
"""Which requests a device must know, when it answers them, and how it refuses them."""

from __future__ import annotations

REQUIRED = ("PING", "STREAM_INFO", "START", "STOP")
"""Requests that every device answers."""

NEEDED_FEATURES = {
    "BACKFILL": ("BACKFILL",),
    "SESSION": ("BACKFILL",),
    "SET_WALL": ("WALL_CLOCK",),
    "HAPTIC_RULE": ("HAPTIC",),
    "HAPTIC_PLAY": ("HAPTIC",),
    "LED": ("LED", "RGB"),
    "LOG_INFO": ("OFFLINE_LOG",),
    "LOG_READ": ("OFFLINE_LOG",),
    "LOG_ADVANCE": ("OFFLINE_LOG",),
    "LOG_SESSION": ("OFFLINE_LOG",),
}
"""Request -> feature bits of INFO, one of which says that the device answers it. Requests that are neither here nor in
``REQUIRED`` are optional, and asking tells."""

BAD_STATE_IN = {
    "CONFIG": ("streaming", "offline log"),
    "START": ("streaming", "charging"),
    "STOP": ("idle", "offline log", "charging", "fault"),
    "SELF_TEST": ("streaming", "offline log"),
}
"""Request -> states of ``layout.STATES`` in which it is answered with BAD_STATE."""

_NOT_NOW = ("BAD_STATE", "in the states named in the table of states")
_TOO_LONG = ("MTU_TOO_SMALL", "one of these packets is longer than MTU - 3")
_NO_PAGE = ("BAD_PARAM", "`page` is above 1")
_BUSY = ("BUSY", "packets are still being sent again")
_NO_FLASH = ("STORAGE", "flash failed")
_NO_BUTTON = ("NOT_PERMITTED", "the button was not pressed in the last 30 s")

REFUSALS = {
    "STREAM_INFO": (("NOT_SUPPORTED", "the device has no such stream"),),
    "CONFIG": (
        ("NOT_SUPPORTED", "the stream has no rate of its own"),
        _NOT_NOW,
        ("BAD_PARAM", "the rate or the range is not offered"),
    ),
    "START": (
        ("BAD_PARAM", "the mask is 0 or names a stream that the device does not have, or `flush_ms` is out of range"),
        ("MTU_TOO_SMALL", "the MTU is below 100 and the mask names more than FORCE and EVENT"),
        _NOT_NOW,
        ("HW_FAULT", "a part that one of the streams needs does not answer"),
    ),
    "STOP": (_NOT_NOW,),
    "BACKFILL": (
        ("BAD_PARAM", "`first` is above `last`"),
        _BUSY,
        ("RANGE_GONE", "not one packet of the range is held"),
        _TOO_LONG,
    ),
    "SET_WALL": (("BAD_PARAM", "`tz_min` is out of range, or `unix_us` beyond 2^62"),),
    "TARE": (
        ("BAD_PARAM", "`samples` is out of range"),
        ("HW_FAULT", "the IMU or the ADC of the load cell does not answer"),
        ("UNSTABLE", "the roller moved or carried a load, or there are not so many readings yet"),
    ),
    "CAL_READ": (_NO_PAGE,),
    "CAL_WRITE": (_NO_PAGE,),
    "CAL_COMMIT": (
        _NO_BUTTON,
        ("BAD_STATE", "not both halves were written since boot"),
        _NO_FLASH,
        ("BAD_CRC", "the record's CRC or the one in the request does not fit, or the record makes no sense"),
    ),
    "HAPTIC_RULE": (("BAD_PARAM", "an argument is not in its table, or `hysteresis` is below 0"),),
    "HAPTIC_PLAY": (
        ("HW_FAULT", "the haptic driver does not answer"),
        ("BAD_PARAM", "an argument is out of range"),
    ),
    "LED": (("BAD_PARAM", "`mode` is not in its table"),),
    "LOG_READ": (
        ("BAD_PARAM", "`count` is 0"),
        _NO_FLASH,
        _BUSY,
        ("RANGE_GONE", "packet `first` is not held"),
        _TOO_LONG,
    ),
    "LOG_ADVANCE": (("BAD_PARAM", "`next` is beyond the next packet to be logged"), _NO_FLASH),
    "REBOOT": (("BAD_PARAM", "`mode` is above 1"), ("NOT_SUPPORTED", "this device has no such bootloader")),
    "FACTORY_RESET": (_NO_BUTTON,),
    "SELF_TEST": (_NOT_NOW,),
    "GEOMETRY_READ": (("BAD_PARAM", "there is no such head, or `page` is above 1"),),
    "LOG_SESSION": (("BAD_PARAM", "there is no such session"),),
}
"""Request -> (status, when), in the order in which a device checks. Any request of a wrong length is answered with
BAD_LENGTH before that."""
