# SPDX-License-Identifier: MIT
"""How the device answers each control request: one function per request, registered in `ANSWERS` by its name.

Each takes the device, the driver's clock and the fields of the request, and returns the fields of the reply or raises
`RefusalError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from firmware_protocol import codec, layout, reference
from simulator.firmware.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.firmware.device import Device

Reply: TypeAlias = tuple[Any, ...]

STREAM_ID = codec.STREAM_ID
ANSWER_US: Final = 180
"""What the firmware needs between a request and its response, us."""
LATEST_UNIX_US: Final = 1 << 62
"""No clock shows a later time of day, us since 1970."""
BLINK: Final = next(mode for mode, name in layout.LED_MODES if name == "blink")
_FITS_ANY_MTU: Final = 1 << STREAM_ID["FORCE"] | 1 << STREAM_ID["EVENT"]


def _ping(_device: Device, _now_us: int, echo: bytes) -> Reply:
    return (echo,)


def _stream_list(device: Device, _now_us: int) -> Reply:
    return (bytes(device.streams),)


def _stream_info(device: Device, _now_us: int, stream_id: int) -> Reply:
    if stream_id not in device.streams:
        raise RefusalError("NOT_SUPPORTED")
    return reference.stream_info_reply(stream_id, device.senses.sensors.imu_range)


def _config(device: Device, _now_us: int, stream_id: int, rate_index: int, range_index: int) -> Reply:
    is_imu = stream_id == STREAM_ID["IMU6"]
    if not is_imu and stream_id != STREAM_ID["FORCE_RAW"]:
        raise RefusalError("NOT_SUPPORTED")
    if device.stream.active:
        raise RefusalError("BAD_STATE")
    n_ranges = len(layout.IMU_RANGES) if is_imu else 1
    rate_hz = layout.RATES_HZ[rate_index] if rate_index < len(layout.RATES_HZ) else 0
    if rate_hz not in reference.STREAM_INFO[stream_id].rates_hz or range_index >= n_ranges:
        raise RefusalError("BAD_PARAM")
    sensors = device.senses.sensors
    if is_imu:
        sensors.configure(imu_rate_hz=rate_hz, imu_range=range_index)
        return (device.imu_rate_hz,)
    sensors.configure(force_rate_hz=rate_hz)
    return (device.force_rate_hz,)


def _start(device: Device, now_us: int, mask: int, flush_ms: int, linger_s: int) -> Reply:
    offered = sum(1 << stream_id for stream_id in device.streams)
    if mask == 0 or mask & ~offered or not 20 <= flush_ms <= 200:
        raise RefusalError("BAD_PARAM")
    if device.mtu < layout.MTU_MIN_STREAM and mask & ~_FITS_ANY_MTU:
        raise RefusalError("MTU_TOO_SMALL")
    if device.streaming or device.cell.usb or not device.on_air:
        raise RefusalError("BAD_STATE")
    if mask & device.stream.silenced(device.faults):
        raise RefusalError("HW_FAULT")
    device.start(mask, flush_ms, linger_s, now_us)
    return device.stream.session_id, device.clock_us(now_us)


def _stop(device: Device, now_us: int) -> Reply:
    if not device.streaming:
        raise RefusalError("BAD_STATE")
    device.halt(now_us)
    return max(device.stream.seq - 1, 0), device.stream.n_dropped


def _backfill(device: Device, now_us: int, first: int, last: int) -> Reply:
    if first > last:
        raise RefusalError("BAD_PARAM")
    if device.stream.transferring:
        raise RefusalError("BUSY")
    held = device.stream.ring.held(first, last)[:0xFFFF]
    if not held:
        raise RefusalError("RANGE_GONE")
    if device.stream.ring.longest(held) > device.mtu - 3:
        raise RefusalError("MTU_TOO_SMALL")
    device.stream.begin_transfer(device.stream.ring.read(held), now_us)
    return len(held), device.stream.ring.first() or 0


def _time_sync(device: Device, now_us: int) -> Reply:
    return device.clock_us(now_us), ANSWER_US


def _set_wall(device: Device, now_us: int, unix_us: int, tz_min: int) -> Reply:
    if not -720 <= tz_min <= 840 or unix_us > LATEST_UNIX_US:
        raise RefusalError("BAD_PARAM")
    device.wall = unix_us, now_us
    return ()


def _tare(device: Device, _now_us: int, samples: int) -> Reply:
    if not 8 <= samples <= 320:
        raise RefusalError("BAD_PARAM")
    if device.faults & {"ADC", "IMU"}:
        raise RefusalError("HW_FAULT")
    if not device.stream.active:
        device.answer_after_s = samples / device.force_rate_hz
    zero = device.senses.tare(samples, measuring=device.stream.active)
    device.stream.flag("TARE_CHANGED")
    return zero


def _cal_read(device: Device, _now_us: int, page: int) -> Reply:
    return (_half(codec.encode_record("CALIBRATION", device.senses.calibration), page),)


def _cal_write(device: Device, _now_us: int, page: int, half: bytes) -> Reply:
    if page > 1:
        raise RefusalError("BAD_PARAM")
    device.halves[page] = half
    return ()


def _cal_commit(device: Device, now_us: int, crc16: int) -> Reply:
    _need_button(device)
    if len(device.halves) < 2:
        raise RefusalError("BAD_STATE")
    if "STORAGE" in device.faults:
        raise RefusalError("STORAGE")
    try:
        calibration = codec.decode_record("CALIBRATION", device.halves[0] + device.halves[1])
    except codec.ProtocolError as error:
        raise RefusalError("BAD_CRC") from error
    if calibration.crc16 != crc16:
        raise RefusalError("BAD_CRC")
    _store_calibration(device, now_us, calibration)
    return ()


def _store_calibration(device: Device, now_us: int, calibration: codec.Calibration) -> None:
    """Write a calibration to flash and use it at once."""
    device.stored_calibration = device.senses.calibration = calibration
    device.fail("CAL_CRC", False, now_us)
    device.senses.set_zero(calibration.zero_counts)
    device.stream.flag("TARE_CHANGED")


def _haptic_rule(device: Device, _now_us: int, *arguments: int) -> Reply:
    device.senses.haptics.set_rule(arguments)
    return ()


def _haptic_play(device: Device, _now_us: int, pattern: int, strength: int, repeat: int) -> Reply:
    if "HAPTIC" in device.faults:
        raise RefusalError("HW_FAULT")
    device.senses.haptics.play(device.senses.life_s, pattern, strength, repeat)
    return ()


def _led(device: Device, _now_us: int, red: int, green: int, blue: int, mode: int) -> Reply:
    if mode >= len(layout.LED_MODES):
        raise RefusalError("BAD_PARAM")
    device.led = red, green, blue, mode
    return ()


def _identify(device: Device, _now_us: int, seconds: int) -> Reply:
    device.senses.haptics.identify(device.senses.life_s, seconds)
    device.led = (255, 255, 255, BLINK) if seconds else (0, 0, 0, 0)
    return ()


def _log_info(device: Device, _now_us: int) -> Reply:
    log = device.log
    return log.first, max(log.next - 1, 0), log.used_b, len(log.sessions)


def _log_read(device: Device, now_us: int, first: int, count: int) -> Reply:
    if count == 0:
        raise RefusalError("BAD_PARAM")
    if "STORAGE" in device.faults:
        raise RefusalError("STORAGE")
    if device.stream.transferring:
        raise RefusalError("BUSY")
    packets = device.log.read(first, count)
    if max(map(len, packets)) > device.mtu - 3:
        raise RefusalError("MTU_TOO_SMALL")
    device.stream.begin_transfer(iter(packets), now_us)
    return (len(packets),)


def _log_advance(device: Device, _now_us: int, until: int) -> Reply:
    if until > device.log.next:
        raise RefusalError("BAD_PARAM")
    if "STORAGE" in device.faults:
        raise RefusalError("STORAGE")
    device.log.advance(until)
    return ()


def _log_session(device: Device, _now_us: int, index: int) -> Reply:
    if index >= len(device.log.sessions):
        raise RefusalError("BAD_PARAM")
    session = device.log.sessions[index]
    return session.first, session.last, session.unix_us


def _sleep(device: Device, now_us: int) -> Reply:
    device.leave(now_us, device.sleep)
    return ()


def _reboot(device: Device, now_us: int, mode: int) -> Reply:
    if mode > 1:
        raise RefusalError("BAD_PARAM")
    if mode == 1:
        raise RefusalError("NOT_SUPPORTED")
    device.leave(now_us, device.reboot)
    return ()


def _factory_reset(device: Device, now_us: int) -> Reply:
    _need_button(device)
    device.halt(now_us)
    device.log.erase()
    _store_calibration(device, now_us, reference.CALIBRATION)
    device.on_factory_reset()
    device.leave(now_us, device.reboot)
    return ()


def _self_test(device: Device, _now_us: int) -> Reply:
    if device.stream.active:
        raise RefusalError("BAD_STATE")
    fails = {"IMU": ("IMU", "GYRO", "ACC"), "ADC": ("ADC", "BRIDGE", "NOISE"), "CAL_CRC": ()}
    failed = {name for fault in device.faults for name in fails.get(fault, (fault,))}
    return (sum(codec.bit(layout.SELF_TEST, name) for _, name, _ in layout.SELF_TEST if name not in failed),)


def _session(device: Device, _now_us: int) -> Reply:
    first = device.stream.ring.first()
    device.stream.ring.hold()
    return device.stream.session_id, device.stream.seq if first is None else first, device.stream.seq, device.state_code


def _geometry_read(_device: Device, _now_us: int, head: int, page: int) -> Reply:
    if head != 0:
        raise RefusalError("BAD_PARAM")
    return (_half(codec.encode_record("GEOMETRY", reference.GEOMETRY), page),)


def _half(record: bytes, page: int) -> bytes:
    if page > 1:
        raise RefusalError("BAD_PARAM")
    return record[16 * page : 16 * page + 16]


def _need_button(device: Device) -> None:
    if not device.button_window:
        raise RefusalError("NOT_PERMITTED")


ANSWERS: Final[Mapping[str, Callable[..., Reply]]] = {
    "PING": _ping,
    "STREAM_LIST": _stream_list,
    "STREAM_INFO": _stream_info,
    "CONFIG": _config,
    "START": _start,
    "STOP": _stop,
    "BACKFILL": _backfill,
    "TIME_SYNC": _time_sync,
    "SET_WALL": _set_wall,
    "TARE": _tare,
    "CAL_READ": _cal_read,
    "CAL_WRITE": _cal_write,
    "CAL_COMMIT": _cal_commit,
    "HAPTIC_RULE": _haptic_rule,
    "HAPTIC_PLAY": _haptic_play,
    "LED": _led,
    "IDENTIFY": _identify,
    "LOG_INFO": _log_info,
    "LOG_READ": _log_read,
    "LOG_ADVANCE": _log_advance,
    "SLEEP": _sleep,
    "REBOOT": _reboot,
    "FACTORY_RESET": _factory_reset,
    "SELF_TEST": _self_test,
    "SESSION": _session,
    "GEOMETRY_READ": _geometry_read,
    "LOG_SESSION": _log_session,
}
"""Request name -> function."""
