# SPDX-License-Identifier: MIT
"""What can go wrong with a roller and its radio, by name.

``python -m simulator.bluetooth.faults`` prints docs/faults.md.
"""

from __future__ import annotations

import math
import reprlib
import sys
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from simulator.bluetooth import mishaps
from simulator.bluetooth.mishaps import FaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.bluetooth.peripheral import Peripheral

LONGEST_S: Final = 86_400.0

_short: Final = reprlib.Repr()
"""Quotes what was typed in at most 60 characters."""
_short.maxstring = _short.maxlong = _short.maxother = 60


@dataclass(frozen=True)
class Argument:
    """A number that shapes a fault."""

    name: str
    default: float
    unit: str
    smallest: float
    largest: float
    whole: bool = False
    """Whether it has to be a whole number."""


@dataclass(frozen=True)
class Story:
    """What one fault is."""

    happens: str
    """What is done, in one sentence."""
    seen: str
    """What a program sees that uses bleak and nothing else."""
    act: Callable[..., None]
    """Does it: takes the peripheral and the arguments by name."""
    arguments: tuple[Argument, ...] = ()
    among: str = ""
    """The test that proves several faults, this one among them; the others have one of their own."""


def _seconds(default: float) -> Argument:
    return Argument("seconds", default, "s", 0, LONGEST_S)


def _share(default: float) -> Argument:
    return Argument("share", default, "of the notifications", 0, 1)


