# SPDX-License-Identifier: MIT
"""What a device says about itself: its INFO and STATUS records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firmware_protocol import codec, layout, reference

if TYPE_CHECKING:
    from simulator.firmware.device import Device

FEATURES: Final = (
    "IMU", "FORCE", "ROLL", "HAPTIC", "LED", "BACKFILL", "OFFLINE_LOG", "TEMP", "FORCE_RAW", "CAL_LOCK", "WALL_CLOCK",
)  # fmt: skip
"""Of every device; QUAT comes with fusion."""
HW_REV: Final = 1


def info_record(device: Device) -> bytes:
    """Encode INFO."""
    names = (*FEATURES, "QUAT") if device.build.fusion else FEATURES
    features = sum(codec.bit(layout.FEATURES, name) for name in names)
    info = codec.Info(
        layout.PROTOCOL_MAJOR, layout.PROTOCOL_MINOR, features, device.device_id, device.boot_id,
        reference.MAX_PACKET_B, device.security_mode, HW_REV,
    )  # fmt: skip
    return codec.encode_record("INFO", info)


def status_record(device: Device) -> bytes:
    """Encode STATUS."""
    senses, stream, cell = device.senses, device.stream, device.cell
    holds = {
        "USB": cell.usb,
        "CHARGING": cell.charging,
        "CONTACT": senses.contact,
        "TARED": senses.tared,
        "CALIBRATED": bool(senses.calibration.flags & 1),
        "OVERLOAD": senses.overload,
        "LOG_PENDING": bool(device.log.used_b) and not stream.logging,
        "BUTTON_WINDOW": device.button_window,
    }
    flags = sum(codec.bit(layout.STATUS_FLAGS, name) for name, on in holds.items() if on)
    faults = sum(codec.bit(layout.FAULTS, name) for name in device.faults)
    status = codec.Status(device.state_code, flags, cell.volts, senses.temp_c, faults, stream.n_dropped)
    return codec.encode_record("STATUS", status)
