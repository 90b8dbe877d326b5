# SPDX-License-Identifier: MIT
"""How each fault of `simulator.bluetooth.faults` is done to a roller.

Whatever lasts ends by itself. Of two faults that turn the same knob, the later one says when it is turned back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.bluetooth.air import AirController
    from simulator.bluetooth.peripheral import Peripheral

FAR_M: Final = 200.0
CHARGED_PERCENT: Final = 50.0
SLOW_TIMEOUT_MS: Final = 6000.0


class FaultError(ValueError):
    """A fault or an argument that makes no sense, or cannot happen at the moment; the message says what would."""


def turned(part: str, **knobs: str | float) -> Callable[..., None]:
    """Turn knobs of a part of the peripheral for a time; each gets a value, or that of the argument that it names."""

    def act(peripheral: Peripheral, seconds: float, **arguments: float) -> None:
        owner = getattr(peripheral, part)

        def turn_back() -> None:
            for knob in knobs:
                setattr(owner, knob, getattr(type(owner), knob))

        for knob, value in knobs.items():
            setattr(owner, knob, arguments[value] if isinstance(value, str) else value)
        peripheral.later((part, *knobs), seconds, turn_back)

    return act


# --- On the air -------------------------------------------------------------------------------------------------------


def _require_host(peripheral: Peripheral) -> None:
    if peripheral.connection is None:
        raise FaultError("no host is connected")


def _silence_for(peripheral: Peripheral, seconds: float) -> None:
    peripheral.radio.silence(True)
    peripheral.later("silence", seconds, lambda: peripheral.radio.silence(False))


def link_loss(peripheral: Peripheral, seconds: float) -> None:
    """Break the link."""
    _require_host(peripheral)
    peripheral.controller.air.drop_link(peripheral.controller)
    if seconds:
        _silence_for(peripheral, seconds)


def out_of_range(peripheral: Peripheral, seconds: float) -> None:
    """Carry the roller far away."""
    weak_signal(peripheral, FAR_M, seconds)


def weak_signal(peripheral: Peripheral, distance_m: float, seconds: float) -> None:
    """Carry the roller to a distance."""
    peripheral.radio.carry(distance_m)
    peripheral.later("distance", seconds, lambda: peripheral.radio.carry(None))


def tx_overflow(peripheral: Peripheral, seconds: float) -> None:
    """Let the host take no packets."""
    _require_host(peripheral)
    turned("radio", held=True)(peripheral, seconds)


def slow_parameters(peripheral: Peripheral, interval_ms: float, seconds: float) -> None:
    """Make the connection interval long."""
    _require_host(peripheral)
    peripheral.change_parameters(interval_ms, interval_ms, SLOW_TIMEOUT_MS)
    peripheral.later("parameters", seconds, peripheral.want_usual_parameters)


def mtu_small(peripheral: Peripheral, mtu: float) -> None:
    """Agree to a small MTU only."""
    peripheral.max_mtu = int(mtu)
    peripheral.controller.air.drop_link(peripheral.controller)


def adapter_off(peripheral: Peripheral, seconds: float) -> None:
    """Pull out the host's adapter."""
    _require_host(peripheral)
    controller = peripheral.controller
    for connection in list(controller.le_connections.values()):
        if far := controller.air.far_end(connection):
            _unplug(peripheral, far[0], seconds)


def _unplug(peripheral: Peripheral, host: AirController, seconds: float) -> None:
    host.unplug()
    peripheral.later(host.radio, seconds, lambda: host.radio.silence(False))


def bond_lost(peripheral: Peripheral) -> None:
    """Forget the bonds."""
    peripheral.forget_hosts()
    peripheral.controller.air.drop_link(peripheral.controller)


# --- The device -------------------------------------------------------------------------------------------------------


def power_off(peripheral: Peripheral, seconds: float) -> None:
    """Switch the roller off."""
    peripheral.device.power(False, peripheral.now_us())
    _power_on_after(peripheral, seconds)


def _power_on_after(peripheral: Peripheral, seconds: float) -> None:
    def power_on() -> None:
        if peripheral.device.cell.charge_percent <= 0:
            peripheral.device.battery(CHARGED_PERCENT, peripheral.now_us())
        peripheral.device.power(True, peripheral.now_us())

    peripheral.later("power", seconds, power_on)


def power_cut(peripheral: Peripheral, seconds: float) -> None:
    """Take the power away."""
    _silence_for(peripheral, seconds)
    peripheral.controller.end_links()
    power_off(peripheral, seconds)


def reboot(peripheral: Peripheral) -> None:
    """Restart the firmware."""
    peripheral.device.reboot(peripheral.now_us())


def sleep(peripheral: Peripheral, seconds: float) -> None:
    """Send the roller to sleep."""
    peripheral.device.sleep(peripheral.now_us())
    peripheral.later("sleep", seconds, lambda: peripheral.device.wake(peripheral.now_us()))


def battery_low(peripheral: Peripheral, percent: float) -> None:
    """Set the charge."""
    peripheral.device.battery(percent, peripheral.now_us())


def battery_empty(peripheral: Peripheral, seconds: float) -> None:
    """Empty the battery."""
    peripheral.device.battery(0.0, peripheral.now_us())
    _power_on_after(peripheral, seconds)


def usb_plugged(peripheral: Peripheral, seconds: float) -> None:
    """Plug in USB power."""
    peripheral.device.plug(True, peripheral.now_us())
    peripheral.later("usb", seconds, lambda: peripheral.device.plug(False, peripheral.now_us()))


def broken(name: str) -> Callable[..., None]:
    """Let a part of ``layout.FAULTS`` fail for a time."""

    def act(peripheral: Peripheral, seconds: float) -> None:
        peripheral.device.fail(name, True, peripheral.now_us())
        peripheral.later(name, seconds, lambda: peripheral.device.fail(name, False, peripheral.now_us()))

    return act


def firmware_hangs(peripheral: Peripheral, seconds: float) -> None:
    """Let the firmware do nothing."""
    peripheral.hang(seconds)