class Fault(Enum):
    """All faults. The name in lower case is what a person types."""

    LINK_LOSS = Story(
        "The link breaks at once, as when the host's controller gives up; nobody can connect for the seconds.",
        "Disconnected, reason 0x08; the roller is found again at once or after the seconds.",
        mishaps.link_loss,
        (_seconds(0),),
    )
    OUT_OF_RANGE = Story(
        "The roller is carried out of range and back.",
        "Silence; disconnected with reason 0x08 when the supervision timeout passes first; not found and no "
        "connection meanwhile. A shorter absence is a burst of late packets instead.",
        mishaps.out_of_range,
        (_seconds(5),),
    )
    WEAK_SIGNAL = Story(
        "The roller is carried to a distance and back.",
        "A lower RSSI, by about 7 dB for each doubling of the distance; out of range from 60 m on.",
        mishaps.weak_signal,
        (Argument("distance_m", 30, "m", 0, 1000), _seconds(10)),
    )
    TX_OVERFLOW = Story(
        "The host keeps the link but takes no packets, as when its program hangs.",
        "Silence, then the 12 newest packets at most, those in the controller apart; the first packet made after the "
        "loss has flag DROPPED_BEFORE, STATUS counts the lost ones, BACKFILL brings them.",
        mishaps.tx_overflow,
        (_seconds(3),),
    )
    SLOW_PARAMETERS = Story(
        "The connection interval becomes long.",
        "Packets in bursts, answers to requests after an interval or two; above about 350 ms packets are dropped.",
        mishaps.slow_parameters,
        (Argument("interval_ms", 400, "ms", 7.5, 2000), _seconds(10)),
    )
    LOST_NOTIFICATIONS = Story(
        "Notifications vanish on the way, which real links do only between the host's controller and its program.",
        "Gaps in seq, no error.",
        mishaps.turned("radio", lost_share="share"),
        (_share(0.1), _seconds(10)),
    )
    DUPLICATE_NOTIFICATIONS = Story(
        "Notifications arrive twice.",
        "The same seq twice in a row.",
        mishaps.turned("radio", duplicate_share="share"),
        (_share(0.1), _seconds(10)),
    )
    LATE_NOTIFICATIONS = Story(
        "Notifications are overtaken by those after them.",
        "A seq that steps back.",
        mishaps.turned("radio", late_share="share", late_s="by_s"),
        (_share(0.1), Argument("by_s", 0.5, "s", 0, 10), _seconds(10)),
    )
    JITTER = Story(
        "Whatever the roller sends is delayed at random; the order stays.",
        "Arrival times that spread, seq without gaps.",
        mishaps.turned("radio", jitter_s="up_to_s"),
        (Argument("up_to_s", 0.2, "s", 0, 10), _seconds(10)),
    )
    GARBAGE_NOTIFICATIONS = Story(
        "Notifications of the right length arrive with random bytes.",
        "Payloads that are no packets, or packets that make no sense.",
        mishaps.turned("radio", garbage_share="share"),
        (_share(0.1), _seconds(10)),
    )
    MTU_SMALL = Story(
        "The roller agrees to a small MTU only, until told another; the link breaks so that it counts.",
        "mtu_size is that MTU after the next connection; below 100, START answers MTU_TOO_SMALL.",
        mishaps.mtu_small,
        (Argument("mtu", 23, "B", 23, 517, whole=True),),
    )
    ADAPTER_OFF = Story(
        "The host's Bluetooth adapter is pulled out, and plugged in again after the seconds.",
        "Over TCP the radio is gone; in one process: disconnected, nothing is found meanwhile. The roller advertises "
        "again after its supervision timeout.",
        mishaps.adapter_off,
        (_seconds(5),),
    )
    PAIRING_REFUSED = Story(
        "The roller refuses to pair.",
        "pair() raises BleakError with PAIRING_NOT_SUPPORTED.",
        mishaps.turned("bonds", refusing=True),
        (_seconds(60),),
    )
    BOND_LOST = Story(
        "The roller forgets all bonds, and the link breaks.",
        "Encrypting the next connection fails with PIN_OR_KEY_MISSING; protected attributes answer 0x05; "
        "forgetting the roller and pairing again helps.",
        mishaps.bond_lost,
    )
    WRONG_PASSKEY = Story(
        "The roller expects another passkey than the one on its label (security mode 3).",
        "pair() raises BleakError with CONFIRM_VALUE_FAILED.",
        mishaps.turned("bonds", wrong_passkey=True),
        (_seconds(60),),
    )
    POWER_OFF = Story(
        "The roller is switched off, and on again after the seconds.",
        "Disconnected, reason 0x15; not found meanwhile; another boot_id afterwards.",
        mishaps.power_off,
        (_seconds(5),),
        among="test_a_roller_that_goes_off_says_so",
    )
    POWER_CUT = Story(
        "The roller loses its power without a word, and gets it back after the seconds.",
        "Silence; disconnected with reason 0x08 after the supervision timeout; another boot_id afterwards.",
        mishaps.power_cut,
        (_seconds(5),),
        among="test_a_roller_that_dies_is_missed",
    )
    REBOOT = Story(
        "The firmware restarts.",
        "Silence; disconnected with reason 0x08 after the supervision timeout; another boot_id, no session.",
        mishaps.reboot,
        among="test_a_roller_that_dies_is_missed",
    )
    SLEEP = Story(
        "The roller falls asleep, and is woken by its button after the seconds.",
        "Disconnected, reason 0x15; not found meanwhile; another boot_id afterwards.",
        mishaps.sleep,
        (_seconds(5),),
        among="test_a_roller_that_goes_off_says_so",
    )
    BATTERY_LOW = Story(
        "The battery falls to a charge.",
        "Battery Level and STATUS follow; an EVENT LOW_BATTERY below 15 %.",
        mishaps.battery_low,
        (Argument("percent", 10, "%", 1, 100),),
    )
    BATTERY_EMPTY = Story(
        "The battery is empty, and charged to 50 % after the seconds.",
        "Disconnected, reason 0x15; not found meanwhile.",
        mishaps.battery_empty,
        (_seconds(10),),
        among="test_a_roller_that_goes_off_says_so",
    )
    USB_PLUGGED = Story(
        "USB power is plugged in, and pulled out after the seconds.",
        "The stream ends, STATUS says charging, START answers BAD_STATE.",
        mishaps.usb_plugged,
        (_seconds(10),),
    )
    IMU_FAULT = Story(
        "The IMU does not answer.",
        "An EVENT FAULT, STATUS with the fault bit; packets without IMU6 and ROLL; START with them answers HW_FAULT.",
        mishaps.broken("IMU"),
        (_seconds(10),),
        among="test_a_broken_part_is_told_and_recovers",
    )
    ADC_FAULT = Story(
        "The load cell's ADC does not answer.",
        "An EVENT FAULT, STATUS with the fault bit; packets without force; START with it answers HW_FAULT.",
        mishaps.broken("ADC"),
        (_seconds(10),),
        among="test_a_broken_part_is_told_and_recovers",
    )
    ENCODER_FAULT = Story(
        "The encoder does not answer or its magnet is gone.",
        "An EVENT FAULT, STATUS with the fault bit; packets without ROLL; START with it answers HW_FAULT.",
        mishaps.broken("ENCODER"),
        (_seconds(10),),
        among="test_a_broken_part_is_told_and_recovers",
    )
    HAPTIC_FAULT = Story(
        "The haptic driver does not answer.",
        "An EVENT FAULT, STATUS with the fault bit; HAPTIC_PLAY answers HW_FAULT.",
        mishaps.broken("HAPTIC"),
        (_seconds(10),),
        among="test_a_broken_part_is_told_and_recovers",
    )
    STORAGE_FAULT = Story(
        "The flash fails.",
        "An EVENT FAULT, STATUS with the fault bit; LOG_READ answers STORAGE.",
        mishaps.broken("STORAGE"),
        (_seconds(10),),
        among="test_a_broken_part_is_told_and_recovers",
    )
    CAL_CRC_FAULT = Story(
        "The stored calibration is damaged.",
        "An EVENT FAULT, STATUS with the fault bit and without CALIBRATED; CAL_READ returns the defaults.",
        mishaps.broken("CAL_CRC"),
        (_seconds(10),),
        among="test_a_broken_part_is_told_and_recovers",
    )
    FIRMWARE_HANGS = Story(
        "The firmware does nothing for the seconds, while its radio keeps the link; then it catches up.",
        "No packets and no responses, then a burst in which packets are missing.",
        mishaps.firmware_hangs,
        (_seconds(2),),
    )
    RESPONSE_LATE = Story(
        "Responses to control requests come late.",
        "The indication comes after the wait.",
        mishaps.turned("manners", response_late_s="by_s"),
        (Argument("by_s", 2, "s", 0, 60), _seconds(10)),
    )
    RESPONSE_MISSING = Story(
        "Requests are carried out, but not answered.",
        "The write succeeds, no indication comes.",
        mishaps.turned("manners", response_missing=True),
        (_seconds(10),),
    )
    RESPONSE_GARBAGE = Story(
        "Responses arrive with wrong bytes.",
        "An indication that is no response.",
        mishaps.turned("manners", response_garbage=True),
        (_seconds(10),),
    )

    @property
    def title(self) -> str:
        """What a person types."""
        return self.name.lower()

    @property
    def test(self) -> str:
        """Id of the test in tests/test_faults.py that proves it."""
        return f"{self.value.among}[{self.title}]" if self.value.among else f"test_{self.title}"

    @property
    def usage(self) -> str:
        """Typed line with all arguments at their defaults."""
        return " ".join([self.title, *(f"{each.name}={each.default:g}" for each in self.value.arguments)])


def parse(line: str) -> tuple[Fault, dict[str, float]]:
    """Read a typed line: a fault, then its arguments in order or by name, for instance ``out_of_range seconds=5``.

    Raises
    ------
    FaultError
        When the line makes no sense; the message says what would.
    """
    name, *words = line.split() or [""]
    fault = find(name)
    known = [argument.name for argument in fault.value.arguments]
    takes = ", ".join(known) or "nothing"
    given: dict[str, Any] = {}
    for i_word, word in enumerate(words):
        key, equals, value = word.partition("=")
        if not equals:
            if i_word >= len(known):
                raise FaultError(f"{fault.title}: {_short.repr(word)} is one too many; it takes {takes}")
            key, value = known[i_word], word
        if key in given:
            raise FaultError(f"{fault.title}: {_short.repr(key)} is given twice")
        given[key] = value
    return fault, check(fault, given)


def find(name: str) -> Fault:
    """Return the fault called ``name``.

    Raises
    ------
    FaultError
        When there is none; the message lists them.
    """
    try:
        return Fault[name.upper()]
    except KeyError:
        known = ", ".join(fault.title for fault in Fault)
        raise FaultError(f"{_short.repr(name)} is no fault; known are: {known}") from None


def check(fault: Fault, given: Mapping[str, Any]) -> dict[str, float]:
    """Complete the arguments of a fault with their defaults.

    Parameters
    ----------
    fault : Fault
        The fault.
    given : mapping
        Name to number; text that is a number will do.

    Raises
    ------
    FaultError
        For an unknown argument, and for what is no number or out of range.
    """
    arguments = {argument.name: argument for argument in fault.value.arguments}
    for name in given:
        if name not in arguments:
            raise FaultError(f"{fault.title} takes {', '.join(arguments) or 'no arguments'}, not {_short.repr(name)}")
    return {
        name: _number(fault, argument, given[name]) if name in given else argument.default
        for name, argument in arguments.items()
    }


def _number(fault: Fault, argument: Argument, value: object) -> float:
    try:
        number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    fits = argument.smallest <= number <= argument.largest
    if not fits or (argument.whole and not number.is_integer()):
        kind = "a whole number" if argument.whole else "a number"
        raise FaultError(
            f"{fault.title}: {argument.name} has to be {kind} from {argument.smallest:g} to {argument.largest:g} "
            f"{argument.unit}, not {_short.repr(value)}"
        )
    return number


def inject(peripheral: Peripheral, fault: Fault, **arguments: float) -> None:
    """Let a fault happen now; it ends by itself.

    Parameters
    ----------
    peripheral : Peripheral
        The roller that it happens to.
    fault : Fault
        What happens.
    **arguments
        See ``fault.value.arguments``; those left out have their defaults.

    Raises
    ------
    FaultError
        For arguments that make no sense, and when the fault needs a host and none is connected.
    """
    fault.value.act(peripheral, **check(fault, arguments))


if __name__ == "__main__":
    from simulator.bluetooth.fault_page import page

    sys.stdout.write(page(Fault))
